"""DOS: files below one folder and nowhere else, memory, console."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from x86_helpers import CPUS, call, make_pc

from vgaemu.guest.x86.dos import PREFIX, DosError, DosFiles
from vgaemu.guest.x86.pc import Pc
from vgaemu.machine import Machine

pytest.importorskip("unicorn")
CARRY = 1
DATA = 0x2000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "Hello.txt").write_text("hello")
    (folder / "sub" / "deep.txt").write_text("deep")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "rootless").mkdir()
    (tmp_path / "rootless" / "x.txt").write_text("x")
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "outdir").symlink_to(tmp_path)
    (folder / "in.txt").symlink_to(folder / "Hello.txt")
    (folder / "self").symlink_to(folder / "self")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def pc(tmp_path: Path, root: Path) -> Iterator[Pc]:
    program = tmp_path / "p.com"
    program.write_bytes(b"\xc3")
    with make_pc(program, "a", "b c", dos_root=root) as made:
        yield made


def open_file(pc: Pc, name: str, call_number: int = 0x3D, access: int = 0) -> int | None:
    pc.bus.write(DATA << 4, name.encode("cp437") + b"\0")
    flags = call(pc, 0x21, ah=call_number, al=access, ds=DATA, dx=0, cx=0)
    return None if flags & CARRY else pc.cpu.ax


def test_open_read_seek_close(pc: Pc) -> None:
    handle = open_file(pc, "C:\\HELLO.TXT")
    assert handle == 5
    call(pc, 0x21, ah=0x3F, bx=handle, cx=100, ds=DATA, dx=0x100)
    assert (pc.cpu.ax, pc.bus.read((DATA << 4) + 0x100, 5)) == (5, b"hello")
    call(pc, 0x21, ax=0x4202, bx=handle, cx=0xFFFF, dx=0xFFFE)
    assert pc.cpu.ax == 3
    call(pc, 0x21, ah=0x3F, bx=handle, cx=100, ds=DATA, dx=0x100)
    assert pc.cpu.ax == 2
    assert not call(pc, 0x21, ah=0x3E, bx=handle) & CARRY
    assert call(pc, 0x21, ah=0x3E, bx=handle) & CARRY
    assert open_file(pc, "sub\\deep.txt") == 5
    assert open_file(pc, "in.txt") == 6


@pytest.mark.parametrize(
    "name",
    [
        "..\\secret.txt", "../secret.txt", "sub\\..\\..\\secret.txt", "out.txt", "OUT.TXT",
        "outdir\\secret.txt", "outdir\\root\\Hello.txt\\..\\..\\secret.txt", "/etc/passwd",
        "C:/etc/passwd", "\\..\\rootless\\x.txt", "D:\\hello.txt", "self", "self\\x", "pipe", "sub",
        "", "outdir", ".", "..",
    ],
)  # fmt: skip
@pytest.mark.parametrize("call_number", [0x3D, 0x3C])
def test_nothing_outside_opens(pc: Pc, root: Path, name: str, call_number: int) -> None:
    before = {path: path.stat().st_size for path in root.parent.rglob("*") if path.is_file()}
    handle = open_file(pc, name, call_number)
    if handle is not None:  # a new file of a harmless name, inside
        assert os.path.realpath(f"/proc/self/fd/{pc.dos._handles[handle]}").startswith(f"{root}/")  # type: ignore[union-attr]
    after = {path: path.stat().st_size for path in before}
    assert after == before


def test_a_name_inside_an_outward_link_is_refused(root: Path) -> None:
    files = DosFiles(root)
    for name in ("out.txt", "outdir/secret.txt", "outdir/new.txt"):
        with pytest.raises(DosError):
            files.resolve(name, must_exist=False)
    assert files.resolve("new.txt", must_exist=False) == root / "new.txt"
    with pytest.raises(DosError):
        DosFiles(None).resolve("hello.txt")


def test_create_and_write(pc: Pc, root: Path) -> None:
    handle = open_file(pc, "NEW.TXT", 0x3C)
    assert handle == 5
    pc.bus.write((DATA << 4) + 0x100, b"written")
    call(pc, 0x21, ah=0x40, bx=handle, cx=7, ds=DATA, dx=0x100)
    assert pc.cpu.ax == 7
    call(pc, 0x21, ah=0x3E, bx=handle)
    assert (root / "new.txt").read_bytes() == b"written"


def test_handles_run_out(pc: Pc) -> None:
    assert [open_file(pc, "hello.txt") for _ in range(17)] == [*range(5, 20), None, None]
    assert pc.cpu.ax == 4


def test_find_first_and_next(pc: Pc) -> None:
    pc.bus.write(DATA << 4, b"*.TXT\0")
    found = []
    call(pc, 0x21, ah=0x1A, ds=DATA, dx=0x80)
    flags = call(pc, 0x21, ah=0x4E, ds=DATA, dx=0, cx=0)
    while not flags & CARRY:
        found.append(pc.bus.read((DATA << 4) + 0x80 + 0x1E, 13).partition(b"\0")[0])
        flags = call(pc, 0x21, ah=0x4F)
    assert found == [b"HELLO.TXT"]  # links are not listed


def test_memory_blocks(pc: Pc) -> None:
    assert call(pc, 0x21, ah=0x48, bx=1) & CARRY  # the program has it all
    assert not call(pc, 0x21, ah=0x4A, bx=0x1000, es=PREFIX) & CARRY
    assert not call(pc, 0x21, ah=0x48, bx=0x100) & CARRY
    first = pc.cpu.ax
    assert not call(pc, 0x21, ah=0x48, bx=0x100) & CARRY
    second = pc.cpu.ax
    assert first >= PREFIX + 0x1000
    assert second >= first + 0x100
    assert not call(pc, 0x21, ah=0x49, es=first) & CARRY
    assert call(pc, 0x21, ah=0x49, es=first) & CARRY
    assert call(pc, 0x21, ah=0x48, bx=0xFFFF) & CARRY
    assert 0x5000 < pc.cpu.bx < 0xA000


def test_prefix_and_vectors(pc: Pc) -> None:
    at = PREFIX << 4
    assert pc.bus.read(at, 2) == b"\xcd\x20"
    assert pc.bus.read(at + 0x80, 8) == b"\x06 a b c\r"
    call(pc, 0x21, ax=0x2577, ds=0x1234, dx=0x5678)
    call(pc, 0x21, ax=0x3577)
    assert (pc.cpu.es, pc.cpu.bx) == (0x1234, 0x5678)
    call(pc, 0x21, ah=0x30)
    assert pc.cpu.al == 5
    assert call(pc, 0x21, ah=0x4B) & CARRY


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("ending", ["C3", "CD 20", "B4 4C B0 00 CD 21", "B4 00 CD 21"])
def test_programs_end_and_nothing_runs_after(tmp_path: Path, cpu: str, ending: str) -> None:
    # print "A"; end; and what must not run: print "B" for ever
    program = bytes.fromhex("B4 02 B2 41 CD 21" + ending + "B4 02 B2 42 CD 21 EB F8")
    path = tmp_path / "p.com"
    path.write_bytes(program)
    with Machine(str(path), cpu=cpu) as machine:
        assert not machine.tick(30)
        assert machine.screen.text()[0].rstrip() == "A"


def test_line_input_waits_and_edits(tmp_path: Path) -> None:
    # mov ah, 0Ah; mov dx, 200h; mov byte [200h], 20; int 21h; int 20h
    path = tmp_path / "p.com"
    path.write_bytes(bytes.fromhex("C6 06 00 02 14 B4 0A BA 00 02 CD 21 CD 20"))
    with Machine(str(path)) as machine:
        assert machine.pc is not None
        machine.tick(5)
        for key in ("a", "b", "backspace", "C"):
            machine.keys.press(key)
            assert machine.tick(5)
        machine.keys.press("enter")
        assert not machine.tick(10)
        assert machine.pc.bus.read((PREFIX << 4) + 0x200, 5) == b"\x14\x02aC\r"
