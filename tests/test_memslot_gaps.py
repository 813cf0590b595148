"""No store is lost in any bytecode gap; and the injector finds the gaps of broken variants."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import numpy as np
import pytest
from gaps import Rig, RigAction, Score, race
from keepers import skip_unless_available
from numpy.typing import NDArray

from vgaemu.memslot import KEEPERS, DirtyLog, Memslot, flags
from vgaemu.memslot.flags import FlagsKeeper, LockedFlagsKeeper
from vgaemu.memslot.keeper import Keeper
from vgaemu.memslot.kvm.guest import KvmGuest
from vgaemu.memslot.kvm.keeper import KvmKeeper, KvmManualKeeper
from vgaemu.memslot.log import FlagsLog
from vgaemu.memslot.pagemap import MmuKeeper
from vgaemu.memslot.slot import ByteBuffer
from vgaemu.memslot.sparse import SparseKeeper
from vgaemu.memslot.srcu import Srcu, SrcuKeeper
from vgaemu.memslot.words import PagesKeeper, WordsKeeper

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

NPAGES = 6
#: What is dirty when the race begins: nothing, one run, scattered pages, everything.
STATES: dict[str, list[int]] = {"clean": [], "run": [1, 2], "scattered": [1, 4], "all": [*range(6)]}
LOCKING: dict[str, type[Keeper]] = {
    "words": WordsKeeper,
    "pages": PagesKeeper,
    "srcu": SrcuKeeper,
    "sparse": SparseKeeper,
    "locked flags": LockedFlagsKeeper,
}
#: A deadline.
NEVER = math.inf
#: The four steps are taken by the kernel; Python runs before and after them.
KERNELS: dict[str, type[Keeper]] = {
    "mmu": MmuKeeper,
    "kvm": KvmKeeper,
    "kvm-manual": KvmManualKeeper,
}


def store_to(page: int) -> RigAction:
    return lambda rig: rig.store(page)


def store_across(rig: Rig) -> None:
    rig.store_across(1)


def mark(rig: Rig) -> None:
    rig.mark(2)


#: Guest stores: to a dirty page of most states, a clean one, the last; across an edge; marked late.
STORES: dict[str, RigAction] = {
    "page 1": store_to(1),
    "page 3": store_to(3),
    "page 5": store_to(5),
    "across": store_across,
    "marked": mark,
}


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[], Rig]]:
    """A maker of makers of rigs, for any keeper."""

    def for_keeper(
        keeper: type[Keeper], dirty: list[int], slot: type[Memslot] = Memslot
    ) -> Callable[[], Rig]:
        monkeypatch.setitem(KEEPERS, "racing", keeper)
        return lambda: Rig(slot(NPAGES, dirty_log="racing"), dirty)

    return for_keeper


MakeRig = Callable[..., Callable[[], Rig]]


def assert_none_lost(score: Score) -> None:
    assert score.gaps > 10  # fewer, and the target was not what it seems
    assert score.lost == 0


# --- flags: no lock on the store path, so everything runs on one thread ---------------------------


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("state", STATES)
def test_a_store_in_every_gap_of_a_harvest(make: MakeRig, state: str, store: str) -> None:
    assert_none_lost(race(make(FlagsKeeper, STATES[state]), Rig.harvest, STORES[store]))


@pytest.mark.parametrize("store", STORES)
def test_a_store_in_every_gap_of_a_harvest_by_xor(
    make: MakeRig, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    monkeypatch.setattr(flags, "MAX_CLEARED_SINGLY", 0)
    assert_none_lost(race(make(FlagsKeeper, STATES["scattered"]), Rig.harvest, STORES[store]))


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("state", STATES)
def test_a_harvest_in_every_gap_of_a_store(make: MakeRig, state: str, store: str) -> None:
    assert_none_lost(race(make(FlagsKeeper, STATES[state]), STORES[store], Rig.harvest))


@pytest.mark.turns(2)
@pytest.mark.parametrize("second", [Rig.harvest, store_to(1), store_to(3)], ids=["h", "s1", "s3"])
@pytest.mark.parametrize("first", [Rig.harvest, store_to(1)], ids=["h", "s1"])
@pytest.mark.parametrize("target", ["page 1", "across", "marked"])
def test_two_more_in_every_pair_of_gaps_of_a_store(
    make: MakeRig,
    target: str,
    first: RigAction,
    second: RigAction,
) -> None:
    assert_none_lost(race(make(FlagsKeeper, [1, 4]), STORES[target], first, second, stride=3))


@pytest.mark.parametrize(
    ("state", "singly"),
    [("run", flags.MAX_CLEARED_SINGLY), ("scattered", flags.MAX_CLEARED_SINGLY), ("scattered", 0)],
)
def test_two_stores_in_pairs_of_gaps_of_a_harvest(
    make: MakeRig, monkeypatch: pytest.MonkeyPatch, state: str, singly: int
) -> None:
    monkeypatch.setattr(flags, "MAX_CLEARED_SINGLY", singly)
    assert_none_lost(
        race(make(FlagsKeeper, STATES[state]), Rig.harvest, store_to(3), store_to(1), stride=7)
    )


def switch_on(rig: Rig) -> None:
    rig.slot.logging = True


def lost_after_the_switch(rig: Rig) -> bool:
    """Stores beside the switch may go unreported, as in KVM; those after it may not."""
    for page in range(NPAGES):
        rig.store(page)
    rig.harvest()
    return len(rig.first.log) != NPAGES


@pytest.mark.parametrize("keeper", [FlagsKeeper, WordsKeeper])
def test_a_store_in_every_gap_of_switching_logging_on(make: MakeRig, keeper: type[Keeper]) -> None:
    def switched_off() -> Rig:
        rig = make(keeper, [1, 4])()
        rig.slot.logging = False
        return rig

    score = race(
        switched_off,
        switch_on,
        store_to(3),
        lost=lost_after_the_switch,
        threaded=keeper is not FlagsKeeper,
    )
    assert_none_lost(score)


# --- keepers that lock: the other side runs on a second thread, and may wait ----------------------


@pytest.mark.turns(2)
@pytest.mark.parametrize("store", ["page 1", "page 3", "across"])
@pytest.mark.parametrize("keeper", LOCKING)
def test_a_store_beside_every_gap_of_a_locking_harvest(
    make: MakeRig, keeper: str, store: str
) -> None:
    rigs = make(LOCKING[keeper], [1, 4])
    assert_none_lost(race(rigs, Rig.harvest, STORES[store], threaded=True))


@pytest.mark.parametrize("store", ["page 1", "page 3", "across", "marked"])
@pytest.mark.parametrize("keeper", LOCKING)
def test_a_harvest_beside_every_gap_of_a_locking_store(
    make: MakeRig, keeper: str, store: str
) -> None:
    rigs = make(LOCKING[keeper], [1, 4])
    assert_none_lost(race(rigs, STORES[store], Rig.harvest, threaded=True))


# --- keepers whose four steps the kernel takes ----------------------------------------------------


@pytest.mark.parametrize("store", ["page 1", "page 3", "across", "marked"])
@pytest.mark.parametrize("keeper", KERNELS)
def test_a_store_in_every_gap_of_the_kernels_harvest(
    make: MakeRig, keeper: str, store: str
) -> None:
    skip_unless_available(keeper)
    rigs = make(KERNELS[keeper], [1, 4])
    assert_none_lost(race(rigs, Rig.harvest, STORES[store]))


@pytest.mark.parametrize("store", ["page 1", "page 3", "marked"])
@pytest.mark.parametrize("keeper", KERNELS)
def test_the_kernels_harvest_in_every_gap_of_a_store(
    make: MakeRig, keeper: str, store: str
) -> None:
    skip_unless_available(keeper)
    rigs = make(KERNELS[keeper], [1, 4])
    assert race(rigs, STORES[store], Rig.harvest).lost == 0


#: A rig with a VM takes a while to make and to close: only the gaps between the steps.
KVM_MODULES = ("vgaemu.memslot.kvm.keeper", "vgaemu.memslot.flags")


class GuestRig(Rig):
    """A vCPU stores as well."""

    def __init__(self, slot: Memslot) -> None:
        self._guest = KvmGuest(slot.keeper, native=True)
        super().__init__(slot, [1, 4])
        self.guest_store()

    def guest_store(self) -> None:
        self._guest.write_pages([3, 1])


@pytest.mark.parametrize("keeper", ["kvm", "kvm-manual"])
def test_a_vcpus_stores_in_every_gap_of_a_harvest(keeper: str) -> None:
    skip_unless_available(keeper)
    score = race(
        lambda: GuestRig(Memslot(NPAGES, dirty_log=keeper)),
        Rig.harvest,
        GuestRig.guest_store,  # type: ignore[arg-type]  # the rigs are its own
        modules=KVM_MODULES,
    )
    assert_none_lost(score)


# --- two readers ----------------------------------------------------------------------------------


def second_reader(rig: Rig) -> None:
    rig.second.refresh()


@pytest.mark.parametrize("keeper", [FlagsKeeper, WordsKeeper])
def test_a_reader_beside_every_gap_of_another_is_told_all(
    make: MakeRig, keeper: type[Keeper]
) -> None:
    # The stores were finished before either reader began, so both first logs must hold them: the
    # one that comes second may not look between the other's harvest and its fan-out.
    score = race(
        make(keeper, [1, 4]),
        Rig.harvest,
        second_reader,
        lost=lambda rig: any(
            reader.log.pages().tolist() != [1, 4] for reader in (rig.first, rig.second)
        ),
        threaded=True,
    )
    assert_none_lost(score)


@pytest.mark.parametrize("keeper", [FlagsKeeper, WordsKeeper])
def test_two_threads_of_one_reader_share_the_pages_out(make: MakeRig, keeper: type[Keeper]) -> None:
    found: list[int] = []

    def harvest(rig: Rig) -> None:
        found.extend(rig.slot.get_dirty_log().pages().tolist())

    def lost(rig: Rig) -> bool:
        pages = sorted(found)
        found.clear()
        return pages != [1, 4]

    def fresh() -> Rig:
        found.clear()
        return make(keeper, [1, 4])()

    score = race(fresh, harvest, harvest, lost=lost, threaded=True)
    assert_none_lost(score)


# --- the injector finds what is broken ------------------------------------------------------------


class TwoMaps(FlagsKeeper):
    """Protection and dirt in two maps: two steps, so their order matters. Here it is right."""

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        self._dirty = bytearray(len(self.writable))

    def fault(self, page: int) -> None:
        self.writable[page] = 1
        self._dirty[page] = 1

    def fault_range(self, start: int, end: int) -> None:
        Keeper.fault_range(self, start, end)

    def harvest(self) -> DirtyLog:
        found = self._snapshot_and_clear()
        self._protect(found)
        return FlagsLog(self.npages, found)

    def _snapshot_and_clear(self) -> bytes:
        found = bytes(self._dirty)
        for page in range(self.npages):
            if found[page]:
                self._dirty[page] = 0
        return found

    def _protect(self, found: bytes) -> None:
        for page in range(self.npages):
            if found[page]:
                self.writable[page] = 0

    def start(self) -> None:
        self._dirty[:] = bytes(len(self._dirty))
        self.writable[:] = bytes(len(self.writable))


class DirtyBeforeWritable(TwoMaps):
    def fault(self, page: int) -> None:
        self._dirty[page] = 1
        self.writable[page] = 1


class ProtectBeforeSnapshot(TwoMaps):
    def harvest(self) -> DirtyLog:
        self._protect(bytes(self._dirty))
        return FlagsLog(self.npages, self._snapshot_and_clear())


class ProtectBeforeDrop(TwoMaps):
    def start(self) -> None:
        self.writable[:] = bytes(len(self.writable))
        self._dirty[:] = bytes(len(self._dirty))


class CopyThenClearAll(FlagsKeeper):
    def harvest(self) -> DirtyLog:
        found = bytes(self.writable)
        self._flags[:] = self._zeros
        return FlagsLog(self.npages, found)


class NoLock:
    def acquire(self) -> None: ...

    def release(self) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def locked(self) -> bool:
        return False


class UnlockedReaders(Memslot):
    """Its readers take no lock between harvest and fan-out."""

    def __init__(self, npages: int, *, dirty_log: str) -> None:
        super().__init__(npages, dirty_log=dirty_log)
        self._slots_lock = NoLock()  # type: ignore[assignment]


class MarkThenStore(Memslot):
    def write(self, offset: int, data: ByteBuffer) -> None:
        self.mark_dirty(offset, len(data))
        self._memory[offset : offset + len(data)] = data


BROKEN_HERE = ("vgaemu.memslot", __name__)


class ClearsWhatItDidNotRead(KvmManualKeeper):
    """Host stores are dropped once the kernel's log has been read."""

    def _after_read(self) -> None:
        super()._after_read()
        self.writable[:] = bytes(len(self.writable))


def test_what_a_kernel_keeper_drops_is_found(make: MakeRig) -> None:
    skip_unless_available("kvm-manual")

    class BrokenGuestRig(GuestRig):
        pass

    make(ClearsWhatItDidNotRead, [])
    score = race(
        lambda: BrokenGuestRig(Memslot(NPAGES, dirty_log="racing")),
        Rig.harvest,
        store_to(5),
        modules=("vgaemu.memslot.kvm.keeper", __name__),
    )
    assert score.lost > 0


class ScansTwice(MmuKeeper):
    """Takes a second look, and forgets what the first one found and protected."""

    def harvest(self) -> DirtyLog:
        self._scan()
        return super().harvest()


def test_what_an_mmu_keeper_drops_is_found(make: MakeRig) -> None:
    skip_unless_available("mmu")
    assert race(make(ScansTwice, [1, 4]), Rig.harvest, store_to(3), modules=BROKEN_HERE).lost > 0


class NoGracePeriod(Srcu):
    def synchronize_srcu_expedited(self, deadline: float) -> bool:
        return True


class OneFlip(Srcu):
    """Turns the index and waits once: late comers on the index used next are not waited for."""

    def synchronize_srcu_expedited(self, deadline: float) -> bool:
        self._index = 1 - self._index
        return self._wait(1 - self._index, deadline)


class DoesNotWait(SrcuKeeper):
    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        self.srcu = NoGracePeriod()


def test_a_skipped_grace_period_is_found(make: MakeRig) -> None:
    # A fault has looked up the published bitmap; the harvest publishes the other one, does not wait
    # for the mark, and hands the old one out without it.
    rigs = make(DoesNotWait, [1, 4])
    assert race(rigs, store_to(3), Rig.harvest, modules=BROKEN_HERE, threaded=True).lost > 0


def test_the_grace_period_waits_for_whoever_was_inside() -> None:
    srcu = Srcu()
    ended = threading.Event()

    def synchronize() -> None:
        assert srcu.synchronize_srcu_expedited(NEVER)
        ended.set()

    inside = srcu.read_lock()
    waiter = threading.Thread(target=synchronize)
    waiter.start()
    assert not ended.wait(0.02)
    nested = srcu.read_lock()  # who comes later is not waited for
    srcu.read_unlock(inside)
    assert ended.wait(10)
    waiter.join()
    srcu.read_unlock(nested)
    assert srcu.synchronize_srcu_expedited(NEVER)


@pytest.mark.parametrize(("srcu", "waits"), [(Srcu, True), (OneFlip, False)])
def test_late_comers_are_waited_for(srcu: type[Srcu], waits: bool) -> None:
    """A reader read the index, then was put off for a grace period, and counts itself in now."""
    late = srcu()
    late._readers[threading.get_ident()] = [0, 0]
    index = late._index
    late.synchronize_srcu_expedited(NEVER)
    late._readers[threading.get_ident()][index] += 1
    ended = threading.Event()

    def synchronize() -> None:
        late.synchronize_srcu_expedited(NEVER)
        ended.set()

    waiter = threading.Thread(target=synchronize)
    waiter.start()
    assert ended.wait(0.02) is not waits
    late.read_unlock(index)
    waiter.join()


def test_two_maps_in_the_right_order_lose_nothing(make: MakeRig) -> None:
    rigs = make(TwoMaps, [1, 4])
    for score in (
        race(rigs, Rig.harvest, store_to(3), modules=BROKEN_HERE),
        race(rigs, Rig.harvest, store_to(1), modules=BROKEN_HERE),
        race(rigs, store_to(3), Rig.harvest, modules=BROKEN_HERE),
        race(rigs, store_to(1), Rig.harvest, modules=BROKEN_HERE),
    ):
        assert_none_lost(score)


def test_dirty_before_writable_is_found(make: MakeRig) -> None:
    rigs = make(DirtyBeforeWritable, [1, 4])
    assert race(rigs, store_to(3), Rig.harvest, modules=BROKEN_HERE).lost > 0


def test_protect_before_snapshot_is_found(make: MakeRig) -> None:
    rigs = make(ProtectBeforeSnapshot, [1, 4])
    assert race(rigs, Rig.harvest, store_to(1), modules=BROKEN_HERE).lost > 0


def test_copy_then_clear_all_is_found(make: MakeRig) -> None:
    rigs = make(CopyThenClearAll, [1, 4])
    assert race(rigs, Rig.harvest, store_to(3), modules=BROKEN_HERE).lost > 0


def test_mark_before_data_is_found(make: MakeRig) -> None:
    rigs = make(FlagsKeeper, [1, 4], MarkThenStore)
    assert race(rigs, store_to(3), Rig.harvest, modules=BROKEN_HERE).lost > 0


def test_protect_before_drop_is_found(make: MakeRig) -> None:
    def switched_off() -> Rig:
        rig = make(ProtectBeforeDrop, [1, 4])()
        rig.slot.logging = False
        return rig

    score = race(
        switched_off,
        switch_on,
        store_to(3),
        lost=lost_after_the_switch,
        modules=BROKEN_HERE,
    )
    assert score.lost > 0


def test_fan_out_without_the_lock_is_found(make: MakeRig) -> None:
    score = race(
        make(TwoMaps, [1, 4], UnlockedReaders),
        Rig.harvest,
        second_reader,
        lost=lambda rig: rig.second.log.pages().tolist() != [1, 4],
    )
    assert score.lost > 0
