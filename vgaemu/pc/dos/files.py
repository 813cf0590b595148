"""The files of DOS programs: what lies below one folder of the host, by 8.3 names and patterns.

A program sees the folder `--dos-root` as drive C:, and nothing else of the host. Every name is
resolved, symbolic links included, and must end inside the folder; only ordinary files are opened.
Without that option no file opens. Files of the host with long names open by them, but are not
listed; what a program creates has an 8.3 name. What the host refuses is a DOS error.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

from vgaemu.pc.board import Board
from vgaemu.pc.dos.errors import BAD_FUNCTION, DENIED, NO_FILE, NO_PATH, DosError
from vgaemu.vga.codepage import to_unicode

#: A program may write this much in all; then the disk is full.
MAX_WRITTEN = 64 << 20
#: The farthest position of a file.
MAX_POSITION = MAX_WRITTEN * 32
#: Attributes of files and of folders.
ARCHIVE, VOLUME_LABEL, FOLDER = 0x20, 0x08, 0x10
#: 1980-01-01, the date of every file.
FIRST_DAY = 0x0021
#: Device names, whatever folder and suffix they come with.
DEVICES = frozenset((
    "CON", "NUL", "AUX", "PRN", "CLOCK$", "COM1", "COM2", "COM3", "COM4", "LPT1", "LPT2", "LPT3",
))  # fmt: skip
#: Bytes of a name that are looked at.
MAX_NAME = 128
#: What no 8.3 name has in it, besides control characters.
FORBIDDEN = frozenset(' "*+,/:;<=>?[\\]|')


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
        if real != root and root not in real.parents:
            raise DosError(DENIED)
        return real

    def open(self, name: str, access: int, *, create: bool = False) -> OpenFile:
        """Open an ordinary file, or a device.

        Raises:
            DosError, OSError: It cannot be opened.
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
        """8.3 names in a folder (as `folder` tells it), sorted; with `FOLDER`, of folders, too.

        `wanted` is 11 characters as in an FCB, with question marks.
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
    """What is there, as ``st_mode``; 0 for nothing."""
    # `Path.is_dir` and its like tell no more, from 3.14 on, that the host does not let us look.
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
    names = sorted(os.listdir(folder), reverse=True)
    spellings = {entry.upper(): entry for entry in names}  # the first in order stays
    return spellings.get(name.upper()) or spellings.get(cut_off(name).upper())


def file_name(board: Board) -> str:
    """The file name at DS:DX, up to its zero byte; none has control characters."""
    raw = board.bus.read(board.cpu.linear("ds", "dx"), MAX_NAME).partition(b"\0")[0]
    if raw and min(raw) < 0x20:
        raise DosError(NO_PATH)
    return to_unicode(raw)


def below_drive(name: str) -> str:
    r"""A name with slashes and without its drive, which must be C:.

    >>> below_drive(r"c:\SUB\A.TXT")
    '/SUB/A.TXT'
    """
    if len(name) > 1 and name[1] == ":":
        if name[0].upper() != "C":
            raise DosError(NO_PATH)
        name = name[2:]
    return name.replace("\\", "/")


def device_of(name: str) -> str | None:
    r"""The device that a name means, or None.

    >>> device_of(r"C:\SUB\con.txt"), device_of("console")
    ('CON', None)
    """
    last = name.replace("\\", "/").rpartition("/")[2].rpartition(":")[2]
    stem = last.partition(".")[0].rstrip().upper()
    return stem if stem in DEVICES else None


def cut_off(name: str) -> str:
    """A name without what is more than 8.3.

    >>> cut_off("longfilename.text")
    'longfile.tex'
    """
    stem, dot, suffix = name.partition(".")
    return stem[:8] + (dot + suffix[:3] if suffix else "")


def is_short(name: str, *, ascii_only: bool = True) -> bool:
    """Whether a name is 8.3, of letters that such names have."""
    stem, _, suffix = name.partition(".")
    return (
        0 < len(stem) <= 8
        and len(suffix) <= 3
        and "." not in suffix
        and FORBIDDEN.isdisjoint(name)
        and all(letter >= " " for letter in name)
        and (not ascii_only or name.isascii())
    )


def fcb_name(name: str) -> bytes:
    """A name or pattern as 11 characters; a star is question marks up to the end.

    >>> fcb_name("R*.*"), fcb_name("*."), fcb_name("..")
    (b'R??????????', b'????????   ', b'..         ')
    """
    if name in (".", ".."):
        return name.ljust(11).encode("ascii")
    stem, _, suffix = name.upper().partition(".")
    parts = []
    for part, width in ((stem, 8), (suffix, 3)):
        before, star, _ = part.partition("*")
        parts.append(before[:width].ljust(width, "?" if star else " "))
    return "".join(parts).encode("cp437", "replace")


def matches(name: str, pattern: bytes) -> bool:
    """Whether an 8.3 name is what a pattern looks for.

    >>> matches("README.TXT", fcb_name("r*.?xt"))
    True
    """
    return all(b in (a, ord("?")) for a, b in zip(fcb_name(name), pattern, strict=True))
