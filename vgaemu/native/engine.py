"""Hooks of the engine: fills of its TLB, and interrupts on their way to a handler.

Done here is what guests do all the time: pages of RAM, ROM and the VGA, through page tables or as
they are; vectors of real mode, with the BIOS calls that programs poll; interrupt and trap gates.
All else is left to Python's hook, which begins anew: `interrupt` calls it, and the engine asks it
for each fill that is refused here. What was done before that is what Python does first, too.

Source: `unicorn_pages`, `mmu`, `unicorn_interrupts` and `unicorn_calls` in `vgaemu.pc.cpu`, which
give the same results.
"""

from __future__ import annotations

from numba import types

from vgaemu.native.answers import answer, poll_of
from vgaemu.native.calls import call3
from vgaemu.native.clock import cost
from vgaemu.native.compiler import Pointer, callback, int64_at, part, uint8_at, uint32_at
from vgaemu.native.cpu_cells import (
    A20,
    ANSWER_NS,
    ASK,
    CLOCK,
    CODE,
    CR0,
    CURSOR_STUB,
    DELIVER,
    DELIVERY_NS,
    ENV,
    FILL_NS,
    INTERRUPT_NS,
    LFB,
    LFB_END,
    LONG_OVERHEAD_NS,
    NATIVE_PLANES_AT,
    NEXT,
    OPEN_AT,
    OVERHEAD,
    PHYSICAL,
    POLL_NS,
    RAISED,
    RAM,
    RAM_BYTES,
    ROM_AT,
    ROM_WRITABLE,
    STORED,
    THROUGH_PLANES,
    VGA_CODE,
    VGA_KNOWN,
    VGA_LINEAR,
    VGA_MARKS,
    VGA_OPEN,
    VGA_PAGES,
)
from vgaemu.native.env import (
    BASE,
    CR0_AT,
    CS,
    EFLAGS_AT,
    EIP_AT,
    ERROR_CODE,
    ESP_AT,
    FLAGS,
    HFLAGS_AT,
    IS_INT,
    LIMIT,
    OLD_EXCEPTION,
    SEGMENT,
    SEGMENTS_AT,
    SS,
)
from vgaemu.native.flags import (
    ALIGNMENT,
    INTERRUPT,
    LEVEL,
    LONG,
    PAGING,
    PROTECTED,
    RESUME,
    TASK_SWITCHED,
    TRAP,
    flags_are_whole,
    flags_of,
    settle,
    write_flags,
)
from vgaemu.native.gates import (
    enter_gate,
    has_breakpoints,
    may_be_new_task,
)
from vgaemu.native.long import enter_gate64
from vgaemu.native.marks import mark
from vgaemu.native.memory import (
    ROM_END,
    ROM_START,
    VGA_END,
    VGA_START,
    is_plain,
    store16,
    stored_to,
)
from vgaemu.native.progress import DEBUG, leave_at_fill, settle_count
from vgaemu.native.walks import MAY_EXECUTE, MAY_STORE, walk

#: Of the engine: kinds of access, permissions.
STORE, FETCH = 17, 18
WRITE_ONLY, RW, RX, ALL = 2, 3, 5, 7
#: Of EFLAGS: what an interrupt clears in real mode.
MASKED = TRAP | INTERRUPT | RESUME | ALIGNMENT
REAL_FLAGS, REAL_LIMIT = 0x9300, 0xFFFF

_cells = types.CPointer(types.int64)
#: ``bool fill(uc_engine *, uint64_t, uc_mem_type, uc_tlb_entry *, int64_t *)``
FILL = types.uint8(types.int64, types.int64, types.int32, types.int64, _cells)
#: ``void interrupt(uc_engine *, uint32_t, int64_t *)``
RAISE = types.void(types.int64, types.int32, _cells)


@part
def may_be_mending(env: Pointer) -> bool:
    """Whether a task switch may be in hand: a selector is there without its descriptor."""
    if env[HFLAGS_AT] & LONG:
        return False
    for at in range(SEGMENTS_AT, SEGMENTS_AT + 6 * SEGMENT, SEGMENT):
        if env[at] & ~3 and not env[at + FLAGS]:
            return True
    return False


@part
def rights_of(cells: Pointer, number: int, access: int) -> int:
    """What may be done with a page of RAM."""
    code, stored = uint8_at(cells[CODE]), uint8_at(cells[STORED])
    if access == FETCH:
        code[number] = 1
    rights = ALL if code[number] else RW
    if access == STORE:
        stored[number] = 1
    elif not stored[number]:
        rights &= RX
    return rights


@part
def place_vram(cells: Pointer, page: int, access: int, entry: int) -> bool:
    """`place` of the VGA's memory."""
    if access == FETCH or not cells[VGA_KNOWN]:
        return False
    at = page - cells[LFB] if cells[VGA_LINEAR] else ASK
    if page < VGA_END:
        at = int64_at(cells[VGA_PAGES])[page - VGA_START >> 12]
    if at == ASK:
        return False
    rights = RW
    if at == THROUGH_PLANES:
        at = NATIVE_PLANES_AT + page - VGA_START
    else:
        number = at >> 12
        at += cells[LFB]
        if uint8_at(cells[VGA_CODE])[number]:
            rights = ALL
        if access != STORE:
            rights &= RX
        elif cells[VGA_MARKS]:
            # The store lands after this: a harvest between finds the page open, see `TlbHarvest`.
            uint8_at(cells[VGA_OPEN])[number] = 1
            mark(int64_at(cells[VGA_MARKS]), number)
        else:
            return False
    int64_at(entry)[0] = at
    uint32_at(entry)[2] = rights
    return True


@part
def place(cells: Pointer, page: int, access: int, entry: int) -> bool:
    """Where a physical page lies in the engine, and what may be done there."""
    at, rights = page, RW
    if ROM_START <= page < ROM_END and not cells[ROM_WRITABLE]:
        if access == STORE:
            at, rights = ROM_AT + page - ROM_START, WRITE_ONLY
        else:
            rights = RX
            uint8_at(cells[CODE])[page >> 12] = 1
    elif page < VGA_START or ROM_START <= page < cells[RAM_BYTES]:
        rights = rights_of(cells, page >> 12, access)
    elif page < VGA_END or cells[LFB] <= page < cells[LFB_END]:
        return place_vram(cells, page, access, entry)
    elif access == FETCH:
        return False
    else:
        at = OPEN_AT
    int64_at(entry)[0] = at
    uint32_at(entry)[2] = rights
    return True


@part
def begin_fill(cells: Pointer, access: int) -> bool:
    """Whether a page may be looked for here."""
    env = uint32_at(cells[ENV])
    if access != FETCH and not cells[NEXT]:  # each instruction is counted
        flags_are_whole(env)
    if cells[OVERHEAD] + FILL_NS > LONG_OVERHEAD_NS:
        if access != FETCH:
            leave_at_fill(cells)  # the slice ends with this instruction
        return False
    switched = TASK_SWITCHED | PROTECTED
    return env[CR0_AT] & switched != switched or not may_be_mending(env)


@callback(FILL)
def fill(uc: int, address: int, access: int, entry: int, cells: Pointer) -> int:
    """Which physical page a linear one is; 0: ask Python."""
    if address >= PHYSICAL and access == FETCH:
        int64_at(entry)[0] = address - PHYSICAL
        uint32_at(entry)[2] = RX
        return 1
    if not begin_fill(cells, access):
        return 0
    env = uint32_at(cells[ENV])
    cr0, page, kept = env[CR0_AT], address & 0xFFFFF000, ALL
    if cr0 & PAGING:
        if not cr0 & PROTECTED:
            return 0
        user = env[HFLAGS_AT] & LEVEL == 3
        page = walk(cells, address, access == STORE, access == FETCH, user)
        if page < 0:
            return 0
        if not page & MAY_STORE:
            kept = RX
        if not page & MAY_EXECUTE:
            kept &= RW
        page &= ~0xFFF
    if not place(cells, page & cells[A20], access, entry):
        return 0
    uint32_at(entry)[2] &= kept
    cells[CR0] = cr0
    cells[OVERHEAD] += FILL_NS
    return 1


@part
def real_code(env: Pointer) -> None:
    """CS as real mode loads it."""
    at = SEGMENTS_AT + CS * SEGMENT
    if env[at + FLAGS] != REAL_FLAGS or env[at + LIMIT] != REAL_LIMIT:
        env[at + FLAGS] = REAL_FLAGS
        env[at + LIMIT] = REAL_LIMIT
        settle(env)


@part
def enter_real_mode(uc: int, vector: int, cells: Pointer) -> int:
    """FLAGS, CS and IP to the stack, on at the vector, or behind a poll.

    Returns the time that it took; 0: Python knows.
    """
    env, ram, cs_at = uint32_at(cells[ENV]), uint8_at(cells[RAM]), SEGMENTS_AT + CS * SEGMENT
    pointer = env[ESP_AT] & 0xFFFFFFFF
    top = (pointer - 6) & 0xFFFF
    at = (env[SEGMENTS_AT + SS * SEGMENT] << 4) + top
    if top > 0xFFFA or not is_plain(cells, at, 6):
        return 0
    flags = flags_of(uc, cells)
    poll = poll_of(cells, uint32_at(cells[RAM])[vector], flags, at)
    if poll:
        flags = answer(uc, cells, poll, flags)
    store16(ram, at, env[EIP_AT])
    store16(ram, at + 2, env[cs_at])
    store16(ram, at + 4, flags)
    stored_to(uc, cells, at, 6)
    if poll:
        write_flags(env, flags)
        real_code(env)
        return INTERRUPT_NS + ANSWER_NS + (0 if poll == CURSOR_STUB else POLL_NS)
    env[ESP_AT] = (pointer & 0xFFFF0000) | top
    env[EFLAGS_AT] &= ~MASKED
    target = uint32_at(cells[RAM])[vector]
    env[EIP_AT] = target & 0xFFFF
    env[cs_at] = target >> 16
    env[cs_at + BASE] = target >> 16 << 4
    real_code(env)
    return INTERRUPT_NS


@part
def delivered(uc: int, vector: int, cells: Pointer) -> bool:
    """Whether an interrupt or exception is on at its handler."""
    raised, env = uint32_at(cells[RAISED]), uint32_at(cells[ENV])
    if cells[OVERHEAD] + DELIVERY_NS > LONG_OVERHEAD_NS:
        return False
    if not env[CR0_AT] & PROTECTED:
        taken = enter_real_mode(uc, vector, cells)
    else:
        software, error_code = raised[IS_INT] != 0, raised[ERROR_CODE]
        if has_breakpoints(cells) or (not software and may_be_new_task(cells, vector)):
            return False
        if env[HFLAGS_AT] & LONG:
            is_in = enter_gate64(uc, vector, cells, software, error_code)
        else:
            is_in = enter_gate(uc, vector, cells, software, error_code)
        taken = INTERRUPT_NS if is_in else 0
    if taken:
        raised[OLD_EXCEPTION] = 0xFFFFFFFF
        cost(int64_at(cells[CLOCK]), INTERRUPT_NS)
        if taken > INTERRUPT_NS:  # an event of its own, as it is in Python
            cost(int64_at(cells[CLOCK]), taken - INTERRUPT_NS)
        cells[OVERHEAD] += DELIVERY_NS
    return taken != 0


@callback(RAISE)
def interrupt(uc: int, vector: int, cells: Pointer) -> None:
    """INT n, or an exception."""
    env, software = uint32_at(cells[ENV]), uint32_at(cells[RAISED])[IS_INT] != 0
    settle_count(cells, vector, software)
    if not cells[NEXT] and not software and vector != DEBUG:  # each instruction is counted
        flags_are_whole(env)
    if not delivered(uc, vector, cells):
        call3(cells[DELIVER], uc, vector, 0)


FUNCTIONS = {"fill": fill.address, "interrupt": interrupt.address}
