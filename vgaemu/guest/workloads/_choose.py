"""A list of guests to choose from, in 80x25 text: arrows, letters and Enter; Escape leaves."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

from vgaemu.guest.workload import Guest, Slices, Workload
from vgaemu.keys.queue import Key

#: Rows of the list, from which one on, and the columns of a name and of what it shows.
ROWS, TOP, NAME_AT, WHAT_AT, COLUMNS = 18, 2, 3, 17, 80
#: Where all that there is to say of the chosen one stands.
WHOLE_ROW = 22
# Attributes: background in bits 4-6, foreground in bits 0-3.
PAPER, NAME, WHAT, CHOSEN, CHOSEN_NAME, BAR, FRAME, LETTER = (
    0x17, 0x1F, 0x17, 0x30, 0x3F, 0x70, 0x13, 0x74,
)  # fmt: skip
HELP = ("↑↓ choose", "letter: next with it", "Enter runs it", "Esc leaves")


class Entry(NamedTuple):
    """A line of the list: what is chosen by it, what it is called, and what it shows."""

    guest: str
    name: str
    what: str


class Choice:
    """Which entry is chosen, and from which one on they are seen."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.at = self.first = 0

    def move(self, to: int) -> None:
        """Choose an entry; beyond an end, the last one there."""
        self.at = max(0, min(to, len(self.entries) - 1))
        self.first = min(max(self.first, self.at - ROWS + 1), self.at)

    def find(self, letter: str) -> None:
        """Choose the next entry whose name begins with a letter, round and round."""
        count = len(self.entries)
        for step in range(1, count + 1):
            if self.entries[(self.at + step) % count].name.lower().startswith(letter.lower()):
                self.move((self.at + step) % count)
                return

    def answer(self, key: Key) -> None:
        """Do what a key does in a list."""
        steps = {
            "up": -1, "down": 1, "pageup": -ROWS, "pagedown": ROWS,
            "home": -len(self.entries), "end": len(self.entries),
        }  # fmt: skip
        if key.name in steps:
            self.move(self.at + steps[key.name])
        elif key.text.isprintable() and key.text.strip():
            self.find(key.text)


def chooser(
    entries: Sequence[Entry], chosen: Callable[[str], None], left: Callable[[], None]
) -> Workload:
    """A workload that shows a list.

    Args:
        entries: What there is.
        chosen: Called with an entry's guest; the list stays, as that may be refused.
        left: Called when there is nothing to choose any more.
    """

    def choose(guest: Guest) -> Slices:
        choice = Choice(entries)
        guest.text.cursor(False)
        _draw_all(guest, choice)
        while True:
            before = choice.at, choice.first
            while (key := guest.keys.get()) is not None:
                if key.pressed and key.name == "esc":
                    left()
                    return
                if key.pressed and key.name == "enter":
                    chosen(choice.entries[choice.at].guest)
                elif key.pressed:
                    choice.answer(key)
            if choice.first != before[1]:
                _draw_list(guest, choice)
            elif choice.at != before[0]:
                _draw_entry(guest, choice, before[0])
                _draw_entry(guest, choice, choice.at)
            yield

    return choose


def _draw_all(guest: Guest, choice: Choice) -> None:
    text = guest.text
    text.colour = PAPER
    text.clear()
    text.write_at(0, 0, f"{' What shall run?':{COLUMNS}}", BAR)
    text.write_at(0, TOP - 1, f"┌{'─' * (COLUMNS - 2)}┐", FRAME)
    for row in range(ROWS):
        text.write_at(0, TOP + row, f"│{' ' * (COLUMNS - 2)}│", FRAME)
    text.write_at(0, TOP + ROWS, f"└{'─' * (COLUMNS - 2)}┘", FRAME)
    text.write_at(0, 24, f"{' ' + '   '.join(HELP):{COLUMNS}}", BAR)
    _draw_list(guest, choice)


def _draw_list(guest: Guest, choice: Choice) -> None:
    last = min(choice.first + ROWS, len(choice.entries))
    for n in range(choice.first, last):
        _draw_entry(guest, choice, n)
    guest.text.write_at(COLUMNS - 1, TOP, "↑" if choice.first else "│", FRAME)
    more = "↓" if last < len(choice.entries) else "│"
    guest.text.write_at(COLUMNS - 1, TOP + ROWS - 1, more, FRAME)


def _draw_entry(guest: Guest, choice: Choice, n: int) -> None:
    _, name, what = choice.entries[n]
    row, chosen = TOP + n - choice.first, n == choice.at
    if chosen:
        lines = textwrap.wrap(what, COLUMNS - 2)
        for more in range(2):
            line = lines[more] if more < len(lines) else ""
            guest.text.write_at(0, WHOLE_ROW + more, f" {line:{COLUMNS - 1}}", WHAT)
    short = what.partition(":")[0]
    room = COLUMNS - 2 - WHAT_AT
    short = short if len(short) <= room else f"{short[: room - 3]}..."
    line = f"{'':{NAME_AT - 1}}{name:{WHAT_AT - NAME_AT}}"
    guest.text.write_at(1, row, line, CHOSEN_NAME if chosen else NAME)
    guest.text.write_at(WHAT_AT, row, f"{short:{room + 1}}", CHOSEN if chosen else WHAT)
