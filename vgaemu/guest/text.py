"""`guest.text`: a text console in whatever text mode is set, through ports and memory.

It prints with wrap and scroll and keeps the hardware cursor, as a BIOS teletype does, and like any
program it has no way past the device: cells are stored at B8000h (B0000h in mono), the cursor and
the start address are CRTC registers.
"""

from __future__ import annotations

from typing import NamedTuple

from vgaemu.errors import TextError
from vgaemu.vga.codepage import to_cp437
from vgaemu.vga.ports import Device, Ports
from vgaemu.vga.registers import WINDOWS

#: The sixteen colours by name, in their usual order.
COLOURS = (
    "black", "blue", "green", "cyan", "red", "magenta", "brown", "light grey",
    "dark grey", "light blue", "light green", "light cyan", "light red", "light magenta",
    "yellow", "white",
)  # fmt: skip


#: What says where cells are and how many.
GEOMETRY = (
    "graphics", "memory_map", "horizontal_display_end", "vertical_display_end", "double_scan",
    "max_scan_line",
)  # fmt: skip


class Cells(NamedTuple):
    """Where the cells of a text mode lie, two bytes each."""

    gpa: int
    columns: int
    rows: int

    def at(self, column: int, row: int) -> int:
        """Guest-physical address of a cell."""
        return self.gpa + 2 * (row * self.columns + column)


class Text:
    """A console of `columns` x `rows` cells."""

    #: Attribute of what is written from now on: background << 4 | foreground.
    colour: int
    #: Where the cursor is.
    column: int
    row: int
    #: Rows at the top and at the bottom that `print`, `scroll` and `clear` leave alone.
    top: int
    bottom: int

    def __init__(self, device: Device) -> None:
        """A console at the upper left corner.

        Args:
            device: What writes: a `Guest`, or a `Vga`.
        """
        self._device = device
        self._ports = Ports(device)
        self.colour = 0x07
        self.column = self.row = 0
        self.top = self.bottom = 0

    def __repr__(self) -> str:
        return f"<Text at column {self.column}, row {self.row} of {self._device!r}>"

    @property
    def cells(self) -> Cells:
        """Where the cells lie in the mode that is set now.

        Raises:
            TextError: It is a graphics mode.
        """
        graphics, window, columns, last_line, twice, last_of_cell = self._ports.read(*GEOMETRY)
        if graphics:
            raise TextError(
                "guest.text: this is a graphics mode; use guest.canvas.text, or set a text mode "
                "such as 3"
            )
        rows = (last_line + 1 >> twice) // (last_of_cell + 1)
        return Cells(WINDOWS[window][0], columns + 1, rows)

    @property
    def columns(self) -> int:
        """Characters a row, from the CRTC."""
        return self.cells.columns

    @property
    def rows(self) -> int:
        """Rows, from the CRTC's lines and cell height."""
        return self.cells.rows

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
        cells = self.cells
        count = cells.columns * (cells.rows - self.top - self.bottom)
        self._device.store(cells.at(0, self.top), bytes((0x20, self.colour)) * count)
        self.move(0, self.top)

    def write_at(self, column: int, row: int, text: str, colour: int | None = None) -> None:
        """Put text on a row without moving the cursor; what leaves the row on the right is cut."""
        self._write(self.cells, column, row, text, self.colour if colour is None else colour)

    def _write(self, cells: Cells, column: int, row: int, text: str, attribute: int) -> None:
        room = cells.columns - column
        if not (0 <= row < cells.rows and column >= 0) or room <= 0:
            return
        codes = to_cp437(text[:room])
        data = bytearray(2 * len(codes))
        data[0::2] = codes
        data[1::2] = bytes((attribute,)) * len(codes)
        self._device.store(cells.at(column, row), data)

    def move(self, column: int, row: int) -> None:
        """Move the cursor, the hardware one too."""
        self.column, self.row = column, row
        self._show_cursor(self.cells)

    def cursor(self, shown: bool) -> None:
        """Show or hide the hardware cursor."""
        self._ports["cursor_off"] = not shown

    def print(self, text: str, end: str = "\n") -> None:
        """Write at the cursor; wrap at the right edge, scroll at the bottom."""
        cells = self.cells
        for line, newline in _lines(text + end):
            # A tab reaches the next eighth column of the screen, not of what is printed.
            line = (" " * self.column + line).expandtabs(8)[self.column :]
            while line:
                if self.column >= cells.columns:  # moved there, or there are fewer columns by now
                    self._new_line(cells)
                room = cells.columns - self.column
                part, line = line[:room], line[room:]
                self._write(cells, self.column, self.row, part, self.colour)
                self.column += len(part)
                if self.column == cells.columns:
                    self._new_line(cells)
            if newline:
                self._new_line(cells)
        self._show_cursor(cells)

    def backspace(self) -> None:
        """Take back the character before the cursor, on this row."""
        if self.column:
            self.column -= 1
            self.write_at(self.column, self.row, " ")
            self._show_cursor(self.cells)

    def scroll(self) -> None:
        """Move all rows up by one and blank the last, by copying memory as a BIOS does."""
        self._scroll(self.cells)

    def _scroll(self, cells: Cells) -> None:
        last = cells.rows - self.bottom - 1
        size = 2 * cells.columns * (last - self.top)
        self._device.copy(cells.at(0, self.top + 1), cells.at(0, self.top), size)
        self._device.store(cells.at(0, last), bytes((0x20, self.colour)) * cells.columns)

    def _new_line(self, cells: Cells) -> None:
        self.column = 0
        if self.row + 1 < cells.rows - self.bottom:
            self.row += 1
        else:
            self._scroll(cells)

    def _show_cursor(self, cells: Cells) -> None:
        self._ports["cursor_location"] = self.row * cells.columns + self.column


def _lines(text: str) -> list[tuple[str, bool]]:
    """Lines without their ends, and whether each had one."""
    parts = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    last = len(parts) - 1
    return [(part, i < last) for i, part in enumerate(parts)]
