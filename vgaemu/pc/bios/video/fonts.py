"""INT 10h/11h: fonts.

Emulated: loading glyphs of the caller's or of ROM into a block of plane 2, with or without the cell
height that goes with them, choice of blocks, the fonts of graphics modes, font information. A font
of the user's (`Vga.rom_font`) takes the place of ROM's of its height. Not emulated: 9 dots wide
alternatives (calls 1130h, BH = 5 and 7, answer with the 8 dots wide fonts).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls, Service, serve
from vgaemu.pc.bios.rom import FONT_8_UPPER, FONTS, ROM_SEGMENT, rom_font
from vgaemu.pc.bios.video.area import GLYPHS, UPPER_GLYPHS, VideoArea
from vgaemu.pc.bios.video.cursor import underline
from vgaemu.pc.bios.video.modes import CGA
from vgaemu.pc.board import Board
from vgaemu.vga.font import FONT_ADDRESS, GLYPH_BYTES
from vgaemu.vga.ports import SEQ

#: Glyphs put into a font that one unit of `Calls.spend` is worth.
GLYPHS_A_UNIT = 16
#: And what the registers are that let them, or another height, in.
LOAD_UNITS, HEIGHT_UNITS = 2, 2
#: Glyph height of ROM's fonts by the low digit of the call: for text, and for graphics.
TEXT_FONTS = {1: 14, 2: 8, 4: 16}
GRAPHICS_FONTS = {2: 14, 3: 8, 4: 16}
#: The text mode whose attributes underline, in a cell's last line.
MONOCHROME_TEXT = 7
#: Lines of pictures of text; bytes between pages once a font has been loaded.
TEXT_PICTURES, PAGE_GAP = (200, 350, 400), 0x100
#: BL of graphics calls -> rows of text; 0 gives them in DL, others are 25.
GRAPHICS_ROWS = {1: 14, 2: 25, 3: 43}
#: BH of the information call -> vector, or font in ROM.
VECTORS = {0: UPPER_GLYPHS, 1: GLYPHS}
ROM_FONTS = {
    2: FONTS[14], 3: FONTS[8], 4: FONT_8_UPPER, 5: FONTS[14], 6: FONTS[16], 7: FONTS[16],
}  # fmt: skip


class VideoFonts:
    """INT 10h/11h."""

    def __init__(self, board: Board, calls: Calls, area: VideoArea) -> None:
        self._bus, self._cpu, self._calls = board.bus, board.cpu, calls
        self._vga, self._area, self._ports = board.vga, area, area.ports
        self._services: dict[int, Service] = {
            **dict.fromkeys((0x00, 0x01, 0x02, 0x04, 0x10, 0x11, 0x12, 0x14), self._load_text),
            0x03: lambda: self._ports.set(SEQ, 3, self._cpu.bl),
            0x20: lambda: self._calls.set_vector(UPPER_GLYPHS, self._cpu.bp, self._cpu.es),
            0x21: self._graphics_callers,
            **dict.fromkeys((0x22, 0x23, 0x24), self._graphics_roms),
            0x30: self._information,
        }

    def service(self) -> None:
        serve(self._services, self._cpu.al)

    def _load_text(self) -> None:
        """The caller's glyphs, or ROM's; the calls from 10h on also set the height."""
        cpu = self._cpu
        height = TEXT_FONTS.get(cpu.al & 0x0F, cpu.bh)
        if cpu.al & 0x0F:
            self.load_roms(cpu.bl & 7, height)
        else:
            count = min(cpu.cx, 256) if height <= GLYPH_BYTES else 0
            data = self._bus.read(cpu.linear("es", "bp"), count * height)
            self._load(cpu.bl & 7, cpu.dx, height, data)
        if cpu.al & 0x10:
            self.set_text_height(height)

    def load_roms(self, block: int, height: int) -> None:
        """ROM's font of a height into a block."""
        self._load(block, 0, height, rom_font(height, self._vga.rom_font).tobytes())

    def _load(self, block: int, first: int, height: int, data: bytes) -> None:
        """Glyphs into plane 2, through the windows, as SR and GR registers ask for."""
        if not 0 < height <= GLYPH_BYTES:
            return
        vga, count = self._vga, min(len(data) // height, 256 - first)
        if count <= 0:
            return
        self._calls.spend(LOAD_UNITS + count // GLYPHS_A_UNIT)
        glyphs = np.frombuffer(data, np.uint8)[: count * height].reshape(count, height)
        at, size = 0xA0000 + FONT_ADDRESS[block] + GLYPH_BYTES * first, GLYPH_BYTES * count
        with self._ports.font_memory():
            cells = np.frombuffer(vga.load(at, size), np.uint8).reshape(count, -1).copy()
            cells[:, :height] = glyphs
            vga.store(at, cells.ravel())

    def set_text_height(self, height: int) -> None:
        """Character cells of another height: rows, cursor and page size follow."""
        area, ports = self._area, self._ports
        if not 0 < height <= GLYPH_BYTES or not area.is_text:
            return
        self._calls.spend(HEIGHT_UNITS)
        ports["max_scan_line"] = height - 1
        if area.mode == MONOCHROME_TEXT:
            ports["underline_line"] = height - 1
        doubled = ports["double_scan"]
        shown = ports["vertical_display_end"] + 1 >> doubled
        # An earlier font may have left less of the picture than there is.
        lines = next((lines for lines in TEXT_PICTURES if shown <= lines), shown)
        rows = max(lines // height, 1)
        ports["vertical_display_end"] = (rows * height << doubled) - 1
        first, last = underline(height)
        area.set_cursor_shape(first, last)
        area[bda.LAST_ROW] = rows - 1
        area[bda.CHAR_HEIGHT] = height
        area[bda.CURSOR_SHAPE] = first << 8 | last
        area[bda.PAGE_BYTES] = 2 * rows * area.columns + PAGE_GAP

    def glyphs(self, first: int, count: int) -> NDArray[np.uint8]:
        """(count, height) uint8: glyphs of graphics modes, from where the vectors point."""
        area, height = self._area, self._area.height
        parts = [(GLYPHS, 0, 256)]
        if area.facts.model == CGA and area.vbe_mode is None:
            parts = [(GLYPHS, 0, 128), (UPPER_GLYPHS, 128, 256)]
        lines = b""
        for vector, begin, end in parts:
            start, stop = max(first, begin), min(first + count, end)
            if start < stop:
                segment, offset = self._calls.get_vector(vector)
                at = (segment << 4) + offset
                lines += self._bus.read(at + (start - begin) * height, (stop - start) * height)
        return np.frombuffer(lines, np.uint8).reshape(count, height)

    def _graphics_callers(self) -> None:
        cpu = self._cpu
        self._calls.set_vector(GLYPHS, cpu.bp, cpu.es)
        self._set_graphics_height(cpu.cx)

    def _graphics_roms(self) -> None:
        height = GRAPHICS_FONTS[self._cpu.al & 0x0F]
        self._calls.set_vector(GLYPHS, FONTS[height])
        self._set_graphics_height(height)

    def _set_graphics_height(self, height: int) -> None:
        rows = self._cpu.dl if self._cpu.bl == 0 else GRAPHICS_ROWS.get(self._cpu.bl, 25)
        self._area[bda.CHAR_HEIGHT] = height
        self._area[bda.LAST_ROW] = max(rows, 1) - 1

    def _information(self) -> None:
        cpu, area = self._cpu, self._area
        if cpu.bh in VECTORS:
            segment, offset = self._calls.get_vector(VECTORS[cpu.bh])
        elif cpu.bh in ROM_FONTS:
            segment, offset = ROM_SEGMENT, ROM_FONTS[cpu.bh]
        else:
            return
        cpu.set("es", segment)
        cpu.bp = offset
        cpu.cx = area[bda.CHAR_HEIGHT]
        cpu.dl = area[bda.LAST_ROW]
