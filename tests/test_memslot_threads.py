"""Guest threads that run while the log is read, after Linux's dirty_log_test and dirty-log.cc.

Three layers: guests that are stopped for the look (precise), guests that never stop (every change
is in this log or in the next one), and counters sampled around a harvest. Luck decides what these
meet; the fourth layer, `test_memslot_gaps`, leaves nothing to luck.
`VGAEMU_STRESS_SECONDS=18` runs them for ten minutes.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest
from keepers import NAMES, skip_unless_available, use
from numpy.typing import NDArray

from vgaemu.memslot import KEEPERS, PAGE_SIZE, DirtyLog, Memslot
from vgaemu.memslot.flags import FlagsKeeper
from vgaemu.memslot.kvm.guest import KvmGuest
from vgaemu.memslot.log import FlagsLog, RunLog

GUESTS = 2
#: Of each test and keeper: some 35 of them.
SECONDS = float(os.environ.get("VGAEMU_STRESS_SECONDS", "0.15"))
PATIENCE_S = 10.0


@pytest.fixture(params=[*NAMES, "srcu+words"])
def keeper(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    return use(request.param, monkeypatch)


@pytest.fixture(autouse=True)
def frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


class Guests:
    """Threads that run a loop body between `resume` and `pause`; `pause` returns when all stand."""

    def __init__(self, slot: Memslot) -> None:
        self.slot = slot
        self._gate = threading.Barrier(GUESTS + 1)
        self._stop = False
        self._ended = False

    def body(self, guest: int) -> None:
        raise NotImplementedError

    def _run(self, guest: int) -> None:
        while True:
            self._gate.wait()
            if self._ended:
                return
            while not self._stop:
                with self.slot.exit_section():
                    self.body(guest)
            self._gate.wait()

    def resume(self) -> None:
        self._stop = False
        self._gate.wait()

    def pause(self) -> None:
        self._stop = True
        self._gate.wait()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._run, args=(i,)) for i in range(GUESTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended = True
            self._gate.wait()
            for thread in threads:
                thread.join()


class RandomPages(Guests):
    """Writes the number of the iteration to random pages."""

    def __init__(self, slot: Memslot) -> None:
        super().__init__(slot)
        self.iteration = 0

    def body(self, guest: int) -> None:
        page = int(random.random() * self.slot.npages)
        self.store(page * PAGE_SIZE, self.iteration.to_bytes(4, "little"))

    def store(self, offset: int, data: bytes) -> None:
        self.slot.write(offset, data)


class PlainStores(RandomPages):
    """... as a program does that knows of no log."""

    def store(self, offset: int, data: bytes) -> None:
        self.slot.memory[offset : offset + len(data)] = data


class VcpuStores(RandomPages):
    """A vCPU adds 1 to a byte in each of some random pages."""

    def __init__(self, slot: Memslot, *, native: bool) -> None:
        super().__init__(slot)
        self._guest = KvmGuest(slot.keeper, native=native)

    def body(self, guest: int) -> None:
        if guest == 0:  # there is one vCPU
            self._guest.write_pages(random.sample(range(self.slot.npages), 50))
        else:
            sleep(0.001)


class Counting(Guests):
    """Each guest counts in a page of its own."""

    def __init__(self, slot: Memslot) -> None:
        super().__init__(slot)
        self._count = [0] * GUESTS

    def body(self, guest: int) -> None:
        self._count[guest] += 1
        self.slot.write(guest * PAGE_SIZE, self._count[guest].to_bytes(8, "little"))


def goes_on(begun: float, seconds: float, seen: int) -> bool:
    """For so long; where the host lets no guest store meanwhile, until something was seen."""
    passed = monotonic() - begun
    return passed < seconds or (passed < PATIENCE_S and not seen)


def stop_and_look(slot: Memslot, guests: RandomPages, seconds: float) -> None:
    """Layer A: reported and written are the same, page by page."""
    values = slot.array.view("<u4")[:: PAGE_SIZE // 4]
    written, begun = 0, monotonic()
    with guests.running():
        while goes_on(begun, seconds, written):
            guests.iteration += 1
            guests.resume()
            sleep(random.random() * 0.01)
            log = slot.get_dirty_log()  # once, while they run: reading clears
            sleep(random.random() * 0.005)
            guests.pause()
            log |= slot.get_dirty_log()
            reported = np.zeros(slot.npages, np.bool_)
            reported[log.pages()] = True
            assert (values[reported] == guests.iteration).all(), "reported, but not written"
            assert (values[~reported] < guests.iteration).all(), "written, but not reported"
            written += len(log)
    assert written > 0


def look_while_they_run(slot: Memslot, guests: RandomPages, seconds: float) -> None:
    """Layer B: what has changed since the last look is in this log, or else in the next one."""
    values = slot.array.view("<u4")[:: PAGE_SIZE // 4]
    seen = values.copy()
    track: set[int] = set()
    changes, begun = 0, monotonic()
    with guests.running():
        guests.resume()
        while goes_on(begun, seconds, changes):
            guests.iteration += 1
            sleep(random.random() * 0.005)
            reported = set(slot.get_dirty_log().pages().tolist())
            now = values.copy()
            late = track - reported
            if late:
                # Data lands before the mark: the store may have been put off between the two.
                guests.pause()
                assert late <= set(slot.get_dirty_log().pages().tolist()), "never reported"
                now = values.copy()
                reported, track = set(), set()
                seen = now
                guests.resume()
                continue
            changed = set(np.flatnonzero(now != seen).tolist())
            track = changed - reported
            changes += len(changed)
            seen = now
        guests.pause()
    assert track <= set(slot.get_dirty_log().pages().tolist()), "never reported"
    assert changes > 0


def sample_counters(slot: Memslot, guests: Guests, seconds: float) -> None:
    """Layer C: a counter that moved between two samples is in the log read after them."""
    counters = slot.array.view("<u8")[:: PAGE_SIZE // 8]
    moves, begun = 0, monotonic()
    with guests.running():
        guests.resume()
        while goes_on(begun, seconds, moves):
            before = counters.copy()
            sleep(0)
            after = counters.copy()
            # What moved did so after the last log and before this one.
            moved = set(np.flatnonzero(before != after).tolist())
            in_flight = moved - set(slot.get_dirty_log().pages().tolist())
            if in_flight:
                # Data lands before the mark: the store may have been between the two.
                guests.pause()
                assert in_flight <= set(slot.get_dirty_log().pages().tolist()), "never reported"
                guests.resume()
            moves += len(moved)
        guests.pause()
    assert moves > 0


#: A slot of so many pages, for guests of that kind, looked at in this way.
Layer = tuple[int, Callable[[Memslot], Guests], Callable[[Memslot, Any, float], None]]
LAYERS: dict[str, Layer] = {
    "stopped": (2**13 + 3, RandomPages, stop_and_look),
    "running": (2**10 + 3, RandomPages, look_while_they_run),
    "counters": (GUESTS, Counting, sample_counters),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_nothing_is_lost(keeper: str, layer: str) -> None:
    npages, guests, look = LAYERS[layer]
    slot = Memslot(npages, dirty_log=keeper)
    look(slot, guests(slot), SECONDS)


@pytest.mark.parametrize("look", [stop_and_look, look_while_they_run])
def test_the_mmu_sees_plain_stores(look: Callable[[Memslot, RandomPages, float], None]) -> None:
    skip_unless_available("mmu")
    slot = Memslot(2**10 + 3, dirty_log="mmu")
    look(slot, PlainStores(slot), SECONDS)


@pytest.mark.parametrize("native", [False, True], ids=["32-bit", "native"])
@pytest.mark.parametrize("keeper", ["kvm", "kvm-manual"])
def test_kvm_sees_what_a_vcpu_stores(keeper: str, native: bool) -> None:
    skip_unless_available(keeper)
    slot = Memslot(2**10 + 3, dirty_log=keeper)
    look_while_they_run(slot, VcpuStores(slot, native=native), SECONDS)


# --- each layer finds what is broken --------------------------------------------------------------


class NeverProtects(FlagsKeeper):
    """Reports a page once: its next store takes no fault."""

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        self._told = bytearray(len(self.writable))

    def harvest(self) -> DirtyLog:
        found = bytes(a & ~b & 1 for a, b in zip(self.writable, self._told, strict=True))
        self._told[:] = self.writable
        return FlagsLog(self.npages, found) if 1 in found else self.nothing_dirty


class ReportsTheNeighbour(FlagsKeeper):
    """An inclusive end taken for an exclusive one: each harvest tells of one page too many."""

    def harvest(self) -> DirtyLog:
        log = super().harvest()
        pages = log.pages()
        if not len(pages) or pages[-1] + 1 == self.npages:
            return log
        return log | RunLog(self.npages, int(pages[-1]), int(pages[-1]) + 2)


class ClearsLate(FlagsKeeper):
    """Copies, and only after a while clears everything."""

    def harvest(self) -> DirtyLog:
        found = bytes(self.writable)
        sleep(0.001)
        self._flags[:] = self._zeros
        return FlagsLog(self.npages, found)


@pytest.mark.parametrize(
    ("layer", "broken"),
    [
        ("stopped", NeverProtects),
        ("stopped", ReportsTheNeighbour),
        ("stopped", ClearsLate),
        ("running", NeverProtects),
        ("running", ClearsLate),
        ("counters", NeverProtects),
    ],
)
def test_what_is_broken_is_found(
    layer: str, broken: type[FlagsKeeper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KEEPERS, "broken", broken)
    npages, guests, look = LAYERS[layer]
    slot = Memslot(npages, dirty_log="broken")
    with pytest.raises(AssertionError, match="reported"):
        look(slot, guests(slot), 10.0)
