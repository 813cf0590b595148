"""What a display's user did: keys for the guest, and what is for the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from vgaemu.keys.queue import Key  # brings numpy, which a command's help does not wait for


@dataclass(frozen=True, slots=True)
class Close:
    """The user closed the window."""


@dataclass(frozen=True, slots=True)
class PauseToggled:
    """Stop the guest, or let it go on."""


@dataclass(frozen=True, slots=True)
class SingleStep:
    """While paused: run one frame."""


@dataclass(frozen=True, slots=True)
class Screenshot:
    """Save what the screen shows."""


@dataclass(frozen=True, slots=True)
class NextDirtyLog:
    """Let another keep VRAM's dirty log: the next of `vgaemu.memslot.steps.STEPS`."""


@dataclass(frozen=True, slots=True)
class MouseMoved:
    """The mouse was moved so many steps right and down, its wheel towards the user."""

    dx: int
    dy: int
    wheel: int = 0


@dataclass(frozen=True, slots=True)
class MousePlaced:
    """A pointer was put on a pixel of the picture."""

    x: int
    y: int


@dataclass(frozen=True, slots=True)
class MouseButton:
    """Button 1 (left), 2 (middle) or 3 (right) of the mouse went down or up."""

    number: int
    pressed: bool


Mouse: TypeAlias = MouseMoved | MousePlaced | MouseButton
Event: TypeAlias = "Key | Mouse | Close | PauseToggled | SingleStep | Screenshot | NextDirtyLog"
