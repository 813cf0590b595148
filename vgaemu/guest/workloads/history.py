"""A history of the PC's screen that scrolls line by line: text moved by preset row scan alone.

A text row is 16 scan lines high. The preset row scan (CRTC 08h) starts the picture inside one, and
the start address moves on by a row after the last of them, so text glides without a byte stored.
The heading stands still: line compare shows it from address 0, below the rows that glide. Mode 3.
"""

from __future__ import annotations

import numpy as np

from vgaemu.guest.palette import Palette
from vgaemu.guest.workload import Guest, Slices, endless
from vgaemu.vga.codepage import to_cp437

COLUMNS, CELL, SCREEN, LINES = 80, 16, 0xB8000, 400
#: Rows of the heading, and rows above it that the text glides through.
HEADING, VIEW = 2, 23
#: Attributes: years, headlines, words, the line through all, the heading.
YEAR, HEADLINE, WORDS, LINE, BAR, BAR_DIM = 0x0E, 0x0F, 0x07, 0x08, 0x1F, 0x1B
#: The colours of these.
COLOURS = {
    0: "04060f",
    8: "34406c",
    7: "9aa4c0",
    14: "ffb850",
    15: "ffffff",
    1: "1c2a5c",
    11: "7c94d8",
}

STORY = (
    ("1981", "MDA", "80x25 characters of 9x14 dots, each one sharp and green. No graphics at all."),
    ("1981", "CGA", "Four colours in 320x200, of which one is a strange magenta; 16 KiB, and snow "
     "when a program writes while the beam reads."),
    ("1982", "Monochrome graphics", "720x348 dots on the green monitor, for graphs beside tables."),
    ("1984", "EGA", "Sixteen of 64 colours in 640x350. Four planes, latches, write modes: much "
     "work done by the card, for processors that had none to spare. Fonts can be loaded."),
    ("1987", "MCGA", "320x200 in 256 colours, plain bytes one after another. And a DAC: six bits "
     "for each of red, green and blue."),
    ("1987", "VGA", "All of that in one chip and 256 KiB, its registers readable at last. 640x480 "
     "with square pixels; text in cells of 9x16 dots; 31.5 kHz and 70 pictures a second."),
    ("1988", "Super VGA", "800x600 in sixteen colours, then 256. Every maker switches banks at "
     "other ports, and every program brings drivers for all of them."),
    ("1989", "VESA", "One BIOS call for all of them: mode numbers, windows, granularity."),
    ("1991", "Mode X", "320x240 in 256 colours and three pages: chain-4 off, and the planes of "
     "the EGA come back, four pixels to an address."),
    ("1994", "Linear frame buffers", "VBE 2.0 maps the whole of video memory at a high address. "
     "Bank switching, planes and latches are no longer needed; they all remain."),
    ("2002", "DISPI", "An emulator invents a card without a past: write the width, the height and "
     "the depth, and switch it on. Most virtual machines have had it since."),
    ("2012", "The dirty log", "A short patch: take a word of the bitmap, set it to zero, find its "
     "first bit and its last. What lies between was touched since somebody looked."),
    ("Today", "Every PC starts here", "The first thing a virtual machine shows is still mode 3: "
     "eighty columns, twenty-five rows, light grey on black."),
)  # fmt: skip


@endless
def workload(guest: Guest) -> Slices:
    """The story, from below to above, over and over."""
    guest.set_mode(3)
    guest.text.cursor(False)
    palette = Palette(guest)
    for number, colour in COLOURS.items():
        palette.set_colour(number, *bytes.fromhex(colour))
    rows = [_heading(), *_rows()]
    cells = np.zeros((HEADING + len(rows) - 1, COLUMNS, 2), np.uint8)
    cells[:, :, 0], cells[:, :, 1] = 0x20, WORDS
    cells[1, :, 1] = BAR
    for row, parts in enumerate(rows, 1):
        for column, text, attribute in parts:
            codes = np.frombuffer(to_cp437(text), np.uint8)
            cells[row, column : column + len(codes), 0] = codes
            cells[row, column : column + len(codes), 1] = attribute
    guest.store(SCREEN, cells.tobytes())
    guest.ports["line_compare"] = LINES - HEADING * CELL - 1
    line = 0
    while True:
        _glide(guest, line)
        line = (line + 1) % (CELL * (len(rows) - 1 - VIEW))
        yield


def _glide(guest: Guest, line: int) -> None:
    """Start so many scan lines into the story; no retrace takes the address without the row."""
    row, inside = divmod(line, CELL)
    start = COLUMNS * (HEADING + row)
    while guest.inb(0x3DA) & 8:
        pass
    guest.ports["start_address"] = start
    guest.write_crtc(0x08, inside)


#: A row: parts of text, each with its column and attribute.
Row = list[tuple[int, str, int]]


def _heading() -> Row:
    place = "preset row scan, line compare"
    return [
        (3, "A SHORT HISTORY OF THE PC'S SCREEN", BAR),
        (COLUMNS - 3 - len(place), place, BAR_DIM),
    ]


def _rows() -> list[Row]:
    """The story along its line; an empty screen before and behind."""
    blank: Row = []
    between: Row = [(16, "│", LINE)]
    rows = [blank] * VIEW
    for year, headline, words in STORY:
        rows.append([(15 - len(year), year, YEAR), (16, "•", YEAR), (19, headline, HEADLINE)])
        rows += [[*between, (19, line, WORDS)] for line in _wrapped(words, 48)]
        rows += [between] * 2
    return rows + [blank] * VIEW


def _wrapped(words: str, width: int) -> list[str]:
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines
