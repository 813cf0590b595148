"""The CPU side of memory: blocks equal single bytes, and both equal what hardware does."""

import itertools
import random

import numpy as np
import pytest
from vram_planes import planes_of, put_planes
from work import Functions

from vgaemu.memslot import Memslot
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.vram import LFB_GPA

pytestmark = pytest.mark.turns(2)


class BytewiseVga(Vga):
    """Every block as single bytes, one after another: what `rep stosb` is by definition."""

    def store(self, gpa, data):
        for i in range(len(data)):
            super().store(gpa + i, bytes(data[i : i + 1]))

    def load(self, gpa, count):
        return b"".join(super(BytewiseVga, self).load(gpa + i, 1) for i in range(count))

    def copy(self, src, dst, count):
        for i in range(count):
            self.store(dst + i, self.load(src + i, 1))


#: SR04, GR06 bit 1, misc output.
ADDRESSING = {
    "planar": (0x06, 0, 0xE3),
    "planes in pairs": (0x02, 0, 0xE3),
    "no address bit 0": (0x06, 2, 0xE3),
    "odd/even": (0x02, 2, 0xE3),
    "odd/even, other page": (0x02, 2, 0xC3),
    "chain-4": (0x0E, 0, 0xE3),
}


def address(vga, addressing):
    """Set SR04 and the page; GR06 is `random_graphics`'s."""
    sequencer, _, misc = ADDRESSING[addressing]
    vga.outw(0x3C4, sequencer << 8 | 4)
    vga.outb(0x3C2, misc)


@pytest.mark.parametrize("window", [0x05, 0x01], ids=["64 KiB", "128 KiB"])
@pytest.mark.parametrize("seed", range(4))
def test_blocks_equal_single_bytes_in_the_plain_window(window, seed):
    """Chain-4 as mode 13h sets it: no store looks at the latches, but each load fills them."""
    rng = random.Random(f"{window} {seed}")
    fast, slow = Vga(Memslot(64)), BytewiseVga(Memslot(64))
    content = np.frombuffer(rng.randbytes(256 << 10), np.uint8)
    for vga in (fast, slow):
        set_mode(vga, 0x13)
        vga.outw(0x3CE, window << 8 | 6)
        vga.slot.array[:] = content
    bases = (0xA0000, 0xA8000, 0xAFFE0, 0xB0000, LFB_GPA, LFB_GPA + 0x8000, 0x9FFE0, 0xBFFE0)
    for _ in range(120):
        src, dst = (rng.choice(bases) + rng.randrange(48) for _ in range(2))
        if rng.random() < 0.5:
            dst = src + rng.randrange(-8, 9)
        count = rng.choice((0, 1, 2, 3, 4, 5, 17, 64))
        for vga in (fast, slow):
            vga.copy(src, dst, count)
        assert fast.latch == slow.latch, (hex(src), hex(dst), count)
        assert np.array_equal(fast.slot.array, slow.slot.array), (hex(src), hex(dst), count)


def test_the_last_byte_of_a_plain_copy_latches_what_the_copy_left():
    vga = Vga(Memslot(64))
    set_mode(vga, 0x13)
    vga.store(0xA0004, bytes((4, 5, 6, 7)))
    vga.copy(0xA0005, 0xA0004, 3)
    assert vga.latch == 0x07060605  # what single bytes leave: 05 is there already, and 06
    assert vga.load(0xA0004, 4) == bytes((5, 6, 7, 7))


@pytest.mark.parametrize(
    ("src", "dst"), [(0xA0000, 0xB0004), (0xB0000, 0xA0004), (0xA0000, LFB_GPA + 4)]
)
def test_an_overlapping_copy_through_two_windows_repeats_what_it_wrote(src, dst):
    vga = Vga(Memslot(64))
    set_mode(vga, 0x13)
    vga.outw(0x3CE, 0x0106)  # 128 KiB: the second half shows the first again
    vga.store(0xA0000, bytes((1, 2, 3, 4)))
    vga.copy(src, dst, 32)
    assert vga.load(0xA0000, 36) == bytes((1, 2, 3, 4)) * 9


def random_graphics(rng, addressing):
    """Graphics controller and map mask values that exercise the whole pipeline."""
    ports = [(0x3CE, i, rng.randrange(256)) for i in (0, 1, 2, 3, 4, 7, 8)]
    ports.append((0x3CE, 5, rng.randrange(4) | rng.choice((0, 8)) | rng.choice((0, 0x10))))
    ports.append((0x3CE, 6, rng.choice((0x00, 0x04, 0x08, 0x0C, 0x05)) | ADDRESSING[addressing][1]))
    ports.append((0x3C4, 2, rng.choice((0x0F, rng.randrange(16)))))
    return ports


@pytest.mark.parametrize("addressing", ADDRESSING)
@pytest.mark.parametrize("seed", range(4))
def test_blocks_equal_single_bytes(addressing, seed):
    rng = random.Random(f"{addressing} {seed}")
    fast, slow = Vga(Memslot(64)), BytewiseVga(Memslot(64))
    content = np.frombuffer(rng.randbytes(256 << 10), np.uint8)
    for vga in (fast, slow):
        set_mode(vga, 0x12)
        address(vga, addressing)
        vga.slot.array[:] = content
    for _ in range(25):
        settings = random_graphics(rng, addressing)
        gpa = rng.choice((0xA0000, 0xAFF00, 0xB0000, 0xB8000, 0xBFFF0)) + rng.randrange(64)
        other = gpa + rng.choice((0, rng.randrange(-40, 40)))
        count = rng.choice((1, 2, 3, 17, 64, 300))
        data = rng.randbytes(count)
        seen = []
        for vga in (fast, slow):
            for port, index, value in settings:
                vga.outw(port, value << 8 | index)
            vga.load(other, 1)
            vga.store(gpa, data)
            vga.copy(gpa, other, count)
            seen.append((vga.load(gpa, count), vga.latch))
        assert seen[0] == seen[1]
        assert np.array_equal(fast.slot.array, slow.slot.array)


#: Where windows begin and end, and plain memory in them.
BORDERS = (0xA0000, 0xB0000, 0xB8000, 0xC0000, LFB_GPA, LFB_GPA + (256 << 10))


@pytest.mark.parametrize("addressing", [*ADDRESSING, "plain"])
@pytest.mark.parametrize("seed", range(4))
def test_a_copy_across_borders_equals_single_bytes(addressing, seed):
    rng = random.Random(f"{addressing} {seed}")
    fast, slow = Vga(Memslot(64)), BytewiseVga(Memslot(64))
    content = np.frombuffer(rng.randbytes(256 << 10), np.uint8)
    for vga in (fast, slow):
        set_mode(vga, 0x12 if addressing in ADDRESSING else 0x13)
        address(vga, addressing if addressing in ADDRESSING else "chain-4")
        vga.slot.array[:] = content
    for _ in range(30):
        settings = random_graphics(rng, addressing) if addressing in ADDRESSING else []
        odd_even = ADDRESSING[addressing][1] if settings else 0
        settings.append((0x3CE, 6, rng.choice((0x01, 0x05, 0x09, 0x0D)) | odd_even))
        src, dst = (rng.choice(BORDERS) + rng.randrange(-40, 40) for _ in range(2))
        count = rng.choice((0, 1, 17, 64, 90))
        for vga in (fast, slow):
            for port, index, value in settings:
                vga.outw(port, value << 8 | index)
            vga.copy(src, dst, count)
        assert fast.latch == slow.latch, (hex(src), hex(dst), count)
        assert np.array_equal(fast.slot.array, slow.slot.array), (hex(src), hex(dst), count)


@pytest.mark.parametrize("mode", [0x0D, 0x12, 0x04, 3, 0x13])
@pytest.mark.parametrize("window", [0, 1, 2, 3])
def test_a_copy_that_leaves_a_window_is_few_blocks(mode, window):
    """Whatever lies outside, and however bytes share dwords where source is target."""
    vga = Vga(Memslot(64))
    set_mode(vga, mode)
    vga.outw(0x3CE, window << 10 | 6)
    for start in (0x90000, 0xA0000, 0xA8000, 0xB0000, 0xB8000, 0xBC000):
        for ahead in (0, 0x4000, -0x4000):
            with Functions() as work:
                vga.copy(start, start + ahead, 0x10000)
            assert work.called < 1000, (hex(start), hex(ahead))  # once up to 2 million


@pytest.mark.parametrize("addressing", ADDRESSING)
def test_every_byte_that_changed_lies_in_a_dirty_page(addressing):
    rng = random.Random(addressing)
    vga = Vga(Memslot(64))
    set_mode(vga, 0x12)
    address(vga, addressing)
    for _ in range(60):
        for port, index, value in random_graphics(rng, addressing):
            vga.outw(port, value << 8 | index)
        vga.slot.get_dirty_log()
        before = vga.slot.array.copy()
        gpa = 0xA0000 + rng.randrange(0x20000)
        if rng.random() < 0.5:
            vga.store(gpa, rng.randbytes(rng.choice((1, 2, 80, 5000))))
        else:
            vga.copy(0xA0000 + rng.randrange(0x20000), gpa, rng.choice((1, 80, 5000)))
        changed = set((np.flatnonzero(before != vga.slot.array) >> 12).tolist())
        assert changed <= set(vga.slot.get_dirty_log().pages().tolist())


def planar_vga(**graphics):
    vga = Vga(Memslot(64))
    set_mode(vga, 0x12)
    for name, value in graphics.items():
        vga.outw(0x3CE, value << 8 | int(name[1:], 16))
    return vga


def planes(vga, address):
    return planes_of(vga)[address].tolist()


def test_write_mode_0_rotates_sets_combines_and_masks():
    vga = planar_vga(g0=0b0101, g1=0b0011, g3=0x18 | 1, g8=0x0F)  # XOR, rotate right by 1
    vga.slot.array[40:44] = (0x11, 0x22, 0x44, 0x88)
    vga.load(0xA0000 + 10, 1)
    vga.store(0xA0000 + 10, b"\x03")  # rotated: 81h
    # Planes 0 and 1 get set/reset (1, 0), 2 and 3 the data; all XOR latch; low nibble only.
    assert planes(vga, 10) == [0x11 ^ 0x0F, 0x22, 0x44 ^ 0x01, 0x88 ^ 0x01]


def test_write_mode_1_copies_latches():
    vga = planar_vga(g5=1)
    vga.slot.array[0:4] = (1, 2, 3, 4)
    vga.copy(0xA0000, 0xA0000 + 100, 1)
    assert planes(vga, 100) == [1, 2, 3, 4]


def test_write_mode_2_spreads_data_bits_over_the_planes():
    vga = planar_vga(g5=2, g8=0xF0)
    vga.store(0xA0000, b"\x0a")
    assert planes(vga, 0) == [0x00, 0xF0, 0x00, 0xF0]


def test_write_mode_3_masks_with_the_data_and_combines():
    vga = planar_vga(g0=0b1001, g3=0x10, g5=3, g8=0x3C)  # OR
    vga.slot.array[0:4] = (0x01, 0x02, 0x04, 0x08)
    vga.load(0xA0000, 1)
    vga.store(0xA0000, b"\xff")
    assert planes(vga, 0) == [0x3D, 0x02, 0x04, 0x3C]


def test_read_mode_1_compares_colours():
    vga = planar_vga(g2=0b0101, g5=8, g7=0b0111)
    vga.slot.array[0:4] = (0b11110000, 0b11001100, 0b10101010, 0xFF)
    assert vga.load(0xA0000, 1)[0] == 0b11110000 & ~0b11001100 & 0b10101010
    vga.outw(0x3CE, 0x0007)
    assert vga.load(0xA0000, 1) == b"\xff"


def test_chain_4_puts_byte_a_into_plane_a_and_3():
    vga = Vga(Memslot(64))
    set_mode(vga, 0x13)
    vga.store(0xA0000, bytes(range(8)))
    vga.outw(0x3C4, 0x0604)  # unchain: what hardware shows now
    assert planes(vga, 0) == [0, 1, 2, 3]
    assert planes(vga, 1) == [0, 0, 0, 0]
    assert planes(vga, 4) == [4, 5, 6, 7]


def test_switching_chain_4_there_and_back_keeps_every_byte_and_marks_all_pages():
    vga = Vga(Memslot(64))
    set_mode(vga, 0x12)
    content = np.random.default_rng(1).integers(0, 256, 256 << 10, dtype=np.uint8)
    vga.slot.array[:] = content
    vga.slot.get_dirty_log()
    vga.outw(0x3C4, 0x0E04)
    assert len(vga.slot.get_dirty_log()) == 64
    assert not np.array_equal(vga.slot.array, content)
    vga.outw(0x3C4, 0x0604)
    assert np.array_equal(vga.slot.array, content)


def test_odd_even_reads_choose_the_pair_by_the_read_map_and_the_plane_by_the_address():
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    content = planes_of(vga)
    content[2] = 0x10, 0x11, 0x12, 0x13
    put_planes(vga, content)
    for read_map, expected in (
        (0, b"\x10\x11"),
        (1, b"\x10\x11"),
        (2, b"\x12\x13"),
        (3, b"\x12\x13"),
    ):
        vga.outw(0x3CE, 4 | read_map << 8)
        assert vga.load(0xB8002, 2) == expected


def test_text_cell_lies_in_planes_0_and_1_at_twice_its_number():
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    vga.store(0xB8000 + 2 * 7, b"A\x1e")
    assert planes(vga, 14)[:2] == [0x41, 0x1E]


def test_mode_13h_is_plain_memory_until_a_setting_could_change_a_store():
    vga = Vga(Memslot(64))
    set_mode(vga, 0x13)
    changes = []
    vga.on_map_changed.append(lambda: changes.append(vga.window(0xA0000)))
    assert vga.window(0xA1234) == 0x1000
    settings = [(0x3CE, 1, 1, 0), (0x3CE, 3, 8, 0), (0x3CE, 5, 0x41, 0x40), (0x3CE, 8, 0x7F, 0xFF)]
    settings += [(0x3C4, 2, 0x07, 0x0F), (0x3CE, 5, 0x48, 0x40)]
    for port, index, odd, back in settings:
        vga.outw(port, odd << 8 | index)
        assert vga.window(0xA0000) is None
        vga.outw(port, back << 8 | index)
        assert vga.window(0xA0000) == 0
    assert changes == [None, 0] * len(settings)
    assert vga.window(0xB8000) is None
    assert vga.window(LFB_GPA + 0x5000) == 0x5000
    assert vga.window(LFB_GPA + vga.slot.nbytes) is None


@pytest.mark.parametrize("value", range(4))
def test_gr06_selects_the_window_and_outside_reads_ff(value):
    vga = planar_vga(g6=value << 2 | 1)
    start, size = ((0xA0000, 0x20000), (0xA0000, 0x10000), (0xB0000, 0x8000), (0xB8000, 0x8000))[
        value
    ]
    for gpa in range(0xA0000, 0xC0000, 0x4000):
        vga.slot.array[:] = 0
        vga.store(gpa, b"\x5a")
        inside = start <= gpa < start + size
        assert vga.slot.array.any() == inside
        assert vga.load(gpa, 1) == (b"\x5a" if inside else b"\xff")


def test_a_block_that_leaves_the_window_lands_where_it_is_inside():
    vga = planar_vga()
    vga.store(0xAFFFE, b"\x01\x02\x03\x04")
    assert planes(vga, 0xFFFE)[0] == 1
    assert planes(vga, 0xFFFF)[0] == 2
    assert planes(vga, 0) == [0] * 4
    assert vga.load(0xAFFFE, 4) == b"\x01\x02\xff\xff"
    vga.store(0x9FFFF, b"\x09\x08")
    assert planes(vga, 0)[0] == 8


def test_ram_enable_cuts_the_cpu_off():
    vga = planar_vga()
    vga.outb(0x3C2, 0xE1)
    vga.store(0xA0000, b"\x55")
    assert vga.load(0xA0000, 1) == b"\xff"
    vga.outb(0x3C2, 0xE3)
    assert vga.load(0xA0000, 1) == b"\x00"


def test_overlapping_copy_repeats_what_it_wrote():
    vga = planar_vga()
    vga.store(0xA0000, b"ab")
    vga.copy(0xA0000, 0xA0002, 6)
    assert vga.load(0xA0000, 8) == b"abababab"
    vga.copy(0xA0002, 0xA0001, 4)
    assert vga.load(0xA0000, 8) == b"aababbab"


def test_every_write_mode_and_function_equals_the_bit_by_bit_definition():
    rng = random.Random(3)
    for mode, function in itertools.product(range(4), range(4)):
        setting = {name: rng.randrange(16) for name in ("set_reset", "enable")}
        rotate, mask, data = rng.randrange(8), rng.randrange(256), rng.randrange(256)
        vga = planar_vga(
            g0=setting["set_reset"],
            g1=setting["enable"],
            g3=function << 3 | rotate,
            g5=mode,
            g8=mask,
        )
        latch = [rng.randrange(256) for _ in range(4)]
        vga.slot.array[0:4] = latch
        vga.load(0xA0000, 1)
        vga.store(0xA0004, bytes((data,)))
        expected = [
            sum(
                _bit(mode, function, setting, rotate, mask, data, latch[plane], plane, bit) << bit
                for bit in range(8)
            )
            for plane in range(4)
        ]
        assert planes(vga, 4) == expected, (mode, function)


def _bit(mode, function, setting, rotate, mask, data, latch, plane, bit):
    """One bit of one plane, straight from the register descriptions."""
    latched = latch >> bit & 1
    if mode == 1:
        return latched
    rotated = data >> (bit + rotate) % 8 & 1
    constant = setting["set_reset"] >> plane & 1
    if mode == 2:
        value, masked = data >> plane & 1, mask >> bit & 1
    elif mode == 3:
        value, masked = constant, mask >> bit & rotated
    else:
        value = constant if setting["enable"] >> plane & 1 else rotated
        masked = mask >> bit & 1
    combined = (value, value & latched, value | latched, value ^ latched)[function]
    return combined if masked else latched


def showing(mode):
    """A VGA in a BIOS mode, and where its window begins."""
    vga = Vga(Memslot(64))
    set_mode(vga, mode)
    return vga, 0xA0000 if mode > 7 else 0xB8000


@pytest.mark.parametrize("mode", [0x13, 0x12, 4, 3])
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("shape", [(4, 16), (1, 64), (64, 1), (2, 8, 4)])
@pytest.mark.parametrize("constant", [False, True])
def test_a_picture_is_stored_row_after_row(mode, step, shape, constant):
    vga, at = showing(mode)
    picture = np.arange(64 * step, dtype=np.uint8).reshape(*shape[:-1], -1)[..., ::step]
    picture = picture | 0xFF if constant else picture
    vga.store(at, picture)
    assert vga.load(at, 65) == picture.tobytes() + vga.load(at + 64, 1)


@pytest.mark.parametrize("mode", [0x13, 0x12, 3])
def test_a_picture_of_one_colour_is_stored_whole(mode):
    vga, at = showing(mode)
    vga.store(at, np.full((200, 80), 0x55, np.uint8))
    assert vga.load(at, 16001) == b"\x55" * 16000 + vga.load(at + 16000, 1)


def test_a_picture_that_begins_outside_vram():
    vga, at = showing(0x13)
    picture = np.arange(64, dtype=np.uint8).reshape(4, 16)
    vga.store(at - 16, picture)
    assert vga.load(at, 48) == picture.tobytes()[16:]


@pytest.mark.parametrize("mode", [0x13, 0x12, 3])
@pytest.mark.parametrize(
    ("data", "error"), [(np.arange(4), ValueError), (np.arange(4, dtype=np.uint16), ValueError),
                        ([1], TypeError)]
)  # fmt: skip
def test_what_is_no_bytes_is_refused(mode, data, error):
    vga, at = showing(mode)
    before = vga.load(at, 64)
    with pytest.raises(error, match=r"uint8|bytes-like"):
        vga.store(at, data)
    assert vga.load(at, 64) == before


class EagerVga(Vga):
    """Works the window out anew after each write."""

    def outw(self, port, value):
        super().outw(port, value)
        self.remap()


@pytest.mark.parametrize("addressing", ADDRESSING)
def test_registers_of_the_pipeline_count_for_the_next_access(addressing):
    """Each of them with bits of all kinds, then one store, load or copy."""
    rng = random.Random(addressing)
    lazy, eager = vgas = Vga(Memslot(64)), EagerVga(Memslot(64))
    content = np.frombuffer(rng.randbytes(256 << 10), np.uint8)
    for vga in vgas:
        address(vga, addressing)
        vga.outw(0x3CE, (ADDRESSING[addressing][1] | 5) << 8 | 6)
        vga.slot.array[:] = content
    registers = [(0x3CE, index) for index in (0, 1, 2, 3, 4, 5, 7, 8)] + [(0x3C4, 2)]
    for port, index in registers * 12:
        value = rng.choice((0, 0xFF, rng.randrange(256)))
        kind, at = rng.choice(("store", "load", "copy")), 0xA0000 + rng.randrange(0x8000)
        length = rng.choice((1, 2, 70))
        data, found = rng.randbytes(length), []
        for vga in vgas:
            vga.outw(port, value << 8 | index)
            found.append(vga.window(at))
            if kind == "store":
                vga.store(at, data)
            elif kind == "load":
                found.append(vga.load(at, length))
            else:
                vga.copy(at, 0xA0000, length)
        assert found[: len(found) // 2] == found[len(found) // 2 :]
        assert lazy.latch == eager.latch
        assert (lazy.slot.array == eager.slot.array).all()


def test_what_is_before_almost_every_store_moves_no_window(monkeypatch):
    vga = showing(0x12)[0]
    monkeypatch.setattr(vga, "remap", None)
    before = vga.generation
    for port, index in [(0x3CE, index) for index in (0, 1, 2, 3, 4, 7, 8)] + [(0x3C4, 2)]:
        for value in (0x55, 0x0A):
            vga.outw(port, value << 8 | index)
    for mode in range(4):
        vga.outw(0x3CE, mode << 8 | 5)
    assert vga.generation == before  # nor is it for the picture
