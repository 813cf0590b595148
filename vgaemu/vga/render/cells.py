"""Cells of a text mode: which scan lines show which of them, and the fonts that they are drawn in.

Cells are numbered as `vga.layout` does. A `CellMap` follows from the CRTC's rows alone and never
changes; `Fonts` follows what plane 2 holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import Span
from vgaemu.vga.crtc import scan_lines
from vgaemu.vga.layout import HALF_CELLS, HIGH_CELLS, cell_of_address
from vgaemu.vga.rows import plane_addresses
from vgaemu.vga.scanout import CrtcRows, TextLook

#: A font in plane 2: 256 glyphs of 32 bytes.
FONT_BYTES = 8192
FONT_CELLS = FONT_BYTES // 2


@dataclass(frozen=True)
class Band:
    """Consecutive scan lines that show one row of cells."""

    y: int
    height: int
    #: Glyph line shown in each.
    scans: NDArray[np.intp]
    #: The same as a slice, where they are consecutive.
    lines: slice | NDArray[np.intp]
    #: Pixels the band is moved left.
    pan: int


class CellMap:
    """The cell that each place of the picture shows. Places are counted row by row."""

    def __init__(self, rows: CrtcRows) -> None:
        lines, every = scan_lines(rows.geometry), rows.scan_lines_a_row
        row_start, scan, part = (a[::every] for a in (lines.row_start, lines.row_scan, lines.part))
        tops = _band_tops(row_start, scan, part, rows.geometry.row_bits)
        self.bands = [
            Band(a, b - a, scan[a:b], _consecutive(scan[a:b]), rows.pan[part[a]])
            for a, b in pairwise([*tops.tolist(), len(scan)])
        ]
        #: Lines of a glyph, of 32, that some band shows.
        self.glyph_lines = 1 + int(scan.max())
        self.panned = any(rows.pan)
        #: All bands show the same glyph lines in the same place: they can be drawn in one go.
        first = self.bands[0].scans
        self.uniform = not self.panned and all(
            np.array_equal(band.scans, first) for band in self.bands
        )
        #: Cells a band: one more where panning shows a part of it.
        self.columns = rows.columns + self.panned
        #: (bands, columns): which cell of VRAM is shown there.
        self.numbers = cell_of_address(plane_addresses(rows, tops, int(self.panned)))
        self.flat_numbers = self.numbers.reshape(-1)  # by place
        #: The first and the last cell of each band.
        self.band_ends = list(
            zip(self.numbers.min(axis=1).tolist(), self.numbers.max(axis=1).tolist(), strict=True)
        )
        #: CRTC address of each band's first cell, and addresses from band to band where they are
        #: the same for all, else 0.
        self._row_starts: list[int] = row_start[tops].tolist()
        pitches = set(np.diff(row_start[tops]).tolist())
        self._pitch: int = pitches.pop() if len(pitches) == 1 else 0

    def places_of(self, address: int) -> list[int]:
        """Places that show a CRTC address: several where memory is shown twice."""
        columns = self.columns
        if self._pitch >= columns:
            # Nothing is shown twice.
            band, column = divmod(address - self._row_starts[0] & 0xFFFF, self._pitch)
            shown = band < len(self.bands) and column < columns
            return [band * columns + column] if shown else []
        return [
            band * columns + column
            for band, row_start in enumerate(self._row_starts)
            if (column := (address - row_start) & 0xFFFF) < columns
        ]

    def bands_with(self, spans: Iterable[Span]) -> list[int]:
        """Bands that may show some of the cells in `spans`; one may be there several times."""
        found = []
        ends = self.band_ends
        for low, high in spans:
            found += [n for n, (first, last) in enumerate(ends) if low <= last and first < high]
        return found

    @cached_property
    def place_of_cell(self) -> NDArray[np.int32]:
        """(65536,) int32: the place that shows a cell of VRAM, -1 for none, -2 for several."""
        numbers = self.flat_numbers
        places = np.arange(len(numbers), dtype=np.int32)
        place_of_cell = np.full(HIGH_CELLS, -1, np.int32)
        place_of_cell[numbers] = places
        place_of_cell[numbers[place_of_cell[numbers] != places]] = -2
        return place_of_cell


@lru_cache(maxsize=4)
def cell_map_of(rows: CrtcRows) -> CellMap:
    """The map of some rows; those of late are kept."""
    return CellMap(rows)


def _band_tops(
    row_start: NDArray[np.intp], scan: NDArray[np.intp], part: NDArray[np.intp], row_bits: int
) -> NDArray[np.intp]:
    """Scan lines where another row of cells, or the same one from its first line on, begins."""
    new = np.ones(len(scan), np.bool_)
    new[1:] = (
        (np.diff(row_start) != 0)
        | (np.diff(scan & row_bits) != 0)
        | (np.diff(part) != 0)
        | (np.diff(scan) < 0)
    )
    return np.flatnonzero(new)


def _consecutive(lines: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    first = int(lines[0])
    if np.array_equal(lines, np.arange(first, first + len(lines))):
        return slice(first, first + len(lines))
    return lines


def _font_cells(first: int) -> slice:
    return slice(first, first + FONT_CELLS)


class Fonts:
    """The fonts that attribute bit 3 selects, in plane 2, and the dots of their glyphs."""

    def __init__(self, look: TextLook) -> None:
        #: What the glyphs follow from, besides VRAM.
        self.look = look
        # One font in both places is looked at once; attribute bit 3 then selects nothing.
        bases = [HIGH_CELLS + base // 2 for base in dict.fromkeys(look.fonts)]
        #: Cells of each font's even addresses, and those of its odd ones.
        self.cells = [(_font_cells(even), _font_cells(even + HALF_CELLS)) for even in bases]
        self._bytes = np.zeros((2, FONT_BYTES), np.uint8)
        #: (512, 32) intp: dots of each glyph line of both, the leftmost in the highest bit.
        self.patterns = np.zeros((512, 32), np.intp)

    def read(self, cells: NDArray[np.uint16]) -> NDArray[np.bool_]:
        """Take what planes hold now, cell by cell, and say which glyphs it changed: (512,)."""
        before = self._bytes.copy()
        for font, (even, odd) in zip(self._bytes, self.cells, strict=False):
            font[0::2], font[1::2] = cells[even] & 0xFF, cells[odd] & 0xFF  # plane 2
        changed: NDArray[np.bool_] = (self._bytes != before).reshape(512, 32).any(axis=1)
        if changed.any():
            self.patterns = self._dots()
        return changed

    def _dots(self) -> NDArray[np.intp]:
        dots = self._bytes.reshape(512, 32).astype(np.intp)
        if self.look.cell_width == 9:
            code = np.arange(512) & 0xFF
            copies = (code >= 0xC0) & (code <= 0xDF) & self.look.line_graphics
            dots = dots << 1 | dots & copies[:, None]
        return dots
