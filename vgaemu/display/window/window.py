"""The window: shows the picture with pygame, sends keys, and draws the panel and the outlines.

It draws and presents only what changed. It knows neither VRAM nor the log: all it shows it was
told. Its own keys are in `vgaemu.display.hostkeys`; every other key goes to the guest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import monotonic_ns
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.base import BaseDisplay
from vgaemu.display.events import (
    Close,
    CopyText,
    Event,
    FileDropped,
    LoadState,
    MouseWanted,
    Paste,
    Rewinding,
    SaveState,
    Turbo,
)
from vgaemu.display.hostkeys import HostKey, WindowChange, combination_of, keys_in_title
from vgaemu.display.report import FrameReport, Rect, ScreenInfo
from vgaemu.display.viewport import Aspect, Size, Viewport
from vgaemu.display.window.keymap import WindowKeyboard
from vgaemu.display.window.layout import PanelWish, Wishes, first_size, lay_out, shape
from vgaemu.display.window.mouse import MOUSE_EVENTS, HostMouse, joined
from vgaemu.display.window.notice import Notice
from vgaemu.display.window.outlines import Outlines
from vgaemu.display.window.sdl import (
    SdlWindow,
    clipboard_text,
    present,
    put_into_clipboard,
    pygame,
    rgb,
    tint,
)
from vgaemu.display.window.views import PanelView, Picture
from vgaemu.errors import DisplayError
from vgaemu.keys.queue import Key


@dataclass(frozen=True)
class _Stage:
    """What there is from the first `resize` on: an open window, and the picture's place in it."""

    info: ScreenInfo
    surface: pygame.Surface
    #: Of the window, as it was laid out: the surface takes any other at once.
    size: Size
    viewport: Viewport


class WindowDisplay(BaseDisplay):
    """Shows the picture in a resizable window, by default 4:3 as a VGA monitor does.

    The picture is enlarged by repeating whole pixels; see `vgaemu.display.viewport.scaled_size` for
    the sizes, and `vgaemu.display.window.layout` for the panel's place. All methods belong to the
    main thread.
    """

    in_step = True

    def __init__(
        self,
        *,
        scale: int | None = None,
        aspect: Aspect = "auto",
        panel: bool = True,
        outlines: bool = False,
        fullscreen: bool = False,
        border: int = 0,
        title: str = "vgaemu",
    ) -> None:
        """Find a display; the window opens with the first picture.

        Args:
            scale: Window pixels that a column of the picture takes; by default as many as fit.
            aspect: ``auto``: 4:3 as a VGA monitor, text in the whole steps nearest to it;
                ``square``: a pixel as high as it is wide; ``4:3``: exactly that, smoothed.
            panel: Show the panel from the start, if the picture is not smaller for it.
            outlines: Show from the start what was redrawn, and the clean pages taken along.
            fullscreen: Start without a frame, on the whole screen.
            border: Window pixels of the overscan colour (AR11) to keep around the picture.
            title: First word of the window's title.

        Raises:
            DisplayError: There is no display, no pygame that works, or no such aspect.
        """
        if aspect not in get_args(Aspect):
            raise DisplayError(f"aspect is auto, square or 4:3, not {aspect!r}")
        #: Whether the loop should work out clean rectangles: only outlines show them.
        self.shows_clean_rects = outlines
        self._wishes = Wishes(scale, aspect, border)
        self._panel_wish = PanelWish.IF_FREE if panel else PanelWish.HIDDEN
        self._title = title
        self._notice = Notice()
        #: Why the guest takes no keys.
        self._stands = ""
        self._paused = self._turbo = False
        self._polled = False
        self._all_stale = True
        self._keyboard = WindowKeyboard()
        self._mouse = HostMouse()
        self._panel = PanelView()
        self._outlines = Outlines()
        self._stage: _Stage | None = None
        #: None until a frame of the stage's shape has come.
        self._picture: Picture | None = None
        self._sdl = SdlWindow(fullscreen=fullscreen)

    def begin_anew(self) -> None:
        """Another machine's pictures come from now on; the window stays as it is."""
        self._keyboard.release_all()
        self._free_mouse()
        self._paused = self._turbo = False
        self._stands = self._panel.remark = ""
        self._panel.meter.restart_clock()
        self._show_title()

    @property
    def viewport(self) -> Viewport:
        """Where the picture lies.

        Raises:
            DisplayError: There was no `resize` yet.
        """
        if self._stage is None:
            raise DisplayError("a window has no size before its first picture")
        return self._stage.viewport

    @property
    def panel_place(self) -> Rect:
        """Where the panel lies; of no area while it is not shown."""
        return self._panel.place

    @property
    def panel_ns(self) -> int:
        """What drawing and presenting the panel took the last time."""
        return self._panel.cost_ns

    def resize(self, screen: ScreenInfo) -> None:
        """Take the picture's shape; the window takes a size that suits it.

        Raises:
            DisplayError: No window of that size can be opened.
        """
        self._panel.meter.reshape(screen)
        self._outlines.clear()
        stage = self._stage
        if stage is None or shape(stage.info) != shape(screen):
            self._picture = None
            self._open(screen)
        else:
            self._stage = replace(stage, info=screen)
        self._all_stale = True
        self._show_title()

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        """Draw and present what changed; the panel is left to `poll`, outside of this time."""
        stage, picture = self._stage, self._picture
        if stage is None:
            return
        if picture is None or frame is not picture.frame:
            if self._sdl.closed:
                return
            picture = self._picture = Picture(frame, stage.surface, stage.viewport)
            self._all_stale = True
        if self._panel.place.area:  # hidden, it costs nothing, and begins anew when it is shown
            self._panel.meter.note(report, len(rects))
            self._panel.stale = True
        if self._all_stale:
            self._paint_all(stage)
        elif self.shows_clean_rects:
            touched = self._outlines.next_frame(rects, report.clean_rects)
            # Outlines lie on pixels that did not change: those come back from the frame first.
            places = picture.paint(touched)
            self._draw_outlines(stage)
            self._notice.blit(stage.surface, stage.viewport)
            present(places)
        elif rects:
            places = picture.paint(rects)
            self._notice.blit(stage.surface, stage.viewport)
            present(places)
        if not self._polled:
            # A script that calls `Machine.tick` never polls: keep its window alive.
            pygame.event.pump()
            self._follow_window()
            self._end_notice_if_due()
            self._draw_panel_if_due()
        self._polled = False

    def close(self) -> None:
        if not self._sdl.closed:
            self._sdl.close()
            self._picture = None

    def _open(self, info: ScreenInfo) -> None:
        """Open the window, or give it the size that suits the picture, and lay it out."""
        natural = first_size(info, self._sdl.desktop, self._wishes, self._panel_wish)
        asked = self._wishes.scale is not None or self._wishes.border
        advice = "take a smaller scale or border" if asked else "try --headless"
        self._lay_out(info, self._sdl.open(natural, advice))

    def _lay_out(self, info: ScreenInfo, surface: pygame.Surface) -> None:
        """Find the places of picture and panel in the window as it is now."""
        exact = self._sdl.user_size is None and not self._sdl.fullscreen
        size = surface.get_size()
        layout = lay_out(info, size, self._wishes, self._panel_wish, exact=exact)
        viewport = layout.viewport
        self._panel.move(layout.panel, layout.panel_scale)
        self._notice.move()
        if self._picture is not None:
            self._picture = Picture(self._picture.frame, surface, viewport)
        self._stage = _Stage(info, surface, size, viewport)
        self._all_stale = True

    def _refit(self) -> None:
        if self._stage is not None:
            self._open(self._stage.info)
            self._panel.hurry()

    def _follow_window(self) -> None:
        """The user, or the desktop, may have given the window another size."""
        if self._stage is not None:
            surface = self._sdl.resized(self._stage.size)
            if surface is not None:
                self._lay_out(self._stage.info, surface)

    def _paint_all(self, stage: _Stage) -> None:
        """Draw border, picture and panel, and present the whole window."""
        self._all_stale = False
        stage.surface.fill(rgb(stage.info.border_colour))
        if self._picture is not None:
            self._picture.paint_all()
            if self.shows_clean_rects:
                self._draw_outlines(stage)
        self._panel.blit(stage.surface)
        self._notice.blit(stage.surface, stage.viewport)
        pygame.display.flip()

    def _draw_outlines(self, stage: _Stage) -> None:
        for place, colour, alpha in self._outlines.marks(stage.viewport):
            tint(stage.surface, place, colour, alpha)

    def _draw_panel_if_due(self) -> None:
        stage = self._stage
        if stage is not None and self._panel.stale:
            status = (self._paused, self._turbo, self.shows_clean_rects, self._stands)
            self._panel.draw_if_due(monotonic_ns(), stage.surface, stage.info, *status)

    def _show_title(self) -> None:
        if self._stage is not None and not self._sdl.closed:
            stands = "PAUSED" if self._paused else "TURBO" if self._turbo else self._stands
            parts = (self._title, self._stage.info.mode_name, stands)
            said = self._notice.text
            frees = (WindowChange.MOUSE,) if self._mouse.captured else ()
            rest = said if said and said != self._stands else keys_in_title(*frees)
            pygame.display.set_caption(" - ".join(filter(None, (*parts, rest))))

    def notice(self, text: str) -> None:
        """Say something over the picture and in the title for a while."""
        if self._notice.say(text, monotonic_ns()):
            self._all_stale = True
            self._show_title()

    def pauses(self, on: bool) -> None:
        """Say so in the title and the panel."""
        if on != self._paused:
            self._paused = on
            self._panel.meter.restart_clock()
            self._panel.hurry()
            self._show_title()

    def remark(self, text: str) -> None:
        """Say it in the panel."""
        self._panel.remark = text

    def stands_still(self, why: str) -> None:
        """Say it for a while, and in title and panel until the guest goes on."""
        self._stands = why
        self._panel.hurry()
        self.notice(why)
        self._show_title()

    def _end_notice_if_due(self) -> None:
        if self._notice.is_over(monotonic_ns()):
            self.notice("")

    def poll(self) -> list[Event]:
        """What the user did since the last time; also draws the panel, if it is due."""
        if self._sdl.closed:
            return []
        self._polled = True
        events: list[Event] = []
        for event in pygame.event.get():
            events += self._answer(event)
        self._end_notice_if_due()
        if self._stage is not None and self._picture is not None and self._all_stale:
            self._paint_all(self._stage)
        self._draw_panel_if_due()
        return joined(events) if self._mouse.captured else events

    def _answer(self, event: pygame.event.Event) -> Sequence[Event]:
        """Do what the user wants of the window, and say what concerns the machine."""
        match event.type:
            case pygame.QUIT:
                return [Close()]
            case pygame.VIDEORESIZE:
                self._follow_window()
            case pygame.VIDEOEXPOSE:
                self._all_stale = True
            case pygame.WINDOWFOCUSLOST:
                released = self._keyboard.release_all()
                return [*self._free_mouse(), *(did for one in released for did in self._do(one))]
            case pygame.KEYDOWN | pygame.KEYUP:
                return self._answer_key(event)
            case pygame.DROPFILE:
                return [FileDropped(event.file)]
            case _ if event.type in MOUSE_EVENTS:
                return self._answer_mouse(event)
        return []

    def _answer_key(self, event: pygame.event.Event) -> Sequence[Event]:
        did: Key | HostKey | Event | None
        if event.type == pygame.KEYDOWN:
            did = self._keyboard.press(event.key, event.mod, event.unicode)
        else:
            did = self._keyboard.release(event.key)
        if isinstance(did, HostKey):
            return self._do(did.does)
        return self._do(did) if did is not None else []

    def _answer_mouse(self, event: pygame.event.Event) -> Sequence[Event]:
        if self._mouse.captured:
            return self._mouse.answer(event)
        is_click = event.type == pygame.MOUSEBUTTONDOWN and event.button == pygame.BUTTON_LEFT
        if is_click and self._stage is not None and self._stage.viewport.holds(event.pos):
            return [MouseWanted(by_click=True)]
        return []

    def _do(self, what: WindowChange | Event) -> list[Event]:
        """Do what a key of the window's own is for."""
        match what:
            case WindowChange():
                return self._change(what)
            case Turbo():
                self._turbo = what.on
                self._panel.hurry()
                self._show_title()
                # A key that was held in turbo has repeated, for the guest, for long.
                return [*([] if what.on else self._keyboard.release_guests()), what]
            case SaveState() | LoadState() | Rewinding():
                # The guest sees those of the combination go up: a state has no keys held.
                return [*self._keyboard.release_guests(), what]
            case _:
                return [what]

    def _change(self, what: WindowChange) -> list[Event]:
        """Do what concerns the window alone, or what it asks its system for."""
        match what:
            case WindowChange.PANEL:
                shown = self._panel.place.area > 0
                self._panel_wish = PanelWish.HIDDEN if shown else PanelWish.SHOWN
                self._panel.meter.restart_clock()
                self._refit()
            case WindowChange.FULL_SCREEN:
                self._sdl.fullscreen = not self._sdl.fullscreen
                self._refit()
            case WindowChange.OUTLINES:
                self.shows_clean_rects = not self.shows_clean_rects
                self._outlines.clear()
                self._all_stale = True
                self._panel.hurry()
            case WindowChange.MOUSE:
                return self._free_mouse() if self._mouse.captured else [MouseWanted()]
            case WindowChange.PASTE:
                return [*self._keyboard.release_guests(), Paste(clipboard_text())]
            case WindowChange.COPY:
                return [CopyText(put_into_clipboard)]
        return []

    def capture_mouse(self) -> None:
        if not self._mouse.captured and not self._sdl.closed:
            self._mouse.capture()
            self.notice(f"the mouse is the guest's; {combination_of(WindowChange.MOUSE)} frees it")

    def _free_mouse(self) -> list[Event]:
        released = self._mouse.let_go(visible=not self._sdl.fullscreen)
        self._show_title()
        return released
