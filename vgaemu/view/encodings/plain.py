"""Raw: pixels as they are. Zlib: the same through one stream of zlib.

What deflates is isal where that is installed (extra `[view]`): a quarter of zlib's time for as many
bytes. It lets go of the interpreter, too.

Source: RFC 6143, 7.7.1; the rfbproto project's page for Zlib.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property, partial
from importlib import import_module
from typing import Protocol

from vgaemu.view.encodings.base import Block, Body, Colours

#: The fastest; 2 and more take longer than they save on a loopback, and little on a network.
LEVEL = 1
#: A block of deflate that is not compressed: final or not and its kind in a byte, how many bytes,
#: and the same inverted.
_STORED, STORED_BYTES = struct.Struct("<BHH"), 0xFFFF


class Deflater(Protocol):
    """A stream of zlib's, or of whatever does the same."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self, mode: int, /) -> bytes: ...


@cache
def _deflaters() -> Callable[[int], Deflater]:
    """Makes one of a level."""
    with suppress(ImportError):  # missing, or not for this system
        made: Callable[[int], Deflater] = import_module("isal.isal_zlib").compressobj
        return made
    return zlib.compressobj


class RawEncoder:
    """Every viewer takes it."""

    def __init__(self, colours: Colours) -> None:
        self._colours = colours

    def encode(self, block: Block, *, stores: bool) -> Body:
        return partial(self._encoded, block)

    def _encoded(self, block: Block) -> bytes:
        return self._colours.convert(block).tobytes()

    def close(self) -> None:
        pass


class ZlibEncoder:
    """What asyncvnc takes."""

    def __init__(self, colours: Colours) -> None:
        self._colours = colours
        self._stream = Stream()

    def encode(self, block: Block, *, stores: bool) -> Body:
        return partial(self._encoded, block)

    def _encoded(self, block: Block) -> bytes:
        data = self._stream.compress(self._colours.convert(block).tobytes())
        return len(data).to_bytes(4, "big") + data

    def close(self) -> None:
        pass


class Stream:
    """A stream of zlib that goes on for as long as a viewer looks: it knows what came before."""

    @cached_property
    def _zlib(self) -> Deflater:
        return _deflaters()(LEVEL)  # a quarter of a MiB

    def compress(self, data: bytes) -> bytes:
        """Bytes that the viewer can make all of `data` of at once."""
        return self._zlib.compress(data) + self._zlib.flush(zlib.Z_SYNC_FLUSH)

    def store(self, data: bytes) -> bytes:
        """The same, as it is: a copy."""
        # zlib does not know of what comes here: later it must not refer to anything before.
        parts = [self._zlib.flush(zlib.Z_FULL_FLUSH)]
        for i in range(0, len(data), STORED_BYTES):
            part = data[i : i + STORED_BYTES]
            parts += (_STORED.pack(0, len(part), len(part) ^ 0xFFFF), part)
        return b"".join(parts)
