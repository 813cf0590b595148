"""`vgaemu bench vga`: the patch's own workload: a guest reads a file, the display reads the log.

Guest threads read a file, a sector at a time, and print it at full speed into 256 KiB of video
memory, scrolling, as a text console does. Each line is a slice: the guest holds the slot's
read-side section (`Memslot.exit_section`) for it as a machine's guest does from one ``yield`` to
the next, and as a vCPU of Linux 3.3 held SRCU for the handling of an exit. Behind KVM a vCPU draws
the same text as glyphs in mode 13h. Meanwhile the log is read 60 times a second, and how long each
read took is what the patch is about: it says that a few milliseconds became 50 to 300 us. Before
each read a control loop spins for as long as a read takes with nobody else running: what exceeds it
there is the machine's and the interpreter's own scheduling noise. The schemes take turns, a second
each. Where there is a Linux kernel, it reads the file on its own console, too: see `linux`.

Modelled of the predecessor's wait: that it lasts until every section entered before has been left,
and looks for that after 10 us and then once a jiffy, 1 ms, which is where a few milliseconds come
from. Not modelled: the interrupts to every CPU that synchronize_srcu_expedited() sent three times,
whoever read. A wait lets go of the interpreter and has to get it back from the guests: how long a
sleep of one jiffy takes beside them is a second control. Not measured: drawing. `bench frame` has
that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import monotonic, perf_counter_ns, sleep
from typing import TYPE_CHECKING

import numpy as np

from vgaemu.bench import linux
from vgaemu.bench.counts import COUNTS, OF_A_HARVEST, as_columns, counted
from vgaemu.bench.measure import (
    RUNS,
    Row,
    no_collector,
    running,
    switching_as_a_machine,
    table,
    timed_ns,
)
from vgaemu.memslot import KEEPERS, Memslot, why_unavailable
from vgaemu.memslot.kvm.guest import SCREEN_CELLS, KvmGuest
from vgaemu.memslot.kvm.keeper import KvmKeeper
from vgaemu.memslot.srcu import JIFFY_S
from vgaemu.vga.font import bundled_font

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: The legacy VRAM.
SLOT_PAGES = 64
#: 80x25 cells of two bytes; a second guest has the second half of the slot.
PITCH, SCREEN_BYTES = 160, 4000
#: What the guests read, and how many bytes of it a time.
FILE, SECTOR = Path(__file__), 512
GUESTS = (1, 2)
HZ = 60
#: Reads of one turn: a second.
READS = 60
#: Sleeps of one jiffy after them.
JIFFIES = 20
STALL_NS = 1_000_000
CLAIM = "the patch: 50 to 300 us, before it a few ms"
CLAIM_NS = (50_000, 300_000)
#: "A few ms" as a picture shows them.
FEW_MS_US = (2000, 5000)
#: What is said where there is none.
NO_LINUX = (
    "Not measured: beside a Linux that reads the file on its VGA console. It needs a kernel of 32 "
    f"bits: {linux.KERNEL_VARIABLE}=PATH names one, else it is looked for at {linux.KERNELS}."
)
#: Upper edges of the histogram's bins, in us; the last bin has none.
EDGES = (5, 10, 20, 50, 100, 300, 1000, 3000, 10000)


def printer(slot: Memslot, base: int, stop: threading.Event) -> None:
    """Read `FILE` again and again and print it, a line a slice, until told to stop."""
    with FILE.open("rb", buffering=SECTOR) as file:
        while not stop.is_set():
            with slot.exit_section():
                line = file.readline()
                if line:
                    _print(slot, base, line.rstrip()[:80].ljust(80))
                else:
                    file.seek(0)


def _print(slot: Memslot, base: int, line: bytes) -> None:
    """Scroll by a line and put this one below, a cell a store."""
    slot.write(base, slot.read(base + PITCH, SCREEN_BYTES - PITCH))
    last = base + SCREEN_BYTES - PITCH
    for column, character in enumerate(line):
        slot.write(last + 2 * column, bytes((character, 7)))


def glyphs(guest: KvmGuest, stop: threading.Event) -> None:
    """Let the vCPU draw the text, screen after screen."""
    font, text = bundled_font(8).tobytes(), FILE.read_bytes()
    at = 0
    while not stop.is_set():
        # A row at a time, so that it can be told to stop.
        cell = at % SCREEN_CELLS
        guest.draw_text(text[at % len(text) :][:40].ljust(40), font, cell)
        at += 40


class Side:
    """One keeper beside so many guests, and what was read of it so far."""

    def __init__(self, keeper: str, guests: int) -> None:
        self.slot = Memslot(SLOT_PAGES, dirty_log=keeper)
        self.guests = guests
        self._run: list[tuple[Callable[..., None], tuple[object, ...]]]
        if isinstance(self.slot.keeper, KvmKeeper):
            self._run = [(glyphs, (KvmGuest(self.slot.keeper, native=True),))]
        else:
            half = self.slot.nbytes // 2
            self._run = [(printer, (self.slot, i * half)) for i in range(guests)]
        self._taken: list[int] = []
        self._control: list[int] = []
        self._jiffies: list[int] = []
        self._waited: list[int] = []
        self._pages: list[int] = []
        self._counts = np.zeros(len(COUNTS), np.int64)

    def read_beside(self, reads: int) -> None:
        """A turn: so many reads, 60 a second, while the guests print."""
        slot, counters = self.slot, self.slot.counters
        slot.mark_dirty(0, SCREEN_BYTES)
        alone = timed_ns(slot.get_dirty_log)
        before = counted(slot)
        stop = threading.Event()
        threads = [
            threading.Thread(target=target, args=(*arguments, stop))
            for target, arguments in self._run
        ]
        with running(threads, stop), no_collector():
            due = monotonic()
            for _ in range(reads):
                due = max(due + 1 / HZ, monotonic())  # a read may have taken more than a frame
                sleep(max(due - 0.002 - monotonic(), 0))
                begin = perf_counter_ns()
                while perf_counter_ns() < begin + alone:
                    pass
                self._control.append(perf_counter_ns() - begin - alone)
                sleep(max(due - monotonic(), 0))
                waited = counters.grace_period_ns
                begin = perf_counter_ns()
                log = slot.get_dirty_log()
                self._taken.append(perf_counter_ns() - begin)
                self._waited.append(counters.grace_period_ns - waited)
                self._pages.append(len(log))
            self._jiffies += [timed_ns(partial(sleep, JIFFY_S)) for _ in range(JIFFIES)]
        self._counts += counted(slot) - before

    def row(self) -> Row:
        """What all turns say."""
        reads = len(self._taken)
        return {
            "keeper": self.slot.dirty_log,
            "guests": self.guests,
            "reads": reads,
            "dirty_pages_median": float(np.median(self._pages)),
            "harvest_median_ns": float(np.median(self._taken)),
            "harvest_p99_ns": float(np.percentile(self._taken, 99)),
            "harvest_max_ns": float(max(self._taken)),
            "grace_period_median_ns": float(np.median(self._waited)),
            "grace_period_p99_ns": float(np.percentile(self._waited, 99)),
            "over_1_ms": sum(ns > STALL_NS for ns in self._taken),
            "control_over_1_ms": sum(ns > STALL_NS for ns in self._control),
            "control_jiffy_median_ns": float(np.median(self._jiffies)),
            "histogram": np.histogram(np.array(self._taken) / 1000, (0, *EDGES, np.inf))[
                0
            ].tolist(),
            **as_columns(self._counts, reads),
        }


def measure(runs: int = RUNS) -> list[Row]:
    """A row for each keeper and number of guests, `runs` seconds of reading each."""
    sides = [
        Side(keeper, guests)
        for keeper in KEEPERS
        if why_unavailable(keeper) is None
        for guests in GUESTS
        if guests == 1 or not keeper.startswith("kvm")  # a VM has one guest here
    ]
    with switching_as_a_machine():
        for _ in range(runs):
            for side in sides:
                side.read_beside(READS)
    rows = [side.row() for side in sides]
    kernel = linux.find_kernel()
    return rows if kernel is None else rows + linux.measure(kernel, runs)


def report(rows: Sequence[Row]) -> str:
    """The times, the counts, a histogram for each row, and what became of the milliseconds.

    Behind them what was measured beside Linux, or why it was not.
    """
    of_linux = [row for row in rows if "linux" in row]
    return f"{_report([row for row in rows if 'linux' not in row])}\n\n{beside_linux(of_linux)}"


def beside_linux(rows: Sequence[Row]) -> str:
    """What was measured beside Linux, or why nothing was."""
    return f"Beside Linux, which reads a file\n{table(rows)}" if rows else NO_LINUX


def _report(rows: Sequence[Row]) -> str:
    heads = [f"<{edge}" for edge in EDGES] + [f">{EDGES[-1]}"]
    who = ("keeper", "guests")
    left_out = {"histogram", *COUNTS}
    times = [{key: row[key] for key in row if key not in left_out} for row in rows]
    counts = [{key: row[key] for key in (*who, *OF_A_HARVEST)} for row in rows]
    histograms = [
        {key: row[key] for key in who}
        | {
            head: _bar(count, row["reads"])
            for head, count in zip(heads, row["histogram"], strict=True)
        }
        for row in rows
    ]
    return "\n\n".join(
        (
            table(times),
            f"Counted per read\n{table(counts)}",
            f"Share of the reads by us ({CLAIM})\n{table(histograms)}",
            *map(step, [[row for row in rows if row["guests"] == n] for n in GUESTS]),
        )
    )


def _bar(count: int, reads: int) -> str:
    """A share as text, so that columns of shares are a picture."""
    return "#" * -(-10 * count // reads)


def step(rows: Sequence[Row]) -> str:
    """From the old scheme to the new one, beside so many guests, in a sentence."""
    by_keeper = {row["keeper"]: row for row in rows}
    if not {"srcu", "words"} <= by_keeper.keys():
        return "The step from srcu to words: not both were measured."
    old, new = by_keeper["srcu"], by_keeper["words"]
    beside = "a guest that reads a file" if old["guests"] == 1 else f"{old['guests']} of them"
    if _share_over_1_ms(old) < 5:
        verdict = "no milliseconds here; the predecessor's interrupts to every CPU are not modelled"
    elif new["harvest_median_ns"] <= CLAIM_NS[1]:
        verdict = "the step that the patch tells of"
    else:
        verdict = "milliseconds became fewer, but not the patch's 300 us: is the machine busy?"
    waited, jiffy = (old[f"{what}_median_ns"] / 1000 for what in ("grace_period", "control_jiffy"))
    return (
        f"From srcu to words beside {beside}: {_told(old)}, {waited:,.0f} us of it waited for a"
        f" grace period (a sleep of one jiffy took {jiffy:,.0f} us), became {_told(new)}:"
        f" {verdict}."
    )


def _share_over_1_ms(row: Row) -> float:
    """Per cent of the reads."""
    return float(100 * row["over_1_ms"] / row["reads"])


def _told(row: Row) -> str:
    return (
        f"{row['harvest_median_ns'] / 1000:,.0f} us in the median (p99"
        f" {row['harvest_p99_ns'] / 1000:,.0f}; {_share_over_1_ms(row):.0f} per cent over 1 ms)"
    )


def plot(rows: Sequence[Row]) -> Figure:
    """Median to p99 for each keeper, beside the patch's range."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.35 * len(rows) + 1.5), layout="constrained")
    axes = figure.subplots()
    rows = [row for row in rows if "linux" not in row]
    axes.axvspan(*(ns / 1000 for ns in CLAIM_NS), color="0.9", label="the patch: 50 to 300 us")
    axes.axvspan(*FEW_MS_US, color="mistyrose", label="before it: a few ms")
    names = [f"{row['keeper']}, {row['guests']}" for row in rows]
    for figure_of, marker in (("median", "o"), ("p99", "|"), ("max", "x")):
        us = [row[f"harvest_{figure_of}_ns"] / 1000 for row in rows]
        axes.plot(us, names, marker, label=figure_of)
    axes.set(xscale="log", xlabel="us a harvest, 60 a second", ylabel="keeper, guests")
    figure.legend(loc="outside right upper")
    return figure
