"""INT 10h: the builtin VGA BIOS, for when no ROM is used.

Emulated: modes 0-7 and 0Dh-13h with their registers, cursor, pages, scrolling, characters and
strings in text and graphics modes, pixels, palettes (0Bh, 10h), fonts (11h), alternate select
(12h), combination code (1Ah), state information (1Bh), VBE 2.0 through DISPI (4Fh, `vbe`), and the
fields of the BIOS data area that programs read. A font of the user's (`Vga.rom_font`) takes the
place of ROM's of its height, and text modes start with it. Not emulated: light pen, save/restore of
the video state (1Ch), 200- and 350-line text selected by INT 10h/12h/30h.

Source: IBM PS/2 and PC BIOS Interface Technical Reference; R. Brown's interrupt list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.x86.chips import Saved
from vgaemu.guest.x86.rom import FONT_8_UPPER, FONTS, ROM_SEGMENT, Service
from vgaemu.guest.x86.vbe import Vbe
from vgaemu.vga.device import Vga
from vgaemu.vga.font import bundled_font
from vgaemu.vga.modes import MODES, set_mode
from vgaemu.vga.scanout import FONT_ADDRESS

if TYPE_CHECKING:
    from vgaemu.guest.x86.pc import Pc

# BIOS data area.
MODE, COLUMNS, PAGE_BYTES, PAGE_START = 0x449, 0x44A, 0x44C, 0x44E
CURSORS, CURSOR_SHAPE, PAGE, CRTC_PORT = 0x450, 0x460, 0x462, 0x463
MODE_SELECT, CGA_PALETTE, LAST_ROW, CHAR_HEIGHT = 0x465, 0x466, 0x484, 0x485
VIDEO_CONTROL, SWITCHES, MODE_OPTIONS, DISPLAY_CODE = 0x487, 0x488, 0x489, 0x48A
#: VGA with an analog colour display.
VGA_COLOUR = 0x08

#: Mode -> glyph height, rows of text, bytes a page takes, columns.
GEOMETRY = {
    0x00: (16, 25, 0x0800, 40), 0x01: (16, 25, 0x0800, 40),
    0x02: (16, 25, 0x1000, 80), 0x03: (16, 25, 0x1000, 80),
    0x04: (8, 25, 0x4000, 40), 0x05: (8, 25, 0x4000, 40), 0x06: (8, 25, 0x4000, 80),
    0x07: (16, 25, 0x1000, 80),
    0x0D: (8, 25, 0x2000, 40), 0x0E: (8, 25, 0x4000, 80),
    0x0F: (14, 25, 0x8000, 80), 0x10: (14, 25, 0x8000, 80),
    0x11: (16, 30, 0x0000, 80), 0x12: (16, 30, 0x0000, 80),
    0x13: (8, 25, 0x0000, 40),
}  # fmt: skip
#: CRT mode control and palette registers of the CGA, as the data area remembers them.
MODE_SELECTS = {0: 0x2C, 1: 0x28, 2: 0x2D, 3: 0x29, 4: 0x2A, 5: 0x2E, 6: 0x1E, 7: 0x29}
#: Supported-functions table of INT 10h/1Bh: all modes, 400-line text, both fonts' blocks, ...
STATIC_STATE = bytes.fromhex("FF E0 0F 00 00 00 00 07 02 08 FF 0E 00 00 3F 00")
STATIC_STATE_AT = 0xE000  # in segment F000h
#: Characters that one INT 10h/13h writes; more have scrolled away.
MAX_STRING = 4096
BELL, BACKSPACE, LINE_FEED, RETURN = 7, 8, 10, 13

# Sequencer, graphics controller and CRTC index ports.
SEQ, GC = 0x3C4, 0x3CE


def rom_font(vga: Vga, height: int) -> NDArray[np.uint8]:
    """The font of a height that ROM has: the user's, if it is of that height."""
    font = vga.rom_font
    return font if font is not None and font.shape[1] == height else bundled_font(height)


class VideoBios:
    """INT 10h."""

    SAVED: ClassVar[Saved] = {"default_palette": (0, 1)}

    def __init__(self, pc: Pc) -> None:
        self._pc, self._bus, self._cpu = pc, pc.bus, pc.cpu
        self._vga = pc.bus.vga
        self.vbe: Vbe = Vbe(pc, self)
        self.default_palette = True
        self._calls: dict[int, Service] = {
            0x00: self._set_mode,
            0x01: self._set_cursor_shape,
            0x02: self._set_cursor,
            0x03: self._get_cursor,
            0x05: self._select_page,
            0x06: lambda: self._scroll_call(up=True),
            0x07: lambda: self._scroll_call(up=False),
            0x08: self._read_character,
            0x09: lambda: self._write_characters(with_attribute=True),
            0x0A: lambda: self._write_characters(with_attribute=False),
            0x0B: self._cga_palette,
            0x0C: self._write_pixel,
            0x0D: self._read_pixel,
            0x0E: self._teletype,
            0x0F: self._get_mode,
            0x10: self._palette,
            0x11: self._fonts,
            0x12: self._alternate_select,
            0x13: self._write_string,
            0x1A: self._display_combination,
            0x1B: self._state_information,
            0x4F: self.vbe.service,
        }
        self._palette_calls: dict[int, Service] = {
            0x00: self._set_attribute_register,
            0x01: lambda: self._write_attribute(0x11, self._cpu.bh),
            0x02: self._set_all_attribute_registers,
            0x03: self._blink_or_intensity,
            0x07: self._get_attribute_register,
            0x08: self._get_overscan,
            0x09: self._get_all_attribute_registers,
            0x10: self._set_dac_entry,
            0x12: self._set_dac_block,
            0x13: self._dac_page,
            0x15: self._get_dac_entry,
            0x17: self._get_dac_block,
            0x18: lambda: self._bus.port_out(0x3C6, 1, self._cpu.bl),
            0x19: self._get_dac_mask,
            0x1A: self._get_dac_page,
            0x1B: self._grey_scale,
        }
        self._alternate_calls: dict[int, Service] = {
            0x10: self._ega_information,
            0x30: lambda: self._accept(0x12),
            0x31: self._palette_loading,
            0x32: lambda: self._accept(0x12),
            0x33: lambda: self._accept(0x12),
            0x34: lambda: self._accept(0x12),
            0x36: self._screen_off,
        }

    def service(self) -> None:
        """INT 10h; calls there are not are ignored."""
        call = self._calls.get(self._cpu.ah)
        if call is not None:
            call()

    def _accept(self, al: int) -> None:
        self._cpu.al = al

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
        palette = bytes(vga.dac.entries) if not self.default_palette else None
        self.vbe.mode = None
        set_mode(vga, number, clear=clear)
        if palette is not None:
            self._write_dac(0, [tuple(palette[i : i + 3]) for i in range(0, 768, 3)])
        self.write_mode_fields(number, clear=clear)

    def write_mode_fields(self, number: int, *, clear: bool) -> None:
        """The data area of a mode that has been set."""
        bus = self._bus
        height, rows, page_bytes, columns = GEOMETRY.get(number, (16, 30, 0, 80))
        bus.write8(MODE, number)
        bus.write16(COLUMNS, columns)
        bus.write16(PAGE_BYTES, page_bytes or 0x10000 >> (number == 0x13) & 0xFFFF)
        bus.write16(PAGE_START, 0)
        bus.write(CURSORS, bytes(16))
        bus.write16(CURSOR_SHAPE, 0x0607 if height == 8 else 0x0D0E)
        bus.write8(PAGE, 0)
        bus.write16(CRTC_PORT, self._crtc)
        bus.write8(MODE_SELECT, MODE_SELECTS.get(number, 0x29))
        bus.write8(CGA_PALETTE, 0x3F if number == 6 else 0x30)
        bus.write8(LAST_ROW, rows - 1)
        bus.write16(CHAR_HEIGHT, height)
        bus.write8(VIDEO_CONTROL, 0x60 | (0 if clear else 0x80))
        bus.write8(SWITCHES, 0xF9)
        bus.write8(MODE_OPTIONS, 0x51)
        bus.write8(DISPLAY_CODE, VGA_COLOUR)
        self._pc.bios.set_vector(0x43, FONTS.get(height, FONTS[16]))
        font = self._vga.rom_font
        if font is not None and MODES[number].is_text and font.shape[1] != height:
            self._text_height(font.shape[1])

    def _get_mode(self) -> None:
        cpu, bus = self._cpu, self._bus
        cpu.al = self.mode | bus.read8(VIDEO_CONTROL) & 0x80
        cpu.ah, cpu.bh = self.columns, bus.read8(PAGE)

    # --- registers of the VGA ---------------------------------------------------------------------

    @property
    def _crtc(self) -> int:
        return 0x3D4 if self._vga.inb(0x3CC) & 1 else 0x3B4

    def _set_indexed(self, port: int, index: int, value: int) -> None:
        self._vga.outb(port, index)
        self._vga.outb(port + 1, value)

    def _get_indexed(self, port: int, index: int) -> int:
        self._vga.outb(port, index)
        return self._vga.inb(port + 1)

    def _write_attribute(self, index: int, value: int) -> None:
        vga = self._vga
        vga.inb(self._crtc + 6)
        vga.outb(0x3C0, index)
        vga.outb(0x3C0, value)
        vga.outb(0x3C0, 0x20)

    def _read_attribute(self, index: int) -> int:
        vga = self._vga
        vga.inb(self._crtc + 6)
        vga.outb(0x3C0, index | 0x20)
        value = vga.inb(0x3C1)
        vga.inb(self._crtc + 6)
        vga.outb(0x3C0, 0x20)
        return value

    # --- cursor and pages -------------------------------------------------------------------------

    def _set_cursor_shape(self) -> None:
        cpu = self._cpu
        self._bus.write16(CURSOR_SHAPE, cpu.cx)
        start, end = cpu.ch & 0x3F, cpu.cl & 0x1F
        height = self._bus.read8(CHAR_HEIGHT)
        # Programs think in the CGA's 8 lines; the BIOS scales that to the font.
        if height > 8 and end < 8 and start < 8 and not start & 0x20:
            full = end == start + 1
            end = (end + 1) * height // 8 - 1
            start = end - 1 if full else (start * height // 8)
        self._set_indexed(self._crtc, 0x0A, start)
        self._set_indexed(self._crtc, 0x0B, end)

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
            self._set_indexed(self._crtc, 0x0E, at >> 8 & 0xFF)
            self._set_indexed(self._crtc, 0x0F, at & 0xFF)

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
        page_bytes = bus.read16(PAGE_BYTES)
        bus.write8(PAGE, page)
        start = page * page_bytes & 0xFFFF
        bus.write16(PAGE_START, start)
        address = start // 2 if self.is_text else start
        self._set_indexed(self._crtc, 0x0C, address >> 8)
        self._set_indexed(self._crtc, 0x0D, address & 0xFF)
        self.move_cursor(page, *self.cursor(page))

    # --- characters -------------------------------------------------------------------------------

    def _text_base(self, page: int) -> int:
        base = 0xB0000 if self.mode == 7 else 0xB8000
        return base + (page & 7) * self._bus.read16(PAGE_BYTES)

    def _cell(self, page: int, row: int, column: int) -> int:
        return self._text_base(page) + 2 * (row * self.columns + column)

    def put_character(
        self, page: int, row: int, column: int, code: int, attribute: int | None
    ) -> None:
        """One character, in text or graphics; without an attribute the cell keeps its own."""
        if row >= self.rows or column >= self.columns:
            return
        if self.is_text:
            at = self._cell(page, row, column)
            cell = bytes((code,)) if attribute is None else bytes((code, attribute))
            self._vga.store(at, cell)
        else:
            self._draw_glyph(page, row, column, code, 7 if attribute is None else attribute)

    def _font_row(self, code: int) -> bytes:
        """A glyph's rows in graphics, from where INT 43h and INT 1Fh point."""
        bus = self._bus
        height = bus.read8(CHAR_HEIGHT) or 8
        vector = 0x43
        if self.mode in (4, 5, 6) and code >= 128:
            vector, code = 0x1F, code - 128
        at = (bus.read16(4 * vector + 2) << 4) + bus.read16(4 * vector)
        return bus.read(at + code * height, height)

    def _draw_glyph(self, page: int, row: int, column: int, code: int, colour: int) -> None:
        glyph = self._font_row(code)
        top, mode = row * len(glyph), self.mode
        if mode in range(0x0D, 0x13) and self.vbe.mode is None:
            self._draw_planar(page, top, column, glyph, colour)
            return
        for line, bits in enumerate(glyph):
            y = top + line
            if mode == 0x13 and self.vbe.mode is None:
                pixels = bytes(colour if bits & 0x80 >> i else 0 for i in range(8))
                self._vga.store(0xA0000 + y * 320 + column * 8, pixels)
            elif mode == 6:
                at = 0xB8000 + (y & 1) * 0x2000 + (y >> 1) * 80 + column
                old = self._vga.load(at, 1)[0] if colour & 0x80 else 0
                self._vga.store(at, bytes((old ^ (bits if colour & 1 else 0),)))
            elif mode in (4, 5):
                wide = sum((colour & 3) << 2 * (7 - i) for i in range(8) if bits & 0x80 >> i)
                at = 0xB8000 + (y & 1) * 0x2000 + (y >> 1) * 80 + column * 2
                if colour & 0x80:
                    wide ^= int.from_bytes(self._vga.load(at, 2), "big")
                self._vga.store(at, wide.to_bytes(2, "big"))
            elif self.vbe.mode is not None:
                self.vbe.draw_row(column * 8, y, bits, colour)

    def _planar_setup(self, values: dict[int, int]) -> dict[int, int]:
        saved = {index: self._get_indexed(GC, index) for index in values}
        for index, value in values.items():
            self._set_indexed(GC, index, value)
        return saved

    def _draw_planar(self, page: int, top: int, column: int, glyph: bytes, colour: int) -> None:
        vga, pitch = self._vga, self.columns
        at = 0xA0000 + (page & 7) * self._bus.read16(PAGE_BYTES) + top * pitch + column
        xor = 0x18 if colour & 0x80 else 0
        saved = self._planar_setup({0: colour & 15, 1: 15, 3: xor, 5: 0, 8: 0xFF})
        old_mask = self._get_indexed(SEQ, 2)
        self._set_indexed(SEQ, 2, 15)
        if not xor:
            self._set_indexed(GC, 0, 0)
            for y in range(len(glyph)):
                vga.store(at + y * pitch, b"\xff")
            self._set_indexed(GC, 0, colour & 15)
        vga.outb(GC, 8)
        for y, bits in enumerate(glyph):
            if bits:
                vga.outb(GC + 1, bits)
                vga.load(at + y * pitch, 1)
                vga.store(at + y * pitch, b"\xff")
        for index, value in saved.items():
            self._set_indexed(GC, index, value)
        self._set_indexed(SEQ, 2, old_mask)

    def _read_character(self) -> None:
        cpu = self._cpu
        row, column = self.cursor(cpu.bh)
        if self.is_text:
            code, attribute = self._vga.load(self._cell(cpu.bh, row, column), 2)
            cpu.al, cpu.ah = code, attribute
            return
        height = self._bus.read8(CHAR_HEIGHT) or 8
        drawn = bytes(
            sum(0x80 >> i for i in range(8) if self.pixel(column * 8 + i, row * height + y, cpu.bh))
            for y in range(height)
        )
        cpu.al = next((code for code in range(256) if self._font_row(code) == drawn), 0)
        cpu.ah = 0

    def _write_characters(self, *, with_attribute: bool) -> None:
        cpu = self._cpu
        row, column = self.cursor(cpu.bh)
        page = cpu.bh if self.is_text else 0
        attribute = cpu.bl if with_attribute or not self.is_text else None
        code = cpu.al
        room = self.columns * self.rows - (row * self.columns + column)
        count = max(min(cpu.cx, room), 0)
        if self.is_text and attribute is not None:
            self._vga.store(self._cell(page, row, column), bytes((code, attribute)) * count)
            return
        for at in range(column, column + count):
            self.put_character(page, row + at // self.columns, at % self.columns, code, attribute)

    def _teletype(self) -> None:
        cpu = self._cpu
        # AL in the active page, whatever BH says: what every program means.
        self.type(cpu.al, cpu.bl if not self.is_text else None)

    def type(self, code: int, attribute: int | None = None, page: int | None = None) -> None:
        """A character at the cursor, which moves on; the screen scrolls at its end."""
        bus = self._bus
        if page is None:
            page = bus.read8(PAGE)
        row, column = self.cursor(page)
        if code == BELL:
            return
        if code == BACKSPACE:
            column = max(column - 1, 0)
        elif code == RETURN:
            column = 0
        elif code == LINE_FEED:
            row += 1
        else:
            self.put_character(page, row, column, code, attribute)
            column += 1
            if column >= self.columns:
                column, row = 0, row + 1
        if row >= self.rows:
            row = self.rows - 1
            fill = 0
            if self.is_text:
                fill = self._vga.load(self._cell(page, row, 0) + 1, 1)[0]
            self.scroll(page, 1, (0, 0), (self.rows - 1, self.columns - 1), fill)
        self.move_cursor(page, row, column)

    def _write_string(self) -> None:
        cpu, bus = self._cpu, self._bus
        page, attribute, options = cpu.bh & 7, cpu.bl, cpu.al
        at = (cpu.es << 4) + cpu.bp
        before = self.cursor(page)
        self.move_cursor(page, cpu.dh, cpu.dl)
        for _ in range(min(cpu.cx, MAX_STRING)):
            code = bus.read8(at)
            at += 1
            if options & 2:
                attribute = bus.read8(at)
                at += 1
            if code in (BELL, BACKSPACE, LINE_FEED, RETURN):
                self.type(code, page=page)
            else:
                self.type(code, attribute, page)
        if not options & 1:
            self.move_cursor(page, *before)

    def _scroll_call(self, *, up: bool) -> None:
        cpu = self._cpu
        lines = cpu.al if up else -cpu.al
        corner = (cpu.dh, cpu.dl)
        self.scroll(self._bus.read8(PAGE), lines, (cpu.ch, cpu.cl), corner, cpu.bh)

    def scroll(
        self, page: int, lines: int, first: tuple[int, int], last: tuple[int, int], fill: int
    ) -> None:
        """Move a window of characters.

        Args:
            page: Text page.
            lines: Upwards; negative is downwards, 0 clears the window.
            first: Row and column of its upper left character.
            last: Of its lower right one.
            fill: Attribute, or colour, of the lines that come in.
        """
        top, left = first
        bottom, right = min(last[0], self.rows - 1), min(last[1], self.columns - 1)
        if top > bottom or left > right:
            return
        height = bottom - top + 1
        if lines == 0 or abs(lines) > height:
            lines = height
        move = self._move_text_row if self.is_text else self._move_glyph_row
        clear = self._clear_text_row if self.is_text else self._clear_glyph_row
        rows = range(top, bottom + 1 - lines) if lines > 0 else range(bottom, top - 1 - lines, -1)
        for row in rows:
            move(page, row + lines, row, left, right)
        new = range(bottom + 1 - lines, bottom + 1) if lines > 0 else range(top, top - lines)
        for row in new:
            clear(page, row, left, right, fill)

    def _move_text_row(self, page: int, source: int, target: int, left: int, right: int) -> None:
        cells = self._vga.load(self._cell(page, source, left), 2 * (right - left + 1))
        self._vga.store(self._cell(page, target, left), cells)

    def _clear_text_row(self, page: int, row: int, left: int, right: int, fill: int) -> None:
        self._vga.store(self._cell(page, row, left), bytes((0x20, fill)) * (right - left + 1))

    def _lines(self, row: int) -> range:
        height = self._bus.read8(CHAR_HEIGHT) or 8
        return range(row * height, (row + 1) * height)

    def _span(self, page: int, y: int, left: int, right: int) -> tuple[int, int]:
        """Address and bytes of a line of pixels under characters `left` to `right`."""
        mode, width = self.mode, right - left + 1
        if mode == 0x13:
            return 0xA0000 + y * 320 + left * 8, width * 8
        if mode in (4, 5, 6):
            scale = 1 if mode == 6 else 2
            return 0xB8000 + (y & 1) * 0x2000 + (y >> 1) * 80 + left * scale, width * scale
        start = page * self._bus.read16(PAGE_BYTES)
        return 0xA0000 + start + y * self.columns + left, width

    def _move_glyph_row(self, page: int, source: int, target: int, left: int, right: int) -> None:
        if self.vbe.mode is not None:
            self.vbe.move_row(source, target, left, right)
            return
        planar = self.mode in range(0x0D, 0x13)
        saved = self._planar_setup({5: 1}) if planar else {}
        for up, down in zip(self._lines(source), self._lines(target), strict=True):
            at, count = self._span(page, up, left, right)
            to, _ = self._span(page, down, left, right)
            self._vga.copy(at, to, count)
        for index, value in saved.items():
            self._set_indexed(GC, index, value)

    def _clear_glyph_row(self, page: int, row: int, left: int, right: int, fill: int) -> None:
        if self.vbe.mode is not None:
            self.vbe.clear_row(row, left, right)
            return
        saved: dict[int, int] = {}
        if self.mode in range(0x0D, 0x13):
            saved = self._planar_setup({0: fill & 15, 1: 15, 3: 0, 5: 0, 8: 0xFF})
        value = fill
        if self.mode in (4, 5):
            value = (fill & 3) * 0x55
        elif self.mode == 6:
            value = (fill & 1) * 0xFF
        for y in self._lines(row):
            at, count = self._span(page, y, left, right)
            self._vga.store(at, bytes((value,)) * count)
        for index, old in saved.items():
            self._set_indexed(GC, index, old)

    # --- pixels -----------------------------------------------------------------------------------

    def _write_pixel(self) -> None:
        cpu, vga, mode = self._cpu, self._vga, self.mode
        x, y, colour = cpu.cx, cpu.dx, cpu.al
        if self.vbe.mode is not None:
            self.vbe.write_pixel(x, y, colour)
        elif mode == 0x13:
            vga.store(0xA0000 + y * 320 + x, bytes((colour,)))
        elif mode in (4, 5, 6):
            at, shift, mask = self._cga_place(x, y)
            old = vga.load(at, 1)[0]
            value = (colour & mask) << shift
            new = old ^ value if colour & 0x80 else old & ~(mask << shift) | value
            vga.store(at, bytes((new,)))
        elif not self.is_text:
            page = cpu.bh & 7
            at = 0xA0000 + page * self._bus.read16(PAGE_BYTES) + y * self.columns + (x >> 3)
            xor = 0x18 if colour & 0x80 else 0
            saved = self._planar_setup({0: colour & 15, 1: 15, 3: xor, 5: 0, 8: 0x80 >> (x & 7)})
            old_mask = self._get_indexed(SEQ, 2)
            self._set_indexed(SEQ, 2, 15)
            vga.load(at, 1)
            vga.store(at, b"\xff")
            self._set_indexed(SEQ, 2, old_mask)
            for index, value in saved.items():
                self._set_indexed(GC, index, value)

    def _cga_place(self, x: int, y: int) -> tuple[int, int, int]:
        bits = 1 if self.mode == 6 else 2
        per_byte = 8 // bits
        at = 0xB8000 + (y & 1) * 0x2000 + (y >> 1) * 80 + x // per_byte
        return at, (per_byte - 1 - x % per_byte) * bits, (1 << bits) - 1

    def pixel(self, x: int, y: int, page: int) -> int:
        """Colour of a pixel in a graphics mode."""
        vga, mode = self._vga, self.mode
        if self.vbe.mode is not None:
            return self.vbe.read_pixel(x, y)
        if mode == 0x13:
            return vga.load(0xA0000 + y * 320 + x, 1)[0]
        if mode in (4, 5, 6):
            at, shift, mask = self._cga_place(x, y)
            return vga.load(at, 1)[0] >> shift & mask
        at = 0xA0000 + (page & 7) * self._bus.read16(PAGE_BYTES) + y * self.columns + (x >> 3)
        saved = self._planar_setup({4: 0, 5: 0})
        colour = 0
        for plane in range(4):
            self._set_indexed(GC, 4, plane)
            colour |= (vga.load(at, 1)[0] >> (7 - (x & 7)) & 1) << plane
        for index, value in saved.items():
            self._set_indexed(GC, index, value)
        return colour

    def _read_pixel(self) -> None:
        cpu = self._cpu
        if not self.is_text:
            cpu.al = self.pixel(cpu.cx, cpu.dx, cpu.bh)

    # --- palette: 0Bh, 10h ------------------------------------------------------------------------

    def _cga_palette(self) -> None:
        cpu, bus = self._cpu, self._bus
        remembered = bus.read8(CGA_PALETTE)
        if cpu.bh == 0:
            colour = cpu.bl
            # Bits 0-2 of the background, bit 4 its intensity as the attribute palette has it.
            value = colour & 7 | (colour & 8) << 1
            if self.mode in (4, 5):
                self._write_attribute(0, value)
            self._write_attribute(0x11, value)
            for index in (1, 2, 3) if self.mode in (4, 5) else ():
                old = self._read_attribute(index)
                self._write_attribute(index, old & ~0x10 | colour & 0x10)
            bus.write8(CGA_PALETTE, remembered & 0xE0 | colour & 0x1F)
        else:
            for index in (1, 2, 3):
                old = self._read_attribute(index)
                self._write_attribute(index, old & 0xFE | cpu.bl & 1)
            bus.write8(CGA_PALETTE, remembered & 0xDF | (cpu.bl & 1) << 5)

    def _palette(self) -> None:
        call = self._palette_calls.get(self._cpu.al)
        if call is not None:
            call()

    def _set_attribute_register(self) -> None:
        if self._cpu.bl <= 0x14:
            self._write_attribute(self._cpu.bl, self._cpu.bh)

    def _set_all_attribute_registers(self) -> None:
        at = (self._cpu.es << 4) + self._cpu.dx
        for index, value in enumerate(self._bus.read(at, 16)):
            self._write_attribute(index, value)
        self._write_attribute(0x11, self._bus.read8(at + 16))

    def _blink_or_intensity(self) -> None:
        mode_control = self._read_attribute(0x10)
        self._write_attribute(0x10, mode_control & ~8 | (self._cpu.bl & 1) << 3)

    def _get_attribute_register(self) -> None:
        if self._cpu.bl <= 0x14:
            self._cpu.bh = self._read_attribute(self._cpu.bl)

    def _get_overscan(self) -> None:
        self._cpu.bh = self._read_attribute(0x11)

    def _get_all_attribute_registers(self) -> None:
        at = (self._cpu.es << 4) + self._cpu.dx
        values = [self._read_attribute(index) for index in (*range(16), 0x11)]
        self._bus.write(at, bytes(values))

    def _write_dac(self, first: int, colours: list[tuple[int, ...]]) -> None:
        vga = self._vga
        vga.outb(0x3C8, first & 0xFF)
        for colour in colours:
            for component in colour:
                vga.outb(0x3C9, component)

    def _read_dac(self, first: int, count: int) -> bytes:
        vga = self._vga
        vga.outb(0x3C7, first & 0xFF)
        return bytes(vga.inb(0x3C9) for _ in range(3 * count))

    def _set_dac_entry(self) -> None:
        cpu = self._cpu
        self._write_dac(cpu.bx, [(cpu.dh, cpu.ch, cpu.cl)])

    def _set_dac_block(self) -> None:
        cpu = self._cpu
        count = min(cpu.cx, 256)
        data = self._bus.read((cpu.es << 4) + cpu.dx, 3 * count)
        self._write_dac(cpu.bx, [tuple(data[i : i + 3]) for i in range(0, 3 * count, 3)])

    def _dac_page(self) -> None:
        cpu = self._cpu
        mode_control = self._read_attribute(0x10)
        if cpu.bl == 0:
            self._write_attribute(0x10, mode_control & 0x7F | (cpu.bh & 1) << 7)
        else:
            shift = 0 if mode_control & 0x80 else 2
            self._write_attribute(0x14, cpu.bh << shift & 0x0F)

    def _get_dac_page(self) -> None:
        cpu = self._cpu
        mode_control = self._read_attribute(0x10)
        cpu.bl = mode_control >> 7
        cpu.bh = self._read_attribute(0x14) >> (0 if cpu.bl else 2)

    def _get_dac_entry(self) -> None:
        cpu = self._cpu
        cpu.dh, cpu.ch, cpu.cl = self._read_dac(cpu.bl, 1)

    def _get_dac_block(self) -> None:
        cpu = self._cpu
        self._bus.write((cpu.es << 4) + cpu.dx, self._read_dac(cpu.bx, min(cpu.cx, 256)))

    def _get_dac_mask(self) -> None:
        self._cpu.bl = self._bus.port_in(0x3C6, 1)

    def _grey_scale(self) -> None:
        cpu = self._cpu
        data = self._read_dac(cpu.bx, min(cpu.cx, 256))
        greys = []
        for i in range(0, len(data), 3):
            red, green, blue = data[i : i + 3]
            greys.append(((77 * red + 151 * green + 28 * blue + 128) >> 8,) * 3)
        self._write_dac(cpu.bx, [tuple(grey) for grey in greys])

    # --- fonts: 11h -------------------------------------------------------------------------------

    def _fonts(self) -> None:
        cpu, bus = self._cpu, self._bus
        call = cpu.al
        rom_heights = {1: 14, 2: 8, 4: 16}
        block = cpu.bl & 7
        if call & 0xEF == 0x00:
            height, count, first = cpu.bh, min(cpu.cx, 256), cpu.dx
            data = bus.read((cpu.es << 4) + cpu.bp, count * height)
            self._load_glyphs(block, first, height, data)
            if call == 0x10:
                self._text_height(height)
        elif call & 0xEF in rom_heights:
            height = rom_heights[call & 0xEF]
            self._load_glyphs(block, 0, height, rom_font(self._vga, height).tobytes())
            if call & 0x10:
                self._text_height(height)
        elif call == 0x03:
            self._set_indexed(SEQ, 3, cpu.bl)
        elif call in (0x20, 0x21, 0x22, 0x23, 0x24):
            self._graphics_font(call)
        elif call == 0x30:
            self._font_information()

    def _load_glyphs(self, block: int, first: int, height: int, data: bytes) -> None:
        """Glyphs into plane 2, through the windows, as SR and GR registers ask for."""
        if not 0 < height <= 32:
            return
        vga = self._vga
        saved_sequencer = {index: self._get_indexed(SEQ, index) for index in (2, 4)}
        saved_graphics = self._planar_setup({1: 0, 3: 0, 4: 2, 5: 0, 6: 4, 8: 0xFF})
        self._set_indexed(SEQ, 2, 4)
        self._set_indexed(SEQ, 4, 6)
        for number in range(len(data) // height):
            code = first + number
            if code < 256:
                glyph = data[number * height : (number + 1) * height]
                vga.store(0xA0000 + FONT_ADDRESS[block] + 32 * code, glyph)
        for index, value in saved_sequencer.items():
            self._set_indexed(SEQ, index, value)
        for index, value in saved_graphics.items():
            self._set_indexed(GC, index, value)

    def _text_height(self, height: int) -> None:
        """Character cells of another height: rows, cursor and page size follow."""
        bus, crtc = self._bus, self._crtc
        if not 0 < height <= 32 or not self.is_text:
            return
        cells = self._get_indexed(crtc, 9)
        self._set_indexed(crtc, 9, cells & 0xE0 | height - 1)
        overflow = self._get_indexed(crtc, 7)
        displayed = self._get_indexed(crtc, 0x12) | (overflow & 2) << 7 | (overflow & 0x40) << 3
        rows = (displayed + 1) // height
        self._set_indexed(crtc, 0x0A, max(height - 2, 0))
        self._set_indexed(crtc, 0x0B, height - 1)
        bus.write8(LAST_ROW, rows - 1)
        bus.write16(CHAR_HEIGHT, height)
        bus.write16(CURSOR_SHAPE, (height - 2 & 0xFF) << 8 | height - 1)
        page_bytes = rows * self.columns * 2
        bus.write16(PAGE_BYTES, page_bytes + 255 & ~255)

    def _graphics_font(self, call: int) -> None:
        cpu, bus, bios = self._cpu, self._bus, self._pc.bios
        if call == 0x20:
            bios.set_vector(0x1F, cpu.bp, cpu.es)
            return
        rows = {1: 14, 2: 25, 3: 43}.get(cpu.bl, cpu.dl)
        if call == 0x21:
            bios.set_vector(0x43, cpu.bp, cpu.es)
            bus.write16(CHAR_HEIGHT, cpu.cx)
        else:
            height = {0x22: 14, 0x23: 8, 0x24: 16}[call]
            bios.set_vector(0x43, FONTS[height])
            bus.write16(CHAR_HEIGHT, height)
        bus.write8(LAST_ROW, max(rows, 1) - 1)

    def _font_information(self) -> None:
        cpu, bus = self._cpu, self._bus
        places = {
            2: FONTS[14], 3: FONTS[8], 4: FONT_8_UPPER, 5: FONTS[14], 6: FONTS[16], 7: FONTS[16],
        }  # fmt: skip
        if cpu.bh in (0, 1):
            vector = 0x1F if cpu.bh == 0 else 0x43
            segment, offset = bus.read16(4 * vector + 2), bus.read16(4 * vector)
        elif cpu.bh in places:
            segment, offset = ROM_SEGMENT, places[cpu.bh]
        else:
            return
        cpu.set("es", segment)
        cpu.bp = offset
        cpu.cx = bus.read16(CHAR_HEIGHT)
        cpu.dl = bus.read8(LAST_ROW)

    # --- 12h, 1Ah, 1Bh ----------------------------------------------------------------------------

    def _alternate_select(self) -> None:
        call = self._alternate_calls.get(self._cpu.bl)
        if call is not None:
            call()

    def _ega_information(self) -> None:
        cpu = self._cpu
        cpu.bh, cpu.bl = int(self.mode == 7), 3  # 256 KiB
        cpu.ch, cpu.cl = 0, 9

    def _palette_loading(self) -> None:
        self.default_palette = self._cpu.al == 0
        self._accept(0x12)

    def _screen_off(self) -> None:
        clocking = self._get_indexed(SEQ, 1)
        self._set_indexed(SEQ, 1, clocking & ~0x20 | (self._cpu.al & 1) << 5)
        self._accept(0x12)

    def _display_combination(self) -> None:
        cpu = self._cpu
        if cpu.al == 0:
            cpu.bx = VGA_COLOUR
        if cpu.al in (0, 1):
            cpu.al = 0x1A

    def _state_information(self) -> None:
        cpu, bus = self._cpu, self._bus
        if cpu.bx != 0:
            return
        at = (cpu.es << 4) + cpu.di
        state = bytearray(64)
        state[0:4] = STATIC_STATE_AT.to_bytes(2, "little") + (0xF000).to_bytes(2, "little")
        state[0x04:0x22] = bus.read(MODE, 30)
        state[0x22] = self.rows
        state[0x23:0x25] = bus.read(CHAR_HEIGHT, 2)
        state[0x25] = VGA_COLOUR
        colours = {4: 4, 5: 4, 6: 2, 7: 0, 0x0F: 0, 0x11: 2, 0x13: 256}.get(self.mode, 16)
        state[0x27:0x29] = colours.to_bytes(2, "little")
        state[0x29] = 8 if self.is_text else 1
        height = {0x0F: 1, 0x10: 1, 0x11: 3, 0x12: 3}.get(self.mode, 2 if self.is_text else 0)
        state[0x2A] = height
        state[0x31] = 3  # 256 KiB
        bus.write(at, bytes(state))
        cpu.al = 0x1B
