"""DOS's own memory, at segment 60h: what programs look at behind its back, and code of its own.

Emulated: the list of lists (INT 21h/52h) with the first control block, NUL and the devices behind
it, current directories of drives A: to C:, the swappable data area (5D06h) with the InDOS flag, the
prefix that runs and the disk transfer area, what INT 23h, 24h, 25h and 26h do if no program has
them, the way to INT 28h, the entry of CALL 5 and that of the XMS driver; `tables` has what else it
leads to. Not emulated: disk buffers (their pointer leads nowhere, FFFFh in the offset), DOS's
stacks, which other DOSes have in the swappable area: ours needs none.

All of this is RAM and part of each saved state; its layout must not change: programs keep pointers
to it. Source: R. Brown's interrupt list (INT 21h/52h and 5D06h, tables 01627, 01643, 01690).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from vgaemu.pc.bios.rom import TRAP_PORTS
from vgaemu.pc.bus import Bus

SEGMENT = 0x0060
BASE = SEGMENT << 4
#: Of any segment; no text of a program can be longer.
SEGMENT_BYTES = 0x10000
#: The way to INT 24h, the questions that are asked without one, INT 25h and 26h.
CRITICAL_CALL_OFFSET, ASK_OFFSET, READ_OFFSET, WRITE_OFFSET = 0x570, 0x5C0, 0x5D8, 0x5E0
#: Where the first program goes back to, perhaps by way of code of its own.
END_OFFSET = 0x5E8
#: AX and DI of INT 24h; what it has answered; whether the person is being asked.
CRITICAL_ABOUT_AT, CRITICAL_CODE_AT, ANSWER_AT, ASKED_AT = (BASE + at for at in (40, 42, 48, 52))
#: How blocks are chosen; whether writes are verified; how the program that ends does it, if not by
#: itself.
FIT_AT, VERIFY_AT, ENDING_AT = (BASE + at for at in (4, 6, 10))
#: Where older states have the prefix that runs, whether BREAK is on, the last error.
OLD_PREFIX_AT, OLD_BREAK_AT, OLD_ERROR_AT = (BASE + at for at in (0, 5, 8))
#: The swappable data area: what of it is to be swapped always, and what as long as DOS is busy.
#: Programs that come up in between may call DOS once they have put it aside, and back at their end.
SWAPPED_OFFSET, SWAPPED_ALWAYS, SWAPPED_IN_DOS = 0x0F, 0x1A, 0x28
#: In it: InDOS, behind the flag of critical errors; place, number, action and class of the last
#: error; the disk transfer area; the prefix of the program that runs; what the last one returned;
#: the current drive; whether BREAK is on.
IN_DOS_OFFSET = SWAPPED_OFFSET + 0x01
LOCUS_AT, ERROR_AT, ACTION_AT, TRANSFER_AT, PREFIX_AT, RETURNED_AT, DRIVE_AT, BREAK_CHECK_AT = (
    BASE + SWAPPED_OFFSET + at for at in (0x03, 0x04, 0x06, 0x0C, 0x10, 0x14, 0x16, 0x17)
)  # fmt: skip
#: The host's memory of the DPMI client that came last, a segment; 0: there is none.
DPMI_AREA_AT = BASE + 0x0C
#: SS:SP of the call that waits; whether it has called INT 28h since it last halted.
WAITER_AT, IDLED_AT = BASE + 0x2C, BASE + 0x35
CRITICAL_FLAG_AT, IN_DOS_AT = BASE + SWAPPED_OFFSET, BASE + IN_DOS_OFFSET
#: The list of lists; the word before it is the first memory control block's segment.
LISTS_OFFSET = 0x40
FIRST_BLOCK_AT = BASE + LISTS_OFFSET - 2
NUL_OFFSET, MORE_LISTS_OFFSET = LISTS_OFFSET + 0x22, LISTS_OFFSET + 0x3F
#: Current directories: 58h bytes for each of three drives. Of more drives all lie elsewhere.
DIRECTORIES_OFFSET, DIRECTORY_BYTES, FIRST_DRIVES, DRIVE_C = 0xA0, 0x58, 3, 2
#: Where the list of lists leads to them, and how many there are.
DIRECTORIES_AT, LAST_DRIVE_AT = BASE + LISTS_OFFSET + 0x16, BASE + LISTS_OFFSET + 0x21
#: Character devices, and a FAR RET for their routines.
DEVICES_OFFSET, DEVICE_BYTES, NOTHING_OFFSET = 0x1C0, 0x12, 0x218
DEVICES = ((b"CON", 0x8013), (b"AUX", 0x8000), (b"PRN", 0xA0C0), (b"CLOCK$", 0x8008))
NUL_ATTRIBUTES = 0x8004
#: The disk's driver, the parameter block of C:, tables of files and of FCBs; see `tables`.
DRIVE_BLOCK_OFFSET, DISK_OFFSET, FCB_TABLE_OFFSET, FILE_TABLE_OFFSET = 0x500, 0x528, 0x5F8, 0x600
DISK_ATTRIBUTES, DISK_UNITS = 0x0842, 3
#: Parameter blocks of other drives than C:, by their numbers.
MORE_BLOCKS_OFFSET, BLOCK_BYTES = 0x1120, 0x24
BREAK_OFFSET, CRITICAL_OFFSET, ABSOLUTE_OFFSET, XMS_OFFSET = 0x220, 0x260, 0x268, 0x270
#: INT 28h of a call that waits, and of one that only asked; what 5D0Bh tells.
WAIT_OFFSET, POLL_OFFSET, SWAPPED_LIST_OFFSET = 0x280, 0x290, 0x2A8
#: What the XMS driver is called by; what other code of DOS's calls by, with a vector in AL. The
#: BIOS's services have the first ports and the last but one.
XMS_PORT, DOS_PORT = TRAP_PORTS[-1], TRAP_PORTS[-6]
#: What a DPMI host's code is answered by; where it is entered.
DPMI_PORT, DPMI_DONE_PORT, DPMI_OFFSET = TRAP_PORTS[-7], TRAP_PORTS[-8], 0x2B8
#: CALL 5 of CP/M.
CALL_5_OFFSET = 0x540
#: Where a prefix's CALL 5 leads to: F01Dh:FEF0h, which is 0000h:00C0h below 1 MiB.
CALL_5_AT = (0x000C0, 0x1000C0)
#: Tables of a country; see `country`.
TABLES_OFFSET = 0x300
NOWHERE = 0xFFFFFFFF
#: A drive of INT 21h's kind, in its current directory; the root's backslash is behind "C:".
PHYSICAL, ROOT_AT = 0x4000, 2
MAX_DIRECTORY = 67

#: Code: where each piece of `area_code.asm` begins, and its bytes. Those that came with the
#: swappable area.
OLD_PIECES = {
    NOTHING_OFFSET: 1, BREAK_OFFSET: 44, CRITICAL_OFFSET: 3, ABSOLUTE_OFFSET: 5, XMS_OFFSET: 8,
    CALL_5_OFFSET: 30, CRITICAL_CALL_OFFSET: 58, ASK_OFFSET: 13, READ_OFFSET: 8, WRITE_OFFSET: 8,
    END_OFFSET: 7,
}  # fmt: skip
NEW_PIECES = {WAIT_OFFSET: 8, POLL_OFFSET: 16, DPMI_OFFSET: 14}
#: How many areas are to be swapped, then each: where it is, and its size (bit 15: always).
SWAPPED_LIST = struct.pack(
    "<HHHHHHH", 2, SWAPPED_OFFSET, SEGMENT, SWAPPED_ALWAYS | 0x8000,
    SWAPPED_OFFSET + SWAPPED_ALWAYS, SEGMENT, SWAPPED_IN_DOS - SWAPPED_ALWAYS,
)  # fmt: skip

#: Vectors that lead here until a program takes them.
VECTORS = {0x22: END_OFFSET, 0x24: ASK_OFFSET, 0x25: READ_OFFSET, 0x26: WRITE_OFFSET}


def write_area(bus: Bus) -> None:
    """Put all of it into memory but the first control block."""
    for offset, data in _parts(bus.ram_bytes).items():
        bus.write(BASE + offset, data)
    for at in CALL_5_AT:
        if at < bus.ram_bytes:
            bus.write(at, struct.pack("<BHH", 0xEA, CALL_5_OFFSET, SEGMENT))
    for drive in range(FIRST_DRIVES):
        set_directory(
            bus, BASE + DIRECTORIES_OFFSET, drive, "", block_of(drive) if drive == DRIVE_C else None
        )


def block_of(drive: int) -> int:
    """Offset of a drive's parameter block."""
    before = drive - (drive > DRIVE_C)
    return DRIVE_BLOCK_OFFSET if drive == DRIVE_C else MORE_BLOCKS_OFFSET + BLOCK_BYTES * before


def add_drives(bus: Bus, first: int, count: int, segment: int) -> None:
    """There are other drives than C:, of which one is the first, and so many letters in all.

    Directories of more than three begin with a segment.
    """
    bus.write16(BASE + LISTS_OFFSET, block_of(first))
    bus.write8(BASE + DISK_OFFSET + 10, count)
    if count > FIRST_DRIVES:
        bus.write32(DIRECTORIES_AT, segment << 16)
        bus.write8(LAST_DRIVE_AT, count)


def last_drive(bus: Bus) -> int:
    """How many letters of drives there are."""
    return bus.read8(LAST_DRIVE_AT)


def directories_at(bus: Bus) -> int:
    """Where current directories are."""
    return (bus.read16(DIRECTORIES_AT + 2) << 4) + bus.read16(DIRECTORIES_AT)


def move_data(bus: Bus) -> None:
    """Data of states of before there was a swappable area go to it; what came with it is new."""
    for old, new in ((OLD_PREFIX_AT, PREFIX_AT), (OLD_ERROR_AT, ERROR_AT)):
        bus.write16(new, bus.read16(old))
    bus.write8(BREAK_CHECK_AT, bus.read8(OLD_BREAK_AT))
    bus.write8(IN_DOS_AT, 0)
    for offset, data in _new_parts().items():
        bus.write(BASE + offset, data)


def area_code() -> bytes:
    """`area_code.asm`'s bytes, each piece at its offset."""
    return Path(__file__).with_name("area_code").read_bytes()


def _pieces(sizes: Mapping[int, int]) -> dict[int, bytes]:
    code = area_code()
    return {offset: code[offset : offset + size] for offset, size in sizes.items()}


def _new_parts() -> dict[int, bytes]:
    """What came with the swappable area."""
    drive = {DRIVE_AT - BASE: bytes((DRIVE_C,)), SWAPPED_OFFSET + 0x02: b"\xff"}
    return {SWAPPED_LIST_OFFSET: SWAPPED_LIST, **drive, **_pieces(NEW_PIECES)}


def set_directory(bus: Bus, at: int, drive: int, folder: str, block: int | None) -> None:
    r"""The current directory of a drive, as "SUB\\INNER", in a table; its block, if it is there."""
    path = f"{chr(ord('A') + drive)}:\\{folder}"
    entry = path.encode("cp437", "replace").ljust(MAX_DIRECTORY, b"\0")[:MAX_DIRECTORY]
    kind, pointer = (0, NOWHERE) if block is None else (PHYSICAL, SEGMENT << 16 | block)
    entry += struct.pack("<HIHHHH", kind, pointer, 0xFFFF, 0xFFFF, 0xFFFF, ROOT_AT)
    bus.write(at + DIRECTORY_BYTES * drive, entry.ljust(DIRECTORY_BYTES, b"\0"))


def device_header(name: str) -> int:
    """Far pointer to the driver of a character device; devices that are not in the chain: NUL's."""
    names = [device.decode() for device, _ in DEVICES]
    if name not in names:
        return SEGMENT << 16 | NUL_OFFSET
    return SEGMENT << 16 | DEVICES_OFFSET + DEVICE_BYTES * names.index(name)


def _parts(ram_bytes: int) -> dict[int, bytes]:
    far = SEGMENT << 16
    con, clock = (far | DEVICES_OFFSET + DEVICE_BYTES * nth for nth in (0, 3))
    # Disk parameters, file table, CLOCK$, CON, bytes of a sector, buffers, directories, FCBs,
    # protected FCBs, block devices, last drive.
    lists = struct.pack(
        "<IIIIHIIIHBB", far | DRIVE_BLOCK_OFFSET, far | FILE_TABLE_OFFSET, clock, con, 512, NOWHERE,
        far | DIRECTORIES_OFFSET, far | FCB_TABLE_OFFSET, 0, 1, FIRST_DRIVES,
    )  # fmt: skip
    # Behind NUL, from the number of buffers on: buffers, those read ahead, the drive that DOS was
    # started from, whether there is a 386, extended memory in KiB.
    more = struct.pack("<HHBBH", 20, 0, DRIVE_C + 1, 1, min((ram_bytes >> 10) - 1024, 0xFFFF))
    places = (DEVICES_OFFSET + DEVICE_BYTES * nth for nth in range(len(DEVICES)))
    chain = [NUL_OFFSET, *places, DISK_OFFSET]
    devices = {}
    disk = (bytes((DISK_UNITS,)).ljust(8, b"\0"), DISK_ATTRIBUTES)
    for nth, (name, attributes) in enumerate(((b"NUL", NUL_ATTRIBUTES), *DEVICES, disk)):
        following = far | chain[nth + 1] if nth + 1 < len(chain) else NOWHERE
        devices[chain[nth]] = struct.pack(
            "<IHHH8s", following, attributes, NOTHING_OFFSET, NOTHING_OFFSET, name.ljust(8)
        )
    return {
        **_new_parts(), **_pieces(OLD_PIECES), LISTS_OFFSET: lists, MORE_LISTS_OFFSET: more,
        **devices,
    }  # fmt: skip
