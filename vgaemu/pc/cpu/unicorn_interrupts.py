"""How an interrupt or exception gets to its handler: a Unicorn engine goes through no table itself.

Emulated: the vector table of real mode; interrupt and trap gates of the IDT, of 16 and 32 bits, to
the same privilege level or from 3 to 0 with the stack of the task; error codes, as far as they are
known. Not emulated: levels 1 and 2, task gates, virtual 8086 mode, long mode; double and triple
faults end the run.

The engine remembers the last fault for ever, as it never sees it delivered; so it takes the second
for a double fault, and ends the slice at the third, as a triple fault would, without a word. Which
exception it met is then found out from the instruction.

Source: Intel SDM volume 3A, chapter 6; measured with Unicorn 2.1.4.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from vgaemu.errors import GuestFault
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.clock import INTERRUPT_NS, Clock
from vgaemu.pc.cpu.cpu import INTERRUPT, NESTED, PROTECTED, TRAP, Cpu
from vgaemu.pc.cpu.mmu import BIG, CODE, CONFORMING, LinearReader, PageFault
from vgaemu.pc.cpu.unicorn_engine import LinearMemory, Registers, Uc, unicorn

#: Vectors of exceptions.
DIVISION, SINGLE_STEP, BOUND, UNKNOWN_OPCODE, NO_COPROCESSOR = 0, 1, 5, 6, 7
DOUBLE_FAULT, GENERAL_PROTECTION, PAGE_FAULT = 8, 13, 14
#: Exceptions that push an error code; which, the engine does not tell: it is 0 then.
ERROR_CODES = dict.fromkeys((8, 10, 11, 12, 13, 14, 17), 0)
#: Type of a gate -> bytes a value on the stack, whether it masks interrupts: 32- and 16-bit
#: interrupt and trap gates.
GATES = {0x0E: (4, True), 0x0F: (4, False), 0x06: (2, True), 0x07: (2, False)}
#: Opcodes: prefixes; div and idiv, aam; others.
PREFIXES = bytes.fromhex("26 2E 36 3E 64 65 66 67 F0 F2 F3")
DIVISIONS = (b"\xf6", b"\xf7", b"\xd4")
_BOUND, _WAIT, _ESCAPES, _POPF = 0x62, 0x9B, range(0xD8, 0xE0), b"\x9d"
#: CR0 bits 2 and 3: coprocessor instructions are emulated, or come after a task switch.
NO_X87 = 0x0C
#: Room for translated code in an engine that tries one instruction.
PROBE_BYTES = 1 << 20


class NoGateError(Exception):
    """A vector leads nowhere; the message says why."""


class Gate(NamedTuple):
    """Where an interrupt goes in protected mode, and the stack that it uses."""

    selector: int
    offset: int
    #: Least privilege that may use it by INT n.
    level: int
    #: Bytes a value on the stack takes, 4 or 2; whether the handler begins with interrupts off.
    size: int
    masks: bool
    #: Stack segment and pointer that it begins with; the segment is another one where the handler
    #: has more privilege than what it interrupts.
    stack: int
    pointer: int
    stack_base: int
    stack_mask: int


def read_gate(registers: Registers, memory: LinearReader, vector: int) -> Gate:
    """A vector's gate in the IDT.

    Raises:
        NoGateError: It cannot be taken.
    """
    _, base, limit, _ = registers["IDTR"]
    entry = memory(base + 8 * vector, 8)
    if 8 * vector + 7 > limit or len(entry) < 8:
        raise NoGateError("the interrupt table ends before it: a triple fault")
    low, high = (int.from_bytes(entry[i : i + 4], "little") for i in (0, 4))
    kind = high >> 8 & 0x1F
    if not high & 0x8000 or kind not in GATES:
        raise NoGateError("the interrupt table has no interrupt or trap gate for it")
    size, masks = GATES[kind]
    selector = low >> 16
    target = registers.segment(memory, selector)
    if target is None or not target[3] & CODE:
        raise NoGateError("its gate leads to no code")
    now = registers["CS"] & 3
    level = now if target[3] & CONFORMING else target[3] >> 5 & 3
    if level > now:
        raise NoGateError("its gate leads to less privilege")
    if level < now:
        stack, pointer = _inner_stack(registers, memory, level)
    else:
        stack, pointer = registers["SS"], registers["ESP"]
    here = registers.segment(memory, stack)
    offset = low & 0xFFFF | (high & 0xFFFF0000 if size == 4 else 0)
    wide = here is None or here[3] & BIG
    return Gate(
        selector & ~3 | level, offset, high >> 13 & 3, size, masks, stack, pointer,
        0 if here is None else here[1], 0xFFFF_FFFF if wide else 0xFFFF,
    )  # fmt: skip


def _inner_stack(registers: Registers, memory: LinearReader, level: int) -> tuple[int, int]:
    """Stack segment and pointer that the task has for a level of more privilege."""
    if level:
        raise NoGateError(f"--cpu unicorn has no privilege level {level}, --cpu kvm does")
    _, task, limit, flags = registers["TR"]
    wide_task = bool(flags >> 8 & 8)  # a 32-bit TSS
    fields = memory(task + (4 if wide_task else 2), 8 if wide_task else 4)
    half = len(fields) // 2
    if limit < 3 or not half:
        raise NoGateError("there is no task to take its stack from")
    pointer, stack = fields[:half], fields[half : half + 2]
    return int.from_bytes(stack, "little"), int.from_bytes(pointer, "little")


class Interrupts:
    """Delivers to one CPU."""

    def __init__(self, cpu: Cpu, registers: Registers, memory: LinearMemory, clock: Clock) -> None:
        self._cpu, self._registers, self._memory, self._clock = cpu, registers, memory, clock

    def raised(self, uc: Uc, vector: int, _: object) -> None:
        """The engine's hook: INT n, or an exception."""
        self._clock.cost(INTERRUPT_NS)
        memory = self._memory
        if vector == DOUBLE_FAULT and memory.code(-2, 2) != b"\xcd\x08":
            vector = swallowed_vector(memory)
        software = memory.code(-2, 2) == bytes((0xCD, vector))
        error_code = None if software else ERROR_CODES.get(vector)
        self.deliver(vector, software=software, error_code=error_code)

    def lost(self) -> None:
        """A slice ended before its time, neither at a HLT nor with an error."""
        vector = lost_vector(self._cpu, self._memory)
        self.deliver(vector, error_code=ERROR_CODES.get(vector))

    def deliver(
        self, vector: int, *, software: bool = False, error_code: int | None = None
    ) -> None:
        """On at the vector's handler; for `software`, an INT n, a gate may ask for privilege.

        Raises:
            GuestFault: There is no way to it.
        """
        cpu = self._cpu
        if not cpu.get("cr0") & PROTECTED:
            cpu.real_mode_interrupt(vector)
            return
        at = f"{cpu.cs:04X}:{cpu.get('eip'):08X}"
        try:
            gate = read_gate(self._registers, self._memory.reader(), vector)
        except NoGateError as error:
            at += " in protected mode"
            raise GuestFault(f"interrupt {vector:02X}h at {at}: {error}") from None
        if software and gate.level < cpu.cs & 3:
            cpu.set("eip", cpu.get("eip") - 2)  # the INT n itself is at fault
            self.deliver(GENERAL_PROTECTION, error_code=vector << 3 | 2)
            return
        try:
            self._enter(gate, error_code)
        except PageFault as fault:
            raise GuestFault(f"interrupt {vector:02X}h at {at}: its stack has a {fault}") from None

    def _enter(self, gate: Gate, error_code: int | None) -> None:
        """Push the frame, and go on as the gate says; nothing has changed after a `PageFault`."""
        cpu = self._cpu
        flags = cpu.get("eflags")
        frame = [flags, cpu.cs, cpu.get("eip")]
        more_privilege = (gate.selector & 3) < cpu.cs & 3
        if more_privilege:
            frame = [cpu.ss, cpu.get("esp"), *frame]
        if error_code is not None:
            frame.append(error_code)
        stack = gate.pointer - gate.size * len(frame) & gate.stack_mask
        data = b"".join(
            (value & (1 << 8 * gate.size) - 1).to_bytes(gate.size, "little")
            for value in reversed(frame)
        )
        self._memory.write(gate.stack_base + stack, data)
        if more_privilege:
            self._registers.set_privilege(gate.selector & 3)
            cpu.set("ss", gate.stack)
        cpu.set("esp", gate.pointer & ~gate.stack_mask | stack)
        cpu.set("eflags", flags & ~(TRAP | NESTED | (INTERRUPT if gate.masks else 0)))
        cpu.set("cs", gate.selector)
        cpu.set("eip", gate.offset)


def swallowed_vector(memory: LinearMemory) -> int:
    """The fault of the instruction at CS:IP that the engine took for a double one."""
    opcode = memory.code(0, 15).lstrip(PREFIXES)[:1]
    return DIVISION if opcode in DIVISIONS else GENERAL_PROTECTION


def lost_vector(cpu: Cpu, memory: LinearMemory) -> int:
    """The exception that ended a slice without a word, after two faults: it may be any."""
    cr0 = cpu.get("cr0")
    # The POPF that ends single steps is itself one.
    if cpu.get("eflags") & TRAP or (not cr0 & PROTECTED and memory.code(-1, 1) == _POPF):
        return SINGLE_STEP
    code = memory.code(0, 15)
    opcode = int.from_bytes(code.lstrip(PREFIXES)[:1], "little")
    if opcode == _BOUND:
        return BOUND
    if cr0 & NO_X87 and (opcode == _WAIT or opcode in _ESCAPES):
        return NO_COPROCESSOR
    segment = memory.code_segment()
    wide = segment is not None and bool(segment[3] & BIG)
    return UNKNOWN_OPCODE if _is_unknown(code, wide) else swallowed_vector(memory)


@lru_cache(maxsize=64)
def _is_unknown(code: bytes, wide: bool) -> bool:
    """Whether an engine without a past takes an instruction, `wide` of 32 bits, for unknown."""
    probe = Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32 if wide else unicorn.UC_MODE_16)
    probe.ctl_set_tcg_buffer_size(PROBE_BYTES)
    probe.mem_map(0, PAGE_SIZE)
    probe.mem_write(0, code)
    try:
        probe.emu_start(0, PAGE_SIZE - 1, count=1)
    except unicorn.UcError as error:
        return bool(getattr(error, "errno", 0) == unicorn.UC_ERR_INSN_INVALID)
    return False
