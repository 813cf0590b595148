"""`vgaemu bench snapshot`: moments kept and gone back to, against states and full copies.

The guest is the bundled snake, which plays. A full copy is what a snapshot without a dirty log
would do: all of VRAM and RAM. Then what a hundred snapshots a frame apart take, in memory that
Python allocates, against one; what rewind takes a frame, and a way back a frame; and how many
frames a second a headless run has.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from statistics import median

import numpy as np

from vgaemu.assets import guests
from vgaemu.bench.measure import RUNS, Row, median_of_runs, no_collector, timed_ns
from vgaemu.machine import Machine

#: Turns of each figure; frames of a long way back, of a row of snapshots, of a headless run.
ROUNDS, LONG, ROW, STEPS = 9, 600, 100, 300
#: Frames before anything is measured.
WARM = 60
KEYS = ("left", "up", "right", "down")


def measure(runs: int = RUNS) -> list[Row]:
    """A row each of snapshots, states, memory, rewind, and frames a second."""
    return median_of_runs(lambda: [_snapshots(), _states(), _memory(), _rewind(), _steps()], runs)


def _snake() -> Machine:
    machine = Machine(guests() / "snake.img")
    machine.tick(WARM)
    return machine


def _play(machine: Machine, frames: int) -> None:
    for _ in range(frames):
        if machine.frames % 20 == 0:
            machine.keys.press(KEYS[machine.frames // 20 % len(KEYS)])
        machine.tick()


def _ms(action: Callable[[], object], before: Callable[[], object] = int, rounds: int = 1) -> float:
    times = []
    with no_collector():
        for _ in range(rounds):
            before()
            times.append(timed_ns(action))
    return median(times) / 1e6


def _snapshots() -> Row:
    with _snake() as machine:
        kept = [machine.snapshot()]

        def restore() -> None:
            machine.restore(kept[0])

        restore()
        one = _ms(restore, lambda: _play(machine, 1), ROUNDS)
        long = _ms(restore, lambda: _play(machine, LONG), 3)
        further = _ms(machine.snapshot, lambda: _play(machine, 1), ROUNDS)
        kept.clear()
        machine.tick(2)  # and nothing is logged any more
        return {
            "snapshot": "of a running snake.img, ms",
            "first": _ms(machine.snapshot),
            "a_frame_later": further,
            "restore_after_1_frame": one,
            f"restore_after_{LONG}_frames": long,
        }


def _states() -> Row:
    with _snake() as machine:
        assert machine.pc is not None
        memories = machine.pc.bus.array, machine.vram.array
        saved = BytesIO()
        machine.save_state(saved)

        def load() -> None:
            saved.seek(0)
            machine.load_state(saved)

        return {
            "state": "the same as a state, ms",
            "full_copy": _ms(lambda: [np.copy(memory) for memory in memories], rounds=ROUNDS),
            "save": _ms(lambda: machine.save_state(BytesIO()), rounds=ROUNDS),
            "load": _ms(load, rounds=ROUNDS),
        }


def _memory() -> Row:
    with _snake() as machine:
        machine.snapshot()
        machine.tick(2)
        gc.collect()
        tracemalloc.start()
        try:
            before = _traced()
            kept = [machine.snapshot()]
            one = _traced() - before
            for _ in range(ROW - 1):
                _play(machine, 1)
                kept.append(machine.snapshot())
            row = _traced() - before
        finally:
            tracemalloc.stop()
    return {
        "memory": f"of {len(kept)} snapshots a frame apart, KiB",
        "one": one / 1024,
        "all": row / 1024,
        "times_one": row / one,
    }


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _rewind() -> Row:
    with _snake() as machine:
        machine.rewind.start()
        _play(machine, STEPS)
        costs = [*machine.rewind.cost_ns]
        kib = machine.rewind.nbytes / 1024
        times = [timed_ns(machine.step_back) for _ in range(STEPS // 2)]
    return {
        "rewind": f"of {STEPS} frames",
        "mean_ms_a_frame": sum(costs) / len(costs) / 1e6,
        "kib": kib,
        "step_back_median_ms": median(times) / 1e6,
        "step_back_mean_ms": sum(times) / len(times) / 1e6,
    }


def _steps() -> Row:
    with _snake() as machine:
        out = machine.screen.rgb()

        def with_rgb() -> None:
            for _ in range(STEPS):
                machine.tick()
                machine.screen.rgb(out=out)

        plain = _ms(lambda: [machine.tick() for _ in range(STEPS)], rounds=3)
        shown = _ms(with_rgb, rounds=3)
    return {
        "steps": "of snake.img a second, headless",
        "tick": STEPS * 1e3 / plain,
        "tick_and_rgb": STEPS * 1e3 / shown,
    }
