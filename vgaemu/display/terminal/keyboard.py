"""The terminal's keyboard: what came in, as keys of the guest and wishes of the user.

A plain terminal does not tell when a key goes up: it is then let go `HELD_S` later, or when the
next one goes down, so that a guest which looks once a frame sees it. What was pasted is typed, a
few keys a frame, as a guest takes them.

Ctrl+], as in telnet, is the user's: the key behind it is one of `COMMANDS`, and Ctrl+] itself goes
to the guest. The window's own keys (`vgaemu.display.hostkeys`) do here what they do there.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import NamedTuple

from vgaemu.display.events import Close, Event, NextDirtyLog, PauseToggled, Screenshot, SingleStep
from vgaemu.display.hostkeys import HOST_KEYS, WindowChange
from vgaemu.display.terminal.keys import Answer, PasteEdge, Press, Token, read, split
from vgaemu.keys.queue import Key
from vgaemu.keys.table import CHARACTER_NAMES

#: Behind a lone ESC nothing else comes for so long (seconds).
ESC_S = 0.05
#: A key is held so long if the terminal does not tell when it goes up (seconds).
HELD_S = 0.1
#: Keys that go down at a time: two a frame are 120 a second.
KEYS_A_POLL = 2
#: No more is kept of what was pasted (characters).
MAX_PASTE = 1 << 16


class Wish(Enum):
    """What concerns the terminal alone."""

    STOP = auto()
    REDRAW = auto()


class Command(NamedTuple):
    """What a key behind Ctrl+] does."""

    key: str
    does: Event | Wish
    words: str


PREFIX, PREFIX_WORDS = ("]", ("ctrl",)), "Ctrl+]"
COMMANDS = (
    Command("q", Close(), "quit"),
    Command("p", PauseToggled(), "pause"),
    Command(".", SingleStep(), "one frame"),
    Command("s", Screenshot(), "screenshot"),
    Command("d", NextDirtyLog(), "dirty log"),
    Command("z", Wish.STOP, "shell"),
    Command("l", Wish.REDRAW, "redraw"),
)
_COMMANDS = {command.key: command.does for command in COMMANDS}
#: The window's own keys that are for the machine: name and modifiers -> event.
_HOST_KEYS = {
    (key.lower(), (modifier.lower(),)): host_key.does
    for host_key in HOST_KEYS
    if not isinstance(host_key.does, WindowChange)
    for modifier, _, key in (combination.partition("+") for combination in host_key.combinations)
}


class Keyboard:
    """What the terminal sends, in order."""

    def __init__(self) -> None:
        self._rest = b""
        self._came = 0.0
        self._waiting: deque[Press] = deque()
        self._pasting = False
        #: Keys that are down, by the terminal's code for them; and the one without releases.
        self._down: dict[int, str] = {}
        self._held: list[Key] = []
        self._held_until = 0.0
        #: Whether Ctrl+] went down last.
        self.is_commanded = False
        self._answers: list[Answer] = []

    def feed(self, data: bytes, now: float) -> None:
        """Take what came at a time of `time.monotonic`; nothing, if nothing came."""
        if data:
            self._came = now
        elif not self._rest or now - self._came < ESC_S:
            return
        pieces, self._rest = split(self._rest + data, all_of_it=not data)
        for piece in pieces:
            token = read(piece)
            if token is not None:
                self._take(token)

    def _take(self, token: Token) -> None:
        if isinstance(token, Answer):
            self._answers.append(token)
        elif isinstance(token, PasteEdge):
            self._pasting = token.begins
        elif not self._pasting:
            self._waiting.append(token)
        elif len(self._waiting) < MAX_PASTE:
            if token[:3:2] == ("j", ("ctrl",)):
                token = Press("enter", "\n", ())  # a line's end
            if not token.held:  # what others wrote gives no commands
                self._waiting.append(token)

    def events(self, now: float) -> list[Event | Wish]:
        """What is to be done now."""
        events: list[Event | Wish] = []
        if self._held and now >= self._held_until:
            events += self._let_go()
        for _ in range(KEYS_A_POLL):
            if self._waiting:
                events += self._press(self._waiting.popleft(), now)
        return events

    def take_answers(self) -> list[Answer]:
        """What the terminal has answered since the last time."""
        answers, self._answers = self._answers, []
        return answers

    def release_all(self) -> list[Key]:
        """Let all keys go, as whoever has the focus now gets their releases."""
        released = [Key(name, False) for name in self._down.values()]
        self._down.clear()
        return released + self._let_go()

    def _let_go(self) -> list[Key]:
        held, self._held = self._held, []
        return held

    def _press(self, press: Press, now: float) -> list[Event | Wish]:
        if press.released:
            name = self._down.pop(press.code, None)
            return [] if name is None else [Key(name, False)]
        if press.name in ("ctrl", "alt", "shift") and self.is_commanded:
            return []  # it belongs to the key that comes
        key = press.name, press.held
        if self.is_commanded:
            self.is_commanded = False
            does = _COMMANDS.get(CHARACTER_NAMES.get(press.name, press.text or press.name))
            if key != PREFIX:
                return [] if does is None else [does]
        elif key == PREFIX:
            self.is_commanded = True
            return []
        elif key in _HOST_KEYS:
            return [_HOST_KEYS[key]]
        return [*self._type(press, now)]

    def _type(self, press: Press, now: float) -> list[Key]:
        """A key of the guest."""
        if press.code:
            name = self._down.setdefault(press.code, press.name)
            return [Key(name, True, press.text)]
        events = self._let_go()
        for name in press.held:
            events.append(Key(name, True))
        events.append(Key(press.name, True, press.text))
        self._held = [Key(name, False) for name in (press.name, *reversed(press.held))]
        self._held_until = now + HELD_S
        return events
