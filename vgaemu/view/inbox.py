"""What viewers did, kept for whoever runs frames: threads put in, once a frame all is taken out.

It has bounds, whoever does what how fast, and however long no frame is run: then keys do not go
down any more, and pointers do not move; but whatever is down comes up.
"""

from __future__ import annotations

import threading
from collections import deque

from vgaemu.display.events import Event, MouseButton, MouseMoved, MousePlaced
from vgaemu.view.messages import PointerEvent

#: Events that wait.
MAX_EVENTS = 1024
#: Buttons of RFB by their bits, as a guest's mouse counts them; steps of the wheel by theirs.
BUTTONS = {0x01: 1, 0x02: 2, 0x04: 3}
WHEEL = {0x08: -1, 0x10: 1}


class Inbox:
    """Between sessions and whoever runs frames."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: deque[Event] = deque()

    @property
    def is_full(self) -> bool:
        """Whether what goes down now is not taken."""
        return len(self._events) >= MAX_EVENTS

    def put(self, event: Event) -> None:
        """One more; a pointer that was only on its way there is forgotten."""
        with self._lock:
            events = self._events
            if events and isinstance(event, MousePlaced) and isinstance(events[-1], MousePlaced):
                events.pop()
            events.append(event)

    def take(self) -> list[Event]:
        """All there are now: whoever sends without end does not keep us."""
        if not self._events:
            return []
        with self._lock:
            events = list(self._events)
            self._events.clear()
        return events


class Pointer:
    """One viewer's pointer: where it is, and which buttons are down."""

    def __init__(self) -> None:
        self._at: tuple[int, int] | None = None
        self._buttons = 0

    def events(self, pointer: PointerEvent, *, presses: bool = True) -> list[Event]:
        """What it did since it was told last; without `presses` only buttons come up."""
        events: list[Event] = []
        if presses and self._at != (pointer.x, pointer.y):
            self._at = pointer.x, pointer.y
            events.append(MousePlaced(*self._at))
        changed = self._buttons ^ pointer.buttons
        for bit, number in BUTTONS.items():
            if changed & bit and (presses or self._buttons & bit):
                self._buttons ^= bit
                events.append(MouseButton(number, bool(self._buttons & bit)))
        for bit, step in WHEEL.items():
            if presses and changed & bit:
                self._buttons ^= bit
                if self._buttons & bit:
                    events.append(MouseMoved(0, 0, step))
        return events

    def release_all(self) -> list[Event]:
        """Let all buttons go."""
        return self.events(PointerEvent(0, 0, 0), presses=False)
