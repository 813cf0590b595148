"""The graph of harvest times: a column of one pixel a frame, the newest on the right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.panel.draw import BAND, DIM, DIRTY, GRAPH, RULE, WELL, Pixels, text_strip, write
from vgaemu.display.panel.layout import CHAR, SMALL
from vgaemu.display.report import Rect

#: The 2012 patch's own figures for a harvest with the display on, in nanoseconds.
PATCH_NS = (50_000, 300_000)
#: The graph's ends and its lines, in nanoseconds; it is logarithmic.
GRAPH_NS = (100, 10_000_000)
GRAPH_LINES = ((1_000, "1µs"), (10_000, "10µs"), (100_000, "100µs"), (1_000_000, "1ms"))


class Graph:
    """Harvest times as columns of one pixel a frame, the newest on the right; logarithmic."""

    def __init__(self, pixels: Pixels, box: Rect) -> None:
        """Draw the axis, and prepare the columns.

        Args:
            pixels: The panel.
            box: Where in it, axis included.
        """
        self._axis = 5 * CHAR
        self._well = pixels[box.y : box.y + box.height, box.x + self._axis : box.x + box.width]
        height = box.height
        empty = np.full(height, WELL, np.uint32)
        top, bottom = self._rows(np.array(PATCH_NS[::-1], float)).tolist()
        empty[top:bottom] = BAND
        for ns, label in GRAPH_LINES:
            row = int(self._rows(np.array([float(ns)]))[0])
            empty[row] = RULE
            x = box.x + self._axis - 6 - len(label) * CHAR
            write(pixels, x, box.y + row - 3, label, DIM, height=SMALL)
        rows, tops = np.arange(height), np.arange(height)[:, None]
        #: What a column looks like, for each row that its top may have.
        self._columns = np.where(rows > tops, np.uint32(GRAPH), empty)
        self._columns[(rows == tops) | (rows == tops + 1)] = DIRTY
        self._empty = empty[:, None]
        # Names are written where hardly a column reaches them.
        self._labels = [
            self._label("harvest µs", 4, WELL),
            self._label("2012 patch", (top + bottom - SMALL) // 2 + 1, BAND),
        ]

    def _label(self, text: str, y: int, paper: int) -> tuple[tuple[slice, slice], Pixels, int]:
        strip = text_strip(text, DIM, paper, SMALL)
        return (slice(y, y + SMALL), slice(4, 4 + strip.shape[1])), strip, paper

    def _rows(self, ns: NDArray[np.float64]) -> NDArray[np.intp]:
        """Rows of times, 0 the top."""
        low, high = np.log(GRAPH_NS)
        part = (np.log(np.clip(ns, *GRAPH_NS)) - low) / (high - low)
        rows: NDArray[np.intp] = ((1 - part) * (len(self._well) - 2)).astype(np.intp)
        return rows

    @property
    def frames(self) -> int:
        """Frames that it has room for."""
        return int(self._well.shape[1])

    def draw(self, ns: NDArray[np.float64]) -> None:
        """Draw the last frames' times, at most `frames` of them."""
        rows = self._rows(ns)
        empty = self.frames - len(rows)
        self._well[:, :empty] = self._empty
        self._well[:, empty:] = self._columns[rows].T
        for place, strip, paper in self._labels:
            under = self._well[place]
            free = (under == paper) | (under == RULE)
            if free.mean() > 0.9:  # a few spikes leave it readable
                np.copyto(under, strip, where=free)
