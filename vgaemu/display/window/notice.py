"""A line over the picture's upper edge: it says something for a while and leaves no trace.

It lies on the window's surface alone. Whoever draws below it draws it again, and the picture as a
whole when it goes; so what was there comes back as the guest has it by then.
"""

from __future__ import annotations

import textwrap

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.panel.draw import BRIGHT, CLEAN, PAPER, text_strip
from vgaemu.display.panel.layout import CHAR, LINE
from vgaemu.display.report import Rect
from vgaemu.display.viewport import Size, Viewport
from vgaemu.display.window.sdl import pygame, surface_over

#: How long it is shown.
NOTICE_NS = 3_000_000_000
#: Of a text that does not fit into the picture's width; what is longer still is cut.
MAX_LINES = 4
#: Window pixels of height for each whole step of its size: as large as on a screen of its time.
HEIGHT_A_STEP = 400
#: Around the text, in pixels of the font.
MARGIN = 4


class Notice:
    """What is said, until when, and the pixels that say it."""

    def __init__(self) -> None:
        self.text = ""
        self._until_ns = 0
        self._surface: pygame.Surface | None = None
        self._place = (0, 0)

    def say(self, text: str, now_ns: int) -> bool:
        """Say something from now on, or with an empty text nothing more: is it something else?"""
        before, self.text, self._until_ns = self.text, text, now_ns + NOTICE_NS
        if text == before:
            return False
        self._surface = None
        return True

    def is_over(self, now_ns: int) -> bool:
        """Whether it has said something long enough."""
        return bool(self.text) and now_ns > self._until_ns

    def move(self) -> None:
        """The picture lies elsewhere."""
        self._surface = None

    def blit(self, window: pygame.Surface, viewport: Viewport) -> None:
        """Draw it where it lies; nothing if there is nothing to say."""
        if not self.text:
            return
        if self._surface is None:
            pixels = notice_pixels(self.text, window.get_size(), (viewport.width, viewport.height))
            self._surface = surface_over(pixels)
            self._place = viewport.x + (viewport.width - pixels.shape[1]) // 2, viewport.y
        window.blit(self._surface, self._place)


def notice_pixels(text: str, window: Size, room: Size) -> NDArray[np.uint32]:
    """The box with its text, (height, width), in whole steps of the font that suit the window.

    It is no larger than `room`: there it gets smaller, then it breaks, then it is cut.
    """
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    step = max(1, min(window[1] // HEIGHT_A_STEP, room[0] // (len(text) * CHAR + 2 * MARGIN)))
    columns = max(1, (room[0] // step - 2 * MARGIN) // CHAR)
    lines = textwrap.wrap(text, columns, max_lines=MAX_LINES, placeholder="…"[:columns]) or [""]
    box = Rect(0, 0, max(map(len, lines)) * CHAR + 2 * MARGIN, len(lines) * LINE + MARGIN)
    pixels = np.full((box.height, box.width), PAPER, np.uint32)
    pixels[-2:] = CLEAN
    for number, line in enumerate(lines):
        strip = text_strip(line, BRIGHT, PAPER, LINE)
        top = number * LINE + 1
        pixels[top : top + LINE, MARGIN : MARGIN + strip.shape[1]] = strip
    return np.ascontiguousarray(pixels.repeat(step, 0).repeat(step, 1)[: room[1], : room[0]])
