"""A guest's descriptor tables, as the processor in a Unicorn engine reads them: segments and gates.

Emulated: segments of code and data, their accessed bits; interrupt, trap and task gates of the IDT,
of 16 and 32 bits, and where they lead; stacks that a task has for levels of more privilege.
Gates of 64 bits are in `unicorn_long`.

Source: Intel SDM volume 3A, chapters 3, 5 and 6.
"""

from __future__ import annotations

from typing import NamedTuple

from vgaemu.pc.cpu.exceptions import GENERAL_PROTECTION, INVALID_TSS, NOT_PRESENT, STACK_FAULT
from vgaemu.pc.cpu.mmu import (
    ATTRIBUTES_AT,
    CODE,
    CONFORMING,
    SEGMENT_ACCESSED,
    SEGMENT_PRESENT,
    SEGMENT_WRITABLE,
    UNUSABLE,
    Segment,
    segment_of,
)
from vgaemu.pc.cpu.unicorn_context import Env
from vgaemu.pc.cpu.unicorn_memory import LinearMemory

#: Bits of an error code: no instruction asked for the interrupt; it is a vector, not a selector.
EXTERNAL, IN_IDT = 1, 2
#: Type of a gate -> bytes a value on the stack, whether it masks interrupts: 32- and 16-bit
#: interrupt and trap gates.
GATES = {0x0E: (4, True), 0x0F: (4, False), 0x06: (2, True), 0x07: (2, False)}
#: The type of one that leads to a task.
TASK_GATE = 0x05


class Fault(Exception):
    """An exception on the way to a handler; the message says why."""

    def __init__(self, vector: int, error_code: int, why: str) -> None:
        super().__init__(why)
        self.vector = vector
        self.error_code = error_code


class Target(NamedTuple):
    """Where an interrupt goes in protected mode, and the stack that it uses."""

    code: Segment
    offset: int
    #: Bytes a value on the stack takes, 4 or 2; whether the handler begins with interrupts off.
    size: int
    masks: bool
    #: Stack segment and pointer that it begins with; None: as they are.
    stack: tuple[Segment, int] | None


class Tables:
    """The descriptor tables of a processor, as it reads them."""

    def __init__(self, memory: LinearMemory, env: Env) -> None:
        self._memory, self._env, self._control = memory, env, env.control()

    def segment(self, selector: int, vector: int = GENERAL_PROTECTION) -> tuple[Segment, int]:
        """A segment of code or data, and where its descriptor is; 0 if that is marked already.

        Raises:
            Fault: There is none; it is of that `vector`.
            PageFault: Its descriptor cannot be read.
        """
        table = self._env.ldt if selector & 4 else self._env.gdt
        at = table.base + (selector & 0xFFF8)
        if not selector & 0xFFFC or (selector & 0xFFF8) + 7 > table.limit:
            raise Fault(vector, selector & ~3, f"no segment {selector:04X}h")
        entry = int.from_bytes(self._memory.read(self._control, at, 8), "little")
        segment = segment_of(entry, selector)
        if segment is None:
            raise Fault(vector, selector & ~3, f"{selector:04X}h is no segment of code or data")
        return segment, 0 if segment[3] & SEGMENT_ACCESSED else at + ATTRIBUTES_AT

    def mark(self, at: int, segment: Segment) -> Segment:
        """Set a descriptor's accessed bit.

        Raises:
            PageFault: Its page is read-only.
        """
        selector, base, limit, attributes = segment
        attributes |= SEGMENT_ACCESSED
        if at:
            self._memory.write(self._control, at, bytes((attributes & 0xFF,)))
        return selector, base, limit, attributes

    def load(self, selector: int) -> Segment:
        """A segment of data, or none, as a program loads it.

        Raises:
            Fault: It cannot.
            PageFault: A table cannot be read, or not be marked.
        """
        if not selector & 0xFFFC:
            return selector, 0, 0, UNUSABLE
        segment, at = self.segment(selector)
        if not segment[3] & SEGMENT_PRESENT:
            raise Fault(NOT_PRESENT, selector & ~3, f"{selector:04X}h is not present")
        return self.mark(at, segment)

    def gate(self, vector: int, *, software: bool) -> int:
        """A vector's gate in the IDT; for `software` it may ask for privilege.

        Raises:
            Fault: It cannot be taken.
            PageFault: A table cannot be read, or not be marked.
        """
        env, code = self._env, 8 * vector | IN_IDT
        if 8 * vector + 7 > env.idt.limit:
            raise Fault(GENERAL_PROTECTION, code, "the interrupt table ends before it")
        gate = self._memory.read(self._control, env.idt.base + 8 * vector, 8)
        entry = int.from_bytes(gate, "little")
        if entry >> 40 & 0x1F not in (*GATES, TASK_GATE):
            why = "the interrupt table has no gate for it"
            raise Fault(GENERAL_PROTECTION, code, why)
        if software and entry >> 45 & 3 < env.level:
            raise Fault(GENERAL_PROTECTION, code, "its gate is not for this privilege level")
        if not entry >> 47 & 1:
            raise Fault(NOT_PRESENT, code, "its gate is not present")
        return entry

    def target(self, entry: int) -> Target:
        """Where an interrupt or trap gate leads to.

        Raises:
            Fault: It cannot be taken.
            PageFault: A table cannot be read, or not be marked.
        """
        env, kind, selector = self._env, entry >> 40 & 0x1F, entry >> 16 & 0xFFFF
        segment, at = self.segment(selector)
        level = env.level if segment[3] & CONFORMING else segment[3] >> 5 & 3
        if not segment[3] & CODE:
            raise Fault(GENERAL_PROTECTION, selector & ~3, "its gate leads to no code")
        if level > env.level or (level and not env.protected):
            raise Fault(GENERAL_PROTECTION, selector & ~3, "its gate leads to less privilege")
        if not segment[3] & SEGMENT_PRESENT:
            raise Fault(NOT_PRESENT, selector & ~3, "its code is not present")
        stack = self._inner_stack(level) if level < env.level else None
        size, masks = GATES[kind]
        offset = entry & 0xFFFF | (entry >> 32 & 0xFFFF0000 if size == 4 else 0)
        if offset > segment[2]:
            raise Fault(GENERAL_PROTECTION, 0, "its code ends before it")
        _, base, limit, attributes = self.mark(at, segment)
        return Target((selector & ~3 | level, base, limit, attributes), offset, size, masks, stack)

    def _inner_stack(self, level: int) -> tuple[Segment, int]:
        """Stack segment and pointer that the task has for a level of more privilege."""
        task = self._env.tr
        size = 4 if task.flags >> 8 & 8 else 2  # a 32-bit TSS
        at = size + 2 * size * level
        if at + 2 * size - 1 > task.limit:
            why = "there is no task to take its stack from"
            raise Fault(INVALID_TSS, task.selector & ~3, why)
        fields = self._memory.read(self._control, task.base + at, 2 * size)
        pointer = int.from_bytes(fields[:size], "little")
        selector = int.from_bytes(fields[size : size + 2], "little")
        segment, at = self.segment(selector, INVALID_TSS)
        attributes = segment[3]
        if attributes & CODE or not attributes & SEGMENT_WRITABLE:
            raise Fault(INVALID_TSS, selector & ~3, "its stack cannot be written")
        if (selector & 3, attributes >> 5 & 3) != (level, level):
            raise Fault(INVALID_TSS, selector & ~3, "its stack is of another privilege level")
        if not attributes & SEGMENT_PRESENT:
            raise Fault(STACK_FAULT, selector & ~3, "its stack is not present")
        return self.mark(at, segment), pointer
