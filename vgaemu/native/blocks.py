"""Blocks of code: their instructions counted as they are entered, and looked at as they are made.

`translated` is called for each block that the engine has translated, and puts down how many
instructions there are, and what is special. `native.entry` needs that, which is called before each
block, and counts those that are not special by itself. The engine tells a block of its record as it
tells any hook of its user's data: by a word that it looks at when it translates, so `translated`
has that point to the next record each time.

A block is not executed as it is where

* the slice has fewer instructions left: the engine is asked for a block of so many instead;
* an instruction in it looks at the time, or may cost more of it than `progress.MARGIN_NS` for what
  it stores to a device: it is the last of its block, and so is a port that native code cannot
  answer, once that is known. One that may switch tasks, LOOPE and LOOPNE are the only ones: the
  engine does not bring the arithmetic flags to where they are saved or, when it loops no more,
  looked for;
* the slice is over: the engine ends.

Source: accel/tcg/cpu-exec.c, translator.c and tcg-runtime.c of QEMU 5.0, as Unicorn 2.1 has them.
"""

from __future__ import annotations

from numba import types

from vgaemu.native import again, engine_block
from vgaemu.native.again import FREE, TAKEN
from vgaemu.native.calls import call3, call4, call5
from vgaemu.native.compiler import (
    Pointer,
    callback,
    int64_at,
    part,
    uint8_at,
    uint16_at,
    uint32_at,
)
from vgaemu.native.cpu_cells import (
    AGAIN,
    ASKED,
    BEGUN,
    BLOCK,
    BLOCK_NS,
    BLOCKS_AT,
    COME_OUT_AT,
    ENDED,
    ENV,
    LONG_OVERHEAD_NS,
    MOST,
    MOST_AT,
    NEXT,
    NEXT_AT,
    OVERHEAD,
    PLANES_NS,
    PORTS_LEFT,
    RECORD_BYTES,
    STOP,
    TRANSLATED,
    TRANSLATION_NS,
)
from vgaemu.native.engine_block import (
    ASKED_FOR,
    CODE_AT,
    CODE_BYTES,
    COUNT_AT,
    FLAGS_AT,
    PC_AT,
    SIZE_AT,
)
from vgaemu.native.entry import ON_BLOCK
from vgaemu.native.env import CR0_AT, EFLAGS_AT
from vgaemu.native.flags import PROTECTED, VIRTUAL_8086
from vgaemu.native.gates import has_breakpoints
from vgaemu.native.progress import (
    CELLS_AT,
    COUNT,
    CUT,
    ENGINE_AT,
    FAST_COUNT,
    FIRST_SITE,
    LAST_SHIFT,
    MOST_PORTS,
    PC,
    PORT_BITS,
    PORTS,
    SECOND_SITE,
    SIZE,
    SPECIAL,
    TOO_MANY,
    access_cost,
    is_begun,
    leave_at_access,
    number,
    rest_of,
    settle_count,
    take_back,
)
from vgaemu.native.strings import LONGEST, SHORTEST, run_string, string_of
from vgaemu.native.tlb import PAGE_BYTES, code_at, kind_of

#: ``void block(uc_engine *, uint64_t address, uint32_t size, int64_t *record)``
BLOCK_HOOK = types.void(types.int64, types.int64, types.int32, types.int64)
#: ``void translated(uc_engine *, uc_tb *block, uc_tb *before, int64_t *cells)``
EDGE_HOOK = types.void(types.int64, types.int64, types.int64, types.CPointer(types.int64))
#: ``void f(int64_t *cells)``
SETTLE = types.void(types.CPointer(types.int64))
#: ``uint64_t read(uc_engine *, uint64_t offset, unsigned size, int64_t *device)``, and what stores.
READ = types.int64(types.int64, types.int64, types.int32, types.CPointer(types.int64))
WRITE = types.void(types.int64, types.int64, types.int32, types.int64, types.CPointer(types.int64))
#: What else is special: a block has as many instructions as were asked for, by the engine, or by
#: us; who counts each instruction has not met it yet, and so not paid for it; it has ports. Above
#: them what `run_string` is told.
SHORT, OURS, UNPAID, HAS_PORTS = 1 << 32, 1 << 33, 1 << 34, 1 << 35
STRING_SHIFT = 40
#: Of a device that Python answers for: the cells, and its functions.
DEVICE_CELLS, DEVICE_READ, DEVICE_WRITE = 0, 1, 2
#: What an instruction is: one that may be anywhere, a port, which may be, too; one that is the last
#: of its block, and one that is alone in it.
ANYWHERE, PORT, LAST, ALONE = 0, 1, 2, 3


_key_of, _first_place = part(again.key_of), part(again.first_place)
_place_of = part(engine_block.place_of)


@part
def _is_prefix(byte: int) -> bool:
    # Those of 64-bit code are whole instructions elsewhere.
    return (
        byte in (0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3)
        or byte & 0xF0 == 0x40
    )


@part
def _may_cost_much(first: int, second: int, operand: int) -> bool:
    """Whether an instruction may make more accesses to a device than `MARGIN_NS` has room for."""
    if first == 0x0F:  # FXSAVE and its like
        return second == 0xAE and operand < 0xC0
    if first == 0xDD:  # FRSTOR, FSAVE
        return second < 0xC0 and second >> 3 & 5 == 4
    return first == 0xC8  # ENTER


@part
def _kind(first: int, second: int, operand: int, in_protected: bool) -> int:
    """Of the opcode, the byte behind it and the next one."""
    if _may_cost_much(first, second, operand):
        return LAST
    if first == 0x0F:  # RDTSC, CPUID, RDTSCP
        return LAST if second in (0x31, 0xA2) or (second == 0x01 and operand == 0xF9) else ANYWHERE
    if 0xE4 <= first <= 0xE7 or 0xEC <= first <= 0xEF:
        return PORT
    if 0x6C <= first <= 0x6F:  # INS, OUTS
        return LAST
    if first in (0xE0, 0xE1):  # LOOPNE, LOOPE
        return ALONE
    is_far = first in (0x9A, 0xEA, 0xCF) or (first == 0xFF and second >> 3 & 7 in (3, 5))
    return ALONE if is_far and in_protected else ANYWHERE


@part
def _bytes_at(here: int, room: int, there: int, begin: int, size: int) -> int:
    """Opcode of an instruction, and what follows: three bytes, lowest first, or 0.

    `room` bytes from the block's begin on lie `here`, the others `there`.
    """
    end = begin + size
    at, found = begin, 0
    bytes_of = 0
    while at < end and found < 3:
        byte = int(uint8_at(here)[at] if at < room else uint8_at(there)[at - room])
        at += 1
        if found == 0 and at < end and _is_prefix(byte):
            continue
        bytes_of |= byte << 8 * found
        found += 1
    return bytes_of


@part
def _special(cells: Pointer, record: Pointer) -> int:
    """What is special about a block's instructions."""
    address, size = record[PC], record[SIZE]
    if record[COUNT] == 1:
        is_short = SHORTEST <= size <= LONGEST
        return string_of(cells, address, size) << STRING_SHIFT if is_short else 0
    room, kind = min(size, PAGE_BYTES - (address & PAGE_BYTES - 1)), kind_of(cells)
    here, there = code_at(cells, address, room, kind), 0
    if room < size:
        there = code_at(cells, address + room, size - room, kind)
    if not record[ENGINE_AT] or not here or (room < size and not there):
        return 1  # one instruction after another
    return _found(cells, record, here, room, there)


@part
def _found(cells: Pointer, record: Pointer, here: int, room: int, there: int) -> int:
    """What its ports make of a block, and the first instruction that may not be anywhere."""
    engine, env, count = int64_at(record[ENGINE_AT]), uint32_at(cells[ENV]), record[COUNT]
    in_protected = env[CR0_AT] & PROTECTED != 0 and not env[EFLAGS_AT] & VIRTUAL_8086
    octets, at = uint8_at(engine[CODE_AT] + engine[CODE_BYTES]), 0
    _, at = number(octets, at)
    begin = ports = special = 0
    for i in range(count):
        end = record[SIZE]
        if i + 1 < count:
            # What else the list has of this one, and how far it is to the next.
            _, at = number(octets, at)
            _, at = number(octets, at)
            step, at = number(octets, at)
            end = begin + step
        code = _bytes_at(here, room, there, begin, end - begin)
        found = _kind(code & 0xFF, code >> 8 & 0xFF, code >> 16, in_protected)
        if found == ALONE:
            return max(i, 1)
        if found != ANYWHERE and i + 1 == count:
            return special | begin << LAST_SHIFT
        if found == LAST:
            return i + 1
        if found == PORT:
            if ports == MOST_PORTS:
                return i
            record[PORTS] |= count - 1 - i << ports * PORT_BITS
            special = HAS_PORTS
            ports += 1
        begin = end
    return special


@part
def _tell(record: Pointer, special: int) -> None:
    """What is special about a block, 0: nothing."""
    record[SPECIAL] = special
    record[FAST_COUNT] = TOO_MANY if special else record[COUNT]


@part
def _in_engine(cells: Pointer, address: int, size: int, count: int) -> int:
    """Where the engine has the block that it has translated, 0: it was not found.

    It is in the cache by then, by a hash of its address.
    """
    at = int64_at(cells[BLOCKS_AT])[_place_of(address)]
    if not at or int64_at(at)[PC_AT] != address:
        return 0
    words = uint16_at(at)
    return at if words[SIZE_AT] == size and words[COUNT_AT] == count else 0


@part
def _is_again(table: Pointer, address: int, size: int) -> bool:
    """Whether a block is among those of `native.again`; it is no more."""
    key, mask = _key_of(address, size), table[0]
    place = _first_place(key, mask)
    while table[1 + place] != FREE:
        if table[1 + place] == key:
            table[1 + place] = TAKEN
            return True
        place = place + 1 & mask
    return False


@part
def _follows_ours(cells: Pointer, address: int) -> bool:
    """Whether the block in hand is one that was asked for, and execution goes on behind it."""
    if not cells[BLOCK]:
        return False
    before = int64_at(cells[BLOCK])
    return before[SPECIAL] & OURS != 0 and before[PC] + before[SIZE] == address


@part
def _pay(cells: Pointer, record: Pointer) -> None:
    """A block was translated."""
    if not _is_again(int64_at(cells[AGAIN]), record[PC], record[SIZE]):
        cells[OVERHEAD] += BLOCK_NS + TRANSLATION_NS * record[COUNT]


@callback(EDGE_HOOK)
def translated(engine: int, block: int, before: int, cells: Pointer) -> None:
    """The engine has translated a block: a `uc_tb`."""
    at, address = cells[NEXT], int64_at(block)[0]
    record = int64_at(at)
    count, size = int(uint16_at(block)[4]), int(uint16_at(block)[5])
    record[COUNT], record[PC], record[SIZE] = count, address, size
    record[FIRST_SITE] = record[SECOND_SITE] = record[PORTS] = 0
    found = _in_engine(cells, address, size, count)
    record[ENGINE_AT] = found
    special = _special(cells, record)
    if cells[ASKED]:
        special |= SHORT | OURS
    else:
        if found and uint32_at(found)[FLAGS_AT] & ASKED_FOR:
            special |= SHORT
        elif _follows_ours(cells, address):
            special |= UNPAID
        else:
            _pay(cells, record)
    _tell(record, special)
    following = at + RECORD_BYTES
    int64_at(following)[CELLS_AT] = record[CELLS_AT]
    cells[NEXT] = following
    int64_at(cells[NEXT_AT])[0] = following
    if has_breakpoints(cells) or cells[OVERHEAD] > LONG_OVERHEAD_NS:
        call4(cells[TRANSLATED], engine, block, before, 0)


@part
def _ask(cells: Pointer, count: int) -> None:
    """Come out before this block, and on with one of at most so many instructions."""
    cells[ASKED] = count
    uint32_at(cells[MOST_AT])[0] = count
    uint16_at(cells[COME_OUT_AT])[1] = 0xFFFF


@part
def _end(engine: int, cells: Pointer) -> None:
    """Come out before this block: the slice is over."""
    cells[ENDED], cells[BLOCK] = 1, 0
    call3(cells[STOP], engine, 0, 0)


@part
def _count(engine: int, at: int, cells: Pointer) -> None:
    """A block is entered: count it, or come out before it."""
    record = int64_at(at)
    special, count, left = record[SPECIAL], record[COUNT], cells[MOST] - cells[BEGUN]
    if left <= 0:
        _end(engine, cells)
        return
    most = special & CUT
    if most == 0:
        most = count
    most = min(most, left)
    if special & UNPAID and not special & SHORT and not _follows_ours(cells, record[PC]):
        _tell(record, special & ~UNPAID)
        _pay(cells, record)
    if most < count:
        _ask(cells, most)
        return
    cells[BEGUN] += count
    cells[BLOCK] = at
    if special & HAS_PORTS:
        cells[PORTS_LEFT] = record[PORTS]


@callback(BLOCK_HOOK)
def enter_special(engine: int, address: int, size: int, at: int) -> None:
    """A block is entered that is special, or longer than what is left."""
    record = int64_at(at)
    cells, special = int64_at(record[CELLS_AT]), record[SPECIAL]
    if special & SHORT:
        if not cells[ASKED]:
            take_back(cells, address)
        cells[ASKED] = 0
    if special >> STRING_SHIFT:
        run_string(cells, special >> STRING_SHIFT)
    _count(engine, at, cells)


@callback(SETTLE)
def settle(cells: Pointer) -> None:
    """An exception ended the block in hand that is Python's to deliver."""
    settle_count(cells, 0, False)


@part
def _rest_at_device(cells: Pointer) -> int:
    """How many instructions follow the one in hand, which is done anew as it begins, if any do."""
    rest = rest_of(cells)
    if rest and not is_begun(cells, rest):
        leave_at_access(cells, rest)
    return rest


@callback(READ)
def device_read(engine: int, offset: int, size: int, device: Pointer) -> int:
    """A load from a device that Python answers for: it is to know what time it is."""
    cells = int64_at(device[DEVICE_CELLS])
    rest = _rest_at_device(cells)
    cells[BEGUN] -= rest
    value = call4(device[DEVICE_READ], engine, offset, size, 0)
    cells[BEGUN] += rest
    return value


@callback(WRITE)
def device_write(engine: int, offset: int, size: int, value: int, device: Pointer) -> None:
    """A store to one."""
    cells = int64_at(device[DEVICE_CELLS])
    rest = _rest_at_device(cells)
    cells[BEGUN] -= rest
    call5(device[DEVICE_WRITE], engine, offset, size, value, 0)
    cells[BEGUN] += rest


@callback(READ)
def nothing_read(engine: int, offset: int, size: int, cells: Pointer) -> int:
    """A load from where there is no memory."""
    access_cost(cells, PLANES_NS)
    return (1 << 8 * size) - 1 if size < 8 else -1


@callback(WRITE)
def nothing_write(engine: int, offset: int, size: int, value: int, cells: Pointer) -> None:
    """A store to where there is none, or to ROM."""
    access_cost(cells, PLANES_NS)


FUNCTIONS = {
    "blocks.enter": ON_BLOCK,
    "blocks.enter_special": enter_special.address,
    "blocks.translated": translated.address,
    "blocks.settle": settle.address,
    "device.read": device_read.address,
    "device.write": device_write.address,
    "nothing.read": nothing_read.address,
    "nothing.write": nothing_write.address,
}
