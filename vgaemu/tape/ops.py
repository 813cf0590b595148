"""Operations of tapes: a row each, with what it takes, where it reaches, and what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

from vgaemu.errors import TapeError
from vgaemu.snapshot import MAX_COUNT
from vgaemu.vga.ports import ADAPTER_PORTS, Device
from vgaemu.vga.vram import DEFAULT_VRAM_MIB, LFB_GPA

Op: TypeAlias = Sequence[Any]
#: Refuses a start and a count of bytes, given the bytes of VRAM.
Within: TypeAlias = Callable[[int, int, int], None]

#: The legacy windows, as `memory` operations may touch them.
LEGACY_START, LEGACY_END = 0xA0000, 0xC0000
#: Ports an operation may name are `ADAPTER_PORTS`, 8 bits wide, and DISPI's, 16 bits wide.
DISPI_PORTS = range(0x1CE, 0x1D2)
MAX_REPEATS = 1 << 20


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


def _legacy(address: int, count: int, vram_bytes: int) -> None:
    if count < 1 or address < LEGACY_START or address + count > LEGACY_END:
        raise TapeError(f"{count} bytes at {address:#x} leave A0000h-BFFFFh")


def _copy_reach(op: Op, vram_bytes: int) -> None:
    for at in op[1:3]:
        _legacy(at, op[3], vram_bytes)


def _linear(offset: int, count: int, vram_bytes: int) -> None:
    if count < 1 or offset + count > vram_bytes:
        raise TapeError(f"{count} bytes at offset {offset:#x} leave the linear frame buffer")


_VGA, _ANY = _port(ADAPTER_PORTS), _port(ADAPTER_PORTS, DISPI_PORTS)
_U8, _U16, _U32 = _number(0xFF), _number(0xFFFF), _number(0xFFFFFFFF)


class Log(Protocol):
    """Where reads go that a tape logs."""

    def append(self, value: int) -> None:
        """One value, of 16 bits at most."""

    def extend(self, values: Sequence[int]) -> None:
        """One value a byte."""


class Operation(NamedTuple):
    """One row."""

    #: A check for each argument.
    arguments: tuple[Callable[[object], None], ...]
    #: Does it to a device; what is read goes to the log.
    play: Callable[[Device, Log, Op], object]
    #: Takes the operation and the bytes of VRAM: does it stay where it may reach?
    reach: Callable[[Op, int], None] | None = None
    #: Arguments at the end that may be left out.
    optional: int = 0
    #: Arguments as a device's method has them -> as a tape has them.
    note: Callable[..., tuple[Any, ...]] = lambda *arguments: arguments
    #: Arguments at the start that are addresses: what ``rep`` may repeat has some.
    addresses: int = 0


def _outs(device: Device, log: Log, op: Op) -> None:
    for value in bytes.fromhex(op[2]):
        device.outb(op[1], value)


def _in(device: Device, log: Log, op: Op) -> None:
    log.append(device.inb(op[1]) & (op[2] if len(op) > 2 else 0xFF))


def _inw(device: Device, log: Log, op: Op) -> None:
    log.append(device.inw(op[1]) & (op[2] if len(op) > 2 else 0xFFFF))


def _r16(device: Device, log: Log, op: Op) -> None:
    log.append(int.from_bytes(device.load(op[1], 2), "little"))
    if op[1] & 1:
        # Tapes follow QEMU's CPU here: it splits an unaligned word load into two aligned
        # ones, so the byte above is read as well, and the latches hold its address.
        device.load(op[1] + 2, 1)


def _store(nbytes: int) -> Operation:
    return Operation(
        (_U32, _number((1 << 8 * nbytes) - 1)),
        lambda device, log, op: device.store(op[1], op[2].to_bytes(nbytes, "little")),
        lambda op, size: _legacy(op[1], nbytes, size),
        addresses=1,
    )


def _load(nbytes: int, play: Callable[[Device, Log, Op], object]) -> Operation:
    return Operation((_U32,), play, lambda op, size: _legacy(op[1], nbytes, size), addresses=1)


def _fill(base: int, within: Within) -> Operation:
    return Operation(
        (_U32, _U32, _U8),
        lambda device, log, op: device.store(base + op[1], op[3].to_bytes(1) * op[2]),
        lambda op, size: within(op[1], op[2], size),
        addresses=1,
    )


def _bytes_in(base: int, within: Within) -> Operation:
    return Operation(
        (_U32, _hex),
        lambda device, log, op: device.store(base + op[1], bytes.fromhex(op[2])),
        lambda op, size: within(op[1], len(bytes.fromhex(op[2])), size),
        note=lambda at, data: (at, data.hex()),
        addresses=1,
    )


def _bytes_out(base: int, within: Within) -> Operation:
    return Operation(
        (_U32, _U32),
        lambda device, log, op: log.extend(device.load(base + op[1], op[2])),
        lambda op, size: within(op[1], op[2], size),
        addresses=1,
    )


# fmt: off
OPERATIONS: dict[str, Operation] = {
    "out": Operation((_VGA, _U8), lambda device, log, op: device.outb(op[1], op[2]),
                     note=lambda port, value: (port, value & 0xFF)),
    "outw": Operation((_ANY, _U16), lambda device, log, op: device.outw(op[1], op[2]),
                      note=lambda port, value: (port, value & 0xFFFF)),
    "outs": Operation((_VGA, _hex), _outs),
    "in": Operation((_VGA, _U8), _in, optional=1),
    "inw": Operation((_ANY, _U16), _inw, optional=1),
    "inx": Operation((_VGA,), lambda device, log, op: device.inb(op[1])),
    # Who plays a tape takes these two himself.
    "frame": Operation((_U32,), lambda device, log, op: None),
    "beam": Operation((_number(MAX_COUNT),), lambda device, log, op: None, optional=1),
    "w8": _store(1),
    "w16": _store(2),
    "w32": _store(4),
    "r8": _load(1, lambda device, log, op: log.append(device.load(op[1], 1)[0])),
    "r16": _load(2, _r16),
    "rx": _load(1, lambda device, log, op: device.load(op[1], 1)),
    "rn": _bytes_out(0, _legacy),
    "fill": _fill(0, _legacy),
    "copy-in": _bytes_in(0, _legacy),
    "copy": Operation((_U32, _U32, _U32), lambda device, log, op: device.copy(op[1], op[2], op[3]),
                      _copy_reach, addresses=2),
    "lfb": _bytes_in(LFB_GPA, _linear),
    "lfbfill": _fill(LFB_GPA, _linear),
    "lfbread": _bytes_out(LFB_GPA, _linear),
}
# fmt: on


def check_op(op: object, vram_bytes: int = DEFAULT_VRAM_MIB << 20) -> None:
    """Refuse what is no operation.

    Raises:
        TapeError: With what is wrong, without file and line.
    """
    if not isinstance(op, list | tuple) or not op or not isinstance(op[0], str):
        raise TapeError(f"{_short(op)} is not an operation: a list that starts with its name")
    row = OPERATIONS.get(op[0])
    if row is None:
        if op[0] != "rep":
            raise TapeError(f"there is no operation {_short(op[0])}")
        _check_rep(op, vram_bytes)
        return
    most = len(row.arguments)
    if not most - row.optional <= len(op) - 1 <= most:
        wanted = f"{most - row.optional} or {most}" if row.optional else f"{most}"
        raise TapeError(f"{op[0]} takes {wanted} arguments, not {len(op) - 1}")
    try:
        for check, value in zip(row.arguments, op[1:], strict=False):
            check(value)
        if row.reach is not None:
            row.reach(op, vram_bytes)
    except TapeError as error:
        raise TapeError(f"{op[0]}: {error}") from None


def _check_rep(op: Op, vram_bytes: int) -> None:
    if len(op) != 4:
        raise TapeError(f"rep takes 3 arguments, not {len(op) - 1}")
    _, count, step, repeated = op
    if type(count) is not int or not 1 <= count <= MAX_REPEATS or type(step) is not int:
        raise TapeError(f"rep: {_short(count)} times with step {_short(step)}")
    if isinstance(repeated, list | tuple) and repeated and not _is_repeatable(repeated[0]):
        raise TapeError(f"rep repeats memory operations, not {repeated[0]}")
    check_op(repeated, vram_bytes)
    check_op(_stepped(repeated, step * (count - 1)), vram_bytes)


def _is_repeatable(name: object) -> bool:
    row = OPERATIONS.get(name) if isinstance(name, str) else None
    return name != "rep" and (row is None or row.addresses > 0)  # unknown ones are told as such


def _stepped(op: Op, by: int) -> Op:
    addresses = OPERATIONS[op[0]].addresses
    return [op[0], *(at + by for at in op[1 : 1 + addresses]), *op[1 + addresses :]]


def expand(op: Op) -> Iterator[Op]:
    """The operation itself, or one by one what a ``rep`` repeats."""
    if op[0] != "rep":
        yield op
        return
    _, count, step, repeated = op
    for i in range(count):
        yield _stepped(repeated, i * step)
