"""Native code in place of an engine's hooks in Python, which stay for what that does not do.

Native code works on the engine's registers and the guest's memory where they lie, so it is used
only where the former are found; see `unicorn_context`.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Mapping
from typing import Any

from vgaemu.native import cpu_cells as c
from vgaemu.native.shared import address_of
from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu.unicorn_blocks import BlockCount, Translations, ask_last, places, remap
from vgaemu.pc.cpu.unicorn_context import Context
from vgaemu.pc.cpu.unicorn_engine import InstructionCount, Uc, hook_native, library, unicorn
from vgaemu.pc.cpu.unicorn_pages import NOTHING_AT
from vgaemu.pc.cpu.unicorn_tlb import before_registers
from vgaemu.pc.cpu.unicorn_vga import VramPages
from vgaemu.vga.vram import LFB_GPA


class CpuCells:
    """What native code of one CPU and Python share; see `vgaemu.native.cpu_cells`."""

    def __init__(self) -> None:
        #: The numbers; they stay where they are.
        self.numbers: memoryview[int] = memoryview(array("q", bytes(8 * c.CELLS)))
        #: What native code has been told of, and its words are kept by.
        self._kept: list[Any] = []

    def tell(self, context: Context, bus: Bus, code: bytearray, clock: memoryview[int]) -> None:
        """Where things lie; none of it moves as long as the CPU is there."""
        word = (ctypes.c_uint64 * 1)()
        self._kept += [context, bus, code, clock, word]
        slot = bus.vga.slot
        for cell, value in {
            c.ENV: ctypes.addressof(context.loaded),
            c.RAISED: ctypes.addressof(context.raised),
            c.CALLS: ctypes.addressof(context.calls),
            c.RAM: address_of(bus.memory),
            c.RAM_BYTES: bus.ram_bytes,
            c.CODE: address_of(code),
            c.STORED: address_of(bus.stored),
            c.CLOCK: address_of(clock),
            c.LFB: LFB_GPA,
            c.LFB_END: LFB_GPA + slot.nbytes,
            c.READ_REGISTER: _function("uc_reg_read"),
            c.CONTROL: _function("uc_ctl"),
            c.WORD: ctypes.addressof(word),
        }.items():
            self.numbers[cell] = value

    def count_blocks(
        self, uc: Uc, context: Context, before: InstructionCount, vram: VramPages,
        translations: Translations, functions: Mapping[str, int],
    ) -> BlockCount | None:  # fmt: skip
        """Between two slices, after `tell`: let native code count instructions by blocks.

        It runs REP STOS and REP MOVS, too. None: it cannot. No page is to be found meanwhile.
        """
        distance, count = before_registers(), BlockCount(self.numbers)
        if not distance or places() is None:
            return None
        for at, size in vram.asked_at:
            self._kept += ask_last(uc, at, size, functions, self.numbers)
        nothing = functions["nothing.read"], functions["nothing.write"]
        for at, size in NOTHING_AT:
            remap(uc, at, size, *nothing, address_of(self.numbers))
        if not count.count(uc, context, before, translations, functions):
            return None
        self.numbers[c.TLB] = ctypes.addressof(context.loaded) - distance
        self.numbers[c.PLANES] = vram.count_blocks(self.numbers)
        return count

    def hook(
        self,
        uc: Uc,
        raised: int,
        system_call: int,
        vram: VramPages,
        functions: Mapping[str, int],
    ) -> None:
        """Between two slices: have native code called first, when all has been told.

        `raised` and `system_call` are hooks in Python, of interrupts and of SYSCALL, which are
        called by native code from now on.
        """
        at, number = address_of(self.numbers), unicorn.x86_const.UC_X86_INS_SYSCALL
        for hook, cell in ((raised, c.DELIVER), (system_call, c.SYSTEM_CALL)):
            callback = uc._callbacks[hook]
            self._kept.append(callback)
            self.numbers[cell] = ctypes.cast(callback, ctypes.c_void_p).value or 0
            uc.hook_del(hook)
        hook_native(uc, unicorn.UC_HOOK_INTR, functions["interrupt"], at)
        hook_native(uc, unicorn.UC_HOOK_INSN, functions["system_call"], at, number)
        vram.share_fills(self.numbers)
        # Of these the engine asks one after another.
        vram.fill_after(lambda: hook_native(uc, unicorn.UC_HOOK_TLB_FILL, functions["fill"], at))


def _function(name: str) -> int:
    return ctypes.cast(getattr(library(), name), ctypes.c_void_p).value or 0
