"""INT 10h: the builtin VGA BIOS, for when no ROM is used.

Emulated: modes 0-7 and 0Dh-13h with their registers, cursor, pages, scrolling, characters and
strings in text and graphics modes, pixels, palettes (0Bh, 10h), fonts (11h), alternate select
(12h), combination code (1Ah), state information (1Bh), saving and restoring (1Ch, `video_state`),
VBE 2.0 through DISPI (4Fh, `vbe`), and the fields of the BIOS data area that programs read. A font
of the user's (`Vga.rom_font`) takes the place of ROM's of its height, and text modes start with it,
in 400 lines. Not emulated: light pen, the tables of the save pointer.

Source: IBM PS/2 and PC BIOS Interface Technical Reference; R. Brown's interrupt list.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.x86.chips import Saved
from vgaemu.guest.x86.rom import FONT_8_UPPER, FONTS, ROM_SEGMENT, Service
from vgaemu.guest.x86.vbe import KEEP, Vbe
from vgaemu.guest.x86.video_state import VGA_STATES, VideoState
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
#: `MODE_OPTIONS`: the VGA is there; colours become greys; mode sets leave the palette alone; 400 or
#: 200 lines of text, else 350.
VGA_ACTIVE, GREY, KEEP_PALETTE, LINES_400, LINES_200 = 0x41, 0x02, 0x08, 0x10, 0x80
#: `VIDEO_CONTROL`: cursor shapes are taken as they are.
NO_CURSOR_EMULATION = 0x01

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
#: CRT mode control and palette registers of the CGA, as the data area remembers them.
MODE_SELECTS = {0: 0x2C, 1: 0x28, 2: 0x2D, 3: 0x29, 4: 0x2A, 5: 0x2E, 6: 0x1E, 7: 0x29}
#: Supported-functions table of INT 10h/1Bh: all modes; text of 200, 350 and 400 lines; 2 of 8 fonts
#: at once; palettes, greys, cursors; saving, blinking, combination code; no save pointers.
STATIC_STATE = bytes.fromhex("FF E0 0F 00 00 00 00 07 02 08 FF 0E 00 00 00 00")
STATIC_STATE_AT = 0xE000  # in segment F000h
#: What calls do beside the call itself, in units of `Bios.worked`: a mode set, a glyph, a pixel.
MODE_UNITS, GLYPH_UNITS, PIXEL_UNITS = 30, 6, 3
#: What one unit is worth: lines of pixels scrolled, colours of the DAC, glyphs put into a font.
LINES_A_UNIT, COLOURS_A_UNIT, GLYPHS_A_UNIT = 4, 16, 16
BELL, BACKSPACE, LINE_FEED, RETURN = CONTROLS = 7, 8, 10, 13

# Sequencer, graphics controller and CRTC index ports.
SEQ, GC = 0x3C4, 0x3CE
PLANAR_MODES = range(0x0D, 0x13)
#: Pages of graphics modes that have more than one.
GRAPHICS_PAGES = {0x0D: 8, 0x0E: 4, 0x0F: 2, 0x10: 2}


def rom_font(vga: Vga, height: int) -> NDArray[np.uint8]:
    """The font of a height that ROM has: the user's, if it is of that height."""
    font = vga.rom_font
    return font if font is not None and font.shape[1] == height else bundled_font(height)


def grey(red: int, green: int, blue: int) -> tuple[int, int, int]:
    """30 % red, 59 % green, 11 % blue.

    >>> grey(63, 63, 63), grey(0, 42, 0)
    ((63, 63, 63), (25, 25, 25))
    """
    return ((77 * red + 151 * green + 28 * blue + 128) >> 8,) * 3


class VideoBios:
    """INT 10h."""

    #: Nothing: what the calls remember is in the data area.
    SAVED: ClassVar[Saved] = {}

    def __init__(self, pc: Pc) -> None:
        self._pc, self._bus, self._cpu = pc, pc.bus, pc.cpu
        self._vga = pc.bus.vga
        self.vbe: Vbe = Vbe(pc, self)
        self._state = VideoState(pc, self.vbe)
        pc.bus.write8(MODE_OPTIONS, VGA_ACTIVE | LINES_400)
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
            0x1C: self._save_restore,
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
            0x30: self._select_lines,
            0x31: self._palette_loading,
            0x32: self._access,
            0x33: self._grey_mode,
            0x34: self._cursor_emulation,
            0x36: self._screen_off,
        }

    def service(self) -> bool | None:
        """INT 10h; calls there are not are ignored. `WAIT`, if one takes longer than a slice."""
        call = self._calls.get(self._cpu.ah)
        return None if call is None else call()

    def _accept(self, al: int) -> None:
        self._cpu.al = al

    def _worked(self, units: int) -> None:
        self._pc.bios.worked(units)

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
        self._worked(MODE_UNITS)
        options = self._bus.read8(MODE_OPTIONS)
        palette = bytes(vga.dac.entries) if options & KEEP_PALETTE else None
        self.vbe.mode = None
        self.vbe.mode_number = number | (0 if clear else KEEP)
        set_mode(vga, number, clear=clear)
        if palette is not None:
            self._write_dac(0, [tuple(palette[i : i + 3]) for i in range(0, 768, 3)])
        elif options & GREY:
            self._to_greys(0, 256)
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
        crtc = self._crtc
        self._vga.outb(0x3C2, misc & ~1 | self._vga.inb(0x3CC) & 1)
        self._set_indexed(SEQ, 1, self._get_indexed(SEQ, 1) | 1)
        self._write_attribute(0x13, 0)
        self._set_indexed(crtc, 0x11, 0)
        for index, value in registers.items():
            self._set_indexed(crtc, index, value)
        self._set_indexed(crtc, 0x11, self._get_indexed(crtc, 0x11) | 0x80)
        self._load_glyphs(0, 0, height, rom_font(self._vga, height).tobytes())
        bus = self._bus
        bus.write16(CHAR_HEIGHT, height)
        bus.write16(CURSOR_SHAPE, (height - 2) << 8 | height - 1)
        bus.write8(SWITCHES, 0xF8 if lines == 200 else 0xF9)
        self._pc.bios.set_vector(0x43, FONTS[height])

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
        bus.write16(CRTC_PORT, self._crtc)
        bus.write8(MODE_SELECT, MODE_SELECTS.get(number, 0x29))
        bus.write8(CGA_PALETTE, 0x3F if number == 6 else 0x30)
        bus.write8(LAST_ROW, rows - 1)
        bus.write16(CHAR_HEIGHT, height)
        kept = bus.read8(VIDEO_CONTROL) & NO_CURSOR_EMULATION
        bus.write8(VIDEO_CONTROL, 0x60 | kept | (0 if clear else 0x80))
        bus.write8(SWITCHES, 0xF9)
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

    @contextmanager
    def _registers(
        self, graphics: dict[int, int], sequencer: dict[int, int] | None = None
    ) -> Iterator[None]:
        """Other values in graphics controller and sequencer for a while."""
        vga = self._vga
        banks = ((GC, vga.graphics, graphics), (SEQ, vga.sequencer, sequencer or {}))
        saved = [(port, bank, {i: bank.values[i] for i in values}) for port, bank, values in banks]
        for port, bank, values in banks:
            for index, value in values.items():
                if bank.values[index] != value:
                    self._set_indexed(port, index, value)
        try:
            yield
        finally:
            for port, bank, values in saved:
                for index, value in values.items():
                    if bank.values[index] != value:
                        self._set_indexed(port, index, value)

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
        emulates = not self._bus.read8(VIDEO_CONTROL) & NO_CURSOR_EMULATION
        if emulates and height > 8 and end < 8 and start < 8 and not start & 0x20:
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
        if page >= self.pages:
            return  # would show what is no page
        start = page * bus.read16(PAGE_BYTES) & 0xFFFF
        bus.write8(PAGE, page)
        bus.write16(PAGE_START, start)
        address = start // 2 if self.is_text else start
        self._set_indexed(self._crtc, 0x0C, address >> 8)
        self._set_indexed(self._crtc, 0x0D, address & 0xFF)
        self.move_cursor(page, *self.cursor(page))

    @property
    def pages(self) -> int:
        """Pages of the mode."""
        return 8 if self.is_text else GRAPHICS_PAGES.get(self.mode, 1)

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
            self._draw_glyphs(page, row, column, code, 7 if attribute is None else attribute, 1)

    def _font(self, first: int, count: int) -> NDArray[np.uint8]:
        """(count, height) uint8: glyphs of graphics modes, from where INT 43h and 1Fh point."""
        bus = self._bus
        height = bus.read8(CHAR_HEIGHT) or 8
        parts = [(0x43, 0, 256)]
        if self.mode in (4, 5, 6) and self.vbe.mode is None:
            parts = [(0x43, 0, 128), (0x1F, 128, 256)]
        rows = b""
        for vector, begin, end in parts:
            start, stop = max(first, begin), min(first + count, end)
            if start < stop:
                at = (bus.read16(4 * vector + 2) << 4) + bus.read16(4 * vector)
                rows += bus.read(at + (start - begin) * height, (stop - start) * height)
        return np.frombuffer(rows, np.uint8).reshape(count, height)

    def _draw_glyphs(
        self, page: int, row: int, column: int, code: int, colour: int, count: int
    ) -> None:
        """A glyph in a graphics mode, side by side so often; all of them lie in the row."""
        glyph = self._font(code, 1)[0]
        top, mode = row * len(glyph), self.mode
        self._worked(GLYPH_UNITS * (1 + count // 16))
        if self.vbe.mode is not None:
            self.vbe.draw_glyphs(column * 8, top, glyph, colour, count)
        elif mode in PLANAR_MODES:
            self._draw_planar(page, top, column, glyph, colour, count)
        else:
            self._draw_packed(page, top, column, glyph, colour, count)

    def _draw_packed(
        self, page: int, top: int, column: int, glyph: NDArray[np.uint8], colour: int, count: int
    ) -> None:
        """In modes 4-6 and 13h."""
        vga, mode = self._vga, self.mode
        bits = np.unpackbits(np.tile(glyph[:, None], (1, count)), axis=1)
        if mode == 0x13:
            rows = bits * np.uint8(colour)
        elif mode == 6:
            rows = np.packbits(bits * np.uint8(colour & 1), axis=1)
        else:
            pairs = np.stack((bits & colour >> 1, bits & colour), axis=2) & 1
            rows = np.packbits(pairs.reshape(len(bits), -1), axis=1)
        places, length = self._places(page, top, len(glyph), column, column + count - 1)
        for at, line in zip(places, rows, strict=True):
            if mode != 0x13 and colour & 0x80:
                line = line ^ np.frombuffer(vga.load(at, length), np.uint8)
            vga.store(at, line)

    def _draw_planar(
        self, page: int, top: int, column: int, glyph: NDArray[np.uint8], colour: int, count: int
    ) -> None:
        vga, lines = self._vga, glyph.tolist()
        places, length = self._places(page, top, len(lines), column, column + count - 1)
        if colour & 0x80:
            # XOR: set/reset on what each load latches, where the bit mask lets it.
            with self._registers({0: colour & 15, 1: 15, 3: 0x18, 5: 0, 8: 0xFF}, {2: 15}):
                for at, bits in zip(places, lines, strict=True):
                    if bits:
                        self._set_indexed(GC, 8, bits)
                        vga.copy(at, at, length)
            return
        # Planes of the colour take the bits, the others set/reset: 0.
        with self._registers({0: 0, 1: ~colour & 15, 3: 0, 5: 0, 8: 0xFF}, {2: 15}):
            for at, bits in zip(places, lines, strict=True):
                vga.store(at, bytes((bits,)) * length)

    def _read_character(self) -> None:
        cpu = self._cpu
        row, column = self.cursor(cpu.bh)
        if self.is_text:
            code, attribute = self._vga.load(self._cell(cpu.bh, row, column), 2)
            cpu.al, cpu.ah = code, attribute
            return
        self._worked(2 * GLYPH_UNITS)
        cpu.ah = cpu.al = 0
        if row < self.rows and column < self.columns:
            font = self._font(0, 256)
            drawn = self._drawn(cpu.bh, row * font.shape[1], column, font.shape[1])
            cpu.al = int((font == drawn).all(axis=1).argmax())

    def _drawn(self, page: int, top: int, column: int, height: int) -> NDArray[np.uint8]:
        """(height,) uint8: a bit for each pixel under a character that is not black."""
        vga, mode = self._vga, self.mode
        if self.vbe.mode is not None:
            return self.vbe.drawn(column * 8, top, height)
        places, length = self._places(page, top, height, column, column)
        if mode in PLANAR_MODES:
            # Colour compare: a 1 where all planes hold 0.
            with self._registers({2: 0, 5: 8, 7: 15}):
                lines = b"".join(vga.load(at, length) for at in places)
            return ~np.frombuffer(lines, np.uint8)
        lines = b"".join(vga.load(at, length) for at in places)
        pixels = np.frombuffer(lines, np.uint8)
        if mode != 0x13:
            pixels = np.unpackbits(pixels)
        return np.packbits(pixels.reshape(height * 8, -1).any(axis=1))

    def _write_characters(self, *, with_attribute: bool) -> bool | None:
        cpu, bios = self._cpu, self._pc.bios
        row, column = self.cursor(cpu.bh)
        attribute = cpu.bl if with_attribute or not self.is_text else None
        start = row * self.columns + column
        # More than there is room for on the page is not shown.
        count = max(min(cpu.cx, self.columns * self.rows - start), 0)
        if self.is_text:
            self._write_cells(self._cell(cpu.bh, row, column), count, cpu.al, attribute)
            return None
        colour, done = cpu.bl, bios.done
        while done < count:
            row, column = divmod(start + done, self.columns)
            length = min(count - done, self.columns - column)
            self._draw_glyphs(cpu.bh, row, column, cpu.al, colour, length)
            done += length
            if done < count and bios.used_up:
                return bios.go_on_from(done)
        return None

    def _write_cells(self, at: int, count: int, code: int, attribute: int | None) -> None:
        """The same character in cells of text."""
        if attribute is not None:
            self._vga.store(at, bytes((code, attribute)) * count)
            return
        cells = bytearray(self._vga.load(at, 2 * count))
        cells[::2] = bytes((code,)) * count
        self._vga.store(at, cells)

    def _teletype(self) -> None:
        cpu = self._cpu
        # AL in the active page, whatever BH says: what every program means.
        self._type(cpu.al, cpu.bl if not self.is_text else None, self._bus.read8(PAGE))

    def type(self, code: int, attribute: int | None = None, page: int | None = None) -> None:
        """A character at the cursor, which moves on; the screen scrolls at its end."""
        self._worked(1)
        self._type(code, attribute, self._bus.read8(PAGE) if page is None else page)

    def _type(self, code: int, attribute: int | None, page: int) -> None:
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

    def _write_string(self) -> bool | None:
        cpu, bus, bios = self._cpu, self._bus, self._pc.bios
        page, attribute, options = cpu.bh & 7, cpu.bl, cpu.al
        # Progress is the number of characters, and above it the cursor as it was before.
        done, before = bios.done & 0xFFFF, bios.done >> 16
        if done == 0:
            before = bus.read16(CURSORS + 2 * page)
            self.move_cursor(page, cpu.dh, cpu.dl)
        step = 2 if options & 2 else 1
        while done < cpu.cx:
            # The string wraps within its segment.
            at = (cpu.es << 4) + (cpu.bp + step * done & 0xFFFF)
            code = bus.read8(at)
            if options & 2:
                attribute = bus.read8((cpu.es << 4) + (cpu.bp + step * done + 1 & 0xFFFF))
            self.type(code, None if code in CONTROLS else attribute, page)
            done += 1
            if done < cpu.cx and bios.used_up:
                return bios.go_on_from(before << 16 | done)
        if not options & 1:
            self.move_cursor(page, before >> 8, before & 0xFF)
        return None

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
        if self.is_text:
            self._worked(1)
            self._scroll_cells(self._cell(page, top, 0), height, lines, left, right, fill)
            return
        cell = self._bus.read8(CHAR_HEIGHT) or 8
        self._worked(height * cell // LINES_A_UNIT)
        new = range(bottom + 1 - lines, bottom + 1) if lines > 0 else range(top, top - lines)
        moved = height - len(new)
        target = top if lines > 0 else bottom + 1 - moved
        self._move_lines(page, (target + lines) * cell, target * cell, moved * cell, left, right)
        self._clear_lines(page, new.start * cell, len(new) * cell, left, right, fill)

    def _scroll_cells(
        self, at: int, height: int, lines: int, left: int, right: int, fill: int
    ) -> None:
        """`scroll` in `height` rows of text that begin at an address."""
        columns = self.columns
        data = bytearray(self._vga.load(at, 2 * height * columns))
        window = np.frombuffer(data, "<u2").reshape(height, columns)[:, left : right + 1]
        blank = fill << 8 | 0x20
        if lines > 0:
            window[: height - lines] = window[lines:].copy()
            window[height - lines :] = blank
        else:
            window[-lines:] = window[:lines].copy()
            window[:-lines] = blank
        self._vga.store(at, data)

    def _page_start(self, page: int) -> int:
        """Where a page of a graphics mode begins in its window."""
        pages = self.pages
        return (page & pages - 1) * self._bus.read16(PAGE_BYTES) if pages > 1 else 0

    def _places(
        self, page: int, y: int, count: int, left: int, right: int
    ) -> tuple[list[int], int]:
        """Addresses of lines of pixels under characters `left` to `right`; bytes of each."""
        mode, width = self.mode, right - left + 1
        lines = range(y, y + count)
        if mode == 0x13:
            return [0xA0000 + line * 320 + left * 8 for line in lines], width * 8
        if mode in (4, 5, 6):
            scale = 1 if mode == 6 else 2
            start = 0xB8000 + left * scale
            return [start + (y & 1) * 0x2000 + (y >> 1) * 80 for y in lines], width * scale
        start, pitch = 0xA0000 + self._page_start(page) + left, self.columns
        return [start + line * pitch for line in lines], width

    def _spans(
        self, page: int, y: int, count: int, left: int, right: int
    ) -> Iterator[tuple[int, int]]:
        """Addresses and bytes of `_places`, as few as there can be: a CGA mode's by banks."""
        places, length = self._places(page, y, count, left, right)
        if left > 0 or right < self.columns - 1:
            yield from ((at, length) for at in places)
            return
        banks = 2 if self.mode in (4, 5, 6) else 1
        for bank in range(min(banks, count)):
            yield places[bank], length * len(places[bank::banks])

    def _move_lines(
        self, page: int, source: int, target: int, count: int, left: int, right: int
    ) -> None:
        """Lines of pixels to others."""
        if self.vbe.mode is not None:
            self.vbe.move_lines(source, target, count, left, right)
            return
        if count == 0:
            return
        # Downwards from the last on, so many at once as do not lie on their own targets.
        step = count if target < source else target - source
        if self.mode in (4, 5, 6) and target - source & 1:
            step = 1  # into the other bank
        starts = range(0, count, step)
        with self._registers({5: 1} if self.mode in PLANAR_MODES else {}):
            for start in starts if target < source else reversed(starts):
                size = min(step, count - start)
                moves = zip(
                    self._spans(page, source + start, size, left, right),
                    self._spans(page, target + start, size, left, right),
                    strict=True,
                )
                for (at, length), (to, _) in moves:
                    self._vga.copy(at, to, length)

    def _clear_lines(self, page: int, y: int, count: int, left: int, right: int, fill: int) -> None:
        """Lines of pixels in a colour."""
        if self.vbe.mode is not None:
            self.vbe.clear_lines(y, count, left, right)
            return
        value = fill
        if self.mode in (4, 5):
            value = (fill & 3) * 0x55
        elif self.mode == 6:
            value = (fill & 1) * 0xFF
        planar = self.mode in PLANAR_MODES
        graphics = {0: fill & 15, 1: 15, 3: 0, 5: 0, 8: 0xFF} if planar else {}
        with self._registers(graphics):
            for at, length in self._spans(page, y, count, left, right):
                self._vga.store(at, bytes((value,)) * length)

    # --- pixels -----------------------------------------------------------------------------------

    def _write_pixel(self) -> None:
        cpu, vga, mode = self._cpu, self._vga, self.mode
        x, y, colour = cpu.cx, cpu.dx, cpu.al
        self._worked(PIXEL_UNITS)
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
            at = 0xA0000 + self._page_start(cpu.bh) + y * self.columns + (x >> 3)
            xor = 0x18 if colour & 0x80 else 0
            bit = 0x80 >> (x & 7)
            with self._registers({0: colour & 15, 1: 15, 3: xor, 5: 0, 8: bit}, {2: 15}):
                vga.load(at, 1)
                vga.store(at, b"\xff")

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
        at = 0xA0000 + self._page_start(page) + y * self.columns + (x >> 3)
        colour = 0
        with self._registers({4: 0, 5: 0}):
            for plane in range(4):
                self._set_indexed(GC, 4, plane)
                colour |= (vga.load(at, 1)[0] >> (7 - (x & 7)) & 1) << plane
        return colour

    def _read_pixel(self) -> None:
        cpu = self._cpu
        if not self.is_text:
            self._worked(PIXEL_UNITS)
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
        self._worked(len(colours) // COLOURS_A_UNIT)
        vga.outb(0x3C8, first & 0xFF)
        greys = self._bus.read8(MODE_OPTIONS) & GREY
        for colour in colours:
            for component in grey(*colour) if greys else colour:
                vga.outb(0x3C9, component)

    def _read_dac(self, first: int, count: int) -> bytes:
        vga = self._vga
        self._worked(count // COLOURS_A_UNIT)
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
        self._to_greys(self._cpu.bx, min(self._cpu.cx, 256))

    def _to_greys(self, first: int, count: int) -> None:
        data = self._read_dac(first, count)
        self._write_dac(first, [grey(*data[i : i + 3]) for i in range(0, len(data), 3)])

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
        vga, count = self._vga, min(len(data) // height, 256 - first)
        if count <= 0:
            return
        self._worked(count // GLYPHS_A_UNIT)
        glyphs = np.frombuffer(data, np.uint8)[: count * height].reshape(count, height)
        at = 0xA0000 + FONT_ADDRESS[block] + 32 * first
        with self._registers({1: 0, 3: 0, 4: 2, 5: 0, 6: 4, 8: 0xFF}, {2: 4, 4: 6}):
            cells = np.frombuffer(vga.load(at, 32 * count), np.uint8).reshape(count, 32).copy()
            cells[:, :height] = glyphs
            vga.store(at, cells.ravel())

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

    def _select_lines(self) -> None:
        """Lines of text, from the next mode set on."""
        choice = {0: LINES_200, 1: 0, 2: LINES_400}.get(self._cpu.al)
        if choice is not None:
            self._set_option(LINES_200 | LINES_400, choice)

    def _palette_loading(self) -> None:
        self._set_option(KEEP_PALETTE, KEEP_PALETTE if self._cpu.al else 0)

    def _set_option(self, mask: int, value: int) -> None:
        self._bus.write8(MODE_OPTIONS, self._bus.read8(MODE_OPTIONS) & ~mask | value)
        self._accept(0x12)

    def _access(self) -> None:
        """Let the CPU into VRAM, or not."""
        misc = self._vga.inb(0x3CC)
        self._vga.outb(0x3C2, misc & ~2 | (0 if self._cpu.al & 1 else 2))
        self._accept(0x12)

    def _grey_mode(self) -> None:
        self._set_option(GREY, 0 if self._cpu.al & 1 else GREY)

    def _cursor_emulation(self) -> None:
        control = self._bus.read8(VIDEO_CONTROL) & ~NO_CURSOR_EMULATION
        self._bus.write8(VIDEO_CONTROL, control | self._cpu.al & NO_CURSOR_EMULATION)
        self._accept(0x12)

    def _screen_off(self) -> None:
        self.show(not self._cpu.al & 1)
        self._accept(0x12)

    @property
    def is_shown(self) -> bool:
        """Whether the sequencer lets the picture through."""
        return not self._vga.sequencer["screen_off"]

    def show(self, on: bool) -> None:
        """Show the picture, or keep the screen dark."""
        clocking = self._get_indexed(SEQ, 1)
        self._set_indexed(SEQ, 1, clocking & ~0x20 | (0 if on else 0x20))

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
        state[0x29] = self.pages
        state[0x2A] = self._lines_code()
        fonts = self._get_indexed(SEQ, 3)
        state[0x2B] = fonts & 3 | fonts >> 2 & 4
        state[0x2C] = fonts >> 2 & 3 | fonts >> 3 & 4
        options, blinks = bus.read8(MODE_OPTIONS), self._read_attribute(0x10) & 8
        emulates = not bus.read8(VIDEO_CONTROL) & NO_CURSOR_EMULATION
        # All modes on all displays; greys; palettes left alone; cursor emulation; blinking.
        state[0x2D] = 1 | options & (GREY | KEEP_PALETTE) | emulates << 4 | (0x20 if blinks else 0)
        state[0x31] = 3  # 256 KiB
        bus.write(at, bytes(state))
        cpu.al = 0x1B

    def _lines_code(self) -> int:
        """Lines of the picture: 0 for 200, 1 for 350, 2 for 400, 3 for 480."""
        if self.is_text:
            height = self._bus.read8(CHAR_HEIGHT) * self.rows
            return next((i for i, lines in enumerate((200, 350)) if height <= lines), 2)
        return {0x0F: 1, 0x10: 1, 0x11: 3, 0x12: 3}.get(self.mode, 0)

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
