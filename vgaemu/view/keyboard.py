"""A viewer's keys as the guest's: by their place on the keyboard, or by what they mean.

Viewers with QEMU's key events tell the scancode, as a keyboard does, and the guest has its own
layout. From others there is the keysym alone, what the viewer's layout makes of the key; the guest
gets the key of a US keyboard that types it.

Sources: X11's keysymdef.h; RFC 6143, 7.5.4; the rfbproto project's page for QEMU's key events.
"""

from __future__ import annotations

from vgaemu.keys.queue import Key, key_text
from vgaemu.keys.table import BY_NAME, CHARACTER_NAMES, HELD, KEYS

#: Keysyms of keys that type no character of their own, from the first on.
_RUNS: tuple[tuple[int, str], ...] = (
    (0xFF50, "home left up right down pageup pagedown end home"),
    (0xFFBE, "f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 f11 f12"),
    (0xFFE1, "shift shift ctrl ctrl capslock capslock alt alt alt alt"),
    # Of the keypad, without and with NumLock.
    (0xFF95, "home left up right down pageup pagedown end 5 insert delete"),
    (0xFFAA, "* plus comma minus . /"),
    (0xFFB0, "0 1 2 3 4 5 6 7 8 9"),
)
#: And single ones. What shift makes of a tab has a keysym, and so has AltGr.
_KEYSYMS = {
    0xFF08: "backspace", 0xFF09: "tab", 0xFF0A: "enter", 0xFF0D: "enter", 0xFF13: "pause",
    0xFF14: "scrolllock", 0xFF15: "print", 0xFF1B: "esc", 0xFF61: "print", 0xFF63: "insert",
    0xFF67: "menu", 0xFF6B: "pause", 0xFF7F: "numlock", 0xFF80: "space", 0xFF89: "tab",
    0xFF8D: "enter", 0xFFBD: "=", 0xFFFF: "delete", 0xFE03: "alt", 0xFE20: "tab",
} | {
    first + i: name for first, names in _RUNS for i, name in enumerate(names.split())
}  # fmt: skip
#: Keysyms from here on are a character of Unicode each.
_UNICODE = 0x0100_0000

#: Scancodes of set 1, with bit 7 for the prefix E0h -> the key. Of those that a keyboard has twice
#: the second ones are the same key here; print screen has another code with alt.
_KEYCODES = {key.scancode | key.extended << 7: key.name for key in KEYS} | {
    0x36: "shift", 0x54: "print", 0x9C: "enter", 0x9D: "ctrl", 0xB5: "/", 0xB8: "alt",
}  # fmt: skip
#: The keypad, which types digits or moves: what the keysym says, and this without one.
_KEYPAD = {
    0x37: "*", 0x47: "home", 0x48: "up", 0x49: "pageup", 0x4A: "minus", 0x4B: "left", 0x4C: "5",
    0x4D: "right", 0x4E: "plus", 0x4F: "end", 0x50: "down", 0x51: "pagedown", 0x52: "insert",
    0x53: "delete",
}  # fmt: skip


#: What types the viewer's clipboard.
PASTE_KEY, PASTE_HELD = "v", {"ctrl", "shift"}


def character_of(keysym: int) -> str:
    """The character that a keysym is, or an empty string.

    >>> character_of(0x41), character_of(0xFF0D), character_of(0x010020AC)
    ('A', '', '€')
    """
    code = keysym - _UNICODE if keysym > _UNICODE else keysym
    if not (code < 0x100 or (keysym > _UNICODE and code <= 0x10FFFF)):
        return ""
    return chr(code) if chr(code).isprintable() else ""


def name_of(keysym: int, keycode: int) -> str | None:
    """The guest's name of a key; None if it has none, as has a Windows key.

    >>> name_of(0x41, 0), name_of(0, 0x1E), name_of(0x61, 0x1E), name_of(0xFFB7, 0x47)
    ('A', 'a', 'a', '7')
    """
    text = character_of(keysym)
    meant = _KEYSYMS.get(keysym) or (CHARACTER_NAMES.get(text, text) if text else None)
    if keycode in _KEYPAD:
        return meant or _KEYPAD[keycode]
    placed = _KEYCODES.get(keycode)
    if placed is None or (meant in BY_NAME and BY_NAME[meant][0].name == placed):
        return meant  # the same key, and it says what it types with shift or caps lock
    return placed


class ViewerKeyboard:
    """One viewer's keys: which are down."""

    def __init__(self) -> None:
        #: What is down, by the key's own name -> what it went down as.
        self._down: dict[str, str] = {}
        #: Whether V is down that has asked for the clipboard.
        self._pastes = False

    def press(self, keysym: int, keycode: int) -> Key | None:
        """A key went down, or repeats; None if the guest has none of it."""
        name = name_of(keysym, keycode)
        if name is None:
            return None
        key = _key(name)
        if (key in HELD and key in self._down) or (self._pastes and key == PASTE_KEY):
            return None
        # A repeated key may type something else by now, but it is released as what went down.
        name = self._down.setdefault(key, name)
        return Key(name, True, self._typed(name, character_of(keysym)))

    def release(self, keysym: int, keycode: int) -> Key | None:
        """It went up; None if the guest never saw it go down."""
        name = name_of(keysym, keycode)
        self._pastes &= name is None or _key(name) != PASTE_KEY
        down = None if name is None else self._down.pop(_key(name), None)
        return None if down is None else Key(down, False)

    def begin_paste(self, keysym: int, keycode: int) -> list[Key] | None:
        """Whether a key that goes down asks for the clipboard: Ctrl+Shift+V, as in the window.

        Returns:
            What goes up for it, so that nothing is held while it is typed; None: it does not ask.
        """
        name = name_of(keysym, keycode)
        held = {key for key in self._down if key in HELD}
        if name is None or _key(name) != PASTE_KEY or held != PASTE_HELD:
            return None
        self._pastes = True
        return self.release_all()

    def release_all(self) -> list[Key]:
        """Let all of them go: the viewer has gone, or only looks from now on."""
        released = [Key(name, False) for name in self._down.values()]
        self._down.clear()
        return released

    def _typed(self, name: str, text: str) -> str:
        """What a key types with the modifiers that are down."""
        held = [modifier for modifier in ("ctrl", "alt", "shift") if modifier in self._down]
        if text and held in ([], ["shift"]):
            return text
        if name not in BY_NAME:
            return "" if held else text
        return key_text("-".join([*held, name]))


def _key(name: str) -> str:
    """The key's own name: of ``A`` it is ``a``."""
    return BY_NAME[name][0].name if name in BY_NAME else name
