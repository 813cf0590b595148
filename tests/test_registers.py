"""Every register row, through the ports."""

from random import Random

import pytest

from vgaemu.memslot import Memslot
from vgaemu.vga.device import Vga
from vgaemu.vga.ports import GC, NAMED, Ports
from vgaemu.vga.registers import (
    ATTRIBUTE,
    CRTC,
    GRAPHICS,
    SEQUENCER,
    Field,
    Register,
    Split,
    places_of,
)


@pytest.fixture
def vga():
    vga = Vga(Memslot(64))
    vga.outb(0x3C2, 0x67)  # colour ports, RAM on
    vga.outw(0x3D4, 0x0011)  # CRTC unlocked
    return vga


INDEXED = [(0x3C4, row) for row in SEQUENCER]
INDEXED += [(0x3CE, row) for row in GRAPHICS]
INDEXED += [(0x3D4, row) for row in CRTC if row.index != 0x11]


@pytest.mark.parametrize(("port", "row"), INDEXED, ids=lambda v: getattr(v, "name", None))
def test_register_reads_back_its_writable_bits(vga, port, row):
    for value in (0xFF, 0x00, 0xA5, 0x5A):
        vga.outb(port, row.index)
        vga.outb(port + 1, value)
        assert vga.inb(port) == row.index
        assert vga.inb(port + 1) == value & row.mask


def test_crtc_11h_reads_back_and_locks_the_first_eight(vga):
    vga.outw(0x3D4, 0x1200)
    vga.outw(0x3D4, 0x0007)
    vga.outw(0x3D4, 0xFF11)
    assert vga.inb(0x3D5) == 0xFF
    vga.outw(0x3D4, 0x3400)
    assert vga.inb(0x3D5) == 0x12
    vga.outw(0x3D4, 0xFF07)
    assert vga.inb(0x3D5) == 0x10  # line compare bit 8 alone stays free
    vga.outw(0x3D4, 0x5608)
    assert vga.inb(0x3D5) == 0x56


@pytest.mark.parametrize("row", ATTRIBUTE, ids=lambda row: row.name)
def test_attribute_register_reads_back_its_writable_bits(vga, row):
    for value in (0xFF, 0x00, 0xA5):
        vga.inb(0x3DA)
        vga.outb(0x3C0, row.index)
        vga.outb(0x3C0, value)
        vga.inb(0x3DA)
        vga.outb(0x3C0, row.index)
        assert vga.inb(0x3C1) == value & row.mask


def test_attribute_palette_is_out_of_reach_while_the_picture_is_shown(vga):
    vga.inb(0x3DA)
    for value in (0x20 | 5, 0x3F, 0x20 | 0x11, 0x3F):
        vga.outb(0x3C0, value)
    assert vga.attribute.values[5] == 0
    assert vga.attribute["overscan_colour"] == 0x3F


def test_attribute_flip_flop_is_reset_by_status_reads_at_the_live_base_alone(vga):
    vga.inb(0x3DA)
    vga.outb(0x3C0, 0x10)
    vga.inb(0x3BA)  # not there in colour modes
    vga.outb(0x3C0, 0x0C)  # so this is data
    assert vga.attribute.values[0x10] == 0x0C
    vga.outb(0x3C0, 0x11)
    vga.inb(0x3DA)
    vga.outb(0x3C0, 0x12)  # an index again
    vga.outb(0x3C0, 0x0F)
    assert vga.attribute.values[0x12] == 0x0F


def test_misc_output_moves_the_crtc_and_status_ports(vga):
    vga.outw(0x3D4, 0x550F)
    assert vga.inb(0x3B5) == 0xFF
    vga.outb(0x3C2, 0x66)
    assert vga.inb(0x3CC) == 0x66
    assert vga.inb(0x3D5) == 0xFF
    vga.outb(0x3B4, 0x0F)
    assert vga.inb(0x3B5) == 0x55
    assert vga.inb(0x3BA) != 0xFF


def test_ports_without_a_device_read_ff_and_ignore_writes(vga):
    before = vga.generation
    vga.outb(0x3D0, 0x12)
    assert vga.inb(0x3D0) == 0xFF
    assert vga.generation == before


def test_words_write_index_and_data_and_dispi_is_sixteen_bits_wide(vga):
    vga.outw(0x3C4, 0x0302)
    assert vga.inw(0x3C4) == 0x0302
    vga.outw(0x1CE, 0)
    assert vga.inw(0x1CF) == 0xB0C5


@pytest.mark.parametrize(("port", "bits"), [(0x3C4, 3), (0x3CE, 4), (0x3D4, 8)])
def test_an_index_keeps_the_bits_that_it_has(vga, port, bits):
    for value in (0xFF, 0xA5, 0x5A):
        vga.outb(port, value)
        assert vga.inb(port) == value & (1 << bits) - 1


def test_index_0a_of_the_sequencer_is_index_2(vga):
    vga.outb(0x3C4, 0x0A)
    vga.outb(0x3C5, 5)
    vga.outb(0x3C4, 2)
    assert vga.inb(0x3C5) == 5


@pytest.mark.parametrize(
    ("port", "indexes"), [(0x3C4, range(5, 8)), (0x3CE, range(9, 16)), (0x3D4, range(0x19, 0x100))]
)
def test_an_index_without_a_register_reads_0_and_keeps_nothing(vga, port, indexes):
    before = vga.generation
    for index in indexes:
        vga.outw(port, 0x7F00 | index)
        assert vga.inb(port) == index
        assert vga.inb(port + 1) == 0
    assert vga.generation == before


def test_an_attribute_index_without_a_register_reads_0_and_keeps_nothing(vga):
    before = vga.generation
    for index in range(0x15, 0x20):
        vga.inb(0x3DA)
        vga.outb(0x3C0, index)
        vga.outb(0x3C0, 0x0F)
        vga.inb(0x3DA)
        vga.outb(0x3C0, index)
        assert vga.inb(0x3C1) == 0
    assert vga.generation == before


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ((Field("a", 0, 3), Field("b", 2)), "overlap"),
        ((Field("a", 0, 2),), "have no field"),
        ((Field("a", 0, 4),), "leave the register"),
    ],
)
def test_a_table_refuses_to_be_wrong(fields, complaint):
    with pytest.raises(ValueError, match=complaint):
        Register(0, "r", 0x07, fields)


def test_two_rows_or_fields_in_one_place_are_refused():
    with pytest.raises(ValueError, match="two rows"):
        places_of("bank", [Register(0, "a", 1), Register(0, "b", 1)])
    with pytest.raises(ValueError, match="two places"):
        places_of("bank", [Register(0, "a", 1), Register(1, "a", 1)])


@pytest.mark.parametrize(
    ("splits", "complaint"),
    [
        ([Split("whole", ("low", "nowhere"))], "no field nowhere"),
        ([Split("whole", ("low", "high")), Split("other", ("high",))], "no field high, or shares"),
        ([Split("low", ("low", "high"))], "low has two places"),
        ([Split("whole", ("low",)), Split("whole", ("high",))], "whole has two places"),
    ],
)
def test_a_split_of_fields_that_are_not_there_or_not_free_is_refused(splits, complaint):
    with pytest.raises(ValueError, match=complaint):
        places_of("bank", [Register(0, "low", 0xFF), Register(1, "high", 0x03)], splits)


@pytest.mark.parametrize(("name", "registers", "number"), [
    ("vertical_total",         {0x06: 0x0D, 0x07: 0x21}, 0x30D),
    ("vertical_display_end",   {0x12: 0x8F, 0x07: 0x02}, 0x18F),
    ("vertical_display_end",   {0x12: 0x8F, 0x07: 0x40}, 0x28F),
    ("vertical_retrace_start", {0x10: 0xEA, 0x07: 0x04}, 0x1EA),
    ("vertical_retrace_start", {0x10: 0xEA, 0x07: 0x80}, 0x2EA),
    ("vertical_blank_start",   {0x15: 0xE7, 0x07: 0x08, 0x09: 0x20}, 0x3E7),
    ("line_compare",           {0x18: 0x90, 0x07: 0x10}, 0x190),
    ("line_compare",           {0x18: 0x90, 0x09: 0x40}, 0x290),
    ("start_address",          {0x0C: 0x12, 0x0D: 0x34}, 0x1234),
    ("cursor_location",        {0x0E: 0x07, 0x0F: 0xCF}, 0x7CF),
    ("hblank_end",             {0x03: 0x1F, 0x05: 0x80}, 0x3F),
])  # fmt: skip
def test_a_split_is_put_together_from_its_registers(vga, name, registers, number):
    for index, value in registers.items():
        vga.outw(0x3D4, value << 8 | index)
    assert vga.crtc[name] == number
    assert Ports(vga)[name] == number


def test_the_fonts_of_sr03_have_their_third_bit_elsewhere(vga):
    vga.outw(0x3C4, 0x1803)
    assert (vga.sequencer["map_b"], vga.sequencer["map_a"]) == (4, 2)
    vga.outw(0x3C4, 0x2703)
    assert (vga.sequencer["map_b"], vga.sequencer["map_a"]) == (3, 5)


def banks(vga):
    return (vga.sequencer, vga.crtc, vga.graphics, vga.attribute, vga.misc)


def fill(vga, seed):
    """Random values in every register, past the ports; CR11 leaves 00h-07h unlocked."""
    chance = Random(seed)
    for bank in banks(vga):
        bank.values[:] = bytes(chance.randrange(256) & mask for mask in bank.masks)
    vga.crtc.values[0x11] &= 0x7F
    vga.restored()


@pytest.mark.parametrize("seed", range(8))
def test_ports_and_banks_agree_on_every_name(vga, seed):
    fill(vga, seed)
    ports = Ports(vga)
    assert {name: ports[name] for name in NAMED} == {
        name: bank[name] for bank in banks(vga) for name in NAMED if NAMED[name].bank == bank.name
    }


@pytest.mark.parametrize("seed", range(8))
def test_a_name_that_is_written_changes_its_own_bits_alone(vga, seed):
    fill(vga, seed)
    ports, chance = Ports(vga), Random(seed)
    for name, (bank_name, place, *_) in NAMED.items():
        if name == "protect":
            continue
        bank = next(bank for bank in banks(vga) if bank.name == bank_name)
        bits = sum(part.mask.bit_length() for part in place)
        number = chance.randrange(1 << bits)
        expected = bytearray(bank.values)
        place.write(expected, number)
        hidden = bank is vga.attribute and place[0].register < 0x10
        if hidden:  # the palette is in reach while no picture is shown
            vga.attribute_address = 0
        ports[name] = number
        assert bank[name] == number, name
        assert bank.values == expected, name


def test_values_changed_for_a_while_come_back(vga):
    fill(vga, 1)
    graphics, sequencer = bytes(vga.graphics.values), bytes(vga.sequencer.values)
    ports = Ports(vga)
    with ports.font_memory():
        assert vga.graphics.values[6] == 0x04
        assert vga.sequencer["map_mask"] == 0x04
        ports.set(GC, 8, 0x0F)
    assert (bytes(vga.graphics.values), bytes(vga.sequencer.values)) == (graphics, sequencer)


def test_runs_of_colours_are_read_as_they_were_written(vga):
    ports = Ports(vga)
    ports.write_dac(254, bytes(range(9)))
    assert vga.dac.entries[:3] == bytes((6, 7, 8))  # the index goes round
    assert ports.read_dac(254, 3) == bytes(range(9))


def test_ports_follow_the_crtc_to_3bxh(vga):
    ports = Ports(vga)
    assert (ports.crtc, ports.status) == (0x3D4, 0x3DA)
    vga.outb(0x3C2, 0x66)
    assert (ports.crtc, ports.status) == (0x3B4, 0x3BA)
    ports["cursor_location"] = 0x123
    ports.set_attribute(0x11, 5)
    assert (vga.crtc["cursor_location"], ports.get_attribute(0x11)) == (0x123, 5)


def test_reading_an_attribute_leaves_its_port_as_writing_one_does(vga):
    ports = Ports(vga)
    ports.set_attribute(0x11, 5)
    written = vga.attribute_address, vga.attribute_takes_data
    ports.get_attribute(0x11)
    assert (vga.attribute_address, vga.attribute_takes_data) == written == (0x20, True)


@pytest.mark.parametrize(
    ("name", "hint"),
    [("ofset", "did you mean offset"), ("line_comapre", "did you mean line_compare"),
     ("zzz", "--dump-registers names all"), (7, "--dump-registers names all")],
)  # fmt: skip
def test_a_field_that_there_is_not(name, hint):
    ports = Ports(Vga())
    with pytest.raises(KeyError, match=f"no field of a register is named {name!r}; {hint}"):
        ports[name]
    with pytest.raises(KeyError, match=f"no field of a register is named {name!r}; {hint}"):
        ports[name] = 1
