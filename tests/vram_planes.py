"""What the planes of a device hold, however VRAM is laid out."""

import numpy as np
from numpy.typing import NDArray

from vgaemu.vga.device import Vga
from vgaemu.vga.layout import LEGACY_BYTES, Layout, planes_in_order, rearrange


def planes_of(vga: Vga) -> NDArray[np.uint8]:
    """The plane bytes of each address: (65536, 4), a copy."""
    return planes_in_order(vga.slot.array, vga.layout).view(np.uint8).reshape(-1, 4)


def put_planes(vga: Vga, planes: NDArray[np.uint8]) -> None:
    """Let the planes hold (65536, 4) bytes; the log is told."""
    array = planes.reshape(-1).copy()
    rearrange(array, Layout.PLANAR, vga.layout)
    vga.slot.write(0, array[:LEGACY_BYTES].tobytes())
