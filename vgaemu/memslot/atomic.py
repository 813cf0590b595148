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

#: __ATOMIC_SEQ_CST.
SEQ_CST = 5
#: Of ``uint64_t f(volatile void *, uint64_t, int)``.
Function: TypeAlias = Callable[[int, int, int], int]


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
        self._address = ctypes.addressof(self._memory)
        self._fetch_or, self._exchange = functions

    def fetch_or(self, index: int, bits: int) -> int:
        return self._fetch_or(self._address + 8 * index, bits, SEQ_CST)

    def exchange(self, index: int, value: int) -> int:
        return self._exchange(self._address + 8 * index, value, SEQ_CST)


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
    prototype = ctypes.PYFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int)
    for name in ("libatomic.so.1", None):
        # The search starts a process: only where the usual name does not do.
        found = name or find_library("atomic")
        if found is None:
            continue
        try:
            library = ctypes.PyDLL(found)
            fetch_or = prototype(("__atomic_fetch_or_8", library))
            exchange = prototype(("__atomic_exchange_8", library))
        except (OSError, AttributeError):
            continue
        words = LibatomicWords(2, (fetch_or, exchange))
        top = 1 << 63
        if (words.fetch_or(1, top), words.fetch_or(1, 1), words.exchange(1, 0)) == (
            0,
            top,
            top | 1,
        ):
            return fetch_or, exchange
    return None
