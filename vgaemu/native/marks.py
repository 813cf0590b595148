"""Marks of the `flags` keeper from native code, which takes no GIL: see `memslot.flags`.

A store by native code lands before its mark: x86 lets no store pass another one, and `landed` keeps
the compiler from it. The flag is written even where it is set already. Were it only read, that read
could come before the data have left the processor's store buffer: a harvest between would clear the
flag, find the old data, and nobody would look again.
"""

from __future__ import annotations

from vgaemu.native.cells import FAULTS, FLAG_BYTES, FLAGS, FOUND
from vgaemu.native.compiler import CLEAR, Pointer, callback, landed, part, uint8_at, uint64_at


@part
def mark(cells: Pointer, page: int) -> None:
    """Data have landed in a page: unprotect and mark it, which is one."""
    landed()
    flags = uint8_at(cells[FLAGS])
    if flags[page] == 0:
        cells[FAULTS] += 1
    flags[page] = 1


@callback(CLEAR)
def _clear(cells: Pointer) -> None:
    """Clear what a harvest has found, byte by byte: neighbours may be marked meanwhile."""
    flags, found = uint8_at(cells[FLAGS]), uint8_at(cells[FOUND])
    words = uint64_at(cells[FOUND])
    for word in range(cells[FLAG_BYTES] >> 3):
        if words[word]:
            for page in range(8 * word, 8 * word + 8):
                if found[page]:
                    flags[page] = 0


FUNCTIONS = {"marks.clear": _clear.address}
