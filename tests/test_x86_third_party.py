"""Boot sectors and loaders of others run unchanged: from packages that are installed, or skipped.

Nothing of them is part of this project. On Debian: dosfstools, syslinux, syslinux-common, mtools,
isolinux, xorriso, grub-rescue-pc, memtest86+, ipxe, mbr.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from x86_helpers import CPUS, has_kvm

from vgaemu.bench.linux import cpio
from vgaemu.machine import Machine
from vgaemu.pc.bios.seabios import FIRMWARES
from vgaemu.pc.bios.vgarom import find_vga_rom

pytest.importorskip("unicorn")

MODULES = Path("/usr/lib/syslinux/modules/bios")
SYSLINUX_MBR = Path("/usr/lib/syslinux/mbr/mbr.bin")
ISOLINUX = Path("/usr/lib/ISOLINUX/isolinux.bin")
GRUB, GRUB_DISK, GRUB_CD = (
    Path("/usr/lib/grub-rescue") / f"grub-rescue-{name}"
    for name in ("floppy.img", "usb.img", "cdrom.iso")
)
MEMTEST, MEMTEST64 = Path("/boot/memtest86+ia32.bin"), Path("/boot/memtest86+x64.bin")
MEMDISK = Path("/usr/lib/syslinux/memdisk")
LINUX64 = os.environ.get("VGAEMU_LINUX64") or max(glob("/boot/vmlinuz-*-amd64"), default="")
BUSYBOX64 = Path(os.environ.get("VGAEMU_BUSYBOX64", "/bin/busybox"))
IPXE, IPXE_ISO = Path("/usr/lib/ipxe/ipxe.lkrn"), Path("/usr/lib/ipxe/ipxe.iso")
#: Where tools of administrators are, which not every user's PATH names.
TOOLS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def tool(name: str) -> str:
    found = shutil.which(name, path=TOOLS)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def package_file(path: Path) -> Path:
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return path


def run(*command: object) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def fat(path: Path, kib: int = 2880) -> Path:
    """A formatted floppy."""
    run(tool("mkfs.msdos"), "-C", path, kib)
    return path


def syslinux(path: Path, config: str, *files: Path, names: dict[Path, str] | None = None) -> Path:
    """A floppy with SYSLINUX, its configuration and files."""
    fat(path)
    run(tool("syslinux"), "--install", path)
    settings = path.with_suffix(".cfg")
    settings.write_text(config)
    copy = tool("mcopy")
    run(copy, "-i", path, settings, "::syslinux.cfg")
    for file in files:
        name = (names or {}).get(file, file.name)
        run(copy, "-i", path, package_file(file), f"::{name}")
    return path


def partitioned(path: Path) -> Path:
    """A disk of 8 MiB with one bootable partition from sector 2048 on."""
    disk = bytearray(8 << 20)
    disk[446:462] = bytes.fromhex("80 00 00 00 06 00 00 00 00 08 00 00 00 38 00 00")
    disk[510:512] = b"\x55\xaa"
    path.write_bytes(disk)
    return path


MENU = "UI {}\nPROMPT 0\nMENU TITLE Third party\nLABEL a\nMENU LABEL First\nKERNEL a.c32\n"
LIBRARIES = (MODULES / "libutil.c32", MODULES / "libcom32.c32")


def dos_floppy(path: Path) -> Path:
    return fat(path, 1440)


def syslinux_prompt(path: Path) -> Path:
    return syslinux(path, "PROMPT 1\nDEFAULT x\n")


def syslinux_menu(path: Path) -> Path:
    return syslinux(path, MENU.format("menu.c32"), MODULES / "menu.c32", *LIBRARIES)


def syslinux_disk(path: Path) -> Path:
    """SYSLINUX in a partition, started by its master boot record."""
    partitioned(path)
    run(tool("mkfs.msdos"), "--offset", 2048, path)
    run(tool("syslinux"), "-t", 2048 * 512, "--install", path)
    record = package_file(SYSLINUX_MBR).read_bytes()[:440]
    with path.open("r+b") as file:
        file.write(record)
    return path


def mbr_prompt(path: Path) -> Path:
    run(tool("install-mbr"), "-i", "n", "-p", "D", "-t", 20, partitioned(path))
    return path


def memtest_floppy(path: Path) -> Path:
    return syslinux(path, "DEFAULT memtest\n", MEMTEST, names={MEMTEST: "memtest"})


def ipxe_floppy(path: Path) -> Path:
    return syslinux(path, "DEFAULT x\nLABEL x\nLINUX ipxe\n", IPXE, names={IPXE: "ipxe"})


def isolinux(path: Path) -> Path:
    """A CD with ISOLINUX and its menu."""
    folder = path.parent / "cd" / "isolinux"
    folder.mkdir(parents=True)
    for file in (ISOLINUX, MODULES / "ldlinux.c32", MODULES / "menu.c32", *LIBRARIES):
        shutil.copy(package_file(file), folder)
    (folder / "isolinux.cfg").write_text(MENU.format("menu.c32"))
    image = path.with_suffix(".iso")
    run(tool("xorriso"), "-as", "mkisofs", "-quiet", "-b", "isolinux/isolinux.bin",
        "-c", "isolinux/boot.cat", "-no-emul-boot", "-boot-load-size", 4, "-boot-info-table",
        "-o", image, folder.parent)  # fmt: skip
    return image


def copy_of(file: Path) -> Callable[[Path], Path]:
    """A package's file as it is: `ipxe.iso` is a CD image that its partition table calls a disk."""

    def make(path: Path) -> Path:
        # What a kernel is that could be a disk as well, its name tells.
        return Path(shutil.copy(package_file(file), path.with_name(file.name)))

    return make


class Program(NamedTuple):
    make: Callable[[Path], Path]
    #: What it writes on its text screen, and within how many frames.
    shows: str
    frames: int
    #: What it is handed as a kernel's RAM disk.
    initrd: Path | None = None


QUICK = {
    "mkfs.msdos": Program(dos_floppy, "This is not a bootable disk", 30),
    "mbr": Program(mbr_prompt, r"MBR 1FA:", 120),
}
SLOW = {
    "syslinux": Program(syslinux_prompt, r"^boot:", 300),
    "syslinux menu.c32": Program(syslinux_menu, "Third party", 400),
    "syslinux mbr.bin": Program(syslinux_disk, r"^boot:", 400),
    "isolinux menu.c32": Program(isolinux, "Third party", 400),
    "grub": Program(copy_of(GRUB), "GNU GRUB", 900),
    "grub disk": Program(copy_of(GRUB_DISK), "GNU GRUB", 900),
    "grub cd": Program(copy_of(GRUB_CD), "GNU GRUB", 900),
    "memtest86+": Program(memtest_floppy, r"Status: Testing", 900),
    "memtest86+ x64": Program(copy_of(MEMTEST64), r"Status: Testing", 900),
    "ipxe": Program(ipxe_floppy, r"No more network devices", 1500),
    "ipxe isohybrid": Program(copy_of(IPXE_ISO), r"No more network devices", 1500),
    "ipxe.lkrn": Program(copy_of(IPXE), r"No more network devices", 1500),
    "memdisk": Program(copy_of(MEMDISK), "GNU GRUB", 900, GRUB),
}


def shown(image: Path, program: Program, cpu: str, **options: str) -> None:
    # KVM's time is the host's: of a frame a busy host gives the guest a part.
    frames = program.frames * (20 if cpu == "kvm" else 1)
    if program.initrd is not None:
        options["initrd"] = str(package_file(program.initrd))
    with Machine(str(image), cpu=cpu, **options) as machine:  # type: ignore[arg-type]
        seen = machine.wait_for_text(program.shows, frames)
        assert seen, [row.rstrip() for row in machine.screen.text() if row.strip()]
        np.testing.assert_array_equal(machine.screen.frame, machine.screen.full_redraw())


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", QUICK)
def test_small_ones(tmp_path: Path, name: str, cpu: str) -> None:
    shown(QUICK[name].make(tmp_path / "third.img"), QUICK[name], cpu)


#: Their like from another medium asks a VGA BIOS nothing else.
OTHER_MEDIA = (
    "isolinux menu.c32", "syslinux mbr.bin", "grub disk", "grub cd", "memtest86+ x64",
    "ipxe isohybrid", "ipxe.lkrn", "memdisk",
)  # fmt: skip
LOADERS = [(name, bios) for name in SLOW if name not in OTHER_MEDIA for bios in ("builtin", "auto")]
LOADERS += [(name, "builtin") for name in OTHER_MEDIA]


@pytest.mark.turns(3)
@pytest.mark.parametrize(("name", "bios"), LOADERS)
def test_loaders(tmp_path: Path, name: str, bios: str) -> None:
    """Not on KVM: where the host emulates every instruction, they take minutes."""
    if bios == "auto" and find_vga_rom("auto") is None:
        pytest.skip("no VGA BIOS ROM is installed")
    shown(SLOW[name].make(tmp_path / "third.img"), SLOW[name], "unicorn", vga_bios=bios)


@pytest.mark.parametrize("bios", ["builtin", "auto"])
def test_a_graphical_menu(tmp_path: Path, bios: str) -> None:
    """vesamenu.c32 sets a VBE mode and draws with a linear frame buffer."""
    if bios == "auto" and find_vga_rom("auto") is None:
        pytest.skip("no VGA BIOS ROM is installed")
    image = syslinux(
        tmp_path / "third.img", MENU.format("vesamenu.c32"), MODULES / "vesamenu.c32", *LIBRARIES
    )
    with Machine(str(image), vga_bios=bios) as machine:
        machine.tick(300)
        picture = machine.screen.full_redraw()
        assert picture.shape == (480, 640)
        assert len(np.unique(picture)) > 100  # the background's shades
        # The chosen entry's row is not grey, as the background is.
        red, blue = picture >> 16 & 0xFF, picture & 0xFF
        assert (red.astype(int) - blue)[56:72, 110:540].mean() > 10


@pytest.mark.turns(3)
@pytest.mark.skipif(not has_kvm(), reason="/dev/kvm cannot be opened")
def test_under_a_firmware(tmp_path: Path) -> None:
    package_file(Path(FIRMWARES[0]))
    program = QUICK["mkfs.msdos"]._replace(frames=120)  # it looks for disks first
    shown(program.make(tmp_path / "third.img"), program, "kvm", firmware="seabios")


@pytest.mark.long
@pytest.mark.skipif(not LINUX64, reason="no 64-bit Linux: VGAEMU_LINUX64 names none, nor has /boot")
def test_linux_of_64_bits_gives_a_shell(tmp_path: Path) -> None:
    """Debian's linux-image-amd64 and busybox-static: half a minute of the CPU's time with numba.

    VGAEMU_LINUX64=vmlinuz VGAEMU_BUSYBOX64=busybox pytest -m long tests/test_x86_third_party.py
    """
    initrd = tmp_path / "initrd"
    busybox = package_file(BUSYBOX64).read_bytes()
    init = b"#!/bin/busybox sh\n/bin/busybox uname -m\nexec /bin/busybox sh\n"
    initrd.write_bytes(
        cpio(
            ("bin", 0o40755, b"", 0), ("dev", 0o40755, b"", 0),
            ("dev/console", 0o20600, b"", 0x501), ("bin/busybox", 0o100755, busybox, 0),
            ("init", 0o100755, init, 0),
        )
    )  # fmt: skip
    words = "cryptomgr.notests console=tty0"
    with Machine(LINUX64, memory=256, initrd=initrd, append=words) as machine:
        assert machine.wait_for_text("x86_64", 20_000), machine.screen.text()
        assert machine.wait_for_text("# ", 600)
        machine.keys.type("echo $((6 * 7))\n")
        assert machine.wait_for_text(r"^42 *$", 600), machine.screen.text()
