"""The panel beside the picture: what the harvest costs, and which pages of VRAM were dirty.

It is drawn into an array of 0x00RRGGBB pixels, and knows neither a window nor a clock: who shows
it brings the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vgaemu.display.panel.draw import (
    BRIGHT,
    CLEAN,
    DIM,
    DIRTY,
    INK,
    LIGHTS,
    PAPER,
    RULE,
    Pixels,
    fill,
    heat_colours,
    microseconds,
    number,
    percent,
    write,
)
from vgaemu.display.panel.graph import Graph
from vgaemu.display.panel.layout import (
    CHAR,
    HEADING,
    LINE,
    MAP_GAP,
    SMALL,
    KeyHelp,
    arrange,
    map_shape,
    map_title,
    meaning_lines,
    place_keys,
)
from vgaemu.display.panel.meter import Column, Meter
from vgaemu.display.report import Rect, ScreenInfo

#: Frames that percentiles look back on.
PERCENTILE_FRAMES = 600
#: Frames of the "max" column: a second.
RECENT_FRAMES = 60


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
    ("pages", Column.PAGES, number),
    ("spans", Column.SPANS, number),
    ("rects", Column.RECTS, number),
    ("redrawn", Column.REDRAWN, percent),
    ("faults", Column.FAULTS, number),
    ("render", Column.RENDER, microseconds),
    ("present", Column.PRESENT, microseconds),
)


class Panel:
    """Draws the meter into `pixels`, (height, width) uint32 0x00RRGGBB, redrawn in place."""

    def __init__(self, width: int, height: int, meter: Meter, keys: Sequence[KeyHelp]) -> None:
        """Lay the panel out: in columns, or one above the other where it is higher than wide.

        Args:
            width: Pixels; what a panel smaller than MIN_WIDTH has no room for is cut off.
            height: Pixels.
            meter: What to show.
            keys: The window's keys and what each does.
        """
        self.meter = meter
        size, self.boxes = arrange(width, height)
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
        self.map_shape = map_shape(heat.legacy, above, box.width, box.height - HEADING)
        box = self.boxes.harvest
        self._graph = Graph(self._whole, Rect(box.x, box.y + 30, box.width, box.height - 30))
        self._draw_what_stays(keys)

    def draw(self, now_ns: int, status: Status) -> Pixels:
        """Bring the panel up to date.

        Args:
            now_ns: A monotonic time.
            status: What the window knows besides the reports.

        Returns:
            `pixels`.
        """
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
            self._whole[:, 0] = RULE
        else:
            self._whole[0] = RULE
        box = self.boxes.meaning
        for i, text in enumerate(meaning_lines(box.width)):
            write(self._whole, box.x, box.y + i * (SMALL + 2), text, DIM, height=SMALL)
        for x, y, key, does in place_keys(self.boxes.keys, keys):
            x = write(self._whole, x, y, key, INK, height=SMALL)
            write(self._whole, x + CHAR, y, does, DIM, height=SMALL)
        self._draw_headings()
        self._draw_map_title()

    def _draw_headings(self) -> None:
        box = self.boxes.harvest
        for i, name in enumerate(("last", "p50", "p99", "max")):
            x = box.x + i * (box.width // 4)
            write(self._whole, x, box.y, name, DIM, height=SMALL)
        box = self.boxes.counters
        write(self._whole, box.x, box.y, "a frame", DIM, height=SMALL)
        for right, name in ((14, "last"), (20, "max")):
            x = box.x + (right - len(name)) * CHAR
            write(self._whole, x, box.y, name, DIM, height=SMALL)
        for i, (name, _, _) in enumerate(COUNTERS):
            write(self._whole, box.x, box.y + HEADING + i * LINE, name)
        write(self._whole, box.x, box.y + HEADING + len(COUNTERS) * LINE, "panel µs")

    def _draw_map_title(self) -> None:
        box, heat = self.boxes.map, self.meter.heat
        title = map_title(heat.slot_pages, heat.legacy, heat.pages_a_cell)
        end = write(self._whole, box.x, box.y, title, DIM, height=SMALL)
        legend = ((DIRTY, "dirty"), (CLEAN, "clean in span"))
        width = sum((len(text) + 3) * CHAR for _, text in legend) - 2 * CHAR + 2
        x, y = box.x + box.width - width, box.y
        if x < end + CHAR:
            x, y = box.x, box.y + HEADING + self.map_shape.height + CHAR
        if y + SMALL > box.y + box.height:
            return  # a large slot's title, and a map that fills the box
        for colour, text in legend:
            fill(self._whole, Rect(x, y, 7, 7), colour)
            x = write(self._whole, x + 10, y, text, DIM, height=SMALL) + 2 * CHAR - 2

    def _draw_status(self, status: Status) -> None:
        box = self.boxes.status
        fill(self._whole, box, PAPER)
        info = status.info
        items = [
            (info.mode_name, BRIGHT),
            (f"{self.meter.frames_a_second:.1f} fps", INK),
            (f"dirty log: {info.dirty_log}", INK),
            (f"frame {self.meter.frame}", INK),
        ]
        if status.outlines:
            items.append(("outlines", DIRTY))
        x, y = box.x, box.y
        for text, ink in items:
            if x > box.x and x + len(text) * CHAR > box.x + box.width:
                x, y = box.x, y + LINE
            if y + LINE <= box.y + box.height:
                x = write(self._whole, x, y, text, ink) + 2 * CHAR
        if status.paused:
            x, y = box.x + box.width - 8 * CHAR, box.y + box.height - LINE
            write(self._whole, x, y, " PAUSED ", PAPER, paper=CLEAN)

    def _draw_harvest(self) -> None:
        box = self.boxes.harvest
        times = self.meter.recent(PERCENTILE_FRAMES)[:, Column.HARVEST]
        if len(times):
            ordered = np.sort(times)
            ranks = (round(part * (len(ordered) - 1)) for part in (0.5, 0.99, 1))
            for i, ns in enumerate((times[-1], *(ordered[rank] for rank in ranks))):
                x = box.x + i * (box.width // 4)
                ink = BRIGHT if i else DIRTY
                self._put(x, box.y + 10, f"{microseconds(ns):5}", ink)
        self._graph.draw(self.meter.recent(self._graph.frames)[:, Column.HARVEST])

    def _draw_counters(self, status: Status) -> None:
        box = self.boxes.counters
        recent = self.meter.recent(RECENT_FRAMES)
        y = box.y + HEADING
        if len(recent):
            last, highest = recent[-1], recent.max(axis=0)
            for _, column, form in COUNTERS:
                self._put(box.x + 8 * CHAR, y, f"{form(last[column]):>6}", BRIGHT)
                self._put(box.x + 14 * CHAR, y, f"{form(highest[column]):>6}", DIM)
                y += LINE
        y = box.y + HEADING + len(COUNTERS) * LINE
        self._put(box.x + 8 * CHAR, y, f"{microseconds(status.panel_ns):>6}", BRIGHT)

    def _put(self, x: int, y: int, text: str, ink: int) -> None:
        """Write a field of fixed width, unless it says that already."""
        if self._fields.get((x, y)) != text:
            self._fields[x, y] = text
            write(self._whole, x, y, text, ink)

    def _draw_map(self) -> None:
        box, heat, shape = self.boxes.map, self.meter.heat, self.map_shape
        dirty = (heat.dirty * (LIGHTS - 1)).astype(np.intp)
        clean = (heat.clean * (LIGHTS - 1)).astype(np.intp)
        colours = heat_colours()[dirty, clean]
        y = box.y + HEADING
        self._draw_cells(box.x, y, colours[: heat.legacy], shape.large, shape.large_columns)
        y += shape.large * shape.large_rows + MAP_GAP
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
