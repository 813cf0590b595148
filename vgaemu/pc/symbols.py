"""Symbols of a kernel: which function and line an address is in, and who called it.

Emulated: the symbol table of an ELF file (.symtab), its lines (see `lines`), and calls found by
frame pointers. Not emulated: names of C++ and Rust as people write them, code without frame
pointers.

Source: System V ABI (ELF).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

from vgaemu.errors import ImageError, file_error
from vgaemu.pc.kernels import ELF_SIGNATURE
from vgaemu.pc.lines import Lines

#: By class, 1 or 2: where section headers are, their size and number, and which has their names.
_HEADERS = {1: struct.Struct("<32xI10xHHH"), 2: struct.Struct("<40xQ10xHHH")}
#: Of each: name, type, offset, bytes, the section that it refers to, bytes an entry.
_SECTIONS = {1: struct.Struct("<II8xIII8xI"), 2: struct.Struct("<II16xQQI12xQ")}
#: Of each symbol: name, address, bytes, kind and section, in the order that its class has them.
_SYMBOLS = {1: struct.Struct("<IIIBxH"), 2: struct.Struct("<IBxHQQ")}
_SYMBOL_TABLE = 2
#: Kinds of symbols that code has: without one (assembly), and functions.
_CODE_KINDS = (0, 2)
#: Sections from here on are none: numbers that have a name.
_NO_SECTIONS = 0xFF00
#: Behind the last symbol of code without a size, so many bytes may still be its own.
MOST_BYTES = 1 << 16
#: Bytes of a section's name that are looked at, and of a symbol's; and symbols.
MOST_NAME, MOST_CHARACTERS, MOST_SYMBOLS = 32, 4096, 1 << 20
#: Callers that are told.
MOST_CALLERS = 16
#: PUSH EBP, by which a function begins that has a frame.
PUSH = b"\x55"

#: Gives so many bytes from a linear address on; fewer, or none, where there is no memory.
Reader: TypeAlias = Callable[[int, int], bytes]


class Symbol(NamedTuple):
    """A function, or a label of assembly, whose size is not told."""

    address: int
    size: int
    name: str


class Symbols:
    """What the code of a kernel is called."""

    def __init__(self, symbols: list[Symbol], data: bytes = b"") -> None:
        """Those of an ELF file, whose lines are looked for once they are asked for."""
        self._data = data
        # Of several at one address the one with a size stands last, and is found.
        self._symbols = sorted(symbols)
        self._addresses = [symbol.address for symbol in self._symbols]

    def __len__(self) -> int:
        return len(self._symbols)

    def at(self, address: int) -> Symbol | None:
        """What an address belongs to."""
        at = bisect_right(self._addresses, address) - 1
        symbol = self._symbols[at] if at >= 0 else None
        if symbol is None or address - symbol.address >= (symbol.size or MOST_BYTES):
            return None
        return symbol

    def name(self, address: int, *, returns: bool = False) -> str:
        """``kmain+0x23``, or nothing; what `returns` there belongs to the call before it."""
        symbol = self.at(address - returns)
        if symbol is None:
            return ""
        offset = address - symbol.address
        return f"{symbol.name}+{offset:#x}" if offset else symbol.name

    @cached_property
    def _lines(self) -> Lines:
        try:
            return Lines(dict(_debug_sections(self._data)) if self._data else {})
        except (struct.error, KeyError, IndexError):
            return Lines({})

    def places(self, addresses: Collection[int]) -> dict[int, str]:
        """``kernel.c:34`` of those addresses whose line the file says."""
        return {at: place for at in addresses if (place := self._lines.place(at))}

    def line(self, address: int) -> str:
        """``kmain (kernel.c:34)``, the function alone, or nothing."""
        symbol, place = self.at(address), self._lines.place(address)
        name = symbol.name if symbol else ""
        return f"{name} ({place})" if name and place else name

    def told(self, address: int) -> str:
        """``kmain+0x23 (kernel.c:34)``, the name alone, or nothing."""
        name, place = self.name(address), self._lines.place(address)
        return f"{name} ({place})" if name and place else name


def read_symbols(data: bytes) -> Symbols:
    """The symbols of an ELF file; none, if it has none or is no whole one."""
    try:
        is_elf = data.startswith(ELF_SIGNATURE)
        return Symbols(list(_symbols(data)), data) if is_elf else Symbols([])
    except (struct.error, KeyError, IndexError):
        return Symbols([])


def load_symbols(path: Path) -> Symbols:
    """The symbols of an ELF file.

    Raises:
        ImageError: It cannot be read, or has none.
    """
    try:
        symbols = read_symbols(path.read_bytes())
    except OSError as error:
        advice = "name the kernel's ELF file"
        raise ImageError(file_error(f"--symbols {path}", error, advice)) from None
    if not symbols:
        raise ImageError(f"--symbols {path}: none in it; name the kernel's ELF file, not stripped")
    return symbols


class _Section(NamedTuple):
    """A section's header."""

    name: int
    kind: int
    offset: int
    nbytes: int
    link: int
    entry_bytes: int

    def of(self, data: bytes) -> bytes:
        """What it holds."""
        return data[self.offset :][: self.nbytes]


def _sections(data: bytes) -> tuple[list[_Section], int]:
    """Headers of sections, and which section has their names."""
    kind = data[4]
    at, size, count, names = _HEADERS[kind].unpack_from(data)
    found = (_SECTIONS[kind].unpack_from(data, at + i * size) for i in range(count))
    return [_Section(*fields) for fields in found], names


def _debug_sections(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Those that say lines, by name."""
    sections, at = _sections(data)
    names, wanted = sections[at].of(data), {".debug_line", ".debug_line_str", ".debug_str"}
    for section in sections:
        begun = names[section.name : section.name + MOST_NAME]
        name = begun.partition(b"\0")[0].decode(errors="replace")
        if name in wanted:
            wanted.remove(name)
            yield name, section.of(data)


def _symbols(data: bytes) -> Iterator[Symbol]:
    kind = data[4]
    sections, _ = _sections(data)
    for _, what, offset, nbytes, link, entry_bytes in sections:
        if what != _SYMBOL_TABLE:
            continue
        names = sections[link].of(data)
        places = range(offset, offset + nbytes, entry_bytes or nbytes)
        for place in places[:MOST_SYMBOLS]:
            fields = _SYMBOLS[kind].unpack_from(data, place)
            if kind == 1:
                name, address, length, info, section = fields
            else:
                name, info, section, address, length = fields
            end = names.find(b"\0", name, name + MOST_CHARACTERS)
            told = names[name : max(end, 0)].decode(errors="backslashreplace")
            if info & 15 in _CODE_KINDS and 0 < section < _NO_SECTIONS and told:
                yield Symbol(address, length, told)
        return  # a file has one


def callers(read: Reader, frame: int, word_bytes: int = 4) -> Iterator[int]:
    """Return addresses, the innermost first, by a chain of frame pointers from `frame` on.

    It ends where a frame does not lie above the one before it, or is not in memory.
    """
    while True:
        data = read(frame, 2 * word_bytes)
        above = int.from_bytes(data[:word_bytes], "little")
        back = int.from_bytes(data[word_bytes:], "little")
        if len(data) < 2 * word_bytes or not back:
            return
        yield back
        if above <= frame:
            return
        frame = above


def call_lines(
    symbols: Symbols, read: Reader, ip: int, frame: int, stack: int, word_bytes: int = 4
) -> list[str]:
    """Where an address is, and who called it: a line each, as far as there are names.

    Args:
        symbols: What code is called.
        read: Gives bytes by linear addresses; fewer, or none, where there is no memory.
        ip: The address.
        frame: EBP.
        stack: ESP: a function without a frame of its own has its return address there.
        word_bytes: Of an address on the stack.
    """
    if (symbol := symbols.at(ip)) is None:
        return []
    backs = callers(read, frame, word_bytes)
    begun = ip - symbol.address
    if begun < len(PUSH) or read(symbol.address, len(PUSH)) != PUSH:
        backs = chain([int.from_bytes(read(stack, word_bytes), "little")], backs)
    told = [(ip, f"in {symbols.name(ip)}")]
    for back in islice(backs, MOST_CALLERS):
        if not (name := symbols.name(back, returns=True)):
            break
        told.append((back - 1, f"called from {name}"))
    places = symbols.places([address for address, _ in told])
    return [f"{said} ({places[at]})" if at in places else said for at, said in told]
