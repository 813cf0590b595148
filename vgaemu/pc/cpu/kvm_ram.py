"""RAM and ROM of a KVM guest as memory slots, and the kernel's log of them while one is kept.

Emulated: low RAM, ROM (RAM of its own under a firmware) and what lies from 1 MiB on, each with
KVM_MEM_LOG_DIRTY_PAGES while `Bus.log_ram` wants it; an A20 gate: while it is closed each even MiB
is there again in the odd one behind it, whether RAM reaches that far or not. Not emulated: that
above 16 MiB, as each MiB is a slot that comes and goes with the gate, some 20 us of the host's.

Source: Documentation/virt/kvm/api.rst, KVM_SET_USER_MEMORY_REGION and KVM_GET_DIRTY_LOG.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vgaemu.errors import GuestFault
from vgaemu.memslot.bitmap import PAGE_SIZE, WORD, WORD_PAGES, word_count
from vgaemu.memslot.kvm import ioctl as kvm
from vgaemu.memslot.log import DirtyLog, WordsLog
from vgaemu.pc.bus import ROM_END, ROM_START, VGA_START, Bus

#: Bytes of RAM that a word of a log is about.
_WORD_BYTES = WORD_PAGES * PAGE_SIZE
MIB = 1 << 20
#: Up to here the gate moves memory.
GATE_END = 16 * MIB
#: Slots of low RAM, ROM and what is above 1 MiB; while the gate is closed, above `GATE_END`. Then
#: there are slots of what lies in the second MiB, and from `EVENS` on those of each further even
#: MiB and of the odd one behind it.
LOW, ROM, HIGH, ODD_LOW, ODD_ROM, EVENS = 0, 1, 2, 5, 6, 7
#: The first slot that nobody here uses.
FREE = EVENS + GATE_END // MIB - 2


class _Region(NamedTuple):
    """What a slot shows: begin and end in RAM's array, flags, where the guest finds it."""

    start: int
    end: int
    flags: int
    gpa: int


class KvmRam:
    """Slots of a VM; 3 and 4 are those of VRAM."""

    def __init__(self, vm: kvm.KvmVm, bus: Bus, rom_flags: int) -> None:
        """Make them; `rom_flags` are those of ROM."""
        self._vm, self._bus, self._rom_flags = vm, bus, rom_flags
        self._regions = self._layout()
        #: Of a slot that is logged the word of RAM's log with which its own begins, and its reader.
        self._readers: dict[int, tuple[int, kvm.DirtyLogReader]] = {}
        self._logging = False
        #: Held while slots change or are read.
        self._lock = threading.Lock()
        self._log(False)
        bus.on_logging_changed.append(self._log)
        bus.on_a20_changed.append(self._a20_changed)

    def _layout(self) -> dict[int, _Region]:
        """What the gate leaves where: RAM above 1 MiB, or every even MiB twice."""
        end = self._bus.ram_bytes
        low = _Region(0, VGA_START, 0, 0)
        rom = _Region(ROM_START, ROM_END, self._rom_flags, ROM_START)
        regions = {LOW: low, ROM: rom}
        if self._bus.a20_is_open:
            return regions | {HIGH: _Region(MIB, end, 0, MIB)}
        regions |= {ODD_LOW: low._replace(gpa=MIB), ODD_ROM: rom._replace(gpa=MIB + ROM_START)}
        if end > GATE_END:
            regions[HIGH] = _Region(GATE_END, end, 0, GATE_END)
        for number, at in enumerate(range(2 * MIB, min(end, GATE_END), 2 * MIB)):
            even = _Region(at, at + MIB, 0, at)
            regions[EVENS + 2 * number] = even
            regions[EVENS + 2 * number + 1] = even._replace(gpa=at + MIB)
        return regions

    def _set(self, slot: int) -> None:
        start, end, flags, gpa = self._regions[slot]
        logged = self._logging and not flags & kvm.KVM_MEM_READONLY
        memory = self._bus.array[start:end]
        self._vm.set_region(slot, gpa, memory, flags | kvm.KVM_MEM_LOG_DIRTY_PAGES * logged)
        if logged:
            reader = kvm.DirtyLogReader(self._vm, slot, (end - start) // PAGE_SIZE)
            self._readers[slot] = start // _WORD_BYTES, reader

    def _log(self, on: bool) -> None:
        with self._lock:
            self._logging, self._readers = on, {}
            for slot in self._regions:
                self._set(slot)

    def _a20_changed(self) -> None:
        """Slots above 1 MiB go, with their logs, and others come."""
        slot = self._bus.slot
        with self._lock:
            before, self._regions = self._regions, self._layout()
            changed = {
                number
                for number in before.keys() | self._regions.keys()
                if before.get(number) != self._regions.get(number)
            }
            for number in changed & before.keys():
                start = before[number].start
                _, reader = self._readers.pop(number, (0, None))
                if reader is not None:
                    bits = np.unpackbits(reader.read().view(np.uint8), bitorder="little")
                    for page in np.flatnonzero(bits).tolist():
                        slot.mark_dirty(start + page * PAGE_SIZE, PAGE_SIZE)
                self._vm.set_region(number, before[number].gpa, None)
            for number in changed & self._regions.keys():
                self._set(number)

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        """What this process has marked, and what the vCPU has stored to."""
        npages = self._bus.slot.npages
        words = np.zeros(word_count(npages), WORD)
        try:
            # First: what goes with a slot is in the keeper's log before this lock is free.
            with self._lock:
                for first, reader in self._readers.values():
                    found = reader.read()
                    words[first : first + len(found)] |= found
        except OSError as error:
            raise GuestFault(f"the kernel has given the VM up: {error.strerror}") from None
        log = keeper_harvest()
        return log | WordsLog(npages, words) if words.any() else log

    def close(self) -> None:
        """Listen no more."""
        if self._log in self._bus.on_logging_changed:
            self._bus.on_logging_changed.remove(self._log)
            self._bus.on_a20_changed.remove(self._a20_changed)
