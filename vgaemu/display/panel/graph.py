"""The graph of the harvests: a column of one pixel a frame, who kept the log, two that compare.

Logarithmic; the axis is drawn once, the columns are prepared for each height.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.panel import draw
from vgaemu.display.panel.draw import DIM, INK, Pixels, duration, write
from vgaemu.display.panel.layout import CHAR, SMALL, SMALL_LINE
from vgaemu.display.report import Rect

#: The 2012 patch's own figures for a harvest with the display on, in nanoseconds.
PATCH_NS = (50_000, 300_000)
#: The graph's ends and its lines, in nanoseconds.
GRAPH_NS = (100, 10_000_000)
GRAPH_LINES = ((1_000_000, "1ms"), (100_000, "100µs"), (10_000, "10µs"), (1_000, "1µs"))
#: Width of what stands left of the columns.
AXIS = 5 * CHAR
#: Colours of the curves: of the keeper, and of the second one that is compared with it.
CURVES = (draw.DIRTY, draw.SECOND)


class Section(NamedTuple):
    """From which of the frames on who kept the log, and the median of those harvests."""

    start: int
    dirty_log: str
    median_ns: float


class Graph:
    """Harvest times in a box of some pixels, the newest on the right."""

    def __init__(self, pixels: Pixels, box: Rect) -> None:
        left, height = box.x + AXIS, box.height
        self._well = pixels[box.y : box.y + height, left : box.x + box.width]
        empty = np.full(height, draw.WELL, np.uint32)
        top, bottom = self._rows(np.array(PATCH_NS[::-1], float)).tolist()
        empty[top:bottom] = draw.BAND
        above = -SMALL
        for ns, label in GRAPH_LINES:
            row = int(self._rows(np.array([float(ns)]))[0])
            empty[row] = draw.RULE
            if row - above > SMALL:  # in a low graph not each line has its label
                above, x = row, left - 6 - len(label) * CHAR
                write(pixels, x, box.y + row - 3, label, DIM, height=SMALL)
        rows, tops = np.arange(height), np.arange(height)[:, None]
        # Band and lines are seen through what is filled.
        filled = np.array([draw.under_the_curve(int(colour)) for colour in empty], np.uint32)
        #: What a column looks like, for each row that its top may have.
        self._columns = np.where(rows > tops, filled, empty)
        self._columns[(rows == tops) | (rows == tops + 1)] = CURVES[0]
        self._empty = empty[:, None]
        self._middle = (top + bottom - SMALL) // 2 + 1

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

    def draw(
        self,
        curves: Sequence[NDArray[np.float64]],
        sections: Sequence[Section] = (),
        names: Sequence[str] = (),
    ) -> None:
        """Draw the last frames' times, at most `frames` of them.

        Args:
            curves: The times, and perhaps those of a second keeper.
            sections: Who kept the log; where another took over there is a mark, and each section
                that has room for it says its median.
            names: Of the two keepers, if there are two.
        """
        rows = self._rows(curves[0])
        empty = self.frames - len(rows)
        self._well[:, :empty] = self._empty
        self._well[:, empty:] = self._columns[rows].T
        for curve in curves[1:]:
            second = self._rows(curve)
            for row in (second, second + 1):
                self._well[row, np.arange(empty, self.frames)] = CURVES[1]
        self._label(4, self._middle, "2012 patch: 50-300µs")
        has_room = self._middle >= 4 + SMALL_LINE
        if len(sections) > 1:
            self._draw_sections(empty, sections)
        elif has_room and names:
            x = 4
            for name, ink in zip(names, CURVES, strict=True):
                x = self._label(x, 4, name, ink) + CHAR
        elif has_room:
            self._label(4, 4, "harvest")

    def _draw_sections(self, empty: int, sections: Sequence[Section]) -> None:
        """Marks where another took over; where they have no room, the newest are named."""
        end = until = self.frames
        for i, (start, name, median_ns) in reversed([*enumerate(sections)]):
            at = empty + start
            median = f"p50 {duration(median_ns)}"
            if len(median) * CHAR + 8 <= end - at:
                self._label(at + 4, len(self._well) - SMALL_LINE, median, draw.BRIGHT)
            end = at
            text = f"→{name}" if i else name
            wide = len(text) * CHAR
            if i:
                self._well[:, at] = draw.BRIGHT
            x = at + 4 if not i or at + 4 + wide <= until else at - 3 - wide
            if x > 0 and x + wide <= until:
                self._well[3 : 5 + SMALL, x - 1 : x + wide + 1] = draw.WELL  # over high columns
                self._label(x, 4, text, draw.BRIGHT)
                until = min(x, at)

    def _label(self, x: int, y: int, text: str, ink: int = INK) -> int:
        """Write over what is drawn, and return the x behind it; what does not fit is cut."""
        inked = draw.text_strip(text, 1, 0, SMALL).astype(bool)[:, : max(0, self.frames - x)]
        self._well[y : y + SMALL, x : x + inked.shape[1]][inked] = ink
        return x + len(text) * CHAR
