"""An engine's registers of 64 bits, which `env` numbers by words of 32 bits."""

from __future__ import annotations

from vgaemu.native.compiler import Pointer, int64_at, part
from vgaemu.native.cpu_cells import ENV


@part
def wide(cells: Pointer, at: int) -> int:
    """A register, by its lower word."""
    return int64_at(cells[ENV] + 4 * at)[0]


@part
def set_wide(cells: Pointer, at: int, value: int) -> None:
    """Load a register, by its lower word."""
    int64_at(cells[ENV] + 4 * at)[0] = value
