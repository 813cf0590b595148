"""How far the engine is in a block of code, where instructions are counted by blocks.

A block is counted as a whole when it is entered (`native.blocks`): that costs an instruction next
to nothing, where the engine's own count costs it thirteen nanoseconds. Who looks at the count in
the middle of a block needs to know how many of its instructions have yet to begin:

* an access to a device: the engine keeps the host's return address of it, and for each block a list
  of where on the host each instruction ends. What was found is kept in the block's record.
* a fault: the engine has found out which instruction it was, the same list has its address.
* a port that native code answers: blocks have no branches, so it is their next one.
* other ports, and all else that looks at the time: the last instruction of their block,
  `native.blocks` sees to that.

Where the time is up within a block the instruction in hand is left undone, and done anew as a block
of its own: the slice ends with the instruction that it would end with if each was counted.

Source: accel/tcg/translate-all.c (`cpu_restore_state_from_tb`) and include/exec/exec-all.h of QEMU
5.0, as Unicorn 2.1 has them.
"""

from __future__ import annotations

from vgaemu.native import engine_block
from vgaemu.native.calls import call3
from vgaemu.native.cells import DUE
from vgaemu.native.clock import INSTRUCTION_NS, cost
from vgaemu.native.compiler import Pointer, int64_at, part, uint8_at, uint32_at
from vgaemu.native.cpu_cells import (
    ACCESS_COUNT,
    ACCESS_REST,
    ASKED,
    BEGUN,
    BLOCK,
    CLOCK,
    CPU,
    ENV,
    LEAVE,
    MOST_AT,
    PORTS_LEFT,
    RAISED,
    SITE_AT,
)
from vgaemu.native.engine_block import CODE_AT, CODE_BYTES, STATE_AT
from vgaemu.native.env import (
    BASE,
    CS,
    DR7_AT,
    DR_AT,
    EFLAGS_AT,
    EIP_AT,
    SEGMENT,
    SEGMENTS_AT,
)
from vgaemu.native.flags import RESUME, TRAP

#: A record of a translated block, `RECORD_BYTES` of int64: the address of the CPU's cells; its
#: instructions, or `TOO_MANY` if anything is special about it; its instructions, what is special or
#: 0, its linear address and size; where the engine has it, or 0; two accesses to devices; how many
#: instructions follow each of its ports, `PORT_BITS` for each, the first lowest.
CELLS_AT, FAST_COUNT, COUNT, SPECIAL, PC, SIZE, ENGINE_AT = range(7)
FIRST_SITE, SECOND_SITE, PORTS = range(7, 10)
#: More instructions than a slice has, ever.
TOO_MANY = 3 << 61
#: The engine's blocks have no more than 512 instructions.
PORT_BITS, MOST_PORTS = 12, 5
#: Of what is special: how many instructions a block instead of this one is to have, 0: this is
#: right; above it the offset of the last one, if EIP is to be had in it.
CUT, LAST_SHIFT = 0xFFFF, 16
#: Of an access: the host's return address, and above it how many instructions follow.
REST_SHIFT = 48
#: A return address is behind the call.
BEHIND = 2
#: What else an instruction that accesses a device may cost, 32 accesses of 16 bits; those that have
#: more are the last ones of their blocks.
MARGIN_NS = 16_000
DEBUG = 1


number = part(engine_block.number)


@part
def index_of(record: Pointer, site: int, linear: int) -> int:
    """Which instruction of a block it is.

    By the host's return address, or the linear one if that is 0; -1: none.
    """
    if not record[ENGINE_AT]:
        return -1
    engine = int64_at(record[ENGINE_AT])
    host, count, pc = engine[CODE_AT], record[COUNT], record[PC]
    end = host + engine[CODE_BYTES]
    octets, at = uint8_at(end), 0
    if site and not host < site <= end:
        return -1
    for i in range(count):
        step, at = number(octets, at)
        pc += step
        _, at = number(octets, at)
        step, at = number(octets, at)
        host += step
        if site:
            if host > site - BEHIND:
                return i
        elif pc == linear:
            return i
    return -1


@part
def site_of(record: Pointer, rest: int) -> int:
    """A return address within the instruction that so many follow, for one who has none."""
    engine = int64_at(record[ENGINE_AT])
    host = engine[CODE_AT]
    octets, at = uint8_at(host + engine[CODE_BYTES]), 0
    for _ in range(record[COUNT] - rest):
        _, at = number(octets, at)
        _, at = number(octets, at)
        step, at = number(octets, at)
        host += step
    return host - 1 + BEHIND


@part
def base_of(cells: Pointer) -> int:
    """CS's."""
    return int64_at(cells[ENV] + 4 * (SEGMENTS_AT + CS * SEGMENT + BASE))[0]


@part
def linear_ip(cells: Pointer) -> int:
    """CS:EIP, as the engine puts blocks down."""
    return int64_at(cells[ENV] + 4 * EIP_AT)[0] + base_of(cells)


@part
def rest_of(cells: Pointer) -> int:
    """How many instructions of the block in hand follow the one that accesses a device."""
    if not cells[BLOCK]:
        return 0
    record = int64_at(cells[BLOCK])
    if record[COUNT] == 1:
        return 0
    site = int64_at(cells[SITE_AT])[0]
    for known in (record[FIRST_SITE], record[SECOND_SITE]):
        if known & (1 << REST_SHIFT) - 1 == site:
            return known >> REST_SHIFT
    index = index_of(record, site, 0)
    if index < 0:
        return 0
    rest = record[COUNT] - 1 - index
    record[SECOND_SITE] = record[FIRST_SITE]
    record[FIRST_SITE] = site | rest << REST_SHIFT
    return rest


@part
def is_begun(cells: Pointer, rest: int) -> bool:
    """Whether the instruction in hand has accessed a device before; from now on it has."""
    count = cells[BEGUN]
    if cells[ACCESS_COUNT] == count and cells[ACCESS_REST] == rest:
        return True
    cells[ACCESS_COUNT], cells[ACCESS_REST] = count, rest
    return False


@part
def leave(cells: Pointer, rest: int, site: int) -> None:
    """Do the instruction in hand anew, as a block of its own: this does not return.

    It has done nothing yet. If the `site` is 0, the engine's registers are as it found them.
    """
    cells[BEGUN] -= rest + 1
    cells[ACCESS_COUNT] = -1
    cells[ASKED] = 1
    uint32_at(cells[MOST_AT])[0] = 1
    call3(cells[LEAVE], cells[CPU], site, 0)


@part
def leave_at_access(cells: Pointer, rest: int) -> None:
    """The same at an access to a device."""
    leave(cells, rest, int64_at(cells[SITE_AT])[0])


@part
def access_cost(cells: Pointer, ns: int) -> None:
    """An access to a device costs so much; what follows it in its block has not begun."""
    clock, rest = int64_at(cells[CLOCK]), rest_of(cells)
    if rest == 0:
        cost(clock, ns)
        return
    count = cells[BEGUN]
    most = -(-(clock[DUE] - ns - MARGIN_NS) // INSTRUCTION_NS)
    if not is_begun(cells, rest) and most < count:
        leave_at_access(cells, rest)
    cells[BEGUN] = count - rest
    cost(clock, ns)
    cells[BEGUN] = count


@part
def tell_ip(cells: Pointer, record: Pointer) -> None:
    """Let EIP be that of the last instruction of the block in hand, if it is a port's.

    From Unicorn 2.1.4 on it is by itself.
    """
    offset = record[SPECIAL] >> LAST_SHIFT & 0xFFFF
    if offset:
        int64_at(cells[ENV] + 4 * EIP_AT)[0] = record[PC] + offset - base_of(cells)


@part
def enter_port(cells: Pointer, ns: int) -> int:
    """A port is accessed, which costs so much: how many instructions follow in the block in hand.

    They have not begun before `left_port`. If time is up before they do, this does not return.
    """
    if not cells[BLOCK]:
        return 0
    record = int64_at(cells[BLOCK])
    # What is left may be of another block, which was left in its middle.
    rest = cells[PORTS_LEFT] & (1 << PORT_BITS) - 1 if record[PORTS] else 0
    if rest == 0:
        tell_ip(cells, record)
        return 0
    cells[PORTS_LEFT] >>= PORT_BITS
    if -(-(int64_at(cells[CLOCK])[DUE] - ns) // INSTRUCTION_NS) < cells[BEGUN]:
        leave(cells, rest, site_of(record, rest))
    cells[BEGUN] -= rest
    return rest


@part
def left_port(cells: Pointer, rest: int) -> None:
    """That was done."""
    cells[BEGUN] += rest


@part
def leave_port(cells: Pointer, rest: int, always: bool) -> None:
    """It is to be the last one of its block, where native code cannot answer.

    If that is `always` so, such a block is asked for from now on. This does not return.
    """
    cells[BEGUN] += rest
    record = int64_at(cells[BLOCK])
    if always:
        record[SPECIAL] |= record[COUNT] - rest
    leave(cells, rest, site_of(record, rest))


@part
def leave_at_fill(cells: Pointer) -> None:
    """The same as `leave` where a page is asked for, if the instruction in hand is not the last.

    Which it is EIP tells there.
    """
    if not cells[BLOCK]:
        return
    record = int64_at(cells[BLOCK])
    index = index_of(record, 0, linear_ip(cells))
    rest = record[COUNT] - 1 - index
    if index >= 0 and rest:
        leave(cells, rest, 0)


@part
def is_breakpoint(cells: Pointer, linear: int) -> bool:
    """Whether execution is to stop at an address: `Raised.breakpoints`."""
    raised = uint32_at(cells[RAISED])
    control = raised[DR7_AT]
    for i in range(4):
        is_enabled = control >> 2 * i & 3 and not control >> 16 + 4 * i & 3
        if is_enabled and raised[DR_AT + 2 * i] == linear & 0xFFFFFFFF:
            return True
    return False


@part
def settle_count(cells: Pointer, vector: int, software: bool) -> None:
    """An interrupt or exception ends the block in hand, perhaps in its middle."""
    if not cells[BLOCK]:
        return
    record, linear = int64_at(cells[BLOCK]), linear_ip(cells)
    cells[BLOCK] = 0
    if not 0 <= linear - record[PC] < record[SIZE]:
        return
    index = index_of(record, 0, linear)
    if index < 0:
        return
    # An instruction that faults has begun. EIP is behind one that asked for it, and at a breakpoint
    # before one that has not. At a turn of a REP that was made it is there as well: in a block that
    # does not look for breakpoints.
    steps = uint32_at(cells[ENV])[EFLAGS_AT] & TRAP
    looks = not uint32_at(record[ENGINE_AT])[STATE_AT] & RESUME
    is_before = vector == DEBUG and (not steps or (looks and is_breakpoint(cells, linear)))
    begun = index if software or is_before else index + 1
    cells[BEGUN] -= record[COUNT] - begun


@part
def take_back(cells: Pointer, linear: int) -> None:
    """The block in hand was left before an instruction that was about to change it.

    That has begun, and does so once more, as a block of its own.
    """
    if not cells[BLOCK]:
        return
    record = int64_at(cells[BLOCK])
    cells[BLOCK] = 0
    index = index_of(record, 0, linear)
    if index >= 0:
        cells[BEGUN] -= record[COUNT] - index
