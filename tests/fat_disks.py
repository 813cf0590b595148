"""Disks with a FAT, made and looked into here, without the code that is tested."""

from __future__ import annotations

import struct

SECTOR, ENTRY = 512, 32
#: In front of the first partition.
HIDDEN, HEADS, TRACK = 63, 16, 63


class Shape:
    """Where what of a disk lies; FAT16 from 4085 clusters on."""

    def __init__(self, total: int, cluster: int, root_entries: int) -> None:
        self.total, self.cluster, self.root_entries = total, cluster, root_entries
        self.fat_sectors = 1
        while True:
            self.root = 1 + 2 * self.fat_sectors
            self.data = self.root + root_entries * ENTRY // SECTOR
            self.clusters = (total - self.data) // cluster
            self.bits = 12 if self.clusters < 4085 else 16
            if self.fat_sectors * SECTOR * 8 >= (self.clusters + 2) * self.bits:
                return
            self.fat_sectors += 1


def disk(
    total: int, cluster: int = 1, root_entries: int = 112, *, hidden: int = 0, media: int = 0xF9,
    label: bytes = b"",
) -> bytes:  # fmt: skip
    """An empty disk."""
    shape = Shape(total, cluster, root_entries)
    boot = b"\xeb\x3c\x90TEST    " + struct.pack(
        "<HBHBHHBHHHII", SECTOR, cluster, 1, 2, root_entries, total if total < 0x10000 else 0,
        media, shape.fat_sectors, TRACK, HEADS, hidden, 0 if total < 0x10000 else total,
    )  # fmt: skip
    boot += struct.pack(
        "<BBBI11s8s", 0, 0, 0x29, 0x12345678, (label or b"NO NAME").ljust(11), b"FAT     "
    )
    fat = (bytes((media, 0xFF, 0xFF)) + b"\xff" * (shape.bits == 16)).ljust(
        shape.fat_sectors * SECTOR, b"\0"
    )
    root = struct.pack("<11sB20x", label.ljust(11), 8) if label else b""
    whole = boot.ljust(510, b"\0") + b"\x55\xaa" + fat + fat + root
    return whole.ljust(total * SECTOR, b"\0")


def partitioned(inner: bytes, kind: int = 6) -> bytes:
    """A hard disk with one partition, and another before it in the table that has no FAT."""
    sectors = len(inner) // SECTOR
    table = struct.pack("<B3xB3xII", 0, 0x83, HIDDEN + sectors, 1)
    table += struct.pack("<B3xB3xII", 0x80, kind, HIDDEN, sectors)
    head = bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa"
    return head.ljust(HIDDEN * SECTOR, b"\0") + inner + bytes(SECTOR)


def files_of(image: bytes) -> dict[str, bytes]:
    """All files of a disk by their paths; folders end in a slash.

    Raises:
        AssertionError: Something of it is not whole: chains that meet, FATs that differ, clusters
            that nothing has.
    """
    total, many = struct.unpack_from("<H", image, 19)[0], struct.unpack_from("<I", image, 32)[0]
    shape = Shape(total or many, image[13], struct.unpack_from("<H", image, 17)[0])
    fats = [
        image[SECTOR * (1 + nth * shape.fat_sectors) :][: shape.fat_sectors * SECTOR]
        for nth in range(2)
    ]
    assert fats[0] == fats[1]
    used: set[int] = set()

    def entry(cluster: int) -> int:
        if shape.bits == 16:
            return int(struct.unpack_from("<H", fats[0], 2 * cluster)[0])
        word = struct.unpack_from("<H", fats[0], cluster * 3 // 2)[0]
        return int(word >> 4 if cluster & 1 else word & 0xFFF)

    def chain(cluster: int) -> bytes:
        data = b""
        while cluster and cluster < (1 << shape.bits) - 8:
            assert 2 <= cluster < shape.clusters + 2
            assert cluster not in used
            used.add(cluster)
            at = (shape.data + (cluster - 2) * shape.cluster) * SECTOR
            data += image[at : at + shape.cluster * SECTOR]
            cluster = entry(cluster)
        return data

    found: dict[str, bytes] = {}

    def look(data: bytes, path: str) -> None:
        for at in range(0, len(data), ENTRY):
            name, kind, cluster, size = struct.unpack_from("<11sB14xHI", data, at)
            if name[0] == 0:
                return
            if name[0] == 0xE5 or kind & 8 or name[:1] == b".":
                continue
            whole = name[:8].rstrip() + (b"." + name[8:].rstrip() if name[8:].strip() else b"")
            place = path + whole.decode("cp437")
            assert place not in found
            content = chain(cluster)
            if kind & 0x10:
                found[place + "/"] = b""
                look(content, place + "/")
                continue
            clusters = -(-size // (shape.cluster * SECTOR))
            assert len(content) == clusters * shape.cluster * SECTOR, place
            found[place] = content[:size]

    look(image[shape.root * SECTOR : shape.data * SECTOR], "")
    free = [cluster for cluster in range(2, shape.clusters + 2) if not entry(cluster)]
    assert len(free) + len(used) == shape.clusters
    return found
