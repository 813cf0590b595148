"""Files that a run leaves: whether they can be written, and each there whole or not at all.

A new file is written beside its place, as ``.NAME.part``, and renamed when it is whole: whatever
ends the process, what was there before is not lost, and what is there is not torn. The part that a
killed process leaves is taken by the next one that writes the same file; of a stream, such as a
tape, it is all that there was until then. Links stay, and what they lead to is replaced; another
hard link keeps the old content.

Written in place: pipes and devices, what is named by a descriptor (/dev/stdout), and files in
folders that take no new one. What is written at the end waits for a pipe's reader; while a machine
runs, a pipe that nobody reads is refused. Without flock(2), as on Windows, two processes that write
one file at once are not kept apart.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from vgaemu.errors import file_error

if sys.platform != "win32":
    import fcntl

#: Links that lead to links, before they are a loop; as Linux counts.
MAX_LINKS = 40
#: Of a name, so that ".part" fits behind.
MAX_NAME_BYTES = 240


class NewFile:
    """A file that takes its place when it is whole: a context manager, which drops it if not."""

    #: To be written, not to be closed.
    file: BinaryIO

    def __init__(self, path: str | Path, *, stream: bool = False) -> None:
        """Begin it; what there is of a `stream` is left beside its place if it does not get there.

        Raises:
            OSError: It cannot be written; the error names it, as those of all methods do.
        """
        self.path, self._stream = Path(path), stream
        with named_in_errors(self.path):
            self._place = _replaceable(self.path)
            self._beside: Path | None = None
            if self._place is not None:
                with suppress(OSError):  # a folder that takes no new file
                    self._beside, self.file = _open_beside(self._place)
            if self._beside is None:
                # What is written at the end may wait for who reads it; a machine must not.
                self.file = BufferedWriter(open_now(self.path)) if stream else self.path.open("wb")

    def put(self) -> None:
        """It is whole: let it take its place.

        Raises:
            OSError: It cannot; what was there before still is.
        """
        try:
            with named_in_errors(self.path):
                self.file.flush()
                if self._beside is not None and self._place is not None:
                    os.fsync(self.file.fileno())
                    self._close_where_open_files_stay()
                    _replace(self._place, self._beside)
                    self._beside = None
                self.file.close()
        finally:
            self.drop()

    @property
    def left(self) -> Path | None:
        """Where what there is of a stream lies, if it is not in its place."""
        return self._beside if self._stream else None

    def drop(self) -> None:
        """Give it up, unless it is in its place."""
        self._close_where_open_files_stay()
        if self._beside is not None and not self._stream:
            self._beside.unlink(missing_ok=True)  # while it is locked, and so nobody else's
            self._beside = None
        with suppress(OSError):  # what could not be written was told
            self.file.close()

    def _close_where_open_files_stay(self) -> None:
        """Windows neither renames nor removes an open file."""
        if sys.platform == "win32":
            with suppress(OSError):
                self.file.close()

    def __enter__(self) -> BinaryIO:
        return self.file

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.put()
            return
        self.drop()
        if isinstance(error, OSError):
            with named_in_errors(self.path):
                raise error


def open_now(path: str | Path) -> FileIO:
    """A file, begun anew, for what comes while a machine runs; a pipe without a reader is none.

    Raises:
        OSError: It cannot be written, or would keep the machine waiting.
    """
    file = FileIO(path, "w", opener=_open_if_read)
    if sys.platform != "win32":
        os.set_blocking(file.fileno(), True)
    return file


def _open_if_read(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    except OSError as error:
        if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
            why = "a pipe that nobody reads; start its reader first"
            raise OSError(errno.ENXIO, why, path) from None
        raise


def not_begun(name: object, error: OSError) -> str:
    """What is said of an error of `open_now`."""
    pipe = error.errno == errno.ENXIO
    return file_error(name, error, "" if pipe else "name a file that can be written")


def why_unwritable(path: Path) -> str | None:
    """Why a file cannot be written, or None: asked before a run rather than after."""
    try:
        if path.is_dir():
            return os.strerror(errno.EISDIR)
        if path.exists() and not path.is_file():  # a pipe would wait for its reader
            return None if os.access(path, os.W_OK) else os.strerror(errno.EACCES)
        if path.exists():
            with path.open("ab"):
                pass
        else:
            NewFile(path).drop()
    except OSError as error:
        return error.strerror or str(error)
    return None


@contextmanager
def named_in_errors(path: Path) -> Iterator[None]:
    """Let an OSError say which file it was about: one of writing does not, by itself."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


def _replaceable(path: Path) -> Path | None:
    """What a path leads to, if another file may take its place; there may be none yet."""
    for _ in range(MAX_LINKS):
        folder = os.path.realpath(path.parent)
        # What was opened by somebody else stays what it is: /dev/stdout, /dev/fd/3, /proc/1/fd/3.
        if folder in ("/dev", "/dev/fd") or folder.startswith("/proc/"):
            return None
        if not path.is_symlink():
            break
        path = Path(folder, os.readlink(path))
    else:
        return None
    place = Path(folder, path.name)
    if place.exists() and not (place.is_file() and os.access(place, os.W_OK)):
        return None
    return place


def _open_beside(place: Path) -> tuple[Path, BinaryIO]:
    """An empty file for what is to be at a place, of the same mode; nobody else writes it."""
    for number in count():
        beside = _beside_of(place, number)
        file = BufferedWriter(FileIO(beside, "r+", opener=_open_or_create))
        if _is_ours(beside, file):
            break
        file.close()
    file.truncate()
    if place.exists():
        status = place.stat()
        with suppress(OSError):  # only root gives files away
            if sys.platform != "win32":
                os.chown(beside, status.st_uid, status.st_gid)
        with suppress(OSError):
            beside.chmod(stat.S_IMODE(status.st_mode))
    return beside, file


def _beside_of(place: Path, number: int = 0) -> Path:
    """Where what is to be at a place is written."""
    name = os.fsdecode(os.fsencode(place.name)[:MAX_NAME_BYTES])
    return place.with_name(f".{name}.part{number or ''}")


def _open_or_create(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o666)


def _is_ours(path: Path, file: BinaryIO) -> bool:
    """Lock an open file; not what another process writes, or has renamed just now, or a link."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            pass
    try:
        return os.path.samestat(os.lstat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _replace(place: Path, beside: Path) -> None:
    try:
        beside.replace(place)
    except OSError:
        # The file of another user in a sticky folder, or a mount of this file alone.
        if not place.is_file():
            raise
        shutil.copyfile(beside, place)
        beside.unlink()


def next_free_name(suffix: str) -> Path:
    """``vgaemu-001`` ... in the current folder, whichever comes first that is not there.

    Nor is it one that is being written.
    """
    names = (Path(f"vgaemu-{n:03}{suffix}") for n in count(1))
    return next(path for path in names if not (path.exists() or _beside_of(path).exists()))
