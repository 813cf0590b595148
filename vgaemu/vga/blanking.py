"""Blanking: what of the picture the CRTC keeps black.

Emulated: horizontal and vertical blanking inside the picture, of which demos and games make a
letterbox. It begins after a count (CR02, CR15) and ends with the next one whose low bits are those
of its end: 6 bits of CR03 and CR05, 7 of CR16. Past the total it goes on at the beginning of the
next line, or of the next frame. Not emulated: skew.

Sources: 86Box issues 7534 (seen on some 50 cards) and 5651 (where it ends, measured on hardware).
"""

from __future__ import annotations

from functools import lru_cache

from vgaemu.vga.rect import Rect
from vgaemu.vga.registers import CRTC_PLACES

#: Bits of a counter that are compared with where blanking ends.
CHARACTER_BITS, LINE_BITS = 0x3F, 0x7F


def counts_blanked(start: int, end: int, bits: int, total: int) -> int:
    """How many counts after `start` are blanked, of a counter that runs round in `total`.

    The last one is the one whose low bits are `end`; where no count has those, all are blanked.

    >>> counts_blanked(80, 0x22, CHARACTER_BITS, 100), counts_blanked(406, 0x39, LINE_BITS, 449)
    (18, 35)
    """
    if start >= total:
        return 0  # it never begins
    after = (n for n in range(1, total + 1) if (start + n) % total & bits == end)
    return next(after, total)


def blanked_ranges(
    start: int, end: int, bits: int, total: int, displayed: int
) -> list[tuple[int, int]]:
    """What of the first `displayed` counts is blanked, as half-open ranges: see `counts_blanked`.

    >>> blanked_ranges(60, 0x02, CHARACTER_BITS, 100, 80)
    [(0, 3), (61, 80)]
    """
    count = counts_blanked(start, end, bits, total)
    first, end = start + 1, start + 1 + count
    ranges = [(0, total)] if count == total else [(0, end - total), (first, end)] if count else []
    return [(a, min(b, displayed)) for a, b in ranges if a < min(b, displayed)]


def blanked_parts(crtc: bytes | bytearray, character_pixels: int) -> tuple[Rect, ...]:
    """What of the picture is black, in pixels of a row and scan lines; they may overlap."""
    return _blanked_parts(bytes(crtc[:0x0A]), bytes(crtc[0x10:0x17]), character_pixels)


@lru_cache(maxsize=64)
def _blanked_parts(low: bytes, high: bytes, character_pixels: int) -> tuple[Rect, ...]:
    crtc = low.ljust(0x10, b"\0") + high

    def number(name: str) -> int:
        return CRTC_PLACES[name].read(crtc)

    columns, lines = crtc[1] + 1, number("vertical_display_end") + 1
    across = blanked_ranges(
        crtc[2], number("hblank_end"), CHARACTER_BITS, crtc[0] + 5, columns
    )  # fmt: skip
    down = blanked_ranges(
        number("vertical_blank_start"), crtc[0x16] & LINE_BITS, LINE_BITS,
        number("vertical_total") + 2, lines,
    )  # fmt: skip
    width = columns * character_pixels
    return (
        *(Rect(0, top, width, bottom - top) for top, bottom in down),
        *(Rect(a * character_pixels, 0, (b - a) * character_pixels, lines) for a, b in across),
    )
