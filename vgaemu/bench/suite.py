"""Running a benchmark by name."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from vgaemu.bench import BENCHMARKS
from vgaemu.bench.measure import RUNS, Row, table


def run(name: str, *, runs: int = RUNS, json_file: Path | None = None) -> str:
    """Run a benchmark.

    Args:
        name: One of `BENCHMARKS`.
        runs: Repetitions; each number is their median.
        json_file: Also write the rows there, as a JSON list of objects.

    Returns:
        The rows as a table.
    """
    measure: Callable[[int], list[Row]] = import_module(f"vgaemu.bench.{name}").measure
    rows = measure(runs)
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    head = f"{BENCHMARKS[name]}; medians of {runs} runs; Python {platform.python_version()}"
    return f"{head}\n{table(rows)}"
