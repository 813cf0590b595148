"""Stores and loads through the planes: `Aperture` and `planes.pipeline` once more, a byte a step.

Emulated, and its source: as there. Bytes of an access go upwards, each with the latches that the
one before has left; those outside the window are ignored, and read FFh. Blocks and copies, which
only Python's guests make, stay there.
"""

from __future__ import annotations

from vgaemu.native.cells import (
    BYTES,
    CHAIN4,
    COST,
    COUNTED,
    FIRST,
    FIRST_DWORD,
    GRAPHICS,
    KIND,
    LATCH,
    MARKS,
    ODD_EVEN,
    PAGE,
    PLANAR,
    PLANE_DWORDS,
    SELECT,
    SEQUENCER,
    TIME,
    VRAM,
)
from vgaemu.native.clock import cost
from vgaemu.native.compiler import (
    READ,
    WRITE,
    Pointer,
    callback,
    int64_at,
    part,
    uint8_at,
    uint32_at,
)
from vgaemu.native.marks import mark
from vgaemu.native.progress import access_cost

#: One plane byte in all four planes; bits of a dword; of its number, those within a page.
ALL_PLANES, DWORD, DWORDS_A_PAGE_SHIFT = 0x01010101, 0xFFFFFFFF, 10
#: Of the eight bytes GR01-GR08, what `WriteSetup.is_plain` looks at, and finds; an int64.
_NOT_PLAIN, _PLAIN = 0x0F | 0x1F << 16 | 3 << 32 | -1 << 56, -1 << 56


@part
def is_plain(graphics: int) -> bool:
    """Whether stores put bytes into planes unchanged, by the graphics controller's registers."""
    return int64_at(graphics + 1)[0] & _NOT_PLAIN == _PLAIN


@part
def planes_of(bits: int) -> int:
    """Four plane-select bits -> FFh in each selected plane's byte."""
    return ((bits & 1) | (bits & 2) << 7 | (bits & 4) << 14 | (bits & 8) << 21) * 0xFF


@part
def _dword_of(cells: Pointer, at: int) -> int:
    """Which dword a window offset reaches."""
    kind = cells[KIND]
    if kind == PLANAR:
        dword = at + cells[FIRST_DWORD]
        size = cells[PLANE_DWORDS]
        return dword - size if dword >= size else dword
    if kind == ODD_EVEN:
        return at & 0xFFFE | at >> 16 | cells[PAGE]
    return (at & 0xFFFF) >> 2


@part
def _combine(function: int, value: int, latch: int) -> int:
    if function == 0:
        return value
    if function == 1:
        return value & latch
    if function == 2:
        return value | latch
    return value ^ latch


@part
def pipeline(registers: Pointer, data: int, latch: int) -> int:
    """What the four planes get when the CPU stores `data`, before the map mask."""
    mode = registers[5] & 3
    if mode == 1:
        return latch
    bit_mask, rotate = registers[8], registers[3] & 7
    if mode == 2:
        value = planes_of(data)
    else:
        rotated = (data >> rotate | data << (8 - rotate)) & 0xFF
        if mode == 3:
            bit_mask = bit_mask & rotated
            value = planes_of(registers[0])
        else:
            enabled = planes_of(registers[1])
            value = rotated * ALL_PLANES & ~enabled | planes_of(registers[0]) & enabled
    value = _combine(registers[3] >> 3 & 3, value, latch)
    mask = bit_mask * ALL_PLANES
    return value & mask | latch & ~mask & DWORD


@part
def _load(cells: Pointer, at: int) -> int:
    """Load a byte: its dword stays in the latches."""
    registers = uint8_at(cells[GRAPHICS])
    dword = int(uint32_at(cells[VRAM])[_dword_of(cells, at)])
    cells[LATCH] = dword
    mode = registers[5]
    if mode & 8:
        differs = (dword ^ planes_of(registers[2])) & planes_of(registers[7])
        return ~(differs | differs >> 8 | differs >> 16 | differs >> 24) & 0xFF
    plane = registers[4] & 3
    if cells[KIND] == CHAIN4:
        plane = at & 3
    elif mode & 16:
        plane = plane & 2 | at & 1
    return dword >> 8 * plane & 0xFF


@part
def load_bytes(cells: Pointer, at: int, size: int) -> int:
    """Load bytes upwards."""
    value = 0
    for i in range(size):
        byte = 0xFF
        if 0 <= at + i < cells[BYTES]:
            byte = _load(cells, at + i)
        value |= byte << 8 * i
    return value


@part
def _pass_time(cells: Pointer, size: int) -> None:
    time, ns = cells[TIME], (size + 1 >> 1) * cells[COST]
    if cells[COUNTED]:
        access_cost(int64_at(cells[COUNTED]), ns)
    elif time:
        cost(int64_at(time), ns)


@callback(READ)
def _read(engine: object, offset: int, size: int, cells: Pointer) -> int:
    _pass_time(cells, size)
    return load_bytes(cells, offset + cells[FIRST], size)


@part
def store_bytes(cells: Pointer, at: int, size: int, value: int) -> None:
    """Store bytes upwards."""
    # All of this stays as it is while the bytes land, which no compiler can know.
    nbytes, latch = cells[BYTES], cells[LATCH]
    graphics, vram, marks = cells[GRAPHICS], uint32_at(cells[VRAM]), int64_at(cells[MARKS])
    plain = is_plain(graphics)
    map_mask, select = uint8_at(cells[SEQUENCER])[2], cells[SELECT]
    for i in range(size):
        if 0 <= at + i < nbytes:
            data = value >> 8 * i & 0xFF
            dword = data * ALL_PLANES if plain else pipeline(uint8_at(graphics), data, latch)
            mask = planes_of(map_mask & select >> 4 * (at + i & 3))
            number = _dword_of(cells, at + i)
            vram[number] = vram[number] & ~mask | dword & mask
            mark(marks, number >> DWORDS_A_PAGE_SHIFT)


@callback(WRITE)
def _write(engine: object, offset: int, size: int, value: int, cells: Pointer) -> None:
    _pass_time(cells, size)
    store_bytes(cells, offset + cells[FIRST], size, value)


FUNCTIONS = {"planes.read": _read.address, "planes.write": _write.address}
