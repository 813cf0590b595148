"""What every keeper of a dirty log shares: write protection, its faults, and the counters.

A *keeper* remembers which pages of a slot were written. Emulated here: one protection byte a page
(0 = write-protected) that the store path looks at *after* the data has landed; a store that finds
its page protected takes a write fault. Not emulated: large pages, access bits, a real TLB.

Invariant (M. Tsirkin, kernel commit edde99ce): while stores are logged, every page is either dirty
in the live map, or write-protected. Whoever unprotects a page therefore marks it in the same step,
holds a lock until it has, or marks it next, and is then itself what keeps the invariant.
"""

from __future__ import annotations

import mmap
import platform
import sys
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import OutOfMemory
from vgaemu.memslot.bitmap import WORD_PAGES, word_count
from vgaemu.memslot.log import DirtyLog, RunLog

#: True on a free-threaded build running without the GIL: plain byte stores are then no longer
#: ordered for us, and the lock-free keepers take a lock.
FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()

#: Not in Python's mmap before 3.13; the number is that of Linux on these processors.
_KNOWN = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64", "riscv64")
MAP_NORESERVE: int = getattr(mmap, "MAP_NORESERVE", 0x4000 if _KNOWN else 0)


class AnonymousMemory(mmap.mmap):
    """Memory of this process alone: what was never stored to is zero, and has no page."""


def anonymous_memory(nbytes: int) -> AnonymousMemory:
    """Zeroed, page-aligned, private memory: reserved here, allocated where it is written.

    Raises:
        OutOfMemory: The system does not give that much.
    """
    try:
        if hasattr(mmap, "MAP_PRIVATE"):
            # A slot may be larger than the machine's memory, as long as few of its pages are used.
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
            return AnonymousMemory(-1, nbytes, flags=flags)
        return AnonymousMemory(-1, nbytes)
    except (OSError, OverflowError) as error:
        raise OutOfMemory(f"no {nbytes:,} bytes of memory to be had: {error}") from None


@dataclass(slots=True)
class Counters:
    """What keeping the log cost so far: the same units for every keeper.

    Statistics: nothing is decided by them, and two faults at once may be counted as one. An answer
    given without a harvest, because one look showed that nothing is dirty, is not counted. What a
    kernel does (`mmu`, `kvm`) is counted as far as it tells: that it protected and flushed, and the
    pages it reported; not its words, nor its page table entries, nor what a vCPU stored.

    Attributes:
        faults: Stores that hit a write-protected page, once for each such page.
        words_looked_at: Words of the bitmap that harvests looked at; for a byte a page, 64 of them.
        exchanges: Words exchanged with 0.
        protect_calls: Calls that write-protected something.
        protected_pages: Pages those calls covered, clean ones inside a span included.
        clean_pages: Of those, pages that were not dirty.
        entries_looked_at: Page table entries that those calls looked at. Where one byte says both
            dirty and writable, it is the entry.
        entries_changed: Of those, entries that were writable before.
        flushes: Harvests that found dirt and therefore flushed.
        grace_periods: How often it was waited for readers of what a harvest replaced
            (``synchronize_srcu_expedited``); only `srcu` has to.
        grace_period_ns: Time spent in that.
    """

    faults: int = 0
    words_looked_at: int = 0
    exchanges: int = 0
    protect_calls: int = 0
    protected_pages: int = 0
    clean_pages: int = 0
    entries_looked_at: int = 0
    entries_changed: int = 0
    flushes: int = 0
    grace_periods: int = 0
    grace_period_ns: int = 0


#: See `Keeper.maybe_dirty`.
ALWAYS = bytearray(b"\1")


class Keeper(ABC):
    """Keeps the dirty log of one slot."""

    #: What `--dirty-log` and `Memslot(dirty_log=...)` call it.
    name: str
    #: Whether stores are seen however they are made, so that the store path need not look.
    sees_all_stores = False
    #: What the last harvest took each of `parts`, in nanoseconds, where they are compared.
    compared_ns: Sequence[int] = ()

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        """Start with logging on: every page clean and write-protected.

        `memory` has the slot's bytes; those behind them, if any, are nobody's.

        Raises:
            KeeperUnavailable: The log of this memory cannot be kept here.
        """
        self.npages = npages
        self._counters = Counters()
        #: One byte a page, 0 = write-protected; padded to whole bitmap words, or more.
        self.writable = bytearray(WORD_PAGES * word_count(npages))
        #: Without a 1 in it nothing is dirty. `ALWAYS` where that is not known without a harvest.
        self.maybe_dirty = self.writable
        #: What `harvest` returns when nothing was dirty: always this object.
        self.nothing_dirty: DirtyLog = RunLog(npages)
        self._closers: list[Callable[[], object]] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.npages} pages)"

    @property
    def parts(self) -> Sequence[Keeper]:
        """The keepers that it is made of: itself, or those that it compares."""
        return (self,)

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

    @property
    def counters(self) -> Counters:
        """What keeping the log cost so far: one object, brought up to date by this look.

        Its `faults` are up to date always.
        """
        return self._counters

    def read_lock(self) -> int:
        """Enter a read-side section: the handling of one exit of the guest.

        Only a keeper with a grace period has them (`srcu`): its harvests wait until the section is
        left. Sections may nest.

        Returns:
            What `read_unlock` wants, by the same thread.
        """
        return 0

    def read_unlock(self, token: int) -> None:
        """Leave the section."""
        return

    def take_over(self) -> None:  # noqa: B027  # a default
        """Begin, or begin again, to keep the log in another's place; marks from before stay.

        A store may have landed already and look at `writable` only now: what it finds there must
        not depend on this keeper having seen it land.

        Raises:
            KeeperUnavailable: The log cannot be kept any more.
        """

    def retire(self) -> None:  # noqa: B027  # a default
        """Another keeper has taken over: cost the system nothing, and mark what it has found.

        Stores that are in flight still fault here: `has_marks` is asked at each harvest.
        """

    def has_marks(self) -> bool:
        """Whether a retired keeper may have something for `harvest_marks`."""
        return True

    def harvest_marks(self) -> DirtyLog:
        """`harvest` of a retired keeper, which has marks in software alone."""
        return self.harvest()

    def unreported(self) -> DirtyLog:
        """What harvests that gave up have left: told as the log ends, when nobody waits for it."""
        return self.nothing_dirty

    def close_with(self, close: Callable[..., object], *arguments: object) -> None:
        """Call `close` with the keeper, or when it is gone, but not at the interpreter's end.

        Daemon threads still harvest then, and the system closes all files itself.
        """
        finalizer = weakref.finalize(self, close, *arguments)
        finalizer.atexit = False
        self._closers.append(finalizer)

    def close(self) -> None:
        """Give back what it has of the system; nobody asks it for anything after that."""
        for close in self._closers:  # those that have been called do nothing
            close()


class OneByteKeeper(Keeper):
    """A keeper whose one byte a page, `writable`, is mark, protection and page table entry.

    Its harvests count only what they cannot do without: flushes, protect calls, protected pages.
    The rest follows, since each fault makes one page dirty, and each harvest takes all that are.
    """

    #: Words that a harvest looks at for each part that it finds dirty.
    _words_of_part: int

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        #: Pages that were dirty, and never reported because logging was switched off.
        self._dropped = 0
        self._stopped = False
        self._words_found_clean = 0

    @property
    def counters(self) -> Counters:
        counters = self._counters
        changed = counters.faults - self._dropped - (0 if self._stopped else self._still_dirty())
        counters.words_looked_at = (
            self._words_found_clean + self._words_of_part * counters.protect_calls
        )
        counters.clean_pages = counters.protected_pages - changed
        counters.entries_looked_at = counters.protected_pages
        counters.entries_changed = changed
        return counters

    def _still_dirty(self) -> int:
        """Pages that the next harvest would find."""
        flags = self.writable
        start = flags.find(1)  # a search costs a tenth of what counting does
        return flags.count(1, start, flags.rfind(1) + 1) if start >= 0 else 0

    def start(self) -> None:
        if not self._stopped:
            self._dropped += self._still_dirty()
        self._stopped = False

    def stop(self) -> None:
        if not self._stopped:
            self._dropped += self._still_dirty()
        self._stopped = True
        super().stop()
