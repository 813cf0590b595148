"""A disk with a FAT, in an image: its sectors, clusters and chains of these.

Emulated: FAT12 and FAT16, read and written, whatever else writes to the same sectors (INT 13h, a
state that is loaded): nothing of the disk is kept but what the image says is unchanged. Chains that
are broken end where they break. Not emulated: FAT32, more partitions of a disk than the first.

Source: Microsoft's FAT specification 1.03; MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator

import numpy as np

from vgaemu.pc.dos.errors import DENIED, GENERAL, WRITE_FAULT, DosError
from vgaemu.pc.dos.geometry import Geometry, geometry_of
from vgaemu.pc.images import SECTOR, DiskImage

#: Kinds of partitions with a FAT of 12 or 16 bits.
KINDS = frozenset((0x01, 0x04, 0x06, 0x0E))
PARTITIONS, PARTITION = range(446, 510, 16), struct.Struct("<4xB3xII")
#: What an entry of the FAT has: nothing; from here on, the last of its chain.
FREE, FIRST_CLUSTER = 0, 2
ENTRIES_A_SECTOR = SECTOR // 2
END = {12: 0xFFF, 16: 0xFFFF}
LAST_FROM = {12: 0xFF8, 16: 0xFFF8}


class Fat:
    """One disk."""

    def __init__(self, disk: DiskImage) -> None:
        self.disk = disk
        #: Sector of the image that is the disk's first, and the disk's sectors.
        self.first, self.sectors = 0, 0
        self._geometry: Geometry | None = None
        self._seen = -1
        self._table = array("H")
        self._chains: dict[int, list[int]] = {}
        self._hint = FIRST_CLUSTER
        #: Clusters and entries of folders that were gone through.
        self.steps = 0

    # --- what the image has ---

    def _look(self) -> None:
        """Forget what was read if something else has written since."""
        if self._seen == self.disk.changes:
            return
        self._seen = self.disk.changes
        self._chains.clear()
        self._hint = FIRST_CLUSTER
        self.first, self.sectors = self._found()
        self._geometry = geometry_of(self.disk.read(self.first, 1), self.sectors)
        if self._geometry is not None:
            self._table = self._read_table(self._geometry)

    @property
    def place(self) -> tuple[int, int]:
        """Sector of the image that is the disk's first, and the disk's sectors."""
        self._look()
        return self.first, self.sectors

    def _found(self) -> tuple[int, int]:
        """Where the disk lies in its image: in the first partition that has a FAT, or all of it."""
        total, sector = self.disk.total, self.disk.read(0, 1)
        if self.disk.is_hard_disk and geometry_of(sector, total) is None:
            for at in PARTITIONS:
                kind, first, sectors = PARTITION.unpack_from(sector, at)
                if kind in KINDS and 0 < first < total:
                    return first, min(sectors, total - first)
        return 0, total

    @property
    def geometry(self) -> Geometry:
        """How it is laid out.

        Raises:
            DosError: It has no FAT of 12 or 16 bits.
        """
        self._look()
        if self._geometry is None:
            raise DosError(GENERAL)
        return self._geometry

    @property
    def is_there(self) -> bool:
        """Whether it has one."""
        self._look()
        return self._geometry is not None

    def read(self, first: int, count: int) -> bytes:
        """Sectors of the disk."""
        return self.disk.read(self.first + first, count)

    def write(self, first: int, data: bytes) -> None:
        """Write sectors of the disk.

        Raises:
            DosError: The image's file cannot be written to.
        """
        self._look()
        self._seen = -1  # if it fails
        try:
            self.disk.write(self.first + first, data)
        except OSError:
            raise DosError(WRITE_FAULT) from None
        self._seen = self.disk.changes

    # --- chains ---

    def _read_table(self, geometry: Geometry) -> array[int]:
        count = geometry.clusters + FIRST_CLUSTER
        raw = self.read(geometry.reserved, geometry.fat_sectors)
        if geometry.bits == 16:
            table = array("H", raw[: 2 * count])
            return table
        self.steps += count // 2
        return array("H", list(_twelve_bits(raw, count)))

    def chain(self, first: int) -> list[int]:
        """The clusters of a file or folder that begins there."""
        geometry = self.geometry
        if first not in self._chains:
            table, chain, seen = self._table, [], set()
            cluster, last = first, LAST_FROM[geometry.bits]
            while FIRST_CLUSTER <= cluster < min(len(table), last) and cluster not in seen:
                seen.add(cluster)
                chain.append(cluster)
                cluster = table[cluster]
            self._chains[first] = chain
            self.steps += len(chain)
        return self._chains[first]

    @property
    def free(self) -> int:
        """Clusters that are free."""
        self._look()
        return int((np.frombuffer(self._table, np.uint16)[FIRST_CLUSTER:] == FREE).sum())

    def extend(self, first: int, count: int) -> int:
        """So many clusters more at the end of a chain, as far as there are; where it begins."""
        bits, chain = self.geometry.bits, list(self.chain(first))
        changed, before = [], len(chain)
        for cluster in self._free_clusters(count):
            if chain:
                self._table[chain[-1]] = cluster
                changed.append(chain[-1])
            chain.append(cluster)
            self._table[cluster] = END[bits]
            changed.append(cluster)
        if len(chain) > before:
            self._chains.pop(first, None)
            self._chains[chain[0]] = chain
            self._hint = chain[-1]
            self._store(changed)
        return chain[0] if chain else 0

    def _free_clusters(self, count: int) -> list[int]:
        table, at = self._table, self._hint
        found: list[int] = []
        for begin, end in ((at, len(table)), (FIRST_CLUSTER, at)):
            place = begin
            while len(found) < count:
                try:
                    place = table.index(FREE, place, end) + 1
                except ValueError:
                    break
                found.append(place - 1)
        return found

    def cut(self, first: int, count: int) -> None:
        """Leave a chain so many clusters."""
        chain = list(self.chain(first))
        gone = chain[count:]
        if not gone:
            return
        changed = list(gone)
        for cluster in gone:
            self._table[cluster] = FREE
        if count:
            self._table[chain[count - 1]] = END[self.geometry.bits]
            changed.append(chain[count - 1])
        self._chains.clear()
        self._hint = min(self._hint, *gone)
        self._store(changed)

    def _store(self, clusters: list[int]) -> None:
        """Write the sectors of all FATs that entries lie in."""
        geometry = self.geometry
        self.steps += len(clusters)
        sectors: dict[int, bytearray] = {}
        at_once = ENTRIES_A_SECTOR if geometry.bits == 16 else 1
        for cluster in sorted({cluster // at_once * at_once for cluster in clusters}):
            for at, octets, mask in self._entries(cluster, at_once, geometry.bits):
                sector, place = divmod(at, SECTOR)
                if sector not in sectors:
                    sectors[sector] = bytearray(self.read(geometry.reserved + sector, 1))
                data = sectors[sector]
                kept = data[place] & ~mask & 0xFF
                data[place : place + len(octets)] = octets
                data[place] |= kept
        for sector, data in sectors.items():
            for nth in range(geometry.fats):
                self.write(geometry.reserved + nth * geometry.fat_sectors + sector, bytes(data))

    def _entries(self, cluster: int, count: int, bits: int) -> Iterator[tuple[int, bytes, int]]:
        """Bytes of the FAT that entries are in: where, which, and what of the first is theirs."""
        if bits == 16:
            yield 2 * cluster, self._table[cluster : cluster + count].tobytes(), 0xFF
            return
        for at, octet, mask in _octets(cluster, self._table[cluster]):
            yield at, bytes((octet,)), mask

    # --- clusters ---

    def sector_of(self, cluster: int) -> int:
        """A cluster's first sector."""
        geometry = self.geometry
        return geometry.data_at + (cluster - FIRST_CLUSTER) * geometry.cluster_sectors

    @property
    def cluster_bytes(self) -> int:
        """Bytes of a cluster."""
        return self.geometry.cluster_sectors * SECTOR

    def pieces(self, first: int, place: int, count: int) -> Iterator[tuple[int, int]]:
        """Where bytes of a chain lie in the disk, a piece in a cluster, and how many each."""
        size, chain = self.cluster_bytes, self.chain(first)
        while count > 0 and place // size < len(chain):
            self.steps += 1
            at = place % size
            length = min(size - at, count)
            yield self.sector_of(chain[place // size]) * SECTOR + at, length
            place, count = place + length, count - length

    def read_bytes(self, at: int, count: int) -> bytes:
        """Bytes of the disk, whatever sectors they lie in."""
        begin = at // SECTOR
        data = self.read(begin, -(-(at + count) // SECTOR) - begin)
        return data[at - begin * SECTOR :][:count]

    def write_bytes(self, at: int, data: bytes) -> None:
        """Write them."""
        begin = at // SECTOR
        whole = bytearray(self.read(begin, -(-(at + len(data)) // SECTOR) - begin))
        whole[at - begin * SECTOR : at - begin * SECTOR + len(data)] = data
        self.write(begin, bytes(whole))

    def need(self, clusters: int) -> None:
        """There is to be room for so many.

        Raises:
            DosError: The disk is full.
        """
        if self.free < clusters:
            raise DosError(DENIED)


def _twelve_bits(raw: bytes, count: int) -> Iterator[int]:
    for cluster in range(count):
        at = cluster * 3 // 2
        word = raw[at] | raw[at + 1] << 8
        yield word >> 4 if cluster & 1 else word & 0xFFF


def _octets(cluster: int, value: int) -> tuple[tuple[int, int, int], ...]:
    """The bytes that an entry of 12 bits is in: where, what of it, and which bits that is.

    >>> _octets(3, 0xABC)
    ((4, 192, 240), (5, 171, 255))
    """
    at = cluster * 3 // 2
    if cluster & 1:
        return (at, value << 4 & 0xF0, 0xF0), (at + 1, value >> 4, 0xFF)
    return (at, value & 0xFF, 0xFF), (at + 1, value >> 8, 0x0F)
