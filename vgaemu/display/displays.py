"""Displays: several that look at one picture, none of which another has to wait for.

What is *in step* (a window, a recorder) is called in every frame by whoever runs frames. All others
have a thread of their own: one that is slow gets, when it is ready, the rectangles of all frames it
missed. Pictures are not copied for it: what it reads while a frame is drawn may be of two frames,
and what was drawn comes as another rectangle, so that it shows the exact picture as soon as the
picture stands.

One that joins late gets the whole picture first. One that raises is closed and left out, with a
line in the log; all others go on.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.base import BaseDisplay
from vgaemu.display.events import Event
from vgaemu.display.rects import MAX_RECTS, merge_rects
from vgaemu.display.report import FrameReport, Rect, ScreenInfo
from vgaemu.display.screen import Screen
from vgaemu.errors import DisplayError

log = logging.getLogger(__name__)

#: Seconds that displays have to show the last picture and close, before they are left behind.
CLOSE_SECONDS = 2.0


def whole(frame: NDArray[np.uint32]) -> list[Rect]:
    """All of a picture."""
    height, width = frame.shape
    return [Rect(0, 0, width, height)]


class Seat(ABC):
    """A place for one display among several."""

    #: Whether the display has raised, and whether it is shown nothing more.
    failed = is_over = False
    #: A frame has been drawn: see `BaseDisplay.update`.
    update: Callable[[NDArray[np.uint32], Sequence[Rect], FrameReport], None]

    def __init__(self, display: BaseDisplay) -> None:
        self.display = display
        #: The shape that it has not been told yet.
        self._news: ScreenInfo | None = None

    def resize(self, screen: ScreenInfo) -> None:
        """The next `update` has another shape."""
        self._news = screen

    def settle(self, until: float) -> bool:
        """Wait until the last frame is shown, but no longer than to a time of `monotonic`."""
        return True

    @abstractmethod
    def close(self, *, let_go: bool = False) -> None:
        """No more frames; a display that is let go stays open."""

    def wait_closed(self, until: float) -> bool:
        """Wait until it has closed, but no longer than to a time of `monotonic`; whether it has."""
        return True

    def fail(self, error: Exception) -> None:
        """Say that it is shown no more, and why, unless that is known; nobody waits for it."""
        level = logging.DEBUG if self.failed else logging.ERROR
        self.failed = self.is_over = True
        log.log(level, "%s is left out: %s: %s", self.display.name, type(error).__name__, error)


class InStepSeat(Seat):
    """The display is called by whoever runs frames, with nothing between where it has no news."""

    def __init__(self, display: BaseDisplay) -> None:
        super().__init__(display)
        self.update = display.update

    def resize(self, screen: ScreenInfo) -> None:
        super().resize(screen)
        self.update = self._update_anew

    def _update_anew(
        self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport
    ) -> None:
        if self._news is not None:
            news, self._news = self._news, None
            self.display.resize(news)
        self.update = self.display.update
        self.update(frame, whole(frame), report)

    def close(self, *, let_go: bool = False) -> None:
        if not let_go:
            self.display.close()

    def fail(self, error: Exception) -> None:
        super().fail(error)
        try:
            self.display.close()
        except Exception as again:
            super().fail(again)


class ThreadSeat(Seat):
    """The display has a thread, which sleeps while nothing is drawn."""

    def __init__(self, display: BaseDisplay) -> None:
        super().__init__(display)
        self._changed = threading.Condition()
        #: What the display has not seen: rectangles, and of which frame.
        self._rects: list[Rect] = []
        self._latest: tuple[NDArray[np.uint32], FrameReport] | None = None
        self._busy = self._closing = self._let_go = False
        self._thread = threading.Thread(
            target=self._run, name=f"vgaemu {display.name}", daemon=True
        )
        self._thread.start()

    def resize(self, screen: ScreenInfo) -> None:
        with self._changed:
            self._news = screen

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        if not rects and self._news is None:
            return
        with self._changed:
            self._rects = [*self._rects, *rects] if self._news is None else whole(frame)
            if len(self._rects) > MAX_RECTS:
                self._rects = merge_rects(self._rects)
            self._latest = frame, report
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while self._show_next():
                pass
        except Exception as error:
            self.fail(error)
        try:
            if not self._let_go:
                self.display.close()
        except Exception as error:
            self.fail(error)
        finally:
            with self._changed:
                self._busy, self._latest = False, None
                self._changed.notify_all()

    def _show_next(self) -> bool:
        """Wait for a picture and show it; False when there will be none."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._latest is not None or self._closing)
            if self._latest is None:
                return False
            (frame, report), rects, news = self._latest, self._rects, self._news
            self._latest, self._rects, self._news, self._busy = None, [], None, True
        if news is not None:
            self.display.resize(news)
        self.display.update(frame, rects, report)
        return True

    def settle(self, until: float) -> bool:
        with self._changed:
            return self._changed.wait_for(
                lambda: self._latest is None and not self._busy, max(0.0, until - monotonic())
            )

    def fail(self, error: Exception) -> None:
        super().fail(error)
        with self._changed:
            self._latest, self._closing = None, True
            self._changed.notify_all()

    def close(self, *, let_go: bool = False) -> None:
        with self._changed:
            self._closing, self._let_go = True, let_go
            self._changed.notify_all()

    def wait_closed(self, until: float) -> bool:
        if self._thread is threading.current_thread():
            return True
        self._thread.join(max(0.0, until - monotonic()))
        return not self._thread.is_alive()


def seat_for(display: BaseDisplay) -> Seat:
    """Where a display belongs that joins others."""
    return InStepSeat(display) if display.in_step else ThreadSeat(display)


def _wait_closed(seats: Iterable[Seat]) -> None:
    """Wait for all of them together, and name those that are left behind."""
    until = monotonic() + CLOSE_SECONDS
    for seat in seats:
        if not seat.wait_closed(until):
            log.warning("%s has not closed within %g s", seat.display.name, CLOSE_SECONDS)


class Displays(BaseDisplay):
    """Several displays as one.

    Args:
        first: One that was alone before: it stays in step, and what it raises is not kept from
            whoever runs frames.
        shape: What it was told last; None: nothing yet.
    """

    def __init__(self, first: BaseDisplay | None = None, shape: ScreenInfo | None = None) -> None:
        self._shape = shape
        self._first = first
        #: Guards who sits there, which is never changed but replaced.
        self._door = threading.Lock()
        self._seats: list[Seat] = [] if first is None else [InStepSeat(first)]

    def add(self, display: BaseDisplay) -> None:
        """Let another one look, from the next frame on.

        Raises:
            DisplayError: It is there already.
        """
        if any([seat.display.shown_by is display.shown_by for seat in self._seats]):
            raise DisplayError(f"{display.shown_by!r} is among the displays already")
        seat = seat_for(display)
        if self._shape is not None:
            seat.resize(self._shape)
        with self._door:
            self._seats = [*self._seats, seat]

    def remove(self, display: object, *, close: bool = True) -> None:
        """Close one, by what came in as it, or only let it go, and let the others go on.

        Raises:
            DisplayError: It is none of them.
        """
        for seat in self._seats:
            if seat.display.shown_by is display:
                self._leave_out(seat)
                seat.close(let_go=not close)
                _wait_closed([seat])
                return
        raise DisplayError(f"{display!r} is not among the displays, or not any more")

    def _leave_out(self, seat: Seat) -> None:
        seat.is_over = True
        with self._door:
            self._seats = [other for other in self._seats if other is not seat]

    def _failed(self, seat: Seat, error: Exception) -> None:
        """One that is not the first has raised: say so, and go on without it."""
        if seat.display is self._first:
            raise error
        seat.fail(error)
        self._leave_out(seat)

    @property
    def shows_clean_rects(self) -> bool:
        return any([seat.display.shows_clean_rects for seat in self._seats])

    @shows_clean_rects.setter
    def shows_clean_rects(self, shown: bool) -> None:
        raise AttributeError("each display says so itself")

    @property
    def can_be_closed(self) -> bool:
        return any([seat.display.can_be_closed for seat in self._seats])

    @can_be_closed.setter
    def can_be_closed(self, can_be: bool) -> None:
        raise AttributeError("each display says so itself")

    def watch(self, screen: Screen) -> None:
        for seat in self._seats:
            seat.display.watch(screen)

    def resize(self, screen: ScreenInfo) -> None:
        self._shape = screen
        for seat in self._seats:
            seat.resize(screen)

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        for seat in self._seats:
            # Its thread has said so, it was removed in this very frame, or has ended by itself.
            if seat.is_over or seat.display.is_gone:
                self._leave_out(seat)
                continue
            try:
                seat.update(frame, rects, report)
            except Exception as error:
                self._failed(seat, error)

    def poll(self) -> Iterable[Event]:
        events: list[Event] = []
        self._each(lambda display: events.extend(display.poll()))
        return events

    def notice(self, text: str) -> None:
        self._each(lambda display: display.notice(text))

    def stands_still(self, why: str) -> None:
        self._each(lambda display: display.stands_still(why))

    def remark(self, text: str) -> None:
        self._each(lambda display: display.remark(text))

    def pauses(self, on: bool) -> None:
        self._each(lambda display: display.pauses(on))

    def capture_mouse(self) -> None:
        self._each(lambda display: display.capture_mouse())

    def _each(self, do: Callable[[BaseDisplay], None]) -> None:
        for seat in self._seats:
            try:
                do(seat.display)
            except Exception as error:
                self._failed(seat, error)

    def settle(self, seconds: float) -> bool:
        """Wait until each shows the last frame; False if one does not within so many seconds."""
        until = monotonic() + seconds
        return all([seat.settle(until) for seat in self._seats])

    def close(self) -> None:
        seats, self._seats = self._seats, []
        raised: Exception | None = None
        for seat in seats:
            try:
                seat.close()
            except Exception as error:
                if seat.display is self._first:
                    raised = error
                else:
                    log.error("%s: closing it: %s", seat.display.name, error)
        _wait_closed(seats)
        if raised is not None:
            raise raised
