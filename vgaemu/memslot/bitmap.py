"""Arithmetic on dirty bitmaps: words, flags, pages, spans. Pure functions.

The layout is KVM's (Documentation/virt/kvm/api.rst, KVM_GET_DIRTY_LOG): bit ``i`` of 64-bit
little-endian word ``w`` is page ``64 * w + i`` of the slot, the bitmap is ``8 * ceil(npages / 64)``
bytes long, and bits past the last page are 0.

A *span* is what Takuya Yoshikawa's 2012 patch write-protects for one word: the pages from
``__ffs(word)`` to ``__fls(word)``, clean pages in between included. Spans here are half-open page
ranges, and neighbours that touch are merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
WORD_PAGES = 64
#: Pages that one numpy call packs into bits. numpy lets go of the GIL above 500 elements (here
#: bytes of result), and whoever lets go of it beside busy threads gets it back milliseconds later.
PACK_PAGES = 60 * WORD_PAGES
#: uint64 elements a numpy call may touch and still keep the GIL (it lets go above 500).
KEEPS_GIL = 480
#: Pages of one part of a slot where only dirty parts are looked at: with a byte a page, as many
#: bytes as a page has.
PART_PAGES = 4096
#: Slots with more pages than these (256 MiB) are looked at by parts.
LARGE_PAGES = 1 << 16

#: One bitmap word, as KVM lays it out on every host.
WORD = np.dtype("<u8")

Words: TypeAlias = NDArray[np.uint64]
Span: TypeAlias = tuple[int, int]
#: Dirty parts of a large slot, ascending: number of the first page, one 0/1 byte a page. A part is
#: whole words of the bitmap and crosses no multiple of `PART_PAGES`; in each multiple there is one.
Parts: TypeAlias = list[tuple[int, bytes]]
SpanPages: TypeAlias = Literal[64, 32, 16, 8]


def ffs(word: int) -> int:
    """Number of the lowest set bit, counted from 0 (the kernel's ``__ffs``): undefined for 0.

    >>> ffs(0b1010_0000)
    5
    """
    return (word & -word).bit_length() - 1


def fls(word: int) -> int:
    """Number of the highest set bit, counted from 0 (the kernel's ``__fls``): inclusive.

    >>> fls(0b1010_0000)
    7
    """
    return word.bit_length() - 1


def set_bits(word: int, base: int = 0) -> Iterator[int]:
    """Numbers of the set bits, ascending, counted from `base` (``for_each_set_bit``).

    >>> list(set_bits(0b1010_0000, base=64))
    [69, 71]
    """
    while word:
        lowest = word & -word
        yield base + lowest.bit_length() - 1
        word ^= lowest


def word_span(word: int, word_index: int, word_pages: int = WORD_PAGES) -> Span:
    """Pages from the first to the last dirty bit of one non-zero bitmap word.

    The span also covers the clean pages *between* two dirty ones.

    >>> word_span(0b1010_0000, word_index=1)
    (69, 72)
    """
    base = word_index * word_pages
    return base + ffs(word), base + fls(word) + 1


def word_count(npages: int) -> int:
    """Words in the bitmap of a slot: ``ceil(npages / 64)``.

    >>> [word_count(n) for n in (1, 63, 64, 65, 129)]
    [1, 1, 1, 2, 3]
    """
    return -(-npages // WORD_PAGES)


def nonzero_words(words: Words) -> list[int]:
    """Look at every word: the numbers of those that are not 0, ascending. Keeps the GIL.

    >>> nonzero_words(np.array([0, 5, 0, 1], np.uint64))
    [1, 3]
    """
    if len(words) <= KEEPS_GIL:
        return words.nonzero()[0].tolist()
    found: list[int] = []
    for at in range(0, len(words), KEEPS_GIL):
        found += (words[at : at + KEEPS_GIL].nonzero()[0] + at).tolist()
    return found


def merge(spans: list[Span]) -> list[Span]:
    """Join ascending spans that touch or overlap.

    >>> merge([(0, 64), (64, 70), (128, 130)])
    [(0, 70), (128, 130)]
    """
    merged: list[Span] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def covered(first: int, last: int, spans: Sequence[Span]) -> bool:
    """Whether the first of `spans` has all pages from `first` to `last` (inclusive).

    >>> covered(2, 5, [(2, 6), (8, 9)]), covered(2, 5, [(2, 5), (5, 6)]), covered(2, 5, [])
    (True, False, False)
    """
    return bool(spans) and spans[0][0] <= first and last < spans[0][1]


def spans_of_flags(flags: bytes, word_pages: int = WORD_PAGES) -> list[Span]:
    """One ffs..fls span for each non-zero word, merged, from one 0/1 byte a page.

    There `find` is ffs and `rfind` is fls. It costs a few searches a span, and unlike numpy's
    `nonzero` keeps the GIL: a display that asks for spans beside busy guest threads is not put off
    for a switch interval.

    >>> spans_of_flags(bytes([0, 1, 0, 1, 0, 0, 0, 0, 0, 1]), word_pages=8)
    [(1, 4), (9, 10)]
    """
    spans: list[Span] = []
    start = flags.find(1)
    while start >= 0:
        clean = flags.find(0, start)
        end = clean if clean >= 0 else len(flags)
        # A run may fill words; the span goes on to the last dirty page of the run's last word.
        end = flags.rfind(1, end, -(-end // word_pages) * word_pages) + 1 or end
        if spans and spans[-1][1] == start:
            start = spans.pop()[0]
        spans.append((start, end))
        start = flags.find(1, end)
    return spans


def spans_of_pages(pages: NDArray[np.intp], word_pages: int = WORD_PAGES) -> list[Span]:
    """The same spans from the ascending numbers of the dirty pages.

    >>> spans_of_pages(np.array([5, 7, 63, 64, 200]))
    [(5, 65), (200, 201)]
    """
    if not len(pages):
        return []
    # A new span starts where the word changes, unless the two pages touch across the word's edge.
    word = pages // word_pages
    cut = np.flatnonzero((word[1:] != word[:-1]) & (pages[1:] != pages[:-1] + 1)) + 1
    first = pages[np.concatenate(([0], cut))].tolist()
    last = pages[np.concatenate((cut - 1, [len(pages) - 1]))].tolist()
    return [(a, b + 1) for a, b in zip(first, last, strict=True)]


def words_of_run(start: int, end: int, npages: int) -> Words:
    """Bitmap words with the pages ``start`` to ``end`` (exclusive) set: (n,) uint64, read-only."""
    bits = ((1 << (end - start)) - 1) << start
    return np.frombuffer(bits.to_bytes(8 * word_count(npages), "little"), WORD)


def words_of_flags(flags: bytes) -> Words:
    """Bitmap words from one 0/1 byte a page, a multiple of 64 of them: (n,) uint64."""
    pages = np.frombuffer(flags, np.uint8)
    if len(flags) <= PACK_PAGES:
        # Keywords would cost as much again as the call.
        return np.packbits(pages, None, "little").view(WORD)
    chunks = range(0, len(flags), PACK_PAGES)
    packed = [np.packbits(pages[i : i + PACK_PAGES], None, "little") for i in chunks]
    return np.concatenate(packed).view(WORD)


def words_of_parts(parts: Parts, npages: int) -> Words:
    """The whole bitmap from its dirty parts: (n,) uint64."""
    words = np.zeros(word_count(npages), WORD)
    for first, flags in parts:
        part = words_of_flags(flags)
        at = first // WORD_PAGES
        words[at : at + len(part)] = part[: len(words) - at]
    return words


def parts_of_run(start: int, end: int) -> Parts:
    """The pages `start` to `end` (exclusive) as parts of `PART_PAGES`."""
    parts: Parts = []
    for first in range(start // PART_PAGES * PART_PAGES, end, PART_PAGES):
        flags = bytearray(PART_PAGES)
        low, high = max(start - first, 0), min(end - first, PART_PAGES)
        flags[low:high] = b"\1" * (high - low)
        parts.append((first, bytes(flags)))
    return parts


def union_of_parts(a: Parts, b: Parts) -> Parts:
    """Pages in either."""
    union = {first // PART_PAGES: (first, flags) for first, flags in a}
    for first, flags in b:
        other = union.get(first // PART_PAGES)
        if other is not None:
            low = min(first, other[0])
            size = max(first + len(flags), other[0] + len(other[1])) - low
            either = 0
            for start, some in ((first, flags), other):
                either |= int.from_bytes(some, "little") << 8 * (start - low)
            first, flags = low, either.to_bytes(size, "little")
        union[first // PART_PAGES] = first, flags
    return [union[part] for part in sorted(union)]


def flags_of_words(words: Words) -> bytes:
    """One 0/1 byte a page, padded to a multiple of 64: the inverse of `words_of_flags`."""
    bitmap = np.ascontiguousarray(words, WORD).view(np.uint8)
    return np.unpackbits(bitmap, bitorder="little").tobytes()
