"""Handles: a program's numbers for files and devices; INT 21h/3Ch to 40h, 42h, 44h to 46h and more.

Emulated: the table of a program's handles in its prefix, 20 or more (67h), that programs themselves
change; what they stand for is shared by all handles that were made of one another, in children too
(45h, 46h, 4Bh), until the last is closed. CON; AUX, which is COM1; PRN, which prints at LPT1;
CLOCK$ and NUL, which swallow what is written and read nothing. What lies behind a handle is shown
in `tables`. New files have the attributes that they are to have, as far as their drive keeps these.
Not emulated: sharing and locks (DOS has none without SHARE).

Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vgaemu.pc.bios.calls import WAIT, Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos import errors
from vgaemu.pc.dos.area import PREFIX_AT
from vgaemu.pc.dos.auxiliary import Auxiliary
from vgaemu.pc.dos.console import Console
from vgaemu.pc.dos.drives import Drives
from vgaemu.pc.dos.entries import DIRECTORY_OR_LABEL, SETTABLE, OpenFile, Opening, close_anyway
from vgaemu.pc.dos.errors import DosError
from vgaemu.pc.dos.handle_rows import ACCESSES, OLD_ROW, are_files, as_now
from vgaemu.pc.dos.memory import TOP, Memory
from vgaemu.pc.dos.names import DEVICES, file_name
from vgaemu.pc.dos.tables import PARTS, STANDARD, move_entry, standard_file, use_entry, write_entry
from vgaemu.pc.images import SECTOR
from vgaemu.snapshot import Part, text

#: Handles 0 to 4 are of these numbers in `STANDARD`.
CONSOLE, FIRST_HANDLES = 1, (1, 1, 1, 0, 2)
STANDARD_INPUT, STANDARD_OUTPUT = 0, 1
#: Handles of a prefix's own table, and of a larger one; what all of them can stand for together.
OWN_HANDLES, MAX_HANDLES, MAX_FILES = 20, 255, sum(PARTS)
CLOSED = 0xFF
#: AL of 57h: extended attributes are got, listed, set.
EXTENDED_ATTRIBUTES, SET_EXTENDED = (2, 3, 4), 4
#: Where a prefix has its table; how many handles it has, and a pointer to where that table is.
TABLE_AT, COUNT_AT, POINTER_AT = 0x18, 0x32, 0x34
TABLE = struct.Struct("<HHH")
#: Characters that a long call prints before it looks whether it has done enough.
PRINTED_AT_ONCE = 16
#: AL of INT 21h/3Dh: children do not get it.
PRIVATE = 0x80


class Handles:
    """What programs have open."""

    def __init__(
        self, board: Board, calls: Calls, console: Console, drives: Drives, memory: Memory
    ) -> None:
        self._board, self._bus, self._cpu, self._calls = board, board.bus, board.cpu, calls
        self._console, self._drives, self._memory = console, drives, memory
        self.auxiliary = Auxiliary(board, calls)
        #: What is written to PRN goes there.
        self.print_all: Callable[[bytes], None] = lambda data: None
        #: What a number in a prefix's table stands for, and in how many tables it is.
        self.opened: dict[int, OpenFile] = {}
        console.read_standard, console.write_standard = self._read_standard, self._write_standard
        self.uses: dict[int, int] = {}
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

    def close_all(self) -> None:
        """Close the programs' files."""
        self.uses.clear()
        while self.opened:
            close_anyway(self.opened.popitem()[1])

    # --- a program's table ---

    def _table(self, prefix: int) -> tuple[int, int]:
        """Where a program's table is, and how many handles it has."""
        raw = self._bus.read((prefix << 4) + COUNT_AT, TABLE.size)
        count, offset, segment = TABLE.unpack(raw)
        return (segment << 4) + offset, min(count, MAX_HANDLES)

    def begin(self, prefix: int, parent: int | None = None) -> None:
        """Give a prefix a table: the first program's, or one of what its parent has open."""
        at, bus = prefix << 4, self._bus
        numbers = bytearray((CLOSED,)) * OWN_HANDLES
        if parent is None:
            numbers[: len(FIRST_HANDLES)] = bytes(FIRST_HANDLES)
        else:
            table, count = self._table(parent)
            for handle, number in enumerate(bus.read(table, min(count, OWN_HANDLES))):
                file = self.opened.get(number)
                if number in STANDARD or (file is not None and not file.private):
                    numbers[handle] = number
                    self._use(number)
        bus.write(at + TABLE_AT, bytes(numbers))
        bus.write(at + COUNT_AT, TABLE.pack(OWN_HANDLES, TABLE_AT, prefix))

    def end(self, prefix: int) -> None:
        """A program has ended: close its handles."""
        table, count = self._table(prefix)
        opened = self.opened
        for number in [number for number in self._bus.read(table, count) if number in opened]:
            with suppress(OSError):
                self._release(number)

    def place(self, handle: int) -> int:
        """Where the program's table has a handle.

        Raises:
            DosError: It has not so many.
        """
        table, count = self._table(self._memory.current)
        if handle >= count:
            raise DosError(errors.BAD_HANDLE)
        return table + handle

    def number(self, handle: int) -> int:
        """What the program's table has for a handle.

        Raises:
            DosError: It is not open.
        """
        number = self._bus.read8(self.place(handle))
        if number not in self.opened and number not in STANDARD:
            raise DosError(errors.BAD_HANDLE)
        return number

    def _free_handle(self) -> int:
        table, count = self._table(self._memory.current)
        free = self._bus.read(table, count).find(CLOSED)
        if free < 0:
            raise DosError(errors.TOO_MANY)
        return free

    def _point(self, handle: int, number: int) -> None:
        self._bus.write8(self._table(self._memory.current)[0] + handle, number)

    def _use(self, number: int) -> None:
        if number in self.opened:
            self.uses[number] = self.uses.get(number, 0) + 1
            use_entry(self._bus, number, self.uses[number])

    def _release(self, number: int) -> None:
        """One handle less that stands for it; the last closes it."""
        file = self.opened.get(number)
        if file is None:
            return
        self.uses[number] = self.uses.get(number, 1) - 1
        use_entry(self._bus, number, max(self.uses[number], 0))
        if self.uses[number] <= 0:
            # Whatever the host says of it, the number is the host's again: never close it twice.
            del self.opened[number], self.uses[number]
            file.stream.close()

    def add(self, file: OpenFile) -> int:
        """A handle for what was opened; a DosError where none is free, and it is closed."""
        try:
            handle = self._free_handle()
            number = next(
                (n for n in range(len(STANDARD), MAX_FILES) if n not in self.opened), None
            )
            if number is None:
                raise DosError(errors.TOO_MANY)
        except DosError:
            close_anyway(file)
            raise
        file = file._replace(number=number)
        self.opened[number], self.uses[number] = file, 1
        self._point(handle, number)
        write_entry(self._bus, file, 1, self._memory.current)
        return handle

    def file(self, handle: int) -> OpenFile:
        """What a handle stands for; devices that stand open have no file of the host.

        Raises:
            DosError: Nothing.
        """
        number = self.number(handle)
        if number in STANDARD:
            return standard_file(number)
        return self.opened[number]

    def device(self, handle: int) -> str | None:
        """The device that a handle stands for, if it is no file."""
        name = self.file(handle).name
        return name if name in DEVICES else None

    def _redirected(self, handle: int) -> OpenFile | None:
        """What a standard handle stands for, if it is not the console."""
        # Asked for each character: the console, by the prefix's own table, without any call.
        memory = self._bus.memory
        at = (memory[PREFIX_AT] | memory[PREFIX_AT + 1] << 8) << 4
        own = at + POINTER_AT
        if (
            at < TOP << 4
            and memory[own] | memory[own + 1] << 8 == TABLE_AT
            and (memory[own + 2] | memory[own + 3] << 8) << 4 == at
            and memory[at + TABLE_AT + handle] == CONSOLE
        ):
            return None
        try:
            file = self.file(handle)
        except DosError:
            return None
        return None if file.name == "CON" else file

    def has_open(self, path: str) -> bool:
        """Whether the file of a place is open, or one in the folder of that place."""
        files = self.opened.values()
        return any(file.name == path or file.name.startswith(f"{path}/") for file in files)

    def _read_standard(self, count: int) -> bytes | None:
        file = self._redirected(STANDARD_INPUT)
        return None if file is None else self.read_file(file, count)

    def _write_standard(self, data: bytes) -> bool:
        file = self._redirected(STANDARD_OUTPUT)
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

    def show(self) -> None:
        """Write what is open into DOS's table."""
        for number, file in self.opened.items():
            write_entry(self._bus, file, self.uses[number], self._memory.current)

    def part(self) -> Part:
        """Number, name below the folder, access, position, uses; restored by `reopened`."""
        return text(
            lambda: [
                [number, file.name, file.access, file.stream.place, self.uses[number], file.private]
                for number, file in sorted(self.opened.items())
            ],
            self._restore,
            are_files,
        )

    def _restore(self, saved: list[list[Any]]) -> None:
        """`reopened` has opened the files; rows of older states tell their handles."""
        self.uses = {row[0]: row[4] for row in map(as_now, saved)}
        for row in saved:
            if len(row) == OLD_ROW:
                self._point(row[0], as_now(row)[0])

    @contextmanager
    def at(self, saved: list[list[Any]]) -> Iterator[None]:
        """As `reopened`, but what is open already stays, and is only sought to its place."""
        mine = [(number, file.name, file.access) for number, file in sorted(self.opened.items())]
        if mine != [(number, name, access) for number, name, access, *_ in saved]:
            with self.reopened(saved):
                yield
            return
        yield
        for number, _, _, place, *_ in saved:
            self.opened[number].stream.seek(place, os.SEEK_SET)

    @contextmanager
    def reopened(self, saved: list[list[Any]]) -> Iterator[None]:
        """Open what a saved program had open, and take it over if the block succeeds.

        Raises:
            FileNotFoundError: One cannot be opened; its name is the error's.
        """
        opened: dict[int, OpenFile] = {}
        try:
            for number, name, access, place, _, private in map(as_now, saved):
                try:
                    # As a path from the root: a name with a colon is no drive.
                    file = self._drives.open(self._drives.name(name), access, Opening(again=True))
                    opened[number] = file._replace(private=bool(private), number=number)
                    file.stream.seek(place, os.SEEK_SET)
                except (DosError, OSError):
                    raise FileNotFoundError(name) from None
            self._drives.take_work()  # not the program's
            yield
        except BaseException:
            for file in opened.values():
                close_anyway(file)
            self._drives.take_work()
            raise
        before, self.opened = self.opened, opened
        for file in before.values():
            close_anyway(file)
