"""INT 10h: the builtin VGA BIOS, for when no ROM is used.

Emulated: its calls, from here or from the rooms they are in: mode sets (`mode_set`), characters and
pixels (`characters`, `graphics`), palettes (`palette`), fonts (`fonts`), options and information
(`options`), saving and restoring (`state`), VBE 2.0 through DISPI (`vbe`). Here are the mode (00h,
0Fh), cursor (01h-03h) and pages (05h). Not emulated: light pen (04h says that there is none).
"""

from __future__ import annotations

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls, Service, serve
from vgaemu.pc.bios.video.area import VideoArea
from vgaemu.pc.bios.video.characters import Characters
from vgaemu.pc.bios.video.cursor import emulated
from vgaemu.pc.bios.video.fonts import VideoFonts
from vgaemu.pc.bios.video.mode_set import ModeSet
from vgaemu.pc.bios.video.options import VideoOptions
from vgaemu.pc.bios.video.palette import VideoPalette
from vgaemu.pc.bios.video.state import VideoState
from vgaemu.pc.bios.video.tables import write_tables
from vgaemu.pc.bios.video.vbe import Vbe
from vgaemu.pc.board import Board
from vgaemu.vga.modes import MODES


class VideoBios:
    """INT 10h."""

    def __init__(self, board: Board, calls: Calls) -> None:
        self._cpu = cpu = board.cpu
        self.area: VideoArea = VideoArea(board, calls)
        self.area[bda.SAVE_POINTER] = write_tables(board.bus)
        palette = VideoPalette(board, calls, self.area)
        fonts = VideoFonts(board, calls, self.area)
        self.modes: ModeSet = ModeSet(board, calls, self.area, palette, fonts)
        self.characters: Characters = Characters(board, calls, self.area, fonts)
        self.vbe: Vbe = Vbe(board, calls, self.area, self.modes)
        options = VideoOptions(board, self.area)
        state = VideoState(board, calls, self.area)
        self.vbe.services[0x04] = state.vbe_service
        self._services: dict[int, Service] = {
            0x00: self._set_mode,
            0x01: self._set_cursor_shape,
            0x02: lambda: self.area.move_cursor(cpu.bh & 7, cpu.dh, cpu.dl),
            0x03: self._get_cursor,
            0x04: self._no_light_pen,
            0x05: self._select_page,
            0x0B: palette.cga_service,
            0x0F: self._get_mode,
            0x10: palette.service,
            0x11: fonts.service,
            0x12: options.select,
            0x1A: options.display_combination,
            0x1B: options.state_information,
            0x1C: state.service,
            0x4F: self.vbe.service,
        } | self.characters.services

    def service(self) -> bool | None:
        """INT 10h; calls there are not are ignored. `WAIT`, if one takes longer than a slice."""
        return serve(self._services, self._cpu.ah)

    def _set_mode(self) -> None:
        cpu = self._cpu
        number = cpu.al & 0x7F
        if number not in MODES:
            return
        self.modes.set_mode(number, clear=not cpu.al & 0x80)
        cpu.al = 0x30 if number < 6 or number == 7 else 0x3F if number == 6 else 0x20

    def _get_mode(self) -> None:
        cpu, area = self._cpu, self.area
        cpu.al = area.mode | area[bda.VIDEO_CONTROL] & bda.NOT_CLEARED
        cpu.ah, cpu.bh = area.columns, area[bda.PAGE]

    def _set_cursor_shape(self) -> None:
        cpu, area = self._cpu, self.area
        area[bda.CURSOR_SHAPE] = cpu.cx
        shape = cpu.ch, cpu.cl
        if not area[bda.VIDEO_CONTROL] & bda.NO_CURSOR_EMULATION:
            shape = emulated(*shape, area[bda.CHAR_HEIGHT] & 0xFF)
        area.set_cursor_shape(*shape)

    def _get_cursor(self) -> None:
        cpu = self._cpu
        cpu.dh, cpu.dl = self.area.cursor(cpu.bh)
        cpu.cx = self.area[bda.CURSOR_SHAPE]
        cpu.ax = 0

    def _no_light_pen(self) -> None:
        self._cpu.ah = 0  # it is not pressed, as on all VGAs

    def _select_page(self) -> None:
        page = self._cpu.al
        if page < self.area.pages:  # others would show what is no page
            self.area.select_page(page)
