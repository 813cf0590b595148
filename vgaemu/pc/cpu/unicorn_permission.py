"""Whether a guest may use a port: the engine itself lets everybody.

Emulated: IOPL, and the I/O permission bitmap of a 32- or 64-bit task, in protected and long mode;
in virtual 8086 mode the bitmap alone. An access without permission has no effect, and the
instruction is general protection; of the destination of an INS, which the engine stores to, nothing
can be taken back.

Source: Intel SDM volume 1, chapter 19, and volume 3A, section 7.7; measured with Unicorn 2.1.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from vgaemu.pc.cpu.cpu import PROTECTED, VIRTUAL_8086
from vgaemu.pc.cpu.exceptions import GENERAL_PROTECTION, PAGE_FAULT
from vgaemu.pc.cpu.mmu import SEGMENT_PRESENT, PageFault
from vgaemu.pc.cpu.unicorn_context import CR_AT, EFLAGS_AT, HFLAGS_AT, LEVEL, Context
from vgaemu.pc.cpu.unicorn_memory import LinearMemory

#: Where IOPL is in EFLAGS; of a state segment: where it has the bitmap's offset, its least limit,
#: and the bit of its type that says it is not of 16 bits.
IOPL_SHIFT, BITMAP_AT, LEAST_LIMIT, WIDE = 12, 0x66, 103, 8
#: Registers that INS and OUTS move.
_ECX, _ESI, _EDI = 1, 6, 7


class Deliver(Protocol):
    """Brings an exception to its handler."""

    def __call__(self, vector: int, error_code: int = 0, *, exception: bool = False) -> None: ...


class _Refused(NamedTuple):
    """An access that was refused: where, registers then, and which fault it is."""

    eip: int
    moved: tuple[int, ...]
    fault: PageFault | None


class Permission:
    """Asked in the hooks of IN and OUT of one engine."""

    def __init__(self, memory: LinearMemory, context: Context, end: Callable[[], None]) -> None:
        """Look into an engine by a `context` of its own.

        `end` lets the instruction in hand be the last one of the slice: a hook cannot fault.
        """
        self._memory, self._context, self._end = memory, context, end
        self._words, self._in_place = context.words, context.in_place
        self._refused: _Refused | None = None

    def refuses(self, port: int, size: int) -> bool:
        """Whether an access of some bytes is to have no effect."""
        words = self._words
        if not self._in_place:
            self._context.load()
        if not words[CR_AT] & PROTECTED:
            return False
        flags = words[EFLAGS_AT]
        level = words[HFLAGS_AT] & LEVEL
        if not flags & VIRTUAL_8086 and level <= flags >> IOPL_SHIFT & 3:
            return False
        if self._refused is None:
            fault = None
            try:
                if self._is_in_bitmap(port, size):
                    return False
            except PageFault as found:
                fault = found
            env = self._context.load()
            moved = tuple(env.regs[register] for register in (_ECX, _ESI, _EDI))
            self._refused = _Refused(env.eip, moved, fault)
            self._end()
        return True

    def _is_in_bitmap(self, port: int, size: int) -> bool:
        env = self._context.load()
        task, control = env.tr, env.control()
        kind = task.flags >> 8
        if not kind & SEGMENT_PRESENT or not kind & WIDE or task.limit < LEAST_LIMIT:
            return False
        offset = self._memory.read(control, task.base + BITMAP_AT, 2)
        at = int.from_bytes(offset, "little") + (port >> 3)
        if at + 1 > task.limit:
            return False
        bits = int.from_bytes(self._memory.read(control, task.base + at, 2), "little")
        return not bits >> (port & 7) & (1 << size) - 1

    def untouched(self, size: int) -> int:
        """What a refused IN answers: what AL, AX or EAX has."""
        return int(self._context.load().regs[0]) & (1 << 8 * size) - 1

    def settle(self, deliver: Deliver) -> None:
        """Behind the instruction in hand: if it was refused, it is the fault."""
        refused, self._refused = self._refused, None
        if refused is None:
            return
        env = self._context.load()
        env.eip = refused.eip
        for register, value in zip((_ECX, _ESI, _EDI), refused.moved, strict=True):
            env.regs[register] = value
        fault = refused.fault
        if fault is not None and fault.vector == PAGE_FAULT:
            env.cr[2] = fault.linear
        self._context.store()
        if fault is None:
            deliver(GENERAL_PROTECTION, exception=True)
        else:
            deliver(fault.vector, fault.error_code, exception=True)
