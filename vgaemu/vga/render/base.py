"""What every renderer shares: rows of VRAM in, rows of 0x00RRGGBB out.

A renderer belongs to one `Scanout` shape. It keeps lookup tables, and the text one also what it
drew last; it never touches the dirty log. `Renderer.draw_all` reads VRAM and the scanout alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import Span, merge
from vgaemu.vga.rect import Rect
from vgaemu.vga.rows import RowMap
from vgaemu.vga.scanout import Scanout

#: Pixels drawn in one go: few enough that what numpy puts between stays in the cache, enough that
#: a 640x480 picture is one. Measured at 1024x768x8: a third of these a go costs 1.08 times as
#: much, the whole picture in one go 1.03 times.
BLOCK_PIXELS = 3 << 17
#: Touched rows at most this far apart are drawn together: between two banks of a CGA picture lies
#: one row, and drawing on its own costs what ten rows of 320 pixels do.
NEAR_ROWS = 4

Frame = NDArray[np.uint32]


class Renderer(ABC):
    """Draws one kind of picture."""

    def __init__(self, vram: NDArray[np.uint8], scanout: Scanout) -> None:
        #: All of VRAM, (n,) uint8; only read.
        self.vram = vram
        self.scanout = scanout

    @abstractmethod
    def configure(self, scanout: Scanout) -> None:
        """Take another scanout of the same kind and size; what depends on its changes is new."""

    def note(self, spans: Sequence[Span]) -> None:  # noqa: B027  rows are looked at when drawn
        """Take note that the pages in `spans` may have changed, before anything is drawn."""

    @abstractmethod
    def draw_all(self, frame: Frame) -> None:
        """Draw the whole picture into `frame`, (height, width) uint32 0x00RRGGBB."""

    @abstractmethod
    def draw_changes(self, frame: Frame, spans: Sequence[Span]) -> list[Rect]:
        """Draw what the pages in `spans` may have changed, and say where."""


class RowRenderer(Renderer):
    """Graphics: a touched row is drawn whole."""

    #: Bytes past the end of a row that `elements` looks at.
    slack = 0

    def __init__(self, vram: NDArray[np.uint8], scanout: Scanout) -> None:
        super().__init__(vram, scanout)
        self._block = max(1, BLOCK_PIXELS // scanout.width)
        self.table = self.make_table(scanout)
        #: Where the rows lie.
        self.rows = RowMap(scanout, len(vram))
        #: Elements of all rows above and below the split, views of VRAM; None where the rows are
        #: not evenly spaced.
        self._elements = self._elements_in_place()
        # At hand, for strips of a few rows: a look through three tuples is 3 % of one.
        self._blank, self._pan = scanout.colours.blank, self.rows.pan
        self._first_page, self._last_page = self.rows.page_ends
        self._whole = Rect(0, 0, scanout.width, scanout.height)

    def configure(self, scanout: Scanout) -> None:
        old, self.scanout = self.scanout, scanout
        self._blank = scanout.colours.blank
        if old.colours.palette != scanout.colours.palette:
            self.table = self.make_table(scanout)
        if old.rows != scanout.rows or old.layout != scanout.layout:
            self.rows = RowMap(scanout, len(self.vram))
            self._elements, self._pan = self._elements_in_place(), self.rows.pan
            self._first_page, self._last_page = self.rows.page_ends

    def _elements_in_place(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        start, stride, nbytes = self.rows.start, self.rows.stride, self.rows.nbytes + self.slack
        height = self.scanout.height
        if start is None or (stride <= 0 and height > 1):
            return None
        if int(start[-1]) + nbytes > len(self.vram):
            return None
        rows = np.ndarray((height, nbytes), np.uint8, self.vram, int(start[0]), (stride, 1))
        above, below = self.rows.pan
        return self.elements(rows, above), self.elements(rows, below)

    @abstractmethod
    def make_table(self, scanout: Scanout) -> NDArray[Any]:
        """What `convert` looks elements up in: a row of finished pixels for each."""

    @abstractmethod
    def elements(self, rows: NDArray[np.uint8], pan: int) -> NDArray[Any]:
        """What `convert` reads of (n, nbytes + slack) uint8, as a view; `pan` is left out."""

    @abstractmethod
    def convert(self, elements: NDArray[Any], pan: int, out: Frame) -> None:
        """Turn (n, ...) of what `elements` answered for `pan` into `out`, (n, width) uint32."""

    def draw_all(self, frame: Frame) -> None:
        self.draw_rows(0, self.scanout.height, frame)

    def draw_changes(self, frame: Frame, spans: Sequence[Span]) -> list[Rect]:
        if not spans or self._blank:
            return []
        low, high = spans[0]
        if low <= self._first_page and self._last_page < high:  # `covered`, without the call
            self.draw_rows(0, self.scanout.height, frame)
            return [self._whole]
        ranges = self.rows.touched(spans)
        if len(ranges) > 1:
            ranges = [(a, b - NEAR_ROWS) for a, b in merge([(a, b + NEAR_ROWS) for a, b in ranges])]
        width, rects = self.scanout.width, []
        for top, bottom in ranges:
            self.draw_rows(top, bottom, frame)
            rects.append(Rect(0, top, width, bottom - top))
        return rects

    def draw_rows(self, top: int, bottom: int, frame: Frame) -> None:
        """Draw the rows from `top` to `bottom` (exclusive) into `frame`, the whole picture."""
        split = self.rows.split_row
        if self._blank:
            frame[top:bottom] = 0
            return
        if top < split < bottom:
            self.draw_rows(top, split, frame)
            top = split
        below = top >= split
        pan = self._pan[below]
        while top < bottom:
            end = min(top + self._block, bottom)
            if self._elements is not None:
                elements = self._elements[below][top:end]
            else:
                rows = self.rows.gather(self.vram, slice(top, end), self.slack)
                elements = self.elements(rows, pan)
            self.convert(elements, pan, frame[top:end])
            top = end
