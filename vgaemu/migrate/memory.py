"""Memory that travels: a slot with a dirty log, or plain memory that nobody logs.

A guest's RAM has no log: a log there would cost every store, for a migration once in a while. What
was written since is found by comparison with a copy of what was sent last. It is copied *first*,
and what is sent is the copy: a page that is written meanwhile may go out torn, but then the copy is
as torn, and the next comparison finds it. With the guest stopped the comparison is exact. It takes
1.5 ms for 16 MiB, whatever was written (a slot's log some tens of microseconds).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot import Memslot
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, WORD_PAGES, word_count
from vgaemu.memslot.log import DirtyLog, FlagsLog

#: Pages that are compared at once: 1 MiB, so that both sides stay in a cache.
COMPARED_PAGES = 256


class Memory(Protocol):
    """What a region has: a `Memslot`, or `UnloggedMemory`."""

    npages: int
    nbytes: int
    #: (nbytes,) uint8, and the same as a memoryview.
    array: NDArray[np.uint8]
    memory: memoryview

    def mark_dirty(self, offset: int, length: int) -> None:
        """Bytes have arrived; tell those who look."""


class Reader(Protocol):
    """How the sender reads memory: what was written since, and the bytes of those pages."""

    #: (nbytes,) uint8: pages that a log has named are sent from here.
    array: NDArray[np.uint8]

    def get_dirty_log(self) -> DirtyLog:
        """Pages written since the last call."""

    def close(self) -> None:
        """Stop looking. Closing twice is fine."""


class UnloggedMemory:
    """Whole pages of plain memory."""

    def __init__(self, array: NDArray[np.uint8]) -> None:
        """Wrap the guest's own: (nbytes,) uint8, a multiple of the page size."""
        self.array, self.memory = array, array.data
        self.nbytes = array.size
        self.npages = array.size >> PAGE_SHIFT

    def mark_dirty(self, offset: int, length: int) -> None:
        """Nobody looks."""


class SlotReader:
    """A view of a slot's log; pages are sent straight out of the slot."""

    def __init__(self, slot: Memslot) -> None:
        """Subscribe to a slot whose log is on."""
        self.array = slot.array
        self._view = slot.subscribe()
        self.get_dirty_log, self.close = self._view.get_dirty_log, self._view.close


class Comparison:
    """A copy of what was sent last, and what differs from it now."""

    def __init__(self, memory: NDArray[np.uint8]) -> None:
        """Begin with zeros, which take no memory yet; anybody may write `memory` meanwhile."""
        self.array = np.zeros(memory.size, np.uint8)
        self._now, self._kept = (
            array.view(np.uint64).reshape(-1, PAGE_SIZE // 8) for array in (memory, self.array)
        )

    def get_dirty_log(self) -> DirtyLog:
        """Pages that are not as they were kept; they are now."""
        npages = len(self._kept)
        flags = np.zeros(WORD_PAGES * word_count(npages), np.uint8)
        for first in range(0, npages, COMPARED_PAGES):
            some = slice(first, min(first + COMPARED_PAGES, npages))
            now, kept = self._now[some], self._kept[some]
            differs = (now != kept).any(axis=1)
            if differs.any():
                kept[differs] = now[differs]
                flags[some] = differs
        return FlagsLog(npages, flags.tobytes())

    def close(self) -> None:
        """Nothing is held."""


def reader_of(memory: Memory) -> Reader:
    """How to read it."""
    return SlotReader(memory) if isinstance(memory, Memslot) else Comparison(memory.array)
