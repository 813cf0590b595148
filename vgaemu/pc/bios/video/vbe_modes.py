"""VBE modes: packed pixels and direct colour, one row of pixels after another.

Emulated: modes of 8, 15, 16, 24 and 32 bits a pixel, with a linear frame buffer. Not emulated: the
planar (102h, 104h, 106h) and text modes (108h-10Ch).

Source: VESA BIOS Extension 2.0; the mode numbers above 11Bh are those of Bochs.
"""

from __future__ import annotations

from dataclasses import dataclass

from vgaemu.vga.pixels import FORMATS, PixelFormat


@dataclass(frozen=True)
class VbeMode:
    """A picture."""

    number: int
    width: int
    height: int
    bpp: int

    @property
    def format(self) -> PixelFormat:
        """How its pixels are written down."""
        return FORMATS[self.bpp]

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a pixel."""
        return self.format.nbytes

    @property
    def picture_bytes(self) -> int:
        """What it takes of VRAM."""
        return self.width * self.height * self.pixel_bytes


_SIZES = {
    8: {0x100: (640, 400), 0x101: (640, 480), 0x103: (800, 600), 0x105: (1024, 768),
        0x107: (1280, 1024), 0x146: (320, 200), 0x11C: (1600, 1200)},
    15: {0x10D: (320, 200), 0x110: (640, 480), 0x113: (800, 600), 0x116: (1024, 768),
         0x119: (1280, 1024)},
    16: {0x10E: (320, 200), 0x111: (640, 480), 0x114: (800, 600), 0x117: (1024, 768),
         0x11A: (1280, 1024)},
    24: {0x10F: (320, 200), 0x112: (640, 480), 0x115: (800, 600), 0x118: (1024, 768),
         0x11B: (1280, 1024)},
    32: {0x140: (320, 200), 0x141: (640, 400), 0x142: (640, 480), 0x143: (800, 600),
         0x144: (1024, 768), 0x145: (1280, 1024)},
}  # fmt: skip
VBE_MODES = {
    number: VbeMode(number, *size, bpp)
    for bpp, sizes in _SIZES.items()
    for number, size in sizes.items()
}
