"""The guest's clocks: virtual time in step, wall time on a thread of its own.

Emulated: one time line in nanoseconds since power on, which the timer, the beam, the keyboard's
typematic repeat and the time of day all read. In step it is made of the guest's own work, so two
runs are equal: so much an instruction, so much a look at a polled port, and a halt skips to what
comes next. Not emulated: instruction timings; every instruction costs the same.

What a guest can make the host do in a frame in step is bounded by that time. `Clock.cost` is for
what a real machine takes long for, too: whoever does such work charges it, and the slice ends with
the instruction that takes the frame's time up. What only an emulator works for, such as code to
translate, is free up to `FREE_OVERHEAD_NS` a frame, much more than guests need that do not try;
then it takes as long as the host does. So no frame should cost the host more than 150 ms. A guest
beyond that is repeatable, too, but not to the bit when a state was loaded meanwhile: what is to be
translated depends on what has been.

For what nobody has charged there is a last net: a frame in step that has taken `MOST_HOST_NS` of
its thread's CPU time, not of the wall's, and more than `most_host_ns` of a host that is slow just
then, is drawn before its time is up. The guest's time line is the same for that, but not which
moment of it a frame shows.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from vgaemu.vga.beam import Beam, Timing

#: Virtual speed: about 30 million instructions a second, a fast 486.
INSTRUCTION_NS = 33
#: Virtual time of a look at a polled port; an ISA access took about 1 us. 4 us keeps loops that
#: wait for retrace short, and still sees every horizontal blanking (6 us).
POLL_NS = 4_000
#: Virtual time of a port access, 16 bits stored or loaded through the planes, an interrupt, and a
#: BIOS call: about what they took on ISA machines. It also bounds what a frame costs the host,
#: where each of these is slow, too.
PORT_NS, PLANES_NS, INTERRUPT_NS, SERVICE_NS = 1_000, 500, 10_000, 20_000
#: How much overhead of an emulator a frame may have before it takes the guest's time, too.
FREE_OVERHEAD_NS = 60_000_000
#: CPU time that a frame may take; the slowest honest guests known take 40 % of it. It is that of a
#: host which needs so long for a certain trial: a slower one takes longer for honest guests, too.
MOST_HOST_NS, TRIAL_NS = 200_000_000, 1_000_000
#: Seconds of 1980-01-01 after the Unix epoch: the DOS epoch, on which virtual time begins.
VIRTUAL_EPOCH = 315_532_800
#: Time of that day at power on, 10:20:30. At midnight the tick count and all digits would be 0, and
#: many a random generator that programs seed with them never leaves 0.
POWER_ON_S = 37_230
#: How many times as fast wall time passes for a guest that races: more, and what it does between
#: two ticks of its timer would be less than a game needs.
RACE_FACTOR = 8
#: Later than all times.
NEVER_NS = 1 << 62


class Clock(ABC):
    """One guest's time."""

    def __init__(self) -> None:
        #: Set it to end `idle` early: a key came, or the machine closes.
        self.wake = threading.Event()

    @abstractmethod
    def now_ns(self) -> int:
        """Nanoseconds since power on."""

    @abstractmethod
    def set_ns(self, ns: int) -> None:
        """Go on from a saved time; the guest stands still."""

    def begin_slice(self, limit_ns: int, end: Callable[[], None]) -> None:  # noqa: B027  # a default
        """A slice of instructions begins, which `end` ends when what it costs takes until then."""

    def end_slice(self, instructions: int, overhead_ns: int) -> None:  # noqa: B027  # a default
        """It executed so many.

        `overhead_ns` is what the emulator took for what is nothing to a real machine.
        """

    def cost(self, ns: int) -> None:  # noqa: B027  # a default
        """The guest did what takes a real machine long, too: see `PORT_NS` and its kin."""

    def race(self, on: bool) -> None:  # noqa: B027  # a default
        """Be `RACE_FACTOR` times as fast, and wait for nothing, or as before; the guest stands."""

    def polled(self) -> None:  # noqa: B027  # a default
        """The guest looked at a port that tells the time."""

    @abstractmethod
    def idle(self, until_ns: int) -> None:
        """The CPU is halted: let time pass, at most until then."""

    def start(self) -> None:  # noqa: B027  # a default
        """The guest runs from now on."""

    def stop(self) -> None:  # noqa: B027  # a default
        """The guest stands still from now on."""

    @abstractmethod
    def time_of_day(self) -> time.struct_time:
        """Date and time as the battery-backed clock tells them."""


class StepClock(Clock):
    """Virtual time."""

    def __init__(self) -> None:
        super().__init__()
        self.ns = 0
        #: When the slice in hand is to end, and how; when the frame does, and what of
        #: `FREE_OVERHEAD_NS` is left for it.
        self._limit_ns = self._frame_ns = NEVER_NS
        self._end: Callable[[], None] | None = None
        self._free_ns = 0

    def now_ns(self) -> int:
        return self.ns

    def set_ns(self, ns: int) -> None:
        self.ns = ns

    def begin_slice(self, limit_ns: int, end: Callable[[], None]) -> None:
        if limit_ns != self._frame_ns:
            self._frame_ns, self._free_ns = limit_ns, FREE_OVERHEAD_NS
        self._limit_ns, self._end = limit_ns, end

    def end_slice(self, instructions: int, overhead_ns: int) -> None:
        self._limit_ns = NEVER_NS
        self._free_ns -= overhead_ns
        self.ns += instructions * INSTRUCTION_NS - min(self._free_ns, 0)
        self._free_ns = max(self._free_ns, 0)

    def cost(self, ns: int) -> None:
        self.ns += ns
        if self.ns >= self._limit_ns and self._end is not None:
            self._limit_ns = NEVER_NS
            self._end()

    def polled(self) -> None:
        self.ns += POLL_NS

    def idle(self, until_ns: int) -> None:
        self.ns = max(self.ns, until_ns)

    def time_of_day(self) -> time.struct_time:
        return time.gmtime(VIRTUAL_EPOCH + POWER_ON_S + self.ns // 1_000_000_000)


class WallClock(Clock):
    """Wall time, as fast as `speed` says; it stands still while the guest does."""

    #: A halted guest looks for keys this often.
    NAP_S = 0.004

    def __init__(self, speed: float = 1.0, *, skip: bool = False) -> None:
        """Guest seconds a second: at least a hundredth, 1 for 0; whether a halt skips its wait."""
        super().__init__()
        self._speed = self._usual_speed = max(speed or 1.0, 0.01)
        self._skip = self._usual_skip = skip
        self._passed = 0
        #: Host time of power on, in whole seconds: those of the guest's clock begin with its own.
        self._powered_on = int(time.time())
        self._since: int | None = None

    def now_ns(self) -> int:
        since = self._since
        if since is None:
            return self._passed
        return self._passed + int((time.perf_counter_ns() - since) * self._speed)

    def set_ns(self, ns: int) -> None:
        self._passed, self._since = ns, None
        self._powered_on = int(time.time()) - ns // 1_000_000_000

    def start(self) -> None:
        if self._since is None:
            self._since = time.perf_counter_ns()

    def stop(self) -> None:
        self._passed = self.now_ns()
        self._since = None

    def race(self, on: bool) -> None:
        self._passed = self.now_ns()
        if self._since is not None:
            self._since = time.perf_counter_ns()
        self._speed = self._usual_speed * RACE_FACTOR if on else self._usual_speed
        self._skip = on or self._usual_skip

    def idle(self, until_ns: int) -> None:
        left = until_ns - self.now_ns()
        if left <= 0:
            return
        if self._skip:
            self._passed += left
            return
        self.wake.wait(min(left / 1e9 / self._speed, self.NAP_S))
        self.wake.clear()

    def time_of_day(self) -> time.struct_time:
        # The host's at power on, and as much later as the guest has lived.
        return time.localtime(self._powered_on + self.now_ns() // 1_000_000_000)


class GuestBeam(Beam):
    """The beam on a guest's clock; each look is a poll."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.keeps_wall_time = isinstance(clock, WallClock)

    def look_ns(self, timing: Timing) -> float:
        self._clock.polled()
        return float(self._clock.now_ns())

    def at_ns(self) -> int:
        return self._clock.now_ns()


def most_host_ns() -> int:
    """CPU time that a frame in step may take on this host, as fast as it is now: 3 ms to find out.

    Never less than `MOST_HOST_NS`. Caches and cores shared with others make CPU time longer, too.
    """

    def trial() -> int:
        begin = time.thread_time_ns()
        sum(i & 7 for i in range(20_000))
        return time.thread_time_ns() - begin

    return MOST_HOST_NS * max(TRIAL_NS, *(trial() for _ in range(3))) // TRIAL_NS
