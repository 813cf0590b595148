"""`vgaemu bench vga`: the patch's own workload: a guest prints a file, the display reads the log.

Guest threads print at full speed into 256 KiB of video memory, scrolling, as a text console does;
behind KVM a vCPU draws the same text as glyphs in mode 13h. Meanwhile the log is read 60 times a
second, and how long each read took is what the patch is about: it says that milliseconds became 50
to 300 us. Before each read a control loop spins for as long as a read takes with nobody else
running: what exceeds it there is the machine's and the interpreter's own scheduling noise.

Not measured: drawing. `bench frame` has that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, perf_counter_ns, sleep
from typing import TYPE_CHECKING

import numpy as np

from vgaemu.bench.measure import RUNS, Row, no_collector, running, table, timed_ns
from vgaemu.memslot import KEEPERS, Memslot, why_unavailable
from vgaemu.memslot.kvm.guest import SCREEN_CELLS, KvmGuest
from vgaemu.memslot.kvm.keeper import KvmKeeper
from vgaemu.vga.font import bundled_font

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The legacy VRAM.
SLOT_PAGES = 64
#: 80x25 cells of two bytes; a second guest has the second half of the slot.
PITCH, SCREEN_BYTES = 160, 4000
GUESTS = (1, 2)
HZ = 60
#: Reads of one run: a second.
READS = 60
STALL_NS = 1_000_000
CLAIM = "the patch: 50 to 300 us, before it a few ms"
#: Upper edges of the histogram's bins, in us; the last bin has none.
EDGES = (5, 10, 20, 50, 100, 300, 1000, 3000, 10000)


def printer(slot: Memslot, base: int, text: bytes, stop: threading.Event) -> None:
    """Print line by line, scrolling by a line each time, until told to stop."""
    lines = [line[:80].ljust(80) for line in text.splitlines()]
    cells = [bytes(byte for character in line for byte in (character, 7)) for line in lines]
    row = 0
    while not stop.is_set():
        slot.write(base, slot.read(base + PITCH, SCREEN_BYTES - PITCH))
        line = cells[row % len(cells)]
        for column in range(0, PITCH, 2):
            slot.write(base + SCREEN_BYTES - PITCH + column, line[column : column + 2])
        row += 1


def glyphs(guest: KvmGuest, text: bytes, stop: threading.Event) -> None:
    """Let the vCPU draw the text, screen after screen."""
    font = bundled_font(8).tobytes()
    at = 0
    while not stop.is_set():
        # A row at a time, so that it can be told to stop.
        cell = at % SCREEN_CELLS
        guest.draw_text(text[at % len(text) :][:40].ljust(40), font, cell)
        at += 40


def measure(runs: int = RUNS) -> list[Row]:
    """A row for each keeper and number of guests, `runs` seconds of reading each."""
    text = Path(__file__).read_bytes()
    rows: list[Row] = []
    for keeper in KEEPERS:
        if why_unavailable(keeper) is not None:
            continue
        for guests in GUESTS:
            slot = Memslot(SLOT_PAGES, dirty_log=keeper)
            stop = threading.Event()
            threads = _guests(slot, guests, text, stop)
            if threads is not None:
                rows.append(_read_beside(slot, threads, stop, runs * READS))
    return rows


def _guests(
    slot: Memslot, count: int, text: bytes, stop: threading.Event
) -> list[threading.Thread] | None:
    """Threads to start; None where there cannot be so many."""
    run: list[tuple[Callable[..., None], tuple[object, ...]]]
    if isinstance(slot.keeper, KvmKeeper):
        if count > 1:
            return None  # a VM has one guest here
        run = [(glyphs, (KvmGuest(slot.keeper, native=True), text, stop))]
    else:
        half = slot.nbytes // 2
        run = [(printer, (slot, i * half, text, stop)) for i in range(count)]
    return [threading.Thread(target=target, args=args) for target, args in run]


def _read_beside(
    slot: Memslot, threads: list[threading.Thread], stop: threading.Event, reads: int
) -> Row:
    slot.mark_dirty(0, SCREEN_BYTES)
    alone = timed_ns(slot.get_dirty_log)
    waited = slot.counters.grace_period_ns
    taken, control, pages = [], [], []
    with running(threads, stop), no_collector():
        due = monotonic()
        for _ in range(reads):
            due += 1 / HZ
            sleep(max(due - 0.002 - monotonic(), 0))
            begin = perf_counter_ns()
            while perf_counter_ns() < begin + alone:
                pass
            control.append(perf_counter_ns() - begin - alone)
            sleep(max(due - monotonic(), 0))
            begin = perf_counter_ns()
            log = slot.get_dirty_log()
            taken.append(perf_counter_ns() - begin)
            pages.append(len(log))
    return {
        "keeper": slot.dirty_log,
        "guests": len(threads),
        "reads": reads,
        "dirty_pages_median": float(np.median(pages)),
        "harvest_median_ns": float(np.median(taken)),
        "harvest_p99_ns": float(np.percentile(taken, 99)),
        "harvest_max_ns": float(max(taken)),
        "over_1_ms": sum(ns > STALL_NS for ns in taken),
        "control_over_1_ms": sum(ns > STALL_NS for ns in control),
        "grace_period_ns": (slot.counters.grace_period_ns - waited) / reads,
        "histogram": np.histogram(np.array(taken) / 1000, (0, *EDGES, np.inf))[0].tolist(),
    }


def report(rows: Sequence[Row]) -> str:
    """The table, and a histogram for each row."""
    heads = [f"<{edge}" for edge in EDGES] + [f">{EDGES[-1]}"]
    numbers = [{key: value for key, value in row.items() if key != "histogram"} for row in rows]
    histograms = [
        {"keeper": row["keeper"], "guests": row["guests"]}
        | {
            head: _bar(count, row["reads"])
            for head, count in zip(heads, row["histogram"], strict=True)
        }
        for row in rows
    ]
    return f"{table(numbers)}\n\nShare of the reads by us ({CLAIM})\n{table(histograms)}"


def _bar(count: int, reads: int) -> str:
    """A share as text, so that columns of shares are a picture."""
    return "#" * -(-10 * count // reads)


def plot(rows: Sequence[Row]) -> Figure:
    """Median to p99 for each keeper, beside the patch's range."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.35 * len(rows) + 1.5), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(50, 300, color="0.9", label="the patch: 50 to 300 us")
    names = [f"{row['keeper']}, {row['guests']}" for row in rows]
    for figure_of, marker in (("median", "o"), ("p99", "|"), ("max", "x")):
        us = [row[f"harvest_{figure_of}_ns"] / 1000 for row in rows]
        axes.plot(us, names, marker, label=figure_of)
    axes.set(xscale="log", xlabel="us a harvest, 60 a second", ylabel="keeper, guests")
    axes.legend()
    return figure
