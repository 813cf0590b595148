"""Guest threads that run while the log is read, after Linux's dirty_log_test and dirty-log.cc.

Luck decides what these meet; `test_memslot_gaps` leaves nothing to luck. `-m long` runs them for
ten minutes.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import numpy as np
import pytest
from keepers import NAMES, use

from vgaemu.memslot import PAGE_SIZE, Memslot

GUESTS = 2
#: Of each test and keeper: 6 of them.
NORMAL_SECONDS = 0.25
LONG_SECONDS = 100.0

seconds_each = pytest.mark.parametrize(
    "seconds", [NORMAL_SECONDS, pytest.param(LONG_SECONDS, marks=pytest.mark.long)]
)


@pytest.fixture(params=NAMES)
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

    def __init__(self) -> None:
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
        super().__init__()
        self.slot = slot
        self.iteration = 0

    def body(self, guest: int) -> None:
        page = int(random.random() * self.slot.npages)
        self.slot.write(page * PAGE_SIZE, self.iteration.to_bytes(4, "little"))


@seconds_each
def test_stopped_guests_show_what_was_and_was_not_reported(keeper: str, seconds: float) -> None:
    slot = Memslot(2**10 + 3, dirty_log=keeper)
    values = slot.array.view("<u4")[:: PAGE_SIZE // 4]
    guests = RandomPages(slot)
    written = 0
    end = monotonic() + seconds
    with guests.running():
        while monotonic() < end:
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
            written += log.count
    assert written > 0


class Counting(Guests):
    """Each guest counts in a page of its own."""

    def __init__(self, slot: Memslot) -> None:
        super().__init__()
        self.slot = slot
        self._count = [0] * GUESTS

    def body(self, guest: int) -> None:
        self._count[guest] += 1
        self.slot.write(guest * PAGE_SIZE, self._count[guest].to_bytes(8, "little"))


@seconds_each
def test_a_counter_that_moved_is_reported(keeper: str, seconds: float) -> None:
    slot = Memslot(GUESTS, dirty_log=keeper)
    counters = slot.array.view("<u8")[:: PAGE_SIZE // 8]
    guests = Counting(slot)
    moves = 0
    end = monotonic() + seconds
    with guests.running():
        guests.resume()
        while monotonic() < end:
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
