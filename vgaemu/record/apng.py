"""APNG: exact, and every browser plays it.

A picture is the rectangle that changed, at its place. Its delay is a fraction, so frames keep their
times to the microsecond. While a file has at most 256 colours its pixels are numbers in one table,
patched as it grows. A file has one kind of pixels: when there are more colours, what there is of it
is written anew in true colour, or, if that is much, another file goes on in true colour.

Not here: interlacing, transparency, reading.
Sources: PNG (Third Edition), W3C 2025, which has acTL, fcTL and fdAT; RFC 1951.
"""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from vgaemu.display.pictures import rgb_of
from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.record.colours import ColourTable, triples
from vgaemu.record.encoder import Animation, Picture, pixels_in
from vgaemu.record.stills import deflated_rgb, png_chunks
from vgaemu.record.stream import Stream

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Colour types.
TRUE_COLOUR, INDEXED = 2, 3
#: A delay's numerator and denominator have 16 bits.
MAX_16 = 0xFFFF
LEVEL = 6
#: A file of numbers up to this size is written anew when it becomes one in true colour: that takes
#: a second or two.
MAX_REWRITTEN = 4 << 20


def chunk(name: bytes, data: bytes) -> bytes:
    """Length, name, data, CRC.

    >>> chunk(b"IEND", b"").hex()
    '0000000049454e44ae426082'
    """
    return struct.pack(">I4s", len(data), name) + data + struct.pack(">I", zlib.crc32(name + data))


def delay_of(seconds: Fraction) -> Fraction:
    """The nearest delay that an fcTL can say.

    >>> delay_of(Fraction(3, 60)), delay_of(Fraction(100000, 7))
    (Fraction(1, 20), Fraction(57143, 4))
    """
    return min(seconds, Fraction(MAX_16)).limit_denominator(
        MAX_16 if seconds <= 1 else max(1, int(MAX_16 / seconds))
    )


class Apng(Animation):
    """Writes an APNG."""

    LONGEST = Fraction(MAX_16)

    def __init__(self, file: BinaryIO, info: ScreenInfo, *, many_colours: bool = False) -> None:
        super().__init__(file, info)
        self._stream = Stream(file, chunk(b"IEND", b""))
        self._table = None if many_colours else ColourTable()
        self._written = Fraction(0)
        #: fcTL and fdAT are numbered together.
        self._sequence = self._pictures = 0

    def show(self, picture: Picture, box: Rect, until: Fraction) -> bool:
        pixels = pixels_in(picture, box)
        deflated = None if self._table is None else self._indexed(pixels, self._table)
        if deflated is None:
            if self._table is not None and self._stream.size > MAX_REWRITTEN:
                return False
            self._become_true_colour()
            deflated = deflated_rgb(rgb_of(pixels))
        delay = delay_of(until - self._written)
        self._append(struct.pack(
            ">4I2H2B", box.width, box.height, box.x, box.y, delay.numerator, delay.denominator, 0, 0
        ), deflated)  # fmt: skip
        self._written += delay
        return True

    def _indexed(self, pixels: Picture, table: ColourTable) -> bytes | None:
        numbers = table.numbers(pixels)
        if numbers is None:
            return None
        rows = np.zeros((numbers.shape[0], numbers.shape[1] + 1), np.uint8)
        rows[:, 1:] = numbers  # behind a filter byte: none
        return zlib.compress(rows.tobytes(), LEVEL)

    def _append(self, control: bytes, deflated: bytes) -> None:
        """Add a picture: its fcTL without the number, and its rows."""
        piece = chunk(b"fcTL", self._numbered(control))
        self._pictures += 1
        if self._pictures == 1:
            self._stream.append(self._head() + piece + chunk(b"IDAT", deflated))
        else:
            self._stream.append(piece + chunk(b"fdAT", self._numbered(deflated)))
            self._stream.patch(0, self._head())

    def _numbered(self, data: bytes) -> bytes:
        number, self._sequence = self._sequence, self._sequence + 1
        return struct.pack(">I", number) + data

    def _head(self) -> bytes:
        """All that stands before the first picture: always as long, so that it can be patched."""
        kind = TRUE_COLOUR if self._table is None else INDEXED
        head = SIGNATURE + chunk(b"IHDR", struct.pack(">2I5B", *self._size, 8, kind, 0, 0, 0))
        head += chunk(b"acTL", struct.pack(">2I", self._pictures, 0))
        if self._table is not None:
            head += chunk(b"PLTE", triples(self._table.colours))
        return head

    def _become_true_colour(self) -> None:
        """Write the pictures anew that have been numbers in a table."""
        if (table := self._table) is None:
            return
        rgb = np.frombuffer(triples(table.colours), np.uint8).reshape(-1, 3)
        self._table, self._sequence, self._pictures = None, 0, 0
        control = b""
        for name, data in png_chunks(self._stream.begin_anew()):
            if name == b"fcTL":
                control = data[4:]
            elif name in (b"IDAT", b"fdAT"):
                deflated = data if name == b"IDAT" else data[4:]
                width = int.from_bytes(control[:4], "big")
                rows = np.frombuffer(zlib.decompress(deflated), np.uint8).reshape(-1, width + 1)
                self._append(control, deflated_rgb(rgb[rows[:, 1:]]))
