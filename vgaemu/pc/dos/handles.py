"""Handles: a program's numbers for files and devices; INT 21h/3Ch to 40h, 42h, 44h to 46h and more.

Emulated: files created, opened, closed, read, written and sought, their time; handles made of one
another (45h, 46h), and how many there may be (67h): `handle_tables` has them. CON; AUX, which is
COM1; PRN, which prints at LPT1; CLOCK$ and NUL, which swallow what is written and read nothing. New
files have the attributes that they are to have, as far as their drive keeps these. Not emulated:
sharing and locks (DOS has none without SHARE).

Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from vgaemu.pc.bios.calls import WAIT, Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos import errors
from vgaemu.pc.dos.auxiliary import Auxiliary
from vgaemu.pc.dos.console import Console
from vgaemu.pc.dos.drives import Drives
from vgaemu.pc.dos.entries import DIRECTORY_OR_LABEL, SETTABLE, OpenFile, Opening, close_anyway
from vgaemu.pc.dos.errors import DosError
from vgaemu.pc.dos.handle_rows import ACCESSES
from vgaemu.pc.dos.handle_tables import (
    CLOSED,
    COUNT_AT,
    MAX_FILES,
    MAX_HANDLES,
    OWN_HANDLES,
    TABLE,
    TABLE_AT,
    HandleTables,
)
from vgaemu.pc.dos.memory import Memory
from vgaemu.pc.dos.names import DEVICES, file_name
from vgaemu.pc.dos.tables import move_entry
from vgaemu.pc.images import SECTOR

STANDARD_INPUT, STANDARD_OUTPUT = 0, 1
#: AL of 57h: extended attributes are got, listed, set.
EXTENDED_ATTRIBUTES, SET_EXTENDED = (2, 3, 4), 4
#: Characters that a long call prints before it looks whether it has done enough.
PRINTED_AT_ONCE = 16
#: AL of INT 21h/3Dh: children do not get it.
PRIVATE = 0x80


class Handles(HandleTables):
    """Calls by handle."""

    def __init__(
        self, board: Board, calls: Calls, console: Console, drives: Drives, memory: Memory
    ) -> None:
        super().__init__(board, drives, memory)
        self._board, self._cpu, self._calls, self._console = board, board.cpu, calls, console
        self.auxiliary = Auxiliary(board, calls)
        #: What is written to PRN goes there.
        self.print_all: Callable[[bytes], None] = lambda data: None
        console.read_standard, console.write_standard = self._read_standard, self._write_standard
        self.services: dict[int, Service] = {
            0x3C: self._create,
            0x3D: self._open,
            0x3E: lambda: self.close(self._cpu.bx),
            0x3F: self._read,
            0x40: self._write,
            0x42: self._seek,
            0x45: self._duplicate,
            0x46: self._duplicate_as,
            0x57: self._file_time,
            0x5A: self._create_temporary,
            0x5B: lambda: self._create(new=True),
            0x67: self._set_count,
            0x68: self._commit,
            0x6C: self._open_or_create,
        }

    def _read_standard(self, count: int) -> bytes | None:
        file = self.redirected(STANDARD_INPUT)
        return None if file is None else self.read_file(file, count)

    def _write_standard(self, data: bytes) -> bool:
        file = self.redirected(STANDARD_OUTPUT)
        if file is not None:
            self.write_file(file, data)
            self._calls.spend(1)
        return file is not None

    # --- services ---

    def _create(self, *, new: bool = False) -> None:
        self._free_handle()
        if self._cpu.cx & DIRECTORY_OR_LABEL:
            raise DosError(errors.DENIED)
        self._add(self._made(file_name(self._board), new=new))

    def _made(self, name: str, access: int = os.O_RDWR, *, new: bool = False) -> OpenFile:
        """A file of the attributes in CX."""
        how = Opening(create=True, new=new, attributes=self._cpu.cx & SETTABLE)
        return self._drives.open(name, access, how)

    def _add(self, file: OpenFile) -> None:
        self._cpu.ax = self.add(file)

    def _open(self) -> None:
        self._free_handle()
        self._add(self._opened(file_name(self._board), self._cpu.al))

    def _opened(self, name: str, mode: int) -> OpenFile:
        access = ACCESSES.get(mode & 7)
        if access is None:
            raise DosError(errors.BAD_ACCESS)
        file = self._drives.open(name, access)
        return file._replace(private=True) if mode & PRIVATE else file

    def _create_temporary(self) -> None:
        """5Ah: a file of a name that no other has, which is put behind the folder's."""
        cpu, bus = self._cpu, self._bus
        folder, at = file_name(self._board), cpu.linear("ds", "dx")
        self._free_handle()
        for nth in range(MAX_FILES):
            name = f"{self._board.clock.now_ns() // 1000 + nth & 0xFFFFFFFF:08X}"
            path = f"{folder}{'' if folder[-1:] in ('/', chr(92), ':', '') else chr(92)}{name}"
            try:
                file = self._made(path, new=True)
            except DosError as error:
                if error.code != errors.EXISTS:
                    raise
                continue
            bus.write(at, path.encode("cp437", "replace") + b"\0")
            self._add(file)
            return
        raise DosError(errors.EXISTS)

    def _open_or_create(self) -> None:
        """6Ch: DS:SI is the name, DX says what to do if the file is there, and if not."""
        cpu = self._cpu
        name = file_name(self._board, "si")
        self._free_handle()
        if_there, if_not = cpu.dl & 0xF, cpu.dl >> 4
        access = os.O_WRONLY if cpu.bl & 7 == 1 else os.O_RDWR
        try:
            file, done = self._opened(name, cpu.bl), 1
        except DosError as error:
            if error.code != errors.NO_FILE or not if_not:
                raise
            file, done = self._made(name, access), 2
        if done == 1 and if_there != 1:
            close_anyway(file)
            if if_there != 2:
                raise DosError(errors.EXISTS)
            file, done = self._made(name, access), 3
        self._add(file)
        cpu.cx = done

    def close(self, handle: int) -> None:
        """Close a handle.

        Raises:
            DosError: It is not open.
        """
        number = self.number(handle)
        self._point(handle, CLOSED)
        self._release(number)

    def _duplicate(self) -> None:
        number, handle = self.number(self._cpu.bx), self._free_handle()
        self._use(number)
        self._point(handle, number)
        self._cpu.ax = handle

    def _duplicate_as(self) -> None:
        """46h: CX becomes another handle of what BX stands for."""
        number, handle = self.number(self._cpu.bx), self._cpu.cx
        before = self._bus.read8(self.place(handle))
        self._use(number)
        self._point(handle, number)
        self._release(before)

    def _set_count(self) -> None:
        """67h: more handles than the prefix has room for, or no more than that again."""
        prefix, count = self._memory.current, min(max(self._cpu.bx, OWN_HANDLES), MAX_HANDLES)
        table, before = self._table(prefix)
        numbers = self._bus.read(table, before)
        if any(number != CLOSED for number in numbers[count:]):
            raise DosError(errors.TOO_MANY)
        at = prefix << 4
        place, segment = TABLE_AT, prefix
        if count > OWN_HANDLES:
            segment, place = self._memory.take(-(-count // 16), prefix), 0
        self._bus.write((segment << 4) + place, numbers[:count].ljust(count, bytes((CLOSED,))))
        self._bus.write(at + COUNT_AT, TABLE.pack(count, place, segment))

    def _read(self) -> bool | None:
        at, count, file = self._cpu.linear("ds", "dx"), self._cpu.cx, self.file(self._cpu.bx)
        if file.name == "CON":
            return self._console.read(at, count)
        data = self.read_file(file, count)
        self._bus.write(at, data)
        self._cpu.ax = len(data)
        return None

    def read_file(self, file: OpenFile, count: int) -> bytes:
        """The next bytes of a file or device that is not the console."""
        if file.name == "AUX":
            return self.auxiliary.receive(count)
        data = file.stream.read(count)
        move_entry(self._bus, file)
        self._calls.spend(len(data) // SECTOR)
        return data

    def _write(self) -> bool | None:
        at, count, file = self._cpu.linear("ds", "dx"), self._cpu.cx, self.file(self._cpu.bx)
        if file.name == "CON":
            if self._console.type_memory(at, count) is WAIT:
                return WAIT
        elif file.name == "AUX":
            if self.auxiliary.send_memory(at, count) is WAIT:
                return WAIT
        elif file.name == "PRN":
            if self._print(at, count) is WAIT:
                return WAIT
        elif count:
            count = self.write_file(file, self._bus.read(at, count))
        elif file.name not in DEVICES:  # writing nothing cuts the file off
            file.stream.cut()
        self._cpu.ax = count
        return None

    def _print(self, at: int, count: int) -> bool | None:
        """Print memory, from where the call in hand had come to."""
        calls = self._calls
        for done in range(calls.progress, count, PRINTED_AT_ONCE):
            if calls.exhausted:
                return calls.suspend(done)
            data = self._bus.read(at + done, min(PRINTED_AT_ONCE, count - done))
            self.print_all(data)
            calls.spend(len(data))
        return None

    def write_file(self, file: OpenFile, data: bytes) -> int:
        """Write to a file or device that is not the console; how much was."""
        if file.name == "AUX":
            self.auxiliary.send(data)
        elif file.name == "PRN":
            self.print_all(data)
        if file.name in DEVICES:
            return len(data)
        self._calls.spend(len(data) // SECTOR)
        count = file.stream.write(data)
        move_entry(self._bus, file)
        return count

    def _commit(self) -> None:
        """68h: what was written is the host's already."""
        self.number(self._cpu.bx)

    def _seek(self) -> None:
        cpu = self._cpu
        if cpu.al > 2:
            raise DosError(errors.BAD_FUNCTION)
        file = self.file(cpu.bx)
        offset = cpu.cx << 16 | cpu.dx
        if cpu.al:
            offset -= (offset & 0x8000_0000) << 1
        place = file.stream.seek(offset, cpu.al)
        move_entry(self._bus, file)
        cpu.dx, cpu.ax = place >> 16, place & 0xFFFF

    def _file_time(self) -> None:
        file = self.file(self._cpu.bx)
        if self._cpu.al == 0:
            self._cpu.cx, self._cpu.dx = file.stream.when
        elif self._cpu.al == 1:
            file.stream.set_when(self._cpu.cx, self._cpu.dx)
        elif self._cpu.al in EXTENDED_ATTRIBUTES:  # of DOS 4: no file has any
            if self._cpu.al != SET_EXTENDED and self._cpu.cx >= 2:
                self._bus.write16(self._cpu.linear("es", "di"), 0)
                self._cpu.cx = 2
        else:
            raise DosError(errors.BAD_FUNCTION)
