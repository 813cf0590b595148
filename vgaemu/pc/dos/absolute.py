"""Drives as disks: INT 25h and 26h, INT 21h/69h, what IOCTL tells of them.

Emulated: all sectors of drives that are images; of C: the first, which says how large its disk is,
and its serial number. Not emulated: what lies behind that sector, for a folder of the host has no
FAT: other sectors are not found, and what is written is protected. A: and B: without a disk are not
ready, other drives unknown; serial numbers are not set.

Source: MS-DOS Programmer's Reference 5.0 (INT 25h, 26h; INT 21h/440Dh, 69h).
"""

from __future__ import annotations

import struct

from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import DRIVE_C, FIRST_DRIVES
from vgaemu.pc.dos.drives import Drives
from vgaemu.pc.dos.errors import BAD_FUNCTION, DENIED, DosError
from vgaemu.pc.dos.geometry import PARAMETERS_AT, Geometry
from vgaemu.pc.images import SECTOR

#: AX where it fails: no such drive, not ready, no such sector, write protected, general failure.
UNKNOWN, NOT_READY, NOT_FOUND, PROTECTED, GENERAL = 0x0201, 0x8002, 0x0408, 0x0300, 0x400C
#: CX, where DS:BX leads to first sector, how many, and where to.
BY_PACKET, PACKET = 0xFFFF, struct.Struct("<IHHH")
#: 440Dh's calls of disks.
GET_PARAMETERS, GET_IDENTITY = 0x0860, 0x0866
#: What kind of device 440Dh says that it is: a hard disk; floppies by their sectors.
FIXED, FLOPPIES, OTHER_FLOPPY = 5, {640: 0, 720: 0, 2400: 1, 1440: 2, 2880: 7, 5760: 9}, 7


def first_sector(geometry: Geometry) -> bytes:
    """The boot sector of a disk that is none; what it would start is INT 18h."""
    head = b"\xeb\x3c\x90VGAEMU  ".ljust(PARAMETERS_AT) + geometry.parameters
    sector = head + struct.pack("<BBB", 0x80, 0, 0x29) + geometry.identity[2:] + b"\xcd\x18\xeb\xfe"
    return sector.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


class AbsoluteDisk:
    """Sectors of drives."""

    def __init__(self, board: Board, calls: Calls, drives: Drives) -> None:
        self._bus, self._cpu, self._calls, self._drives = board.bus, board.cpu, calls, drives
        self.services: dict[int, Service] = {0x69: self._identity}

    def read(self, drive: int) -> int:
        """INT 25h: AX, 0 if it is done."""
        first, count, to = self._where()
        failed = self._refused(drive)
        if failed or not count:
            return failed
        if drive in self._drives.disks:
            return self._move(drive, first, count, to, writes=False)
        if first:
            return NOT_FOUND
        self._bus.write(to, first_sector(self._drives.host.geometry))
        return NOT_FOUND if count > 1 else 0

    def write(self, drive: int) -> int:
        """INT 26h: AX."""
        failed = self._refused(drive)
        if failed or drive not in self._drives.disks:
            return failed or PROTECTED
        first, count, at = self._where()
        return self._move(drive, first, count, at, writes=True)

    def _move(self, drive: int, first: int, count: int, at: int, *, writes: bool) -> int:
        """Sectors of an image."""
        fat = self._drives.disks[drive].fat
        begin, sectors = fat.place
        if first + count > sectors:
            return NOT_FOUND
        self._calls.spend(count)
        if not writes:
            self._bus.write(at, fat.disk.read(begin + first, count))
            return 0
        try:
            fat.disk.write(begin + first, self._bus.read(at, count * SECTOR))
        except OSError:
            return GENERAL
        return 0

    def _refused(self, drive: int) -> int:
        if drive in self._drives.volumes:
            return 0
        return NOT_READY if drive < FIRST_DRIVES else UNKNOWN

    def _where(self) -> tuple[int, int, int]:
        """First sector, how many, where to."""
        cpu, at = self._cpu, self._cpu.linear("ds", "bx")
        if cpu.cx != BY_PACKET:
            return cpu.dx, cpu.cx, at
        first, count, offset, segment = PACKET.unpack(self._bus.read(at, PACKET.size))
        return first, count, (segment << 4) + offset

    def _identity(self) -> None:
        """69h: to DS:DX; it cannot be changed."""
        geometry = self._drives.volume(self._cpu.bl).geometry
        if self._cpu.al:
            raise DosError(DENIED if self._cpu.al == 1 else BAD_FUNCTION)
        self._bus.write(self._cpu.linear("ds", "dx"), geometry.identity)

    def control(self) -> None:
        """440Dh: CX is the call, BL the drive, DS:DX what is filled in."""
        number = self._drives.number(self._cpu.bl)
        geometry = self._drives.volumes[number].geometry
        at = self._cpu.linear("ds", "dx")
        if self._cpu.cx == GET_IDENTITY:
            self._bus.write(at, geometry.identity)
        elif self._cpu.cx == GET_PARAMETERS:
            is_fixed = number >= DRIVE_C
            kind = FIXED if is_fixed else FLOPPIES.get(geometry.total, OTHER_FLOPPY)
            head = struct.pack("<BHHB", kind, is_fixed, geometry.cylinders, 0)
            self._bus.write(at + 1, head + geometry.parameters)
        else:
            raise DosError(BAD_FUNCTION)
