"""DirtyLog: what a harvest hands out. One small class for each form in which it is harvested.

A log stays in the form in which its keeper found it and computes the others when asked: a run of
pages (`RunLog`), one byte a page (`FlagsLog`), that for dirty parts of a large slot only
(`PartsLog`), or KVM's words (`WordsLog`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import MemslotError
from vgaemu.memslot import bitmap
from vgaemu.memslot.bitmap import KEEPS_GIL, PART_PAGES, WORD_PAGES, Parts, Span, Words, word_count

#: Up to so many dirty pages are found one by one sooner than by numpy's look at all flags.
MAX_FOUND_SINGLY = 32
#: Up to so many are added to other flags one by one: with cold caches, as at 60 harvests a second,
#: that saves 50 us.
MAX_ADDED_SINGLY = 8
#: Pages that may be looked at as one word: those that divide a word of the bitmap.
WIDTHS = (64, 32, 16, 8, 4, 2, 1)


def _check_width(word_pages: int) -> None:
    if word_pages not in WIDTHS:
        raise MemslotError(f"word_pages is 64, 32, 16, 8, 4, 2 or 1, not {word_pages!r}")


class DirtyLog(ABC):
    """One answer of `get_dirty_log`: which pages were written since the answer before. Immutable.

    Pages are numbered from the slot's first. ``len(log)`` is how many are dirty, ``page in log``
    asks for one, iteration gives them in ascending order, ``a | b`` has those of both, and a log is
    true if any page is dirty. Logs are equal if they say the same, in whatever form.
    """

    __slots__ = {"_words": None, "npages": "Pages in the slot."}
    _words: Words | None
    npages: int

    @property
    def words(self) -> Words:
        """(ceil(npages / 64),) uint64 in KVM's layout; treat it as read-only."""
        if self._words is None:
            self._words = self._pack()
        return self._words

    def _pack(self) -> Words:
        return bitmap.words_of_flags(self.flags)

    @property
    @abstractmethod
    def flags(self) -> bytes:
        """One byte a page, 0 or 1, padded with 0 to a multiple of 64; perhaps made at each look."""

    def mask(self) -> NDArray[np.bool_]:
        """Whether each page is dirty: (npages,) bool, read-only."""
        return np.frombuffer(self.flags, np.bool_)[: self.npages]

    def pages(self) -> NDArray[np.intp]:
        """Numbers of the dirty pages in the slot, ascending: (count,) intp."""
        flags = self.flags
        if flags.count(1) > MAX_FOUND_SINGLY:
            return np.flatnonzero(np.frombuffer(flags, np.uint8))
        pages, page = [], flags.find(1)
        while page >= 0:
            pages.append(page)
            page = flags.find(1, page + 1)
        return np.array(pages, np.intp)

    def spans(self, word_pages: int = WORD_PAGES) -> list[Span]:
        """What the 2012 patch write-protects and the display redraws: a span a word, merged.

        Args:
            word_pages: 64 (the 2012 patch), 32, 16, 8, ... or 1 page looked at as one word.

        Returns:
            Half-open page ranges, ascending, each from the first dirty page of a word to its last.

        Raises:
            MemslotError: A bitmap's word is not of so many.
        """
        _check_width(word_pages)
        return bitmap.spans_of_flags(self.flags, word_pages)

    def parts(self) -> Parts:
        """The dirty parts of the slot."""
        flags = self.flags
        starts = range(0, len(flags), PART_PAGES)
        return [
            (i, flags[i : i + PART_PAGES]) for i in starts if flags.find(1, i, i + PART_PAGES) >= 0
        ]

    def mark_in(self, flags: bytearray) -> None:
        """Set the dirty pages in one 0/1 byte a page, padded as `flags`. Keeps the GIL."""
        mine = self.flags
        if mine.count(1) <= MAX_ADDED_SINGLY:
            page = mine.find(1)
            while page >= 0:
                flags[page] = 1
                page = mine.find(1, page + 1)
            return
        theirs8, mine8 = np.frombuffer(flags, np.uint64), np.frombuffer(mine, np.uint64)
        for i in range(0, len(mine8), KEEPS_GIL):
            theirs8[i : i + KEEPS_GIL] |= mine8[i : i + KEEPS_GIL]

    def __len__(self) -> int:
        return self.flags.count(1)

    def __bool__(self) -> bool:
        return 1 in self.flags

    def __contains__(self, page: int) -> bool:
        return 0 <= page < self.npages and self.flags[page] == 1

    def __iter__(self) -> Iterator[int]:
        return iter(self.pages().tolist())

    def __or__(self, other: DirtyLog) -> DirtyLog:
        """Pages dirty in either log of one slot."""
        if not other:
            return self
        return union([self, other]) if self else other

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DirtyLog):
            return NotImplemented
        return self.npages == other.npages and np.array_equal(self.words, other.words)

    def __repr__(self) -> str:
        return f"DirtyLog({len(self)} of {self.npages} pages, spans={self.spans()})"


class RunLog(DirtyLog):
    """All pages from `start` to `end` (exclusive); without them, none.

    >>> log = RunLog(128, 3, 5)
    >>> len(log), 4 in log, list(log)
    (2, True, [3, 4])
    """

    __slots__ = ("end", "start")

    def __init__(self, npages: int, start: int = 0, end: int = 0) -> None:
        self.npages = npages
        self.start = start
        self.end = end
        self._words = None

    def _pack(self) -> Words:
        return bitmap.words_of_run(self.start, self.end, self.npages)

    @property
    def flags(self) -> bytes:
        flags = bytearray(WORD_PAGES * word_count(self.npages))
        self.mark_in(flags)
        return bytes(flags)

    def pages(self) -> NDArray[np.intp]:
        return np.arange(self.start, self.end)

    def spans(self, word_pages: int = WORD_PAGES) -> list[Span]:
        _check_width(word_pages)
        return [(self.start, self.end)] if self.start < self.end else []

    def parts(self) -> Parts:
        return bitmap.parts_of_run(self.start, self.end)

    def mark_in(self, flags: bytearray) -> None:
        flags[self.start : self.end] = b"\1" * (self.end - self.start)

    def __len__(self) -> int:
        return self.end - self.start

    def __bool__(self) -> bool:
        return self.start < self.end

    def __contains__(self, page: int) -> bool:
        return self.start <= page < self.end

    def __or__(self, other: DirtyLog) -> DirtyLog:
        """What is in it adds nothing; runs that touch are one run."""
        if isinstance(other, RunLog):
            if self.start <= other.start and other.end <= self.end:
                return self
            if self and other and self.start <= other.end and other.start <= self.end:
                return RunLog(self.npages, min(self.start, other.start), max(self.end, other.end))
        return super().__or__(other)


class FlagsLog(DirtyLog):
    """One byte a page, 0 or 1, padded with 0 to a multiple of 64."""

    __slots__ = ("flags",)
    flags: bytes

    def __init__(self, npages: int, flags: bytes) -> None:
        self.npages = npages
        self.flags = flags
        self._words = None


class WordsLog(DirtyLog):
    """(ceil(npages / 64),) uint64 in KVM's layout."""

    __slots__ = ()

    def __init__(self, npages: int, words: Words) -> None:
        self.npages = npages
        self._words: Words = words

    @property
    def flags(self) -> bytes:
        return bitmap.flags_of_words(self.words)

    def __len__(self) -> int:
        return int(np.bitwise_count(self.words).sum())

    def __bool__(self) -> bool:
        return bool(self.words.any())

    def __contains__(self, page: int) -> bool:
        word, bit = divmod(page, WORD_PAGES)
        return 0 <= word < len(self.words) and int(self.words[word]) >> bit & 1 == 1


class PartsLog(DirtyLog):
    """Flags of those parts of a large slot in which a page is dirty."""

    __slots__ = ("_parts",)

    def __init__(self, npages: int, parts: Parts) -> None:
        self.npages = npages
        self._parts = parts
        self._words = None

    def _pack(self) -> Words:
        return bitmap.words_of_parts(self._parts, self.npages)

    @property
    def flags(self) -> bytes:
        return bitmap.flags_of_words(self.words)

    def pages(self) -> NDArray[np.intp]:
        pages = [
            first + np.flatnonzero(np.frombuffer(flags, np.uint8)) for first, flags in self._parts
        ]
        return np.concatenate(pages) if pages else np.empty(0, np.intp)

    def spans(self, word_pages: int = WORD_PAGES) -> list[Span]:
        """Part by part; what touches across their edges is joined."""
        _check_width(word_pages)
        spans: list[Span] = []
        for first, flags in self._parts:
            spans += [(first + a, first + b) for a, b in bitmap.spans_of_flags(flags, word_pages)]
        return bitmap.merge(spans)

    def parts(self) -> Parts:
        return self._parts

    def __len__(self) -> int:
        return sum(flags.count(1) for _, flags in self._parts)

    def __bool__(self) -> bool:
        return any(1 in flags for _, flags in self._parts)

    def __contains__(self, page: int) -> bool:
        return any(
            first <= page < first + len(flags) and flags[page - first] == 1
            for first, flags in self._parts
        )


def log_of_flags(npages: int, flags: bytearray) -> DirtyLog:
    """What is 1 in one byte a page, padded as `DirtyLog.flags`, in the form that says it shortest.

    >>> log_of_flags(64, bytearray([0, 0, 0, 1, 1, *[0] * 59]))
    DirtyLog(2 of 64 pages, spans=[(3, 5)])
    """
    found = bytes(flags)  # others may set some meanwhile
    start, end = found.find(1), found.rfind(1) + 1
    if found.find(0, start, end) < 0:
        return RunLog(npages, start, end) if end else RunLog(npages)
    return FlagsLog(npages, found)


def union(logs: list[DirtyLog]) -> DirtyLog:
    """Pages dirty in any of some logs, at least one, of one slot. Keeps the GIL.

    >>> union([RunLog(128, 3, 5), RunLog(128, 100, 101)])
    DirtyLog(3 of 128 pages, spans=[(3, 5), (100, 101)])
    """
    if len(logs) == 1:
        return logs[0]
    npages = logs[0].npages
    if npages > bitmap.LARGE_PAGES:
        return PartsLog(npages, reduce(bitmap.union_of_parts, [log.parts() for log in logs]))
    either = bytearray(WORD_PAGES * word_count(npages))
    for log in logs:
        log.mark_in(either)
    return FlagsLog(npages, bytes(either))
