"""Drives as INT 13h counts them: which there are, of what shape, with which tables.

Emulated: floppies 00h and 01h, hard disks 80h and 81h, CD E0h. A disk that has no file system and
no partitions may be meant as a floppy or as a hard disk: booted as 00h it is 80h as well, unless
there is another, in the shape of a hard disk of its size, for programs that are made to be started
by `qemu-system-i386 os.bin`. Not emulated: more drives than that.

Source: IBM AT BIOS reference (INT 41h's table); Microsoft's FAT specification (the boot sector).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from vgaemu.pc.chips.cmos import MANY_HEADS, NO_PRECOMPENSATION
from vgaemu.pc.formats import HEADS, SECTORS
from vgaemu.pc.images import SECTOR, DiskImage

FLOPPY, HARD_DISK, CD = 0x00, 0x80, 0xE0
#: A disk that is two things has at least so many cylinders as the larger one.
LEAST_CYLINDERS = 2
#: INT 41h's table: cylinders, heads, two words for drives of old, control byte, three bytes for
#: XTs, the cylinder where heads land, sectors a track.
FIXED_DISK = struct.Struct("<HBxxHxBxxxHBx")


class Kind(Enum):
    """What a drive is, which decides what calls it has."""

    FLOPPY = 0x00
    HARD_DISK = 0x80
    CD = 0xE0


@dataclass(frozen=True)
class Drive:
    """A drive, and the disk in it."""

    kind: Kind
    image: DiskImage
    cylinders: int
    heads: int
    sectors: int
    #: Whether transfers go through the DMA controller, which counts within 64 KiB.
    by_dma: bool = False

    @property
    def total(self) -> int:
        """Sectors of 512 bytes: those of its shape, and what else there is of the disk."""
        return max(self.image.total, self.cylinders * self.heads * self.sectors)

    def fixed_disk_table(self) -> bytes:
        """What INT 41h leads to."""
        control = MANY_HEADS if self.heads > 8 else 0
        return FIXED_DISK.pack(
            self.cylinders, self.heads, NO_PRECOMPENSATION, control, self.cylinders, self.sectors
        )


def drives_of(disks: Sequence[DiskImage], booted: DiskImage | None = None) -> dict[int, Drive]:
    """The drives that there are for some disks, by their numbers."""
    drives: dict[int, Drive] = {}
    for image in disks:
        kind = Kind.CD if image.is_cd else Kind.HARD_DISK if image.is_hard_disk else Kind.FLOPPY
        number = kind.value + count_of(drives, kind)
        shape = image.cylinders, image.heads, image.sectors
        drives[number] = Drive(kind, image, *shape, by_dma=kind is Kind.FLOPPY)
    if booted is not None and kind_is_open(booted) and HARD_DISK not in drives:
        cylinders = max(LEAST_CYLINDERS, booted.total // (HEADS * SECTORS))
        drives[FLOPPY] = replace(drives[FLOPPY], by_dma=False)
        drives[HARD_DISK] = Drive(Kind.HARD_DISK, booted, cylinders, HEADS, SECTORS)
    return drives


def count_of(drives: Mapping[int, Drive], kind: Kind) -> int:
    """How many of a kind there are."""
    return sum(drive.kind is kind for drive in drives.values())


def kind_is_open(image: DiskImage) -> bool:
    """Whether a disk may be meant as a floppy or as a hard disk."""
    is_floppy = not image.is_cd and not image.is_hard_disk
    return is_floppy and not has_file_system(image.read(0, 1))


def has_file_system(boot_sector: bytes) -> bool:
    """Whether a boot sector describes a FAT file system: bytes a sector, sectors a cluster, FATs.

    >>> has_file_system(bytes.fromhex("EB3C90") + bytes(8) + bytes.fromhex("0002 01 0100 02"))
    True
    >>> has_file_system(bytes(512))
    False
    """
    each, cluster, reserved, fats = struct.unpack_from("<HBHB", boot_sector, 11)
    is_power_of_two = cluster > 0 and not cluster & (cluster - 1)
    return each == SECTOR and is_power_of_two and reserved > 0 and fats in (1, 2)
