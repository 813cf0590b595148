"""Words that threads change at once: a real fetch-or and exchange, or a lock around one word.

The 2012 patch rests on ``xchg``, and on marks that set their bit in one step. Python has neither:
``words[i] |= bit`` is a load and a store, and so is "read it, then clear it". GCC's libatomic has
both as functions for compilers without such instructions, and ctypes can call them: sequentially
consistent, and atomic with or without the GIL, which is kept (it would cost more than the call).
Where no libatomic is found, a lock is held for the two halves of one such step, and no longer.
"""

from __future__ import annotations

import ctypes
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from ctypes.util import find_library
from functools import cache
from typing import TypeAlias

import numpy as np

#: ``uint64_t f(volatile void *, uint64_t, int)``, called with ctypes' own objects: to convert three
#: arguments at each call would double its time.
Function: TypeAlias = Callable[[ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int], int]
#: __ATOMIC_SEQ_CST.
SEQ_CST = ctypes.c_int(5)
#: Each bit of a word, and none.
_BITS = {bits: ctypes.c_uint64(bits) for bits in (0, *(1 << i for i in range(64)))}


class AtomicWords(ABC):
    """Words of 64 bits."""

    #: Who makes it atomic.
    how: str

    def __init__(self, count: int) -> None:
        """`count` words, 0 at first."""
        self._memory = (ctypes.c_uint64 * count)()
        #: The words to look at, and to write where nobody else does.
        self.view = memoryview(self._memory).cast("B").cast("Q")
        #: The same: (count,) uint64.
        self.array = np.frombuffer(self.view, np.uint64)

    @abstractmethod
    def fetch_or(self, index: int, bits: int) -> int:
        """Set bits of a word; returns what it was."""

    @abstractmethod
    def exchange(self, index: int, value: int) -> int:
        """Store a word; returns what it was (``xchg``)."""


class LibatomicWords(AtomicWords):
    """By the processor."""

    how = "fetch-or and exchange of libatomic"

    def __init__(self, count: int, functions: tuple[Function, Function]) -> None:
        super().__init__(count)
        self._addresses = _Addresses(ctypes.addressof(self._memory))
        self._fetch_or, self._exchange = functions

    def fetch_or(self, index: int, bits: int) -> int:
        word = _BITS[bits] if bits in _BITS else ctypes.c_uint64(bits)
        return self._fetch_or(self._addresses[index], word, SEQ_CST)

    def exchange(self, index: int, value: int) -> int:
        word = _BITS[value] if value in _BITS else ctypes.c_uint64(value)
        return self._exchange(self._addresses[index], word, SEQ_CST)


class _Addresses(dict[int, ctypes.c_void_p]):
    """Where each word lies; made when it is first asked for."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self._first = first

    def __missing__(self, index: int) -> ctypes.c_void_p:
        address = self[index] = ctypes.c_void_p(self._first + 8 * index)
        return address


class LockedWords(AtomicWords):
    """By a lock around one word's load and store."""

    how = "a lock around each word: there is no libatomic"

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self._lock = threading.Lock()

    def fetch_or(self, index: int, bits: int) -> int:
        with self._lock:
            old = self.view[index]
            self.view[index] = old | bits
        return old

    def exchange(self, index: int, value: int) -> int:
        with self._lock:
            old = self.view[index]
            self.view[index] = value
        return old


def atomic_words(count: int) -> AtomicWords:
    """`count` words, by the best means there are."""
    functions = _libatomic()
    return LockedWords(count) if functions is None else LibatomicWords(count, functions)


@cache
def _libatomic() -> tuple[Function, Function] | None:
    """Fetch-or and exchange of 8 bytes, or None where they are not to be had."""
    for name in ("libatomic.so.1", None):
        # The search starts a process: only where the usual name does not do.
        found = name or find_library("atomic")
        if found is None:
            continue
        try:
            library = ctypes.PyDLL(found)
            fetch_or, exchange = library["__atomic_fetch_or_8"], library["__atomic_exchange_8"]
        except (OSError, AttributeError):
            continue
        fetch_or.restype = exchange.restype = ctypes.c_uint64
        words, top = LibatomicWords(2, (fetch_or, exchange)), 1 << 63
        told = words.fetch_or(1, top), words.fetch_or(1, 1), words.exchange(1, 0)
        if told == (0, top, top | 1):
            return fetch_or, exchange
    return None
