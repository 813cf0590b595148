"""The same guest by native code and by Python's path: two machines, whose frames take turns."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from time import thread_time_ns
from typing import Any

from vgaemu import native
from vgaemu.bench.measure import Row, no_collector
from vgaemu.machine import Machine

#: Turns, and untimed frames before.
ROUNDS, FRAMES_BEFORE = 7, 3


@contextmanager
def by_python(on: bool = True) -> Iterator[None]:
    """A CPU that begins to run in here has Python's path alone, or native code, too."""
    before = os.environ.pop(native.SWITCH, None)
    if on:
        os.environ[native.SWITCH] = "0"
    try:
        yield
    finally:
        os.environ.pop(native.SWITCH, None)
        if before is not None:
            os.environ[native.SWITCH] = before


def both_paths(image: str, counted: Callable[[Machine], int], **options: Any) -> Row:
    """The thread's CPU time of what a guest does and counts, in nanoseconds each."""
    with ExitStack() as stack:
        machines = []
        for slow in (False, True):
            with by_python(slow):
                machines.append(machine := stack.enter_context(Machine(image, **options)))
                machine.tick(FRAMES_BEFORE)
        times: list[list[float]] = [[], []]
        with no_collector():
            for _ in range(ROUNDS):
                for machine, found in zip(machines, times, strict=True):
                    found.append(_frame_ns(machine, counted))
    fast, slow_ns = map(median, times)
    return {
        "native_ns": fast,
        "python_ns": slow_ns,
        "times_as_fast_as_python": slow_ns / fast,
    }


def _frame_ns(machine: Machine, counted: Callable[[Machine], int]) -> float:
    assert machine.pc is not None
    before, begin = counted(machine), thread_time_ns()
    machine.pc.run_frame()
    took = thread_time_ns() - begin
    return took / max(counted(machine) - before, 1)
