"""Blanking: what of the picture the CRTC keeps black, and how far the border reaches around it.

Emulated: horizontal and vertical blanking inside the picture, of which demos and games make a
letterbox. It begins after a count (CR02, CR15) and ends with the next one whose low bits are those
of its end: 6 bits of CR03 and CR05, 7 of CR16. Past the total it goes on at the beginning of the
next line, or of the next frame. The border lies between picture and blanking, or, where nothing is
blanked beside the picture, up to the retrace. Not emulated: skew.

Sources: 86Box issues 7534 (seen on some 50 cards) and 5651 (the border's size, measured on
hardware): 8 pixels at the sides of IBM's modes, 7 or 8 lines above and below.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

from vgaemu.vga.rect import Rect
from vgaemu.vga.registers import CRTC_PLACES

#: Half-open ranges, ascending.
Ranges: TypeAlias = list[tuple[int, int]]


class Margins(NamedTuple):
    """How far the border reaches around the picture, in pixels and rows."""

    left: int
    right: int
    top: int
    bottom: int


def counts_until(start: int, end: int, bits: int, total: int) -> int:
    """How many counts after `start` the one comes whose low bits are `end`; it runs round in total.

    Blanking covers so many counts after its start, the last one included; a retrace as many from
    its start on. 0: it never begins. Where no count has those bits, it is all of them.

    >>> counts_until(80, 0x22, 0x3F, 100), counts_until(406, 0x39, 0x7F, 449)
    (18, 35)
    """
    if start >= total:
        return 0
    after = (n for n in range(1, total + 1) if (start + n) % total & bits == end)
    return next(after, total)


def ranges_of(first: int, count: int, total: int) -> Ranges:
    """So many counts from one on as half-open ranges of those from 0 to `total`.

    >>> ranges_of(80, 18, 100), ranges_of(90, 18, 100)
    ([(80, 98)], [(0, 8), (90, 100)])
    """
    if not 0 < count < total:
        return [(0, total)] if count else []
    end = first + count
    return [(a, b) for a, b in ((0, end - total), (first, min(end, total))) if a < b]


class _Counter(NamedTuple):
    """One of the CRTC's two counters: what it counts to, and what it is compared with."""

    total: int
    displayed: int
    blank_start: int
    blank_end: int
    blank_bits: int
    retrace_start: int
    retrace_end: int
    retrace_bits: int

    @property
    def blanked(self) -> Ranges:
        """Counts that are black."""
        count = counts_until(self.blank_start, self.blank_end, self.blank_bits, self.total)
        return ranges_of(self.blank_start + 1, count, self.total)

    @property
    def blanked_displayed(self) -> Ranges:
        """Those of the picture."""
        displayed = self.displayed
        return [(a, min(b, displayed)) for a, b in self.blanked if a < displayed]

    @property
    def border(self) -> tuple[int, int]:
        """How many counts before the picture, and after it, are the border's."""
        count = counts_until(self.retrace_start, self.retrace_end, self.retrace_bits, self.total)
        retrace = ranges_of(self.retrace_start, count, self.total)
        displayed = min(self.displayed, self.total)
        for hides in (self.blanked, retrace):
            hidden = [(max(a, displayed), b) for a, b in hides if b > displayed]
            if hidden:
                return self.total - hidden[-1][1], hidden[0][0] - displayed
        return 0, self.total - displayed


def blanked_parts(crtc: bytes | bytearray, character_pixels: float) -> tuple[Rect, ...]:
    """What of the picture is black, in pixels of a row and scan lines; they may overlap."""
    return _blanked_parts(*_timing_registers(crtc), character_pixels)


def margins_of(crtc: bytes | bytearray, character_pixels: float) -> Margins:
    """How far the border reaches around the picture, in pixels of a row and scan lines."""
    return _margins_of(*_timing_registers(crtc), character_pixels)


def _timing_registers(crtc: bytes | bytearray) -> tuple[bytes, bytes]:
    """CR00-CR09 and CR10-CR16: what moves the picture is not among them."""
    return bytes(crtc[:0x0A]), bytes(crtc[0x10:0x17])


@lru_cache(maxsize=64)
def _blanked_parts(low: bytes, high: bytes, character_pixels: float) -> tuple[Rect, ...]:
    characters, lines = _counters(low, high)
    width = int(characters.displayed * character_pixels)
    down = [Rect(0, top, width, bottom - top) for top, bottom in lines.blanked_displayed]
    pixels = [
        (int(first * character_pixels), int(end * character_pixels))
        for first, end in characters.blanked_displayed
    ]
    across = [Rect(first, 0, end - first, lines.displayed) for first, end in pixels]
    return (*down, *across)


@lru_cache(maxsize=64)
def _margins_of(low: bytes, high: bytes, character_pixels: float) -> Margins:
    characters, lines = _counters(low, high)
    left, right = characters.border
    return Margins(int(left * character_pixels), int(right * character_pixels), *lines.border)


def _counters(low: bytes, high: bytes) -> tuple[_Counter, _Counter]:
    """Those of characters, and of scan lines."""
    crtc = low.ljust(0x10, b"\0") + high

    def number(name: str) -> int:
        return CRTC_PLACES[name].read(crtc)

    # fmt: off
    return (
        _Counter(
            crtc[0] + 5, crtc[1] + 1,
            crtc[2], number("hblank_end"), 0x3F,
            crtc[4], number("hretrace_end"), 0x1F,
        ),
        _Counter(
            number("vertical_total") + 2, number("vertical_display_end") + 1,
            number("vertical_blank_start"), crtc[0x16] & 0x7F, 0x7F,
            number("vertical_retrace_start"), number("vretrace_end"), 0x0F,
        ),
    )
    # fmt: on
