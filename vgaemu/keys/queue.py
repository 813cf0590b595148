"""Keys: their names, and the queue between whoever types and the guest.

Names are characters, and the words on the other keys: ``a``, ``A``, ``1``, ``!``, ``space``,
``enter``, ``left``, ``f1``. Modifiers come before a key as in QEMU's `sendkey`: ``ctrl-alt-f1``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from vgaemu import snapshot
from vgaemu.errors import KeysError
from vgaemu.keys.actions import parse_action, split_entries
from vgaemu.keys.table import BY_NAME, CHARACTER_NAMES, KEYS, MODIFIERS

#: A guest that reads no keys forgets the oldest beyond this many.
QUEUE_KEYS = 256
#: What QEMU's `sendkey`, X11 and browsers call some of them, in lower case.
OTHERS_NAMES = {
    "ret": "enter", "return": "enter", "kp_enter": "enter", "escape": "esc", "spc": "space",
    "bksp": "backspace", "del": "delete", "ins": "insert", "pgup": "pageup", "pgdn": "pagedown",
    "prior": "pageup", "next": "pagedown", "control": "ctrl", "arrowleft": "left",
    "arrowright": "right", "arrowup": "up", "arrowdown": "down", "sysrq": "print", "dot": ".",
    "slash": "/", "backslash": "\\", "semicolon": ";", "apostrophe": "'", "equal": "=",
}  # fmt: skip
#: The keys that type what has another name.
_NAMES = CHARACTER_NAMES | {key.text: key.name for key in KEYS if len(key.name) > 1 and key.text}


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the host keyboard goes down or up, for the guest."""

    #: Of those that `vgaemu keys` lists; a character is its own.
    name: str
    #: Down, or up.
    pressed: bool
    #: What the key types, or an empty string.
    text: str = ""


def key_text(name: str) -> str:
    r"""What a key types; with ctrl or alt what a window's toolkit gives, a control character or "".

    Raises:
        KeysError: There is no key of that name.

    >>> key_text("a"), key_text("shift-a"), key_text("shift-1"), key_text("f1")
    ('a', 'A', '!', '')
    >>> key_text("ctrl-c"), key_text("alt-x")
    ('\x03', '')
    """
    held, key = split_key(name)
    if key in BY_NAME:
        row, with_shift = BY_NAME[key]
        text, shifted = row.shifted if with_shift else row.text, row.shifted
    elif len(key) == 1 and key.isprintable():
        text, shifted = key, key.upper()
    else:
        raise KeysError(f"no key named {key!r}; {_hint(key)}")
    if not held:
        return text
    if held == ["shift"]:
        return shifted
    is_letter = key.isascii() and key.isalpha() and len(key) == 1
    return chr(ord(key.upper()) - 0x40) if held == ["ctrl"] and is_letter else ""


def _hint(word: str) -> str:
    """What may have been meant, or all that there is."""
    from difflib import get_close_matches  # nobody mistypes in most runs

    names = sorted({name for name in BY_NAME if len(name) > 1})
    word = word.lower()
    near = get_close_matches(word, [name for name in names if len(name) > 3], n=1)  # f13 is no f3
    meant = word if word in names else OTHERS_NAMES.get(word) or next(iter(near), "")
    return f"did you mean {meant}?" if meant else f"keys are single characters, {', '.join(names)}"


def name_of(character: str) -> str:
    r"""The key that types a character, if there is one.

    >>> name_of("a"), name_of("\n"), name_of(",")
    ('a', 'enter', 'comma')
    """
    return _NAMES.get(character, character)


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


def parse_keys(spec: str) -> list[tuple[int, str]]:
    """``"30:a,60:enter"`` -> [(30, "a"), (60, "enter")]: which key at which frame.

    What the mouse does has names, too: see `vgaemu.keys.actions`.

    Raises:
        KeysError: An entry is not FRAME:KEY.

    >>> parse_keys("30:a,60:click@100,50")
    [(30, 'a'), (60, 'click@100,50')]
    """
    keys = []
    for entry in split_entries(spec):
        number, colon, name = entry.strip().partition(":")
        try:
            frame = int(number) if number.isdecimal() else -1
        except ValueError:  # thousands of digits
            frame = -1
        if frame < 0 or not colon:
            raise KeysError(f"{entry!r} is not FRAME:KEY, as in 30:a,60:enter")
        if parse_action(name) is None:
            key_text(name)
        keys.append((frame, name))
    return keys


class KeysThen(NamedTuple):
    """A keyboard at one moment."""

    waiting: tuple[Key, ...]
    down: frozenset[str]


class Keys:
    """The guest's keyboard: who types puts keys in, the guest takes them out.

    >>> keys = Keys()
    >>> keys.press("a")
    >>> keys
    <Keys: 2 waiting, none down>
    """

    def __init__(self) -> None:
        self._queue: deque[Key] = deque(maxlen=QUEUE_KEYS)
        self._down: set[str] = set()
        #: Whether the guest hears scancodes: then there are the table's keys alone.
        self.are_scancodes = False
        #: Told of each key that goes down or up.
        self.on_put: Callable[[Key], object] = lambda key: None

    def __repr__(self) -> str:
        down = ", ".join(self.down) or "none"
        return f"<Keys: {len(self._queue)} waiting, {down} down>"

    def __len__(self) -> int:
        """Keys going down or up that the guest has not taken."""
        return len(self._queue)

    def __bool__(self) -> bool:
        """There is a keyboard, whatever waits."""
        return True

    @property
    def down(self) -> list[str]:
        """The keys that are held now."""
        return sorted(self._down.copy())

    def put(self, key: Key) -> None:
        """A key went down or up."""
        if key.pressed:
            self._down.add(key.name)
        else:
            self._down.discard(key.name)
        self._queue.append(key)
        self.on_put(key)

    def text_of(self, name: str) -> str:
        """What a key types, as `key_text` has it, on the keyboard that this guest has.

        Raises:
            KeysError: There is no key of that name.
        """
        text = key_text(name)
        if self.are_scancodes and (key := split_key(name)[1]) not in BY_NAME:
            raise KeysError(f"no key types {key!r}")
        return text

    def press(self, name: str) -> None:
        """Strike a key: down and up, and around it the modifiers that the name begins with.

        Raises:
            KeysError: There is no key of that name.
        """
        text = self.text_of(name)
        held, key = split_key(name)
        for modifier in held:
            self.put(Key(modifier, True))
        self.put(Key(key, True, text))
        for name in (key, *reversed(held)):
            self.put(Key(name, False))

    def type(self, text: str) -> None:
        """Strike the keys that type `text`.

        Raises:
            KeysError: A character is not on the keyboard.
        """
        for character in text:
            self.press(name_of(character))

    def get(self) -> Key | None:
        """The next key that went down or up, or None."""
        return self._queue.popleft() if self._queue else None

    def typed(self) -> str:
        """All characters typed since the last look."""
        return "".join(key.text for key in iter(self.get, None) if key.pressed)

    def is_down(self, name: str) -> bool:
        """Whether a key is held now."""
        return name in self._down

    def moment(self) -> KeysThen:
        """What waits, and what is held, for `go_back`."""
        return KeysThen(tuple(self._queue), frozenset(self._down))

    def go_back(self, moment: KeysThen) -> None:
        """Be as then."""
        self._queue.clear()
        self._queue.extend(moment.waiting)
        self._down.clear()
        self._down.update(moment.down)

    def part(self) -> snapshot.Part:
        """Of it is saved what the guest has not taken; a key that is held is not."""
        return snapshot.text(
            lambda: [[key.name, key.pressed, key.text] for key in self._queue],
            self._restore,
            _are_keys,
        )

    def _restore(self, keys: list[tuple[str, bool, str]]) -> None:
        self._queue.clear()
        for name, pressed, typed in keys:
            self.put(Key(name, pressed, typed))


def _are_keys(keys: Any) -> bool:
    return isinstance(keys, list) and all(
        isinstance(name, str) and isinstance(pressed, bool) and isinstance(typed, str)
        for name, pressed, typed in keys
    )
