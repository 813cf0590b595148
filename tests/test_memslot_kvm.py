"""The emulated log beside the real one: the same stores, the same bytes; the same bad calls."""

from __future__ import annotations

import ctypes
import errno
import mmap
import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from keepers import skip_unless_available

from vgaemu.memslot import KEEPERS, PAGE_SIZE, KeeperUnavailable, Memslot, MemslotError, Vm
from vgaemu.memslot.kvm import guest as guests
from vgaemu.memslot.kvm import ioctl as ioctls
from vgaemu.memslot.kvm.guest import KvmGuest
from vgaemu.memslot.kvm.keeper import MAX_PAGES, KvmKeeper
from vgaemu.memslot.vm import MAX_SLOTS
from vgaemu.vga.font import bundled_font

SIZES = [1, 63, 64, 65, 129, 2048]
both_kinds = pytest.mark.parametrize("native", [False, True], ids=["32-bit", "native"])
EMULATED = [name for name in KEEPERS if not name.startswith("kvm")]


@pytest.fixture(params=["kvm", "kvm-manual"])
def kvm(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    skip_unless_available(name)
    return name


@both_kinds
@pytest.mark.parametrize("npages", SIZES)
def test_the_same_stores_read_the_same(kvm: str, npages: int, native: bool) -> None:
    chance = random.Random(npages)
    real = Memslot(npages, dirty_log=kvm)
    guest = KvmGuest(real.keeper, native=native)
    emulated = [Memslot(npages, dirty_log=name) for name in EMULATED]
    for dirty in (0, 1, npages // 7, npages, 0):
        pages = [chance.randrange(npages) for _ in range(dirty)]
        guest.write_pages(pages)
        words = real.get_dirty_log().words.tobytes()
        for slot in emulated:
            for page in pages:
                slot.write(page * PAGE_SIZE, bytes([slot.memory[page * PAGE_SIZE] + 1 & 0xFF]))
            assert slot.get_dirty_log().words.tobytes() == words
            assert slot.array[::PAGE_SIZE].tolist() == real.array[::PAGE_SIZE].tolist()


@both_kinds
def test_text_is_drawn_as_in_mode_13h(kvm: str, native: bool) -> None:
    font = bundled_font(8)
    bits = np.unpackbits(font, axis=1).reshape(256, 8, 8) * np.uint8(15)
    text = b"A guest that draws glyphs \x01\xdb"
    real = Memslot(16, dirty_log=kvm)
    guest = KvmGuest(real.keeper, native=native)
    for cell in (0, 38, 1000 - len(text)):
        guest.draw_text(text, font.tobytes(), cell)
        emulated = Memslot(16)
        for i, character in enumerate(text, cell):
            row, column = divmod(i, 40)
            for y, pixels in enumerate(bits[character]):
                emulated.write((row * 8 + y) * 320 + column * 8, pixels.tobytes())
        log = real.get_dirty_log()
        assert log == emulated.get_dirty_log()
        for page in log.pages():
            at = slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
            inked = emulated.array[at] > 0
            assert (real.array[at][inked] == 15).all()


def test_host_stores_and_the_vcpus_are_one_log(kvm: str) -> None:
    slot = Memslot(129, dirty_log=kvm)
    guest = KvmGuest(slot.keeper, native=True)
    reader = slot.subscribe()
    slot.write(PAGE_SIZE, b"host")
    guest.write_pages([1, 128])
    assert slot.get_dirty_log().pages().tolist() == [1, 128]
    guest.write_pages([64])
    assert reader.get_dirty_log().pages().tolist() == [1, 64, 128]
    assert not reader.get_dirty_log()


def test_switching_off_and_on_drops_what_the_vcpu_wrote(kvm: str) -> None:
    slot = Memslot(64, dirty_log=kvm)
    guest = KvmGuest(slot.keeper, native=True)
    guest.write_pages([1])
    slot.logging = False
    guest.write_pages([2])
    slot.logging = True
    assert not slot.get_dirty_log()
    guest.write_pages([3])
    assert slot.get_dirty_log().pages().tolist() == [3]


# --- bad calls -----------------------------------------------------------------------------------


def errno_of(call: Callable[[], object]) -> str:
    with pytest.raises(OSError, match="Errno") as caught:
        call()
    return errno.errorcode[caught.value.errno or 0]


@pytest.fixture
def read_only_page() -> Iterator[int]:
    """Address of a page that cannot be written."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
    address = libc.mmap(None, PAGE_SIZE, mmap.PROT_READ, mmap.MAP_PRIVATE | mmap.MAP_ANON, -1, 0)
    yield address
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    libc.munmap(address, PAGE_SIZE)


def test_bad_calls_fail_alike(read_only_page: int) -> None:
    skip_unless_available("kvm")
    logged, unlogged, absent = 1, 2, 7
    vm = Vm()
    real = ioctls.KvmVm()
    memory = np.frombuffer(mmap.mmap(-1, 2 * PAGE_SIZE), np.uint8)
    for slot, flags in ((logged, ioctls.KVM_MEM_LOG_DIRTY_PAGES), (unlogged, 0)):
        vm.set_user_memory_region(slot, slot << 12, PAGE_SIZE, flags)
        real.set_region(slot, slot << 12, memory[slot - 1 << 12 :][:PAGE_SIZE], flags)

    def real_get(slot: int, address: int) -> int:
        request = struct.pack("<IIQ", slot, 0, address)
        return ioctls.libc_ioctl(
            real.fd, ioctls.KVM_GET_DIRTY_LOG, ctypes.create_string_buffer(request)
        )

    read_only = bytes(8)
    with real:
        for slot in (absent, unlogged, MAX_SLOTS - 1, MAX_SLOTS, 0x7FFF):
            # EINVAL and ENOENT come before EFAULT.
            expected = errno_of(lambda slot=slot: vm.get_dirty_log(slot, read_only))
            assert errno_of(lambda slot=slot: real_get(slot, read_only_page)) == expected, slot
        expected = errno_of(lambda: vm.get_dirty_log(logged, read_only))
        assert errno_of(lambda: real_get(logged, read_only_page)) == expected == "EFAULT"


def test_slots_that_kvm_cannot_take_are_refused() -> None:
    skip_unless_available("kvm")
    with pytest.raises(KeeperUnavailable, match="pages"):
        Memslot(MAX_PAGES + 1, dirty_log="kvm")
    unaligned = np.zeros(3 * PAGE_SIZE, np.uint8)
    start = 16 - unaligned.ctypes.data % 16 + 16
    with pytest.raises(KeeperUnavailable, match="aligned"):
        Memslot(1, dirty_log="kvm", memory=unaligned[start : start + PAGE_SIZE])


def test_a_guest_needs_a_vm() -> None:
    with pytest.raises(MemslotError, match="'flags'"):
        KvmGuest(Memslot(1).keeper, native=False)


def test_what_a_guest_cannot_do_is_refused(kvm: str) -> None:
    guest = KvmGuest(Memslot(2, dirty_log=kvm).keeper, native=False)
    with pytest.raises(MemslotError, match="pages"):
        guest.write_pages([2])
    with pytest.raises(MemslotError, match="pages"):
        guest.write_pages([0, 0, 0])
    with pytest.raises(MemslotError, match="16 pages"):
        guest.draw_text(b"x", bytes(2048))
    guest = KvmGuest(Memslot(16, dirty_log=kvm).keeper, native=False)
    with pytest.raises(MemslotError, match="cells"):
        guest.draw_text(b"xx", bytes(2048), cell=999)
    with pytest.raises(MemslotError, match="2048 bytes"):
        guest.draw_text(b"x", bytes(2047))


def test_a_slot_that_is_dropped_closes_its_vm(kvm: str) -> None:
    slot = Memslot(1, dirty_log=kvm)
    keeper = slot.keeper
    assert isinstance(keeper, KvmKeeper)
    reader, vm = keeper.reader, keeper.vm
    reader.read()
    vm.close()
    vm.close()
    with pytest.raises(OSError, match="KVM_GET_DIRTY_LOG"):
        reader.read()


@pytest.mark.skipif(shutil.which("nasm") is None, reason="nasm is not installed")
def test_the_guests_are_what_their_source_says(tmp_path: Path) -> None:
    source = Path(guests.__file__).with_name("guests.asm")
    built = tmp_path / "guests"
    subprocess.run(["nasm", "-f", "bin", source, "-o", built], check=True)
    assert built.read_bytes() == guests.CODE
