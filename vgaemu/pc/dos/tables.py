"""DOS's tables of files and of drives, as programs read them behind INT 21h/52h.

Emulated: the system file table in two parts, an entry for each number that a prefix's table of
handles can have (how often it is used, name, access, size, position, date, whose it is), an empty
one of FCBs, and the parameter blocks of drives. DOS writes them and never reads them: what a
program changes there changes nothing. Entries have the layout of DOS 4 to 6 whatever version is
told. Not emulated: files opened by FCBs, disk buffers.

Source: R. Brown's interrupt list (INT 21h/52h, tables 01641 and 01645; INT 21h/32h, table 01395).
"""

from __future__ import annotations

import os
import struct

from vgaemu.pc.bus import Bus
from vgaemu.pc.dos.area import (
    BASE,
    DISK_OFFSET,
    FCB_TABLE_OFFSET,
    FILE_TABLE_OFFSET,
    NOWHERE,
    SEGMENT,
    block_of,
    device_header,
)
from vgaemu.pc.dos.entries import FIRST_DAY, Nothing, OpenFile
from vgaemu.pc.dos.geometry import Geometry
from vgaemu.pc.dos.names import DEVICES, fcb_name, place_drive
from vgaemu.pc.images import SECTOR

#: What stands open whatever programs close, by number; DOS is the owner.
STANDARD = {0: "AUX", 1: "CON", 2: "PRN"}
DOS = 8
#: Entries of the first part of the file table, and of the second.
PARTS = (5, 43)
HEAD = struct.Struct("<IH")
#: Uses, access, attributes, device word, device or drive, cluster, time, date, size, position;
#: cluster, sector and entry of the folder; name; SHARE's; owner's prefix.
ENTRY = struct.Struct("<HHBHIHHHIIHIB11sIHH8x")
SIZE_AT, POSITION_AT = 0x11, 0x15
#: The device word of a file that is not written to, but for its drive; of devices.
ON_DRIVE, DEVICE_WORDS, OTHER_DEVICE = 0x0040, {"CON": 0x00D3, "NUL": 0x00C4}, 0x00C0
#: Where a parameter block has the media byte.
MEDIA_AT = 0x17


def write_tables(bus: Bus) -> None:
    """Put them into DOS's memory: three devices stand open, no file."""
    at = FILE_TABLE_OFFSET
    standard = map(standard_file, STANDARD)
    for part, count in enumerate(PARTS):
        end = at + HEAD.size + count * ENTRY.size
        following = NOWHERE if part + 1 == len(PARTS) else SEGMENT << 16 | end
        bus.write(BASE + at, HEAD.pack(following, count).ljust(end - at, b"\0"))
        at = end
    for file in standard:
        write_entry(bus, file, 1, DOS)
    bus.write(BASE + FCB_TABLE_OFFSET, HEAD.pack(NOWHERE, 0))


def write_block(bus: Bus, drive: int, geometry: Geometry, following: int | None) -> None:
    """A drive's parameter block; the one that follows is another drive's."""
    shift = geometry.cluster_sectors.bit_length() - 1
    behind = NOWHERE if following is None else SEGMENT << 16 | block_of(following)
    bus.write(
        BASE + block_of(drive),
        struct.pack(
            "<BBHBBHBHHHHHIBBIHH", drive, drive, SECTOR, geometry.cluster_sectors - 1, shift,
            geometry.reserved, geometry.fats, geometry.root_entries, geometry.data_at,
            geometry.clusters + 1, geometry.fat_sectors, geometry.root_at,
            SEGMENT << 16 | DISK_OFFSET, geometry.media, 0, behind, 0, 0xFFFF,
        ),
    )  # fmt: skip


def standard_file(number: int) -> OpenFile:
    """What stands open by that number."""
    return OpenFile(Nothing(), STANDARD[number], os.O_RDWR, number=number)


def entry_at(number: int) -> int | None:
    """Where the entry of a number in a table of handles is, in DOS's segment."""
    at = FILE_TABLE_OFFSET
    for count in PARTS:
        if 0 <= number < count:
            return at + HEAD.size + number * ENTRY.size
        at += HEAD.size + count * ENTRY.size
        number -= count
    return None


def write_entry(bus: Bus, file: OpenFile, uses: int, owner: int) -> None:
    """A file or device is open, by so many handles; its owner is a prefix."""
    at = entry_at(file.number)
    if at is None:
        return
    name = fcb_name(file.name.rpartition("/")[2])
    if file.name in DEVICES:
        device = DEVICE_WORDS.get(file.name, OTHER_DEVICE)
        about = (0, device, device_header(file.name), 0, 0, FIRST_DAY, 0, 0)
    else:
        stream, drive = file.stream, place_drive(file.name)
        about = (
            stream.attributes, ON_DRIVE | drive, SEGMENT << 16 | block_of(drive), stream.cluster,
            *stream.when, min(stream.size, NOWHERE), stream.place,
        )  # fmt: skip
    access = 1 if file.access == os.O_WRONLY else 2 if file.access == os.O_RDWR else 0
    bus.write(BASE + at, ENTRY.pack(uses, access, *about, 0, 0, 0, name, 0, 0, owner))


def use_entry(bus: Bus, number: int, uses: int) -> None:
    """So many handles stand for it now; 0: it is free."""
    at = entry_at(number)
    if at is not None:
        bus.write16(BASE + at, uses)


def move_entry(bus: Bus, file: OpenFile) -> None:
    """A file's position is another, and perhaps its size."""
    at = entry_at(file.number)
    if at is None or file.name in DEVICES:
        return
    place = file.stream.place
    bus.write32(BASE + at + POSITION_AT, place)
    if place > bus.read32(BASE + at + SIZE_AT):
        bus.write32(BASE + at + SIZE_AT, min(file.stream.size, NOWHERE))
