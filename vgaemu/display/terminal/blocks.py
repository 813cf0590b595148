"""A picture as half blocks: two pixels a cell, the upper one in the colour of the glyph.

Each pixel is the mean of those of the picture that it stands for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.terminal.colours import DIRECT, WHITE, Depth, nearest_all
from vgaemu.display.terminal.grid import Grid, blank
from vgaemu.display.terminal.place import Place

if TYPE_CHECKING:
    from PIL.Image import Image

UPPER_HALF, BLANK = ord("▀"), ord(" ")


class Blocks:
    """The grid of one picture at one place."""

    def __init__(self, place: Place, depth: Depth) -> None:
        self.place = place
        self._depth = depth
        #: (rows, columns, 3), see `vgaemu.display.terminal.grid`.
        self.grid: Grid = blank(place.rows, place.columns)

    def draw(self, frame: NDArray[np.uint32], top: int, bottom: int) -> None:
        """Bring the grid up to date: lines `top` to `bottom` of the picture have changed.

        Args:
            frame: (height, width) uint32 0x00RRGGBB.
            top: The first of them.
            bottom: The line behind the last.
        """
        rows, columns = self.grid.shape[:2]
        first = top * rows // len(frame)
        end = min(rows, -(-bottom * rows // len(frame)))
        if first >= end:
            return
        small = reduced(frame, 2 * rows, columns, 2 * first, 2 * end)
        colours = (
            small | np.uint32(DIRECT)
            if self._depth is Depth.DIRECT
            else _table(self._depth).take(_twelve_bits(small))
        )
        part = self.grid[first:end]
        part[..., 1], part[..., 2] = colours[0::2], colours[1::2]
        same = part[..., 1] == part[..., 2]
        part[..., 0] = np.where(same, np.uint32(BLANK), np.uint32(UPPER_HALF))
        part[..., 1][same] = WHITE


def picture_of(frame: NDArray[np.uint32]) -> Image:
    """(height, width) uint32 0x00RRGGBB, contiguous, as Pillow's."""
    from PIL import Image

    return Image.frombuffer("RGB", frame.shape[::-1], frame.tobytes(), "raw", "BGRX", 0, 1)


def reduced(
    frame: NDArray[np.uint32], height: int, width: int, first: int, end: int
) -> NDArray[np.uint32]:
    """Rows `first` to `end` of the picture as one of `height` rows: (end - first, width) uint32."""
    from PIL import Image

    lines, dots = frame.shape
    top, bottom = first * lines / height, end * lines / height
    low, high = int(top), min(lines, -int(-bottom // 1))
    picture = picture_of(np.ascontiguousarray(frame[low:high]))
    box = (0, top - low, dots, min(bottom - low, high - low))
    small = picture.resize((width, end - first), Image.Resampling.BOX, box)
    rgb = np.asarray(small, np.uint32)
    return (rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]).astype(np.uint32)


@lru_cache(maxsize=2)
def _table(depth: Depth) -> NDArray[np.uint32]:
    """The nearest colour of each of 4 bits of red, green and blue: (4096,) uint32."""
    twelve = np.arange(4096)
    channels = [(twelve >> shift & 15) * 0x11 for shift in (8, 4, 0)]
    return nearest_all(channels[0] << 16 | channels[1] << 8 | channels[2], depth)


def _twelve_bits(rgb: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (rgb >> 12 & 0xF00 | rgb >> 8 & 0x0F0 | rgb >> 4 & 0x00F).astype(np.uint32)
