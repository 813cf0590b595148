"""`flags`: one byte a page, marked by a plain byte store and cleared only where found set.

The fast default. A mark is a single byte store, which needs no read-modify-write and therefore no
lock under the GIL. The harvest never clears what it did not see: it looks, clears exactly the
flags that it found, and packs them to KVM words only if somebody asks.

Sound under the GIL because every step that must not be torn is one C call that keeps it: `find`,
a slice assignment, and numpy calls on at most `CHUNK_WORDS` elements (numpy releases the GIL above
500, and a harvest that loses the GIL to busy guest threads stalls for milliseconds). Without the
GIL, faults and harvests take a lock.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from vgaemu.memslot.bitmap import DirtyLog
from vgaemu.memslot.keeper import FREE_THREADED, Keeper

#: uint64 elements a numpy call may touch without releasing the GIL (its limit is 500): 3840 pages.
CHUNK_WORDS = 480


class FlagsKeeper(Keeper):
    """A byte a page; see the module for why it needs no lock."""

    name = "flags"

    def __init__(self, npages: int, *, locked: bool = FREE_THREADED) -> None:
        """Start clean.

        Args:
            npages: Pages in the slot.
            locked: Take a lock in faults and harvests, as free-threaded builds need.
        """
        super().__init__(npages)
        self._dirty = bytearray(len(self.writable))
        self._zeros = memoryview(bytes(len(self._dirty)))
        self._mmu_lock: AbstractContextManager[object] | None = threading.Lock() if locked else None
        # The same bytes, eight pages an element: what is found in one look is cleared in one store.
        dirty8 = np.frombuffer(self._dirty, np.uint64)
        writable8 = np.frombuffer(self.writable, np.uint64)
        self._chunks = [
            (i, dirty8[i : i + CHUNK_WORDS], writable8[i : i + CHUNK_WORDS])
            for i in range(0, len(dirty8), CHUNK_WORDS)
        ]

    def fault(self, page: int) -> None:
        """Writable first, dirty second: the other order can leave a page writable and unmarked."""
        with self._mmu_lock or nullcontext():
            self.writable[page] = 1
            self._dirty[page] = 1
        self._count_fault()

    def harvest(self) -> DirtyLog:
        """One run of dirty pages costs two slice assignments; scattered ones, two ANDs a chunk."""
        if self._mmu_lock is None:
            return self._harvest()
        with self._mmu_lock:
            return self._harvest()

    def _harvest(self) -> DirtyLog:
        dirty = self._dirty
        start = dirty.find(1)
        if start < 0:
            return self._none_dirty
        end = dirty.find(0, start)
        if end < 0:
            end = len(dirty)
        counters = self.counters
        if dirty.find(1, end) < 0:
            zeros = self._zeros[: end - start]
            dirty[start:end] = zeros
            self.writable[start:end] = zeros
            log = DirtyLog(self.npages, run=(start, end))
            counters.protected_pages += end - start
        else:
            log = self._harvest_scattered()
            counters.protected_pages += log.count
        counters.protect_calls += 1
        # Data lands before the check, so a store that passed its check has nothing left to do:
        # there is nothing to wait for, and the flush is only counted.
        counters.flushes += 1
        return log

    def _harvest_scattered(self) -> DirtyLog:
        found = np.empty(len(self._dirty) // 8, np.uint64)
        for i, dirty8, writable8 in self._chunks:
            part = found[i : i + CHUNK_WORDS]
            part[:] = dirty8
            keep = ~part
            dirty8 &= keep
            # Clean pages between two dirty ones are protected already (the invariant), so
            # protecting what was found leaves the protection that the whole span would have.
            writable8 &= keep
        return DirtyLog(self.npages, flags=found.view(np.uint8))

    def forget(self) -> None:
        """Protect first: a store that still marks afterwards is reported, never lost."""
        self.writable[:] = self._zeros
        self._dirty[:] = self._zeros
