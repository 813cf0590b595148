"""The window's own keys: which, what each does, and what people read about it.

All of them have a modifier; every other key goes to the guest. The window acts by this table, and
title, panel, help and `docs/keys.md` name the keys from it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from vgaemu.display.events import Close, Event, NextDirtyLog, PauseToggled, Screenshot, SingleStep


class WindowChange(Enum):
    """What concerns the window alone; the rest are events for the machine."""

    PANEL = auto()
    OUTLINES = auto()
    FULL_SCREEN = auto()


class HostKey(NamedTuple):
    """Something that the window's user can do."""

    does: WindowChange | Event
    #: Each of them does it: a modifier and a key, as people write them.
    combinations: tuple[str, ...]
    #: In a sentence; in fewer words for the panel, and in the fewest.
    help: str
    words: str
    short: str


HOST_KEYS = (
    HostKey(WindowChange.PANEL, ("Ctrl+F3",), "panel", "panel", "panel"),
    HostKey(
        WindowChange.OUTLINES, ("Ctrl+F4",), "outlines of what was redrawn", "outlines", "outlines"
    ),
    HostKey(Screenshot(), ("Ctrl+F5",), "screenshot", "screenshot", "shot"),
    # Not every keyboard has a Pause key.
    HostKey(PauseToggled(), ("Ctrl+F6", "Alt+Pause"), "pause", "pause", "pause"),
    HostKey(SingleStep(), ("Ctrl+F7",), "single frame", "one frame", "step"),
    HostKey(NextDirtyLog(), ("Ctrl+F8",), "dirty log", "dirty log", "log"),
    HostKey(Close(), ("Ctrl+F9",), "quit", "quit", "quit"),
    HostKey(WindowChange.FULL_SCREEN, ("Alt+Enter",), "full screen", "full screen", "full"),
)


def keys_for_panel() -> list[tuple[str, str, str]]:
    """For each thing that can be done what to press, and the thing in more and in fewer words.

    >>> keys_for_panel()[1:3]
    [('Ctrl+F4', 'outlines', 'outlines'), ('Ctrl+F5', 'screenshot', 'shot')]
    """
    return [(key.combinations[0], key.words, key.short) for key in HOST_KEYS]


def all_keys() -> str:
    """All of them in a sentence, as ``--help`` has it.

    >>> all_keys().startswith("Ctrl+F3 panel, Ctrl+F4 outlines of what was redrawn, ")
    True
    """
    return ", ".join(f"{' or '.join(key.combinations)} {key.help}" for key in HOST_KEYS)


def keys_in_title(*wanted: WindowChange | Event) -> str:
    """Those that are wanted, or those that a user needs who knows none yet.

    >>> keys_in_title()
    'Ctrl+F3 panel, Ctrl+F9 quit'
    """
    wanted = wanted or (WindowChange.PANEL, Close())
    return ", ".join(
        f"{key.combinations[0]} {key.words}" for key in HOST_KEYS if key.does in wanted
    )


def combination_of(does: WindowChange | Event) -> str:
    """What to press for something.

    >>> combination_of(Close())
    'Ctrl+F9'
    """
    return next(key.combinations[0] for key in HOST_KEYS if key.does == does)
