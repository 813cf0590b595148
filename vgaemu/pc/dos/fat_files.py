"""The files of a drive that is a disk image with a FAT.

Emulated: what `files` has of a folder of the host, with all attributes and the disk's label, in
the order that its folders have. Writes go where the image's do: to a copy of it unless it may be
written to. Not emulated: what a seek skips is zeroed (DOS leaves it as it was, too).
"""

from __future__ import annotations

import os
from collections.abc import Callable

from vgaemu.pc.dos.entries import (
    ARCHIVE,
    AS_IT_IS,
    DIRECTORY_OR_LABEL,
    FOLDER,
    HIDDEN,
    MAX_POSITION,
    READ_ONLY,
    SYSTEM,
    VOLUME_LABEL,
    NamedFile,
    OpenFile,
    Opening,
)
from vgaemu.pc.dos.errors import (
    BAD_FUNCTION,
    CURRENT_FOLDER,
    DENIED,
    EXISTS,
    NO_FILE,
    NO_PATH,
    DosError,
)
from vgaemu.pc.dos.fat import Fat
from vgaemu.pc.dos.fat_folders import Entry, FatFolders
from vgaemu.pc.dos.files import LOOK_UNITS, NAMES_A_UNIT, STEP_UNITS
from vgaemu.pc.dos.geometry import Geometry
from vgaemu.pc.dos.names import cut_off, device_of, fcb_name, is_short, matches, without_dots
from vgaemu.pc.images import DiskImage
from vgaemu.vga.codepage import to_unicode

#: Clusters, and entries of folders, that are gone through in one unit of `Calls.spend`.
STEPS_A_UNIT = 32
#: What a search finds only if it is asked for.
UNSEEN = HIDDEN | SYSTEM | FOLDER


class FatFile:
    """See `Stream`; what is known of a file is in its folder's entry."""

    def __init__(self, files: FatFiles, name: str, at: int | None = None) -> None:
        self._files, self._name, self._at, self.place = files, name, at, 0

    @property
    def _entry(self) -> Entry:
        """In a state that is restored the disk is its own only after its files were opened."""
        if self._at is None:
            self._at = self._files.find(self._name).at
        return self._files.folders.read(self._at)

    @property
    def size(self) -> int:
        """See `Stream`."""
        return self._entry.size

    @property
    def attributes(self) -> int:
        """See `Stream`."""
        return self._entry.attributes

    @property
    def cluster(self) -> int:
        """See `Stream`."""
        return self._entry.cluster

    @property
    def when(self) -> tuple[int, int]:
        """See `Stream`."""
        entry = self._entry
        return entry.time, entry.date

    def set_when(self, time: int, date: int) -> None:
        """See `Stream`."""
        self._files.folders.store(self._entry._replace(time=time, date=date))

    def read(self, count: int) -> bytes:
        """See `Stream`."""
        entry, fat = self._entry, self._files.fat
        count = max(min(count, entry.size - self.place), 0)
        pieces = fat.pieces(entry.cluster, self.place, count)
        data = b"".join(fat.read_bytes(at, length) for at, length in pieces)
        self.place += len(data)
        return data

    def write(self, data: bytes) -> int:
        """See `Stream`."""
        entry, fat = self._entry, self._files.fat
        end = min(self.place + len(data), MAX_POSITION)
        first = self._grown(entry, end)
        done = 0
        for at, length in fat.pieces(first, self.place, end - self.place):
            fat.write_bytes(at, data[done : done + length])
            done += length
        if not done:
            fat.cut(first, self._clusters(entry.size))
            return 0
        self.place += done
        self._store(entry, first, max(entry.size, self.place))
        return done

    def cut(self) -> None:
        """See `Stream`.

        Raises:
            DosError: The disk has no room for what it would become.
        """
        entry, fat = self._entry, self._files.fat
        wanted = self._clusters(self.place)
        fat.need(wanted - len(fat.chain(entry.cluster)))
        first = self._grown(entry, self.place)
        fat.cut(first, wanted)
        self._store(entry, first if wanted else 0, self.place)

    def _clusters(self, size: int) -> int:
        return -(-size // self._files.fat.cluster_bytes)

    def _grown(self, entry: Entry, end: int) -> int:
        """The first cluster of the file, once it has room up to an end, if there is so much."""
        fat = self._files.fat
        more = self._clusters(end) - len(fat.chain(entry.cluster))
        return fat.extend(entry.cluster, more) if more > 0 else entry.cluster

    def _store(self, entry: Entry, first: int, size: int) -> None:
        time, date = self._files.now()
        self._files.folders.store(
            entry._replace(
                cluster=first, size=size, time=time, date=date,
                attributes=entry.attributes | ARCHIVE,
            )
        )  # fmt: skip

    def seek(self, offset: int, whence: int) -> int:
        """See `Stream`.

        Raises:
            DosError: It would lie before the file, or too far behind it.
        """
        place = offset + (self.size if whence == os.SEEK_END else self.place * whence)
        if not 0 <= place <= MAX_POSITION:
            raise DosError(BAD_FUNCTION)
        self.place = place
        return place

    def close(self) -> None:
        """All of it is on the disk already."""


class FatFiles:
    """The files of one drive; see `Volume`."""

    def __init__(self, disk: DiskImage, letter: str, now: Callable[[], tuple[int, int]]) -> None:
        self.fat, self.letter, self.now = Fat(disk), letter, now
        self.folders = FatFolders(self.fat)
        self.root = self.current = f"{letter}:"
        self._work = 0

    def take_work(self) -> int:
        """See `DosFiles`."""
        work, self._work = self._work + self.fat.steps // STEPS_A_UNIT, 0
        self.fat.steps %= STEPS_A_UNIT
        return work

    @property
    def geometry(self) -> Geometry:
        """How the disk is laid out."""
        return self.fat.geometry

    @property
    def free_clusters(self) -> int:
        """Of the disk."""
        return self.fat.free

    @property
    def shown(self) -> str:
        """The current folder as DOS names it, without the drive."""
        return self.current[3:].replace("/", "\\")

    # --- names ---

    def _parts(self, name: str) -> list[str]:
        """The names on the way from the root, as the disk has them."""
        below = name[2:] if name[1:2] == ":" else name
        below = below.replace("\\", "/")
        if not below.startswith("/"):
            below = f"{self.current[2:]}/{below}"
        parts = [cut_off(part) for part in without_dots(below)]
        for part in parts:
            if not is_short(part, ascii_only=False) or device_of(part) or "?" in _shown(part):
                raise DosError(NO_PATH)
        return list(map(_shown, parts))

    def _way(self, parts: list[str]) -> int:
        self._work += STEP_UNITS * (1 + len(parts))
        return self.folders.way(list(map(fcb_name, parts)))

    def _ordinary(self, name: str) -> tuple[int, list[str]]:
        """The folder that a name is in, and its parts; it is no device's, nor the root."""
        parts = self._parts(name)
        if device_of(name) is not None:
            raise DosError(DENIED)
        if not parts:
            raise DosError(NO_PATH)
        return self._way(parts[:-1]), parts

    def _entry(self, name: str) -> tuple[Entry, str]:
        """What is there, and its place."""
        folder, parts = self._ordinary(name)
        entry = self.folders.find(folder, fcb_name(parts[-1]))
        if entry is None:
            raise DosError(NO_FILE)
        return entry, self._place(parts)

    def find(self, name: str) -> Entry:
        """The entry of a file or folder.

        Raises:
            DosError: There is none.
        """
        return self._entry(name)[0]

    def _place(self, parts: list[str]) -> str:
        return "/".join([self.root, *parts])

    def find_folder(self, name: str) -> str:
        """The place of a folder.

        Raises:
            DosError: There is none.
        """
        parts = self._parts(name)
        self._way(parts)
        return self._place(parts)

    def folder(self, pattern: str) -> tuple[str, str]:
        """See `DosFiles`."""
        above, slash, wanted = pattern.replace("\\", "/").rpartition("/")
        if not slash and wanted[1:2] == ":":
            above, wanted = wanted[:2], wanted[2:]
        if ":" in wanted:
            raise DosError(NO_PATH)
        return self.find_folder(f"{above}{slash}"), wanted

    def listing(self, place: str, wanted: bytes, attributes: int) -> list[NamedFile]:
        """See `DosFiles`; in the order that the folder has."""
        folder = self._way(self._parts(f"{place}/"))
        labels_only = attributes & ~(READ_ONLY | ARCHIVE) == VOLUME_LABEL
        found = []
        for entry in self.folders.entries(folder):
            if entry.is_label:
                is_asked = attributes & VOLUME_LABEL
            else:
                is_asked = not labels_only and not entry.attributes & UNSEEN & ~attributes
            name = as_name(entry.name)
            if is_asked and matches(name, wanted):
                when = entry.time, entry.date
                found.append(NamedFile(name, entry.size, entry.attributes, when))
        self._work += LOOK_UNITS + len(found) // NAMES_A_UNIT
        return found

    # --- files ---

    def open(self, name: str, access: int, how: Opening = AS_IT_IS) -> OpenFile:
        """Open an ordinary file.

        Raises:
            DosError: It cannot be opened.
        """
        if how.again:
            return OpenFile(FatFile(self, name), self._place(self._parts(name)), access)
        folder, parts = self._ordinary(name)
        entry = self.folders.find(folder, fcb_name(parts[-1]))
        if entry is None and not how.create:
            raise DosError(NO_FILE)
        if entry is not None:
            self._refuse(entry, access, new=how.new)
        if how.create:
            entry = self._made(folder, parts[-1], entry, how.attributes)
        assert entry is not None
        return OpenFile(FatFile(self, name, entry.at), self._place(parts), access)

    @staticmethod
    def _refuse(entry: Entry, access: int, *, new: bool) -> None:
        if new:
            raise DosError(EXISTS)
        if entry.attributes & DIRECTORY_OR_LABEL:
            raise DosError(DENIED)
        if access != os.O_RDONLY and entry.attributes & READ_ONLY:
            raise DosError(DENIED)

    def _made(self, folder: int, name: str, before: Entry | None, attributes: int) -> Entry:
        """A new file, or one that is cut off."""
        if before is not None:
            if before.attributes & (HIDDEN | SYSTEM) & ~attributes:
                raise DosError(DENIED)
            self.fat.cut(before.cluster, 0)
            at = before.at
        else:
            at = self.folders.room(folder)
        made = Entry(
            at, fcb_name(name), attributes & ~DIRECTORY_OR_LABEL | ARCHIVE, bytes(10),
            *self.now(), 0, 0,
        )  # fmt: skip
        self.folders.store(made)
        return made

    def delete(self, name: str, refuse: Callable[[str], None]) -> None:
        """See `DosFiles`."""
        entry, place = self._entry(name)
        refuse(place)
        if entry.attributes & (DIRECTORY_OR_LABEL | READ_ONLY):
            raise DosError(DENIED)
        self.folders.remove(entry)
        self.fat.cut(entry.cluster, 0)

    def rename(self, name: str, new: str, refuse: Callable[[str], None]) -> None:
        """See `DosFiles`."""
        entry, place = self._entry(name)
        refuse(place)
        folder, parts = self._ordinary(new)
        if self.folders.find(folder, fcb_name(parts[-1])) is not None:
            raise DosError(DENIED if self._place(parts) == place else EXISTS)
        at = entry.at
        if self._place(parts[:-1]) != place.rpartition("/")[0]:
            if entry.is_folder:
                raise DosError(DENIED)
            at = self.folders.room(folder)
            self.folders.remove(entry)
        self.folders.store(entry._replace(at=at, name=fcb_name(parts[-1])))

    def make_folder(self, name: str) -> None:
        """See `DosFiles`."""
        folder, parts = self._ordinary(name)
        if self.folders.find(folder, fcb_name(parts[-1])) is not None:
            raise DosError(DENIED)
        at, when = self.folders.room(folder), self.now()
        cluster = self.folders.make(folder, when)
        made = Entry(at, fcb_name(parts[-1]), FOLDER, bytes(10), *when, cluster, 0)
        self.folders.store(made)

    def remove_folder(self, name: str) -> None:
        """See `DosFiles`."""
        place = self.find_folder(name)
        if f"{self.current}/".startswith(f"{place}/"):
            raise DosError(CURRENT_FOLDER)
        entry, _ = self._entry(place)
        if not self.folders.is_empty(entry.cluster):
            raise DosError(DENIED)
        self.folders.remove(entry)
        self.fat.cut(entry.cluster, 0)

    def attributes(self, name: str) -> int:
        """See `DosFiles`."""
        return self._entry(name)[0].attributes

    def set_attributes(self, name: str, attributes: int) -> None:
        """See `DosFiles`."""
        entry, _ = self._entry(name)
        if entry.is_folder:
            raise DosError(DENIED)
        self.folders.store(entry._replace(attributes=attributes))


def _shown(part: str) -> str:
    """A name in capitals, as code page 437 has them."""
    return part.upper().encode("cp437", "replace").decode("cp437")


def as_name(name: bytes) -> str:
    """A file's name out of the 11 characters that a folder or an FCB has.

    >>> as_name(b"A       TXT"), as_name(b"MAKEFILE   ")
    ('A.TXT', 'MAKEFILE')
    """
    stem, suffix = name[:8].rstrip(b" "), name[8:].rstrip(b" ")
    return to_unicode(stem + (b"." + suffix if suffix else b""))
