"""What several workloads draw their pictures with: colour ramps, dither, smooth noise.

All of it is numpy in the guest's own memory and the same in every run: chance comes from the
guest's seeded `random`.
"""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ramp(stops: str, count: int) -> Floats:
    """Colours between stops: (count, 3), 8 bits a channel.

    >>> ramp("000000 ff8000", 3).tolist()
    [[0.0, 0.0, 0.0], [127.5, 64.0, 0.0], [255.0, 128.0, 0.0]]
    """
    colours = np.array([list(bytes.fromhex(stop)) for stop in stops.split()], np.float64)
    at = np.linspace(0, len(colours) - 1, count)
    return np.stack([np.interp(at, np.arange(len(colours)), c) for c in colours.T], axis=1)


def dither(shape: tuple[int, ...]) -> Floats:
    """An ordered pattern of -0.5..0.5 (Bayer, 4x4)."""
    bayer = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
    tiles = np.tile(bayer, (shape[0] // 4 + 1, shape[1] // 4 + 1))
    return (tiles[: shape[0], : shape[1]] + 0.5) / 16 - 0.5


def noise(random: Random, height: int, width: int, cell: float, octaves: int = 1) -> Floats:
    """Smooth noise of 0..1: (height, width).

    The largest features are `cell` wide; each octave adds some of half the size and weight.
    """
    total, weights = np.zeros((height, width)), 0.0
    for octave in range(octaves):
        size, weight = cell / 2**octave, 0.5**octave
        rows, columns = int(height / size) + 2, int(width / size) + 2
        grid = np.array([random.random() for _ in range(rows * columns)]).reshape(rows, columns)
        y, x = np.arange(height) / size, np.arange(width) / size
        top, left = y.astype(np.intp), x.astype(np.intp)
        v, u = _smooth(y - top)[:, None], _smooth(x - left)[None, :]
        upper = grid[top][:, left] * (1 - u) + grid[top][:, left + 1] * u
        lower = grid[top + 1][:, left] * (1 - u) + grid[top + 1][:, left + 1] * u
        total += weight * (upper * (1 - v) + lower * v)
        weights += weight
    return total / weights


def ridge(random: Random, width: int, cell: float, octaves: int = 4) -> Floats:
    """A skyline of 0..1, (width,), that joins itself: column `width` would be column 0."""
    total, weights = np.zeros(width), 0.0
    for octave in range(octaves):
        count = max(round(width / cell), 1) * 2**octave
        grid = np.array([random.random() for _ in range(count)])
        x = np.arange(width) * count / width
        left = x.astype(np.intp)
        u = _smooth(x - left)
        total += 0.5**octave * (grid[left] * (1 - u) + grid[(left + 1) % count] * u)
        weights += 0.5**octave
    return total / weights


def _smooth(t: Floats) -> Floats:
    return t * t * (3 - 2 * t)
