"""Surfaces: where the pixels of each graphics mode lie, as a program that draws must know.

A surface fills, puts and gets rectangles that lie wholly inside the picture; clipping and shapes
are `Canvas`'s. Everything goes through ports and memory. Registers are back at the mode's own
values between two calls, so a program may mix its own stores with these.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import CanvasError
from vgaemu.vga.device import LFB_GPA

if TYPE_CHECKING:
    from vgaemu.guest.workload import Guest

#: (height, width) colours: uint8 numbers, or uint32 0x00RRGGBB in true-colour modes.
Pixels: TypeAlias = NDArray[Any]

SEQUENCER, GRAPHICS = 0x3C4, 0x3CE


class Surface(ABC):
    """A picture in VRAM. All rectangles lie inside it and are not empty."""

    def __init__(self, guest: Guest, width: int, height: int, colours: int = 256) -> None:
        self._guest = guest
        self.width = width
        self.height = height
        self.dtype: type[np.generic] = np.uint8
        self.colours = colours

    @abstractmethod
    def fill(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """One colour everywhere."""

    @abstractmethod
    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels."""

    @abstractmethod
    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels: (height, width), a copy."""

    def _set(self, port: int, index: int, value: int) -> None:
        self._guest.outw(port, value << 8 | index)


# --- a pixel is some bytes: mode 13h, DISPI -------------------------------------------------------


@dataclass(frozen=True)
class PixelFormat:
    """How packed pixels are written down."""

    nbytes: int
    dtype: type[np.generic]
    #: (h, w) colours -> (h, w * nbytes) uint8, and back.
    encode: Callable[[Pixels], NDArray[np.uint8]]
    decode: Callable[[NDArray[np.uint8]], Pixels]


def _words(pixels: Pixels, dtype: str) -> NDArray[np.uint8]:
    return np.ascontiguousarray(pixels).astype(dtype).view(np.uint8)


def _rgb_words(red: int, green: int, blue: int) -> PixelFormat:
    """16-bit pixels with this many bits a channel, red highest."""

    def encode(rgb: Pixels) -> NDArray[np.uint8]:
        r, g, b = (rgb >> 24 - red), (rgb >> 16 - green), (rgb >> 8 - blue)
        masks = (1 << red) - 1, (1 << green) - 1, (1 << blue) - 1
        packed = (r & masks[0]) << green + blue | (g & masks[1]) << blue | b & masks[2]
        return _words(packed, "<u2")

    def decode(data: NDArray[np.uint8]) -> Pixels:
        words = data.view("<u2").astype(np.uint32)
        channels = (words >> green + blue, red), (words >> blue, green), (words, blue)
        rgb: Pixels = np.zeros_like(words)
        for value, bits in channels:
            top = (value & (1 << bits) - 1) << 8 - bits
            rgb = rgb << 8 | (top | top >> bits).astype(np.uint32)
        return rgb

    return PixelFormat(2, np.uint32, encode, decode)


def _encode_24(rgb: Pixels) -> NDArray[np.uint8]:
    return _words(rgb, "<u4").reshape(*rgb.shape, 4)[:, :, :3].reshape(len(rgb), -1)


def _decode_24(data: NDArray[np.uint8]) -> Pixels:
    channels = data.reshape(len(data), -1, 3).astype(np.uint32)
    return channels[:, :, 2] << 16 | channels[:, :, 1] << 8 | channels[:, :, 0]


#: DISPI bits a pixel -> format.
FORMATS = {
    8: PixelFormat(1, np.uint8, lambda p: _words(p, "u1"), lambda d: d),
    15: _rgb_words(5, 5, 5),
    16: _rgb_words(5, 6, 5),
    24: PixelFormat(3, np.uint32, _encode_24, _decode_24),
    32: PixelFormat(
        4, np.uint32, lambda p: _words(p, "<u4"), lambda d: d.view("<u4").astype(np.uint32)
    ),
}


class PackedSurface(Surface):
    """Mode 13h at A0000h, or a DISPI mode in the linear frame buffer: plain memory."""

    def __init__(
        self, guest: Guest, gpa: int, width: int, height: int, pitch: int, bits: int = 8
    ) -> None:
        super().__init__(guest, width, height, 256 if bits == 8 else 1 << 24)
        self._gpa = gpa
        self._pitch = pitch
        self._format = FORMATS[bits]
        self.dtype = self._format.dtype

    def fill(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """One colour everywhere."""
        row = self._format.encode(np.full((1, width), colour % self.colours, self.dtype))
        self._store(x, y, np.broadcast_to(row, (height, row.shape[1])))

    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels: a store a row, or one for all where the rows follow each other."""
        self._store(x, y, self._format.encode(pixels))

    def _store(self, x: int, y: int, rows: NDArray[np.uint8]) -> None:
        gpa = self._gpa + y * self._pitch + x * self._format.nbytes
        if rows.shape[1] == self._pitch:
            self._guest.store(gpa, rows.tobytes())
            return
        for i, row in enumerate(rows):
            self._guest.store(gpa + i * self._pitch, row.tobytes())

    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels."""
        nbytes = self._format.nbytes
        gpa = self._gpa + y * self._pitch + x * nbytes
        rows = [self._guest.load(gpa + i * self._pitch, width * nbytes) for i in range(height)]
        data = np.frombuffer(b"".join(rows), np.uint8).reshape(height, -1)
        return self._format.decode(data).copy()


# --- four planes: modes 0Dh-12h, mode X, CGA ------------------------------------------------------


class PlanarSurface(Surface):
    """Sixteen colours, a bit in each of four planes: modes 0Dh, 0Eh, 10h, 12h (and 0Fh, 11h).

    Fills use set/reset and the bit mask in write mode 0, so that one store serves eight pixels of
    all planes; pixels are put plane by plane through the map mask.
    """

    def __init__(self, guest: Guest, width: int, height: int, pitch: int) -> None:
        super().__init__(guest, width, height, 16)
        self._pitch = pitch

    def fill(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """One colour everywhere: edge bytes through the bit mask, whole ones in long stores."""
        self._set(GRAPHICS, 0, colour & 0x0F)  # set/reset holds the colour
        self._set(GRAPHICS, 1, 0x0F)  # ... and gives it to all planes
        for first, count, mask in _byte_columns(x, width):
            self._set(GRAPHICS, 8, mask)
            self._fill_bytes(first, y, count, height, whole=mask == 0xFF)
        for index, value in ((8, 0xFF), (1, 0x00), (0, 0x00)):
            self._set(GRAPHICS, index, value)

    def _fill_bytes(self, first: int, y: int, count: int, height: int, whole: bool) -> None:
        guest, gpa = self._guest, 0xA0000 + y * self._pitch + first
        if count == self._pitch:
            guest.store(gpa, bytes(count * height))
            return
        for row in range(gpa, gpa + height * self._pitch, self._pitch):
            if not whole:
                guest.load(row, 1)  # latches keep the pixels that the mask protects
            guest.store(row, bytes(count))

    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels plane by plane; pixels that share a byte with others keep them company."""
        left, right = x & -8, -(-(x + pixels.shape[1]) // 8) * 8
        if (left, right) != (x, x + pixels.shape[1]):
            under = self.get(left, y, right - left, len(pixels))
            under[:, x - left : x - left + pixels.shape[1]] = pixels
            pixels = under
        for plane in range(4):
            self._set(SEQUENCER, 2, 1 << plane)
            rows = np.packbits(pixels >> plane & 1, axis=1)
            gpa = 0xA0000 + y * self._pitch + left // 8
            if rows.shape[1] == self._pitch:
                self._guest.store(gpa, rows.tobytes())
                continue
            for i, row in enumerate(rows):
                self._guest.store(gpa + i * self._pitch, row.tobytes())
        self._set(SEQUENCER, 2, 0x0F)

    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels plane by plane through the read map."""
        left, right = x & -8, -(-(x + width) // 8) * 8
        pixels = np.zeros((height, right - left), np.uint8)
        gpa = 0xA0000 + y * self._pitch + left // 8
        for plane in range(4):
            self._set(GRAPHICS, 4, plane)
            rows = [
                self._guest.load(gpa + i * self._pitch, (right - left) // 8) for i in range(height)
            ]
            data = np.frombuffer(b"".join(rows), np.uint8).reshape(height, -1)
            pixels |= np.unpackbits(data, axis=1) << plane
        self._set(GRAPHICS, 4, 0)
        return pixels[:, x - left : x - left + width].copy()


def _byte_columns(x: int, width: int) -> list[tuple[int, int, int]]:
    """Columns of bytes that cover some pixels: (first byte, bytes, bit mask).

    >>> [(first, count, f"{mask:08b}") for first, count, mask in _byte_columns(6, 20)]
    [(0, 1, '00000011'), (1, 2, '11111111'), (3, 1, '11000000')]
    >>> _byte_columns(1, 2)
    [(0, 1, 96)]
    """
    right = x + width
    first, last = x // 8, (right - 1) // 8
    left_mask, right_mask = 0xFF >> (x & 7), 0xFF << 7 - (right - 1 & 7) & 0xFF
    if first == last:
        return [(first, 1, left_mask & right_mask)]
    columns = [(first, 1, left_mask), (first + 1, last - first - 1, 0xFF), (last, 1, right_mask)]
    if right_mask == 0xFF:
        columns[1:] = [(first + 1, last - first, 0xFF)]
    if left_mask == 0xFF:
        columns[:2] = [(first, columns[1][1] + 1, 0xFF)]
    return [column for column in columns if column[1]]


class UnchainedSurface(Surface):
    """Mode X and its relatives: 256 colours, pixel x in plane x mod 4."""

    def __init__(self, guest: Guest, width: int, height: int, pitch: int) -> None:
        super().__init__(guest, width, height)
        self._pitch = pitch

    def fill(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """One colour everywhere: four pixels a byte where all planes take it."""
        first, last = x // 4, (x + width - 1) // 4
        left_mask, right_mask = 0x0F << (x & 3) & 0x0F, 0x0F >> 3 - (x + width - 1 & 3)
        if first == last:
            columns = [(first, 1, left_mask & right_mask)]
        else:
            columns = [
                (first, 1, left_mask),
                (first + 1, last - first - 1, 0x0F),
                (last, 1, right_mask),
            ]
        for byte, count, mask in columns:
            self._set(SEQUENCER, 2, mask)
            rows = np.full((height, count), colour & 0xFF, np.uint8)
            self._store(byte, y, rows)
        self._set(SEQUENCER, 2, 0x0F)

    def _store(self, byte: int, y: int, rows: NDArray[np.uint8]) -> None:
        if not rows.size:
            return
        gpa = 0xA0000 + y * self._pitch + byte
        if rows.shape[1] == self._pitch:
            self._guest.store(gpa, rows.tobytes())
            return
        for i, row in enumerate(rows):
            self._guest.store(gpa + i * self._pitch, row.tobytes())

    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels, each plane's in one go."""
        for plane in range(4):
            skip = (plane - x) & 3
            rows = np.ascontiguousarray(pixels[:, skip::4], np.uint8)
            self._set(SEQUENCER, 2, 1 << plane)
            self._store((x + skip) // 4, y, rows)
        self._set(SEQUENCER, 2, 0x0F)

    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels plane by plane through the read map."""
        pixels = np.zeros((height, width), np.uint8)
        for plane in range(4):
            skip = (plane - x) & 3
            count = len(range(skip, width, 4))
            if not count:
                continue
            self._set(GRAPHICS, 4, plane)
            gpa = 0xA0000 + y * self._pitch + (x + skip) // 4
            rows = [self._guest.load(gpa + i * self._pitch, count) for i in range(height)]
            pixels[:, skip::4] = np.frombuffer(b"".join(rows), np.uint8).reshape(height, count)
        self._set(GRAPHICS, 4, 0)
        return pixels


class CgaSurface(Surface):
    """Modes 4, 5 and 6: one or two bits a pixel, odd rows 2000h bytes behind even ones."""

    def __init__(self, guest: Guest, width: int, height: int, pitch: int, bits: int) -> None:
        super().__init__(guest, width, height, 1 << bits)
        self._pitch = pitch
        self._bits = bits

    def _gpa(self, pixel: int, y: int) -> int:
        return 0xB8000 + 0x2000 * (y & 1) + (y >> 1) * self._pitch + pixel * self._bits // 8

    def fill(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """One colour everywhere."""
        self.put(x, y, np.full((height, width), colour % self.colours, np.uint8))

    def put(self, x: int, y: int, pixels: Pixels) -> None:
        """Store pixels row by row; pixels that share a byte with others keep them company."""
        a_byte = 8 // self._bits
        left, right = x // a_byte * a_byte, -(-(x + pixels.shape[1]) // a_byte) * a_byte
        if (left, right) != (x, x + pixels.shape[1]):
            under = self.get(left, y, right - left, len(pixels))
            under[:, x - left : x - left + pixels.shape[1]] = pixels
            pixels = under
        bits = pixels[:, :, None] >> np.arange(self._bits - 1, -1, -1) & 1
        rows = np.packbits(bits.astype(np.uint8).reshape(len(pixels), -1), axis=1)
        for i, row in enumerate(rows):
            self._guest.store(self._gpa(left, y + i), row.tobytes())

    def get(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load pixels row by row."""
        a_byte = 8 // self._bits
        left, right = x // a_byte * a_byte, -(-(x + width) // a_byte) * a_byte
        count = (right - left) // a_byte
        rows = [self._guest.load(self._gpa(left, y + i), count) for i in range(height)]
        data = np.frombuffer(b"".join(rows), np.uint8).reshape(height, count)
        bits = np.unpackbits(data, axis=1).reshape(height, right - left, self._bits)
        pixels = (bits << np.arange(self._bits - 1, -1, -1)).sum(axis=2).astype(np.uint8)
        inside: Pixels = pixels[:, x - left : x - left + width].copy()
        return inside


# --- which one ------------------------------------------------------------------------------------


def surface_of(guest: Guest) -> Surface:
    """The surface of the mode that is set now, told from the registers.

    Raises:
        CanvasError: A text mode, or one that no surface knows.
    """
    dispi = _dispi(guest)
    if dispi is not None:
        return dispi
    graphics = [_indexed(guest, GRAPHICS, i) for i in range(7)]
    if not graphics[6] & 1:
        raise CanvasError("this is a text mode; set a graphics mode such as 13h before drawing")
    columns = guest.read_crtc(0x01) + 1
    overflow, cell = guest.read_crtc(0x07), guest.read_crtc(0x09)
    lines = 1 + (guest.read_crtc(0x12) | (overflow & 2) << 7 | (overflow & 0x40) << 3)
    lines >>= cell >> 7
    # One row of memory lies CR13 words, bytes x 2 or dwords x 2 behind the row before.
    shift = 2 if guest.read_crtc(0x14) & 0x40 else 0 if guest.read_crtc(0x17) & 0x40 else 1
    pitch = 2 * guest.read_crtc(0x13) << shift
    height = lines // ((cell & 0x1F) + 1)
    if graphics[5] & 0x40:
        if _indexed(guest, SEQUENCER, 4) & 8:
            return PackedSurface(guest, 0xA0000, 4 * columns, height, pitch)
        return UnchainedSurface(guest, 4 * columns, height, pitch)
    if not guest.read_crtc(0x17) & 1:
        bits = 2 if graphics[5] & 0x20 else 1
        return CgaSurface(guest, 8 * columns, lines, columns * bits, bits)
    return PlanarSurface(guest, 8 * columns, height, pitch)


def _indexed(guest: Guest, port: int, index: int) -> int:
    guest.outb(port, index)
    return guest.inb(port + 1)


def _dispi(guest: Guest) -> Surface | None:
    values = []
    for index in range(7):
        guest.outw(0x1CE, index)
        values.append(guest.inw(0x1CF))
    _, width, height, bits, enable, _, virtual_width = values
    if not enable & 1:
        return None
    if bits not in FORMATS:
        raise CanvasError(f"no canvas for DISPI modes of {bits} bits a pixel")
    return PackedSurface(guest, LFB_GPA, width, height, virtual_width * FORMATS[bits].nbytes, bits)
