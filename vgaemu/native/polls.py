"""What the BIOS calls that guests poll look at; `vgaemu.pc.bios.data_area` has all of it."""

from __future__ import annotations

#: The BIOS data area, its end, and fields.
DATA_AT, DATA_END = 0x400, 0x500
KEY_HEAD_AT, KEY_TAIL_AT, CURSORS_AT, CURSOR_SHAPE_AT = 0x41A, 0x41C, 0x450, 0x460
TICKS_AT, MIDNIGHT_AT = 0x46C, 0x470


def old_key(word: int) -> int:
    """A key's word as the calls for 84 keys return it: grey keys look like those of the keypad."""
    if word >> 8 != 0xE0:
        return word & 0xFF00 if word & 0xFF == 0xE0 else word
    if word & 0xFF in (0x0D, 0x0A):  # enter, alone and with ctrl
        return 0x1C00 | word & 0xFF
    return 0x352F if word & 0xFF == 0x2F else word
