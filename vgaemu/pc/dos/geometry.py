"""How a disk of DOS is laid out: its first sector's parameters, and what follows from them.

Emulated: FAT12 and FAT16, told apart as DOS does, by the number of clusters. Not emulated: FAT32.
Source: MS-DOS Programmer's Reference 5.0 (boot sector); Microsoft's FAT specification 1.03.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from vgaemu.pc.images import SECTOR

#: From the 12th byte on: bytes of a sector, sectors of a cluster, sectors before the first FAT,
#: FATs, entries of the root, sectors if they are few, media byte, sectors of a FAT, sectors of a
#: track, heads, sectors before the disk, sectors if they are many.
PARAMETERS, PARAMETERS_AT = struct.Struct("<HBHBHHBHHHII"), 11
#: With these from here on, a number, a label and a kind follow.
EXTENDED_AT, EXTENDED, IDENTITY = 0x26, (0x28, 0x29), struct.Struct("<I11s8s")
#: Clusters from which on a FAT has 16 bits an entry, and 32.
FAT16_FROM, FAT32_FROM = 4085, 65525
ENTRY_BYTES = 32
NO_LABEL = b"NO NAME    "


class Geometry(NamedTuple):
    """Where what of a disk lies, in sectors from its first."""

    cluster_sectors: int
    reserved: int
    fats: int
    root_entries: int
    total: int
    media: int
    fat_sectors: int
    track_sectors: int
    heads: int
    hidden: int
    serial: int
    label: bytes = NO_LABEL

    @property
    def root_at(self) -> int:
        """The root's first sector."""
        return self.reserved + self.fats * self.fat_sectors

    @property
    def data_at(self) -> int:
        """The first cluster's first sector."""
        return self.root_at + -(-self.root_entries * ENTRY_BYTES // SECTOR)

    @property
    def clusters(self) -> int:
        """How many there are; they count from 2."""
        return (self.total - self.data_at) // self.cluster_sectors

    @property
    def bits(self) -> int:
        """Of an entry of the FAT."""
        return 12 if self.clusters < FAT16_FROM else 16

    @property
    def kind(self) -> bytes:
        """What the first sector says of that."""
        return b"FAT%-5d" % self.bits

    @property
    def cylinders(self) -> int:
        """By the shape that it says."""
        return -(-self.total // max(self.track_sectors * self.heads, 1))

    @property
    def parameters(self) -> bytes:
        """As the first sector has them."""
        few = self.total if self.total < 0x10000 and not self.hidden else 0
        return PARAMETERS.pack(
            SECTOR, self.cluster_sectors, self.reserved, self.fats, self.root_entries, few,
            self.media, self.fat_sectors, self.track_sectors, self.heads, self.hidden,
            0 if few else self.total,
        )  # fmt: skip

    @property
    def identity(self) -> bytes:
        """What 69h and 440Dh tell: level, serial number, label, kind of FAT."""
        return struct.pack("<H", 0) + IDENTITY.pack(self.serial, self.label, self.kind)


def geometry_of(sector: bytes, sectors: int) -> Geometry | None:
    """What a first sector says of a disk that has so many; None: it is none of FAT12 or FAT16.

    >>> geometry_of(bytes(512), 720) is None
    True
    """
    (
        size, cluster_sectors, reserved, fats, root_entries, few, media, fat_sectors, track, heads,
        hidden, many,
    ) = PARAMETERS.unpack_from(sector, PARAMETERS_AT)  # fmt: skip
    total = few or many
    is_one = (
        size == SECTOR and cluster_sectors and not cluster_sectors & cluster_sectors - 1
        and reserved and fats in (1, 2) and root_entries and fat_sectors
        and media >= 0xF0 and 0 < total <= sectors
    )  # fmt: skip
    if not is_one:
        return None
    serial, label = 0, NO_LABEL
    if sector[EXTENDED_AT] in EXTENDED:
        serial, label, _ = IDENTITY.unpack_from(sector, EXTENDED_AT + 1)
        label = label if sector[EXTENDED_AT] == EXTENDED[1] else NO_LABEL
    found = Geometry(
        cluster_sectors, reserved, fats, root_entries, total, media, fat_sectors, track, heads,
        hidden, serial, label,
    )  # fmt: skip
    room = fat_sectors * SECTOR * 8 // found.bits - 2
    fits = 0 < found.clusters < FAT32_FROM and found.clusters <= room
    return found if fits else None
