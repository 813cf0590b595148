"""A National PC16550D serial port: 3F8h to 3FFh, IRQ 4.

Emulated: divisor and format as they are written, FIFOs with their trigger levels and timeout,
interrupts of received and of empty transmitter by their priorities, gated by OUT2, loopback with
its modem lines. What is sent is kept as text, and a file may get it. What is written from outside
comes a character at a time, as fast as divisor and format say and there is room for it, so that
none is lost. Not emulated: the time that what is sent takes, errors but for an overrun in loopback,
breaks, changes of modem lines, DMA.

Source: National Semiconductor PC16550D data sheet; IBM AT Technical Reference (ports, IRQ, OUT2).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import ClassVar

from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.debugports import DebugFile, keep_last
from vgaemu.pc.chips.pic import RaiseIrq, unheard
from vgaemu.pc.clock import NEVER_NS, Clock
from vgaemu.snapshot import Part, Saved, fields, octets_held

BASE, IRQ = 0x3F8, 4
DATA, ENABLE, IDENTITY, LINE, MODEM, LINE_STATUS, MODEM_STATUS, SCRATCH = range(8)
#: Line control: the divisor is at the first two ports. Modem control: its lines, OUT2, loopback.
DIVISOR_LATCH, RTS, OUT2, LOOPBACK = 0x80, 0x02, 0x08, 0x10
#: Line status: a character is there; one was lost; transmitter and its register are empty.
READY, OVERRUN, SENT = 0x01, 0x02, 0x60
#: Modem status of a line that is connected: clear to send, data set ready, carrier.
CONNECTED = 0xB0
#: Bits that enable interrupts: of line status, of what was received, of an empty transmitter.
ON_LINE, ON_RECEIVED, ON_EMPTY = 4, 1, 2
#: What says which it is: line status, received, received and left lying, empty; none.
LINE_REASON, RECEIVED_REASON, TIMEOUT_REASON, EMPTY_REASON, NO_REASON = 6, 4, 0x0C, 2, 1
HAS_FIFO = 0xC0
FIFO_ON, FIFO_CLEAR = 1, 2
FIFO_BYTES = 16
#: Characters that interrupt, by bits 6 and 7 of the FIFO control.
TRIGGERS = (1, 4, 8, 14)
#: Characters' time that the FIFO may lie still before it interrupts.
TIMEOUT_CHARACTERS = 4
#: 9600 baud, as a BIOS leaves it: of 1.8432 MHz, which makes 115200 of a divisor of 1.
DIVISOR, FASTEST = 12, 115_200


class Receiver:
    """What of the line from outside goes on by itself, and when it interrupts."""

    SAVED: ClassVar[Saved] = {
        "trigger": (1, 14), "is_stale": (0, 1), "next_ns": (0, NEVER_NS),
        "timeout_ns": (0, NEVER_NS),
    }  # fmt: skip

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """As power on leaves it."""
        #: When the next character may come; when what lies in the FIFO has lain too long; whether.
        self.next_ns, self.timeout_ns, self.is_stale = 0, NEVER_NS, False
        #: Characters that interrupt.
        self.trigger = TRIGGERS[0]


class Serial:
    """One port, and the last of what was sent."""

    SAVED: ClassVar[Saved] = {
        "enabled": (0, 0x0F), "line": (0, 0xFF), "modem": (0, 0x1F), "scratch": (0, 0xFF),
        "divisor": (0, 0xFFFF), "has_fifo": (0, 1), "is_empty_told": (0, 1), "is_overrun": (0, 1),
        "is_raised": (0, 1),
    }  # fmt: skip
    #: Bytes kept; a guest may send on.
    KEEP = 1 << 20
    #: Bytes from outside that wait at most.
    MOST_INCOMING = 1 << 16

    def __init__(self, bus: Bus, raise_irq: RaiseIrq, clock: Clock) -> None:
        self._raise_irq, self._clock = raise_irq, clock
        self.lower_irq: RaiseIrq = unheard
        #: The last bytes that were sent.
        self.text = bytearray()
        #: What also gets them.
        self.file: DebugFile | None = None
        self.receiver = Receiver()
        #: What was received and not read yet.
        self.received = bytearray()
        #: What is to come.
        self.incoming: deque[int] = deque()
        self._reset()
        #: What is written to a register; of `IDENTITY` that is another one.
        self._writers: dict[int, Callable[[int], None]] = {
            DATA: self._send,
            ENABLE: self._enable,
            IDENTITY: self._control_fifo,
            LINE: partial(setattr, self, "line"),
            MODEM: self._write_modem,
            SCRATCH: partial(setattr, self, "scratch"),
        }
        for at in range(8):
            bus.byte_in[BASE + at] = partial(self._read, at)
            bus.byte_out[BASE + at] = partial(self._write, at)

    def _reset(self) -> None:
        self.enabled, self.line, self.modem, self.scratch = 0, 3, 0, 0
        self.divisor, self.has_fifo = DIVISOR, False
        #: The guest knows that the transmitter is empty.
        self.is_empty_told = True
        self.is_overrun = self.is_raised = False
        self.received.clear()

    # --- registers ---

    def _read(self, at: int) -> int:
        if at <= ENABLE and self.line & DIVISOR_LATCH:
            return self.divisor >> 8 * at & 0xFF
        if at == DATA:
            value = self.received.pop(0) if self.received else 0
            self._touched()
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
        elif at in self._writers:
            self._writers[at](value)
        self._settle()

    def _enable(self, value: int) -> None:
        if value & ~self.enabled & ON_EMPTY:
            self.is_empty_told = False
        self.enabled = value & 0x0F

    def _control_fifo(self, value: int) -> None:
        before, self.has_fifo = self.has_fifo, bool(value & FIFO_ON)
        self.receiver.trigger = TRIGGERS[value >> 6] if self.has_fifo else TRIGGERS[0]
        if value & FIFO_CLEAR or self.has_fifo != before:
            self.received.clear()
            self._touched()

    def _write_modem(self, value: int) -> None:
        self.modem = value & 0x1F

    def _send(self, value: int) -> None:
        self.is_empty_told = False
        self.is_raised = self.is_raised and self._reason() != EMPTY_REASON
        if self.modem & LOOPBACK:
            self.receive(value)
            return
        keep_last(self.text, value, self.KEEP)
        if self.file is not None:
            self.file.write(value)

    def receive(self, value: int) -> None:
        """A character comes; what there is no room for is lost."""
        if self._has_room:
            self.received.append(value)
        else:
            self.is_overrun = True
            if not self.has_fifo:
                self.received[:] = bytes((value,))
        self._touched()

    # --- from outside ---

    def write(self, data: bytes) -> int:
        """Let bytes come, one after another; any thread may. Returns how many there is room for."""
        room = max(self.MOST_INCOMING - len(self.incoming), 0)
        self.incoming.extend(data[:room])
        self._clock.wake.set()
        return min(len(data), room)

    @property
    def due_ns(self) -> int:
        """When `advance` has something to do next."""
        receiver = self.receiver
        if self._takes_more:
            return min(receiver.next_ns, receiver.timeout_ns)
        return receiver.timeout_ns

    def advance(self, now_ns: int) -> None:
        """Take the next character, and see whether some have been left lying."""
        if now_ns >= self.receiver.timeout_ns:
            self.receiver.timeout_ns, self.receiver.is_stale = NEVER_NS, True
        comes = self._takes_more and now_ns >= self.receiver.next_ns
        if comes:
            self.receiver.next_ns = now_ns + self._character_ns
            self.receive(self.incoming.popleft())
        self._settle()

    @property
    def _takes_more(self) -> bool:
        """Whether there is something to come, and a place for it."""
        return bool(self.incoming) and self._has_room and not self.modem & LOOPBACK

    @property
    def _has_room(self) -> bool:
        return len(self.received) < (FIFO_BYTES if self.has_fifo else 1)

    @property
    def _character_ns(self) -> int:
        """What a character takes: start bit, data, parity, stop bits."""
        bits = 1 + 5 + (self.line & 3) + (self.line >> 3 & 1) + 1 + (self.line >> 2 & 1)
        return bits * (self.divisor or 0x10000) * 1_000_000_000 // FASTEST

    def _touched(self) -> None:
        """The FIFO was written to or read: it lies still from now on."""
        self.receiver.is_stale, self.receiver.timeout_ns = False, NEVER_NS
        if self.has_fifo and self.received:
            wait_ns = TIMEOUT_CHARACTERS * self._character_ns
            self.receiver.timeout_ns = self._clock.now_ns() + wait_ns
        self._clock.due(self.due_ns)

    def _modem_status(self) -> int:
        if not self.modem & LOOPBACK:
            return CONNECTED
        # RTS is CTS, DTR is DSR, OUT1 the ring and OUT2 the carrier.
        modem = self.modem
        return (modem & 2) << 3 | (modem & 1) << 5 | (modem & 4) << 4 | (modem & 8) << 4

    # --- interrupts ---

    def _reason(self) -> int:
        """The interrupt of highest priority that is enabled and waits."""
        enabled, has_some = self.enabled, bool(self.received)
        reasons = (
            (enabled & ON_LINE and self.is_overrun, LINE_REASON),
            (
                enabled & ON_RECEIVED and len(self.received) >= self.receiver.trigger,
                RECEIVED_REASON,
            ),
            (enabled & ON_RECEIVED and has_some and self.receiver.is_stale, TIMEOUT_REASON),
            (enabled & ON_EMPTY and not self.is_empty_told, EMPTY_REASON),
        )
        return next((reason for waits, reason in reasons if waits), NO_REASON)

    def _identity(self) -> int:
        reason = self._reason()
        if reason == EMPTY_REASON:
            self.is_empty_told = True
        self._settle()
        return reason | (HAS_FIFO if self.has_fifo else 0)

    def _settle(self) -> None:
        """The interrupt line, which a PC's controller has edges of, follows what waits."""
        is_open = self.modem & (OUT2 | LOOPBACK) == OUT2
        waits = is_open and self._reason() != NO_REASON
        if waits and not self.is_raised:
            self._raise_irq(IRQ)
        elif self.is_raised and not waits:
            self.lower_irq(IRQ)
        self.is_raised = waits

    def parts(self) -> dict[str, Part]:
        """What is saved; states of before there was a port have none of it."""
        return {
            "chips.serial": fields(self).or_else(self._reset),
            "chips.serial_received": octets_held(self.received, FIFO_BYTES).or_else(
                self.received.clear
            ),
            "chips.serial_receiver": fields(self.receiver).or_else(self.receiver.forget),
            "chips.serial_incoming": octets_held(self.incoming, self.MOST_INCOMING).or_else(
                self.incoming.clear
            ),
        }
