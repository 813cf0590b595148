"""Ports that switch a virtual machine off: 604h, and B004h of older ones.

Emulated: a word with SLP_EN (bit 13) and a sleep type of 0, which is how guests without an ACPI
driver leave QEMU and Bochs, ends the guest with code 0. Not emulated: ACPI (there are no tables,
and no SCI), other sleep types, 4004h of VirtualBox, the word "Shutdown" at 8900h.

Source: ACPI specification 2.0, 4.7.3.2 (PM1 control); QEMU's i440FX and q35 place it at 604h, and
did at B004h.
"""

from __future__ import annotations

from collections.abc import Callable

from vgaemu.pc.bus import Bus

PORTS = (0x604, 0xB004)
SLEEP_ENABLE, SLEEP_TYPE = 1 << 13, 7 << 10


class PowerOff:
    """The ports."""

    def __init__(self, bus: Bus, end: Callable[[], None]) -> None:
        """`end` is called when the guest switches itself off."""

        def write(value: int, size: int) -> None:
            if size >= 2 and value & (SLEEP_ENABLE | SLEEP_TYPE) == SLEEP_ENABLE:
                end()

        for port in PORTS:
            bus.wide_out[port] = write
