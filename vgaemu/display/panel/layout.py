"""Sizes and places of the panel's parts. Pure arithmetic, in the panel's own pixels."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from vgaemu.display.report import Rect
from vgaemu.display.viewport import Size

#: A key, and what it does in more and in fewer words.
KeyHelp = tuple[str, str, str]

CHAR = 8
LINE = 16
SMALL = 8
MARGIN = 8
GAP = 16
#: From the top of a box to what stands under its small heading.
HEADING = 12

#: Height of a panel below the picture, and widths of one beside it.
BELOW_HEIGHT = 198
BESIDE_WIDTHS = (400, 272)
#: Narrowest panel that shows everything.
MIN_WIDTH = 640
#: Lowest panel beside the picture that shows everything.
MIN_BESIDE_HEIGHT = 600

#: Pixels between the cells of legacy pages and those of the pages above.
MAP_GAP = 4

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

_BODY_TOP = 28
_BODY_HEIGHT = 138
_COUNTERS_WIDTH = 160
#: Map widths, widest first, and the panel width from which each is used.
_MAP_WIDTHS = ((1856, 1024), (1280, 768), (880, 384), (0, 256))


class Boxes(NamedTuple):
    """The panel's parts."""

    status: Rect
    harvest: Rect
    counters: Rect
    map: Rect
    meaning: Rect
    keys: Rect


def arrange(width: int, height: int) -> tuple[Size, Boxes]:
    """Places of the parts: in columns, or one above the other where it is higher than wide.

    Returns:
        The size that all of it takes, at least `width` by `height`, and the parts in it.
    """
    if height > width:
        size = max(width, BESIDE_WIDTHS[-1]), max(height, MIN_BESIDE_HEIGHT)
        return size, _one_above_another(size[0])
    size = max(width, MIN_WIDTH), max(height, BELOW_HEIGHT)
    return size, _in_columns(size[0])


def _in_columns(width: int) -> Boxes:
    inner = width - 2 * MARGIN
    map_width = next(size for least, size in _MAP_WIDTHS if width >= least)
    graph_width = inner - _COUNTERS_WIDTH - map_width - 2 * GAP
    counters_x = MARGIN + graph_width + GAP
    map_x = counters_x + _COUNTERS_WIDTH + GAP
    below = _BODY_TOP + _BODY_HEIGHT
    return Boxes(
        status=Rect(MARGIN, 6, inner, LINE),
        harvest=Rect(MARGIN, _BODY_TOP, graph_width, _BODY_HEIGHT),
        counters=Rect(counters_x, _BODY_TOP, _COUNTERS_WIDTH, _BODY_HEIGHT),
        map=Rect(map_x, _BODY_TOP, map_width, _BODY_HEIGHT),
        meaning=Rect(MARGIN, below + 6, inner, SMALL),
        keys=Rect(MARGIN, below + 18, inner, SMALL),
    )


def _one_above_another(width: int) -> Boxes:
    inner = width - 2 * MARGIN
    boxes = {}
    y = MARGIN
    for name, height in (
        ("status", 2 * LINE), ("harvest", _BODY_HEIGHT), ("meaning", 3 * (SMALL + 2)),
        ("counters", _BODY_HEIGHT), ("map", 136), ("keys", 6 * (SMALL + 2)),
    ):  # fmt: skip
        boxes[name] = Rect(MARGIN, y, inner, height)
        y += height + 10
    return Boxes(**boxes)


def meaning_lines(width: int) -> tuple[str, ...]:
    """What the first figure means, in one line if that fits.

    >>> [len(meaning_lines(width)) for width in (640, 256)]
    [1, 3]
    """
    return next(((text,) for text in MEANINGS if len(text) * CHAR <= width), MEANING_LINES)


def place_keys(box: Rect, keys: Sequence[KeyHelp]) -> list[tuple[int, int, str, str]]:
    """Keys and what they do, with their places: the long words if all fit, or the short ones.

    >>> keys = [("F5", "screenshot", "shot"), ("F9", "quit", "quit")]
    >>> place_keys(Rect(0, 0, 160, 8), keys)
    [(0, 0, 'F5', 'shot'), (68, 0, 'F9', 'quit')]
    """
    gap = CHAR + CHAR // 2
    for words in (1, 2):
        x, y = box.x, box.y
        placed = []
        for entry in keys:
            key, does = entry[0], entry[words]
            width = (len(key) + 1 + len(does)) * CHAR
            if x > box.x and x + width > box.x + box.width:
                x, y = box.x, y + SMALL + 2
            placed.append((x, y, key, does))
            x += width + gap
        if y + SMALL <= box.y + box.height:
            break
    return placed


def map_title(slot_pages: int, legacy: int, pages_a_cell: int) -> str:
    """Which pages the map shows.

    >>> map_title(65536, 64, 16)
    'pages 0-63, then 64-65535 by 16'
    """
    title = f"pages 0-{legacy - 1}"
    if slot_pages > legacy:
        title += f", then {legacy}-{slot_pages - 1}"
    if pages_a_cell > 1:
        title += f" by {pages_a_cell}"
    return title


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
            (8, 6, 4, 3, 2), (512, 256, 128, 64), (64, 32, 16)
        )
        if columns * small <= width
    ]  # fmt: skip
    fitting = (shape for shape in shapes if shape.height <= height and 8 <= shape.large <= 16)
    return next(fitting, shapes[0])
