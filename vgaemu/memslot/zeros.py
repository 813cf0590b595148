"""Memories most of whose pages are zeros, looked at as words."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.memslot.keeper import AnonymousMemory, anonymous_memory

#: What Linux says of a process's pages (Documentation/admin-guide/mm/pagemap.rst), in entries of
#: eight bytes: bit 63, it is in memory; bit 62, it is swapped.
PAGEMAP, ENTRY_BYTES, THERE = "/proc/self/pagemap", 8, np.uint64(1 << 62)


def zeros(nbytes: int) -> NDArray[np.uint8]:
    """A memory of zeros, of which is known which pages were stored to: (nbytes,) uint8, not none.

    Raises:
        OutOfMemory: The system does not give that much.
    """
    return np.frombuffer(anonymous_memory(nbytes), np.uint8)


def used_pages(memory: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pages are not all zeros: (pages,) bool.

    Of `anonymous_memory`, Linux says which pages there are, for 2 us a MiB. To look at those that
    there are not takes 25, and ten times that the first time.

    >>> used_pages(np.repeat(np.array([0, 0, 1], np.uint8), 4096)).tolist()
    [False, False, True]
    """
    words, there = _words(memory), _pages_there(memory)
    if there is None or 2 * len(there) > len(words):
        return _any_bit(words)
    used = np.zeros(len(words), np.bool_)
    used[there] = _any_bit(words[there])
    return used


def _any_bit(words: NDArray[np.uint64]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.bitwise_or.reduce(words, axis=1) != 0
    return found


def _pages_there(memory: NDArray[np.uint8]) -> NDArray[np.intp] | None:
    """Numbers of pages that are in memory or swapped; None: that is not told."""
    if not _is_anonymous(memory):
        return None
    try:
        with open(PAGEMAP, "rb", buffering=0) as file:
            file.seek(memory.ctypes.data // PAGE_SIZE * ENTRY_BYTES)
            entries = np.frombuffer(file.read(memory.size // PAGE_SIZE * ENTRY_BYTES), np.uint64)
    except OSError:
        return None
    return np.flatnonzero(entries >= THERE) if len(entries) == memory.size // PAGE_SIZE else None


def _is_anonymous(memory: NDArray[np.uint8]) -> bool:
    """Whether a page that is not there is zeros, and pages are the system's."""
    if mmap.PAGESIZE != PAGE_SIZE or memory.ctypes.data % PAGE_SIZE:
        return False
    base = memory.base
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, memoryview) and isinstance(base.obj, AnonymousMemory)


def overwrite(memory: NDArray[np.uint8], content: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Let a memory hold `content`, storing only into pages that differ; (count,) intp: those.

    Most are zeros here and there. What has never been stored into takes no room, and storing zeros
    there would have the system find it some.
    """
    words, wanted = _words(memory), _words(content)
    candidates = np.flatnonzero(used_pages(memory) | used_pages(content))
    changed: NDArray[np.intp] = candidates[(words[candidates] != wanted[candidates]).any(axis=1)]
    words[changed] = wanted[changed]
    return changed


def _words(memory: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return memory.view(np.uint64).reshape(-1, PAGE_SIZE // 8)
