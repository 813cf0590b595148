"""The keys of a US keyboard, a row a key: what each is called, types, and sends.

Queue, window and scancodes all read it here. Not in it: other layouts (a host's key that types
what no row has goes by that character), and the keys that only the keypad has.

Source: IBM AT Technical Reference, keyboard section; SDL_keycode.h.
"""

from __future__ import annotations

from typing import NamedTuple


class TableKey(NamedTuple):
    """One key. Where the host's keyboard has two of it, both are this one."""

    name: str
    #: What it types alone and with shift, or an empty string.
    text: str
    shifted: str
    #: In scancode set 1, and whether the prefix E0h comes before.
    scancode: int
    extended: bool = False
    #: SDL's names for it. A key that types a character needs none: it has the character's code.
    sdl: tuple[str, ...] = ()
    #: SDL's name for the key of the keypad that is this one while NumLock is off.
    keypad: str = ""


#: Keys that type characters: first scancode of each row, unshifted and shifted characters.
_ROWS = (
    (0x02, "1234567890-=", "!@#$%^&*()_+"),
    (0x10, "qwertyuiop[]", "QWERTYUIOP{}"),
    (0x1E, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (0x39, " ", " "),
)
#: Characters that go by a name, so that lists of keys can be written with hyphens and commas.
CHARACTER_NAMES = {" ": "space", ",": "comma", ":": "colon", "-": "minus", "+": "plus"}

# fmt: off
KEYS: tuple[TableKey, ...] = (
    *(
        TableKey(CHARACTER_NAMES.get(text, text), text, shifted, first + i)
        for first, plain, with_shift in _ROWS
        for i, (text, shifted) in enumerate(zip(plain, with_shift, strict=True))
    ),
    TableKey("esc", "\x1b", "\x1b", 0x01, sdl=("ESCAPE",)),
    TableKey("backspace", "\b", "\b", 0x0E, sdl=("BACKSPACE",)),
    TableKey("tab", "\t", "\t", 0x0F, sdl=("TAB",)),
    TableKey("enter", "\n", "\n", 0x1C, sdl=("RETURN", "KP_ENTER")),
    TableKey("ctrl", "", "", 0x1D, sdl=("LCTRL", "RCTRL")),
    TableKey("shift", "", "", 0x2A, sdl=("LSHIFT", "RSHIFT")),
    TableKey("alt", "", "", 0x38, sdl=("LALT", "RALT")),
    TableKey("capslock", "", "", 0x3A, sdl=("CAPSLOCK",)),
    *(TableKey(f"f{n}", "", "", 0x3A + n, sdl=(f"F{n}",)) for n in range(1, 11)),
    TableKey("numlock", "", "", 0x45, sdl=("NUMLOCK",)),
    TableKey("scrolllock", "", "", 0x46, sdl=("SCROLLOCK",)),
    TableKey("f11", "", "", 0x57, sdl=("F11",)),
    TableKey("f12", "", "", 0x58, sdl=("F12",)),
    TableKey("print", "", "", 0x37, True, ("PRINT",)),
    # Of two scancodes, E1 1D 45; with ctrl it is break, E0 46: see `vgaemu.keys.scancodes`.
    TableKey("pause", "", "", 0x46, True, ("PAUSE",)),
    TableKey("home", "", "", 0x47, True, ("HOME",), "KP7"),
    TableKey("up", "", "", 0x48, True, ("UP",), "KP8"),
    TableKey("pageup", "", "", 0x49, True, ("PAGEUP",), "KP9"),
    TableKey("left", "", "", 0x4B, True, ("LEFT",), "KP4"),
    TableKey("right", "", "", 0x4D, True, ("RIGHT",), "KP6"),
    TableKey("end", "", "", 0x4F, True, ("END",), "KP1"),
    TableKey("down", "", "", 0x50, True, ("DOWN",), "KP2"),
    TableKey("pagedown", "", "", 0x51, True, ("PAGEDOWN",), "KP3"),
    TableKey("insert", "", "", 0x52, True, ("INSERT",), "KP0"),
    TableKey("delete", "", "", 0x53, True, ("DELETE",), "KP_PERIOD"),
    # What a PC calls Menu is SDL's Application.
    TableKey("menu", "", "", 0x5D, True, ("MENU", "APPLICATION")),
)
# fmt: on

#: What may come before a key, with a hyphen.
MODIFIERS = ("ctrl", "alt", "shift")
#: Keys that are held for what they do to others, and do not repeat.
HELD = frozenset(["shift", "ctrl", "alt", "capslock", "numlock", "scrolllock"])


def _by_name() -> dict[str, tuple[TableKey, bool]]:
    named = {key.name: (key, False) for key in KEYS}
    for key in KEYS:
        for text, with_shift in ((key.text, False), (key.shifted, True)):
            if text and text.isprintable():
                named.setdefault(text, (key, with_shift))
                named.setdefault(CHARACTER_NAMES.get(text, text), (key, with_shift))
    return named


#: Each name and each character -> its key, and whether that is with shift.
BY_NAME = _by_name()
