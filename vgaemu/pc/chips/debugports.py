"""Ports that print: 402h (SeaBIOS), E9h (Bochs), 500h and 501h (the LGPL VGA BIOS).

Emulated: what is written is kept as text; 402h and E9h read as E9h, by which software finds them.

Source: Bochs user manual (port E9h); debug output of SeaBIOS and of the LGPL VGA BIOS.
"""

from __future__ import annotations

from vgaemu.pc.bus import Bus


class DebugPorts:
    """The last text that a guest printed."""

    PORTS = (0x402, 0xE9, 0x500, 0x501)
    #: Bytes kept; a guest may write on.
    KEEP = 1 << 16

    def __init__(self, bus: Bus) -> None:
        #: The last bytes that were printed.
        self.text = bytearray()
        for port in self.PORTS:
            bus.byte_out[port] = self._write
        bus.byte_in[0x402] = bus.byte_in[0xE9] = lambda: 0xE9

    def _write(self, value: int) -> None:
        self.text.append(value)
        if len(self.text) > 2 * self.KEEP:
            del self.text[: -self.KEEP]
