"""Fractals in 640x480x256 through a 64 KiB window: a DISPI bank is chosen before each store.

A picture of 300 KiB is larger than the window at A0000h, so a program without a linear frame buffer
writes the bank number (DISPI index 5) and splits rows at the bank's end. The picture comes coarse
first and then finer, as patient programs of the time showed it; then its colours turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.art import Floats, ramp
from vgaemu.guest.workload import Guest, Slices, endless

WIDTH, HEIGHT = 640, 480
#: DISPI's bank register, and the window it moves.
BANK_INDEX, WINDOW, BANK_BYTES = 5, 0xA0000, 0x10000
#: Rows of pixels that are worked out at once, coarse to fine: a block of n x n is one point.
BLOCKS = (16, 8, 4, 2, 1)
#: Points worked out between two frames.
POINTS_A_FRAME = 5120
#: Frames that a finished picture stays, and frames from one turn of its colours to the next.
STAY, TURN = 300, 2
#: Colour 0 is the inside; the rest are a circle.
CIRCLE = 255
#: An orbit that leaves this circle never comes back; a large one makes the bands smooth.
ESCAPE = 64.0


@dataclass(frozen=True)
class View:
    """Where to look, and in which colours."""

    x: float
    y: float
    #: Width of the picture in the plane.
    width: float
    most: int
    stops: str
    #: Colours a doubling of the count.
    density: float
    #: A Julia set's constant, or None for the Mandelbrot set.
    julia: complex | None = None


VIEWS = (
    View(-0.65, 0.0, 3.4, 160, "902008 20041c 04061c 0a2a78 2a86d8 c8f0ff fff4c0 ffa020", 46),
    View(-0.7443, 0.1326, 0.0054, 420,
         "060418 30105c 8c2a8c f06a6a ffd890 fffce8 78c8d0 186090 06143c", 60),
    View(0.0, 0.0, 3.1, 200, "020c14 06404c 10a088 a8f0a0 fffcd0 f0b040 a04018 28081c", 44,
         complex(-0.8, 0.156)),
    View(-1.25066, 0.02012, 0.00052, 420,
         "080408 401018 a83020 f89830 fff8c0 a8e0c0 3080a0 102858 080418", 56),
    View(0.0, 0.0, 2.9, 260, "04041c 241468 7038c0 e078d8 ffe0e8 a0d8ff 3070d0 081c58", 50,
         complex(-0.4, 0.6)),
)  # fmt: skip


@endless
def workload(guest: Guest) -> Slices:
    """One view after another."""
    guest.set_dispi_mode(WIDTH, HEIGHT, 8)
    while True:
        for view in VIEWS:
            yield from _show(guest, view)


def _show(guest: Guest, view: View) -> Slices:
    palette = ramp(f"{view.stops} {view.stops[:6]}", CIRCLE + 1)[:CIRCLE]
    _set_palette(guest, palette, 0)
    for block in BLOCKS:
        rows = max(POINTS_A_FRAME * block // WIDTH, 1) * block
        for top in range(0, HEIGHT, rows):
            colours = _colours(view, range(top, min(top + rows, HEIGHT), block), block)
            wide = colours.repeat(block, axis=1)
            for i, row in enumerate(wide.repeat(block, axis=0)):
                _store(guest, (top + i) * WIDTH, row)
            yield
    for frame in range(STAY):
        if frame % TURN == 0:
            _set_palette(guest, palette, frame // TURN)
        yield


def _store(guest: Guest, at: int, data: NDArray[np.uint8]) -> None:
    """Store bytes from an address in the picture on, through the window."""
    while len(data):
        bank, offset = divmod(at, BANK_BYTES)
        guest.outw(0x1CE, BANK_INDEX)
        guest.outw(0x1CF, bank)
        room = min(BANK_BYTES - offset, len(data))
        guest.store(WINDOW + offset, data[:room].tobytes())
        data, at = data[room:], at + room


def _set_palette(guest: Guest, palette: Floats, turn: int) -> None:
    colours = np.roll(palette, turn, axis=0)
    guest.canvas.set_palette(np.concatenate([np.zeros((1, 3)), colours]))


def _colours(view: View, rows: range, block: int) -> NDArray[np.uint8]:
    """Colour numbers of some rows, one for each block."""
    step = view.width / WIDTH
    x = view.x + (np.arange(0, WIDTH, block) - WIDTH / 2) * step
    y = view.y + (np.array(rows) - HEIGHT / 2) * step
    points = (x[None, :] + 1j * y[:, None]).ravel()
    counts = _escape(points, view)
    # The logarithm spreads the colours evenly however deep the view is.
    phase = view.density * np.log2(np.maximum(counts, 1e-9))
    colours = np.where(counts > 0, 1 + np.floor(phase) % CIRCLE, 0).astype(np.uint8)
    return colours.reshape(len(rows), -1)


def _escape(points: NDArray[np.complex128], view: View) -> Floats:
    """Smooth count of steps until each orbit leaves; 0 for those that stay."""
    counts = np.zeros(len(points))
    z = points.copy() if view.julia is not None else np.zeros_like(points)
    c = points if view.julia is None else np.full_like(points, view.julia)
    left = np.arange(len(points))
    for step in range(1, view.most):
        z = z * z + c
        size = z.real**2 + z.imag**2
        out = size > ESCAPE
        if out.any():
            counts[left[out]] = step + 3 - np.log2(0.5 * np.log2(size[out]))
            stay = ~out
            z, c, left = z[stay], c[stay], left[stay]
            if not len(left):
                break
    return counts
