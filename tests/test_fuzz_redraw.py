"""The core promise under random programs: a display that copies only rectangles misses nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain, islice

import pytest
from random_tapes import random_ops
from shadow import Watched

from vgaemu.display import screen
from vgaemu.memslot import Memslot
from vgaemu.memslot.bitmap import PAGE_SHIFT
from vgaemu.tape import START, Player, check_op
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.vram import LFB_GPA

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

FRAMES = 48
#: Who may take over the dirty log between a store and its frame.
SWITCHED = ("flags", "sparse", "words", "srcu", "srcu+words")


def run_tape(seed: int, frames: int = FRAMES) -> None:
    """Play a random tape a few steps a frame; after each, the shadow is the picture."""
    rng = random.Random(~seed)
    vram_bytes = rng.choice((256 << 10, 1 << 20, 1 << 20, 16 << 20))
    vga = Vga(Memslot(vram_bytes >> PAGE_SHIFT, LFB_GPA >> PAGE_SHIFT))
    Player(vga, START[:3]).play()
    watched = Watched(vga, span_pages=rng.choice((64, 32, 16, 8)))
    steps = random_ops(seed, vram_bytes)
    keepers = random.Random(seed + 1)
    idle = 0
    for number in range(frames):
        count = rng.choice((0, 0, 1, 1, 1, 2, 3, 6, 12)) if number else 1
        ops = list(chain.from_iterable(islice(steps, count)))
        for op in ops:
            check_op(op, vram_bytes)
        Player(vga, ops).play()
        if keepers.random() < 0.2:
            vga.slot.keep_with(keepers.choice(SWITCHED))
        report = watched.frame()
        assert_inside(watched)
        idle = 0 if ops else idle + 1
        if idle > 1 and not report.redraw:
            assert not watched.display.rects, "drawn though nothing happened"
    watched.loop.close()


def assert_inside(watched: Watched) -> None:
    height, width = watched.display.frame.shape
    for rect in watched.display.rects:
        assert 0 <= rect.x < rect.x + rect.width <= width
        assert 0 <= rect.y < rect.y + rect.height <= height


def run_tapes(seeds: range, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in seeds:
        # Blinking every third frame meets more of what else goes on.
        monkeypatch.setattr(screen, "BLINK_FRAMES", 3 if seed % 2 else 16)
        try:
            run_tape(seed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("block", range(10))
def test_shadow_equals_full_redraw(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run_tapes(range(12 * block, 12 * block + 12), monkeypatch)


# --- what the fuzz has found ------------------------------------------------------------------


@pytest.fixture
def text() -> Iterator[Watched]:
    vga = Vga(Memslot(64, LFB_GPA >> PAGE_SHIFT))
    set_mode(vga, 3)
    vga.store(0xB8000, b"A\x07" * 2000)
    watched = Watched(vga)
    watched.frame()
    yield watched
    watched.loop.close()


def test_a_font_and_a_colour_change_in_one_frame(text: Watched) -> None:
    plane_2 = {1: 0, 3: 0, 5: 0, 6: 4, 8: 0xFF}
    saved = {i: text.vga.graphics.values[i] for i in plane_2}
    write(text.vga, 0x3C4, {2: 4, 4: 6})
    write(text.vga, 0x3CE, plane_2)
    text.vga.store(0xA0000 + 32 * ord("A"), b"\xff" * 16)
    write(text.vga, 0x3C4, {2: 3, 4: 2})
    write(text.vga, 0x3CE, saved)
    text.vga.outb(0x3C8, 7)
    for value in (1, 2, 3):
        text.vga.outb(0x3C9, value)
    text.frame()


def test_the_border_changes_with_the_cursor(text: Watched) -> None:
    text.vga.inb(0x3DA)
    for value in (0x31, 5, 0x20):
        text.vga.outb(0x3C0, value)
    write(text.vga, 0x3D4, {0x0F: 80})
    text.frame()
    text.vga.inb(0x3DA)
    for value in (0x31, 6, 0x20):
        text.vga.outb(0x3C0, value)
    text.frame()
    assert text.display.resized[-1].border_colour == text.vga.dac.colours()[6]


def test_the_cursor_takes_another_shape_while_it_is_hidden(text: Watched) -> None:
    for n in range(2 * screen.BLINK_FRAMES):
        text.frame()
        if n == screen.BLINK_FRAMES + 3:
            assert loop_cursor(text) is None
            write(text.vga, 0x3D4, {0x0A: 0, 0x0B: 3})
    assert loop_cursor(text) == (0, 0, 3)
    text.frame()


def test_colours_change_while_the_cursor_is_hidden_and_then_its_shape(text: Watched) -> None:
    for n in range(2 * screen.BLINK_FRAMES):
        text.frame()
        if n == screen.BLINK_FRAMES + 3:
            assert loop_cursor(text) is None
            text.vga.outb(0x3C8, 7)
            for value in (40, 20, 10):
                text.vga.outb(0x3C9, value)
        if n == screen.BLINK_FRAMES + 5:
            write(text.vga, 0x3D4, {0x0A: 0, 0x0B: 0})
    assert loop_cursor(text) == (0, 0, 0)
    text.frame()


def write(vga: Vga, port: int, registers: dict[int, int]) -> None:
    for index, value in registers.items():
        vga.outw(port, value << 8 | index)


def loop_cursor(text: Watched) -> tuple[int, int, int] | None:
    return text.loop.screen.scanout.cursor
