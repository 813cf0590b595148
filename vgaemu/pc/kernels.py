"""Kernels in their files: ELF, and the headers by which loaders know them.

Emulated: ELF of 32 and 64 bits by its program headers, at their physical addresses; a multiboot 1
header, with the addresses that it may have in place of ELF's (the a.out kludge). Not emulated:
section headers (symbols are not handed over), relocatable and dynamic files, multiboot 2.

Source: System V ABI (ELF); Multiboot Specification 0.6.96.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

ELF_SIGNATURE = b"\x7fELF"
#: By class, 1 or 2: entry, program headers' offset, their size and number.
_HEADERS = {1: struct.Struct("<24xII10xHH"), 2: struct.Struct("<24xQQ14xHH")}
#: Of each: type, offset, virtual and physical address, bytes in the file and in memory.
_PROGRAMS = {1: struct.Struct("<6I"), 2: struct.Struct("<I4x5Q")}
_LOADED = 1

MAGIC, MAGIC_2 = (0x1BADB002).to_bytes(4, "little"), (0xE85250D6).to_bytes(4, "little")
#: A header lies in so much of a file, at a multiple of 4.
SEARCHED = 8192
#: What a header asks for: modules on pages, memory, a video mode; it has addresses of its own.
PAGE_ALIGNED, MEMORY, VIDEO, ADDRESSES = 1, 2, 4, 1 << 16
#: Flags that a loader must know to go on, and those that it does.
REQUIRED, KNOWN = 0xFFFF, PAGE_ALIGNED | MEMORY | VIDEO
#: Magic, flags, checksum; of the header, of what is loaded: begin and end, of zeros: end, entry;
#: linear (0) or text, width, height, bits.
_HEADER = struct.Struct("<12I")


class KernelError(Exception):
    """A file is no kernel that could be loaded; says why."""


class Header(NamedTuple):
    """A multiboot header: where it is in its file, and what it asks for."""

    at: int
    flags: int
    addresses: tuple[int, ...]
    #: Linear (0) or text (1); width, height, bits a pixel; 0: no preference.
    video: tuple[int, ...]


class Segment(NamedTuple):
    """What lies where in memory: bytes, and zeros up to `size`."""

    address: int
    data: bytes
    size: int

    @property
    def end(self) -> int:
        return self.address + self.size


def find_header(head: bytes, searched: int = SEARCHED) -> Header | None:
    """The multiboot header of a file that begins so; loaders look no further than `SEARCHED`."""
    head = head[: searched + _HEADER.size]
    at = head.find(MAGIC)
    while 0 <= at < searched:
        fields = _HEADER.unpack(head[at : at + _HEADER.size].ljust(_HEADER.size, b"\0"))
        if not at & 3 and not sum(fields[:3]) & 0xFFFFFFFF:
            return Header(at, fields[1], fields[3:8], fields[8:])
        at = head.find(MAGIC, at + 1)
    return None


def load(data: bytes) -> tuple[list[Segment], int]:
    """Where a multiboot kernel lies in memory, and its entry, a physical address.

    Raises:
        KernelError: It cannot be loaded.
    """
    header = find_header(data)
    if header is None:
        raise KernelError("no multiboot header in its first 8 KiB")
    unknown = header.flags & REQUIRED & ~KNOWN
    if unknown:
        raise KernelError(f"its multiboot header asks for flags {unknown:#x}, which nobody knows")
    if header.flags & ADDRESSES:
        return _by_addresses(data, header)
    if not data.startswith(ELF_SIGNATURE):
        raise KernelError("a multiboot header without addresses, in a file that is no ELF")
    return load_elf(data)


def _by_addresses(data: bytes, header: Header) -> tuple[list[Segment], int]:
    header_at, begin, end, zeros_end, entry = header.addresses
    offset = header.at - (header_at - begin)
    if offset < 0 or header_at < begin:
        raise KernelError("its multiboot header tells of what is before its file")
    content = data[offset:] if end == 0 else data[offset : offset + max(end - begin, 0)]
    if end and len(content) < end - begin:
        raise KernelError("not whole: its multiboot header tells of what is behind its file")
    return [Segment(begin, content, max(len(content), zeros_end - begin))], entry


def load_elf(data: bytes) -> tuple[list[Segment], int]:
    """Where an ELF file lies in memory, and its entry, a physical address.

    Raises:
        KernelError: It cannot be loaded.
    """
    kind = data[4] if len(data) > 5 else 0
    if kind not in _HEADERS or data[5] != 1 or len(data) < _HEADERS[kind].size:
        raise KernelError("an ELF file of another processor, or not whole")
    entry, at, size, count = _HEADERS[kind].unpack_from(data)
    layout = _PROGRAMS[kind]
    if at + size * count > len(data) or size < layout.size:
        raise KernelError("not whole: its program headers are behind its end")
    segments, physical_entry = [], entry
    for i in range(count):
        what, offset, virtual, physical, nbytes, in_memory = layout.unpack_from(data, at + i * size)
        if what != _LOADED or not in_memory:
            continue
        if offset + nbytes > len(data):
            raise KernelError("not whole: what it loads is behind its end")
        if virtual <= entry < virtual + in_memory:
            physical_entry = entry - virtual + physical
        content = data[offset : offset + min(nbytes, in_memory)]
        segments.append(Segment(physical, content, in_memory))
    if not segments:
        raise KernelError("nothing in it is to be loaded")
    return segments, physical_entry
