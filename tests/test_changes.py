"""Every change that redraws without a dirty page: one row of `CHANGES`, one or more tests."""

from functools import partial

import numpy as np
import pytest
from gaps import run_with_injections
from shadow import Watched
from vram_planes import planes_of, put_planes

from vgaemu.display.screen import Screen
from vgaemu.memslot import Memslot
from vgaemu.vga.colours import Colours
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import load_font, set_mode
from vgaemu.vga.ports import GC, SEQ, Ports
from vgaemu.vga.render import make_renderer
from vgaemu.vga.render.text import MAX_GLYPHS
from vgaemu.vga.scanout import CHANGES, CrtcRows, LinearRows, Redraw, Scanout, TextLook, scanout_of
from vgaemu.vga.vram import LFB_GPA


def attribute(index, value):
    return lambda vga: Ports(vga).set_attribute(index, value)


def crtc(index, value):
    return lambda vga: Ports(vga).set_crtc(index, value)


def sequencer(index, value):
    return lambda vga: Ports(vga).set(SEQ, index, value)


def graphics(index, value):
    return lambda vga: Ports(vga).set(GC, index, value)


def dispi(**values):
    numbers = {"xres": 1, "yres": 2, "bpp": 3, "enable": 4, "width": 6, "x": 8, "y": 9}

    def change(vga):
        for name, value in values.items():
            Ports(vga).set_dispi(numbers[name], value)

    return change


def dac(index, *rgb):
    return lambda vga: Ports(vga).write_dac(index, rgb)


def hide_picture(vga):
    vga.inb(0x3DA)
    vga.outb(0x3C0, 0x00)


def unlock(vga):
    vga.outw(0x3D4, 0x0E11)  # CRTC 00h-07h can be written


def text_screen(vga):
    set_mode(vga, 3)
    unlock(vga)
    cells = np.random.default_rng(3).integers(0, 256, 8000, dtype=np.uint8)
    vga.store(0xB8000, cells.tobytes())


def mono_text(vga):
    set_mode(vga, 7)
    vga.store(0xB0000, b"\x41\x01\x42\x07" * 1000)


def graphics_screen(mode):
    def prepare(vga):
        set_mode(vga, mode)
        unlock(vga)
        vga.store(
            0xA0000, np.random.default_rng(4).integers(0, 256, 65536, dtype=np.uint8).tobytes()
        )

    return prepare


def cga_screen(vga):
    set_mode(vga, 4)
    vga.store(0xB8000, np.random.default_rng(5).integers(0, 256, 16384, dtype=np.uint8).tobytes())


def linear_screen(vga):
    set_mode(vga, 0x13)
    dispi(xres=320, yres=200, bpp=8, enable=0x41, width=400)(vga)
    vga.store(
        LFB_GPA, np.random.default_rng(6).integers(0, 256, 400 * 260, dtype=np.uint8).tobytes()
    )


def linear_planes(vga):
    set_mode(vga, 0x12)
    dispi(xres=320, yres=200, bpp=4, enable=0x41, width=400)(vga)
    vga.slot.array[: 200 * 200] = np.random.default_rng(7).integers(0, 256, 40000, dtype=np.uint8)


def smaller_linear_screen(vga):
    dispi(enable=0)(vga)
    dispi(xres=160, enable=0xC1)(vga)
    dispi(width=400)(vga)


def narrow_text(vga):
    text_screen(vga)
    crtc(0x01, 7)(vga)  # 8 columns of 9 dots


def as_wide_in_8_dots(vga):
    crtc(0x01, 8)(vga)
    sequencer(1, 1)(vga)


# part, or part.field -> (what is on the screen, the change)
# fmt: off
CASES = {
    "kind":                  [(graphics_screen(0x12), graphics(5, 0x20)),
                              (graphics_screen(0x13), attribute(0x10, 0x01)),
                              (linear_screen, dispi(enable=0))],
    "width":                 [(text_screen, crtc(0x01, 39)), (text_screen, sequencer(1, 1))],
    "margins":               [],  # in test_border.py
    "height":                [(text_screen, crtc(0x12, 0x5F)), (graphics_screen(0x13), crtc(0x09, 0x40))],
    "aspect":                [(graphics_screen(0x13), lambda v: v.outb(0x3C2, 0xE3)), (text_screen, crtc(0x00, 0x53))],
    "rows.scan_lines_a_row": [(graphics_screen(0x13), crtc(0x09, 0x43))],
    "rows.columns":          [(graphics_screen(0x13), crtc(0x01, 63))],
    "rows.geometry":         [(text_screen, crtc(0x0D, 81)), (text_screen, crtc(0x13, 0x29)),
                              (text_screen, crtc(0x08, 0x03)), (text_screen, crtc(0x08, 0x20)),
                              (graphics_screen(0x13), crtc(0x0C, 0x10)), (graphics_screen(0x12), crtc(0x18, 99)),
                              (cga_screen, crtc(0x17, 0xA3))],
    "rows.rotate":           [(text_screen, crtc(0x17, 0xE3)), (graphics_screen(0x13), crtc(0x14, 0x00))],
    "rows.wrap_bit":         [(text_screen, crtc(0x17, 0x83))],
    "layout":               [(graphics_screen(0x13), sequencer(4, 0x06))],
    "rows.pan":              [(text_screen, attribute(0x13, 3)), (graphics_screen(0x12), attribute(0x13, 5)),
                              (graphics_screen(0x13), attribute(0x13, 4)), (linear_planes, dispi(x=3))],
    "rows.start":            [(linear_screen, dispi(x=13)), (linear_screen, dispi(y=7))],
    "rows.nbytes":           [(linear_screen, smaller_linear_screen), (linear_planes, dispi(x=3))],
    "rows.pitch":            [(linear_screen, dispi(width=440))],
    "text.cell_width":       [(text_screen, sequencer(1, 1)), (narrow_text, as_wide_in_8_dots)],
    "text.fonts":            [(text_screen, sequencer(3, 0x01)), (text_screen, sequencer(3, 0x04))],
    "text.line_graphics":    [(text_screen, attribute(0x10, 0x08))],
    "text.blink":            [(text_screen, attribute(0x10, 0x04))],
    "text.underline_line":   [(mono_text, lambda v: v.outw(0x3B4, 0x0514))],
    "colours.palette":       [(graphics_screen(0x13), dac(77, 1, 2, 3)), (graphics_screen(0x13), lambda v: v.outb(0x3C6, 0x3F)),
                              (text_screen, dac(7, 63, 0, 0)), (text_screen, attribute(7, 0x3A)),
                              (graphics_screen(0x12), attribute(0x14, 4)), (graphics_screen(0x12), attribute(0x10, 0x81)),
                              (graphics_screen(0x12), attribute(0x10, 0x09)),
                              (linear_screen, dac(5, 9, 9, 9)), (linear_screen, dispi(enable=0x61))],
    "colours.plane_enable":  [(graphics_screen(0x12), attribute(0x12, 0x07))],
    "colours.border":        [(text_screen, attribute(0x11, 5)), (text_screen, dac(0, 5, 5, 5))],
    "colours.blank":         [(text_screen, sequencer(1, 0x20)), (graphics_screen(0x13), hide_picture),
                              (linear_screen, sequencer(1, 0x21)), (text_screen, crtc(0x17, 0x23))],
    "blanked":               [(text_screen, crtc(0x02, 70)), (text_screen, crtc(0x03, 0x84)),
                              (graphics_screen(0x12), crtc(0x16, 0x13))],
    "cursor":                [(text_screen, crtc(0x0F, 42)), (text_screen, crtc(0x0A, 0x20)),
                              (text_screen, crtc(0x0A, 0x02)), (text_screen, crtc(0x0B, 0x0D))],
}
# fmt: on
ROWS = [(field, i) for field, cases in CASES.items() for i in range(len(cases))]
#: What the parts of a scanout are made of.
PARTS = {"rows": (CrtcRows, LinearRows), "text": (TextLook,), "colours": (Colours,)}


def test_every_part_of_a_scanout_has_a_row_and_every_field_a_test():
    assert list(CHANGES) == list(Scanout._fields)
    fields = {part for part in CHANGES if part not in PARTS}
    fields |= {
        f"{part}.{field}" for part in PARTS for kind in PARTS[part] for field in kind._fields
    }
    by_time = {"blink_shown", "raster", "edge"}  # a test below, `test_timeline`, `test_border`
    assert fields == set(CASES) | by_time


def test_the_largest_redraws_stand_first():
    order = [list(Redraw).index(redraw) for redraw in CHANGES.values()]
    assert order == sorted(order)


def value_of(scanout, name):
    """A part, or a field of one; None where the other kind of part has it."""
    part, _, field = name.partition(".")
    value = getattr(scanout, part)
    return getattr(value, field, None) if field else value


@pytest.mark.parametrize(("field", "case"), ROWS, ids=[f"{f}-{i}" for f, i in ROWS])
def test_a_change_without_a_dirty_page_redraws_what_its_row_says(field, case):
    prepare, change = CASES[field][case]
    vga = Vga(Memslot(256))
    prepare(vga)
    watched = Watched(vga)
    watched.frame()
    before = watched.loop.screen.scanout
    idle = watched.frame()
    assert (idle.redraw, idle.pixels) == ("", 0)
    change(vga)
    report = watched.frame()
    after = watched.loop.screen.scanout
    assert value_of(before, field) != value_of(after, field)
    changed = {name for name in CHANGES if getattr(before, name) != getattr(after, name)}
    assert report.redraw == strongest(changed).value
    if report.redraw != "cells":
        assert report.pixels == watched.display.frame.size
    assert watched.frame().pixels == 0


def test_the_dot_clock_changes_no_logical_pixel():
    vga = Vga(Memslot(64))
    graphics_screen(0x12)(vga)
    watched = Watched(vga)
    watched.frame()
    sequencer(1, 0x09)(vga)
    report = watched.frame()
    assert (report.redraw, report.pixels) == ("", 0)


def strongest(changed):
    kinds = {CHANGES[name] for name in changed}
    return next(kind for kind in (Redraw.RESIZE, Redraw.EVERYTHING, Redraw.CELLS) if kind in kinds)


def test_blinking_cells_and_the_cursor_alone_are_redrawn_when_the_phase_turns():
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    vga.store(0xB8000 + 2 * 85, b"B\x8e")
    watched = Watched(vga)
    pixels = [watched.frame().pixels for _ in range(33)]
    assert pixels[0] == 720 * 400
    assert pixels[16] == pixels[32] == 2 * 9 * 16
    assert sum(pixels[1:]) == 4 * 9 * 16


def test_graphics_blink_changes_the_palette_when_the_phase_turns():
    vga = Vga(Memslot(64))
    graphics_screen(0x12)(vga)
    attribute(0x10, 0x09)(vga)
    watched = Watched(vga)
    drawn = [watched.frame().redraw for _ in range(17)]
    assert drawn[1:] == [""] * 15 + ["everything"]


@pytest.mark.parametrize("start", [0, 160, 0xFFB0], ids=hex)
@pytest.mark.parametrize("pitch", [80, 82, 40])
def test_the_cursor_is_where_its_address_is_shown(start, pitch):
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    planes = planes_of(vga)
    planes[:, :2] = 0x20, 0x07  # grey spaces everywhere; the font stays
    put_planes(vga, planes)
    for index, value in ((0x0C, start >> 8), (0x0D, start & 0xFF), (0x13, pitch // 2)):
        crtc(index, value)(vga)
    for row, column in ((0, 0), (3, 5), (24, 39)):
        address = (start + row * pitch + column) & 0xFFFF
        crtc(0x0E, address >> 8)(vga)
        crtc(0x0F, address & 0xFF)(vga)
        frame = Screen(vga).full_redraw()
        cells = {(y // 16, x // 9) for y, x in zip(*frame.nonzero(), strict=True)}
        # Rows that overlap show a cell twice.
        shown = {(r, address - start - r * pitch & 0xFFFF) for r in range(25)}
        assert cells == {(r, c) for r, c in shown if c < 80}


def test_screen_off_darkens_the_border_too():
    vga = Vga(Memslot(64))
    text_screen(vga)
    attribute(0x11, 0x3F)(vga)
    assert scanout_of(vga).colours.border == 0xFFFFFF
    sequencer(1, 0x20)(vga)
    assert scanout_of(vga).colours.border == 0
    sequencer(1, 0x00)(vga)
    assert scanout_of(vga).colours.border == 0xFFFFFF


def test_moving_the_cursor_redraws_two_cells():
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    watched = Watched(vga)
    watched.frame()
    crtc(0x0F, 200)(vga)
    assert watched.frame().pixels == 2 * 9 * 16


def test_one_character_redraws_one_cell():
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    watched = Watched(vga)
    watched.frame()
    vga.store(0xB8000 + 2 * (80 * 12 + 40), b"X")
    report = watched.frame()
    assert report.pixels == 9 * 16
    assert [(r.x, r.y) for r in watched.display.rects] == [(360, 192)]


def test_a_glyph_changed_in_plane_2_redraws_the_cells_that_show_it():
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    vga.store(0xB8000, b"A\x07B\x07A\x07")
    watched = Watched(vga)
    watched.frame()
    vga.outw(0x3C4, 0x0402)
    vga.outw(0x3C4, 0x0604)
    vga.outw(0x3CE, 0x0005)
    vga.outw(0x3CE, 0x0406)
    vga.store(0xA0000 + 32 * ord("A"), bytes(range(16)))
    for port, value in ((0x3C4, 0x0302), (0x3C4, 0x0204), (0x3CE, 0x1005)):
        vga.outw(port, value)
    vga.outw(0x3CE, 0x0E06)
    report = watched.frame()
    assert report.pixels == 3 * 9 * 16  # both As; the B between is closer than a rectangle costs


def test_a_whole_font_loaded_shows_at_once():
    vga = Vga(Memslot(64))
    text_screen(vga)
    watched = Watched(vga)
    watched.frame()
    load_font(vga, np.random.default_rng(8).integers(0, 256, 8192, dtype=np.uint8).tobytes())
    watched.frame()
    load_font(vga, bytes(8192), font=3)  # not in use
    assert watched.frame().pixels == 0


def test_start_address_scroll_and_row_copy_scroll_look_right_in_every_frame():
    vga = Vga(Memslot(64))
    text_screen(vga)
    watched = Watched(vga)
    watched.frame()
    for row in range(30):
        crtc(0x0C, 80 * row >> 8)(vga)
        crtc(0x0D, 80 * row & 0xFF)(vga)
        watched.frame()
    for _ in range(30):
        vga.copy(0xB8000 + 160, 0xB8000, 160 * 49)
        watched.frame()


def test_a_mode_set_resizes_the_display_and_covers_all_of_it():
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    watched = Watched(vga)
    watched.frame()
    set_mode(vga, 0x13)
    watched.frame()
    shapes = [(s.width, s.height, s.mode_name) for s in watched.display.resized]
    assert shapes == [(720, 400, "text 80x25"), (320, 200, "320x200x256")]


def test_glyphs_that_are_not_shown_any_more_are_not_kept_for_ever() -> None:
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    renderer = make_renderer(vga.slot.array, scanout_of(vga))
    frame = np.zeros((400, 720), np.uint32)
    fresh = np.zeros_like(frame)

    def draw() -> None:
        spans = vga.slot.get_dirty_log().spans(8)
        renderer.note(spans)
        renderer.draw_changes(frame, spans)
        make_renderer(vga.slot.array, scanout_of(vga)).draw_all(fresh)
        np.testing.assert_array_equal(frame, fresh)

    renderer.draw_all(frame)
    for first in range(0, 1 << 16, 2000):
        cells = np.arange(first, first + 2000, dtype="<u2")
        vga.store(0xB8000, cells.tobytes())
        draw()
        # A few cells on their own, too, right after many glyphs have gone.
        vga.store(0xB8000 + 160, cells[::-1][:7].tobytes())
        draw()
    assert len(renderer.glyphs.keys) <= MAX_GLYPHS


def show_picture(vga):
    vga.inb(0x3DA)
    vga.outb(0x3C0, 0x20)


def move_cursor(vga):
    crtc(0x0F, 81)(vga)


@pytest.mark.parametrize(
    ("change", "then"),
    [(show_picture, []), (hide_picture, []), (move_cursor, [crtc(0x0D, 80)])],
)
def test_a_change_is_seen_whenever_a_display_looks(change, then):
    """A display draws in one bytecode gap of a port write after another."""
    gap, gaps = 0, 1
    while gap < gaps:
        vga = Vga(Memslot(64))
        text_screen(vga)
        if change is show_picture:
            hide_picture(vga)
        watched = Watched(vga)
        watched.frame()
        dac(7, 1, 2, 3)(vga)  # there is a change to look for
        gaps = run_with_injections(
            partial(change, vga), {gap: watched.loop.draw_frame}, modules=("vgaemu.vga.device",)
        )
        for write in then:
            write(vga)
        watched.frame()
        watched.loop.close()
        gap += 1
    assert gaps > 20
