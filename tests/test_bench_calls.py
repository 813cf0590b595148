"""The guests of `bench guest`'s rows of calls: each goes on counting."""

from __future__ import annotations

import pytest

pytest.importorskip("unicorn")

from vgaemu.bench import calls
from vgaemu.machine import Machine


@pytest.mark.parametrize("kind", calls.KINDS, ids=lambda kind: str(kind.name))
def test_a_guest_counts(kind: calls.Kind) -> None:
    with calls._disk(kind) as image, Machine(image, vga_bios="builtin") as machine:
        machine.tick(2)
        before = calls._count(machine, kind)
        machine.tick()
        assert not machine.ended
        assert 5 < calls._count(machine, kind) - before < 10_000
