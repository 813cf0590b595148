"""The drive as a disk: INT 25h and 26h, INT 21h/69h, what IOCTL tells of it.

Emulated: the first sector of drive C:, which says how large its disk is, and its serial number.
Not emulated: all that lies behind that sector, for a folder of the host has no FAT: other sectors
are not found, and what is written is protected. Drives A: and B: are not ready, others unknown.

Source: MS-DOS Programmer's Reference 5.0 (INT 25h, 26h; INT 21h/440Dh, 69h).
"""

from __future__ import annotations

import struct

from vgaemu.pc.bios.calls import Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import DRIVES
from vgaemu.pc.dos.errors import BAD_DRIVE, BAD_FUNCTION, DENIED, DosError
from vgaemu.pc.dos.files import CLUSTER
from vgaemu.pc.dos.tables import (
    CLUSTERS,
    DATA_AT,
    DRIVE_C,
    FAT_SECTORS,
    FATS,
    HARD_DISK,
    RESERVED,
    ROOT_ENTRIES,
)
from vgaemu.pc.images import SECTOR

SECTORS = DATA_AT + CLUSTERS * (CLUSTER // SECTOR)
#: Geometry, sectors before the drive, what tells this disk from others.
TRACK_SECTORS, HEADS, HIDDEN, SERIAL = 63, 16, 63, 0x19800104
LABEL, KIND = b"NO NAME    ", b"FAT16   "
#: AX where it fails: no such drive, not ready, no such sector, write protected.
UNKNOWN, NOT_READY, NOT_FOUND, PROTECTED = 0x0201, 0x8002, 0x0408, 0x0300
#: CX, where DS:BX leads to first sector, how many, and where to.
BY_PACKET, PACKET = 0xFFFF, struct.Struct("<IHHH")
#: Parameters of the disk, as the first sector has them from its 12th byte on.
PARAMETERS = struct.pack(
    "<HBHBHHBHHHII", SECTOR, CLUSTER // SECTOR, RESERVED, FATS, ROOT_ENTRIES, 0, HARD_DISK,
    FAT_SECTORS, TRACK_SECTORS, HEADS, HIDDEN, SECTORS,
)  # fmt: skip
#: 440Dh's calls of disks.
GET_PARAMETERS, GET_IDENTITY = 0x0860, 0x0866
FIXED, NOT_REMOVABLE, CYLINDERS = 5, 1, -(-SECTORS // (TRACK_SECTORS * HEADS))


def first_sector() -> bytes:
    """The boot sector; what it would start is INT 18h."""
    head = b"\xeb\x3c\x90VGAEMU  " + PARAMETERS + struct.pack("<BBB", 0x80, 0, 0x29)
    sector = head + struct.pack("<I", SERIAL) + LABEL + KIND + b"\xcd\x18\xeb\xfe"
    return sector.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def identity() -> bytes:
    """What 69h and 440Dh tell: level, serial number, label, kind of FAT."""
    return struct.pack("<HI", 0, SERIAL) + LABEL + KIND


class AbsoluteDisk:
    """Sectors of drives."""

    def __init__(self, board: Board) -> None:
        self._bus, self._cpu = board.bus, board.cpu
        self.services: dict[int, Service] = {0x69: self._identity}

    def read(self, drive: int) -> int:
        """INT 25h: AX, 0 if it is done."""
        first, count, to = self._where()
        failed = self._refused(drive)
        if failed or not count:
            return failed
        if first:
            return NOT_FOUND
        self._bus.write(to, first_sector())
        return NOT_FOUND if count > 1 else 0

    def write(self, drive: int) -> int:
        """INT 26h: AX."""
        return self._refused(drive) or PROTECTED

    @staticmethod
    def _refused(drive: int) -> int:
        if drive == DRIVE_C:
            return 0
        return NOT_READY if drive < DRIVES else UNKNOWN

    def _where(self) -> tuple[int, int, int]:
        """First sector, how many, where to."""
        cpu, at = self._cpu, self._cpu.linear("ds", "bx")
        if cpu.cx != BY_PACKET:
            return cpu.dx, cpu.cx, at
        first, count, offset, segment = PACKET.unpack(self._bus.read(at, PACKET.size))
        return first, count, (segment << 4) + offset

    def _identity(self) -> None:
        """69h: to DS:DX; it cannot be changed."""
        if self._cpu.bl not in (0, DRIVE_C + 1):
            raise DosError(BAD_DRIVE)
        if self._cpu.al:
            raise DosError(DENIED if self._cpu.al == 1 else BAD_FUNCTION)
        self._bus.write(self._cpu.linear("ds", "dx"), identity())

    def control(self) -> None:
        """440Dh: CX is the call, BL the drive, DS:DX what is filled in."""
        if self._cpu.bl not in (0, DRIVE_C + 1):
            raise DosError(BAD_DRIVE)
        at = self._cpu.linear("ds", "dx")
        if self._cpu.cx == GET_IDENTITY:
            self._bus.write(at, identity())
        elif self._cpu.cx == GET_PARAMETERS:
            kind = struct.pack("<BHHB", FIXED, NOT_REMOVABLE, CYLINDERS, 0)
            self._bus.write(at + 1, kind + PARAMETERS)
        else:
            raise DosError(BAD_FUNCTION)
