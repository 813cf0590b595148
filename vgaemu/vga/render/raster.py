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

#: Pixels coloured in one go: so few that what numpy puts between stays in the cache. Measured at
#: 640x480: in one go as a whole it takes 1.3 times as long.
BLOCK_PIXELS = 40_000
PAIR = (1 << 32) + 16

MakeRenderer = Callable[[NDArray[np.uint8], Scanout], Renderer]


class Bands:
    """Palettes of a picture, and where each begins."""

    def __init__(self, raster: Raster, width: int, height: int) -> None:
        self.raster, self._width = raster, width
        self.starts = np.frombuffer(raster.starts, np.intp)
        self.palette = np.frombuffer(raster.palette, np.uint32)
        #: Palettes by band: (bands, 16) or (bands, 256) uint32.
        self.tables = np.empty((len(self.starts), len(self.palette)), np.uint32)
        self.tables[:] = self.palette
        #: Pixel values that not all bands have the same colours for.
        self.values = np.frombuffer(raster.values, np.intp)
        colours = np.frombuffer(raster.colours, np.uint32)
        self.tables[:, self.values] = colours.reshape(len(self.starts), -1)
        #: Two pixels of 16 colours are one number, the left one lowest.
        self.in_pairs = len(self.palette) == 16 and width % 2 == 0
        #: Colours of all bands by such a number, or by pixel value; and how many a band has.
        self.flat = self._pairs() if self.in_pairs else self.tables.reshape(-1)
        self.count = len(self.flat) // len(self.starts)
        edges = np.arange(height + 1) * width
        #: Band at the first pixel of each row, and at its last one: (height,).
        self.first = self.starts.searchsorted(edges[:-1], "right") - 1
        self.last = self.starts.searchsorted(edges[1:], "left") - 1
        #: What to add to a number of a row for its place in `flat`: (height, 1).
        self.offsets = (self.first * self.count)[:, None]
        #: Rows inside which bands begin.
        self.is_mixed = self.first != self.last
        self.has_mixed = bool(self.is_mixed.any())

    def _pairs(self) -> NDArray[np.uint64]:
        """(bands * 256,) uint64: two colours, the left one lowest."""
        left = self.tables.astype(np.uint64)
        right = left << np.uint64(32)
        pairs = np.empty((len(left), 16, 16), np.uint64)
        pairs[:] = left[0] | right[0][:, None]
        for value in self.values.tolist():
            pairs[:, value, :] = left | right[:, value, None]
            pairs[:, :, value] = left[:, value, None] | right
        return pairs.reshape(-1)

    def coloured(self, top: int, pixels: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Rows of pixel values from `top` on, with bands that begin anywhere: their colours."""
        begin, end = top * self._width, (top + len(pixels)) * self._width
        first, last = int(self.first[top]), int(self.last[top + len(pixels) - 1])
        cuts = np.empty(last - first + 2, np.intp)
        cuts[0], cuts[1:-1], cuts[-1] = begin, self.starts[first + 1 : last + 1], end
        offsets = np.arange(first, last + 1) * len(self.palette)
        places = np.repeat(offsets, np.diff(cuts)).reshape(pixels.shape)
        places += pixels
        return self.tables.reshape(-1).take(places, mode="wrap")

    def changed_rows(self, old: Bands) -> NDArray[np.bool_]:
        """Rows with other colours than before, or whose bands begin elsewhere: (height,)."""
        varies = self.palette != old.palette
        varies[self.values] = varies[old.values] = True
        columns = varies.nonzero()[0]  # most pixel values have one colour in all of both pictures
        now, before = self.tables[:, columns], old.tables[:, columns]
        if old.raster.starts == self.raster.starts:
            count = np.zeros(len(now) + 1, np.intp)
            (now != before).any(axis=1).cumsum(out=count[1:])
            changed: NDArray[np.bool_] = count[self.last + 1] != count[self.first]
            return changed
        others: NDArray[np.bool_] = (now[self.first] != before[old.first]).any(axis=1)
        others |= self.is_mixed
        others |= old.is_mixed
        return others


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
        #: Places in the bands' palettes, of some rows.
        self._places = np.empty(max(BLOCK_PIXELS, scanout.width), np.intp)

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
                    self._colour(frame, piece, slice(top, bottom), slice(x, x + columns))
        return rects

    def _colour(self, frame: Frame, piece: Piece, rows: slice, columns: slice) -> None:
        bands = self._bands
        mixed = runs(bands.is_mixed[rows]) if bands.has_mixed else []
        if mixed != [(0, rows.stop - rows.start)]:
            block = max(BLOCK_PIXELS // (columns.stop - columns.start + 1), 1)
            for top in range(rows.start, rows.stop, block):
                some = slice(top, min(top + block, rows.stop))
                self._colour_block(frame, piece.frame, some, columns)
        for first, end in mixed:
            some = slice(rows.start + first, rows.start + end)
            frame[some] = bands.coloured(some.start, piece.frame[some])

    def _colour_block(self, frame: Frame, pixels: Frame, rows: slice, columns: slice) -> None:
        bands = self._bands
        if bands.in_pairs:
            columns = slice(columns.start // 2, -(-columns.stop // 2))
            pairs, out = pixels.view(np.int64)[rows, columns], frame.view(np.uint64)[rows, columns]
            places = self._places[: pairs.size].reshape(pairs.shape)
            # left + right << 32, times 16 + (1 << 32): left + 16 * right comes to bit 32.
            np.multiply(pairs, PAIR, out=places)
            places >>= 32
            places += bands.offsets[rows]
            self._take(places, out)
        else:
            some = pixels[rows, columns]
            places = self._places[: some.size].reshape(some.shape)
            np.add(some, bands.offsets[rows], out=places, casting="unsafe")
            self._take(places, frame[rows, columns])

    def _take(self, places: NDArray[np.intp], out: NDArray[np.unsignedinteger]) -> None:
        bands = self._bands
        if out.flags.c_contiguous:
            bands.flat.take(places, out=out, mode="wrap")
        else:
            out[...] = bands.flat.take(places, mode="wrap")

    def text(self, cursor: Cursor | None) -> TextCells | None:
        """What a text mode shows, in the colours at the top; see `TextRenderer.drawn`."""
        cells = self._pieces[0].text(cursor)
        return None if cells is None else cells._replace(palette=self._bands.palette)


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
    palette = _index_palette(len(raster.palette) // 4)
    base = scanout._replace(colours=Colours(palette, 0x0F, border=0, blank=False), raster=None)
    found = {0: base}
    for look in raster.looks:
        if look.row < scanout.height:
            found[look.row] = base._replace(
                rows=look.rows, text=look.text, cursor=look.cursor, blink_shown=look.blink_shown
            )
    return found
