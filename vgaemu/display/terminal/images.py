"""A picture as images of the terminal: every pixel, scaled there.

It is sent in strips of a few rows of cells, each an image of its own, so that what has changed is
sent again and nothing else; every terminal with images can do that, while few can replace a part
of one.

Sources: kitty's terminal graphics protocol; the VT330/340 Programmer Reference Manual, chapter 14
(sixels).
"""

from __future__ import annotations

import re
import zlib
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.terminal.blocks import picture_of
from vgaemu.display.terminal.place import Place

#: Rows of cells a strip. It has then a multiple of six lines of pixels, as sixels have.
STRIP_ROWS = 6
#: The definition of a colour.
_DEFINED = re.compile(r"(#\d+)(?:;\d+){4}")
#: The terminal takes no more of base64 at once.
CHUNK_BYTES = 4096
DELETE_ALL = b"\x1b_Ga=d,d=A,q=2\x1b\\"
#: Whether it understands kitty's protocol: an image of one pixel that is not kept.
ASK = b"\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"


class Images(ABC):
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
        """Go to a strip's first cell, and draw it."""
        row, end = self._rows[number], self._rows[number + 1]
        lines = frame[self._lines[number] : self._end(number)]
        go = b"\x1b[%d;%dH" % (self.place.row + row + 1, self.place.column + 1)
        return go + self._image(np.ascontiguousarray(lines), end - row, number)

    @abstractmethod
    def _image(self, lines: NDArray[np.uint32], rows: int, number: int) -> bytes:
        """A strip's lines as an image of so many rows of cells."""


class KittyImages(Images):
    """Kitty's: pixels as they are, deflated; one of the same number takes another's place."""

    def _image(self, lines: NDArray[np.uint32], rows: int, number: int) -> bytes:
        height, width = lines.shape
        rgb = lines.view(np.uint8).reshape(height, width, 4)[..., 2::-1]
        payload = b64encode(zlib.compress(rgb.tobytes(), 1))
        chunks = [payload[at : at + CHUNK_BYTES] for at in range(0, len(payload), CHUNK_BYTES)]
        head = (
            f"a=T,f=24,o=z,t=d,i={number + 1},p=1,s={width},v={height},"
            f"c={self.place.columns},r={rows},C=1,q=2,"
        )
        out = []
        for at, chunk in enumerate(chunks, 1):
            out.append(b"\x1b_G%sm=%d;%s\x1b\\" % (head.encode(), at < len(chunks), chunk))
            head = ""
        return b"".join(out)


class SixelImages(Images):
    """Sixels: pixels of the terminal in at most 256 colours, by the package textual-image.

    Raises:
        ImportError: It is not there.
    """

    def __init__(self, place: Place, height: int, cell: tuple[int, int]) -> None:
        """A picture at a place whose cells are so many pixels wide and high."""
        from textual_image.renderable.sixel import image_to_sixels

        super().__init__(place, height)
        self._encode = image_to_sixels
        self._cell = cell

    def _image(self, lines: NDArray[np.uint32], rows: int, number: int) -> bytes:
        width, height = self._cell
        size = self.place.columns * width, rows * height
        sixels: str = self._encode(picture_of(lines).resize(size, 0))
        # To define a colour selects it, but not in xterm; a last new line begins another six lines.
        sixels = _DEFINED.sub(r"\g<0>\1", sixels).replace("-\x1b", "\x1b")
        return sixels.encode("ascii")
