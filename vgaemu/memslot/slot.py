"""Memslot: a range of guest memory and its dirty log, after KVM's ``struct kvm_memory_slot``.

Emulated: 4 KiB pages, one dirty bit each, write protection and faults on the store path, the
four-step `get_dirty_log` of the 2012 patch. Not emulated: large pages, read-only slots.

Store order, always: the data lands, *then* the page is looked at, then on a fault it is made
writable and marked. So a store is reported by the first harvest that starts after it, or, when
it runs beside one, by the next; never by none.

The log is destructive and has one source, but may have many readers: it is drained once and the
dirt is fanned out, so a display, a migration and a script never steal from each other
(`Memslot.subscribe`).

Who keeps the log may change beside running guests (`Memslot.keep_with`). A store that is in flight
then, with what it took from the keeper before, marks *there*, and no bound says when: so every
later harvest looks at the former keepers, too.
"""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import KeeperUnavailable, MemslotError, OutOfMemory
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE
from vgaemu.memslot.keeper import ALWAYS, Counters, Keeper, anonymous_memory
from vgaemu.memslot.keepers import make_keeper
from vgaemu.memslot.log import DirtyLog, RunLog, union
from vgaemu.memslot.pagemap import MIN_PAGES

#: Logs kept for a reader who does not ask, before they are joined into one.
MAX_PENDING = 16

#: Bytes to store: anything contiguous, one byte an element.
ByteBuffer: TypeAlias = bytes | bytearray | memoryview | NDArray[np.uint8]


def why_unavailable(keeper: str) -> str | None:
    """Why one of `KEEPERS` cannot work here, in one line; None if it can."""
    try:
        Memslot(1, dirty_log=keeper)
    except KeeperUnavailable as error:
        return str(error)
    return None


def as_bytes(memory: ByteBuffer | mmap.mmap) -> NDArray[np.uint8]:
    """A buffer as (nbytes,) uint8 over the same memory.

    Raises:
        MemslotError: It is not contiguous.
    """
    try:
        return np.frombuffer(memory, np.uint8)
    except (BufferError, ValueError):
        raise MemslotError("the memory of a slot is contiguous") from None


def _guest_bytes(npages: int, memory: ByteBuffer | None) -> NDArray[np.uint8]:
    """`memory` if it fits, or fresh memory: then perhaps more than is asked for."""
    nbytes = npages * PAGE_SIZE
    if memory is None:
        return as_bytes(anonymous_memory(max(nbytes, MIN_PAGES * PAGE_SIZE)))
    array = as_bytes(memory)
    if array.nbytes != nbytes or not array.flags.writeable:
        raise MemslotError(
            f"memory for {npages} pages is {nbytes} writable bytes, "
            f"not {array.nbytes}{'' if array.flags.writeable else ' read-only'}"
        )
    return array


class ExitSection:
    """`Memslot.exit_section`: one read-side section of the keeper that was there when it began."""

    __slots__ = ("_keeper", "_token")

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def __enter__(self) -> None:
        self._token = self._keeper.read_lock()

    def __exit__(self, *error: object) -> None:
        self._keeper.read_unlock(self._token)


#: Of keepers that have none: an exit is not to cost more for them.
_NO_SECTION = nullcontext()


class Subscription:
    """One reader's own view of a slot's dirty log; `Memslot.subscribe` makes it."""

    def __init__(self, slot: Memslot) -> None:
        self._slot = slot
        #: Logs that were drained for others since this reader's last call, oldest first.
        self._pending: list[DirtyLog] = []
        self._closed = False

    def get_dirty_log(self) -> DirtyLog:
        """Pages written since this reader's last call; they are write-protected again.

        Two threads may call it at once: they share the pages out between them.
        """
        slot = self._slot
        nothing = slot.nothing_dirty
        # No page writable, so none dirty; nobody between its harvest and the fan-out; nothing
        # fanned out to us. Looked at in this order that is an answer, and saves taking the lock.
        if 1 not in slot._first_look and not slot._slots_lock.locked() and not self._pending:
            return nothing
        # A with statement costs 80 ns more than this: 4 % of a harvest.
        slot._slots_lock.acquire()
        try:
            log = slot._harvest() if slot._logging and not self._closed else nothing
            if log is not nothing and len(slot._views) > 1:
                for view in slot._views:
                    if view is not self:
                        # No function is entered: at 60 harvests a second each costs some 8 us,
                        # with cold caches.
                        view._pending.append(log)
                        if len(view._pending) >= MAX_PENDING:
                            view._pending[:] = [union(view._pending)]
            if not self._pending:
                return log
            pending, self._pending = self._pending, []
            return union(pending if log is nothing else [*pending, log])
        finally:
            slot._slots_lock.release()

    def put_back(self, log: DirtyLog) -> None:
        """Take a log back that could not be delivered: its pages are reported again.

        They stay write-protected meanwhile; what is written to them is reported with them.
        """
        if log:
            with self._slot._slots_lock:
                if not self._closed:
                    self._pending.append(log)

    def close(self) -> None:
        """Stop listening: nothing is reported any more. Closing twice is fine."""
        with self._slot._slots_lock:
            self._closed = True
            self._pending.clear()
            if self in self._slot._views:
                self._slot._views.remove(self)

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._pending)} logs pending"
        return f"Subscription({self._slot!r}, {state})"


class Memslot:
    """`npages` pages of guest memory from `base_gfn` on, and the log of which were written."""

    #: Size in 4 KiB pages, and in bytes.
    npages: int
    nbytes: int
    #: Guest frame number of the first page.
    base_gfn: int
    #: The guest's bytes as (nbytes,) uint8, writable. Stores made straight into it, or into
    #: `memory`, are not seen by the log: `mark_dirty`.
    array: NDArray[np.uint8]
    #: The same bytes: faster than `array` for a few bytes.
    memory: memoryview
    #: Who keeps the log.
    keeper: Keeper
    #: What is answered while nothing is dirty: always this same log, whoever keeps it.
    nothing_dirty: DirtyLog
    #: How often logging was switched off: a reader whose log begins anew tells by that.
    logging_gaps: int
    #: Called after another keeper has taken over.
    on_keeper_changed: list[Callable[[], None]]
    #: Without a 1 in it nothing is dirty that was stored through `write` or marked.
    maybe_dirty: bytearray

    def __init__(
        self,
        npages: int,
        base_gfn: int = 0,
        *,
        dirty_log: str = "flags",
        memory: ByteBuffer | None = None,
    ) -> None:
        """Make a slot; logging is on and every page is clean.

        Args:
            npages: Size in 4 KiB pages, at least 1.
            base_gfn: Guest frame number of the first page.
            dirty_log: Who keeps the log: one of `vgaemu.memslot.KEEPERS`.
            memory: The guest's bytes, writable and contiguous, `npages` pages; fresh zeros if None.

        Raises:
            MemslotError: A size below 1, memory that does not fit it, no such keeper, or one that
                cannot work here (`KeeperUnavailable`).
        """
        if npages < 1:
            raise MemslotError(f"a memslot has at least 1 page, not {npages}")
        self.npages = npages
        self.nbytes = npages * PAGE_SIZE
        self.base_gfn = base_gfn
        #: What a keeper is made with, and those made so far: the one at work, and former ones.
        self._mapped = array = _guest_bytes(npages, memory)
        self._keepers = {dirty_log: make_keeper(dirty_log, npages, array)}
        self.array = array[: self.nbytes]
        self.memory = self.array.data
        # numpy's stubs tell of the buffer protocol only from Python 3.12 on.
        self._memory: Any = self.memory
        self.nothing_dirty = self._keepers[dirty_log].nothing_dirty
        self.on_keeper_changed = []
        self._wrap: Callable[[Callable[[], DirtyLog]], DirtyLog] | None = None
        self._slots_lock = threading.Lock()
        self._logging, self._closed = True, False
        self.logging_gaps = 0
        self._use(self._keepers[dirty_log])
        self._own = Subscription(self)
        self._views = [self._own]

    def _use(self, keeper: Keeper, formers: tuple[Keeper, ...] = ()) -> None:
        """From now on stores fault in `keeper`, but for some in flight."""
        self._formers = formers
        # First: a reader that begins after a store has found `keeper` must not stop at a look at
        # the one before. Looking at all of them at once is what a harvest does.
        self.maybe_dirty = ALWAYS if formers else keeper.maybe_dirty
        self._first_look = self.maybe_dirty if self._wrap is None else ALWAYS
        self.keeper = keeper
        # What a store reaches for, without a look at the keeper first. It may find some of these as
        # they are now and some as they were: each of them is right with each.
        self._writable = keeper.writable
        self._fault = keeper.fault
        self._fault_range = keeper.fault_range
        self._has_sections = type(keeper).read_lock is not Keeper.read_lock
        harvest = self._harvest_all if formers else keeper.harvest
        self._harvest = harvest if self._wrap is None else partial(self._wrap, harvest)

    def _harvest_all(self) -> DirtyLog:
        """The keeper's harvest, and what is marked in former ones."""
        nothing, log = self.nothing_dirty, self.keeper.harvest()
        for former in self._formers:
            if former.has_marks():
                try:
                    late = former.harvest_marks()
                except OutOfMemory:
                    continue  # it keeps them; what was found already is not lost for that
                if late is not nothing:
                    log = late if log is nothing else log | late
        return log

    def keep_with(self, name: str) -> None:
        """Let another of `KEEPERS` take over, beside running guests; no store is lost.

        What was dirty is still reported to each reader, once. A slot has one keeper of a name, so
        the counters of one that comes back go on.

        Raises:
            MemslotError: The slot is closed, there is no such keeper, or it cannot work here
                (`KeeperUnavailable`); the one before stays then.
        """
        with self._slots_lock:
            if self._closed:
                raise MemslotError("the slot is closed: nothing is logged any more")
            keeper = self._keepers.get(name)
            if keeper is None:
                keeper = make_keeper(name, self.npages, self._mapped)
                keeper.nothing_dirty = self.nothing_dirty
            old = self.keeper
            if keeper is old:
                return
            keeper.take_over()
            self._keepers[name] = keeper
            if self._logging:
                self._use(keeper, tuple(k for k in (*self._formers, old) if k is not keeper))
                old.retire()
            else:
                keeper.stop()
                self._use(keeper)
        for told in self.on_keeper_changed:
            told()
        # Now rather than in somebody's next log, whose time then tells of `keeper` alone. Whoever
        # reads for nobody finds for all others.
        with closing(self.subscribe()) as view, suppress(OutOfMemory):  # it comes later then
            view.get_dirty_log()

    @property
    def dirty_log(self) -> str:
        """Name of the keeper."""
        return self.keeper.name

    @property
    def counters(self) -> Counters:
        """What keeping the log cost so far: one object, brought up to date by this look.

        Its `faults` are up to date always.
        """
        return self.keeper.counters

    def exit_section(self) -> AbstractContextManager[None]:
        """The handling of one exit of a guest: hold it (`with`) from a slice's start to its end.

        In 2012 a vCPU's thread held kvm->srcu that long, and so long a harvest had to wait
        (`srcu`). Other keepers wait for nobody, and this does nothing.
        """
        return ExitSection(self.keeper) if self._has_sections else _NO_SECTION

    def write(self, offset: int, data: ByteBuffer) -> None:
        """Store bytes as a guest does: they land, then each page written is looked at.

        Args:
            offset: Byte inside the slot.
            data: One byte an element.

        Raises:
            MemslotError: The store does not lie inside the slot; nothing was written.
        """
        end = offset + len(data)
        if offset < 0 or end > self.nbytes:
            raise self._outside(offset, end)
        self._memory[offset:end] = data
        page = offset >> PAGE_SHIFT
        if page != end - 1 >> PAGE_SHIFT:
            self._look(offset, end)
        elif not self._writable[page] and offset < end:
            self._fault(page)

    def mark_dirty(self, offset: int, length: int) -> None:
        """Report bytes that were stored through `memory` or `array`; call it *after* the store.

        Raises:
            MemslotError: The range does not lie inside the slot.
        """
        end = offset + length
        if offset < 0 or end > self.nbytes or length < 0:
            raise self._outside(offset, end)
        if offset < end and self.keeper.sees_all_stores:
            # It has, but perhaps a harvest ago.
            self._fault_range(offset >> PAGE_SHIFT, (end - 1 >> PAGE_SHIFT) + 1)
        else:
            self._look(offset, end)

    def _look(self, offset: int, end: int) -> None:
        """Bytes have landed: fault if a page of theirs is protected."""
        page, last = offset >> PAGE_SHIFT, end - 1 >> PAGE_SHIFT
        if offset < end and self._writable.find(0, page, last + 1) >= 0:
            if page == last:
                self._fault(page)
            else:
                self._fault_range(page, last + 1)

    def read(self, offset: int, length: int) -> bytes:
        """Load bytes.

        Raises:
            MemslotError: The range does not lie inside the slot.
        """
        end = offset + length
        if offset < 0 or end > self.nbytes or length < 0:
            raise self._outside(offset, end)
        return bytes(self.memory[offset:end])

    def get_dirty_log(self) -> DirtyLog:
        """Pages written since the last call: snapshot and clear, write-protect, flush, hand out.

        This is the slot's own view; other readers have theirs (`subscribe`).
        """
        return self._own.get_dirty_log()

    def subscribe(self) -> Subscription:
        """A reader's own view, which sees every page written from now on.

        Its first log may also hold pages written before, if nobody had harvested them yet.
        """
        view = Subscription(self)
        with self._slots_lock:
            self._views.append(view)
        return view

    def harvest_through(self, wrap: Callable[[Callable[[], DirtyLog]], DirtyLog] | None) -> None:
        """Let a CPU that stores past `write` take part in every harvest.

        Such a CPU caches which pages are writable (a TLB) or has a log of its own (the kernel's).

        Args:
            wrap: Called, under the slot's lock, with the keeper's harvest; calls it, and returns
                its log with the CPU's own dirt. None: back to the keeper's.
        """
        with self._slots_lock:
            self._wrap = wrap
            self._use(self.keeper, self._formers)

    @property
    def logging(self) -> bool:
        """Whether stores are logged (KVM_MEM_LOG_DIRTY_PAGES). Set it to switch.

        Off and on again drops what was marked, and protects every page: as in KVM, content from
        before is for the reader to know.

        Raises:
            MemslotError: It is set, and the slot is closed.
        """
        return self._logging

    @logging.setter
    def logging(self, on: bool) -> None:
        with self._slots_lock:
            if self._closed:
                raise MemslotError("the slot is closed: nothing is logged any more")
            if on == self._logging:
                return
            self._logging = on
            self.logging_gaps += not on
            if on and len(self._keepers) > 1:  # what is marked in the others is dropped, too
                for name, keeper in [*self._keepers.items()]:
                    if keeper is not self.keeper:
                        self._keepers.pop(name).close()
                self._use(self.keeper)
            if on and self._wrap is not None:
                self._wrap(self._begin)  # the CPU drops its dirt, and what it has cached
            elif on:
                self.keeper.start()
            else:
                self.keeper.stop()
            for view in self._views:
                view._pending.clear()

    def _begin(self) -> DirtyLog:
        """Protect every page; what is answered makes a CPU forget its translations of all."""
        self.keeper.start()
        return RunLog(self.npages, 0, self.npages)

    def close(self) -> None:
        """Give back what the log has of the system; stores are not logged from now on.

        The memory stays, and each reader is still told what was written before. Twice is fine.
        """
        with self._slots_lock:
            last = self.nothing_dirty
            if self._logging:
                with suppress(OutOfMemory):  # it is unreported then
                    last = self._harvest()
                for keeper in self._keepers.values():
                    last |= keeper.unreported()
            self._closed, self._logging = True, False
            for view in self._views:
                if last:
                    view._pending.append(last)
            for keeper in self._keepers.values():
                keeper.close()

    def _outside(self, offset: int, end: int) -> MemslotError:
        return MemslotError(
            f"{end - offset} bytes at offset {offset:#x} do not lie inside a slot of "
            f"{self.nbytes:#x}"
        )

    def __repr__(self) -> str:
        return f"Memslot({self.npages} pages, gfn {self.base_gfn:#x}, dirty_log={self.dirty_log!r})"
