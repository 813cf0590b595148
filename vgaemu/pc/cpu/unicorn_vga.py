"""VRAM inside a Unicorn engine: windows as translations, write faults as TLB fills, its harvest.

Emulated: what a hypervisor's MMU does for a logged memory slot. A page of VRAM is read-only in the
engine's virtual TLB until the first store to it; that asks `VramPages.translate`, which marks the
page in the slot and opens it, as KVM's write fault does. What only goes through the planes is MMIO.

A harvest snapshots, clears and protects in the slot, then flushes this TLB, and must do so between
two instructions of the guest: one that another thread asks for while pages are open is carried out
by the CPU's own thread, at the end of its slice or at its next port access, whatever comes first.
Where neither comes in time the harvest is put off: nothing is reported, and nothing is cleared.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from vgaemu.errors import AttachError
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.memslot.log import DirtyLog
from vgaemu.pc.bus import VGA_END, VGA_START
from vgaemu.pc.cpu.unicorn_engine import ALL, FETCH, FLUSH_TLB, RW, RX, WRITE, Uc, unicorn
from vgaemu.vga.device import LFB_GPA, Vga

#: Where in Unicorn's own physical space the planes lie as MMIO; VRAM itself is where the linear
#: frame buffer is.
PLANES_AT = 0xF000_0000
#: The same for the linear frame buffer while it is not plain memory: a tape records every store.
RECORDED_LFB_AT = 0x2_0000_0000
_PAGE = -PAGE_SIZE & (1 << 64) - 1
#: A harvest waits so long for the CPU's thread. Slices end after some 10 ms, so only work on the
#: host keeps it busy for longer, perhaps for ever; a display must stay alive beside that.
PATIENCE_S = 0.15


def places(vga: Vga) -> tuple[tuple[int, int], ...]:
    """What of an engine's physical space a device takes: begin and size."""
    planes = VGA_END - VGA_START
    return (LFB_GPA, vga.slot.nbytes), (PLANES_AT, planes), (RECORDED_LFB_AT, vga.slot.nbytes)


def check_engine(uc: Uc, vga: Vga) -> None:
    """Find out whether `VramPages` can be made.

    Raises:
        AttachError: It cannot.
    """
    if not isinstance(uc, Uc):
        raise AttachError(f"a VGA is attached to a unicorn.Uc, not to a {type(uc).__name__}")
    if uc.query(unicorn.UC_QUERY_ARCH) != unicorn.UC_ARCH_X86:
        raise AttachError("only an x86 engine takes a VGA: UC_ARCH_X86")
    for start, last, _ in uc.mem_regions():
        for at, size in places(vga):
            if start < at + size and at <= last:
                raise AttachError(
                    f"the VGA lies at {at:X}h-{at + size - 1:X}h, where {start:X}h-{last:X}h is "
                    "mapped already; map that elsewhere"
                )


class TlbHarvest:
    """Lets any thread harvest beside a CPU whose TLB only its own thread may flush.

    Two facts decide what a harvest does, and one lock guards both: whether the CPU is in guest
    code, and whether its TLB holds a VRAM page that can be written without a fault.
    """

    def __init__(self, flush: Callable[[], None], nothing_dirty: DirtyLog) -> None:
        #: Flushes the TLB; called on the CPU's thread only.
        self._flush = flush
        #: The answer to a harvest that was put off.
        self._nothing_dirty = nothing_dirty
        self._mmu_lock = threading.Lock()
        self._running = False
        self._open = False
        self._stale = False
        self._thread = 0
        #: A harvest that another thread waits for; the CPU's thread looks here between
        #: instructions.
        self.request: Callable[[], DirtyLog] | None = None
        self._answer: DirtyLog | Exception | None = None
        self._answered = threading.Semaphore(0)
        #: How long each flush took, in nanoseconds, for who puts a list here: a benchmark.
        self.flushes_ns: list[int] | None = None

    def _flush_now(self) -> None:
        if self.flushes_ns is None:
            self._flush()
            return
        begin = perf_counter_ns()
        self._flush()
        self.flushes_ns.append(perf_counter_ns() - begin)

    def enter(self) -> None:
        """The CPU's thread is about to execute guest code."""
        with self._mmu_lock:
            self._thread = threading.get_ident()
            self._running = True
            stale, self._stale = self._stale, False
        if stale:
            self._flush_now()

    def leave(self) -> None:
        """It has stopped executing; what was asked meanwhile is answered."""
        with self._mmu_lock:
            self._running = False
        self.serve()

    def page_opened(self) -> None:
        """A VRAM page is about to become writable in the TLB."""
        if not self._open:
            with self._mmu_lock:
                self._open = True

    def map_changed(self) -> None:
        """Windows moved: no translation is right any more."""
        with self._mmu_lock:
            here = self._running and self._thread == threading.get_ident()
            self._stale = not here
            # Pages stay open until the flush has happened.
        if here:
            self._flush_now()

    def serve(self) -> None:
        """On the CPU's thread, between two instructions: answer who waits for a harvest."""
        if self.request is None:
            return
        request = self._take_request()
        if request is not None:
            try:
                self._answer = self._harvest_here(request)
            except Exception as error:  # it is the asker's
                self._answer = error
            finally:
                self._answered.release()

    def _take_request(self) -> Callable[[], DirtyLog] | None:
        """The harvest that is asked for, for the one thread that gets it here."""
        with self._mmu_lock:
            request, self.request = self.request, None
            return request

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        """Snapshot, clear, protect, flush; on any thread, one at a time.

        If the CPU's thread does not come to it within `PATIENCE_S`, nothing has happened, and
        nothing is dirty: what was written comes with a later harvest.
        """
        with self._mmu_lock:
            if not self._running or not self._open:
                log = keeper_harvest()
                if log and self._open:
                    self._open = False
                    self._stale = True  # flushed before the next instruction
                return log
            asked = self._thread != threading.get_ident()
            if asked:
                self._answer = None
                self.request = keeper_harvest
        if not asked:
            return self._harvest_here(keeper_harvest)
        if not self._answered.acquire(timeout=PATIENCE_S):
            if self._take_request() is not None:
                return self._nothing_dirty
            self._answered.acquire()  # it has just begun
        answer = self._answer
        if isinstance(answer, DirtyLog):
            return answer
        raise answer or RuntimeError("the CPU's thread was stopped in a harvest")

    def _harvest_here(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        log = keeper_harvest()
        if log:
            with self._mmu_lock:
                self._open = False
                here = self._running
                self._stale = not here
            if here:
                self._flush_now()
        return log


class VramPages:
    """The VGA's memory in one engine, which asks for it page by page."""

    def __init__(
        self,
        uc: Uc,
        vga: Vga,
        on_in: Callable[[Uc, int, int, object], int],
        on_out: Callable[[Uc, int, int, int, object], None],
        *,
        fill: Callable[[Uc, int, int, Any, object], bool] | None = None,
        planes_touched: Callable[[int], None] = lambda size: None,
    ) -> None:
        """Map VRAM and planes, hook ports and the virtual TLB, which `fill` fills instead of this.

        `planes_touched` is called for each store and load through the planes, with its bytes.

        Raises:
            UcError: Something is mapped there already.
        """
        self._uc: Uc | None = uc
        self._vga = vga
        self.tlb = TlbHarvest(self.flush, vga.slot.nothing_dirty)
        uc.mem_map_ptr(LFB_GPA, vga.slot.nbytes, ALL, vga.slot.array.ctypes.data)
        load, store = vga.load, vga.store

        def read(uc: Uc, offset: int, size: int, start: int) -> int:
            planes_touched(size)
            return int.from_bytes(load(start + offset, size), "little")

        def write(uc: Uc, offset: int, size: int, value: int, start: int) -> None:
            planes_touched(size)
            store(start + offset, (value & (1 << 8 * size) - 1).to_bytes(size, "little"))

        _, *mmio = self._mapped = places(vga)
        for (at, size), start in zip(mmio, (VGA_START, LFB_GPA), strict=True):
            uc.mmio_map(at, size, read, start, write, start)
        uc.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
        add, instruction, x86 = uc.hook_add, unicorn.UC_HOOK_INSN, unicorn.x86_const
        self._hooks = [
            add(unicorn.UC_HOOK_TLB_FILL, fill or self._fill),
            add(instruction, on_in, None, 1, 0, x86.UC_X86_INS_IN),
            add(instruction, on_out, None, 1, 0, x86.UC_X86_INS_OUT),
        ]
        vga.on_map_changed.append(self.tlb.map_changed)

    def _fill(self, uc: Uc, address: int, access: int, result: Any, _: object) -> bool:
        page = address & _PAGE
        # What is mapped elsewhere, and for what, the engine finds out itself: so it calls a
        # script's hooks for unmapped and protected memory, and its errors are the usual ones.
        result.paddr, result.perms = self.translate(page, access) or (page, ALL)
        return True

    def flush(self) -> None:
        """Forget all translations."""
        if self._uc is not None:
            self._uc.ctl(*FLUSH_TLB)

    def translate(self, page: int, access: int) -> tuple[int, int] | None:
        """Engine-physical page and permissions of a guest page; None if it is not the VGA's."""
        vga = self._vga
        offset = vga.window(page)
        if offset is not None:
            if access != WRITE:
                return LFB_GPA + offset, RX
            # The store lands after this; no harvest comes between, see `TlbHarvest`.
            self.tlb.page_opened()
            vga.slot.mark_dirty(offset, 1)
            return LFB_GPA + offset, ALL
        if VGA_START <= page < VGA_END and access != FETCH:
            return PLANES_AT + page - VGA_START, RW
        if LFB_GPA <= page < LFB_GPA + vga.slot.nbytes and access != FETCH:
            return RECORDED_LFB_AT + page - LFB_GPA, RW
        return None

    def close(self) -> None:
        """Stop listening, take hooks and VRAM out of the engine, and let go of it."""
        if self._uc is not None:
            for at, size in self._mapped:
                self._uc.mem_unmap(at, size)
            for hook in self._hooks:
                self._uc.hook_del(hook)
            self._uc.ctl_set_tlb_mode(unicorn.UC_TLB_CPU)
        self._uc = None
        changed = self._vga.on_map_changed
        if self.tlb.map_changed in changed:
            changed.remove(self.tlb.map_changed)
