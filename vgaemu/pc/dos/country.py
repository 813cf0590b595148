"""Country-dependent information: INT 21h/38h, 63h, 65h, 66h.

Emulated: the United States, code page 437: formats, capitals, the order of letters, characters of
file names, the question of yes or no. Not emulated: other countries and code pages (they cannot be
set). Source: MS-DOS Programmer's Reference 5.0; R. Brown's interrupt list (tables 01400 and 01754).
"""

from __future__ import annotations

import struct
import unicodedata

from vgaemu.pc.bios.calls import Service
from vgaemu.pc.board import Board
from vgaemu.pc.bus import Bus
from vgaemu.pc.dos.area import BASE, SEGMENT, SEGMENT_BYTES, TABLES_OFFSET
from vgaemu.pc.dos.errors import BAD_FUNCTION, NO_FILE, DosError
from vgaemu.vga.codepage import to_unicode

UNITED_STATES, CODE_PAGE = 1, 437
#: Tables of 65h, and the routine that 38h tells of, which makes AL a capital.
CAPITALS_OFFSET, ORDER_OFFSET, NAMES_OFFSET, DBCS_OFFSET, ROUTINE_OFFSET = (
    TABLES_OFFSET + at for at in (0, 0x90, 0x1A0, 0x1C0, 0x1D0)
)
#: By the number that AL of 65h has.
TABLES = {2: CAPITALS_OFFSET, 4: CAPITALS_OFFSET, 5: NAMES_OFFSET, 6: ORDER_OFFSET, 7: DBCS_OFFSET}
#: Lowest and highest character, those that are not, and those that end a name.
NAMES = bytes.fromhex("01 00 FF 00 00 20 02 0E") + b'."/\\[]:|<>+=;,'


def capital(code: int) -> int:
    """A character of code page 437 as a capital, if it has one there.

    >>> chr(capital(ord("a"))), capital(0x84), capital(0xE1)
    ('A', 142, 225)
    """
    upper = to_unicode(bytes((code,))).upper().encode("cp437", "ignore")
    return upper[0] if code >= 0x20 and len(upper) == 1 else code


def order(code: int) -> int:
    """Where a character comes among others: with the capital that it has without accents."""
    letter = unicodedata.normalize("NFD", to_unicode(bytes((code,))))[0]
    return ord(letter.upper()) if code >= 0x20 and letter.isascii() else code


def write_tables(bus: Bus) -> None:
    """Put the tables into DOS's memory."""
    routine = bytes.fromhex("3C 80 72 09 53 BB") + struct.pack("<H", CAPITALS_OFFSET + 2)
    # cmp al, 80h; jb done; push bx; mov bx, table; sub al, 80h; cs: xlatb; pop bx; done: retf
    routine += bytes.fromhex("2C 80 2E D7 5B CB")
    for offset, data in {
        CAPITALS_OFFSET: bytes(map(capital, range(0x80, 0x100))),
        ORDER_OFFSET: bytes(map(order, range(0x100))),
        NAMES_OFFSET: NAMES,
        DBCS_OFFSET: b"",
    }.items():
        bus.write(BASE + offset, struct.pack("<H", len(data)) + data)
    bus.write(BASE + ROUTINE_OFFSET, routine)


class Country:
    """What DOS says of the country."""

    def __init__(self, board: Board) -> None:
        self._bus, self._cpu = board.bus, board.cpu
        self.services: dict[int, Service] = {
            0x38: self._information,
            0x63: self._lead_bytes,
            0x65: self._extended,
            0x66: self._code_page,
        }

    def _formats(self) -> bytes:
        """Month, day, year; dollars before the sum, with cents; hours up to twelve."""
        return struct.pack(
            "<H5s2s2s2s2sBBBHH2s10x", 0, b"$", b",", b".", b"-", b":", 0, 2, 0,
            ROUTINE_OFFSET, SEGMENT, b",",
        )  # fmt: skip

    def _information(self) -> None:
        cpu = self._cpu
        country = cpu.bx if cpu.al == 0xFF else cpu.al
        if country not in (0, UNITED_STATES):
            raise DosError(NO_FILE)
        if cpu.dx != 0xFFFF:
            self._bus.write(cpu.linear("ds", "dx"), self._formats())
            cpu.bx = UNITED_STATES
        cpu.ax = UNITED_STATES

    def _lead_bytes(self) -> None:
        """63h: no character has two bytes."""
        if self._cpu.al == 0:
            self._cpu.set("ds", SEGMENT)
            self._cpu.si = DBCS_OFFSET + 2
        self._cpu.al = 0

    def _extended(self) -> None:
        cpu, call = self._cpu, self._cpu.al
        if call in (0x20, 0x21, 0x22):
            self._capitals(call)
        elif call == 0x23:
            cpu.ax = {ord("Y"): 1, ord("N"): 0}.get(capital(cpu.dl), 2)
        elif call == 1:
            data = struct.pack("<HH", UNITED_STATES, CODE_PAGE) + self._formats()
            self._answer(b"\x01" + struct.pack("<H", len(data)) + data)
        elif call in TABLES:
            self._answer(struct.pack("<BHH", call, TABLES[call], SEGMENT))
        else:
            raise DosError(BAD_FUNCTION)

    def _answer(self, data: bytes) -> None:
        """As much as the buffer at ES:DI, of CX bytes, has room for."""
        cpu = self._cpu
        data = data[: cpu.cx]
        self._bus.write(cpu.linear("es", "di"), data)
        cpu.cx, cpu.ax = len(data), CODE_PAGE

    def _capitals(self, call: int) -> None:
        cpu, bus = self._cpu, self._bus
        if call == 0x20:
            cpu.dl = capital(cpu.dl)
            return
        at, count = cpu.linear("ds", "dx"), cpu.cx if call == 0x21 else SEGMENT_BYTES
        data = bus.read(at, count)
        if call == 0x22:
            data = data.partition(b"\0")[0]
        bus.write(at, data.translate(_ALL_CAPITALS))

    def _code_page(self) -> None:
        cpu = self._cpu
        if cpu.al == 1:
            cpu.bx = cpu.dx = CODE_PAGE
        elif cpu.al != 2 or cpu.bx != CODE_PAGE:
            raise DosError(NO_FILE)


_ALL_CAPITALS = bytes(map(capital, range(0x100)))
