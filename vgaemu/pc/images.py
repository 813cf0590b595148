"""What can be run, as it was read: disks, DOS programs, kernels.

Emulated: disks of any shape, with a copy that the guest writes to. Which file is what, and what
else there is to refuse, is told by `formats`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from vgaemu.pc.eltorito import SECTOR as CD_SECTOR
from vgaemu.pc.eltorito import Entry
from vgaemu.snapshot import Array, Part

SECTOR = 512
#: Where a boot sector goes; sectors that a CD's entry may have loaded, up to 640 KiB.
BOOT_AT, MOST_BOOTED = 0x7C00, 1200


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
    #: Of a CD what it boots; its sectors are those of a CD where the BIOS counts them.
    cd_boot: Entry | None = None
    #: Sectors that were written to a copy -> what the file has there.
    originals: dict[int, bytes] = field(default_factory=dict)
    #: Sectors that were written to -> what they hold, and what they held at first. A moment has
    #: the first itself: it is copied before the next write.
    _stored: dict[int, bytes] = field(default_factory=dict)
    _firsts: dict[int, bytes] = field(default_factory=dict)
    #: Counts whatever changes what it holds.
    changes: int = 0
    _is_shared: bool = False
    _digest: bytes | None = None
    _expected: list[int] = field(default_factory=list)

    def digest(self) -> bytes:
        """SHA-256 of the file: as it was opened, or as it was written to."""
        if self._digest is None:
            self._digest = hashlib.sha256(self.data).digest()
        return self._digest

    @property
    def total(self) -> int:
        """Sectors of the disk: those of its shape, and what else LBA reaches of the file."""
        in_file = -(-len(self.data) // SECTOR)
        return max(self.cylinders * self.heads * self.sectors, in_file)

    @property
    def is_cd(self) -> bool:
        """Whether its drive is one for CDs."""
        return self.cd_boot is not None

    @property
    def number(self) -> int:
        """What the BIOS calls the first drive of its kind: 00h, 80h, or E0h of a CD."""
        return 0xE0 if self.is_cd else 0x80 if self.is_hard_disk else 0x00

    @property
    def sector_bytes(self) -> int:
        """Of a sector by LBA."""
        return SECTOR if self.cd_boot is None else CD_SECTOR

    def boot_code(self) -> tuple[int, bytes]:
        """Where what is booted belongs in memory, and what it is."""
        if self.cd_boot is None:
            return BOOT_AT, self.read(0, 1)
        entry = self.cd_boot
        first = entry.first * (CD_SECTOR // SECTOR)
        return entry.segment << 4, self.read(first, min(entry.sectors, MOST_BOOTED))

    def read(self, first: int, count: int) -> bytes:
        """Sectors from `first` on."""
        data = bytes(self.data[first * SECTOR : (first + count) * SECTOR])
        return data.ljust(count * SECTOR, b"\0")

    def write(self, first: int, data: bytes) -> None:
        """Write sectors: to the copy in memory, and to the file if it was opened for that.

        Raises:
            OSError: The file cannot be written to; the copy is as it was.
        """
        at, sectors = first * SECTOR, range(first, first + -(-len(data) // SECTOR))
        if self.writable:
            self._write_file(at, data)
            self._digest = None
        else:
            self.digest()
        for sector in sectors:
            if sector not in self._firsts:
                self._firsts[sector] = self.read(sector, 1)
                if not self.writable:
                    self.originals[sector] = self._firsts[sector]
        self._put(at, data)
        if self._is_shared:
            self._stored, self._is_shared = dict(self._stored), False
        for sector in sectors:
            self._stored[sector] = self.read(sector, 1)

    def _put(self, at: int, data: bytes) -> None:
        self.changes += 1
        if len(self.data) < at + len(data):
            self.data.extend(bytes(at + len(data) - len(self.data)))
        self.data[at : at + len(data)] = data

    def moment(self) -> dict[int, bytes]:
        """What has been written, by sectors, for `go_back`."""
        self._is_shared = True
        return self._stored

    def go_back(self, moment: dict[int, bytes]) -> None:
        """Hold what it held then, and so does the file if writes reach it.

        Raises:
            OSError: The file cannot be written to, or not all of it.
        """
        now = self._stored
        if moment is now:
            return
        changed = {
            sector: moment.get(sector) or self._firsts[sector]
            for sector in now.keys() | moment.keys()
            if now.get(sector) is not moment.get(sector)
        }
        if self.writable:
            for sector, data in changed.items():
                self._write_file(sector * SECTOR, data)
            self._digest = None
        for sector, data in changed.items():
            if sector not in self._firsts:
                self._firsts[sector] = self.read(sector, 1)
            if not self.writable:
                self.originals[sector] = self._firsts[sector]
            self._put(sector * SECTOR, data)
            if sector not in moment:
                self.originals.pop(sector, None)
        self._stored, self._is_shared = moment, True

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
        self.changes += 1
        self.originals.clear()
        self._stored, self._is_shared = {}, False

    def parts(self, name: str = "disk") -> dict[str, Part]:
        # The sectors that the guest wrote to a copy; their numbers are restored first.
        return {
            f"{name}.sectors": Part(
                "u4", lambda: sorted(self.originals), self._expect, self._are_mine,
                any_length=True, most_bytes=4 * self.total,
            ),
            f"{name}.data": Part(
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
class DosProgram:
    """A DOS program as it is in its file: .COM or .EXE, as DOS tells them apart."""

    path: Path
    data: bytes
    args: list[str] = field(default_factory=list)

    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return hashlib.sha256(self.data).digest()

    def parts(self) -> dict[str, Part]:
        return {}


class Module(NamedTuple):
    """A file that is handed to a kernel, and the words that come with it."""

    name: str
    words: str
    data: bytes


@dataclass
class Kernel:
    """A system that is put into memory as it is, with a command line and modules."""

    path: Path
    data: bytes
    #: Its command line, without its name.
    append: str = ""
    modules: list[Module] = field(default_factory=list)

    def digest(self) -> bytes:
        """SHA-256 of the file and of what is handed to it."""
        digest = hashlib.sha256(self.data)
        if self.append or self.modules:
            digest.update(repr((self.append, [one[:2] for one in self.modules])).encode())
        for module in self.modules:
            digest.update(hashlib.sha256(module.data).digest())
        return digest.digest()

    def parts(self) -> dict[str, Part]:
        return {}


class MultibootKernel(Kernel):
    """One with a multiboot header."""


class LinuxKernel(Kernel):
    """One with Linux's setup header."""


#: What a PC can be made for.
Image: TypeAlias = DiskImage | DosProgram | MultibootKernel | LinuxKernel
