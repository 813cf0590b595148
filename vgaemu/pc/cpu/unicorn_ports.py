"""Ports of a Unicorn engine: IN and OUT as accesses to a bus, each at its own time.

Source: measured with Unicorn 2.1.4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from vgaemu.pc.bus import Bus
from vgaemu.pc.clock import PORT_NS, StepClock
from vgaemu.pc.cpu.unicorn_engine import Uc, unicorn
from vgaemu.pc.cpu.unicorn_vga import TlbHarvest

OnIn: TypeAlias = Callable[[Uc, int, int, object], int]
OnOut: TypeAlias = Callable[[Uc, int, int, int, object], None]


class PortHooks:
    """IN and OUT of one engine, answered by two functions."""

    def __init__(self, uc: Uc, on_in: OnIn, on_out: OnOut) -> None:
        """Hook them: both get the port and the size in bytes; `on_in` answers."""
        self._uc = uc
        add, instruction, x86 = uc.hook_add, unicorn.UC_HOOK_INSN, unicorn.x86_const
        self._hooks = [
            add(instruction, on_in, None, 1, 0, x86.UC_X86_INS_IN),
            add(instruction, on_out, None, 1, 0, x86.UC_X86_INS_OUT),
        ]

    def close(self) -> None:
        """Take the hooks out of the engine."""
        for hook in self._hooks:
            self._uc.hook_del(hook)
        self._hooks.clear()


class BusPorts:
    """IN and OUT as a PC's CPU does them: on its bus, and on its clock."""

    def __init__(self, bus: Bus, clock: StepClock, tlb: TlbHarvest) -> None:
        """`tlb` is flushed here, if somebody has asked for it."""
        self._bus, self._clock, self._tlb = bus, clock, tlb

    def on_in(self, uc: Uc, port: int, size: int, _: object) -> int:
        tlb = self._tlb
        if tlb.flush_asked:
            tlb.flush()
        self._clock.cost(PORT_NS)
        return self._bus.port_in(port, size)

    def on_out(self, uc: Uc, port: int, size: int, value: int, _: object) -> None:
        tlb = self._tlb
        if tlb.flush_asked:
            tlb.flush()
        self._clock.cost(PORT_NS)
        self._bus.port_out(port, size, value)
