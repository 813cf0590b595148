"""A machine in a notebook: its picture as a widget, and its keyboard. Needs the extra `notebook`.

    from vgaemu.notebook import View

    view = View(vgaemu.Machine("typing"))
    view

The machine runs in the notebook's own event loop, between the cells: no two threads share it, so
a cell may do with it what it likes, and while a cell runs the picture stands. Without a loop, as in
a script, nothing runs by itself. Every pixel is shown as it is (PNG).

Machines and screens themselves are shown as pictures, with nothing to install: `machine.screen`.

Not here: the mouse, and keys that repeat while they are held (the browser's are left out).
Source: jupyter_rfb's event specification, which follows the DOM's KeyboardEvent.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.base import BaseDisplay
from vgaemu.display.report import FrameReport, Rect, ScreenInfo
from vgaemu.errors import DisplayError
from vgaemu.keys.queue import Key, key_text
from vgaemu.keys.table import BY_NAME, CHARACTER_NAMES
from vgaemu.machine import FRAME_HZ, Machine

try:
    from jupyter_rfb import RemoteFrameBuffer
except ImportError:
    raise DisplayError(
        "vgaemu.notebook needs jupyter-rfb: pip install 'vgaemu[notebook]'"
    ) from None

#: Names of the DOM that are not ours in capitals.
_NAMES = {
    "Escape": "esc", "ArrowUp": "up", "ArrowDown": "down", "ArrowLeft": "left",
    "ArrowRight": "right", "Control": "ctrl", "PrintScreen": "print", "ContextMenu": "menu",
    "AltGraph": "alt",
}  # fmt: skip
#: The DOM's modifiers.
_MODIFIERS = {"Control": "ctrl", "Alt": "alt"}


def key_of(dom_key: str, modifiers: Sequence[str] = ()) -> Key | None:
    r"""The key that goes down, by ``KeyboardEvent.key``; None for one that no PC has.

    >>> key_of("A"), key_of("ArrowUp").name, key_of("c", ["Control"]).text, key_of("MediaPlay")
    (Key(name='A', pressed=True, text='A'), 'up', '\x03', None)
    """
    name = dom_key if len(dom_key) == 1 else _NAMES.get(dom_key, dom_key.lower())
    name = CHARACTER_NAMES.get(name, name)
    if name not in BY_NAME and not (len(name) == 1 and name.isprintable()):
        return None
    held = [f"{_MODIFIERS[modifier]}-" for modifier in modifiers if modifier in _MODIFIERS]
    return Key(name, True, key_text("".join(held) + name))


class NotebookKeyboard:
    """What is down; a key goes up under the name under which it went down."""

    def __init__(self) -> None:
        self._down: dict[object, Key] = {}

    def event(self, event: Mapping[str, object]) -> Key | None:
        """A ``key_down`` or ``key_up`` of the browser as the guest's key, if it is one."""
        modifiers = event.get("modifiers", ())
        assert isinstance(modifiers, Sequence)
        key = key_of(str(event.get("key", "")), modifiers)
        if key is None:
            return None
        # A and a are one key, as are ! and 1.
        which = BY_NAME[key.name][0].scancode if key.name in BY_NAME else key.name
        if event["type"] == "key_down":
            self._down[which] = key
            return key
        went_down = self._down.pop(which, None)
        return None if went_down is None else Key(went_down.name, False)

    def release_all(self) -> list[Key]:
        """Let all keys go."""
        released = [Key(key.name, False) for key in self._down.values()]
        self._down.clear()
        return released


class _Eye(BaseDisplay):
    """The machine's display that a view is: it asks for a picture when there is another."""

    in_step = True

    def __init__(self, view: View) -> None:
        self._view = view

    def resize(self, screen: ScreenInfo) -> None:
        height = max(1, round(self._view.picture_width / screen.aspect))
        self._view.css_height = f"{height}px"

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        if rects:
            self._view.request_draw()


class View(RemoteFrameBuffer):
    """A widget that shows a machine's picture, runs it, and takes its keys. Click it to type.

    Args:
        machine: It goes on being yours: closing the view leaves it as it is.
        width: Of the picture in the notebook, in CSS pixels; it has the aspect of a monitor's.
        speed: 1 is 60 frames a second; 0 is as fast as possible.
        run: Whether the machine runs between the cells; else it shows what cells let it do.

    Raises:
        DisplayError: The machine is closed.
    """

    #: The machine.
    machine: Machine
    #: Of the picture, in CSS pixels.
    picture_width: int

    def __init__(
        self, machine: Machine, *, width: int = 720, speed: float = 1.0, run: bool = True
    ) -> None:
        self.machine, self.picture_width = machine, width
        self._period = 1 / (FRAME_HZ * speed) if speed else 0.0
        self._keyboard = NotebookKeyboard()
        self._task: asyncio.Task[None] | None = None
        height = max(1, round(width / machine.screen.info.aspect))
        super().__init__(css_width=f"{width}px", css_height=f"{height}px", quality=100)
        self._eye = _Eye(self)
        machine.add_display(self._eye)
        machine.before_close.append(self.stop)
        if run:
            self.start()

    def __repr__(self) -> str:
        does = "running" if self.is_running else "standing"
        return f"<vgaemu.notebook.View of {self.machine.screen.info.mode_name}, {does}>"

    def _repr_mimebundle_(self, **kwargs: object) -> object:
        """The widget, and for who cannot show it, as a saved notebook, the picture of now."""
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["image/png"] = b64encode(self.machine._repr_png_()).decode()
        return bundle

    def start(self) -> None:
        """Let the machine run between the cells, if there is a loop that could."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._run())

    def stop(self) -> None:
        """Let it stand, until `start`; cells may run it."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    @property
    def is_running(self) -> bool:
        """Whether the machine runs between the cells."""
        return self._task is not None and not self._task.done()

    async def _run(self) -> None:
        due = time.monotonic()
        while not self.machine.closed_by_user():
            try:
                self.machine.take_turn()
            except Exception as error:
                self.print(f"the guest failed: {type(error).__name__}: {error}")
                return
            due = max(due + self._period, time.monotonic() - self._period)
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    def get_frame(self) -> NDArray[np.uint8]:
        """The picture, (height, width, 3) uint8; jupyter_rfb asks for it."""
        return self.machine.screen.rgb()

    def handle_event(self, event: Mapping[str, object]) -> None:
        """What the user does; jupyter_rfb tells."""
        match event["type"]:
            case "key_down" | "key_up":
                key = self._keyboard.event(event)
                if key is not None:
                    self.machine.user.do([key])
            case "close":
                self._leave()

    def _leave(self) -> None:
        self.stop()
        self.machine.user.do(self._keyboard.release_all())
        if self.stop in self.machine.before_close:
            self.machine.before_close.remove(self.stop)
            self.machine.remove_display(self._eye)
