"""INT 10h where IBM's BIOS and later ones differ: what a call leaves in registers and memory.

Values are those of IBM's VGA BIOS by R. Brown's interrupt list and of DOSBox, which follows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from x86_helpers import call, disk, make_pc

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.video.cursor import emulated
from vgaemu.pc.pc import Pc
from vgaemu.vga.font import bundled_font
from vgaemu.vga.modes import MODES

pytest.importorskip("unicorn")


@pytest.fixture
def pc(tmp_path: Path) -> Iterator[Pc]:
    with make_pc(disk(tmp_path, b"\xf4")) as made:
        yield made


def cursor(pc: Pc) -> tuple[int, int]:
    ports = pc.bios.video.area.ports
    return ports.get_crtc(0x0A), ports.get_crtc(0x0B)


def palette(pc: Pc, *indexes: int) -> list[int]:
    return [pc.bios.video.area.ports.get_attribute(index) for index in indexes]


def glyph(pc: Pc, column: int, lines: int, pitch: int, start: int = 0xA0000) -> list[int]:
    """Lines of a character in a mode of one bit a pixel, or one of its planes."""
    return [pc.bus.read8(start + pitch * line + column) for line in range(lines)]


@pytest.mark.parametrize(
    ("asked", "height", "shape"),
    [
        # Off; as asked with bits of no line; nothing at all.
        (0x2607, 16, (0x1E, 0)), (0x2000, 8, (0x1E, 0)), (0x6607, 16, (0x66, 7)),
        (0x06E7, 16, (6, 0xE7)), (0x8607, 16, (0x86, 7)), (0x0600, 16, (6, 0)),
        # One that would wrap begins at its end.
        (0x0702, 16, (2, 15)), (0x0F01, 14, (1, 13)),
        # Those that are right for the cell stay.
        (0x0D0E, 16, (13, 14)), (0x000F, 16, (0, 15)), (0x0B0C, 14, (11, 12)), (0x0607, 8, (6, 7)),
        (0x0003, 16, (0, 3)), (0x0203, 16, (2, 3)),
        # A CGA's: underlines, half and full blocks.
        (0x0607, 16, (13, 14)), (0x0607, 14, (11, 12)), (0x0707, 16, (14, 14)),
        (0x0507, 16, (12, 14)), (0x0407, 16, (8, 15)), (0x0007, 16, (0, 15)), (0x0207, 14, (2, 13)),
        (0x0407, 14, (7, 13)), (0x0407, 8, (4, 7)), (0x1F1F, 16, (14, 14)), (0x0B0D, 8, (5, 7)),
    ],
)  # fmt: skip
def test_cursor_emulation(asked: int, height: int, shape: tuple[int, int]) -> None:
    assert emulated(asked >> 8, asked & 0xFF, height) == shape


def test_a_cursor_that_is_not_emulated(pc: Pc) -> None:
    call(pc, 0x10, ax=3)
    call(pc, 0x10, ax=0x0100, cx=0x0607)
    assert cursor(pc) == (13, 14)
    assert pc.bios.video.area[bda.CURSOR_SHAPE] == 0x0607
    call(pc, 0x10, ax=0x1201, bx=0x34)
    call(pc, 0x10, ax=0x0100, cx=0x0607)
    assert cursor(pc) == (6, 7)


@pytest.mark.parametrize("mode", MODES)
def test_the_cursors_shape_after_a_mode_set(pc: Pc, mode: int) -> None:
    call(pc, 0x10, ax=mode)
    call(pc, 0x10, ax=0x0300, bx=0)
    assert pc.cpu.cx == (0x0D0E if MODES[mode].is_text else 0)


@pytest.mark.parametrize(
    ("lines", "font", "rows", "displayed", "page_bytes", "shape"),
    [
        # 12h/30h: 400 lines (2), 350 (1), 200 (0); then 8x16, 8x14, 8x8.
        (2, 0x1114, 25, 400, 0x10A0, 0x0D0E), (2, 0x1111, 28, 392, 0x1280, 0x0B0C),
        (2, 0x1112, 50, 400, 0x2040, 0x0607), (1, 0x1114, 21, 336, 0x0E20, 0x0D0E),
        (1, 0x1111, 25, 350, 0x10A0, 0x0B0C), (1, 0x1112, 43, 344, 0x1BE0, 0x0607),
        (0, 0x1112, 25, 400, 0x10A0, 0x0607), (0, 0x1114, 12, 384, 0x0880, 0x0D0E),
    ],
)  # fmt: skip
def test_rows_after_a_font(
    pc: Pc, lines: int, font: int, rows: int, displayed: int, page_bytes: int, shape: int
) -> None:
    call(pc, 0x10, ax=0x1200 | lines, bx=0x30)
    call(pc, 0x10, ax=3)
    for _ in range(2):  # it stays so, and does not shrink
        call(pc, 0x10, ax=font, bx=0)
        area = pc.bios.video.area
        assert area[bda.LAST_ROW] + 1 == rows
        assert area.ports["vertical_display_end"] + 1 == displayed
        assert area[bda.PAGE_BYTES] == page_bytes
        assert area[bda.CURSOR_SHAPE] == shape
        assert cursor(pc) == (shape >> 8, shape & 0xFF)


def test_rows_come_back_after_another_font(pc: Pc) -> None:
    call(pc, 0x10, ax=3)
    call(pc, 0x10, ax=0x1111, bx=0)
    call(pc, 0x10, ax=0x1114, bx=0)
    assert pc.bios.video.area[bda.LAST_ROW] + 1 == 25
    assert pc.bios.video.area.ports["vertical_display_end"] + 1 == 400


def test_sixty_rows_in_480_lines(pc: Pc) -> None:
    call(pc, 0x10, ax=3)
    ports = pc.bios.video.area.ports
    ports["protect"] = 0
    ports.set_all(ports.crtc, {6: 0x0B, 7: 0x3E, 0x10: 0xEA, 0x12: 0xDF, 0x15: 0xE7, 0x16: 4})
    call(pc, 0x10, ax=0x1112, bx=0)
    area = pc.bios.video.area
    assert (area[bda.LAST_ROW], area[bda.PAGE_BYTES]) == (59, 60 * 160 + 0x100)
    assert ports["vertical_display_end"] + 1 == 480


@pytest.mark.parametrize("mode", MODES)
def test_the_palette_of_a_cga(pc: Pc, mode: int) -> None:
    call(pc, 0x10, ax=mode)
    before = palette(pc, 0, 1, 2, 3)
    call(pc, 0x10, ax=0x0B00, bx=0x0005)
    if mode in (7, 0x0F):  # monochrome
        assert palette(pc, 0x11, 0, 1, 2, 3) == [0, *before]
        return
    assert palette(pc, 0x11) == [5]
    call(pc, 0x10, ax=0x0B00, bx=0x0100)
    if MODES[mode].is_text:
        assert palette(pc, 0, 1, 2, 3) == before
        return
    assert palette(pc, 0, 1, 2, 3) == [5, 2, 4, 6]
    call(pc, 0x10, ax=0x0B00, bx=0x001A)
    assert palette(pc, 0, 1, 2, 3, 0x11) == [0x12, 0x12, 0x14, 0x16, 0x12]
    call(pc, 0x10, ax=0x0B00, bx=0x0101)
    assert palette(pc, 0, 1, 2, 3) == [0x12, 0x13, 0x15, 0x17]
    assert pc.bios.video.area[bda.CGA_PALETTE] == 0x3A


@pytest.mark.parametrize(("mode", "lines", "start", "pitch"), [(6, 2, 0xB8000, 80),
                                                              (0x11, 16, 0xA0000, 80)])  # fmt: skip
def test_two_colours_have_one_to_draw_with(
    pc: Pc, mode: int, lines: int, start: int, pitch: int
) -> None:
    call(pc, 0x10, ax=mode)
    for column, colour in enumerate((0, 2, 1, 0x8F)):
        call(pc, 0x10, ax=0x0200, bx=0, dx=column)
        call(pc, 0x10, ax=0x09DB, bx=colour, cx=1)
        assert glyph(pc, column, lines, pitch, start) == [0xFF] * lines, colour
        call(pc, 0x10, ax=0x09DB, bx=0x80, cx=1)
        assert glyph(pc, column, lines, pitch, start) == [0] * lines
        call(pc, 0x10, ax=0x0EDB, bx=0)
        assert glyph(pc, column, lines, pitch, start) == [0xFF] * lines


@pytest.mark.parametrize("mode", [4, 5, 6])
def test_cells_of_a_cga_have_eight_lines_whatever_the_data_area_says(pc: Pc, mode: int) -> None:
    call(pc, 0x10, ax=mode)
    pc.bus.write8(0x485, 0x40)
    call(pc, 0x10, ax=0x09DB, bx=3, cx=1)
    assert glyph(pc, 0, 4, 80, 0xB8000) == glyph(pc, 0, 4, 80, 0xBA000) == [0xFF] * 4
    assert pc.bus.read8(0xB8000 + 4 * 80) == 0


@pytest.mark.parametrize("function", [0x09, 0x0A])
def test_the_page_is_a_background_in_256_colours(pc: Pc, function: int) -> None:
    call(pc, 0x10, ax=0x13)
    call(pc, 0x10, ax=0x0200, bx=0, dx=1)
    call(pc, 0x10, ax=function << 8 | 0x20, bx=0x840F, cx=2)
    assert pc.bus.read(0xA0008, 17) == b"\x84" * 16 + b"\0"
    call(pc, 0x10, ax=function << 8 | 0xDB, bx=0x840F, cx=1)
    assert pc.bus.read(0xA0008, 16) == b"\x0f" * 8 + b"\x84" * 8
    call(pc, 0x10, ax=0x0E20, bx=0x840F)
    assert pc.bus.read(0xA0008, 8) == bytes(8)


def far(pc: Pc, at: int) -> int:
    return pc.bus.read16(at) + (pc.bus.read16(at + 2) << 4)


@pytest.mark.parametrize(
    ("mode", "lines", "entry"),
    [
        (0, 400, 0x17), (1, 400, 0x17), (2, 400, 0x18), (3, 400, 0x18), (7, 400, 0x19),
        (1, 350, 0x14), (3, 350, 0x16), (7, 350, 7), (1, 200, 1), (3, 200, 3),
        (4, 400, 4), (5, 400, 5), (6, 400, 6),
        (0x0D, 400, 0x0D), (0x0E, 400, 0x0E), (0x0F, 400, 0x11), (0x10, 400, 0x12),
        (0x11, 400, 0x1A), (0x12, 400, 0x1B), (0x13, 400, 0x1C),
    ],
)  # fmt: skip
def test_the_save_pointer_leads_to_what_a_mode_set_does(
    pc: Pc, mode: int, lines: int, entry: int
) -> None:
    call(pc, 0x10, ax=0x1200 | (200, 350, 400).index(lines), bx=0x30)
    call(pc, 0x10, ax=mode)
    table = pc.bus.read(far(pc, far(pc, 0x4A8)) + 64 * entry, 64)
    vga, area = pc.vga, pc.bios.video.area
    assert table[:3] == bytes((area[bda.COLUMNS], area[bda.LAST_ROW], area[bda.CHAR_HEIGHT]))
    assert int.from_bytes(table[3:5], "little") == area[bda.PAGE_BYTES]
    assert table[5:9] == bytes(vga.sequencer.values[1:5])
    assert table[9] == vga.inb(0x3CC)
    assert table[10:35] == bytes(vga.crtc.values[:25])
    assert table[35:55] == bytes(vga.attribute.values[:20])
    assert table[55:64] == bytes(vga.graphics.values[:9])


def test_there_is_a_video_rom(pc: Pc) -> None:
    rom = pc.bus.read(0xC0000, 2048)
    assert (rom[:3], sum(rom) & 0xFF) == (b"\x55\xaa\x04", 0)
    assert rom[0x1E:0x21] == b"IBM"
    assert rom[0x100:0x500] == bundled_font(8)[:128].tobytes()
    assert pc.bus.read(0xC0800, 1) == b"\xff"
