"""The DAC's state machine, and how 6 bits become 8."""

import numpy as np

from vgaemu.memslot import Memslot
from vgaemu.vga.device import Vga


def test_an_entry_loads_with_its_third_byte_and_the_index_moves_on():
    vga = Vga(Memslot(64))
    vga.outb(0x3C8, 5)
    for value in (0x3F, 0x15):
        vga.outb(0x3C9, value)
    assert vga.dac.entries[15:18] == bytes(3)
    vga.outb(0x3C9, 0x2A)
    vga.outb(0x3C9, 0x01)
    assert vga.dac.entries[15:18] == bytes((0x3F, 0x15, 0x2A))
    assert vga.inb(0x3C8) == 6


def test_the_write_index_drops_a_partial_triple():
    vga = Vga(Memslot(64))
    vga.outb(0x3C8, 1)
    vga.outb(0x3C9, 0x11)
    vga.outb(0x3C8, 2)
    for value in (1, 2, 3):
        vga.outb(0x3C9, value)
    assert vga.dac.entries[3:9] == bytes((0, 0, 0, 1, 2, 3))


def test_reading_has_an_index_of_its_own_and_wraps():
    vga = Vga(Memslot(64))
    vga.outb(0x3C8, 255)
    for value in (1, 2, 3, 4, 5, 6):
        vga.outb(0x3C9, value)
    vga.outb(0x3C7, 255)
    assert [vga.inb(0x3C9) for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    assert vga.inb(0x3C8) == 1


def test_3c7_tells_which_index_was_written_last():
    vga = Vga(Memslot(64))
    vga.outb(0x3C7, 0)
    assert vga.inb(0x3C7) == 3
    vga.outb(0x3C8, 0)
    assert vga.inb(0x3C7) == 0


def test_components_are_six_bits_and_widen_to_full_scale():
    vga = Vga(Memslot(64))
    vga.outb(0x3C8, 1)
    for value in (0xFF, 0x15, 0x2A):
        vga.outb(0x3C9, value)
    assert vga.dac.entries[3:6] == bytes((0x3F, 0x15, 0x2A))
    assert vga.dac.rgb()[1].tolist() == [0xFF, 0x55, 0xAA]
    assert vga.dac.colours()[1] == 0xFF55AA


def test_the_mask_selects_entries_and_counts_as_a_change():
    vga = Vga(Memslot(64))
    vga.outb(0x3C8, 0)
    for i in range(16):
        for _ in range(3):
            vga.outb(0x3C9, i)
    before = vga.dac.generation
    vga.outb(0x3C6, 0x0F)
    assert vga.dac.generation > before
    assert vga.inb(0x3C6) == 0x0F
    colours = vga.dac.colours()
    assert np.array_equal(colours[:16], colours[0x30:0x40])


def test_writing_what_is_there_already_changes_nothing():
    vga = Vga(Memslot(64))
    before = vga.dac.generation
    vga.outb(0x3C8, 9)
    for _ in range(3):
        vga.outb(0x3C9, 0)
    assert vga.dac.generation == before
