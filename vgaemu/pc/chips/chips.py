"""The PC's small chips: interrupt controllers, timer, keyboard controller, CMOS, speaker gate.

Emulated: two 8259A (initialisation words, masks, priorities, specific and automatic end of
interrupt, IRR/ISR reads), an 8254 timer (modes 0, 2, 3 and 4 of channel 0 interrupt; channel 2 has
its gate, and a speaker that is silent), an 8042 keyboard controller with a set 1 keyboard and
typematic repeat (ports 60h, 64h, 61h), an MC146818 clock with CMOS RAM, port 92h. Not emulated: a
mouse, RTC interrupts, setting the clock through its ports (the BIOS sets it), BCD counting, counts
that wait for the end of a period, the CPU reset line (a guest that pulls it ends the run).

Source: Intel 8259A, 8254 and 8042 data sheets, IBM AT Technical Reference.
"""

from __future__ import annotations

import calendar
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import ClassVar, TypeAlias

from vgaemu.errors import GuestFault
from vgaemu.keys import scancodes
from vgaemu.keys.queue import Keys
from vgaemu.pc.bus import Bus
from vgaemu.pc.clock import VIRTUAL_EPOCH, Clock

#: The timer's input, in Hz.
PIT_HZ = 1_193_182
#: Interrupts due at most this long ago are made up for; older ones were lost with the time the
#: guest stood still.
LATE_NS = 250_000_000
#: The clock knows the years 1980 to 2099: 43830 days.
YEARS, ALL_SECONDS = range(1980, 2100), 43_830 * 86_400
#: Later than all times.
NEVER_NS = 1 << 62

#: What a chip's state is made of, for `state`: attribute -> smallest and largest value. -1 stands
#: for None.
Saved: TypeAlias = dict[str, tuple[int, int]]
#: An edge on an interrupt line, 0 to 15: `Pic.raise_irq`, or another controller's.
RaiseIrq: TypeAlias = Callable[[int], None]


class Pic:
    """Two 8259A: IRQs 0-7, and 8-15 through IRQ 2."""

    def __init__(self, bus: Bus) -> None:
        self.chips = (Pic8259(0x08), Pic8259(0x70))
        for chip, port in zip(self.chips, (0x20, 0xA0), strict=True):
            bus.byte_in[port] = chip.read_command
            bus.byte_in[port + 1] = chip.read_data
            bus.byte_out[port] = chip.write_command
            bus.byte_out[port + 1] = chip.write_data

    def raise_irq(self, irq: int) -> None:
        """An edge on a line."""
        self.chips[irq >> 3].requested |= 1 << (irq & 7)

    def has_interrupt(self) -> bool:
        """Whether an unmasked line asks for attention."""
        self._cascade()
        return self.chips[0].next_line() is not None

    def acknowledge(self) -> int:
        """The CPU takes the interrupt: its vector."""
        self._cascade()
        line = self.chips[0].acknowledge()
        if line == 2:
            return self.chips[1].base + self.chips[1].acknowledge()
        return self.chips[0].base + line

    def _cascade(self) -> None:
        if self.chips[1].next_line() is not None:
            self.chips[0].requested |= 4


class Pic8259:
    """One 8259A."""

    SAVED: ClassVar[Saved] = {
        "base": (0, 0xFF), "mask": (0, 0xFF), "requested": (0, 0xFF), "in_service": (0, 0xFF),
        "auto_eoi": (0, 1), "read_service": (0, 1),
    }  # fmt: skip

    def __init__(self, base: int) -> None:
        self.base = base
        self.mask = 0
        self.requested = 0
        self.in_service = 0
        self.auto_eoi = False
        self.read_service = False
        #: Initialisation words still to come: ICW2, 3, 4.
        self.expect: list[int] = []

    def next_line(self) -> int | None:
        """The line that interrupts next: of higher priority than all that are in service."""
        ready = self.requested & ~self.mask
        if not ready:
            return None
        line = (ready & -ready).bit_length() - 1
        served = self.in_service
        if served and (served & -served).bit_length() - 1 <= line:
            return None
        return line

    def acknowledge(self) -> int:
        """Take the next line into service; 7 if it went away (a spurious interrupt)."""
        line = self.next_line()
        if line is None:
            return 7
        self.requested &= ~(1 << line)
        if not self.auto_eoi:
            self.in_service |= 1 << line
        return line

    def read_command(self) -> int:
        """IRR or ISR, as OCW3 chose."""
        return self.in_service if self.read_service else self.requested

    def read_data(self) -> int:
        """The mask."""
        return self.mask

    def write_command(self, value: int) -> None:
        """ICW1, OCW2 or OCW3."""
        if value & 0x10:
            self.mask = self.requested = self.in_service = 0
            self.auto_eoi = self.read_service = False
            self.expect = [2] + ([] if value & 2 else [3]) + ([4] if value & 1 else [])
        elif value & 0x08:
            if value & 2:
                self.read_service = bool(value & 1)
        elif value & 0x60 == 0x60:  # specific end of interrupt
            self.in_service &= ~(1 << (value & 7))
        elif value & 0x20:
            self.in_service &= self.in_service - 1 if self.in_service else 0

    def write_data(self, value: int) -> None:
        """The initialisation word that is due, or the mask."""
        if not self.expect:
            self.mask = value
            return
        word = self.expect.pop(0)
        if word == 2:
            self.base = value & 0xF8
        elif word == 4:
            self.auto_eoi = bool(value & 2)


class PitChannel:
    """One counter of an 8254."""

    SAVED: ClassVar[Saved] = {
        "reload": (1, 0x10000), "mode": (0, 5), "start_ns": (0, NEVER_NS), "access": (1, 3),
        "latched": (-1, 0xFFFF), "read_high": (0, 1), "low": (-1, 0xFF), "loaded": (0, 1),
        "status": (-1, 0xFF), "gate": (0, 1), "counting": (0, 1), "counted": (0, NEVER_NS),
    }  # fmt: skip

    def __init__(self, *, gate: bool = True) -> None:
        self.reload = 0x10000
        self.mode = 3
        self.access = 3
        self.latched: int | None = None
        self.read_high = False
        self.low: int | None = None
        #: What a read-back latched; the next read tells it.
        self.status: int | None = None
        #: A count was written since `mode` was set.
        self.loaded = True
        #: The gate line.
        self.gate = gate
        #: It counts since `start_ns`, and had counted so many ticks before.
        self.counting = gate
        self.start_ns = 0
        self.counted = 0

    @property
    def period_ns(self) -> int:
        """From one terminal count to the next."""
        return self.reload * 1_000_000_000 // PIT_HZ

    def ticks(self, now_ns: int) -> int:
        """What was counted since the count was loaded."""
        if not self.counting:
            return self.counted
        return self.counted + (now_ns - self.start_ns) * PIT_HZ // 1_000_000_000

    def value(self, now_ns: int) -> int:
        """The count now."""
        ticks = self.ticks(now_ns)
        if self.mode == 3:
            ticks *= 2
        if self.mode in (2, 3):
            return (self.reload - ticks % self.reload) & 0xFFFF
        return (self.reload - ticks) & 0xFFFF

    def output(self, now_ns: int) -> bool:
        """The output line."""
        ticks, reload = self.ticks(now_ns), self.reload
        if self.mode == 0:
            return self.loaded and ticks >= reload
        if not self.counting and self.mode != 4:
            return True
        if self.mode == 1:
            return ticks >= reload
        if self.mode == 2:
            return ticks % reload != reload - 1
        if self.mode == 3:
            return ticks % reload < (reload + 1) // 2
        return ticks != reload or not self.loaded  # a strobe, in modes 4 and 5

    def control(self, value: int, now_ns: int) -> bool:
        """A control word for this counter; True if it sets the mode."""
        access = value >> 4 & 3
        if access == 0:
            if self.latched is None:
                self.latched = self.value(now_ns)
            return False
        self._stop(now_ns)
        self.access = access
        self.mode = value >> 1 & 7
        if self.mode > 5:
            self.mode -= 4
        self.low = None
        self.read_high = False
        self.latched = self.status = None
        return True

    def latch_status(self, now_ns: int) -> None:
        """Output line, whether the count is still to come, access and mode."""
        if self.status is None:
            lines = self.output(now_ns) << 7 | (not self.loaded) << 6
            self.status = lines | self.access << 4 | self.mode << 1

    def write(self, value: int, now_ns: int) -> bool:
        """A byte of the count; True if that starts or stops the counter.

        With the last byte it counts anew, or waits for its gate; mode 0 stops at the first.
        """
        if self.access == 3:
            if self.low is None:
                self.low = value
                if self.mode == 0:
                    self._stop(now_ns)
                return self.mode == 0
            count, self.low = self.low | value << 8, None
        else:
            count = value if self.access == 1 else value << 8
        self.reload = count or 0x10000
        self.loaded = True
        self._start(now_ns, self.gate and self.mode not in (1, 5))
        return True

    def set_gate(self, gate: bool, now_ns: int) -> None:
        """The gate line: high lets count in modes 0 and 4, its rise starts anew in the others."""
        if gate == self.gate:
            return
        self.gate = gate
        if gate and self.loaded:
            self._start(now_ns, True, self.counted if self.mode in (0, 4) else 0)
        elif not gate and self.mode not in (1, 5):
            self.counted, self.counting = self.ticks(now_ns), False

    def _start(self, now_ns: int, counting: bool, counted: int = 0) -> None:
        self.start_ns, self.counted, self.counting = now_ns, counted, counting

    def _stop(self, now_ns: int) -> None:
        """Stand still until a count comes."""
        self.counted, self.counting, self.loaded = self.ticks(now_ns), False, False

    def read(self, now_ns: int) -> int:
        """A byte of the count, or of what was latched."""
        if self.status is not None:
            status, self.status = self.status, None
            return status
        count = self.value(now_ns) if self.latched is None else self.latched
        if self.access == 1:
            self.latched = None
            return count & 0xFF
        if self.access == 2:
            self.latched = None
            return count >> 8
        high, self.read_high = self.read_high, not self.read_high
        if high:
            self.latched = None
            return count >> 8
        return count & 0xFF


class Pit:
    """The 8254 and port 61h."""

    SAVED: ClassVar[Saved] = {"next_irq_ns": (0, NEVER_NS), "gate": (0, 0x0F), "refresh": (0, 0x10)}

    def __init__(self, bus: Bus, raise_irq: RaiseIrq, clock: Clock) -> None:
        self._raise_irq, self._clock = raise_irq, clock
        self.channels = [PitChannel(), PitChannel(), PitChannel(gate=False)]
        self.next_irq_ns = self.channels[0].period_ns
        self.gate = 0
        self.refresh = 0
        for number in range(3):
            bus.byte_in[0x40 + number] = partial(self._read, number)
            bus.byte_out[0x40 + number] = partial(self._write, number)
        bus.byte_out[0x43] = self._control
        bus.byte_in[0x61] = self._read_gate
        bus.byte_out[0x61] = self._write_gate

    def advance(self, now_ns: int) -> None:
        """Raise IRQ 0 if it became due."""
        if now_ns < self.next_irq_ns:
            return
        self._raise_irq(0)
        channel = self.channels[0]
        if channel.mode not in (2, 3):
            self.next_irq_ns = NEVER_NS
            return
        self.next_irq_ns += max(channel.period_ns, 1000)
        if self.next_irq_ns < now_ns - LATE_NS:
            self.next_irq_ns = now_ns

    def _read(self, number: int) -> int:
        self._clock.polled()
        return self.channels[number].read(self._clock.now_ns())

    def _write(self, number: int, value: int) -> None:
        self._change(number, PitChannel.write, value)

    def _control(self, value: int) -> None:
        if value >> 6 < 3:
            self._change(value >> 6, PitChannel.control, value)
            return
        now = self._clock.now_ns()
        for i, channel in enumerate(self.channels):  # read-back
            if value >> i + 1 & 1 and not value & 0x20:
                channel.control(0, now)
            if value >> i + 1 & 1 and not value & 0x10:
                channel.latch_status(now)

    def _change(
        self, number: int, change: Callable[[PitChannel, int, int], bool], value: int
    ) -> None:
        channel, now = self.channels[number], self._clock.now_ns()
        if number == 0:
            self.advance(now)
        if change(channel, value, now) and number == 0:
            self.next_irq_ns = now + channel.period_ns if channel.counting else NEVER_NS

    def _read_gate(self) -> int:
        self._clock.polled()
        # Bit 4 toggles with every memory refresh, 15 us; bit 5 is the speaker's counter.
        now = self._clock.now_ns()
        self.refresh ^= 0x10
        return self.gate & 0x0F | self.refresh | self.channels[2].output(now) << 5

    def _write_gate(self, value: int) -> None:
        self.gate = value & 0x0F
        self.channels[2].set_gate(bool(value & 1), self._clock.now_ns())


class I8042:
    """The keyboard controller, and the keyboard behind it."""

    #: Repeat after half a second, 10.9 times a second: see `_delay_ns` and `_period_ns`.
    TYPEMATIC = 0x2B
    #: The keyboard forgets what comes while its buffer is full; 16 bytes in the real one.
    BUFFER_BYTES = 256
    #: Of the configuration: the auxiliary port is off. As there is none, no guest can turn it on.
    NO_AUXILIARY = 0x20
    SAVED: ClassVar[Saved] = {
        "output": (0, 0xFF), "full": (0, 1), "command": (0, 0xFF), "config": (0, 0xFF),
        "enabled": (0, 1), "expect_keyboard": (0, 0xFF), "repeat_ns": (0, NEVER_NS),
        "next_byte_ns": (0, NEVER_NS), "typematic": (0, 0x7F), "caps": (0, 1),
    }  # fmt: skip

    def __init__(self, bus: Bus, raise_irq: RaiseIrq, clock: Clock, keys: Keys) -> None:
        self._raise_irq, self._clock, self._keys = raise_irq, clock, keys
        self.buffer: deque[int] = deque()
        self.output = 0
        self.full = False
        self.command = 0
        self.config = 0x45 | self.NO_AUXILIARY  # IRQ 1, system flag, translation to set 1
        self.enabled = True
        self.expect_keyboard = 0
        self.held: tuple[str, bytes] | None = None
        self.repeat_ns = NEVER_NS
        self.next_byte_ns = 0
        #: Delay in bits 5 and 6, rate below, as F3h takes them.
        self.typematic = self.TYPEMATIC
        #: Caps lock is on, as far as the keyboard can tell.
        self.caps = False
        bus.byte_in[0x60] = self.read_data
        bus.byte_out[0x60] = self._write_data
        bus.byte_in[0x64] = self._read_status
        bus.byte_out[0x64] = self._write_command
        bus.byte_in[0x92] = lambda: 2  # A20 is open
        bus.byte_out[0x92] = self._write_port_92

    def advance(self, now_ns: int) -> None:
        """Take keys from the host, repeat a held one, hand the next byte to the CPU."""
        key = self._keys.get() if len(self.buffer) < self.BUFFER_BYTES - 16 else None
        while key is not None:
            shift, ctrl = self._keys.is_down("shift"), self._keys.is_down("ctrl")
            codes = scancodes.of_key(key, shift=shift, ctrl=ctrl, caps=self.caps)
            self.caps ^= key.pressed and key.name == "capslock"
            self.buffer.extend(codes)
            if key.pressed and codes:
                self.held = (key.name, codes)
                self.repeat_ns = now_ns + self._delay_ns
            elif self.held is not None and self.held[0] == key.name:
                self.held = None
            key = self._keys.get() if len(self.buffer) < self.BUFFER_BYTES - 16 else None
        if self.held is not None and now_ns >= self.repeat_ns:
            self.repeat_ns = now_ns + self._period_ns
            if not self.buffer:
                self.buffer.extend(self.held[1])
        if self.buffer and not self.full and self.enabled and now_ns >= self.next_byte_ns:
            self._deliver(self.buffer.popleft())

    @property
    def _delay_ns(self) -> int:
        return (1 + (self.typematic >> 5)) * 250_000_000

    @property
    def _period_ns(self) -> int:
        rate = self.typematic & 0x1F
        return (8 + (rate & 7) << (rate >> 3)) * 4_170_000

    def due_ns(self, now_ns: int) -> int:
        """When `advance` has something to do next, if no key comes."""
        if self.buffer and not self.full and self.enabled:
            return max(self.next_byte_ns, now_ns)
        return self.repeat_ns if self.held is not None else NEVER_NS

    def _deliver(self, byte: int) -> None:
        self.output = byte
        self.full = True
        if self.config & 1:
            self._raise_irq(1)

    def read_data(self) -> int:
        """Port 60h."""
        self.full = False
        # Bytes come over a serial line, about 1 ms each: a handler sees one at a time.
        self.next_byte_ns = self._clock.now_ns() + 1_000_000
        return self.output

    def _read_status(self) -> int:
        self._clock.polled()
        return 0x1C | self.full

    def _write_command(self, value: int) -> None:
        self.command = 0
        if value == 0x20:
            self.output, self.full = self.config, True
        elif value == 0xAA:
            self.output, self.full = 0x55, True
        elif value == 0xA9:
            self.output, self.full = 0x01, True  # the auxiliary port's clock is low for ever
        elif value == 0xAB:
            self.output, self.full = 0x00, True
        elif value in (0xAD, 0xAE):
            self.enabled = value == 0xAE
        elif value == 0xD0:
            self.output, self.full = 0x03, True
        elif value in (0x60, 0xD1, 0xD2, 0xD4):
            self.command = value
        elif value == 0xFE:
            raise GuestFault("the guest pulled the CPU's reset line (port 64h)")

    def _write_data(self, value: int) -> None:
        command, self.command = self.command, 0
        if command == 0x60:
            self.config = value | self.NO_AUXILIARY
        elif command == 0xD4:
            pass  # for a mouse
        elif command == 0xD2:
            self._deliver(value)
        elif command == 0xD1:
            if not value & 1:
                raise GuestFault("the guest pulled the CPU's reset line (port 64h)")
        elif self.expect_keyboard:  # the argument of EDh (lamps), F0h (set), F3h (rate)
            if self.expect_keyboard == 0xF3:
                self.typematic = value & 0x7F
            self.expect_keyboard = 0
            self.buffer.append(0xFA)
        else:
            self._keyboard_command(value)

    def _keyboard_command(self, value: int) -> None:
        answers = {0xEE: b"\xee", 0xF2: b"\xfa\xab\x41", 0xFF: b"\xfa\xaa"}
        if value in (0xED, 0xF0, 0xF3):
            self.expect_keyboard = value
        elif value in (0xF6, 0xFF):
            self.typematic = self.TYPEMATIC
        if len(self.buffer) < self.BUFFER_BYTES:
            self.buffer.extend(answers.get(value, b"\xfa"))

    def _write_port_92(self, value: int) -> None:
        if value & 1:
            raise GuestFault("the guest pulled the CPU's reset line (port 92h)")


class Cmos:
    """The battery-backed clock and its RAM (ports 70h, 71h)."""

    SAVED: ClassVar[Saved] = {"index": (0, 0x7F), "ahead_s": (0, ALL_SECONDS - 1)}

    def __init__(self, bus: Bus, clock: Clock, ram_bytes: int, *, floppy: bool = True) -> None:
        self._clock = clock
        self.index = 0
        #: The guest has set the clock: so much ahead of `Clock.time_of_day`, around all years.
        self.ahead_s = 0
        self.ram = bytearray(128)
        extended_kib = min((ram_bytes >> 10) - 1024, 0xFFFF)
        self.ram[0x0B] = 0x02  # 24 hours, BCD
        self.ram[0x0D] = 0x80  # the battery is fine
        self.ram[0x10] = 0x40 if floppy else 0  # a 1.44 MB drive
        self.ram[0x14] = 0x23 if floppy else 0x22  # 80x25 colour, coprocessor
        self.ram[0x15:0x17] = (640).to_bytes(2, "little")
        self.ram[0x17:0x19] = self.ram[0x30:0x32] = extended_kib.to_bytes(2, "little")
        over_16m = max(0, ram_bytes - (16 << 20)) >> 16
        self.ram[0x34:0x36] = over_16m.to_bytes(2, "little")
        bus.byte_out[0x70] = self._select
        bus.byte_in[0x70] = lambda: 0xFF
        bus.byte_in[0x71] = self._read
        bus.byte_out[0x71] = self._write

    def now(self) -> time.struct_time:
        """Date and time as the guest has set them."""
        return time.gmtime(VIRTUAL_EPOCH + (self._unset_s() + self.ahead_s) % ALL_SECONDS)

    def set(self, year: int, month: int, day: int, hour: int, minute: int, second: int) -> bool:
        """Set the clock; False if there is no such time."""
        try:
            wanted = datetime(year, month, day, hour, minute, second).timetuple()
        except ValueError:
            return False
        if wanted.tm_year not in YEARS:
            return False
        self.ahead_s = (calendar.timegm(wanted) - VIRTUAL_EPOCH - self._unset_s()) % ALL_SECONDS
        return True

    def _unset_s(self) -> int:
        """Seconds since 1980 as they would be."""
        return calendar.timegm(self._clock.time_of_day()) - VIRTUAL_EPOCH

    def _select(self, value: int) -> None:
        self.index = value & 0x7F

    def _read(self) -> int:
        now = self.now()
        fields = {
            0x00: now.tm_sec, 0x02: now.tm_min, 0x04: now.tm_hour,
            0x06: (now.tm_wday + 1) % 7 + 1, 0x07: now.tm_mday, 0x08: now.tm_mon,
            0x09: now.tm_year % 100, 0x32: now.tm_year // 100,
        }  # fmt: skip
        value = fields.get(self.index)
        if value is None:
            if self.index == 0x0A:
                self._clock.polled()
                return 0x26
            return self.ram[self.index]
        return value if self.ram[0x0B] & 4 else bcd(value)

    def _write(self, value: int) -> None:
        if self.index >= 0x0E or self.index in (0x0A, 0x0B):
            self.ram[self.index] = value


def bcd(value: int) -> int:
    """Two decimal digits, four bits each.

    >>> hex(bcd(59))
    '0x59'
    """
    return value // 10 << 4 | value % 10


def of_bcd(value: int) -> int:
    """What two decimal digits say.

    >>> of_bcd(0x59)
    59
    """
    return 10 * (value >> 4) + (value & 0x0F)


class DebugPorts:
    """Ports that print: 402h (SeaBIOS), E9h (Bochs), 500h (the LGPL VGA BIOS)."""

    PORTS = (0x402, 0xE9, 0x500, 0x501)
    #: Bytes kept; a guest may write on.
    KEEP = 1 << 16

    def __init__(self, bus: Bus) -> None:
        #: The last bytes that were printed.
        self.text = bytearray()
        for port in self.PORTS:
            bus.byte_out[port] = self._write
        bus.byte_in[0x402] = bus.byte_in[0xE9] = lambda: 0xE9

    def _write(self, value: int) -> None:
        self.text.append(value)
        if len(self.text) > 2 * self.KEEP:
            del self.text[: -self.KEEP]
