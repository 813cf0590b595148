"""AR10 bit 6 with every shift, and in text: two 4-bit pixels are one of 256 colours."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray
from shadow import Watched
from test_blanking import screen

from vgaemu.display.screen import Screen, full_redraw
from vgaemu.vga.device import Vga
from vgaemu.vga.ports import GC, SEQ, Ports
from vgaemu.vga.scanout import scanout_of

#: Mode, and what GR05 says.
SHIFTS = {"planar": (0x12, 0x00), "interleave": (0x12, 0x20), "CGA": (4, 0x30), "text": (3, 0x10)}


def numbers_of(vga: Vga) -> NDArray[np.uint8]:
    """The 4-bit pixels, without AR10 bit 6 and any palette."""
    found = Screen(vga).indices()
    assert found is not None
    return found


def pair_up(vga: Vga, more: int = 0) -> None:
    Ports(vga).set_attribute(0x10, vga.attribute.values[0x10] & ~8 | 0x40 | more)


def paired(vga: Vga, numbers: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """What pairs of the numbers look like: palette registers' low halves, plane enable, DAC."""
    palette = np.array(vga.attribute.values[:16]) & 15
    half = palette[numbers & vga.attribute["planes_shown"]]
    half = half[:, : half.shape[1] // 2 * 2]
    colours: NDArray[np.uint32] = vga.dac.colours().take(half[:, ::2] << 4 | half[:, 1::2])
    return colours


def shifted(name: str) -> Vga:
    mode, gr05 = SHIFTS[name]
    vga = screen(mode)
    Ports(vga).set(GC, 5, gr05)
    return vga


@pytest.mark.parametrize("name", SHIFTS)
def test_two_4_bit_pixels_are_one_of_256_colours(name: str) -> None:
    vga = shifted(name)
    Ports(vga).set_attribute(0x10, vga.attribute.values[0x10] & ~8)
    for planes, palette in ((15, 7), (15, 0x2A), (6, 7)):
        Ports(vga).set_attribute(0x12, planes)
        Ports(vga).set_attribute(0x07, palette)
        Ports(vga).set_attribute(0x10, vga.attribute.values[0x10] & ~0x40)
        numbers = numbers_of(vga)
        pair_up(vga)
        assert np.array_equal(full_redraw(vga, 0), paired(vga, numbers))


def test_an_odd_dot_at_the_right_is_left_out() -> None:
    vga = screen(3)
    vga.outw(0x3D4, 0x0601)  # 7 columns of 9 dots
    Ports(vga).set_attribute(0x10, 0x04)
    numbers = numbers_of(vga)
    pair_up(vga)
    assert scanout_of(vga).width == 31
    assert np.array_equal(full_redraw(vga, 0), paired(vga, numbers))


@pytest.mark.parametrize("name", ["planar", "interleave", "text"])
def test_panning_moves_whole_pixels(name: str) -> None:
    vga = shifted(name)
    if name == "text":
        vga.outw(0x3C4, 0x0101)
    pair_up(vga)
    before = full_redraw(vga, 0)
    for pan in range(8):
        Ports(vga).set_attribute(0x13, pan)
        frame, moved = full_redraw(vga, 0), pan // 2
        assert np.array_equal(frame[:, : -4 - moved], before[:, moved:-4])


def test_it_is_256_colours_and_half_as_wide() -> None:
    vga = shifted("planar")
    pair_up(vga)
    scanout = scanout_of(vga)
    assert (scanout.width, scanout.mode_name) == (320, "320x480x256")
    assert len(Screen(vga).palette) == 256


def test_the_border_and_blanking_know_it() -> None:
    vga = shifted("planar")
    pair_up(vga)
    vga.outw(0x3D4, 0x4502)  # CR02: characters from 70 on
    frame = full_redraw(vga, 0, border=True)
    assert frame.shape == (496, 4 + 320)
    assert not frame[8:-8, 4 + 4 * 70 :].any()
    assert frame[8:-8, 4 : 4 + 4 * 70].all()


@pytest.mark.parametrize("name", SHIFTS)
def test_a_display_that_copies_rectangles_misses_nothing(name: str) -> None:
    draw, vga = random.Random(name), shifted(name)
    watched = Watched(vga)
    start = {"text": 0xB8000, "CGA": 0xB8000}.get(name, 0xA0000)
    for _ in range(24):
        kind = draw.randrange(8)
        if kind == 0:
            Ports(vga).set_attribute(0x10, vga.attribute.values[0x10] ^ draw.choice((0x40, 8)))
        elif kind == 1:
            Ports(vga).set_attribute(draw.choice((0x07, 0x12, 0x13)), draw.getrandbits(4))
        elif kind == 2:
            Ports(vga).write_dac(draw.getrandbits(8), draw.choices(range(64), k=3))
        elif kind == 3:
            Ports(vga).set(SEQ, 1, vga.sequencer.values[1] ^ draw.choice((1, 0x20)))
        elif kind == 4:
            vga.outw(0x3D4, draw.choice((0x0A0E, 0x000D, 0x070D, 0x200F, 0x210F)))
        for _ in range(draw.randrange(4)):
            data = draw.randbytes(draw.choice((1, 2, 90, 700)))
            vga.store(start + draw.randrange(7000), data)
        watched.frame()
    watched.loop.close()
