"""Random accesses to every port of the PC's chips: what a guest that writes at random does to them.

`play` checks as it goes that no access raises but for the reset line, that what is saved of the
chips can be restored, is the same when saved again, and stays bounded.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from vgaemu import snapshot
from vgaemu.errors import GuestFault
from vgaemu.keys.mouse import Mouse
from vgaemu.keys.queue import Keys
from vgaemu.keys.table import KEYS
from vgaemu.memslot import Memslot
from vgaemu.pc.bus import Bus
from vgaemu.pc.chips.ata import SECONDARY, AtaChannel
from vgaemu.pc.chips.ata_disk import AtaDisk
from vgaemu.pc.chips.atapi import CdDrive
from vgaemu.pc.chips.cmos import Cmos
from vgaemu.pc.chips.i8042 import I8042
from vgaemu.pc.chips.pci import PciBus
from vgaemu.pc.chips.pic import Pic
from vgaemu.pc.chips.pit import Pit
from vgaemu.pc.chips.printer import Printer
from vgaemu.pc.chips.serial import Serial
from vgaemu.pc.clock import StepClock
from vgaemu.pc.eltorito import Entry
from vgaemu.pc.images import DiskImage
from vgaemu.vga.device import Vga

PORTS = (0x20, 0x21, 0xA0, 0xA1, 0x40, 0x41, 0x42, 0x43, 0x60, 0x60, 0x61, 0x64, 0x64, 0x70, 0x71,
         0x80, 0x92, *range(0x3F8, 0x400), *range(0x378, 0x37B), 0xCF8, *range(0xCFC, 0xD00),
         *range(0x1F0, 0x1F8), 0x1F0, 0x1F7, *range(0x170, 0x178), 0x170, 0x3F6, 0x376)  # fmt: skip
#: Commands that random bytes seldom are: of disks, and for packets.
COMMANDS = {0x1F7: (0x20, 0x30, 0xC4, 0xC5, 0xEC), 0x177: (0xA0, 0xA1, 0x08)}
NAMES = tuple(key.name for key in KEYS)
#: A snapshot is taken and restored after so many accesses.
A_CHECK = 500


class Chips:
    """The chips on a bus, without a CPU that takes their interrupts."""

    def __init__(self) -> None:
        self.bus, self.clock, self.keys = Bus(Vga(Memslot(64)), 2 << 20), StepClock(), Keys()
        self.pic = Pic(self.bus)
        self.pit = Pit(self.bus, self.pic.raise_irq, self.clock)
        self.mouse = Mouse()
        chips = self.bus, self.pic.raise_irq, self.clock, self.keys, self.mouse
        self.keyboard = I8042(*chips)
        self.cmos = Cmos(self.bus, self.clock, self.bus.ram_bytes, self.pic.raise_irq)
        line = self.bus, self.pic.raise_irq, self.clock
        self.serial, self.pci, self.printer = Serial(*line), PciBus(self.bus), Printer(*line)
        disk = DiskImage(Path("disk"), bytearray(64 << 10), 1, 4, 32, True)
        second = DiskImage(Path("second"), bytearray(32 << 10), 1, 2, 32, True)
        disc = DiskImage(
            Path("disc"), bytearray(64 << 10), 0, 0, 0, False, cd_boot=Entry(0, 0, 0, 0)
        )
        self.disks = (
            AtaChannel(*line, [AtaDisk(disk), AtaDisk(second, 1)]),
            AtaChannel(*line, [CdDrive(disc)], SECONDARY),
        )  # fmt: skip

    def advance(self) -> None:
        for chip in (self.cmos, self.serial, self.printer, *self.disks):
            if self.clock.ns >= chip.due_ns:
                chip.advance(self.clock.ns)
            assert chip.due_ns >= 0

    def parts(self) -> dict[str, snapshot.Part]:
        chips = (
            self.pic,
            self.pit,
            self.keyboard,
            self.cmos,
            self.serial,
            self.pci,
            *self.disks,
            self.printer,
        )
        return {name: part for chip in chips for name, part in chip.parts().items()}


def play(seed: int, accesses: int) -> None:
    """Some accesses; an assertion fails, or an exception comes, where a chip does wrong."""
    rng, chips = random.Random(seed), Chips()
    for number in range(1, accesses + 1):
        port, size = rng.choice(PORTS), rng.choice((1, 1, 1, 1, 2, 4))
        try:
            if rng.random() < 0.4:
                assert 0 <= chips.bus.port_in(port, size) < 1 << 8 * size
            else:
                value = rng.getrandbits(8 * size)
                if port in COMMANDS and rng.random() < 0.8:
                    value, size = rng.choice(COMMANDS[port]), 1
                chips.bus.port_out(port, size, value)
        except GuestFault as fault:
            if "reset line" not in str(fault) and "moves the linear" not in str(fault):
                raise
        if rng.random() < 0.2:
            chips.clock.ns += rng.choice((0, 1, 838, 1_000_000, 16_700_000, 10**10))
            chips.pit.advance(chips.clock.ns)
            chips.keyboard.advance(chips.clock.ns)
            chips.advance()
            assert chips.keyboard.due_ns(chips.clock.ns) >= chips.clock.ns or chips.keyboard.held
        if rng.random() < 0.05:
            chips.serial.write(rng.randbytes(rng.randrange(20)))
            chips.keys.press(rng.choice(NAMES))
            chips.mouse.move(rng.randint(-600, 600), rng.randint(-600, 600), rng.randint(-9, 9))
            chips.mouse.button(rng.randint(1, 3), rng.random() < 0.5)
        if rng.random() < 0.2 and chips.pic.has_interrupt():
            assert 0 <= chips.pic.acknowledge() <= 0xFF
        if number % A_CHECK == 0:
            chips = restored(chips)


def restored(chips: Chips) -> Chips:
    """The same chips, from what is saved of them."""
    again, saved = Chips(), snapshot.take(chips.parts())
    assert snapshot.misfit(again.parts(), saved) is None
    assert sum(array.nbytes for array in saved.values()) < 1 << 18
    again.clock.ns = chips.clock.ns
    snapshot.restore(again.parts(), saved)
    for name, array in snapshot.take(again.parts()).items():
        np.testing.assert_array_equal(array, saved[name], name)
    return again
