"""Two keepers of one log: both read the same dirt, and nothing is lost in any bytecode gap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from itertools import combinations

import pytest
from gaps import Rig, RigAction, race
from keepers import skip_unless_available
from work import Functions

from vgaemu.memslot import PAGE_SIZE, DirtyLog, Memslot, MemslotError, keepers
from vgaemu.memslot.compare import CompareKeeper
from vgaemu.memslot.keeper import Keeper
from vgaemu.memslot.log import union

SOFTWARE = ("srcu", "words", "flags", "pages", "sparse")
PAIRS = [*combinations(SOFTWARE, 2), ("mmu", "words"), ("flags", "kvm")]
STORES: dict[str, RigAction] = {
    "page 1": lambda rig: rig.store(1),
    "page 3": lambda rig: rig.store(3),
    "across": lambda rig: rig.store_across(1),
    "marked": lambda rig: rig.mark(2),
}
RACES = [
    ("srcu", "words", "page 1"), ("srcu", "words", "page 3"), ("words", "flags", "across"),
    ("flags", "srcu", "marked"), ("mmu", "flags", "page 3"),
]  # fmt: skip
NPAGES = 6

MakeRig = Callable[..., Callable[[], Rig]]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> MakeRig:
    def of(pair: tuple[str, str], kind: type[CompareKeeper] = CompareKeeper) -> Callable[[], Rig]:
        for name in pair:
            skip_unless_available(name)
        monkeypatch.setattr(keepers, "CompareKeeper", kind)
        return lambda: Rig(Memslot(NPAGES, dirty_log="+".join(pair)), [1, 4])

    return of


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_a_store_to_many_pages_is_one_fault_for_each_part(
    make: MakeRig, pair: tuple[str, str]
) -> None:
    make(pair)
    slot = Memslot(4096, dirty_log="+".join(pair))
    slot.write(7 * PAGE_SIZE, b"x")
    with Functions() as functions:
        slot.write(PAGE_SIZE, bytes(4000 * PAGE_SIZE))
    assert functions.called < 1000
    found = record(slot)
    assert list(slot.get_dirty_log()) == [*range(1, 4001)]
    assert sorted(found) == sorted([(name, [*range(1, 4001)]) for name in pair])
    assert slot.counters.faults == 4000
    assert not slot.get_dirty_log()
    slot.close()


def record(slot: Memslot) -> list[tuple[str, list[int]]]:
    """What each part finds from now on, in the order in which they are asked."""
    found: list[tuple[str, list[int]]] = []

    def recording(part: Keeper, harvest: Callable[[], DirtyLog]) -> DirtyLog:
        log = harvest()
        found.append((part.name, list(log)))
        return log

    for part in slot.keeper.parts:
        part.harvest = partial(recording, part, part.harvest)
    return found


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_both_read_the_same_dirt_in_turn(make: MakeRig, pair: tuple[str, str]) -> None:
    slot = make(pair)().slot
    assert slot.dirty_log == "+".join(pair)
    assert list(slot.get_dirty_log()) == [1, 4]
    found = record(slot)
    for turn in (pair[::-1], pair):
        for page in (0, 3, 3):
            slot.write(page * PAGE_SIZE, b"x")
        assert list(slot.get_dirty_log()) == [0, 3]
        assert found == [(name, [0, 3]) for name in turn]
        found.clear()
    assert not slot.get_dirty_log()
    assert slot.get_dirty_log() is slot.nothing_dirty
    counters = slot.counters
    assert counters.faults == 6
    assert counters.flushes == sum(part.counters.flushes for part in slot.keeper.parts) == 6
    assert len(slot.keeper.compared_ns) == 2
    assert all(ns > 0 for ns in slot.keeper.compared_ns)
    slot.close()


@pytest.mark.parametrize("names", ["srcu+", "srcu+wrods", "words+words", "srcu+words+flags", "+"])
def test_what_is_no_pair_is_refused_in_words(names: str) -> None:
    with pytest.raises(MemslotError, match=r"no dirty log named .* there are: flags|two different"):
        Memslot(1, dirty_log=names)


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_it_takes_over_and_hands_over(make: MakeRig, pair: tuple[str, str]) -> None:
    slot = make(pair)().slot
    slot.keep_with("flags" if "flags" not in pair else "words")
    slot.write(0, b"x")
    slot.keep_with("+".join(pair))
    slot.write(3 * PAGE_SIZE, b"x")
    assert list(slot.get_dirty_log()) == [0, 1, 3, 4]
    slot.write(3 * PAGE_SIZE, b"y")
    assert list(slot.get_dirty_log()) == [3]
    slot.close()


def test_the_grace_period_waits_for_sections_held_through_it() -> None:
    slot = Memslot(NPAGES, dirty_log="words+srcu")
    slot.write(0, b"x")
    entered, leave = threading.Event(), threading.Event()

    def exits() -> None:
        with slot.exit_section():
            entered.set()
            leave.wait(10)

    guest = threading.Thread(target=exits)
    guest.start()
    entered.wait(10)
    threading.Timer(0.01, leave.set).start()
    assert list(slot.get_dirty_log()) == [0]
    assert leave.is_set()
    guest.join()


@pytest.mark.parametrize("pair", PAIRS, ids="+".join)
def test_logging_off_and_on_begins_anew(make: MakeRig, pair: tuple[str, str]) -> None:
    slot = make(pair)().slot
    slot.logging = False
    slot.write(0, b"x")
    slot.logging = True
    assert not slot.get_dirty_log()
    slot.write(2 * PAGE_SIZE, b"x")
    assert list(slot.get_dirty_log()) == [2]
    slot.close()


@pytest.mark.turns(3)
@pytest.mark.parametrize(("first", "second", "store"), RACES)
def test_a_store_in_every_gap_of_a_harvest(
    make: MakeRig, first: str, second: str, store: str
) -> None:
    score = race(make((first, second)), Rig.harvest, STORES[store], threaded=True)
    assert score.gaps > 10
    assert score.lost == 0


@pytest.mark.parametrize(("first", "second", "store"), RACES)
def test_a_harvest_in_every_gap_of_a_store(
    make: MakeRig, first: str, second: str, store: str
) -> None:
    score = race(make((first, second)), STORES[store], Rig.harvest, threaded=True)
    assert score.gaps > 10
    assert score.lost == 0


class WritableOutsideTheLock(CompareKeeper):
    def fault(self, page: int) -> None:
        for part in self._parts:
            if not part.writable[page]:
                part.fault(page)
        self.writable[page] = 1


class ProtectsWithoutTheLock(CompareKeeper):
    def _protect(self, found: Iterable[DirtyLog]) -> DirtyLog:
        log = union([self.nothing_dirty, *found])
        for page in log:
            self.writable[page] = 0
        return log


@pytest.mark.parametrize("kind", [WritableOutsideTheLock, ProtectsWithoutTheLock])
def test_the_injector_finds_what_is_broken(make: MakeRig, kind: type[CompareKeeper]) -> None:
    rigs = make(("words", "flags"), kind)
    modules = ("vgaemu.memslot", __name__)
    assert race(rigs, STORES["page 3"], Rig.harvest, modules=modules, threaded=True).lost > 0
