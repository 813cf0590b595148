"""The engine's own TLB: what it costs a guest is the same on each host."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
from x86_helpers import disk, make_pc

pytest.importorskip("unicorn")

from vgaemu.native.env import SUPERVISOR
from vgaemu.pc.cpu.unicorn import UnicornCpu
from vgaemu.pc.cpu.unicorn_tlb import TableSizes, before_registers


def entries_after_a_while(tmp_path: Path) -> tuple[int, int]:
    """How many a table has, before and after flushes that find its period over."""
    with make_pc(disk(tmp_path, b"\xeb\xfe")) as pc:
        cpu = pc.cpu
        assert isinstance(cpu, UnicornCpu)
        begin = ctypes.addressof(cpu._context.loaded) - before_registers()
        table = ctypes.c_uint64.from_address(begin + 16 * SUPERVISOR)
        before = table.value
        for begun in cpu._sizes._begun:
            begun.value = 0
        for _ in range(2):
            cpu.tlb.map_changed()
            pc.step(1 << 60)
        return before, table.value


def test_a_table_stays_as_large_however_long_the_host_takes(tmp_path: Path) -> None:
    before, after = entries_after_a_while(tmp_path)
    assert before == after


def test_an_engine_left_alone_makes_it_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TableSizes, "keep", lambda sizes: None)
    before, after = entries_after_a_while(tmp_path)
    assert after < before
