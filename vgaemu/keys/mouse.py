"""Mouse: how far it was moved and which buttons are down, between whoever moves it and the guest.

A window's user, a viewer and scripts move it; a PS/2 mouse, or a workload in Python, takes what
came since it last looked. What nobody listens to is forgotten.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from vgaemu.errors import KeysError
from vgaemu.snapshot import Array, Part

#: Buttons as X and RFB count them, as bits of `Movement.buttons`: left, right, middle.
BUTTONS = {1: 0x01, 3: 0x02, 2: 0x04}
#: Steps that are remembered, either way; changes of buttons that wait.
MOST, MOST_PIECES = 1 << 15, 32
#: A pixel of the picture; what is saved for none.
Place: TypeAlias = tuple[int, int]
NOWHERE = (-(1 << 31), 0)


class Movement(NamedTuple):
    """What a mouse did: steps right and down, steps of its wheel towards the user, and buttons."""

    dx: int
    dy: int
    wheel: int
    #: Down now: 1 left, 2 right, 4 middle.
    buttons: int


class Piece(NamedTuple):
    """What a mouse did between two changes of its buttons: steps, buttons, where it was put."""

    dx: int = 0
    dy: int = 0
    wheel: int = 0
    buttons: int = 0
    place: Place | None = None

    @property
    def has_moved(self) -> bool:
        return bool(self.dx or self.dy or self.wheel)


class MouseThen(NamedTuple):
    """A mouse at one moment."""

    listening: bool
    follows: bool
    pieces: tuple[Piece, ...]
    told: int
    aims: tuple[Place | None, ...]
    placed: Place | None


class Mouse:
    """The guest's mouse.

    >>> mouse = Mouse()
    >>> mouse.take(), mouse.move(3, -2), mouse.button(1, True), mouse.take()
    (None, None, None, Movement(dx=3, dy=-2, wheel=0, buttons=1))
    """

    def __init__(self) -> None:
        #: Whether somebody takes what it does.
        self.listening = False
        #: Whether who takes it goes to where it is put, and not only so many steps.
        self.follows = False
        #: The buttons that were down at the last `take`.
        self.told = 0
        #: Where it was put by each thing that was taken, for who follows; None: it was not.
        self._aims: deque[Place | None] = deque(maxlen=MOST_PIECES)
        self._pieces = [Piece()]
        self._placed: Place | None = None
        self._lock = threading.Lock()
        #: Told of each movement, of each button that goes down or up, and of where it is put.
        self.on_move: Callable[[int, int, int], object] = lambda dx, dy, wheel: None
        self.on_button: Callable[[int, bool], object] = lambda number, pressed: None
        self.on_place: Callable[[int, int], object] = lambda x, y: None

    def __repr__(self) -> str:
        return f"<Mouse{'' if self.listening else ', nobody listens'}: buttons {self.buttons:03b}>"

    @property
    def buttons(self) -> int:
        """Those that are down now."""
        return self._pieces[-1].buttons

    def move(self, dx: int, dy: int, wheel: int = 0) -> None:
        """So many steps right and down, and of the wheel towards the user."""
        self.on_move(dx, dy, wheel)
        self._move(dx, dy, wheel, None)

    def _move(self, dx: int, dy: int, wheel: int, place: Place | None) -> None:
        if not self.listening:
            return
        with self._lock:
            last = self._pieces[-1]
            if last.buttons != self._buttons_before():
                last = self._begin_piece(last)  # buttons change where it was when they did
            self._pieces[-1] = Piece(
                _bounded(last.dx + dx), _bounded(last.dy + dy), _bounded(last.wheel + wheel),
                last.buttons, place if dx or dy or place else last.place,
            )  # fmt: skip

    def _buttons_before(self) -> int:
        """Those that were down before what came last."""
        return self._pieces[-2].buttons if len(self._pieces) > 1 else self.told

    def _begin_piece(self, last: Piece) -> Piece:
        """What comes now is told after what came before, as far as there is room."""
        if len(self._pieces) < MOST_PIECES:
            last = Piece(buttons=last.buttons, place=last.place)
            self._pieces.append(last)
        return last

    def place(self, x: int, y: int) -> None:
        """To a pixel of the picture, as a pointer is put there.

        The pointer of a guest that uses INT 33h goes there. Another guest is told how far that is
        from where it was put last; one that accelerates its pointer does not follow exactly.
        """
        self.on_place(x, y)
        before, self._placed = self._placed or (x, y), (x, y)
        self._move(x - before[0], y - before[1], 0, (x, y))

    def button(self, number: int, pressed: bool) -> None:
        """Button 1 (left), 2 (middle) or 3 (right) goes down or up.

        Raises:
            KeysError: There is no such button.
        """
        if number not in BUTTONS:
            raise KeysError(f"a mouse has buttons 1, 2 and 3, not {number!r}")
        self.on_button(number, pressed)
        with self._lock:
            last, bit = self._pieces[-1], BUTTONS[number]
            if self.listening and (last.buttons ^ self._buttons_before()) & bit:
                last = self._begin_piece(last)  # down and up again: both are told
            buttons = last.buttons & ~bit | (bit if pressed else 0)
            self._pieces[-1] = last._replace(buttons=buttons)

    def has_news(self) -> bool:
        """Whether `take` has something to give."""
        first = self._pieces[0]
        aims = self.follows and first.place is not None
        return len(self._pieces) > 1 or first.has_moved or first.buttons != self.told or aims

    def take(self, most: int = MOST, most_wheel: int = MOST) -> Movement | None:
        """What came since the last time, of each at most so many steps; None: nothing.

        Of buttons that went down and up meanwhile each change is told by itself. Who asks for the
        first time listens from then on.
        """
        self.listening = True
        if not self.has_news():
            return None
        with self._lock:
            first = self._pieces[0]
            dx, dy = (max(-most, min(most, steps)) for steps in (first.dx, first.dy))
            wheel = max(-most_wheel, min(most_wheel, first.wheel))
            left = first._replace(dx=first.dx - dx, dy=first.dy - dy, wheel=first.wheel - wheel)
            self.told = first.buttons
            if self.follows:
                self._aims.append(first.place)
            self._pieces[0] = left if left.has_moved else left._replace(place=None)
            if len(self._pieces) > 1 and not left.has_moved:
                del self._pieces[0]
            return Movement(dx, dy, wheel, self.told)

    def take_aim(self) -> Place | None:
        """Where it was put by what was taken; once for each `take`, while something `follows`."""
        return self._aims.popleft() if self._aims else None

    def ignore(self) -> None:
        """Nobody listens any more."""
        with self._lock:
            self.listening = self.follows = False
            self._pieces = [Piece(buttons=self.buttons)]
            self._aims.clear()

    def moment(self) -> MouseThen:
        """What nobody has taken, and the buttons, for `go_back`."""
        return MouseThen(
            self.listening, self.follows, tuple(self._pieces), self.told, tuple(self._aims),
            self._placed,
        )  # fmt: skip

    def go_back(self, moment: MouseThen) -> None:
        """Be as then."""
        with self._lock:
            self.listening, self.follows, pieces, self.told, aims, self._placed = moment
            self._pieces = list(pieces)
            self._aims.clear()
            self._aims.extend(aims)

    def parts(self) -> dict[str, Part]:
        """What of it is saved: what the guest has not taken. A button that is down is not."""
        return {
            "chips.mouse_moved": Part(
                "i8", self._unseen, self._restore, _is_movement, absent=self.ignore
            ),
            "chips.mouse_places": Part(
                "i4", self._places, self._restore_places, _are_places,
                any_length=True, most_bytes=8 * (MOST_PIECES + 2), absent=self._follow_nowhere,
            ),
        }  # fmt: skip

    def _unseen(self) -> list[int]:
        pieces = self._pieces
        steps = (
            sum(piece.dx for piece in pieces), sum(piece.dy for piece in pieces),
            sum(piece.wheel for piece in pieces),
        )  # fmt: skip
        return [*map(_bounded, steps), self.told, self.listening]

    def _restore(self, array: Array) -> None:
        dx, dy, wheel, self.told, listening = array.tolist()
        self._pieces = [Piece(dx, dy, wheel, self.buttons)]
        self.listening = bool(listening)

    def _places(self) -> list[Place]:
        """Whether somebody follows, where to next, and what of that is on its way."""
        places = (self._pieces[-1].place, *self._aims)
        return [(int(self.follows), 0), *(place or NOWHERE for place in places)]

    def _restore_places(self, array: Array) -> None:
        (follows, _), *places = array.tolist()
        self._follow_nowhere()
        self.follows = bool(follows)
        next_one, *aims = (None if (x, y) == NOWHERE else (x, y) for x, y in places)
        self._pieces[-1] = self._pieces[-1]._replace(place=next_one)
        self._aims.extend(aims)

    def _follow_nowhere(self) -> None:
        self.follows = False
        self._aims.clear()


def _is_movement(array: Array) -> bool:
    *steps, told, listening = array.tolist()
    return all(abs(n) <= MOST for n in steps) and told in range(8) and listening in (0, 1)


def _are_places(array: Array) -> bool:
    return array.shape[0] >= 2 and array[0].tolist() in ([0, 0], [1, 0])


def _bounded(steps: int) -> int:
    return max(-MOST, min(MOST, steps))
