"""Viewport: where the guest's picture lies in a window, and which of its pixels shows where.

Pure geometry, no pixels. A picture is enlarged by repeating its pixels; they are mixed only where
an exact 4:3 was asked for. Destination column X shows source column ``X * source_width // width``,
or, mixed, all that it covers, and rows alike, so what a part of the picture covers depends on that
part alone: parts drawn one by one equal the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.report import Rect, ScreenInfo

#: Aspects nearer than this to square pixels are square: 1366x768 is not quite 16:9 either.
SQUARE_TOLERANCE = 0.01
#: Whole factors tried for text; 16 x 400 lines is beyond any screen.
MAX_FACTOR = 16

Size = tuple[int, int]

#: What shape a picture gets: ``auto`` its monitor's, crisp; ``square`` that of its pixels; ``4:3``
#: that of a VGA monitor to the pixel, whatever the mode.
Aspect: TypeAlias = Literal["auto", "square", "4:3"]


@dataclass(frozen=True)
class Viewport:
    """A picture of `source` pixels shown `width` x `height` large at (`x`, `y`) of a window."""

    x: int
    y: int
    width: int
    height: int
    source: Size
    #: Whether pixels that cover several of the picture's mix them; `columns` and `rows` do not say.
    smooth: bool = False
    #: Source column of each destination column, and source row of each row: (width,), (height,).
    columns: NDArray[np.intp] = field(init=False, repr=False, compare=False)
    rows: NDArray[np.intp] = field(init=False, repr=False, compare=False)
    #: Times that each pixel is repeated in x and y, or None where that is uneven.
    factors: Size | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns, rows = self.source
        even = self.width % columns == 0 and self.height % rows == 0
        factors = (self.width // columns, self.height // rows) if even else None
        object.__setattr__(self, "factors", factors)
        object.__setattr__(self, "columns", np.arange(self.width) * columns // self.width)
        object.__setattr__(self, "rows", np.arange(self.height) * rows // self.height)

    def place(self, rect: Rect) -> Rect:
        """Where a part of the picture lies in the window.

        >>> Viewport(10, 0, 320, 240, (320, 200)).place(Rect(0, 1, 8, 4))
        Rect(x=10, y=2, width=8, height=4)
        """
        x, y, width, height = rect
        if self.factors is not None:
            across, down = self.factors
            return Rect(self.x + x * across, self.y + y * down, width * across, height * down)
        columns, rows = self.source
        if self.smooth:  # also those that show a little of it
            left, top = x * self.width // columns, y * self.height // rows
        else:
            left, top = -(-x * self.width // columns), -(-y * self.height // rows)
        right = -(-(x + width) * self.width // columns)
        bottom = -(-(y + height) * self.height // rows)
        return Rect(self.x + left, self.y + top, right - left, bottom - top)

    def holds(self, place: tuple[int, int]) -> bool:
        """Whether a pixel of the window is one of the picture."""
        x, y = place[0] - self.x, place[1] - self.y
        return 0 <= x < self.width and 0 <= y < self.height


def pixel_height(info: ScreenInfo, aspect: Aspect = "auto") -> float:
    """How many times higher than wide a pixel is on the monitor: 1.2 for 320x200 shown 4:3."""
    ratio = info.width / (info.height * info.aspect)
    return 1.0 if aspect == "square" or abs(ratio - 1) < SQUARE_TOLERANCE else ratio


def scaled_size(info: ScreenInfo, scale: int, aspect: Aspect = "auto") -> Size:
    """Size of the picture with every column `scale` window pixels wide.

    Graphics get the height that their aspect asks for; rows are repeated unevenly where that is
    no whole factor, which hardly shows. Text gets the whole factor nearest to it: 80x25 at scale 1
    is 720x400, since at the true 540 lines some strokes of every glyph would be twice as thick as
    others; ``4:3`` gets those, mixed. No picture gets fewer rows than it has.

    >>> vga = ScreenInfo(320, 200, 4 / 3, 0, "320x200x256", 4096, "flags", False)
    >>> scaled_size(vga, 2), scaled_size(vga, 5), scaled_size(vga, 2, "square")
    ((640, 480), (1600, 1200), (640, 400))
    """
    if aspect == "4:3":
        width = max(info.width * scale, -(-info.height * 4 // 3))
        return width, round(width * 3 / 4)
    ratio = pixel_height(info, aspect) * scale
    if info.is_text:
        return info.width * scale, info.height * max(1, round(ratio))
    return info.width * scale, max(info.height, round(info.height * ratio))


def fitted_size(info: ScreenInfo, room: Size, aspect: Aspect = "auto") -> Size:
    """The largest crisp size that fits into `room`; smaller than life only if nothing else fits.

    ``4:3`` is not crisp, and fills it.

    >>> text = ScreenInfo(720, 400, 4 / 3, 0, "text 80x25", 4096, "flags", True)
    >>> fitted_size(text, (1920, 820)), fitted_size(text, (1920, 1200))
    ((1440, 800), (1440, 1200))
    >>> fitted_size(text, (1920, 1080), "4:3")
    (1440, 1080)
    """
    width, height = room
    if aspect == "4:3":
        width = max(1, min(width, height * 4 // 3))
        return width, max(1, min(height, round(width * 3 / 4)))
    ratio = pixel_height(info, aspect)
    if info.is_text and ratio != 1.0:
        fitted = _whole_factors(info, room)
    else:
        sizes = [
            scaled_size(info, scale, aspect)
            for scale in range(max(1, math.ceil(1 / ratio)), width // info.width + 1)
        ]
        fitted = max((size for size in sizes if size[1] <= height), default=None)
    return fitted or _shrunk(info, room, ratio)


def _whole_factors(info: ScreenInfo, room: Size) -> Size | None:
    """Of all whole factors that fit, those nearest to the aspect; of equals the largest."""

    def worth(size: Size) -> tuple[float, int]:
        width, height = size
        return -round(abs(math.log(width / height / info.aspect)), 2), width * height

    across = range(1, min(MAX_FACTOR, room[0] // info.width) + 1)
    down = range(1, min(MAX_FACTOR, room[1] // info.height) + 1)
    sizes = ((info.width * fx, info.height * fy) for fx in across for fy in down)
    return max(sizes, key=worth, default=None)


def _shrunk(info: ScreenInfo, room: Size, ratio: float) -> Size:
    height = info.height * ratio
    factor = min(room[0] / info.width, room[1] / height)
    return max(1, round(info.width * factor)), max(1, round(height * factor))
