"""INT 2Fh: who else is there, and what of DOS itself programs for DOS use.

Emulated: XMS (43h), time that a program does not need (1680h), DOS's own services (12h) as far as
they need nothing of its memory that is not there. AL stays as it is for what is not there: PRINT,
ASSIGN, SHARE, a redirector, MSCDEX, ANSI.SYS, KEYB, APPEND, Windows, a DPMI host unless it was
asked for (`dpmi`); and the high memory has none of DOS in it (4A01h, 4A02h).

Source: R. Brown's interrupt list (INT 2Fh).
"""

from __future__ import annotations

from calendar import isleap

from vgaemu.pc.bios.calls import WAIT, Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.cpu.cpu import ZERO
from vgaemu.pc.dos.area import DIRECTORIES_AT, DIRECTORY_BYTES, SEGMENT, SEGMENT_BYTES, XMS_OFFSET
from vgaemu.pc.dos.console import Console
from vgaemu.pc.dos.country import capital
from vgaemu.pc.dos.drives import Drives
from vgaemu.pc.dos.errors import BAD_DRIVE, BAD_HANDLE, DosError
from vgaemu.pc.dos.folders import Folders
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.dos.tables import entry_at

#: Where a call's word on the stack is: above the frame.
WORD_AT = 6
INTERNAL = 0x12
#: Longest path that is compared.
MAX_PATH = 0x100
NO_SUCH_DRIVE = 0xFF


class Multiplex:
    """INT 2Fh."""

    def __init__(
        self,
        board: Board,
        calls: Calls,
        console: Console,
        handles: Handles,
        folders: Folders,
        drives: Drives,
    ) -> None:
        self._board, self._bus, self._cpu, self._calls = board, board.bus, board.cpu, calls
        self._console, self._handles, self._drives = console, handles, drives
        self.services: dict[int, Service] = {
            0x1680: self._idle,
            0x4300: lambda: self._set_al(0x80),
            0x4310: self._xms,
            0x4A01: self._no_high_memory,
            0x4A02: self._no_high_memory,
            0x1200: lambda: self._set_al(0xFF),
            0x1202: self._vector,
            0x1203: lambda: self._cpu.set("ds", SEGMENT),
            0x1205: lambda: console.type(self._word() & 0xFF),
            0x120D: self._date,
            0x1211: self._normalize,
            0x1212: lambda: self._length("es", "di"),
            0x1213: lambda: self._set_al(capital(self._word() & 0xFF)),
            0x1214: lambda: self._equal(
                self._cpu.linear("ds", "si") == self._cpu.linear("es", "di")
            ),
            0x1216: self._file,
            0x1217: self._select,
            0x121A: self._drive,
            0x121B: lambda: self._set_al(28 + isleap(1980 + self._cpu.cl)),
            0x121E: self._same_names,
            0x1220: self._handle,
            0x1221: folders.true_name,
            0x1225: lambda: self._length("ds", "si"),
        }

    def service(self) -> bool | None:
        """One call; those of DOS itself say in the carry flag whether they fail."""
        number = self._cpu.ax
        service = self.services.get(number)
        if service is None:
            return None
        try:
            waits = service()
        except DosError as error:
            self._cpu.ax = error.code
            self._calls.carry(True)
            return None
        if number >> 8 == INTERNAL:
            self._calls.carry(False)
        return waits

    def _set_al(self, value: int) -> None:
        self._cpu.al = value

    def _word(self) -> int:
        return self._cpu.stack_word(WORD_AT)

    def _point(self, segment: str, register: str, offset: int) -> None:
        self._cpu.set(segment, SEGMENT)
        setattr(self._cpu, register, offset)

    def _idle(self) -> bool | None:
        """1680h: until the next interrupt."""
        if not self._calls.progress:
            self._calls.remember(1)
            return WAIT
        self._cpu.al = 0
        return None

    def _xms(self) -> None:
        self._cpu.set("es", SEGMENT)
        self._cpu.bx = XMS_OFFSET

    def _no_high_memory(self) -> None:
        self._cpu.bx = 0
        self._cpu.set("es", 0xFFFF)
        self._cpu.di = 0xFFFF

    def _vector(self) -> None:
        self._cpu.set("es", 0)
        self._cpu.bx = 4 * (self._word() & 0xFF)

    def _date(self) -> None:
        """120Dh: date and time, packed."""
        now = self._board.cmos.now()
        self._cpu.ax = now.tm_year - 1980 << 9 | now.tm_mon << 5 | now.tm_mday
        self._cpu.dx = now.tm_hour << 11 | now.tm_min << 5 | now.tm_sec // 2

    def _path(self, segment: str, register: str) -> bytes:
        text = self._bus.read(self._cpu.linear(segment, register), MAX_PATH).partition(b"\0")[0]
        return bytes(map(capital, text.replace(b"/", b"\\")))

    def _normalize(self) -> None:
        """1211h: DS:SI in capitals and with backslashes to ES:DI, its end included."""
        path = self._path("ds", "si")
        self._bus.write(self._cpu.linear("es", "di"), path + b"\0")

    def _length(self, segment: str, register: str) -> None:
        text = self._bus.read(self._cpu.linear(segment, register), SEGMENT_BYTES)
        self._cpu.cx = text.find(b"\0") + 1  # 0: it has no end

    def _equal(self, are: bool) -> None:
        self._calls.flag(ZERO, are)

    def _same_names(self) -> None:
        self._equal(self._path("ds", "si") == self._path("es", "di"))

    def _file(self) -> None:
        """1216h: the entry of the file table."""
        at = entry_at(self._cpu.bx)
        if at is None:
            raise DosError(BAD_HANDLE)
        self._point("es", "di", at)

    def _handle(self) -> None:
        """1220h: what the program's table has for a handle."""
        at = self._handles.place(self._cpu.bx)
        self._cpu.set("es", at >> 4)
        self._cpu.di = at & 0xF

    def _select(self) -> None:
        """1217h: the current folder's entry of a drive."""
        drive = self._word()
        if drive not in self._drives.volumes:
            raise DosError(BAD_DRIVE)
        self._cpu.set("ds", self._bus.read16(DIRECTORIES_AT + 2))
        self._cpu.si = self._bus.read16(DIRECTORIES_AT) + DIRECTORY_BYTES * drive

    def _drive(self) -> None:
        """121Ah: the drive that a name begins with, and past that."""
        start = self._bus.read(self._cpu.linear("ds", "si"), 2)
        if start[1:] != b":":
            self._cpu.al = 0
            return
        self._cpu.si = self._cpu.si + 2
        drive = capital(start[0]) - ord("A")
        self._cpu.al = drive + 1 if drive in self._drives.volumes else NO_SUCH_DRIVE
