"""ATA disks and CD-ROM drives, register by register, in packets, and as guests have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from x86_helpers import call, make_pc
from x86_helpers import disk as boot_disk

from vgaemu import snapshot
from vgaemu.errors import GuestFault
from vgaemu.memslot import Memslot
from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.ata import PRIMARY, SECONDARY, AtaChannel, Drive
from vgaemu.pc.chips.ata_disk import AtaDisk
from vgaemu.pc.chips.atapi import CdDrive
from vgaemu.pc.chips.pci import PciBus
from vgaemu.pc.clock import StepClock
from vgaemu.pc.eltorito import Entry
from vgaemu.pc.images import DiskImage
from vgaemu.vga.device import Vga

SECTOR = 512
#: Two cylinders of 16 heads and 63 sectors.
SECTORS = 2 * 16 * 63
PATTERN = b"".join(number.to_bytes(2, "little") * 256 for number in range(SECTORS))


class Cable:
    """A channel on a bus of its own, and a host that waits as a driver does."""

    def __init__(self, drives: Sequence[Drive], place: tuple[int, int, int]) -> None:
        self.bus, self.clock = Bus(Vga(Memslot(64)), 2 << 20), StepClock()
        self.interrupts: list[int] = []
        self.base, self.control, _ = place
        self.chip = AtaChannel(self.bus, self.interrupts.append, self.clock, drives, place)

    def __getitem__(self, at: int) -> int:
        return self.bus.port_in(self.base + at, 1)

    def __setitem__(self, at: int, value: int) -> None:
        self.bus.port_out(self.base + at, 1, value)

    @property
    def alternate(self) -> int:
        return self.bus.port_in(self.control, 1)

    def write_control(self, value: int) -> None:
        self.bus.port_out(self.control, 1, value)

    def settle(self) -> int:
        """Wait for the end of BSY, as an interrupt does; returns the status."""
        for _ in range(10):
            if not self.alternate & 0x80:
                return self[7]
            self.clock.ns = self.chip.due_ns
            self.chip.advance(self.clock.ns)
        raise AssertionError("busy for ever")

    def command(self, command: int, *, lba: int = 0, count: int = 0, features: int = 0) -> int:
        self[6] = 0xE0 | lba >> 24
        self[1], self[2] = features, count
        self[3], self[4], self[5] = (lba >> shift & 0xFF for shift in (0, 8, 16))
        self[7] = command
        return self.settle()

    def data(self, count: int, size: int = 2) -> bytes:
        values = [self.bus.port_in(self.base, size) for _ in range(count // size)]
        return b"".join(value.to_bytes(size, "little") for value in values)

    def send(self, data: bytes, size: int = 2) -> None:
        for at in range(0, len(data), size):
            self.bus.port_out(self.base, size, int.from_bytes(data[at : at + size], "little"))

    def read_all(self) -> tuple[bytes, int]:
        """Blocks until there are no more, by a packet's byte counts; and the last status."""
        found = b""
        while (status := self.settle()) & 8:
            found += self.data(self[4] | self[5] << 8)
        return found, status


def make_image(data: bytes, **options: object) -> DiskImage:
    shape = (len(data) // (16 * 63 * SECTOR), 16, 63)
    return DiskImage(Path("disk.img"), bytearray(data), *shape, True, **options)


@pytest.fixture
def disk() -> Cable:
    return Cable([AtaDisk(make_image(PATTERN))], PRIMARY)


def image_of(cable: Cable) -> DiskImage:
    drive = cable.chip.devices[0].drive
    assert isinstance(drive, AtaDisk | CdDrive)
    return drive._image


def letters(words: bytes, first: int, count: int) -> str:
    swapped = words[2 * first : 2 * (first + count)]
    pairs = (swapped[at : at + 2][::-1] for at in range(0, len(swapped), 2))
    return b"".join(pairs).decode().rstrip()


def test_power_on_shows_the_signature_of_a_disk(disk: Cable) -> None:
    assert [disk[at] for at in range(1, 8)] == [1, 1, 1, 0, 0, 0xA0, 0x50]
    disk[6] = 0xB0  # the second drive is not there
    assert (disk[7], disk.alternate, disk[1]) == (0, 0, 0)
    disk[7] = 0xEC
    assert disk[7] == 0
    assert disk.interrupts == []


def test_identify(disk: Cable) -> None:
    disk[7] = 0xEC
    assert disk.alternate == 0x80
    disk[3] = 9  # not while it is busy
    assert disk.settle() == 0x58
    assert disk.interrupts == [14]
    data = disk.data(SECTOR)
    assert disk[7] == 0x50
    assert disk.interrupts == [14]
    word = [int.from_bytes(data[at : at + 2], "little") for at in range(0, SECTOR, 2)]
    assert (word[0], word[1], word[3], word[6], word[49] & 0x300) == (0x40, 2, 16, 63, 0x200)
    assert word[60] | word[61] << 16 == word[57] | word[58] << 16 == SECTORS
    assert (word[47], word[59]) == (0x8010, 0x110)
    assert letters(data, 27, 20) == "vgaemu disk"
    assert disk[3] == 1


@pytest.mark.parametrize("size", [2, 4])
def test_sectors_by_lba_and_by_chs(disk: Cable, size: int) -> None:
    assert disk.command(0x20, lba=1000, count=2) == 0x58
    assert disk.data(SECTOR, size) == PATTERN[1000 * SECTOR : 1001 * SECTOR]
    assert disk.settle() == 0x58
    assert disk.data(SECTOR, size) == PATTERN[1001 * SECTOR : 1002 * SECTOR]
    assert disk[7] == 0x50
    assert disk.interrupts == [14, 14]
    assert [disk[at] for at in range(2, 7)] == [0, 1001 & 0xFF, 1001 >> 8, 0, 0xE0]
    disk[2], disk[3], disk[4], disk[5], disk[6] = 1, 63, 1, 0, 0xAF
    disk[7] = 0x20
    assert disk.settle() == 0x58
    assert disk.data(SECTOR, size) == PATTERN[-SECTOR:]


def test_another_translation(disk: Cable) -> None:
    disk[2], disk[6] = 17, 0xA3  # 4 heads of 17 sectors
    disk[7] = 0x91
    assert disk.settle() == 0x50
    disk[2], disk[3], disk[4], disk[5], disk[6] = 1, 17, 1, 0, 0xA3
    disk[7] = 0x20
    assert disk.settle() == 0x58
    assert disk.data(SECTOR) == PATTERN[135 * SECTOR : 136 * SECTOR]
    disk[6] = 0xA4
    disk[7] = 0x20
    assert (disk.settle(), disk[1]) == (0x51, 0x10)


def test_256_sectors_are_a_count_of_0(disk: Cable) -> None:
    assert disk.command(0x20, lba=8) == 0x58
    read = b""
    while disk.alternate & 8:
        read += disk.data(SECTOR)
        disk.settle()
    assert read == PATTERN[8 * SECTOR : 264 * SECTOR]
    assert len(disk.interrupts) == 256


def test_several_sectors_a_block(disk: Cable) -> None:
    assert disk.command(0xC6, count=3) == 0x51
    assert disk[1] == 0x04
    assert disk.command(0xC6, count=4) == 0x50
    disk.interrupts.clear()
    assert disk.command(0xC4, lba=5, count=6) == 0x58
    assert (
        disk.data(4 * SECTOR) + (disk.settle() and disk.data(2 * SECTOR))
        == (PATTERN[5 * SECTOR : 11 * SECTOR])
    )
    assert len(disk.interrupts) == 2
    data = bytes(range(256)) * 12
    assert disk.command(0xC5, lba=5, count=6) == 0x58
    disk.send(data[: 4 * SECTOR])
    assert disk.settle() == 0x58
    disk.send(data[4 * SECTOR :])
    assert disk.settle() == 0x50
    assert image_of(disk).read(5, 6) == data
    assert disk.command(0xC6) == 0x50
    assert disk.command(0xC4, count=1) == 0x51


def test_writes_reach_the_one_disk(disk: Cable) -> None:
    data = b"\xa5\x5a" * 512
    assert disk.command(0x30, lba=7, count=2) == 0x58
    assert disk.interrupts == []  # the first block is asked for without
    disk.send(data[:SECTOR], 4)
    assert disk.alternate == 0x80
    assert disk.settle() == 0x58
    disk.send(data[SECTOR:])
    assert disk.settle() == 0x50
    assert disk.interrupts == [14, 14]
    image = image_of(disk)
    assert image.read(7, 2) == data
    assert sorted(image.originals) == [7, 8]
    assert disk.command(0xE7) == 0x50


def test_a_disk_that_cannot_be_written(tmp_path: Path) -> None:
    image = make_image(PATTERN, writable=True)
    image.path = tmp_path / "gone" / "disk.img"
    disk = Cable([AtaDisk(image)], PRIMARY)
    assert disk.command(0x30, lba=7, count=1) == 0x58
    disk.send(bytes(SECTOR))
    assert (disk.settle(), disk[1]) == (0x71, 0x04)


@pytest.mark.parametrize(
    ("command", "options", "status", "error"),
    [
        (0x20, {"lba": SECTORS, "count": 1}, 0x51, 0x10),
        (0x30, {"lba": SECTORS, "count": 1}, 0x51, 0x10),
        (0x40, {"lba": SECTORS - 1, "count": 2}, 0x51, 0x10),
        (0x40, {"lba": 0, "count": 9}, 0x50, 0x00),
        (0x70, {"lba": SECTORS - 1}, 0x50, 0x00),
        (0x70, {"lba": SECTORS}, 0x51, 0x10),
        (0xC8, {"count": 1}, 0x51, 0x04),  # READ DMA
        (0x24, {"count": 1}, 0x51, 0x04),  # READ SECTORS EXT
        (0xA0, {}, 0x51, 0x04),
        (0xA1, {}, 0x51, 0x04),
        (0x08, {}, 0x51, 0x04),
        (0xEF, {"features": 0x03, "count": 0x0C}, 0x50, 0x00),
        (0xEF, {"features": 0x03, "count": 0x42}, 0x51, 0x04),  # ultra DMA
        (0xEF, {"features": 0x82}, 0x50, 0x00),
        (0xEF, {"features": 0x05}, 0x51, 0x04),
        (0x10, {}, 0x50, 0x00),
        (0xE7, {}, 0x50, 0x00),
        (0x90, {}, 0x50, 0x01),
        (0x00, {}, 0x51, 0x04),
    ],
)  # fmt: skip
def test_how_commands_end(
    disk: Cable, command: int, options: dict[str, int], status: int, error: int
) -> None:
    assert (disk.command(command, **options), disk[1]) == (status, error)
    assert disk.interrupts == [14]


def test_reads_end_where_the_disk_does(disk: Cable) -> None:
    assert disk.command(0x20, lba=SECTORS - 1, count=3) == 0x58
    assert disk.data(SECTOR) == PATTERN[-SECTOR:]
    assert (disk.settle(), disk[1]) == (0x51, 0x10)
    assert disk[2] == 2  # so many are left


def test_a_verification_tells_the_sector_that_is_not_there(disk: Cable) -> None:
    assert disk.command(0x40, lba=SECTORS - 1, count=3) == 0x51
    assert disk[1] == 0x10
    assert disk[3] | disk[4] << 8 | disk[5] << 16 == SECTORS
    assert disk[2] == 2


def test_a_file_that_ends_within_a_cylinder_is_a_disk_of_its_sectors() -> None:
    # Its shape has whole cylinders, which systems that read the disk by CHS are told of.
    image = DiskImage(Path("disk.img"), bytearray(PATTERN[: 1100 * SECTOR]), 2, 16, 63, True)
    disk = Cable([AtaDisk(image)], PRIMARY)
    assert disk.command(0xEC) == 0x58
    data = disk.data(SECTOR)
    assert int.from_bytes(data[120:124], "little") == 1100
    assert disk.command(0x20, lba=1099, count=2) == 0x58
    assert disk.data(SECTOR) == PATTERN[1099 * SECTOR : 1100 * SECTOR]
    assert disk.settle() & 0x89 == 1
    assert disk[1] == 0x10


def test_power_is_on(disk: Cable) -> None:
    assert disk.command(0xE5) == 0x50
    assert disk[2] == 0xFF


def test_no_interrupts(disk: Cable) -> None:
    disk.write_control(2)
    disk[7] = 0xEC
    disk.clock.ns = disk.chip.due_ns
    assert disk.alternate == 0x58  # which takes back no interrupt
    assert disk.interrupts == []
    disk.write_control(0)
    assert disk.interrupts == [14]
    disk.write_control(2)
    assert disk[7] == 0x58
    disk.write_control(0)
    assert disk.interrupts == [14]


def test_software_reset(disk: Cable) -> None:
    disk.command(0x30, lba=3, count=1)
    disk.send(bytes(100))
    disk.write_control(4)
    assert disk.alternate == 0x80
    assert disk.chip.due_ns > 1 << 60
    disk.write_control(0)
    assert disk.settle() == 0x50
    assert [disk[at] for at in range(1, 7)] == [1, 1, 1, 0, 0, 0xA0]
    assert disk.interrupts == []
    assert image_of(disk).read(3, 1) == PATTERN[3 * SECTOR : 4 * SECTOR]


def test_data_that_nobody_asked_for(disk: Cable) -> None:
    assert disk.data(4) == bytes(4)
    disk.send(b"abcd")
    assert disk.command(0xEC) == 0x58
    disk.send(b"abcd")
    assert disk.data(2) == b"\x40\0"


@pytest.mark.parametrize("at", [0, 100, SECTOR - 2])
def test_a_state_in_the_middle(disk: Cable, at: int) -> None:
    disk.command(0xC6, count=2)
    for command in (0xC4, 0xC5):
        disk.command(command, lba=9, count=3)
        transfer = disk.data if command == 0xC4 else lambda count: disk.send(bytes(count))
        transfer(SECTOR + at)
        other = Cable([AtaDisk(image_of(disk))], PRIMARY)
        other.clock.ns = disk.clock.ns
        snapshot.restore(other.chip.parts(), snapshot.take(disk.chip.parts()))
        for one in (disk, other):
            if command == 0xC4:
                rest = one.data(SECTOR - at) + (one.settle() and one.data(SECTOR))
                assert rest == PATTERN[10 * SECTOR + at : 12 * SECTOR]
            else:
                one.send(b"x" * (SECTOR - at))
                assert one.settle() == 0x58
                one.send(b"y" * SECTOR)
                wanted = bytes(at) + b"x" * (SECTOR - at) + b"y" * SECTOR
                assert image_of(one).read(10, 2) == wanted
            assert one.settle() == 0x50


def test_two_drives_on_a_cable() -> None:
    """Registers of their own; both are written, the selected one answers and interrupts."""
    images = [make_image(PATTERN), make_image(PATTERN[::-1])]
    cable = Cable([AtaDisk(image, number) for number, image in enumerate(images)], PRIMARY)
    assert cable.command(0x20, lba=9, count=1) == 0x58
    assert cable.data(SECTOR) == images[0].read(9, 1)
    cable[6] = 0xF0
    assert [cable[at] for at in range(2, 6)] == [1, 9, 0, 0]  # what was written to both
    assert (cable[7], cable.interrupts) == (0x50, [14])
    cable[3], cable[7] = 17, 0x20
    cable[6] = 0xE0  # not while one of them is busy
    assert cable.settle() == 0x58
    assert cable.data(SECTOR) == images[1].read(17, 1)
    assert cable.interrupts == [14, 14]
    cable[6] = 0xE0
    assert (cable[3], cable[7]) == (17, 0x50)  # written to both, read by neither since
    cable[6], cable[7] = 0xF0, 0xEC
    cable.settle()
    assert letters(cable.data(SECTOR), 10, 10) == "2"
    cable[6], cable[7] = 0xF0, 0x90  # both test themselves, and the first tells of it
    assert cable.settle() == 0x50
    assert (cable[6], cable[1]) == (0xA0, 1)
    interrupts = len(cable.interrupts)
    cable[6] = 0xB0
    assert cable[1] == 1
    cable[6] = 0xA0
    assert len(cable.interrupts) == interrupts


def test_an_interrupt_goes_with_the_drive_that_is_selected() -> None:
    cable = Cable([AtaDisk(make_image(PATTERN), number) for number in (0, 1)], PRIMARY)
    lowered: list[int] = []
    cable.chip.lower_irq = lowered.append
    cable[6], cable[7] = 0xE0, 0xE7
    cable.clock.ns = cable.chip.due_ns
    cable.chip.advance(cable.clock.ns)
    assert (cable.interrupts, lowered) == ([14], [])
    cable[6] = 0xF0
    assert (cable.interrupts, lowered) == ([14], [14])
    cable[6] = 0xE0
    assert (cable.interrupts, lowered) == ([14, 14], [14])
    assert cable[7] == 0x50
    assert lowered == [14, 14]


def test_a_state_of_two_drives() -> None:
    def pair() -> Cable:
        return Cable([AtaDisk(make_image(PATTERN), number) for number in (0, 1)], PRIMARY)

    cable, other = pair(), pair()
    cable.command(0x20, lba=3, count=1)
    cable[6], cable[7] = 0xF0, 0xEC
    cable.settle()
    begin = cable.data(100)
    snapshot.restore(other.chip.parts(), snapshot.take(cable.chip.parts()))
    assert begin + other.data(SECTOR - 100) == begin + cable.data(SECTOR - 100)
    cable[6] = other[6] = 0xE0
    assert other.data(SECTOR) == cable.data(SECTOR) == PATTERN[3 * SECTOR : 4 * SECTOR]


def test_a_state_of_before_there_were_drives(disk: Cable) -> None:
    disk.command(0xEC)
    snapshot.restore(disk.chip.parts(), {})
    assert [disk[at] for at in range(1, 8)] == [1, 1, 1, 0, 0, 0xA0, 0x50]


# --- CD-ROM ---

DISC = b"".join(number.to_bytes(4, "big") * 512 for number in range(40))


@pytest.fixture
def cd() -> Cable:
    image = DiskImage(
        Path("cd.iso"), bytearray(DISC), 0, 0, 0, False, cd_boot=Entry(0, 0x7C0, 4, 20)
    )
    return Cable([CdDrive(image)], SECONDARY)


def packet(cable: Cable, text: str, most: int = 0xFFFE) -> tuple[bytes, int]:
    """Do a packet's command: what it answers, and how it ends."""
    cable[1], cable[4], cable[5] = 0, most & 0xFF, most >> 8
    cable[7] = 0xA0
    assert cable.alternate & 0x88 == 0x08
    assert cable[2] == 1
    cable.send(bytes.fromhex(text).ljust(12, b"\0"))
    return cable.read_all()


def test_the_signature_of_a_packet_device(cd: Cable) -> None:
    assert [cd[at] for at in range(1, 8)] == [1, 1, 1, 0x14, 0xEB, 0xA0, 0]
    cd[4] = cd[5] = 0
    cd[7] = 0xEC
    assert (cd.settle(), cd[1]) == (0x51, 0x04)
    assert (cd[4], cd[5]) == (0x14, 0xEB)
    assert cd.interrupts == [15]
    cd[7] = 0xA1
    assert cd.settle() == 0x58
    data = cd.data(SECTOR)
    assert data[:2] == b"\xc0\x85"
    assert letters(data, 27, 20) == "vgaemu CD-ROM"
    cd.settle()
    cd[7] = 0x08
    assert (cd.settle(), cd[4], cd[5]) == (0x50, 0x14, 0xEB)


def test_sectors_of_a_disc(cd: Cable) -> None:
    assert packet(cd, "28 00 00000003 00 0002 00") == (DISC[3 * 2048 : 5 * 2048], 0x50)
    assert cd[2] == 3
    assert cd.interrupts == [15, 15]
    assert packet(cd, "A8 00 00000027 00000001", 2048) == (DISC[39 * 2048 :], 0x50)
    # Blocks of less than a sector; an odd count is one less.
    cd.interrupts.clear()
    assert packet(cd, "28 00 00000001 00 0001 00", 701)[0] == DISC[2048:4096]
    assert len(cd.interrupts) == 4
    assert packet(cd, "28 00 00000001 00 0000 00") == (b"", 0x50)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("00", ""),
        ("03 00 00 00 12", "F000 00000000 000A 00000000 0000 00000000"),
        ("25", "00000027 00000800"),
        ("43 00 00 00 00 00 00 00 64", "0012 0101 00140100 00000000 0014AA00 00000028"),
        ("43 02 00 00 00 00 AA 00 64", "000A 0101 0014AA00 00000228"),
        ("43 00 01 00 00 00 00 00 64", "000A 0101 00140100 00000000"),
        ("43 00 00 00 00 00 00 00 04", "0012 0101"),
        ("46 00 00 00 00 00 00 00 08", "00000014 0000 0008"),
        ("4A 01 00 00 10 00 00 00 08", "0006 0410 00020000"),
        ("51 00 00 00 00 00 00 00 0A", "0020 0E 01 01 01 01 20 0000"),
        ("5A 00 01 00 00 00 00 00 40", "000E 01 0000000000 0106000500000000"),
        ("12 00 00 00 08", "05 80 00 21 1F 00 00 00"),
        ("1B", ""), ("1E", ""), ("2B", ""),
    ],
)  # fmt: skip
def test_packets(cd: Cable, command: str, answer: str) -> None:
    found, status = packet(cd, command)
    assert (found.hex(), status) == (bytes.fromhex(answer).hex(), 0x50)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("28 00 00000027 00 0002", 0x21), ("A8 00 FFFFFFFF FFFFFFFF", 0x21), ("2A", 0x20),
        ("43 00 04", 0x24), ("5A 00 08", 0x24), ("4A", 0x24),
    ],
)  # fmt: skip
def test_packets_that_fail_say_why(cd: Cable, command: str, code: int) -> None:
    assert packet(cd, command) == (b"", 0x51)
    assert (cd[1], cd[2]) == (0x54, 3)
    sense, status = packet(cd, "03 00 00 00 12")
    assert (sense[2], sense[12], status) == (5, code, 0x50)
    assert packet(cd, "03 00 00 00 12")[0][2] == 0


def test_packets_by_dma_are_refused(cd: Cable) -> None:
    cd[1] = 1
    cd[7] = 0xA0
    assert (cd.settle(), cd[1]) == (0x51, 0x04)


def test_a_state_of_a_cd_in_the_middle(cd: Cable) -> None:
    cd[7] = 0xA0
    cd.send(bytes.fromhex("28 00 00000003"))
    other = Cable([CdDrive(image_of(cd))], SECONDARY)
    snapshot.restore(other.chip.parts(), snapshot.take(cd.chip.parts()))
    for one in (cd, other):
        one.send(bytes.fromhex("00 0002 00"))
        assert one.alternate & 8
        one.send(b"\0\0")
        assert one.read_all() == (DISC[3 * 2048 : 5 * 2048], 0x50)
    snapshot.restore(other.chip.parts(), {})
    assert other[7] == 0


# --- PCI ---


@pytest.fixture
def pci() -> PciBus:
    return PciBus(Bus(Vga(Memslot(4096)), 2 << 20))


def config(pci: PciBus, function: int, at: int, size: int = 4) -> int:
    return pci.read(0, function, at, size)


def test_what_is_on_the_bus() -> None:
    bus = Bus(Vga(Memslot(4096)), 2 << 20)
    pci = PciBus(bus)
    found = {}
    for function in range(256):
        bus.port_out(0xCF8, 4, 0x80000000 | function << 8)
        assert bus.port_in(0xCF8, 4) == 0x80000000 | function << 8
        if (identity := bus.port_in(0xCFC, 4)) != 0xFFFFFFFF:
            bus.port_out(0xCF8, 4, 0x80000008 | function << 8)
            kind = bus.port_in(0xCFE, 2)
            found[function >> 3, function & 7] = f"{identity:08X} {kind:04X}"
            assert bus.port_in(0xCFD, 1) == bus.port_in(0xCFC, 4) >> 8 & 0xFF
    assert found == {
        (0, 0): "12378086 0600", (1, 0): "70008086 0601", (1, 1): "70108086 0101",
        (2, 0): "11111234 0300",
    }  # fmt: skip
    bus.port_out(0xCF8, 4, 0x80010000)  # there is no other bus
    assert bus.port_in(0xCFC, 4) == 0xFFFFFFFF
    bus.port_out(0xCF8, 4, 0)
    assert bus.port_in(0xCFC, 4) == 0xFFFFFFFF
    assert config(pci, 0x08, 0x0C) >> 16 & 0xFF == 0x80  # more functions in this device


def test_the_frame_buffer_is_sized_and_stays(pci: PciBus) -> None:
    assert config(pci, 0x10, 0x10) == 0xE0000008
    pci.write(0, 0x10, 0x10, 0xFFFFFFFF, 4)
    assert config(pci, 0x10, 0x10) == 0xFF000008  # 16 MiB
    pci.write(0, 0x10, 0x10, 0xE0000008, 4)
    assert config(pci, 0x10, 0x10) == 0xE0000008
    pci.write(0, 0x10, 0x14, 0xFFFFFFFF, 4)  # no other window
    assert config(pci, 0x10, 0x14) == 0
    with pytest.raises(GuestFault, match=r"moves the linear frame buffer to FD000000h \(BAR0"):
        pci.write(0, 0x10, 0x10, 0xFD000000, 4)


def test_what_can_be_written_and_what_cannot(pci: PciBus) -> None:
    pci.write(0, 0x10, 0x00, 0, 4)
    pci.write(0, 0x10, 0x3C, 0x010B, 2)
    assert (config(pci, 0x10, 0x00), config(pci, 0x10, 0x3C, 2)) == (0x11111234, 0x0B)
    pci.write(0, 0x10, 0x04, 0xFFFF, 2)
    assert config(pci, 0x10, 0x04, 2) == 0x0107
    saved = snapshot.take(pci.parts())
    other = PciBus(Bus(Vga(Memslot(4096)), 2 << 20))
    assert snapshot.misfit(other.parts(), saved) is None
    snapshot.restore(other.parts(), saved)
    assert config(other, 0x10, 0x04) == config(pci, 0x10, 0x04)
    snapshot.restore(other.parts(), {})
    assert config(other, 0x10, 0x04, 2) == 3
    saved["chips.pci_spaces"] = saved["chips.pci_spaces"].copy()
    saved["chips.pci_spaces"][3 * 256] ^= 1
    assert snapshot.misfit(other.parts(), saved) == "chips.pci_spaces"


def test_the_bus_by_bios_calls(tmp_path: Path) -> None:
    with make_pc(boot_disk(tmp_path, b"\xeb\xfe")) as pc:

        def ask(service: int, **registers: int) -> tuple[int, int]:
            cpu = pc.cpu
            flags = call(pc, 0x1A, ax=0xB100 | service, **registers)
            return cpu.ah, flags & 1

        cpu = pc.cpu
        assert ask(0x01) == (0, 0)
        assert (cpu.get("edx"), cpu.al, cpu.bx, cpu.cl) == (0x20494350, 1, 0x0210, 0)
        assert ask(0x02, cx=0x1111, dx=0x1234, si=0) == (0, 0)
        assert cpu.bx == 0x0010
        assert ask(0x02, cx=0x1111, dx=0x1234, si=1) == (0x86, 1)
        assert ask(0x02, cx=0, dx=0xFFFF) == (0x83, 1)
        cpu.set("ecx", 0x010100)
        assert ask(0x03, si=0) == (0, 0)
        assert cpu.bx == 0x0009
        cpu.set("ecx", 0x99999999)
        read = []
        for service, register in ((0x08, 0x13), (0x09, 0x02), (0x0A, 0x10)):
            assert ask(service, bx=0x0010, di=register) == (0, 0)
            read.append(cpu.get("ecx"))
        assert read == [0x999999E0, 0x99991111, 0xE0000008]
        assert ask(0x09, bx=0x0010, di=3) == (0x87, 1)
        assert ask(0x0A, bx=0x0010, di=0x100) == (0x87, 1)
        cpu.set("ecx", 0x0B)
        assert ask(0x0B, bx=0x0010, di=0x3C) == (0, 0)
        assert ask(0x08, bx=0x0010, di=0x3C) == (0, 0)
        assert cpu.cl == 0x0B
        assert ask(0x08, bx=0x0110, di=0) == (0, 0)
        assert cpu.cl == 0xFF  # there is no bus 1
        assert ask(0x0E) == (0x81, 1)


def test_a_reset_by_the_bus_ends_the_run(pci: PciBus) -> None:
    bus = Bus(Vga(Memslot(64)), 2 << 20)
    PciBus(bus)
    bus.port_out(0xCF9, 1, 0x02)
    with pytest.raises(GuestFault, match="CF9h"):
        bus.port_out(0xCF9, 1, 0x06)
