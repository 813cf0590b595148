"""Colours: what pixel values look like, by attribute controller, PEL mask and DAC.

Emulated: the attribute palette, also of 256 colours, plane enable, P54S and colour select, blinking
graphics, the PEL mask, the DAC, the border's colour, the picture switched off.

Source: IBM PS/2 Hardware Interface Technical Reference; Bochs and 86Box for blinking graphics.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.vga.kinds import SIXTEEN_COLOURS, TEXTS, TWO_DOTS, Kind
from vgaemu.vga.registerfile import RegisterFile
from vgaemu.vga.registers import ATTRIBUTE_PLACES

#: `dac_indices` where a pixel value is the number of its DAC entry.
IDENTITY: NDArray[np.intp] = np.arange(256)
IDENTITY.setflags(write=False)


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
    indices = dac_indices(bytes(registers.attribute.values), kind, blink_phase)
    shown = colours if indices is IDENTITY else colours.take(indices)
    return Colours(
        palette=shown.tobytes(),
        plane_enable=plane_enable,
        border=0 if screen_off else int(colours[registers.attribute["overscan_colour"]]),
        blank=screen_off or not registers.attribute_address & 0x20,
    )


@lru_cache(maxsize=1024)
def dac_indices(attribute: bytes, kind: Kind, blink_phase: bool) -> NDArray[np.intp]:
    """Which entry of the DAC each pixel value is, before the PEL mask.

    Args:
        attribute: The attribute controller's registers, AR00 first.
        kind: What the pixel values are.
        blink_phase: Which half of the blink: True is the visible one.

    Returns:
        (16,) or (256,) intp by pixel value, shared and read-only; `IDENTITY` itself where that is
        what it equals; (0,) where pixels are colours.
    """
    if kind in SIXTEEN_COLOURS:
        indices = _of_sixteen(attribute, kind, blink_phase)
    elif kind in TWO_DOTS:
        indices = _of_bytes(attribute, kind, blink_phase)
    else:
        indices = IDENTITY[: 256 if kind is Kind.LINEAR_8 else 0]
    if np.array_equal(indices, IDENTITY):
        return IDENTITY
    indices.setflags(write=False)
    return indices


def _of_sixteen(attribute: bytes, kind: Kind, blink_phase: bool) -> NDArray[np.intp]:
    """AR palette, P54S and colour select."""
    select = _field(attribute, "colour_select")
    # P54S: colour select gives bits 4-7 of the DAC index; otherwise bits 6-7 alone.
    low, high = (0x0F, 0x0F) if _field(attribute, "p54_select") else (0x3F, 0x0C)
    index = (select & high) << 4 | _palette(attribute) & low
    return index.take(_inner(attribute, kind, blink_phase))


def _of_bytes(attribute: bytes, kind: Kind, blink_phase: bool) -> NDArray[np.intp]:
    """A pixel passes as two of 4 bits; colour select has no say."""
    nibbles = _palette(attribute).take(_inner(attribute, kind, blink_phase)) & 0x0F
    return (nibbles[:, None] << 4 | nibbles).ravel()


def _inner(attribute: bytes, kind: Kind, blink_phase: bool) -> NDArray[np.intp]:
    """(16,): a pixel of 4 bits after plane enable and blinking."""
    planes = _field(attribute, "planes_shown")
    pixels = np.arange(16) & planes
    if _field(attribute, "blink") and kind not in TEXTS:
        # Bit 3 is 1, then what it is not; of a plane that is not enabled, 0 (86Box, by what Lotus
        # 1-2-3 and QBASIC's SCREEN 10 need; Bochs inverts it whether enabled or not).
        if blink_phase:
            return pixels | 8
        return pixels ^ planes & 8
    return pixels


def _palette(attribute: bytes) -> NDArray[np.intp]:
    return np.frombuffer(attribute[:16], np.uint8).astype(np.intp)


def _field(attribute: bytes, name: str) -> int:
    return ATTRIBUTE_PLACES[name].read(attribute)
