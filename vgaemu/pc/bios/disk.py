"""INT 13h by cylinder, head and sector, and what there is besides: see `lba` for the rest.

Emulated: of floppies 00h-05h, 08h, 15h-18h; of hard disks 00h-04h, 08h, 09h, 0Ch, 0Dh, 10h, 11h,
14h, 15h; of CDs what says that there is one. Reads and writes go on across tracks and cylinders.
Transfers of a floppy with a file system must not cross 64 KiB (status 09h), as its DMA cannot; a
disk that may be meant as a hard disk may (see `drives`). Writes go to a copy in memory unless the
image was opened for writing. Where somebody has hooked INT 15h, it is told that a call has waited
for the drive (90h) and of the wait's end (91h). Not emulated: other sizes of sectors than 512,
change lines, timings; 90h of a motor that starts (FDh).

Judged against SeaBIOS, which differs so: a sector that does not exist is an invalid parameter there
(01h) and not found here (04h), with no sectors in AL; it reports a hard disk's last cylinder as
absent; 17h and 18h it has not.

Source: IBM AT BIOS reference; IBM PS/2 and PC BIOS Interface Technical Reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from vgaemu.pc.bios.calls import Calls
from vgaemu.pc.bios.data_area import (
    DISK_STATUS,
    EQUIPMENT,
    HARD_DISK_STATUS,
    HARD_DISKS,
    DataArea,
)
from vgaemu.pc.bios.drives import FIXED_DISK, HARD_DISK, Drive, Kind, count_of, drives_of
from vgaemu.pc.bios.lba import LbaCalls
from vgaemu.pc.bios.rom import (
    DISK_WAIT,
    DISKETTE_TABLE,
    FIXED_DISK_TABLE,
    FLOPPY_WAIT,
    ROM_BASE,
    ROM_SEGMENT,
)
from vgaemu.pc.bios.transfers import (
    BAD_COMMAND,
    BAD_MEDIA,
    CHANGED,
    CROSSES_64K,
    NO_DRIVE,
    NOT_FOUND,
    OK,
    DiskError,
    Transfers,
)
from vgaemu.pc.board import Board
from vgaemu.pc.images import SECTOR, DiskImage

#: Floppy capacity in sectors -> drive type of INT 13h/08h.
DRIVE_TYPES = {720: 1, 2400: 2, 1440: 3, 2880: 4, 5760: 6}
#: Calls that say in AL how many sectors they have read, written or verified.
CHS_CALLS = (0x02, 0x03, 0x04)
#: Calls that wait until a drive has done something.
WAITS = frozenset((0x02, 0x03, 0x04, 0x05, 0x0C, 0x11, 0x42, 0x43, 0x44, 0x47))
MOST_SECTORS = 0x80
#: What INT 13h/15h says of a drive: a floppy without change line, a disk that stays.
NO_CHANGE_LINE, FIXED = 1, 3
#: What leads to the tables of both hard disks.
FIXED_DISK_VECTORS = (0x41, 0x46)
#: Of INT 1Eh's table: what formatting fills sectors with.
FILL_AT = 8
#: A call on a drive that there is.
DriveCall: TypeAlias = Callable[[Drive], None]


class DiskBios:
    """INT 13h."""

    def __init__(
        self,
        board: Board,
        calls: Calls,
        data: DataArea,
        image: DiskImage | None,
        disks: Sequence[DiskImage] = (),
    ) -> None:
        """`image` is booted; it is among the `disks` if there are others."""
        self._bus, self._cpu, self._calls, self._data = board.bus, board.cpu, calls, data
        self.image: DiskImage | None = image
        alone = () if image is None else (image,)
        self.drives: dict[int, Drive] = drives_of(disks or alone, image)
        self._transfers = Transfers(board, calls)
        self.lba: LbaCalls = LbaCalls(board, self._transfers, self.done)
        floppies = count_of(self.drives, Kind.FLOPPY)
        data[EQUIPMENT] |= (floppies - 1 << 6 | 1) if floppies else 0
        data[HARD_DISKS] = count_of(self.drives, Kind.HARD_DISK)
        for number, vector in enumerate(FIXED_DISK_VECTORS):
            hard_disk = self.drives.get(HARD_DISK + number)
            if hard_disk is not None:
                offset = FIXED_DISK_TABLE + number * FIXED_DISK.size
                board.bus.load_rom(ROM_BASE + offset, hard_disk.fixed_disk_table())
                calls.set_vector(vector, offset)
        every: dict[int, DriveCall] = {
            0x00: self._nothing, 0x01: self._status, 0x15: self._drive_type
        }  # fmt: skip
        by_chs: dict[int, DriveCall] = {
            0x02: self._read, 0x03: self._write, 0x04: self._verify, 0x08: self._parameters
        }  # fmt: skip
        # Initialise, seek, reset, ready, recalibrate, diagnose.
        fixed = dict.fromkeys((0x09, 0x0C, 0x0D, 0x10, 0x11, 0x14), self._nothing)
        #: What each kind of drive answers.
        self._services: dict[Kind, dict[int, DriveCall]] = {
            Kind.FLOPPY: every | by_chs | {
                0x05: self._format, 0x16: self._changed, 0x17: self._set_type,
                0x18: self._set_media,
            },
            Kind.HARD_DISK: every | by_chs | fixed | self.lba.calls,
            Kind.CD: every | fixed | self.lba.calls | self.lba.cd_calls,
        }  # fmt: skip

    @property
    def boot_drive(self) -> int:
        """What DL says at boot."""
        return 0x00 if self.image is None else self.image.number

    def service(self) -> None:
        """INT 13h."""
        cpu = self._cpu
        drive = self.drives.get(cpu.dl)
        if drive is None:
            drive = self.lba.drive_of_all(self.drives, cpu.ah, cpu.dl)
        if drive is None:
            self._no_drive()
            return
        asked = cpu.ah
        call = self._services[drive.kind].get(asked)
        try:
            if call is None:
                raise DiskError(BAD_COMMAND)
            call(drive)
        except DiskError as error:
            if asked in CHS_CALLS:
                cpu.al = 0
            self.done(error.status)
        else:
            if asked in WAITS and self._calls.is_hooked(0x15):
                told = FLOPPY_WAIT if drive.kind is Kind.FLOPPY else DISK_WAIT
                self._calls.return_to(told, ROM_SEGMENT)

    def _no_drive(self) -> None:
        """A floppy that is not there is not ready; there are no others, and no such hard disk."""
        cpu = self._cpu
        if cpu.ah == 0x15 and cpu.dl not in range(2, HARD_DISK):
            self.done(OK)
        else:
            self.done(BAD_COMMAND if cpu.dl > 1 or cpu.ah == 0x08 else NO_DRIVE)

    def done(self, status: int) -> None:
        """The call in hand ends with a status, which is kept for its kind of drive."""
        self._cpu.ah = status
        self._data[HARD_DISK_STATUS if self._cpu.dl & 0x80 else DISK_STATUS] = status
        self._calls.carry(status != OK)

    def _nothing(self, drive: Drive) -> None:
        self.done(OK)

    def _status(self, drive: Drive) -> None:
        field = DISK_STATUS if drive.kind is Kind.FLOPPY else HARD_DISK_STATUS
        self.done(self._data[field])

    def _place(self, drive: Drive) -> tuple[int, int]:
        """First sector and count of a CHS call, if they exist."""
        cpu = self._cpu
        cylinder = cpu.ch | (cpu.cl & 0xC0) << 2
        sector, head, count = cpu.cl & 0x3F, cpu.dh, cpu.al
        if not 1 <= count <= MOST_SECTORS:
            raise DiskError(BAD_COMMAND)
        first = (cylinder * drive.heads + head) * drive.sectors + sector - 1
        if (
            not 1 <= sector <= drive.sectors or head >= drive.heads
            or cylinder >= drive.cylinders or first >= drive.total
        ):  # fmt: skip
            raise DiskError(NOT_FOUND)
        return first, min(count, drive.total - first)

    def _memory(self, drive: Drive) -> int:
        """Where a CHS call's data is in memory."""
        cpu = self._cpu
        gpa: int = cpu.linear("es", "bx")
        if drive.by_dma and (gpa & 0xFFFF) + cpu.al * SECTOR > 0x10000:
            raise DiskError(CROSSES_64K)
        return gpa

    def _transferred(self, count: int) -> None:
        """Sectors of a CHS call that there were; those behind the disk's end are not found."""
        complete = count == self._cpu.al
        self._cpu.al = count
        self.done(OK if complete else NOT_FOUND)

    def _read(self, drive: Drive) -> None:
        first, count = self._place(drive)
        self._transfers.load(drive.image, first, self._memory(drive), count)
        self._transferred(count)

    def _write(self, drive: Drive) -> None:
        first, count = self._place(drive)
        self._transfers.save(drive.image, first, self._memory(drive), count)
        self._transferred(count)

    def _verify(self, drive: Drive) -> None:
        self._transferred(self._place(drive)[1])

    def _parameters(self, drive: Drive) -> None:
        cpu = self._cpu
        last = drive.cylinders - 1
        cpu.ch, cpu.cl = last & 0xFF, drive.sectors | last >> 2 & 0xC0
        self.done(OK)
        cpu.dh, cpu.dl = drive.heads - 1, count_of(self.drives, drive.kind)
        if drive.kind is Kind.FLOPPY:
            cpu.bx = DRIVE_TYPES.get(drive.image.total, 4)
            cpu.set("es", ROM_SEGMENT)
            cpu.di = DISKETTE_TABLE
        cpu.al = 0

    def _format(self, drive: Drive) -> None:
        """Fill the sectors of a track that a table of cylinder, head, sector and size names."""
        bus, cpu = self._bus, self._cpu
        at = cpu.linear("es", "bx")
        if not cpu.al or cpu.ch >= drive.cylinders or cpu.dh >= drive.heads:
            raise DiskError(BAD_COMMAND if not cpu.al else NOT_FOUND)
        table = (bus.read16(4 * 0x1E + 2) << 4) + bus.read16(4 * 0x1E)
        fill = bytes((bus.read8(table + FILL_AT),)) * SECTOR
        for index in range(cpu.al):
            _, _, sector, size = bus.read(at + 4 * index, 4)
            if not 1 <= sector <= drive.sectors or size != 2:
                raise DiskError(NOT_FOUND)
            first = (cpu.ch * drive.heads + cpu.dh) * drive.sectors + sector - 1
            self._transfers.put(drive.image, first, fill)
        self.done(OK)

    def _changed(self, drive: Drive) -> None:
        """INT 13h/16h: a drive without a change line cannot tell."""
        self.done(CHANGED)

    def _set_type(self, drive: Drive) -> None:
        """INT 13h/17h: what DOS says before it formats."""
        self.done(OK if 1 <= self._cpu.al <= 4 else BAD_COMMAND)

    def _set_media(self, drive: Drive) -> None:
        """INT 13h/18h: the only medium there is, is in the drive."""
        cpu = self._cpu
        if (cpu.ch, cpu.cl) != (drive.cylinders - 1, drive.sectors):
            raise DiskError(BAD_MEDIA)
        cpu.set("es", ROM_SEGMENT)
        cpu.di = DISKETTE_TABLE
        self.done(OK)

    def _drive_type(self, drive: Drive) -> None:
        cpu = self._cpu
        self.done(OK)
        if drive.kind is Kind.FLOPPY:
            cpu.ah = NO_CHANGE_LINE
        else:
            total = drive.image.total
            cpu.ah, cpu.cx, cpu.dx = FIXED, total >> 16, total & 0xFFFF
