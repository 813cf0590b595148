"""Keyboard scancodes: host keys to set 1 codes, and set 1 codes to what the BIOS makes of them.

Emulated: a US keyboard with 101 keys, shift, ctrl, alt, caps lock and num lock states. Not
emulated: other layouts, scancode sets 2 and 3.

Source: IBM AT Technical Reference, keyboard section; the BIOS's key table.
"""

from __future__ import annotations

from typing import NamedTuple

from vgaemu.keys.queue import Key
from vgaemu.keys.table import BY_NAME, KEYS, TableKey


class BiosKey(NamedTuple):
    """What INT 16h returns for a key, as AH:AL words; 0 is nothing."""

    plain: int
    shift: int
    ctrl: int
    alt: int


_CODES = {key.name: key.scancode for key in KEYS}
LEFT_SHIFT, RIGHT_SHIFT, CTRL, ALT = _CODES["shift"], 0x36, _CODES["ctrl"], _CODES["alt"]
CAPS_LOCK, NUM_LOCK = _CODES["capslock"], _CODES["numlock"]
SCROLL_LOCK = _CODES["scrolllock"]
#: With the prefix E0h: print screen, and break, which is pause with ctrl.
PRINT, BREAK, INSERT = _CODES["print"], _CODES["pause"], _CODES["insert"]
#: What print screen is with alt.
SYSTEM_REQUEST = 0x54
KEYPAD = range(0x47, 0x54)
LETTERS = frozenset(key.scancode for key in KEYS if key.text.isalpha())

#: What alt makes of the top row: alt-1 is 7800h.
_ALT_TOP_ROW = {key: 0x7800 + (i << 8) for i, key in enumerate("1234567890-=")}
_CTRL_SIGNS = {"2": 0x0300, "6": 0x071E, "-": 0x0C1F, "[": 0x1A1B, "\\": 0x2B1C, "]": 0x1B1D}

#: With the prefix E0h, the grey keys -> alone or with shift, with ctrl, with alt.
_GREY = {
    0x47: (0x47E0, 0x77E0, 0x9700), 0x48: (0x48E0, 0x8DE0, 0x9800), 0x49: (0x49E0, 0x84E0, 0x9900),
    0x4B: (0x4BE0, 0x73E0, 0x9B00), 0x4D: (0x4DE0, 0x74E0, 0x9D00), 0x4F: (0x4FE0, 0x75E0, 0x9F00),
    0x50: (0x50E0, 0x91E0, 0xA000), 0x51: (0x51E0, 0x76E0, 0xA100), 0x52: (0x52E0, 0x92E0, 0xA200),
    0x53: (0x53E0, 0x93E0, 0xA300),
    # Slash and enter of the keypad; print screen alone is no key but INT 05h.
    0x35: (0xE02F, 0x9500, 0xA400), 0x1C: (0xE00D, 0xE00A, 0xA600), PRINT: (0, 0x7200, 0),
}  # fmt: skip
#: What the keypad's keys type with num lock, and AH with ctrl.
_KEYPAD_SIGNS = "789-456+1230."
_KEYPAD_CTRL = bytes.fromhex("77 8D 84 8E 73 8F 74 90 75 91 76 92 93")
_PAUSE, _BREAK = bytes.fromhex("E1 1D 45 E1 9D C5"), bytes((0xE0, BREAK, 0xE0, BREAK | 0x80))


def _character(key: TableKey) -> BiosKey:
    """What the BIOS makes of a key that types a character."""
    code, text = key.scancode << 8, key.text
    ctrl = _CTRL_SIGNS.get(text, code | ord(text) - 0x60 if text.isalpha() else 0)
    return BiosKey(code | ord(text), code | ord(key.shifted), ctrl, _ALT_TOP_ROW.get(text, code))


def _keypad(code: int, sign: str, ctrl: int) -> BiosKey:
    """What it makes of one on the keypad: minus and plus are the same whatever num lock says."""
    key, typed = code << 8, code << 8 | ord(sign)
    if sign in "-+":
        return BiosKey(typed, typed, ctrl << 8, key)
    return BiosKey(key, typed, ctrl << 8, 0)


BIOS_KEYS = (
    {key.scancode: _character(key) for key in KEYS if key.text.isprintable() and key.text}
    | {key[0]: _keypad(*key) for key in zip(KEYPAD, _KEYPAD_SIGNS, _KEYPAD_CTRL, strict=True)}
    | {
        0x3B + n: BiosKey(0x3B + n << 8, 0x54 + n << 8, 0x5E + n << 8, 0x68 + n << 8)
        for n in range(10)
    }
    | {
        0x01: BiosKey(0x011B, 0x011B, 0x011B, 0x0100),
        0x0E: BiosKey(0x0E08, 0x0E08, 0x0E7F, 0x0E00),
        0x0F: BiosKey(0x0F09, 0x0F00, 0x9400, 0xA500),
        0x1C: BiosKey(0x1C0D, 0x1C0D, 0x1C0A, 0x1C00),
        0x37: BiosKey(0x372A, 0x372A, 0x9600, 0x3700),
        0x39: BiosKey(0x3920, 0x3920, 0x3920, 0x3920),
        0x57: BiosKey(0x8500, 0x8700, 0x8900, 0x8B00),
        0x58: BiosKey(0x8600, 0x8800, 0x8A00, 0x8C00),
    }
)
#: Those with the prefix E0h.
EXTENDED_KEYS = {code: BiosKey(key, key, ctrl, alt) for code, (key, ctrl, alt) in _GREY.items()}


def of_key(
    key: Key, *, shift: bool, ctrl: bool = False, alt: bool = False, caps: bool = False
) -> bytes:
    """Set 1 bytes of a host key going down or up, by what else is down on the host.

    A capital that comes without shift brings its own; with caps lock it is the bare key. So the
    window's keys, which caps lock of the host has made capitals, are not turned twice.
    """
    if key.name not in BY_NAME:
        return b""
    row, shifted = BY_NAME[key.name]
    if key.name == "pause":
        return (_BREAK if ctrl else _PAUSE) if key.pressed else b""
    release = 0 if key.pressed else 0x80
    code = row.scancode | release
    if key.name == "print" and alt:
        return bytes((SYSTEM_REQUEST | release,))
    if row.extended:
        return bytes((0xE0, code))
    if shifted and not shift and not (caps and row.scancode in LETTERS):
        return bytes((LEFT_SHIFT, code) if key.pressed else (code, LEFT_SHIFT | release))
    return bytes((code,))
