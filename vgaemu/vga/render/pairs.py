"""Pairs renderer: two 4-bit pixels, the first one high, are one of 256 colours (AR10 bit 6).

Any shift of GR05 may feed it, and text: another renderer draws the 4-bit pixels as numbers, a dot
each, and pairs of these are then looked up. It costs more than either; no mode of IBM's is one.

Source: 86Box; IBM PS/2 Hardware Interface Technical Reference for the palette on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import Span
from vgaemu.vga.colours import Colours
from vgaemu.vga.kinds import PAIRS
from vgaemu.vga.rect import Rect
from vgaemu.vga.render.base import Frame, Renderer
from vgaemu.vga.scanout import CrtcRows, Scanout

#: Colours of 4-bit pixels that are their own numbers.
NUMBERS = Colours(np.arange(16, dtype=np.uint32).tobytes(), 0x0F, border=0, blank=False)


class PairsRenderer(Renderer):
    """Pixels of two dots."""

    def __init__(
        self,
        vram: NDArray[np.uint8],
        scanout: Scanout,
        make: Callable[[NDArray[np.uint8], Scanout], Renderer],
    ) -> None:
        """Draw the dots with what `make` makes."""
        super().__init__(vram, scanout)
        dots = dots_of(scanout)
        self._inner = make(vram, dots)
        self._numbers: Frame = np.zeros((dots.height, dots.width), np.uint32)

    def configure(self, scanout: Scanout) -> None:
        self.scanout = scanout
        self._inner.configure(dots_of(scanout))

    def note(self, spans: Sequence[Span]) -> None:
        self._inner.note(spans)

    def draw_all(self, frame: Frame) -> None:
        self._inner.draw_all(self._numbers)
        height, width = frame.shape
        self._colour(frame, Rect(0, 0, width, height))

    def draw_changes(self, frame: Frame, spans: Sequence[Span]) -> list[Rect]:
        rects = []
        for x, y, width, height in self._inner.draw_changes(self._numbers, spans):
            left, right = x // 2, min(-(-(x + width) // 2), self.scanout.width)
            if left < right and not self.scanout.colours.blank:
                rects.append(Rect(left, y, right - left, height))
                self._colour(frame, rects[-1])
        return rects

    def _colour(self, frame: Frame, rect: Rect) -> None:
        x, y, width, height = rect
        out = frame[y : y + height, x : x + width]
        if self.scanout.colours.blank:
            out[:] = 0
            return
        dots = self._numbers[y : y + height, 2 * x : 2 * (x + width)]
        palette = np.frombuffer(self.scanout.colours.palette, np.uint32)
        out[:] = palette.take(dots[:, ::2] << np.uint32(4) | dots[:, 1::2])


def dots_of(scanout: Scanout) -> Scanout:
    """The scanout of the 4-bit pixels, in their own numbers."""
    rows = scanout.rows
    assert isinstance(rows, CrtcRows)
    dots = 8 if scanout.text is None else scanout.text.cell_width
    above, below = rows.pan
    return scanout._replace(
        kind=PAIRS[scanout.kind],
        width=rows.columns * dots,
        rows=rows._replace(pan=(2 * above, 2 * below)),
        colours=NUMBERS,
    )
