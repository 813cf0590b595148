"""Names of files and folders: INT 21h/39h to 3Bh, 41h, 43h, 47h, 56h, 60h.

Emulated: folders made, removed and gone to, files deleted, renamed (into other folders, too) and
given attributes, each on its drive. Not emulated: patterns in names that are deleted (network
redirectors have them); hidden and system files of the host (asked for, they are none).

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

from vgaemu.pc.bios.calls import Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.drives import MAX_CURRENT, Drives
from vgaemu.pc.dos.entries import SETTABLE
from vgaemu.pc.dos.errors import BAD_FUNCTION, DENIED, NO_PATH, OTHER_DRIVE, DosError
from vgaemu.pc.dos.handles import Handles
from vgaemu.pc.dos.names import device_of, file_name

#: Bytes that 60h has room for.
MAX_TRUE_NAME = 128


class Folders:
    """The names on drives, as far as programs change them."""

    def __init__(self, board: Board, drives: Drives, handles: Handles) -> None:
        self._board, self._cpu, self._drives = board, board.cpu, drives
        self._handles = handles
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
        self._drives.of(name).delete(name, self._refuse_open)

    def rename(self, name: str, new: str) -> None:
        """Give a file, or a folder in its place, another name.

        Raises:
            DosError, OSError: There is none, there is one of that name, or it is none to give.
        """
        drives = self._drives
        if drives.of(name) is not drives.of(new):
            raise DosError(OTHER_DRIVE)
        drives.of(name).rename(name, new, self._refuse_open)

    def _refuse_open(self, place: str) -> None:
        """What is open stays: a state of it could not be gone on from."""
        if self._handles.has_open(place):
            raise DosError(DENIED)

    def _make_folder(self) -> None:
        name = file_name(self._board)
        self._drives.of(name).make_folder(name)

    def _remove_folder(self) -> None:
        name = file_name(self._board)
        self._drives.of(name).remove_folder(name)

    def _change_folder(self) -> None:
        name = file_name(self._board)
        if not name:
            raise DosError(NO_PATH)
        drives = self._drives
        drives.go_to(drives.number_of(name), drives.of(name).find_folder(name))

    def _attributes(self) -> None:
        cpu, call = self._cpu, self._cpu.al
        if call > 1:
            raise DosError(BAD_FUNCTION)
        name = file_name(self._board)
        volume = self._drives.of(name)
        if call == 0:
            cpu.cx = volume.attributes(name)
        elif cpu.cx & ~SETTABLE:
            volume.attributes(name)
            raise DosError(DENIED)
        else:
            volume.set_attributes(name, cpu.cx)

    def _current_folder(self) -> None:
        shown = self._drives.volume(self._cpu.dl).shown
        path = shown.encode("cp437", "replace")[: MAX_CURRENT - 1]
        self._board.bus.write(self._cpu.linear("ds", "si"), path + b"\0")
        self._cpu.ax = 0x0100

    def true_name(self) -> None:
        """60h, INT 2Fh/1221h: DS:SI in full, to ES:DI; it need not be there."""
        name = file_name(self._board, "si")
        device = device_of(name)
        parts: list[str] = []
        drive = self._drives.number_of(name)
        below = (name[2:] if name[1:2] == ":" else name).replace("\\", "/")
        shown = self._drives.volumes[drive].shown
        folder = "" if below.startswith("/") else shown.replace("\\", "/")
        for part in f"{folder}/{below}".split("/"):
            if part == ".." and not parts:
                raise DosError(NO_PATH)
            if part == "..":
                parts.pop()
            elif part not in ("", "."):
                parts.append(part)
        letter = chr(ord("A") + drive)
        path = f"{letter}:/{device}" if device else f"{letter}:\\" + _as_dos("/".join(parts))
        raw = path.encode("cp437", "replace")[: MAX_TRUE_NAME - 1]
        self._board.bus.write(self._cpu.linear("es", "di"), raw + b"\0")


def _as_dos(folder: str) -> str:
    return folder.replace("/", "\\").upper()
