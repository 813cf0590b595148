"""A file manager in 80x50 text: the 8x8 font in 400 lines, blinking, then sixteen backgrounds.

The mode is 80x25 with another font in plane 2 and cells of eight lines (maximum scan line 7). The
manager walks through a directory, tags and copies files, and looks at one that shows all
attributes: with attribute mode control bit 3 set, attribute bit 7 blinks; with it clear,
backgrounds are bright.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.workload import Guest, Slices, endless
from vgaemu.vga.codepage import to_cp437

COLUMNS, ROWS, SCREEN = 80, 50, 0xB8000
#: Panels: columns, and the rows of their lists.
PANEL_WIDTH, LIST_TOP, LIST_ROWS = 40, 3, 42
# Attributes: background in bits 4-6, foreground in bits 0-3; bit 7 blinks.
FRAME, TITLE, FILES, FOLDER, TAGGED, CURSOR, CURSOR_TAGGED = (
    0x1B, 0x30, 0x1B, 0x1F, 0x1E, 0x30, 0x3E,
)  # fmt: skip
MENU, MENU_KEY, KEYS, KEYS_NUMBER, PROMPT = 0x30, 0x3E, 0x30, 0x07, 0x07
DIALOG, DIALOG_BRIGHT, BAR, SHADOW, BLINKS, VIEWER = 0x70, 0x7F, 0x71, 0x08, 0xF4, 0x17

FUNCTIONS = "Help Menu View Edit Copy Move Mkdir Delete Setup Quit"
FOLDERS = "ASM BACKUP DEMOS DOCS FONTS GAMES PICTURES SOUND TAPES UTIL"
#: name, bytes; the dates are made up in order.
NAMES = """AUTOEXEC.BAT 312  BALLS.EXE 18944  BANK.ASM 4211  BITMASK.DOC 9120  BLINK.DOC 2048
CHAIN4.ASM 7730  CLOCK.COM 1402  COLOURS.PAL 768  CONFIG.SYS 204  COPPER.EXE 26112
CRTC.INC 5521  CURSOR.COM 388  DIRTY.LOG 65536  DITHER.C 6104  FIRE.EXE 12288
FLIP.ASM 3317  FONT8X8.FNT 2048  FONT8X14.FNT 3584  FONT8X16.FNT 4096  GLENZ.EXE 31744
LATCH.ASM 2980  LETTER.TXT 1844  LIFE.COM 1988  LINES.PAS 5140  MAKEFILE 611
MODES.TBL 960  MODEX.ASM 11207  MOUSE.SYS 13824  PAGE.ASM 4472  PALETTE.DOC 15360
PLANES.C 8856  PLASMA.EXE 22528  README 3312  RETRACE.ASM 1290  SCROLL.ASM 6633
SPLIT.ASM 2871  SPRITES.DAT 57600  STARS.COM 742  TUNNEL.EXE 19456  TWEAK.EXE 40960
VGA.H 7424  VIEW.EXE 28160  WAVES.SND 88200  WRITE3.ASM 2214"""

Cells = NDArray[np.uint8]


@dataclass(frozen=True)
class Entry:
    """A line of a list."""

    name: str
    size: int | None
    date: str
    time: str

    def columns(self) -> str:
        """Name, size, date and time as they stand in a panel."""
        stem, ending = (self.name, "") if self.name == ".." else _split(self.name)
        size = "►SUB-DIR◄" if self.size is None else f"{self.size:9}"
        return f"{stem:8} {ending:3}│{size}│{self.date}│{self.time}"


def _split(name: str) -> tuple[str, str]:
    stem, _, ending = name.partition(".")
    return stem, ending


@dataclass
class Panel:
    """A directory, and where the bar is in it."""

    left: int
    path: str
    entries: list[Entry]
    at: int = 0
    tagged: set[str] = field(default_factory=set)


class Screen:
    """Cells in the guest's own memory; `flush` stores those that changed."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self.cells: Cells = np.zeros((ROWS, COLUMNS, 2), np.uint8)
        self._shown: Cells = np.full_like(self.cells, 0xFF)

    def write(self, column: int, row: int, text: str, attribute: int) -> None:
        """Text in one attribute; what leaves the row is cut."""
        codes = np.frombuffer(to_cp437(text[: COLUMNS - column]), np.uint8)
        self.cells[row, column : column + len(codes), 0] = codes
        self.cells[row, column : column + len(codes), 1] = attribute

    def box(self, left: int, top: int, width: int, height: int, attribute: int) -> None:
        """An empty box with a double frame."""
        self.write(left, top, "╔" + "═" * (width - 2) + "╗", attribute)
        for row in range(top + 1, top + height - 1):
            self.write(left, row, "║" + " " * (width - 2) + "║", attribute)
        self.write(left, top + height - 1, "╚" + "═" * (width - 2) + "╝", attribute)

    def shade(self, left: int, top: int, width: int, height: int) -> None:
        """A shadow below and beside a box: what is there gets dark."""
        self.cells[top + height, left + 2 : left + width + 2, 1] = SHADOW
        self.cells[top + 1 : top + height, left + width : left + width + 2, 1] = SHADOW

    def flush(self) -> None:
        """Store each row from its first to its last changed cell."""
        changed = (self.cells != self._shown).any(axis=2)
        for row in np.flatnonzero(changed.any(axis=1)).tolist():
            columns = np.flatnonzero(changed[row])
            first, end = int(columns[0]), int(columns[-1]) + 1
            at = SCREEN + 2 * (COLUMNS * row + first)
            self._guest.store(at, self.cells[row, first:end].tobytes())
        self._shown[:] = self.cells


@endless
def workload(guest: Guest) -> Slices:
    """A day at the file manager, over and over."""
    guest.set_mode("80x50 text")
    _set_blinking(guest, True)
    screen = Screen(guest)
    here = Panel(0, r"C:\VGA", _directory(guest))
    there = Panel(PANEL_WIDTH, r"D:\BACKUP", _folders(["..", "1987", "1990", "1991"]))
    minutes = 9 * 60 + 41
    while True:
        there.entries = there.entries[:4]
        here.tagged.clear()
        for act in (_walk_and_tag, _copy, _look):
            for _ in act(guest, screen, here, there):
                _top_and_bottom(guest, screen, here, minutes)
                screen.flush()
                yield
            minutes += 1


def _set_blinking(guest: Guest, on: bool) -> None:
    """AR10 bit 3: attribute bit 7 blinks, or is the background's fourth bit."""
    guest.inb(0x3DA)
    guest.outb(0x3C0, 0x30)  # index 10h, picture on
    value = guest.inb(0x3C1)
    guest.outb(0x3C0, value | 0x08 if on else value & ~0x08)


def _walk_and_tag(guest: Guest, screen: Screen, here: Panel, there: Panel) -> Iterator[None]:
    """Down the list; assembler files are tagged on the way."""
    here.at = there.at = 0
    wait = 0
    while True:
        _show(screen, here, active=True)
        _show(screen, there, active=False)
        for _ in range(40 if wait == 0 else 5):
            yield
        wait += 1
        entry = here.entries[here.at]
        if entry.name.endswith(".ASM"):
            here.tagged.add(entry.name)
            _show(screen, here, active=True)
            for _ in range(14):
                yield
        if here.at == len(here.entries) - 1:
            return
        here.at += 1


def _copy(guest: Guest, screen: Screen, here: Panel, there: Panel) -> Iterator[None]:
    """The tagged files go to the other panel, a bar for each and one for all."""
    files = [entry for entry in here.entries if entry.name in here.tagged]
    total, done = sum(entry.size or 0 for entry in files), 0
    left, top, width, height = 14, 18, 52, 11
    for entry in files:
        size = entry.size or 0
        steps = max(size // 320, 5)
        for step in range(1, steps + 1):
            _show(screen, here, active=True)
            _show(screen, there, active=False)
            screen.box(left, top, width, height, DIALOG)
            screen.shade(left, top, width, height)
            screen.write(left + 22, top, " Copy ", DIALOG)
            screen.write(left + 4, top + 2, f"{entry.name:12} to {there.path}", DIALOG_BRIGHT)
            _bar(screen, left + 4, top + 4, 44, step / steps)
            copied = done + size * step // steps
            _bar(screen, left + 4, top + 6, 44, copied / total)
            screen.write(left + 4, top + 8, f"{copied:7} of {total} bytes", DIALOG)
            screen.write(left + 35, top + 8, "please wait", BLINKS)
            yield
        done += size
        there.entries = sorted([*there.entries, entry], key=_order)
        here.tagged.discard(entry.name)
    for _ in range(30):
        yield


def _bar(screen: Screen, left: int, row: int, width: int, part: float) -> None:
    """A bar of halves of cells."""
    halves = round(part * 2 * width)
    bar = "█" * (halves // 2) + "▌" * (halves % 2)
    screen.write(left, row, bar.ljust(width, "░"), BAR)


def _look(guest: Guest, screen: Screen, here: Panel, there: Panel) -> Iterator[None]:
    """All attributes: first they blink, then sixteen backgrounds."""
    here.at = next(i for i, entry in enumerate(here.entries) if entry.name == "BLINK.DOC")
    _show(screen, here, active=True)
    _show(screen, there, active=False)
    for _ in range(40):
        yield
    for blinking in (True, False):
        _set_blinking(guest, blinking)
        _chart(screen, blinking)
        for _ in range(260):
            yield
    _set_blinking(guest, True)


def _chart(screen: Screen, blinking: bool) -> None:
    width, height = COLUMNS, ROWS - 2
    screen.box(0, 1, width, height - 1, VIEWER)
    screen.write(29, 1, r" C:\VGA\BLINK.DOC ", VIEWER)
    text = (
        ("Attribute mode control, bit 3 = 1.", "Attribute bit 7: the character blinks.")
        if blinking
        else ("Attribute mode control, bit 3 = 0.", "Attribute bit 7: a bright background.")
    )
    for row, line in enumerate(text):
        screen.write(8, 4 + 2 * row, line, VIEWER | 0x08)
    columns = [7 + front * 4 + front // 8 * 2 for front in range(16)]
    for back in range(16):
        row = 10 + 2 * back + (2 if back > 7 else 0)
        screen.write(3, row, f"{back:X}0", VIEWER)
        for front, column in enumerate(columns):
            screen.write(column, row, f" {back:X}{front:X} ", back << 4 | front)
            screen.write(column, row + 1, "    ", back << 4)
    for front, column in enumerate(columns):
        screen.write(column + 1, 8, f"{front:X}", VIEWER)


def _order(entry: Entry) -> tuple[bool, str]:
    return entry.size is not None, entry.name


def _folders(names: list[str]) -> list[Entry]:
    return [Entry(name, None, f"{2 + i:2}-0{1 + i}-91", "12:00") for i, name in enumerate(names)]


def _directory(guest: Guest) -> list[Entry]:
    random = guest.random
    names = NAMES.split()
    entries = _folders(["..", *FOLDERS.split()[:3]])
    for name, size in zip(names[::2], names[1::2], strict=True):
        date = f"{random.randint(1, 28):2}-{random.randint(1, 12):02}-{random.randint(87, 92)}"
        time = f"{random.randint(7, 23):2}:{random.randint(0, 59):02}"
        entries.append(Entry(name, int(size), date, time))
    return entries


def _show(screen: Screen, panel: Panel, active: bool) -> None:
    left, width = panel.left, PANEL_WIDTH
    screen.box(left, 1, width, ROWS - 3, FRAME)
    for at in (13, 23, 32):
        screen.write(left + at, 1, "╤", FRAME)
        for row in range(LIST_TOP - 1, LIST_TOP + LIST_ROWS):
            screen.write(left + at, row, "│", FRAME)
    title = f" {panel.path} "
    screen.write(left + (width - len(title)) // 2, 1, title, TITLE if active else FRAME)
    for column, name in ((4, "Name"), (17, "Size"), (26, "Date"), (34, "Time")):
        screen.write(left + column, 2, name, TAGGED)
    top = max(panel.at - LIST_ROWS + 1, 0)
    for i, entry in enumerate(panel.entries[top : top + LIST_ROWS]):
        tagged = entry.name in panel.tagged
        attribute = TAGGED if tagged else FOLDER if entry.size is None else FILES
        if active and top + i == panel.at:
            attribute = CURSOR_TAGGED if tagged else CURSOR
        screen.write(left + 1, LIST_TOP + i, entry.columns(), attribute)
    screen.write(left, ROWS - 5, "╟" + "─" * (width - 2) + "╢", FRAME)
    tagged_bytes = sum(e.size or 0 for e in panel.entries if e.name in panel.tagged)
    if panel.tagged:
        words = f"{tagged_bytes} bytes in {len(panel.tagged)} files"
        screen.write(left + 2, ROWS - 4, words, TAGGED)
    else:
        screen.write(left + 2, ROWS - 4, panel.entries[panel.at].columns()[:36], FILES)


def _top_and_bottom(guest: Guest, screen: Screen, here: Panel, minutes: int) -> None:
    screen.write(0, 0, "  Left     Files     Commands     Options     Right".ljust(COLUMNS), MENU)
    for column, letter in ((2, "L"), (11, "F"), (21, "C"), (34, "O"), (46, "R")):
        screen.write(column, 0, letter, MENU_KEY)
    screen.write(73, 0, f"{minutes // 60 % 24:2}", MENU)
    screen.write(75, 0, ":", MENU | 0x80)
    screen.write(76, 0, f"{minutes % 60:02}", MENU)
    screen.write(0, ROWS - 2, f"{here.path}>".ljust(COLUMNS), PROMPT)
    screen.write(0, ROWS - 1, " " * COLUMNS, KEYS_NUMBER)
    for i, name in enumerate(FUNCTIONS.split()):
        screen.write(8 * i, ROWS - 1, f"{i + 1:2}", KEYS_NUMBER)
        screen.write(8 * i + 2, ROWS - 1, f"{name:6}", KEYS)
    guest.text.move(len(here.path) + 1, ROWS - 2)
