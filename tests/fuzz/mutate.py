"""Damaging data: bytes, and values of JSON."""

from __future__ import annotations

import random
import string
from typing import Any

#: Numbers at which sizes, counts and signs go wrong.
EDGES = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0x7FFF_FFFF,
         0x8000_0000, 0xFFFF_FFFF, 1 << 32, 1 << 53, 1 << 63, (1 << 64) - 1, 1 << 64)  # fmt: skip
STRANGE = ("", "\0", "é", "\ud800", "\x1b[2J", "../../etc/passwd", "x" * 5000, "nan", "1e999")


def damaged(numbers: random.Random, data: bytes) -> bytes:
    """Bytes changed in one to a few places."""
    found = bytearray(data)
    for _ in range(numbers.choice((1, 1, 1, 2, 3, 8, 40))):
        damage(numbers, found)
    return bytes(found)


def damage(numbers: random.Random, data: bytearray) -> None:
    """Bytes changed in one place."""
    # Most of what is checked stands at the beginning.
    reach = len(data) if numbers.random() < 0.5 else min(len(data), 64)
    at = numbers.randrange(reach + 1)
    length = numbers.choice((1, 2, 4, 16, 300))
    match numbers.randrange(8):
        case 0 | 1:
            data[at : at + 1] = bytes([numbers.randrange(256)])
        case 2:
            size = numbers.choice((1, 2, 4, 8))
            value = numbers.choice(EDGES) & (1 << 8 * size) - 1
            order = numbers.choice(("little", "big"))
            data[at : at + size] = value.to_bytes(size, order)
        case 3:
            data[at : at + length] = numbers.randbytes(length)
        case 4:
            del data[at : at + length]
        case 5:
            data[at:at] = data[at : at + length] * numbers.choice((1, 2, 30))
        case 6:
            del data[at:]
        case 7:
            data[at:at] = numbers.randbytes(length)


def strange_value(numbers: random.Random) -> Any:
    """A JSON value that stands where none of its kind is meant."""
    return numbers.choice((
        None, True, False, [], {}, [[]], -1, 1.5, float("inf"), numbers.choice(EDGES),
        -numbers.choice(EDGES), numbers.choice(STRANGE), "".join(numbers.choices(string.printable)),
        [0] * 3, {"": 0},
    ))  # fmt: skip


def damaged_value(numbers: random.Random, value: Any) -> Any:
    """A JSON value with something of it exchanged, left out or doubled; `value` is left alone."""
    if not isinstance(value, list | dict) or not value or numbers.random() < 0.1:
        if isinstance(value, int) and numbers.random() < 0.7:
            return numbers.choice((value + 1, value - 1, -value, value ^ 1 << numbers.randrange(33),
                                   *EDGES))  # fmt: skip
        return strange_value(numbers)
    found = value.copy()
    where: Any = numbers.choice(list(value) if isinstance(value, dict) else range(len(value)))
    match numbers.randrange(5):
        case 0:
            del found[where]
        case 1 if isinstance(found, list):
            found.insert(numbers.randrange(len(found) + 1), found[where])
        case 2 if isinstance(found, list):
            other = numbers.randrange(len(found))
            found[where], found[other] = found[other], found[where]
        case _:
            found[where] = damaged_value(numbers, found[where])
    return found
