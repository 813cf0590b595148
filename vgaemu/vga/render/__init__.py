"""Renderers: VRAM and a `Scanout` in, pixels out. One class a pixel layout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vgaemu.vga.kinds import PAIRS, Kind
from vgaemu.vga.rect import Rect
from vgaemu.vga.render.base import Frame, Renderer, RowRenderer
from vgaemu.vga.render.graphics import (
    ByteRenderer,
    FourBitRenderer,
    SixteenBitRenderer,
    TrueColourRenderer,
)
from vgaemu.vga.render.pairs import PairsRenderer
from vgaemu.vga.render.raster import RasterRenderer
from vgaemu.vga.render.text import TextRenderer
from vgaemu.vga.scanout import Scanout

__all__ = [
    "Frame",
    "RasterRenderer",
    "Rect",
    "Renderer",
    "RowRenderer",
    "TextRenderer",
    "make_renderer",
]

RENDERERS: dict[Kind, type[Renderer]] = {
    Kind.TEXT: TextRenderer,
    Kind.PLANAR: FourBitRenderer,
    Kind.INTERLEAVE: FourBitRenderer,
    Kind.NIBBLES: FourBitRenderer,
    Kind.BYTES: ByteRenderer,
    Kind.LINEAR_8: ByteRenderer,
    Kind.LINEAR_15: SixteenBitRenderer,
    Kind.LINEAR_16: SixteenBitRenderer,
    Kind.LINEAR_24: TrueColourRenderer,
    Kind.LINEAR_32: TrueColourRenderer,
}


def make_renderer(vram: NDArray[np.uint8], scanout: Scanout) -> Renderer:
    """A renderer for the scanout's kind, and for what changes inside the picture."""
    if scanout.raster is not None:
        return RasterRenderer(vram, scanout, make_renderer)
    if scanout.kind in PAIRS:
        return PairsRenderer(vram, scanout, make_renderer)
    return RENDERERS[scanout.kind](vram, scanout)
