"""The beam on a guest's clock, and what it costs a guest of machine code to look at it.

A look takes the time of its IN. A guest that looks again and again is let wait, or a field would
cost thousands of looks; two rules keep that from being seen.

A loop of which is known that it does nothing else (see `cpu.spin`) waits at once until the answer
comes with which it ends: each look before would have been answered with what lets it go on. Others
may count their looks, as Commander Keen does to find the blanking before the retrace: the third
equal answer in a row, and each after it, takes `POLL_NS` more, without an access to another port
between. None of these waits passes the next change of the answer, so a guest sees each edge at its
time: a wait of four microseconds past one would push what follows out of a horizontal blanking.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf

from vgaemu.pc.clock import NEVER_NS, POLL_NS, Clock, StepClock
from vgaemu.pc.pace import WallClock
from vgaemu.snapshot import Array, Part
from vgaemu.vga.beam import STATUSES, Beam, Timing

#: Equal answers in a row from which on a guest is let wait.
SPINS, POLLS = 2, 3
#: More than a loop that does nothing else takes for a look.
LONGEST_LOOK_NS = 5_000
#: Tells answers at 3C2h from those at 3DAh.
_STATUS_0 = 0x100


class GuestBeam(Beam):
    """The beam on a guest's clock."""

    def __init__(
        self, clock: Clock, stays: Callable[[], frozenset[int]] = lambda: frozenset()
    ) -> None:
        """`stays` tells for which answers to the IN in hand the guest does nothing but ask anew."""
        super().__init__()
        self._clock, self._stays_for = clock, stays
        #: Whether a loop that does nothing else is let wait; a benchmark wants to know.
        self.knows_loops = True
        self.keeps_wall_time = isinstance(clock, WallClock)
        self._virtual = clock if isinstance(clock, StepClock) else None
        if self._virtual is not None:
            self._virtual.on_exact = self._set_exact
        #: Of the last look: its answer, how many in a row were equal, `StepClock.events` after it.
        self._answer, self._equal, self._events = -1, 0, -1
        #: What the loop in hand goes on for.
        self._stay: frozenset[int] = frozenset()
        #: What input status 1 says, from when until when, in what timing.
        self._timing: Timing | None = None
        self._status, self._since_ns, self._change_ns = 0, 0, 0.0
        #: Since when it waits, if something else came first; or below 0.
        self._waiting_ns = -1

    def _set_exact(self, exact: bool) -> None:
        self.is_exact = exact

    def at_ns(self) -> int:
        return self._clock.now_ns()

    def look_ns(self, timing: Timing) -> float:
        return float(self._clock.now_ns())

    def status(self, timing: Timing) -> int:
        clock = self._virtual
        if clock is None:
            return super().status(timing)
        events = clock.events
        follows = events == self._events + 1
        if self._waiting_ns >= 0:
            if follows and 0 <= clock.ns - self._waiting_ns < LONGEST_LOOK_NS:
                # The slice ended, and the wait goes on: nobody saw the time that the look took.
                clock.turn_back(self._waiting_ns)
            self._waiting_ns = -1
        now = clock.ns
        if not self._since_ns <= now < self._change_ns or timing is not self._timing:
            self._see(timing, now, timing.status(now))
        status = self._status
        if not follows or status != self._answer:
            self._answer, self._equal, self._events = status, 1, events
            return status
        self._equal += 1
        if self._equal == SPINS:
            self._stay = self._stays_for() if self.knows_loops else frozenset()
        if status in self._stay:
            self._wait(clock, timing)
        elif self._equal >= POLLS:
            self._poll(clock, timing)
        self._events = clock.events
        return self._answer

    def _see(self, timing: Timing, now_ns: int, status: int) -> None:
        """The answer is this from now to the next change."""
        self._timing, self._status = timing, status
        self._since_ns, self._change_ns = now_ns, timing.next_change_ns(now_ns)

    def _wait(self, clock: StepClock, timing: Timing) -> None:
        """Until the answer comes that ends the loop in hand, or something else."""
        until_ns: float = ceil(self._change_ns)
        status = timing.status(until_ns)
        if status in self._stay:
            until_ns, status = timing.leaves(until_ns, self._stay)
        clock.wait(int(min(until_ns, NEVER_NS)))
        if clock.ns < until_ns:
            self._waiting_ns, status = clock.ns, timing.status(clock.ns)
        else:
            self._equal = 1
        self._answer = status
        self._see(timing, clock.ns, status)

    def _poll(self, clock: StepClock, timing: Timing) -> None:
        left = ceil(self._change_ns) - clock.ns
        if left > POLL_NS:
            clock.cost(POLL_NS)
            return
        clock.cost(left)
        status = timing.status(clock.ns)
        self._see(timing, clock.ns, status)
        if status != self._answer:
            self._answer, self._equal = status, 1

    def retrace_began(self, timing: Timing) -> bool:
        began = super().retrace_began(timing)
        clock = self._virtual
        if clock is None or self._note(clock, _STATUS_0 | began) < POLLS:
            return began
        change = inf if began else timing.next_retrace_ns(clock.ns)
        clock.cost(ceil(min(change - clock.ns, POLL_NS)))
        began = super().retrace_began(timing)
        self._after(clock, _STATUS_0 | began)
        return began

    def _note(self, clock: StepClock, answer: int) -> int:
        """The guest looks and is answered so: how many such answers in a row there were."""
        again = answer == self._answer and clock.events == self._events + 1
        self._answer, self._equal = answer, self._equal + 1 if again else 1
        self._events = clock.events
        return self._equal

    def _after(self, clock: StepClock, answer: int) -> int:
        """It has been let wait, and then is answered so."""
        if answer != self._answer:
            self._answer, self._equal = answer, 1
        self._events = clock.events
        return answer

    def looks(self) -> Part:
        """What of the last look is saved: its answer, how many were equal, what it waits for."""

        def take() -> list[int]:
            clock = self._virtual
            if clock is None or clock.events != self._events:
                return [-1, 0, 0, -1]  # something came after it: the next is the first of its row
            stay = sum(1 << answer for answer in self._stay)
            return [self._answer, self._equal, stay, self._waiting_ns]

        return Part("i8", take, self._restore_looks, absent=self._forget_looks)

    def _restore_looks(self, array: Array) -> None:
        self._forget_looks()
        if self._virtual is not None:
            self._answer, self._equal, stay, self._waiting_ns = (int(number) for number in array)
            self._events = self._virtual.events
            self._stay = frozenset(answer for answer in STATUSES if stay >> answer & 1)

    def _forget_looks(self) -> None:
        self._answer, self._equal, self._events, self._stay = -1, 0, -1, frozenset()
        self._waiting_ns = -1
