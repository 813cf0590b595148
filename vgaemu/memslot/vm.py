"""Vm: memslots by id behind the ioctl-shaped face of KVM, with KVM's errnos.

Emulated: KVM_SET_USER_MEMORY_REGION (create, change flags, delete) and KVM_GET_DIRTY_LOG. Not
emulated: address spaces, moving a slot, the dirty ring, manual protect. Errnos were probed on
Linux 6.18: EINVAL for an id out of range, ENOENT for no slot or one that is not logged, EFAULT
for a destination that cannot take the bitmap, EINVAL and EEXIST for regions that are malformed or
overlap.

One deliberate difference: on EFAULT the real kernel loses the dirty bits. Here they are kept,
unless `on_fault="kernel"` asks for the faithful loss.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Literal

from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, word_count
from vgaemu.memslot.slot import Memslot, MemslotError

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined]

#: Flag of `Vm.set_user_memory_region`: log stores to this slot.
KVM_MEM_LOG_DIRTY_PAGES = 1
#: KVM_CAP_NR_MEMSLOTS of Linux 6.18 on x86.
MAX_SLOTS = 32764


def _error(code: int, what: str) -> OSError:
    return OSError(code, f"{os.strerror(code)}: {what}")


class Vm:
    """Memslots by id."""

    def __init__(self, *, dirty_log: str = "flags") -> None:
        """An empty machine; its slots keep their log as `dirty_log` says."""
        self.slots: dict[int, Memslot] = {}
        self._dirty_log = dirty_log

    def set_user_memory_region(
        self, slot: int, gpa: int, memory: Buffer | int, flags: int = 0
    ) -> Memslot | None:
        """Create, re-flag or delete a slot.

        Args:
            slot: Its id.
            gpa: Guest-physical address of its first byte, a multiple of 4096.
            memory: The guest's bytes (writable, whole pages), or how many fresh zero bytes; empty
                or 0 deletes the slot.
            flags: 0 or `KVM_MEM_LOG_DIRTY_PAGES`.

        Returns:
            The slot, or None when it was deleted.

        Raises:
            OSError: EINVAL (id, alignment, flags, size, or a change of an existing slot's place),
                ENOENT (deleting what is not there), EEXIST (overlap).
        """
        if not 0 <= slot < MAX_SLOTS:
            raise _error(errno.EINVAL, f"slot id {slot} is outside 0..{MAX_SLOTS - 1}")
        if flags & ~KVM_MEM_LOG_DIRTY_PAGES:
            raise _error(errno.EINVAL, f"unknown memslot flags {flags:#x}")
        view = None if isinstance(memory, int) else memoryview(memory)
        nbytes = memory if isinstance(memory, int) else memoryview(memory).nbytes
        if gpa % PAGE_SIZE or nbytes % PAGE_SIZE or gpa < 0 or nbytes < 0:
            raise _error(errno.EINVAL, f"{nbytes:#x} bytes at {gpa:#x} are not whole 4 KiB pages")
        logged = bool(flags & KVM_MEM_LOG_DIRTY_PAGES)
        old = self.slots.get(slot)
        if not nbytes:
            if old is None:
                raise _error(errno.ENOENT, f"there is no slot {slot} to delete")
            del self.slots[slot]
            return None
        gfn, npages = gpa >> PAGE_SHIFT, nbytes >> PAGE_SHIFT
        if old is not None:
            same_memory = view is None or view.obj is old.memory.obj
            if (old.base_gfn, old.npages) != (gfn, npages) or not same_memory:
                raise _error(errno.EINVAL, f"slot {slot} exists: delete it before moving it")
            old.logging = logged
            return old
        for other_id, other in self.slots.items():
            if gfn < other.base_gfn + other.npages and other.base_gfn < gfn + npages:
                raise _error(errno.EEXIST, f"slot {slot} overlaps slot {other_id}")
        try:
            new = Memslot(npages, gfn, dirty_log=self._dirty_log, memory=view)
        except MemslotError as error:
            raise _error(errno.EINVAL, str(error)) from None
        new.logging = logged
        self.slots[slot] = new
        return new

    def get_dirty_log(
        self, slot: int, buffer: Buffer, *, on_fault: Literal["restore", "kernel"] = "restore"
    ) -> int:
        """Harvest a slot and copy the bitmap out.

        Args:
            slot: Its id.
            buffer: Takes ``8 * ceil(npages / 64)`` bytes; what lies behind them is untouched.
            on_fault: What becomes of the bits when `buffer` cannot take them: ``"restore"`` keeps
                them for the next call, ``"kernel"`` loses them as Linux does.

        Returns:
            Bytes written.

        Raises:
            OSError: EINVAL (id out of range), ENOENT (no slot, or not logged), EFAULT (`buffer` is
                read-only, not contiguous or too short).
        """
        if not 0 <= slot < MAX_SLOTS:
            raise _error(errno.EINVAL, f"slot id {slot} is outside 0..{MAX_SLOTS - 1}")
        memslot = self.slots.get(slot)
        if memslot is None:
            raise _error(errno.ENOENT, f"there is no slot {slot}")
        if not memslot.logging:
            raise _error(errno.ENOENT, f"slot {slot} is not logged")
        nbytes = 8 * word_count(memslot.npages)
        log = memslot.get_dirty_log()
        try:
            memoryview(buffer).cast("B")[:nbytes] = log.words.view("u1")
        except (TypeError, ValueError):
            if on_fault == "restore":
                memslot._own.put_back(log)
            raise _error(
                errno.EFAULT, f"the bitmap of slot {slot} needs {nbytes} writable bytes"
            ) from None
        return nbytes
