"""Planes by native code against planes by Python: memory, latches, marks, time."""

from __future__ import annotations

import os

import pytest
from twin_cards import Program

from vgaemu import native

pytestmark = pytest.mark.skipif(
    native.why_not() is not None, reason=f"no native code: {native.why_not()}"
)


def programs(first: int, count: int) -> None:
    for seed in range(first, first + count):
        program = Program(seed)
        try:
            program.run()
        except AssertionError as error:
            raise AssertionError(f"program {seed}: {error}; {program.log}") from error


def test_random_programs_leave_the_same() -> None:
    """Other ones each day."""
    programs(1000 * (int(os.environ["VGAEMU_FUZZ_SEED"]) % 1_000_000), 80)


@pytest.mark.long
def test_ten_thousand_random_programs_leave_the_same() -> None:
    """``pytest -m long tests/test_native_planes.py``: some minutes."""
    programs(0, 10_000)
