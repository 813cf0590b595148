"""An .npz written fast, and read from anywhere: sizes are looked at before anything is allocated.

A zip unpacks to a thousand times its size, and what its directory and the arrays' heads say may be
lies. Read are stored and deflated members of npy format 1.0 without Python objects, as `np.savez`
writes them; nothing else is. `zipfile` reads the directory; its members and numpy's heads, which it
evaluates as Python, were most of the time that a state took to load.

Large memories are mostly zeros, so they are kept by pages: `folded` and `unfolded`.
"""

from __future__ import annotations

import math
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import BinaryIO, Literal, NamedTuple

import numpy as np

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.memslot.zeros import used_pages, zeros
from vgaemu.snapshot import MAX_BYTES, Array

#: Members, and bytes of the directory that lists them.
MAX_MEMBERS, MAX_DIRECTORY_BYTES = 256, 1 << 16
#: The record behind the directory, and the longest comment behind that.
END, END_BYTES, MAX_COMMENT_BYTES = b"PK\x05\x06", 22, 0xFFFF
#: What leads to the record of a zip64, just before the end.
LOCATOR, LOCATOR_BYTES = b"PK\x06\x07", 20
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: What stands before a member: a signature, and the lengths of a name and of what else follows.
LOCAL, SIGNATURE = struct.Struct("<4s22x2H"), b"PK\x03\x04"
ENCRYPTED = 1
#: Deflated bytes read in one go.
CHUNK = 1 << 16

#: What an array of format 1.0 begins with; then the length of its head, and the head.
MAGIC = b"\x93NUMPY\x01\x00"
HEAD = re.compile(
    rb"\{'descr': '([<>|=]?[A-Za-z?][0-9]{0,9})', 'fortran_order': (False|True), "
    rb"'shape': \(((?:[0-9]{1,19}, ?)*[0-9]{0,19})\), ?\} *\n"
)
#: Heads are padded to this, so that elements lie where a map of the file has them aligned.
ALIGNED = 64

#: What the names of a memory's two arrays end in.
USED, PAGES = ".used", ".pages"

#: Arrays up to so many bytes are stored: to deflate them takes longer than they are worth.
STORED_BYTES = 1024
#: Of larger ones a part is tried: where it does not get this much smaller, to deflate the rest
#: would take ten times as long as of what does, for nothing.
TRIED_PART, WORTHWHILE = 16, 0.9
#: Level 6 takes three times as long, for a tenth less.
LEVEL = 1


def folded(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays, memories among them without the pages that are zeros.

    Of `ram`, (n,) uint8 of several pages, become `ram.used`, (n / 4096,) bool, and `ram.pages`,
    (used, 4096) uint8.
    """
    found: dict[str, Array] = {}
    for name, array in arrays.items():
        pages, rest = divmod(array.size, PAGE_SIZE)
        if array.dtype == np.uint8 and array.ndim == 1 and pages > 1 and not rest:
            found[name + USED] = used = used_pages(array)
            found[name + PAGES] = array.reshape(-1, PAGE_SIZE)[used]
        else:
            found[name] = array
    return found


def _unfolded(used: Array, pages: Array) -> Array:
    """A memory that was `folded`."""
    if used.dtype != np.bool_ or used.ndim != 1 or pages.dtype != np.uint8:
        raise ValueError
    if used.view(np.uint8).max(initial=0) > 1:  # numpy would count them as more than one page
        raise ValueError
    memory = zeros(len(used) * PAGE_SIZE)
    memory.reshape(-1, PAGE_SIZE)[used] = pages.reshape(-1, PAGE_SIZE)
    return memory


def write(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    """Write arrays without Python objects as an .npz."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy")
            info.external_attr = 0o600 << 16  # for who unpacks it
            data = _head(array) + array.tobytes()
            archive.writestr(info, data, _method(array), LEVEL)


def _method(array: Array) -> int:
    if array.nbytes <= STORED_BYTES:
        return zipfile.ZIP_STORED
    tried = array[:: min(TRIED_PART, len(array))].tobytes()
    shrinks = len(zlib.compress(tried, LEVEL)) < WORTHWHILE * len(tried)
    return zipfile.ZIP_DEFLATED if shrinks else zipfile.ZIP_STORED


def _head(array: Array) -> bytes:
    text = f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {array.shape}, }}"
    padding = -(len(MAGIC) + 2 + len(text) + 1) % ALIGNED
    head = text.encode("ascii") + b" " * padding + b"\n"
    return MAGIC + struct.pack("<H", len(head)) + head


class Archive:
    """An open .npz; what is wrong with it may raise anything that `zipfile` and numpy raise."""

    def __init__(self, file: BinaryIO) -> None:
        """Read its directory."""
        _check_directory(file)
        members = zipfile.ZipFile(file).infolist()
        self._file = file
        self._members = {info.filename.removesuffix(".npy"): info for info in members}
        if len(self._members) != len(members) or len(members) > MAX_MEMBERS:
            raise ValueError
        if any(info.compress_type not in METHODS for info in members):
            raise ValueError

    def small(self, name: str) -> Array:
        """An array of at most `MAX_BYTES`.

        Raises:
            ValueError: It is larger, or damaged.
        """
        array = self._array(name, MAX_BYTES)
        if array is None:
            raise ValueError
        return array

    def _array(self, name: str, most: int) -> Array | None:
        """An array, read-only, if it has no more than so many bytes."""
        member = Member(self._file, self._members[name])
        head = _read_head(member)
        if head.nbytes > most:
            return None
        data = member.read(head.nbytes)
        if len(data) != head.nbytes or not member.is_whole():
            raise ValueError
        return np.ndarray(head.shape, head.dtype, data, order=head.order)

    def arrays(self, most: Mapping[str, int]) -> dict[str, Array | None]:
        """All of them, memories whole; of one that `most` does not name, at most `MAX_BYTES`.

        Returns:
            Name -> array, read-only; None: it is larger than that.

        Raises:
            ValueError: One is damaged, or there twice.
        """
        folded = [name for name in most if {name + USED, name + PAGES} <= self._members.keys()]
        found = {name: self._memory(name, most[name]) for name in folded}
        parts = {name + part for name in folded for part in (USED, PAGES)}
        for name in self._members:
            if name in found:
                raise ValueError
            if name not in parts:
                found[name] = self._array(name, most.get(name, MAX_BYTES))
        return found

    def _memory(self, name: str, most: int) -> Array | None:
        used = self._array(name + USED, most // PAGE_SIZE)
        pages = None if used is None else self._array(name + PAGES, used.size * PAGE_SIZE)
        return None if used is None or pages is None else _unfolded(used, pages)


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


class Member:
    """A member of a zip, unpacked as far as it is read; one at a time."""

    def __init__(self, file: BinaryIO, info: zipfile.ZipInfo) -> None:
        """Find it, from what the directory says."""
        file.seek(info.header_offset)
        signature, name_bytes, more_bytes = LOCAL.unpack(file.read(LOCAL.size))
        if signature != SIGNATURE or info.flag_bits & ENCRYPTED:
            raise ValueError
        file.seek(name_bytes + more_bytes, 1)
        self._file, self._left = file, info.compress_size
        self._crc, self._wanted_crc = 0, info.CRC
        is_deflated = info.compress_type == zipfile.ZIP_DEFLATED
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS) if is_deflated else None

    def read(self, count: int) -> bytes:
        """The next bytes, fewer only where there are no more."""
        data = self._packed(count) if self._inflate is None else self._unpacked(count)
        self._crc = zlib.crc32(data, self._crc)
        return data

    def is_whole(self) -> bool:
        """Whether all of it has been read, as it was written."""
        is_all = self._left == 0 if self._inflate is None else not self.read(1)
        return is_all and self._crc == self._wanted_crc

    def _packed(self, count: int) -> bytes:
        data = self._file.read(min(count, self._left))
        self._left -= len(data)
        return data

    def _unpacked(self, count: int) -> bytes:
        inflate, pieces = self._inflate, []
        assert inflate is not None
        while count and not inflate.eof:
            packed = inflate.unconsumed_tail or self._packed(CHUNK)
            piece = inflate.decompress(packed, count)
            if not packed and not piece:
                break
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)


class Head(NamedTuple):
    """What an array's head says."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    order: Literal["C", "F"]
    #: Bytes of the elements.
    nbytes: int


def _read_head(member: Member) -> Head:
    begin = member.read(len(MAGIC) + 2)
    if begin[: len(MAGIC)] != MAGIC:
        raise ValueError
    return _head_in(member.read(int.from_bytes(begin[len(MAGIC) :], "little")))


@lru_cache(maxsize=256)
def _head_in(text: bytes) -> Head:
    found = HEAD.fullmatch(text)
    if found is None:
        raise ValueError
    dtype = np.dtype(found[1].decode("ascii"))
    if dtype.hasobject:
        raise ValueError
    shape = tuple(int(number) for number in found[3].split(b",") if number.strip())
    nbytes = math.prod(shape) * dtype.itemsize  # Python's integers do not overflow
    return Head(dtype, shape, "F" if found[2] == b"True" else "C", nbytes)
