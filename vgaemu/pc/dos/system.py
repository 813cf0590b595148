"""What DOS says of itself: drives, vectors, clock, version, flags, its own tables, the last error.

Emulated: INT 21h/0Dh, 0Eh, 19h, 1Bh, 1Ch, 1Fh, 25h, 2Ah to 2Eh, 30h, 32h to 37h, 52h, 54h, 59h,
5Dh. Drives as `drives` has them; the clock is the one that CMOS keeps. Not emulated: verify and
BREAK beyond their flags, another switch character than the slash.

Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list.
"""

from __future__ import annotations

import re

from vgaemu.errors import ImageError
from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import (
    ACTION_AT,
    BREAK_CHECK_AT,
    DRIVE_C,
    ERROR_AT,
    IN_DOS_OFFSET,
    LISTS_OFFSET,
    LOCUS_AT,
    SEGMENT,
    SWAPPED_ALWAYS,
    SWAPPED_IN_DOS,
    SWAPPED_LIST_OFFSET,
    SWAPPED_OFFSET,
    VERIFY_AT,
    block_of,
)
from vgaemu.pc.dos.drives import Drives
from vgaemu.pc.dos.errors import BAD_FUNCTION, DETAILS, OTHER_DETAILS, DosError
from vgaemu.pc.dos.tables import MEDIA_AT
from vgaemu.pc.images import SECTOR

VERSION = (5, 0)
#: How AL says that a date or time is none, or that there is no such drive.
REFUSED = 0xFF


def version_of(text: str | None) -> tuple[int, int]:
    """Major and minor number of a version as it is written; None: ours.

    >>> version_of("3.3"), version_of("4.01"), version_of(None)
    ((3, 30), (4, 1), (5, 0))

    Raises:
        ImageError: It is none.
    """
    if text is None:
        return VERSION
    match = re.fullmatch(r"([2-9])\.([0-9]{1,2})", text)
    if match is None:
        raise ImageError(f"--dos-version {text}: say it as 5.0 or 3.30, from 2.0 on")
    return int(match[1]), int(match[2].ljust(2, "0"))


class System:
    """DOS's own state, most of it in its memory."""

    def __init__(
        self, board: Board, calls: Calls, drives: Drives, version: tuple[int, int] = VERSION
    ) -> None:
        self._board, self._bus, self._cpu, self._calls = board, board.bus, board.cpu, calls
        self._drives = drives
        self.version = version
        self.services: dict[int, Service] = {
            0x0D: lambda: None,
            0x0E: self._select, 0x19: lambda: self._set_al(drives.current),
            0x1B: lambda: self._allocation(0), 0x1C: lambda: self._allocation(self._cpu.dl),
            0x1F: lambda: self._drive_block(0), 0x32: lambda: self._drive_block(self._cpu.dl),
            0x25: self._set_vector, 0x35: self._get_vector,
            0x2A: self._get_date, 0x2B: self._set_date,
            0x2C: self._get_time, 0x2D: self._set_time,
            0x2E: lambda: self._bus.write8(VERIFY_AT, self._cpu.al & 1),
            0x30: self._version,
            0x33: self._break_check,
            0x34: lambda: self._point(IN_DOS_OFFSET),
            0x36: self._free_space,
            0x37: self._switch_character,
            0x52: lambda: self._point(LISTS_OFFSET),
            0x54: lambda: self._set_al(self._bus.read8(VERIFY_AT)),
            0x59: self._last_error,
            0x5D: self._server,
        }  # fmt: skip

    def _set_al(self, value: int) -> None:
        self._cpu.al = value

    def _point(self, offset: int) -> None:
        """ES:BX leads into DOS's memory."""
        self._cpu.set("es", SEGMENT)
        self._cpu.bx = offset

    def _set_vector(self) -> None:
        self._calls.set_vector(self._cpu.al, self._cpu.dx, self._cpu.ds)

    def _get_vector(self) -> None:
        segment, self._cpu.bx = self._calls.get_vector(self._cpu.al)
        self._cpu.set("es", segment)

    def _get_date(self) -> None:
        cpu, now = self._cpu, self._board.cmos.now()
        cpu.cx, cpu.dh, cpu.dl = now.tm_year, now.tm_mon, now.tm_mday
        cpu.al = (now.tm_wday + 1) % 7

    def _set_date(self) -> None:
        cpu, cmos = self._cpu, self._board.cmos
        cpu.al = 0 if cmos.set(cpu.cx, cpu.dh, cpu.dl, *cmos.now()[3:6]) else REFUSED

    def _get_time(self) -> None:
        clock = self._board.clock
        clock.polled()
        cpu, now = self._cpu, self._board.cmos.now()
        cpu.ch, cpu.cl, cpu.dh = now.tm_hour, now.tm_min, now.tm_sec
        cpu.dl = clock.now_ns() // 10_000_000 % 100

    def _set_time(self) -> None:
        cpu, cmos = self._cpu, self._board.cmos
        cpu.al = 0 if cmos.set(*cmos.now()[:3], cpu.ch, cpu.cl, cpu.dh) else REFUSED

    def _version(self) -> None:
        cpu = self._cpu
        cpu.al, cpu.ah = self.version
        cpu.bx = cpu.cx = 0

    def _break_check(self) -> None:
        """33h: BREAK, the drive that DOS was started from, its version."""
        cpu, bus = self._cpu, self._bus
        if cpu.al == 0:
            cpu.dl = bus.read8(BREAK_CHECK_AT)
        elif cpu.al == 1:
            bus.write8(BREAK_CHECK_AT, cpu.dl & 1)
        elif cpu.al == 2:
            before = bus.read8(BREAK_CHECK_AT)
            bus.write8(BREAK_CHECK_AT, cpu.dl & 1)
            cpu.dl = before
        elif cpu.al == 5:
            cpu.dl = DRIVE_C + 1
        elif cpu.al == 6:
            cpu.bl, cpu.bh = self.version
            cpu.dx = 0

    def _allocation(self, drive: int) -> None:
        """1Bh, 1Ch: sectors of a cluster, their bytes, clusters; DS:BX leads to the media byte."""
        cpu, number = self._cpu, self._drives.number(drive)
        geometry = self._drives.volumes[number].geometry
        cpu.al, cpu.cx, cpu.dx = geometry.cluster_sectors, SECTOR, geometry.clusters
        cpu.set("ds", SEGMENT)
        cpu.bx = block_of(number) + MEDIA_AT

    def _drive_block(self, drive: int) -> None:
        """1Fh, 32h: DS:BX leads to the drive's parameter block."""
        number = self._drives.number(drive)
        self._cpu.al = 0
        self._cpu.set("ds", SEGMENT)
        self._cpu.bx = block_of(number)

    def _free_space(self) -> None:
        """36h: in sectors a cluster, of bytes, and in clusters; of C: what may still be written."""
        cpu = self._cpu
        try:
            volume = self._drives.volume(cpu.dl)
            geometry = volume.geometry
        except DosError as error:
            self.failed(error.code)
            cpu.ax = 0xFFFF
            return
        cpu.ax, cpu.bx, cpu.cx, cpu.dx = (
            geometry.cluster_sectors, volume.free_clusters, SECTOR, geometry.clusters
        )  # fmt: skip

    def _select(self) -> None:
        """0Eh: the current drive, if there is such; how many letters there are."""
        if self._cpu.dl in self._drives.volumes:
            self._drives.current = self._cpu.dl
        self._cpu.al = self._drives.count

    def _switch_character(self) -> None:
        """37h: options begin with a slash, and go on to; devices are there in every folder."""
        cpu, call = self._cpu, self._cpu.al
        if call in (0, 2):
            cpu.dl = ord("/") if call == 0 else 0xFF
        cpu.al = 0 if call <= 3 else REFUSED

    def failed(self, code: int) -> None:
        """A call has failed: that is what 59h tells."""
        self._bus.write16(ERROR_AT, code)
        kind, action, locus = DETAILS.get(code, OTHER_DETAILS)
        self._bus.write16(ACTION_AT, kind << 8 | action)
        self._bus.write8(LOCUS_AT, locus)

    def _last_error(self) -> None:
        cpu, code = self._cpu, self._bus.read16(ERROR_AT)
        cpu.ax = code
        cpu.bh, cpu.bl, cpu.ch = DETAILS.get(code, OTHER_DETAILS) if code else (0, 0, 0)

    def _server(self) -> None:
        """5Dh: what of DOS is to be swapped; a program says what 59h is to tell."""
        cpu = self._cpu
        if cpu.al == 0x06:
            cpu.set("ds", SEGMENT)
            cpu.si, cpu.cx, cpu.dx = SWAPPED_OFFSET, SWAPPED_IN_DOS, SWAPPED_ALWAYS
        elif cpu.al == 0x0B:
            cpu.set("ds", SEGMENT)
            cpu.si = SWAPPED_LIST_OFFSET
        elif cpu.al == 0x0A:
            self.failed(self._bus.read16(cpu.linear("ds", "dx")))
        else:
            raise DosError(BAD_FUNCTION)
