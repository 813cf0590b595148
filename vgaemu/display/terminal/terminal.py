"""The terminal as a display: text modes as its cells, pictures as images or half blocks.

Only what changed is written, and nothing waits for a terminal that takes no more: it gets the
picture of then when it does. The last line says what is shown, and how to leave.

Not emulated: the mouse, sound, and terminals that are not xterm's kin (TERM=dumb).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from unicodedata import combining, east_asian_width

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.base import BaseDisplay
from vgaemu.display.events import Close, Event
from vgaemu.display.report import FrameReport, Rect, ScreenInfo
from vgaemu.display.screen import Screen
from vgaemu.display.terminal.asked import ASK_ATTRIBUTES, Abilities, questions
from vgaemu.display.terminal.blocks import Blocks
from vgaemu.display.terminal.colours import BLACK, WHITE, depth_of
from vgaemu.display.terminal.grid import Grid, Pen, blank, move, paint
from vgaemu.display.terminal.images import DELETE_ALL, Images, KittyImages, SixelImages
from vgaemu.display.terminal.keyboard import COMMANDS, PREFIX_WORDS, TerminalKeyboard, Wish
from vgaemu.display.terminal.keys import Answer
from vgaemu.display.terminal.place import CELL_ASPECT, Place, centred, fitted, follow
from vgaemu.display.terminal.text import text_grid
from vgaemu.display.terminal.tty import Tty
from vgaemu.errors import TerminalError
from vgaemu.vga.render.text import TextCells
from vgaemu.vga.rows import runs

#: Clear the screen, and the pen that this leaves.
CLEAR, CLEARED = b"\x1b[0;37;40m\x1b[2J", Pen(-1, -1, 0, WHITE, BLACK)
SHOW_CURSOR, HIDE_CURSOR = b"\x1b[?25h", b"\x1b[?25l"
#: Shapes of the cursor, blinking: an underline, a block.
CURSOR_SHAPES = (b"\x1b[3 q", b"\x1b[1 q")
#: From so many bytes on, a frame is marked as one, so that it is not seen half drawn.
SYNC_BYTES = 256
BEGIN_SYNC, END_SYNC = b"\x1b[?2026h", b"\x1b[?2026l"
#: Kitty's keyboard protocol: every key by its number, with events and text; focus is told, too.
KITTY_KEYS, PLAIN_KEYS = b"\x1b[>27u\x1b[?1004h", b"\x1b[?1004l\x1b[<u"
#: Seconds that something said is shown at least.
NOTICE_S = 4.0
#: So long a terminal has for the answer to the last question (seconds).
ANSWER_S = 0.3


class TerminalDisplay(BaseDisplay):
    """Shows the picture in the terminal that the process runs in, and takes its keys.

    Args:
        in_fd: Where keys come from.
        out_fd: Where the picture goes.
        environment: What says which terminal it is: TERM, COLORTERM.

    Raises:
        TerminalError: There is no terminal, or it can do too little.
    """

    def __init__(
        self, in_fd: int = 0, out_fd: int = 1, environment: Mapping[str, str] = os.environ
    ) -> None:
        if environment.get("TERM") == "dumb":
            raise TerminalError("TERM=dumb says that it shows no pictures; use --display window")
        self._depth = depth_of(environment)
        self._lock = threading.RLock()
        self._keyboard = TerminalKeyboard()
        self._screen: Screen | None = None
        self._info: ScreenInfo | None = None
        self._frame: NDArray[np.uint32] | None = None
        #: Which lines of the picture have changed since they were painted, (height,).
        self._changed = np.zeros(0, np.bool_)
        self._canvas: Blocks | Images | None = None
        #: What the terminal has images of.
        self._images: Images | None = None
        #: First row and column of a text that is larger than the terminal.
        self._first = (0, 0)
        self._stale = self._closed = False
        self._cursor_seen = -1
        #: A picture is not painted before: painting may take half of the time.
        self._not_before = 0.0
        self._notice, self._notice_until, self._stands = "", 0.0, ""
        self._can = Abilities()
        self._tty = Tty(in_fd, out_fd)
        self._begin()
        self._asked = questions(environment)
        self._tty.write(self._asked)

    def _begin(self) -> None:
        """What the terminal shows is not known: it is cleared."""
        with self._lock:
            self._size = self._tty.size
            self._drawn = blank(*self._size)
            self._pen = CLEARED
            self._cursor_shape: bytes = b""
            self._cursor_shown = True
            self._canvas = self._images = None
            self._stale = True
            self._tty.write(DELETE_ALL * self._can.images + CLEAR)

    def _return(self) -> None:
        """The terminal was left for a while."""
        self._tty.has_returned = False
        if self._can.keyboard:
            self._tty.write(KITTY_KEYS)
        self._begin()

    def watch(self, screen: Screen) -> None:
        self._screen = screen

    def resize(self, screen: ScreenInfo) -> None:
        with self._lock:
            self._info = screen
            self._frame = self._canvas = None
            self._first, self._not_before = (0, 0), 0.0
            self._changed = np.ones(screen.height, np.bool_)
            self._stale = True

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        """Paint what changed, unless the terminal is still busy with a frame before."""
        with self._lock:
            self._frame = frame
            for rect in rects:
                self._changed[rect.y : rect.y + rect.height] = True
            if rects or self._stale:
                self._paint()

    def close(self) -> None:
        """Paint the last picture, and give the terminal back as it was."""
        with self._lock:
            if self._closed:
                return
            self._closed, self._not_before = True, 0.0
            if self._stale:
                self._paint()
            self._end_input()
            self._tty.close()

    def _end_input(self) -> None:
        """Take what the terminal has sent and will send, up to an answer: a shell would get it."""
        if not self._asked:
            return
        if self._can.keyboard:
            self._tty.write(PLAIN_KEYS)
            self._tty.leave_first = self._tty.leave_first.replace(PLAIN_KEYS, b"")
        self._tty.write(ASK_ATTRIBUTES)
        wanted = 1 if self._can.has_answered else 2
        until = monotonic() + ANSWER_S
        while wanted > 0 and not self._tty.gone and (left := until - monotonic()) > 0:
            self._tty.await_input(left)
            self._keyboard.feed(self._tty.read(), monotonic())
            wanted -= [answer.kind for answer in self._keyboard.take_answers()].count("c")

    def notice(self, text: str) -> None:
        """Say something in the last line for a while, and until something is typed."""
        self._notice, self._notice_until = text, monotonic() + NOTICE_S
        self._stale = True

    def stands_still(self, why: str) -> None:
        """Say it in the last line until the guest goes on."""
        self._stands = why
        self._stale = True

    def poll(self) -> list[Event]:
        """What was typed since the last time; also paints what is due."""
        if self._closed:
            return []
        if self._tty.gone:
            return [Close()]
        if self._tty.has_returned:
            self._return()
        now = monotonic()
        keyboard = self._keyboard
        commanded = keyboard.is_commanded
        came = self._tty.read()
        keyboard.feed(came, now)
        events: list[Event] = []
        for done in keyboard.events(now):
            if isinstance(done, Wish):
                self._grant(done)
            else:
                events.append(done)
        for answer in keyboard.take_answers():
            events += self._hear(answer)
        self._stale |= commanded != keyboard.is_commanded
        if self._notice and came and now > self._notice_until:
            self._notice, self._stale = "", True
        if self._size != self._tty.size:
            self._begin()
        if self._screen is not None and self._screen.vga.cursor_generation != self._cursor_seen:
            self._stale = True
        if self._stale and self._lock.acquire(blocking=False):
            try:
                self._paint()
            finally:
                self._lock.release()
        return events

    def _hear(self, answer: Answer) -> Sequence[Event]:
        """The terminal has said something; returns keys that it lets go."""
        if answer.kind == "O":
            return self._keyboard.release_all()
        before, self._can = self._can, self._can.after(answer)
        if self._can.keyboard and not before.keyboard:
            self._tty.leave_first += PLAIN_KEYS
            self._tty.write(KITTY_KEYS)
        if self._can.images and not before.images:
            self._tty.leave_first = DELETE_ALL + self._tty.leave_first
        if self._can != before:
            self._canvas, self._stale = None, True
        return ()

    def _grant(self, wish: Wish) -> None:
        if wish is Wish.STOP:
            self._tty.stop()
        else:
            self._begin()

    def _paint(self) -> None:
        """Make the terminal show what is to be shown, if it takes something now."""
        self._stale = True
        began = monotonic()
        info = self._info
        if info is None or self._frame is None or began < self._not_before:
            return
        if not self._tty.takes_more:
            return
        self._stale = False
        grid = blank(*self._size)
        cursor, drawn = self._compose(grid)
        out = b""
        if self._images is not None and self._images is not self._canvas:
            out, self._pen = DELETE_ALL * self._can.images + CLEAR, CLEARED
            self._drawn, self._images = blank(*self._size), None
        if isinstance(self._canvas, Images):
            self._images = self._canvas
        cells, self._pen = paint(self._drawn, grid, self._pen)
        out, self._drawn = out + cells, grid
        if drawn:
            out, self._pen = out + drawn, self._pen._replace(row=-1, column=-1)
        out += self._place_cursor(cursor)
        if len(out) >= SYNC_BYTES:
            out = BEGIN_SYNC + out + END_SYNC
        self._stale = not self._tty.write(out)  # then `poll` sends the rest
        if not info.is_text:
            now = monotonic()
            self._not_before = 2 * now - began

    def _compose(self, grid: Grid) -> tuple[tuple[int, int, bytes] | None, bytes]:
        """Put picture and last line into an empty grid.

        Returns:
            Where the cursor goes, and how, and what draws images.
        """
        rows, columns = self._size
        room = max(rows - 1, 1), columns
        text = None
        if self._screen is not None:
            self._cursor_seen = self._screen.vga.cursor_generation
            text = self._screen.text_cells()
        cursor, part, drawn = None, "", b""
        if text is not None:
            self._canvas = None
            cursor, part = self._compose_text(grid, text, room)
        elif self._frame is not None:
            drawn = self._compose_picture(grid, self._frame, room)
        if rows > 1:
            self._write_line(grid[-1], part)
        return cursor, drawn

    def _compose_text(
        self, grid: Grid, text: TextCells, room: tuple[int, int]
    ) -> tuple[tuple[int, int, bytes] | None, str]:
        there: tuple[int, int] = text.cells.shape[0], text.cells.shape[1]
        place = centred(*there, room)
        at = text.cursor or (None, None)
        top = follow(self._first[0], place.rows, there[0], at[0])
        left = follow(self._first[1], place.columns, there[1], at[1])
        self._first = top, left
        shown = text_grid(text, self._depth)[top : top + place.rows, left : left + place.columns]
        grid[place.row : place.row + place.rows, place.column : place.column + place.columns] = (
            shown
        )
        parts = []
        if place.rows < there[0]:
            parts.append(f"rows {top + 1}-{top + place.rows} of {there[0]}")
        if place.columns < there[1]:
            parts.append(f"columns {left + 1}-{left + place.columns} of {there[1]}")
        if text.cursor is None:
            return None, ", ".join(parts)
        row, column = text.cursor[0] - top + place.row, text.cursor[1] - left + place.column
        return (row, column, CURSOR_SHAPES[text.cursor_is_block]), ", ".join(parts)

    def _compose_picture(
        self, grid: Grid, frame: NDArray[np.uint32], room: tuple[int, int]
    ) -> bytes:
        """Put half blocks into the grid; or else returns what draws images."""
        assert self._info is not None
        cell = self._tty.cell_pixels
        place = fitted(self._info.aspect, room, cell[0] / cell[1] if cell else CELL_ASPECT)
        canvas = self._canvas
        if canvas is None or canvas.place != place:
            canvas = self._canvas = self._new_canvas(place, len(frame), cell)
            self._changed.fill(True)
        changed = runs(self._changed)
        self._changed.fill(False)
        if isinstance(canvas, Images):
            return canvas.draw(frame, changed)
        for top, bottom in changed:
            canvas.draw(frame, top, bottom)
        rows, columns = slice(place.row, place.row + place.rows), slice(place.column, None)
        grid[rows, columns][:, : place.columns] = canvas.grid
        return b""

    def _new_canvas(
        self, place: Place, height: int, cell: tuple[int, int] | None
    ) -> Blocks | Images:
        """The best that the terminal can show a picture with."""
        if self._can.images:
            return KittyImages(place, height)
        if self._can.sixel and cell is not None:
            with suppress(ImportError):
                return SixelImages(place, height, cell)
        return Blocks(place, self._depth)

    def _write_line(self, line: Grid, part: str) -> None:
        """The last line, (columns, 3)."""
        assert self._info is not None
        if self._keyboard.is_commanded:
            wishes = [f"{command.key} {command.words}" for command in COMMANDS]
            said = f"{PREFIX_WORDS} and: {', '.join(wishes)}, {PREFIX_WORDS} sends it"
            if len(said) >= len(line):  # a terminal of 80 columns has room for the keys
                said = " ".join(wishes)
        else:
            said = self._notice or self._stands
            parts = said, f"{PREFIX_WORDS} q quits", self._info.mode_name, part
            said = " - ".join(filter(None, parts))
        codes = [ord(c) if _is_one_cell(c) else ord("?") for c in f" {said}"[: len(line)]]
        line[:] = ord(" "), BLACK, WHITE
        line[: len(codes), 0] = codes

    def _place_cursor(self, cursor: tuple[int, int, bytes] | None) -> bytes:
        if cursor is None:
            hide, self._cursor_shown = HIDE_CURSOR * self._cursor_shown, False
            return hide
        row, column, shape = cursor
        out = move(self._pen, row, column).encode()
        self._pen = self._pen._replace(row=row, column=column)
        if shape != self._cursor_shape:
            out, self._cursor_shape = out + shape, shape
        if not self._cursor_shown:
            out, self._cursor_shown = out + SHOW_CURSOR, True
        return out


def _is_one_cell(character: str) -> bool:
    """Whether a character takes one cell, as all of the grid do: others take two, or none."""
    wide = east_asian_width(character) in "WF"
    return character.isprintable() and not wide and not combining(character)
