"""The plain form of what the package does in a quicker way: an oracle."""

from __future__ import annotations

import numpy as np

from vgaemu.memslot.bitmap import WORD, WORD_PAGES, Span, Words, merge, word_span


def spans_of_words(words: Words, word_pages: int = WORD_PAGES) -> list[Span]:
    """The 2012 patch's walk, word by word: one ffs..fls span for each non-zero word, merged.

    Args:
        words: (n,) uint64 in KVM's layout.
        word_pages: Bits looked at as one word: 64, 32, 16 or 8.
    """
    narrow = np.ascontiguousarray(words, WORD).view(f"<u{word_pages // 8}")
    return merge([word_span(int(narrow[i]), int(i), word_pages) for i in np.flatnonzero(narrow)])
