"""Registers of the VGA as programs reach them: through ports, by index or by name.

Emulated: what a program does, so on any `Device`: CRTC at 3D4h or 3B4h, sequencer, graphics
controller, the attribute controller with its flip-flop, the DAC's runs of triples, DISPI. Not
emulated: indexes that a program had set are not put back, and the attribute controller's leaves the
picture shown (bit 5).

Source: IBM PS/2 Hardware Interface Technical Reference (video subsystem).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vgaemu.vga.registers import CRTC, TABLES, Part, Place

#: Ports that a PC leaves to its display adapters; not all of them answer.
ADAPTER_PORTS = range(0x3B0, 0x3E0)
#: Those that belong to a VGA alone, so that it answers for them, with DISPI's; printers and disk
#: controllers have their place between.
DECODED_PORTS = frozenset((*range(0x3B0, 0x3BB), *range(0x3C0, 0x3DB), 0x1CE, 0x1CF, 0x1D0))
#: Index ports that do not move, and their banks; the CRTC's is `Ports.crtc`.
SEQ, GC = 0x3C4, 0x3CE
INDEX_PORTS = {"sequencer": SEQ, "graphics": GC}

#: What registers hold: index port -> index -> value.
Known: TypeAlias = Mapping[int, Mapping[int, int]]

#: No bank has more.
MAX_REGISTERS = len(CRTC)

#: What can be stored: bytes, one an element.
Data: TypeAlias = bytes | bytearray | memoryview | NDArray[np.uint8]


class Device(Protocol):
    """What drives a VGA, and is all that a program has of one: a `Vga`, which tells of each."""

    def outb(self, port: int, value: int) -> None: ...
    def outw(self, port: int, value: int) -> None: ...
    def outs(self, port: int, data: bytes) -> None: ...
    def inb(self, port: int) -> int: ...
    def inw(self, port: int) -> int: ...
    def store(self, gpa: int, data: Data) -> None: ...
    def load(self, gpa: int, count: int) -> bytes: ...
    def copy(self, src: int, dst: int, count: int) -> None: ...


class Named(NamedTuple):
    """Where a field or split is: in which bank, and which registers have bits beside it."""

    bank: str
    place: Place
    registers: tuple[int, ...]
    shared: tuple[int, ...]


def _named() -> Iterator[tuple[str, Named]]:
    for bank, table in TABLES.items():
        masks = {row.index: row.mask for row in table.rows}
        for name, place in table.places.items():
            beside = {part.register: masks[part.register] for part in place}
            for part in place:
                beside[part.register] &= ~(part.mask << part.lsb)
            shared = tuple(index for index, bits in beside.items() if bits)
            yield name, Named(bank, place, tuple(beside), shared)


#: All of them: no two banks have fields of one name.
NAMED = dict(_named())


def _field(name: str) -> Named:
    """A field by its name.

    Raises:
        KeyError: There is none; its message says what may have been meant.
    """
    found = NAMED.get(name)
    if found is None:
        from difflib import get_close_matches  # nobody mistypes in most runs

        near = get_close_matches(str(name), [*NAMED], n=1)
        hint = f"did you mean {near[0]}?" if near else "--dump-registers names all"
        raise KeyError(f"no field of a register is named {name!r}; {hint}")
    return found


@lru_cache(maxsize=256)
def _plan(names: tuple[str, ...]) -> tuple[dict[str, list[int]], list[tuple[Part, Place]]]:
    """Which registers of each bank to read, each once, and where fields lie in what was read."""
    banks: dict[str, list[int]] = {}
    for name in names:
        held = banks.setdefault(_field(name).bank, [])
        held += [index for index in NAMED[name].registers if index not in held]
    read = [(bank, index) for bank, held in banks.items() for index in held]
    places = []
    for bank, place, *_ in (NAMED[name] for name in names):
        first, *rest = (p._replace(register=read.index((bank, p.register))) for p in place)
        places.append((first, Place(rest)))
    return banks, places


class Ports:
    """Registers of a device: ``ports["line_compare"]`` by name, ``ports.get(SEQ, 4)`` by index."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def __repr__(self) -> str:
        return f"<Ports of {self.device!r}>"

    def __getitem__(self, name: str) -> int:
        """Read a field of the register tables, or all parts of a split one."""
        return self.read(name)[0]

    def read(self, *names: str) -> list[int]:
        """Read several fields; registers that they share are read once."""
        banks, places = _plan(names)
        outb, inb = self.device.outb, self.device.inb
        values: list[int] = []
        for bank, registers in banks.items():
            port = self._index_port(bank)
            for index in registers:
                if port:
                    outb(port, index)
                    values.append(inb(port + 1))
                else:
                    values.append(self._get(bank, port, index))
        numbers = []
        for (n, lsb, mask, _), rest in places:
            number = values[n] >> lsb & mask
            numbers.append(number | rest.read(values) if rest else number)
        return numbers

    def __setitem__(self, name: str, number: int) -> None:
        """Write a field, keeping the bits beside it. CR11's lock holds for CRTC 00h-07h."""
        bank, place, registers, shared = _field(name)
        port = self._index_port(bank)
        values = bytearray(MAX_REGISTERS)
        for index in shared:
            values[index] = self._get(bank, port, index)
        place.write(values, number)
        for index in registers:
            if port:
                self.set(port, index, values[index])
            elif bank == "misc":
                self.device.outb(0x3C2, values[index])
            else:
                self.set_attribute(index, values[index])

    def _index_port(self, bank: str) -> int:
        """Index port of a bank; 0 where the index does not have one to itself."""
        return self.crtc if bank == "crtc" else INDEX_PORTS.get(bank, 0)

    def _get(self, bank: str, port: int, index: int) -> int:
        if port:
            return self.get(port, index)
        return self.device.inb(0x3CC) if bank == "misc" else self.get_attribute(index)

    @property
    def crtc(self) -> int:
        """The CRTC's index port: 3D4h, or 3B4h in monochrome modes."""
        return 0x3D4 if self.device.inb(0x3CC) & 1 else 0x3B4

    @property
    def status(self) -> int:
        """The port of input status 1: 3DAh, or 3BAh in monochrome modes."""
        return self.crtc + 6

    def get(self, port: int, index: int) -> int:
        """Read a register behind an index port."""
        self.device.outb(port, index)
        return self.device.inb(port + 1)

    def set(self, port: int, index: int, value: int) -> None:
        """Write a register behind an index port."""
        self.device.outw(port, value << 8 | index)

    def set_all(self, port: int, values: Mapping[int, int]) -> None:
        """Write several registers behind an index port, in order: index -> value."""
        for index, value in values.items():
            self.set(port, index, value)

    def get_crtc(self, index: int) -> int:
        """Read a CRTC register at whichever port it answers."""
        return self.get(self.crtc, index)

    def set_crtc(self, index: int, value: int) -> None:
        """Write a CRTC register at whichever port it answers."""
        self.set(self.crtc, index, value)

    def get_attribute(self, index: int) -> int:
        """Read a register of the attribute controller. The picture stays shown."""
        device, status = self.device, self.status
        device.inb(status)  # an index is next
        device.outb(0x3C0, index | 0x20)
        value = device.inb(0x3C1)
        device.inb(status)
        device.outb(0x3C0, 0x20)  # as a BIOS leaves it, and as `set_attribute` does
        return value

    def set_attribute(self, index: int, value: int) -> None:
        """Write a register of the attribute controller, and show the picture."""
        device = self.device
        device.inb(self.status)  # an index is next
        for byte in (index, value, 0x20):
            device.outb(0x3C0, byte)

    def get_dispi(self, index: int) -> int:
        """Read a DISPI register, 16 bits."""
        self.device.outw(0x1CE, index)
        return self.device.inw(0x1CF)

    def set_dispi(self, index: int, value: int) -> None:
        """Write a DISPI register, 16 bits."""
        self.device.outw(0x1CE, index)
        self.device.outw(0x1CF, value)

    def read_dac(self, first: int, count: int) -> bytes:
        """Read neighbouring colours: red, green and blue of each, as wide as the DAC has them."""
        inb = self.device.inb
        self.device.outb(0x3C7, first)
        return bytes([inb(0x3C9) for _ in range(3 * count)])

    def write_dac(self, first: int, components: Iterable[int]) -> None:
        """Write neighbouring colours: red, green and blue of each, as wide as the DAC has them."""
        self.device.outb(0x3C8, first)
        if not isinstance(components, bytes):
            components = bytes([component & 0xFF for component in components])
        self.device.outs(0x3C9, components)

    @contextmanager
    def changed(
        self,
        graphics: Mapping[int, int],
        sequencer: Mapping[int, int] | None = None,
        known: Known | None = None,
    ) -> Iterator[None]:
        """Other values in graphics controller and sequencer for a while: index -> value.

        Those of `known` are not read, nor written where they are right already.
        """
        outb, inb = self.device.outb, self.device.inb
        saved = []
        for port, values in ((GC, graphics), (SEQ, sequencer or {})):
            for index, value in values.items():
                if known is None:
                    outb(port, index)
                    old = inb(port + 1)
                elif (old := known[port][index]) == value:
                    continue
                else:
                    outb(port, index)
                saved.append((port, index, old))
                if old != value:
                    outb(port + 1, value)
        try:
            yield
        finally:
            for port, index, old in saved:
                outb(port, index)
                outb(port + 1, old)

    @contextmanager
    def font_memory(self) -> Iterator[None]:
        """Plane 2, which holds the fonts, byte by byte at A0000h for a while, as a BIOS loads."""
        graphics = {1: 0x00, 3: 0x00, 4: 0x02, 5: 0x00, 6: 0x04, 8: 0xFF}
        with self.changed(graphics, {2: 0x04, 4: 0x06}):
            yield
