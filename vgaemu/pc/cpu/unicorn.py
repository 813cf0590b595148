"""A CPU by Unicorn: translated code, VRAM pages opened by TLB fills, slices by instruction count.

Emulated: real mode, flat or segmented protected mode and long mode, with paging and user mode;
interrupts and tasks as `unicorn_interrupts` and `unicorn_tasks` say, external interrupts between
slices. Not emulated: breakpoints of data and in code with a base, instruction timing. The engine
has otherwise: limits of segments, which no load, store, push or pop finds; POPA that faults, of
which some registers are loaded then; ENTER where code and stack are not of the same size; PUSH of a
segment register, which stores 32 bits; the error code of what reads and writes: that of the load.

Pages are found by `unicorn_pages`.

Slices end by instruction count, and before it when the guest's time in a frame is up, or the engine
did much else, which is counted, too. Measured with Unicorn 2.1.4: `timeout=` costs milliseconds,
`emu_stop` from another thread tears read-modify-write instructions, and touching a running engine
from another thread crashes it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import Any

import numpy as np

from vgaemu import native
from vgaemu.errors import GuestFault
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.memslot.log import DirtyLog
from vgaemu.native.cpu_cells import DELIVERY_NS, LONG_OVERHEAD_NS, MAY_ANSWER, OVERHEAD
from vgaemu.native.shared import address_of
from vgaemu.pc.bus import Bus
from vgaemu.pc.clock import INSTRUCTION_NS, INTERRUPT_NS, PLANES_NS, POLL_NS, StepClock
from vgaemu.pc.cpu import unicorn_engine as engine
from vgaemu.pc.cpu.cpu import (
    INTERRUPT,
    PROTECTED,
    RESUME,
    SEGMENTS,
    STOPPED,
    Array,
    Cpu,
)
from vgaemu.pc.cpu.debug_registers import debug_of
from vgaemu.pc.cpu.exceptions import GENERAL_PROTECTION, INVALID_OPCODE
from vgaemu.pc.cpu.mmu import (
    PAGING,
    REAL_DATA,
    REAL_LIMIT,
    WRITE_PROTECT,
    PageFault,
)
from vgaemu.pc.cpu.unicorn_ahead import Ahead
from vgaemu.pc.cpu.unicorn_blocks import BlockCount, Translations
from vgaemu.pc.cpu.unicorn_context import (
    ENABLED,
    HELD_OFF,
    SEGMENT_NUMBERS,
    Context,
    Copies,
    write_flags,
)
from vgaemu.pc.cpu.unicorn_cpuid import LEAVES, MODEL
from vgaemu.pc.cpu.unicorn_engine import InstructionCount, Uc, unicorn
from vgaemu.pc.cpu.unicorn_interrupts import Interrupts
from vgaemu.pc.cpu.unicorn_long import fast_call, system_call
from vgaemu.pc.cpu.unicorn_loops import Loops
from vgaemu.pc.cpu.unicorn_memory import LinearMemory
from vgaemu.pc.cpu.unicorn_native import CpuCells
from vgaemu.pc.cpu.unicorn_pages import NEVER, Pages
from vgaemu.pc.cpu.unicorn_ports import BusPorts
from vgaemu.pc.cpu.unicorn_registers import RegisterFile
from vgaemu.pc.cpu.unicorn_spin import LoopInHand
from vgaemu.pc.cpu.unicorn_state import engine_arrays, engine_refusal, restore_engine
from vgaemu.pc.cpu.unicorn_tables import Fault, Tables
from vgaemu.pc.cpu.unicorn_tasks import TaskGates
from vgaemu.pc.cpu.unicorn_tlb import TableSizes
from vgaemu.pc.cpu.unicorn_vga import VramPages

#: Instructions in a slice: 86 us, 5 % slower than slices of a million (measured).
SLICE = 10_000
#: The same in step, where nobody harvests beside it; a frame still looks several times at what it
#: costs the host.
SLICE_IN_STEP = 50_000
#: In free runs: a slice that takes longer is halved, down to the shortest. Stores take 26 to 55 ns.
LONG_SLICE_NS, SHORTEST_SLICE = 150_000, 1_250
#: Basic blocks that a trace of code remembers.
BLOCKS_KEPT = 32
#: Slices before native code is asked for: whoever comes and goes is not to wait for a compiler, nor
#: a first frame beside one.
SLICES_BEFORE_NATIVE = 200
_HLT = 0xF4
#: Bytes of the longest instruction; the second one of SYSENTER, after 0Fh.
_LONGEST, _SYSENTER = 15, 0x34
#: MOV CR0, but for the byte that names a register; bits of CR0 that empty the TLB as they change.
_MOV_CR0 = b"\x0f\x22"
_MOV_DR7 = b"\x0f\x23\xf8"  # from EAX
_ASKING = PROTECTED | WRITE_PROTECT | PAGING


class UnicornCpu(Cpu):
    """One Unicorn engine on a `Bus`."""

    name = "unicorn"
    can_trace = True

    def __init__(
        self, bus: Bus, clock: StepClock, *, free: bool = False, trace_code: bool = False
    ) -> None:
        """An engine in real mode, all registers as after reset or 0.

        In a `free` run slices fit the time they take; else all are equal, for runs that repeat.
        """
        super().__init__(bus)
        self._clock = clock
        self._slice = SLICE if free else SLICE_IN_STEP
        self._adapts = free
        self._closed = False
        self._uc: Uc = engine.make_wide_engine(MODEL)
        #: What the CPU itself changes; the others change, or look at, their own.
        self._context = context = Context(self._uc)
        self._sizes = TableSizes(context)
        self._file = RegisterFile(self._uc, context.another())
        #: Of the slice in hand, or the last one.
        self._count: InstructionCount | BlockCount | None = InstructionCount.find(self._uc)
        self._fault_address = engine.FaultAddress(self._uc)
        #: Whether the slice in hand was ended.
        self._cut = False
        #: What native code shares: of the slice in hand what the engine did beside instructions.
        self._native = CpuCells()
        self._cells = self._native.numbers
        #: Whether BIOS calls may be answered without their stubs in the next slice.
        self._may_answer: Callable[[], bool] = lambda: False
        #: How many slices are still to be without native code, or below 0.
        self._slices_in_python = SLICES_BEFORE_NATIVE
        self._traces = trace_code
        #: What ended the run in a hook.
        self._fault: GuestFault | None = None
        self._registers = engine.Registers(self._uc)
        self._copies = Copies(self._uc)
        self._memory = LinearMemory(bus, context.another())
        self._loop = LoopInHand(bus, context.another())
        self._interrupts = self._make_interrupts()
        self._pages = Pages(self._uc, bus, clock, self._memory, context, self._worked, self._cells)
        self._vram = VramPages(
            self._uc,
            bus.vga,
            fill=self._pages.fill,
            planes_touched=lambda size: clock.cost((size + 1 >> 1) * PLANES_NS),
        )
        #: Who harvests beside this CPU.
        self.tlb = self._vram.tlb
        sights = self._loop.state, self._memory, context.another()
        self._ports = BusPorts(self._uc, bus, clock, self.tlb, *sights)
        self._pages.window = self._vram.translate
        self._hook(trace_code)
        self._reset()
        for changed in (bus.on_protection_changed, bus.on_a20_changed):
            changed.append(self.tlb.map_changed)

    def _make_interrupts(self) -> Interrupts:
        context, memory, cost = self._context.another(), self._memory, self._clock.cost
        enter = TaskGates(memory, lambda: self.tlb.map_changed()).enter
        return Interrupts(self, context, memory, self._delivering, cost, enter, self._cells)

    def _hook(self, trace_code: bool) -> None:
        add, instruction = self._uc.hook_add, unicorn.UC_HOOK_INSN
        self._raised = add(unicorn.UC_HOOK_INTR, self._interrupts.raised)
        add(unicorn.UC_HOOK_INSN_INVALID, self._on_unknown_opcode)
        counted = self._count if isinstance(self._count, InstructionCount) else None
        own = self._context.another()
        loops = Loops(self._uc, own, self.bus)
        self._translations = Translations(self._uc, own, self._worked, counted, loops)
        self._ahead = Ahead(self._context, self._translations, self._cells)
        add(instruction, self._on_cpuid, None, 1, 0, unicorn.x86_const.UC_X86_INS_CPUID)
        calls = unicorn.x86_const.UC_X86_INS_SYSCALL, unicorn.x86_const.UC_X86_INS_SYSENTER
        hooks = [add(instruction, self._on_system_call, None, 1, 0, number) for number in calls]
        self._system_call = hooks[0]
        engine.hook_rdtsc(self._uc, self._on_rdtsc)
        if trace_code:
            blocks = self.blocks = deque(maxlen=BLOCKS_KEPT)
            add(unicorn.UC_HOOK_BLOCK, lambda uc, at, size, _: blocks.append((at, size)))

    def _reset(self) -> None:
        """Real mode; FPU and SSE as a reset leaves them, the engine unmasks all exceptions."""
        self.set("cr0", 0x10)
        for name in SEGMENTS:
            self.set(name, 0)
        for name, value in (("FPCW", 0x37F), ("FPTAG", 0xFFFF), ("MXCSR", 0x1F80)):
            self._registers[name] = value

    def get(self, register: str) -> int:
        return self._file.read(register)

    def set(self, register: str, value: int) -> None:
        if register in SEGMENT_NUMBERS:
            self._load_segment(register, value & 0xFFFF)
        else:
            self._file.write(register, value)

    def _load_segment(self, register: str, selector: int) -> None:
        env = self._context.load()
        segment = selector, selector << 4, REAL_LIMIT, REAL_DATA
        if env.protected:
            # Only services load segments, and they are of real mode.
            try:
                segment = Tables(self._memory, env).load(selector)
            except (Fault, PageFault) as fault:
                where = f"at {self.cs:04X}:{self.get('eip'):08X} in protected mode"
                raise GuestFault(
                    f"a service cannot load {register.upper()} {where}: {fault}"
                ) from None
        env.segs[SEGMENT_NUMBERS[register]].load(segment)
        env.settle()
        self._context.store()

    def _on_unknown_opcode(self, uc: Uc, _: object) -> bool:
        try:
            if self._count is not None:
                self._count.faulted()
            self._interrupts.unknown_opcode()
        except GuestFault as fault:  # of this hook the engine heeds the answer alone
            self._fault = fault
            return False
        return True  # and go on

    def _on_rdtsc(self) -> None:
        """The time stamp counter is the guest's clock, at 1 GHz; a look at it is a poll."""
        clock = self._clock
        clock.cost(POLL_NS)
        now = clock.now_ns()
        self._file.write_extended("eax", now & 0xFFFF_FFFF)
        self._file.write_extended("edx", now >> 32)

    def _delivering(self) -> None:
        """An interrupt or exception is on its way."""
        self._clock.cost(INTERRUPT_NS)
        self._worked(DELIVERY_NS)

    def _worked(self, ns: int) -> None:
        """The engine did something beside the guest's instructions."""
        self._cells[OVERHEAD] += ns
        if self._cells[OVERHEAD] > LONG_OVERHEAD_NS:
            self._clock.due(self._clock.now_ns())

    def _end_slice(self) -> None:
        self._cut = True

    def answer_calls(self, stubs: Mapping[int, int], may: Callable[[], bool]) -> None:
        if type(self.bus) is Bus:  # a tap wants to know of the stubs' ports
            self._interrupts.answers.lead_here(stubs)
            self._may_answer = may

    def stays(self) -> frozenset[int]:
        return self._loop.stays()

    def _on_cpuid(self, uc: Uc, _: object) -> bool:
        self._clock.cost(POLL_NS)
        found = LEAVES.get(self.get("eax"))
        if found is None:
            return False
        for name, value in zip(("eax", "ebx", "ecx", "edx"), found, strict=True):
            self._file.write_extended(name, value)
        return True  # and not by the engine

    def _on_system_call(self, uc: Uc, _: object) -> None:
        """SYSCALL or SYSENTER: the engine goes on behind it from where EIP is left."""
        context = self._context
        env = context.load()
        where = self._memory.code(0, _LONGEST)
        length = where.index(b"\x0f") + 2
        is_fast = where[length - 1] == _SYSENTER
        call = fast_call if is_fast else system_call
        flags = call(env, context.calls, self.get("eflags"), length)
        if flags is not None:
            write_flags(context.words, flags)
            context.store()
            return
        self._interrupts.deliver(GENERAL_PROTECTION if is_fast else INVALID_OPCODE, exception=True)
        context.load().eip -= length
        context.store()

    def interrupt(self, vector: int) -> None:
        self.halted = False
        self._interrupts.deliver(vector)

    def can_interrupt(self) -> bool:
        env = self._context.load()
        if not env.eflags & INTERRUPT:
            return False
        # Not after STI, POP SS and MOV SS, wherever the slice ended: one that comes between STI and
        # HLT is slept through, between SS and SP its frame lies anywhere.
        return self.halted or not env.hflags & HELD_OFF

    def run(self, limit_ns: int) -> None:
        clock = self._clock
        self._sizes.keep()
        self._cells[OVERHEAD], self._cut = 0, False
        started = perf_counter_ns() if self._adapts else 0
        if self._slices_in_python >= 0:
            self._go_native()
        self.tlb.enter()
        until_ns = clock.ns + self._slice * INSTRUCTION_NS
        cells = None
        if self._count is not None:
            self._count.begin_slice()
            cells = self._count.cells
        self._cells[MAY_ANSWER] = self._may_answer()
        clock.begin_slice(until_ns, limit_ns, cells, self._end_slice)
        try:
            while not (self.halted or self._cut) and (left := clock.instructions_left()) > 0:
                with self.bus.vga.slot.exit_section():
                    clock.executed(self._execute(left))
                self._ports.permission.settle(self._interrupts.deliver)
        finally:
            clock.end_slice(self._cells[OVERHEAD])
            self.tlb.leave()
        self._context.end_resume()
        if started:
            self._fit_slice(perf_counter_ns() - started)

    def _go_native(self) -> None:
        """Let native code do what it can, if there is any, and have it made after some slices."""
        self._slices_in_python -= 1
        functions = native.load(begin=self._slices_in_python < 0)
        if functions is None:
            self._slices_in_python = max(self._slices_in_python, 0)
            return
        self._slices_in_python = -1
        if functions and isinstance(self._count, InstructionCount):
            clock, context = self._clock, self._context
            self._vram.use_native(functions, address_of(clock.cells), PLANES_NS)
            self._ports.go_native(functions)
            if context.in_place:
                self._native.tell(context, self.bus, self._pages.code, clock.cells)
                if not self._traces:
                    self._pages.refuses = True
                    counted = self._native.count_blocks(
                        self._uc, context, self._count, self._vram, self._translations, functions
                    )
                    self._pages.refuses = False
                    if counted is not None:
                        self._count = counted
                        self._ports.count_blocks(self._cells)
                hooks = self._raised, self._system_call
                self._native.hook(self._uc, *hooks, self._vram, functions)
            clock.share(self._count.address)
        self._translations.paid = None

    def _execute(self, count: int) -> int:
        """Go on until so many instructions are done or something ends it; how many were done."""
        left = count if self._count is None else self._count.begin(count)
        self._ahead.begin()
        begin_ns = self._clock.now_ns()
        try:
            self._uc.emu_start(self.get("rip"), NEVER, count=left)
            # Nothing but HLT, an error or the count ends it. Where the count is not to be had, the
            # byte before IP tells them.
            if self._count is None:
                self.halted = self._memory.code(-1, 1)[0] == _HLT
            else:
                self.halted = not self._count.is_used_up
        except unicorn.UcError as error:
            self._on_error(error)
        executed = count if self._count is None else self._count.executed
        # An exception before the first one has cost time, so the guest gets on without.
        if self._ahead.waits or self._clock.now_ns() > begin_ns:
            return executed
        return max(executed, 1)

    def _fit_slice(self, took_ns: int) -> None:
        """Shorter slices for code that takes long, and back: flushes wait for their ends."""
        if took_ns > LONG_SLICE_NS:
            self._slice = max(self._slice // 2, SHORTEST_SLICE)
        elif took_ns < LONG_SLICE_NS // 3:
            self._slice = min(self._slice * 2, SLICE)

    def _on_error(self, error: Any) -> None:
        failed, self._fault = self._fault, None
        if failed is not None:
            raise failed from None
        where = self.where()
        pages = self._pages
        fault, pages.fault = pages.fault, None
        lost, pages.lost = pages.lost, None
        fetched = fault.linear if fault is not None and pages.fault_in_fetch else lost
        executed = 0 if self._count is None else self._count.executed
        if fetched is not None and self._ahead.is_only(fetched, executed):
            return
        if fault is not None:
            if self._count is not None and not pages.fault_in_fetch:
                self._count.faulted()
            at = self._fault_address.within(fault.linear & -PAGE_SIZE)
            self._interrupts.page_fault(fault, at, in_fetch=pages.fault_in_fetch)
            return
        if pages.cr0_refused:
            self._refuse_cr0()
            return
        if lost is not None or error.errno == unicorn.UC_ERR_FETCH_UNMAPPED:
            raise GuestFault(f"fetch from where there is no memory, {where}") from None
        raise GuestFault(f"{error} {where}") from None

    def _refuse_cr0(self) -> None:
        """Paging without protection: the engine has taken it, a processor faults instead."""
        # It asks for the next instruction's page as soon as one of these bits changes.
        self._pages.cr0_refused = False
        self.set("cr0", self.get("cr0") & ~_ASKING | self._pages.cr0 & _ASKING)
        if self._memory.code(-len(_MOV_CR0) - 1, len(_MOV_CR0)) == _MOV_CR0:
            self.set("eip", self.get("eip") - len(_MOV_CR0) - 1)
        self._interrupts.deliver(GENERAL_PROTECTION, exception=True)

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        return self.tlb.harvest(keeper_harvest)

    def harvest_ram(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        log = keeper_harvest()
        if log:
            self.tlb.map_changed()  # what was opened for stores is to ask again
        return log

    def mark(self) -> dict[str, Array]:
        return {
            "engine": np.frombuffer(self._copies.take(), np.uint8),
            "halted": np.asarray(self.halted),
        }

    def go_back(self, mark: Mapping[str, Array]) -> None:
        self._copies.go_back(mark["engine"].tobytes())
        self.halted = bool(mark["halted"])
        self.tlb.map_changed()

    def arrays_of(self, mark: Mapping[str, Array]) -> dict[str, Array]:
        now = self.mark()
        try:
            self.go_back(mark)
            return self.arrays()
        finally:
            self.go_back(now)

    def arrays(self) -> dict[str, Array]:
        arrays = engine_arrays(self._registers, self._context)
        arrays["cpu.pending"][...] = -1
        arrays["cpu.halted"] |= STOPPED * self.halted
        return arrays

    def refusal(self, arrays: Mapping[str, Array]) -> str | None:
        return engine_refusal(arrays)

    def restore(self, arrays: Mapping[str, Array]) -> None:
        self._pages.forget_code()
        self.tlb.map_changed()
        self._set_breakpoints(debug_of(arrays))
        restore_engine(self._registers, self._context, arrays)
        self.halted = bool(arrays["cpu.halted"] & STOPPED)
        if int(arrays["cpu.pending"]) >= 0:
            self.real_mode_interrupt(int(arrays["cpu.pending"]))

    def _set_breakpoints(self, debug: list[int]) -> None:
        """DR0 to DR3, DR6 and DR7 of a state; all else is to be restored after it.

        The engine keeps a list of breakpoints, which only an instruction changes.
        """
        self._context.load()
        registers = self._context.raised.dr
        if registers[7] & ENABLED:
            self._move_to_dr7(0)
        for number, value in zip(
            (0, 1, 2, 3, 6, 7), (*debug[:5], debug[5] & ~ENABLED), strict=True
        ):
            registers[number] = value
        self._context.store()
        if debug[5] & ENABLED:
            self._move_to_dr7(debug[5])

    def _move_to_dr7(self, value: int) -> None:
        kept = bytes(self.bus.memory[: len(_MOV_DR7)])
        self.bus.memory[: len(_MOV_DR7)] = _MOV_DR7
        self._reset()
        self.set("eax", value)
        self.set("eflags", RESUME | 2)  # there may be one at it, too
        self._uc.emu_start(0, len(_MOV_DR7), count=1)
        self.bus.memory[: len(_MOV_DR7)] = kept
        self._uc.ctl(*engine.FLUSH_CODE)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._vram.let_go()
        self._pages.close()
        for changed in (self.bus.on_protection_changed, self.bus.on_a20_changed):
            changed.remove(self.tlb.map_changed)
        engine.release(self._uc)
        del (
            self._uc,
            self._registers,
            self._context,
            self._sizes,
        )  # so that nothing is read from freed memory
