"""Running a benchmark by name."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from vgaemu.bench import BENCHMARKS
from vgaemu.bench.measure import RUNS, Benchmark
from vgaemu.errors import BenchError, CpuError
from vgaemu.outputs import naming

PICTURES = (".png", ".svg")


def run(
    name: str,
    *,
    say: Callable[[str], None] | None = None,
    runs: int = RUNS,
    json_file: Path | None = None,
    plot: Path | None = None,
    heatmap: Path | None = None,
) -> str:
    """Run a benchmark.

    Args:
        name: One of `BENCHMARKS`.
        say: Called with the table as soon as there is one, before any file is written.
        runs: Repetitions; each number is their median.
        json_file: Also write the rows there, as a JSON list of objects.
        plot: Also draw them there.
        heatmap: Also draw there which pages a run dirties in which frame.

    Returns:
        The rows as a table.

    Raises:
        BenchError: There is no such picture of this benchmark, no matplotlib to draw it, or not
            the CPU that is measured.
    """
    module = import_module(f"vgaemu.bench.{name.replace('-', '_')}")
    benchmark: Benchmark = module.BENCHMARK
    if plot is not None:
        _check_picture(name, "plot", plot, draws=benchmark.plot is not None)
    if heatmap is not None:
        _check_picture(name, "heatmap", heatmap, draws=benchmark.heatmap is not None)
    try:
        rows = benchmark.measure(runs)
    except CpuError as error:
        raise BenchError(f"bench {name}: {error}") from None
    head = f"{BENCHMARKS[name]}; medians of {runs} runs; Python {platform.python_version()}"
    text = f"{head}\n{benchmark.report(rows)}"
    if say is not None:
        say(text)
    if json_file is not None:
        with naming(json_file):
            json_file.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    if plot is not None and benchmark.plot is not None:
        benchmark.plot(rows, plot)
    if heatmap is not None and benchmark.heatmap is not None:
        benchmark.heatmap(heatmap)
    return text


def _check_picture(name: str, kind: str, path: Path, *, draws: bool) -> None:
    """Before minutes of measuring, and not after."""
    if not draws:
        raise BenchError(f"--{kind}: 'bench {name}' draws none; 'bench dirty-log' does")
    if find_spec("matplotlib") is None:
        raise BenchError(f"--{kind} needs matplotlib: pip install matplotlib")
    if path.suffix not in PICTURES:
        raise BenchError(f"--{kind} {path}: name a file that ends in {' or '.join(PICTURES)}")
