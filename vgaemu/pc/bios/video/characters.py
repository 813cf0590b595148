"""INT 10h/06h-0Ah, 0Ch-0Eh and 13h: characters, scrolling and pixels.

Emulated: the calls in text, where characters are cells of memory, and in graphics, where a painter
draws them (`video_graphics`); control characters; long calls, which go on in the next slice. Not
emulated: the bell's sound.

Source: IBM PS/2 and PC BIOS Interface Technical Reference; R. Brown's interrupt list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.bios.video.area import CURSORS, PAGE
from vgaemu.pc.bios.video.graphics import Painter, vga_painter
from vgaemu.pc.board import Board

if TYPE_CHECKING:
    from vgaemu.pc.bios.video.video import VideoBios

#: What calls do beside the call itself, in units of `Calls.spend`: a glyph, a pixel.
GLYPH_UNITS, PIXEL_UNITS = 6, 3
#: Lines of pixels scrolled that one unit is worth.
LINES_A_UNIT = 4
BELL, BACKSPACE, LINE_FEED, RETURN = CONTROLS = 7, 8, 10, 13
#: Colour of graphics where no attribute is given.
LIGHT_GREY = 7


class Characters:
    """INT 10h/06h-0Ah, 0Ch-0Eh and 13h."""

    def __init__(self, board: Board, calls: Calls, video: VideoBios) -> None:
        self._bus, self._cpu, self._video = board.bus, board.cpu, video
        self._vga, self._calls = board.vga, calls
        self.services: dict[int, Service] = {
            0x06: lambda: self._scroll_call(up=True),
            0x07: lambda: self._scroll_call(up=False),
            0x08: self._read_character,
            0x09: lambda: self._write_characters(with_attribute=True),
            0x0A: lambda: self._write_characters(with_attribute=False),
            0x0C: self._write_pixel,
            0x0D: self._read_pixel,
            0x0E: self._teletype,
            0x13: self._write_string,
        }

    def _cell(self, page: int, row: int, column: int) -> int:
        """Where a character of text is."""
        video = self._video
        base = 0xB0000 if video.mode == 7 else 0xB8000
        return base + video.page_start(page) + 2 * (row * video.columns + column)

    def _painter(self, page: int) -> Painter:
        """What draws in a graphics mode."""
        video = self._video
        return video.vbe.painter or vga_painter(
            video.ports, video.mode, video.columns, video.page_start(page)
        )

    # --- characters at the cursor: 08h-0Ah --------------------------------------------------------

    def _read_character(self) -> None:
        cpu, video = self._cpu, self._video
        row, column = video.cursor(cpu.bh)
        if video.is_text:
            cpu.al, cpu.ah = self._vga.load(self._cell(cpu.bh, row, column), 2)
            return
        self._calls.spend(2 * GLYPH_UNITS)
        cpu.ah = cpu.al = 0
        if row < video.rows and column < video.columns:
            font = video.fonts.glyphs(0, 256)
            height = font.shape[1]
            drawn = self._painter(cpu.bh).drawn(column, row * height, height)
            cpu.al = int((font == drawn).all(axis=1).argmax())

    def _write_characters(self, *, with_attribute: bool) -> bool | None:
        cpu, calls, video = self._cpu, self._calls, self._video
        row, column = video.cursor(cpu.bh)
        columns = video.columns
        start = row * columns + column
        # More than there is room for on the page is not shown.
        count = max(min(cpu.cx, columns * video.rows - start), 0)
        if video.is_text:
            attribute = cpu.bl if with_attribute else None
            self._write_cells(self._cell(cpu.bh, row, column), count, cpu.al, attribute)
            return None
        done = calls.progress
        while done < count:
            row, column = divmod(start + done, columns)
            length = min(count - done, columns - column)
            self._draw_glyphs(cpu.bh, row, column, cpu.al, cpu.bl, length)
            done += length
            if done < count and calls.exhausted:
                return calls.suspend(done)
        return None

    def _write_cells(self, at: int, count: int, code: int, attribute: int | None) -> None:
        """The same character in cells of text; without an attribute they keep their own."""
        if attribute is not None:
            self._vga.store(at, bytes((code, attribute)) * count)
            return
        cells = bytearray(self._vga.load(at, 2 * count))
        cells[::2] = bytes((code,)) * count
        self._vga.store(at, cells)

    def _draw_glyphs(
        self, page: int, row: int, column: int, code: int, colour: int, count: int
    ) -> None:
        """A glyph in a graphics mode, side by side so often; all of them lie in the row."""
        glyph = self._video.fonts.glyphs(code, 1)[0]
        self._calls.spend(GLYPH_UNITS * (1 + count // 16))
        self._painter(page).draw_glyphs(column, row * len(glyph), glyph, colour, count)

    # --- typing: 0Eh, 13h -------------------------------------------------------------------------

    def _teletype(self) -> None:
        cpu = self._cpu
        # AL in the active page, whatever BH says: what every program means.
        self._type(cpu.al, None if self._video.is_text else cpu.bl, self._bus.read8(PAGE))

    def type(self, code: int, attribute: int | None = None, page: int | None = None) -> None:
        """A character at the cursor, which moves on; the screen scrolls at its end."""
        self._calls.spend(1)
        self._type(code, attribute, self._bus.read8(PAGE) if page is None else page)

    def _type(self, code: int, attribute: int | None, page: int) -> None:
        video = self._video
        row, column = video.cursor(page)
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
            if column >= video.columns:
                column, row = 0, row + 1
        if row >= video.rows:
            row = video.rows - 1
            fill = 0
            if video.is_text:
                fill = self._vga.load(self._cell(page, row, 0) + 1, 1)[0]
            self._scroll(page, 1, (0, 0), (row, video.columns - 1), fill)
        video.move_cursor(page, row, column)

    def _put(self, page: int, row: int, column: int, code: int, attribute: int | None) -> None:
        """One character, in text or graphics."""
        video = self._video
        if row >= video.rows or column >= video.columns:
            return
        if video.is_text:
            at = self._cell(page, row, column)
            cell = bytes((code,)) if attribute is None else bytes((code, attribute))
            self._vga.store(at, cell)
        else:
            colour = LIGHT_GREY if attribute is None else attribute
            self._draw_glyphs(page, row, column, code, colour, 1)

    def _write_string(self) -> bool | None:
        cpu, bus, calls, video = self._cpu, self._bus, self._calls, self._video
        page, attribute, options = cpu.bh & 7, cpu.bl, cpu.al
        # Progress is the number of characters, and above it the cursor as it was before.
        done, before = calls.progress & 0xFFFF, calls.progress >> 16
        if done == 0:
            before = bus.read16(CURSORS + 2 * page)
            video.move_cursor(page, cpu.dh, cpu.dl)
        step = 2 if options & 2 else 1
        while done < cpu.cx:
            # The string wraps within its segment.
            at = (cpu.es << 4) + (cpu.bp + step * done & 0xFFFF)
            code = bus.read8(at)
            if options & 2:
                attribute = bus.read8((cpu.es << 4) + (cpu.bp + step * done + 1 & 0xFFFF))
            self.type(code, None if code in CONTROLS else attribute, page)
            done += 1
            if done < cpu.cx and calls.exhausted:
                return calls.suspend(before << 16 | done)
        if not options & 1:
            video.move_cursor(page, before >> 8, before & 0xFF)
        return None

    # --- scrolling: 06h, 07h ----------------------------------------------------------------------

    def _scroll_call(self, *, up: bool) -> None:
        cpu = self._cpu
        lines = cpu.al if up else -cpu.al
        corner = (cpu.dh, cpu.dl)
        self._scroll(self._bus.read8(PAGE), lines, (cpu.ch, cpu.cl), corner, cpu.bh)

    def _scroll(
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
        video, (top, left) = self._video, first
        bottom, right = min(last[0], video.rows - 1), min(last[1], video.columns - 1)
        if top > bottom or left > right:
            return
        height = bottom - top + 1
        if lines == 0 or abs(lines) > height:
            lines = height
        if video.is_text:
            self._calls.spend(1)
            self._scroll_cells(self._cell(page, top, 0), height, lines, left, right, fill)
            return
        cell, painter = video.fonts.height, self._painter(page)
        self._calls.spend(height * cell // LINES_A_UNIT)
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
        columns = self._video.columns
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

    # --- pixels: 0Ch, 0Dh -------------------------------------------------------------------------

    def _write_pixel(self) -> None:
        cpu = self._cpu
        self._calls.spend(PIXEL_UNITS)
        if not self._video.is_text:
            self._painter(cpu.bh).write_pixel(cpu.cx, cpu.dx, cpu.al)

    def _read_pixel(self) -> None:
        cpu = self._cpu
        if not self._video.is_text:
            self._calls.spend(PIXEL_UNITS)
            cpu.al = self._painter(cpu.bh).read_pixel(cpu.cx, cpu.dx)
