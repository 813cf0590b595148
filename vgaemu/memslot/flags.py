"""`flags`: one byte a page, marked by a plain byte store and cleared only where found set.

The fast default. A mark is a single byte store, which needs no read-modify-write and therefore no
lock under the GIL. The harvest never clears what it did not see: it looks, clears exactly the
flags that it found, and packs them to KVM words only if somebody asks.

Sound under the GIL because every step that must not be torn is one C call that keeps it: `find`,
`bytes`, a slice assignment, and numpy calls on at most `CHUNK_WORDS` elements (numpy releases the
GIL above 500, and a harvest that loses the GIL to busy guest threads stalls for milliseconds).
Without the GIL, `LockedFlagsKeeper` takes its place.
"""

from __future__ import annotations

import threading

import numpy as np

from vgaemu.memslot.bitmap import DirtyLog
from vgaemu.memslot.keeper import Keeper

#: uint64 elements a numpy call may touch without releasing the GIL (its limit is 500): 3840 pages.
CHUNK_WORDS = 480


class FlagsKeeper(Keeper):
    """A byte a page; see the module for why it needs no lock."""

    name = "flags"

    def __init__(self, npages: int) -> None:
        """Start clean."""
        super().__init__(npages)
        self._dirty = bytearray(len(self.writable))
        self._zeros = memoryview(bytes(len(self._dirty)))
        # Between two memoryviews a slice is assigned without a temporary copy.
        self._dirty_view = memoryview(self._dirty)
        self._writable_view = memoryview(self.writable)
        # The same bytes, eight pages an element: what is found in one look is cleared in one store.
        dirty8 = np.frombuffer(self._dirty, np.uint64)
        writable8 = np.frombuffer(self.writable, np.uint64)
        self._chunks = [
            (slice(i, i + CHUNK_WORDS), dirty8[i : i + CHUNK_WORDS], writable8[i : i + CHUNK_WORDS])
            for i in range(0, len(dirty8), CHUNK_WORDS)
        ]

    def fault(self, page: int) -> None:
        """Writable first, dirty second: the other order can leave a page writable and unmarked."""
        self.writable[page] = 1
        self._dirty[page] = 1
        self.counters.faults += 1

    def fault_range(self, start: int, end: int) -> None:
        """The same two steps for all pages at once; a mark too many is no harm."""
        protected = self.writable.count(0, start, end)
        if not protected:
            return
        self.counters.faults += protected
        ones = b"\1" * (end - start)
        self._writable_view[start:end] = ones
        self._dirty_view[start:end] = ones

    def harvest(self) -> DirtyLog:
        """One run of dirty pages costs two slice assignments; scattered ones, two passes."""
        dirty = self._dirty
        start = dirty.find(1)
        if start < 0:
            return self.nothing_dirty
        end = dirty.find(0, start)
        if end < 0:
            end = len(dirty)
        if dirty.find(1, end) < 0:
            zeros = self._zeros[: end - start]
            self._dirty_view[start:end] = zeros
            self._writable_view[start:end] = zeros
            log = DirtyLog(self.npages, run=(start, end))
        else:
            found = self._harvest_scattered()
            end = found.rfind(1) + 1
            log = DirtyLog(self.npages, flags=found)
        counters = self.counters
        counters.protect_calls += 1
        counters.protected_pages += end - start
        # Data lands before the check, so a store that passed its check has nothing left to do:
        # there is nothing to wait for, and the flush is only counted.
        counters.flushes += 1
        return log

    def _harvest_scattered(self) -> bytes:
        """Snapshot, then clear and protect: one 0/1 byte a page, as found."""
        found = bytes(self._dirty)
        found8 = np.frombuffer(found, np.uint64)
        for chunk, dirty8, writable8 in self._chunks:
            # Only a harvest clears, so what was found is still set and "^" clears exactly that;
            # what has been marked since then stays.
            dirty8 ^= found8[chunk]
            # The invariant, enforced: what is not dirty is protected.
            writable8 &= dirty8
        return found

    def start(self) -> None:
        """Drop all marks, then protect everything."""
        self._dirty_view[:] = self._zeros
        self._writable_view[:] = self._zeros


class LockedFlagsKeeper(FlagsKeeper):
    """`flags` for builds without the GIL: faults and harvests exclude each other."""

    def __init__(self, npages: int) -> None:
        """Start clean."""
        super().__init__(npages)
        self._mmu_lock = threading.Lock()

    def fault(self, page: int) -> None:
        """Make `page` writable and mark it under the lock that the harvest holds."""
        with self._mmu_lock:
            super().fault(page)

    def fault_range(self, start: int, end: int) -> None:
        """Make the pages writable and mark them under the lock that the harvest holds."""
        with self._mmu_lock:
            super().fault_range(start, end)

    def harvest(self) -> DirtyLog:
        """Snapshot, clear and protect under the lock."""
        with self._mmu_lock:
            return super().harvest()

    def start(self) -> None:
        """Drop all marks and protect everything under the lock."""
        with self._mmu_lock:
            super().start()
