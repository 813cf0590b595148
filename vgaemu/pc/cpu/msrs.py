"""Model-specific registers in a saved CPU: an array of numbers and values.

States of KVM had theirs under another name; both CPUs read both.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vgaemu.pc.cpu.cpu import Array

#: The array's name, and its name in older states.
MSRS, OLD_MSRS = "cpu.msrs", "kvm.msrs"
#: Those that are saved: TSC, SYSENTER, PAT, STAR to FMASK, kernel GS base.
SAVED = (
    0x10, 0x174, 0x175, 0x176, 0x277, 0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084, 0xC0000102,
)  # fmt: skip


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
