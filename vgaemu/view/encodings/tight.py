"""Tight: one colour, two, a palette, or all of them; whichever it is through a zlib stream.

The palette is the VGA's own where the mode has one: no search, and a byte a pixel. Blocks that a
true-colour mode draws in few colours have theirs searched for. Not made: JPEG, which loses colours,
and the gradient filter.

Of four streams each kind of block has its own, where it finds what it was like before. Every second
large block, of any kind, goes through the fourth: a helper's thread deflates it meanwhile. Where
the connection is faster than that, blocks of many colours are not deflated: `vgaemu.view.pace`.

Source: the rfbproto project's page for Tight.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vgaemu.view.encodings.base import Block, Body, Colours
from vgaemu.view.encodings.helper import Helper
from vgaemu.view.encodings.plain import Stream
from vgaemu.view.pixelformat import Pixels

#: Tight's own limits: pixels a row, and bytes that a length can tell.
MAX_WIDTH, MAX_BYTES = 2048, (1 << 22) - 1
#: What is shorter is not compressed, and has no length.
MIN_COMPRESSED = 12
#: Control bytes: streams of zlib by number, a filter follows, one colour.
COPY, MONO, PALETTE, HELPED = range(4)
FILTER, FILL = 0x40, 0x80
PALETTE_FILTER = 1
#: Fewer bytes are deflated before a helper's thread has woken up.
HELPED_BYTES = 1 << 14
#: In a true-colour mode every 61st pixel of larger blocks is looked at first: more colours than a
#: palette can have are then found in a hundredth of the time that a search takes.
SEARCHED_PIXELS, SAMPLE_STEP = 4096, 61


class TightEncoder:
    """What most viewers ask for first."""

    def __init__(self, colours: Colours) -> None:
        self._colours = colours
        self._streams = tuple(Stream() for _ in range(HELPED + 1))
        self._helper = Helper()
        self._is_helped = False

    def encode(self, block: Block, *, stores: bool) -> Body:
        counted = self._count(block) if self._colours.form.is_true_colour else None
        if counted is None:
            return self._copy(block, stores=stores)
        numbers, colours = counted
        if len(colours) == 1:
            return partial(bytes, bytes((FILL,)) + self._colours.tpixels(colours))
        if len(colours) == 2:
            return self._with_palette(MONO, colours, np.packbits(numbers, axis=1))
        # A byte a pixel instead of two to four, but the palette's colours come before.
        pixel_bytes = 3 if self._colours.form.has_whole_bytes else self._colours.form.bits // 8
        if len(colours) * pixel_bytes + numbers.size >= pixel_bytes * numbers.size:
            return self._copy(block, stores=stores)
        return self._with_palette(PALETTE, colours, numbers)

    def close(self) -> None:
        self._helper.close()

    def _count(self, block: Block) -> tuple[NDArray[np.uint8], Pixels] | None:
        """The pixels' numbers in the colours that they have; None: those are too many."""
        numbers, colours = self._colours.numbers(block), block.palette
        if numbers is None or colours is None:
            return _searched(block.pixels)
        there = np.zeros(len(colours), np.bool_)
        there[numbers] = True
        used = np.flatnonzero(there)
        if len(used) < len(colours):
            renumbered = np.zeros(len(colours), np.uint8)
            renumbered[used] = np.arange(len(used))
            numbers = renumbered[numbers]
        return numbers, colours[used]

    def _copy(self, block: Block, *, stores: bool) -> Body:
        if stores:
            return partial(self._stored, block)
        return self._through(COPY, b"", partial(self._pixels, block), block.pixels.size)

    def _stored(self, block: Block) -> bytes:
        plain = self._pixels(block)
        if len(plain) < MIN_COMPRESSED:
            return bytes((COPY << 4,)) + plain
        stored = self._streams[COPY].store(plain)
        return bytes((COPY << 4,)) + compact(len(stored)) + stored

    def _pixels(self, block: Block) -> bytes:
        if self._colours.form.is_true_colour:
            return self._colours.tpixels(block.pixels)
        return self._colours.convert(block).tobytes()

    def _with_palette(self, kind: int, colours: Pixels, data: NDArray[np.uint8]) -> Body:
        head = bytes((PALETTE_FILTER, len(colours) - 1)) + self._colours.tpixels(colours)
        return self._through(kind, head, data.tobytes, data.size)

    def _through(self, kind: int, head: bytes, data: Callable[[], bytes], size: int) -> Body:
        """A block through its own stream, or the helper's."""
        if size >= HELPED_BYTES:
            self._is_helped = not self._is_helped
            if not self._is_helped:
                body = self._helper.start(partial(self._deflated, HELPED, head, data))
                if body is not None:
                    return body
        return partial(self._deflated, kind, head, data)

    def _deflated(self, stream: int, head: bytes, data: Callable[[], bytes]) -> bytes:
        control, plain = stream << 4 | (FILTER if head else 0), data()
        if len(plain) < MIN_COMPRESSED:
            return bytes((control,)) + head + plain
        compressed = self._streams[stream].compress(plain)
        return bytes((control,)) + head + compact(len(compressed)) + compressed


def _searched(pixels: Pixels) -> tuple[NDArray[np.uint8], Pixels] | None:
    """The colours of a block that has no palette, if they are few."""
    flat = pixels.ravel()
    if flat.size > SEARCHED_PIXELS and len(np.unique(flat[::SAMPLE_STEP])) > 256:
        return None
    colours, numbers = np.unique(flat, return_inverse=True)
    if len(colours) > 256:
        return None
    return numbers.astype(np.uint8).reshape(pixels.shape), colours


def compact(length: int) -> bytes:
    """A length in one to three bytes, seven bits each and the last one eight; the lowest first.

    >>> compact(10000).hex(), compact(100).hex(), compact(MAX_BYTES).hex()
    ('904e', '64', 'ffffff')
    """
    parts = [length & 0x7F, length >> 7 & 0x7F, length >> 14]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return bytes(part | 0x80 for part in parts[:-1]) + bytes(parts[-1:])
