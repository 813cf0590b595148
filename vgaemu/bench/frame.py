"""`vgaemu bench frame`: a dirty redraw against a full redraw of the same frames.

A dozen frames are redrawn as the dirty log says, then the next dozen whole, in turns, so both sides
see the same content and the same noise; the guest draws before each frame, whichever it is, and
has had the caches. Each frame is timed from the harvest to the present: a full redraw harvests as
well, and does not use what it got. A display without a dirty log would not: against one, take
`harvest_ns` off `full_ns`, which makes a frame in which everything changed a tenth dearer.
Both present to a window without panel, opened as `vgaemu run` does on two common desktops and once
more at scale 1, and to nothing; the rows say which. What a dirty redraw saves grows with the
window: at scale 1 the X server's answer to the smallest update is itself a twentieth of a full
redraw of text. The desktops are Xvfbs of our own (`vgaemu.bench.xvfb`), or the one there is where
that is missing. Each `--span-pages` stands beside the others.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from contextlib import closing
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vgaemu.bench.measure import RUNS, Row, median_of_runs, no_collector
from vgaemu.bench.xvfb import own_x_server
from vgaemu.display.base import BaseDisplay
from vgaemu.display.loop import DisplayLoop
from vgaemu.errors import DisplayError
from vgaemu.guest.workload import Guest, Slices
from vgaemu.keys.queue import Keys
from vgaemu.memslot.bitmap import SpanPages
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.vram import LFB_GPA

if TYPE_CHECKING:
    from vgaemu.display.window.window import WindowDisplay

#: So many frames are redrawn as the log says, then as many whole, and so on in turns.
BLOCK_FRAMES = 12
BLOCKS = 10
SPAN_PAGES: tuple[SpanPages, ...] = (64, 32, 16, 8)

_PAGE_OF_TEXT = [
    "The quick brown fox jumps over the lazy dog, and the dirty log knows where it trod. "[:78]
] * 24


def idle_text(guest: Guest) -> Slices:
    """A full text screen where only the cursor blinks."""
    for line in _PAGE_OF_TEXT:
        guest.text.print(line)
    while True:
        yield


def typing(guest: Guest) -> Slices:
    """One character a frame on a full text screen."""
    for line in _PAGE_OF_TEXT[:12]:
        guest.text.print(line)
    while True:
        for character in "it is written one character a frame ":
            guest.text.print(character, end="")
            yield
        if guest.text.row > 20:
            guest.text.move(0, 12)


def scrolling(guest: Guest) -> Slices:
    """A text console that scrolls by a line every frame, copying rows as a BIOS does."""
    number = 0
    while True:
        guest.text.print(f"{number:6} {_PAGE_OF_TEXT[0][:60]}")
        number += 1
        yield


def sprite(guest: Guest) -> Slices:
    """A 32x32 sprite over a pattern in mode 13h, its background put back each frame."""
    guest.set_mode(0x13)
    background = (np.add.outer(np.arange(200), np.arange(320)) & 63).astype(np.uint8)
    yield from _sprite(guest, 0xA0000, background, np.full((32, 32), 40, np.uint8), 3, 2)


def far_apart(guest: Guest) -> Slices:
    """A line of mode 13h at the top and one at the bottom: two dirty pages with 14 between."""
    guest.set_mode(0x13)
    colour = 0
    while True:
        colour = (colour + 1) & 0xFF
        for line in (2, 197):
            guest.store(0xA0000 + 320 * line, bytes((colour,)) * 320)
        yield


def video(guest: Guest) -> Slices:
    """All of mode 13h rewritten every frame."""
    guest.set_mode(0x13)
    frame = np.add.outer(np.arange(200), np.arange(320)).astype(np.uint8)
    while True:
        guest.store(0xA0000, frame.tobytes())
        frame += 1
        yield


def static_true_colour(guest: Guest) -> Slices:
    """A 1024x768x32 picture that does not change."""
    guest.set_dispi_mode(1024, 768, 32)
    guest.store(LFB_GPA, np.arange(1024 * 768, dtype=np.uint32).tobytes())
    while True:
        yield


def sprite_true_colour(guest: Guest) -> Slices:
    """A 32x32 sprite on 1024x768x32."""
    guest.set_dispi_mode(1024, 768, 32)
    background = np.arange(1024 * 768, dtype=np.uint32).reshape(768, 1024)
    yield from _sprite(guest, LFB_GPA, background, np.full((32, 32), 0xFFCC33, np.uint32), 5, 3)


def _sprite(
    guest: Guest, gpa: int, background: NDArray[Any], art: NDArray[Any], dx: int, dy: int
) -> Slices:
    """Move a square of pixels over a picture at `gpa`, and bounce it off its edges."""
    (height, width), side = background.shape, len(art)
    guest.store(gpa, background.tobytes())

    def draw(pixels: NDArray[Any]) -> None:
        for row in range(side):
            guest.store(gpa + art.itemsize * (width * (y + row) + x), pixels[row].tobytes())

    x, y = 20, 30
    while True:
        draw(background[y : y + side, x : x + side])
        x, y, dx, dy = _bounce(x, y, dx, dy, width - side, height - side)
        draw(art)
        yield


def _bounce(x: int, y: int, dx: int, dy: int, right: int, bottom: int) -> tuple[int, ...]:
    dx = -dx if not 0 <= x + dx <= right else dx
    dy = -dy if not 0 <= y + dy <= bottom else dy
    return x + dx, y + dy, dx, dy


CONTENTS: dict[str, Callable[[Guest], Slices]] = {
    "idle text": idle_text,
    "typing": typing,
    "scrolling text": scrolling,
    "sprite 32x32, mode 13h": sprite,
    "two far lines, mode 13h": far_apart,
    "full change, mode 13h": video,
    "static, 1024x768x32": static_true_colour,
    "sprite 32x32, 1024x768x32": sprite_true_colour,
}


#: Windows: desktop, how it is opened, with which options.
WINDOWS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("1920x1080", "as it opens", {}),
    ("2560x1440", "as it opens", {}),
    ("1920x1080", "scale 1", {"scale": 1, "aspect": "square"}),
)


def measure(runs: int = RUNS) -> list[Row]:
    """All rows, each the median of `runs` runs."""
    rows: list[Row] = []
    for desktop, how, options in WINDOWS:
        with own_x_server(desktop) as own:
            window = _window(**options)
            if window is not None:
                opened = f"Xvfb {desktop}, {how}" if own else f"window, {how}"
                with closing(window):  # before its server: Xlib ends a process that has lost it
                    rows += _all(partial(_presented, opened, window), window, runs)
    return rows + _all(lambda: "nothing", BaseDisplay(), runs)


def _presented(opened: str, window: WindowDisplay) -> str:
    return f"{opened}: {window.viewport.width}x{window.viewport.height}"


def _all(presented: Callable[[], str], display: BaseDisplay, runs: int) -> list[Row]:
    return [
        row
        for name in CONTENTS
        for row in median_of_runs(partial(_one, name, presented, display), runs)
    ]


def _window(**options: Any) -> WindowDisplay | None:
    """A window without panel, if one opens here."""
    try:
        from vgaemu.display.window.window import WindowDisplay

        return WindowDisplay(panel=False, **options)
    except DisplayError:
        return None


def _one(name: str, presented: Callable[[], str], display: BaseDisplay) -> list[Row]:
    rows: list[Row] = []
    for span_pages in SPAN_PAGES:
        vga = Vga()
        set_mode(vga, 3)
        # Never closed, for that would close the window, and to open another one would be measured.
        loop = DisplayLoop(vga, display, span_pages=span_pages)
        slices = CONTENTS[name](Guest(vga, Keys()))
        full_ns, dirty_ns, reports = [], [], []
        with no_collector():
            for block in range(-1, BLOCKS):
                for _ in range(BLOCK_FRAMES):
                    next(slices)
                    display.poll()
                    begin = perf_counter_ns()
                    report = loop.draw_frame()
                    dirty_ns.append(perf_counter_ns() - begin)
                    reports.append(report)
                for _ in range(BLOCK_FRAMES):
                    next(slices)
                    loop.screen.invalidate()
                    display.poll()
                    begin = perf_counter_ns()
                    loop.draw_frame()
                    full_ns.append(perf_counter_ns() - begin)
                if block < 0:  # warmed up
                    dirty_ns.clear()
                    full_ns.clear()
                    reports.clear()
        info = loop.screen.info
        dirty_median, full_median = statistics.median(dirty_ns), statistics.median(full_ns)
        pixels = statistics.fmean(report.pixels for report in reports)
        rows.append(
            {
                "content": name,
                "size": f"{info.width}x{info.height}",
                "presented": presented(),
                "span_pages": span_pages,
                "dirty_ns": float(dirty_median),
                "full_ns": float(full_median),
                "harvest_ns": float(statistics.median(report.harvest_ns for report in reports)),
                "times_as_fast_as_full": full_median / dirty_median,
                "pages": statistics.median(len(report.log) for report in reports),
                "redrawn_percent": 100 * pixels / (info.width * info.height),
            }
        )
    return rows
