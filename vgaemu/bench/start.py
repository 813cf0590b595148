"""`vgaemu bench start`: `vgaemu --version` and a headless run against `python -c pass`."""

from __future__ import annotations

import subprocess
import sys

from vgaemu.bench.measure import RUNS, Row, interleaved, median_of_runs

ROUNDS = 11
#: A headless run must not even load pygame; the child fails if it did.
_HEADLESS = (
    "import sys; from vgaemu import Machine; Machine().tick(); sys.exit('pygame' in sys.modules)"
)
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "vgaemu --version": [sys.executable, "-m", "vgaemu", "--version"],
    "one headless frame": [sys.executable, "-c", _HEADLESS],
}


def measure(runs: int = RUNS) -> list[Row]:
    """All rows, each the median of `runs` runs."""
    return median_of_runs(_once, runs)


def _once() -> list[Row]:
    sides = {
        name: lambda command=command: subprocess.run(command, check=True, capture_output=True)
        for name, command in COMMANDS.items()
    }
    times = interleaved(sides, ROUNDS)
    base = times["python -c pass"]
    return [
        {"command": name, "start_ms": ns / 1e6, "ratio_to_python": ns / base}
        for name, ns in times.items()
    ]
