"""Task switches of protected mode: those that a Unicorn engine makes, mended, and the others.

Emulated: tasks with state segments of 32 bits, with page tables and an LDT of their own. The engine
itself enters them by JMP, CALL and IRET; what does so through the IDT comes here. Not emulated:
state segments of 16 bits, which the engine has wrong; the debug trap of a task.

What descriptors of a new task forbid is that one's fault: registers are its own by then.

Source: Intel SDM volume 3A, chapter 7; target/i386/seg_helper.c of QEMU 5.0; measured with Unicorn
2.1.4.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from vgaemu.pc.cpu.cpu import NESTED, VIRTUAL_8086
from vgaemu.pc.cpu.exceptions import GENERAL_PROTECTION, INVALID_TSS, NOT_PRESENT, STACK_FAULT
from vgaemu.pc.cpu.mmu import (
    ATTRIBUTES_AT,
    BIG,
    CODE,
    CONFORMING,
    PAGING,
    REAL_LIMIT,
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
from vgaemu.pc.cpu.unicorn_stack import push
from vgaemu.pc.cpu.unicorn_tables import Fault, Tables

#: A state segment: link, three stacks, CR3, EIP, EFLAGS, general registers, segments, LDT; not its
#: last word. Indices in it, and its least limit.
TSS = struct.Struct("<25I")
CR3_AT, EIP_AT, FLAGS_AT, REGISTERS_AT, SEGMENTS_AT, LDT_AT = 7, 8, 9, 10, 18, 24
LEAST_LIMIT = 103
#: Types of descriptors: an available state segment, an LDT; what makes the former a busy one. Bit 4
#: of a type tells segments of code and data.
TSS_TYPE, LDT_TYPE, BUSY, SEGMENT = 0x09, 0x02, 0x02, 0x10
#: Attributes of a segment in virtual 8086 mode.
VIRTUAL_DATA = 0xF3
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


def begin_level(env: Env) -> None:
    """Let a task that has no stack segment yet be of the least privilege.

    So its own fault takes an inner stack. The engine has the level in that segment's flags.
    """
    env.segs[SS].flags = 3 << 13
    env.settle()


def _state(memory: LinearMemory, env: Env, base: int) -> list[int]:
    return list(TSS.unpack(memory.read(env.control(), base, TSS.size)))


class InNewTask(Exception):
    """A fault of a task that has been entered, with all flags of that."""

    def __init__(self, fault: Fault | PageFault, flags: int) -> None:
        super().__init__(str(fault))
        self.fault, self.flags = fault, flags


class TaskGates:
    """Interrupts that lead to a task."""

    def __init__(self, memory: LinearMemory, flush: Callable[[], None]) -> None:
        """Read and write `memory`; `flush` forgets translated addresses."""
        self._memory, self._flush = memory, flush

    def enter(self, env: Env, flags: int, selector: int, error_code: int | None) -> None:
        """Switch to the task of a state segment, nested in the one at hand.

        Raises:
            Fault: It cannot be switched to; nothing has changed.
            PageFault: A state segment or its descriptor forbids it; nothing has changed, either.
            InNewTask: It was switched to, and cannot go on: a segment, a page, its stack.
        """
        memory, control = self._memory, env.control()
        at, task = self._descriptor(env, selector, GENERAL_PROTECTION, TSS_TYPE)
        if task[2] < LEAST_LIMIT:
            raise Fault(INVALID_TSS, selector & ~3, "its task's state segment is too short")
        state = _state(memory, env, task[1])
        old = _state(memory, env, env.tr.base)
        segments = [segment.selector for segment in env.segs]
        old[EIP_AT:LDT_AT] = [env.eip, flags, *env.regs[:8], *segments]
        saved = TSS.pack(*(value & 0xFFFF_FFFF for value in old))
        memory.write(control, env.tr.base, saved)
        memory.write(control, task[1], env.tr.selector.to_bytes(2, "little"))
        busy = task[3] | BUSY
        memory.write(control, at + ATTRIBUTES_AT, bytes((busy & 0xFF,)))
        page_tables = env.cr[3]
        env.tr.load((*task[:3], busy))
        self._begin(env, state)
        if env.cr[3] != page_tables:
            self._flush()
        try:
            self._load_segments(env, state)
            if env.eip > env.segs[CS].limit:
                raise Fault(GENERAL_PROTECTION, 0, "its task begins behind the end of its code")
            if error_code is not None:
                self._push(env, error_code)
        except (Fault, PageFault) as fault:
            raise InNewTask(fault, state[FLAGS_AT] | NESTED | 2) from None

    def _begin(self, env: Env, state: list[int]) -> None:
        """All registers from a state segment, but for what descriptors tell."""
        flags = state[FLAGS_AT]
        if env.cr[0] & PAGING:
            env.cr[3] = state[CR3_AT]
        env.cr[0] |= TASK_SWITCHED
        env.hflags |= SWITCHED
        env.eip = state[EIP_AT]
        for i, value in enumerate(state[REGISTERS_AT:SEGMENTS_AT]):
            env.regs[i] = value
        env.eflags = flags & ~(ARITHMETIC | DIRECTION) | NESTED | 2
        env.cc[1], env.cc_op, env.df = flags & ARITHMETIC, IN_CC, -1 if flags & DIRECTION else 1
        env.ldt.load((state[LDT_AT] & 0xFFFF, 0, 0, UNUSABLE))
        selectors = [selector & 0xFFFF for selector in state[SEGMENTS_AT:LDT_AT]]
        for number, selector in enumerate(selectors):
            if flags & VIRTUAL_8086:
                env.segs[number].load((selector, selector << 4, REAL_LIMIT, VIRTUAL_DATA))
            else:
                env.segs[number].load((selector, 0, 0, UNUSABLE))
        if flags & VIRTUAL_8086:
            env.settle()
        else:
            begin_level(env)

    def _load_segments(self, env: Env, state: list[int]) -> None:
        """The LDT, and all segments of a task that has begun."""
        ldt = state[LDT_AT] & 0xFFFF
        if ldt & 0xFFFC:
            env.ldt.load(self._descriptor(env, ldt, INVALID_TSS, LDT_TYPE)[1])
        if env.eflags & VIRTUAL_8086:
            return
        tables, level = Tables(self._memory, env), env.segs[CS].selector & 3
        for number in (CS, SS, ES, DS, FS, GS):
            segment, at = self._segment(tables, number, env.segs[number].selector, level)
            env.segs[number].load(tables.mark(at, segment))
            env.settle()

    def _push(self, env: Env, error_code: int) -> None:
        pointer = env.regs[ESP]
        stack = env.segs[SS].loaded()
        top = push(
            self._memory, env.control(), (stack, pointer), [error_code], 4,
            user=env.level == 3, code=0,
        )  # fmt: skip
        env.regs[ESP] = top if stack[3] & BIG else pointer & ~0xFFFF | top

    def _segment(
        self, tables: Tables, number: int, selector: int, level: int
    ) -> tuple[Segment, int]:
        """A segment of a new task, checked, and where its descriptor is to be marked."""
        if not selector & 0xFFFC and number not in (CS, SS):
            return (selector, 0, 0, UNUSABLE), 0
        segment, at = tables.segment(selector, INVALID_TSS)
        attributes, asked = segment[3], selector & 3
        private, is_code = attributes >> 5 & 3, bool(attributes & CODE)
        if number == CS:
            is_shared = attributes & CONFORMING
            wrong = not is_code or (private > asked if is_shared else private != asked)
        elif number == SS:
            wrong = is_code or not attributes & SEGMENT_WRITABLE or not private == asked == level
        elif is_code:
            is_private = not attributes & CONFORMING and private < max(asked, level)
            wrong = not attributes & SEGMENT_WRITABLE or is_private  # of code: readable
        else:
            wrong = private < max(asked, level)
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
