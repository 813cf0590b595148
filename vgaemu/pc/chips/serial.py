"""A National PC16550D serial port: 3F8h to 3FFh, IRQ 4.

Emulated: divisor and format as they are written, FIFOs, interrupts of received and of empty
transmitter by their priorities, gated by OUT2, loopback with its modem lines. What is sent is kept
as text, and a file may get it; a line with nobody at its other end but a carrier. Not emulated: the
time that a character takes, what comes from outside, errors, timeouts, DMA.

Source: National Semiconductor PC16550D data sheet; IBM AT Technical Reference (ports, IRQ, OUT2).
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.debugports import DebugFile
from vgaemu.pc.chips.pic import RaiseIrq
from vgaemu.snapshot import Part, Saved, fields, octets

BASE, IRQ = 0x3F8, 4
DATA, ENABLE, IDENTITY, LINE, MODEM, LINE_STATUS, MODEM_STATUS, SCRATCH = range(8)
#: Line control: the divisor is at the first two ports. Modem control: its lines, OUT2, loopback.
DIVISOR_LATCH, RTS, OUT2, LOOPBACK = 0x80, 0x02, 0x08, 0x10
#: Line status: a character is there; one was lost; transmitter and its register are empty.
READY, OVERRUN, SENT = 0x01, 0x02, 0x60
#: Modem status of a line that is connected: clear to send, data set ready, carrier.
CONNECTED = 0xB0
#: Interrupts: of line status, of what was received, of an empty transmitter; what says which.
ON_LINE, ON_RECEIVED, ON_EMPTY = 4, 1, 2
REASONS = ((ON_LINE, 6), (ON_RECEIVED, 4), (ON_EMPTY, 2))
NO_REASON, HAS_FIFO = 1, 0xC0
FIFO_ON, FIFO_CLEAR = 1, 2
FIFO_BYTES = 16
#: 9600 baud, as a BIOS leaves it: of 1.8432 MHz.
DIVISOR = 12


class Serial:
    """One port, and the last of what was sent."""

    SAVED: ClassVar[Saved] = {
        "enabled": (0, 0x0F), "line": (0, 0xFF), "modem": (0, 0x1F), "scratch": (0, 0xFF),
        "divisor": (0, 0xFFFF), "has_fifo": (0, 1), "is_empty_told": (0, 1), "is_overrun": (0, 1),
        "is_raised": (0, 1),
    }  # fmt: skip
    #: Bytes kept; a guest may send on.
    KEEP = 1 << 20

    def __init__(self, bus: Bus, raise_irq: RaiseIrq) -> None:
        self._raise_irq = raise_irq
        #: The last bytes that were sent.
        self.text = bytearray()
        #: What also gets them.
        self.file: DebugFile | None = None
        self._reset()
        for at in range(8):
            bus.byte_in[BASE + at] = partial(self._read, at)
            bus.byte_out[BASE + at] = partial(self._write, at)

    def _reset(self) -> None:
        self.enabled, self.line, self.modem, self.scratch = 0, 3, 0, 0
        self.divisor, self.has_fifo = DIVISOR, False
        #: The guest knows that the transmitter is empty.
        self.is_empty_told = True
        self.is_overrun = self.is_raised = False
        #: What was received and not read yet.
        self.received = bytearray()

    # --- registers ---

    def _read(self, at: int) -> int:
        if at <= ENABLE and self.line & DIVISOR_LATCH:
            return self.divisor >> 8 * at & 0xFF
        if at == DATA:
            value = self.received.pop(0) if self.received else 0
            self._settle()
            return value
        if at == IDENTITY:
            return self._identity()
        if at == LINE_STATUS:
            status = SENT | (READY if self.received else 0) | (OVERRUN if self.is_overrun else 0)
            self.is_overrun = False
            self._settle()
            return status
        return {
            ENABLE: self.enabled, LINE: self.line, MODEM: self.modem,
            MODEM_STATUS: self._modem_status(), SCRATCH: self.scratch,
        }[at]  # fmt: skip

    def _write(self, at: int, value: int) -> None:
        if at <= ENABLE and self.line & DIVISOR_LATCH:
            shift = 8 * at
            self.divisor = self.divisor & ~(0xFF << shift) | value << shift
        elif at == DATA:
            self._send(value)
        elif at == ENABLE:
            if value & ~self.enabled & ON_EMPTY:
                self.is_empty_told = False
            self.enabled = value & 0x0F
        elif at == IDENTITY:  # written it controls the FIFOs
            self.has_fifo = bool(value & FIFO_ON)
            if value & FIFO_CLEAR or not self.has_fifo:
                self.received.clear()
        elif at == LINE:
            self.line = value
        elif at == MODEM:
            self.modem = value & 0x1F
        elif at == SCRATCH:
            self.scratch = value
        self._settle()

    def _send(self, value: int) -> None:
        self.is_empty_told = False
        self.is_raised = self.is_raised and self._reason() != ON_EMPTY
        if self.modem & LOOPBACK:
            self.receive(value)
            return
        self.text.append(value)
        if len(self.text) > 2 * self.KEEP:
            del self.text[: -self.KEEP]
        if self.file is not None:
            self.file.write(value)

    def receive(self, value: int) -> None:
        """A character comes; what there is no room for is lost."""
        if len(self.received) >= (FIFO_BYTES if self.has_fifo else 1):
            self.is_overrun = True
            if not self.has_fifo:
                self.received[:] = bytes((value,))
        else:
            self.received.append(value)

    def _modem_status(self) -> int:
        if not self.modem & LOOPBACK:
            return CONNECTED
        # RTS is CTS, DTR is DSR, OUT1 the ring and OUT2 the carrier.
        modem = self.modem
        return (modem & 2) << 3 | (modem & 1) << 5 | (modem & 4) << 4 | (modem & 8) << 4

    # --- interrupts ---

    def _reason(self) -> int:
        """The interrupt of highest priority that is enabled and waits; 0: none."""
        waits = (
            (ON_LINE if self.is_overrun else 0)
            | (ON_RECEIVED if self.received else 0)
            | (0 if self.is_empty_told else ON_EMPTY)
        ) & self.enabled
        return next((reason for reason, _ in REASONS if waits & reason), 0)

    def _identity(self) -> int:
        reason = self._reason()
        if reason == ON_EMPTY:
            self.is_empty_told = True
        self._settle()
        return dict(REASONS).get(reason, NO_REASON) | (HAS_FIFO if self.has_fifo else 0)

    def _settle(self) -> None:
        """The interrupt line, which a PC's controller has edges of, follows what waits."""
        waits = bool(self._reason()) and bool(self.modem & OUT2) and not self.modem & LOOPBACK
        if waits and not self.is_raised:
            self._raise_irq(IRQ)
        self.is_raised = waits

    def parts(self) -> dict[str, Part]:
        """What is saved; states of before there was a port have none of it."""
        return {
            "chips.serial": fields(self)._replace(absent=self._reset),
            "chips.serial_received": octets(
                lambda: self.received, self._restore_received, FIFO_BYTES
            )._replace(absent=self.received.clear),
        }

    def _restore_received(self, data: bytes) -> None:
        self.received[:] = data
