"""Displays by name, for whoever takes a name or an object. Imports pygame only for a window."""

from __future__ import annotations

from vgaemu.display.null import NullDisplay
from vgaemu.display.report import Display


def make_display(name: str) -> Display:
    """A display by name.

    Raises:
        ValueError: There is none of that name.
        DisplayError: It cannot be opened.
    """
    if name == "null":
        return NullDisplay()
    if name == "window":
        from vgaemu.display.window import WindowDisplay

        return WindowDisplay()
    raise ValueError(f"no display named {name!r}; there are null and window")
