"""Raster renderer: pictures inside which palettes, fonts or address modes change.

Any other renderer draws an *index frame*: the picture with pixel values for colours. Dirty pages,
cells and rectangles are its matter as ever. One gather through the bands' stacked palettes then
makes colours of it: where the index frame was drawn, and in lines whose palette is another one than
in the last frame. Where fonts, cursors or address modes change, each look that rows have is a
*layer* with a renderer and an index frame of its own, however often it comes and goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

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
        """Colours of (rows, width) pixel values from row `top` on; bands may begin anywhere."""
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


class Layer:
    """One look: its renderer, the index frame of all of the picture, and which rows are shown."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer = renderer
        scanout = renderer.scanout
        self.frame: Frame = np.zeros((scanout.height, scanout.width), np.uint32)
        #: (height,)
        self.rows = np.zeros(scanout.height, np.bool_)
        self._is_drawn = False

    def configure(self, scanout: Scanout) -> None:
        """Take another scanout of the same kind and size."""
        redraw = redraw_between(self.renderer.scanout, scanout)
        if redraw is not None:
            self.renderer.configure(scanout)
            self._is_drawn = self._is_drawn and redraw is not Redraw.EVERYTHING

    def forget(self) -> None:
        """Draw all of it the next time."""
        self._is_drawn = False

    def draw(self, spans: Sequence[Span]) -> list[Rect]:
        """Bring the index frame up to date, and say where it changed."""
        if self._is_drawn:
            return self.renderer.draw_changes(self.frame, spans)
        self._is_drawn = True
        self.renderer.draw_all(self.frame)
        height, width = self.frame.shape
        return [Rect(0, 0, width, height)]


class RasterRenderer(Renderer):
    """Any kind of picture with a `Raster`."""

    def __init__(self, vram: NDArray[np.uint8], scanout: Scanout, make: MakeRenderer) -> None:
        """Draw index frames with what `make` makes."""
        super().__init__(vram, scanout)
        self._make = make
        self._bands = _bands_of(scanout)
        #: One for each look that the picture has, the top one's first; several places share one.
        self._layers: list[Layer] = []
        #: Rows with another palette or look than they were drawn with.
        self._changed = np.zeros(scanout.height, np.bool_)
        #: The rows of all layers; the only one's own index frame.
        self._index: Frame
        self._lay()
        #: Places in the bands' palettes, of some rows.
        self._places = np.empty(max(BLOCK_PIXELS, scanout.width), np.intp)

    def _lay(self) -> None:
        """A layer for each look: the one that had it, or one whose look is gone, or a new one."""
        height = self.scanout.height
        shown = rows_of(self.scanout)
        kept = {layer.renderer.scanout: layer for layer in self._layers}
        spare = [layer for look, layer in kept.items() if look not in shown]
        layers = []
        for look, rows in shown.items():
            layer = kept.get(look)
            if layer is None and spare:
                layer = spare.pop(0)
                layer.configure(look)
            elif layer is None:
                layer = Layer(self._make(self.vram, look))
            self._changed |= rows & ~layer.rows
            layer.rows = rows
            layers.append(layer)
        if len(layers) == 1:
            self._index = layers[0].frame
        elif len(self._layers) < 2:
            self._index = np.zeros((height, self.scanout.width), np.uint32)
            self._changed[:] = True
        self._layers = layers

    def configure(self, scanout: Scanout) -> None:
        old, self.scanout = self.scanout, scanout
        self._lay()
        if old.raster != scanout.raster:
            before, self._bands = self._bands, _bands_of(scanout)
            self._changed |= self._bands.changed_rows(before)

    def note(self, spans: Sequence[Span]) -> None:
        for layer in self._layers:
            layer.renderer.note(spans)

    def draw_all(self, frame: Frame) -> None:
        for layer in self._layers:
            layer.forget()
        self.draw_changes(frame, ())

    def draw_changes(self, frame: Frame, spans: Sequence[Span]) -> list[Rect]:
        changed, width = self._changed, self.scanout.width
        several, index = len(self._layers) > 1, self._index
        rects = []
        for layer in self._layers:
            for x, y, columns, height in layer.draw(spans):
                rows = layer.rows[y : y + height]
                if columns == width:
                    changed[y : y + height] |= rows
                    continue
                for top, bottom in runs(rows):
                    rects.append(Rect(x, y + top, columns, bottom - top))
                    if several:
                        where = slice(y + top, y + bottom), slice(x, x + columns)
                        index[where] = layer.frame[where]
        if several:
            for layer in self._layers:
                rows = changed & layer.rows
                index[rows] = layer.frame[rows]
        rects += [Rect(0, top, width, bottom - top) for top, bottom in runs(changed)]
        changed[:] = False
        for x, y, columns, height in rects:
            self._colour(frame, slice(y, y + height), slice(x, x + columns))
        return rects

    def _colour(self, frame: Frame, rows: slice, columns: slice) -> None:
        bands = self._bands
        mixed = runs(bands.is_mixed[rows]) if bands.has_mixed else []
        if mixed != [(0, rows.stop - rows.start)]:
            block = max(BLOCK_PIXELS // (columns.stop - columns.start + 1), 1)
            for top in range(rows.start, rows.stop, block):
                some = slice(top, min(top + block, rows.stop))
                self._colour_block(frame, some, columns)
        for first, end in mixed:
            some = slice(rows.start + first, rows.start + end)
            frame[some] = bands.coloured(some.start, self._index[some])

    def _colour_block(self, frame: Frame, rows: slice, columns: slice) -> None:
        bands, pixels = self._bands, self._index
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
        renderer = self._layers[0].renderer
        if not isinstance(renderer, TextRenderer):
            return None
        return renderer.drawn(cursor)._replace(palette=self._bands.palette)


def _bands_of(scanout: Scanout) -> Bands:
    assert scanout.raster is not None
    return Bands(scanout.raster, scanout.width, scanout.height)


@lru_cache(maxsize=2)
def _index_palette(count: int) -> bytes:
    return np.arange(count, dtype=np.uint32).tobytes()


def rows_of(scanout: Scanout) -> dict[Scanout, NDArray[np.bool_]]:
    """The looks of a scanout with a `Raster`, each once, as scanouts of index frames: their rows.

    The first one is that of the top row. Rows are (height,) bool.
    """
    raster = scanout.raster
    assert raster is not None
    palette = _index_palette(len(raster.palette) // 4)
    base = scanout._replace(colours=Colours(palette, 0x0F, border=0, blank=False), raster=None)
    looks = {0: base}
    for look in raster.looks:
        if look.row < scanout.height:
            looks[look.row] = base._replace(
                rows=look.rows, text=look.text, cursor=look.cursor, blink_shown=look.blink_shown
            )
    found: dict[Scanout, NDArray[np.bool_]] = {}
    for (top, part), bottom in zip(looks.items(), [*looks, scanout.height][1:], strict=True):
        if part not in found:
            found[part] = np.zeros(scanout.height, np.bool_)
        found[part][top:bottom] = True
    return found
