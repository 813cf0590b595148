"""`vgaemu bench record`: what a recorder costs the loop that it stands beside, and what it writes.

Two loops draw the same frames in turns, one of them with a recorder. Before each frame there is
time for the encoder's thread, as at 60 frames a second: what is timed is what the loop waits for,
copies of what was redrawn. A frame in which nothing changed is timed likewise.

Then files of 5 s, how large and how long it took to write them, headless, with the loop waiting.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns, sleep

from vgaemu.bench.frame import CONTENTS
from vgaemu.bench.measure import RUNS, Row, interleaved, median_of_runs, switching_as_a_machine
from vgaemu.display.base import BaseDisplay
from vgaemu.display.loop import DisplayLoop
from vgaemu.guest.workload import Guest, Slices
from vgaemu.keys.queue import Keys
from vgaemu.machine import Machine
from vgaemu.record.formats import FORMATS
from vgaemu.record.recorder import Recorder
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode

#: What is drawn, of `vgaemu bench frame`.
DRAWN = ("typing", "scrolling text", "sprite 32x32, mode 13h", "full change, mode 13h",
         "sprite 32x32, 1024x768x32")  # fmt: skip
ROUNDS = 60
#: For the encoder, between two frames (seconds).
BREAK_S = 0.008
#: What is written: 5 s of 70 Hz modes.
WRITTEN, FRAMES = ("typing", "sprites"), 350
SUFFIXES = tuple(suffix for suffix in FORMATS if suffix != ".apng")


def measure(runs: int = RUNS) -> list[Row]:
    """All rows, each the median of `runs` runs."""
    with TemporaryDirectory() as folder, switching_as_a_machine():
        rows = [
            row
            for name in DRAWN
            for row in median_of_runs(partial(_loop, name, Path(folder)), runs)
        ]
    with TemporaryDirectory() as folder:
        return rows + median_of_runs(lambda: list(_files(Path(folder))), runs)


@contextmanager
def _drawing(name: str) -> Iterator[tuple[DisplayLoop, Slices]]:
    vga = Vga()
    set_mode(vga, 3)
    loop = DisplayLoop(vga, BaseDisplay())
    slices = CONTENTS[name](Guest(vga, Keys()))
    next(slices)
    loop.draw_frame()
    yield loop, slices
    loop.close()


def _loop(name: str, folder: Path) -> list[Row]:
    with _drawing(name) as (alone, slices), _drawing(name) as (beside, same_slices):
        recorder = Recorder(folder / "a.png")
        beside.add_display(recorder)
        sides = {"alone": alone.draw_frame, "recorded": beside.draw_frame}
        guests = {"alone": slices, "recorded": same_slices}

        def draw(side: str) -> None:
            next(guests[side])
            sleep(BREAK_S)

        changed = interleaved(sides, ROUNDS, draw)
        idle = interleaved(sides, ROUNDS, lambda side: sleep(BREAK_S / 4))
        info = alone.screen.info
        row = {
            "content": name,
            "size": f"{info.width}x{info.height}",
            "changed_ns": changed["alone"],
            "changed_recorded_ns": changed["recorded"],
            "costs_ns": changed["recorded"] - changed["alone"],
            "idle_ns": idle["alone"],
            "idle_recorded_ns": idle["recorded"],
            "idle_costs_ns": idle["recorded"] - idle["alone"],
        }
        return [row]


def _files(folder: Path) -> Iterator[Row]:
    for workload in WRITTEN:
        for suffix in SUFFIXES:
            if FORMATS[suffix][0] == "video" and find_spec("av") is None:
                continue
            begin = perf_counter_ns()
            with Machine(workload) as machine:
                recording = machine.record(folder / f"a{suffix}")
                machine.tick(FRAMES)
            took_ms = (perf_counter_ns() - begin) / 1e6
            yield {
                "written": f"{workload}, {FRAMES} frames",
                "format": suffix,
                "pictures": recording.pictures,
                "kB": recording.path.stat().st_size / 1000,
                "ms_a_picture": took_ms / recording.pictures,
            }
