"""Vm: memslots by id behind the ioctl-shaped face of KVM, with KVM's errnos.

Emulated: KVM_SET_USER_MEMORY_REGION (create, change flags, delete) and KVM_GET_DIRTY_LOG. Not
emulated: address spaces, moving a slot, the dirty ring, manual protect. Errnos were probed on
Linux 6.18: for the log EINVAL for an id out of range, ENOENT for no slot or one that is not logged,
EFAULT for a destination that cannot take the bitmap; for regions EINVAL for what is malformed or
not there to delete, EEXIST for an overlap.

Two deliberate differences. On EFAULT the real kernel loses the dirty bits; here they are kept,
unless `on_fault="kernel"` asks for the faithful loss. And the kernel may have written the head of
a destination before it faults; here a destination is written whole or not at all.
"""

from __future__ import annotations

import errno
import os
import threading
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import MemslotError, OutOfMemory
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, Words, word_count
from vgaemu.memslot.kvm.ioctl import KVM_MEM_LOG_DIRTY_PAGES
from vgaemu.memslot.slot import ByteBuffer, Memslot, as_bytes

#: KVM_CAP_NR_MEMSLOTS of Linux 6.18 on x86.
MAX_SLOTS = 32764
#: An x86 processor has 52 bits of physical address at most.
END_GPA = 1 << 52


class Vm:
    """Memslots by id.

    Attributes:
        slots: Id -> slot. Look, and change it through `set_user_memory_region`.
    """

    def __init__(self, *, dirty_log: str = "flags") -> None:
        """An empty machine; its slots keep their log as `dirty_log` says."""
        self.slots: dict[int, Memslot] = {}
        self._dirty_log = dirty_log
        self._slots_lock = threading.Lock()

    def set_user_memory_region(
        self, slot: int, gpa: int, memory: ByteBuffer | int, flags: int = 0
    ) -> Memslot | None:
        """Create, re-flag or delete a slot.

        Args:
            slot: Its id.
            gpa: Guest-physical address of its first byte, a multiple of 4096.
            memory: The guest's bytes (writable, whole pages), or how many fresh zero bytes; empty
                or 0 deletes the slot. To re-flag, give the same bytes or the same size.
            flags: 0, or `KVM_MEM_LOG_DIRTY_PAGES`: log stores to this slot.

        Returns:
            The slot, or None when it was deleted.

        Raises:
            OSError: EINVAL (id, alignment, flags, size, no such addresses, a change of an existing
                slot's place, or deleting what is not there), EEXIST (overlap).
        """
        _check_id(slot)
        if flags & ~KVM_MEM_LOG_DIRTY_PAGES:
            raise _error(errno.EINVAL, f"unknown memslot flags {flags:#x}")
        if isinstance(memory, int):
            array, nbytes = None, memory
        else:
            array = _whole_buffer(memory)
            nbytes = array.nbytes
        if gpa % PAGE_SIZE or nbytes % PAGE_SIZE or gpa < 0 or nbytes < 0:
            raise _error(errno.EINVAL, f"{nbytes:#x} bytes at {gpa:#x} are not whole 4 KiB pages")
        if gpa + nbytes > END_GPA:
            raise _error(errno.EINVAL, f"{nbytes:#x} bytes at {gpa:#x} leave guest-physical memory")
        with self._slots_lock:
            old = self.slots.get(slot)
            if not nbytes:
                if old is None:
                    raise _error(errno.EINVAL, f"there is no slot {slot} to delete")
                del self.slots[slot]
                return None
            if old is None:
                memslot = self._create(slot, gpa, nbytes, array)
            elif _is_at(old, gpa, nbytes, array):
                memslot = old
            else:
                raise _error(errno.EINVAL, f"slot {slot} exists: delete it before moving it")
            memslot.logging = bool(flags & KVM_MEM_LOG_DIRTY_PAGES)
            self.slots[slot] = memslot
            return memslot

    def _create(self, slot: int, gpa: int, nbytes: int, array: NDArray[np.uint8] | None) -> Memslot:
        gfn, npages = gpa >> PAGE_SHIFT, nbytes >> PAGE_SHIFT
        for other_id, other in self.slots.items():
            if gfn < other.base_gfn + other.npages and other.base_gfn < gfn + npages:
                raise _error(errno.EEXIST, f"slot {slot} overlaps slot {other_id}")
        try:
            return Memslot(npages, gfn, dirty_log=self._dirty_log, memory=array)
        except MemslotError as error:
            raise _error(errno.EINVAL, str(error)) from None

    def get_dirty_log(
        self,
        slot: int,
        buffer: ByteBuffer | Words,
        *,
        on_fault: Literal["restore", "kernel"] = "restore",
    ) -> int:
        """Harvest a slot and copy the bitmap out.

        Args:
            slot: Its id.
            buffer: Any buffer that takes ``8 * ceil(npages / 64)`` bytes; what lies behind them is
                untouched.
            on_fault: What becomes of the bits when `buffer` cannot take them: ``"restore"`` keeps
                them for the next call, ``"kernel"`` loses them as Linux does.

        Returns:
            Bytes written.

        Raises:
            OSError: EINVAL (id out of range), ENOENT (no slot, or not logged), ENOMEM (the keeper
                needs memory and gets none; the bits are kept), EFAULT (`buffer` is read-only, not
                contiguous or too short).
        """
        _check_id(slot)
        # From look-up to copy: a slot that is deleted, or not logged any more, cannot answer.
        with self._slots_lock:
            memslot = self.slots.get(slot)
            if memslot is None:
                raise _error(errno.ENOENT, f"there is no slot {slot}")
            if not memslot.logging:
                raise _error(errno.ENOENT, f"slot {slot} is not logged")
            nbytes = 8 * word_count(memslot.npages)
            target = _destination(buffer, nbytes)
            # Looking at the destination first is what keeps the bits: nothing is harvested in vain.
            if target is not None or on_fault == "kernel":
                try:
                    log = memslot.get_dirty_log()
                except OutOfMemory as error:
                    raise _error(errno.ENOMEM, str(error)) from None
            if target is None:
                raise _error(
                    errno.EFAULT, f"the bitmap of slot {slot} needs {nbytes} writable bytes"
                )
            target[:] = log.words.view(np.uint8)
            return nbytes

    def __repr__(self) -> str:
        return f"Vm({len(self.slots)} slots, dirty_log={self._dirty_log!r})"


def _error(code: int, what: str) -> OSError:
    return OSError(code, f"{os.strerror(code)}: {what}")


def _check_id(slot: int) -> None:
    if not 0 <= slot < MAX_SLOTS:
        raise _error(errno.EINVAL, f"slot id {slot} is outside 0..{MAX_SLOTS - 1}")


def _whole_buffer(memory: ByteBuffer) -> NDArray[np.uint8]:
    try:
        return as_bytes(memory)
    except MemslotError as error:
        raise _error(errno.EINVAL, str(error)) from None


def _is_at(memslot: Memslot, gpa: int, nbytes: int, array: NDArray[np.uint8] | None) -> bool:
    place = memslot.base_gfn << PAGE_SHIFT, memslot.nbytes
    return place == (gpa, nbytes) and (
        array is None or array.ctypes.data == memslot.array.ctypes.data
    )


def _destination(buffer: ByteBuffer | Words, nbytes: int) -> NDArray[np.uint8] | None:
    """The first bytes of `buffer`, or None where the kernel would fault."""
    try:
        array = np.frombuffer(buffer, np.uint8)
    except (BufferError, ValueError):  # not contiguous, or released
        return None
    return array[:nbytes] if array.flags.writeable and array.nbytes >= nbytes else None
