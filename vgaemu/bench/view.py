"""`vgaemu bench view`: what a VNC viewer costs the loop, and what it gets, how late.

First the loop: the same frames with nobody looking, beside a viewer that reads everything and
beside one that reads nothing, a dozen of each in turns, 60 a second as people look at them. Then
what goes over the wire, in Tight: a typed character and whole pictures, and the time from the
beginning of a frame (harvest and drawing are in it) to its pixels in the viewer. Viewers are
processes of their own (`vgaemu.bench.view_client`), on loopback.

Not measured: a real network, and viewers that draw on a screen.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle, islice
from time import perf_counter, perf_counter_ns, sleep
from typing import IO, TypeAlias

import numpy as np

from vgaemu.bench.frame import idle_text, scrolling, sprite_true_colour, typing, video
from vgaemu.bench.measure import RUNS, Row, median_of_runs, no_collector
from vgaemu.errors import BenchError
from vgaemu.guest.workload import Guest, Slices
from vgaemu.machine import FRAME_HZ, Machine
from vgaemu.vga.vram import LFB_GPA

#: Harvest, render and present of each frame, in nanoseconds.
Costs: TypeAlias = list[tuple[int, int, int]]

#: Frames of a side before it is another one's turn, and turns of each.
BLOCK_FRAMES, BLOCKS = 12, 4
#: Updates of which the median is taken.
UPDATES = 30
#: Who looks: how `vgaemu.bench.view_client` is called.
BESIDE = {"nobody": None, "reads all": "drain", "reads nothing": "deaf"}


def colours(guest: Guest) -> Slices:
    """All of 1024x768x32 in soft colours, another picture each frame."""
    guest.set_dispi_mode(1024, 768, 32)
    y, x = np.mgrid[0:768, 0:1024].astype(np.uint32)
    picture = (x // 4 << 16) | (y // 3 << 8) | ((x * y >> 10) & 0xFF)
    while True:
        picture = np.roll(picture, 5, axis=0)
        guest.store(LFB_GPA, picture.tobytes())
        yield


def letters(guest: Guest) -> Slices:
    """A letter a frame on a full text screen; a space could be one that shows nothing new."""
    yield from islice(idle_text(guest), 1)
    guest.text.move(0, 3)
    for letter in cycle("abcdefghijklmnopqrstuvwxyz"):
        guest.text.print(letter.upper() if guest.text.row & 1 else letter, end="")
        yield


LOOP_CONTENTS: dict[str, Callable[[Guest], Slices]] = {
    "typing": typing,
    "scrolling text": scrolling,
    "full change, mode 13h": video,
    "sprite 32x32, 1024x768x32": sprite_true_colour,
}
#: What is sent: by each of some frames, or once, as whoever comes gets it.
WIRE: tuple[tuple[str, str | Callable[[Guest], Slices], bool], ...] = (
    ("a typed character", letters, True),
    ("1024x768x32 in full", colours, True),
    ("text screen", idle_text, False),
    ("640x480x16 picture", "planar", False),
    ("640x480x256 picture", "svga", False),
    ("1024x768x32 picture", "truecolour", False),
)


def measure(runs: int = RUNS) -> list[Row]:
    """A row for each content and who looks, then for each thing that is sent."""
    rows = [row for name in LOOP_CONTENTS for row in median_of_runs(partial(_loop, name), runs)]
    return rows + median_of_runs(_wire, runs)


@contextmanager
def _viewer(machine: Machine, how: str | None) -> Iterator[IO[str] | None]:
    """Somebody looks; gives what it says."""
    if how is None:
        yield None
        return
    server = machine.serve(port=0)
    command = [sys.executable, "-m", "vgaemu.bench.view_client", str(server.port), how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as viewer:
        try:
            yield viewer.stdout
        finally:
            server.close()
            viewer.kill()


def _loop(content: str) -> list[Row]:
    """Frames of one content beside each of `BESIDE`, in turns."""
    with ExitStack() as stack:
        machines = {
            beside: stack.enter_context(Machine(LOOP_CONTENTS[content])) for beside in BESIDE
        }
        for beside, machine in machines.items():
            machine.tick(2)
            stack.enter_context(_viewer(machine, BESIDE[beside]))
        sleep(0.5)  # they come, and have the first picture
        reports: dict[str, Costs] = {beside: [] for beside in BESIDE}
        with no_collector():
            for block in range(-1, BLOCKS):
                for beside, machine in machines.items():
                    costs = _paced(machine, BLOCK_FRAMES)
                    if block >= 0:  # warmed up
                        reports[beside] += costs
    return [_loop_row(content, beside, reports[beside], reports["nobody"]) for beside in BESIDE]


def _loop_row(content: str, beside: str, costs: Costs, alone: Costs) -> Row:
    harvest, render, present = _medians(costs)
    return {
        "content": content, "looks": beside, "harvest_ns": harvest, "render_ns": render,
        "present_ns": present, "times_nobody": (harvest + render + present) / sum(_medians(alone)),
    }  # fmt: skip


def _medians(costs: Costs) -> tuple[float, float, float]:
    harvest, render, present = (
        float(statistics.median(cost[i] for cost in costs)) for i in range(3)
    )
    return harvest, render, present


def _paced(machine: Machine, frames: int) -> Costs:
    """Harvest, render and present of some frames, 60 a second."""
    costs: Costs = []
    due = perf_counter()
    for i in range(frames + 1):
        sleep(max(0.0, due - perf_counter()))
        due += 1 / FRAME_HZ
        report = machine.run_frame()
        if i:  # the first one had to wait for others, and tells of the present before
            costs.append((report.harvest_ns, report.render_ns, report.present_ns))
    return costs


def _wire() -> list[Row]:
    return [_sent(*what) for what in WIRE]


def _sent(name: str, workload: str | Callable[[Guest], Slices], changes: bool) -> Row:
    """Bytes of an update, and how long after its frame began the viewer has its pixels."""
    with Machine(None if changes else workload) as machine:
        # Of what changes we are the guest: what that takes is not counted.
        slices: Iterator[object] = iter(())
        if changes and callable(workload):
            slices = workload(machine.guest)
            next(slices)
        machine.tick(30)
        with _viewer(machine, "decode") as said:
            assert said is not None
            times, sizes = [], []
            _, size = _told(said)
            sizes.append(size)
            for _ in range(UPDATES if changes else 0):
                next(slices)
                begin = perf_counter_ns()
                machine.tick()
                ready, size = _told(said)
                times.append(ready - begin)
                sizes.append(size)
                sleep(0.005)  # its next request is there
        raw = machine.screen.frame.nbytes
    row: Row = {"sent": name, "bytes": float(statistics.median(sizes[1:] or sizes))}
    return row | {"raw_bytes": raw, "late_ms": statistics.median(times) / 1e6 if times else None}


def _told(said: IO[str]) -> tuple[int, int]:
    """Time and size of the viewer's next update."""
    line = said.readline()
    if not line:
        raise BenchError("bench view: the viewer has ended")
    ready, size = line.split()
    return int(ready), int(size)
