"""What `vgaemu.vga.beam.Timing` works out, for native code: the same numbers to the last bit."""

from __future__ import annotations

from math import ceil, inf

from vgaemu.native.compiler import double_at, int64_at, part
from vgaemu.native.shared import TimingState, place

#: As in `vgaemu.vga.beam`, on a floor above.
NOT_DISPLAYING, VERTICAL_RETRACE = 0x01, 0x08

_LINE, _FRAME = place(TimingState, "line_ns"), place(TimingState, "frame_ns")
_DISPLAYED_FRACTION = place(TimingState, "displayed_fraction")
_EDGES_NS, _EDGES = place(TimingState, "edges_ns"), place(TimingState, "edges")
_DISPLAYED_LINES = place(TimingState, "displayed_lines")
_RETRACE_START = place(TimingState, "retrace_start_line")
_RETRACE_END = place(TimingState, "retrace_end_line")
_TOTAL_LINES = place(TimingState, "total_lines")
_DOT_HZ, _DOTS_A_FRAME = place(TimingState, "dot_hz"), place(TimingState, "dots_a_frame")
_SECOND = 1_000_000_000


@part
def status_at(timing: int, at_ns: float) -> int:
    """`Timing.status`."""
    numbers, counts = double_at(timing), int64_at(timing)
    line_ns = numbers[_LINE]
    in_frame = at_ns % numbers[_FRAME]
    line, within = in_frame // line_ns, in_frame % line_ns
    status = 0
    if line >= counts[_DISPLAYED_LINES] or within >= line_ns * numbers[_DISPLAYED_FRACTION]:
        status |= NOT_DISPLAYING
    start = counts[_RETRACE_START]
    if (line - start) % counts[_TOTAL_LINES] < counts[_RETRACE_END] - start:
        status |= VERTICAL_RETRACE
    return status


@part
def next_vertical_ns(timing: int, at_ns: float) -> float:
    """`Timing._next_vertical_ns`."""
    numbers, counts = double_at(timing), int64_at(timing)
    frame_ns = numbers[_FRAME]
    within = at_ns % frame_ns
    for n in range(counts[_EDGES]):
        if numbers[_EDGES_NS + n] > within:
            return at_ns + numbers[_EDGES_NS + n] - within
    return at_ns + frame_ns - within


@part
def next_change_ns(timing: int, at_ns: float) -> float:
    """`Timing.next_change_ns`."""
    numbers, counts = double_at(timing), int64_at(timing)
    line_ns = numbers[_LINE]
    in_frame = at_ns % numbers[_FRAME]
    if in_frame // line_ns >= counts[_DISPLAYED_LINES]:
        return next_vertical_ns(timing, at_ns)
    within, shown = in_frame % line_ns, line_ns * numbers[_DISPLAYED_FRACTION]
    return at_ns + (shown if within < shown else line_ns) - within


@part
def leaves_ns(timing: int, at_ns: float, stay: int) -> float:
    """When `Timing.leaves` says; `stay` has a bit for each answer."""
    for _ in range(int64_at(timing)[_EDGES] + 1):
        for n in range(5):
            following = next_change_ns(timing, at_ns) if n < 4 else next_vertical_ns(timing, at_ns)
            at_ns = float(ceil(following))
            if not stay >> status_at(timing, at_ns) & 1:
                return at_ns
    return inf


@part
def first_dot(timing: int, at_ns: int) -> int:
    """`Timing.first_dot`: whole seconds apart, so that nothing is too large."""
    dot_hz = int64_at(timing)[_DOT_HZ]
    return at_ns // _SECOND * dot_hz - -(at_ns % _SECOND) * dot_hz // _SECOND
