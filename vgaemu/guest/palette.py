"""`Palette`: the guest's colours, set and read through the DAC's ports.

Colours are 8 bits a channel; the DAC takes 6, unless DISPI has switched it to 8. In 16-colour modes
(text too) a colour reaches the DAC by way of the attribute controller, whose registers are read for
it, never changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vgaemu.guest.workload import Guest


class Palette:
    """Colours by number, in whatever mode is set."""

    def __init__(self, guest: Guest) -> None:
        """Look which way colours go in the mode that is set now."""
        self._guest = guest
        guest.outw(0x1CE, 4)
        dispi = guest.inw(0x1CF)
        #: Bits that the DAC drops from 8-bit channels.
        self._shift = 0 if dispi & 0x20 else 2
        self._direct = bool(dispi & 1) or self._shows_bytes()

    def _shows_bytes(self) -> bool:
        self._guest.outb(0x3CE, 6)
        graphics = self._guest.inb(0x3CF) & 1
        self._guest.outb(0x3CE, 5)
        return bool(graphics and self._guest.inb(0x3CF) & 0x40)

    def _attribute(self, index: int) -> int:
        """Read an attribute register without blanking the picture (index bit 5 stays set)."""
        guest = self._guest
        status = 0x3DA if guest.inb(0x3CC) & 1 else 0x3BA
        guest.inb(status)  # the flip-flop now takes an index
        guest.outb(0x3C0, index | 0x20)
        value = guest.inb(0x3C1)
        guest.inb(status)
        return value

    def dac_index(self, colour: int) -> int:
        """The DAC entry that shows a colour."""
        if self._direct:
            return colour & 0xFF
        register, select = self._attribute(colour & 0x0F), self._attribute(0x14)
        if self._attribute(0x10) & 0x80:
            return (select & 0x0F) << 4 | register & 0x0F
        return (select & 0x0C) << 4 | register

    def set_colour(self, colour: int, red: int, green: int, blue: int) -> None:
        """Set one colour, 8 bits a channel."""
        self._guest.outb(0x3C8, self.dac_index(colour))
        for channel in (red, green, blue):
            self._guest.outb(0x3C9, channel >> self._shift)

    def set_colours(self, rgb: Any, first: int = 0) -> None:
        """Set neighbours in one go.

        Args:
            rgb: (n, 3), 8 bits a channel.
            first: Number of the first one.
        """
        colours: NDArray[np.uint8] = np.asarray(rgb, np.uint8).reshape(-1, 3)
        if not self._direct:
            for number, (red, green, blue) in enumerate(colours.tolist(), first):
                self.set_colour(number, red, green, blue)
            return
        self._guest.outb(0x3C8, first)
        for channel in (colours >> self._shift).ravel().tolist():
            self._guest.outb(0x3C9, channel)

    def get_colour(self, colour: int) -> tuple[int, int, int]:
        """Red, green and blue of a colour as the monitor shows them, 8 bits each."""
        guest = self._guest
        guest.outb(0x3C7, self.dac_index(colour))
        red, green, blue = (guest.inb(0x3C9) for _ in range(3))
        if not self._shift:
            return red, green, blue
        return red << 2 | red >> 4, green << 2 | green >> 4, blue << 2 | blue >> 4
