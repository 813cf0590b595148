"""Colours of the terminal: 0x00RRGGBB to one that it has, and SGR, which selects it.

A `Colour` is a number: 0 to 15 the ANSI colours, whose look is the user's; `INDEXED` + 0 to 255
xterm's palette; `DIRECT` + 0xRRGGBB. What the VGA powers on with are the sixteen ANSI colours, in
another order; others become what the terminal has that is nearest.

Source: ECMA-48 8.3.117 (SGR), ISO 8613-6 (38 and 48), xterm's 256colres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Colour: TypeAlias = int

BLACK, WHITE = 0, 7
INDEXED, DIRECT = 1 << 8, 1 << 24

#: The sixteen colours that a VGA powers on with, by ANSI number: red is 1 there, and blue is 4.
STANDARD = (
    0x000000, 0xAA0000, 0x00AA00, 0xAA5500, 0x0000AA, 0xAA00AA, 0x00AAAA, 0xAAAAAA,
    0x555555, 0xFF5555, 0x55FF55, 0xFFFF55, 0x5555FF, 0xFF55FF, 0x55FFFF, 0xFFFFFF,
)  # fmt: skip
_ANSI_OF = {rgb: number for number, rgb in enumerate(STANDARD)}
#: Levels of red, green and blue in xterm's colours 16 to 231; 232 to 255 are greys.
_CUBE = (0, 95, 135, 175, 215, 255)
_XTERM = [r << 16 | g << 8 | b for r in _CUBE for g in _CUBE for b in _CUBE] + [
    grey << 16 | grey << 8 | grey for grey in range(8, 248, 10)
]
#: The first of them.
_XTERM_FIRST = 16
#: Flags of a glyph, above its code point, and what switches them on and off.
BLINK, UNDERLINE = 1 << 24, 1 << 25
_FLAGS = ((BLINK, 5, 25), (UNDERLINE, 4, 24))


class Depth(IntEnum):
    """How many colours the terminal has."""

    ANSI = 16
    XTERM = 256
    DIRECT = 1 << 24


def depth_of(environment: Mapping[str, str]) -> Depth:
    """What the environment says of the terminal.

    >>> depth_of({"TERM": "xterm-256color"}).name, depth_of({"COLORTERM": "truecolor"}).name
    ('XTERM', 'DIRECT')
    """
    term = environment.get("TERM", "")
    if environment.get("COLORTERM") in ("truecolor", "24bit") or term.endswith("-direct"):
        return Depth.DIRECT
    return Depth.XTERM if "256color" in term or term == "xterm-kitty" else Depth.ANSI


@lru_cache(maxsize=4096)
def nearest(rgb: int, depth: Depth) -> Colour:
    """The colour of the terminal that is nearest to 0x00RRGGBB; a VGA's own is itself.

    >>> nearest(0x0000AA, Depth.DIRECT), nearest(0x0000AB, Depth.ANSI)
    (4, 4)
    """
    if rgb in _ANSI_OF:
        return _ANSI_OF[rgb]
    if depth is Depth.DIRECT:
        return DIRECT | rgb
    return int(nearest_all(np.array([rgb]), depth)[0])


def nearest_all(rgb: NDArray[np.int_], depth: Depth) -> NDArray[np.uint32]:
    """The colours of a terminal without others that are nearest to (n,) 0x00RRGGBB."""
    known, first = (STANDARD, 0) if depth is Depth.ANSI else (_XTERM, INDEXED + _XTERM_FIRST)
    apart = _channels(rgb)[:, None] - _channels(np.array(known))
    found: NDArray[np.uint32] = ((apart * apart).sum(axis=2).argmin(axis=1) + first).astype("u4")
    return found


def _channels(colours: NDArray[np.int_]) -> NDArray[np.int32]:
    channels: NDArray[np.int32] = (colours[:, None] >> np.array([16, 8, 0]) & 0xFF).astype("i4")
    return channels


def sgr(old: Sequence[int], new: Sequence[int]) -> str:
    r"""What makes a pen of style `old` (flags, fore, back) write in `new`, another one.

    >>> sgr((0, 7, 0), (0, 15, 0)), sgr((0, 7, 0), (BLINK, 7, 4)), sgr((0, 7, 0), (0, 256, 7))
    ('\x1b[97m', '\x1b[5;44m', '\x1b[38;5;0;47m')
    """
    (flags, fore, back), (new_flags, new_fore, new_back) = old, new
    codes = []
    if flags != new_flags:
        codes = [
            str(on if new_flags & flag else off)
            for flag, on, off in _FLAGS
            if flags < 0 or (flags ^ new_flags) & flag
        ]
    if fore != new_fore:
        codes.append(_code(new_fore, 30))
    if back != new_back:
        codes.append(_code(new_back, 40))
    return f"\x1b[{';'.join(codes)}m"


@lru_cache(maxsize=1 << 14)
def _code(colour: Colour, base: int) -> str:
    if colour < 8:
        return str(base + colour)
    if colour < 16:
        return str(base + 60 + colour - 8)
    if colour < DIRECT:
        return f"{base + 8};5;{colour - INDEXED}"
    return f"{base + 8};2;{colour >> 16 & 0xFF};{colour >> 8 & 0xFF};{colour & 0xFF}"
