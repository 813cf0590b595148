"""The kernel's schemes in their own units: what they look at and change equals a formula.

Both ways of the predecessor, which compares dirty pages with page tables of 512 entries, and both
of the patch: a span for each word, and a call for each set bit as merged.
"""

from __future__ import annotations

import errno
import math
import threading
from collections.abc import Callable
from time import sleep

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgaemu.errors import OutOfMemory
from vgaemu.memslot import KVM_MEM_LOG_DIRTY_PAGES, PAGE_SIZE, Counters, Memslot, Vm, shadow, srcu
from vgaemu.memslot.atomic import AtomicWords, LockedWords, atomic_words
from vgaemu.memslot.shadow import ShadowKeeper
from vgaemu.memslot.srcu import Srcu, SrcuKeeper

#: Four whole tables, and a fifth of which the slot has 100 pages; 34 words and a bit.
NPAGES = 4 * 512 + 100
WORDS = 34
SCHEMES = ("words", "pages", "srcu")
#: Dirty pages by how they lie.
PATTERNS: dict[str, list[int]] = {
    "one": [700],
    "as many as tables": [0, 1, 2, 3, 2147],
    "one fewer": [0, 1, 2, 3],
    "contiguous": [*range(60, 700)],
    "ends of words": [0, 63, 64, 127, 512, 575],
    "clustered": [*range(64, 72), *range(1000, 1008)],
    "scattered": [*range(0, NPAGES, 7)],
    "all": [*range(NPAGES)],
}


def touch(slot: Memslot, pages: list[int]) -> None:
    for page in pages:
        slot.write(page * PAGE_SIZE + 9, b"x")


def keeper_of(slot: Memslot) -> ShadowKeeper:
    assert isinstance(slot.keeper, ShadowKeeper)
    return slot.keeper


def mapped_slot(scheme: str) -> Memslot:
    """Each page was written once, so that every table is there; nothing is dirty."""
    slot = Memslot(NPAGES, dirty_log=scheme)
    slot.mark_dirty(0, slot.nbytes)
    assert len(slot.get_dirty_log()) == NPAGES
    assert keeper_of(slot).mmu.n_used_mmu_pages == 5
    return slot


def work(counters: Counters, act: Callable[[], object]) -> Counters:
    """What `act` adds, without faults and time."""
    names = [name for name in Counters.__slots__ if name not in ("faults", "grace_period_ns")]
    before = [getattr(counters, name) for name in names]
    act()
    after = [getattr(counters, name) for name in names]
    return Counters(**{name: b - a for name, a, b in zip(names, before, after, strict=True)})


def expected(scheme: str, pages: list[int], tables: int) -> Counters:
    """The formula."""
    count = len(pages)
    by_word: dict[int, list[int]] = {}
    for page in pages:
        by_word.setdefault(page // 64, []).append(page)
    span = sum(word[-1] - word[0] + 1 for word in by_word.values())
    if scheme == "words":
        return Counters(0, WORDS, len(by_word), len(by_word), span, span - count, span, count, 1)
    if scheme == "pages":
        return Counters(0, WORDS, len(by_word), count, count, 0, count, count, 1)
    if count < tables:
        return Counters(0, WORDS, 0, count, count, 0, count, count, 1, 1)
    return Counters(0, 0, 0, 1, NPAGES, NPAGES - count, 512 * tables, count, 1, 1)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_harvests_work_equals_the_formula(scheme: str, pattern: str) -> None:
    slot = mapped_slot(scheme)
    pages = PATTERNS[pattern]
    touch(slot, pages)
    found: list[int] = []
    done = work(slot.counters, lambda: found.extend(slot.get_dirty_log()))
    assert found == pages
    assert done == expected(scheme, pages, 5)
    assert 1 not in keeper_of(slot).writable


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, NPAGES - 1), min_size=1), st.sampled_from(SCHEMES))
def test_any_pages_equal_the_formula(dirty: set[int], scheme: str) -> None:
    slot = mapped_slot(scheme)
    pages = sorted(dirty)
    touch(slot, pages)
    assert work(slot.counters, slot.get_dirty_log) == expected(scheme, pages, 5)


def test_the_predecessor_counts_page_tables_not_pages() -> None:
    slot = Memslot(NPAGES, dirty_log="srcu")
    mmu = keeper_of(slot).mmu
    touch(slot, [5, 60, 130])  # three pages of one table: more than there are tables
    assert mmu.n_used_mmu_pages == 1
    done = work(slot.counters, slot.get_dirty_log)
    assert (done.protect_calls, done.entries_looked_at, done.entries_changed) == (1, 512, 3)
    assert (done.protected_pages, done.clean_pages) == (512, 509)
    touch(slot, [511, 512, 2147])
    assert mmu.n_used_mmu_pages == 3
    slot.get_dirty_log()
    touch(slot, [511, 512])  # fewer
    done = work(slot.counters, slot.get_dirty_log)
    assert (done.protect_calls, done.entries_looked_at, done.entries_changed) == (2, 2, 2)


@pytest.mark.parametrize("npages", [1, 64, 512, 513])
def test_a_table_is_there_from_its_first_write_on(npages: int) -> None:
    for whole in (False, True):
        slot = Memslot(npages, dirty_log="words")
        mmu = keeper_of(slot).mmu
        assert mmu.n_used_mmu_pages == 0
        if whole:
            slot.mark_dirty(0, slot.nbytes)
            assert mmu.n_used_mmu_pages == -(-npages // 512)
        else:
            touch(slot, [npages - 1])
            assert mmu.n_used_mmu_pages == 1
        before = mmu.n_used_mmu_pages
        slot.get_dirty_log()
        slot.logging = False
        slot.logging = True
        assert mmu.n_used_mmu_pages == before


@pytest.mark.parametrize("npages", [64, 1 << 18])
def test_idle_costs_the_patch_a_look_at_every_word(npages: int) -> None:
    slot = Memslot(npages, dirty_log="words")
    assert work(slot.counters, slot.get_dirty_log) == Counters(words_looked_at=npages // 64)
    assert slot.get_dirty_log() is slot.nothing_dirty
    for other in ("flags", "srcu"):
        slot = Memslot(npages, dirty_log=other)
        assert work(slot.counters, slot.get_dirty_log) == Counters()


def test_both_bitmaps_lie_in_one_allocation_and_take_turns() -> None:
    slot = Memslot(NPAGES, dirty_log="srcu")
    keeper = slot.keeper
    assert isinstance(keeper, SrcuKeeper)
    for generation, page in enumerate((3, 70, 3, 3)):
        memslots = keeper.memslots
        assert (memslots.generation, memslots.slots[0].dirty_bitmap) == (
            generation,
            generation % 2 * (WORDS),
        )
        touch(slot, [page])
        assert memslots.slots[0].nr_dirty_pages == 1
        assert list(slot.get_dirty_log()) == [page]
        assert keeper.memslots is not memslots
    before = keeper.memslots
    assert not slot.get_dirty_log()
    assert keeper.memslots is before  # nothing dirty: nothing published


# --- no memory for the copy -----------------------------------------------------------------------


def out_of_memory(memslots: srcu.Memslots) -> srcu.Memslots:
    raise MemoryError


def test_a_failed_allocation_leaves_the_log_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    vm = Vm(dirty_log="srcu")
    slot = vm.set_user_memory_region(0, 0, NPAGES * PAGE_SIZE, KVM_MEM_LOG_DIRTY_PAGES)
    assert slot is not None
    touch(slot, [1, 700])
    bitmap = np.zeros(WORDS, np.uint64)
    with monkeypatch.context() as patch:
        patch.setattr(SrcuKeeper, "kmemdup", staticmethod(out_of_memory))
        with pytest.raises(OutOfMemory, match="no memory for a copy of the memslots"):
            slot.get_dirty_log()
        with pytest.raises(OSError, match="no memory for a copy") as raised:
            vm.get_dirty_log(0, bitmap)
        assert raised.value.errno == errno.ENOMEM
        assert not bitmap.any()
        touch(slot, [2])
    assert slot.counters.grace_periods == 0
    vm.get_dirty_log(0, bitmap)
    assert bitmap[0] == 0b110
    assert np.flatnonzero(bitmap).tolist() == [0, 700 // 64]


# --- readers hold SRCU for the handling of an exit ------------------------------------------------


class Guest:
    """A thread inside an exit's section until it is let go."""

    def __init__(self, slot: Memslot, page: int) -> None:
        self._slot, self._page = slot, page
        self._inside, self._leave = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._inside.wait(10)

    def _run(self) -> None:
        with self._slot.exit_section():
            touch(self._slot, [self._page])
            self._inside.set()
            self._leave.wait(10)

    def leave(self) -> None:
        self._leave.set()
        self._thread.join()


@pytest.mark.parametrize("scheme", ["flags", "sparse", "words", "pages"])
def test_nobody_else_waits_for_an_exit(scheme: str) -> None:
    slot = Memslot(NPAGES, dirty_log=scheme)
    guest = Guest(slot, 3)
    assert list(slot.get_dirty_log()) == [3]
    guest.leave()


def test_a_grace_period_lasts_until_the_exit_is_handled() -> None:
    slot = Memslot(NPAGES, dirty_log="srcu")
    guest = Guest(slot, 3)
    harvested = threading.Event()

    def harvest() -> None:
        while not found:  # on a busy machine it may give up once more
            found.extend(slot.get_dirty_log())
        harvested.set()

    found: list[int] = []
    reader = threading.Thread(target=harvest)
    reader.start()
    assert not harvested.wait(0.02)
    guest.leave()
    assert harvested.wait(10)
    reader.join()
    assert found == [3]


def test_a_harvest_gives_up_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srcu, "PATIENCE_S", 0.0)
    slot = Memslot(NPAGES, dirty_log="srcu")
    keeper = slot.keeper
    assert isinstance(keeper, SrcuKeeper)
    guest = Guest(slot, 3)
    assert not slot.get_dirty_log()
    touch(slot, [3, 600])  # 3 is writable still; 600 is marked in what was published since
    assert not slot.get_dirty_log()
    assert keeper.memslots.generation == 1  # waiting for the same grace period
    assert slot.counters.grace_periods == 0
    guest.leave()
    assert list(slot.get_dirty_log()) == [3, 600]
    assert (keeper.memslots.generation, slot.counters.grace_periods) == (2, 2)
    assert not slot.get_dirty_log()


@pytest.mark.parametrize("scheme", ["srcu", "srcu+words"])
def test_a_slot_that_closes_tells_what_it_waited_for(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(srcu, "PATIENCE_S", 0.0)
    slot = Memslot(NPAGES, dirty_log=scheme)
    reader = slot.subscribe()
    guest = Guest(slot, 3)
    slot.get_dirty_log()
    touch(slot, [600])
    slot.close()
    guest.leave()
    assert list(reader.get_dirty_log()) == [3, 600]
    assert reader.get_dirty_log() is slot.nothing_dirty


def test_no_memory_loses_nothing_that_another_harvest_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(srcu, "PATIENCE_S", 0.0)
    slot = Memslot(NPAGES, dirty_log="srcu")
    guest = Guest(slot, 3)
    assert not slot.get_dirty_log()  # has given up
    touch(slot, [600])
    guest.leave()
    with monkeypatch.context() as patch:
        patch.setattr(SrcuKeeper, "kmemdup", staticmethod(out_of_memory))
        assert list(slot.get_dirty_log()) == [3]  # what needs no memory any more
        slot.keep_with("words")
        touch(slot, [700])
        assert list(slot.get_dirty_log()) == [700]
    assert list(slot.get_dirty_log()) == [600]


def test_a_slot_that_closes_without_memory_tells_what_is_marked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slot = Memslot(NPAGES, dirty_log="srcu")
    touch(slot, [3])
    monkeypatch.setattr(SrcuKeeper, "kmemdup", staticmethod(out_of_memory))
    slot.close()
    assert list(slot.get_dirty_log()) == [3]


def test_logging_off_and_on_under_a_given_up_grace_period(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srcu, "PATIENCE_S", 0.0)
    slot = Memslot(NPAGES, dirty_log="srcu")
    guest = Guest(slot, 3)
    assert not slot.get_dirty_log()
    slot.logging = False
    slot.logging = True
    touch(slot, [4])
    assert not slot.get_dirty_log()
    guest.leave()
    assert list(slot.get_dirty_log()) == [4]


def test_a_thread_does_not_wait_for_its_own_exit() -> None:
    slot = Memslot(NPAGES, dirty_log="srcu")
    with slot.exit_section(), slot.exit_section():
        touch(slot, [3])
        assert list(slot.get_dirty_log()) == [3]
    readers = keeper_of(slot)
    assert isinstance(readers, SrcuKeeper)
    assert readers.srcu.synchronize_srcu_expedited(math.inf)


def test_a_section_is_left_when_the_slice_fails() -> None:
    slot = Memslot(NPAGES, dirty_log="srcu")
    keeper = slot.keeper
    assert isinstance(keeper, SrcuKeeper)

    def failing_slice() -> None:
        with pytest.raises(ZeroDivisionError), slot.exit_section():
            raise ZeroDivisionError

    thread = threading.Thread(target=failing_slice)
    thread.start()
    thread.join()
    assert keeper.srcu.synchronize_srcu_expedited(0.0)


def test_who_enters_after_a_harvest_gave_up_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(srcu, "PATIENCE_S", 0.0)
    slot = Memslot(NPAGES, dirty_log="srcu")
    first = Guest(slot, 3)
    assert not slot.get_dirty_log()
    later = Guest(slot, 3)
    first.leave()
    assert list(slot.get_dirty_log()) == [3]
    later.leave()


def test_each_grace_period_waits_for_those_inside_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srcu, "PATIENCE_S", 0.0)
    slot = Memslot(NPAGES, dirty_log="srcu")
    for page in range(4):
        guest = Guest(slot, page)
        assert not slot.get_dirty_log()
        guest.leave()
        assert list(slot.get_dirty_log()) == [page]


def test_a_page_that_faults_twice_is_dirty_once() -> None:
    slot = Memslot(NPAGES, dirty_log="srcu")
    keeper = slot.keeper
    assert isinstance(keeper, SrcuKeeper)
    for _ in range(2):  # the second time as after a harvest that protected it too early
        keeper.fault(3)
    assert keeper.memslots.slots[0].nr_dirty_pages == 1


# --- atomic words ---------------------------------------------------------------------------------

ATOMIC = [atomic_words, LockedWords]


@pytest.mark.parametrize("make", ATOMIC)
def test_fetch_or_and_exchange_say_what_was_there(make: Callable[[int], AtomicWords]) -> None:
    words = make(3)
    top = 1 << 63
    assert (words.fetch_or(2, top), words.fetch_or(2, 5), words.fetch_or(2, 4)) == (0, top, top | 5)
    assert words.view.tolist() == words.array.tolist() == [0, 0, top | 5]
    assert (words.exchange(2, 7), words.exchange(2, 0)) == (top | 5, 7)
    assert words.view.tolist() == [0, 0, 0]


@pytest.mark.parametrize("make", ATOMIC)
def test_a_bit_is_taken_once(make: Callable[[int], AtomicWords]) -> None:
    """Each bit that was set is taken by one exchange, beside threads that set others."""
    words = make(1)
    rounds, threads = 300, 2
    told = [0] * 64

    def take() -> None:
        bits = words.exchange(0, 0)
        for bit in range(64):
            told[bit] += bits >> bit & 1

    def set_bits(bit: int) -> None:
        for _ in range(rounds):
            while words.fetch_or(0, 1 << bit) >> bit & 1:
                sleep(0)  # not taken yet

    setters = [threading.Thread(target=set_bits, args=(40 * i,)) for i in range(threads)]
    for setter in setters:
        setter.start()
    while any(setter.is_alive() for setter in setters):
        take()
    take()
    assert told[0] + told[40] == rounds * threads


def test_words_are_kept_without_libatomic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "atomic_words", LockedWords)
    for scheme in SCHEMES:
        slot = mapped_slot(scheme)
        touch(slot, [0, 63, 700])
        assert list(slot.get_dirty_log()) == [0, 63, 700]


def test_a_reader_inside_costs_one_jiffy(monkeypatch: pytest.MonkeyPatch) -> None:
    """udelay spins for 10 us, the reader stays where it is; only then it is slept."""
    waited_for = Srcu()
    counts = waited_for._readers[-1] = [0, 0]
    counts[waited_for._index] = 1
    slept: list[float] = []

    def sleeps(seconds: float) -> None:
        slept.append(seconds)
        counts[:] = [0, 0]

    monkeypatch.setattr(srcu, "sleep", sleeps)
    assert waited_for.synchronize_srcu_expedited(math.inf)
    assert slept == [srcu.JIFFY_S]
