"""The panel beside the picture: what the harvest costs, and which pages of VRAM were dirty.

`Meter` gathers frame reports; `Panel` draws them into an array of 0x00RRGGBB pixels with the
project's own font. Neither knows a window or a clock: who shows the panel brings the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.report import FrameReport, ScreenInfo
from vgaemu.vga.codepage import to_cp437
from vgaemu.vga.font import bundled_font
from vgaemu.vga.layout import LEGACY_PAGES

Pixels = NDArray[np.uint32]
#: A key, and what it does in more and in fewer words.
KeyHelp = tuple[str, str, str]

# Colours, 0x00RRGGBB.
PAPER = 0x14171C
WELL = 0x1C2027
RULE = 0x343B46
DIM = 0x808B9B
INK = 0xC8D0DB
BRIGHT = 0xFFFFFF
#: Dirty, redrawn. The outlines on the picture have the same colour.
DIRTY = 0x35C9B0
#: Clean, but inside a span and so taken along; also what asks for attention.
CLEAN = 0xE59F3C
GRAPH = 0x1B4C4A
#: The band of the 2012 patch's harvests.
BAND = 0x2A2638

CHAR = 8
LINE = 16
SMALL = 8
MARGIN = 8
GAP = 16

#: Height of a panel below the picture, and widths of one beside it.
BELOW_HEIGHT = 198
BESIDE_WIDTHS = (400, 272)
#: Narrowest panel that shows everything.
MIN_WIDTH = 640
#: Lowest panel beside the picture that shows everything.
MIN_BESIDE_HEIGHT = 600

#: Frames that percentiles and graph look back on.
HISTORY = 1024
PERCENTILE_FRAMES = 600
#: Frames of the "max" column: a second.
RECENT_FRAMES = 60
#: Reports that wait for the panel at most: 10 000 frames a second fill it between two drawings.
MAX_WAITING = 1024

#: The 2012 patch's own figures for a harvest with the display on, in nanoseconds.
PATCH_NS = (50_000, 300_000)
#: The graph's ends and its lines, in nanoseconds; it is logarithmic.
GRAPH_NS = (100, 10_000_000)
GRAPH_LINES = ((1_000, "1µs"), (10_000, "10µs"), (100_000, "100µs"), (1_000_000, "1ms"))

#: What the first figure means: the longest that fits, or in three lines.
MEANINGS = (
    "harvest: time to snapshot, clear and write-protect the dirty log; the 2012 patch: 50-300 µs",
    "harvest: snapshot, clear, write-protect the dirty log; the 2012 patch: 50-300 µs",
    "harvest: snapshot, clear, protect the dirty log; the 2012 patch: 50-300 µs",
)
MEANING_LINES = (
    "harvest: time to snapshot, clear",
    "and write-protect the dirty log;",
    "the 2012 patch: 50-300 µs",
)

#: Part of a page's light that is left after a second.
FADE_A_SECOND = 0.12
#: Cells for the pages above the legacy ones, which are large; larger slots share them.
MAP_CELLS = 4096
#: Pixels between the two.
MAP_GAP = 4


@dataclass(frozen=True)
class Status:
    """What the window knows besides the reports."""

    info: ScreenInfo
    paused: bool = False
    outlines: bool = False
    #: What drawing the panel took the last time.
    panel_ns: int = 0


@dataclass(frozen=True)
class Box:
    """A part of the panel, in its pixels."""

    x: int
    y: int
    width: int
    height: int


# --- what is shown ------------------------------------------------------------------------------

#: Columns of the meter's history.
HARVEST, PAGES, SPANS, RECTS, REDRAWN, FAULTS, RENDER, PRESENT = range(8)


class PageHeat:
    """How recently each page of VRAM was dirty, or taken along clean: 1 now, fading to 0."""

    def __init__(self, slot_pages: int) -> None:
        """All cold.

        Args:
            slot_pages: Pages in the slot; from page 64 on, some share a cell in large slots.
        """
        self.slot_pages = slot_pages
        self.legacy = min(slot_pages, LEGACY_PAGES)
        above = slot_pages - self.legacy
        #: Pages a cell above the legacy ones.
        self.pages_a_cell = max(1, -(-above // MAP_CELLS))
        cells = self.legacy + -(-above // self.pages_a_cell)
        self.dirty = np.zeros(cells, np.float32)
        self.clean = np.zeros(cells, np.float32)

    def cells(self, pages: NDArray[np.intp]) -> NDArray[np.intp]:
        """The cell of each page."""
        above = self.legacy + (pages - self.legacy) // self.pages_a_cell
        return np.where(pages < self.legacy, pages, above)

    def note(self, reports: Sequence[FrameReport]) -> None:
        """Light up the pages of some frames."""
        spans = [span for report in reports for span in report.spans]
        if not spans:
            return
        pages = self.cells(np.concatenate([report.dirty_pages for report in reports]))
        starts, ends = np.array(spans, np.intp).T
        size = len(self.clean) + 1
        # How many spans a cell lies in: those that began up to it, less those that ended before.
        begun = np.bincount(self.cells(starts), minlength=size)
        over = np.bincount(self.cells(ends - 1) + 1, minlength=size)
        self.clean[np.cumsum(begun - over)[:-1] > 0] = 1
        self.dirty[pages] = 1
        self.clean[pages] = 0

    def fade(self, seconds: float) -> None:
        """Let time pass."""
        left = FADE_A_SECOND**seconds
        self.dirty *= left
        self.clean *= left


class Meter:
    """Gathers frame reports; cheap to feed, as it works only when asked."""

    def __init__(self) -> None:
        """Nothing was seen."""
        self._waiting: deque[tuple[FrameReport, int]] = deque(maxlen=MAX_WAITING)
        self._history = np.zeros((HISTORY, 8))
        self._fed = 0
        self._counted: deque[tuple[int, int]] = deque(maxlen=11)
        self._digested_ns = 0
        self.count = 0
        self.frame = 0
        self.frames_a_second = 0.0
        self.picture_pixels = 1
        self.heat = PageHeat(0)

    def reshape(self, info: ScreenInfo) -> None:
        """The picture has another shape; the slot may be another one."""
        self.picture_pixels = info.width * info.height
        if self.heat.slot_pages != info.slot_pages:
            self.heat = PageHeat(info.slot_pages)

    def note(self, report: FrameReport, rects: int) -> None:
        """Take a frame in; what it means is worked out by `digest`."""
        self._waiting.append((report, rects))
        self._fed += 1

    def digest(self, now_ns: int) -> None:
        """Work out all that was noted.

        Args:
            now_ns: A monotonic time; light fades and frames are counted by it.
        """
        self.heat.fade(max(0, now_ns - self._digested_ns) / 1e9)
        self._digested_ns = now_ns
        noted = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self.heat.note([report for report, _ in noted])
        rows = [self._row(report, rects) for report, rects in noted]
        if rows:
            self.frame = noted[-1][0].frame
            kept = self._history[len(rows) :] if len(rows) < HISTORY else self._history[:0]
            self._history = np.concatenate((kept, rows))
            self.count = min(HISTORY, self.count + len(rows))
        self._counted.append((now_ns, self._fed))
        (then, before), (now, fed) = self._counted[0], self._counted[-1]
        if now > then:
            self.frames_a_second = (fed - before) * 1e9 / (now - then)

    def _row(self, report: FrameReport, rects: int) -> tuple[float, ...]:
        redrawn = 100 * min(1.0, report.pixels / self.picture_pixels)
        return (
            report.harvest_ns, len(report.log), len(report.spans), rects, redrawn,
            report.faults, report.render_ns, report.present_ns,
        )  # fmt: skip

    def recent(self, frames: int) -> NDArray[np.float64]:
        """The last frames, oldest first: (at most `frames`, 8), columns HARVEST to PRESENT."""
        count = min(frames, self.count)
        return self._history[HISTORY - count :]

    def restart_clock(self) -> None:
        """Count frames a second anew, as after a pause."""
        self._counted.clear()


# --- how it is drawn ----------------------------------------------------------------------------


@lru_cache(maxsize=32)
def _inked(height: int, ink: int, paper: int) -> NDArray[np.uint32]:
    """A font in two colours: (256, height, 8)."""
    bits = np.unpackbits(bundled_font(height)[:, :, None], axis=2)
    return np.where(bits, np.uint32(ink), np.uint32(paper))


def text_strip(text: str, ink: int, paper: int, height: int) -> Pixels:
    """A line of text: (height, 8 * len(text)) uint32."""
    codes = np.frombuffer(to_cp437(text), np.uint8)
    glyphs = _inked(height, ink, paper)[codes]
    return glyphs.transpose(1, 0, 2).reshape(height, CHAR * len(codes))


def write(
    pixels: Pixels, x: int, y: int, text: str, ink: int = INK,
    *, paper: int = PAPER, height: int = LINE,
) -> int:  # fmt: skip
    """Write a line of text; what does not fit on the right is cut.

    Args:
        pixels: (h, w) uint32 to write into.
        x: Left edge.
        y: Top edge.
        text: What code page 437 can show.
        ink: Colour of the glyphs.
        paper: Colour behind them.
        height: 16 or 8.

    Returns:
        The x after the text.
    """
    strip = text_strip(text[: max(0, (pixels.shape[1] - x) // CHAR)], ink, paper, height)
    pixels[y : y + height, x : x + strip.shape[1]] = strip
    return x + CHAR * len(text)


def fill(pixels: Pixels, box: Box, colour: int) -> None:
    """Fill a box with one colour."""
    pixels[box.y : box.y + box.height, box.x : box.x + box.width] = colour


def blend(under: int, over: int, part: float) -> int:
    """A colour between two: 0 is `under`, 1 is `over`.

    >>> hex(blend(0x000000, 0xFF8040, 0.5))
    '0x804020'
    """
    mixed = 0
    for shift in (16, 8, 0):
        a, b = under >> shift & 0xFF, over >> shift & 0xFF
        mixed |= round(a + (b - a) * part) << shift
    return mixed


def microseconds(ns: float) -> str:
    """A time in at most five characters; microseconds unless it says ms or s.

    >>> [microseconds(ns) for ns in (0, 412, 12_345, 123_456, 1_234_567, 45_000_000, 2e9)]
    ['0', '0.41', '12.3', '123', '1235', '45ms', '2s']
    """
    us = ns / 1000
    for limit, text in (
        (0.005, "0"), (9.995, f"{us:.2f}"), (99.95, f"{us:.1f}"), (9999.5, f"{us:.0f}"),
        (999_500, f"{us / 1e3:.0f}ms"),
    ):  # fmt: skip
        if us < limit:
            return text
    return f"{us / 1e6:.0f}s"


def percent(value: float) -> str:
    """A percentage in at most five characters.

    >>> [percent(value) for value in (0, 0.05, 12.34, 99.96, 100)]
    ['0%', '<0.1%', '12.3%', '100%', '100%']
    """
    if 0 < value < 0.1:
        return "<0.1%"
    return f"{value:.1f}%".replace("100.0", "100") if value else "0%"


def number(value: float) -> str:
    """A count in at most five characters.

    >>> [number(value) for value in (7, 65536, 123456)]
    ['7', '65536', '123k']
    """
    return str(int(value)) if value < 100_000 else f"{int(value) // 1000}k"


#: The counters: label, column of the history, how it is written.
COUNTERS = (
    ("pages", PAGES, number),
    ("spans", SPANS, number),
    ("rects", RECTS, number),
    ("redrawn", REDRAWN, percent),
    ("faults", FAULTS, number),
    ("render", RENDER, microseconds),
    ("present", PRESENT, microseconds),
)

_STATUS = "status"
_HARVEST = "harvest"
_COUNTERS = "counters"
_MAP = "map"
_MEANING = "meaning"
_KEYS = "keys"

_BODY_TOP = 28
_BODY_HEIGHT = 138
_COUNTERS_WIDTH = 160
#: Map widths, widest first, and the panel width from which each is used.
_MAP_WIDTHS = ((1856, 1024), (1280, 768), (880, 384), (0, 256))


def arrange_below(width: int) -> dict[str, Box]:
    """Boxes of a panel below the picture, in columns."""
    inner = width - 2 * MARGIN
    map_width = next(size for least, size in _MAP_WIDTHS if width >= least)
    graph_width = inner - _COUNTERS_WIDTH - map_width - 2 * GAP
    counters_x = MARGIN + graph_width + GAP
    map_x = counters_x + _COUNTERS_WIDTH + GAP
    below = _BODY_TOP + _BODY_HEIGHT
    return {
        _STATUS: Box(MARGIN, 6, inner, LINE),
        _HARVEST: Box(MARGIN, _BODY_TOP, graph_width, _BODY_HEIGHT),
        _COUNTERS: Box(counters_x, _BODY_TOP, _COUNTERS_WIDTH, _BODY_HEIGHT),
        _MAP: Box(map_x, _BODY_TOP, map_width, _BODY_HEIGHT),
        _MEANING: Box(MARGIN, below + 6, inner, SMALL),
        _KEYS: Box(MARGIN, below + 18, inner, SMALL),
    }


def arrange_beside(width: int) -> dict[str, Box]:
    """Boxes of a panel beside the picture, one above the other."""
    inner = width - 2 * MARGIN
    boxes = {}
    y = MARGIN
    for name, height in (
        (_STATUS, 2 * LINE), (_HARVEST, _BODY_HEIGHT), (_MEANING, 3 * (SMALL + 2)),
        (_COUNTERS, _BODY_HEIGHT), (_MAP, 136), (_KEYS, 6 * (SMALL + 2)),
    ):  # fmt: skip
        boxes[name] = Box(MARGIN, y, inner, height)
        y += height + 10
    return boxes


@dataclass(frozen=True)
class MapShape:
    """How the page map is laid out: legacy pages in large cells, the others in small ones."""

    #: Pixels a cell, and cells a row.
    large: int
    large_columns: int
    small: int
    small_columns: int
    large_rows: int
    small_rows: int

    @property
    def height(self) -> int:
        """Pixels from the first large cell to the last small one."""
        gap = MAP_GAP if self.small_rows else 0
        return self.large * self.large_rows + gap + self.small * self.small_rows


def map_shape(legacy: int, above: int, width: int, height: int) -> MapShape:
    """The largest cells that fit.

    Args:
        legacy: Pages in large cells.
        above: Small cells.
        width: Pixels there are.
        height: Pixels there are.

    >>> shape = map_shape(64, 4032, 256, 128)
    >>> shape.large, shape.large_columns, shape.small, shape.small_columns, shape.height
    (8, 32, 2, 128, 84)
    """
    best = None
    for small in (8, 6, 4, 3, 2):
        for columns in (512, 256, 128, 64):
            if columns * small > width:
                continue
            for large_columns in (64, 32, 16):
                large = columns * small // large_columns
                shape = MapShape(
                    large, large_columns, small, columns,
                    -(-legacy // large_columns), -(-above // columns),
                )  # fmt: skip
                if shape.height <= height and 8 <= large <= 16:
                    return shape
                best = best or shape
    assert best is not None
    return best


#: Steps of light of a cell; the table has one colour for each pair (dirty, clean).
_LIGHTS = 32


@lru_cache(maxsize=1)
def _heat_colours() -> NDArray[np.uint32]:
    cold = 0x262C36
    colours = np.empty((_LIGHTS, _LIGHTS), np.uint32)
    for clean in range(_LIGHTS):
        under = blend(cold, CLEAN, clean / (_LIGHTS - 1))
        for dirty in range(_LIGHTS):
            light = dirty / (_LIGHTS - 1)
            colours[dirty, clean] = blend(under, DIRTY, min(1.0, 1.5 * light))
    # What was dirty a moment ago is brighter than the colour itself.
    colours[_LIGHTS - 4 :] = blend(DIRTY, BRIGHT, 0.35)
    return colours


class Graph:
    """Harvest times as columns of one pixel a frame, the newest on the right; logarithmic."""

    def __init__(self, pixels: Pixels, box: Box) -> None:
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
        beside = height > width
        if beside:
            room = max(width, BESIDE_WIDTHS[-1]), max(height, MIN_BESIDE_HEIGHT)
            self._boxes = arrange_beside(room[0])
        else:
            room = max(width, MIN_WIDTH), max(height, BELOW_HEIGHT)
            self._boxes = arrange_below(room[0])
        self._whole: Pixels = np.full((room[1], room[0]), PAPER, np.uint32)
        #: What of it is shown.
        self.pixels: Pixels = self._whole
        if room != (width, height):
            self.pixels = np.empty((height, width), np.uint32)
        #: What each field says.
        self._fields: dict[tuple[int, int], str] = {}
        self._draw_edge(beside)
        self._draw_meaning()
        self._draw_keys(keys)
        self._draw_headings()
        self._map = self._map_shape()
        self._draw_map_title()
        box = self._boxes[_HARVEST]
        self._graph = Graph(self._whole, Box(box.x, box.y + 30, box.width, box.height - 30))

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

    # What never changes.

    def _draw_edge(self, beside: bool) -> None:
        if beside:
            self._whole[:, 0] = RULE
        else:
            self._whole[0] = RULE

    def _draw_headings(self) -> None:
        box = self._boxes[_HARVEST]
        for i, name in enumerate(("last", "p50", "p99", "max")):
            x = box.x + i * (box.width // 4)
            write(self._whole, x, box.y, name, DIM, height=SMALL)
        box = self._boxes[_COUNTERS]
        write(self._whole, box.x, box.y, "a frame", DIM, height=SMALL)
        for right, name in ((14, "last"), (20, "max")):
            x = box.x + (right - len(name)) * CHAR
            write(self._whole, x, box.y, name, DIM, height=SMALL)
        for i, (name, _, _) in enumerate(COUNTERS):
            write(self._whole, box.x, box.y + 12 + i * LINE, name)
        write(self._whole, box.x, box.y + 12 + len(COUNTERS) * LINE, "panel µs")

    def _draw_meaning(self) -> None:
        box = self._boxes[_MEANING]
        columns = box.width // CHAR
        one_line = next((text for text in MEANINGS if len(text) <= columns), None)
        lines = (one_line,) if one_line else MEANING_LINES
        for i, text in enumerate(lines):
            write(self._whole, box.x, box.y + i * (SMALL + 2), text, DIM, height=SMALL)

    def _draw_keys(self, keys: Sequence[KeyHelp]) -> None:
        box = self._boxes[_KEYS]
        gap = CHAR + CHAR // 2
        for words in (1, 2):  # the long words if all fit into the box, or the short ones
            x, y = box.x, box.y
            items = []
            for entry in keys:
                width = (len(entry[0]) + 1 + len(entry[words])) * CHAR
                if x > box.x and x + width > box.x + box.width:
                    x, y = box.x, y + SMALL + 2
                items.append((x, y, entry[0], entry[words]))
                x += width + gap
            if y + SMALL <= box.y + box.height:
                break
        for x, y, key, does in items:
            x = write(self._whole, x, y, key, INK, height=SMALL)
            write(self._whole, x + CHAR, y, does, DIM, height=SMALL)

    def _map_shape(self) -> MapShape:
        box, heat = self._boxes[_MAP], self.meter.heat
        above = len(heat.dirty) - heat.legacy
        return map_shape(heat.legacy, above, box.width, box.height - 12)

    def _draw_map_title(self) -> None:
        box, heat = self._boxes[_MAP], self.meter.heat
        title = f"pages 0-{heat.legacy - 1}"
        if heat.slot_pages > heat.legacy:
            title += f", then {heat.legacy}-{heat.slot_pages - 1}"
        if heat.pages_a_cell > 1:
            title += f" by {heat.pages_a_cell}"
        end = write(self._whole, box.x, box.y, title, DIM, height=SMALL)
        legend = ((DIRTY, "dirty"), (CLEAN, "clean in span"))
        width = sum((len(text) + 3) * CHAR for _, text in legend) - 2 * CHAR + 2
        x, y = box.x + box.width - width, box.y
        if x < end + CHAR:
            x, y = box.x, box.y + 12 + self._map.height + CHAR
        if y + SMALL > box.y + box.height:
            return  # a large slot's title, and a map that fills the box
        for colour, text in legend:
            fill(self._whole, Box(x, y, 7, 7), colour)
            x = write(self._whole, x + 10, y, text, DIM, height=SMALL) + 2 * CHAR - 2

    # What does.

    def _draw_status(self, status: Status) -> None:
        box = self._boxes[_STATUS]
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
        box = self._boxes[_HARVEST]
        times = self.meter.recent(PERCENTILE_FRAMES)[:, HARVEST]
        if len(times):
            ordered = np.sort(times)
            ranks = (round(part * (len(ordered) - 1)) for part in (0.5, 0.99, 1))
            for i, ns in enumerate((times[-1], *(ordered[rank] for rank in ranks))):
                x = box.x + i * (box.width // 4)
                ink = BRIGHT if i else DIRTY
                self._put(x, box.y + 10, f"{microseconds(ns):5}", ink)
        self._graph.draw(self.meter.recent(self._graph.frames)[:, HARVEST])

    def _draw_counters(self, status: Status) -> None:
        box = self._boxes[_COUNTERS]
        recent = self.meter.recent(RECENT_FRAMES)
        y = box.y + 12
        if len(recent):
            last, highest = recent[-1], recent.max(axis=0)
            for _, column, form in COUNTERS:
                self._put(box.x + 8 * CHAR, y, f"{form(last[column]):>6}", BRIGHT)
                self._put(box.x + 14 * CHAR, y, f"{form(highest[column]):>6}", DIM)
                y += LINE
        y = box.y + 12 + len(COUNTERS) * LINE
        self._put(box.x + 8 * CHAR, y, f"{microseconds(status.panel_ns):>6}", BRIGHT)

    def _put(self, x: int, y: int, text: str, ink: int) -> None:
        """Write a field of fixed width, unless it says that already."""
        if self._fields.get((x, y)) != text:
            self._fields[x, y] = text
            write(self._whole, x, y, text, ink)

    def _draw_map(self) -> None:
        box, heat, shape = self._boxes[_MAP], self.meter.heat, self._map
        dirty = (heat.dirty * (_LIGHTS - 1)).astype(np.intp)
        clean = (heat.clean * (_LIGHTS - 1)).astype(np.intp)
        colours = _heat_colours()[dirty, clean]
        y = box.y + 12
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
