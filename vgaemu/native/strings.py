"""REP STOS and REP MOVS: what the engine does a byte, a word or a dword at a time, in one go.

An engine runs each turn of such an instruction as a block of its own, some 50 ns, and 60 or more
through the planes. `run_string` is called before each. Where there are turns left, and what they
store to and load from lies in pages that the engine has in its TLB, those up to the end of a page,
of the slice or the last but one are done here: the same memory, marks, latches, registers,
instructions and time. All else is the engine's: the last turn, pages that it has yet to ask for,
pages with translated code, accesses through the planes that are not aligned, downward runs,
breakpoints, single steps.

Source: target/i386/translate.c and accel/tcg/cputlb.c of QEMU 5.0, as Unicorn 2.1 has them.
"""

from __future__ import annotations

from vgaemu.native.cells import (
    BYTES,
    COST,
    DUE,
    EVENTS,
    FIRST,
    FIRST_DWORD,
    GRAPHICS,
    KIND,
    LATCH,
    MARKS,
    NOW,
    PLANAR,
    PLANE_DWORDS,
    PROGRESS,
    SELECT,
    SEQUENCER,
    UNTIL,
    VRAM,
)
from vgaemu.native.clock import INSTRUCTION_NS
from vgaemu.native.compiler import (
    Pointer,
    int64_at,
    part,
    uint8_at,
    uint16_at,
    uint32_at,
)
from vgaemu.native.cpu_cells import (
    CLOCK,
    ENV,
    NATIVE_PLANES_AT,
    PLANES,
    PLANES_BYTES,
    RAISED,
)
from vgaemu.native.env import (
    ADDEND,
    BASE,
    CS,
    DEVICE,
    DF_AT,
    DR7_AT,
    DS,
    EAX_AT,
    ECX_AT,
    EDI_AT,
    EFLAGS_AT,
    ES,
    ESI_AT,
    FS,
    HFLAGS_AT,
    LOADED,
    PAGE,
    SEGMENT,
    SEGMENTS_AT,
    SS,
    STORED,
)
from vgaemu.native.flags import CODE32, CODE64, LONG, TRAP
from vgaemu.native.marks import mark
from vgaemu.native.planes import (
    ALL_PLANES,
    DWORD,
    DWORDS_A_PAGE_SHIFT,
    is_plain,
    load_bytes,
    pipeline,
    planes_of,
    store_bytes,
)
from vgaemu.native.tlb import PAGE_BYTES, SMAP, code_at, entry_of, kind_of

#: Bytes of these instructions: REP and an opcode; and one prefix of each other kind.
SHORTEST, LONGEST = 2, 5
REP, REPNE, OPERAND, ADDRESS = 0xF3, 0xF2, 0x66, 0x67
MOVSB, MOVSW, STOSB, STOSW = 0xA4, 0xA5, 0xAA, 0xAB
#: Of the engine's own flags, what is left to it: the shadow of STI, long mode, SMAP.
NOT_HERE = 1 << 3 | LONG | CODE64 | SMAP
#: Fewer turns are not worth it.
FEWEST = 4
#: Higher than all addresses of the host.
WINDOW = 1 << 48


@part
def _segment_of(prefix: int) -> int:
    """The segment register that a prefix names; -1: it names none."""
    if prefix == 0x3E:
        return DS
    if prefix == 0x26:
        return ES
    if prefix == 0x2E:
        return CS
    if prefix == 0x36:
        return SS
    return prefix - 0x64 + FS if prefix == 0x64 or prefix == 0x65 else -1


@part
def _decode(code: Pointer, size: int, wide: bool) -> int:
    """An instruction as a number, 0: another one.

    Bits 0-2: bytes of an element; 3: it is MOVS; 4: 32-bit addresses; 8-10: the segment loaded
    from; 15: there is one.
    """
    opcode = code[size - 1]
    if opcode not in (MOVSB, MOVSW, STOSB, STOSW):
        return 0
    segment, is_repeated, wide_address, wide_operand = DS, False, wide, wide
    for i in range(size - 1):
        prefix = code[i]
        if prefix in (REP, REPNE):
            is_repeated = True
        elif prefix == OPERAND:
            wide_operand = not wide
        elif prefix == ADDRESS:
            wide_address = not wide
        else:
            segment = _segment_of(prefix)
            if segment < 0:
                return 0
    if not is_repeated:
        return 0
    count = 1
    if opcode & 1:
        count = 4 if wide_operand else 2
    return count | (opcode < STOSB) << 3 | wide_address << 4 | segment << 8 | 1 << 15


@part
def _room(at: int, offset: int, mask: int, size: int) -> int:
    """How many whole elements lie between a linear address and the end of its page.

    Those behind the highest offset that the segment can have do not count.
    """
    return min(PAGE_BYTES - (at & PAGE_BYTES - 1), mask + 1 - offset) // size


@part
def _turns(clock: Pointer, cost: int) -> int:
    """How many more instructions may begin, each with so much time beside."""
    progress = int64_at(clock[PROGRESS])
    done = progress[0]
    left = progress[1] - done
    if cost and left > 0:
        return min(left, -(-(clock[DUE] - done * INSTRUCTION_NS) // (INSTRUCTION_NS + cost)))
    return left


@part
def _pass_time(clock: Pointer, turns: int, cost: int, accesses: int) -> None:
    """What so many instructions do, each with `accesses` that cost so much together."""
    progress = int64_at(clock[PROGRESS])
    done = progress[0] + turns
    progress[0] = done
    if accesses:
        due = clock[DUE] - turns * cost
        clock[DUE] = due
        clock[NOW] = clock[UNTIL] - due + done * INSTRUCTION_NS
        clock[EVENTS] += turns * accesses
        progress[1] = max(-(-due // INSTRUCTION_NS), done)


@part
def _mark_dwords(planes: Pointer, first: int, count: int) -> None:
    """They have landed."""
    marks = int64_at(planes[MARKS])
    for page in range(first >> DWORDS_A_PAGE_SHIFT, (first + count - 1 >> DWORDS_A_PAGE_SHIFT) + 1):
        mark(marks, page)


@part
def _straight(planes: Pointer, at: int, count: int) -> int:
    """The dword of a window offset from which on there is one a byte, as often; -1: there is not.

    Then all go to the same planes, too.
    """
    select = planes[SELECT]
    if planes[KIND] != PLANAR or at < 0 or at + count > planes[BYTES]:
        return -1
    if select & 0xF != select >> 4 & 0xF:
        return -1
    first = at + planes[FIRST_DWORD]
    if first >= planes[PLANE_DWORDS]:
        first -= planes[PLANE_DWORDS]
    return first if first + count <= planes[PLANE_DWORDS] else -1


@part
def _mask_of(planes: Pointer) -> int:
    """The planes that `_straight` stores go to, a dword."""
    return planes_of(uint8_at(planes[SEQUENCER])[2] & planes[SELECT])


@part
def _fill_planes(planes: Pointer, at: int, turns: int, size: int, value: int) -> None:
    """STOS to the planes."""
    first = _straight(planes, at, turns * size)
    if first < 0:
        for i in range(turns):
            store_bytes(planes, at + i * size, size, value)
        return
    mask, graphics = _mask_of(planes), planes[GRAPHICS]
    into, kept = uint32_at(planes[VRAM] + 4 * first), ~mask & DWORD
    for place in range(size):
        data = value >> 8 * place & 0xFF
        dword = data * ALL_PLANES
        if not is_plain(graphics):
            dword = pipeline(uint8_at(graphics), data, planes[LATCH])
        dword &= mask
        for i in range(place, turns * size, size):
            into[i] = into[i] & kept | dword
    _mark_dwords(planes, first, turns * size)


@part
def _copy_planes(planes: Pointer, source: int, at: int, turns: int, size: int) -> None:
    """MOVS from planes to planes."""
    loaded, first = _straight(planes, source, turns), _straight(planes, at, turns)
    if loaded < 0 or first < 0 or size > 1 or uint8_at(planes[GRAPHICS])[5] & 3 != 1:
        for i in range(turns):
            value = load_bytes(planes, source + i * size, size)
            store_bytes(planes, at + i * size, size, value)
        return
    mask = _mask_of(planes)
    out, into, kept = planes[VRAM] + 4 * loaded, planes[VRAM] + 4 * first, ~mask & DWORD
    for i in range(turns):
        uint32_at(into)[i] = uint32_at(into)[i] & kept | uint32_at(out)[i] & mask
    # That is what the last turn loaded: no turn stores to what one before has loaded, but the last
    # one to its own, where it changes nothing.
    planes[LATCH] = int(uint32_at(out)[turns - 1])
    _mark_dwords(planes, first, turns)


@part
def _store_planes(planes: Pointer, source: int, at: int, turns: int, size: int) -> None:
    """MOVS from memory, at an address of the host, to the planes."""
    count, octets = turns * size, uint8_at(source)
    first = _straight(planes, at, count)
    if first < 0 or not is_plain(planes[GRAPHICS]):
        for i in range(turns):
            value = 0
            for j in range(size):
                value |= int(octets[i * size + j]) << 8 * j
            store_bytes(planes, at + i * size, size, value)
        return
    mask = _mask_of(planes)
    into, kept = uint32_at(planes[VRAM] + 4 * first), ~mask & DWORD
    for i in range(count):
        into[i] = into[i] & kept | octets[i] * ALL_PLANES & mask
    _mark_dwords(planes, first, count)


@part
def _load_planes(planes: Pointer, at: int, into: int, turns: int, size: int) -> None:
    """MOVS from the planes to memory."""
    octets = uint8_at(into)
    for i in range(turns):
        value = load_bytes(planes, at + i * size, size)
        for j in range(size):
            octets[i * size + j] = value >> 8 * j & 0xFF


@part
def _move(source: int, into: int, turns: int, size: int) -> None:
    """MOVS from memory to memory."""
    out8, in8 = uint8_at(source), uint8_at(into)
    if size == 1 or into + size <= source or into >= source + turns * size or into == source:
        for i in range(turns * size):
            in8[i] = out8[i]
    elif size == 2:
        for i in range(turns):
            uint16_at(into)[i] = uint16_at(source)[i]
    else:
        for i in range(turns):
            uint32_at(into)[i] = uint32_at(source)[i]


@part
def _fill(into: int, turns: int, size: int, value: int) -> None:
    """STOS to memory."""
    if size == 1:
        for i in range(turns):
            uint8_at(into)[i] = value
    elif size == 2:
        for i in range(turns):
            uint16_at(into)[i] = value
    else:
        for i in range(turns):
            uint32_at(into)[i] = value


@part
def _advance(env: Pointer, register: int, mask: int, by: int) -> None:
    """Of a register as much as addresses have."""
    old = env[register]
    env[register] = old & ~mask & DWORD | old + by & mask


@part
def _place(cells: Pointer, linear: int, size: int, access: int, accessor: int) -> int:
    """What is at a linear address: an address of the host, or a window offset less `WINDOW`.

    0: the engine knows.
    """
    entry, offset = entry_of(cells, linear, accessor), linear & PAGE_BYTES - 1
    if entry[access] == linear - offset:
        return linear + entry[ADDEND]
    if entry[access] != linear - offset | DEVICE or linear & size - 1:
        return 0
    at = entry[PAGE] - NATIVE_PLANES_AT
    return at + offset - WINDOW if 0 <= at < PLANES_BYTES else 0


@part
def _run(cells: Pointer, kind: int, accessor: int) -> None:
    """The turns that can be run here of an instruction that `_decode` knows."""
    env, clock, size = uint32_at(cells[ENV]), int64_at(cells[CLOCK]), kind & 7
    mask = 0xFFFFFFFF if kind >> 4 & 1 else 0xFFFF
    turns = (env[ECX_AT] & mask) - 1
    if turns < FEWEST:
        return
    moves, to, out = kind >> 3 & 1, env[EDI_AT] & mask, env[ESI_AT] & mask
    linear = env[SEGMENTS_AT + ES * SEGMENT + BASE] + to & DWORD
    into, source = _place(cells, linear, size, STORED, accessor), 1
    turns = min(turns, _room(linear, to, mask, size))
    if moves:
        linear = env[SEGMENTS_AT + (kind >> 8 & 7) * SEGMENT + BASE] + out & DWORD
        source = _place(cells, linear, size, LOADED, accessor)
        turns = min(turns, _room(linear, out, mask, size))
    planes = int64_at(cells[PLANES])
    accesses = (into < 0) + (source < 0)
    cost = accesses * (size + 1 >> 1) * planes[COST] if accesses else 0
    turns = min(turns, _turns(clock, cost))
    if into == 0 or source == 0 or turns < FEWEST:
        return
    if into < 0:
        into += WINDOW + planes[FIRST]
        if not moves:
            _fill_planes(planes, into, turns, size, env[EAX_AT] & 0xFFFFFFFF >> 8 * (4 - size))
        elif source < 0:
            _copy_planes(planes, source + WINDOW + planes[FIRST], into, turns, size)
        else:
            _store_planes(planes, source, into, turns, size)
    elif not moves:
        _fill(into, turns, size, env[EAX_AT])
    elif source < 0:
        _load_planes(planes, source + WINDOW + planes[FIRST], into, turns, size)
    else:
        _move(source, into, turns, size)
    _pass_time(clock, turns, cost, accesses)
    _advance(env, ECX_AT, mask, -turns)
    _advance(env, EDI_AT, mask, turns * size)
    if moves:
        _advance(env, ESI_AT, mask, turns * size)


@part
def string_of(cells: Pointer, address: int, size: int) -> int:
    """What `run_string` is told of a block as long as one of these instructions; 0: it is none."""
    code = code_at(cells, address, size, kind_of(cells))
    if not code:
        return 0
    return _decode(uint8_at(code), size, uint32_at(cells[ENV])[HFLAGS_AT] & CODE32 != 0)


@part
def run_string(cells: Pointer, kind: int) -> None:
    """Such an instruction is entered."""
    env = uint32_at(cells[ENV])
    if env[HFLAGS_AT] & NOT_HERE or env[EFLAGS_AT] & TRAP or env[DF_AT] != 1:
        return
    if uint32_at(cells[RAISED])[DR7_AT] & 0xFF == 0:
        _run(cells, kind, kind_of(cells))
