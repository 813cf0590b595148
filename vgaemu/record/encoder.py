"""Encoder: what all formats have in common, and what is asked of each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.report import Rect, ScreenInfo

Picture = NDArray[np.uint32]


class Encoder(ABC):
    """Writes pictures one after another into one file.

    Times are seconds since the first picture of the file, as exact fractions: what a format's unit
    cannot say of one picture is made up for by the next, so nothing drifts.
    """

    #: A picture that is shown for longer is written again (seconds).
    LONGEST: ClassVar[Fraction] = Fraction(3600)

    @abstractmethod
    def __init__(self, file: BinaryIO, info: ScreenInfo, *, many_colours: bool = False) -> None:
        """Begin a file for pictures of a shape; the file stays the caller's to close.

        Args:
            file: Empty; it can be written at any place.
            info: The shape.
            many_colours: The file before could not take that many.

        Raises:
            OSError: It cannot be written.
        """

    @abstractmethod
    def resize(self, info: ScreenInfo) -> bool:
        """Whether pictures of another shape go on in this file; the next one is whole then."""

    def too_brief(self, until: Fraction) -> bool:
        """Whether a picture that is shown until then is joined with the one after."""
        return False

    @abstractmethod
    def show(self, picture: Picture, box: Rect, until: Fraction) -> bool:
        """Write a picture, of which only `box` differs from the one before.

        Args:
            picture: (height, width) uint32 0x00RRGGBB, the whole; only read.
            box: Of the first picture in a file, all of it.
            until: Seconds since the beginning of the file at which the next one comes.

        Returns:
            False if it has too many colours for this file; nothing is written then.

        Raises:
            OSError: It cannot be written; what was written before still plays.
        """

    @abstractmethod
    def finish(self) -> None:
        """No more pictures.

        Raises:
            OSError: What was still to be written cannot be.
        """

    def plays(self) -> bool:
        """Whether there is a picture in the file, though not all could be written."""
        return True


class Animation(Encoder):
    """An image file whose pictures are all of one size, and which ends well after each."""

    def __init__(self, file: BinaryIO, info: ScreenInfo, *, many_colours: bool = False) -> None:
        self._size = info.width, info.height

    def resize(self, info: ScreenInfo) -> bool:
        return (info.width, info.height) == self._size

    def finish(self) -> None:
        return


def pixels_in(picture: Picture, box: Rect) -> Picture:
    """A part of a picture: a view.

    >>> pixels_in(np.arange(12, dtype=np.uint32).reshape(3, 4), Rect(1, 2, 3, 1))
    array([[ 9, 10, 11]], dtype=uint32)
    """
    return picture[box.y : box.y + box.height, box.x : box.x + box.width]
