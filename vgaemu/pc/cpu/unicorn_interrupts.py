"""How an interrupt or exception gets to its handler: a Unicorn engine goes through no table itself.

Emulated: the vector table of real mode; interrupt and trap gates of the IDT, of 16 and 32 bits, to
the same privilege level or to one of more privilege with the stack of the task, also from virtual
8086 mode; task gates, see `unicorn_tasks`; long mode, see `unicorn_long`; faults on the way there,
double faults. A triple fault ends the run. Faults push the resume
flag, which keeps a breakpoint from another one; an interrupt between two turns of a REP pushes it
where a breakpoint there has set it. Not emulated: that it does so without one.

The engine itself loads and stores nothing here, see `unicorn_context`: descriptors are read, and
marked as accessed, through the guest's page tables, and what these forbid is the guest's fault.

Source: Intel SDM volume 3A, chapter 6; measured with Unicorn 2.1.4.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from vgaemu.errors import GuestFault
from vgaemu.native.cpu_cells import NEXT
from vgaemu.pc.cpu.cpu import INTERRUPT, NESTED, PROTECTED, RESUME, TRAP, VIRTUAL_8086, Cpu
from vgaemu.pc.cpu.exceptions import (
    DEBUG,
    DOUBLE_FAULT,
    FAULTS,
    INVALID_OPCODE,
    OF_NEW_TASKS,
    PAGE_FAULT,
    TWICE,
    WITH_ERROR_CODE,
)
from vgaemu.pc.cpu.mmu import BIG, REAL_DATA, REAL_LIMIT, UNUSABLE, PageFault
from vgaemu.pc.cpu.unicorn_calls import Answers
from vgaemu.pc.cpu.unicorn_context import (
    ARITHMETIC,
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
    flags_are_whole,
    settle,
    write_flags,
)
from vgaemu.pc.cpu.unicorn_engine import Uc
from vgaemu.pc.cpu.unicorn_long import enter_long
from vgaemu.pc.cpu.unicorn_memory import LinearMemory
from vgaemu.pc.cpu.unicorn_stack import push
from vgaemu.pc.cpu.unicorn_tables import (
    EXTERNAL,
    TASK_GATE,
    Fault,
    Tables,
)
from vgaemu.pc.cpu.unicorn_tasks import TASK_SWITCHED, InNewTask, begin_level, mend_switch

_INT1 = b"\xf1"
#: Of EFLAGS: what an interrupt clears in real mode, alignment checks among it.
MASKED = INTERRUPT | TRAP | RESUME | 1 << 18
NO_SEGMENT = (0, 0, 0, UNUSABLE)
#: What real mode pushes, from below; a vector of it. Where CS lies.
_REAL_FRAME, _REAL_VECTOR, _CS_AT = struct.Struct("<3H"), struct.Struct("<2H"), SELECTOR_AT[CS]


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
        self._cells = cells
        #: Of calls that need no handler.
        self.answers = Answers(context.words, cpu.bus, cells)

    def raised(self, uc: Uc, vector: int, _: object) -> None:
        """The engine's hook: INT n, or an exception."""
        env = self._context.load()
        raised = self._context.raised
        if raised.exception_is_int:
            self.deliver(vector, software=True)
        else:
            if not self._cells[NEXT] and vector != DEBUG:  # each instruction is counted
                flags_are_whole(self._words)
                self._context.store()
            if vector in OF_NEW_TASKS and env.cr[0] & TASK_SWITCHED and env.protected:
                mend_switch(self._context, self._memory)
            self.deliver(vector, raised.error_code, exception=True)

    def unknown_opcode(self) -> None:
        """The engine does not know the instruction: INT1 it leaves to debuggers of the host's."""
        if self._memory.code(0, 1) == _INT1:
            self._context.load().eip += 1
            self._context.store()
            self.deliver(DEBUG, exception=True)  # and not by INT n: any gate will do
        else:
            self.deliver(INVALID_OPCODE, exception=True)

    def page_fault(self, fault: PageFault, linear: int, *, in_fetch: bool) -> None:
        """The engine was refused an address; or an instruction, before it was begun."""
        env = self._context.load()
        if not in_fetch and not self._cells[NEXT]:
            flags_are_whole(self._words)
            # It has stopped, and goes on with what it made of them then.
            env.eflags = env.eflags & ~ARITHMETIC | env.cc[1] & ARITHMETIC
        if fault.vector == PAGE_FAULT:
            env.cr[2] = linear
        self._context.store()
        self.deliver(fault.vector, fault.error_code, exception=True)

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
        if env.protected and not env.hflags & LONG and not env.segs[SS].flags:
            begin_level(env)
        begun = software | exception  # an instruction
        flags = self._cpu.get("eflags") & ~(RESUME * begun)
        begin = f"interrupt {vector:02X}h at {env.segs[CS].selector:04X}:{env.eip:08X}"
        reasons: list[str] = []
        # What is being delivered, if that is a fault.
        first = vector if exception else None
        while True:
            pushed = error_code if first in WITH_ERROR_CODE else None
            shown = self._shown(env, flags, first)
            fault, flags_of_task = self._try(env, shown, vector, pushed, software)
            if fault is None:
                break
            second, error_code, why = self._cause(env, fault, software)
            reasons.append(why)
            if first == DOUBLE_FAULT:
                why = ", then ".join(dict.fromkeys(reasons))
                mode = "long mode" if env.hflags & LONG else "protected mode"
                raise GuestFault(f"{begin} in {mode}: {why}: a triple fault")
            if flags_of_task is not None:
                flags, software = flags_of_task, False
            if software:  # the INT itself is at fault
                env.eip -= 2 if self._memory.code(-2, 2) == bytes((0xCD, vector)) else 1
                software = False
            if second in TWICE.get(first, ()):
                second, error_code = DOUBLE_FAULT, 0
            first = vector = second
        self._context.store()

    def _try(
        self, env: Env, flags: int, vector: int, pushed: int | None, software: bool
    ) -> tuple[Fault | PageFault | None, int | None]:
        """Enter a handler; or its fault, and if that is of a task just entered, its flags."""
        try:
            self._enter(env, flags, vector, pushed, software=software)
        except InNewTask as of_task:
            return of_task.fault, of_task.flags
        except (PageFault, Fault) as fault:
            return fault, None
        return None, None

    def _cause(self, env: Env, fault: Fault | PageFault, software: bool) -> tuple[int, int, str]:
        """Vector and error code of what came in the way, which may set CR2; and why, in words."""
        if not isinstance(fault, PageFault):
            return fault.vector, fault.error_code | EXTERNAL * (not software), str(fault)
        if fault.vector == PAGE_FAULT:
            env.cr[2] = fault.linear
        return fault.vector, fault.error_code, f"a {fault} on the way"

    def _shown(self, env: Env, flags: int, first: int | None) -> int:
        """EFLAGS as the delivery of something pushes them."""
        resumes = first in FAULTS and self._context.raised.resumes(env)
        return flags | RESUME if resumes else flags

    def _enter_real_mode(self, vector: int) -> None:
        """FLAGS, CS and IP to the stack, on at the vector."""
        env, write = self._words, self._bus.write
        flags, pointer = self._cpu.get("eflags"), env[ESP_AT]
        base, top = env[SELECTOR_AT[SS]] << 4, pointer - 6 & 0xFFFF
        answer = self.answers.of(self._bus.read32(4 * vector), flags, base + top & self._bus.a20)
        if answer is not None:
            flags = answer[0](flags)
        frame = _REAL_FRAME.pack(env[EIP_AT] & 0xFFFF, env[_CS_AT], flags & 0xFFFF)
        at, last, a20 = base + top, base + top + len(frame) - 1, self._bus.a20
        if top <= 0x10000 - len(frame) and last - at == (last & a20) - (at & a20):
            write(at & a20, frame)
        else:
            for i in (4, 2, 0):
                write(base + (top + i & 0xFFFF) & a20, frame[i : i + 2])
        if answer is not None:
            write_flags(env, flags)
            self._real_code()
            self._cost(answer[1])
            return
        env[ESP_AT] = pointer & 0xFFFF_0000 | top
        env[EFLAGS_AT] &= ~MASKED
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
        if env.hflags & LONG:
            enter_long(self._memory, env, flags, vector, error_code, software=software)
            return
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
        user, inner = target.code[0] & 3 == 3, target.stack is not None
        code = stack[0] & ~3 if inner else 0
        top = push(
            self._memory, env.control(), (stack, pointer), frame, target.size, user=user, code=code
        )
        if inner:
            segs[SS].load(stack)
        if virtual:
            for i in (DS, ES, FS, GS):
                segs[i].load(NO_SEGMENT)
        segs[CS].load(target.code)
        # The upper half stays where a stack's pointer has but the lower one.
        env.regs[ESP] = top if stack[3] & BIG else env.regs[ESP] & ~0xFFFF | top
        env.eip = target.offset
        masked = INTERRUPT if target.masks else 0
        env.eflags &= ~(TRAP | NESTED | RESUME | VIRTUAL_8086 | masked)
        env.settle()
