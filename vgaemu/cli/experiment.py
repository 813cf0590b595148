"""The patch's own experiment: a guest reads a file and prints it; three schemes keep the log.

Takuya Yoshikawa measured it in 2012: with a VGA and a guest that was reading a file, milliseconds
of latency became 50 to 300 us. Here the guest runs on a thread of its own, as a vCPU does, and
prints line by line as fast as it can; the display harvests 60 times a second. Printing a line is
one *exit*: the guest holds the log's read-side section for it, and `srcu` waits for that.
"""

from __future__ import annotations

import textwrap
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from time import monotonic, perf_counter_ns
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.display.panel import draw
from vgaemu.display.panel.draw import Pixels, duration, write
from vgaemu.display.panel.graph import Graph, Section
from vgaemu.display.panel.layout import CHAR, LINE, SMALL, SMALL_LINE
from vgaemu.display.report import Rect
from vgaemu.display.work import count, difference
from vgaemu.guest.workload import Guest, Slices
from vgaemu.guest.workloads.cat import COLUMNS
from vgaemu.machine import Machine
from vgaemu.memslot.keeper import Counters
from vgaemu.vga.vram import LFB_GPA

#: In the order in which they keep the log, and what each of them is.
SCHEMES = {
    "srcu": "what the patch replaced: publish a second bitmap, wait for all readers",
    "words": "the patch: exchange words, protect spans, wait for nobody",
    "flags": "this emulator's own default: a byte a page",
}
#: Of each scheme so much is left out.
WARM_UP_S = 1.0
TITLE = "The 2012 patch's experiment: a guest reads a file and prints it"
#: The picture of the results, and its graph: so many columns for each scheme.
WIDTH, HEIGHT, MARGIN, GRAPH_HEIGHT, SHOWN = 960, 424, 8, 200, 300


class Result(NamedTuple):
    """What one scheme took and did, its warm-up left out."""

    name: str
    harvest_ns: NDArray[np.int64]
    work: Counters

    @property
    def median_ns(self) -> float:
        """Of its harvests."""
        return float(np.median(self.harvest_ns))

    def row(self) -> str:
        """A line of the table; counts are a harvest's, in the mean."""
        p99, most = np.percentile(self.harvest_ns, (99, 100), method="nearest").tolist()
        times = (self.median_ns, p99, most, self.work.grace_period_ns / len(self.harvest_ns))
        counts = (
            self.work.protect_calls, self.work.protected_pages, self.work.clean_pages,
            self.work.entries_looked_at,
        )  # fmt: skip
        means = [count / len(self.harvest_ns) for count in counts]
        figures = [*map(duration, times), *(f"{mean:.1f}" for mean in means)]
        return f"{self.name:7}" + "".join([f"{figure:>9}" for figure in figures])


HEAD = f"{'':7}" + "".join([
    f"{name:>9}"
    for name in ("median", "p99", "max", "waited", "calls", "pages", "clean", "entries")
])  # fmt: skip
LEGEND = (
    "Of a harvest; in the mean: waited for readers, protect calls, pages covered, clean of "
    "those, table entries looked at."
)


def conclusion(results: Sequence[Result]) -> str:
    """The result, in one sentence."""
    srcu, words, flags = (result.median_ns for result in results)
    if srcu > words:
        change = f"is {srcu / words:.1f} times faster than before"
    else:
        change = f"is {words / srcu:.1f} times slower than before, which it should not be"
    return (
        f"The patch {change}: a harvest takes {duration(words)} in the median, where srcu took "
        f"{duration(srcu)}; flags takes {duration(flags)}."
    )


def limits(results: Sequence[Result], exit_ns: float) -> str:
    """What of the kernel is in these figures, and what is not."""
    waited = results[0].work.grace_period_ns / len(results[0].harvest_ns)
    return (
        f"An exit here is one line printed, {duration(exit_ns)} in the median, longer than most of "
        f"KVM's. For exits to end srcu waited {duration(waited)} a harvest in the mean, as Linux "
        "3.3 did: 10µs, then 1ms at a time. Missing here: the interrupts to every CPU with which "
        "synchronize_srcu_expedited() began and ended, even when nobody was inside."
    )


def picture(results: Sequence[Result], exit_ns: float) -> Pixels:
    """All of it: (HEIGHT, WIDTH) uint32 0x00RRGGBB."""
    pixels = np.full((HEIGHT, WIDTH), draw.PAPER, np.uint32)
    y = MARGIN
    rows = [result.row() for result in results]

    def put(lines: Iterable[str], ink: int, height: int, apart: int) -> None:
        nonlocal y
        for line in lines:
            write(pixels, MARGIN, y, line, ink, height=height)
            y += apart

    put([TITLE], draw.DIM, LINE, LINE + 4)
    columns = (WIDTH - 2 * MARGIN) // CHAR
    put(textwrap.wrap(conclusion(results), columns), draw.BRIGHT, LINE, LINE)
    y += MARGIN
    graph = Graph(pixels, Rect(MARGIN, y, WIDTH - 2 * MARGIN, GRAPH_HEIGHT))
    # A column is a harvest; of many every nth, and a few are as wide as it takes.
    times = [ns[np.arange(SHOWN) * len(ns) // SHOWN] for ns in (r.harvest_ns for r in results)]
    sections = [Section(i * SHOWN, r.name, r.median_ns) for i, r in enumerate(results)]
    graph.draw([np.concatenate(times).astype(float)], sections)
    y += GRAPH_HEIGHT + MARGIN
    put([HEAD], draw.DIM, LINE, LINE)
    put(rows, draw.INK, LINE, LINE)
    y += MARGIN
    notes = [*textwrap.wrap(LEGEND, columns), *textwrap.wrap(limits(results, exit_ns), columns)]
    put(notes, draw.DIM, SMALL, SMALL_LINE)
    return pixels


class Experiment:
    """Guest, switches of the log's keeper, and results; `attach` it to the machine it runs in.

    Args:
        lines: What is printed, again and again.
        seconds: Of harvests measured for each scheme.
        say: Called with each line of the results, as they come.
    """

    def __init__(self, lines: Sequence[str], seconds: float, say: Callable[[str], None]) -> None:
        self._lines = lines
        self._seconds = seconds
        self._say = say
        self.results: list[Result] = []
        #: Lines printed, and nanoseconds that each of the last took.
        self.printed = 0
        self._exit_ns: deque[int] = deque(maxlen=1 << 16)
        #: Whether the picture was found to equal a full redraw in the end; None before.
        self.nothing_lost: bool | None = None
        #: For the guest: results to print among the lines, and what it shows in the end.
        self._bulletins: deque[str] = deque()
        self.picture: Pixels | None = None

    def workload(self, guest: Guest) -> Slices:
        """The guest: prints until all is measured, and then the results."""
        guest.set_mode(3)
        lines = cycle(self._lines)
        while self.picture is None:
            line = next(lines)
            begin = perf_counter_ns()
            guest.text.print(line[: COLUMNS - 1])
            self._exit_ns.append(perf_counter_ns() - begin)
            self.printed += 1
            yield guest.NOW
            while self._bulletins:
                guest.text.set_colour("black", "cyan")
                guest.text.print(self._bulletins.popleft().ljust(COLUMNS - 1))
                guest.text.set_colour("light grey")
        guest.set_dispi_mode(WIDTH, HEIGHT, 32)
        guest.store(LFB_GPA, self.picture.tobytes())
        yield

    def attach(self, machine: Machine) -> None:
        """Measure while the machine runs; it is new, and `workload` is its guest."""
        self._machine = machine
        self._begin()
        machine.between_frames.append(self._after_frame)

    def _begin(self) -> None:
        """The next scheme keeps the log by now."""
        what = f"{len(self.results) + 1} of {len(SCHEMES)}: {self._name}, {SCHEMES[self._name]}"
        self._machine.tell_user(what)
        self._begun = self._looked = monotonic()
        self._frames = self._machine.frames
        #: Its harvests and its work until the warm-up was over.
        self._before: tuple[int, Counters] | None = None

    @property
    def _name(self) -> str:
        return [*SCHEMES][len(self.results)]

    def _after_frame(self) -> None:
        if len(self.results) == len(SCHEMES):
            if self._machine.ended and self.nothing_lost is None:
                self._conclude()
            return
        now, frames = monotonic(), self._machine.frames
        if frames == self._frames:  # the user has it paused
            self._begun += now - self._looked
        self._looked, self._frames = now, frames
        if self._machine.vram.dirty_log != self._name:  # the user's doing, too
            self._machine.vram.keep_with(self._name)
        keeper = self._machine.stats.keepers.get(self._name)
        since = now - self._begun
        if keeper is None:
            return
        if self._before is None and since >= WARM_UP_S:
            self._before = keeper.frames, keeper.work
        elif self._before is not None and since >= WARM_UP_S + self._seconds:
            measured, before = keeper.frames - self._before[0], self._before[1]
            if measured:
                times = np.array(keeper.harvest_ns, np.int64)[-measured:]
                work = difference(count(keeper.work), count(before))
                self._finish_scheme(Result(self._name, times, work))

    def _finish_scheme(self, result: Result) -> None:
        self.results.append(result)
        if len(self.results) == 1:
            self._say(HEAD)
        self._say(result.row())
        self._bulletins.append(f" {result.name}: harvest {duration(result.median_ns)} (median)")
        if len(self.results) < len(SCHEMES):
            self._machine.vram.keep_with(self._name)
            self._begin()
        else:
            self.picture = picture(self.results, self.exit_ns)

    def _conclude(self) -> None:
        """The guest has ended: see whether all that it did is shown, and tell the result."""
        self._machine.draw_frame()  # what it did after the last harvest
        screen = self._machine.screen
        self.nothing_lost = bool(np.array_equal(screen.frame, screen.full_redraw()))
        lost = "equals" if self.nothing_lost else "DIFFERS FROM"
        for text in (
            LEGEND,
            limits(self.results, self.exit_ns),
            f"{self.printed:,} lines were printed; the picture {lost} a full redraw.",
            conclusion(self.results),
        ):
            self._say(textwrap.fill(text, COLUMNS - 1))

    @property
    def exit_ns(self) -> float:
        """How long the guest holds its section, in the median."""
        return float(np.median(self._exit_ns)) if self._exit_ns else 0.0
