"""The terminal's keyboard: what came in, as keys of the guest and wishes of the user.

A plain terminal does not tell when a key goes up: it is then let go `HELD_S` later, or when the
next one goes down, so that a guest which looks once a frame sees it; and what lasts while a key is
held lasts until it is pressed again.

Ctrl+], as in telnet, is the user's: the key behind it is one of `COMMANDS`, and Ctrl+] itself goes
to the guest. The window's own keys (`vgaemu.display.hostkeys`) do here what they do there.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import NamedTuple

from vgaemu.display.events import (
    Close,
    Event,
    LoadState,
    NextDirtyLog,
    Paste,
    PauseToggled,
    RecordingToggled,
    SaveState,
    Screenshot,
    SingleStep,
    Turbo,
)
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
    Command("s", Screenshot(), "shot"),
    Command("r", RecordingToggled(), "rec"),
    Command("w", SaveState(), "save"),
    Command("o", LoadState(), "load"),
    Command("t", Turbo(True), "turbo"),
    Command("d", NextDirtyLog(), "log"),
    Command(".", SingleStep(), "step"),
    Command("z", Wish.STOP, "shell"),
    Command("l", Wish.REDRAW, "redraw"),
)
_COMMANDS = {command.key: command.does for command in COMMANDS}
#: The window's own keys that are for the machine: name and modifiers -> event.
_HOST_KEYS = {
    (key.lower(), tuple(modifier.lower() for modifier in modifiers)): host_key.does
    for host_key in HOST_KEYS
    if not isinstance(host_key.does, WindowChange)
    for *modifiers, key in (combination.split("+") for combination in host_key.combinations)
}
#: What ends something that lasts while a key is held.
_ENDS = {host_key.does: host_key.ends for host_key in HOST_KEYS if host_key.ends is not None}


class TerminalKeyboard:
    """What the terminal sends, in order."""

    def __init__(self) -> None:
        self._rest = b""
        self._came = 0.0
        self._waiting: deque[Press | Paste] = deque()
        #: What is being pasted, or None.
        self._pasted: list[str] | None = None
        #: What lasts now, by the terminal's code for its key; 0 for one that tells no releases.
        self._lasting: dict[int, Event] = {}
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
            if self._pasted and not token.begins:
                self._waiting.append(Paste("".join(self._pasted)[:MAX_PASTE]))
            self._pasted = [] if token.begins else None
        elif self._pasted is None:
            self._waiting.append(token)
        elif len(self._pasted) < MAX_PASTE and token[:3:2] == ("j", ("ctrl",)):
            self._pasted.append("\n")
        elif len(self._pasted) < MAX_PASTE and not token.held:  # others' text gives no commands
            self._pasted.append(token.text.replace("\x1b", ""))

    def events(self, now: float) -> list[Event | Wish]:
        """What is to be done now."""
        events: list[Event | Wish] = []
        if self._held and now >= self._held_until:
            events += self._let_go()
        for _ in range(KEYS_A_POLL):
            if self._waiting:
                came = self._waiting.popleft()
                events += [came] if isinstance(came, Paste) else self._press(came, now)
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
            if name is not None:
                return [Key(name, False)]
            ended = self._lasting.pop(press.code, None)
            return [] if ended is None else [ended]
        if press.name in ("ctrl", "alt", "shift") and self.is_commanded:
            return []  # it belongs to the key that comes
        key = press.name, press.held
        if self.is_commanded:
            self.is_commanded = False
            if key != PREFIX:
                does = _COMMANDS.get(CHARACTER_NAMES.get(press.name, press.text or press.name))
                return [] if does is None else [self._begin(does, 0)]
        elif key == PREFIX:
            self.is_commanded = True
            return []
        elif key in _HOST_KEYS:
            return [self._begin(_HOST_KEYS[key], press.code)]
        return [*self._type(press, now)]

    def _begin(self, does: Event | Wish, code: int) -> Event | Wish:
        """What is to be done; what lasts and has no release ends when it comes again."""
        if not code and 0 in self._lasting and does in _ENDS:
            return self._lasting.pop(0)
        if does in _ENDS:
            self._lasting[code] = _ENDS[does]
        return does

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
