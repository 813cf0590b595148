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
from vgaemu.vga.dispi import BYTES_PER_PIXEL
from vgaemu.vga.layout import dword_of_address
from vgaemu.vga.scanout import LINEAR_BPP, Scanout


def plane_addresses(scanout: Scanout, rows: slice, extra: int = 0) -> NDArray[np.intp]:
    """Plane address of every fetch of some logical rows: (rows, columns + extra) intp.

    Args:
        scanout: Any kind but the linear ones.
        rows: Logical rows.
        extra: Fetches past the last column, which panning shows a part of.
    """
    lines = scan_lines(scanout.geometry)
    every = scanout.scan_lines_a_row
    start = lines.row_start[::every][rows]
    scan = lines.row_scan[::every][rows]
    ma = (start[:, None] + np.arange(scanout.columns + extra)) & 0xFFFF
    if scanout.rotate == 2:
        address = (ma << 2 & 0xFFFC) | ma >> 14 & 3
    elif scanout.rotate == 1:
        address = (ma << 1 & 0xFFFE) | ma >> scanout.wrap_bit & 1
    else:
        address = ma
    bits = scanout.geometry.row_bits
    if bits & 1:
        address = address & ~0x2000 | (scan[:, None] & 1) << 13
    if bits & 2:
        address = address & ~0x4000 | (scan[:, None] >> 1 & 1) << 14
    return address


def fetch_dwords(scanout: Scanout, rows: slice, extra: int = 0) -> NDArray[np.intp]:
    """`plane_addresses` as dword numbers in VRAM."""
    return dword_of_address(plane_addresses(scanout, rows, extra), scanout.chain4_layout)


class RowMap:
    """Where the bytes of every logical row of one scanout lie in VRAM."""

    def __init__(self, scanout: Scanout) -> None:
        """Work out the rows of `scanout`, which is not a text mode."""
        self._scanout = scanout
        #: Fetches past the last column, which panning shows a part of.
        self._extra = 1 if any(scanout.pan) else 0
        #: Bytes a row; the same for all.
        self.nbytes = _row_bytes(scanout, self._extra)
        #: First byte of each row, (height,); None where rows are not runs of bytes inside VRAM.
        self.start = _row_starts(scanout, self.nbytes, self._extra)
        #: Bytes from row to row if that is the same for all rows, else 0.
        self.stride = 0
        self._first_page: list[int] = []
        self._last_page: list[int] = []
        #: Pages of each row's bytes, (height, n), where they are not told by its ends; repeats
        #: that all rows have are left out.
        self._pages: NDArray[np.intp] | None = None
        if self.start is not None:
            steps = np.diff(self.start)
            if len(steps) and bool((steps == steps[0]).all()):
                self.stride = int(steps[0])
            if self.stride > 0:
                self._first_page = (self.start >> PAGE_SHIFT).tolist()
                self._last_page = (self.start + self.nbytes - 1 >> PAGE_SHIFT).tolist()

    def byte_numbers(self, rows: slice, slack: int = 0) -> NDArray[np.intp]:
        """VRAM byte of every byte of some rows: (rows, nbytes) intp.

        Args:
            rows: Logical rows.
            slack: Linear kinds: bytes past the end of each row that are wanted too.
        """
        scanout = self._scanout
        if scanout.linear_pitch:
            start = scanout.linear_start + scanout.linear_pitch * np.arange(scanout.height)[rows]
            return (start[:, None] + np.arange(self.nbytes + slack)) % scanout.vram_bytes
        dwords = fetch_dwords(scanout, rows, self._extra)
        return (dwords[:, :, None] * 4 + np.arange(4)).reshape(len(dwords), self.nbytes)

    def dword_numbers(self) -> NDArray[np.intp]:
        """VRAM dword of every fetch of every row, for kinds that fetch: (height, nbytes / 4)."""
        return fetch_dwords(self._scanout, slice(None), self._extra)

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
        mask = np.zeros(self._scanout.height, np.bool_)
        if self.start is not None:
            first = self.start >> PAGE_SHIFT
            last = self.start + self.nbytes - 1 >> PAGE_SHIFT
            for start, end in spans:
                mask |= (last >= start) & (first < end)
            return runs(mask)
        if self._pages is None:
            pages = self.byte_numbers(slice(None)) >> PAGE_SHIFT
            new = (pages[:, 1:] != pages[:, :-1]).any(axis=0)
            self._pages = pages[:, [0, *(new.nonzero()[0] + 1).tolist()]]
        dirty = np.zeros(self._scanout.vram_bytes >> PAGE_SHIFT, np.bool_)
        for start, end in spans:
            dirty[start:end] = True
        mask[:] = dirty.take(self._pages, mode="wrap").any(axis=1)
        return runs(mask)


def _row_bytes(scanout: Scanout, extra: int) -> int:
    if scanout.kind in LINEAR_BPP:
        return scanout.width * BYTES_PER_PIXEL[LINEAR_BPP[scanout.kind]]
    return 4 * (scanout.columns + extra)


def _row_starts(scanout: Scanout, nbytes: int, extra: int) -> NDArray[np.intp] | None:
    """First byte of each row if every row is one run of VRAM, found from the rows' ends alone."""
    if scanout.linear_pitch:
        start = scanout.linear_start + scanout.linear_pitch * np.arange(scanout.height)
        return start if int(start[-1]) + nbytes <= scanout.vram_bytes else None
    # One run: byte addressing in the planar layout, dword addressing in the chain-4 layout.
    chain4 = scanout.chain4_layout
    if scanout.rotate != (2 if chain4 else 0):
        return None
    lines = scan_lines(scanout.geometry)
    every = scanout.scan_lines_a_row
    ma = lines.row_start[::every][: scanout.height]
    scan = lines.row_scan[::every][: scanout.height]
    last = ma + scanout.columns + extra - 1
    if int(last.max()) >= 1 << (14 if chain4 else 16):
        return None  # a row wraps
    bits = scanout.geometry.row_bits
    if bits:
        shift = 2 if chain4 else 0
        address = ma << shift
        if bool((address >> 13 != last << shift >> 13).any()):
            return None  # a replaced address bit changes inside a row
        if bits & 1:
            address = address & ~0x2000 | (scan & 1) << 13
        if bits & 2:
            address = address & ~0x4000 | (scan >> 1 & 1) << 14
        ma = address >> shift
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
