"""Saved states of machine-code guests: a run goes on as if nothing had been, on either CPU."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import x86_fuzz
from state_files import arrays_of
from x86_helpers import CPUS, GUESTS, disk, has_kvm, needs_kvm

from vgaemu.cli.main import main
from vgaemu.errors import GuestFault, ScreenError, StateError
from vgaemu.guest.workload import Guest, Slices
from vgaemu.machine import Machine
from vgaemu.pc.dos.entries import OpenFile
from vgaemu.pc.dos.tables import STANDARD
from vgaemu.vga.state import VERSION

pytest.importorskip("unicorn")

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

NAMES = ["colours", "plasma", "modes12", "scroller", "vbe", "snake", "selftest"]
BEFORE, AFTER = 37, 24
#: Parts that older states have not.
LATER_PARTS = (
    "cpu.debug", "cpu.msrs",
    "kvm.", "bios.disk_locks", "bios.mouse", "bios.pointing", "chips.a20", "chips.ata",
    "chips.mouse", "chips.pci", "chips.pit_written", "chips.printer", "chips.rtc", "chips.serial",
    "pc.looks", "pc.refused",
)  # fmt: skip


def image(name: str) -> str:
    return str(GUESTS / f"{name}.img")


def seen(machine: Machine) -> tuple[str, list[str]]:
    """Every pixel, and the text."""
    screen, text = machine.screen, []
    with suppress(ScreenError):
        text = screen.text()
    return hashlib.sha256(screen.full_redraw().tobytes()).hexdigest(), text


class Watcher:
    """A display that keeps the last rectangles."""

    rects: list[Any]

    def resize(self, screen: object) -> None:
        pass

    def update(self, frame: object, rects: Any, report: object) -> None:
        self.rects = list(rects)

    def close(self) -> None:
        pass


def follow(machine: Machine, watcher: Watcher, frames: int) -> list[tuple[Any, ...]]:
    """What each frame shows, dirties and redraws; the first after a load redraws all."""
    rows = []
    for frame in range(frames):
        report = machine.run_frame()
        cost = (report.dirty_pages.tolist(), watcher.rects) if frame else ()
        rows.append((seen(machine), cost))
    assert machine.pc is not None
    rows.append((machine.pc.cpu.registers(), machine.pc.clock.now_ns()))
    return rows


def put(source: Path, target: Path, **arrays: object) -> None:
    """A state with other arrays, or without those that are None."""
    kept = arrays_of(source)
    kept |= {name: np.asarray(value) for name, value in arrays.items() if value is not None}
    kept = {name: value for name, value in kept.items() if arrays.get(name, 0) is not None}
    with target.open("wb") as out:
        np.savez(out, **kept)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_in_step_goes_on_to_the_bit(tmp_path: Path, name: str) -> None:
    path, watcher = tmp_path / "s.npz", Watcher()
    with Machine(image(name), display=watcher) as machine:
        machine.tick(BEFORE)
        machine.keys.press("down")
        machine.save_state(path)
        expected = follow(machine, watcher, AFTER)
    with Machine(image(name), display=watcher) as other:
        other.load_state(path)
        assert follow(other, watcher, AFTER) == expected


def test_a_state_is_loaded_into_a_machine_that_did_something_else(tmp_path: Path) -> None:
    path, watcher = tmp_path / "s.npz", Watcher()
    with Machine(image("plasma"), display=watcher) as machine:
        machine.tick(BEFORE)
        machine.save_state(path)
        expected = follow(machine, watcher, AFTER)
        machine.keys.press("a")
        machine.tick(20)
        machine.load_state(path)
        assert follow(machine, watcher, AFTER) == expected


def test_code_that_was_changed_since_runs_as_it_was(tmp_path: Path) -> None:
    # es = B800h; l: [es:0] = 'A'; inc dword [600h]; 80000h times; then the 'A' becomes a 'B'
    code = disk(tmp_path, bytes.fromhex(
        "68 00 B8 07 31 C0 8E D8 26 C6 06 00 00 41 66 FF 06 00 06"
        "66 81 3E 00 06 00 00 08 00 75 EA C6 06 0D 7C 42 EB E3"
    ))  # fmt: skip
    path = tmp_path / "s.npz"
    with Machine(str(code)) as machine:
        machine.tick(2)
        machine.save_state(path)
        assert machine.wait_for_text("^B", 60)
        machine.load_state(path)
        machine.tick()
        assert machine.screen.text()[0][0] == "A"
        assert machine.wait_for_text("^B", 60)


def test_a_closed_machine_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    with Machine(image("snake")) as machine:
        machine.tick(BEFORE)
        expected = seen(machine)
    machine.save_state(path)
    with Machine(image("snake")) as other:
        other.load_state(path)
        assert seen(other) == expected
        other.keys.press("down")
        other.tick(40)
        assert seen(other) != expected


@needs_kvm
@pytest.mark.parametrize(("first", "second"), [
    ("unicorn", "kvm"), ("kvm", "unicorn"), ("kvm", "kvm"),
])  # fmt: skip
def test_a_game_goes_on_under_another_cpu(tmp_path: Path, first: str, second: str) -> None:
    path = tmp_path / "s.npz"
    with Machine(image("snake"), cpu=first) as machine:
        machine.tick(30)
        machine.keys.press("down")
        machine.tick(10)
        machine.save_state(path)
        expected = seen(machine)
    with Machine(image("snake"), cpu=second) as other:
        other.load_state(path)
        assert seen(other) == expected
        other.keys.press("right")
        assert other.wait_for_text("Game over", 900)
        other.keys.press("space")
        other.tick(20)
        assert not any("Game over" in row for row in other.screen.text())


@pytest.mark.parametrize("first", CPUS)
@pytest.mark.parametrize("second", CPUS)
def test_fpu_and_sse_go_along(tmp_path: Path, first: str, second: str) -> None:
    path, set_path = tmp_path / "s.npz", tmp_path / "set.npz"
    rng = np.random.default_rng(5)
    fpu = np.zeros((8, 16), "u1")
    fpu[:, :10] = rng.integers(1, 255, (8, 10))
    xmm = np.zeros((16, 16), "u1")
    xmm[:8] = rng.integers(0, 256, (8, 16))
    words = np.array([0x27F, 5 << 11, 0b0110_0000, 0x1FA0], "u4")
    with Machine(image("plasma"), cpu=first) as machine:
        machine.tick(3)
        machine.save_state(path)
        put(path, set_path, **{"cpu.fpu": fpu, "cpu.xmm": xmm, "cpu.fpu_control": words})
        machine.load_state(set_path)
        machine.tick(3)
        machine.save_state(path)
    with Machine(image("plasma"), cpu=second) as other:
        other.load_state(path)
        other.tick(3)
        assert other.pc is not None
        arrays = other.pc.cpu.arrays()
        np.testing.assert_array_equal(arrays["cpu.fpu"], fpu)
        np.testing.assert_array_equal(arrays["cpu.xmm"], xmm)
        assert arrays["cpu.fpu_control"].tolist() == words.tolist()


# Flat 32-bit code that counts at B8000h: lgdt [cs:...]; CR0.PE; jmp 8:...
PROTECTED = bytes.fromhex(
    "FA 31 C0 8E D8 0F 01 16 40 7C 0F 20 C0 0C 01 0F 22 C0 EA 17 7C 08 00"
    "66 B8 10 00 8E D8 8E C0 8E D0 FF 05 00 80 0B 00 EB F8"
).ljust(0x40, b"\x90") + bytes.fromhex(
    "17 00 46 7C 00 00 00 00 00 00 00 00 00 00 FF FF 00 00 00 9A CF 00 FF FF 00 00 00 92 CF 00"
)


@pytest.mark.parametrize("first", CPUS)
@pytest.mark.parametrize("second", CPUS)
def test_protected_mode_goes_along(tmp_path: Path, first: str, second: str) -> None:
    code, path = disk(tmp_path, PROTECTED), tmp_path / "s.npz"
    with Machine(str(code), cpu=first) as machine:
        machine.tick(3)
        machine.save_state(path)
        expected = seen(machine)
    with Machine(str(code), cpu=second) as other:
        other.load_state(path)
        assert seen(other) == expected
        # A counter of a byte, which may be back where it was.
        assert any(other.tick(3) and seen(other) != expected for _ in range(20))
        assert other.pc is not None
        registers = other.pc.cpu.registers()
        assert (registers["cs"], registers["ds"], registers["cr0"] & 1) == (8, 16, 1)


@needs_kvm
def test_registers_that_the_kernel_gives_and_does_not_take(tmp_path: Path) -> None:
    # Random bytes that switch to protected mode without a table, and end with a CS of nonsense.
    code, state = tmp_path / "astray.img", tmp_path / "s.npz"
    code.write_bytes(x86_fuzz.sector(700735))
    with Machine(str(code), cpu="kvm", vram_mib=1) as machine:
        with suppress(GuestFault):
            machine.tick(4)
        machine.save_state(state)
        before = machine.screen.full_redraw()
        with suppress(StateError):
            machine.load_state(state)
        np.testing.assert_array_equal(machine.screen.full_redraw(), before)


@pytest.mark.parametrize("cpu", CPUS)
def test_a_halted_guest_wakes_again(tmp_path: Path, cpu: str) -> None:
    # sti; hlt; inc byte [es:0]; again
    code = disk(tmp_path, bytes.fromhex("68 00 B8 07 FB F4 26 FE 06 00 00 EB F7"))
    path = tmp_path / "s.npz"
    with Machine(str(code), cpu=cpu) as machine:
        machine.tick(10)
        assert machine.pc is not None
        while not machine.pc.cpu.halted:
            machine.tick()
        machine.save_state(path)
    with Machine(str(code), cpu=cpu) as other:
        other.load_state(path)
        assert other.pc is not None
        assert other.pc.cpu.halted
        count = other.vga.load(0xB8000, 1)[0]
        other.tick(30)
        assert 4 < other.vga.load(0xB8000, 1)[0] - count & 0xFF < 14  # 18.2 Hz


def test_chips_and_keys_come_back(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    with Machine(image("colours")) as machine:
        machine.tick(5)
        pc = machine.pc
        assert pc is not None
        for port, value in (
            (0x43, 0x34), (0x40, 0x78), (0x40, 0x56), (0x20, 0x11), (0x21, 0x40), (0xA1, 0x55),
            (0x43, 0xB6), (0x42, 0x34), (0x61, 3), (0x70, 0x22), (0x71, 0x77), (0x64, 0x60),
        ):  # fmt: skip
            pc.bus.port_out(port, 1, value)
        machine.keys.press("a")
        pc.board.keyboard.buffer.extend(b"\x1e\x9e")
        pc.board.keyboard.held = ("left", b"\xe0\x4b")
        machine.save_state(path)
        expected = pc.state_arrays()
    with Machine(image("colours")) as other:
        other.load_state(path)
        assert other.pc is not None
        found = other.pc.state_arrays()
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert other.pc.pic.chips[0].expect == [3, 4]
        assert (other.pc.pit.channels[0].reload, other.pc.pit.channels[0].mode) == (0x5678, 2)
        assert other.pc.bus.port_in(0x71, 1) == 0x77
        assert other.keys.typed() == "a"


# --- disk and files ---------------------------------------------------------------------------


def writer(tmp_path: Path) -> Path:
    """Writes its own boot sector, with DL counted up in it, to sector 5; waits; reads it back."""
    code = bytes.fromhex(
        "B8 00 7C 31 DB 8E C3 BB 00 7C B8 01 03 B9 05 00 BA 00 00 CD 13"  # write
        "31 C0 CD 16"  # a key
        "BB 00 80 B8 01 02 B9 05 00 BA 00 00 CD 13 A1 00 80 68 00 B8 07 26 A3 00 00 FA F4"
    )
    return disk(tmp_path, code)


def test_what_a_guest_wrote_to_its_copy_of_the_disk(tmp_path: Path) -> None:
    code, path, early = writer(tmp_path), tmp_path / "s.npz", tmp_path / "early.npz"
    with Machine(str(code)) as machine:
        machine.save_state(early)
        machine.tick(5)
        machine.save_state(path)
    with np.load(path) as file:
        assert file["disk.sectors"].tolist() == [4]
    with Machine(str(code)) as other:
        other.load_state(path)
        other.keys.press("a")
        other.tick(10)
        assert other.vga.load(0xB8000, 2) == b"\xb8\x00"
        other.load_state(early)  # before the write
        assert other.pc is not None
        assert not other.pc.state_arrays()["disk.sectors"].size
        disk_now = other.pc.image
        assert disk_now.read(4, 1) == bytes(512)  # type: ignore[union-attr]
    with (
        Machine(str(code), writable=True) as third,
        pytest.raises(StateError, match="load it without --writable"),
    ):
        third.load_state(path)
    assert code.stat().st_size == 512


def test_a_disk_that_was_written_to_is_another_one(tmp_path: Path) -> None:
    code, path = writer(tmp_path), tmp_path / "s.npz"
    with Machine(str(code), writable=True) as machine:
        machine.save_state(path)
        machine.tick(5)
        machine.save_state(path)
    with Machine(str(code)) as other:
        other.load_state(path)
        other.keys.press("a")
        other.tick(10)
        assert other.vga.load(0xB8000, 2) == b"\xb8\x00"
    with code.open("r+b") as file:
        file.seek(700)
        file.write(b"changed")
    with (
        Machine(str(code)) as third,
        pytest.raises(StateError, match="another content of it, not with this test"),
    ):
        third.load_state(path)


# open data.txt; read 4; wait for a key; read 4; print both to the screen; wait; exit 7
READER = bytes.fromhex(
    "BA 50 01 B8 02 3D CD 21 89 C3 BA 60 01 B9 04 00 B4 3F CD 21"
    "31 C0 CD 16 BA 64 01 B9 04 00 B4 3F CD 21"
    "BA 60 01 B4 09 CD 21 31 C0 CD 16 B8 07 4C CD 21"
).ljust(0x50, b"\x90") + b"DATA.TXT".ljust(16, b"\0") + b"xxxxxxxx$"  # fmt: skip


def test_open_files_go_on_where_they_were(tmp_path: Path) -> None:
    program, root, path = tmp_path / "reader.com", tmp_path / "root", tmp_path / "s.npz"
    program.write_bytes(READER)
    root.mkdir()
    (root / "data.txt").write_text("goodmorning")
    with Machine(str(program), dos_root=root) as machine:
        machine.tick(5)
    machine.save_state(path)  # its files are closed
    with Machine(str(program), dos_root=root) as other:
        other.tick(3)
        other.load_state(path)
        other.keys.press("a")
        other.tick(5)
        assert other.screen.text()[0].startswith("goodmorn")
        other.keys.press("a")
        other.tick(5)
        assert other.ended
        assert other.pc is not None
        assert other.pc.exit_code == 7
    with Machine(str(program)) as third:
        before = third.pc.state_arrays()  # type: ignore[union-attr]
        with pytest.raises(StateError, match=r"'data.txt' open, .* --dos-root"):
            third.load_state(path)
        after = third.pc.state_arrays()  # type: ignore[union-attr]
        assert all((before[name] == after[name]).all() for name in before)
    for name, value in (
        ("dos.files", text([[5, "data.txt", 1.0, 0]])),
        ("dos.files", text([[4, "data.txt", 0, 0]])),
        ("dos.files", text([[5, "data.txt", 0, 0], [5, "data.txt", 0, 0]])),
        ("dos.files", text({"5": 1})),
        ("dos.found", text([["A.TXT", 1.5]])),
        ("dos.line", np.zeros(255, "u1")),
        ("dos.written", np.asarray(1 << 40)),
        ("dos.blocks", np.zeros((2, 3), "u2")),
    ):
        wrong = tmp_path / "wrong.npz"
        put(path, wrong, **{name: value})
        with (
            Machine(str(program), dos_root=root) as fourth,
            pytest.raises(StateError, match=f"{name} is not what a PC has"),
        ):
            fourth.load_state(wrong)
    for files in ([[5, "../../etc/hostname", 0, 0]], [[5, "/etc/hostname", 0, 0]]):
        evil = tmp_path / "evil.npz"
        put(path, evil, **{"dos.files": text(files)})
        with (
            Machine(str(program), dos_root=root) as fourth,
            pytest.raises(StateError, match="cannot be opened now"),
        ):
            fourth.load_state(evil)


@pytest.mark.parametrize("cpu", CPUS)
def test_a_refused_state_closes_its_own_files_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cpu: str
) -> None:
    program, path = tmp_path / "reader.com", tmp_path / "s.npz"
    program.write_bytes(READER)
    (tmp_path / "data.txt").write_text("goodmorning")
    close, closed, opened = os.close, [], []
    with Machine(str(program), cpu=cpu, dos_root=tmp_path) as machine:
        machine.tick(30 if cpu == "kvm" else 5)
        assert machine.pc is not None
        assert machine.pc.dos is not None
        machine.save_state(path)
        mine = machine.pc.dos.handles.opened[len(STANDARD)].stream.fd
        open_file = machine.pc.dos.files.open

        def opens(name: str, *how: Any) -> OpenFile:
            opened.append(open_file(name, *how))
            return opened[-1]

        def refuses(arrays: object) -> None:
            raise OSError(errno.EINVAL, "Invalid argument")

        monkeypatch.setattr(machine.pc.cpu, "restore", refuses)
        monkeypatch.setattr(machine.pc.dos.files, "open", opens)
        monkeypatch.setattr(os, "close", lambda fd: closed.append(fd) or close(fd))
        with pytest.raises(StateError, match="does not take it: Invalid argument"):
            machine.load_state(path)
        assert closed.count(opened[0].stream.fd) == 1
        assert machine.pc.dos.handles.opened[len(STANDARD)].stream.fd == mine
        os.fstat(mine)
        closed.clear()
    assert closed.count(mine) == 1
    assert closed.count(opened[0].stream.fd) == 0


def test_a_state_whose_file_is_gone_changes_nothing(tmp_path: Path) -> None:
    program, root, path = tmp_path / "reader.com", tmp_path / "root", tmp_path / "s.npz"
    program.write_bytes(READER)
    root.mkdir()
    (root / "data.txt").write_text("goodmorning")
    with Machine(str(program), dos_root=root) as machine:
        machine.tick(5)
        machine.save_state(path)
        (root / "data.txt").rename(root / "other.txt")
        assert machine.pc is not None
        before = {name: array.copy() for name, array in machine.pc.state_arrays().items()}
        with pytest.raises(StateError, match=r"'data.txt' open"):
            machine.load_state(path)
        after = machine.pc.state_arrays()
        assert all((before[name] == after[name]).all() for name in before)
        (root / "other.txt").rename(root / "data.txt")
        machine.load_state(path)
        after = machine.pc.state_arrays()
        assert all((before[name] == after[name]).all() for name in before)


# --- refusals ---------------------------------------------------------------------------------


def text(value: object) -> np.ndarray:
    import json

    return np.frombuffer(json.dumps(value).encode(), np.uint8)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("state") / "s.npz"
    with Machine(image("snake"), vram_mib=1) as machine:
        machine.tick(20)
        machine.save_state(path)
    return path


def edit(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Path, Path], None]:
    def write(source: Path, target: Path) -> None:
        array = arrays_of(source)[name].copy()
        result = change(array)
        put(source, target, **{name: array if result is None else result})

    return write


def at(index: Any, value: int) -> Callable[[np.ndarray], None]:
    def change(array: np.ndarray) -> None:
        array[index] = value

    return change


WRONG = {
    "cpu.general": edit("cpu.general", lambda a: a[:17]),
    "15 MiB of RAM": edit("ram", lambda a: a[:-4096]),
    "another version's BIOS": edit("ram", at(0xFF010, 0)),
    "cpu.pending": edit("cpu.pending", at((), 256)),
    "chips.pit0": edit("chips.pit0", at(0, 0)),  # would divide by it
    "chips.pic1": edit("chips.pic1", at(1, 256)),
    "chips.keys": edit("chips.keys", lambda a: text([[1, 2, 3]])),
    "chips.keyboard_held": edit("chips.keyboard_held", lambda a: text(["a", "zz"])),
    "chips.keyboard_buffer": edit("chips.keyboard_buffer", lambda a: np.zeros(1 << 17, "u1")),
    "disk.sectors": edit("disk.sectors", lambda a: np.array([2880], "u4")),
    "disk.data": edit("disk.data", lambda a: np.zeros((1, 512), "u1")),
    "pc.clock_ns": edit("pc.clock_ns", at((), -1)),
    "pc.clock_ns is not": edit("pc.clock_ns", at((), (1 << 62) - 1)),  # soon past what is taken
    "bios.vbe_mode": edit("bios.vbe_mode", at((), 5)),
    "bios.vbe_mode is not": edit("bios.vbe_mode", at((), 0x11B)),  # 3.75 MiB
    "damaged; save": edit("cpu.control", at(5, 0x500)),  # long mode without paging
    "damaged": edit("cpu.segments", at((1, 1), 1 << 32)),
    "without a machine-code guest": edit("cpu.general", lambda a: a),
}


@pytest.mark.parametrize("what", WRONG)
def test_states_that_are_refused_change_nothing(tmp_path: Path, saved: Path, what: str) -> None:
    path = tmp_path / "wrong.npz"
    WRONG[what](saved, path)
    if what == "without a machine-code guest":
        put(saved, path, **{"pc.sha256": None})
    with Machine(image("snake"), vram_mib=1) as machine:
        machine.tick(3)
        assert machine.pc is not None
        before = machine.pc.state_arrays(), machine.screen.full_redraw()
        with pytest.raises(StateError) as caught:
            machine.load_state(path)
        assert what in str(caught.value)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        after = machine.pc.state_arrays(), machine.screen.full_redraw()
        assert all((before[0][name] == after[0][name]).all() for name in before[0])
        np.testing.assert_array_equal(before[1], after[1])
        assert machine.tick(2)


@pytest.mark.parametrize("cpu", CPUS)
def test_a_state_that_lacks_an_array_is_refused_in_a_line(cpu: str) -> None:
    with Machine(image("snake"), vram_mib=1, cpu=cpu) as machine:
        machine.tick(3)
        assert machine.pc is not None
        arrays = machine.pc.state_arrays()
        for name in arrays:
            if name.startswith(LATER_PARTS):
                continue
            lacking = {other: arrays[other] for other in arrays if other != name}
            with pytest.raises(StateError) as caught:
                machine.pc.check_state(lacking, "state")
            assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text elsewhere")
def test_a_file_whose_name_is_no_text(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/s\xff.img")
    shutil.copy(image("snake"), name)
    with Machine(name) as machine:
        machine.tick(5)
    machine.save_state(tmp_path / "s.npz")
    with Machine(image("snake")) as other:
        other.load_state(tmp_path / "s.npz")


@needs_kvm
def test_registers_that_no_processor_has_are_refused_by_kvm(tmp_path: Path, saved: Path) -> None:
    path = tmp_path / "wrong.npz"
    put(saved, path, **{"cpu.control": np.full(7, 2**64 - 1, "u8")})
    with Machine(image("snake"), cpu="kvm", vram_mib=1) as machine:
        machine.tick(3)
        with pytest.raises(StateError, match="the kernel does not take its registers"):
            machine.load_state(path)
        assert machine.tick(3)


def forever(guest: Guest) -> Slices:
    while True:
        yield


def test_states_of_something_else(tmp_path: Path, saved: Path) -> None:
    python, old = tmp_path / "python.npz", tmp_path / "old.npz"
    with Machine(forever, vram_mib=1) as machine:
        machine.tick(2)
        machine.save_state(python)
        with pytest.raises(StateError, match=r"machine code, 'snake.img'; load it with that file"):
            machine.load_state(saved)
    put(python, old, version=np.asarray(1, "u4"))
    with Machine(forever, vram_mib=1) as machine:
        machine.load_state(old)
    with Machine(image("snake"), vram_mib=1) as machine:
        for path in (python, old):
            with pytest.raises(StateError, match="without a machine-code guest, snake"):
                machine.load_state(path)
    with (
        Machine(image("plasma"), vram_mib=1) as machine,
        pytest.raises(StateError, match=r"saved with 'snake.img', not with this plasma.img"),
    ):
        machine.load_state(saved)


def test_the_options(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    state, shots = tmp_path / "s.npz", [tmp_path / f"{n}.png" for n in range(2)]
    headless = ["--headless", "--frames"]
    snake = ["run", image("snake"), *headless]
    assert main([*snake, "60", "--screenshot", str(shots[0])]) == 0
    assert main([*snake, "35", "--save-state", str(state)]) == 0
    assert main([*snake, "25", "--load-state", str(state), "--screenshot", str(shots[1])]) == 0
    assert shots[0].read_bytes() == shots[1].read_bytes()
    capfd.readouterr()
    for arguments, what in (
        ([image("plasma"), "--load-state", state], "saved with 'snake.img', not with this plasma"),
        (["typing", "--load-state", state], "load it with that file"),
        (["--load-state", state], "load it with that file"),
    ):
        assert main(["run", *map(str, arguments), *headless, "2"]) == 2
        error = capfd.readouterr().err
        assert what in error
        assert error.count("\n") == 1


def test_a_truncated_state(tmp_path: Path, saved: Path) -> None:
    data, path = saved.read_bytes(), tmp_path / "cut.npz"
    with Machine(image("snake"), vram_mib=1) as machine:
        for part in range(1, 12):
            path.write_bytes(data[: len(data) * part // 12])
            with pytest.raises(StateError, match="damaged, or no saved state"):
                machine.load_state(path)
        put(saved, path, version=np.asarray(VERSION + 1, "u4"))
        with pytest.raises(StateError, match="newer vgaemu"):
            machine.load_state(path)


@pytest.mark.skipif(not has_kvm(), reason="/dev/kvm cannot be opened")
def test_a_firmware_is_part_of_a_state(tmp_path: Path) -> None:
    from vgaemu.pc.bios.seabios import FIRMWARES

    if not Path(FIRMWARES[0]).is_file():
        pytest.skip(f"{FIRMWARES[0]} is not here")
    path = tmp_path / "s.npz"
    with Machine(image("selftest"), cpu="kvm", firmware="seabios") as machine:
        machine.tick(10)
        machine.save_state(path)
    with Machine(image("selftest"), cpu="kvm", firmware="seabios") as other:
        other.load_state(path)
        assert other.wait_for_text("^SeaBIOS", 6000)
    with (
        Machine(image("selftest"), cpu="kvm") as third,
        pytest.raises(StateError, match="saved under --firmware seabios; run it so"),
    ):
        third.load_state(path)


@pytest.mark.parametrize("cpu", CPUS)
def test_a_guest_that_runs_on_its_own_thread(tmp_path: Path, cpu: str) -> None:
    path = tmp_path / "s.npz"
    with Machine(image("plasma"), cpu=cpu, free=True) as machine:
        machine.run_frame()
        machine.save_state(path)  # it is held for that
        with Machine(image("plasma"), cpu=cpu) as other:
            other.load_state(path)
            assert other.tick(10)
            other.save_state(path)
        machine.load_state(path)
        machine.tick(10)
    machine.save_state(path)
    with Machine(image("plasma"), cpu=cpu) as other:
        other.load_state(path)
        before = seen(other)
        assert other.tick(60)
        assert seen(other) != before
    with Machine(image("plasma"), cpu=cpu, free=True) as third:
        third.load_state(path)
        assert seen(third) == before
        third.run_frame()
