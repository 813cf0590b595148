"""Segments: what real mode makes of a selector, and what a descriptor tells of one.

Emulated: segments of code and data, of 16 and 32 bits. Not emulated: expand-down limits, checks of
privilege; gates and tasks are other kinds of descriptors.

Source: Intel SDM volume 3A, section 3.4.5.
"""

from __future__ import annotations

from typing import TypeAlias

from vgaemu.pc.cpu.mmu import LinearReader

#: Selector, base, limit, attributes: as in `cpu.CPU_ARRAYS`.
Segment: TypeAlias = tuple[int, int, int, int]

#: In the order of `cpu.CPU_ARRAYS`.
SAVED_SEGMENTS = ("cs", "ds", "es", "fs", "gs", "ss")
#: Attributes: it holds code; it can be used from less privilege (code only); operands and addresses
#: (of code), or the stack pointer, have 32 bits; it is not there.
CODE, CONFORMING, BIG, UNUSABLE = 1 << 3, 1 << 2, 1 << 14, 1 << 16
#: Attributes in real mode, of CS and of the others.
REAL_CODE, REAL_DATA = 0x9B, 0x93
REAL_LIMIT = 0xFFFF
#: Bits 8-23 of a descriptor's upper half that are attributes; the four between are of the limit.
ATTRIBUTES = 0xF0FF


def real_segment(index: int, selector: int) -> Segment:
    """A segment of `SAVED_SEGMENTS` as real mode has it."""
    return selector, selector << 4, REAL_LIMIT, REAL_DATA if index else REAL_CODE


def descriptor(memory: LinearReader, table: int, limit: int, selector: int) -> Segment | None:
    """A segment as its descriptor tells; None if there is no segment of code or data."""
    # Between the switch to protected mode and the jump after it, selectors are those of real mode.
    if (selector & 0xFFF8) + 7 > limit:
        return None
    entry = memory(table + (selector & 0xFFF8), 8)
    if len(entry) < 8:
        return None
    low, high = (int.from_bytes(entry[i : i + 4], "little") for i in (0, 4))
    base = low >> 16 | (high & 0xFF) << 16 | high & 0xFF000000
    limit = low & 0xFFFF | high & 0xF0000
    if high >> 23 & 1:
        limit = limit << 12 | 0xFFF
    if not high >> 15 & 1 or not high >> 12 & 1:
        return None
    return selector, base, limit, high >> 8 & ATTRIBUTES
