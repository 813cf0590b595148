"""A tunnel that moves by its palette alone: no page is dirty, yet everything is drawn again.

The picture is stored once; then each frame only turns the DAC's colours around. Mode 13h; colours
0-15 keep their meaning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.workload import Guest, Slices, endless

WIDTH, HEIGHT = 320, 200
#: Colours from here on turn: `DEPTHS` rings of the tunnel, `STRIPES` stripes around each.
FIRST_COLOUR, DEPTHS, STRIPES = 16, 40, 6


@endless
def workload(guest: Guest) -> Slices:
    """Store a picture, then change colours only."""
    guest.set_mode(0x13)
    yield from frames(guest)


def frames(guest: Guest, height: int = HEIGHT) -> Slices:
    """The tunnel on the first `height` rows of mode 13h."""
    canvas = guest.canvas
    palette = _palette()
    canvas.set_palette(palette.reshape(-1, 3), FIRST_COLOUR)
    canvas.blit(0, 0, _picture(height))
    t = 0
    while True:
        yield
        t += 1
        if t & 1:
            continue
        turned = np.roll(palette, t // 2, axis=0)
        if t % 8 == 0:
            palette = np.roll(palette, 1, axis=1)  # stripes turn slower than rings come
        canvas.set_palette(turned.reshape(-1, 3), FIRST_COLOUR)


def _picture(height: int) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:WIDTH].astype(np.float64)
    x -= WIDTH / 2 - 0.5
    y = (y - height / 2 + 0.5) * 1.2  # pixels of mode 13h are higher than wide
    distance = np.hypot(x, y)
    depth = np.log(np.maximum(distance, 3) / 3) * 22
    turn = np.arctan2(y, x) / (2 * np.pi) + 0.25 * depth / 22
    ring = np.floor(-depth).astype(np.int64) % DEPTHS
    stripe = np.floor(turn * 2 * STRIPES).astype(np.int64) % STRIPES
    picture = FIRST_COLOUR + ring * STRIPES + stripe
    picture[distance < 9] = 0  # too far away to see
    colours: NDArray[np.uint8] = picture.astype(np.uint8)
    return colours


def _palette() -> NDArray[np.float64]:
    """(DEPTHS, STRIPES, 3) channels: bright bands run along the tunnel, stripes around it."""
    ring = np.arange(DEPTHS)[:, None] / DEPTHS
    stripe = np.arange(STRIPES)[None, :] / STRIPES
    glow = 0.35 + 0.65 * (0.5 + 0.5 * np.sin(4 * np.pi * ring)) ** 2
    hue = 2 * np.pi * (ring + stripe)
    channels = [0.5 + 0.5 * np.cos(hue + phase) for phase in (0.0, 2.1, 4.2)]
    return np.stack(channels, axis=2) * glow[:, :, None] * 255
