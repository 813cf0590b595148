"""Campaigns on the PC's board: services with any registers and memory, ports of the chips."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import chip_ports
import random_bios
import random_dos
import random_video
from x86_helpers import boot_sector

from vgaemu.errors import GuestFault
from vgaemu.pc.bios.data_area import CHAR_HEIGHT
from vgaemu.pc.bios.disk import DiskBios
from vgaemu.pc.bios.video.area import VideoArea
from vgaemu.pc.chips.cmos import Cmos
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.formats import load_image
from vgaemu.pc.images import DiskImage

from .campaign import Campaign

#: Calls, and accesses to ports, of a case.
CALLS, ACCESSES = 60, 2000


def bios(numbers: random.Random, folder: Path) -> str:
    """All services of the BIOS; to who calls politely they change only what they may."""
    path = folder / "fuzz.img"
    path.write_bytes(boot_sector(b"\xeb\xfe").ljust(1_474_560, b"\xf6"))
    image, hostile = load_image(str(path), []), numbers.random() < 0.5
    assert isinstance(image, DiskImage)
    caller = random_bios.RandomBios(numbers.getrandbits(64), image, hostile=hostile)
    for _ in range(CALLS):
        with suppress(GuestFault):  # INT 18h, INT 19h
            call = caller.play()
            assert hostile or not random_bios.wrong_changes(call), call
    return "hostile" if hostile else "polite"


def int10(numbers: random.Random, folder: Path) -> str:
    """Series of calls of INT 10h."""
    calls = sum(1 for _ in random_video.RandomVideo(numbers.getrandbits(64), count=False).series())
    return f"{calls} calls"


def chips(numbers: random.Random, folder: Path) -> str:
    """All ports of the chips."""
    chip_ports.play(numbers.getrandbits(64), ACCESSES)
    return f"{ACCESSES} accesses"


def plant_bios() -> None:
    """Sectors are believed to count from 1."""
    DiskBios._place = lambda self, drive: (0 // (self._cpu.cl & 0x3F), self._cpu.al)


def plant_int10() -> None:
    """The data area's height of a character is believed to be one."""
    VideoArea.height = property(lambda self: self[CHAR_HEIGHT] & 0xFF)


def plant_dos() -> None:
    """A handle that is asked for is open."""
    Handles.number = lambda self, handle: self._bus.read8(
        self._table(self._memory.current)[0] + handle
    )


def plant_chips() -> None:
    """Of the indexes that can be set half can be restored."""
    Cmos.SAVED = {**Cmos.SAVED, "index": (0, 0x3F)}


CAMPAIGNS = {
    "bios": Campaign(bios, plant_bios),
    "int10": Campaign(int10, plant_int10),
    "dos": Campaign(random_dos.services, plant_dos),
    "chips": Campaign(chips, plant_chips),
}
