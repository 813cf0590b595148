"""GIF: what shows everywhere, at up to 50 pictures a second.

A picture is the rectangle that changed, at its place. Delays are hundredths of a second, and what
is shown for less than two of them browsers show for ten: such a picture is joined with the next.
Colours are exact while a file has at most 256, or each changed rectangle has; of more, in true
colour, the 256 nearest are taken.

Not here: transparency, interlacing, reading. Source: GIF89a specification, CompuServe 1990.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import BinaryIO

from vgaemu.display.pictures import rgb_of
from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.record.colours import ColourTable, triples
from vgaemu.record.encoder import Animation, Picture, pixels_in
from vgaemu.record.stills import gif_image, nearest_256
from vgaemu.record.stream import Stream

#: A delay's unit; the least and the most of them.
SECOND, LEAST, MAX_DELAY = 100, 2, 0xFFFF
#: A colour table of 256 follows.
HAS_TABLE = 0x87
#: Where the file's own colour table is.
TABLE_AT = 13
#: Begin anew at the end, for ever.
LOOP = b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"


class Gif(Animation):
    """Writes a GIF."""

    LONGEST = Fraction(MAX_DELAY // 2, SECOND)

    def __init__(self, file: BinaryIO, info: ScreenInfo, *, many_colours: bool = False) -> None:
        super().__init__(file, info)
        self._stream = Stream(file, b";")
        self._table = ColourTable()
        self._written = 0
        head = b"GIF89a" + struct.pack("<2H3B", *self._size, HAS_TABLE | 0x70, 0, 0)
        self._stream.append(head + triples(self._table.colours) + LOOP)

    def too_brief(self, until: Fraction) -> bool:
        return round(until * SECOND) - self._written < LEAST

    def show(self, picture: Picture, box: Rect, until: Fraction) -> bool:
        pixels = pixels_in(picture, box)
        known = len(self._table.colours)
        own_table, flags = b"", 0
        numbers = self._table.numbers(pixels)
        if numbers is None:
            table = ColourTable()
            numbers, colours = table.numbers(pixels), table.colours
            if numbers is None:
                numbers, colours = nearest_256(rgb_of(pixels))
            own_table, flags = triples(colours), HAS_TABLE
        elif len(self._table.colours) > known:
            self._stream.patch(TABLE_AT, triples(self._table.colours))
        ends = round(until * SECOND)
        control = struct.pack("<4BH2B", ord("!"), 0xF9, 4, 0, ends - self._written, 0, 0)
        place = struct.pack("<c4HB", b",", box.x, box.y, box.width, box.height, flags)
        self._stream.append(control + place + own_table + gif_image(numbers))
        self._written = ends
        return True
