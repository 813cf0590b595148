"""Debug registers in a saved CPU: DR0 to DR3, DR6, DR7. Older states have none.

Source: Intel SDM volume 3B, section 17.2.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vgaemu.pc.cpu.cpu import Array

#: The array's name.
DEBUG = "cpu.debug"
#: As they are after a reset.
AFTER_RESET = (0, 0, 0, 0, 0xFFFF_0FF0, 0x400)


def are_debug(array: Array) -> bool:
    """Whether a state's array is of these; DR6 and DR7 have 32 bits."""
    fits = array.dtype == np.uint64 and array.shape == (len(AFTER_RESET),)
    return fits and not int(array[4:].max()) >> 32


def debug_of(arrays: Mapping[str, Array]) -> list[int]:
    """Those of a saved CPU."""
    found = arrays.get(DEBUG)
    return list(AFTER_RESET) if found is None else found.tolist()
