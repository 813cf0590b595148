"""What a folder has, whichever drive it is on: names with sizes, dates and attributes; open files.

Emulated: attributes, times and dates as DOS packs them. Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

import calendar
import os
import stat
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

#: Attributes of files and of folders; those that 3Ch and 43h may ask for.
READ_ONLY, HIDDEN, SYSTEM, VOLUME_LABEL, FOLDER, ARCHIVE = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
DIRECTORY_OR_LABEL = FOLDER | VOLUME_LABEL
SETTABLE = READ_ONLY | HIDDEN | SYSTEM | ARCHIVE
#: 1980-01-01, DOS's first day; the seconds of its first and its last, in 2107.
FIRST_DAY, FIRST_SECOND, LAST_SECOND = 0x0021, 315_532_800, 4_354_819_198
#: The farthest position of a file: FAT16 has none of more.
MAX_POSITION = 2 << 30


class NamedFile(NamedTuple):
    """What a search finds."""

    name: str
    size: int
    attributes: int
    #: Time and date as DOS packs them.
    when: tuple[int, int] = (0, FIRST_DAY)


class Stream(Protocol):
    """What an open file reads and writes, from a position on."""

    @property
    def place(self) -> int:
        """The position."""

    @property
    def size(self) -> int:
        """Bytes of the file."""

    @property
    def attributes(self) -> int:
        """As its folder has them."""

    @property
    def cluster(self) -> int:
        """Where on the disk it begins; 0: nowhere."""

    @property
    def when(self) -> tuple[int, int]:
        """Time and date as DOS packs them."""

    def set_when(self, time: int, date: int) -> None:
        """Set them; what is no time is none that anybody asked for."""

    def read(self, count: int) -> bytes:
        """The next bytes."""

    def write(self, data: bytes) -> int:
        """Write, as far as there is room; how much was."""

    def cut(self) -> None:
        """Let the file end at its position."""

    def seek(self, offset: int, whence: int) -> int:
        """Move the position, as ``lseek`` does; where it is."""

    def close(self) -> None:
        """No more of that."""


class Nothing:
    """A device's file: what is written is gone, and nothing is read."""

    place = size = attributes = cluster = 0
    when = (0, FIRST_DAY)

    def set_when(self, time: int, date: int) -> None:
        """Devices have none."""

    def read(self, count: int) -> bytes:
        """See `Stream`."""
        return b""

    def write(self, data: bytes) -> int:
        """See `Stream`."""
        return len(data)

    def cut(self) -> None:
        """See `Stream`."""

    def seek(self, offset: int, whence: int) -> int:
        """See `Stream`."""
        return 0

    def close(self) -> None:
        """See `Stream`."""


class OpenFile(NamedTuple):
    """What a handle stands for."""

    stream: Stream
    #: Below drive C:'s folder, as the host spells it, with slashes; of another drive with its
    #: letter; a device's own.
    name: str
    #: O_RDONLY, O_WRONLY or O_RDWR.
    access: int
    #: Programs that are started do not get it.
    private: bool = False
    #: What a table of handles has for it; -1: nothing.
    number: int = -1


class Opening(NamedTuple):
    """What is asked of a file that is opened, besides an access."""

    #: It is made where it is not there, and cut off where it is; or only made, if it is to be new.
    create: bool = False
    new: bool = False
    #: Those of a file that is made.
    attributes: int = 0
    #: A program had it open, whatever attributes it has by now: a state is restored.
    again: bool = False


#: It is there, and stays as it is.
AS_IT_IS = Opening()


def close_anyway(file: OpenFile) -> None:
    """Close it, whatever the host says of that."""
    with suppress(OSError):
        file.stream.close()


def packed_time(seconds: float) -> tuple[int, int]:
    """Time and date as DOS packs them, UTC, of the years that it knows.

    >>> packed_time(0), packed_time(86400 * 3653 + 3599), packed_time(1e10)
    ((0, 33), (1917, 34), (49021, 65439))
    """
    return packed(time.gmtime(min(max(seconds, FIRST_SECOND), LAST_SECOND)))


def packed(then: time.struct_time) -> tuple[int, int]:
    """Time and date of a moment from 1980 on."""
    return (
        then.tm_hour << 11 | then.tm_min << 5 | then.tm_sec // 2,
        then.tm_year - 1980 << 9 | then.tm_mon << 5 | then.tm_mday,
    )


def unpacked_time(when: int, date: int) -> int | None:
    """Seconds since 1970, or None if there is no such time.

    >>> unpacked_time(1917, 34) - 86400 * 3653, unpacked_time(0, 0)
    (3598, None)
    """
    try:
        then = datetime(
            1980 + (date >> 9), date >> 5 & 0xF, date & 0x1F,
            when >> 11, when >> 5 & 0x3F, 2 * (when & 0x1F),
        )  # fmt: skip
    except ValueError:
        return None
    return calendar.timegm(then.timetuple())


def attributes_of(mode: int) -> int:
    """What DOS says of a file or folder of the host, by its ``st_mode``."""
    if stat.S_ISDIR(mode):
        return FOLDER
    return ARCHIVE | (0 if mode & stat.S_IWUSR else READ_ONLY)


def mode_of(name: str | Path, folder: int | None = None) -> int:
    """What is there, in an open folder, as ``st_mode``; links are not followed; 0 for nothing."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
