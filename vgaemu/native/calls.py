"""Calls of C functions by their addresses, with numbers as arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


class _Builder(Protocol):
    def inttoptr(self, value: object, kind: object) -> object: ...
    def call(self, function: object, arguments: list[object]) -> object: ...


def _build(context: object, builder: _Builder, _: object, words: list[object]) -> object:
    number = ir.IntType(64)
    kind = ir.FunctionType(number, [number] * (len(words) - 1))
    return builder.call(builder.inttoptr(words[0], kind.as_pointer()), words[1:])


def _call3(context: object, at: object, a: object, b: object, c: object) -> object:
    number = types.int64
    return number(number, number, number, number), _build


def _call4(context: object, at: object, a: object, b: object, c: object, d: object) -> object:
    number = types.int64
    return number(number, number, number, number, number), _build


def _call5(
    context: object, at: object, a: object, b: object, c: object, d: object, e: object
) -> object:
    number = types.int64
    return number(number, number, number, number, number, number), _build


#: ``int64_t f(int64_t, int64_t, int64_t)``, and with an argument or two more. Narrower numbers are
#: as well passed so on x86-64; of what is returned only their bits count.
call3: Callable[[int, int, int, int], int] = intrinsic(_call3)
call4: Callable[[int, int, int, int, int], int] = intrinsic(_call4)
call5: Callable[[int, int, int, int, int, int], int] = intrinsic(_call5)
