"""WebP: exact, the smallest for true colour; browsers play it.

A picture is the rectangle that changed, lossless, with even corners as the format has them. Delays
are milliseconds.

Not here: lossy pictures, transparency, reading. Source: RFC 9649.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import BinaryIO

from vgaemu.display.pictures import rgb_of
from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.record.encoder import Animation, Picture, pixels_in
from vgaemu.record.stills import webp_chunk
from vgaemu.record.stream import Stream

#: A delay's unit.
SECOND = 1000
#: Flags of VP8X: it is an animation; of a picture: it replaces what it covers.
ANIMATION, NO_BLENDING = 0x02, 0x02
#: Numbers of 24 bits.
MAX_24 = 0xFFFFFF


def _24(number: int) -> bytes:
    return number.to_bytes(3, "little")


class WebP(Animation):
    """Writes an animated WebP."""

    LONGEST = Fraction(MAX_24 // 2, SECOND)

    def __init__(self, file: BinaryIO, info: ScreenInfo, *, many_colours: bool = False) -> None:
        super().__init__(file, info)
        self._stream = Stream(file)
        self._written = 0
        extended = struct.pack("<B3x", ANIMATION) + _24(info.width - 1) + _24(info.height - 1)
        head = b"VP8X" + struct.pack("<I", len(extended)) + extended
        head += b"ANIM" + struct.pack("<IIH", 6, 0xFF000000, 0)
        self._stream.append(b"RIFF" + struct.pack("<I", 4 + len(head)) + b"WEBP" + head)

    def too_brief(self, until: Fraction) -> bool:
        return round(until * SECOND) - self._written < 1

    def show(self, picture: Picture, box: Rect, until: Fraction) -> bool:
        left, top = box.x & ~1, box.y & ~1
        box = Rect(left, top, box.x + box.width - left, box.y + box.height - top)
        ends = round(until * SECOND)
        place = _24(left // 2) + _24(top // 2) + _24(box.width - 1) + _24(box.height - 1)
        place += _24(ends - self._written) + bytes((NO_BLENDING,))
        image = webp_chunk(rgb_of(pixels_in(picture, box)))
        piece = b"ANMF" + struct.pack("<I", len(place) + len(image)) + place + image
        self._stream.append(piece)
        self._stream.patch(4, struct.pack("<I", self._stream.size - 8))
        self._written = ends
        return True
