"""The panel beside the picture: what the harvest costs, and which pages of VRAM were dirty.

It is drawn into an array of 0x00RRGGBB pixels, and knows neither a window nor a clock: who shows
it brings the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.panel import draw, layout
from vgaemu.display.panel.draw import DIM, INK, PAPER, Pixels, duration, write
from vgaemu.display.panel.layout import (
    CHAR,
    FRAMES,
    GRAPH_TOP,
    HEADING,
    LINE,
    SMALL,
    SMALL_LINE,
    KeyHelp,
)  # fmt: skip
from vgaemu.display.panel.meter import Column, Meter
from vgaemu.display.report import Rect, ScreenInfo

#: The 2012 patch's own figures for a harvest with the display on, in nanoseconds.
PATCH_NS = (50_000, 300_000)
#: The graph's ends and its lines, in nanoseconds; it is logarithmic.
GRAPH_NS = (100, 10_000_000)
GRAPH_LINES = ((1_000_000, "1ms"), (100_000, "100µs"), (10_000, "10µs"), (1_000, "1µs"))


@dataclass(frozen=True)
class Status:
    """What the window knows besides the reports."""

    info: ScreenInfo
    paused: bool = False
    outlines: bool = False
    #: What drawing the panel took the last time.
    panel_ns: int = 0


#: The counters: label, column of the history, how it is written.
COUNTERS = (
    ("pages", Column.PAGES, draw.number),
    ("spans", Column.SPANS, draw.number),
    ("rects", Column.RECTS, draw.number),
    ("redrawn", Column.REDRAWN, draw.percent),
    ("faults", Column.FAULTS, draw.number),
    ("render", Column.RENDER, duration),
    ("present", Column.PRESENT, duration),
)


#: What the map's colours mean, and how wide that is.
LEGEND = ((draw.DIRTY, "dirty"), (draw.CLEAN, "clean in span"))
LEGEND_WIDTH = sum((len(text) + 3) * CHAR for _, text in LEGEND) - 2 * CHAR + 2


class Graph:
    """Harvest times in a box of the panel: a column of one pixel a frame, the newest on the right.

    Logarithmic; the axis is drawn once, the columns are prepared for each height.
    """

    def __init__(self, pixels: Pixels, box: Rect) -> None:
        left, height = box.x + 5 * CHAR, box.height
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
        self._columns[(rows == tops) | (rows == tops + 1)] = draw.DIRTY
        self._empty = empty[:, None]
        middle = (top + bottom - SMALL) // 2 + 1
        self._labels = [self._label("2012 patch: 50-300µs", middle)]
        if middle >= 4 + SMALL_LINE:
            self._labels.append(self._label("harvest", 4))

    def _label(self, text: str, y: int) -> tuple[Pixels, NDArray[np.bool_]]:
        """Where a name is written, and its ink."""
        ink = draw.text_strip(text, 1, 0, SMALL).astype(bool)
        return self._well[y : y + SMALL, 4 : 4 + ink.shape[1]], ink

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
        for under, ink in self._labels:
            under[ink] = INK


class Panel:
    """Draws the meter into `pixels`, (height, width) uint32 0x00RRGGBB, redrawn in place."""

    def __init__(self, width: int, height: int, meter: Meter, keys: Sequence[KeyHelp]) -> None:
        """Lay the panel out, and draw what stays; what it has no room for is left out."""
        self.meter = meter
        self.boxes = layout.arrange(width, height, keys)
        self.pixels: Pixels = np.full((height, width), PAPER, np.uint32)
        #: What each field says.
        self._fields: dict[tuple[int, int], str] = {}
        box, heat = self.boxes.map, meter.heat
        above = len(heat.dirty) - heat.legacy
        #: Cells of the map; they begin below its heading.
        self.map_shape: layout.MapShape | None = None
        if box.area:
            room = box.height - HEADING - self._legend_height()
            self.map_shape = layout.map_shape(heat.legacy, above, box.width, room)
        box = self.boxes.harvest
        box = Rect(box.x, box.y + GRAPH_TOP, box.width, box.height - GRAPH_TOP)
        self._graph = Graph(self.pixels, box)
        self._draw_what_stays(keys)

    def draw(self, now_ns: int, status: Status) -> Pixels:
        """Bring `pixels` up to date, and return them; `now_ns` is a monotonic time."""
        self.meter.digest(now_ns)
        self._draw_status(status)
        self._draw_harvest()
        self._draw_counters(status)
        self._draw_map()
        return self.pixels

    def _draw_what_stays(self, keys: Sequence[KeyHelp]) -> None:
        height, width = self.pixels.shape
        if height > width:
            self.pixels[:, 0] = draw.RULE
        else:
            self.pixels[0] = draw.RULE
        self._draw_headings()
        self._draw_map_title()
        box = self.boxes.meaning
        for i, text in enumerate(layout.meaning_lines(box.width) if box.area else ()):
            write(self.pixels, box.x, box.y + i * SMALL_LINE, text, DIM, height=SMALL)
        box = self.boxes.keys
        for x, y, key, does in layout.place_keys(box.width, keys) if box.area else ():
            x = write(self.pixels, box.x + x, box.y + y, key, INK, height=SMALL)
            write(self.pixels, x + CHAR, box.y + y, does, DIM, height=SMALL)

    def _draw_headings(self) -> None:
        box = self.boxes.harvest
        for i, name in enumerate(("last", "p50", "p99", "max")):
            x = write(self.pixels, self._figure_x(i), box.y, name, DIM, height=SMALL)
        tail = f"of {FRAMES} frames"
        if x + CHAR + len(tail) * CHAR <= box.x + box.width:
            write(self.pixels, x + CHAR, box.y, tail, DIM, height=SMALL)
        box = self.boxes.counters
        if not box.area:
            return
        for column, name in ((0, "a frame"), (11, "last"), (19, "max")):
            write(self.pixels, box.x + column * CHAR, box.y, name, DIM, height=SMALL)
        for i, name in enumerate((*(name for name, _, _ in COUNTERS), "panel")):
            write(self.pixels, box.x, box.y + HEADING + i * LINE, name)

    def _figure_x(self, nth: int) -> int:
        """Where one of the four figures of the harvest stands."""
        box = self.boxes.harvest
        return box.x + nth * min(box.width // 4, 12 * CHAR)

    def _map_title(self) -> str:
        heat = self.meter.heat
        width = self.boxes.map.width
        return layout.map_title(heat.slot_pages, heat.legacy, heat.pages_a_cell, width)

    def _legend_height(self) -> int:
        """What it takes below the map, if it does not fit beside the map's title."""
        beside = (len(self._map_title()) + 1) * CHAR + LEGEND_WIDTH <= self.boxes.map.width
        return 0 if beside else CHAR + SMALL

    def _draw_map_title(self) -> None:
        box, below = self.boxes.map, self._legend_height()
        if self.map_shape is None:
            return
        write(self.pixels, box.x, box.y, self._map_title(), DIM, height=SMALL)
        x, y = box.x + box.width - LEGEND_WIDTH, box.y
        if below:
            x, y = box.x, box.y + HEADING + self.map_shape.height + CHAR
        for colour, text in LEGEND:
            draw.fill(self.pixels, Rect(x, y, 7, 7), colour)
            x = write(self.pixels, x + 10, y, text, DIM, height=SMALL) + 2 * CHAR - 2

    def _draw_status(self, status: Status) -> None:
        box = self.boxes.status
        draw.fill(self.pixels, box, PAPER)
        info = status.info
        items = [
            (info.mode_name, draw.BRIGHT, PAPER),
            *([(" PAUSED ", PAPER, draw.CLEAN)] if status.paused else []),
            (f"{self.meter.frames_a_second:.1f} fps", INK, PAPER),
            *([("outlines", draw.DIRTY, PAPER)] if status.outlines else []),
            (f"dirty log: {info.dirty_log}", INK, PAPER),
            (f"frame {self.meter.frame_number}", INK, PAPER),
        ]
        x, y = box.x, box.y
        for text, ink, paper in items:
            if x > box.x and x + len(text) * CHAR > box.x + box.width:
                x, y = box.x, y + LINE
            if y + LINE <= box.y + box.height:
                x = write(self.pixels, x, y, text, ink, paper=paper) + 2 * CHAR

    def _draw_harvest(self) -> None:
        box = self.boxes.harvest
        times = self.meter.recent(FRAMES)[:, Column.HARVEST]
        if len(times):
            ordered = np.sort(times)
            ranks = (round(part * (len(ordered) - 1)) for part in (0.5, 0.99, 1))
            for i, ns in enumerate((times[-1], *(ordered[rank] for rank in ranks))):
                ink = draw.BRIGHT if i else draw.DIRTY
                self._put(self._figure_x(i), box.y + 10, f"{duration(ns):6}", ink)
        self._graph.draw(self.meter.recent(self._graph.frames)[:, Column.HARVEST])

    def _draw_counters(self, status: Status) -> None:
        box = self.boxes.counters
        if not box.area:
            return
        recent = self.meter.recent(FRAMES)
        y = box.y + HEADING
        if len(recent):
            last, highest = recent[-1], recent.max(axis=0)
            for _, column, form in COUNTERS:
                self._put(box.x + 8 * CHAR, y, f"{form(last[column]):>7}", draw.BRIGHT)
                self._put(box.x + 15 * CHAR, y, f"{form(highest[column]):>7}", DIM)
                y += LINE
        y = box.y + HEADING + len(COUNTERS) * LINE
        self._put(box.x + 8 * CHAR, y, f"{duration(status.panel_ns):>7}", draw.BRIGHT)

    def _put(self, x: int, y: int, text: str, ink: int) -> None:
        """Write a field of fixed width, unless it says that already."""
        if self._fields.get((x, y)) != text:
            self._fields[x, y] = text
            write(self.pixels, x, y, text, ink)

    def _draw_map(self) -> None:
        box, heat, shape = self.boxes.map, self.meter.heat, self.map_shape
        if shape is None:
            return
        dirty = (heat.dirty * (draw.LIGHTS - 1)).astype(np.intp)
        clean = (heat.clean * (draw.LIGHTS - 1)).astype(np.intp)
        colours = draw.heat_colours()[dirty, clean]
        y = box.y + HEADING
        self._draw_cells(box.x, y, colours[: heat.legacy], shape.large, shape.large_columns)
        y += shape.large * shape.large_rows + layout.MAP_GAP
        if len(colours) > heat.legacy:
            self._draw_cells(box.x, y, colours[heat.legacy :], shape.small, shape.small_columns)

    def _draw_cells(self, x: int, y: int, colours: Pixels, size: int, columns: int) -> None:
        rows = -(-len(colours) // columns)
        padded = np.full(rows * columns, PAPER, np.uint32)
        padded[: len(colours)] = colours
        region = self.pixels[y : y + rows * size, x : x + columns * size]
        cells = region.reshape(rows, size, columns, size)
        # A dark line between cells, where they are large enough to afford one.
        inner = size - 1 if size > 2 else size
        cells[:, :inner, :, :inner] = padded.reshape(rows, 1, columns, 1)
