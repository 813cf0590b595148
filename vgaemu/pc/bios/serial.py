"""INT 14h: the serial ports that the data area names, by their registers.

Emulated: 00h to 03h on the 16550 at 3F8h: rate and format, a character out, one in with a second's
patience (the data area has how much), line and modem status. Not emulated: the PS/2's 04h and 05h.

Source: IBM AT BIOS reference.
"""

from __future__ import annotations

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.calls import WAIT, Calls, Service, serve
from vgaemu.pc.board import Board
from vgaemu.pc.chips.serial import (
    DATA,
    DIVISOR_LATCH,
    ENABLE,
    LINE,
    LINE_STATUS,
    MODEM,
    MODEM_STATUS,
    READY,
)

#: Divisors of 1.8432 MHz / 16 for the rates that AL's upper bits choose: 110 to 9600.
DIVISORS = (1047, 768, 384, 192, 96, 48, 24, 12)
#: Line status: one may be sent; the errors that a read tells.
EMPTY, ERRORS = 0x20, 0x1E
TIMED_OUT = 0x80
#: Data terminal ready, request to send.
DTR_RTS = 0x03
PORTS = 4
#: How often a read that waits looks, and what one unit of the data area's patience is.
LOOK_NS, PATIENCE_NS = 1_000_000, 1_000_000_000


class SerialBios:
    """INT 14h."""

    def __init__(self, board: Board, calls: Calls, data: bda.DataArea) -> None:
        self._bus, self._cpu, self._clock = board.bus, board.cpu, board.clock
        self._calls, self._data = calls, data
        self._base = 0
        self._services: dict[int, Service] = {
            0x00: self._initialise, 0x01: self._send, 0x02: self._receive, 0x03: self._status,
        }  # fmt: skip

    def service(self) -> bool | None:
        """INT 14h; for a port that is not there all stays as it is."""
        number = self._cpu.dx
        if number >= PORTS:
            return None
        self._base = self._data[bda.SERIAL_PORTS] >> 16 * number & 0xFFFF
        return serve(self._services, self._cpu.ah) if self._base else None

    def _in(self, register: int) -> int:
        return self._bus.port_in(self._base + register, 1)

    def _out(self, register: int, value: int) -> None:
        self._bus.port_out(self._base + register, 1, value)

    def _initialise(self) -> None:
        chosen = self._cpu.al
        divisor = DIVISORS[chosen >> 5]
        self._out(LINE, DIVISOR_LATCH)
        self._out(DATA, divisor & 0xFF)
        self._out(ENABLE, divisor >> 8)
        self._out(LINE, chosen & 0x1F)
        self._out(ENABLE, 0)
        self._status()

    def _send(self) -> None:
        self._out(MODEM, self._in(MODEM) | DTR_RTS)
        status = self._in(LINE_STATUS)
        if status & EMPTY:
            self._out(DATA, self._cpu.al)
        self._cpu.ah = status if status & EMPTY else status | TIMED_OUT

    def _receive(self) -> bool | None:
        calls, now = self._calls, self._clock.now_ns()
        status = self._in(LINE_STATUS)
        if status & READY:
            self._cpu.al = self._in(DATA)
            self._cpu.ah = status & ERRORS
            return None
        patience = self._data[bda.SERIAL_PATIENCE] >> 8 * self._cpu.dx & 0xFF
        until = calls.progress or now + patience * PATIENCE_NS
        if now >= until:
            self._cpu.ah = status | TIMED_OUT
            return None
        calls.remember(until)
        calls.wake_at(min(now + LOOK_NS, until))
        return WAIT

    def _status(self) -> None:
        self._cpu.ah, self._cpu.al = self._in(LINE_STATUS), self._in(MODEM_STATUS)
