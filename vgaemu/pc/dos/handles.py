"""Files and devices by handle: INT 21h/3Ch to 40h, 42h to 44h, 57h.

Emulated: files of the program's folder, the console, devices that swallow what is written and read
nothing. Not emulated: duplicated handles, changed attributes and times (all are of 1980-01-01),
sharing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vgaemu.pc.bios.calls import WAIT, Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos import errors
from vgaemu.pc.dos.console import Console
from vgaemu.pc.dos.errors import DosError
from vgaemu.pc.dos.files import FIRST_DAY, MAX_POSITION, DosFiles, OpenFile
from vgaemu.pc.dos.memory import CURRENT_PREFIX_AT
from vgaemu.pc.dos.names import DEVICES, file_name
from vgaemu.pc.images import SECTOR
from vgaemu.snapshot import Part, text

#: Handles 0 to 4 are the console's.
CONSOLE_HANDLES, MAX_HANDLES = 5, 20
#: AL of INT 21h/3Dh, its lowest bits -> how the host opens a file.
ACCESSES = {0: os.O_RDONLY, 1: os.O_WRONLY, 2: os.O_RDWR}
#: What INT 21h/44h says of them: a device, and whether it is input and output, or nothing.
DEVICE_BITS = {"CON": 0x80D3, "NUL": 0x80C4}
OTHER_DEVICE_BITS, FILE_BITS = 0x80C0, 0x0002


class Handles:
    """What a program has open."""

    def __init__(self, board: Board, calls: Calls, console: Console, files: DosFiles) -> None:
        self._board, self._cpu, self._calls = board, board.cpu, calls
        self._console, self._files = console, files
        self.opened: dict[int, OpenFile] = {}
        #: The prefix of the program that has opened a handle; programs that it runs have it, too.
        self.owners: dict[int, int] = {}
        self.services: dict[int, Service] = {
            0x3C: self._create,
            0x3D: self._open,
            0x3E: self._close,
            0x3F: self._read,
            0x40: self._write,
            0x42: self._seek,
            0x43: self._attributes,
            0x44: self._device_control,
            0x57: self._file_time,
        }

    def close_all(self) -> None:
        """Close the program's files."""
        while self.opened:
            _close_anyway(self.opened.popitem()[1])

    def close_of(self, owner: int) -> None:
        """Close what a program that has ended had opened itself."""
        for handle in [handle for handle, who in self.owners.items() if who == owner]:
            del self.owners[handle]
            if (file := self.opened.pop(handle, None)) is not None:
                _close_anyway(file)

    @property
    def _current(self) -> int:
        return self._board.bus.read16(CURRENT_PREFIX_AT)

    def _new_handle(self) -> int:
        free = [n for n in range(CONSOLE_HANDLES, MAX_HANDLES) if n not in self.opened]
        if not free:
            raise DosError(errors.TOO_MANY)
        return free[0]

    def _file(self) -> OpenFile:
        file = self.opened.get(self._cpu.bx)
        if file is None:
            raise DosError(errors.BAD_HANDLE)
        return file

    def _device(self) -> str | None:
        """What the handle in BX is, if it is no file."""
        if self._cpu.bx < CONSOLE_HANDLES:
            return "CON"
        name = self._file().name
        return name if name in DEVICES else None

    def _create(self) -> None:
        handle = self._new_handle()
        self._has_opened(handle, self._files.open(file_name(self._board), os.O_RDWR, create=True))

    def _has_opened(self, handle: int, file: OpenFile) -> None:
        self.opened[handle], self.owners[handle] = file, self._current
        self._cpu.ax = handle

    def _open(self) -> None:
        handle = self._new_handle()
        access = ACCESSES.get(self._cpu.al & 7)
        if access is None:
            raise DosError(errors.BAD_ACCESS)
        self._has_opened(handle, self._files.open(file_name(self._board), access))

    def _close(self) -> None:
        if self._cpu.bx >= CONSOLE_HANDLES:
            file = self._file()
            if self.owners.get(self._cpu.bx, self._current) != self._current:
                return  # the program that has opened it goes on with it
            # Whatever the host says of it, the number is the host's again: never close it twice.
            del self.opened[self._cpu.bx]
            self.owners.pop(self._cpu.bx, None)
            os.close(file.fd)

    def _read(self) -> bool | None:
        at, count = self._cpu.linear("ds", "dx"), self._cpu.cx
        if self._device() == "CON":
            return self._console.read(at, count)
        data = self._files.read(self._file().fd, count)
        self._board.bus.write(at, data)
        self._calls.spend(len(data) // SECTOR)
        self._cpu.ax = len(data)
        return None

    def _write(self) -> bool | None:
        at, count, device = self._cpu.linear("ds", "dx"), self._cpu.cx, self._device()
        if device is None:
            count = self._write_file(self._file().fd, at, count)
        elif device == "CON" and self._console.type_memory(at, count) is WAIT:
            return WAIT
        self._cpu.ax = count
        return None

    def _write_file(self, fd: int, at: int, count: int) -> int:
        if not count:  # writing nothing cuts the file off
            self._files.cut(fd)
            return 0
        self._calls.spend(count // SECTOR)
        return self._files.write(fd, self._board.bus.read(at, count))

    def _seek(self) -> None:
        cpu = self._cpu
        if cpu.al > 2:
            raise DosError(errors.BAD_FUNCTION)
        offset = cpu.cx << 16 | cpu.dx
        if cpu.al:
            offset -= (offset & 0x8000_0000) << 1
        place = self._files.seek(self._file().fd, offset, cpu.al)
        cpu.dx, cpu.ax = place >> 16, place & 0xFFFF

    def _attributes(self) -> None:
        if self._cpu.al != 0:
            raise DosError(errors.DENIED)
        self._cpu.cx = self._files.attributes(file_name(self._board))

    def _device_control(self) -> None:
        if self._cpu.al != 0:
            raise DosError(errors.BAD_FUNCTION)
        device = self._device()
        self._cpu.dx = FILE_BITS if device is None else DEVICE_BITS.get(device, OTHER_DEVICE_BITS)

    def _file_time(self) -> None:
        if self._cpu.al == 0:
            self._device()
            self._cpu.cx, self._cpu.dx = 0, FIRST_DAY

    def part(self) -> Part:
        """Handle, name below the folder, access, position; restored by `reopened`."""
        return text(
            lambda: [
                [handle, file.name, file.access, os.lseek(file.fd, 0, os.SEEK_CUR)]
                for handle, file in sorted(self.opened.items())
            ],
            lambda _: None,
            _are_files,
        )

    @contextmanager
    def at(self, saved: list[tuple[int, str, int, int]]) -> Iterator[None]:
        """As `reopened`, but what is open already stays, and is only sought to its place."""
        mine = [(handle, file.name, file.access) for handle, file in sorted(self.opened.items())]
        if mine != [(handle, name, access) for handle, name, access, _ in saved]:
            with self.reopened(saved):
                yield
            return
        yield
        for handle, _, _, place in saved:
            os.lseek(self.opened[handle].fd, place, os.SEEK_SET)

    @contextmanager
    def reopened(self, saved: list[tuple[int, str, int, int]]) -> Iterator[None]:
        """Open what a saved program had open, and take it over if the block succeeds.

        Raises:
            FileNotFoundError: One cannot be opened; its name is the error's.
        """
        handles: dict[int, OpenFile] = {}
        try:
            for handle, name, access, place in saved:
                try:
                    # As a path of its folder: a name with a colon is no drive.
                    handles[handle] = file = self._files.open(f"C:{name}", access)
                    os.lseek(file.fd, place, os.SEEK_SET)
                except (DosError, OSError):
                    raise FileNotFoundError(name) from None
            self._files.take_work()  # not the program's
            yield
        except BaseException:
            for file in handles.values():
                _close_anyway(file)
            self._files.take_work()
            raise
        self.close_all()
        self.opened = handles


def _close_anyway(file: OpenFile) -> None:
    with suppress(OSError):
        os.close(file.fd)


def _are_files(files: Any) -> bool:
    return len({handle for handle, _, _, _ in files}) == len(files) and all(
        all(isinstance(number, int) for number in (handle, access, place))
        and CONSOLE_HANDLES <= handle < MAX_HANDLES
        and isinstance(name, str)
        and access in ACCESSES.values()
        and 0 <= place <= MAX_POSITION
        for handle, name, access, place in files
    )
