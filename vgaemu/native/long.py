"""Long mode: gates of 16 bytes, and SYSCALL.

Done here: interrupt and trap gates to 64-bit code that has been there before, of the same or more
privilege, with stacks of the task; SYSCALL from 64-bit code without a prefix. All else is Python's.

Source: `vgaemu.pc.cpu.unicorn_long`, which gives the same results.
"""

from __future__ import annotations

from numba import types

from vgaemu.native.calls import call3
from vgaemu.native.compiler import Pointer, callback, int64_at, part, uint8_at, uint32_at
from vgaemu.native.cpu_cells import CALLS, ENV, RAM, SYSTEM_CALL
from vgaemu.native.env import (
    BASE,
    CS_AT,
    ECX_AT,
    EFER_AT,
    EFLAGS_AT,
    EIP_AT,
    ESP_AT,
    FLAGS,
    HFLAGS_AT,
    IDT_AT,
    LIMIT,
    R11_AT,
    SS_AT,
    TASK_AT,
)
from vgaemu.native.flags import (
    BIG,
    CODE64,
    CONFORMING,
    INTERRUPT,
    IS_CODE64,
    IS_PRESENT,
    LEVEL,
    LEVEL_SHIFT,
    NESTED,
    RESUME,
    TRAP,
    VIRTUAL_8086,
    flags_of,
    settle,
    write_flags,
)
from vgaemu.native.gates import descriptor_at, has_error_code, limit_of, pushed_flags
from vgaemu.native.memory import stored_to
from vgaemu.native.registers import set_wide, wide
from vgaemu.native.walks import is_canonical, look

#: Of a descriptor's upper half: a segment, present, of code, accessed.
NEEDED = 0x9900
SYSCALL_ENABLED = 1
#: Words of 64 bits of `SystemCalls`.
STAR, LSTAR, FMASK = 3, 5, 7
#: Upper halves of descriptors as SYSCALL loads them.
FLAT_CODE, FLAT_DATA = 0xA09B00, 0xC09300

#: ``void system_call(uc_engine *, int64_t *)``
CALL = types.void(types.int64, types.CPointer(types.int64))


@part
def gate64_at(cells: Pointer, vector: int, software: bool) -> int:
    """Where a vector's gate lies, if it can be taken; or -1."""
    env = uint32_at(cells[ENV])
    if 16 * vector + 15 > env[IDT_AT + LIMIT]:
        return -1
    at = look(cells, wide(cells, IDT_AT + BASE) + 16 * vector, 16, False, False)
    if at < 0:
        return -1
    high = uint32_at(cells[RAM] + at)[1]
    if high >> 8 & 0x1E != 0x0E or not high & IS_PRESENT:  # kinds 0Eh and 0Fh
        return -1
    if software and high >> LEVEL_SHIFT & 3 < env[HFLAGS_AT] & LEVEL:
        return -1
    return at


@part
def code64_at(cells: Pointer, selector: int) -> int:
    """Where a 64-bit code segment's descriptor lies that can be gone to; or -1."""
    at = descriptor_at(cells, selector)
    if at < 0:
        return -1
    high = uint32_at(cells[RAM] + at)[1]
    if high & NEEDED != NEEDED or high & (IS_CODE64 | BIG) != IS_CODE64:
        return -1
    return at if high >> LEVEL_SHIFT & 3 <= uint32_at(cells[ENV])[HFLAGS_AT] & LEVEL else -1


@part
def inner_stack_at(cells: Pointer, number: int, level: int) -> int:
    """Where the task has a stack pointer, of an interrupt stack's number or a level; or -1."""
    at = 0x1C + 8 * number if number else 4 + 8 * level
    if at + 7 > uint32_at(cells[ENV])[TASK_AT + LIMIT]:
        return -1
    return look(cells, wide(cells, TASK_AT + BASE) + at, 8, False, False)


@part
def enter_gate64(uc: int, vector: int, cells: Pointer, software: bool, error_code: int) -> bool:
    """Push the frame, and go on as a gate says."""
    env, level = uint32_at(cells[ENV]), uint32_at(cells[ENV])[HFLAGS_AT] & LEVEL
    gate = gate64_at(cells, vector, software)
    if gate < 0:
        return False
    low, middle = uint32_at(cells[RAM] + gate)[0], uint32_at(cells[RAM] + gate)[1]
    descriptor = code64_at(cells, low >> 16)
    if descriptor < 0:
        return False
    high = uint32_at(cells[RAM] + descriptor)[1]
    inner = level if high & CONFORMING else high >> LEVEL_SHIFT & 3
    old = wide(cells, ESP_AT)
    top = old
    if middle & 7 or inner < level:
        at = inner_stack_at(cells, middle & 7, inner)
        if at < 0:
            return False
        top = int64_at(cells[RAM] + at)[0]
    offset = (low & 0xFFFF) | (middle & 0xFFFF0000) | int64_at(cells[RAM] + gate)[1] << 32
    if not is_canonical(offset):
        return False
    has_code = has_error_code(vector, software)
    count = 6 if has_code else 5
    top = (top & ~15) - 8 * count
    at = look(cells, top, 8 * count, True, inner == 3)
    if at < 0:
        return False
    flags, frame = flags_of(uc, cells) & 0xFFFFFFFF, int64_at(cells[RAM] + at)
    if has_code:
        frame[0] = error_code & 0xFFFFFFFF
    frame[count - 5] = wide(cells, EIP_AT)
    frame[count - 4] = env[CS_AT]
    frame[count - 3] = pushed_flags(flags, vector, software)
    frame[count - 2] = old
    frame[count - 1] = env[SS_AT]
    stored_to(uc, cells, at, 8 * count)
    if inner < level:
        load(cells, SS_AT, inner, 0, inner << LEVEL_SHIFT)
    limit = limit_of(cells, descriptor)
    load(cells, CS_AT, (low >> 16 & ~3) | inner, limit, high & 0xF0FF00)
    set_wide(cells, ESP_AT, top)
    set_wide(cells, EIP_AT, offset)
    masks = 0 if middle >> 8 & 1 else INTERRUPT
    env[EFLAGS_AT] &= ~(TRAP | NESTED | VIRTUAL_8086 | RESUME | masks)
    settle(env)
    return True


@part
def load(cells: Pointer, at: int, selector: int, limit: int, flags: int) -> None:
    """A segment register, whose base does not count."""
    env = uint32_at(cells[ENV])
    env[at] = selector
    set_wide(cells, at + BASE, 0)
    env[at + LIMIT] = limit
    env[at + FLAGS] = flags


@callback(CALL)
def system_call(uc: int, cells: Pointer) -> None:
    """SYSCALL."""
    env = uint32_at(cells[ENV])
    ip = wide(cells, EIP_AT)
    at = look(cells, ip, 2, False, False) if env[HFLAGS_AT] & CODE64 else -1
    code = uint8_at(cells[RAM] + at)
    if at < 0 or code[0] != 0x0F or code[1] != 0x05 or not env[EFER_AT] & SYSCALL_ENABLED:
        call3(cells[SYSTEM_CALL], uc, 0, 0)
        return
    calls = int64_at(cells[CALLS])
    flags = flags_of(uc, cells) & 0xFFFFFFFF & ~RESUME
    set_wide(cells, ECX_AT, ip + 2)
    set_wide(cells, R11_AT, flags)
    selector = calls[STAR] >> 32 & 0xFFFC
    load(cells, CS_AT, selector, 0xFFFFFFFF, FLAT_CODE)
    load(cells, SS_AT, selector + 8, 0xFFFFFFFF, FLAT_DATA)
    settle(env)
    write_flags(env, flags & ~calls[FMASK])
    set_wide(cells, EIP_AT, calls[LSTAR] - 2)


FUNCTIONS = {"system_call": system_call.address}
