"""The model of `beam_model` and vgaemu show the same."""

from __future__ import annotations

import numpy as np
import pytest
from beam_harness import differences, planes_of, registers_of
from beam_model import picture
from beam_registers import timing_of

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
    return vga


def two_fields_ns(vga: Vga) -> int:
    timing = timing_of(registers_of(vga))
    return int(2.5 * timing.dots * 1e9 / timing.clock_hz)


@pytest.mark.turns(4)
@pytest.mark.parametrize("shown", [True, False], ids=["shown", "hidden"])
@pytest.mark.parametrize("mode", [*MODES, *TWEAKS])
def test_still_pictures_of_all_modes(mode: int | str, shown: bool) -> None:
    vga = vga_in(mode)
    model = picture(registers_of(vga), [], planes_of(vga), two_fields_ns(vga), blink_shown=shown)
    found = differences(full_redraw(vga, 0 if shown else 16), model)
    assert not found, found
