"""Statistics of the display loop: totals, percentiles, and on request a row a frame.

Harvest, render and present are kept apart, in nanoseconds. Percentiles are over the last
`WINDOW` frames, so a long run costs no memory; totals are over all of them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from vgaemu.display.report import FrameReport

#: Frames that percentiles look back on: over 18 minutes at 60 Hz.
WINDOW = 1 << 16


@dataclass(frozen=True)
class Percentiles:
    """Of one kind of time, in nanoseconds."""

    p50: int
    p90: int
    p99: int
    max: int

    @classmethod
    def of(cls, values: deque[int]) -> Percentiles:
        """Of some values; all 0 where there are none."""
        if not values:
            return cls(0, 0, 0, 0)
        array = np.fromiter(values, np.int64, len(values))
        p50, p90, p99 = np.percentile(array, (50, 90, 99), method="nearest").tolist()
        return cls(p50, p90, p99, int(array.max()))


@dataclass
class Totals:
    """Over the whole run."""

    frames: int = 0
    pages: int = 0
    span_pages: int = 0
    spans: int = 0
    rects: int = 0
    pixels: int = 0
    faults: int = 0


@dataclass
class Stats:
    """What the loop measured."""

    #: Nanoseconds of each of the last frames, oldest first.
    harvest_ns: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))
    render_ns: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))
    present_ns: deque[int] = field(default_factory=lambda: deque(maxlen=WINDOW))
    totals: Totals = field(default_factory=Totals)
    #: One dict a frame, if asked for.
    rows: list[dict[str, Any]] | None = None

    def record(self, report: FrameReport, rects: int, present_ns: int) -> None:
        """Take one frame in."""
        self.harvest_ns.append(report.harvest_ns)
        self.render_ns.append(report.render_ns)
        self.present_ns.append(present_ns)
        totals = self.totals
        totals.frames += 1
        totals.pages += len(report.dirty_pages)
        totals.span_pages += report.span_pages
        totals.spans += len(report.spans)
        totals.rects += rects
        totals.pixels += report.pixels
        totals.faults += report.faults
        if self.rows is not None:
            self.rows.append(
                {
                    "frame": report.frame,
                    "harvest_ns": report.harvest_ns,
                    "render_ns": report.render_ns,
                    "present_ns": present_ns,
                    "pages": len(report.dirty_pages),
                    "span_pages": report.span_pages,
                    "spans": len(report.spans),
                    "rects": rects,
                    "pixels": report.pixels,
                    "faults": report.faults,
                    "redraw": report.redraw,
                }
            )

    def summary(self) -> dict[str, Any]:
        """Percentiles and totals as plain numbers, units in the names; rows if they were kept."""
        summary: dict[str, Any] = {
            "harvest_ns": asdict(Percentiles.of(self.harvest_ns)),
            "render_ns": asdict(Percentiles.of(self.render_ns)),
            "present_ns": asdict(Percentiles.of(self.present_ns)),
            "totals": asdict(self.totals),
        }
        if self.rows is not None:
            summary["frames"] = self.rows
        return summary

    def table(self) -> str:
        """The harvest table that a headless run prints."""
        lines = [f"{'':8}{'p50':>10}{'p90':>10}{'p99':>10}{'max':>10}   microseconds a frame"]
        for name, values in (
            ("harvest", self.harvest_ns),
            ("render", self.render_ns),
            ("present", self.present_ns),
        ):
            p = Percentiles.of(values)
            times = "".join(f"{ns / 1000:10.1f}" for ns in (p.p50, p.p90, p.p99, p.max))
            lines.append(f"{name:8}{times}")
        t = self.totals
        lines.append(
            f"{t.frames} frames: {t.pages} dirty pages in {t.spans} spans, {t.rects} rectangles, "
            f"{t.pixels} pixels redrawn, {t.faults} write faults"
        )
        return "\n".join(lines)
