"""Where picture and panel lie in a window, and how large a window should be. Pure arithmetic.

The panel lies below the picture, or beside it where that leaves the picture more room, and never
on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from vgaemu.display.panel.layout import (
    BELOW_HEIGHT,
    BESIDE_WIDTHS,
    MIN_BESIDE_HEIGHT,
    MIN_WIDTH,
    NARROWEST,
    NOWHERE,
)  # fmt: skip
from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.display.viewport import Aspect, Size, Viewport, fitted_size, scaled_size

#: What the desktop takes for a title bar and a task bar.
DESKTOP_MARGIN = (16, 80)
#: Pixels of width and height that the panel must leave to the picture, or it is not shown.
MIN_PICTURE = 100


@dataclass(frozen=True)
class Wishes:
    """How the user wants the picture."""

    #: Window pixels that a column takes; None for as many as fit.
    scale: int | None = None
    aspect: Aspect = "auto"
    #: Window pixels of the overscan colour around it.
    border: int = 0


def shape(info: ScreenInfo) -> tuple[object, ...]:
    """What the layout of the window depends on."""
    return info.width, info.height, info.aspect, info.is_text, info.slot_pages


def natural_size(
    info: ScreenInfo, desktop: Size, wishes: Wishes, *, panel: bool, reserved: bool
) -> Size:
    """The window around the picture at the scale wished for, or the largest that fits.

    The `panel` is below; room `reserved` for it keeps the picture's size whether it is on or off.
    """
    border = 2 * wishes.border
    if wishes.scale is None:
        below = BELOW_HEIGHT if reserved else 0
        margin_x, margin_y = DESKTOP_MARGIN
        room = desktop[0] - margin_x - border, desktop[1] - margin_y - below - border
        width, height = fitted_size(info, room, wishes.aspect)
    else:
        width, height = scaled_size(info, wishes.scale, wishes.aspect)
    width = max(width + border, MIN_WIDTH if reserved else 0)
    return width, height + border + (BELOW_HEIGHT if panel else 0)


def lay_out(
    info: ScreenInfo, size: Size, wishes: Wishes, *, panel: bool, exact: bool
) -> tuple[Viewport, Rect]:
    """The places of the picture and, if there is room, a `panel` in a window; else `NOWHERE`.

    `exact` keeps to the scale wished for if it fits, however much larger the window is.
    """

    def picture_size(room: Size) -> Size:
        room = max(1, room[0] - 2 * wishes.border), max(1, room[1] - 2 * wishes.border)
        if exact and wishes.scale is not None:
            scaled = scaled_size(info, wishes.scale, wishes.aspect)
            if scaled[0] <= room[0] and scaled[1] <= room[1]:
                return scaled
        return fitted_size(info, room, wishes.aspect)

    def worth(choice: tuple[Size, Rect]) -> tuple[bool, int]:
        """A picture that lost no pixel is worth more than a larger one that did."""
        width, height = picture_size(choice[0])
        return width >= info.width and height >= info.height, width * height

    choices = _with_panel(size) if panel else []
    room, place = max(choices, key=worth, default=(size, NOWHERE))
    width, height = picture_size(room)
    left, top = (room[0] - width) // 2, (room[1] - height) // 2
    smooth = wishes.aspect == "4:3"
    return Viewport(left, top, width, height, (info.width, info.height), smooth), place


def _with_panel(size: Size) -> list[tuple[Size, Rect]]:
    """What room the picture can have, and the place of the panel then."""
    width, height = size
    choices = []
    if height >= BELOW_HEIGHT + MIN_PICTURE and width >= NARROWEST:
        rest = height - BELOW_HEIGHT
        choices.append(((width, rest), Rect(0, rest, width, BELOW_HEIGHT)))
    if height >= MIN_BESIDE_HEIGHT:
        choices += [
            ((width - wide, height), Rect(width - wide, 0, wide, height))
            for wide in BESIDE_WIDTHS
            if width - wide >= MIN_PICTURE
        ]
    return choices
