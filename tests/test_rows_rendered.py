"""Row renderers: parts of a picture against the whole, and pixels against their definition."""

import random

import numpy as np
import pytest
from shadow import Watched

from vgaemu.memslot import Memslot
from vgaemu.vga.crtc import Geometry, scan_lines
from vgaemu.vga.device import Vga
from vgaemu.vga.kinds import Kind
from vgaemu.vga.modes import set_mode
from vgaemu.vga.render import Rect, base, make_renderer
from vgaemu.vga.render.graphics import EXCHANGES, four_pixels
from vgaemu.vga.rows import RowMap, plane_addresses
from vgaemu.vga.scanout import scanout_of


def bios(mode, *ports):
    vga = Vga(Memslot(64))
    set_mode(vga, mode)
    for port, index, value in ports:
        vga.outw(port, index | value << 8)
    return vga


def dispi(bpp, width=80, height=48):
    vga = Vga(Memslot(64))
    set_mode(vga, 0x13)
    for index, value in ((1, width), (2, height), (3, bpp), (4, 0x41), (6, width + 10)):
        vga.outw(0x1CE, index)
        vga.outw(0x1CF, value)
    return vga


def split_and_panned(mode, pan):
    """A picture with pel panning above a split in the middle, and none below."""
    vga = bios(mode, (0x3D4, 0x18, 99), (0x3D4, 0x07, 0x0F), (0x3D4, 0x09, 0x01))
    vga.inb(0x3DA)
    for value in (0x13, pan, 0x30, vga.attribute.values[0x10] | 0x20, 0x20):
        vga.outb(0x3C0, value)
    return vga


PICTURES = {
    "CGA": lambda: bios(0x04),
    "planar, small": lambda: bios(0x0D),
    "planar, large": lambda: bios(0x12),
    "planar, split": lambda: split_and_panned(0x0D, 3),
    "nibbles": lambda: bios(0x0D, (0x3CE, 5, 0x40)),
    "nibbles, large": lambda: bios(0x12, (0x3CE, 5, 0x40)),
    "interleave, large": lambda: bios(0x12, (0x3CE, 5, 0x20)),
    "13h": lambda: bios(0x13),
    "13h, split": lambda: split_and_panned(0x13, 2),
} | {f"{bpp} bpp": lambda bpp=bpp: dispi(bpp) for bpp in (8, 15, 16, 24, 32)}


def filled(vga):
    rng = np.random.default_rng(12)
    vga.slot.array[:] = rng.integers(0, 256, len(vga.slot.array), dtype=np.uint8)
    return make_renderer(vga.slot.array, scanout_of(vga))


def whole(renderer):
    frame = np.zeros((renderer.scanout.height, renderer.scanout.width), np.uint32)
    renderer.draw_all(frame)
    return frame


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("step", [1, 7, 64])
def test_a_picture_drawn_in_strips_is_the_picture_drawn_whole(name, step, monkeypatch):
    renderer = filled(PICTURES[name]())
    expected = whole(renderer)
    assert len(np.unique(expected)) > 3
    frame = np.full_like(expected, 0xDEADBEEF)
    for top in range(0, len(frame), step):
        renderer.draw_rows(top, min(top + step, len(frame)), frame)
    assert np.array_equal(frame, expected)
    monkeypatch.setattr(base, "BLOCK_PIXELS", 1 << 12)
    assert np.array_equal(whole(filled(PICTURES[name]())), expected)


@pytest.mark.parametrize("name", PICTURES)
def test_a_changed_palette_shows_as_if_it_had_always_been(name):
    renderer = filled(PICTURES[name]())
    colours = renderer.scanout.colours
    palette = colours.palette[8:] + colours.palette[:8]
    other = renderer.scanout._replace(colours=colours._replace(palette=palette))
    renderer.configure(other)
    assert np.array_equal(whole(renderer), whole(make_renderer(renderer.vram, other)))


def pixels_of_planes(kind, planes):
    """The eight pixels of four plane bytes, one by one, left to right."""
    if kind is Kind.PLANAR:
        return [sum((planes[p] >> 7 - i & 1) << p for p in range(4)) for i in range(8)]
    if kind is Kind.INTERLEAVE:
        halves = [(planes[0], planes[2])] * 4 + [(planes[1], planes[3])] * 4
        return [
            low >> 6 - 2 * (i % 4) & 3 | (high >> 6 - 2 * (i % 4) & 3) << 2
            for i, (low, high) in enumerate(halves)
        ]
    return [nibble for byte in planes for nibble in (byte >> 4, byte & 15)]


@pytest.mark.parametrize("kind", [Kind.PLANAR, Kind.INTERLEAVE, Kind.NIBBLES])
def test_each_half_of_an_exchanged_fetch_knows_its_four_pixels(kind):
    table = four_pixels(kind)
    shift, mask = EXCHANGES.get(kind, (0, 0))
    for planes in np.random.default_rng(4).integers(0, 256, (500, 4)).tolist():
        fetch = int.from_bytes(bytes(planes), "little")
        changed = (fetch >> shift ^ fetch) & mask
        fetch ^= changed ^ changed << shift
        found = int(table[fetch & 0xFFFF]) | int(table[fetch >> 16]) << 16
        expected = pixels_of_planes(kind, planes)
        assert [found >> 4 * i & 15 for i in range(8)] == expected


@pytest.mark.parametrize("from_end", [0, 1, 2, 3])
def test_24_bit_pixels_at_the_end_of_vram(from_end):
    """The last pixel of a row is read with the byte after it; after VRAM there is none."""
    renderer = filled(dispi(24))
    scanout, vram = renderer.scanout, renderer.vram
    pitch = scanout.rows.pitch
    start = len(vram) - from_end - (scanout.height - 1) * pitch - scanout.width * 3
    moved = scanout._replace(rows=scanout.rows._replace(start=start))
    renderer = make_renderer(vram, moved)
    rows = start + pitch * np.arange(scanout.height)
    blue, green, red = (
        vram[rows[:, None] + 3 * np.arange(scanout.width) + c].astype(np.uint32) for c in range(3)
    )
    assert np.array_equal(whole(renderer), red << 16 | green << 8 | blue)


def test_banked_rows_are_drawn_together_and_far_ones_apart():
    vga = bios(0x04)
    watched = Watched(vga)
    watched.frame()
    vga.store(0xB8000 + 8192 + 10, b"\x55")  # a page of 2 KiB of CGA memory: rows 1, 3 ... 25
    watched.frame()
    (rect,) = watched.display.rects
    assert (rect.y, rect.y + rect.height) == (1, 26)
    vga = bios(0x13)
    watched = Watched(vga, span_pages=8)
    watched.frame()
    vga.store(0xA0000, b"\x01")
    vga.store(0xA0000 + 4096 * 12, b"\x01")
    watched.frame()
    assert watched.display.rects == [Rect(0, 0, 320, 13), Rect(0, 153, 320, 14)]


@pytest.mark.parametrize("name", ["CGA", "planar, split", "13h, split", "24 bpp"])
def test_rows_of_every_single_page_by_their_bytes(name):
    renderer = filled(PICTURES[name]())
    scanout = renderer.scanout
    vram_bytes = len(renderer.vram)
    pages = RowMap(scanout, vram_bytes).byte_numbers(slice(None)) >> 12
    for page in range(0, vram_bytes >> 12):
        touched = np.zeros(scanout.height, np.bool_)
        for top, bottom in renderer.rows.touched([(page, page + 1)]):
            touched[top:bottom] = True
        assert np.array_equal(touched, (pages == page).any(axis=1))


def lines_one_by_one(g):
    """The CRTC's counters, a scan line at a time: (row start, row scan, part)."""
    start, scan, part = g.start, g.preset_row, 0
    for line in range(g.lines):
        yield start, scan, part
        if line % 2 or not g.double_scan:
            if scan == g.row_lines - 1:
                start, scan = (start + g.pitch) & 0xFFFF, 0
            else:
                scan = (scan + 1) & 31
        if line == g.line_compare:
            start, scan, part = 0, 0, 1


@pytest.mark.parametrize("seed", range(200))
def test_scan_lines_equal_the_counters(seed):
    r = random.Random(seed)
    geometry = Geometry(
        lines=90, line_compare=r.choice((1023, r.randrange(90))), row_lines=r.randrange(1, 33),
        double_scan=r.random() < 0.5, preset_row=r.choice((0, r.randrange(32))),
        start=r.randrange(0x10000), pitch=2 * r.randrange(256), row_bits=0,
    )  # fmt: skip
    found = scan_lines(geometry)
    lines = zip(found.row_start.tolist(), found.row_scan.tolist(), found.part.tolist(), strict=True)
    assert list(lines) == list(lines_one_by_one(geometry))


@pytest.mark.parametrize(
    ("ports", "address"),
    [
        (((0x14, 0x00), (0x17, 0xE3)), lambda ma, scan: ma),
        (((0x14, 0x00), (0x17, 0xA3)), lambda ma, scan: ma << 1 & 0xFFFE | ma >> 15),
        (((0x14, 0x00), (0x17, 0x83)), lambda ma, scan: ma << 1 & 0xFFFE | ma >> 13 & 1),
        (((0x14, 0x40), (0x17, 0xA3)), lambda ma, scan: ma << 2 & 0xFFFC | ma >> 14),
        (((0x14, 0x00), (0x17, 0xE2)), lambda ma, scan: ma & 0xDFFF | (scan & 1) << 13),
        (((0x14, 0x00), (0x17, 0xE1)), lambda ma, scan: ma & 0xBFFF | (scan >> 1) << 14),
    ],
    ids=["bytes", "words, MA15", "words, MA13", "dwords", "A13 by the row scan", "A14"],
)
@pytest.mark.parametrize("start", [0x00, 0x1F, 0x3F, 0x7F, 0xBF, 0xDF])
def test_addresses_by_their_definition(ports, address, start):
    vga = bios(0x0D, (0x3D4, 0x09, 0x03), (0x3D4, 0x0C, start), (0x3D4, 0x0D, 0xF0))
    for index, value in ports:
        vga.outw(0x3D4, index | value << 8)
    rows = scanout_of(vga).rows
    first = rows.scan_lines_a_row
    found = plane_addresses(rows, slice(0, 4))
    lines = scan_lines(rows.geometry)
    for row in range(4):
        ma, scan = int(lines.row_start[row * first]), int(lines.row_scan[row * first])
        assert found[row].tolist() == [address(ma + c & 0xFFFF, scan) for c in range(40)]


@pytest.mark.parametrize("mode", [bios(0x13), split_and_panned(0x13, 2), dispi(8), dispi(8, 83)])
def test_bytes_are_their_own_colours_until_the_palette_is_another(mode):
    renderer = filled(mode)
    scanout = renderer.scanout
    colours = scanout.colours
    numbers = np.arange(256, dtype=np.uint32)
    renderer.configure(scanout._replace(colours=colours._replace(palette=numbers.tobytes())))
    pixels = whole(renderer)
    assert len(np.unique(pixels)) > 200
    renderer.configure(scanout)
    palette = np.frombuffer(colours.palette, np.uint32)
    assert np.array_equal(whole(renderer), palette[pixels])
