"""The BIOS data area at 400h: every field that the builtin BIOS keeps there, a row each.

Emulated: what is below, as programs read and write it. Not emulated: the diskette controller's
bytes, the light pen.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from vgaemu.pc.bus import Bus

#: Where the key buffer's words lie, from here on relative to 400h.
SEGMENT_BASE = 0x400


class Field(NamedTuple):
    """A little-endian number."""

    address: int
    nbytes: int
    #: As the BIOS leaves it at boot; mode sets write the video fields.
    initial: int
    meaning: str


# fmt: off
FIELDS: tuple[Field, ...] = (
    SERIAL_PORTS := Field(0x400, 8, 0x03F8, "base of each"),
    PRINTER_PORTS := Field(0x408, 6, 0x0378, "base of each"),
    EQUIPMENT := Field(
        0x410, 2, 0x4222, "coprocessor, 80x25 colour, a serial port, a printer; bit 0: a floppy"
    ),
    MEMORY_KIB := Field(0x413, 2, 640, "conventional memory"),
    SHIFT_FLAGS := Field(0x417, 1, 0, "shifts held, locks that are on"),
    SHIFT_FLAGS_2 := Field(0x418, 1, 0, "left ctrl and alt, and locks, while they are held"),
    KEY_HEAD := Field(0x41A, 2, 0x1E, "where the next key is taken"),
    KEY_TAIL := Field(0x41C, 2, 0x1E, "where the next key is put"),
    KEY_BUFFER := Field(0x41E, 32, 0, "16 words: scancode, character"),
    DISK_STATUS := Field(0x441, 1, 0, "of INT 13h's last call for a floppy"),
    MODE := Field(0x449, 1, 0, "video mode"),
    COLUMNS := Field(0x44A, 2, 0, "characters in a row"),
    PAGE_BYTES := Field(0x44C, 2, 0, "of a page of video memory"),
    PAGE_START := Field(0x44E, 2, 0, "of the page that is shown"),
    CURSORS := Field(0x450, 16, 0, "of 8 pages: column, row"),
    CURSOR_SHAPE := Field(0x460, 2, 0, "last line, first line"),
    PAGE := Field(0x462, 1, 0, "the page that is shown"),
    CRTC_PORT := Field(0x463, 2, 0, "index port of the CRTC"),
    MODE_SELECT := Field(0x465, 1, 0, "mode control register, as a CGA would have it"),
    CGA_PALETTE := Field(0x466, 1, 0, "colour select register, as a CGA would have it"),
    TICKS := Field(0x46C, 4, 0, "of the timer since midnight"),
    MIDNIGHT := Field(0x470, 1, 0, "1 once midnight has passed"),
    BREAK := Field(0x471, 1, 0, "bit 7: ctrl-break was pressed"),
    HARD_DISK_STATUS := Field(0x474, 1, 0, "of INT 13h's last call for another disk"),
    HARD_DISKS := Field(0x475, 1, 0, "how many"),
    PRINTER_PATIENCE := Field(0x478, 4, 0x14141414, "of INT 17h, of each port"),
    SERIAL_PATIENCE := Field(0x47C, 4, 0x01010101, "of INT 14h, in seconds, of each port"),
    KEY_BUFFER_START := Field(0x480, 2, 0x1E, "of the key buffer"),
    KEY_BUFFER_END := Field(0x482, 2, 0x3E, "of the key buffer, behind its last word"),
    LAST_ROW := Field(0x484, 1, 0, "rows of characters - 1"),
    CHAR_HEIGHT := Field(0x485, 2, 0, "lines of a character"),
    VIDEO_CONTROL := Field(0x487, 1, 0, "memory not cleared, cursor emulation"),
    SWITCHES := Field(0x488, 1, 0xF9, "of an EGA: text of 200 lines, or of more"),
    MODE_OPTIONS := Field(0x489, 1, 0x51, "VGA is there; lines of text, greys, palette loading"),
    DISPLAYS := Field(0x48A, 1, 0, "which there are: an index of the table of combinations"),
    KEY_FLAGS_3 := Field(0x496, 1, 0x10, "a keyboard of 101 keys; right ctrl and alt; prefixes"),
    LAMPS := Field(0x497, 1, 0, "of the locks"),
    EVENT_FLAG := Field(0x498, 4, 0, "far pointer to the flag of INT 15h/83h, or to `EVENT_STATE`"),
    EVENT_COUNT := Field(0x49C, 4, 0, "microseconds that were asked for, 0 when they are over"),
    EVENT_STATE := Field(0x4A0, 1, 0, "1 while INT 15h/83h or 86h waits"),
    SAVE_POINTER := Field(0x4A8, 4, 0, "far pointer to the video BIOS's tables"),
    PRINT_SCREEN := Field(0x500, 1, 0, "1 while the screen is printed, FFh if that failed"),
)
# fmt: on
for _field, _next in pairwise(FIELDS):
    if _field.address + _field.nbytes > _next.address:
        raise ValueError(f"BIOS data area: {_field} overlaps {_next}")

#: `MODE_SELECT`: bit 7 of an attribute blinks.
BLINKS = 0x20
#: `MODE_OPTIONS`: colours become greys; mode sets leave the palette alone; 400 or 200 lines of
#: text, else 350.
GREY, KEEP_PALETTE, LINES_400, LINES_200 = 0x02, 0x08, 0x10, 0x80
#: `VIDEO_CONTROL`: cursor shapes are taken as they are; memory was not cleared.
NO_CURSOR_EMULATION, NOT_CLEARED = 0x01, 0x80
#: `SWITCHES`: of text modes with 200 lines, and of others; above them the feature connector's.
SWITCHES_200, SWITCHES_400, FEATURES = 0x08, 0x09, 0xF0


class DataArea:
    """Fields by their rows: ``data[TICKS] += 1``."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    def __getitem__(self, field: Field) -> int:
        # Always RAM: the bus need not ask. Each character typed reads several.
        return int.from_bytes(
            self.bus.memory[field.address : field.address + field.nbytes], "little"
        )

    def __setitem__(self, field: Field, value: int) -> None:
        kept = value & (1 << 8 * field.nbytes) - 1
        self.bus.write(field.address, kept.to_bytes(field.nbytes, "little"))

    def reset(self) -> None:
        """Fields as at boot; the rest of the area is 0 then."""
        for field in FIELDS:
            if field.initial:
                self[field] = field.initial
