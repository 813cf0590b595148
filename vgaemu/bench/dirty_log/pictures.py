"""Pictures of it: times against dirty pages, and which pages a run dirties in which frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vgaemu.bench.dirty_log.claims import CLAIM_PAGES
from vgaemu.bench.measure import Row
from vgaemu.machine import Machine
from vgaemu.memslot import DirtyLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Pattern -> its line; the third would be one too many to look at.
LINES = {"contiguous": "-", "scattered": "--"}

#: The run that a heatmap shows: text that scrolls, sprites, a plasma, palette cycling, Life.
HEATMAP_WORKLOAD = "tour"
HEATMAP_FRAMES = 2700
#: Frames in one column of the picture.
HEATMAP_STEP = 10


def _axes(columns: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * columns, 4.6), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def plot(rows: Sequence[Row]) -> Figure:
    """Median against dirty pages: a panel a slot, a colour a scheme, dashed where scattered."""
    readings = [row for row in rows if "median_ns" in row and row["dirty_pages"]]
    slots = list(dict.fromkeys(row["slot"] for row in readings))
    schemes = list(dict.fromkeys(row["scheme"] for row in readings))
    figure, panels = _axes(len(slots))
    for panel, slot in zip(panels, slots, strict=True):
        mine = [row for row in readings if row["slot"] == slot]
        _draw_slot(panel, mine, schemes)
        panel.set_title(f"{slot} slot")
    panels[0].set_ylabel("us a reading, median (solid contiguous, dashed scattered)")
    lines = {line.get_label(): line for panel in panels for line in panel.get_lines()}
    figure.legend(
        handles=[lines[scheme] for scheme in schemes if scheme in lines], loc="outside right upper"
    )
    return figure


def _draw_slot(panel: Axes, rows: Sequence[Row], schemes: Sequence[str]) -> None:
    for i, scheme in enumerate(schemes):
        _curves(panel, rows, scheme, f"C{i}" if i < 10 else "black")
    if panel.get_xlim()[1] > CLAIM_PAGES:
        panel.axvline(CLAIM_PAGES, color="grey", linewidth=0.5)
    panel.set(xscale="log", yscale="log", xlabel="dirty pages")
    panel.grid(alpha=0.3)


def _curves(panel: Axes, rows: Sequence[Row], scheme: str, colour: str) -> None:
    """One scheme on one slot: a line a pattern."""
    for pattern, style in LINES.items():
        points = [
            (row["dirty_pages"], row["median_ns"] / 1000)
            for row in rows
            if (row["scheme"], row["lie"]) == (scheme, pattern)
        ]
        if points:
            label = scheme if pattern == "contiguous" else None
            panel.plot(*zip(*points, strict=True), style, marker=".", color=colour, label=label)


def heatmap() -> Figure:
    """Which page was dirty in which frame of a run, as a picture."""
    logs: list[DirtyLog] = []
    with Machine(HEATMAP_WORKLOAD, display="null") as machine:
        view = machine.vram.subscribe()
        while len(logs) < HEATMAP_FRAMES and machine.tick(1):
            logs.append(view.get_dirty_log())
        keeper = machine.vram.dirty_log
    top = max((int(log.pages()[-1]) for log in logs if log), default=0) + 1
    raster = np.zeros((top, -(-len(logs) // HEATMAP_STEP)))
    for frame, log in enumerate(logs):
        raster[log.pages(), frame // HEATMAP_STEP] += 1 / HEATMAP_STEP
    figure, (panel,) = _axes(1)
    image = panel.imshow(
        raster,
        aspect="auto",
        origin="lower",
        cmap="magma",
        interpolation="nearest",
        extent=(0, raster.shape[1] * HEATMAP_STEP, -0.5, top - 0.5),
    )
    figure.colorbar(image, label=f"share of {HEATMAP_STEP} frames in which it was dirty")
    panel.set(
        xlabel="frame",
        ylabel="page of VRAM",
        title=f"'{HEATMAP_WORKLOAD}': dirty pages a frame, kept by {keeper}",
    )
    figure.set_dpi(150)
    return figure
