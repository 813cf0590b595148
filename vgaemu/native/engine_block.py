"""A block of code as an engine keeps it, a TranslationBlock, and where: in a cache by its address.

Source: include/exec/exec-all.h, include/exec/tb-hash.h of QEMU 5.0, as Unicorn 2.1 has them.
"""

from __future__ import annotations

from typing import Protocol

#: In words of 64 bits, its linear address, its machine code and that one's bytes, behind which lies
#: a list of its instructions; of 32 the processor's flags that it was translated for, and what it
#: was asked for, flags, too; of 16 its size in bytes, and its instructions.
PC_AT, CODE_AT, CODE_BYTES, STATE_AT, FLAGS_AT, SIZE_AT, COUNT_AT = 0, 4, 5, 4, 6, 10, 11
#: Of the flags: how many instructions it was to have at most, 0: as many as it likes; whether it is
#: none any more, and not to be found.
ASKED_FOR, INVALID = 0x7FFF, 1 << 18
#: The cache has so many places for blocks of a page, and in all.
PAGE_PLACES, PLACES = 1 << 6, 1 << 12


class Octets(Protocol):
    """Bytes, to native code and to Python."""

    def __getitem__(self, at: int, /) -> int: ...


def place_of(address: int) -> int:
    """Which of the cache's places is a block's."""
    mixed = address ^ address >> 6
    return mixed >> 6 & PLACES - PAGE_PLACES | mixed & PAGE_PLACES - 1


def number(octets: Octets, at: int) -> tuple[int, int]:
    r"""A signed LEB128 number of a block's list, and where the next one begins.

    The list has three of each instruction: how far it is from the one before, in the guest and what
    that left of flags, and how much code of the host it is.

    >>> number(b"\x7f\x81\x01", 0), number(b"\x7f\x81\x01", 1)
    ((-1, 1), (129, 3))
    """
    value, shift = 0, 0
    byte = 0x80
    while byte & 0x80:
        byte = int(octets[at])
        value |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return (value - (1 << shift) if byte & 0x40 else value), at
