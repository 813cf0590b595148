"""Pixel formats: how a viewer wants its pixels, and the picture's pixels turned into that.

Any that RFB can say: 8, 16 or 32 bits, either byte order, a shift and a largest value a colour, or
8-bit numbers of a colour map. 0x00RRGGBB as this machine keeps it goes through untouched.

Source: RFC 6143, 7.4 and 7.5.1.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import ViewError

#: Bits a pixel, depth, big-endian, true colour; largest red, green, blue; their shifts.
_LAYOUT = struct.Struct(">4B3H3B3x")
LAYOUT_BYTES = _LAYOUT.size

Pixels = NDArray[np.uint32]


class Channel(NamedTuple):
    """A colour's place in a pixel."""

    largest: int
    shift: int

    def of(self, pixels: Pixels, bit: int) -> Pixels:
        """What the colour in bits `bit` to `bit` + 7 is in its place here."""
        return _table(self.largest, self.shift).take(pixels >> np.uint32(bit) & np.uint32(0xFF))


@lru_cache(maxsize=32)
def _table(largest: int, shift: int) -> Pixels:
    """(256,): what 0 to 255 of a colour are, spread over 0 to `largest` and rounded."""
    shades = np.arange(256, dtype=np.uint32)
    return (shades * np.uint32(largest) + 127) // 255 << np.uint32(shift)


class PixelFormat(NamedTuple):
    """What a viewer asks for."""

    bits: int
    depth: int
    is_big_endian: bool
    is_true_colour: bool
    red: Channel
    green: Channel
    blue: Channel

    @classmethod
    def unpack(cls, data: bytes) -> PixelFormat:
        """Of 16 bytes, as they are sent.

        Raises:
            ViewError: There can be no such format.
        """
        bits, depth, big, true, red, green, blue, *shifts = _LAYOUT.unpack(data)
        if bits not in (8, 16, 32):
            raise ViewError(f"asks for pixels of {bits} bits, which are 8, 16 or 32")
        if not true and bits != 8:
            raise ViewError(f"asks for a colour map with pixels of {bits} bits, which are 8")
        channels = [Channel(*pair) for pair in zip((red, green, blue), shifts, strict=True)]
        for largest, shift in channels if true else ():
            if largest & (largest + 1):
                raise ViewError(f"asks for colours up to {largest}, which is not 2^N - 1")
            if shift + largest.bit_length() > bits:
                raise ViewError(f"asks for colours up to {largest} << {shift} in {bits} bits")
        return cls(bits, depth, bool(big), bool(true), *channels)

    def pack(self) -> bytes:
        """As it is sent."""
        red, green, blue = self.red, self.green, self.blue
        return _LAYOUT.pack(
            self.bits, self.depth, self.is_big_endian, self.is_true_colour,
            red.largest, green.largest, blue.largest, red.shift, green.shift, blue.shift,
        )  # fmt: skip

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """Of its pixels in an array."""
        return np.dtype(f"{'>' if self.is_big_endian else '<'}u{self.bits // 8}")

    @property
    def is_ours(self) -> bool:
        """Whether its pixels are 0x00RRGGBB, whatever it says of the byte on top."""
        return self.is_true_colour and self.bits == 32 and self[4:] == DEFAULT[4:]

    @property
    def has_whole_bytes(self) -> bool:
        """Whether Tight sends it as three bytes a pixel, red first: TPIXEL."""
        channels = self.red, self.green, self.blue
        return (
            self.is_true_colour
            and (self.bits, self.depth) == (32, 24)
            and all(channel.largest == 255 for channel in channels)
        )

    def convert(self, pixels: Pixels) -> NDArray[np.unsignedinteger]:
        """0x00RRGGBB in this format, of true colours: of the same shape, perhaps `pixels`."""
        if self.is_ours:
            return pixels.astype(self.dtype, copy=False)
        found = self.red.of(pixels, 16) | self.green.of(pixels, 8) | self.blue.of(pixels, 0)
        return found.astype(self.dtype)


#: What a viewer gets that does not ask: 0x00RRGGBB, little-endian.
DEFAULT = PixelFormat(32, 24, False, True, Channel(255, 16), Channel(255, 8), Channel(255, 0))


def three_bytes(pixels: Pixels) -> NDArray[np.uint8]:
    """0x00RRGGBB of any shape as (..., 3) uint8, red first: a TPIXEL of Tight each.

    >>> three_bytes(np.array([0x112233], np.uint32)).tobytes().hex()
    '112233'
    """
    parts = np.empty((*pixels.shape, 3), np.uint8)
    for i, shift in enumerate((16, 8, 0)):
        parts[..., i] = pixels >> np.uint32(shift)
    return parts


def _cube() -> Pixels:
    levels = range(0, 256, 51)
    return np.array(
        [r << 16 | g << 8 | b for r in levels for g in levels for b in levels], np.uint32
    )


#: The colours of viewers with a colour map, where the picture has no palette: six shades of each.
CUBE = _cube()


def in_cube(pixels: Pixels) -> NDArray[np.uint8]:
    """Numbers of the nearest colours in `CUBE`: uint8, an array of the same shape."""
    numbers = np.zeros(pixels.shape, np.uint8)
    for shift in (16, 8, 0):
        level = (pixels >> np.uint32(shift) & np.uint32(0xFF)) + np.uint32(25)
        numbers = numbers * np.uint8(6) + (level // np.uint32(51)).astype(np.uint8)
    return numbers
