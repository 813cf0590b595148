"""INT 10h: the builtin VGA BIOS, for when no ROM is used.

Emulated: its calls, from here or from the rooms they are in: characters and pixels
(`video_characters`, `video_graphics`), palettes (`video_palette`), fonts (`video_fonts`), options
and information (`video_options`), saving and restoring (`video_state`), VBE 2.0 through DISPI
(`vbe`). Here are modes 0-7 and 0Dh-13h with their registers and the fields of the BIOS data area
that programs read (00h, 0Fh), cursor (01h-03h) and pages (05h). A font of the user's
(`Vga.rom_font`) takes the place of ROM's of its height, and text modes start with it, in 400 lines.
Not emulated: light pen, the tables of the save pointer.

Source: IBM PS/2 and PC BIOS Interface Technical Reference; R. Brown's interrupt list.
"""

from __future__ import annotations

from typing import ClassVar

from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.bios.rom import FONTS
from vgaemu.pc.bios.video.area import (
    CGA_PALETTE,
    CHAR_HEIGHT,
    COLUMNS,
    CRTC_PORT,
    CURSOR_SHAPE,
    CURSORS,
    DISPLAY_CODE,
    GLYPHS,
    GREY,
    KEEP_PALETTE,
    LAST_ROW,
    LINES_200,
    LINES_400,
    MODE,
    MODE_OPTIONS,
    MODE_SELECT,
    NO_CURSOR_EMULATION,
    PAGE,
    PAGE_BYTES,
    PAGE_START,
    SWITCHES,
    VGA_COLOUR,
    VIDEO_CONTROL,
)
from vgaemu.pc.bios.video.characters import Characters
from vgaemu.pc.bios.video.fonts import VideoFonts
from vgaemu.pc.bios.video.options import VideoOptions
from vgaemu.pc.bios.video.palette import VideoPalette
from vgaemu.pc.bios.video.state import VGA_STATES, VideoState
from vgaemu.pc.bios.video.vbe import KEEP, Vbe
from vgaemu.pc.board import Board
from vgaemu.pc.chips.saved import Saved
from vgaemu.vga.modes import MODES, set_mode
from vgaemu.vga.ports import SEQ, Ports

#: Mode -> glyph height, rows of text, bytes a page takes, columns.
GEOMETRY = {
    0x00: (16, 25, 0x0800, 40), 0x01: (16, 25, 0x0800, 40),
    0x02: (16, 25, 0x1000, 80), 0x03: (16, 25, 0x1000, 80),
    0x04: (8, 25, 0x4000, 40), 0x05: (8, 25, 0x4000, 40), 0x06: (8, 25, 0x4000, 80),
    0x07: (16, 25, 0x1000, 80),
    0x0D: (8, 25, 0x2000, 40), 0x0E: (8, 25, 0x4000, 80),
    0x0F: (14, 25, 0x8000, 80), 0x10: (14, 25, 0x8000, 80),
    0x11: (16, 30, 0xA000, 80), 0x12: (16, 30, 0xA000, 80),
    0x13: (8, 25, 0x2000, 40),
}  # fmt: skip
#: Text of other than 400 lines, 25 rows too: glyph height, misc output, CRTC registers. Its
#: characters are 8 dots wide.
TEXT_LINES = {
    200: (8, 0x63, {0x09: 0xC7, 0x0A: 6, 0x0B: 7, 0x14: 0x08}),
    350: (14, 0xA3, {0x09: 0x4D, 0x0A: 11, 0x0B: 12, 0x10: 0x83, 0x11: 0x05, 0x12: 0x5D,
                     0x14: 0x0D, 0x15: 0x63, 0x16: 0xBA}),
}  # fmt: skip
#: Mode -> `MODE_SELECT`.
MODE_SELECTS = {0: 0x2C, 1: 0x28, 2: 0x2D, 3: 0x29, 4: 0x2A, 5: 0x2E, 6: 0x1E, 7: 0x29}
#: What a mode set is in units of `Calls.spend`, beside the call itself.
MODE_UNITS = 30
#: Pages of graphics modes that have more than one.
GRAPHICS_PAGES = {0x0D: 8, 0x0E: 4, 0x0F: 2, 0x10: 2}


class VideoBios:
    """INT 10h."""

    #: Nothing: what the calls remember is in the data area.
    SAVED: ClassVar[Saved] = {}

    def __init__(self, board: Board, calls: Calls) -> None:
        self._bus, self._cpu, self._calls = board.bus, board.cpu, calls
        self._vga = board.vga
        self.ports: Ports = Ports(self._vga)
        self.vbe: Vbe = Vbe(board, calls, self)
        self.palette: VideoPalette = VideoPalette(board, calls, self)
        self.fonts: VideoFonts = VideoFonts(board, calls, self)
        self.characters: Characters = Characters(board, calls, self)
        self._options = VideoOptions(board, self)
        self._state = VideoState(board, self.vbe)
        self._services: dict[int, Service] = {
            0x00: self._set_mode,
            0x01: self._set_cursor_shape,
            0x02: self._set_cursor,
            0x03: self._get_cursor,
            0x05: self._select_page,
            0x0B: self.palette.cga_service,
            0x0F: self._get_mode,
            0x10: self.palette.service,
            0x11: self.fonts.service,
            0x12: self._options.select,
            0x1A: self._options.display_combination,
            0x1B: self._options.state_information,
            0x1C: self._save_restore,
            0x4F: self.vbe.service,
        } | self.characters.services

    def service(self) -> bool | None:
        """INT 10h; calls there are not are ignored. `WAIT`, if one takes longer than a slice."""
        call = self._services.get(self._cpu.ah)
        return None if call is None else call()

    # --- modes ----------------------------------------------------------------------------------

    @property
    def mode(self) -> int:
        """The mode, as the data area says."""
        return self._bus.read8(MODE)

    @property
    def is_text(self) -> bool:
        """Whether characters are cells of memory."""
        mode = MODES.get(self.mode)
        return self.vbe.mode is None and mode is not None and mode.is_text

    @property
    def columns(self) -> int:
        """Characters in a row."""
        return self._bus.read16(COLUMNS) or 80

    @property
    def rows(self) -> int:
        """Rows of characters."""
        return self._bus.read8(LAST_ROW) + 1

    def _set_mode(self) -> None:
        cpu = self._cpu
        number = cpu.al & 0x7F
        if number not in MODES:
            return
        self.set_mode(number, clear=not cpu.al & 0x80)
        cpu.al = 0x30 if number < 6 or number == 7 else 0x3F if number == 6 else 0x20

    def set_mode(self, number: int, *, clear: bool = True) -> None:
        """Registers, palette, font, memory and data area of a mode."""
        vga = self._vga
        self._calls.spend(MODE_UNITS)
        options = self._bus.read8(MODE_OPTIONS)
        palette = bytes(vga.dac.entries) if options & KEEP_PALETTE else None
        self.vbe.mode = None
        self.vbe.mode_number = number | (0 if clear else KEEP)
        set_mode(vga, number, clear=clear)
        if palette is not None:
            self.palette.write_dac(0, palette)
        elif options & GREY:
            self.palette.to_greys(0, 256)
        self.write_mode_fields(number, clear=clear)
        lines = self._text_lines(number)
        if lines in TEXT_LINES:
            self._fewer_lines(lines)

    def _text_lines(self, number: int) -> int:
        """Lines of a mode, for text as 12h/30h chose; the user's font has its rows in 400."""
        options = self._bus.read8(MODE_OPTIONS) & (LINES_400 | LINES_200)
        if not MODES[number].is_text or self._vga.rom_font is not None:
            return 400
        if number == 7:  # never had 200
            return 350 if options == 0 else 400
        return {0: 350, LINES_200: 200}.get(options, 400)

    def _fewer_lines(self, lines: int) -> None:
        """Make a text mode that has just been set one of `TEXT_LINES`."""
        height, misc, registers = TEXT_LINES[lines]
        bus, ports, crtc = self._bus, self.ports, self.ports.crtc
        self._vga.outb(0x3C2, misc & ~1 | self._vga.inb(0x3CC) & 1)
        ports.set(SEQ, 1, ports.get(SEQ, 1) | 1)
        ports.set_attribute(0x13, 0)
        ports.set(crtc, 0x11, 0)
        for index, value in registers.items():
            ports.set(crtc, index, value)
        ports.set(crtc, 0x11, ports.get(crtc, 0x11) | 0x80)
        self.fonts.load_roms(0, height)
        bus.write16(CHAR_HEIGHT, height)
        bus.write16(CURSOR_SHAPE, (height - 2) << 8 | height - 1)
        bus.write8(SWITCHES, 0xF8 if lines == 200 else 0xF9)
        self._calls.set_vector(GLYPHS, FONTS[height])

    def geometry(self, number: int) -> tuple[int, int, int, int]:
        """Glyph height, rows, bytes of a page, columns."""
        return GEOMETRY.get(number, (16, 30, 0, 80))

    def write_mode_fields(self, number: int, *, clear: bool) -> None:
        """The data area of a mode that has been set."""
        bus = self._bus
        height, rows, page_bytes, columns = self.geometry(number)
        bus.write8(MODE, number)
        bus.write16(COLUMNS, columns)
        bus.write16(PAGE_BYTES, page_bytes)
        bus.write16(PAGE_START, 0)
        bus.write(CURSORS, bytes(16))
        bus.write16(CURSOR_SHAPE, 0x0607 if height == 8 else 0x0D0E)
        bus.write8(PAGE, 0)
        bus.write16(CRTC_PORT, self.ports.crtc)
        bus.write8(MODE_SELECT, MODE_SELECTS.get(number, 0x29))
        bus.write8(CGA_PALETTE, 0x3F if number == 6 else 0x30)
        bus.write8(LAST_ROW, rows - 1)
        bus.write16(CHAR_HEIGHT, height)
        kept = bus.read8(VIDEO_CONTROL) & NO_CURSOR_EMULATION
        bus.write8(VIDEO_CONTROL, 0x60 | kept | (0 if clear else 0x80))
        bus.write8(SWITCHES, 0xF9)
        bus.write8(DISPLAY_CODE, VGA_COLOUR)
        self._calls.set_vector(GLYPHS, FONTS.get(height, FONTS[16]))
        font, mode = self._vga.rom_font, MODES.get(number)  # none for VBE's
        if font is not None and mode is not None and mode.is_text and font.shape[1] != height:
            self.fonts.set_text_height(font.shape[1])

    def _get_mode(self) -> None:
        cpu, bus = self._cpu, self._bus
        cpu.al = self.mode | bus.read8(VIDEO_CONTROL) & 0x80
        cpu.ah, cpu.bh = self.columns, bus.read8(PAGE)

    # --- cursor and pages -------------------------------------------------------------------------

    def _set_cursor_shape(self) -> None:
        cpu = self._cpu
        self._bus.write16(CURSOR_SHAPE, cpu.cx)
        start, end = cpu.ch & 0x3F, cpu.cl & 0x1F
        height = self._bus.read8(CHAR_HEIGHT)
        # Programs think in the CGA's 8 lines; the BIOS scales that to the font.
        emulates = not self._bus.read8(VIDEO_CONTROL) & NO_CURSOR_EMULATION
        if emulates and height > 8 and end < 8 and start < 8 and not start & 0x20:
            full = end == start + 1
            end = (end + 1) * height // 8 - 1
            start = end - 1 if full else (start * height // 8)
        self.ports.set(self.ports.crtc, 0x0A, start)
        self.ports.set(self.ports.crtc, 0x0B, end)

    def cursor(self, page: int) -> tuple[int, int]:
        """Row and column of a page's cursor."""
        word = self._bus.read16(CURSORS + 2 * (page & 7))
        return word >> 8, word & 0xFF

    def move_cursor(self, page: int, row: int, column: int) -> None:
        """Put a page's cursor somewhere; the CRTC shows the active page's."""
        bus = self._bus
        bus.write16(CURSORS + 2 * (page & 7), row << 8 | column & 0xFF)
        if page == bus.read8(PAGE) and self.vbe.mode is None:
            at = bus.read16(PAGE_START) // 2 + row * self.columns + column
            self.ports.set(self.ports.crtc, 0x0E, at >> 8 & 0xFF)
            self.ports.set(self.ports.crtc, 0x0F, at & 0xFF)

    def _set_cursor(self) -> None:
        cpu = self._cpu
        self.move_cursor(cpu.bh & 7, cpu.dh, cpu.dl)

    def _get_cursor(self) -> None:
        cpu = self._cpu
        cpu.dh, cpu.dl = self.cursor(cpu.bh)
        cpu.cx = self._bus.read16(CURSOR_SHAPE)
        cpu.ax = 0

    def _select_page(self) -> None:
        bus, page = self._bus, self._cpu.al & 7
        if page >= self.pages:
            return  # would show what is no page
        start = page * bus.read16(PAGE_BYTES) & 0xFFFF
        bus.write8(PAGE, page)
        bus.write16(PAGE_START, start)
        address = start // 2 if self.is_text else start
        self.ports.set(self.ports.crtc, 0x0C, address >> 8)
        self.ports.set(self.ports.crtc, 0x0D, address & 0xFF)
        self.move_cursor(page, *self.cursor(page))

    @property
    def pages(self) -> int:
        """Pages of the mode."""
        return 8 if self.is_text else GRAPHICS_PAGES.get(self.mode, 1)

    def page_start(self, page: int) -> int:
        """Where a page begins in its window."""
        return (page & self.pages - 1) * self._bus.read16(PAGE_BYTES)

    # --- the picture ------------------------------------------------------------------------------

    @property
    def is_shown(self) -> bool:
        """Whether the sequencer lets the picture through."""
        return not self._vga.sequencer["screen_off"]

    def show(self, on: bool) -> None:
        """Show the picture, or keep the screen dark."""
        clocking = self.ports.get(SEQ, 1)
        self.ports.set(SEQ, 1, clocking & ~0x20 | (0 if on else 0x20))

    # --- states: 1Ch ------------------------------------------------------------------------------

    def _save_restore(self) -> None:
        cpu = self._cpu
        call, states, at = cpu.al, cpu.cx, (cpu.es << 4) + cpu.bx
        if call > 2 or states & ~VGA_STATES:
            return
        if call == 0:
            cpu.bx = self._state.blocks(states)
        elif call == 1:
            self._state.save(states, at)
        else:
            self._state.restore(states, at)
        cpu.al = 0x1C
