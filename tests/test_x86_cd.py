"""ISO images that boot by El Torito; `tests/kernels` has source and bytes of what they boot."""

from __future__ import annotations

import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest
from x86_helpers import CPUS, boot_sector, call, make_pc

from vgaemu.cli.main import main
from vgaemu.machine import Machine
from vgaemu.pc.formats import load_image
from vgaemu.pc.images import DiskImage

pytest.importorskip("unicorn")
BOOTED = (Path(__file__).parent / "kernels" / "cd.bin").read_bytes()
QEMU = "qemu-system-i386"
SECTOR = 2048
#: Drive, sectors of 2048 bytes, what is in sector 24, drive and first sector once more; an error.
SAID = "E0 08 here E0 14 c\n"


def iso(
    booted: bytes = BOOTED, *, media: int = 0, segment: int = 0, sectors: int = 4,
    boot: bytes = b"\0" * SECTOR, bootable: int = 0x88,
) -> bytes:  # fmt: skip
    """An image: descriptors from sector 16 on, the catalogue in 19, what is booted from 20 on."""
    names = b"\1CD001\1\0", b"\0CD001\1EL TORITO SPECIFICATION", b"\xffCD001\1"
    primary, record, end = (bytearray(name.ljust(SECTOR, b"\0")) for name in names)
    record[0x47:0x4B] = struct.pack("<I", 19)
    validation = bytearray(b"\1".ljust(30, b"\0") + b"\x55\xaa")
    validation[28:30] = struct.pack("<H", 0x10000 - 0xAA55 - 1)
    entry = struct.pack("<BBHBxHI20x", bootable, media, segment, 0, sectors, 20)
    catalogue = (bytes(validation) + entry).ljust(SECTOR, b"\0")
    image = boot.ljust(16 * SECTOR, b"\0") + primary + record + end + catalogue
    image += booted.ljust(4 * SECTOR, b"\0")
    return image + b"here \0".ljust(SECTOR, b"\0") + bytes(SECTOR)


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(("segment", "name"), [(0, "os.iso"), (0x7C0, "os"), (0, "os.img")])
def test_without_emulation(tmp_path: Path, segment: int, name: str, cpu: str) -> None:
    (tmp_path / name).write_bytes(iso(segment=segment))
    with Machine(tmp_path / name, cpu=cpu) as machine:
        for _ in range(100):
            machine.tick()
            if machine.debugcon.endswith("\n"):
                break
        assert machine.debugcon == SAID
        assert machine.screen.text()[0].rstrip() == SAID.rstrip()


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
def test_qemu_says_the_same(tmp_path: Path) -> None:
    image, log = tmp_path / "os.iso", tmp_path / "log"
    image.write_bytes(iso())
    qemu = subprocess.Popen(
        [QEMU, "-display", "none", "-nodefaults", "-vga", "std", "-debugcon", f"file:{log}",
         "-cdrom", str(image)],
    )  # fmt: skip
    try:
        for _ in range(200):
            time.sleep(0.05)
            if log.is_file() and log.read_bytes().endswith(b"\n"):
                break
    finally:
        qemu.kill()
        qemu.wait()
    assert log.read_text("ascii") == SAID


@pytest.mark.parametrize(
    ("media", "shape"),
    [(1, (80, 2, 15)), (2, (80, 2, 18)), (3, (80, 2, 36)), (4, (1, 16, 63))],
)
def test_emulated_disks(tmp_path: Path, media: int, shape: tuple[int, int, int]) -> None:
    sector = boot_sector(b"\xb0\x2a\xe6\xe9\xfa\xf4")
    (tmp_path / "os.iso").write_bytes(iso(sector, media=media))
    image = load_image(str(tmp_path / "os.iso"), [])
    assert isinstance(image, DiskImage)
    assert (image.cylinders, image.heads, image.sectors) == shape
    assert (image.is_hard_disk, image.number) == (media == 4, 0x80 * (media == 4))
    with Machine(tmp_path / "os.iso") as machine:
        machine.tick(2)
        assert machine.debugcon == "*"


def test_an_image_with_a_boot_sector_is_what_its_name_says(tmp_path: Path) -> None:
    hybrid = iso(boot=boot_sector(b"\xf4"))
    numbers = {}
    for name, drive in (("a.iso", None), ("a.img", None), ("a.img", "cd"), ("a.iso", "hd")):
        (tmp_path / name).write_bytes(hybrid)
        image = load_image(str(tmp_path / name), [], drive=drive)
        assert isinstance(image, DiskImage)
        numbers[name, drive] = image.number
    assert [*numbers.values()] == [0xE0, 0x00, 0xE0, 0x80]


def test_calls_that_a_cd_has_not(tmp_path: Path) -> None:
    (tmp_path / "os.iso").write_bytes(iso())
    with make_pc(tmp_path / "os.iso") as pc:
        packet = struct.pack("<BBHHHQ", 16, 0, 1, 0x8000, 0, 24)
        pc.bus.write(0x9000, packet)
        for ah, error in ((2, 1), (3, 1), (8, 1), (0x18, 1), (0x43, 3)):
            flags = call(pc, 0x13, ax=ah << 8 | 1, cx=1, dx=0xE0, ds=0x900, si=0)
            assert (flags & 1, pc.cpu.ah) == (1, error), ah
        assert call(pc, 0x13, ah=2, dl=0x80) & 1
        pc.bus.write(0x9000, packet)  # 43h has said that it wrote nothing
        assert not call(pc, 0x13, ax=0x4200, dx=0xE0, ds=0x900, si=0) & 1
        assert pc.bus.read(0x8000, 5) == b"here "


@pytest.mark.parametrize(
    ("data", "options", "words"),
    [
        (iso(bootable=0), [], "no El Torito entry"),
        (iso()[: 17 * SECTOR], [], "no El Torito entry"),
        (iso()[: 18 * SECTOR + 100], [], "no El Torito entry"),
        (iso()[: 19 * SECTOR + 40], [], "no El Torito entry"),
        (boot_sector(b"\xf4"), ["--drive", "cd"], "--drive cd: no ISO image"),
        (iso(), ["word"], "takes no arguments"),
    ],
    ids=["", "", "", "", "", ""],
)
def test_images_that_do_not_boot(
    tmp_path: Path, data: bytes, options: list[str], words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = tmp_path / "os.iso"
    path.write_bytes(data)
    assert main(["run", str(path), "--headless", "--frames", "1", *options]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said
