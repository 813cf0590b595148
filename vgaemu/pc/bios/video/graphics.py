"""Graphics modes: what characters, scrolling and pixels are in each, one painter for a kind.

Emulated: planar modes 0Dh-12h through the graphics controller, packed pixels of the CGA's modes 4-6
and of 13h, VBE's through the linear frame buffer. Bit 7 of a colour draws with exclusive or, but
in 13h and in VBE modes. Not emulated: lines that come into a VBE picture in another colour than
black.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.pc.bios.video.area import VideoArea
from vgaemu.pc.bios.video.modes import CGA, PACKED, VbeMode
from vgaemu.vga import dispi
from vgaemu.vga.device import LFB_GPA, Vga
from vgaemu.vga.pixels import FORMATS, pack
from vgaemu.vga.ports import GC, Ports

#: The bit of a colour that means exclusive or.
XOR = 0x80
#: The 16 colours of text, 0x00RRGGBB: bits 2 to 0 are red, green and blue, 3 brightens them.
TEXT_COLOURS = np.array([
    (0xFF if number & 8 else 0xAA) * sum(number >> bit & 1 and 1 << 8 * bit for bit in range(3))
    for number in range(16)
], np.uint32)  # fmt: skip
#: VBE's pixels of colour numbers, by bits a pixel: (256 or 16, bytes) uint8.
VBE_PIXELS = {
    bpp: row.encode((np.arange(256, dtype=np.uint8) if bpp == 8 else TEXT_COLOURS)[:, None])
    for bpp, row in FORMATS.items()
}
#: Where pictures of pixels side by side begin, and how many banks they have, by memory model.
PACKED_STARTS = {CGA: (0xB8000, 2), PACKED: (0xA0000, 1)}


class Layout(NamedTuple):
    """Where lines of pixels lie."""

    start: int  # GPA of line 0
    pitch: int  # bytes from a line to the next of its bank
    bits: int  # of a pixel, in each plane; so many bytes are 8 pixels
    banks: int = 1  # lines take turns in them, 2000h apart


def painter_of(vga: Vga, area: VideoArea, page: int) -> Painter:
    """The painter of a page in the mode that is set.

    Numbers that no mode has are taken for planar modes.
    """
    ports, facts, mode = area.ports, area.facts, area.vbe_mode
    if mode is not None:
        pitch = vga.dispi.values[dispi.VIRT_WIDTH] * mode.pixel_bytes
        return LinearPainter(ports, Layout(LFB_GPA, pitch, 8 * mode.pixel_bytes), mode)
    if facts.model in PACKED_STARTS:
        start, banks = PACKED_STARTS[facts.model]
        return PackedPainter(ports, Layout(start, facts.columns * facts.bits, facts.bits, banks))
    return PlanarPainter(ports, Layout(0xA0000 + area.page_start(page), area.columns, 1))


def _dots(glyph: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """(height, 8 * count) uint8: 1 where a glyph has a dot, side by side so often."""
    return np.unpackbits(np.tile(glyph[:, None], (1, count)), axis=1)


class Painter(ABC):
    """What a mode's picture is made of: bytes, in lines of pixels.

    `column`, and `left` to `right`, which is one of them, count characters of 8 pixels. `y`,
    `source` and `target` are lines of pixels; there is at least one.
    """

    def __init__(self, ports: Ports, layout: Layout) -> None:
        self._ports, self._vga, self._layout = ports, ports.device, layout
        #: Bits of a pixel's colour, in each plane.
        self._mask = (1 << layout.bits) - 1

    @abstractmethod
    def draw_glyphs(
        self, column: int, y: int, glyph: NDArray[np.uint8], colour: int, count: int
    ) -> None:
        """A glyph side by side so often, black behind; all of them lie in the row."""

    @abstractmethod
    def drawn(self, column: int, y: int, height: int) -> NDArray[np.uint8]:
        """(height,) uint8: a bit for each pixel under a character that is not black."""

    @abstractmethod
    def write_pixel(self, x: int, y: int, colour: int) -> None:
        """Draw one pixel."""

    @abstractmethod
    def read_pixel(self, x: int, y: int) -> int:
        """The colour of one pixel."""

    def _line(self, y: int) -> int:
        start, pitch, _, banks = self._layout
        return start + y % banks * 0x2000 + y // banks * pitch

    def _places(self, column: int, y: int, count: int) -> list[int]:
        """Addresses of lines of pixels under a character."""
        return [self._line(line) + column * self._layout.bits for line in range(y, y + count)]

    def _under(self, column: int, y: int, height: int) -> bytes:
        size = self._layout.bits
        return b"".join(self._vga.load(at, size) for at in self._places(column, y, height))

    def _spans(self, y: int, count: int, left: int, right: int) -> Iterator[tuple[int, int]]:
        """Addresses and bytes of lines of pixels, as few as there can be: whole lines by banks."""
        _, pitch, bits, banks = self._layout
        places, length = self._places(left, y, count), (right - left + 1) * bits
        if length != pitch:
            yield from ((at, length) for at in places)
            return
        for bank in range(min(banks, count)):
            yield places[bank], length * len(places[bank::banks])

    def move_lines(self, source: int, target: int, count: int, left: int, right: int) -> None:
        # Downwards from the last on, so many at once as do not lie on their own targets.
        step = count if target < source else target - source
        if (target - source) % self._layout.banks:
            step = 1  # into the other bank
        starts = range(0, count, step)
        for start in starts if target < source else reversed(starts):
            size = min(step, count - start)
            moves = zip(
                self._spans(source + start, size, left, right),
                self._spans(target + start, size, left, right),
                strict=True,
            )
            for (at, length), (to, _) in moves:
                self._copy(at, to, length)

    def _copy(self, at: int, to: int, length: int) -> None:
        self._vga.copy(at, to, length)

    def clear_lines(self, y: int, count: int, left: int, right: int, fill: int) -> None:
        value = (fill & self._mask) * (0xFF // self._mask)
        for at, length in self._spans(y, count, left, right):
            self._vga.store(at, bytes((value,)) * length)


class PackedPainter(Painter):
    """Modes 4-6 and 13h: the leftmost pixel is in the highest bits of its byte."""

    def _encoded(self, numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(h, w) colours -> (h, w * bits / 8) uint8, as the mode has them."""
        return numbers if self._layout.bits == 8 else pack(numbers, self._layout.bits)

    def draw_glyphs(
        self, column: int, y: int, glyph: NDArray[np.uint8], colour: int, count: int
    ) -> None:
        lines = self._encoded(_dots(glyph, count) * np.uint8(colour & self._mask))
        for at, line in zip(self._places(column, y, len(glyph)), lines, strict=True):
            if colour & XOR & ~self._mask:
                line = line ^ np.frombuffer(self._vga.load(at, len(line)), np.uint8)
            self._vga.store(at, line)

    def drawn(self, column: int, y: int, height: int) -> NDArray[np.uint8]:
        bits = np.unpackbits(np.frombuffer(self._under(column, y, height), np.uint8))
        return np.packbits(bits.reshape(height * 8, -1).any(axis=1))

    def _pixel(self, x: int, y: int) -> tuple[int, int]:
        """Where a pixel is: byte and shift."""
        byte, bit = divmod(x * self._layout.bits, 8)
        return self._line(y) + byte, 8 - self._layout.bits - bit

    def write_pixel(self, x: int, y: int, colour: int) -> None:
        (at, shift), mask = self._pixel(x, y), self._mask
        value = (colour & mask) << shift
        if mask != 0xFF:  # others share its byte
            old = self._vga.load(at, 1)[0]
            value = old ^ value if colour & XOR else old & ~(mask << shift) | value
        self._vga.store(at, bytes((value,)))

    def read_pixel(self, x: int, y: int) -> int:
        at, shift = self._pixel(x, y)
        return self._vga.load(at, 1)[0] >> shift & self._mask


class PlanarPainter(Painter):
    """Modes 0Dh-12h: a bit in each plane, through the graphics controller."""

    def draw_glyphs(
        self, column: int, y: int, glyph: NDArray[np.uint8], colour: int, count: int
    ) -> None:
        vga, ports, lines = self._vga, self._ports, glyph.tolist()
        places = self._places(column, y, len(lines))
        if colour & XOR:
            # Set/reset on what each load latches, where the bit mask lets it.
            with ports.changed({0: colour & 15, 1: 15, 3: 0x18, 5: 0, 8: 0xFF}, {2: 15}):
                for at, bits in zip(places, lines, strict=True):
                    if bits:
                        ports.set(GC, 8, bits)
                        vga.copy(at, at, count)
            return
        # Planes of the colour take the bits, the others set/reset: 0.
        with ports.changed({0: 0, 1: ~colour & 15, 3: 0, 5: 0, 8: 0xFF}, {2: 15}):
            for at, bits in zip(places, lines, strict=True):
                vga.store(at, bytes((bits,)) * count)

    def drawn(self, column: int, y: int, height: int) -> NDArray[np.uint8]:
        # Colour compare: a 1 where all planes hold 0.
        with self._ports.changed({2: 0, 5: 8, 7: 15}):
            return ~np.frombuffer(self._under(column, y, height), np.uint8)

    def move_lines(self, source: int, target: int, count: int, left: int, right: int) -> None:
        with self._ports.changed({5: 1}):  # latches: all planes at once
            super().move_lines(source, target, count, left, right)

    def clear_lines(self, y: int, count: int, left: int, right: int, fill: int) -> None:
        with self._ports.changed({0: fill & 15, 1: 15, 3: 0, 5: 0, 8: 0xFF}):
            super().clear_lines(y, count, left, right, fill)

    def write_pixel(self, x: int, y: int, colour: int) -> None:
        at, function = self._line(y) + (x >> 3), 0x18 if colour & XOR else 0
        graphics = {0: colour & 15, 1: 15, 3: function, 5: 0, 8: 0x80 >> (x & 7)}
        with self._ports.changed(graphics, {2: 15}):
            self._vga.load(at, 1)
            self._vga.store(at, b"\xff")

    def read_pixel(self, x: int, y: int) -> int:
        at, colour = self._line(y) + (x >> 3), 0
        with self._ports.changed({4: 0, 5: 0}):
            for plane in range(4):
                self._ports.set(GC, 4, plane)
                colour |= (self._vga.load(at, 1)[0] >> (7 - (x & 7)) & 1) << plane
        return colour


class LinearPainter(PackedPainter):
    """VBE modes: whole bytes a pixel."""

    def __init__(self, ports: Ports, layout: Layout, mode: VbeMode) -> None:
        super().__init__(ports, layout)
        self._mode, self._pixels = mode, VBE_PIXELS[mode.bpp]

    def _encoded(self, numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
        pixels: NDArray[np.uint8] = self._pixels[numbers & len(self._pixels) - 1]
        return pixels.reshape(len(numbers), -1)

    def draw_glyphs(
        self, column: int, y: int, glyph: NDArray[np.uint8], colour: int, count: int
    ) -> None:
        super().draw_glyphs(column, y, glyph, colour & ~XOR, count)

    def _copy(self, at: int, to: int, length: int) -> None:
        self._vga.store(to, self._vga.load(at, length))  # no latches, so no need of their order

    def clear_lines(self, y: int, count: int, left: int, right: int, fill: int) -> None:
        super().clear_lines(y, count, left, right, 0)

    def _has(self, x: int, y: int) -> bool:
        return x < self._mode.width and y < self._mode.height

    def write_pixel(self, x: int, y: int, colour: int) -> None:
        if self._has(x, y):
            self._vga.store(self._pixel(x, y)[0], self._pixels[colour & len(self._pixels) - 1])

    def read_pixel(self, x: int, y: int) -> int:
        """One pixel; in direct colour the text colour that is closest."""
        if not self._has(x, y):
            return 0
        found = self._vga.load(self._pixel(x, y)[0], self._mode.pixel_bytes)
        if self._mode.bpp == 8:
            return found[0]
        pixel = int.from_bytes(found, "little")
        numbers = [int.from_bytes(colour.tobytes(), "little") for colour in self._pixels]
        return min(range(16), key=lambda number: self._distance(pixel, numbers[number]))

    def _distance(self, one: int, other: int) -> int:
        distance, pixel_format = 0, self._mode.format
        for size, position in (pixel_format.red, pixel_format.green, pixel_format.blue):
            mask = (1 << size) - 1
            difference = (one >> position & mask) - (other >> position & mask)
            distance += abs(difference) << 8 - size
        return distance
