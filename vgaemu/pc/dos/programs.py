"""Programs of DOS in memory: .COM and .EXE files, the prefix (PSP), the environment.

Emulated: .EXE headers with their relocations, stack and sizes of memory, both kinds by the
signature MZ whatever the file is called; of the prefix INT 20h, the end of memory, the vectors and
the program that it returns to, the environment, a call of INT 21h, CALL 5, the FCBs and the command
line. Not emulated: checksums (DOS never looked), the newer headers (NE, LE, PE) of programs for
other systems: what runs is the program for DOS that is before them. `handles` keeps their table.

Source: MS-DOS Programmer's Reference 5.0.
"""

from __future__ import annotations

import struct
from typing import NamedTuple, TypeAlias

from vgaemu.pc.bus import Bus
from vgaemu.pc.dos.area import SEGMENT_BYTES, last_drive
from vgaemu.pc.dos.errors import BAD_FORMAT, DosError
from vgaemu.pc.dos.fcb import FCB_BYTES, prefix_fcbs

SIGNATURES = (b"MZ", b"ZM")
PACKED = b"RB"
#: Signature; bytes in the last page, pages; relocations; paragraphs of the header, least and most
#: paragraphs behind the image; SS, SP; checksum; IP, CS; where the relocations are.
HEADER = struct.Struct("<2s12H")
PAGE_BYTES, PARAGRAPH, RELOCATION_BYTES = 512, 16, 4
#: The prefix, in paragraphs and in bytes.
PREFIX_PARAGRAPHS, PREFIX_BYTES = 0x10, 0x100
#: Least room of a .COM program's stack.
LEAST_STACK = 0x100
MAX_COMMAND_LINE = 126
#: What fields of a prefix lie where: terminate, break and error vectors; parent; environment;
#: stack of a program that waits for a child.
TERMINATE_AT, PARENT_AT, ENVIRONMENT_AT, STACK_AT = 0x0A, 0x16, 0x2C, 0x2E
VECTORS = range(0x22, 0x25)
FCB_AT, COMMAND_LINE_AT = (0x5C, 0x6C), 0x80
PREVIOUS_AT = 0x38
#: CALL 5 of CP/M, whose offset says how much of the segment is the program's; see `area.CALL_5_AT`.
CALL_5 = bytes.fromhex("9A F0 FE 1D F0")
#: The program's name comes behind the variables, and how many strings there are.
NAMES_BEHIND = b"\x01\0"
MAX_PATH = 80


class Entry(NamedTuple):
    """Where a program begins."""

    cs: int
    ip: int
    ss: int
    sp: int


class Com(NamedTuple):
    """A program of one segment, as it is in its file."""

    image: bytes

    @property
    def is_packed(self) -> bool:
        """See `Exe`."""
        return False

    @property
    def least(self) -> int:
        """Paragraphs that it needs, with its prefix."""
        return PREFIX_PARAGRAPHS + _paragraphs(len(self.image) + LEAST_STACK)

    @property
    def most(self) -> int:
        """Paragraphs that it takes if they are there."""
        return 0xFFFF

    def place(self, bus: Bus, prefix: int, paragraphs: int) -> Entry:
        """Load it behind its prefix, into a block of so many; RET goes to the INT 20h."""
        bus.write((prefix << 4) + PREFIX_BYTES, self.image)
        stack = min(paragraphs << 4, SEGMENT_BYTES) - 2
        bus.write16((prefix << 4) + stack, 0)
        return Entry(prefix, PREFIX_BYTES, prefix, stack)

    def relocated(self, factor: int) -> bytes:
        """As an overlay."""
        return self.image


class Exe(NamedTuple):
    """A program with a header; see `parse`."""

    image: bytes
    relocations: list[tuple[int, int]]
    behind: tuple[int, int]
    entry: Entry

    @property
    def is_high(self) -> bool:
        """Whether it lies at the end of its memory."""
        return self.behind == (0, 0)

    @property
    def is_packed(self) -> bool:
        """Whether EXEPACK has packed it: its code begins behind that one's signature."""
        at = (self.entry.cs << 4) + self.entry.ip
        return self.image[at - len(PACKED) : at] == PACKED

    @property
    def least(self) -> int:
        """Paragraphs that it needs, with its prefix."""
        return PREFIX_PARAGRAPHS + _paragraphs(len(self.image)) + self.behind[0]

    @property
    def most(self) -> int:
        """Paragraphs that it takes if they are there."""
        most = PREFIX_PARAGRAPHS + _paragraphs(len(self.image)) + self.behind[1]
        return 0xFFFF if self.is_high else max(self.least, min(most, 0xFFFF))

    def place(self, bus: Bus, prefix: int, paragraphs: int) -> Entry:
        """Load it behind its prefix, or at the end of its block, which has so many."""
        segment = prefix + PREFIX_PARAGRAPHS
        if self.is_high:
            segment = prefix + paragraphs - _paragraphs(len(self.image))
        bus.write(segment << 4, self.relocated(segment))
        cs, ip, ss, sp = self.entry
        return Entry(cs + segment & 0xFFFF, ip, ss + segment & 0xFFFF, sp)

    def relocated(self, factor: int) -> bytes:
        """Its image, with segments that begin at another than 0."""
        image = bytearray(self.image)
        for offset, segment in self.relocations:
            at = (segment << 4) + offset
            if at + 2 <= len(image):
                word = int.from_bytes(image[at : at + 2], "little") + factor
                image[at : at + 2] = (word & 0xFFFF).to_bytes(2, "little")
        return bytes(image)


AnyProgram: TypeAlias = Com | Exe


def parse(data: bytes) -> AnyProgram:
    """A file, as EXEC looks at it.

    Raises:
        DosError: It has a header that cannot be.
    """
    if not data.startswith(SIGNATURES):
        if len(data) > SEGMENT_BYTES - PREFIX_BYTES - 2:
            raise DosError(BAD_FORMAT)
        return Com(data)
    if len(data) < HEADER.size:
        raise DosError(BAD_FORMAT)
    (_, last, pages, count, header, least, most, ss, sp, _, ip, cs, at) = HEADER.unpack_from(data)
    end = PAGE_BYTES * pages - (PAGE_BYTES - last if 0 < last < PAGE_BYTES else 0)
    begin = header * PARAGRAPH
    table = data[at : at + count * RELOCATION_BYTES]
    if not begin < min(end, len(data)) or len(table) != count * RELOCATION_BYTES:
        raise DosError(BAD_FORMAT)
    return Exe(
        data[begin:end], list(struct.iter_unpack("<HH", table)), (least, most),
        Entry(cs, ip, ss, sp),
    )  # fmt: skip


def _paragraphs(nbytes: int) -> int:
    return -(-nbytes // PARAGRAPH)


def environment(variables: bytes, path: str) -> bytes:
    """A program's environment: variables, each with its end, and the program's path."""
    name = path.upper().encode("cp437", "replace")[:MAX_PATH]
    return (variables or b"\0") + b"\0" + NAMES_BEHIND + name + b"\0"


def write_prefix(
    bus: Bus, prefix: int, environment_at: int, end: int, parent: int, command_line: bytes
) -> int:
    """Put a prefix before a program; the FCBs are of its command line.

    Returns:
        AX as the program finds it.
    """
    first, second, drives = prefix_fcbs(command_line, last_drive(bus))
    head = bytearray(PREFIX_BYTES)
    head[0:4] = b"\xcd\x20" + end.to_bytes(2, "little")  # int 20h
    head[0x05:0x0A] = CALL_5
    for i, vector in enumerate(VECTORS):
        head[TERMINATE_AT + 4 * i : TERMINATE_AT + 4 * i + 4] = bus.read(4 * vector, 4)
    head[PARENT_AT : PARENT_AT + 2] = parent.to_bytes(2, "little")
    head[ENVIRONMENT_AT : ENVIRONMENT_AT + 2] = environment_at.to_bytes(2, "little")
    head[PREVIOUS_AT : PREVIOUS_AT + 4] = b"\xff" * 4
    head[0x50:0x53] = b"\xcd\x21\xcb"  # int 21h; retf
    for at, fcb in zip(FCB_AT, (first, second), strict=True):
        head[at : at + FCB_BYTES] = fcb
    head[COMMAND_LINE_AT] = len(command_line)
    text = command_line + b"\r"
    head[COMMAND_LINE_AT + 1 : COMMAND_LINE_AT + 1 + len(text)] = text
    bus.write(prefix << 4, bytes(head))
    return drives
