"""The video BIOS's share of the data area: mode, cursors, pages; and of the VGA what goes with it.

Emulated: what programs read and write there (`data_area` has the fields), a VBE mode beside it, the
CRTC's start address and cursor as they follow. Not emulated: the tables that the save pointer leads
to, the light pen.

Source: IBM PS/2 and PC BIOS Interface Technical Reference; R. Brown's list of memory.
"""

from __future__ import annotations

from typing import ClassVar

from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.bios.data_area import (
    CGA_PALETTE,
    CHAR_HEIGHT,
    COLUMNS,
    CRTC_PORT,
    CURSOR_SHAPE,
    CURSORS,
    DISPLAY_CODE,
    LAST_ROW,
    MODE,
    MODE_SELECT,
    PAGE,
    PAGE_BYTES,
    PAGE_START,
    SWITCHES,
    VIDEO_CONTROL,
    DataArea,
)
from vgaemu.pc.bios.rom import FONTS
from vgaemu.pc.bios.video.modes import TEXT, BiosMode, bios_mode
from vgaemu.pc.bios.video.vbe_modes import VBE_MODES, VbeMode
from vgaemu.pc.board import Board
from vgaemu.snapshot import Array, Part, Saved
from vgaemu.vga.ports import Ports

#: `DISPLAY_CODE`: VGA with an analog colour display.
VGA_COLOUR = 0x08
#: `MODE_OPTIONS`: colours become greys; mode sets leave the palette alone; 400 or 200 lines of
#: text, else 350.
GREY, KEEP_PALETTE, LINES_400, LINES_200 = 0x02, 0x08, 0x10, 0x80
#: `VIDEO_CONTROL`: cursor shapes are taken as they are; memory was not cleared.
NO_CURSOR_EMULATION, NOT_CLEARED = 0x01, 0x80
#: `SWITCHES`: of a text mode with 200 lines, and of the others.
SWITCHES_200, SWITCHES_400 = 0xF8, 0xF9
#: Bits of a VBE mode's number: linear frame buffer, do not clear.
LINEAR, KEEP = 0x4000, 0x8000

#: Vectors that point to the glyphs of graphics modes; in the CGA's to the first 128 and the others.
GLYPHS, UPPER_GLYPHS = 0x43, 0x1F


class VideoArea(DataArea):
    """What the parts of the video BIOS know in common."""

    SAVED: ClassVar[Saved] = {"mode_number": (0, 0xFFFF)}

    def __init__(self, board: Board, calls: Calls) -> None:
        """Before the first mode set.

        Args:
            board: The VGA, and memory with the fields.
            calls: For the vectors.
        """
        super().__init__(board.bus)
        self._vga, self._calls = board.vga, calls
        self.ports: Ports = Ports(board.vga)
        #: VBE's mode, or None in VGA modes.
        self.vbe_mode: VbeMode | None = None
        #: As it was asked for, with `LINEAR` and `KEEP`.
        self.mode_number = 3

    @property
    def mode(self) -> int:
        """The mode."""
        return self[MODE]

    @property
    def facts(self) -> BiosMode:
        """What is known of the mode."""
        return bios_mode(self[MODE])

    @property
    def is_text(self) -> bool:
        """Whether characters are cells of memory."""
        return self.vbe_mode is None and self.facts.model == TEXT

    @property
    def columns(self) -> int:
        """Characters in a row."""
        return self[COLUMNS] or 80

    @property
    def rows(self) -> int:
        """Rows of characters."""
        return self[LAST_ROW] + 1

    @property
    def height(self) -> int:
        """Lines of a character in graphics modes."""
        return self[CHAR_HEIGHT] & 0xFF or 8

    def write_mode_fields(self, number: int, *, clear: bool) -> None:
        """The fields of a mode that has been set, and the vector of its glyphs."""
        mode = bios_mode(number)
        self[MODE] = number
        self[COLUMNS] = mode.columns
        self[PAGE_BYTES] = mode.page_bytes
        self[PAGE_START] = 0
        self[CURSORS] = 0
        self[CURSOR_SHAPE] = 0x0607 if mode.height == 8 else 0x0D0E
        self[PAGE] = 0
        self[CRTC_PORT] = self.ports.crtc
        self[MODE_SELECT] = mode.mode_select
        self[CGA_PALETTE] = 0x3F if number == 6 else 0x30
        self[LAST_ROW] = mode.rows - 1
        self[CHAR_HEIGHT] = mode.height
        kept = self[VIDEO_CONTROL] & NO_CURSOR_EMULATION
        self[VIDEO_CONTROL] = 0x60 | kept | (0 if clear else NOT_CLEARED)
        self[SWITCHES] = SWITCHES_400
        self[DISPLAY_CODE] = VGA_COLOUR
        self._calls.set_vector(GLYPHS, FONTS[mode.height])

    # Pages.

    @property
    def pages(self) -> int:
        """Pages of the mode."""
        return 1 if self.vbe_mode is not None else self.facts.pages

    def page_start(self, page: int) -> int:
        """Where a page begins in its window."""
        return (page & self.pages - 1) * self[PAGE_BYTES]

    def cell(self, page: int, row: int, column: int) -> int:
        """Where a character of text is: a guest-physical address."""
        base = 0xB0000 if self.mode == 7 else 0xB8000
        return base + self.page_start(page) + 2 * (row * self.columns + column)

    def select_page(self, page: int) -> None:
        """Show a page of the mode, with its cursor."""
        start = page * self[PAGE_BYTES] & 0xFFFF
        self[PAGE] = page
        self[PAGE_START] = start
        self._set_address(0x0C, start // 2 if self.is_text else start)
        self.move_cursor(page, *self.cursor(page))

    # Cursors.

    def cursor(self, page: int) -> tuple[int, int]:
        """Row and column of a page's cursor."""
        word = self.bus.read16(CURSORS.address + 2 * (page & 7))
        return word >> 8, word & 0xFF

    def move_cursor(self, page: int, row: int, column: int) -> None:
        """Put a page's cursor somewhere; the CRTC shows the active page's."""
        self.bus.write16(CURSORS.address + 2 * (page & 7), row << 8 | column & 0xFF)
        if page == self[PAGE] and self.vbe_mode is None:
            at = self[PAGE_START] // 2 + row * self.columns + column
            self._set_address(0x0E, at & 0xFFFF)

    def _set_address(self, index: int, address: int) -> None:
        """A pair of CRTC registers, the high one first."""
        crtc = self.ports.crtc
        self.ports.set(crtc, index, address >> 8)
        self.ports.set(crtc, index + 1, address & 0xFF)

    def set_cursor_shape(self, first: int, last: int) -> None:
        """Lines of the cursor, as the CRTC has them."""
        crtc = self.ports.crtc
        self.ports.set(crtc, 0x0A, first)
        self.ports.set(crtc, 0x0B, last)

    # The picture.

    @property
    def is_shown(self) -> bool:
        """Whether the sequencer lets the picture through."""
        return not self._vga.sequencer["screen_off"]

    def show(self, on: bool) -> None:
        """Show the picture, or keep the screen dark."""
        self.ports["screen_off"] = 0 if on else 1

    def vbe_part(self) -> Part:
        """VBE's mode as it is saved: its number, or -1."""
        return Part(
            "i4",
            lambda: -1 if self.vbe_mode is None else self.vbe_mode.number,
            self._restore_vbe,
            lambda array: int(array) == -1 or self._has_room(VBE_MODES.get(int(array))),
        )

    def _restore_vbe(self, array: Array) -> None:
        self.vbe_mode = VBE_MODES.get(int(array))

    def _has_room(self, mode: VbeMode | None) -> bool:
        return mode is not None and mode.picture_bytes <= self._vga.slot.nbytes
