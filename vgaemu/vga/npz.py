"""Reading an .npz from anywhere: each size is looked at before anything is allocated for it.

A zip unpacks to a thousand times its size, and what its directory and the arrays' heads say may be
lies. Read are stored and deflated members of npy format 1 and 2 without Python objects, as
`np.savez` writes them; nothing else is.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from typing import IO, BinaryIO

import numpy as np

from vgaemu.snapshot import MAX_BYTES, Array

#: Members, and bytes of the directory that lists them.
MAX_MEMBERS, MAX_DIRECTORY_BYTES = 256, 1 << 16
#: The record behind the directory, and the longest comment behind that.
END, END_BYTES, MAX_COMMENT_BYTES = b"PK\x05\x06", 22, 0xFFFF
#: What leads to the record of a zip64, just before the end.
LOCATOR, LOCATOR_BYTES = b"PK\x06\x07", 20
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
HEADS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Archive:
    """An open .npz; what is wrong with it may raise anything that `zipfile` and numpy raise."""

    def __init__(self, file: BinaryIO) -> None:
        """Read its directory."""
        _check_directory(file)
        self._zip = zipfile.ZipFile(file)
        self._members = {info.filename.removesuffix(".npy"): info for info in self._zip.infolist()}
        if len(self._members) != len(self._zip.infolist()) or len(self._members) > MAX_MEMBERS:
            raise ValueError
        if any(info.compress_type not in METHODS for info in self._members.values()):
            raise ValueError

    def small(self, name: str) -> Array:
        """An array of at most `MAX_BYTES`."""
        array = self._array(name, MAX_BYTES)
        if array is None:
            raise ValueError
        return array

    def _array(self, name: str, most: int) -> Array | None:
        """An array, if it has no more than so many bytes."""
        info = self._members[name]
        with self._zip.open(info) as member:
            if _nbytes(member) > most:
                return None
        with self._zip.open(info) as member:
            array: Array = np.lib.format.read_array(member, allow_pickle=False)
            if member.read(1):
                raise ValueError
        return array

    def arrays(self, most: Mapping[str, int]) -> dict[str, Array | None]:
        """All of them; of one that `most` does not name no more than `MAX_BYTES`."""
        return {name: self._array(name, most.get(name, MAX_BYTES)) for name in self._members}


def _check_directory(file: BinaryIO) -> None:
    """`zipfile` makes an object of each entry, however many there are."""
    size = file.seek(0, 2)
    file.seek(max(size - END_BYTES - MAX_COMMENT_BYTES, 0))
    tail = file.read()
    at = tail.rfind(END)
    end = tail[at:]
    if len(end) < END_BYTES or int.from_bytes(end[12:16], "little") > MAX_DIRECTORY_BYTES:
        raise ValueError
    if LOCATOR in tail[max(at - LOCATOR_BYTES, 0) : at]:  # to a directory with other figures
        raise ValueError


def _nbytes(member: IO[bytes]) -> int:
    """What an array's head says; Python's integers do not overflow."""
    shape, _, dtype = HEADS[np.lib.format.read_magic(member)](member)
    return math.prod(shape) * dtype.itemsize
