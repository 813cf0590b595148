"""Where plane p, address o lies in VRAM: the only place that knows.

The legacy VGA sees the first 256 KiB of VRAM as four planes of 64 KiB. Each layout is an order of
their bytes in which one way of addressing is plain memory for the guest:

- planar: address o is dword o, its four plane bytes together, plane 0 lowest. One page holds 1024
  addresses of all planes.
- chain-4 puts window byte a at plane a & 3, address a & ~3: address o is dword
  ``(o & 3) << 14 | o >> 2``, and window byte a is byte a of VRAM. That is mode 13h.
- odd/even puts window byte a at plane a & 1, address a & ~1, with bit 16 of a (or the page that is
  selected) for address bit 0: address o is word ``o >> 1 | (o & 1) << 15`` of planes 0 and 1, those
  of planes 2 and 3 come after all of them, and window byte a is byte a of VRAM. That is text: a
  cell is a word, one page holds 2048 of them, and fonts lie in other pages.

So switching the layout rearranges VRAM once, and every program sees what hardware would show. With
DISPI on, VRAM is linear and is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: Bytes, dwords and pages of VRAM that the legacy VGA can address.
LEGACY_BYTES = 256 << 10
LEGACY_DWORDS = LEGACY_BYTES // 4
LEGACY_PAGES = LEGACY_BYTES >> 12
#: A *cell* is the word of planes 0 and 1 at an address, or of planes 2 and 3; they are numbered as
#: the odd/even layout has them: from here on those of planes 2 and 3.
HIGH_CELLS = LEGACY_DWORDS
#: Cells of one pair of planes whose addresses are all even, or all odd.
HALF_CELLS = LEGACY_DWORDS // 2
#: Cells, dwords of a page.
PAGE_CELLS, PAGE_DWORDS = 2048, 1024


class Layout(IntEnum):
    """The order of the planes' bytes in VRAM."""

    PLANAR, CHAIN4, ODD_EVEN = range(3)


def cell_of_address(address: NDArray[np.intp]) -> NDArray[np.intp]:
    """Plane addresses (0..FFFFh) to numbers of cells of planes 0 and 1.

    >>> cell_of_address(np.array([0, 2, 1])).tolist()
    [0, 1, 32768]
    """
    return address >> 1 | (address & 1) << 15


def words_of_cells(cells: NDArray[np.intp], layout: Layout) -> NDArray[np.intp]:
    """Which words of VRAM cells of planes 0 and 1 are.

    >>> words_of_cells(np.array([0, 1, 32768]), Layout.PLANAR).tolist()
    [0, 4, 2]
    """
    if layout is Layout.ODD_EVEN:
        return cells
    address = (cells << 1 | cells >> 15) & 0xFFFF
    return 2 * _dword_of_address(address, layout)


def _dword_of_address(address: NDArray[np.intp], layout: Layout) -> NDArray[np.intp]:
    return (address & 3) << 14 | address >> 2 if layout is Layout.CHAIN4 else address


def plane_bytes(address: NDArray[np.intp], layout: Layout) -> NDArray[np.intp]:
    """Where the four plane bytes of addresses (0..FFFFh) lie in VRAM: (..., 4).

    >>> plane_bytes(np.array([1]), Layout.CHAIN4).tolist()
    [[65536, 65537, 65538, 65539]]
    >>> plane_bytes(np.array([3]), Layout.ODD_EVEN).tolist()
    [[65538, 65539, 196610, 196611]]
    """
    first, steps = 4 * _dword_of_address(address, layout), (0, 1, 2, 3)
    if layout is Layout.ODD_EVEN:
        first, steps = 2 * cell_of_address(address), (0, 1, 2 * HIGH_CELLS, 2 * HIGH_CELLS + 1)
    numbers: NDArray[np.intp] = first[..., None] + np.array(steps)
    return numbers


def plane_dwords(
    vram: NDArray[np.uint8], address: NDArray[np.intp], layout: Layout
) -> NDArray[np.uint32]:
    """What the planes hold at addresses (0..FFFFh): a dword each, plane 0 lowest."""
    if layout is not Layout.ODD_EVEN:
        return vram.view(np.uint32).take(_dword_of_address(address, layout))
    words, cells = vram.view(np.uint16), cell_of_address(address)
    found = words.take(cells + HIGH_CELLS).astype(np.uint32)
    found <<= np.uint32(16)
    found |= words.take(cells)
    return found


def planes_in_order(vram: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint32]:
    """What the planes hold, address by address, plane 0 lowest: (65536,), a copy."""
    found = np.empty(LEGACY_DWORDS, np.uint32)
    for part, addresses in _parts(vram[:LEGACY_BYTES], found, layout):
        addresses[:] = part
    return found


def rearrange(vram: NDArray[np.uint8], old: Layout, new: Layout) -> None:
    """Bring the legacy 256 KiB from one layout to another, in place (measured: 60 to 130 us)."""
    dwords = planes_in_order(vram, old)
    for part, addresses in _parts(vram[:LEGACY_BYTES], dwords, new):
        part[:] = addresses


def _parts(
    vram: NDArray[np.uint8], dwords: NDArray[np.uint32], layout: Layout
) -> Iterator[tuple[NDArray[np.unsignedinteger], NDArray[np.unsignedinteger]]]:
    """What lies together in a layout, and the same in dwords by address.

    Copied one by one: as one transposed array it takes five times as long.
    """
    if layout is Layout.PLANAR:
        yield vram.view(np.uint32), dwords
    elif layout is Layout.CHAIN4:
        for quarter, part in enumerate(vram.view(np.uint32).reshape(4, -1)):
            yield part, dwords[quarter::4]
    else:
        words = dwords.view(np.uint16)
        for half, cells in enumerate(vram.view(np.uint16).reshape(4, -1)):
            high, odd = divmod(half, 2)
            yield cells, words[2 * odd + high :: 4]


Places = tuple[tuple[slice, slice], ...]


@lru_cache(maxsize=256)
def cells_between(first: int, end: int, layout: Layout) -> Places:
    """Where some cells lie: slices of cells by number, and each one's words of VRAM.

    >>> cells_between(0, 2000, Layout.ODD_EVEN)
    ((slice(0, 2000, 1), slice(0, 2000, 1)),)
    >>> cells_between(32768, 32770, Layout.PLANAR)
    ((slice(32768, 32770, 1), slice(2, 7, 4)),)
    """
    found: list[tuple[slice, slice]] = []
    while first < end:
        stop = min(end, (first | HALF_CELLS - 1) + 1)
        found += _in_a_half(first, stop, layout)
        first = stop
    return tuple(found)


def _in_a_half(first: int, end: int, layout: Layout) -> Iterator[tuple[slice, slice]]:
    """The same of cells of one pair of planes whose addresses are all even or all odd."""
    half, number = divmod(first, HALF_CELLS)
    high, odd = divmod(half, 2)
    if layout is Layout.ODD_EVEN:
        yield slice(first, end, 1), slice(first, end, 1)
    elif layout is Layout.PLANAR:
        yield slice(first, end, 1), _words(4 * number + 2 * odd + high, 4, end - first)
    else:
        # Address bits 0 and 1 are the uppermost of a dword's number.
        for cell in (first, first + 1):
            bit_1, number = cell & 1, cell % HALF_CELLS >> 1
            place = 2 * (bit_1 << 15 | odd << 14 | number) + high
            if cell < end:
                yield slice(cell, end, 2), _words(place, 2, (end - cell + 1) // 2)


def _words(first: int, step: int, count: int) -> slice:
    return slice(first, first + step * (count - 1) + 1, step)


@lru_cache(maxsize=256)
def cells_of_pages(low: int, high: int, layout: Layout) -> tuple[tuple[int, int], ...]:
    """Half-open ranges of cells, among them all that lie in some of the legacy pages."""
    if layout is Layout.ODD_EVEN:
        return ((low * PAGE_CELLS, high * PAGE_CELLS),)
    pages_a_quarter = LEGACY_PAGES // 4
    found = []
    if layout is Layout.PLANAR:
        for half in range(4):
            begin = half * HALF_CELLS
            found.append((begin + low * PAGE_DWORDS // 2, begin + high * PAGE_DWORDS // 2))
    else:
        for quarter in range(4):
            begin = quarter * pages_a_quarter
            first, end = max(low - begin, 0), min(high - begin, pages_a_quarter)
            for high_half in range(2) if first < end else ():
                base = high_half * HIGH_CELLS + (quarter & 1) * HALF_CELLS
                found.append((base + 2 * first * PAGE_DWORDS, base + 2 * end * PAGE_DWORDS))
    return tuple(found)
