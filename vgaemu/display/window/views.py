"""What the window shows: the guest's picture and the panel, each a surface over an array."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.hostkeys import keys_for_panel
from vgaemu.display.panel.layout import NOWHERE
from vgaemu.display.panel.meter import Meter
from vgaemu.display.panel.panel import Panel, Status
from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.display.smooth import SmoothScaler
from vgaemu.display.viewport import Viewport
from vgaemu.display.window.sdl import pygame, surface_over

#: Between two drawings of the panel: 10 a second.
PANEL_PERIOD_NS = 100_000_000


class Picture:
    """A frame, shown through a viewport of the window's surface. No copy is ever made of it.

    It is enlarged by repeating whole pixels, or smoothly if the viewport says so, a part at a time.
    """

    def __init__(
        self, frame: NDArray[np.uint32], surface: pygame.Surface, viewport: Viewport
    ) -> None:
        self.frame = frame
        self._surface = surface
        self._viewport = viewport
        self._source = surface_over(frame)
        masks = surface.get_masks()[:3]
        self._smooth = SmoothScaler(viewport) if viewport.smooth else None
        self._scales_directly = surface.get_bitsize() == 32 and masks == (0xFF0000, 0xFF00, 0xFF)

    def paint(self, rects: Sequence[Rect]) -> list[Rect]:
        """Draw parts of the picture; returns where they lie in the window."""
        places = [self._paint(rect) for rect in rects]
        if self._viewport.factors is None:
            # Where rows or columns are left out, a rectangle may show nothing.
            return [place for place in places if place.width and place.height]
        return places

    def _paint(self, rect: Rect) -> Rect:
        place = self._viewport.place(rect)
        factors = self._viewport.factors
        if factors == (1, 1):
            self._surface.blit(self._source, place, rect)
        elif factors is not None and self._scales_directly:
            pygame.transform.scale(
                self._source.subsurface(rect),
                (place.width, place.height),
                self._surface.subsurface(place),
            )
        elif place.width and place.height:
            self._paint_unevenly(place)
        return place

    def paint_all(self) -> None:
        """Draw the whole picture."""
        height, width = self.frame.shape
        self._paint(Rect(0, 0, width, height))

    def _paint_unevenly(self, place: Rect) -> None:
        """Repeat columns and rows by the viewport's tables, in an array, and blit that."""
        view = self._viewport
        if self._smooth is not None:
            scaled = self._smooth.scaled(self.frame, place)
            self._surface.blit(surface_over(scaled), (place.x, place.y))
            return
        left, top = place.x - view.x, place.y - view.y
        columns = view.columns[left : left + place.width]
        rows = view.rows[top : top + place.height]
        first = int(rows[0])
        wide = np.take(self.frame[first : int(rows[-1]) + 1], columns, axis=1, mode="clip")
        scaled = np.take(wide, rows - first, axis=0, mode="clip")
        self._surface.blit(surface_over(scaled), (place.x, place.y))


class PanelView:
    """A panel that comes and goes with the window's layout, and what it has measured so far."""

    def __init__(self) -> None:
        self.meter = Meter()
        self.place = NOWHERE
        #: What goes on besides.
        self.remark = ""
        #: Whether what it says is old.
        self.stale = True
        #: What drawing and presenting it took the last time.
        self.cost_ns = 0
        self._due_ns = 0
        self._panel: Panel | None = None
        self._surface: pygame.Surface | None = None
        #: Of the panel, enlarged.
        self._size = (0, 0)

    def move(self, place: Rect, scale: int) -> None:
        """Give it a place in the window, or `NOWHERE`; each of its pixels is repeated."""
        self.place, self.stale = place, True
        self._panel = self._surface = None
        if place.area:
            size = -(-place.width // scale), -(-place.height // scale)
            self._panel = Panel(*size, self.meter, keys_for_panel())
            self._surface = surface_over(self._panel.pixels)
            self._size = size[0] * scale, size[1] * scale

    def hurry(self) -> None:
        """Draw it at once: the user did something."""
        self.stale, self._due_ns = True, 0

    def draw_if_due(
        self,
        now_ns: int,
        window: pygame.Surface,
        info: ScreenInfo,
        paused: bool,
        turbo: bool,
        outlines: bool,
        stands: str,
    ) -> None:
        """Bring it up to date, in the window and on the screen, unless it just was."""
        if self._panel is None:
            self.stale = False  # until it has a place, nobody asks again
        elif now_ns >= self._due_ns:
            begin = perf_counter_ns()
            self._due_ns = now_ns + PANEL_PERIOD_NS
            self.stale = False
            status = Status(info, paused, turbo, outlines, stands, self.remark, self.cost_ns)
            self._panel.draw(now_ns, status)
            self.blit(window)
            pygame.display.update(self.place)
            self.cost_ns = perf_counter_ns() - begin

    def blit(self, window: pygame.Surface) -> None:
        """Draw it into the window as it is."""
        if self._surface is not None:
            surface = self._surface
            if surface.get_size() != self._size:
                surface = pygame.transform.scale(surface, self._size)
            # At the window's right and lower edge there may be only a part of a panel's pixel.
            window.blit(surface, (self.place.x, self.place.y))
