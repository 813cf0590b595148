"""The shadow MMU of one slot: page tables whose entries are write-protected, looked at and counted.

What a dirty log's harvest costs in KVM is mostly page table entries. Emulated: a *shadow page*, a
table of 512 entries, for each 512 guest pages in which one was ever written; how many there are is
``n_used_mmu_pages``. An entry is writable or not; it is looked at by each call that protects its
page, and changed if it was writable. A walk over all tables looks at 512 entries a table, whatever
they map. All of it in counts (`Counters`), and in time as well: the bytes are looked at one after
the other, by C code, a call for many. What a call costs in the kernel is left out: in Python it
would be most of the time, so calls for one page each are carried out for a run of pages at once.

Not emulated: the levels above and their tables, reverse maps (the kernel finds a page's entry
through its rmap, some cache misses), large pages, several mappings of a page, tables that are given
back, and TLBs: data lands before the check, so a store that passed its check has nothing left to
do, and a flush is only counted.

Sources: arch/x86/kvm/mmu.c of Linux 3.3 and what the 2012 patch says of it.
"""

from __future__ import annotations

import threading
from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.atomic import atomic_words
from vgaemu.memslot.bitmap import WORD, WORD_PAGES, ffs, nonzero_words, word_count
from vgaemu.memslot.keeper import ALWAYS, Counters, Keeper
from vgaemu.memslot.log import DirtyLog, WordsLog

#: Entries of a table (PT64_ENT_PER_PAGE).
TABLE_ENTRIES = 512
#: Entries all protected, by their number: not made at each call, and assigned without a copy.
_PROTECTED = [bytearray(count) for count in range(TABLE_ENTRIES + 1)]


class ShadowPages:
    """The page tables of a slot of `npages` pages."""

    def __init__(self, npages: int, counters: Counters) -> None:
        tables = -(-npages // TABLE_ENTRIES)
        #: A byte an entry, 1 = writable: what the store path looks at. Whole tables.
        self.writable = bytearray(TABLE_ENTRIES * tables)
        self._npages = npages
        self._tables = bytearray(tables)
        self._counters = counters

    @property
    def n_used_mmu_pages(self) -> int:
        """Tables that exist."""
        return self._tables.count(1)

    def make_writable(self, page: int) -> None:
        """What a fault does: make the table if there is none, then the entry writable."""
        self._tables[page // TABLE_ENTRIES] = 1
        self.writable[page] = 1

    def make_range_writable(self, start: int, end: int) -> None:
        """The same for the pages `start` to `end` (exclusive)."""
        first, last = start // TABLE_ENTRIES, (end - 1) // TABLE_ENTRIES + 1
        self._tables[first:last] = b"\1" * (last - first)
        self.writable[start:end] = b"\1" * (end - start)

    def write_protect_pt_range(self, start: int, end: int) -> None:
        """kvm_mmu_write_protect_pt_range: one call for the pages `start` to `end`, inclusive."""
        self._write_protect(start, end + 1)
        self._counters.protect_calls += 1

    def write_protect_pages(self, base: int, bits: int) -> None:
        """The same with a call for each page whose bit is set, counted from page `base`."""
        self._counters.protect_calls += bits.bit_count()
        while bits:
            start = ffs(bits)
            run = bits >> start
            length = ffs(~run)
            self._write_protect(base + start, base + start + length)
            bits = run >> length << start + length

    def slot_remove_write_access(self) -> None:
        """kvm_mmu_slot_remove_write_access: one call that walks over all tables, and flushes."""
        self._counters.protect_calls += 1
        table = self._tables.find(1)
        while table >= 0:
            at = table * TABLE_ENTRIES
            self._write_protect(at, at + TABLE_ENTRIES)
            table = self._tables.find(1, table + 1)
        if self._tables[-1]:  # the slot may end in it
            self._counters.protected_pages -= len(self.writable) - self._npages
        self.flush_remote_tlbs()

    def _write_protect(self, start: int, end: int) -> None:
        """Look at entries, and make those that are writable read-only."""
        changed = self.writable.count(1, start, end)
        count = end - start
        self.writable[start:end] = _PROTECTED[count]
        counters = self._counters
        counters.protected_pages += count
        counters.entries_looked_at += count
        counters.entries_changed += changed

    def flush_remote_tlbs(self) -> None:
        """kvm_flush_remote_tlbs: every store that found its page writable has landed."""
        self._counters.flushes += 1

    def protect_everything(self) -> None:
        """As logging begins; the tables stay."""
        self.writable[:] = bytearray(len(self.writable))


class ShadowKeeper(Keeper):
    """What the kernel's schemes share: two bitmaps in one allocation, and the shadow MMU.

    A fault makes its page writable, then sets its bit, in one atomic step and without a lock: the
    order of KVM's own faults outside mmu_lock, and for the same reason. The other way round, a
    harvest in between would take the bit, and leave a page that is writable and not dirty. This way
    round it can only protect a page whose bit comes a moment later, which costs one fault more; so
    there is no telling from protection alone that nothing is dirty, and who asks has to look.
    """

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        self.mmu = ShadowPages(npages, self._counters)
        self.writable = self.mmu.writable
        self.maybe_dirty = ALWAYS
        #: Words of one bitmap; the allocation has two.
        self._n = word_count(npages)
        self._words = atomic_words(2 * self._n)
        #: Each of them, by the number of its first word.
        self._bitmaps = {
            first: self._words.array[first : first + self._n] for first in (0, self._n)
        }
        self._zeros = memoryview(bytes(8 * self._n)).cast("Q")
        self._mmu_lock = threading.Lock()

    def fault(self, page: int) -> None:
        self.mmu.make_writable(page)
        self._mark(page // WORD_PAGES, 1 << page % WORD_PAGES)
        self._counters.faults += 1

    def fault_range(self, start: int, end: int) -> None:
        self._counters.faults += self.writable.count(0, start, end)
        self.mmu.make_range_writable(start, end)
        for word in range(start // WORD_PAGES, (end - 1) // WORD_PAGES + 1):
            base = word * WORD_PAGES
            low, high = max(start - base, 0), min(end - base, WORD_PAGES)
            self._mark(word, (1 << high) - (1 << low))

    @abstractmethod
    def _mark(self, word: int, bits: int) -> None:
        """Set bits in a word of the bitmap that is marked now."""

    def _nonzero_words(self, first: int) -> list[int]:
        """Look at every word of the bitmap that begins at word `first`: which are not 0."""
        self._counters.words_looked_at += self._n
        return nonzero_words(self._bitmaps[first])

    def _clear(self, first: int) -> None:
        """``memset`` of the bitmap that begins at word `first`."""
        self._words.view[first : first + self._n] = self._zeros

    def _copy_out(self, first: int) -> DirtyLog:
        return WordsLog(self.npages, self._bitmaps[first].astype(WORD))

    def start(self) -> None:
        with self._mmu_lock:
            self._clear(0)
            self._clear(self._n)
            self.mmu.protect_everything()
