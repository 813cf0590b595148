"""Harvests beside a CPU that caches which pages are writable, and flushes that only by itself.

First `VramPages` in every bytecode gap, under an engine that is a TLB and no more; then Unicorn.
"""

from __future__ import annotations

import os
import random
import resource
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gaps import Rig, RigAction, Score, race
from keepers import skip_unless_available
from shadow import ShadowDisplay
from x86_helpers import disk, make_pc, run_until_halted

from vgaemu.assets import guests
from vgaemu.machine import Machine
from vgaemu.memslot import PAGE_SIZE, Memslot, MemslotError, Subscription
from vgaemu.memslot.log import DirtyLog, RunLog
from vgaemu.vga.device import Vga
from vgaemu.vga.vram import LFB_GPA

pytest.importorskip("unicorn")

from vgaemu.pc.cpu import unicorn_vga
from vgaemu.pc.cpu.unicorn_engine import FLUSH_TLB, WRITE
from vgaemu.pc.cpu.unicorn_vga import TlbHarvest, VramPages

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

NPAGES = 64
#: Whose bytecodes count: this module is the CPU. Those of the keepers have their own tests.
MODULES = ("vgaemu.memslot.slot", "vgaemu.pc.cpu.unicorn_vga", __name__)


def elsewhere(action: Callable[[], object]) -> None:
    """Do something on another thread, and wait for it."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    for error in failed:
        raise error


class Engine:
    """Of an engine, what `VramPages` asks for, and its TLB: the pages it may store to."""

    def __init__(self):
        self.tlb = set()

    def ctl(self, *what):
        assert what == FLUSH_TLB
        self.tlb.clear()

    def map(self, *what):
        pass

    mem_map_ptr = mmio_map = mem_unmap = ctl_set_tlb_mode = hook_add = hook_del = map


class TlbRig(Rig):
    """A CPU in guest code, on a thread that stands still; this one acts for it."""

    def __init__(self, dirty_log: str = "flags", dirty: tuple[int, ...] = ()):
        slot = Memslot(NPAGES, LFB_GPA >> 12, dirty_log=dirty_log)
        self.engine = Engine()
        self.pages = VramPages(self.engine, Vga(slot))
        self.tlb = self.pages.tlb
        slot.harvest_through(self.tlb.harvest)
        slot.get_dirty_log()
        elsewhere(self.tlb.enter)
        #: There is one CPU: what an injected action does as the CPU comes before what follows.
        self.cpu = threading.RLock()
        super().__init__(slot, dirty)

    def store(self, page: int) -> None:
        """As an engine does: fill the TLB if it has to, then the data lands."""
        with self.cpu:
            self._store(page)

    def _store(self, page: int) -> None:
        self._value = self._value % 255 + 1
        if page not in self.engine.tlb:
            self.pages.translate(LFB_GPA + page * PAGE_SIZE, WRITE)
            self.engine.tlb.add(page)
        self.slot.memory[page * PAGE_SIZE + 100] = self._value

    def port(self) -> None:
        """An access to a port, where a CPU looks whether a flush is asked for."""
        with self.cpu:
            if self.tlb.flush_asked:
                self.tlb.flush()

    def run_slices(self) -> None:
        """Store to an open page and another, with a port between; the same in another slice."""
        self.tlb.enter()
        self.store(1)
        self.store(3)
        self.port()
        self.store(1)
        self.tlb.leave()
        self.tlb.enter()
        self.store(1)

    def harvest_beside(self) -> None:
        """The CPU stores meanwhile, and goes on after it."""
        self.harvest()
        for page in (1, 4):
            self.store(page)

    def next_slice(self) -> None:
        """The slice ends, and the next begins and stores."""
        with self.cpu:
            self.tlb.leave()
            self.tlb.enter()
            self.store(1)

    def port_and_store(self) -> None:
        with self.cpu:
            self.port()
            self.store(1)

    def windows_move(self) -> None:
        """By a port of the CPU's own."""
        with self.cpu:
            self.tlb.enter()
            self.tlb.map_changed()
            self.store(1)

    def log_anew(self) -> None:
        """Logging off and on; for a reader that then looks at everything."""
        self.slot.logging = False
        self.slot.logging = True
        for reader in (self.first, self.second):
            reader._shadow[:] = self.slot.memory


ACTIONS: dict[str, RigAction] = {
    "store": lambda rig: rig.store(1),
    "store to a new page": lambda rig: rig.store(4),
    "port, store": TlbRig.port_and_store,
    "next slice": TlbRig.next_slice,
    "windows move": TlbRig.windows_move,
}


def make(dirty_log: str = "flags") -> Callable[[], Rig]:
    skip_unless_available(dirty_log)
    return lambda: TlbRig(dirty_log, (1, 2))


def assert_none_lost(score: Score) -> None:
    assert score.gaps > 30  # fewer, and the target was not what it seems
    assert score.lost == 0


def race_harvest(action: str, dirty_log: str = "flags") -> Score:
    return race(
        make(dirty_log), TlbRig.harvest_beside, ACTIONS[action], modules=MODULES, threaded=True
    )


def race_cpu(dirty_log: str = "flags", second: RigAction | None = None) -> Score:
    return race(
        make(dirty_log), TlbRig.run_slices, Rig.harvest, second,
        modules=MODULES, threaded=True, stride=197,
    )  # fmt: skip


@pytest.mark.parametrize("action", ACTIONS)
def test_a_cpu_in_every_gap_of_a_harvest(action: str) -> None:
    assert_none_lost(race_harvest(action))


@pytest.mark.parametrize("dirty_log", ["words", "srcu"])
def test_a_cpu_in_every_gap_of_a_harvest_that_locks_or_waits(dirty_log: str) -> None:
    assert_none_lost(race_harvest("port, store", dirty_log))


@pytest.mark.turns(2)
@pytest.mark.parametrize("dirty_log", ["flags", "words", "srcu"])
def test_a_harvest_in_every_gap_of_a_cpu(dirty_log: str) -> None:
    assert_none_lost(race_cpu(dirty_log))


def test_two_harvests_in_gaps_of_a_cpu() -> None:
    assert_none_lost(race_cpu(second=Rig.harvest))


@pytest.mark.parametrize("action", ["store", "next slice"])
def test_logging_begins_beside_a_cpu(action: str) -> None:
    """A page that the TLB holds open when logging begins is not lost to it."""
    score = race(make(), TlbRig.log_anew, ACTIONS[action], modules=MODULES, threaded=True)
    assert_none_lost(score)


# --- and without one of its steps a store is lost ------------------------------------------------


class NothingOwed(TlbHarvest):
    """Open pages are not reported again."""

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        log = super().harvest(keeper_harvest)
        self._owed = None
        return log


class LooksFirst(TlbHarvest):
    """Which pages are open is seen before the snapshot."""

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        nothing = RunLog(self._npages)
        return super().harvest(lambda: nothing) | keeper_harvest()


class NeverFlushes(TlbHarvest):
    """Slices begin with the translations of those before."""

    def enter(self) -> None:
        self.flush_asked = False
        super().enter()


class EntersLate(TlbHarvest):
    """Whether a flush is asked for is seen before the CPU counts as running."""

    def enter(self) -> None:
        if self.flush_asked:
            self.flush()
        self._thread = threading.get_ident()
        self._running = True


class OpensLate(TlbHarvest):
    """A page counts as open only after its mark."""

    def page_opened(self, page: int) -> None:
        self.late = page

    def opened(self) -> None:
        super().page_opened(self.late)


#: And the race that finds it.
BROKEN: dict[type[TlbHarvest], Callable[[], Score]] = {
    NothingOwed: lambda: race_harvest("store"),
    LooksFirst: lambda: race_harvest("store to a new page"),
    NeverFlushes: lambda: race_harvest("next slice"),
    EntersLate: race_cpu,
    OpensLate: race_cpu,
}


@pytest.mark.turns(2)
@pytest.mark.parametrize("broken", BROKEN)
def test_the_race_finds_what_is_broken(
    broken: type[TlbHarvest], monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken is OpensLate:
        translate = VramPages.translate

        def marks_first(pages: VramPages, page: int, access: int) -> tuple[int, int] | None:
            found = translate(pages, page, access)
            pages.tlb.opened()
            return found

        monkeypatch.setattr(VramPages, "translate", marks_first)
    monkeypatch.setattr(unicorn_vga, "TlbHarvest", broken)
    assert BROKEN[broken]().lost > 0


# --- what is reported when -----------------------------------------------------------------------


def reported(log: Memslot | Subscription) -> list[int]:
    return log.get_dirty_log().pages().tolist()


def test_an_open_page_is_reported_up_to_the_first_harvest_after_the_flush() -> None:
    rig = TlbRig()
    rig.store(3)
    assert reported(rig.slot) == [3]
    assert reported(rig.slot) == reported(rig.slot) == [3]  # no flush yet
    rig.store(3)
    rig.port()
    rig.store(5)
    assert reported(rig.slot) == [3, 5]
    rig.port()
    assert reported(rig.slot) == [5]
    assert reported(rig.slot) == []
    assert not rig.tlb.flush_asked  # an idle screen is idle again


def test_beside_a_cpu_between_two_slices_nothing_is_reported_twice() -> None:
    rig = TlbRig()
    rig.store(3)
    rig.tlb.leave()
    assert [reported(rig.slot) for _ in range(2)] == [[3], []]
    elsewhere(rig.tlb.enter)
    assert not rig.engine.tlb
    rig.store(3)
    assert reported(rig.slot) == [3]


def test_the_cpus_own_thread_flushes_in_the_harvest() -> None:
    rig = TlbRig()
    rig.tlb.enter()
    rig.store(3)
    assert [reported(rig.slot) for _ in range(2)] == [[3], []]
    assert not rig.engine.tlb


def test_every_reader_is_told_of_a_page_that_was_open_beside_anothers_harvest() -> None:
    rig = TlbRig()
    other = rig.slot.subscribe()
    rig.store(3)
    reported(rig.slot)
    reported(other)
    rig.store(3)  # without a fault; then the guest is stopped for good
    rig.tlb.leave()
    assert reported(rig.slot) == [3]
    assert reported(other) == [3]
    assert reported(rig.slot) == reported(other) == []


def test_a_page_that_is_open_when_logging_begins_is_reported() -> None:
    rig = TlbRig()
    rig.store(3)
    rig.log_anew()
    rig.store(3)  # without a fault
    assert reported(rig.slot) == [3]


def test_a_page_that_is_open_when_another_keeper_takes_over_is_reported() -> None:
    rig = TlbRig()
    rig.store(3)
    assert reported(rig.slot) == [3]
    rig.slot.keep_with("words")
    rig.store(3)  # without a fault
    assert reported(rig.slot) == [3]
    rig.port()
    assert [reported(rig.slot) for _ in range(2)] == [[3], []]


def test_a_harvest_that_fails_loses_no_page() -> None:
    rig = TlbRig()
    rig.store(3)
    reported(rig.slot)
    rig.store(3)
    rig.port()

    def fails() -> DirtyLog:
        raise MemslotError("no log")

    with pytest.raises(MemslotError, match="no log"):
        rig.tlb.harvest(fails)
    assert reported(rig.slot) == [3]


def test_a_closed_cpu_leaves_what_it_wrote() -> None:
    rig = TlbRig()
    rig.store(3)
    reported(rig.slot)
    rig.store(3)
    rig.tlb.leave()
    rig.pages.close()
    rig.slot.harvest_through(None)
    assert reported(rig.slot) == [3]


def test_a_harvest_waits_for_no_cpu() -> None:
    """The CPU is in a service that takes for ever; the display stays alive."""
    rig = TlbRig()
    rig.store(3)
    elsewhere(lambda: reported(rig.slot))


def test_a_cpu_that_is_entering_guest_code_keeps_no_harvest_waiting() -> None:
    """It may have lost its processor just there."""
    rig = TlbRig()
    rig.store(3)
    rig.tlb.leave()
    with rig.tlb._mmu_lock:
        elsewhere(lambda: reported(rig.slot))
    rig.store(3)  # it was in guest code when the log was taken, for all the harvest knew
    assert reported(rig.slot) == [3]


def test_flushes_are_timed_for_who_asks() -> None:
    rig = TlbRig()
    rig.tlb.enter()
    rig.tlb.map_changed()
    rig.tlb.flushes_ns = []
    rig.tlb.map_changed()
    assert len(rig.tlb.flushes_ns) == 1


# --- at random ------------------------------------------------------------------------------------

KEPT_BY = ["flags", "words", "pages", "sparse", "srcu"]
DOES = ["store", "host", "port", "leave", "enter", "move", "refresh", "switch", "log"]
WEIGHTS = [30, 5, 10, 4, 4, 2, 20, 2, 1]


def play(seed: int, steps: int = 120) -> None:
    """One thing after the other, so that a reader has seen all after each of its harvests."""
    rng = random.Random(seed)
    rig = TlbRig(rng.choice(KEPT_BY))
    for does in rng.choices(DOES, WEIGHTS, k=steps):
        page = rng.randrange(8)
        if does in ("enter", "store", "port") and not rig.tlb._running:
            elsewhere(rig.tlb.enter)
        if does == "store":
            rig.store(page)
        elif does == "host":
            rig.slot.write(page * PAGE_SIZE, bytes([rng.randrange(256)]))
        elif does == "port":
            rig.port()
        elif does == "leave":
            rig.tlb.leave()
        elif does == "move":
            rig.tlb.map_changed()
        elif does == "switch":
            rig.slot.keep_with(rng.choice(KEPT_BY))
        elif does == "log":
            rig.log_anew()
        elif does == "refresh":
            reader = rng.choice((rig.first, rig.second))
            reader.refresh()
            assert not reader.is_stale(), seed
    for _ in range(3):
        for reader in (rig.first, rig.second):
            reader.refresh()
            assert not reader.is_stale(), seed
        if rig.tlb._running:
            rig.port()
    assert not rig.first.log, seed  # idle again
    assert not rig.second.log, seed


def test_whatever_comes_in_turn_no_store_is_lost() -> None:
    seed = int(os.environ["VGAEMU_FUZZ_SEED"]) * 1000
    for number in range(seed, seed + 60):
        play(number)


def test_it_finds_that_nothing_is_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unicorn_vga, "TlbHarvest", NothingOwed)
    with pytest.raises(AssertionError):
        play(1)


# --- Unicorn --------------------------------------------------------------------------------------


def test_the_next_port_access_flushes_what_a_harvest_beside_asked_for(tmp_path: Path) -> None:
    # mov ax, 13h; int 10h; es = A000h; out 77h, al; twice: inc byte [es:5000h]; out; out; out; inc;
    # out; cli; hlt.
    touch, out = "26 FE 06 00 50", "E6 77"
    program = "B8 13 00 CD 10 68 00 A0 07 E6 77" + (touch + out) * 2 + out * 2 + touch + out
    with make_pc(disk(tmp_path, bytes.fromhex(program + "FA F4"))) as pc:
        slot, logs = pc.vga.slot, []
        pc.bus.byte_out[0x77] = lambda value: elsewhere(lambda: logs.append(reported(slot)))
        run_until_halted(pc)
        assert logs[1:] == [[5], [5], [], [], [5]]


# cli; mov ax, 4F02h; mov bx, 4112h; int 10h; ds = 0; lgdt; CR0.PE = 1; jmp 8:start. start: ds = 16;
# mov dx, 3DAh. fill: mov edi, E0000000h. page: mov ecx, 4. store: inc dword [edi]; add edi, 400h;
# loop store; in al, dx; cmp edi, E1000000h; jb page; jmp fill. Then the GDT's pointer and the GDT.
POLLING = bytes.fromhex(
    "FA B8 02 4F BB 12 41 CD 10 31 C0 8E D8 0F 01 16 48 7C 0F 20 C0 0C 01 0F 22 C0 EA 1F 7C 08 00"
    "66 B8 10 00 8E D8 66 BA DA 03 BF 00 00 00 E0 B9 04 00 00 00 FF 07 81 C7 00 04 00 00 E2 F6 EC"
    "81 FF 00 00 00 E1 72 E8 EB E1 17 00 4E 7C 00 00"
    "00 00 00 00 00 00 00 00 FF FF 00 00 00 9A CF 00 FF FF 00 00 00 92 CF 00"
)


@pytest.mark.parametrize("keepers", [["flags"], ["words", "srcu", "flags"]], ids=["one", "in turn"])
def test_beside_a_polling_guest_readers_see_all(tmp_path: Path, keepers: list[str]) -> None:
    """It comes back to a page long after: what a harvest misses is missing when it is stopped."""
    display = ShadowDisplay()
    with Machine(str(disk(tmp_path, POLLING)), free=True, display=display) as machine:
        slot, other = machine.vram, machine.vram.subscribe()
        copy = slot.array.copy()

        def refresh() -> None:
            for page in reported(other):
                at = slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
                copy[at] = slot.array[at]

        for frame in range(90):
            slot.keep_with(keepers[frame // 4 % len(keepers)])
            machine.run_frame()
            refresh()
            if frame % 3 == 2:
                assert machine.runner.hold(10)
                machine.run_frame()
                refresh()
                assert np.array_equal(copy, slot.array)
                assert np.array_equal(display.frame, machine.screen.full_redraw())
                assert not reported(other)  # a guest that stands still is idle
                machine.runner.release()
        assert copy.any()


def test_an_engines_tlb_does_not_grow_with_every_flush():
    # Its pages are the process's: 160,000 of them were new in so many frames.
    with Machine(guests() / "snake.img") as machine:
        machine.tick(20)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for number in range(60):
            machine.keys.press(("up", "left", "down", "right")[number // 8 % 4])
            machine.tick(4)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 30_000
