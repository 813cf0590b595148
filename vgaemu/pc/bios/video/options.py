"""INT 10h/12h, 1Ah and 1Bh: what there is, and what programs may choose of it.

Emulated: memory size, lines of text, palette loading, access to VRAM, greys, cursor emulation and a
dark screen (12h), combination code (1Ah), functionality and state (1Bh). Not emulated: another
print screen routine (12h/20h), two displays (12h/35h; what 1Ah is told of them is kept).

Source: IBM PS/2 and PC BIOS Interface Technical Reference; R. Brown's interrupt list.
"""

from __future__ import annotations

from collections.abc import Callable

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.rom import ROM_SEGMENT, STATIC_STATE_AT
from vgaemu.pc.bios.video.area import COMBINATIONS, UNKNOWN_DISPLAYS, VideoArea
from vgaemu.pc.bios.video.modes import LINES
from vgaemu.pc.board import Board

#: Of two displays, whichever shows; the last of those that are alike.
COMBINATION_NUMBERS = {frozenset(pair): number for number, pair in enumerate(COMBINATIONS)}
#: VRAM as programs are told: 256 KiB.
MEMORY_CODE = 3
#: Another print screen routine: it answers nothing.
PRINT_SCREEN = 0x20
#: What tells a program that its choice was taken, or not: there is no such number.
ACCEPTED, REFUSED = 0x12, 0


class VideoOptions:
    """INT 10h/12h, 1Ah and 1Bh."""

    def __init__(self, board: Board, area: VideoArea) -> None:
        self._bus, self._cpu, self._vga, self._area = board.bus, board.cpu, board.vga, area
        #: BL -> the highest number in AL, and what takes it.
        self._choices: dict[int, tuple[int, Callable[[int], None] | None]] = {
            0x30: (2, self._select_lines),
            0x31: (1, lambda off: self._set_option(bda.KEEP_PALETTE, off)),
            0x32: (1, self._access),
            0x33: (1, lambda off: self._set_option(bda.GREY, not off)),
            0x34: (1, self._cursor_emulation),
            0x36: (1, self._screen_off),
        }

    def select(self) -> None:
        """12h: AL tells whether there is such a call, and such a choice."""
        cpu = self._cpu
        if cpu.bl == 0x10:
            self._ega_information()
        elif cpu.bl != PRINT_SCREEN:
            most, take = self._choices.get(cpu.bl, (-1, None))
            if take is None or cpu.al > most:
                cpu.al = REFUSED
            else:
                take(cpu.al)
                cpu.al = ACCEPTED

    def _set_option(self, bits: int, on: bool | int) -> None:
        options = self._area[bda.MODE_OPTIONS]
        self._area[bda.MODE_OPTIONS] = options | bits if on else options & ~bits

    def _ega_information(self) -> None:
        cpu, area = self._cpu, self._area
        cpu.bh, cpu.bl = int(area.is_monochrome), MEMORY_CODE
        cpu.ch, cpu.cl = area[bda.SWITCHES] >> 4, area[bda.SWITCHES] & 0x0F

    def _select_lines(self, number: int) -> None:
        """Lines of text, from the next mode set on."""
        area = self._area
        self._set_option(bda.LINES_200 | bda.LINES_400, False)
        self._set_option((bda.LINES_200, 0, bda.LINES_400)[number], True)
        switches = bda.SWITCHES_400 if number else bda.SWITCHES_200
        area[bda.SWITCHES] = area[bda.SWITCHES] & bda.FEATURES | switches

    def _access(self, off: int) -> None:
        misc = self._vga.inb(0x3CC)
        self._vga.outb(0x3C2, misc & ~2 | (0 if off else 2))

    def _cursor_emulation(self, off: int) -> None:
        control = self._area[bda.VIDEO_CONTROL] & ~bda.NO_CURSOR_EMULATION
        self._area[bda.VIDEO_CONTROL] = control | off * bda.NO_CURSOR_EMULATION

    def _screen_off(self, off: int) -> None:
        self._area.ports["screen_off"] = off

    def _displays(self) -> tuple[int, int]:
        """Codes of the other display and of the one that shows."""
        index = self._area[bda.DISPLAYS]
        return COMBINATIONS[index] if index < len(COMBINATIONS) else (0xFF, 0xFF)

    def display_combination(self) -> None:
        """1Ah: which displays there are."""
        cpu = self._cpu
        if cpu.al == 0:
            cpu.bh, cpu.bl = self._displays()
        elif cpu.al == 1:
            pair = frozenset((cpu.bh, cpu.bl))
            self._area[bda.DISPLAYS] = COMBINATION_NUMBERS.get(pair, UNKNOWN_DISPLAYS)
        else:
            return
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
        state[0x26], state[0x25] = self._displays()
        state[0x27:0x29] = area.facts.colours.to_bytes(2, "little")
        state[0x29] = area.pages
        state[0x2A] = self._lines_code()
        state[0x2B], state[0x2C] = area.ports["map_b"], area.ports["map_a"]
        options, blinks = area[bda.MODE_OPTIONS], area.ports["blink"]
        emulates = not area[bda.VIDEO_CONTROL] & bda.NO_CURSOR_EMULATION
        # All modes on all displays; greys; palettes left alone; cursor emulation; blinking.
        state[0x2D] = 1 | options & (bda.GREY | bda.KEEP_PALETTE) | emulates << 4 | blinks << 5
        state[0x31] = MEMORY_CODE
        state[0x32] = int(area.ports["map_b"] != area.ports["map_a"])  # 512 characters
        bus.write(cpu.linear("es", "di"), bytes(state))
        cpu.al = 0x1B

    def _lines_code(self) -> int:
        """An index of `LINES`."""
        area = self._area
        if area.is_text:
            height = (area[bda.CHAR_HEIGHT] & 0xFF) * area.rows
            return next((i for i, lines in enumerate((200, 350)) if height <= lines), 2)
        return LINES.index(area.facts.lines)
