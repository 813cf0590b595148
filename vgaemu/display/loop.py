"""The display loop: harvest, spans, rectangles, pixels, present, record. One frame at a time.

Nothing here calls back into the guest or the log while it draws; each step's time is its own.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.base import BaseDisplay, as_display
from vgaemu.display.displays import Displays
from vgaemu.display.report import Display, FrameReport, ScreenInfo
from vgaemu.display.screen import Screen
from vgaemu.display.stats import Stats
from vgaemu.display.work import Watch
from vgaemu.errors import DisplayError, MemslotError
from vgaemu.memslot.bitmap import SpanPages
from vgaemu.vga.device import Vga
from vgaemu.vga.scanout import Redraw

#: Pages looked at as one word when spans are taken. 64 is the 2012 patch; legacy VRAM is then a
#: single word, and two far-apart dirty pages redraw everything between (`vgaemu bench frame`).
DEFAULT_SPAN_PAGES: SpanPages = 8


def check_span_pages(span_pages: int) -> None:
    """Find out whether a `DisplayLoop` can be made with it.

    Raises:
        MemslotError: It is no width of words.
    """
    if span_pages not in get_args(SpanPages):
        raise MemslotError(f"span_pages is 64, 32, 16 or 8, not {span_pages!r}")


class DisplayLoop:
    """Brings a screen to a display, a frame at a time.

    Args:
        vga: The device to look at; its VRAM's dirty log gets a subscriber.
        display: Who shows it: an object with `resize`, `update` and `close`.
        span_pages: Word width of the ffs..fls spans: 64, 32, 16 or 8 pages.
        border: Show the border around the picture, too.
    """

    def __init__(
        self,
        vga: Vga,
        display: Display,
        *,
        span_pages: SpanPages = DEFAULT_SPAN_PAGES,
        border: bool = False,
    ) -> None:
        self.screen = Screen(vga, border=border)
        self.stats = Stats()
        self.span_pages = span_pages
        self.frames = 0
        #: Added to `frames` for blinking: a loaded state goes on blinking where it was saved.
        self.frame_offset = 0
        self._display = as_display(display)
        self._display.watch(self.screen)
        self._palette: NDArray[np.uint32] | None = None
        self._slot = vga.slot
        self._watch = Watch(vga.slot)
        self._nothing_dirty = vga.slot.nothing_dirty
        self._log = vga.slot.subscribe()
        self._shape: ScreenInfo | None = None
        self._present_ns = 0
        self._closed = False

    def draw_frame(self) -> FrameReport:
        """Harvest, draw what changed, present it, and say what it cost."""
        try:
            begin = perf_counter_ns()
            log = self._log.get_dirty_log()
            harvested = perf_counter_ns()
            # The log is cleared before VRAM is read: a store that comes now is in the next log.
            spans = [] if log is self._nothing_dirty else log.spans(self.span_pages)
            rects, redraw = self.screen.refresh(self.frames + self.frame_offset, spans)
            drawn = perf_counter_ns()
            if redraw is not None and redraw is not Redraw.CELLS:
                self._palette = self.screen.palette
                info = self.screen.info
                if info != self._shape:
                    self._shape = info
                    self._display.resize(info)
            # Without keywords: they would be a tenth of what an idle frame costs.
            report = FrameReport(
                self.frames,
                harvested - begin,
                drawn - harvested,
                self._present_ns,
                log,
                spans,
                rects,
                self._watch.look(log is self._nothing_dirty),
                self._slot.keeper.compared_ns,
                "" if redraw is None else redraw.value,
                self.screen.clean_rects(log, spans)
                if spans and self._display.shows_clean_rects
                else (),
                self._palette,
            )
            present = perf_counter_ns()
            self._display.update(self.screen.frame, rects, report)
            self._present_ns = perf_counter_ns() - present
            self.stats.record(report, self._present_ns)
            self.frames += 1
            return report
        except BaseException:
            # What was harvested may not be drawn, and what was drawn not shown.
            self.screen.forget()
            self._shape = None
            raise

    def pass_frame(self) -> None:
        """Draw a frame that nobody is shown; `Screen.invalidate` before one that is."""
        spans = self._log.get_dirty_log().spans(self.span_pages)
        self.screen.refresh(self.frames + self.frame_offset, spans)
        self.frames += 1

    @property
    def display(self) -> BaseDisplay:
        """Who looks; `Displays` where several do."""
        return self._display

    def add_display(self, display: Display) -> None:
        """Let another one look: see `vgaemu.display.displays`.

        Raises:
            DisplayError: It has not `resize`, `update` and `close`, or is there already; or nothing
                more is shown.
        """
        self.refuse_if_closed()
        added = as_display(display)
        added.watch(self.screen)
        if not isinstance(self._display, Displays):
            self._display = Displays(self._display, self._shape)
        self._display.add(added)

    def refuse_if_closed(self) -> None:
        """Find out whether another one may look.

        Raises:
            DisplayError: Nothing more is shown.
        """
        if self._closed:
            raise DisplayError("the machine is closed: there is nothing more to look at")

    def remove_display(self, display: Display, *, close: bool = True) -> None:
        """Close one, or only let it go, and let the others go on.

        Raises:
            DisplayError: It is not there.
        """
        if isinstance(self._display, Displays):
            self._display.remove(display, close=close)
        elif self._display.shown_by is display:
            alone, self._display = self._display, BaseDisplay()
            if close:
                alone.close()
        else:
            raise DisplayError(f"{display!r} is not the display")

    def settle(self, seconds: float) -> bool:
        """Wait until each display shows the last frame, at most so long; whether they do."""
        return not isinstance(self._display, Displays) or self._display.settle(seconds)

    def close(self) -> None:
        """Close the display and stop listening to the log."""
        self._closed = True
        self._log.close()
        self._display.close()
