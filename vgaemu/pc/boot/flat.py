"""The state that loaders leave a 32-bit kernel in: flat segments, protected mode, no paging.

Emulated: segments of 4 GiB with their descriptors in ROM, interrupts off, what is loaded in memory.
Not emulated: kernels above what RAM there is, which are refused; an ELF header below 1 MiB in the
shadow of the BIOS, where QEMU has it: ours has nothing to be written over.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from vgaemu.errors import ImageError
from vgaemu.pc.board import Board
from vgaemu.pc.bus import ROM_START, VGA_START
from vgaemu.pc.cpu.cpu import CR0, GENERAL, PROTECTED, RFLAGS, RIP
from vgaemu.pc.kernels import ELF_SIGNATURE, Segment

#: Where the descriptors are: between option ROMs and the BIOS, where no kernel writes to.
TABLE_AT = 0xEFF00
#: Attributes of 4 GiB of code, to be read, and of data, both accessed, as in `CPU_ARRAYS`.
CODE, DATA = 0xC09B, 0xC093
LIMIT = 0xFFFF_FFFF
#: CR0 besides protected mode: a numeric unit of the 387's kind.
NUMERIC = 0x10
#: Descriptors that a table may have, and none.
_NONE = (0, 0, 0xFFFF, 1 << 16)
ONE_MIB = 1 << 20


def load_segments(board: Board, path: Path, segments: Iterable[Segment]) -> None:
    """Put what belongs to a kernel into memory.

    Raises:
        ImageError: Some of it would lie where there is no RAM.
    """
    bus = board.bus
    for segment in map(_without_header, segments):
        low = segment.end <= VGA_START
        if not low and not ONE_MIB <= segment.address <= segment.end <= bus.ram_bytes:
            raise ImageError(
                f"{path}: loads at {segment.address:#x} to {segment.end:#x}, where this machine "
                f"has no RAM; it has {bus.ram_bytes >> 20} MiB (--memory)"
            )
        bus.write(segment.address, segment.data)
        zeros = segment.size - len(segment.data)
        if zeros and any(bus.read(segment.address + len(segment.data), zeros)):
            bus.write(segment.address + len(segment.data), bytes(zeros))


def _without_header(segment: Segment) -> Segment:
    """What of a segment is the kernel's.

    Where text is linked to 1 MiB, `ld` lets the ELF header be loaded to the page below it, which is
    the BIOS's: nobody wants it there.
    """
    behind = ONE_MIB - segment.address
    if not (segment.data.startswith(ELF_SIGNATURE) and ROM_START <= segment.address < ONE_MIB):
        return segment
    return Segment(ONE_MIB, segment.data[behind:], max(segment.size - behind, 0))


def enter(board: Board, entry: int, code: int, **registers: int) -> None:
    """Let the CPU begin at a physical address, with selector `code` for CS and the next for data.

    Args:
        board: What is started.
        entry: EIP.
        code: A multiple of 8.
        registers: General registers, which are 0 otherwise.
    """
    board.bus.load_rom(TABLE_AT, bytes(code) + _descriptor(CODE) + _descriptor(DATA))
    arrays = board.cpu.arrays()
    arrays["cpu.general"][:] = 0
    for name, value in registers.items():
        arrays["cpu.general"][GENERAL.index(name)] = value
    arrays["cpu.general"][RIP], arrays["cpu.general"][RFLAGS] = entry, 2
    segments: Sequence[tuple[int, ...]] = [
        (code, 0, LIMIT, CODE),
        *[(code + 8, 0, LIMIT, DATA)] * 5,
    ]
    arrays["cpu.segments"][:6] = segments
    arrays["cpu.tables"][0] = TABLE_AT, code + 15
    arrays["cpu.control"][CR0] = NUMERIC | PROTECTED
    board.cpu.restore(arrays)


def _descriptor(attributes: int) -> bytes:
    """Of 4 GiB from 0 on."""
    return struct.pack("<HHBHB", 0xFFFF, 0, 0, attributes & 0xFF | 0x0F00 | attributes & 0xF000, 0)
