"""How an interrupt or exception gets to its handler: a Unicorn engine goes through no table itself.

Emulated: the vector table of real mode; interrupt and trap gates of the IDT, of 16 and 32 bits, to
the same privilege level or to one of more privilege with the stack of the task, also from virtual
8086 mode; task gates, see `unicorn_tasks`; faults on the way there, double faults. A triple fault
ends the run. Not emulated: long mode, limits of stacks, the resume flag.

The engine itself loads and stores nothing here, see `unicorn_context`: descriptors are read, and
marked as accessed, through the guest's page tables, and what these forbid is the guest's fault.

Source: Intel SDM volume 3A, chapter 6; measured with Unicorn 2.1.4.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from vgaemu.errors import GuestFault
from vgaemu.pc.cpu.cpu import INTERRUPT, NESTED, PROTECTED, TRAP, VIRTUAL_8086, Cpu
from vgaemu.pc.cpu.mmu import (
    ATTRIBUTES_AT,
    BIG,
    CODE,
    CONFORMING,
    REAL_DATA,
    REAL_LIMIT,
    SEGMENT_ACCESSED,
    SEGMENT_PRESENT,
    SEGMENT_WRITABLE,
    UNUSABLE,
    PageFault,
    Segment,
    segment_of,
)
from vgaemu.pc.cpu.unicorn_calls import Answers
from vgaemu.pc.cpu.unicorn_context import (
    BASE,
    CR_AT,
    CS,
    DS,
    EFLAGS_AT,
    EIP_AT,
    ES,
    ESP,
    ESP_AT,
    FLAGS,
    FS,
    GS,
    LIMIT,
    LONG,
    NO_EXCEPTION,
    SELECTOR_AT,
    SS,
    Context,
    Env,
    settle,
    write_flags,
)
from vgaemu.pc.cpu.unicorn_engine import Uc
from vgaemu.pc.cpu.unicorn_memory import LinearMemory

#: Vectors of exceptions.
UNKNOWN_OPCODE, DOUBLE_FAULT, INVALID_TSS, NOT_PRESENT = 6, 8, 10, 11
STACK_FAULT, GENERAL_PROTECTION, PAGE_FAULT = 12, 13, 14
#: Exceptions that push an error code.
WITH_ERROR_CODE = (8, 10, 11, 12, 13, 14, 17)
#: Faults of which two make a double one; after a page fault another one does, too.
CONTRIBUTORY = (0, 10, 11, 12, 13)
TWICE: dict[int | None, tuple[int, ...]] = dict.fromkeys(CONTRIBUTORY, CONTRIBUTORY)
TWICE[14] = (*CONTRIBUTORY, 14)
#: Bits of an error code: no instruction asked for the interrupt; it is a vector, not a selector.
EXTERNAL, IN_IDT = 1, 2
#: Type of a gate -> bytes a value on the stack, whether it masks interrupts: 32- and 16-bit
#: interrupt and trap gates.
GATES = {0x0E: (4, True), 0x0F: (4, False), 0x06: (2, True), 0x07: (2, False)}
#: The type of one that leads to a task.
TASK_GATE = 0x05
NO_SEGMENT = (0, 0, 0, UNUSABLE)
#: What real mode pushes, from below; a vector of it. Where CS lies.
_REAL_FRAME, _REAL_VECTOR, _CS_AT = struct.Struct("<3H"), struct.Struct("<2H"), SELECTOR_AT[CS]


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


class Interrupts:
    """Delivers to one CPU."""

    def __init__(
        self,
        cpu: Cpu,
        context: Context,
        memory: LinearMemory,
        delivering: Callable[[], None],
        cost: Callable[[int], None],
        enter_task: Callable[[Env, int, int, int | None], None],
        cells: memoryview[int],
    ) -> None:
        """Change registers by a `context` that nobody else has.

        `delivering` is told of each, `cost` what time a call takes that `answers` has;
        `enter_task` takes task gates: the registers, all flags, selector, error code. `cells` are
        what native code shares.
        """
        self._enter_task = enter_task
        self._cpu, self._context, self._memory = cpu, context, memory
        self._bus, self._words = cpu.bus, context.words
        self._delivering, self._cost = delivering, cost
        #: Of calls that need no handler.
        self.answers = Answers(context.words, cpu.bus, cells)

    def raised(self, uc: Uc, vector: int, _: object) -> None:
        """The engine's hook: INT n, or an exception."""
        self._context.load()
        raised = self._context.raised
        if raised.exception_is_int:
            self.deliver(vector, software=True)
        else:
            self.deliver(vector, raised.error_code, exception=True)

    def deliver(
        self, vector: int, error_code: int = 0, *, software: bool = False, exception: bool = False
    ) -> None:
        """On at the vector's handler; it may be an INT n (`software`), or a fault of the guest.

        Raises:
            GuestFault: A triple fault.
        """
        self._delivering()
        env = self._context.load()
        self._context.raised.old_exception = NO_EXCEPTION
        if not self._words[CR_AT] & PROTECTED:
            self._enter_real_mode(vector)
            self._context.store()
            return
        flags = self._cpu.get("eflags")
        begin = f"interrupt {vector:02X}h at {env.segs[CS].selector:04X}:{env.eip:08X}"
        if env.hflags & LONG:
            raise GuestFault(f"{begin} in long mode, which --cpu unicorn does not have")
        reasons: list[str] = []
        # What is being delivered, if that is a fault.
        first = vector if exception else None
        while True:
            pushed = error_code if first in WITH_ERROR_CODE else None
            try:
                self._enter(env, flags, vector, pushed, software=software)
                break
            except PageFault as fault:
                env.cr[2] = fault.linear
                reasons.append(f"a {fault} on the way")
                second, error_code = PAGE_FAULT, fault.error_code
            except Fault as fault:
                reasons.append(str(fault))
                second, error_code = fault.vector, fault.error_code | EXTERNAL * (not software)
            if first == DOUBLE_FAULT:
                why = ", then ".join(dict.fromkeys(reasons))
                raise GuestFault(f"{begin} in protected mode: {why}: a triple fault")
            if software:  # the INT itself is at fault
                env.eip -= 2 if self._memory.code(-2, 2) == bytes((0xCD, vector)) else 1
                software = False
            if second in TWICE.get(first, ()):
                second, error_code = DOUBLE_FAULT, 0
            first = vector = second
        self._context.store()

    def _enter_real_mode(self, vector: int) -> None:
        """FLAGS, CS and IP to the stack, on at the vector."""
        env, write = self._words, self._bus.write
        flags, pointer = self._cpu.get("eflags"), env[ESP_AT]
        base, top = env[SELECTOR_AT[SS]] << 4, pointer - 6 & 0xFFFF
        answer = self.answers.of(self._bus.read32(4 * vector), flags, base + top)
        if answer is not None:
            flags = answer[0](flags)
        frame = _REAL_FRAME.pack(env[EIP_AT] & 0xFFFF, env[_CS_AT], flags & 0xFFFF)
        if top <= 0x10000 - len(frame):
            write(base + top, frame)
        else:
            for i in (4, 2, 0):
                write(base + (top + i & 0xFFFF), frame[i : i + 2])
        if answer is not None:
            write_flags(env, flags)
            self._real_code()
            self._cost(answer[1])
            return
        env[ESP_AT] = pointer & 0xFFFF_0000 | top
        env[EFLAGS_AT] &= ~(INTERRUPT | TRAP)
        env[EIP_AT], selector = _REAL_VECTOR.unpack(self._bus.read(4 * vector, 4))
        env[_CS_AT], env[_CS_AT + BASE] = selector, selector << 4
        self._real_code()

    def _real_code(self) -> None:
        """CS as real mode loads it."""
        env = self._words
        if env[_CS_AT + FLAGS] != REAL_DATA << 8 or env[_CS_AT + LIMIT] != REAL_LIMIT:
            env[_CS_AT + FLAGS], env[_CS_AT + LIMIT] = REAL_DATA << 8, REAL_LIMIT
            settle(env)

    def _enter(
        self, env: Env, flags: int, vector: int, error_code: int | None, *, software: bool
    ) -> None:
        """Push the frame, and go on as the gate says; nothing has changed after an exception."""
        tables = Tables(self._memory, env)
        gate = tables.gate(vector, software=software)
        if gate >> 40 & 0x1F == TASK_GATE:
            self._enter_task(env, flags, gate >> 16 & 0xFFFF, error_code)
            return
        target = tables.target(gate)
        segs, virtual = env.segs, not env.protected
        frame = [flags, segs[CS].selector, env.eip]
        stack, pointer = target.stack or (segs[SS].loaded(), env.regs[ESP])
        if target.stack is not None:
            frame = [segs[SS].selector, env.regs[ESP], *frame]
        if virtual:
            frame = [segs[i].selector for i in (GS, FS, DS, ES)] + frame
        if error_code is not None:
            frame.append(error_code)
        size, mask = target.size, 0xFFFF_FFFF if stack[3] & BIG else 0xFFFF
        top = pointer - size * len(frame) & mask
        data = b"".join(
            (value & (1 << 8 * size) - 1).to_bytes(size, "little") for value in reversed(frame)
        )
        user = target.code[0] & 3 == 3
        self._memory.write(env.control(), stack[1] + top, data, user=user)
        if target.stack is not None:
            segs[SS].load(stack)
        if virtual:
            for i in (DS, ES, FS, GS):
                segs[i].load(NO_SEGMENT)
        segs[CS].load(target.code)
        env.regs[ESP] = pointer & ~mask | top
        env.eip = target.offset
        env.eflags &= ~(TRAP | NESTED | VIRTUAL_8086 | (INTERRUPT if target.masks else 0))
        env.settle()
