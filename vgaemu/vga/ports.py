"""Registers of the VGA as the video BIOS reaches them: by index, through the ports.

Emulated: CRTC at 3D4h or 3B4h, sequencer, graphics controller, and the attribute controller with
its flip-flop, whose palette the BIOS leaves on the screen (bit 5 of the address). Not emulated:
indexes that a program had set are not put back.

Source: IBM PS/2 Hardware Interface Technical Reference (video subsystem).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vgaemu.vga.device import Vga

#: Index ports of sequencer and graphics controller.
SEQ, GC = 0x3C4, 0x3CE


class VgaPorts:
    """Registers by port and index."""

    def __init__(self, vga: Vga) -> None:
        self.vga = vga

    @property
    def crtc(self) -> int:
        """The CRTC's index port."""
        return 0x3D4 if self.vga.inb(0x3CC) & 1 else 0x3B4

    def set(self, port: int, index: int, value: int) -> None:
        """Write a register behind an index port."""
        self.vga.outb(port, index)
        self.vga.outb(port + 1, value)

    def get(self, port: int, index: int) -> int:
        """Read a register behind an index port."""
        self.vga.outb(port, index)
        return self.vga.inb(port + 1)

    @contextmanager
    def changed(
        self, graphics: dict[int, int], sequencer: dict[int, int] | None = None
    ) -> Iterator[None]:
        """Other values in graphics controller and sequencer for a while."""
        vga = self.vga
        banks = ((GC, vga.graphics, graphics), (SEQ, vga.sequencer, sequencer or {}))
        saved = [(port, bank, {i: bank.values[i] for i in values}) for port, bank, values in banks]
        for port, bank, values in banks:
            for index, value in values.items():
                if bank.values[index] != value:
                    self.set(port, index, value)
        try:
            yield
        finally:
            for port, bank, values in saved:
                for index, value in values.items():
                    if bank.values[index] != value:
                        self.set(port, index, value)

    def set_attribute(self, index: int, value: int) -> None:
        """Write a register of the attribute controller."""
        vga = self.vga
        vga.inb(self.crtc + 6)  # an index is next
        vga.outb(0x3C0, index)
        vga.outb(0x3C0, value)
        vga.outb(0x3C0, 0x20)

    def get_attribute(self, index: int) -> int:
        """Read a register of the attribute controller."""
        vga = self.vga
        vga.inb(self.crtc + 6)
        vga.outb(0x3C0, index | 0x20)
        value = vga.inb(0x3C1)
        vga.inb(self.crtc + 6)
        vga.outb(0x3C0, 0x20)
        return value
