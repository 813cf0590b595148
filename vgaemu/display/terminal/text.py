"""A text mode's cells as a grid of the terminal's: code page 437 as Unicode, attributes as colours.

What a guest has in a font of its own is shown as the characters that have the codes, as
`Screen.text` reads them. Blinking is the terminal's: many show such characters steadily.
"""

from __future__ import annotations

import numpy as np

from vgaemu.display.terminal.colours import BLINK, UNDERLINE, WHITE, Depth, nearest
from vgaemu.display.terminal.grid import Grid
from vgaemu.vga.codepage import CHARACTERS
from vgaemu.vga.render.text import TextCells

#: Code points of the 256 characters; one that is a blank is a plain one.
_GLYPHS = np.array(
    [ord(" " if character == "\u00a0" else character) for character in CHARACTERS], np.uint32
)


def text_grid(text: TextCells, depth: Depth) -> Grid:
    """(rows, columns, 3), see `vgaemu.display.terminal.grid`."""
    colours = np.array([nearest(int(rgb), depth) for rgb in text.palette], np.uint32)
    attribute = text.cells >> 8
    grid = np.empty((*text.cells.shape, 3), np.uint32)
    grid[..., 0] = _GLYPHS.take(text.cells & 0xFF)
    grid[..., 1] = colours.take(attribute & 0x0F)
    grid[..., 2] = colours.take(attribute >> 4 & (7 if text.blink else 15))
    blanks = grid[..., 0] == ord(" ")
    if text.underlined:
        grid[..., 0] |= np.where(attribute & 0x77 == 1, np.uint32(UNDERLINE), np.uint32(0))
    if text.blink:
        grid[..., 0] |= np.where((attribute & 0x80 != 0) & ~blanks, np.uint32(BLINK), np.uint32(0))
    # Whatever colour a blank has, it looks the same, and need not be written for it.
    grid[..., 1][grid[..., 0] == ord(" ")] = WHITE
    return grid
