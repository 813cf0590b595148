"""User: what the person at a machine's displays wants of it, and what is said in answer.

Displays tell what was done there as events (`vgaemu.display.events`); which key does what is the
window's to know. What an event does is one entry of `User.answers`, and who owns the thing that it
is about makes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from vgaemu.display.events import (
    Close,
    Event,
    MouseButton,
    MouseMoved,
    MousePlaced,
    PauseToggled,
    SingleStep,
)
from vgaemu.display.hostkeys import combination_of
from vgaemu.display.loop import DisplayLoop
from vgaemu.keys.mouse import Mouse
from vgaemu.keys.queue import Key, Keys
from vgaemu.runner import Runner


class User:
    """Who sits at a machine's displays.

    Args:
        keys: Where they type.
        mouse: What they move.
        runner: Whose guest they stop and let go on.
        loop: Who shows it to them.
    """

    #: Whether the display is to be closed.
    wants_to_close = False
    #: Whether the guest stands, and whether it is to run one frame nevertheless.
    paused = wants_a_step = False
    #: Why the guest takes no keys, as the displays were told.
    stands = ""

    def __init__(self, keys: Keys, mouse: Mouse, runner: Runner, loop: DisplayLoop) -> None:
        self._keys, self._runner, self._loop = keys, runner, loop
        #: What each kind of event does.
        self.answers: dict[type[Event], Callable[[Any], None]] = {
            Key: self._type,
            MouseMoved: lambda event: mouse.move(event.dx, event.dy, event.wheel),
            MousePlaced: lambda event: mouse.place(event.x, event.y),
            MouseButton: lambda event: mouse.button(event.number, event.pressed),
            Close: self._close,
            PauseToggled: self._toggle_pause,
            SingleStep: self._step,
        }

    def do(self, events: Iterable[Event]) -> None:
        """Do what was asked for, in that order; an event that nobody answers does nothing."""
        for event in events:
            answer = self.answers.get(type(event))
            if answer is not None:
                answer(event)

    @property
    def standstill(self) -> str:
        """Why the guest takes no keys; an empty string: it does."""
        if self.paused and not self._runner.ended:
            return f"paused; {combination_of(PauseToggled())} goes on"
        why = self._runner.standstill
        return f"{why}; {combination_of(Close())} quits" if why else ""

    def _type(self, key: Key) -> None:
        self._keys.put(key)
        if self.stands and key.pressed:
            self._loop.display.notice(self.stands)

    def _close(self, event: Close) -> None:
        self.wants_to_close = True

    def _toggle_pause(self, event: PauseToggled) -> None:
        self._pause(not self.paused)

    def _pause(self, on: bool) -> None:
        self.paused = on
        self._runner.pause(on)
        self._loop.display.pauses(on)

    def _step(self, event: SingleStep) -> None:
        self.wants_a_step = self.paused
        self._pause(True)  # a step of a running guest stops it
