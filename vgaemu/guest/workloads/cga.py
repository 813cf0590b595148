"""A game of bricks in mode 4 that plays itself: four colours, and odd rows in a bank of their own.

As on a CGA, even rows lie at B8000h and odd ones 2000h bytes behind, four pixels a byte; more
colours are made by patterns. With each wall the palette changes the way INT 10h, function 0Bh did
it: attribute registers 1-3 go to cyan, magenta and white, or to green, red and yellow, low or high.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.canvas import Canvas
from vgaemu.guest.workload import Guest, Slices, endless

WIDTH, HEIGHT = 320, 200
#: The field within the frame.
LEFT, TOP, RIGHT = 8, 24, 312
BRICK_WIDTH, BRICK_HEIGHT, COLUMNS, ROWS = 19, 8, 16, 8
FIRST_ROW = 40
BALL, PADDLE_WIDTH, PADDLE_HEIGHT, PADDLE_Y = 5, 36, 5, 182
#: A paddle moves as far in a frame, at most.
PADDLE_SPEED = 6
#: Points a frame: down or up, and across at most.
SPEED, MAX_ACROSS = 3.6, 3.2
#: Attribute registers 1-3 as a BIOS sets them: bit 4 is the bright half of the colours.
PALETTES = ((0x13, 0x15, 0x17), (0x12, 0x14, 0x16), (0x13, 0x14, 0x17), (0x02, 0x04, 0x06))
#: Walls: a row of bricks each, the number its look, a point a gap.
WALLS = (
    ("0000000000000000", "1111111111111111", "2222222222222222", "3333333333333333",
     "4444444444444444", "5555555555555555"),
    ("......0000......", "....00111100....", "..001133331100..", "0011334444331100",
     "..225544445522..", "....22555522....", "......2222......"),
    ("0.1.2.3.4.5.0.1.", ".1.2.3.4.5.0.1.2", "2.3.4.5.0.1.2.3.", ".3.4.5.0.1.2.3.4",
     "4.5.0.1.2.3.4.5.", ".5.0.1.2.3.4.5.0"),
    ("33..33..33..33..", "3333333333333333", "5555..5555..5555", "5555..5555..5555",
     "1111111111111111", "1111111001111111", "1111110..0111111"),
)  # fmt: skip
#: Looks of bricks: two colours and how they alternate, 0 plain, 1 chequered, 2 lines, 3 dots.
LOOKS = ((1, 1, 0), (2, 2, 0), (1, 2, 1), (3, 3, 0), (2, 3, 1), (1, 3, 1))
#: Frames from a brick's hit to nothing left of it.
CRUMBLE = 8


@dataclass
class Game:
    """Where everything is."""

    wall: list[list[int | None]] = field(default_factory=list)
    x: float = 150.0
    y: float = 150.0
    dx: float = 1.9
    dy: float = -SPEED
    #: What `dx` shall be after the paddle's next hit.
    plan: float = 0.0
    paddle: int = 140
    score: int = 0
    level: int = 0
    #: Bricks that crumble: column, row, frames left.
    falling: list[tuple[int, int, int]] = field(default_factory=list)


@endless
def workload(guest: Guest) -> Slices:
    """Wall after wall."""
    guest.set_mode(4)
    game = Game()
    while True:
        yield from _level(guest, game)
        game.level += 1


def _level(guest: Guest, game: Game) -> Slices:
    canvas = guest.canvas
    _set_palette(guest, PALETTES[game.level % len(PALETTES)])
    wall = WALLS[game.level % len(WALLS)]
    game.wall = [[None if brick == "." else int(brick) for brick in row] for row in wall]
    game.x, game.y = game.paddle + PADDLE_WIDTH / 2, float(PADDLE_Y - BALL - 1)
    game.dx, game.dy, game.falling = 1.9, -SPEED, []
    background = _background(guest)
    canvas.blit(0, 0, background)
    _frame(canvas, game)
    for row, bricks in enumerate(game.wall):
        for column, look in enumerate(bricks):
            if look is not None:
                canvas.blit(*_place(column, row), _brick(look))
        yield
    while game.falling or any(brick is not None for row in game.wall for brick in row):
        old = round(game.x), round(game.y), game.paddle
        hits = _move(guest, game)
        _draw(canvas, game, background, old)
        _crumble(canvas, game, background)
        for column, row in hits:
            game.falling.append((column, row, CRUMBLE))
            game.score += 10 * (len(game.wall) - row)
        if hits:
            _score(canvas, game)
        yield


def _move(guest: Guest, game: Game) -> list[tuple[int, int]]:
    """One frame of the ball, in small steps; returns the bricks that it hit."""
    hits = []
    for _ in range(3):
        game.x += game.dx / 3
        hits += _bounce(game, across=True)
        game.y += game.dy / 3
        hits += _bounce(game, across=False)
    if game.dy > 0 and game.y + BALL >= PADDLE_Y:
        game.y, game.dy, game.dx = PADDLE_Y - BALL, -game.dy, game.plan
        game.plan = _plan(guest, game)
    # The farther from its middle a paddle is hit, the flatter the ball flies off.
    aim = game.x + BALL / 2 - PADDLE_WIDTH / 2 - game.plan / MAX_ACROSS * (PADDLE_WIDTH / 2 - 4)
    if game.dy > 0:
        step = int(np.clip(aim - game.paddle, -PADDLE_SPEED, PADDLE_SPEED))
        game.paddle = int(np.clip(game.paddle + step, LEFT, RIGHT - PADDLE_WIDTH))
    return hits


def _plan(guest: Guest, game: Game) -> float:
    """How the ball must fly off next time to reach one of the bricks left."""
    bricks = [
        _place(column, row)
        for row, looks in enumerate(game.wall)
        for column, look in enumerate(looks)
        if look is not None
    ]
    if not bricks:
        return 0.0
    x, y = guest.random.choice(bricks)
    frames = (PADDLE_Y - y) / SPEED
    # Where it comes down follows from this flight, mirrored at the walls; near enough.
    landing = game.x + game.dx * 2 * frames
    across = (x + guest.random.uniform(0, BRICK_WIDTH) - landing) / frames
    return float(np.clip(across, -MAX_ACROSS, MAX_ACROSS))


def _bounce(game: Game, across: bool) -> list[tuple[int, int]]:
    low, high = (LEFT, RIGHT - BALL) if across else (TOP, HEIGHT)
    at = game.x if across else game.y
    hit = [cell for cell in _cells_under(game) if _brick_at(game, *cell) is not None]
    if hit or not low <= at <= high:
        if across:
            game.x = min(max(game.x - game.dx / 3, LEFT), RIGHT - BALL)
            game.dx = -game.dx
        else:
            game.y = max(game.y - game.dy / 3, TOP)
            game.dy = -game.dy
    for column, row in hit:
        game.wall[row][column] = None
    return hit


def _cells_under(game: Game) -> list[tuple[int, int]]:
    columns = {int((x - LEFT) // BRICK_WIDTH) for x in (game.x, game.x + BALL - 1)}
    rows = {int((y - FIRST_ROW) // BRICK_HEIGHT) for y in (game.y, game.y + BALL - 1)}
    return sorted((column, row) for column in columns for row in rows)


def _brick_at(game: Game, column: int, row: int) -> int | None:
    inside = 0 <= row < len(game.wall) and 0 <= column < COLUMNS
    return game.wall[row][column] if inside else None


def _set_palette(guest: Guest, colours: tuple[int, int, int]) -> None:
    """Attribute registers 1-3; the picture is off while the palette is in reach."""
    guest.inb(0x3DA)
    for index, colour in enumerate(colours, 1):
        guest.outb(0x3C0, index)
        guest.outb(0x3C0, colour)
    guest.outb(0x3C0, 0x20)


def _place(column: int, row: int) -> tuple[int, int]:
    return LEFT + column * BRICK_WIDTH, FIRST_ROW + row * BRICK_HEIGHT


def _brick(look: int) -> NDArray[np.uint8]:
    """A brick with a light and a dark edge, in one of the looks."""
    first, second, pattern = LOOKS[look]
    y, x = np.mgrid[0 : BRICK_HEIGHT - 1, 0 : BRICK_WIDTH - 1]
    brick = np.where((x + y) & pattern, second, first)
    brick[0, :] = brick[:, 0] = 3
    brick[-1, :] = brick[:, -1] = 0
    return brick.astype(np.uint8)


def _background(guest: Guest) -> NDArray[np.uint8]:
    """Night: stars, and hills of dots that get denser below."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    picture = np.zeros((HEIGHT, WIDTH), np.uint8)
    for _ in range(90):
        picture[guest.random.randrange(TOP, 150), guest.random.randrange(LEFT, RIGHT)] = (
            guest.random.choice((1, 2, 3))
        )
    for base, height, length, colour in ((150, 18, 97, 2), (168, 14, 61, 1)):
        phase = guest.random.uniform(0, 6)
        top = base - height * (0.6 * np.sin(x / length * 2 + phase) + 0.4 * np.sin(x / length * 5))
        depth = y - top
        # A dot in eight along the ridge, then one in four: the ball must stand out.
        dots = ((x + 2 * (y // 2 & 1)) & 3 == 0) & (y & 1 == 0) & ((depth > 8) | (y & 2 == 0))
        picture[depth >= 0] = 0
        picture[(depth >= 0) & (dots | (depth < 1))] = colour
    inside = (x >= LEFT) & (x < RIGHT) & (y >= TOP)
    picture[~inside] = 0
    return picture


def _frame(canvas: Canvas, game: Game) -> None:
    canvas.text(8, 4, "SCORE", 1)
    canvas.text(132, 4, "VGAEMU", 3)
    canvas.text(240, 4, f"WALL {game.level % 100 + 1:02}", 2)
    for i, colour in enumerate((3, 1, 2)):
        canvas.rect(LEFT - 3 + i, TOP - 3 + i, RIGHT - LEFT + 6 - 2 * i, HEIGHT - TOP + 9, colour)
    _score(canvas, game)


def _score(canvas: Canvas, game: Game) -> None:
    canvas.text(56, 4, f"{game.score % 1_000_000:06}", 3, 0)


def _draw(
    canvas: Canvas, game: Game, background: NDArray[np.uint8], old: tuple[int, int, int]
) -> None:
    """Ball and paddle: one rectangle each, around where it was and is."""
    x0, y0, paddle = old
    x, y = round(game.x), round(game.y)
    left, top = min(x0, x), min(y0, y)
    area = slice(top, max(y0, y) + BALL), slice(left, max(x0, x) + BALL)
    scene = background[area].copy()
    _bricks_in(game, scene, left, top)
    ball = scene[y - top : y - top + BALL, x - left : x - left + BALL]
    ball[_BALL[: len(ball)] != 0] = _BALL[: len(ball)][_BALL[: len(ball)] != 0]
    canvas.blit(left, top, scene)
    left, right = min(paddle, game.paddle), max(paddle, game.paddle) + PADDLE_WIDTH
    scene = background[PADDLE_Y : PADDLE_Y + PADDLE_HEIGHT, left:right].copy()
    scene[:, game.paddle - left : game.paddle - left + PADDLE_WIDTH] = _PADDLE
    canvas.blit(left, PADDLE_Y, scene)


def _bricks_in(game: Game, scene: NDArray[np.uint8], left: int, top: int) -> None:
    """Bricks that reach into a rectangle of the scene."""
    height, width = scene.shape
    for row, bricks in enumerate(game.wall):
        for column, look in enumerate(bricks):
            x, y = _place(column, row)
            x0, x1 = max(x, left), min(x + BRICK_WIDTH - 1, left + width)
            y0, y1 = max(y, top), min(y + BRICK_HEIGHT - 1, top + height)
            if look is not None and x0 < x1 and y0 < y1:
                part = _brick(look)[y0 - y : y1 - y, x0 - x : x1 - x]
                scene[y0 - top : y1 - top, x0 - left : x1 - left] = part


def _crumble(canvas: Canvas, game: Game, background: NDArray[np.uint8]) -> None:
    """What is left of a brick that was hit: fewer dots from frame to frame."""
    left = []
    for column, row, frames in game.falling:
        x, y = _place(column, row)
        part = background[y : y + BRICK_HEIGHT - 1, x : x + BRICK_WIDTH - 1].copy()
        rows, columns = np.mgrid[0 : BRICK_HEIGHT - 1, 0 : BRICK_WIDTH - 1]
        dots = (rows * 7 + columns * 5 + column) % CRUMBLE < frames - 1
        part[dots] = 3
        canvas.blit(x, y, part)
        if frames > 1:
            left.append((column, row, frames - 1))
    game.falling = left


_BALL = np.array(
    [[0, 3, 3, 3, 0], [3, 3, 3, 3, 1], [3, 3, 3, 1, 1], [3, 3, 1, 1, 1], [0, 1, 1, 1, 0]],
    np.uint8,
)
_PADDLE = np.full((PADDLE_HEIGHT, PADDLE_WIDTH), 1, np.uint8)
_PADDLE[0], _PADDLE[-1] = 3, 2
_PADDLE[:, :6] = _PADDLE[:, -6:] = 2
_PADDLE[0, :6] = _PADDLE[0, -6:] = 3
_PADDLE[[0, -1], 0] = _PADDLE[[0, -1], -1] = 0
