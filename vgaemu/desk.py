"""Desk: what the user of a display asks for besides keys and pauses, each with its answer.

States in slots, turbo, a text that is typed or copied, the mouse. Answers end in a line for the
user, if there is something to say.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vgaemu.display.events import (
    CopyText,
    Event,
    LoadState,
    MouseWanted,
    Paste,
    SaveState,
    SlotStep,
    Turbo,
)
from vgaemu.display.hostkeys import WindowChange, combination_of
from vgaemu.display.loop import DisplayLoop
from vgaemu.display.screen import Screen
from vgaemu.errors import DisplayError, file_error
from vgaemu.keys.mouse import Mouse
from vgaemu.keys.queue import Key, Keys
from vgaemu.outputs import next_free_name
from vgaemu.runner import HOLD_SECONDS, Runner
from vgaemu.saving import Saving
from vgaemu.slots import Slots
from vgaemu.typist import Typist

if TYPE_CHECKING:
    from vgaemu.pc.pc import Pc

log = logging.getLogger(__name__)


class Desk:
    """What stands between a machine's user and its parts.

    Args:
        name: What files of its states are called: see `vgaemu.slots.name_for`.
        keys: Where is typed.
        mouse: What the guest may listen to.
        pc: The PC around machine code.
        runner: Who runs the guest.
        loop: Who draws, and for whom.
        saving: Who saves and loads.
        between_frames: What is called between two frames.
    """

    def __init__(
        self,
        name: str,
        keys: Keys,
        mouse: Mouse,
        pc: Pc | None,
        runner: Runner,
        loop: DisplayLoop,
        saving: Saving,
        between_frames: list[Callable[[], None]],
    ) -> None:
        self._keys, self._mouse, self._pc, self._runner = keys, mouse, pc, runner
        self._loop, self._saving = loop, saving
        #: Who types what is pasted.
        self.typist = Typist(keys, pc, self._tell, between_frames)
        slots = Slots(name, saving.save, self._load, self._tell, machine_code=pc is not None)
        stop = combination_of(WindowChange.PASTE)
        #: What each kind of event does.
        self.answers: dict[type[Event], Callable[[Any], None]] = {
            SaveState: lambda event: slots.save(),
            LoadState: lambda event: slots.load(),
            SlotStep: lambda event: slots.step(event.by),
            Turbo: lambda event: self._race(event.on),
            Paste: lambda event: self.typist.begin(event.text, stop),
            CopyText: lambda event: self._tell(copy_text(loop.screen, event.put)),
            MouseWanted: self._give_mouse,
        }

    def _tell(self, text: str) -> None:
        self._loop.display.notice(text)

    def _load(self, path: Path) -> None:
        """Go on from a state with no keys held: not those of now, nor those when it was saved."""
        self.typist.stop()
        held = self._keys.down
        self._saving.load(path)
        if self._pc is not None and self._pc.board.keyboard.held is not None:
            held.append(self._pc.board.keyboard.held[0])
        for key in held:
            self._keys.put(Key(key, False))

    def _race(self, on: bool) -> None:
        """Let the guest run as fast as it can; displays are drawn as often as before."""
        held = self._runner.hold(HOLD_SECONDS)
        self._runner.race(on)
        if self._pc is not None and held:
            self._pc.race(on)
        self._runner.release()

    def _give_mouse(self, event: MouseWanted) -> None:
        if self._mouse.listening:
            self._loop.display.capture_mouse()
        elif not event.by_click:
            self._tell("the guest listens to no mouse")


def copy_text(screen: Screen, put: Callable[[str], object]) -> str:
    """Give the text of the screen to `put`, and say how much; blanks at ends are left out."""
    if not screen.is_text:
        return f"no text to copy: the mode is {screen.info.mode_name}"
    text = "\n".join(row.rstrip() for row in screen.text()).rstrip("\n")
    if not text:
        return "no text to copy: the screen is blank"
    try:
        put(text + "\n")
    except DisplayError as error:
        return str(error)
    return f"copied {text.count(chr(10)) + 1} rows"


def save_screenshot(screen: Screen, tell: Callable[[str], None]) -> None:
    """Save the picture under the next free name ``vgaemu-001.png`` ... in the current folder."""
    path = next_free_name(".png")
    try:
        screen.save(path)
    except OSError as error:
        said = file_error(path, error, "no screenshot was saved")
        log.error(said)
    else:
        said = f"saved {path}"
        log.info(said)
    tell(said)


def refuse_file(path: str, tell: Callable[[str], None]) -> None:
    """A file was dropped on a display of a machine that whoever holds it has made."""
    tell(f"{path}: this machine keeps its guest; 'vgaemu run' takes files")
