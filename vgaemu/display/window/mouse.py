"""The host's mouse while it is the guest's: it stays in the window, its movements alone count."""

from __future__ import annotations

from vgaemu.display.events import Event, MouseButton, MouseMoved
from vgaemu.display.window.sdl import pygame

#: SDL's events that are of a mouse.
MOUSE_EVENTS = frozenset(
    (pygame.MOUSEMOTION, pygame.MOUSEWHEEL, pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP)
)
#: SDL's buttons that a guest's mouse has: left, middle, right.
BUTTONS = (pygame.BUTTON_LEFT, pygame.BUTTON_MIDDLE, pygame.BUTTON_RIGHT)


class HostMouse:
    """Whether it is captured, and which buttons the guest has seen go down."""

    def __init__(self) -> None:
        self.captured = False
        self._down: set[int] = set()

    def capture(self) -> None:
        """Its movements are the guest's from now on, also those that would leave the window."""
        self.captured = True
        pygame.event.set_allowed(pygame.MOUSEMOTION)
        # Both together: SDL then tells movements alone, and the pointer stays where it is.
        pygame.mouse.set_visible(False)
        pygame.event.set_grab(True)

    def let_go(self, *, visible: bool) -> list[Event]:
        """It is the desktop's again; what the guest has not seen go up goes up."""
        if not self.captured:
            return []
        self.captured = False
        pygame.event.set_grab(False)
        pygame.mouse.set_visible(visible)
        pygame.event.set_blocked(pygame.MOUSEMOTION)
        released: list[Event] = [MouseButton(number, False) for number in sorted(self._down)]
        self._down.clear()
        return released

    def answer(self, event: pygame.event.Event) -> list[Event]:
        """What it did, for the guest; `event` is one of `MOUSE_EVENTS`."""
        if event.type == pygame.MOUSEMOTION:
            return [MouseMoved(*event.rel)]
        if event.type == pygame.MOUSEWHEEL:  # SDL counts away from the user
            return [MouseMoved(0, 0, -event.y)]
        if event.button not in BUTTONS:  # the wheel, once more
            return []
        pressed = event.type == pygame.MOUSEBUTTONDOWN
        (self._down.add if pressed else self._down.discard)(event.button)
        return [MouseButton(event.button, pressed)]


def joined(events: list[Event]) -> list[Event]:
    """Movements that follow each other as one: a mouse tells a thousand a second.

    >>> joined([MouseMoved(1, 2), MouseMoved(3, 0), MouseButton(1, True), MouseMoved(1, 1)])[::2]
    [MouseMoved(dx=4, dy=2, wheel=0), MouseMoved(dx=1, dy=1, wheel=0)]
    """
    kept: list[Event] = []
    for event in events:
        last = kept[-1] if kept else None
        if isinstance(event, MouseMoved) and isinstance(last, MouseMoved):
            kept[-1] = MouseMoved(last.dx + event.dx, last.dy + event.dy, last.wheel + event.wheel)
        else:
            kept.append(event)
    return kept
