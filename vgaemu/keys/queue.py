"""Keys: their names, and the queue between whoever types and the guest.

Names are characters, and the words on the other keys: ``a``, ``A``, ``1``, ``!``, ``space``,
``enter``, ``left``, ``f1``. Modifiers come before a key as in QEMU's `sendkey`: ``ctrl-alt-f1``.
"""

from __future__ import annotations

from collections import deque

from vgaemu.errors import KeysError
from vgaemu.keys.key import Key

#: Keys that type something under another name than what they type.
NAMED_TEXT = {
    "space": " ",
    "enter": "\n",
    "tab": "\t",
    "backspace": "\b",
    "esc": "\x1b",
    "comma": ",",
    "colon": ":",
    "minus": "-",
    "plus": "+",
}
#: Keys that type nothing.
SILENT = frozenset(
    ["left", "right", "up", "down", "home", "end", "pageup", "pagedown", "insert", "delete"]
    + ["shift", "ctrl", "alt", "capslock", "numlock", "scrolllock", "pause", "print", "menu"]
    + [f"f{n}" for n in range(1, 13)]
)
#: What may come before a key, with a hyphen.
MODIFIERS = ("ctrl", "alt", "shift")
#: A guest that reads no keys forgets the oldest beyond this many.
QUEUE_KEYS = 256


def key_text(name: str) -> str:
    r"""What a key types; with ctrl or alt what a window's toolkit gives, a control character or "".

    Raises:
        KeysError: There is no key of that name.

    >>> key_text("a"), key_text("shift-a"), key_text("ctrl-c"), key_text("alt-x"), key_text("f1")
    ('a', 'A', '\x03', '', '')
    """
    held, key = split_key(name)
    if key in NAMED_TEXT:
        text = NAMED_TEXT[key]
    elif key in SILENT:
        text = ""
    elif len(key) == 1 and key.isprintable():
        text = key
    else:
        raise KeysError(
            f"no key named {key!r}; keys are single characters, "
            f"{', '.join(sorted(NAMED_TEXT))}, {', '.join(sorted(SILENT))}"
        )
    if not held:
        return text
    if held == ["shift"]:
        return text.upper()
    is_letter = key.isascii() and key.isalpha() and len(key) == 1
    return chr(ord(key.upper()) - 0x40) if held == ["ctrl"] and is_letter else ""


def split_key(name: str) -> tuple[list[str], str]:
    """The modifiers of a key, and the key.

    >>> split_key("ctrl-alt-f1"), split_key("-"), split_key("ctrl--")
    ((['ctrl', 'alt'], 'f1'), ([], '-'), (['ctrl'], '-'))
    """
    held: list[str] = []
    while True:
        modifier, _, rest = name.partition("-")
        if modifier not in MODIFIERS or not rest:
            return held, name
        held.append(modifier)
        name = rest


#: Python reads numbers of some thousand digits, and no more.
MAX_FRAME_DIGITS = 18


def parse_keys(spec: str) -> list[tuple[int, str]]:
    """``"30:a,60:enter"`` -> [(30, "a"), (60, "enter")]: which key at which frame.

    Raises:
        KeysError: An entry is not FRAME:KEY.

    >>> parse_keys("30:a,60:enter")
    [(30, 'a'), (60, 'enter')]
    """
    keys = []
    for entry in spec.split(","):
        frame, colon, name = entry.strip().partition(":")
        if not colon or not frame.isdecimal() or len(frame) > MAX_FRAME_DIGITS:
            raise KeysError(f"{entry!r} is not FRAME:KEY, as in 30:a,60:enter")
        key_text(name)
        keys.append((int(frame), name))
    return keys


class Keys:
    """The guest's keyboard: who types puts keys in, the guest takes them out."""

    def __init__(self) -> None:
        """No key is down, none is waiting."""
        self._queue: deque[Key] = deque(maxlen=QUEUE_KEYS)
        self._down: set[str] = set()

    # What the window, scripts and tests do.

    def put(self, key: Key) -> None:
        """A key went down or up."""
        if key.pressed:
            self._down.add(key.name)
        else:
            self._down.discard(key.name)
        self._queue.append(key)

    def press(self, name: str) -> None:
        """Strike a key: down and up, and around it the modifiers that the name begins with.

        Raises:
            KeysError: There is no key of that name.
        """
        text = key_text(name)
        held, key = split_key(name)
        for modifier in held:
            self.put(Key(modifier, True))
        self.put(Key(key, True, text))
        self.put(Key(key, False))
        for modifier in reversed(held):
            self.put(Key(modifier, False))

    def type(self, text: str) -> None:
        """Strike the keys that type `text`.

        Raises:
            KeysError: A character is not on the keyboard.
        """
        names = {typed: name for name, typed in NAMED_TEXT.items()}
        for character in text:
            self.press(character if character.isalnum() else names.get(character, character))

    # What the guest does.

    def get(self) -> Key | None:
        """The next key that went down or up, or None."""
        return self._queue.popleft() if self._queue else None

    def typed(self) -> str:
        """All characters typed since the last look."""
        text = ""
        while (key := self.get()) is not None:
            if key.pressed:
                text += key.text
        return text

    def is_down(self, name: str) -> bool:
        """Whether a key is held now."""
        return name in self._down
