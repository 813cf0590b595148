"""The PC's chips on their own, and the attached VGA of one's own Unicorn script."""

from __future__ import annotations

import chip_ports
import numpy as np
import pytest

import vgaemu
from vgaemu import snapshot
from vgaemu.errors import GuestFault
from vgaemu.keys import scancodes
from vgaemu.keys.queue import Key, Keys
from vgaemu.memslot import Memslot
from vgaemu.pc.bus import Bus, TappedBus
from vgaemu.pc.chips.cmos import Cmos
from vgaemu.pc.chips.i8042 import I8042
from vgaemu.pc.chips.pic import Pic
from vgaemu.pc.chips.pit import PIT_HZ, Pit
from vgaemu.pc.clock import StepClock
from vgaemu.pc.pace import WallClock
from vgaemu.vga.device import Vga


@pytest.fixture
def bus() -> Bus:
    return Bus(Vga(Memslot(64)), 2 << 20)


def test_pic_priorities_masks_and_ends(bus: Bus) -> None:
    pic = Pic(bus)
    pic.raise_irq(1)
    pic.raise_irq(0)
    assert pic.acknowledge() == 8
    assert not pic.has_interrupt()  # IRQ 0 is in service
    bus.port_out(0x20, 1, 0x20)
    assert pic.acknowledge() == 9
    bus.port_out(0x20, 1, 0x61)  # specific
    bus.port_out(0x21, 1, 0x02)
    pic.raise_irq(1)
    assert not pic.has_interrupt()
    bus.port_out(0x21, 1, 0x00)
    assert pic.has_interrupt()
    for port, value in ((0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1)):
        bus.port_out(port, 1, value)
    pic.raise_irq(12)
    assert pic.acknowledge() == 0x74
    bus.port_out(0x20, 1, 0x0B)
    assert bus.port_in(0x20, 1) == 0x04


def test_a_line_has_to_stay_high_until_it_is_acknowledged(bus: Bus) -> None:
    """The 8259A's data sheet; QEMU delivers these all the same."""
    pic = Pic(bus)
    pic.raise_irq(5)
    pic.lower_irq(5)
    assert not pic.has_interrupt()
    assert bus.port_in(0x20, 1) == 0
    pic.raise_irq(12)  # of the second controller, whose output is the first one's line 2
    assert pic.has_interrupt()
    pic.lower_irq(12)
    assert not pic.has_interrupt()
    pic.raise_irq(12)
    bus.port_out(0xA1, 1, 0x10)  # so is one that is masked in between
    assert not pic.has_interrupt()
    bus.port_out(0xA1, 1, 0x00)
    assert pic.acknowledge() == 0x74
    pic.lower_irq(12)  # it is in service
    assert bus.port_in(0xA0, 1) == 0
    bus.port_out(0xA0, 1, 0x0B)
    assert bus.port_in(0xA0, 1) == 0x10


def test_a_key_that_is_polled_for_interrupts_no_more(bus: Bus) -> None:
    pic, keys, clock = Pic(bus), Keys(), Frozen()
    keyboard = I8042(bus, pic.raise_irq, clock, keys)
    keyboard.lower_irq = pic.lower_irq
    keys.press("a")
    keyboard.advance(0)
    assert pic.has_interrupt()
    assert bus.port_in(0x60, 1) == 0x1E
    assert not pic.has_interrupt()


def test_a_clock_whose_flags_are_read_interrupts_no_more(bus: Bus) -> None:
    pic, clock = Pic(bus), Frozen()
    cmos = Cmos(bus, clock, bus.ram_bytes, pic.raise_irq)
    cmos.lower_irq = pic.lower_irq
    bus.port_out(0x70, 1, 0x0B)
    bus.port_out(0x71, 1, 0x12)  # an update each second
    clock.ns = 10**9
    cmos.advance(clock.ns)
    assert pic.has_interrupt()
    bus.port_out(0x70, 1, 0x0C)
    assert bus.port_in(0x71, 1) & 0x90 == 0x90
    assert not pic.has_interrupt()


class Frozen(StepClock):
    """Looks cost no time."""

    def polled(self) -> None:
        """Nothing."""


def ticks(count: int) -> int:
    """Nanoseconds after which the timer has counted that far."""
    return -(-count * 10**9 // PIT_HZ)


def test_pit_counts_latches_and_interrupts(bus: Bus) -> None:
    clock = StepClock()
    pic = Pic(bus)
    pit = Pit(bus, pic.raise_irq, clock)
    bus.port_out(0x43, 1, 0x34)  # channel 0, both bytes, mode 2
    bus.port_out(0x40, 1, 0xE8)
    bus.port_out(0x40, 1, 0x03)  # 1000
    clock.ns = 500 * 10**9 // PIT_HZ
    bus.port_out(0x43, 1, 0x00)
    low, high = bus.port_in(0x40, 1), bus.port_in(0x40, 1)
    assert 498 <= low | high << 8 <= 502
    pit.advance(clock.ns)
    assert not pic.has_interrupt()
    interrupts = 0
    for at in range(0, 10**9, 100_000):
        pit.advance(at)
        if pic.has_interrupt():
            pic.acknowledge()
            bus.port_out(0x20, 1, 0x20)
            interrupts += 1
    assert interrupts in (1192, 1193)


def test_pit_reads_back_status_and_count(bus: Bus) -> None:
    clock = Frozen()
    Pit(bus, Pic(bus).raise_irq, clock)
    bus.port_out(0x43, 1, 0x34)  # channel 0, both bytes, mode 2
    bus.port_out(0x43, 1, 0xE2)  # status of channel 0
    assert bus.port_in(0x40, 1) & 0x7F == 0x40 | 0x34  # its count is still to come
    bus.port_out(0x40, 1, 0xE8)
    bus.port_out(0x40, 1, 0x03)
    bus.port_out(0x43, 1, 0xC2)  # status and count: status first
    assert bus.port_in(0x40, 1) == 0x80 | 0x34
    assert bus.port_in(0x40, 1) | bus.port_in(0x40, 1) << 8 >= 990
    clock.ns = ticks(999)
    bus.port_out(0x43, 1, 0xE2)
    bus.port_out(0x43, 1, 0xE2)  # latched already
    assert bus.port_in(0x40, 1) == 0x34  # low for the last tick
    clock.ns = ticks(1900)
    assert bus.port_in(0x40, 1) | bus.port_in(0x40, 1) << 8 <= 100


def irqs(pic: Pic, bus: Bus) -> int:
    """Whether IRQ 0 was raised since the last look."""
    if not pic.has_interrupt():
        return 0
    assert pic.acknowledge() == 8
    bus.port_out(0x20, 1, 0x20)
    return 1


@pytest.mark.parametrize(
    ("mode", "raised"),
    [(0, [0, 1, 0, 0]), (1, [0, 0, 0, 0]), (2, [0, 1, 1, 1]), (3, [0, 1, 1, 1]),
     (4, [0, 1, 0, 0]), (5, [0, 0, 0, 0]), (6, [0, 1, 1, 1])],
)  # fmt: skip
def test_channel_0_interrupts_as_its_mode_says(bus: Bus, mode: int, raised: list[int]) -> None:
    clock, pic = StepClock(), Pic(bus)
    pit = Pit(bus, pic.raise_irq, clock)
    bus.port_out(0x43, 1, 0x30 | mode << 1)
    bus.port_out(0x40, 1, 0xE8)
    bus.port_out(0x40, 1, 0x03)  # 1000
    got = []
    for at in (900, 1100, 2100, 3100):
        clock.ns = ticks(at)
        pit.advance(clock.ns)
        got.append(irqs(pic, bus))
    assert got == raised


def test_a_control_word_stops_the_interrupts_until_a_count_comes(bus: Bus) -> None:
    clock, pic = StepClock(), Pic(bus)
    pit = Pit(bus, pic.raise_irq, clock)
    clock.ns = ticks(65_000)
    bus.port_out(0x43, 1, 0x30)  # mode 0
    clock.ns = ticks(200_000)
    pit.advance(clock.ns)
    assert not pic.has_interrupt()
    bus.port_out(0x40, 1, 0x64)
    bus.port_out(0x40, 1, 0x00)
    clock.ns += ticks(50)
    bus.port_out(0x40, 1, 0x64)  # half of the next count: mode 0 stops
    clock.ns += ticks(1000)
    pit.advance(clock.ns)
    assert not pic.has_interrupt()
    bus.port_out(0x40, 1, 0x00)
    clock.ns += ticks(101)
    bus.port_out(0x43, 1, 0x34)  # it was due before this
    assert irqs(pic, bus) == 1
    pit.advance(clock.ns + ticks(70_000))
    assert not pic.has_interrupt()


def speaker_output(bus: Bus) -> int:
    return bus.port_in(0x61, 1) >> 5 & 1


#: Mode of channel 2 -> its output after so many ticks with a count of 100: gate low for 50 after
#: the count was written, high for 60, low for 70, high again.
OUTPUTS = {
    0: {0: 0, 49: 0, 109: 0, 115: 0, 179: 0, 181: 0, 219: 0, 221: 1, 500: 1},
    1: {0: 1, 49: 1, 51: 0, 109: 0, 115: 0, 149: 0, 151: 1, 179: 1, 181: 0, 279: 0, 281: 1},
    2: {0: 1, 49: 1, 100: 1, 115: 1, 181: 1, 278: 1, 279.5: 0, 280.5: 1, 379.5: 0},
    3: {0: 1, 49: 1, 99: 1, 101: 0, 109: 0, 111: 1, 179: 1, 229: 1, 231: 0, 279: 0, 281: 1},
    4: {0: 1, 109: 1, 115: 1, 181: 1, 219: 1, 220.5: 0, 221.5: 1, 500: 1},
    5: {0: 1, 49: 1, 149: 1, 150.5: 0, 151.5: 1, 279: 1, 280.5: 0, 281.5: 1, 500: 1},
}


@pytest.mark.parametrize("mode", OUTPUTS)
def test_channel_2_follows_its_gate(bus: Bus, mode: int) -> None:
    clock = Frozen()
    Pit(bus, Pic(bus).raise_irq, clock)
    bus.port_out(0x43, 1, 0x90 | mode << 1)  # channel 2, low byte
    assert speaker_output(bus) == (mode != 0)
    bus.port_out(0x42, 1, 100)
    gates = {50: 1, 110: 0, 180: 1}
    got = {}
    for at in sorted({*gates, *OUTPUTS[mode]}):
        clock.ns = int(at * 10**9 / PIT_HZ) + 1
        if at in gates:
            bus.port_out(0x61, 1, gates[at])
        if at in OUTPUTS[mode]:
            got[at] = speaker_output(bus)
    assert got == OUTPUTS[mode]


@pytest.mark.parametrize("mode", [2, 3])
def test_a_new_count_waits_for_the_end_of_the_period(bus: Bus, mode: int) -> None:
    """So a program that writes its count in every frame loses no tick."""
    clock, irqs = StepClock(), []
    pit = Pit(bus, lambda irq: irqs.append(clock.ns), clock)
    bus.port_out(0x43, 1, 0x30 | mode << 1)
    for byte in (0x00, 0x80):  # 8000h: 27.5 ms
        bus.port_out(0x40, 1, byte)
    for millisecond in range(1, 200):
        clock.ns = millisecond * 1_000_000
        pit.advance(clock.ns)
        if millisecond % 10 == 0:
            for byte in (0x00, 0x80 if millisecond < 100 else 0x40):
                bus.port_out(0x40, 1, byte)
    times = [ns // 1_000_000 for ns in irqs]
    assert times == [28, 55, 83, 110, 124, 138, 152, 165, 179, 193]
    bus.port_out(0x43, 1, 0x00)
    first = bus.port_in(0x40, 1) | bus.port_in(0x40, 1) << 8
    assert 0 < first <= 0x4000


def test_speaker_gate_and_refresh(bus: Bus) -> None:
    clock = StepClock()
    Pit(bus, Pic(bus).raise_irq, clock)
    # As delays count them: 663 refreshes are 10 ms.
    begin, last, left = clock.now_ns(), bus.port_in(0x61, 1) & 0x10, 663
    while left:
        shown = bus.port_in(0x61, 1) & 0x10
        left -= shown != last
        last = shown
    assert clock.now_ns() - begin == pytest.approx(10e6, abs=20_000)
    bus.port_out(0x61, 1, 0x03)
    assert bus.port_in(0x61, 1) & 0x0F == 3


def bytes_within(ns: int, bus: Bus, clock: StepClock, keyboard: I8042) -> list[int]:
    """What a guest reads that looks every 0.6 ms."""
    got = []
    for _ in range(ns // 600_000):
        clock.ns += 600_000
        keyboard.advance(clock.ns)
        if bus.port_in(0x64, 1) & 1:
            got.append(bus.port_in(0x60, 1))
    return got


def test_keyboard_bytes_come_one_at_a_time(bus: Bus) -> None:
    clock, keys = StepClock(), Keys()
    keyboard = I8042(bus, Pic(bus).raise_irq, clock, keys)
    keys.press("left")
    assert bytes_within(12_000_000, bus, clock, keyboard) == [0xE0, 0x4B, 0xE0, 0xCB]
    bus.port_out(0x60, 1, 0xED)
    clock.ns += 2_000_000
    keyboard.advance(clock.ns)
    assert bus.port_in(0x60, 1) == 0xFA
    bus.port_out(0x64, 1, 0xAA)
    assert bus.port_in(0x60, 1) == 0x55


#: What is written, 64h's bytes after "c", 60h's after "d"; what is read, with the status if it is
#: more than "a byte is there".
@pytest.mark.parametrize(
    ("written", "read"),
    [
        # The controller: RAM and the command byte.
        ("c20", "65"), ("c21", "00"), ("c3F", "00"), ("c60 d47 c20", "47"), ("c61 d47 c20", "65"),
        ("c7F dED c20", "65"), ("c60 c20", "65"),
        # Both ports: tests, off and on.
        ("cAA", "55"), ("cAB", "00"), ("cA9", "00"), ("cAD c20", "75"), ("cAD cAE c20", "65"),
        ("cA8 c20", "45"), ("cA8 cA7 c20", "65"), ("cAD c60 d65 c20", "65"),
        # Password, input port, output port, test inputs; commands that answer nothing.
        ("cA4", "F1"), ("cA5 d12 d34 d00 c20", "65"), ("cA6 c20", "65"), ("cC0", "80"),
        ("cC1 c20", "65"), ("cC2 c20", "65"), ("cD0", "CF"), ("cAA cD0", "DF"), ("cE0", "03"),
        ("cDD cDF c20", "65"), ("cD1 dDD c20", "65"), ("cD1 dFF c20", "65"), ("cFF cF1 c20", "65"),
        ("c00 c1F c80 c9F cAC cB0 c20", "65"),
        # Both output buffers, and a mouse that says nothing while its port is off.
        ("cD2 d1E", "1E"), ("cD3 d08", "21:08"), ("cD3 d08 cD0", "FF"), ("cD4 dFF cA7 c20", "65"),
        # The keyboard: lamps, echo, set, identity, rate, off and on, defaults, set 3, again, reset.
        ("dED d07", "FA FA"), ("dEE", "EE"), ("dF0 d00", "FA FA 41"), ("dF0 d02", "FA FA"),
        ("dF2", "FA AB 41"), ("dF3 d20", "FA FA"), ("dF4", "FA"), ("dF5", "FA"), ("dF6", "FA"),
        ("dF7 dFA dFD", "FA FA FA"), ("dEE dFE", "EE EE"), ("dFF", "FA AA"),
        # What it does not know, as a command or an argument; a command in an argument's place.
        ("d00 dEC dEF dF1", "FE FE FE FE"), ("dF0 d04", "FA FE"), ("dED dEE", "FA EE"),
        ("dF3 dF4 d20", "FA FA FE"),
        # A byte for the keyboard turns its port on.
        ("cAD dEE", "EE"), ("cAD dEE c20", "65"),
    ],
)  # fmt: skip
def test_each_command_of_the_keyboard_and_its_controller(bus: Bus, written: str, read: str) -> None:
    clock = StepClock()
    keyboard = I8042(bus, Pic(bus).raise_irq, clock, Keys())
    got = []

    def look() -> None:
        while bus.port_in(0x64, 1) & 1:
            status = bus.port_in(0x64, 1) & 0x61
            data = bus.port_in(0x60, 1)
            got.append(f"{data:02X}" if status == 1 else f"{status:02X}:{data:02X}")
            clock.ns += 2_000_000
            keyboard.advance(clock.ns)

    for access in written.split():
        bus.port_out(0x60 if access[0] == "d" else 0x64, 1, int(access[1:], 16))
        if access[0] == "d":
            keyboard.advance(clock.ns)
            if not keyboard.full & 0x20:
                look()
    look()
    assert got[-len(read.split()) :] == read.split()


def test_the_command_byte_lets_keys_come(bus: Bus) -> None:
    """Firmware turns the keyboard off by a command and on by the command byte."""
    clock, keys = StepClock(), Keys()
    keyboard = I8042(bus, Pic(bus).raise_irq, clock, keys)
    bus.port_out(0x64, 1, 0xAD)
    keys.press("a")
    keyboard.advance(clock.ns)
    assert not bus.port_in(0x64, 1) & 1
    bus.port_out(0x64, 1, 0x60)
    bus.port_out(0x60, 1, 0x65)
    keyboard.advance(clock.ns)
    assert bus.port_in(0x60, 1) == 0x1E


@pytest.mark.parametrize("port", [0x64, 0x60])
@pytest.mark.parametrize("value", [0xF0, 0xFC, 0xFE])
def test_the_reset_line_ends_the_run(bus: Bus, value: int, port: int) -> None:
    I8042(bus, Pic(bus).raise_irq, StepClock(), Keys())
    if port == 0x60:
        bus.port_out(0x64, 1, 0xD1)  # the output port, whose bit 0 it is
    with pytest.raises(GuestFault, match="reset line"):
        bus.port_out(port, 1, value)


def test_a_keyboard_that_is_off_forgets_keys(bus: Bus) -> None:
    clock, keys = StepClock(), Keys()
    keyboard = I8042(bus, Pic(bus).raise_irq, clock, keys)
    for command, code in ((0xF5, []), (0xF4, [0x1E])):
        bus.port_out(0x60, 1, command)
        keys.press("a")
        got = bytes_within(9_000_000, bus, clock, keyboard)
        assert got[:2] == [0xFA, *code]


def test_answers_are_bounded(bus: Bus) -> None:
    """A guest that asks and never listens; what is saved of it is restored."""
    keyboard = I8042(bus, Pic(bus).raise_irq, StepClock(), Keys())
    for _ in range(10_000):
        bus.port_out(0x60, 1, 0xF3)
        bus.port_out(0x60, 1, 0x20)
    assert len(keyboard.buffer) <= keyboard.BUFFER_BYTES
    assert snapshot.misfit(keyboard.parts(), snapshot.take(keyboard.parts())) is None


@pytest.mark.parametrize(
    ("name", "pressed", "codes"),
    [
        ("a", True, "1E"), ("a", False, "9E"), ("A", True, "2A 1E"), ("A", False, "9E AA"),
        ("?", True, "2A 35"), ("f12", True, "58"), ("pause", True, "E1 1D 45 E1 9D C5"),
        ("delete", False, "E0 D3"), ("colon", True, "2A 27"), ("é", True, ""),
    ],
)  # fmt: skip
def test_scancodes(name: str, pressed: bool, codes: str) -> None:
    assert scancodes.of_key(Key(name, pressed), shift=False) == bytes.fromhex(codes)


def test_cmos_time_is_the_clocks(bus: Bus) -> None:
    clock = StepClock()
    Cmos(bus, clock, bus.ram_bytes)
    clock.ns = 3_661 * 10**9  # after 10:20:30
    read = []
    for index in (0, 2, 4, 7, 8, 9, 0x32):
        bus.port_out(0x70, 1, index)
        read.append(bus.port_in(0x71, 1))
    assert read == [0x31, 0x21, 0x11, 0x01, 0x01, 0x80, 0x19]


def test_the_clock_is_set_and_goes_on(bus: Bus) -> None:
    clock = StepClock()
    cmos = Cmos(bus, clock, bus.ram_bytes)
    assert cmos.set(2024, 2, 29, 23, 59, 58)
    clock.ns = 3 * 10**9
    assert cmos.now()[:6] == (2024, 3, 1, 0, 0, 1)
    bus.port_out(0x70, 1, 9)
    assert bus.port_in(0x71, 1) == 0x24
    for nothing in ((2023, 2, 29, 0, 0, 0), (1979, 1, 1, 0, 0, 0), (2100, 1, 1, 0, 0, 0),
                    (2000, 13, 1, 0, 0, 0), (2000, 1, 1, 24, 0, 0)):  # fmt: skip
        assert not cmos.set(*nothing)
    assert cmos.now()[:6] == (2024, 3, 1, 0, 0, 1)
    assert cmos.set(1980, 1, 1, 0, 0, 0)
    assert cmos.now()[:6] == (1980, 1, 1, 0, 0, 0)


def test_wall_clock_stands_still_and_speeds_up() -> None:
    clock = WallClock(100.0)
    assert clock.now_ns() == 0
    clock.start()
    while clock.now_ns() < 1_000_000:
        pass
    clock.stop()
    stopped = clock.now_ns()
    assert clock.now_ns() == stopped


def test_bus_ranges(bus: Bus) -> None:
    bus.write(0x9FFFE, b"abcd")
    assert bus.read(0x9FFFE, 2) == b"ab"
    bus.write(0xF0000, b"x")
    assert bus.read(0xF0000, 1) == b"\xff"
    bus.write(0xFFFFF, b"xy")
    assert bus.read(0xFFFFF, 3) == b"\xffy\0"
    bus.write(bus.ram_bytes - 1, b"12")
    assert bus.read(bus.ram_bytes - 1, 2) == b"1\xff"
    assert bus.port_in(0x9999, 4) == 0xFFFFFFFF


def test_a_bus_tells_of_stores_and_of_writable_rom(bus: Bus) -> None:
    told: list[object] = []
    bus.on_memory_written.append(lambda gpa, count: told.append((gpa, count)))
    bus.on_protection_changed.append(lambda: told.append(bus.rom_writable))
    bus.write(0x9FFFE, b"abcd")  # its end is the VGA's
    bus.load_rom(0xF0000, b"rom")
    bus.write(0xF0000, b"no")
    assert told == [(0x9FFFE, 2), (0xF0000, 3)]
    told.clear()
    bus.rom_writable = True
    bus.rom_writable = False
    assert told == [True, False]


def test_a_tapped_bus_tells_of_ports_and_answers_as_any_other(bus: Bus) -> None:
    told: list[tuple[str, int, int, int]] = []
    tapped = TappedBus(bus.vga, lambda *access: told.append(access))
    written: list[int] = []
    tapped.byte_in[0x60] = lambda: 0x12
    tapped.byte_out[0x61] = written.append
    tapped.port_out(0x3CE, 2, 0x5508)
    assert tapped.port_in(0x3CF, 1) == 0x55
    assert tapped.port_in(0x60, 2) == 0xFF12
    tapped.port_out(0x60, 2, 0xABCD)
    assert written == [0xAB]
    assert told == [
        ("out", 0x3CE, 2, 0x5508), ("in", 0x3CF, 1, 0x55),
        ("in", 0x60, 1, 0x12), ("in", 0x61, 1, 0xFF), ("in", 0x60, 2, 0xFF12),
        ("out", 0x60, 2, 0xABCD), ("out", 0x60, 1, 0xCD), ("out", 0x61, 1, 0xAB),
    ]  # fmt: skip


def test_attach_to_ones_own_engine() -> None:
    unicorn = pytest.importorskip("unicorn")
    uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_16)
    uc.mem_map(0, 1 << 20)
    # es = A000h; byte 5 at 3000h; DAC 5 = white; in al, 77h; hlt
    uc.mem_write(0x7C00, bytes.fromhex(
        "68 00 A0 07 26 C6 06 00 30 05 BA C8 03 B0 05 EE 42 B0 3F EE EE EE E4 77 F4"
    ))  # fmt: skip
    uc.reg_write(unicorn.x86_const.UC_X86_REG_SP, 0x7000)
    card = vgaemu.attach(uc, mode=0x13, port_in=lambda port, size: port)
    card.draw_frame()
    uc.emu_start(0x7C00, 0xFFFF, count=1000)
    report = card.draw_frame()
    assert report.dirty_pages.tolist() == [3]
    assert card.screen.frame[0x3000 // 320, 0x3000 % 320] == 0xFFFFFF
    assert uc.reg_read(unicorn.x86_const.UC_X86_REG_AL) == 0x77
    np.testing.assert_array_equal(card.screen.frame, card.screen.full_redraw())
    uc.emu_start(0x7C00, 0xFFFF, count=5)
    assert card.draw_frame().dirty_pages.tolist() == [3]  # protected again, so marked again
    card.close()


@pytest.mark.parametrize("seed", range(4))
def test_chips_take_any_access(seed: int) -> None:
    chip_ports.play(seed, 2_000)
