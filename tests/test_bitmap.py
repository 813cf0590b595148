"""Words, pages and spans: the forms of a dirty log agree with each other and with a plain walk."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import spans_of_words

from vgaemu.memslot.bitmap import (
    PACK_PAGES,
    Span,
    Words,
    ffs,
    flags_of_words,
    fls,
    merge,
    spans_of_flags,
    spans_of_pages,
    word_count,
    word_span,
    words_of_flags,
    words_of_run,
)
from vgaemu.memslot.log import DirtyLog, FlagsLog, RunLog, WordsLog

NPAGES = 300  # five words, the last one partial
WIDTHS = (64, 32, 16, 8)

page_sets = st.one_of(
    st.sets(st.integers(0, NPAGES - 1), max_size=8),
    st.sets(st.integers(0, NPAGES - 1)),
    st.tuples(st.integers(0, NPAGES), st.integers(0, NPAGES)).map(lambda ab: set(range(*ab))),
)
widths = st.sampled_from(WIDTHS)


def words_of(pages: set[int], npages: int = NPAGES) -> Words:
    """Bit by bit, as the kernel's documentation says."""
    words = [0] * word_count(npages)
    for page in pages:
        words[page // 64] |= 1 << page % 64
    return np.array(words, "<u8")


def flags_of(pages: set[int], npages: int = NPAGES) -> bytes:
    flags = bytearray(64 * word_count(npages))
    for page in pages:
        flags[page] = 1
    return bytes(flags)


def runs_of(pages: set[int]) -> list[Span]:
    return merge([(page, page + 1) for page in sorted(pages)])


def logs_of(pages: set[int]) -> list[DirtyLog]:
    """The same pages in every form that can hold them."""
    logs = [WordsLog(NPAGES, words_of(pages)), FlagsLog(NPAGES, flags_of(pages))]
    if len(runs_of(pages)) <= 1:
        logs.append(RunLog(NPAGES, *(runs_of(pages) or [(0, 0)])[0]))
    return logs


def plain_spans(pages: set[int], width: int) -> list[Span]:
    """One span a word from its lowest to its highest dirty page, then what touches is joined."""
    spans: list[Span] = []
    for start in range(0, 64 * word_count(NPAGES), width):
        inside = [page for page in pages if start <= page < start + width]
        if inside:
            spans.append((min(inside), max(inside) + 1))
    return merge(spans)


@pytest.mark.parametrize(
    ("word", "first", "last"),
    [
        (1, 0, 0),
        (1 << 63, 63, 63),
        (1 << 63 | 1, 0, 63),
        ((1 << 64) - 1, 0, 63),
        (0b1010_0000, 5, 7),
        (1 << 53 | 1 << 52, 52, 53),  # where a detour over float64 goes wrong
        ((1 << 63) - 1, 0, 62),
    ],
)
def test_ffs_and_fls(word: int, first: int, last: int) -> None:
    assert (ffs(word), fls(word)) == (first, last)
    assert word_span(word, 2) == (128 + first, 128 + last + 1)


def test_word_count_rounds_up() -> None:
    assert [word_count(n) for n in (1, 63, 64, 65, 128, 129, 2**18 + 3)] == [1, 1, 1, 2, 2, 3, 4097]


@given(page_sets, widths)
def test_spans_equal_the_plain_walk(pages: set[int], width: int) -> None:
    spans = plain_spans(pages, width)
    assert spans_of_words(words_of(pages), width) == spans
    assert spans_of_flags(flags_of(pages), width) == spans
    assert spans_of_pages(np.array(sorted(pages), np.intp), width) == spans
    for log in logs_of(pages):
        assert log.spans(width) == spans


@given(page_sets)
def test_spans_cover_every_dirty_page_and_narrower_words_cover_less(pages: set[int]) -> None:
    log = WordsLog(NPAGES, words_of(pages))
    covered = [{page for span in log.spans(width) for page in range(*span)} for width in WIDTHS]
    for wider, narrower in itertools.pairwise(covered):
        assert pages <= narrower <= wider


@given(page_sets)
def test_forms_agree(pages: set[int]) -> None:
    for log in logs_of(pages):
        assert log.pages().tolist() == sorted(pages)
        assert log.pages().dtype == np.intp
        assert len(log) == len(pages)
        assert list(log) == sorted(pages)
        assert [page for page in range(-64, NPAGES + 64) if page in log] == sorted(pages)
        assert log.mask().dtype == np.bool_
        assert log.mask().shape == (NPAGES,)
        assert log.mask().nonzero()[0].tolist() == sorted(pages)
        assert bool(log) == bool(pages)
        assert log.words.tobytes() == words_of(pages).tobytes()
        assert log.words.dtype.itemsize == 8
        for other in logs_of(pages):
            assert log == other


@given(page_sets, page_sets)
def test_or_is_union(a: set[int], b: set[int]) -> None:
    for left in logs_of(a):
        for right in logs_of(b):
            both = left | right
            assert both.pages().tolist() == sorted(a | b)
            assert (left == right) == (a == b)
    assert all(log.pages().tolist() == sorted(a) for log in logs_of(a))  # operands stay


def test_logs_of_different_slots_differ() -> None:
    assert RunLog(64, 0, 1) != RunLog(65, 0, 1)
    assert RunLog(64) != 0


@pytest.mark.parametrize("npages", [1, 63, 64, 65, PACK_PAGES, PACK_PAGES + 1, 9000])
def test_words_and_flags_are_inverse(npages: int) -> None:
    pages = set(np.random.default_rng(npages).integers(0, npages, npages // 2 + 1).tolist())
    flags = flags_of(pages, npages)
    assert words_of_flags(flags).tobytes() == words_of(pages, npages).tobytes()
    assert flags_of_words(words_of(pages, npages)) == flags


@pytest.mark.parametrize("run", [(0, 1), (0, 129), (63, 65), (64, 64), (128, 129)])
def test_words_of_run(run: Span) -> None:
    assert words_of_run(*run, 129).tobytes() == words_of(set(range(*run)), 129).tobytes()


def test_bytes_on_the_wire_are_little_endian() -> None:
    log = FlagsLog(65, flags_of({0, 9, 64}, 65))
    assert log.words.tobytes() == bytes([1, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
    assert log.words.dtype.newbyteorder("=") == np.uint64
    assert sys.byteorder == "big" or log.words.tolist() == [0x201, 1]


def test_repr_tells_the_pages() -> None:
    assert repr(RunLog(64, 3, 5)) == "DirtyLog(2 of 64 pages, spans=[(3, 5)])"
