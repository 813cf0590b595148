"""Text as plain memory: the odd/even layout, when VRAM has it, and that nobody sees it.

What a device does is compared with one that leaves text in the planar layout.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gaps import run_with_injections
from shadow import Watched
from vram_planes import planes_of, put_planes
from x86_helpers import CPUS, disk

from vgaemu.display.screen import Screen, full_redraw
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.vga.device import Vga
from vgaemu.vga.layout import (
    LEGACY_BYTES,
    LEGACY_PAGES,
    Layout,
    cell_of_address,
    cells_between,
    cells_of_pages,
    plane_bytes,
    plane_dwords,
    planes_in_order,
    rearrange,
    words_of_cells,
)
from vgaemu.vga.modes import load_font, set_mode
from vgaemu.vga.state import load_state, save_state

CELLS = LEGACY_BYTES // 2


class PlanarVga(Vga):
    """Text is never laid out."""

    def lay_text_out(self) -> None:
        pass


def text_vga(kind: type[Vga] = Vga, mode: int | str = 3) -> Vga:
    vga = kind(Memslot(64))
    set_mode(vga, mode)
    return vga


# --- the layouts ------------------------------------------------------------------------------


def noise(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, LEGACY_BYTES, np.uint8)


@pytest.mark.parametrize("used", [65536, 1, 0])  # so many addresses hold something
@pytest.mark.parametrize("old", Layout)
@pytest.mark.parametrize("new", Layout)
def test_each_layout_has_the_same_planes(old: Layout, new: Layout, used: int) -> None:
    vram, addresses = noise(), np.arange(65536)
    vram[plane_bytes(addresses[used:], old)] = 0
    before = planes_in_order(vram, old)
    rearrange(vram, old, new)
    np.testing.assert_array_equal(planes_in_order(vram, new), before)
    np.testing.assert_array_equal(plane_dwords(vram, addresses, new), before)
    one_by_one = vram[plane_bytes(addresses, new)].view(np.uint32).ravel()
    np.testing.assert_array_equal(one_by_one, before)
    words = vram.view(np.uint16)[words_of_cells(cell_of_address(addresses), new)]
    np.testing.assert_array_equal(words, before.astype(np.uint16))


@pytest.mark.parametrize("layout", Layout)
def test_cells_lie_where_their_planes_do(layout: Layout) -> None:
    vram = noise()
    cells, words = vram.copy(), vram.view(np.uint16)
    rearrange(cells, layout, Layout.ODD_EVEN)
    for first, end in ((0, CELLS), (5, 77), (32760, 32777), (65000, 70001)):
        found = np.full(CELLS, -1)
        for numbers, places in cells_between(first, end, layout):
            found[numbers] = words[places]
        np.testing.assert_array_equal(found[first:end], cells.view(np.uint16)[first:end])
        assert (found[:first] == -1).all()
        assert (found[end:] == -1).all()


@pytest.mark.parametrize("layout", Layout)
def test_all_cells_of_a_page_are_looked_at(layout: Layout) -> None:
    for low, high in ((0, 1), (3, 5), (15, 18), (31, 33), (47, LEGACY_PAGES)):
        inside = np.zeros(LEGACY_BYTES, np.uint8)
        inside[low << 12 : high << 12] = 1
        is_there, looked_at = np.zeros((2, CELLS), np.bool_)
        for numbers, places in cells_between(0, CELLS, layout):
            is_there[numbers] = inside.view(np.uint16)[places] != 0
        for first, end in cells_of_pages(low, high, layout):
            looked_at[first:end] = True
        assert not (is_there & ~looked_at).any()
        if layout is not Layout.CHAIN4:  # whose pages have every second one
            assert not (looked_at & ~is_there).any()


# --- when it is there -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "window"), [(0, 0xB8000), (1, 0xB8000), (3, 0xB8000), (7, 0xB0000)]
)
def test_text_is_plain_memory(mode: int, window: int) -> None:
    vga = text_vga(mode=mode)
    assert vga.layout is Layout.ODD_EVEN
    assert [vga.window(window + at) for at in (0, 0x7000)] == [0, 0x7000]
    vga.store(window + 2 * 7, b"A\x1e")
    assert planes_of(vga)[14, :2].tolist() == [0x41, 0x1E]


def test_a_page_and_a_window_of_128_kib_are_plain_memory_too() -> None:
    vga = text_vga()
    vga.outb(0x3C2, 0x47)  # the other page
    assert vga.window(0xB8000) == 0x10000
    vga.store(0xB8002, b"AB")
    assert planes_of(vga)[3, :2].tolist() == [0x41, 0x42]
    vga.outw(0x3CE, 0x0206)  # A0000h-BFFFFh: bit 16 chooses
    assert [vga.window(0xA0000), vga.window(0xBF000)] == [0, 0x1F000]
    assert vga.load(0xB0002, 2) == b"AB"


#: Port, index and value of what a store or a load of text may depend on.
SETTINGS = (
    (0x3CE, 1, 1), (0x3CE, 3, 1), (0x3CE, 3, 8), (0x3CE, 4, 2), (0x3CE, 5, 0x11), (0x3CE, 5, 0x18),
    (0x3CE, 5, 0x00), (0x3CE, 6, 0x0C), (0x3CE, 6, 0x0F), (0x3CE, 8, 0x7F), (0x3C4, 2, 0x01),
    (0x3C4, 2, 0x07), (0x3C4, 4, 0x06), (0x3C4, 4, 0x0A),
)  # fmt: skip


@pytest.mark.parametrize(("port", "index", "value"), SETTINGS)
def test_what_may_change_a_store_or_a_load_ends_it(port: int, index: int, value: int) -> None:
    vga, planar = text_vga(), text_vga(PlanarVga)
    for device in (vga, planar):
        device.outw(port, value << 8 | index)
        device.store(0xB8010, b"\x5a\xa5")
    assert vga.layout is not Layout.ODD_EVEN
    assert vga.window(0xB8000) is None
    assert vga.load(0xB8011, 3) == planar.load(0xB8011, 3)
    assert (planes_of(vga) == planes_of(planar)).all()


def test_it_comes_back_after_a_whole_frame_of_text() -> None:
    vga = text_vga()
    load_font(vga, bytes(8192))
    seen = []
    for _ in range(3):
        seen.append(vga.layout)
        vga.note_frame()
    assert seen == [Layout.PLANAR, Layout.PLANAR, Layout.ODD_EVEN]


def test_who_changes_a_font_in_each_frame_moves_nothing() -> None:
    vga = text_vga()
    load_font(vga, bytes(8192))
    for number in range(6):
        vga.note_frame()
        assert vga.layout is Layout.PLANAR
        load_font(vga, bytes([number]) * 8192)
        vga.store(0xB8000, b"A\x07")


@pytest.mark.parametrize("enable", [0x01, 0x81])
def test_a_linear_mode_finds_what_it_would_find_without_it(enable: int) -> None:
    """Cleared or not."""
    found = []
    for kind in (Vga, PlanarVga):
        vga = text_vga(kind)
        vga.store(0xB8000, b"A\x07B\x17" * 1000)
        for index, value in ((1, 64), (2, 48), (3, 8), (4, enable)):
            vga.outw(0x1CE, index)
            vga.outw(0x1CF, value)
        assert vga.layout is Layout.PLANAR
        vga.store(0xA0000, bytes(range(200)))
        found.append(bytes(vga.slot.array))
        vga.outw(0x1CF, 0)
        found.append(vga.load(0xB8000, 64))
    assert found[:2] == found[2:]


# --- nobody sees it ---------------------------------------------------------------------------


class Pair:
    """The same is done to two devices, one of which leaves text planar; all that is seen agrees."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.vga, self.planar = self.both = text_vga(), text_vga(PlanarVga)
        self.watched = [Watched(vga) for vga in self.both]
        #: Layouts that the device had.
        self.had: set[Layout] = set()

    def do(self, action: Callable[[Vga], object]) -> None:
        seen, expected = (action(vga) for vga in self.both)
        assert seen == expected
        assert self.vga.latch == self.planar.latch
        self.had.add(self.vga.layout)

    def at(self, count: int) -> int:
        r = self.random
        start = r.choice((0xA0000, 0xB0000, 0xB8000, 0xB8000, 0xB8000))
        return start + r.choice((r.randrange(200), r.randrange(0x8000 - count)))

    def step(self) -> None:
        r = self.random
        count = r.choice((1, 2, 3, 4, 5, 64, 161, 4000))
        at, other, data = self.at(count), self.at(count), r.randbytes(count)
        if r.random() < 0.3:
            other = at + r.randrange(-6, 7)
        match r.choices(range(6), (5, 3, 3, 2, 1, 2))[0]:
            case 0:
                self.do(lambda vga: vga.store(at, data))
            case 1:
                self.do(lambda vga: vga.load(at, count))
            case 2:
                self.do(lambda vga: vga.copy(at, other, count))
            case 3:
                port, index, value = r.choice(SETTINGS)
                self.do(lambda vga: vga.outw(port, value << 8 | index))
                if r.random() < 0.5:  # and back
                    self.do(lambda vga: vga.store(at, data))
                    self.do(lambda vga: set_mode(vga, 3, clear=False))
            case 4:
                mode = r.choice((1, 3, 7))
                self.do(lambda vga: set_mode(vga, mode, clear=False))
            case 5:
                self.frame()

    def frame(self) -> None:
        for vga, watched in zip(self.both, self.watched, strict=True):
            vga.note_frame()
            watched.frame()
        shown = [watched.display.frame for watched in self.watched]
        np.testing.assert_array_equal(*shown)
        assert self.watched[0].display.rects == self.watched[1].display.rects


@pytest.mark.parametrize("seed", range(4))
def test_random_programs_see_what_they_would_in_the_planar_layout(seed: int) -> None:
    pair = Pair(seed)
    for _ in range(120):
        pair.step()
    assert (planes_of(pair.vga) == planes_of(pair.planar)).all()
    assert {Layout.PLANAR, Layout.ODD_EVEN} <= pair.had


@pytest.mark.long
def test_many_random_programs() -> None:
    """Two minutes: pytest -m long tests/test_text_layout.py"""
    for seed in range(1000, 1060):
        pair = Pair(seed)
        for _ in range(200):
            pair.step()
        assert (planes_of(pair.vga) == planes_of(pair.planar)).all(), seed


@pytest.mark.parametrize("mode", [3, 4, 6, 0x12, 0x13])
def test_a_picture_is_drawn_from_each_layout(mode: int) -> None:
    """Whichever registers ask for: a display may look while the guest changes it."""
    vga = text_vga(mode=mode)
    put_planes(vga, noise().reshape(-1, 4))
    pictures = []
    for layout in Layout:
        with vga.layout_lock:
            rearrange(vga.slot.array, vga.layout, layout)
            vga.layout = layout
        pictures.append(full_redraw(vga, 0))
    assert pictures[0].any()
    for picture in pictures[1:]:
        np.testing.assert_array_equal(picture, pictures[0])


def test_a_change_of_the_layout_draws_nothing() -> None:
    vga = text_vga()
    vga.store(0xB8000, b"A\x1eB\x17" * 1000)
    watched = Watched(vga)
    watched.frame()
    for _ in range(2):
        vga.outw(0x3CE, 0x0005)
        watched.frame()
        assert (vga.layout, watched.display.rects) == (Layout.PLANAR, [])
        vga.outw(0x3CE, 0x1005)
        vga.lay_text_out()
        vga.store(0xB8000, b"C")
        report = watched.frame()
        assert vga.layout is Layout.ODD_EVEN
        assert len(report.log) == LEGACY_PAGES
        assert [rect.area for rect in watched.display.rects] == [9 * 16]
        vga.store(0xB8000, b"A")
        watched.frame()


def test_a_guest_changes_it_while_a_frame_is_drawn() -> None:
    """In each gap of a frame; what is shown never changes."""
    vga = text_vga()
    vga.store(0xB8000, b"A\x1eB\x17" * 1000)
    watched = Watched(vga)
    watched.frame()
    expected, rng = watched.display.frame.copy(), random.Random(3)

    def change() -> None:
        vga.outw(0x3CE, 0x0005)
        vga.outw(0x3CE, 0x1005)
        if rng.random() < 0.7:
            vga.lay_text_out()

    def frame() -> None:
        vga.slot.mark_dirty(0, 1)
        watched.loop.draw_frame()

    modules = "vgaemu.display.screen", "vgaemu.vga.render.text", "vgaemu.vga.render.base"
    gaps = run_with_injections(frame, {}, modules=modules)
    for first in range(0, gaps, 40):
        run_with_injections(
            frame, {first + rng.randrange(40): change}, modules=modules, threaded=True
        )
        np.testing.assert_array_equal(watched.display.frame, expected)
    watched.frame()


# --- kept, and under a CPU --------------------------------------------------------------------


def test_a_saved_state_has_it(tmp_path: Path) -> None:
    vga, other = text_vga(), text_vga(mode=0x13)
    vga.store(0xB8000, b"A\x1e" * 2000)
    save_state(vga, tmp_path / "s.npz")
    load_state(other, tmp_path / "s.npz")
    assert other.layout is Layout.ODD_EVEN
    assert other.window(0xB8000) == 0
    assert (planes_of(other) == planes_of(vga)).all()


#: mov ax, B800h; mov es, ax; l: xor di, di; mov cx, 2000; rep stosw; inc ax; jmp l
STORES = bytes.fromhex("b800b8 8ec0 31ff b9d007 f3ab 40 ebf6")


@pytest.mark.parametrize("cpu", CPUS)
def test_a_cpu_stores_text_as_plain_memory(
    cpu: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores: list[int] = []
    with Machine(str(disk(tmp_path, STORES)), cpu=cpu) as machine:
        assert machine.wait_for_text(r"^(.)\1{79}$")
        monkeypatch.setattr(type(machine.vga), "store", lambda vga, gpa, data: stores.append(gpa))
        log = machine.vram.subscribe()
        log.get_dirty_log()
        before, found = planes_of(machine.vga), set[int]()
        while (planes_of(machine.vga) == before).all():
            machine.tick()
            found.update(log.get_dirty_log().pages().tolist())
        assert stores == []
        assert found == {0}  # 4000 bytes of one page


@pytest.mark.parametrize("cpu", CPUS)
def test_a_guest_that_goes_to_and_fro_sees_its_text(cpu: str, tmp_path: Path) -> None:
    """Text, a glyph through the planes, text read back and copied; then mode 13h and back."""
    code = (
        "b800b8 8ec0 8ed8 31ff b84107 b9d007 f3ab"  # 'A', everywhere
        "bac403 b80204 ef b80407 ef"  # plane 2 alone, not odd/even
        "bace03 b80402 ef b80500 ef b80604 ef"
        "b800a0 8ec0 bf2008 b0ff b91000 f3aa"  # 'A' is a block
        "bac403 b80203 ef b80403 ef bace03 b80400 ef b80510 ef b8060e ef"
        "b800b8 8ec0 31f6 bf2003 b95000 f3a5"  # row 0 to row 5
        "26a10a00 26a34000 f4ebfd"
    )
    data = bytes.fromhex(code.replace(" ", ""))
    with Machine(str(disk(tmp_path, data)), cpu=cpu) as machine:
        machine.tick(4)
        planes = planes_of(machine.vga)
        assert planes[: 2 * 2000 : 2, 0].tolist() == [0x41] * 2000
        assert machine.screen.text()[0] == "A" * 80
        shown = machine.screen.full_redraw()
        np.testing.assert_array_equal(Screen(machine.vga).full_redraw(), shown)
