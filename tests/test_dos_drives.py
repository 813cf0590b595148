"""Drives beside C:, which are images with a FAT: programs on them, and what is left on the disk."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import fat_disks
import pytest
from boards import ask, make_board
from test_dos_programs import PROGRAMS, report
from x86_helpers import CPUS

from vgaemu import snapshot
from vgaemu.cli.main import main
from vgaemu.machine import Machine
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.board import Board
from vgaemu.pc.cpu.cpu import CARRY
from vgaemu.pc.dos import area
from vgaemu.pc.dos.dos import Dos
from vgaemu.pc.dos.entries import ARCHIVE, FOLDER, HIDDEN, READ_ONLY, VOLUME_LABEL
from vgaemu.pc.dos.errors import (
    BAD_DRIVE,
    CURRENT_FOLDER,
    DENIED,
    EXISTS,
    NO_FILE,
    NO_MORE_FILES,
    NO_PATH,
    OTHER_DRIVE,
)
from vgaemu.pc.formats import hard_disk_shape
from vgaemu.pc.images import DiskImage, DosProgram

SECTOR = 512
#: A floppy of 720 KiB, FAT12; hard disks with FAT12 and FAT16, without partitions and with.
FLOPPY, SMALL, LARGE = (
    fat_disks.disk(1440, 2),
    fat_disks.disk(5000, 4, 512, media=0xF8),
    fat_disks.disk(9000, 1, 64, media=0xF8),
)
PARTITIONED = fat_disks.partitioned(fat_disks.disk(9000, 2, 512, hidden=63, media=0xF8))
#: What `drives.com` reports, with the sectors of a cluster; FreeDOS (QEMU) does of its B: and C:.
REPORT = (
    "{:04X} 0200 0000 0000 E0005 0000 SUB :\\SUB\\NEW.DAT ",
    "0BB8 0000 0022 0014 0BC2 03F2 0000 3130 0000 03E8 6000 2121 ",
    "E0012 0000 03E8 0022 NEW.DAT E0012 . 0000 E0002 E0003 E0010 0000 0000 0000 E0005 0000 0000 ",
    "0000 0000 0000 0000 0000 0001 0000 0000 AA55 0200 0000 0200 5C41 4000 0000 ",
)
DISKS = {
    "fd a": (FLOPPY, 2), "hd d": (SMALL, 4), "hd d large": (LARGE, 1),
    "hd d part": (PARTITIONED, 2),
}  # fmt: skip


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("which", DISKS)
def test_a_program_has_another_drive(tmp_path: Path, which: str, cpu: str) -> None:
    kind, letter = which.split()[:2]
    data, cluster = DISKS[which]
    (tmp_path / "disk.img").write_bytes(data)
    program = shutil.copy(PROGRAMS / "drives.com", tmp_path)
    drive = f"{kind}={tmp_path / 'disk.img'}"
    with Machine(program, args=[letter], dos_root=tmp_path, drive=drive, cpu=cpu) as machine:
        assert report(machine, tmp_path) == [REPORT[0].format(cluster), *REPORT[1:]]
    assert (tmp_path / "disk.img").read_bytes() == data  # a copy was written to


def test_the_second_hard_disk_is_e(tmp_path: Path) -> None:
    for name, data in (("none.img", bytes(SECTOR)), ("d.img", SMALL), ("e.img", LARGE)):
        (tmp_path / name).write_bytes(data)
    program = shutil.copy(PROGRAMS / "drives.com", tmp_path)
    drives = [f"hd={tmp_path / name}" for name in ("d.img", "e.img")]
    with Machine(program, args=["e"], dos_root=tmp_path, drive=drives) as machine:
        assert machine.pc is not None
        assert machine.pc.cpu.ds < 0x200  # small programs take it for a number below that
        assert report(machine, tmp_path)[0] == REPORT[0].format(1)
    # One without a FAT has no letter.
    drives[0] = f"hd={tmp_path / 'none.img'}"
    with Machine(program, args=["d"], dos_root=tmp_path, drive=drives) as machine:
        assert report(machine, tmp_path)[0] == REPORT[0].format(1)


def test_a_state_of_any_moment_has_the_drive(tmp_path: Path) -> None:
    (tmp_path / "d.img").write_bytes(LARGE)
    program = Path(shutil.copy(PROGRAMS / "drives.com", tmp_path))
    options = {"args": ["d"], "dos_root": tmp_path, "drive": f"hd={tmp_path / 'd.img'}"}
    states = 0
    with Machine(str(program), **options) as machine:
        while machine.runner.exit_code is None:
            machine.save_state(tmp_path / f"{states}.npz")
            states += 1
            machine.tick(1)
    whole = (tmp_path / "out.txt").read_bytes()
    for nth in (states // 2, states - 1):
        with Machine(str(program), **options) as machine:
            machine.load_state(tmp_path / f"{nth}.npz")
            report(machine, tmp_path)
            assert (tmp_path / "out.txt").read_bytes() == whole


def test_writable_disks_are_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d.img").write_bytes(FLOPPY)
    program = shutil.copy(PROGRAMS / "creates.com", tmp_path)
    command = ["run", program, "--headless", "--frames", "40", "--writable"]
    assert main([*command, "--dos-root", str(tmp_path)]) == 2
    assert "--writable: only for disk images" in capsys.readouterr().err
    guest = Guest(tmp_path, [image(tmp_path / "d.img", FLOPPY, writable=True)])
    guest(0x40, data=b"x" * 3000, bx=guest(0x3C, "A:NEW.DAT"))
    assert fat_disks.files_of((tmp_path / "d.img").read_bytes()) == {"NEW.DAT": b"x" * 3000}
    drive = f"fd={tmp_path / 'd.img'}"
    assert main([*command, "--dos-root", str(tmp_path), "--drive", drive]) == 0


# --- calls on a board of their own ----------------------------------------------------------------


def image(path: Path, data: bytes, *, writable: bool = False) -> DiskImage:
    """A disk as `--drive` reads it."""
    is_hard_disk = len(data) > 2880 << 10 or data[21] == 0xF8
    shape = hard_disk_shape(bytearray(data)) if is_hard_disk else (80, 2, 9)
    return DiskImage(path, bytearray(data), *shape, is_hard_disk, writable)


BUFFER, OTHER = 0x20000, 0x30000


class Guest:
    """A program that only calls INT 21h."""

    def __init__(self, root: Path, disks: list[DiskImage]) -> None:
        self.board: Board = make_board()
        bios = Bios(self.board, None)
        program = DosProgram(Path("p.com"), b"\xc3", [])
        self.disks, self.calls = disks, bios.calls
        self.dos = Dos(self.board, bios, program, root, disks=disks)
        self.board.cpu.set("ss", 0)

    def __call__(self, ah: int, name: str = "", new: str = "", data: bytes = b"", **registers: int):
        """AX, or the error below 0; `name` or `data` lie at DS:DX, `new` at ES:DI."""
        self.calls.new_slice()
        bus, cpu = self.board.bus, self.board.cpu
        bus.write(BUFFER, name.encode("cp437") + b"\0" if name else data)
        bus.write(OTHER, new.encode("cp437") + b"\0")
        registers = {
            "al": 0, "ds": BUFFER >> 4, "dx": 0, "cx": len(data), "es": OTHER >> 4, "di": 0,
        } | registers  # fmt: skip
        failed = ask(self.board, self.calls, 0x21, ah=ah, **registers) & CARRY
        return -cpu.ax if failed else cpu.ax

    def read(self, handle: int, count: int) -> bytes:
        return self.board.bus.read(BUFFER, self(0x3F, bx=handle, cx=count))

    def found(self, pattern: str, attributes: int = 0) -> list[str]:
        """Names that a search finds."""
        names, call = [], 0x4E
        while self(call, pattern, cx=attributes) == 0:
            names.append(self.board.bus.read(self.dos.search.dta + 30, 13).partition(b"\0")[0])
            call = 0x4F
        return [name.decode("cp437") for name in names]


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    made = Guest(tmp_path, [image(Path("a"), FLOPPY), image(Path("d"), SMALL)])
    yield made
    made.dos.close()


def test_drives_and_their_folders(guest: Guest) -> None:
    cpu = guest.board.cpu
    assert guest(0x3B, "D:\\NONE") == -NO_PATH
    for name in ("D:\\ONE", "D:\\ONE\\TWO", "A:three"):
        assert guest(0x39, name) >= 0
    assert guest(0x3B, "D:one\\two") >= 0
    for drive, shown in ((0, b"\0"), (4, b"ONE\\TWO\0"), (1, b"\0"), (3, b"\0")):
        assert guest(0x47, dx=drive, si=0x100) == 0x0100
        assert guest.board.bus.read(BUFFER + 0x100, len(shown)) == shown
    assert guest(0x47, dx=2) == -BAD_DRIVE  # a second floppy
    at = area.directories_at(guest.board.bus) + 3 * area.DIRECTORY_BYTES
    assert guest.board.bus.read(at, 11) == b"D:\\ONE\\TWO\0"
    guest(0x0E, dx=3)
    assert cpu.al == 4
    guest(0x19)
    assert cpu.al == 3
    assert guest(0x3C, "HERE.TXT") >= 0
    guest(0x0E, dx=1)
    guest(0x19)
    assert cpu.al == 3  # there is none
    guest(0x0E, dx=2)
    assert guest.found("D:*.*") == ["HERE.TXT"]
    assert guest.found("D:\\*.*", FOLDER) == ["ONE"]
    assert guest.found("d:\\one\\*.*", FOLDER) == [".", "..", "TWO"]
    assert guest(0x3A, "D:\\ONE\\TWO") == -CURRENT_FOLDER
    assert guest(0x3B, "D:\\") >= 0
    assert guest(0x3A, "D:\\ONE") == -DENIED  # not empty
    assert guest(0x41, "D:\\ONE\\TWO\\HERE.TXT") == -DENIED  # open
    assert guest(0x4E, "B:*.*") == -NO_PATH


def test_names_of_a_disk(guest: Guest) -> None:
    assert guest(0x3C, "A:\\a long name.text") == -NO_PATH
    handle = guest(0x3C, "A:\\readme.text")  # cut off
    guest(0x3E, bx=handle)
    guest(0x3E, bx=guest(0x3C, "A:\\\xe5\xe4.x"))
    assert guest.found("A:*.*") == ["README.TEX", "ÅÄ.X"]
    assert guest(0x5B, "A:README.TEX") == -EXISTS
    assert guest(0x56, "A:README.TEX", "A:README.TEX") == -DENIED
    assert guest(0x56, "A:README.TEX", "A:åä.X") == -DENIED
    assert guest(0x56, "A:README.TEX", "D:README.TEX") == -OTHER_DRIVE
    assert guest(0x39, "A:SUB") >= 0
    assert guest(0x56, "A:README.TEX", "A:SUB\\R") >= 0
    assert guest(0x56, "A:SUB", "A:DIR") >= 0
    assert guest(0x3D, "A:SUB\\R") == -NO_PATH
    assert guest(0x3D, "A:DIR") == -DENIED
    assert guest(0x3D, "A:DIR\\R") >= 0
    assert guest(0x3D, "A:NONE") == -NO_FILE
    assert guest(0x41, "A:DIR") == -DENIED
    assert guest(0x43, "A:DIR\\R", al=1, cx=HIDDEN | READ_ONLY) >= 0
    assert guest.found("A:DIR\\*.*") == []
    assert guest.found("A:DIR\\*.*", HIDDEN) == ["R"]
    assert guest(0x3D, "A:DIR\\R", al=1) == -DENIED
    assert guest(0x4E, "A:*.*", cx=VOLUME_LABEL) == -NO_MORE_FILES


def test_a_disk_has_a_label_and_names_of_newer_systems(tmp_path: Path) -> None:
    data = bytearray(fat_disks.disk(720, label=b"MY DISK"))
    shape = fat_disks.Shape(720, 1, 112)
    long = b"A" + "long".encode("utf-16-le").ljust(10, b"\xff") + b"\x0f" + bytes(20)
    at = (shape.root * SECTOR) + 32
    data[at : at + 64] = long + b"LONG    TXT \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    guest = Guest(tmp_path, [image(Path("a"), bytes(data))])
    assert guest.found("A:*.*", VOLUME_LABEL) == ["MY DISK"]
    assert guest.found("A:*.*") == ["LONG.TXT"]
    assert guest(0x69, bl=1) >= 0
    assert guest.board.bus.read(BUFFER + 2, 15) == b"\x78\x56\x34\x12MY DISK    "


def test_a_full_disk_takes_fewer_bytes(guest: Guest) -> None:
    cpu, handle = guest.board.cpu, guest(0x3C, "A:FULL")
    guest(0x36, dx=1)
    free, cluster = cpu.bx, cpu.ax * cpu.cx
    written = 0
    while (count := guest(0x40, data=b"y" * 50_000, bx=handle)) == 50_000:
        written += count
    assert written + count == free * cluster
    assert guest(0x40, data=b"more", bx=handle) == 0
    assert guest(0x39, "A:SUB") == -DENIED
    assert guest(0x42, bx=handle, cx=0, dx=100) == 100
    assert guest(0x40, bx=handle) == 0  # cut off there
    guest(0x36, dx=1)
    assert cpu.bx == free - 1
    assert fat_disks.files_of(bytes(guest.disks[0].data)) == {"FULL": b"y" * 100}
    # The root has room for so many.
    made = [guest(0x3E, bx=guest(0x3C, f"A:{i}")) for i in range(112)]
    assert guest(0x3C, "A:MORE") == -DENIED
    assert len(made) == 112


def test_what_else_writes_to_a_disk_is_seen(guest: Guest) -> None:
    disk, cpu = guest.disks[0], guest.board.cpu
    before = bytes(disk.data)
    guest(0x40, data=b"text", bx=(handle := guest(0x3C, "A:A.TXT")))
    guest(0x3E, bx=handle)
    moment = disk.moment()
    disk.write(0, before)  # as INT 13h does
    assert guest(0x3D, "A:A.TXT") == -NO_FILE
    disk.go_back(moment)
    assert guest.read(guest(0x3D, "A:A.TXT"), 9) == b"text"
    # INT 25h and 26h: the whole disk is moved by sectors of the other.
    for vector, there in ((0x25, b"text"), (0x26, b"TEXT")):
        cpu.al, cpu.cx, cpu.dx, cpu.bx = 0, 4, fat_disks.Shape(1440, 2, 112).data, 0
        cpu.set("ds", BUFFER >> 4)
        if vector == 0x26:
            guest.board.bus.write(BUFFER, there)
        cpu.sp = 0x7000
        cpu.set_stack_word(0, 0)
        guest.dos._called(vector)
        assert cpu.stack_word(0) == 0
        assert guest.board.bus.read(BUFFER, 4) == there
    assert guest.read(guest(0x3D, "A:A.TXT"), 9) == b"TEXT"
    # What is no disk of DOS's any more is none.
    disk.write(0, bytes(SECTOR))
    assert guest(0x3D, "A:A.TXT") == -DENIED
    guest(0x59)
    assert cpu.ax == 31  # general failure


# --- any calls ------------------------------------------------------------------------------------


class Model:
    """Files as they have to be, and random calls that make them so."""

    def __init__(self, numbers: random.Random, guest: Guest, drive: str) -> None:
        self.random, self.guest, self.drive = numbers, guest, drive
        self.files: dict[str, bytearray] = {}
        self.folders = [""]
        self.handles: dict[int, tuple[str, int]] = {}

    def _name(self) -> str:
        return self.random.choice(self.folders) + self.random.choice("ABCDEFGH") + ".X"

    def _said(self, name: str) -> str:
        return f"{self.drive}:\\" + name.replace("/", "\\")

    def _is_open(self, name: str) -> bool:
        return any(one == name for one, _ in self.handles.values())

    def create(self) -> None:
        name = self._name()
        if len(self.handles) < 8 and not self._is_open(name):
            handle = self.guest(0x3C, self._said(name), cx=0)
            if handle < 0:
                assert handle == -DENIED  # the root is full
                return
            self.files[name] = bytearray()
            self.handles[handle] = name, 0

    def close(self) -> None:
        if self.handles:
            handle = self.random.choice([*self.handles])
            assert self.guest(0x3E, bx=handle) >= 0
            del self.handles[handle]

    def write(self) -> None:
        if not self.handles:
            return
        handle = self.random.choice([*self.handles])
        name, place = self.handles[handle]
        file = self.files[name]
        if self.random.random() < 0.4:
            place = self.random.randrange(len(file) + 1)
            self.guest(0x42, bx=handle, cx=place >> 16, dx=place & 0xFFFF)
        data = self.random.randbytes(self.random.choice((0, 1, 511, 512, 513, 5000, 20000)))
        count = self.guest(0x40, data=data, bx=handle)
        if not data:
            del file[place:]
        assert 0 <= count <= len(data)
        file[place : place + count] = data[:count]
        self.handles[handle] = name, place + count

    def read(self) -> None:
        if not self.files:
            return
        name = self.random.choice([*self.files])
        handle = self.guest(0x3D, self._said(name))
        if handle > 0:
            assert self.guest.read(handle, 0xFFFF) == self.files[name][:0xFFFF]
            self.guest(0x3E, bx=handle)

    def delete(self) -> None:
        if self.files:
            name = self.random.choice([*self.files])
            refused = self._is_open(name)
            assert (self.guest(0x41, self._said(name)) < 0) == refused
            if not refused:
                del self.files[name]

    def rename(self) -> None:
        if self.files:
            name, new = self.random.choice([*self.files]), self._name()
            done = self.guest(0x56, self._said(name), self._said(new)) >= 0
            if done:
                assert not self._is_open(name)
                assert new not in self.files
                self.files[new] = self.files.pop(name)

    def make_folder(self) -> None:
        above, letter = self.random.choice(self.folders), self.random.choice("PQRS")
        name = f"{above}{letter}"
        if len(self.folders) < 8 and self.guest(0x39, self._said(name)) >= 0:
            self.folders.append(f"{name}/")

    def remove_folder(self) -> None:
        name = self.random.choice(self.folders)
        inside = [one for one in (*self.files, *self.folders) if one.startswith(name)]
        if name and self.guest(0x3A, self._said(name[:-1])) >= 0:
            assert inside == [name]
            self.folders.remove(name)

    def go_on(self, count: int) -> None:
        steps: list[Callable[[], None]] = [
            self.create, self.close, self.write, self.write, self.write, self.read, self.delete,
            self.rename, self.make_folder, self.remove_folder,
        ]  # fmt: skip
        for _ in range(count):
            self.random.choice(steps)()


@pytest.mark.turns(4)
@pytest.mark.parametrize("seed", range(8))
def test_any_calls_leave_a_whole_disk(tmp_path: Path, seed: int) -> None:
    data = fat_disks.disk(400, 1, 16) if seed % 2 else LARGE
    guest = Guest(tmp_path, [image(Path("a"), data)])
    model = Model(random.Random(seed), guest, "A" if seed % 2 else "D")
    for _ in range(4):
        model.go_on(60)
        found = fat_disks.files_of(bytes(guest.disks[0].data))
        expected = {name: bytes(file) for name, file in model.files.items()}
        assert found == expected | {name: b"" for name in model.folders if name}
    if shutil.which("fsck.fat"):
        (tmp_path / "disk").write_bytes(guest.disks[0].data)
        command = ["fsck.fat", "-n", tmp_path / "disk"]
        subprocess.run(command, check=True, timeout=20, capture_output=True)


def test_a_state_is_of_the_same_drives(tmp_path: Path) -> None:
    guests = [Guest(tmp_path, [image(Path("d"), SMALL)]) for _ in range(2)]
    assert guests[0](0x39, "D:SUB") >= 0
    assert guests[0](0x3B, "D:SUB") >= 0
    handle = guests[0](0x3C, "D:A.TXT")
    guests[0](0x40, data=b"text", bx=handle)
    arrays = snapshot.take(guests[0].dos.parts())
    assert snapshot.misfit(guests[1].dos.parts(), arrays) is None
    snapshot.restore(guests[1].dos.parts(), arrays)
    assert guests[1].dos.drives.volumes[3].current == "D:/SUB"
    rows = snapshot.parsed(arrays["dos.files"])
    assert [row[:2] + row[3:4] for row in rows] == [[3, "D:/SUB/A.TXT", 4]]
    with guests[1].dos.handles.reopened(rows):
        pass  # before there is such a file
    guests[1].board.bus.write(0, guests[0].board.bus.read(0, 0xA0000))
    guests[1].disks[0].write(0, bytes(guests[0].disks[0].data))
    assert guests[1](0x40, data=b", more", bx=handle) == 6
    assert guests[1](0x42, al=2, bx=handle, cx=0) == 10
    other = Guest(tmp_path, [])
    assert snapshot.misfit(other.dos.parts(), arrays) == "dos.folders"


def test_new_files_have_what_they_are_given(guest: Guest) -> None:
    cpu = guest.board.cpu
    guest(0x3E, bx=guest(0x3C, "A:X", cx=READ_ONLY | HIDDEN))
    guest(0x43, "A:X")
    assert cpu.cx == READ_ONLY | HIDDEN | ARCHIVE
    assert guest(0x3C, "A:X") == -DENIED
    guest(0x43, "A:X", al=1, cx=HIDDEN)
    assert guest(0x3C, "A:X") == -DENIED  # it is hidden, the new one would not be
    assert guest(0x3C, "A:X", cx=HIDDEN) >= 0
