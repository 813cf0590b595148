"""Kinds of picture: how the bytes that a VGA fetches become pixels."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """How fetched bytes become pixels."""

    TEXT = "text"
    #: Four planes, a bit of each a pixel.
    PLANAR = "planar"
    #: Two bits a pixel, even pixels' planes paired as in CGA 320x200 (GR05 bit 5).
    INTERLEAVE = "interleave"
    #: Four bits a pixel, high nibble first (GR05 bit 6 without AR10 bit 6).
    NIBBLES = "nibbles"
    #: A byte a pixel (GR05 bit 6 with AR10 bit 6): mode 13h and its relatives. It goes through the
    #: palette registers, too, as two nibbles.
    BYTES = "bytes"
    #: AR10 bit 6 with the other shifts, and in text: two 4-bit pixels a pixel, the first one high.
    TEXT_PAIRS = "text, pairs"
    PLANAR_PAIRS = "planar, pairs"
    INTERLEAVE_PAIRS = "interleave, pairs"
    #: DISPI's packed pixels.
    LINEAR_8 = "linear 8"
    LINEAR_15 = "linear 15"
    LINEAR_16 = "linear 16"
    LINEAR_24 = "linear 24"
    LINEAR_32 = "linear 32"


#: Pairs, and whose pixels they are of.
PAIRS = {
    Kind.TEXT_PAIRS: Kind.TEXT,
    Kind.PLANAR_PAIRS: Kind.PLANAR,
    Kind.INTERLEAVE_PAIRS: Kind.INTERLEAVE,
}
TEXTS = (Kind.TEXT, Kind.TEXT_PAIRS)
#: Kinds whose pixels are two dots wide, and 256 colours that go through the palette registers.
TWO_DOTS = (Kind.BYTES, *PAIRS)
#: Packed pixels: their bits.
LINEAR_BPP = {
    Kind.LINEAR_8: 8,
    Kind.LINEAR_15: 15,
    Kind.LINEAR_16: 16,
    Kind.LINEAR_24: 24,
    Kind.LINEAR_32: 32,
}
#: DISPI's bits a pixel -> how they are fetched.
DISPI_KIND = {4: Kind.PLANAR} | {bpp: kind for kind, bpp in LINEAR_BPP.items()}
#: Kinds that go through the 16 palette registers.
SIXTEEN_COLOURS = (Kind.TEXT, Kind.PLANAR, Kind.INTERLEAVE, Kind.NIBBLES)
