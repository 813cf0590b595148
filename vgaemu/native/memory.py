"""The guest's RAM, for native code that loads and stores there as the processor does."""

from __future__ import annotations

from vgaemu.native.calls import call4
from vgaemu.native.compiler import Pointer, part, uint8_at
from vgaemu.native.cpu_cells import A20, CODE, CONTROL, PHYSICAL, RAM, RAM_BYTES, STORED

VGA_START, VGA_END, ROM_START, ROM_END = 0xA0000, 0xC0000, 0xC0000, 0x100000
#: `uc_ctl` that forgets code.
FORGET_CODE = 1 << 30 | 2 << 26 | 9


@part
def is_plain(cells: Pointer, at: int, count: int) -> bool:
    """Whether bytes are RAM, and not behind a closed A20 gate, which is for Python."""
    if at < 0 or at + count > cells[RAM_BYTES]:
        return False
    if at + count > ROM_END and cells[A20] != -1:
        return False
    return at + count <= VGA_START or at >= ROM_END


@part
def stored_to(uc: int, cells: Pointer, at: int, count: int) -> None:
    """RAM has been written: the engine forgets code that it translated from there."""
    end = at + count
    while at < end:
        stop = min(end, (at | 0xFFF) + 1)
        uint8_at(cells[STORED])[at >> 12] = 1
        if uint8_at(cells[CODE])[at >> 12]:
            call4(cells[CONTROL], uc, FORGET_CODE, PHYSICAL + at, PHYSICAL + stop)
        at = stop


@part
def store16(ram: Pointer, at: int, value: int) -> None:
    """A word, lower byte first."""
    ram[at] = value & 0xFF
    ram[at + 1] = value >> 8 & 0xFF


@part
def fetch16(cells: Pointer, at: int) -> int:
    """A word of RAM."""
    ram = uint8_at(cells[RAM])
    return (ram[at] | ram[at + 1] << 8) & 0xFFFF  # signed
