"""Outlines of what was redrawn, and tints of the clean pages taken along; they fade. No pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vgaemu.display.panel.draw import CLEAN, DIRTY
from vgaemu.display.report import Rect
from vgaemu.display.viewport import Viewport

#: Frames that an outline takes to fade.
FADE_FRAMES = 20
#: Outlines that live at once; beyond, the oldest go.
MAX_OUTLINES = 128
#: How much of a fresh tint of clean pages covers the picture, of 255.
TINT_ALPHA = 64


class Outlines:
    """Rectangles of the picture, and how many frames ago each was drawn.

    >>> outlines = Outlines()
    >>> outlines.next_frame([Rect(0, 0, 9, 16)], clean=[])
    [Rect(x=0, y=0, width=9, height=16)]
    >>> len(outlines)
    1
    """

    def __init__(self) -> None:
        #: Rectangle, whether of clean pages -> age; oldest first, so that fresh ones lie on top.
        self._ages: dict[tuple[Rect, bool], int] = {}

    def __len__(self) -> int:
        return len(self._ages)

    def clear(self) -> None:
        self._ages.clear()

    def next_frame(self, drawn: Sequence[Rect], clean: Sequence[Rect]) -> list[Rect]:
        """Let the old ones fade and take in what this frame redrew, `clean` on clean pages.

        Returns:
            Where the picture looks otherwise than before: new, older and vanished ones.
        """
        touched = [*drawn, *clean, *(rect for rect, _ in self._ages)]
        aged = {key: age + 1 for key, age in self._ages.items() if age + 1 < FADE_FRAMES}
        self._ages = dict(sorted(aged.items(), key=lambda item: -item[1]))
        for rect in clean:
            self._ages[rect, True] = 0
        for rect in drawn:
            self._ages[rect, False] = 0
        while len(self._ages) > MAX_OUTLINES:
            del self._ages[next(iter(self._ages))]
        return list(dict.fromkeys(touched))

    def marks(self, viewport: Viewport) -> Iterator[tuple[Rect, int, float]]:
        """What to lay over the picture: where in the window, 0x00RRGGBB, alpha of 255."""
        thickness = max(1, viewport.width // viewport.source[0])
        for (rect, clean), age in self._ages.items():
            left = 1 - age / FADE_FRAMES
            place = viewport.place(rect)
            if clean:
                yield place, CLEAN, TINT_ALPHA * left
            else:
                for edge in edges(place, thickness):
                    yield edge, DIRTY, 255 * left


def edges(place: Rect, thickness: int) -> list[Rect]:
    """A frame just inside a rectangle; a rectangle too low for one is all frame.

    >>> edges(Rect(0, 0, 9, 2), 1)
    [Rect(x=0, y=0, width=9, height=2)]
    """
    x, y, width, height = place
    if height <= 2 * thickness or width <= 2 * thickness:
        return [place]
    inner = height - 2 * thickness
    return [
        Rect(x, y, width, thickness),
        Rect(x, y + height - thickness, width, thickness),
        Rect(x, y + thickness, thickness, inner),
        Rect(x + width - thickness, y + thickness, thickness, inner),
    ]
