"""Lines of source: which one an address of a kernel is compiled from.

Emulated: line programs of DWARF 2 to 5 (.debug_line), as compilers write them with -g. Not
emulated: compressed sections, debug information in a file of its own, columns, inlined code.

A file may say anything: nothing is looked up beyond its end, and after so many steps no more.

Source: DWARF Debugging Information Format, versions 2 to 5, "Line Number Information".
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Steps of line programs, entries of their tables among them, that are taken: a second or two.
MOST_STEPS = 1_000_000
#: Lines of a file, at most.
MOST_LINE = 1 << 31
#: Bytes that a number in pieces of seven bits has: 64 bits.
MOST_LEB = 10
#: Bytes of a string: Linux has no longer paths. Each entry of a table may name the same one.
MOST_STRING = 4096

_COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE, _CONST_ADD_PC, _FIXED_ADVANCE_PC = 1, 2, 3, 4, 8, 9
_END_SEQUENCE, _SET_ADDRESS = 1, 2
_PATH = 1
#: Forms of what has a fixed number of bytes.
_FIXED = {0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x1E: 16}
_STRING, _BLOCK, _STRP, _UDATA, _LINE_STRP = 0x08, 0x09, 0x0E, 0x0F, 0x1F


class _OverError(Exception):
    """So many steps are taken that no more are."""


class _Steps:
    """Counts them."""

    def __init__(self) -> None:
        self.left = MOST_STEPS

    def take(self) -> None:
        """One more."""
        self.left -= 1
        if self.left < 0:
            raise _OverError


class _Bytes:
    """Reads numbers and strings, one after the other."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data, self.at, self.end = data, at, min(end, len(data))

    def number(self, nbytes: int) -> int:
        """Little-endian, without sign."""
        at, self.at = self.at, self.at + nbytes
        if self.at > self.end:
            raise IndexError("behind the end")
        return int.from_bytes(self.data[at : self.at], "little")

    def uleb(self) -> int:
        """Seven bits a byte."""
        return self._leb()[0]

    def sleb(self) -> int:
        """The same, with sign."""
        value, bits = self._leb()
        return value - (1 << bits) if value >> bits - 1 else value

    def _leb(self) -> tuple[int, int]:
        """A number, and its bits."""
        value = 0
        for bits in range(0, 7 * MOST_LEB, 7):
            byte = self.number(1)
            value |= (byte & 0x7F) << bits
            if not byte & 0x80:
                return value, bits + 7
        raise ValueError(value)

    def string(self) -> bytes:
        """Up to a 0."""
        end = self.data.index(b"\0", self.at, min(self.end, self.at + MOST_STRING))
        at, self.at = self.at, end + 1
        return self.data[at:end]


class _Unit(NamedTuple):
    """A line program, and what its opcodes mean."""

    program: _Bytes
    files: dict[int, bytes]
    unit_bytes: int
    line_base: int
    line_range: int
    lengths: list[int]


class Lines:
    """The lines of a kernel by address."""

    def __init__(self, sections: Mapping[str, bytes]) -> None:
        """Those of an ELF file's sections by name; ``.debug_line``, if it has lines."""
        #: Of each row its first address, the one behind its last, its file's number, its line.
        rows = array("Q"), array("Q"), array("L"), array("L")
        self._names: list[bytes] = []
        with suppress(_OverError):
            self._read(sections, rows)
        firsts = np.array(rows[0], np.uint64)
        order = np.argsort(firsts, kind="stable")
        #: In the order of their addresses; of several at one the last one counts.
        self._firsts: NDArray[np.uint64] = firsts[order]
        self._others = [np.array(column)[order] for column in rows[1:]]

    def _read(self, sections: Mapping[str, bytes], rows: Sequence[array[int]]) -> None:
        lines, steps, at = sections.get(".debug_line", b""), _Steps(), 0
        while at + 4 <= len(lines):
            steps.take()
            begin, wide = at + 4, lines[at : at + 4] == b"\xff" * 4
            length = int.from_bytes(lines[at + 4 : at + 12] if wide else lines[at:begin], "little")
            at = (begin := begin + 8 * wide) + length
            try:
                unit = _read_unit(_Bytes(lines, begin, at), 8 if wide else 4, sections, steps)
                for row in _Registers(unit, steps).rows():
                    self._add(row, unit, rows)
            except (IndexError, ValueError, ZeroDivisionError, struct.error):
                continue  # this unit is none; there may be others

    def _add(self, row: tuple[int, int, int, int], unit: _Unit, rows: Sequence[array[int]]) -> None:
        first, end, file, line = row
        name = unit.files.get(file, b"").rpartition(b"/")[2]
        if not name or not 0 < line < MOST_LINE or end >= 1 << 64:
            return
        if not self._names or self._names[-1] != name:
            self._names.append(name)
        for column, value in zip(rows, (first, end, len(self._names) - 1, line), strict=True):
            column.append(value)

    def place(self, address: int) -> str:
        """``kernel.c:34``, or nothing."""
        at = int(np.searchsorted(self._firsts, np.uint64(address), "right")) - 1
        if at < 0:
            return ""
        end, file, line = (int(column[at]) for column in self._others)
        return f"{_printable(self._names[file])}:{line}" if address < end else ""


def places_of(sections: Mapping[str, bytes], addresses: Collection[int]) -> dict[int, str]:
    """``kernel.c:34`` of those addresses whose line is known."""
    lines = Lines(sections)
    return {address: place for address in addresses if (place := lines.place(address))}


def _printable(name: bytes) -> str:
    text = name.decode(errors="backslashreplace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _read_unit(
    data: _Bytes, offset_bytes: int, sections: Mapping[str, bytes], steps: _Steps
) -> _Unit:
    version = data.number(2)
    if not 2 <= version <= 5:
        raise ValueError(version)
    if version >= 5:
        data.number(2)  # sizes of an address and of a segment's selector
    length = data.number(offset_bytes)
    program = _Bytes(data.data, data.at + length, data.end)
    unit_bytes = data.number(1)
    if version >= 4:
        data.number(1)  # operations of an instruction
    data.number(1)  # whether rows are statements at first
    (line_base,) = struct.unpack("b", data.number(1).to_bytes(1, "little"))
    line_range, opcode_base = data.number(1), data.number(1)
    lengths = [0, *(data.number(1) for _ in range(opcode_base - 1))]
    if version >= 5:
        for _ in range(2):  # folders, then files
            files = dict(enumerate(_entries(data, offset_bytes, sections, steps)))
    else:
        files = _older_files(data, steps)
    return _Unit(program, files, unit_bytes, line_base, line_range, lengths)


def _older_files(data: _Bytes, steps: _Steps) -> dict[int, bytes]:
    """Names by number, from 1 on; before them stand folders."""
    while data.string():
        steps.take()
    files: dict[int, bytes] = {}
    while name := data.string():
        steps.take()
        files[len(files) + 1] = name
        for _ in range(3):  # folder, time, size
            data.uleb()
    return files


def _entries(
    data: _Bytes, offset_bytes: int, sections: Mapping[str, bytes], steps: _Steps
) -> Iterator[bytes]:
    """Names of a table as DWARF 5 has them."""
    formats = [(data.uleb(), data.uleb()) for _ in range(data.number(1))]
    for _ in range(data.uleb()):
        name = b""
        steps.take()
        for content, form in formats:
            value = _value(data, form, offset_bytes, sections)
            if content == _PATH:
                name = value
        yield name


def _value(data: _Bytes, form: int, offset_bytes: int, sections: Mapping[str, bytes]) -> bytes:
    """A string, or nothing for what is none."""
    if form == _STRING:
        return data.string()
    if form in (_STRP, _LINE_STRP):
        strings = sections.get(".debug_str" if form == _STRP else ".debug_line_str", b"")
        return _Bytes(strings, data.number(offset_bytes), len(strings)).string()
    if form == _UDATA:
        data.uleb()
    elif form == _BLOCK:
        data.number(data.uleb())
    elif form in _FIXED:
        data.number(_FIXED[form])
    else:
        raise ValueError(form)
    return b""


class _Registers:
    """Of the machine that a line program runs on."""

    def __init__(self, unit: _Unit, steps: _Steps) -> None:
        self._unit, self._steps, self._data = unit, steps, unit.program
        self._begin()

    def _begin(self) -> None:
        """A sequence of instructions begins; at 0 stands what was left out by the linker."""
        self.start = self.address = 0
        self.file = self.line = 1

    def rows(self) -> Iterator[tuple[int, int, int, int]]:
        """First address, the one behind the last, file and line of each row that has any."""
        row, row_file, row_line = 0, 0, 0
        while self._data.at < self._data.end:
            self._steps.take()
            opcode, start = self._data.number(1), self.start
            ends = self._step(opcode)
            if self.start != start:
                row_line = 0
            if opcode == _COPY or opcode >= len(self._unit.lengths) or ends:
                if self.start and row_line and row < self.address:
                    yield row, self.address, row_file, row_line
                row, row_file, row_line = self.address, self.file, self.line
            if ends:
                self._begin()
                row_line = 0

    def _step(self, opcode: int) -> bool:
        """Do one; whether it ends the sequence."""
        unit, base = self._unit, len(self._unit.lengths)
        if opcode == 0:
            return self._step_extended()
        if opcode >= base or opcode == _CONST_ADD_PC:
            special = (opcode if opcode >= base else 255) - base
            self.address += special // unit.line_range * unit.unit_bytes
            if opcode >= base:
                self.line += unit.line_base + special % unit.line_range
        else:
            self._step_standard(opcode)
        return False

    def _step_standard(self, opcode: int) -> None:
        data = self._data
        if opcode == _ADVANCE_PC:
            self.address += data.uleb() * self._unit.unit_bytes
        elif opcode == _ADVANCE_LINE:
            self.line += data.sleb()
        elif opcode == _SET_FILE:
            self.file = data.uleb()
        elif opcode == _FIXED_ADVANCE_PC:
            self.address += data.number(2)
        elif opcode != _COPY:
            for _ in range(self._unit.lengths[opcode]):
                data.uleb()

    def _step_extended(self) -> bool:
        data = self._data
        end = data.uleb() + data.at
        kind = data.number(1)
        if kind == _SET_ADDRESS:
            self.start = self.address = data.number(min(end - data.at, 8))
        data.at = end
        return kind == _END_SEQUENCE
