"""The loop that a Unicorn engine is in, for `spin`: what code lies around the IN in hand."""

from __future__ import annotations

import ctypes

from vgaemu.native.shared import LOOP_BYTES, LoopState
from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu import spin
from vgaemu.pc.cpu.mmu import PAGING, linear_reader
from vgaemu.pc.cpu.unicorn_context import (
    BASE,
    CODE32,
    CR_AT,
    CS,
    EFLAGS_AT,
    EIP_AT,
    GENERAL_AT,
    HFLAGS_AT,
    SELECTOR_AT,
    Context,
)
from vgaemu.vga.beam import STATUS_BITS, STATUSES

_EDX = 2


class LoopInHand:
    """Looked at in the hook of an IN."""

    def __init__(self, bus: Bus, context: Context) -> None:
        """Look into an engine by a `context` that nobody else changes."""
        self._bus, self._context = bus, context
        #: What native code that looks knows of loops.
        self.state = LoopState()
        # Each of these is made anew where it is asked for, and a guest asks twice a line.
        self._env = env = context.load()
        self._cs, self._registers, self._control = env.segs[CS], env.regs, env.cr
        if context.in_place:
            self._show(ctypes.addressof(env))

    def _show(self, env: int) -> None:
        """Tell native code where registers and RAM are."""
        state, bus = self.state, self._bus
        state.eip, state.hflags = env + 4 * EIP_AT, env + 4 * HFLAGS_AT
        state.eflags = env + 4 * EFLAGS_AT
        state.cs_base = env + 4 * (SELECTOR_AT[CS] + BASE)
        state.edx, state.cr0 = env + 4 * GENERAL_AT["edx"], env + 4 * CR_AT
        state.ram, state.ram_bytes = bus.array.ctypes.data, bus.ram_bytes

    def stays(self) -> frozenset[int]:
        """For which answers of input status 1 it does nothing but ask again."""
        self._context.load()
        env = self._env
        begin = self._cs.base + env.eip - spin.BEFORE
        count = spin.BEFORE + 1 + spin.AFTER
        if begin < 0 or self._control[0] & PAGING:
            read = linear_reader(self._bus.memory, env.control())
            code = read(max(begin, 0), count)
        else:
            begin &= self._bus.a20
            code = bytes(self._bus.memory[begin : begin + count])
        port, wide = self._registers[_EDX] & 0xFFFF, bool(env.hflags & CODE32)
        found = spin.stays(code, port, STATUSES, STATUS_BITS, wide=wide)
        if len(code) == LOOP_BYTES:
            bits = sum(1 << answer for answer in found)
            self.state.remember(code, port | wide << 16, bits)
        return found
