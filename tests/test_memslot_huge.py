"""Slots looked at by parts: 256 GiB of them reserved, and logs that hold only what is dirty."""

from __future__ import annotations

import statistics
import sys
from time import perf_counter_ns

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import spans_of_words

from vgaemu.memslot import PAGE_SIZE, Memslot, MemslotError
from vgaemu.memslot.bitmap import LARGE_PAGES, PART_PAGES, Parts
from vgaemu.memslot.log import DirtyLog, PartsLog, RunLog, WordsLog
from vgaemu.memslot.sparse import SparseKeeper

HUGE_PAGES = 1 << 26
#: More than LARGE_PAGES, and the last part and the last word are not whole.
NPAGES = LARGE_PAGES + PART_PAGES + 67


@pytest.fixture(scope="module")
def huge() -> Memslot:
    try:
        return Memslot(HUGE_PAGES)
    except MemslotError as error:
        pytest.skip(str(error))


def touch(slot: Memslot, *pages: int) -> None:
    for page in pages:
        slot.write(page * PAGE_SIZE + 9, b"x")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_reserved_not_allocated(huge: Memslot) -> None:
    touch(huge, 0, HUGE_PAGES - 1)
    with open("/proc/self/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    assert resident < 4 << 20  # KiB, of 256 << 20
    assert huge.get_dirty_log().pages().tolist() == [0, HUGE_PAGES - 1]


def test_the_answer_is_sparse_and_the_bitmap_dense(huge: Memslot) -> None:
    pages = [0, 63, 4095, 4096, 12345678, HUGE_PAGES - 1]
    touch(huge, *pages)
    log = huge.get_dirty_log()
    assert log.pages().tolist() == pages
    assert (len(log), bool(log)) == (len(pages), True)
    assert log.spans() == [
        (0, 64), (4095, 4097), (12345678, 12345679), (HUGE_PAGES - 1, HUGE_PAGES),
    ]  # fmt: skip
    words = log.words
    assert words.nbytes == HUGE_PAGES // 8
    assert np.flatnonzero(words).tolist() == sorted({page // 64 for page in pages})
    assert not huge.get_dirty_log()


def test_two_readers_of_a_huge_slot(huge: Memslot) -> None:
    reader = huge.subscribe()
    for pages in ([5, 1 << 25], [6, 70], [1 << 25]):
        touch(huge, *pages)
        assert huge.get_dirty_log().pages().tolist() == pages
    log = reader.get_dirty_log()
    assert log.pages().tolist() == [5, 6, 70, 1 << 25]
    assert log.words[0] == 0b1100000
    reader.close()


def test_an_idle_huge_slot_costs_what_a_small_one_does(huge: Memslot) -> None:
    huge.get_dirty_log()
    small = Memslot(64)
    times: dict[Memslot, list[int]] = {huge: [], small: []}
    for _ in range(1001):
        for slot, mine in times.items():
            begin = perf_counter_ns()
            slot.get_dirty_log()
            mine.append(perf_counter_ns() - begin)
    assert statistics.median(times[huge]) <= 5 * statistics.median(times[small])


def test_large_slots_are_kept_by_parts() -> None:
    assert not isinstance(Memslot(LARGE_PAGES).keeper, SparseKeeper)
    assert isinstance(Memslot(LARGE_PAGES + 1).keeper, SparseKeeper)


def test_it_protects_from_the_first_to_the_last_dirty_page_of_a_part() -> None:
    slot = Memslot(3 * PART_PAGES, dirty_log="sparse")
    touch(slot, 70, 200, PART_PAGES + 5)
    slot.get_dirty_log()
    counters = slot.counters
    assert (counters.faults, counters.protect_calls, counters.flushes) == (3, 2, 1)
    assert counters.protected_pages == (256 - 64) + 64
    assert slot.keeper.writable.find(1) < 0


# --- logs by parts --------------------------------------------------------------------------------


def parts_of(pages: set[int]) -> Parts:
    """As `sparse` hands them out: whole words from the first dirty page to the last of a part."""
    parts: Parts = []
    for first in range(0, NPAGES, PART_PAGES):
        mine = [page for page in pages if first <= page < first + PART_PAGES]
        if mine:
            start, end = min(mine) // 64 * 64, (max(mine) // 64 + 1) * 64
            parts.append((start, bytes(page in pages for page in range(start, end))))
    return parts


page_sets = st.sets(
    st.one_of(
        st.integers(0, NPAGES - 1),
        st.integers(PART_PAGES - 70, PART_PAGES + 70),
        st.integers(NPAGES - 70, NPAGES - 1),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(page_sets, st.sampled_from([64, 32, 16, 8]))
def test_parts_say_what_words_say(pages: set[int], word_pages: int) -> None:
    log = PartsLog(NPAGES, parts_of(pages))
    assert log.pages().tolist() == sorted(pages)
    assert len(log) == len(pages)
    assert list(log) == sorted(pages)
    assert all(page in log for page in pages)
    assert not any(page in log for page in {-1, NPAGES, *(page + 1 for page in pages)} - pages)
    assert log.mask().shape == (NPAGES,)
    assert log.mask().nonzero()[0].tolist() == sorted(pages)
    assert log.spans(word_pages) == spans_of_words(log.words, word_pages)
    plain = WordsLog(NPAGES, log.words)
    assert log == plain
    assert plain.pages().tolist() == sorted(pages)


@settings(max_examples=60, deadline=None)
@given(page_sets, page_sets, st.sampled_from(["parts", "words", "run"]))
def test_the_union_of_parts(a: set[int], b: set[int], form: str) -> None:
    one = PartsLog(NPAGES, parts_of(a))
    if form == "run":
        start, end = min(b), max(b) + 1
        b = set(range(start, end))
        other: DirtyLog = RunLog(NPAGES, start, end)
    else:
        other = PartsLog(NPAGES, parts_of(b))
        if form == "words":
            other = WordsLog(NPAGES, other.words)
    for union in (one | other, other | one):
        assert union.pages().tolist() == sorted(a | b)
        assert len(union) == len(a | b)
        assert union.words.tobytes() == (one.words | other.words).tobytes()
