"""Interrupt and trap gates of 32 and 16 bits on the way to their handlers.

Done here: to code that has been there before, at the same privilege level or one of more privilege
with the stack of the task, of 32 or 16 bits, also from virtual 8086 mode. All else is Python's.

Source: `vgaemu.pc.cpu.unicorn_interrupts` and `unicorn_tables`, which give the same results.
"""

from __future__ import annotations

from vgaemu.native.compiler import Pointer, int64_at, part, uint8_at, uint32_at
from vgaemu.native.cpu_cells import ENV, RAISED, RAM
from vgaemu.native.env import (
    BASE,
    CR0_AT,
    CS_AT,
    DR7_AT,
    DS,
    EFLAGS_AT,
    EIP_AT,
    ES,
    ESP_AT,
    FLAGS,
    FS,
    GDT_AT,
    GS,
    HFLAGS_AT,
    IDT_AT,
    LDT_AT,
    LIMIT,
    SEGMENT,
    SEGMENTS_AT,
    SS_AT,
    TASK_AT,
)
from vgaemu.native.flags import (
    BIG,
    CONFORMING,
    GRANULAR,
    INTERRUPT,
    IS_PRESENT,
    LEVEL,
    LEVEL_SHIFT,
    NESTED,
    RESUME,
    TASK_SWITCHED,
    TRAP,
    VIRTUAL_8086,
    flags_of,
    settle,
)
from vgaemu.native.memory import fetch16, store16, stored_to
from vgaemu.native.registers import wide
from vgaemu.native.walks import look

#: Of a descriptor's upper half: segments of code, and of data that can be written, that are present
#: and have been used; those bits. Of a gate or a state segment: it is of 32 bits. Of data: what its
#: limit allows is above it.
CODE_NEEDED, DATA_NEEDED, KINDS = 0x9900, 0x9300, 0x9B00
WIDE, EXPAND_DOWN = 1 << 11, 1 << 10
#: Vectors with an error code, and those of faults, a bit each: see `vgaemu.pc.cpu.exceptions`.
WITH_ERROR_CODE = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17
FAULTS = WITH_ERROR_CODE | 1 << 0 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 16 | 1 << 19


@part
def has_breakpoints(cells: Pointer) -> bool:
    """Whether any is enabled: Python knows what a fault pushes then."""
    return uint32_at(cells[RAISED])[DR7_AT] & 0xFF != 0


@part
def may_be_new_task(cells: Pointer, vector: int) -> bool:
    """Whether an exception may be of a task that is being switched to: Python knows."""
    return 10 <= vector <= 13 and uint32_at(cells[ENV])[CR0_AT] & TASK_SWITCHED != 0


@part
def pushed_flags(flags: int, vector: int, software: bool) -> int:
    """EFLAGS as an instruction's interrupt or exception pushes them, without breakpoints."""
    is_fault = not software and vector < 20 and FAULTS >> vector & 1 != 0
    return flags | RESUME if is_fault else flags & ~RESUME


@part
def has_error_code(vector: int, software: bool) -> bool:
    """Whether an interrupt or exception pushes one."""
    return not software and vector < 18 and WITH_ERROR_CODE >> vector & 1 != 0


@part
def gate_of(cells: Pointer, vector: int, software: bool) -> int:
    """A vector's interrupt or trap gate as 64 bits; 0: Python knows."""
    env = uint32_at(cells[ENV])
    if 8 * vector + 7 > env[IDT_AT + LIMIT]:
        return 0
    at = look(cells, env[IDT_AT + BASE] + 8 * vector, 8, False, False)
    if at < 0:
        return 0
    low, high = uint32_at(cells[RAM] + at)[0], uint32_at(cells[RAM] + at)[1]
    if high >> 8 & 0x16 != 6 or not high & IS_PRESENT:  # kinds 06h, 07h, 0Eh, 0Fh
        return 0
    if software and high >> LEVEL_SHIFT & 3 < env[HFLAGS_AT] & LEVEL:
        return 0
    return int64_at(cells[RAM] + at)[0] if low >> 16 & 0xFFFC else 0


@part
def size_of(gate: int) -> int:
    """Bytes of a value of its frame."""
    return 4 if gate >> 32 & WIDE else 2


@part
def offset_of(gate: int) -> int:
    """Where it leads to in its code."""
    return (gate & 0xFFFF) | (gate >> 32 & 0xFFFF0000 if gate >> 32 & WIDE else 0)


@part
def descriptor_at(cells: Pointer, selector: int) -> int:
    """Where a segment's descriptor lies; or -1."""
    env = uint32_at(cells[ENV])
    table = LDT_AT if selector & 4 else GDT_AT
    if not selector & 0xFFFC or (selector & 0xFFF8) + 7 > env[table + LIMIT]:
        return -1
    return look(cells, wide(cells, table + BASE) + (selector & 0xFFF8), 8, False, False)


@part
def limit_of(cells: Pointer, descriptor: int) -> int:
    """A segment's limit in bytes."""
    low, high = uint32_at(cells[RAM] + descriptor)[0], uint32_at(cells[RAM] + descriptor)[1]
    limit = (low & 0xFFFF) | (high & 0xF0000)
    return (limit << 12 | 0xFFF) if high & GRANULAR else limit


@part
def base_of(cells: Pointer, descriptor: int) -> int:
    """Where a segment begins."""
    low, high = uint32_at(cells[RAM] + descriptor)[0], uint32_at(cells[RAM] + descriptor)[1]
    return low >> 16 | (high & 0xFF) << 16 | (high & 0xFF000000)


@part
def load_from(cells: Pointer, at: int, selector: int, descriptor: int) -> None:
    """A segment register, as its descriptor says."""
    env = uint32_at(cells[ENV])
    high = uint32_at(cells[RAM] + descriptor)[1]
    env[at] = selector
    env[at + BASE] = base_of(cells, descriptor)
    env[at + LIMIT] = limit_of(cells, descriptor)
    env[at + FLAGS] = high & 0xF0FF00


@part
def level_of(cells: Pointer, descriptor: int) -> int:
    """The privilege level that code is entered at; -1: Python knows."""
    env = uint32_at(cells[ENV])
    high, level = uint32_at(cells[RAM] + descriptor)[1], env[HFLAGS_AT] & LEVEL
    if high & CODE_NEEDED != CODE_NEEDED:
        return -1
    inner = level if high & CONFORMING else high >> LEVEL_SHIFT & 3
    if inner > level or (inner and env[EFLAGS_AT] & VIRTUAL_8086):
        return -1
    return inner


@part
def task_stack(cells: Pointer, level: int) -> int:
    """The task's stack of a level: selector in bits 32-47, pointer below; -1: Python knows."""
    env = uint32_at(cells[ENV])
    size = 4 if env[TASK_AT + FLAGS] & WIDE else 2
    at = size + 2 * size * level
    if at + 2 * size - 1 > env[TASK_AT + LIMIT]:
        return -1
    at = look(cells, env[TASK_AT + BASE] + at, 2 * size, False, False)
    if at < 0:
        return -1
    selector = fetch16(cells, at + size)
    pointer = uint32_at(cells[RAM] + at)[0] & 0xFFFFFFFF if size == 4 else fetch16(cells, at)
    return selector << 32 | pointer


@part
def stack_at(cells: Pointer, selector: int, level: int) -> int:
    """Where the descriptor of a level's stack lies, if it can be used; or -1."""
    at = descriptor_at(cells, selector)
    if at < 0 or selector & 3 != level:
        return -1
    high = uint32_at(cells[RAM] + at)[1]
    return at if high & KINDS == DATA_NEEDED and high >> LEVEL_SHIFT & 3 == level else -1


@part
def put(cells: Pointer, at: int, size: int, value: int) -> None:
    """A value of 2 or 4 bytes."""
    if size == 4:
        uint32_at(cells[RAM] + at)[0] = value
    else:
        store16(uint8_at(cells[RAM]), at, value)


@part
def put_outer(cells: Pointer, at: int, size: int) -> None:
    """What a frame has of the level that is left.

    In virtual 8086 mode that is all segments, which but for SS are none from here on.
    """
    env = uint32_at(cells[ENV])
    put(cells, at, size, env[ESP_AT])
    put(cells, at + size, size, env[SS_AT])
    if not env[EFLAGS_AT] & VIRTUAL_8086:
        return
    for number in (ES, DS, FS, GS):
        at += size
        segment = SEGMENTS_AT + number * SEGMENT
        put(cells, at + size, size, env[segment])
        env[segment] = env[segment + BASE] = env[segment + LIMIT] = env[segment + FLAGS] = 0


@part
def has_room(cells: Pointer, stack: int, top: int, count: int) -> bool:
    """Whether a stack, by its descriptor or the one at hand (-1), has room in one piece."""
    if stack < 0:
        env = uint32_at(cells[ENV])
        flags, limit = env[SS_AT + FLAGS], env[SS_AT + LIMIT] & 0xFFFFFFFF
    else:
        flags, limit = uint32_at(cells[RAM] + stack)[1], limit_of(cells, stack)
    last, most = top + count - 1, 0xFFFFFFFF if flags & BIG else 0xFFFF
    return not flags & EXPAND_DOWN and last <= limit and last <= most


@part
def is_big(cells: Pointer, stack: int) -> bool:
    """Whether the pointer of a stack, by its descriptor or the one at hand (-1), has 32 bits."""
    if stack < 0:
        return uint32_at(cells[ENV])[SS_AT + FLAGS] & BIG != 0
    return uint32_at(cells[RAM] + stack)[1] & BIG != 0


@part
def frame_values(cells: Pointer, has_code: bool, is_inner: bool) -> int:
    """How many values a frame has."""
    count = 4 if has_code else 3
    if is_inner:
        count += 6 if uint32_at(cells[ENV])[EFLAGS_AT] & VIRTUAL_8086 else 2
    return count


@part
def go_on_at(cells: Pointer, gate: int, code: int, level: int) -> None:
    """CS, EIP and flags as a gate has them; SS has been loaded."""
    env = uint32_at(cells[ENV])
    load_from(cells, CS_AT, (gate >> 16 & 0xFFFC) | level, code)
    env[EIP_AT] = offset_of(gate)
    masks = 0 if gate >> 40 & 1 else INTERRUPT
    env[EFLAGS_AT] &= ~(TRAP | NESTED | RESUME | VIRTUAL_8086 | masks)
    settle(env)


@part
def enter_gate(uc: int, vector: int, cells: Pointer, software: bool, error_code: int) -> bool:
    """Push the frame, and go on as a gate says."""
    env = uint32_at(cells[ENV])
    gate = gate_of(cells, vector, software)
    code = descriptor_at(cells, gate >> 16 & 0xFFFF)
    level = level_of(cells, code) if code >= 0 else -1
    if level < 0 or offset_of(gate) > limit_of(cells, code):
        return False
    is_inner, stack, selector = level < env[HFLAGS_AT] & LEVEL, -1, 0
    pointer, base = env[ESP_AT] & 0xFFFFFFFF, env[SS_AT + BASE] & 0xFFFFFFFF
    if is_inner:
        found = task_stack(cells, level)
        pointer, selector = found & 0xFFFFFFFF, found >> 32 & 0xFFFF
        stack = stack_at(cells, selector, level) if found >= 0 else -1
        if stack < 0:
            return False
        base = base_of(cells, stack)
    has_code = has_error_code(vector, software)
    size, count = size_of(gate), frame_values(cells, has_code, is_inner)
    mask = 0xFFFFFFFF if is_big(cells, stack) else 0xFFFF
    top = (pointer - size * count) & mask
    if not has_room(cells, stack, top, size * count):
        return False
    at = look(cells, base + top, size * count, True, level == 3)
    if at < 0:
        return False
    flags = flags_of(uc, cells)
    first = at
    if has_code:
        put(cells, at, size, error_code)
        at += size
    put(cells, at, size, env[EIP_AT])
    put(cells, at + size, size, env[CS_AT])
    put(cells, at + 2 * size, size, pushed_flags(flags, vector, software))
    if is_inner:
        put_outer(cells, at + 3 * size, size)
        load_from(cells, SS_AT, selector, stack)
    stored_to(uc, cells, first, size * count)
    env[ESP_AT] = (env[ESP_AT] & 0xFFFFFFFF & ~mask) | top
    go_on_at(cells, gate, code, level)
    return True
