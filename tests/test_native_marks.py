"""Marks from native code, which takes no GIL, beside harvests: none is lost."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from vgaemu import native
from vgaemu.memslot import Memslot, flags
from vgaemu.memslot.flags import FlagsKeeper
from vgaemu.native import cells as layout

pytestmark = pytest.mark.skipif(
    native.why_not() is not None, reason=f"no native code: {native.why_not()}"
)

PAGES, MANY = 64 * 8, 4096


def shared(slot: Memslot) -> np.ndarray:
    """The cells of a slot's keeper, which native code marks in from now on."""
    functions, keeper = native.load(wait=True), slot.keeper
    assert functions
    assert isinstance(keeper, FlagsKeeper)
    keeper.share(functions["marks.clear"])
    assert keeper._cells is not None
    return np.frombuffer(keeper._cells, np.int64)


def scattered(slot: Memslot) -> list[int]:
    """So many pages, so far apart, that a harvest clears them eight at a time."""
    pages = [*range(0, PAGES, 8)]
    for page in pages:
        slot.mark_dirty(page << 12, 1)
    return pages


def test_a_mark_within_the_clearing_is_in_the_next_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neighbours of what was found, marked after a harvest has looked and before it has cleared."""
    slot = Memslot(PAGES)
    cells = shared(slot)
    from vgaemu.native.marks import mark

    def others() -> None:
        for page in range(3, PAGES, 8):
            mark(cells, page)

    def xor(one: np.ndarray, other: np.ndarray, out: np.ndarray) -> None:
        read = one.copy()
        others()
        np.copyto(out, read ^ other)

    keeper = slot.keeper
    assert isinstance(keeper, FlagsKeeper)
    clear = keeper._clear
    assert clear is not None
    monkeypatch.setattr(flags, "bitwise_xor", xor)

    # With the XOR they would be gone: the test does look between the two halves of it.
    monkeypatch.setattr(keeper, "_clear", None)
    scattered(slot)
    slot.get_dirty_log()
    assert list(slot.get_dirty_log()) == []

    def beside() -> None:
        others()
        clear()
        others()

    monkeypatch.setattr(keeper, "_clear", beside)
    assert list(slot.get_dirty_log()) == []
    assert scattered(slot) == list(slot.get_dirty_log())
    assert list(slot.get_dirty_log()) == [*range(3, PAGES, 8)]


def test_faults_of_native_code_are_counted() -> None:
    slot = Memslot(PAGES)
    cells = shared(slot)
    from vgaemu.native.marks import mark

    for page in (5, 5, 9):
        mark(cells, page)
    slot.mark_dirty(9 << 12, 1)
    assert slot.counters.faults == 2
    slot.mark_dirty(1 << 12, 1)
    assert slot.counters.faults == 3
    assert slot.counters.faults == 3
    assert cells[layout.FAULTS] == 2
    assert list(slot.get_dirty_log()) == [1, 5, 9]


def test_no_mark_is_lost_beside_harvests() -> None:
    """Pages are stored to once a round, without the GIL, so no later store hides a lost mark.

    Of so many marks an XOR loses about twenty.
    """
    numba = pytest.importorskip("numba")
    shared(Memslot(PAGES))
    from vgaemu.native.marks import mark

    @numba.njit(nogil=True)
    def storm(cells, data, order, x):
        for page in order:
            data[page] = 1
            mark(cells, page)
            for _ in range(200):
                x = (x * 1103515245 + 12345) & 0x7FFFFFFF
        return x

    order, lost = np.random.default_rng(1).permutation(MANY), []
    for _ in range(40):
        slot = Memslot(MANY)
        data, seen = np.zeros(MANY, np.int64), np.zeros(MANY, np.int64)

        def harvest(slot=slot, data=data, seen=seen) -> None:
            pages = np.fromiter(slot.get_dirty_log(), np.intp)
            seen[pages] = data[pages]

        thread = threading.Thread(target=storm, args=(shared(slot), data, order, 1))
        thread.start()
        while thread.is_alive():
            harvest()
        thread.join()
        harvest()
        lost += np.flatnonzero(seen == 0).tolist()
    assert lost == []
