"""Pixel formats: how the colours of a row are written down in bytes.

Emulated: DISPI's packed pixels of 8, 15, 16, 24 and 32 bits, little-endian; and pixels of one or
two bits side by side, leftmost in the highest bits, as planes and the CGA's modes have them.

Source: VESA BIOS Extension 2.0 (direct colour fields); IBM PS/2 Hardware Interface Technical
Reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgaemu.vga.dispi import BYTES_PER_PIXEL

#: (height, width) colours: uint8 numbers, or uint32 0x00RRGGBB in true-colour modes.
Pixels: TypeAlias = NDArray[Any]


class Channel(NamedTuple):
    """Bits of a pixel: how many, and the lowest of them."""

    size: int
    position: int


_NONE = Channel(0, 0)
#: Bytes a pixel -> the number that holds one.
_WORDS = {2: "<u2", 3: "<u4", 4: "<u4"}


@dataclass(frozen=True)
class PixelFormat:
    """Packed pixels of some bits, and where their channels lie: none where they are numbers."""

    bits: int
    red: Channel = _NONE
    green: Channel = _NONE
    blue: Channel = _NONE
    rest: Channel = _NONE

    @property
    def nbytes(self) -> int:
        """Bytes a pixel."""
        return BYTES_PER_PIXEL[self.bits]

    @property
    def dtype(self) -> type[np.generic]:
        """Of colours: uint8 numbers, or uint32 0x00RRGGBB."""
        return np.uint8 if self.bits == 8 else np.uint32

    @property
    def colours(self) -> int:
        """How many there are to choose from, before channels are narrowed."""
        return 256 if self.bits == 8 else 1 << 24

    def encode(self, pixels: Pixels) -> NDArray[np.uint8]:
        """(h, w) colours -> (h, w * nbytes) uint8.

        >>> FORMATS[16].encode(np.array([[0xFF0000, 0x00FF00]])).tobytes().hex(" ")
        '00 f8 e0 07'
        """
        if self.bits == 8:
            return np.ascontiguousarray(pixels, np.uint8)
        if self.red.size < 8:
            pixels = (
                (pixels >> 24 - self.red.size) << self.red.position
                | (pixels >> 16 - self.green.size & _ones(self.green)) << self.green.position
                | (pixels >> 8 - self.blue.size & _ones(self.blue)) << self.blue.position
            )
        data = np.ascontiguousarray(pixels).astype(_WORDS[self.nbytes]).view(np.uint8)
        if self.nbytes == 3:
            return data.reshape(len(pixels), -1, 4)[:, :, :3].reshape(len(pixels), -1)
        return data

    def decode(self, data: NDArray[np.uint8]) -> Pixels:
        """(h, w * nbytes) uint8 -> (h, w) colours; narrow channels are widened by repeating."""
        if self.bits == 8:
            return data
        if self.nbytes == 3:
            triples = data.reshape(len(data), -1, 3)
            data = np.zeros((*triples.shape[:2], 4), np.uint8)
            data[:, :, :3] = triples
            data = data.reshape(len(data), -1)
        pixels = data.view(_WORDS[self.nbytes]).astype(np.uint32)
        if self.red.size == 8:
            return pixels
        rgb: Pixels = np.zeros_like(pixels)
        for channel in (self.red, self.green, self.blue):
            top = (pixels >> channel.position & _ones(channel)) << 8 - channel.size
            rgb = rgb << 8 | top | top >> channel.size
        return rgb


def _ones(channel: Channel) -> int:
    return (1 << channel.size) - 1


#: DISPI bits a pixel -> format.
FORMATS = {
    row.bits: row
    for row in (
        PixelFormat(8),
        #               red            green          blue           rest
        PixelFormat(15, Channel(5, 10), Channel(5, 5), Channel(5, 0), Channel(1, 15)),
        PixelFormat(16, Channel(5, 11), Channel(6, 5), Channel(5, 0)),
        PixelFormat(24, Channel(8, 16), Channel(8, 8), Channel(8, 0)),
        PixelFormat(32, Channel(8, 16), Channel(8, 8), Channel(8, 0), Channel(8, 24)),
    )
}


def pack(pixels: NDArray[np.integer[Any]], bits: int) -> NDArray[np.uint8]:
    """(h, w) numbers of 1 or 2 bits -> (h, w * bits / 8) uint8; higher bits are dropped.

    >>> pack(np.array([[3, 0, 1, 2]], np.uint8), 2).tobytes().hex()
    'c6'
    """
    if bits > 1:
        pixels = (pixels[:, :, None] >> np.arange(bits - 1, -1, -1)).reshape(len(pixels), -1)
    return np.packbits((pixels & 1).astype(np.uint8), axis=1)


def unpack(data: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """(h, n) uint8 -> (h, n * 8 / bits) uint8: what `pack` packed.

    >>> unpack(np.array([[0xC6]], np.uint8), 2).tolist()
    [[3, 0, 1, 2]]
    """
    pixels = np.unpackbits(data, axis=1)
    if bits == 2:
        pixels = (pixels[:, ::2] << 1 | pixels[:, 1::2]).astype(np.uint8)
    return pixels
