"""Keepers that need Linux, rights or KVM: where they cannot work, one line says why."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from keepers import skip_unless_available

from vgaemu.cli import info
from vgaemu.cli.main import main
from vgaemu.errors import KvmError
from vgaemu.memslot import (
    PAGE_SIZE,
    KeeperUnavailable,
    Memslot,
    pagemap,
    why_unavailable,
)
from vgaemu.memslot.kvm import ioctl as kvm_ioctl


def no_kvm(*args: object, **kwargs: object) -> None:
    raise KvmError(kvm_ioctl.OPEN_ERRORS[errno.ENOENT])


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with neither."""
    monkeypatch.setattr(kvm_ioctl, "KvmVm", no_kvm)
    monkeypatch.setattr(pagemap, "SYS_USERFAULTFD", {})


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("name", "why"), [("mmu", "userfaultfd"), ("kvm", "/dev/kvm"), ("kvm-manual", "/dev/kvm")]
)
def test_why_in_one_line(name: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    reason = why_unavailable(name)
    assert reason is not None
    assert why in reason
    assert "\n" not in reason
    with pytest.raises(KeeperUnavailable, match=why):
        Memslot(1, dirty_log=name)
    assert main(["run", "sprites", "--headless", "--frames", "1", "--dirty-log", name]) == 2
    err = capsys.readouterr().err
    assert err.startswith("vgaemu: --dirty-log:")
    assert why in err
    assert err.count("\n") == 1
    assert any(line.startswith(f"dirty log {name}: no:") for line in info.lines())


def test_what_is_there_is_named() -> None:
    assert why_unavailable("flags") is None
    assert any(line.startswith("dirty log: flags, ") for line in info.lines())


@pytest.mark.parametrize("name", ["mmu", "kvm"])
def test_memory_that_is_not_aligned(name: str) -> None:
    skip_unless_available(name)
    memory = np.zeros(3 * PAGE_SIZE, np.uint8)
    start = -memory.ctypes.data % PAGE_SIZE + 16
    with pytest.raises(KeeperUnavailable, match="aligned"):
        Memslot(1, dirty_log=name, memory=memory[start : start + PAGE_SIZE])


def test_an_old_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_unless_available("mmu")
    monkeypatch.setattr(pagemap, "UFFD_FEATURE_WP_ASYNC", 1 << 62)  # a feature it does not know
    with pytest.raises(KeeperUnavailable, match=r"Linux 6\.7"):
        Memslot(1, dirty_log="mmu")


def test_a_slot_too_large_for_page_tables() -> None:
    skip_unless_available("mmu")
    with pytest.raises(KeeperUnavailable, match="pages"):
        Memslot(pagemap.MAX_PAGES + 1, dirty_log="mmu")


def test_many_runs_go_another_way() -> None:
    skip_unless_available("mmu")
    slot = Memslot(4099, dirty_log="mmu")
    pages = sorted({*range(0, 4099, 3), *range(1, 4099, 12), 4098})
    slot.array[[page * PAGE_SIZE for page in pages]] = 1
    assert slot.get_dirty_log().pages().tolist() == pages
    assert not slot.get_dirty_log()


def test_a_table_that_is_too_small_is_gone_through_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_unless_available("mmu")
    monkeypatch.setattr(pagemap, "REGIONS", 5)
    slot = Memslot(300, dirty_log="mmu")
    pages = list(range(0, 300, 7))
    slot.array[[page * PAGE_SIZE for page in pages]] = 1
    assert slot.get_dirty_log().pages().tolist() == pages
    assert not slot.get_dirty_log()
