"""The DAC's state machine, and how 6 bits become 8."""

import random

import numpy as np

from vgaemu.memslot import Memslot
from vgaemu.vga.device import Vga
from vgaemu.vga.ports import Ports
from vgaemu.vga.tap import TappedVga


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


def outs(vga, port, *values):
    for value in values:
        vga.outb(port, value)


def ins(vga, count):
    return [vga.inb(0x3C9) for _ in range(count)]


def test_a_new_read_index_drops_a_partial_triple():
    vga = Vga(Memslot(64))
    outs(vga, 0x3C8, 5)
    outs(vga, 0x3C9, 1, 2, 3)
    outs(vga, 0x3C8, 5)
    outs(vga, 0x3C9, 0x11, 0x12)
    outs(vga, 0x3C7, 9)
    outs(vga, 0x3C9, 0x13)  # the first byte of another
    assert vga.dac.entries[15:33] == bytes((1, 2, 3, *[0] * 15))
    outs(vga, 0x3C7, 5)
    assert ins(vga, 3) == [1, 2, 3]


def test_reads_and_writes_count_the_bytes_of_one_register():
    vga = Vga(Memslot(64))
    outs(vga, 0x3C8, 5)
    outs(vga, 0x3C9, 1, 2, 3, 4, 5, 6)
    outs(vga, 0x3C7, 5)
    assert ins(vga, 1) == [1]
    outs(vga, 0x3C9, 0x21, 0x22)  # its second and third byte; the index has moved on
    assert vga.dac.entries[15:21] == bytes((1, 2, 3, 1, 0x21, 0x22))
    assert vga.inb(0x3C8) == 7
    assert ins(vga, 3) == [1, 0x21, 0x22]  # the register has what was written


def test_a_read_between_writes_passes_a_byte_of_the_register():
    vga = Vga(Memslot(64))
    outs(vga, 0x3C8, 29)
    outs(vga, 0x3C9, 1, 2, 3, 7, 8, 9)
    outs(vga, 0x3C8, 5)
    assert ins(vga, 1) == [7]
    outs(vga, 0x3C9, 0x21, 0x22)
    outs(vga, 0x3C7, 5)
    assert ins(vga, 3) == [7, 0x21, 0x22]
    assert vga.inb(0x3C8) == 7


def test_a_read_that_ends_a_triple_fetches_the_next_and_writes_none():
    vga = Vga(Memslot(64))
    outs(vga, 0x3C8, 5)
    outs(vga, 0x3C9, 1, 2, 3, 4, 5, 6)
    outs(vga, 0x3C8, 5)
    outs(vga, 0x3C9, 0x11, 0x12)
    assert ins(vga, 4) == [3 + 3, 1, 2, 3]  # what was there: blue of 6, then entry 5
    assert vga.dac.entries[15:21] == bytes((1, 2, 3, 4, 5, 6))
    assert vga.inb(0x3C8) == 7


def test_a_read_index_reads_back_one_more_and_moves_on_with_each_triple():
    vga = Vga(Memslot(64))
    for index in (0, 5, 254, 255):
        outs(vga, 0x3C7, index)
        assert (vga.inb(0x3C7), vga.inb(0x3C8)) == (3, (index + 1) & 0xFF)
        ins(vga, 2)
        assert vga.inb(0x3C8) == (index + 1) & 0xFF
        ins(vga, 1)
        assert vga.inb(0x3C8) == (index + 2) & 0xFF


def test_what_is_written_after_a_read_index_goes_where_the_index_is():
    vga = Vga(Memslot(64))
    outs(vga, 0x3C7, 255)
    outs(vga, 0x3C9, 1, 2, 3)
    assert vga.dac.entries[:3] == bytes((1, 2, 3))
    assert vga.inb(0x3C8) == 1


def test_an_entry_is_fetched_before_it_is_read():
    vga = Vga(Memslot(64))
    outs(vga, 0x3C8, 5)
    outs(vga, 0x3C9, 1, 2, 3)
    outs(vga, 0x3C7, 5)
    vga.dac.entries[15:18] = bytes((7, 8, 9))
    assert ins(vga, 3) == [1, 2, 3]


def test_a_write_index_keeps_what_the_register_holds():
    vga = Vga(Memslot(64))
    outs(vga, 0x3C8, 5)
    outs(vga, 0x3C9, 1, 2, 3)
    outs(vga, 0x3C7, 5)
    assert ins(vga, 1) == [1]
    outs(vga, 0x3C8, 20)
    assert ins(vga, 3) == [1, 2, 3]
    assert vga.inb(0x3C8) == 21


def test_back_at_six_bits_the_upper_two_have_no_effect():
    vga = Vga(Memslot(64))
    for index, value in ((1, 64), (2, 64), (3, 8), (4, 0x61)):
        vga.outw(0x1CE, index)
        vga.outw(0x1CF, value)
    outs(vga, 0x3C8, 0)
    outs(vga, 0x3C9, 0xFF, 0xC0, 0x95)
    assert vga.dac.colours()[0] == 0xFFC095
    vga.outw(0x1CF, 0)
    assert vga.dac.colours()[0] == 0xFF0055
    outs(vga, 0x3C7, 0)
    assert ins(vga, 3) == [0x3F, 0x00, 0x15]
    vga.outw(0x1CF, 0x61)  # entries keep their bits
    outs(vga, 0x3C7, 0)
    assert ins(vga, 3) == [0xFF, 0xC0, 0x95]


def test_reading_wraps():
    vga = Vga(Memslot(64))
    vga.outb(0x3C8, 255)
    for value in (1, 2, 3, 4, 5, 6):
        vga.outb(0x3C9, value)
    vga.outb(0x3C7, 255)
    assert [vga.inb(0x3C9) for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    assert vga.inb(0x3C8) == 2


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


def test_a_run_of_bytes_is_what_its_bytes_are_one_by_one():
    numbers = random.Random(31)
    pair = [Vga(Memslot(64)) for _ in range(2)]
    told: list[list[tuple[int, ...]]] = [[], []]
    for vga, changes in zip(pair, told, strict=True):
        vga.dac.before_change = lambda *change, vga=vga, changes=changes: changes.append(
            (*change, *vga.dac.entries[3 * change[1] :][:3])
        )
    for _ in range(100):
        index, before = numbers.choice((0, 0, 1, 200, 250, 255)), numbers.choice((0, 0, 0, 1, 2, 3))
        length = numbers.choice((0, 1, 2, 3, 6, 9, 10, 18, 768, 771))
        data = bytes(numbers.choice((0, 0, 63, 64, 255)) for _ in range(length))
        (one, run), port = pair, numbers.choice((0x3C7, 0x3C8))
        for vga in pair:
            vga.dac.set_eight_bit(index == 200)
            vga.outb(port, index)
            outs(vga, 0x3C9, *range(before))
        outs(one, 0x3C9, *data)
        run.outs(0x3C9, data)
        assert run.dac.entries == one.dac.entries
        assert run.dac.numbers == one.dac.numbers
        assert run.dac.triple == one.dac.triple
        assert run.dac.generation == one.dac.generation
    assert told[0] == told[1]
    assert len(told[0]) > 300


def test_who_wants_to_know_of_each_byte_is_told():
    class Told(Vga):
        def outb(self, port: int, value: int) -> None:
            told.append((port, value))
            super().outb(port, value)

    class Tap:
        def outb(self, port: int, value: int) -> None:
            told.append((port, value))

    told: list[tuple[int, int]] = []
    tapped = TappedVga(Memslot(64))
    tapped.attach(Tap())
    for vga in (Told(Memslot(64)), tapped):
        told.clear()
        Ports(vga).write_dac(7, (1, 2, 3, 4, 5, 6))
        assert told == [(0x3C8, 7), *((0x3C9, value) for value in range(1, 7))]
        assert vga.dac.entries[21:27] == bytes(range(1, 7))


def test_a_run_goes_to_any_port():
    vga = Vga(Memslot(64))
    vga.outs(0x3C4, b"\1\2")
    assert vga.inb(0x3C4) == 2
