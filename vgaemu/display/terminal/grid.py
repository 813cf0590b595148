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
    where = (old != new).any(axis=2).ravel().nonzero()[0]
    if not len(where):
        return b"", pen
    columns = new.shape[1]
    looks = new.reshape(-1, 3).take(where, axis=0)
    characters = _text(looks[:, 0])
    looks[:, 0] &= ~np.uint32(CODE_POINT)
    # Runs: neighbours in a row that look alike.
    begins = np.ones(len(where), np.bool_)
    begins[1:] = (where[1:] != where[:-1] + 1) | (where[1:] % columns == 0)
    begins[1:] |= (looks[1:] != looks[:-1]).any(axis=1)
    starts = begins.nonzero()[0]
    row, column, *style = pen
    out: list[str] = []
    for start, end, cell, new_style in zip(
        starts.tolist(),
        [*starts[1:].tolist(), len(where)],
        where.take(starts).tolist(),
        looks.take(starts, axis=0).tolist(),
        strict=True,
    ):
        there = divmod(cell, columns)
        if there != (row, column):
            out.append(_jump(new, Pen(row, column, *style), *there))
        if new_style != style:
            out.append(sgr(style, new_style))
        out.append(characters[start:end])
        row, column, style = there[0], there[1] + end - start, new_style
        if column == columns:
            column = -1  # behind the last column terminals differ
    return "".join(out).encode(), Pen(row, column, *style)


def move(pen: Pen, row: int, column: int) -> str:
    """Bring the pen to a cell."""
    if (pen.row, pen.column) == (row, column):
        return ""
    if pen.row == row and 0 <= pen.column < column:
        distance = column - pen.column
        return "\x1b[C" if distance == 1 else f"\x1b[{distance}C"
    return f"\x1b[{row + 1};{column + 1}H"


def _jump(new: Grid, pen: Pen, row: int, column: int) -> str:
    """Bring the pen to a cell, over a few that look as it writes by writing them again."""
    if pen.row == row and 0 <= pen.column < column <= pen.column + GAP_CELLS:
        gap = new[row, pen.column : column]
        glyphs = gap[:, 0] & np.uint32(CODE_POINT)
        looks = (gap[:, 0] - glyphs == pen.flags) & (gap[:, 1:] == pen[3:]).all(axis=1)
        if looks.all() and (glyphs < 0x80).all():
            return _text(glyphs)
    return move(pen, row, column)


def _text(glyphs: NDArray[np.uint32]) -> str:
    """The characters of (n,) glyphs."""
    return (glyphs & np.uint32(CODE_POINT)).astype("<u4").tobytes().decode("utf-32-le")
