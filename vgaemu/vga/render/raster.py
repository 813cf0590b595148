"""Raster renderer: pictures inside which palettes, fonts or address modes change.

Any other renderer draws an *index frame*: the picture with pixel values for colours. Dirty pages,
cells and rectangles are its matter as ever. One gather through the bands' stacked palettes then
makes colours of it: where the index frame was drawn, and in lines whose palette is another one than
in the last frame. Where fonts or address modes change, each *piece* of the picture has a renderer
and an index frame of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import Span
from vgaemu.vga.colours import Colours
from vgaemu.vga.rect import Rect
from vgaemu.vga.render.base import Frame, Renderer
from vgaemu.vga.render.text import TextCells, TextRenderer
from vgaemu.vga.rows import runs
from vgaemu.vga.scanout import Cursor, Raster, Redraw, Scanout, redraw_between

MakeRenderer = Callable[[NDArray[np.uint8], Scanout], Renderer]


class Bands:
    """Palettes of a picture, and where each begins."""

    def __init__(self, raster: Raster, width: int, height: int) -> None:
        self.raster = raster
        self.starts = np.frombuffer(raster.starts, np.intp)
        #: (bands, pixel values) uint32, and the same in one row.
        self.tables = np.frombuffer(raster.tables, np.uint32).reshape(len(self.starts), -1)
        self.flat = self.tables.reshape(-1)
        edges = np.arange(height + 1) * width
        #: Band at the first pixel of each row, and at its last one: (height,).
        self.first = np.searchsorted(self.starts, edges[:-1], "right") - 1
        self.last = np.searchsorted(self.starts, edges[1:], "left") - 1
        #: What to add to a pixel value of a row for its place in `flat`: (height, 1).
        self.offsets = (self.first * self.tables.shape[1]).astype(np.uint32)[:, None]
        #: Rows inside which bands begin.
        self.mixed = np.flatnonzero(self.first != self.last)
        self._width = width

    def offsets_in(self, row: int) -> NDArray[np.uint32]:
        """`offsets` of each pixel of a row: (width,)."""
        first, end = int(self.first[row]), int(self.last[row]) + 1
        cuts = self.starts[first + 1 : end] - row * self._width
        lengths = np.diff(cuts, prepend=0, append=self._width)
        offsets = np.arange(first, end, dtype=np.uint32) * np.uint32(self.tables.shape[1])
        return np.repeat(offsets, lengths)

    def changed_rows(self, old: Bands) -> NDArray[np.bool_]:
        """Rows with other colours than before, or whose bands begin elsewhere: (height,)."""
        if old.raster.starts == self.raster.starts:
            other = (self.tables != old.tables).any(axis=1)
            count = np.concatenate(([0], np.cumsum(other)))
            changed: NDArray[np.bool_] = count[self.last + 1] != count[self.first]
            return changed
        # Most pixel values have one colour in all of the picture.
        varies = (self.tables != old.tables[0]).any(axis=0)
        varies |= (old.tables != old.tables[0]).any(axis=0)
        columns = np.flatnonzero(varies)
        now, before = self.tables[:, columns], old.tables[:, columns]
        changed = (now[self.first] != before[old.first]).any(axis=1)
        changed[self.mixed] = True
        changed[old.mixed] = True
        return changed


class Piece:
    """Consecutive rows of one look: their renderer, and the index frame that it draws."""

    def __init__(self, top: int, bottom: int, renderer: Renderer) -> None:
        self.top, self.bottom, self._renderer = top, bottom, renderer
        scanout = renderer.scanout
        self.frame: Frame = np.zeros((scanout.height, scanout.width), np.uint32)
        self._all_of_it = Rect(0, top, scanout.width, bottom - top)
        self._is_drawn = False

    def configure(self, scanout: Scanout) -> None:
        """Take another scanout of the same kind and size."""
        redraw = redraw_between(self._renderer.scanout, scanout)
        if redraw is not None:
            self._renderer.configure(scanout)
            self._is_drawn = self._is_drawn and redraw is not Redraw.EVERYTHING

    def note(self, spans: Sequence[Span]) -> None:
        """See `Renderer.note`."""
        self._renderer.note(spans)

    def forget(self) -> None:
        """Draw all of it the next time."""
        self._is_drawn = False

    def draw(self, spans: Sequence[Span]) -> list[Rect]:
        """Bring the index frame up to date, and say where in the piece it changed."""
        if not self._is_drawn:
            self._is_drawn = True
            self._renderer.draw_all(self.frame)
            return [self._all_of_it]
        found = []
        for x, y, width, height in self._renderer.draw_changes(self.frame, spans):
            top, bottom = max(y, self.top), min(y + height, self.bottom)
            if top < bottom:
                found.append(Rect(x, top, width, bottom - top))
        return found

    def text(self, cursor: Cursor | None) -> TextCells | None:
        """See `TextRenderer.drawn`; None: it shows no text."""
        renderer = self._renderer
        return renderer.drawn(cursor) if isinstance(renderer, TextRenderer) else None


class RasterRenderer(Renderer):
    """Any kind of picture with a `Raster`."""

    def __init__(self, vram: NDArray[np.uint8], scanout: Scanout, make: MakeRenderer) -> None:
        """Draw index frames with what `make` makes."""
        super().__init__(vram, scanout)
        self._make = make
        self._bands = _bands_of(scanout)
        self._pieces = self._make_pieces()
        #: Rows with another palette than they were drawn with.
        self._recoloured = np.zeros(scanout.height, np.bool_)
        #: Places in the bands' palettes; a new array of that size would cost more than to fill it.
        self._places = np.empty((scanout.height, scanout.width), np.uint32)

    def _make_pieces(self) -> list[Piece]:
        parts = parts_of(self.scanout)
        tops = [*parts, self.scanout.height]
        return [
            Piece(top, bottom, self._make(self.vram, parts[top])) for top, bottom in pairwise(tops)
        ]

    def configure(self, scanout: Scanout) -> None:
        old, self.scanout = self.scanout, scanout
        parts = parts_of(scanout)
        if [piece.top for piece in self._pieces] == list(parts):
            for piece, part in zip(self._pieces, parts.values(), strict=True):
                piece.configure(part)
        else:
            self._pieces = self._make_pieces()
        if old.raster != scanout.raster:
            before, self._bands = self._bands, _bands_of(scanout)
            self._recoloured |= self._bands.changed_rows(before)

    def note(self, spans: Sequence[Span]) -> None:
        for piece in self._pieces:
            piece.note(spans)

    def draw_all(self, frame: Frame) -> None:
        for piece in self._pieces:
            piece.forget()
        self.draw_changes(frame, ())

    def draw_changes(self, frame: Frame, spans: Sequence[Span]) -> list[Rect]:
        rows, width = self._recoloured, self.scanout.width
        rects = []
        for piece in self._pieces:
            for rect in piece.draw(spans):
                if rect.width == width:
                    rows[rect.y : rect.y + rect.height] = True
                else:
                    rects.append(rect)
        rects += [Rect(0, top, width, bottom - top) for top, bottom in runs(rows)]
        rows[:] = False
        for piece in self._pieces:
            for x, y, columns, height in rects:
                top, bottom = max(y, piece.top), min(y + height, piece.bottom)
                if top < bottom:
                    self._colour(frame, piece.frame, (slice(top, bottom), slice(x, x + columns)))
        return rects

    def _colour(self, frame: Frame, index_frame: Frame, where: tuple[slice, slice]) -> None:
        bands, (rows, columns) = self._bands, where
        places = self._places[where]
        np.add(index_frame[where], bands.offsets[rows], out=places)
        mixed = bands.mixed
        for row in mixed[(mixed >= rows.start) & (mixed < rows.stop)].tolist():
            offsets = bands.offsets_in(row)[columns]
            np.add(index_frame[row, columns], offsets, out=places[row - rows.start])
        out = frame[where]
        if out.flags.c_contiguous:
            bands.flat.take(places, out=out, mode="wrap")
        else:
            out[...] = bands.flat.take(places, mode="wrap")

    def text(self, cursor: Cursor | None) -> TextCells | None:
        """What a text mode shows, in the colours at the top; see `TextRenderer.drawn`."""
        cells = self._pieces[0].text(cursor)
        return None if cells is None else cells._replace(palette=self._bands.tables[0])


def _bands_of(scanout: Scanout) -> Bands:
    assert scanout.raster is not None
    return Bands(scanout.raster, scanout.width, scanout.height)


@lru_cache(maxsize=2)
def _index_palette(count: int) -> bytes:
    return np.arange(count, dtype=np.uint32).tobytes()


def parts_of(scanout: Scanout) -> dict[int, Scanout]:
    """Of a scanout with a `Raster` its looks, by the first row, as scanouts of index frames."""
    raster = scanout.raster
    assert raster is not None
    palette = _index_palette(len(raster.tables) // 4 // (len(raster.starts) // 8))
    base = scanout._replace(colours=Colours(palette, 0x0F, border=0, blank=False), raster=None)
    found = {0: base}
    for look in raster.looks:
        if look.row < scanout.height:
            found[look.row] = base._replace(
                rows=look.rows, text=look.text, cursor=look.cursor, blink_shown=look.blink_shown
            )
    return found
