"""Task switches of protected mode: those that a Unicorn engine makes, mended, and the others.

Emulated: tasks with state segments of 32 bits, with page tables and an LDT of their own. The engine
itself enters them by JMP, CALL and IRET; what does so through the IDT comes here. Not emulated:
state segments of 16 bits, which the engine has wrong; the debug trap of a task; through the IDT,
tasks of virtual 8086 mode, and faults by what the new task's segments are: they are the old task's.

Source: Intel SDM volume 3A, chapter 7; target/i386/seg_helper.c of QEMU 5.0; measured with Unicorn
2.1.4.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable

from vgaemu.pc.cpu.cpu import NESTED, VIRTUAL_8086
from vgaemu.pc.cpu.mmu import (
    ATTRIBUTES_AT,
    BIG,
    CODE,
    GENERAL_PROTECTION,
    PAGING,
    SEGMENT_PRESENT,
    SEGMENT_WRITABLE,
    UNUSABLE,
    PageFault,
    Segment,
    segment_of,
)
from vgaemu.pc.cpu.unicorn_context import (
    ARITHMETIC,
    CS,
    DIRECTION,
    DS,
    ES,
    ESP,
    FS,
    GS,
    IN_CC,
    SS,
    Context,
    Env,
)
from vgaemu.pc.cpu.unicorn_memory import LinearMemory
from vgaemu.pc.cpu.unicorn_tables import INVALID_TSS, NOT_PRESENT, STACK_FAULT, Fault, Tables

#: A state segment: link, three stacks, CR3, EIP, EFLAGS, general registers, segments, LDT; not its
#: last word. Indices in it, and its least limit.
TSS = struct.Struct("<25I")
CR3_AT, EIP_AT, REGISTERS_AT, SEGMENTS_AT, LDT_AT = 7, 8, 10, 18, 24
LEAST_LIMIT = 103
#: Types of descriptors: an available state segment, an LDT; what makes the former a busy one. Bit 4
#: of a type tells segments of code and data.
TSS_TYPE, LDT_TYPE, BUSY, SEGMENT = 0x09, 0x02, 0x02, 0x10
#: CR0 and `Env.hflags`: a task was switched.
TASK_SWITCHED, SWITCHED = 1 << 3, 1 << 11


def mend_switch(context: Context, memory: LinearMemory) -> None:
    """Let the engine in the middle of a task switch go on in the new task.

    Before it calls the hook of a TLB fill, the engine sets EIP and the kind of its flags back to
    what they were at the instruction in hand. A switch has loaded those of the new task by then,
    and reads its descriptors: it would execute the jump again there. Selectors are loaded first,
    and one without its descriptor shows that.
    """
    env = context.load()
    if not any(segment.selector & ~3 and not segment.flags for segment in env.segs):
        return
    try:
        state = _state(memory, env, env.tr.base)
    except PageFault:
        return
    selectors = [segment.selector for segment in env.segs]
    saved = [selector & 0xFFFF for selector in state[SEGMENTS_AT:LDT_AT]]
    if env.regs[:8] == state[REGISTERS_AT:SEGMENTS_AT] and selectors == saved:
        env.eip, env.cc_op = state[EIP_AT], IN_CC
        context.store()


def _state(memory: LinearMemory, env: Env, base: int) -> list[int]:
    return list(TSS.unpack(memory.read(env.control(), base, TSS.size)))


class TaskGates:
    """Interrupts that lead to a task."""

    def __init__(self, memory: LinearMemory, flush: Callable[[], None]) -> None:
        """Read and write `memory`; `flush` forgets translated addresses."""
        self._memory, self._flush = memory, flush

    def enter(self, env: Env, flags: int, selector: int, error_code: int | None) -> None:
        """Switch to the task of a state segment, nested in the one at hand.

        Raises:
            Fault: It cannot be switched to; nothing has changed.
            PageFault: A state segment, a descriptor or the new stack forbids it.
        """
        memory, control = self._memory, env.control()
        at, task = self._descriptor(env, selector, GENERAL_PROTECTION, TSS_TYPE)
        new = Env.from_buffer_copy(env)
        new.tr.load(task)
        new.tr.flags |= BUSY << 8
        if task[2] < LEAST_LIMIT:
            raise Fault(INVALID_TSS, selector & ~3, "its task's state segment is too short")
        self._load(new, _state(memory, env, task[1]))
        old = _state(memory, env, env.tr.base)
        segments = [segment.selector for segment in env.segs]
        old[EIP_AT:LDT_AT] = [env.eip, flags, *env.regs[:8], *segments]
        saved = TSS.pack(*(value & 0xFFFF_FFFF for value in old))
        memory.write(control, env.tr.base, saved)
        memory.write(control, task[1], env.tr.selector.to_bytes(2, "little"))
        memory.write(control, at + ATTRIBUTES_AT, bytes((new.tr.flags >> 8 & 0xFF,)))
        if error_code is not None:
            mask = 0xFFFF_FFFF if new.segs[SS].flags >> 8 & BIG else 0xFFFF
            top = new.regs[ESP] - 4 & mask
            data = error_code.to_bytes(4, "little")
            memory.write(new.control(), new.segs[SS].base + top, data, user=new.level == 3)
            new.regs[ESP] = new.regs[ESP] & ~mask | top
        if new.cr[3] != env.cr[3]:
            self._flush()
        ctypes.memmove(ctypes.addressof(env), ctypes.addressof(new), ctypes.sizeof(Env))

    def _load(self, new: Env, state: list[int]) -> None:
        """All registers from a state segment."""
        eip, flags = state[EIP_AT:REGISTERS_AT]
        if flags & VIRTUAL_8086:
            raise Fault(INVALID_TSS, new.tr.selector & ~3, "its task is of virtual 8086 mode")
        if new.cr[0] & PAGING:
            new.cr[3] = state[CR3_AT]
        new.cr[0] |= TASK_SWITCHED
        new.hflags |= SWITCHED
        new.eip = eip
        for i, value in enumerate(state[REGISTERS_AT:SEGMENTS_AT]):
            new.regs[i] = value
        new.eflags = flags & ~(ARITHMETIC | DIRECTION) | NESTED | 2
        new.cc[1], new.cc_op, new.df = flags & ARITHMETIC, IN_CC, -1 if flags & DIRECTION else 1
        ldt = state[LDT_AT] & 0xFFFF
        new.ldt.load((ldt, 0, 0, UNUSABLE))
        if ldt & 0xFFFC:
            new.ldt.load(self._descriptor(new, ldt, INVALID_TSS, LDT_TYPE)[1])
        selectors = [selector & 0xFFFF for selector in state[SEGMENTS_AT:LDT_AT]]
        tables = Tables(self._memory, new)
        for number in (CS, SS, ES, DS, FS, GS):
            segment, at = self._segment(tables, number, selectors[number], selectors[CS] & 3)
            new.segs[number].load(tables.mark(at, segment))
        new.settle()

    def _segment(
        self, tables: Tables, number: int, selector: int, level: int
    ) -> tuple[Segment, int]:
        """A segment of a new task, checked, and where its descriptor is to be marked."""
        if not selector & 0xFFFC and number not in (CS, SS):
            return (selector, 0, 0, UNUSABLE), 0
        segment, at = tables.segment(selector, INVALID_TSS)
        attributes = segment[3]
        private = attributes >> 5 & 3
        wrong = {
            CS: not attributes & CODE or selector & 3 < private,
            SS: bool(attributes & CODE) or not attributes & SEGMENT_WRITABLE or private != level,
        }.get(number, bool(attributes & CODE) and not attributes & SEGMENT_WRITABLE)
        if wrong:
            raise Fault(INVALID_TSS, selector & ~3, f"its task cannot use {selector:04X}h so")
        if not attributes & SEGMENT_PRESENT:
            vector = STACK_FAULT if number == SS else NOT_PRESENT
            raise Fault(vector, selector & ~3, f"{selector:04X}h is not present")
        return segment, at

    def _descriptor(self, env: Env, selector: int, vector: int, kind: int) -> tuple[int, Segment]:
        """Where the GDT has a state segment or LDT, and what it says."""
        at = env.gdt.base + (selector & 0xFFF8)
        inside = not selector & 4 and (selector & 0xFFF8) + 7 <= env.gdt.limit
        entry = 0
        if inside and selector & 0xFFFC:
            entry = int.from_bytes(self._memory.read(env.control(), at, 8), "little")
        if entry >> 40 & 0x1F != kind:
            raise Fault(vector, selector & ~3, f"{selector:04X}h is none, or a busy one")
        if not entry >> 47 & 1:
            raise Fault(NOT_PRESENT, selector & ~3, f"{selector:04X}h is not present")
        segment = segment_of(entry | SEGMENT << 40, selector)
        assert segment is not None
        return at, (*segment[:3], segment[3] & ~SEGMENT)
