"""Raster programs in machine code look as an independent VGA draws them, dot by dot.

Their sources are `raster/*.asm`. Each waits for the beam, and writes registers while the picture is
drawn; what it wrote, and when, goes into the model of `beam_model`.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from beam_harness import Tap, differences, expected
from shadow import ShadowDisplay

from vgaemu import Machine

RASTER = Path(__file__).parent / "raster"
PROGRAMS = sorted(path.stem for path in RASTER.glob("*.asm"))
#: Frames that a program has to set its mode and fill VRAM, and those of a trace up to the one that
#: is looked at: three fields.
SETS_UP, TRACED = 4, 3
#: What the other ways to run one are tried with: colours, dots, counters, latches.
SOME = ["bars_text", "pan_bars", "split_palette", "timer", "zoom_rows"]


@pytest.mark.turns(12)
@pytest.mark.skipif(shutil.which("nasm") is None, reason="nasm is not here")
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_their_sources(name: str, tmp_path: Path) -> None:
    built = tmp_path / "built.com"
    subprocess.run(
        ["nasm", "-f", "bin", f"{name}.asm", "-o", built], check=True, timeout=60, cwd=RASTER
    )
    assert built.read_bytes() == (RASTER / f"{name}.com").read_bytes()


def looks_right(name: str, *, traces: int = 1, border: bool = False) -> None:
    """A program in step, to a display that copies only rectangles; one frame of each trace."""
    tap, shadow = Tap(), ShadowDisplay()
    with Machine(RASTER / f"{name}.com", trace_ports=tap, display=shadow, border=border) as machine:
        machine.tick(SETS_UP)
        for _ in range(traces):
            tap.start(machine)
            machine.tick(TRACED)
            found = differences(shadow.frame, expected(machine, tap, border=border))
            assert not found, f"{name}, frame {machine.frames}: {found}"


@pytest.mark.turns(9)
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_look_as_the_model_draws_them(name: str) -> None:
    looks_right(name)


@pytest.mark.long
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_go_on_looking_so(name: str) -> None:
    """For a second, with its border: ``pytest -m long tests/test_beam_programs.py``."""
    looks_right(name, traces=20, border=True)


@pytest.mark.turns(8)
@pytest.mark.parametrize("name", SOME)
@pytest.mark.parametrize("instructions", [250, 1_900, 40_000])
def test_slices_of_any_length_show_the_same(
    name: str, instructions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vgaemu.pc.cpu.unicorn.SLICE", instructions)
    looks_right(name)


def run_for(machine: Machine, tap: Tap, guest_ns: int) -> None:
    """Until so much of the guest's time has passed: a busy host is behind it."""
    until = tap.clock.now_ns() + guest_ns
    while tap.clock.now_ns() < until:
        machine.run(machine.frames + 1)


@pytest.mark.turns(5)
@pytest.mark.parametrize("name", SOME)
def test_a_guest_on_a_thread_of_its_own_looks_the_same(name: str) -> None:
    tap = Tap()
    with Machine(RASTER / f"{name}.com", trace_ports=tap, free=True) as machine:
        run_for(machine, tap, 100_000_000)
        assert machine.runner.hold(5)
        tap.start(machine)
        machine.runner.release()
        run_for(machine, tap, 50_000_000)
        assert machine.runner.hold(5)
        machine.draw_frame()
        found = differences(machine.screen.frame, expected(machine, tap))
        assert not found, found


@pytest.mark.turns(5)
@pytest.mark.parametrize("name", SOME)
def test_a_state_saved_in_mid_field_goes_on(name: str, tmp_path: Path) -> None:
    path, program = tmp_path / "state.npz", RASTER / f"{name}.com"
    tap = Tap()
    with Machine(program, trace_ports=tap) as machine, Machine(program) as other:
        machine.tick(SETS_UP)
        tap.start(machine)
        machine.tick(TRACED)
        machine.save_state(path)
        other.load_state(path)
        other.draw_frame()
        found = differences(other.screen.frame, expected(machine, tap))
        assert not found, found
        for _ in range(3):
            machine.tick()
            other.tick()
            assert np.array_equal(other.screen.frame, machine.screen.frame)
