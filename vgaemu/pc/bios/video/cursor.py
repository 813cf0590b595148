"""Shapes of the text cursor: what programs ask for in a CGA's eight lines, in cells of any height.

Source: cursor emulation as IBM's VGA BIOS does it (R. Brown's interrupt list, INT 10h/01h; DOSBox).
"""

from __future__ import annotations

#: First and last line of a cursor that is off.
OFF = 0x1E, 0x00
#: Cells of so many lines have a line below their underline.
TALL_CELL = 14


def underline(height: int) -> tuple[int, int]:
    """First and last line of the cursor that a font of a height comes with.

    >>> underline(8), underline(14), underline(16)
    ((6, 7), (11, 12), (13, 14))
    """
    last = max(height - 1 - (height >= TALL_CELL), 0)
    return max(last - 1, 0), last


def emulated(first: int, last: int, height: int) -> tuple[int, int]:
    """Registers CR0A and CR0B for CH and CL of INT 10h/01h, in cells of `height` lines.

    >>> emulated(6, 7, 16), emulated(0, 7, 16), emulated(4, 7, 16), emulated(0x20, 0, 16)
    ((13, 14), (0, 15), (8, 15), (30, 0))
    """
    bottom = height - 1
    if first & 0x60 == 0x20:
        return OFF
    if (first | last) & 0xE0:
        return first, last
    if last < first:
        return (first, last) if last == 0 else (last, bottom)
    fits = first < height and last < height
    if last <= 3 or (fits and (last == bottom or first == bottom - 1)):
        return first, last
    if first + 2 >= last:  # some lines at the bottom
        lower = bottom - (height >= TALL_CELL)
        return lower - (last - first), lower
    return (first, bottom) if first <= 2 else (height // 2, bottom)
