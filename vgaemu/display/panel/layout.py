"""Sizes and places of the panel's parts. Pure arithmetic, in the panel's own pixels."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from vgaemu.display.report import Rect

#: A key, what it does in more and in fewer words, and its rank: those of the highest go first.
KeyHelp = tuple[str, str, str, int]

CHAR = 8
LINE = 16
SMALL = 8
#: From one small line to the next.
SMALL_LINE = 10
MARGIN = 8
GAP = 16
#: From the top of a box to what stands under its small heading.
HEADING = 12
#: From the top of the harvest's box to its graph: its figures stand above.
GRAPH_TOP = 30

#: Heights of a panel below the picture: with everything, or with the graph and perhaps a map.
BELOW_HEIGHT, LOW_HEIGHT = 240, 104
#: From this width on one below shows everything, and down to this one the graph at least.
MIN_WIDTH, NARROWEST = 640, 240
#: Widths of a panel beside the picture, and the height from which it shows everything.
BESIDE_WIDTHS = (400, 272)
MIN_BESIDE_HEIGHT = 630

#: Lines that keys may take, and in a panel beside the picture.
KEY_LINES, KEY_LINES_BESIDE = 2, 6

#: Pixels between the cells of legacy pages and those of the pages above.
MAP_GAP = 4

#: Frames that percentiles and maxima look back on.
FRAMES = 600
#: What the figures mean.
MEANING = (
    "harvest: time to snapshot, clear, write-protect the dirty log; the 2012 patch: 50-300µs; "
    f"p50, p99, max: of {FRAMES} frames"
)

NOWHERE = Rect(0, 0, 0, 0)

_BODY_TOP = 28
_COUNTERS = (176, 140)
#: The keeper's work in a column, or below in so many small lines of so many pixels.
_WORK_WIDTH, _WORK_LINES, _WORK_LINE_WIDTH = 176, 2, 384
#: The graph's least width, for four figures; and what it keeps beside a map of more than 256.
_GRAPH_WIDTH, _WIDE_GRAPH = 224, 288
_GRAPH_HEIGHT, _MAX_GRAPH_HEIGHT = 128, 320
#: Map widths, widest first, and the height from which each is used.
_MAPS = ((512, 60), (384, 120), (256, 100), (192, 116))
_MAP_HEIGHT = 136


class Boxes(NamedTuple):
    """The panel's parts; those that it has no room for are `NOWHERE`."""

    status: Rect = NOWHERE
    harvest: Rect = NOWHERE
    counters: Rect = NOWHERE
    #: What the dirty log's keeper did.
    work: Rect = NOWHERE
    map: Rect = NOWHERE
    meaning: Rect = NOWHERE
    keys: Rect = NOWHERE


def arrange(width: int, height: int, keys: Sequence[KeyHelp]) -> Boxes:
    """Places of the parts: in columns, or one above the other where it is higher than wide.

    They fit from `NARROWEST` x `LOW_HEIGHT` on, or `BESIDE_WIDTHS` x `MIN_BESIDE_HEIGHT`.
    """
    inner = width - 2 * MARGIN
    meaning = SMALL_LINE * len(meaning_lines(inner))
    helps = SMALL_LINE * len({y for _, y, _, _ in place_keys(inner, keys)})
    if height > width:
        return _one_above_another(inner, height, meaning, helps)
    return _in_columns(inner, height, meaning, helps)


def _in_columns(inner: int, height: int, meaning: int, keys: int) -> Boxes:
    beside = inner >= _GRAPH_WIDTH + _COUNTERS[0] + _WORK_WIDTH + 256 + 3 * GAP
    rows = {"meaning": meaning, "keys": keys}
    if not beside and inner >= _WORK_LINE_WIDTH:
        rows = {"work": _WORK_LINES * SMALL_LINE} | rows
    # What matters least is given up first.
    for given_up in ("", "meaning", "work", "keys"):
        rows.pop(given_up, None)
        body = height - _BODY_TOP - MARGIN // 2 - sum(high + 2 for high in rows.values())
        if body >= _COUNTERS[1]:
            break
    columns = _columns(inner, body, beside)
    boxes = {"status": Rect(MARGIN, 6, inner, LINE)}
    x = MARGIN
    for name, wide in columns.items():
        boxes[name] = Rect(x, _BODY_TOP, wide, body)
        x += wide + GAP
    y = _BODY_TOP + body + 2
    for name, high in rows.items():
        boxes[name] = Rect(MARGIN, y + 2, inner, high - 2)
        y += high + 2
    return Boxes(**boxes)


def _columns(inner: int, body: int, work: bool) -> dict[str, int]:
    """Widths of the parts side by side; the graph gets what the others leave."""
    columns = {"harvest": inner}

    def take(name: str, wide: int) -> None:
        columns[name] = wide
        columns["harvest"] -= wide + GAP

    if body >= _COUNTERS[1] and inner >= _GRAPH_WIDTH + GAP + _COUNTERS[0]:
        take("counters", _COUNTERS[0])
        if work:
            take("work", _WORK_WIDTH)
    for wide, least in _MAPS:
        graph = _GRAPH_WIDTH if wide <= 256 else _WIDE_GRAPH
        if body >= least and columns["harvest"] >= wide + GAP + graph:
            take("map", wide)
            break
    return columns


def _one_above_another(inner: int, height: int, meaning: int, keys: int) -> Boxes:
    gap = MARGIN
    beside = inner >= _COUNTERS[0] + GAP + _WORK_WIDTH
    heights = {"status": 2 * LINE, "harvest": _GRAPH_HEIGHT, "meaning": meaning}
    heights |= {"counters": _COUNTERS[1]} | ({} if beside else {"work": 3 * SMALL_LINE})
    heights |= {"map": _MAP_HEIGHT, "keys": keys}
    spare = height - sum(heights.values()) - gap * (len(heights) + 1)
    if spare < 0:
        spare += heights.pop("meaning") + gap
    more = min(spare // 2, _MAX_GRAPH_HEIGHT - _GRAPH_HEIGHT)
    heights["harvest"] += more
    heights["map"] += spare - more
    boxes, y = {}, gap
    for name, high in heights.items():
        boxes[name] = Rect(MARGIN, y, inner, high)
        y += high + gap
    if beside:
        x, y, _, high = boxes["counters"]
        boxes["counters"] = Rect(x, y, _COUNTERS[0], high)
        boxes["work"] = Rect(x + inner - _WORK_WIDTH, y, _WORK_WIDTH, high)
    return Boxes(**boxes)


def meaning_lines(width: int) -> list[str]:
    """What the figures mean, in lines that fit.

    >>> [len(meaning_lines(width)) for width in (1264, 624, 256)]
    [1, 2, 4]
    """
    return textwrap.wrap(MEANING, width // CHAR, break_on_hyphens=False)


def place_keys(width: int, keys: Sequence[KeyHelp]) -> list[tuple[int, int, str, str]]:
    """Keys and what they do, with their places: those that there are lines for; long words fit?

    >>> keys = [("F5", "screenshot", "shot", 0), ("F8", "log", "log", 1), ("F9", "quit", "quit", 0)]
    >>> place_keys(640, keys)[0], len(place_keys(640, keys * 9))
    ((0, 0, 'F5', 'screenshot'), 18)
    """
    lines = KEY_LINES_BESIDE if width < BESIDE_WIDTHS[0] else KEY_LINES
    for rank in sorted({key[3] for key in keys}, reverse=True):
        kept = [key for key in keys if key[3] <= rank]
        for helps in ([key[:2] for key in kept], [(key[0], key[2]) for key in kept]):
            placed = _in_lines(width, helps)
            if placed[-1][1] < lines * SMALL_LINE:
                return placed
    return placed if keys else []


def _in_lines(width: int, helps: Sequence[tuple[str, str]]) -> list[tuple[int, int, str, str]]:
    x = y = 0
    placed = []
    for key, does in helps:
        wide = (len(key) + 1 + len(does)) * CHAR
        if x and x + wide > width:
            x, y = 0, y + SMALL_LINE
        placed.append((x, y, key, does))
        x += wide + CHAR + CHAR // 2
    return placed


def place_work(box: Rect, items: int) -> list[Rect]:
    """Where the keeper's figures stand: one below the other, or in small lines if it is low.

    >>> [rect[:3] for rect in place_work(Rect(0, 0, 624, 18), 6)][:4]
    [(0, 0, 197), (213, 0, 197), (426, 0, 197), (0, 10, 197)]
    """
    if box.height >= HEADING + items * LINE:
        return [Rect(box.x, box.y + HEADING + i * LINE, box.width, LINE) for i in range(items)]
    columns = -(-items * SMALL_LINE // (box.height + SMALL_LINE - SMALL))
    wide = (box.width + GAP) // columns
    return [
        Rect(
            box.x + i % columns * wide, box.y + i // columns * SMALL_LINE, wide - GAP, SMALL
        )
        for i in range(items)
    ]  # fmt: skip


def map_title(slot_pages: int, legacy: int, pages_a_cell: int, width: int) -> str:
    """Which pages the map shows.

    >>> map_title(65536, 64, 16, width=256), map_title(65536, 64, 16, width=192)
    ('pages 0-63, then 64-65535 by 16', 'pages 0-65535 by 16')
    """
    by = f" by {pages_a_cell}" if pages_a_cell > 1 else ""
    whole = f"0-{slot_pages - 1}{by}"
    titles = [f"pages {whole}", whole]
    if slot_pages > legacy:
        titles.insert(0, f"pages 0-{legacy - 1}, then {legacy}-{slot_pages - 1}{by}")
    return next((title for title in titles if len(title) * CHAR <= width), whole)


class MapShape(NamedTuple):
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
    """The largest cells that fit: `legacy` large ones, and small ones for the pages `above`.

    >>> shape = map_shape(64, 4032, 256, 128)
    >>> shape.large, shape.large_columns, shape.small, shape.small_columns, shape.height
    (8, 32, 2, 128, 84)
    """
    shapes = [
        MapShape(
            columns * small // large_columns, large_columns, small, columns,
            -(-legacy // large_columns), -(-above // columns),
        )
        for small, columns, large_columns in product(
            (8, 6, 4, 3, 2), (512, 256, 128, 96, 64), (16, 32, 64)
        )
        if columns * small <= width
    ]  # fmt: skip
    fitting = (shape for shape in shapes if shape.height <= height and 6 <= shape.large <= 16)
    return next(fitting, shapes[0])
