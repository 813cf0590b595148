"""Bochs DISPI: registers, banks, clears, and pictures up to the largest."""

from functools import partial

import numpy as np
import pytest
from gaps import run_with_injections
from shadow import Watched

from vgaemu.memslot import Memslot
from vgaemu.vga import dispi
from vgaemu.vga.device import Vga
from vgaemu.vga.kinds import Kind
from vgaemu.vga.modes import set_mode
from vgaemu.vga.scanout import scanout_of
from vgaemu.vga.vram import LFB_GPA

pytestmark = pytest.mark.turns(2)


class Card(Vga):
    """A VGA with DISPI registers by name."""

    def __init__(self, mib=16):
        super().__init__(Memslot(mib << 8))
        set_mode(self, 0x13)

    def set(self, **values):
        for name, value in values.items():
            self.outw(0x1CE, getattr(dispi, name))
            self.outw(0x1CF, value)

    def get(self, name):
        self.outw(0x1CE, getattr(dispi, name))
        return self.inw(0x1CF)


def test_the_id_can_be_lowered_and_nothing_else():
    card = Card()
    assert card.get("ID") == 0xB0C5
    for wanted, kept in ((0xB0C0, 0xB0C0), (0x1234, 0xB0C0), (0xB0C6, 0xB0C0), (0xB0C4, 0xB0C4)):
        card.set(ID=wanted)
        assert card.get("ID") == kept


def test_getcaps_reports_the_largest_picture_without_losing_the_values():
    card = Card()
    card.set(XRES=640, YRES=480, BPP=16, ENABLE=dispi.GETCAPS)
    assert [card.get(n) for n in ("XRES", "YRES", "BPP")] == [2560, 1600, 32]
    card.set(ENABLE=0)
    assert [card.get(n) for n in ("XRES", "YRES", "BPP")] == [640, 480, 16]


def test_memory_size_and_virtual_height():
    card = Card(mib=8)
    card.set(XRES=1024, YRES=768, BPP=32, ENABLE=0x41)
    assert card.get("MEMORY_64K") == 128
    assert card.get("VIRT_HEIGHT") == (8 << 20) // 4096
    card.set(VIRT_WIDTH=2048)
    assert card.get("VIRT_HEIGHT") == (8 << 20) // 8192
    card.set(VIRT_WIDTH=4096)  # 512 lines would be left
    assert card.get("VIRT_WIDTH") == 2048


def test_zero_bits_a_pixel_are_eight():
    card = Card()
    card.set(BPP=32)
    card.set(BPP=0)
    assert card.get("BPP") == 8


@pytest.mark.parametrize("index", [0x0B, 0x10, 0xFFFF])
def test_an_index_without_a_register_reads_ffff(index):
    card = Card()
    card.outw(0x1CE, index)
    assert (card.inw(0x1CE), card.inw(0x1CF)) == (index, 0xFFFF)


def test_data_is_at_1d0_too():
    card = Card()
    card.outw(0x1CE, dispi.XRES)
    card.outw(0x1D0, 640)
    assert (card.inw(0x1CF), card.inw(0x1D0)) == (640, 640)


def test_switching_on_starts_at_the_first_pixel_and_bank():
    card = Card()
    card.set(XRES=640, YRES=480, BPP=8, ENABLE=1)
    card.set(VIRT_WIDTH=800, X_OFFSET=5, Y_OFFSET=6, BANK=7)
    card.set(ENABLE=1)  # on already
    names = ("VIRT_WIDTH", "X_OFFSET", "Y_OFFSET", "BANK")
    assert [card.get(name) for name in names] == [800, 5, 6, 7]
    card.set(ENABLE=0)
    card.set(ENABLE=1)
    assert [card.get(name) for name in names] == [640, 0, 0, 0]


def test_a_virtual_width_is_at_least_the_real_one():
    card = Card()
    card.set(XRES=640, YRES=480, BPP=8, ENABLE=1, VIRT_WIDTH=320)
    assert card.get("VIRT_WIDTH") == 640


def test_bits_of_a_bank_that_choose_reading_and_writing_are_no_part_of_it():
    card = Card(7)  # 112 banks
    card.set(XRES=640, YRES=480, BPP=8, ENABLE=1, BANK=0xC003)
    assert card.get("BANK") == 3
    assert card.window(0xA0000) == 3 << 16


def test_banks_of_another_size_stay_inside_vram():
    card = Card(1)
    card.set(XRES=64, YRES=48, BPP=8, ENABLE=1 | dispi.BANK_32K, BANK=30)
    card.set(ENABLE=1)
    assert card.get("BANK") == 14
    assert card.window(0xA0000) == 14 << 16


def test_sizes_are_fixed_while_the_mode_is_on():
    card = Card()
    card.set(XRES=640, YRES=480, BPP=8, ENABLE=1)
    card.set(XRES=320, YRES=200, BPP=32)
    assert [card.get(n) for n in ("XRES", "YRES", "BPP")] == [640, 480, 8]


def test_a_picture_that_does_not_fit_vram_is_not_switched_on():
    card = Card(mib=1)
    card.set(XRES=1024, YRES=768, BPP=32, ENABLE=1)
    assert not card.get("ENABLE") & 1
    assert not card.dispi.enabled


@pytest.mark.parametrize("flag", [0, dispi.NO_CLEAR])
def test_switching_on_clears_the_picture_unless_told_not_to(flag):
    card = Card()
    card.store(LFB_GPA, b"\x55" * 640 * 400)
    card.set(XRES=640, YRES=400, BPP=8, ENABLE=0x41 | flag)
    assert (card.load(LFB_GPA, 640 * 400) == bytes(640 * 400)) == (not flag)


def test_banks_move_the_window_and_stay_inside_vram():
    card = Card()
    card.set(XRES=640, YRES=480, BPP=8, ENABLE=1)
    for bank in (0, 3, 255):
        card.set(BANK=bank)
        card.store(0xA0000 + 5, bytes((bank,)))
        assert card.load(LFB_GPA + bank * 0x10000 + 5, 1) == bytes((bank,))
        assert card.window(0xA0000) == bank * 0x10000
    card.set(ENABLE=1 | dispi.BANK_32K)
    card.set(BANK=3)
    card.store(0xA0000, b"\x77")
    assert card.load(LFB_GPA + 3 * 0x8000, 1) == b"\x77"


def test_a_bank_past_the_last_one_is_counted_from_the_first_again():
    card = Card()
    card.set(XRES=640, YRES=480, BPP=8, ENABLE=1)
    for wanted, kept in ((0x105, 5), (0xC003, 3), (0x1FF, 0xFF)):
        card.set(BANK=wanted)
        assert card.get("BANK") == kept
        assert card.window(0xA0000) == kept << 16
    card.set(ENABLE=1 | dispi.BANK_32K, BANK=0x1FF)
    assert card.window(0xA0000) == 0x1FF << 15
    card.set(BANK=0x201)
    assert card.window(0xA0000) == 1 << 15


def test_an_overlapping_copy_from_a_bank_to_the_linear_frame_buffer_repeats():
    card = Card()
    card.set(XRES=640, YRES=480, BPP=8, ENABLE=0x41, BANK=2)
    card.store(0xA0000, bytes((1, 2, 3)))
    card.copy(0xA0000, LFB_GPA + 0x20003, 30)
    assert card.load(0xA0000, 33) == bytes((1, 2, 3)) * 11
    card.copy(LFB_GPA + 0x20000, 0xA0001, 8)
    assert card.load(0xA0000, 9) == bytes((1,)) * 9


def test_a_block_that_leaves_the_bank_lands_where_it_is_inside():
    card = Card()
    card.outw(0x3CE, 0x0106)  # a window of 128 KiB; a bank is half of it
    card.set(XRES=640, YRES=480, BPP=8, ENABLE=0x41, BANK=2)
    card.store(0xAFFFE, bytes((1, 2, 3, 4)))
    assert card.load(LFB_GPA + 0x2FFFE, 4) == bytes((1, 2, 0, 0))
    assert card.load(0xAFFFE, 4) == b"\x01\x02\xff\xff"
    assert card.slot.array.sum() == 3


@pytest.mark.parametrize("bpp", [4, 8, 24])
def test_switching_on_clears_the_picture_alone(bpp):
    card = Card(mib=1)
    card.slot.array[:] = 0x55
    card.set(XRES=64, YRES=48, BPP=bpp, ENABLE=0x41)
    nbytes = 64 * 48 * bpp // 8
    assert not card.slot.array[:nbytes].any()
    assert (card.slot.array[nbytes:] == 0x55).all()


def test_a_new_virtual_width_is_one_change():
    card = Card()
    card.set(XRES=64, YRES=48, BPP=8, ENABLE=0x41)
    before = card.generation
    card.set(VIRT_WIDTH=80)
    assert card.generation == before + 1


@pytest.mark.parametrize("width", range(2, 8))
def test_planar_pictures_narrower_than_a_byte_are_not_switched_on(width):
    card = Card()
    card.set(XRES=width, YRES=40, BPP=4, ENABLE=0x41)
    assert not card.dispi.enabled
    assert Watched(card).frame().pixels
    card.dispi.values[:] = [0xB0C5, width, 40, 4, 0x41, 0, 64, 0, 0, 0, 256]  # past the ports
    assert scanout_of(card).width == width
    assert Watched(card).frame().pixels == width * 40


@pytest.mark.parametrize("x", [0, 3, 9])
def test_planar_pictures_are_as_wide_as_asked_for(x):
    card = Card()
    card.set(XRES=44, YRES=2, BPP=4, ENABLE=0x41, VIRT_WIDTH=64, X_OFFSET=x)
    card.outw(0x3C4, 0x0F02)
    data = bytes.fromhex("8F0102F0AA55C3E7")
    card.store(0xA0000, data)
    watched = Watched(card)
    watched.frame()
    assert watched.display.frame.shape == (2, 44)
    dots = [data[n // 8] >> (7 - n % 8) & 1 for n in range(x, x + 44)]
    assert (watched.display.frame[0] != watched.display.frame[1, 0]).tolist() == [
        bool(dot) for dot in dots
    ]


def test_planar_pictures_blink_as_the_vgas_own():
    card = Card()
    set_mode(card, 0x12)
    card.inb(0x3DA)
    for value in (0x10, 0x09, 0x20):  # AR10 bit 3
        card.outb(0x3C0, value)
    card.store(0xA0000, b"\xff" * 80)
    vga = [scanout_of(card, blink_phase=phase).colours.palette for phase in (True, False)]
    card.set(XRES=640, YRES=480, BPP=4, ENABLE=0xC1)
    assert [scanout_of(card, blink_phase=phase).colours.palette for phase in (True, False)] == vga
    assert vga[0] != vga[1]
    watched = Watched(card)
    drawn = [watched.frame().redraw for _ in range(17)]
    assert drawn[1:] == [""] * 15 + ["everything"]


@pytest.mark.parametrize("bpp", [4, 8, 15, 16, 24, 32])
def test_virtual_screens_pan_to_the_pixel_and_redraw_exactly(bpp):
    card = Card()
    card.set(XRES=320, YRES=200, BPP=bpp, ENABLE=0x41, VIRT_WIDTH=400)
    watched = Watched(card)
    watched.frame()
    rng = np.random.default_rng(bpp)
    if bpp == 4:
        for plane in range(4):
            card.outw(0x3C4, 0x02 | 0x100 << plane)
            card.store(0xA0000, rng.integers(0, 256, 12000, dtype=np.uint8).tobytes())
        card.outw(0x3C4, 0x0F02)
    else:
        card.store(LFB_GPA, rng.integers(0, 256, 400 * 240 * 4, dtype=np.uint8).tobytes())
    watched.frame()
    whole = {}
    for x, y in ((0, 0), (1, 0), (7, 3), (80, 40)):
        card.set(X_OFFSET=x, Y_OFFSET=y)
        watched.frame()
        whole[x, y] = watched.display.frame.copy()
    assert np.array_equal(whole[0, 0][3:, 7:], whole[7, 3][:-3, :-7])
    assert np.array_equal(whole[0, 0][40:, 80:], whole[80, 40][:-40, :-80])
    assert np.array_equal(whole[0, 0][:, 1:], whole[1, 0][:, :-1])


def test_the_largest_picture_fits_the_default_vram():
    card = Card()
    card.set(XRES=2560, YRES=1600, BPP=32, ENABLE=0x41)
    assert card.dispi.enabled
    watched = Watched(card)
    card.store(LFB_GPA + (2560 * 1600 - 1) * 4, b"\x11\x22\x33\x00")
    watched.frame()
    assert watched.display.frame[1599, 2559] == 0x332211


def test_switching_off_returns_to_the_vga_picture():
    card = Card()
    watched = Watched(card)
    card.store(0xA0000, b"\x0f" * 64000)
    watched.frame()
    before = watched.display.frame.copy()
    card.set(XRES=640, YRES=400, BPP=8, ENABLE=1 | dispi.NO_CLEAR)
    watched.frame()
    card.set(ENABLE=0)
    watched.frame()
    assert np.array_equal(watched.display.frame, before)


def looked_at_in_each_gap(before, **values):
    """Write DISPI registers, and let a display draw in one bytecode gap of it after another."""
    gap, gaps = 0, 1
    while gap < gaps:
        card = Card(1)
        card.set(**before)
        card.slot.array[:] = np.arange(1 << 20) % 251
        watched = Watched(card)
        watched.frame()
        card.outb(0x3C6, 0x7F)  # there is a change to look for
        gaps = run_with_injections(
            partial(card.set, **values),
            {gap: watched.loop.draw_frame},
            modules=("vgaemu.vga.dispi",),
        )
        watched.frame()
        watched.loop.close()
        gap += 1
    assert gaps > 50


@pytest.mark.parametrize("size", [{"XRES": 32, "YRES": 8}, {"XRES": 0}], ids=["on", "refused"])
def test_a_display_may_look_while_a_mode_is_switched_on(size):
    looked_at_in_each_gap(size, ENABLE=0x41)


def test_a_virtual_width_that_is_refused_is_never_seen():
    mode = {"XRES": 32, "YRES": 64, "BPP": 32, "ENABLE": 0x41}
    looked_at_in_each_gap(mode, VIRT_WIDTH=0xFFFF)


def test_a_guest_may_set_another_mode_while_a_display_looks():
    card = Card(1)
    gap, gaps = 0, 1
    while gap < gaps:
        card.set(ENABLE=0)
        card.set(XRES=6, YRES=8, BPP=8, ENABLE=0x41)
        seen = []

        def look(seen=seen):
            seen.append(scanout_of(card))

        def other():
            card.set(ENABLE=0)
            card.set(XRES=64, YRES=16, BPP=4, ENABLE=0x41)

        gaps = run_with_injections(look, {gap: other}, modules=("vgaemu.vga",))
        shape = (seen[0].kind, seen[0].width, seen[0].height, seen[0].rows.pitch)
        assert shape in ((Kind.LINEAR_8, 6, 8, 6), (Kind.PLANAR, 64, 16, 32))
        gap += 1
    assert gaps > 50
