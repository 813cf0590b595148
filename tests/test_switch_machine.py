"""Another keeper takes over while a guest of a whole machine runs; what guests hold meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
from numpy.typing import NDArray
from shadow import ShadowDisplay
from test_migrate import outcome, receiving
from x86_helpers import CPUS, disk, needs_kvm

from vgaemu import BaseDisplay, Guest, Machine
from vgaemu.display.events import Event, NextDirtyLog
from vgaemu.display.report import FrameReport
from vgaemu.memslot import KEEPERS, DirtyLog, Memslot, srcu, why_unavailable
from vgaemu.memslot.flags import FlagsKeeper
from vgaemu.memslot.keeper import Keeper
from vgaemu.migrate import Limits, send_machine

#: Mode 13h; then stores all over the window, for ever.
PAINTER = bytes.fromhex(
    "B8 13 00 CD 10"  # mov ax, 13h; int 10h
    "B8 00 A0 8E C0 31 FF"  # mov ax, A000h; mov es, ax; xor di, di
    "AA 05 FB 4D D1 C8"  # stosb; add ax, 4DFBh; ror ax, 1
    "81 C7 F5 03 EB F4"  # add di, 1013; jmp to the stosb
)
NAMES = [name for name in KEEPERS if why_unavailable(name) is None]


def painter(guest: Guest) -> Iterator[object]:
    """The same in Python, with a slice for each 50 stores."""
    guest.set_mode(0x13)
    at = colour = 0
    while True:
        for _ in range(50):
            guest.store(0xA0000 + at, bytes([colour >> 16 & 0xFF]))
            at, colour = (at + 1014) & 0xFFFF, colour * 1103515245 + 12345 & 0x7FFFFFFF
        yield guest.NOW


def make(kind: str, tmp_path: Path, **options: object) -> Machine:
    """A machine with a painter: in Python, or under a CPU."""
    if kind == "python":
        return Machine(painter, **options)
    return Machine(disk(tmp_path, PAINTER), cpu=kind, **options)


def pictures(kind: str, tmp_path: Path, names: Iterator[str]) -> list[NDArray[np.uint32]]:
    """The first frames, of what was stored before a switch; each is compared to a full redraw."""
    shadow, frames = ShadowDisplay(), []
    with make(kind, tmp_path, display=shadow) as machine:
        machine.tick()
        for name in (next(names) for _ in range(24)):
            machine.runner.run_frame()
            machine.vram.keep_with(name)
            assert machine.vram.dirty_log == name
            machine.draw_frame()
            assert np.array_equal(shadow.frame, machine.screen.full_redraw())
            frames.append(shadow.frame.copy())
    return frames


@pytest.mark.parametrize("kind", ["python", *CPUS])
def test_pictures_in_step_are_the_same_whoever_keeps_the_log(kind: str, tmp_path: Path) -> None:
    switched = pictures(kind, tmp_path, cycle(NAMES))
    assert len(np.unique(switched[-1])) > 100
    if kind != "kvm":  # a guest in wall time
        kept = pictures(kind, tmp_path, cycle(["flags"]))
        assert all(map(np.array_equal, switched, kept))


@pytest.mark.parametrize("kind", ["python", *CPUS])
def test_switches_beside_a_guest_on_its_thread_lose_nothing(kind: str, tmp_path: Path) -> None:
    shadow = ShadowDisplay()
    names = cycle(NAMES)
    with make(kind, tmp_path, display=shadow, free=True) as machine:
        for _ in range(8):
            for _ in range(10):
                machine.tick()
                machine.vram.keep_with(next(names))
            assert machine.runner.hold(10)
            machine.draw_frame()
            machine.draw_frame()  # the CPU may owe pages to one more
            assert np.array_equal(shadow.frame, machine.screen.full_redraw())
            machine.runner.release()


@pytest.mark.parametrize("kind", ["python", "unicorn"])
def test_a_switch_that_loses_is_seen(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a keeper knew goes with it.
    monkeypatch.setattr(Memslot, "_harvest_all", lambda slot: slot.keeper.harvest())
    with pytest.raises(AssertionError):
        pictures(kind, tmp_path, cycle(["words", "flags"]))


@pytest.mark.parametrize("kind", ["python", "unicorn"])
def test_a_migration_beside_switches_takes_all_of_vram(kind: str, tmp_path: Path) -> None:
    with make(kind, tmp_path, free=True) as source:
        target = Machine() if kind == "python" else make(kind, tmp_path)
        over = threading.Event()

        def switch() -> None:
            for name in cycle(NAMES):
                if over.wait(0.001):
                    return
                source.vram.keep_with(name)

        source.tick(5)
        thread = threading.Thread(target=switch)
        thread.start()
        try:
            with target, receiving(target) as (address, received):
                report = send_machine(source, address, Limits(max_rounds=4))
                outcome(received)
                assert report.digests_equal
                assert target.vram.memory == source.vram.memory
        finally:
            over.set()
            thread.join()


def test_a_state_is_the_same_whoever_keeps_the_log(tmp_path: Path) -> None:
    seen = []
    for names in (["flags"], NAMES):
        switch = cycle(names)
        with make("unicorn", tmp_path) as machine:
            machine.tick(5)
            machine.vram.keep_with(next(switch))
            machine.save_state(tmp_path / "a.npz")
            machine.tick(5)
            machine.vram.keep_with(next(switch))
            machine.load_state(tmp_path / "a.npz")
            machine.vram.keep_with(next(switch))
            for _ in range(5):
                machine.tick()
                seen.append(machine.screen.frame.copy())
                assert np.array_equal(seen[-1], machine.screen.full_redraw())
    assert all(map(np.array_equal, seen[:5], seen[5:]))


# --- the window's key -----------------------------------------------------------------------------


class User(BaseDisplay):
    """Presses Ctrl+F8 before each frame, and reads the notices."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []
        self.notices: list[str] = []

    def poll(self) -> list[Event]:
        return [NextDirtyLog()]

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def update(self, frame: object, rects: object, report: FrameReport) -> None:
        self.told.append((report.dirty_log, self.notices[-1]))


@pytest.mark.parametrize("kind", ["python", "unicorn"])
@pytest.mark.parametrize("before", ["flags", "sparse"])
def test_the_key_steps_through_the_patchs_story(kind: str, before: str, tmp_path: Path) -> None:
    user = User()
    with make(kind, tmp_path, display=user, dirty_log=before) as machine:
        machine.tick(4)
        assert machine.vram.dirty_log == "srcu"
        assert machine.screen.info.dirty_log == "srcu"
    assert user.told == [
        ("srcu", "dirty log: srcu, what the 2012 patch replaced"),
        ("words", "dirty log: words, the 2012 patch"),
        ("flags", "dirty log: flags, the default"),
        ("srcu", "dirty log: srcu, what the 2012 patch replaced"),
    ]


def test_a_keeper_that_cannot_take_over_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(npages: int, memory: object) -> Keeper:
        raise MemoryError

    monkeypatch.setitem(KEEPERS, "srcu", refuse)
    user = User()
    with Machine(painter, display=user) as machine:
        machine.tick()
    assert user.told == [
        ("flags", "dirty log: flags as before: a log of 4096 pages does not fit into memory")
    ]


# --- read-side sections ---------------------------------------------------------------------------


class Held(FlagsKeeper):
    """Counts sections: how deep each thread is in them, and how many there were."""

    name = "held"
    depth = sections = 0

    def read_lock(self) -> int:
        self.depth += 1
        self.sections += 1
        return self.sections

    def read_unlock(self, token: int) -> None:
        assert 0 < token <= self.sections
        self.depth -= 1


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(KEEPERS, "held", Held)
    return "held"


def keeper(machine: Machine) -> Held:
    assert isinstance(machine.vram.keeper, Held)
    return machine.vram.keeper


@pytest.mark.parametrize("free", [False, True])
def test_a_python_guest_holds_a_section_up_to_its_yield(held: str, free: bool) -> None:
    depths = []

    def guest(guest: Guest) -> Iterator[object]:
        for _ in range(3):
            depths.append(keeper(machine).depth)
            yield None
        raise ValueError("it fails in a slice")

    with Machine(guest, dirty_log=held, free=free) as machine:
        assert keeper(machine).depth == 0
        while not machine.ended:
            machine.runner.run_frame()
            assert machine.runner.hold(10)
            assert keeper(machine).depth == 0
            machine.runner.release()
        assert isinstance(machine.guest_error, ValueError)
        assert keeper(machine).sections == 4
    assert depths == [1, 1, 1]


@pytest.mark.parametrize("cpu", CPUS)
def test_a_cpu_holds_a_section_while_a_port_is_served(cpu: str, held: str, tmp_path: Path) -> None:
    # in al, dx from 3DAh; jmp to it
    code = bytes.fromhex("BA DA 03 EC EB FD")
    depths: list[int] = []
    with Machine(disk(tmp_path, code), cpu=cpu, dirty_log=held) as machine:
        inb: Callable[[int], int] = machine.vga.inb

        def watched(port: int) -> int:
            depths.append(keeper(machine).depth)
            return inb(port)

        machine.vga.inb = watched  # type: ignore[method-assign]
        for _ in range(3):
            machine.tick()
            assert keeper(machine).depth == 0
    assert len(depths) >= 3  # such a loop looks once for each answer
    assert set(depths) == {1}


def test_a_section_ends_where_it_began(held: str) -> None:
    """The guest is inside when another keeper takes over."""
    keepers = []

    def guest(guest: Guest) -> Iterator[object]:
        keepers.append(keeper(machine))
        machine.vram.keep_with("flags")
        yield None
        machine.vram.keep_with("held")
        assert keeper(machine).depth == 0
        yield None

    with Machine(guest, dirty_log=held) as machine:
        machine.tick(2)
        assert machine.vram.keeper is keepers[0]
    assert keepers[0].depth == 0
    assert keepers[0].sections == 1


@pytest.mark.parametrize("switched", [False, True], ids=["kept", "switched"])
@pytest.mark.parametrize("name", ["srcu", "words", "flags"])
def test_only_srcu_waits_for_the_end_of_a_slice(
    name: str, switched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(srcu, "PATIENCE_S", 0.01)
    inside, go_on = threading.Event(), threading.Event()

    def guest(guest: Guest) -> Iterator[object]:
        guest.store(0xB8000, b"a")
        inside.set()
        assert go_on.wait(30)
        yield None

    with Machine(guest, dirty_log=name, free=True) as machine:
        log = machine.vram.subscribe()
        log.get_dirty_log()
        machine.tick()
        assert inside.wait(30)
        if switched:
            machine.vram.keep_with("flags" if name != "flags" else "words")
        machine.tick(3)  # a window stays alive
        found = log.get_dirty_log()
        assert list(found) == ([0] if name != "srcu" else [])
        machine.vram.write(4 * 4096, b"a")
        mine = log.get_dirty_log()
        assert list(mine) == ([4] if name != "srcu" or switched else [])
        go_on.set()
        assert machine.runner.hold(30)
        assert list(found | mine | log.get_dirty_log()) == [0, 4]


class WaitsForExits(Held):
    """A harvest waits for the end of the exit that is being handled, as that of `srcu` does."""

    given_up = waited = 0

    def harvest(self) -> DirtyLog:
        deadline = monotonic() + 10
        self.waited += self.depth > 0
        while self.depth:
            if monotonic() > deadline:
                self.given_up += 1
                break
            sleep(0)
        return super().harvest()


@needs_kvm
def test_a_harvest_that_waits_holds_nothing_that_the_exit_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KEEPERS, "held", WaitsForExits)
    code = bytes.fromhex(
        "B8 13 00 CD 10 BA CE 03 B0 06 EE 42"  # mode 13h; out 3CEh, 6; dx = 3CFh
        "B0 05 EE B0 0D EE EB F8"  # the window moves to A0000h, to B8000h, and so on
    )
    with Machine(disk(tmp_path, code), cpu="kvm", dirty_log="held", free=True) as machine:
        kept = keeper(machine)
        assert isinstance(kept, WaitsForExits)
        for _ in range(2000):
            machine.vram.write(0, b"a")
            sleep(0.0005)
            assert machine.tick()
            if kept.waited > 5 or kept.given_up:
                break
        assert kept.given_up == 0
        assert kept.waited > 5
