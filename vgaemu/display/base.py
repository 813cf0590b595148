"""BaseDisplay: a display that shows nothing; others say only what they do otherwise.

The loop and the machine know no other kind. An object with `resize`, `update` and `close` alone is
made one by `as_display`, once, where it comes in; nobody behind it asks what a display can do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.events import Event
from vgaemu.display.report import Display, FrameReport, Rect, ScreenInfo
from vgaemu.display.screen import Screen
from vgaemu.errors import DisplayError


class BaseDisplay:
    """Takes every frame and shows nothing."""

    #: Whether `FrameReport.clean_rects` should be worked out; looked at each frame.
    shows_clean_rects: bool = False
    #: Whether there is a user who may close it: then `poll` is not the one that says nothing. Such
    #: a display goes on being shown when the guest has ended.
    can_be_closed: bool = False
    #: Among several displays: whether `update` is called in each frame, by whoever runs frames, who
    #: waits for it; else it has a thread of its own. One that is alone always is: see
    #: `vgaemu.display.displays`.
    in_step: bool = False
    #: Whether it has ended by itself: then it is left out of several.
    is_gone: bool = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "can_be_closed" not in vars(cls):  # else it says so itself
            cls.can_be_closed = cls.poll is not BaseDisplay.poll

    @property
    def shown_by(self) -> object:
        """What came in as the display: this, or the object that it stands for."""
        return self

    @property
    def name(self) -> str:
        """What a line in the log calls it."""
        return type(self.shown_by).__name__

    def watch(self, screen: Screen) -> None:
        """What will be shown, before it is: for displays that ask for more of it than pixels."""

    def resize(self, screen: ScreenInfo) -> None:
        """The picture has another shape; the next `update` covers all of it."""

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        """Show a frame: see `Display.update`."""

    def close(self) -> None:
        """No more frames."""

    def poll(self) -> Iterable[Event]:
        """What the user did since the last time; called once a frame."""
        return ()

    def notice(self, text: str) -> None:
        """Tell the user something, such as where a screenshot went."""

    def stands_still(self, why: str) -> None:
        """The guest takes no keys, and why; an empty string: it goes on."""
        if why:
            self.notice(why)

    def remark(self, text: str) -> None:
        """What goes on besides, and what it costs, for as long as it does; empty: nothing."""

    def pauses(self, on: bool) -> None:
        """A user has stopped the guest, at this display or another one, or lets it go on."""

    def begin_anew(self) -> None:
        """Another machine has it from now on: nothing is paused, no key is down."""

    def capture_mouse(self) -> None:
        """The guest listens to its mouse, which the user asked for: `MouseWanted`."""


class _OwnDisplay(BaseDisplay):
    """A user's object, and nothing for what it does not have."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._poll: Callable[[], Iterable[Event]] | None = getattr(display, "poll", None)
        self.can_be_closed = self._poll is not None
        self._notice: Callable[[str], object] | None = getattr(display, "notice", None)
        self.in_step = bool(getattr(display, "in_step", False))

    @property
    def shown_by(self) -> object:
        return self._display

    @property
    def shows_clean_rects(self) -> bool:
        return bool(getattr(self._display, "shows_clean_rects", False))

    @shows_clean_rects.setter
    def shows_clean_rects(self, shown: bool) -> None:
        raise AttributeError("the user's display says so itself")

    def resize(self, screen: ScreenInfo) -> None:
        self._display.resize(screen)

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        self._display.update(frame, rects, report)

    def close(self) -> None:
        self._display.close()

    def poll(self) -> Iterable[Event]:
        return () if self._poll is None else self._poll()

    def notice(self, text: str) -> None:
        if self._notice is not None:
            self._notice(text)


def as_display(display: Display) -> BaseDisplay:
    """An object with `resize`, `update` and `close` as a whole display; a `BaseDisplay` as it is.

    Raises:
        DisplayError: It has not all three.
    """
    if isinstance(display, BaseDisplay):
        return display
    if not all(callable(getattr(display, has, None)) for has in ("resize", "update", "close")):
        raise DisplayError(
            "display is 'null', 'window', 'terminal', or an object with resize, update and "
            f"close, not {display!r}"
        )
    return _OwnDisplay(display)
