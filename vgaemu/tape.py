"""Tapes: recorded port and memory operations, played back on any VGA.

A tape is JSON lines, plain or gzipped: a header object, then one operation a line. It is read as a
stream, so it may be larger than memory. A single JSON object ``{"name": ..., "ops": [...]}`` is a
tape too, and is read whole. Numbers are integers, addresses guest-physical, `hex` is bytes:

    ["out", port, v8]            ["w8", addr, v8]             ["fill", addr, count, v8]
    ["outw", port, v16]          ["w16", addr, v16]           ["copy-in", addr, hex]
    ["outs", port, hex]          ["w32", addr, v32]           ["copy", src, dst, count]
    ["in", port, mask?]          ["r8", addr]                 ["lfb", offset, hex]
    ["inw", port, mask?]         ["r16", addr]                ["lfbfill", offset, count, v8]
    ["inx", port]                ["rx", addr]                 ["lfbread", offset, count]
                                 ["rn", addr, count]          ["rep", n, step, memory op]

Reads are logged, one value each, save ``inx`` and ``rx``. ``outs`` writes all its bytes to one
port. ``rep`` repeats an operation with its address (``copy``: both) growing by `step`. The header
needs a ``name``; the keys it may have are `HEADER_KEYS`. ``vram_mib`` is 16 if it is not there.

Before the first operation DISPI is off, VRAM and latches are zero and the display is off: `START`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, TypeAlias, cast

from vgaemu.vga.device import LFB_GPA, Vga

Op: TypeAlias = Sequence[Any]

#: The legacy windows, as `memory` operations may touch them.
LEGACY_START, LEGACY_END = 0xA0000, 0xC0000
DEFAULT_VRAM_MIB, MAX_VRAM_MIB = 16, 256
#: Ports an operation may name: the VGA's, 8 bits wide, and DISPI's, 16 bits wide.
VGA_PORTS = range(0x3B0, 0x3E0)
DISPI_PORTS = range(0x1CE, 0x1D2)
#: Input status 1 in mono and colour modes: what a read gives depends on the time.
STATUS_PORTS = (0x3BA, 0x3DA)

HEADER_KEYS = frozenset(
    "name desc bits cursor group quirks hw blits scale readbacks vram_mib".split()
)
#: A line may be as long as an ``lfb`` operation that fills 16 MiB.
MAX_LINE = (2 << 24) + 1024
MAX_REPEATS = 1 << 20


class TapeError(ValueError):
    """A tape cannot be read or written; the message is one line: file, line, and what is wrong."""


# --- what an operation may look like ----------------------------------------------------------


def _number(limit: int) -> Callable[[object], None]:
    def check(value: object) -> None:
        if type(value) is not int or not 0 <= value <= limit:
            raise TapeError(f"{_short(value)} is not a whole number from 0 to {limit}")

    return check


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _port(*ranges: range) -> Callable[[object], None]:
    def check(value: object) -> None:
        if type(value) is not int:
            raise TapeError(f"{_short(value)} is not a port number")
        if not any(value in ports for ports in ranges):
            why = "DISPI ports are 16 bits wide" if value in DISPI_PORTS else "not a VGA port"
            raise TapeError(f"port {value:#x}: {why}")

    return check


def _hex(value: object) -> None:
    try:
        if not bytes.fromhex(cast(str, value)):
            raise TapeError("the hex string is empty")
    except (TypeError, ValueError) as error:
        if isinstance(error, TapeError):
            raise
        raise TapeError(f"{_short(value)} is not a string of hex bytes") from None


def _legacy(address: int, count: int) -> None:
    if count < 1 or address < LEGACY_START or address + count > LEGACY_END:
        raise TapeError(f"{count} bytes at {address:#x} leave A0000h-BFFFFh")


def _linear(offset: int, count: int) -> None:
    # Whether they lie in VRAM as well is the header's to say; `Tape` checks that.
    if count < 1 or offset + count > MAX_VRAM_MIB << 20:
        raise TapeError(f"{count} bytes at offset {offset:#x} leave the linear frame buffer")


def _copy_spans(op: Op) -> None:
    _legacy(op[1], op[3])
    _legacy(op[2], op[3])


_VGA, _ANY = _port(VGA_PORTS), _port(VGA_PORTS, DISPI_PORTS)
_U8, _U16, _U32 = _number(0xFF), _number(0xFFFF), _number(0xFFFFFFFF)


class Shape(NamedTuple):
    """Which arguments an operation takes."""

    arguments: tuple[Callable[[object], None], ...]
    #: Checks that need more than one argument: where the operation reaches.
    reach: Callable[[Op], None] | None = None
    #: Arguments at the end that may be left out.
    optional: int = 0


SHAPES: dict[str, Shape] = {
    "out": Shape((_VGA, _U8)),
    "outw": Shape((_ANY, _U16)),
    "outs": Shape((_VGA, _hex)),
    "in": Shape((_VGA, _U8), optional=1),
    "inw": Shape((_ANY, _U16), optional=1),
    "inx": Shape((_VGA,)),
    "w8": Shape((_U32, _U8), lambda op: _legacy(op[1], 1)),
    "w16": Shape((_U32, _U16), lambda op: _legacy(op[1], 2)),
    "w32": Shape((_U32, _U32), lambda op: _legacy(op[1], 4)),
    "r8": Shape((_U32,), lambda op: _legacy(op[1], 1)),
    "r16": Shape((_U32,), lambda op: _legacy(op[1], 2)),
    "rx": Shape((_U32,), lambda op: _legacy(op[1], 1)),
    "rn": Shape((_U32, _U32), lambda op: _legacy(op[1], op[2])),
    "fill": Shape((_U32, _U32, _U8), lambda op: _legacy(op[1], op[2])),
    "copy-in": Shape((_U32, _hex), lambda op: _legacy(op[1], len(bytes.fromhex(op[2])))),
    "copy": Shape((_U32, _U32, _U32), _copy_spans),
    "lfb": Shape((_U32, _hex), lambda op: _linear(op[1], len(bytes.fromhex(op[2])))),
    "lfbfill": Shape((_U32, _U32, _U8), lambda op: _linear(op[1], op[2])),
    "lfbread": Shape((_U32, _U32), lambda op: _linear(op[1], op[2])),
}
PORT_OPS = frozenset(("out", "outw", "outs", "in", "inw", "inx"))
_REPEATS = _number(MAX_REPEATS)


def check_op(op: object) -> None:
    """Refuse what is no operation.

    Raises:
        TapeError: With what is wrong, without file and line.
    """
    if not isinstance(op, list | tuple) or not op or not isinstance(op[0], str):
        raise TapeError(f"{_short(op)} is not an operation: a list that starts with its name")
    shape = SHAPES.get(op[0])
    if shape is None:
        if op[0] != "rep":
            raise TapeError(f"there is no operation {_short(op[0])}")
        _check_rep(op)
        return
    most = len(shape.arguments)
    if not most - shape.optional <= len(op) - 1 <= most:
        wanted = f"{most - shape.optional} or {most}" if shape.optional else f"{most}"
        raise TapeError(f"{op[0]} takes {wanted} arguments, not {len(op) - 1}")
    try:
        for check, value in zip(shape.arguments, op[1:], strict=False):
            check(value)
        if shape.reach is not None:
            shape.reach(op)
    except TapeError as error:
        raise TapeError(f"{op[0]}: {error}") from None


def _check_rep(op: Op) -> None:
    if len(op) != 4:
        raise TapeError(f"rep takes 3 arguments, not {len(op) - 1}")
    _, count, step, repeated = op
    _REPEATS(count)
    if count < 1 or type(step) is not int:
        raise TapeError(f"rep: {_short(count)} times with step {_short(step)}")
    check_op(repeated)
    if repeated[0] in PORT_OPS or repeated[0] == "rep":
        raise TapeError(f"rep repeats memory operations, not {repeated[0]}")
    check_op(_stepped(repeated, step * (count - 1)))


def _stepped(op: Op, by: int) -> Op:
    addresses = 2 if op[0] == "copy" else 1
    return [op[0], *(at + by for at in op[1 : 1 + addresses]), *op[1 + addresses :]]


def expand(op: Op) -> Iterator[Op]:
    """The operation itself, or one by one what a ``rep`` repeats."""
    if op[0] != "rep":
        yield op
        return
    _, count, step, repeated = op
    for i in range(count):
        yield _stepped(repeated, i * step)


# --- reading ----------------------------------------------------------------------------------


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
        try:
            self._file = _open(self.path)
        except OSError as error:
            raise TapeError(f"{self.path}: {error.strerror or error}") from None
        self._whole: list[Any] | None = None
        try:
            self.header = self._read_header()
        except TapeError:
            self.close()
            raise

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
        with self._file:
            for op in self._operations():
                try:
                    check_op(op)
                    if vram_bytes < MAX_VRAM_MIB << 20 and "lfb" in (op[0][:3], op[-1][:3]):
                        _check_vram(op, vram_bytes)
                except TypeError:
                    pass  # the last argument is a number: no "rep"
                except TapeError as error:
                    raise self._error(str(error)) from None
                yield from expand(op)

    def _operations(self) -> Iterator[Any]:
        if self._whole is not None:
            for self._line, op in enumerate(self._whole, 1):
                yield op
            return
        while (text := self._next_line()) is not None:
            yield self._parse(text)

    def _read_header(self) -> dict[str, Any]:
        text = self._next_line()
        if text is None:
            raise TapeError(f"{self.path}: the file is empty; a tape starts with its header")
        # One object with everything in it starts either so, or with its operations on line 1.
        if text.strip() == "{" or text.lstrip().startswith("{") and '"ops"' in text:
            header = self._parse(text + self._rest())
            operations = header.pop("ops", None) if isinstance(header, dict) else None
            if not isinstance(operations, list):
                raise self._error('a tape in one object has a list "ops"')
            self._whole = operations
        else:
            header = self._parse(text)
        self._check_header(header)
        return cast(dict[str, Any], header)

    def _check_header(self, header: object) -> None:
        if not isinstance(header, dict) or not isinstance(header.get("name"), str):
            raise self._error('the header is an object with a "name"')
        unknown = sorted(set(header) - HEADER_KEYS)
        if unknown:
            raise self._error(f"the header has unknown keys: {', '.join(unknown)}")
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

    def _rest(self) -> str:
        return self._decode(self._read(self._file.read))

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

    def _parse(self, text: str) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            self._line += error.lineno - 1
            raise self._error(f"not JSON: {error.msg} at column {error.colno}") from None
        except (ValueError, RecursionError) as error:  # an absurdly long number, or deep nesting
            raise self._error(f"not a tape: {error}") from None

    def _error(self, what: str) -> TapeError:
        place = f"op {self._line}" if self._whole is not None else f"line {self._line}"
        return TapeError(f"{self.path}: {place}: {what}")


def _check_vram(op: Op, vram_bytes: int) -> None:
    for each in (op,) if op[0] != "rep" else (op[3], _stepped(op[3], op[2] * (op[1] - 1))):
        count = len(bytes.fromhex(each[2])) if each[0] == "lfb" else each[2]
        if each[1] + count > vram_bytes:
            raise TapeError(f"{each[0]}: {count} bytes at offset {each[1]:#x} leave VRAM")


def _open(path: Path) -> IO[bytes]:
    """Plain or gzipped, as the first two bytes say."""
    file = path.open("rb")
    if file.peek(2)[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.GzipFile(fileobj=_Closing(file), mode="rb"))
    return file
