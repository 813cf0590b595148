"""The files of DOS programs: what lies below one folder of the host, by 8.3 names and patterns.

A program sees the folder `--dos-root` as drive C:, and nothing else of the host. Every name is
resolved, symbolic links included, and must end inside the folder; only ordinary files are opened.
What was resolved is reached from the folder part by part, never through a link, where the host has
such calls (POSIX): nobody can put a link in between. Hard links cannot be told from files.

Without that option no file opens. Files of the host with long names open by them, and by the 8.3
names that they are listed with; what a program creates has an 8.3 name. What the host refuses is a
DOS error.

A program may write `MAX_WRITTEN` bytes to the host in all, as if to a disk of that size: each byte
counts, written again or skipped by a seek, and a new file counts as a cluster. A folder of more
than `MAX_ENTRIES` names is not searched, neither for a pattern nor for a spelling. How many files
are open at a time is up to `handles`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from operator import itemgetter
from pathlib import Path

from vgaemu.pc.dos.entries import (
    AS_IT_IS,
    FOLDER,
    READ_ONLY,
    VOLUME_LABEL,
    NamedFile,
    OpenFile,
    Opening,
    attributes_of,
    mode_of,
    packed_time,
)
from vgaemu.pc.dos.errors import CURRENT_FOLDER, DENIED, EXISTS, NO_FILE, NO_PATH, DosError
from vgaemu.pc.dos.geometry import Geometry
from vgaemu.pc.dos.host_file import HostFile, open_again, set_mode
from vgaemu.pc.dos.names import (
    MAX_NAME,
    aliases,
    below_drive,
    cut_off,
    device_of,
    is_host_name,
    is_short,
    matches,
    without_dots,
)
from vgaemu.pc.images import SECTOR

#: A program may write this much in all; then the disk is full.
MAX_WRITTEN = 64 << 20
#: What a new file takes of that: so there are 4096 at most.
CLUSTER = 16 << 10
#: The disk that the folder is taken for; what tells it from others.
SERIAL = 0x19800104
GEOMETRY = Geometry(
    CLUSTER // SECTOR, reserved=1, fats=2, root_entries=512, total=131_139, media=0xF8,
    fat_sectors=17, track_sectors=63, heads=16, hidden=63, serial=SERIAL,
)  # fmt: skip
#: Names in a folder; to look for one in more would take the host longer than a frame.
MAX_ENTRIES = 1 << 13
#: Work on the host, in units of `Calls.spend`: for a name on the way to a file, for looking into a
#: folder, and how many of its names are gone through in one.
STEP_UNITS, LOOK_UNITS, NAMES_A_UNIT = 4, 4, 8
#: Characters of a path below the folder, as many as a program can say; a link may lead to more.
MAX_PATH = MAX_NAME - 1
#: Whether the host opens names in an open folder, and lists it.
HAS_FOLDER_FDS = os.open in os.supports_dir_fd and os.scandir in os.supports_fd
#: How a folder on the way is opened, which need not be listed, and one to list.
PASS_FOLDER = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
LIST_FOLDER = PASS_FOLDER & ~getattr(os, "O_PATH", 0)


class DosFiles:
    """The files below one folder, by DOS names."""

    @property
    def is_gone(self) -> bool:
        """Whether there was a folder, and is no more."""
        return self._root is not None and not self._root.is_dir()

    def __init__(self, root: Path | None) -> None:
        self._root = None if root is None else root.resolve()
        self._work = self.written = 0
        #: The current folder, as the host spells it, with slashes; "" is the root.
        self.root = self.current = ""
        self._shown = "", ""

    def take_work(self) -> int:
        """What was done on the host since the last call, in units of `Calls.spend`."""
        work, self._work = self._work, 0
        return work

    @property
    def free(self) -> int:
        """Bytes that the program may still write."""
        return MAX_WRITTEN - self.written

    @property
    def geometry(self) -> Geometry:
        """The disk that the folder is taken for."""
        return GEOMETRY

    @property
    def free_clusters(self) -> int:
        """Of that disk."""
        return self.free // CLUSTER

    @property
    def shown(self) -> str:
        """The current folder as DOS names it, without the drive."""
        if self._shown[0] != self.current:
            self._shown = self.current, self.short(self.current)
        return self._shown[1]

    def absolute(self, name: str) -> str:
        """A name with slashes, from the root; that of drive C: may be one of its current folder.

        Raises:
            DosError: It is of another drive.
        """
        below = below_drive(name)
        return below if below.startswith("/") or not self.current else f"/{self.current}/{below}"

    def below_root(self, path: Path) -> str:
        """What was resolved, below the root and with slashes; "" for the root itself."""
        assert self._root is not None
        return "" if path == self._root else path.relative_to(self._root).as_posix()

    def resolve(self, name: str, *, must_exist: bool = True) -> Path:
        """A host path inside the folder.

        Raises:
            DosError: There is no such file, or it lies elsewhere.
            OSError: The host does not let us look.
        """
        if self._root is None:
            raise DosError(NO_PATH)
        parts = without_dots(self.absolute(name))
        if not name or not (parts or ".." in name) or not all(map(is_host_name, parts)):
            raise DosError(NO_PATH)
        # The folders on the way, each where its links lead to.
        way = [self._root]
        for part in parts[:-1]:
            self._step(way, part, missing=NO_PATH)
        for part in parts[-1:]:
            self._step(way, part, missing=NO_FILE, create=not must_exist)
        return way[-1]

    def _step(self, way: list[Path], part: str, *, missing: int, create: bool = False) -> None:
        """Add to a way what a name in its last folder leads to."""
        folder = way[-1]
        self._work += STEP_UNITS
        if not stat.S_ISDIR(mode_of(folder)):
            raise DosError(NO_PATH)
        found = self._entry(folder, part)
        if create:
            # Also what is there already must have a name that a program can make.
            short = cut_off(part)
            if not is_short(short, ascii_only=False):
                raise DosError(NO_PATH)
            found = found or short.lower()
        if found is None:
            raise DosError(missing)
        way.append(self._inside(folder / found))

    def _inside(self, path: Path) -> Path:
        """A link may lead anywhere: where it ends counts."""
        real, root = Path(os.path.realpath(path)), self._root
        if root is None or (real != root and root not in real.parents):
            raise DosError(DENIED)
        below = real.relative_to(root)
        if not all(map(is_host_name, below.parts)) or len(str(below)) > MAX_PATH:
            raise DosError(DENIED)
        return real

    def _entry(self, folder: Path, name: str) -> str | None:
        """The host's spelling of a name; DOS has no case, and what is too long is cut off."""
        try:
            if (folder / name).exists():
                return name
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
        with self._listed(folder) as entries:
            names = sorted((entry.name for entry in entries), reverse=True)
        spellings = {entry.upper(): entry for entry in names}  # the first in order stays
        found = spellings.get(name.upper()) or spellings.get(cut_off(name).upper())
        if found is None and "~" in name:
            found = aliases(names).get(name.upper())
        return found

    def short(self, folder: str) -> str:
        """A folder below the root, as DOS names it: with backslashes, all names 8.3."""
        parts, path = [], self._root
        for part in folder.split("/") if folder else []:
            parts.append(part.upper())
            if path is not None and not is_short(parts[-1]):
                with suppress(DosError, OSError), self._listed(path) as entries:
                    shown = aliases(entry.name for entry in entries)
                    parts[-1] = next((short for short in shown if shown[short] == part), parts[-1])
            path = None if path is None else path / part
        return "\\".join(parts)

    def _few(self, entries: Iterator[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
        """A folder's entries; none if they are too many."""
        few = list(islice(entries, MAX_ENTRIES + 1))
        self._work += LOOK_UNITS + len(few) // NAMES_A_UNIT
        if len(few) > MAX_ENTRIES:
            raise DosError(DENIED)
        return few

    @contextmanager
    def reached(self, path: Path) -> Iterator[tuple[int | None, str]]:
        """The open folder that a resolved path lies in, and its name there.

        The folder is None, and the name a path, where the host has no such calls.
        """
        root = self._root
        assert root is not None
        if not HAS_FOLDER_FDS:
            yield None, str(path)
            return
        *folders, name = path.relative_to(root).parts or (".",)
        fd = os.open(root, PASS_FOLDER)
        try:
            for folder in folders:
                above, fd = fd, os.open(folder, PASS_FOLDER, dir_fd=fd)
                os.close(above)
            yield fd, name
        finally:
            os.close(fd)

    def open(self, name: str, access: int, how: Opening = AS_IT_IS) -> OpenFile:
        """Open an ordinary file.

        Of the attributes of what is made only one is kept: read-only. It is open to be written all
        the same.

        Raises:
            DosError, OSError: It cannot be opened.
        """
        path = self.resolve(name, must_exist=not how.create)
        # Neither follow a link that has just appeared, nor wait for a pipe.
        flags = access | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with self.reached(path) as (folder, entry):
            mode = mode_of(entry, folder)
            _refuse(mode, access, how)
            if how.create and not mode:
                self.take_cluster()
                fd = os.open(entry, flags | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder)
            elif how.again:
                fd = open_again(entry, folder, flags, mode)
            else:
                fd = os.open(entry, flags, dir_fd=folder)
            try:
                if not stat.S_ISREG(os.fstat(fd).st_mode):
                    raise DosError(DENIED)
                if how.create:
                    os.ftruncate(fd, 0)
                if how.create and how.attributes & READ_ONLY:
                    set_mode(entry, folder, stat.S_IMODE(os.fstat(fd).st_mode) & ~stat.S_IWUSR)
            except BaseException:
                os.close(fd)
                raise
        return OpenFile(HostFile(fd, self), self.below_root(path), access)

    def take_cluster(self) -> None:
        """A new file or folder takes room.

        Raises:
            DosError: There is none.
        """
        if self.free < CLUSTER:
            raise DosError(DENIED)
        self.written += CLUSTER

    def folder(self, pattern: str) -> tuple[str, str]:
        """A pattern's folder, below the program's, and what it looks for there.

        Raises:
            DosError: There is no such folder, or it lies elsewhere.
            OSError: The host does not let us look.
        """
        folder, _, wanted = self.absolute(pattern).rpartition("/")
        if self._root is None or ":" in wanted:
            raise DosError(NO_PATH)
        if {*folder.split("/")} <= {"", "."}:
            return "", wanted
        try:
            path = self.resolve(f"/{folder}")
        except DosError as error:
            raise DosError(NO_PATH if error.code == NO_FILE else error.code) from None
        if not stat.S_ISDIR(mode_of(path)):
            raise DosError(NO_PATH)
        return self.below_root(path), wanted

    # --- names that change ---

    def delete(self, name: str, refuse: Callable[[str], None]) -> None:
        """Delete a file, unless its place is refused.

        Raises:
            DosError, OSError: There is none, or it is read-only.
        """
        with self.reached(self._named(name, refuse)) as (folder, entry):
            mode = mode_of(entry, folder)
            if not stat.S_ISREG(mode) or attributes_of(mode) & READ_ONLY:
                raise DosError(DENIED)
            os.unlink(entry, dir_fd=folder)

    def rename(self, name: str, new: str, refuse: Callable[[str], None]) -> None:
        """Give a file, or a folder in its place, another name, unless its place is refused.

        Raises:
            DosError, OSError: There is none, there is one of that name, or it is none to give.
        """
        old, place = self._named(name, refuse), self._ordinary(new, must_exist=False)
        with self.reached(old) as (source, entry), self.reached(place) as (target, to):
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
        return self.resolve(name, must_exist=must_exist)

    def _named(self, name: str, refuse: Callable[[str], None]) -> Path:
        path = self._ordinary(name)
        refuse(self.below_root(path))
        return path

    def make_folder(self, name: str) -> None:
        """Make a folder.

        Raises:
            DosError, OSError: It is there already, or cannot be made.
        """
        path = self._ordinary(name, must_exist=False)
        with self.reached(path) as (folder, entry):
            if mode_of(entry, folder):
                raise DosError(DENIED)
            self.take_cluster()
            os.mkdir(entry, dir_fd=folder)

    def _folder_path(self, name: str) -> Path:
        try:
            path = self.resolve(name)
        except DosError as error:
            raise DosError(NO_PATH if error.code == NO_FILE else error.code) from None
        if not stat.S_ISDIR(mode_of(path)):
            raise DosError(NO_PATH)
        return path

    def remove_folder(self, name: str) -> None:
        """Remove a folder that has nothing in it, and is not the current one.

        Raises:
            DosError, OSError: There is none that can be.
        """
        path = self._folder_path(name)
        below = self.below_root(path)
        if not below or f"{self.current}/".startswith(f"{below}/"):
            raise DosError(CURRENT_FOLDER)
        with self.reached(path) as (folder, entry):
            os.rmdir(entry, dir_fd=folder)

    def find_folder(self, name: str) -> str:
        """The place of a folder.

        Raises:
            DosError: There is none.
        """
        if {*self.absolute(name).split("/")} <= {"", "."}:
            return ""
        return self.below_root(self._folder_path(name))

    def attributes(self, name: str) -> int:
        """Those of a file or folder."""
        with self.reached(self.resolve(name)) as (folder, entry):
            return attributes_of(mode_of(entry, folder))

    def set_attributes(self, name: str, attributes: int) -> None:
        """Make a file read-only, or not; the host has no other attributes.

        Raises:
            DosError, OSError: It is none whose can be set.
        """
        with self.reached(self.resolve(name)) as (folder, entry):
            mode = mode_of(entry, folder)
            if not stat.S_ISREG(mode):
                raise DosError(DENIED)
            writes = 0 if attributes & READ_ONLY else stat.S_IWUSR
            if mode & stat.S_IWUSR != writes:
                set_mode(entry, folder, stat.S_IMODE(mode) & ~stat.S_IWUSR | writes)

    # --- folders ---

    def listing(self, folder: str, wanted: bytes, attributes: int) -> list[NamedFile]:
        """8.3 names in a folder (as `folder` tells it), sorted; with `FOLDER`, of folders, too.

        `wanted` is 11 characters as in an FCB, with question marks.
        """
        if self._root is None or attributes & ~1 == VOLUME_LABEL:
            return []
        path = self._inside(self._root / folder)
        found = []
        if attributes & FOLDER and folder:
            found = [NamedFile(dots, 0, FOLDER) for dots in (".", "..") if matches(dots, wanted)]
        with self._listed(path) as entries:
            for name, entry in _named(entries, wanted):
                is_folder = entry.is_dir(follow_symlinks=False)
                if (is_folder and attributes & FOLDER) or entry.is_file(follow_symlinks=False):
                    about = entry.stat(follow_symlinks=False)
                    size = 0 if is_folder else about.st_size
                    when = packed_time(about.st_mtime)
                    found.append(NamedFile(name, size, attributes_of(about.st_mode), when))
        return found

    @contextmanager
    def _listed(self, path: Path) -> Iterator[list[os.DirEntry[str]]]:
        """The entries of a folder that was resolved, while it is open."""
        with self.reached(path) as (above, name):
            if above is None:
                with os.scandir(path) as entries:
                    yield self._few(entries)
                return
            fd = os.open(name, LIST_FOLDER, dir_fd=above)
        try:
            with os.scandir(fd) as entries:
                yield self._few(entries)
        finally:
            os.close(fd)


def _named(entries: list[os.DirEntry[str]], wanted: bytes) -> list[tuple[str, os.DirEntry[str]]]:
    """Those of a folder's entries that match a pattern, by the names that DOS shows, sorted."""
    shown = {name: short for short, name in aliases(entry.name for entry in entries).items()}
    named = [(shown.get(entry.name) or entry.name.upper(), entry) for entry in entries]
    matching = [
        (name, entry)
        for name, entry in named
        if is_short(name) and not device_of(name) and matches(name, wanted)
    ]
    return sorted(matching, key=itemgetter(0))


def _refuse(mode: int, access: int, how: Opening) -> None:
    """What is there is none that can be opened so."""
    if mode and how.new:
        raise DosError(EXISTS)
    if mode and not stat.S_ISREG(mode):
        raise DosError(DENIED)
    if mode and access != os.O_RDONLY and attributes_of(mode) & READ_ONLY and not how.again:
        raise DosError(DENIED)
