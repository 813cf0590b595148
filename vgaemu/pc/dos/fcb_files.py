"""Files by FCB, as DOS 1 has them: INT 21h/0Fh to 17h, 21h to 24h, 27h, 28h.

Emulated: all of these, extended FCBs, patterns in names that are searched, deleted and renamed, CON
and the other devices. Of an open file its FCB has all: the folder, the record, the size; the host's
file is opened when a call needs it, and some are kept open. So a program may copy, save or forget
FCBs as it likes. Not emulated: DOS's limit of open FCBs, sizes and times that a program has put
into an FCB (10h has nothing to write).

Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list (table 01345).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable

from vgaemu.pc.bios.calls import WAIT, Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import SEGMENT_BYTES
from vgaemu.pc.dos.console import Console
from vgaemu.pc.dos.drives import Drives
from vgaemu.pc.dos.entries import OpenFile, Opening, close_anyway
from vgaemu.pc.dos.errors import DENIED, NO_MORE_FILES, DosError
from vgaemu.pc.dos.fat_files import as_name
from vgaemu.pc.dos.folders import Folders
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.dos.names import DEVICES, fcb_name, place_drive
from vgaemu.pc.dos.search import Search

#: First byte of an extended FCB; where its attributes and the FCB within it are.
EXTENDED, ATTRIBUTES_AT, EXTENSION = 0xFF, 6, 7
NAME_AT, BLOCK_AT, RECORD_BYTES_AT, SIZE_AT, NUMBER_AT, RECORD_AT, RANDOM_AT, NEW_NAME_AT = (
    0x01, 0x0C, 0x0E, 0x10, 0x18, 0x20, 0x21, 0x11,
)  # fmt: skip
NAME_BYTES, RECORDS_A_BLOCK, RECORD_BYTES = 11, 128, 128
#: DOS's own part of an FCB: a mark, the folder's number, how far a search has come.
OWN, MARK = struct.Struct("<HHH"), 0x4346
#: Records of less have four bytes for their number, others three.
LONG_NUMBERS_BELOW = 64
#: What AL says.
DONE, END, NO_ROOM, WRAPS, PARTLY, FAILED = 0, 1, 1, 2, 3, 0xFF
#: Calls that read or write: what they cannot do is at its end.
MOVES = frozenset((0x14, 0x15, 0x21, 0x22, 0x27, 0x28))
#: Files of the host that are kept open.
KEPT = 8
#: A folder's entry, as a search finds it: name, attributes, time, date, cluster, size.
ENTRY = struct.Struct("<11sB10xHHHI")


class FcbFiles:
    """Files of programs that know no handles."""

    def __init__(
        self,
        board: Board,
        calls: Calls,
        drives: Drives,
        folders: Folders,
        handles: Handles,
        search: Search,
        console: Console,
    ) -> None:
        self._bus, self._cpu, self._calls, self._drives = board.bus, board.cpu, calls, drives
        self._folders, self._handles, self._search = folders, handles, search
        self._console = console
        #: The host's files, by path; the latest is last.
        self._kept: dict[str, OpenFile] = {}
        #: Calls that answer in AL alone.
        self.services: dict[int, Service] = {
            0x0F: self._open,
            0x10: self._close,
            0x11: lambda: self._find(first=True),
            0x12: lambda: self._find(first=False),
            0x13: lambda: self._each(self._delete),
            0x14: lambda: self._sequential(self._read),
            0x15: lambda: self._sequential(self._write),
            0x16: self._create,
            0x17: lambda: self._each(self._rename),
            0x21: lambda: self._random(self._read),
            0x22: lambda: self._random(self._write),
            0x23: self._count_records,
            0x24: self._set_random,
            0x27: lambda: self._block(self._read),
            0x28: lambda: self._block(self._write),
        }

    def close(self) -> None:
        """Keep nothing open."""
        while self._kept:
            close_anyway(self._kept.popitem()[1])

    # --- the FCB ---

    @property
    def _at(self) -> int:
        """Where the FCB at DS:DX begins, without its extension."""
        at = self._cpu.linear("ds", "dx")
        return at + EXTENSION if self._bus.read8(at) == EXTENDED else at

    @property
    def _attributes(self) -> int:
        at = self._cpu.linear("ds", "dx")
        return self._bus.read8(at + ATTRIBUTES_AT) if self._bus.read8(at) == EXTENDED else 0

    def _name(self, at: int = NAME_AT) -> bytes:
        return self._bus.read(self._at + at, NAME_BYTES)

    def _folder(self) -> str:
        """The folder that an open FCB is of; the current one of its drive."""
        mark, number, _ = OWN.unpack(self._bus.read(self._at + NUMBER_AT, OWN.size))
        return self._search.folders.get(number, "") if mark == MARK else self._current

    @property
    def _current(self) -> str:
        """The current folder of the FCB's drive."""
        return self._drives.volume(self._bus.read8(self._at)).current

    def _own(self, folder: str, progress: int = 0) -> None:
        number = self._search.remember(folder)
        self._bus.write(self._at + NUMBER_AT, OWN.pack(MARK, number, progress))

    def _random_bytes(self) -> int:
        return 4 if self._record_bytes() < LONG_NUMBERS_BELOW else 3

    def _record_bytes(self) -> int:
        return self._bus.read16(self._at + RECORD_BYTES_AT) or RECORD_BYTES

    @property
    def _random_record(self) -> int:
        raw = self._bus.read(self._at + RANDOM_AT, self._random_bytes())
        return int.from_bytes(raw, "little")

    @_random_record.setter
    def _random_record(self, record: int) -> None:
        count = self._random_bytes()
        record &= (1 << 8 * count) - 1
        self._bus.write(self._at + RANDOM_AT, record.to_bytes(count, "little"))

    @property
    def _record(self) -> int:
        at = self._at
        return self._bus.read16(at + BLOCK_AT) * RECORDS_A_BLOCK + self._bus.read8(at + RECORD_AT)

    @_record.setter
    def _record(self, record: int) -> None:
        self._bus.write16(self._at + BLOCK_AT, record // RECORDS_A_BLOCK)
        self._bus.write8(self._at + RECORD_AT, record % RECORDS_A_BLOCK)

    # --- the host's files ---

    def _file(self, *, create: bool = False) -> OpenFile:
        """What an FCB stands for."""
        path = self._drives.name(self._folder(), as_name(self._name()))
        if create:
            self.close()
        file = self._kept.pop(path, None)
        if file is None:
            try:
                file = self._drives.open(path, os.O_RDWR, Opening(create=create))
            except DosError as error:
                if error.code != DENIED or create:
                    raise
                file = self._drives.open(path, os.O_RDONLY)
        self._kept[path] = file
        if len(self._kept) > KEPT:
            close_anyway(self._kept.pop(next(iter(self._kept))))
        return file

    def _open(self) -> None:
        self._begin(create=False)

    def _create(self) -> None:
        self._begin(create=True)

    def _begin(self, *, create: bool) -> None:
        self._bus.write(self._at + NUMBER_AT, bytes(OWN.size))  # of the current folder
        file = self._file(create=create)
        at, bus = self._at, self._bus
        when, date = file.stream.when
        bus.write8(at, place_drive(self._current) + 1)
        bus.write(at + BLOCK_AT, struct.pack("<HHI", 0, RECORD_BYTES, file.stream.size))
        bus.write(at + SIZE_AT + 4, struct.pack("<HH", date, when))
        self._own(self._current)
        self._cpu.al = DONE

    def _close(self) -> None:
        self._file()
        self._cpu.al = DONE

    # --- records ---

    def _sequential(self, move: Callable[[int, int], tuple[int, int]]) -> bool | None:
        """The record that is current, and on to the next."""
        record = self._record
        return self._move(move, record, 1, lambda count: setattr(self, "_record", record + count))

    def _random(self, move: Callable[[int, int], tuple[int, int]]) -> bool | None:
        """The record that the FCB names."""
        self._record = record = self._random_record
        return self._move(move, record, 1, lambda count: None)

    def _block(self, move: Callable[[int, int], tuple[int, int]]) -> bool | None:
        """CX records, from the one that the FCB names on."""
        record = self._random_record

        def go_on(count: int) -> None:
            self._random_record = record + count
            self._record = record + count
            self._cpu.cx = count

        return self._move(move, record, self._cpu.cx, go_on)

    def _move(
        self,
        move: Callable[[int, int], tuple[int, int]],
        record: int,
        count: int,
        go_on: Callable[[int], None],
    ) -> bool | None:
        ah, size = self._cpu.ah, self._record_bytes()
        room = (SEGMENT_BYTES - (self._search.dta & 0xF)) // size
        if self._file().name in ("CON", "AUX"):
            return self._move_slowly(move, min(count, room) * size, go_on)
        moved, said = move(record * size, min(count, room) * size)
        self._calls.spend(moved // 512)
        go_on(-(-moved // size))
        self._cpu.ah = ah
        self._cpu.al = WRAPS if count > room and said == DONE else said
        return None

    def _move_slowly(
        self,
        move: Callable[[int, int], tuple[int, int]],
        count: int,
        go_on: Callable[[int], None],
    ) -> bool | None:
        """To or from a device that takes its time."""
        ax, at, is_console = self._cpu.ax, self._search.dta, self._file().name == "CON"
        if move == self._write:
            write = self._console.type_memory if is_console else self._handles.auxiliary.send_memory
            waits, done = write(at, count), count
        elif not is_console:
            data = self._handles.read_file(self._file(), count)
            self._bus.write(at, data)
            waits, done = None, len(data)
        else:
            waits = self._console.read(at, count)
            done = 0 if waits is WAIT else self._cpu.ax
            self._cpu.ax = ax
        if waits is WAIT:
            return WAIT
        size = self._record_bytes()
        self._pad(done)
        go_on(-(-done // size))
        self._cpu.al = DONE if done % size == 0 and done else PARTLY if done else END
        return None

    def _pad(self, done: int) -> None:
        """A record that the file has not whole ends in zeros."""
        self._bus.write(self._search.dta + done, bytes(-done % self._record_bytes()))

    def _read(self, place: int, count: int) -> tuple[int, int]:
        file = self._file()
        if file.name in DEVICES:
            data = self._handles.read_file(file, count)
        else:
            file.stream.seek(place, os.SEEK_SET)
            data = file.stream.read(count)
        self._bus.write(self._search.dta, data)
        self._pad(len(data))
        if len(data) == count:
            return count, DONE
        return len(data), PARTLY if len(data) % self._record_bytes() else END

    def _write(self, place: int, count: int) -> tuple[int, int]:
        file = self._file()
        if file.name in DEVICES:
            return self._handles.write_file(file, self._bus.read(self._search.dta, count)), DONE
        file.stream.seek(place, os.SEEK_SET)
        if not count:
            file.stream.cut()
        written = file.stream.write(self._bus.read(self._search.dta, count))
        self._bus.write32(self._at + SIZE_AT, min(file.stream.size, 0xFFFFFFFF))
        return written, DONE if written == count else NO_ROOM

    def _count_records(self) -> None:
        """23h: the file's size in records; the FCB need not be open."""
        folder = self._folder()
        size = self._file().stream.size
        self._random_record = -(-size // self._record_bytes())
        self._own(folder)
        self._cpu.al = DONE

    def _set_random(self) -> None:
        self._random_record = self._record

    # --- names ---

    def _find(self, *, first: bool) -> None:
        """11h, 12h: what a search finds next, into the transfer area, as a folder's entry."""
        at, bus = self._at, self._bus
        mark, number, progress = OWN.unpack(bus.read(at + NUMBER_AT, OWN.size))
        if first or mark != MARK:
            folder, progress = self._current, 0
        else:
            folder = self._search.folders.get(number, "")
        attributes = self._attributes
        found = self._search.listing(folder, self._name().upper(), attributes, again=first)
        if progress >= len(found):
            raise DosError(NO_MORE_FILES)
        named = found[progress]
        self._own(folder, progress + 1)
        entry = ENTRY.pack(
            fcb_name(named.name), named.attributes, *named.when, 0, min(named.size, 0xFFFFFFFF)
        )
        drive = place_drive(folder) + 1
        head = bytes((drive,))
        if bus.read8(self._cpu.linear("ds", "dx")) == EXTENDED:
            head = bytes((EXTENDED, *bytes(5), attributes, drive))
        bus.write(self._search.dta, head + entry)
        self._cpu.al = DONE

    def _each(self, act: Callable[[str], None]) -> None:
        """Do it with all files that a pattern means."""
        folder = self._current
        self.close()
        found = self._search.listing(folder, self._name().upper(), 0, again=True)
        if not found:
            raise DosError(NO_MORE_FILES)
        for named in found:
            act(self._drives.name(folder, named.name))
        self._cpu.al = DONE

    def _delete(self, name: str) -> None:
        self._folders.delete(name)

    def _rename(self, name: str) -> None:
        """A question mark in the new name keeps the character that the old one has there."""
        old, new = fcb_name(name), self._name(NEW_NAME_AT)
        kept = bytes(a if b == ord("?") else b for a, b in zip(old, new, strict=True))
        self._folders.rename(name, as_name(kept))
