"""VRAM: the memslot that the device shows, and where its linear frame buffer lies."""

from __future__ import annotations

from vgaemu.errors import MemslotError
from vgaemu.memslot import PAGE_SIZE, Memslot

#: Where the linear frame buffer lies (QEMU's ISA VGA and Bochs without PCI put it there too).
LFB_GPA = 0xE0000000
DEFAULT_VRAM_MIB, MAX_VRAM_MIB = 16, 256


def make_vram(vram_mib: int = DEFAULT_VRAM_MIB, *, dirty_log: str = "flags") -> Memslot:
    """A slot for VRAM, where the linear frame buffer lies.

    Raises:
        MemslotError: Less than 1 MiB or more than `MAX_VRAM_MIB`, no such dirty log, or one that
            cannot work here.
    """
    if not 1 <= vram_mib <= MAX_VRAM_MIB:
        raise MemslotError(f"vram_mib is 1 to {MAX_VRAM_MIB}, not {vram_mib}")
    return Memslot((vram_mib << 20) // PAGE_SIZE, LFB_GPA // PAGE_SIZE, dirty_log=dirty_log)
