"""Colours: what pixel values look like, by attribute controller, PEL mask and DAC.

Emulated: the attribute palette, plane enable, P54S and colour select, blinking in 16-colour
graphics, the PEL mask, the DAC, the border's colour, the picture switched off.

Source: IBM PS/2 Hardware Interface Technical Reference; Bochs and 86Box for blinking graphics.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vgaemu.vga.kinds import DAC_COLOURS, SIXTEEN_COLOURS, Kind
from vgaemu.vga.registerfile import RegisterFile


class Colours(NamedTuple):
    """What pixel values look like."""

    #: uint32 0x00RRGGBB by pixel value, as bytes: 16 or 256; none where pixels are colours.
    palette: bytes
    #: 16-colour kinds: bits of a pixel that reach the palette (AR12).
    plane_enable: int
    #: 0x00RRGGBB around the picture.
    border: int
    #: All of the picture is black.
    blank: bool


def colours_of(
    registers: RegisterFile, kind: Kind, plane_enable: int, blink_phase: bool
) -> Colours:
    """What the registers make of pixel values of a kind, in which half of the blink."""
    screen_off = bool(registers.sequencer["screen_off"])
    colours = registers.dac.colours()
    palette = b""
    if kind in SIXTEEN_COLOURS:
        palette = _sixteen_colours(registers, kind, blink_phase)
    elif kind in DAC_COLOURS:
        palette = colours.tobytes()
    return Colours(
        palette=palette,
        plane_enable=plane_enable,
        border=0 if screen_off else int(colours[registers.attribute["overscan_colour"]]),
        blank=screen_off or not registers.attribute_address & 0x20,
    )


def _sixteen_colours(registers: RegisterFile, kind: Kind, blink_phase: bool) -> bytes:
    """Colours by pixel value: plane enable, AR palette, P54S and colour select, mask, DAC."""
    attribute = registers.attribute
    palette = np.frombuffer(bytes(attribute.values[:16]), np.uint8).astype(np.intp)
    select = attribute["colour_select"]
    # P54S: colour select gives bits 4-7 of the DAC index; otherwise bits 6-7 alone.
    low, high = (0x0F, 0x0F) if attribute["p54_select"] else (0x3F, 0x0C)
    index = (select & high) << 4 | palette & low
    pixels = np.arange(16) & attribute["planes_shown"]
    if attribute["blink"] and kind is not Kind.TEXT:
        # Colours 0-7 are shown intense, 8-15 change between both (Bochs, 86Box).
        pixels = pixels | 8 if blink_phase else pixels ^ 8
    shown: bytes = registers.dac.colours().take(index.take(pixels)).tobytes()
    return shown
