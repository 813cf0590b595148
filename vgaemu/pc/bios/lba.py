"""INT 13h by number of sector, and what a CD has of its own.

Emulated: the EDD calls 41h-49h and 4Eh of hard disks and CDs, with packets of 16 and 24 bytes (a
flat address behind FFFF:FFFF), a CD's locks, and of El Torito 4Ah to 4Dh as far as a CD that is
there as one has them. Not emulated: an end of a CD's emulated disks, what 48h tells of a drive's
controller (its pointer is FFFF:FFFF: none).

Judged against SeaBIOS, which differs so: it takes any size of packet and any signature in 41h, does
not know a CD's total in 48h, answers always that a CD has been changed (49h), and that ejecting one
that stays has gone well.

Source: Phoenix's EDD specification 3.0; the "El Torito" specification 1.0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

from vgaemu.pc.bios.drives import CD, Drive, Kind
from vgaemu.pc.bios.transfers import (
    BAD_COMMAND,
    EJECT_FAILED,
    LOCKED,
    LOCKED_TOO_OFTEN,
    NOT_FOUND,
    NOT_LOCKED,
    NOT_REMOVABLE,
    OK,
    PROTECTED,
    DiskError,
    Transfers,
)
from vgaemu.pc.board import Board
from vgaemu.pc.eltorito import DATA_DISC
from vgaemu.pc.images import SECTOR
from vgaemu.snapshot import Saved

#: What 41h answers: EDD 3.0 with packets, locks and the larger answer of 48h.
VERSION, ABILITIES = 0x30, 0x07
#: What 48h tells: its size, flags, cylinders, heads, sectors a track, sectors, their bytes; behind
#: that, for callers with room for it, a pointer.
PARAMETERS = struct.Struct("<HHIIIQH")
NO_POINTER = b"\xff\xff\xff\xff"
#: Its flags: the shape holds; removable, with change line and locks, and no shape.
GEOMETRY, REMOVABLE = 0x02, 0x74
UNKNOWN = 0xFFFFFFFF
#: A packet with a flat address has 24 bytes, and this where the other has a far one.
FLAT_BYTES, FLAT = 24, 0xFFFFFFFF
#: What 4Bh tells of a CD: size, media, drive, controller, first sector, device, buffer, where it
#: was loaded, sectors, and a shape that it has not.
SPECIFICATION = struct.Struct("<BBBBIHHHHBBB")
#: DL of 4Bh that means all drives.
ALL_DRIVES = 0x7F
#: What 4Eh may ask of a disk's transfers: no prefetching, the slowest PIO, and back.
HARDWARE_MODES = (0x01, 0x03, 0x04, 0x06)
MOST_LOCKS = 0xFF


class Request(NamedTuple):
    """What a packet asks for, in sectors of 512 bytes: as far as the disk has them."""

    first: int
    gpa: int
    sectors: int
    is_whole: bool


class LbaCalls:
    """Calls of hard disks and CDs."""

    SAVED: ClassVar[Saved] = {"locks": (0, MOST_LOCKS)}

    def __init__(self, board: Board, transfers: Transfers, done: Callable[[int], None]) -> None:
        self._bus, self._cpu, self._transfers, self._done = board.bus, board.cpu, transfers, done
        #: How often the CD is locked in its drive.
        self.locks = 0
        #: By AH, of hard disks and CDs, and of CDs alone.
        self.calls: dict[int, Callable[[Drive], None]] = {
            0x41: self._check, 0x42: self._read, 0x43: self._write, 0x44: self._verify,
            0x45: self._lock, 0x46: self._eject, 0x47: self._verify, 0x48: self._parameters,
            0x49: lambda _: self._done(OK), 0x4E: self._set_hardware,
        }  # fmt: skip
        self.cd_calls: dict[int, Callable[[Drive], None]] = {0x4B: self._cd_status}

    def drive_of_all(self, drives: Mapping[int, Drive], call: int, number: int) -> Drive | None:
        """The drive that a call for all of them means."""
        return drives.get(CD) if call == 0x4B and number == ALL_DRIVES else None

    def unlocked(self) -> None:
        """No lock is held, as after power on."""
        self.locks = 0

    def _check(self, drive: Drive) -> None:
        cpu = self._cpu
        if cpu.bx != 0x55AA:
            raise DiskError(BAD_COMMAND)
        self._done(OK)
        cpu.ah, cpu.bx, cpu.cx = VERSION, 0xAA55, ABILITIES

    def _packet(self, drive: Drive) -> Request:
        """What a call's packet asks for; the packet then says how many sectors there are of it."""
        cpu, bus = self._cpu, self._bus
        at = cpu.linear("ds", "si")
        size, count, far = bus.read8(at), bus.read16(at + 2), bus.read32(at + 4)
        if size < 16:
            raise DiskError(BAD_COMMAND)
        first = bus.read32(at + 8) | bus.read32(at + 12) << 32
        gpa = (far >> 16 << 4) + (far & 0xFFFF)
        if far == FLAT and size >= FLAT_BYTES:
            gpa = bus.read32(at + 16) | bus.read32(at + 20) << 32
        each = drive.image.sector_bytes // SECTOR
        total = drive.total // each
        first = min(first, total)
        there = min(count, total - first)
        bus.write16(at + 2, there)
        return Request(first * each, gpa, there * each, there == count)

    def _read(self, drive: Drive) -> None:
        asked = self._packet(drive)
        self._transfers.load(drive.image, asked.first, asked.gpa, asked.sectors)
        self._done(OK if asked.is_whole else NOT_FOUND)

    def _write(self, drive: Drive) -> None:
        asked = self._packet(drive)
        if drive.kind is Kind.CD:
            self._bus.write16(self._cpu.linear("ds", "si") + 2, 0)
            raise DiskError(PROTECTED)
        self._transfers.save(drive.image, asked.first, asked.gpa, asked.sectors)
        self._done(OK if asked.is_whole else NOT_FOUND)

    def _verify(self, drive: Drive) -> None:
        self._done(OK if self._packet(drive).is_whole else NOT_FOUND)

    def _lock(self, drive: Drive) -> None:
        """45h: AL 0 locks the medium in, 1 lets it go, 2 asks; a disk that stays is not locked."""
        cpu = self._cpu
        if drive.kind is not Kind.CD:
            self._done(OK)
            return
        if cpu.al > 2:
            raise DiskError(BAD_COMMAND)
        if cpu.al == 0:
            if self.locks == MOST_LOCKS:
                raise DiskError(LOCKED_TOO_OFTEN)
            self.locks += 1
        elif cpu.al == 1:
            if not self.locks:
                raise DiskError(NOT_LOCKED)
            self.locks -= 1
        cpu.al = int(self.locks > 0)
        self._done(OK)

    def _eject(self, drive: Drive) -> None:
        if drive.kind is not Kind.CD:
            raise DiskError(NOT_REMOVABLE)
        raise DiskError(LOCKED if self.locks else EJECT_FAILED)

    def _parameters(self, drive: Drive) -> None:
        cpu, bus = self._cpu, self._bus
        at = cpu.linear("ds", "si")
        room = bus.read16(at)
        if room < PARAMETERS.size:
            raise DiskError(BAD_COMMAND)
        pointer = NO_POINTER if room >= PARAMETERS.size + len(NO_POINTER) else b""
        size = drive.image.sector_bytes
        is_cd = drive.kind is Kind.CD
        shape = (UNKNOWN,) * 3 if is_cd else (drive.cylinders, drive.heads, drive.sectors)
        flags = REMOVABLE if is_cd else GEOMETRY
        total = drive.total * SECTOR // size
        told = PARAMETERS.pack(PARAMETERS.size + len(pointer), flags, *shape, total, size)
        bus.write(at, told + pointer)
        self._done(OK)

    def _set_hardware(self, drive: Drive) -> None:
        self._done(OK if self._cpu.al in HARDWARE_MODES else BAD_COMMAND)

    def _cd_status(self, drive: Drive) -> None:
        """4Bh: AL 1 asks; 0 also ends an emulation, which a CD that is there as one has not."""
        entry, cpu = drive.image.cd_boot, self._cpu
        if entry is None or entry is DATA_DISC or cpu.al > 1:
            raise DiskError(BAD_COMMAND)
        self._bus.write(cpu.linear("ds", "si"), SPECIFICATION.pack(
            SPECIFICATION.size, entry.media, CD, 0, entry.first, 0, 0, entry.segment,
            entry.sectors, 0, 0, 0,
        ))  # fmt: skip
        self._done(OK)
