"""Every register bit has an effect of its own, or a reason for none: `docs/register-bits.md`."""

import re
from itertools import product
from random import Random

import numpy as np
import pytest
from register_rows import BLANKING, MODES, PAGE, Place, Subject, rows

import vgaemu
from vgaemu.display.screen import BLINK_FRAMES, Screen
from vgaemu.display.viewport import fitted_size
from vgaemu.memslot import Memslot
from vgaemu.vga.colours import IDENTITY, dac_indices
from vgaemu.vga.device import Vga
from vgaemu.vga.kinds import Kind
from vgaemu.vga.ports import GC, SEQ, Ports
from vgaemu.vga.registers import TABLES

# The page: each bit of each register alone.

#: Rows of the page that are no register of a bank: port -> bits.
PORT_ROWS = {0x0: (5,), 0x6: range(8), 0xA: (3,)}
BANKS = {"sequencer": "SR", "crtc": "CR", "graphics": "GR", "attribute": "AR", "misc": "3C"}


@pytest.mark.parametrize("mode", MODES)
def test_each_bit_alone_changes_what_its_row_says(mode):
    subjects, wrong = {}, []
    for row in rows():
        if row.where not in subjects:
            subjects[row.where] = Subject(mode, row.where)
        for place, bit in product(row.places, row.bits):
            changed = subjects[row.where].changed_by(place, bit)
            if "blanking" in row.effects[mode]:
                changed = {BLANKING.get(effect, effect) for effect in changed}
            if changed != row.effects[mode]:
                wrong.append(f"{row.title}: {place}, bit {bit} changes {sorted(changed)}")
    assert not wrong, "\n".join(wrong)


def test_the_page_has_every_bit_of_every_register_by_its_names():
    names = {}
    for bank, table in TABLES.items():
        for name, place in table.places.items():
            for part in place:
                register = Place(BANKS[bank], 2 if bank == "misc" else part.register)
                for bit in range(8):
                    if part.mask << part.lsb >> bit & 1:
                        names.setdefault((register, bit), set()).add(name)
    ports = {(Place("3C", port), bit) for port, bits in PORT_ROWS.items() for bit in bits}
    shown = {(place, bit) for row in rows() for place, bit in product(row.places, row.bits)}
    assert shown == names.keys() | ports
    for row in rows():
        for place, bit in product({row.places[0], row.places[-1]}, row.bits):
            assert (place, bit) in ports or names[place, bit] & set(row.names), row.title


def test_a_bit_without_effect_says_why_and_stands_among_what_is_not_emulated():
    without = {row.title: row for row in rows() if not any(row.effects.values())}
    silent = [title for title, row in without.items() if not row.what.startswith("no effect: ")]
    assert not silent
    listed = (PAGE.parent / "what-is-emulated.md").read_text("utf-8").partition("Not emulated")[2]
    named = {name for row in without.values() for name in row.names}
    assert named == set(re.findall(r"`(\w+)`", listed.partition("(register-bits.md)")[0]))


# The colour path: pixel values to entries of the DAC.

BIOS_PALETTE = (0, 1, 2, 3, 4, 5, 0x14, 7, *range(0x38, 0x40))


def attribute_bytes(palette=tuple(range(16)), mode=0x01, planes=0x0F, select=0):
    return bytes((*palette, mode, 0, planes, 0, select))


def entry_of(value, kind, attribute, *, shown):
    """The entry of one pixel value, a nibble at a time."""
    mode, planes, select = attribute[0x10], attribute[0x12] & 0x0F, attribute[0x14]

    def inner(nibble):
        nibble &= planes
        if mode & 0x08 and kind is not Kind.TEXT:
            fourth = 1 if shown else planes >> 3 and not nibble >> 3
            nibble = nibble & 7 | fourth << 3
        return attribute[nibble]

    if kind is Kind.BYTES:
        return (inner(value >> 4) & 15) << 4 | inner(value & 15) & 15
    if mode & 0x80:
        return select << 4 | inner(value) & 0x0F
    return (select & 0x0C) << 4 | inner(value)


@pytest.mark.parametrize(
    "kind", [Kind.TEXT, Kind.PLANAR, Kind.INTERLEAVE, Kind.NIBBLES, Kind.BYTES]
)
def test_pixel_values_go_through_the_attribute_controller_bit_by_bit(kind):
    chance = Random(kind.value)
    for _ in range(40):
        attribute = attribute_bytes(
            [chance.randrange(64) for _ in range(16)],
            chance.choice((0x01, 0x09, 0x81, 0x89)),
            chance.randrange(16),
            chance.randrange(16),
        )
        shown = chance.random() < 0.5
        indices = dac_indices(attribute, kind, shown)
        values = range(256 if kind is Kind.BYTES else 16)
        assert indices.tolist() == [entry_of(v, kind, attribute, shown=shown) for v in values]


@pytest.mark.parametrize("mode", [0x41, 0xC1])
@pytest.mark.parametrize("select", [0, 0x0F])
def test_the_usual_palette_of_256_colours_passes_pixel_values_on(mode, select):
    attribute = attribute_bytes(mode=mode, select=select)
    assert dac_indices(attribute, Kind.BYTES, True) is IDENTITY
    assert IDENTITY.tolist() == list(range(256))


@pytest.mark.parametrize(("kind", "count"), [(Kind.LINEAR_8, 256), (Kind.LINEAR_32, 0)])
def test_linear_modes_leave_the_attribute_palette_out(kind, count):
    attribute = attribute_bytes(BIOS_PALETTE[::-1], planes=0, select=5)
    indices = dac_indices(attribute, kind, True)
    assert np.array_equal(indices, IDENTITY[:count])


def test_one_colour_of_mode_0f_blinks_where_plane_3_is_not_enabled():
    """QBASIC's SCREEN 10: of its four pages of grey, only the third colour blinks."""
    palette = dict(enumerate(bytes.fromhex("00080000181800000008000000180000")))
    with vgaemu.Machine(mode=0x0F) as machine:
        ports = Ports(machine.vga)
        for index, value in (palette | {0x10: 0x0B, 0x12: 0x05}).items():
            machine.vga.inb(ports.status)
            for byte in (index, value, 0x20):
                machine.vga.outb(0x3C0, byte)
        for pixel in range(16):
            ports.set(SEQ, 2, pixel)
            machine.vga.store(0xA0000 + pixel, b"\xff")
        frames = [machine.screen.full_redraw()[0, :128:8]]
        machine.tick(BLINK_FRAMES + 1)
        frames.append(machine.screen.full_redraw()[0, :128:8])
    blinking = np.flatnonzero(frames[0] != frames[1])
    assert {pixel & 0x05 for pixel in blinking.tolist()} == {4}
    assert frames[0][4] == 0
    assert frames[1][4] == frames[1][5] == frames[0][5]


# How the CPU reaches the planes: SR04 bits 2 and 3, GR05 bit 4, GR06 bits 1-3, misc bit 5.

WINDOWS = {0x00: (0xA0000, 0x20000), 0x04: (0xA0000, 0x10000), 0x08: (0xB0000, 0x8000),
           0x0C: (0xB8000, 0x8000)}  # fmt: skip


def reached(sr04, gr06, page_bit, offset):
    """Address and planes of a store, each bit by itself."""
    address, planes = offset & 0xFFFF, {0, 1, 2, 3}
    if sr04 & 0x08:
        return address & 0xFFFC, {offset & 3}
    if not sr04 & 0x04:
        planes = {1, 3} if offset & 1 else {0, 2}
    if gr06 & 0x02:
        instead = offset >> 16 if not gr06 & 0x0C else not page_bit
        address = address & 0xFFFE | int(instead)
    return address, planes


def plane_read(sr04, gr05, offset, read_map):
    if sr04 & 0x08:
        return offset & 3
    return read_map & 2 | offset & 1 if gr05 & 0x10 else read_map


@pytest.mark.parametrize("sr04", [0x02, 0x06, 0x0A, 0x0E])
@pytest.mark.parametrize("gr06", range(0, 16, 2))
def test_each_bit_of_the_cpus_way_to_the_planes_has_its_own_effect(sr04, gr06):
    start, size = WINDOWS[gr06 & 0x0C]
    offsets = [at for at in (0, 1, 2, 7, 0x4001, 0x7FFE, 0xFFFF, 0x10000, 0x1ABCD) if at < size]
    content = np.random.default_rng(sr04 << 8 | gr06).integers(0, 256, (65536, 4), np.uint8)
    for gr05, page in product((0x00, 0x10), (0x00, 0x20)):
        vga = Vga(Memslot(64))
        vga.outb(0x3C2, 0x43 | page)
        ports = Ports(vga)
        ports.set_all(SEQ, {2: 0x0F, 4: 0x06})
        ports.set_all(GC, {5: gr05, 6: gr06, 8: 0xFF})
        vga.slot.array[:] = content.ravel()
        expected = content.copy()
        ports.set(SEQ, 4, sr04)
        for n, offset in enumerate(offsets):
            address, planes = reached(sr04, gr06, page, offset)
            ports.set(GC, 4, n & 3)
            got = vga.load(start + offset, 1)[0]
            assert got == expected[address, plane_read(sr04, gr05, offset, n & 3)]
            assert vga.latch == int.from_bytes(expected[address].tobytes(), "little")
            vga.store(start + offset, bytes((0x5A ^ n,)))
            expected[address, sorted(planes)] = 0x5A ^ n
        ports.set(SEQ, 4, 0x06)
        assert np.array_equal(vga.slot.array.reshape(-1, 4), expected)


@pytest.mark.parametrize("bpp", [4, 8, 16, 24, 32])
@pytest.mark.parametrize("sr04", [0x02, 0x06, 0x0E])
def test_a_bank_of_dispi_is_at_a0000_whatever_the_vga_says(bpp, sr04):
    for gr06 in range(16):
        vga = Vga(Memslot(256))
        vga.outb(0x3C2, 0x67)
        ports = Ports(vga)
        ports.set_all(SEQ, {2: 0x0F, 4: sr04})
        ports.set_all(GC, {5: 0x10, 6: gr06, 8: 0xFF})
        for index, value in ((1, 64), (2, 64), (3, bpp), (4, 1), (5, 1)):
            ports.set_dispi(index, value)
        vga.store(0xA0001, b"\x12")
        # A bank of planes has 64 Ki addresses.
        at, found = (0x40004, b"\x12" * 4) if bpp == 4 else (0x10001, b"\x12\x00\x00\x00")
        assert vga.slot.array[at : at + 4].tobytes() == found
        assert np.count_nonzero(vga.slot.array) == np.count_nonzero(bytearray(found))
        assert vga.load(0xA0001, 1) == b"\x12"
        assert vga.load(0xB0001, 1) == vga.load(0xB8001, 1) == b"\xff"
        vga.store(0xB8000, bytes((1, 2, 3, 4)))
        assert np.count_nonzero(vga.slot.array) == np.count_nonzero(bytearray(found))


# The shape of a picture: the syncs' polarities, and the part of a line that is shown.

LINES_480 = {0x06: 0x0B, 0x07: 0x3E, 0x10: 0xEA, 0x11: 0x0C, 0x12: 0xDF}
LINES_400_OF_480 = LINES_480 | {0x10: 0xC2, 0x12: 0x8F}
LINES_350 = {0x07: 0x1F, 0x10: 0x83, 0x12: 0x5D}
ONE_CHARACTER = {0x00: 0xFF, 0x01: 0x00}
COLUMNS_360 = {0x00: 0x6B, 0x01: 0x59}

# fmt: off
SHAPES = {
    # what                            mode  misc  SR01  CRTC             aspect
    "200 lines twice, 60 Hz":        (0x13, 0xE3, 0x01, LINES_400_OF_480, 4 / 3 * 480 / 400),
    "200 lines twice, 70 Hz":        (0x13, 0x63, 0x01, {},               4 / 3),
    "240 lines twice":               (0x13, 0xE3, 0x01, LINES_480,        4 / 3),
    "240 lines of 400's polarities": (0x13, 0x63, 0x01, LINES_480,        4 / 3 * 400 / 480),
    "360 columns":                   (0x13, 0x67, 0x01, COLUMNS_360,      4 / 3),
    "256 columns":                   (0x13, 0x63, 0x01, {0x01: 0x3F},     4 / 3 * 256 / 320),
    "43 rows of text":               (0x03, 0xA7, 0x00, LINES_350,        4 / 3),
    "350 lines of 400's polarities": (0x03, 0x67, 0x00, LINES_350,        4 / 3 * 400 / 350),
    "no polarity told, 350":         (0x03, 0x27, 0x00, LINES_350,        4 / 3),
    "no polarity told, 400":         (0x03, 0x27, 0x00, {},               4 / 3),
    "no polarity told, 480":         (0x12, 0x23, 0x01, {},               4 / 3),
    "text of 8 dots":                (0x03, 0x63, 0x01, {},               4 / 3),
    "half of the dot clock":         (0x0D, 0x63, 0x09, {},               4 / 3),
    "one character":                 (0x12, 0xE3, 0x01, ONE_CHARACTER,    4 / 3 / 0.8 / 260),
    "more than the line":            (0x12, 0xE3, 0x01, {0x01: 0xFF},     4 / 3 / 0.8),
}
# fmt: on


@pytest.mark.parametrize("what", SHAPES)
def test_the_shape_of_a_picture_is_what_a_monitor_makes_of_the_signal(what):
    mode, misc, clocking, crtc, aspect = SHAPES[what]
    with vgaemu.Machine(mode=mode) as machine:
        ports = Ports(machine.vga)
        machine.vga.outb(0x3C2, misc)
        ports.set(SEQ, 1, clocking)
        ports.set_all(ports.crtc, {0x11: 0x0C} | crtc)
        machine.tick()
        assert machine.screen.info.aspect == pytest.approx(aspect)


@pytest.mark.parametrize(("misc", "size"), [(0x63, (1600, 1200)), (0xE3, (1600, 1000))])
def test_an_upscaled_picture_has_the_shape_of_the_monitors(misc, size):
    with vgaemu.Machine(mode=0x13) as machine:
        machine.vga.outb(0x3C2, misc)
        machine.tick()
        assert machine.screen.upscaled().shape == (size[1], size[0], 3)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_registers_hold_has_a_shape_that_fits_a_screen(seed):
    chance = Random(seed)
    vga = Vga(Memslot(64))
    for bank in (vga.sequencer, vga.crtc, vga.graphics, vga.attribute, vga.misc):
        bank.values[:] = bytes(chance.randrange(256) & mask for mask in bank.masks)
    vga.crtc.values[1] &= chance.choice((0xFF, 0x00))
    vga.restored()
    info = Screen(vga).info
    for room in product((80, 640, 1920), (25, 480, 1080)):
        width, height = fitted_size(info, room)
        assert 1 <= width <= room[0]
        assert 1 <= height <= room[1]


def test_displays_are_told_of_another_shape():
    shapes = []

    class Eye(vgaemu.BaseDisplay):
        def resize(self, screen):
            shapes.append(screen.aspect)

        def update(self, frame, rects, report):
            pass

    with vgaemu.Machine(mode=0x13, display=Eye()) as machine:
        machine.tick()
        machine.vga.outb(0x3C2, 0xE3)
        machine.tick()
    assert shapes == pytest.approx([4 / 3, 1.6])
