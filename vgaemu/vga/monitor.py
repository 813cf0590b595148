"""A VGA monitor: what shape a picture has on its screen, by the signal's timing and polarities.

Emulated: the polarities of both syncs (misc output bits 6 and 7) tell the monitor how high to draw,
350, 400 or 480 lines to its full height; a line is as wide as the part of its time that shows
pixels. Not emulated: rates that no monitor follows, a screen's edges (what is too large is whole).

Source: IBM PS/2 Hardware Interface Technical Reference (miscellaneous output register); the BIOS
modes, whose lines all show pixels for 0.8 of their time.
"""

from __future__ import annotations

#: Width to height of the screen.
SCREEN_ASPECT = 4 / 3
#: Part of a line's time that is as wide as the screen.
FULL_WIDTH = 0.8
#: Nearer to it than this is it: 360 pixels, 0.8036 of their lines, are as wide as 320.
WIDTH_TOLERANCE = 0.005
#: Lines that fill the screen, the fewest first.
HEIGHTS = (350, 400, 480)
#: Misc output bits 7-6 -> lines that fill the screen; 0 is reserved.
LINES_OF_POLARITIES = {0b10: 350, 0b01: 400, 0b11: 480}


def picture_aspect(displayed: int, total: int, lines: int, polarities: int) -> float:
    """Width to height of a picture on the screen.

    Args:
        displayed: Characters of a line that are shown.
        total: Characters of a line with its blanking.
        lines: Scan lines that are shown.
        polarities: Misc output bits 7-6. Where they say nothing, the next height has room.

    >>> [round(picture_aspect(80, 100, 400, polarities), 3) for polarities in (0b01, 0b11)]
    [1.333, 1.6]
    """
    filling = LINES_OF_POLARITIES.get(polarities)
    if filling is None:
        filling = next((height for height in HEIGHTS if lines <= height), lines)
    width = min(displayed, total) / (total * FULL_WIDTH)
    if abs(width - 1) < WIDTH_TOLERANCE:
        width = 1.0
    return SCREEN_ASPECT * width * (filling / lines)
