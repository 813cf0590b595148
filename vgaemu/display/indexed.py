"""Pixels as numbers in a palette: what VGA's own indices compress to, for recorders and viewers.

A picture of 256 colours is a quarter as many bytes in numbers as in colours, and no search for a
palette is needed: the scanout has it. Two numbers of one colour look alike, and the lower of them
is given; `vgaemu.display.screen.Screen.indices` has the device's own.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Palette = NDArray[np.uint32]


class Indexer:
    """Finds colours in palettes of at most 256; one thread's own.

    It keeps a table with an entry for each colour there can be, of which a palette fills at most
    256: 32 MiB of addresses, but little memory.
    """

    def __init__(self) -> None:
        self._palette = b""

    @cached_property
    def _numbers(self) -> NDArray[np.uint16]:
        """One more than a colour's number; 0: it is not in the palette."""
        return np.zeros(1 << 24, np.uint16)

    def indices(self, pixels: NDArray[np.uint32], palette: Palette) -> NDArray[np.uint8] | None:
        """Numbers in a palette of (h, w) uint32 pixels 0x00RRGGBB.

        Returns:
            (h, w) uint8, or None where a pixel is of none of its colours: of a screen that is off,
            or of one whose palette is changing while it is looked at.
        """
        if palette.tobytes() != self._palette:
            self._numbers[np.frombuffer(self._palette, np.uint32)] = 0
            # Backwards: of two equal colours the first one's number stays.
            self._numbers[palette[::-1]] = np.arange(len(palette), 0, -1)
            self._palette = palette.tobytes()
        found = self._numbers.take(pixels, mode="wrap")
        if not found.all():
            return None
        numbers: NDArray[np.uint8] = np.subtract(found, 1, dtype=np.uint8, casting="unsafe")
        return numbers
