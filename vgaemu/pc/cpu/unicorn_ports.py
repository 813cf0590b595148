"""Ports of a Unicorn engine: IN and OUT as accesses to a bus, each at its own time.

Native code (`vgaemu.native.ports`) answers what it can, once it is compiled, and asks Python for
the rest; whoever is told of each access, by a bus or a VGA of its own, has Python answer them all.
An engine calls for each element of INS and OUTS, too, with a prefix or without.

Source: measured with Unicorn 2.1.4.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from vgaemu.native.shared import LoopState, PortState, address_of
from vgaemu.pc.bus import Bus
from vgaemu.pc.clock import PORT_NS, StepClock
from vgaemu.pc.cpu.unicorn_context import Context
from vgaemu.pc.cpu.unicorn_engine import Uc, hook_native, unhook, unicorn
from vgaemu.pc.cpu.unicorn_memory import LinearMemory
from vgaemu.pc.cpu.unicorn_permission import Permission
from vgaemu.pc.cpu.unicorn_vga import TlbHarvest
from vgaemu.pc.guest_beam import GuestBeam
from vgaemu.vga.beam import Timing
from vgaemu.vga.device import Vga

OnIn: TypeAlias = Callable[[Uc, int, int, object], int]
OnOut: TypeAlias = Callable[[Uc, int, int, int, object], None]

_IN, _OUT = unicorn.x86_const.UC_X86_INS_IN, unicorn.x86_const.UC_X86_INS_OUT


class PortHooks:
    """IN and OUT of one engine, answered by two functions."""

    def __init__(self, uc: Uc, on_in: OnIn, on_out: OnOut) -> None:
        """Hook them: both get the port and the size in bytes; `on_in` answers."""
        self._uc = uc
        self._hooks = [
            uc.hook_add(unicorn.UC_HOOK_INSN, function, None, 1, 0, instruction)
            for function, instruction in ((on_in, _IN), (on_out, _OUT))
        ]
        #: What native code asks, kept alive.
        self._asked: list[Any] = []

    def go_native(self, functions: Mapping[str, int], state: PortState) -> None:
        """Have native code answer, which asks those that have so far."""
        hooks = tuple(self._hooks)
        self._asked = [self._uc._callbacks[hook] for hook in hooks]
        asked = [ctypes.cast(function, ctypes.c_void_p).value or 0 for function in self._asked]
        state.python_in, state.python_out = asked
        self.close()
        for name, instruction in (("port_in", _IN), ("port_out", _OUT)):
            hook = hook_native(
                self._uc, unicorn.UC_HOOK_INSN, functions[name], address_of(state), instruction
            )
            self._hooks.append(hook)

    def close(self) -> None:
        """Take the hooks out of the engine."""
        for hook in self._hooks:
            unhook(self._uc, hook)
        self._hooks.clear()


def _are_told_nothing(bus: Bus) -> bool:
    """Whether bus and VGA are nobody's own, who wants to know of each access."""
    vga = bus.vga
    methods = (
        (bus.port_in, Bus.port_in), (bus.port_out, Bus.port_out),
        (vga.inb, Vga.inb), (vga.outb, Vga.outb), (vga.inw, Vga.inw), (vga.outw, Vga.outw),
    )  # fmt: skip
    return all(getattr(method, "__func__", None) is usual for method, usual in methods)


class BusPorts:
    """IN and OUT as a PC's CPU does them: on its bus, and on its clock."""

    def __init__(
        self, uc: Uc, bus: Bus, clock: StepClock, tlb: TlbHarvest, loops: LoopState,
        memory: LinearMemory, context: Context,
    ) -> None:  # fmt: skip
        """Hook them. `tlb` is flushed here, if somebody has asked for it."""
        self._loops = loops
        self.permission = Permission(memory, context, lambda: clock.due(clock.now_ns()))
        self._bus, self._vga, self._clock, self._tlb = bus, bus.vga, clock, tlb
        self._hooks = PortHooks(uc, self.on_in, self.on_out)
        #: The beam that native code looks at, and the timing that it was told; None: there is none.
        self._beam: GuestBeam | None = None
        self._timing: Timing | None = None
        self._state = PortState()

    def go_native(self, functions: Mapping[str, int]) -> None:
        """Between two slices: have native code answer, on the clock that it shares by now.

        Where it may not, it counts for whom it asks.
        """
        beam = self._vga.beam
        if isinstance(beam, GuestBeam) and _are_told_nothing(self._bus):
            self._beam = beam
            self._fill(self._state, beam)
            self._share_timing(beam)
            self._state.answers = 1
        self._hooks.go_native(functions, self._state)

    def count_blocks(self, numbers: memoryview[int]) -> None:
        """Between two slices: instructions are counted by blocks, by native code told by these."""
        self._state.counted = address_of(numbers)

    def _fill(self, state: PortState, beam: GuestBeam) -> None:
        vga = self._vga
        state.clock = np.frombuffer(self._clock.cells, np.int64).ctypes.data
        state.flush_asked = address_of(self._tlb.asked)
        state.misc_values = address_of(vga.misc.values)
        for bank in (vga.sequencer, vga.graphics, vga.crtc, vga.attribute):
            setattr(state, bank.name, address_of(bank.numbers))
            setattr(state, f"{bank.name}_values", address_of(bank.values))
            setattr(state, f"{bank.name}_masks", np.frombuffer(bank.masks, np.uint8).ctypes.data)
        state.pipeline_stale = address_of(vga.pipeline_stale)
        state.pipeline_moves = address_of(vga.pipeline_moves)
        state.feature_control = address_of(vga.feature_bits)
        state.dac, state.dac_entries = address_of(vga.dac.numbers), address_of(vga.dac.entries)
        state.dac_changes = np.frombuffer(vga.dac.native_changes, np.int64).ctypes.data
        state.dac_triple = address_of(vga.dac.triple)
        state.look, state.timing = address_of(beam.state), address_of(beam.timing_state)
        state.loops = address_of(self._loops)
        state.field = address_of(vga.timeline.state)

    def _share_timing(self, beam: GuestBeam) -> None:
        timing = self._vga.timing
        if timing is not self._timing:
            self._timing = timing
            crtc, clocking_mode, misc = self._vga.timing_key()
            beam.share(timing, bytes((*crtc, clocking_mode, misc)))

    def on_in(self, uc: Uc, port: int, size: int, _: object) -> int:
        if self.permission.refuses(port, size):
            return self.permission.untouched(size)
        tlb = self._tlb
        if tlb.asked[0]:
            tlb.flush()
        self._clock.cost(PORT_NS)
        answer = self._bus.port_in(port, size)
        if self._beam is not None:
            self._share_timing(self._beam)
        return answer

    def on_out(self, uc: Uc, port: int, size: int, value: int, _: object) -> None:
        if self.permission.refuses(port, size):
            return
        tlb = self._tlb
        if tlb.asked[0]:
            tlb.flush()
        self._clock.cost(PORT_NS)
        self._bus.port_out(port, size, value)
        if self._beam is not None:
            self._share_timing(self._beam)
