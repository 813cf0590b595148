"""The pages of a PC in a Unicorn engine, which asks for each that it does not know.

Emulated: linear addresses through the guest's page tables as `mmu` says, RAM, ROM, the VGA's memory
as `unicorn_vga` has it, an open bus elsewhere; all of it through the A20 gate. Not emulated: page
tables behind a closed one. Code close before a page that is not there: `unicorn_ahead`.

The engine's TLB is a *virtual* one: it leaves the guest's page tables alone, and takes for any page
what `Pages.fill` says, until it is flushed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from vgaemu.memslot.bitmap import PAGE_SHIFT, PAGE_SIZE
from vgaemu.native.cpu_cells import A20, CR0, FILL_NS, NEXT, OPEN_AT, PHYSICAL, ROM_AT, ROM_WRITABLE
from vgaemu.pc.bus import ROM_END, ROM_START, VGA_START, Bus
from vgaemu.pc.clock import PLANES_NS, StepClock
from vgaemu.pc.cpu import unicorn_engine as engine
from vgaemu.pc.cpu.cpu import PROTECTED
from vgaemu.pc.cpu.mmu import PAGING, PageFault, translate
from vgaemu.pc.cpu.unicorn_context import (
    CR_AT,
    HFLAGS_AT,
    LEVEL,
    LONG,
    Context,
    Env,
    control_of,
    flags_are_whole,
)
from vgaemu.pc.cpu.unicorn_engine import ALL, FETCH, RW, RX, WRITE, Uc, unicorn
from vgaemu.pc.cpu.unicorn_memory import LinearMemory
from vgaemu.pc.cpu.unicorn_tasks import TASK_SWITCHED, mend_switch

#: Engine-physical page and permissions of a guest page for an access, or None.
Window: TypeAlias = Callable[[int, int], tuple[int, int] | None]

#: Where a slice would end by address: the last byte of ROM, which holds no instruction. Unicorn
#: looks it up after each slice, so it must be memory.
NEVER = ROM_END - 1
_PAGE = -PAGE_SIZE & 0xFFFF_FFFF
#: What of the engine's physical space is for stores to ROM, and for what is nowhere: begin, size.
NOTHING_AT = (ROM_AT, ROM_END - ROM_START), (OPEN_AT, PAGE_SIZE)


def _holds_descriptors(env: Env, page: int) -> bool:
    tables = (env.gdt, env.ldt, env.idt, env.tr)
    return any(table.base - PAGE_SIZE < page <= table.base + table.limit for table in tables)


class Pages:
    """Linear pages of one engine, found and given rights."""

    def __init__(
        self,
        uc: Uc,
        bus: Bus,
        clock: StepClock,
        memory: LinearMemory,
        context: Context,
        worked: Callable[[int], None],
        cells: memoryview[int],
    ) -> None:
        """Map RAM as it is; ROM that is written to, and what is nowhere, as MMIO.

        Registers are changed by a `context` that nobody uses in a fill; `worked` is told what a
        fill costs.
        """
        self._uc, self._bus, self._drop = uc, bus, engine.code_dropper(uc)
        self._memory, self._context = memory, context
        self._worked = worked
        self._ram_bytes = bus.ram_bytes
        self._words, self._in_place = memory.words, memory.in_place
        #: The VGA's memory; who has it puts it here.
        self.window: Window = lambda page, access: None
        #: A byte a page of memory: 1 if it holds translated code.
        self.code = bytearray(bus.ram_bytes >> PAGE_SHIFT)
        #: Where the guest fetched from where there is no memory; its page tables forbade an access.
        self.lost: int | None = None
        self.fault: PageFault | None = None
        #: The latter as it fetched.
        self.fault_in_fetch = False
        #: No page is to be found: it is not the guest that asks.
        self.refuses = False
        #: The guest has set CR0 to what cannot be.
        self.cr0_refused = False
        #: What native code shares.
        self._cells = cells
        cells[CR0] = 0x10
        self._a20_changed()
        self._map(clock.cost)
        bus.on_memory_written.append(self._written)
        bus.on_protection_changed.append(self._protection_changed)
        bus.on_a20_changed.append(self._a20_changed)

    def _map(self, cost: Callable[[int], None]) -> None:
        uc, bus = self._uc, self._bus
        uc.mem_map_ptr(0, bus.ram_bytes, ALL, bus.array.ctypes.data)

        def open_read(uc: Uc, offset: int, size: int, _: object) -> int:
            cost(PLANES_NS)
            return (1 << 8 * size) - 1

        def ignore(uc: Uc, offset: int, size: int, value: int, _: object) -> None:
            cost(PLANES_NS)

        for at, size in NOTHING_AT:
            uc.mmio_map(at, size, open_read, None, ignore, None)

    def fill(self, uc: Uc, address: int, access: int, result: Any, _: object) -> bool:
        """The engine's hook: which physical page a linear one is, and what may be done with it."""
        if PHYSICAL <= address < 2 * PHYSICAL and access == FETCH:
            result.paddr, result.perms = address - PHYSICAL, RX
            return True
        if self.refuses:
            return False
        self._worked(FILL_NS)
        page, kept = address & _PAGE, ALL
        env = self._words
        self._look(access)
        cr0 = env[CR_AT]
        if cr0 & TASK_SWITCHED and cr0 & PROTECTED and not env[HFLAGS_AT] & LONG:
            mend_switch(self._context, self._memory)
        if cr0 & PAGING:
            if not cr0 & PROTECTED:
                self.cr0_refused = True
                return False
            try:
                page, kept = self._translate(address, access)
            except PageFault as fault:
                self.fault, self.fault_in_fetch = fault, access == FETCH
                return False
        self._cells[CR0] = cr0
        page &= self._bus.a20
        if page < VGA_START or ROM_END <= page < self._ram_bytes:
            result.paddr, perms = page, self._rights(page >> PAGE_SHIFT, access)
        else:
            place = self._place(page, access)
            if place is None:  # nothing to execute: the run ends
                self.lost = address
                return False
            result.paddr, perms = place
        result.perms = perms & kept
        return True

    def _look(self, access: int) -> None:
        """What registers hold in the instruction that asks for a page."""
        if not self._in_place:
            self._memory.look()
        if access == FETCH or self._cells[NEXT]:
            return
        flags_are_whole(self._words)  # each instruction is counted
        if not self._in_place:
            self._context.load()
            flags_are_whole(self._context.words)
            self._context.store()

    def _translate(self, address: int, access: int) -> tuple[int, int]:
        """Through the guest's page tables, see `translate`; and the permissions that it leaves."""
        write, memory, words = access == WRITE, self._bus.memory, self._words
        control, stored, fetch = control_of(words), self._bus.stored, access == FETCH
        address &= control.linear
        user = words[HFLAGS_AT] & LEVEL == 3
        try:
            page = translate(
                memory, control, address, write=write, fetch=fetch, user=user, mark=stored
            )
        except PageFault:
            at = address & -PAGE_SIZE
            tables = user and _holds_descriptors(self._memory.env, at)
            if tables and self._memory.uses_descriptors():
                # Loading a segment, the processor reads as the supervisor that it is.
                page = translate(memory, control, address, write=write, mark=stored)
            elif at != NEVER & _PAGE or not fetch or self._memory.code_at() & -PAGE_SIZE == at:
                raise
            else:
                return at, RX  # not the guest: the engine looks where the slice would end
        return page.at, (ALL if page.writable else RX) & (ALL if page.executable else RW)

    def _rights(self, number: int, access: int) -> int:
        """What may be done with a page of RAM."""
        stored = self._bus.stored
        if access == FETCH:
            self.code[number] = 1
        rights: int = ALL if self.code[number] else RW
        if access == WRITE:
            # The store lands after this, and before anybody harvests: see `Bus.log_ram`.
            stored[number] = 1
        elif not stored[number]:
            rights &= RX
        return rights

    def _place(self, page: int, access: int) -> tuple[int, int] | None:
        """Where a physical page that is no RAM lies in the engine, and what may be done there."""
        if not ROM_START <= page < ROM_END:
            place = self.window(page, access)
            if place is not None:
                return place
            return None if access == FETCH else (OPEN_AT, RW)
        number = page >> PAGE_SHIFT
        if self._bus.rom_writable:
            return page, self._rights(number, access)
        if access == WRITE:
            # A load asks anew, and finds ROM as it is: no matter what was tried before.
            return ROM_AT + page - ROM_START, unicorn.UC_PROT_WRITE
        self.code[number] = 1
        return page, RX

    @property
    def cr0(self) -> int:
        """CR0 when a page was asked for last."""
        return self._cells[CR0]

    def _protection_changed(self) -> None:
        self._cells[ROM_WRITABLE] = self._bus.rom_writable

    def _a20_changed(self) -> None:
        self._cells[A20] = self._bus.a20

    def _written(self, gpa: int, count: int) -> None:
        """Drop translated code that was overwritten."""
        first, last = gpa >> PAGE_SHIFT, gpa + count - 1 >> PAGE_SHIFT
        if first == last:
            if self.code[first]:
                self._drop(PHYSICAL + gpa, PHYSICAL + gpa + count)
            return
        for number in range(first, last + 1):
            if self.code[number]:
                begin, end = number << PAGE_SHIFT, number + 1 << PAGE_SHIFT
                begin, end = max(begin, gpa), min(end, gpa + count)
                self._drop(PHYSICAL + begin, PHYSICAL + end)

    def forget_code(self) -> None:
        """All of it was replaced."""
        self._uc.ctl(*engine.FLUSH_CODE)
        self.code[:] = bytes(len(self.code))

    def close(self) -> None:
        """Listen no more."""
        self._bus.on_memory_written.remove(self._written)
        self._bus.on_protection_changed.remove(self._protection_changed)
        self._bus.on_a20_changed.remove(self._a20_changed)
