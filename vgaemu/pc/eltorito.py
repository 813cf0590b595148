"""ISO images that boot: El Torito's boot catalogue.

Emulated: the default entry of the catalogue, without emulation or as a floppy or hard disk image
on the CD. Not emulated: other entries (EFI's), sections to choose from.

Source: "El Torito" Bootable CD-ROM Format Specification 1.0; ECMA-119 (ISO 9660).
"""

from __future__ import annotations

from typing import NamedTuple

SECTOR = 2048
#: Where volume descriptors begin, what each has behind its type, and what a boot record says.
DESCRIPTORS_AT, SIGNATURE, SYSTEM = 16 * SECTOR, b"CD001", b"EL TORITO SPECIFICATION"
#: A descriptor that ends the list; the most that are looked at.
LAST, MOST_DESCRIPTORS = 255, 32
CATALOGUE_FIELD, DEFAULT_ENTRY = 0x47, 0x20
BOOTABLE, DEFAULT_SEGMENT = 0x88, 0x7C0
#: Media of an entry: none; floppies, by the sectors that they have; a hard disk.
NO_EMULATION, HARD_DISK = 0, 4
FLOPPY_SECTORS = {1: 2400, 2: 2880, 3: 5760}


class Entry(NamedTuple):
    """What a catalogue says of what is booted."""

    media: int
    #: Where it is loaded, and how many sectors of 512 bytes.
    segment: int
    sectors: int
    #: Its first sector on the CD, of 2048 bytes.
    first: int


#: Of a CD that is in its drive and is not booted.
DATA_DISC = Entry(NO_EMULATION, 0, 0, 0)


def is_iso(head: bytes | bytearray) -> bool:
    """Whether a file that begins so is an ISO 9660 image."""
    return head[DESCRIPTORS_AT + 1 : DESCRIPTORS_AT + 6] == SIGNATURE


def boot_entry(data: bytearray) -> Entry | None:
    """What an image boots, or None."""
    for at in range(DESCRIPTORS_AT, DESCRIPTORS_AT + MOST_DESCRIPTORS * SECTOR, SECTOR):
        descriptor = data[at : at + SECTOR]
        if descriptor[1:6] != SIGNATURE or descriptor[0] == LAST:
            return None
        if descriptor[0] == 0 and descriptor[7:].startswith(SYSTEM):
            break
    else:
        return None
    catalogue_at = int.from_bytes(descriptor[CATALOGUE_FIELD : CATALOGUE_FIELD + 4], "little")
    catalogue = data[catalogue_at * SECTOR : (catalogue_at + 1) * SECTOR]
    entry = catalogue[DEFAULT_ENTRY : DEFAULT_ENTRY + 32]
    if catalogue[30:32] != b"\x55\xaa" or len(entry) < 32 or entry[0] != BOOTABLE:
        return None
    segment, count, first = (
        int.from_bytes(entry[at : at + size], "little") for at, size in ((2, 2), (6, 2), (8, 4))
    )
    if first * SECTOR >= len(data):
        return None
    return Entry(entry[1] & 0x0F, segment or DEFAULT_SEGMENT, count or 1, first)
