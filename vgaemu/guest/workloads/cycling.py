"""A waterfall by night that runs by palette cycling: ranges of colours turn, the picture is still.

Programs of the time drew such a picture once and then moved eight or sixteen DAC entries by one:
water falls, ripples spread, a fire flickers, stars twinkle, and no byte of VRAM is stored. Each
range turns at a pace of its own. Mode 13h.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.art import Floats, dither, noise, ramp, ridge
from vgaemu.guest.canvas import Canvas
from vgaemu.guest.workload import Guest, Slices, endless

WIDTH, HEIGHT = 320, 200
#: Rows of the far shore; pixels of mode 13h are 5:6.
SHORE, PIXEL_ASPECT = 134, 1.2
MOON = (248, 36, 15)
FALL, FALL_TOP = 150, 66
FIRE = (52, 178)


@dataclass(frozen=True)
class Range:
    """Neighbouring colours; those with a pace turn by one every so many frames."""

    first: int
    colours: Floats
    #: Frames a step; 0 stands still. Negative turns the other way.
    pace: int = 0

    @property
    def count(self) -> int:
        """How many colours."""
        return len(self.colours)

    def at(self, level: Floats | float) -> Floats:
        """Colour numbers for levels of 0..1."""
        step = np.floor(np.asarray(level) * self.count)
        numbers: Floats = self.first + np.clip(step, 0, self.count - 1)
        return numbers

    def turned(self, phase: Floats) -> Floats:
        """Colour numbers for phases, in colours; they wrap."""
        turned: Floats = self.first + np.floor(phase) % self.count
        return turned


def _ranges() -> dict[str, Range]:
    water = "3a6a9c 5c96c4 a8d8f0 f4fcff d0ecf8 88bcdc 4c82b4 305c90 3a6ca0 74a8d0 b8e0f4 6ca0c8"
    glitter = ramp("0c1838 101e44 14264c 6c84a8 f8f4d8 8c9cb0 182c54 101e44", 16)
    stars = ramp("303c68 303c68 485888 c8d4f4 ffffff c8d4f4 485888 303c68", 16)
    fire = "fff8c0 ffe070 ffb030 ff8018 e85010 b83010 f89020 ffd050"
    fireflies = ramp("0a1420 0a1420 0a1420 0a1420 304018 a8d048 f0ffa0 587020", 16)
    parts: dict[str, tuple[Floats, int]] = {
        "sky": (ramp("03040f 070a20 0e1436 182450 26386c 3a5488", 32), 0),
        "stars": (stars, 7),
        "moon": (ramp("b8b49c dcd8bc fcf8e0", 8), 0),
        "far": (ramp("182448 1c2c54 263a66 34507c", 12), 0),
        "rock": (ramp("04060c 0a0e18 141c2a 223040 34465a 4c6278", 32), 0),
        "fall": (ramp(f"{water} 3a6a9c", 25)[:24], -2),
        "mist": (ramp("1c3050 385478 6c8cac b4d0e4", 12), 0),
        "pool": (ramp("0a1634 0c1c40 10244c 16305c 1e4070 16305c 10244c 0c1c40 0a1634", 24), -5),
        "glitter": (glitter, 4),
        "trees": (ramp("010206 03060c 060c14 0a141c", 12), 0),
        "ground": (ramp("05070c 120d0c 2c1a10 54300f 8c5414", 20), 0),
        "fire": (ramp(fire + " fff8c0", 17)[:16], 2),
        "fireflies": (fireflies, 6),
    }
    ranges, first = {}, 16
    for name, (colours, pace) in parts.items():
        ranges[name] = Range(first, colours, pace)
        first += len(colours)
    assert first <= 256
    return ranges


@endless
def workload(guest: Guest) -> Slices:
    """Draw once; then only the palette moves."""
    guest.set_mode(0x13)
    canvas, ranges = guest.canvas, _ranges()
    for part in ranges.values():
        canvas.set_palette(part.colours, part.first)
    canvas.blit(0, 0, _picture(guest, ranges))
    t = 0
    while True:
        yield
        t += 1
        for part in ranges.values():
            if part.pace and t % abs(part.pace) == 0:
                steps = t // part.pace
                canvas.set_palette(np.roll(part.colours, -steps, axis=0), part.first)
        _flicker(canvas, guest, ranges["ground"])


def _flicker(canvas: Canvas, guest: Guest, ground: Range) -> None:
    """What the fire lights up trembles with it."""
    light = guest.random.gauss(0.9, 0.07)
    canvas.set_palette(np.clip(ground.colours * light, 0, 255), ground.first)


def _picture(guest: Guest, ranges: dict[str, Range]) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    scene = np.zeros((HEIGHT, WIDTH))
    layers: tuple[Callable[..., None], ...] = (
        _sky, _mountains, _cliff, _water, _fall, _bank, _pines, _fire, _fireflies,
    )  # fmt: skip
    for layer in layers:
        layer(guest, ranges, scene, x, y)
    return scene.astype(np.uint8)


def _sky(guest: Guest, ranges: dict[str, Range], scene: Floats, x: Floats, y: Floats) -> None:
    mx, my, radius = MOON
    away = np.hypot(x - mx, (y - my) * PIXEL_ASPECT)
    halo = 0.5 * np.exp(-away / 34)
    cloud = noise(guest.random, HEIGHT, WIDTH, 70, 4)
    cloud = np.clip((cloud - 0.5) * 3, 0, 1) * (0.12 + 0.5 * np.exp(-away / 80))
    level = 0.08 + 0.62 * y / SHORE + halo + cloud + dither(scene.shape) / 32
    scene[:] = ranges["sky"].at(level)
    for _ in range(150):
        sx, sy = guest.random.randrange(WIDTH), guest.random.randrange(90)
        if away[sy, sx] > radius + 16:
            scene[sy, sx] = ranges["stars"].first + guest.random.randrange(16)
    spots = noise(guest.random, HEIGHT, WIDTH, 9, 2)
    disc = away < radius
    scene[disc] = ranges["moon"].at(1.25 - 0.75 * spots)[disc]


def _mountains(guest: Guest, ranges: dict[str, Range], scene: Floats, x: Floats, y: Floats) -> None:
    for height, base, cell, light in ((64, 118, 90, 0.75), (46, 126, 60, 0.25)):
        top = base - height * ridge(guest.random, WIDTH, cell, 5)
        slope = np.gradient(top)
        rough = noise(guest.random, HEIGHT, WIDTH, 14, 3) - 0.5
        level = light + 0.14 * np.clip(-slope, -1, 1)[None, :] + 0.3 * rough
        level += 0.25 * (y - base + height) / height - 0.2 + dither(scene.shape) / 12
        inside = y >= top
        scene[inside] = ranges["far"].at(level)[inside]


def _cliff(guest: Guest, ranges: dict[str, Range], scene: Floats, x: Floats, y: Floats) -> None:
    """Rock to both sides of the fall, highest there."""
    distance = np.abs(np.arange(WIDTH) - FALL)
    top = FALL_TOP - 6 + (np.maximum(distance - 20, 0) / 118) ** 1.5 * 60
    top += 22 * (ridge(guest.random, WIDTH, 26, 4) - 0.5)
    top[distance < 17] = FALL_TOP - 1
    blocks = noise(guest.random, HEIGHT, WIDTH, 30, 2)
    rough = noise(guest.random, HEIGHT, WIDTH, 11, 4)
    dy, dx = np.gradient(rough)
    step = np.abs((blocks * 9) % 1 - 0.5)  # ledges
    level = 0.40 + 1.9 * (dx - 1.1 * dy) + 0.35 * (rough - 0.5) + 0.28 * (step - 0.25)
    level += 0.30 * np.exp(-np.abs(x - FALL) / 40)  # the water lights up the wall
    level += 0.25 * np.exp(-(y - top) / 2.5) - 0.22 * (y - top) / 70
    level += dither(scene.shape) / 24
    inside = (y >= top) & (y < SHORE + 2)
    scene[inside] = ranges["rock"].at(level)[inside]


def _water(guest: Guest, ranges: dict[str, Range], scene: Floats, x: Floats, y: Floats) -> None:
    below = y - SHORE
    inside = below >= 0
    ripples = np.hypot((x - FALL) / 2.6, below * 1.1 + 3)
    ripples = 44 * np.log(ripples + 4) + 9 * noise(guest.random, HEIGHT, WIDTH, 24, 2)
    scene[inside] = ranges["pool"].turned(ripples)[inside]
    mx = MOON[0]
    spread = 7 + below * 0.22
    wave = noise(guest.random, HEIGHT * 5, WIDTH, 9, 2)[::5]
    near = np.exp(-(((x - mx) / spread) ** 2))
    shine = inside & (near * (0.4 + wave) > 0.42) & (below > 1)
    lane = noise(guest.random, HEIGHT * 5, WIDTH, 12, 2)[::5] * 90 + y * 3
    scene[shine] = ranges["glitter"].turned(lane)[shine]


def _fall(guest: Guest, ranges: dict[str, Range], scene: Floats, x: Floats, y: Floats) -> None:
    drop = np.maximum(y - FALL_TOP, 0)
    part = drop / (SHORE - FALL_TOP)
    edge = 3 * noise(guest.random, HEIGHT, WIDTH, 6, 2) - 1.5
    half = 13 + 7 * part + edge
    strands = noise(guest.random, 1, WIDTH, 5, 3)[0] * 60 + noise(guest.random, HEIGHT, WIDTH, 20)
    # Water falls faster and faster: the bands of one colour get longer.
    phase = 13 * np.sqrt(drop + 4) + strands
    lip = FALL_TOP - 3 + 3 * ((x - FALL) / 13) ** 2
    inside = (np.abs(x - FALL) < half) & (y >= lip) & (y < SHORE + 3)
    scene[inside] = ranges["fall"].turned(phase)[inside]
    spray = np.exp(-(((x - FALL) / 34) ** 2) - ((y - SHORE - 1) / 9.0) ** 2)
    grain = noise(guest.random, HEIGHT, WIDTH, 4, 2)
    cloud = spray * (0.7 + 0.8 * grain) + 0.5 * dither(scene.shape)
    mist = cloud > 0.62
    scene[mist] = ranges["mist"].at(spray * 0.9 + 0.35 * (grain - 0.3))[mist]


def _bank(guest: Guest, ranges: dict[str, Range], scene: Floats, x: Floats, y: Floats) -> None:
    """The near shore, lit by the fire."""
    fx, fy = FIRE
    top = 184 - 26 * np.exp(-(((np.arange(WIDTH) - 40) / 66) ** 2))
    top -= 14 * np.exp(-(((np.arange(WIDTH) - 330) / 60) ** 2))
    top += 5 * (ridge(guest.random, WIDTH, 20, 4) - 0.5)
    away = np.hypot((x - fx) * 0.7, (y - fy - 6) * PIXEL_ASPECT * 1.5)
    grain = noise(guest.random, HEIGHT, WIDTH, 5, 3) - 0.5
    level = 1.05 * np.exp(-away / 20) * (1 + 0.9 * grain) + 0.12 * grain + 0.06
    level += dither(scene.shape) / 20
    inside = y >= top
    scene[inside] = ranges["ground"].at(level)[inside]


def _pines(guest: Guest, ranges: dict[str, Range], scene: Floats, x: Floats, y: Floats) -> None:
    trees = [(6, 186, 112), (26, 172, 74), (300, 190, 124), (284, 186, 78), (318, 186, 96)]
    trees += [(270, 184, 44), (-4, 176, 90)]
    for cx, foot, height in sorted(trees, key=lambda tree: tree[2]):
        up = (foot - y) / height
        # Boughs: each tier wide at its lower edge.
        tier = (up * 9) % 1
        half = (1 - up) * height * 0.17 * (1.15 - 0.65 * tier) + 0.6
        rough = 3.2 * noise(guest.random, HEIGHT, WIDTH, 3, 2) - 1.6
        inside = (up > 0.06) & (up < 1) & (np.abs(x - cx) < half + rough)
        inside |= (up >= -0.02) & (up <= 0.1) & (np.abs(x - cx) < 2)
        lit = 0.3 + 0.5 * (x - cx) / np.maximum(half, 1) * (0.3 if cx > 200 else 0.8)
        lit += 0.5 * (0.5 - tier) + dither(scene.shape) / 6
        scene[inside] = ranges["trees"].at(lit)[inside]


def _fire(guest: Guest, ranges: dict[str, Range], scene: Floats, x: Floats, y: Floats) -> None:
    fx, fy = FIRE
    for slope in (-0.35, 0.35):
        log = (np.abs(y - fy - slope * (x - fx)) < 1.2) & (np.abs(x - fx) < 9)
        scene[log] = ranges["ground"].at(0.42)
    up = (fy - y) / 24
    sway = 2.2 * np.sin(up * 5)
    tongues = noise(guest.random, HEIGHT, WIDTH, 4, 2)
    half = 7.5 * np.clip(1 - up, 0, 1) ** 0.8 * np.clip(up * 6 + 0.5, 0, 1)
    flame = (up > -0.05) & (up < 1) & (np.abs(x - fx - sway) < half * (0.55 + 0.8 * tongues))
    heart = np.hypot((x - fx - sway) / 1.0, (fy - 5 - y) * 0.55)
    phase = heart * 1.5 + 6 * tongues - 5 * up
    scene[flame] = ranges["fire"].turned(phase)[flame]
    for _ in range(14):  # sparks
        sx = fx + round(guest.random.gauss(0, 7))
        sy = fy - guest.random.randrange(20, 54)
        scene[sy, sx] = ranges["fire"].first + guest.random.randrange(16)


def _fireflies(guest: Guest, ranges: dict[str, Range], scene: Floats, x: Floats, y: Floats) -> None:
    for _ in range(26):
        fx, fy = guest.random.randrange(170, WIDTH), guest.random.randrange(140, 190)
        scene[fy, fx] = ranges["fireflies"].first + guest.random.randrange(16)
