"""The legacy window as registers make it: where it lies, which planes bytes reach, what is plain.

A function of the registers that have a say in it, remembered for their last values: planar programs
change one before almost every store.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from vgaemu.vga.aperture import CHAIN4, ODD_EVEN, PLANAR, Addressing
from vgaemu.vga.planes import PLANE_MASK, ReadSetup, WriteSetup
from vgaemu.vga.registers import GRAPHICS_PLACES, MISC_PLACES, SEQUENCER_PLACES, WINDOWS

#: Bytes of the window that can be plain memory, and of a DISPI bank in it.
BANK_BYTES = 0x10000


class Mapping(NamedTuple):
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


@lru_cache(maxsize=512)
def mapping_of(
    graphics: bytes,
    sequencer: bytes,
    misc: bytes,
    vram_bytes: int,
    *,
    chain4_layout: bool,
    bank: Bank | None,
) -> Mapping:
    """The window by the values of three register banks, VRAM's layout, and DISPI if it is on."""
    gr = {name: place.read(graphics) for name, place in GRAPHICS_PLACES.items()}
    sr = {name: place.read(sequencer) for name, place in SEQUENCER_PLACES.items()}
    write = WriteSetup(
        mode=gr["write_mode"],
        set_reset=gr["set_reset"],
        enable_set_reset=gr["enable_set_reset"],
        rotate=gr["rotate"],
        function=gr["function"],
        bit_mask=gr["bit_mask"],
    )
    read = ReadSetup(
        mode=gr["read_mode"],
        plane=gr["read_map"],
        odd_even=gr["odd_even_read"],
        colour_compare=gr["colour_compare"],
        colour_care=gr["colour_dont_care"],
    )
    map_mask = PLANE_MASK[sr["map_mask"]]
    if bank is not None and not bank.linear:
        addressing = Addressing(PLANAR, map_mask, bank.offset, vram_bytes // 4)
    elif chain4_layout:
        addressing = Addressing(CHAIN4, map_mask)
    else:
        addressing = Addressing(PLANAR if sr["odd_even_off"] else ODD_EVEN, map_mask)
    start, size = WINDOWS[gr["memory_map"]]
    if not MISC_PLACES["ram_enable"].read(misc):
        size = 0
    # Plain: no latch, rotate, function, mask or plane select could change a store or a load.
    plain_end = plain_offset = 0
    if bank is not None and bank.linear:
        size = min(size, BANK_BYTES, vram_bytes - bank.offset)
        plain_end, plain_offset = start + size, bank.offset
    elif chain4_layout and write.is_plain and map_mask == 0xFFFFFFFF and not read.mode:
        plain_end = start + min(size, BANK_BYTES)
    return Mapping(start, start + size, plain_end, plain_offset, addressing, write, read)
