"""Which keepers a test runs for: all, and `flags` as it is without the GIL."""

from __future__ import annotations

import pytest

from vgaemu.memslot import KEEPERS, Memslot, why_unavailable
from vgaemu.memslot.flags import LockedFlagsKeeper
from vgaemu.memslot.pagemap import MmuKeeper

#: What `flags` is on a build without the GIL.
LOCKED_FLAGS = "flags with a lock"
NAMES = [*KEEPERS, LOCKED_FLAGS]


def use(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a keeper known, or skip the test where it cannot work."""
    monkeypatch.setitem(KEEPERS, LOCKED_FLAGS, LockedFlagsKeeper)
    skip_unless_available(name)
    return name


def skip_unless_available(name: str) -> None:
    reason = why_unavailable(name)
    if reason is not None:
        pytest.skip(reason)


def protected(slot: Memslot) -> list[int]:
    """Pages whose next store faults."""
    keeper = slot.keeper
    if isinstance(keeper, MmuKeeper):
        written = [page for run in keeper.written() for page in range(*run)]
        return sorted(set(range(slot.npages)) - set(written))
    return [page for page in range(slot.npages) if not keeper.writable[page]]
