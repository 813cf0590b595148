"""Ports that native code answers: the same in all that can be seen as where Python does."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from random_ports import played

from vgaemu import native
from vgaemu.native.shared import TimingState, address_of
from vgaemu.pc.guest_beam import fill_timing
from vgaemu.vga.beam import timing_of

pytest.importorskip("unicorn")
pytestmark = pytest.mark.skipif(
    native.why_not() is not None, reason=f"no native code: {native.why_not()}"
)


def both(path: Path, seed: int, frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Play a program without native code and with it."""
    monkeypatch.setenv(native.SWITCH, "0")
    slow = played(path, seed, frames)
    monkeypatch.delenv(native.SWITCH)
    assert native.load(wait=True) is not None, native.why_not()
    fast = played(path, seed, frames)
    assert fast == slow


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both(tmp_path, seed, 4, monkeypatch)


@pytest.mark.long
def test_many_random_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pytest -m long tests/test_native_ports.py`: other ones each time."""
    for _ in range(300):
        both(tmp_path, random.SystemRandom().randrange(1 << 32), 6, monkeypatch)


def test_a_beam_s_times_are_equal_to_the_bit() -> None:
    native.load(wait=True)
    from vgaemu.native import beam

    r = random.Random(1)
    for _ in range(20):
        crtc = bytes(r.choice((r.randrange(256), 0x5F, 0x10)) for _ in range(25))
        timing = timing_of(crtc, r.choice((0, 1, 8, 9)), r.choice((0x63, 0x67)))
        state = TimingState()
        fill_timing(state, timing, crtc + b"\0\0")
        at = address_of(state)
        for ns in (r.randrange(10**8), r.randrange(10**13), r.randrange(10**15)):
            stay = r.choice(((0,), (0, 1), (1, 9), (0, 1, 8, 9)))
            assert beam.status_at(at, float(ns)) == timing.status(ns)
            assert beam.next_change_ns(at, float(ns)) == timing.next_change_ns(ns)
            leaves = beam.leaves_ns(at, float(ns), sum(1 << answer for answer in stay))
            assert leaves == timing.leaves(ns, stay)[0]
            assert beam.first_dot(at, ns) == timing.first_dot(ns)
