"""What a display's user did: keys for the guest, and what is for the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from vgaemu.keys.queue import Key  # brings numpy, which a command's help does not wait for


@dataclass(frozen=True)
class _Asked:
    """An event that is all said by what it is: equal to another of its kind.

    Each of those as a dataclass of its own made this module take as long to import as ten others.
    """

    __slots__ = ()


class Close(_Asked):
    """The user closed the window."""

    __slots__ = ()


class PauseToggled(_Asked):
    """Stop the guest, or let it go on."""

    __slots__ = ()


class SingleStep(_Asked):
    """While paused: run one frame; else stop the guest."""

    __slots__ = ()


class Screenshot(_Asked):
    """Save what the screen shows."""

    __slots__ = ()


class NextDirtyLog(_Asked):
    """Let another keep VRAM's dirty log: the next of `vgaemu.memslot.steps.STEPS`."""

    __slots__ = ()


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


class SaveState(_Asked):
    """Save the state into the slot that is chosen."""

    __slots__ = ()


class LoadState(_Asked):
    """Go on from the state in the slot that is chosen."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SlotStep:
    """Choose another slot for states, so many further on."""

    by: int


class RecordingToggled(_Asked):
    """Record what the screen shows from now on, or no longer."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Turbo:
    """Let the guest run as fast as it can, or as before."""

    on: bool


@dataclass(frozen=True, slots=True)
class Rewinding:
    """Let the run go backwards, a frame a frame, or forwards again."""

    on: bool


@dataclass(frozen=True, slots=True)
class Paste:
    """Type a text, as fast as the guest takes it; while one is being typed: stop that."""

    text: str


@dataclass(frozen=True, slots=True)
class CopyText:
    """Give the text on the screen to whoever asks."""

    put: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class FileDropped:
    """Run a file instead of what runs."""

    path: str


@dataclass(frozen=True, slots=True)
class MouseWanted:
    """Let the mouse be the guest's: the display gets `capture_mouse` if the guest listens to it."""

    #: By a click into the picture, which is no question: nothing is said if nobody listens.
    by_click: bool = False


Mouse: TypeAlias = MouseMoved | MousePlaced | MouseButton
Event: TypeAlias = (
    "Key | Mouse | MouseWanted | Close | PauseToggled | SingleStep | Turbo | Rewinding | Screenshot"
    " | RecordingToggled | NextDirtyLog | SaveState | LoadState | SlotStep | Paste | CopyText"
    " | FileDropped"
)
