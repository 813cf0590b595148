"""INT 17h and INT 05h: the printers that the data area names, and a screen that goes to the first.

Emulated: a character out, with the patience that the data area has, initialisation, status; INT 05h
prints the active page, text or graphics as far as INT 10h/08h reads it, and says at 0050:0000 how
far it is. Not emulated: GRAPHICS.COM's pictures.

Judged against SeaBIOS, which waits for each character's acknowledgement and prints no graphics.

Source: IBM AT BIOS reference; IBM PS/2 and PC BIOS Interface Technical Reference (INT 05h, 17h).
"""

from __future__ import annotations

from collections.abc import Callable

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.board import Board
from vgaemu.pc.chips.printer import (
    BYTE_NS,
    CONTROL,
    DATA,
    READY,
    SELECT,
    STATUS,
    STROBE,
    WORKS,
)

PORTS = 3
#: Of the status that the port has: what is told, and what of it the other way round.
TOLD, INVERTED, TIMED_OUT = 0xF8, 0x48, 0x01
#: A byte takes the printer microseconds; so often it is looked at before it is too late.
LOOKS = 1000
#: Of INT 17h's answer: what ends a screen's printing.
TROUBLE = 0x29
#: 0050:0000.
PRINTED, PRINTING, FAILED = 0x00, 0x01, 0xFF
LINE_END = b"\r\n"
#: A character of the screen at row and column; how many rows and columns there are.
ReadCharacter = Callable[[int, int], int]
ScreenSize = Callable[[], tuple[int, int]]


class PrinterBios:
    """INT 17h and 05h."""

    def __init__(
        self, board: Board, calls: Calls, data: bda.DataArea, size: ScreenSize, read: ReadCharacter
    ) -> None:
        """`size` and `read` are of the page that is shown."""
        self._bus, self._cpu, self._clock = board.bus, board.cpu, board.clock
        self._calls, self._data, self._size, self._read = calls, data, size, read

    def _base(self, number: int) -> int:
        """The ports of a printer; 0: there is none."""
        return self._data[bda.PRINTER_PORTS] >> 16 * number & 0xFFFF if number < PORTS else 0

    def service(self) -> None:
        """INT 17h; for a printer that is not there all stays as it is."""
        cpu = self._cpu
        base = self._base(cpu.dx)
        if not base:
            return
        if cpu.ah == 0:
            cpu.ah = self.print(base, cpu.al)
        elif cpu.ah == 1:
            self._bus.port_out(base + CONTROL, 1, SELECT)
            self._bus.port_out(base + CONTROL, 1, SELECT | WORKS)
            cpu.ah = self._status(base)
        elif cpu.ah == 2:
            cpu.ah = self._status(base)

    def _status(self, base: int) -> int:
        return self._bus.port_in(base + STATUS, 1) & TOLD ^ INVERTED

    def print(self, base: int, character: int) -> int:
        """Print a character; what INT 17h answers."""
        bus = self._bus
        bus.port_out(base + DATA, 1, character)
        if not self._is_ready(base):
            return self._status(base) | TIMED_OUT
        bus.port_out(base + CONTROL, 1, SELECT | WORKS | STROBE)
        bus.port_out(base + CONTROL, 1, SELECT | WORKS)
        self._clock.cost(BYTE_NS)
        self._is_ready(base)
        return self._status(base)

    def print_all(self, data: bytes) -> None:
        """Print characters on the first printer, if there is one."""
        if base := self._base(0):
            for character in data:
                self.print(base, character)

    def _is_ready(self, base: int) -> bool:
        """Whether a character can be taken by now, or soon."""
        return any(self._bus.port_in(base + STATUS, 1) & READY for _ in range(LOOKS))

    def print_screen(self) -> bool | None:
        """INT 05h."""
        data, calls = self._data, self._calls
        row = calls.progress
        if not row and data[bda.PRINT_SCREEN] == PRINTING:
            return None
        data[bda.PRINT_SCREEN] = PRINTING
        rows, columns = self._size()
        base = self._base(0)
        while row < rows:
            if calls.exhausted and row:
                return calls.suspend(row)
            line = bytes(self._read(row, column) or 0x20 for column in range(columns))
            if not base or not self._print_line(base, LINE_END * (not row) + line + LINE_END):
                data[bda.PRINT_SCREEN] = FAILED
                return None
            calls.spend(columns)
            row += 1
        data[bda.PRINT_SCREEN] = PRINTED
        return None

    def _print_line(self, base: int, line: bytes) -> bool:
        return not any(self.print(base, character) & TROUBLE for character in line)
