"""Ram: a guest's memory by physical address, to be peeked and poked from Python.

It is what the guest's code would find there without paging. Between A0000h and BFFFFh a guest has
the VGA, not RAM: `Vga.load` and `Vga.store` reach it. From C0000h to FFFFFh is ROM, which is only
read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from operator import index
from typing import SupportsIndex, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from vgaemu.errors import RamError
from vgaemu.pc.bus import ROM_END, VGA_END, VGA_START, Bus

#: What a slice takes; of an array its bytes as they lie.
Octets: TypeAlias = bytes | bytearray | memoryview | NDArray[np.generic] | Iterable[int]


class Ram:
    """A guest's RAM: ``ram[0x417]``, ``ram[0x7C00:0x7E00]``, and what is assigned to them.

    A byte is an int, a slice bytes; a slice is assigned as many bytes as it has. Addresses are
    physical, from 0 on; there are none from the end, and no steps.

    While the guest runs on its own thread, what is read need not be of one moment. To write, it is
    held at the end of its slice. Code that is overwritten is executed as it then is.
    """

    def __init__(self, bus: Bus, stands: Callable[[str], AbstractContextManager[object]]) -> None:
        """`stands` lets the guest stand still; it is given what an error is to name."""
        self._bus, self._stands = bus, stands

    def __repr__(self) -> str:
        return f"<vgaemu.Ram, {len(self) >> 20} MiB>"

    def __len__(self) -> int:
        """Bytes, with what lies between RAM below 640 KiB and above 1 MiB."""
        return self._bus.ram_bytes

    @property
    def array(self) -> NDArray[np.uint8]:
        """(bytes,) uint8, read-only: the memory itself, in which the VGA's window is zeros."""
        view = self._bus.array.view()
        view.setflags(write=False)
        return view

    @overload
    def __getitem__(self, where: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, where: slice) -> bytes: ...

    def __getitem__(self, where: SupportsIndex | slice) -> int | bytes:
        """A byte, or some.

        Raises:
            RamError: They are not there.
        """
        start, stop, _ = self._place(where)
        data = self._bus.read(start, stop - start)
        return data if isinstance(where, slice) else data[0]

    @overload
    def __setitem__(self, where: SupportsIndex, value: int) -> None: ...
    @overload
    def __setitem__(self, where: slice, value: Octets) -> None: ...

    def __setitem__(self, where: SupportsIndex | slice, value: int | Octets) -> None:
        """Write a byte, or as many as a slice has.

        Raises:
            RamError: There is no RAM, or it takes another value.
            StateError: The guest does not stop.
        """
        start, stop, name = self._place(where)
        if start < ROM_END and stop > VGA_END:
            raise RamError(f"{name}: C0000h to FFFFFh is ROM; write to RAM")
        data = _octets(value, name) if isinstance(where, slice) else _octet(value, name)
        if len(data) != stop - start:
            raise RamError(f"{name} = {len(data)} bytes: it takes {stop - start}")
        with self._stands(name):
            self._bus.write(start, data)

    def _place(self, where: SupportsIndex | slice) -> tuple[int, int, str]:
        """First address, the one after the last, and what errors call them."""
        size = len(self)
        if isinstance(where, slice):
            start = 0 if where.start is None else index(where.start)
            stop = size if where.stop is None else index(where.stop)
            name = f"ram[{start:#x}:{stop:#x}]"
            if where.step not in (None, 1):
                raise RamError(f"{name[:-1]}:{where.step}]: slices have no steps; ram.array has")
        else:
            start = index(where)
            stop, name = start + 1, f"ram[{start:#x}]"
        if not 0 <= start <= stop <= size:
            raise RamError(f"{name}: addresses are 0 to {size - 1:#x}, in ascending order")
        if start < VGA_END and stop > VGA_START and start < stop:
            raise RamError(
                f"{name}: A0000h to BFFFFh is the VGA's window; vga.load and vga.store reach it"
            )
        return start, stop, name


def _octet(value: int | Octets, name: str) -> bytes:
    if not (isinstance(value, int | np.integer) and 0 <= value <= 0xFF):
        raise RamError(f"{name}: a byte is 0 to 255")
    return bytes([value])


def _octets(value: int | Octets, name: str) -> bytes:
    if isinstance(value, int):  # of which `bytes` makes so many zeros
        raise RamError(f"{name} = {value}: a slice takes bytes")
    try:
        return bytes(value)
    except (TypeError, ValueError) as error:
        raise RamError(f"{name}: {error}") from None
