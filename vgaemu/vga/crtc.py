"""The CRTC's counters: which scan line shows which row of memory, in closed form.

Emulated: start address, offset, maximum scan line, double scan, preset row scan, line compare.
Not emulated: what `scanout` names.

Source: IBM PS/2 Hardware Interface Technical Reference; FreeVGA.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


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


@dataclass(frozen=True)
class ScanLines:
    """One entry a scan line: which row of memory it shows."""

    #: CRTC row start (before adding the character), 0..FFFFh.
    row_start: NDArray[np.intp]
    row_scan: NDArray[np.intp]
    #: 0 above the split, 1 below.
    part: NDArray[np.intp]


@lru_cache(maxsize=64)
def scan_lines(geometry: Geometry) -> ScanLines:
    """Run the CRTC's row counters over a frame, in closed form."""
    g = geometry
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
