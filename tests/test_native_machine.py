"""Machines with native code and without: equal frame by frame, whatever is changed meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from x86_helpers import disk

from vgaemu import native, snapshot
from vgaemu.machine import Machine

pytest.importorskip("unicorn")
pytestmark = pytest.mark.skipif(
    native.why_not() is not None, reason=f"no native code: {native.why_not()}"
)

GUESTS = Path(__file__).parents[1] / "examples" / "guests"
#: In 640x480x16, for ever: another function and bit mask, a fill in write mode 0, a copy through
#: the latches in mode 1, a word and a load in mode 2.
#: mov ax, 12h; int 10h; mov ax, A000h; mov es, ax; mov ds, ax; cld
PLANAR = bytes.fromhex("B81200 CD10 B800A0 8EC0 8ED8 FC") + bytes.fromhex(
    # l: inc bx; mov dx, 3CEh; mov al, 3; mov ah, bl; and ah, 18h; out dx, ax
    "43 BACE03 B003 88DC 80E418 EF"
    # mov al, 8; mov ah, bl; or ah, 11h; out dx, ax
    "B008 88DC 80CC11 EF"
    # mov ax, 0005h; out dx, ax; xor di, di; mov cx, 592; mov al, bl; rep stosb
    "B80500 EF 31FF B95002 88D8 F3AA"
    # mov ax, 0105h; out dx, ax; xor si, si; mov di, 4000h; mov cx, 784; rep movsb
    "B80501 EF 31F6 BF0040 B91003 F3A4"
    # mov ax, 0205h; out dx, ax; mov [es:di], bx; mov cl, [es:di]; jmp l
    "B80502 EF 26891D 268A0D EBC5"
)


def played(
    monkeypatch: pytest.MonkeyPatch,
    image: Path,
    frames: int,
    between: Callable[[Machine, int], None] = lambda machine, frame: None,
    **options: object,
) -> tuple[list[str], list[str]]:
    """What can be seen of each frame, without native code and with it."""

    def run() -> list[str]:
        digests = []
        made = {name: value() if callable(value) else value for name, value in options.items()}
        with Machine(str(image), **made) as machine:
            pc = machine.pc
            assert pc is not None
            for frame in range(frames):
                between(machine, frame)
                report = machine.run_frame()
                digest = hashlib.sha256(machine.screen.frame.tobytes())
                for _, array in sorted(snapshot.take(machine.vga.parts()).items()):
                    digest.update(array.tobytes())
                for name, array in sorted(pc.cpu.arrays().items()):
                    digest.update(name.encode() + array.tobytes())
                digest.update(pc.bus.array[:0xA0000].tobytes() + machine.vram.array.tobytes())
                dirty = [*report.dirty_pages], machine.vram.counters.faults
                digests.append(f"{pc.clock.now_ns()} {dirty} {digest.hexdigest()[:16]}")
        return digests

    # However slow the host is: Python's path takes a thousand times as long.
    monkeypatch.setattr("vgaemu.pc.pc.most_host_ns", lambda: 1 << 62)
    monkeypatch.setenv(native.SWITCH, "0")
    slow = run()
    monkeypatch.delenv(native.SWITCH)
    assert native.load(wait=True), native.why_not()
    return slow, run()


@pytest.mark.turns(3)
@pytest.mark.parametrize("guest", sorted(path.name for path in GUESTS.glob("*.[ic][mo][gm]")))
def test_bundled_guests(guest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slow, fast = played(monkeypatch, GUESTS / guest, 40, vram_mib=1)
    assert fast == slow


def test_another_keeper_while_the_guest_stores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Python's path for those that native code does not know, and back; no page is missed."""
    names = {2: "words", 3: "flags", 4: "sparse", 5: "flags"}

    def between(machine: Machine, frame: int) -> None:
        if frame in names:
            machine.vram.keep_with(names[frame])
        if frame:
            assert machine.pc is not None
            vram, is_fast = machine.pc.cpu._vram, native.load() != {}
            assert vram._is_native() == (is_fast and machine.vram.dirty_log == "flags")

    slow, fast = played(monkeypatch, disk(tmp_path, PLANAR), 7, between, vram_mib=1)
    assert fast == slow
    assert len(set(fast)) == len(fast)


def test_a_tape_has_each_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tapes = [tmp_path / path / "a.tape" for path in ("slow", "fast")]
    for tape in tapes:
        tape.parent.mkdir()
    following = iter(tapes)
    slow, fast = played(
        monkeypatch, disk(tmp_path, PLANAR), 1, vram_mib=1, record_tape=lambda: next(following)
    )
    assert fast == slow
    assert tapes[0].read_bytes() == tapes[1].read_bytes()
