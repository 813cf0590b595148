"""What a frame changed: patches of pixels, on their way from the loop to a recording."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.record.encoder import Picture, pixels_in


class Patch(NamedTuple):
    """New pixels at a place."""

    rect: Rect
    #: (height, width) uint32 0x00RRGGBB.
    pixels: Picture

    def changed_in(self, picture: Picture) -> Rect | None:
        """The smallest rectangle around all that it would change, if it would.

        >>> import numpy as np
        >>> picture = np.zeros((9, 9), np.uint32)
        >>> ink = np.eye(4, dtype=np.uint32)[:, ::-1]
        >>> Patch(Rect(2, 3, 4, 4), ink).changed_in(picture)
        Rect(x=2, y=3, width=4, height=4)
        >>> picture[3:5, 2:6] = ink[:2]
        >>> Patch(Rect(2, 3, 4, 4), ink).changed_in(picture)
        Rect(x=2, y=5, width=2, height=2)
        """
        differs = pixels_in(picture, self.rect) != self.pixels
        rows = differs.any(axis=1).nonzero()[0]
        if not len(rows):
            return None
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        columns = differs[top:bottom].any(axis=0).nonzero()[0]
        left, right = int(columns[0]), int(columns[-1]) + 1
        return Rect(self.rect.x + left, self.rect.y + top, right - left, bottom - top)


class Change(NamedTuple):
    """What a frame changed."""

    frame_number: int
    #: The shape of the picture, where it may be another: then the patches cover it.
    info: ScreenInfo | None
    patches: Sequence[Patch]

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return sum([patch.pixels.nbytes for patch in self.patches])
