"""What the panel shows: figures of the last frames, and how recently each page was dirty."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import IntEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.panel.graph import Section
from vgaemu.display.report import FrameReport, ScreenInfo
from vgaemu.display.work import FIELDS, Counted, count
from vgaemu.vga.layout import LEGACY_PAGES

#: Frames that percentiles and graph look back on, and reports that wait for the panel at most:
#: 10 000 frames a second fill it between two drawings.
HISTORY = 1024
#: Part of a page's light that is left after a second.
FADE_A_SECOND = 0.12
#: Cells for the pages above the legacy ones, which are large; larger slots share them.
MAP_CELLS = 4096


class Column(IntEnum):
    """What the meter's history has of a frame: nanoseconds, counts, and percent redrawn.

    From `WORK` on it has what the keeper did, as `Counters` has it. `KEEPER` is a number of a name;
    if two keepers are compared, `HARVEST` and `SECOND` are theirs.
    """

    HARVEST, PAGES, SPANS, RECTS, REDRAWN, FAULTS, RENDER, PRESENT, KEEPER, SECOND, WORK = range(11)


class PageHeat:
    """How recently each page of VRAM was dirty, or taken along clean: 1 now, fading to 0.

    In large slots, some pages above the legacy ones share a cell.
    """

    def __init__(self, slot_pages: int) -> None:
        self.slot_pages = slot_pages
        self.legacy = min(slot_pages, LEGACY_PAGES)
        above = slot_pages - self.legacy
        #: Pages a cell above the legacy ones.
        self.pages_a_cell = max(1, -(-above // MAP_CELLS))
        cells = self.legacy + -(-above // self.pages_a_cell)
        self.dirty = np.zeros(cells, np.float32)
        self.clean = np.zeros(cells, np.float32)

    def cells(self, pages: NDArray[np.intp]) -> NDArray[np.intp]:
        above = self.legacy + (pages - self.legacy) // self.pages_a_cell
        return np.where(pages < self.legacy, pages, above)

    def note(self, reports: Sequence[FrameReport]) -> None:
        """Light up the pages of some frames."""
        spans = [span for report in reports for span in report.spans]
        if not spans:
            return
        pages = self.cells(np.concatenate([report.dirty_pages for report in reports]))
        starts, ends = np.array(spans, np.intp).T
        size = len(self.clean) + 1
        # How many spans a cell lies in: those that began up to it, less those that ended before.
        begun = np.bincount(self.cells(starts), minlength=size)
        over = np.bincount(self.cells(ends - 1) + 1, minlength=size)
        self.clean[np.cumsum(begun - over)[:-1] > 0] = 1
        self.dirty[pages] = 1
        self.clean[pages] = 0

    def fade(self, seconds: float) -> None:
        """Let time pass."""
        left = FADE_A_SECOND**seconds
        self.dirty *= left
        self.clean *= left


class Meter:
    """Gathers frame reports; cheap to feed, as it works only when asked."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[FrameReport, int]] = deque(maxlen=HISTORY)
        self._history = np.zeros((HISTORY, Column.WORK + len(FIELDS)))
        #: Names of all that have kept the log so far.
        self._keepers: list[str] = []
        #: Names of those that are compared, and what each did in the last frame.
        self.compared: tuple[str, ...] = ()
        self.works: list[Counted] = []
        self._fed = 0
        self._counted: deque[tuple[int, int]] = deque(maxlen=11)
        self._digested_ns = 0
        self.count = 0
        self.frame_number = 0
        self.frames_a_second = 0.0
        self.picture_pixels = 1
        self.heat = PageHeat(0)

    def reshape(self, info: ScreenInfo) -> None:
        """The picture has another shape; the slot may be another one."""
        self.picture_pixels = info.width * info.height
        if self.heat.slot_pages != info.slot_pages:
            self.heat = PageHeat(info.slot_pages)

    def note(self, report: FrameReport, rects: int) -> None:
        """Take a frame in; what it means is worked out by `digest`."""
        self._waiting.append((report, rects))
        self._fed += 1

    def digest(self, now_ns: int) -> None:
        """Work out all that was noted; light fades and frames are counted by `now_ns`."""
        self.heat.fade(max(0, now_ns - self._digested_ns) / 1e9)
        self._digested_ns = now_ns
        noted = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self.heat.note([report for report, _ in noted])
        if noted:
            rows = [self._row(report, rects) for report, rects in noted]
            last = noted[-1][0]
            self.frame_number = last.frame_number
            self.compared = tuple([kept.dirty_log for kept in last.kept]) * bool(last.compared_ns)
            self.works = [count(kept.work) for kept in last.kept]
            self._history = np.concatenate((self._history[len(rows) :], rows))
            self.count = min(HISTORY, self.count + len(rows))
        self._counted.append((now_ns, self._fed))
        (then, before), (now, fed) = self._counted[0], self._counted[-1]
        if now > then:
            self.frames_a_second = (fed - before) * 1e9 / (now - then)

    def _row(self, report: FrameReport, rects: int) -> tuple[float, ...]:
        name = report.dirty_log
        if name not in self._keepers:
            self._keepers.append(name)
        harvest_ns, second_ns = (*report.harvests_ns, 0)[:2]
        return (
            harvest_ns, len(report.log), len(report.spans), rects,
            100 * min(1.0, report.pixels / self.picture_pixels),
            report.faults, report.render_ns, report.present_ns,
            self._keepers.index(name), second_ns, *count(report.keeper_work),
        )  # fmt: skip

    @property
    def dirty_log(self) -> str:
        """Who kept the log in the last frame; nothing before the first."""
        return self._keepers[int(self._history[-1, Column.KEEPER])] if self.count else ""

    def recent(self, frames: int) -> NDArray[np.float64]:
        """The last frames, oldest first: (at most `frames`, columns), by `Column`."""
        return self._history[HISTORY - min(frames, self.count) :]

    def of_this_keeper(self, frames: int) -> NDArray[np.float64]:
        """Of those rows, the ones since another kept the log; a view, as they are."""
        recent = self.recent(frames)
        others = np.flatnonzero(recent[:, Column.KEEPER] != self._history[-1, Column.KEEPER])
        return recent[others[-1] + 1 :] if len(others) else recent

    def sections(self, frames: int) -> list[Section]:
        """Who kept the log in the last frames, oldest first; medians are of all that is known."""
        known = self.recent(HISTORY)
        keepers = known[:, Column.KEEPER]
        shown = len(known) - len(self.recent(frames))
        starts = [*np.flatnonzero(np.diff(keepers, prepend=-1)).tolist(), len(known)]
        return [
            Section(
                max(0, start - shown), self._keepers[int(keepers[start])],
                float(np.median(known[start:end, Column.HARVEST])),
            )
            for start, end in pairwise(starts)
            if end > shown
        ]  # fmt: skip

    def restart_clock(self) -> None:
        """Count frames a second anew, as after a pause."""
        self._counted.clear()
