"""The model of `beam_model` and vgaemu show the same."""

from __future__ import annotations

import os

import numpy as np
import pytest
from beam_harness import differences, planes_of, registers_of
from beam_model import picture
from beam_registers import timing_of
from random_beams import RandomBeam, main

from vgaemu.display.screen import full_redraw
from vgaemu.memslot import Memslot
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import MODES, TWEAKS, set_mode


def vga_in(mode: int | str, seed: int = 0) -> Vga:
    """In a mode, with random bytes in all of VRAM that it shows and random colours."""
    vga = Vga(Memslot(64))
    set_mode(vga, mode)
    rng = np.random.default_rng(seed)
    vga.slot.array[:] = rng.integers(0, 256, vga.slot.nbytes, np.uint8)
    vga.slot.mark_dirty(0, vga.slot.nbytes)
    for value in rng.integers(0, 64, 768).tolist():
        vga.outb(0x3C9, value)
    for value in (0x31, 0x2A):  # the border
        vga.outb(0x3C0, value)
    return vga


def two_fields_ns(vga: Vga) -> int:
    timing = timing_of(registers_of(vga))
    return int(2.5 * timing.dots * 1e9 / timing.clock_hz)


@pytest.mark.turns(7)
@pytest.mark.parametrize("shown", [True, False], ids=["shown", "hidden"])
@pytest.mark.parametrize("mode", [*MODES, *TWEAKS])
def test_still_pictures_of_all_modes(mode: int | str, shown: bool) -> None:
    vga = vga_in(mode)
    model = picture(
        registers_of(vga), [], planes_of(vga), two_fields_ns(vga), blink_shown=shown, border=True
    )
    found = differences(full_redraw(vga, 0 if shown else 16, border=True), model)
    assert not found, found


def test_random_registers_at_random_places_of_the_beam() -> None:
    """Another few series each day."""
    first = 1000 * int(os.environ["VGAEMU_FUZZ_SEED"])
    colours = []
    for seed in range(first, first + 10):
        series = RandomBeam(seed)
        found = series.play()
        assert not found, f"python tests/random_beams.py {seed} 1: {found}"
        colours += series.colours
    assert np.median(colours) > 4  # most are not black


@pytest.mark.long
def test_thousands_of_random_registers_at_random_places_of_the_beam() -> None:
    """What ``python tests/random_beams.py 0 5000`` does."""
    assert main(0, 5000) == 0
