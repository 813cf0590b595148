"""Power management: INT 15h/53h, Advanced Power Management 1.2 of real mode.

Emulated: what says that it is there, its connection and its version; a processor that is idle waits
for an interrupt; a machine that is switched off ends the run with code 0, any other state is
entered at once and left again; a machine on its line, without a battery; no events. Not emulated:
the interfaces of protected mode, devices of their own, whether anybody is connected.

Source: Intel and Microsoft, APM BIOS Interface Specification 1.2.
"""

from __future__ import annotations

from collections.abc import Mapping

from vgaemu.pc.bios.calls import WAIT, Calls, Service
from vgaemu.pc.board import Board

#: Statuses in AH.
NO_16_BITS, NO_32_BITS, NO_DEVICE, NO_PARAMETER, NO_EVENTS = 0x06, 0x08, 0x09, 0x0A, 0x80
#: As AX tells it, and who does: "PM" in BX.
VERSION, SIGNATURE = 0x0102, 0x504D
#: Devices: the BIOS itself, and all of them.
BIOS, ALL = 0x0000, 0x0001
#: States of power: on, standby, suspended, off.
OFF = 3
#: 0Ah: on its line, a battery of unknown state: there is none; no time is known.
LINE, NO_BATTERY, NO_TIME = 0x01FF, 0x80FF, 0xFFFF


class PowerManagement:
    """What AH = 53h does."""

    def __init__(self, board: Board, calls: Calls) -> None:
        self._cpu, self._calls = board.cpu, calls
        done, refused = self._done, self._refused
        #: By AL: which device BX has to name, if any, and what is done.
        self.functions: Mapping[int, tuple[int | None, Service]] = {
            0x00: (BIOS, self._installed),
            0x01: (BIOS, done),  # connect
            0x02: (BIOS, lambda: refused(NO_16_BITS)),
            0x03: (BIOS, lambda: refused(NO_32_BITS)),
            0x04: (BIOS, done),  # disconnect
            0x05: (None, self._idle),
            0x06: (None, done),  # busy
            0x07: (ALL, self._enter),
            0x08: (ALL, done),  # enable or disable
            0x0A: (ALL, self._power),
            0x0B: (None, lambda: refused(NO_EVENTS)),
            0x0E: (BIOS, self._version),
            0x0F: (ALL, done),  # engage or disengage
        }

    def service(self) -> bool | None:
        cpu = self._cpu
        device, function = self.functions.get(cpu.al, (None, self._calls.unsupported))
        if device in (None, cpu.bx):
            return function()
        self._refused(NO_DEVICE)
        return None

    def _done(self) -> None:
        self._calls.carry(False)

    def _refused(self, status: int) -> None:
        self._cpu.ah = status
        self._calls.carry(True)

    def _installed(self) -> None:
        cpu = self._cpu
        cpu.ax, cpu.bx, cpu.cx = VERSION, SIGNATURE, 0  # of protected mode there is nothing
        self._done()

    def _version(self) -> None:
        """The driver's is in CX; the lower one counts."""
        self._cpu.ax = min(max(self._cpu.cx, 0x0100), VERSION)
        self._done()

    def _idle(self) -> bool | None:
        if not self._calls.progress:
            self._calls.remember(1)
            return WAIT
        self._done()
        return None

    def _enter(self) -> bool | None:
        if self._cpu.cx == OFF:
            return self._calls.end()
        if self._cpu.cx > OFF:
            self._refused(NO_PARAMETER)
        else:
            self._done()
        return None

    def _power(self) -> None:
        cpu = self._cpu
        cpu.bx, cpu.cx, cpu.dx = LINE, NO_BATTERY, NO_TIME
        self._done()
