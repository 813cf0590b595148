"""`srcu+words`: two keepers of one log, side by side, so that the same dirt is read by both.

Each fault marks the page with both, each harvest has both take their four steps one after the
other, timed apart, and the log is what either found. Who goes first alternates: the first finds
caches cold, the second a guest that has waited less.

Why nothing is lost: a fault marks with both and unprotects under one lock, and a harvest protects
what was found, under that lock, after both have cleared it. So a writable page is dirty with one
of them at least, or in the log of the harvest that goes on.

Not emulated: two keepers that work at the same time. A store between the two snapshots is in the
log of one and, for the other, in its next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import OutOfMemory
from vgaemu.memslot.keeper import ALWAYS, Counters, Keeper
from vgaemu.memslot.log import DirtyLog, union

_WORK = [field.name for field in fields(Counters) if field.name != "faults"]
#: Between the names of keepers that are compared.
AND = "+"


class CompareKeeper(Keeper):
    """Two keepers that read the same dirt."""

    def __init__(
        self,
        npages: int,
        memory: NDArray[np.uint8],
        makers: Sequence[Callable[[int, NDArray[np.uint8]], Keeper]],
    ) -> None:
        """Start with logging on.

        Args:
            npages: As for every keeper.
            memory: As for every keeper.
            makers: What makes those that are compared, in the order in which they are told of.
        """
        super().__init__(npages, memory)
        self._parts = tuple(make(npages, memory) for make in makers)
        self.name = AND.join(part.name for part in self._parts)
        # A page that is protected here may be dirty with one of them: see `_protect`.
        self.maybe_dirty = ALWAYS
        self._turn = list(range(len(self._parts)))
        #: Between a mark with all of them and the page's protection here.
        self._lock = threading.Lock()

    @property
    def parts(self) -> Sequence[Keeper]:
        return self._parts

    @property
    def counters(self) -> Counters:
        """The work of both added up; faults are the slot's."""
        works = [part.counters for part in self._parts]
        for name in _WORK:
            setattr(self._counters, name, sum([getattr(work, name) for work in works]))
        return self._counters

    def fault(self, page: int) -> None:
        with self._lock:
            for part in self._parts:
                if not part.writable[page]:
                    part.fault(page)
            self.writable[page] = 1
        self._counters.faults += 1

    def fault_range(self, start: int, end: int) -> None:
        with self._lock:
            self._counters.faults += self.writable.count(0, start, end)
            for part in self._parts:
                if part.writable.find(0, start, end) >= 0:
                    part.fault_range(start, end)
            self.writable[start:end] = b"\1" * (end - start)

    def harvest(self) -> DirtyLog:
        """Both harvests, and then one protection of all that either found."""
        times = [0] * len(self._parts)
        found: list[DirtyLog] = []
        for i in self._turn:
            harvest = self._parts[i].harvest
            begin = perf_counter_ns()
            try:
                log = harvest()
            except OutOfMemory:
                if not any(found):
                    raise
                log = self.nothing_dirty  # what the other found is not lost for that
            times[i] = perf_counter_ns() - begin
            found.append(log)
        self._turn.reverse()
        self.compared_ns = times
        return self._protect(found)

    def _protect(self, found: Iterable[DirtyLog]) -> DirtyLog:
        """What any of the logs has, protected: both have cleared it."""
        found = [log for log in found if log]
        if not found:
            return self.nothing_dirty
        log = found[0] if found[0] == found[-1] else union(found)  # mostly they are equal
        # What has faulted since stays dirty with both, and is protected too early: its next store
        # faults once more, and marks nothing new.
        with self._lock:
            for start, end in log.spans(1):
                self.writable[start:end] = bytes(end - start)
        return log

    def unreported(self) -> DirtyLog:
        return union([part.unreported() for part in self._parts])

    def start(self) -> None:
        with self._lock:
            for part in self._parts:
                part.start()
            self.writable[:] = bytes(len(self.writable))

    def stop(self) -> None:
        for part in self._parts:
            part.stop()
        super().stop()

    def read_lock(self) -> int:
        """Of two different keepers at most one has sections, and wants a token."""
        return sum([part.read_lock() for part in self._parts])

    def read_unlock(self, token: int) -> None:
        for part in self._parts:
            part.read_unlock(token)

    def take_over(self) -> None:
        for part in self._parts:
            part.take_over()

    def retire(self) -> None:
        for part in self._parts:
            part.retire()

    def has_marks(self) -> bool:
        return any([part.has_marks() for part in self._parts])

    def harvest_marks(self) -> DirtyLog:
        return self._protect([part.harvest_marks() for part in self._parts])

    def close(self) -> None:
        for part in self._parts:
            part.close()
        super().close()
