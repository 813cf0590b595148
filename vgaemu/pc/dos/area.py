"""DOS's own memory, at segment 60h: what programs look at behind its back, and code of its own.

Emulated: the list of lists (INT 21h/52h) with the first control block, NUL and the character
devices behind it, current directories of drives A: to C:, the InDOS flag, what INT 23h, 24h, 25h
and 26h do if no program has them, and the entry of the XMS driver. Not emulated: disk parameter
blocks, the system file table, buffers (their pointers lead nowhere, FFFFh in the offset).

All of this is RAM and part of each saved state; its layout must not change: programs keep pointers
to it. Source: R. Brown's interrupt list (INT 21h/52h, tables 01627 and 01643).
"""

from __future__ import annotations

import struct

from vgaemu.pc.bios.rom import ROM_SEGMENT, TRAP_PORTS, stub_offset
from vgaemu.pc.bus import Bus

SEGMENT = 0x0060
BASE = SEGMENT << 4
#: Data: the prefix of the program that runs; SP while INT 23h runs.
PREFIX_OFFSET, STACK_OFFSET = 0x00, 0x02
#: How blocks are chosen; whether BREAK is on, writes are verified; the last error; how the program
#: that ends does it, if not by itself. The flag of critical errors lies before InDOS.
FIT_AT, BREAK_CHECK_AT, VERIFY_AT, ERROR_AT, ENDING_AT = (BASE + at for at in (4, 5, 6, 8, 10))
IN_DOS_OFFSET = 0x10
#: The list of lists; the word before it is the first memory control block's segment.
LISTS_OFFSET = 0x40
FIRST_BLOCK_AT = BASE + LISTS_OFFSET - 2
NUL_OFFSET = LISTS_OFFSET + 0x22
#: Current directories: 58h bytes for each of three drives.
DIRECTORIES_OFFSET, DIRECTORY_BYTES, DRIVES = 0xA0, 0x58, 3
#: Character devices, and a FAR RET for their routines.
DEVICES_OFFSET, DEVICE_BYTES, NOTHING_OFFSET = 0x1C0, 0x12, 0x218
DEVICES = ((b"CON", 0x8013), (b"AUX", 0x8000), (b"PRN", 0xA0C0), (b"CLOCK$", 0x8008))
NUL_ATTRIBUTES = 0x8004
BREAK_OFFSET, CRITICAL_OFFSET, ABSOLUTE_OFFSET, XMS_OFFSET = 0x220, 0x260, 0x268, 0x270
#: What the XMS driver is called by.
XMS_PORT = TRAP_PORTS[-1]
#: Tables of a country; see `country`.
TABLES_OFFSET = 0x300
NOWHERE = 0xFFFFFFFF
#: A drive of INT 21h's kind, in its current directory; the root's backslash is behind "C:".
PHYSICAL, ROOT_AT = 0x4000, 2
MAX_DIRECTORY = 67

#: Ctrl-C: INT 23h may go back by IRET: the call begins anew, and so it does by RETF with the carry
#: flag clear; with it set, the program ends.
BREAK_CODE = (
    bytes.fromhex(
        "2E 89 26 02 00 FB F8 CD 23"  # mov cs:[stack], sp; sti; clc; int 23h
        "72 0A"  # jc ends
        "2E 8B 26 02 00 EA"  # again: mov sp, cs:[stack]; jmp far INT 21h's stub
    )
    + struct.pack("<HH", stub_offset(0x21), ROM_SEGMENT)
    + bytes.fromhex(
        "2E 3B 26 02 00 74 EF"  # ends: cmp sp, cs:[stack]; je again
        "2E 8B 26 02 00 2E C6 06 0A 00 01"  # mov sp, cs:[stack]; mov byte cs:[ending], 1
        "B8 00 4C CD 21"  # mov ax, 4C00h; int 21h
    )
)
#: INT 24h: the call fails. INT 25h, 26h: there is no such drive; flags stay on the stack.
CRITICAL_CODE = bytes.fromhex("B0 03 CF")
ABSOLUTE_CODE = bytes.fromhex("B8 01 02 F9 CB")
#: jmp short, where others hook the driver; out port, al; retf.
XMS_CODE = bytes((0xEB, 0x03, 0x90, 0x90, 0x90, 0xE6, XMS_PORT, 0xCB))

#: Vectors that lead here until a program takes them.
VECTORS = {0x24: CRITICAL_OFFSET, 0x25: ABSOLUTE_OFFSET, 0x26: ABSOLUTE_OFFSET}


def write_area(bus: Bus) -> None:
    """Put all of it into memory but the first control block."""
    for offset, data in _parts().items():
        bus.write(BASE + offset, data)
    set_directory(bus, "")


def set_directory(bus: Bus, folder: str) -> None:
    r"""The current directory of drive C:, as "SUB\INNER"."""
    for drive in range(DRIVES):
        path = f"{'ABC'[drive]}:\\" + (folder if drive == DRIVES - 1 else "")
        entry = path.encode("cp437", "replace").ljust(MAX_DIRECTORY, b"\0")[:MAX_DIRECTORY]
        kind = PHYSICAL if drive == DRIVES - 1 else 0
        entry += struct.pack("<HIHIHH", kind, NOWHERE, 0xFFFF, NOWHERE, 0xFFFF, ROOT_AT)
        at = BASE + DIRECTORIES_OFFSET + DIRECTORY_BYTES * drive
        bus.write(at, entry.ljust(DIRECTORY_BYTES, b"\0"))


def _parts() -> dict[int, bytes]:
    far = SEGMENT << 16
    con, clock = (far | DEVICES_OFFSET + DEVICE_BYTES * nth for nth in (0, 3))
    # Disk parameters, file table, CLOCK$, CON, bytes of a sector, buffers, directories, FCBs,
    # protected FCBs, block devices, last drive.
    lists = struct.pack(
        "<IIIIHIIIHBB", NOWHERE, NOWHERE, clock, con, 512, NOWHERE, far | DIRECTORIES_OFFSET,
        NOWHERE, 0, 1, DRIVES,
    )  # fmt: skip
    chain = [NUL_OFFSET, *(DEVICES_OFFSET + DEVICE_BYTES * nth for nth in range(len(DEVICES)))]
    devices = {}
    for nth, (name, attributes) in enumerate(((b"NUL", NUL_ATTRIBUTES), *DEVICES)):
        following = far | chain[nth + 1] if nth + 1 < len(chain) else NOWHERE
        devices[chain[nth]] = struct.pack(
            "<IHHH8s", following, attributes, NOTHING_OFFSET, NOTHING_OFFSET, name.ljust(8)
        )
    return {
        LISTS_OFFSET: lists, **devices, NOTHING_OFFSET: b"\xcb", BREAK_OFFSET: BREAK_CODE,
        CRITICAL_OFFSET: CRITICAL_CODE, ABSOLUTE_OFFSET: ABSOLUTE_CODE, XMS_OFFSET: XMS_CODE,
    }  # fmt: skip
