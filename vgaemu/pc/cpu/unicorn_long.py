"""Long mode of a Unicorn engine: gates of 16 bytes, and system calls, which it leaves to others.

Emulated: interrupt and trap gates of 64 bits to the same privilege level or to one of more
privilege, with the stacks of the task, its interrupt stack table among them; SYSCALL from 64-bit
code; SYSENTER from any. The engine itself has IRET, SYSRET, SYSEXIT, SWAPGS, the MSRs. Not
emulated: SYSCALL from other code, which is an unknown opcode, as Intel has it.

Source: Intel SDM volume 3A, sections 5.8.7, 5.8.8 and 6.14; measured with Unicorn 2.1.4.
"""

from __future__ import annotations

import struct

from vgaemu.pc.cpu import mmu
from vgaemu.pc.cpu.cpu import INTERRUPT, NESTED, PROTECTED, RESUME, TRAP, VIRTUAL_8086
from vgaemu.pc.cpu.exceptions import GENERAL_PROTECTION, INVALID_TSS, NOT_PRESENT, STACK_FAULT
from vgaemu.pc.cpu.mmu import Segment
from vgaemu.pc.cpu.unicorn_context import CODE64, CS, ESP, LONG, SS, Env, SystemCalls
from vgaemu.pc.cpu.unicorn_memory import LinearMemory
from vgaemu.pc.cpu.unicorn_tables import (
    IN_IDT,
    Fault,
    Tables,
)

#: Types of gates: of an interrupt, which masks others, and of a trap.
INTERRUPT_GATE, TRAP_GATE = 0x0E, 0x0F
_GATE = struct.Struct("<QQ")
#: Of a state segment: where stack pointers of levels begin, and those of the interrupt stack table.
STACKS_AT, INTERRUPT_STACKS_AT = 4, 0x24
#: EFER: SYSCALL is enabled.
SYSCALL_ENABLED = 1
ECX, EDX, R11 = 1, 2, 11
#: Attributes of flat segments as system calls load them, of level 0.
_FLAT = 0xFFFF_FFFF
_CODE64, _CODE32, _DATA = 0xA09B, 0xC09B, 0xC093


def enter_long(
    memory: LinearMemory,
    env: Env,
    flags: int,
    vector: int,
    error_code: int | None,
    *,
    software: bool,
) -> None:
    """Push the frame, and go on as the gate says; nothing has changed after an exception.

    Raises:
        Fault: It cannot be taken.
        PageFault: A table or the stack cannot be read, or not be written.
    """
    tables = Tables(memory, env)
    low, high = _gate(memory, env, vector, software=software)
    selector, offset = low >> 16 & 0xFFFF, low & 0xFFFF | low >> 32 & 0xFFFF_0000
    offset |= (high & 0xFFFF_FFFF) << 32
    segment, at = tables.segment(selector)
    attributes = segment[3]
    level = env.level if attributes & mmu.CONFORMING else attributes >> 5 & 3
    if not attributes & mmu.CODE or attributes & (mmu.CODE64 | mmu.BIG) != mmu.CODE64:
        why = "its gate leads to no code of 64 bits"
        raise Fault(GENERAL_PROTECTION, selector & ~3, why)
    if level > env.level:
        raise Fault(GENERAL_PROTECTION, selector & ~3, "its gate leads to less privilege")
    if not attributes & mmu.SEGMENT_PRESENT:
        raise Fault(NOT_PRESENT, selector & ~3, "its code is not present")
    top, number = env.regs[ESP], low >> 32 & 7
    if number:
        top = _stack(memory, env, INTERRUPT_STACKS_AT + 8 * (number - 1))
    elif level < env.level:
        top = _stack(memory, env, STACKS_AT + 8 * level)
    frame = [env.segs[SS].selector, env.regs[ESP], flags, env.segs[CS].selector, env.eip]
    if error_code is not None:
        frame.append(error_code)
    top = (top & ~15) - 8 * len(frame) & (1 << 64) - 1
    data = struct.pack(f"<{len(frame)}Q", *reversed(frame))
    if not mmu.is_canonical(top):
        raise Fault(STACK_FAULT, 0, "its stack is at no canonical address")
    if not mmu.is_canonical(offset):
        raise Fault(GENERAL_PROTECTION, 0, "its gate leads to no canonical address")
    _, _, limit, attributes = tables.mark(at, segment)
    memory.write(env.control(), top, data, user=level == 3)
    if level < env.level:
        env.segs[SS].load((level, 0, 0, mmu.UNUSABLE))
        env.segs[SS].flags = level << 13
    env.segs[CS].load((selector & ~3 | level, 0, limit, attributes))
    env.regs[ESP] = top
    env.eip = offset
    masks = INTERRUPT if low >> 40 & 0xF == INTERRUPT_GATE else 0
    env.eflags &= ~(TRAP | NESTED | VIRTUAL_8086 | RESUME | masks)
    env.settle()


def _gate(memory: LinearMemory, env: Env, vector: int, *, software: bool) -> tuple[int, int]:
    code = 8 * vector | IN_IDT
    if 16 * vector + 15 > env.idt.limit:
        raise Fault(GENERAL_PROTECTION, code, "the interrupt table ends before it")
    low, high = _GATE.unpack(memory.read(env.control(), env.idt.base + 16 * vector, 16))
    if low >> 40 & 0x1F not in (INTERRUPT_GATE, TRAP_GATE):
        raise Fault(GENERAL_PROTECTION, code, "the interrupt table has no gate for it")
    if software and low >> 45 & 3 < env.level:
        raise Fault(GENERAL_PROTECTION, code, "its gate is not for this privilege level")
    if not low >> 47 & 1:
        raise Fault(NOT_PRESENT, code, "its gate is not present")
    return low, high


def _stack(memory: LinearMemory, env: Env, at: int) -> int:
    """A stack pointer of the task."""
    task = env.tr
    if at + 7 > task.limit:
        raise Fault(INVALID_TSS, task.selector & ~3, "there is no task to take its stack from")
    return int.from_bytes(memory.read(env.control(), task.base + at, 8), "little")


def system_call(env: Env, calls: SystemCalls, flags: int, length: int) -> int | None:
    """SYSCALL, an instruction of `length` bytes; returns flags after it, None: it is unknown.

    The engine goes on `length` bytes behind what is in EIP then.
    """
    if not env.hflags & CODE64 or not env.efer & SYSCALL_ENABLED:
        return None
    selector = calls.star >> 32 & 0xFFFC
    env.regs[ECX], env.regs[R11] = env.eip + length & (1 << 64) - 1, flags & ~RESUME
    _load_flat(env, selector, _CODE64)
    env.eip = calls.lstar - length & (1 << 64) - 1
    return flags & ~(calls.fmask | RESUME) & 0xFFFF_FFFF


def fast_call(env: Env, calls: SystemCalls, flags: int, length: int) -> int | None:
    """SYSENTER, in the same way; None: it is general protection."""
    selector = calls.sysenter_cs & 0xFFFC
    if not env.cr[0] & PROTECTED or not selector:
        return None
    is_long = env.hflags & LONG
    _load_flat(env, selector, _CODE64 if is_long else _CODE32)
    mask = (1 << 64) - 1 if is_long else 0xFFFF_FFFF
    env.regs[ESP] = calls.sysenter_esp & mask
    env.eip = (calls.sysenter_eip & mask) - length & (1 << 64) - 1
    return flags & ~(VIRTUAL_8086 | INTERRUPT | RESUME)


def _load_flat(env: Env, selector: int, code: int) -> None:
    """CS and SS of level 0."""
    segments: tuple[tuple[int, Segment], ...] = (
        (CS, (selector, 0, _FLAT, code)), (SS, (selector + 8, 0, _FLAT, _DATA)),
    )  # fmt: skip
    env.eflags &= ~VIRTUAL_8086
    for number, segment in segments:
        env.segs[number].load(segment)
    env.settle()
