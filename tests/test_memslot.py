"""What every keeper of a dirty log owes: one suite, run for each of them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from keepers import NAMES, protected, skip_unless_available, use

from vgaemu.memslot import (
    KEEPERS,
    PAGE_SIZE,
    DirtyLog,
    KeeperUnavailable,
    Memslot,
    MemslotError,
    Subscription,
    why_unavailable,
)
from vgaemu.memslot.bitmap import LARGE_PAGES, PART_PAGES
from vgaemu.memslot.keeper import anonymous_memory
from vgaemu.memslot.log import RunLog
from vgaemu.memslot.slot import MAX_PENDING

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

SIZES = [1, 63, 64, 65, 129, 2048, 2**18 + 3]
#: Sees stores however they are made, counts faults when it finds them.
MMU = "mmu"

MakeSlot = Callable[[int], Memslot]


@pytest.fixture(params=NAMES)
def keeper(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    return use(request.param, monkeypatch)


@pytest.fixture
def make_slot(keeper: str) -> MakeSlot:
    return lambda npages: Memslot(npages, dirty_log=keeper)


def touch(slot: Memslot, *pages: int) -> None:
    """Store one byte to the middle of each page."""
    for page in pages:
        slot.write(page * PAGE_SIZE + 2000, b"x")


def reported(reader: Memslot | Subscription) -> list[int]:
    return list(map(int, reader.get_dirty_log().pages()))


# --- harvest ------------------------------------------------------------------------------------


@pytest.mark.parametrize("npages", SIZES)
def test_first_and_last_page_of_any_size(make_slot: MakeSlot, npages: int) -> None:
    slot = make_slot(npages)
    assert slot.nbytes == npages * PAGE_SIZE
    assert reported(slot) == []  # clean when made
    touch(slot, npages - 1, 0)
    log = slot.get_dirty_log()
    assert log.pages().tolist() == sorted({0, npages - 1})
    assert log.words.nbytes == 8 * -(-npages // 64)
    assert reported(slot) == []  # a harvest clears


@pytest.mark.parametrize("npages", SIZES)
def test_tail_bits_are_clear_when_all_is_dirty(make_slot: MakeSlot, npages: int) -> None:
    slot = make_slot(npages)
    slot.mark_dirty(0, slot.nbytes)
    log = slot.get_dirty_log()
    assert len(log) == npages
    assert log.spans() == [(0, npages)]
    bits = np.unpackbits(log.words.view(np.uint8), bitorder="little")
    assert bits[:npages].all()
    assert not bits[npages:].any()
    assert not slot.get_dirty_log()
    touch(slot, 0, npages - 1)  # scattered, beside the tail
    assert not np.unpackbits(slot.get_dirty_log().words.view(np.uint8), bitorder="little")[
        npages:
    ].any()


def test_spans_are_of_words_that_there_are(make_slot: MakeSlot) -> None:
    for npages in (64, LARGE_PAGES + 64):
        slot = make_slot(npages)
        for pages in ([], [5], [5, 8, 9, 30]):
            touch(slot, *pages)
            log = slot.get_dirty_log()
            for wrong in (0, -1, 7, 128, "64", None):
                with pytest.raises(MemslotError, match=f"or 1, not {wrong!r}$"):
                    log.spans(wrong)  # type: ignore[arg-type]
        assert log.spans(1) == [(5, 6), (8, 10), (30, 31)]
        assert log.spans(2) == [(5, 6), (8, 10), (30, 31)]
        assert log.spans(32) == [(5, 31)]


@pytest.mark.parametrize("step", [1, 2, 3, 64, 100])
def test_any_pattern_is_reported_exactly_once(make_slot: MakeSlot, step: int) -> None:
    slot = make_slot(2**13)  # more than one numpy chunk
    pages = list(range(5, slot.npages, step))
    touch(slot, *pages)
    assert reported(slot) == pages
    assert reported(slot) == []
    assert protected(slot) == list(range(slot.npages))


def test_words_are_kvms_layout(make_slot: MakeSlot) -> None:
    slot = make_slot(65)
    touch(slot, 0, 9, 64)
    assert slot.get_dirty_log().words.tobytes() == bytes([1, 2] + 6 * [0] + [1] + 7 * [0])


def test_a_log_stays_as_it_was_harvested(make_slot: MakeSlot) -> None:
    slot = make_slot(129)
    touch(slot, 1, 70, 128)
    log = slot.get_dirty_log()
    touch(slot, 2, 71)
    slot.get_dirty_log()
    assert log.pages().tolist() == [1, 70, 128]
    assert log.words.tolist() == [2, 1 << 6, 1]


# --- stores -------------------------------------------------------------------------------------


def test_store_lands(make_slot: MakeSlot) -> None:
    slot = make_slot(2)
    slot.write(PAGE_SIZE - 2, b"abcd")
    assert slot.read(PAGE_SIZE - 2, 4) == b"abcd"
    assert bytes(slot.memory[PAGE_SIZE - 2 : PAGE_SIZE + 2]) == b"abcd"
    assert slot.array[PAGE_SIZE] == ord("c")
    assert np.count_nonzero(slot.array) == 4


@pytest.mark.parametrize(
    "data",
    [b"ab", bytearray(b"ab"), memoryview(b"ab"), np.frombuffer(b"ab", np.uint8), b"axbx"[::2]],
)
def test_any_buffer_of_bytes_can_be_stored(make_slot: MakeSlot, data: bytes) -> None:
    slot = make_slot(1)
    slot.write(7, data)
    assert slot.read(7, 2) == b"ab"


def test_wider_elements_are_refused(make_slot: MakeSlot) -> None:
    slot = make_slot(1)
    with pytest.raises(ValueError, match="different structures"):
        slot.write(0, np.ones(2, np.uint32))
    assert not slot.array.any()
    assert reported(slot) == []


@pytest.mark.parametrize(
    ("offset", "length", "pages"),
    [
        (0, 1, [0]),
        (PAGE_SIZE - 1, 1, [0]),
        (PAGE_SIZE, 1, [1]),
        (PAGE_SIZE - 1, 2, [0, 1]),
        (PAGE_SIZE - 1, PAGE_SIZE + 2, [0, 1, 2]),
        (0, PAGE_SIZE, [0]),
        (63 * PAGE_SIZE + 4095, 2, [63, 64]),  # across a bitmap word
        (128 * PAGE_SIZE, PAGE_SIZE, [128]),
        (0, 129 * PAGE_SIZE, list(range(129))),
    ],
)
def test_store_and_mark_report_the_pages_they_touch(
    make_slot: MakeSlot, offset: int, length: int, pages: list[int]
) -> None:
    slot = make_slot(129)
    slot.write(offset, bytes(length))
    assert reported(slot) == pages
    assert slot.counters.faults == len(pages)
    slot.mark_dirty(offset, length)
    assert reported(slot) == pages
    assert reported(slot) == []


@pytest.mark.parametrize("offset", [0, 5, PAGE_SIZE, 2 * PAGE_SIZE - 1, 2 * PAGE_SIZE])
def test_nothing_stored_marks_nothing(make_slot: MakeSlot, offset: int) -> None:
    slot = make_slot(2)
    slot.write(offset, b"")
    slot.mark_dirty(offset, 0)
    assert slot.read(offset, 0) == b""
    assert reported(slot) == []
    assert slot.counters.faults == 0


@pytest.mark.parametrize(
    ("offset", "length"),
    [
        (-1, 1),
        (-2, 2),
        (-4, 2),
        (-1, 3),
        (-1, 0),
        (0, 2 * PAGE_SIZE + 1),
        (2 * PAGE_SIZE - 1, 2),
        (2 * PAGE_SIZE, 1),
        (2 * PAGE_SIZE + 1, 0),
        (1 << 70, 1),
    ],
)
def test_outside_is_refused_and_nothing_written(
    make_slot: MakeSlot, offset: int, length: int
) -> None:
    slot = make_slot(2)
    message = f"{length} bytes at offset {offset:#x}"
    with pytest.raises(MemslotError, match=message):
        slot.write(offset, b"x" * length)
    with pytest.raises(MemslotError, match=message):
        slot.read(offset, length)
    with pytest.raises(MemslotError, match=message):
        slot.mark_dirty(offset, length)
    assert not slot.array.any()
    assert reported(slot) == []


def test_negative_lengths_are_refused(make_slot: MakeSlot) -> None:
    slot = make_slot(1)
    for call in (slot.read, slot.mark_dirty):
        with pytest.raises(MemslotError):
            call(5, -1)


def test_direct_stores_are_seen_when_marked(make_slot: MakeSlot, keeper: str) -> None:
    slot = make_slot(4)
    slot.memory[PAGE_SIZE] = 1
    slot.array[2 * PAGE_SIZE] = 1
    assert reported(slot) == ([1, 2] if keeper == MMU else [])
    slot.mark_dirty(PAGE_SIZE, 1)
    assert reported(slot) == [1]


def test_memory_of_ones_own(keeper: str) -> None:
    memory = np.frombuffer(anonymous_memory(2 * PAGE_SIZE), np.uint8)
    slot = Memslot(2, 0xA0, dirty_log=keeper, memory=memory)
    slot.write(PAGE_SIZE, b"here")
    assert memory[PAGE_SIZE : PAGE_SIZE + 4].tobytes() == b"here"
    assert reported(slot) == [1]
    assert (slot.base_gfn, slot.npages) == (0xA0, 2)


@pytest.mark.parametrize(
    ("npages", "memory"),
    [
        (0, None),
        (-1, None),
        (1, bytearray(4095)),
        (1, bytearray(8192)),
        (1, bytes(4096)),
        (1, memoryview(bytearray(8192))[::2]),
        (1, np.zeros((4096, 2), np.uint8)[:, 0]),
    ],
)
def test_impossible_slots_are_refused(keeper: str, npages: int, memory: bytearray | None) -> None:
    with pytest.raises(MemslotError):
        Memslot(npages, dirty_log=keeper, memory=memory)


def test_unknown_keeper_is_refused_with_the_names() -> None:
    with pytest.raises(MemslotError, match=r"'psychic'.*flags, .*words"):
        Memslot(1, dirty_log="psychic")


# --- write protection and what is counted -------------------------------------------------------


def test_hundred_stores_are_one_bit_and_one_fault(make_slot: MakeSlot) -> None:
    slot = make_slot(64)
    for i in range(100):
        slot.write(3 * PAGE_SIZE + i, b"x")
    assert protected(slot) == [page for page in range(64) if page != 3]
    assert reported(slot) == [3]
    assert slot.counters.faults == 1


def test_a_harvest_protects_again(make_slot: MakeSlot) -> None:
    slot = make_slot(64)
    for rounds in range(1, 4):
        touch(slot, 3, 60)
        touch(slot, 3, 60)
        assert reported(slot) == [3, 60]
        assert slot.counters.faults == 2 * rounds
        assert protected(slot) == list(range(64))


def test_flush_and_protect_only_when_something_was_dirty(make_slot: MakeSlot) -> None:
    slot = make_slot(129)
    for _ in range(3):
        slot.get_dirty_log()
    assert (slot.counters.flushes, slot.counters.protect_calls) == (0, 0)
    touch(slot, 0, 128)
    slot.get_dirty_log()
    slot.get_dirty_log()
    assert slot.counters.flushes == 1
    assert slot.counters.protect_calls >= 1
    assert slot.counters.protected_pages >= 2


#: Keepers whose harvest is a kernel's, which tells little.
KERNELS = ("mmu", "kvm", "kvm-manual")
#: Pages to dirty: none, one, a run across words, sparse in one word, sparse over all.
DIRT = [[], [5], [*range(60, 70)], [1, 9, 40, 63], [0, 3, 64, 130, 500, 5000], [*range(0, 1024, 2)]]


@pytest.mark.parametrize("off_and_on", [False, True])
def test_counters_mean_the_same_for_every_keeper(
    make_slot: MakeSlot, keeper: str, off_and_on: bool
) -> None:
    slot = make_slot(2 * PART_PAGES)
    if off_and_on:  # what was dirty then is not reported, and not counted as protected
        touch(slot, 4, 5, PART_PAGES)
        slot.logging = False
        assert slot.counters.entries_changed == 0
        touch(slot, 6)
        slot.logging = True
    faults = slot.counters.faults
    words = 0
    for dirty in DIRT:
        touch(slot, *dirty)
        assert reported(slot) == dirty
        words += len({page // 64 for page in dirty})
    count, harvests = sum(map(len, DIRT)), len(DIRT) - 1
    touch(slot, 7, PART_PAGES)  # dirty still
    counters = slot.counters
    assert counters.faults - faults == count + (2 if keeper != MMU else 0)
    assert counters.flushes == harvests
    assert harvests <= counters.protect_calls <= count
    assert counters.protected_pages - counters.clean_pages == count
    assert counters.exchanges == (words if keeper in ("words", "pages") else 0)
    assert counters.grace_periods == (harvests if keeper == "srcu" else 0)
    assert (counters.grace_period_ns > 0) == (keeper == "srcu")
    if keeper not in KERNELS:
        assert counters.entries_changed == count
        assert counters.entries_looked_at >= counters.protected_pages
    if keeper not in (MMU, "srcu"):  # a walk over page tables looks at no bitmap
        assert counters.words_looked_at >= harvests * 1024 // 64


# --- several readers ----------------------------------------------------------------------------


def test_readers_do_not_steal_from_each_other(make_slot: MakeSlot) -> None:
    slot = make_slot(129)
    a, b = slot.subscribe(), slot.subscribe()
    touch(slot, 1, 128)
    assert reported(a) == [1, 128]
    touch(slot, 5)
    assert reported(a) == [5]
    assert reported(b) == [1, 5, 128]
    assert reported(slot) == [1, 5, 128]
    for reader in (a, b, slot):
        assert reported(reader) == []
    assert slot.counters.faults == 3


def test_a_late_reader_sees_what_comes_after_it(make_slot: MakeSlot) -> None:
    slot = make_slot(64)
    touch(slot, 1)
    slot.get_dirty_log()
    late = slot.subscribe()
    touch(slot, 2)
    assert reported(late) == [2]
    assert reported(slot) == [2]


def test_a_closed_reader_collects_nothing_more(make_slot: MakeSlot) -> None:
    slot = make_slot(64)
    reader = slot.subscribe()
    reader.close()
    reader.close()
    touch(slot, 1)
    assert reported(slot) == [1]
    assert reported(reader) == []


def test_put_back_is_reported_again_with_what_came_since(make_slot: MakeSlot) -> None:
    slot = make_slot(129)
    reader = slot.subscribe()
    touch(slot, 1, 70)
    log = reader.get_dirty_log()
    touch(slot, 2)
    reader.put_back(log)
    assert reported(reader) == [1, 2, 70]
    assert reported(slot) == [1, 2, 70]  # the other reader's view is its own
    reader.put_back(RunLog(129))
    assert reported(reader) == []


def test_a_closed_reader_takes_nothing_back(make_slot: MakeSlot) -> None:
    slot = make_slot(NPAGES)
    reader = slot.subscribe()
    touch(slot, 1)
    log = reader.get_dirty_log()
    reader.close()
    reader.put_back(log)
    assert reported(reader) == []
    assert reported(slot) == [1]


@pytest.mark.parametrize("npages", [640, LARGE_PAGES + 640])
def test_a_reader_who_seldom_asks_misses_nothing(npages: int) -> None:
    slot = Memslot(npages)
    seldom = slot.subscribe()
    written: set[int] = set()
    for i in range(5 * MAX_PENDING + 3):
        # A run, two pages far apart, and many apart: the three forms that a log is kept in.
        at = 4 * i
        pages = ((at, at + 1), (at, at + 300), (at, *range(400 + i, 640, 9)))[i % 3]
        touch(slot, *pages)
        written |= set(pages)
        slot.get_dirty_log()
        assert len(seldom._pending) <= MAX_PENDING
    assert reported(seldom) == sorted(written)
    assert reported(seldom) == []


# --- logging off and on -------------------------------------------------------------------------


def test_logging_off_and_on_drops_marks_and_protects_everything(
    make_slot: MakeSlot, keeper: str
) -> None:
    slot = make_slot(129)
    reader = slot.subscribe()
    touch(slot, 1, 128)
    slot.get_dirty_log()
    touch(slot, 2)
    slot.logging = False
    faults = slot.counters.faults
    assert not slot.logging
    touch(slot, 3, 4)
    slot.write(0, bytes(3 * PAGE_SIZE))
    assert keeper == MMU or protected(slot) == []
    assert reported(reader) == reported(slot) == []
    assert slot.counters.faults == faults  # nothing is protected while nothing is logged
    slot.logging = True
    assert protected(slot) == list(range(129))
    assert reported(reader) == reported(slot) == []
    touch(slot, 3)
    assert reported(reader) == reported(slot) == [3]
    assert slot.counters.faults == faults + 1


def test_a_cpu_that_looks_first_lets_logging_begin(make_slot: MakeSlot) -> None:
    """Where nothing can be dirty, a CPU's part in a harvest need not ask the keeper."""
    slot = make_slot(NPAGES)

    def harvest(keeper_harvest: Callable[[], DirtyLog]) -> DirtyLog:
        return slot.nothing_dirty if slot.maybe_dirty.find(1) < 0 else keeper_harvest()

    slot.harvest_through(harvest)
    slot.logging = False
    slot.logging = True
    touch(slot, 1, 100)
    assert reported(slot) == [1, 100]


def test_switching_logging_on_twice_keeps_the_marks(make_slot: MakeSlot) -> None:
    slot = make_slot(64)
    touch(slot, 1)
    slot.logging = True
    assert reported(slot) == [1]


def in_a_fork(work: Callable[[], object]) -> str:
    """What the child of a fork ends with: nothing, or its error."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        said = ""
        try:
            work()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(write, said.encode())
            os._exit(0)
    os.close(write)
    with open(read, encoding="utf-8") as file:
        said = file.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_does_not_take_its_parents_pages(make_slot: MakeSlot) -> None:
    slot = make_slot(NPAGES)
    touch(slot, 1, 100)
    in_a_fork(slot.get_dirty_log)
    assert reported(slot) == [1, 100]
    touch(slot, 2)
    assert reported(slot) == [2]


def log_off_and_on(slot: Memslot) -> None:
    slot.logging = False
    slot.logging = True


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("use", [Memslot.get_dirty_log, log_off_and_on])
@pytest.mark.parametrize("name", KEEPERS)
def test_a_forked_child_has_a_log_or_is_told_why_not(
    name: str, use: Callable[[Memslot], object]
) -> None:
    skip_unless_available(name)
    slot = Memslot(NPAGES, dirty_log=name)

    def work() -> None:
        touch(slot, 1)
        use(slot)

    said = in_a_fork(work)
    if name == "mmu" or name.startswith("kvm"):
        assert said.startswith(("KeeperUnavailable: ", "KvmError: "))
        assert "in the process that made it, and this is a fork of that; make another" in said
    else:
        assert said == ""

    def make_one() -> None:
        touch(new := Memslot(NPAGES, dirty_log=name), 7)
        assert reported(new) == [7]
        new.close()

    assert in_a_fork(make_one) == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
@pytest.mark.parametrize("name", ["mmu", "kvm", "kvm-manual"])
def test_another_keeper_takes_over_in_a_fork(name: str) -> None:
    """Its parent's log is nothing to be asked: all may be dirty, and from then on it is known."""
    skip_unless_available(name)
    slot = Memslot(NPAGES, dirty_log=name)
    touch(slot, 1)

    def work() -> None:
        slot.keep_with("words")
        assert reported(slot) == [*range(NPAGES)]
        with pytest.raises(KeeperUnavailable, match="this is a fork of that"):
            slot.keep_with(name)
        touch(slot, 2)
        assert reported(slot) == [2]

    assert in_a_fork(work) == ""
    assert reported(slot) == [1]


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("name", KEEPERS)
def test_a_closed_slot_has_no_files_and_says_what_was_written(name: str) -> None:
    skip_unless_available(name)
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))
    slot = Memslot(NPAGES, dirty_log=name)
    reader = slot.subscribe()
    touch(slot, 1)
    for _ in range(2):
        slot.close()
    assert set(os.listdir("/proc/self/fd")) <= before  # others may go meanwhile
    slot.write(2 * PAGE_SIZE, b"x")
    assert slot.read(2 * PAGE_SIZE, 1) == b"x"
    assert reader.get_dirty_log().pages().tolist() == [1]
    assert reported(slot) == [1]
    assert reported(slot) == []
    with pytest.raises(MemslotError, match="the slot is closed"):
        slot.logging = True


#: What is registered first is called last, when everything that ends with the interpreter has.
LAST_HARVEST = """
import atexit, sys
atexit.register(lambda: print(slot.get_dirty_log().pages().tolist()))
from vgaemu.memslot import Memslot
slot = Memslot(64, dirty_log=sys.argv[1])
slot.write(5 * 4096, b"x")
"""


@pytest.mark.parametrize("name", KEEPERS)
def test_a_harvest_while_the_interpreter_ends(name: str) -> None:
    skip_unless_available(name)
    command = [sys.executable, "-c", LAST_HARVEST, name]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("[5]\n", "")


# --- any sequence of operations -----------------------------------------------------------------

NPAGES = 131


#: Who may take over: VMs take long to make.
SWITCHED = ("flags", "sparse", "words", "srcu", "srcu+words", "mmu")


class AnySequence(RuleBasedStateMachine):
    """A slot beside a model: for each reader, the set of pages that it has not been told of."""

    dirty_log: str

    @initialize()
    def make(self) -> None:
        self.slot = Memslot(NPAGES, dirty_log=self.dirty_log)
        self.readers: list[Memslot | Subscription] = [self.slot]
        self.pending: list[set[int]] = [set()]
        self.live: set[int] = set()  # written since anybody's harvest
        self.faults = 0
        self.kept_by = self.dirty_log

    @rule(
        offset=st.integers(0, NPAGES * PAGE_SIZE - 1),
        length=st.sampled_from([0, 1, 4, 80, 4096, 10_000, 64 * PAGE_SIZE]),
        mark=st.booleans(),
    )
    def store(self, offset: int, length: int, mark: bool) -> None:
        length = min(length, NPAGES * PAGE_SIZE - offset)
        if mark:
            self.slot.mark_dirty(offset, length)
        else:
            self.slot.write(offset, bytes(length))
        if length and self.slot.logging:
            pages = set(range(offset // PAGE_SIZE, (offset + length - 1) // PAGE_SIZE + 1))
            self.faults += len(pages - self.live)
            self.live |= pages
            for pending in self.pending:
                pending |= pages

    @rule(data=st.data(), put_back=st.booleans())
    def harvest(self, data: st.DataObject, put_back: bool) -> None:
        i = data.draw(st.integers(0, len(self.readers) - 1))
        reader = self.readers[i]
        log = reader.get_dirty_log()
        assert log.pages().tolist() == sorted(self.pending[i])
        self.live.clear()
        if put_back and isinstance(reader, Subscription):
            reader.put_back(log)
        else:
            self.pending[i] = set()

    @precondition(lambda self: len(self.readers) < 4)
    @rule()
    def subscribe(self) -> None:
        self.readers.append(self.slot.subscribe())
        # What is dirty but not harvested yet is harvested later, and then by this reader, too.
        self.pending.append(set(self.live))

    @precondition(lambda self: len(self.readers) > 1)
    @rule()
    def close(self) -> None:
        reader = self.readers.pop()
        self.pending.pop()
        assert isinstance(reader, Subscription)
        reader.close()

    @rule(data=st.data())
    def keep_with(self, data: st.DataObject) -> None:
        names = [self.dirty_log, *(name for name in SWITCHED if why_unavailable(name) is None)]
        name = data.draw(st.sampled_from(names))
        self.slot.keep_with(name)
        if name != self.kept_by and self.slot.logging:
            self.live.clear()  # they are harvested for all readers
        self.kept_by = name
        self.faults = self.slot.counters.faults

    @rule(on=st.booleans())
    def switch(self, on: bool) -> None:
        if on != self.slot.logging:
            self.live.clear()
            self.pending = [set() for _ in self.readers]
        self.slot.logging = on

    @invariant()
    def every_page_is_dirty_or_protected(self) -> None:
        # The MMU knows nothing of what was only marked.
        if hasattr(self, "slot") and self.slot.logging and self.kept_by != MMU:
            assert set(protected(self.slot)) == set(range(NPAGES)) - self.live
            assert self.slot.counters.faults == self.faults


def test_any_sequence_of_operations(keeper: str) -> None:
    machine = type("AnySequence", (AnySequence,), {"dirty_log": keeper})
    case: Any = machine.TestCase  # type: ignore[attr-defined]
    case.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
    case().runTest()
