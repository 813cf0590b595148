"""The CPU's reset line: the machine begins anew, or the CPU alone goes on where CMOS RAM says.

Emulated: a guest that pulls the line (ports 64h, 92h, CF9h) finds all chips as a cold start leaves
them and what the BIOS boots; time, the battery-backed clock, disks and RAM that the BIOS does not
write to stay as they are. With 05h or 0Ah in byte 0Fh of CMOS RAM only the CPU is reset, and goes
on at the far pointer at 0040:0067, which is how programs left the 286's protected mode. Not
emulated: the time that a POST takes, a reset by a triple fault (which is told as a fault), other
shutdown codes, a program's DOS, of which nothing is to be booted.

Source: IBM AT Technical Reference (BIOS listing, SHUT5 and SHUTA); QEMU (RAM stays).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vgaemu import snapshot
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE
from vgaemu.pc.chips.cmos import Cmos
from vgaemu.pc.pc import Pc
from vgaemu.vga.modes import set_mode

#: CMOS RAM's byte that says what a reset is for; what it says if the CPU alone is: with an end of
#: interrupt, and without. Where that leads.
SHUTDOWN, JUMPS, WITH_EOI, POINTER = 0x0F, (0x05, 0x0A), 0x05, 0x467
EOI, COMMANDS = 0x20, (0xA0, 0x20)
#: What a reset leaves alone: whose machine it is, time, what is kept without power or elsewhere.
LASTS = (
    "pc.name", "pc.sha256", "pc.firmware", "pc.clock_ns", "pc.next_frame_ns", "pc.looks",
    "chips.cmos", "chips.cmos_ram", "chips.keys", "chips.serial_incoming", "pc.drives", "disk",
    "ram",
)  # fmt: skip
#: Pages of RAM that are looked through at once.
_CHUNK = 4096


def goes_on(cmos: Cmos) -> bool:
    """Whether a reset is one of the CPU alone."""
    return cmos.ram[SHUTDOWN] in JUMPS


def begin_anew(pc: Pc, fresh: Pc) -> None:
    """Be as `fresh` is, which has just been switched on, and is closed here; between two slices."""
    with_pointer = goes_on(pc.board.cmos)
    code = pc.board.cmos.ram[SHUTDOWN]
    pc.board.cmos.ram[SHUTDOWN] = 0
    try:
        if with_pointer:
            pc.cpu.restore(fresh.cpu.arrays())
            _jump(pc, code)
        else:
            set_mode(pc.vga, 3)
            parts = {name: part for name, part in pc.parts().items() if not name.startswith(LASTS)}
            small = snapshot.take(fresh.parts(), without=("ram",))
            for at, data in _written(fresh):
                pc.bus.array[at : at + len(data)] = data
            pc.bus.slot.mark_dirty(0, pc.bus.ram_bytes)
            snapshot.restore(parts, small)
            pc.cpu.restore(fresh.cpu.arrays())
    finally:
        fresh.close()


def _jump(pc: Pc, code: int) -> None:
    if code == WITH_EOI:
        for port in COMMANDS:
            pc.bus.port_out(port, 1, EOI)
    offset, segment = pc.bus.read16(POINTER), pc.bus.read16(POINTER + 2)
    pc.cpu.set_registers(cs=segment, eip=offset, eflags=2)


def _written(pc: Pc) -> Iterator[tuple[int, np.ndarray[tuple[int], np.dtype[np.uint8]]]]:
    """Pages of memory that something was put into: what lies there, and where."""
    array, step = pc.bus.array, _CHUNK << PAGE_SHIFT
    for begin in range(0, array.size, step):
        pages = array[begin : begin + step].reshape(-1, PAGE_SIZE)
        for number in np.flatnonzero(pages.any(axis=1)):
            yield begin + (int(number) << PAGE_SHIFT), pages[number]
