"""The VGA's interrupt line: IRQ 9 when a vertical retrace begins, where the PC was made with it.

Emulated: CR11 bit 4 at 0 clears the interrupt, bit 5 at 0 lets it through; one interrupt for each
time that bit 4 became 1. On most ISA cards the line goes nowhere, so it is an option; IRQ 2 of the
bus is IRQ 9 of an AT, whose BIOS leads its INT 71h to INT 0Ah. Not emulated: an edge of bit 5 while
an interrupt is pending that the CPU has had. Under KVM it comes when a slice ends, some ms late.

Source: IBM PS/2 Hardware Interface Technical Reference, with the retrace (DOSBox, by an
oscilloscope, and the 82C435 data sheet: some lines before, when the picture ends).
"""

from __future__ import annotations

from math import ceil
from typing import ClassVar

from vgaemu.pc.chips.pic import RaiseIrq
from vgaemu.pc.clock import NEVER_NS, Clock
from vgaemu.snapshot import Part, Saved, fields
from vgaemu.vga.beam import BEGAN_NS
from vgaemu.vga.device import Vga

RETRACE_IRQ = 9


class RetraceLine:
    """Tells a PC's interrupt controller of vertical retraces."""

    SAVED: ClassVar[Saved] = {"told": (0, 1)}

    def __init__(self, vga: Vga, raise_irq: RaiseIrq, clock: Clock) -> None:
        self._vga, self._raise_irq, self._clock = vga, raise_irq, clock
        #: The CPU has had the interrupt that is pending.
        self.told = False
        vga.on_retrace_control = self._control_written

    def _control_written(self) -> None:
        if not self._vga.crtc["vretrace_irq_clear"]:
            self.told = False
        self._clock.due(self.due_ns(self._clock.now_ns()))

    @property
    def _is_open(self) -> bool:
        crtc = self._vga.crtc
        open_ = crtc["vretrace_irq_clear"] and not crtc["vretrace_irq_off"]
        return bool(open_) and not self.told

    def _is_pending(self, now_ns: int) -> bool:
        watched, timing = self._vga.beam.watched_ns, self._vga.timing
        return watched == BEGAN_NS or timing.retraces(watched) != timing.retraces(now_ns)

    def due_ns(self, now_ns: int) -> int:
        """When there is something to tell."""
        if not self._is_open:
            return NEVER_NS
        if self._is_pending(now_ns):
            return now_ns
        return min(ceil(self._vga.timing.next_retrace_ns(now_ns)), NEVER_NS)

    def advance(self, now_ns: int) -> None:
        """Tell what is to be told by now."""
        if self._is_open and self._is_pending(now_ns):
            self.told = True
            self._raise_irq(RETRACE_IRQ)

    def parts(self) -> dict[str, Part]:
        """What of it is saved; a state of a PC without the line has none of it."""

        def absent() -> None:
            self.told = False

        return {"chips.retrace": fields(self).or_else(absent)}
