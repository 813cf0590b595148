"""The CPU side of planar memory: latches, write modes 0-3, read modes 0-1, in every addressing.

Emulated: set/reset, rotate, the four functions, bit mask, map mask, colour compare; planar,
odd/even and chain-4 addressing, the write pipeline in all three as on hardware (QEMU and Bochs
skip it in chain-4). Not emulated: bus width effects.

One pipeline serves all: it works on a *dword*, the four plane bytes of one address, plane 0 lowest,
held in a Python int for a single byte or in a uint32 array for a block. While a block is stored
the latches do not change, so what a byte becomes is looked up in a table of 256 dwords.

Source: IBM PS/2 Hardware Interface Technical Reference; FreeVGA, "Accessing Display Memory".
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

#: One plane byte in all four planes.
ALL_PLANES = 0x01010101
#: Four plane-select bits -> FFh in each selected plane's byte.
PLANE_MASK = tuple(
    sum(0xFF << 8 * plane for plane in range(4) if bits >> plane & 1) for bits in range(16)
)


# Made anew by every register that changes, which costs frozen dataclasses three times as much.


class WriteSetup(NamedTuple):
    """What the graphics controller does to a stored byte (GR00, 01, 03, 05, 08)."""

    mode: int = 0
    set_reset: int = 0
    enable_set_reset: int = 0
    rotate: int = 0
    function: int = 0
    bit_mask: int = 0xFF

    @property
    def is_plain(self) -> bool:
        """A byte stored is the byte in memory, whatever the latches hold."""
        mode, _, *changes, bit_mask = self
        return mode == 0 and not any(changes) and bit_mask == 0xFF


class ReadSetup(NamedTuple):
    """What the CPU gets when it reads (GR02, 04, 05, 07)."""

    mode: int = 0
    plane: int = 0
    #: Address bit 0 picks the plane of a pair (GR05 bit 4).
    odd_even: int = 0
    colour_compare: int = 0
    colour_care: int = 0


def _combine(function: int, value: Any, latch: Any) -> Any:
    """GR03 bits 3-4: the stored value against the latches."""
    if function == 1:
        return value & latch
    if function == 2:
        return value | latch
    if function == 3:
        return value ^ latch
    return value


@overload
def pipeline(setup: WriteSetup, data: int, latch: int) -> int: ...
@overload
def pipeline(
    setup: WriteSetup, data: NDArray[np.uint32], latch: NDArray[np.uint32]
) -> NDArray[np.uint32]: ...
def pipeline(setup: WriteSetup, data: Any, latch: Any) -> Any:
    """What the four planes get when the CPU stores `data`, before the map mask.

    Bytes, 0..FFh, and latched dwords are two ints or two arrays; the answer is a dword like them.
    """
    # Stages: rotate, expand to planes, set/reset, function, bit mask. Each write mode leaves some
    # out. They are no functions: a call would cost a single store a tenth.
    mode, set_reset, enable_set_reset, rotate, function, bit_mask = setup
    if mode == 1:
        return latch
    mask = bit_mask * ALL_PLANES
    if mode == 2:
        expanded = [(data >> plane & 1) * 0xFF << 8 * plane for plane in range(4)]
        value = sum(expanded, start=data & 0)
    else:
        rotated = (data >> rotate | data << (8 - rotate)) & 0xFF
        if mode == 3:
            mask = (rotated & bit_mask) * ALL_PLANES
            value = data & 0 | PLANE_MASK[set_reset]
        else:
            enabled = PLANE_MASK[enable_set_reset]
            value = rotated * ALL_PLANES & (enabled ^ 0xFFFFFFFF) | PLANE_MASK[set_reset] & enabled
    value = _combine(function, value, latch)
    return value & mask | latch & (mask ^ 0xFFFFFFFF)


@lru_cache(maxsize=64)
def byte_table(setup: WriteSetup, latch: int) -> NDArray[np.uint32]:
    """(256,) uint32: the dword that each byte value becomes while the latches hold `latch`."""
    data = np.arange(256, dtype=np.uint32)
    return pipeline(setup, data, np.full(256, latch, np.uint32))


def colour_compare(dwords: NDArray[np.uint32], compare: int, care: int) -> NDArray[np.uint8]:
    """Read mode 1: a bit is 1 where every plane that GR07 (`care`) selects equals GR02 (`compare`).

    `dwords` are four planes each, (n,) uint32; the answer is (n,) uint8.
    """
    differs = (dwords ^ np.uint32(PLANE_MASK[compare])) & np.uint32(PLANE_MASK[care])
    planes = differs.view(np.uint8).reshape(-1, 4)
    unequal: NDArray[np.uint8] = np.bitwise_or.reduce(planes, axis=1)
    return ~unequal


def independent_bytes(ahead: int, unit: int, wrap: int) -> int:
    """How many bytes of a rep movsb may all be read before the first is written.

    A write is seen by every later read of the same dword, so a block must end before the first
    read that an earlier write of the block reaches.

    `ahead` is destination minus source, modulo `wrap`, the bytes after which the window repeats;
    `unit` window bytes share a dword: 1 planar, 2 odd/even, 4 chain-4.

    >>> [independent_bytes(2, 1, 65536), independent_bytes(65376, 2, 65536)]
    [2, 65375]
    """
    if ahead == 0 and unit == 1:
        return wrap
    if ahead < unit or wrap - ahead < unit:
        return 1
    return ahead - (unit - 1)
