"""Displays by name, for whoever takes a name or an object. Imports pygame only for a window."""

from __future__ import annotations

from vgaemu.display.null import NullDisplay
from vgaemu.display.report import Display


def make_display(name: str | Display) -> Display:
    """A display by name, or itself.

    Raises:
        ValueError: There is none of that name, or the object is none.
        DisplayError: It cannot be opened.
    """
    if not isinstance(name, str):
        if not all(callable(getattr(name, has, None)) for has in ("resize", "update", "close")):
            raise ValueError(
                "display is 'null', 'window', or an object with resize, update and close, "
                f"not {name!r}"
            )
        return name
    if name == "null":
        return NullDisplay()
    if name == "window":
        from vgaemu.display.window.window import WindowDisplay

        return WindowDisplay()
    raise ValueError(f"no display named {name!r}; there are null and window")
