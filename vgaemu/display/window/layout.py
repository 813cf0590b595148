"""Where picture and panel lie in a window, and how large a window should be. Pure arithmetic.

The picture comes first: a panel that nobody asked for is only there where it costs the picture
nothing. It lies below the picture or beside it, never on it, and is enlarged with the window.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import product
from typing import NamedTuple

from vgaemu.display.panel.layout import (
    BELOW_HEIGHT,
    BESIDE_WIDTHS,
    LOW_HEIGHT,
    MIN_BESIDE_HEIGHT,
    MIN_WIDTH,
    NARROWEST,
    NOWHERE,
)
from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.display.viewport import Aspect, Size, Viewport, fitted_size, scaled_size

#: What the desktop takes for a title bar and a task bar.
DESKTOP_MARGIN = (16, 80)
#: Pixels of width and height that the panel must leave to the picture, or it is not shown.
MIN_PICTURE = 100
#: Height of a window for each time that the panel's pixels are repeated: twice at 3840x2160.
HEIGHT_A_SCALE = 900


class PanelWish(Enum):
    """How much the user wants the panel."""

    HIDDEN = auto()
    #: If the picture is not smaller for it.
    IF_FREE = auto()
    #: Whatever it costs.
    SHOWN = auto()


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


class Layout(NamedTuple):
    """The places of picture and panel in a window."""

    viewport: Viewport
    #: `NOWHERE` if there is none; how often each of its pixels is repeated across and down.
    panel: Rect
    panel_scale: int


class _Form(NamedTuple):
    """A shape that the panel may have, in its own pixels."""

    beside: bool
    #: Its width beside the picture, or its height below.
    thick: int
    #: Its other extent: the least, and from which on it shows the most.
    least: int
    full: int
    #: Whether that is everything.
    everything: bool = True


#: Of equals the first.
_FORMS = (
    _Form(False, BELOW_HEIGHT, NARROWEST, MIN_WIDTH),
    *(_Form(True, width, MIN_BESIDE_HEIGHT, MIN_BESIDE_HEIGHT) for width in BESIDE_WIDTHS),
    _Form(False, LOW_HEIGHT, NARROWEST, MIN_WIDTH, everything=False),
)


class _Choice(NamedTuple):
    """What room the picture can have, how large it is there, and the panel then."""

    room: Size
    picture: Size
    #: Whether it is as large as without a panel, and lost none of its pixels.
    free: bool = True
    whole: bool = True
    panel: Rect = NOWHERE
    everything: bool = False
    scale: int = 1

    @property
    def worth(self) -> tuple[int, ...]:
        """The picture first."""
        area = self.picture[0] * self.picture[1]
        return self.whole, area, self.everything, self.scale


def first_size(info: ScreenInfo, desktop: Size, wishes: Wishes, panel: PanelWish) -> Size:
    """The window around the picture at the scale wished for, or the largest that fits.

    Of windows that show the picture alike, it is the one with the most of a panel.
    """
    room = desktop[0] - DESKTOP_MARGIN[0], desktop[1] - DESKTOP_MARGIN[1]
    border = 2 * wishes.border
    alone = _picture_size(info, room, wishes, fits=wishes.scale is None)
    bare = alone[0] + border, alone[1] + border
    if panel is PanelWish.HIDDEN:
        return bare
    free, best = panel is PanelWish.IF_FREE, None
    for form, scale in _forms(room[1]):
        thick, full = form.thick * scale, form.full * scale
        left = (room[0] - thick, room[1]) if form.beside else (room[0], room[1] - thick)
        picture = _picture_size(info, left, wishes, fits=wishes.scale is None)
        width, height = picture
        if form.beside:
            window = width + border + thick, max(height + border, full)
        else:
            window = max(width + border, min(full, room[0])), height + border + thick
        fits = window[0] <= room[0] and window[1] <= room[1]
        if fits or not free:
            choice = _choose(info, window, wishes, panel, exact=True)
            same = picture == alone
            if choice.panel.area and (same or not free):
                worth = fits, same, choice.worth
                if best is None or worth > best[0]:
                    best = worth, window
    return best[1] if best else bare


def lay_out(
    info: ScreenInfo, size: Size, wishes: Wishes, panel: PanelWish, *, exact: bool
) -> Layout:
    """The places of picture and panel in a window of some size.

    `exact` keeps to the scale wished for if it fits, however much larger the window is.
    """
    choice = _choose(info, size, wishes, panel, exact=exact)
    (width, height), room = choice.picture, choice.room
    left, top = (room[0] - width) // 2, (room[1] - height) // 2
    smooth = wishes.aspect == "4:3"
    viewport = Viewport(left, top, width, height, (info.width, info.height), smooth)
    return Layout(viewport, choice.panel, choice.scale)


def _choose(
    info: ScreenInfo, size: Size, wishes: Wishes, panel: PanelWish, *, exact: bool
) -> _Choice:
    wishes = wishes if exact else replace(wishes, scale=None)
    alone = _Choice(size, _picture_size(info, size, wishes))
    choices = []
    for form, scale in _forms(size[1]) if panel is not PanelWish.HIDDEN else ():
        room, place = _divided(size, form, scale)
        along = place.height if form.beside else place.width
        if min(room) < MIN_PICTURE or along < form.least * scale:
            continue
        picture = _picture_size(info, room, wishes)
        free = picture == alone.picture
        whole = picture[0] >= info.width and picture[1] >= info.height
        everything = form.everything and along >= form.full * scale
        if free or panel is PanelWish.SHOWN:
            choices.append(_Choice(room, picture, free, whole, place, everything, scale))
    return max(choices, key=lambda choice: (choice.free, choice.worth), default=alone)


def _forms(height: int) -> Iterator[tuple[_Form, int]]:
    """Shapes of the panel in a window of some height, and how often its pixels are repeated."""
    return product(_FORMS, range(max(1, height // HEIGHT_A_SCALE), 0, -1))


def _divided(size: Size, form: _Form, scale: int) -> tuple[Size, Rect]:
    """The picture's room, and the panel's place."""
    width, height = size
    thick = form.thick * scale
    if form.beside:
        return (width - thick, height), Rect(width - thick, 0, thick, height)
    return (width, height - thick), Rect(0, height - thick, width, thick)


def _picture_size(info: ScreenInfo, room: Size, wishes: Wishes, *, fits: bool = True) -> Size:
    """As large as is wished for, or as fits into a room if it has to."""
    room = max(1, room[0] - 2 * wishes.border), max(1, room[1] - 2 * wishes.border)
    if wishes.scale is not None:
        scaled = scaled_size(info, wishes.scale, wishes.aspect)
        if not fits or (scaled[0] <= room[0] and scaled[1] <= room[1]):
            return scaled
    return fitted_size(info, room, wishes.aspect)
