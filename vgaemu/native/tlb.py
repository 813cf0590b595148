"""The engine's TLB, looked into: where pages lie that it has looked up.

Source: accel/tcg/cputlb.c of QEMU 5.0, as Unicorn 2.1 has it; `vgaemu.pc.cpu.unicorn_tlb` finds it.
"""

from __future__ import annotations

from vgaemu.native.compiler import Pointer, int64_at, part, uint32_at
from vgaemu.native.cpu_cells import ENV, RAM, TLB
from vgaemu.native.env import (
    ADDEND,
    CR0_AT,
    EFLAGS_AT,
    ENTRY_SHIFT,
    FETCHED,
    HFLAGS_AT,
    SUPERVISOR,
    SUPERVISOR_SMAP,
    USER,
)
from vgaemu.native.flags import ALIGNMENT, LEVEL, PAGING
from vgaemu.native.memory import is_plain

PAGE_BYTES = 1 << 12
#: Of the engine's own flags: SMAP is on, which `ALIGNMENT` switches off.
SMAP = 1 << 23


@part
def kind_of(cells: Pointer) -> int:
    """Whose accesses are made now: `USER`, or one of the supervisor's."""
    env = uint32_at(cells[ENV])
    flags = env[HFLAGS_AT]
    if flags & LEVEL == LEVEL:
        return USER
    return SUPERVISOR_SMAP if flags & SMAP and not env[EFLAGS_AT] & ALIGNMENT else SUPERVISOR


@part
def entry_of(cells: Pointer, linear: int, kind: int) -> Pointer:
    """The entry of the engine's TLB that a page would have; it may be another page's."""
    table = int64_at(cells[TLB] + 16 * kind)
    return int64_at(table[1] + ((linear >> 12 << ENTRY_SHIFT) & table[0]))


@part
def code_at(cells: Pointer, address: int, size: int, kind: int) -> int:
    """Where bytes of code lie that are executed, an address of the host; 0: the engine knows."""
    offset = address & PAGE_BYTES - 1
    if offset + size > PAGE_BYTES:
        return 0
    entry = entry_of(cells, address, kind)
    if entry[FETCHED] == address - offset:
        return address + entry[ADDEND]
    # The engine goes from block to block without its TLB, where a page of data may have come into
    # the code's place.
    if uint32_at(cells[ENV])[CR0_AT] & PAGING or not is_plain(cells, address, size):
        return 0
    return cells[RAM] + address
