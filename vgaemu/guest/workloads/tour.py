"""The tour: text, a typist, sprites, a palette, a plasma and Life, and what to watch in each.

Any key goes on to the next station, but where someone types: there it appears. After the last one
the tour ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from vgaemu.guest.workload import Guest, Slices
from vgaemu.guest.workloads import life, plasma, sprites, tunnel, typing

#: Rows of text, and of mode 13h, that the captions take at the bottom.
CAPTION_ROWS, CAPTION_HEIGHT = 2, 20
TEXT_ROWS, HEIGHT = 25, 200
#: Colours of a caption in mode 13h.
NAME_COLOUR, WATCH_COLOUR, BACK_COLOUR, EDGE_COLOUR = 14, 15, 0, 8


@dataclass(frozen=True)
class Station:
    """One stop of the tour."""

    name: str
    #: What to watch: at most 38 characters, as two fit under each other in mode 13h.
    watch: str
    frames: int
    run: Callable[[Guest], Slices]
    #: Whether keys are for the station rather than for going on.
    takes_keys: bool = False


def workload(guest: Guest) -> Slices:
    """All stations, one after another, once."""
    return stations(guest, lambda station: None)


def stations(guest: Guest, entered: Callable[[Station], object]) -> Slices:
    """The same, for somebody who wants to hear of each station when it begins."""
    for station in STATIONS:
        entered(station)
        slices = station.run(guest)
        for _ in islice(slices, station.frames):
            if not station.takes_keys and _key_pressed(guest):
                break
            yield
        slices.close()
    _farewell(guest)
    yield


def _key_pressed(guest: Guest) -> bool:
    pressed = False
    while (key := guest.keys.get()) is not None:
        pressed |= key.pressed
    return pressed


def _text_mode(
    guest: Guest, number: int, name: int = 0x0E, watch: int = 0x07, dim: int = 0x08
) -> None:
    """80x25 with a caption in these attributes."""
    guest.set_mode(3)
    text = guest.text
    text.bottom = CAPTION_ROWS
    station = STATIONS[number]
    place = f"{number + 1}/{len(STATIONS)}"
    text.write_at(0, TEXT_ROWS - 2, "▄" * 80, dim)
    text.write_at(1, TEXT_ROWS - 1, place, dim)
    text.write_at(6, TEXT_ROWS - 1, station.name, name)
    text.write_at(8 + len(station.name), TEXT_ROWS - 1, station.watch, watch)


def _graphics_mode(guest: Guest, number: int) -> int:
    """Mode 13h with a caption; returns the height that is left."""
    guest.set_mode(0x13)
    canvas, station = guest.canvas, STATIONS[number]
    top = HEIGHT - CAPTION_HEIGHT
    canvas.fill_rect(0, top, canvas.width, CAPTION_HEIGHT, BACK_COLOUR)
    canvas.hline(0, top, canvas.width, EDGE_COLOUR)
    place = f"{number + 1}/{len(STATIONS)}"
    canvas.text(4, top + 2, station.name, NAME_COLOUR)
    canvas.text(canvas.width - 4 - 8 * len(place), top + 2, place, EDGE_COLOUR)
    canvas.text(4, top + 11, station.watch, WATCH_COLOUR)
    return top


#: The banner's letters, 5 by 5, a row a number of five bits.
LETTERS = {
    "v": (17, 17, 17, 10, 4), "g": (15, 16, 23, 17, 15), "a": (14, 17, 31, 17, 17),
    "e": (31, 16, 30, 16, 31), "m": (17, 27, 21, 17, 17), "u": (17, 17, 17, 17, 14),
}  # fmt: skip
RAINBOW = (0x0C, 0x0E, 0x0A, 0x0B, 0x09, 0x0D)
#: Frames from line to line of the scrolling text, and lines from banner to banner.
LINE_FRAMES, BANNER_EVERY = 3, 24


def _scroll(guest: Guest) -> Slices:
    _text_mode(guest, 0)
    guest.text.cursor(False)
    line = 0
    while True:
        _print_line(guest, line)
        line += 1
        yield from (None for _ in range(LINE_FRAMES))


def _print_line(guest: Guest, line: int) -> None:
    """A dump of the typist's letter in colours; the banner comes now and then."""
    at = line % BANNER_EVERY
    if 1 <= at <= 5:
        _print_banner_row(guest, at - 1)
    elif at in (0, 6):
        guest.text.print("")
    else:
        letter = "".join(typing.PAGES).encode("ascii")
        number = line - 7 * (line // BANNER_EVERY + 1)
        offset = 16 * (number % -(-len(letter) // 16))
        _print_dump(guest, offset, letter[offset : offset + 16])


def _print_dump(guest: Guest, offset: int, data: bytes) -> None:
    text = guest.text
    text.colour = 0x08
    text.print(f"  {offset:05X}   ", end="")
    for i, byte in enumerate(data):
        text.colour = 0x08 if byte <= 0x20 else RAINBOW[byte % len(RAINBOW)]
        text.print(f"{byte:02X}" + ("  " if i == 7 else " "), end="")
    text.move(62, text.row)
    text.colour = 0x0F
    text.print("".join(chr(byte) if byte >= 0x20 else "·" for byte in data))


def _print_banner_row(guest: Guest, row: int) -> None:
    text = guest.text
    text.print(" " * 9, end="")
    for letter, colour in zip("vgaemu", RAINBOW, strict=True):
        text.colour = colour
        bits = LETTERS[letter][row]
        dots = "".join("██" if bits >> 4 - i & 1 else "  " for i in range(5))
        text.print(dots, end=" ")
    text.print("")


def _typing(guest: Guest) -> Slices:
    _text_mode(guest, 1)
    return typing.frames(guest)


def _sprites(guest: Guest) -> Slices:
    return sprites.frames(guest, 4, _graphics_mode(guest, 2))


def _tunnel(guest: Guest) -> Slices:
    return tunnel.frames(guest, _graphics_mode(guest, 3))


def _plasma(guest: Guest) -> Slices:
    return plasma.frames(guest, _graphics_mode(guest, 4))


def _life(guest: Guest) -> Slices:
    _text_mode(guest, 5, life.LINE_BRIGHT, life.LINE_DIM, life.LINE_DIM)
    return life.frames(guest, TEXT_ROWS - CAPTION_ROWS)


STATIONS = (
    Station("Scrolling text", "every line moves: all cells are new", 330, _scroll),
    Station("Typing", "a character stored, one cell drawn", 540, _typing, takes_keys=True),
    Station("Sprites", "each ball dirties four or five pages", 360, _sprites),
    Station("Palette", "no page is dirty, yet all is redrawn", 300, _tunnel),
    Station("Plasma", "every pixel stored, every page dirty", 360, _plasma),
    Station("Life", "a few cells change, here and there", 360, _life),
)


#: Where to go from here.
NEXT = (
    ("vgaemu list", "what else there is to run"),
    ("vgaemu run sprites 24", "one of them, with its argument"),
    ("vgaemu run my.py", "a workload of your own"),
    ("vgaemu --help", "all the rest"),
)


def _farewell(guest: Guest) -> None:
    guest.set_mode(3)
    text = guest.text
    text.print("\n" * 5, end="")
    for row in range(5):
        _print_banner_row(guest, row)
    text.colour = 0x07
    text.print("\n\n         That was the tour. To go on:\n")
    for command, shows in NEXT:
        text.colour = 0x0F
        text.print(f"           {command:24}", end="")
        text.colour = 0x07
        text.print(shows)
    text.cursor(False)
