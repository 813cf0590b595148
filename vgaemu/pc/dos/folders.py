"""Names of files and folders: INT 21h/39h to 3Bh, 41h, 43h, 47h, 56h, 60h.

Emulated: folders made, removed and gone to, files deleted, renamed (into other folders, too) and
made read-only, all of it in the host's folder that the program sees as drive C:, and nowhere else.
Not emulated: hidden and system files (asked for, they are none), patterns in names that are deleted
(network redirectors have them).

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from vgaemu.pc.bios.calls import Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import set_directory
from vgaemu.pc.dos.entries import READ_ONLY, SETTABLE, attributes_of, mode_of
from vgaemu.pc.dos.errors import (
    BAD_DRIVE,
    BAD_FUNCTION,
    CURRENT_FOLDER,
    DENIED,
    EXISTS,
    NO_FILE,
    NO_PATH,
    DosError,
)
from vgaemu.pc.dos.files import DosFiles
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.dos.host_file import set_mode
from vgaemu.pc.dos.names import below_drive, device_of, file_name
from vgaemu.snapshot import Part, text

#: Bytes that 47h has room for, with the zero; that 60h has.
MAX_CURRENT, MAX_TRUE_NAME = 64, 128
#: Drives of 47h: the current one, C:.
DEFAULT, DRIVE_C = 0, 3


class Folders:
    """The names below the program's folder, as far as it changes them."""

    def __init__(self, board: Board, files: DosFiles, handles: Handles) -> None:
        self._board, self._cpu, self._files = board, board.cpu, files
        self._handles = handles
        #: The current folder as DOS names it.
        self._shown = ""
        self.services: dict[int, Service] = {
            0x39: self._make_folder,
            0x3A: self._remove_folder,
            0x3B: self._change_folder,
            0x41: lambda: self.delete(file_name(board)),
            0x43: self._attributes,
            0x47: self._current_folder,
            0x56: lambda: self.rename(file_name(board), file_name(board, "di", "es")),
            0x60: self.true_name,
        }

    def delete(self, name: str) -> None:
        """Delete a file.

        Raises:
            DosError, OSError: There is none, or it is read-only or open.
        """
        with self._files.reached(self._closed(name)) as (folder, entry):
            mode = mode_of(entry, folder)
            if not stat.S_ISREG(mode) or attributes_of(mode) & READ_ONLY:
                raise DosError(DENIED)
            os.unlink(entry, dir_fd=folder)

    def rename(self, name: str, new: str) -> None:
        """Give a file, or a folder in its place, another name.

        Raises:
            DosError, OSError: There is none, there is one of that name, or it is none to give.
        """
        old, place = self._closed(name), self._ordinary(new, must_exist=False)
        files = self._files
        with files.reached(old) as (source, entry), files.reached(place) as (target, to):
            mode = mode_of(entry, source)
            if mode_of(to, target):
                raise DosError(DENIED if old == place else EXISTS)
            if not stat.S_ISREG(mode) and (not stat.S_ISDIR(mode) or old.parent != place.parent):
                raise DosError(DENIED)
            os.rename(entry, to, src_dir_fd=source, dst_dir_fd=target)

    def _ordinary(self, name: str, *, must_exist: bool = True) -> Path:
        """A path that is no device's, nor the root."""
        if device_of(name) is not None:
            raise DosError(DENIED)
        return self._files.resolve(name, must_exist=must_exist)

    def _closed(self, name: str) -> Path:
        """A path that nothing has open: a state of what has could not be gone on from."""
        path = self._ordinary(name)
        if self._handles.has_open(self._files.below_root(path)):
            raise DosError(DENIED)
        return path

    def _make_folder(self) -> None:
        path = self._ordinary(file_name(self._board), must_exist=False)
        with self._files.reached(path) as (folder, entry):
            if mode_of(entry, folder):
                raise DosError(DENIED)
            self._files.take_cluster()
            os.mkdir(entry, dir_fd=folder)

    def _folder(self, name: str) -> Path:
        try:
            path = self._files.resolve(name)
        except DosError as error:
            raise DosError(NO_PATH if error.code == NO_FILE else error.code) from None
        if not stat.S_ISDIR(mode_of(path)):
            raise DosError(NO_PATH)
        return path

    def _remove_folder(self) -> None:
        path = self._folder(file_name(self._board))
        below, current = self._files.below_root(path), self._files.current
        if not below or f"{current}/".startswith(f"{below}/"):
            raise DosError(CURRENT_FOLDER)
        with self._files.reached(path) as (folder, entry):
            os.rmdir(entry, dir_fd=folder)

    def _change_folder(self) -> None:
        name = file_name(self._board)
        below = self._files.absolute(name)
        if not name:
            raise DosError(NO_PATH)
        if {*below.split("/")} <= {"", "."}:
            self._go_to("")
        else:
            self._go_to(self._files.below_root(self._folder(name)))

    def _go_to(self, folder: str) -> None:
        if len(folder) >= MAX_CURRENT:
            raise DosError(NO_PATH)
        self._files.current, self._shown = folder, self._files.short(folder)
        set_directory(self._board.bus, self._shown)

    def _attributes(self) -> None:
        cpu, call = self._cpu, self._cpu.al
        if call > 1:
            raise DosError(BAD_FUNCTION)
        with self._files.reached(self._files.resolve(file_name(self._board))) as (folder, entry):
            mode = mode_of(entry, folder)
            if call == 0:
                cpu.cx = attributes_of(mode)
                return
            if cpu.cx & ~SETTABLE or stat.S_ISDIR(mode):
                raise DosError(DENIED)
            writes = 0 if cpu.cx & READ_ONLY else stat.S_IWUSR
            if not stat.S_ISREG(mode):
                raise DosError(DENIED)
            if mode & stat.S_IWUSR != writes:
                set_mode(entry, folder, stat.S_IMODE(mode) & ~stat.S_IWUSR | writes)

    def _current_folder(self) -> None:
        if self._cpu.dl not in (DEFAULT, DRIVE_C):
            raise DosError(BAD_DRIVE)
        path = self._shown.encode("cp437", "replace")[: MAX_CURRENT - 1]
        self._board.bus.write(self._cpu.linear("ds", "si"), path + b"\0")
        self._cpu.ax = 0x0100

    def true_name(self) -> None:
        """60h, INT 2Fh/1221h: DS:SI in full, to ES:DI; it need not be there."""
        name = file_name(self._board, "si")
        device = device_of(name)
        parts: list[str] = []
        below = below_drive(name)
        folder = "" if below.startswith("/") else self._shown.replace("\\", "/")
        for part in f"{folder}/{below}".split("/"):
            if part == ".." and not parts:
                raise DosError(NO_PATH)
            if part == "..":
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        path = f"C:/{device}" if device else "C:\\" + _as_dos("/".join(parts))
        raw = path.encode("cp437", "replace")[: MAX_TRUE_NAME - 1]
        self._board.bus.write(self._cpu.linear("es", "di"), raw + b"\0")

    def part(self) -> Part:
        """The current folder; it need not be there any more."""
        return text(
            lambda: self._files.current,
            self._go_to,
            lambda folder: isinstance(folder, str) and len(folder) < MAX_CURRENT
            and "\0" not in folder and ".." not in folder.split("/"),
        )._replace(absent=lambda: self._go_to(""))  # fmt: skip


def _as_dos(folder: str) -> str:
    return folder.replace("/", "\\").upper()
