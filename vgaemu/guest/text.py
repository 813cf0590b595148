"""`guest.text`: a text console in whatever text mode is set, through ports and memory.

It prints with wrap and scroll and keeps the hardware cursor, as a BIOS teletype does, and like any
program it has no way past the device: cells are stored at B8000h (B0000h in mono), the cursor and
the start address are CRTC registers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vgaemu.vga.codepage import to_cp437

if TYPE_CHECKING:
    from vgaemu.guest.workload import Guest

#: The sixteen colours by name, in their usual order.
COLOURS = (
    "black", "blue", "green", "cyan", "red", "magenta", "brown", "light grey",
    "dark grey", "light blue", "light green", "light cyan", "light red", "light magenta",
    "yellow", "white",
)  # fmt: skip


class Text:
    """A console of `columns` x `rows` cells."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self.colour = 0x07
        self.column = self.row = 0
        #: Rows at the top and at the bottom that `print`, `scroll` and `clear` leave alone.
        self.top = self.bottom = 0

    @property
    def columns(self) -> int:
        """Characters a row, from the CRTC."""
        return self._guest.read_crtc(0x01) + 1

    @property
    def rows(self) -> int:
        """Rows, from the CRTC's lines and cell height."""
        overflow = self._guest.read_crtc(0x07)
        lines = self._guest.read_crtc(0x12) | (overflow & 2) << 7 | (overflow & 0x40) << 3
        cell = self._guest.read_crtc(0x09)
        return (lines + 1 >> (cell >> 7)) // ((cell & 0x1F) + 1)  # bit 7: each line twice

    def _cell(self, column: int, row: int) -> int:
        base = 0xB8000 if self._guest.inb(0x3CC) & 1 else 0xB0000
        return base + 2 * (row * self.columns + column)

    def set_colour(self, foreground: int | str, background: int | str = 0) -> None:
        """Colour of what is written from now on: numbers 0-15 or names from `COLOURS`.

        Raises:
            ValueError: There is no such colour.
        """
        for colour in (foreground, background):
            if colour not in COLOURS and colour not in range(16):
                raise ValueError(f"no colour {colour!r}; there are 0-15 and {', '.join(COLOURS)}")
        front, back = (
            COLOURS.index(c) if isinstance(c, str) else c for c in (foreground, background)
        )
        self.colour = (back << 4 | front) & 0xFF

    def clear(self) -> None:
        """Blanks in the current colour everywhere; the cursor goes home."""
        count = self.columns * (self.rows - self.top - self.bottom)
        self._guest.store(self._cell(0, self.top), bytes((0x20, self.colour)) * count)
        self.move(0, self.top)

    def write_at(self, column: int, row: int, text: str, colour: int | None = None) -> None:
        """Put text on a row without moving the cursor; what leaves the row on the right is cut."""
        room = self.columns - column
        if not (0 <= row < self.rows and column >= 0) or room <= 0:
            return
        attribute = self.colour if colour is None else colour
        codes = to_cp437(text[:room])
        cells = bytearray(2 * len(codes))
        cells[0::2] = codes
        cells[1::2] = bytes((attribute,)) * len(codes)
        self._guest.store(self._cell(column, row), cells)

    def move(self, column: int, row: int) -> None:
        """Move the cursor, the hardware one too."""
        self.column, self.row = column, row
        self._show_cursor()

    def cursor(self, shown: bool) -> None:
        """Show or hide the hardware cursor."""
        start = self._guest.read_crtc(0x0A)
        self._guest.write_crtc(0x0A, start & ~0x20 if shown else start | 0x20)

    def print(self, text: str, end: str = "\n") -> None:
        """Write at the cursor; wrap at the right edge, scroll at the bottom."""
        columns, rows = self.columns, self.rows
        for line, newline in _lines(text + end):
            # A tab reaches the next eighth column of the screen, not of what is printed.
            line = (" " * self.column + line).expandtabs(8)[self.column :]
            while line:
                if self.column >= columns:  # moved there, or the screen has fewer columns by now
                    self._new_line(rows)
                room = columns - self.column
                part, line = line[:room], line[room:]
                self.write_at(self.column, self.row, part)
                self.column += len(part)
                if self.column == columns:
                    self._new_line(rows)
            if newline:
                self._new_line(rows)
        self._show_cursor()

    def backspace(self) -> None:
        """Take back the character before the cursor, on this row."""
        if self.column:
            self.column -= 1
            self.write_at(self.column, self.row, " ")
            self._show_cursor()

    def scroll(self) -> None:
        """Move all rows up by one and blank the last, by copying memory as a BIOS does."""
        columns, last = self.columns, self.rows - self.bottom - 1
        size = 2 * columns * (last - self.top)
        self._guest.copy(self._cell(0, self.top + 1), self._cell(0, self.top), size)
        self._guest.store(self._cell(0, last), bytes((0x20, self.colour)) * columns)

    def _new_line(self, rows: int) -> None:
        self.column = 0
        if self.row + 1 < rows - self.bottom:
            self.row += 1
        else:
            self.scroll()

    def _show_cursor(self) -> None:
        at = self.row * self.columns + self.column
        self._guest.write_crtc(0x0E, at >> 8)
        self._guest.write_crtc(0x0F, at & 0xFF)


def _lines(text: str) -> list[tuple[str, bool]]:
    """Lines without their ends, and whether each had one."""
    parts = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    last = len(parts) - 1
    return [(part, i < last) for i, part in enumerate(parts)]
