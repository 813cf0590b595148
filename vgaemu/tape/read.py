"""Reading tapes: a header, then one operation at a time, checked.

A tape comes from anywhere, and JSON unpacks: a value of two bytes takes a hundred. So texts are
measured, and the values in them counted, before they become objects.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from vgaemu.errors import TapeError, file_error
from vgaemu.tape.ops import Op, check_op, expand
from vgaemu.vga.vram import DEFAULT_VRAM_MIB, MAX_VRAM_MIB

HEADER_KEYS = {
    "name", "desc", "bits", "cursor", "group", "quirks", "hw", "blits", "scale", "readbacks",
    "vram_mib",
}  # fmt: skip
#: The key of a tape in one object that a header has not; its name or description may be "ops".
OPS_KEY = re.compile(r'\s*\{.*"ops"\s*:', re.DOTALL)
#: A line may be as long as an ``lfb`` operation that fills 16 MiB; so may a tape in one object.
MAX_LINE = (2 << 24) + 1024
#: A line that is longer than the first may have as many values as the second; no operation of that
#: length has more than a few.
LONG_LINE, MAX_VALUES = 1 << 16, 64
#: Values of a tape in one object: lines have no such limit.
MAX_WHOLE_VALUES = 1 << 20


class Tape:
    """A tape opened for reading: its header, and once through its operations.

    Iterating checks and expands one operation at a time, and closes the file at the end.
    """

    def __init__(self, path: str | Path) -> None:
        """Open a tape and read its header.

        Raises:
            TapeError: It cannot be read, or its header is none.
        """
        self.path = Path(path)
        self._line = 0
        #: Operations of a tape in one object; None where they are lines.
        self._whole: list[Any] | None = None
        try:
            self._raw = self.path.open("rb")
        except OSError as error:
            raise TapeError(file_error(self.path, error, "name a tape")) from None
        self._file: IO[bytes] = self._raw
        if self._raw.peek(2)[:2] == b"\x1f\x8b":
            self._file = cast(IO[bytes], gzip.GzipFile(fileobj=self._raw))
        try:
            self.header = self._read_header()
        except TapeError:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<Tape {self.name!r}, {self.vram_mib} MiB of VRAM>"

    @property
    def name(self) -> str:
        """What the header calls it."""
        return cast(str, self.header["name"])

    @property
    def vram_mib(self) -> int:
        """Size of the VRAM that it was recorded with."""
        return cast(int, self.header.get("vram_mib", DEFAULT_VRAM_MIB))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Op]:
        """The operations, without ``rep``.

        Raises:
            TapeError: A line is no operation, or the file ends in the middle.
        """
        vram_bytes = self.vram_mib << 20
        with self:
            for op in self._operations():
                try:
                    check_op(op, vram_bytes)
                except TapeError as error:
                    raise self._error(str(error)) from None
                yield from expand(op)

    def _operations(self) -> Iterator[Any]:
        if self._whole is not None:
            for number, op in enumerate(self._whole, 1):
                self._line = number
                yield op
            return
        while (text := self._next_line()) is not None:
            yield self._parse_line(text)

    def _read_header(self) -> dict[str, Any]:
        text = self._next_line()
        if text is None:
            raise TapeError(f"{self.path}: the file is empty; a tape starts with its header")
        # One object with everything in it starts either so, or with its operations on line 1.
        if text.strip() == "{" or OPS_KEY.match(text):
            header = self._parse(self._rest_of(text))
            operations = header.pop("ops", None) if isinstance(header, dict) else None
            if not isinstance(operations, list):
                raise self._error('a tape in one object has a list "ops"')
            self._whole = operations
        else:
            header = self._parse_line(text)
        self._check_header(header)
        return cast(dict[str, Any], header)

    def _check_header(self, header: object) -> None:
        if not isinstance(header, dict) or not isinstance(header.get("name"), str):
            raise self._error('the header is an object with a "name"')
        unknown = sorted(set(header) - HEADER_KEYS)
        if unknown:
            raise self._error(f"the header has unknown keys: {', '.join(unknown)[:100]}")
        vram_mib = header.get("vram_mib", DEFAULT_VRAM_MIB)
        if type(vram_mib) is not int or not 1 <= vram_mib <= MAX_VRAM_MIB:
            raise self._error(f"vram_mib is a number from 1 to {MAX_VRAM_MIB}")

    def _next_line(self) -> str | None:
        """The next line that is not blank, or None at the end."""
        while True:
            self._line += 1
            raw = self._read(lambda: self._file.readline(MAX_LINE))
            if not raw:
                return None
            if len(raw) >= MAX_LINE:
                raise self._error(f"the line is longer than {MAX_LINE} bytes")
            if not raw.isspace():
                return self._decode(raw)

    def _rest_of(self, head: str) -> str:
        """All of a tape in one object, whose first line has been read."""
        left = MAX_LINE - len(head)
        raw = self._read(lambda: self._file.read(left))
        if len(raw) >= left:
            raise self._error(f"one object of more than {MAX_LINE} bytes; write it as lines")
        text = head + self._decode(raw)
        if _values(text) > MAX_WHOLE_VALUES:
            raise self._error(
                f"one object of more than {MAX_WHOLE_VALUES} values; write it as lines"
            )
        return text

    def _read(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except EOFError:
            raise self._error("the gzipped file is cut off") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self._error(f"the gzipped file is damaged: {error}") from None
        except OSError as error:
            raise self._error(error.strerror or str(error)) from None

    def _decode(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self._error("the text is not UTF-8; a tape is JSON lines") from None

    def _parse_line(self, text: str) -> Any:
        if len(text) > LONG_LINE and _values(text) > MAX_VALUES:
            raise self._error("not a tape: a line of more values than an operation has")
        return self._parse(text)

    def _parse(self, text: str) -> Any:
        try:
            return json.loads(text.rstrip())
        except json.JSONDecodeError as error:
            self._line += error.lineno - 1
            raise self._error(f"not JSON: {error.msg} at column {error.colno}") from None
        except RecursionError:
            raise self._error("not a tape: brackets in brackets without end") from None
        except ValueError as error:  # an absurdly long number
            raise self._error(f"not a tape: {error}") from None

    def _error(self, what: str) -> TapeError:
        place = f"op {self._line}" if self._whole is not None else f"line {self._line}"
        return TapeError(f"{self.path}: {place}: {what}")


def _values(text: str) -> int:
    """A JSON text has no more values, but for the first and for brackets in brackets."""
    return text.count(",") + text.count(":")
