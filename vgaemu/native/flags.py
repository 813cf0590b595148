"""EFLAGS, and the engine's own flags, by which it translates code.

Source: `vgaemu.pc.cpu.unicorn_context`, which gives the same results.
"""

from __future__ import annotations

from vgaemu.native.calls import call3
from vgaemu.native.compiler import Pointer, part, uint32_at
from vgaemu.native.cpu_cells import ENV, READ_REGISTER, WORD
from vgaemu.native.env import (
    ARITHMETIC,
    BASE,
    CC_OP_AT,
    CC_SOURCE_AT,
    CR0_AT,
    CS,
    DF_AT,
    DIRECTION,
    DS,
    EFLAGS_AT,
    ES,
    FLAGS,
    HFLAGS_AT,
    IN_CC,
    SEGMENT,
    SEGMENTS_AT,
    SS,
)

#: The number that the engine has for EFLAGS.
EFLAGS = 25
#: Bits of EFLAGS besides `ARITHMETIC` and `DIRECTION`.
ZERO, TRAP, INTERRUPT, NESTED = 1 << 6, 1 << 8, 1 << 9, 1 << 14
RESUME, VIRTUAL_8086, ALIGNMENT = 1 << 16, 1 << 17, 1 << 18
#: Bits of CR0.
PROTECTED, TASK_SWITCHED, PAGING = 1, 1 << 3, 1 << 31
#: Bits of the engine's own flags: see `unicorn_context`.
LEVEL, CODE32, STACK32, BASES, LONG, CODE64 = 3, 1 << 4, 1 << 5, 1 << 6, 1 << 14, 1 << 15
#: Bits of a descriptor's upper half, which a segment register has as its flags: of code, that it
#: can be used from less privilege, and is of 64 bits; of all, that it is present, of 32 bits,
#: that its limit counts pages. Where its privilege level is.
CONFORMING, IS_CODE64, IS_PRESENT, BIG, GRANULAR = 1 << 10, 1 << 21, 1 << 15, 1 << 22, 1 << 23
LEVEL_SHIFT = 13


@part
def flags_of(uc: int, cells: Pointer) -> int:
    """EFLAGS, with what the engine computes when it is asked."""
    env = uint32_at(cells[ENV])
    if env[CC_OP_AT] == IN_CC:
        flags = env[EFLAGS_AT] & ~(ARITHMETIC | DIRECTION)
        return flags | (env[CC_SOURCE_AT] & ARITHMETIC) | (env[DF_AT] & DIRECTION)
    call3(cells[READ_REGISTER], uc, EFLAGS, cells[WORD])
    return uint32_at(cells[WORD])[0] & 0xFFFFFFFF


@part
def flags_are_whole(env: Pointer) -> None:
    """Within an instruction that was begun: see `unicorn_context`."""
    if env[CC_OP_AT] > IN_CC:
        env[CC_OP_AT] = IN_CC


@part
def settle(env: Pointer) -> None:
    """Let the engine's own flags follow segments that were loaded."""
    code, stack = env[SEGMENTS_AT + CS * SEGMENT + FLAGS], env[SEGMENTS_AT + SS * SEGMENT + FLAGS]
    flags = env[HFLAGS_AT] & ~(LEVEL | CODE32 | STACK32 | BASES | CODE64)
    if flags & LONG and code & IS_CODE64:
        env[HFLAGS_AT] = flags | CODE64 | CODE32 | STACK32 | (stack >> 13 & 3)
        return
    if code & BIG:
        flags |= CODE32
    if stack & BIG:
        flags |= STACK32
    is_on = env[CR0_AT] & PROTECTED != 0
    protected = is_on and not env[EFLAGS_AT] & VIRTUAL_8086
    base = 0
    for number in (DS, ES, SS):
        base |= env[SEGMENTS_AT + number * SEGMENT + BASE]
    if base or not (protected and code & BIG):
        flags |= BASES
    if is_on:
        flags |= stack >> 13 & 3 if protected else 3
    env[HFLAGS_AT] = flags


@part
def write_flags(env: Pointer, flags: int) -> None:
    """All of EFLAGS."""
    env[CC_SOURCE_AT] = flags & ARITHMETIC
    env[CC_OP_AT] = IN_CC
    env[DF_AT] = 0xFFFFFFFF if flags & DIRECTION else 1
    env[EFLAGS_AT] = flags | 2
