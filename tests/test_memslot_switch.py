"""A keeper is exchanged for another beside guests that store: no store is lost.

`Memslot.keep_with` in every bytecode gap of a store, and a store in every gap of it, for every pair
of keepers; then switches without end beside storing threads. `pytest -m long` tries every pair with
every store, and ten thousand switches.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import permutations
from time import sleep

import pytest
from gaps import Reader, Rig, RigAction, Score, race
from keepers import LOCKED_FLAGS, NAMES, protected, skip_unless_available, use
from test_memslot_threads import GUESTS, Guests

from vgaemu.memslot import (
    KEEPERS,
    PAGE_SIZE,
    DirtyLog,
    KeeperUnavailable,
    Memslot,
    MemslotError,
)
from vgaemu.memslot.flags import FlagsKeeper
from vgaemu.memslot.keeper import ALWAYS, Keeper
from vgaemu.memslot.kvm.guest import KvmGuest
from vgaemu.memslot.kvm.keeper import KvmKeeper
from vgaemu.memslot.pagemap import MmuKeeper
from vgaemu.memslot.sparse import SparseKeeper
from vgaemu.memslot.srcu import SrcuKeeper

pytestmark = pytest.mark.turns(2)

NPAGES = 6
#: Keepers whose faults take a lock: the other side runs on a second thread, and may wait.
LOCKING = {"words", "pages", "srcu", "sparse", LOCKED_FLAGS}
#: Where a store may be overtaken; and what of a switch is its own: harvests have their own tests.
STORE_MODULES = ("vgaemu.memslot",)
SWITCH_MODULES = tuple(f"vgaemu.memslot.{name}" for name in ("slot", "pagemap", "kvm.keeper"))
PAIRS = list(permutations(NAMES, 2))


def store_to(page: int) -> RigAction:
    return lambda rig: rig.store(page)


STORES: dict[str, RigAction] = {
    "clean": store_to(3),
    "across": lambda rig: rig.store_across(1),
    "marked": lambda rig: rig.mark(5),
    "dirty": store_to(1),
}


def is_usual(old: str, new: str) -> bool:
    """Whether it takes no minutes: a VM's slots change slowly."""
    vms = {old, new} & {"kvm", "kvm-manual"}
    return not vms or (vms == {"kvm"} and {old, new} & {"flags", "mmu", "srcu"} != set())


#: Each pair with one of them in turn; the others take minutes.
ALL_PAIRS = [
    pytest.param(
        *pair,
        store,
        id="-".join((*pair, store)),
        marks=() if is_usual(*pair) and (i + i // 8) % len(STORES) == j else pytest.mark.long,
    )
    for i, pair in enumerate(PAIRS)
    for j, store in enumerate(STORES)
]


def rigs(old: str, new: str, slot: type[Memslot] = Memslot) -> Callable[[], Rig]:
    """Makers of a rig kept by `old`, with dirt, where `new` has been at work before.

    It is the same one each time, for as long as nothing is lost.
    """
    rig = Rig(slot(NPAGES, dirty_log=new), [2])

    def make() -> Rig:
        rig.slot.keep_with(old)
        for page in (1, 4):
            rig.store(page)
        return rig

    return make


def switch_to(name: str) -> RigAction:
    return lambda rig: rig.slot.keep_with(name)


def switch_and_read(name: str) -> RigAction:
    """What the store marks in its keeper then comes after that keeper's last harvest."""

    def act(rig: Rig) -> None:
        rig.slot.keep_with(name)
        rig.harvest()

    return act


def there_and_back(name: str, old: str) -> RigAction:
    def act(rig: Rig) -> None:
        rig.slot.keep_with(name)
        rig.store(0)
        rig.harvest()
        rig.slot.keep_with(old)

    return act


def assert_none_lost(score: Score, least: int) -> None:
    assert score.gaps >= least  # fewer, and the target was not what it seems
    assert score.lost == 0


@pytest.mark.turns(3)
@pytest.mark.parametrize(("old", "new", "store"), ALL_PAIRS)
def test_a_switch_in_every_gap_of_a_store(
    old: str, new: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = rigs(use(old, monkeypatch), use(new, monkeypatch))
    for action in (switch_to(new), switch_and_read(new), there_and_back(new, old)):
        threaded = old in LOCKING or new in LOCKING
        score = race(make, STORES[store], action, modules=STORE_MODULES, threaded=threaded)
        assert_none_lost(score, 25)


@pytest.mark.turns(3)
@pytest.mark.parametrize(("old", "new", "store"), ALL_PAIRS)
def test_a_store_in_every_gap_of_a_switch(
    old: str, new: str, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = rigs(use(old, monkeypatch), use(new, monkeypatch))
    threaded = old in LOCKING or new in LOCKING
    score = race(make, switch_to(new), STORES[store], modules=SWITCH_MODULES, threaded=threaded)
    assert_none_lost(score, 100)


@pytest.mark.parametrize("new", ["flags", "words", "mmu"])
def test_a_store_in_every_gap_of_a_switch_to_a_keeper_that_is_new(new: str) -> None:
    skip_unless_available(new)

    def make() -> Rig:
        return Rig(Memslot(NPAGES, dirty_log="flags" if new != "flags" else "words"), [1, 4])

    for store in ("clean", "marked"):
        score = race(
            make, switch_to(new), STORES[store], modules=SWITCH_MODULES, threaded=new != "mmu"
        )
        assert_none_lost(score, 100)


def reading(rig: Rig) -> None:
    rig.harvest()


@pytest.mark.parametrize("new", ["flags", "words"])
def test_a_reader_beside_every_gap_of_a_switch_is_told_all(new: str) -> None:
    # What was stored before either began must be in the log that is asked for meanwhile.
    score = race(
        lambda: Rig(Memslot(NPAGES, dirty_log="sparse"), [1, 4]),
        switch_to(new),
        reading,
        lost=lambda rig: rig.first.log.pages().tolist() != [1, 4],
        threaded=True,
    )
    assert_none_lost(score, 100)


# --- broken on purpose ----------------------------------------------------------------------------


class LooksAtNoFormer(Memslot):
    def _harvest_all(self) -> DirtyLog:
        return self.keeper.harvest()


class LooksAtTheNewOneFirst(Memslot):
    """The short cut of a reader asks the new keeper alone."""

    def _use(self, keeper: Keeper, formers: tuple[Keeper, ...] = ()) -> None:
        super()._use(keeper, formers)
        self._first_look = keeper.maybe_dirty


class BeginsAnew(Memslot):
    """A keeper that comes back drops what was marked in it."""

    def _use(self, keeper: Keeper, formers: tuple[Keeper, ...] = ()) -> None:
        if formers:
            keeper.start()
        super()._use(keeper, formers)


def found(make: Callable[[], Rig], target: RigAction, action: RigAction) -> bool:
    return race(make, target, action, modules=("vgaemu.memslot", __name__)).lost > 0


@pytest.mark.parametrize("slot", [LooksAtNoFormer, LooksAtTheNewOneFirst])
def test_a_late_mark_that_nobody_looks_at_is_found(slot: type[Memslot]) -> None:
    skip_unless_available("mmu")
    # `mmu` does not lock either.
    assert found(rigs("flags", "mmu", slot), STORES["marked"], switch_and_read("mmu"))


def test_a_late_mark_that_is_dropped_is_found() -> None:
    skip_unless_available("mmu")
    make = rigs("flags", "mmu", BeginsAnew)
    away, back = switch_and_read("mmu"), switch_to("flags")
    modules = ("vgaemu.memslot.flags", "vgaemu.memslot.slot")
    assert race(make, STORES["clean"], away, back, modules=modules).lost > 0


class TrustsItsEyes(MmuKeeper):
    """A store that landed before it looked finds its page writable."""

    def take_over(self) -> None:
        super().take_over()
        self.writable[:] = b"\1" * len(self.writable)


class RetiresTooSoon(Memslot):
    """A store that lands between the old keeper's last look and the new one's first."""

    def _use(self, keeper: Keeper, formers: tuple[Keeper, ...] = ()) -> None:
        if formers and isinstance(keeper, FlagsKeeper):
            self._keepers["mmu"].retire()
        super()._use(keeper, formers)


class RetiresOnce(MmuKeeper):
    def retire(self) -> None:
        if not self._retired:
            super().retire()


class TellsNothing(MmuKeeper):
    def retire(self) -> None:
        self._scan()
        super().retire()


def test_what_the_mmu_did_not_see_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_unless_available("mmu")
    monkeypatch.setitem(KEEPERS, "mmu", RetiresOnce)

    def settled(slot: type[Memslot]) -> Callable[[], Rig]:
        """The first store after a switch to `mmu` is seen in software, too; later ones are not."""
        make = rigs("mmu", "flags", slot)

        def store_again() -> Rig:
            rig = make()
            rig.harvest()
            rig.store(4)
            return rig

        return store_again

    assert found(settled(RetiresTooSoon), switch_to("flags"), STORES["dirty"])
    monkeypatch.setitem(KEEPERS, "mmu", TrustsItsEyes)
    assert found(rigs("flags", "mmu"), STORES["clean"], switch_and_read("mmu"))
    monkeypatch.setitem(KEEPERS, "mmu", TellsNothing)
    assert found(settled(Memslot), switch_to("flags"), STORES["clean"])


# --- one switch ----------------------------------------------------------------------------------


def test_dirt_is_reported_once_to_each_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    slot = Memslot(NPAGES, dirty_log="words")
    other = slot.subscribe()
    slot.write(PAGE_SIZE, b"1")
    slot.keep_with("flags")
    slot.write(3 * PAGE_SIZE, b"1")
    for view in (slot, other):
        assert list(view.get_dirty_log()) == [1, 3]
        assert view.get_dirty_log() is slot.nothing_dirty
    assert slot.dirty_log == "flags"


def test_a_former_keeper_is_looked_at_however_late_it_is_marked() -> None:
    slot = Memslot(NPAGES)
    slot.write(0, b"1")
    slot.keep_with("sparse")
    inside, go_on = threading.Event(), threading.Event()

    class Slow(SparseKeeper):
        def fault(self, page: int) -> None:
            inside.set()
            assert go_on.wait(30)
            super().fault(page)

    slot.keeper.__class__ = Slow
    slot._fault = slot.keeper.fault
    store = threading.Thread(target=slot.write, args=(PAGE_SIZE, b"1"))
    store.start()
    assert inside.wait(30)
    assert list(slot.get_dirty_log()) == [0]
    for name in ("words", "flags"):
        slot.keep_with(name)
        assert slot.maybe_dirty is ALWAYS
        slot.write(2 * PAGE_SIZE, b"1")
        assert list(slot.get_dirty_log()) == [2]
    go_on.set()
    store.join()
    assert list(slot.get_dirty_log()) == [1]


def test_counters_are_the_keepers_own_and_go_on() -> None:
    slot = Memslot(NPAGES, dirty_log="words")
    slot.write(0, b"1")
    slot.keep_with("flags")
    words = slot.counters
    assert slot.counters.faults == 0
    slot.write(0, b"1")
    assert slot.counters.faults == 1
    slot.keep_with("words")
    assert slot.counters is not words
    assert slot.counters.faults == 1
    slot.keep_with("words")  # it is already
    assert slot.counters.flushes == 1


def test_nothing_dirty_is_the_same_log_whoever_keeps_it() -> None:
    slot = Memslot(NPAGES)
    nothing = slot.nothing_dirty
    for name in NAMES[:-1]:
        if name in KEEPERS and name not in ("mmu", "kvm", "kvm-manual"):
            slot.keep_with(name)
            assert slot.get_dirty_log() is nothing


@pytest.mark.parametrize("name", ["mmu", "kvm", "kvm-manual"])
def test_a_former_keeper_costs_the_system_nothing(name: str) -> None:
    skip_unless_available(name)
    slot = Memslot(64, dirty_log=name)
    slot.memory[5 * PAGE_SIZE] = 1
    slot.keep_with("flags")
    assert list(slot.get_dirty_log()) == ([5] if name == "mmu" else [])
    slot.memory[6 * PAGE_SIZE] = 1  # it sees that no more
    slot.write(7 * PAGE_SIZE, b"1")
    assert list(slot.get_dirty_log()) == [7]
    slot.keep_with(name)
    slot.memory[8 * PAGE_SIZE] = 1
    slot.write(9 * PAGE_SIZE, b"1")
    assert list(slot.get_dirty_log()) == ([8, 9] if name == "mmu" else [9])


@pytest.mark.parametrize("name", ["kvm", "kvm-manual"])
def test_what_a_vcpu_stored_is_reported_after_a_switch(name: str) -> None:
    skip_unless_available(name)
    slot = Memslot(64, dirty_log=name)
    keeper = slot.keeper
    assert isinstance(keeper, KvmKeeper)
    guest = KvmGuest(keeper, native=False)
    guest.write_pages([3, 40])
    slot.write(9 * PAGE_SIZE, b"1")
    slot.keep_with("words")
    assert list(slot.get_dirty_log()) == [3, 9, 40]
    slot.keep_with(name)
    guest.write_pages([4])
    assert list(slot.get_dirty_log()) == [4]


def test_a_former_keeper_without_memory_tells_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def kmemdup(memslots: object) -> object:
        raise MemoryError

    slot = Memslot(NPAGES, dirty_log="srcu")
    slot.write(0, b"1")
    with monkeypatch.context() as scarce:
        scarce.setattr(SrcuKeeper, "kmemdup", staticmethod(kmemdup))
        slot.keep_with("words")
        assert slot.dirty_log == "words"
        slot.write(PAGE_SIZE, b"1")
        assert list(slot.get_dirty_log()) == [1]
    assert list(slot.get_dirty_log()) == [0]


def test_a_keeper_that_cannot_work_leaves_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(npages: int, memory: object) -> Keeper:
        raise KeeperUnavailable("none: not here")

    monkeypatch.setitem(KEEPERS, "none", refuse)
    slot = Memslot(NPAGES)
    slot.write(0, b"1")
    keeper = slot.keeper
    with pytest.raises(KeeperUnavailable, match="none: not here"):
        slot.keep_with("none")
    with pytest.raises(MemslotError, match="no dirty log named 'nobody'; there are: flags, "):
        slot.keep_with("nobody")
    assert slot.keeper is keeper
    assert list(slot.get_dirty_log()) == [0]


@pytest.mark.parametrize("new", [*NAMES[:-1], "flags"])
def test_a_switch_while_nothing_is_logged(new: str) -> None:
    skip_unless_available(new)
    slot = Memslot(NPAGES, dirty_log="words" if new != "words" else "flags")
    slot.write(0, b"1")
    slot.logging = False
    slot.keep_with(new)
    slot.write(PAGE_SIZE, b"1")
    assert not slot.get_dirty_log()
    slot.logging = True
    assert protected(slot) == [*range(NPAGES)]
    assert not slot.get_dirty_log()
    slot.write(PAGE_SIZE, b"1")
    assert list(slot.get_dirty_log()) == [1]


def test_a_closed_slot_has_no_keeper_to_switch() -> None:
    slot = Memslot(NPAGES)
    slot.keep_with("words")
    slot.write(0, b"1")
    slot.close()
    with pytest.raises(MemslotError, match="the slot is closed"):
        slot.keep_with("flags")
    assert list(slot.get_dirty_log()) == [0]


def test_a_harvest_through_a_cpu_goes_on_through_it() -> None:
    """Under a CPU's wrap the old keeper's dirt stays where it is until the CPU lets it be taken."""
    slot = Memslot(NPAGES, dirty_log="words")
    lets = False

    def wrap(harvest: Callable[[], DirtyLog]) -> DirtyLog:
        return harvest() if lets else slot.nothing_dirty

    slot.harvest_through(wrap)
    slot.write(0, b"1")
    slot.keep_with("flags")
    slot.write(PAGE_SIZE, b"1")
    assert not slot.get_dirty_log()
    lets = True
    assert list(slot.get_dirty_log()) == [0, 1]
    assert slot._first_look is ALWAYS


# --- without end ---------------------------------------------------------------------------------

STRESS_PAGES, SWITCHES_A_LOOK = 2048, 3


class Storing(Guests):
    """Stores to pages in random order, some of them past `write`."""

    def __init__(self, slot: Memslot, seed: int) -> None:
        super().__init__(slot)
        self._random = random.Random(seed)
        self._left: list[list[int]] = [[] for _ in range(GUESTS)]
        self.value = self.stores = 0

    def deal(self) -> None:
        """Each page to one guest, for one store: no later one hides that it was lost."""
        self.value = (self.value + 1) % 256
        pages = self._random.sample(range(STRESS_PAGES), STRESS_PAGES)
        for guest, left in enumerate(self._left):
            self.stores -= len(left)
            left[:] = pages[guest::GUESTS]
            self.stores += len(left)

    def body(self, guest: int) -> None:
        if not self._left[guest]:
            sleep(0)
            return
        page = self._left[guest].pop()
        offset = page * PAGE_SIZE + page
        if page & 3:
            self.slot.write(offset, bytes([self.value]))
        else:
            self.slot.memory[offset] = self.value
            self.slot.mark_dirty(offset, 1)


@pytest.fixture
def frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def switch_beside_threads(slot: Memslot, names: list[str], switches: int, seed: int) -> int:
    """Whatever is stored, readers see: one that looks at every switch, and one that seldom does.

    Returns:
        Looks that missed a store.
    """
    rng = random.Random(seed)
    often, seldom = Reader(slot, slot), Reader(slot, slot.subscribe())
    lost = 0
    guests = Storing(slot, seed)
    with guests.running():
        for done in range(0, switches, SWITCHES_A_LOOK):
            guests.deal()
            guests.resume()
            for _ in range(min(SWITCHES_A_LOOK, switches - done)):
                slot.keep_with(rng.choice([name for name in names if name != slot.dirty_log]))
                often.refresh()
            guests.pause()
            for reader in (often, seldom):
                reader.refresh()
                lost += reader.is_stale()
    assert guests.stores > switches
    return lost


@pytest.mark.usefixtures("frequent_switches")
@pytest.mark.parametrize("switches", [300, pytest.param(10_000, marks=pytest.mark.long)])
def test_nothing_is_lost_beside_threads(switches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    use("flags", monkeypatch)
    names = [name for name in KEEPERS if name != "kvm-manual"]
    for name in ("mmu", "kvm"):
        try:
            skip_unless_available(name)
        except pytest.skip.Exception:
            names.remove(name)
    assert switch_beside_threads(Memslot(STRESS_PAGES), names, switches, seed=1) == 0


@pytest.mark.usefixtures("frequent_switches")
def test_what_gets_lost_beside_threads_is_found() -> None:
    class DropsMarks(Memslot):
        """What is marked in a keeper goes with it."""

        def _use(self, keeper: Keeper, formers: tuple[Keeper, ...] = ()) -> None:
            if formers:
                self.keeper.start()
            super()._use(keeper, formers)

    assert switch_beside_threads(DropsMarks(STRESS_PAGES), ["flags", "words"], 50, seed=1) > 0
