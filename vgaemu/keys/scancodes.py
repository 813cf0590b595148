"""Keyboard scancodes: host keys to set 1 codes, and set 1 codes to what the BIOS makes of them.

Emulated: a US keyboard with 101 keys, shift, ctrl, alt, caps lock and num lock states. Not
emulated: other layouts, scancode sets 2 and 3.

Source: IBM AT Technical Reference, keyboard section; the BIOS's key table.
"""

from __future__ import annotations

from typing import NamedTuple

from vgaemu.keys.key import Key


class BiosKey(NamedTuple):
    """What INT 16h returns for a key, as AH:AL words; 0 is nothing."""

    plain: int
    shift: int
    ctrl: int
    alt: int


LEFT_SHIFT, RIGHT_SHIFT, CTRL, ALT = 0x2A, 0x36, 0x1D, 0x38
CAPS_LOCK, NUM_LOCK, SCROLL_LOCK = 0x3A, 0x45, 0x46
#: With the prefix E0h: print screen, and break, which is pause with ctrl.
PRINT, BREAK, INSERT = 0x37, 0x46, 0x52
KEYPAD = range(0x47, 0x54)

#: Keys that type: first scancode of each row, unshifted and shifted characters.
_ROWS = (
    (0x02, "1234567890-=", "!@#$%^&*()_+"),
    (0x10, "qwertyuiop[]", "QWERTYUIOP{}"),
    (0x1E, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
)
_ALT_DIGITS = 0x78  # alt-1 is 7800h
_CTRL_SIGNS = {"2": 0x0300, "6": 0x071E, "-": 0x0C1F, "[": 0x1A1B, "\\": 0x2B1C, "]": 0x1B1D}

#: Names without a character, or that type a control character: scancode, extended prefix?
_NAMED = {
    "esc": 0x01, "backspace": 0x0E, "tab": 0x0F, "enter": 0x1C, "space": 0x39,
    "shift": LEFT_SHIFT, "ctrl": CTRL, "alt": ALT, "capslock": CAPS_LOCK, "numlock": NUM_LOCK,
    "scrolllock": SCROLL_LOCK,
    "comma": 0x33, "minus": 0x0C,
} | {f"f{n}": 0x3A + n for n in range(1, 11)} | {"f11": 0x57, "f12": 0x58}  # fmt: skip
_EXTENDED = {
    "home": 0x47, "up": 0x48, "pageup": 0x49, "left": 0x4B, "right": 0x4D, "end": 0x4F,
    "down": 0x50, "pagedown": 0x51, "insert": INSERT, "delete": 0x53, "menu": 0x5D, "print": PRINT,
}  # fmt: skip
#: Grey keys -> alone or with shift, with ctrl, with alt.
_GREY = {
    0x47: (0x47E0, 0x77E0, 0x9700), 0x48: (0x48E0, 0x8DE0, 0x9800), 0x49: (0x49E0, 0x84E0, 0x9900),
    0x4B: (0x4BE0, 0x73E0, 0x9B00), 0x4D: (0x4DE0, 0x74E0, 0x9D00), 0x4F: (0x4FE0, 0x75E0, 0x9F00),
    0x50: (0x50E0, 0x91E0, 0xA000), 0x51: (0x51E0, 0x76E0, 0xA100), 0x52: (0x52E0, 0x92E0, 0xA200),
    0x53: (0x53E0, 0x93E0, 0xA300),
    # Slash and enter of the keypad; print screen alone is no key but INT 05h.
    0x35: (0xE02F, 0x9500, 0xA400), 0x1C: (0xE00D, 0xE00A, 0xA600), PRINT: (0, 0x7200, 0),
}  # fmt: skip
#: Keys of the keypad with ctrl, and those that type the same with and without num lock.
_KEYPAD_CTRL = {
    0x47: 0x7700, 0x48: 0x8D00, 0x49: 0x8400, 0x4A: 0x8E00, 0x4B: 0x7300, 0x4C: 0x8F00,
    0x4D: 0x7400, 0x4E: 0x9000, 0x4F: 0x7500, 0x50: 0x9100, 0x51: 0x7600, 0x52: 0x9200,
    0x53: 0x9300,
}  # fmt: skip
_PAUSE, _BREAK = bytes.fromhex("E1 1D 45 E1 9D C5"), bytes((0xE0, BREAK, 0xE0, BREAK | 0x80))

#: Character -> scancode, needs shift?
CHARACTERS: dict[str, tuple[int, bool]] = {" ": (0x39, False)}
BIOS_KEYS: dict[int, BiosKey] = {}
#: Those with the prefix E0h.
EXTENDED_KEYS = {code: BiosKey(key, key, ctrl, alt) for code, (key, ctrl, alt) in _GREY.items()}
LETTERS: set[int] = set()


def _fill_tables() -> None:
    for first, plain, shifted in _ROWS:
        for i, (low, high) in enumerate(zip(plain, shifted, strict=True)):
            code = first + i
            CHARACTERS[low] = (code, False)
            CHARACTERS[high] = (code, True)
            ctrl = _CTRL_SIGNS.get(low, code << 8 | ord(low) - 0x60 if low.isalpha() else 0)
            alt = code << 8
            if low.isdigit() or low in "-=":
                alt = _ALT_DIGITS + i << 8
            BIOS_KEYS[code] = BiosKey(code << 8 | ord(low), code << 8 | ord(high), ctrl, alt)
            if low.isalpha():
                LETTERS.add(code)
    BIOS_KEYS[0x01] = BiosKey(0x011B, 0x011B, 0x011B, 0x0100)
    BIOS_KEYS[0x0E] = BiosKey(0x0E08, 0x0E08, 0x0E7F, 0x0E00)
    BIOS_KEYS[0x0F] = BiosKey(0x0F09, 0x0F00, 0x9400, 0xA500)
    BIOS_KEYS[0x1C] = BiosKey(0x1C0D, 0x1C0D, 0x1C0A, 0x1C00)
    BIOS_KEYS[0x39] = BiosKey(0x3920, 0x3920, 0x3920, 0x3920)
    for n in range(10):
        code = 0x3B + n
        BIOS_KEYS[code] = BiosKey(code << 8, 0x54 + n << 8, 0x5E + n << 8, 0x68 + n << 8)
    BIOS_KEYS[0x57] = BiosKey(0x8500, 0x8700, 0x8900, 0x8B00)
    BIOS_KEYS[0x58] = BiosKey(0x8600, 0x8800, 0x8A00, 0x8C00)
    for code, sign in zip(KEYPAD, "789-456+1230.", strict=True):
        typed, key = code << 8 | ord(sign), code << 8
        if sign in "-+":
            BIOS_KEYS[code] = BiosKey(typed, typed, _KEYPAD_CTRL[code], key)
        else:
            BIOS_KEYS[code] = BiosKey(key, typed, _KEYPAD_CTRL[code], 0)
    BIOS_KEYS[0x37] = BiosKey(0x372A, 0x372A, 0x9600, 0x3700)


_fill_tables()


def of_key(key: Key, *, shift: bool, ctrl: bool = False, caps: bool = False) -> bytes:
    """Set 1 bytes of a host key going down or up.

    Args:
        key: The key.
        shift: Whether the host's shift is down: a capital that comes without it brings its own.
        ctrl: Whether the host's ctrl is down.
        caps: Whether caps lock is on: then a capital that comes without shift is the bare key. So
            the window's keys, which caps lock of the host has made capitals, are not turned twice.
    """
    release = 0 if key.pressed else 0x80
    if key.name in _NAMED:
        return bytes((_NAMED[key.name] | release,))
    if key.name in _EXTENDED:
        return bytes((0xE0, _EXTENDED[key.name] | release))
    if key.name == "pause":
        return (_BREAK if ctrl else _PAUSE) if key.pressed else b""
    name = {"colon": ":", "plus": "+"}.get(key.name, key.name)
    if name not in CHARACTERS:
        return b""
    code, shifted = CHARACTERS[name]
    if shifted and not shift and not (caps and code in LETTERS):
        if key.pressed:
            return bytes((LEFT_SHIFT, code))
        return bytes((code | 0x80, LEFT_SHIFT | 0x80))
    return bytes((code | release,))
