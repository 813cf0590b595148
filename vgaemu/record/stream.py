"""Stream: a file that grows by whole pieces and ends well after each of them.

Formats with a tail (IEND, a trailer byte) have it written behind each piece and overwritten by the
next; what a head counts is patched in place. So whatever ends the process, what lies there plays.
"""

from __future__ import annotations

from contextlib import suppress
from io import FileIO
from typing import BinaryIO


class Stream:
    """Writes past a file's buffer: what did not fit must not be tried again when it closes."""

    def __init__(self, file: BinaryIO, tail: bytes = b"") -> None:
        """Begin at the file's beginning; it stays the caller's to close."""
        self._raw = FileIO(file.fileno(), "r+", closefd=False)
        self._tail = tail
        #: Bytes before the tail.
        self.size = 0

    def append(self, piece: bytes) -> None:
        """Add a piece.

        Raises:
            OSError: It does not fit; the file ends before it then.
        """
        try:
            self._write(self.size, piece + self._tail)
        except OSError:
            with suppress(OSError):
                self._raw.truncate(self.size + len(self._tail))
                self._write(self.size, self._tail)
            raise
        self.size += len(piece)

    def patch(self, at: int, data: bytes) -> None:
        """Write over what is there.

        Raises:
            OSError: It cannot be written.
        """
        self._write(at, data)

    def begin_anew(self) -> bytes:
        """Empty the file; returns what was in it, without the tail."""
        self._raw.seek(0)
        was = self._raw.read(self.size) or b""
        self._raw.truncate(0)
        self.size = 0
        return was

    def _write(self, at: int, data: bytes) -> None:
        self._raw.seek(at)
        _write_all(self._raw, data)


class Output:
    """A file as a library writes it, that would not take an error well: it finds out too late.

    After the first one, which is kept, nothing is written any more, and the library not told.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._raw = FileIO(file.fileno(), "r+", closefd=False)
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        """What fits."""
        if self._error is None:
            try:
                _write_all(self._raw, data)
            except OSError as error:
                self._error = error
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files do."""
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        """As files do."""
        return self._raw.tell()

    def check(self) -> None:
        """Tell whether all could be written.

        Raises:
            OSError: It could not.
        """
        if self._error is not None:
            raise self._error


def _write_all(raw: FileIO, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[raw.write(left) :]
