"""Pictures for viewers to show: workloads that draw one and end."""

from __future__ import annotations

import numpy as np

from vgaemu.guest.workload import Guest
from vgaemu.vga.vram import LFB_GPA


def bytes_256(guest: Guest) -> None:
    """All 256 colours of mode 13h."""
    guest.set_mode(0x13)
    guest.store(0xA0000, bytes(range(256)) * 250)


def planes(guest: Guest) -> None:
    """640x480 in 16 colours, mostly one."""
    guest.set_mode(0x12)
    guest.canvas.fill_rect(30, 40, 77, 99, 5)
    guest.canvas.fill_circle(400, 240, 200, 12)


def true_colour(guest: Guest) -> None:
    """320x240 of noise: more colours than a palette has."""
    guest.set_dispi_mode(320, 240, 32)
    noise = np.random.default_rng(3).integers(0, 1 << 24, 320 * 240, np.uint32)
    guest.store(LFB_GPA, noise.tobytes())
