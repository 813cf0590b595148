"""The window's own keys: which, what each does, and what people read about it.

All of them have a modifier; every other key goes to the guest. The window acts by this table, and
title, panel and README name the keys from it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal, NamedTuple

from vgaemu.display.report import Close, Event, PauseToggled, Screenshot, SingleStep


class WindowChange(Enum):
    """What concerns the window alone; the rest are events for the machine."""

    PANEL = auto()
    OUTLINES = auto()
    FULL_SCREEN = auto()


class HostKey(NamedTuple):
    """A combination of keys, and what it does."""

    modifier: Literal["Ctrl", "Alt"]
    key: str
    #: SDL's names of the key.
    sdl: tuple[str, ...]
    does: WindowChange | Event
    #: What it does, in a sentence; in fewer words for the panel, and in the fewest.
    help: str
    words: str
    short: str

    @property
    def combination(self) -> str:
        """As people write it: ``Ctrl+F3``."""
        return f"{self.modifier}+{self.key}"


_PAUSE = "pause", "pause", "pause"
_OUTLINES = "outlines of what was redrawn", "outlines", "outlines"
_FULL = "full screen", "full screen", "full"

HOST_KEYS = (
    HostKey("Ctrl", "F3", ("F3",), WindowChange.PANEL, "panel", "panel", "panel"),
    HostKey("Ctrl", "F4", ("F4",), WindowChange.OUTLINES, *_OUTLINES),
    HostKey("Ctrl", "F5", ("F5",), Screenshot(), "screenshot", "screenshot", "shot"),
    HostKey("Ctrl", "F6", ("F6",), PauseToggled(), *_PAUSE),
    # The same: not every keyboard has a Pause key.
    HostKey("Alt", "Pause", ("PAUSE",), PauseToggled(), *_PAUSE),
    HostKey("Ctrl", "F7", ("F7",), SingleStep(), "single frame", "one frame", "step"),
    HostKey("Ctrl", "F9", ("F9",), Close(), "quit", "quit", "quit"),
    HostKey("Alt", "Enter", ("RETURN", "KP_ENTER"), WindowChange.FULL_SCREEN, *_FULL),
)


def _first_of_each() -> list[HostKey]:
    return list({key.does: key for key in reversed(HOST_KEYS)}.values())[::-1]


def keys_for_panel() -> list[tuple[str, str, str]]:
    """Of each thing that can be done a key, and the thing in more and in fewer words.

    A modifier is said where it changes.

    >>> keys_for_panel()[:3]
    [('Ctrl+F3', 'panel', 'panel'), ('F4', 'outlines', 'outlines'), ('F5', 'screenshot', 'shot')]
    """
    said, modifier = [], ""
    for key in _first_of_each():
        name = key.key if key.modifier == modifier else key.combination
        modifier = key.modifier
        said.append((name, key.words, key.short))
    return said


def keys_in_a_sentence() -> str:
    """All keys, and what they do, as the README lists them.

    >>> keys_in_a_sentence()[:61]
    'Ctrl+F3 panel, Ctrl+F4 outlines of what was redrawn, Ctrl+F5 '
    """
    return ", ".join(
        " or ".join(key.combination for key in HOST_KEYS if key.does == first.does)
        + f" {first.help}"
        for first in _first_of_each()
    )


def keys_in_title() -> str:
    """Those that a user needs who knows none yet.

    >>> keys_in_title()
    'Ctrl+F3 panel, Ctrl+F9 quit'
    """
    wanted = (WindowChange.PANEL, Close())
    return ", ".join(f"{key.combination} {key.words}" for key in HOST_KEYS if key.does in wanted)
