"""Raster frames for `vgaemu bench beam`: a picture with 200 palettes against one with a new one.

Four sides take turns at each mode, each with a device and a screen of its own: all of the picture
drawn with one new palette; the same with 200, of which each is another one than in the frame
before; 200 new palettes where no page is dirty; and the same 200 again.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np

from vgaemu.bench.measure import Row, interleaved_times
from vgaemu.display.screen import Screen
from vgaemu.memslot import Memslot
from vgaemu.memslot.bitmap import Span
from vgaemu.vga.beam import VirtualBeam
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.ports import SEQ, Ports

MODES = {"mode 13h": 0x13, "640x480x16": 0x12, "text 80x25": 3}
PALETTES, ROUNDS = 200, 25
#: Pages of legacy VRAM.
ALL_DIRTY: tuple[Span, ...] = ((0, 64),)


class _Side:
    """A device that a program with bars has, and its screen."""

    def __init__(self, mode: int, spans: tuple[Span, ...]) -> None:
        self.vga = vga = Vga(Memslot(64))
        set_mode(vga, mode)
        self.ports, self._spans = Ports(vga), spans
        data = np.random.default_rng(mode).integers(0, 256, 1 << 16, dtype=np.uint8).tobytes()
        if mode == 3:
            vga.store(0xB8000, data[:4000])
        else:
            self.ports.set(SEQ, 2, 15)
            vga.store(0xA0000, data)
        vga.beam = self.beam = VirtualBeam()
        self.beam.place(None)
        self.screen = Screen(vga)
        self.screen.refresh(0, ALL_DIRTY)
        self._field = self._turn = 0

    def new_palette(self) -> None:
        """One, for all of the picture."""
        self._turn += 1
        self.ports.write_dac(1, (self._turn & 63, 0, 63))

    def bars(self, *, other: bool = True) -> None:
        """A field with a colour that changes after every second line."""
        self._turn += other
        self._field += 1
        timing = self.vga.timing
        for bar in range(PALETTES):
            dots = (2 * bar + 2) * timing.dots_a_line - 5  # in the blanking before an even line
            self.beam.place(int(self._field * timing.frame_ns + dots * timing.dot_ns))
            self.ports.write_dac(1, (self._turn + bar & 63, bar & 63, 63))
        self.beam.place(int(self._field * timing.frame_ns + timing.displayed_ns) + 1)
        self.beam.place(None)

    def draw(self) -> None:
        """The picture of now."""
        self.screen.refresh(0, self._spans)


def rows() -> list[Row]:
    """A row for each mode."""
    return [_row(name, mode) for name, mode in MODES.items()]


def _row(name: str, mode: int) -> Row:
    one, bars = _Side(mode, ALL_DIRTY), _Side(mode, ALL_DIRTY)
    clean, same = _Side(mode, ()), _Side(mode, ())
    before: dict[str, Callable[[], None]] = {
        "one": one.new_palette,
        "bars": bars.bars,
        "clean": clean.bars,
        "same": lambda: same.bars(other=False),
    }
    sides = {"one": one.draw, "bars": bars.draw, "clean": clean.draw, "same": same.draw}
    for _ in range(3):
        for side, draw in sides.items():
            before[side]()
            draw()
    times = interleaved_times(sides, ROUNDS, lambda side: before[side]())
    one_ns, bars_ns, clean_ns, same_ns = (median(times[side]) for side in sides)
    return {
        "what": f"{PALETTES} palettes a frame, {name}",
        "one_palette_ns": one_ns,
        "raster_ns": bars_ns,
        "times_one_palette": bars_ns / one_ns,
        "nothing_dirty_times_one_palette": clean_ns / one_ns,
        "same_again_ns": same_ns,
    }
