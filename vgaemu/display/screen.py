"""Screen: the picture. It owns the frame, and knows how to bring it up to date.

Data goes one way: spans of dirty pages and a `Scanout` come in, rectangles go out. `full_redraw`
is the honest check of all the shortcuts: a fresh picture from VRAM and registers alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.pictures import (
    bgrx_of,
    encode_image,
    image_of,
    rgb_of,
    save_image,
    save_picture,
)
from vgaemu.display.rects import merge_rects, without_parts
from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.display.viewport import Viewport, fitted_size
from vgaemu.errors import ScreenError
from vgaemu.memslot.bitmap import Span, spans_of_pages
from vgaemu.memslot.log import DirtyLog
from vgaemu.vga.codepage import to_unicode
from vgaemu.vga.device import Vga
from vgaemu.vga.raster import field_scanout
from vgaemu.vga.render import (
    Frame,
    RasterRenderer,
    Renderer,
    RowRenderer,
    TextRenderer,
    make_renderer,
)
from vgaemu.vga.render.text import TextCells, cells_of
from vgaemu.vga.rows import runs
from vgaemu.vga.scanout import (
    Redraw,
    Scanout,
    cursor_of,
    redraw_between,
    scanout_of,
    with_cursor,
)
from vgaemu.vga.timeline import Shown

if TYPE_CHECKING:
    from PIL.Image import Image

#: What an upscaled picture fits into, as 320x200 does exactly.
UPSCALED_ROOM = (1600, 1200)
#: Frames that the cursor and blinking attributes are shown, then hidden.
BLINK_FRAMES = 16
#: Frames that a picture stays one of scan lines after something has changed inside a row.
LINES_FRAMES = 60


class View(NamedTuple):
    """What is looked at, and how: with VRAM, all that a picture depends on."""

    shown: Shown
    #: Which half of their blink cursor and characters are in.
    phase: bool
    border: bool
    in_lines: bool

    def scanout(self, vga: Vga) -> Scanout:
        """What is to be drawn; where nothing of a field is kept, what registers hold now."""
        return field_scanout(
            self.shown, vga, vga.timing, cursor_phase=self.phase, blink_phase=self.phase,
            border=self.border, in_lines=self.in_lines,
        )  # fmt: skip


def view_of(vga: Vga, frame_number: int, *, border: bool = False, in_lines: bool = False) -> View:
    """What is to be seen in a frame now."""
    return View(vga.timeline.look(), blink_shown(frame_number), border, in_lines)


class Screen:
    """What the guest's monitor shows.

    Args:
        vga: The device.
        border: Show the border, too, as large as the CRTC's registers make it.
    """

    #: The device that is looked at.
    vga: Vga
    #: Number of the frame that was drawn last; it sets the blink phase.
    frame_number: int
    #: Up to this frame the picture is drawn in scan lines: its shape must not flip with every
    #: palette fade that runs into it.
    lines_until: int
    #: (height, width) uint32 0x00RRGGBB, row-major: overwritten by the next frame.
    frame: Frame

    def __init__(self, vga: Vga, *, border: bool = False) -> None:
        self.vga, self._border = vga, border
        self.frame_number = self._phase = 0
        self._generation = self._cursor_generation = -1
        #: Time alone may change the picture: see `Shown.is_settled`.
        self._is_moving = False
        self.lines_until = 0
        #: What was looked at last.
        self._view: View | None = None
        self._scanout = self._framed = scanout_of(vga, border=border)  # the frame is made for it
        self._stale = False
        self._renderer: Renderer | None = None
        self._numbers: _Numbers | None = None
        self.frame, self._picture = _new_frame(self._scanout)
        self._drawn_edge = self._scanout.edge

    def __repr__(self) -> str:
        return f"<vgaemu.Screen {self._scanout.mode_name}, frame {self.frame_number}>"

    @property
    def info(self) -> ScreenInfo:
        """Shape and mode of the picture."""
        scanout = self._scanout
        slot, (width, height) = self.vga.slot, scanout.size
        # With the border, as much more is shown.
        aspect = scanout.aspect * width / scanout.width * scanout.height / height
        return ScreenInfo(
            width, height, aspect, scanout.colours.border, scanout.mode_name,
            slot.npages, slot.dirty_log, scanout.is_text,
            self.vga.timing.refresh_hz,
        )  # fmt: skip

    @property
    def palette(self) -> NDArray[np.uint32] | None:
        """Colours by number of the last frame, (n,) uint32; None in true-colour modes.

        None, too, where a number has different colours in different lines, as the guest writes
        colours while the picture is drawn: no one palette tells them then, `rgb` does. Where the
        border is shown, one of 16 colours has another for it.
        """
        colours = _palette_of(self._scanout)
        if not colours:
            return None
        palette = np.frombuffer(colours, np.uint32)
        if self._scanout.margins is None or len(palette) == 256:
            return palette
        return np.append(palette, np.uint32(self._scanout.colours.border))

    @property
    def scanout(self) -> Scanout:
        """What the registers said when the last frame was drawn."""
        return self._scanout

    @property
    def is_text(self) -> bool:
        """Whether the last frame showed a text mode."""
        return self._scanout.is_text

    def _repr_png_(self) -> bytes:
        """What a notebook shows of it: the picture of the last frame."""
        return encode_image(self.image(), "PNG")

    def full_redraw(self) -> NDArray[np.uint32]:
        """The picture drawn afresh from VRAM and registers: (height, width) uint32, a new array.

        Reads no cache and touches no log.
        """
        return _drawn(self.vga, self._now().scanout(self.vga))

    def _now(self) -> View:
        in_lines = self.frame_number < self.lines_until
        return view_of(self.vga, self.frame_number, border=self._border, in_lines=in_lines)

    def invalidate(self) -> None:
        """Draw the whole picture at the next refresh, whatever the log says."""
        self._stale = True

    def forget(self) -> None:
        """Begin anew at the next refresh, as if nothing had been drawn yet."""
        self._renderer = None

    def refresh(self, frame_number: int, spans: Sequence[Span]) -> tuple[list[Rect], Redraw | None]:
        """Bring the picture up to date.

        Args:
            frame_number: It sets the blink phase.
            spans: Pages that may have changed since the last refresh.

        Returns:
            Rectangles drawn, merged and capped, and what was redrawn without a dirty page.
        """
        redraw = self._follow_registers(frame_number)
        if redraw is None and self._renderer is not None and not spans and not self._stale:
            return [], None
        vga = self.vga
        with vga.layout_lock:
            if self._scanout.layout is not vga.layout:  # the guest has changed it meanwhile
                self._scanout = self._scanout._replace(layout=vga.layout)
                redraw = redraw or Redraw.CELLS
            return self._redraw(redraw, spans)

    def _redraw(
        self, redraw: Redraw | None, spans: Sequence[Span]
    ) -> tuple[list[Rect], Redraw | None]:
        """Draw what the scanout and the pages in `spans` ask for; see `refresh`."""
        renderer = self._renderer
        if renderer is None or redraw is Redraw.RESIZE:
            self._renderer = renderer = make_renderer(self.vga.slot.array, self._scanout)
            if redraw_between(self._framed, self._scanout) is Redraw.RESIZE:
                self.frame, self._picture = _new_frame(self._scanout)
                self._framed = self._scanout
            redraw = Redraw.RESIZE
        elif isinstance(renderer, RasterRenderer) != (self._scanout.raster is not None):
            redraw = Redraw.EVERYTHING
            self._renderer = renderer = make_renderer(self.vga.slot.array, self._scanout)
        elif redraw is not None:
            renderer.configure(self._scanout)
        renderer.note(spans)
        if self._stale or redraw in (Redraw.RESIZE, Redraw.EVERYTHING):
            self._stale = False
            _draw_all(renderer, self._scanout, self.frame, self._picture)
            self._drawn_edge = self._scanout.edge
            return [Rect(0, 0, *self._scanout.size)], redraw
        rects = self._draw_changes(renderer, spans)
        return merge_rects(rects) if len(rects) > 1 else rects, redraw

    def _draw_changes(self, renderer: Renderer, spans: Sequence[Span]) -> list[Rect]:
        scanout, rects = self._scanout, renderer.draw_changes(self._picture, spans)
        if rects and scanout.blanked:
            _darken(self._picture, scanout.blanked)
            rects = without_parts(rects, scanout.blanked)
        if scanout.margins is not None:
            rects = _moved(rects, scanout)
            if self._drawn_edge != scanout.edge:
                self._drawn_edge = scanout.edge
                rects += _draw_border(self.frame, scanout)
        return rects

    def _follow_registers(self, frame_number: int) -> Redraw | None:
        """Take the scanout of now, and say what its difference to the last one asks for."""
        vga, old = self.vga, self._scanout
        # Look at the counters first: a register written while we draw is then seen next time.
        cursor_generation = vga.cursor_generation
        generation = vga.generation + vga.dac.generation
        phase = frame_number // BLINK_FRAMES
        phase_changed = phase != self._phase
        self.frame_number, self._phase = frame_number, phase
        cursor_moved = cursor_generation != self._cursor_generation
        if (
            generation != self._generation
            or self._is_moving
            or (phase_changed and not old.is_text)
            or (cursor_moved and vga.timeline.has_moved)
        ):
            self._generation, self._cursor_generation = generation, cursor_generation
            return self._look_again()
        if (phase_changed or cursor_moved) and old.is_text:
            shown = blink_shown(frame_number)
            self._scanout = new = with_cursor(old, vga, cursor_phase=shown, blink_phase=shown)
            self._cursor_generation = cursor_generation
            return None if new == old else Redraw.CELLS
        return None

    def _look_again(self) -> Redraw | None:
        view = self._now()
        self._is_moving = not view.shown.is_settled or view.in_lines
        if view == self._view and view.shown.held is not None:
            return None
        self._view = view
        old, self._scanout = self._scanout, view.scanout(self.vga)
        if self._scanout.raster is not None and self._scanout.is_in_lines:
            self.lines_until = self.frame_number + LINES_FRAMES
        return redraw_between(old, self._scanout)

    def clean_rects(self, log: DirtyLog, spans: Sequence[Span]) -> list[Rect]:
        """Rows that `spans` touch and the dirty pages of `log` do not.

        Text modes have none: there only changed cells are drawn.
        """
        scanout = self._scanout
        renderer = self._renderer
        if not isinstance(renderer, RowRenderer) or not spans:
            return []
        taken, needed = np.zeros((2, scanout.height), np.bool_)
        for mask, pages in ((taken, list(spans)), (needed, spans_of_pages(log.pages(), 1))):
            for top, bottom in renderer.rows.touched(pages):
                mask[top:bottom] = True
        clean = runs(taken & ~needed)
        return _moved([Rect(0, top, scanout.width, end - top) for top, end in clean], scanout)

    def rgb(self, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """(height, width, 3) uint8: a copy, in `out` if that is given; a new array takes longer.

        Raises:
            ScreenError: `out` is no such array; a mode of another size asks for another one.
        """
        return rgb_of(self.frame, out)

    @property
    def bgrx(self) -> NDArray[np.uint8]:
        """(height, width, 4) uint8, read-only: `frame` itself as blue, green, red, 0."""
        return bgrx_of(self.frame)

    def image(self) -> Image:
        """The picture as Pillow's image, mode RGB: a copy."""
        return image_of(self.frame)

    def upscaled(self) -> NDArray[np.uint8]:
        """As a monitor shows it, in `UPSCALED_ROOM`: (height, width, 3) uint8.

        Pixels are repeated as in a window of that size, and larger pictures are as they are.
        """
        height, width = self.frame.shape
        if width > UPSCALED_ROOM[0] or height > UPSCALED_ROOM[1]:
            return self.rgb()
        view = Viewport(0, 0, *fitted_size(self.info, UPSCALED_ROOM), (width, height))
        return rgb_of(self.frame.take(view.columns, axis=1)).take(view.rows, axis=0)

    def indices(self) -> NDArray[np.uint8] | None:
        """The picture in numbers of `palette`, without a border: (height, width) uint8; or None.

        Drawn afresh. They are the device's own: attributes' colours, pixels of planes, bytes of
        mode 13h. None where `palette` is: in true-colour modes, and where colours change inside the
        picture.
        """
        scanout = view_of(self.vga, self.frame_number).scanout(self.vga)
        if not _palette_of(scanout):
            return None
        if self._numbers is None:
            self._numbers = _Numbers(self.vga.slot.array)
        with laid_out(self.vga, scanout) as scanout:
            return self._numbers.draw(scanout)

    def text(self) -> list[str]:
        """What a text mode shows, one string a row, as Unicode.

        Raises:
            ScreenError: The mode is not a text mode.
        """
        cells = self.cells()
        codes = cells.astype(np.uint8).tobytes()
        text, columns = to_unicode(codes), cells.shape[1]
        return [text[at : at + columns] for at in range(0, len(text), columns)]

    def cells(self) -> NDArray[np.uint16]:
        """The same as attribute << 8 | character of code page 437, (rows, columns) uint16.

        Raises:
            ScreenError: The mode is not a text mode.
        """
        scanout = self._now().scanout(self.vga)
        if not scanout.is_text:
            raise ScreenError(f"{scanout.mode_name} is a graphics mode: it shows no text")
        with laid_out(self.vga, scanout) as scanout:
            return cells_of(self.vga.slot.array, scanout)

    def text_cells(self) -> TextCells | None:
        """The characters of the last frame with attributes and cursor; None: it showed none."""
        renderer = self._renderer
        if isinstance(renderer, RasterRenderer):
            return renderer.text(cursor_of(self.vga))
        if not isinstance(renderer, TextRenderer):
            return None
        return renderer.drawn(cursor_of(self.vga))

    def save(self, path: str | Path, *, upscaled: bool = False) -> None:
        """Write the picture as an image file, in the format that the suffix names.

        Args:
            path: The file.
            upscaled: As a monitor shows it, see `upscaled`; else a pixel is a pixel.

        Raises:
            ScreenError: There is no such format.
            OSError: The file cannot be written.
        """
        if upscaled:
            save_picture(self.upscaled(), path)
        else:
            save_image(self.image(), path)


class _Numbers:
    """Pictures in numbers of the palette; the renderer stays for the next one."""

    def __init__(self, vram: NDArray[np.uint8]) -> None:
        self._vram = vram
        self._renderer: Renderer | None = None

    def draw(self, scanout: Scanout) -> NDArray[np.uint8]:
        """A scanout without a border, all of it: (height, width) uint8, a new array."""
        numbers = np.arange(len(_palette_of(scanout)) // 4, dtype=np.uint32).tobytes()
        raster = scanout.raster
        if raster is None:
            scanout = scanout._replace(colours=scanout.colours._replace(palette=numbers))
        else:
            scanout = scanout._replace(raster=raster._replace(palette=numbers))
        renderer = self._renderer
        redraw = Redraw.RESIZE if renderer is None else redraw_between(renderer.scanout, scanout)
        if renderer is None or redraw is Redraw.RESIZE:
            self._renderer = renderer = make_renderer(self._vram, scanout)
            self._frame, self._picture = _new_frame(scanout)
        elif redraw is not None:
            renderer.configure(scanout)
        _draw_all(renderer, scanout, self._frame, self._picture)
        return self._frame.astype(np.uint8)


def _palette_of(scanout: Scanout) -> bytes:
    """The palette of all of a picture; none of colours, or where it changes inside."""
    raster = scanout.raster
    if raster is None:
        return scanout.colours.palette
    return b"" if raster.values else raster.palette


@contextmanager
def laid_out(vga: Vga, scanout: Scanout) -> Iterator[Scanout]:
    """A scanout by which VRAM can be read: the guest does not change the layout meanwhile."""
    with vga.layout_lock:
        yield scanout._replace(layout=vga.layout)


def full_redraw(vga: Vga, frame_number: int, *, border: bool = False) -> NDArray[np.uint32]:
    """What a device shows in some frame, drawn afresh: (height, width) uint32, a new array."""
    return _drawn(vga, view_of(vga, frame_number, border=border).scanout(vga))


def _drawn(vga: Vga, scanout: Scanout) -> Frame:
    frame, picture = _new_frame(scanout)
    with laid_out(vga, scanout) as scanout:
        _draw_all(make_renderer(vga.slot.array, scanout), scanout, frame, picture)
    return frame


def _new_frame(scanout: Scanout) -> tuple[Frame, Frame]:
    """A frame, and the picture in it, a view: the border lies around that."""
    width, height = scanout.size
    frame = np.zeros((height, width), np.uint32)
    if scanout.margins is None:
        return frame, frame
    left, right, top, bottom = scanout.margins
    return frame, frame[top : height - bottom, left : width - right]


def _draw_all(renderer: Renderer, scanout: Scanout, frame: Frame, picture: Frame) -> None:
    _draw_border(frame, scanout)
    renderer.draw_all(picture)
    _darken(picture, scanout.blanked)


def _draw_border(frame: Frame, scanout: Scanout) -> list[Rect]:
    if scanout.margins is None:
        return []
    left, right, top, bottom = scanout.margins
    height, width = frame.shape
    parts = [
        Rect(0, 0, width, top), Rect(0, top, left, height - top - bottom),
        Rect(width - right, top, right, height - top - bottom),
        Rect(0, height - bottom, width, bottom),
    ]  # fmt: skip
    shown = None if scanout.edge is None else scanout.edge.picture(height, width)
    for x, y, columns, rows in parts:
        where = slice(y, y + rows), slice(x, x + columns)
        frame[where] = scanout.colours.border if shown is None else shown[where]
    for x, y, columns, rows in scanout.blanked:  # which goes on beside the picture
        if columns == scanout.width:
            frame[top + y : top + y + rows, :left] = 0
            frame[top + y : top + y + rows, width - right :] = 0
        if rows == scanout.height:
            frame[:top, left + x : left + x + columns] = 0
            frame[height - bottom :, left + x : left + x + columns] = 0
    return [part for part in parts if part.area]


def _moved(rects: list[Rect], scanout: Scanout) -> list[Rect]:
    """Where parts of the picture lie in the frame."""
    if scanout.margins is None:
        return rects
    left, _, top, _ = scanout.margins
    return [Rect(x + left, y + top, width, height) for x, y, width, height in rects]


def _darken(frame: Frame, parts: Iterable[Rect]) -> None:
    for x, y, width, height in parts:
        frame[y : y + height, x : x + width] = 0


def blink_shown(frame_number: int) -> bool:
    """Whether blinking characters and the cursor are shown in a frame.

    >>> [blink_shown(number) for number in (0, 15, 16, 31, 32)]
    [True, True, False, False, True]
    """
    return not frame_number // BLINK_FRAMES & 1
