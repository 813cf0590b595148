"""Several drives: floppies A and B, hard disks 80h and 81h and a CD beside what is run."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from test_x86_disks import make_iso
from x86_helpers import CPUS, boot_sector, call, make_pc

from vgaemu import Machine
from vgaemu.cli.main import main
from vgaemu.errors import ImageError, StateError
from vgaemu.pc.disks import read_said
from vgaemu.pc.pc import Pc

QEMU = "qemu-system-i386"
CARRY, SECTOR = 1, 512
HEADS, TRACK = 16, 63
CALLS = (Path(__file__).parent / "programs" / "calls.bin").read_bytes()


def marked(sectors: int, mark: int, start: bytes = b"") -> bytes:
    """A disk whose sectors from 8 on say which they are, and of what disk."""
    disk = bytearray(start.ljust(sectors * SECTOR, b"\0"))
    for at in range(8, sectors):
        disk[at * SECTOR : at * SECTOR + 4] = at.to_bytes(3, "little") + bytes((mark,))
    return bytes(disk)


def write_disks(folder: Path, start: bytes = b"") -> list[str]:
    """Five disks in files; what `drive` is for all but the first, a floppy."""
    (folder / "a.img").write_bytes(marked(2880, 0xA, start or boot_sector(b"\xf4")))
    (folder / "b.img").write_bytes(marked(1440, 0xB))
    (folder / "c.img").write_bytes(marked(20 * HEADS * TRACK, 0xC))
    (folder / "d.img").write_bytes(marked(30 * HEADS * TRACK, 0xD))
    make_iso(folder / "e.iso", marked(64, 0xE))
    return [f"{kind}={folder / name}" for kind, name in (
        ("fd", "b.img"), ("hd", "c.img"), ("hd", "d.img"), ("cd", "e.iso"),
    )]  # fmt: skip


def read_sector(pc: Pc, drive: int, sector: int) -> bytes:
    """The first four bytes of a sector on the first track, by INT 13h/02h."""
    flags = call(pc, 0x13, ax=0x0201, cx=sector + 1, dx=drive, es=0x2000, bx=0)
    assert not flags & CARRY
    return pc.bus.read(0x20000, 4)


def test_each_drive_is_a_disk_of_its_own(tmp_path: Path) -> None:
    with make_pc(tmp_path / "a.img", drive=write_disks(tmp_path)) as pc:
        for drive, mark in ((0, 0xA), (1, 0xB), (0x80, 0xC), (0x81, 0xD)):
            assert read_sector(pc, drive, 8) == bytes((8, 0, 0, mark))
        pc.bus.write(0x9000, struct.pack("<BBHHHQ", 16, 0, 1, 0x8000, 0, 22))
        assert not call(pc, 0x13, ax=0x4200, dx=0xE0, ds=0x900, si=0) & CARRY
        assert pc.bus.read(0x8000, 4) == bytes((8, 0, 0, 0xE))
        # What the machine says of itself: 2 floppies, 2 hard disks.
        call(pc, 0x11)
        assert pc.cpu.ax & 0xC1 == 0x41
        assert pc.bus.read8(0x475) == 2
        for drive, count, shape in ((0, 2, 0x4F12), (1, 2, 0x4F09), (0x80, 2, 0x133F),
                                    (0x81, 2, 0x1D3F)):  # fmt: skip
            assert not call(pc, 0x13, ah=8, dx=drive) & CARRY
            assert (pc.cpu.dl, pc.cpu.cx) == (count, shape), hex(drive)
        for drive in (2, 0x82):
            assert call(pc, 0x13, ah=8, dx=drive) & CARRY
        for vector, cylinders in ((0x41, 20), (0x46, 30)):
            assert pc.bus.read16(pc.bios.calls.get_vector(vector)[1] + 0xF0000) == cylinders
        cmos = pc.board.cmos.ram
        assert (cmos[0x10], cmos[0x14] & 0xC1, cmos[0x12]) == (0x43, 0x41, 0xFF)
        assert (cmos[0x19], cmos[0x1A], cmos[0x1B], cmos[0x24]) == (47, 47, 20, 30)
        assert int.from_bytes(cmos[0x2E:0x30], "big") == sum(cmos[0x10:0x2E]) & 0xFFFF


def test_master_slave_and_cd_are_on_their_cables(tmp_path: Path) -> None:
    with make_pc(tmp_path / "a.img", drive=write_disks(tmp_path)) as pc:
        words = []
        for device in (0xA0, 0xB0):
            pc.bus.port_out(0x1F6, 1, device)
            pc.bus.port_out(0x1F7, 1, 0xEC)
            pc.clock.cost(10**7)
            assert pc.bus.port_in(0x1F7, 1) == 0x58
            words.append([pc.bus.port_in(0x1F0, 2) for _ in range(256)])
        assert [word[60] for word in words] == [20 * HEADS * TRACK, 30 * HEADS * TRACK]
        assert [word[10] for word in words] == [0x3120, 0x3220]  # serial numbers 1 and 2
        assert [pc.bus.port_in(at, 1) for at in (0x174, 0x175)] == [0x14, 0xEB]


def test_what_is_run_comes_first_of_its_kind(tmp_path: Path) -> None:
    drives = write_disks(tmp_path, boot_sector(b"\xf4"))
    (tmp_path / "c.img").write_bytes(marked(20 * HEADS * TRACK, 0xC, boot_sector(b"\xf4")))
    (tmp_path / "prog.com").write_bytes(b"\xcd\x20")
    with make_pc(tmp_path / "c.img", drive=[drives[2], drives[0]]) as pc:
        assert [read_sector(pc, drive, 8)[3] for drive in (0x80, 0x81, 0)] == [0xC, 0xD, 0xB]
    with make_pc(tmp_path / "prog.com", drive=drives[:2]) as pc:
        assert [read_sector(pc, drive, 8)[3] for drive in (0x80, 0)] == [0xC, 0xB]
        call(pc, 0x13, ax=0x0301, cx=9, dx=0x80, es=0x2000, bx=0)
        assert "disk2.sectors" in pc.state_arrays()
    with make_pc(tmp_path / "a.img", drive=drives[1]) as pc:  # a bare floppy is 80h no longer
        assert read_sector(pc, 0x80, 9)[3] == 0xC


def written(pc: Pc) -> list[bytes]:
    return [read_sector(pc, drive, 8) for drive in (0, 1, 0x80, 0x81)]


def write_all(pc: Pc, data: bytes) -> None:
    pc.bus.write(0x30000, data)
    for drive in (0, 1, 0x80, 0x81):
        assert not call(pc, 0x13, ax=0x0301, cx=9, dx=drive, es=0x3000, bx=0) & CARRY


def test_states_and_snapshots_have_all_of_them(tmp_path: Path) -> None:
    drives, state = write_disks(tmp_path), tmp_path / "s.npz"
    before = {path: path.read_bytes() for path in tmp_path.glob("*.i*")}
    with Machine(tmp_path / "a.img", drive=drives, vram_mib=1) as machine:
        pc = machine.pc
        assert pc is not None
        write_all(pc, b"one ")
        moment = machine.snapshot()
        machine.save_state(state)
        write_all(pc, b"two ")
        assert written(pc) == [b"two "] * 4
        machine.restore(moment)
        assert written(pc) == [b"one "] * 4
        kept = tmp_path / "kept.npz"
        machine.save_state(kept)
    for one in (state, kept):
        with Machine(tmp_path / "a.img", drive=drives, vram_mib=1) as machine:
            machine.load_state(one)
            assert machine.pc is not None
            assert written(machine.pc) == [b"one "] * 4
    assert {path: path.read_bytes() for path in before} == before
    for others, words in (
        (None, "with --drive fd=b.img --drive hd=c.img .* and this machine has no --drive"),
        (drives[:2], "and this machine has --drive fd=b.img --drive hd=c.img"),
    ):
        with (
            Machine(tmp_path / "a.img", drive=others, vram_mib=1) as machine,
            pytest.raises(StateError, match=words),
        ):
            machine.load_state(state)
    (tmp_path / "b.img").write_bytes(bytes(737280))
    with (
        Machine(tmp_path / "a.img", drive=drives, vram_mib=1) as machine,
        pytest.raises(StateError, match=r"with other contents of --drive fd=b\.img"),
    ):
        machine.load_state(state)


def test_writes_reach_files_that_may_be_written(tmp_path: Path) -> None:
    drives = write_disks(tmp_path)
    with Machine(tmp_path / "a.img", drive=drives, vram_mib=1, writable=True) as machine:
        assert machine.pc is not None
        write_all(machine.pc, b"new ".ljust(SECTOR, b"."))
    for name in ("b.img", "c.img", "d.img"):
        assert (tmp_path / name).read_bytes()[8 * SECTOR :].startswith(b"new ."), name


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("b.img", "--drive b.img: say fd, hd or cd of the image, fd=FILE, hd=FILE"),
        ("fd=", "--drive fd=: say fd, hd or cd"),
        (["fd", "hd"], "--drive fd, --drive hd: say once"),
        ("fd=none.img", "--drive fd=.*none.img: .*"),
        (["fd=b.img", "fd=c.img"], "--drive fd=.*c.img: 2 floppies at most, and a.img and b.img"),
        (["hd=b.img"] * 3, "2 hard disks at most, and b.img and b.img are there"),
        ("fd=big.img", "--drive fd=.*big.img: 3000000 bytes is more than a floppy"),
        ("cd=b.img", "--drive cd=.*b.img: no ISO image"),
        ("hd=empty.img", "--drive hd=.*empty.img: the file is empty"),
        ("hd=.", "--drive hd=.*: not a file; name a disk image"),
    ],
)
def test_what_cannot_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | Sequence[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.img").write_bytes(boot_sector(b"\xf4"))
    for name, size in (("b.img", 737280), ("c.img", 4096), ("big.img", 3000000), ("empty.img", 0)):
        Path(name).write_bytes(bytes(size))
    with pytest.raises(ImageError, match=words) as caught:
        Machine("a.img", drive=said)
    assert "\n" not in str(caught.value)


def test_the_command_line_says_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_disks(tmp_path)
    (tmp_path / "prog.com").write_bytes(b"\xcd\x20")
    ends = ["--headless", "--frames", "1"]
    # Of the same file twice each write would reach both.
    for args, words in (
        (["a.img", "--drive", "xd=b.img"], "--drive xd=b.img: say fd, hd or cd"),
        (["prog.com", "--drive", "hd"], "--drive hd: prog.com is no disk image; --drive hd=FILE"),
        (["a.img", "--drive", "fd=a.img", "--writable"], "--drive fd=a.img: in another drive, too"),
    ):
        assert main(["run", *args, *ends]) == 2
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
    assert main(["run", "a.img", "--drive", "fd", "--drive", "hd=c.img", *ends]) == 0
    assert read_said(None) == (None, ())


@pytest.mark.parametrize("runs", ["prog.com", "bzimage"])
def test_disks_beside_a_program_or_a_kernel_may_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], runs: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_disks(tmp_path)
    Path("bzimage").write_bytes((Path(__file__).parent / "kernels" / "bzimage").read_bytes())
    # mov ax, 0301h; mov bx, 100h; mov cx, 9; mov dx, 80h; int 13h; int 20h
    writes = bytes.fromhex("B80103 BB0001 B90900 BA8000 CD13 CD20")
    Path("prog.com").write_bytes(writes)
    ends = ["--headless", "--frames", "3"]
    assert main(["run", runs, "--writable", "--drive", "hd=c.img", *ends]) == 0
    was_written = Path("c.img").read_bytes()[8 * SECTOR :].startswith(writes)
    assert was_written == (runs == "prog.com")
    capsys.readouterr()
    assert main(["run", runs, "--writable", *ends]) == 2
    assert capsys.readouterr().err == "vgaemu: --writable: only for disk images; leave it out\n"


@pytest.mark.parametrize(
    "options", [["--drive", "hd=it"], ["--drive", "fd=b.img", "--initrd", "b.img,it words"]]
)
def test_no_output_is_written_over_a_disk(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_disks(tmp_path)
    Path("it").write_bytes(bytes(4096))
    assert main(["run", "a.img", *options, "--headless", "--frames", "1", "--printer", "it"]) == 2
    assert "--printer it: it is the same file; name another" in capsys.readouterr().err
    assert Path("it").stat().st_size == 4096


def record(ax: int, drive: int, **words: int) -> bytes:
    """A call of `calls.asm`'s table."""
    names = {"bx": 0, "cx": 1, "dx": drive, "si": 0, "di": 0, "es": 0x2000, "at": 0, "count": 0}
    vector = words.pop("vector", 0x13)
    return struct.pack("<10H", vector, ax, *(names | words).values())


def drive_calls() -> bytes:
    calls = [record(0, 0, at=0x475, count=1)]
    for drive in (0, 1, 2, 0x80, 0x81, 0x82):
        calls += [record(ax, drive) for ax in (0x0000, 0x0100, 0x0201, 0x1600)]
        calls += [record(0x0201, drive, cx=9, at=0x9000, count=0)]
        if drive & 0x80:
            calls += [record(0x4100, drive, bx=0x55AA), record(0x1000, drive)]
        else:
            calls += [record(ax, drive) for ax in (0x0800, 0x1500)]
    return b"".join(calls) + b"\xff\xff"


def run_calls(machine: Machine) -> list[str]:
    machine.tick(1000 if machine.pc is not None and machine.pc.cpu.name == "kvm" else 60)
    assert machine.ended
    return machine.debugcon.splitlines()


@pytest.mark.parametrize("cpu", CPUS)
def test_a_guest_asks_for_each(tmp_path: Path, cpu: str) -> None:
    """CX and DX after 08h of four drives."""
    if cpu == "unicorn":
        pytest.importorskip("unicorn")
    calls = b"".join(record(0x0800, drive) for drive in (0, 1, 0x80, 0x81)) + b"\xff\xff"
    drives = write_disks(tmp_path, CALLS + calls)
    with Machine(tmp_path / "a.img", cpu=cpu, drive=drives, vram_mib=1, exit_port=0xF4) as machine:
        lines = run_calls(machine)
    found = [line.split(">")[1] for line in lines[:4]]
    assert [line.split()[2:4] for line in found] == [
        ["4F12", "0102"], ["4F09", "0102"], ["133F", "0F02"], ["1D3F", "0F02"],
    ]  # fmt: skip


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
def test_as_seabios_answers(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    drives = write_disks(tmp_path, (CALLS + drive_calls()).ljust(0x1000, b"\0"))
    (tmp_path / "b.img").write_bytes(marked(2880, 0xB))  # QEMU has it in a larger drive else
    log = tmp_path / "log"
    places = (("floppy", 0, "a.img"), ("floppy", 1, "b.img"), ("ide", 0, "c.img"),
              ("ide", 1, "d.img"))  # fmt: skip
    command = [QEMU, "-display", "none", "-debugcon", f"file:{log}", "-boot", "a",
               "-device", "isa-debug-exit,iobase=0xf4"]  # fmt: skip
    for kind, index, name in places:
        place = f"if={kind},index={index},format=raw,snapshot=on,file={tmp_path / name}"
        command += ["-drive", place]
    subprocess.run(command, timeout=60, check=False)
    theirs = log.read_text().splitlines()
    with Machine(tmp_path / "a.img", drive=drives, vram_mib=1, exit_port=0xF4) as machine:
        ours = run_calls(machine)
    assert len(ours) == len(theirs)
    # Where INT 1Eh's table is, which DI tells of a floppy, each BIOS knows for itself.
    assert [line.split()[:-2] for line in ours] == [line.split()[:-2] for line in theirs]
    assert [line.split()[-1] for line in ours] == [line.split()[-1] for line in theirs]
