"""What encodings share: the block, and the viewer's colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.indexed import Indexer
from vgaemu.view.pixelformat import CUBE, DEFAULT, PixelFormat, Pixels, in_cube, three_bytes

#: Makes the bytes that follow a rectangle's head; called once, in the order of the rectangles.
Body: TypeAlias = Callable[[], bytes]


class Block(NamedTuple):
    """Part of the picture, which nobody else writes."""

    #: (height, width) uint32 0x00RRGGBB, contiguous.
    pixels: Pixels
    #: The colours that they were drawn with, (n,) uint32, n at most 256; None: any.
    palette: Pixels | None


class Encoder(Protocol):
    """Makes bytes of blocks, in the order in which the viewer gets them."""

    def encode(self, block: Block, *, stores: bool) -> Body:
        """What follows a rectangle's head, made when it is called or meanwhile.

        `stores`: zlib need not make it less, as the connection is faster than that.
        """

    def close(self) -> None:
        """The viewer has gone."""


class Colours:
    """A viewer's pixel format, and the numbers of colours."""

    def __init__(self) -> None:
        self._indexer = Indexer()
        self.form: PixelFormat = DEFAULT
        #: Viewers with a colour map: what it is now; None: nothing yet.
        self._map: Pixels | None = None

    def use(self, form: PixelFormat) -> None:
        """The viewer wants its pixels like this."""
        self.form, self._map = form, None

    def numbers(self, block: Block) -> NDArray[np.uint8] | None:
        """(height, width): the pixels' numbers in the block's palette, if they have some."""
        if block.palette is None:
            return None
        return self._indexer.indices(block.pixels, block.palette)

    def new_map(self, palette: Pixels | None) -> Pixels | None:
        """The colour map that the viewer needs and has not: (n,) uint32, n at most 256, or None."""
        wanted = CUBE if palette is None else palette
        if self.form.is_true_colour or (
            self._map is not None and np.array_equal(self._map, wanted)
        ):
            return None
        self._map = wanted.copy()
        return self._map

    def convert(self, block: Block) -> NDArray[np.unsignedinteger]:
        """(height, width) of `form.dtype`.

        With a colour map, pixels that are of no colour of it are those of a palette which changes
        while it is looked at: they come again with the new map.
        """
        if self.form.is_true_colour:
            return self.form.convert(block.pixels)
        numbers = self.numbers(block)
        return in_cube(block.pixels) if numbers is None else numbers

    def tpixels(self, pixels: Pixels) -> bytes:
        """True colours as Tight has them."""
        if self.form.has_whole_bytes:
            return three_bytes(pixels).tobytes()
        return self.form.convert(pixels).tobytes()
