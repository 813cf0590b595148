"""What a terminal can do, as it says itself when it is asked.

Nobody waits for answers: until they come, pictures are half blocks and keys plain ones. The last
question is one that every terminal answers (DA1).

Sources: xterm's ctlseqs (DA1, XTWINOPS), kitty's graphics and keyboard protocols.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from vgaemu.display.terminal import images
from vgaemu.display.terminal.keys import Answer
from vgaemu.display.terminal.place import CELL_ASPECT

ASK_KEYBOARD, ASK_CELL, ASK_ATTRIBUTES = b"\x1b[?u", b"\x1b[16t", b"\x1b[c"
#: DA1's number for sixel.
SIXEL = 4


class Abilities(NamedTuple):
    """What is known of a terminal."""

    #: Kitty's protocols for images and keys; sixel.
    images: bool = False
    keyboard: bool = False
    sixel: bool = False
    #: Width of a cell to its height, and in pixels, where it says that.
    cell_aspect: float = CELL_ASPECT
    cell_pixels: tuple[int, int] | None = None
    #: Whether the last question has been answered.
    has_answered: bool = False

    def after(self, answer: Answer) -> Abilities:
        """What is known with another answer."""
        match answer:
            case Answer("G", text="OK"):
                return self._replace(images=True)
            case Answer("u"):
                return self._replace(keyboard=True)
            case Answer("c"):
                return self._replace(sixel=SIXEL in answer.numbers[1:], has_answered=True)
            case Answer("t", (6, height, width)) if height > 0 and width > 0:
                return self._replace(cell_aspect=width / height, cell_pixels=(width, height))
        return self


def questions(environment: Mapping[str, str]) -> bytes:
    """What to ask a terminal; those behind tmux and screen are not asked for kitty's.

    They would take the question for something else, and show no images.
    """
    term = environment.get("TERM", "")
    if term == "linux":
        return b""
    inside = term.startswith(("screen", "tmux")) or environment.keys() & {"TMUX", "STY"}
    kitty = b"" if inside else images.ASK + ASK_KEYBOARD
    return kitty + ASK_CELL + ASK_ATTRIBUTES
