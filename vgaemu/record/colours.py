"""The colours of a file that has one table for all its pictures: it grows as they come up.

The DAC has 262,144 colours, but what recordings show of them is seldom more than a palette's worth:
text has three, palette cycling only moves those there are. Each pixel's number is that of its
colour here, not the guest's, so a changed palette leaves the pictures before it alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.indexed import Indexer
from vgaemu.record.encoder import Picture

MAX_COLOURS = 256


class ColourTable:
    """At most 256 colours, in the order in which they came.

    >>> table = ColourTable()
    >>> table.numbers(np.array([[0xFF0000, 0, 0xFF0000]], np.uint32))
    array([[1, 0, 1]], dtype=uint8)
    >>> table.numbers(np.array([[0x0000FF, 0xFF0000]], np.uint32))
    array([[2, 1]], dtype=uint8)
    >>> [hex(colour) for colour in table.colours]
    ['0x0', '0xff0000', '0xff']
    """

    def __init__(self) -> None:
        self.colours = np.zeros(0, np.uint32)
        self._indexer = Indexer()

    def numbers(self, pixels: Picture) -> NDArray[np.uint8] | None:
        """Numbers of the colours of (h, w) pixels: (h, w) uint8; None if they are too many."""
        if len(self.colours):
            found = self._indexer.indices(pixels, self.colours)
            if found is not None:
                return found
        grown = np.concatenate([self.colours, np.setdiff1d(pixels, self.colours)])
        if len(grown) > MAX_COLOURS:
            return None
        self.colours = grown.astype(np.uint32)
        return self._indexer.indices(pixels, self.colours)


def triples(colours: NDArray[np.uint32]) -> bytes:
    """Colours as 256 times red, green, blue; black at the end.

    >>> triples(np.array([0x123456], np.uint32))[:6].hex()
    '123456000000'
    """
    table = np.zeros(MAX_COLOURS, ">u4")
    table[: len(colours)] = colours
    return table.view(np.uint8).reshape(MAX_COLOURS, 4)[:, 1:].tobytes()
