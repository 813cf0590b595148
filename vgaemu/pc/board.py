"""Board: the parts of a PC that its BIOS and DOS may touch, and the run that they may end or wake.

Emulated: nothing; a service gets a board instead of the whole `Pc`, so any service can be tested
with a board of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.cmos import Cmos
from vgaemu.pc.chips.i8042 import I8042
from vgaemu.pc.chips.pci import PciBus
from vgaemu.pc.clock import NEVER_NS, Clock
from vgaemu.pc.cpu.cpu import Cpu
from vgaemu.snapshot import Saved
from vgaemu.vga.device import Vga


class RunState:
    """Whether the guest goes on, and when it is to be woken; the PC's slices go by it."""

    SAVED: ClassVar[Saved] = {"refusals": (0, NEVER_NS), "retry_ns": (0, NEVER_NS)}

    def __init__(self) -> None:
        #: The guest is done.
        self.ended: bool = False
        #: What the guest returned, for programs that do.
        self.exit_code: int = 0
        #: Somebody asked for the end of the run; the guest may go on from a saved state.
        self.stopped: bool = False
        #: An interrupt found the CPU closed when the slice began: the next service lets it in.
        self.interrupt_waits: bool = False
        #: How often the CPU has refused it since, and when it is asked anew.
        self.refusals: int = 0
        self.retry_ns: int = 0
        #: When the halt in hand, or that to which a service is on its way, ends without an
        #: interrupt, in guest nanoseconds.
        self.wake_ns: int = NEVER_NS

    @property
    def over(self) -> bool:
        """Whether no slice is to be run any more."""
        return self.ended or self.stopped

    def wake_at(self, ns: int) -> None:
        """End the halt that a service begins then, interrupt or not."""
        self.wake_ns = min(self.wake_ns, ns)

    def end(self, exit_code: int = 0) -> None:
        """The guest is done; the slice in hand ends the run."""
        self.ended = True
        self.exit_code = exit_code


@dataclass(frozen=True)
class Board:
    """What a service may touch."""

    vga: Vga
    bus: Bus
    cpu: Cpu
    clock: Clock
    keyboard: I8042
    cmos: Cmos
    run: RunState = field(default_factory=RunState)
    #: None: a PC without it.
    pci: PciBus | None = None
