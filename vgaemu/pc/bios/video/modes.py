"""Modes: what the video BIOS says of each, a row a mode; VGA's registers are `vga.modes.MODES`.

Emulated: modes 0-7 and 0Dh-13h of a VGA; VBE's of 8, 15, 16, 24 and 32 bits a pixel with a linear
frame buffer, and what the data area says while one is set. Not emulated: text in 43 or 50 rows as
modes of their own (INT 10h/11h makes them); VBE's planar (102h, 104h, 106h) and text modes.

Source: IBM PS/2 and PC BIOS Interface Technical Reference; R. Brown's interrupt list; VESA BIOS
Extension 2.0; the mode numbers above 11Bh are those of Bochs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from vgaemu.vga.pixels import FORMATS, PixelFormat

#: Memory models, as VBE numbers them.
TEXT, CGA, PLANAR, PACKED = 0, 1, 3, 4
#: Lines of a picture by the numbers that INT 10h/1Bh gives them.
LINES = (200, 350, 400, 480)
#: What the data area has for a mode while a VBE mode is set.
VBE_MODE_FIELD = 0x7F


class BiosMode(NamedTuple):
    """A mode of the VGA's."""

    model: int
    #: Lines of a character.
    height: int
    rows: int
    columns: int
    #: Pages of video memory, and the bytes that each takes.
    pages: int
    page_bytes: int
    #: Lines of the picture.
    lines: int
    #: Colours at once; 0 is monochrome.
    colours: int
    #: Bits a pixel, and the planes that they are in.
    bits: int
    planes: int
    #: Mode control register as a CGA would have it.
    mode_select: int


# fmt: off
BIOS_MODES = {
    #              model, cell, rows, columns, pages, bytes, lines, colours, bits, planes, CGA's
    0x00: BiosMode(TEXT,   16, 25, 40, 8, 0x0800, 400,  16, 4, 1, 0x2C),
    0x01: BiosMode(TEXT,   16, 25, 40, 8, 0x0800, 400,  16, 4, 1, 0x28),
    0x02: BiosMode(TEXT,   16, 25, 80, 8, 0x1000, 400,  16, 4, 1, 0x2D),
    0x03: BiosMode(TEXT,   16, 25, 80, 8, 0x1000, 400,  16, 4, 1, 0x29),
    0x04: BiosMode(CGA,     8, 25, 40, 1, 0x4000, 200,   4, 2, 1, 0x2A),
    0x05: BiosMode(CGA,     8, 25, 40, 1, 0x4000, 200,   4, 2, 1, 0x2E),
    0x06: BiosMode(CGA,     8, 25, 80, 1, 0x4000, 200,   2, 1, 1, 0x1E),
    0x07: BiosMode(TEXT,   16, 25, 80, 8, 0x1000, 400,   0, 4, 1, 0x29),
    0x0D: BiosMode(PLANAR,  8, 25, 40, 8, 0x2000, 200,  16, 4, 4, 0x29),
    0x0E: BiosMode(PLANAR,  8, 25, 80, 4, 0x4000, 200,  16, 4, 4, 0x29),
    0x0F: BiosMode(PLANAR, 14, 25, 80, 2, 0x8000, 350,   0, 4, 4, 0x29),
    0x10: BiosMode(PLANAR, 14, 25, 80, 2, 0x8000, 350,  16, 4, 4, 0x29),
    0x11: BiosMode(PLANAR, 16, 30, 80, 1, 0xA000, 480,   2, 1, 1, 0x29),
    0x12: BiosMode(PLANAR, 16, 30, 80, 1, 0xA000, 480,  16, 4, 4, 0x29),
    0x13: BiosMode(PACKED,  8, 25, 40, 1, 0x2000, 200, 256, 8, 1, 0x29),
    VBE_MODE_FIELD:
          BiosMode(PLANAR, 16, 30, 80, 1, 0x0000, 200,  16, 4, 4, 0x29),
}
# fmt: on


def glyph_colour(mode: BiosMode, colour: int) -> int:
    """The colour that a glyph is drawn in: with two colours it is always the other one.

    Bit 7, exclusive or, is kept. Programs for a CGA give any number in mode 6.
    """
    return colour & 0x80 | 0x3F if mode.colours == 2 else colour


def bios_mode(number: int) -> BiosMode:
    """A mode's row; numbers that a program made up are taken for a VBE mode's."""
    return BIOS_MODES.get(number, BIOS_MODES[VBE_MODE_FIELD])


@dataclass(frozen=True)
class VbeMode:
    """A mode of packed pixels or direct colour."""

    number: int
    width: int
    height: int
    bpp: int

    @property
    def format(self) -> PixelFormat:
        return FORMATS[self.bpp]

    @property
    def pixel_bytes(self) -> int:
        return self.format.nbytes

    @property
    def picture_bytes(self) -> int:
        return self.width * self.height * self.pixel_bytes


_SIZES = {
    8: {0x100: (640, 400), 0x101: (640, 480), 0x103: (800, 600), 0x105: (1024, 768),
        0x107: (1280, 1024), 0x146: (320, 200), 0x11C: (1600, 1200)},
    15: {0x10D: (320, 200), 0x110: (640, 480), 0x113: (800, 600), 0x116: (1024, 768),
         0x119: (1280, 1024)},
    16: {0x10E: (320, 200), 0x111: (640, 480), 0x114: (800, 600), 0x117: (1024, 768),
         0x11A: (1280, 1024)},
    24: {0x10F: (320, 200), 0x112: (640, 480), 0x115: (800, 600), 0x118: (1024, 768),
         0x11B: (1280, 1024)},
    32: {0x140: (320, 200), 0x141: (640, 400), 0x142: (640, 480), 0x143: (800, 600),
         0x144: (1024, 768), 0x145: (1280, 1024)},
}  # fmt: skip
VBE_MODES = {
    number: VbeMode(number, *size, bpp)
    for bpp, sizes in _SIZES.items()
    for number, size in sizes.items()
}
