"""A CPU by KVM: the host's own, with VRAM in memory slots that the kernel logs.

Emulated by the host: everything the processor does. RAM, ROM and plain windows of VRAM are memory
slots; what goes through the planes leaves the guest as (coalesced) MMIO, ports leave it as exits.
Interrupts come from outside, by `interrupt`, or with `irqchip` from the kernel's own. Not provided:
determinism; a guest runs in wall time. The time stamp counter is the host's: it does not know of
waits that a halt skips where nobody looks, nor that the guest stands still between frames.

The dirty log of plain windows and of the linear frame buffer is the kernel's own
(KVM_MEM_LOG_DIRTY_PAGES, KVM_GET_DIRTY_LOG); stores through the planes and by the BIOS are marked
in the slot. A harvest is both.

A vCPU in guest mode keeps no harvest waiting, as in the kernel: what `srcu` waits for is the end of
an exit's handling here.

A vCPU that computes and never leaves the guest is brought back by immediate_exit and a signal to
its thread (measured: 49 us median).
"""

from __future__ import annotations

import ctypes
import errno
import signal
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import CpuError, GuestFault, KvmError
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, word_count
from vgaemu.memslot.kvm import ioctl as kvm
from vgaemu.memslot.log import DirtyLog, RunLog, WordsLog
from vgaemu.pc.bus import ROM_END, ROM_START, VGA_END, VGA_START, Bus
from vgaemu.pc.clock import Clock
from vgaemu.pc.cpu.cpu import GENERAL, PROTECTED, RFLAGS, RIP, SEGMENTS, STOPPED, Array, Cpu
from vgaemu.pc.cpu.exceptions import INVALID_OPCODE
from vgaemu.pc.cpu.kvm_iret import return_from_interrupt
from vgaemu.pc.cpu.kvm_ram import KvmRam
from vgaemu.pc.cpu.kvm_state import VcpuState
from vgaemu.pc.cpu.mmu import SAVED_SEGMENTS
from vgaemu.vga.vram import LFB_GPA

#: Memory slots; `kvm_ram` has those of RAM.
LFB, WINDOW = 3, 4
#: A vCPU that stays in the guest is called back when its slice ends, to look at the clock and the
#: keys: after so long at most, and at least.
KICK_S, SOONEST_KICK_S = 0.004, 0.000_5
#: Where registers are in struct kvm_run: kvm_regs, and after it kvm_sregs with its segments.
_GENERAL_AT = {name: kvm.RUN_SYNC_REGS + 8 * i for i, name in enumerate(GENERAL)}
_GENERAL_AT |= {"eip": kvm.RUN_SYNC_REGS + 8 * RIP, "eflags": kvm.RUN_SYNC_REGS + 8 * RFLAGS}
_SREGS_AT = kvm.RUN_SYNC_REGS + kvm.REGS_BYTES
_PLACES = _GENERAL_AT | {"cr0": _SREGS_AT + 224}
_SEGMENTS_AT = {name: _SREGS_AT + kvm.SEGMENT.size * i for i, name in enumerate(SAVED_SEGMENTS)}
_PENDING_AT = _SREGS_AT + 280
#: Entries of the coalesced MMIO ring: u64 address; u32 length, pio; 8 bytes.
_RING_ENTRY = struct.Struct("<QII8s")
_RING_ENTRIES = (PAGE_SIZE - 8) // _RING_ENTRY.size
_IO = struct.Struct("<BBHIQ")
_MMIO = struct.Struct("<Q8sIB")

KICK_SIGNAL = signal.SIGRTMIN + 7 if hasattr(signal, "SIGRTMIN") else 0


class KvmCpu(Cpu):
    """One vCPU in a VM of its own."""

    name = "kvm"

    def __init__(self, bus: Bus, clock: Clock, *, irqchip: bool = False) -> None:
        """Make VM, slots and vCPU; real mode, segments 0.

        With `irqchip`, for a firmware, interrupt controllers and timer are the kernel's, and what
        lies between C0000h and FFFFFh is RAM.

        Raises:
            CpuError: There is no KVM here, or this is not the main thread.
        """
        super().__init__(bus)
        self._clock = clock
        self._install_signal()
        try:
            self.vm = kvm.KvmVm(irqchip=irqchip)
        except KvmError as error:
            raise CpuError(f"kvm: {error}; --cpu unicorn works everywhere") from None
        self.has_own_timer = irqchip
        #: Held while slots change or are read.
        self._slots_lock = threading.Lock()
        self._vram = bus.vga.slot
        self._nothing_dirty = bus.vga.slot.nothing_dirty
        self._window: tuple[int, int, int] | None = None
        #: Page of VRAM that the window begins with.
        self._window_page = 0
        self._window_log: kvm.DirtyLogReader | None = None
        self._closed = self._given_up = False
        self._lfb_log = self._map(rom_flags=0 if irqchip else kvm.KVM_MEM_READONLY)
        self._vcpu, self._run = self.vm.create_vcpu()
        self._state = VcpuState(self.vm, self._vcpu, self._run, with_chips=irqchip)
        page = self.vm.extension(kvm.KVM_CAP_COALESCED_MMIO)
        self._ring = page * PAGE_SIZE if page > 0 else None
        self._state.fill_run()
        struct.pack_into("<Q", self._run, kvm.RUN_VALID_REGS, kvm.SYNC_REGS | kvm.SYNC_SREGS)
        for name in SEGMENTS:
            self.set(name, 0)
        self._remap()
        bus.vga.on_map_changed.append(self._remap)
        self._thread: int | None = None
        self._turn = 0
        self._running = threading.Event()
        self._kicker = threading.Thread(
            target=self._kick_now_and_then, daemon=True, name="vgaemu kick"
        )
        try:
            self._kicker.start()
        except RuntimeError as error:
            self.vm.close()
            raise CpuError(f"kvm: no thread to be had: {error}") from None

    def _map(self, rom_flags: int) -> kvm.DirtyLogReader | None:
        """RAM, ROM and the linear frame buffer as slots; the log of the last, if it is one."""
        vm, vga = self.vm, self.bus.vga
        self._ram = KvmRam(vm, self.bus, rom_flags)
        vm.coalesce_mmio(VGA_START, VGA_END - VGA_START)
        # While a tape records every store, the frame buffer is not plain memory either.
        if vga.window(LFB_GPA) is None:
            return None
        vm.set_region(LFB, LFB_GPA, vga.slot.array, kvm.KVM_MEM_LOG_DIRTY_PAGES)
        return kvm.DirtyLogReader(vm, LFB, vga.slot.npages)

    @staticmethod
    def _install_signal() -> None:
        """A signal with a handler that does nothing: it only ends system calls."""
        try:
            signal.signal(KICK_SIGNAL, lambda *_: None)
        except (ValueError, OSError):
            current = signal.getsignal(KICK_SIGNAL)
            if current in (signal.SIG_DFL, signal.SIG_IGN, None):
                raise CpuError("kvm: open the machine on the main thread") from None

    def get(self, register: str) -> int:
        at = _PLACES.get(register)
        if at is not None:
            return int.from_bytes(self._run[at : at + 4], "little")
        if register == "rip":
            at = _PLACES["eip"]
            return int.from_bytes(self._run[at : at + 8], "little")
        return int(kvm.SEGMENT.unpack_from(self._run, _SEGMENTS_AT[register])[2])

    def set(self, register: str, value: int) -> None:
        run, at = self._run, _PLACES.get(register)
        if at is not None:
            run[at : at + 8] = (value & 0xFFFFFFFF).to_bytes(8, "little")
        else:
            kind = 0xB if register == "cs" else 0x3
            selector = value & 0xFFFF
            kvm.SEGMENT.pack_into(
                run, _SEGMENTS_AT[register],
                selector << 4, 0xFFFF, selector, kind, 1, 0, 0, 1, 0, 0, 0, 0, 0,
            )  # fmt: skip
        if register in _GENERAL_AT:
            run[kvm.RUN_DIRTY_REGS] |= kvm.SYNC_REGS
        else:
            # The kernel notes here a vector that waits, never that it was taken, and would queue it
            # again. One that does wait it remembers.
            run[_PENDING_AT : _PENDING_AT + 32] = bytes(32)
            run[kvm.RUN_DIRTY_REGS] |= kvm.SYNC_SREGS

    def can_interrupt(self) -> bool:
        # If it takes none now, the next run ends when it would.
        run = self._run
        if run[kvm.RUN_READY_FOR_INTERRUPT] and run[kvm.RUN_IF_FLAG]:
            return True
        run[kvm.RUN_REQUEST_INTERRUPT_WINDOW] = 1
        return False

    def raise_irq(self, irq: int) -> None:
        self.vm.irq_line(irq, 1)
        self.vm.irq_line(irq, 0)

    def interrupt(self, vector: int) -> None:
        self.halted = False
        self._run[kvm.RUN_REQUEST_INTERRUPT_WINDOW] = 0
        self._run[kvm.RUN_READY_FOR_INTERRUPT] = 0
        kvm.libc_ioctl(self._vcpu, kvm.KVM_INTERRUPT, ctypes.byref(ctypes.c_uint32(vector)))

    def run(self, limit_ns: int) -> None:
        run, exit_section, clock = self._run, self._vram.exit_section, self._clock
        clock.due_ns = limit_ns
        self._thread = threading.get_ident()
        self._turn += 1
        self._running.set()
        try:
            while True:
                try:
                    kvm.interruptible_ioctl(self._vcpu, kvm.KVM_RUN)
                except OSError as error:
                    with exit_section():
                        self._drain_ring()
                    if error.errno in (errno.EINTR, errno.EAGAIN):
                        run[kvm.RUN_IMMEDIATE_EXIT] = 0
                        return
                    raise GuestFault(f"KVM_RUN: {error.strerror}") from None
                with exit_section():
                    self._drain_ring()
                    if self._exit():
                        return
                if clock.now_ns() >= clock.due_ns:
                    # Once more: an IN or an MMIO load is completed at entry, and it leaves at once.
                    run[kvm.RUN_IMMEDIATE_EXIT] = 1
        finally:
            self._running.clear()

    def _exit(self) -> bool:
        """Serve what the vCPU left the guest for; True ends the run."""
        run = self._run
        reason = int.from_bytes(run[kvm.RUN_EXIT_REASON : kvm.RUN_EXIT_REASON + 4], "little")
        if reason == kvm.KVM_EXIT_IO:
            self._port_exit()
            return False
        if reason == kvm.KVM_EXIT_MMIO:
            self._mmio_exit()
            return False
        if reason == kvm.KVM_EXIT_HLT:
            self.halted = True
            return True
        if reason == kvm.KVM_EXIT_IRQ_WINDOW_OPEN:
            run[kvm.RUN_REQUEST_INTERRUPT_WINDOW] = 0
            return True
        if reason == kvm.KVM_EXIT_INTR:
            return True
        where = self.where()
        if reason == kvm.KVM_EXIT_SHUTDOWN:
            raise GuestFault(f"triple fault {where}")
        if reason == kvm.KVM_EXIT_INTERNAL_ERROR:
            if return_from_interrupt(run, self.bus) or self._unknown_opcode():
                return False
            raise GuestFault(f"KVM cannot execute the instruction {where}")
        raise GuestFault(f"KVM exit {reason} {where}")

    def _unknown_opcode(self) -> bool:
        """On at the handler of vector 6, if a guest in real mode has one of its own."""
        # Where the kernel emulates real mode, it fails at valid instructions, too, and does not
        # tell them from unknown ones. A guest that hooked the vector tries what the CPU can do, and
        # is told that it cannot; for all others an end that says where is better than a guess.
        # Setting registers drops the exception that the kernel may have made of it already.
        bus = self.bus
        offset, segment = bus.read16(4 * INVALID_OPCODE), bus.read16(4 * INVALID_OPCODE + 2)
        handler = (segment << 4) + offset
        if self.get("cr0") & PROTECTED or not handler or not bus.is_ram(handler):
            return False
        self.real_mode_interrupt(INVALID_OPCODE)
        return True

    def _port_exit(self) -> None:
        run, bus = self._run, self.bus
        out, size, port, count, at = _IO.unpack_from(run, kvm.RUN_UNION)
        for start in range(at, at + size * count, size):
            if out:
                bus.port_out(port, size, int.from_bytes(run[start : start + size], "little"))
            else:
                run[start : start + size] = bus.port_in(port, size).to_bytes(size, "little")

    def _mmio_exit(self) -> None:
        gpa, data, length, is_write = _MMIO.unpack_from(self._run, kvm.RUN_UNION)
        gpa &= self.bus.a20
        if is_write:
            self._mmio_store(gpa, data[:length])
        else:
            value = self.bus.vga.load(gpa, length) if self._is_vga(gpa) else b"\xff" * length
            at = kvm.RUN_UNION + 8
            self._run[at : at + length] = value

    def _is_vga(self, gpa: int) -> bool:
        return VGA_START <= gpa < VGA_END or LFB_GPA <= gpa < LFB_GPA + self.bus.vga.slot.nbytes

    def _mmio_store(self, gpa: int, data: bytes) -> None:
        # Nothing else is stored to: ROM ignores it most of the time, and elsewhere is nothing.
        if self._is_vga(gpa):
            self.bus.vga.store(gpa, data)
        elif self.bus.rom_writable and ROM_START <= gpa <= ROM_END - len(data):
            self.bus.memory[gpa : gpa + len(data)] = data
            self.bus.slot.mark_dirty(gpa, len(data))

    def _drain_ring(self) -> None:
        """Stores that the kernel collected, in order, before anything else is looked at."""
        ring = self._ring
        if ring is None:
            return
        run = self._run
        first, last = struct.unpack_from("<II", run, ring)
        while first != last:
            at = ring + 8 + first * _RING_ENTRY.size
            gpa, length, _, data = _RING_ENTRY.unpack_from(run, at)
            self._mmio_store(gpa, data[:length])
            first = (first + 1) % _RING_ENTRIES
            struct.pack_into("<I", run, ring, first)

    def stop(self) -> None:
        thread = self._thread
        if self._running.is_set() and thread is not None and not self._closed:
            self._run[kvm.RUN_IMMEDIATE_EXIT] = 1
            with suppress(OSError):  # the thread may have ended meanwhile
                signal.pthread_kill(thread, KICK_SIGNAL)

    def _kick_now_and_then(self) -> None:
        while not self._closed:
            if not self._running.wait(0.1):
                continue
            turn = self._turn
            left_s = (self._clock.due_ns - self._clock.now_ns()) / 1e9
            time.sleep(min(max(left_s, SOONEST_KICK_S), KICK_S))
            if self._running.is_set() and self._turn == turn:
                self.stop()

    def _plain_window(self) -> tuple[int, int, int] | None:
        """Address, size and VRAM offset of the plain part of A0000h-BFFFFh."""
        window = self.bus.vga.window
        found = [(gpa, window(gpa)) for gpa in range(VGA_START, VGA_END, PAGE_SIZE)]
        plain = [(gpa, offset) for gpa, offset in found if offset is not None]
        if not plain:
            return None
        return plain[0][0], len(plain) * PAGE_SIZE, plain[0][1]

    def _remap(self) -> None:
        """The device's windows changed: so does the slot at A0000h."""
        new = self._plain_window()
        with self._slots_lock:
            if new == self._window:
                return
            if self._window is not None:
                self._collect_window()
                self.vm.set_region(WINDOW, self._window[0], None)
                self._window_log = None
            self._window = new
            if new is not None:
                gpa, size, offset = new
                self._window_page = offset >> PAGE_SHIFT
                memory = self.bus.vga.slot.array[offset : offset + size]
                self.vm.set_region(WINDOW, gpa, memory, kvm.KVM_MEM_LOG_DIRTY_PAGES)
                self._window_log = kvm.DirtyLogReader(self.vm, WINDOW, size >> PAGE_SHIFT)

    def _collect_window(self) -> None:
        """The log of a window that goes away, into the slot."""
        if self._window is not None and self._window_log is not None:
            self._collect(self._window_log.read(), self._window[2])

    def _collect(self, words: NDArray[np.uint64], offset: int) -> None:
        if words.any():
            bits = np.unpackbits(words.view(np.uint8), bitorder="little")
            for page in np.flatnonzero(bits).tolist():
                self.bus.vga.slot.mark_dirty(offset + page * PAGE_SIZE, 1)

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        # After a sleep caches are cold: each function that is entered costs some 8 us, numpy's
        # more than the ioctls. So no more is done here than has to be.
        pages = 0
        self._slots_lock.acquire()
        try:
            if not (self._closed or self._given_up):
                lfb, window = self._lfb_log, self._window_log
                if lfb is not None:
                    lfb.read()
                    if lfb.bitmap != lfb.clean:
                        pages = int.from_bytes(lfb.bitmap, "little")
                if window is not None:
                    window.read()
                    if window.bitmap != window.clean:
                        pages |= int.from_bytes(window.bitmap, "little") << self._window_page
        except OSError as error:
            # The kernel does no more for a VM in which it found a fault of its own.
            self._given_up = True
            raise GuestFault(f"the kernel has given the VM up: {error.strerror}") from None
        finally:
            self._slots_lock.release()
        # Not under the lock: a keeper may wait for the end of an exit, which may want to remap. And
        # after the kernel's logs: what `_remap` has taken out of those is in the slot now.
        clean = 1 not in self._vram.maybe_dirty
        try:
            log = self._nothing_dirty if clean else keeper_harvest()
        except BaseException:
            self._collect(self._words(pages), 0)
            raise
        if not pages:
            return log
        first, end = (pages & -pages).bit_length() - 1, pages.bit_length()
        if pages >> first == (1 << end - first) - 1:
            found: DirtyLog = RunLog(log.npages, first, end)
        else:
            found = WordsLog(log.npages, self._words(pages))
        return found if clean else log | found

    def harvest_ram(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        return self._ram.harvest(keeper_harvest)

    def _words(self, pages: int) -> NDArray[np.uint64]:
        """A bit a page in KVM's layout."""
        nbytes = 8 * word_count(self._vram.npages)
        return np.frombuffer(pages.to_bytes(nbytes, "little"), np.uint64)

    def time_log_ioctls(self) -> int:
        """What the ioctls of a harvest cost alone, in ns; pages that they find are marked."""
        with self._slots_lock:
            readers = [log for log in (self._lfb_log, self._window_log) if log is not None]
            begin = time.perf_counter_ns()
            for reader in readers:
                reader.read()
            took = time.perf_counter_ns() - begin
            for reader in readers:
                first = self._window_page if reader is self._window_log else 0
                self._collect(reader.words, first << PAGE_SHIFT)
        return took

    def arrays(self) -> dict[str, Array]:
        try:
            arrays = self._state.arrays()
        except (OSError, ValueError) as error:  # given up, and perhaps closed by now
            raise CpuError(f"kvm: the state of the VM is lost: {error}") from None
        arrays["cpu.halted"] |= STOPPED * self.halted
        return arrays

    def refusal(self, arrays: Mapping[str, Array]) -> str | None:
        return self._state.refusal(arrays)

    def restore(self, arrays: Mapping[str, Array]) -> None:
        self._state.restore(arrays)
        self.halted = bool(arrays["cpu.halted"] & STOPPED)

    def close(self) -> None:
        if self._closed:
            return
        changed = self.bus.vga.on_map_changed
        if self._remap in changed:
            changed.remove(self._remap)
        self._ram.close()
        # A VM that is dead, or a parent's, has no log any more.
        with self._slots_lock:
            with suppress(OSError, KvmError):
                self._collect_window()
                if self._lfb_log is not None:
                    self._collect(self._lfb_log.read(), 0)
            self._closed = True
        self._kicker.join(1.0)
        self._run.close()
        self.vm.close()
