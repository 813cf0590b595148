"""What a viewer has on its screen, as this side knows it: then only what differs is sent.

The dirty log names pages, so rectangles of graphics are whole rows; of what it names most is often
as it was. A viewer that is slow gets the union of what it missed, which says even less. And where
the guest scrolled by the start address, most of the new picture lies on the viewer's screen
already, elsewhere: `CopyRect`, if comparing says so. A guess that is wrong costs time, and nothing
else: what the viewer has is here to compare with.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.report import Rect
from vgaemu.vga.kinds import Kind
from vgaemu.vga.rows import runs
from vgaemu.vga.scanout import CrtcRows, Scanout
from vgaemu.view.pixelformat import Pixels

#: So many rows that are as they were, between two that changed, are worth another rectangle's head.
GAP_ROWS = 16
#: Fewer rows are not worth copying.
MIN_COPIED_ROWS = 16


class Move(NamedTuple):
    """Part of what the viewer has goes elsewhere."""

    to: Rect
    from_x: int
    from_y: int


class Seen:
    """A viewer's picture.

    Args:
        width: Of its screen, in pixels.
        height: Likewise.
    """

    def __init__(self, width: int, height: int) -> None:
        #: (height, width) uint32 0x00RRGGBB.
        self.pixels: Pixels = np.zeros((height, width), np.uint32)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.pixels.shape
        return width, height

    def fitted(self, frame: Pixels) -> Pixels:
        """A picture of any size cut to that of the screen, or with black beside it."""
        if frame.shape == self.pixels.shape:
            return frame
        fitted = np.zeros_like(self.pixels)
        height, width = (min(pair) for pair in zip(frame.shape, fitted.shape, strict=True))
        fitted[:height, :width] = frame[:height, :width]
        return fitted

    def changed(self, frame: Pixels, rect: Rect) -> Iterator[Rect]:
        """The parts of a rectangle where `frame`, which covers it, differs; from the top."""
        window = _slices(rect)
        differs = frame[window] != self.pixels[window]
        rows = np.flatnonzero(differs.any(axis=1))
        if not len(rows):
            return
        cuts = np.flatnonzero(np.diff(rows) > GAP_ROWS)
        for first, last in zip((0, *(cuts + 1)), (*cuts, len(rows) - 1), strict=True):
            top, bottom = int(rows[first]), int(rows[last]) + 1
            columns = np.flatnonzero(differs[top:bottom].any(axis=0))
            left, right = int(columns[0]), int(columns[-1]) + 1
            yield Rect(rect.x + left, rect.y + top, right - left, bottom - top)

    def take(self, frame: Pixels, rect: Rect) -> Pixels:
        """Copy part of `frame`: the viewer will have it. (height, width), contiguous."""
        pixels = np.ascontiguousarray(frame[_slices(rect)]).copy()
        self.pixels[_slices(rect)] = pixels
        return pixels

    def move(self, frame: Pixels, dx: int, dy: int) -> Move | None:
        """The rows of `frame` that are what the viewer has `dx` further right, `dy` further down.

        Returns:
            The most that there are on each other; it counts as done. None: hardly any.
        """
        height, width = self.pixels.shape
        if not (dx or dy) or abs(dx) >= width or abs(dy) >= height:
            return None
        to = Rect(max(0, -dx), max(0, -dy), width - abs(dx), height - abs(dy))
        source = Rect(to.x + dx, to.y + dy, to.width, to.height)
        equal = (frame[_slices(to)] == self.pixels[_slices(source)]).all(axis=1)
        top, count = _longest_run(equal)
        if count < MIN_COPIED_ROWS:
            return None
        to = Rect(to.x, to.y + top, to.width, count)
        source = Rect(to.x + dx, to.y + dy, to.width, count)
        self.pixels[_slices(to)] = self.pixels[_slices(source)].copy()
        return Move(to, source.x, source.y)


def position(scanout: Scanout) -> tuple[int, int] | None:
    """Where the picture's corner lies among all pixels that VRAM has, x and y; None: nowhere.

    Two of them tell how far a start address or panning has moved the picture: what lies below a
    split stands still, though, and what wraps round is elsewhere.
    """
    rows = scanout.rows
    if isinstance(rows, CrtcRows):
        geometry = rows.geometry
        if not geometry.pitch:
            return None
        y, x = divmod(geometry.start, geometry.pitch)
        lines = (y * geometry.row_lines + geometry.preset_row) << geometry.double_scan
        fetch_pixels = scanout.width // rows.columns
        return x * fetch_pixels + rows.pan[0], lines // rows.scan_lines_a_row
    if not rows.pitch:
        return None
    y, x = divmod(rows.start, rows.pitch)
    if scanout.kind is Kind.PLANAR:
        return x // 4 * 8 + rows.pan, y
    return x // (rows.nbytes // scanout.width), y


def _longest_run(rows: NDArray[np.bool_]) -> tuple[int, int]:
    """Where the most true values on each other begin, and how many those are."""
    first, end = max(runs(rows), key=lambda run: run[1] - run[0], default=(0, 0))
    return first, end - first


def _slices(rect: Rect) -> tuple[slice, slice]:
    return slice(rect.y, rect.y + rect.height), slice(rect.x, rect.x + rect.width)
