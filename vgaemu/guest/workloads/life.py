"""Conway's Life in text mode, two cells to a character: scattered small changes.

The half block DFh shows an upper cell in the foreground colour and a lower one in the background
colour, so that 80x25 text is a world of 80x48 and a line that counts. Newborn cells are bright, old
ones deep, and where one died a glow stays for a while. Edges meet: the world is a torus.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from vgaemu.guest.palette import Palette
from vgaemu.guest.workload import Guest, Slices, endless

COLUMNS, SCREEN = 80, 0xB8000
HALF_BLOCK = 0xDF
#: Frames from one generation to the next.
FRAMES_A_GENERATION = 4
#: Cells that are alive at the start, of 100, and cells of the patch that wakes a world gone quiet.
START_PERCENT, PATCH = 22, 12
#: A world that looks as it did so many generations ago has gone quiet: 12 covers most oscillators.
MEMORY = 12
#: Colours: 0 empty, 1-5 a fading glow, 6-12 alive from the oldest to the newborn, 13-15 the line's.
GLOWS, OLDEST, NEWBORN = 5, 6, 12
LINE_DIM, LINE_BRIGHT, LINE_BACK = 13, 14, 15
COLOURS = """05060f 0a0f24 10183a 182052 26276c 3a2f82
             8a1f6a b8285e dc3c4c f05e38 fa8a2c ffc24a fff6c8
             6c7aa8 f4f6ff 10162e"""


@endless
def workload(guest: Guest) -> Slices:
    """A generation every few frames; a world that has gone quiet is woken."""
    guest.set_mode(3)
    yield from frames(guest)


def frames(guest: Guest, rows: int = 25) -> Slices:
    """Life on the first `rows` rows of the 80x25 text screen, the last of them the line."""
    palette = Palette(guest)
    palette.set_colours([list(bytes.fromhex(colour)) for colour in COLOURS.split()])
    _backgrounds_not_blinking(guest)
    guest.text.cursor(False)
    height = 2 * (rows - 1)
    world = _random_cells(guest, height, COLUMNS, START_PERCENT)
    look = np.where(world, NEWBORN, 0).astype(np.uint8)
    shown = np.zeros((rows - 1, 2 * COLUMNS), np.uint8)  # no character 0 is ever stored
    seen: deque[bytes] = deque(maxlen=MEMORY)
    generation = 0
    while True:
        shown = _show(guest, look, shown)
        _count(guest, rows - 1, generation, int(world.sum()))
        for _ in range(FRAMES_A_GENERATION):
            yield
        now = world.tobytes()
        if now in seen:
            _wake(guest, world)
            seen.clear()
        seen.append(now)
        new = next_generation(world)
        look = _next_look(look, world, new)
        world = new
        generation += 1


def next_generation(world: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Born with three neighbours, alive with two or three.

    >>> blinker = np.zeros((5, 5), bool)
    >>> blinker[2, 1:4] = True
    >>> next_generation(blinker)[1:4, 2].tolist()
    [True, True, True]
    """
    rows = world.astype(np.uint8)
    rows = rows + np.roll(rows, 1, 0) + np.roll(rows, -1, 0)
    nine = rows + np.roll(rows, 1, 1) + np.roll(rows, -1, 1)
    born: NDArray[np.bool_] = (nine == 3) | world & (nine == 4)
    return born


def _next_look(
    look: NDArray[np.uint8], old: NDArray[np.bool_], new: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Colours: the living get older, the dead glow and fade."""
    older = np.maximum(look, OLDEST + 1) - 1
    alive = np.where(old, older, NEWBORN)
    dead = np.where(old, GLOWS, np.maximum(look, 1) - 1)
    return np.where(new, alive, dead).astype(np.uint8)


def _random_cells(guest: Guest, height: int, width: int, percent: int) -> NDArray[np.bool_]:
    cells = [guest.random.randrange(100) < percent for _ in range(height * width)]
    return np.array(cells).reshape(height, width)


def _wake(guest: Guest, world: NDArray[np.bool_]) -> None:
    top = guest.random.randrange(len(world) - PATCH)
    left = guest.random.randrange(COLUMNS - PATCH)
    world[top : top + PATCH, left : left + PATCH] = _random_cells(guest, PATCH, PATCH, 45)


def _show(guest: Guest, look: NDArray[np.uint8], shown: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Store each row from its first to its last changed cell; returns what is shown now."""
    cells = np.empty_like(shown)
    cells[:, 0::2] = HALF_BLOCK
    cells[:, 1::2] = look[1::2] << 4 | look[0::2]
    changed = cells.view(np.uint16) != shown.view(np.uint16)
    for row in np.flatnonzero(changed.any(axis=1)).tolist():
        columns = np.flatnonzero(changed[row])
        first, end = 2 * int(columns[0]), 2 * int(columns[-1]) + 2
        guest.store(SCREEN + 2 * COLUMNS * row + first, cells[row, first:end].tobytes())
    return cells


def _count(guest: Guest, row: int, generation: int, alive: int) -> None:
    text = guest.text
    if not generation:
        text.write_at(0, row, " " * COLUMNS, LINE_BACK << 4 | LINE_DIM)
        text.write_at(2, row, "Life", LINE_BACK << 4 | LINE_BRIGHT)
        text.write_at(14, row, "generation", LINE_BACK << 4 | LINE_DIM)
        text.write_at(36, row, "alive", LINE_BACK << 4 | LINE_DIM)
    text.write_at(25, row, f"{generation:<8}", LINE_BACK << 4 | LINE_BRIGHT)
    text.write_at(42, row, f"{alive:<5}", LINE_BACK << 4 | LINE_BRIGHT)


def _backgrounds_not_blinking(guest: Guest) -> None:
    """AR10 bit 3 off: attribute bit 7 is then a background colour's, and there are sixteen."""
    guest.inb(0x3DA)
    guest.outb(0x3C0, 0x30)  # index 10h, picture on
    value = guest.inb(0x3C1)
    guest.outb(0x3C0, value & ~0x08)
