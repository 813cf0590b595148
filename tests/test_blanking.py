"""Blanking inside the picture: a letterbox, a hidden edge, and what is redrawn then."""

from __future__ import annotations

import random

import numpy as np
import pytest
from numpy.typing import NDArray
from shadow import Watched

from vgaemu.display.screen import full_redraw
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.vga.blanking import blanked_parts, counts_until, ranges_of
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import MODES, NAMES, set_mode
from vgaemu.vga.ports import Ports
from vgaemu.vga.scanout import scanout_of
from vgaemu.vga.vram import LFB_GPA


def screen(mode: int, **crtc: int) -> Vga:
    """A device with a picture without black pixels; `crtc` are registers by `crXX`."""
    vga = Vga(Memslot(64, LFB_GPA >> 12))
    set_mode(vga, mode)
    vga.outw(0x3D4, 0x0E11)
    noise = np.random.default_rng(mode).integers(1, 255, 65536, dtype=np.uint8)
    vga.slot.array[: 64 * 4096] = np.tile(noise, 4)
    vga.slot.mark_dirty(0, vga.slot.nbytes)
    for index in range(256):
        Ports(vga).write_dac(index, (index & 31 | 32, 9, 63 - (index >> 2)))
    change(vga, **crtc)
    return vga


def change(vga: Vga, **crtc: int) -> None:
    for name, value in crtc.items():
        vga.outw(0x3D4, value << 8 | int(name[2:], 16))


def dark(vga: Vga) -> NDArray[np.bool_]:
    """Which pixels of the picture are black."""
    found: NDArray[np.bool_] = full_redraw(vga, 0) == 0
    return found


# --- the counters -----------------------------------------------------------------------------


def by_flip_flop(start: int, end: int, bits: int, total: int, displayed: int) -> list[bool]:
    """What a flip-flop that start and end set and clear says in its third round."""
    blanking, wanted = False, []
    for n in range(3 * total):
        count = n % total
        if n >= 2 * total:
            wanted.append(blanking)
        if blanking and count & bits == end:
            blanking = False  # from the next count on
        if count == start:
            blanking = True
    return wanted[:displayed]


@pytest.mark.parametrize("bits", [0x3F, 0x7F])
def test_ranges_are_what_a_flip_flop_would_show(bits: int) -> None:
    draw = random.Random(bits)
    for _ in range(400):
        total = draw.choice((5, 40, 64, 100, 130))
        start, end = draw.randrange(total + 9), draw.randrange(bits + 1)
        displayed = draw.randrange(1, total + 1)
        wanted = by_flip_flop(start, end, bits, total, displayed)
        got = [False] * total
        for first, last in ranges_of(start + 1, counts_until(start, end, bits, total), total):
            assert 0 <= first < last <= total
            got[first:last] = [True] * (last - first)
        assert got[:displayed] == wanted, (start, end, bits, total, displayed)


@pytest.mark.parametrize("mode", [*MODES, *NAMES])
def test_no_mode_of_ours_blanks_a_part_of_its_picture(mode: int | str) -> None:
    vga = Vga(Memslot(256))
    set_mode(vga, mode)
    assert scanout_of(vga).blanked == ()


# --- pictures ---------------------------------------------------------------------------------

#: Mode, registers, and what is black: ranges of scan lines, and of dots in each.
PICTURES: dict[str, tuple[int, dict[str, int], list[tuple[int, int]], list[tuple[int, int]]]] = {
    "letterbox below": (0x13, {"cr15": 339 & 0xFF}, [(340, 400)], []),
    # No line after 369 has the low bits of 70 but one of the next frame.
    "letterbox": (0x13, {"cr15": 369 & 0xFF, "cr16": 70}, [(0, 71), (370, 400)], []),
    "a row of 13h is cut": (0x13, {"cr15": 340 & 0xFF}, [(341, 400)], []),
    # 313 has the low bits of 441, CR16 of this mode: at most 128 lines are blanked.
    "too early": (0x13, {"cr15": 299 & 0xFF}, [(300, 314)], []),
    # Bit 8 of CR15 is CR07 bit 3. From 101 to 200: 200 & 7Fh = 48h.
    "a band": (0x12, {"cr07": 0x36, "cr15": 100, "cr16": 0x48}, [(101, 201)], []),
    "bit 7 of CR16 counts not": (0x12, {"cr07": 0x36, "cr15": 100, "cr16": 0xC8}, [(101, 201)], []),
    # To character 2 of the next line: CR03 bits 0-4 = 2, and bit 5 in CR05 = 0.
    "left edge": (0x12, {"cr03": 0x82, "cr05": 0x00}, [], [(0, 24)]),
    "right edge": (0x12, {"cr02": 69}, [], [(560, 640)]),
    "both": (0x13, {"cr02": 69, "cr03": 0x82, "cr05": 0x00}, [], [(0, 24), (560, 640)]),
    "a column": (0x12, {"cr02": 9, "cr03": 0x93, "cr05": 0x00}, [], [(80, 160)]),
    "9 dots": (3, {"cr02": 69}, [], [(630, 720)]),
    "text rows cut": (3, {"cr15": 100, "cr07": 0x17, "cr16": 0x48}, [(101, 201)], []),
    "40 columns": (1, {"cr02": 35}, [], [(324, 360)]),
    "cross": (0x12, {"cr15": 419 & 0xFF, "cr02": 69}, [(420, 480)], [(560, 640)]),
    # No character of 37 has 3Fh.
    "all": (0x12, {"cr00": 32, "cr01": 31, "cr02": 16, "cr03": 0x9F}, [(0, 480)], []),
    "never begins": (0x12, {"cr02": 0xF0}, [], []),
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name: str) -> None:
    mode, crtc, lines, dots = PICTURES[name]
    vga = screen(mode, **crtc)
    got = dark(vga)
    height = vga.crtc["vertical_display_end"] + 1
    got = np.repeat(got, height // got.shape[0], axis=0)
    wanted = np.zeros((height, got.shape[1]), np.bool_)
    for first, end in lines:
        wanted[first:end] = True
    scale = 2 if mode == 0x13 else 1  # dots a pixel
    for first, end in dots:
        wanted[:, first // scale : end // scale] = True
    assert np.array_equal(got, wanted)


def test_what_is_not_black_is_as_it_was() -> None:
    vga = screen(0x13)
    before = np.repeat(full_redraw(vga, 0), 2, axis=0)
    change(vga, cr15=339 & 0xFF, cr02=69)
    after = full_redraw(vga, 0)
    assert np.array_equal(after[:300, :280], before[:300, :280])


def test_without_retrace_a_monitor_is_black() -> None:
    vga = screen(3)
    Ports(vga).set_attribute(0x11, 0x3F)
    assert not dark(vga).all()
    change(vga, cr17=0x23)
    assert dark(vga).all()
    assert scanout_of(vga).colours.border == 0
    change(vga, cr17=0xA3)
    assert not dark(vga).all()


def test_linear_modes_know_no_blanking() -> None:
    vga = screen(0x13, cr02=9, cr15=9, cr17=0x00)
    ports = Ports(vga)
    for index, value in ((1, 320), (2, 200), (3, 8), (4, 0x41)):
        ports.set_dispi(index, value)
    vga.slot.array[:] = 7
    assert not dark(vga).any()


# --- what is redrawn --------------------------------------------------------------------------


def test_a_store_where_it_is_black_draws_nothing() -> None:
    vga = screen(0x13, cr15=339 & 0xFF)
    watched = Watched(vga)
    watched.frame()
    vga.store(0xA0000 + 320 * 180, bytes(640))
    report = watched.frame()
    assert (list(report.rects), report.log.pages().size > 0) == ([], True)
    vga.store(0xA0000, bytes(range(64)))
    report = watched.frame()
    assert report.rects
    assert all(rect.y + rect.height <= 340 for rect in report.rects)


@pytest.mark.parametrize(("mode", "at"), [(3, 0xB8000), (0x12, 0xA0000), (0x13, 0xA0000)])
def test_a_display_that_copies_rectangles_misses_nothing(mode: int, at: int) -> None:
    draw = random.Random(mode)
    vga = screen(mode)
    watched = Watched(vga)
    registers = (0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x09, 0x15, 0x16)
    usual = {index: vga.crtc.values[index] for index in registers}
    for number in range(36):
        for _ in range(draw.randrange(3)):
            index = draw.choice(registers[2:5] + registers[-2:])
            change(vga, **{f"cr{index:02x}": draw.choice((draw.getrandbits(8), usual[index]))})
        if number % 10 == 9:
            change(vga, **{f"cr{index:02x}": value for index, value in usual.items()})
        for _ in range(draw.randrange(4)):
            vga.store(at + draw.randrange(4000), draw.randbytes(draw.choice((1, 2, 90, 700))))
        watched.frame()
    watched.loop.close()


def test_a_letterbox_that_opens_line_by_line_has_one_size() -> None:
    vga = screen(0x13, cr15=200, cr07=0x17)
    watched = Watched(vga)
    for line in range(200, 256):
        change(vga, cr15=line)
        report = watched.frame()
        assert report.redraw == ("resize" if line == 200 else "everything")
    assert watched.display.frame.shape == (400, 320)
    assert len(watched.display.resized) == 1


def test_the_picture_of_a_machine() -> None:
    with Machine(mode=3) as machine:
        machine.vga.outw(0x3D4, 0x0E11)
        machine.vga.store(0xB8000, b"\xdb\x07" * 2000)
        change(machine.vga, cr02=39)
        machine.tick()
        assert not machine.screen.rgb()[:, 360:].any()
        assert machine.screen.rgb()[:, :360].all()


def test_parts_are_remembered() -> None:
    """A scanout is made at each write of a register: the rule is not worked out anew."""
    vga = screen(0x13, cr15=200)
    assert blanked_parts(vga.crtc.values, 4) is blanked_parts(vga.crtc.values, 4)
