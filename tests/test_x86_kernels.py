"""Kernels that are loaded without a boot sector; `tests/kernels` has sources and bytes."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from glob import glob
from pathlib import Path

import numpy as np
import pytest
from x86_helpers import CPUS, make_pc

from vgaemu.bench.linux import cpio
from vgaemu.cli.main import main
from vgaemu.errors import ImageError
from vgaemu.machine import Machine
from vgaemu.pc import is_image
from vgaemu.pc.boot.flat import load_segments
from vgaemu.pc.formats import load_image
from vgaemu.pc.images import LinuxKernel
from vgaemu.pc.kernels import KernelError, Segment, find_header, load, load_elf

pytest.importorskip("unicorn")
KERNELS = Path(__file__).parent / "kernels"
QEMU = "qemu-system-i386"


@pytest.fixture
def modules(tmp_path: Path) -> str:
    (tmp_path / "a").write_bytes(b"first module")
    (tmp_path / "b").write_bytes(b"second")
    return f"{tmp_path / 'a'},{tmp_path / 'b'} some words"


def elf(kind: int, *rows: tuple[int, int, int, int, int, int], entry: int = 0x100000) -> bytes:
    """An ELF file of one page; a row: type, offset, virtual, physical, in the file, in memory."""
    head = b"\x7fELF" + bytes((kind, 1, 1)) + bytes(9) + struct.pack("<HHI", 2, 3, 1)
    if kind == 1:
        head += struct.pack("<3II6H", entry, 52, 0, 0, 52, 32, len(rows), 0, 0, 0)
        table = b"".join(struct.pack("<6I", *row) + bytes(8) for row in rows)
    else:
        head += struct.pack("<3QI6H", entry, 64, 0, 0, 64, 56, len(rows), 0, 0, 0)
        table = b"".join(struct.pack("<I4x5Q", *row) + bytes(8) for row in rows)
    return (head + table).ljust(0x400, b"\0") + b"code".ljust(0xC00, b"\0")


def header(flags: int, *fields: int, at: int = 0) -> bytes:
    return (
        bytes(at)
        + struct.pack("<3I", 0x1BADB002, flags, -(0x1BADB002 + flags) & 0xFFFFFFFF)
        + (struct.pack(f"<{len(fields)}I", *fields))
    )


@pytest.mark.parametrize(
    ("name", "data", "options", "words"),
    [
        ("prog", elf(1), [], ["prog: an ELF file", "no multiboot header"]),
        ("late.elf", elf(1) + header(0, at=0x1000), [],
         ["late.elf: an ELF file, but its multiboot header is at 0x2000: link it into the first"]),
        ("prog", elf(2) + b"\xd6\x50\x52\xe8", [], ["multiboot 2", "grub-mkrescue"]),
        ("high.elf", header(0x10000, 0x2000000, 0x2000000, 0, 0, 0), [],
         ["high.elf: loads at 0x2000000", "no RAM", "16 MiB (--memory)"]),
        ("wide.elf", header(0x10004, 0x100000, 0x100000, 0, 0, 0, 0, 9999, 1, 32), [],
         ["wide.elf: asks for a video mode", "9999x1"]),
        ("k.elf", header(8), [], ["k.elf", "flags 0x8"]),
        ("k.elf", header(0), ["word"], ["--append"]),
        ("k.elf", header(0), ["--initrd", "none"],
         ["--initrd none: No such file", "; name files to hand to it\n"]),
        ("k.elf", header(0), ["--initrd", ",a"], ["--initrd ,a"]),
        ("k.elf", header(0), ["--writable"], ["--writable: only for disk images"]),
        ("a.img", b"\0" * 510 + b"\x55\xaa", ["--append", "x"], ["--append: only for kernels"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_wrong_kernels_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, data: bytes,
    options: list[str], words: list[str],
) -> None:  # fmt: skip
    (tmp_path / name).write_bytes(data)
    assert is_image(tmp_path / name)
    assert main(["run", str(tmp_path / name), "--headless", "--frames", "1", *options]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for word in words:
        assert word in said


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", ["multiboot.elf", "multiboot.bin", "graphics.elf"])
def test_what_a_kernel_is_told(name: str, cpu: str, modules: str) -> None:
    options = {"cpu": cpu, "append": "a=b c", "initrd": modules, "memory": 32}
    with Machine(KERNELS / name, **options) as machine:
        for _ in range(2000 if cpu == "kvm" else 20):
            machine.tick()
            if machine.debugcon.endswith("second\n"):
                break
        said = machine.debugcon.splitlines()
        assert said == [
            "magic 2BADB002", "zeros 00000000", f"line {name} a=b c", "upper 00007C00",
            "end 02000000", "module a: first module", "module b some words: second",
        ]  # fmt: skip
        if name != "graphics.elf":
            assert [line.rstrip() for line in machine.screen.text()[:7]] == said
            return
        picture = machine.screen.full_redraw()
        assert picture.shape == (200, 320)
        row, column = np.mgrid[200:0:-1, 319:-1:-1]
        np.testing.assert_array_equal(picture, (row << 8) + (column << 16) & 0xFFFFFF)


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
@pytest.mark.parametrize("name", ["multiboot.elf", "multiboot.bin"])
def test_qemu_tells_it_the_same(name: str, modules: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    qemu = subprocess.Popen(
        [QEMU, "-display", "none", "-nodefaults", "-vga", "std", "-debugcon", f"file:{log}",
         "-kernel", str(KERNELS / name), "-append", "a=b c", "-initrd", modules],
    )  # fmt: skip
    try:
        for _ in range(100):
            time.sleep(0.05)
            if log.is_file() and log.read_bytes().endswith(b"second\n"):
                break
    finally:
        qemu.kill()
        qemu.wait()
    theirs = log.read_text("utf-8").replace(f"{KERNELS}/", "").replace(f"{tmp_path}/", "")
    with Machine(KERNELS / name, append="a=b c", initrd=modules) as machine:
        machine.tick(10)
        ours = machine.debugcon
    # Of memory QEMU keeps the last 128 KiB for ACPI.
    for line, other in zip(ours.splitlines(), theirs.splitlines(), strict=True):
        assert line == other or line.startswith(("upper", "end"))


#: Prints D at port E9h and writes 3 to the exit port, behind its multiboot header.
SAYS_D = header(0) + bytes.fromhex("BAE9000000 B044 EE BAF4000000 B003 EE EBFE")
#: As `ld -Ttext 0x100000` lays it out: a page for the ELF header, or that and the text in one.
HEADER_BELOW = {
    "apart": [(1, 0, 0xFF000, 0xFF000, 0x74, 0x74),
              (1, 0x1000, 0x100000, 0x100000, len(SAYS_D), len(SAYS_D))],
    "in one": [(1, 0, 0xFF000, 0xFF000, 0x1000 + len(SAYS_D), 0x1000 + len(SAYS_D))],
}  # fmt: skip


@pytest.fixture(params=HEADER_BELOW)
def header_below(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "below.elf"
    path.write_bytes(elf(1, *HEADER_BELOW[request.param], entry=0x10000C) + SAYS_D)
    return path


@pytest.mark.parametrize("cpu", CPUS)
def test_an_elf_header_below_1_mib_is_left_out(header_below: Path, cpu: str) -> None:
    with Machine(KERNELS / "multiboot.bin", cpu=cpu) as machine:
        rom = machine.ram[0xFF000:0x100000]
    with Machine(header_below, cpu=cpu, exit_port=0xF4) as machine:
        assert machine.ram[0xFF000:0x100000] == rom
        machine.tick(30)
        assert (machine.debugcon, machine.exit_code) == ("D", 7)


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
def test_qemu_runs_a_kernel_with_its_header_below_1_mib(header_below: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = subprocess.run(
        [QEMU, "-display", "none", "-nodefaults", "-debugcon", f"file:{log}", "-no-reboot",
         "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-kernel", header_below],
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, log.read_text()) == (7, "D")


def test_what_else_is_below_1_mib_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rom.elf"
    rows = [(1, 0x400, 0xFF000, 0xFF000, 4, 4), HEADER_BELOW["apart"][1]]
    path.write_bytes(elf(1, *rows, entry=0x10000C) + SAYS_D)
    with pytest.raises(ImageError, match=r"rom\.elf: loads at 0xff000 to 0xff004, where this"):
        Machine(path)


def test_what_lies_behind_a_segments_bytes_is_zero() -> None:
    with make_pc(KERNELS / "multiboot.elf") as pc:
        pc.bus.write(0x20000, b"\xff" * 16)
        load_segments(pc.board, Path("kernel"), [Segment(0x20004, b"abc", 8)])
        assert pc.bus.read(0x20000, 16) == b"\xff" * 4 + b"abc" + bytes(5) + b"\xff" * 4
        with pytest.raises(ImageError, match="0x9ffff to 0xa0001, where"):
            load_segments(pc.board, Path("kernel"), [Segment(0x9FFFF, b"", 2)])


def test_a_state_goes_on(tmp_path: Path, modules: str) -> None:
    with Machine(KERNELS / "multiboot.elf", initrd=modules) as machine:
        machine.tick(3)
        machine.save_state(tmp_path / "k.npz")
        text = machine.screen.text()
    with Machine(KERNELS / "multiboot.elf", initrd=modules) as machine:
        machine.load_state(tmp_path / "k.npz")
        machine.tick(2)
        assert machine.screen.text() == text


@pytest.mark.parametrize("kind", [1, 2])
def test_an_elf_file_lies_at_its_physical_addresses(kind: int) -> None:
    base = 0xC0000000 if kind == 1 else 0xFFFFFFFF80000000
    rows = (
        (1, 0x400, base + 0x100000, 0x100000, 4, 0x20), (1, 0, 0, 0x5000, 0, 0),
        (2, 0, 0, 0, 9, 9), (1, 0x400, 0x7000, 0x7000, 2, 2),
    )  # fmt: skip
    segments, entry = load_elf(elf(kind, *rows, entry=base + 0x100010))
    assert entry == 0x100010
    assert segments == [(0x100000, b"code", 0x20), (0x7000, b"co", 2)]
    assert load_elf(elf(kind, rows[0], entry=0x1234))[1] == 0x1234


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (header(0, at=8192), "no multiboot header"),
        (header(0, at=2), "no multiboot header"),
        (struct.pack("<3I", 0x1BADB002, 0, 0), "no multiboot header"),
        (header(8), "flags 0x8"),
        (header(0), "without addresses"),
        (header(0x10000, 0x100000, 0x100004, 0, 0, 0), "before its file"),
        (header(0x10000, 0x100010, 0x100000, 0, 0, 0), "before its file"),
        (header(0x10000, 0x100000, 0x100000, 0x101000, 0, 0), "not whole"),
        (b"\x7fELF\1\1" + header(0, at=2), "not whole"),
        (b"\x7fELF\3\1" + header(0, at=2), "another processor"),
        (elf(1)[:0x100] + header(0), "nothing in it"),
        (elf(1, (1, 0x400, 0, 0, 0xFFFF, 0xFFFF))[:0x100] + header(0), "behind its end"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_kernels_that_cannot_be_loaded(data: bytes, why: str) -> None:
    with pytest.raises(KernelError, match=why):
        load(data)


def test_a_header_may_be_anywhere_in_8_kib() -> None:
    # At 1 it is at no multiple of 4.
    odd = b"\0" + header(0) + b"\0" * 3
    found = find_header(odd + header(4, 0, 0, 0, 0, 0, 1, 80, 25, 0, at=8188 - len(odd)))
    assert found is not None
    assert (found.at, found.video) == (8188, (1, 80, 25, 0))
    segments, entry = load(header(0x10000, 0x200008, 0x200000, 0, 0x300000, 0x200020, at=8))
    assert entry == 0x200020
    assert [(one.address, len(one.data), one.end) for one in segments] == [
        (0x200000, 40, 0x300000)
    ]  # fmt: skip


@pytest.mark.parametrize("cpu", CPUS)
def test_what_linux_is_told(cpu: str, modules: str) -> None:
    options = {"cpu": cpu, "append": "quiet x=1", "initrd": modules.replace(" some words", "")}
    with Machine(KERNELS / "bzimage", **options) as machine:
        for _ in range(2000 if cpu == "kvm" else 20):
            machine.tick()
            if machine.debugcon.endswith("second\n"):
                break
        assert machine.debugcon.splitlines() == [
            "cs ds 00100018", "flags 00000000", "loader 000000FF", "screen 00001903",
            "line quiet x=1", "end 01000000", "disk 00BFF000 first modulesecond",
        ]  # fmt: skip


#: CS, DS, SS; a heap, flags, interrupts; and what it is handed.
SETUP_SAID = "10201000100001810000\nquiet x=1\nfirst module\ncode\n!\n"


@pytest.mark.parametrize("cpu", CPUS)
def test_setup_code_that_asks_the_bios(cpu: str, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(b"first module")
    options = {"cpu": cpu, "append": "quiet x=1", "initrd": tmp_path / "disk"}
    with Machine(KERNELS / "setup", **options) as machine:
        for _ in range(2000 if cpu == "kvm" else 5):
            machine.tick()
            if machine.debugcon.endswith("!\n"):
                break
        assert machine.debugcon == SETUP_SAID


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
def test_qemu_starts_setup_code_alike(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "disk").write_bytes(b"first module")
    qemu = subprocess.Popen(
        [QEMU, "-display", "none", "-nodefaults", "-vga", "std", "-debugcon", f"file:{log}",
         "-kernel", str(KERNELS / "setup"), "-append", "quiet x=1",
         "-initrd", str(tmp_path / "disk")],
    )  # fmt: skip
    try:
        for _ in range(200):
            time.sleep(0.05)
            if log.is_file() and log.read_bytes().endswith(b"!\n"):
                break
    finally:
        qemu.kill()
        qemu.wait()
    assert log.read_text("ascii") == SETUP_SAID


def bzimage(path: Path, at: int, value: bytes) -> Path:
    """The kernel with another field in its header."""
    data = bytearray((KERNELS / "bzimage").read_bytes())
    data[at : at + len(value)] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("at", "value", "options", "words"),
    [
        (0x206, b"\1\2", {}, "a kernel of before Linux 2.4"),
        (0x211, b"\0", {}, "only bzImages are loaded"),
        (0x1F1, b"\xff", {}, "not whole"),
        (0x260, b"\0\0\0\2", {}, r"needs 33 MiB of RAM.* has 16 \(--memory\)"),
        (0x238, b"\3", {"append": "long"}, "--append: 4 bytes; it takes 3"),
    ],
)  # fmt: skip
def test_linux_kernels_that_cannot_be_loaded(
    tmp_path: Path, at: int, value: bytes, options: dict[str, str], words: str
) -> None:
    path = bzimage(tmp_path / "vmlinuz", at, value)
    with pytest.raises(ImageError, match=words):
        Machine(path, **options)


def test_a_linux_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    for size in (0x206, 0x211, 0x263):
        path.write_bytes((KERNELS / "bzimage").read_bytes()[:size])
        with pytest.raises(ImageError, match="not whole"):
            Machine(path)


@pytest.mark.parametrize("suffix", ["", ".img", ".bin", ".iso", ".com", ".exe", ".elf", ".txt"])
def test_a_linux_is_told_whatever_its_name(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vmlinuz{suffix}"
    path.write_bytes(b"MZ" + (KERNELS / "bzimage").read_bytes()[2:])  # as one for EFI has it
    assert isinstance(load_image(str(path), []), LinuxKernel)


def test_a_kernel_in_place_of_a_workload(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    kernel = str(KERNELS / "bzimage")
    arguments = ["--headless", "--frames", "5", "--debugcon", "-", "--append", "there"]
    assert main(["run", "--kernel", kernel, *arguments]) == 0
    assert "line there\n" in capfd.readouterr().out
    assert main(["run", kernel, "--kernel", kernel, *arguments]) == 2
    assert "--kernel and a workload: take one of them" in capfd.readouterr().err


LINUX = os.environ.get("VGAEMU_LINUX") or next(iter(sorted(glob("/boot/vmlinuz-*-686*"))), "")


@pytest.mark.long
@pytest.mark.skipif(not LINUX, reason="no 32-bit Linux: VGAEMU_LINUX names none, nor has /boot one")
def test_linux_comes_up_to_an_init_of_ours(tmp_path: Path) -> None:
    """Debian's, of its package linux-image-686-unsigned, say: some minutes.

    VGAEMU_LINUX=vmlinuz pytest -m long tests/test_x86_kernels.py
    """
    initrd = tmp_path / "initrd"
    initrd.write_bytes(
        cpio(
            ("dev", 0o40755, b"", 0), ("dev/console", 0o20600, b"", 0x501),
            ("init", 0o100755, (KERNELS / "init").read_bytes(), 0),
        )
    )  # fmt: skip
    options = {"memory": 128, "initrd": initrd, "append": "console=tty0 console=ttyS0"}
    with Machine(LINUX, **options) as machine:
        for _ in range(600):
            machine.tick(30)
            if "init runs" in machine.serial:
                break
        assert "16550A" in machine.serial
        assert "Run /init as init process" in machine.serial
        # The last console that is named is the process's; the kernel's words are on both.
        assert any("Run /init as init" in line for line in machine.screen.text())
