"""RegisterFile: every register that a VGA's picture depends on, beside VRAM.

The register banks, DAC, DISPI, and how VRAM is laid out. A `Vga` is one that programs reach through
ports; `scanout_of` reads any.
"""

from __future__ import annotations

from vgaemu.vga.dac import Dac
from vgaemu.vga.dispi import Dispi
from vgaemu.vga.registers import RegisterBank


class RegisterFile:
    """What registers hold."""

    #: The register banks; MISC output is one of a single register.
    sequencer: RegisterBank
    crtc: RegisterBank
    graphics: RegisterBank
    attribute: RegisterBank
    misc: RegisterBank
    #: The palette.
    dac: Dac
    #: The Bochs VBE registers.
    dispi: Dispi
    #: Attribute address register: bits 0-4 the index, bit 5 shows the picture.
    attribute_address: int
    #: Whether the legacy 256 KiB of VRAM are stored for chain-4 (see `layout`).
    chain4_layout: bool

    def __init__(self, vram_bytes: int) -> None:
        """All registers 0."""
        self.misc = RegisterBank("misc")
        self.sequencer = RegisterBank("sequencer")
        self.crtc = RegisterBank("crtc")
        self.graphics = RegisterBank("graphics")
        self.attribute = RegisterBank("attribute")
        self.dac = Dac()
        self.dispi = Dispi(vram_bytes)
        self.attribute_address = 0
        self.chain4_layout = False

    def timing_key(self) -> tuple[bytes, int, int]:
        """What the CRTC's timing depends on: its registers, SR01 and misc output."""
        return bytes(self.crtc.values), self.sequencer.values[1], self.misc.values[0]
