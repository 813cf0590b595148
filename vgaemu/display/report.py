"""What the display loop tells a display: the screen's shape, and what a frame cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.work import FAULTS, Kept, total
from vgaemu.memslot.bitmap import Span
from vgaemu.memslot.keeper import Counters
from vgaemu.memslot.log import DirtyLog
from vgaemu.vga.render import Rect as Rect


@dataclass(frozen=True)
class ScreenInfo:
    """The shape of the picture; it changes only through `Display.resize`."""

    #: Logical pixels: mode 13h is 320x200.
    width: int
    height: int
    #: Width to height of the picture on the monitor: 4/3 for BIOS modes, width/height for DISPI;
    #: see `vgaemu.vga.monitor`.
    aspect: float
    #: 0x00RRGGBB around the picture (AR11).
    border_colour: int
    #: ``text 80x25``, ``320x200x256``.
    mode_name: str
    #: Pages of VRAM, for a map of them, and who kept its dirty log then; `FrameReport` goes on.
    slot_pages: int
    dirty_log: str
    #: Whether it is made of characters, whose strokes should stay equally thick.
    is_text: bool
    #: Frames a second that the CRTC is programmed for: 70.09 in most VGA modes.
    refresh_hz: float = 60.0


@dataclass(slots=True)
class FrameReport:
    """What one frame cost. Times are nanoseconds, measured apart."""

    #: Number of the frame, which blinking follows.
    frame_number: int
    #: From asking for the dirty log until the snapshot is in hand: the figure of the 2012 patch.
    harvest_ns: int
    #: Spans to rectangles, and VRAM to pixels.
    render_ns: int
    #: `Display.update` of the frame *before*: this one is not presented yet.
    present_ns: int
    #: What was harvested, and the spans taken from it (half-open page ranges, ffs..fls).
    log: DirtyLog
    spans: Sequence[Span]
    #: What was drawn.
    rects: Sequence[Rect]
    #: Who kept the log, with the counters around this harvest; more than one are compared, and
    #: these are their own harvests' times, in nanoseconds.
    kept: Sequence[Kept]
    compared_ns: Sequence[int]
    #: Why more than dirty pages was drawn: ``resize``, ``everything``, ``cells``, or empty.
    redraw: str
    #: Drawn only because clean pages lay inside a span; worked out for displays that have a true
    #: attribute ``shows_clean_rects``.
    clean_rects: Sequence[Rect] = ()
    #: Colours by number that the frame was drawn with, (n,) uint32 0x00RRGGBB, n at most 256: see
    #: `vgaemu.display.indexed.Indexer`. None where pixels are colours themselves.
    palette: NDArray[np.uint32] | None = None

    @property
    def dirty_log(self) -> str:
        """Name of the keeper at this harvest."""
        return "+".join([kept.dirty_log for kept in self.kept])

    @property
    def keeper_work(self) -> Counters:
        """What the keeper did since the frame before, that harvest included: worked out when asked.

        Of keepers that are compared, it is the sum.
        """
        return total([kept.work for kept in self.kept])

    @property
    def harvests_ns(self) -> Sequence[int]:
        """What it took, for each of `kept`."""
        return self.compared_ns or (self.harvest_ns,)

    @property
    def faults(self) -> int:
        """Write faults guests took since the frame before."""
        return max([kept.after[FAULTS] - kept.before[FAULTS] for kept in self.kept], default=0)

    @property
    def dirty_pages(self) -> NDArray[np.intp]:
        """Pages that the log named, ascending: (count,) intp, worked out when asked."""
        return self.log.pages()

    @property
    def pixels(self) -> int:
        """Pixels drawn."""
        return sum([rect.area for rect in self.rects])

    @property
    def span_pages(self) -> int:
        """Pages in the spans, clean ones taken along included."""
        return sum([end - start for start, end in self.spans])


@runtime_checkable
class Display(Protocol):
    """Who looks. A user's object with these three methods is a display.

    `vgaemu.BaseDisplay` names what one may have besides, and does nothing for all of it.
    """

    def resize(self, screen: ScreenInfo) -> None:
        """The picture has another shape; the next `update` covers all of it."""

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        """Show a frame; called every frame, also when nothing changed.

        Args:
            frame: (height, width) uint32 0x00RRGGBB, row-major: the whole picture, a view that
                the next frame overwrites.
            rects: What changed since the update before; may be empty.
            report: What the frame cost.
        """

    def close(self) -> None:
        """No more frames."""
