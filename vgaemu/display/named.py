"""Displays by name, for whoever takes a name or an object. Imports pygame only for a window."""

from __future__ import annotations

from collections.abc import Sequence

from vgaemu.display.base import BaseDisplay, as_display
from vgaemu.display.displays import Displays
from vgaemu.display.report import Display
from vgaemu.errors import DisplayError

#: Displays with a person before them: the guest of such a machine has a thread of its own.
FOR_PEOPLE = ("window", "terminal")


def has_people(name: str | Display | Sequence[str | Display]) -> bool:
    """Whether one of what `make_display` takes is named as such a display."""
    if isinstance(name, Sequence) and not isinstance(name, str):
        return any(has_people(each) for each in name)
    return name in FOR_PEOPLE


def make_display(name: str | Display | Sequence[str | Display]) -> BaseDisplay:
    """A display by name, or of a user's object; of several of them, all as one.

    Raises:
        DisplayError: There is none of that name, the object is none, or it cannot be opened.
    """
    if isinstance(name, Sequence) and not isinstance(name, str):
        displays = Displays()
        opened: list[tuple[BaseDisplay, bool]] = []
        try:
            for each in name:
                display = make_display(each)
                displays.add(display)
                opened.append((display, isinstance(each, str)))
        except BaseException:
            for display, is_ours in opened:
                displays.remove(display.shown_by, close=is_ours)
            raise
        return displays
    if not isinstance(name, str):
        return as_display(name)
    if name == "null":
        return BaseDisplay()
    if name == "window":
        from vgaemu.display.window.window import WindowDisplay

        return WindowDisplay()
    if name == "terminal":
        from vgaemu.display.terminal.terminal import TerminalDisplay

        return TerminalDisplay()
    raise DisplayError(f"no display named {name!r}; there are null, window and terminal")
