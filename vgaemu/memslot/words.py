"""`words`: the 2012 patch to the letter. 64-bit words exchanged with 0 under a lock, ffs..fls.

Takuya Yoshikawa, "KVM: Switch to srcu-less get_dirty_log()" (2012, an early version): under
mmu_lock, for every non-zero word of the dirty bitmap, exchange the word with 0, store it in the
snapshot, and write-protect the pages from ``__ffs`` to ``__fls``; after the loop flush once if
anything was dirty; then hand the snapshot out. The merged commit 60c34612 walks the set bits of
each word instead: that is `pages`.

Python has no ``xchg``: read and clear are two steps, so marks take the same lock.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import WORD, WORD_PAGES, set_bits, word_count, word_span
from vgaemu.memslot.keeper import Keeper
from vgaemu.memslot.log import DirtyLog, WordsLog


class WordsKeeper(Keeper):
    """A bit a page in 64-bit words behind one lock."""

    name = "words"

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        self._bitmap = [0] * word_count(npages)
        self._mmu_lock = threading.Lock()

    def fault(self, page: int) -> None:
        with self._mmu_lock:
            self.writable[page] = 1
            self._bitmap[page // WORD_PAGES] |= 1 << page % WORD_PAGES
            self._counters.faults += 1

    def harvest(self) -> DirtyLog:
        bitmap = self._bitmap
        snapshot: list[int] | None = None
        with self._mmu_lock:
            for i, word in enumerate(bitmap):
                if not word:
                    continue
                bitmap[i] = 0
                if snapshot is None:
                    snapshot = [0] * len(bitmap)
                snapshot[i] = word
                self._protect_word(word, i)
        counters = self._counters
        counters.words_looked_at += len(bitmap)
        if snapshot is None:
            return self.nothing_dirty
        counters.exchanges += len(snapshot) - snapshot.count(0)
        # Whoever passed its check before the protection has landed its data: the lock was the wait.
        counters.flushes += 1
        return WordsLog(self.npages, np.array(snapshot, WORD))

    def _protect_word(self, word: int, index: int) -> None:
        """From the first dirty page to the last, the clean ones between them included."""
        start, end = word_span(word, index)
        self._protect(start, end)
        self._counters.protect_calls += 1
        self._count_protected(end - start, word.bit_count())

    def _protect(self, start: int, end: int) -> None:
        """One protect call, the same for every scheme."""
        self.writable[start:end] = bytes(end - start)

    def _count_protected(self, pages: int, dirty: int) -> None:
        counters = self._counters
        counters.protected_pages += pages
        counters.clean_pages += pages - dirty
        counters.entries_looked_at += pages
        counters.entries_changed += dirty

    def start(self) -> None:
        with self._mmu_lock:
            self._bitmap[:] = [0] * len(self._bitmap)
            self.writable[:] = bytes(len(self.writable))


class PagesKeeper(WordsKeeper):
    """`words` with one protect call for each dirty page: the kernel's ``for_each_set_bit``."""

    name = "pages"

    def _protect_word(self, word: int, index: int) -> None:
        for page in set_bits(word, index * WORD_PAGES):
            self._protect(page, page + 1)
        count = word.bit_count()
        self._counters.protect_calls += count
        self._count_protected(count, count)
