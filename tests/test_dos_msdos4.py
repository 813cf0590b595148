"""MS-DOS 4: its kernel and command interpreter, built from their sources under our DOS, boot.

``VGAEMU_MSDOS=.../MS-DOS pytest -m long tests/test_dos_msdos4.py``: a checkout of
github.com/microsoft/MS-DOS (MIT licence). Microsoft's own NMAKE, MASM, C compiler, LINK and LIB do
the work, in some two minutes. Without that, and mtools (Debian: mtools), there is nothing to run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from vgaemu.machine import Machine

pytest.importorskip("unicorn")
MSDOS = Path(os.environ.get("VGAEMU_MSDOS", ""))
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not (MSDOS / "v4.0" / "src").is_dir(), reason="VGAEMU_MSDOS leads to no checkout of MS-DOS"
    ),
    pytest.mark.skipif(
        shutil.which("mformat") is None, reason="no mformat; apt-get install mtools"
    ),
]
SETTINGS = (
    "path c:\\tools", "set COUNTRY=usa-ms", "set INIT=c:\\tools", "set INCLUDE=c:\\tools\\bld\\inc",
    "set LIB=c:\\tools\\bld\\lib",
)  # fmt: skip
#: In this order; each is made by its own makefile.
FOLDERS = ("messages", "inc", "mapper", "boot", "dos", "bios", "cmd\\command", "cmd\\mem")
#: What is put on the disk, in the order that the boot sector wants.
SYSTEM = ("bios/io.sys", "dos/msdos.sys", "cmd/command/command.com", "cmd/mem/mem.exe")
#: Where in its file the boot sector is, which is linked to where it runs.
BOOT_AT, SECTOR = 0x7C00, 512
#: The parameters of a disk within its first sector, and the drive that it is.
PARAMETERS, DRIVE_AT = slice(11, 36), 36


def sources(folder: Path) -> Path:
    """The sources with DOS's line ends, under names in capitals, and an older COMMAND.COM."""
    begin = MSDOS / "v4.0" / "src"
    for path in (path for path in begin.rglob("*") if path.is_file()):
        data = path.read_bytes()
        if b"\0" not in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        to = folder / str(path.relative_to(begin)).upper()
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(data)
    shutil.copy(MSDOS / "v2.0" / "bin" / "COMMAND.COM", folder)
    # Two of the kernel's messages have names in them that nothing there defines.
    skeleton = folder / "DOS" / "DOSMES.ASM"
    skeleton.write_bytes(b"CR equ 13\r\nLF equ 10\r\n" + skeleton.read_bytes())
    return folder


def build(folder: Path) -> None:
    """All of it, by one batch file."""
    lines = [*SETTINGS]
    for name in FOLDERS:
        lines += [f"cd c:\\{name}", "nmake"]
    batch = "\r\n".join([*lines, "cd c:\\", "echo done > done.out", ""])
    (folder / "ALL.BAT").write_bytes(batch.encode())
    with Machine(folder / "COMMAND.COM", dos_root=folder) as machine:
        machine.tick(60)
        machine.keys.type("all\n")
        for _ in range(3000):
            machine.tick(30)
            if (folder / "done.out").exists():
                return
        raise AssertionError(machine.screen.text())


def found(folder: Path, name: str) -> Path:
    """A file, in whatever case DOS has made it."""
    at = folder
    for part in name.split("/"):
        at = next(path for path in at.iterdir() if path.name.lower() == part)
    return at


def disk(folder: Path, image: Path) -> Path:
    """A floppy of 720 KiB that starts what was built."""
    subprocess.run(["mformat", "-C", "-f", "720", "-i", image, "::"], check=True, timeout=20)
    sectors = bytearray(image.read_bytes())
    sector = bytearray(found(folder, "boot/msboot.bin").read_bytes()[BOOT_AT:][:SECTOR])
    sector[PARAMETERS] = sectors[PARAMETERS]
    sector[DRIVE_AT] = 0
    sectors[:SECTOR] = sector
    image.write_bytes(sectors)
    for name in SYSTEM:
        to = f"::/{Path(name).name.upper()}"
        subprocess.run(["mcopy", "-i", image, found(folder, name), to], check=True, timeout=20)
    return image


def text(machine: Machine) -> list[str]:
    return [line.rstrip() for line in machine.screen.text() if line.strip()]


def test_ms_dos_4_is_built_and_boots(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    folder = sources(tmp_path / "c")
    build(folder)
    with Machine(disk(folder, tmp_path / "msdos4.img")) as machine:
        for keys in ("", "\n", "\n", "ver\n", "mem\n"):
            machine.keys.type(keys)
            machine.tick(200)
        lines = text(machine)
    assert "Microsoft(R) MS-DOS(R) Version 4.00" in lines
    assert "MS-DOS Version 4.00" in lines
    assert "    655360 bytes total memory" in lines
    assert lines[-1] == "A>"
