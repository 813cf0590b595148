"""Files and devices by handle: INT 21h/3Ch to 40h, 42h to 44h, 57h.

Emulated: files of the program's folder, the console, devices that swallow what is written and read
nothing. Not emulated: duplicated handles, changed attributes and times (all are of 1980-01-01),
sharing.

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vgaemu.pc.bios.calls import WAIT, Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.caller import (
    BAD_ACCESS,
    BAD_FUNCTION,
    BAD_HANDLE,
    DENIED,
    TOO_MANY,
    Caller,
    DosError,
)
from vgaemu.pc.dos.console import Console
from vgaemu.pc.dos.files import ARCHIVE, FIRST_DAY, FOLDER, DosFiles, OpenFile
from vgaemu.pc.dos.names import DEVICES
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
        self._bus, self._cpu, self._calls = board.bus, board.cpu, calls
        self._caller, self._console, self._files = Caller(board, calls), console, files
        self.opened: dict[int, OpenFile] = {}
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
        for file in self.opened.values():
            os.close(file.fd)
        self.opened.clear()

    def _new_handle(self) -> int:
        for handle in range(CONSOLE_HANDLES, MAX_HANDLES):
            if handle not in self.opened:
                return handle
        raise DosError(TOO_MANY)

    def _file(self) -> OpenFile:
        file = self.opened.get(self._cpu.bx)
        if file is None:
            raise DosError(BAD_HANDLE)
        return file

    def _device(self) -> str | None:
        """What the handle in BX is, if it is no file."""
        if self._cpu.bx < CONSOLE_HANDLES:
            return "CON"
        name = self._file().name
        return name if name in DEVICES else None

    def _create(self) -> None:
        handle = self._new_handle()
        self.opened[handle] = self._files.open(self._caller.name(), os.O_RDWR, create=True)
        self._caller.succeed(handle)

    def _open(self) -> None:
        handle = self._new_handle()
        access = ACCESSES.get(self._cpu.al & 7)
        if access is None:
            raise DosError(BAD_ACCESS)
        self.opened[handle] = self._files.open(self._caller.name(), access)
        self._caller.succeed(handle)

    def _close(self) -> None:
        if self._cpu.bx >= CONSOLE_HANDLES:
            os.close(self._file().fd)
            del self.opened[self._cpu.bx]
        self._caller.succeed()

    def _read(self) -> bool | None:
        at, count = self._caller.buffer, self._cpu.cx
        if self._device() == "CON":
            return self._console.read(at, count)
        data = os.read(self._file().fd, count)
        self._bus.write(at, data)
        self._calls.spend(len(data) // SECTOR)
        self._caller.succeed(len(data))
        return None

    def _write(self) -> bool | None:
        at, count, device = self._caller.buffer, self._cpu.cx, self._device()
        if device is not None:
            if device == "CON" and self._console.type_memory(at, count) is WAIT:
                return WAIT
            self._caller.succeed(count)
            return None
        fd = self._file().fd
        if not count:  # writing nothing cuts the file off
            os.ftruncate(fd, os.lseek(fd, 0, os.SEEK_CUR))
            self._caller.succeed(0)
            return None
        self._calls.spend(count // SECTOR)
        self._caller.succeed(self._files.write(fd, self._bus.read(at, count)))
        return None

    def _seek(self) -> None:
        cpu = self._cpu
        if cpu.al > 2:
            raise DosError(BAD_FUNCTION)
        offset = cpu.cx << 16 | cpu.dx
        if cpu.al:
            offset -= (offset & 0x8000_0000) << 1
        place = self._files.seek(self._file().fd, offset, cpu.al)
        cpu.dx = place >> 16
        self._caller.succeed(place & 0xFFFF)

    def _attributes(self) -> None:
        if self._cpu.al != 0:
            raise DosError(DENIED)
        path = self._files.resolve(self._caller.name())
        self._cpu.cx = FOLDER if path.is_dir() else ARCHIVE
        self._caller.succeed()

    def _device_control(self) -> None:
        if self._cpu.al != 0:
            raise DosError(BAD_FUNCTION)
        device = self._device()
        bits = FILE_BITS if device is None else DEVICE_BITS.get(device, OTHER_DEVICE_BITS)
        self._cpu.dx = bits
        self._caller.succeed()

    def _file_time(self) -> None:
        if self._cpu.al == 0:
            self._device()
            self._cpu.cx, self._cpu.dx = 0, FIRST_DAY
        self._caller.succeed()

    def part(self) -> Part:
        """What is open, as it is saved: handle, name below the folder, access, position.

        Files may be gone, so `reopened` restores them.
        """
        return text(
            lambda: [
                [handle, file.name, file.access, self._files.seek(file.fd, 0, 1)]
                for handle, file in sorted(self.opened.items())
            ],
            lambda _: None,
            _are_files,
        )

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
                    self._files.seek(file.fd, place, 0)
                except (DosError, OSError):
                    raise FileNotFoundError(name) from None
            yield
        except BaseException:
            for file in handles.values():
                os.close(file.fd)
            raise
        self.close_all()
        self.opened = handles


def _are_files(files: Any) -> bool:
    handles = [handle for handle, _, _, _ in files]
    return len(set(handles)) == len(handles) and all(
        all(isinstance(number, int) for number in (handle, access, place))
        and CONSOLE_HANDLES <= handle < MAX_HANDLES
        and isinstance(name, str)
        and access in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR)
        for handle, name, access, place in files
    )
