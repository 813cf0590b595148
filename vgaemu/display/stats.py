"""Statistics of the display loop: totals, percentiles, and on request a row a frame.

Harvest, render and present are kept apart, in nanoseconds, and harvests also by who kept the log:
it may be switched, and two keepers may be compared. Percentiles are over the last
`WINDOW` frames, so a long run costs no memory; totals are over all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vgaemu.display.report import FrameReport
from vgaemu.display.work import FAULTS, NOTHING, Counted, Kept, difference, in_words, total
from vgaemu.memslot.keeper import Counters

#: Frames that percentiles look back on: over 18 minutes at 60 Hz.
WINDOW = 1 << 16
#: Frames added up at once.
BATCH = 256


@dataclass(frozen=True)
class Percentiles:
    """Of one kind of time, in nanoseconds."""

    p50: int
    p90: int
    p99: int
    max: int

    @classmethod
    def of(cls, values: deque[int]) -> Percentiles:
        """Of some times; all 0 where there are none."""
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


class KeeperStats:
    """What one keeper of the log took and did."""

    def __init__(self) -> None:
        self.frames = 0
        #: Nanoseconds of its last harvests, oldest first.
        self.harvest_ns: deque[int] = deque(maxlen=WINDOW)
        #: What it counted in harvests before the last row of them without a gap, and the counters
        #: around that row.
        self._counted = Counters()
        self._first = self._last = NOTHING

    def add(self, harvest_ns: int, before: Counted, after: Counted) -> None:
        """Take a harvest in, with the keeper's counters around it."""
        self.frames += 1
        self.harvest_ns.append(harvest_ns)
        if before is not self._last:
            self._counted, self._first = self.work, before
        self._last = after

    @property
    def work(self) -> Counters:
        """What it counted in all of them."""
        return total([self._counted, difference(self._last, self._first)])


class Stats:
    """What the loop measured.

    >>> Stats()
    <Stats: 0 frames; medians: harvest 0.0 µs, render 0.0 µs, present 0.0 µs>
    """

    def __init__(self) -> None:
        self._times: dict[str, deque[int]] = {
            name: deque(maxlen=WINDOW) for name in ("harvest", "render", "present")
        }
        self._totals = Totals()
        self._keepers: dict[str, KeeperStats] = {}
        self._rows: list[dict[str, Any]] | None = None
        #: What else took time between frames: nanoseconds in the last ones, by what it is.
        self.beside: dict[str, deque[int]] = {}
        #: Frames recorded and not yet added up: adding up is left until somebody looks.
        self._fresh: list[tuple[FrameReport, int]] = []

    def __repr__(self) -> str:
        medians = ", ".join(
            f"{name} {Percentiles.of(values).p50 / 1000:.1f} µs"
            for name, values in self._add_up()._times.items()
        )
        return f"<Stats: {self.totals.frames} frames; medians: {medians}>"

    def record(self, report: FrameReport, present_ns: int) -> None:
        """Take one frame in."""
        self._fresh.append((report, present_ns))
        if len(self._fresh) >= BATCH:
            self._add_up()

    @property
    def harvest_ns(self) -> deque[int]:
        """Nanoseconds of each of the last frames, oldest first."""
        return self._add_up()._times["harvest"]

    @property
    def render_ns(self) -> deque[int]:
        """The same for drawing."""
        return self._add_up()._times["render"]

    @property
    def present_ns(self) -> deque[int]:
        """The same for the display's `update`."""
        return self._add_up()._times["present"]

    @property
    def totals(self) -> Totals:
        """Over the whole run."""
        return self._add_up()._totals

    @property
    def keepers(self) -> Mapping[str, KeeperStats]:
        """What each keeper of the log took and did, by name, in the order of their first frames."""
        return self._add_up()._keepers

    @property
    def rows(self) -> list[dict[str, Any]] | None:
        """One dict a frame since it was set to a list; None, as it begins, keeps none."""
        return self._add_up()._rows

    @rows.setter
    def rows(self, rows: list[dict[str, Any]] | None) -> None:
        self._add_up()._rows = rows

    def _add_up(self) -> Stats:
        fresh, self._fresh = self._fresh, []
        harvest, render, present = self._times.values()
        totals = self._totals
        kept: Sequence[Kept] | None = None
        idle_ns: deque[int] = deque()
        for report, present_ns in fresh:
            harvest.append(report.harvest_ns)
            render.append(report.render_ns)
            present.append(present_ns)
            totals.frames += 1
            if report.spans:
                totals.pages += len(report.log)
                totals.span_pages += report.span_pages
                totals.spans += len(report.spans)
            if report.rects:
                totals.rects += len(report.rects)
                totals.pixels += report.pixels
            if report.kept is kept:  # an idle frame after another: nothing was counted
                idle_ns.append(report.harvest_ns)
            else:
                kept = report.kept
                idle_ns = self._add_kept(report)
            if self._rows is not None:
                self._rows.append(_row(report, present_ns))
        return self

    def _add_kept(self, report: FrameReport) -> deque[int]:
        """Take in what was counted, and return the times of whom it was told last."""
        times: deque[int] = deque(maxlen=0)
        faults = 0
        for kept, harvest_ns in zip(report.kept, report.harvests_ns, strict=True):
            keeper = self._keepers.get(kept.dirty_log)
            if keeper is None:
                keeper = self._keepers[kept.dirty_log] = KeeperStats()
            keeper.add(harvest_ns, kept.before, kept.after)
            times = keeper.harvest_ns
            faults = max(faults, kept.after[FAULTS] - kept.before[FAULTS])
        self._totals.faults += faults
        return times

    def summary(self) -> dict[str, Any]:
        """Percentiles and totals as plain numbers, units in the names; rows if they were kept."""
        rows = self.rows
        all_times = self._times | self.beside
        times = {f"{name}_ns": asdict(Percentiles.of(ns)) for name, ns in all_times.items()}
        keepers = {
            name: {
                "frames": keeper.frames,
                "harvest_ns": asdict(Percentiles.of(keeper.harvest_ns)),
                "work": asdict(keeper.work),
            }
            for name, keeper in self._keepers.items()
        }
        frames = {} if rows is None else {"frames": rows}
        return {**times, "totals": asdict(self.totals), "keepers": keepers, **frames}

    def table(self) -> str:
        """The harvest table that a run prints: times, and what each keeper of the log did."""
        times = dict(self._add_up()._times)
        if len(self._keepers) > 1:
            own = {name: keeper.harvest_ns for name, keeper in self._keepers.items()}
            times = {"harvest": times.pop("harvest"), **own, **times}
        times |= self.beside
        width = max(8, *map(len, times))
        lines = [f"{'':{width}}{'p50':>10}{'p90':>10}{'p99':>10}{'max':>10}   microseconds a frame"]
        for name, values in times.items():
            p = Percentiles.of(values)
            cells = "".join(f"{ns / 1000:10.1f}" for ns in (p.p50, p.p90, p.p99, p.max))
            lines.append(f"{name:{width}}{cells}")
        t = self.totals
        lines.append(
            f"{t.frames} frames: {t.pages} dirty pages in {t.spans} spans, {t.rects} rectangles, "
            f"{t.pixels} pixels redrawn, {t.faults} write faults"
        )
        lines += [f"{name}: {in_words(keeper.work)}" for name, keeper in self._keepers.items()]
        return "\n".join(lines)


def _row(report: FrameReport, present_ns: int) -> dict[str, Any]:
    work = {name: value for name, value in asdict(report.keeper_work).items() if value}
    compared = zip(report.kept, report.compared_ns, strict=False)
    return {
        "frame": report.frame_number,
        "dirty_log": report.dirty_log,
        "harvest_ns": report.harvest_ns,
        **{f"harvest_{kept.dirty_log}_ns": ns for kept, ns in compared},
        "render_ns": report.render_ns,
        "present_ns": present_ns,
        "pages": len(report.log),
        "span_pages": report.span_pages,
        "spans": len(report.spans),
        "rects": len(report.rects),
        "pixels": report.pixels,
        "faults": report.faults,
        "work": work,
        "redraw": report.redraw,
    }
