"""What every keeper of a dirty log shares: write protection, its faults, and the counters.

A *keeper* remembers which pages of a slot were written. Emulated here: one protection byte a page
(0 = write-protected) that the store path looks at *after* the data has landed; a store that finds
its page protected takes a write fault. Not emulated: large pages, access bits, a real TLB.

Invariant (M. Tsirkin, kernel commit edde99ce): while stores are logged, every page is either dirty
in the live map, or write-protected. Whoever unprotects a page therefore marks it in the same step,
or holds a lock until it has.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass

from vgaemu.memslot.bitmap import DirtyLog, word_count

#: True on a free-threaded build running without the GIL: plain byte stores are then no longer
#: ordered for us, and the lock-free keepers take a lock.
FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()


@dataclass(slots=True)
class Counters:
    """What keeping the log cost so far.

    Statistics: nothing is decided by them, and two faults at once may be counted as one.
    """

    #: Stores that hit a write-protected page, once for each such page.
    faults: int = 0
    #: Calls that write-protected something.
    protect_calls: int = 0
    #: Pages those calls covered, clean ones inside a span included.
    protected_pages: int = 0
    #: Harvests that found dirt and therefore flushed.
    flushes: int = 0


class Keeper(ABC):
    """Keeps the dirty log of one slot."""

    #: How `--dirty-log` and `Memslot(dirty_log=...)` call it.
    name: str

    def __init__(self, npages: int) -> None:
        """Start with logging on: every page clean and write-protected."""
        self.npages = npages
        self.counters = Counters()
        #: One byte a page, 0 = write-protected; padded to whole bitmap words. A dirty page is
        #: writable: while none is, there is nothing to harvest.
        self.writable = bytearray(64 * word_count(npages))
        #: What `harvest` returns when nothing was dirty: always this object.
        self.nothing_dirty = DirtyLog(npages)

    @abstractmethod
    def fault(self, page: int) -> None:
        """Take a write fault: make `page` writable and mark it dirty. The data has landed."""

    def fault_range(self, start: int, end: int) -> None:
        """Take the faults of one store that reached the pages `start` to `end` (exclusive)."""
        page = self.writable.find(0, start, end)
        while page >= 0:
            self.fault(page)
            page = self.writable.find(0, page + 1, end)

    @abstractmethod
    def harvest(self) -> DirtyLog:
        """The four steps: snapshot and clear, write-protect, flush, hand the snapshot out.

        Called by one thread at a time (the slot's lock); stores go on meanwhile.
        """

    @abstractmethod
    def start(self) -> None:
        """Begin to log: drop all marks and write-protect everything.

        In one step, under a lock, or in this order: were it the other, a store in between would
        fault, and its mark would be dropped while its page stays writable.
        """

    def stop(self) -> None:
        """Make every page writable, so that no store faults; `start` drops what is marked."""
        self.writable[:] = b"\1" * len(self.writable)
