"""Drives: which files a name with a letter means, and what there is of each drive in memory.

Emulated: C:, the host's folder; A: and B:, floppies, and from D: on hard disks, which are images
with a FAT; the current drive, and a current folder for each; parameter blocks and current folders
as programs find them. Not emulated: SUBST and JOIN, disks that are changed while a program runs.

A place is a folder or file as its drive tells it: below C: as the host spells it, with slashes, of
other drives with their letter before it, which no name of the host has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from vgaemu.pc.board import Board
from vgaemu.pc.dos.area import (
    DRIVE_AT,
    DRIVE_C,
    FIRST_DRIVES,
    block_of,
    directories_at,
    last_drive,
    set_directory,
)
from vgaemu.pc.dos.entries import AS_IT_IS, NamedFile, Nothing, OpenFile, Opening, packed
from vgaemu.pc.dos.errors import BAD_DRIVE, NO_PATH, DosError
from vgaemu.pc.dos.fat_files import FatFiles
from vgaemu.pc.dos.files import DosFiles
from vgaemu.pc.dos.names import device_of, place_drive
from vgaemu.pc.dos.tables import write_block
from vgaemu.pc.images import DiskImage
from vgaemu.snapshot import Part, text

#: The first hard disk has the letter behind C:.
FIRST_HARD_DISK = 3
#: Most bytes of a current folder with its zero, as 47h has room for them.
MAX_CURRENT = 64


#: The files of one drive, by names with slashes or backslashes, with its letter or without.
Volume: TypeAlias = DosFiles | FatFiles


class Drives:
    """All drives, and which is current."""

    def __init__(self, board: Board, host: DosFiles, disks: Iterable[DiskImage] = ()) -> None:
        self._bus, self.host = board.bus, host
        self.volumes: dict[int, Volume] = {DRIVE_C: host}

        def now() -> tuple[int, int]:
            return packed(board.cmos.now())

        floppies, hard_disks = 0, FIRST_HARD_DISK
        for disk in disks:
            number = hard_disks if disk.is_hard_disk else floppies
            volume = FatFiles(disk, chr(ord("A") + number), now)
            if disk.is_cd or (disk.is_hard_disk and not volume.fat.is_there):
                continue
            self.volumes[number] = volume
            hard_disks, floppies = hard_disks + disk.is_hard_disk, floppies + (number < DRIVE_C)

    @property
    def count(self) -> int:
        """Letters that there are, whether there is a drive or not."""
        return max(FIRST_DRIVES, 1 + max(self.volumes))

    @property
    def is_single(self) -> bool:
        """Whether there is C:, and no other."""
        return len(self.volumes) == 1

    @property
    def disks(self) -> Mapping[int, FatFiles]:
        """Drives that are images."""
        volumes = self.volumes.items()
        return {drive: volume for drive, volume in volumes if isinstance(volume, FatFiles)}

    @property
    def current(self) -> int:
        """Number of the current drive; part of DOS's own data."""
        drive = self._bus.read8(DRIVE_AT)
        return drive if drive in self.volumes else DRIVE_C

    @current.setter
    def current(self, drive: int) -> None:
        self._bus.write8(DRIVE_AT, drive)

    # --- which drive ---

    def number(self, drive: int) -> int:
        """Of a drive as calls tell it: the current one is 0, A: is 1.

        Raises:
            DosError: There is none.
        """
        found = drive - 1 if drive else self.current
        if found not in self.volumes:
            raise DosError(BAD_DRIVE)
        return found

    def volume(self, drive: int) -> Volume:
        """The same drive's files."""
        return self.volumes[self.number(drive)]

    def number_of(self, name: str) -> int:
        """The number of the drive that a name is of.

        Raises:
            DosError: There is none.
        """
        if name[1:2] != ":" or device_of(name) is not None:
            return self.current
        drive = ord(name[0].upper()) - ord("A")
        if drive not in self.volumes:
            raise DosError(NO_PATH)
        return drive

    def of(self, name: str) -> Volume:
        """The files that a name is of."""
        return self.volumes[self.number_of(name)]

    @staticmethod
    def name(place: str, name: str = "") -> str:
        """A place, or a name there, as programs would say it in full."""
        whole = place if place[1:2] == ":" else f"C:/{place}" if place else "C:"
        return f"{whole}/{name}" if name else whole

    # --- what all of them can do ---

    @property
    def is_gone(self) -> bool:
        """Whether there was a folder for C:, and is no more."""
        return self.host.is_gone

    def take_work(self) -> int:
        """See `Volume`."""
        return sum([volume.take_work() for volume in self.volumes.values()])

    def open(self, name: str, access: int, how: Opening = AS_IT_IS) -> OpenFile:
        """Open an ordinary file of its drive, or a device; O_RDONLY, O_WRONLY or O_RDWR.

        Raises:
            DosError, OSError: It cannot be opened.
        """
        device = device_of(name)
        if device is not None:
            return OpenFile(Nothing(), device, access)
        return self.of(name).open(name, access, how)

    def folder(self, pattern: str) -> tuple[str, str]:
        """See `Volume`."""
        return self.of(pattern).folder(pattern)

    def listing(self, folder: str, wanted: bytes, attributes: int) -> list[NamedFile]:
        """See `Volume`; the folder is a place."""
        return self.volumes[place_drive(folder)].listing(folder, wanted, attributes)

    # --- what programs find in memory ---

    def show(self) -> None:
        """Parameter blocks, in a chain, and current folders of all drives."""
        drives = sorted(self.volumes)
        for drive, following in zip(drives, [*drives[1:], None], strict=True):
            volume = self.volumes[drive]
            known = volume if isinstance(volume, DosFiles) or volume.fat.is_there else self.host
            write_block(self._bus, drive, known.geometry, following)
        for drive in range(self.count):
            self._show_folder(drive)

    def _show_folder(self, drive: int) -> None:
        volume = self.volumes.get(drive)
        folder, block = ("", None) if volume is None else (volume.shown, block_of(drive))
        if drive < last_drive(self._bus):
            set_directory(self._bus, directories_at(self._bus), drive, folder, block)

    def go_to(self, drive: int, place: str) -> None:
        """A folder becomes the current one of its drive.

        Raises:
            DosError: It is longer than there is room for.
        """
        volume = self.volumes[drive]
        if len(place) - len(volume.root) >= MAX_CURRENT:
            raise DosError(NO_PATH)
        volume.current = place
        self._show_folder(drive)

    def parts(self) -> dict[str, Part]:
        """Current folders; they need not be there any more."""
        return {
            "dos.folder": text(
                lambda: self.host.current, lambda place: self.go_to(DRIVE_C, place), _is_place
            ).or_else(lambda: self.go_to(DRIVE_C, "")),
            "dos.folders": text(
                lambda: [[drive, disk.current] for drive, disk in self.disks.items()],
                self._restore,
                self._are_folders,
            ).or_else(lambda: self._restore([])),
        }

    def _restore(self, folders: list[list[Any]]) -> None:
        for drive, disk in self.disks.items():
            self.go_to(drive, dict(map(tuple, folders)).get(drive, disk.root))

    def _are_folders(self, folders: Any) -> bool:
        return all(
            drive in self.disks and _is_place(place, self.disks[drive].root)
            for drive, place in folders
        )


def _is_place(place: Any, root: str = "") -> bool:
    return (
        isinstance(place, str)
        and place.startswith(root)
        and len(place) - len(root) < MAX_CURRENT
        and "\0" not in place
        and ".." not in place.split("/")
    )
