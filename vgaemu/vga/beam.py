"""Where the electron beam is, from the CRTC's own timing: what both input status ports report.

Emulated: bit 0 (not displaying: horizontal or vertical blanking) and bit 3 (vertical retrace) of
input status 1 (3DAh) with the mode's real rates, from a wall clock or from a virtual one; and
whether a retrace has begun since the guest asked (3C2h bit 7). Not emulated: the diagnostic bits
4-5, light pen bits, display skew.

Source: IBM PS/2 Hardware Interface Technical Reference; rates checked against the 70.09 and
59.94 Hz of the BIOS modes.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

from vgaemu.snapshot import MAX_COUNT, Part, number
from vgaemu.vga.registers import CRTC_PLACES, MISC_PLACES, SEQUENCER_PLACES

#: Misc output bits 2-3 -> dot clock. 2 and 3 are external on an IBM VGA: taken as the first.
DOT_CLOCK_HZ = (25_175_000, 28_322_000, 25_175_000, 25_175_000)

NOT_DISPLAYING = 0x01
VERTICAL_RETRACE = 0x08

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

    line_ns: float
    total_lines: int
    displayed_lines: int
    #: The end may lie past the total: in the next frame. Where both are equal there is no retrace.
    retrace_start_line: int
    retrace_end_line: int
    #: Part of each line that shows pixels.
    displayed_fraction: float

    @property
    def frame_ns(self) -> float:
        """From one vertical retrace to the next."""
        return self.line_ns * self.total_lines

    @property
    def refresh_hz(self) -> float:
        """Frames per second."""
        return 1e9 / self.frame_ns

    def retraces(self, at_ns: float) -> int:
        """How many vertical retraces began up to `at_ns`."""
        if self.retrace_end_line == self.retrace_start_line:
            return 0
        return int((at_ns - self.retrace_start_line * self.line_ns) // self.frame_ns)

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
        line_ns=total_chars * dots * 1e9 / clock,
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

    @abstractmethod
    def now_ns(self) -> float:
        """Nanoseconds since some frame began."""

    #: Whether time passes between two looks that the guest did not spend.
    keeps_wall_time = False

    def __init__(self) -> None:
        self._looked_ns = 0.0
        #: Since when a retrace is watched for, or `BEGAN_NS`.
        self.watched_ns: float = BEGAN_NS

    def status(self, key: tuple[bytes, int, int]) -> int:
        """Input status 1 now, for `Vga.timing_key`."""
        timing = timing_of(*key)
        now = self.now_ns()
        status = timing.status(now)
        if self.keeps_wall_time:
            since, self._looked_ns = self._looked_ns, now
            waits = now - WAITING_FRAMES * timing.frame_ns < since < now
            if waits and timing.retraces(since) != timing.retraces(now):
                status |= NOT_DISPLAYING | VERTICAL_RETRACE
        return status

    def watch_retrace(self) -> None:
        """Watch for the next vertical retrace from now on."""
        self.watched_ns = self.now_ns()

    def retrace_began(self, key: tuple[bytes, int, int]) -> bool:
        """Whether a retrace has begun since `watch_retrace`, for `Vga.timing_key`."""
        if self.watched_ns != BEGAN_NS:
            timing = timing_of(*key)
            if timing.retraces(self.watched_ns) != timing.retraces(self.now_ns()):
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

    def now_ns(self) -> float:
        return float(time.perf_counter_ns())


class VirtualBeam(Beam):
    """Every look moves the beam on by `STEP_NS`: the same program always sees the same."""

    #: Shorter than the 6.3 us of horizontal blanking in BIOS modes, so that a loop that waits for
    #: bit 0 sees every line.
    STEP_NS = 5_000

    def __init__(self) -> None:
        super().__init__()
        self.at_ns = 0

    def now_ns(self) -> float:
        self.at_ns += self.STEP_NS
        return float(self.at_ns)

    def start_frame(self) -> None:
        """The picture begins anew, after the retrace of the one before."""
        self.at_ns = 0
        self.watched_ns = BEGAN_NS

    def parts(self) -> dict[str, Part]:
        return super().parts() | {"beam_ns": number(self, "at_ns", MAX_COUNT, "u8")}
