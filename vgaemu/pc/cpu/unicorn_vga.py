"""VRAM inside a Unicorn engine: windows as translations, write faults as TLB fills, its harvest.

Emulated: what a hypervisor's MMU does for a logged memory slot. A page of VRAM is read-only in the
engine's virtual TLB until the first store to it; that asks `VramPages.translate`, which opens the
page and marks it in the slot, as KVM's write fault does. What only goes through the planes is MMIO.

The patch flushes TLBs inside the harvest; only the CPU's own thread may flush this one, between two
instructions. So a harvest by another thread does not wait for the flush, it asks for it. A page
that is *open* then, writable in this TLB, stays dirty: the next log has it once more, as have all
up to the first after the flush. One redraw too many at worst, never one too few.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Mapping
from time import perf_counter_ns
from typing import Any

from vgaemu.errors import AttachError
from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE, WORD_PAGES, word_count
from vgaemu.memslot.flags import FlagsKeeper
from vgaemu.memslot.log import DirtyLog, log_of_flags
from vgaemu.native import cells
from vgaemu.native.cpu_cells import (
    ASK,
    NATIVE_PLANES_AT,
    THROUGH_PLANES,
    VGA_CODE,
    VGA_KNOWN,
    VGA_LINEAR,
    VGA_MARKS,
    VGA_OPEN,
    VGA_PAGES,
)
from vgaemu.native.shared import address_of
from vgaemu.pc.bus import VGA_END, VGA_START
from vgaemu.pc.cpu.unicorn_engine import (
    ALL,
    FETCH,
    FLUSH_TLB,
    RW,
    RX,
    WRITE,
    Uc,
    map_native,
    unicorn,
)
from vgaemu.vga.device import Vga
from vgaemu.vga.shared_aperture import SharedAperture
from vgaemu.vga.vram import LFB_GPA

#: Where in Unicorn's own physical space the planes lie as MMIO, answered by Python (by native code:
#: `NATIVE_PLANES_AT`); VRAM itself is where the linear frame buffer is.
PLANES_AT = 0xF000_0000
#: The same for the linear frame buffer while it is not plain memory: a tape records every store.
RECORDED_LFB_AT = 0x2_0000_0000
_PAGE = -PAGE_SIZE & (1 << 64) - 1
LEGACY_PAGES = VGA_END - VGA_START >> PAGE_SHIFT


def places(vga: Vga) -> tuple[tuple[int, int], ...]:
    """What of an engine's physical space a device takes: begin and size."""
    planes = VGA_END - VGA_START
    frame_buffer = vga.slot.nbytes
    return (
        (LFB_GPA, frame_buffer), (PLANES_AT, planes), (NATIVE_PLANES_AT, planes),
        (RECORDED_LFB_AT, frame_buffer),
    )  # fmt: skip


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

    No store is lost. One to an open page lands after the page was marked, and either a harvest
    that has not returned yet took that mark, or one has returned without a flush since: it found
    the page open, so the next one reports it, and so on until the flush.
    """

    def __init__(self, flush: Callable[[], None], npages: int) -> None:
        #: Flushes the TLB; called on the CPU's thread only.
        self._flush = flush
        self._npages = npages
        #: Orders a harvest's look at the CPU and the CPU's way into guest code.
        self._mmu_lock = threading.Lock()
        self._running = False
        self._thread = 0
        #: One byte a page, 1 = open since the last flush. Only the CPU's thread writes here; native
        #: code of its does, too.
        self.open = bytearray(WORD_PAGES * word_count(npages))
        self._all_closed = bytes(self.open)
        #: Pages that were open beside the harvest before: the next one reports them.
        self._owed: DirtyLog | None = None
        #: Not 0: the CPU's thread, which looks here between two instructions, is to call `flush`.
        self.asked = bytearray(1)
        #: How long each flush took, in nanoseconds, for who puts a list here: a benchmark.
        self.flushes_ns: list[int] | None = None

    @property
    def flush_asked(self) -> bool:
        """See `asked`."""
        return bool(self.asked[0])

    @flush_asked.setter
    def flush_asked(self, asked: bool) -> None:
        self.asked[0] = asked

    def flush(self) -> None:
        """On the CPU's thread, between two instructions: close all pages."""
        # First: what is asked from now on may be asked for pages that were open before this.
        self.flush_asked = False
        self.open[:] = self._all_closed
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
        if self.flush_asked:
            self.flush()

    def leave(self) -> None:
        """It has stopped executing."""
        self._running = False

    def page_opened(self, page: int) -> None:
        """A VRAM page is about to become writable in the TLB; its mark comes after this."""
        self.open[page] = 1

    def map_changed(self) -> None:
        """Windows moved: no translation is right any more."""
        with self._mmu_lock:
            here = self._running and self._thread == threading.get_ident()
            # Pages stay open until the flush has happened.
            self.flush_asked = True
        if here:
            self.flush()

    def harvest(self, keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        """Snapshot, clear, protect, and flush or have flushed; on any thread, one at a time."""
        # Not under the lock: a keeper may wait for the CPU to end its slice.
        log = keeper_harvest()
        owed, self._owed = self._owed, None
        if 1 in self.open:
            # Not waited for: who has it is entering guest code, and perhaps without a processor.
            sure = self._mmu_lock.acquire(blocking=False)
            # A CPU that is not in guest code flushes before it is again: nothing is owed.
            self.flush_asked = True
            running = not sure or self._running
            here = sure and running and self._thread == threading.get_ident()
            if sure:
                self._mmu_lock.release()
            if here:
                self.flush()
            elif running:
                self._owed = log_of_flags(self._npages, self.open)
        return log if owed is None else log | owed

    def close(self) -> DirtyLog | None:
        """The CPU has stopped for ever: pages that the next harvest would have reported."""
        owed, self._owed = self._owed, None
        return owed


class VramPages:
    """The VGA's memory in one engine, which asks for it page by page."""

    def __init__(
        self,
        uc: Uc,
        vga: Vga,
        *,
        fill: Callable[[Uc, int, int, Any, object], bool] | None = None,
        planes_touched: Callable[[int], None] = lambda size: None,
    ) -> None:
        """Map VRAM and planes, hook the virtual TLB, which `fill` fills instead of this.

        `planes_touched` is called for each store and load through the planes, with its bytes.

        Raises:
            UcError: Something is mapped there already.
        """
        self._uc: Uc | None = uc
        self._vga = vga
        self.tlb = TlbHarvest(self.flush, vga.slot.npages)
        uc.mem_map_ptr(LFB_GPA, vga.slot.nbytes, ALL, vga.slot.array.ctypes.data)
        load, store = vga.load, vga.store

        def read(uc: Uc, offset: int, size: int, start: int) -> int:
            planes_touched(size)
            return int.from_bytes(load(start + offset, size), "little")

        def write(uc: Uc, offset: int, size: int, value: int, start: int) -> None:
            planes_touched(size)
            store(start + offset, (value & (1 << 8 * size) - 1).to_bytes(size, "little"))

        #: A byte a page of VRAM: 1 if it holds translated code.
        self._code = bytearray(vga.slot.npages)
        #: What `use_native` has, and the keeper that it marks in.
        self._native: SharedAperture | None = None
        self._functions: Mapping[str, int] = {}
        self._keeper: FlagsKeeper | None = None
        frame_buffer, planes, _, recorded = places(vga)
        self._mapped = [frame_buffer, planes, recorded]
        for (at, size), start in ((planes, VGA_START), (recorded, LFB_GPA)):
            uc.mmio_map(at, size, read, start, write, start)
        uc.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
        self._filler = fill or self._fill
        self._hook = uc.hook_add(unicorn.UC_HOOK_TLB_FILL, self._filler)
        #: What native code that fills the TLB shares, if it does, and what the legacy pages are;
        #: whether they have become others since.
        self._cells: memoryview[int] | None = None
        self._pages: memoryview[int] = memoryview(array("q", bytes(8 * LEGACY_PAGES)))
        self._moved = True
        vga.on_map_changed.append(self._map_changed)

    def _map_changed(self) -> None:
        self._moved = True
        self.tlb.map_changed()

    def use_native(self, functions: Mapping[str, int], time_at: int = 0, cost_ns: int = 0) -> None:
        """Let native code answer for the planes, wherever it does the same as Python.

        On the CPU's thread, between two slices.

        Args:
            functions: Their addresses; see `vgaemu.native.load`.
            time_at: Where the cells of `StepClock` lie; 0 without one.
            cost_ns: What it is told that 16 bits take.
        """
        uc, vga = self._uc, self._vga
        if self._native is not None or uc is None:
            return
        native = vga.share_planes()
        native.cells[cells.TIME], native.cells[cells.COST] = time_at, cost_ns
        _, _, planes, _ = places(vga)
        at = address_of(native.cells)
        map_native(uc, *planes, functions["planes.read"], functions["planes.write"], at)
        self._mapped.append(planes)
        self._native, self._functions = native, functions
        vga.slot.on_keeper_changed.append(self._map_changed)
        self._map_changed()

    @property
    def has_native(self) -> bool:
        """Whether native code answers for the planes where it may."""
        return self._native is not None

    def count_blocks(self, numbers: memoryview[int]) -> int:
        """Between two slices: instructions are counted by blocks, by native code told by these.

        Where the numbers lie that native code for the planes works on; 0: there is none.
        """
        if self._native is None:
            return 0
        self._native.cells[cells.COUNTED] = address_of(numbers)
        return address_of(self._native.cells)

    @property
    def asked_at(self) -> tuple[tuple[int, int], ...]:
        """What of the engine's physical space Python answers for: begin and size."""
        _, planes, _, recorded = places(self._vga)
        return planes, recorded

    def _is_native(self) -> bool:
        """Whether what is asked for now may be native code's; then it marks where it is to."""
        native, slot = self._native, self._vga.slot
        if native is None or native.cells[cells.KIND] < 0 or self._vga.tells_of_stores():
            return False
        keeper = slot.keeper
        if keeper is not self._keeper:
            # Of no other class: each has its own ways with marks.
            if type(keeper) is not FlagsKeeper:
                return False
            native.cells[cells.MARKS] = keeper.share(self._functions["marks.clear"])
            self._keeper = keeper
        return True

    def _fill(self, uc: Uc, address: int, access: int, result: Any, _: object) -> bool:
        page = address & _PAGE
        # What is mapped elsewhere, and for what, the engine finds out itself: so it calls a
        # script's hooks for unmapped and protected memory, and its errors are the usual ones.
        result.paddr, result.perms = self.translate(page, access) or (page, ALL)
        return True

    def fill_after(self, hook: Callable[[], object]) -> None:
        """Between two slices: have the engine ask another one first, which is hooked here."""
        if self._uc is not None:
            self._uc.hook_del(self._hook)
            hook()
            self._hook = self._uc.hook_add(unicorn.UC_HOOK_TLB_FILL, self._filler)

    def share_fills(self, numbers: memoryview[int]) -> None:
        """Between two slices, after `use_native`: let native code open pages, told by these."""
        for cell, memory in (
            (VGA_PAGES, self._pages), (VGA_OPEN, self.tlb.open), (VGA_CODE, self._code),
        ):  # fmt: skip
            numbers[cell] = address_of(memory)
        self._cells = numbers

    def _tell(self, numbers: memoryview[int]) -> None:
        """Native code may go on, by what is so now; who changes it has the TLB flushed."""
        if self._moved:
            self._moved = False
            vga, keeper = self._vga, self._vga.slot.keeper
            planes = THROUGH_PLANES if self._is_native() else ASK
            for number in range(LEGACY_PAGES):
                offset = vga.window(VGA_START + number * PAGE_SIZE)
                self._pages[number] = planes if offset is None else offset
            numbers[VGA_LINEAR] = vga.window(LFB_GPA) is not None
            marks = 0
            if type(keeper) is FlagsKeeper:
                marks = keeper.share(self._functions["marks.clear"])
            numbers[VGA_MARKS] = marks
        numbers[VGA_KNOWN] = 1

    def flush(self) -> None:
        """Forget all translations."""
        if self._cells is not None:
            self._cells[VGA_KNOWN] = 0
        if self._uc is not None:
            self._uc.ctl(*FLUSH_TLB)

    def translate(self, page: int, access: int) -> tuple[int, int] | None:
        """Engine-physical page and permissions of a guest page; None if it is not the VGA's."""
        vga = self._vga
        if self._cells is not None and not self._cells[VGA_KNOWN]:
            self._tell(self._cells)
        offset = vga.window(page)
        if offset is not None:
            number = offset >> PAGE_SHIFT
            if access == FETCH and not self._code[number]:
                self._code[number] = 1
                self.tlb.flush_asked = True  # it may be open by another address
            # What may be executed, the engine looks for code at each store to it.
            rights = ALL if self._code[number] else RW
            if access != WRITE:
                return LFB_GPA + offset, rights & RX
            # The store lands after this: a harvest between finds the page open, see `TlbHarvest`.
            self.tlb.page_opened(number)
            vga.slot.mark_dirty(offset, 1)
            return LFB_GPA + offset, rights
        if VGA_START <= page < VGA_END and access != FETCH:
            at = NATIVE_PLANES_AT if self._is_native() else PLANES_AT
            return at + page - VGA_START, RW
        if LFB_GPA <= page < LFB_GPA + vga.slot.nbytes and access != FETCH:
            return RECORDED_LFB_AT + page - LFB_GPA, RW
        return None

    def close(self) -> None:
        """Stop listening, take hook and VRAM out of the engine, and let go of it."""
        if self._uc is not None:
            for at, size in self._mapped:
                self._uc.mem_unmap(at, size)
            self._uc.hook_del(self._hook)
            self._uc.ctl_set_tlb_mode(unicorn.UC_TLB_CPU)
        self.let_go()

    def let_go(self) -> None:
        """Stop listening. The engine is freed next, and with it what is mapped in it."""
        self._uc = None
        for changed in (self._vga.on_map_changed, self._vga.slot.on_keeper_changed):
            if self._map_changed in changed:
                changed.remove(self._map_changed)
        for page in self.tlb.close() or ():
            self._vga.slot.mark_dirty(page * PAGE_SIZE, 1)
