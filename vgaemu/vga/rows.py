"""Rows: where each logical row of the picture lies in VRAM, and which rows a page touches.

Dirt is kept in address space and mapped to rows only here, when it is harvested, so no change of
start address, pitch, panning or split between a store and the harvest can make it miss.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import PAGE_SHIFT, Span, merge
from vgaemu.vga.crtc import scan_lines
from vgaemu.vga.layout import Layout, plane_bytes, plane_dwords
from vgaemu.vga.scanout import CrtcRows, LinearRows, Scanout


def plane_addresses(
    rows: CrtcRows, which: slice | NDArray[np.intp], extra: int = 0
) -> NDArray[np.intp]:
    """Plane address of every fetch of some logical rows: (n, columns + extra) intp.

    Panning shows a part of the `extra` fetches past the last column.
    """
    start, scan = _counters(rows)
    ma = (start[which, None] + np.arange(rows.columns + extra)) & 0xFFFF
    if rows.rotate == 2:
        address = (ma << 2 & 0xFFFC) | ma >> 14 & 3
    elif rows.rotate == 1:
        address = (ma << 1 & 0xFFFE) | ma >> rows.wrap_bit & 1
    else:
        address = ma
    return _with_row_bits(address, scan[which, None], rows.geometry.row_bits)


def _counters(rows: CrtcRows) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row start and row scan of each logical row."""
    lines, every = scan_lines(rows.geometry), rows.scan_lines_a_row
    return lines.row_start[::every], lines.row_scan[::every]


def _with_row_bits(
    address: NDArray[np.intp], scan: NDArray[np.intp], row_bits: int
) -> NDArray[np.intp]:
    """CR17 bits 0, 1: row scan bits take the place of address bits 13 and 14."""
    if row_bits & 1:
        address = address & ~0x2000 | (scan & 1) << 13
    if row_bits & 2:
        address = address & ~0x4000 | (scan >> 1 & 1) << 14
    return address


class RowMap:
    """Where the bytes of every logical row of one scanout lie in VRAM."""

    def __init__(self, scanout: Scanout, vram_bytes: int) -> None:
        """Work out the rows of `scanout`, no text mode; after VRAM linear rows begin again."""
        rows = self._rows = scanout.rows
        self._layout = scanout.layout
        self._height, self._vram_bytes = scanout.height, vram_bytes
        #: Pixels that rows above and below the split are moved left, and the first row below, if
        #: they differ.
        self.pan, self.split_row = (0, 0), scanout.height
        #: Bytes a row; the same for all.
        self.nbytes = 0
        #: First byte of each row, (height,); None where rows are not runs of bytes inside VRAM.
        self.start: NDArray[np.intp] | None = None
        #: Fetches past the last column, which panning shows a part of.
        self._extra = 0
        if isinstance(rows, LinearRows):
            self.pan, self.nbytes = (rows.pan, rows.pan), rows.nbytes
            start = rows.start + rows.pitch * np.arange(scanout.height)
            if int(start[-1]) + rows.nbytes <= vram_bytes:
                self.start = start
        else:
            self.pan, self._extra = rows.pan, int(any(rows.pan))
            if rows.pan[0] != rows.pan[1]:
                part = scan_lines(rows.geometry).part[:: rows.scan_lines_a_row]
                self.split_row = int(np.count_nonzero(part == 0))
            self.nbytes = 4 * (rows.columns + self._extra)
            self.start = _crtc_starts(rows, self._layout, self._extra)
        #: Bytes from row to row if that is the same for all rows, else 0.
        self.stride = 0
        self._first_page: list[int] = []
        self._last_page: list[int] = []
        #: Pages of each row's bytes, (height, n), where they are not told by its ends; repeats
        #: that all rows have are left out.
        self._pages: NDArray[np.intp] | None = None
        #: First and last page with rows; of all VRAM, where they are no runs of bytes inside it.
        self.page_ends = 0, (vram_bytes >> PAGE_SHIFT) - 1
        #: Plane addresses of all rows, (height, fetches), once they were gathered.
        self._addresses: NDArray[np.intp] | None = None
        if self.start is not None:
            steps = np.diff(self.start)
            if len(steps) and bool((steps == steps[0]).all()):
                self.stride = int(steps[0])
            first, last = self.start >> PAGE_SHIFT, self.start + self.nbytes - 1 >> PAGE_SHIFT
            self.page_ends = int(first.min()), int(last.max())
            if self.stride > 0:
                self._first_page, self._last_page = first.tolist(), last.tolist()
            else:
                self._pages = np.stack((first, last), axis=1)  # no row of the CRTC's has a third

    def byte_numbers(self, which: slice, slack: int = 0) -> NDArray[np.intp]:
        """VRAM byte of every byte of some rows: (rows, nbytes) intp; linear kinds, + slack."""
        rows = self._rows
        if isinstance(rows, LinearRows):
            start = rows.start + rows.pitch * np.arange(self._height)[which]
            return (start[:, None] + np.arange(self.nbytes + slack)) % self._vram_bytes
        numbers = plane_bytes(plane_addresses(rows, which, self._extra), self._layout)
        return numbers.reshape(len(numbers), self.nbytes)

    def gather(self, vram: NDArray[np.uint8], which: slice, slack: int) -> NDArray[np.uint8]:
        """A copy of the bytes of some rows: (rows, nbytes) uint8, see `byte_numbers`."""
        if isinstance(self._rows, LinearRows):
            return vram.take(self.byte_numbers(which, slack))
        if self._addresses is None:
            self._addresses = plane_addresses(self._rows, slice(None), self._extra)
        return plane_dwords(vram, self._addresses[which], self._layout).view(np.uint8)

    def touched(self, spans: Sequence[Span]) -> list[tuple[int, int]]:
        """Rows that show bytes of the pages in `spans`, as half-open ranges.

        Split screens, CGA banks, wrap, panning and pixels across page edges all end up here.
        """
        if self._first_page:
            ranges = []
            for start, end in spans:
                top = bisect_left(self._last_page, start)
                bottom = bisect_left(self._first_page, end)
                if top < bottom:
                    ranges.append((top, bottom))
            return merge(ranges) if len(ranges) > 1 else ranges
        if self._pages is None:
            pages = self.byte_numbers(slice(None)) >> PAGE_SHIFT
            new = (pages[:, 1:] != pages[:, :-1]).any(axis=0)
            self._pages = pages[:, [0, *(new.nonzero()[0] + 1).tolist()]]
        dirty = np.zeros(self._vram_bytes >> PAGE_SHIFT, np.bool_)
        for start, end in spans:
            dirty[start:end] = True
        return runs(np.logical_or.reduce(dirty.take(self._pages, mode="wrap"), axis=1))


def _crtc_starts(rows: CrtcRows, layout: Layout, extra: int) -> NDArray[np.intp] | None:
    """First byte of each row if every row is one run of VRAM, found from the rows' ends alone."""
    # One run: byte addressing in the planar layout, dword addressing in the chain-4 layout.
    chain4, row_bits = layout is Layout.CHAIN4, rows.geometry.row_bits
    if layout is Layout.ODD_EVEN or rows.rotate != (2 if chain4 else 0):
        return None
    ma, scan = _counters(rows)
    last = ma + rows.columns + extra - 1
    if int(last.max()) >= 1 << (14 if chain4 else 16):
        return None  # a row wraps
    if row_bits:
        shift = 2 if chain4 else 0
        address = ma << shift
        if bool((address >> 13 != last << shift >> 13).any()):
            return None  # a replaced address bit changes inside a row
        ma = _with_row_bits(address, scan, row_bits) >> shift
    return 4 * ma


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open ranges of True.

    >>> runs(np.array([False, True, True, False, True]))
    [(1, 3), (4, 5)]
    """
    bordered = np.zeros(len(mask) + 2, np.bool_)
    bordered[1:-1] = mask
    edges = (bordered[1:] != bordered[:-1]).nonzero()[0].tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
