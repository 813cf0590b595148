"""Text renderer: cells, compared with what was drawn last, so that one character redraws one cell.

A cell's look is a *key*: character with its font, attribute, whether its blink hides it, whether
the cursor is on it. Keys are made from VRAM for the rows whose pages are dirty; only cells whose
key changed are drawn. Cursor moves and blinking are key changes like any other.

Finished glyphs are kept by key, so a row of text is one `np.take` whose element is a whole glyph
row (32 or 36 bytes).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import PAGE_SHIFT, Span
from vgaemu.vga.crtc import scan_lines
from vgaemu.vga.layout import LEGACY_PAGES, dword_of_address
from vgaemu.vga.render.base import Frame, Rect, Renderer
from vgaemu.vga.rows import fetch_dwords
from vgaemu.vga.scanout import Scanout

# Bits of a key: character (9 with its font), attribute, and two flags.
ATTRIBUTE_SHIFT = 9
HIDDEN = 1 << 17
CURSOR = 1 << 18
KEYS = 1 << 19
#: No cell has this key: it is drawn at the next look.
STALE = -1

#: No band: wider than any with `min` and `max`.
NOWHERE = (1 << 30, 0)

#: A font in plane 2: 256 glyphs of 32 bytes.
FONT_BYTES = 8192
#: Changed cells this close together are drawn as one rectangle.
GAP_CELLS = 4
#: Drawing a run on its own costs as much as this many cells drawn in a block (measured: 14 us
#: against 0.04 us a cell).
CELLS_A_RUN = 300
#: So few runs are drawn on their own whatever it costs: less of the picture is then presented.
FEW_RUNS = 4


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
        self._used = 0
        self._key_of_slot = np.empty(256, np.int32)
        self._pixels = np.empty((256, lines), self._element)

    def clear(self) -> None:
        """Colours, fonts or shapes changed: forget all glyphs."""
        self._slot_of_key[self._key_of_slot[: self._used]] = -1
        self._used = 0

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
        count = len(keys)
        if self._used + count > len(self._pixels):
            grown = np.empty((2 * (self._used + count), self.lines), self._element)
            grown[: self._used] = self._pixels[: self._used]
            self._pixels = grown
            self._key_of_slot = np.resize(self._key_of_slot, len(grown))
        masks = dot_masks(self._width).take(patterns)
        pixels = masks.view(np.uint32).reshape(count, -1)
        pixels &= (foreground ^ background)[:, None]
        pixels ^= background[:, None]
        self._pixels[self._used : self._used + count] = masks
        self._key_of_slot[self._used : self._used + count] = keys
        self._slot_of_key[keys] = np.arange(self._used, self._used + count)
        self._used += count

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
        self._cells16 = vram[: len(vram) // 4 * 4].view(np.uint16)
        self._font = np.zeros((2, FONT_BYTES), np.uint8)
        self._glyphs = GlyphCache(32, scanout.cell_width)
        super().__init__(vram, scanout)

    def renew(self, scanout: Scanout) -> None:
        """Take another scanout; tables that depend on what changed are made anew."""
        old, self._old, self.scanout = self._old, scanout, scanout
        if old is None or _shape(old) != _shape(scanout):
            self._build_bands()
        if old is None or _glyph_source(old) != _glyph_source(scanout):
            self._find_fonts()
            self._build_patterns()
        self._glyphs.clear()
        self._keys.fill(STALE)
        self._find_cursor()
        self._cursor_shape = scanout.cursor[1:] if scanout.cursor is not None else (0, 0)
        #: Bands whose cells may look otherwise though no page is dirty: first and end.
        self._look = NOWHERE

    def renew_cells(self, scanout: Scanout) -> None:
        """Take a scanout that differs in cursor and blink alone; only cells may look otherwise."""
        old, self._old, self.scanout = self.scanout, scanout, scanout
        before, now = old.cursor, scanout.cursor
        if now is not None and now[1:] != self._cursor_shape:
            # The cursor has another shape: its cells look otherwise under the same key.
            self._cursor_shape = now[1:]
            self._glyphs.clear()
            self._keys[(self._keys & CURSOR) != 0] = STALE
        bands = [band for band, _ in self._cursor_cells]
        if before != now:
            self._find_cursor()
            bands += [band for band, _ in self._cursor_cells]
        if old.blink_shown != scanout.blink_shown:
            bands += [0, len(self._bands) - 1]
        if bands:
            first, end = self._look
            self._look = min(first, *bands), max(end, max(bands) + 1)

    def _find_cursor(self) -> None:
        """Bands and columns that the cursor is on: several where memory is shown twice."""
        self._cursor_cells: list[tuple[int, int]] = []
        if self.scanout.cursor is not None:
            address, columns = self.scanout.cursor[0], self._keys[0].size
            for band, row_start in enumerate(self._row_starts):
                column = (address - row_start) & 0xFFFF
                if column < columns:
                    self._cursor_cells.append((band, column))

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
        self._panned = any(scanout.pan)
        #: All bands show the same glyph lines in the same place: they can be drawn in one go.
        first = self._bands[0]
        self._uniform = not self._panned and all(
            np.array_equal(band.scans, first.scans) for band in self._bands
        )
        #: CRTC address of each band's first cell, for the cursor.
        self._row_starts: list[int] = row_start[tops].tolist()
        dwords = fetch_dwords(scanout, slice(None), 1 if self._panned else 0)[tops]
        #: (bands, columns + 1 if panned): each cell's two bytes as a number of 16-bit words.
        self._cell_numbers = 2 * dwords
        self._keys = np.full(dwords.shape, STALE, np.int32)
        pages = dwords * 4 >> PAGE_SHIFT
        #: First and last page of each band.
        self._band_pages = list(
            zip(pages.min(axis=1).tolist(), pages.max(axis=1).tolist(), strict=True)
        )

    def _find_fonts(self) -> None:
        """Where the fonts' bytes lie in VRAM (plane 2 of their addresses), and what they are."""
        fonts = self.scanout.fonts
        # One font in both places is looked at once; attribute bit 3 then selects nothing.
        self._font_bytes = [
            4 * dword_of_address(base + np.arange(FONT_BYTES), self.scanout.chain4_layout) + 2
            for base in (fonts if fonts[0] != fonts[1] else fonts[:1])
        ]
        self._font_bytes_of_page = [_by_page(at) for at in self._font_bytes]
        for i, at in enumerate(self._font_bytes):
            self._font[i] = self.vram.take(at)

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
        keys = self._glyphs.missing(keys)
        if not len(keys):
            return
        attribute = keys >> ATTRIBUTE_SHIFT & 0xFF
        front, back = attribute & 0x0F, attribute >> 4 & (7 if scanout.blink else 15)
        hidden = (keys & HIDDEN) != 0
        patterns = self._patterns.take(keys & 0x1FF, axis=0)
        all_dots = (1 << scanout.cell_width) - 1
        patterns[(attribute & 0x77) == 0x01, scanout.underline_line] = all_dots
        patterns[hidden] = 0
        if scanout.cursor is not None:
            # A solid block in the foreground colour, even where the character blinks off.
            _, first, last = scanout.cursor
            patterns[(keys & CURSOR) != 0, first : last + 1] = all_dots
        palette = np.frombuffer(scanout.palette, np.uint32)
        self._glyphs.add(keys, patterns, palette[front], palette[back])

    # --- drawing ------------------------------------------------------------------------------

    def see(self, spans: list[Span]) -> None:
        """Look for glyphs that changed in the pages of `spans`; cells that show them are stale."""
        changed: list[NDArray[np.intp]] = []
        for i, of_page in enumerate(self._font_bytes_of_page):
            for page in [p for low, high in spans for p in range(low, min(high, LEGACY_PAGES))]:
                if page not in of_page:
                    continue
                at, numbers = of_page[page]
                # A copy: a guest may store on while it is compared and kept.
                now, before = self.vram[numbers].copy(), self._font[i, at]
                if (now != before).any():
                    glyphs = np.arange(FONT_BYTES)[at] >> 5
                    changed.append(256 * i + glyphs[now != before])
                    before[:] = now
        if changed:
            stale = np.zeros(512, np.bool_)
            stale[np.concatenate(changed)] = True
            self._build_patterns()
            self._keys[stale[self._keys & 0x1FF]] = STALE
            self._look = (0, len(self._bands))

    def draw_all(self, frame: Frame) -> None:
        """Every cell."""
        self._look = NOWHERE
        if self.scanout.blank:
            frame.fill(0)
        elif self._uniform:
            self._keys[:] = self._keys_of(0, len(self._bands))
            self._draw_block(frame, 0, len(self._bands))
        else:
            self._keys.fill(STALE)
            self._draw_bands(frame, 0, len(self._bands))

    def draw_changes(self, frame: Frame, spans: list[Span]) -> list[Rect]:
        """The cells whose look changed; `spans` says where to look for new characters."""
        first, end = self._look
        self._look = NOWHERE
        if self.scanout.blank:
            return []
        for band, (low_page, high_page) in enumerate(self._band_pages):
            for low, high in spans:
                if low <= high_page and low_page < high:
                    first, end = min(first, band), max(end, band + 1)
        return self._draw_bands(frame, first, end) if first < end else []

    def _keys_of(self, first: int, end: int) -> NDArray[np.int32]:
        """Keys of the cells of some bands, from VRAM: (end - first, columns)."""
        scanout = self.scanout
        table = key_table(scanout.blink, scanout.blink_shown, scanout.fonts[0] != scanout.fonts[1])
        keys = table.take(self._cells16.take(self._cell_numbers[first:end]))
        for band, column in self._cursor_cells:
            if first <= band < end:
                keys[band - first, column] |= CURSOR
        return keys

    def _draw_bands(self, frame: Frame, first: int, end: int) -> list[Rect]:
        """Draw the cells of some bands that do not look as they did."""
        keys = self._keys_of(first, end)
        changed = keys != self._keys[first:end]
        where = changed.ravel().nonzero()[0]
        if not len(where):
            return []
        self._keys[first:end] = keys
        self._add_glyphs(keys.ravel() if self._panned else keys.ravel().take(where))
        if self._panned:
            rows = changed.any(axis=1).nonzero()[0]
            return [self._draw_panned(frame, first + i, keys[i]) for i in rows.tolist()]
        columns = keys.shape[1]
        if len(where) <= FEW_RUNS:
            runs = cell_runs(where.tolist(), columns)
        else:
            cuts = run_cuts(where, columns)
            if self._uniform and len(cuts) > FEW_RUNS and len(cuts) * CELLS_A_RUN > keys.size:
                return self._draw_block(frame, first, end)
            starts = where[np.concatenate(([0], cuts))].tolist()
            ends = where[np.concatenate((cuts - 1, [len(where) - 1]))].tolist()
            runs = [
                (a // columns, a % columns, b % columns + 1)
                for a, b in zip(starts, ends, strict=True)
            ]
        return [
            self._draw_run(frame, first + row, left, right, keys[row, left:right])
            for row, left, right in runs
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

    def _draw_run(
        self, frame: Frame, number: int, left: int, right: int, keys: NDArray[np.int32]
    ) -> Rect:
        """Neighbouring cells of one band."""
        band, width = self._bands[number], self.scanout.cell_width
        if right - left > 1:
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


def _by_page(font_bytes: NDArray[np.intp]) -> dict[int, tuple[slice, slice]]:
    """Page of VRAM -> which bytes of a font lie there, and where in VRAM; both evenly spaced."""
    page = font_bytes >> PAGE_SHIFT
    found = {}
    for number in np.unique(page).tolist():
        at = np.flatnonzero(page == number)
        found[number] = (_as_slice(at), _as_slice(font_bytes[at]))
    return found


def _as_slice(numbers: NDArray[np.intp]) -> slice:
    step = int(numbers[1] - numbers[0])
    assert (np.diff(numbers) == step).all(), "both layouts space a font's bytes evenly in a page"
    return slice(int(numbers[0]), int(numbers[-1]) + 1, step)


def _shape(scanout: Scanout) -> tuple[object, ...]:
    """What the bands and cell numbers are made from."""
    return (
        scanout.geometry, scanout.width, scanout.height, scanout.columns, scanout.rotate,
        scanout.wrap_bit, scanout.chain4_layout, scanout.pan,
    )  # fmt: skip


def _glyph_source(scanout: Scanout) -> tuple[object, ...]:
    """What the dot patterns are made from, besides VRAM."""
    return scanout.fonts, scanout.line_graphics, scanout.chain4_layout


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
