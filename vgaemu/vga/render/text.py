"""Text renderer: cells, compared with what was drawn last, so that one character redraws one cell.

The renderer keeps what the planes held when it last looked, cell by cell as `vga.layout` numbers
them however VRAM is laid out, and draws from that alone. A dirty page is compared with it: a cell
that changed is one to look at in each place that shows it, or a piece of a glyph. A guest that
stores while a frame is drawn makes its page dirty again, and the next look finds what it stored.

What a place shows is a *key*, see `glyphs`. Only places whose key changed are drawn; cursor moves
and blinking are key changes like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import Span, spans_of_pages
from vgaemu.vga.layout import (
    HIGH_CELLS,
    LEGACY_BYTES,
    LEGACY_PAGES,
    Places,
    cells_between,
    cells_of_pages,
    words_of_cells,
)
from vgaemu.vga.rect import Rect
from vgaemu.vga.render.base import Frame, Renderer
from vgaemu.vga.render.cells import Fonts, cell_map_of
from vgaemu.vga.render.glyphs import CURSOR, GlyphCache, colours_of, dots_of, key_table
from vgaemu.vga.scanout import CrtcRows, Cursor, Scanout, TextLook

#: More glyphs than these are not kept, but for twice as many cells: each takes some 1.2 KB.
MAX_GLYPHS = 8192
#: No cell has this key: it is drawn at the next look.
STALE = -1

#: So many cells in a row count as shown if one of them is.
CHUNK_CELLS = 512
#: Of a cell of planes 2 and 3, the byte in plane 2, where fonts are.
FONT_BITS = 0xFF
#: So few changed cells are looked at one by one.
FEW_CELLS = 12

#: Changed cells this close together are drawn as one rectangle.
GAP_CELLS = 4
#: Drawing a run on its own costs as much as this many cells drawn in a block (measured: 14 us
#: against 0.04 us a cell).
CELLS_A_RUN = 300
#: So few runs are drawn on their own whatever it costs: less of the picture is then presented.
FEW_RUNS = 4
#: Where at least this part of some rows' cells changed, the rows are drawn as a block.
BLOCK_PART = 1 / 4
#: Where at least this part of the picture had to be drawn, as of text that scrolls, so many frames
#: after it are drawn whole if all pages are dirty again: to find out what changed costs 5 % more.
MOST, UNCOMPARED_FRAMES = 3 / 4, 7


class TextCells(NamedTuple):
    """What a text screen shows, as characters."""

    #: (rows, columns) uint16: attribute << 8 | code.
    cells: NDArray[np.uint16]
    #: 0x00RRGGBB of the 16 colours, (16,) uint32, and whether attribute bit 7 blinks.
    palette: NDArray[np.uint32]
    blink: bool
    #: Whether attributes of which only bit 0 is set underline, as on a monochrome screen.
    underlined: bool
    #: Row and column of the cursor, and whether it is a block, rather than a line; None: it is off.
    cursor: tuple[int, int] | None
    cursor_is_block: bool


class Changes:
    """What may look otherwise than it was drawn."""

    __slots__ = ("cells", "everything", "many", "places", "spans")

    def __init__(self) -> None:
        #: Places, counted row by row; cells, and spans of them with so many; or everything.
        self.places: list[int] = []
        self.cells: list[int] = []
        self.spans: list[Span] = []
        self.many = 0
        self.everything = False


class TextRenderer(Renderer):
    """Text modes."""

    def __init__(self, vram: NDArray[np.uint8], scanout: Scanout) -> None:
        super().__init__(vram, scanout)
        self._words = vram[:LEGACY_BYTES].view(np.uint16)
        #: What the planes held at the last look, where they are shown: cell by cell.
        self._cells = np.zeros(LEGACY_BYTES // 2, np.uint16)
        rows, self._text = _parts(scanout)
        self._map = cell_map_of(rows)
        self._fonts = Fonts(self._text)
        self._shown = self._shown_cells()
        #: `_places_in` of pages that were dirty.
        self._places: dict[Span, Places] = {}
        # Lines that no band shows are not coloured: half of a glyph's 32, as a rule.
        self.glyphs = GlyphCache(self._map.glyph_lines, self._text.cell_width)
        self._forget_cells()
        self._key_table = _key_table(scanout)
        self._cursor_places = self._places_of_cursor()
        #: Of `UNCOMPARED_FRAMES`, those to come.
        self._uncompared = 0
        #: First and last line of the cursor in the glyphs that have one.
        self._cursor_lines = (0, 0) if scanout.cursor is None else scanout.cursor.lines
        self._changes = Changes()
        self._look_at_all()  # and at the fonts, if they hold anything

    def configure(self, scanout: Scanout) -> None:
        old, self.scanout = self.scanout, scanout
        if old.layout != scanout.layout:
            self._places.clear()
        if old.rows != scanout.rows or old.text != scanout.text:
            self._find_cells(moved=old.rows != scanout.rows)
        if old.colours.palette != scanout.colours.palette:
            self._recolour()
        cursor = scanout.cursor
        if cursor is not None and cursor.lines != self._cursor_lines:
            # The cursor has another shape: its cells look otherwise under the same key.
            self._cursor_lines = cursor.lines
            self.glyphs.clear()
            self._keys[(self._keys & CURSOR) != 0] = STALE
        if old.cursor != cursor:
            self._changes.places += self._cursor_places
            self._cursor_places = self._places_of_cursor()
            self._changes.places += self._cursor_places
        if old.blink_shown != scanout.blink_shown:
            self._key_table = _key_table(scanout)
            self._changes.everything = True

    def _find_cells(self, *, moved: bool) -> None:
        """Rows, which move the cells, or the look of the text changed."""
        rows, text = _parts(self.scanout)
        if moved:
            self._map = cell_map_of(rows)
            self._forget_cells()
            self._cursor_places = self._places_of_cursor()
            self._changes = Changes()
        new_fonts = self._fonts.look != text
        if new_fonts:
            self._text = text
            self._fonts = Fonts(text)
            self._key_table = _key_table(self.scanout)
            self.glyphs.clear()
            self._keys.fill(STALE)
        self.glyphs.reshape(self._map.glyph_lines, text.cell_width)
        self._shown = self._shown_cells()
        self._places.clear()
        self._look_at_all()
        if new_fonts:
            self._fonts.read(self._cells)
        self._changes.everything = True

    def _forget_cells(self) -> None:
        """The cells are others: none has been drawn."""
        #: Key that each cell was drawn with, (bands, columns), and the same cell by cell.
        self._keys = np.full(self._map.numbers.shape, STALE, np.int32)
        self._flat_keys = self._keys.reshape(-1)

    def _recolour(self) -> None:
        keys = self.glyphs.keys
        if len(keys) > self._keys.size:
            self.glyphs.clear()  # most are not shown any more
        else:
            self.glyphs.recolour(*self._colours_of(keys))
        self._keys.fill(STALE)
        self._changes.everything = True

    def _colours_of(self, keys: NDArray[np.int32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        return colours_of(keys, self.scanout.colours.palette, self._text.blink)

    def _places_of_cursor(self) -> list[int]:
        cursor = self.scanout.cursor
        return [] if cursor is None else self._map.places_of(cursor.address)

    def _shown_cells(self) -> list[Span]:
        """Spans of cells with characters or glyphs."""
        chunks = np.zeros(len(self._cells) // CHUNK_CELLS, np.bool_)
        chunks[self._map.numbers // CHUNK_CELLS] = True
        for half in chain.from_iterable(self._fonts.cells):
            chunks[half.start // CHUNK_CELLS : half.stop // CHUNK_CELLS] = True
        spans = spans_of_pages(chunks.nonzero()[0], 1)
        return [(first * CHUNK_CELLS, end * CHUNK_CELLS) for first, end in spans]

    def _add_glyphs(self, keys: NDArray[np.int32]) -> None:
        """Draw the glyphs that `keys` need and that are not there yet."""
        missing = self.glyphs.missing(keys)
        if not len(missing):
            return
        if len(self.glyphs.keys) + len(missing) > max(MAX_GLYPHS, 2 * self._keys.size):
            self.glyphs.clear()  # of what is shown, only what is drawn again needs one
            missing = self.glyphs.missing(keys)
        patterns = self._fonts.patterns[:, : self.glyphs.lines]
        dots = dots_of(missing, patterns, self._text, self.scanout.cursor)
        self.glyphs.add(missing, dots, *self._colours_of(missing))

    def note(self, spans: Sequence[Span]) -> None:
        for low, high in spans:
            if low < LEGACY_PAGES:
                places = self._places.get((low, high))
                if places is None:
                    places = self._places[low, high] = self._places_in(low, high)
                self._look_at(places)

    def _places_in(self, low: int, high: int) -> Places:
        """Where cells lie that are shown and among those in some pages."""
        layout = self.scanout.layout
        cells = cells_of_pages(low, min(high, LEGACY_PAGES), layout)
        return tuple(
            place
            for (first, end), (begin, stop) in product(cells, self._shown)
            for place in cells_between(max(first, begin), min(end, stop), layout)
        )

    def _look_at(self, places: Places) -> None:
        """Find out which cells are others now."""
        in_fonts = False
        for numbers, words in places:
            in_fonts |= self._look_at_cells(numbers, words)
        if in_fonts:
            self._compare_fonts()

    def _look_at_cells(self, numbers: slice, words: slice) -> bool:
        """Of some; whether there are glyphs among those that are."""
        before = self._cells[numbers]
        # A copy: a guest may store on while it is compared and kept.
        now = self._words[words].copy()
        flags = (now != before).tobytes()
        at = flags.find(1)
        if at < 0:
            return False
        if numbers.start >= HIGH_CELLS:
            in_fonts = int(np.bitwise_or.reduce(now ^ before)) & FONT_BITS
            before[:] = now
            return in_fonts != 0
        before[:] = now
        first, step, changes = numbers.start, numbers.step, self._changes
        count = flags.count(1)
        if count > FEW_CELLS:
            changes.spans.append((first + step * at, first + step * flags.rfind(1) + 1))
            changes.many += count
            return False
        while at >= 0:
            changes.cells.append(first + step * at)
            at = flags.find(1, at + 1)
        return False

    def _look_at_all(self) -> None:
        """Look at all cells with characters or glyphs, whatever the dirty log says."""
        layout = self.scanout.layout
        self._look_at(
            tuple(chain.from_iterable(cells_between(*span, layout) for span in self._shown))
        )

    def _compare_fonts(self) -> None:
        """Find glyphs that changed; cells that show them are drawn again."""
        changed = self._fonts.read(self._cells)
        if changed.any():
            self.glyphs.clear()
            self._keys[changed[self._keys & 0x1FF]] = STALE
            self._changes.everything = True

    def draw_all(self, frame: Frame) -> None:
        self._look_at_all()
        self._changes = Changes()
        if self.scanout.colours.blank:
            frame.fill(0)
        elif self._map.uniform:
            self._draw_uncompared(frame)
        else:
            self._keys.fill(STALE)
            self._draw_bands(frame, 0, len(self._map.bands))

    def draw_changes(self, frame: Frame, spans: Sequence[Span]) -> list[Rect]:
        changes, self._changes = self._changes, Changes()
        if self.scanout.colours.blank:
            return []
        cell_map = self._map
        if changes.everything or changes.many >= cell_map.numbers.size * BLOCK_PART:
            return self._draw_whole(frame)
        self._uncompared = 0
        if not changes.spans and not cell_map.panned:
            place_of_cell = cell_map.place_of_cell
            found = [int(place_of_cell[cell]) for cell in changes.cells]
            if -2 not in found:
                return self._draw_places(frame, {*changes.places, *found} - {-1})
        spans = changes.spans + [(cell, cell + 1) for cell in changes.cells]
        bands = [place // cell_map.columns for place in changes.places]
        bands += cell_map.bands_with(spans)
        return self._draw_bands(frame, min(bands), max(bands) + 1) if bands else []

    def _draw_whole(self, frame: Frame) -> list[Rect]:
        """Anything may have changed."""
        if self._uncompared and self._map.uniform:
            self._uncompared -= 1
            return self._draw_uncompared(frame)
        rects = self._draw_bands(frame, 0, len(self._map.bands))
        if sum([rect.area for rect in rects]) >= MOST * frame.size:
            self._uncompared = UNCOMPARED_FRAMES
        return rects

    def _keys_of(self, first: int, end: int) -> NDArray[np.int32]:
        """Keys of the cells of some bands: (end - first, columns)."""
        keys = self._key_table.take(self._cells.take(self._map.numbers[first:end]))
        columns = keys.shape[1]
        for place in self._cursor_places:
            if first <= place // columns < end:
                keys[place // columns - first, place % columns] |= CURSOR
        return keys

    def _draw_places(self, frame: Frame, places: set[int]) -> list[Rect]:
        """A few places, those of them that do not look as they did, one by one."""
        table, cells, keys = self._key_table, self._cells, self._flat_keys
        cell_map, glyphs = self._map, self.glyphs
        numbers, bands, columns = cell_map.flat_numbers, cell_map.bands, cell_map.columns
        out = frame.view(glyphs.element)
        drawn = []
        for place in sorted(places):
            key = int(table[cells[numbers[place]]])
            if place in self._cursor_places:
                key |= CURSOR
            if key == keys[place]:
                continue
            keys[place] = key
            glyph = glyphs.glyph(key)
            if glyph is None:
                self._add_glyphs(keys[place : place + 1])
                glyph = glyphs.glyph(key)
                assert glyph is not None
            band = bands[place // columns]
            out[band.y : band.y + band.height, place % columns] = glyph[band.lines]
            drawn.append(place)
        return [
            Rect(
                left * glyphs.width, bands[row].y, (right - left) * glyphs.width, bands[row].height
            )
            for row, left, right in cell_runs(drawn, columns)
        ]

    def _draw_bands(self, frame: Frame, first: int, end: int) -> list[Rect]:
        """Draw the cells of some bands that do not look as they did."""
        keys = self._keys_of(first, end)
        before = self._keys[first:end]
        changed = keys != before
        flags = changed.tobytes()
        columns = keys.shape[1]
        top, bottom = flags.find(1) // columns, flags.rfind(1) // columns + 1
        if not bottom:
            return []
        before[:] = keys
        rows = changed[top:bottom]
        if self._map.panned:
            self._add_glyphs(keys.ravel())
            return [
                self._draw_panned(frame, first + top + i, keys[top + i])
                for i in rows.any(axis=1).nonzero()[0].tolist()
            ]
        # Where most changed, to find out what did costs as much as drawing it.
        if self._map.uniform and flags.count(1) >= rows.size * BLOCK_PART:
            return self._draw_block(frame, first + top, first + bottom)
        where = changed.ravel().nonzero()[0]
        cuts = run_cuts(where, columns)
        if self._map.uniform and len(cuts) > FEW_RUNS and len(cuts) * CELLS_A_RUN > rows.size:
            return self._draw_block(frame, first + top, first + bottom)
        self._add_glyphs(keys.ravel().take(where))
        starts = where[np.concatenate(([0], cuts))].tolist()
        ends = where[np.concatenate((cuts - 1, [len(where) - 1]))].tolist()
        return [
            self._draw_run(frame, first + a // columns, a % columns, b % columns + 1)
            for a, b in zip(starts, ends, strict=True)
        ]

    def _draw_uncompared(self, frame: Frame) -> list[Rect]:
        """All cells, however they were drawn."""
        bands = len(self._map.bands)
        self._keys[:] = self._keys_of(0, bands)
        return self._draw_block(frame, 0, bands)

    def _draw_block(self, frame: Frame, first: int, end: int) -> list[Rect]:
        """All cells of consecutive bands in one go: cheaper than many runs."""
        keys = self._keys[first:end]
        self._add_glyphs(keys.ravel())
        top = self._map.bands[first].y
        height = self._map.bands[end - 1].y + self._map.bands[end - 1].height - top
        index = self.glyphs.index(keys, self._map.bands[0].scans)
        out = frame[top : top + height].view(self.glyphs.element)
        self.glyphs.elements.take(index.reshape(out.shape), out=out, mode="clip")
        return [Rect(0, top, self.scanout.width, height)]

    def _draw_run(self, frame: Frame, number: int, left: int, right: int) -> Rect:
        """Neighbouring cells of one band."""
        band, width = self._map.bands[number], self.glyphs.width
        keys = self._keys[number, left:right]
        self._add_glyphs(keys)  # a run takes unchanged cells along, known since they were drawn
        out = frame[band.y : band.y + band.height].view(self.glyphs.element)
        out[:, left:right] = self.glyphs.rows(keys, band.lines)
        return Rect(left * width, band.y, (right - left) * width, band.height)

    def _draw_panned(self, frame: Frame, number: int, keys: NDArray[np.int32]) -> Rect:
        """All cells of one band, moved left by part of a cell."""
        band, width = self._map.bands[number], self.scanout.width
        index = self.glyphs.index(keys[None], band.scans)[0]
        pixels = self.glyphs.elements.take(index, mode="clip").view(np.uint32)
        frame[band.y : band.y + band.height] = pixels[:, band.pan : band.pan + width]
        return Rect(0, band.y, width, band.height)

    def drawn(self, cursor: Cursor | None) -> TextCells:
        """What was drawn last, with the cursor wherever it is in its blink."""
        cell_map, scanout = self._map, self.scanout
        text = _parts(scanout)[1]
        columns = cell_map.columns - cell_map.panned
        cells = self._cells.take(cell_map.numbers[:, :columns])
        if scanout.colours.blank:
            cells.fill(0)
            cursor = None
        at = cell_map.places_of(cursor.address) if cursor is not None else []
        lines = cell_map.glyph_lines
        return TextCells(
            cells=cells,
            palette=np.frombuffer(scanout.colours.palette, np.uint32),
            blink=text.blink,
            underlined=text.underline_line < lines,
            cursor=divmod(at[0], cell_map.columns) if at else None,
            cursor_is_block=cursor is not None
            and 2 * (min(cursor.last_line, lines - 1) - cursor.first_line + 1) >= lines,
        )


def cells_of(vram: NDArray[np.uint8], scanout: Scanout) -> NDArray[np.uint16]:
    """What a text mode shows now: attribute << 8 | character, (rows, columns) uint16."""
    cell_map = cell_map_of(_parts(scanout)[0])
    words = words_of_cells(cell_map.numbers, scanout.layout)
    cells = vram[:LEGACY_BYTES].view(np.uint16).take(words)
    return cells[:, :-1] if cell_map.panned else cells


def _parts(scanout: Scanout) -> tuple[CrtcRows, TextLook]:
    assert isinstance(scanout.rows, CrtcRows)
    assert scanout.text is not None
    return scanout.rows, scanout.text


def _key_table(scanout: Scanout) -> NDArray[np.int32]:
    text = _parts(scanout)[1]
    return key_table(text.blink, scanout.blink_shown, text.fonts[0] != text.fonts[1])


def run_cuts(where: NDArray[np.intp], columns: int) -> NDArray[np.intp]:
    """Where ascending numbers of cells fall apart into runs: at ends of rows and larger gaps.

    Returns:
        Indices into `where` at which the second, third ... run begins.
    """
    apart = where[1:] - where[:-1] > GAP_CELLS
    apart |= where[1:] // columns != where[:-1] // columns
    return apart.nonzero()[0] + 1


def cell_runs(where: list[int], columns: int) -> list[tuple[int, int, int]]:
    """Ascending numbers of cells as runs: (row, left, right), joined over gaps of `GAP_CELLS`.

    >>> cell_runs([3, 4, 6, 79, 80], 80)
    [(0, 3, 7), (0, 79, 80), (1, 0, 1)]
    """
    found: list[tuple[int, int, int]] = []
    for cell in where:
        row, column = divmod(cell, columns)
        if found and found[-1][0] == row and column - found[-1][2] < GAP_CELLS:
            found[-1] = (row, found[-1][1], column + 1)
        else:
            found.append((row, column, column + 1))
    return found
