"""A sea chart panned smoothly by registers alone, above a status bar that stands still.

The chart is 640 x 368 pixels, larger than the screen, and is stored once. What is shown follows
from start address (rows and groups of four pixels), pel panning (the pixels between) and offset
(its width). Line compare starts the picture anew at address 0 for the bar, which attribute mode
control bit 5 keeps from being panned. Only the bar's figures are ever stored again. 320x240,
unchained.
"""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.art import Floats, dither, noise, ramp
from vgaemu.guest.surface import UnchainedSurface
from vgaemu.guest.workload import Guest, Slices, endless
from vgaemu.vga.font import text_dots

WIDTH, HEIGHT = 320, 240
BAR = 40
VIEW_HEIGHT = HEIGHT - BAR
#: The chart lies behind the bar's rows; its width is that of all rows of memory.
CHART_WIDTH, CHART_HEIGHT = 640, 368
PITCH = CHART_WIDTH // 4
#: The bar's miniature of the chart: its place, and how many pixels one of it stands for.
MINI_X, MINI_Y, MINI_SCALE = 252, 4, 11.5
MINI_WIDTH, MINI_HEIGHT = int(CHART_WIDTH / MINI_SCALE), int(CHART_HEIGHT / MINI_SCALE)

Picture = NDArray[np.uint8]

SEA, SEA_COLOURS = 16, 48
SHORE, SHORE_COLOURS = 64, 8
LAND, LAND_SHADES = 72, 8
SNOW, SNOW_COLOURS = 168, 16
FOREST, FOREST_COLOURS = 184, 12
INK, PAPER, PAPER_COLOURS = 200, 201, 16
RED = 220
#: Colours by height: beach, meadow, forest, heath, rock. Each has `LAND_SHADES` lights.
HEIGHTS = "e8d8a0 c8c880 98b458 78a048 689444 6c8c48 80904c 988c54 a08458 947454 8c7864 988c80"
#: Height of the land above which there is snow, and forests end (0 the sea, 1 the highest peak).
SNOW_LINE, TREE_LINE = 0.70, 0.42


@endless
def workload(guest: Guest) -> Slices:
    """Store the chart, then let the view wander."""
    guest.set_mode("320x240 unchained")
    guest.canvas.set_palette(_palette(), SEA)
    surface = UnchainedSurface(guest, 0xA0000, CHART_WIDTH, BAR + CHART_HEIGHT, PITCH)
    chart = _chart(guest.random)
    surface.put(0, BAR, chart)
    bar = _bar(chart)
    surface.put(0, 0, bar)
    _split(guest)
    guest.write_crtc(0x13, PITCH // 2)
    t = 0
    while True:
        x, y = _course(t)
        _pan(guest, x, y)
        _figures(surface, bar, x, y)
        t += 1
        yield


def _course(t: int) -> tuple[int, int]:
    """Upper left corner of the view: a slow figure that comes everywhere."""
    x = 0.5 + 0.5 * np.sin(t / 190 - 1.2)
    y = 0.5 + 0.5 * np.sin(t / 131 + 0.3)
    return round(x * (CHART_WIDTH - WIDTH)), round(y * (CHART_HEIGHT - VIEW_HEIGHT))


def _split(guest: Guest) -> None:
    """The last scan line of the view; rows are two scan lines high."""
    guest.ports["line_compare"] = 2 * VIEW_HEIGHT - 1
    guest.ports["split_pan_off"] = 1


def _pan(guest: Guest, x: int, y: int) -> None:
    """Start address and pel panning, outside the retrace that would take only one of them."""
    start = (BAR + y) * PITCH + x // 4
    while guest.inb(0x3DA) & 8:
        pass
    guest.ports["start_address"] = start
    guest.inb(0x3DA)
    guest.outb(0x3C0, 0x33)
    guest.outb(0x3C0, x % 4 * 2)  # counted in half pixels


def _bar(chart: Picture) -> Picture:
    y, x = np.mgrid[0:BAR, 0:WIDTH].astype(np.float64)
    level = 0.62 - 0.010 * y + dither((BAR, WIDTH)) / 10
    bar: Picture = (PAPER + np.clip(level, 0, 0.99) * PAPER_COLOURS).astype(np.uint8)
    bar[0], bar[1], bar[-1] = INK, PAPER + 15, PAPER + 3
    bar[MINI_Y - 1 : MINI_Y + MINI_HEIGHT + 1, MINI_X - 1 : MINI_X + MINI_WIDTH + 1] = INK
    bar[MINI_Y : MINI_Y + MINI_HEIGHT, MINI_X : MINI_X + MINI_WIDTH] = _shrunk(chart)
    # A compass rose: long points for the four winds, short ones between.
    cx, cy = 22, 20
    dx, dy = x - cx, y - cy
    angle = np.arctan2(dy, dx)
    away = np.hypot(dx, dy)
    for turn, long in ((np.pi / 4, 10), (0.0, 16)):
        sector = (angle - turn + np.pi / 4) % (np.pi / 2) - np.pi / 4
        # A point is a triangle from the middle; one half of it is dark.
        inside = (
            np.abs(np.tan(sector)) * away * np.cos(sector) < (long - away * np.cos(sector)) * 0.28
        )
        inside &= away * np.cos(sector) < long
        bar[inside & (sector >= 0)] = INK
        bar[inside & (sector < 0)] = PAPER + 15 if long > 10 else PAPER + 6
    bar[np.abs(away - 18) < 0.5] = INK
    bar[1:5, 20:25] = PAPER + 10
    for row, columns in ((1, (20, 24)), (2, (20, 21, 24)), (3, (20, 22, 24)), (4, (20, 23, 24))):
        bar[row, list(columns)] = RED
    _write(bar, 150, 8, "Isles of", INK)
    _write(bar, 150, 20, "Line Compare", RED)
    return bar


def _shrunk(chart: Picture) -> Picture:
    rows = (np.arange(MINI_HEIGHT) * MINI_SCALE + MINI_SCALE / 2).astype(np.intp)
    columns = (np.arange(MINI_WIDTH) * MINI_SCALE + MINI_SCALE / 2).astype(np.intp)
    small: Picture = chart[rows][:, columns]
    return small


def _figures(surface: UnchainedSurface, bar: Picture, x: int, y: int) -> None:
    """Where the view is: in figures, and as a frame on the miniature."""
    now = bar.copy()
    # Half a minute of arc a pixel.
    north, west = 521 - (y + VIEW_HEIGHT / 2) / 2, 3680 - (x + WIDTH / 2) / 2
    _write(now, 52, 8, f"{int(north / 60):2}\xb0{int(north % 60):02}'N", INK)
    _write(now, 52, 20, f"{int(west / 60):2}\xb0{int(west % 60):02}'W", INK)
    left, top = MINI_X + int(x / MINI_SCALE), MINI_Y + int(y / MINI_SCALE)
    right, bottom = left + int(WIDTH / MINI_SCALE), top + int(VIEW_HEIGHT / MINI_SCALE)
    now[top, left : right + 1] = now[bottom, left : right + 1] = RED
    now[top : bottom + 1, left] = now[top : bottom + 1, right] = RED
    for first, end in ((52, 116), (MINI_X, MINI_X + MINI_WIDTH)):
        surface.put(first, MINI_Y, now[MINI_Y : MINI_Y + MINI_HEIGHT, first:end])


def _write(
    picture: Picture, x: int, y: int, text: str, colour: int, halo: int | None = None
) -> None:
    """Write into a picture; a halo keeps letters readable on any ground."""
    dots = text_dots(text, 8)
    height, width = dots.shape
    if halo is not None:
        for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            picture[y + dy : y + dy + height, x + dx : x + dx + width][dots] = halo
    picture[y : y + height, x : x + width][dots] = colour


#: Islands: middle, size, and how high.
ISLANDS = (
    (150, 120, 118, 1.0), (420, 250, 140, 1.0), (520, 70, 62, 0.6), (300, 60, 40, 0.45),
    (70, 300, 60, 0.5), (245, 315, 34, 0.4), (600, 330, 40, 0.4), (610, 170, 30, 0.35),
)  # fmt: skip
NAMES = (
    (112, 190, "Planar Island"), (376, 180, "Great Chain-4"), (470, 116, "Latch Isle"),
    (262, 92, "Pel"), (34, 334, "Odd Isle"), (212, 338, "Even"), (520, 346, "Retrace Rocks"),
    (262, 150, "Sound of Overscan"), (20, 20, "Outer Bank"), (560, 204, "Cape Mask"),
)  # fmt: skip

#: Corners of a ship's course; it is drawn at sea only.
COURSE = ((170, 359), (200, 290), (250, 216), (288, 130), (356, 74), (436, 16), (631, 14))


def _chart(random: Random) -> Picture:
    shape = CHART_HEIGHT, CHART_WIDTH
    y, x = np.mgrid[0:CHART_HEIGHT, 0:CHART_WIDTH].astype(np.float64)
    shift_x = 120 * (noise(random, CHART_HEIGHT, CHART_WIDTH, 80, 5) - 0.5)
    shift_y = 120 * (noise(random, CHART_HEIGHT, CHART_WIDTH, 80, 5) - 0.5)
    rise = np.full(shape, -1.0)
    for cx, cy, size, high in ISLANDS:
        away = np.hypot(x + shift_x - cx, y + shift_y - cy) / size
        rise = np.maximum(rise, high * (1 - away**1.3))
    rough = noise(random, CHART_HEIGHT, CHART_WIDTH, 90, 6) - 0.5
    land = rise * 0.80 + 0.75 * rough
    land -= 0.06
    height = np.where(land > 0, land / land.max(), land)
    chart = _sea(random, height)
    _ground(random, chart, height)
    _marks(chart, height)
    return chart


def _sea(random: Random, height: Floats) -> Picture:
    """Lighter towards the shore, with a line around it, as on a chart."""
    depth = np.clip(-height * 1.25, 0, 1) ** 0.6
    swell = noise(random, CHART_HEIGHT * 3, CHART_WIDTH, 20, 3)[::3] - 0.5
    level = 0.98 - depth + 0.10 * swell
    sea = SEA + np.clip(level * SEA_COLOURS + 1.4 * dither(height.shape), 0, SEA_COLOURS - 1)
    surf = height > -0.055 + 0.02 * swell
    shore = SHORE + np.clip((height + 0.06) / 0.06 * SHORE_COLOURS, 0, SHORE_COLOURS - 1)
    return np.where(surf, shore, sea).astype(np.uint8)


def _ground(random: Random, chart: Picture, height: Floats) -> None:
    """Colours by height, lit from the upper left: beach, meadow, heath, rock, snow."""
    dy, dx = np.gradient(height * 60)
    light = np.clip(0.60 + 0.28 * dx + 0.34 * dy, 0.05, 1)
    fine = noise(random, CHART_HEIGHT, CHART_WIDTH, 5, 2) - 0.5
    step = np.clip((height + 0.02 * fine) / SNOW_LINE * 12, 0, 11).astype(np.intp)
    shade = np.clip(light * 8 + dither(height.shape) + fine, 0, 7).astype(np.intp)
    ground = height > 0
    chart[ground] = (LAND + LAND_SHADES * step + shade)[ground]
    snow = height + 0.05 * fine > SNOW_LINE
    level = np.clip(light * SNOW_COLOURS + dither(height.shape), 0, SNOW_COLOURS - 1)
    chart[snow] = (SNOW + level).astype(np.uint8)[snow]
    _forests(random, chart, height, light)


def _forests(random: Random, chart: Picture, height: Floats, light: Floats) -> None:
    woods = noise(random, CHART_HEIGHT, CHART_WIDTH, 46, 3)
    for _ in range(9000):
        x, y = random.randrange(3, CHART_WIDTH - 3), random.randrange(4, CHART_HEIGHT - 3)
        if not (0.045 < height[y, x] < TREE_LINE and woods[y, x] > 0.53):
            continue
        bright = light[y, x] * 7
        for dy in range(-2, 2):
            for dx in range(-1, 2):
                if abs(dx) + (dy == -2) < 2:
                    level = bright + 2.5 - 1.3 * dx - 1.5 * dy - 2
                    chart[y + dy, x + dx] = FOREST + min(max(int(level), 0), FOREST_COLOURS - 1)


def _marks(chart: Picture, height: Floats) -> None:
    """Meridians on the sea, names, a course, and a frame."""
    sea = height < -0.06
    lines = np.zeros(chart.shape, np.bool_)
    lines[20::60, :] = lines[:, 40::60] = True
    lines &= sea
    chart[lines] = np.minimum(chart[lines] + 5, SEA + SEA_COLOURS - 1)
    way = np.cumsum([0, *(np.hypot(*np.diff(np.array(COURSE), axis=0).T))])
    for at in range(int(way[-1])):
        x, y = (int(np.interp(at, way, points)) for points in zip(*COURSE, strict=True))
        if at % 12 < 7 and sea[y, x]:
            chart[y : y + 2, x : x + 2] = RED
    for x, y, name in NAMES:
        _write(chart, x, y, name, INK, PAPER + 14)
    rows, columns = np.ogrid[0:CHART_HEIGHT, 0:CHART_WIDTH]
    edge = np.minimum(
        np.minimum(rows, CHART_HEIGHT - 1 - rows), np.minimum(columns, CHART_WIDTH - 1 - columns)
    )
    along = np.where(np.minimum(rows, CHART_HEIGHT - 1 - rows) < 6, columns, rows) // 20 % 2
    chart[edge < 8] = PAPER + 13
    chart[(edge < 6) & (edge > 1)] = np.where(along, INK, PAPER + 15)[(edge < 6) & (edge > 1)]
    chart[edge == 7] = INK


def _palette() -> Floats:
    """Colours from `SEA` on."""
    ground = [
        ramp(f"{_scaled(stop, 0.38)} {stop} {_scaled(stop, 1.22)}", LAND_SHADES)
        for stop in HEIGHTS.split()
    ]
    return np.concatenate(
        [
            ramp("0c2858 103c74 185894 2c7cac 54a4bc 84c4c8", SEA_COLOURS),
            ramp("84c4c8 b0dcd4 e0f0e0 fcfcf0", SHORE_COLOURS),
            *ground,
            ramp("6478a0 a8bcd8 e4ecf8 ffffff", SNOW_COLOURS),
            ramp("0c2814 1c4420 306030 4c8040", FOREST_COLOURS),
            ramp("000000 000000 000000 000000", INK - FOREST - FOREST_COLOURS),
            ramp("241c18 241c18", 1),
            ramp("8c7048 b89868 d8bc88 f0dcb0 fcf4dc", PAPER_COLOURS),
            ramp("000000 000000", RED - PAPER - PAPER_COLOURS),
            ramp("b02020 b02020", 1),
        ]
    )


def _scaled(colour: str, by: float) -> str:
    return "".join(f"{min(round(c * by), 255):02x}" for c in bytes.fromhex(colour))
