"""Keyboard scancodes: host keys to set 1 codes, and set 1 codes to what the BIOS makes of them.

Emulated: a US keyboard with 101 keys, shift, ctrl, alt, caps lock and num lock states.

Source: IBM AT Technical Reference, keyboard section; the BIOS's key table.
"""

from __future__ import annotations

from typing import NamedTuple

from vgaemu.display.report import Key


class BiosKey(NamedTuple):
    """What INT 16h returns for a key, as AH:AL words; 0 is nothing."""

    plain: int
    shift: int
    ctrl: int
    alt: int


LEFT_SHIFT, RIGHT_SHIFT, CTRL, ALT = 0x2A, 0x36, 0x1D, 0x38
CAPS_LOCK, NUM_LOCK, SCROLL_LOCK = 0x3A, 0x45, 0x46

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
    "down": 0x50, "pagedown": 0x51, "insert": 0x52, "delete": 0x53, "menu": 0x5D, "print": 0x37,
}  # fmt: skip
_PAUSE = bytes.fromhex("E1 1D 45 E1 9D C5")

#: Character -> scancode, needs shift?
CHARACTERS: dict[str, tuple[int, bool]] = {" ": (0x39, False)}
BIOS_KEYS: dict[int, BiosKey] = {}


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
    keypad = zip(range(0x47, 0x54), "789-456+1230.", strict=True)
    control = {0x47: 0x7700, 0x49: 0x8400, 0x4B: 0x7300, 0x4D: 0x7400, 0x4F: 0x7500, 0x51: 0x7600}
    for code, digit in keypad:
        typed = code << 8 | ord(digit)
        plain_key = typed if digit in "-+" else code << 8
        BIOS_KEYS[code] = BiosKey(plain_key, typed, control.get(code, 0), 0)
    BIOS_KEYS[0x37] = BiosKey(0x372A, 0x372A, 0x9600, 0x3700)


_fill_tables()


def of_key(key: Key, *, shift: bool) -> bytes:
    """Set 1 bytes of a host key going down or up.

    Args:
        key: The key.
        shift: Whether the host's shift is down: a capital that comes without it brings its own.
    """
    release = 0 if key.pressed else 0x80
    if key.name in _NAMED:
        return bytes((_NAMED[key.name] | release,))
    if key.name in _EXTENDED:
        return bytes((0xE0, _EXTENDED[key.name] | release))
    if key.name == "pause":
        return _PAUSE if key.pressed else b""
    name = {"colon": ":", "plus": "+"}.get(key.name, key.name)
    if name not in CHARACTERS:
        return b""
    code, shifted = CHARACTERS[name]
    if shifted and not shift:
        around = (
            bytes((LEFT_SHIFT, code)) if key.pressed else bytes((code | 0x80, LEFT_SHIFT | 0x80))
        )
        return around
    return bytes((code | release,))
