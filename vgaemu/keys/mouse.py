"""Mouse: how far it was moved and which buttons are down, between whoever moves it and the guest.

A window's user, a viewer and scripts move it; a PS/2 mouse, or a workload in Python, takes what
came since it last looked. What nobody listens to is forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from vgaemu.errors import KeysError
from vgaemu.snapshot import Array, Part

#: Buttons as X and RFB count them, as bits of `Movement.buttons`: left, right, middle.
BUTTONS = {1: 0x01, 3: 0x02, 2: 0x04}
#: Steps that are remembered, either way.
MOST = 1 << 15


class Movement(NamedTuple):
    """What a mouse did: steps right and down, steps of its wheel towards the user, and buttons."""

    dx: int
    dy: int
    wheel: int
    #: Down now: 1 left, 2 right, 4 middle.
    buttons: int


class MouseThen(NamedTuple):
    """A mouse at one moment; where a pointer was put last is the host's matter."""

    listening: bool
    dx: int
    dy: int
    wheel: int
    buttons: int
    told: int


class Mouse:
    """The guest's mouse.

    >>> mouse = Mouse()
    >>> mouse.take(), mouse.move(3, -2), mouse.button(1, True), mouse.take()
    (None, None, None, Movement(dx=3, dy=-2, wheel=0, buttons=1))
    """

    def __init__(self) -> None:
        #: Whether somebody takes what it does.
        self.listening = False
        self.dx = self.dy = self.wheel = self.buttons = 0
        #: The buttons that were down at the last `take`.
        self.told = 0
        self._placed: tuple[int, int] | None = None
        self._lock = threading.Lock()
        #: Told of each movement, and of each button that goes down or up.
        self.on_move: Callable[[int, int, int], object] = lambda dx, dy, wheel: None
        self.on_button: Callable[[int, bool], object] = lambda number, pressed: None

    def __repr__(self) -> str:
        return f"<Mouse{'' if self.listening else ', nobody listens'}: buttons {self.buttons:03b}>"

    def move(self, dx: int, dy: int, wheel: int = 0) -> None:
        """So many steps right and down, and of the wheel towards the user."""
        self.on_move(dx, dy, wheel)
        if self.listening:
            with self._lock:
                self.dx, self.dy = _bounded(self.dx + dx), _bounded(self.dy + dy)
                self.wheel = _bounded(self.wheel + wheel)

    def place(self, x: int, y: int) -> None:
        """To a pixel of the picture, as a pointer is put there: so far from where it was put last.

        A guest that accelerates its pointer does not follow exactly.
        """
        before, self._placed = self._placed, (x, y)
        if before is not None:
            self.move(x - before[0], y - before[1])

    def button(self, number: int, pressed: bool) -> None:
        """Button 1 (left), 2 (middle) or 3 (right) goes down or up.

        Raises:
            KeysError: There is no such button.
        """
        if number not in BUTTONS:
            raise KeysError(f"a mouse has buttons 1, 2 and 3, not {number!r}")
        self.on_button(number, pressed)
        with self._lock:
            self.buttons = self.buttons & ~BUTTONS[number] | (BUTTONS[number] if pressed else 0)

    def has_news(self) -> bool:
        """Whether `take` has something to give."""
        return bool(self.dx or self.dy or self.wheel or self.buttons != self.told)

    def take(self, most: int = MOST, most_wheel: int = MOST) -> Movement | None:
        """What came since the last time, of each at most so many steps; None: nothing.

        Who asks for the first time listens from then on.
        """
        self.listening = True
        if not self.has_news():
            return None
        with self._lock:
            dx, dy = (max(-most, min(most, steps)) for steps in (self.dx, self.dy))
            wheel = max(-most_wheel, min(most_wheel, self.wheel))
            self.dx, self.dy, self.wheel = self.dx - dx, self.dy - dy, self.wheel - wheel
            self.told = self.buttons
            return Movement(dx, dy, wheel, self.told)

    def ignore(self) -> None:
        """Nobody listens any more."""
        with self._lock:
            self.listening = False
            self.dx = self.dy = self.wheel = 0

    def moment(self) -> MouseThen:
        """What nobody has taken, and the buttons, for `go_back`."""
        return MouseThen(self.listening, self.dx, self.dy, self.wheel, self.buttons, self.told)

    def go_back(self, moment: MouseThen) -> None:
        """Be as then."""
        with self._lock:
            self.listening, self.dx, self.dy, self.wheel, self.buttons, self.told = moment

    def part(self) -> Part:
        """What of it is saved: what the guest has not taken. A button that is down is not."""
        return Part("i8", self._unseen, self._restore, _is_movement, absent=self.ignore)

    def _unseen(self) -> list[int]:
        return [self.dx, self.dy, self.wheel, self.told, self.listening]

    def _restore(self, array: Array) -> None:
        self.dx, self.dy, self.wheel, self.told, listening = array.tolist()
        self.listening = bool(listening)


def _is_movement(array: Array) -> bool:
    *steps, told, listening = array.tolist()
    return all(abs(n) <= MOST for n in steps) and told in range(8) and listening in (0, 1)


def _bounded(steps: int) -> int:
    return max(-MOST, min(MOST, steps))
