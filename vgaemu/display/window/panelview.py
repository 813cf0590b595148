"""The panel in the window: where it is, when it is drawn anew, and what that took."""

from __future__ import annotations

from time import perf_counter_ns

from vgaemu.display.hostkeys import keys_for_panel
from vgaemu.display.panel.meter import Meter
from vgaemu.display.panel.panel import Panel, Status
from vgaemu.display.report import Rect
from vgaemu.display.window.layout import NOWHERE
from vgaemu.display.window.sdl import pygame, surface_over

#: Between two drawings: 10 a second.
PANEL_PERIOD_NS = 100_000_000


class PanelView:
    """A panel that comes and goes with the window's layout, and what it has measured so far."""

    def __init__(self) -> None:
        """There is no place for it yet."""
        self.meter = Meter()
        self.place = NOWHERE
        #: Whether what it says is old.
        self.stale = True
        #: What drawing and presenting it took the last time.
        self.cost_ns = 0
        self._due_ns = 0
        self._panel: Panel | None = None
        self._surface: pygame.Surface | None = None

    def move(self, place: Rect) -> None:
        """Give it a place in the window, or `NOWHERE`."""
        self.place, self.stale = place, True
        self._panel = self._surface = None
        if place.area:
            self._panel = Panel(place.width, place.height, self.meter, keys_for_panel())
            self._surface = surface_over(self._panel.pixels)

    def hurry(self) -> None:
        """Draw it at once: the user did something."""
        self.stale, self._due_ns = True, 0

    def is_due(self, now_ns: int) -> bool:
        """Whether to draw it now."""
        return self._panel is not None and self.stale and now_ns >= self._due_ns

    def draw(self, now_ns: int, status: Status, window: pygame.Surface) -> None:
        """Bring it up to date, in the window and on the screen."""
        if self._panel is not None:
            begin = perf_counter_ns()
            self._due_ns = now_ns + PANEL_PERIOD_NS
            self.stale = False
            self._panel.draw(now_ns, status)
            self.blit(window)
            pygame.display.update(self.place)
            self.cost_ns = perf_counter_ns() - begin

    def blit(self, window: pygame.Surface) -> None:
        """Draw it into the window as it is."""
        if self._surface is not None:
            window.blit(self._surface, (self.place.x, self.place.y))
