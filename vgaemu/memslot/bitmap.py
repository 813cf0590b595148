"""Arithmetic on dirty bitmaps: words, pages, spans. Pure functions and one immutable value.

The layout is KVM's (Documentation/virt/kvm/api.rst, KVM_GET_DIRTY_LOG): bit ``i`` of 64-bit
little-endian word ``w`` is page ``64 * w + i`` of the slot, the bitmap is ``8 * ceil(npages / 64)``
bytes long, and bits past the last page are 0.

A *span* is what Takuya Yoshikawa's 2012 patch write-protects for one word: the pages from
``__ffs(word)`` to ``__fls(word)``, clean pages in between included. Spans here are half-open page
ranges, and neighbours that touch are merged.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import or_
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
#: So few pages are found one by one sooner than by a look at all of a slot's flags.
FEW_PAGES = 32

#: One bitmap word, as KVM lays it out on every host.
WORD = np.dtype("<u8")

Words: TypeAlias = NDArray[np.uint64]
Span: TypeAlias = tuple[int, int]
#: Dirty parts of a large slot, ascending: number of the first page, one 0/1 byte a page. A part is
#: whole words of the bitmap and crosses no multiple of `PART_PAGES`; in each multiple there is one.
Parts: TypeAlias = list[tuple[int, bytes]]
SpanPages: TypeAlias = Literal[64, 32, 16, 8]


def ffs(word: int) -> int:
    """Number of the lowest set bit, counted from 0 (the kernel's ``__ffs``).

    Args:
        word: Any positive integer; undefined for 0, as in the kernel.

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


def spans_of_words(words: Words, word_pages: int = WORD_PAGES) -> list[Span]:
    """The seed's walk, word by word: one ffs..fls span for each non-zero word, merged.

    This is the plain form, against which tests hold `spans_of_flags` and `spans_of_pages`.

    Args:
        words: (n,) uint64 in KVM's layout.
        word_pages: Bits looked at as one word: 64 is the seed; 32, 16 and 8 cut clean pages out.
    """
    narrow = np.ascontiguousarray(words, WORD).view(f"<u{word_pages // 8}")
    return merge([word_span(int(narrow[i]), int(i), word_pages) for i in np.flatnonzero(narrow)])


def spans_of_flags(flags: bytes, word_pages: int = WORD_PAGES) -> list[Span]:
    """`spans_of_words` from one 0/1 byte a page: there `find` is ffs and `rfind` is fls.

    It costs a few searches a span, and unlike numpy's `nonzero` keeps the GIL: a display that asks
    for spans beside busy guest threads is not put off for a switch interval.

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
    """`spans_of_words` from the ascending numbers of the dirty pages.

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


class DirtyLog:
    """One answer of `get_dirty_log`: which pages were written since the answer before. Immutable.

    It keeps the form in which it was harvested (a run of pages, a byte a page, that for parts of
    the slot only, or words) and computes the others when asked. A log is true if any page is dirty.
    """

    __slots__ = ("_flags", "_parts", "_run", "_words", "npages")

    def __init__(
        self,
        npages: int,
        run: Span | None = None,
        flags: bytes | None = None,
        words: Words | None = None,
        parts: Parts | None = None,
    ) -> None:
        """Wrap one of the four forms; with none, the log is empty.

        Args:
            npages: Pages in the slot.
            run: All dirty pages, if they are one half-open range.
            flags: One byte a page, 0 or 1, padded with 0 to a multiple of 64.
            words: (word_count(npages),) uint64 in KVM's layout.
            parts: `flags` of the parts in which a page is dirty.
        """
        self.npages = npages
        if run is None and flags is None and words is None and parts is None:
            run = (0, 0)
        self._run = run
        self._flags = flags
        self._words = words
        self._parts = parts

    @property
    def words(self) -> Words:
        """(ceil(npages / 64),) uint64 in KVM's layout; treat it as read-only."""
        if self._words is None:
            if self._run is not None:
                self._words = words_of_run(*self._run, self.npages)
            elif self._parts is not None:
                self._words = words_of_parts(self._parts, self.npages)
            else:
                assert self._flags is not None
                self._words = words_of_flags(self._flags)
        return self._words

    def pages(self) -> NDArray[np.intp]:
        """Numbers of the dirty pages in the slot, ascending: (count,) intp."""
        if self._run is not None:
            return np.arange(*self._run)
        if self._parts is None:
            flags = self._as_flags()
            if flags.count(1) > FEW_PAGES:
                return np.flatnonzero(np.frombuffer(flags, np.uint8))
            pages, page = [], flags.find(1)
            while page >= 0:
                pages.append(page)
                page = flags.find(1, page + 1)
            return np.array(pages, np.intp)
        return np.concatenate(
            [first + np.flatnonzero(np.frombuffer(flags, np.uint8)) for first, flags in self._parts]
        )

    def spans(self, word_pages: int = WORD_PAGES) -> list[Span]:
        """What the seed write-protects and the display redraws: one ffs..fls span a word, merged.

        Args:
            word_pages: 64 (the seed), 32, 16 or 8 pages looked at as one word.
        """
        run = self._run
        if run is not None:
            return [run] if run[0] < run[1] else []
        if self._parts is None:
            return spans_of_flags(self._as_flags(), word_pages)
        spans: list[Span] = []
        for first, flags in self._parts:
            spans += [(first + a, first + b) for a, b in spans_of_flags(flags, word_pages)]
        return merge(spans)

    def _as_flags(self) -> bytes:
        return self._flags if self._flags is not None else flags_of_words(self.words)

    def _as_parts(self) -> Parts:
        if self._parts is not None:
            return self._parts
        if self._run is not None:
            return parts_of_run(*self._run)
        flags = self._as_flags()
        starts = range(0, len(flags), PART_PAGES)
        return [
            (i, flags[i : i + PART_PAGES]) for i in starts if flags.find(1, i, i + PART_PAGES) >= 0
        ]

    @property
    def count(self) -> int:
        """Number of dirty pages."""
        if self._run is not None:
            return self._run[1] - self._run[0]
        if self._flags is not None:
            return self._flags.count(1)
        if self._parts is not None:
            return sum(flags.count(1) for _, flags in self._parts)
        return int(np.bitwise_count(self.words).sum())

    def __bool__(self) -> bool:
        if self._run is not None:
            return self._run[0] < self._run[1]
        if self._flags is not None:
            return 1 in self._flags
        if self._parts is not None:
            return any(1 in flags for _, flags in self._parts)
        return bool(self.words.any())

    def __or__(self, other: DirtyLog) -> DirtyLog:
        """Pages dirty in either log of one slot."""
        if not other:
            return self
        if not self:
            return other
        a, b = self._run, other._run
        if a is not None and b is not None and a[0] <= b[1] and b[0] <= a[1]:
            return DirtyLog(self.npages, run=(min(a[0], b[0]), max(a[1], b[1])))
        if self.npages > LARGE_PAGES:
            return DirtyLog(self.npages, parts=union_of_parts(self._as_parts(), other._as_parts()))
        return DirtyLog(self.npages, words=self.words | other.words)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DirtyLog):
            return NotImplemented
        return self.npages == other.npages and np.array_equal(self.words, other.words)

    __hash__ = None  # type: ignore[assignment]  # compares by value, holds arrays

    def __repr__(self) -> str:
        return f"DirtyLog({self.count} of {self.npages} pages, spans={self.spans()})"


#: So few pages are added to others one by one: with cold caches, as at 60 harvests a second, that
#: saves 50 us.
ADDED_ONE_BY_ONE = 8


def union(logs: list[DirtyLog]) -> DirtyLog:
    """Pages dirty in any of some logs, at least one, of one slot. Keeps the interpreter.

    >>> union([DirtyLog(128, (3, 5)), DirtyLog(128, (100, 101))])
    DirtyLog(3 of 128 pages, spans=[(3, 5), (100, 101)])
    """
    npages = logs[0].npages
    if len(logs) == 1 or npages > LARGE_PAGES:
        return reduce(or_, logs)
    either = bytearray(WORD_PAGES * word_count(npages))
    either8 = np.frombuffer(either, np.uint64)
    for log in logs:
        if log._run is not None:
            start, end = log._run
            either[start:end] = b"\1" * (end - start)
            continue
        flags = log._as_flags()
        if flags.count(1) <= ADDED_ONE_BY_ONE:
            page = flags.find(1)
            while page >= 0:
                either[page] = 1
                page = flags.find(1, page + 1)
        else:
            flags8 = np.frombuffer(flags, np.uint64)
            for i in range(0, len(flags8), KEEPS_GIL):
                either8[i : i + KEEPS_GIL] |= flags8[i : i + KEEPS_GIL]
    return DirtyLog(npages, flags=bytes(either))
