"""The pages of a PC in a Unicorn engine, which asks for each that it does not know.

Emulated: linear addresses through the guest's page tables as `mmu` says, RAM, ROM, the VGA's memory
as `unicorn_vga` has it, an open bus elsewhere. Not emulated: A20 off.

The engine's TLB is a *virtual* one: it leaves the guest's page tables alone, and takes for any page
what `Pages.fill` says, until it is flushed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.bus import ROM_END, ROM_START, VGA_START, Bus
from vgaemu.pc.clock import PLANES_NS, StepClock
from vgaemu.pc.cpu import unicorn_engine as engine
from vgaemu.pc.cpu.cpu import PROTECTED
from vgaemu.pc.cpu.mmu import PAGING, PageFault, translate
from vgaemu.pc.cpu.unicorn_context import Context, Env
from vgaemu.pc.cpu.unicorn_engine import ALL, FETCH, RW, RX, WRITE, Uc
from vgaemu.pc.cpu.unicorn_memory import LinearMemory
from vgaemu.pc.cpu.unicorn_tasks import TASK_SWITCHED, mend_switch

#: Engine-physical page and permissions of a guest page for an access, or None.
Window: TypeAlias = Callable[[int, int], tuple[int, int] | None]

#: Where in Unicorn's own physical space the other ranges lie that are served by the bus; RAM is at
#: 0.
ROM_AT = 0xF010_0000
OPEN_AT = 0xF020_0000
#: Where a slice would end by address: the last byte of ROM, which holds no instruction. Unicorn
#: looks it up after each slice, so it must be memory.
NEVER = ROM_END - 1
#: What a fill of the TLB costs the host (measured), where the guest's clock sees little of it.
FILL_NS = 6_000
_PAGE = -PAGE_SIZE & 0xFFFF_FFFF


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
    ) -> None:
        """Map RAM as it is; ROM that is written to, and what is nowhere, as MMIO.

        Registers are changed by a `context` that nobody uses in a fill; `worked` is told what a
        fill costs.
        """
        self._uc, self._bus = uc, bus
        self._memory, self._context = memory, context
        self._worked = worked
        #: The VGA's memory; who has it puts it here.
        self.window: Window = lambda page, access: None
        #: RAM pages that hold translated code, by address.
        self.code: set[int] = set()
        #: The guest fetched from where there is no memory; its page tables forbade an access.
        self.lost = False
        self.fault: PageFault | None = None
        #: CR0 when a page was asked for last; the guest has set it to what cannot be since.
        self.cr0 = 0x10
        self.cr0_refused = False
        self._map(clock.cost)
        bus.on_memory_written.append(self._written)

    def _map(self, cost: Callable[[int], None]) -> None:
        uc, bus = self._uc, self._bus
        uc.mem_map_ptr(0, bus.ram_bytes, ALL, bus.array.ctypes.data)

        def rom_read(uc: Uc, offset: int, size: int, _: object) -> int:
            cost(PLANES_NS)
            at = ROM_START + offset
            return int.from_bytes(bus.memory[at : at + size], "little")

        def open_read(uc: Uc, offset: int, size: int, _: object) -> int:
            cost(PLANES_NS)
            return (1 << 8 * size) - 1

        def ignore(uc: Uc, offset: int, size: int, value: int, _: object) -> None:
            cost(PLANES_NS)

        uc.mmio_map(ROM_AT, ROM_END - ROM_START, rom_read, None, ignore, None)
        uc.mmio_map(OPEN_AT, PAGE_SIZE, open_read, None, ignore, None)

    def fill(self, uc: Uc, address: int, access: int, result: Any, _: object) -> bool:
        """The engine's hook: which physical page a linear one is, and what may be done with it."""
        self._worked(FILL_NS)
        page, writable = address & _PAGE, True
        env = self._memory.look()
        cr0 = env.cr[0]
        if cr0 & TASK_SWITCHED and cr0 & PROTECTED:
            mend_switch(self._context, self._memory)
        if cr0 & PAGING:
            if not cr0 & PROTECTED:
                self.cr0_refused = True
                return False
            try:
                page, writable = self._translate(env, address & 0xFFFF_FFFF, access)
            except PageFault as fault:
                self.fault = fault
                return False
        self.cr0 = cr0
        if not self._place(page, access, result):
            return False
        if not writable:
            result.perms &= RX
        return True

    def _translate(self, env: Env, address: int, access: int) -> tuple[int, bool]:
        """Through the guest's page tables; see `translate`."""
        write, memory, control = access == WRITE, self._bus.memory, env.control()
        user, stored = env.level == 3, self._bus.stored
        try:
            return translate(memory, control, address, write=write, user=user, mark=stored)
        except PageFault:
            page = address & _PAGE
            if user and _holds_descriptors(env, page) and self._memory.uses_descriptors():
                # Loading a segment, the processor reads as the supervisor that it is.
                return translate(memory, control, address, write=write, mark=stored)
            if page != NEVER & _PAGE or access != FETCH or self._memory.code_at() & _PAGE == page:
                raise
            return page, False  # not the guest: the engine looks where the slice would end

    def _place(self, page: int, access: int, result: Any) -> bool:
        """Where a physical page lies in the engine's own physical space."""
        bus = self._bus
        if (
            page < VGA_START
            or ROM_END <= page < bus.ram_bytes
            or (ROM_START <= page < ROM_END and bus.rom_writable)
        ):
            result.paddr = page
            if access == FETCH:
                self.code.add(page)
            rights = ALL if page in self.code else RW
            if access == WRITE:
                # The store lands after this, and before anybody harvests: see `Bus.log_ram`.
                bus.stored[page // PAGE_SIZE] = 1
            elif not bus.stored[page // PAGE_SIZE]:
                rights &= RX
            result.perms = rights
            return True
        place = self.window(page, access)
        if place is not None:
            result.paddr, result.perms = place
            return True
        if ROM_START <= page < ROM_END:
            if access == WRITE:
                result.paddr, result.perms = ROM_AT + page - ROM_START, RW
            else:
                result.paddr, result.perms = page, RX
                self.code.add(page)
            return True
        if access == FETCH:
            self.lost = True
            return False  # nothing to execute: the run ends
        result.paddr, result.perms = OPEN_AT, RW
        return True

    def _written(self, gpa: int, count: int) -> None:
        """Drop translated code that was overwritten."""
        pages = self.code.intersection(range(gpa & _PAGE, gpa + count, PAGE_SIZE))
        if pages and self._memory.look().control().paging:
            # The engine wants linear addresses here, and there may be several.
            self._uc.ctl(*engine.FLUSH_CODE)
            return
        for page in pages:
            self._uc.ctl_remove_cache(max(page, gpa), min(page + PAGE_SIZE, gpa + count))

    def forget_code(self) -> None:
        """All of it was replaced."""
        self._uc.ctl(*engine.FLUSH_CODE)
        self.code.clear()

    def close(self) -> None:
        """Listen no more."""
        self._bus.on_memory_written.remove(self._written)
