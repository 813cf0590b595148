"""Graphics renderers: 4-bit pixels from planes, bytes, and DISPI's packed pixels.

Technique: one `np.take` per block of rows from a table whose element is several finished pixels.
Measured as a ratio to a memcpy of the output in `vgaemu bench render`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from vgaemu.vga.render.base import Frame, RowRenderer
from vgaemu.vga.scanout import Kind, Scanout


@lru_cache(maxsize=8)
def nibble_tables(kind: Kind) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Two (65536,) uint32 tables: planes 0 and 1, planes 2 and 3 -> eight 4-bit pixels to OR.

    Pixel i of the eight is bits 4i..4i+3.
    """
    pair = np.arange(65536, dtype=np.uint32)
    low, high = pair & 0xFF, pair >> 8
    first = np.zeros(65536, np.uint32)
    second = np.zeros(65536, np.uint32)
    for i in range(8):
        if kind is Kind.PLANAR:
            bit = 7 - i
            two = (low >> bit & 1) | (high >> bit & 1) << 1
            first |= two << 4 * i
            second |= two << 4 * i + 2
        elif kind is Kind.INTERLEAVE:
            # Planes 0 and 2 hold pixels 0-3, planes 1 and 3 pixels 4-7, two bits each.
            two = (low if i < 4 else high) >> 6 - 2 * (i % 4) & 3
            first |= two << 4 * i
            second |= two << 4 * i + 2
        else:
            plane = i // 2
            nibble = (low if plane % 2 == 0 else high) >> (4 if i % 2 == 0 else 0) & 0xF
            if plane < 2:
                first |= nibble << 4 * i
            else:
                second |= nibble << 4 * i
    return first, second


#: From this many pixels on, four at a time: the table of 65536 takes some 140 us to make, which a
#: small picture whose palette changes every frame does not earn back.
FOUR_AT_A_TIME_PIXELS = 1 << 17


class FourBitRenderer(RowRenderer):
    """Planar, CGA-interleaved and nibble pixels: two gathers, an OR, a gather of 2 or 4 pixels."""

    def build_tables(self, scanout: Scanout) -> None:
        """Two 4-bit pixels -> two colours, (256,) V8; for large pictures four, (65536,) V16."""
        palette = np.frombuffer(scanout.palette, np.uint32)
        self._colours = _pairs_of(palette)
        if scanout.width * scanout.height >= FOUR_AT_A_TIME_PIXELS:
            self._colours = _pairs_of(self._colours)
        self._first, self._second = nibble_tables(scanout.kind)

    def convert(self, rows: NDArray[np.uint8], pan: int, out: Frame) -> None:
        """See `RowRenderer.convert`."""
        halves = rows.view(np.uint16)
        nibbles = self._first.take(halves[:, 0::2], mode="clip")
        nibbles |= self._second.take(halves[:, 1::2], mode="clip")
        pixels: NDArray[np.integer[Any]] = nibbles.view(
            np.uint16 if len(self._colours) > 256 else np.uint8
        )
        if rows.shape[1] * 2 == out.shape[1]:
            self._colours.take(pixels, out=out.view(self._colours.dtype), mode="clip")
        else:
            panned = self._colours.take(pixels, mode="clip").view(np.uint32)
            out[:] = panned[:, pan : pan + out.shape[1]]


def _pairs_of(colours: NDArray[Any]) -> NDArray[Any]:
    """(n * n,) of elements twice as large; the first one varies fastest, and lies first."""
    count = len(colours)
    pairs = np.empty((count, count, 2), colours.dtype)
    pairs[..., 0] = colours
    pairs[..., 1] = colours[:, None]
    return pairs.reshape(count * count, 2).view(f"V{2 * colours.itemsize}")[:, 0]


class ByteRenderer(RowRenderer):
    """256 colours, a byte a pixel: mode 13h, unchained modes, DISPI 8 bpp. Two pixels a gather."""

    def build_tables(self, scanout: Scanout) -> None:
        """(65536,) V8: two pixels -> two colours."""
        self._palette = np.frombuffer(scanout.palette, np.uint32)
        self._pairs = _pairs_of(self._palette)

    def convert(self, rows: NDArray[np.uint8], pan: int, out: Frame) -> None:
        """See `RowRenderer.convert`."""
        width = out.shape[1]
        rows = rows[:, pan : pan + width]
        if width % 2:
            out[:] = self._palette.take(rows, mode="clip")
            return
        self._pairs.take(rows.view(np.uint16), out=out.view("V8"), mode="clip")


@lru_cache(maxsize=2)
def colours_of_16_bit(green_bits: int) -> NDArray[np.uint32]:
    """(65536,) uint32: 1:5:5:5 or 5:6:5 pixels -> 0x00RRGGBB, each channel widened by repeating."""
    pixel = np.arange(65536, dtype=np.uint32)
    colours = np.zeros(65536, np.uint32)
    at = 0
    for shift, bits in ((0, 5), (8, green_bits), (16, 5)):
        value = pixel >> at & (1 << bits) - 1
        colours |= (value << (8 - bits) | value >> (2 * bits - 8)) << shift
        at += bits
    return colours


class SixteenBitRenderer(RowRenderer):
    """DISPI 15 and 16 bpp."""

    def build_tables(self, scanout: Scanout) -> None:
        """The table depends on the format alone."""
        self._colours = colours_of_16_bit(5 if scanout.kind is Kind.LINEAR_15 else 6)

    def convert(self, rows: NDArray[np.uint8], pan: int, out: Frame) -> None:
        """See `RowRenderer.convert`."""
        self._colours.take(rows.view("<u2"), out=out, mode="clip")


class TrueColourRenderer(RowRenderer):
    """DISPI 24 and 32 bpp: blue, green, red, and a byte that is not shown."""

    def build_tables(self, scanout: Scanout) -> None:
        """No table."""

    def convert(self, rows: NDArray[np.uint8], pan: int, out: Frame) -> None:
        """See `RowRenderer.convert`."""
        width = out.shape[1]
        step = rows.shape[1] // width
        if step == 4:
            np.bitwise_and(rows.view("<u4"), 0x00FFFFFF, out=out)
            return
        # A dword at every third byte; the last pixel has no fourth byte to read along.
        dwords = rows[:, : rows.shape[1] // 4 * 4].view("<u4")
        body = as_strided(dwords, (len(rows), width - 1), (rows.strides[0], 3))
        np.copyto(out[:, :-1], body)
        np.bitwise_and(out, 0x00FFFFFF, out=out)
        last = rows[:, -3:].astype(np.uint32)
        out[:, -1] = last[:, 0] | last[:, 1] << 8 | last[:, 2] << 16
