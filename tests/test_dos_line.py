"""A line as DOS's keys edit it, without a machine."""

from __future__ import annotations

import pytest

from vgaemu.pc.dos.line import (
    DELETE,
    ERASE,
    F1,
    F2,
    F3,
    F4,
    F5,
    F6,
    INSERT,
    LEFT,
    MAX_LINE,
    RIGHT,
    Line,
)
from vgaemu.snapshot import misfit, restore, take

BEFORE = b"copy a.txt b.txt"


def edit(*keys: bytes | int, room: int = 80, template: bytes = BEFORE) -> tuple[bytes, bytes]:
    """The line, and what was shown; characters are bytes, keys without one are scancodes."""
    line = Line()
    line.begin(template, 3)
    shown = b""
    for key in keys:
        if isinstance(key, int):
            shown += line.press(key, room)
        else:
            shown += b"".join(line.type(code, room) for code in key)
    return line.take(), shown


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ((F3,), BEFORE),
        ((F1, F1, RIGHT), b"cop"),
        ((b"type", F3), b"type a.txt b.txt"),
        ((F2, b"b"), b"copy a.txt "),
        ((F2, b"!"), b""),
        ((F2, F1), b"c"),
        ((F4, b"a", F3), b"a.txt b.txt"),
        ((F1, DELETE, DELETE, F3), b"cy a.txt b.txt"),
        ((F1, INSERT, b"XY", F3), b"cXYopy a.txt b.txt"),
        ((F1, INSERT, b"X", INSERT, b"Y", F3), b"cXYpy a.txt b.txt"),
        ((b"ab\b", F3), b"aopy a.txt b.txt"),
        ((F3, LEFT, LEFT, b"s"), b"copy a.txt b.ts"),
        ((b"abc\x1bde",), b"de"),
        ((b"abc", F5, F3), b"abc"),
        ((b"a", F6), b"a\x1a"),
        ((b"a\nb",), b"ab"),
        ((b"\b\b", LEFT, 0x43), b""),
    ],
)  # fmt: skip
def test_keys_take_from_the_template(keys: tuple[bytes | int, ...], text: bytes) -> None:
    assert edit(*keys)[0] == text


def test_what_is_shown() -> None:
    assert edit(b"a\x01\b\b") == (b"", b"a^A" + ERASE * 3)
    # From column 3 on a tab goes to column 8.
    assert edit(b"\tx\b\b") == (b"", b"\tx" + ERASE * 6)
    assert edit(b"ab\x1b")[1] == b"ab\\\r\n"
    assert edit(b"ab", F5)[1] == b"ab@\r\n"


def test_a_full_line_beeps() -> None:
    assert edit(b"abcd", room=2) == (b"ab", b"ab\a\a")
    assert edit(F3, room=4)[0] == BEFORE[:4]
    assert edit(b"x", room=0) == (b"", b"\a")


def test_a_line_that_is_typed_can_be_saved() -> None:
    line, other = Line(), Line()
    line.begin(BEFORE, 5)
    line.press(F1, 80)
    line.press(F2, 80)
    arrays = take(line.parts())
    assert misfit(other.parts(), arrays) is None
    restore(other.parts(), arrays)
    for name in Line.SAVED:
        setattr(other, name, getattr(line, name))
    assert (other.type(ord("t"), 80), other.take()) == (b"opy a.", b"copy a.")
    assert misfit(other.parts(), arrays | {"dos.line": arrays["dos.line"].repeat(MAX_LINE + 1)})
