"""Someone types a letter, mistakes and all, and so can you: one character redraws one cell.

The typist's pace is a person's and the same in every run. What is typed at the keyboard appears at
the cursor too.
"""

from __future__ import annotations

from collections.abc import Iterator

from vgaemu.guest.workload import Guest, Slices, endless

#: Frames between keys: nine keys a second where nothing makes one think.
KEY_FRAMES, KEY_SPREAD, KEY_LEAST = 5.5, 2.0, 2
#: Frames more after these.
PAUSES = {" ": 1, ",": 8, ".": 18, ":": 12, "\n": 14}
#: One key in so many goes wrong, and so many are typed before it is seen.
MISTAKE_EVERY, SEEN_AFTER = 38, 3
#: Frames until a mistake is seen, and between two backspaces.
STARTLED, BACKSPACE_FRAMES = 26, 5
#: Frames that a finished page stays.
PAGE_FRAMES = 240
#: Keys beside each other: a finger that misses hits a neighbour.
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
NEIGHBOURS = {
    key: row[max(at - 1, 0) : at] + row[at + 1 : at + 2]
    for row in KEYBOARD
    for at, key in enumerate(row)
}

#: Attributes.
PAPER, TITLE = 0x1F, 0x70

PAGES = (
    """\
Dear reader,

every character that appears here is two bytes, stored at B8000h:
the first one says which character, the second one in which colours.

The store marks one page of 4096 bytes in the dirty log. Sixty times
a second the display harvests that log and asks: which pages? Then it
looks at the cells on them and draws those that changed.

So while I type, one cell is drawn: 9 by 16 dots of 288 000. And when
I stop to think, only the cursor blinks.

Type something yourself. You are in the same machine as I am.
""",
    """\
P.S.

A machine in the cloud may run for weeks with nobody looking at its
screen, and then someone opens the console. Whoever serves it wants to
know what has changed since the last look, at once, and without making
the machine wait.

In 2012 a patch for KVM found a short way: look at the dirty bitmap a
word at a time, and from each word take the first and the last set bit.
All between them is written back and redrawn. A page or two too many,
perhaps; but no search for each bit.

That is all there is to it. Press a key, and see how little it takes.
""",
)


@endless
def workload(guest: Guest) -> Slices:
    """Page after page, for ever."""
    guest.set_mode(3)
    yield from frames(guest)


def frames(guest: Guest) -> Slices:
    """The typist in 80-column text, between the console's top and bottom margins."""
    text = guest.text
    text.top += 1
    text.colour = PAPER
    text.write_at(0, text.top - 1, " LETTER.TXT".ljust(80), TITLE)
    while True:
        for page in PAGES:
            text.clear()
            text.move(0, text.top + 1)
            for keys, wait in _keys(guest, page):
                _type(guest, keys)
                yield from _wait(guest, wait)
            yield from _wait(guest, PAGE_FRAMES)


def _wait(guest: Guest, frames: int) -> Slices:
    """Let frames pass; what the user types appears meanwhile."""
    for _ in range(frames):
        _type(guest, guest.keys.typed())
        yield


def _type(guest: Guest, keys: str) -> None:
    text = guest.text
    for key in keys:
        if key == "\b":
            text.backspace()
        elif key == "\n" or key == "\t" or key.isprintable():
            if text.column == 0 and key != "\n":
                text.print("    ", end="")  # the left margin
            text.print(key, end="")


def _keys(guest: Guest, page: str) -> Iterator[tuple[str, int]]:
    """Keys of a page with the frames to wait after each; mistakes are made and taken back."""
    random = guest.random
    for at, key in enumerate(page):
        near = NEIGHBOURS.get(key)
        if near and random.randrange(MISTAKE_EVERY) == 0:
            # On the fingers go until the eye tells them, but never beyond the line.
            rest = page[at + 1 : at + 1 + random.randint(0, SEEN_AFTER)].split("\n")[0]
            for typed in random.choice(near) + rest:
                yield typed, _pace(guest, typed)
            yield "", STARTLED
            for _ in range(1 + len(rest)):
                yield "\b", BACKSPACE_FRAMES
        yield key, _pace(guest, key)


def _pace(guest: Guest, key: str) -> int:
    frames = guest.random.gauss(KEY_FRAMES, KEY_SPREAD) + PAUSES.get(key, 0)
    return max(round(frames), KEY_LEAST)
