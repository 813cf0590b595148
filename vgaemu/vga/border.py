"""Border: its colour where that changes while the beam draws it.

Emulated: AR11, PEL mask, DAC and "screen off" from the dot on that is shown then, around each
displayed line. Above the first line it is as the field begins with, below the last one as it ends
with: writes in the vertical blanking are not kept, see `timeline`.

Source: MartyPC (at once; the others have one colour a frame).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vgaemu.vga.beam import Timing
from vgaemu.vga.blanking import Margins
from vgaemu.vga.dac import colours_of_entries
from vgaemu.vga.effects import ATTRIBUTE, DAC_ENTRY, DAC_MASK, SEQUENCER
from vgaemu.vga.registerfile import Held

OVERSCAN, CLOCKING_MODE, SCREEN_OFF = 0x11, 0x01, 0x20


class BorderBands(NamedTuple):
    """Colours of the border, and where each begins."""

    #: Pixels, counted in the order of the beam from the frame's first one, ascending from 0: (n,)
    #: intp; and 0x00RRGGBB from there on, (n,) uint32.
    starts: bytes
    colours: bytes
    #: Pixels from one line of the beam to the next, the blanking between included.
    pitch: int

    def picture(self, height: int, width: int) -> NDArray[np.uint32]:
        """(height, width) uint32 of border alone."""
        starts, end = np.frombuffer(self.starts, np.intp), height * self.pitch
        lengths = np.diff(np.minimum(starts, end), append=end)
        beam = np.frombuffer(self.colours, np.uint32).repeat(lengths)
        lines: NDArray[np.uint32] = beam.reshape(height, self.pitch)[:, :width]
        return lines


def border_bands(
    held: Held,
    dots: NDArray[np.int64],
    registers: NDArray[np.int64],
    values: NDArray[np.int64],
    timing: Timing,
    width: int,
    margins: Margins,
) -> BorderBands | None:
    """What entries of a log, as `raster.Entries` has them, do to the border; None: nothing.

    The picture has `width` pixels a line, and a row is a scan line.
    """
    overscan, mask, off = held.attribute[OVERSCAN], held.dac_mask, held.sequencer[1] & SCREEN_OFF
    sources, indices = registers >> 8, registers & 0xFF
    of_overscan = registers == ATTRIBUTE << 8 | OVERSCAN
    of_mask = sources == DAC_MASK
    own = of_overscan | of_mask | (registers == SEQUENCER << 8 | CLOCKING_MODE)
    # Of the DAC, the entries that are the border's at some time.
    overscans, masks = {overscan, *values[of_overscan].tolist()}, {mask, *values[of_mask].tolist()}
    possible = {one & other for one in overscans for other in masks}
    own |= (sources == DAC_ENTRY) & np.isin(indices, list(possible))
    dac = colours_of_entries(held.dac_entries, held.dac_eight_bit).tolist()
    found = [(0, 0 if off else dac[overscan & mask])]
    changes = (column[own].tolist() for column in (dots, sources, indices, values))
    for dot, source, index, value in zip(*changes, strict=True):
        if source == ATTRIBUTE:
            overscan = value
        elif source == DAC_MASK:
            mask = value
        elif source == SEQUENCER:
            off = value & SCREEN_OFF
        else:
            dac[index] = value if held.dac_eight_bit else widened(value)
        colour = 0 if off else dac[overscan & mask]
        if colour != found[-1][1]:
            found.append((dot, colour))
    if len(found) == 1:
        return None
    at, colours = (np.array(column) for column in zip(*found, strict=True))
    lines, within = np.divmod(at, timing.dots_a_line)
    displayed_dots = round(timing.dots_a_line * timing.displayed_fraction)
    pixels = -(-within * width // displayed_dots)
    pitch = timing.dots_a_line * width // displayed_dots
    pitch = max(pitch, margins.left + width + margins.right)
    starts = (lines + margins.top) * pitch + margins.left + pixels
    starts[0] = 0
    return BorderBands(starts.tobytes(), colours.astype(np.uint32).tobytes(), pitch)


def widened(value: int) -> int:
    """Three components of 6 bits as three of 8.

    >>> hex(widened(0x3F0015))
    '0xff0055'
    """
    return value << 2 & 0xFCFCFC | value >> 4 & 0x030303
