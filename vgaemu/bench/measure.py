"""How every benchmark measures: both sides in one run, interleaved, medians, and ratios.

Machines are shared and noisy, so an absolute time means little. Two things are compared by taking
turns at them round after round; their medians then saw the same noise. A ratio's name says which
way it goes: `times_as_fast_as_X` is above 1 where X takes longer.
"""

from __future__ import annotations

import gc
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from time import perf_counter_ns
from typing import Any, TypeAlias

from vgaemu.collector import uncollected
from vgaemu.runner import SWITCH_INTERVAL

#: One measurement: units in the key names.
Row: TypeAlias = dict[str, Any]

#: How often a whole benchmark is repeated; what is reported is the median of these runs.
RUNS = 5


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep Python's garbage collector out of a measurement, and what it would find before."""
    gc.collect()
    with uncollected():
        yield


@contextmanager
def switching_as_a_machine() -> Iterator[None]:
    """Threads take turns as often as beside a machine's guest thread."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


@contextmanager
def running(threads: Sequence[Thread], stop: Event) -> Iterator[None]:
    """Guests on threads of their own, which end when `stop` is set."""
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def timed_ns(action: Callable[[], object]) -> int:
    """Nanoseconds of one call."""
    begin = perf_counter_ns()
    action()
    return perf_counter_ns() - begin


def interleaved_times(
    sides: Mapping[str, Callable[[], object]],
    rounds: int,
    before: Callable[[str], object] | None = None,
) -> dict[str, list[int]]:
    """Ns of each call of actions that take turns; `before` comes before each turn, untimed."""
    times: dict[str, list[int]] = {name: [] for name in sides}
    with no_collector():
        for _ in range(rounds):
            for name, action in sides.items():
                if before is not None:
                    before(name)
                times[name].append(timed_ns(action))
    return times


def interleaved(
    sides: Mapping[str, Callable[[], object]],
    rounds: int,
    before: Callable[[str], object] | None = None,
) -> dict[str, float]:
    """Median ns a call of `interleaved_times`."""
    times = interleaved_times(sides, rounds, before)
    return {name: float(statistics.median(values)) for name, values in times.items()}


def median_of_runs(measure: Callable[[], Sequence[Row]], runs: int = RUNS) -> list[Row]:
    """Repeat a benchmark, which gives the same rows in the same order every time.

    Each float is the median of its place; what is none is taken from the first run.
    """
    every = [measure() for _ in range(runs)]
    return [
        {
            key: statistics.median(rows[i][key] for rows in every)
            if isinstance(value, float)
            else value
            for key, value in first.items()
        }
        for i, first in enumerate(every[0])
    ]


def table(rows: Sequence[Row]) -> str:
    """Rows as aligned columns, headed by their keys; rows with other keys start another table."""
    blocks: list[str] = []
    at = 0
    while at < len(rows):
        keys = list(rows[at])
        group = []
        while at < len(rows) and list(rows[at]) == keys:
            group.append([_cell(rows[at][key]) for key in keys])
            at += 1
        widths = [max(len(line[i]) for line in [keys, *group]) for i in range(len(keys))]
        left = [not _is_number(value) for value in rows[at - 1].values()]
        lines = [
            "  ".join(
                text.ljust(width) if to_left else text.rjust(width)
                for text, width, to_left in zip(line, widths, left, strict=True)
            ).rstrip()
            for line in [keys, *group]
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"
    return str(value)
