"""The 8254's counters by its data sheet: mode 3's halves, counts that wait, what is read back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from x86_helpers import disk

from vgaemu import Machine, snapshot
from vgaemu.memslot import Memslot
from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.pit import PIT_HZ, Pit
from vgaemu.pc.clock import StepClock
from vgaemu.vga.device import Vga


class Frozen(StepClock):
    """Looks cost no time."""

    def polled(self) -> None:
        """Nothing."""


class Bench:
    """A timer on a bus of its own, at whatever time one wants."""

    def __init__(self) -> None:
        self.bus = Bus(Vga(Memslot(64)), 2 << 20)
        self.clock = Frozen()
        #: Ticks at which IRQ 0 came.
        self.irqs: list[int] = []
        self.pit = Pit(self.bus, lambda irq: self.irqs.append(self.ticks), self.clock)
        self.ticks = 0

    def go(self, ticks: int) -> None:
        """Be at the begin of a tick, and raise what is due until then."""
        for tick in range(self.ticks, ticks + 1):
            self.ticks = tick
            self.clock.ns = -(-self.ticks * 10**9 // PIT_HZ)
            self.pit.advance(self.clock.ns)

    def program(self, word: int, count: int) -> None:
        self.bus.port_out(0x43, 1, word)
        self.write(word >> 6, count)

    def write(self, channel: int, count: int) -> None:
        self.bus.port_out(0x40 + channel, 1, count & 0xFF)
        self.bus.port_out(0x40 + channel, 1, count >> 8)

    def count(self, channel: int = 0) -> int:
        self.bus.port_out(0x43, 1, channel << 6)
        low, high = (self.bus.port_in(0x40 + channel, 1) for _ in range(2))
        return low | high << 8

    def status(self, channel: int = 0) -> int:
        self.bus.port_out(0x43, 1, 0xE0 | 2 << channel)
        return self.bus.port_in(0x40 + channel, 1)


#: Mode 3: a count, and what is in the counter while its output is high and low, tick by tick. Of an
#: odd count one less is loaded, and the high half is a tick longer.
SQUARES = {
    2: ([2], [2]),
    4: ([4, 2], [4, 2]),
    5: ([4, 2, 0], [4, 2]),
    7: ([6, 4, 2, 0], [6, 4, 2]),
    10: ([10, 8, 6, 4, 2], [10, 8, 6, 4, 2]),
}


@pytest.mark.parametrize("count", SQUARES)
def test_mode_3_counts_by_twos_in_each_half(count: int) -> None:
    bench, found = Bench(), []
    bench.program(0xB6, count)
    bench.bus.port_out(0x61, 1, 1)  # channel 2's gate
    for tick in range(3 * count):
        bench.go(tick)
        found.append((bench.count(2), bench.bus.port_in(0x61, 1) >> 5 & 1))
    high, low = SQUARES[count]
    period = [*((value, 1) for value in high), *((value, 0) for value in low)]
    assert found == 3 * period


@pytest.mark.parametrize(
    ("count", "at", "value"),
    [(0, 0, 0), (0, 1, 0xFFFE), (0, 0x8000, 0), (0xFFFF, 0, 0xFFFE), (0xFFFF, 0x7FFF, 0)],
)
def test_mode_3_of_the_largest_counts(count: int, at: int, value: int) -> None:
    bench = Bench()
    bench.program(0x36, count)
    bench.clock.ns = -(-at * 10**9 // PIT_HZ)
    assert bench.count() == value


def test_a_new_count_in_mode_3_waits_for_the_end_of_a_half() -> None:
    bench, found = Bench(), {}
    bench.program(0x36, 1000)
    written = {300: 400, 400: 200, 650: 600}
    values = {499: 2, 500: 200, 501: 198, 600: 200, 699: 2, 700: 600, 999: 2, 1000: 600, 1300: 600}
    for tick in sorted({*written, *values}):
        bench.go(tick)
        if tick in written:
            bench.write(0, written[tick])
            assert bench.status() & 0x7F == 0x40 | 0x36  # it is still to be loaded
        if tick in values:
            found[tick] = bench.count()
    assert found == values
    assert bench.status() & 0x7F == 0x36
    bench.go(2300)
    assert bench.irqs == [600, 1000, 1600, 2200]


def test_a_new_count_in_mode_2_waits_for_the_end_of_the_period() -> None:
    bench = Bench()
    bench.program(0x34, 1000)
    bench.go(300)
    bench.write(0, 400)
    assert (bench.count(), bench.status()) == (700, 0x80 | 0x40 | 0x34)
    bench.go(999)
    assert (bench.count(), bench.status()) == (1, 0x40 | 0x34)  # low for the last tick
    bench.go(1000)
    assert (bench.count(), bench.status()) == (400, 0x80 | 0x34)
    bench.go(2300)
    assert bench.irqs == [1000, 1400, 1800, 2200]


def test_a_count_for_a_one_shot_waits_for_the_gate() -> None:
    bench = Bench()
    bench.program(0xB2, 100)
    assert bench.status(2) == 0x80 | 0x40 | 0x32
    bench.bus.port_out(0x61, 1, 1)
    assert bench.status(2) == 0x32  # low while it counts
    bench.go(50)
    bench.write(2, 30)
    assert (bench.count(2), bench.status(2)) == (50, 0x40 | 0x32)
    bench.go(100)
    assert bench.status(2) == 0x80 | 0x40 | 0x32
    bench.bus.port_out(0x61, 1, 0)
    bench.bus.port_out(0x61, 1, 1)
    assert (bench.count(2), bench.status(2)) == (30, 0x32)


@pytest.mark.parametrize("word", range(0x10, 0x40))
def test_the_control_word_is_read_back_as_it_was_written(word: int) -> None:
    bench = Bench()
    bench.bus.port_out(0x43, 1, 0x80 | word)
    assert bench.status(2) & 0x7F == 0x40 | word


def test_interrupts_keep_to_the_count_for_hours() -> None:
    bench, times = Bench(), []
    bench.pit._raise_irq = lambda irq: times.append(bench.pit.next_irq_ns)
    bench.program(0x34, 11_932)
    while len(times) < 100_000:
        bench.pit.advance(bench.pit.next_irq_ns)
    assert times[-1] == -(-100_000 * 11_932 * 10**9 // PIT_HZ)


def test_a_count_that_waits_is_saved() -> None:
    bench, again = Bench(), Bench()
    bench.program(0x36, 1000)
    bench.go(300)
    bench.write(0, 400)
    again.ticks, again.clock.ns = bench.ticks, bench.clock.ns
    snapshot.restore(again.pit.parts(), snapshot.take(bench.pit.parts()))
    for one in (bench, again):
        one.go(1200)
    assert (again.irqs, again.count(), again.status()) == (
        bench.irqs, bench.count(), bench.status(),
    )  # fmt: skip
    assert again.irqs == [700, 1100]
    arrays = snapshot.take(bench.pit.parts())
    del arrays["chips.pit_written"]  # a state of before
    snapshot.restore(again.pit.parts(), arrays)
    assert again.status() & 0x7F == 0x36


QEMU = "qemu-system-i386"
#: Sets channel 2 by control words 10h to 3Fh, and prints to port E9h what each is read back as, but
#: for its two lines. Then 20,000 looks at C350h in mode 3: bit 0 of any, and the greatest's upper
#: byte.
READS_BACK = bytes.fromhex(
    "fab001e661b31088d80c80e643b064e642e642b0e8e643e442243fe6e9fec380fb4072e3b0b6e643"
    "b050e642b0c3e64231d231f6b9204eb080e643e44288c4e44286c408c239f0760289c6e2ea88d024"
    "01e6e989f088e0e6e9b001e6f4f4"
)


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
def test_what_is_read_back_is_as_on_qemu(tmp_path: Path) -> None:
    """Odd counts are not: QEMU's code says of itself that it may be wrong there."""
    pytest.importorskip("unicorn")
    image, log = disk(tmp_path, READS_BACK), tmp_path / "log"
    subprocess.run(
        [QEMU, "-display", "none", "-debugcon", f"file:{log}", "-device",
         "isa-debug-exit,iobase=0xf4", "-drive", f"if=floppy,format=raw,file={image}"],
        timeout=60, check=False,
    )  # fmt: skip
    with Machine(image, vram_mib=1, exit_port=0xF4) as machine:
        machine.tick(120)
        assert machine.ended
        assert machine.pc is not None
        assert bytes(machine.pc.debug.console) == log.read_bytes()
    assert log.read_bytes() == bytes((*range(0x10, 0x40), 0x00, 0xC3))
