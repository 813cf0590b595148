"""The ioctl-shaped face: KVM's errnos and where its bytes go, as probed on Linux 6.18."""

from __future__ import annotations

import ctypes
import errno
import gc
import inspect
import pydoc
import re
from array import array
from typing import Any

import numpy as np
import pytest
from keepers import skip_unless_available

from vgaemu.memslot import KEEPERS, KVM_MEM_LOG_DIRTY_PAGES, PAGE_SIZE, Memslot, Vm
from vgaemu.memslot.keeper import anonymous_memory
from vgaemu.memslot.vm import MAX_SLOTS

NPAGES = 65
BITMAP_BYTES = 16
GPA = 0x10_0000


@pytest.fixture(params=KEEPERS)
def vm(request: pytest.FixtureRequest) -> Vm:
    skip_unless_available(request.param)
    vm = Vm(dirty_log=request.param)
    vm.set_user_memory_region(0, GPA, NPAGES * PAGE_SIZE, KVM_MEM_LOG_DIRTY_PAGES)
    vm.set_user_memory_region(1, 0, PAGE_SIZE)  # not logged
    return vm


def dirty(vm: Vm, *pages: int) -> None:
    for page in pages:
        vm.slots[0].write(page * PAGE_SIZE, b"x")


def fails_with(code: int, call: Any, *args: Any, **kwargs: Any) -> None:
    with pytest.raises(OSError, match="Errno") as caught:
        call(*args, **kwargs)
    assert errno.errorcode[caught.value.errno or 0] == errno.errorcode[code]


# --- get_dirty_log ------------------------------------------------------------------------------


def test_reads_and_clears(vm: Vm) -> None:
    dirty(vm, 0, 9, 64, 64)
    bitmap = bytearray(BITMAP_BYTES)
    assert vm.get_dirty_log(0, bitmap) == BITMAP_BYTES
    assert bitmap == bytes([1, 2] + 6 * [0] + [1] + 7 * [0])
    vm.get_dirty_log(0, bitmap)
    assert bitmap == bytes(BITMAP_BYTES)  # the buffer is overwritten, zeros included


@pytest.mark.parametrize("npages", [1, 3, 63, 64, 65, 128, 129])
def test_writes_whole_words_and_not_a_byte_more(npages: int) -> None:
    vm = Vm()
    slot = vm.set_user_memory_region(0, 0, npages * PAGE_SIZE, KVM_MEM_LOG_DIRTY_PAGES)
    assert slot is not None
    slot.mark_dirty(0, slot.nbytes)
    bitmap = bytearray(b"\xaa" * 64)
    length = vm.get_dirty_log(0, bitmap)
    assert length == 8 * -(-npages // 64)
    assert int.from_bytes(bitmap[:length], "little") == (1 << npages) - 1
    assert bitmap[length:] == b"\xaa" * (64 - length)


@pytest.mark.parametrize(
    "buffer",
    [
        bytearray(16),
        memoryview(bytearray(40))[8:24],
        array("Q", [0, 0]),
        np.zeros(2, np.uint64),
        np.zeros(2, ">u8"),
        np.zeros((4, 4), np.uint8),
        (ctypes.c_uint64 * 2)(),
        ctypes.create_string_buffer(16),
    ],
    ids=lambda buffer: type(buffer).__name__,
)
def test_any_writable_contiguous_buffer_will_do(vm: Vm, buffer: Any) -> None:
    dirty(vm, 1, 64)
    assert vm.get_dirty_log(0, buffer) == BITMAP_BYTES
    assert bytes(memoryview(buffer)) == bytes([2] + 7 * [0] + [1] + 7 * [0])


@pytest.mark.parametrize("slot", [-1, MAX_SLOTS, 1 << 16])
def test_einval_for_an_id_out_of_range(vm: Vm, slot: int) -> None:
    fails_with(errno.EINVAL, vm.get_dirty_log, slot, bytearray(16))


@pytest.mark.parametrize("slot", [1, 7, MAX_SLOTS - 1])
def test_enoent_for_no_slot_or_one_not_logged(vm: Vm, slot: int) -> None:
    fails_with(errno.ENOENT, vm.get_dirty_log, slot, bytearray(16))


def test_order_of_checks(vm: Vm) -> None:
    fails_with(errno.EINVAL, vm.get_dirty_log, MAX_SLOTS, b"")
    fails_with(errno.ENOENT, vm.get_dirty_log, 1, b"")
    fails_with(errno.EFAULT, vm.get_dirty_log, 0, b"")  # even with nothing dirty


BAD_BUFFERS = [
    pytest.param(bytes(16), id="read-only"),
    pytest.param(bytearray(15), id="too short"),
    pytest.param(bytearray(), id="empty"),
    pytest.param(memoryview(bytearray(64))[::2], id="not contiguous"),
    pytest.param(np.zeros((16, 2), np.uint8)[:, 0], id="a column"),
    pytest.param(memoryview(bytearray(16)).toreadonly(), id="read-only view"),
]


@pytest.mark.parametrize("buffer", BAD_BUFFERS)
def test_efault_keeps_the_bits(vm: Vm, buffer: Any) -> None:
    other = vm.slots[0].subscribe()
    dirty(vm, 3, 64)
    before = bytes(buffer)
    fails_with(errno.EFAULT, vm.get_dirty_log, 0, buffer)
    assert bytes(buffer) == before
    dirty(vm, 4)
    bitmap = np.zeros(2, np.uint64)
    vm.get_dirty_log(0, bitmap)
    assert bitmap.tolist() == [0b11000, 1]
    assert other.get_dirty_log().pages().tolist() == [3, 4, 64]


@pytest.mark.parametrize("buffer", BAD_BUFFERS)
def test_efault_loses_the_bits_as_the_kernel_does(vm: Vm, buffer: Any) -> None:
    other = vm.slots[0].subscribe()
    dirty(vm, 3, 64)
    fails_with(errno.EFAULT, vm.get_dirty_log, 0, buffer, on_fault="kernel")
    dirty(vm, 4)  # tracking stays live
    bitmap = np.zeros(2, np.uint64)
    vm.get_dirty_log(0, bitmap)
    assert bitmap.tolist() == [0b10000, 0]
    assert other.get_dirty_log().pages().tolist() == [3, 4, 64]  # one's fault is one's own


def test_what_is_no_buffer_at_all_is_a_type_error_and_keeps_the_bits(vm: Vm) -> None:
    dirty(vm, 3)
    with pytest.raises(TypeError):
        vm.get_dirty_log(0, None)  # type: ignore[arg-type]
    bitmap = np.zeros(2, np.uint64)
    vm.get_dirty_log(0, bitmap)
    assert bitmap.tolist() == [0b1000, 0]


def test_host_stores_are_not_logged(vm: Vm) -> None:
    if vm.slots[0].dirty_log == "mmu":
        return  # which sees every store
    vm.slots[0].memory[0] = 1
    bitmap = bytearray(b"\xaa" * 16)
    vm.get_dirty_log(0, bitmap)
    assert bitmap == bytes(16)


# --- set_user_memory_region ---------------------------------------------------------------------

LOG = KVM_MEM_LOG_DIRTY_PAGES


@pytest.mark.parametrize(
    ("code", "slot", "gpa", "nbytes", "flags"),
    [
        (errno.EINVAL, -1, 0x80_0000, 0x1000, 0),
        (errno.EINVAL, MAX_SLOTS, 0x80_0000, 0x1000, 0),
        (errno.EINVAL, MAX_SLOTS, 0, 0, 0),
        (errno.EINVAL, 2, 0x80_0001, 0x1000, 0),
        (errno.EINVAL, 2, -0x1000, 0x1000, 0),
        (errno.EINVAL, 2, 0x80_0000, 0x1001, 0),
        (errno.EINVAL, 2, 0x80_0000, -0x1000, 0),
        (errno.EINVAL, 2, 0x80_0000, 0x1000, 0x80),
        (errno.EINVAL, 2, 1 << 52, 0x1000, 0),
        (errno.EINVAL, 2, (1 << 64) - 0x1000, 0x2000, 0),
        (errno.EINVAL, 2, GPA, 0x1000, 0x80),  # malformed comes before overlapping
        (errno.EINVAL, 2, 0, 0, 0),  # delete what is not there
        (errno.EINVAL, 0, GPA, 0x8000, LOG),  # resize
        (errno.EINVAL, 0, GPA + 0x1000, NPAGES * PAGE_SIZE, LOG),  # move: not emulated
        (errno.EEXIST, 2, GPA, 0x1000, 0),
        (errno.EEXIST, 2, GPA + NPAGES * PAGE_SIZE - PAGE_SIZE, 0x2000, 0),
        (errno.EEXIST, 2, GPA - 0x1000, 0x2000, 0),
        (errno.EEXIST, 2, 0, 0x1000_0000, 0),
    ],
)
def test_refused_regions(vm: Vm, code: int, slot: int, gpa: int, nbytes: int, flags: int) -> None:
    before = dict(vm.slots)
    dirty(vm, 3)
    fails_with(code, vm.set_user_memory_region, slot, gpa, nbytes, flags)
    assert vm.slots == before
    assert vm.slots[0].get_dirty_log().pages().tolist() == [3]


def test_neighbours_do_not_overlap(vm: Vm) -> None:
    assert vm.set_user_memory_region(2, GPA - PAGE_SIZE, PAGE_SIZE)
    assert vm.set_user_memory_region(MAX_SLOTS - 1, GPA + NPAGES * PAGE_SIZE, PAGE_SIZE)


def test_create_on_given_memory() -> None:
    vm = Vm()
    memory = bytearray(2 * PAGE_SIZE)
    slot = vm.set_user_memory_region(0, 0xA_0000, memory, LOG)
    assert isinstance(slot, Memslot)
    assert (slot.base_gfn, slot.npages, slot.logging) == (0xA0, 2, True)
    slot.write(4096, b"here")
    assert memory[4096:4100] == b"here"
    # The same bytes and place again: only the flags change.
    assert vm.set_user_memory_region(0, 0xA_0000, memory, 0) is slot
    assert vm.set_user_memory_region(0, 0xA_0000, memoryview(memory), LOG) is slot
    fails_with(errno.EINVAL, vm.set_user_memory_region, 0, 0xA_0000, bytearray(8192), LOG)


@pytest.mark.parametrize("memory", [bytes(4096), memoryview(bytearray(8192))[::2]])
def test_memory_that_cannot_be_a_guests(memory: Any) -> None:
    vm = Vm()
    fails_with(errno.EINVAL, vm.set_user_memory_region, 0, 0, memory)
    assert not vm.slots


def test_an_unlogged_slot_takes_no_faults(vm: Vm) -> None:
    vm.slots[1].write(0, b"x")
    assert vm.slots[1].counters.faults == 0


def test_logging_off_and_on_drops_bits(vm: Vm) -> None:
    dirty(vm, 3)
    size = NPAGES * PAGE_SIZE
    assert vm.set_user_memory_region(0, GPA, size, 0) is vm.slots[0]
    fails_with(errno.ENOENT, vm.get_dirty_log, 0, bytearray(16))
    dirty(vm, 4)
    vm.set_user_memory_region(0, GPA, size, LOG)
    dirty(vm, 5)
    vm.set_user_memory_region(0, GPA, size, LOG)  # no change, no loss
    bitmap = np.zeros(2, np.uint64)
    vm.get_dirty_log(0, bitmap)
    assert bitmap.tolist() == [1 << 5, 0]


@pytest.mark.parametrize("nothing", [0, b"", bytearray()])
def test_delete(vm: Vm, nothing: Any) -> None:
    assert vm.set_user_memory_region(0, GPA, nothing) is None
    fails_with(errno.ENOENT, vm.get_dirty_log, 0, bytearray(16))
    fails_with(errno.EINVAL, vm.set_user_memory_region, 0, GPA, nothing)
    assert vm.set_user_memory_region(2, GPA, PAGE_SIZE)  # the place is free again


@pytest.mark.parametrize("keeper", KEEPERS)
def test_delete_and_create_on_the_same_memory(keeper: str) -> None:
    skip_unless_available(keeper)
    vm = Vm(dirty_log=keeper)
    memory: Any = anonymous_memory(2 * PAGE_SIZE)
    gc.disable()
    try:
        for _ in range(3):
            vm.set_user_memory_region(0, GPA, memory, LOG)
            vm.slots[0].write(PAGE_SIZE, b"x")
            assert vm.slots[0].get_dirty_log().pages().tolist() == [1]
            vm.set_user_memory_region(0, GPA, 0)
    finally:
        gc.enable()


def test_error_names_the_slot(vm: Vm) -> None:
    with pytest.raises(OSError, match=r"the bitmap of slot 0 needs 16 writable bytes"):
        vm.get_dirty_log(0, b"")


def test_help_names_every_public_attribute() -> None:
    vm = Vm()
    slot = vm.set_user_memory_region(0, 0, 2 * PAGE_SIZE, KVM_MEM_LOG_DIRTY_PAGES)
    assert slot is not None
    slot.write(0, b"x")
    for thing in (vm, slot, slot.subscribe(), slot.counters, slot.get_dirty_log()):
        told = pydoc.render_doc(type(thing), renderer=pydoc.plaintext)
        annotated = inspect.get_annotations(type(thing))
        public = {name for name in dir(thing) if not name.startswith("_")} - annotated.keys()
        assert not {name for name in public if not re.search(rf"\b{name}\b", told)}


def test_reprs_say_what_it_is() -> None:
    vm = Vm()
    slot = vm.set_user_memory_region(7, 3 * PAGE_SIZE, 2 * PAGE_SIZE, KVM_MEM_LOG_DIRTY_PAGES)
    assert slot is not None
    reader = slot.subscribe()
    slot.write(0, b"x")
    slot.get_dirty_log()
    assert repr(vm) == "Vm(1 slots, dirty_log='flags')"
    assert repr(slot) == "Memslot(2 pages, gfn 0x3, dirty_log='flags')"
    assert repr(reader) == f"Subscription({slot!r}, 1 logs pending)"
    reader.close()
    assert repr(reader) == f"Subscription({slot!r}, closed)"
    assert repr(slot.keeper).endswith("FlagsKeeper(2 pages)")
    assert repr(slot.counters).startswith("Counters(faults=1, ")
