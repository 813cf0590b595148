"""Registers written while the picture is drawn: what is kept, and what a screen redraws for it.

Whether the picture is the right one is the matter of `beam_model`; here a display that copies only
the rectangles must show what a full redraw shows.
"""

import numpy as np
import pytest

from vgaemu.display.screen import LINES_FRAMES, Screen
from vgaemu.vga.beam import VirtualBeam
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.ports import GC, SEQ, Ports
from vgaemu.vga.render.text import TextRenderer
from vgaemu.vga.scanout import Redraw
from vgaemu.vga.state import load_state, save_state


class Bench:
    """A device in a mode, its beam, and a screen with a shadow display."""

    def __init__(self, mode, seed=1):
        self.vga = Vga()
        set_mode(self.vga, mode)
        self.ports = Ports(self.vga)
        self.ports.set_crtc(0x11, 0x0E)  # CRTC 00h-07h can be written
        data = np.random.default_rng(seed).integers(0, 256, 1 << 16, dtype=np.uint8)
        if mode == 3:
            self.vga.store(0xB8000, data[:8000].tobytes())
        else:
            for plane in range(4):
                self.ports.set(SEQ, 2, 1 << plane)
                self.vga.store(0xA0000, np.roll(data, plane).tobytes())
            self.ports.set(SEQ, 2, 15)
        self.vga.beam = self.beam = VirtualBeam()
        self.beam.place(0)
        self.log = self.vga.slot.subscribe()
        self.screen = Screen(self.vga)
        self.frame_number = 0
        self.shadow = None
        self.field = 1

    def put(self, line, dot=0):
        """The beam to a line and dot of the field, just past its begin."""
        timing = self.vga.timing
        at = self.field * timing.frame_ns + line * timing.line_ns + dot * timing.dot_ns
        self.beam.ns = int(at) + 10

    def end_field(self):
        """The beam below the picture, and the picture drawn: rectangles and what was redrawn."""
        self.put(self.vga.timing.displayed_lines + 1)
        found = self.draw()
        self.field += 1
        return found

    def draw(self):
        rects, redraw = self.screen.refresh(self.frame_number, self.log.get_dirty_log().spans(8))
        self.frame_number += 1
        frame = self.screen.frame
        if redraw is Redraw.RESIZE or self.shadow is None:
            self.shadow = np.zeros_like(frame)
        for x, y, width, height in rects:
            self.shadow[y : y + height, x : x + width] = frame[y : y + height, x : x + width]
        np.testing.assert_array_equal(self.shadow, self.screen.full_redraw())
        return rects, redraw


def bars(bench, lines, shade):
    for line in lines:
        bench.put(line - 1, bench.vga.timing.dots_a_line - 5)
        bench.ports.write_dac(0, (shade, line & 63, 63))


@pytest.mark.parametrize("mode", [3, 0x12, 0x13])
@pytest.mark.parametrize("first", [100, 101])
def test_a_colour_that_changes_between_lines_changes_from_that_line_on(mode, first):
    bench = Bench(mode)
    bench.draw()
    numbers = bench.screen.indices()
    bars(bench, range(first, 300, 2), 10)
    bench.end_field()
    scanout, frame = bench.screen.scanout, bench.screen.frame
    assert len(scanout.raster.starts) == 8 * len(range(first - 2, 300, 2))
    # Where something changes inside a row of 13h, the picture is scan lines.
    assert scanout.is_in_lines == (mode == 0x13 and first == 101)
    repeat = bench.vga.timing.displayed_lines // len(frame)
    is_zero = numbers.repeat(len(frame) // len(numbers), axis=0) == 0
    for row in range(len(frame)):
        line = min(row * repeat, 298 + first % 2)
        shades = 10, line - (line - first) % 2 & 63, 63
        if line < first:
            shades = 0, 0, 0
        colour = sum(
            (v << 2 | v >> 4) << shift for v, shift in zip(shades, (16, 8, 0), strict=True)
        )
        assert (frame[row, is_zero[row]] == colour).all()


@pytest.mark.parametrize("mode", [3, 0x12, 0x13])
@pytest.mark.parametrize("what", ["a font", "an address", "a colour", "the same colour"])
def test_numbers_and_their_palette_where_registers_change_inside_the_picture(mode, what):
    """Both or neither: a number that has two colours has no palette."""
    bench = Bench(mode)
    bench.draw()
    bench.put(100)
    if what == "a font":
        bench.ports.set(SEQ, 3, 5)
    elif what == "an address":
        bench.ports.set_crtc(0x08, 3)
    else:
        bench.ports.write_dac(7, (1, 2, 3) if what == "a colour" else (42, 42, 42))
    bench.end_field()
    numbers, palette = bench.screen.indices(), bench.screen.palette
    assert (numbers is None) == (palette is None) == (what == "a colour")
    if numbers is not None:
        np.testing.assert_array_equal(palette[numbers], bench.screen.frame)
        np.testing.assert_array_equal(numbers, Screen(bench.vga).indices())


def test_bars_that_stay_cost_nothing_and_others_only_their_lines():
    bench = Bench(0x12)
    bars(bench, range(100, 300, 2), 10)
    bench.end_field()
    bars(bench, range(100, 300, 2), 10)
    assert bench.end_field()[1] is Redraw.LINES  # colour 0 now begins as the last bar
    bars(bench, range(100, 300, 2), 10)
    assert bench.end_field() == ([], None)
    bars(bench, range(100, 140, 2), 20)
    bars(bench, range(140, 300, 2), 10)
    rects, redraw = bench.end_field()
    assert (rects, redraw) == ([(0, 100, 640, 40)], Redraw.LINES)


def test_bars_of_the_borders_colour_tell_displays_of_no_border():
    bench = Bench(0x12)
    bench.put(-1)
    bench.ports.write_dac(0, (0, 0, 63))
    bench.end_field()
    before = bench.screen.info
    assert before.border_colour == 0x0000FF
    bars(bench, range(100, 300, 2), 10)
    bench.end_field()
    told = bench.screen.info
    assert told.border_colour == 0
    for shade in (11, 12, 13):
        bars(bench, range(100, 300, 2), shade)
        assert bench.end_field()[1] is Redraw.LINES
        assert bench.screen.info == told
    bench.put(-1)
    bench.ports.write_dac(0, (0, 0, 63))
    bench.put(0)
    bench.end_field()
    assert bench.screen.info == before


def test_a_bar_inside_a_line_goes_again():
    bench = Bench(0x12)
    for line in (50, 80):
        bench.put(line, 300)
        bench.ports.write_dac(0, (63, 0, 0))
        bench.put(line, 600)
        bench.ports.write_dac(0, (0, 0, 0))
        assert len(bench.end_field()[0]) <= 2
    assert (bench.screen.frame[80] == 0xFF0000).any()
    assert not (bench.screen.frame[50] == 0xFF0000).any()


def test_looks_that_come_and_go_in_each_line_are_drawn_once_each(monkeypatch):
    """A console turns its cursor off before each character, and on again."""
    bench = Bench(3)
    bench.draw()
    drawn, whole = [], TextRenderer.draw_all
    monkeypatch.setattr(
        TextRenderer, "draw_all", lambda self, frame: (drawn.append(self), whole(self, frame))
    )
    for first in (1, 40):  # lines of the cursor at the top are shown and hidden by turns
        for line in range(first, 390, 2):
            for where, start in ((line, 0x20), (line + 1, 0)):
                bench.put(where)
                bench.ports.set_crtc(0x0A, start)
        drawn.clear()
        bench.end_field()
        assert len(drawn) <= 6  # three looks, and the full redraw has as many
        bench.vga.store(0xB8000 + 160 * first, b"console " * 40)
        bench.vga.store(0xB8000 + 2 * first, b"o")


def test_a_look_takes_the_place_of_one_that_is_gone():
    bench = Bench(3)
    for count in (3, 1, 0, 2, 5):
        for line in range(40, 40 + 60 * count, 60):
            bench.put(line)
            bench.ports.set(SEQ, 3, line % 64)
        bench.end_field()
        bench.vga.store(0xB8000 + 960 * count, b"fonts   " * 40)
        bench.vga.store(0xB8F00, b"F")


def test_a_field_is_shown_once_it_is_whole():
    bench = Bench(0x12)
    before = bench.screen.full_redraw()
    bars(bench, range(50, 100), 30)
    bench.draw()
    np.testing.assert_array_equal(bench.screen.frame, before)
    bench.end_field()
    assert not np.array_equal(bench.screen.frame, before)
    bench.end_field()  # nothing is written in this one
    assert bench.screen.scanout.raster is None
    assert bench.end_field() == ([], None)


def test_who_holds_the_device_between_slices_changes_all_of_the_picture_at_once():
    bench = Bench(0x12)
    bars(bench, range(50, 100), 30)
    bench.end_field()
    bench.beam.is_exact = False
    bench.ports.write_dac(1, (1, 2, 3))
    bench.draw()
    assert bench.screen.scanout.raster is None


def test_a_mode_set_in_mid_picture_is_no_picture_of_bands():
    bench = Bench(0x13)
    bars(bench, range(50, 100), 30)
    set_mode(bench.vga, 0x12)
    bench.end_field()
    assert bench.screen.scanout.raster is None


@pytest.mark.parametrize(
    ("write", "latched_at"),
    [
        (lambda ports: ports.set_crtc(0x0D, 40), "retrace"),
        (lambda ports: ports.set_crtc(0x08, 0x20), "retrace"),
        (lambda ports: ports.set_crtc(0x0F, 7), "retrace"),
        (lambda ports: ports.set_attribute(0x13, 3), "its end"),
        (lambda ports: ports.set_crtc(0x08, 0x05), "first line"),
    ],
)
def test_what_is_latched_is_seen_once_its_latch_has_passed(write, latched_at):
    bench = Bench(3)
    bench.draw()
    before = bench.screen.frame.copy()
    timing = bench.vga.timing
    bench.put(5)
    write(bench.ports)
    last = {
        "retrace": timing.retrace_start_line,
        "its end": timing.retrace_end_line,
        "first line": timing.total_lines,
    }[latched_at]
    bench.put(last - 1)
    bench.draw()
    np.testing.assert_array_equal(bench.screen.frame, before)
    bench.put(last)
    bench.draw()
    assert not np.array_equal(bench.screen.frame, before)
    bench.put(last + 3)
    assert bench.draw() == ([], None)


def test_a_shape_stays_for_a_second_after_something_changed_inside_a_row():
    bench = Bench(0x13)
    bars(bench, [101], 30)
    bench.end_field()
    heights = []
    for _ in range(LINES_FRAMES + 1):
        bench.end_field()
        heights.append(bench.screen.frame.shape[0])
    assert heights == [400] * (LINES_FRAMES - 1) + [200] * 2


def test_a_state_saved_in_mid_picture_shows_and_goes_on_as_before(tmp_path):
    bench, other = Bench(3), Bench(0x13)
    bars(bench, range(50, 100), 30)
    bench.end_field()
    bench.put(40)
    bench.ports.set_crtc(0x0D, 40)
    bars(bench, range(60, 90), 20)
    bench.draw()
    save_state(bench.vga, tmp_path / "mid.npz", frame_number=bench.frame_number)
    other.frame_number = load_state(other.vga, tmp_path / "mid.npz")
    other.beam.ns, other.field = bench.beam.ns, bench.field
    for line in (200, 300, 500, 600):
        for each in bench, other:
            bars(each, [line], 10)
            each.draw()
        np.testing.assert_array_equal(bench.screen.frame, other.screen.frame)


@pytest.mark.parametrize("name", ["field_before", "field_last", "latches"])
def test_a_state_whose_fields_no_device_has_kept_is_refused(tmp_path, name):
    bench = Bench(3)
    bars(bench, range(50, 100), 30)
    bench.end_field()
    bars(bench, range(50, 100), 30)
    bench.ports.set_crtc(0x0D, 40)
    parts = bench.vga.parts()
    good = parts[name].array()
    assert len(good)
    assert parts[name].takes(good)
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(200):
        spoilt = good.copy()
        spoilt.reshape(-1)[rng.integers(spoilt.size)] ^= np.array(
            1 << int(rng.integers(63)), good.dtype
        )
        refused += not parts[name].takes(spoilt)
        if parts[name].takes(spoilt):
            parts[name].restore(spoilt)
            bench.screen.full_redraw()
    assert refused > 10


def random_write(rng, bench):
    """One write to a register that the picture depends on."""
    ports, value = bench.ports, int(rng.integers(256))
    choices = [
        lambda: ports.write_dac(int(rng.integers(16)), rng.integers(0, 64, 3).tolist()),
        lambda: bench.vga.outb(0x3C6, value | 0xF0),
        lambda: ports.set_attribute(0x12, value & 15),
        lambda: ports.set_attribute(0x14, value & 15),
        lambda: ports.set_attribute(0x10, ports_mode(bench) ^ (0x08, 0x80, 0x20, 0x04)[value & 3]),
        lambda: ports.set_attribute(0x13, value & 7),
        lambda: ports.set(SEQ, 1, bench.vga.sequencer.values[1] ^ 0x20),
        lambda: ports.set(SEQ, 3, value & 0x3F),
        lambda: ports.set_crtc(0x13, value & 0x3F),
        lambda: ports.set_crtc(0x09, bench.vga.crtc.values[9] & 0xE0 | value & 7),
        lambda: ports.set_crtc(0x18, value),
        lambda: ports.set_crtc(0x07, bench.vga.crtc.values[7] & ~0x10),
        lambda: ports.set_crtc(0x0D, value),
        lambda: ports.set_crtc(0x08, value & 0x6F),
        lambda: ports.set_crtc(0x0A, value & 0x1F),
        lambda: ports.set_crtc(0x17, bench.vga.crtc.values[0x17] ^ 1),
        lambda: bench.vga.store(0xA0000 + 200 * value, bytes([value]) * 300),
        lambda: ports.set(GC, 5, bench.vga.graphics.values[5] ^ (0x40 if value == 1 else 0)),
    ]
    choices[int(rng.integers(len(choices)))]()


def ports_mode(bench):
    return bench.vga.attribute.values[0x10]


@pytest.mark.parametrize("mode", [3, 0x0D, 0x12, 0x13])
@pytest.mark.parametrize("seed", range(2))
def test_random_timelines_redraw_what_changed(mode, seed):
    rng = np.random.default_rng(100 * mode + seed)
    bench = Bench(mode, seed)
    for _ in range(8):
        lines = np.sort(rng.integers(0, bench.vga.timing.total_lines, rng.integers(0, 12)))
        for line in lines.tolist():
            bench.put(line, int(rng.integers(0, 800)))
            random_write(rng, bench)
            if rng.random() < 0.2:
                bench.draw()
        bench.end_field()
