"""The CRTC's counters: which scan line shows which row of memory.

Emulated: start address, offset, maximum scan line, double scan, preset row scan, line compare, also
where they change in mid-picture. Not emulated: what `scanout` names.

Source: IBM PS/2 Hardware Interface Technical Reference; FreeVGA.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Counters(NamedTuple):
    """What the CRTC's counters look at when a scan line ends."""

    #: The first line that ends so.
    line: int
    #: The line after which the picture starts again at address 0.
    line_compare: int
    #: CR09: scan lines a row, and each of them twice.
    row_lines: int
    double_scan: bool
    #: Addresses from row to row.
    pitch: int
    #: AR10 bit 5: a split that comes now ends the panning.
    split_pan_off: bool


@dataclass(frozen=True)
class Geometry:
    """Which scan lines show which row of memory."""

    #: Scan lines displayed, and the line after which the picture starts again at address 0.
    lines: int
    line_compare: int
    #: CR09: scan lines a row, and each of them twice.
    row_lines: int
    double_scan: bool
    preset_row: int
    #: First address (CR0C:0D + byte panning), and addresses from row to row.
    start: int
    pitch: int
    #: CR17 bits 0, 1: row scan bits that replace address bits 13 and 14.
    row_bits: int
    #: Where these change in mid-picture; the first one is what holds from the first line on.
    changes: tuple[Counters, ...] = ()


@dataclass(frozen=True)
class ScanLines:
    """One entry a scan line: which row of memory it shows."""

    #: CRTC row start (before adding the character), 0..FFFFh.
    row_start: NDArray[np.intp]
    row_scan: NDArray[np.intp]
    #: 0 above the split, 1 below; with `changes`, 1 from where a split has ended the panning.
    part: NDArray[np.intp]


@lru_cache(maxsize=64)
def scan_lines(geometry: Geometry) -> ScanLines:
    """Run the CRTC's row counters over a frame, in closed form if nothing changes on the way."""
    g = geometry
    if g.changes:
        return _counted(g)
    line = np.arange(g.lines)
    part = (line > g.line_compare).astype(np.intp)
    doubling = 1 if g.double_scan else 0
    step = line >> doubling
    # Above the split the row scan starts at the preset row; past the last line it runs on to 31.
    first = (
        g.row_lines - g.preset_row
        if g.preset_row < g.row_lines
        else (32 - g.preset_row) + g.row_lines
    )
    row = np.where(step < first, 0, (step - first) // g.row_lines + 1)
    scan = np.where(step < first, (step + g.preset_row) & 31, (step - first) % g.row_lines)
    # At the split, row start and row scan are reset; the doubling clock runs on.
    below = step - (g.line_compare + 1 >> doubling)
    row = np.where(part, below // g.row_lines, row)
    scan = np.where(part, below % g.row_lines, scan)
    base = np.where(part, 0, g.start)
    return ScanLines((base + row * g.pitch) & 0xFFFF, scan, part)


def _counted(g: Geometry) -> ScanLines:
    """Line by line, as the chip does it: equal ends a row, else the row scan counts on."""
    found = np.empty((3, g.lines), np.intp)
    row_start, scan, part, doubled = g.start, g.preset_row, 0, False
    ahead = iter(g.changes)
    now, then = next(ahead), next(ahead, None)
    for line in range(g.lines):
        found[:, line] = row_start, scan, part
        while then is not None and then.line <= line:
            now, then = then, next(ahead, None)
        repeats = now.double_scan and not doubled
        doubled = repeats
        if not repeats:
            if scan == now.row_lines - 1:
                row_start, scan = row_start + now.pitch & 0xFFFF, 0
            else:
                scan = scan + 1 & 31
        if line == now.line_compare:
            row_start = scan = 0
            part |= now.split_pan_off
    return ScanLines(*found)


@lru_cache(maxsize=64)
def uniform_repeat(geometry: Geometry, text: bool) -> int:
    """How many scan lines every row is shown for, if they all are; 1 where any differs.

    The scan lines of a text row differ, so only doubling can repeat them.
    """
    lines = scan_lines(geometry)
    doubled = 2 if geometry.double_scan else 1
    scan = lines.row_scan if text else lines.row_scan & geometry.row_bits
    changes = 1 + np.flatnonzero(
        (np.diff(lines.row_start) != 0) | (np.diff(scan) != 0) | (np.diff(lines.part) != 0)
    )
    for repeat in (doubled if text else doubled * geometry.row_lines, doubled):
        if geometry.lines % repeat == 0 and not (changes % repeat).any():
            return repeat
    return 1
