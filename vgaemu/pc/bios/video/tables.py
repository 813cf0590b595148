"""Tables of the video BIOS in memory: mode parameters, where the save pointer leads, a ROM header.

Emulated: the parameter table with an entry for each mode and number of lines, the pairs of displays
that there can be, and tables of save pointers that lead to them; at C000:0000 an option ROM of
2 KiB with its name and glyphs of 8x8, as programs look for one there that ask for no service. Not
emulated: the other save pointers (they are 0: no dynamic save area, no fonts of the user's);
entries of no mode are zeros.

Source: IBM PS/2 and PC BIOS Interface Technical Reference (video parameter table, save pointers).
"""

from __future__ import annotations

import struct
from functools import cache

from vgaemu.pc.bios.rom import ROM_BASE, ROM_SEGMENT
from vgaemu.pc.bios.video.area import COMBINATIONS, VGA_COLOUR
from vgaemu.pc.bios.video.mode_set import TEXT_LINES
from vgaemu.pc.bios.video.modes import bios_mode
from vgaemu.pc.bus import Bus
from vgaemu.vga.font import bundled_font
from vgaemu.vga.modes import MODES

#: Offsets in ROM, behind the fonts.
PARAMETERS_AT, SAVE_POINTERS_AT, SECOND_POINTERS_AT, COMBINATIONS_AT = (
    0xD800,
    0xDF80,
    0xDFA0,
    0xDFC0,
)
ENTRY_BYTES = 64
#: Entry -> mode, and lines of text where they are not the mode's own.
ENTRIES: dict[int, tuple[int, int]] = {
    **{mode: (mode, 200) for mode in range(4)}, 0x04: (4, 0), 0x05: (5, 0), 0x06: (6, 0),
    0x07: (7, 350), 0x0D: (0x0D, 0), 0x0E: (0x0E, 0), 0x0F: (0x0F, 0), 0x10: (0x10, 0),
    0x11: (0x0F, 0), 0x12: (0x10, 0), **{0x13 + mode: (mode, 350) for mode in range(4)},
    0x17: (1, 0), 0x18: (3, 0), 0x19: (7, 0), 0x1A: (0x11, 0), 0x1B: (0x12, 0), 0x1C: (0x13, 0),
}  # fmt: skip
#: The ROM: its place and size; its name stands where programs look for IBM's.
VIDEO_ROM_AT, VIDEO_ROM_BYTES = 0xC0000, 2048
GLYPHS_AT, GLYPHS = 0x100, 128
NAME_AT, NAME = 0x1E, b"IBM compatible: vgaemu VGA BIOS\0"


def parameters(number: int, lines: int = 0) -> bytes:
    """An entry of the parameter table: 64 bytes."""
    mode, facts = MODES[number], bios_mode(number)
    misc, height, sequencer = mode.misc, facts.height, bytearray(mode.sequencer)
    crtc, attribute = bytearray(mode.crtc), bytearray(mode.attribute)
    if lines:
        fewer = TEXT_LINES[lines]
        misc, height = fewer.misc & ~1 | mode.misc & 1, fewer.height
        sequencer[0] |= 1  # 8 dots a character
        attribute[0x13] = 0
        for index, value in fewer.crtc.items():
            crtc[index] = value
    cells = bytes((facts.columns, facts.rows - 1, height)) + facts.page_bytes.to_bytes(2, "little")
    return cells + sequencer + bytes((misc,)) + crtc + attribute + mode.graphics


@cache
def parameter_table() -> bytes:
    """All of it."""
    table = bytearray(ENTRY_BYTES * (max(ENTRIES) + 1))
    for entry, (number, lines) in ENTRIES.items():
        table[entry * ENTRY_BYTES : (entry + 1) * ENTRY_BYTES] = parameters(number, lines)
    return bytes(table)


def write_tables(bus: Bus) -> int:
    """Put the tables into ROM; returns the far pointer for `data_area.SAVE_POINTER`."""
    bus.load_rom(ROM_BASE + PARAMETERS_AT, parameter_table())
    pointers = struct.pack("<7I", _far(PARAMETERS_AT), 0, 0, 0, _far(SECOND_POINTERS_AT), 0, 0)
    bus.load_rom(ROM_BASE + SAVE_POINTERS_AT, pointers)
    second = struct.pack("<HI20x", 26, _far(COMBINATIONS_AT))  # its length first
    bus.load_rom(ROM_BASE + SECOND_POINTERS_AT, second)
    pairs = bytes(code for pair in COMBINATIONS for code in pair)
    # How many, version, the highest code.
    combinations = bytes((len(COMBINATIONS), 1, VGA_COLOUR, 0)) + pairs
    bus.load_rom(ROM_BASE + COMBINATIONS_AT, combinations)
    bus.load_rom(VIDEO_ROM_AT, video_rom())
    return _far(SAVE_POINTERS_AT)


def _far(offset: int) -> int:
    return ROM_SEGMENT << 16 | offset


@cache
def video_rom() -> bytes:
    """The option ROM: nothing is to be done when it is called; all its bytes add up to 0."""
    rom = bytearray(VIDEO_ROM_BYTES)
    rom[:4] = 0x55, 0xAA, VIDEO_ROM_BYTES // 512, 0xCB  # retf
    rom[NAME_AT : NAME_AT + len(NAME)] = NAME
    glyphs = bundled_font(8)[:GLYPHS].tobytes()
    rom[GLYPHS_AT : GLYPHS_AT + len(glyphs)] = glyphs
    rom[-1] = -sum(rom) & 0xFF
    return bytes(rom)
