"""`sparse`: `flags` for huge slots, where a harvest costs what is dirty and not what there is.

A bitmap of two levels: one byte a page as in `flags`, and above it one summary byte for each 4096
pages. 256 GiB are 2^26 flags, which take milliseconds to look through, but 16384 summary bytes,
which take less than a microsecond. A harvest looks only into parts whose summary byte is set, and
answers with those parts (`DirtyLog`); the dense KVM bitmap is made only if somebody asks.

A fault takes two steps here, the summary and the flag, and in no order would two steps do without a
lock: with the flag first, a second store to the page that finds it writable could be over before
the summary says so; with the summary first, a harvest could clear it before the flag is there. So
faults and harvests exclude each other. A store that does not fault takes no lock, nor does a look
at a slot that has nothing dirty: the summary is set before the flag.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import PART_PAGES, WORD_PAGES, Parts
from vgaemu.memslot.keeper import OneByteKeeper
from vgaemu.memslot.log import DirtyLog, PartsLog


class SparseKeeper(OneByteKeeper):
    """A byte a page, and a byte for each `PART_PAGES` of them."""

    name = "sparse"
    _words_of_part = PART_PAGES // WORD_PAGES

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        parts = -(-len(self.writable) // PART_PAGES)
        self._summary = self.maybe_dirty = bytearray(parts)
        self._flags = memoryview(self.writable)
        self._zeros = memoryview(bytes(PART_PAGES))
        self._mmu_lock = threading.Lock()

    def fault(self, page: int) -> None:
        with self._mmu_lock:
            self._summary[page // PART_PAGES] = 1
            self.writable[page] = 1
            self._counters.faults += 1

    def fault_range(self, start: int, end: int) -> None:
        first, last = start // PART_PAGES, (end - 1) // PART_PAGES
        with self._mmu_lock:
            self._counters.faults += self.writable.count(0, start, end)
            self._summary[first : last + 1] = b"\1" * (last + 1 - first)
            self._flags[start:end] = b"\1" * (end - start)

    def harvest(self) -> DirtyLog:
        summary, writable, flags, zeros = self._summary, self.writable, self._flags, self._zeros
        protected = 0
        parts: Parts = []
        with self._mmu_lock:
            part = summary.find(1)
            if part < 0:
                return self.nothing_dirty
            while part >= 0:
                summary[part] = 0
                at = part * PART_PAGES
                part = summary.find(1, part + 1)
                # From the first dirty page to the last, in whole bitmap words: 8192 pages far apart
                # are then half a megabyte to copy, not 32.
                start = writable.find(1, at, at + PART_PAGES)
                start -= start % WORD_PAGES
                last = writable.rfind(1, start, at + PART_PAGES)
                end = last - last % WORD_PAGES + WORD_PAGES
                parts.append((start, bytes(flags[start:end])))
                flags[start:end] = zeros[: end - start]
                protected += end - start
        counters = self._counters
        counters.protect_calls += len(parts)
        counters.protected_pages += protected
        counters.flushes += 1
        return PartsLog(self.npages, parts)

    def _still_dirty(self) -> int:
        pages, part = 0, self._summary.find(1)
        while part >= 0:
            pages += self.writable.count(1, part * PART_PAGES, (part + 1) * PART_PAGES)
            part = self._summary.find(1, part + 1)
        return pages

    def has_marks(self) -> bool:
        return 1 in self._summary

    def start(self) -> None:
        with self._mmu_lock:
            super().start()
            self._summary[:] = bytes(len(self._summary))
            self._flags[:] = bytes(len(self._flags))

    def stop(self) -> None:
        """Make every page writable, and say so: who looks at the summary first has to ask then."""
        super().stop()
        self._summary[:] = b"\1" * len(self._summary)
