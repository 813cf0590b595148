"""The builtin BIOS's ROM, segment F000h: fonts, tables, and a stub for each vector.

Emulated: a layout of our own; only what programs look for has its historical place.

Each vector leads to a stub (`rom_code.asm`): ``out port, al`` brings Python in (see `calls`),
``iret`` goes back. A stub whose service sets the carry flag halts until the next interrupt and asks
again, so a program that waits for a key costs nothing; only there it lets interrupts in. INT 08h
and 09h save the registers of what they interrupt around it all: the vectors that they call may
change any.

Offsets are part of saved states: a guest may stand in any stub, and keeps pointers to them.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vgaemu.vga.font import bundled_font

ROM_SEGMENT = 0xF000
ROM_BASE = ROM_SEGMENT << 4

#: Fonts: glyph height -> offset.
FONTS = {8: 0xB000, 14: 0xB800, 16: 0xC800}
#: The upper half of the 8x8 font, for INT 1Fh.
FONT_8_UPPER = FONTS[8] + 128 * 8

#: Where `rom_code.asm` begins, which goes on to ROM's end.
CODE_AT = 0xE120
#: Stubs, 16 bytes each, in ROM's last page, so that they need one translation.
STUBS = 0xF000
STUB_BYTES = 16
#: CRC-32 of ROM from the stubs on, in versions whose saved states may go on in these stubs.
OLDER_STUBS = frozenset((0xC7415CB6, 0x27388F11, 0xD40FBED4, 0xE7E44EE1, 0x733B6200))
#: What INT 08h, 09h, 74h and 70h go on to.
TIMER_ROUTINE, KEYBOARD_ROUTINE, MOUSE_ROUTINE = STUBS + 0xD00, STUBS + 0xD40, STUBS + 0xD80
CLOCK_ROUTINE = STUBS + 0xDC0
#: Where a mouse's handler comes back to, from INT 33h's driver and from INT 15h/C207h's BIOS.
MOUSE_HANDLER_DONE, PS2_HANDLER_DONE = STUBS + 0xDB0, STUBS + 0xDB8
IRET_STUB = STUBS + 0xE00
#: Vectors with a service, in the order of their stubs and trap ports.
SERVICES = (
    0x00, 0x06, 0x0D, 0x08, 0x09, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A,
    0x20, 0x21, 0x27, 0x29, 0x2F, 0x33,
)  # fmt: skip
#: Vectors that came later: they have no stub among those, but a place of their own, and of the trap
#: ports the last ones; the very last is the XMS driver's.
LATER = {0x74: MOUSE_ROUTINE, 0x70: CLOCK_ROUTINE}
#: Services that came later, too: where their stubs are.
ADDED = {0x05: STUBS + 0x200}
#: Routines around INT 15h: a scancode that a hook may take or change (4Fh), a wait for a key (90h),
#: the switch to protected mode (89h), waits for a floppy and for another disk (90h, 91h).
KEY_HOOK, KEY_WAIT, PROTECT = STUBS + 0x220, STUBS + 0x230, STUBS + 0x240
FLOPPY_WAIT, DISK_WAIT = STUBS + 0x270, STUBS + 0x280
#: Trap ports: those that no device of a PC has.
TRAP_PORTS = (*range(0xB0, 0xC0), *range(0xE0, 0xE9), *range(0xEA, 0xF0))

#: What `KEY_HOOK` goes on by.
HOOKED_PORT = TRAP_PORTS[-2 - len(LATER) - len(ADDED)]

#: INT 41h's table is written for the disk that there is, and behind it INT 46h's.
CONFIG_TABLE, DISKETTE_TABLE, FIXED_DISK_TABLE = 0xE6F5, 0xEFC7, 0xE401
#: Tables of the video BIOS: supported functions, maker's name, the far routine that switches VBE's
#: window.
STATIC_STATE_AT, OEM_STRING_AT, WINDOW_FUNCTION_AT = 0xE000, 0xE100, 0xE120
#: IRQ 9, which is IRQ 2 of the bus: the second controller has an end, the rest is INT 0Ah's.
IRQ_9_AT = 0xE140
#: Vendor, product and revision, one after another.
OEM_STRINGS = (b"vgaemu\0", b"VBE on DISPI\0", b"2.0\0")
TABLES = {
    # An AT: second interrupt controller, clock; INT 15h/4Fh is called; INT 16h/09h is there.
    CONFIG_TABLE: bytes.fromhex("08 00 FC 01 00 70 40 00 00 00"),
    # A 1.44 MB drive: step and head times, 512-byte sectors, 18 a track, gaps, fill, motor.
    DISKETTE_TABLE: bytes.fromhex("AF 02 25 02 12 1B FF 6C F6 0F 08"),
    # INT 10h/1Bh: all modes; text of 200, 350 and 400 lines; of 8 fonts 2 at once; palettes, greys,
    # cursors; saving, blinking, combination code; no save pointers.
    STATIC_STATE_AT: bytes.fromhex("FF E0 0F 00 00 00 00 07 08 02 FF 0E 00 00 00 00"),
    OEM_STRING_AT: b"".join(OEM_STRINGS),
}


def rom_font(height: int, users: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    """(256, height) uint8: ROM's font of a height; the user's, if it is of that height."""
    return users if users is not None and users.shape[1] == height else bundled_font(height)


def rom_image(users_font: NDArray[np.uint8] | None) -> bytes:
    """64 KiB from F0000h on."""
    rom = bytearray(_image_without_fonts())
    for height, at in FONTS.items():
        font = rom_font(height, users_font).tobytes()
        rom[at : at + len(font)] = font
    return bytes(rom)


def rom_code() -> bytes:
    """`rom_code.asm`'s bytes, from `CODE_AT` on."""
    return Path(__file__).with_name("rom_code").read_bytes()


@cache
def _image_without_fonts() -> bytes:
    rom = bytearray(b"\xff" * 0x10000)
    rom[CODE_AT:] = rom_code()
    for at, data in TABLES.items():
        rom[at : at + len(data)] = data
    return bytes(rom)


@cache
def vectors() -> bytes:
    """What stands at address 0: offset and segment of each vector's stub."""
    offsets = [stub_offset(vector) for vector in range(0x78)]
    return b"".join(struct.pack("<HH", offset, ROM_SEGMENT) for offset in offsets)


def trap_ports() -> dict[int, int]:
    """The trap port of each vector that has a service."""
    ports = dict(zip(SERVICES, TRAP_PORTS, strict=False))
    return ports | dict(zip((*LATER, *ADDED), reversed(TRAP_PORTS[:-1]), strict=False))


def stub_offset(vector: int) -> int:
    """Offset in ROM of a vector's stub: a service's, an interrupt's that is only ended, or IRET."""
    if vector in LATER or vector in ADDED:
        return (LATER | ADDED)[vector]
    if vector in SERVICES:
        return STUBS + SERVICES.index(vector) * STUB_BYTES
    if 0x0A <= vector <= 0x0F:
        return STUBS + len(SERVICES) * STUB_BYTES
    if vector == 0x71:
        return IRQ_9_AT
    if 0x70 <= vector <= 0x77:
        return STUBS + (len(SERVICES) + 1) * STUB_BYTES
    return IRET_STUB
