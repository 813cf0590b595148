"""The legacy window as registers make it: where it lies, which planes bytes reach, what is plain.

A function of the registers that have a say in it, remembered for their last values: planar programs
change one before almost every store.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from vgaemu.vga.aperture import CHAIN4, ODD_EVEN, PLANAR, Addressing
from vgaemu.vga.planes import PLANE_MASK, ReadSetup, WriteSetup
from vgaemu.vga.registers import (
    GRAPHICS_PLACES,
    MISC_PLACES,
    SEQUENCER_PLACES,
    WINDOWS,
    Part,
    Place,
)

#: Where DISPI's banks are shown, whatever GR06 says (Bochs, QEMU).
BANK_START = 0xA0000
#: Bytes of the window that can be plain memory, and of a DISPI bank in it.
BANK_BYTES = 0x10000
#: Planes that a store may reach, by bits 0-1 of its offset: all; by SR04 bit 2 those of even or of
#: odd numbers; by SR04 bit 3 one.
ALL, PAIRS, SINGLE = (0b1111,) * 4, (0b0101, 0b1010) * 2, (0b0001, 0b0010, 0b0100, 0b1000)


def _fields(places: Mapping[str, Place], *names: str) -> tuple[Part, ...]:
    return tuple(part for name in names for part in places[name])


#: Fields in the order of `WriteSetup` and `ReadSetup`, and the others that are looked at.
WRITE_FIELDS = _fields(
    GRAPHICS_PLACES,
    "write_mode", "set_reset", "enable_set_reset", "rotate", "function", "bit_mask",
)  # fmt: skip
READ_FIELDS = _fields(
    GRAPHICS_PLACES,
    "read_mode", "read_map", "odd_even_read", "colour_compare", "colour_dont_care",
)  # fmt: skip
WINDOW_FIELDS = _fields(GRAPHICS_PLACES, "memory_map", "chain_odd_even")
SEQUENCER_FIELDS = _fields(SEQUENCER_PLACES, "map_mask", "odd_even_off")
MISC_FIELDS = _fields(MISC_PLACES, "ram_enable", "odd_even_page")


class Window(NamedTuple):
    """What the window is, and how stores and loads go through it."""

    start: int
    end: int
    #: End of the part that is plain memory and begins at `start`, and where that lies in VRAM; 0 if
    #: there is none.
    plain_end: int
    plain_offset: int
    addressing: Addressing
    write: WriteSetup
    read: ReadSetup


class Bank(NamedTuple):
    """What DISPI shows in the window."""

    #: Packed pixels, not planes.
    linear: bool
    #: VRAM offset.
    offset: int


def _read(values: bytes, fields: tuple[Part, ...]) -> list[int]:
    return [values[n] >> lsb & mask for n, lsb, mask, _ in fields]


@lru_cache(maxsize=512)
def window_of(
    graphics: bytes,
    sequencer: bytes,
    misc: bytes,
    vram_bytes: int,
    *,
    chain4_layout: bool,
    bank: Bank | None,
) -> Window:
    """The window by the values of three register banks, VRAM's layout, and DISPI if it is on."""
    write = WriteSetup(*_read(graphics, WRITE_FIELDS))
    read = ReadSetup(*_read(graphics, READ_FIELDS))
    map_mask, odd_even_off = _read(sequencer, SEQUENCER_FIELDS)
    memory_map, chain_odd_even = _read(graphics, WINDOW_FIELDS)
    ram_enable, shown_page = _read(misc, MISC_FIELDS)
    start, size = WINDOWS[memory_map]
    planes = ALL if odd_even_off else PAIRS
    where: dict[str, int] = {}
    if bank is not None:
        kind, planes, start, size = PLANAR, ALL, BANK_START, BANK_BYTES
        where = {"first_dword": bank.offset, "plane_dwords": vram_bytes // 4}
    elif chain4_layout:
        kind, planes = CHAIN4, SINGLE
    elif chain_odd_even:
        # In the window of 128 KiB, bit 16 of the offset chooses the page instead.
        kind, where = ODD_EVEN, {"page": 1 - shown_page if memory_map else 0}
    else:
        kind = PLANAR
    masks = tuple(PLANE_MASK[map_mask & bits] for bits in planes)
    addressing = Addressing(kind, masks, planes=planes, **where)
    if not ram_enable:
        size = 0
    # Plain: no latch, rotate, function, mask or plane select could change a store or a load.
    plain_end = plain_offset = 0
    if bank is not None and bank.linear:
        size = min(size, vram_bytes - bank.offset)
        plain_end, plain_offset = start + size, bank.offset
    elif chain4_layout and write.is_plain and map_mask == 0x0F and not read.mode:
        plain_end = start + min(size, BANK_BYTES)
    return Window(start, start + size, plain_end, plain_offset, addressing, write, read)
