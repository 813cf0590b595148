"""What `vgaemu run` says to files and options that it cannot use: one line each, status 2."""

from __future__ import annotations

import os
import re
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from x86_helpers import boot_sector, has_kvm

from vgaemu import Machine
from vgaemu.cli.main import main
from vgaemu.errors import ImageError
from vgaemu.memslot.kvm import ioctl as kvm_ioctl
from vgaemu.pc import is_image
from vgaemu.pc.bios.vgarom import check_rom
from vgaemu.pc.formats import check_writable, load_image
from vgaemu.pc.images import DiskImage

pytest.importorskip("unicorn")
GOOD = boot_sector(b"\xfa\xf4")


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status = main(["run", *arguments, "--headless", "--frames", "2"])
    captured = capsys.readouterr()
    assert status == 2, captured
    lines = captured.err.splitlines()
    assert len(lines) == 1, captured.err
    return lines[0]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.img", b"", ["empty.img", "empty"]),
        ("short.img", b"\x90" * 100, ["short.img", "not bootable", "--force"]),
        ("plain.img", bytes(512), ["plain.img", "55AA", "--force"]),
        ("big.com", bytes(0x10000), ["big.com", "65536", "65278"]),
        ("big.exe", bytes(0x10000), ["big.exe", "65536", "65278"]),
        ("game.exe", b"MZ" + bytes(600), ["game.exe", ".EXE", "not whole"]),
        ("game.com", b"MZ" + bytes(600), ["game.com", ".EXE", "not whole"]),
        ("old.bin", b"ZM" + bytes(600), ["old.bin", ".EXE", "not whole"]),
        ("game.img", b"\x1f\x8b" + bytes(600), ["game.img", "gzip", "unpack"]),
        ("vm.img", b"QFI\xfb" + bytes(600), ["vm.img", "qcow2", "qemu-img convert"]),
        ("notes.txt", b"1. to do\n", ["notes.txt", "neither Python nor machine code", "55AAh"]),
        ("boot.asm", b"mov ax, 13h\n", ["boot.asm", "a source; assemble it, as by nasm"]),
        ("a.tape", b'{"name": "a"}\n', ["a.tape: a tape; 'vgaemu replay' plays it"]),
        ("a.tape.gz", b"\x1f\x8b\x08", ["a.tape.gz: a tape; 'vgaemu replay' plays it"]),
        ("a.npz", b"PK\3\4\0", ["a.npz: a saved state", "--load-state"]),
        ("main.c", b"int x;\n", ["main.c", "a source; compile it"]),
        ("notes", b"a\0b", ["notes", "neither Python nor machine code", "55AAh"]),
        (
            "large.exe",
            b"MZ" + struct.pack("<12H", 0, 2, 0, 2, 0xA000, *[0] * 7) + bytes(999),
            ["large.exe", "needs 641 KiB", "DOS has 576"],
        ),
    ],
)
def test_files_that_do_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes, words: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    line = said(capsys, str(path))
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"initrd": "x"}, "initrd: only for kernels; leave it out"),
        ({"append": "quiet"}, "append: only for kernels; leave it out"),
        ({"dos_root": "nowhere"}, "dos_root: only for DOS programs; leave it out"),
        ({"exit_port": "x"}, "--exit-port 'x': ports are numbers, 0 to 0xffff"),
        ({"exit_port": 0x10000}, "--exit-port 0x10000: ports are numbers, 0 to 0xffff"),
    ],
)
def test_options_of_other_sorts_of_files(good: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ImageError, match=f"^{re.escape(why)}$"):
        Machine(good, **options)
    with Machine(good, initrd=None, append=None, dpmi=False, writable=False) as machine:
        machine.tick()


def test_files_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "No such file" in said(capsys, str(tmp_path / "none.img"))
    (tmp_path / "folder.img").mkdir()
    assert "not a file" in said(capsys, str(tmp_path / "folder.img"))


def test_a_disk_that_cannot_be_written_to(tmp_path: Path) -> None:
    with pytest.raises(
        ImageError, match=r"^b\.img: --writable: .*; leave it out, and writes go to"
    ):
        check_writable(tmp_path, "b.img")


@pytest.fixture
def good(tmp_path: Path) -> str:
    path = tmp_path / "good.img"
    path.write_bytes(GOOD)
    return str(path)


def test_options_that_cannot_be(
    tmp_path: Path, good: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--keys" in said(capsys, good, "--keys", "x")
    assert "--keys" in said(capsys, good, "--keys", "30:nokey")
    assert "--dos-root" in said(capsys, good, "--dos-root", str(tmp_path / "none"))
    assert "--vga-bios" in said(capsys, good, "--vga-bios", str(tmp_path / "none"))
    assert "--firmware seabios needs --cpu kvm" in said(capsys, good, "--firmware", "seabios")
    assert "t.txt: No such file" in said(capsys, good, "--trace-ports", f"{tmp_path}/no/t.txt")
    assert "takes no arguments" in said(capsys, good, "argument")
    if os.geteuid() != 0:
        Path(good).chmod(0o444)
        assert "--writable" in said(capsys, good, "--writable")


def test_roms(tmp_path: Path, good: str, capsys: pytest.CaptureFixture[str]) -> None:
    rom = bytearray(b"\x55\xaa\x01\xcb" + bytes(508))
    rom[511] = -sum(rom) & 0xFF
    assert check_rom(bytes(rom), "rom") == bytes(rom)
    for at, word in ((0, "55 AA"), (2, "length"), (100, "checksum")):
        bad = bytearray(rom)
        bad[at] ^= 0x7F
        path = tmp_path / "rom.bin"
        path.write_bytes(bad)
        assert word in said(capsys, good, "--vga-bios", str(path))


def test_a_rom_that_never_returns(
    tmp_path: Path, good: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rom = bytearray(b"\x55\xaa\x01\xeb\xfe" + bytes(507))
    rom[511] = -sum(rom) & 0xFF
    path = tmp_path / "rom.bin"
    path.write_bytes(rom)
    assert "does not come back" in said(capsys, good, "--vga-bios", str(path))


def test_missing_unicorn(
    good: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("vgaemu.pc.cpu.unicorn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "unicorn", None)
    monkeypatch.setattr("os.access", lambda path, mode: path != "/dev/kvm")
    assert said(capsys, good).endswith("pip install 'vgaemu[unicorn]'")
    monkeypatch.setattr("os.access", lambda path, mode: True)
    assert said(capsys, good).endswith("pip install 'vgaemu[unicorn]', or take --cpu kvm")


def test_no_rights_on_kvm(
    good: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, *rest: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(kvm_ioctl.os, "open", refuse)
    assert "no rights on /dev/kvm" in said(capsys, good, "--cpu", "kvm")


def test_force_boots_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "plain.img"
    path.write_bytes(b"\xfa\xf4")
    image = load_image(str(path), [], force=True)
    assert isinstance(image, DiskImage)
    assert (image.cylinders, image.heads, image.sectors) == (80, 2, 18)


@pytest.mark.parametrize(
    ("size", "shape"),
    [(163840, (40, 1, 8)), (368640, (40, 2, 9)), (737280, (80, 2, 9)), (1228800, (80, 2, 15)),
     (1474560, (80, 2, 18)), (2949120, (80, 2, 36)), (10000, (80, 2, 18))],
)  # fmt: skip
def test_floppy_shapes(tmp_path: Path, size: int, shape: tuple[int, int, int]) -> None:
    path = tmp_path / "floppy.img"
    path.write_bytes(GOOD.ljust(size, b"\0"))
    image = load_image(str(path), [])
    assert isinstance(image, DiskImage)
    assert (image.cylinders, image.heads, image.sectors) == shape
    assert not image.is_hard_disk


def test_hard_disks_have_partitions(tmp_path: Path) -> None:
    sector = bytearray(GOOD)
    sector[446:462] = bytes.fromhex("80 01 01 00 06 0F 3F 05 3F 00 00 00 81 16 00 00")
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(sector) + bytes(4 << 20))
    image = load_image(str(path), [])
    assert isinstance(image, DiskImage)
    assert image.is_hard_disk
    with pytest.raises(ImageError):
        load_image(str(path), ["argument"])


def test_a_fault_is_told_with_registers_and_the_screen_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fault.img"
    # print "!", then an unknown opcode
    path.write_bytes(boot_sector(bytes.fromhex("B8 21 0E BB 07 00 CD 10 0F 0B")))
    shot, dump = tmp_path / "shot.png", tmp_path / "text.txt"
    status = main(
        ["run", str(path), "--headless", "--frames", "9", "--screenshot", str(shot),
         "--dump-text", str(dump)]
    )  # fmt: skip
    captured = capsys.readouterr()
    assert status == 1
    assert "unknown opcode at 0000:7C08" in captured.err
    assert "eax=" in captured.err
    assert "0f 0b" in captured.err
    assert "Traceback" not in captured.err
    assert shot.is_file()
    assert dump.read_text("utf-8").startswith("!")


def test_ports_are_traced(tmp_path: Path) -> None:
    path, trace = tmp_path / "ports.img", tmp_path / "trace.txt"
    path.write_bytes(boot_sector(bytes.fromhex("B0 2A E6 80 E4 61 FA F4")))
    main(["run", str(path), "--headless", "--frames", "2", "--trace-ports", str(trace)])
    lines = [line.split()[1:] for line in trace.read_text("ascii").splitlines()]
    assert ["out", "0080", "2a"] in lines
    assert any(line[:2] == ["in", "0061"] for line in lines)


@pytest.mark.parametrize(
    ("drive", "size", "shape"),
    [
        (None, 3 << 20, (7, 16, 63)),  # more than a floppy: no partition table is asked for
        ("hd", 512, (1, 16, 63)),
        ("hd", 1474560, (3, 16, 63)),
        ("fd", 512, (80, 2, 18)),
        ("fd", 2 << 20, (80, 2, 36)),
    ],
)
def test_what_a_disk_is_told_to_be(
    tmp_path: Path, drive: str | None, size: int, shape: tuple[int, int, int]
) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(GOOD.ljust(size, b"\0"))
    image = load_image(str(path), [], drive=drive)
    assert isinstance(image, DiskImage)
    assert (image.cylinders, image.heads, image.sectors) == shape
    assert image.is_hard_disk == (shape[1] == 16)


def test_no_floppy_is_as_large(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(GOOD + bytes(3 << 20))
    assert "--drive fd" in said(capsys, str(path), "--drive", "fd")


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("os.bin", b"", True), ("os", GOOD, True), ("os.raw", GOOD, True),
        ("none.raw", None, False), ("prog", b"MZ" + bytes(30), True),
        ("game.py", b"MZ" + bytes(30), False),
        ("notes.txt", b"words", False), ("empty", b"", False), ("plasma", b"\0" * 600, False),
    ],
)  # fmt: skip
def test_what_is_machine_code(tmp_path: Path, name: str, data: bytes | None, told: bool) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert is_image(tmp_path / name) == told


@pytest.mark.parametrize(
    ("entry", "size", "hard_disk"),
    [
        ("80 00 01 00 17 3F 20 01 00 00 00 00 00 10 00 00", 2 << 20, True),  # a hybrid CD image
        ("80 00 01 00 17 3F 20 01 00 00 00 00 00 10 00 00", 1474560, False),  # a floppy's size
        ("80 00 01 00 17 3F 20 01 00 00 00 00 01 10 00 00", 2 << 20, False),  # ends outside
        ("80 00 01 00 06 3F 20 01 3F 00 00 00 82 3E 00 00", 512, False),  # a table for show
    ],
)
def test_small_images_with_partitions(
    tmp_path: Path, entry: str, size: int, hard_disk: bool
) -> None:
    sector = bytearray(GOOD)
    sector[446:462] = bytes.fromhex(entry)
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(sector).ljust(size, b"\0"))
    image = load_image(str(path), [])
    assert isinstance(image, DiskImage)
    assert image.is_hard_disk == hard_disk


def test_a_trace_of_code_needs_unicorn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not has_kvm():
        pytest.skip("/dev/kvm cannot be opened")
    path = tmp_path / "x.img"
    path.write_bytes(boot_sector(b"\xfa\xf4"))
    arguments = ["run", str(path), "--headless", "--frames", "2", "--cpu", "kvm", "--trace-code"]
    assert main(arguments) == 2
    assert capsys.readouterr().err == "vgaemu: --trace-code needs --cpu unicorn\n"


def test_undoing_what_was_written_to_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.write_bytes(GOOD.ljust(8 * 512, b"\x11"))
    image = load_image(str(path), [])
    assert isinstance(image, DiskImage)
    before = image.read(0, 20), image.digest()
    image.write(3, b"a" * 512)
    image.write(2, b"b" * 1024)
    image.write(15, b"c" * 512)  # behind the file's end
    assert image.read(2, 2) == b"b" * 1024
    assert sorted(image.originals) == [2, 3, 15]
    image.undo_writes()
    assert (image.read(0, 20), image.digest()) == before
