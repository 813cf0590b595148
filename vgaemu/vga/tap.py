"""TappedVga: a `Vga` that tells what is done to it, before it is done.

Told: port accesses, stores, loads and copies from outside; what one of them does by others, such as
OUT of a word by two of bytes, is part of it. While somebody listens, `window` answers None, so that
guests that know plain memory come through `store` and `load`, too. Not told: bytes put straight
into the `Memslot`, and registers that a saved state replaces.

It is a class of its own so that a `Vga` without a tap asks nothing before each operation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from vgaemu.memslot import Memslot
from vgaemu.vga.device import Vga


class Tap(Protocol):
    """Who is told, with the arguments of the operation."""

    def outb(self, port: int, value: int) -> None: ...
    def outw(self, port: int, value: int) -> None: ...
    def inb(self, port: int) -> None: ...
    def inw(self, port: int) -> None: ...
    def store(self, gpa: int, data: Any) -> None: ...
    def load(self, gpa: int, count: int) -> None: ...
    def copy(self, src: int, dst: int, count: int) -> bool:
        """False: tell the loads and stores that it is made of instead."""


Operation = TypeVar("Operation", bound=Callable[..., Any])


def _tapped(operation: Operation) -> Operation:
    """The method of `Vga`, told to the tap by its name unless another one calls it."""
    name = operation.__name__

    @wraps(operation)
    def call(self: TappedVga, *arguments: Any) -> Any:
        if self._tap is None or self._told or getattr(self._tap, name)(*arguments) is False:
            return operation(self, *arguments)
        self._told = True
        try:
            return operation(self, *arguments)
        finally:
            self._told = False

    return cast(Operation, call)


class TappedVga(Vga):
    """A `Vga` with room for one tap."""

    def __init__(self, slot: Memslot | None = None) -> None:
        self._tap: Tap | None = None
        #: Inside an operation that has been told: what it is made of is not.
        self._told = False
        super().__init__(slot)

    def attach(self, tap: Tap | None) -> None:
        """Tell a tap from now on, or nobody."""
        self._tap = tap
        for callback in self.on_map_changed:
            callback()

    def window(self, gpa: int) -> int | None:
        return super().window(gpa) if self._tap is None else None

    def tells_of_stores(self) -> bool:
        return self._tap is not None

    outb, outw = _tapped(Vga.outb), _tapped(Vga.outw)
    inb, inw = _tapped(Vga.inb), _tapped(Vga.inw)
    store, load, copy = _tapped(Vga.store), _tapped(Vga.load), _tapped(Vga.copy)
