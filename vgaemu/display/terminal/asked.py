"""What a terminal can do, as it says itself when it is asked.

Nobody waits for answers: until they come, pictures are half blocks and keys plain ones. The last
question is one that every terminal answers (DA1).

Sources: xterm's ctlseqs (DA1), kitty's graphics and keyboard protocols.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from vgaemu.display.terminal import images
from vgaemu.display.terminal.keys import Answer

ASK_KEYBOARD, ASK_ATTRIBUTES = b"\x1b[?u", b"\x1b[c"
#: DA1's number for sixel.
SIXEL = 4


class Abilities(NamedTuple):
    """What is known of a terminal."""

    #: Kitty's protocols for images and keys; sixel.
    images: bool = False
    keyboard: bool = False
    sixel: bool = False
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
    return kitty + ASK_ATTRIBUTES
