"""`Palette`: the guest's colours, set and read through the DAC's ports.

Colours are 8 bits a channel; the DAC takes 6, unless DISPI has switched it to 8. In 16-colour modes
(text too) a colour reaches the DAC by way of the attribute controller, whose registers are read for
it, never changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgaemu.vga import dispi
from vgaemu.vga.ports import Device, Ports


class Palette:
    """Colours by number, in whatever mode is set."""

    def __init__(self, device: Device) -> None:
        """Look which way colours go in the mode that is set now."""
        self._ports = ports = Ports(device)
        enable = ports.get_dispi(dispi.ENABLE)
        #: Bits that the DAC drops from 8-bit channels.
        self._shift = 0 if enable & dispi.EIGHT_BIT_DAC else 2
        self._direct = bool(enable & dispi.ENABLED or (ports["graphics"] and ports["shift_256"]))

    def __repr__(self) -> str:
        way = "the DAC" if self._direct else "the attribute controller"
        return f"<Palette of {8 - self._shift} bits a channel, through {way}>"

    def dac_index(self, colour: int) -> int:
        """The DAC entry that shows a colour."""
        if self._direct:
            return colour & 0xFF
        ports = self._ports
        register, select = ports.get_attribute(colour & 0x0F), ports["colour_select"]
        takes_p54 = ports["p54_select"]
        ports.device.inb(ports.status)  # a program's next write to 3C0h is an index
        if takes_p54:
            return (select & 0x0F) << 4 | register & 0x0F
        return (select & 0x0C) << 4 | register

    def set_colour(self, colour: int, red: int, green: int, blue: int) -> None:
        """Set one colour, 8 bits a channel."""
        channels = (red >> self._shift, green >> self._shift, blue >> self._shift)
        self._ports.write_dac(self.dac_index(colour), channels)

    def set_colours(self, rgb: Any, first: int = 0) -> None:
        """Set neighbours from number `first` on in one go: (n, 3), 8 bits a channel."""
        colours: NDArray[np.uint8] = np.asarray(rgb, np.uint8).reshape(-1, 3)
        if not self._direct:
            for number, (red, green, blue) in enumerate(colours.tolist(), first):
                self.set_colour(number, red, green, blue)
            return
        self._ports.write_dac(first, (colours >> self._shift).ravel().tolist())

    def get_colour(self, colour: int) -> tuple[int, int, int]:
        """Red, green and blue of a colour as the monitor shows them, 8 bits each."""
        red, green, blue = self._ports.read_dac(self.dac_index(colour), 1)
        if not self._shift:
            return red, green, blue
        return red << 2 | red >> 4, green << 2 | green >> 4, blue << 2 | blue >> 4
