"""Graphics modes: characters, scrolling and pixels, drawn on the surfaces that programs draw on.

Emulated: planar modes 0Dh-12h, the CGA's 4-6, 13h, VBE's in the linear frame buffer. Bit 7 of a
colour draws with exclusive or, but where it is one of the colour's: in 13h and in VBE modes. Pixels
of VGA modes lie where their 16-bit offset leads; no coordinates are checked. Not emulated: lines
that come into a VBE picture in another colour than black.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.surface import PackedSurface, PlanarSurface
from vgaemu.pc.bios.video.area import VideoArea
from vgaemu.pc.bios.video.modes import CGA, PACKED
from vgaemu.vga import dispi
from vgaemu.vga.device import Vga
from vgaemu.vga.pixels import unpack
from vgaemu.vga.vram import LFB_GPA

#: The bit of a colour that means exclusive or.
XOR = 0x80
#: The 16 colours of text, 0x00RRGGBB: bits 2 to 0 are red, green and blue, 3 brightens them.
TEXT_COLOURS = [
    (0xFF if number & 8 else 0xAA) * sum(number >> bit & 1 and 1 << 8 * bit for bit in range(3))
    for number in range(16)
]
#: Where pictures of pixels side by side begin, and how many banks they have, by memory model.
PACKED_STARTS = {CGA: (0xB8000, 2), PACKED: (0xA0000, 1)}


def painter_of(vga: Vga, area: VideoArea, page: int) -> Painter:
    """The painter of a page in the mode that is set.

    Numbers that no mode has are taken for planar modes.
    """
    facts, mode = area.facts, area.vbe_mode
    if mode is not None:
        pitch = vga.dispi.values[dispi.VIRT_WIDTH] * mode.pixel_bytes
        size = mode.width, mode.height
        return VbePainter(PackedSurface(vga, LFB_GPA, *size, pitch, mode.bpp), mode.bpp)
    width, pitch = 8 * facts.columns, facts.columns * facts.bits
    if facts.model in PACKED_STARTS:
        start, banks = PACKED_STARTS[facts.model]
        painter = CgaPainter if facts.model == CGA else Painter
        return painter(PackedSurface(vga, start, width, facts.lines, pitch, facts.bits, banks))
    start = 0xA0000 + area.page_start(page)
    return Painter(PlanarSurface(vga, start, width, facts.lines, area.columns, known=None))


class Painter:
    """Characters and pixels on a surface, whatever the guest has left in the registers.

    `column`, and `left` to `right`, which is one of them, count characters of 8 pixels. `y`,
    `source` and `target` are lines of pixels; there is at least one.
    """

    def __init__(self, surface: PackedSurface | PlanarSurface) -> None:
        self._surface = surface
        self._xor = XOR if surface.colours < 256 else 0

    def _colour(self, number: int) -> int:
        """What a surface has for a colour of the caller's."""
        return number

    def draw_glyphs(
        self,
        column: int,
        y: int,
        glyph: NDArray[np.uint8],
        colour: int,
        count: int,
        background: int = 0,
    ) -> None:
        """A glyph side by side so often, on a background; all of them lie in the row."""
        colour = self._colour(colour)
        xor = bool(colour & self._xor)
        if background:
            self._surface.fill(8 * column, y, 8 * count, len(glyph), background)
            colour, xor = colour ^ background, True
        self._surface.stamp(8 * column, y, glyph, count, colour, xor=xor)

    def drawn(self, column: int, y: int, height: int) -> NDArray[np.uint8]:
        """(height,) uint8: a bit for each pixel under a character that is not black."""
        return np.packbits(self._surface.drawn(8 * column, y, 8, height))

    def move_lines(self, source: int, target: int, count: int, left: int, right: int) -> None:
        self._surface.move(8 * left, source, 8 * (right - left + 1), count, target)

    def clear_lines(self, y: int, count: int, left: int, right: int, fill: int) -> None:
        self._surface.fill(8 * left, y, 8 * (right - left + 1), count, fill)

    def _addressed(self, x: int, y: int) -> tuple[int, int]:
        """Which pixel coordinates lead to: 16 bits of an offset, whatever they are."""
        surface = self._surface
        line, bank = divmod(y, surface.banks)
        stride = surface.pitch * 8 // surface.bits
        line, x = divmod((line * stride + x) % (0x80000 // surface.bits), stride)
        return x, line * surface.banks + bank

    def write_pixel(self, x: int, y: int, colour: int) -> None:
        self._surface.fill(*self._addressed(x, y), 1, 1, colour, xor=bool(colour & self._xor))

    def read_pixel(self, x: int, y: int) -> int:
        return int(self._surface.get(*self._addressed(x, y), 1, 1)[0, 0])


class CgaPainter(Painter):
    """Modes 4 to 6: what comes in when lines move are bytes, of whatever pixels."""

    def clear_lines(self, y: int, count: int, left: int, right: int, fill: int) -> None:
        pixels = unpack(np.array([[fill]], np.uint8), self._surface.bits)
        if (pixels == pixels[0, 0]).all():
            super().clear_lines(y, count, left, right, int(pixels[0, 0]))
        else:
            width = 8 * (right - left + 1)
            self._surface.put(8 * left, y, np.tile(pixels, (count, width // pixels.size)))


class VbePainter(Painter):
    """VBE modes: numbers are the colours of text where pixels are colours, 0 is behind all."""

    def __init__(self, surface: PackedSurface, bpp: int) -> None:
        super().__init__(surface)
        self._colours: Sequence[int] = range(256) if bpp == 8 else TEXT_COLOURS

    def _colour(self, number: int) -> int:
        return self._colours[number % len(self._colours)]

    def clear_lines(self, y: int, count: int, left: int, right: int, fill: int) -> None:
        super().clear_lines(y, count, left, right, 0)

    def _has(self, x: int, y: int) -> bool:
        return x < self._surface.width and y < self._surface.height

    def write_pixel(self, x: int, y: int, colour: int) -> None:
        if self._has(x, y):
            self._surface.fill(x, y, 1, 1, self._colour(colour))

    def read_pixel(self, x: int, y: int) -> int:
        """The number of the colour that is closest; 0 outside."""
        colours = self._colours
        found = int(self._surface.get(x, y, 1, 1)[0, 0]) if self._has(x, y) else 0
        if found in colours:
            return colours.index(found)
        return min(range(len(colours)), key=lambda number: _distance(found, colours[number]))


def _distance(one: int, other: int) -> int:
    """How far two colours 0x00RRGGBB lie apart."""
    return sum(abs((one >> shift & 0xFF) - (other >> shift & 0xFF)) for shift in (16, 8, 0))
