"""Ports that native code answers: the same in all that can be seen as where Python does."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from random_ports import digests_of, played

from vgaemu import native
from vgaemu.bench.beam import LINES
from vgaemu.machine import Machine
from vgaemu.native.shared import TimingState, address_of
from vgaemu.pc.cpu.unicorn_ports import BusPorts
from vgaemu.pc.guest_beam import fill_timing
from vgaemu.vga.beam import timing_of

pytest.importorskip("unicorn")
pytestmark = [
    pytest.mark.skipif(native.why_not() is not None, reason=f"no native code: {native.why_not()}"),
    pytest.mark.turns(2),
]


def both(play: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Play a program without native code and with it."""
    monkeypatch.setenv(native.SWITCH, "0")
    slow = play()
    monkeypatch.delenv(native.SWITCH)
    assert native.load(wait=True) is not None, native.why_not()
    assert play() == slow


@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both(lambda: played(tmp_path, seed, 4), monkeypatch)


@pytest.mark.long
def test_many_random_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pytest -m long tests/test_native_ports.py`: other ones each time."""
    for _ in range(300):
        seed = random.SystemRandom().randrange(1 << 32)
        both(partial(played, tmp_path, seed, 6), monkeypatch)


def test_a_cursor_that_moves_and_a_start_address_leave_looks_native(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(native.SWITCH, raising=False)
    assert native.load(wait=True) is not None, native.why_not()
    asked, usual = [], BusPorts.on_in

    def on_in(ports: BusPorts, uc: object, port: int, *others: int) -> int:
        asked.append(port)
        return usual(ports, uc, port, *others)

    monkeypatch.setattr(BusPorts, "on_in", on_in)
    image = tmp_path / "moves.img"
    # mov dx, 3D4h; cursor, start: mov ax, 0A0Fh; out dx, ax; mov al, 0Dh; out dx, ax; mov dx, 3DAh;
    # mov cx, 200; l: in al, dx; inc bx; loop l; hlt
    code = bytes.fromhex("BAD403 B80F0A EF B00D EF BADA03 B9C800 EC 43 E2FC FA F4")
    image.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa")
    with Machine(str(image)) as machine:
        machine.tick(2)
    assert len(asked) < 10


def test_a_colour_in_each_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "lines.img"
    image.write_bytes(LINES.ljust(510, b"\0") + b"\x55\xaa")
    both(lambda: digests_of(image, 5), monkeypatch)


def test_who_is_told_of_each_access_has_python_s_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Functions of one's own in place of a bus's or a VGA's methods, before the guest begins."""
    monkeypatch.delenv(native.SWITCH, raising=False)
    assert native.load(wait=True) is not None, native.why_not()
    # l: mov dx, 3C8h; xor al, al; out dx, al; in al, dx; jmp l
    image = tmp_path / "index.img"
    image.write_bytes(bytes.fromhex("BAC803 30C0 EE EC EBF7").ljust(510, b"\0") + b"\x55\xaa")
    told = []
    with Machine(str(image)) as machine:
        outb, inb = machine.vga.outb, machine.vga.inb
        monkeypatch.setattr(machine.vga, "outb", lambda *a: told.append(a) or outb(*a))
        monkeypatch.setattr(machine.vga, "inb", lambda port: told.append((port,)) or inb(port))
        machine.tick(2)
    assert told[-2:] in ([(0x3C8, 0), (0x3C8,)], [(0x3C8,), (0x3C8, 0)])
    assert len(told) > 10_000


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
