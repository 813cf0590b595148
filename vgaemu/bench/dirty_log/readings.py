"""Every scheme on every slot: what a read takes, and the store that is logged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import perf_counter_ns, thread_time_ns
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.bench.counts import COUNTS, as_columns, counted
from vgaemu.bench.dirty_log.formula import Counts, expected
from vgaemu.bench.measure import RUNS, Row, no_collector
from vgaemu.errors import KeeperUnavailable
from vgaemu.memslot import PAGE_SIZE, Memslot
from vgaemu.memslot.bitmap import Span
from vgaemu.memslot.kvm.guest import KvmGuest
from vgaemu.memslot.kvm.keeper import KvmKeeper

#: Slot name -> pages, dirty pages of each reading. Small slots double N as dirty-log-perf does;
#: 8192 is where the patch says that it stops paying.
SLOTS: dict[str, tuple[int, list[int]]] = {
    "256 KiB": (64, [0, 1, 2, 4, 8, 16, 32, 64]),
    "8 MiB": (2048, [0, *(1 << i for i in range(12))]),
    "1 GiB": (1 << 18, [0, 1, 8, 64, 512, 2048, 8192, 32768, 1 << 17, 1 << 18]),
    "256 GiB": (1 << 26, [0, 1, 8, 64, 512, 2048, 8192]),
}
#: How the dirty pages lie; a row says it as "lie".
PATTERNS = ("contiguous", "clustered", "scattered")
CLUSTER = 8
EMULATED = ("flags", "sparse", "words", "pages", "srcu")
#: At 2^26 pages the schemes that look at every word take seconds a reading.
HUGE = ("flags",)
STORE_PAGES = 2048
#: Up to so many dirty pages each reading is preceded by an untimed one: whoever ran before has
#: emptied the caches.
MAX_WARMED_UP = 2048


def check_count(scheme: str, reported: int, written: int) -> None:
    """A reading with other pages than were written is an error."""
    if reported != written:
        raise AssertionError(f"{scheme}: {reported} pages reported, {written} were written")


class Side:
    """One scheme on one slot."""

    stored_by = "Memslot.write"

    def __init__(self, scheme: str, slot: Memslot) -> None:
        self.scheme = scheme
        self.slot = slot
        self.log = slot.nothing_dirty

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

    stored_by = "numpy view"

    def touch(self, runs: Sequence[Span]) -> None:
        first_bytes = self.slot.array[::PAGE_SIZE]
        for start, end in runs:
            first_bytes[start:end] += np.uint8(1)


class KvmSide(Side):
    """A guest's stores, and the bare ioctl."""

    stored_by = "vCPU"

    def __init__(self, scheme: str, npages: int, *, native: bool) -> None:
        slot = Memslot(npages, dirty_log="kvm-manual" if scheme == "kvm-manual" else "kvm")
        super().__init__(scheme, slot)
        assert isinstance(slot.keeper, KvmKeeper)
        self._reader = slot.keeper.reader
        self._guest = KvmGuest(slot.keeper, native=native)
        self._clears = scheme == "kvm-manual"

    def touch(self, runs: Sequence[Span]) -> None:
        self._guest.write_pages([page for run in runs for page in range(*run)])

    def read(self) -> None:
        self._reader.read()
        if self._clears:
            self._reader.clear()

    def count(self) -> int:
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


class Point(NamedTuple):
    """What is dirty at a reading."""

    slot: str
    npages: int
    dirty_pages: int
    pattern: str
    runs: list[Span]


def runs_of(pattern: str, count: int, npages: int) -> list[Span] | None:
    """The dirty pages as runs; None where this pattern is no other than a simpler one."""
    if pattern == "contiguous":
        return [(0, count)] if count else []
    size = CLUSTER if pattern == "clustered" else 1
    runs = count // size
    if count <= size or count > npages // 2:
        return None
    return [(i * npages // runs, i * npages // runs + size) for i in range(runs)]


def _points(slot: str, npages: int, counts: list[int]) -> Iterator[Point]:
    for count in counts:
        for pattern in PATTERNS:
            runs = runs_of(pattern, count, npages)
            if runs is not None:
                yield Point(slot, npages, count, pattern, runs)


def measure(runs: int = RUNS) -> list[Row]:
    """A row for each slot, number of dirty pages, pattern and scheme; then the stores.

    `runs` multiplies the readings.
    """
    rows: list[Row] = []
    for slot, (npages, counts) in SLOTS.items():
        present = sides(npages)
        for side in present:  # as in dirty-log-perf: everything is mapped before anything is timed
            if npages <= 1 << 20:
                side.touch([(0, npages)])
                side.read()
        for point in _points(slot, npages, counts):
            rows += _readings(point, present, _rounds(point.dirty_pages) * runs)
    return rows + _stores(runs)


def _rounds(count: int) -> int:
    return 40 if count <= 64 else 10 if count <= 2048 else 2


def _readings(point: Point, present: list[Side], rounds: int) -> list[Row]:
    """All sides take turns."""
    formulas = [expected(side.slot.dirty_log, point.runs, point.npages) for side in present]
    before = [counted(side.slot) for side in present]
    with no_collector():
        taken = np.array(
            [
                [
                    _read_ns(side, point, formula)
                    for side, formula in zip(present, formulas, strict=True)
                ]
                for _ in range(rounds)
            ]
        )  # (rounds, sides, 3)
    readings = rounds * (2 if point.dirty_pages <= MAX_WARMED_UP else 1)
    rows: list[Row] = []
    for i, side in enumerate(present):
        took, waited, cpu = taken[:, i].T
        more = {"cpu_ns": float(np.median(cpu))}
        more |= as_columns(counted(side.slot) - before[i], readings)
        rows.append(_row(point, side.scheme, took) | more)
        if side.scheme == "srcu":
            rows.append(_row(point, "srcu-no-wait", took - waited) | more)
    return rows


def _read_ns(side: Side, point: Point, formula: Counts) -> tuple[int, int, int]:
    """What one reading took, how much of it was a grace period, and its CPU time."""
    if point.dirty_pages <= MAX_WARMED_UP:
        side.touch(point.runs)
        side.read()
    side.touch(point.runs)
    before = counted(side.slot)
    waited = side.waited_ns()
    cpu = thread_time_ns()
    begin = perf_counter_ns()
    side.read()
    took = perf_counter_ns() - begin
    cpu = thread_time_ns() - cpu
    waited = side.waited_ns() - waited
    check_count(side.scheme, side.count(), point.dirty_pages)
    if formula:
        _check_counts(
            side.scheme,
            dict(zip(COUNTS, (counted(side.slot) - before).tolist(), strict=True)),
            formula,
        )
    return took, waited, cpu


def _check_counts(scheme: str, counts: Counts, formula: Counts) -> None:
    """A reading that did something else than its scheme says is an error."""
    for name, number in formula.items():
        if counts[name] != number:
            raise AssertionError(f"{scheme}: {name} {counts[name]}, by the formula {number}")


def _row(point: Point, scheme: str, took: NDArray[np.int64]) -> Row:
    return {
        "slot": point.slot,
        "slot_pages": point.npages,
        "dirty_pages": point.dirty_pages,
        "lie": point.pattern,
        "scheme": scheme,
        "readings": len(took),
        "median_ns": float(np.median(took)),
        "p99_ns": float(np.percentile(took, 99)),
    }


def _stores(runs: int) -> list[Row]:
    """First store to a protected page, and the next one: nanoseconds of CPU time a page."""
    present = sides(STORE_PAGES)
    times: dict[str, list[tuple[float, float]]] = {side.scheme: [] for side in present}
    with no_collector():
        for _ in range(7 * runs):
            for side in present:
                times[side.scheme].append((_store_ns(side), _store_ns(side)))
                side.read()
    return [
        {
            "stores_by": side.stored_by,
            "scheme": side.scheme,
            "first_store_ns": float(np.median([first for first, _ in times[side.scheme]])),
            "next_store_ns": float(np.median([again for _, again in times[side.scheme]])),
        }
        for side in present
    ]


def _store_ns(side: Side) -> float:
    begin = thread_time_ns()
    if side.stored_by == Side.stored_by:
        write = side.slot.write
        for offset in range(0, STORE_PAGES * PAGE_SIZE, PAGE_SIZE):
            write(offset, b"x")
    else:
        side.touch([(0, STORE_PAGES)])
    return (thread_time_ns() - begin) / STORE_PAGES
