"""INT 13h: one disk, the image that was booted.

Emulated: floppy and hard disk images by CHS (00h-05h, 08h, 0Ch, 15h-18h) and by LBA (41h, 42h, 43h,
44h, 48h), CDs by LBA in sectors of 2048 bytes, with what was booted from them (4Bh); writes go to a
copy in memory unless the image was opened for writing. Not emulated: formatting, other drives,
change lines, timings of a drive, an end of a CD's emulated disks.

Source: IBM AT BIOS reference; the EDD 1.1 specification; the "El Torito" specification 1.0.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import ClassVar, TypeAlias

from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.bios.data_area import DISK_STATUS, EQUIPMENT, HARD_DISKS, DataArea
from vgaemu.pc.bios.rom import DISKETTE_TABLE, ROM_SEGMENT
from vgaemu.pc.board import Board
from vgaemu.pc.images import SECTOR, DiskImage
from vgaemu.snapshot import Saved

OK, BAD_COMMAND, PROTECTED, NOT_FOUND, BAD_MEDIA, NO_DRIVE = 0, 1, 3, 4, 0x0C, 0x80
WRITE_FAULT = 0xCC
#: Floppy capacity in sectors -> drive type of INT 13h/08h.
DRIVE_TYPES = {720: 1, 2400: 2, 1440: 3, 2880: 4, 5760: 6}
#: Calls that say in AL how many sectors they have read, written or verified.
CHS_CALLS = (0x02, 0x03, 0x04)
#: What INT 13h/48h tells: its size, flags, cylinders, heads, sectors a track, sectors, their bytes.
LBA_PARAMETERS = struct.Struct("<HHIIIQH")
#: Its flags: the shape holds; removable, with change line and locks.
GEOMETRY, REMOVABLE = 0x02, 0x74
#: Calls that only succeed: resets, formatting, seeks, tests of drive and medium.
NOTHING_TO_DO = (0x00, 0x05, 0x0C, 0x0D, 0x10, 0x11, 0x16, 0x17, 0x44)
#: What INT 13h/4Bh tells of a CD: size, media, drive, controller, first sector, device, buffer,
#: where it was loaded, sectors, and a shape that it has not.
CD_SPECIFICATION = struct.Struct("<BBBBIHHHHBBB")
#: Calls that a CD has, besides those of `NOTHING_TO_DO`.
CD_CALLS = frozenset((0x01, 0x15, 0x41, 0x42, 0x43, 0x48, 0x4B))
#: A call on the disk that there is.
DiskCall: TypeAlias = Callable[[DiskImage], None]


class DiskError(Exception):
    """A call fails with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class DiskBios:
    """INT 13h."""

    SAVED: ClassVar[Saved] = {"status": (0, 0xFF)}

    def __init__(self, board: Board, calls: Calls, data: DataArea, image: DiskImage | None) -> None:
        self._bus, self._cpu, self._calls, self._data = board.bus, board.cpu, calls, data
        self.image: DiskImage | None = image
        self.status = OK
        data[EQUIPMENT] |= int(image is not None and not image.is_hard_disk)
        data[HARD_DISKS] = int(image is not None and image.is_hard_disk)
        self._services: dict[int, DiskCall] = dict.fromkeys(
            NOTHING_TO_DO, lambda _: self._done(OK)
        ) | {
            0x01: lambda _: self._done(self.status),
            0x02: self._read,
            0x03: self._write,
            0x04: self._verify,
            0x08: self._parameters,
            0x15: self._drive_type,
            0x18: self._set_media,
            0x41: self._extensions,
            0x42: self._read_lba,
            0x43: self._write_lba,
            0x48: self._lba_parameters,
            0x4B: self._cd_status,
        }

    @property
    def boot_drive(self) -> int:
        """What DL says at boot."""
        return 0x00 if self.image is None else self.image.number

    def service(self) -> None:
        """INT 13h."""
        cpu, image = self._cpu, self.image
        if image is None or cpu.dl != self.boot_drive:
            self._done(BAD_COMMAND if cpu.ah == 8 else NO_DRIVE)
            if cpu.ah == 0x15:
                cpu.ah = 0
            return
        call = self._services.get(cpu.ah)
        if image.cd_boot is not None and cpu.ah not in CD_CALLS and cpu.ah not in NOTHING_TO_DO:
            call = None
        try:
            if call is None:
                raise DiskError(BAD_COMMAND)
            call(image)
        except DiskError as error:
            if cpu.ah in CHS_CALLS:
                cpu.al = 0
            self._done(error.status)

    def _done(self, status: int) -> None:
        self.status = status
        self._cpu.ah = status
        self._data[DISK_STATUS] = status
        self._calls.carry(status != OK)

    def _place(self, image: DiskImage) -> tuple[int, int]:
        """First sector and count of a CHS call, if they exist."""
        cpu = self._cpu
        cylinder = cpu.ch | (cpu.cl & 0xC0) << 2
        sector, head, count = cpu.cl & 0x3F, cpu.dh, cpu.al
        first = (cylinder * image.heads + head) * image.sectors + sector - 1
        if (
            not 1 <= sector <= image.sectors or head >= image.heads
            or cylinder >= image.cylinders or first >= image.total or not count
        ):  # fmt: skip
            raise DiskError(NOT_FOUND)
        return first, min(count, image.total - first)

    def _transferred(self, count: int) -> None:
        """Sectors of a CHS call that there were; those behind the disk's end are not found."""
        complete = count == self._cpu.al
        self._cpu.al = count
        self._done(OK if complete else NOT_FOUND)

    def _load(self, image: DiskImage, first: int, gpa: int, count: int) -> None:
        """Read sectors into memory, one by one: what goes across an end of RAM is slow."""
        data = image.read(first, count)
        for at in range(0, len(data), SECTOR):
            self._bus.write(gpa + at, data[at : at + SECTOR])
        self._calls.spend(count)

    def _save(self, image: DiskImage, first: int, gpa: int, count: int) -> None:
        self._calls.spend(count)
        try:
            image.write(first, self._bus.read(gpa, count * SECTOR))
        except OSError:
            raise DiskError(WRITE_FAULT) from None

    def _read(self, image: DiskImage) -> None:
        first, count = self._place(image)
        self._load(image, first, self._cpu.linear("es", "bx"), count)
        self._transferred(count)

    def _write(self, image: DiskImage) -> None:
        first, count = self._place(image)
        self._save(image, first, self._cpu.linear("es", "bx"), count)
        self._transferred(count)

    def _verify(self, image: DiskImage) -> None:
        self._transferred(self._place(image)[1])

    def _parameters(self, image: DiskImage) -> None:
        cpu = self._cpu
        last = image.cylinders - 1
        cpu.ch, cpu.cl = last & 0xFF, image.sectors | last >> 2 & 0xC0
        cpu.dh, cpu.dl = image.heads - 1, 1
        if not image.is_hard_disk:
            cpu.bl = DRIVE_TYPES.get(image.total, 4)
            cpu.set("es", ROM_SEGMENT)
            cpu.di = DISKETTE_TABLE
        cpu.al = 0
        self._done(OK)

    def _set_media(self, image: DiskImage) -> None:
        """INT 13h/18h: the only medium there is, is in the drive."""
        cpu = self._cpu
        if image.is_hard_disk:
            raise DiskError(BAD_COMMAND)
        if (cpu.ch, cpu.cl) != (image.cylinders - 1, image.sectors):
            raise DiskError(BAD_MEDIA)
        cpu.set("es", ROM_SEGMENT)
        cpu.di = DISKETTE_TABLE
        self._done(OK)

    def _drive_type(self, image: DiskImage) -> None:
        cpu = self._cpu
        self._done(OK)
        if image.is_hard_disk or image.cd_boot is not None:
            cpu.ah, cpu.cx, cpu.dx = 3, image.total >> 16, image.total & 0xFFFF
        else:
            cpu.ah = 1

    def _extensions(self, image: DiskImage) -> None:
        cpu = self._cpu
        if cpu.bx != 0x55AA or not (image.is_hard_disk or image.cd_boot is not None):
            raise DiskError(BAD_COMMAND)
        self._done(OK)
        cpu.ah, cpu.bx, cpu.cx = 0x21, 0xAA55, 1  # version 1.1, packet calls

    def _packet(self, image: DiskImage) -> tuple[int, int, int]:
        """First sector, guest-physical address and count of an LBA call, if they exist."""
        cpu, bus = self._cpu, self._bus
        at = cpu.linear("ds", "si")
        count = bus.read16(at + 2)
        offset, segment = bus.read16(at + 4), bus.read16(at + 6)
        first = bus.read32(at + 8) | bus.read32(at + 12) << 32
        each = image.sector_bytes // SECTOR
        if bus.read8(at) < 16 or not count or count > 127 or (first + count) * each > image.total:
            raise DiskError(NOT_FOUND)
        return first * each, (segment << 4) + offset, count * each

    def _read_lba(self, image: DiskImage) -> None:
        self._load(image, *self._packet(image))
        self._done(OK)

    def _write_lba(self, image: DiskImage) -> None:
        if image.cd_boot is not None:
            raise DiskError(PROTECTED)
        self._save(image, *self._packet(image))
        self._done(OK)

    def _lba_parameters(self, image: DiskImage) -> None:
        cpu, bus = self._cpu, self._bus
        at = cpu.linear("ds", "si")
        shape = image.cylinders, image.heads, image.sectors
        size, flags = image.sector_bytes, GEOMETRY if image.cd_boot is None else REMOVABLE
        total = image.total * SECTOR // size
        bus.write(at, LBA_PARAMETERS.pack(LBA_PARAMETERS.size, flags, *shape, total, size))
        self._done(OK)

    def _cd_status(self, image: DiskImage) -> None:
        """4Bh: AL 1 asks; 0 also ends an emulation, which a CD that is there as one has not."""
        entry, cpu = image.cd_boot, self._cpu
        if entry is None or cpu.al > 1:
            raise DiskError(BAD_COMMAND)
        self._bus.write(cpu.linear("ds", "si"), CD_SPECIFICATION.pack(
            CD_SPECIFICATION.size, entry.media, image.number, 0, entry.first, 0, 0, entry.segment,
            entry.sectors, 0, 0, 0,
        ))  # fmt: skip
        self._done(OK)
