"""Blocks of code that were translated before native code came, for which the guest paid already.

A table of int64: how many places it has less one, a power of two, and the places: a key, or `FREE`,
or `TAKEN`.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection

FREE, TAKEN = 0, -1


def key_of(address: int, size: int) -> int:
    """Of a block; never `FREE`, as there is none without bytes."""
    return (address << 12 ^ size) & 0x7FFF_FFFF_FFFF_FFFF


def first_place(key: int, mask: int) -> int:
    """Where a key is looked for first; then in the places behind it."""
    return (key ^ key >> 12) & mask


def table_of(blocks: Collection[tuple[int, int]]) -> array[int]:
    """A table of blocks, by address and size."""
    places = 4
    while places < 2 * len(blocks):
        places *= 2
    table = array("q", bytes(8 * (1 + places)))
    table[0] = mask = places - 1
    for address, size in blocks:
        key = key_of(address, size)
        place = first_place(key, mask)
        while table[1 + place] != FREE:
            place = place + 1 & mask
        table[1 + place] = key
    return table
