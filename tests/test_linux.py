"""A whole Linux on its VGA console, up to a shell as on QEMU, and on its serial one; and what
`bench vga` needs of one.

Debian's kernel and busybox, which are not part of this project: `linux-image-686-unsigned` and
`busybox-static`, both of i386, from which `apt-get download` and `dpkg -x` get the two files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from test_x86_qemu import Monitor

from vgaemu import native
from vgaemu.bench import linux, vga
from vgaemu.errors import BenchError
from vgaemu.machine import Machine
from vgaemu.pc.cpu.unicorn import UnicornCpu
from vgaemu.pc.cpu.unicorn_blocks import BlockCount

KERNEL = linux.find_kernel()
BUSYBOX = Path(os.environ.get("VGAEMU_BUSYBOX", "/bin/busybox"))
QEMU = "qemu-system-i386"
INIT = b"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin PS1='# '
exec setsid cttyhack sh
"""
COMMANDS = "clear; ls -l /bin | wc -l; ls /; uname -rm\n"
PROMPT = "# "


def is_of_32_bits(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[:5] == b"\x7fELF\x01"


@pytest.fixture
def initrd(tmp_path: Path) -> Path:
    path = tmp_path / "initrd"
    path.write_bytes(
        linux.cpio(
            ("bin", 0o40755, b"", 0), ("dev", 0o40755, b"", 0),
            ("dev/console", 0o20600, b"", 0x501), ("dev/tty1", 0o20600, b"", 0x401),
            ("bin/busybox", 0o100755, BUSYBOX.read_bytes(), 0), ("init", 0o100755, INIT, 0),
        )
    )  # fmt: skip
    return path


def screen_in(memory: bytes) -> list[bytes]:
    """Rows of cells from the command's first answer to the prompt behind the last, in text VRAM.

    Linux scrolls by moving the picture's origin, so they may be anywhere.
    """
    rows = [memory[at : at + 160] for at in range(0, len(memory) - 159, 160)]
    text = [row[::2].decode("latin-1").rstrip() for row in rows]
    ends = [at for at, line in enumerate(text) if line == PROMPT.rstrip()]
    answers = [at for at, line in enumerate(text) if line.isdecimal()]
    for begin in answers:
        end = next((at for at in ends if at > begin), None)
        if end is not None and any("686" in line for line in text[begin:end]):
            return rows[begin:end]
    return []


@contextmanager
def qemu(initrd: Path, tmp_path: Path) -> Iterator[Monitor]:
    if shutil.which(QEMU) is None:
        pytest.skip(f"{QEMU} is not here")
    socket = tmp_path / "qmp"
    process = subprocess.Popen(
        [QEMU, "-accel", "tcg", "-display", "none", "-nodefaults", "-vga", "std", "-m", "128",
         "-kernel", str(KERNEL), "-initrd", str(initrd), "-append", "console=tty0",
         "-qmp", f"unix:{socket},server=on,wait=off"],
    )  # fmt: skip
    try:
        monitor = Monitor(socket)
        yield monitor
        monitor.close()
    finally:
        process.kill()
        process.wait()


def type_on(monitor: Monitor, text: str) -> None:
    names = {";": "semicolon", " ": "spc", "/": "slash", "-": "minus", "\n": "ret"}
    for letter in text:
        keys = ["shift", "backslash"] if letter == "|" else [names.get(letter, letter)]
        monitor.command("send-key", keys=[{"type": "qcode", "data": key} for key in keys])
        time.sleep(0.05)


def on_qemu(initrd: Path, tmp_path: Path) -> list[bytes]:
    file = tmp_path / "vram"

    def memory(monitor: Monitor) -> bytes:
        monitor.command("pmemsave", val=0xB8000, size=0x8000, filename=str(file))
        return file.read_bytes()

    with qemu(initrd, tmp_path) as monitor:
        end = time.monotonic() + 240
        while b"#\x07 \x07" not in memory(monitor) and time.monotonic() < end:
            time.sleep(1)
        type_on(monitor, COMMANDS)
        while not (found := screen_in(memory(monitor))) and time.monotonic() < end:
            time.sleep(1)
    return found


needs_kernel = pytest.mark.skipif(
    KERNEL is None, reason=f"no kernel: {linux.KERNEL_VARIABLE} names none"
)
needs_busybox = pytest.mark.skipif(
    not is_of_32_bits(BUSYBOX), reason="no busybox of 32 bits: VGAEMU_BUSYBOX names none"
)


@pytest.mark.long
@needs_kernel
@needs_busybox
def test_a_shell_answers_as_on_qemu(initrd: Path, tmp_path: Path) -> None:
    """VGAEMU_LINUX=vmlinuz VGAEMU_BUSYBOX=busybox pytest -m long tests/test_linux.py."""
    assert KERNEL is not None
    begin = time.process_time()
    with Machine(KERNEL, memory=128, initrd=initrd, append="console=tty0") as machine:
        for _ in range(3000):
            machine.tick(10)
            if any(line.startswith(PROMPT) for line in machine.screen.text()):
                break
        print(f"a prompt after {time.process_time() - begin:.0f} s of CPU time")
        machine.keys.type(COMMANDS)
        assert machine.pc is not None
        ours: list[bytes] = []
        for _ in range(300):
            machine.tick(10)
            if ours := screen_in(machine.pc.bus.read(0xB8000, 0x8000)):
                break
        text = [row[::2].decode("latin-1").rstrip() for row in ours]
        assert text[1].split() == ["bin", "dev", "init", "root"]
        assert machine.screen.text()[: len(text)] == [line.ljust(80) for line in text]
    assert ours == on_qemu(initrd, tmp_path)


@pytest.mark.long
@needs_kernel
@needs_busybox
@pytest.mark.parametrize("mib", [128, 1024])
def test_a_shell_on_the_serial_port(initrd: Path, mib: int) -> None:
    """The quickest way to one; what is in all the memory that there is, Linux has found."""
    assert KERNEL is not None
    begin = time.process_time()
    words = "console=ttyS0,115200 quiet cryptomgr.notests"
    with Machine(KERNEL, memory=mib, initrd=initrd, append=words) as machine:
        assert machine.pc is not None
        sent = machine.pc.serial.text

        def wait(text: bytes, frames: int) -> None:
            for _ in range(frames // 10):
                machine.tick(10)
                if text in sent:
                    return
            raise AssertionError(bytes(sent[-2000:]).decode(errors="replace"))

        wait(PROMPT.encode(), 20_000)
        print(f"a prompt after {time.process_time() - begin:.0f} s of CPU time")
        if native.why_not() is None:
            # Native code came while it ran, and from then on blocks are counted.
            assert isinstance(machine.pc.cpu, UnicornCpu)
            assert isinstance(machine.pc.cpu._count, BlockCount)
        asked = "mkdir proc; mount -t proc proc proc; grep MemTotal proc/meminfo; echo $((6 * 7))\r"
        machine.pc.serial.write(asked.encode())
        wait(b"\n42\r", 600)
        kib = int(bytes(sent).split(b"MemTotal:")[-1].split()[0])
        assert 0.8 * mib < kib / 1024 < mib


# --- what `bench vga` makes of it ---


def test_a_ram_disk_is_a_cpio_archive() -> None:
    disk = linux.ram_disk()
    names, at = [], 0
    while at < len(disk):
        assert disk[at : at + 6] == b"070701"
        size, length = (int(disk[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in (6, 11))
        names.append(disk[at + 110 : at + 109 + length].decode())
        at += -(-(110 + length) // 4) * 4 + -(-size // 4) * 4
    assert names == ["dev", "dev/console", "dev/null", "file", "init", "TRAILER!!!"]
    assert linux.FILE.read_bytes() in disk


def test_which_kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(linux, "KERNELS", str(tmp_path / "vmlinuz-*"))
    monkeypatch.delenv(linux.KERNEL_VARIABLE, raising=False)
    assert linux.find_kernel() is None
    for version in (5, 6):
        (tmp_path / f"vmlinuz-{version}").touch()
    assert linux.find_kernel() == tmp_path / "vmlinuz-6"
    monkeypatch.setenv(linux.KERNEL_VARIABLE, "mine")
    assert linux.find_kernel() == Path("mine")


def test_a_kernel_that_reads_nothing_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "BOOT_S", 0.0)
    kernel = Path(__file__).parent / "kernels" / "bzimage"
    pytest.importorskip("unicorn")
    with pytest.raises(BenchError, match="Linux does not read its file"):
        linux.measure(kernel, 1)


def test_rows_of_linux_stand_behind_the_others() -> None:
    reads = linux.Reads()
    reads.taken_ns, reads.pages = [1000, 3000, 2000], [1, 2, 3]
    row = {"keeper": "flags", "linux": "cat"} | reads.row()
    assert (row["harvest_median_ns"], row["harvest_max_ns"], row["reads"]) == (2000, 3000, 3)
    assert "Beside Linux, which reads a file" in vga.beside_linux([row])
    assert "VGAEMU_LINUX=PATH names one" in vga.beside_linux([])


def test_the_reader_is_what_its_source_says(tmp_path: Path) -> None:
    if shutil.which("nasm") is None:
        pytest.skip("nasm is not here")
    folder = Path(linux.__file__).parent
    made = tmp_path / "reader"
    subprocess.run(["nasm", "-f", "bin", "-o", made, folder / "reader.asm"], check=True)
    assert made.read_bytes() == (folder / "reader").read_bytes()
