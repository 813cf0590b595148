"""SDL through pygame: opening the one window that there is, presenting, and surfaces of arrays.

The only file that imports pygame; its neighbours take `pygame` from here, where it is known to
work. Only what pygame and pygame-ce have in common is used.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from time import monotonic_ns
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.panel.draw import DIRTY, PAPER
from vgaemu.display.report import Rect
from vgaemu.display.viewport import Size
from vgaemu.errors import DisplayError
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
    """Find out whether pygame is whole.

    Raises:
        DisplayError: pygame and pygame-ce are installed: they share a folder and break each other.
    """
    try:
        for name in ("pygame", "pygame-ce"):
            version_of(name)
    except PackageNotFoundError:
        return
    raise DisplayError(
        "pygame and pygame-ce are both installed and overwrite each other; run "
        "'pip uninstall pygame pygame-ce', then 'pip install pygame-ce'"
    )


check_pygame()
try:
    import pygame as pygame
except ImportError as error:
    raise DisplayError(
        f"pygame cannot be imported ({error}); run 'pip install pygame' "
        "('pygame-ce' from Python 3.14 on), or use --headless"
    ) from None

#: How pygame-ce reads and writes a text in the clipboard; what the name of one is to pygame.
_get_text: Callable[[], str] | None = getattr(pygame.scrap, "get_text", None)
_put_text: Callable[[str], None] | None = getattr(pygame.scrap, "put_text", None)
UTF8 = "text/plain;charset=utf-8"
#: Where Linux says that there is a screen.
SCREENS = {"DISPLAY", "WAYLAND_DISPLAY"}
#: Rectangles presented one by one; measured under X11, 64 of them cost half as much again as one,
#: other systems are worse. Beyond, the one around them.
MAX_PRESENTED = 32
#: A window that changes its size this soon after it was given one was not sized by the user.
SETTLING_NS = 500_000_000
#: A held key types again after, and every (milliseconds).
KEY_REPEAT = (400, 40)
#: Memory order of a uint32 0x00RRGGBB.
PIXEL_FORMAT: Literal["BGRA", "ARGB"] = "BGRA" if sys.byteorder == "little" else "ARGB"


class SdlWindow:
    """The window itself: there is one in a process. It is opened by its first `open`."""

    #: Answers the one that was made last, while somebody has it.
    _newest: ClassVar[Callable[[], SdlWindow | None]] = staticmethod(lambda: None)

    def __init__(self, *, fullscreen: bool) -> None:
        """Start SDL's video.

        Raises:
            DisplayError: There is no display, or another window.
        """
        self.closed = False
        other = SdlWindow._newest()
        if other is not None and not other.closed:
            raise DisplayError("pygame has one window in a process; close the other machine first")
        self.desktop = open_display()
        self.fullscreen = fullscreen
        #: What the user (or a tiling desktop) made of it: then the picture fits the window.
        self.user_size: Size | None = None
        #: When and how it was last sized from here.
        self._sized_ns = 0
        self._flags = 0
        SdlWindow._newest = weakref.ref(self)
        pygame.display.set_icon(_icon())

    def open(self, natural: Size, advice: str) -> pygame.Surface:
        """Open the window, or give it another size; returns its surface.

        Its size is `natural`, unless the user has given it one, or it is the whole screen.

        Raises:
            DisplayError: No window of that size can be opened; `advice` says what to do.
        """
        if self.fullscreen:
            size, flags = self.desktop, pygame.FULLSCREEN
        else:
            size, flags = self.user_size or natural, pygame.RESIZABLE
        surface = pygame.display.get_surface()
        if surface is None or surface.get_size() != size or flags != self._flags:
            try:
                surface = pygame.display.set_mode(size, flags)
                if surface.get_size() != size:
                    # Coming from full screen, pygame 2.6.1 keeps that size until asked again.
                    surface = pygame.display.set_mode(size, flags)
            except pygame.error as error:
                raise DisplayError(
                    f"no window of {size[0]}x{size[1]} can be opened (SDL: {error}); {advice}"
                ) from None
            pygame.mouse.set_visible(not self.fullscreen)
            self._flags = flags
            self._sized_ns = monotonic_ns()
        return surface

    def resized(self, old: Size) -> pygame.Surface | None:
        """Its surface if it has no longer the size `old`, which may have been the user's wish."""
        surface = pygame.display.get_surface()
        if surface is None or surface.get_size() == old:
            return None
        if not self.fullscreen and monotonic_ns() - self._sized_ns > SETTLING_NS:
            self.user_size = surface.get_size()
        return surface

    def close(self) -> None:
        self.closed = True
        pygame.display.quit()


def open_display() -> Size:
    """Start SDL's video and nothing else of it; returns the desktop's size.

    Raises:
        DisplayError: There is none.
    """
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
    open_display()
    driver = pygame.display.get_driver()
    pygame.display.quit()
    name = "pygame-ce" if getattr(pygame, "IS_CE", False) else "pygame"
    sdl = ".".join(map(str, pygame.get_sdl_version()))
    return f"{name} {pygame.version.ver}, SDL {sdl}, driver {driver}"


def clipboard_text() -> str:
    """The text in the system's clipboard; an empty string if there is none."""
    try:
        if _get_text is not None:
            return _get_text()
        pygame.scrap.init()
        data = pygame.scrap.get(UTF8)
    except pygame.error:
        return ""
    return "" if data is None else data.decode("utf-8", "replace").rstrip("\0")


def put_into_clipboard(text: str) -> None:
    """Put a text into the system's clipboard.

    Raises:
        DisplayError: The system takes none.
    """
    try:
        if _put_text is not None:
            _put_text(text)
        else:
            pygame.scrap.init()
            pygame.scrap.put(UTF8, text.encode())
    except pygame.error as error:
        raise DisplayError(f"the clipboard takes nothing (SDL: {error})") from None


def present(places: Sequence[Rect]) -> None:
    """Bring parts of the window onto the screen."""
    if len(places) > MAX_PRESENTED:
        pygame.display.update([pygame.Rect(places[0]).unionall(places)])
    elif places:
        pygame.display.update(places)


def surface_over(pixels: NDArray[np.uint32]) -> pygame.Surface:
    """A surface of an array's own memory, (height, width): what is written there later shows."""
    height, width = pixels.shape
    surface = pygame.image.frombuffer(pixels.data, (width, height), PIXEL_FORMAT)
    # The upper byte is 0 and no alpha. Measured: 92 us a blit of 640x480 instead of 246.
    surface.set_alpha(None)
    return surface


def rgb(colour: int) -> tuple[int, int, int]:
    """0x00RRGGBB as pygame takes it."""
    return colour >> 16 & 0xFF, colour >> 8 & 0xFF, colour & 0xFF


def tint(surface: pygame.Surface, place: Rect, colour: int, alpha: float) -> None:
    """Lay a colour over a part of a surface; `alpha` of 255 covers it."""
    if place.width > 0 and place.height > 0:
        ink = pygame.Surface((place.width, place.height))
        ink.fill(rgb(colour))
        ink.set_alpha(round(alpha))
        surface.blit(ink, (place.x, place.y))


def _icon() -> pygame.Surface:
    """A prompt in the project's own font, twice its size."""
    cells = bundled_font(16)[[ord("V"), ord("_")]]
    dots = np.unpackbits(cells[:, :, None], axis=2).transpose(1, 0, 2).reshape(16, 16)
    pixels = np.where(dots, DIRTY, PAPER).astype(np.uint32).repeat(2, axis=0).repeat(2, axis=1)
    return surface_over(pixels)
