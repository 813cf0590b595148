"""The guest's picture in the window: enlarged by repeating whole pixels, a part at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.report import Rect
from vgaemu.display.viewport import Viewport
from vgaemu.display.window.sdl import pygame, surface_over


class Picture:
    """A frame, shown through a viewport of a surface. No copy is ever made of the frame."""

    def __init__(
        self, frame: NDArray[np.uint32], surface: pygame.Surface, viewport: Viewport
    ) -> None:
        """Draw nothing yet.

        Args:
            frame: (height, width) uint32 0x00RRGGBB; what is written there later is drawn later.
            surface: The window's.
            viewport: Where in it the picture lies.
        """
        self.frame = frame
        self._surface = surface
        self._viewport = viewport
        self._source = surface_over(frame)
        masks = surface.get_masks()[:3]
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
        left, top = place.x - view.x, place.y - view.y
        columns = view.columns[left : left + place.width]
        rows = view.rows[top : top + place.height]
        first = int(rows[0])
        wide = np.take(self.frame[first : int(rows[-1]) + 1], columns, axis=1, mode="clip")
        scaled = np.take(wide, rows - first, axis=0, mode="clip")
        self._surface.blit(surface_over(scaled), (place.x, place.y))
