"""The mouse's cursor in the picture: a cell of text, or 16 pixels square, and what lies under it.

Emulated: software cursors in text and in all graphics modes of the BIOS, mode X too: what was there
is kept and put back; the hardware's cursor as the mouse's. Registers and latches are afterwards as
they were: it is drawn between any two instructions. Not emulated: cursors in VBE's modes (they are
the program's own there), pages of graphics but the one that is shown.

Source: Microsoft Mouse Programmer's Reference; a cursor's bits change 16 colours' four bits in 256
colours, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import CanvasError
from vgaemu.guest.surface import PlanarSurface, Surface, surface_of
from vgaemu.pc.bios.mouse.settings import HARDWARE, Settings
from vgaemu.pc.bios.video.area import VideoArea
from vgaemu.pc.board import Board
from vgaemu.snapshot import Array, Part
from vgaemu.vga.device import Vga
from vgaemu.vga.pixels import Pixels
from vgaemu.vga.ports import INDEX_PORTS, Ports

SIZE = 16
#: The bits of a pixel that a cursor changes, at most.
CHANGED = 0x0F
#: What a saved cursor begins with: whether it is drawn, whether in text, where, how large.
HEAD = 6


@contextmanager
def as_before(vga: Vga) -> Iterator[None]:
    """Latches and indexes are as before then: a program stands between any two stores."""
    ports = Ports(vga)
    places = [*INDEX_PORTS.values(), ports.crtc]
    indexes, dispi_index, latch = [vga.inb(port) for port in places], vga.inw(0x1CE), vga.latch
    try:
        yield
    finally:
        for port, index in zip(places, indexes, strict=True):
            vga.outb(port, index)
        vga.outw(0x1CE, dispi_index)
        vga.latch = latch


class PointerCursor:
    """What is drawn, and what was there."""

    def __init__(self, board: Board, area: VideoArea, settings: Settings) -> None:
        self._vga, self._area, self._settings = board.vga, area, settings
        #: Where it is drawn, and the cell's bytes or the pixels that were there; None: nowhere.
        self._cell: tuple[int, bytes] | None = None
        self._pixels: tuple[int, int, NDArray[np.uint8]] | None = None

    def hide(self) -> None:
        """Put back what was there."""
        with as_before(self._vga):
            if self._cell is not None:
                gpa, cell = self._cell
                self._vga.store(gpa, cell)
            elif self._pixels is not None and (surface := self._surface()) is not None:
                x, y, under = self._pixels
                if x + under.shape[1] <= surface.width and y + under.shape[0] <= surface.height:
                    surface.put(x, y, under)
        self.forget()

    def forget(self) -> None:
        """It is gone: a mode was set."""
        self._cell = self._pixels = None

    def draw(self, x: int, y: int) -> None:
        """At a virtual position, if it is shown and not excluded there."""
        self.hide()
        settings, text = self._settings, self._area.is_text
        if settings.shown < 0 or settings.excludes(*self._covered(x, y)):
            return
        with as_before(self._vga):
            if text and settings.kind == HARDWARE:
                row, column = self._place(x, y)
                self._area.move_cursor(settings.page, row, column)
            elif text:
                self._draw_cell(*self._place(x, y))
            else:
                self._draw_pixels(x, y)

    def _place(self, x: int, y: int) -> tuple[int, int]:
        """Row and column of a position."""
        return y // 8, x * self._area.columns // 640

    def _covered(self, x: int, y: int) -> tuple[int, int, int, int]:
        """What it covers, in virtual pixels: left, top, width, height."""
        if self._area.is_text:
            return x, y, 8, 8
        scale = self._scale
        return (
            x - self._settings.hot_x * scale, y - self._settings.hot_y, SIZE * scale, SIZE
        )  # fmt: skip

    @property
    def _scale(self) -> int:
        """Virtual pixels across a pixel."""
        return max(1, 640 // (8 * max(1, self._area.facts.columns)))

    def _draw_cell(self, row: int, column: int) -> None:
        if row >= self._area.rows or column >= self._area.columns:
            return
        gpa = self._area.cell(self._settings.page, row, column)
        cell = self._vga.load(gpa, 2)
        self._cell = gpa, cell
        look = int.from_bytes(cell, "little") & self._settings.screen_mask
        self._vga.store(gpa, (look ^ self._settings.cursor_mask).to_bytes(2, "little"))

    def _surface(self) -> Surface | None:
        """Where the mode's pixels are, if there are any that are numbers."""
        try:
            surface = surface_of(self._vga)
        except CanvasError:
            return None
        if self._area.vbe_mode is not None or surface.dtype is not np.uint8:
            return None
        if isinstance(surface, PlanarSurface):  # registers are the program's
            return PlanarSurface(
                self._vga, 0xA0000, surface.width, surface.height, surface.pitch, known=None
            )
        return surface

    def _draw_pixels(self, x: int, y: int) -> None:
        surface = self._surface()
        if surface is None:
            return
        left, top = x // self._scale - self._settings.hot_x, y - self._settings.hot_y
        right, bottom = min(left + SIZE, surface.width), min(top + SIZE, surface.height)
        from_x, from_y = max(left, 0), max(top, 0)
        if from_x >= right or from_y >= bottom:
            return
        under: Pixels = surface.get(from_x, from_y, right - from_x, bottom - from_y)
        self._pixels = from_x, from_y, under.astype(np.uint8)
        rows = np.frombuffer(self._settings.masks, "<u2").astype(">u2")
        bits = np.unpackbits(rows.view(np.uint8)).reshape(2, SIZE, SIZE)
        bits = bits[:, from_y - top : bottom - top, from_x - left : right - left]
        keep, change = bits[0] * np.uint8(0xFF), bits[1] * np.uint8(CHANGED & surface.colours - 1)
        surface.put(from_x, from_y, under & keep ^ change)

    # Saved states.

    def part(self) -> Part:
        """What lies under it, as it is saved."""
        return Part(
            "i4", self._saved, self._restore, _is_cursor,
            any_length=True, most_bytes=4 * (HEAD + SIZE * SIZE), absent=self.forget,
        )  # fmt: skip

    def _saved(self) -> list[int]:
        if self._cell is not None:
            return [1, 1, self._cell[0], 0, 2, 1, *self._cell[1]]
        if self._pixels is not None:
            x, y, under = self._pixels
            return [1, 0, x, y, under.shape[1], under.shape[0], *under.ravel().tolist()]
        return [0] * HEAD

    def _restore(self, array: Array) -> None:
        self.forget()
        drawn, text, x, y, width, height = array[:HEAD].tolist()
        if drawn and text:
            self._cell = x, bytes(array[HEAD:].tolist())
        elif drawn:
            self._pixels = x, y, array[HEAD:].astype(np.uint8).reshape(height, width)


def _is_cursor(array: Array) -> bool:
    if array.ndim != 1 or array.size < HEAD:
        return False
    drawn, text, x, y, width, height = array[:HEAD].tolist()
    if not drawn:
        return array.size == HEAD
    if text:
        fits = 0xB0000 <= x < 0xC0000 - 2 and (width, height) == (2, 1)
    else:
        fits = 0 <= x < 1 << 14 and 0 <= y < 1 << 14 and 0 < width <= SIZE and 0 < height <= SIZE
    under = array[HEAD:]
    return bool(fits and under.size == width * height and ((under >= 0) & (under < 256)).all())
