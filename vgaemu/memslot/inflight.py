"""A grace period for calls: until those that had begun are over. Nobody has to announce himself.

A call that has taken something from an object may use it after that was replaced, and nobody can
say how long after. But the interpreter knows which calls are running: under the GIL the frames of
all threads are seen as of one moment, and a frame tells later whether it still runs. So whoever
calls costs nothing, as a reader of RCU does. Not to be known without the GIL, where threads run on
meanwhile: there it is never over.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType, FunctionType

from vgaemu.memslot.keeper import FREE_THREADED


class CallsInFlight:
    """The calls of some functions that had begun when they were noted."""

    def __init__(self, *functions: Callable[..., object]) -> None:
        self._codes = {
            function.__code__ for function in functions if isinstance(function, FunctionType)
        }
        self._frames: list[FrameType] = []

    def note(self) -> None:
        """Look whose calls run now; those noted before stay noted."""
        for top in sys._current_frames().values():
            frame: FrameType | None = top
            while frame is not None:
                if frame.f_code in self._codes:
                    self._frames.append(frame)
                frame = frame.f_back

    def are_over(self) -> bool:
        """Whether all that were noted have ended."""
        self._frames = [frame for frame in self._frames if not _has_ended(frame)]
        return not self._frames and not FREE_THREADED


def _has_ended(frame: FrameType) -> bool:
    try:
        frame.clear()
    except RuntimeError:  # it is executing
        return False
    return True
