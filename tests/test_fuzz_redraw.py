"""The core promise under random programs: a display that copies only rectangles misses nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import chain, islice

import numpy as np
import pytest
from numpy.typing import NDArray
from random_tapes import random_ops

from vgaemu.display.loop import DisplayLoop
from vgaemu.display.report import FrameReport, Rect, ScreenInfo
from vgaemu.memslot import Memslot
from vgaemu.memslot.bitmap import PAGE_SHIFT
from vgaemu.tape import START, Player, check_op
from vgaemu.vga.device import LFB_GPA, Vga

FRAMES = 48
#: What a display shows where nothing was ever drawn; no pixel has this value.
NEVER_DRAWN = 0xFF000000


class Shadow:
    """Copies only the rectangles it is told of."""

    def __init__(self) -> None:
        self.pixels = np.empty((0, 0), np.uint32)
        self.rects: Sequence[Rect] = ()

    def resize(self, screen: ScreenInfo) -> None:
        self.pixels = np.full((screen.height, screen.width), NEVER_DRAWN, np.uint32)

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


def run_tape(seed: int, frames: int = FRAMES) -> None:
    """Play a random tape a few steps a frame; after each, the shadow is the picture."""
    rng = random.Random(~seed)
    vram_bytes = rng.choice((256 << 10, 1 << 20, 1 << 20, 16 << 20))
    vga = Vga(Memslot(vram_bytes >> PAGE_SHIFT, LFB_GPA >> PAGE_SHIFT))
    Player(vga, START[:3]).play()
    shadow = Shadow()
    loop = DisplayLoop(vga, shadow, span_pages=rng.choice((64, 32, 16, 8)))
    steps = random_ops(seed, vram_bytes)
    idle = 0
    for number in range(frames):
        count = rng.choice((0, 0, 1, 1, 1, 2, 3, 6, 12)) if number else 1
        ops = list(chain.from_iterable(islice(steps, count)))
        for op in ops:
            check_op(op, vram_bytes)
        Player(vga, ops).play()
        report = loop.frame()
        idle = 0 if ops else idle + 1
        wrong = np.argwhere(shadow.pixels != loop.screen.full_redraw())
        assert not len(wrong), (
            f"seed {seed}, frame {number}, {loop.screen.info.mode_name}: {wrong[0]}"
        )
        if idle > 1 and not report.redraw:
            assert not shadow.rects, f"seed {seed}, frame {number}: drawn though nothing happened"
    loop.close()


@pytest.mark.parametrize("block", range(10))
def test_shadow_equals_full_redraw(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        run_tape(seed)
