"""The emulated log beside the real one: the same stores, the same bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from vgaemu.bench.kvm_reader import MAX_PAGES, KvmReader
from vgaemu.memslot import KEEPERS, KVM_MEM_LOG_DIRTY_PAGES, PAGE_SIZE, Vm


@pytest.fixture(params=[1, 63, 65, 2048])
def kvm(request: pytest.FixtureRequest) -> Iterator[KvmReader]:
    try:
        reader = KvmReader(request.param)
    except OSError as error:
        pytest.skip(f"no KVM here: {error}")
    with reader:
        yield reader


@pytest.mark.parametrize("keeper", KEEPERS)
def test_the_same_stores_read_the_same(kvm: KvmReader, keeper: str) -> None:
    chance = random.Random(kvm.npages)
    vm = Vm(dirty_log=keeper)
    vm.set_user_memory_region(0, 0, kvm.npages * PAGE_SIZE, KVM_MEM_LOG_DIRTY_PAGES)
    bitmap = bytearray(kvm.words.nbytes)
    for dirty in (0, 1, kvm.npages // 7, kvm.npages, 0):
        pages = [chance.randrange(kvm.npages) for _ in range(dirty)]
        kvm.touch(pages)
        for page in pages:
            vm.slots[0].write(page * PAGE_SIZE, b"x")
        vm.get_dirty_log(0, bitmap)
        assert kvm.get_dirty_log().tobytes() == bitmap


def test_impossible_sizes_are_refused() -> None:
    for npages in (0, -1, MAX_PAGES + 1):
        with pytest.raises(ValueError, match="pages"):
            KvmReader(npages)


def test_closing_twice_is_fine(kvm: KvmReader) -> None:
    kvm.close()
    kvm.close()
    with pytest.raises(OSError, match="KVM_GET_DIRTY_LOG"):
        kvm.get_dirty_log()
