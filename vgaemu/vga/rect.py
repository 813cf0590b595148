"""Rect: part of a picture."""

from __future__ import annotations

from typing import NamedTuple


class Rect(NamedTuple):
    """Part of the picture in logical pixels; x + width and y + height are exclusive."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Pixels."""
        return self.width * self.height
