"""The loop that a Unicorn engine is in, for `spin`: what code lies around the IN in hand."""

from __future__ import annotations

from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu import spin
from vgaemu.pc.cpu.mmu import PAGING, linear_reader
from vgaemu.pc.cpu.unicorn_context import CODE32, CS, Context
from vgaemu.vga.beam import STATUS_BITS, STATUSES

_EDX = 2


class LoopInHand:
    """Looked at in the hook of an IN."""

    def __init__(self, bus: Bus, context: Context) -> None:
        """Look into an engine by a `context` that nobody else changes."""
        self._bus, self._context = bus, context
        # Each of these is made anew where it is asked for, and a guest asks twice a line.
        self._env = env = context.load()
        self._cs, self._registers, self._control = env.segs[CS], env.regs, env.cr

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
            code = bytes(self._bus.memory[begin : begin + count])
        port, wide = self._registers[_EDX] & 0xFFFF, bool(env.hflags & CODE32)
        return spin.stays(code, port, STATUSES, STATUS_BITS, wide=wide)
