"""`srcu`: what the 2012 patch replaced. A second bitmap, published, and a grace period.

The scheme of Linux 3.3 (kvm_vm_ioctl_get_dirty_log, write_protect_slot in arch/x86/kvm/x86.c). A
fault marks the page in the bitmap of the memslots it finds published, and counts the pages dirty.
A harvest that finds none dirty does nothing more. Else it clears the other half of the slot's
allocation of two bitmaps, copies the memslots (kmemdup, which may fail: ENOMEM), gives the copy
that half and a count of 0, counts its generation, publishes it, and waits for a grace period
(``synchronize_srcu_expedited``): until every reader who may still hold the old memslots has left.
Then nobody marks in the old bitmap, and its pages are write-protected: by a call for each dirty
page if there are fewer of those than shadow pages, or else by a walk over all shadow pages. One
flush, and the old bitmap is copied out.

Readers hold SRCU for the whole handling of an exit, so a harvest waits for that: here for a guest's
slice (`Memslot.exit_section`), or for a fault outside of any. They are waited for as in Linux 3.3:
10 us, then one jiffy (1 ms) at a time. That is where milliseconds came from.

Emulated: all of that, with the marks and the MMU of `words`, so that only the scheme differs. Not
emulated: the interrupts. Before and after it turned the index, and after it had waited,
synchronize_srcu_expedited() made every CPU run a thread of highest priority for a moment
(synchronize_sched_expedited), with nobody to wait for as well; vCPUs were thrown out of their
guests for it. Here the interpreter orders memory, and the index is turned with a wait on both
sides instead. Two differences keep a window alive beside any guest: a thread is not made to wait
for its own section (the kernel would hang), and a harvest gives up after `PATIENCE_S`. Then it
reports nothing, and loses nothing: the next one goes on waiting for the same grace period.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import reduce
from operator import or_
from time import monotonic, perf_counter_ns, sleep

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import OutOfMemory
from vgaemu.memslot.bitmap import WORD_PAGES
from vgaemu.memslot.log import DirtyLog
from vgaemu.memslot.shadow import ShadowKeeper

#: KVM_MEM_SLOTS_NUM of Linux 3.3 on x86: 32 of the user's and 4 private ones.
MEM_SLOTS = 36
#: The slot that is kept; the others are there to be copied, as they were in the kernel.
SLOT = 0
#: First spun for, then slept repeatedly, one jiffy at HZ=1000: SYNCHRONIZE_SRCU_READER_DELAY and
#: schedule_timeout_interruptible(1) of kernel/srcu.c.
READER_DELAY_S, JIFFY_S = 10e-6, 1e-3
#: A harvest waits no longer than this for readers.
PATIENCE_S = 0.1


@dataclass(slots=True)
class Slot:
    """What of struct kvm_memory_slot matters here."""

    #: Word of the allocation (its first is dirty_bitmap_head) at which the bitmap begins.
    dirty_bitmap: int
    nr_dirty_pages: int = 0


@dataclass(slots=True)
class Memslots:
    """struct kvm_memslots: what is published."""

    generation: int
    slots: list[Slot]


def kmemdup(memslots: Memslots) -> Memslots:
    """A copy.

    Raises:
        MemoryError: There is no memory for it.
    """
    return Memslots(memslots.generation, memslots.slots.copy())


class Srcu:
    """Sleepable read-copy-update: readers that may be waited for, and never wait.

    A reader counts itself in and out in a pair of numbers of its own thread, which nobody else
    writes. A grace period turns new readers to the other number and waits until the old one is 0
    everywhere.
    """

    def __init__(self) -> None:
        self._index = 0
        self._readers: dict[int, list[int]] = {}
        #: A grace period is under way, and has turned the index.
        self._turned = False

    def read_lock(self) -> int:
        """Enter a read-side section; returns what `read_unlock` wants."""
        index = self._index
        thread = threading.get_ident()
        count = self._readers.get(thread) or self._readers.setdefault(thread, [0, 0])
        count[index] += 1
        return index

    def read_unlock(self, index: int) -> None:
        """Leave it, on the same thread."""
        self._readers[threading.get_ident()][index] -= 1

    def synchronize_srcu_expedited(self, deadline: float) -> bool:
        """Wait until every section of other threads that was entered before has been left.

        One caller at a time.

        Args:
            deadline: When to give up, by `time.monotonic`. The next call goes on where this one
                gave up, for what was published before the first.

        Returns:
            Whether the grace period is over.
        """
        if not self._turned:
            # A reader may have read the index before it was turned the last time and counted
            # itself in after: on the index that is about to be used again, and with what was
            # published then.
            if not self._wait(1 - self._index, deadline):
                return False
            self._index = 1 - self._index
            self._turned = True
        if not self._wait(1 - self._index, deadline):
            return False
        self._turned = False
        return True

    def _wait(self, index: int, deadline: float) -> bool:
        """Until nobody else is counted at `index`."""
        if not self._is_active(index):
            return True
        # udelay spins. A sleep would be longer, and let go of the interpreter: whoever was inside
        # would have left, and the jiffy that the kernel then slept for would never be seen.
        spun = monotonic() + READER_DELAY_S
        while monotonic() < spun:
            pass
        while self._is_active(index):
            if monotonic() >= deadline:
                return False
            sleep(JIFFY_S)
        return True

    def _is_active(self, index: int) -> bool:
        me = threading.get_ident()
        readers = list(self._readers.items())
        return any(count[index] for thread, count in readers if thread != me)


class SrcuKeeper(ShadowKeeper):
    """Two bitmaps in turn; the one that is read has been waited for."""

    name = "srcu"
    kmemdup = staticmethod(kmemdup)

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        self.srcu = Srcu()
        self.memslots = Memslots(0, [Slot(0) for _ in range(MEM_SLOTS)])
        #: The slot of the memslots replaced last, until its grace period is over.
        self._old: Slot | None = None
        self._retired = False

    def take_over(self) -> None:
        self._retired = False

    def retire(self) -> None:
        """No harvest waits for it any more; what it has comes when the grace period is over."""
        self._retired = True

    def has_marks(self) -> bool:
        return self._old is not None or self.memslots.slots[SLOT].nr_dirty_pages > 0

    def read_lock(self) -> int:
        return self.srcu.read_lock()

    def read_unlock(self, token: int) -> None:
        self.srcu.read_unlock(token)

    def fault(self, page: int) -> None:
        index = self.srcu.read_lock()
        try:
            super().fault(page)
        finally:
            self.srcu.read_unlock(index)

    def fault_range(self, start: int, end: int) -> None:
        index = self.srcu.read_lock()
        try:
            super().fault_range(start, end)
        finally:
            self.srcu.read_unlock(index)

    def _mark(self, word: int, bits: int) -> None:
        slot = self.memslots.slots[SLOT]
        before = self._words.fetch_or(slot.dirty_bitmap + word, bits)
        # As in the kernel, two who add at once may count one page less, but never none.
        slot.nr_dirty_pages += (bits & ~before).bit_count()

    def harvest(self) -> DirtyLog:
        """Raises `OutOfMemory` if the memslots cannot be copied; the log is as it was then."""
        deadline = monotonic() + (0.0 if self._retired else PATIENCE_S)
        log = self.nothing_dirty
        if self._old is not None:  # a harvest has given up
            log = self._harvest_old(self._old, deadline)
        slot = self.memslots.slots[SLOT]
        if self._old is not None or not slot.nr_dirty_pages:
            return log
        try:
            self._publish_a_clean_bitmap(slot)
        except OutOfMemory:
            if not log:
                raise
            return log  # the rest is the next harvest's
        return log | self._harvest_old(slot, deadline)

    def _publish_a_clean_bitmap(self, slot: Slot) -> None:
        dirty_bitmap_head = 0
        if slot.dirty_bitmap == dirty_bitmap_head:
            dirty_bitmap_head += self._n
        self._clear(dirty_bitmap_head)
        try:
            memslots = self.kmemdup(self.memslots)
        except MemoryError:
            raise OutOfMemory(
                "srcu: no memory for a copy of the memslots; nothing was harvested or lost"
            ) from None
        memslots.slots[SLOT] = Slot(dirty_bitmap_head)
        memslots.generation += 1
        self._old = slot
        self.memslots = memslots

    def _harvest_old(self, old: Slot, deadline: float) -> DirtyLog:
        """Wait for those who may mark in it, protect its pages, flush, and copy it out."""
        begin = perf_counter_ns()
        is_over = self.srcu.synchronize_srcu_expedited(deadline)
        self._counters.grace_period_ns += perf_counter_ns() - begin
        if not is_over:
            return self.nothing_dirty
        self._counters.grace_periods += 1
        self._old = None
        self._write_protect_slot(old)
        return self._copy_out(old.dirty_bitmap)

    def _write_protect_slot(self, old: Slot) -> None:
        with self._mmu_lock:
            if old.nr_dirty_pages < self.mmu.n_used_mmu_pages:
                for i in self._nonzero_words(old.dirty_bitmap):
                    bits = self._words.view[old.dirty_bitmap + i]
                    self.mmu.write_protect_pages(i * WORD_PAGES, bits)
                self.mmu.flush_remote_tlbs()
            else:
                before = self._counters.protected_pages
                self.mmu.slot_remove_write_access()
                covered = self._counters.protected_pages - before
                self._counters.clean_pages += covered - old.nr_dirty_pages

    def unreported(self) -> DirtyLog:
        slots = (self._old, self.memslots.slots[SLOT])
        marked = [slot for slot in slots if slot is not None and slot.nr_dirty_pages]
        return reduce(
            or_, [self._copy_out(slot.dirty_bitmap) for slot in marked], self.nothing_dirty
        )

    def start(self) -> None:
        super().start()
        self.memslots.slots[SLOT].nr_dirty_pages = 0
