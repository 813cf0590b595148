"""`vgaemu bench dirty-log`: kvm-unit-tests' dirty-log-perf grown up: every scheme side by side.

As there: a slot of S pages, N of them dirty, and one read is timed. Beyond it: N = 0; dirty pages
that are contiguous, in clusters of 8, and scattered evenly; every keeper present, taking turns;
many readings, so that there is a median and a p99; each reading checked by its population count;
and the cost of the store that gets logged beside the cost of the read: either alone misleads.

`srcu` is shown with and without its grace-period wait. `kvm` is the bare ioctl KVM_GET_DIRTY_LOG
called from Python, behind a guest that runs natively, and behind one that KVM emulates where it has
only shadow page tables (see `vgaemu.memslot.kvm.guest`); `kvm-manual` is the same read followed by
KVM_CLEAR_DIRTY_LOG.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np

from vgaemu.bench.measure import RUNS, Row, no_collector, table
from vgaemu.errors import KeeperUnavailable
from vgaemu.memslot import KEEPERS, PAGE_SIZE, Memslot, why_unavailable
from vgaemu.memslot.bitmap import Span
from vgaemu.memslot.kvm.guest import KvmGuest
from vgaemu.memslot.kvm.keeper import KvmKeeper
from vgaemu.memslot.log import DirtyLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Slot name -> pages, dirty pages of each reading. Small slots double N as dirty-log-perf does;
#: 8192 is where the patch says that it stops paying.
SLOTS: dict[str, tuple[int, list[int]]] = {
    "256 KiB": (64, [0, 1, 2, 4, 8, 16, 32, 64]),
    "8 MiB": (2048, [0, *(1 << i for i in range(12))]),
    "1 GiB": (1 << 18, [0, 1, 8, 64, 512, 2048, 8192, 32768, 1 << 18]),
    "256 GiB": (1 << 26, [0, 1, 8, 64, 512, 2048, 8192]),
}
CLUSTER = 8
LIES = ("contiguous", "clustered", "scattered")
EMULATED = ("flags", "sparse", "words", "pages", "srcu")
#: At 2^26 pages the schemes that look at every word take seconds a reading.
HUGE = ("flags",)
#: The patch's figures: dirty pages up to which it is ahead, and the latency under VGA.
CLAIM_PAGES = 8192
CLAIM_NS = (50_000, 300_000)
STORE_PAGES = 2048


# --- sides ----------------------------------------------------------------------------------------


class Side:
    """One scheme on one slot."""

    def __init__(self, scheme: str, slot: Memslot) -> None:
        self.scheme = scheme
        self.slot = slot

    def touch(self, runs: Sequence[Span]) -> None:
        """Dirty the pages."""
        for start, end in runs:
            self.slot.mark_dirty(start * PAGE_SIZE, (end - start) * PAGE_SIZE)

    def read(self) -> None:
        """Take a reading."""
        self.log = self.slot.get_dirty_log()

    def count(self) -> int:
        """Pages that the last reading reported."""
        return len(self.log)

    def waited_ns(self) -> int:
        """Grace periods so far."""
        return self.slot.counters.grace_period_ns


class MmuSide(Side):
    """Plain stores into a numpy view."""

    def touch(self, runs: Sequence[Span]) -> None:
        """Store to the pages, and tell nobody."""
        first_bytes = self.slot.array[::PAGE_SIZE]
        for start, end in runs:
            first_bytes[start:end] += np.uint8(1)


class KvmSide(Side):
    """A guest's stores, and the bare ioctl."""

    def __init__(self, scheme: str, npages: int, *, native: bool) -> None:
        slot = Memslot(npages, dirty_log="kvm-manual" if scheme == "kvm-manual" else "kvm")
        super().__init__(scheme, slot)
        assert isinstance(slot.keeper, KvmKeeper)
        self._reader = slot.keeper.reader
        self._guest = KvmGuest(slot, native=native)
        self._clears = scheme == "kvm-manual"

    def touch(self, runs: Sequence[Span]) -> None:
        """Let the vCPU store to the pages."""
        self._guest.write_pages([page for run in runs for page in range(*run)])

    def read(self) -> None:
        """One ioctl, or two."""
        self._reader.read()
        if self._clears:
            self._reader.clear()

    def count(self) -> int:
        """Pages that the last reading reported."""
        return int(np.bitwise_count(self._reader.words).sum())


def sides(npages: int) -> list[Side]:
    """Every scheme that works here and suits the size."""
    if npages > 1 << 20:
        return [Side(name, Memslot(npages, dirty_log=name)) for name in HUGE]
    # For large slots `flags` is `sparse`.
    names = [name for name in EMULATED if name != "sparse" or npages == STORE_PAGES]
    found: list[Side] = [Side(name, Memslot(npages, dirty_log=name)) for name in names]
    with suppress(KeeperUnavailable):
        found.append(MmuSide("mmu", Memslot(npages, dirty_log="mmu")))
    with suppress(KeeperUnavailable):
        found.append(KvmSide("kvm", npages, native=True))
        found.append(KvmSide("kvm-emulated", npages, native=False))
        found.append(KvmSide("kvm-manual", npages, native=True))
    return found


def lie_of(lie: str, count: int, npages: int) -> list[Span] | None:
    """The dirty pages as runs; None where this lie is no other than a simpler one."""
    if lie == "contiguous":
        return [(0, count)] if count else []
    size = CLUSTER if lie == "clustered" else 1
    runs = count // size
    if count <= size or count > npages // 2:
        return None
    return [(i * npages // runs, i * npages // runs + size) for i in range(runs)]


# --- measuring ------------------------------------------------------------------------------------


def measure(runs: int = RUNS) -> list[Row]:
    """A row for each slot, number of dirty pages, lie and scheme; then the stores.

    Args:
        runs: Multiplies the readings.
    """
    rows: list[Row] = []
    for slot, (npages, counts) in SLOTS.items():
        present = sides(npages)
        for side in present:  # as in dirty-log-perf: everything is mapped before anything is timed
            if npages <= 1 << 20:
                side.touch([(0, npages)])
                side.read()
        for count in counts:
            for lie in LIES:
                pages = lie_of(lie, count, npages)
                if pages is not None:
                    rows += _readings(slot, npages, count, lie, pages, present, runs)
    return rows + _stores(runs)


def _rounds(count: int) -> int:
    return 40 if count <= 64 else 10 if count <= 2048 else 2 if count <= 32768 else 1


def _readings(
    slot: str,
    npages: int,
    count: int,
    lie: str,
    pages: list[Span],
    present: list[Side],
    runs: int,
) -> list[Row]:
    rounds = _rounds(count) * runs
    times: dict[str, list[int]] = {side.scheme: [] for side in present}
    waits: dict[str, list[int]] = {side.scheme: [] for side in present}
    before = {side.scheme: _counters(side) for side in present}
    with no_collector():
        for _ in range(rounds):
            for side in present:
                if count <= 2048:  # warm up: whoever ran before has emptied the caches
                    side.touch(pages)
                    side.read()
                side.touch(pages)
                waited = side.waited_ns()
                begin = perf_counter_ns()
                side.read()
                times[side.scheme].append(perf_counter_ns() - begin)
                waits[side.scheme].append(side.waited_ns() - waited)
                if side.count() != count:
                    raise AssertionError(
                        f"{side.scheme}: {side.count()} pages reported, {count} were written"
                    )
    readings = rounds * (2 if count <= 2048 else 1)
    rows: list[Row] = []
    for side in present:
        taken = np.array(times[side.scheme])
        row: Row = {
            "slot": slot,
            "slot_pages": npages,
            "dirty_pages": count,
            "lie": lie,
            "scheme": side.scheme,
            "readings": rounds,
            "median_ns": float(np.median(taken)),
            "p99_ns": float(np.percentile(taken, 99)),
        }
        after = _counters(side)
        for i, name in enumerate(COUNTERS):
            row[name] = (after[i] - before[side.scheme][i]) / readings
        rows.append(row)
        if side.scheme == "srcu":
            net = taken - np.array(waits["srcu"])
            rows.append(
                row
                | {
                    "scheme": "srcu-no-wait",
                    "median_ns": float(np.median(net)),
                    "p99_ns": float(np.percentile(net, 99)),
                }
            )
    return rows


#: Per reading; the kernel does not tell its own.
COUNTERS = ("faults", "protect_calls", "protected_pages", "flushes")


def _counters(side: Side) -> list[int]:
    return [getattr(side.slot.counters, name) for name in COUNTERS]


def _stores(runs: int) -> list[Row]:
    """First store to a protected page, and the next one: nanoseconds a page."""
    present = sides(STORE_PAGES)
    times: dict[str, list[tuple[float, float]]] = {side.scheme: [] for side in present}
    with no_collector():
        for _ in range(7 * runs):
            for side in present:
                times[side.scheme].append((_store_ns(side), _store_ns(side)))
                side.read()
    return [
        {
            "stores_by": _storer(side),
            "scheme": side.scheme,
            "first_store_ns": float(np.median([first for first, _ in times[side.scheme]])),
            "next_store_ns": float(np.median([again for _, again in times[side.scheme]])),
        }
        for side in present
    ]


def _storer(side: Side) -> str:
    if isinstance(side, KvmSide):
        return "vCPU"
    return "numpy view" if isinstance(side, MmuSide) else "Memslot.write"


def _store_ns(side: Side) -> float:
    begin = perf_counter_ns()
    if type(side) is Side:
        write = side.slot.write
        for offset in range(0, STORE_PAGES * PAGE_SIZE, PAGE_SIZE):
            write(offset, b"x")
    else:
        side.touch([(0, STORE_PAGES)])
    return (perf_counter_ns() - begin) / STORE_PAGES


# --- what it says ---------------------------------------------------------------------------------


def report(rows: Sequence[Row]) -> str:
    """Tables a slot, where schemes cross, the stores, and the patch's claims."""
    readings = [row for row in rows if "median_ns" in row]
    reasons = [why_unavailable(name) for name in KEEPERS]
    parts = ["\n".join(f"left out: {reason}" for reason in reasons if reason is not None)]
    for slot in dict.fromkeys(row["slot"] for row in readings):
        mine = [row for row in readings if row["slot"] == slot]
        parts.append(f"{slot}, us a reading: median (p99)\n{table(_pivot(mine))}")
    lines = list(_crossings(readings))
    if lines:
        parts.append("Where schemes cross\n" + "\n".join(lines))
    parts.append(_why(readings))
    parts.append(
        "The store that gets logged, ns a page\n" + table([r for r in rows if "stores_by" in r])
    )
    parts.append("The patch's claims, here\n" + "\n".join(claims(readings)))
    return "\n\n".join(part for part in parts if part)


def _pivot(rows: Sequence[Row]) -> list[Row]:
    """A line for each (dirty pages, lie), a column for each scheme."""
    lines: dict[tuple[int, str], Row] = {}
    for row in rows:
        key = row["dirty_pages"], row["lie"]
        line = lines.setdefault(key, {"dirty": key[0], "lie": key[1]})
        line[row["scheme"]] = f"{_us(row['median_ns'])} ({_us(row['p99_ns'])})"
    return list(lines.values())


def _us(ns: float) -> str:
    us = ns / 1000
    return f"{us:.1f}" if us < 100 else f"{us:,.0f}"


def _medians(rows: Sequence[Row]) -> dict[tuple[str, str, int], dict[str, float]]:
    """(slot, lie, dirty pages) -> scheme -> median."""
    found: dict[tuple[str, str, int], dict[str, float]] = {}
    for row in rows:
        key = row["slot"], row["lie"], row["dirty_pages"]
        found.setdefault(key, {})[row["scheme"]] = row["median_ns"]
    return found


#: Pairs of schemes whose crossing is of interest.
PAIRS = (
    ("words", "srcu-no-wait"),
    ("words", "pages"),
    ("flags", "kvm"),
    ("mmu", "kvm"),
)


def _crossings(rows: Sequence[Row]) -> Iterable[str]:
    medians = _medians(rows)
    for a, b in PAIRS:
        told = []
        for slot in dict.fromkeys(key[0] for key in medians):
            for lie in LIES:
                points = [
                    (count, by[a] / by[b])
                    for (s, li, count), by in medians.items()
                    if (s, li) == (slot, lie) and a in by and b in by and count
                ]
                if points:
                    told.append(f"    {slot} {lie}: {_ranges(points)}")
        if told:
            yield f"  {a} takes less than {b}:"
            yield from told


def _ranges(points: Sequence[tuple[int, float]]) -> str:
    """Which N the ratio is below 1 at, and its extremes."""
    ahead = [count for count, ratio in points if ratio < 1]
    ratios = [ratio for _, ratio in points]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f} of its time"
    if len(ahead) == len(points):
        return f"always ({spread})"
    if not ahead:
        return f"never ({spread})"
    return f"at N = {', '.join(map(str, ahead))} of {points[0][0]} to {points[-1][0]} ({spread})"


def _why(rows: Sequence[Row]) -> str:
    """Protect calls and protected pages at one telling point."""
    at = [
        {
            "dirty": row["dirty_pages"],
            "lie": row["lie"],
            "scheme": row["scheme"],
            **{name: round(row[name], 1) for name in COUNTERS},
        }
        for row in rows
        if row["slot"] == "8 MiB"
        and row["dirty_pages"] in (64, 512)
        and row["scheme"] in ("flags", "words", "pages", "srcu")
    ]
    return f"Why: counted per reading, 8 MiB\n{table(at)}" if at else ""


def claims(rows: Sequence[Row]) -> list[str]:
    """The patch's claims, one verdict a line."""
    medians = _medians(rows)
    found = []
    for below in (True, False):
        for lie in LIES:
            ratios = [
                (slot, count, by["srcu-no-wait"] / by["words"], by["srcu"] / by["words"])
                for (slot, li, count), by in medians.items()
                if li == lie and "words" in by and count and (count <= CLAIM_PAGES) is below
            ]
            if not ratios:
                continue
            bare = [ratio for _, _, ratio, _ in ratios]
            holds = min(bare) > 1 if below else max(bare) < 1
            worst = (min if below else max)(ratios, key=lambda point: point[2])
            what = "some times faster up to 8192 dirty pages" if below else "a bit slower above"
            verdict = "holds" if holds else f"not at {worst[1]} pages of {worst[0]}"
            if not below and not holds:
                verdict = "does not hold, it stays faster" if min(bare) > 1 else verdict
            found.append(
                f"  '{what}', {lie}: {verdict}. The predecessor takes {min(bare):.2f} to "
                f"{max(bare):.2f} times as long without its wait"
                f" ({min(r for *_, r in ratios):.2f} to {max(r for *_, r in ratios):.2f} with it)."
            )
    low, high = CLAIM_NS
    for scheme in ("words", "kvm", "kvm-emulated"):
        small = [r for r in rows if r["slot"] == "256 KiB" and r["scheme"] == scheme]
        if small:
            median, p99 = (max(r[key] for r in small) for key in ("median_ns", "p99_ns"))
            side = "below" if p99 < low else "within" if p99 <= high else "above"
            found.append(
                f"  'VGA latency of 50 to 300 us', {scheme}: a 256 KiB slot takes at most "
                f"{_us(median)} us median, {_us(p99)} us p99: {side} that (other hardware; the "
                "read alone, nothing else running)."
            )
    found.append(
        f"  'no update lost': {sum(r['readings'] for r in rows if r['scheme'] != 'srcu-no-wait'):,}"
        " readings, each with exactly the pages written; under threads: the tests."
    )
    return found


# --- pictures -------------------------------------------------------------------------------------


def _axes(columns: int) -> tuple[Any, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * columns, 4.6), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def plot(rows: Sequence[Row], path: Path) -> None:
    """Median against dirty pages: a panel a slot, a colour a scheme, dashed where scattered."""
    readings = [row for row in rows if "median_ns" in row and row["dirty_pages"]]
    slots = list(dict.fromkeys(row["slot"] for row in readings))
    schemes = list(dict.fromkeys(row["scheme"] for row in readings))
    figure, panels = _axes(len(slots))
    for panel, slot in zip(panels, slots, strict=True):
        for i, scheme in enumerate(schemes):
            for lie, style in (("contiguous", "-"), ("scattered", "--")):
                points = [
                    (row["dirty_pages"], row["median_ns"] / 1000)
                    for row in readings
                    if (row["slot"], row["scheme"], row["lie"]) == (slot, scheme, lie)
                ]
                if points:
                    label = scheme if lie == "contiguous" else None
                    panel.plot(
                        *zip(*points, strict=True),
                        style,
                        marker=".",
                        color=f"C{i}" if i < 10 else "black",
                        label=label,
                    )
        if panel.get_xlim()[1] > CLAIM_PAGES:
            panel.axvline(CLAIM_PAGES, color="grey", linewidth=0.5)
        panel.set(xscale="log", yscale="log", xlabel="dirty pages", title=f"{slot} slot")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("us a reading, median (solid contiguous, dashed scattered)")
    lines = {line.get_label(): line for panel in panels for line in panel.get_lines()}
    figure.legend(
        handles=[lines[scheme] for scheme in schemes if scheme in lines], loc="outside right upper"
    )
    figure.savefig(path)


#: The run that a heatmap shows: text that scrolls, sprites, a plasma, palette cycling, Life.
HEATMAP_WORKLOAD = "tour"
HEATMAP_FRAMES = 2700
#: Frames in one column of the picture.
HEATMAP_STEP = 10


def heatmap(path: Path) -> None:
    """Which page was dirty in which frame of a run, as a picture."""
    from vgaemu.machine import Machine

    logs: list[DirtyLog] = []
    with Machine(HEATMAP_WORKLOAD, display="null") as machine:
        view = machine.vram.subscribe()
        while len(logs) < HEATMAP_FRAMES and machine.tick(1):
            logs.append(view.get_dirty_log())
        keeper = machine.vram.dirty_log
    top = max((int(log.pages()[-1]) for log in logs if log), default=0) + 1
    raster = np.zeros((top, -(-len(logs) // HEATMAP_STEP)))
    for frame, log in enumerate(logs):
        raster[log.pages(), frame // HEATMAP_STEP] += 1 / HEATMAP_STEP
    figure, (panel,) = _axes(1)
    image = panel.imshow(
        raster,
        aspect="auto",
        origin="lower",
        cmap="magma",
        interpolation="nearest",
        extent=(0, raster.shape[1] * HEATMAP_STEP, -0.5, top - 0.5),
    )
    figure.colorbar(image, label=f"share of {HEATMAP_STEP} frames in which it was dirty")
    panel.set(
        xlabel="frame",
        ylabel="page of VRAM",
        title=f"'{HEATMAP_WORKLOAD}': dirty pages a frame, kept by {keeper}",
    )
    figure.savefig(path, dpi=150)
