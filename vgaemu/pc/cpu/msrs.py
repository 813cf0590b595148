"""Model-specific registers in a saved CPU: an array of numbers and values.

States of KVM had theirs under another name; both CPUs read both. What a state has
not, is as after a reset.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vgaemu.pc.cpu.cpu import Array

#: The array's name, and its name in older states.
MSRS, OLD_MSRS = "cpu.msrs", "kvm.msrs"
#: What memory types pages have: PAT; MTRRs, of ranges and fixed ones, and what they are without.
PAT = 0x277
MEMORY_TYPES = (PAT, *range(0x200, 0x210), 0x250, 0x258, 0x259, *range(0x268, 0x270), 0x2FF)
#: IA32_MISC_ENABLE, and what RDTSCP tells beside the time.
MISC_ENABLE, TSC_AUX = 0x1A0, 0xC0000103
#: Those that are saved: TSC, SYSENTER, STAR to FMASK, kernel GS base, and these.
SAVED = (
    0x10, 0x174, 0x175, 0x176, 0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084, 0xC0000102,
    *MEMORY_TYPES, MISC_ENABLE, TSC_AUX,
)  # fmt: skip
#: What of the latter is not 0 after a reset.
AFTER_RESET = {PAT: 0x0007_0406_0007_0406}


def are_msrs(array: Array) -> bool:
    """Whether these are numbers of `SAVED` and their values."""
    return (
        array.dtype == np.uint64
        and array.ndim == 2
        and array.shape[1] == 2
        and set(array[:, 0].tolist()) <= set(SAVED)
    )


def msrs_of(arrays: Mapping[str, Array]) -> dict[int, int]:
    """Those of a saved CPU."""
    found = arrays.get(MSRS, arrays.get(OLD_MSRS))
    return {} if found is None else dict(found.tolist())
