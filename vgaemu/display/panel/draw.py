"""Drawing into an array of pixels: colours, boxes, text in the project's own font, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.panel.layout import CHAR, LINE
from vgaemu.display.report import Rect
from vgaemu.vga.codepage import to_cp437
from vgaemu.vga.font import bundled_font

Pixels = NDArray[np.uint32]

# Colours, 0x00RRGGBB.
PAPER = 0x14171C
WELL = 0x1C2027
RULE = 0x343B46
DIM = 0x808B9B
INK = 0xC8D0DB
BRIGHT = 0xFFFFFF
#: Dirty, redrawn. The outlines on the picture have the same colour.
DIRTY = 0x35C9B0
#: Clean, but inside a span and so taken along; also what asks for attention.
CLEAN = 0xE59F3C
GRAPH = 0x1B4C4A
#: The second of two curves.
SECOND = 0xF27FB2
#: The band of the 2012 patch's harvests.
BAND = 0x3A3054

#: Steps of light of a page; there is one colour for each pair (dirty, clean).
LIGHTS = 32


@lru_cache(maxsize=32)
def _inked(height: int, ink: int, paper: int) -> NDArray[np.uint32]:
    """A font in two colours: (256, height, 8)."""
    bits = np.unpackbits(bundled_font(height)[:, :, None], axis=2)
    return np.where(bits, np.uint32(ink), np.uint32(paper))


def text_strip(text: str, ink: int, paper: int, height: int) -> Pixels:
    """A line of text: (height, 8 * len(text)) uint32."""
    codes = np.frombuffer(to_cp437(text), np.uint8)
    glyphs = _inked(height, ink, paper)[codes]
    return glyphs.transpose(1, 0, 2).reshape(height, CHAR * len(codes))


def write(
    pixels: Pixels, x: int, y: int, text: str, ink: int = INK,
    *, paper: int = PAPER, height: int = LINE,
) -> int:  # fmt: skip
    """Write a line of text, 16 or 8 high, and return the x after it.

    What does not fit into the (h, w) `pixels` on the right is cut.
    """
    strip = text_strip(text[: max(0, (pixels.shape[1] - x) // CHAR)], ink, paper, height)
    pixels[y : y + height, x : x + strip.shape[1]] = strip
    return x + CHAR * len(text)


def fill(pixels: Pixels, box: Rect, colour: int) -> None:
    """Fill a box with one colour."""
    pixels[box.y : box.y + box.height, box.x : box.x + box.width] = colour


def blend(under: int, over: int, part: float) -> int:
    """A colour between two: 0 is `under`, 1 is `over`.

    >>> hex(blend(0x000000, 0xFF8040, 0.5))
    '0x804020'
    """
    pairs = zip(under.to_bytes(3), over.to_bytes(3), strict=True)
    return int.from_bytes([round(a + (b - a) * part) for a, b in pairs])


def under_the_curve(colour: int) -> int:
    """How the graph's ground looks where it is filled."""
    return GRAPH if colour == WELL else blend(GRAPH, colour, 0.45)


def duration(ns: float) -> str:
    """A time with its unit, in at most six characters.

    >>> [duration(ns) for ns in (0, 412, 12_345, 123_456, 999_600, 1_234_567, 45_000_000, 2e9)]
    ['0µs', '0.41µs', '12.3µs', '123µs', '1.00ms', '1.23ms', '45.0ms', '2.00s']
    """
    value, unit = _in_units(ns, (("µs", 1e3), ("ms", 1e6), ("s", 1e9)))
    if value < 0.005:
        return f"0{unit}"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}{unit}"


def _in_units(value: float, units: Sequence[tuple[str, float]]) -> tuple[float, str]:
    """In the first unit that leaves three digits, or the last."""
    fitting = ((value / size, unit) for unit, size in units if value < 999.5 * size)
    unit, size = units[-1]
    return next(fitting, (value / size, unit))


def percent(value: float) -> str:
    """A percentage in at most five characters.

    >>> [percent(value) for value in (0, 0.05, 12.34, 99.96, 100)]
    ['0%', '<0.1%', '12.3%', '100%', '100%']
    """
    if 0 < value < 0.1:
        return "<0.1%"
    return f"{value:.1f}%".replace("100.0", "100") if value else "0%"


def number(value: float) -> str:
    """A count in at most five characters.

    >>> [number(value) for value in (7, 65536, 123456, 1048576, 67108864, 2e11)]
    ['7', '65536', '123k', '1.0M', '67M', '200G']
    """
    if value < 100_000:
        return str(int(value))
    amount, unit = _in_units(value, (("k", 1e3), ("M", 1e6), ("G", 1e9)))
    return f"{amount:.{1 if amount < 9.95 else 0}f}{unit}"


@lru_cache(maxsize=1)
def heat_colours() -> NDArray[np.uint32]:
    """(LIGHTS, LIGHTS) uint32: a page's colour by the light of its dirty and its clean heat."""
    cold = 0x262C36
    colours = np.empty((LIGHTS, LIGHTS), np.uint32)
    for clean in range(LIGHTS):
        under = blend(cold, CLEAN, clean / (LIGHTS - 1))
        for dirty in range(LIGHTS):
            light = dirty / (LIGHTS - 1)
            colours[dirty, clean] = blend(under, DIRTY, min(1.0, 1.5 * light))
    # What was dirty a moment ago is brighter than the colour itself.
    colours[LIGHTS - 4 :] = blend(DIRTY, BRIGHT, 0.35)
    return colours
