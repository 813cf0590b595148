"""Heat: how recently each page of VRAM was dirty, or was taken along clean in a span."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.report import FrameReport
from vgaemu.vga.layout import LEGACY_PAGES

#: Part of a page's light that is left after a second.
FADE_A_SECOND = 0.12
#: Cells for the pages above the legacy ones, which are large; larger slots share them.
MAP_CELLS = 4096


class PageHeat:
    """How recently each page of VRAM was dirty, or taken along clean: 1 now, fading to 0."""

    def __init__(self, slot_pages: int) -> None:
        """All cold.

        Args:
            slot_pages: Pages in the slot; from page 64 on, some share a cell in large slots.
        """
        self.slot_pages = slot_pages
        self.legacy = min(slot_pages, LEGACY_PAGES)
        above = slot_pages - self.legacy
        #: Pages a cell above the legacy ones.
        self.pages_a_cell = max(1, -(-above // MAP_CELLS))
        cells = self.legacy + -(-above // self.pages_a_cell)
        self.dirty = np.zeros(cells, np.float32)
        self.clean = np.zeros(cells, np.float32)

    def cells(self, pages: NDArray[np.intp]) -> NDArray[np.intp]:
        """The cell of each page."""
        above = self.legacy + (pages - self.legacy) // self.pages_a_cell
        return np.where(pages < self.legacy, pages, above)

    def note(self, reports: Sequence[FrameReport]) -> None:
        """Light up the pages of some frames."""
        spans = [span for report in reports for span in report.spans]
        if not spans:
            return
        pages = self.cells(np.concatenate([report.dirty_pages for report in reports]))
        starts, ends = np.array(spans, np.intp).T
        size = len(self.clean) + 1
        # How many spans a cell lies in: those that began up to it, less those that ended before.
        begun = np.bincount(self.cells(starts), minlength=size)
        over = np.bincount(self.cells(ends - 1) + 1, minlength=size)
        self.clean[np.cumsum(begun - over)[:-1] > 0] = 1
        self.dirty[pages] = 1
        self.clean[pages] = 0

    def fade(self, seconds: float) -> None:
        """Let time pass."""
        left = FADE_A_SECOND**seconds
        self.dirty *= left
        self.clean *= left
