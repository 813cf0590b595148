"""Rules of a game: what an agent gains, and when an episode is over; expressions, or functions.

A rule looks at a `Sight` of the guest: an expression has its attributes as names. Expressions are
evaluated as Python, of whoever makes the environment: they are no place for what strangers send.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import GymError, ScreenError
from vgaemu.machine import Machine
from vgaemu.vga.codepage import to_unicode

#: What a rule may say besides the names of a `Sight`.
BUILTINS = {
    f.__name__: f
    for f in (abs, all, any, bool, divmod, enumerate, float, int, len, max, min, range, round,
              sorted, sum, zip)
}  # fmt: skip


class Sight:
    """A guest as rules see it, after a step."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        #: The guest's memory, see `Machine.ram`: ``ram[0x417]``.
        self.ram = machine.ram
        #: Whether the episode is over; for the reward, which is told last.
        self.terminated = False
        #: Steps of the episode.
        self.steps = 0
        self._codes: NDArray[np.uint8] | None = None
        self._text: list[str] | None = None
        self._before: list[float] = []
        self._asked = 0

    def word(self, address: int) -> int:
        """Two bytes of memory as a number without sign."""
        return int.from_bytes(self.ram[address : address + 2], "little")

    def dword(self, address: int) -> int:
        """Four bytes of memory."""
        return int.from_bytes(self.ram[address : address + 4], "little")

    @property
    def codes(self) -> NDArray[np.uint8]:
        """The same in code page 437, (rows, columns) uint8; (0, 0) if there is none."""
        if self._codes is None:
            try:
                self._codes = self._machine.screen.cells().astype(np.uint8)
            except ScreenError:
                self._codes = np.zeros((0, 0), np.uint8)
        return self._codes

    @property
    def text(self) -> list[str]:
        """The text screen, a string a row; a graphics mode has none."""
        if self._text is None:
            columns = self.codes.shape[1]
            text = to_unicode(self.codes.tobytes())
            self._text = [text[at : at + columns] for at in range(0, len(text), columns or 1)]
        return self._text

    def shows(self, text: str) -> bool:
        """Whether a row of the screen has a text."""
        return any(text in row for row in self.text)

    def gained(self, value: float) -> float:
        """By how much a value is more than a step before; at the first, 0.

        A rule that asks for several asks for all of them, in the same order, each time.
        """
        at, self._asked = self._asked, self._asked + 1
        if at == len(self._before):
            self._before.append(value)
        gain = value - self._before[at]
        self._before[at] = value
        return gain

    def begin(self) -> None:
        """An episode begins."""
        self._before.clear()
        self.steps, self.terminated = 0, False
        self.look()

    def look(self) -> None:
        """A step is over: what was seen before holds no more."""
        self._codes, self._text, self._asked = None, None, 0


Rule: TypeAlias = Callable[[Sight], float]


def rule_of(name: str, said: str | Rule) -> Rule:
    """A rule as a function of a `Sight`.

    Raises:
        GymError: It is neither an expression nor a function; or, when called, it fails. The message
            names it.
    """
    if callable(said):
        return said
    try:
        code = compile(said, f"<{name}>", "eval")
    except (SyntaxError, ValueError, TypeError) as error:
        raise GymError(f"{name}={said!r}: no expression of Python: {error}") from None
    return _Expression(name, said, code)


class _Expression:
    """An expression; each has its own names."""

    def __init__(self, name: str, said: str, code: CodeType) -> None:
        self._name, self._said, self._code = name, said, code
        self._names: dict[str, object] = {"__builtins__": BUILTINS}
        #: Reading the screen takes longer than most rules.
        self._uses_text = "text" in said
        self._sight: Sight | None = None

    def __call__(self, sight: Sight) -> float:
        names = self._names
        if sight is not self._sight:
            self._sight = sight
            for name in ("ram", "word", "dword", "shows", "gained"):
                names[name] = getattr(sight, name)
        names["steps"], names["terminated"] = sight.steps, sight.terminated
        if self._uses_text:
            names["text"] = sight.text
        try:
            return float(eval(self._code, names))
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise GymError(f"{self._name}={self._said!r}: {why}") from None
