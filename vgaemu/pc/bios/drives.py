"""Drives as INT 13h counts them: which there are, of what shape, with which tables.

Emulated: floppy 00h, hard disk 80h, CD E0h: one of them, the image that was booted. A disk that has
no file system and no partitions may be meant as a floppy or as a hard disk: booted as 00h it is 80h
as well, in the shape of a hard disk of its size, for programs that are made to be started by
`qemu-system-i386 os.bin`. Not emulated: more drives than that.

Source: IBM AT BIOS reference (INT 41h's table); Microsoft's FAT specification (the boot sector).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from vgaemu.pc.images import SECTOR, DiskImage

FLOPPY, HARD_DISK, CD = 0x00, 0x80, 0xE0
#: Heads and sectors a track of a hard disk whose image does not say.
HEADS, SECTORS = 16, 63
#: A disk that is two things has at least so many cylinders as the larger one.
LEAST_CYLINDERS = 2
#: INT 41h's table: cylinders, heads, two words for drives of old, control byte (8: more than eight
#: heads), three bytes for XTs, the cylinder where heads land, sectors a track.
FIXED_DISK = struct.Struct("<HBxxHxBxxxHBx")
MORE_THAN_8_HEADS, NO_PRECOMPENSATION = 0x08, 0xFFFF


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
        control = MORE_THAN_8_HEADS if self.heads > 8 else 0
        return FIXED_DISK.pack(
            self.cylinders, self.heads, NO_PRECOMPENSATION, control, self.cylinders, self.sectors
        )


def drives_of(image: DiskImage | None) -> dict[int, Drive]:
    """The drives that there are for an image, by their numbers; the one that is booted first."""
    if image is None:
        return {}
    shape = image.cylinders, image.heads, image.sectors
    if image.cd_boot is not None:
        return {CD: Drive(Kind.CD, image, *shape)}
    if image.is_hard_disk:
        return {HARD_DISK: Drive(Kind.HARD_DISK, image, *shape)}
    if has_file_system(image.read(0, 1)):
        return {FLOPPY: Drive(Kind.FLOPPY, image, *shape, by_dma=True)}
    cylinders = max(LEAST_CYLINDERS, image.total // (HEADS * SECTORS))
    return {
        FLOPPY: Drive(Kind.FLOPPY, image, *shape),
        HARD_DISK: Drive(Kind.HARD_DISK, image, cylinders, HEADS, SECTORS),
    }


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
