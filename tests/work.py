"""Work as a number that is the same on every machine: the functions that are called."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any


class Functions:
    """Counts the functions, Python's and C's, that are called inside a ``with``."""

    def __init__(self) -> None:
        self.called = 0

    def _count(self, frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            self.called += 1

    def __enter__(self) -> Functions:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
