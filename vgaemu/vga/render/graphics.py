"""Graphics renderers: 4-bit pixels from planes, bytes, and DISPI's packed pixels.

Technique: one `np.take` per block of rows from a table whose element is several finished pixels.
Measured as a ratio to a memcpy of the output in `vgaemu bench render`. All indices lie inside their
table; `mode="wrap"` takes 0.65 ns an element, "clip" 0.85, and "raise" works in a buffer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from vgaemu.vga.kinds import LINEAR_BPP, Kind
from vgaemu.vga.pixels import FORMATS
from vgaemu.vga.render.base import Frame, RowRenderer
from vgaemu.vga.scanout import Scanout

TWO_PIXELS = np.dtype("V8")
FOUR_PIXELS = np.dtype("V16")
WORD = np.dtype("<u2")
DWORD = np.dtype("<u4")

#: The bits of a fetch (byte n of the dword is plane n) that change places, so that its low word
#: depends on the left four pixels alone and its high word, in the same way, on the right four:
#: those of the mask with those `shift` higher.
EXCHANGES: dict[Kind, tuple[int, int]] = {
    # Low nibbles of planes 0 and 1 with high nibbles of planes 2 and 3.
    Kind.PLANAR: (20, 0x0F0F),
    # Plane 1 with plane 2.
    Kind.INTERLEAVE: (8, 0xFF00),
}


@lru_cache(maxsize=3)
def four_pixels(kind: Kind) -> NDArray[np.uint16]:
    """(65536,) uint16: half an exchanged fetch -> four 4-bit pixels, the left one lowest."""
    word = np.arange(65536, dtype=np.uint16)
    found = np.zeros(65536, np.uint16)
    for i in range(4):
        if kind is Kind.PLANAR:
            planes = (2, 0, 3, 1)  # of the four nibbles, each with the left pixel's bit highest
            for nibble, plane in enumerate(planes):
                found |= (word >> (4 * nibble + 3 - i) & 1) << (4 * i + plane)
        elif kind is Kind.INTERLEAVE:
            # Planes 0 and 2 hold pixels 0-3, planes 1 and 3 pixels 4-7, two bits each.
            found |= (word >> (6 - 2 * i) & 3 | (word >> (14 - 2 * i) & 3) << 2) << 4 * i
        else:
            # Plane i holds pixels 2i and 2i + 1, the high nibble first.
            found |= (word >> (4, 0, 12, 8)[i] & 0xF) << 4 * i
    return found


@lru_cache(maxsize=3)
def two_pairs(kind: Kind) -> NDArray[np.intp]:
    """(131072,) intp: `four_pixels` as two bytes each, of two pixels, ready to index with."""
    return four_pixels(kind).view(np.uint8).astype(np.intp)


#: From this many pixels on, four at a time: the table of 65536 takes some 100 us to make, which a
#: small picture whose palette changes every frame does not earn back.
FOUR_AT_A_TIME_PIXELS = 1 << 17


class FourBitRenderer(RowRenderer):
    """Planar, CGA-interleaved and nibble pixels: arithmetic on fetches, a gather of 4 pixels.

    Its table has two colours by two 4-bit pixels, (256,) V8; in large pictures four by four. The
    arithmetic costs a quarter of the gather; looking the pixels up by pairs of planes instead, as
    much as the gather.
    """

    def __init__(self, vram: NDArray[np.uint8], scanout: Scanout) -> None:
        shift, mask = EXCHANGES.get(scanout.kind, (0, 0))
        self._shift, self._mask = np.array(shift, DWORD), np.array(mask, DWORD)
        self._pixels = four_pixels(scanout.kind)
        large = scanout.width * scanout.height >= FOUR_AT_A_TIME_PIXELS
        # Filled for every palette: a new MiB costs more than filling it.
        self._fours = np.empty(65536 if large else 0, FOUR_PIXELS)
        super().__init__(vram, scanout)

    def make_table(self, scanout: Scanout) -> NDArray[Any]:
        pairs = _pairs_of(np.frombuffer(scanout.colours.palette, np.uint32))
        if not len(self._fours):
            return pairs
        pairs.take(two_pairs(scanout.kind), out=self._fours.view(TWO_PIXELS), mode="wrap")
        return self._fours

    def elements(self, rows: NDArray[np.uint8], pan: int) -> NDArray[Any]:
        return rows.view(DWORD)

    def convert(self, elements: NDArray[Any], pan: int, out: Frame) -> None:
        if self._mask:
            changed = np.right_shift(elements, self._shift)
            changed ^= elements
            changed &= self._mask
            halves = np.left_shift(changed, self._shift)
            halves ^= changed
            halves ^= elements
        else:
            halves = np.ascontiguousarray(elements)
        pixels: NDArray[np.integer[Any]] = halves.view(WORD)
        if not len(self._fours):
            pixels = self._pixels.take(pixels, mode="wrap").view(np.uint8)
        if elements.shape[1] * 8 == out.shape[1]:
            self.table.take(pixels, out=out.view(self.table.dtype), mode="wrap")
        else:
            panned = self.table.take(pixels, mode="wrap").view(np.uint32)
            out[:] = panned[:, pan : pan + out.shape[1]]


def _pairs_of(colours: NDArray[np.uint32]) -> NDArray[Any]:
    """(n * n,) V8: two colours; the first one varies fastest, and lies first."""
    first = colours.astype("<u8")
    pairs: NDArray[np.uint64] = first | (first << 32)[:, None]
    return pairs.ravel().view(TWO_PIXELS)


#: The palette in which each pixel value has itself for a colour.
ITSELF = np.arange(256, dtype=np.uint32).tobytes()


class ByteRenderer(RowRenderer):
    """256 colours, a byte a pixel: mode 13h, unchained modes, DISPI 8 bpp.

    Two pixels a gather, from a (65536,) V8 table; in odd widths one. Where each pixel value has
    itself for a colour there is no table, which takes a fifth of the time.
    """

    def make_table(self, scanout: Scanout) -> NDArray[Any]:
        if scanout.colours.palette == ITSELF:
            return np.empty(0, np.uint32)
        palette = np.frombuffer(scanout.colours.palette, np.uint32)
        return palette if scanout.width % 2 else _pairs_of(palette)

    def elements(self, rows: NDArray[np.uint8], pan: int) -> NDArray[Any]:
        shown = rows[:, pan : pan + self.scanout.width]
        return shown if self.scanout.width % 2 else shown.view(WORD)

    def convert(self, elements: NDArray[Any], pan: int, out: Frame) -> None:
        if len(self.table):
            self.table.take(elements, out=out.view(self.table.dtype), mode="wrap")
        else:
            np.copyto(out, elements.view(np.uint8))


@lru_cache(maxsize=2)
def colours_of_16_bit(bits: int) -> NDArray[np.uint32]:
    """(65536,) uint32: pixels of 15 or 16 bits -> 0x00RRGGBB."""
    pixels = np.arange(65536, dtype=WORD).view(np.uint8)
    colours: NDArray[np.uint32] = FORMATS[bits].decode(pixels[None])[0]
    return colours


class SixteenBitRenderer(RowRenderer):
    """DISPI 15 and 16 bpp: a gather a pixel (arithmetic on whole rows takes a fifth longer)."""

    def make_table(self, scanout: Scanout) -> NDArray[Any]:
        return colours_of_16_bit(LINEAR_BPP[scanout.kind])

    def elements(self, rows: NDArray[np.uint8], pan: int) -> NDArray[Any]:
        return rows.view(WORD)

    def convert(self, elements: NDArray[Any], pan: int, out: Frame) -> None:
        self.table.take(elements, out=out, mode="wrap")


#: The bits of a pixel that are shown.
RGB = np.array(0x00FFFFFF, np.uint32)


class TrueColourRenderer(RowRenderer):
    """DISPI 24 and 32 bpp: blue, green, red, and a byte that is not shown."""

    def __init__(self, vram: NDArray[np.uint8], scanout: Scanout) -> None:
        # A row's last 24-bit pixel is read as a dword as well.
        self.slack = 1 if scanout.kind is Kind.LINEAR_24 else 0
        super().__init__(vram, scanout)

    def make_table(self, scanout: Scanout) -> NDArray[Any]:
        return np.empty(0, np.uint32)

    def elements(self, rows: NDArray[np.uint8], pan: int) -> NDArray[Any]:
        if not self.slack:
            return rows.view(DWORD)
        return as_strided(
            rows[:, :4].view(DWORD), (len(rows), self.scanout.width), (rows.strides[0], 3)
        )

    def convert(self, elements: NDArray[Any], pan: int, out: Frame) -> None:
        if self.slack:
            # One call for both would work through a buffer, which takes 1.6 times as long.
            np.copyto(out, elements)
            np.bitwise_and(out, RGB, out=out)
        else:
            np.bitwise_and(elements, RGB, out)
