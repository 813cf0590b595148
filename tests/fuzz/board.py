"""Campaigns on the PC's board: services called with any registers, any memory."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import chip_ports
import random_dos
import random_video
from x86_helpers import boot_sector, call, make_pc

from vgaemu.errors import GuestFault
from vgaemu.pc.bios.data_area import CHAR_HEIGHT
from vgaemu.pc.bios.disk import DiskBios
from vgaemu.pc.bios.video.area import VideoArea
from vgaemu.pc.chips.cmos import Cmos
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.pc import Pc

from .campaign import Campaign
from .mutate import EDGES

#: Calls, and accesses to ports, of a case.
CALLS, ACCESSES = 40, 2000
REGISTERS = ("ax", "bx", "cx", "dx", "si", "di", "bp")
#: Segments that end in, begin with, or lie behind something else.
SEGMENTS = (0, 0x40, 0x7000, 0x9FFF, 0xA000, 0xB800, 0xC000, 0xF000, 0xFFFF)


def int10(numbers: random.Random, folder: Path) -> str:
    """Calls of INT 10h on a board of its own."""
    calls = sum(1 for _ in random_video.RandomVideo(numbers.getrandbits(64), count=False).series())
    return f"{calls} calls"


def bios(numbers: random.Random, folder: Path) -> str:
    """All vectors that have a service, on a PC with a disk."""
    path = folder / "fuzz.img"
    path.write_bytes(boot_sector(b"\xeb\xfe").ljust(numbers.choice((512, 1_474_560)), b"\0"))
    with make_pc(path, vram_pages=256) as pc:
        vectors = sorted(pc.bios.calls.services)
        for _ in range(CALLS):
            disturb(numbers, pc)
            service(numbers, pc, numbers.choice(vectors))
    return f"{CALLS} calls"


def disturb(numbers: random.Random, pc: Pc) -> None:
    """The BIOS data area, vectors and the program's own page, as a program may leave them."""
    if numbers.random() < 0.3:
        where = numbers.choice((0x400, 0x410, 0x417, 0x41A, 0x440, 0x449, 0x480, 0x1000, 0x1080))
        pc.bus.write(where + numbers.randrange(16), numbers.randbytes(numbers.choice((1, 2, 40))))


def service(numbers: random.Random, pc: Pc, vector: int) -> None:
    values = {
        name: numbers.choice((numbers.choice(EDGES) & 0xFFFF, numbers.getrandbits(16)))
        for name in REGISTERS
    }
    if numbers.random() < 0.8:  # the calls that there are, the drive that there is
        values["ax"] = numbers.randrange(0x90) << 8 | numbers.randrange(256)
        values["dx"] &= 0xFF00
    segments = {name: numbers.choice(SEGMENTS) for name in ("ds", "es")}
    pc.bios.calls.new_slice()
    with suppress(GuestFault):  # INT 18h, INT 19h, exceptions that nobody handles
        call(pc, vector, **values, **segments)
    pc.cpu.halted = False


def chips(numbers: random.Random, folder: Path) -> str:
    """All ports of the chips."""
    chip_ports.play(numbers.getrandbits(64), ACCESSES)
    return f"{ACCESSES} accesses"


def plant_int10() -> None:
    """The data area's height of a character is believed to be one."""
    VideoArea.height = property(lambda self: self[CHAR_HEIGHT] & 0xFF)


def plant_bios() -> None:
    """Sectors are believed to count from 1."""
    DiskBios._place = lambda self, image: (0 // (self._cpu.cl & 0x3F), self._cpu.al)


def plant_dos() -> None:
    """A handle that is asked for is open."""
    Handles._file = lambda self: self.opened[self._cpu.bx]


def plant_chips() -> None:
    """Of the indexes that can be set half can be restored."""
    Cmos.SAVED = {**Cmos.SAVED, "index": (0, 0x3F)}


CAMPAIGNS = {
    "int10": Campaign(int10, plant_int10),
    "bios": Campaign(bios, plant_bios),
    "dos": Campaign(random_dos.services, plant_dos),
    "chips": Campaign(chips, plant_chips),
}
