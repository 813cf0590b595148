"""`flags`: one byte a page, set by a plain byte store and cleared only where found set.

The fast default. By the invariant a page that is not dirty is write-protected, and a page is made
writable only by marking it. So one byte says both: 1 is dirty and writable, 0 is clean and
protected. A fault sets it in one store, a harvest clears and protects in one, and there is no order
of two steps to get wrong. A byte store needs no read-modify-write and so, under the GIL, no lock.

The harvest never clears what it did not see: it looks, clears exactly what it found, and packs that
to KVM words only if somebody asks. Sound under the GIL because every step that must not be torn is
one C call that keeps it: `find`, `bytes`, a slice assignment, and numpy calls on at most
`KEEPS_GIL` elements (numpy releases the GIL above 500, and a harvest that loses the GIL to busy
guest threads stalls for milliseconds). Without the GIL, `LockedFlagsKeeper` takes its place.

Native code marks pages without the GIL (`share`). Bytes that were found set, cleared one by one or
as a run of nothing else, may be marked meanwhile: the data landed before, and the picture is read
after. The XOR may not: it writes eight bytes of which it has read eight a moment before, and a mark
between the two, of a page not found, would be gone. Native code clears then, byte by byte. That the
flags are clear before the picture is read, a processor's store buffer or not, is seen to by the
slot's lock, which is released in between.
"""

from __future__ import annotations

import ctypes
import threading
from array import array
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy import bitwise_xor
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import KEEPS_GIL, word_count
from vgaemu.memslot.keeper import FREE_THREADED, Counters, OneByteKeeper
from vgaemu.memslot.log import DirtyLog, FlagsLog, RunLog
from vgaemu.native.cells import FAULTS, FLAG_BYTES, FLAGS, FOUND, MARKS_CELLS
from vgaemu.native.shared import address_of

#: Up to so many pages, so near to each other (all of legacy VRAM), are cleared one by one. At 60
#: harvests a second caches are cold, and to enter numpy costs 30 us more than to stay with bytes.
MAX_CLEARED_SINGLY, MAX_APART = 8, 64


class FlagsKeeper(OneByteKeeper):
    """A byte a page, `writable`; see the module for why it is the dirty map, too."""

    name = "flags"

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        self._words_of_part = word_count(npages)  # it looks at everything, or does not look
        self._zeros = memoryview(bytes(len(self.writable)))
        # Between two memoryviews a slice is assigned without a temporary copy.
        self._flags = memoryview(self.writable)
        self._snapshot = memoryview(bytearray(len(self.writable)))
        flags8 = np.frombuffer(self._flags, np.uint64)  # eight pages an element
        snapshot8 = np.frombuffer(self._snapshot, np.uint64)
        self._chunks = [
            (flags8[i : i + KEEPS_GIL], snapshot8[i : i + KEEPS_GIL])
            for i in range(0, len(flags8), KEEPS_GIL)
        ]
        #: What native code that marks pages has of this, and clears what was found.
        self._cells: memoryview[int] | None = None
        self._clear: Callable[[], object] | None = None
        #: Faults of native code that are counted.
        self._native_faults = 0

    def share(self, clear_at: int) -> int:
        """Let native code mark pages: the address of its cells, as `vgaemu.native.cells` says.

        Args:
            clear_at: Where its function lies that clears `FLAGS` where `FOUND` is 1.
        """
        if self._cells is None:
            cells = self._cells = memoryview(array("q", bytes(8 * MARKS_CELLS)))
            cells[FLAGS], cells[FOUND] = address_of(self._flags), address_of(self._snapshot)
            cells[FLAG_BYTES] = len(self._flags)
            # It keeps the GIL: it is faster than to come by it again.
            clear, cells_at = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(clear_at), address_of(cells)
            self._clear = partial(clear, ctypes.c_void_p(cells_at))
        return address_of(self._cells)

    @property
    def counters(self) -> Counters:
        if self._cells is not None:
            before, self._native_faults = self._native_faults, self._cells[FAULTS]
            self._counters.faults += self._native_faults - before
        return super().counters

    def fault(self, page: int) -> None:
        self.writable[page] = 1
        self._counters.faults += 1

    def fault_range(self, start: int, end: int) -> None:
        """All pages at once; to mark one again that a harvest took meanwhile is no harm."""
        self._counters.faults += self.writable.count(0, start, end)
        self._flags[start:end] = b"\1" * (end - start)

    def harvest(self) -> DirtyLog:
        """A run is cleared by a slice assignment, a few near pages by bytes, others by an XOR."""
        flags = self.writable
        start = flags.find(1)
        if start < 0:
            self._words_found_clean += self._words_of_part
            return self.nothing_dirty
        end = flags.rfind(1) + 1
        if flags.find(0, start, end) < 0:
            self._flags[start:end] = self._zeros[: end - start]
            log: DirtyLog = RunLog(self.npages, start, end)
        elif end - start <= MAX_APART and flags.count(1, start, end) <= MAX_CLEARED_SINGLY:
            found = bytes(flags)
            page = start
            while page >= 0:
                flags[page] = 0
                page = found.find(1, page + 1)
            log = FlagsLog(self.npages, found)
        else:
            snapshot = self._snapshot
            snapshot[:] = self._flags
            if self._clear is not None:
                self._clear()
            else:
                for flags8, snapshot8 in self._chunks:
                    # Only a harvest clears, so what was found is still set and an XOR clears
                    # exactly that; what has been marked since then stays.
                    bitwise_xor(flags8, snapshot8, flags8)
            log = FlagsLog(self.npages, bytes(snapshot))
        counters = self._counters
        counters.protect_calls += 1
        counters.protected_pages += end - start
        # Data lands before the check, so a store that passed its check has nothing left to do:
        # there is nothing to wait for, and the flush is only counted.
        counters.flushes += 1
        return log

    def has_marks(self) -> bool:
        return 1 in self.writable

    def start(self) -> None:
        super().start()
        self._flags[:] = self._zeros


class LockedFlagsKeeper(FlagsKeeper):
    """`flags` for builds without the GIL: faults and harvests exclude each other."""

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        self._mmu_lock = threading.Lock()

    def fault(self, page: int) -> None:
        with self._mmu_lock:
            super().fault(page)

    def fault_range(self, start: int, end: int) -> None:
        with self._mmu_lock:
            super().fault_range(start, end)

    def harvest(self) -> DirtyLog:
        with self._mmu_lock:
            return super().harvest()

    def start(self) -> None:
        with self._mmu_lock:
            super().start()


def flags_keeper(npages: int, memory: NDArray[np.uint8]) -> FlagsKeeper:
    """The form that suits the interpreter."""
    return (LockedFlagsKeeper if FREE_THREADED else FlagsKeeper)(npages, memory)
