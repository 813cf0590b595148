"""What is left when a guest fails: registers, code, the last instructions; and a trace of ports.

The code around CS:IP is what lies there; what was executed is known only when it was traced. A
trace of basic blocks costs a call into Python each, so it is an option: a run in step repeats to
the bit, and comes to the same fault with it. Code that has been overwritten since is shown as it is
now. Instructions are decoded with capstone where it is installed; else their bytes are shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from io import BufferedWriter, TextIOWrapper
from pathlib import Path
from typing import NamedTuple, Protocol

from vgaemu.errors import CpuError, ImageError, file_error
from vgaemu.outputs import not_begun, open_now
from vgaemu.pc.bus import Bus
from vgaemu.pc.clock import Clock
from vgaemu.pc.cpu.cpu import (
    CR0,
    CR2,
    CR3,
    CR4,
    EFER,
    GENERAL,
    LONG_MODE,
    PROTECTED,
    Cpu,
)
from vgaemu.pc.cpu.mmu import BIG, CODE64, Control, LinearReader, linear_reader
from vgaemu.pc.symbols import Symbols, call_lines

#: A trace ends after this many lines; a guest may poll for ever.
MAX_TRACE_LINES = 2_000_000
BYTES_BEFORE, BYTES_AFTER = 16, 16
#: A report's lines of registers, and the digits of each.
REPORTED: tuple[tuple[str, int], ...] = (
    ("eax ebx ecx edx", 8), ("esi edi ebp esp", 8), ("cs ds es ss fs gs", 4), ("eip eflags cr0", 8),
)  # fmt: skip
#: The same in long mode.
REPORTED_LONG: tuple[tuple[str, int], ...] = (
    ("rax rbx rcx rdx", 16), ("rsi rdi rbp rsp", 16), ("r8 r9 r10 r11", 16),
    ("r12 r13 r14 r15", 16), ("rip rflags cr2 cr3", 16), ("cs ds es ss fs gs", 4),
    ("fs_base gs_base", 16), ("cr0 cr4 efer", 8),
)  # fmt: skip
#: Which of them lead to callers.
FRAME, LONG_FRAME = ("eip", "ebp", "esp"), ("rip", "rbp", "rsp")
#: Instructions of a trace that a report shows.
TRACED = 24


class PortWatch(Protocol):
    """Whoever is told of the port accesses of a PC."""

    def follow(self, cpu: Cpu, clock: Clock) -> None:
        """They begin now, and these two know who makes them and when."""

    def note(self, direction: str, port: int, size: int, value: int) -> None:
        """A `TappedBus`'s tap."""

    def close(self) -> None:
        """No more come."""


class PortTail:
    """The last port accesses, for a look back; several of a kind at one port in a row are one."""

    #: Accesses that are kept, and lines that are made of them.
    KEEP, SHOW = 96, 24

    def __init__(self) -> None:
        #: Direction, port, size, the last value, and how often in a row.
        self._last: deque[tuple[str, int, int, int, int]] = deque([("", 0, 0, 0, 0)], self.KEEP)

    def follow(self, cpu: Cpu, clock: Clock) -> None:
        """Who it was is not kept: that would cost more than the access."""

    def note(self, direction: str, port: int, size: int, value: int) -> None:
        """An access: ``"in"`` or ``"out"``, 1, 2 or 4 bytes."""
        last = self._last
        _direction, _port, _size, _, count = last[-1]
        if port == _port and direction == _direction and size == _size:
            last[-1] = direction, port, size, value, count + 1
        else:
            last.append((direction, port, size, value, 1))

    def close(self) -> None:
        """It has nothing to give back."""

    def has_written(self, port: int) -> bool:
        """Whether there is a write to a port among them."""
        return any(entry[:2] == ("out", port) for entry in tuple(self._last))

    def lines(self, names: Mapping[int, str]) -> list[str]:
        """``out 03d4 0c``, the last last, with the port's name if it has one.

        Of several in a row, the last value is told, and how many there were.
        """
        lines = [
            f"{direction:3} {port:04x} {value:0{2 * size}x}"
            + f"  ({count} in a row)" * (count > 1)
            + ("  " + names[port] if port in names else "")
            for direction, port, size, value, count in tuple(self._last)
            if count
        ]
        return folded(lines)[-self.SHOW :]


def folded(lines: list[str]) -> list[str]:
    """Lines with pairs that come again and again, as of a timer's interrupt, on one line.

    >>> folded(["out 60", "out b3", "out 20", "out b3", "out 20", "in 60"])
    ['out 60', 'out b3; out 20  (2 times)', 'in 60']
    """
    found, at = [], 0
    while at < len(lines):
        pair, times = lines[at : at + 2], 1
        while len(pair) == 2 and lines[at + 2 * times : at + 2 * times + 2] == pair:
            times += 1
        if times == 1:
            found.append(lines[at])
            at += 1
        else:
            found.append(f"{'; '.join(pair)}  ({times} times)")
            at += 2 * times
    return found


class PortTrace:
    """A line for every port access: time in us, CS:IP, direction, port, value.

    Its `note` is a `TappedBus`'s tap. CS:IP is the instruction's; under KVM, that of an OUT may be
    the next one's. Where symbols are known, function and line stand behind it.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            self._file = TextIOWrapper(BufferedWriter(open_now(path)), encoding="utf-8")
        except OSError as error:
            raise ImageError(not_begun(f"--trace-ports {path}", error)) from None
        self._path = path
        self._error: OSError | None = None
        self._followed: tuple[Cpu, Clock] | None = None
        self._lines = 0
        #: Names where the guest is, if that is known.
        self.name: Callable[[], str] = lambda: ""
        self._names: dict[tuple[int, int], str] = {}

    def follow(self, cpu: Cpu, clock: Clock) -> None:
        """Write lines from now on: whose accesses they are."""
        self._followed = cpu, clock

    def note(self, direction: str, port: int, size: int, value: int) -> None:
        """An access: ``"in"`` or ``"out"``, 1, 2 or 4 bytes."""
        if self._followed is not None and self._lines < MAX_TRACE_LINES:
            self._lines += 1
            cpu, clock = self._followed
            at = cpu.cs, cpu.get("rip")
            if (name := self._names.get(at)) is None:
                self._names[at] = name = f"  {self.name()}".rstrip()
            place = f"{clock.now_ns() // 1000}@{at[0]:04x}:{at[1]:04x}"
            self._write(f"{place} {direction:3} {port:04x} {value:0{2 * size}x}{name}\n")
            if self._lines == MAX_TRACE_LINES:
                self._write(f"no more: {MAX_TRACE_LINES} lines\n")

    def _write(self, text: str) -> None:
        if self._error is None:
            try:
                self._file.write(text)
            except OSError as error:  # the guest goes on; `close` tells
                self._error = error

    def close(self) -> None:
        """Write what is buffered.

        Raises:
            ImageError: Something could not be written: the log ends there.
        """
        try:
            self._file.close()
        except OSError as error:
            self._error = self._error or error
        if self._error is not None:
            option = f"--trace-ports {self._path}"
            raise ImageError(file_error(option, self._error, "the log is cut off"))


def fault_report(
    cpu: Cpu,
    bus: Bus,
    values: dict[str, int] | None = None,
    *,
    repeats: bool = False,
    symbols: Symbols | None = None,
) -> str:
    """Registers, stack and the code around CS:IP, as lines.

    `values` are the registers at the fault, if the CPU has others by now; `repeats`: another run
    would come to the same fault, so that it can be traced; `symbols` name what it was in.
    """
    try:
        values = values or cpu.registers()
    except Exception as error:  # the CPU itself is gone
        return f"registers: {error}"
    long_values = _long_registers(cpu, values)
    if long_values:
        found, reported, leading = long_values, REPORTED_LONG, LONG_FRAME
    else:
        found, reported, leading = values, REPORTED, FRAME
    ip, frame, pointer = (found[name] for name in leading)
    lines = _register_lines(found, reported)
    if not values["cr0"] & PROTECTED:
        stack = (values["ss"] << 4) + (values["esp"] & 0xFFFF)
        lines.append("stack: " + bus.read(stack, 16).hex(" ", 2))
    try:
        code = _code_segment(cpu, bus, values)
    except CpuError as error:
        return "\n".join([*lines, f"code: {error}"])
    if symbols:
        word_bytes = 8 if code.bits == 64 else 4
        lines += call_lines(symbols, code.read, code.base + ip, frame, pointer, word_bytes)
    lines += code_lines(code, ip)
    if cpu.blocks is not None:
        lines += executed_lines(code, list(cpu.blocks), symbols)
    elif cpu.can_trace and repeats:
        lines.append("what was executed before: trace_code=True, or run it again with --trace-code")
    return "\n".join(lines)


def place_of(cpu: Cpu, bus: Bus, symbols: Symbols, values: dict[str, int] | None = None) -> str:
    """Function and line where CS:IP leads, ``crash+0x5 (kernel.c:110)``, or nothing."""
    if not symbols:
        return ""
    try:
        values = values or cpu.registers()
        ip = _long_registers(cpu, values).get("rip", values["eip"])
        return symbols.told(_code_segment(cpu, bus, values).base + ip)
    except CpuError:
        return ""


def _register_lines(values: dict[str, int], reported: tuple[tuple[str, int], ...]) -> list[str]:
    return [
        "  ".join(f"{name}={values[name]:0{digits}x}" for name in names.split())
        for names, digits in reported
    ]


def _long_registers(cpu: Cpu, values: dict[str, int]) -> dict[str, int]:
    """The registers of a CPU in long mode; none in another."""
    if not values["cr0"] & PROTECTED:
        return {}
    arrays = cpu.arrays()
    control = arrays["cpu.control"].tolist()
    if not control[EFER] & LONG_MODE:
        return {}
    names = [f"r{name[1:]}" for name in GENERAL] + [f"r{i}" for i in range(8, 16)]
    found = dict(zip([*names, "rip", "rflags"], arrays["cpu.general"].tolist(), strict=True))
    bases = {
        f"{name}_base": int(arrays["cpu.segments"][i][1]) for name, i in (("fs", 3), ("gs", 4))
    }
    numbers = {"cr0": CR0, "cr2": CR2, "cr3": CR3, "cr4": CR4, "efer": EFER}
    return values | found | bases | {name: control[at] for name, at in numbers.items()}


class CodeSegment(NamedTuple):
    """Where CS:IP leads."""

    #: The guest's memory by linear addresses, as its page tables are.
    read: LinearReader
    base: int
    #: Of its code: 16, 32 or 64.
    bits: int


def _code_segment(cpu: Cpu, bus: Bus, values: dict[str, int]) -> CodeSegment:
    read: LinearReader = bus.read
    if not values["cr0"] & PROTECTED:
        return CodeSegment(read, values["cs"] << 4, 16)
    arrays = cpu.arrays()
    _, base, _, attributes = arrays["cpu.segments"][0].tolist()
    cr0, _, cr3, cr4 = arrays["cpu.control"][:4].tolist()
    efer = int(arrays["cpu.control"][EFER])
    control = Control(cr0, cr3, cr4, efer)
    if control.paging:
        read = linear_reader(bus.memory, control)
    if efer & LONG_MODE and attributes & CODE64:
        return CodeSegment(read, 0, 64)
    return CodeSegment(read, base, 32 if attributes & BIG else 16)


def executed_lines(
    code: CodeSegment, blocks: list[tuple[int, int]], symbols: Symbols | None = None
) -> list[str]:
    """The last instructions of basic blocks, in the order of their execution.

    Where another function or line begins, and is known, it stands above them.
    """
    decode = _decoder(code)
    if decode is None:
        head, last = "executed, by basic blocks, last last; linear addresses:", TRACED // 4
        found = [(at, code.read(at, size).hex(" ")) for at, size in blocks[-last:]]
    else:
        head, last = "executed, by whole basic blocks, last last; linear addresses:", TRACED
        found = [told for at, size in blocks for told in decode(code.read(at, size), at)]
    lines, before = [head], ""
    for address, text in found[-last:]:
        named = symbols.line(address) if symbols else ""
        if named and named != before:
            lines.append(f"in {named}:")
        before = named
        lines.append(f"  {address:08x}  {text}")
    return lines


def _decoder(code: CodeSegment) -> Callable[[bytes, int], list[tuple[int, str]]] | None:
    """What tells addresses and texts of the instructions in some bytes at an address, if we can."""
    try:
        import capstone
    except ImportError:
        return None
    modes = {16: capstone.CS_MODE_16, 32: capstone.CS_MODE_32, 64: capstone.CS_MODE_64}
    decoder = capstone.Cs(capstone.CS_ARCH_X86, modes[code.bits])
    return lambda data, at: [
        (address, f"{mnemonic} {operands}".rstrip())
        for address, _, mnemonic, operands in decoder.disasm_lite(data, at)
    ]


def code_lines(segment: CodeSegment, eip: int) -> list[str]:
    """The instructions up to CS:IP, and the one there."""
    before = min(BYTES_BEFORE, eip)
    mask = (1 << 64) - 1 if segment.bits == 64 else 0xFFFF_FFFF
    at = segment.base + eip & mask
    before_ip = segment.read(at - before & mask, before)
    if len(before_ip) < before:  # there is no such page
        before, before_ip = 0, b""
    code = before_ip + segment.read(at, BYTES_AFTER)
    at_ip = code[before:].hex(" ") or "no page"
    lines = [f"code before: {code[:before].hex(' ')}", f"code at IP:  {at_ip}"]
    decode = _decoder(segment)
    if decode is None:
        return lines
    # Code decodes backwards only by trial: the first start whose instructions meet IP.
    starts = (decode(code[skip:], eip - before + skip) for skip in range(before + 1))
    found = next((found for found in starts if eip in dict(found)), [])
    for address, text in found:
        if address <= eip:
            lines.append(f"{'>' if address == eip else ' '} {address:08x}  {text}")
    return lines
