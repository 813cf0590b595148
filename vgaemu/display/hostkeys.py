"""The window's own keys: which, what each does, and what people read about it.

All of them have a modifier; every other key goes to the guest. The window acts by this table, and
title, panel, help, `vgaemu keys` and `docs/keys.md` name the keys from it.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from vgaemu.display.events import (
    Close,
    Event,
    LoadState,
    NextDirtyLog,
    PauseToggled,
    RecordingToggled,
    Rewinding,
    SaveState,
    Screenshot,
    SingleStep,
    SlotStep,
    Turbo,
)


class WindowChange(Enum):
    """What the window does itself, or asks its system for; the rest are events for the machine."""

    PANEL = auto()
    OUTLINES = auto()
    FULL_SCREEN = auto()
    MOUSE = auto()
    PASTE = auto()
    COPY = auto()


class HostKey(NamedTuple):
    """Something that the window's user can do."""

    does: WindowChange | Event
    #: Each of them does it: modifiers and a key, as people write them.
    combinations: tuple[str, ...]
    #: In a sentence; in fewer words for the panel, and in the fewest.
    help: str
    words: str
    short: str
    #: Which are left out first where the panel has no room for all: those with more.
    rank: int
    #: What happens when it is let go again.
    ends: Event | None = None


# Not every keyboard has a Pause key. Slots have no digits: Ctrl+Alt is AltGr on many keyboards, and
# types there.
HOST_KEYS = (
    HostKey(SaveState(), ("Ctrl+F1",), "save the state", "save state", "save", 2),
    HostKey(LoadState(), ("Ctrl+F2",), "load it", "load state", "load", 2),
    HostKey(SlotStep(-1), ("Ctrl+Shift+F1",), "the slot before", "slot -", "slot-", 6),
    HostKey(SlotStep(1), ("Ctrl+Shift+F2",), "the next of ten slots", "slot +", "slot+", 6),
    HostKey(WindowChange.PANEL, ("Ctrl+F3",), "panel", "panel", "panel", 0),
    HostKey(
        WindowChange.OUTLINES,
        ("Ctrl+F4",), "outlines of what was redrawn", "outlines", "outlines", 1,
    ),
    HostKey(Screenshot(), ("Ctrl+F5",), "screenshot", "screenshot", "shot", 1),
    HostKey(PauseToggled(), ("Ctrl+F6", "Alt+Pause"), "pause", "pause", "pause", 1),
    HostKey(RecordingToggled(), ("Ctrl+F7",), "record", "record", "record", 3),
    HostKey(NextDirtyLog(), ("Ctrl+F8",), "dirty log", "dirty log", "log", 1),
    HostKey(Close(), ("Ctrl+F9",), "quit", "quit", "quit", 0),
    HostKey(WindowChange.MOUSE, ("Ctrl+F10",), "mouse to the guest and back", "mouse", "mouse", 5),
    HostKey(SingleStep(), ("Ctrl+F11",), "single frame", "one frame", "step", 4),
    HostKey(Turbo(True), ("Alt+F12",), "turbo while held", "turbo", "turbo", 3, ends=Turbo(False)),
    HostKey(
        Rewinding(True),
        ("Ctrl+F12",), "rewind while held", "rewind", "rewind", 4, ends=Rewinding(False),
    ),
    HostKey(WindowChange.FULL_SCREEN, ("Alt+Enter",), "full screen", "full screen", "full", 1),
    HostKey(WindowChange.PASTE, ("Ctrl+Shift+V", "Shift+Insert"), "paste", "paste", "paste", 5),
    HostKey(WindowChange.COPY, ("Ctrl+Shift+C",), "copy the text", "copy text", "copy", 6),
)  # fmt: skip


def keys_for_panel() -> list[tuple[str, str, str, int]]:
    """For each thing that can be done what to press, it in more and in fewer words, and its rank.

    >>> keys_for_panel()[5:7]
    [('Ctrl+F4', 'outlines', 'outlines', 1), ('Ctrl+F5', 'screenshot', 'shot', 1)]
    """
    return [(key.combinations[0], key.words, key.short, key.rank) for key in HOST_KEYS]


def all_keys() -> str:
    """All of them in a sentence, as ``--help`` has it.

    >>> all_keys().partition(", Ctrl+Shift")[0]
    'Ctrl+F1 save the state, Ctrl+F2 load it'
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
