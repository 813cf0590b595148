"""A plasma: every pixel of the picture is stored anew in every frame.

The picture is a sum of waves, looked up in tables that are larger than it and are read from moving
places, as demos of the time did. Mode 13h; colours 0-15 keep their meaning.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.workload import Guest, Slices, endless

WIDTH, HEIGHT = 320, 200
#: Colours from here on are the plasma's.
FIRST_COLOUR, COLOURS = 16, 240
#: Frames that a set of colours stays, and steps in which it turns into the next.
STAY, FADE = 420, 60
#: Each set: colours that follow each other around a circle, blended.
SETS = (
    "0b0638 5a1191 d32a7c ff8a3d ffe9a8 ff8a3d b0207f 2c0b66",
    "021b2e 055e7a 16c0a8 d8ffb0 2fd08f 0a7f8c 063a66 02122a",
    "1a0505 7a1010 e8501c ffc845 fff6d0 4fb0d8 1c4a9c 0a0a3c",
)


@endless
def workload(guest: Guest) -> Slices:
    """A whole picture a frame."""
    guest.set_mode(0x13)
    yield from frames(guest)


def frames(guest: Guest, height: int = HEIGHT) -> Slices:
    """The plasma on the first `height` rows of mode 13h."""
    canvas = guest.canvas
    waves, rings = _tables()
    palettes = [_palette(i) for i in range(len(SETS))]
    canvas.set_palette(palettes[0], FIRST_COLOUR)
    t = 0
    while True:
        canvas.blit(0, 0, _picture(waves, rings, t, height))
        fade = t % STAY - (STAY - FADE)
        if fade >= 0:
            old = palettes[t // STAY % len(SETS)]
            new = palettes[(t // STAY + 1) % len(SETS)]
            canvas.set_palette(old + (new - old) * ((fade + 1) / FADE), FIRST_COLOUR)
        t += 1
        yield


def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two fields of twice the picture's size: crossing waves, and rings around the middle."""
    y, x = np.mgrid[0 : 2 * HEIGHT, 0 : 2 * WIDTH].astype(np.float64)
    y *= 1.2  # pixels of mode 13h are higher than wide
    waves = np.sin(x / 37 + np.sin(y / 53)) + np.sin(y / 29 + 1.4 * np.sin(x / 71))
    distance = np.hypot(x - WIDTH, y - 1.2 * HEIGHT)
    rings = np.sin(distance / 23) + np.sin(distance / 61 + x / 90)
    return _bytes(waves), _bytes(rings)


def _bytes(field: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Waves of -2..2 as 0..119: sums of four go twice around the colours."""
    return ((field + 2) * 29.75).astype(np.uint8)


def _picture(
    waves: NDArray[np.uint8], rings: NDArray[np.uint8], t: int, height: int
) -> NDArray[np.uint8]:
    def part(field: NDArray[np.uint8], right: float, down: float) -> NDArray[np.uint16]:
        x = int((WIDTH - 1) / 2 * (1 + np.sin(t / right)))
        y = int((HEIGHT - 1) / 2 * (1 + np.cos(t / down)))
        return field[y : y + height, x : x + WIDTH].astype(np.uint16)

    field = part(waves, 97, 131) + part(rings, 83, 67)
    field += part(waves, -151, 59) + part(rings, -71, 103)
    # The colours run through the picture while it moves.
    return (FIRST_COLOUR + (field + t) % COLOURS).astype(np.uint8)


def _palette(number: int) -> NDArray[np.float64]:
    """(COLOURS, 3) channels, smooth all the way around."""
    stops = [list(bytes.fromhex(stop)) for stop in SETS[number].split()]
    at = np.linspace(0, len(stops), COLOURS, endpoint=False)
    closed = np.array([*stops, stops[0]], np.float64)
    channels = [np.interp(at, np.arange(len(closed)), channel) for channel in closed.T]
    return np.stack(channels, axis=1)
