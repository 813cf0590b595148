"""`vgaemu bench harvest`: get_dirty_log of an 8 MiB slot.

First table: `flags` and `words` beside the real KVM_GET_DIRTY_LOG called from Python, where
`/dev/kvm` opens, with 0 to 2048 pages dirty, contiguous and scattered; `bench dirty-log` has the
other keepers and sizes. Each answer is checked by its population count. Each side takes its turn
warm: entering a VM empties the caches and the TLB, and whoever came next would pay for it. Second
table: how often a harvest takes over a millisecond while two guest threads store as fast as they
can, against a control loop of equal length that harvests nothing: both lose the interpreter to the
guests now and then, and the harvest must not lose it more often.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from time import perf_counter_ns, sleep

import numpy as np

from vgaemu.bench.measure import RUNS, Row, interleaved, median_of_runs, running, timed_ns
from vgaemu.errors import KeeperUnavailable
from vgaemu.memslot import PAGE_SIZE, Memslot
from vgaemu.memslot.bitmap import Words
from vgaemu.memslot.kvm.guest import KvmGuest
from vgaemu.memslot.kvm.keeper import KvmKeeper
from vgaemu.memslot.log import DirtyLog

#: 8 MiB.
SLOT_PAGES = 2048
DIRTY_PAGES = (0, 1, 8, 64, 512, 2048)
ROUNDS = 61
BUSY_HARVESTS = 400
BUSY_DIRTY_PAGES = 64
STALL_NS = 1_000_000


def measure(runs: int = RUNS) -> list[Row]:
    """All rows, each the median of `runs` runs."""
    busy = median_of_runs(lambda: [_beside_busy_guests(name) for name in ("flags", "words")], runs)
    return median_of_runs(_shapes, runs) + busy


def shapes() -> list[tuple[str, list[int]]]:
    """Which pages are dirty: (pattern, their numbers)."""
    found: list[tuple[str, list[int]]] = []
    for count in DIRTY_PAGES:
        found.append(("contiguous", list(range(count))))
        if 1 < count < SLOT_PAGES:
            found.append(("scattered", list(range(0, SLOT_PAGES, SLOT_PAGES // count))))
    return found


class EmulatedSide:
    """One keeper's slot, filled and harvested like the kernel's."""

    def __init__(self, keeper: str, *, words: bool) -> None:
        self.slot = Memslot(SLOT_PAGES, dirty_log=keeper)
        self._words = words

    def touch(self, pages: Sequence[int]) -> None:
        """Store a byte to each page."""
        write = self.slot.write
        for page in pages:
            write(page * PAGE_SIZE, b"x")

    def harvest(self) -> DirtyLog | Words:
        """What is timed: the log, and the bitmap in KVM's format if that is wanted."""
        log = self.slot.get_dirty_log()
        return log.words if self._words else log


class KvmSide:
    """The kernel's log of what a guest of its own stores: one ioctl, nothing else."""

    def __init__(self) -> None:
        slot = Memslot(SLOT_PAGES, dirty_log="kvm")
        self.touch = KvmGuest(slot.keeper, native=False).write_pages
        keeper = slot.keeper
        assert isinstance(keeper, KvmKeeper)
        self.harvest = keeper.reader.read


def _shapes() -> list[Row]:
    sides: dict[str, EmulatedSide | KvmSide] = {
        "flags": EmulatedSide("flags", words=False),
        "flags+words": EmulatedSide("flags", words=True),
        "words": EmulatedSide("words", words=True),
    }
    with suppress(KeeperUnavailable):  # the columns beside it stay empty
        sides["kvm"] = KvmSide()
    return [_shape(name, pages, sides) for name, pages in shapes()]


def _shape(pattern: str, pages: list[int], sides: dict[str, EmulatedSide | KvmSide]) -> Row:
    for name, side in sides.items():
        side.touch(pages)
        answer = side.harvest()
        words = answer.words if isinstance(answer, DirtyLog) else answer
        count = int(np.bitwise_count(words).sum())
        if count != len(pages):
            raise AssertionError(f"{name}: {count} pages reported, {len(pages)} were written")

    def warm_up(name: str) -> None:
        side = sides[name]
        side.touch(pages)
        side.harvest()
        side.touch(pages)

    harvests = {name: side.harvest for name, side in sides.items()}
    times = interleaved(harvests, ROUNDS, before=warm_up)
    row: Row = {"dirty_pages": len(pages), "lie": pattern}
    row |= {f"{name}_ns": ns for name, ns in times.items()}
    kvm = times.get("kvm")
    for name in ("flags", "flags+words", "words"):
        row[f"{name}_times_as_fast_as_kvm"] = None if kvm is None else kvm / times[name]
    return row


def _beside_busy_guests(keeper: str) -> Row:
    slot = Memslot(SLOT_PAGES, dirty_log=keeper)
    stop = threading.Event()

    def guest(first: int) -> None:
        page = 0
        while not stop.is_set():
            slot.write((first + page) * PAGE_SIZE, b"guest")
            page = (page + 1) % BUSY_DIRTY_PAGES

    threads = [threading.Thread(target=guest, args=(1000 * n,)) for n in range(2)]
    alone = statistics.median(_alone_ns(slot) for _ in range(50))
    with running(threads, stop):
        harvests, controls = [], []
        for _ in range(BUSY_HARVESTS):
            # Like a display between two frames; then the first thing it does is to harvest.
            sleep(0.001)
            harvests.append(timed_ns(slot.get_dirty_log))
            sleep(0.001)
            controls.append(timed_ns(partial(_spin, alone)))
    return {
        "keeper": keeper,
        "busy_guests": 2,
        "harvests": BUSY_HARVESTS,
        "harvest_median_ns": float(statistics.median(harvests)),
        "harvest_max_ns": float(max(harvests)),
        "over_1_ms": float(sum(ns > STALL_NS for ns in harvests)),
        "control_over_1_ms": float(sum(ns > STALL_NS for ns in controls)),
    }


def _alone_ns(slot: Memslot) -> int:
    for page in range(2 * BUSY_DIRTY_PAGES):
        slot.write(page * PAGE_SIZE, b"x")
    return timed_ns(slot.get_dirty_log)


def _spin(duration_ns: float) -> None:
    end = perf_counter_ns() + duration_ns
    while perf_counter_ns() < end:
        pass
