"""The PC's small chips: interrupt controllers, timer, keyboard controller, CMOS, speaker gate.

Emulated: two 8259A (initialisation words, masks, priorities, specific and automatic end of
interrupt, IRR/ISR reads), an 8254 timer (modes 0, 2 and 3 of channel 0 interrupt; all channels
count and latch; channel 2 gates the speaker, which is silent), an 8042 keyboard controller with a
set 1 keyboard and typematic repeat (ports 60h, 64h, 61h), an MC146818 clock with CMOS RAM, port
92h. Not emulated: a mouse, RTC interrupts, BCD counting, the CPU reset line (a guest that pulls it
ends the run).

Source: Intel 8259A, 8254 and 8042 data sheets, IBM AT Technical Reference.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from vgaemu.guest.keys import Keys
from vgaemu.guest.x86 import scancodes
from vgaemu.guest.x86.bus import Bus
from vgaemu.guest.x86.clock import Clock
from vgaemu.guest.x86.cpu import GuestFault

#: The timer's input, in Hz.
PIT_HZ = 1_193_182
#: Interrupts due at most this long ago are made up for; older ones were lost with the time the
#: guest stood still.
LATE_NS = 250_000_000


class Pic:
    """Two 8259A: IRQs 0-7, and 8-15 through IRQ 2."""

    def __init__(self, bus: Bus) -> None:
        self._chips = (Pic8259(0x08), Pic8259(0x70))
        for chip, port in zip(self._chips, (0x20, 0xA0), strict=True):
            bus.byte_in[port] = chip.read_command
            bus.byte_in[port + 1] = chip.read_data
            bus.byte_out[port] = chip.write_command
            bus.byte_out[port + 1] = chip.write_data

    def raise_irq(self, irq: int) -> None:
        """An edge on a line."""
        self._chips[irq >> 3].requested |= 1 << (irq & 7)

    def has_interrupt(self) -> bool:
        """Whether an unmasked line asks for attention."""
        self._cascade()
        return self._chips[0].next_line() is not None

    def acknowledge(self) -> int:
        """The CPU takes the interrupt: its vector."""
        self._cascade()
        line = self._chips[0].acknowledge()
        if line == 2:
            return self._chips[1].base + self._chips[1].acknowledge()
        return self._chips[0].base + line

    def _cascade(self) -> None:
        if self._chips[1].next_line() is not None:
            self._chips[0].requested |= 4


class Pic8259:
    """One 8259A."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.mask = 0
        self.requested = 0
        self._in_service = 0
        self._auto_eoi = False
        self._read_service = False
        #: Initialisation words still to come: ICW2, 3, 4.
        self._expect: list[int] = []

    def next_line(self) -> int | None:
        """The line that interrupts next: of higher priority than all that are in service."""
        ready = self.requested & ~self.mask
        if not ready:
            return None
        line = (ready & -ready).bit_length() - 1
        served = self._in_service
        if served and (served & -served).bit_length() - 1 <= line:
            return None
        return line

    def acknowledge(self) -> int:
        """Take the next line into service; 7 if it went away (a spurious interrupt)."""
        line = self.next_line()
        if line is None:
            return 7
        self.requested &= ~(1 << line)
        if not self._auto_eoi:
            self._in_service |= 1 << line
        return line

    def read_command(self) -> int:
        """IRR or ISR, as OCW3 chose."""
        return self._in_service if self._read_service else self.requested

    def read_data(self) -> int:
        """The mask."""
        return self.mask

    def write_command(self, value: int) -> None:
        """ICW1, OCW2 or OCW3."""
        if value & 0x10:
            self.mask = self.requested = self._in_service = 0
            self._auto_eoi = self._read_service = False
            self._expect = [2] + ([] if value & 2 else [3]) + ([4] if value & 1 else [])
        elif value & 0x08:
            if value & 2:
                self._read_service = bool(value & 1)
        elif value & 0x60 == 0x60:  # specific end of interrupt
            self._in_service &= ~(1 << (value & 7))
        elif value & 0x20:
            self._in_service &= self._in_service - 1 if self._in_service else 0

    def write_data(self, value: int) -> None:
        """The initialisation word that is due, or the mask."""
        if not self._expect:
            self.mask = value
            return
        word = self._expect.pop(0)
        if word == 2:
            self.base = value & 0xF8
        elif word == 4:
            self._auto_eoi = bool(value & 2)


class PitChannel:
    """One counter of an 8254."""

    def __init__(self) -> None:
        self.reload = 0x10000
        self.mode = 3
        self.start_ns = 0
        self._access = 3
        self._latched: int | None = None
        self._read_high = False
        self._low: int | None = None
        #: Counts whether the counter was loaded since `mode` was set.
        self.running = True

    @property
    def period_ns(self) -> int:
        """From one terminal count to the next."""
        return self.reload * 1_000_000_000 // PIT_HZ

    def value(self, now_ns: int) -> int:
        """The count now."""
        ticks = (now_ns - self.start_ns) * PIT_HZ // 1_000_000_000
        if self.mode == 3:
            ticks *= 2
        if self.mode in (2, 3):
            return (self.reload - ticks % self.reload) & 0xFFFF
        return (self.reload - ticks) & 0xFFFF

    def output(self, now_ns: int) -> bool:
        """The output line."""
        ticks = (now_ns - self.start_ns) * PIT_HZ // 1_000_000_000
        if self.mode in (2, 3):
            return ticks % self.reload < (self.reload + 1) // 2
        return ticks >= self.reload

    def control(self, value: int, now_ns: int) -> None:
        """A control word for this counter."""
        access = value >> 4 & 3
        if access == 0:
            if self._latched is None:
                self._latched = self.value(now_ns)
            return
        self._access = access
        self.mode = value >> 1 & 7
        if self.mode > 5:
            self.mode -= 4
        self._low = None
        self._read_high = False
        self._latched = None
        self.running = False

    def write(self, value: int, now_ns: int) -> bool:
        """A byte of the count; True when it is complete and the counter starts anew."""
        if self._access == 3:
            if self._low is None:
                self._low = value
                return False
            count, self._low = self._low | value << 8, None
        else:
            count = value if self._access == 1 else value << 8
        self.reload = count or 0x10000
        self.start_ns = now_ns
        self.running = True
        return True

    def read(self, now_ns: int) -> int:
        """A byte of the count, or of what was latched."""
        count = self.value(now_ns) if self._latched is None else self._latched
        if self._access == 1:
            self._latched = None
            return count & 0xFF
        if self._access == 2:
            self._latched = None
            return count >> 8
        high, self._read_high = self._read_high, not self._read_high
        if high:
            self._latched = None
            return count >> 8
        return count & 0xFF


class Pit:
    """The 8254 and port 61h."""

    def __init__(self, bus: Bus, pic: Pic, clock: Clock) -> None:
        self._pic, self._clock = pic, clock
        self.channels = [PitChannel() for _ in range(3)]
        self.next_irq_ns = self.channels[0].period_ns
        self._gate = 0
        self._refresh = 0
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
        self._pic.raise_irq(0)
        channel = self.channels[0]
        if channel.mode not in (2, 3):
            self.next_irq_ns = 1 << 62
            return
        self.next_irq_ns += max(channel.period_ns, 1000)
        if self.next_irq_ns < now_ns - LATE_NS:
            self.next_irq_ns = now_ns

    def _read(self, number: int) -> int:
        self._clock.polled()
        return self.channels[number].read(self._clock.now_ns())

    def _write(self, number: int, value: int) -> None:
        now = self._clock.now_ns()
        channel = self.channels[number]
        if channel.write(value, now) and number == 0:
            self.next_irq_ns = now + channel.period_ns

    def _control(self, value: int) -> None:
        number = value >> 6
        now = self._clock.now_ns()
        if number < 3:
            self.channels[number].control(value, now)
            return
        for i, channel in enumerate(self.channels):  # read-back: latch counts
            if value >> i + 1 & 1 and not value & 0x20:
                channel.control(0, now)

    def _read_gate(self) -> int:
        self._clock.polled()
        # Bit 4 toggles with every memory refresh, 15 us; bit 5 is the speaker's counter.
        now = self._clock.now_ns()
        self._refresh ^= 0x10
        return self._gate & 0x0F | self._refresh | self.channels[2].output(now) << 5

    def _write_gate(self, value: int) -> None:
        self._gate = value & 0x0F


class I8042:
    """The keyboard controller, and the keyboard behind it."""

    TYPEMATIC_DELAY_NS = 500_000_000
    TYPEMATIC_PERIOD_NS = 91_700_000  # 10.9 characters a second
    #: The keyboard forgets what comes while its buffer is full; 16 bytes in the real one.
    BUFFER_BYTES = 256

    def __init__(self, bus: Bus, pic: Pic, clock: Clock, keys: Keys) -> None:
        self._pic, self._clock, self._keys = pic, clock, keys
        self._buffer: deque[int] = deque()
        self._output = 0
        self.full = False
        self._command = 0
        self._config = 0x45  # IRQ 1, system flag, translation to set 1
        self._enabled = True
        self._expect_keyboard = 0
        self._held: tuple[str, bytes] | None = None
        self._repeat_ns = 1 << 62
        self._shift_made = False
        self._next_byte_ns = 0
        bus.byte_in[0x60] = self.read_data
        bus.byte_out[0x60] = self._write_data
        bus.byte_in[0x64] = self._read_status
        bus.byte_out[0x64] = self._write_command
        bus.byte_in[0x92] = lambda: 2  # A20 is open
        bus.byte_out[0x92] = self._write_port_92

    def advance(self, now_ns: int) -> None:
        """Take keys from the host, repeat a held one, hand the next byte to the CPU."""
        key = self._keys.get() if len(self._buffer) < self.BUFFER_BYTES - 16 else None
        while key is not None:
            codes = scancodes.of_key(key, shift=self._keys.is_down("shift"))
            self._buffer.extend(codes)
            if key.pressed and codes:
                self._held = (key.name, codes)
                self._repeat_ns = now_ns + self.TYPEMATIC_DELAY_NS
            elif self._held is not None and self._held[0] == key.name:
                self._held = None
            key = self._keys.get() if len(self._buffer) < self.BUFFER_BYTES - 16 else None
        if self._held is not None and now_ns >= self._repeat_ns:
            self._repeat_ns = now_ns + self.TYPEMATIC_PERIOD_NS
            if not self._buffer:
                self._buffer.extend(self._held[1])
        if self._buffer and not self.full and self._enabled and now_ns >= self._next_byte_ns:
            self._deliver(self._buffer.popleft())

    def due_ns(self, now_ns: int) -> int:
        """When `advance` has something to do next, if no key comes."""
        if self._buffer and not self.full and self._enabled:
            return max(self._next_byte_ns, now_ns)
        return self._repeat_ns if self._held is not None else 1 << 62

    def _deliver(self, byte: int) -> None:
        self._output = byte
        self.full = True
        if self._config & 1:
            self._pic.raise_irq(1)

    def read_data(self) -> int:
        """Port 60h."""
        self.full = False
        # Bytes come over a serial line, about 1 ms each: a handler sees one at a time.
        self._next_byte_ns = self._clock.now_ns() + 1_000_000
        return self._output

    def _read_status(self) -> int:
        self._clock.polled()
        return 0x1C | self.full

    def _write_command(self, value: int) -> None:
        self._command = 0
        if value == 0x20:
            self._output, self.full = self._config, True
        elif value == 0xAA:
            self._output, self.full = 0x55, True
        elif value == 0xAB:
            self._output, self.full = 0x00, True
        elif value in (0xAD, 0xAE):
            self._enabled = value == 0xAE
        elif value == 0xD0:
            self._output, self.full = 0x03, True
        elif value in (0x60, 0xD1, 0xD2):
            self._command = value
        elif value == 0xFE:
            raise GuestFault("the guest pulled the CPU's reset line (port 64h)")

    def _write_data(self, value: int) -> None:
        command, self._command = self._command, 0
        if command == 0x60:
            self._config = value
        elif command == 0xD2:
            self._deliver(value)
        elif command == 0xD1:
            if not value & 1:
                raise GuestFault("the guest pulled the CPU's reset line (port 64h)")
        elif self._expect_keyboard:  # the argument of EDh (lamps), F0h (set), F3h (rate)
            self._expect_keyboard = 0
            self._buffer.append(0xFA)
        else:
            self._keyboard_command(value)

    def _keyboard_command(self, value: int) -> None:
        answers = {0xEE: b"\xee", 0xF2: b"\xfa\xab\x41", 0xFF: b"\xfa\xaa"}
        if value in (0xED, 0xF0, 0xF3):
            self._expect_keyboard = value
        if len(self._buffer) < self.BUFFER_BYTES:
            self._buffer.extend(answers.get(value, b"\xfa"))

    def _write_port_92(self, value: int) -> None:
        if value & 1:
            raise GuestFault("the guest pulled the CPU's reset line (port 92h)")


class Cmos:
    """The battery-backed clock and its RAM (ports 70h, 71h)."""

    def __init__(self, bus: Bus, clock: Clock, ram_bytes: int, *, floppy: bool = True) -> None:
        self._clock = clock
        self._index = 0
        self.ram = bytearray(128)
        extended_kib = min((ram_bytes >> 10) - 1024, 0xFFFF)
        self.ram[0x0B] = 0x02  # 24 hours, BCD
        self.ram[0x0D] = 0x80  # the battery is fine
        self.ram[0x10] = 0x40 if floppy else 0  # a 1.44 MB drive
        self.ram[0x14] = 0x21 if floppy else 0x20
        self.ram[0x15:0x17] = (640).to_bytes(2, "little")
        self.ram[0x17:0x19] = self.ram[0x30:0x32] = extended_kib.to_bytes(2, "little")
        over_16m = max(0, ram_bytes - (16 << 20)) >> 16
        self.ram[0x34:0x36] = over_16m.to_bytes(2, "little")
        bus.byte_out[0x70] = self._select
        bus.byte_in[0x70] = lambda: 0xFF
        bus.byte_in[0x71] = self._read
        bus.byte_out[0x71] = self._write

    def _select(self, value: int) -> None:
        self._index = value & 0x7F

    def _read(self) -> int:
        now = self._clock.time_of_day()
        fields = {
            0x00: now.tm_sec, 0x02: now.tm_min, 0x04: now.tm_hour,
            0x06: (now.tm_wday + 1) % 7 + 1, 0x07: now.tm_mday, 0x08: now.tm_mon,
            0x09: now.tm_year % 100, 0x32: now.tm_year // 100,
        }  # fmt: skip
        value = fields.get(self._index)
        if value is None:
            if self._index == 0x0A:
                self._clock.polled()
                return 0x26
            return self.ram[self._index]
        return value if self.ram[0x0B] & 4 else bcd(value)

    def _write(self, value: int) -> None:
        # The clock itself cannot be set: it is the host's, or virtual.
        if self._index >= 0x0E or self._index in (0x0A, 0x0B):
            self.ram[self._index] = value


def bcd(value: int) -> int:
    """Two decimal digits, four bits each.

    >>> hex(bcd(59))
    '0x59'
    """
    return value // 10 << 4 | value % 10


class DebugPorts:
    """Ports that print: 402h (SeaBIOS), E9h (Bochs), 500h (the LGPL VGA BIOS)."""

    PORTS = (0x402, 0xE9, 0x500, 0x501)
    #: Bytes kept; a guest may write on.
    KEEP = 1 << 16

    def __init__(self, bus: Bus, out: Callable[[bytes], None] | None = None) -> None:
        self._out = out
        #: The last bytes that were printed.
        self.text = bytearray()
        for port in self.PORTS:
            bus.byte_out[port] = self._write
        bus.byte_in[0x402] = bus.byte_in[0xE9] = lambda: 0xE9

    def _write(self, value: int) -> None:
        self.text.append(value)
        if len(self.text) > 2 * self.KEEP:
            del self.text[: -self.KEEP]
