"""`vgaemu bench render`: drawing a whole picture, as a ratio to a memcpy of the same pixels.

Two memcpys bound the answer. *Warm*: one frame copied over another again and again, both in the
CPU's cache. *Cold*: the destination is the next of `POOL_BYTES` of frames each time, as when
something else (the present, the guest) used the cache between two frames. Drawing is timed the same
two ways, each against its own memcpy. What is read (the frame
that is copied; VRAM and tables) is in the cache on both sides: each cold turn follows an untimed
turn of the same side into another frame, so that it does not matter which side went before. That
they are measured alike shows in 32 bpp, where drawing is copying: 1.0.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from vgaemu.bench.measure import RUNS, Row, interleaved, median_of_runs
from vgaemu.memslot import Memslot
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_dispi_mode, set_mode
from vgaemu.vga.render import make_renderer
from vgaemu.vga.render.base import RowRenderer
from vgaemu.vga.scanout import scanout_of
from vgaemu.vga.vram import LFB_GPA

#: More than the caches of the machines this runs on.
POOL_BYTES = 96 << 20
ROUNDS = 25
#: Lines of the strip that is drawn on its own.
STRIP_ROWS = 16

_RNG = np.random.default_rng(437)


def _random(count: int) -> bytes:
    return _RNG.integers(0, 256, count, dtype=np.uint8).tobytes()


def _english(cells: int) -> bytes:
    """A console full of words in a few colours: (character, attribute) pairs."""
    line = b"a guest writes, the dirty log is harvested, only what changed is drawn. "
    characters = np.frombuffer((line * (cells // len(line) + 1))[:cells], np.uint8)
    attributes = np.array([0x07, 0x0F, 0x1E, 0x70], np.uint8)[np.arange(cells) // 160 % 4]
    return np.stack([characters, attributes], axis=1).tobytes()


def _text(eight_dots: bool, content: bytes) -> Vga:
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    if eight_dots:
        vga.outw(0x3C4, 0x0101)
    vga.store(0xB8000, content)
    return vga


def _picture(width: int, height: int, channels: int) -> NDArray[np.uint8]:
    """Smooth waves with a hard-edged grid over them: (height, width, channels) uint8."""
    y, x, c = np.ogrid[:height, :width, :channels]
    waves = 128 + 60 * np.sin(x / (23 + 9 * c)) + 60 * np.cos((y + x / 3) / (31 - 5 * c))
    waves[::32] = waves[:, ::32] = 250
    picture: NDArray[np.uint8] = waves.astype(np.uint8)
    return picture


def _planar(content: str) -> Vga:
    vga = Vga(Memslot(64))
    set_mode(vga, 0x12)
    pixels = _picture(640, 480, 1)[..., 0] >> 4
    for plane in range(4):
        vga.outw(0x3C4, 0x02 | 0x100 << plane)
        bits = np.packbits(pixels >> plane & 1).tobytes()
        vga.store(0xA0000, bits if content == "picture" else _random(38400))
    return vga


def _bios(mode: int, gpa: int, data: bytes) -> Vga:
    vga = Vga(Memslot(64))
    set_mode(vga, mode)
    vga.store(gpa, data)
    return vga


def _dispi(bpp: int, content: str) -> Vga:
    vga = Vga(Memslot(1024))
    set_dispi_mode(vga, 1024, 768, bpp)
    rgb = _picture(1024, 768, 3)
    if content == "random":
        data = _random(1024 * 768 * bpp // 8)
    elif bpp == 16:
        red, green, blue = (rgb[..., c].astype("<u2") for c in range(3))
        data = (red >> 3 << 11 | green >> 2 << 5 | blue >> 3).tobytes()
    else:
        shown = _picture(1024, 768, 4)
        data = shown[..., : bpp // 8].tobytes()
    vga.store(LFB_GPA, data)
    return vga


CONTENTS = ("picture", "random")
#: What is drawn: (mode, content) -> a device that shows it.
PICTURES: dict[tuple[str, str], Callable[[], Vga]] = {
    ("text 8x16", "words, 4 colours"): lambda: _text(True, _english(2000)),
    ("text 8x16", "random cells"): lambda: _text(True, _random(4000)),
    ("text 9x16", "words, 4 colours"): lambda: _text(False, _english(2000)),
    ("text 9x16", "random cells"): lambda: _text(False, _random(4000)),
    ("mode 04h", "random"): lambda: _bios(0x04, 0xB8000, _random(16384)),
    ("mode 12h", "picture"): lambda: _planar("picture"),
    ("mode 12h", "random"): lambda: _planar("random"),
    ("mode 13h", "picture"): lambda: _bios(0x13, 0xA0000, _picture(320, 200, 1).tobytes()),
    ("mode 13h", "random"): lambda: _bios(0x13, 0xA0000, _random(64000)),
} | {
    (f"{bpp} bpp", content): partial(_dispi, bpp, content)
    for bpp in (8, 16, 24, 32)
    for content in CONTENTS
}


def measure(runs: int = RUNS) -> list[Row]:
    """All rows, each the median of `runs` runs."""
    return [row for key in PICTURES for row in median_of_runs(partial(_one, *key), runs)]


def _one(mode: str, content: str) -> list[Row]:
    vga = PICTURES[mode, content]()
    scanout = scanout_of(vga)
    shape = (scanout.height, scanout.width)
    warm, source = np.zeros(shape, np.uint32), np.zeros(shape, np.uint32)
    pool = [np.full(shape, 1, np.uint32) for _ in range(POOL_BYTES // warm.nbytes)]
    turn = itertools.cycle(pool)
    renderer = make_renderer(vga.slot.array, scanout)
    renderer.draw_all(source)
    colours = scanout.colours
    colours = colours._replace(palette=colours.palette[4:] + colours.palette[:4])
    recoloured = scanout._replace(colours=colours)
    palettes = itertools.cycle((recoloured, scanout))

    def change_palette() -> None:
        renderer.configure(next(palettes))
        renderer.draw_all(warm)

    sides: dict[str, Callable[[], object]] = {
        "warm memcpy": lambda: np.copyto(warm, source),
        "warm draw": lambda: renderer.draw_all(warm),
        "cold memcpy": lambda: np.copyto(next(turn), source),
        "cold draw": lambda: renderer.draw_all(next(turn)),
        "palette": change_palette,
    }
    if isinstance(renderer, RowRenderer):
        rows = renderer
        sides["strip"] = lambda: rows.draw_rows(0, STRIP_ROWS, warm)

    def settle(side: str) -> None:
        if side.startswith("cold"):
            sides[side]()

    times = interleaved(sides, ROUNDS, before=settle)
    share = times["warm draw"] * STRIP_ROWS / scanout.height
    row: Row = {
        "mode": mode,
        "content": content,
        "size": f"{scanout.width}x{scanout.height}",
        "warm_draw_ns": times["warm draw"],
        "warm_memcpy_ns": times["warm memcpy"],
        "cold_draw_ns": times["cold draw"],
        "cold_memcpy_ns": times["cold memcpy"],
        "warm_times_as_fast_as_memcpy": times["warm memcpy"] / times["warm draw"],
        "cold_times_as_fast_as_memcpy": times["cold memcpy"] / times["cold draw"],
        "palette_change_times_as_fast_as_redraw": times["warm draw"] / times["palette"],
        "strip_times_as_fast_as_its_share": share / times["strip"] if "strip" in times else None,
    }
    return [row]
