"""What our page shows beside the picture: harvests, the map of VRAM's pages, mode, keeper.

The panel's meter gathers it, on the thread that runs frames; a thread of its own works it out ten
times a second, while somebody listens, and tells each listener in JSON. Who is behind with the
picture misses a message, and nobody waits.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from time import monotonic_ns
from typing import Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.panel.layout import FRAMES
from vgaemu.display.panel.meter import Column, Meter
from vgaemu.display.report import FrameReport, ScreenInfo
from vgaemu.view.transport import Gone

#: Seconds between two messages.
PERIOD_SECONDS = 0.1
#: Frames of the curve, and what one message has of them at most.
CURVE_FRAMES = 300
#: Steps of light of a page: a hexadecimal digit a cell.
LIGHTS = 16
#: What is told of a frame besides its harvest.
_SHOWN = [
    Column.PAGES, Column.RECTS, Column.REDRAWN, Column.FAULTS, Column.RENDER, Column.PRESENT,
]  # fmt: skip
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


class Mode(TypedDict):
    """Of the picture."""

    name: str
    width: int
    height: int
    #: Width to height as a monitor shows it.
    aspect: float
    text: bool


class Map(TypedDict):
    """Of VRAM's pages: a digit a cell, 0 to f, where zeros at the end are left out."""

    #: In the slot, of those in the windows below 1 MiB, and what a cell above these stands for.
    pages: int
    legacy: int
    pages_a_cell: int
    #: How recently each was dirty, or clean and redrawn.
    dirty: str
    clean: str


class Message(TypedDict):
    """What a listener is told; times are nanoseconds."""

    mode: Mode
    #: Who keeps the dirty log.
    keeper: str
    frame: int
    frames_a_second: float
    #: Of the last `vgaemu.display.panel.layout.FRAMES` frames of this keeper: last, p50, p99, max.
    harvest: list[int]
    #: Of the last frame, and the most of one of these: dirty pages, rectangles, percent redrawn,
    #: faults, render and present.
    last: list[float]
    max: list[float]
    #: Harvests since the message before, oldest first, at most `CURVE_FRAMES`.
    curve: list[int]
    map: Map
    #: Whether the listener may not type, as another one does.
    looks_only: bool


class Listener(Protocol):
    """Who is told."""

    @property
    def looks_only(self) -> bool:
        """Whether it may not type."""

    def tell(self, text: str) -> bool:
        """Take a message; never waits."""


class Live:
    """Gathers what frames cost while somebody listens."""

    #: Whether somebody does.
    is_heard = False

    def __init__(self) -> None:
        self._meter = Meter()
        self._info: ScreenInfo | None = None
        #: Who listens, and up to which frame it knows the curve.
        self._listeners: dict[Listener, int] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def resize(self, screen: ScreenInfo) -> None:
        """The picture has another shape."""
        self._info = screen

    def note(self, report: FrameReport, rects: int) -> None:
        """A frame was shown, so many rectangles of it."""
        self._meter.note(report, rects)

    def close(self) -> None:
        """Tell nobody any more."""
        with self._changed:
            self._listeners.clear()
            self.is_heard = False
            self._changed.notify_all()

    def join(self, listener: Listener) -> None:
        """Tell one more."""
        with self._changed:
            self._listeners[listener] = -1
            self.is_heard = True
            if self._thread is None:
                self._meter.restart_clock()
                self._thread = threading.Thread(
                    target=self._tell_all, name="vgaemu live figures", daemon=True
                )
                self._thread.start()

    def leave(self, listener: Listener) -> None:
        """Tell one less."""
        with self._changed:
            self._listeners.pop(listener, None)
            self.is_heard = bool(self._listeners)
            self._changed.notify_all()

    def _tell_all(self) -> None:
        while True:
            with self._changed:
                if not self._listeners:
                    self._thread = None
                    return
                listeners = list(self._listeners.items())
            if self._info is not None:
                self._meter.reshape(self._info)
                self._meter.digest(monotonic_ns())
                self._tell_each(listeners, self._info)
            with self._changed:
                self._changed.wait_for(lambda: not self._listeners, PERIOD_SECONDS)

    def _tell_each(self, listeners: Sequence[tuple[Listener, int]], info: ScreenInfo) -> None:
        #: Most are told the same.
        texts: dict[tuple[int, bool], str] = {}
        for listener, known in listeners:
            kind = known, listener.looks_only
            if kind not in texts:
                message = self.message(info, known, looks_only=listener.looks_only)
                texts[kind] = json.dumps(message, separators=(",", ":"))
            try:
                told = listener.tell(texts[kind])
            except Gone:  # it has gone, and who talks with it finds that out too
                self.leave(listener)
                continue
            with self._changed:
                if told and listener in self._listeners:
                    self._listeners[listener] = self._meter.frame_number

    def message(self, info: ScreenInfo, known: int, *, looks_only: bool) -> Message:
        """What somebody is told who knows the curve up to some frame."""
        meter, heat = self._meter, self._meter.heat
        recent = meter.of_this_keeper(FRAMES)
        new = min(meter.frame_number - known, CURVE_FRAMES)
        rows = recent if len(recent) else np.zeros((1, Column.WORK))
        return {
            "mode": {
                "name": info.mode_name, "width": info.width, "height": info.height,
                "aspect": info.aspect, "text": info.is_text,
            },
            "keeper": meter.dirty_log or info.dirty_log,
            "frame": meter.frame_number,
            "frames_a_second": round(meter.frames_a_second, 1),
            "harvest": _figures(recent[:, Column.HARVEST]),
            "last": rows[-1, _SHOWN].round(2).tolist(),
            "max": rows[:, _SHOWN].max(axis=0).round(2).tolist(),
            "curve": meter.recent(new)[:, Column.HARVEST].astype(int).tolist() if new > 0 else [],
            "map": {
                "pages": heat.slot_pages, "legacy": heat.legacy, "pages_a_cell": heat.pages_a_cell,
                "dirty": _digits(heat.dirty), "clean": _digits(heat.clean),
            },
            "looks_only": looks_only,
        }  # fmt: skip


def _figures(times: NDArray[np.float64]) -> list[int]:
    """Last, p50, p99 and max; all 0 where there are none."""
    if not len(times):
        return [0, 0, 0, 0]
    p50, p99 = np.percentile(times, (50, 99), method="nearest").tolist()
    return [int(times[-1]), int(p50), int(p99), int(times.max())]


def _digits(light: NDArray[np.float32]) -> str:
    r"""Light from 0 to 1 as digits.

    >>> _digits(np.array([0, 1, 0.5, 0, 0.01], np.float32))
    '0f7'
    """
    lights = (light * (LIGHTS - 1)).astype(np.intp)
    return _DIGITS[lights].tobytes().decode().rstrip("0")
