"""`guest.canvas`: drawing in whatever graphics mode is set, through ports and memory.

Shapes, pictures and text, clipped at the edges of the picture: what lies outside is not drawn, and
nothing wraps to the other side. A row is one store where the mode allows it. Colours are numbers,
or 0xRRGGBB in DISPI's true-colour modes. What is drawn is opaque; there is no blending.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil, isqrt
from typing import Any

import numpy as np

from vgaemu.errors import CanvasError
from vgaemu.guest.palette import Palette
from vgaemu.guest.surface import surface_of
from vgaemu.vga.font import text_dots
from vgaemu.vga.pixels import Pixels
from vgaemu.vga.ports import Device

__all__ = ["Canvas", "CanvasError"]


class Canvas:
    """A picture to draw on. It looks at the registers when it is made.

    `Guest.set_mode` makes a new one; after setting a mode by ports, make it with ``Canvas(guest)``.
    """

    #: In pixels.
    width: int
    #: In lines.
    height: int
    #: How many there are: 2, 4, 16 or 256 by number, or 0x1000000 as 0xRRGGBB.
    colours: int

    def __init__(self, device: Device) -> None:
        """A canvas for the mode that is set.

        Args:
            device: What draws: a `Guest`, or a `Vga`.

        Raises:
            CanvasError: It is no graphics mode that can be drawn in.
        """
        self._surface = surface_of(device)
        self._palette = Palette(device)
        self.width = self._surface.width
        self.height = self._surface.height
        self.colours = self._surface.colours

    def __repr__(self) -> str:
        return f"<Canvas on {self._surface!r}>"

    # The palette.

    def set_palette(self, rgb: Any, first: int = 0) -> None:
        """Set neighbouring entries: (n, 3), or (3,) for one; 8 bits a channel (the DAC keeps 6)."""
        self._palette.set_colours(rgb, first)

    def get_colour(self, colour: int) -> tuple[int, int, int]:
        """Red, green and blue of an entry as shown, 8 bits each."""
        return self._palette.get_colour(colour)

    # Points and lines.

    def pixel(self, x: int, y: int, colour: int) -> None:
        """Draw a point."""
        self.fill_rect(x, y, 1, 1, colour)

    def get(self, x: int, y: int) -> int:
        """Colour of a point; 0 outside."""
        return int(self.grab(x, y, 1, 1)[0, 0])

    def hline(self, x: int, y: int, width: int, colour: int) -> None:
        """Draw `width` points to the right."""
        self.fill_rect(x, y, width, 1, colour)

    def vline(self, x: int, y: int, height: int, colour: int) -> None:
        """Draw `height` points downwards."""
        self.fill_rect(x, y, 1, height, colour)

    def line(self, x0: int, y0: int, x1: int, y1: int, colour: int) -> None:
        """Draw a straight line, both ends included."""
        steep = abs(y1 - y0) > abs(x1 - x0)
        # Along the longer way (major) every step is a point; neighbours at one height are a run.
        a0, b0, a1, b1 = (y0, x0, y1, x1) if steep else (x0, y0, x1, y1)
        if a0 > a1:
            a0, b0, a1, b1 = a1, b1, a0, b0
        length, rise = a1 - a0, b1 - b0
        edge = self.height if steep else self.width
        start, run_b = max(a0, 0), None
        for a in range(max(a0, 0), min(a1, edge - 1) + 1):
            b = b0 + (2 * (a - a0) * rise + length) // (2 * length) if length else b0
            if b != run_b:
                self._run(steep, start, run_b, a - start, colour)
                start, run_b = a, b
        self._run(steep, start, run_b, min(a1, edge - 1) + 1 - start, colour)

    def _run(self, steep: bool, a: int, b: int | None, length: int, colour: int) -> None:
        if b is None:
            return
        if steep:
            self.vline(b, a, length, colour)
        else:
            self.hline(a, b, length, colour)

    # Areas.

    def clear(self, colour: int = 0) -> None:
        """Fill the whole picture."""
        self._surface.fill(0, 0, self.width, self.height, colour)

    def fill_rect(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """Fill a rectangle."""
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, self.width), min(y + height, self.height)
        if left < right and top < bottom:
            self._surface.fill(left, top, right - left, bottom - top, colour)

    def rect(self, x: int, y: int, width: int, height: int, colour: int) -> None:
        """Draw the outline of a rectangle, one point thick."""
        if width <= 0 or height <= 0:
            return
        self.hline(x, y, width, colour)
        self.hline(x, y + height - 1, width, colour)
        self.vline(x, y, height, colour)
        self.vline(x + width - 1, y, height, colour)

    def fill_circle(self, x: int, y: int, radius: int, colour: int) -> None:
        """Fill a circle around a point, as wide in points as it is high."""
        for row, half in self._circle_rows(y, radius):
            self.hline(x - half, row, 2 * half + 1, colour)

    def circle(self, x: int, y: int, radius: int, colour: int) -> None:
        """Draw the outline of a circle around a point."""
        for row, half in self._circle_rows(y, radius):
            # What the row farther out covers lies inside: its arc begins where that one ends.
            beyond = abs(row - y) + 1
            inner = _half_width(radius, beyond) + 1 if beyond <= radius else 0
            inner = min(inner, half)
            self.hline(x - half, row, half - inner + 1, colour)
            self.hline(x + inner, row, half - inner + 1, colour)

    def _circle_rows(self, y: int, radius: int) -> Iterable[tuple[int, int]]:
        for row in range(max(y - radius, 0), min(y + radius, self.height - 1) + 1):
            yield row, _half_width(radius, abs(row - y))

    def fill_polygon(self, points: Sequence[tuple[int, int]], colour: int) -> None:
        """Fill a polygon; where its outline crosses itself, inside and outside change."""
        if len(points) < 3:
            return
        ys = [y for _, y in points]
        edges = list(zip(points, [*points[1:], points[0]], strict=True))
        for row in range(max(min(ys), 0), min(max(ys), self.height)):
            middle = row + 0.5
            crossings = sorted(
                x0 + (middle - y0) * (x1 - x0) / (y1 - y0)
                for (x0, y0), (x1, y1) in edges
                if (y0 <= middle) != (y1 <= middle)
            )
            for left, right in zip(crossings[::2], crossings[1::2], strict=True):
                first = ceil(left - 0.5)
                self.hline(first, row, ceil(right - 0.5) - first, colour)

    # Pictures.

    def blit(self, x: int, y: int, pixels: Pixels, transparent: int | None = None) -> None:
        """Draw a picture.

        Args:
            x: Left edge, may lie outside.
            y: Top edge, may lie outside.
            pixels: (height, width) colours.
            transparent: A colour that leaves what is there.

        Raises:
            ValueError: `pixels` is not two-dimensional.
        """
        pixels = np.asarray(pixels)
        if pixels.ndim != 2:
            raise ValueError(f"a picture is (height, width) colours, not {pixels.shape}")
        mask = None if transparent is None else pixels != transparent
        self._blit(x, y, pixels.astype(self._surface.dtype, copy=False), mask)

    def _blit(self, x: int, y: int, pixels: Pixels, mask: Pixels | None) -> None:
        left, top = max(-x, 0), max(-y, 0)
        inside = slice(top, max(self.height - y, 0)), slice(left, max(self.width - x, 0))
        pixels = pixels[inside]
        x, y = x + left, y + top
        if not pixels.size:
            return
        if mask is None:
            self._surface.put(x, y, pixels)
        else:
            self._put_masked(x, y, pixels, mask[inside])

    def _put_masked(self, x: int, y: int, pixels: Pixels, mask: Pixels) -> None:
        """Each row from its first to its last point; rows without one are not touched."""
        for i in np.flatnonzero(mask.any(axis=1)).tolist():
            columns = np.flatnonzero(mask[i])
            first, end = int(columns[0]), int(columns[-1]) + 1
            row = pixels[i : i + 1, first:end]
            if end - first > len(columns):
                under = self._surface.get(x + first, y + i, end - first, 1)
                row = np.where(mask[i, first:end], row, under)
            self._surface.put(x + first, y + i, row)

    def grab(self, x: int, y: int, width: int, height: int) -> Pixels:
        """Load a picture: (height, width), a copy; 0 where it lies outside."""
        pixels = np.zeros((height, width), self._surface.dtype)
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, self.width), min(y + height, self.height)
        if left < right and top < bottom:
            part = self._surface.get(left, top, right - left, bottom - top)
            pixels[top - y : bottom - y, left - x : right - x] = part
        return pixels

    # Text.

    def text(
        self,
        x: int,
        y: int,
        text: str,
        colour: int,
        background: int | None = None,
        height: int = 8,
    ) -> None:
        """Write with the bundled font, 8 points a character.

        Args:
            x: Left edge.
            y: Top edge.
            text: What to write; a line end goes on below.
            colour: Of the letters.
            background: Around them; what is there stays if None.
            height: 8, 14 or 16 points.

        Raises:
            FontError: Another height.
        """
        for line in text.split("\n"):
            dots = text_dots(line, height)
            pixels = np.where(dots, colour, background or 0).astype(self._surface.dtype)
            self._blit(x, y, pixels, dots if background is None else None)
            y += height


def _half_width(radius: int, distance: int) -> int:
    """Points from the middle to the edge of a circle, `distance` rows from its middle.

    >>> [_half_width(3, d) for d in range(4)]
    [3, 3, 2, 1]
    """
    # (r + 1/2)^2 without the quarter: the circle that looks round on a grid.
    return isqrt(radius * radius + radius - distance * distance) if distance <= radius else 0
