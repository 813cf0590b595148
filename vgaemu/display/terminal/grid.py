"""Grids of coloured characters, and the fewest bytes that make a terminal show the next one.

A grid is (rows, columns, 3) uint32: glyph (a code point and `BLINK`, `UNDERLINE`), colour of the
glyph, colour behind it; colours are `colours.Colour` numbers. All here is pure: `paint` compares
two grids and says what to write, and where that leaves the terminal's pen.

Not emulated: characters that take two columns; code page 437 has none.

Source: ECMA-48 (CUP, CUF, SGR), xterm's ctlseqs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.terminal.colours import BLACK, WHITE, sgr

Grid = NDArray[np.uint32]

#: What of a glyph is no flag.
CODE_POINT = (1 << 21) - 1
#: So many unchanged cells are rather written again than jumped over, which takes four bytes.
GAP_CELLS = 4


class Pen(NamedTuple):
    """How the terminal writes next. A field of -1 is not known."""

    row: int = -1
    column: int = -1
    flags: int = -1
    fore: int = -1
    back: int = -1


def blank(rows: int, columns: int) -> Grid:
    """What a terminal shows that was cleared in black: (rows, columns, 3)."""
    return np.full((rows, columns, 3), (ord(" "), WHITE, BLACK), np.uint32)


def paint(old: Grid, new: Grid, pen: Pen) -> tuple[bytes, Pen]:
    """What makes a terminal that shows `old` show `new`, a grid of the same shape.

    Returns:
        The bytes, and the pen behind them.
    """
    changed = (old != new).any(axis=2)
    where = changed.ravel().nonzero()[0]
    if not len(where):
        return b"", pen
    columns = new.shape[1]
    flat = new.reshape(-1, 3)
    looks = flat.take(where, axis=0)
    looks[:, 0] &= ~np.uint32(CODE_POINT)
    cuts = np.flatnonzero(
        (where[1:] != where[:-1] + 1)
        | (where[1:] % columns == 0)
        | (looks[1:] != looks[:-1]).any(axis=1)
    )
    starts = [0, *(cuts + 1).tolist()]
    ends = [*(cuts + 1).tolist(), len(where)]
    out: list[bytes] = []
    cells, styles = where.tolist(), looks.tolist()
    for start, end in zip(starts, ends, strict=True):
        cell, style = cells[start], (*styles[start],)
        row, column = divmod(cell, columns)
        out.append(_move(flat, pen, row, column, columns))
        out.append(sgr((pen.flags, pen.fore, pen.back), style))
        out.append(_text(flat, cell, cell + end - start))
        column += end - start
        # Behind the last column terminals differ.
        pen = Pen(row, column if column < columns else -1, *style)
    return b"".join(out), pen


def move(pen: Pen, row: int, column: int) -> bytes:
    """Bring the pen to a cell."""
    if (pen.row, pen.column) == (row, column):
        return b""
    if pen.row == row and 0 <= pen.column < column:
        distance = column - pen.column
        return b"\x1b[C" if distance == 1 else b"\x1b[%dC" % distance
    return b"\x1b[%d;%dH" % (row + 1, column + 1)


def _move(flat: Grid, pen: Pen, row: int, column: int, columns: int) -> bytes:
    """Bring the pen to a cell, over a few that look as it writes by writing them again."""
    if pen.row == row and 0 <= pen.column < column <= pen.column + GAP_CELLS:
        first, end = row * columns + pen.column, row * columns + column
        gap = flat[first:end]
        style = np.array((pen.flags, pen.fore, pen.back))
        looks = gap & np.array((~CODE_POINT & 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF), np.uint32)
        text = _text(flat, first, end)
        if (looks == style).all() and len(text) <= GAP_CELLS:
            return text
    return move(pen, row, column)


def _text(flat: Grid, first: int, end: int) -> bytes:
    """The characters of neighbouring cells as UTF-8."""
    glyphs = flat[first:end, 0] & np.uint32(CODE_POINT)
    return glyphs.astype("<u4").tobytes().decode("utf-32-le").encode()
