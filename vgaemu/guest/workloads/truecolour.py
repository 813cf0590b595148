"""Soap bubbles in 1024x768 true colour: large sprites, blended, in a linear frame buffer.

DISPI with 32 bits a pixel: each pixel is four bytes, all three megabytes lie in a row at E0000000h.
The scene is kept in the guest's own memory; what each bubble left and entered is mixed there and
then stored, so a page is dirty only where something moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import WorkloadError
from vgaemu.guest.art import Floats, noise, ramp
from vgaemu.guest.workload import Guest, Slices, endless

WIDTH, HEIGHT = 1024, 768
MAX_BUBBLES = 24
#: Radii of the bubbles, small to large.
RADII = (28, 40, 54, 70, 88)
#: Light falls from here, as a unit vector to the viewer's upper left.
LIGHT = (-0.48, -0.62, 0.62)
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Sprite:
    """A bubble's light, and how much of what is behind comes through, both (n, n, 3) of 0..1."""

    light: NDArray[np.float32]
    through: NDArray[np.float32]


@dataclass
class Bubble:
    """One on its way up; where it is follows from the frame number."""

    sprite: Sprite
    x: float
    rise: float
    phase: float
    sway: float
    drawn: Box | None = None

    def box(self, t: int) -> Box:
        """Where it is in frame `t`: x, y, width, height; it may lie outside."""
        size = len(self.sprite.light)
        way = HEIGHT + size
        y = HEIGHT - (self.rise * t + self.phase * way) % way
        x = self.x + self.sway * np.sin(t / 47 + 6.3 * self.phase) - size / 2
        return round(x), round(y), size, size


@endless
def workload(guest: Guest, bubbles: str = "9") -> Slices:
    """`bubbles` of them, 1 to 24."""
    count = int(bubbles) if bubbles.isdecimal() else 0
    if not 1 <= count <= MAX_BUBBLES:
        raise WorkloadError(f"{bubbles!r} is not a number of bubbles; take 1 to {MAX_BUBBLES}")
    return _frames(guest, count)


def _frames(guest: Guest, count: int) -> Slices:
    guest.set_dispi_mode(WIDTH, HEIGHT, 32)
    canvas = guest.canvas
    background = _background(guest.random)
    canvas.blit(0, 0, _packed(background))
    flock = _bubbles(guest.random, count)
    t = 0
    while True:
        boxes = [bubble.box(t) for bubble in flock]
        for bubble, box in zip(flock, boxes, strict=True):
            area = _inside(_around(bubble.drawn, box))
            bubble.drawn = box
            if area is not None:
                canvas.blit(area[0], area[1], _packed(_mix(background, flock, boxes, area)))
        t += 1
        yield


def _mix(
    background: NDArray[np.float32], flock: list[Bubble], boxes: list[Box], area: Box
) -> NDArray[np.float32]:
    """The scene in `area`: every bubble that reaches into it, over the background."""
    left, top, width, height = area
    scene = background[top : top + height, left : left + width].copy()
    for bubble, (x, y, w, h) in zip(flock, boxes, strict=True):
        x0, y0 = max(x, left), max(y, top)
        x1, y1 = min(x + w, left + width), min(y + h, top + height)
        if x0 < x1 and y0 < y1:
            part = slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)
            under = scene[y0 - top : y1 - top, x0 - left : x1 - left]
            under *= bubble.sprite.through[part]
            under += bubble.sprite.light[part]
    return scene


def _around(old: Box | None, new: Box) -> Box:
    if old is None:
        return new
    left, top = min(old[0], new[0]), min(old[1], new[1])
    right, bottom = max(old[0] + old[2], new[0] + new[2]), max(old[1] + old[3], new[1] + new[3])
    if bottom - top > HEIGHT // 2:
        return 0, 0, WIDTH, HEIGHT  # it left at the top and comes back below
    return left, top, right - left, bottom - top


def _inside(box: Box) -> Box | None:
    left, top = max(box[0], 0), max(box[1], 0)
    right, bottom = min(box[0] + box[2], WIDTH), min(box[1] + box[3], HEIGHT)
    return (left, top, right - left, bottom - top) if left < right and top < bottom else None


def _packed(scene: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Light of 0..1 as 0x00RRGGBB."""
    channels = (np.minimum(scene, 1.0) * 255 + 0.5).astype(np.uint32)
    weights = np.array([1 << 16, 1 << 8, 1], np.uint32)
    packed: NDArray[np.uint32] = (channels * weights).sum(axis=2, dtype=np.uint32)
    return packed


def _bubbles(random: Random, count: int) -> list[Bubble]:
    sprites = {radius: _bubble(random, radius) for radius in RADII}
    flock = []
    for i in range(count):
        radius = RADII[(i * 3 + 1) % len(RADII)]
        flock.append(
            Bubble(
                sprite=sprites[radius],
                x=WIDTH * ((i * 0.618 + 0.1) % 1) * 0.86 + WIDTH * 0.07,
                rise=0.6 + 1.1 * (RADII[-1] - radius) / RADII[-1] + random.uniform(0, 0.3),
                phase=random.random(),
                sway=random.uniform(10, 34),
            )
        )
    return sorted(flock, key=lambda bubble: len(bubble.sprite.light))


def _bubble(random: Random, radius: int) -> Sprite:
    """A thin film: at the rim one looks along it and it mirrors, in colours by its thickness."""
    size = 2 * radius + 2
    y, x = (np.mgrid[0:size, 0:size].astype(np.float64) + 0.5 - size / 2) / radius
    r2 = x * x + y * y
    z = np.sqrt(np.clip(1 - r2, 0, 1))
    edge = np.clip((1 - np.sqrt(r2)) * radius, 0, 1)  # half-covered pixels
    fresnel = 0.05 + 0.95 * (1 - z) ** 3
    swirl = noise(random, size, size, radius * 0.7, 3)
    # The film's light and its mirror image differ by the way through it: colours of thin films.
    way = 2.1 + 1.5 * (y + 1) + 1.6 * swirl + 1.3 * z
    film = np.stack([0.5 + 0.5 * np.cos(2 * np.pi * way * k) for k in (0.78, 0.95, 1.18)], axis=2)
    sky = (
        ramp("ffe8d0 ffd0b8 d8b8e0 90a0f0 c8e0ff", 256)[
            np.clip((1 - (y + 1) / 2) * 255, 0, 255).astype(np.intp)
        ]
        / 255
    )
    light = fresnel[..., None] * (0.30 * sky + 0.80 * film)
    facing = LIGHT[0] * x + LIGHT[1] * y + LIGHT[2] * z
    behind = -LIGHT[0] * x - LIGHT[1] * y + LIGHT[2] * z  # seen through it, upside down
    window = np.clip(facing, 0, 1) ** 50 * 1.1 + np.clip(facing, 0, 1) ** 9 * 0.10
    window += np.clip(behind, 0, 1) ** 60 * 0.35
    light += window[..., None] * np.array([1.0, 0.97, 0.92])
    through = 1 - np.clip(fresnel * 0.62 + window * 0.5, 0, 0.9)
    cover = edge[..., None]
    return Sprite(
        (light * cover).astype(np.float32),
        (1 - (1 - through[..., None]) * cover).repeat(3, axis=2).astype(np.float32),
    )


def _background(random: Random) -> NDArray[np.float32]:
    """Evening over a lake: sky and clouds, hills, and all of it again in the water."""
    horizon = 500
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    sky = ramp("0c1440 1c2a6c 40489c 7c5cac c4749c f09078 ffb868 ffe0a0", horizon) / 255
    scene = np.zeros((HEIGHT, WIDTH, 3))
    scene[:horizon] = sky[:, None]
    sun_x, sun_y = 690, horizon - 46
    away = np.hypot(x - sun_x, y - sun_y)[:horizon]
    scene[:horizon] += (0.75 * np.exp(-away / 90))[..., None] * np.array([1.0, 0.62, 0.30])
    scene[:horizon] += (0.30 * np.exp(-away / 300))[..., None] * np.array([1.0, 0.45, 0.30])
    wide = noise(random, horizon * 4, WIDTH, 300, 6)[::4]
    low = np.linspace(0.0, 1.0, horizon)[:, None]
    cloud = np.clip((wide - 0.52 + 0.06 * low) * 4.2, 0, 1) * np.clip(low * 2.2, 0.15, 1)
    lit = (
        ramp("38407c 8c5c9c f08080 ffc880", 256)[
            np.clip((low + 0.5 * np.exp(-away / 240)) * 200, 0, 255).astype(np.intp)
        ]
        / 255
    )
    scene[:horizon] += (lit - scene[:horizon]) * (cloud * 0.75)[..., None]
    scene[:horizon][away < 40] = np.array([1.0, 0.95, 0.80])
    soft = np.clip(41.5 - away, 0, 1)[..., None]
    scene[:horizon] += (np.array([1.0, 0.95, 0.80]) - scene[:horizon]) * soft
    for height, cell, colour in (
        (150, 380, (0.42, 0.34, 0.58)),
        (105, 240, (0.28, 0.23, 0.46)),
        (62, 170, (0.14, 0.13, 0.30)),
    ):
        top = horizon - height * noise(random, 1, WIDTH, cell, 6)[0]
        cover = np.clip(y[:horizon] - top + 0.5, 0, 1)[..., None]
        haze = np.clip((y[:horizon] - top) / height, 0, 1)[..., None] * 0.35
        hill = np.array(colour) * (1 - haze) + np.array([0.95, 0.60, 0.50]) * haze
        hill = hill + (0.35 * np.exp(-away / 130))[..., None] * np.array([1.0, 0.55, 0.25])
        scene[:horizon] += (hill - scene[:horizon]) * cover
    _mirror(random, scene, horizon)
    return np.clip(scene, 0, 1).astype(np.float32)


def _mirror(random: Random, scene: Floats, horizon: int) -> None:
    rows = np.arange(HEIGHT - horizon)
    depth = rows / len(rows)
    waves = noise(random, len(rows) * 6, WIDTH, 130, 5)[::6] - 0.5
    source = horizon - 1 - (rows * 1.25)[:, None] - waves * (6 + 130 * depth)[:, None]
    source = np.clip(source, 0, horizon - 1).astype(np.intp)
    water = scene[source, np.arange(WIDTH)]
    tint = np.array([0.66, 0.66, 0.84]) * (1 - 0.45 * depth[:, None, None])
    scene[horizon:] = water * tint + np.array([0.01, 0.01, 0.04])
