"""A parallel port with a printer at it: 378h to 37Ah, IRQ 7.

Emulated: data, status and control of an AT's port, strobe, busy, acknowledgement and its interrupt,
initialisation. What is printed is kept, and may go into a file as it comes: bytes, as the guest
sends them. Not emulated: paper that ends, errors, the printer's own commands, ECP, EPP and other
directions than out.

Source: IBM AT Technical Reference (Parallel Printer Adapter).
"""

from __future__ import annotations

from typing import ClassVar

from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.debugports import DebugFile, keep_last
from vgaemu.pc.chips.pic import RaiseIrq
from vgaemu.pc.clock import NEVER_NS, Clock
from vgaemu.snapshot import Part, Saved, fields

BASE, IRQ = 0x378, 7
DATA, STATUS, CONTROL = range(3)
#: Status: not busy, no acknowledgement in hand, selected, no error; the lowest bits read as 1.
READY, NO_ACKNOWLEDGE, SELECTED, NO_ERROR, UNUSED = 0x80, 0x40, 0x10, 0x08, 0x07
#: Control: strobe, initialisation (low), selection, interrupts; what reads as 1.
STROBE, WORKS, SELECT, INTERRUPTS, ALWAYS = 0x01, 0x04, 0x08, 0x10, 0xC0
#: A byte takes so long, and its acknowledgement the last part of that.
BYTE_NS, ACKNOWLEDGE_NS = 20_000, 5_000


class Printer:
    """The port, and what was printed."""

    #: Bytes kept; a guest may print on.
    KEEP = 1 << 20
    SAVED: ClassVar[Saved] = {"data": (0, 0xFF), "control": (0, 0x1F), "due_ns": (0, NEVER_NS)}

    def __init__(self, bus: Bus, raise_irq: RaiseIrq, clock: Clock) -> None:
        self._raise_irq, self._clock = raise_irq, clock
        #: The last bytes that were printed; what also gets them.
        self.text = bytearray()
        self.file: DebugFile | None = None
        self._forget()
        bus.byte_in[BASE + DATA] = lambda: self.data
        bus.byte_out[BASE + DATA] = self._write_data
        bus.byte_in[BASE + STATUS] = self._status
        bus.byte_in[BASE + CONTROL] = lambda: self.control | ALWAYS
        bus.byte_out[BASE + CONTROL] = self._write_control

    def _forget(self) -> None:
        self.data, self.control = 0, WORKS | SELECT
        #: When the byte in hand is printed.
        self.due_ns = NEVER_NS

    def _write_data(self, value: int) -> None:
        self.data = value

    def _status(self) -> int:
        self._clock.polled()
        now = self._clock.now_ns()
        if now >= self.due_ns:
            self.advance(now)
        status = SELECTED | NO_ERROR | UNUSED
        if self.due_ns == NEVER_NS:
            return status | READY | NO_ACKNOWLEDGE
        return status if self.due_ns - now <= ACKNOWLEDGE_NS else status | NO_ACKNOWLEDGE

    def _write_control(self, value: int) -> None:
        before, self.control = self.control, value & 0x1F
        if not value & WORKS:
            self.due_ns = NEVER_NS
        elif value & STROBE and not before & STROBE and self.due_ns == NEVER_NS:
            self._print(self.data)
            self.due_ns = self._clock.now_ns() + BYTE_NS
            self._clock.due(self.due_ns)

    def _print(self, value: int) -> None:
        keep_last(self.text, value, self.KEEP)
        if self.file is not None:
            self.file.write(value)

    def advance(self, now_ns: int) -> None:
        """The byte is printed: its acknowledgement ends, which interrupts."""
        if now_ns < self.due_ns:
            return
        self.due_ns = NEVER_NS
        if self.control & INTERRUPTS:
            self._raise_irq(IRQ)

    def parts(self) -> dict[str, Part]:
        """What is saved; states of before there was a printer have none of it."""
        return {"chips.printer": fields(self).or_else(self._forget)}
