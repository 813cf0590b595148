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
    ["frame", number]            ["rn", addr, count]          ["rep", n, step, memory op]

Reads are logged, one value each, save ``inx`` and ``rx``. ``outs`` writes all its bytes to one
port. ``rep`` repeats an operation with its address (``copy``: both) growing by `step`. ``frame``,
which only vgaemu has, says which frame was drawn last: whether blinking and cursor are shown. It is
at the end of recordings that end with them hidden. The header
needs a ``name``; the keys it may have are `HEADER_KEYS`. ``vram_mib`` is 16 if it is not there.

Before the first operation DISPI is off, VRAM and latches are zero and the display is off: `START`.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias, cast

from vgaemu.errors import TapeError
from vgaemu.vga.device import DEFAULT_VRAM_MIB, LFB_GPA, MAX_VRAM_MIB, Vga
from vgaemu.vga.ports import ADAPTER_PORTS, Device

Op: TypeAlias = Sequence[Any]

#: The legacy windows, as `memory` operations may touch them.
LEGACY_START, LEGACY_END = 0xA0000, 0xC0000
#: Ports an operation may name beside those of adapters: DISPI's, 16 bits wide.
DISPI_PORTS = range(0x1CE, 0x1D2)
#: Input status 1 in mono and colour modes: what a read gives depends on the time.
STATUS_PORTS = (0x3BA, 0x3DA)

HEADER_KEYS = {
    "name", "desc", "bits", "cursor", "group", "quirks", "hw", "blits", "scale", "readbacks",
    "vram_mib",
}  # fmt: skip
#: The key of a tape in one object that a header has not; its name or description may be "ops".
OPS_KEY = re.compile(r'\s*\{.*"ops"\s*:', re.DOTALL)
#: A line may be as long as an ``lfb`` operation that fills 16 MiB.
MAX_LINE = (2 << 24) + 1024
MAX_REPEATS = 1 << 20


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
        data = bytes.fromhex(cast(str, value))
    except (TypeError, ValueError):
        raise TapeError(f"{_short(value)} is not a string of hex bytes") from None
    if not data:
        raise TapeError("the hex string is empty")


def _legacy(address: int, count: int) -> None:
    if count < 1 or address < LEGACY_START or address + count > LEGACY_END:
        raise TapeError(f"{count} bytes at {address:#x} leave A0000h-BFFFFh")


def _linear(offset: int, count: int, vram_bytes: int) -> None:
    if count < 1 or offset + count > vram_bytes:
        raise TapeError(f"{count} bytes at offset {offset:#x} leave the linear frame buffer")


def _copy_reach(op: Op, vram_bytes: int) -> None:
    _legacy(op[1], op[3])
    _legacy(op[2], op[3])


_VGA, _ANY = _port(ADAPTER_PORTS), _port(ADAPTER_PORTS, DISPI_PORTS)
_U8, _U16, _U32 = _number(0xFF), _number(0xFFFF), _number(0xFFFFFFFF)


class Shape(NamedTuple):
    """Which arguments an operation takes."""

    arguments: tuple[Callable[[object], None], ...]
    #: Takes the operation and the size of VRAM: does it stay where it may reach?
    reach: Callable[[Op, int], None] | None = None
    #: Arguments at the end that may be left out.
    optional: int = 0


SHAPES: dict[str, Shape] = {
    "out": Shape((_VGA, _U8)),
    "outw": Shape((_ANY, _U16)),
    "outs": Shape((_VGA, _hex)),
    "in": Shape((_VGA, _U8), optional=1),
    "inw": Shape((_ANY, _U16), optional=1),
    "inx": Shape((_VGA,)),
    "frame": Shape((_U32,)),
    "w8": Shape((_U32, _U8), lambda op, _: _legacy(op[1], 1)),
    "w16": Shape((_U32, _U16), lambda op, _: _legacy(op[1], 2)),
    "w32": Shape((_U32, _U32), lambda op, _: _legacy(op[1], 4)),
    "r8": Shape((_U32,), lambda op, _: _legacy(op[1], 1)),
    "r16": Shape((_U32,), lambda op, _: _legacy(op[1], 2)),
    "rx": Shape((_U32,), lambda op, _: _legacy(op[1], 1)),
    "rn": Shape((_U32, _U32), lambda op, _: _legacy(op[1], op[2])),
    "fill": Shape((_U32, _U32, _U8), lambda op, _: _legacy(op[1], op[2])),
    "copy-in": Shape((_U32, _hex), lambda op, _: _legacy(op[1], len(bytes.fromhex(op[2])))),
    "copy": Shape((_U32, _U32, _U32), _copy_reach),
    "lfb": Shape((_U32, _hex), lambda op, size: _linear(op[1], len(bytes.fromhex(op[2])), size)),
    "lfbfill": Shape((_U32, _U32, _U8), lambda op, size: _linear(op[1], op[2], size)),
    "lfbread": Shape((_U32, _U32), lambda op, size: _linear(op[1], op[2], size)),
}
#: What "rep" does not take.
NOT_REPEATED = ("rep", "out", "outw", "outs", "in", "inw", "inx", "frame")


def check_op(op: object, vram_bytes: int = DEFAULT_VRAM_MIB << 20) -> None:
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
        _check_rep(op, vram_bytes)
        return
    most = len(shape.arguments)
    if not most - shape.optional <= len(op) - 1 <= most:
        wanted = f"{most - shape.optional} or {most}" if shape.optional else f"{most}"
        raise TapeError(f"{op[0]} takes {wanted} arguments, not {len(op) - 1}")
    try:
        for check, value in zip(shape.arguments, op[1:], strict=False):
            check(value)
        if shape.reach is not None:
            shape.reach(op, vram_bytes)
    except TapeError as error:
        raise TapeError(f"{op[0]}: {error}") from None


def _check_rep(op: Op, vram_bytes: int) -> None:
    if len(op) != 4:
        raise TapeError(f"rep takes 3 arguments, not {len(op) - 1}")
    _, count, step, repeated = op
    if type(count) is not int or not 1 <= count <= MAX_REPEATS or type(step) is not int:
        raise TapeError(f"rep: {_short(count)} times with step {_short(step)}")
    if isinstance(repeated, list | tuple) and repeated and repeated[0] in NOT_REPEATED:
        raise TapeError(f"rep repeats memory operations, not {repeated[0]}")
    check_op(repeated, vram_bytes)
    check_op(_stepped(repeated, step * (count - 1)), vram_bytes)


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
        #: Operations of a tape in one object; None where they are lines.
        self._whole: list[Any] | None = None
        try:
            self._raw = self.path.open("rb")
        except OSError as error:
            raise TapeError(f"{self.path}: {error.strerror or error}") from None
        self._file: IO[bytes] = self._raw
        if self._raw.peek(2)[:2] == b"\x1f\x8b":
            self._file = cast(IO[bytes], gzip.GzipFile(fileobj=self._raw))
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
            yield self._parse(text)

    def _read_header(self) -> dict[str, Any]:
        text = self._next_line()
        if text is None:
            raise TapeError(f"{self.path}: the file is empty; a tape starts with its header")
        # One object with everything in it starts either so, or with its operations on line 1.
        if text.strip() == "{" or OPS_KEY.match(text):
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


# --- playing ----------------------------------------------------------------------------------


#: Brings a device that was used before to where a tape starts; a new one needs only the first
#: three, which switch RAM on and choose the ports at 3Dxh.
START: tuple[Op, ...] = (
    ("outw", 0x1CE, 4),
    ("outw", 0x1CF, 0),  # DISPI off
    ("out", 0x3C2, 0x63),
    ("inx", 0x3DA),
    *(("outw", 0x3D4, index) for index in (0x11, *range(0x19))),  # 11h first: it locks the others
    *(("outw", 0x3C4, index) for index in range(5)),
    *(("outw", 0x3CE, index) for index in range(9)),
    *(("out", 0x3C0, value) for index in range(0x15) for value in (index, 0)),
    ("out", 0x3C0, 0),  # palette address source off: no picture
    ("inx", 0x3DA),
    *(("out", port, 0) for port in (0x3C4, 0x3CE, 0x3D4, 0x3C8)),
    ("outw", 0x1CE, 0),
    ("outs", 0x3C9, bytes(768).hex()),
    ("out", 0x3C7, 0),
    ("out", 0x3C8, 0),
    ("out", 0x3C6, 0xFF),
    ("lfbfill", 0, DEFAULT_VRAM_MIB << 20, 0),  # what leaves a smaller VRAM is ignored
    ("rx", 0xA0000),  # zeros into the latches
)


class Player:
    """Plays operations on a device, as many at a time as wanted, and keeps what was read."""

    def __init__(self, device: Device, ops: Iterable[Op], *, keep_readbacks: bool = True) -> None:
        """Prepare to play.

        Args:
            device: What to play on.
            ops: Checked operations without ``rep``: a `Tape`, or what `expand` gives.
            keep_readbacks: Keep the logged reads; a tape may log more than fits memory.
        """
        self._ops = iter(ops)
        #: Number of the frame that was drawn last, as far as the tape says.
        self.frame = 0
        #: Logged reads so far, in order; 16 bits are enough for each.
        self.readbacks = array("H")
        keep = self.readbacks
        self._plays = (
            _player(device, keep.append, keep.extend)
            if keep_readbacks
            else _player(device, _forget, _forget)
        )
        self._plays["frame"] = self._set_frame

    def play(self, count: int | None = None) -> bool:
        """Play the next operations.

        Args:
            count: At most this many; None for all.

        Returns:
            Whether as many were played as asked for; False at the end of the tape.
        """
        plays = self._plays
        played = 0
        for op in islice(self._ops, count):
            plays[op[0]](op)
            played += 1
        return played == count

    def _set_frame(self, op: Op) -> None:
        self.frame = op[1]


def _forget(value: object) -> None:
    pass


def _player(
    device: Device, log: Callable[[int], object], log_all: Callable[[bytes], object]
) -> dict[str, Callable[[Op], object]]:
    """Operation -> the function that plays one on `device`."""
    outb, outw, inb, inw = device.outb, device.outw, device.inb, device.inw
    store, load, copy = device.store, device.load, device.copy

    def outs(op: Op) -> None:
        for value in bytes.fromhex(op[2]):
            outb(op[1], value)

    def r16(op: Op) -> None:
        log(int.from_bytes(load(op[1], 2), "little"))
        if op[1] & 1:
            # Tapes follow QEMU's CPU here: it splits an unaligned word load into two aligned
            # ones, so the byte above is read as well, and the latches hold its address.
            load(op[1] + 2, 1)

    return {
        "out": lambda op: outb(op[1], op[2]),
        "outw": lambda op: outw(op[1], op[2]),
        "outs": outs,
        "in": lambda op: log(inb(op[1]) & (op[2] if len(op) > 2 else 0xFF)),
        "inw": lambda op: log(inw(op[1]) & (op[2] if len(op) > 2 else 0xFFFF)),
        "inx": lambda op: inb(op[1]),
        "w8": lambda op: store(op[1], op[2].to_bytes(1)),
        "w16": lambda op: store(op[1], op[2].to_bytes(2, "little")),
        "w32": lambda op: store(op[1], op[2].to_bytes(4, "little")),
        "r8": lambda op: log(load(op[1], 1)[0]),
        "r16": r16,
        "rx": lambda op: load(op[1], 1),
        "rn": lambda op: log_all(load(op[1], op[2])),
        "fill": lambda op: store(op[1], op[3].to_bytes(1) * op[2]),
        "copy-in": lambda op: store(op[1], bytes.fromhex(op[2])),
        "copy": lambda op: copy(op[1], op[2], op[3]),
        "lfb": lambda op: store(LFB_GPA + op[1], bytes.fromhex(op[2])),
        "lfbfill": lambda op: store(LFB_GPA + op[1], op[3].to_bytes(1) * op[2]),
        "lfbread": lambda op: log_all(load(LFB_GPA + op[1], op[2])),
    }


# --- recording --------------------------------------------------------------------------------

#: Stores of one value at least this long become a "fill".
FILL_BYTES = 4
#: Longer stores become several operations, so that no line is long.
PIECE_BYTES = 1 << 16


class TapeRecorder:
    """Writes every port and memory operation on a `Vga` to a tape, from power on.

    While it is attached `Vga.window` answers None, so that guests that know plain memory go through
    `store` and `load` as well. Bytes put straight into the `Memslot` are not on the tape.
    """

    def __init__(self, vga: Vga, path: str | Path) -> None:
        """Start recording.

        Args:
            vga: Just made: nothing was written to it yet.
            path: The tape; gzipped if it ends in ``.gz``.

        Raises:
            TapeError: The device was used before, or the file cannot be written.
        """
        self.path = Path(path)
        if vga.generation or vga.dac.generation or vga.slot.array.any():
            raise TapeError(
                f"{self.path}: a recording starts at power on; this VGA was used before"
            )
        self._vga = vga
        self._inside = False
        self._memories = (
            LEGACY,
            _Memory(LFB_GPA, LFB_GPA + vga.slot.nbytes, LFB_GPA, "lfb", "lfbfill", "lfbread"),
        )
        self._error: OSError | None = None
        try:
            self._raw = self.path.open("wb")
        except OSError as error:
            raise TapeError(f"{self.path}: {error.strerror or error}") from None
        self._file: IO[bytes] = self._raw
        if self.path.suffix == ".gz":
            # No time stamp, no name: two recordings of one run are the same bytes.
            self._file = cast(
                IO[bytes], gzip.GzipFile("", "wb", fileobj=self._raw, compresslevel=6, mtime=0)
            )
        name = self.path.name.removesuffix(".gz").removesuffix(".tape")
        header: dict[str, object] = {"name": name, "group": "recorded"}
        if vga.slot.nbytes != DEFAULT_VRAM_MIB << 20:
            header["vram_mib"] = vga.slot.nbytes >> 20
        self._write_line(header)
        self._write("out", 0x3C2, vga.misc.values[0])  # a tape starts at 63h
        self._attach()

    def close(self, *, hidden_in: int | None = None) -> None:
        """Stop recording; twice is fine.

        Args:
            hidden_in: Number of the frame that was drawn last, if blinking was hidden in it.

        Raises:
            TapeError: Something could not be written: the tape ends there.
        """
        if self._raw.closed:
            return
        for name in self._wrappers():
            delattr(self._vga, name)
        self._map_changed()
        if hidden_in is not None:
            self._write("frame", hidden_in)
        try:
            self._file.close()
            self._raw.close()
        except OSError as error:
            self._error = self._error or error
        if self._error is not None:
            raise TapeError(f"{self.path}: {self._error.strerror or self._error}")

    def __enter__(self) -> TapeRecorder:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _write(self, *op: object) -> None:
        self._write_line(op)

    def _write_line(self, line: object) -> None:
        if self._error is None:
            try:
                self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
            except OSError as error:  # the guest goes on; `close` tells
                self._error = error

    def _wrappers(self) -> dict[str, tuple[Callable[..., Any], Callable[..., bool | None]]]:
        """Method of the device -> itself, and what writes a call of it down."""
        return {
            "outb": (Vga.outb, self._outb),
            "outw": (Vga.outw, self._outw),
            "inb": (Vga.inb, self._inb),
            "inw": (Vga.inw, self._inw),
            "store": (Vga.store, self._store),
            "load": (Vga.load, self._load),
            "copy": (Vga.copy, self._copy),
            "window": (lambda vga, gpa: None, lambda gpa: None),
        }

    def _attach(self) -> None:
        for name, (method, note) in self._wrappers().items():
            setattr(self._vga, name, self._wrapped(method, note))
        self._map_changed()

    def _map_changed(self) -> None:
        for callback in self._vga.on_map_changed:
            callback()

    def _wrapped(
        self, method: Callable[..., Any], note: Callable[..., bool | None]
    ) -> Callable[..., Any]:
        """The method, written down unless another method of the device calls it."""

        def call(*arguments: Any) -> Any:
            if self._inside or note(*arguments) is False:
                return method(self._vga, *arguments)
            self._inside = True
            try:
                return method(self._vga, *arguments)
            finally:
                self._inside = False

        return call

    def _outb(self, port: int, value: int) -> None:
        if port in ADAPTER_PORTS:
            self._write("out", port, value & 0xFF)

    def _outw(self, port: int, value: int) -> None:
        if port in ADAPTER_PORTS or port in DISPI_PORTS:
            self._write("outw", port, value & 0xFFFF)

    def _inb(self, port: int) -> None:
        if port in ADAPTER_PORTS:
            self._write("inx" if port in STATUS_PORTS else "in", port)

    def _inw(self, port: int) -> None:
        if port in DISPI_PORTS or (
            port in ADAPTER_PORTS and not {port, port + 1} & {*STATUS_PORTS}
        ):
            self._write("inw", port)
        else:
            self._inb(port)
            self._inb(port + 1)

    def _store(self, gpa: int, data: Any) -> None:
        data = bytes(data)
        for memory, start, end in self._reached(gpa, len(data)):
            for at in range(start, end, PIECE_BYTES):
                piece = data[at - gpa : min(at + PIECE_BYTES, end) - gpa]
                if len(piece) >= FILL_BYTES and piece.count(piece[0]) == len(piece):
                    self._write(memory.fill, at - memory.base, len(piece), piece[0])
                else:
                    self._write(memory.store, at - memory.base, piece.hex())

    def _load(self, gpa: int, count: int) -> None:
        for memory, start, end in self._reached(gpa, count):
            self._write(memory.load, start - memory.base, end - start)

    def _reached(self, gpa: int, count: int) -> Iterator[tuple[_Memory, int, int]]:
        """The parts of a range that operations can reach: (memory, start, end)."""
        for memory in self._memories:
            start, end = max(gpa, memory.start), min(gpa + count, memory.end)
            if start < end:
                yield memory, start, end

    def _copy(self, src: int, dst: int, count: int) -> bool:
        inside = all(at >= LEGACY_START and at + count <= LEGACY_END for at in (src, dst))
        if inside and count:
            self._write("copy", src, dst, count)
        # What has no operation is written down as the loads and stores it is made of.
        return inside


class _Memory(NamedTuple):
    """A range of addresses and the operations that reach it."""

    start: int
    end: int
    #: What operations count their addresses from.
    base: int
    store: str
    fill: str
    load: str


LEGACY = _Memory(LEGACY_START, LEGACY_END, 0, "copy-in", "fill", "rn")
