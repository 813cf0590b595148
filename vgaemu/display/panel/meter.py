"""Meter: gathers frame reports, and works out what they mean when it is asked."""

from __future__ import annotations

from collections import deque
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.panel.heat import PageHeat
from vgaemu.display.report import FrameReport, ScreenInfo

#: Frames that percentiles and graph look back on.
HISTORY = 1024
#: Reports that wait for the panel at most: 10 000 frames a second fill it between two drawings.
MAX_WAITING = 1024


class Column(IntEnum):
    """What the meter's history has of a frame: nanoseconds, counts, and percent redrawn."""

    HARVEST, PAGES, SPANS, RECTS, REDRAWN, FAULTS, RENDER, PRESENT = range(8)


class Meter:
    """Gathers frame reports; cheap to feed, as it works only when asked."""

    def __init__(self) -> None:
        """No frame was seen."""
        self._waiting: deque[tuple[FrameReport, int]] = deque(maxlen=MAX_WAITING)
        self._history = np.zeros((HISTORY, len(Column)))
        self._fed = 0
        self._counted: deque[tuple[int, int]] = deque(maxlen=11)
        self._digested_ns = 0
        self.count = 0
        self.frame = 0
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
        """Work out all that was noted.

        Args:
            now_ns: A monotonic time; light fades and frames are counted by it.
        """
        self.heat.fade(max(0, now_ns - self._digested_ns) / 1e9)
        self._digested_ns = now_ns
        noted = [self._waiting.popleft() for _ in range(len(self._waiting))]
        self.heat.note([report for report, _ in noted])
        rows = [self._row(report, rects) for report, rects in noted]
        if rows:
            self.frame = noted[-1][0].frame
            kept = self._history[len(rows) :] if len(rows) < HISTORY else self._history[:0]
            self._history = np.concatenate((kept, rows))
            self.count = min(HISTORY, self.count + len(rows))
        self._counted.append((now_ns, self._fed))
        (then, before), (now, fed) = self._counted[0], self._counted[-1]
        if now > then:
            self.frames_a_second = (fed - before) * 1e9 / (now - then)

    def _row(self, report: FrameReport, rects: int) -> tuple[float, ...]:
        redrawn = 100 * min(1.0, report.pixels / self.picture_pixels)
        return (
            report.harvest_ns, len(report.log), len(report.spans), rects, redrawn,
            report.faults, report.render_ns, report.present_ns,
        )  # fmt: skip

    def recent(self, frames: int) -> NDArray[np.float64]:
        """The last frames, oldest first: (at most `frames`, 8), by `Column`."""
        count = min(frames, self.count)
        return self._history[HISTORY - count :]

    def restart_clock(self) -> None:
        """Count frames a second anew, as after a pause."""
        self._counted.clear()
