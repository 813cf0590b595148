"""Code page 437 to Unicode and back, with the pictures that a VGA shows for codes 00h-1Fh and 7Fh.

Python's own cp437 codec maps those 33 codes to control characters; here they are what one sees.
"""

from __future__ import annotations

from codecs import charmap_decode

# fmt: off
#: What a VGA shows for 00h-1Fh. 00h is a blank.
CONTROL_PICTURES = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"
# fmt: on

#: The character shown for each of the 256 codes.
CHARACTERS = (
    CONTROL_PICTURES
    + bytes(range(0x20, 0x7F)).decode("ascii")
    + "⌂"
    + bytes(range(0x80, 0x100)).decode("cp437")
)

_CODES = {character: code for code, character in reversed(list(enumerate(CHARACTERS)))}
_CODES[" "] = 0x20
# Characters that code page 437 has under another name.
_CODES.update({"ẞ": 0xE1, "μ": 0xE6, "β": 0xE1, "Ω": 0xEA, "∑": 0xE4, "⋅": 0xFA, "–": 0x2D,
               "—": 0x2D, "‘": 0x27, "’": 0x27, "“": 0x22, "”": 0x22, "…": 0x2E})  # fmt: skip


def to_unicode(codes: bytes) -> str:
    r"""What a text screen shows for these codes.

    >>> to_unicode(b"\x01 caf\x82 \xc9\xcd\xbb")
    '☺ café ╔═╗'
    """
    return charmap_decode(codes, "strict", CHARACTERS)[0]


def to_cp437(text: str) -> bytes:
    r"""Codes that show `text`; what code page 437 lacks becomes a question mark.

    >>> to_cp437("café ╔═╗ ☺ ☃")
    b'caf\x82 \xc9\xcd\xbb \x01 ?'
    """
    return bytes([_CODES.get(character, 0x3F) for character in text])
