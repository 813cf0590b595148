"""What a script does with the mouse, as words beside the names of keys: ``click@x,y``.

Words are those of the table; ``right-`` or ``middle-`` before a button's says which. Pixels are the
picture's. What takes a while becomes several actions in as many frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from vgaemu.errors import KeysError
from vgaemu.keys.mouse import Mouse

#: Frames that a click holds the button, and from one click of two to the next: a tenth of a second.
CLICK_FRAMES = 6
#: Frames that a drag takes, which moves on in each.
DRAG_FRAMES = 12
#: What comes before a button's word -> the button's number.
PREFIXES = {"": 1, "middle-": 2, "right-": 3}
#: Largest number in an action: no picture is larger.
MOST = 1 << 14


class Word(NamedTuple):
    """What an action's word means."""

    meaning: str
    #: How many numbers may stand behind its @.
    numbers: tuple[int, ...]
    has_button: bool = True


WORDS = {
    "move": Word("the pointer goes to a pixel: move@100,50", (2,), has_button=False),
    "click": Word("there, the button down, and up six frames later", (0, 2)),
    "doubleclick": Word("two of them", (0, 2)),
    "press": Word("there, the button goes down", (0, 2)),
    "release": Word("there, it goes up", (0, 2)),
    "drag": Word("down at a pixel, up at another: drag@10,10,90,50", (4,)),
    "wheel": Word("steps of the wheel towards the user: wheel@3", (1,), has_button=False),
}


class Action(NamedTuple):
    """A word of `WORDS`, a button, and numbers."""

    word: str
    button: int
    numbers: tuple[int, ...]


def parse_action(name: str) -> Action | None:
    """An action by its name; None: it is none, but perhaps a key's.

    Raises:
        KeysError: It begins as one, and is not.

    >>> parse_action("right-click@12,3")
    Action(word='click', button=3, numbers=(12, 3))
    >>> parse_action("c") is None, parse_action("@") is None
    (True, True)
    """
    head, at, tail = name.partition("@")
    prefix = next((prefix for prefix in PREFIXES if prefix and head.startswith(prefix)), "")
    word = head.removeprefix(prefix)
    known = WORDS.get(word)
    if known is None:
        if tail:  # no key has anything behind an @
            raise KeysError(
                f"{name!r}: no such action of the mouse: {', '.join(WORDS)}, a button's with "
                "right- or middle- before it"
            )
        return None
    texts = tail.split(",") if at else []
    numbers = tuple(_number(text, signed=word == "wheel") for text in texts)
    if len(numbers) not in known.numbers or None in numbers or (prefix and not known.has_button):
        raise KeysError(f"{name!r}: {_usage(word)}")
    return Action(word, PREFIXES[prefix], tuple(number or 0 for number in numbers))


def _number(text: str, *, signed: bool) -> int | None:
    digits = text.removeprefix("-" if signed else "")
    fits = digits.isdecimal() and digits.isascii() and len(digits) <= 5
    return int(text) if fits and abs(int(text)) <= MOST else None


def _usage(word: str) -> str:
    known = WORDS[word]
    if word == "wheel":
        return f"{word}@STEPS"
    pixels = {0: word, 2: f"{word}@X,Y", 4: f"{word}@X,Y,X,Y"}
    return " or ".join(pixels[count] for count in known.numbers) + ", in pixels of the picture"


def split_entries(spec: str) -> list[str]:
    """``"30:click@1,2,60:a"`` -> its entries: numbers of an action have commas between them, too.

    >>> split_entries("30:click@1,2,60:a")
    ['30:click@1,2', '60:a']
    """
    entries: list[str] = []
    for part in spec.split(","):
        if entries and "@" in entries[-1] and ":" not in part:
            entries[-1] += f",{part}"
        else:
            entries.append(part)
    return entries


def steps_of(frame: int, name: str) -> Iterator[tuple[int, str]]:
    """What is to be done when, each in one frame, for an action at a frame; a key is itself.

    >>> list(steps_of(30, "click@1,2"))
    [(30, 'press@1,2'), (36, 'release@1,2')]
    """
    action = parse_action(name)
    if action is None or action.word in ("move", "press", "release", "wheel"):
        yield frame, name
        return
    prefix = name[: name.index(action.word)]
    place = "".join(name.partition("@")[1:])
    if action.word == "drag":
        x, y, to_x, to_y = action.numbers
        yield frame, f"{prefix}press@{x},{y}"
        for step in range(1, DRAG_FRAMES + 1):
            part = step / DRAG_FRAMES
            at = f"@{round(x + (to_x - x) * part)},{round(y + (to_y - y) * part)}"
            yield frame + step, f"move{at}"
        yield frame + DRAG_FRAMES, f"{prefix}release@{to_x},{to_y}"
        return
    for click in range(2 if action.word == "doubleclick" else 1):
        yield frame + 2 * click * CLICK_FRAMES, f"{prefix}press{place}"
        yield frame + (2 * click + 1) * CLICK_FRAMES, f"{prefix}release{place}"


def do(action: Action, mouse: Mouse) -> None:
    """Do one that `steps_of` made, now."""
    if action.word == "wheel":
        mouse.move(0, 0, action.numbers[0])
        return
    if action.numbers:
        mouse.place(*action.numbers)
    follow: dict[str, Callable[[], None]] = {
        "press": lambda: mouse.button(action.button, True),
        "release": lambda: mouse.button(action.button, False),
    }
    if action.word in follow:
        follow[action.word]()
