"""INT 10h/12h, 1Ah and 1Bh: what there is, and what programs may choose of it.

Emulated: memory size, lines of text, palette loading, access to VRAM, greys, cursor emulation and a
dark screen (12h), combination code (1Ah), functionality and state (1Bh). Not emulated: another
print screen routine (12h/20h), two displays (12h/35h; 1Ah lets no code be set).
"""

from __future__ import annotations

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Service, serve
from vgaemu.pc.bios.rom import ROM_SEGMENT, STATIC_STATE_AT
from vgaemu.pc.bios.video.area import VideoArea
from vgaemu.pc.bios.video.modes import LINES
from vgaemu.pc.board import Board

#: VRAM as programs are told: 256 KiB.
MEMORY_CODE = 3
#: What tells a program that its choice was taken.
ACCEPTED = 0x12


class VideoOptions:
    """INT 10h/12h, 1Ah and 1Bh."""

    def __init__(self, board: Board, area: VideoArea) -> None:
        self._bus, self._cpu, self._vga, self._area = board.bus, board.cpu, board.vga, area
        self._services: dict[int, Service] = {
            0x10: self._ega_information,
            0x30: self._select_lines,
            0x31: lambda: self._set_option(bda.KEEP_PALETTE, self._cpu.al != 0),
            0x32: self._access,
            0x33: lambda: self._set_option(bda.GREY, not self._cpu.al & 1),
            0x34: self._cursor_emulation,
            0x36: self._screen_off,
        }

    def select(self) -> None:
        serve(self._services, self._cpu.bl)

    def _accept(self) -> None:
        self._cpu.al = ACCEPTED

    def _set_option(self, bits: int, on: bool) -> None:
        options = self._area[bda.MODE_OPTIONS]
        self._area[bda.MODE_OPTIONS] = options | bits if on else options & ~bits
        self._accept()

    def _ega_information(self) -> None:
        cpu = self._cpu
        cpu.bh, cpu.bl = int(self._area.mode == 7), MEMORY_CODE
        cpu.ch, cpu.cl = 0, 9

    def _select_lines(self) -> None:
        """Lines of text, from the next mode set on."""
        choice = {0: bda.LINES_200, 1: 0, 2: bda.LINES_400}.get(self._cpu.al)
        if choice is not None:
            self._set_option(bda.LINES_200 | bda.LINES_400, False)
            self._set_option(choice, True)

    def _access(self) -> None:
        misc = self._vga.inb(0x3CC)
        self._vga.outb(0x3C2, misc & ~2 | (0 if self._cpu.al & 1 else 2))
        self._accept()

    def _cursor_emulation(self) -> None:
        control = self._area[bda.VIDEO_CONTROL] & ~bda.NO_CURSOR_EMULATION
        self._area[bda.VIDEO_CONTROL] = control | self._cpu.al & bda.NO_CURSOR_EMULATION
        self._accept()

    def _screen_off(self) -> None:
        self._area.ports["screen_off"] = self._cpu.al & 1
        self._accept()

    def display_combination(self) -> None:
        cpu = self._cpu
        if cpu.al == 0:
            cpu.bx = bda.VGA_COLOUR
        if cpu.al in (0, 1):
            cpu.al = 0x1A

    def state_information(self) -> None:
        """1Bh: 64 bytes on what there is and what is chosen."""
        cpu, bus, area = self._cpu, self._bus, self._area
        if cpu.bx != 0:
            return
        state = bytearray(64)
        state[0x00:0x02] = STATIC_STATE_AT.to_bytes(2, "little")
        state[0x02:0x04] = ROM_SEGMENT.to_bytes(2, "little")
        state[0x04:0x22] = bus.read(bda.MODE.address, 30)
        state[0x22] = area.rows & 0xFF
        state[0x23:0x25] = bus.read(bda.CHAR_HEIGHT.address, 2)
        state[0x25] = bda.VGA_COLOUR
        state[0x27:0x29] = area.facts.colours.to_bytes(2, "little")
        state[0x29] = area.pages
        state[0x2A] = self._lines_code()
        state[0x2B], state[0x2C] = area.ports["map_b"], area.ports["map_a"]
        options, blinks = area[bda.MODE_OPTIONS], area.ports["blink"]
        emulates = not area[bda.VIDEO_CONTROL] & bda.NO_CURSOR_EMULATION
        # All modes on all displays; greys; palettes left alone; cursor emulation; blinking.
        state[0x2D] = 1 | options & (bda.GREY | bda.KEEP_PALETTE) | emulates << 4 | blinks << 5
        state[0x31] = MEMORY_CODE
        bus.write(cpu.linear("es", "di"), bytes(state))
        cpu.al = 0x1B

    def _lines_code(self) -> int:
        """An index of `LINES`."""
        area = self._area
        if area.is_text:
            height = (area[bda.CHAR_HEIGHT] & 0xFF) * area.rows
            return next((i for i, lines in enumerate((200, 350)) if height <= lines), 2)
        return LINES.index(area.facts.lines)
