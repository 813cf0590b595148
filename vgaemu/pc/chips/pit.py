"""An Intel 8254 timer and port 61h: ports 40h to 43h, 61h.

Emulated: three counters with modes 0 to 5, latches and read-back; channel 0 interrupts in modes 0,
2, 3 and 4; channel 2 has its gate, and a speaker that is silent; port 61h shows memory refreshes.
Not emulated: BCD counting; a count that waits for the end of a half period in mode 3 (it waits
for the end of the whole one).

Source: Intel 8254 data sheet; IBM AT Technical Reference (port 61h).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.pic import RaiseIrq
from vgaemu.pc.clock import NEVER_NS, Clock
from vgaemu.snapshot import Part, Saved, fields

#: The timer's input, in Hz.
PIT_HZ = 1_193_182
#: Interrupts due at most this long ago are made up for; older ones were lost with the time the
#: guest stood still.
LATE_NS = 250_000_000


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
        ticks = self.ticks(now_ns)
        if ticks < 0:
            return -ticks & 0xFFFF  # what is left of the period before
        if self.mode == 3:
            ticks *= 2
        if self.mode in (2, 3):
            return (self.reload - ticks % self.reload) & 0xFFFF
        return (self.reload - ticks) & 0xFFFF

    def output(self, now_ns: int) -> bool:
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

        With the last byte it counts anew, at the end of the period where it is periodic and
        counts, or waits for its gate; mode 0 stops at the first.
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
        left = 0
        if self.loaded and self.counting and self.mode in (2, 3):
            ticks = self.ticks(now_ns)
            left = -ticks if ticks < 0 else -ticks % self.reload
        self.reload = count or 0x10000
        self.loaded = True
        self._start(now_ns + left * 1_000_000_000 // PIT_HZ, self.gate and self.mode not in (1, 5))
        return True

    def set_gate(self, gate: bool, now_ns: int) -> None:
        """The gate line: high lets count in modes 0 and 4, its rise starts anew in the others."""
        if gate == self.gate:
            return
        self.gate = gate
        if gate and self.loaded:
            self._start(now_ns, True, self.counted if self.mode in (0, 4) else 0)
        elif not gate and self.mode not in (1, 5):
            self.counted, self.counting = max(self.ticks(now_ns), 0), False

    def _start(self, now_ns: int, counting: bool, counted: int = 0) -> None:
        self.start_ns, self.counted, self.counting = now_ns, counted, counting

    def _stop(self, now_ns: int) -> None:
        """Stand still until a count comes."""
        self.counted, self.counting, self.loaded = max(self.ticks(now_ns), 0), False, False

    def read(self, now_ns: int) -> int:
        """A byte of the count, or of what was latched."""
        if self.status is not None:
            status, self.status = self.status, None
            return status
        count = self.value(now_ns) if self.latched is None else self.latched
        high = self.access == 2
        if self.access == 3:
            high, self.read_high = self.read_high, not self.read_high
        if high or self.access == 1:
            self.latched = None
        return count >> 8 if high else count & 0xFF


class Pit:
    """Three counters, and the gate of the third."""

    SAVED: ClassVar[Saved] = {"next_irq_ns": (0, NEVER_NS), "gate": (0, 0x0F), "refresh": (0, 0x10)}

    def __init__(self, bus: Bus, raise_irq: RaiseIrq, clock: Clock) -> None:
        self._raise_irq, self._clock = raise_irq, clock
        self.channels = [PitChannel(), PitChannel(), PitChannel(gate=False)]
        for channel in self.channels:
            channel.start_ns = clock.now_ns()
        self.next_irq_ns = clock.now_ns() + self.channels[0].period_ns
        self.gate = 0
        self.refresh = 0
        for number in range(3):
            bus.byte_in[0x40 + number] = partial(self._read, number)
            bus.byte_out[0x40 + number] = partial(self._write, number)
        bus.byte_out[0x43] = self._control
        bus.byte_in[0x61] = self._read_gate
        bus.byte_out[0x61] = self._write_gate

    def advance(self, now_ns: int) -> None:
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
            # A count that waits for the end of a period interrupts there first.
            ahead = channel.start_ns - now if channel.start_ns > now else channel.period_ns
            self.next_irq_ns = now + ahead if channel.counting else NEVER_NS
            self._clock.due(self.next_irq_ns)

    def _read_gate(self) -> int:
        self._clock.polled()
        # Bit 4 toggles with every memory refresh, 15 us; bit 5 is the speaker's counter.
        now = self._clock.now_ns()
        self.refresh ^= 0x10
        return self.gate & 0x0F | self.refresh | self.channels[2].output(now) << 5

    def _write_gate(self, value: int) -> None:
        self.gate = value & 0x0F
        self.channels[2].set_gate(bool(value & 1), self._clock.now_ns())

    def parts(self) -> dict[str, Part]:
        channels = {f"chips.pit{i}": fields(channel) for i, channel in enumerate(self.channels)}
        return {"chips.pit": fields(self)} | channels
