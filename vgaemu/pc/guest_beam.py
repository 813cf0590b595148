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

from collections.abc import Callable, Collection
from math import ceil, inf

from vgaemu.native.shared import LookState, TimingState
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
        self.keeps_wall_time = isinstance(clock, WallClock)
        self._virtual = clock if isinstance(clock, StepClock) else None
        if self._virtual is not None:
            self._virtual.on_exact = self._set_exact
        #: What native code that looks keeps, too.
        self.state = LookState(answer=-1, events=-1, waiting_ns=-1, knows_loops=True)
        self.timing_state = TimingState()
        #: The timing that `state` is in; that which native code was told.
        self._timing: Timing | None = None
        self._shared: Timing | None = None

    def _set_exact(self, exact: bool) -> None:
        self.is_exact = exact

    def at_ns(self) -> int:
        return self._clock.now_ns()

    def look_ns(self, timing: Timing) -> float:
        return float(self._clock.now_ns())

    @property
    def knows_loops(self) -> bool:
        """Whether a loop that does nothing else is let wait; a benchmark wants to know."""
        return self.state.knows_loops

    @knows_loops.setter
    def knows_loops(self, knows: bool) -> None:
        self.state.knows_loops = knows

    def share(self, timing: Timing, key: bytes) -> None:
        """Native code may look from now on, as long as the registers are those of `key`."""
        self._settle()
        self._shared = timing
        self.state.is_same = timing == self._timing
        fill_timing(self.timing_state, timing, key)

    def _settle(self) -> None:
        """Native code may have looked, by the timing that it was told."""
        if self.state.took:
            self._timing, self.state.took = self._shared, 0

    def status(self, timing: Timing) -> int:
        clock, look = self._virtual, self.state
        if clock is None:
            return super().status(timing)
        events = clock.events
        follows = events == look.events + 1
        if look.waiting_ns >= 0:
            if follows and 0 <= clock.ns - look.waiting_ns < LONGEST_LOOK_NS:
                # The slice ended, and the wait goes on: nobody saw the time that the look took.
                clock.turn_back(look.waiting_ns)
            look.waiting_ns = -1
        now = clock.ns
        self._settle()
        is_same = timing is self._timing or timing == self._timing
        if not (is_same and look.since_ns <= now < look.change_ns):
            self._see(timing, now, timing.status(now))
        status = look.status
        if not follows or status != look.answer:
            look.answer, look.equal, look.events = status, 1, events
            return status
        look.equal += 1
        if look.equal == SPINS:
            look.stay = _bits(self._stays_for()) if self.knows_loops else 0
        if look.stay >> status & 1:
            self._wait(clock, timing)
        elif look.equal >= POLLS:
            self._poll(clock, timing)
        look.events = clock.events
        return look.answer

    def _see(self, timing: Timing, now_ns: int, status: int) -> None:
        """The answer is this from now to the next change."""
        look = self.state
        self._timing, look.status = timing, status
        look.since_ns, look.change_ns = now_ns, timing.next_change_ns(now_ns)
        look.is_same = timing is self._shared

    def _wait(self, clock: StepClock, timing: Timing) -> None:
        """Until the answer comes that ends the loop in hand, or something else."""
        look = self.state
        until_ns: float = ceil(look.change_ns)
        status = timing.status(until_ns)
        if look.stay >> status & 1:
            until_ns, status = timing.leaves(until_ns, _answers(look.stay))
        clock.wait(int(min(until_ns, NEVER_NS)))
        if clock.ns < until_ns:
            look.waiting_ns, status = clock.ns, timing.status(clock.ns)
        else:
            look.equal = 1
        look.answer = status
        self._see(timing, clock.ns, status)

    def _poll(self, clock: StepClock, timing: Timing) -> None:
        look = self.state
        left = ceil(look.change_ns) - clock.ns
        if left > POLL_NS:
            clock.cost(POLL_NS)
            return
        clock.cost(left)
        status = timing.status(clock.ns)
        self._see(timing, clock.ns, status)
        if status != look.answer:
            look.answer, look.equal = status, 1

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
        look = self.state
        again = answer == look.answer and clock.events == look.events + 1
        look.answer, look.equal = answer, look.equal + 1 if again else 1
        look.events = clock.events
        return look.equal

    def _after(self, clock: StepClock, answer: int) -> int:
        """It has been let wait, and then is answered so."""
        look = self.state
        if answer != look.answer:
            look.answer, look.equal = answer, 1
        look.events = clock.events
        return answer

    def looks(self) -> Part:
        """What of the last look is saved: its answer, how many were equal, what it waits for."""

        def take() -> list[int]:
            clock, look = self._virtual, self.state
            if clock is None or clock.events != look.events:
                return [-1, 0, 0, -1]  # something came after it: the next is the first of its row
            return [look.answer, look.equal, look.stay, look.waiting_ns]

        return Part("i8", take, self._restore_looks, absent=self._forget_looks)

    def _restore_looks(self, array: Array) -> None:
        self._forget_looks()
        look = self.state
        if self._virtual is not None:
            look.answer, look.equal, stay, look.waiting_ns = (int(number) for number in array)
            look.events, look.stay = self._virtual.events, stay & _bits(STATUSES)

    def _forget_looks(self) -> None:
        look = self.state
        look.answer, look.equal, look.events, look.stay = -1, 0, -1, 0
        look.waiting_ns = -1


def _bits(answers: Collection[int]) -> int:
    return sum(1 << answer for answer in answers)


def _answers(bits: int) -> tuple[int, ...]:
    return tuple(answer for answer in STATUSES if bits >> answer & 1)


def fill_timing(state: TimingState, timing: Timing, key: bytes) -> None:
    """Tell native code of a timing, which holds while the registers are those of `key`."""
    edges = timing.vertical_edges_ns
    state.line_ns, state.frame_ns = timing.line_ns, timing.frame_ns
    state.displayed_fraction = timing.displayed_fraction
    state.edges_ns[: len(edges)], state.edges = [*edges], len(edges)
    state.displayed_lines = timing.displayed_lines
    state.retrace_start_line = timing.retrace_start_line
    state.retrace_end_line = timing.retrace_end_line
    state.total_lines, state.dot_hz = timing.total_lines, timing.dot_hz
    state.dots_a_frame = timing.dots_a_frame
    state.picture_dots = timing.displayed_lines * timing.dots_a_line
    state.key[: len(key)] = [*key]
    state.is_known = True
