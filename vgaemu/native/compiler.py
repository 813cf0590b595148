"""How the modules here are compiled: decorators, and numbers as pointers.

Only these modules import it, and they are imported by the thread of `load`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar, cast

from numba import cfunc, config, njit, types
from numba.extending import intrinsic

from vgaemu.native import cache_folder

Function = TypeVar("Function", bound=Callable[..., object])

_folder = cache_folder()
_cells, _engine = types.CPointer(types.int64), types.voidptr
#: ``uint64_t read(uc_engine *, uint64_t offset, unsigned size, int64_t *cells)``; all numbers are
#: signed here, or those of both kinds together would become floating-point ones.
READ = types.int64(_engine, types.int64, types.int32, _cells)
#: ``void write(uc_engine *, uint64_t offset, unsigned size, uint64_t value, int64_t *cells)``
WRITE = types.void(_engine, types.int64, types.int32, types.int64, _cells)
#: ``void clear(int64_t *cells)``
CLEAR = types.void(_cells)
#: ``uint32_t in(uc_engine *, uint32_t port, int size, intptr_t numbers)``
IN = types.uint32(types.int64, types.uint32, types.int32, types.int64)
#: ``void out(uc_engine *, uint32_t port, int size, uint32_t value, intptr_t numbers)``
OUT = types.void(types.int64, types.uint32, types.int32, types.uint32, types.int64)


class Pointer(Protocol):
    """Numbers in memory; to a function that is not compiled a memoryview is such a thing."""

    def __getitem__(self, at: int, /) -> int: ...
    def __setitem__(self, at: int, value: int, /) -> None: ...


class Doubles(Protocol):
    """The same of doubles."""

    def __getitem__(self, at: int, /) -> float: ...
    def __setitem__(self, at: int, value: float, /) -> None: ...


class Callback(Protocol):
    """A function that an engine calls."""

    #: Where it lies.
    address: int


@contextmanager
def kept() -> Iterator[None]:
    """What is compiled meanwhile is kept in the folder of `cache_folder`."""
    before = config.CACHE_DIR
    if _folder is not None and not before:
        config.CACHE_DIR = str(_folder)
    try:
        yield
    finally:
        config.CACHE_DIR = before


def callback(signature: object) -> Callable[[Callable[..., object]], Callback]:
    """Compile a function that an engine calls: `READ`, `WRITE` or another signature of numba's."""
    is_kept = bool(config.CACHE_DIR)
    made: Callable[[Callable[..., object]], Callback]
    made = cfunc(signature, cache=is_kept, error_model="numpy")
    return made


def part(function: Function) -> Function:
    """A function that callbacks call; it becomes part of each."""
    made: Function = njit(function, error_model="numpy")
    return made


class _Context(Protocol):
    def get_value_type(self, kind: object) -> object: ...
    def get_dummy_value(self) -> object: ...


class _Builder(Protocol):
    def fence(self, ordering: str) -> object: ...
    def inttoptr(self, value: object, kind: object) -> object: ...


def _pointer_to(element: object) -> Callable[[int], Pointer]:
    pointer = types.CPointer(element)

    def at(context: object, address: object) -> object:
        def build(context: _Context, builder: _Builder, _: object, words: list[object]) -> object:
            return builder.inttoptr(words[0], context.get_value_type(pointer))

        return pointer(types.int64), build

    made: Callable[[int], Pointer] = intrinsic(at)
    return made


#: An address as a pointer.
int64_at, uint64_at = _pointer_to(types.int64), _pointer_to(types.uint64)
uint32_at, uint8_at = _pointer_to(types.uint32), _pointer_to(types.uint8)
uint16_at = _pointer_to(types.uint16)
double_at = cast("Callable[[int], Doubles]", _pointer_to(types.float64))


def _landed(context: object) -> object:
    def build(context: _Context, builder: _Builder, _: object, words: list[object]) -> object:
        builder.fence("release")
        return context.get_dummy_value()

    return types.none(), build


#: What is stored before it lands before what is stored after it: on x86 that is the compiler's
#: matter alone.
landed: Callable[[], None] = intrinsic(_landed)
