"""Balls that bounce over a picture: each touches a few pages, and only those are drawn again.

Mode 13h. The scene is kept in the guest's own memory; there each ball is taken away, moved and
drawn, and then only the rectangle it left and entered is stored, as games of the time did. So a
frame never shows a ball half gone. Colours 0-15 keep their meaning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import WorkloadError
from vgaemu.guest.art import dither, ramp
from vgaemu.guest.workload import Guest, Slices, endless

WIDTH, HEIGHT = 320, 200
MAX_BALLS = 64
#: Points of a ball: pixels of mode 13h are 5:6, so this is round on a monitor.
BALL_WIDTH, BALL_HEIGHT = 32, 27
SHADOW_HEIGHT = 6
#: Where each part's colours begin, and how many there are.
SKY, SKY_COLOURS = 16, 64
LIGHT, DARK, FLOOR_COLOURS = 80, 104, 24
SUN, SUN_COLOURS = 128, 12
BALLS, BALL_COLOURS = 140, 16
HUES = ("e83838", "f0a020", "48c048", "28b0c8", "4868f0", "b050e0", "e860a8")
#: Row of the horizon, of 200.
HORIZON = 118

Picture = NDArray[np.uint8]


@endless
def workload(guest: Guest, balls: str = "8") -> Slices:
    """`balls` of them, 1 to 64."""
    count = int(balls) if balls.isdecimal() else 0
    if not 1 <= count <= MAX_BALLS:
        raise WorkloadError(f"{balls!r} is not a number of balls; take 1 to {MAX_BALLS}")
    return _in_mode_13h(guest, count)


def _in_mode_13h(guest: Guest, count: int) -> Slices:
    guest.set_mode(0x13)
    yield from frames(guest, count)


@dataclass
class Ball:
    """One ball's course; where it is follows from the frame number alone."""

    sprite: Picture
    #: Row that it bounces on: the lower, the nearer.
    ground: int
    rise: int
    bounce_frames: float
    cross_frames: float
    phase: float
    #: Rectangles that it and its shadow took when they were last drawn: x, y, width, height.
    drawn: list[tuple[int, int, int, int]]

    def places(self, t: int) -> list[tuple[int, int, int, int]]:
        """Where the shadow and the ball are in frame `t`."""
        across = (t / self.cross_frames + self.phase) % 2
        x = round((1 - abs(1 - across)) * (WIDTH - BALL_WIDTH))
        fall = (t / self.bounce_frames + 7 * self.phase) % 1
        y = self.ground - BALL_HEIGHT - round(self.rise * 4 * fall * (1 - fall))
        return [
            (x, self.ground - SHADOW_HEIGHT // 2, BALL_WIDTH, SHADOW_HEIGHT),
            (x, y, BALL_WIDTH, BALL_HEIGHT),
        ]


def frames(guest: Guest, count: int, height: int = HEIGHT) -> Slices:
    """The balls on the first `height` rows of mode 13h."""
    canvas = guest.canvas
    canvas.set_palette(_palette(), SKY)
    background = _scene(height)
    canvas.blit(0, 0, background)
    balls = _make_balls(guest, count, height)
    work = background.copy()
    t = 0
    while True:
        for x, y, w, h in _move(balls, work, background, t):
            canvas.blit(x, y, work[max(y, 0) : y + h, x : x + w])
        t += 1
        yield


def _move(
    balls: list[Ball], work: Picture, background: Picture, t: int
) -> list[tuple[int, int, int, int]]:
    """Draw frame `t` into `work`; returns the rectangles that changed."""
    changed = []
    for ball in balls:
        for x, y, w, h in ball.drawn:
            work[y : y + h, x : x + w] = background[y : y + h, x : x + w]
    for ball in balls:
        places = ball.places(t)
        (x, y, w, h), _ = places
        under = work[y : y + h, x : x + w]
        under[:] = np.where(_SHADOW[: len(under)], _SHADED[under], under)
        changed += [_around(a, b) for a, b in zip(ball.drawn or places, places, strict=True)]
        ball.drawn = places
    for ball in balls:
        x, y, w, h = ball.drawn[1]
        under = work[y : y + h, x : x + w]
        under[:] = np.where(ball.sprite, ball.sprite, under)
    return changed


def _around(
    a: tuple[int, int, int, int], b: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    left, top = min(a[0], b[0]), min(a[1], b[1])
    right, bottom = max(a[0] + a[2], b[0] + b[2]), max(a[1] + a[3], b[1] + b[3])
    return left, top, right - left, bottom - top


def _make_balls(guest: Guest, count: int, height: int) -> list[Ball]:
    sprites = [_ball(BALLS + BALL_COLOURS * hue) for hue in range(len(HUES))]
    horizon = HORIZON * height // HEIGHT
    nearest, farthest = height - SHADOW_HEIGHT, horizon + 12
    balls = []
    for i in range(count):
        depth = (i + 0.5) / count
        ground = round(farthest + (nearest - farthest) * depth)
        rise = guest.random.randint(ground // 3, ground - BALL_HEIGHT - 4)
        balls.append(
            Ball(
                sprite=sprites[i * 3 % len(HUES)],
                ground=ground,
                rise=rise,
                bounce_frames=9 * rise**0.5,  # the higher, the longer it falls
                cross_frames=guest.random.uniform(150, 330) * (1.4 - 0.6 * depth),
                phase=guest.random.uniform(0, 2),
                drawn=[],
            )
        )
    return balls


def _ball(first: int) -> Picture:
    """A ball lit from the upper left; 0 is transparent."""
    y, x = np.mgrid[0:BALL_HEIGHT, 0:BALL_WIDTH].astype(np.float64)
    x = (x + 0.5) / (BALL_WIDTH / 2) - 1
    y = (y + 0.5) / (BALL_HEIGHT / 2) - 1
    inside = x * x + y * y < 1
    z = np.sqrt(np.clip(1 - x * x - y * y, 0, 1))
    diffuse = np.clip(-0.45 * x - 0.6 * y + 0.66 * z, 0, 1)
    # The light's mirror image, seen from the front: Blinn's half vector.
    gloss = np.clip(-0.25 * x - 0.33 * y + 0.91 * z, 0, 1) ** 60
    floor_light = 0.18 * np.clip(y, 0, 1) * (1 - z)
    light = 0.08 + 0.62 * diffuse + 0.55 * gloss + floor_light
    shade = np.clip(light * BALL_COLOURS + dither(light.shape), 0, BALL_COLOURS - 1)
    ball: Picture = np.where(inside, first + shade, 0).astype(np.uint8)
    return ball


def _scene(height: int) -> Picture:
    """Evening sky with a sun, over a chequered floor that fades towards the horizon."""
    horizon = HORIZON * height // HEIGHT
    y, x = np.mgrid[0:height, 0:WIDTH].astype(np.float64)
    mixed = dither((height, WIDTH))
    scene = SKY + np.clip(y / horizon * SKY_COLOURS + 2 * mixed, 0, SKY_COLOURS - 1)
    away = np.hypot(x - 232, (y - horizon + 14) * 1.2)
    sun = SUN + np.clip((y - horizon + 52) / 4.4 + mixed, 0, SUN_COLOURS - 1)
    slits = (horizon - y < 30) & (np.floor((horizon - y) / 5) * 5 + 1.6 > horizon - y)
    scene = np.where((away < 44) & ~slits, sun, scene)
    # One unit of depth lies 40 rows below the horizon.
    depth = 40 / np.maximum(y - horizon + 0.5, 0.5)
    column = np.floor((x - WIDTH / 2) * depth / 42)
    light = (column + np.floor(4 * depth)).astype(np.int64) & 1
    near = np.maximum(y - horizon, 0) / (height - horizon)
    level = np.clip(near**0.75 * 27 - 3 + mixed, 0, FLOOR_COLOURS - 1)
    floor = np.where(light, LIGHT, DARK) + level
    picture: Picture = np.where(y < horizon, scene, floor).astype(np.uint8)
    return picture


def _palette() -> NDArray[np.float64]:
    """(n, 3) channels, from colour `SKY` on."""
    parts = [
        ramp("08081e 141440 3a1e66 7a2a78 c84a70 f08858 ffc878", SKY_COLOURS),
        ramp("c87868 a89098 c8c8e0 e8e8ff", FLOOR_COLOURS),
        ramp("c87868 704868 302858 101038", FLOOR_COLOURS),
        ramp("fff0a0 ffc850 ff7050 e03878", SUN_COLOURS),
    ]
    parts += [ramp(f"100818 {hue} {hue} ffffff", BALL_COLOURS) for hue in HUES]
    return np.concatenate(parts)


def _shaded() -> NDArray[np.uint8]:
    """Each colour's colour in a shadow: light squares get dark, and dark ones darker."""
    table = np.arange(256, dtype=np.uint8)
    level = np.arange(FLOOR_COLOURS)
    table[LIGHT + level] = DARK + (level + 8) * 2 // 3
    table[DARK + level] = DARK + (level + 3 * FLOOR_COLOURS) // 4
    return table


def _shadow() -> NDArray[np.bool_]:
    y, x = np.mgrid[0:SHADOW_HEIGHT, 0:BALL_WIDTH].astype(np.float64)
    x = (x + 0.5) / (BALL_WIDTH / 2) - 1
    y = (y + 0.5) / (SHADOW_HEIGHT / 2) - 1
    inside: NDArray[np.bool_] = x * x + y * y < 0.9
    return inside


_SHADED, _SHADOW = _shaded(), _shadow()
