"""An open file of the host, as a program has one: so much is written to it, so far it is sought.

Each byte that is written takes room, written again or skipped by a seek.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Protocol

from vgaemu.pc.dos.entries import (
    MAX_POSITION,
    attributes_of,
    packed_time,
    unpacked_time,
)
from vgaemu.pc.dos.errors import BAD_FUNCTION, DENIED, DosError

#: What the host says if it has no room.
FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG)
#: How a file is opened to change what is said of it: no link, and no waiting for a pipe.
LOOK = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


class Room(Protocol):
    """What a program may still write to the host."""

    written: int

    @property
    def free(self) -> int:
        """Bytes."""


class HostFile:
    """See `Stream`."""

    cluster = 0

    def __init__(self, fd: int, room: Room) -> None:
        self.fd, self._room = fd, room

    @property
    def place(self) -> int:
        """See `Stream`."""
        return os.lseek(self.fd, 0, os.SEEK_CUR)

    @property
    def size(self) -> int:
        """See `Stream`."""
        return os.fstat(self.fd).st_size

    @property
    def attributes(self) -> int:
        """See `Stream`."""
        return attributes_of(os.fstat(self.fd).st_mode)

    @property
    def when(self) -> tuple[int, int]:
        """See `Stream`."""
        return packed_time(os.fstat(self.fd).st_mtime)

    def set_when(self, time: int, date: int) -> None:
        """See `Stream`."""
        seconds = unpacked_time(time, date)
        if seconds is not None and os.utime in os.supports_fd:
            os.utime(self.fd, (seconds, seconds))

    def read(self, count: int) -> bytes:
        """Read, up to the farthest position."""
        return os.read(self.fd, min(count, MAX_POSITION - self.place))

    def write(self, data: bytes) -> int:
        """Write, as far as there is room; what was skipped before takes room, too."""
        place = self.place
        skipped = max(place - self.size, 0)
        data = data[: max(min(self._room.free - skipped, MAX_POSITION - place), 0)]
        if not data:
            return 0
        try:
            count = os.write(self.fd, data)
        except OSError as error:
            if error.errno not in FULL:
                raise
            return 0  # as a disk of DOS's that is full: no error, fewer bytes
        self._room.written += skipped + count
        return count

    def cut(self) -> None:
        """Let the file end at its position.

        Raises:
            DosError: It would become longer than there is room for.
        """
        place = self.place
        longer = max(place - self.size, 0)
        if longer > self._room.free:
            raise DosError(DENIED)
        os.ftruncate(self.fd, place)
        self._room.written += longer

    def seek(self, offset: int, whence: int) -> int:
        """Move the position; no farther than a program could write.

        Raises:
            DosError: It would lie before the file, or too far behind it.
        """
        base = (0, self.place, self.size)[whence]
        if not 0 <= base + offset <= MAX_POSITION:
            raise DosError(BAD_FUNCTION)
        return int(os.lseek(self.fd, base + offset, os.SEEK_SET))

    def close(self) -> None:
        """See `Stream`."""
        os.close(self.fd)


def set_mode(entry: str, folder: int | None, mode: int) -> None:
    """Change a file's mode; nothing that has become a link since."""
    if os.chmod not in os.supports_fd:
        os.chmod(entry, mode)
        return
    fd = os.open(entry, LOOK, dir_fd=folder)
    try:
        os.chmod(fd, mode)
    finally:
        os.close(fd)


def open_again(entry: str, folder: int | None, flags: int, mode: int) -> int:
    """Open what a program had open, also to be written where its file is read-only by now."""
    locked = stat.S_ISREG(mode) and not mode & stat.S_IWUSR and flags & (os.O_WRONLY | os.O_RDWR)
    if not locked:
        return os.open(entry, flags, dir_fd=folder)
    set_mode(entry, folder, stat.S_IMODE(mode) | stat.S_IWUSR)
    try:
        return os.open(entry, flags, dir_fd=folder)
    finally:
        set_mode(entry, folder, stat.S_IMODE(mode))
