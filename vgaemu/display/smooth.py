"""Smooth scaling: each pixel of the window is the mean of what it covers of the picture.

A pixel of the picture stays a sharp rectangle, only its edges are blended; so it looks alike
wherever it lies, though its size is no whole number. Means are taken of the colours as they are
stored, without a gamma.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.report import Rect
from vgaemu.display.viewport import Viewport

#: A destination pixel is made of so many parts.
PARTS = 256
#: Red and blue, and green, of 0x00RRGGBB: of their products with `PARTS` none reaches another.
RED_BLUE, GREEN = np.uint32(0xFF00FF), np.uint32(0x00FF00)
HALVES = np.uint32(0x800080), np.uint32(0x008000)

Pixels = NDArray[np.uint32]


class Axis:
    """Which pixels of `source` each of `size` pixels covers, and how much of it each is.

    >>> axis = Axis(2, 3)
    >>> axis.first.tolist(), [weights.tolist() for weights in axis.weights]
    ([0, 0, 1], [[256, 128, 256], [0, 128, 0]])
    """

    def __init__(self, source: int, size: int) -> None:
        # In parts of a source pixel of which there are `size`.
        edges = np.arange(size + 1) * source
        self.first: NDArray[np.intp] = edges[:-1] // size
        count = int(((edges[1:] - 1) // size - self.first).max()) + 1
        before, self.weights = np.zeros(size, np.intp), []
        for nth in range(1, count + 1):
            covered = np.minimum(edges[1:], (self.first + nth) * size) - edges[:-1]
            so_far = (covered * PARTS + source // 2) // source
            self.weights.append((so_far - before).astype(np.uint32))
            before = so_far

    def scaled(self, pixels: Pixels, along: int, begin: int, end: int) -> Pixels:
        """Destination pixels `begin` to `end`; `pixels` begin with the first that is needed."""
        first = self.first[begin:end] - self.first[begin]
        scaled: Pixels = np.take(pixels, first, along)
        mixed = np.flatnonzero(self.weights[0][begin:end] < PARTS)
        if len(mixed):
            red_blue, green = HALVES
            last = pixels.shape[along] - 1
            shape = (1, -1) if along else (-1, 1)
            for nth, weights in enumerate(self.weights):
                source = np.take(pixels, np.minimum(first[mixed] + nth, last), along)
                weight = weights[begin:end][mixed].reshape(shape)
                red_blue = red_blue + (source & RED_BLUE) * weight
                green = green + (source & GREEN) * weight
            mean = (red_blue >> np.uint32(8)) & RED_BLUE | (green >> np.uint32(8)) & GREEN
            scaled[(slice(None), mixed) if along else mixed] = mean
        return scaled


class SmoothScaler:
    """Draws parts of a picture at a viewport's size."""

    def __init__(self, viewport: Viewport) -> None:
        self._viewport = viewport
        self._columns = Axis(viewport.source[0], viewport.width)
        self._rows = Axis(viewport.source[1], viewport.height)

    def scaled(self, frame: Pixels, place: Rect) -> Pixels:
        """What a part of the window shows that lies within the viewport."""
        left, top = place.x - self._viewport.x, place.y - self._viewport.y
        right, bottom = left + place.width, top + place.height
        # Columns first: there are fewer rows of the picture than of the window.
        part = frame[self._rows.first[top] :, self._columns.first[left] :]
        rows = self._rows.first[bottom - 1] - self._rows.first[top] + len(self._rows.weights)
        wide = self._columns.scaled(part[:rows], 1, left, right)
        return self._rows.scaled(wide, 0, top, bottom)
