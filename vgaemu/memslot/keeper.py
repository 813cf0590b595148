"""What every keeper of a dirty log shares: write protection, its faults, and the counters.

A *keeper* remembers which pages of a slot were written. Emulated here: one protection byte a page
(0 = write-protected) that the store path looks at *after* the data has landed; a store that finds
its page protected takes a write fault. Not emulated: large pages, access bits, a real TLB.

Invariant (M. Tsirkin, kernel commit edde99ce): every page is either dirty in the live map, or
write-protected, or in the middle of a fault that is about to mark it.
"""

from __future__ import annotations

import sys
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass

from vgaemu.memslot.bitmap import DirtyLog, word_count

#: True on a free-threaded build running without the GIL: plain byte stores are then no longer
#: ordered for us, and the lock-free keepers take a lock.
FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()


@dataclass(slots=True)
class Counters:
    """What keeping the log cost so far."""

    #: Stores that hit a write-protected page.
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
        #: One byte a page, 0 = write-protected; padded to whole bitmap words.
        self.writable = bytearray(64 * word_count(npages))
        self._none_dirty = DirtyLog(npages)
        self._counter_lock = threading.Lock()

    @abstractmethod
    def fault(self, page: int) -> None:
        """Take a write fault: make `page` writable, then mark it dirty. The data has landed."""

    @abstractmethod
    def harvest(self) -> DirtyLog:
        """The four steps: snapshot and clear, write-protect, flush, hand the snapshot out.

        Called by one thread at a time (the slot's lock); stores go on meanwhile.
        """

    @abstractmethod
    def forget(self) -> None:
        """Drop all marks and write-protect everything: logging starts anew."""

    def stop(self) -> None:
        """Make every page writable, so that no store faults and nothing is marked."""
        self.writable[:] = b"\1" * len(self.writable)

    def _count_fault(self) -> None:
        # "+=" on an attribute is several bytecodes; guest threads may fault at the same time.
        with self._counter_lock:
            self.counters.faults += 1
