"""The display that shows nothing: headless runs, tests, scripts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.report import FrameReport, Rect, ScreenInfo


class NullDisplay:
    """Takes every frame and does nothing."""

    def resize(self, screen: ScreenInfo) -> None:
        """Nothing to do."""

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""
