"""`words`: the 2012 patch to the letter. 64-bit words exchanged with 0 under a lock, ffs..fls.

Takuya Yoshikawa, "KVM: Switch to srcu-less get_dirty_log()" (2012, an early version): clear the
second half of the bitmap's allocation; under mmu_lock, for every non-zero word of the first half,
exchange the word with 0, store it in the second half, and write-protect the pages from ``__ffs`` to
``__fls``; flush once if anything was dirty; let go of the lock; copy the second half out. Nothing
is left out when nothing is dirty. The merged commit 60c34612 protects the set bits of each word
instead of the span: that is `pages`.

Emulated: all of that, with a real exchange where there is one (`vgaemu.memslot.atomic`), and the
MMU of `vgaemu.memslot.shadow`. Marks do not take the lock. Not to the letter: the copy of an idle
slot, n zero bytes, is the log of nothing that all readers share. `docs/the-patch.md` walks through
the patch and tells of every difference.
"""

from __future__ import annotations

from vgaemu.memslot.bitmap import WORD_PAGES, ffs, fls, nonzero_words
from vgaemu.memslot.log import DirtyLog
from vgaemu.memslot.shadow import ShadowKeeper


class WordsKeeper(ShadowKeeper):
    """A bit a page in 64-bit words; the second half of their allocation is the snapshot."""

    name = "words"

    def _mark(self, word: int, bits: int) -> None:
        self._words.fetch_or(word, bits)

    def harvest(self) -> DirtyLog:
        buffer, xchg, view = self._n, self._words.exchange, self._words.view
        self._clear(buffer)
        with self._mmu_lock:
            dirty = self._nonzero_words(0)
            for i in dirty:
                # The four steps, for each bit: 1. take a snapshot and clear ...
                bits = view[buffer + i] = xchg(i, 0)
                # ... 2. write-protect ...
                self._protect(i * WORD_PAGES, bits)
            if dirty:
                # ... 3. flush ...
                self.mmu.flush_remote_tlbs()
        if not dirty:
            return self.nothing_dirty
        self._counters.exchanges += len(dirty)
        # ... 4. copy the snapshot.
        return self._copy_out(buffer)

    def has_marks(self) -> bool:
        return bool(nonzero_words(self._bitmaps[0]))

    def _protect(self, base: int, bits: int) -> None:
        """From the first dirty page to the last, the clean ones between them included."""
        start, end = base + ffs(bits), base + fls(bits)
        self.mmu.write_protect_pt_range(start, end)
        self._counters.clean_pages += end + 1 - start - bits.bit_count()


class PagesKeeper(WordsKeeper):
    """`words` with one protect call for each dirty page: the kernel's ``for_each_set_bit``."""

    name = "pages"

    def _protect(self, base: int, bits: int) -> None:
        self.mmu.write_protect_pages(base, bits)
