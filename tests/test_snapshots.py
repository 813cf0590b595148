"""Snapshots: a run goes on from one exactly as it first did, and others hear of what changed."""

from __future__ import annotations

import gc
import random
from pathlib import Path

import numpy as np
import pytest
from x86_helpers import CPUS, GUESTS, disk, make_pc, needs_kvm

import vgaemu
from vgaemu.keys.queue import Key
from vgaemu.machine import Machine
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.formats import load_image
from vgaemu.pc.images import DiskImage
from vgaemu.snapshot import cut

KEYS = ("left", "right", "up", "down", "a", "enter", "space")
IMAGES = [
    "colours.img", "modes12.img", "plasma.img", "scroller.img", "selftest.img", "snake.img",
    "type.com", "vbe.img",
]  # fmt: skip


def arrays(machine: Machine, *, whole: bool = True) -> dict[str, bytes]:
    """All that a state has, and the picture."""
    parts = machine.vga.parts() | ({} if machine.pc is None else machine.pc.parts())
    large = () if whole else ("ram", "vram", "pc.sha256")
    found = {name: part.array().tobytes() for name, part in parts.items() if name not in large}
    if machine.pc is not None:
        # What KVM adds has its clock, and room that it fills as it likes; so has its TSC.
        cpu = machine.pc.cpu.arrays()
        host = ("kvm.", "cpu.msrs") if "kvm.events" in cpu else ("kvm.",)
        found |= {name: cpu[name].tobytes() for name in cpu if not name.startswith(host)}
    return found | {"frame": machine.screen.frame.tobytes(), "frames": bytes(machine.frames)}


def play(machine: Machine, frames: int, seed: int) -> list[int]:
    """Run with some keys; a hash after each frame, after the last one of everything."""
    rng, hashes = random.Random(seed), []
    for left in reversed(range(frames)):
        if rng.random() < 0.4:
            machine.keys.press(rng.choice(KEYS))
        machine.tick()
        hashes.append(hash(tuple(arrays(machine, whole=not left).items())))
    return hashes


@pytest.mark.turns(4)
@pytest.mark.parametrize("image", IMAGES)
def test_a_run_goes_on_as_it_first_did(image: str) -> None:
    with Machine(GUESTS / image) as machine:
        play(machine, 6, 1)
        begin, then = machine.snapshot(), arrays(machine)
        first = play(machine, 6, 2)
        middle, between = machine.snapshot(), arrays(machine)
        second = play(machine, 4, 3)
        machine.restore(begin)
        assert arrays(machine) == then
        assert play(machine, 6, 2) == first
        machine.restore(begin)
        play(machine, 8, 4)
        machine.restore(middle)
        assert arrays(machine) == between
        assert play(machine, 4, 3) == second


def test_from_power_on() -> None:
    with Machine(GUESTS / "snake.img") as machine:
        begin = machine.snapshot()
        first = play(machine, 5, 2)
        machine.restore(begin)
        assert machine.frames == 0
        assert play(machine, 5, 2) == first


def test_after_the_guest_has_ended(tmp_path: Path) -> None:
    # Three ticks of the timer; cli; hlt.
    with Machine(disk(tmp_path, b"\xf4\xf4\xf4\xfa\xf4")) as machine:
        before = machine.snapshot()
        machine.tick(30)
        assert machine.ended
        end, frames = machine.snapshot(), machine.frames
        assert frames < 30
        for _ in range(2):
            machine.restore(before)
            assert not machine.ended
            machine.tick(30)
            assert machine.ended
            assert machine.frames == frames
        machine.restore(before)
        machine.restore(end)
        assert machine.ended


@pytest.mark.parametrize("cpu", CPUS)
def test_all_that_a_state_has_is_as_it_was(cpu: str) -> None:
    with Machine(GUESTS / "snake.img", cpu=cpu) as machine:
        machine.tick(20)
        kept, then = machine.snapshot(), arrays(machine)
        machine.keys.press("left")
        machine.tick(20)
        machine.restore(kept)
        now = arrays(machine)
        assert [name for name in then if then[name] != now[name]] == []
        machine.tick(2)


def test_without_a_guest_whoever_holds_the_machine_is_it() -> None:
    with Machine() as machine:
        machine.vga.store(0xB8000, b"A\x1e")
        machine.keys.press("x")
        kept = machine.snapshot()
        machine.tick()
        machine.vga.store(0xB8000, b"B\x1e")
        machine.vga.outb(0x3C8, 7)
        assert machine.keys.typed() == "x"
        looks = [machine.vga.inb(0x3DA) for _ in range(50)]
        where = machine.vga.beam.at_ns()
        machine.restore(kept)
        assert machine.screen.text()[0][0] == "A"
        assert machine.keys.typed() == "x"
        machine.tick()
        assert [machine.vga.inb(0x3DA) for _ in range(50)] == looks
        assert machine.vga.beam.at_ns() == where


def test_the_picture_is_that_of_then_at_once() -> None:
    with Machine() as machine:
        machine.vga.store(0xB8000, b"A\x1e")
        machine.tick(20)  # the cursor is hidden
        picture, kept = machine.screen.rgb(), machine.snapshot()
        machine.vga.store(0xB8000, b"B\x1e")
        machine.tick(20)
        machine.restore(kept)
        np.testing.assert_array_equal(machine.screen.rgb(), picture)
        np.testing.assert_array_equal(machine.screen.frame, machine.screen.full_redraw())
        assert machine.frames == kept.frames == 20


def test_keys_that_are_due_and_what_is_still_to_be_typed() -> None:
    with Machine() as machine:
        machine.schedule_keys([(2, "a"), (4, "b")])
        machine.keys.put(Key("z", True, "z"))
        machine.tick(3)
        kept = machine.snapshot()
        machine.keys.typed()
        for _ in range(2):
            machine.tick(3)
            assert machine.keys.typed()[-1:] == "b"
            machine.keys.put(Key("z", False))
            machine.restore(kept)
            assert machine.keys.is_down("z")


def test_other_readers_of_the_log_hear_of_what_was_restored() -> None:
    with Machine(GUESTS / "snake.img") as machine:
        machine.tick(10)
        kept, reader = machine.snapshot(), machine.vram.subscribe()
        shown = bytearray(machine.vram.array)
        reader.get_dirty_log()
        for _ in range(3):
            play(machine, 3, 7)
            machine.restore(kept)
            for page in reader.get_dirty_log():
                at = page * PAGE_SIZE
                shown[at : at + PAGE_SIZE] = machine.vram.read(at, PAGE_SIZE)
            assert shown == machine.vram.array.tobytes()


def test_ram_is_logged_while_there_is_a_snapshot() -> None:
    with Machine(GUESTS / "snake.img") as machine:
        assert machine.pc is not None
        slot, companions = machine.pc.bus.slot, len(machine.between_frames)
        kept = [machine.snapshot(), machine.snapshot()]
        assert slot.logging
        machine.tick(2)
        kept.pop()
        machine.tick()
        assert slot.logging
        kept.clear()
        gc.collect()
        machine.tick()
        assert not slot.logging
        assert len(machine.between_frames) == companions
        again = machine.snapshot()
        first = play(machine, 3, 5)
        machine.restore(again)
        assert play(machine, 3, 5) == first


def test_what_was_written_while_nothing_was_logged_is_found() -> None:
    with Machine(mode=0x13) as machine:
        vga = machine.vga
        moment = machine.snapshot()
        vga.slot.logging = False
        vga.store(0xA0000, b"unseen")
        vga.slot.logging = True
        later = machine.snapshot()
        machine.restore(moment)
        assert vga.load(0xA0000, 6) == bytes(6)
        vga.slot.logging = False
        machine.restore(later)
        assert vga.load(0xA0000, 6) == b"unseen"


def test_snapshots_share_what_did_not_change() -> None:
    with Machine(GUESTS / "snake.img") as machine:
        machine.tick(5)
        one, same = machine.snapshot(), machine.snapshot()
        assert one.vram is same.vram
        assert one.pc is not None
        assert same.pc is not None
        assert one.pc.ram is same.pc.ram
        assert one.around is same.around
        machine.tick()
        next_one = machine.snapshot()
        assert next_one.pc is not None
        differing = [a is b for a, b in zip(one.pc.ram, next_one.pc.ram, strict=True)].count(False)
        assert differing <= 3


def test_one_of_another_machine_of_the_same_kind() -> None:
    with Machine(GUESTS / "snake.img") as machine, Machine(GUESTS / "snake.img") as other:
        machine.tick(20)
        kept = machine.snapshot()
        first = play(machine, 4, 2)
        other.restore(kept)
        assert other.frames == kept.frames
        assert play(other, 4, 2) == first


def test_bytes_are_a_state_file(tmp_path: Path) -> None:
    with Machine(GUESTS / "snake.img") as machine:
        machine.tick(20)
        kept = machine.snapshot()
        first = play(machine, 4, 2)
        (tmp_path / "kept.npz").write_bytes(kept.to_bytes())
    with pytest.raises(vgaemu.SnapshotError, match=r"closed; call to_bytes\(\) before"):
        kept.to_bytes()
    with Machine(GUESTS / "snake.img") as machine:
        machine.tick(20)
        machine.load_state(tmp_path / "kept.npz")
        assert play(machine, 4, 2)[-1] == first[-1]


def test_on_a_thread_of_its_own() -> None:
    with Machine(GUESTS / "snake.img", free=True) as machine:
        for _ in range(3):
            machine.run_frame()
        kept = machine.snapshot()
        assert machine.pc is not None
        ns = machine.pc.clock.now_ns()
        for _ in range(3):
            machine.run_frame()
            machine.restore(kept)
            assert machine.frames == kept.frames
        assert machine.pc.clock.now_ns() >= 0
        with machine._saving.guest_stands("test"):
            assert machine.pc.clock.now_ns() - ns < 10_000_000_000


def test_what_is_refused(tmp_path: Path) -> None:
    snake, plasma = GUESTS / "snake.img", GUESTS / "plasma.img"
    with Machine(snake) as machine:
        machine.tick(3)
        kept = machine.snapshot()
        with Machine(plasma) as other, Machine() as none, Machine(snake, vram_mib=1) as small:
            for wrong, said in (
                (other, "saved with 'snake.img', not with this plasma.img"),
                (none, "saved with machine code, 'snake.img'"),
                (small, "saved with 16 MiB of VRAM, this machine has 1"),
            ):
                wrong.tick()
                then = arrays(wrong)
                with pytest.raises(vgaemu.SnapshotError, match=said):
                    wrong.restore(kept)
                assert arrays(wrong) == then
        for wrong, said in ((kept.to_bytes(), r"load_state\(io.BytesIO"), ("x", "not str")):
            with pytest.raises(vgaemu.SnapshotError, match=said):
                machine.restore(wrong)
        with pytest.raises(vgaemu.SnapshotError, match="is a generator"):
            Machine("typing").snapshot()
        with Machine(snake, record_tape=tmp_path / "x.tape") as recorded:
            begin = recorded.snapshot()
            with pytest.raises(vgaemu.SnapshotError, match="a tape starts at power on"):
                recorded.restore(begin)
    with pytest.raises(vgaemu.SnapshotError, match="the machine is closed"):
        machine.restore(kept)
    with pytest.raises(vgaemu.SnapshotError, match="the machine is closed"):
        machine.snapshot()


def test_a_guest_that_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    with Machine(GUESTS / "snake.img", free=True) as machine:
        machine.run_frame()
        kept = machine.snapshot()
        machine.run_frame()
        monkeypatch.setattr(machine.runner, "hold", lambda seconds: False)
        monkeypatch.setattr(type(machine.runner), "is_running", True)
        with pytest.raises(vgaemu.SnapshotError, match="came to no 'yield'"):
            machine.restore(kept)
        monkeypatch.undo()


@pytest.mark.parametrize("writable", [False, True])
def test_sectors_of_a_disk(tmp_path: Path, writable: bool) -> None:
    path = disk(tmp_path, b"\xf4")
    path.write_bytes(path.read_bytes() + bytes(3 * 512))
    image = load_image(str(path), [], writable=writable)
    assert isinstance(image, DiskImage)
    begin = image.moment()
    image.write(1, b"a" * 1024)
    first = image.moment()
    image.write(2, b"b" * 512)
    second = image.moment()
    assert image.moment() is second
    for moment, content in (
        (begin, bytes(1536)),
        (second, b"a" * 512 + b"b" * 512 + bytes(512)),
        (first, b"a" * 1024 + bytes(512)),
        (begin, bytes(1536)),
        (first, b"a" * 1024 + bytes(512)),
    ):
        image.go_back(moment)
        assert image.read(1, 3) == content
        assert path.read_bytes()[512:] == (content if writable else bytes(1536))
        assert sorted(image.originals) == ([] if writable else sorted(moment))


@needs_kvm
def test_a_kvm_guest_goes_on() -> None:
    with Machine(GUESTS / "snake.img", cpu="kvm") as machine:
        machine.tick(5)
        kept = machine.snapshot()
        for _ in range(3):
            machine.tick(3)
            machine.restore(kept)
        machine.tick(3)
        assert machine.screen.is_text


def test_blocks_are_shared() -> None:
    rng = random.Random(3)
    before: tuple[bytes, ...] = ()
    for _ in range(200):
        data = rng.choices(b"ab", k=rng.choice((3, 8, 8, 8, 9)))
        after = cut(bytes(data), 4, before)
        assert b"".join(after) == bytes(data)
        if b"".join(before) == bytes(data):
            assert after is before
        before = after


def test_files_that_a_program_has_open(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"0123456789" * 20)
    # mov ax, 3D00h; mov dx, name; int 21h; mov bx, ax; read: mov ah, 3Fh; mov cx, 1; mov dx, 200h
    # int 21h; jmp read
    code = bytes.fromhex("B8 00 3D BA 30 01 CD 21 89 C3 B4 3F B9 01 00 BA 00 02 CD 21 EB F4")
    program = tmp_path / "reads.com"
    program.write_bytes(code.ljust(0x30, b"\0") + b"data\0")
    with make_pc(program, dos_root=tmp_path) as pc:
        from vgaemu.pc.moments import PcMoments

        moments, turns = PcMoments(pc), pc.slices()
        begin = moments.take(None)
        pc.step(pc.clock.now_ns() + 1_000_000)
        assert pc.dos is not None
        opened = dict(pc.dos.handles.opened)
        assert len(opened) == 1
        reading, place = moments.take(begin), pc.parts()["dos.files"].array().tobytes()
        next(turns)
        assert pc.parts()["dos.files"].array().tobytes() != place
        moments.go_back(reading)
        assert pc.parts()["dos.files"].array().tobytes() == place
        assert pc.dos.handles.opened == opened
        moments.go_back(begin)
        assert not pc.dos.handles.opened
        moments.go_back(reading)
        assert pc.parts()["dos.files"].array().tobytes() == place
        moments.go_back(begin)
        (tmp_path / "data").unlink()
        with pytest.raises(vgaemu.SnapshotError, match="'data' open, which cannot be opened now"):
            moments.go_back(reading)
        assert not pc.dos.handles.opened
