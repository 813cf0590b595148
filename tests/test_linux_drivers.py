"""Linux's own drivers on our chips, as on QEMU: disks, a CD, clock, mouse, serial console, a reset.

Debian's kernel, its modules and busybox, as `test_linux` says; and mke2fs (e2fsprogs) and xorriso,
which make the disks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from test_linux import BUSYBOX, KERNEL, QEMU, is_of_32_bits

from vgaemu.bench import linux
from vgaemu.machine import Machine
from vgaemu.pc.images import SECTOR, DiskImage

#: Where the kernel's modules are: /lib/modules/VERSION/kernel of its package.
MODULES = Path(os.environ.get("VGAEMU_MODULES", "/lib/modules"))
#: In this order; what they need comes before each.
WANTED = (
    "crct10dif_generic", "crc64_rocksoft_generic", "ata_piix", "sd_mod", "sr_mod", "isofs",
    "crc32c_generic", "ext4", "psmouse",
)  # fmt: skip
PARTITION, SECTORS = 2048, 8192
#: What the guest says between these is compared: QEMU's mouse has five buttons, ours three.
BEGIN, END = "-- begin", "-- end"
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in $(cat /modules); do insmod /m/$module || echo no $module; done
sleep 2
echo {begin}
cat /proc/partitions
for at in sda sr0; do cat /sys/block/$at/size /sys/block/$at/removable /sys/block/$at/ro; done
mount -t ext4 /dev/sda1 /mnt || mount -t ext2 /dev/sda1 /mnt; mount -r /dev/sr0 /cd
(cd /mnt; ls -l hello noise; cat hello); (cd /cd; ls -l hello noise; cat hello)
md5sum /mnt/noise /cd/noise /dev/sr0
dd if=/cd/noise of=/mnt/copy bs=3000 2>/dev/null; sync; umount /mnt
dd if=/dev/zero of=/dev/sda bs=512 seek=40 count=300 conv=notrunc 2>/dev/null
dd if=/cd/noise of=/dev/sda bs=512 seek=100 count=70 conv=notrunc 2>/dev/null
dd if=/dev/sda bs=512 skip=30 count=400 2>/dev/null | md5sum
mount -t ext4 /dev/sda1 /mnt || mount -t ext2 /dev/sda1 /mnt; md5sum /mnt/copy; umount /mnt
dd if=/dev/sda of=/dev/null bs=512 skip=20000000 count=1 2>&1 | grep -v copied
cut -c1-2 /sys/class/rtc/rtc0/date; cat /sys/class/rtc/rtc0/name | cut -d' ' -f1
grep -h Name /proc/bus/input/devices | grep -v Mouse; grep -c PS/2 /proc/bus/input/devices
cat /proc/interrupts | awk '/XT-PIC/ {{ print $1, $4, $5, $6 }}' | sort
cat /proc/tty/driver/serial | cut -d' ' -f1-3 | head -2
echo {end}
sync; reboot -f
"""


def modules() -> list[Path]:
    """Files of the modules, each behind those that it needs."""
    there = {path.stem.replace("-", "_"): path for path in MODULES.rglob("*.ko")}
    found: list[Path] = []

    def need(name: str) -> None:
        path = there[name.replace("-", "_")]
        if path in found:
            return
        fields = path.read_bytes().split(b"\0")
        depends = next(field for field in fields if field.startswith(b"depends="))
        for other in depends[8:].decode().split(","):
            if other:
                need(other)
        found.append(path)

    for name in WANTED:
        need(name)
    return found


def ram_disk() -> bytes:
    files, folder = modules(), 0o40755
    said = "\n".join(path.name for path in files).encode()
    init = INIT.format(begin=BEGIN, end=END).encode()
    return linux.cpio(
        *((name, folder, b"", 0) for name in ("bin", "dev", "proc", "sys", "mnt", "cd", "m")),
        ("dev/console", 0o20600, b"", 0x501), ("modules", 0o100644, said, 0),
        ("bin/busybox", 0o100755, BUSYBOX.read_bytes(), 0), ("init", 0o100755, init, 0),
        *((f"m/{path.name}", 0o100644, path.read_bytes(), 0) for path in files),
    )  # fmt: skip


@pytest.fixture
def disks(tmp_path: Path) -> tuple[Path, Path]:
    """A disk with a partition of ext2, and a CD: the same two files are on both."""
    for tool in ("mke2fs", "xorriso"):
        if shutil.which(tool, path=f"{os.environ['PATH']}:/sbin:/usr/sbin") is None:
            pytest.skip(f"{tool} is not here")
    source, disk, cd = (tmp_path / name for name in ("source", "disk.img", "cd.iso"))
    source.mkdir()
    (source / "hello").write_text("hello\n")
    (source / "noise").write_bytes(bytes(n * n * 7 >> 5 & 0xFF for n in range(100_000)))
    for path in source.iterdir():
        os.utime(path, (0, 0))
    table = bytearray(SECTOR)
    entry = (
        bytes(4) + b"\x83\0\0\0" + PARTITION.to_bytes(4, "little") + SECTORS.to_bytes(4, "little")
    )
    table[446:462], table[510:] = entry, b"\x55\xaa"
    disk.write_bytes(table.ljust((PARTITION + SECTORS) * SECTOR, b"\0"))
    paths = f"{os.environ['PATH']}:/sbin:/usr/sbin"
    subprocess.run(
        ["mke2fs", "-q", "-t", "ext2", "-E", f"offset={PARTITION * SECTOR}", "-d", source, disk,
         f"{SECTORS // 2}k"],
        check=True, env=os.environ | {"PATH": paths},
    )  # fmt: skip
    subprocess.run(
        ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", cd, source],
        check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return disk, cd


def said(text: str) -> list[str]:
    """What the guest printed that is to be compared."""
    lines = [line.rstrip() for line in text.replace("\r", "").splitlines()]
    return lines[lines.index(BEGIN) + 1 : lines.index(END)] if END in lines else lines[-30:]


APPEND = "console=ttyS0,115200 quiet cryptomgr.notests"


def on_qemu(initrd: Path, disk: Path, cd: Path) -> list[str]:
    """The same, on the disk itself."""
    done = subprocess.run(
        [QEMU, "-accel", "tcg", "-display", "none", "-nodefaults", "-vga", "std", "-m", "128",
         "-kernel", str(KERNEL), "-initrd", str(initrd), "-append",
         f"{APPEND} acpi=off noapic nolapic",
         "-drive", f"file={disk},format=raw,if=ide,index=0",
         "-drive", f"file={cd},format=raw,if=ide,index=2,media=cdrom", "-rtc", "base=1980-01-01",
         "-serial", "stdio", "-no-reboot"],
        stdout=subprocess.PIPE, timeout=600, check=True,
    )  # fmt: skip
    return said(done.stdout.decode(errors="replace"))


@pytest.mark.long
@pytest.mark.skipif(KERNEL is None, reason=f"no kernel: {linux.KERNEL_VARIABLE} names none")
@pytest.mark.skipif(
    not is_of_32_bits(BUSYBOX), reason="no busybox of 32 bits: VGAEMU_BUSYBOX names none"
)
@pytest.mark.skipif(
    next(MODULES.rglob("ata_piix.ko"), None) is None, reason="no modules: VGAEMU_MODULES"
)
def test_drivers_find_what_they_find_on_qemu(disks: tuple[Path, Path], tmp_path: Path) -> None:
    """pytest -m long tests/test_linux_drivers.py, VGAEMU_LINUX, _BUSYBOX and _MODULES being set."""
    assert KERNEL is not None
    if shutil.which(QEMU) is None:
        pytest.skip(f"{QEMU} is not here")
    disk, cd = disks
    initrd = tmp_path / "initrd"
    initrd.write_bytes(ram_disk())
    drives = [f"hd={disk}", f"cd={cd}"]
    with Machine(
        KERNEL, memory=128, initrd=initrd, append=APPEND, drive=drives, no_reboot=True
    ) as machine:
        for _ in range(3000):
            machine.tick(10)
            if machine.ended:
                break
        assert machine.exit_code == 0
        assert machine.pc is not None
        ours = said(bytes(machine.pc.serial.text).decode(errors="replace"))
        written = next(one for one in machine.pc.disks if isinstance(one, DiskImage))
        after = bytes(written.data)
    theirs = on_qemu(initrd, disk, cd)
    assert ours == theirs
    # Sectors past the file system, whose superblock has the time of the last mount.
    assert after[: PARTITION * SECTOR] == disk.read_bytes()[: PARTITION * SECTOR]
