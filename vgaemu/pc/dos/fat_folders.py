"""Folders of a disk with a FAT: their entries, found, made and changed.

Emulated: the root, which has so many entries, and folders, which grow; names of 8.3. Not emulated:
the long names of newer systems, whose entries stay as they are, and unseen.

Source: Microsoft's FAT specification 1.03.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from vgaemu.pc.dos.entries import DIRECTORY_OR_LABEL, FOLDER, VOLUME_LABEL
from vgaemu.pc.dos.errors import DENIED, NO_PATH, DosError
from vgaemu.pc.dos.fat import Fat
from vgaemu.pc.dos.geometry import ENTRY_BYTES
from vgaemu.pc.images import SECTOR

#: Name, attributes, what newer systems have, time, date, cluster, size.
ENTRY = struct.Struct("<11sB10sHHHI")
#: First byte of a name: there is none here, nor behind it; it was deleted; it is E5h.
UNUSED, DELETED, IS_E5 = 0x00, 0xE5, 0x05
#: Attributes of a part of a long name.
LONG_NAME = 0x0F
#: A folder has no more bytes.
MAX_FOLDER = 0x10000 * ENTRY_BYTES
#: The root has no cluster.
ROOT = 0
DOTS = (b".          ", b"..         ")


class Entry(NamedTuple):
    """A name in a folder, and where in the disk it lies."""

    at: int
    name: bytes
    attributes: int
    newer: bytes
    time: int
    date: int
    cluster: int
    size: int

    @property
    def is_folder(self) -> bool:
        """Whether it is one, and no label."""
        return self.attributes & DIRECTORY_OR_LABEL == FOLDER

    @property
    def is_label(self) -> bool:
        """Whether it is the disk's label."""
        return bool(self.attributes & VOLUME_LABEL)


class FatFolders:
    """What the folders of a disk have."""

    def __init__(self, fat: Fat) -> None:
        self.fat = fat

    def _places(self, folder: int) -> Iterator[tuple[int, int]]:
        """Where a folder's entries lie in the disk, piece by piece, and how many bytes each."""
        fat = self.fat
        if folder == ROOT:
            geometry = fat.geometry
            yield geometry.root_at * SECTOR, geometry.root_entries * ENTRY_BYTES
            return
        most = MAX_FOLDER // fat.cluster_bytes
        for cluster in fat.chain(folder)[:most]:
            yield fat.sector_of(cluster) * SECTOR, fat.cluster_bytes

    def _slots(self, folder: int) -> Iterator[tuple[int, bytes]]:
        for begin, count in self._places(folder):
            data = self.fat.read_bytes(begin, count)
            self.fat.steps += count // ENTRY_BYTES
            for at in range(0, count, ENTRY_BYTES):
                yield begin + at, data[at : at + ENTRY_BYTES]

    def entries(self, folder: int) -> Iterator[Entry]:
        """All that it has, labels too, in their order."""
        for at, raw in self._slots(folder):
            if raw[0] == UNUSED:
                return
            if raw[0] != DELETED and raw[11] & LONG_NAME != LONG_NAME:
                yield _entry(at, raw)

    def find(self, folder: int, name: bytes) -> Entry | None:
        """The file or folder of a name, as an FCB has that."""
        entries = self.entries(folder)
        return next((one for one in entries if one.name == name and not one.is_label), None)

    def read(self, at: int) -> Entry:
        """The entry that lies there."""
        return _entry(at, self.fat.read_bytes(at, ENTRY_BYTES))

    def store(self, entry: Entry) -> None:
        """Write an entry where it lies."""
        name = entry.name
        if name[0] == DELETED:
            name = bytes((IS_E5,)) + name[1:]
        self.fat.write_bytes(entry.at, ENTRY.pack(name, *entry[2:]))

    def remove(self, entry: Entry) -> None:
        """A name is no more; its clusters are not looked at."""
        self.fat.write_bytes(entry.at, bytes((DELETED,)))

    def room(self, folder: int) -> int:
        """Where a new entry may lie in a folder, which grows if it has to.

        Raises:
            DosError: The root, or the disk, is full.
        """
        for at, raw in self._slots(folder):
            if raw[0] in (UNUSED, DELETED):
                return at
        before = len(self.fat.chain(folder))
        if folder == ROOT or before * self.fat.cluster_bytes >= MAX_FOLDER:
            raise DosError(DENIED)
        self.fat.need(1)
        self.fat.extend(folder, 1)
        at = self.fat.sector_of(self.fat.chain(folder)[before]) * SECTOR
        self.fat.write_bytes(at, bytes(self.fat.cluster_bytes))
        return at

    def make(self, above: int, when: tuple[int, int]) -> int:
        """A new folder's cluster, with what leads to itself and to the one above.

        Raises:
            DosError: The disk is full.
        """
        self.fat.need(1)
        cluster = self.fat.extend(ROOT, 1)
        at = self.fat.sector_of(cluster) * SECTOR
        dots = (
            ENTRY.pack(name, FOLDER, bytes(10), *when, to, 0)
            for name, to in zip(DOTS, (cluster, above), strict=True)
        )
        self.fat.write_bytes(at, b"".join(dots).ljust(self.fat.cluster_bytes, b"\0"))
        return cluster

    def is_empty(self, folder: int) -> bool:
        """Whether nothing is in it."""
        return all(entry.name in DOTS for entry in self.entries(folder))

    def way(self, parts: list[bytes]) -> int:
        """The folder that names lead to, from the root.

        Raises:
            DosError: There is none.
        """
        folder = ROOT
        for name in parts:
            entry = self.find(folder, name)
            if entry is None or not entry.is_folder:
                raise DosError(NO_PATH)
            folder = entry.cluster
        return folder


def _entry(at: int, raw: bytes) -> Entry:
    name, *rest = ENTRY.unpack(raw)
    if name[0] == IS_E5:
        name = bytes((DELETED,)) + name[1:]
    return Entry(at, name, *rest)
