"""A port that ends the run, for kernels that are tested: QEMU calls it isa-debug-exit.

Emulated: a write of a value ends the guest at once with the code 2 * value + 1, of 8 bits, so that
no guest can say 0. Not emulated: anything to be read there.

Source: QEMU, hw/misc/debugexit.c as its documentation tells of it.
"""

from __future__ import annotations

from collections.abc import Callable

from vgaemu.pc.bus import Bus

#: Ports that it has, each of which ends the run.
PORTS = 4


class DebugExit:
    """The port."""

    def __init__(self, bus: Bus, port: int, end: Callable[[int], None]) -> None:
        """`end` gets the code."""

        def write(value: int, size: int = 1) -> None:
            end((value << 1 | 1) & 0xFF)

        for at in range(port, min(port + PORTS, 0x10000)):
            bus.wide_out[at] = write
