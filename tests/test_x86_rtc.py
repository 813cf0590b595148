"""The battery-backed clock, register by register, and drives as a guest on each CPU has them."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from x86_helpers import CPUS

from vgaemu import snapshot
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.cmos import Cmos
from vgaemu.pc.clock import NEVER_NS, StepClock
from vgaemu.pc.images import DiskImage
from vgaemu.vga.device import Vga

SECOND_NS = 10**9
GUEST = Path(__file__).parent / "kernels" / "drives.img"
SAID = """ata 07E0 0040 
read 5F7A 5800 4104 
write F148 5800 5000 
pci 1111 1234 0300 0002 1237 8086 
clock 0002 
line ABC
"""  # the guest says so
QEMU = "qemu-system-i386"


class Rtc:
    """The clock on a bus of its own; time passes as a PC lets it pass."""

    def __init__(self) -> None:
        self.bus, self.clock = Bus(Vga(Memslot(64)), 2 << 20), StepClock()
        self.interrupts: list[int] = []
        self.chip = Cmos(self.bus, self.clock, self.bus.ram_bytes, self._raise_irq)

    def _raise_irq(self, irq: int) -> None:
        assert irq == 8
        self.interrupts.append(self.clock.ns)

    def __getitem__(self, at: int) -> int:
        self.bus.port_out(0x70, 1, at)
        return self.bus.port_in(0x71, 1)

    def __setitem__(self, at: int, value: int) -> None:
        self.bus.port_out(0x70, 1, at)
        self.bus.port_out(0x71, 1, value)

    def passes(self, ns: int) -> None:
        end = self.clock.ns + ns
        while (due := self.chip.due_ns) <= end:
            self.clock.ns = max(due, self.clock.ns)
            self.chip.advance(self.clock.ns)
        self.clock.ns = end

    @property
    def time(self) -> list[int]:
        return [self[at] for at in (0x32, 9, 8, 7, 4, 2, 0)]


@pytest.fixture
def rtc() -> Rtc:
    return Rtc()


def test_set_through_the_ports(rtc: Rtc) -> None:
    rtc[0x0B] = 0x82
    for at, value in zip((0x32, 9, 8, 7, 4, 2, 0), (0x20, 0x24, 2, 0x29, 0x23, 0x59, 0x58),
                         strict=True):  # fmt: skip
        rtc[at] = value
    rtc.passes(5 * SECOND_NS)
    assert rtc.time == [0x20, 0x24, 2, 0x29, 0x23, 0x59, 0x58]  # it stands
    rtc[0x0B] = 0x02
    rtc.passes(2 * SECOND_NS)
    assert rtc.time == [0x20, 0x24, 3, 1, 0, 0, 0]
    assert rtc[6] == 6  # a Friday
    rtc[2] = 0x30  # without SET: at once
    assert rtc.time == [0x20, 0x24, 3, 1, 0, 0x30, 0]
    rtc[8] = 0x13  # no month
    assert rtc.time == [0x20, 0x24, 3, 1, 0, 0x30, 0]
    assert rtc.chip.now()[:6] == (2024, 3, 1, 0, 30, 0)


@pytest.mark.parametrize(
    ("hour", "modes"),
    [
        (0, (0x00, 0x00, 0x12, 12)), (1, (0x01, 1, 0x01, 1)), (11, (0x11, 11, 0x11, 11)),
        (12, (0x12, 12, 0x92, 0x8C)), (13, (0x13, 13, 0x81, 0x81)), (23, (0x23, 23, 0x91, 0x8B)),
    ],
)  # fmt: skip
def test_hours(rtc: Rtc, hour: int, modes: tuple[int, ...]) -> None:
    rtc.chip.set(2000, 1, 1, hour, 0, 0)
    read = []
    for mode in (0x02, 0x06, 0x00, 0x04):
        rtc[0x0B] = mode
        read.append(rtc[4])
        rtc[4] = rtc[4]
        assert rtc.chip.now().tm_hour == hour
    assert tuple(read) == modes


def test_the_update_flag_is_up_before_a_second(rtc: Rtc) -> None:
    rises = SECOND_NS - 2_228_000
    rtc.clock.ns = rises - 10_000
    assert rtc[0x0A] == 0x26
    rtc.clock.ns = rises
    assert rtc[0x0A] == 0xA6
    rtc.clock.ns = 2 * SECOND_NS
    assert rtc[0x0A] == 0x26
    rtc[0x0B] = 0x82
    rtc.clock.ns = 3 * SECOND_NS - 100_000
    assert rtc[0x0A] == 0x26  # no update while it is set


def test_periodic_interrupts_wait_until_the_flag_is_read(rtc: Rtc) -> None:
    rtc[0x0B] = 0x42
    rtc.passes(SECOND_NS)
    assert rtc.interrupts == [976_563]
    assert rtc.chip.due_ns == NEVER_NS
    assert rtc[0x0C] == 0xD0  # an update, too, which nobody asked for
    assert rtc[0x0C] == 0
    for rate, hertz in ((0x26, 1024), (0x2F, 2), (0x23, 8192), (0x21, 256), (0x22, 128)):
        rtc[0x0A] = rate
        rtc.interrupts.clear()
        end = rtc.clock.ns + SECOND_NS
        while (due := rtc.chip.due_ns) <= end:
            rtc.passes(max(due - rtc.clock.ns, 0))
            assert rtc[0x0C] & 0xC0 == 0xC0
        rtc.passes(max(end - rtc.clock.ns, 0))
        assert hertz - 1 <= len(rtc.interrupts) <= hertz, rate
    rtc[0x0A] = 0x20
    assert rtc.chip.due_ns == NEVER_NS


def test_alarms(rtc: Rtc) -> None:
    rtc.chip.set(2000, 1, 1, 7, 59, 58)
    rtc[5], rtc[3], rtc[1] = 0x08, 0x00, 0x01
    rtc[0x0B] = 0x22
    rtc.passes(2 * SECOND_NS)
    assert rtc.interrupts == []
    rtc.passes(2 * SECOND_NS)
    assert rtc.interrupts == [3 * SECOND_NS]
    assert rtc[0x0C] & 0xA0 == 0xA0
    rtc.passes(3600 * SECOND_NS)
    assert len(rtc.interrupts) == 1
    rtc[5] = 0xFF  # any hour
    rtc.passes(3600 * SECOND_NS)
    assert len(rtc.interrupts) == 2
    assert rtc[0x0C] & 0x20


def test_updates(rtc: Rtc) -> None:
    rtc[0x0B] = 0x12
    rtc.passes(SECOND_NS // 2)
    assert rtc.interrupts == []
    rtc.passes(SECOND_NS)
    assert rtc.interrupts == [SECOND_NS]
    assert rtc[0x0C] & 0x90 == 0x90


def test_a_state_has_its_interrupts(rtc: Rtc) -> None:
    rtc[0x0B] = 0x12
    rtc.passes(SECOND_NS + 5)
    other = Rtc()
    other.clock.ns = rtc.clock.ns
    snapshot.restore(other.chip.parts(), snapshot.take(rtc.chip.parts()))
    for one in (rtc, other):
        assert one[0x0C] & 0x90 == 0x90
        one.passes(SECOND_NS)
        assert one.interrupts[-1] == 2 * SECOND_NS
    older = {name: array for name, array in snapshot.take(rtc.chip.parts()).items()
             if name != "chips.rtc"}  # fmt: skip
    snapshot.restore(other.chip.parts(), older)
    assert other.chip.due_ns == NEVER_NS


@pytest.mark.parametrize(
    ("disk", "found"),
    [
        (DiskImage(Path("a"), bytearray(720 << 10), 80, 2, 9, False), (0x30, 0x23, 0)),
        (DiskImage(Path("a"), bytearray(1440 << 10), 80, 2, 18, False), (0x40, 0x23, 0)),
        (DiskImage(Path("a"), bytearray(512), 80, 16, 63, True), (0x00, 0x22, 0xF0)),
    ],
)
def test_drives_in_its_ram(rtc: Rtc, disk: DiskImage, found: tuple[int, ...]) -> None:
    rtc.chip.note_drives([disk])
    assert (rtc[0x10], rtc[0x14], rtc[0x12]) == found
    assert rtc[0x2E] << 8 | rtc[0x2F] == sum(rtc[at] for at in range(0x10, 0x2E))
    if disk.is_hard_disk:
        assert (rtc[0x19], rtc[0x1B] | rtc[0x1C] << 8, rtc[0x1D], rtc[0x23]) == (47, 80, 16, 63)


# --- as a guest has it, with ATA and PCI ---


@pytest.fixture
def hard_disk(tmp_path: Path) -> Path:
    """The guest on two cylinders, which another machine rounds as it likes."""
    path = tmp_path / "drives.img"
    fill = b"".join(bytes(7 * number + at & 0xFF for at in range(512)) for number in range(4, 64))
    path.write_bytes((GUEST.read_bytes() + fill).ljust(2 * 16 * 63 * 512, b"\0"))
    return path


@pytest.mark.parametrize("cpu", CPUS)
def test_a_guest_reads_by_ata_and_switches_itself_off(cpu: str, hard_disk: Path) -> None:
    before = hard_disk.read_bytes()
    with Machine(hard_disk, cpu=cpu, drive="hd") as machine:
        assert machine.pc is not None
        has_written = False
        for _ in range(1000):
            if not machine.tick():
                break
            if "line" in machine.serial and not has_written:
                has_written = machine.serial.write("abc.") == 4
        assert machine.serial == SAID
        assert (machine.ended, machine.exit_code) == (True, 0)
        disk = machine.pc.image
        assert isinstance(disk, DiskImage)
        assert disk.read(11, 1)[:510] == disk.read(9, 1)[2:]
    assert hard_disk.read_bytes() == before


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
def test_qemu_has_the_same(hard_disk: Path) -> None:
    process = subprocess.Popen(
        [QEMU, "-display", "none", "-nodefaults", "-vga", "std", "-serial", "stdio",
         "-drive", f"format=raw,file={hard_disk},if=ide,snapshot=on"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        said, begin = b"", time.monotonic()
        while b"line " not in said and time.monotonic() < begin + 30:
            said += process.stdout.read1()
        process.stdin.write(b"abc.")
        process.stdin.flush()
        said += process.communicate(timeout=30)[0]
    finally:
        process.kill()
        process.wait()
    assert said.decode() == SAID
    assert process.returncode == 0
