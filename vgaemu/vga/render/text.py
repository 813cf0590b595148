"""Text renderer: cells, compared with what was drawn last, so that one character redraws one cell.

The renderer keeps what VRAM held when it last looked, and draws from that alone. A dirty page is
compared with it: a changed dword is a cell to look at, or a piece of a glyph. A guest that stores
while a frame is drawn makes its page dirty again, and the next look finds what it stored.

A cell's look is a *key*: character with its font, attribute, whether its blink hides it, whether
the cursor is on it. Only cells whose key changed are drawn; cursor moves and blinking are key
changes like any other.

Finished glyphs are kept by key, so a row of text is one `np.take` whose element is a whole glyph
row (32 or 36 bytes).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, Span, spans_of_pages
from vgaemu.vga.crtc import scan_lines
from vgaemu.vga.layout import LEGACY_BYTES, LEGACY_DWORDS, LEGACY_PAGES, dword_of_address
from vgaemu.vga.render.base import Frame, Rect, Renderer
from vgaemu.vga.rows import fetch_dwords
from vgaemu.vga.scanout import Scanout

# Bits of a key: character (9 with its font), attribute, and two flags.
ATTRIBUTE_SHIFT = 9
HIDDEN = 1 << 17
CURSOR = 1 << 18
KEYS = 1 << 19
#: More glyphs than these are not kept, but for twice as many cells: each takes some 1.2 KB.
MOST_GLYPHS = 8192
#: No cell has this key: it is drawn at the next look.
STALE = -1

#: Pages are compared as 64-bit words: two plane addresses each, of four planes.
PAGE_QWORDS = PAGE_SIZE // 8
#: Planes 0 and 1 of both, where cells are, and plane 2, where fonts are.
LOW_CELL, HIGH_CELL = 0x0000_0000_0000_FFFF, 0x0000_FFFF_0000_0000
FONT_BITS = 0x00FF_0000_00FF_0000
#: So few changed words are looked at one by one.
FEW_WORDS = 12

#: A font in plane 2: 256 glyphs of 32 bytes.
FONT_BYTES = 8192
#: Changed cells this close together are drawn as one rectangle.
GAP_CELLS = 4
#: Drawing a run on its own costs as much as this many cells drawn in a block (measured: 14 us
#: against 0.04 us a cell).
CELLS_A_RUN = 300
#: So few runs are drawn on their own whatever it costs: less of the picture is then presented.
FEW_RUNS = 4
#: Where at least this part of some rows' cells changed, the rows are drawn as a block.
BLOCK_PART = 1 / 4


@lru_cache(maxsize=16)
def key_table(blink: bool, shown: bool, two_fonts: bool) -> NDArray[np.int32]:
    """(65536,) int32: a cell's two bytes (attribute << 8 | character) -> its key."""
    cell = np.arange(65536, dtype=np.int32)
    character, attribute = cell & 0xFF, cell >> 8
    key = character | attribute << ATTRIBUTE_SHIFT
    if two_fonts:
        key |= (attribute & 8) << 5
    if blink and not shown:
        key |= np.where(attribute & 0x80, HIDDEN, 0).astype(np.int32)
    return key


@dataclass(frozen=True)
class Band:
    """Consecutive scan lines that show one row of cells."""

    y: int
    height: int
    #: Glyph line shown in each.
    scans: NDArray[np.intp]
    #: The same as a slice, where they are consecutive.
    lines: slice | NDArray[np.intp]
    #: Pixels the band is moved left.
    pan: int


@lru_cache(maxsize=2)
def dot_masks(width: int) -> NDArray[np.void]:
    """(2 ** width,) V32 or V36: all ones in the pixels of a glyph row whose dots are set."""
    patterns = np.arange(1 << width)[:, None]
    dots = patterns >> np.arange(width - 1, -1, -1) & 1
    return (dots.astype(np.uint32) * 0xFFFFFFFF).view(f"V{4 * width}")[:, 0]


class GlyphCache:
    """Finished glyphs by cell key: for each a slot, and in each slot one element a scan line."""

    def __init__(self, lines: int, width: int) -> None:
        """An empty cache of glyphs `lines` scan lines high and `width` (8 or 9) dots wide."""
        self.lines = lines
        self._element = np.dtype(f"V{4 * width}")
        self._width = width
        self._slot_of_key = np.full(KEYS, -1, np.int32)
        self._slots = self._slot_of_key.data  # reads one entry in half the time
        self._used = 0
        self._key_of_slot = np.empty(256, np.int32)
        #: Of each glyph its set dots as all ones, and its colours.
        self._masks, self._pixels = self._room(256), self._room(256)

    def _room(self, slots: int) -> NDArray[np.void]:
        return np.empty((slots, self.lines), self._element)

    def clear(self) -> None:
        """Colours, fonts or shapes changed: forget all glyphs."""
        self._slot_of_key[self._key_of_slot[: self._used]] = -1
        self._used = 0

    def reshape(self, lines: int) -> None:
        """Keep `lines` scan lines of each glyph from now on; forgets all where that is new."""
        if lines != self.lines:
            self.clear()
            self.lines = lines
            self._masks, self._pixels = (self._room(len(self._key_of_slot)) for _ in range(2))

    def missing(self, keys: NDArray[np.int32]) -> NDArray[np.int32]:
        """Those of `keys`, (n,), that have no glyph yet, each once."""
        absent = keys[self._slot_of_key.take(keys) < 0]
        if not len(absent):
            return absent
        # Of equal keys only the last one's number stays in the table: a unique without sorting.
        number = np.arange(len(absent), dtype=np.int32)
        self._slot_of_key[absent] = number
        last = self._slot_of_key.take(absent) == number
        once: NDArray[np.int32] = absent.compress(last)
        self._slot_of_key[once] = -1
        return once

    def add(
        self,
        keys: NDArray[np.int32],
        patterns: NDArray[np.intp],
        foreground: NDArray[np.uint32],
        background: NDArray[np.uint32],
    ) -> None:
        """Colour the glyphs of some keys.

        Args:
            keys: (n,) that have no glyph yet.
            patterns: (n, lines) dots, the leftmost in the highest bit.
            foreground: (n,) colour of set dots.
            background: (n,) colour of the others.
        """
        first, self._used = self._used, self._used + len(keys)
        if self._used > len(self._pixels):
            for name in ("_masks", "_pixels"):
                grown = self._room(2 * self._used)
                grown[:first] = getattr(self, name)[:first]
                setattr(self, name, grown)
            self._key_of_slot = np.resize(self._key_of_slot, 2 * self._used)
        dot_masks(self._width).take(patterns, out=self._masks[first : self._used], mode="clip")
        self._colour(first, foreground, background)
        self._key_of_slot[first : self._used] = keys
        self._slot_of_key[keys] = np.arange(first, self._used)

    @property
    def keys(self) -> NDArray[np.int32]:
        """Keys of all glyphs, in the order of their slots: (n,)."""
        return self._key_of_slot[: self._used]

    def recolour(self, foreground: NDArray[np.uint32], background: NDArray[np.uint32]) -> None:
        """Give all glyphs other colours: (n,) each, in the order of `keys`."""
        self._colour(0, foreground, background)

    def _colour(
        self, first: int, foreground: NDArray[np.uint32], background: NDArray[np.uint32]
    ) -> None:
        masks, pixels = (
            glyphs[first : self._used].view(np.uint32) for glyphs in (self._masks, self._pixels)
        )
        np.bitwise_and(masks, (foreground ^ background)[:, None], out=pixels)
        pixels ^= background[:, None]

    def index(self, keys: NDArray[np.int32], lines: NDArray[np.intp]) -> NDArray[np.intp]:
        """Where each cell's glyph rows are in `elements`.

        Args:
            keys: (rows, columns), all with glyphs.
            lines: (n,) glyph lines.

        Returns:
            (rows, n, columns).
        """
        first = self._slot_of_key.take(keys).astype(np.intp) * self.lines
        index: NDArray[np.intp] = first[:, None, :] + lines[:, None]
        return index

    def glyph(self, key: int) -> NDArray[np.void] | None:
        """All lines of one glyph, (lines,), or None if it is not there."""
        slot = self._slots[key]
        return None if slot < 0 else self._pixels[slot]

    def rows(self, keys: NDArray[np.int32], lines: slice | NDArray[np.intp]) -> NDArray[np.void]:
        """Some lines of the glyphs of a few cells, (lines, len(keys)): quicker than `index`."""
        return self._pixels[self._slot_of_key[keys]][:, lines].T

    @property
    def elements(self) -> NDArray[np.void]:
        """All glyph rows, one element each."""
        return self._pixels.reshape(-1)


class TextRenderer(Renderer):
    """Text modes."""

    def __init__(self, vram: NDArray[np.uint8], scanout: Scanout) -> None:
        """Prepare tables; see `Renderer`."""
        self._glyph_row = np.dtype(f"V{4 * scanout.cell_width}")
        self._vram64 = vram[:LEGACY_BYTES].view(np.uint64)
        #: What VRAM held at the last look, where it is shown.
        self._seen64 = np.zeros(LEGACY_BYTES // 8, np.uint64)
        self._seen = self._seen64.view(np.uint8)
        self._cells16 = self._seen64.view(np.uint16)
        self._font = np.zeros((2, FONT_BYTES), np.uint8)
        self._glyphs = GlyphCache(32, scanout.cell_width)
        #: First and last line of the cursor in the glyphs that have one.
        self._cursor_shape = (0, 0)
        super().__init__(vram, scanout)

    def renew(self, scanout: Scanout) -> None:
        """Take another scanout; tables that depend on what changed are made anew."""
        old, self._old, self.scanout = self._old, scanout, scanout
        self._forget_changes()
        new_bands = old is None or _shape(old) != _shape(scanout)
        new_fonts = old is None or _glyph_source(old) != _glyph_source(scanout)
        if new_bands:
            self._build_bands()
        if new_fonts:
            self._find_fonts()
        if new_bands or new_fonts:
            #: Pages with cells or glyphs.
            self._shown = spans_of_pages(np.union1d(self._cell_pages, self._font_pages), 1)
            self._look_at_all()
        if new_fonts:
            self._read_fonts()
        self._choose_key_table()
        reshaped = scanout.cursor is not None and scanout.cursor[1:] != self._cursor_shape
        glyphs = self._glyphs.keys  # where they are more than cells, most are not shown any more
        if (
            old is not None
            and not reshaped
            and _glyph_shapes(old) == _glyph_shapes(scanout)
            and len(glyphs) <= self._keys.size
        ):
            self._glyphs.recolour(*self._colours_of(glyphs))
        else:
            self._glyphs.clear()
        self._keys.fill(STALE)
        self._find_cursor()
        if scanout.cursor is not None:
            self._cursor_shape = scanout.cursor[1:]

    def renew_cells(self, scanout: Scanout) -> None:
        """Take a scanout that differs in cursor and blink alone; only cells may look otherwise."""
        old, self._old, self.scanout = self.scanout, scanout, scanout
        before, now = old.cursor, scanout.cursor
        if now is not None and now[1:] != self._cursor_shape:
            # The cursor has another shape: its cells look otherwise under the same key.
            self._cursor_shape = now[1:]
            self._glyphs.clear()
            self._keys[(self._keys & CURSOR) != 0] = STALE
        self._changed_cells += self._cursor_cells
        if before != now:
            self._find_cursor()
            self._changed_cells += self._cursor_cells
        if old.blink_shown != scanout.blink_shown:
            self._choose_key_table()
            self._everything_changed = True

    def _choose_key_table(self) -> None:
        scanout = self.scanout
        self._key_table = key_table(
            scanout.blink, scanout.blink_shown, scanout.fonts[0] != scanout.fonts[1]
        )

    def _forget_changes(self) -> None:
        """What may look otherwise than it was drawn: nothing."""
        #: Cells, counted row by row; dwords of VRAM; pages; or everything.
        self._changed_cells: list[int] = []
        self._changed_dwords: list[int] = []
        self._changed_spans: list[Span] = []
        self._everything_changed = False

    def _find_cursor(self) -> None:
        """Cells that the cursor is on: several where memory is shown twice."""
        self._cursor_cells: list[int] = []
        if self.scanout.cursor is not None:
            address, columns = self.scanout.cursor[0], self._keys.shape[1]
            if self._pitch >= columns:
                # No cell is there twice.
                band, column = divmod(address - self._row_starts[0] & 0xFFFF, self._pitch)
                if band < len(self._bands) and column < columns:
                    self._cursor_cells.append(band * columns + column)
                return
            for band, row_start in enumerate(self._row_starts):
                column = (address - row_start) & 0xFFFF
                if column < columns:
                    self._cursor_cells.append(band * columns + column)

    # --- tables -------------------------------------------------------------------------------

    def _build_bands(self) -> None:
        scanout = self.scanout
        every = scanout.scan_lines_a_row
        lines = scan_lines(scanout.geometry)
        row_start, scan, part = (
            a[::every][: scanout.height] for a in (lines.row_start, lines.row_scan, lines.part)
        )
        bits = scan & scanout.geometry.row_bits
        new = np.ones(scanout.height, np.bool_)
        new[1:] = (
            (np.diff(row_start) != 0)
            | (np.diff(bits) != 0)
            | (np.diff(part) != 0)
            | (np.diff(scan) < 0)
        )
        tops = np.flatnonzero(new)
        bottoms = np.append(tops[1:], scanout.height)
        self._bands = [
            Band(
                y=top,
                height=bottom - top,
                scans=scan[top:bottom],
                lines=_consecutive(scan[top:bottom]),
                pan=scanout.pan[part[top]],
            )
            for top, bottom in zip(tops.tolist(), bottoms.tolist(), strict=True)
        ]
        # Lines that no band shows are not coloured: half of a glyph's 32, as a rule.
        self._glyphs.reshape(1 + int(scan.max()))
        self._panned = any(scanout.pan)
        #: All bands show the same glyph lines in the same place: they can be drawn in one go.
        first = self._bands[0]
        self._uniform = not self._panned and all(
            np.array_equal(band.scans, first.scans) for band in self._bands
        )
        #: CRTC address of each band's first cell, for the cursor.
        self._row_starts: list[int] = row_start[tops].tolist()
        #: Addresses from row to row, where that is the same for all rows; else 0.
        pitches = set(np.diff(row_start[tops]).tolist())
        self._pitch: int = pitches.pop() if len(pitches) == 1 else 0
        dwords = fetch_dwords(scanout, slice(None), 1 if self._panned else 0)[tops]
        #: (bands, columns + 1 if panned): each cell's two bytes as a number of 16-bit words.
        self._cell_numbers = 2 * dwords
        self._keys: NDArray[np.int32] = np.full(dwords.shape, STALE, np.int32)
        #: Made when it is first needed.
        self._cell_of_dword: NDArray[np.int32] | None = None
        pages = dwords * 4 >> PAGE_SHIFT
        self._cell_pages = np.unique(pages)
        #: First and last page of each band.
        self._band_pages = list(
            zip(pages.min(axis=1).tolist(), pages.max(axis=1).tolist(), strict=True)
        )

    def _find_fonts(self) -> None:
        """Where the fonts' bytes lie in VRAM: plane 2 of their addresses."""
        fonts = self.scanout.fonts
        # One font in both places is looked at once; attribute bit 3 then selects nothing.
        self._font_bytes = [
            4 * dword_of_address(base + np.arange(FONT_BYTES), self.scanout.chain4_layout) + 2
            for base in (fonts if fonts[0] != fonts[1] else fonts[:1])
        ]
        self._font_pages = np.unique(np.concatenate(self._font_bytes) >> PAGE_SHIFT)

    def _read_fonts(self) -> None:
        """The glyphs of the fonts' bytes: their dots."""
        for i, at in enumerate(self._font_bytes):
            self._font[i] = self._seen.take(at)
        self._build_patterns()

    def _map_dwords(self) -> NDArray[np.int32]:
        """(65536,) int32: the cell that a dword of VRAM is, -1 for none, -2 for several."""
        dwords = self._cell_numbers.ravel() >> 1
        cells = np.arange(len(dwords), dtype=np.int32)
        cell_of_dword = np.full(LEGACY_DWORDS, -1, np.int32)
        cell_of_dword[dwords] = cells
        cell_of_dword[dwords[cell_of_dword[dwords] != cells]] = -2
        return cell_of_dword

    def _build_patterns(self) -> None:
        """(512, 32) intp: dots of each glyph line of both fonts; finished glyphs go."""
        glyphs = self._font.reshape(512, 32).astype(np.intp)
        if self.scanout.cell_width == 9:
            code = np.arange(512) & 0xFF
            copies = (code >= 0xC0) & (code <= 0xDF) & self.scanout.line_graphics
            glyphs = glyphs << 1 | glyphs & copies[:, None]
        self._patterns = glyphs
        self._glyphs.clear()

    def _add_glyphs(self, keys: NDArray[np.int32]) -> None:
        """Draw the glyphs that `keys` need and that are not there yet."""
        scanout = self.scanout
        missing = self._glyphs.missing(keys)
        if not len(missing):
            return
        if len(self._glyphs.keys) + len(missing) > max(MOST_GLYPHS, 2 * self._keys.size):
            self._glyphs.clear()  # of what is shown, only what is drawn again needs one
            missing = self._glyphs.missing(keys)
        keys = missing
        attribute = keys >> ATTRIBUTE_SHIFT & 0xFF
        hidden = (keys & HIDDEN) != 0
        patterns = self._patterns[:, : self._glyphs.lines].take(keys & 0x1FF, axis=0)
        all_dots = (1 << scanout.cell_width) - 1
        underline = scanout.underline_line
        patterns[(attribute & 0x77) == 0x01, underline : underline + 1] = all_dots
        patterns[hidden] = 0
        if scanout.cursor is not None:
            # A solid block in the foreground colour, even where the character blinks off.
            _, first, last = scanout.cursor
            patterns[(keys & CURSOR) != 0, first : last + 1] = all_dots
        self._glyphs.add(keys, patterns, *self._colours_of(keys))

    def _colours_of(self, keys: NDArray[np.int32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Colours of set dots, and of the others."""
        palette = np.frombuffer(self.scanout.palette, np.uint32)
        attribute = keys >> ATTRIBUTE_SHIFT
        back = attribute >> 4 & (7 if self.scanout.blink else 15)
        return palette.take(attribute & 0x0F), palette.take(back)

    # --- drawing ------------------------------------------------------------------------------

    def see(self, spans: Sequence[Span]) -> None:
        """Look at the pages of `spans`, and note which cells and glyphs changed."""
        for low, high in spans:
            if low < LEGACY_PAGES:
                self._look_at(low, min(high, LEGACY_PAGES))

    def _look_at(self, low: int, high: int) -> None:
        first, end = low * PAGE_QWORDS, high * PAGE_QWORDS
        before = self._seen64[first:end]
        # A copy: a guest may store on while it is compared and kept.
        now = self._vram64[first:end].copy()
        where = (now != before).nonzero()[0]
        if not len(where):
            return
        bits = 0
        if len(where) <= FEW_WORDS:
            for at in where.tolist():
                change = int(now[at]) ^ int(before[at])
                bits |= change
                if change & LOW_CELL:
                    self._changed_dwords.append(2 * (first + at))
                if change & HIGH_CELL:
                    self._changed_dwords.append(2 * (first + at) + 1)
        else:
            bits = int(np.bitwise_or.reduce(now.take(where) ^ before.take(where)))
            self._changed_spans.append((low, high))
        before[:] = now
        if bits & FONT_BITS:
            self._compare_fonts()

    def _look_at_all(self) -> None:
        """Look at all pages with cells or glyphs, whatever the dirty log says."""
        for low, high in self._shown:
            self._look_at(low, high)

    def _compare_fonts(self) -> None:
        """Find glyphs that changed; cells that show them are drawn again."""
        before = self._font.copy()
        for i, at in enumerate(self._font_bytes):
            self._font[i] = self._seen.take(at)
        stale = (self._font != before).reshape(512, 32).any(axis=1)
        if stale.any():
            self._build_patterns()
            self._keys[stale[self._keys & 0x1FF]] = STALE
            self._everything_changed = True

    def draw_all(self, frame: Frame) -> None:
        """Every cell."""
        self._look_at_all()
        self._forget_changes()
        if self.scanout.blank:
            frame.fill(0)
        elif self._uniform:
            self._keys[:] = self._keys_of(0, len(self._bands))
            self._draw_block(frame, 0, len(self._bands))
        else:
            self._keys.fill(STALE)
            self._draw_bands(frame, 0, len(self._bands))

    def draw_changes(self, frame: Frame, spans: Sequence[Span]) -> list[Rect]:
        """The cells whose look changed; `see` was told where to look."""
        cells, dwords, pages = self._changed_cells, self._changed_dwords, self._changed_spans
        everything = self._everything_changed
        self._forget_changes()
        if self.scanout.blank:
            return []
        if everything:
            return self._draw_bands(frame, 0, len(self._bands))
        if not pages and not self._panned:
            if self._cell_of_dword is None:
                self._cell_of_dword = self._map_dwords()
                self._flat_keys = self._keys.reshape(-1)
                self._flat_numbers: list[int] = self._cell_numbers.ravel().tolist()
            found = [int(self._cell_of_dword[dword]) for dword in dwords]
            if -2 not in found:
                return self._draw_cells(frame, {*cells, *found} - {-1})
        pages += [(dword >> 10, (dword >> 10) + 1) for dword in dwords]
        columns = self._keys.shape[1]
        bands = [cell // columns for cell in cells]
        for band, (first_page, last_page) in enumerate(self._band_pages):
            if any(low <= last_page and first_page < high for low, high in pages):
                bands.append(band)
        return self._draw_bands(frame, min(bands), max(bands) + 1) if bands else []

    def _keys_of(self, first: int, end: int) -> NDArray[np.int32]:
        """Keys of the cells of some bands: (end - first, columns)."""
        keys = self._key_table.take(self._cells16.take(self._cell_numbers[first:end]))
        columns = keys.shape[1]
        for cell in self._cursor_cells:
            if first <= cell // columns < end:
                keys[cell // columns - first, cell % columns] |= CURSOR
        return keys

    def _draw_cells(self, frame: Frame, cells: set[int]) -> list[Rect]:
        """A few cells, those of them that do not look as they did, one by one."""
        table, cells16, numbers = self._key_table, self._cells16, self._flat_numbers
        keys = self._flat_keys
        columns, width = self._keys.shape[1], self.scanout.cell_width
        out = frame.view(self._glyph_row)
        drawn = []
        for cell in sorted(cells):
            key = int(table[cells16[numbers[cell]]])
            if cell in self._cursor_cells:
                key |= CURSOR
            if key == keys[cell]:
                continue
            keys[cell] = key
            glyph = self._glyphs.glyph(key)
            if glyph is None:
                self._add_glyphs(keys[cell : cell + 1])
                glyph = self._glyphs.glyph(key)
                assert glyph is not None
            band = self._bands[cell // columns]
            out[band.y : band.y + band.height, cell % columns] = glyph[band.lines]
            drawn.append(cell)
        rects = []
        for row, left, right in cell_runs(drawn, columns):
            band = self._bands[row]
            rects.append(Rect(left * width, band.y, (right - left) * width, band.height))
        return rects

    def _draw_bands(self, frame: Frame, first: int, end: int) -> list[Rect]:
        """Draw the cells of some bands that do not look as they did."""
        keys = self._keys_of(first, end)
        changed = keys != self._keys[first:end]
        where = changed.ravel().nonzero()[0]
        if not len(where):
            return []
        self._keys[first:end] = keys
        if self._panned:
            self._add_glyphs(keys.ravel())
            rows = changed.any(axis=1).nonzero()[0]
            return [self._draw_panned(frame, first + i, keys[i]) for i in rows.tolist()]
        columns = keys.shape[1]
        top, bottom = int(where[0]) // columns, int(where[-1]) // columns + 1
        cells = (bottom - top) * columns
        if self._uniform and len(where) >= cells * BLOCK_PART:
            return self._draw_block(frame, first + top, first + bottom)
        cuts = run_cuts(where, columns)
        if self._uniform and len(cuts) > FEW_RUNS and len(cuts) * CELLS_A_RUN > cells:
            return self._draw_block(frame, first + top, first + bottom)
        self._add_glyphs(keys.ravel().take(where))
        starts = where[np.concatenate(([0], cuts))].tolist()
        ends = where[np.concatenate((cuts - 1, [len(where) - 1]))].tolist()
        return [
            self._draw_run(frame, first + a // columns, a % columns, b % columns + 1)
            for a, b in zip(starts, ends, strict=True)
        ]

    def _draw_block(self, frame: Frame, first: int, end: int) -> list[Rect]:
        """All cells of consecutive bands in one go: cheaper than many runs."""
        keys = self._keys[first:end]
        self._add_glyphs(keys.ravel())
        top = self._bands[first].y
        height = self._bands[end - 1].y + self._bands[end - 1].height - top
        index = self._glyphs.index(keys, self._bands[0].scans)
        out = frame[top : top + height].view(self._glyph_row)
        self._glyphs.elements.take(index.reshape(out.shape), out=out, mode="clip")
        return [Rect(0, top, self.scanout.width, height)]

    def _draw_run(self, frame: Frame, number: int, left: int, right: int) -> Rect:
        """Neighbouring cells of one band."""
        band, width = self._bands[number], self.scanout.cell_width
        keys = self._keys[number, left:right]
        self._add_glyphs(keys)  # a run takes unchanged cells along, known since they were drawn
        out = frame[band.y : band.y + band.height].view(self._glyph_row)
        out[:, left:right] = self._glyphs.rows(keys, band.lines)
        return Rect(left * width, band.y, (right - left) * width, band.height)

    def _draw_panned(self, frame: Frame, number: int, keys: NDArray[np.int32]) -> Rect:
        """All cells of one band, moved left by part of a cell."""
        band, width = self._bands[number], self.scanout.width
        index = self._glyphs.index(keys[None], band.scans)[0]
        pixels = self._glyphs.elements.take(index, mode="clip").view(np.uint32)
        frame[band.y : band.y + band.height] = pixels[:, band.pan : band.pan + width]
        return Rect(0, band.y, width, band.height)

    def cells(self) -> list[NDArray[np.uint16]]:
        """Attribute << 8 | character of each row of cells that is shown, from VRAM: (columns,)."""
        columns = self.scanout.columns
        return [self._cells16.take(numbers[:columns]) for numbers in self._cell_numbers]


def _consecutive(lines: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    first = int(lines[0])
    if np.array_equal(lines, np.arange(first, first + len(lines))):
        return slice(first, first + len(lines))
    return lines


def _shape(scanout: Scanout) -> tuple[object, ...]:
    """What the bands and cell numbers are made from."""
    return (
        scanout.geometry, scanout.width, scanout.height, scanout.columns, scanout.rotate,
        scanout.wrap_bit, scanout.chain4_layout, scanout.pan,
    )  # fmt: skip


def _glyph_source(scanout: Scanout) -> tuple[object, ...]:
    """What the dot patterns are made from, besides VRAM."""
    return scanout.fonts, scanout.line_graphics, scanout.chain4_layout


def _glyph_shapes(scanout: Scanout) -> tuple[object, ...]:
    """What finished glyphs depend on besides dots of fonts, palette and the cursor's shape."""
    return _glyph_source(scanout), scanout.blink, scanout.underline_line


def run_cuts(where: NDArray[np.intp], columns: int) -> NDArray[np.intp]:
    """Where changed cells fall apart into runs: at ends of rows, and at gaps of `GAP_CELLS`.

    Args:
        where: Ascending numbers of the changed cells, counted row by row.
        columns: Cells a row.

    Returns:
        Indices into `where` at which the second, third ... run begins.
    """
    apart = where[1:] - where[:-1] > GAP_CELLS
    apart |= where[1:] // columns != where[:-1] // columns
    return apart.nonzero()[0] + 1


def cell_runs(where: list[int], columns: int) -> list[tuple[int, int, int]]:
    """Changed cells as runs: (row, left, right), joined over gaps of at most `GAP_CELLS`.

    Args:
        where: Ascending numbers of changed cells, counted row by row.
        columns: Cells a row.

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
