"""INT 10h/06h-0Ah, 0Ch-0Eh and 13h: characters, scrolling and pixels.

Emulated: the calls in text, where characters are cells of memory, and in graphics, where a painter
draws them (`graphics`); control characters; long calls, which go on in the next slice. Not
emulated: the bell's sound.
"""

from __future__ import annotations

import numpy as np

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.bios.video.area import VideoArea
from vgaemu.pc.bios.video.fonts import VideoFonts
from vgaemu.pc.bios.video.graphics import Painter, painter_of
from vgaemu.pc.bios.video.modes import glyph_colour
from vgaemu.pc.board import Board

#: What calls do beside the call itself, in units of `Calls.spend`: a glyph, a pixel.
GLYPH_UNITS, PIXEL_UNITS = 6, 3
#: Lines of pixels, their bytes, and cells of text, moved or filled that one unit is worth.
LINES_A_UNIT, BYTES_A_UNIT, CELLS_A_UNIT = 2, 16384, 512
#: Lines of a glyph that `GLYPH_UNITS` are for.
GLYPH_LINES = 16
BELL, BACKSPACE, LINE_FEED, RETURN = CONTROLS = 7, 8, 10, 13
#: AL of strings: the cursor goes along (1), each character has an attribute (2).
STRING_OPTIONS = 3
#: Colour of graphics where no attribute is given.
LIGHT_GREY = 7


class Characters:
    """INT 10h/06h-0Ah, 0Ch-0Eh and 13h."""

    def __init__(self, board: Board, calls: Calls, area: VideoArea, fonts: VideoFonts) -> None:
        self._bus, self._cpu, self._vga = board.bus, board.cpu, board.vga
        self._calls, self._area, self._fonts = calls, area, fonts
        self.services: dict[int, Service] = {
            0x06: lambda: self._scroll_call(self._cpu.al),
            0x07: lambda: self._scroll_call(-self._cpu.al),
            0x08: self._read_character,
            0x09: lambda: self._write_characters(with_attribute=True),
            0x0A: lambda: self._write_characters(with_attribute=False),
            0x0C: self._write_pixel,
            0x0D: self._read_pixel,
            0x0E: self._teletype,
            0x13: self._write_string,
        }

    def _painter(self, page: int) -> Painter:
        return painter_of(self._vga, self._area, page)

    def _read_character(self) -> None:
        cpu = self._cpu
        cpu.al, cpu.ah = self.read(cpu.bh, *self._area.cursor(cpu.bh))

    def read(self, page: int, row: int, column: int) -> tuple[int, int]:
        """A character and its attribute; of graphics a glyph that is drawn there, or 0."""
        area = self._area
        if area.is_text:
            character, attribute = self._vga.load(area.cell(page, row, column), 2)
            return character, attribute
        self._calls.spend(2 * GLYPH_UNITS * -(-area.height // GLYPH_LINES))
        if row >= area.rows or column >= area.columns:
            return 0, 0
        font = self._fonts.glyphs(0, 256)
        height = font.shape[1]
        drawn = self._painter(page).drawn(column, row * height, height)
        return int((font == drawn).all(axis=1).argmax()), 0

    def _write_characters(self, *, with_attribute: bool) -> bool | None:
        cpu, calls, area = self._cpu, self._calls, self._area
        page, background = cpu.bh, 0
        if area.vbe_mode is None and area.facts.colours == 256:  # where pages are colours
            page, background = 0, cpu.bh
        row, column = area.cursor(page)
        columns = area.columns
        start = row * columns + column
        # More than there is room for on the page is not shown.
        count = max(min(cpu.cx, columns * area.rows - start), 0)
        if area.is_text:
            attribute = cpu.bl if with_attribute else None
            self._write_cells(area.cell(cpu.bh, row, column), bytes((cpu.al,)) * count, attribute)
            return None
        done = calls.progress
        while done < count:
            row, column = divmod(start + done, columns)
            length = min(count - done, columns - column)
            self._draw_glyphs(page, row, column, cpu.al, cpu.bl, length, background)
            done += length
            if done < count and calls.exhausted:
                return calls.suspend(done)
        return None

    def _write_cells(self, at: int, text: bytes, attribute: int | None) -> None:
        """Characters in cells of text; without an attribute they keep their own."""
        self._calls.spend(len(text) // CELLS_A_UNIT)
        if attribute is None:
            cells = bytearray(self._vga.load(at, 2 * len(text)))
        else:
            cells = bytearray((0, attribute)) * len(text)
        cells[::2] = text
        self._vga.store(at, cells)

    def _draw_glyphs(
        self,
        page: int,
        row: int,
        column: int,
        code: int,
        colour: int,
        count: int,
        background: int = 0,
    ) -> None:
        """A glyph in a graphics mode, side by side so often; all of them lie in the row."""
        glyph = self._fonts.glyphs(code, 1)[0]
        if self._area.vbe_mode is None:
            colour = glyph_colour(self._area.facts, colour)
        self._calls.spend(GLYPH_UNITS * (1 + count // 16) * -(-len(glyph) // GLYPH_LINES))
        painter = self._painter(page)
        painter.draw_glyphs(column, row * len(glyph), glyph, colour, count, background)

    def _teletype(self) -> None:
        cpu = self._cpu
        # AL in the active page, whatever BH says: what every program means.
        self._type(cpu.al, None if self._area.is_text else cpu.bl, self._area[bda.PAGE])

    def type(self, code: int, attribute: int | None = None, page: int | None = None) -> None:
        """A character at the cursor, which moves on; the screen scrolls at its end."""
        self._calls.spend(1)
        self._type(code, attribute, self._area[bda.PAGE] if page is None else page)

    def type_run(self, text: bytes) -> int:
        """Type characters, none of them a control, of a row of text at once, in its colours.

        Returns how many; 0 if they are to be typed one by one, as in graphics and in a row's last
        column, behind which the cursor goes on in the next.
        """
        area, page = self._area, self._area[bda.PAGE]
        row, column = area.cursor(page)
        count = min(len(text), area.columns - 1 - column)
        if count <= 1 or row >= area.rows or not area.is_text:
            return 0
        self._write_cells(area.cell(page, row, column), text[:count], None)
        area.move_cursor(page, row, column + count)
        self._calls.spend(count)
        return count

    def _type(self, code: int, attribute: int | None, page: int) -> None:
        area = self._area
        row, column = area.cursor(page)
        if code == BELL:
            return
        if code == BACKSPACE:
            column = max(column - 1, 0)
        elif code == RETURN:
            column = 0
        elif code == LINE_FEED:
            row += 1
        else:
            self._put(page, row, column, code, attribute)
            column += 1
            if column >= area.columns:
                column, row = 0, row + 1
        if row >= area.rows:
            row = area.rows - 1
            # What comes in is as the cell that the cursor would be in.
            fill = self._vga.load(area.cell(page, row, column) + 1, 1)[0] if area.is_text else 0
            self._scroll(page, 1, (0, 0), (row, area.columns - 1), fill)
        area.move_cursor(page, row, column)

    def _put(self, page: int, row: int, column: int, code: int, attribute: int | None) -> None:
        area = self._area
        if row >= area.rows or column >= area.columns:
            return
        if area.is_text:
            at = area.cell(page, row, column)
            cell = bytes((code,)) if attribute is None else bytes((code, attribute))
            self._vga.store(at, cell)
        else:
            colour = LIGHT_GREY if attribute is None else attribute
            self._draw_glyphs(page, row, column, code, colour, 1)

    def _write_string(self) -> bool | None:
        cpu, bus, calls, area = self._cpu, self._bus, self._calls, self._area
        page, attribute, options = cpu.bh & 7, cpu.bl, cpu.al
        if options > STRING_OPTIONS or cpu.cx == 0:
            return None
        # Progress is the number of characters, and above it the cursor as it was before.
        done, before = calls.progress & 0xFFFF, calls.progress >> 16
        if done == 0:
            row, column = area.cursor(page)
            before = row << 8 | column
            area.move_cursor(page, cpu.dh, cpu.dl)
        step = 2 if options & 2 else 1
        while done < cpu.cx:
            # The string wraps within its segment.
            code = bus.read8(cpu.linear("es", "bp", step * done))
            if options & 2:
                attribute = bus.read8(cpu.linear("es", "bp", step * done + 1))
            self.type(code, None if code in CONTROLS else attribute, page)
            done += 1
            if done < cpu.cx and calls.exhausted:
                return calls.suspend(before << 16 | done)
        if not options & 1:
            area.move_cursor(page, before >> 8, before & 0xFF)
        return None

    def _scroll_call(self, lines: int) -> None:
        cpu, page = self._cpu, self._area[bda.PAGE]
        self._scroll(page, lines, (cpu.ch, cpu.cl), (cpu.dh, cpu.dl), cpu.bh)

    def _scroll(
        self, page: int, lines: int, first: tuple[int, int], last: tuple[int, int], fill: int
    ) -> None:
        """Move a window of characters so many lines up; negative is down, 0 clears it.

        `first` and `last` are row and column of its corners, `fill` is the attribute, or colour,
        of the lines that come in.
        """
        area, (top, left) = self._area, first
        bottom, right = min(last[0], area.rows - 1), min(last[1], area.columns - 1)
        if top > bottom or left > right:
            return
        height = bottom - top + 1
        if lines == 0 or abs(lines) > height:
            lines = height
        if area.is_text:
            self._calls.spend(1 + height * area.columns // CELLS_A_UNIT)
            self._scroll_cells(area.cell(page, top, 0), height, lines, left, right, fill)
            return
        cell, painter = area.height, self._painter(page)
        size = height * cell * (right - left + 1) * area.pixel_bits
        self._calls.spend(1 + height * cell // LINES_A_UNIT + size // BYTES_A_UNIT)
        new = range(bottom + 1 - lines, bottom + 1) if lines > 0 else range(top, top - lines)
        moved = height - len(new)
        target = top if lines > 0 else bottom + 1 - moved
        if moved:
            source = target + lines
            painter.move_lines(source * cell, target * cell, moved * cell, left, right)
        painter.clear_lines(new.start * cell, len(new) * cell, left, right, fill)

    def _scroll_cells(
        self, at: int, height: int, lines: int, left: int, right: int, fill: int
    ) -> None:
        """`_scroll` in `height` rows of text that begin at an address."""
        columns = self._area.columns
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

    def _write_pixel(self) -> None:
        cpu = self._cpu
        self._calls.spend(PIXEL_UNITS)
        if not self._area.is_text:
            self._painter(cpu.bh).write_pixel(cpu.cx, cpu.dx, cpu.al)

    def _read_pixel(self) -> None:
        cpu = self._cpu
        if not self._area.is_text:
            self._calls.spend(PIXEL_UNITS)
            cpu.al = self._painter(cpu.bh).read_pixel(cpu.cx, cpu.dx)
