"""Where the electron beam is, from the CRTC's own timing: what both input status ports report.

Emulated: bit 0 (not displaying: horizontal or vertical blanking) and bit 3 (vertical retrace) of
input status 1 (3DAh) with the mode's real rates, from a wall clock or from a virtual one; and
whether a retrace has begun since the guest asked (3C2h bit 7). Not emulated: the diagnostic bits
4-5, light pen bits, display skew.

A *field* is one picture of the beam: from the first displayed line, its line 0, to the end of the
blanking after the last one. The fields of a beam are numbered: `at_ns() // frame_ns`.

Source: IBM PS/2 Hardware Interface Technical Reference; rates checked against the 70.09 and
59.94 Hz of the BIOS modes.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil, inf
from typing import NamedTuple

from vgaemu.snapshot import MAX_COUNT, Array, Part, number
from vgaemu.vga.registers import CRTC_PLACES, MISC_PLACES, SEQUENCER_PLACES

#: Misc output bits 2-3 -> dot clock. 2 and 3 are external on an IBM VGA: taken as the first.
DOT_CLOCK_HZ = (25_175_000, 28_322_000, 25_175_000, 25_175_000)

NOT_DISPLAYING = 0x01
VERTICAL_RETRACE = 0x08
#: The bits that tell where the beam is, and what they can be.
STATUS_BITS = NOT_DISPLAYING | VERTICAL_RETRACE
STATUSES = (0, NOT_DISPLAYING, VERTICAL_RETRACE, STATUS_BITS)

#: In wall time a look at the port costs some 50 us (an exit of a vCPU into Python), and retrace
#: lasts 64: a guest that waits for it would miss every second one, and more where a busy host lets
#: it stand for milliseconds. Looks closer than this part of a frame (10 ms at 70 Hz) wait, and are
#: told of a retrace that was over before the second of them. It leaves out a guest that looks once
#: a frame: told of every retrace, it would take each frame for one that it was in time for.
WAITING_FRAMES = 0.7

#: `Beam.watched_ns` once a retrace has begun.
BEGAN_NS = -1


@dataclass(frozen=True)
class Timing:
    """One frame as the CRTC counts it. Lines are scan lines; times are nanoseconds."""

    dot_ns: float
    #: Displayed or not.
    dots_a_line: int
    total_lines: int
    displayed_lines: int
    #: The end may lie past the total: in the next frame. Where both are equal there is no retrace.
    retrace_start_line: int
    retrace_end_line: int
    #: Part of each line that shows pixels.
    displayed_fraction: float

    @cached_property
    def line_ns(self) -> float:
        """From the begin of a line to that of the next."""
        return self.dots_a_line * self.dot_ns

    @cached_property
    def frame_ns(self) -> float:
        """From one vertical retrace to the next."""
        return self.line_ns * self.total_lines

    @cached_property
    def displayed_ns(self) -> float:
        """From the first displayed line to the end of the last one."""
        return self.displayed_lines * self.line_ns

    @cached_property
    def dots_a_frame(self) -> int:
        """Displayed or not."""
        return self.dots_a_line * self.total_lines

    @cached_property
    def dot_hz(self) -> int:
        return round(1e9 / self.dot_ns)

    def first_dot(self, at_ns: int) -> int:
        """The first dot, counted from time 0 on, that begins at a time or later: exactly."""
        return -(-at_ns * self.dot_hz // 1_000_000_000)

    @property
    def refresh_hz(self) -> float:
        """Frames per second."""
        return 1e9 / self.frame_ns

    def retraces(self, at_ns: float) -> int:
        """How many vertical retraces began up to `at_ns`."""
        if self.retrace_end_line == self.retrace_start_line:
            return 0
        return int((at_ns - self.retrace_start_line * self.line_ns) // self.frame_ns)

    def passed_picture_ns(self, at_ns: float) -> float:
        """The first moment from `at_ns` on that is not in a displayed line."""
        return at_ns + max(self.displayed_ns - at_ns % self.frame_ns, 0.0)

    def passed_retrace_ns(self, at_ns: float) -> float:
        """The first moment from `at_ns` on that is between a vertical retrace and a first line.

        Without a retrace, that is between a last line and a first one.
        """
        last = self.retrace_end_line
        if last == self.retrace_start_line:
            last = self.displayed_lines
        return at_ns + max(last % self.total_lines * self.line_ns - at_ns % self.frame_ns, 0.0)

    @cached_property
    def vertical_edges_ns(self) -> tuple[float, ...]:
        """Where in a field blanking or retrace begins or ends, up to the begin of the next."""
        places = self.displayed_lines, self.retrace_start_line, self.retrace_end_line
        lines = {line % self.total_lines for line in places} - {0}
        return (*(line * self.line_ns for line in sorted(lines)), self.frame_ns)

    def _next_vertical_ns(self, at_ns: float) -> float:
        """The next such place after `at_ns`."""
        within = at_ns % self.frame_ns
        edge = next((edge for edge in self.vertical_edges_ns if edge > within), self.frame_ns)
        return at_ns + edge - within

    def next_change_ns(self, at_ns: float) -> float:
        """The next moment after `at_ns` at which `status` may be another."""
        line, within = divmod(at_ns % self.frame_ns, self.line_ns)
        if line >= self.displayed_lines:
            return self._next_vertical_ns(at_ns)
        shown = self.line_ns * self.displayed_fraction
        return at_ns + (shown if within < shown else self.line_ns) - within

    def leaves(self, at_ns: float, stay: Collection[int]) -> tuple[float, int]:
        """The next moment after `at_ns` at which `status` is none of `stay`, and what it is.

        Infinity, and what it is now: there is none.
        """
        now_ns = at_ns
        # Between two vertical edges one line is like the other.
        for _ in range(len(self.vertical_edges_ns) + 1):
            for next_ns in (*[self.next_change_ns] * 4, self._next_vertical_ns):
                at_ns = ceil(next_ns(at_ns))
                status = self.status(at_ns)
                if status not in stay:
                    return at_ns, status
        return inf, self.status(now_ns)

    def next_retrace_ns(self, at_ns: float) -> float:
        """When the next vertical retrace after `at_ns` begins; infinity: never."""
        if self.retrace_end_line == self.retrace_start_line:
            return inf
        since = (at_ns - self.retrace_start_line * self.line_ns) % self.frame_ns
        return at_ns + self.frame_ns - since

    def status(self, at_ns: float) -> int:
        """Bits 0 and 3 of input status 1, `at_ns` after the first displayed pixel of a frame."""
        line, within = divmod(at_ns % self.frame_ns, self.line_ns)
        status = 0
        if line >= self.displayed_lines or within >= self.line_ns * self.displayed_fraction:
            status |= NOT_DISPLAYING
        start = self.retrace_start_line
        if (line - start) % self.total_lines < self.retrace_end_line - start:
            status |= VERTICAL_RETRACE
        return status


@lru_cache(maxsize=32)
def timing_of(crtc: bytes, clocking_mode: int, misc: int) -> Timing:
    """Timing from the CRTC registers 00-18h, SR01 and misc output."""
    total_chars = crtc[0] + 5
    displayed_chars = min(crtc[1] + 1, total_chars)
    total_lines = CRTC_PLACES["vertical_total"].read(crtc) + 2
    start = CRTC_PLACES["vertical_retrace_start"].read(crtc)
    displayed_lines = CRTC_PLACES["vertical_display_end"].read(crtc) + 1
    # A start past the total is never reached.
    end = CRTC_PLACES["vretrace_end"].read(crtc)
    length = _retrace_lines(start, end, total_lines) if start < total_lines else 0
    sequencer = 0, clocking_mode
    dots = 8 if SEQUENCER_PLACES["dots_8"].read(sequencer) else 9
    clock = DOT_CLOCK_HZ[MISC_PLACES["clock_select"].read((misc,))]
    clock >>= SEQUENCER_PLACES["half_dot_clock"].read(sequencer)
    return Timing(
        dot_ns=1e9 / clock,
        dots_a_line=total_chars * dots,
        total_lines=total_lines,
        displayed_lines=min(displayed_lines, total_lines),
        retrace_start_line=start,
        retrace_end_line=start + length,
        displayed_fraction=displayed_chars / total_chars,
    )


def _retrace_lines(start: int, end: int, total: int) -> int:
    """Lines of a retrace: only the low four bits of its end are compared, with the line counter.

    The counter begins anew with a frame. Where a frame has no line with those bits, the retrace
    lasts.

    >>> [_retrace_lines(412, 14, 449), _retrace_lines(445, 8, 449), _retrace_lines(1, 9, 5)]
    [2, 12, 5]
    """
    lines = (n for n in range(1, total) if (start + n) % total & 0x0F == end)
    return next(lines, total)


class Beam(ABC):
    """A clock that drives the beam."""

    #: Whether time passes between two looks that the guest did not spend.
    keeps_wall_time = False
    #: Whether the guest's own exact time passes right now: what it writes to a register belongs to
    #: the place where the beam is.
    is_exact = False

    def __init__(self) -> None:
        self._looked_ns = 0.0
        #: Since when a retrace is watched for, or `BEGAN_NS`.
        self.watched_ns: float = BEGAN_NS

    @abstractmethod
    def look_ns(self, timing: Timing) -> float:
        """Nanoseconds since some field began, for a guest that looks; that may take its time."""

    @abstractmethod
    def at_ns(self) -> int:
        """Where it is on the same time line, at no cost; any thread may ask."""

    def start_frame(self) -> None:  # noqa: B027  # a default
        """A guest begins with what it does in a frame; on its thread, as all of this."""

    def end_frame(self) -> None:  # noqa: B027  # a default
        """It is done with that."""

    def status(self, timing: Timing) -> int:
        """Input status 1 now; the guest looks."""
        now = self.look_ns(timing)
        status = timing.status(now)
        if self.keeps_wall_time:
            since, self._looked_ns = self._looked_ns, now
            waits = now - WAITING_FRAMES * timing.frame_ns < since < now
            if waits and timing.retraces(since) != timing.retraces(now):
                status |= NOT_DISPLAYING | VERTICAL_RETRACE
        return status

    def watch_retrace(self, timing: Timing) -> None:
        """Watch for the next vertical retrace from now on."""
        self.watched_ns = self.look_ns(timing)

    def retrace_began(self, timing: Timing) -> bool:
        """Whether a retrace has begun since `watch_retrace`; the guest looks."""
        watched = self.watched_ns
        if watched != BEGAN_NS and (
            timing.retraces(watched) != timing.retraces(self.look_ns(timing))
        ):
            self.watched_ns = BEGAN_NS  # and stays so, whatever the timing is then
        return self.watched_ns == BEGAN_NS

    def parts(self) -> dict[str, Part]:
        """What of it is saved: see `vgaemu.snapshot`; where it is, only if that is ours to set."""
        return {
            "beam_ns": Part("u8", lambda: 0, lambda _: None, lambda ns: int(ns) <= MAX_COUNT),
            # Where the clock is another machine's, a retrace has begun.
            "watched_ns": number(self, "watched_ns", MAX_COUNT, "i8", BEGAN_NS),
        }


class WallBeam(Beam):
    """The beam moves with the wall clock: a guest that waits for retrace sees the real rate."""

    keeps_wall_time = True

    def look_ns(self, timing: Timing) -> float:
        return float(time.perf_counter_ns())

    def at_ns(self) -> int:
        return time.perf_counter_ns()


class BeamThen(NamedTuple):
    """A `VirtualBeam` at one moment."""

    ns: int
    watched_ns: float
    is_exact: bool
    is_placed: bool
    is_unseen: bool
    was_seen: bool
    timing: Timing | None
    field_end_ns: float


class VirtualBeam(Beam):
    """Every look moves the beam on by `STEP_NS`: the same program always sees the same.

    A frame of the machine is a field: it begins after a vertical retrace, so that there is some
    blanking left for what a guest does first, and has ended when the picture is drawn. A guest that
    never looks has no beam: nothing of that is done for it.
    """

    #: Shorter than the 6.3 us of horizontal blanking in BIOS modes, so that a loop that waits for
    #: bit 0 sees every line.
    STEP_NS = 5_000

    def __init__(self) -> None:
        """At the first dot of a field."""
        super().__init__()
        self.ns = 0
        #: Whether writes count at their own times once a frame's looks have moved it.
        self.may_be_exact = True
        #: A frame has begun, and its guest has not looked yet.
        self._is_unseen = False
        #: Of the last look, and where the field ends that its frame began before.
        self._timing: Timing | None = None
        self._field_end_ns = 0.0
        #: There was a look in the frame before, or it is not known.
        self._was_seen = False
        #: It stands where it was put.
        self._is_placed = False

    def place(self, ns: int | None) -> None:
        """Stand there from now on, where what is written takes effect; None: all of it at once."""
        self._is_placed, self.is_exact = True, ns is not None
        if ns is not None:
            self.ns = ns

    def at_ns(self) -> int:
        return self.ns

    def look_ns(self, timing: Timing) -> float:
        if self._is_placed:
            return float(self.ns)
        if self._is_unseen:
            self._is_unseen, self.is_exact = False, self.may_be_exact
            begin = timing.passed_retrace_ns(self.ns)
            self._field_end_ns = begin + -begin % timing.frame_ns + timing.displayed_ns
            self.ns = ceil(begin)
        self._timing = timing
        self.ns += self.STEP_NS
        return float(self.ns)

    def start_frame(self) -> None:
        """A frame begins, after the retrace of the one before: the next look finds it there."""
        self._is_unseen = True
        self.watched_ns = BEGAN_NS

    def end_frame(self) -> None:
        """The guest's part of the frame is over; the beam has passed the vertical retrace."""
        if self._is_placed:
            self.is_exact = False
        elif not self._is_unseen:
            self.is_exact, self._was_seen = False, True
            if self._timing is not None:
                end = self._timing.passed_picture_ns(max(self._field_end_ns, self.ns))
                self.ns = ceil(self._timing.passed_retrace_ns(end))
        elif self._was_seen:
            self._was_seen = False
            # A field in which nobody looked; from a state, nobody knows which.
            frame_ns = 1e9 if self._timing is None else self._timing.frame_ns
            self.ns += ceil(frame_ns)
        self._is_unseen = False

    def moment(self) -> BeamThen:
        """Where it is, and in what part of a frame, for `go_back`."""
        return BeamThen(
            self.ns, self.watched_ns, self.is_exact, self._is_placed,
            self._is_unseen, self._was_seen, self._timing, self._field_end_ns,
        )  # fmt: skip

    def go_back(self, moment: BeamThen) -> None:
        """Be there."""
        (
            self.ns, self.watched_ns, self.is_exact, self._is_placed,
            self._is_unseen, self._was_seen, self._timing, self._field_end_ns,
        ) = moment  # fmt: skip

    def _restore(self, array: Array) -> None:
        self.ns, self._was_seen = int(array), True

    def parts(self) -> dict[str, Part]:
        place = Part("u8", lambda: self.ns, self._restore, lambda ns: int(ns) <= MAX_COUNT)
        return super().parts() | {"beam_ns": place}
