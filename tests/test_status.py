"""Input status 1 and feature control: bits beside display enable and retrace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_blanking import change

from vgaemu.memslot import Memslot
from vgaemu.vga.beam import NOT_DISPLAYING, VERTICAL_RETRACE
from vgaemu.vga.device import NO_LIGHT_PEN, Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.state import load_state, save_state


def in_mode(mode: int) -> Vga:
    vga = Vga(Memslot(256))
    set_mode(vga, mode)
    return vga


def statuses(vga: Vga, port: int) -> set[int]:
    return {vga.inb(port) for _ in range(3400)}  # a field of 60 Hz is 3337 looks


@pytest.mark.parametrize(("mode", "port"), [(3, 0x3DA), (7, 0x3BA)])
def test_feature_control(mode: int, port: int) -> None:
    vga = in_mode(mode)
    displaying = NO_LIGHT_PEN
    blanked, retrace = displaying | NOT_DISPLAYING, displaying | NOT_DISPLAYING | VERTICAL_RETRACE
    assert statuses(vga, port) == {displaying, blanked, retrace}
    for value in (0x00, 0x01, 0xF7, 0x08, 0xFF):
        vga.outb(port, value)
        assert vga.inb(0x3CA) == value & 8
    assert statuses(vga, port) == {displaying | VERTICAL_RETRACE, blanked, retrace}
    vga.outb(port, 0xF7)
    assert statuses(vga, port) == {displaying, blanked, retrace}


def test_no_look_is_0_with_all_of_it_displayed() -> None:
    vga = in_mode(0x13)
    change(vga, cr11=0)
    assert 0 not in statuses(vga, 0x3DA)


def test_writing_leaves_the_flip_flop() -> None:
    vga = in_mode(3)
    vga.inb(0x3DA)
    vga.outb(0x3C0, 0x31)
    vga.outb(0x3DA, 0)
    vga.outb(0x3C0, 5)
    assert vga.attribute["overscan_colour"] == 5


def test_it_is_saved(tmp_path: Path) -> None:
    vga, other, path = in_mode(3), in_mode(3), tmp_path / "a.npz"
    vga.outb(0x3DA, 8)
    save_state(vga, path)
    load_state(other, path)
    assert other.inb(0x3CA) == 8


def test_a_state_of_before_it_was_saved_has_none(tmp_path: Path) -> None:
    vga, path = in_mode(3), tmp_path / "a.npz"
    save_state(vga, path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive if name != "feature_control"}
    np.savez(path, **arrays | {"version": np.asarray(3, "u4")})
    vga.outb(0x3DA, 8)
    load_state(vga, path)
    assert vga.inb(0x3CA) == 0
