"""The MMU: from selectors to linear addresses, from those to physical ones, by a guest's tables.

Emulated: segments of code and data, of 16 and 32 bits; two levels of page tables with pages of
4 KiB and 4 MiB (CR4.PSE), three with 4 KiB and 2 MiB (CR4.PAE), four with 1 GiB, too (EFER.LMA),
write protection (CR0.WP), supervisor pages, execute-disable (EFER.NXE), accessed and dirty bits,
reserved bits of entries of 64 bits, error codes, canonical addresses. Not emulated: expand-down
limits, 4 MiB pages above 4 GiB, five levels, protection keys. Gates and tasks are other kinds of
descriptors.

Source: Intel SDM volume 3A, section 3.4.5 and chapter 4.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple, TypeAlias

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.bus import ROM_END, ROM_START
from vgaemu.pc.cpu.exceptions import GENERAL_PROTECTION, PAGE_FAULT

#: Bytes at a linear address: fewer than asked for where memory ends or no page is.
LinearReader: TypeAlias = Callable[[int, int], bytes]
#: Selector, base, limit, attributes: as in `cpu.CPU_ARRAYS`.
Segment: TypeAlias = tuple[int, int, int, int]

#: In the order of `cpu.CPU_ARRAYS`.
SAVED_SEGMENTS = ("cs", "ds", "es", "fs", "gs", "ss")
#: Attributes: it holds code; it can be used from less privilege (code only); operands and addresses
#: (of code), or the stack pointer, have 32 bits; it is not there.
CODE, CONFORMING, BIG, UNUSABLE = 1 << 3, 1 << 2, 1 << 14, 1 << 16
#: Of data: what its limit allows is above it.
EXPAND_DOWN = 1 << 2
#: Of code: of 64 bits, in long mode.
CODE64 = 1 << 13
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
LONG_MODE_ACTIVE, NO_EXECUTE_ENABLED = 1 << 10, 1 << 11  # EFER
#: Bits of an entry.
PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE = 1, 2, 4, 1 << 5, 1 << 6, 1 << 7
NO_EXECUTE = 1 << 63
#: Bits of a page fault's error code besides `WRITABLE` and `USER`: the page is there, and forbids;
#: a reserved bit of an entry is set; it was a fetch.
PROTECTION, RESERVED, FETCHED = 1, 1 << 3, 1 << 4
#: Bits of a physical address, and of a linear one of long mode.
PHYSICAL_BITS, LINEAR_BITS = 40, 48

_OFFSET = PAGE_SIZE - 1
#: Bits of an entry of 64 bits that are an address; what the format of tables depends on.
_ADDRESS = 0xF_FFFF_FFFF_F000
_FORMAT_CR4, _FORMAT_EFER = PAE | PSE, LONG_MODE_ACTIVE | NO_EXECUTE_ENABLED


class Control(NamedTuple):
    """The control registers that paging depends on."""

    cr0: int
    cr3: int
    cr4: int
    efer: int = 0

    @property
    def paging(self) -> bool:
        """Whether linear addresses are not physical ones."""
        return bool(self.cr0 & PAGING)

    @property
    def linear(self) -> int:
        """The bits that a linear address has in a register."""
        return (1 << 64) - 1 if self.efer & LONG_MODE_ACTIVE else 0xFFFF_FFFF


class _Level(NamedTuple):
    """One of the tables."""

    #: The lowest address bit that it looks up.
    shift: int
    #: Bits that have to be 0 in an entry that leads to another table, or to a page of 4 KiB; and in
    #: one of a large page, if it can be that.
    reserved: int
    large: int | None = None
    #: Its entries have no rights.
    without_rights: bool = False


class _Format(NamedTuple):
    """One shape of page tables."""

    #: Bytes an entry; mask of its number in a table.
    entry: int
    number: int
    levels: tuple[_Level, ...]
    #: The bits of CR3 and of an entry that are an address.
    first: int
    address: int


@cache
def _format_of(cr4: int, efer: int) -> _Format:
    """By bits of CR4 and EFER that it depends on."""
    if not cr4 & PAE:
        first = _Level(22, 0, 0 if cr4 & PSE else None)
        return _Format(4, 0x3FF, (first, _Level(12, 0)), 0xFFFFF000, 0xFFFFF000)
    is_long = efer & LONG_MODE_ACTIVE
    high = (1 << (52 if is_long else 63)) - (1 << PHYSICAL_BITS)
    if not efer & NO_EXECUTE_ENABLED:
        high |= NO_EXECUTE
    lower = _Level(21, high, high | 0x1F_E000), _Level(12, high)
    if is_long:
        upper = _Level(39, high | LARGE), _Level(30, high, high | 0x3FFF_E000)
        return _Format(8, 0x1FF, upper + lower, _ADDRESS, _ADDRESS)
    pointers = _Level(30, high | NO_EXECUTE | 0x1E6, without_rights=True)
    return _Format(8, 0x1FF, (pointers, *lower), 0xFFFF_FFE0, _ADDRESS)


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

    #: Of the exception that it is.
    vector = PAGE_FAULT

    def __init__(self, linear: int, error_code: int) -> None:
        super().__init__(f"page fault at {linear:#010x}, error code {error_code}")
        #: What CR2 shall hold.
        self.linear = linear
        self.error_code = error_code


class NotCanonical(PageFault):
    """An address of long mode whose upper bits are not all the same: no page fault, in fact."""

    vector = GENERAL_PROTECTION

    def __init__(self, linear: int) -> None:
        super().__init__(linear, 0)
        self.args = (f"reference to {linear:#x}, which is not canonical",)


def is_canonical(linear: int) -> bool:
    """Whether long mode has such an address: its upper bits are all the same."""
    return not (linear + (1 << LINEAR_BITS - 1)) >> LINEAR_BITS & 0xFFFF


class Page(NamedTuple):
    """Where a linear address leads."""

    #: Its physical address.
    at: int
    #: Stores may go there without another look: not before the page's dirty bit is set.
    writable: bool
    executable: bool


def translate(
    memory: memoryview,
    control: Control,
    linear: int,
    *,
    write: bool = False,
    fetch: bool = False,
    user: bool = False,
    mark: bytearray | None = None,
) -> Page:
    """The physical page of a linear address, paging being on.

    It may be for a store (`write`) or code (`fetch`), at privilege level 3 (`user`), and set
    accessed and dirty bits as an access does: then `mark` is `Bus.stored`.

    Raises:
        PageFault: There is no such page, or it forbids the access.
    """
    efer = control.efer
    form = _format_of(control.cr4 & _FORMAT_CR4, efer & _FORMAT_EFER)
    if efer & LONG_MODE_ACTIVE and not is_canonical(linear):
        raise NotCanonical(linear)
    no_execute = control.cr4 & PAE and efer & NO_EXECUTE_ENABLED
    code = WRITABLE * write | USER * user | FETCHED * (fetch and bool(no_execute))
    rights, forbidden = WRITABLE | USER, 0
    table = control.cr3 & form.first
    walked: list[tuple[int, int]] = []
    for level in form.levels:
        at = table + form.entry * (linear >> level.shift & form.number)
        entry = int.from_bytes(memory[at : at + form.entry], "little")
        if not entry & PRESENT:
            raise PageFault(linear, code)
        large = level.large is not None and entry & LARGE
        if entry & ((level.large or 0) if large else level.reserved):
            raise PageFault(linear, code | PROTECTION | RESERVED)
        if not level.without_rights:
            walked.append((at, entry))
            rights &= entry
            forbidden |= entry
        table = entry & form.address
        if large:
            break
    inside = (1 << level.shift) - 1
    page = (table & ~inside | linear & inside) & ~_OFFSET
    writable = bool(rights & WRITABLE) or not (user or control.cr0 & WRITE_PROTECT)
    executable = not (no_execute and forbidden & NO_EXECUTE)
    if (user and not rights & USER) or (write and not writable) or (fetch and not executable):
        raise PageFault(linear, code | PROTECTION)
    if mark is not None:
        for upper in walked[:-1]:
            _set_bits(memory, mark, *upper, ACCESSED)
        _set_bits(memory, mark, *walked[-1], ACCESSED | DIRTY * write)
    return Page(page, writable and (write or bool(entry & DIRTY)), executable)


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
            at = linear + len(found) & control.linear
            try:
                page = translate(memory, control, at).at
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
