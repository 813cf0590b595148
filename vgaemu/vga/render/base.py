"""What every renderer shares: rows of VRAM in, rows of 0x00RRGGBB out.

A renderer belongs to one `Scanout` shape. It keeps lookup tables, and the text one also what it
drew last; it never touches the dirty log. `Renderer.draw_all` reads VRAM and the scanout alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import Span
from vgaemu.vga.crtc import scan_lines
from vgaemu.vga.rows import RowMap
from vgaemu.vga.scanout import Scanout

#: Pixels drawn in one go: enough that numpy's calls do not count, few enough that what it puts
#: between stays in the cache. Measured at 1024x768: 32 rows a go cost 1.1 times this, 8 rows 1.4.
BLOCK_PIXELS = 1 << 17

Frame = NDArray[np.uint32]


class Rect(NamedTuple):
    """Part of the picture in logical pixels; x + width and y + height are exclusive."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height


class Renderer(ABC):
    """Draws one kind of picture."""

    def __init__(self, vram: NDArray[np.uint8], scanout: Scanout) -> None:
        """Prepare for `scanout`.

        Args:
            vram: All of VRAM, (n,) uint8; only read.
            scanout: What to show.
        """
        self.vram = vram
        self._old: Scanout | None = None
        self.scanout = scanout
        self.renew(scanout)

    @abstractmethod
    def renew(self, scanout: Scanout) -> None:
        """Take another scanout of the same kind and size."""

    def see(self, spans: list[Span]) -> None:  # noqa: B027  rows are looked at when drawn
        """Take note that the pages in `spans` may have changed, before anything is drawn."""

    @abstractmethod
    def draw_all(self, frame: Frame) -> None:
        """Draw the whole picture into `frame`, (height, width) uint32 0x00RRGGBB."""

    @abstractmethod
    def draw_changes(self, frame: Frame, spans: list[Span]) -> list[Rect]:
        """Draw what the pages in `spans` may have changed, and say where."""


class RowRenderer(Renderer):
    """Graphics: a touched row is drawn whole."""

    def renew(self, scanout: Scanout) -> None:
        """Find the rows' bytes; rebuild the colour tables if the palette changed."""
        old, self._old, self.scanout = self._old, scanout, scanout
        if old is None or old.palette != scanout.palette:
            self.build_tables(scanout)
        if old is None or _rows_from(old) != _rows_from(scanout):
            self._find_rows(scanout)
        self._split_row = scanout.height
        if scanout.pan[0] != scanout.pan[1]:
            part = scan_lines(scanout.geometry).part[:: scanout.scan_lines_a_row]
            self._split_row = int(np.count_nonzero(part == 0))

    def _find_rows(self, scanout: Scanout) -> None:
        self._map = RowMap(scanout)
        #: All rows as one view of VRAM, (height, nbytes); None where they are not evenly spaced.
        self._rows: NDArray[np.uint8] | None = None
        #: Otherwise where each dword comes from.
        self._numbers: NDArray[np.intp] | None = None
        start, stride = self._map.start, self._map.stride
        if start is not None and (stride > 0 or scanout.height == 1):
            shape = (scanout.height, self._map.nbytes)
            self._rows = np.ndarray(shape, np.uint8, self.vram, int(start[0]), (stride, 1))

    @abstractmethod
    def build_tables(self, scanout: Scanout) -> None:
        """Make the colour lookup tables."""

    @abstractmethod
    def convert(self, rows: NDArray[np.uint8], pan: int, out: Frame) -> None:
        """Turn rows of VRAM bytes into pixels.

        Args:
            rows: (n, nbytes) uint8, each row contiguous; a view of VRAM or a copy.
            pan: Pixels to leave out on the left.
            out: (n, width) uint32.
        """

    def draw_all(self, frame: Frame) -> None:
        """Every row."""
        self.draw_rows(0, self.scanout.height, frame)

    def draw_changes(self, frame: Frame, spans: list[Span]) -> list[Rect]:
        """The rows that show a byte of the pages in `spans`."""
        if not spans or self.scanout.blank:
            return []
        rects = []
        for top, bottom in self.rows_of(spans):
            self.draw_rows(top, bottom, frame)
            rects.append(Rect(0, top, self.scanout.width, bottom - top))
        return rects

    def draw_rows(self, top: int, bottom: int, frame: Frame) -> None:
        """Draw the rows from `top` to `bottom` (exclusive) into `frame`, the whole picture."""
        if self.scanout.blank:
            frame[top:bottom] = 0
            return
        block = max(1, BLOCK_PIXELS // self.scanout.width)
        pan_above, pan_below = self.scanout.pan
        split = min(max(self._split_row, top), bottom)
        for start, end, pan in ((top, split, pan_above), (split, bottom, pan_below)):
            for first in range(start, end, block):
                last = min(first + block, end)
                self.convert(self._bytes(first, last), pan, frame[first:last])

    def _bytes(self, first: int, last: int) -> NDArray[np.uint8]:
        """Bytes of some rows: a view where they lie evenly in VRAM, else a gathered copy."""
        if self._rows is not None:
            return self._rows[first:last]
        if self.scanout.linear_pitch:
            return self.vram.take(self._map.byte_numbers(slice(first, last)))
        if self._numbers is None:
            self._numbers = self._map.dword_numbers()
        return self.vram.view(np.uint32).take(self._numbers[first:last]).view(np.uint8)

    def rows_of(self, spans: list[Span]) -> list[tuple[int, int]]:
        """Rows that show a byte of the pages in `spans`, as half-open ranges."""
        return self._map.touched(spans)


def _rows_from(scanout: Scanout) -> tuple[object, ...]:
    """What the row map is made from."""
    return (
        scanout.geometry, scanout.height, scanout.scan_lines_a_row, scanout.columns, scanout.rotate,
        scanout.wrap_bit, scanout.chain4_layout, scanout.pan, scanout.linear_start,
        scanout.linear_pitch, scanout.vram_bytes, scanout.kind, scanout.width,
    )  # fmt: skip
