"""The window: shows the picture with pygame, sends keys, and draws the panel and the outlines.

The only module that imports pygame, and it uses what pygame and pygame-ce have in common. It draws
and presents only what changed. It knows neither VRAM nor the log: all it shows it was told.

Keys: see `HOST_KEYS`; all of them have a modifier, every other key goes to the guest.
"""

from __future__ import annotations

import math
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from time import monotonic_ns, perf_counter_ns
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.base import BaseDisplay
from vgaemu.display.panel.panel import (
    BELOW_HEIGHT,
    BESIDE_WIDTHS,
    CLEAN,
    DIRTY,
    MIN_BESIDE_HEIGHT,
    MIN_WIDTH,
    PAPER,
    Meter,
    Panel,
    Status,
)
from vgaemu.display.report import (
    Close,
    Event,
    FrameReport,
    PauseToggled,
    Rect,
    ScreenInfo,
    Screenshot,
    SingleStep,
)
from vgaemu.display.viewport import Size, Viewport, fitted_size, is_text, scaled_size
from vgaemu.errors import DisplayError
from vgaemu.keys.key import Key
from vgaemu.vga.font import bundled_font

# Read by SDL and pygame when they start; what the user has set wins.
for _name, _value in {
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
    # Without a GPU SDL presents through a texture: 1084 us a text cell at 640x480 against 7.7 us.
    "SDL_FRAMEBUFFER_ACCELERATION": "0",
    # A window that grows stays on the desktop.
    "SDL_VIDEO_CENTERED": "1",
    # What desktops group windows by, else "__main__.py".
    "SDL_VIDEO_X11_WMCLASS": "vgaemu",
    "SDL_VIDEO_WAYLAND_WMCLASS": "vgaemu",
    # Ctrl-C in the terminal is Python's.
    "SDL_NO_SIGNAL_HANDLERS": "1",
}.items():
    os.environ.setdefault(_name, _value)


def check_pygame(version_of: Callable[[str], str] = version) -> None:
    """Find out whether pygame can be imported at all.

    Args:
        version_of: Version of an installed distribution.

    Raises:
        DisplayError: None is installed, or both are: they share one folder and break each other.
    """
    installed = []
    for name in ("pygame", "pygame-ce"):
        try:
            version_of(name)
        except PackageNotFoundError:
            continue
        installed.append(name)
    if len(installed) == 2:
        raise DisplayError(
            "pygame and pygame-ce are both installed and overwrite each other; run "
            "'pip uninstall pygame pygame-ce', then 'pip install pygame-ce'"
        )


check_pygame()
try:
    import pygame
except ImportError as error:
    raise DisplayError(
        f"pygame cannot be imported ({error}); run 'pip install pygame' "
        "('pygame-ce' from Python 3.14 on), or use --headless"
    ) from None

#: Between two drawings of the panel: 10 a second.
PANEL_PERIOD_NS = 100_000_000
#: Where Linux says that there is a screen.
SCREENS = {"DISPLAY", "WAYLAND_DISPLAY"}
#: Rectangles presented one by one; measured under X11, 64 of them cost half as much again as one,
#: other systems are worse. Beyond, the one around them.
MAX_PRESENTED = 32
#: Frames that an outline takes to fade.
FADE_FRAMES = 20
#: Outlines that live at once; beyond, the oldest go.
MAX_OUTLINES = 128
#: How much of a fresh tint of clean pages covers the picture, of 255.
TINT_ALPHA = 64
#: What the desktop takes for a title bar and a task bar.
DESKTOP_MARGIN = (16, 80)
#: A window that changes its size this soon after it was given one was not sized by the user.
SETTLING_NS = 500_000_000
#: How long the title tells where a screenshot went.
NOTICE_NS = 3_000_000_000
#: Pixels of width and height that the panel must leave to the picture, or it is not shown.
MIN_PICTURE = 100
#: A held key types again after, and every (milliseconds).
KEY_REPEAT = (400, 40)

#: Memory order of a uint32 0x00RRGGBB.
PIXEL_FORMAT: Literal["BGRA", "ARGB"] = "BGRA" if sys.byteorder == "little" else "ARGB"

_CTRL, _ALT = pygame.KMOD_CTRL, pygame.KMOD_ALT

#: Modifier, key, and the window's method.
HOST_KEYS: tuple[tuple[int, int, str], ...] = (
    (_CTRL, pygame.K_F3, "_toggle_panel"),
    (_CTRL, pygame.K_F4, "_toggle_outlines"),
    (_CTRL, pygame.K_F5, "_screenshot"),
    (_CTRL, pygame.K_F6, "_pause"),  # not every keyboard has a Pause key
    (_ALT, pygame.K_PAUSE, "_pause"),
    (_CTRL, pygame.K_F7, "_step"),
    (_CTRL, pygame.K_F9, "_quit"),
    (_ALT, pygame.K_RETURN, "_toggle_fullscreen"),
    (_ALT, pygame.K_KP_ENTER, "_toggle_fullscreen"),
)
#: The same for people: key, and what it does in more and in fewer words.
KEY_HELP = (
    ("Ctrl+F3", "panel", "panel"),
    ("F4", "outlines", "outlines"),
    ("F5", "screenshot", "shot"),
    ("F6", "pause", "pause"),
    ("F7", "one frame", "step"),
    ("F9", "quit", "quit"),
    ("Alt+Enter", "full screen", "full"),
)

#: Keys with a name of their own, and what they type: see `vgaemu.keys.queue`.
KEY_NAMES: dict[int, tuple[str, str]] = {
    pygame.K_RETURN: ("enter", "\n"),
    pygame.K_KP_ENTER: ("enter", "\n"),
    pygame.K_TAB: ("tab", "\t"),
    pygame.K_BACKSPACE: ("backspace", "\b"),
    pygame.K_ESCAPE: ("esc", "\x1b"),
    pygame.K_LEFT: ("left", ""),
    pygame.K_RIGHT: ("right", ""),
    pygame.K_UP: ("up", ""),
    pygame.K_DOWN: ("down", ""),
    pygame.K_HOME: ("home", ""),
    pygame.K_END: ("end", ""),
    pygame.K_PAGEUP: ("pageup", ""),
    pygame.K_PAGEDOWN: ("pagedown", ""),
    pygame.K_INSERT: ("insert", ""),
    pygame.K_DELETE: ("delete", ""),
    pygame.K_LSHIFT: ("shift", ""),
    pygame.K_RSHIFT: ("shift", ""),
    pygame.K_LCTRL: ("ctrl", ""),
    pygame.K_RCTRL: ("ctrl", ""),
    pygame.K_LALT: ("alt", ""),
    pygame.K_RALT: ("alt", ""),
    pygame.K_CAPSLOCK: ("capslock", ""),
    pygame.K_NUMLOCK: ("numlock", ""),
    pygame.K_SCROLLOCK: ("scrolllock", ""),
    pygame.K_PAUSE: ("pause", ""),
    pygame.K_PRINT: ("print", ""),
    pygame.K_MENU: ("menu", ""),
} | {getattr(pygame, f"K_F{n}"): (f"f{n}", "") for n in range(1, 13)}
#: The keypad types digits, or moves where the host's NumLock is off and it types nothing.
KEYPAD_NAMES: dict[int, str] = {
    pygame.K_KP7: "home", pygame.K_KP8: "up", pygame.K_KP9: "pageup",
    pygame.K_KP4: "left", pygame.K_KP6: "right",
    pygame.K_KP1: "end", pygame.K_KP2: "down", pygame.K_KP3: "pagedown",
    pygame.K_KP0: "insert", pygame.K_KP_PERIOD: "delete",
}  # fmt: skip
#: Characters whose keys have a name.
CHARACTER_NAMES = {" ": "space", ",": "comma", ":": "colon", "-": "minus", "+": "plus"}
_MODIFIERS = frozenset(["shift", "ctrl", "alt", "capslock", "numlock", "scrolllock"])


def key_name(key: int, text: str) -> tuple[str, str] | None:
    """The guest's name of a pygame key, and what it types; None for keys that have no name.

    Args:
        key: ``event.key``.
        text: ``event.unicode``.
    """
    if key in KEY_NAMES:
        return KEY_NAMES[key]
    if key in KEYPAD_NAMES and not text:
        return KEYPAD_NAMES[key], ""
    if len(text) == 1 and text.isprintable():
        return CHARACTER_NAMES.get(text, text), text
    # With Ctrl held, ``unicode`` is a control character or nothing: the key itself has the name.
    if 0x20 <= key < 0x7F:
        return CHARACTER_NAMES.get(chr(key), chr(key)), text
    return None


class WindowDisplay(BaseDisplay):
    """Shows the picture in a resizable window, by default 4:3 as a VGA monitor does.

    The picture is enlarged by repeating whole pixels; see `vgaemu.display.viewport.scaled_size` for
    the sizes. The panel lies below it, or beside it where that leaves the picture more room, and
    never on it. All methods belong to the main thread.
    """

    #: Answers the window that was made last, while somebody has it.
    _newest: ClassVar[Callable[[], WindowDisplay | None]] = staticmethod(lambda: None)

    def __init__(
        self,
        *,
        scale: int | None = None,
        square_pixels: bool = False,
        panel: bool = True,
        fullscreen: bool = False,
        border: int = 0,
        title: str = "vgaemu",
    ) -> None:
        """Find a display; the window opens with the first picture.

        Args:
            scale: Window pixels that a column of the picture takes; by default as many as fit.
            square_pixels: Show a pixel as high as it is wide, whatever a VGA monitor does.
            panel: Show the panel from the start.
            fullscreen: Start without a frame, on the whole screen.
            border: Window pixels of the overscan colour (AR11) to keep around the picture.
            title: First word of the window's title.

        Raises:
            DisplayError: There is no display, or no pygame that works.
        """
        #: Whether the loop should work out clean rectangles: only outlines show them.
        self.shows_clean_rects = False
        #: What drawing and presenting the panel took the last time.
        self.panel_ns = 0
        self._scale = scale
        self._square = square_pixels
        self._panel_shown = panel
        # Switching the panel on and off leaves the picture's size alone.
        self._panel_reserved = panel
        self._fullscreen = fullscreen
        self._border = border
        self._title = title
        self._paused = False
        self._closed = False
        self._notice, self._notice_until_ns = "", 0
        #: Sized by the user (or a tiling desktop): then the picture fits the window.
        self._user_sized = False
        self._user_size: Size = (0, 0)
        #: When and how the window was last sized from here, and the size that was laid out.
        self._sized_ns = 0
        self._flags = 0
        self._laid_out: Size = (0, 0)
        self._held: dict[int, str] = {}
        self._host_held: set[int] = set()
        self._info: ScreenInfo | None = None
        self._frame: NDArray[np.uint32] | None = None
        self._meter = Meter()
        self._panel: Panel | None = None
        self._panel_place = Rect(0, 0, 0, 0)
        self._panel_due_ns = 0
        self._panel_stale = True
        self._polled = False
        #: Outlined rectangles and how many frames ago they were drawn; of clean ones, too.
        self._outlines: dict[tuple[Rect, bool], int] = {}
        self._all_stale = True
        other = WindowDisplay._newest()
        if other is not None and not other._closed:
            raise DisplayError("pygame has one window in a process; close the other machine first")
        self._desktop = _open_display()
        WindowDisplay._newest = weakref.ref(self)
        pygame.display.set_icon(_icon())

    # --- the display loop's side ----------------------------------------------------------------

    def resize(self, screen: ScreenInfo) -> None:
        """Take the picture's shape; the window takes a size that suits it.

        Raises:
            DisplayError: No window of that size can be opened.
        """
        old, self._info = self._info, screen
        self._meter.reshape(screen)
        self._outlines.clear()
        if old is None or _shape(old) != _shape(screen):
            self._frame = None
            self._size_window()
            self._lay_out()
        self._all_stale = True
        self._show_title()

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        """Draw and present what changed; the panel is left to `poll`, outside of this time."""
        if frame is not self._frame:
            if self._closed or self._info is None:
                return
            self._share(frame)
        if self._panel_shown:  # hidden, it costs nothing, and begins anew when it is shown
            self._meter.note(report, len(rects))
            self._panel_stale = True
        if rects or self._all_stale or self.shows_clean_rects:
            self._show(rects, report)
        if not self._polled:
            # A script that calls `Machine.tick` never polls: keep its window alive.
            pygame.event.pump()
            self._follow_window()
            self._draw_panel_if_due()
        self._polled = False

    def _show(self, rects: Sequence[Rect], report: FrameReport) -> None:
        if self._all_stale:
            self._paint_all()
        elif self.shows_clean_rects:
            self._paint_outlined(rects, report.clean_rects)
        else:
            self._present([self._paint(rect) for rect in rects])

    def close(self) -> None:
        """Close the window; twice is fine."""
        if not self._closed:
            self._closed = True
            self._frame = None
            pygame.display.quit()

    # --- the picture ----------------------------------------------------------------------------

    def _share(self, frame: NDArray[np.uint32]) -> None:
        """Make the frame's own memory a surface: no copy is ever made of it."""
        self._frame = frame
        self._picture = _surface_over(frame)
        self._all_stale = True

    def _paint(self, rect: Rect) -> Rect:
        """Draw a part of the picture into the window's surface; returns where it lies there."""
        place = self.viewport.place(rect)
        factors = self.viewport.factors
        if factors == (1, 1):
            self._window.blit(self._picture, place, rect)
        elif factors is not None and self._scales_directly:
            pygame.transform.scale(
                self._picture.subsurface(rect),
                (place.width, place.height),
                self._window.subsurface(place),
            )
        elif place.width and place.height:
            self._paint_unevenly(place)
        return place

    def _paint_unevenly(self, place: Rect) -> None:
        """Repeat columns and rows by the viewport's tables, in an array, and blit that."""
        assert self._frame is not None
        view = self.viewport
        left, top = place.x - view.x, place.y - view.y
        columns = view.columns[left : left + place.width]
        rows = view.rows[top : top + place.height]
        first = int(rows[0])
        wide = np.take(self._frame[first : int(rows[-1]) + 1], columns, axis=1, mode="clip")
        scaled = np.take(wide, rows - first, axis=0, mode="clip")
        self._window.blit(_surface_over(scaled), (place.x, place.y))

    def _paint_all(self) -> None:
        """Draw border, picture and panel, and present the whole window."""
        assert self._info is not None
        self._all_stale = False
        self._window.fill(_rgb(self._info.border_colour))
        if self._frame is not None:
            self._paint(self._whole())
            if self.shows_clean_rects:
                self._draw_outlines()
        self._blit_panel()
        pygame.display.flip()

    def _whole(self) -> Rect:
        assert self._info is not None
        return Rect(0, 0, self._info.width, self._info.height)

    def _present(self, places: Sequence[Rect]) -> None:
        if self.viewport.factors is None:
            # Where rows or columns are left out, a rectangle may show nothing.
            places = [place for place in places if place.width and place.height]
        if len(places) > MAX_PRESENTED:
            places = [_around(places)]
        if places:
            pygame.display.update(places)

    # --- outlines -------------------------------------------------------------------------------

    def _paint_outlined(self, rects: Sequence[Rect], clean: Sequence[Rect]) -> None:
        """Draw what changed, and let the outlines of the frames before fade."""
        touched = [*rects, *clean, *(rect for rect, _ in self._outlines)]
        self._age_outlines()
        for rect in clean:
            self._outlines[rect, True] = 0
        for rect in rects:
            self._outlines[rect, False] = 0
        while len(self._outlines) > MAX_OUTLINES:
            del self._outlines[next(iter(self._outlines))]
        # Outlines lie on pixels that did not change: those come back from the frame first.
        places = [self._paint(rect) for rect in dict.fromkeys(touched)]
        self._draw_outlines()
        self._present(places)

    def _age_outlines(self) -> None:
        aged = {key: age + 1 for key, age in self._outlines.items() if age + 1 < FADE_FRAMES}
        # Oldest first, so that fresh ones lie on top.
        self._outlines = dict(sorted(aged.items(), key=lambda item: -item[1]))

    def _draw_outlines(self) -> None:
        thickness = max(1, self.viewport.width // self.viewport.source[0])
        for (rect, clean), age in self._outlines.items():
            left = 1 - age / FADE_FRAMES
            place = self.viewport.place(rect)
            if clean:
                self._blend(place, CLEAN, TINT_ALPHA * left)
            else:
                for edge in _edges(place, thickness):
                    self._blend(edge, DIRTY, 255 * left)

    def _blend(self, place: Rect, colour: int, alpha: float) -> None:
        if place.width <= 0 or place.height <= 0:
            return
        ink = pygame.Surface((place.width, place.height))
        ink.fill(_rgb(colour))
        ink.set_alpha(round(alpha))
        self._window.blit(ink, (place.x, place.y))

    # --- the panel ------------------------------------------------------------------------------

    def _draw_panel_if_due(self) -> None:
        if self._panel is None or not self._panel_stale or monotonic_ns() < self._panel_due_ns:
            return
        begin = perf_counter_ns()
        self._draw_panel()
        self._blit_panel()
        self._present([self._panel_place])
        self.panel_ns = perf_counter_ns() - begin

    def _draw_panel(self) -> None:
        assert self._panel is not None
        assert self._info is not None
        now = monotonic_ns()
        self._panel_due_ns = now + PANEL_PERIOD_NS
        self._panel_stale = False
        status = Status(self._info, self._paused, self.shows_clean_rects, self.panel_ns)
        self._panel.draw(now, status)

    def _blit_panel(self) -> None:
        if self._panel is not None:
            self._window.blit(self._panel_surface, (self._panel_place.x, self._panel_place.y))

    # --- the window's size ----------------------------------------------------------------------

    def _natural_size(self) -> Size:
        """The window around the picture at the scale asked for, or the largest that fits."""
        assert self._info is not None
        below = BELOW_HEIGHT if self._panel_reserved else 0
        around = 2 * self._border
        room = (
            self._desktop[0] - DESKTOP_MARGIN[0] - around,
            self._desktop[1] - DESKTOP_MARGIN[1] - below - around,
        )
        if self._scale is None:
            width, height = fitted_size(self._info, room, square=self._square)
        else:
            width, height = scaled_size(self._info, self._scale, square=self._square)
        width, height = width + around, height + around
        if self._panel_reserved:
            width = max(width, MIN_WIDTH)
        return width, height + (BELOW_HEIGHT if self._panel_shown else 0)

    def _size_window(self) -> None:
        """Open the window, or give it the size that suits the picture."""
        if self._fullscreen:
            size, flags = self._desktop, pygame.FULLSCREEN
        else:
            user_size = self._user_size if self._user_sized else None
            size, flags = user_size or self._natural_size(), pygame.RESIZABLE
        surface = pygame.display.get_surface()
        if surface is None or surface.get_size() != size or flags != self._flags:
            try:
                surface = pygame.display.set_mode(size, flags)
                if surface.get_size() != size:
                    # Coming from full screen, pygame 2.6.1 keeps that size until asked again.
                    pygame.display.set_mode(size, flags)
            except pygame.error as error:
                asked = self._scale is not None or self._border
                hint = "take a smaller scale or border" if asked else "try --headless"
                raise DisplayError(
                    f"no window of {size[0]}x{size[1]} can be opened (SDL: {error}); {hint}"
                ) from None
            pygame.mouse.set_visible(not self._fullscreen)
            self._flags = flags
            self._sized_ns = monotonic_ns()

    def _lay_out(self) -> None:
        """Find the places of picture and panel in the window as it is now."""
        assert self._info is not None
        surface = pygame.display.get_surface()
        assert surface is not None
        self._window = surface
        self._laid_out = width, height = surface.get_size()
        masks = surface.get_masks()[:3]
        self._scales_directly = surface.get_bitsize() == 32 and masks == (0xFF0000, 0xFF00, 0xFF)
        room, self._panel_place = self._divide(width, height)
        size = self._picture_size(room)
        self.viewport = Viewport(
            (room[0] - size[0]) // 2, (room[1] - size[1]) // 2, *size,
            (self._info.width, self._info.height),
        )  # fmt: skip
        self._panel = None
        if self._panel_place.area:
            place = self._panel_place
            self._panel = Panel(place.width, place.height, self._meter, KEY_HELP)
            self._panel_surface = _surface_over(self._panel.pixels)
        self._all_stale = self._panel_stale = True

    def _picture_size(self, room: Size) -> Size:
        assert self._info is not None
        room = (max(1, room[0] - 2 * self._border), max(1, room[1] - 2 * self._border))
        if self._scale is not None and not self._user_sized and not self._fullscreen:
            size = scaled_size(self._info, self._scale, square=self._square)
            if size[0] <= room[0] and size[1] <= room[1]:
                return size
        return fitted_size(self._info, room, square=self._square)

    def _divide(self, width: int, height: int) -> tuple[Size, Rect]:
        """Room for the picture, and the panel's place: where the picture gets larger."""
        choices = []
        if self._panel_shown and height >= BELOW_HEIGHT + MIN_PICTURE:
            rest = height - BELOW_HEIGHT
            choices.append(((width, rest), Rect(0, rest, width, BELOW_HEIGHT)))
        for wide in BESIDE_WIDTHS if self._panel_shown and height >= MIN_BESIDE_HEIGHT else ():
            rest = width - wide
            if rest >= MIN_PICTURE:
                choices.append(((rest, height), Rect(rest, 0, wide, height)))
        if not choices:
            return (width, height), Rect(0, 0, 0, 0)
        return max(choices, key=lambda choice: self._worth(self._picture_size(choice[0])))

    def _worth(self, size: Size) -> tuple[bool, int]:
        """A picture that lost no pixel is worth more than a larger one that did."""
        assert self._info is not None
        return size[0] >= self._info.width and size[1] >= self._info.height, math.prod(size)

    def _follow_window(self) -> None:
        """The user, or the desktop, may have given the window another size."""
        surface = pygame.display.get_surface()
        if surface is None or self._info is None or surface.get_size() == self._laid_out:
            return
        if not self._fullscreen and monotonic_ns() - self._sized_ns > SETTLING_NS:
            self._user_sized = True
            self._user_size = surface.get_size()
        self._lay_out()

    def _show_title(self) -> None:
        assert self._info is not None
        paused = " - PAUSED" if self._paused else ""
        rest = self._notice or "Ctrl+F3 panel, Ctrl+F9 quit"
        pygame.display.set_caption(f"{self._title} - {self._info.mode_name}{paused} - {rest}")

    def notice(self, text: str) -> None:
        """Say something in the title for a while, such as where a screenshot went."""
        self._notice, self._notice_until_ns = text, monotonic_ns() + NOTICE_NS
        if self._info is not None and not self._closed:
            self._show_title()

    # --- the user -------------------------------------------------------------------------------

    def poll(self) -> list[Event]:
        """What the user did since the last time; also draws the panel, if it is due."""
        if self._closed:
            return []
        self._polled = True
        events: list[Event] = []
        for event in pygame.event.get():
            handler = _HANDLERS.get(event.type)
            if handler is not None:
                events += handler(self, event)
        if self._info is not None:
            if self._all_stale and self._frame is not None:
                self._paint_all()
            self._draw_panel_if_due()
            if self._notice and monotonic_ns() > self._notice_until_ns:
                self._notice = ""
                self._show_title()
        return events

    def _on_quit(self, event: pygame.event.Event) -> list[Event]:
        return [Close()]

    def _on_resize(self, event: pygame.event.Event) -> list[Event]:
        self._follow_window()
        return []

    def _on_expose(self, event: pygame.event.Event) -> list[Event]:
        self._all_stale = True
        return []

    def _on_focus_lost(self, event: pygame.event.Event) -> list[Event]:
        """Whoever has the focus now gets the releases: no key may stay down."""
        released: list[Event] = [Key(name, False) for name in self._held.values()]
        self._held.clear()
        self._host_held.clear()
        return released

    def _on_key_down(self, event: pygame.event.Event) -> list[Event]:
        held_modifiers = event.mod & (_CTRL | _ALT)
        for modifier, key, method in HOST_KEYS:
            if event.key == key and held_modifiers and not held_modifiers & ~modifier:
                if key in self._host_held:
                    return []  # it repeats
                self._host_held.add(key)
                answer: list[Event] = getattr(self, method)()
                return answer
        named = key_name(event.key, event.unicode)
        if named is None:
            return []
        name, text = named
        if name in _MODIFIERS and event.key in self._held:
            return []
        # A repeated key may type something else by now, but it is released as what went down.
        name = self._held.setdefault(event.key, name)
        return [Key(name, True, text)]

    def _on_key_up(self, event: pygame.event.Event) -> list[Event]:
        self._host_held.discard(event.key)
        name = self._held.pop(event.key, None)
        return [] if name is None else [Key(name, False)]

    # What host keys do.

    def _toggle_panel(self) -> list[Event]:
        self._panel_shown = not self._panel_shown
        self._meter.restart_clock()
        self._panel_reserved |= self._panel_shown
        self._refit()
        return []

    def _toggle_fullscreen(self) -> list[Event]:
        self._fullscreen = not self._fullscreen
        self._refit()
        return []

    def _refit(self) -> None:
        if self._info is not None:
            self._size_window()
            self._lay_out()
            self._panel_due_ns = 0

    def _toggle_outlines(self) -> list[Event]:
        self.shows_clean_rects = not self.shows_clean_rects
        self._outlines.clear()
        self._all_stale = self._panel_stale = True
        self._panel_due_ns = 0
        return []

    def _screenshot(self) -> list[Event]:
        return [Screenshot()]

    def _pause(self) -> list[Event]:
        self._paused = not self._paused
        self._meter.restart_clock()
        self._panel_stale, self._panel_due_ns = True, 0
        if self._info is not None:
            self._show_title()
        return [PauseToggled()]

    def _step(self) -> list[Event]:
        return [SingleStep()] if self._paused else self._pause()

    def _quit(self) -> list[Event]:
        return [Close()]


_HANDLERS: dict[int, Callable[[WindowDisplay, pygame.event.Event], list[Event]]] = {
    pygame.QUIT: WindowDisplay._on_quit,
    pygame.VIDEORESIZE: WindowDisplay._on_resize,
    pygame.VIDEOEXPOSE: WindowDisplay._on_expose,
    pygame.WINDOWFOCUSLOST: WindowDisplay._on_focus_lost,
    pygame.KEYDOWN: WindowDisplay._on_key_down,
    pygame.KEYUP: WindowDisplay._on_key_up,
}


def _open_display() -> Size:
    """Start SDL's video and nothing else of it; returns the desktop's size."""
    asked = os.environ.get("SDL_VIDEODRIVER")
    if sys.platform == "linux" and not asked and not SCREENS & os.environ.keys():
        # SDL would try all its drivers, and some print their own complaints.
        raise DisplayError(
            "no display available (neither DISPLAY nor WAYLAND_DISPLAY is set); try --headless"
        )
    if sys.platform == "linux" and not asked and "WAYLAND_DISPLAY" not in os.environ:
        # Else SDL asks Wayland's library first, which complains in its own words.
        os.environ["SDL_VIDEODRIVER"] = "x11"
    try:
        pygame.display.init()
        driver = pygame.display.get_driver()
        # Without a display SDL silently takes a driver that draws into nothing.
        if driver in ("offscreen", "dummy") and not asked:
            pygame.display.quit()
            raise pygame.error(f"only the {driver!r} driver works")
        desktop = pygame.display.get_desktop_sizes()[0]
        pygame.key.set_repeat(*KEY_REPEAT)
        pygame.event.set_blocked(pygame.MOUSEMOTION)
    except pygame.error as error:
        where = f" at DISPLAY={os.environ['DISPLAY']}" if "DISPLAY" in os.environ else ""
        raise DisplayError(f"no display available{where} (SDL: {error}); try --headless") from None
    finally:
        if not asked:
            os.environ.pop("SDL_VIDEODRIVER", None)
    return desktop


def probe() -> str:
    """Which pygame, SDL and video driver a window would use; none may be open.

    Raises:
        DisplayError: No window can be opened.
    """
    _open_display()
    driver = pygame.display.get_driver()
    pygame.display.quit()
    name = "pygame-ce" if getattr(pygame, "IS_CE", False) else "pygame"
    sdl = ".".join(map(str, pygame.get_sdl_version()))
    return f"{name} {pygame.version.ver}, SDL {sdl}, driver {driver}"


def _surface_over(pixels: NDArray[np.uint32]) -> pygame.Surface:
    """A surface of an array's own memory: what is written there later shows."""
    height, width = pixels.shape
    surface = pygame.image.frombuffer(pixels.data, (width, height), PIXEL_FORMAT)
    # The upper byte is 0 and no alpha. Measured: 92 us a blit of 640x480 instead of 246.
    surface.set_alpha(None)
    return surface


def _icon() -> pygame.Surface:
    """A prompt in the project's own font, twice its size."""
    cells = bundled_font(16)[[ord("V"), ord("_")]]
    dots = np.unpackbits(cells[:, :, None], axis=2).transpose(1, 0, 2).reshape(16, 16)
    pixels = np.where(dots, DIRTY, PAPER).astype(np.uint32).repeat(2, axis=0).repeat(2, axis=1)
    return _surface_over(pixels)


def _shape(info: ScreenInfo) -> tuple[object, ...]:
    """What the layout of the window depends on."""
    return info.width, info.height, info.aspect, is_text(info), info.slot_pages


def _rgb(colour: int) -> tuple[int, int, int]:
    return colour >> 16 & 0xFF, colour >> 8 & 0xFF, colour & 0xFF


def _around(rects: Sequence[Rect]) -> Rect:
    """The smallest rectangle that holds all."""
    left, top = min(r.x for r in rects), min(r.y for r in rects)
    right = max(r.x + r.width for r in rects)
    bottom = max(r.y + r.height for r in rects)
    return Rect(left, top, right - left, bottom - top)


def _edges(place: Rect, thickness: int) -> list[Rect]:
    """A frame just inside a rectangle; a rectangle too low for one is all frame."""
    x, y, width, height = place.x, place.y, place.width, place.height
    if height <= 2 * thickness or width <= 2 * thickness:
        return [place]
    inner = height - 2 * thickness
    return [
        Rect(x, y, width, thickness),
        Rect(x, y + height - thickness, width, thickness),
        Rect(x, y + thickness, thickness, inner),
        Rect(x + width - thickness, y + thickness, thickness, inner),
    ]
