"""The legacy window as registers make it: where it lies, which planes bytes reach, what is plain.

A function of the registers that have a say in it, remembered for their last values: planar programs
change one before almost every store.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from vgaemu.vga.aperture import CHAIN4, ODD_EVEN, PLANAR, Addressing
from vgaemu.vga.layout import Layout
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
#: Text whose bytes go to planes 0 and 1 by turns, to no other, as they are, and come from there: an
#: index, bits and their value, of graphics controller, sequencer and misc output.
PLAIN_TEXT = (
    # No set/reset, rotate or function; of planes 0 and 1; write mode 0, odd/even, read mode 0; text
    # and odd/even; all bits.
    ((1, 0x0F, 0), (3, 0x1F, 0), (4, 0x02, 0), (5, 0x1B, 0x10), (6, 0x03, 0x02), (8, 0xFF, 0xFF)),
    # Into planes 0 and 1, in odd/even; no chain-4.
    ((2, 0x0F, 0x03), (4, 0x0C, 0)),
    # VRAM answers.
    ((0, 0x02, 0x02),),
)


class Window(NamedTuple):
    """What the window is, and how stores and loads go through it."""

    start: int
    end: int
    #: End of the part that is plain memory and begins at `start`, and where that lies in VRAM; 0 if
    #: there is none.
    plain_end: int
    plain_offset: int
    #: It is one of text, and all of it would be plain memory in the odd/even layout.
    is_text: bool
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
    layout: Layout,
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
    # In the window of 128 KiB, bit 16 of the offset chooses the page instead.
    page = 1 - shown_page if memory_map else 0
    where: dict[str, int] = {}
    if bank is not None:
        kind, planes, start, size = PLANAR, ALL, BANK_START, BANK_BYTES
        where = {"first_dword": bank.offset, "plane_dwords": vram_bytes // 4}
    elif layout is Layout.CHAIN4:
        kind, planes = CHAIN4, SINGLE
    elif chain_odd_even:
        kind, where = ODD_EVEN, {"page": page}
    else:
        kind = PLANAR
    masks = tuple(PLANE_MASK[map_mask & bits] for bits in planes)
    addressing = Addressing(kind, masks, planes=planes, **where)
    if not ram_enable:
        size = 0
    is_text = bank is None and shows_plain_text(graphics, sequencer, misc)
    # Plain: no latch, rotate, function, mask or plane select could change a store or a load.
    plain_end = plain_offset = 0
    if bank is not None and bank.linear:
        size = min(size, vram_bytes - bank.offset)
        plain_end, plain_offset = start + size, bank.offset
    elif layout is Layout.CHAIN4 and _are_as_is(write, map_mask, read):
        plain_end = start + min(size, BANK_BYTES)
    elif layout is Layout.ODD_EVEN and is_text:
        plain_end, plain_offset = start + size, page << 16
    end = start + size
    return Window(start, end, plain_end, plain_offset, is_text, addressing, write, read)


def _are_as_is(write: WriteSetup, map_mask: int, read: ReadSetup) -> bool:
    """Whether chain-4 stores and loads bytes as they are."""
    return write.is_plain and map_mask == 0x0F and not read.mode


def shows_plain_text(graphics: bytes, sequencer: bytes, misc: bytes) -> bool:
    """Whether registers are those of text whose window the odd/even layout makes plain memory."""
    return all(
        bank[index] & mask == value
        for bank, fields in zip((graphics, sequencer, misc), PLAIN_TEXT, strict=True)
        for index, mask, value in fields
    )
