"""What can be run: boot sectors, floppy and hard disk images, .COM programs; read and checked.

Emulated: floppies of 160 KB to 2.88 MB by their size, hard disks by their partition table; so what
has no floppy's size and a table of partitions that lie in it is a hard disk. Other smaller images
are floppies with nothing behind them. Not emulated: .EXE programs, compressed or qcow images.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vgaemu.errors import ImageError, file_error
from vgaemu.snapshot import Array, Part

SECTOR = 512
MAX_FLOPPY = 2880 << 10
#: Largest hard disk image that is read: it is kept in memory.
MAX_DISK = 512 << 20
#: Sectors in all -> cylinders, heads, sectors a track.
FLOPPIES = {
    320: (40, 1, 8), 360: (40, 1, 9), 640: (40, 2, 8), 720: (40, 2, 9), 1440: (80, 2, 9),
    2400: (80, 2, 15), 2880: (80, 2, 18), 3360: (80, 2, 21), 3444: (82, 2, 21), 5760: (80, 2, 36),
}  # fmt: skip
#: Heads, and sectors a track, of every hard disk.
HEADS, SECTORS = 16, 63
#: A program of 64 KiB has no room for its prefix (256 bytes) and a stack.
MAX_COM = 0x10000 - 0x100 - 2


@dataclass
class DiskImage:
    """A disk: its bytes, and where writes go."""

    path: Path
    data: bytearray
    cylinders: int
    heads: int
    sectors: int
    is_hard_disk: bool
    #: Writes reach the file, too.
    writable: bool = False
    #: Sectors that were written to a copy -> what the file has there.
    originals: dict[int, bytes] = field(default_factory=dict)
    _digest: bytes | None = None
    _expected: list[int] = field(default_factory=list)

    def digest(self) -> bytes:
        """SHA-256 of the file: as it was opened, or as it was written to."""
        if self._digest is None:
            self._digest = hashlib.sha256(self.data).digest()
        return self._digest

    @property
    def total(self) -> int:
        """Sectors of the disk; those behind the image read zeros."""
        return self.cylinders * self.heads * self.sectors

    def read(self, first: int, count: int) -> bytes:
        """Sectors from `first` on."""
        data = bytes(self.data[first * SECTOR : (first + count) * SECTOR])
        return data.ljust(count * SECTOR, b"\0")

    def write(self, first: int, data: bytes) -> None:
        """Write sectors: to the copy in memory, and to the file if it was opened for that.

        Raises:
            OSError: The file cannot be written to; the copy is as it was.
        """
        at = first * SECTOR
        if self.writable:
            self._write_file(at, data)
            self._digest = None
        else:
            self.digest()
            for sector in range(first, first + -(-len(data) // SECTOR)):
                if sector not in self.originals:
                    self.originals[sector] = self.read(sector, 1)
        if len(self.data) < at + len(data):
            self.data.extend(bytes(at + len(data) - len(self.data)))
        self.data[at : at + len(data)] = data

    def _write_file(self, at: int, data: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(0, 2)
            if file.tell() < at:
                file.truncate(at)
            file.seek(at)
            file.write(data)

    def undo_writes(self) -> None:
        """Make the copy what the file is."""
        for sector, data in self.originals.items():
            self.data[sector * SECTOR : (sector + 1) * SECTOR] = data
        self.originals.clear()

    def parts(self) -> dict[str, Part]:
        # The sectors that the guest wrote to a copy; their numbers are restored first.
        return {
            "disk.sectors": Part(
                "u4", lambda: sorted(self.originals), self._expect, self._are_mine,
                any_length=True, most_bytes=4 * self.total,
            ),
            "disk.data": Part(
                "u1", self._written, self._restore,
                any_length=True, most_bytes=SECTOR * self.total,
            ),
        }  # fmt: skip

    def _are_mine(self, array: Array) -> bool:
        return bool(array.size == np.unique(array[array < self.total]).size)

    def _written(self) -> Array:
        data = b"".join(self.read(sector, 1) for sector in sorted(self.originals))
        return np.frombuffer(data, np.uint8).reshape(-1, SECTOR)

    def _expect(self, array: Array) -> None:
        self._expected = array.tolist()

    def _restore(self, array: Array) -> None:
        self.undo_writes()
        for sector, data in zip(self._expected, array, strict=True):
            self.write(sector, data.tobytes())


@dataclass
class ComProgram:
    """A DOS program that is loaded as it is."""

    path: Path
    data: bytes
    args: list[str] = field(default_factory=list)

    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return hashlib.sha256(self.data).digest()


def load_image(
    name: str, args: list[str], *, force: bool = False, writable: bool = False
) -> DiskImage | ComProgram:
    """Read and check a .COM program, or a disk; `force` takes one without the signature 55AAh.

    Raises:
        ImageError: It cannot be run.
    """
    path, advice = Path(name), "name a disk image or a .com program"
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ImageError(f"{name}: not a file; {advice}")
        if size > MAX_DISK:
            raise ImageError(f"{name}: {size >> 20} MiB; disks are at most {MAX_DISK >> 20} MiB")
        data = bytearray(size)  # a hard disk is read once, and kept
        with path.open("rb") as file:
            del data[file.readinto(data) :]
    except OSError as error:
        raise ImageError(file_error(name, error, advice)) from None
    if not data:
        raise ImageError(f"{name}: the file is empty; {advice}")
    suffix = path.suffix.lower()
    if suffix == ".exe" or (suffix == ".com" and bytes(data[:2]) in (b"MZ", b"ZM")):
        raise ImageError(
            f"{name}: .EXE programs are not supported; .COM programs and disk images are"
        )
    if suffix == ".com":
        if len(data) > MAX_COM:
            raise ImageError(
                f"{name}: {len(data)} bytes; a .COM program has at most {MAX_COM}: one segment"
            )
        return ComProgram(path, bytes(data), list(args))
    if args:
        raise ImageError(f"{name}: a disk takes no arguments, only .com programs do")
    return _disk(path, data, force=force, writable=writable)


def _disk(path: Path, data: bytearray, *, force: bool, writable: bool) -> DiskImage:
    if data[510:512] != b"\x55\xaa" and not force:
        what = "shorter than a boot sector" if len(data) < SECTOR else "no signature 55AA at 510"
        raise ImageError(f"{path}: not bootable, {what}; --force boots it all the same")
    if writable:
        try:
            with path.open("r+b"):
                pass
        except OSError as error:
            raise ImageError(file_error(f"{path}: --writable", error)) from None
    total = -(-len(data) // SECTOR)
    ends = _partition_ends(data)
    fits = bool(ends) and all(0 < end <= total for end in ends)
    is_hard_disk = len(data) > MAX_FLOPPY or (total not in FLOPPIES and fits)
    if not is_hard_disk:
        # The smallest usual floppy that holds it, but a lone boot sector is on 1.44 MB.
        shape = FLOPPIES.get(total) or FLOPPIES[2880 if total <= 2880 else 5760]
    elif ends or force:
        shape = min(-(-total // (HEADS * SECTORS)), 1024), HEADS, SECTORS
    else:
        raise ImageError(
            f"{path}: {len(data)} bytes is more than a floppy ({MAX_FLOPPY}), "
            "and there is no partition table: not a disk; --force boots it all the same"
        )
    return DiskImage(path, data, *shape, is_hard_disk, writable)


def _partition_ends(data: bytearray) -> list[int]:
    """The sector behind each partition; none if nothing looks like a partition table."""
    entries = [data[at : at + 16] for at in range(446, 510, 16)]
    if (
        len(data) < SECTOR
        or any(entry[0] not in (0, 0x80) for entry in entries)
        or not any(entry[4] for entry in entries)
    ):
        return []
    return [sum(struct.unpack("<8xII", entry)) for entry in entries if any(entry)]
