"""Text renderer: cells, compared with what was drawn last, so that one character redraws one cell.

A cell's look is a *key*: character with its font, attribute, whether its blink hides it, whether
the cursor is on it. Keys are made from VRAM for the rows whose pages are dirty; only cells whose
key changed are drawn. Cursor moves and blinking are key changes like any other.

A glyph row is a pattern of 8 or 9 dots, and a table holds the finished pixels of every pattern for
a pair of colours, so a row of text is one `np.take` whose element is a whole glyph row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import PAGE_SHIFT, Span
from vgaemu.vga.layout import dword_of_address
from vgaemu.vga.render.base import Frame, Rect, Renderer
from vgaemu.vga.scanout import Scanout, fetch_dwords, runs, scan_lines

# Bits of a key: character (9 with its font), attribute, and two flags.
ATTRIBUTE_SHIFT = 9
HIDDEN = 1 << 17
CURSOR = 1 << 18
#: No cell has this key: it is drawn at the next look.
STALE = -1

#: A font in plane 2: 256 glyphs of 32 bytes.
FONT_BYTES = 8192
#: Changed cells this close together are drawn as one rectangle.
GAP_CELLS = 4


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
    #: CRTC address of the first cell, for the cursor.
    row_start: int
    pan: int


class TextRenderer(Renderer):
    """Text modes."""

    def __init__(self, vram: NDArray[np.uint8], scanout: Scanout) -> None:
        """Prepare tables; see `Renderer`."""
        width = scanout.cell_width
        self._patterns_a_pair = 1 << width
        self._glyph_row = np.dtype(f"V{4 * width}")
        self._cells16 = vram[: len(vram) // 4 * 4].view(np.uint16)
        self._pixels = np.zeros(256 * self._patterns_a_pair, self._glyph_row)
        self._font = np.zeros((2, FONT_BYTES), np.uint8)
        super().__init__(vram, scanout)

    def renew(self, scanout: Scanout) -> None:
        """Take another scanout; tables that depend on what changed are made anew."""
        self.scanout = scanout
        self._build_bands()
        self._pair_built = np.zeros(256, np.bool_)
        self._keys = np.full(self._dwords.shape, STALE, np.int32)
        font_addresses = [
            dword_of_address(base + np.arange(FONT_BYTES), scanout.chain4_layout)
            for base in scanout.fonts
        ]
        self._font_bytes = [4 * dwords + 2 for dwords in font_addresses]
        self._font_pages = [np.unique(at >> PAGE_SHIFT) for at in self._font_bytes]
        for i, at in enumerate(self._font_bytes):
            self._font[i] = self.vram.take(at)
        self._build_patterns()

    def renew_cells(self, scanout: Scanout) -> None:
        """Take a scanout that differs in cursor and blink alone; nothing but keys changes."""
        self.scanout = scanout

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
                row_start=int(row_start[top]),
                pan=scanout.pan[part[top]],
            )
            for top, bottom in zip(tops.tolist(), bottoms.tolist(), strict=True)
        ]
        extra = 1 if any(scanout.pan) else 0
        #: (bands, columns + extra): dword of each cell in VRAM.
        self._dwords = fetch_dwords(scanout, slice(None), extra)[tops]
        pages = self._dwords * 4 >> PAGE_SHIFT
        self._first_page, self._last_page = pages.min(axis=1), pages.max(axis=1)

    def _build_patterns(self) -> None:
        """(32, 512) intp: dots of each glyph line, two fonts side by side."""
        glyphs = self._font.reshape(512, 32).astype(np.intp)
        if self.scanout.cell_width == 9:
            code = np.arange(512) & 0xFF
            copies = (code >= 0xC0) & (code <= 0xDF) & self.scanout.line_graphics
            glyphs = glyphs << 1 | glyphs & copies[:, None]
        self._patterns = np.ascontiguousarray(glyphs.T)

    def _pairs(self, keys: NDArray[np.int32]) -> NDArray[np.intp]:
        """Colour pair (background << 4 | foreground) of each key."""
        attribute = keys >> ATTRIBUTE_SHIFT & 0xFF
        background = attribute >> 4 & (7 if self.scanout.blink else 15)
        foreground = np.where(keys & HIDDEN, background, attribute & 15)
        return (background << 4 | foreground).astype(np.intp)

    def _need_pairs(self, pairs: NDArray[np.intp]) -> None:
        """Make the pixels of every pattern for colour pairs that were not used before."""
        if self._pair_built[pairs].all():
            return
        palette = np.frombuffer(self.scanout.palette, np.uint32)
        width, count = self.scanout.cell_width, self._patterns_a_pair
        dots = (np.arange(count)[:, None] >> np.arange(width - 1, -1, -1) & 1).astype(np.bool_)
        for pair in np.unique(pairs[~self._pair_built[pairs]]).tolist():
            pixels = np.where(dots, palette[pair & 15], palette[pair >> 4]).astype(np.uint32)
            self._pixels[pair * count : (pair + 1) * count] = pixels.view(self._glyph_row)[:, 0]
            self._pair_built[pair] = True

    # --- drawing ------------------------------------------------------------------------------

    def draw_all(self, frame: Frame) -> None:
        """Every cell."""
        self._keys.fill(STALE)
        if self.scanout.blank:
            frame.fill(0)
            return
        self._draw_bands(frame, range(len(self._bands)))

    def draw_changes(self, frame: Frame, spans: list[Span]) -> list[Rect]:
        """The cells whose look changed; `spans` says where to look for new characters."""
        if self.scanout.blank:
            return []
        touched = np.zeros(len(self._bands), np.bool_)
        for start, end in spans:
            touched |= (self._last_page >= start) & (self._first_page < end)
        if self._font_changed(spans):
            touched[:] = True
        return self._draw_bands(frame, np.flatnonzero(touched).tolist())

    def draw_cells(self, frame: Frame) -> list[Rect]:
        """All cells whose look changed, wherever: after a cursor move or a blink."""
        if self.scanout.blank:
            return []
        return self._draw_bands(frame, range(len(self._bands)))

    def _font_changed(self, spans: list[Span]) -> bool:
        """Whether glyphs in use changed; their cells are then stale."""
        changed = np.zeros(512, np.bool_)
        for i, pages in enumerate(self._font_pages):
            for start, end in spans:
                if pages[-1] < start or pages[0] >= end:
                    continue
                page = self._font_bytes[i] >> PAGE_SHIFT
                at = np.flatnonzero((page >= start) & (page < end))
                now = self.vram.take(self._font_bytes[i][at])
                differs = at[now != self._font[i][at]]
                if len(differs):
                    self._font[i][at] = now
                    changed[256 * i + (differs >> 5)] = True
        if not changed.any():
            return False
        self._build_patterns()
        self._keys[changed[self._keys & 0x1FF]] = STALE
        return True

    def _draw_bands(self, frame: Frame, which: range | list[int]) -> list[Rect]:
        scanout = self.scanout
        if not len(which):
            return []
        rows = slice(None) if len(which) == len(self._bands) else which
        table = key_table(scanout.blink, scanout.blink_shown, scanout.fonts[0] != scanout.fonts[1])
        keys = table.take(self._cells16.take(2 * self._dwords[rows]))
        if scanout.cursor is not None:
            for i, number in enumerate(which):
                column = (scanout.cursor[0] - self._bands[number].row_start) & 0xFFFF
                if column < keys.shape[1]:
                    keys[i, column] |= CURSOR
        changed = keys != self._keys[rows]
        if not changed.any():
            return []
        self._keys[rows] = keys
        rects = []
        for i in np.flatnonzero(changed.any(axis=1)).tolist():
            band = self._bands[which[i]]
            if band.pan or keys.shape[1] != scanout.columns:
                self._draw_panned(frame, band, keys[i])
                rects.append(Rect(0, band.y, scanout.width, band.height))
                continue
            for left, right in close_runs(changed[i]):
                glyph_rows = frame[band.y : band.y + band.height].view(self._glyph_row)
                glyph_rows[:, left:right] = self._glyph_rows(band, keys[i, left:right])
                width = scanout.cell_width
                rects.append(Rect(left * width, band.y, (right - left) * width, band.height))
        return rects

    def _draw_panned(self, frame: Frame, band: Band, keys: NDArray[np.int32]) -> None:
        pixels = self._glyph_rows(band, keys).view(np.uint32)
        width = self.scanout.width
        frame[band.y : band.y + band.height] = pixels[:, band.pan : band.pan + width]

    def _glyph_rows(self, band: Band, keys: NDArray[np.int32]) -> NDArray[np.void]:
        """Finished glyph rows of neighbouring cells: (band.height, len(keys)) V32 or V36."""
        scanout = self.scanout
        pairs = self._pairs(keys)
        self._need_pairs(pairs)
        patterns = self._patterns[band.scans].take(keys & 0x1FF, axis=1)
        full = self._patterns_a_pair - 1
        underlined = np.flatnonzero(band.scans == scanout.underline_line)
        if len(underlined):
            line = (keys >> ATTRIBUTE_SHIFT & 0x77) == 0x01
            patterns[np.ix_(underlined, np.flatnonzero(line))] = full
        patterns += pairs * self._patterns_a_pair
        cursor = np.flatnonzero(keys & CURSOR)
        if len(cursor) and scanout.cursor is not None:
            # A solid block in the foreground colour, even where the character blinks off.
            bare = self._pairs(keys[cursor] & ~HIDDEN)
            self._need_pairs(bare)
            _, first, last = scanout.cursor
            lines = np.flatnonzero((band.scans >= first) & (band.scans <= last))
            patterns[np.ix_(lines, cursor)] = bare * self._patterns_a_pair + full
        return self._pixels.take(patterns, mode="clip")

    def cells(self) -> list[NDArray[np.uint16]]:
        """Attribute << 8 | character of each row of cells that is shown, from VRAM: (columns,)."""
        return [
            self._cells16.take(2 * dwords[: self.scanout.columns]) for dwords in self._dwords
        ]


def close_runs(changed: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Runs of True, joined where fewer than `GAP_CELLS` cells lie between."""
    joined: list[tuple[int, int]] = []
    for left, right in runs(changed):
        if joined and left - joined[-1][1] < GAP_CELLS:
            joined[-1] = (joined[-1][0], right)
        else:
            joined.append((left, right))
    return joined
