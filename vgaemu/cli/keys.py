"""`vgaemu keys`: what the window does with which key, and the names that ``--keys`` takes."""

from __future__ import annotations

import textwrap

from vgaemu.display.hostkeys import HOST_KEYS
from vgaemu.keys.actions import WORDS
from vgaemu.keys.table import KEYS, MODIFIERS


def text() -> str:
    """The table of the window's keys, then the guest's."""
    pressed = [" or ".join(key.combinations) for key in HOST_KEYS]
    width = max(map(len, pressed))
    rows = [f"{keys:{width}}  {key.help}" for keys, key in zip(pressed, HOST_KEYS, strict=True)]
    named = ", ".join(key.name for key in KEYS if len(key.name) > 1)
    guests = (
        f"All others are the guest's. Their names, for --keys: the characters that they type; "
        f"{named}; and before a key {', '.join(f'{name}-' for name in MODIFIERS)}"
    )
    mouse = [f"{word:{width}}  {known.meaning}" for word, known in WORDS.items()]
    told = "Its mouse, for --keys; with right- or middle- for another button:"
    keys = textwrap.wrap(guests, 80, break_on_hyphens=False)
    return "\n".join([*rows, *keys, told, *mouse])
