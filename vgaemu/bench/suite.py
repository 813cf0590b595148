"""Running a benchmark by name."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vgaemu.bench import BENCHMARKS, PARTS, PICTURES, REPORTS
from vgaemu.bench.measure import RUNS, Row, table
from vgaemu.errors import BenchError, CpuError
from vgaemu.outputs import NewFile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg")


def run(
    name: str,
    *,
    say: Callable[[str], None] | None = None,
    runs: int = RUNS,
    json_file: Path | None = None,
    plot: Path | None = None,
    heatmap: Path | None = None,
    parts: Sequence[str] = (),
) -> str:
    """Run a benchmark.

    `say` gets the table as soon as there is one, before any file is written: rows as a JSON list
    of objects, a plot, and a picture of which pages a run dirties in which frame. Without `parts`
    all of it is measured.

    Raises:
        BenchError: There is no such picture or part of this benchmark, no matplotlib to draw it, or
            not the CPU that is measured.
    """
    _check_parts(name, parts)
    for kind, path in (("plot", plot), ("heatmap", heatmap)):
        if path is not None:
            _check_picture(name, kind, path)
    try:
        module = import_module(f"vgaemu.bench.{name.replace('-', '_')}")
        rows: list[Row] = module.measure(runs, parts) if parts else module.measure(runs)
    except CpuError as error:
        raise BenchError(f"bench {name}: {error}") from None
    report: Callable[[list[Row]], str] = module.report if name in REPORTS else table
    of = f"medians of {runs} runs" if runs > 1 else "one run"
    head = f"{BENCHMARKS[name]}; {of}; Python {platform.python_version()}"
    text = f"{head}\n{report(rows)}"
    if say is not None:
        say(text)
    if json_file is not None:
        with NewFile(json_file) as file:
            file.write(json.dumps(rows, indent=1).encode() + b"\n")
    if plot is not None:
        _save(module.plot(rows), plot)
    if heatmap is not None:
        _save(module.heatmap(), heatmap)
    return text


def _save(figure: Figure, path: Path) -> None:
    with NewFile(path) as file:
        figure.savefig(file, format=path.suffix[1:])


def _check_parts(name: str, parts: Sequence[str]) -> None:
    known = PARTS.get(name, ())
    for part in parts:
        if not known:
            raise BenchError(f"--only: 'bench {name}' has no parts; 'bench guest' does")
        if part not in known:
            raise BenchError(f"--only {part}: 'bench {name}' has {', '.join(known)}")


def _check_picture(name: str, kind: str, path: Path) -> None:
    """Before minutes of measuring, and not after."""
    if kind not in PICTURES.get(name, ()):
        raise BenchError(f"--{kind}: 'bench {name}' draws none; 'bench dirty-log' does")
    if find_spec("matplotlib") is None:
        raise BenchError(f"--{kind} needs matplotlib: pip install matplotlib")
    if path.suffix not in SUFFIXES:
        raise BenchError(f"--{kind} {path}: name a file that ends in {' or '.join(SUFFIXES)}")
