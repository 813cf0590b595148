"""A paint program in mode 12h that paints by itself, with every write mode for what it is good at.

Write mode 0 with set/reset fills rectangles; mode 1 copies through the latches: the desktop's
pattern, and what is under the pointer to memory off the screen and back; mode 2 sprays single
points, the colour in the data; mode 3 takes the data for a mask: letters, patterns, the pointer,
and with the XOR function the lines that follow the hand until it lets go. 640x480 in 16 colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import cos, hypot, pi, sin
from typing import NamedTuple

import numpy as np

from vgaemu.guest.canvas import Canvas
from vgaemu.guest.workload import Guest, Slices, endless
from vgaemu.vga.codepage import to_cp437
from vgaemu.vga.font import bundled_font

WIDTH, HEIGHT, PITCH = 640, 480, 80
SCREEN = 0xA0000
#: Off the screen: the desktop's pattern, eight rows of a byte, and what is under the pointer.
PATTERN, UNDER = SCREEN + PITCH * HEIGHT, SCREEN + PITCH * HEIGHT + 64

COLOURS = """000000 1a2250 34458c 6a62ac a65e9c e07a7c f8ac66 fce4a0
             4a4a54 b4b4be 1f5a5c 3f9088 5e3622 c43a38 8cc8da ffffff"""
BLACK, NIGHT, BLUE, VIOLET, MAUVE, CORAL, ORANGE, CREAM = range(8)
GREY, LIGHT, TEAL, GREEN, BROWN, RED, SKY, WHITE = range(8, 16)

#: The picture within its window.
LEFT, TOP, RIGHT, BOTTOM = 88, 52, 624, 420
HORIZON = TOP + 236
TOOLS = ("box", "line", "disc", "area", "spray", "text")
#: Frames that a finished picture stays.
STAY = 360

Point = tuple[int, int]


class Ink(NamedTuple):
    """Two colours mixed by an ordered pattern: `part` of 16 points have the second one."""

    first: int
    second: int = BLACK
    part: int = 0


@endless
def workload(guest: Guest) -> Slices:
    """Paint a picture, look at it, take a new sheet."""
    guest.set_mode(0x12)
    painter = Painter(guest)
    painter.desktop()
    while True:
        yield from painter.picture()


class Planes:
    """Stores through the graphics controller. Between two calls it is in mode 0 again."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest

    def _graphics(self, index: int, value: int) -> None:
        self.guest.outw(0x3CE, value << 8 | index)

    def tile(self, left: int, top: int, right: int, bottom: int) -> None:
        """Write mode 1: the pattern's bytes, taken into the latches, land wherever one stores."""
        self._graphics(5, 1)
        for y in range(top, bottom):
            self.guest.load(PATTERN + (y & 7), 1)
            self.guest.store(SCREEN + y * PITCH + left // 8, bytes((right - left) // 8))
        self._graphics(5, 0)

    def move(self, pairs: Sequence[tuple[int, int]], count: int) -> None:
        """Write mode 1: copy `count` bytes of all planes from the first to the second address."""
        self._graphics(5, 1)
        for source, target in pairs:
            self.guest.copy(source, target, count)
        self._graphics(5, 0)

    def points(self, points: Sequence[Point], colour: int) -> None:
        """Write mode 2: the colour is the data, the bit mask says which of eight points."""
        self._graphics(5, 2)
        for x, y in points:
            at = SCREEN + y * PITCH + x // 8
            self._graphics(8, 0x80 >> (x & 7))
            self.guest.load(at, 1)
            self.guest.store(at, bytes((colour,)))
        self._graphics(8, 0xFF)
        self._graphics(5, 0)

    def masks(self, masks: Sequence[tuple[int, int]], colour: int, xor: bool = False) -> None:
        """Write mode 3: (address, mask) pairs; the data is the mask, set/reset the colour."""
        self._begin_masks(colour, xor)
        for at, mask in masks:
            self.guest.load(at, 1)
            self.guest.store(at, bytes((mask,)))
        self._end_masks()

    def spans(self, spans: Sequence[tuple[int, int, int]], ink: Ink) -> None:
        """Rows of points (y, from, to) in a pattern: solid first, then the second colour."""
        for colour, part in ((ink.first, 16), (ink.second, ink.part)):
            self._begin_masks(colour, xor=False)
            for y, left, right in spans if part else ():
                self._span(y, left, right, _pattern(part, y))
            self._end_masks()

    def _span(self, y: int, left: int, right: int, pattern: int) -> None:
        first, last = left // 8, (right - 1) // 8
        start, row = 0xFF >> (left & 7), SCREEN + y * PITCH
        end = 0xFF << (7 - (right - 1 & 7)) & 0xFF
        edges = [(first, start & end)] if first == last else [(first, start), (last, end)]
        for byte, mask in edges:
            self.guest.load(row + byte, 1)
            self.guest.store(row + byte, bytes((mask & pattern,)))
        if last - first > 1:
            # All bytes between look the same by now: one load fills the latches for them.
            self.guest.load(row + first + 1, 1)
            self.guest.store(row + first + 1, bytes((pattern,)) * (last - first - 1))

    def _begin_masks(self, colour: int, xor: bool) -> None:
        self._graphics(0, colour)
        self._graphics(3, 0x18 if xor else 0x00)
        self._graphics(5, 3)

    def _end_masks(self) -> None:
        self._graphics(5, 0)
        self._graphics(3, 0)
        self._graphics(0, 0)


def _pattern(part: int, y: int) -> int:
    """Eight points of a 4x4 Bayer pattern with `part` of 16 set.

    >>> [f"{_pattern(8, y):08b}" for y in range(2)]
    ['10101010', '01010101']
    """
    bayer = ((0, 8, 2, 10), (12, 4, 14, 6), (3, 11, 1, 9), (15, 7, 13, 5))
    return sum(0x80 >> x for x in range(8) if bayer[y & 3][x & 3] < part)


def _line(a: Point, b: Point) -> dict[int, int]:
    """Address -> mask of the points of a line."""
    steps = max(abs(b[0] - a[0]), abs(b[1] - a[1]), 1)
    at = np.linspace(0, 1, steps + 1)
    xs = np.rint(a[0] + (b[0] - a[0]) * at).astype(int).tolist()
    ys = np.rint(a[1] + (b[1] - a[1]) * at).astype(int).tolist()
    masks: dict[int, int] = {}
    for x, y in zip(xs, ys, strict=True):
        address = SCREEN + y * PITCH + x // 8
        masks[address] = masks.get(address, 0) | 0x80 >> (x & 7)
    return masks


def _outline(points: Sequence[Point], closed: bool = True) -> list[tuple[int, int]]:
    """Masks of the lines between points; where two meet, the point is there once."""
    masks: dict[int, int] = {}
    ends = [*points[1:], points[0]] if closed else points[1:]
    for a, b in zip(points, ends, strict=False):
        for address, mask in _line(a, b).items():
            masks[address] = masks.get(address, 0) | mask
    return list(masks.items())


def _area(points: Sequence[Point]) -> list[tuple[int, int, int]]:
    """Rows of a polygon: (y, from, to)."""
    edges = list(zip(points, [*points[1:], points[0]], strict=True))
    spans = []
    for y in range(min(y for _, y in points), max(y for _, y in points)):
        crossings = sorted(
            x0 + (y + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            for (x0, y0), (x1, y1) in edges
            if (y0 <= y + 0.5) != (y1 <= y + 0.5)
        )
        for left, right in zip(crossings[::2], crossings[1::2], strict=True):
            if round(right) > round(left):
                spans.append((y, round(left), round(right)))
    return spans


def _ellipse(x: int, y: int, rx: int, ry: int) -> list[Point]:
    return [
        (round(x + rx * cos(turn * pi / 24)), round(y + ry * sin(turn * pi / 24)))
        for turn in range(48)
    ]


#: The pointer: # is black, o white.
POINTER = """
##..........
#o#.........
#oo#........
#ooo#.......
#oooo#......
#ooooo#.....
#oooooo#....
#ooooooo#...
#oooooooo#..
#ooooo####..
#oo#oo#.....
#o#.#oo#....
##..#oo#....
.....#oo#...
.....#oo#...
......##....
"""
#: A pointer at any place lies in so many bytes. It stays above row 464: below begins the pattern.
POINTER_BYTES, POINTER_ROWS = 3, 16


class Painter:
    """The program's window, and the hand that moves the pointer."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.planes = Planes(guest)
        self.canvas: Canvas = guest.canvas
        self.x, self.y = 320, 240
        self._under: int | None = None
        self._tool: str | None = None

    def desktop(self) -> None:
        """Menu, tools, colours and an empty sheet."""
        canvas = self.canvas
        canvas.set_palette([list(bytes.fromhex(colour)) for colour in COLOURS.split()])
        self.guest.outw(0x3CE, 0x0F01)  # set/reset gives its colour to all planes
        self.guest.outw(0x3CE, TEAL << 8)
        self.guest.store(PATTERN, bytes(8))
        self.guest.outw(0x3CE, 0x0001)
        self.planes.masks([(PATTERN + y, 0x88 >> y % 4) for y in range(8)], GREEN)
        self.planes.tile(0, 0, WIDTH, HEIGHT)
        canvas.fill_rect(0, 0, WIDTH, 18, LIGHT)
        canvas.hline(0, 18, WIDTH, BLACK)
        self.write(12, 2, "Easel", RED)
        for x, word in enumerate(("File", "Edit", "Sheet", "Colours", "Help")):
            self.write(84 + 72 * x, 2, word, BLACK)
        self._window(LEFT - 8, TOP - 26, RIGHT - LEFT + 16, BOTTOM - TOP + 34, "HARBOUR.PIC")
        self._window(8, TOP - 26, 56, 26 + 6 * 44 + 8, "")
        for number, tool in enumerate(TOOLS):
            self._button(number, tool)
        self._window(88 - 8, 434, 552, 40, None)
        for colour in range(16):
            canvas.fill_rect(96 + 33 * colour, 442, 28, 24, colour)
            canvas.rect(95 + 33 * colour, 441, 30, 26, BLACK)

    def _window(self, x: int, y: int, width: int, height: int, title: str | None) -> None:
        canvas = self.canvas
        canvas.fill_rect(x + 6, y + 6, width, height, BLACK)
        canvas.fill_rect(x, y, width, height, LIGHT)
        canvas.rect(x, y, width, height, BLACK)
        canvas.hline(x + 1, y + 1, width - 2, WHITE)
        canvas.vline(x + 1, y + 1, height - 2, WHITE)
        if title is not None:
            canvas.fill_rect(x + 4, y + 4, width - 8, 18, BLUE)
            self.write(x + 12, y + 5, title, WHITE)

    def _button(self, number: int, tool: str) -> None:
        x, y = 16, TOP + 4 + 44 * number
        canvas, planes = self.canvas, self.planes
        canvas.fill_rect(x, y, 40, 38, WHITE)
        canvas.rect(x, y, 40, 38, BLACK)
        shapes = {
            "box": [(x + 9, y + 10), (x + 31, y + 10), (x + 31, y + 28), (x + 9, y + 28)],
            "disc": _ellipse(x + 20, y + 19, 12, 11),
            "area": [(x + 8, y + 29), (x + 17, y + 9), (x + 24, y + 19), (x + 33, y + 29)],
        }
        if tool == "line":
            planes.masks(_outline([(x + 9, y + 28), (x + 31, y + 9)], closed=False), BLACK)
        elif tool == "text":
            self.write(x + 16, y + 11, "A", BLACK)
        elif tool == "spray":
            turns = [(i * 0.28, i * 2.4) for i in range(40)]
            planes.points(
                [(round(x + 20 + r * cos(t)), round(y + 19 + r * sin(t))) for r, t in turns], BLACK
            )
        else:
            planes.spans(_area(shapes[tool]), Ink(WHITE, BLACK, 8))
            planes.masks(_outline(shapes[tool]), BLACK)

    def write(self, x: int, y: int, text: str, colour: int) -> None:
        """Letters through write mode 3: a row of a glyph is a mask, here over two bytes."""
        masks = []
        for i, code in enumerate(to_cp437(text)):
            at, shift = (x + 8 * i) // 8, (x + 8 * i) & 7
            for row, bits in enumerate(bundled_font(14)[code].tolist()):
                wide = bits << 8 >> shift
                address = SCREEN + (y + row) * PITCH + at
                masks += [(address, wide >> 8)] if wide >> 8 else []
                masks += [(address + 1, wide & 0xFF)] if wide & 0xFF else []
        self.planes.masks(masks, colour)

    def show(self) -> None:
        """Save what is there to memory off the screen, then draw the pointer."""
        at = SCREEN + self.y * PITCH + self.x // 8
        rows = [(at + row * PITCH, UNDER + row * POINTER_BYTES) for row in range(POINTER_ROWS)]
        self.planes.move(rows, POINTER_BYTES)
        self._under = at
        for mark, colour in (("o", WHITE), ("#", BLACK)):
            masks = []
            for row, dots in enumerate(POINTER.split()):
                bits = int("".join("1" if dot == mark else "0" for dot in dots).ljust(24, "0"), 2)
                bits >>= self.x & 7
                for byte in range(POINTER_BYTES):
                    mask = bits >> 16 - 8 * byte & 0xFF
                    if mask:
                        masks.append((at + row * PITCH + byte, mask))
            self.planes.masks(masks, colour)

    def hide(self) -> None:
        """What was under the pointer comes back, all planes at once."""
        if self._under is not None:
            rows = range(POINTER_ROWS)
            pairs = [(UNDER + row * POINTER_BYTES, self._under + row * PITCH) for row in rows]
            self.planes.move(pairs, POINTER_BYTES)
            self._under = None

    def go(self, x: int, y: int, band: Sequence[Point] = (), kind: str = "") -> Slices:
        """Move the hand; with `band` a shape from there follows it, drawn by XOR and taken back."""
        from_x, from_y = self.x, self.y
        frames = max(round(hypot(x - from_x, y - from_y) / 11), 6)
        drawn: list[tuple[int, int]] = []
        for frame in range(1, frames + 1):
            part = 0.5 - 0.5 * cos(pi * frame / frames)
            self.hide()
            self.planes.masks(drawn, WHITE, xor=True)
            self.x = round(from_x + (x - from_x) * part)
            self.y = round(from_y + (y - from_y) * part)
            drawn = _band(kind, band, (self.x, self.y)) if band else []
            self.planes.masks(drawn, WHITE, xor=True)
            self.show()
            yield
        self.hide()
        self.planes.masks(drawn, WHITE, xor=True)
        self.show()

    def rest(self, frames: int) -> Slices:
        """Nothing happens."""
        for _ in range(frames):
            yield

    def choose(self, tool: str, colour: int) -> Slices:
        """Press a tool's button and a colour; the button is inverted while it is down."""
        number = TOOLS.index(tool)
        if tool != self._tool:
            yield from self.go(40, TOP + 24 + 44 * number)
            self.hide()
            self._invert(self._tool)
            self._invert(tool)
            self._tool = tool
            self.show()
            yield from self.rest(6)
        yield from self.go(106 + 33 * colour, 452)
        yield from self.rest(6)

    def _invert(self, tool: str | None) -> None:
        if tool is not None:
            y = TOP + 4 + 44 * TOOLS.index(tool)
            corner = SCREEN + y * PITCH + 2
            masks = [(corner + row * PITCH + byte, 0xFF) for row in range(38) for byte in range(5)]
            self.planes.masks(masks, WHITE, xor=True)

    def fill(self, spans: list[tuple[int, int, int]], ink: Ink, frames: int = 12) -> Slices:
        """Some rows a frame, so that one can watch."""
        step = max(len(spans) // frames, 1)
        for first in range(0, len(spans), step):
            self.hide()
            self.planes.spans(spans[first : first + step], ink)
            self.show()
            yield

    def box(self, left: int, top: int, right: int, bottom: int, inks: Sequence[Ink]) -> Slices:
        """Drag a box, then fill it: one ink after another, downwards."""
        yield from self.choose("box", inks[0].first)
        yield from self.go(left, top)
        yield from self.go(right - 1, bottom - 1, [(left, top)], "box")
        for i, ink in enumerate(inks):
            rows = range(
                top + (bottom - top) * i // len(inks), top + (bottom - top) * (i + 1) // len(inks)
            )
            yield from self.fill([(y, left, right) for y in rows], ink, 3)

    def disc(self, x: int, y: int, rx: int, ry: int, ink: Ink) -> Slices:
        """Drag a disc from its middle, then fill it."""
        yield from self.choose("disc", ink.first)
        yield from self.go(x, y)
        yield from self.go(x + rx, y + ry, [(x, y)], "disc")
        yield from self.fill(_area(_ellipse(x, y, rx, ry)), ink, 8)

    def area(self, points: Sequence[Point], ink: Ink, choose: bool = True) -> Slices:
        """Corner by corner with lines that follow the hand, then fill it."""
        if choose:
            yield from self.choose("area", ink.first)
        yield from self.go(*points[0])
        for count, point in enumerate(points[1:], 1):
            yield from self.go(*point, points[:count], "line")
        yield from self.fill(_area(points), ink, 10)

    def lines(self, lines: Sequence[tuple[Point, Point]], colour: int) -> Slices:
        """Straight lines; each follows the hand until it is let go."""
        yield from self.choose("line", colour)
        for a, b in lines:
            yield from self.go(*a)
            yield from self.go(*b, [a], "line")
            self.hide()
            self.planes.masks(_outline([a, b], closed=False), colour)
            self.show()

    def spray(self, way: Sequence[Point], colour: int, radius: int, drops: int) -> Slices:
        """Points around the hand, thrown by chance."""
        yield from self.choose("spray", colour)
        yield from self.go(*way[0])
        for a, b in pairwise(way):
            frames = max(round(hypot(b[0] - a[0], b[1] - a[1]) / 5), 1)
            for frame in range(frames):
                self.hide()
                self.x = round(a[0] + (b[0] - a[0]) * frame / frames)
                self.y = round(a[1] + (b[1] - a[1]) * frame / frames)
                self.planes.points(self._drops(radius, drops), colour)
                self.show()
                yield

    def _drops(self, radius: int, count: int) -> list[Point]:
        gauss = self.guest.random.gauss
        drops = [
            (round(self.x + gauss(0, radius)), round(self.y + gauss(0, radius * 0.35)))
            for _ in range(count)
        ]
        return [(x, y) for x, y in drops if LEFT <= x < RIGHT and TOP <= y < BOTTOM]

    def sign(self, x: int, y: int, text: str, colour: int) -> Slices:
        """Write a letter at a time."""
        yield from self.choose("text", colour)
        yield from self.go(x - 14, y + 14)
        for i, letter in enumerate(text):
            self.hide()
            self.write(x + 8 * i, y, letter, colour)
            self.show()
            yield from self.rest(5)

    def picture(self) -> Slices:
        """An evening harbour."""
        self.hide()
        self.canvas.fill_rect(LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP, WHITE)
        self.show()
        yield from self.rest(30)
        yield from self.box(LEFT, TOP, RIGHT, HORIZON, _gradient(range(NIGHT, CREAM + 1)))
        yield from self.disc(430, HORIZON - 34, 46, 46, Ink(CREAM, WHITE, 6))
        yield from self.spray([(150, 120), (260, 112), (330, 124)], MAUVE, 16, 24)
        yield from self.spray([(400, 150), (500, 140), (590, 148)], CORAL, 14, 24)
        yield from self.area(
            [(LEFT, HORIZON), (LEFT, 236), (128, 208), (160, 224), (212, 176), (262, 222),
             (300, 212), (352, 262), (404, HORIZON)], Ink(VIOLET, BLUE, 8))  # fmt: skip
        yield from self.area(
            [(380, HORIZON), (470, 262), (520, 250), (566, 226), (604, 240), (RIGHT, 218),
             (RIGHT, HORIZON)], Ink(BLUE, NIGHT, 8), choose=False)  # fmt: skip
        yield from self.box(LEFT, HORIZON, RIGHT, BOTTOM, _gradient(range(CORAL, BLACK, -1)))
        glitter = [
            ((430 - half, HORIZON + 4 + 8 * row), (430 + half, HORIZON + 4 + 8 * row))
            for row, half in enumerate((40, 30, 34, 18, 26, 10, 16))
        ]
        yield from self.lines(glitter, CREAM)
        hull = [(188, 340), (230, 346), (300, 346), (352, 334), (322, 378), (220, 378)]
        yield from self.area(hull, Ink(BROWN, BLACK, 4))
        yield from self.lines([((266, 345), (266, 178)), ((266, 182), (336, 334))], BROWN)
        yield from self.area([(272, 196), (272, 330), (338, 330)], Ink(WHITE, CREAM, 8))
        yield from self.area(
            [(260, 206), (260, 330), (206, 330)], Ink(CREAM, ORANGE, 6), choose=False
        )
        yield from self.area([(266, 178), (266, 190), (290, 184)], Ink(RED), choose=False)
        for x, y in ((520, 110), (556, 132), (488, 136)):
            middle = (x + 10, y + 7)
            yield from self.lines([((x, y), middle), (middle, (x + 22, y - 2))], NIGHT)
        yield from self.spray([(200, 384), (280, 392), (350, 384)], SKY, 14, 16)
        yield from self.sign(RIGHT - 92, BOTTOM - 20, "vgaemu '92", CREAM)
        yield from self.go(600, HEIGHT - 20)
        yield from self.rest(STAY)


def _band(kind: str, points: Sequence[Point], hand: Point) -> list[tuple[int, int]]:
    """What follows the hand."""
    (x, y), (hand_x, hand_y) = points[0], hand
    if kind == "box":
        return _outline([(x, y), (hand_x, y), hand, (x, hand_y)])
    if kind == "disc":
        return _outline(_ellipse(x, y, abs(hand_x - x), abs(hand_y - y)))
    return _outline([*points, hand], closed=False)


def _gradient(colours: Sequence[int]) -> list[Ink]:
    """Each colour into the next, in eight steps."""
    return [
        Ink(first, second, sixteenths)
        for first, second in pairwise(colours)
        for sixteenths in range(0, 16, 2)
    ]
