"""Tables of handles: a program's numbers for files and devices, and what these stand for.

Emulated: the table in a program's prefix, 20 handles or more, that programs themselves change; what
they stand for is shared by all handles that were made of one another, in children too, until the
last is closed. What lies behind a handle is shown in `tables`.

Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vgaemu.pc.board import Board
from vgaemu.pc.dos import errors
from vgaemu.pc.dos.area import PREFIX_AT
from vgaemu.pc.dos.drives import Drives
from vgaemu.pc.dos.entries import OpenFile, Opening, close_anyway
from vgaemu.pc.dos.errors import DosError
from vgaemu.pc.dos.handle_rows import OLD_ROW, are_files, as_now
from vgaemu.pc.dos.memory import TOP, Memory
from vgaemu.pc.dos.names import DEVICES
from vgaemu.pc.dos.tables import PARTS, STANDARD, standard_file, use_entry, write_entry
from vgaemu.snapshot import Part, text

#: Handles 0 to 4 are of these numbers in `STANDARD`.
CONSOLE, FIRST_HANDLES = 1, (1, 1, 1, 0, 2)
#: Handles of a prefix's own table, and of a larger one; what all of them can stand for together.
OWN_HANDLES, MAX_HANDLES, MAX_FILES = 20, 255, sum(PARTS)
CLOSED = 0xFF
#: Where a prefix has its table; how many handles it has, and a pointer to where that table is.
TABLE_AT, COUNT_AT, POINTER_AT = 0x18, 0x32, 0x34
TABLE = struct.Struct("<HHH")


class HandleTables:
    """The tables of all programs, and what is open."""

    def __init__(self, board: Board, drives: Drives, memory: Memory) -> None:
        self._bus, self._drives, self._memory = board.bus, drives, memory
        #: What a number in a prefix's table stands for, and in how many tables it is.
        self.opened: dict[int, OpenFile] = {}
        self.uses: dict[int, int] = {}

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

    def redirected(self, handle: int) -> OpenFile | None:
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

    # --- states ---

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
