"""A picture as images of the terminal, by kitty's graphics protocol: every pixel, scaled there.

It is sent in strips of a few rows of cells, each an image of its own, so that what has changed is
sent again and nothing else; every terminal with the protocol can do that, while few can replace a
part of an image.

Source: kitty's terminal graphics protocol.
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.terminal.place import Place

#: Rows of cells a strip.
STRIP_ROWS = 4
#: The terminal takes no more of base64 at once.
CHUNK_BYTES = 4096
DELETE_ALL = b"\x1b_Ga=d,d=A,q=2\x1b\\"
#: Whether it understands the protocol: an image of one pixel that is not kept.
ASK = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"


class Images:
    """The images of one picture at one place.

    Args:
        place: Cells of the terminal.
        height: Of the picture, in lines.
    """

    def __init__(self, place: Place, height: int) -> None:
        self.place = place
        tops = [*range(0, place.rows, STRIP_ROWS), place.rows]
        #: First line of the picture in each strip, and the line behind the last strip.
        self._lines: list[int] = [row * height // place.rows for row in tops]
        self._rows = tops

    def draw(self, frame: NDArray[np.uint32], changed: Iterable[tuple[int, int]]) -> bytes:
        """What shows the lines of `frame` in the half-open ranges that have changed."""
        ranges = list(changed)
        strips = [
            number
            for number in range(len(self._rows) - 1)
            if any(a < self._end(number) and self._lines[number] < b for a, b in ranges)
        ]
        return b"".join([self._strip(frame, number) for number in strips])

    def _end(self, number: int) -> int:
        """The line behind a strip's last; each shows one at least."""
        return max(self._lines[number + 1], self._lines[number] + 1)

    def _strip(self, frame: NDArray[np.uint32], number: int) -> bytes:
        row, end = self._rows[number], self._rows[number + 1]
        lines = frame[self._lines[number] : self._end(number)]
        height, width = lines.shape
        rgb = np.ascontiguousarray(lines).view(np.uint8).reshape(height, width, 4)[..., 2::-1]
        payload = b64encode(zlib.compress(rgb.tobytes(), 1))
        chunks = [payload[at : at + CHUNK_BYTES] for at in range(0, len(payload), CHUNK_BYTES)]
        out = [b"\x1b[%d;%dH" % (self.place.row + row + 1, self.place.column + 1)]
        head = (
            f"a=T,f=24,o=z,t=d,i={number + 1},p=1,s={width},v={height},"
            f"c={self.place.columns},r={end - row},C=1,q=2,"
        )
        for at, chunk in enumerate(chunks, 1):
            out.append(b"\x1b_G%sm=%d;%s\x1b\\" % (head.encode(), at < len(chunks), chunk))
            head = ""
        return b"".join(out)
