"""The core promise under random programs: a display that copies only rectangles misses nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import chain, islice

import numpy as np
import pytest
from numpy.typing import NDArray
from random_tapes import random_ops

from vgaemu.display import screen
from vgaemu.display.loop import DisplayLoop
from vgaemu.display.report import FrameReport, Rect, ScreenInfo
from vgaemu.memslot import Memslot
from vgaemu.memslot.bitmap import PAGE_SHIFT, SpanPages
from vgaemu.tape import START, Player, check_op
from vgaemu.vga.device import LFB_GPA, Vga
from vgaemu.vga.modes import set_mode

FRAMES = 48
#: What a display shows where nothing was ever drawn; no pixel has this value.
NEVER_DRAWN = 0xFF000000


class Shadow:
    """Copies only the rectangles it is told of."""

    def __init__(self) -> None:
        self.pixels = np.empty((0, 0), np.uint32)
        self.rects: Sequence[Rect] = ()
        self.info: ScreenInfo | None = None

    def resize(self, info: ScreenInfo) -> None:
        self.info = info
        self.pixels = np.full((info.height, info.width), NEVER_DRAWN, np.uint32)

    def update(self, frame: NDArray[np.uint32], rects: Sequence[Rect], report: FrameReport) -> None:
        assert frame.shape == self.pixels.shape
        self.rects = rects
        for rect in rects:
            assert rect.x >= 0
            assert rect.y >= 0
            assert rect.width > 0
            assert rect.height > 0
            assert rect.x + rect.width <= frame.shape[1]
            assert rect.y + rect.height <= frame.shape[0]
            part = np.s_[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]
            self.pixels[part] = frame[part]

    def close(self) -> None:
        pass


class Watched:
    """A device with a shadow display, compared with a full redraw after every frame."""

    def __init__(self, vga: Vga, span_pages: SpanPages = 8) -> None:
        self.vga = vga
        self.shadow = Shadow()
        self.loop = DisplayLoop(vga, self.shadow, span_pages=span_pages)

    def frame(self) -> FrameReport:
        report = self.loop.frame()
        wrong = np.argwhere(self.shadow.pixels != self.loop.screen.full_redraw())
        where = f"frame {report.frame}, {self.loop.screen.info.mode_name}"
        assert not len(wrong), f"{where}: {len(wrong)} pixels, the first at {wrong[0][::-1]}"
        return report

    def write(self, port: int, registers: dict[int, int]) -> None:
        for index, value in registers.items():
            self.vga.outw(port, value << 8 | index)


def run_tape(seed: int, frames: int = FRAMES) -> None:
    """Play a random tape a few steps a frame; after each, the shadow is the picture."""
    rng = random.Random(~seed)
    vram_bytes = rng.choice((256 << 10, 1 << 20, 1 << 20, 16 << 20))
    vga = Vga(Memslot(vram_bytes >> PAGE_SHIFT, LFB_GPA >> PAGE_SHIFT))
    Player(vga, START[:3]).play()
    watched = Watched(vga, rng.choice((64, 32, 16, 8)))
    steps = random_ops(seed, vram_bytes)
    idle = 0
    for number in range(frames):
        count = rng.choice((0, 0, 1, 1, 1, 2, 3, 6, 12)) if number else 1
        ops = list(chain.from_iterable(islice(steps, count)))
        for op in ops:
            check_op(op, vram_bytes)
        Player(vga, ops).play()
        report = watched.frame()
        idle = 0 if ops else idle + 1
        if idle > 1 and not report.redraw:
            assert not watched.shadow.rects, "drawn though nothing happened"
    watched.loop.close()


@pytest.mark.parametrize("block", range(10))
def test_shadow_equals_full_redraw(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Blinking every third frame meets more of what else goes on.
    monkeypatch.setattr(screen, "BLINK_FRAMES", 3 if block % 2 else 16)
    for seed in range(20 * block, 20 * block + 20):
        try:
            run_tape(seed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise


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
    text.write(0x3C4, {2: 4, 4: 6})
    text.write(0x3CE, plane_2)
    text.vga.store(0xA0000 + 32 * ord("A"), b"\xff" * 16)
    text.write(0x3C4, {2: 3, 4: 2})
    text.write(0x3CE, saved)
    text.vga.outb(0x3C8, 7)
    for value in (1, 2, 3):
        text.vga.outb(0x3C9, value)
    text.frame()


def test_the_border_changes_with_the_cursor(text: Watched) -> None:
    text.vga.inb(0x3DA)
    for value in (0x31, 5, 0x20):
        text.vga.outb(0x3C0, value)
    text.write(0x3D4, {0x0F: 80})
    text.frame()
    text.vga.inb(0x3DA)
    for value in (0x31, 6, 0x20):
        text.vga.outb(0x3C0, value)
    text.frame()
    assert text.shadow.info is not None
    assert text.shadow.info.border_colour == text.vga.dac.colours()[6]


def test_the_cursor_takes_another_shape_while_it_is_hidden(text: Watched) -> None:
    for n in range(2 * screen.BLINK_FRAMES):
        text.frame()
        if n == screen.BLINK_FRAMES + 3:
            assert loop_cursor(text) is None
            text.write(0x3D4, {0x0A: 0, 0x0B: 3})
    assert loop_cursor(text) == (0, 0, 3)
    text.frame()


def loop_cursor(text: Watched) -> tuple[int, int, int] | None:
    return text.loop.screen.scanout.cursor
