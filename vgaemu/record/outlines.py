"""Outlines of what was redrawn, drawn into a recording, and taken away again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vgaemu.display.panel.draw import DIRTY
from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.display.window.outlines import edges
from vgaemu.record.change import Patch
from vgaemu.record.encoder import Picture, pixels_in

#: Frames that outlines are shown, unless others come.
SHOWN_FRAMES = 12


class Outlines:
    """Turns patches into patches with their outlines.

    Args:
        info: The picture's shape.
    """

    #: Number of the frame in which they go.
    until: int

    def __init__(self, info: ScreenInfo) -> None:
        self.until = 0
        #: Without outlines.
        self._plain: Picture = np.zeros((info.height, info.width), np.uint32)
        self._marked: list[Patch] = []

    def mark(self, frame_number: int, patches: Sequence[Patch]) -> list[Patch]:
        """What to change for a frame: the outlines before it are gone, its own are there."""
        for rect, pixels in patches:
            pixels_in(self._plain, rect)[...] = pixels
        gone = self.gone()
        self._marked = [Patch(rect, pixels.copy()) for rect, pixels in patches]
        for rect, pixels in self._marked:
            for edge in edges(Rect(0, 0, rect.width, rect.height), 1):
                pixels_in(pixels, edge)[...] = DIRTY
        self.until = frame_number + SHOWN_FRAMES
        return gone + self._marked

    def gone(self) -> list[Patch]:
        """What to change for them to be gone."""
        marked, self._marked = self._marked, []
        return [Patch(rect, pixels_in(self._plain, rect)) for rect, _ in marked]
