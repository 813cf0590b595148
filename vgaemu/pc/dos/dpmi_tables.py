"""The memory of a DPMI host's client that is the host's: code, tables of descriptors, of vectors.

Emulated: one such area for each program that has entered protected mode, in the paragraphs that it
gave for that; a word of DOS's own memory says which is the last. So all of it is part of a state.
All of the client is at ring 0, its descriptors, too: those of other rings become such.

Source: DPMI Specification 0.9; Intel 386 Programmer's Reference Manual.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import NamedTuple

from vgaemu.pc.bus import Bus
from vgaemu.pc.dos.area import DPMI_AREA_AT
from vgaemu.pc.dos.errors import DosError

#: Where `dpmi_host.asm` has what.
START, COME_BACK, STUBS, STUB_BYTES = 0x100, 0x200, 0x400, 3
GLOBAL_TABLE_REGISTER, VECTOR_REGISTER, REAL_VECTOR_REGISTER, CLIENT_AT = 0x00, 0x08, 0x10, 0x20
REAL_AT, REAL, LEAVE_AT = 0x2A, 0x1B0, 0x170
#: Registers of real mode; what is being done there, and for what structure; the area before this,
#: and whose this one is; whether its client is one of 32 bits.
REGISTERS_AT, DOING_AT, FOR_AT, BEFORE_AT, OWNER_AT, WIDE_AT = 0x30, 0x68, 0x6C, 0x70, 0x72, 0x74
#: Handlers of exceptions, six bytes each; tables of descriptors and of vectors; the stack.
GLOBAL_TABLE, VECTORS, TABLE, STACK_TOP = 0x80, 0x710, 0xF10, 0x3FF0
HANDLERS, EXCEPTIONS = 0x1F10, 32
#: Callbacks, sixteen bytes each: selector and offset of what is called, selector and offset of its
#: structure. The last ones are interrupts that the client has taken: selector 1, then the vector of
#: real mode that was there before.
CALLBACKS, CALLBACK_STUBS, CALLBACK = 0x1FD0, 0x340, struct.Struct("<HHII4x")
INTERRUPTS = (*range(0x08, 0x10), *range(0x70, 0x78), 0x1C)
FIRST_INTERRUPT = 32 - len(INTERRUPTS)
#: Who is in protected mode, called from real mode: how many, what each is to find again, and how
#: far the host's stack of real mode goes down for each.
DEPTH_AT, TO_ES_AT, TO_DS_AT, WAITING_STACK_AT = 0x76, 0xB0, 0xB8, 0x18
RECORDS, RECORD_BYTES, MOST_RECORDS, STACK_A_RECORD = 0x21D0, 0x50, 4, 0x400
DESCRIPTORS = 512
PARAGRAPHS = STACK_TOP + 16 >> 4
#: Selectors: of the host's code and data, of the client's table.
CODE, DATA, TABLE_SELECTOR = 0x08, 0x10, 0x20
OF_TABLE = 4
#: Access bytes, of ring 0: code and data, 16 bits; a table; gates of 16 and 32 bits.
CODE_ACCESS, DATA_ACCESS, TABLE_ACCESS = 0x9A, 0x92, 0x82
GATES = (0x86, 0x8E)
RINGS, IS_ONE = 0x60, 0x10
BIG, PAGES = 0x40, 0x80
#: What a host tells of itself: DPMI 0.90, on a 386.
VERSION, CPU_386 = 0x005A, 3
#: Errors of DPMI 1.0, which those of 0.9 do not say.
UNSUPPORTED, BAD_VALUE, NO_DESCRIPTOR, BAD_LINEAR, BAD_SELECTOR, BAD_HANDLE = (
    0x8001, 0x8021, 0x8011, 0x8025, 0x8022, 0x8023,
)  # fmt: skip
NO_MEMORY, NO_CALLBACK, BAD_CALLBACK = 0x8013, 0x8015, 0x8024


class Descriptor(NamedTuple):
    """A segment."""

    base: int
    limit: int
    access: int
    #: The upper four bits of its seventh byte.
    flags: int = 0

    def packed(self) -> bytes:
        """As the CPU has it."""
        limit, flags = self.limit, self.flags
        if limit >= 1 << 20 or flags & PAGES:
            limit, flags = limit >> 12, flags | PAGES
        low = limit & 0xFFFF | (self.base & 0xFFFFFF) << 16 | self.access << 40
        high = (limit >> 16 & 0xF) | flags & 0xF0 | (self.base >> 24) << 8
        return (low | high << 48).to_bytes(8, "little")

    @property
    def is_big(self) -> bool:
        """Whether its stack is one of 32 bits."""
        return bool(self.flags & BIG)


def unpacked(raw: bytes) -> Descriptor:
    """What the CPU has.

    >>> unpacked(Descriptor(0x12345678, 0xFFFFFFFF, 0x92, BIG).packed())
    Descriptor(base=305419896, limit=4294967295, access=146, flags=192)
    """
    limit = int.from_bytes(raw[:2], "little") | (raw[6] & 0xF) << 16
    base = int.from_bytes(raw[2:5], "little") | raw[7] << 24
    flags = raw[6] & 0xF0
    return Descriptor(base, limit << 12 | 0xFFF if flags & PAGES else limit, raw[5], flags)


@cache
def host_code() -> bytes:
    """`dpmi_host.asm`'s bytes."""
    return Path(__file__).with_name("dpmi_host").read_bytes()


class Area:
    """The last client's."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    @property
    def segment(self) -> int:
        """Where it is in real mode; 0: there is no client."""
        return self._bus.read16(DPMI_AREA_AT)

    @property
    def base(self) -> int:
        """Where it begins."""
        return self.segment << 4

    def read16(self, at: int) -> int:
        """A word of it."""
        return self._bus.read16(self.base + at)

    def write16(self, at: int, value: int) -> None:
        """Write one."""
        self._bus.write16(self.base + at, value)

    @property
    def is_wide(self) -> bool:
        """Whether the client is one of 32 bits."""
        return bool(self.read16(WIDE_AT))

    def make(self, segment: int, owner: int, *, wide: bool) -> None:
        """A client's area begins there."""
        bus, before, base = self._bus, self.segment, segment << 4
        bus.write16(DPMI_AREA_AT, segment)
        bus.write(base, host_code().ljust(PARAGRAPHS << 4, b"\0"))
        if not wide:
            bus.write8(base + LEAVE_AT, 0x90)
        segments = (
            bytes(8), Descriptor(base, 0xFFFF, CODE_ACCESS).packed(),
            Descriptor(base, 0xFFFF, DATA_ACCESS).packed(), bytes(8),
            Descriptor(base + TABLE, 8 * DESCRIPTORS - 1, TABLE_ACCESS).packed(),
        )  # fmt: skip
        table = b"".join(segments)
        bus.write(base + GLOBAL_TABLE, table)
        for at, limit, place in (
            (GLOBAL_TABLE_REGISTER, len(table) - 1, base + GLOBAL_TABLE),
            (VECTOR_REGISTER, 8 * 256 - 1, base + VECTORS),
            (REAL_VECTOR_REGISTER, 0x3FF, 0),
        ):
            bus.write(base + at, struct.pack("<HI", limit, place))
        bus.write(base + REAL_AT, struct.pack("<HH", REAL, segment))
        bus.write(base + BEFORE_AT, struct.pack("<HHH", before, owner, wide))
        for vector in range(256):
            self.set_vector(vector, CODE, STUBS + STUB_BYTES * vector)

    def forget(self) -> None:
        """Its client is no more."""
        self._bus.write16(DPMI_AREA_AT, self.read16(BEFORE_AT))

    # --- vectors and handlers ---

    def vector(self, number: int) -> tuple[int, int]:
        """Selector and offset."""
        low, selector, _, high = struct.unpack("<HHHH", self._read(VECTORS + 8 * number, 8))
        return selector, high << 16 | low

    def set_vector(self, number: int, selector: int, offset: int) -> None:
        """Let an interrupt lead there."""
        gate = GATES[self.is_wide]
        entry = struct.pack("<HHHH", offset & 0xFFFF, selector, gate << 8, offset >> 16)
        self._bus.write(self.base + VECTORS + 8 * number, entry)

    def handler(self, exception: int) -> tuple[int, int]:
        """Selector and offset; selector 0: the host's own."""
        offset, selector = struct.unpack("<IH", self._read(HANDLERS + 6 * exception, 6))
        return selector, offset

    def set_handler(self, exception: int, selector: int, offset: int) -> None:
        """Let an exception lead there."""
        at = self.base + HANDLERS + 6 * exception
        self._bus.write(at, struct.pack("<IH", offset, selector))

    def _read(self, at: int, count: int) -> bytes:
        return self._bus.read(self.base + at, count)

    # --- callbacks ---

    def callback(self, index: int) -> tuple[int, int, int, int]:
        """One of `CALLBACKS`."""
        found: tuple[int, int, int, int] = CALLBACK.unpack(
            self._read(CALLBACKS + CALLBACK.size * index, CALLBACK.size)
        )
        return found

    def set_callback(self, index: int, *values: int) -> None:
        """Selectors, then offsets; all 0: it is free."""
        at = self.base + CALLBACKS + CALLBACK.size * index
        self._bus.write(at, CALLBACK.pack(*values))

    # --- descriptors ---

    def _place(self, selector: int) -> int:
        index = selector >> 3
        if not selector & OF_TABLE or index >= DESCRIPTORS or not self._is_used(index):
            raise DosError(BAD_SELECTOR)
        return self.base + TABLE + 8 * index

    def _is_used(self, index: int) -> bool:
        return bool(self._bus.read8(self.base + TABLE + 8 * index + 5))

    def descriptor(self, selector: int) -> Descriptor:
        """A client's segment, or the host's.

        Raises:
            DosError: There is none.
        """
        if selector & ~3 in (CODE, DATA):
            return Descriptor(self.base, 0xFFFF, DATA_ACCESS)
        return unpacked(self._bus.read(self._place(selector), 8))

    def set_descriptor(self, selector: int, descriptor: Descriptor) -> None:
        """Change a segment.

        Raises:
            DosError: There is none.
        """
        mine = descriptor._replace(access=descriptor.access & ~RINGS | IS_ONE)
        self._bus.write(self._place(selector), mine.packed())

    def allocate(self, descriptor: Descriptor, count: int = 1, first: int = 2) -> int:
        """A selector of so many in a row; each is as the descriptor says.

        Raises:
            DosError: There are not so many.
        """
        run = 0
        for index in range(first, DESCRIPTORS):
            run = 0 if self._is_used(index) else run + 1
            if run == count:
                begin = index - count + 1
                data = descriptor.packed() * count
                self._bus.write(self.base + TABLE + 8 * begin, data)
                return begin << 3 | OF_TABLE
        raise DosError(NO_DESCRIPTOR)

    def free(self, selector: int) -> None:
        """A segment is no more.

        Raises:
            DosError: There is none.
        """
        self._bus.write(self._place(selector), bytes(8))

    def of_segment(self, segment: int) -> int:
        """A selector of a segment of real mode, always the same."""
        wanted = Descriptor(segment << 4, 0xFFFF, DATA_ACCESS)
        for index in range(2, DESCRIPTORS):
            raw = self._bus.read(self.base + TABLE + 8 * index, 8)
            if raw == wanted.packed():
                return index << 3 | OF_TABLE
        return self.allocate(wanted)

    def linear(self, selector: int, offset: int) -> int:
        """Where a far pointer leads to."""
        return self.descriptor(selector).base + offset & 0xFFFFFFFF
