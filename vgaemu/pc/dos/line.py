"""A line as DOS lets it be typed: INT 21h/0Ah, and reads of the console by handle.

Emulated: the template, which is the line before, and the keys that take from it (F1 to F5, Ins,
Del, arrows), Backspace, Esc, Ctrl-Enter, F6. What the keys do is shown by what is typed on the
screen.

Source: MS-DOS User's Guide 5.0, chapter on editing keys.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from vgaemu.snapshot import Part, Saved, octets

BELL, BACKSPACE, TAB, LINE_FEED, ESCAPE = 7, 8, 9, 10, 27
END_OF_FILE = 0x1A
#: Scancodes of keys without a character.
F1, F2, F3, F4, F5, F6, LEFT, RIGHT, INSERT, DELETE = (
    0x3B, 0x3C, 0x3D, 0x3E, 0x3F, 0x40, 0x4B, 0x4D, 0x52, 0x53
)  # fmt: skip
ERASE = b"\b \b"
#: Most of a line.
MAX_LINE = 254


class Line:
    """A line that is typed, and the template that keys take from."""

    SAVED: ClassVar[Saved] = {
        "place": (0, 0xFF), "inserts": (0, 1), "wanted": (0, 0xFF), "column": (0, 0xFF),
        "begun": (0, 1),
    }  # fmt: skip

    def __init__(self) -> None:
        self.text = self.template = b""
        #: How much of the template has been taken or gone past.
        self.place = 0
        #: Characters leave the template where it is.
        self.inserts = False
        #: F2 or F4, which wait for the character to go to; 0.
        self.wanted = 0
        #: Where on the screen's row the line begins.
        self.column = 0
        #: Somebody is typing it.
        self.begun = False
        #: What keys without a character do, with so much room; F2 and F4 wait for one.
        self._keys: dict[int, Callable[[int], bytes]] = {
            F1: lambda room: self._copy(1, room),
            F3: lambda room: self._copy(len(self.template) - self.place, room),
            F5: self._keep,
            F6: lambda room: self.type(END_OF_FILE, room),
            LEFT: lambda room: self._back(),
            RIGHT: lambda room: self._copy(1, room),
            INSERT: self._insert,
            DELETE: self._leave_out,
        }

    def begin(self, template: bytes, column: int) -> None:
        """A new line, unless one is being typed."""
        if not self.begun:
            self.template, self.column, self.begun = template[:MAX_LINE], column, True
            self._anew()

    def take(self) -> bytes:
        """The line has ended: its text."""
        text, self.text, self.begun = self.text, b"", False
        return text

    def type(self, code: int, room: int) -> bytes:
        """A character was typed, and there is room for so many in all; what to show."""
        if self.wanted:
            return self._go_to(code, room)
        if code == BACKSPACE:
            return self._back()
        if code == ESCAPE:
            self._anew()
            return b"\\\r\n"
        if code == LINE_FEED:
            return b"\r\n"
        if len(self.text) >= room:
            return bytes((BELL,))
        if not self.inserts:
            self.place = min(self.place + 1, len(self.template))
        return self._add(code)

    def press(self, scancode: int, room: int) -> bytes:
        """A key without a character was pressed; what to show."""
        self.wanted = 0
        if scancode in (F2, F4):
            self.wanted = scancode
            return b""
        key = self._keys.get(scancode)
        return b"" if key is None else key(room)

    def _keep(self, room: int) -> bytes:
        """What was typed becomes the template."""
        self.template = self.text
        self._anew()
        return b"@\r\n"

    def _insert(self, room: int) -> bytes:
        self.inserts = not self.inserts
        return b""

    def _leave_out(self, room: int) -> bytes:
        """The template's next character is not taken."""
        if self.place < len(self.template):
            self.place += 1
        return b""

    def _anew(self) -> None:
        self.text, self.place, self.inserts, self.wanted = b"", 0, False, 0

    def _add(self, code: int) -> bytes:
        self.text += bytes((code,))
        return shown(code)

    def _copy(self, count: int, room: int) -> bytes:
        """Take from the template."""
        taken = self.template[self.place : self.place + count][: max(room - len(self.text), 0)]
        self.place, self.inserts = self.place + len(taken), False
        return b"".join(map(self._add, taken))

    def _go_to(self, code: int, room: int) -> bytes:
        """F2: take up to a character; F4: go to it. Neither, if it does not come."""
        key, self.wanted = self.wanted, 0
        place = self.template.find(code, self.place + 1)
        if place < 0:
            return b""
        if key == F2:
            return self._copy(place - self.place, room)
        self.place = place
        return b""

    def _back(self) -> bytes:
        """The last character goes, with all columns that it has."""
        if not self.text:
            return b""
        before = columns(self.text[:-1], self.column)
        width = columns(self.text, self.column) - before
        self.text, self.place = self.text[:-1], max(self.place - 1, 0)
        return ERASE * width

    def parts(self) -> dict[str, Part]:
        """What of it is saved, but for the numbers (`SAVED`)."""
        return {
            "dos.line": octets(lambda: self.text, partial(setattr, self, "text"), MAX_LINE),
            "dos.template": octets(
                lambda: self.template, partial(setattr, self, "template"), MAX_LINE
            ).or_else(lambda: None),
        }  # fmt: skip


def shown(code: int) -> bytes:
    r"""How a character of a line is typed: control characters with a caret before their letters.

    >>> shown(0x41), shown(0x1A), shown(TAB)
    (b'A', b'^Z', b'\t')
    """
    return bytes((code,)) if code >= 0x20 or code == TAB else bytes((ord("^"), code + 0x40))


def columns(text: bytes, column: int) -> int:
    r"""Columns that a text takes from a column on.

    >>> columns(b"ab\x1a", 5), columns(b"a\tb", 5)
    (4, 4)
    """
    at = column
    for code in text:
        at += 8 - at % 8 if code == TAB else len(shown(code))
    return at - column
