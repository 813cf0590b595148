"""The modes: size, colours, registers, palette and rate of each, and the table that lists them."""

import re

import numpy as np
import pytest

import vgaemu
from vgaemu.cli.main import main
from vgaemu.display.base import BaseDisplay
from vgaemu.display.loop import DisplayLoop
from vgaemu.display.screen import Screen
from vgaemu.errors import ModeError
from vgaemu.memslot import Memslot
from vgaemu.vga.beam import timing_of
from vgaemu.vga.catalogue import catalogue, colours_of, row_of
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import (
    MODES,
    TWEAKS,
    default_palette,
    find_mode,
    set_dispi_mode,
    set_mode,
    with_cell_height,
)
from vgaemu.vga.registers import CRTC_PLACES
from vgaemu.vga.scanout import scanout_of

#: number -> pixels, text, colours, frames a second; from the BIOS's list of modes.
EXPECTED = {
    0x00: ((360, 400), (40, 25), 16, 70.09),
    0x01: ((360, 400), (40, 25), 16, 70.09),
    0x02: ((720, 400), (80, 25), 16, 70.09),
    0x03: ((720, 400), (80, 25), 16, 70.09),
    0x04: ((320, 200), None, 4, 70.09),
    0x05: ((320, 200), None, 4, 70.09),
    0x06: ((640, 200), None, 2, 70.09),
    0x07: ((720, 400), (80, 25), 3, 70.09),
    0x0D: ((320, 200), None, 16, 70.09),
    0x0E: ((640, 200), None, 16, 70.09),
    0x0F: ((640, 350), None, 3, 70.09),
    0x10: ((640, 350), None, 16, 70.09),
    0x11: ((640, 480), None, 2, 59.94),
    0x12: ((640, 480), None, 16, 59.94),
    0x13: ((320, 200), None, 256, 70.09),
}
#: Lines a frame -> frames a second at 31.47 kHz, and what a wider clock makes of it.
TWEAKED_HZ = {200: 70.09, 240: 59.94, 400: 70.09, 480: 59.94}


@pytest.fixture
def vga():
    return Vga(Memslot(64))


def test_all_bios_modes_are_here():
    assert MODES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("number", EXPECTED)
def test_size_colours_and_rate(number, vga):
    set_mode(vga, number)
    scanout = scanout_of(vga)
    size, text, colours, hertz = EXPECTED[number]
    assert (scanout.width, scanout.height) == size
    assert scanout.is_text == (text is not None)
    if text is not None:
        assert (scanout.rows.columns, scanout.height // scanout.rows.geometry.row_lines) == text
    assert colours_of(scanout) == colours
    assert timing_of(*vga.timing_key()).refresh_hz == pytest.approx(hertz, abs=0.005)
    assert not scanout.colours.blank


def test_every_name_of_the_catalogue_is_a_mode():
    assert find_mode("320x200x256") is MODES[0x13]
    assert all(find_mode(mode.name) is mode for mode in (*MODES.values(), *TWEAKS.values()))


@pytest.mark.parametrize("mode", [*MODES, *TWEAKS], ids=str)
def test_registers_read_back_as_in_the_table(mode, vga):
    set_mode(vga, mode)
    table = find_mode(mode)
    status = 0x3DA if table.misc & 1 else 0x3BA
    assert vga.inb(0x3CC) == table.misc
    for port, values, first in (
        (0x3C4, table.sequencer, 1),
        (0x3CE, table.graphics, 0),
        (status - 6, table.crtc, 0),
    ):
        for index, value in enumerate(values, first):
            vga.outb(port, index)
            assert vga.inb(port + 1) == value, f"{port:03X}h index {index:02X}h"
    for index, value in enumerate(table.attribute + b"\x00"):
        vga.inb(status)
        vga.outb(0x3C0, index | 0x20)
        assert vga.inb(0x3C1) == value, f"attribute {index:02X}h"
    assert vga.inb(0x3C6) == 0xFF
    vga.outb(0x3C7, 0)
    assert bytes(vga.inb(0x3C9) for _ in range(768)) == default_palette(table.palette)


@pytest.mark.parametrize("before", [0x13, 0x12, 3, "320x240 unchained", "dispi"], ids=str)
@pytest.mark.parametrize("mode", [*MODES, *TWEAKS], ids=str)
def test_a_mode_is_set_alike_whatever_was_before(before, mode):
    """Whatever masks and functions hold, they must not bend the font or the blanks."""
    fresh, used = Vga(Memslot(256)), Vga(Memslot(256))
    if before == "dispi":
        set_dispi_mode(used, 640, 480, 8)
    else:
        set_mode(used, before)
    used.outw(0x3D4 if used.misc["colour_ports"] else 0x3B4, 0x0011)
    for port, index in ((0x3C4, 2), (0x3CE, 0), (0x3CE, 1), (0x3CE, 3), (0x3CE, 5), (0x3D4, 8)):
        used.outw(port, 0xFF00 | index)
    used.outw(0x3CE, 0x1208)
    for vga in (fresh, used):
        set_mode(vga, mode)
    assert bytes(fresh.crtc.values) == bytes(used.crtc.values)
    with_pictures = []
    for vga in (fresh, used):
        loop = DisplayLoop(vga, BaseDisplay())
        loop.draw_frame()
        with_pictures.append((scanout_of(vga), loop.screen.frame.copy()))
        loop.close()
    assert with_pictures[0][0] == with_pictures[1][0]
    assert np.array_equal(with_pictures[0][1], with_pictures[1][1])


@pytest.mark.parametrize("name", TWEAKS)
def test_tweaks_are_what_their_names_say(name, vga):
    set_mode(vga, name)
    scanout = scanout_of(vga)
    width, height = map(int, re.match(r"(\d+)x(\d+)", name).groups())
    if scanout.is_text:
        assert (scanout.rows.columns, scanout.height / scanout.rows.geometry.row_lines) == (
            width,
            height,
        )
    else:
        assert (scanout.width, scanout.height) == (width, height)
        # Misc output's 25 MHz for 640 dots, 28 MHz for 720: the line rate stays near the same.
        rate = timing_of(*vga.timing_key()).refresh_hz
        assert rate == pytest.approx(TWEAKED_HZ[height], abs=0.5)


@pytest.mark.parametrize("name", [name for name in TWEAKS if "unchained" in name])
def test_unchained_modes_show_what_their_planes_hold(name):
    with vgaemu.Machine() as machine:
        guest = machine.guest
        guest.set_mode(name)
        width, height = guest.canvas.width, guest.canvas.height
        picture = np.random.default_rng(1).integers(0, 256, (height, width), np.uint8)
        guest.canvas.blit(0, 0, picture)
        machine.tick()
        colours = machine.vga.dac.colours()
        assert np.array_equal(machine.screen.frame, colours[picture])


def test_the_lock_is_on_after_a_mode_set(vga):
    set_mode(vga, "320x240 unchained")
    vga.outw(0x3D4, 0x1200)
    assert vga.crtc.values[0] == 0x5F


@pytest.mark.parametrize("height", range(1, 33))
def test_cell_heights_fill_whole_rows(height):
    crtc = with_cell_height(MODES[3].crtc, height)
    last = CRTC_PLACES["vertical_display_end"].read(crtc)
    assert (last + 1) % height == 0
    assert 400 - height < last + 1 <= 400
    assert crtc[0x0A] <= crtc[0x0B] < height
    assert (crtc[9] & 0x1F, crtc[9] & 0xE0) == (height - 1, MODES[3].crtc[9] & 0xE0)


def test_a_cell_height_of_its_own_changes_nothing():
    assert with_cell_height(MODES[3].crtc, 16) == MODES[3].crtc
    assert with_cell_height(MODES[7].crtc, 16) == MODES[7].crtc


# --- palettes ---------------------------------------------------------------------------------


def palette(name):
    return np.frombuffer(default_palette(name), np.uint8).reshape(256, 3)


def test_ega_colours_by_their_bits():
    for c, rgb in enumerate(palette("ega")[:64].tolist()):
        bits = [(c >> n & 1) * 0x2A + (c >> n + 3 & 1) * 0x15 for n in (2, 1, 0)]
        assert rgb == bits
    assert not palette("ega")[64:].any()


def test_cga_palette_repeats_eight_and_eight():
    ega = palette("ega")[[0, 1, 2, 3, 4, 5, 0x14, 7, *range(0x38, 0x40)]]
    cga = palette("cga")
    for start, colours in ((0, ega[:8]), (16, ega[8:])):
        for i in range(start, 64, 32):
            assert np.array_equal(cga[i : i + 16], np.tile(colours, (2, 1)))


def test_mono_palette_is_black_grey_white():
    expected = np.repeat([0, 0x2A, 0x3F], [8, 16, 8])
    assert np.array_equal(palette("mda")[:64], np.tile(expected, 2)[:, None].repeat(3, axis=1))


def test_vga_palette_greys_and_hues():
    vga = palette("vga")
    assert vga[16:32, 0].tolist() == [
        0, 5, 8, 11, 14, 17, 20, 24, 28, 32, 36, 40, 45, 50, 56, 63,
    ]  # fmt: skip
    assert (vga[16:32].min(axis=1) == vga[16:32].max(axis=1)).all()
    assert vga[32].tolist() == [0, 0, 63]
    assert vga[40].tolist() == [63, 0, 0]
    assert vga[48].tolist() == [0, 63, 0]
    # Each block of 24 keeps its brightest and its darkest level in every hue.
    for start in range(32, 248, 24):
        block = vga[start : start + 24]
        assert len(np.unique(block.max(axis=1))) == 1
        assert len(np.unique(block.min(axis=1))) == 1
    assert not vga[248:].any()


# --- names, numbers, lists ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "says"), [(0x08, "08h; there are 00h, 01h"), ("80x99 text", "'80x99 text'; there are")]
)
def test_a_mode_that_is_not_there(mode, says, vga):
    before = vga.generation
    with pytest.raises(ModeError, match=re.escape(says)):
        set_mode(vga, mode)
    assert vga.generation == before


@pytest.mark.parametrize("wanted", [(2562, 480, 8), (640, 1601, 8), (641, 480, 8), (640, 480, 12)])
def test_dispi_modes_that_are_refused(wanted):
    with pytest.raises(ModeError, match="no DISPI mode"):
        set_dispi_mode(Vga(Memslot(4096)), *wanted)


def test_dispi_modes_need_memory(vga):
    with pytest.raises(ModeError, match=r"in 0\.25 MiB"):
        set_dispi_mode(vga, 640, 480, 8)
    set_dispi_mode(vga, 512, 512, 8)


@pytest.mark.parametrize("bits", [4, 8, 15, 16, 24, 32])
def test_dispi_modes_are_open_at_a0000(bits):
    vga = Vga(Memslot(4096))
    set_mode(vga, 3)
    set_dispi_mode(vga, 640, 480, bits)
    vga.store(0xA0000, b"\xff" * 80)
    scanout = scanout_of(vga)
    assert (scanout.width, scanout.height, scanout.colours.blank) == (640, 480, False)
    assert vga.load(0xA0000, 80) == b"\xff" * 80
    assert vga.slot.array[: 80 * (4 if bits == 4 else 1)].all()


def test_catalogue_has_every_mode_on_a_line_of_its_own(capsys):
    assert main(["modes"]) == 0
    out = capsys.readouterr().out
    assert out == catalogue() + "\n"
    lines = out.splitlines()
    assert len({len(line) for line in lines if line.startswith("mode")}) == 1
    for mode in [*MODES.values(), *TWEAKS.values()]:
        number = "" if mode.number is None else f"{mode.number:02X}h"
        assert sum(line.startswith(f"{number:4}  {mode.name} ") for line in lines) == 1
    assert max(map(len, lines)) <= 110


def test_catalogue_rows_say_what_the_registers_say(vga):
    assert row_of(vga, MODES[4])[2:] == (
        "320x200", "", "", "4", "B8000h  2 bits a pixel, odd rows at 2000h", "70.09",
    )  # fmt: skip
    assert row_of(vga, TWEAKS["80x50 text"])[2:6] == ("720x400", "80x50", "9x8", "16")


@pytest.mark.parametrize(("last_line", "doubled", "rows"), [
    (399, 0, 25), (399, 0x80, 13), (398, 0, 25), (398, 0x80, 13), (384, 0x80, 13),
])  # fmt: skip
def test_a_text_mode_is_named_by_the_rows_that_it_shows(last_line, doubled, rows):
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    vga.crtc.values[0x12] = last_line & 0xFF
    vga.crtc.values[0x09] |= doubled
    screen = Screen(vga)
    assert screen.info.mode_name == f"text 80x{rows}"
    assert len(screen.text()) == rows
