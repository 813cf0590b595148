"""The video BIOS's share of the data area: mode, cursors, pages; and of the VGA what goes with it.

Emulated: what programs read and write there (`data_area` has the fields), a VBE mode beside it, the
CRTC's start address and cursor as they follow. Columns and rows are believed as far as pages of
that size fit the mode's memory. Not emulated: the light pen.
"""

from __future__ import annotations

from typing import ClassVar

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.bios.rom import FONTS
from vgaemu.pc.bios.video.cursor import underline
from vgaemu.pc.bios.video.modes import (
    CGA,
    PACKED,
    PLANAR,
    TEXT,
    VBE_MODES,
    BiosMode,
    VbeMode,
    bios_mode,
)
from vgaemu.pc.board import Board
from vgaemu.snapshot import Array, Part, Saved
from vgaemu.vga.ports import Ports

#: Bits of a VBE mode's number: linear frame buffer, do not clear.
LINEAR, KEEP = 0x4000, 0x8000

#: Where the CRTC of a monochrome display is.
MONOCHROME_CRTC = 0x3B4
#: Cursors have a byte for the column.
MAX_COLUMNS = 256
#: Memory that pages of characters lie in, by memory model for graphics.
TEXT_BYTES = 0x8000
GRAPHICS_BYTES = {CGA: 0x4000, PLANAR: 0x10000, PACKED: 0x10000}

#: Pairs of displays, by their codes; `data_area.DISPLAYS` is an index. Odd ones out are IBM's; 8,
#: the VGA alone once more, is what states of older versions have there.
NO_DISPLAY, MDA, CGA_DISPLAY, EGA, EGA_MONO, PGC, VGA_MONO, VGA_COLOUR = 0, 1, 2, 4, 5, 6, 7, 8
COMBINATIONS = (
    (NO_DISPLAY, NO_DISPLAY), (NO_DISPLAY, MDA), (NO_DISPLAY, CGA_DISPLAY), (CGA_DISPLAY, MDA),
    (NO_DISPLAY, EGA), (EGA, MDA), (NO_DISPLAY, EGA_MONO), (CGA_DISPLAY, EGA_MONO),
    (NO_DISPLAY, VGA_COLOUR), (MDA, PGC), (EGA_MONO, PGC), (NO_DISPLAY, VGA_COLOUR),
    (MDA, VGA_COLOUR), (NO_DISPLAY, VGA_MONO), (CGA_DISPLAY, VGA_MONO), (PGC, VGA_MONO),
)  # fmt: skip
VGA_ALONE, UNKNOWN_DISPLAYS = 0x0B, 0xFF

#: Vectors that point to the glyphs of graphics modes; in the CGA's to the first 128 and the others.
GLYPHS, UPPER_GLYPHS = 0x43, 0x1F


class VideoArea(bda.DataArea):
    """What the parts of the video BIOS know in common."""

    SAVED: ClassVar[Saved] = {"mode_number": (0, 0xFFFF)}

    def __init__(self, board: Board, calls: Calls) -> None:
        super().__init__(board.bus)
        self._vga, self._calls = board.vga, calls
        self.ports: Ports = Ports(board.vga)
        #: VBE's mode, or None in VGA modes.
        self.vbe_mode: VbeMode | None = None
        #: As it was asked for, with `LINEAR` and `KEEP`.
        self.mode_number = 3

    @property
    def mode(self) -> int:
        return self[bda.MODE]

    @property
    def facts(self) -> BiosMode:
        return bios_mode(self[bda.MODE])

    @property
    def is_text(self) -> bool:
        """Whether characters are cells of memory."""
        return self.vbe_mode is None and self.facts.model == TEXT

    @property
    def columns(self) -> int:
        """Characters in a row."""
        columns = self[bda.COLUMNS]
        if self.vbe_mode is not None:
            return min(columns or MAX_COLUMNS, self.vbe_mode.width // 8)
        facts = bios_mode(self[bda.MODE])
        if 0 < columns <= facts.columns:
            return columns
        # Packed pixels lie as the mode has them.
        most = MAX_COLUMNS if facts.model in (TEXT, PLANAR) else facts.columns
        return min(columns or facts.columns, most)

    @property
    def rows(self) -> int:
        """Rows of characters."""
        rows, facts, vbe_mode = self[bda.LAST_ROW] + 1, bios_mode(self[bda.MODE]), self.vbe_mode
        if vbe_mode is not None:
            most = vbe_mode.height // self.height
        elif facts.model == TEXT:
            if rows <= TEXT_BYTES // 2 // MAX_COLUMNS:
                return rows
            most = TEXT_BYTES // 2 // self.columns
        else:
            line = max(self.columns, facts.columns) * self.pixel_bits
            most = GRAPHICS_BYTES[facts.model] // (line * self.height)
        return min(rows, max(most, 1))

    @property
    def pixel_bits(self) -> int:
        """Bits of a pixel of graphics, in each plane; 8 pixels take so many bytes."""
        facts, mode = self.facts, self.vbe_mode
        return facts.bits // facts.planes if mode is None else 8 * mode.pixel_bytes

    @property
    def height(self) -> int:
        """Lines of a character in graphics modes; in the CGA's always 8, as on a CGA."""
        if self.vbe_mode is None and bios_mode(self[bda.MODE]).model == CGA:
            return 8
        return self[bda.CHAR_HEIGHT] & 0xFF or 8

    @property
    def is_monochrome(self) -> bool:
        """Whether the display is one, by where its CRTC is."""
        return self[bda.CRTC_PORT] == MONOCHROME_CRTC

    def write_mode_fields(self, number: int, *, clear: bool) -> None:
        """The fields of a mode that has been set, and the vector of its glyphs."""
        mode = bios_mode(number)
        self[bda.MODE] = number
        self[bda.COLUMNS] = mode.columns
        self[bda.PAGE_BYTES] = mode.page_bytes
        self[bda.PAGE_START] = 0
        self[bda.CURSORS] = 0
        first, last = underline(mode.height) if mode.model == TEXT else (0, 0)
        self[bda.CURSOR_SHAPE] = first << 8 | last
        self[bda.PAGE] = 0
        self[bda.CRTC_PORT] = self.ports.crtc
        self[bda.MODE_SELECT] = mode.mode_select
        self[bda.CGA_PALETTE] = 0x3F if number == 6 else 0x30
        self[bda.LAST_ROW] = mode.rows - 1
        self[bda.CHAR_HEIGHT] = mode.height
        kept = self[bda.VIDEO_CONTROL] & bda.NO_CURSOR_EMULATION
        self[bda.VIDEO_CONTROL] = 0x60 | kept | (0 if clear else bda.NOT_CLEARED)
        self[bda.DISPLAYS] = VGA_ALONE
        self._calls.set_vector(GLYPHS, FONTS[8 if mode.model == TEXT else mode.height])

    @property
    def pages(self) -> int:
        return 1 if self.vbe_mode is not None else self.facts.pages

    def page_start(self, page: int) -> int:
        """Where a page begins in its window."""
        return (page & self.pages - 1) * self[bda.PAGE_BYTES] & 0xFFFF

    def cell(self, page: int, row: int, column: int) -> int:
        """Where a character of text is: a guest-physical address."""
        base = 0xB0000 if self.mode == 7 else 0xB8000
        return base + self.page_start(page) + 2 * (row * self.columns + column)

    def select_page(self, page: int) -> None:
        """Show a page of the mode, with its cursor."""
        start = page * self[bda.PAGE_BYTES] & 0xFFFF
        self[bda.PAGE] = page
        self[bda.PAGE_START] = start
        self._set_address(0x0C, start // 2 if self.is_text else start)
        self.move_cursor(page, *self.cursor(page))

    def cursor(self, page: int) -> tuple[int, int]:
        """Row and column of a page's cursor."""
        word = self.bus.read16(bda.CURSORS.address + 2 * (page & 7))
        return word >> 8, word & 0xFF

    def move_cursor(self, page: int, row: int, column: int) -> None:
        """Put a page's cursor somewhere; the CRTC shows the active page's."""
        self.bus.write16(bda.CURSORS.address + 2 * (page & 7), row << 8 | column & 0xFF)
        if page == self[bda.PAGE] and self.vbe_mode is None:
            at = self[bda.PAGE_START] // 2 + row * self.columns + column
            self._set_address(0x0E, at & 0xFFFF)

    def _set_address(self, index: int, address: int) -> None:
        """A pair of CRTC registers, the high one first."""
        self.ports.set_all(self.ports.crtc, {index: address >> 8, index + 1: address & 0xFF})

    def set_cursor_shape(self, first: int, last: int) -> None:
        self.ports.set_all(self.ports.crtc, {0x0A: first, 0x0B: last})

    def vbe_mode_of(self, number: int) -> VbeMode | None:
        """VBE's mode of a number, if there is one and VRAM has room for its picture."""
        mode = VBE_MODES.get(number)
        return mode if mode and mode.picture_bytes <= self._vga.slot.nbytes else None

    def follow_dispi(self, number: int) -> None:
        """DISPI was set past this BIOS: the mode that it shows, or none."""
        self.vbe_mode = self.vbe_mode_of(number) if self._vga.dispi.linear else None

    def vbe_part(self) -> Part:
        """VBE's mode as it is saved: its number, or -1."""
        return Part(
            "i4",
            lambda: -1 if self.vbe_mode is None else self.vbe_mode.number,
            self._restore_vbe,
            lambda array: int(array) == -1 or self.vbe_mode_of(int(array)) is not None,
        )

    def _restore_vbe(self, array: Array) -> None:
        self.vbe_mode = VBE_MODES.get(int(array))
