"""`srcu`: what the 2012 patch replaced. A second bitmap, published, and a grace period.

The scheme of Linux 3.3 (kvm_vm_ioctl_get_dirty_log, write_protect_slot in arch/x86/kvm/x86.c). A
fault marks the page in the bitmap of the memslots it finds published, and counts the pages dirty.
A harvest that finds none dirty does nothing more. Else it clears the slot's second bitmap, copies
the memslots, gives the copy that bitmap and a count of 0, publishes the copy, and waits for a grace
period: until every fault that may still hold the old memslots is over. Then nobody writes to the
old bitmap, and its pages are write-protected: each dirty page by itself, or, if there are at least
as many as are mapped, by a walk over all mapped pages. One flush, and the old bitmap is handed out.

Emulated: all of that, with the mark, protect and flush of `words`, so that only the scheme differs;
the readers of the grace period are guest threads inside a fault, counted per thread and waited for
as sleepable RCU does, with two indices. Not emulated: the interrupts that
synchronize_srcu_expedited() sent to every CPU even if nobody had to be waited for, most of its cost
in the kernel; nor shadow page tables: *mapped* is every page written since logging began.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import perf_counter_ns, sleep

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import WORD, WORD_PAGES, set_bits, word_count
from vgaemu.memslot.log import DirtyLog, WordsLog
from vgaemu.memslot.words import WordsKeeper

#: KVM_MEM_SLOTS_NUM of Linux 3.3 on x86: 32 of the user's and 4 private ones.
MEM_SLOTS = 36
#: The slot that is kept; the others are there to be copied, as they were in the kernel.
SLOT = 0


@dataclass(slots=True)
class _Slot:
    """What of struct kvm_memory_slot matters here."""

    dirty_bitmap: list[int]
    nr_dirty_pages: int = 0


class Srcu:
    """Sleepable read-copy-update: readers that may be waited for, and never wait.

    A reader counts itself in and out in a pair of numbers of its own thread, which nobody else
    writes. `synchronize` turns new readers to the other number and waits until the old one is 0
    everywhere.
    """

    def __init__(self) -> None:
        self._index = 0
        self._readers: dict[int, list[int]] = {}

    def read_lock(self) -> int:
        """Enter a read-side section; returns what `read_unlock` wants."""
        index = self._index
        thread = threading.get_ident()
        count = self._readers.get(thread) or self._readers.setdefault(thread, [0, 0])
        count[index] += 1
        return index

    def read_unlock(self, index: int) -> None:
        self._readers[threading.get_ident()][index] -= 1

    def synchronize(self) -> None:
        """Return when every section that was entered before the call has been left.

        One caller at a time.
        """
        # A reader may have read the index before it was turned the last time and counted itself in
        # after: on the index that is about to be used again, and with what was published then.
        self._wait(1 - self._index)
        self._index = 1 - self._index
        self._wait(1 - self._index)

    def _wait(self, index: int) -> None:
        while any(count[index] for count in list(self._readers.values())):
            sleep(0)


class SrcuKeeper(WordsKeeper):
    """Two bitmaps in turn; the one that is read has been waited for."""

    name = "srcu"

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        self._bitmaps = (self._bitmap, [0] * word_count(npages))
        self._memslots = [_Slot([]) for _ in range(MEM_SLOTS)]
        self._memslots[SLOT] = _Slot(self._bitmaps[0])
        #: One byte a page: written since logging began.
        self._mapped = bytearray(npages)
        self._nr_mapped = 0
        self.srcu = Srcu()

    def fault(self, page: int) -> None:
        word, bit = page // WORD_PAGES, 1 << page % WORD_PAGES
        index = self.srcu.read_lock()
        try:
            slot = self._memslots[SLOT]
            with self._mmu_lock:
                self.writable[page] = 1
                if not self._mapped[page]:
                    self._mapped[page] = 1
                    self._nr_mapped += 1
                if not slot.dirty_bitmap[word] & bit:
                    slot.dirty_bitmap[word] |= bit
                    slot.nr_dirty_pages += 1
                self._counters.faults += 1
        finally:
            self.srcu.read_unlock(index)

    def harvest(self) -> DirtyLog:
        old = self._memslots[SLOT]
        if not old.nr_dirty_pages:
            return self.nothing_dirty
        first, second = self._bitmaps
        fresh = second if old.dirty_bitmap is first else first
        fresh[:] = [0] * len(fresh)
        memslots = self._memslots.copy()
        memslots[SLOT] = _Slot(fresh)
        self._memslots = memslots
        begin = perf_counter_ns()
        self.srcu.synchronize()
        self._counters.grace_periods += 1
        self._counters.grace_period_ns += perf_counter_ns() - begin
        with self._mmu_lock:
            if old.nr_dirty_pages < self._nr_mapped:
                protected = old.nr_dirty_pages
                for i, word in enumerate(old.dirty_bitmap):
                    if word:
                        for page in set_bits(word, i * WORD_PAGES):
                            self._protect(page, page + 1)
            else:
                protected = self._protect_all()
        self._counters.words_looked_at += len(old.dirty_bitmap)
        self._counters.protect_calls += protected
        self._count_protected(protected, old.nr_dirty_pages)
        self._counters.flushes += 1
        return WordsLog(self.npages, np.array(old.dirty_bitmap, WORD))

    def _protect_all(self) -> int:
        """kvm_mmu_slot_remove_write_access: one mapped page after the other; returns how many."""
        count = 0
        page = self._mapped.find(1)
        while page >= 0:
            self._protect(page, page + 1)
            count += 1
            page = self._mapped.find(1, page + 1)
        return count

    def start(self) -> None:
        with self._mmu_lock:
            for bitmap in self._bitmaps:
                bitmap[:] = [0] * len(bitmap)
            self._memslots[SLOT].nr_dirty_pages = 0
            self._mapped[:] = bytes(self.npages)
            self._nr_mapped = 0
            self.writable[:] = bytes(len(self.writable))
