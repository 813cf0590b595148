"""The panel beside the picture: what the harvest costs, and which pages of VRAM were dirty.

It is drawn into an array of 0x00RRGGBB pixels, and knows neither a window nor a clock: who shows
it brings the time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.panel import draw, layout
from vgaemu.display.panel.draw import DIM, INK, PAPER, Pixels, duration, write
from vgaemu.display.panel.graph import CURVES, Graph
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
from vgaemu.display.work import FIELDS


@dataclass(frozen=True)
class Status:
    """What the window knows besides the reports."""

    info: ScreenInfo
    paused: bool = False
    turbo: bool = False
    outlines: bool = False
    #: Why the guest takes no keys.
    stands: str = ""
    #: What goes on besides.
    remark: str = ""
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


def _work(name: str) -> int:
    """Where the history has one of the keeper's counters."""
    return Column.WORK + FIELDS.index(name)


#: What the keeper did: in a word and in more, column of the history, how it is written.
WORK = (
    ("protect", "protect calls", _work("protect_calls"), draw.number),
    ("covered", "pages covered", _work("protected_pages"), draw.number),
    ("clean", "clean of those", _work("clean_pages"), draw.number),
    ("entries", "entries looked at", _work("entries_looked_at"), draw.number),
    ("changed", "entries changed", _work("entries_changed"), draw.number),
    ("grace", "grace period", _work("grace_period_ns"), duration),
    ("flushes", "flushes", _work("flushes"), draw.number),
    ("words", "words looked at", _work("words_looked_at"), draw.number),
)
#: What of it matters most; less where there is less room.
WORK_AT_LEAST = (WORK[:6], (WORK[0], WORK[3], WORK[5]))

#: What the map's colours mean, and how wide that is.
LEGEND = ((draw.DIRTY, "dirty"), (draw.CLEAN, "clean, redrawn"))
LEGEND_WIDTH = sum((len(text) + 3) * CHAR for _, text in LEGEND) - 2 * CHAR + 2


def _badge(status: Status) -> str:
    """Why the guest stands, in few words: what the title and a key's notice say at length."""
    if status.paused or not status.stands:
        return ""
    words = re.split(" with | for |[:;]", status.stands)[0].removeprefix("the ")
    return f" {words.replace(' has ', ' ').upper()} "


class Panel:
    """Draws the meter into `pixels`, (height, width) uint32 0x00RRGGBB, redrawn in place."""

    def __init__(self, width: int, height: int, meter: Meter, keys: Sequence[KeyHelp]) -> None:
        """Lay the panel out, and draw what stays; what it has no room for is left out."""
        self.meter = meter
        self.boxes = layout.arrange(width, height, keys)
        self.pixels: Pixels = np.full((height, width), PAPER, np.uint32)
        #: What each field says.
        self._fields: dict[tuple[int, int], str] = {}
        #: Curves that there are figures of.
        self._curves = 0
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
        self._draw_work()
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
        for tail in (f" of {FRAMES} frames", f" of {FRAMES}"):
            if x + len(tail) * CHAR <= box.x + box.width:
                write(self.pixels, x, box.y, tail, DIM, height=SMALL)
                break
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
        return box.x + nth * CHAR * (12 if box.width >= 48 * CHAR else 7)

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
            *([(" TURBO ", PAPER, draw.CLEAN)] if status.turbo else []),
            *([(badge, PAPER, draw.CLEAN)] if (badge := _badge(status)) else []),
            (f"{self.meter.frames_a_second:.1f} fps", INK, PAPER),
            *([("outlines", draw.DIRTY, PAPER)] if status.outlines else []),
            (f"dirty log: {self.meter.dirty_log or info.dirty_log}", INK, PAPER),
            (f"frame {self.meter.frame_number}", INK, PAPER),
            *([(status.remark, draw.CLEAN, PAPER)] if status.remark else []),
        ]
        x, y = box.x, box.y
        for text, ink, paper in items:
            if x > box.x and x + len(text) * CHAR > box.x + box.width:
                x, y = box.x, y + LINE
            if y + LINE <= box.y + box.height:
                x = write(self.pixels, x, y, text, ink, paper=paper) + 2 * CHAR

    def _draw_harvest(self) -> None:
        """Of whoever keeps the log now; of two that are compared, each in its colour."""
        box, names = self.boxes.harvest, self.meter.compared
        recent = self.meter.of_this_keeper(FRAMES)
        rows = (10, 19) if names else (10,)
        if self._curves != len(rows):
            self._curves = len(rows)
            draw.fill(self.pixels, Rect(box.x, box.y + 10, box.width, LINE + 1), PAPER)
            self._fields.clear()
        for curve, y in enumerate(rows if len(recent) else ()):
            times = recent[:, (Column.HARVEST, Column.SECOND)[curve]]
            ordered = np.sort(times)
            ranks = (round(part * (len(ordered) - 1)) for part in (0.5, 0.99, 1))
            for i, ns in enumerate((times[-1], *(ordered[rank] for rank in ranks))):
                ink = CURVES[curve] if names or not i else draw.BRIGHT
                self._put(
                    self._figure_x(i), box.y + y, f"{duration(ns):6}", ink,
                    height=SMALL if names else LINE,
                )  # fmt: skip
        shown = self.meter.recent(self._graph.frames)
        curves = [shown[:, Column.HARVEST], *([shown[:, Column.SECOND]] if names else [])]
        self._graph.draw(curves, self.meter.sections(self._graph.frames), names)

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

    def _draw_work(self) -> None:
        """What the keeper did in the last frame, and the most in one; of two, what each did."""
        box = self.boxes.work
        recent = self.meter.of_this_keeper(FRAMES)
        if not box.area or not len(recent):
            return
        values = [recent[-1], recent.max(axis=0)]
        if self.meter.compared:
            values = [np.concatenate((recent[-1, : Column.WORK], did)) for did in self.meter.works]
        if box.height >= HEADING + len(WORK) * LINE:
            self._draw_work_column(values)
        else:
            self._draw_work_lines(values)

    def _draw_work_column(self, values: Sequence[NDArray[np.float64]]) -> None:
        box, names = self.boxes.work, self.meter.compared
        heads = "".join([f"{name[:6]:>7}" for name in names or ("last", "max")])
        self._put(box.x, box.y, f"keeper  {heads}", DIM, height=SMALL)
        inks = CURVES if names else (draw.BRIGHT, DIM)
        places = layout.place_work(box, len(WORK))
        for place, (label, _, column, form) in zip(places, WORK, strict=True):
            write(self.pixels, place.x, place.y, label)
            for i, value in enumerate(values):
                x = place.x + (8 + 7 * i) * CHAR
                self._put(x, place.y, f"{form(value[column]):>7}", inks[i])

    def _draw_work_lines(self, values: Sequence[NDArray[np.float64]]) -> None:
        box = self.boxes.work
        shown = values if self.meter.compared else values[:1]
        draw.fill(self.pixels, box, PAPER)
        for items in WORK_AT_LEAST:
            places = layout.place_work(box, len(items))
            room = places[0].width // CHAR
            texts = []
            for short, long, column, form in items:
                text = "/".join([form(value[column]) for value in shown])
                label = long if len(long) + 1 + len(text) <= room else short
                texts.append(f"{label} {text}")
            if max(map(len, texts)) <= room:
                break
        for place, text in zip(places, texts, strict=True):
            write(self.pixels, place.x, place.y, text, INK, height=SMALL)

    def _put(self, x: int, y: int, text: str, ink: int, height: int = LINE) -> None:
        """Write a field of fixed width, unless it says that already."""
        if self._fields.get((x, y)) != text:
            self._fields[x, y] = text
            write(self.pixels, x, y, text, ink, height=height)

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
