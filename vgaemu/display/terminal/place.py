"""Where a picture goes in a terminal: which of its cells show it, or which part of it they show."""

from __future__ import annotations

from typing import NamedTuple

#: Width of a terminal's cell to its height, where it does not say.
CELL_ASPECT = 0.5


class Place(NamedTuple):
    """Cells of the terminal."""

    row: int
    column: int
    rows: int
    columns: int


def centred(rows: int, columns: int, room: tuple[int, int]) -> Place:
    """The place of a picture of so many cells in a room of rows and columns, cut to it.

    >>> centred(25, 80, (30, 100)), centred(25, 80, (24, 70))
    (Place(row=2, column=10, rows=25, columns=80), Place(row=0, column=0, rows=24, columns=70))
    """
    shown = min(rows, room[0]), min(columns, room[1])
    return Place((room[0] - shown[0]) // 2, (room[1] - shown[1]) // 2, *shown)


def fitted(aspect: float, room: tuple[int, int], cell_aspect: float = CELL_ASPECT) -> Place:
    """The largest place of a picture whose width to its height is `aspect`.

    >>> fitted(4 / 3, (30, 100))
    Place(row=0, column=10, rows=30, columns=80)
    """
    rows, columns = room
    wide = aspect / cell_aspect  # columns a row
    if columns > rows * wide:
        columns = round(rows * wide)
    else:
        rows = round(columns / wide)
    return centred(max(rows, 1), max(columns, 1), room)


def follow(first: int, shown: int, there: int, wanted: int | None) -> int:
    """The first of `there` rows (or columns) to show, of which `shown` fit.

    It stays `first` if `wanted` can be seen then, and moves no further than it must.

    >>> [follow(0, 24, 25, wanted) for wanted in (23, 24, None)], follow(5, 24, 50, 2)
    ([0, 1, 0], 2)
    """
    if wanted is not None:
        first = min(max(first, wanted - shown + 1), wanted)
    return max(0, min(first, there - shown))
