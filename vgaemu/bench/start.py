"""`vgaemu bench start`: `vgaemu --version` and the first headless frame against `python -c pass`.

Each in a process of its own, from its start to its end: imports, `Machine().tick()`, exit.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

import numpy as np

from vgaemu.bench.measure import RUNS, Row, interleaved_times

#: Starts of each a run.
ROUNDS = 11
#: A headless run must not even load pygame; the child fails if it did.
_HEADLESS = (
    "import sys; from vgaemu import Machine; Machine().tick(); sys.exit('pygame' in sys.modules)"
)
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "vgaemu --version": [sys.executable, "-m", "vgaemu", "--version"],
    "the first headless frame": [sys.executable, "-c", _HEADLESS],
}


def measure(runs: int = RUNS) -> list[Row]:
    """A row a command: median and p99 of the starts of all runs together."""
    sides = {
        name: lambda command=command: subprocess.run(command, check=True, capture_output=True)
        for name, command in COMMANDS.items()
    }
    times = interleaved_times(sides, ROUNDS * runs)
    base = statistics.median(times["python -c pass"])
    return [
        {
            "command": name,
            "start_ms": statistics.median(taken) / 1e6,
            "start_p99_ms": float(np.percentile(taken, 99)) / 1e6,
            "times_as_fast_as_python": base / statistics.median(taken),
        }
        for name, taken in times.items()
    ]
