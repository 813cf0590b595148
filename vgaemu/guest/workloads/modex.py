"""Balloons in mode X: 320x240 unchained, drawn on a hidden page that a start address then shows.

Four planes of 64 KiB hold three pages of this size. A frame is drawn on the page that is not shown;
then the CRTC gets its address, which it takes with the next vertical retrace, so nobody ever sees a
picture half done. Hills pass by at four speeds below the sky; balloons drift before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.art import Floats, dither, noise, ramp, ridge
from vgaemu.guest.surface import UnchainedSurface
from vgaemu.guest.workload import Guest, Slices, endless

WIDTH, HEIGHT = 320, 240
#: Addresses (4 pixels each) a row and a page; pages that are used.
PITCH = WIDTH // 4
PAGE, PAGES = PITCH * HEIGHT, 3
#: Width after which the land repeats.
LAND = 640

Picture = NDArray[np.uint8]

SKY, SKY_COLOURS = 16, 40
CLOUD, CLOUD_COLOURS = 56, 12
#: Each range of hills: first colour, base row, height, size of features, pixels a frame, colours.
HILLS = (
    (68, 168, 74, 220, 0.25, "8aa0c8 9cb0d4 b4c4e0"),
    (80, 186, 58, 150, 0.5, "5c84a8 7098b4 90b4c4"),
    (92, 206, 44, 120, 1.0, "33685c 4c8868 78ac74 a4c480"),
    (108, 236, 40, 200, 2.0, "0c3020 1c4c28 3a7430 74a43c b8cc58"),
)
HILL_COLOURS = 12
#: The nearest range has more.
NEAR_COLOURS = 20
BALLOONS, BALLOON_COLOURS = 132, 8
#: Two colours of stripes for each balloon.
DRESSES = (
    ("e03c3c", "f8e0a0"), ("2860c8", "f8f8f8"), ("f09028", "b02868"),
    ("188868", "f0d848"), ("7838a8", "f0a0c8"),
)  # fmt: skip
BASKET, BASKET_COLOURS = 212, 6


@endless
def workload(guest: Guest) -> Slices:
    """A page drawn, a page shown."""
    guest.set_mode("320x240 unchained")
    guest.canvas.set_palette(_palette(), SKY)
    random = guest.random
    sky = _sky()
    clouds = [_clouds(random, row, size) for row, size in ((16, 1.0), (58, 0.7))]
    hills = [_hills(random, i) for i in range(len(HILLS))]
    flight = _balloons()
    surface = UnchainedSurface(guest, 0xA0000, WIDTH, HEIGHT * PAGES, PITCH)
    t = 0
    while True:
        page = t % PAGES
        surface.put(0, page * HEIGHT, _frame(t, sky, clouds, hills, flight))
        _show(guest, page * PAGE)
        t += 1
        yield


def _show(guest: Guest, start: int) -> None:
    """Both halves of the start address, outside the retrace that would take only one of them.

    The `yield` that follows waits for that retrace.
    """
    while guest.inb(0x3DA) & 8:
        pass
    guest.ports["start_address"] = start


def _frame(
    t: int, sky: Picture, clouds: list[Picture], hills: list[Picture], flight: list[Balloon]
) -> Picture:
    frame = sky.copy()
    for i, cloud in enumerate(clouds):
        _over(frame, _window(cloud, t * (0.12 + 0.06 * i)))
    behind = [balloon for balloon in flight if balloon.depth < len(hills)]
    for depth, hill in enumerate(hills):
        for balloon in behind:
            if balloon.depth == depth:
                balloon.draw(frame, t)
        _over(frame, _window(hill, t * HILLS[depth][4]))
    for balloon in flight:
        if balloon.depth >= len(hills):
            balloon.draw(frame, t)
    return frame


def _window(land: Picture, at: float) -> Picture:
    """A screen's width of a layer that repeats."""
    left = int(at) % LAND
    if left + WIDTH <= LAND:
        return land[:, left : left + WIDTH]
    return np.concatenate([land[:, left:], land[:, : left + WIDTH - LAND]], axis=1)


def _over(frame: Picture, layer: Picture) -> None:
    """Lay a layer over the frame where it is not 0; only its rows are looked at."""
    rows = np.flatnonzero(layer.any(axis=1))
    part = slice(int(rows[0]), int(rows[-1]) + 1) if len(rows) else slice(0, 0)
    np.copyto(frame[part], layer[part], where=layer[part] != 0)


@dataclass
class Balloon:
    """One balloon; the hills with a number from `depth` on pass before it."""

    sprite: Picture
    x: float
    y: float
    depth: int
    speed: float
    bob: float

    def draw(self, frame: Picture, t: int) -> None:
        """Onto the frame, cut at its edges."""
        height, width = self.sprite.shape
        way = WIDTH + width
        x = round((self.x - self.speed * t) % way) - width
        y = round(self.y + 6 * np.sin(t / self.bob + self.x))
        left, right = max(-x, 0), min(width, WIDTH - x)
        top, bottom = max(-y, 0), min(height, HEIGHT - y)
        if left < right and top < bottom:
            part = self.sprite[top:bottom, left:right]
            np.copyto(frame[y + top : y + bottom, x + left : x + right], part, where=part != 0)


def _balloons() -> list[Balloon]:
    #: radius, dress, place, height, hills that pass before it
    places = (
        (9, 3, 60, 100, 2), (13, 1, 290, 70, 2), (18, 2, 200, 84, 3),
        (24, 4, 60, 44, 4), (36, 0, 250, 22, 4),
    )  # fmt: skip
    return [
        Balloon(_balloon(radius, dress), x, y, depth, 0.08 + radius / 110, 20 + radius)
        for radius, dress, x, y, depth in places
    ]


def _balloon(radius: int, dress: int) -> Picture:
    """An envelope of coloured gores, its ropes and its basket; 0 is transparent."""
    width, height = 2 * radius + 1, round(radius * 3.15)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    x = (x - radius) / radius
    y = (y - radius) / radius
    # Round above, drawn in below: the outline of a balloon.
    below = np.clip(y, 0, 1.45) / 1.45
    half = np.where(y < 0, np.sqrt(np.clip(1 - y * y, 0, 1)), 1 - 0.80 * below**1.7)
    inside = (np.abs(x) <= half) & (y <= 1.32)
    across = np.clip(x / np.maximum(half, 0.05), -1, 1)
    gore = np.floor((np.arcsin(across) / np.pi + 0.5) * 9.999).astype(np.intp)
    band = (y > 0.18) & (y < 0.42)
    light = 0.62 - 0.38 * across - 0.22 * y
    level = np.clip(light * BALLOON_COLOURS + 0.8 * dither(x.shape), 0, BALLOON_COLOURS - 1)
    first = BALLOONS + 2 * BALLOON_COLOURS * dress
    second = (gore % 2 == 1) ^ band
    sprite = np.where(inside, first + BALLOON_COLOURS * second + np.floor(level), 0)
    ropes = (y > 1.32) & (y < 1.72) & (np.abs(np.abs(x) - 0.18) < 0.6 / radius)
    sprite[ropes] = BASKET
    basket = (y >= 1.72) & (y < 2.05) & (np.abs(x) < 0.22)
    shade = BASKET + 1 + np.clip((x / 0.22 * -0.5 + 0.5) * 5, 0, 4)
    sprite[basket] = np.floor(shade)[basket]
    return sprite.astype(np.uint8)


def _sky() -> Picture:
    y = np.linspace(0, 1, HEIGHT)[:, None] + np.zeros((1, WIDTH))
    level = y * 1.18 * SKY_COLOURS + 1.2 * dither((HEIGHT, WIDTH))
    return (SKY + np.clip(level, 0, SKY_COLOURS - 1)).astype(np.uint8)


def _clouds(random: Random, row: int, size: float) -> Picture:
    """Heaps with flat feet, in a band that joins itself."""
    y, x = np.mgrid[0:HEIGHT, 0:LAND].astype(np.float64)
    rough = noise(random, HEIGHT, LAND, 16 * size, 3)
    cover, light = np.zeros_like(x), np.zeros_like(x)
    for _ in range(5):
        cx, width = random.uniform(0, LAND), random.uniform(34, 62) * size
        foot = row + random.uniform(10, 34) * size
        for _ in range(9):
            bx = cx + random.uniform(-1, 1) * width
            radius = random.uniform(7, 19) * size * (1.15 - abs(bx - cx) / width * 0.6)
            dx = (x - bx + LAND / 2) % LAND - LAND / 2
            dy = (y - foot + radius * 0.55) * 1.25
            puff = 1 - np.hypot(dx, dy) / radius + 0.55 * (rough - 0.5)
            puff[y > foot + 2 * (rough - 0.5)] = 0
            shade = np.clip(0.62 - 0.32 * dy / radius - 0.18 * dx / radius + (rough - 0.5), 0, 1)
            light = np.where(puff > cover, shade, light)
            cover = np.maximum(cover, puff)
    level = np.clip(light * CLOUD_COLOURS + dither(x.shape), 0, CLOUD_COLOURS - 1)
    soft = cover + 0.16 * dither(x.shape) > 0.10
    return np.where(soft, CLOUD + np.floor(level), 0).astype(np.uint8)


def _hills(random: Random, number: int) -> Picture:
    first, base, height, cell, _, _ = HILLS[number]
    colours = NEAR_COLOURS if number == len(HILLS) - 1 else HILL_COLOURS
    y = np.arange(HEIGHT, dtype=np.float64)[:, None]
    top = base - height * ridge(random, LAND, cell, 2 if number > 1 else 5)
    slope = np.gradient(np.concatenate([top[-1:], top, top[:1]]))[1:-1]
    depth = (y - top) / height
    rough = noise(random, HEIGHT, LAND, 22, 4) - 0.5
    rough = rough * np.minimum(1, np.minimum(np.arange(LAND), np.arange(LAND)[::-1]) / 30)
    light = 0.80 - 0.55 * depth + 0.45 * np.clip(slope, -1, 1) + 0.5 * rough
    if number < 2:
        light = 0.30 + 0.55 * depth + 0.35 * np.clip(slope, -1, 1) + 0.35 * rough
    level = np.clip(light * colours + dither((HEIGHT, LAND)), 0, colours - 1)
    land = np.where(depth >= 0, first + np.floor(level), 0)
    if number >= 2:
        _trees(random, land, top, first, number)
    return land.astype(np.uint8)


def _trees(random: Random, land: Floats, top: Floats, first: int, number: int) -> None:
    """Round trees in groups along the ridge and on the slope, lit from the left."""
    for _ in range(46 if number == 2 else 30):
        cx = random.randrange(LAND)
        radius = random.uniform(2.0, 3.6) if number == 2 else random.uniform(4.5, 8)
        foot = top[cx] + (random.random() ** 2) * (16 if number == 2 else 26)
        size = int(radius) + 2
        for dy in range(-size, size + 1):
            row = int(foot - radius * 0.9) + dy
            if not 0 <= row < HEIGHT:
                continue
            for dx in range(-size, size + 1):
                away = np.hypot(dx, dy) + random.uniform(-0.7, 0.7)
                if away <= radius:
                    light = 0.42 - 0.26 * dx / radius - 0.30 * dy / radius
                    step = (HILL_COLOURS if number == 2 else NEAR_COLOURS) * light * 0.8
                    land[row, (cx + dx) % LAND] = first + min(max(int(step), 0), 10)


def _palette() -> Floats:
    """Colours from `SKY` on."""
    parts = [
        ramp("2858b0 3c78c8 68a4dc 9cc8ec cce4f4 f4ecd8", SKY_COLOURS),
        ramp("98a8c8 c4cce0 ecf0f8 ffffff", CLOUD_COLOURS),
    ]
    for number, (*_, stops) in enumerate(HILLS):
        near = number == len(HILLS) - 1
        parts.append(ramp(stops, NEAR_COLOURS if near else HILL_COLOURS))
        if number == 2:
            parts.append(np.zeros((4, 3)))  # up to the nearest range's first colour
    parts.append(np.zeros((BALLOONS - HILLS[-1][0] - NEAR_COLOURS, 3)))
    for dress in DRESSES:
        for colour in dress:
            dark = "".join(f"{int(colour[i : i + 2], 16) * 2 // 5:02x}" for i in (0, 2, 4))
            light = "".join(f"{(int(colour[i : i + 2], 16) + 510) // 3:02x}" for i in (0, 2, 4))
            parts.append(ramp(f"{dark} {colour} {colour} {light}", BALLOON_COLOURS))
    parts.append(ramp("281810 50301c a86c38 d8a468", BASKET_COLOURS))
    return np.concatenate(parts)
