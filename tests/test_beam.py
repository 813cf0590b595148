"""Input status 1: its bits follow the CRTC's own timing, on a wall clock and on a virtual beam."""

import time
from itertools import pairwise

import pytest

from vgaemu.memslot import Memslot
from vgaemu.vga.beam import NOT_DISPLAYING, VERTICAL_RETRACE, VirtualBeam, WallBeam, timing_of
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode


def vga_in(mode):
    vga = Vga(Memslot(64))
    set_mode(vga, mode)
    return vga


@pytest.mark.parametrize(
    ("mode", "hz", "total", "displayed", "retrace"),
    [
        (0x03, 70.09, 449, 400, 412),
        (0x10, 70.09, 449, 350, 387),
        (0x12, 59.94, 525, 480, 490),
        (0x13, 70.09, 449, 400, 412),
        (0x01, 70.09, 449, 400, 412),
    ],
)
def test_timing_of_bios_modes(mode, hz, total, displayed, retrace):
    timing = timing_of(*vga_in(mode).timing_key())
    assert timing.refresh_hz == pytest.approx(hz, abs=0.01)
    assert (timing.total_lines, timing.displayed_lines) == (total, displayed)
    assert timing.retrace_start_line == retrace
    assert timing.retrace_end_line - timing.retrace_start_line == 2
    assert timing.line_ns == pytest.approx(1e9 / 31_469, rel=1e-3)


def test_status_bits_along_a_frame():
    timing = timing_of(*vga_in(0x13).timing_key())
    line = timing.line_ns
    assert timing.status(0.0) == 0
    assert timing.status(0.9 * line) == NOT_DISPLAYING  # horizontal blanking
    assert timing.status(399.1 * line) == 0
    assert timing.status(400.1 * line) == NOT_DISPLAYING
    assert timing.status(412.1 * line) == NOT_DISPLAYING | VERTICAL_RETRACE
    assert timing.status(414.1 * line) == NOT_DISPLAYING
    assert timing.status(449 * line) == 0


def test_a_guest_that_polls_sees_every_line_and_one_retrace_a_frame():
    vga = vga_in(0x13)
    assert isinstance(vga.beam, VirtualBeam)
    vga.beam.start_frame()
    timing = timing_of(*vga.timing_key())
    reads = int(timing.frame_ns / VirtualBeam.STEP_NS)
    bits = [vga.inb(0x3DA) for _ in range(reads)]
    lines = sum(a & 1 and not b & 1 for a, b in pairwise(bits))
    retraces = sum(not a & 8 and b & 8 for a, b in pairwise(bits))
    assert lines == 399  # the last one runs into the vertical blanking
    assert bool(retraces) == 1


def test_waiting_for_retrace_on_the_wall_clock_takes_the_modes_real_time():
    vga = vga_in(0x13)
    vga.beam = WallBeam()

    def wait_for_retrace():
        while vga.inb(0x3DA) & 8:
            pass
        while not vga.inb(0x3DA) & 8:
            pass

    wait_for_retrace()
    begin = time.perf_counter()
    for _ in range(7):
        wait_for_retrace()
    # A tenth of a second; a busy machine may miss a retrace of 64 us now and then, never gain one.
    assert time.perf_counter() - begin > 7 / 70.09 - 0.01


@pytest.mark.parametrize("gap_us", [20, 64, 150, 400, 900])
def test_a_guest_that_polls_slowly_misses_no_retrace_and_sees_none_twice(gap_us):
    class SlowWall(WallBeam):
        at = 0.0

        def now_ns(self):
            self.at += gap_us * 1000
            return self.at

    vga = vga_in(0x13)
    vga.beam = beam = SlowWall()
    timing = timing_of(*vga.timing_key())
    rises, before = 0, 0
    while beam.at < 50 * timing.frame_ns:
        now = vga.inb(0x3DA) & VERTICAL_RETRACE
        rises += bool(now and not before)
        before = now
    assert rises == timing.retraces(beam.at) + 1


def test_a_retrace_long_ago_is_not_told_to_a_guest_that_did_not_wait():
    class Jumps(WallBeam):
        looks = iter((1_000_000.0, 14_000_000.0))

        def now_ns(self):
            return next(self.looks)

    vga = vga_in(0x13)
    vga.beam = Jumps()
    assert [vga.inb(0x3DA) & VERTICAL_RETRACE for _ in range(2)] == [0, 0]
