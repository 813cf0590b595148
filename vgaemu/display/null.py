"""The display that shows nothing: headless runs, tests, scripts."""

from __future__ import annotations

from vgaemu.display.base import BaseDisplay


class NullDisplay(BaseDisplay):
    """Takes every frame and does nothing."""
