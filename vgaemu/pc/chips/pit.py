"""An Intel 8254 timer and port 61h: ports 40h to 43h, 61h.

Emulated: three counters with modes 0 to 5, latches and read-back; a count that is written while
another one counts waits for the end of its period, of its half period in mode 3, or for the gate;
channel 0 interrupts in modes 0, 2, 3 and 4; channel 2 has its gate, and a speaker that is silent;
port 61h shows memory refreshes. Not emulated: BCD counting; the tick in which a count is loaded.

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
#: Counts of it from one refresh of memory to the next, as a BIOS sets channel 1: 15 us.
REFRESH = 18
#: Interrupts due at most this long ago are made up for; older ones were lost with the time the
#: guest stood still.
LATE_NS = 250_000_000
#: And never nearer to each other.
LEAST_NS = 1000


class Written:
    """What was written to a counter and does not count yet; and its control word."""

    SAVED: ClassVar[Saved] = {"count": (0, 0x10000), "due": (0, NEVER_NS), "word": (0, 0x3F)}

    def __init__(self) -> None:
        #: The count that is loaded when so many ticks are counted; 0: none.
        self.count = 0
        self.due = NEVER_NS
        #: Access and mode as they were written, for read-back.
        self.word = 0


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
        self.written = Written()
        self.nothing_waits()

    def nothing_waits(self) -> None:
        """Have no count that is not loaded yet, and the control word of this mode."""
        self.written.count, self.written.word = 0, self.access << 4 | self.mode << 1

    def ticks(self, now_ns: int) -> int:
        """What was counted since the count was loaded."""
        if not self.counting:
            return self.counted
        return self.counted + (now_ns - self.start_ns) * PIT_HZ // 1_000_000_000

    def _at_ns(self, ticks: int) -> int:
        """When so many are counted."""
        return self.start_ns - (self.counted - ticks) * 1_000_000_000 // PIT_HZ

    def settle(self, now_ns: int) -> None:
        """Load the count that was to be loaded by now."""
        written = self.written
        if not (written.count and self.counting and self.ticks(now_ns) >= written.due):
            return
        high = self.mode == 3 and written.due % self.reload != 0  # was the half that ended
        # Down to a nanosecond: a rise that is waited for must not come once more.
        self.start_ns += (written.due - self.counted) * 1_000_000_000 // PIT_HZ
        self.reload, written.count = written.count, 0
        self.counted = (self.reload + 1) // 2 if high else 0

    def next_rise_ns(self, at_ns: int) -> int:
        """When the output rises next, after some time."""
        if not self.counting:
            return NEVER_NS
        self.settle(at_ns)
        ticks, written = self.ticks(at_ns), self.written
        if self.mode not in (2, 3):
            return self._at_ns(self.reload) if ticks < self.reload else NEVER_NS
        end = ticks - ticks % self.reload + self.reload
        if written.count and written.due < end:  # the low half is of the next count
            end = written.due + written.count // 2
        return self._at_ns(end)

    def value(self, now_ns: int) -> int:
        self.settle(now_ns)
        ticks, reload = self.ticks(now_ns), self.reload
        if ticks < 0:
            return -ticks & 0xFFFF  # states of before counts waited: what is left of the period
        if self.mode == 3:
            # By twos in each half, from an even number; of an odd count the high half is longer.
            return (reload & ~1) - 2 * (ticks % reload % ((reload + 1) // 2)) & 0xFFFF
        return reload - (ticks % reload if self.mode == 2 else ticks) & 0xFFFF

    def output(self, now_ns: int) -> bool:
        self.settle(now_ns)
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
        self.written.count, self.written.word = 0, value & 0x3F
        self.low = None
        self.read_high = False
        self.latched = self.status = None
        return True

    def latch_status(self, now_ns: int) -> None:
        """Output line, whether the count is still to be loaded, access and mode as written."""
        if self.status is None:
            lines = self.output(now_ns) << 7  # loads what is due
            waits = not self.loaded or bool(self.written.count)
            self.status = lines | waits << 6 | self.written.word

    def write(self, value: int, now_ns: int) -> bool:
        """A byte of the count; True if that starts or stops the counter.

        With the last byte it counts anew. Where it counts already it goes on to the end of its
        period, and mode 0 stops at the first byte.
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
        self.settle(now_ns)
        waits = self.counting and self.mode not in (0, 4)
        if waits or self.mode in (1, 5):
            self.written.count, self.written.due = count or 0x10000, self._end(now_ns)
        else:
            self.reload = count or 0x10000
            self._start(now_ns, self.gate)
        self.loaded = True
        return True

    def _end(self, now_ns: int) -> int:
        """Ticks at the end of the period, or half period, that counts; modes 1 and 5 have none."""
        ticks, reload = self.ticks(now_ns), self.reload
        if self.mode in (1, 5):
            return NEVER_NS
        begin, half = ticks - ticks % reload, (reload + 1) // 2
        return begin + (half if self.mode == 3 and ticks - begin < half else reload)

    def set_gate(self, gate: bool, now_ns: int) -> None:
        """The gate line: high lets count in modes 0 and 4, its rise starts anew in the others."""
        if gate == self.gate:
            return
        self.settle(now_ns)
        self.gate = gate
        if gate and self.loaded:
            if self.written.count:
                self.reload, self.written.count = self.written.count, 0
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
        self.next_irq_ns = self.channels[0].next_rise_ns(clock.now_ns())
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
        rise_ns = self.channels[0].next_rise_ns(self.next_irq_ns)
        self.next_irq_ns = max(rise_ns, self.next_irq_ns + LEAST_NS)
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
            self.next_irq_ns = channel.next_rise_ns(now)
            self._clock.due(self.next_irq_ns)

    def _read_gate(self) -> int:
        self._clock.polled()
        # Bit 4 toggles with every memory refresh; bit 5 is the speaker's counter.
        now = self._clock.now_ns()
        self.refresh = (now * PIT_HZ // (REFRESH * 1_000_000_000) & 1) << 4
        return self.gate & 0x0F | self.refresh | self.channels[2].output(now) << 5

    def _write_gate(self, value: int) -> None:
        self.gate = value & 0x0F
        self.channels[2].set_gate(bool(value & 1), self._clock.now_ns())

    def parts(self) -> dict[str, Part]:
        channels = {f"chips.pit{i}": fields(channel) for i, channel in enumerate(self.channels)}
        written = fields(*(channel.written for channel in self.channels))

        def none_waits() -> None:
            for channel in self.channels:
                channel.nothing_waits()

        # States of before counts waited have none, and are restored from the counters' modes.
        waiting = {"chips.pit_written": written.or_else(none_waits)}
        return {"chips.pit": fields(self)} | channels | waiting
