"""Memslot: a range of guest memory and its dirty log, after KVM's ``struct kvm_memory_slot``.

Emulated: 4 KiB pages, one dirty bit each, write protection and faults on the store path, the
four-step `get_dirty_log` of the 2012 patch. Not emulated: large pages, read-only slots.

Store order, always: the data lands, *then* the page is looked at, then on a fault it is made
writable, then marked. So a store is reported by the first harvest that starts after it, or, when
it runs beside one, by the next; never by none.

The log is destructive and has one source, but may have many readers: it is drained once and the
dirt is fanned out, so a display, a migration and a script never steal from each other
(`Memslot.subscribe`).
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, DirtyLog
from vgaemu.memslot.flags import FlagsKeeper
from vgaemu.memslot.keeper import Counters, Keeper
from vgaemu.memslot.words import WordsKeeper

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined]

    from numpy.typing import NDArray

#: What `dirty_log=` and `--dirty-log` accept.
KEEPERS: dict[str, Callable[[int], Keeper]] = {
    keeper.name: keeper for keeper in (FlagsKeeper, WordsKeeper)
}


class MemslotError(ValueError):
    """A memslot was asked for something it cannot do; the message says what and what it takes."""


def anonymous_memory(nbytes: int) -> memoryview:
    """Zeroed, page-aligned, private memory: (nbytes,) writable bytes."""
    if hasattr(mmap, "MAP_PRIVATE"):
        return memoryview(
            mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        )
    return memoryview(mmap.mmap(-1, nbytes))


class Subscription:
    """One reader's own view of a slot's dirty log; `Memslot.subscribe` makes it."""

    def __init__(self, slot: Memslot) -> None:
        self._slot = slot
        self._pending = slot._none_dirty

    def get_dirty_log(self) -> DirtyLog:
        """Pages written since this reader's last call; they are write-protected again."""
        slot = self._slot
        with slot._slots_lock:
            log = slot._harvest()
            pending = self._pending
            if log is not slot._none_dirty:
                for view in slot._views:
                    if view is not self:
                        view._pending = view._pending | log
            if pending is not slot._none_dirty:
                self._pending = slot._none_dirty
                log = pending | log
        return log

    def put_back(self, log: DirtyLog) -> None:
        """Take a log back that could not be delivered: its pages are reported again."""
        with self._slot._slots_lock:
            self._pending = self._pending | log

    def close(self) -> None:
        """Stop listening. Closing twice is fine."""
        with self._slot._slots_lock:
            if self in self._slot._views:
                self._slot._views.remove(self)


class Memslot:
    """`npages` pages of guest memory from `base_gfn` on, and the log of which were written."""

    def __init__(
        self,
        npages: int,
        base_gfn: int = 0,
        *,
        dirty_log: str = "flags",
        memory: memoryview | None = None,
    ) -> None:
        """Make a slot; logging is on and every page is clean.

        Args:
            npages: Size in 4 KiB pages, at least 1.
            base_gfn: Guest frame number of the first page.
            dirty_log: Who keeps the log: one of `KEEPERS`.
            memory: The guest's bytes, writable and contiguous, `npages` pages; fresh zeros if None.

        Raises:
            MemslotError: A size below 1, memory that does not fit it, or no such keeper.
        """
        if npages < 1:
            raise MemslotError(f"a memslot has at least 1 page, not {npages}")
        if dirty_log not in KEEPERS:
            raise MemslotError(f"no dirty log named {dirty_log!r}; there are: {', '.join(KEEPERS)}")
        nbytes = npages * PAGE_SIZE
        if memory is None:
            memory = anonymous_memory(nbytes)
        elif memory.nbytes != nbytes or memory.readonly or not memory.c_contiguous:
            raise MemslotError(
                f"memory for {npages} pages is {nbytes} writable contiguous bytes, "
                f"not {memory.nbytes}{' read-only' if memory.readonly else ''}"
            )
        self.npages = npages
        self.base_gfn = base_gfn
        #: The guest's bytes. Stores made straight into it are not seen by the log: `mark_dirty`.
        self.memory = memory.cast("B")
        #: The same bytes as (nbytes,) uint8, writable. Marks nothing either.
        self.array: NDArray[np.uint8] = np.frombuffer(self.memory, np.uint8)
        self._keeper = KEEPERS[dirty_log](npages)
        self._writable = self._keeper.writable
        self._fault = self._keeper.fault
        self._harvest = self._keeper.harvest
        self._none_dirty = DirtyLog(npages)
        self._slots_lock = threading.Lock()
        self._logging = True
        self._own = Subscription(self)
        self._views = [self._own]

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.npages << PAGE_SHIFT

    @property
    def dirty_log(self) -> str:
        """Name of the keeper."""
        return self._keeper.name

    @property
    def counters(self) -> Counters:
        """Faults, protect calls, protected pages and flushes so far."""
        return self._keeper.counters

    def write(self, offset: int, data: Buffer) -> None:
        """Store bytes as a guest does: they land, then each page written is looked at.

        Args:
            offset: Byte inside the slot.
            data: Any contiguous buffer of bytes.

        Raises:
            MemslotError: The store does not lie inside the slot; nothing was written.
        """
        end = offset + len(data)
        try:
            if offset < 0:
                raise ValueError
            self.memory[offset:end] = data
        except ValueError:
            raise self._outside(offset, len(data)) from None
        page = offset >> PAGE_SHIFT
        last = end - 1 >> PAGE_SHIFT
        writable = self._writable
        while page <= last:
            if not writable[page]:
                self._fault(page)
            page += 1

    def read(self, offset: int, length: int) -> bytes:
        """Load bytes.

        Raises:
            MemslotError: The range does not lie inside the slot.
        """
        if offset < 0 or length < 0 or offset + length > self.nbytes:
            raise self._outside(offset, length)
        return bytes(self.memory[offset : offset + length])

    def mark_dirty(self, offset: int, length: int) -> None:
        """Report bytes that were stored through `memory` or `array`; call it *after* the store.

        Raises:
            MemslotError: The range does not lie inside the slot.
        """
        if offset < 0 or length < 0 or offset + length > self.nbytes:
            raise self._outside(offset, length)
        if not length:
            return
        writable = self._writable
        for page in range(offset >> PAGE_SHIFT, (offset + length - 1 >> PAGE_SHIFT) + 1):
            if not writable[page]:
                self._fault(page)

    def get_dirty_log(self) -> DirtyLog:
        """Pages written since the last call: snapshot and clear, write-protect, flush, hand out.

        This is the slot's own view; other readers have theirs (`subscribe`).
        """
        return self._own.get_dirty_log()

    def subscribe(self) -> Subscription:
        """A reader's own view, which sees every page written from now on."""
        view = Subscription(self)
        with self._slots_lock:
            self._views.append(view)
        return view

    @property
    def logging(self) -> bool:
        """Whether stores are logged (KVM_MEM_LOG_DIRTY_PAGES). Set it to switch.

        Off and on again drops what was marked, and protects every page: as in KVM, content from
        before is for the reader to know.
        """
        return self._logging

    @logging.setter
    def logging(self, on: bool) -> None:
        with self._slots_lock:
            if on == self._logging:
                return
            self._logging = on
            self._keeper.forget()
            if not on:
                self._keeper.stop()
            for view in self._views:
                view._pending = self._none_dirty

    def _outside(self, offset: int, length: int) -> MemslotError:
        return MemslotError(
            f"{length} bytes at offset {offset:#x} do not lie inside a slot of {self.nbytes:#x}"
        )

    def __repr__(self) -> str:
        return f"Memslot({self.npages} pages, gfn {self.base_gfn:#x}, dirty_log={self.dirty_log!r})"
