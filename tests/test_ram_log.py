"""RAM's dirty log: every page that changed is in it, whoever stored, and pages are kept by it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from protected import Protected
from x86_helpers import CPUS, GUESTS, disk, make_pc, run_until_halted

from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.memslot.pages import CHUNK_PAGES, ZERO, Pages, octets_of
from vgaemu.memslot.slot import Memslot


def pages_of(memory: NDArray[np.uint8]) -> NDArray[np.uint64]:
    return memory.reshape(-1, PAGE_SIZE).view(np.uint64)


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> set[int]:
    return set(np.flatnonzero((pages_of(before) != pages_of(after)).any(axis=1)).tolist())


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("guest", ["snake.img", "scroller.img", "type.com"])
def test_every_page_that_changes_is_in_the_log(guest: str, cpu: str) -> None:
    with make_pc(GUESTS / guest, cpu=cpu) as pc:
        turns = pc.slices()
        pc.bus.log_ram(True)
        for _ in range(5):
            before = pc.bus.array.copy()
            pc.keys.press("a")
            for _ in range(3):
                next(turns, None)
            log = pc.bus.slot.get_dirty_log()
            assert changed(before, pc.bus.array) <= set(log)
            assert len(log) < 200  # and not simply all of them


@pytest.mark.parametrize("cpu", CPUS)
def test_page_tables_are_in_the_log_when_bits_of_them_are_set(tmp_path: Path, cpu: str) -> None:
    # inc byte [5000h], of which the entry has neither been accessed nor written.
    guest = Protected(bytes.fromhex("FE 05 00 50 00 00 FA F4"))
    path = tmp_path / "paging.img"
    path.write_bytes(guest.image())
    with make_pc(path, cpu=cpu) as pc:
        pc.bus.log_ram(True)
        before = pc.bus.array.copy()
        run_until_halted(pc)
        assert changed(before, pc.bus.array) <= set(pc.bus.slot.get_dirty_log())


def test_a_page_that_was_read_first_is_asked_for_again(tmp_path: Path) -> None:
    # mov ax, [9000h]; inc word [9000h]; cli; hlt
    with make_pc(disk(tmp_path, bytes.fromhex("A1 00 90 FF 06 00 90 FA F4"))) as pc:
        pc.bus.log_ram(True)
        run_until_halted(pc)
        assert 9 in pc.bus.slot.get_dirty_log()


def test_nothing_is_logged_before_and_after() -> None:
    with make_pc(GUESTS / "snake.img") as pc:
        turns = pc.slices()
        next(turns)
        assert 0 not in pc.bus.stored[: pc.bus.slot.npages]
        assert pc.bus.slot.mark_dirty not in pc.bus.on_memory_written
        pc.bus.log_ram(True)
        pc.bus.write(0x5000, b"x")
        assert list(pc.bus.slot.get_dirty_log()) == [5]
        next(turns)
        pc.bus.log_ram(False)
        next(turns)
        assert not pc.bus.slot.get_dirty_log()
        assert pc.bus.slot.mark_dirty not in pc.bus.on_memory_written


def test_moments_share_what_did_not_change() -> None:
    slot = Memslot(2 * CHUNK_PAGES)
    slot.write(0x1000, b"one")
    pages = Pages(slot)
    first = pages.take()
    assert pages.take() is first
    assert first[0][0] is ZERO
    slot.write(0x1000, b"two")
    second = pages.take()
    assert second is not first
    assert second[1] is first[1]
    assert [a is b for a, b in zip(first[0], second[0], strict=True)].count(False) == 1
    slot.write(0x1800, b"more")
    third = pages.take()
    assert [a is b for a, b in zip(second[0][1], third[0][1], strict=True)].count(False) == 1
    slot.write(0x1800, bytes(4))
    slot.write(0x1800, b"more")
    assert pages.take() is third


def test_put_back_marks_what_it_writes_for_all_others() -> None:
    slot = Memslot(256)
    pages, other = Pages(slot), slot.subscribe()
    first = pages.take()
    slot.write(0x5000, b"x")
    slot.write(0x9000, b"y")
    other.get_dirty_log()
    assert pages.put(first) == 2
    assert not slot.array.any()
    assert list(other.get_dirty_log()) == [5, 9]
    assert pages.put(first) == 0
    assert not other.get_dirty_log()
    assert pages.take() is first


def test_what_was_written_is_told_exactly() -> None:
    slot, told = Memslot(4), list[tuple[int, int]]()
    pages = Pages(slot, lambda at, count: told.append((at, count)))
    first = pages.take()
    slot.write(0x1003, b"abc")
    slot.write(0x1FFF, b"z")
    pages.put(first)
    assert told == [(0x1003, 3), (0x1FFF, 1)]


@pytest.mark.parametrize("keeper", ["flags", "words"])
def test_random_moments(keeper: str) -> None:
    rng, slot = random.Random(17), Memslot(200, dirty_log=keeper)
    pages, other = Pages(slot), slot.subscribe()
    kept = [(pages.take(), bytes(slot.array))]
    shown = bytearray(slot.array)
    for _ in range(120):
        for _ in range(rng.randrange(6)):
            at = rng.randrange(slot.nbytes - 9)
            slot.write(at, rng.randbytes(rng.choice((1, 8))))
        if rng.random() < 0.4:
            moment, content = rng.choice(kept)
            pages.put(moment)
            assert bytes(slot.array) == content
        else:
            kept.append((pages.take(), bytes(slot.array)))
        for page in other.get_dirty_log():  # a display, by its own log alone
            shown[page * PAGE_SIZE : (page + 1) * PAGE_SIZE] = slot.read(
                page * PAGE_SIZE, PAGE_SIZE
            )
        assert shown == slot.array.tobytes()
    for moment, content in kept:
        assert octets_of(moment) == content
