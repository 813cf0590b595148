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
from vgaemu.display.panel.draw import DIM, INK, PAPER, Pixels, microseconds, write
from vgaemu.display.panel.layout import CHAR, HEADING, LINE, SMALL, KeyHelp
from vgaemu.display.panel.meter import Column, Meter
from vgaemu.display.report import Rect, ScreenInfo

#: Frames that percentiles look back on.
PERCENTILE_FRAMES = 600
#: Frames of the "max" column: a second.
RECENT_FRAMES = 60

#: The 2012 patch's own figures for a harvest with the display on, in nanoseconds.
PATCH_NS = (50_000, 300_000)
#: The graph's ends and its lines, in nanoseconds; it is logarithmic.
GRAPH_NS = (100, 10_000_000)
GRAPH_LINES = ((1_000, "1µs"), (10_000, "10µs"), (100_000, "100µs"), (1_000_000, "1ms"))


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
    ("render", Column.RENDER, microseconds),
    ("present", Column.PRESENT, microseconds),
)


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
        for ns, label in GRAPH_LINES:
            row = int(self._rows(np.array([float(ns)]))[0])
            empty[row] = draw.RULE
            write(pixels, left - 6 - len(label) * CHAR, box.y + row - 3, label, DIM, height=SMALL)
        rows, tops = np.arange(height), np.arange(height)[:, None]
        #: What a column looks like, for each row that its top may have.
        self._columns = np.where(rows > tops, np.uint32(draw.GRAPH), empty)
        self._columns[(rows == tops) | (rows == tops + 1)] = draw.DIRTY
        self._empty = empty[:, None]
        # Names are written where hardly a column reaches them.
        self._labels = [
            self._label("harvest µs", 4, draw.WELL),
            self._label("2012 patch", (top + bottom - SMALL) // 2 + 1, draw.BAND),
        ]

    def _label(self, text: str, y: int, paper: int) -> tuple[tuple[slice, slice], Pixels, int]:
        strip = draw.text_strip(text, DIM, paper, SMALL)
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
            free = (under == paper) | (under == draw.RULE)
            if free.mean() > 0.9:  # a few spikes leave it readable
                np.copyto(under, strip, where=free)


class Panel:
    """Draws the meter into `pixels`, (height, width) uint32 0x00RRGGBB, redrawn in place."""

    def __init__(self, width: int, height: int, meter: Meter, keys: Sequence[KeyHelp]) -> None:
        """Lay the panel out, and draw what stays; what it has no room for is cut off."""
        self.meter = meter
        size, self.boxes = layout.arrange(width, height)
        self._whole: Pixels = np.full(size[::-1], PAPER, np.uint32)
        #: What of it is shown.
        self.pixels: Pixels = self._whole
        if size != (width, height):
            self.pixels = np.empty((height, width), np.uint32)
        #: What each field says.
        self._fields: dict[tuple[int, int], str] = {}
        box, heat = self.boxes.map, meter.heat
        above = len(heat.dirty) - heat.legacy
        #: Cells of the map; they begin below its heading.
        self.map_shape = layout.map_shape(heat.legacy, above, box.width, box.height - HEADING)
        box = self.boxes.harvest
        self._graph = Graph(self._whole, Rect(box.x, box.y + 30, box.width, box.height - 30))
        self._draw_what_stays(keys)

    def draw(self, now_ns: int, status: Status) -> Pixels:
        """Bring `pixels` up to date, and return them; `now_ns` is a monotonic time."""
        self.meter.digest(now_ns)
        self._draw_status(status)
        self._draw_harvest()
        self._draw_counters(status)
        self._draw_map()
        if self.pixels is not self._whole:
            height, width = self.pixels.shape
            self.pixels[:] = self._whole[:height, :width]
        return self.pixels

    def _draw_what_stays(self, keys: Sequence[KeyHelp]) -> None:
        height, width = self.pixels.shape
        if height > width:
            self._whole[:, 0] = draw.RULE
        else:
            self._whole[0] = draw.RULE
        self._draw_headings()
        self._draw_map_title()
        box = self.boxes.meaning
        for i, text in enumerate(layout.meaning_lines(box.width)):
            write(self._whole, box.x, box.y + i * (SMALL + 2), text, DIM, height=SMALL)
        for x, y, key, does in layout.place_keys(self.boxes.keys, keys):
            x = write(self._whole, x, y, key, INK, height=SMALL)
            write(self._whole, x + CHAR, y, does, DIM, height=SMALL)

    def _draw_headings(self) -> None:
        box = self.boxes.harvest
        for i, name in enumerate(("last", "p50", "p99", "max")):
            write(self._whole, box.x + i * (box.width // 4), box.y, name, DIM, height=SMALL)
        box = self.boxes.counters
        for column, name in ((0, "a frame"), (10, "last"), (17, "max")):
            write(self._whole, box.x + column * CHAR, box.y, name, DIM, height=SMALL)
        for i, name in enumerate((*(name for name, _, _ in COUNTERS), "panel µs")):
            write(self._whole, box.x, box.y + HEADING + i * LINE, name)

    def _draw_map_title(self) -> None:
        box, heat = self.boxes.map, self.meter.heat
        title = layout.map_title(heat.slot_pages, heat.legacy, heat.pages_a_cell)
        end = write(self._whole, box.x, box.y, title, DIM, height=SMALL)
        legend = ((draw.DIRTY, "dirty"), (draw.CLEAN, "clean in span"))
        width = sum((len(text) + 3) * CHAR for _, text in legend) - 2 * CHAR + 2
        x, y = box.x + box.width - width, box.y
        if x < end + CHAR:
            x, y = box.x, box.y + HEADING + self.map_shape.height + CHAR
        if y + SMALL > box.y + box.height:
            return  # a large slot's title, and a map that fills the box
        for colour, text in legend:
            draw.fill(self._whole, Rect(x, y, 7, 7), colour)
            x = write(self._whole, x + 10, y, text, DIM, height=SMALL) + 2 * CHAR - 2

    def _draw_status(self, status: Status) -> None:
        box = self.boxes.status
        draw.fill(self._whole, box, PAPER)
        info = status.info
        items = [
            (info.mode_name, draw.BRIGHT),
            (f"{self.meter.frames_a_second:.1f} fps", INK),
            (f"dirty log: {info.dirty_log}", INK),
            (f"frame {self.meter.frame_number}", INK),
        ]
        if status.outlines:
            items.append(("outlines", draw.DIRTY))
        x, y = box.x, box.y
        for text, ink in items:
            if x > box.x and x + len(text) * CHAR > box.x + box.width:
                x, y = box.x, y + LINE
            if y + LINE <= box.y + box.height:
                x = write(self._whole, x, y, text, ink) + 2 * CHAR
        if status.paused:
            x, y = box.x + box.width - 8 * CHAR, box.y + box.height - LINE
            write(self._whole, x, y, " PAUSED ", PAPER, paper=draw.CLEAN)

    def _draw_harvest(self) -> None:
        box = self.boxes.harvest
        times = self.meter.recent(PERCENTILE_FRAMES)[:, Column.HARVEST]
        if len(times):
            ordered = np.sort(times)
            ranks = (round(part * (len(ordered) - 1)) for part in (0.5, 0.99, 1))
            for i, ns in enumerate((times[-1], *(ordered[rank] for rank in ranks))):
                ink = draw.BRIGHT if i else draw.DIRTY
                self._put(box.x + i * (box.width // 4), box.y + 10, f"{microseconds(ns):5}", ink)
        self._graph.draw(self.meter.recent(self._graph.frames)[:, Column.HARVEST])

    def _draw_counters(self, status: Status) -> None:
        box = self.boxes.counters
        recent = self.meter.recent(RECENT_FRAMES)
        y = box.y + HEADING
        if len(recent):
            last, highest = recent[-1], recent.max(axis=0)
            for _, column, form in COUNTERS:
                self._put(box.x + 8 * CHAR, y, f"{form(last[column]):>6}", draw.BRIGHT)
                self._put(box.x + 14 * CHAR, y, f"{form(highest[column]):>6}", DIM)
                y += LINE
        y = box.y + HEADING + len(COUNTERS) * LINE
        self._put(box.x + 8 * CHAR, y, f"{microseconds(status.panel_ns):>6}", draw.BRIGHT)

    def _put(self, x: int, y: int, text: str, ink: int) -> None:
        """Write a field of fixed width, unless it says that already."""
        if self._fields.get((x, y)) != text:
            self._fields[x, y] = text
            write(self._whole, x, y, text, ink)

    def _draw_map(self) -> None:
        box, heat, shape = self.boxes.map, self.meter.heat, self.map_shape
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
        region = self._whole[y : y + rows * size, x : x + columns * size]
        cells = region.reshape(rows, size, columns, size)
        # A dark line between cells, where they are large enough to afford one.
        inner = size - 1 if size > 2 else size
        cells[:, :inner, :, :inner] = padded.reshape(rows, 1, columns, 1)
