"""RAM and ROM of a KVM guest as memory slots, and the kernel's log of them while one is kept.

Emulated: low RAM, ROM (RAM of its own under a firmware) and what lies from 1 MiB on, each with
KVM_MEM_LOG_DIRTY_PAGES while `Bus.log_ram` wants it. Not emulated: changes of what lies where.

Source: Documentation/virt/kvm/api.rst, KVM_SET_USER_MEMORY_REGION and KVM_GET_DIRTY_LOG.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vgaemu.errors import GuestFault
from vgaemu.memslot.bitmap import PAGE_SIZE, WORD, WORD_PAGES, word_count
from vgaemu.memslot.kvm import ioctl as kvm
from vgaemu.memslot.log import DirtyLog, WordsLog
from vgaemu.pc.bus import ROM_END, ROM_START, VGA_START, Bus

#: Bytes of RAM that a word of a log is about.
_WORD_BYTES = WORD_PAGES * PAGE_SIZE


class KvmRam:
    """The slots 0 to 2 of a VM."""

    def __init__(self, vm: kvm.KvmVm, bus: Bus, rom_flags: int) -> None:
        """Make them; `rom_flags` are those of ROM."""
        self._vm, self._bus = vm, bus
        #: Begin, end and flags of each.
        self._regions = (
            (0, VGA_START, 0),
            (ROM_START, ROM_END, rom_flags),
            (ROM_END, bus.ram_bytes, 0),
        )
        #: The word of RAM's log with which a slot's begins, and what reads that.
        self._readers: list[tuple[int, kvm.DirtyLogReader]] = []
        self._log(False)
        bus.on_logging_changed.append(self._log)

    def _log(self, on: bool) -> None:
        self._readers = []
        for slot, (start, end, flags) in enumerate(self._regions):
            logged = on and not flags & kvm.KVM_MEM_READONLY
            memory = self._bus.array[start:end]
            self._vm.set_region(slot, start, memory, flags | kvm.KVM_MEM_LOG_DIRTY_PAGES * logged)
            if logged:
                reader = kvm.DirtyLogReader(self._vm, slot, (end - start) // PAGE_SIZE)
                self._readers.append((start // _WORD_BYTES, reader))

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        """What this process has marked, and what the vCPU has stored to."""
        log = keeper_harvest()
        npages = self._bus.slot.npages
        words = np.zeros(word_count(npages), WORD)
        try:
            for first, reader in self._readers:
                found = reader.read()
                words[first : first + len(found)] = found
        except OSError as error:
            raise GuestFault(f"the kernel has given the VM up: {error.strerror}") from None
        return log | WordsLog(npages, words) if words.any() else log

    def close(self) -> None:
        """Listen no more."""
        if self._log in self._bus.on_logging_changed:
            self._bus.on_logging_changed.remove(self._log)
