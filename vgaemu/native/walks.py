"""Page tables, of two, three and four levels, and bytes that the processor itself reads and writes.

What forbids an access, or is not there, is for Python, which finds out why.

Source: `vgaemu.pc.cpu.mmu`, which gives the same results.
"""

from __future__ import annotations

from vgaemu.native.compiler import Pointer, int64_at, part, uint8_at, uint32_at
from vgaemu.native.cpu_cells import ENV, RAM, RAM_BYTES, STORED
from vgaemu.native.env import CR0_AT, CR3_AT, CR4_AT, EFER_AT, HFLAGS_AT
from vgaemu.native.flags import LONG, PAGING
from vgaemu.native.memory import ROM_END, ROM_START, is_plain
from vgaemu.native.registers import wide

WRITE_PROTECT = 1 << 16  # in CR0
PSE, PAE, NO_EXECUTE_ENABLED = 1 << 4, 1 << 5, 1 << 11
#: Of an entry of page tables.
PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE = 1, 2, 4, 1 << 5, 1 << 6, 1 << 7
ENTRY_ADDRESS = 0xF_FFFF_FFFF_F000
#: Reserved bits: of all entries in long mode, and without it; of the first of three tables; of
#: pages of 1 GiB and of 2 MiB.
RESERVED_LONG, RESERVED_PAE = (1 << 52) - (1 << 40), (1 << 63) - (1 << 40)
RESERVED_POINTER, RESERVED_1G, RESERVED_2M = 0x1E6, 0x3FFF_E000, 0x1F_E000
#: What `descend` tells beside an address and rights; where it has the level.
EXECUTABLE, LEVEL_SHIFT = 8, 4
#: What a walk tells beside the page: it may be stored to, and executed.
MAY_STORE, MAY_EXECUTE = 1, 2


@part
def set_bits(cells: Pointer, at: int, entry: int, bits: int) -> None:
    """Accessed and dirty bits of an entry."""
    if bits & ~entry and not (ROM_START <= at < ROM_END):
        uint8_at(cells[RAM])[at] = entry & 0xFF | bits
        uint8_at(cells[STORED])[at >> 12] = 1


@part
def entry_at(cells: Pointer, at: int) -> int:
    """An entry that is there; or 0."""
    entry = uint32_at(cells[RAM] + at)[0] if at + 4 <= cells[RAM_BYTES] else 0
    return entry if entry & PRESENT else 0


@part
def wide_entry_at(cells: Pointer, at: int) -> int:
    """The same of one of 64 bits, which has a sign."""
    entry = int64_at(cells[RAM] + at)[0] if at + 8 <= cells[RAM_BYTES] else 0
    return entry if entry & PRESENT else 0


@part
def may_store(rights: int, cr0: int, user: bool) -> bool:
    """Whether entries let it: the supervisor is kept out by WP alone."""
    return rights & WRITABLE != 0 or not (user or cr0 & WRITE_PROTECT)


@part
def walk_two(cells: Pointer, linear: int, write: bool, user: bool) -> int:
    """Two levels."""
    env = uint32_at(cells[ENV])
    cr0, cr4 = env[CR0_AT], env[CR4_AT]
    upper_at = (env[CR3_AT] & 0xFFFFF000) + 4 * (linear >> 22)
    upper = entry_at(cells, upper_at)
    is_large = upper & LARGE and cr4 & PSE
    at = upper_at if is_large else (upper & 0xFFFFF000) + 4 * (linear >> 12 & 0x3FF)
    entry = entry_at(cells, at) if upper else 0
    rights = upper & entry
    writable = may_store(rights, cr0, user)
    if not entry or (user and not rights & USER) or (write and not writable):
        return -1
    set_bits(cells, upper_at, upper, 0 if is_large else ACCESSED)
    set_bits(cells, at, entry, ACCESSED | DIRTY * write)
    inside = 0x3FFFFF if is_large else 0xFFF
    page = (entry & 0xFFFFF000 & ~inside) | (linear & inside & 0xFFFFF000)
    stores = writable and (write or entry & DIRTY != 0)
    return page | MAY_EXECUTE | (MAY_STORE if stores else 0)


@part
def is_reserved(entry: int, shift: int, is_large: bool, is_long: bool, no_execute: bool) -> bool:
    """Whether an entry has a bit that is to be 0."""
    if entry & (RESERVED_LONG if is_long else RESERVED_PAE) or (entry < 0 and not no_execute):
        return True
    if shift == 39:
        return entry & LARGE != 0
    if not is_large:
        return False
    return entry & (RESERVED_1G if shift == 30 else RESERVED_2M) != 0


@part
def is_canonical(linear: int) -> bool:
    """Whether long mode has such an address: its upper bits are all the same."""
    return (linear + (1 << 47)) >> 48 == 0


@part
def first_table(cells: Pointer, linear: int, is_long: bool) -> int:
    """Where the first table with rights lies: of four, or the second of three; or -1."""
    env = uint32_at(cells[ENV])
    if is_long:
        return wide(cells, CR3_AT) & ENTRY_ADDRESS if is_canonical(linear) else -1
    entry = wide_entry_at(cells, (env[CR3_AT] & 0xFFFFFFE0) + 8 * (linear >> 30 & 3))
    if not entry or entry < 0 or entry & (RESERVED_POINTER | RESERVED_PAE):
        return -1
    return entry & ENTRY_ADDRESS


@part
def is_forbidden(
    rights: int, writable: bool, executable: bool, write: bool, fetch: bool, user: bool
) -> bool:
    """Whether what entries let be done is less than an access."""
    return (user and not rights & USER) or (write and not writable) or (fetch and not executable)


@part
def mark_wide(cells: Pointer, table: int, top: int, last: int, linear: int, write: bool) -> int:
    """Accessed and dirty bits of the entries between two shifts; the last one as it was."""
    entry = 0
    for shift in range(top, last - 1, -9):
        at = table + 8 * (linear >> shift & 0x1FF)
        entry = wide_entry_at(cells, at)
        set_bits(cells, at, entry, ACCESSED | (DIRTY if shift == last and write else 0))
        table = entry & ENTRY_ADDRESS
    return entry


@part
def descend(
    cells: Pointer, table: int, shift: int, linear: int, is_long: bool, no_execute: bool
) -> int:
    """The address in the last entry, with its rights and `EXECUTABLE`, and its level; or -1."""
    rights, executable = WRITABLE | USER, EXECUTABLE
    while True:
        entry = wide_entry_at(cells, table + 8 * (linear >> shift & 0x1FF))
        is_large = entry & LARGE != 0 and shift < 39 and shift > 12
        if not entry or is_reserved(entry, shift, is_large, is_long, no_execute):
            return -1
        rights &= entry
        if entry < 0:
            executable = 0
        table = entry & ENTRY_ADDRESS
        if is_large or shift == 12:
            return table | rights | executable | (shift - 12) // 9 << LEVEL_SHIFT
        shift -= 9


@part
def walk_wide(cells: Pointer, linear: int, write: bool, fetch: bool, user: bool) -> int:
    """Entries of 64 bits: three levels, or four in long mode."""
    env = uint32_at(cells[ENV])
    is_long, no_execute = env[HFLAGS_AT] & LONG != 0, env[EFER_AT] & NO_EXECUTE_ENABLED != 0
    first, top = first_table(cells, linear, is_long), 39 if is_long else 21
    found = descend(cells, first, top, linear, is_long, no_execute) if first >= 0 else -1
    if found < 0:
        return -1
    writable, executable = may_store(found, env[CR0_AT], user), found & EXECUTABLE != 0
    if is_forbidden(found, writable, executable, write, fetch, user):
        return -1
    shift = 12 + 9 * (found >> LEVEL_SHIFT & 3)
    inside = (1 << shift) - 1
    page = (found & ENTRY_ADDRESS & ~inside) | (linear & inside & ~0xFFF)
    entry = mark_wide(cells, first, top, shift, linear, write)
    if writable and (write or entry & DIRTY):
        page |= MAY_STORE
    return page | MAY_EXECUTE if executable else page


@part
def walk(cells: Pointer, linear: int, write: bool, fetch: bool, user: bool) -> int:
    """The physical page of a linear address, with what may be done there; -1: Python knows."""
    env = uint32_at(cells[ENV])
    if env[HFLAGS_AT] & LONG:
        return walk_wide(cells, linear, write, fetch, user)
    if env[CR4_AT] & PAE:
        return walk_wide(cells, linear & 0xFFFFFFFF, write, fetch, user)
    return walk_two(cells, linear & 0xFFFFFFFF, write, user)


@part
def look(cells: Pointer, linear: int, count: int, write: bool, user: bool) -> int:
    """Physical address of bytes that the processor itself reads or writes; -1: Python knows."""
    env = uint32_at(cells[ENV])
    at = linear if env[HFLAGS_AT] & LONG else linear & 0xFFFFFFFF
    if env[CR0_AT] & PAGING:
        if (at & 0xFFF) + count > 0x1000:
            return -1
        page = walk(cells, at, write, False, user)
        if page < 0:
            return -1
        at = (page & ~0xFFF) | (at & 0xFFF)
    if is_plain(cells, at, count) or (not write and at >= ROM_START and at + count <= ROM_END):
        return at
    return -1
