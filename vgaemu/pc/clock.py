"""The guest's clocks: virtual time, on which a guest's own work is all that passes.

Emulated: one time line in nanoseconds since power on, which the timer, the beam, the keyboard's
typematic repeat and the time of day all read. It is made of what the guest does, so two runs are
equal: so much an instruction, so much an access to a port, and a halt skips to what comes next. At
each access to a port or a device's memory it is exact to the instruction. Not emulated: instruction
timings; every instruction costs the same. Clocks that go with the wall's are in `pace`.

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
from array import array
from collections.abc import Callable
from typing import Protocol

from vgaemu.native.cells import CELLS, DUE, EVENTS, LIMIT, NOW, PROGRESS, UNTIL

#: Virtual speed: about 30 million instructions a second, a fast 486.
INSTRUCTION_NS = 33
#: Virtual time of a look at a polled port, beside that of an access: it keeps loops that wait
#: short, and lets them see every horizontal blanking (6 us).
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
#: Later than all times.
NEVER_NS = 1 << 62


class Clock(ABC):
    """One guest's time."""

    def __init__(self) -> None:
        #: Set it to end `idle` early: a key came, or the machine closes.
        self.wake = threading.Event()
        #: When the slice in hand ends, for who looks at the time: whoever begins one says so here.
        self.due_ns = NEVER_NS

    @abstractmethod
    def now_ns(self) -> int:
        """Nanoseconds since power on."""

    @abstractmethod
    def set_ns(self, ns: int) -> None:
        """Go on from a saved time; the guest stands still."""

    def cost(self, ns: int) -> None:  # noqa: B027  # a default
        """The guest did what takes a real machine long, too: see `PORT_NS` and its kin."""

    def race(self, on: bool) -> None:  # noqa: B027  # a default
        """Be `RACE_FACTOR` times as fast, and wait for nothing, or as before; the guest stands."""

    def polled(self) -> None:  # noqa: B027  # a default
        """The guest looked at a port that tells the time."""

    def due(self, ns: int) -> None:
        """Something happens then that was not to be foreseen: a slice in hand ends by it."""
        self.due_ns = min(self.due_ns, ns)

    def begin_frame(self) -> None:  # noqa: B027  # a default
        """Another frame begins."""

    def keep_pace(self) -> None:  # noqa: B027  # a default
        """Wait for wall time where the guest is not to be before it; between two slices."""

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


class Progress(Protocol):
    """How far an engine has come since it was let go, for a clock that looks in its hooks.

    0: instructions begun, the one in hand among them; 1: how many there are to be at most.
    """

    def __getitem__(self, at: int, /) -> int: ...
    def __setitem__(self, at: int, value: int, /) -> None: ...


class StepClock(Clock):
    """Virtual time.

    In a slice it knows how far the engine has come, if that tells (`Progress`), and whatever costs
    time leaves less for instructions: a slice ends with the first one that is done when its time is
    up, so where slices end does not matter to what the guest sees. An engine that does not tell has
    all its instructions counted at the end of the slice.

    Native code may let time pass in a slice, too, after `share`: then `cells` have its state, laid
    out as `vgaemu.native.cells` says, and what native code did is brought in here by the next look.
    Without that all state is in attributes, which cost Python a fifth less.
    """

    def __init__(self) -> None:
        super().__init__()
        #: Now; inside a slice, at the last thing that cost time and came to Python.
        self.ns = 0
        #: Told whether it is exact to the instruction: inside a slice it is, if the engine tells.
        self.on_exact: Callable[[bool], None] = lambda exact: None
        #: Goes up with all that costs time: what comes with none between follows one another.
        self.events = 0
        #: Of the slice in hand: when it is to end, and what time that passes must not pass.
        self._until_ns = self._limit_ns = NEVER_NS
        self._progress: Progress | None = None
        #: Instructions counted already since the engine was let go.
        self._seen = 0
        #: What native code shares, for good; the same while a slice is in hand that shares it.
        self.cells = memoryview(array("q", bytes(8 * CELLS)))
        self._shares = False
        self._cells: memoryview[int] | None = None
        #: Ends the slice of an engine that does not tell.
        self._end: Callable[[], None] | None = None
        #: What of `FREE_OVERHEAD_NS` is left for this frame.
        self._free_ns = FREE_OVERHEAD_NS

    def now_ns(self) -> int:
        cells = self._cells
        # Other threads may ask: nothing is brought in here.
        return cells[NOW] if cells is not None and cells[EVENTS] != self.events else self.ns

    def set_ns(self, ns: int) -> None:
        self.ns = ns

    def share(self, progress_at: int) -> None:
        """From the next slice on native code lets time pass, too.

        The engine's `Progress` lies at that address, two uint64.
        """
        self.cells[PROGRESS], self._shares = progress_at, True

    def _take(self, cells: memoryview[int]) -> None:
        """Bring in what native code did."""
        self.ns, self.events = cells[NOW], cells[EVENTS]

    def begin_frame(self) -> None:
        self._free_ns = FREE_OVERHEAD_NS

    def begin_slice(
        self, until_ns: int, limit_ns: int, progress: Progress | None, end: Callable[[], None]
    ) -> None:
        """A slice begins, to end at `until_ns`, or at `limit_ns` if that is sooner.

        A guest that does nothing but wait may be let wait up to `limit_ns` in it.
        """
        self._until_ns, self._limit_ns = min(until_ns, limit_ns), limit_ns
        self._progress, self._end, self._seen = progress, end, 0
        if progress is not None:
            self.on_exact(True)
            if self._shares:
                cells = self._cells = self.cells
                cells[DUE], cells[EVENTS] = self._until_ns - self.ns, self.events
                cells[UNTIL], cells[LIMIT] = self._until_ns, limit_ns

    def instructions_left(self) -> int:
        """How many are to begin in what is left of the slice; 0 or less: it is over."""
        return -((self.ns - self._until_ns) // INSTRUCTION_NS)

    def executed(self, instructions: int) -> None:
        """The engine was let go for so many, and has come back."""
        cells, progress = self._cells, self._progress
        if progress is not None:
            progress[0] = 0  # what costs time before it is let go again follows all of these
        if cells is not None:
            self._take(cells)
            self.ns = now = self._until_ns - cells[DUE] + instructions * INSTRUCTION_NS
            cells[DUE] = self._until_ns - now
            return
        self.ns += (instructions - self._seen) * INSTRUCTION_NS
        self._seen = 0

    def end_slice(self, overhead_ns: int) -> None:
        """The slice is over.

        `overhead_ns` is what the emulator took for what is nothing to a real machine.
        """
        self.on_exact(False)
        if self._cells is not None and self._cells[EVENTS] != self.events:
            self._take(self._cells)
        self._cells = None
        self._until_ns = self._limit_ns = NEVER_NS
        self._progress = self._end = None
        self._free_ns -= overhead_ns
        self.ns -= min(self._free_ns, 0)
        self._free_ns = max(self._free_ns, 0)

    def cost(self, ns: int) -> None:
        progress, cells = self._progress, self._cells
        if progress is None:
            self.events += 1
            self.ns += ns
            if self.ns >= self._until_ns and self._end is not None:
                self._end()
            return
        done = progress[0]
        if cells is not None:
            self.events = cells[EVENTS] = cells[EVENTS] + 1
            cells[DUE] = due = cells[DUE] - ns
            self.ns = self._until_ns - due + done * INSTRUCTION_NS
            if done <= progress[1]:  # else the end has been asked for
                most = -(-due // INSTRUCTION_NS)
                progress[1] = most if most > done else done
            return
        self.events += 1
        now = self.ns = self.ns + ns + (done - self._seen) * INSTRUCTION_NS
        self._seen = done
        if done <= progress[1]:
            left = self._until_ns - now
            progress[1] = done - -left // INSTRUCTION_NS if left > 0 else done

    def polled(self) -> None:
        self.cost(POLL_NS)

    def wait(self, until_ns: int) -> None:
        """Let a guest wait that does nothing else: until then, or what happens before."""
        self.cost(max(min(until_ns, self._limit_ns) - self.ns, 0))

    def due(self, ns: int) -> None:
        if ns < self._limit_ns:
            before, self._limit_ns = self._until_ns, ns
            self._until_ns = until = min(before, ns)
            cells = self._cells
            if cells is not None:
                cells[DUE] += until - before
                cells[UNTIL], cells[LIMIT] = until, ns
            self.cost(0)

    def turn_back(self, ns: int) -> None:
        """It is as late as before the last thing that cost time, and nobody has seen that."""
        if self._cells is not None:
            self._cells[DUE] += self.ns - ns
        self.ns = ns

    def idle(self, until_ns: int) -> None:
        self.ns = max(self.ns, until_ns)

    def time_of_day(self) -> time.struct_time:
        return time.gmtime(VIRTUAL_EPOCH + POWER_ON_S + self.ns // 1_000_000_000)


def most_host_ns() -> int:
    """CPU time that a frame in step may take on this host, as fast as it is now: 3 ms to find out.

    Never less than `MOST_HOST_NS`. Caches and cores shared with others make CPU time longer, too.
    """

    def trial() -> int:
        begin = time.thread_time_ns()
        sum(i & 7 for i in range(20_000))
        return time.thread_time_ns() - begin

    return MOST_HOST_NS * max(TRIAL_NS, *(trial() for _ in range(3))) // TRIAL_NS
