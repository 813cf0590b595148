"""The border as a part of the picture: its size, its colour, and what is redrawn with it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shadow import ShadowDisplay, Watched
from test_blanking import change, screen

import vgaemu
from vgaemu.cli.main import main
from vgaemu.display.report import FrameReport
from vgaemu.display.screen import full_redraw
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.vga.beam import VirtualBeam
from vgaemu.vga.blanking import Margins, margins_of
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.ports import Ports
from vgaemu.vga.scanout import scanout_of

GREEN = 0x00FF00


def green_border(vga: Vga) -> None:
    Ports(vga).write_dac(200, (0, 63, 0))
    Ports(vga).set_attribute(0x11, 200)


#: Mode, and border: left, right in dots; top, bottom in scan lines. The sums are those of the
#: signals of the time: 720x400 has 738x414 (or 736, 8 dots a side) with it, 640x480 has 656x496.
SIZES: dict[int | str, tuple[int, int, int, int]] = {
    1: (9, 9, 7, 7),
    3: (9, 9, 7, 7),
    7: (9, 9, 7, 7),
    4: (8, 8, 7, 7),
    6: (8, 8, 7, 7),
    0x0D: (8, 8, 7, 7),
    0x10: (8, 8, 6, 6),
    0x12: (8, 8, 8, 8),
    0x13: (8, 8, 7, 7),
}


@pytest.mark.parametrize("mode", SIZES)
def test_sizes(mode: int) -> None:
    vga = Vga(Memslot(64))
    set_mode(vga, mode)
    dots = 8 if vga.sequencer["dots_8"] else 9
    assert margins_of(vga.crtc.values, dots) == SIZES[mode]


def test_a_letterbox_has_no_border_above_and_below() -> None:
    vga = screen(0x13, cr15=369 & 0xFF, cr16=70)
    assert margins_of(vga.crtc.values, 8) == Margins(8, 8, 0, 0)


def test_blanking_goes_on_beside_the_picture() -> None:
    # Lines 101 to 200 and characters from 70 on.
    vga = screen(0x12, cr07=0x36, cr15=100, cr16=0x48, cr02=69)
    vga.outw(0x3D4, 0xDF12)
    green_border(vga)
    left, right, top, bottom = margins_of(vga.crtc.values, 8)
    frame = full_redraw(vga, 0, border=True)
    assert (right, frame[0, 0]) == (0, GREEN)
    dark = frame == 0
    assert dark[top + 101 : top + 201].all()
    assert dark[:, left + 560 :].all()
    dark[top + 101 : top + 201] = dark[:, left + 560 :] = False
    assert not dark.any()
    assert bottom


def test_beside_a_band_in_the_picture_the_border_ends_with_the_retrace() -> None:
    # Lines 101 to 200 are black; the retrace takes 490 to 493 of 525.
    vga = screen(0x12, cr07=0x36, cr15=100, cr16=0x48)
    assert margins_of(vga.crtc.values, 8) == Margins(8, 8, 525 - 494, 490 - 480)


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_registers_say_it_has_a_size(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(300):
        crtc = draw.randbytes(25)
        margins = margins_of(crtc, 1)
        assert min(margins) >= 0
        assert margins.left + margins.right <= max(0, crtc[0] + 5 - crtc[1] - 1)


def test_a_border_lies_around_the_same_picture() -> None:
    for mode, (left, right, top, bottom) in SIZES.items():
        vga = screen(int(mode))
        Ports(vga).set_attribute(0x11, 200)
        Ports(vga).write_dac(200, (0, 63, 0))
        bare, frame = full_redraw(vga, 0), full_redraw(vga, 0, border=True)
        lines = vga.crtc["vertical_display_end"] + 1
        scale = 1 if scanout_of(vga).rows.columns * (left or 8) == bare.shape[1] else 2
        bare = np.repeat(bare, lines // bare.shape[0], axis=0)
        height, width = bare.shape
        x, y = left // scale, top
        assert frame.shape == (top + height + bottom, x + width + right // scale)
        assert np.array_equal(frame[y : y + height, x : x + width], bare)
        frame[y : y + height, x : x + width] = GREEN
        assert (frame == GREEN).all()


def test_it_goes_through_mask_and_dac() -> None:
    vga = screen(0x12)
    Ports(vga).set_attribute(0x11, 0xC8)
    Ports(vga).write_dac(0xC8, (0, 63, 0))
    Ports(vga).write_dac(0x48, (63, 0, 0))
    assert full_redraw(vga, 0, border=True)[0, 0] == GREEN
    vga.outb(0x3C6, 0x7F)
    assert full_redraw(vga, 0, border=True)[0, 0] == 0xFF0000
    vga.outw(0x3C4, 0x2101)  # the screen is off
    assert not full_redraw(vga, 0, border=True).any()


# --- what is redrawn, and who is told ---------------------------------------------------------


@pytest.mark.parametrize(("mode", "at"), [(3, 0xB8000), (0x12, 0xA0000), (0x13, 0xA0000)])
def test_a_display_that_copies_rectangles_misses_nothing(mode: int, at: int) -> None:
    draw = random.Random(mode)
    vga = screen(mode)
    watched = Watched(vga, border=True)
    usual = bytes(vga.crtc.values)
    for number in range(30):
        if draw.random() < 0.2:
            Ports(vga).set_attribute(draw.choice((0x11, 0x11, 0x13)), draw.getrandbits(4))
        if draw.random() < 0.2:
            index = draw.choice((0x00, 0x01, 0x02, 0x03, 0x05, 0x06, 0x07, 0x12, 0x15, 0x16))
            change(vga, **{f"cr{index:02x}": draw.choice((draw.getrandbits(8), usual[index]))})
        if number % 10 == 9:
            change(vga, **{f"cr{n:02x}": value for n, value in enumerate(usual) if n != 0x11})
        for _ in range(draw.randrange(4)):
            vga.store(at + draw.randrange(4000), draw.randbytes(draw.choice((1, 2, 90, 700))))
        watched.frame()
    watched.loop.close()


def test_a_character_is_one_rectangle_beside_the_border() -> None:
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    watched = Watched(vga, border=True)
    watched.frame()
    vga.store(0xB8000 + 2 * (80 * 12 + 40), b"X")
    report = watched.frame()
    assert [tuple(rect) for rect in report.rects] == [(9 + 360, 7 + 192, 9, 16)]


def test_clean_rows_lie_beside_the_border_too() -> None:
    vga = screen(0x12)
    watched = Watched(vga, border=True, span_pages=8)
    watched.display.shows_clean_rects = True
    watched.frame()
    vga.store(0xA0000, b"\x55")
    vga.store(0xA0000 + 5000, b"\x55")
    report = watched.frame()
    assert report.clean_rects
    assert {rect.x for rect in report.clean_rects} == {8}
    top, bottom = report.rects[0].y, report.rects[-1].y + report.rects[-1].height
    assert all(top <= rect.y < bottom for rect in report.clean_rects)


def test_timing_registers_ask_for_another_size_only_where_the_border_is_shown() -> None:
    for border, redraw in ((False, ""), (True, "resize")):
        vga = screen(0x12)
        watched = Watched(vga, border=border)
        watched.frame()
        change(vga, cr02=0x51)
        assert watched.frame().redraw == redraw
        Ports(vga).set_attribute(0x11, 3)
        assert watched.frame().redraw == "everything"
        watched.loop.close()


def test_linear_modes_have_none() -> None:
    vga = screen(0x13)
    ports = Ports(vga)
    for index, value in ((1, 320), (2, 200), (3, 8), (4, 0x41)):
        ports.set_dispi(index, value)
    assert full_redraw(vga, 0, border=True).shape == (200, 320)


# --- while the beam draws it ------------------------------------------------------------------


class Field:
    """A device in a mode whose beam stands where a test puts it; its border, dot by dot."""

    def __init__(self, mode: int) -> None:
        self.vga = screen(mode)
        self.vga.beam = self.beam = VirtualBeam()
        self.beam.place(0)
        self.watched = Watched(self.vga, border=True)
        self.number = 1
        #: Dots of the field, and the border's colour from there on.
        self.written: list[tuple[int, int]] = []
        self.next_field()

    def put(self, line: int, dot: int) -> None:
        timing = self.vga.timing
        at = self.number * timing.frame_ns + line * timing.line_ns + dot * timing.dot_ns
        self.beam.ns = int(at) + 9

    def note(self) -> None:
        vga, timing = self.vga, self.vga.timing
        within = timing.first_dot(self.beam.ns) % timing.dots_a_frame
        colour = vga.dac.colours()[vga.attribute.values[0x11]]
        self.written.append((within, 0 if vga.sequencer["screen_off"] else int(colour)))

    def next_field(self) -> None:
        self.number += 1
        self.written.clear()
        self.beam.ns = int(self.number * self.vga.timing.frame_ns) - 5
        self.note()
        self.written[0] = -(10**9), self.written[0][1]

    def end(self) -> FrameReport:
        self.put(self.vga.timing.displayed_lines, 3)
        report = self.watched.frame()
        self.check()
        self.next_field()
        return report

    def check(self) -> None:
        """Each dot of the border has the colour that was written last before its begin."""
        frame, timing = self.watched.display.frame, self.vga.timing
        left, right, top, bottom = self.watched.loop.screen.scanout.margins
        height, width = frame.shape
        shown = width - left - right
        pixel_dots = round(timing.dots_a_line * timing.displayed_fraction) // shown
        lines, pixels = np.mgrid[-top : height - top, -left : width - left]
        begin = lines * timing.dots_a_line + pixels * pixel_dots
        wanted = np.zeros(frame.shape, np.uint32)
        for at, colour in self.written:
            wanted[begin >= at] = colour
        around = (lines < 0) | (lines >= height - top - bottom) | (pixels < 0) | (pixels >= shown)
        assert np.array_equal(frame[around], wanted[around])


def step(field: Field, draw: random.Random) -> None:
    vga, kind = field.vga, draw.randrange(5)
    if kind == 0:
        Ports(vga).write_dac(draw.choice((5, 6, 7, 9)), draw.choices(range(64), k=3))
    elif kind == 1:
        vga.outb(0x3C6, draw.choice((0xFF, 0xFF, 0x06)))
    elif kind == 2:
        off = draw.choice((0, 0, 0x20))
        vga.outw(0x3C4, (vga.sequencer.values[1] & ~0x20 | off) << 8 | 1)
    else:
        Ports(vga).set_attribute(0x11, draw.choice((5, 6, 7)))


@pytest.mark.parametrize("mode", [3, 0x0D, 0x12, 0x13])
def test_each_dot_has_the_colour_of_its_time(mode: int) -> None:
    draw, field = random.Random(mode), Field(mode)
    vga = field.vga
    for _ in range(6):
        places = sorted(
            (draw.randrange(vga.timing.displayed_lines), draw.randrange(vga.timing.dots_a_line))
            for _ in range(draw.choice((0, 1, 12)))
        )
        for place in places:
            field.put(*place)
            step(field, draw)
            field.note()
        field.end()
    field.watched.loop.close()


def test_bars_that_move_draw_the_border_alone() -> None:
    field = Field(0x12)
    vga = field.vga
    moved = []
    for frame in range(4):
        for line in (100 + 3 * frame, 200 + 3 * frame):
            field.put(line, vga.timing.dots_a_line - 20)
            Ports(vga).set_attribute(0x11, 5 if line < 200 else 0)
            field.note()
        moved.append(field.end())
    assert [report.redraw for report in moved[1:]] == ["border"] * 3
    assert moved[-1].pixels == 656 * 496 - 640 * 480
    assert field.watched.loop.screen.frame[8 + 112, 0] == vga.dac.colours()[5]


def test_it_stays_plain_where_nobody_looks_at_it() -> None:
    vga = screen(0x12)
    vga.beam = beam = VirtualBeam()
    beam.place(0)
    watched = Watched(vga)
    watched.frame()
    timing = vga.timing
    for line, value in ((100, 5), (200, 0)):
        beam.ns = int(timing.frame_ns + line * timing.line_ns)
        Ports(vga).set_attribute(0x11, value)
    beam.ns = int(timing.frame_ns + timing.displayed_ns)
    assert watched.frame().redraw == ""


# --- for people -------------------------------------------------------------------------------


def test_a_machine_shows_it() -> None:
    display = ShadowDisplay()
    with Machine(display=display, mode=0x13, border=True) as machine:
        green_border(machine.vga)
        machine.vga.store(0xA0000, b"\x0f" * 64000)
        machine.tick()
        info, frame = machine.screen.info, machine.screen.frame
        assert (info.width, info.height, info.border_colour) == (328, 414, GREEN)
        assert (info.mode_name, machine.screen.rgb().shape) == ("320x200x256", (414, 328, 3))
        assert info.aspect == pytest.approx(4 / 3 * (328 / 320) / (414 / 400))
        assert np.array_equal(display.frame, frame)
        assert display.resized[-1] == info
        assert [frame[y, x] for y, x in ((0, 0), (6, 200), (7, 3), (413, 327))] == [GREEN] * 4
        assert (frame[7:407, 4:324] == 0xFFFFFF).all()
        assert machine.screen.indices().shape == (200, 320)


def test_palettes_have_the_border_s_colour() -> None:
    with Machine(mode=0x12, border=True) as machine:
        green_border(machine.vga)
        machine.tick()
        palette = machine.screen.palette
        assert (len(palette), palette[-1]) == (17, GREEN)
    with Machine(mode=0x12) as machine:
        machine.tick()
        assert len(machine.screen.palette) == 16


def test_screenshots_and_recordings_have_it(tmp_path: Path) -> None:
    shot, film, guest = tmp_path / "a.png", tmp_path / "a.gif", tmp_path / "guest.py"
    guest.write_text(
        "def workload(guest):\n"
        "    guest.inb(0x3DA)\n"
        "    for value in (0x31, 2, 0x20):\n"
        "        guest.outb(0x3C0, value)\n"
        "    yield\n"
    )
    options = ["--headless", "--frames", "2", "--screenshot", shot, "--record", film]
    assert main(["run", str(guest), *map(str, options), "--border"]) == 0
    for path in (shot, film):
        with Image.open(path) as image:
            assert image.size == (738, 414)
            assert image.convert("RGB").getpixel((0, 0)) == (0, 0xAA, 0)


def test_it_takes_a_number_as_ever_and_no_workload(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "typing", "--headless", "--frames", "1", "--border", "3"]) == 0
    with pytest.raises(SystemExit) as refused:
        main(["run", "--border", "typing"])
    assert refused.value.code == 2
    assert "put --border behind the workload" in capsys.readouterr().err


def test_the_public_name() -> None:
    with vgaemu.Machine(border=True) as machine:
        machine.tick()
        assert machine.screen.frame.shape == (414, 738)
