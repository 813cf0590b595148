"""What the host's keys are: to the guest by `vgaemu.keys.table`, to the window by its own keys."""

from __future__ import annotations

from collections.abc import Iterator

from vgaemu.display.events import Event
from vgaemu.display.hostkeys import HOST_KEYS, HostKey
from vgaemu.display.window.sdl import pygame
from vgaemu.keys.queue import Key
from vgaemu.keys.table import BY_NAME, CHARACTER_NAMES, HELD, KEYS

#: Key codes of SDL for which pygame has no name.
_UNNAMED = {"APPLICATION": 0x40000065}
_MODIFIERS = {"Ctrl": pygame.KMOD_CTRL, "Alt": pygame.KMOD_ALT, "Shift": pygame.KMOD_SHIFT}


def code_of(name: str) -> int:
    """The code of a key by its SDL name, as ``event.key`` has it."""
    code: int = _UNNAMED[name] if name in _UNNAMED else getattr(pygame, f"K_{name}")
    return code


#: Keys with a name of their own, and what they type.
KEY_NAMES = {code_of(name): (key.name, key.text) for key in KEYS for name in key.sdl}
#: The keypad types digits, or moves where the host's NumLock is off and it types nothing.
KEYPAD_NAMES = {code_of(key.keypad): key.name for key in KEYS if key.keypad}


def _codes(combination: str) -> Iterator[tuple[int, frozenset[str]]]:
    """What SDL calls a combination as people write it: keys, and what is held with them."""
    *modifiers, name = combination.split("+")
    key, _ = BY_NAME[name.lower()]
    for code in map(code_of, key.sdl) if key.sdl else (ord(key.text),):
        yield code, frozenset(modifiers)


#: Key and modifiers -> the window's own.
_HOST_KEYS = {
    codes: host_key
    for host_key in HOST_KEYS
    for combination in host_key.combinations
    for codes in _codes(combination)
}


def key_name(key: int, text: str) -> tuple[str, str] | None:
    """The guest's name of an event's key and unicode, and what it types; None if it has no name."""
    if key in KEY_NAMES:
        return KEY_NAMES[key]
    if key in KEYPAD_NAMES and not text:
        return KEYPAD_NAMES[key], ""
    if len(text) == 1 and text.isprintable():
        return CHARACTER_NAMES.get(text, text), text
    # With Ctrl held, ``unicode`` is a control character or nothing: the key itself has the name.
    if 0x20 <= key < 0x7F:
        return CHARACTER_NAMES.get(chr(key), chr(key)), text
    return None


class WindowKeyboard:
    """The host's keyboard: which keys are down, and what each was taken for."""

    def __init__(self) -> None:
        self._guests: dict[int, str] = {}
        self._windows: dict[int, HostKey] = {}

    def press(self, key: int, modifiers: int, text: str) -> Key | HostKey | None:
        """An event's key, mod and unicode: it went down, or repeats; None if nobody cares."""
        held = frozenset(name for name, mask in _MODIFIERS.items() if modifiers & mask)
        host_key = _HOST_KEYS.get((key, held)) if held else None
        if host_key is not None:
            repeats = key in self._windows
            self._windows[key] = host_key
            return None if repeats else host_key
        named = key_name(key, text)
        if named is None or (named[0] in HELD and key in self._guests):
            return None
        # A repeated key may type something else by now, but it is released as what went down.
        name = self._guests.setdefault(key, named[0])
        return Key(name, True, named[1])

    def release(self, key: int) -> Key | Event | None:
        """It went up: the guest's key, or what a key of the window's ends with; else None."""
        host_key = self._windows.pop(key, None)
        if host_key is not None and host_key.ends is not None:
            return host_key.ends
        name = self._guests.pop(key, None)
        return None if name is None else Key(name, False)

    def release_guests(self) -> list[Key]:
        """Let all keys of the guest go; one that is still held is pressed again as it repeats."""
        released = [Key(name, False) for name in self._guests.values()]
        self._guests.clear()
        return released

    def release_all(self) -> list[Event]:
        """Let all keys go, as whoever has the focus now gets their releases."""
        ends = [host_key.ends for host_key in self._windows.values() if host_key.ends is not None]
        self._windows.clear()
        return [*self.release_guests(), *ends]
