"""DOS's own memory, at segment 60h: what programs look at behind its back, and code of its own.

Emulated: the list of lists (INT 21h/52h) with the first control block, NUL and the devices behind
it, current directories of drives A: to C:, the InDOS flag, what INT 23h, 24h, 25h and 26h do if no
program has them, the entry of CALL 5 and that of the XMS driver; `tables` has what else it leads
to. Not emulated: disk buffers (their pointer leads nowhere, FFFFh in the offset).

All of this is RAM and part of each saved state; its layout must not change: programs keep pointers
to it. Source: R. Brown's interrupt list (INT 21h/52h, tables 01627 and 01643).
"""

from __future__ import annotations

import struct

from vgaemu.pc.bios.rom import ROM_SEGMENT, TRAP_PORTS, stub_offset
from vgaemu.pc.bus import Bus

SEGMENT = 0x0060
BASE = SEGMENT << 4
#: The way to INT 24h, the questions that are asked without one, INT 25h and 26h.
CRITICAL_CALL_OFFSET, ASK_OFFSET, READ_OFFSET, WRITE_OFFSET = 0x570, 0x5C0, 0x5D8, 0x5E0
#: Where the first program goes back to, perhaps by way of code of its own.
END_OFFSET = 0x5E8
#: AX and DI of INT 24h; what it has answered; whether the person is being asked.
CRITICAL_ABOUT_AT, CRITICAL_CODE_AT, ANSWER_AT, ASKED_AT = (BASE + at for at in (40, 42, 48, 52))
#: Data: the prefix of the program that runs; SP while INT 23h runs.
PREFIX_OFFSET, STACK_OFFSET = 0x00, 0x02
#: How blocks are chosen; whether BREAK is on, writes are verified; the last error; how the program
#: that ends does it, if not by itself. The flag of critical errors lies before InDOS.
FIT_AT, BREAK_CHECK_AT, VERIFY_AT, ERROR_AT, ENDING_AT = (BASE + at for at in (4, 5, 6, 8, 10))
IN_DOS_OFFSET = 0x10
#: The list of lists; the word before it is the first memory control block's segment.
LISTS_OFFSET = 0x40
FIRST_BLOCK_AT = BASE + LISTS_OFFSET - 2
NUL_OFFSET, MORE_LISTS_OFFSET = LISTS_OFFSET + 0x22, LISTS_OFFSET + 0x3F
#: Current directories: 58h bytes for each of three drives.
DIRECTORIES_OFFSET, DIRECTORY_BYTES, DRIVES = 0xA0, 0x58, 3
#: Character devices, and a FAR RET for their routines.
DEVICES_OFFSET, DEVICE_BYTES, NOTHING_OFFSET = 0x1C0, 0x12, 0x218
DEVICES = ((b"CON", 0x8013), (b"AUX", 0x8000), (b"PRN", 0xA0C0), (b"CLOCK$", 0x8008))
NUL_ATTRIBUTES = 0x8004
#: The disk's driver, the parameter block of C:, tables of files and of FCBs; see `tables`.
DRIVE_BLOCK_OFFSET, DISK_OFFSET, FCB_TABLE_OFFSET, FILE_TABLE_OFFSET = 0x500, 0x528, 0x5F8, 0x600
DISK_ATTRIBUTES, DISK_UNITS = 0x0842, 3
BREAK_OFFSET, CRITICAL_OFFSET, ABSOLUTE_OFFSET, XMS_OFFSET = 0x220, 0x260, 0x268, 0x270
#: What the XMS driver is called by; what other code of DOS's calls by, with a vector in AL. The
#: BIOS's services have the first ports and the last but one.
XMS_PORT, DOS_PORT = TRAP_PORTS[-1], TRAP_PORTS[-6]
#: CALL 5 of CP/M, where a word of its caller's is kept for some instructions.
CALL_5_OFFSET, CALL_5_KEPT = 0x540, 0x32
#: Where a prefix's CALL 5 leads to: F01Dh:FEF0h, which is 0000h:00C0h below 1 MiB.
CALL_5_AT = (0x000C0, 0x1000C0)
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
#: CALL 5: CL is the call's number, up to 24h; its caller's IP lies above what the prefix pushed.
CALL_5_CODE = (
    bytes.fromhex("58 58 2E 8F 06 32 00 9C FA 50 2E FF 36 32 00")
    # pop ax; pop ax; pop cs:[kept]; pushf; cli; push ax; push cs:[kept]
    + bytes.fromhex("80 F9 24 77 07 8A E1 EA")  # cmp cl, 24h; ja none; mov ah, cl; jmp far INT 21h
    + struct.pack("<HH", stub_offset(0x21), ROM_SEGMENT)
    + bytes.fromhex("B0 00 CF")  # none: mov al, 0; iret
)
#: A critical error: the caller's registers on its stack, as handlers find them, then INT 24h; its
#: answer, one more than in AL, is there when the call is made anew.
CRITICAL_CALL_CODE = (
    bytes.fromhex("06 1E 55 57 56 52 51 53 50")  # push es, ds, bp, di, si, dx, cx, bx, ax
    + bytes.fromhex("2E A1 28 00 2E 8B 3E 2A 00")  # mov ax, cs:[about]; mov di, cs:[code]
    + struct.pack("<BHBH", 0xBD, SEGMENT, 0xBE, DISK_OFFSET)  # mov bp, segment; mov si, disk
    + bytes.fromhex("2E C6 06 0F 00 01 CD 24")  # mov byte cs:[flag], 1; int 24h
    + bytes.fromhex("2E C6 06 0F 00 00 FE C0 2E A2 30 00")  # ...; inc al; mov cs:[answer], al
    + bytes.fromhex("58 5B 59 5A 5E 5F 5D 1F 07 EA")  # pop ax ... es; jmp far INT 21h's stub
    + struct.pack("<HH", stub_offset(0x21), ROM_SEGMENT)
)
#: INT 24h: again: push ax; mov al, 24h; out port, al; pop ax; jc wait; iret; wait: sti; hlt; jmp
#: again. An older place of it leads there.
ASK_CODE = bytes((0x50, 0xB0, 0x24, 0xE6, DOS_PORT)) + bytes.fromhex("58 72 01 CF FB F4 EB F3")
CRITICAL_CODE = b"\xe9" + struct.pack("<H", ASK_OFFSET - CRITICAL_OFFSET - 3)
#: INT 25h, 26h: push ax; mov al, vector; out port, al; pop ax; sti; retf: flags stay on the stack.
#: What older states have for both: there is no such drive.
READ_CODE, WRITE_CODE = (
    bytes((0x50, 0xB0, vector, 0xE6, DOS_PORT, 0x58, 0xFB, 0xCB)) for vector in (0x25, 0x26)
)
ABSOLUTE_CODE = bytes.fromhex("B8 01 02 F9 CB")
#: mov al, 22h; out port, al; hlt; jmp to that.
END_CODE = bytes((0xB0, 0x22, 0xE6, DOS_PORT, 0xF4, 0xEB, 0xFD))
#: jmp short, where others hook the driver; out port, al; retf.
XMS_CODE = bytes((0xEB, 0x03, 0x90, 0x90, 0x90, 0xE6, XMS_PORT, 0xCB))

#: Vectors that lead here until a program takes them.
VECTORS = {0x22: END_OFFSET, 0x24: ASK_OFFSET, 0x25: READ_OFFSET, 0x26: WRITE_OFFSET}


def write_area(bus: Bus) -> None:
    """Put all of it into memory but the first control block."""
    for offset, data in _parts(bus.ram_bytes).items():
        bus.write(BASE + offset, data)
    for at in CALL_5_AT:
        if at < bus.ram_bytes:
            bus.write(at, struct.pack("<BHH", 0xEA, CALL_5_OFFSET, SEGMENT))
    set_directory(bus, "")


def set_directory(bus: Bus, folder: str) -> None:
    r"""The current directory of drive C:, as "SUB\INNER"."""
    for drive in range(DRIVES):
        path = f"{'ABC'[drive]}:\\" + (folder if drive == DRIVES - 1 else "")
        entry = path.encode("cp437", "replace").ljust(MAX_DIRECTORY, b"\0")[:MAX_DIRECTORY]
        kind = PHYSICAL if drive == DRIVES - 1 else 0
        block = SEGMENT << 16 | DRIVE_BLOCK_OFFSET if kind else NOWHERE
        entry += struct.pack("<HIHHHH", kind, block, 0xFFFF, 0xFFFF, 0xFFFF, ROOT_AT)
        at = BASE + DIRECTORIES_OFFSET + DIRECTORY_BYTES * drive
        bus.write(at, entry.ljust(DIRECTORY_BYTES, b"\0"))


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
        far | DIRECTORIES_OFFSET, far | FCB_TABLE_OFFSET, 0, 1, DRIVES,
    )  # fmt: skip
    # Behind NUL, from the number of buffers on: buffers, those read ahead, the drive that DOS was
    # started from, whether there is a 386, extended memory in KiB.
    more = struct.pack("<HHBBH", 20, 0, DRIVES, 1, min((ram_bytes >> 10) - 1024, 0xFFFF))
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
        LISTS_OFFSET: lists, MORE_LISTS_OFFSET: more, **devices, NOTHING_OFFSET: b"\xcb",
        CRITICAL_CALL_OFFSET: CRITICAL_CALL_CODE, ASK_OFFSET: ASK_CODE, READ_OFFSET: READ_CODE,
        WRITE_OFFSET: WRITE_CODE, END_OFFSET: END_CODE, CALL_5_OFFSET: CALL_5_CODE,
        BREAK_OFFSET: BREAK_CODE, CRITICAL_OFFSET: CRITICAL_CODE, ABSOLUTE_OFFSET: ABSOLUTE_CODE,
        XMS_OFFSET: XMS_CODE,
    }  # fmt: skip
