"""The four steps of the 2012 patch, and what is lost if two of them change places.

1. snapshot and clear, 2. write-protect, 3. flush, 4. copy out: between any two of them a guest may
store, on one thread, since its stores take none of the harvest's locks. This guest has a TLB: it
goes on storing without a look to a page that it once found writable, until it is flushed.
`docs/the-patch.md` tells which test shows what.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from gaps import Rig, RigAction, Score, race, run_with_injections

from vgaemu.memslot import (
    KEEPERS,
    KVM_MEM_LOG_DIRTY_PAGES,
    PAGE_SIZE,
    DirtyLog,
    Memslot,
    Vm,
    shadow,
    srcu,
    words,
)
from vgaemu.memslot.atomic import LockedWords
from vgaemu.memslot.bitmap import WORD_PAGES
from vgaemu.memslot.shadow import ShadowKeeper
from vgaemu.memslot.srcu import SrcuKeeper
from vgaemu.memslot.words import PagesKeeper, WordsKeeper

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

NPAGES = 6
SCHEMES: dict[str, type[ShadowKeeper]] = {
    "words": WordsKeeper,
    "pages": PagesKeeper,
    "srcu": SrcuKeeper,
}
STATES: dict[str, list[int]] = {"clean": [], "run": [1, 2], "scattered": [1, 4], "all": [*range(6)]}
#: The reader's look at the pages is part of what is raced with.
MODULES = ("vgaemu.memslot", "gaps", __name__)

MakeRig = Callable[..., Callable[[], Rig]]


class TlbRig(Rig):
    """Its guest has a TLB."""

    def __init__(self, slot: Memslot, dirty: Iterable[int] = ()) -> None:
        self._tlb: set[int] = set()
        assert isinstance(slot.keeper, ShadowKeeper)
        self.mmu = slot.keeper.mmu
        flush = self.mmu.flush_remote_tlbs

        def flush_remote_tlbs() -> None:
            self._tlb.clear()
            flush()

        self.mmu.__dict__["flush_remote_tlbs"] = flush_remote_tlbs
        super().__init__(slot, dirty)

    def store(self, page: int) -> None:
        if page in self._tlb:
            self._value += 1
            self.slot.memory[page * PAGE_SIZE + 100] = self._value
        else:
            super().store(page)
            self._tlb.add(page)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> MakeRig:
    """A maker of makers of rigs, for any keeper."""

    def for_keeper(
        keeper: type[ShadowKeeper], dirty: list[int], rig: type[Rig] = TlbRig
    ) -> Callable[[], Rig]:
        monkeypatch.setitem(KEEPERS, "racing", keeper)
        return lambda: rig(Memslot(NPAGES, dirty_log="racing"), dirty)

    return for_keeper


def store_to(page: int) -> RigAction:
    return lambda rig: rig.store(page)


def harvest_race(
    rigs: Callable[[], Rig], page: int, harvest: RigAction = Rig.harvest, **options: bool
) -> Score:
    return race(rigs, harvest, store_to(page), modules=MODULES, **options)


def assert_none_lost(score: Score) -> None:
    assert score.gaps > 10
    assert score.lost == 0


# --- the right order loses nothing ----------------------------------------------------------------


@pytest.mark.turns(2)
@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_store_in_every_gap_of_a_harvest(
    make: MakeRig, scheme: str, state: str, page: int
) -> None:
    assert_none_lost(harvest_race(make(SCHEMES[scheme], STATES[state]), page))


@pytest.mark.parametrize("page", [1, 3])
@pytest.mark.parametrize("scheme", ["words", "pages"])
def test_a_harvest_in_every_gap_of_a_store(make: MakeRig, scheme: str, page: int) -> None:
    # For a processor a look at the entry and the fill of the TLB are one step, so here is no TLB.
    score = race(make(SCHEMES[scheme], [1, 4], Rig), store_to(page), Rig.harvest)
    assert_none_lost(score)


@pytest.mark.parametrize("scheme", ["words", "pages"])
def test_two_stores_to_a_word_at_once(make: MakeRig, scheme: str) -> None:
    rigs = make(SCHEMES[scheme], [1], Rig)
    assert_none_lost(race(rigs, store_to(3), store_to(2)))
    assert_none_lost(race(rigs, store_to(3), store_to(2), Rig.harvest))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_lock_around_each_word_does_as_well(
    make: MakeRig, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(shadow, "atomic_words", LockedWords)
    assert_none_lost(harvest_race(make(SCHEMES[scheme], [1, 4]), 3, threaded=True))
    rigs = make(SCHEMES[scheme], [1, 4], Rig)
    assert_none_lost(race(rigs, store_to(3), store_to(2), threaded=True))
    assert_none_lost(race(rigs, store_to(3), Rig.harvest, threaded=True))


# --- any other order does not ---------------------------------------------------------------------


class InSteps(WordsKeeper):
    """The patch's loop, a method a step; here in the right order."""

    def harvest(self) -> DirtyLog:
        self._clear(self._n)
        with self._mmu_lock:
            dirty = self._nonzero_words(0)
            for i in dirty:
                self.steps_of_a_word(i)
            if dirty:
                self.last_steps()
        return self._copy_out(self._n) if dirty else self.nothing_dirty

    def steps_of_a_word(self, i: int) -> None:
        self.snapshot_and_clear(i)
        self.protect(i)

    def last_steps(self) -> None:
        self.mmu.flush_remote_tlbs()

    def snapshot_and_clear(self, i: int) -> None:
        self._words.view[self._n + i] = self._words.exchange(i, 0)

    def protect(self, i: int) -> None:
        self._protect(i * WORD_PAGES, self._words.view[self._n + i])


class Steps2And1(InSteps):
    """Protected, then taken: who faults in between finds its bit set, and loses it."""

    def steps_of_a_word(self, i: int) -> None:
        self._protect(i * WORD_PAGES, self._words.view[i])
        self.snapshot_and_clear(i)


class Steps3And2(InSteps):
    """Flushed, then protected: who fills its TLB in between keeps a writable entry."""

    def steps_of_a_word(self, i: int) -> None:
        self.snapshot_and_clear(i)
        self.mmu.flush_remote_tlbs()
        self.protect(i)

    def last_steps(self) -> None:
        pass


class Steps4And3(InSteps):
    """Handed out and read, then flushed: who stores in between does so unseen."""

    def last_steps(self) -> None:
        pass


def harvest_then_flush(rig: Rig) -> None:
    assert isinstance(rig, TlbRig)
    rig.harvest()
    rig.mmu.flush_remote_tlbs()


class ReadThenClear(InSteps):
    """No exchange: what is marked between the load and the store is lost."""

    def snapshot_and_clear(self, i: int) -> None:
        self._words.view[self._n + i] = self._words.view[i]
        self._words.view[i] = 0


class LoadThenStoreMark(WordsKeeper):
    """No fetch-or: of two marks in a word at once, one is lost."""

    def _mark(self, word: int, bits: int) -> None:
        before = self._words.view[word]
        self._words.view[word] = before | bits


class MarkThenWritable(WordsKeeper):
    """A harvest in between takes the bit, and the page ends writable and not dirty."""

    def fault(self, page: int) -> None:
        self._mark(page // WORD_PAGES, 1 << page % WORD_PAGES)
        self.mmu.make_writable(page)


def test_the_steps_in_their_order_lose_nothing(make: MakeRig) -> None:
    for page in (1, 3):
        assert_none_lost(harvest_race(make(InSteps, [1, 4]), page))
        assert_none_lost(harvest_race(make(InSteps, [1, 4]), page, harvest_then_flush))


def test_protecting_before_the_snapshot_is_found(make: MakeRig) -> None:
    # By a vCPU that has not got the page in its TLB.
    assert harvest_race(make(Steps2And1, [1, 4], Rig), 1).lost > 0


def test_flushing_before_protecting_is_found(make: MakeRig) -> None:
    assert harvest_race(make(Steps3And2, [1, 4]), 1).lost > 0


def test_flushing_after_the_pages_are_read_is_found(make: MakeRig) -> None:
    assert harvest_race(make(Steps4And3, [1, 4]), 1, harvest_then_flush).lost > 0


def test_a_clear_that_is_no_exchange_is_found(make: MakeRig) -> None:
    assert harvest_race(make(ReadThenClear, [1, 4]), 3).lost > 0


def test_a_mark_that_is_not_atomic_is_found(make: MakeRig) -> None:
    rigs = make(LoadThenStoreMark, [1], Rig)
    assert race(rigs, store_to(3), store_to(2), modules=MODULES).lost > 0


def test_a_mark_before_the_page_is_writable_is_found(make: MakeRig) -> None:
    rigs = make(MarkThenWritable, [1, 4], Rig)
    assert race(rigs, store_to(3), Rig.harvest, modules=("vgaemu.memslot", __name__)).lost > 0


def test_a_word_whose_lock_is_left_out_is_found(
    make: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoLock:
        def __enter__(self) -> None: ...

        def __exit__(self, *error: object) -> None: ...

    class Unlocked(LockedWords):
        def __init__(self, count: int) -> None:
            super().__init__(count)
            self.__dict__["_lock"] = NoLock()

    monkeypatch.setattr(shadow, "atomic_words", Unlocked)
    assert race(make(WordsKeeper, [1], Rig), store_to(3), store_to(2)).lost > 0
    assert harvest_race(make(WordsKeeper, [1, 4]), 3).lost > 0


# --- slots_lock -----------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [None, 0], ids=["deleted", "not logged"])
def test_a_slot_that_is_gone_does_not_answer(flags: int | None) -> None:
    """In every gap of an answer the slot is deleted, or its logging switched off."""
    size = NPAGES * PAGE_SIZE
    for gap in count():
        vm = Vm(dirty_log="words")
        slot = vm.set_user_memory_region(0, 0, size, KVM_MEM_LOG_DIRTY_PAGES)
        assert slot is not None
        slot.write(0, b"x")
        bitmap = bytearray(8)
        when_gone: list[bytes] = []

        def answer(vm: Vm = vm, bitmap: bytearray = bitmap) -> None:
            with suppress(FileNotFoundError):  # ENOENT
                vm.get_dirty_log(0, bitmap)

        def take_away(
            vm: Vm = vm, bitmap: bytearray = bitmap, when_gone: list[bytes] = when_gone
        ) -> None:
            vm.set_user_memory_region(0, 0, 0 if flags is None else size, flags or 0)
            when_gone.append(bytes(bitmap))

        gaps = run_with_injections(
            answer, {gap: take_away}, modules=("vgaemu.memslot.vm",), threaded=True
        )
        if gaps <= gap:
            assert gap > 20
            return
        assert when_gone == [bytes(bitmap)]  # nothing was answered after that


# --- docs/the-patch.md ----------------------------------------------------------------------------

DOCS = Path(__file__).parents[1] / "docs" / "the-patch.md"


def test_the_docs_quote_what_is_there() -> None:
    told = DOCS.read_text("utf-8")
    sources = "".join(
        Path(module.__file__ or "").read_text("utf-8") for module in (words, srcu, shadow)
    )
    quotes = re.findall(r"```python\n(.*?)```", told, re.DOTALL)
    assert len(quotes) > 8
    assert not [quote for quote in quotes if quote not in sources]


def test_the_docs_name_tests_that_are_there() -> None:
    here = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", DOCS.read_text("utf-8")))
    assert len(named) > 8
    assert not {name for name in named if f"def {name}(" not in here}
