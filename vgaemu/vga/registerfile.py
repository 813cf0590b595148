"""RegisterFile: every register that a VGA's picture depends on, beside VRAM.

The register banks, DAC, DISPI, and how VRAM is laid out. A `Vga` is one that programs reach through
ports; `scanout_of` reads any.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import NamedTuple

from vgaemu.vga.dac import Dac
from vgaemu.vga.dispi import Dispi
from vgaemu.vga.layout import Layout
from vgaemu.vga.registers import RegisterBank

BANKS = ("misc", "sequencer", "crtc", "graphics", "attribute")
#: The bits that each field of `Held` can have, and where it begins in `Held.packed`.
_MASKS = [*(RegisterBank(name).masks for name in BANKS), b"\xff" * 768, b"\xff", b"\x01", b"\x3f"]
_BEGINS = [0, *accumulate(map(len, _MASKS))]
HELD_MASKS = b"".join(_MASKS)


class Held(NamedTuple):
    """What registers hold at some moment: DISPI's are left out, and how VRAM is laid out."""

    misc: bytes
    sequencer: bytes
    crtc: bytes
    graphics: bytes
    attribute: bytes
    dac_entries: bytes
    dac_mask: int
    dac_eight_bit: bool
    attribute_address: int

    def packed(self) -> bytes:
        """All of them, with the bits of `HELD_MASKS`."""
        return b"".join(self[:6]) + bytes(self[6:])

    @staticmethod
    def unpacked(octets: bytes) -> Held:
        """What `packed` made."""
        fields = [octets[begin:end] for begin, end in pairwise(_BEGINS)]
        misc, sequencer, crtc, graphics, attribute, entries, mask, eight_bit, address = fields
        return Held(
            misc, sequencer, crtc, graphics, attribute, entries,
            mask[0], bool(eight_bit[0]), address[0],
        )  # fmt: skip


class Vram(NamedTuple):
    """What a picture depends on of VRAM itself: its size, and how the legacy part is laid out."""

    nbytes: int
    layout: Layout


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
    #: The order of bytes in the legacy 256 KiB of VRAM.
    layout: Layout

    def __init__(self, vram_bytes: int) -> None:
        """All registers 0."""
        self.misc = RegisterBank("misc")
        self.sequencer = RegisterBank("sequencer")
        self.crtc = RegisterBank("crtc")
        self.graphics = RegisterBank("graphics")
        self.attribute = RegisterBank("attribute")
        self.dac = Dac()
        self.dispi = Dispi(vram_bytes)
        self.layout = Layout.PLANAR

    @property
    def attribute_address(self) -> int:
        """Attribute address register: bits 0-4 the index, bit 5 shows the picture."""
        return self.attribute.index

    @attribute_address.setter
    def attribute_address(self, value: int) -> None:
        self.attribute.index = value

    def timing_key(self) -> tuple[bytes, int, int]:
        """What the CRTC's timing depends on: its registers, SR01 and misc output."""
        return bytes(self.crtc.values), self.sequencer.values[1], self.misc.values[0]

    def held(self) -> Held:
        """What they hold now."""
        dac = self.dac
        return Held(
            bytes(self.misc.values), bytes(self.sequencer.values), bytes(self.crtc.values),
            bytes(self.graphics.values), bytes(self.attribute.values),
            bytes(dac.entries), dac.mask, dac.eight_bit,
            self.attribute_address,
        )  # fmt: skip


class HeldRegisters(RegisterFile):
    """Registers as they were; DISPI off."""

    def __init__(self, held: Held, vram: Vram) -> None:
        """Take what they held."""
        super().__init__(vram.nbytes)
        self.misc.values[:] = held.misc
        self.sequencer.values[:] = held.sequencer
        self.crtc.values[:] = held.crtc
        self.graphics.values[:] = held.graphics
        self.attribute.values[:] = held.attribute
        self.dac.hold(held.dac_entries, held.dac_mask, held.dac_eight_bit)
        self.attribute_address = held.attribute_address
        self.layout = vram.layout
