"""The files of DOS programs: what lies below one folder of the host, and nothing else of it.

A program sees the folder `--dos-root` as drive C:. Every name is resolved, symbolic links included,
and must end inside the folder; only ordinary files are opened. Without that option no file opens.
Files of the host with long names open by them, but are not listed; what a program creates has an
8.3 name. What the host refuses is a DOS error.

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

from vgaemu.pc.dos.caller import BAD_FUNCTION, DENIED, NO_FILE, NO_PATH, DosError
from vgaemu.pc.dos.names import below_drive, cut_off, device_of, is_short, matches, short_name

#: A program may write this much in all; then the disk is full.
MAX_WRITTEN = 64 << 20
#: The farthest position of a file.
MAX_POSITION = MAX_WRITTEN * 32
#: Attributes of files and of folders.
ARCHIVE, VOLUME_LABEL, FOLDER = 0x20, 0x08, 0x10
#: 1980-01-01, the date of every file.
FIRST_DAY = 0x0021


class NamedFile(NamedTuple):
    """What a search finds."""

    name: str
    size: int
    attributes: int


class OpenFile(NamedTuple):
    """What a handle stands for."""

    fd: int
    #: Below the program's folder, as the host spells it, with slashes.
    name: str
    #: O_RDONLY, O_WRONLY or O_RDWR.
    access: int


class DosFiles:
    """The files below one folder, by DOS names."""

    def __init__(self, root: Path | None) -> None:
        self._root = None if root is None else root.resolve()
        self.written = 0

    def resolve(self, name: str, *, must_exist: bool = True) -> Path:
        """A host path inside the folder.

        Raises:
            DosError: There is no such file, or it lies elsewhere.
            OSError: The host does not let us look.
        """
        if self._root is None:
            raise DosError(NO_PATH)
        parts = [part for part in below_drive(name).split("/") if part not in ("", ".")]
        if not parts or any("\0" in part for part in parts):
            raise DosError(NO_PATH)
        # The folders on the way, each where its links lead to.
        way = [self._root]
        for part in parts[:-1]:
            self._step(way, part, missing=NO_PATH)
        self._step(way, parts[-1], missing=NO_FILE, create=not must_exist)
        return way[-1]

    def _step(self, way: list[Path], part: str, *, missing: int, create: bool = False) -> None:
        """Add to a way what a name in its last folder leads to, or go back for two dots."""
        folder = way[-1]
        if not stat.S_ISDIR(_mode(folder)) or (part == ".." and len(way) == 1):
            raise DosError(NO_PATH)
        if part == "..":
            way.pop()
            return
        found = _entry(folder, part)
        if create:
            # Also what is there already must have a name that a program can make.
            made = short_name(part).lower()
            found = found or made
        if found is None:
            raise DosError(missing)
        way.append(self._inside(folder / found))

    def _inside(self, path: Path) -> Path:
        """A link may lead anywhere: where it ends counts."""
        real, root = Path(os.path.realpath(path)), self._root
        if real != root and root not in real.parents:
            raise DosError(DENIED)
        return real

    def open(self, name: str, access: int, *, create: bool = False) -> OpenFile:
        """Open an ordinary file, or a device.

        Raises:
            DosError: It cannot be opened.
            OSError: The same.
        """
        flags = access | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        device = device_of(name)
        if device is not None:
            return OpenFile(os.open(os.devnull, flags), device, access)
        path = self.resolve(name, must_exist=not create)
        mode = _mode(path)
        if mode and not stat.S_ISREG(mode):
            raise DosError(DENIED)
        # Neither follow a link that has just appeared, nor wait for a pipe.
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        fd = os.open(path, flags | (os.O_CREAT if create else 0), 0o644)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise DosError(DENIED)
            if create:
                os.ftruncate(fd, 0)
        except BaseException:
            os.close(fd)
            raise
        assert self._root is not None
        return OpenFile(fd, path.relative_to(self._root).as_posix(), access)

    def write(self, fd: int, data: bytes) -> int:
        """Write, as far as there is room."""
        data = data[: MAX_WRITTEN - self.written]
        count = os.write(fd, data) if data else 0
        self.written += count
        return count

    def seek(self, fd: int, offset: int, whence: int) -> int:
        """Move a file's position; no farther than a program could write.

        Raises:
            DosError: It would lie before the file, or too far behind it.
        """
        base = int((0, os.lseek(fd, 0, os.SEEK_CUR), os.fstat(fd).st_size)[whence])
        if not 0 <= base + offset <= MAX_POSITION:
            raise DosError(BAD_FUNCTION)
        return int(os.lseek(fd, base + offset, os.SEEK_SET))

    def folder(self, pattern: str) -> tuple[str, str]:
        """A pattern's folder, below the program's, and what it looks for there.

        Raises:
            DosError: There is no such folder, or it lies elsewhere.
            OSError: The host does not let us look.
        """
        folder, _, wanted = below_drive(pattern).rpartition("/")
        if self._root is None:
            raise DosError(NO_PATH)
        if {*folder.split("/")} <= {"", "."}:
            return "", wanted
        try:
            path = self.resolve(folder)
        except DosError as error:
            raise DosError(NO_PATH if error.code == NO_FILE else error.code) from None
        if not stat.S_ISDIR(_mode(path)):
            raise DosError(NO_PATH)
        return "" if path == self._root else path.relative_to(self._root).as_posix(), wanted

    def listing(self, folder: str, wanted: bytes, attributes: int) -> list[NamedFile]:
        """8.3 names in a folder, sorted.

        Args:
            folder: Below the program's, as `folder` tells it.
            wanted: 11 characters as in an FCB, with question marks.
            attributes: `FOLDER`: list folders, too.
        """
        if self._root is None or attributes & ~1 == VOLUME_LABEL:
            return []
        path = self._inside(self._root / folder)
        found = []
        if attributes & FOLDER and folder:
            found = [NamedFile(dots, 0, FOLDER) for dots in (".", "..") if matches(dots, wanted)]
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name.upper()):
                name = entry.name.upper()
                if not is_short(name) or device_of(name) or not matches(name, wanted):
                    continue
                if entry.is_file(follow_symlinks=False):
                    size = entry.stat(follow_symlinks=False).st_size
                    found.append(NamedFile(name, size, ARCHIVE))
                elif attributes & FOLDER and entry.is_dir(follow_symlinks=False):
                    found.append(NamedFile(name, 0, FOLDER))
        return found


def _mode(path: Path) -> int:
    """What is there, as ``st_mode``; 0 for nothing.

    `Path.is_dir` and its like would not tell, from Python 3.14 on, where the host does not let us
    look.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _entry(folder: Path, name: str) -> str | None:
    """The host's spelling of a name; DOS has no case, and what is too long is cut off."""
    try:
        if (folder / name).exists():
            return name
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
    names = sorted(os.listdir(folder))
    for wanted in (name.upper(), cut_off(name).upper()):
        found = next((entry for entry in names if entry.upper() == wanted), None)
        if found is not None:
            return found
    return None
