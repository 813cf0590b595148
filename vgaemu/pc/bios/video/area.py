"""The video BIOS's memory: its fields of the BIOS data area with their bits, and its vectors.

Emulated: what lies below, as programs read and write it. Not emulated: the tables that the save
pointer leads to, the light pen.

Source: IBM PS/2 and PC BIOS Interface Technical Reference; R. Brown's list of memory.
"""

MODE = 0x449
COLUMNS = 0x44A  # word
PAGE_BYTES, PAGE_START = 0x44C, 0x44E  # words
CURSORS = 0x450  # of 8 pages: column, row
CURSOR_SHAPE = 0x460  # word: last line, first line
PAGE = 0x462
CRTC_PORT = 0x463  # word
#: CRT mode control and palette registers, as a CGA would have them.
MODE_SELECT, CGA_PALETTE = 0x465, 0x466
LAST_ROW = 0x484
CHAR_HEIGHT = 0x485  # word
VIDEO_CONTROL, SWITCHES, MODE_OPTIONS, DISPLAY_CODE = 0x487, 0x488, 0x489, 0x48A
SAVE_POINTER = 0x4A8

#: `DISPLAY_CODE`: VGA with an analog colour display.
VGA_COLOUR = 0x08
#: `MODE_OPTIONS`: the VGA is there; colours become greys; mode sets leave the palette alone; 400 or
#: 200 lines of text, else 350.
VGA_ACTIVE, GREY, KEEP_PALETTE, LINES_400, LINES_200 = 0x41, 0x02, 0x08, 0x10, 0x80
#: `VIDEO_CONTROL`: cursor shapes are taken as they are.
NO_CURSOR_EMULATION = 0x01

#: Vectors that point to the glyphs of graphics modes; in the CGA's to the first 128 and the others.
GLYPHS, UPPER_GLYPHS = 0x43, 0x1F
