"""BIOS calls that are answered where a Unicorn engine makes them: those that guests poll.

Emulated: of INT 1Ah the ticks (00h), of INT 16h whether there is a key (01h, 11h), of INT 10h the
cursor (03h), while their vectors lead to the builtin BIOS's stubs. They are what the services in
`vgaemu.pc.bios` make of them, to the byte and the nanosecond, without a stub, a port and an IRET:
registers, flags, data area, what lies below the stack pointer then, time. Not emulated: a slice
that ends inside the stub.

All others, calls in single steps, and those while an interrupt waits, go to the services.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from vgaemu.native import cpu_cells as c
from vgaemu.native import polls
from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu.cpu import TRAP, ZERO
from vgaemu.pc.cpu.unicorn_context import GENERAL_AT

#: Makes registers and data area those after the call; returns flags.
Answer: TypeAlias = Callable[[int], int]

_EAX, _EBX, _ECX, _EDX = (GENERAL_AT[name] for name in ("eax", "ebx", "ecx", "edx"))
_UPPER = 0xFFFF_0000


class Answers:
    """The answers of one CPU, in real mode."""

    def __init__(self, env: memoryview[int], bus: Bus, cells: memoryview[int]) -> None:
        """Answer in the `words` of registers, and in the data area."""
        self._env, self._bus, self._cells = env, bus, cells
        #: By far pointer of the stub, and AH.
        self._found: dict[tuple[int, int], tuple[Answer, int]] = {}

    def lead_here(self, stubs: Mapping[int, int]) -> None:
        """Vectors whose calls may be answered, and far pointers of their stubs."""
        cells = self._cells
        for vector, cell in ((0x10, c.CURSOR_STUB), (0x16, c.KEY_STUB), (0x1A, c.TICKS_STUB)):
            cells[cell] = stubs.get(vector, 0)
        polled = c.ANSWER_NS + c.POLL_NS
        self._found = {
            (cells[c.TICKS_STUB], 0x00): (self._ticks, polled),
            (cells[c.KEY_STUB], 0x01): (self._old_key, polled),
            (cells[c.KEY_STUB], 0x11): (self._key, polled),
            (cells[c.CURSOR_STUB], 0x03): (self._cursor, c.ANSWER_NS),
        }

    def of(self, target: int, flags: int, frame_at: int) -> tuple[Answer, int] | None:
        """What answers a call to a far pointer, and the time that it takes beside the interrupt's.

        `frame_at` is where the interrupt's frame will lie.
        """
        if not self._cells[c.MAY_ANSWER] or flags & TRAP or frame_at < polls.DATA_END or not target:
            return None
        return self._found.get((target, self._env[_EAX] >> 8 & 0xFF))

    def _ticks(self, flags: int) -> int:
        env, bus = self._env, self._bus
        ticks = bus.read32(polls.TICKS_AT)
        env[_EDX] = env[_EDX] & _UPPER | ticks & 0xFFFF
        env[_ECX] = env[_ECX] & _UPPER | ticks >> 16
        env[_EAX] = env[_EAX] & ~0xFF | bus.read8(polls.MIDNIGHT_AT)
        bus.write8(polls.MIDNIGHT_AT, 0)
        return flags

    def _key(self, flags: int) -> int:
        bus = self._bus
        head = bus.read16(polls.KEY_HEAD_AT)
        if head == bus.read16(polls.KEY_TAIL_AT):
            return flags | ZERO
        self._env[_EAX] = self._env[_EAX] & _UPPER | bus.read16(polls.DATA_AT + head)
        return flags & ~ZERO

    def _old_key(self, flags: int) -> int:
        after = self._key(flags)
        if not after & ZERO:
            word = self._env[_EAX] & 0xFFFF
            self._env[_EAX] = self._env[_EAX] & _UPPER | polls.old_key(word)
        return after

    def _cursor(self, flags: int) -> int:
        env, bus = self._env, self._bus
        page = env[_EBX] >> 8 & 7
        env[_EDX] = env[_EDX] & _UPPER | bus.read16(polls.CURSORS_AT + 2 * page)
        env[_ECX] = env[_ECX] & _UPPER | bus.read16(polls.CURSOR_SHAPE_AT)
        env[_EAX] &= _UPPER
        return flags
