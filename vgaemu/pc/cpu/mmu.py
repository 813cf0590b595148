"""The MMU: from selectors to linear addresses, from those to physical ones, by a guest's tables.

Emulated: segments of code and data, of 16 and 32 bits; two levels of page tables with pages of
4 KiB and 4 MiB (CR4.PSE), three with 4 KiB and 2 MiB (CR4.PAE), write protection (CR0.WP),
supervisor pages, accessed and dirty bits, error codes. Not emulated: expand-down limits, long mode,
execute-disable, memory above 4 GiB, reserved bits that have to be 0 but in the first of three
tables, where four-level ones have them set. Gates and tasks are other kinds of descriptors.

Source: Intel SDM volume 3A, section 3.4.5 and chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.bus import ROM_END, ROM_START

#: Bytes at a linear address: fewer than asked for where memory ends or no page is.
LinearReader: TypeAlias = Callable[[int, int], bytes]
#: Selector, base, limit, attributes: as in `cpu.CPU_ARRAYS`.
Segment: TypeAlias = tuple[int, int, int, int]

#: In the order of `cpu.CPU_ARRAYS`.
SAVED_SEGMENTS = ("cs", "ds", "es", "fs", "gs", "ss")
#: Attributes: it holds code; it can be used from less privilege (code only); operands and addresses
#: (of code), or the stack pointer, have 32 bits; it is not there.
CODE, CONFORMING, BIG, UNUSABLE = 1 << 3, 1 << 2, 1 << 14, 1 << 16
#: It is of data that can be written; it has been loaded once; it is present.
SEGMENT_WRITABLE, SEGMENT_ACCESSED, SEGMENT_PRESENT = 1 << 1, 1, 1 << 7
#: Byte of a descriptor with the lower attributes.
ATTRIBUTES_AT = 5
#: Bits 8-23 of a descriptor's upper half that are attributes; the four between are of the limit.
ATTRIBUTES = 0xF0FF
#: Attributes in real mode, of all but CS.
REAL_DATA = 0x93
REAL_LIMIT = 0xFFFF

WRITE_PROTECT, PAGING = 1 << 16, 1 << 31  # CR0
PSE, PAE = 1 << 4, 1 << 5  # CR4
#: Bits of an entry.
PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE = 1, 2, 4, 1 << 5, 1 << 6, 1 << 7
#: Bits of a page fault's error code besides `WRITABLE` and `USER`: the page is there, and forbids.
PROTECTION = 1
#: Another one: a reserved bit of an entry is set.
RESERVED = 1 << 3
#: Those of the first of three tables.
_RESERVED_POINTER = 0x1E6

_OFFSET = PAGE_SIZE - 1


class Control(NamedTuple):
    """The control registers that paging depends on."""

    cr0: int
    cr3: int
    cr4: int

    @property
    def paging(self) -> bool:
        """Whether linear addresses are not physical ones."""
        return bool(self.cr0 & PAGING)


class _Format(NamedTuple):
    """One shape of page tables."""

    #: Bytes an entry; mask of its number in a table; lowest address bit that each level looks up.
    entry: int
    number: int
    shifts: tuple[int, ...]
    #: Alignment of the first table, and the bits of an entry that are an address.
    first: int
    address: int


_TWO_LEVELS = _Format(4, 0x3FF, (22, 12), -PAGE_SIZE, 0xFFFFF000)
_THREE_LEVELS = _Format(8, 0x1FF, (30, 21, 12), -32, 0xF_FFFF_FFFF_F000)


def descriptor(memory: LinearReader, table: int, limit: int, selector: int) -> Segment | None:
    """A segment as its descriptor tells; None if there is no segment of code or data."""
    # Between the switch to protected mode and the jump after it, selectors are those of real mode.
    if (selector & 0xFFF8) + 7 > limit:
        return None
    entry = memory(table + (selector & 0xFFF8), 8)
    segment = segment_of(int.from_bytes(entry, "little"), selector) if len(entry) == 8 else None
    return segment if segment is not None and segment[3] & SEGMENT_PRESENT else None


def segment_of(entry: int, selector: int) -> Segment | None:
    """A descriptor's segment of code or data, present or not; None if it is something else."""
    low, high = entry & 0xFFFF_FFFF, entry >> 32
    base = low >> 16 | (high & 0xFF) << 16 | high & 0xFF000000
    limit = low & 0xFFFF | high & 0xF0000
    if high >> 23 & 1:
        limit = limit << 12 | 0xFFF
    return (selector, base, limit, high >> 8 & ATTRIBUTES) if high >> 12 & 1 else None


class PageFault(Exception):
    """The page tables do not allow an access."""

    def __init__(self, linear: int, error_code: int) -> None:
        super().__init__(f"page fault at {linear:#010x}, error code {error_code}")
        #: What CR2 shall hold.
        self.linear = linear
        self.error_code = error_code


def translate(
    memory: memoryview,
    control: Control,
    linear: int,
    *,
    write: bool = False,
    user: bool = False,
    mark: bytearray | None = None,
) -> tuple[int, bool]:
    """The physical page of a linear address of 32 bits, paging being on.

    It may be for a store (`write`), at privilege level 3 (`user`), and set accessed and dirty bits
    as an access does: then `mark` is `Bus.stored`. The second value says whether stores may go
    there without another look: not before the page's dirty bit is set.

    Raises:
        PageFault: There is no such page, or it forbids the access.
    """
    form = _THREE_LEVELS if control.cr4 & PAE else _TWO_LEVELS
    code = WRITABLE * write | USER * user
    rights = WRITABLE | USER
    table = control.cr3 & form.first & 0xFFFF_FFFF
    walked: list[tuple[int, int]] = []
    for shift in form.shifts:
        at = table + form.entry * (linear >> shift & form.number)
        entry = int.from_bytes(memory[at : at + form.entry], "little")
        if not entry & PRESENT:
            raise PageFault(linear, code)
        if shift < 30:  # the first of three tables gives no rights
            walked.append((at, entry))
            rights &= entry
        elif entry & _RESERVED_POINTER:
            raise PageFault(linear, code | PROTECTION | RESERVED)
        table = entry & form.address
        large = entry & LARGE and (shift == 21 or (shift == 22 and control.cr4 & PSE))
        if large:
            break
    inside = (1 << shift) - 1
    page = (table & ~inside | linear & inside) & ~_OFFSET
    writable = bool(rights & WRITABLE) or not (user or control.cr0 & WRITE_PROTECT)
    if (user and not rights & USER) or (write and not writable):
        raise PageFault(linear, code | PROTECTION)
    if mark is not None:
        for upper in walked[:-1]:
            _set_bits(memory, mark, *upper, ACCESSED)
        _set_bits(memory, mark, *walked[-1], ACCESSED | DIRTY * write)
    return page, writable and (write or bool(entry & DIRTY))


def _set_bits(memory: memoryview, stored: bytearray, at: int, entry: int, bits: int) -> None:
    """Both bits are in an entry's lowest byte; a table may lie in ROM."""
    if bits & ~entry and not ROM_START <= at < ROM_END:
        memory[at] = entry & 0xFF | bits
        stored[at // PAGE_SIZE] = 1


def linear_reader(memory: memoryview, control: Control) -> LinearReader:
    """Reads as the processor itself does, which no user bit keeps out; sets no accessed bits."""
    if not control.paging:
        return lambda linear, count: bytes(memory[linear : linear + count])

    def read(linear: int, count: int) -> bytes:
        found = b""
        while len(found) < count:
            at = linear + len(found) & 0xFFFF_FFFF
            try:
                page, _ = translate(memory, control, at)
            except PageFault:
                break
            piece = min(count - len(found), PAGE_SIZE - (at & _OFFSET))
            start = page | at & _OFFSET
            some = bytes(memory[start : start + piece])
            found += some
            if len(some) < piece:
                break
        return found

    return read
