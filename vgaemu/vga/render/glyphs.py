"""Glyphs of a text mode: finished ones are kept by the key of the cells that show them.

A key says all that a cell's look depends on: character with its font, attribute, whether its blink
hides it, whether the cursor is on it. Palette, fonts and shape of the cursor are the cache's: it is
coloured anew or cleared when they change. A row of text is one `np.take` whose element is a whole
glyph row (32 or 36 bytes).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.keeper import anonymous_memory
from vgaemu.vga.scanout import Cursor, TextLook

# Bits of a key: character (9 with its font), attribute, and two flags.
ATTRIBUTE_SHIFT = 9
HIDDEN = 1 << 17
CURSOR = 1 << 18
KEYS = 1 << 19
#: Slot of the first glyph. 0 is that of keys that have none: memory of zeros costs nothing before
#: it is looked at, and few of all keys are.
NONE, FIRST = 0, 1


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


def dots_of(
    keys: NDArray[np.int32], patterns: NDArray[np.intp], look: TextLook, cursor: Cursor | None
) -> NDArray[np.intp]:
    """Dots of the glyphs of (n,) keys: (n, lines) intp, the leftmost in the highest bit.

    `patterns` are those of the fonts' characters: (512, lines).
    """
    dots = patterns.take(keys & 0x1FF, axis=0)
    all_dots = (1 << look.cell_width) - 1
    underlined = (keys >> ATTRIBUTE_SHIFT & 0x77) == 0x01
    dots[underlined, look.underline_line : look.underline_line + 1] = all_dots
    dots[(keys & HIDDEN) != 0] = 0
    if cursor is not None:
        # A solid block in the foreground colour, even where the character blinks off.
        dots[(keys & CURSOR) != 0, cursor.first_line : cursor.last_line + 1] = all_dots
    return dots


def colours_of(
    keys: NDArray[np.int32], palette: bytes, blink: bool
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Colours of set dots, and of the others: (n,) uint32 each."""
    colours = np.frombuffer(palette, np.uint32)
    attribute = keys >> ATTRIBUTE_SHIFT
    back = attribute >> 4 & (7 if blink else 15)
    return colours.take(attribute & 0x0F), colours.take(back)


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
        self.lines, self.width = lines, width
        #: A glyph row.
        self.element = np.dtype(f"V{4 * width}")
        self._slot_of_key = np.frombuffer(anonymous_memory(4 * KEYS), np.int32)
        self._slots = self._slot_of_key.data  # reads one entry in half the time
        self._used = FIRST
        self._key_of_slot = np.empty(256, np.int32)
        #: Of each glyph its set dots as all ones, and its colours.
        self._masks, self._pixels = self._room(256), self._room(256)

    def _room(self, slots: int) -> NDArray[np.void]:
        return np.empty((slots, self.lines), self.element)

    def clear(self) -> None:
        """Colours, fonts or shapes changed: forget all glyphs."""
        self._slot_of_key[self.keys] = NONE
        self._used = FIRST

    def reshape(self, lines: int, width: int) -> None:
        """Keep glyphs of another height or width from now on; forgets all where one is new."""
        if (lines, width) != (self.lines, self.width):
            self.clear()
            self.lines, self.width, self.element = lines, width, np.dtype(f"V{4 * width}")
            self._masks, self._pixels = (self._room(len(self._key_of_slot)) for _ in range(2))

    def missing(self, keys: NDArray[np.int32]) -> NDArray[np.int32]:
        """Those of `keys`, (n,), that have no glyph yet, each once."""
        absent: NDArray[np.int32] = keys[self._slot_of_key.take(keys) == NONE]
        if not len(absent):
            return absent
        # Of equal keys only the last one's number stays in the table: a unique without sorting.
        number = np.arange(len(absent), dtype=np.int32)
        self._slot_of_key[absent] = number
        last = self._slot_of_key.take(absent) == number
        once: NDArray[np.int32] = absent.compress(last)
        self._slot_of_key[once] = NONE
        return once

    def add(
        self,
        keys: NDArray[np.int32],
        patterns: NDArray[np.intp],
        foreground: NDArray[np.uint32],
        background: NDArray[np.uint32],
    ) -> None:
        """Colour the glyphs of (n,) keys that have none yet.

        Their dots are `patterns`, (n, lines), the leftmost in the highest bit; the colours of set
        dots and of the others are (n,).
        """
        first, self._used = self._used, self._used + len(keys)
        if self._used > len(self._pixels):
            masks, pixels = self._masks, self._pixels
            self._masks, self._pixels = (self._room(2 * self._used) for _ in range(2))
            self._masks[:first], self._pixels[:first] = masks[:first], pixels[:first]
            self._key_of_slot = np.resize(self._key_of_slot, 2 * self._used)
        dot_masks(self.width).take(patterns, out=self._masks[first : self._used], mode="clip")
        self.recolour(foreground, background, first)
        self._key_of_slot[first : self._used] = keys
        self._slot_of_key[keys] = np.arange(first, self._used)

    @property
    def keys(self) -> NDArray[np.int32]:
        """Keys of all glyphs, in the order of their slots: (n,)."""
        return self._key_of_slot[FIRST : self._used]

    def recolour(
        self, foreground: NDArray[np.uint32], background: NDArray[np.uint32], first: int = FIRST
    ) -> None:
        """Give the glyphs from a slot on other colours: (n,) each, in the order of `keys`."""
        masks, pixels = (
            glyphs[first : self._used].view(np.uint32) for glyphs in (self._masks, self._pixels)
        )
        np.bitwise_and(masks, (foreground ^ background)[:, None], out=pixels)
        pixels ^= background[:, None]

    def index(self, keys: NDArray[np.int32], lines: NDArray[np.intp]) -> NDArray[np.intp]:
        """Where (n,) lines of the cells' glyphs, (rows, columns), lie in `elements`.

        Returns:
            (rows, n, columns).
        """
        first = self._slot_of_key.take(keys).astype(np.intp) * self.lines
        index: NDArray[np.intp] = first[:, None, :] + lines[:, None]
        return index

    def glyph(self, key: int) -> NDArray[np.void] | None:
        """All lines of one glyph, (lines,), or None if it is not there."""
        slot = self._slots[key]
        return None if slot == NONE else self._pixels[slot]

    def rows(self, keys: NDArray[np.int32], lines: slice | NDArray[np.intp]) -> NDArray[np.void]:
        """Some lines of the glyphs of a few cells, (lines, len(keys)): quicker than `index`."""
        return self._pixels[self._slot_of_key[keys]][:, lines].T

    @property
    def elements(self) -> NDArray[np.void]:
        """All glyph rows, one element of a row's pixels each: a view, (rows,)."""
        return self._pixels.reshape(-1)
