"""Find first, find next: INT 21h/1Ah, 2Fh, 4Eh, 4Fh.

Emulated: searches with patterns in the folders of drives; where one has come to lies in its disk
transfer area, as in DOS, so a program may have many. Not emulated: a volume label of C:.
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar

from vgaemu.pc.bios.calls import Calls, Service
from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import TRANSFER_AT
from vgaemu.pc.dos.drives import Drives
from vgaemu.pc.dos.entries import NamedFile
from vgaemu.pc.dos.errors import NO_MORE_FILES, DosError
from vgaemu.pc.dos.memory import PREFIX
from vgaemu.pc.dos.names import fcb_name, file_name, place_drive
from vgaemu.snapshot import Part, Saved, text

#: Folders and listings of searches that are remembered, for those that are not yet at their end.
#: A state has room for so many folders (`MAX_BYTES`), whatever characters their paths have.
MAX_FOLDERS, MAX_LISTINGS = 80, 16
#: Start of a disk transfer area, DOS's own part: drive, what is searched for as an FCB has it,
#: attributes, how far the search has come, number of the folder.
SEARCH = struct.Struct("<B11sBHH4x")
#: Behind it: attributes, time, date, size, name.
FOUND = struct.Struct("<BHHI13s")


class Search:
    """The disk transfer area, and folders that are searched."""

    SAVED: ClassVar[Saved] = {"dta": (0, 0x10FFEF)}

    def __init__(self, board: Board, calls: Calls, drives: Drives) -> None:
        self._board, self._cpu, self._calls, self._drives = board, board.cpu, calls, drives
        self.dta = (PREFIX << 4) + 0x80
        #: Folders of searches, by the number that their transfer areas have; the latest is last.
        self.folders: dict[int, str] = {}
        self._listings: dict[tuple[str, bytes, int], list[NamedFile]] = {}
        self.services: dict[int, Service] = {
            0x1A: self._set_dta,
            0x2F: self._get_dta,
            0x4E: self._find_first,
            0x4F: self._find_next,
        }

    @property
    def dta(self) -> int:
        """Guest-physical address of the disk transfer area; part of DOS's own data."""
        bus = self._board.bus
        return (bus.read16(TRANSFER_AT + 2) << 4) + bus.read16(TRANSFER_AT)

    @dta.setter
    def dta(self, at: int) -> None:
        if at != self.dta:  # else it is as it was said
            self._write_dta(min(at >> 4, 0xFFFF), at - (min(at >> 4, 0xFFFF) << 4))

    def _write_dta(self, segment: int, offset: int) -> None:
        self._board.bus.write32(TRANSFER_AT, segment << 16 | offset)

    def _set_dta(self) -> None:
        self._write_dta(self._cpu.ds, self._cpu.dx)

    def _get_dta(self) -> None:
        self._cpu.set("es", self._board.bus.read16(TRANSFER_AT + 2))
        self._cpu.bx = self._board.bus.read16(TRANSFER_AT)

    def _find_first(self) -> None:
        folder, pattern = self._drives.folder(file_name(self._board))
        wanted, attributes = fcb_name(pattern), self._cpu.cl
        self.listing(folder, wanted, attributes, again=True)
        drive = place_drive(folder) + 1
        self._find(SEARCH.pack(drive, wanted, attributes, 0, self._number_of(folder)), folder)

    def _number_of(self, folder: str) -> int:
        numbers = {known: number for number, known in self.folders.items()}
        free = (number for number in range(MAX_FOLDERS + 1) if number not in self.folders)
        return numbers[folder] if folder in numbers else next(free)

    def remember(self, folder: str) -> int:
        """A number for a folder, as long as not too many others are asked for."""
        number = self._number_of(folder)
        self._use(number, folder)
        return number

    def _use(self, number: int, folder: str) -> None:
        self.folders.pop(number, None)
        self.folders[number] = folder
        if len(self.folders) > MAX_FOLDERS:
            del self.folders[next(iter(self.folders))]

    def _find_next(self) -> None:
        search = self._board.bus.read(self.dta, SEARCH.size)
        folder = self.folders.get(SEARCH.unpack(search)[-1])
        if folder is None:
            raise DosError(NO_MORE_FILES)
        self._find(search, folder)

    def _find(self, search: bytes, folder: str) -> None:
        """What a search finds next, into the transfer area, where the search itself lies, too."""
        drive, wanted, attributes, place, number = SEARCH.unpack(search)
        self._use(number, folder)
        found = self.listing(folder, wanted, attributes)
        if place >= len(found):
            raise DosError(NO_MORE_FILES)
        name, size, kind, when = found[place]
        entry = FOUND.pack(kind, *when, min(size, 0xFFFFFFFF), name.encode("cp437", "replace"))
        search = SEARCH.pack(drive, wanted, attributes, place + 1, number)
        self._board.bus.write(self.dta, search + entry)
        self._cpu.ax = 0

    def listing(
        self, folder: str, wanted: bytes, attributes: int, *, again: bool = False
    ) -> list[NamedFile]:
        """What a search finds, as it was when one began; `again`: one begins."""
        key = folder, wanted, attributes
        if again:
            self._listings.pop(key, None)
        if key not in self._listings:
            self._listings[key] = self._drives.listing(*key)
            self._calls.spend(1 + len(self._listings[key]))
            if len(self._listings) > MAX_LISTINGS:
                del self._listings[next(iter(self._listings))]
        return self._listings[key]

    def part(self) -> Part:
        """Number and name of the folders that were searched."""
        return text(
            lambda: [[number, folder] for number, folder in self.folders.items()],
            self._restore,
            _are_folders,
        )

    def _restore(self, folders: list[list[Any]]) -> None:
        latest = folders[-MAX_FOLDERS:]
        self.folders = {int(number): str(folder) for number, folder in latest}


def _are_folders(folders: Any) -> bool:
    return all(
        isinstance(number, int)
        and 0 <= number <= 0xFFFF
        and isinstance(folder, str)
        and "\0" not in folder
        for number, folder in folders
    )
