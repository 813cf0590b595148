"""Arithmetic flags: by native code, by Python's path and by KVM the same."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("unicorn")

from random_flags import DATA, DATA_BYTES, program
from x86_helpers import disk, make_pc, needs_kvm, run_until_halted

from vgaemu import native
from vgaemu.pc.cpu.unicorn import UnicornCpu

HAS_NUMBA = importlib.util.find_spec("numba") is not None
REGISTERS = "eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp"
#: Programs of a test.
PROGRAMS = 20
#: Slices in Python, and instructions of a slice.
PATHS = [(-1, 50_000), (-1, 3)]
if HAS_NUMBA:
    PATHS += [(0, 50_000), (0, 3)]


def left(path: Path, cpu: str = "kvm", slices: int = -1, size: int = 50_000) -> list[object]:
    """Registers and data of a program at its end."""
    with make_pc(path, cpu=cpu) as pc:
        if isinstance(pc.cpu, UnicornCpu):
            pc.cpu._slices_in_python, pc.cpu._slice = slices, size
        run_until_halted(pc)
        registers = [pc.cpu.get(name) for name in REGISTERS]
        return [*registers, bytes(pc.bus.memory[DATA : DATA + DATA_BYTES])]


@needs_kvm
@pytest.mark.turns(8)
@pytest.mark.parametrize("turn", range(24))
def test_flags_are_a_real_cpu_s(tmp_path: Path, turn: int) -> None:
    if HAS_NUMBA:
        assert native.load(wait=True), native.why_not()
    for seed in range(PROGRAMS * turn, PROGRAMS * (turn + 1)):
        path = disk(tmp_path, program(seed))
        expected = left(path)
        for slices, size in PATHS:
            assert left(path, "unicorn", slices, size) == expected, (seed, slices, size)


@pytest.mark.parametrize("turn", range(2))
def test_flags_are_the_same_however_instructions_are_counted(tmp_path: Path, turn: int) -> None:
    if HAS_NUMBA:
        assert native.load(wait=True), native.why_not()
    for seed in range(10_000 + PROGRAMS * turn, 10_000 + PROGRAMS * (turn + 1)):
        path = disk(tmp_path, program(seed))
        expected = left(path, "unicorn")
        for slices, size in PATHS:
            assert left(path, "unicorn", slices, size) == expected, (seed, slices, size)
