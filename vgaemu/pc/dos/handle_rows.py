"""Open files as a state has them: a row of number, name, access, position, uses and privacy each.

Rows of older states are shorter: they tell a handle of the only table there was.
"""

from __future__ import annotations

import os
from typing import Any

from vgaemu.pc.dos.entries import MAX_POSITION
from vgaemu.pc.dos.tables import STANDARD

#: AL of INT 21h/3Dh, its lowest bits -> how the host opens a file.
ACCESSES = {0: os.O_RDONLY, 1: os.O_WRONLY, 2: os.O_RDWR}
#: The first handle of older states, which have no tables in prefixes; fields of their rows; how
#: many files states have that were saved before these lay in DOS's table.
OLD_FIRST, OLD_ROW, OLD_MAX_FILES = 5, 4, 64


def as_now(row: list[Any]) -> list[Any]:
    """A row of an older state has a handle of the only table there was, and no more than four."""
    if len(row) != OLD_ROW:
        return row
    return [row[0] - OLD_FIRST + len(STANDARD), *row[1:], 1, False]


def are_files(files: Any) -> bool:
    """Whether these are such rows."""
    rows = [as_now(row) for row in files if len(row) in (OLD_ROW, OLD_ROW + 2)]
    return len({row[0] for row in rows}) == len(files) and all(
        all(isinstance(value, int) for value in (number, access, place, uses, private))
        and len(STANDARD) <= number < OLD_MAX_FILES
        and isinstance(name, str)
        and access in ACCESSES.values()
        and 0 <= place <= MAX_POSITION
        and 0 < uses <= 0xFFFF
        for number, name, access, place, uses, private in rows
    )
