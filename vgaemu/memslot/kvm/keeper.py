"""`kvm`: the log kept by a real VM, the reference for the emulated slot. Linux with /dev/kvm.

Each slot gets a VM of its own with the slot's memory as a memslot that has KVM_MEM_LOG_DIRTY_PAGES.
A harvest is KVM_GET_DIRTY_LOG; `kvm-manual` reads without clearing and then clears exactly what it
read with KVM_CLEAR_DIRTY_LOG (KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2). The kernel logs what its vCPU
stores and knows nothing of stores by this process, so those are marked in software as in `flags`,
and a harvest is both; the counters tell of the software's part only.

What stores: a `vgaemu.memslot.kvm.guest.KvmGuest`.

Source: Documentation/virt/kvm/api.rst.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import KeeperUnavailable, KvmError
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, WORD
from vgaemu.memslot.flags import FlagsKeeper
from vgaemu.memslot.keeper import ALWAYS
from vgaemu.memslot.kvm import ioctl as kvm
from vgaemu.memslot.log import DirtyLog, WordsLog

#: Where the logged slot begins, and its number; below lie code and data of the guest.
SLOT_GPA = 0x1000_0000
SLOT_ID = 1
#: A guest reaches 4 GiB; the last of them stays free for the guest.
MAX_PAGES = (0xC000_0000 - SLOT_GPA) >> PAGE_SHIFT


class KvmKeeper(FlagsKeeper):
    """The kernel's log of what a vCPU stores, and flags for what this process stores."""

    name = "kvm"
    _manual = False

    def __init__(self, npages: int, memory: NDArray[np.uint8]) -> None:
        super().__init__(npages, memory)
        self.maybe_dirty = ALWAYS
        self._memory = memory[: npages * PAGE_SIZE]  # outlives the VM that maps it
        if npages > MAX_PAGES:
            raise KeeperUnavailable(f"kvm: a slot may have {MAX_PAGES} pages, not {npages}")
        if memory.ctypes.data % PAGE_SIZE:
            raise KeeperUnavailable("kvm: the memory is not aligned to 4 KiB pages")
        try:
            self.vm = kvm.KvmVm()
            self.close_with(self.vm.close)
            if self._manual:
                capability = kvm.KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2
                self.vm.enable(capability, kvm.KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
            self._set_region(logged=True)
        except KvmError as error:
            raise KeeperUnavailable(f"kvm: {error}") from None
        except OSError as error:
            raise KeeperUnavailable(f"kvm: the kernel refuses the slot: {error.strerror}") from None
        self.reader = kvm.DirtyLogReader(self.vm, SLOT_ID, npages)

    def _set_region(self, *, logged: bool) -> None:
        flags = kvm.KVM_MEM_LOG_DIRTY_PAGES if logged else 0
        self.vm.set_region(SLOT_ID, SLOT_GPA, self._memory, flags)

    def harvest(self) -> DirtyLog:
        host = super().harvest()
        reader = self.reader
        reader.read()
        bitmap = reader.bitmap
        if bitmap == reader.clean:
            return host
        self._after_read()
        return WordsLog(self.npages, np.frombuffer(bytes(bitmap), WORD)) | host

    def _after_read(self) -> None:
        """The kernel has cleared and protected already."""

    def harvest_marks(self) -> DirtyLog:
        return super().harvest()

    def take_over(self) -> None:
        try:
            self._set_region(logged=True)
        except KvmError as error:
            raise KeeperUnavailable(f"kvm: {error}") from None
        except OSError as error:
            raise KeeperUnavailable(f"kvm: the kernel refuses the slot: {error.strerror}") from None

    def retire(self) -> None:
        """What its vCPU stores from now on, nobody sees."""
        try:
            self.harvest().mark_in(self.writable)
            self._set_region(logged=False)
        except (
            OSError,
            KvmError,
        ):  # the kernel has given the VM up, with its log, or this is a fork
            self.fault_range(0, self.npages)

    def start(self) -> None:
        super().start()
        self._set_region(logged=True)

    def stop(self) -> None:
        self._set_region(logged=False)
        super().stop()


class KvmManualKeeper(KvmKeeper):
    """`kvm` that reads first, and then clears and protects what it has read."""

    name = "kvm-manual"
    _manual = True

    def _after_read(self) -> None:
        self.reader.clear()
