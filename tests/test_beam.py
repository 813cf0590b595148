"""Input status: its bits follow the CRTC's own timing, on a wall clock and on a virtual beam."""

import time
from itertools import count, pairwise, repeat

import pytest

from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.vga.beam import NOT_DISPLAYING, VERTICAL_RETRACE, VirtualBeam, WallBeam, timing_of
from vgaemu.vga.device import NO_LIGHT_PEN, Vga
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


def test_a_retrace_that_ends_on_its_own_line_number_lasts_sixteen_lines():
    vga = vga_in(0x13)
    vga.outw(0x3D4, 0x8C11)  # the low four bits of its start, 412
    timing = timing_of(*vga.timing_key())
    lines = [n for n in range(449) if timing.status((n + 0.1) * timing.line_ns) & VERTICAL_RETRACE]
    assert lines == list(range(412, 428))


@pytest.mark.parametrize(
    ("misc", "clock"), [(0x63, 25_175), (0x67, 28_322), (0x6B, 25_175), (0x6F, 25_175)]
)
def test_the_dot_clock_is_chosen_by_misc_output(misc, clock):
    vga = vga_in(0x13)
    vga.outb(0x3C2, misc)
    assert timing_of(*vga.timing_key()).line_ns == pytest.approx(800e6 / clock)


def test_a_retrace_past_the_vertical_total_goes_on_at_the_next_frame():
    vga = vga_in(0x13)
    for value in (0x0011, 0xBF06, 0x1F07, 0xBD10, 0x0811):  # 449 lines, retrace from 445 to line 8
        vga.outw(0x3D4, value)
    timing = timing_of(*vga.timing_key())
    assert (timing.total_lines, timing.retrace_start_line) == (449, 445)
    lines = [n for n in range(449) if timing.status((n + 0.1) * timing.line_ns) & VERTICAL_RETRACE]
    # The counter that CR11's four bits are compared with begins anew at line 0.
    assert lines == [0, 1, 2, 3, 4, 5, 6, 7, 445, 446, 447, 448]


def test_a_retrace_whose_end_no_line_has_lasts():
    vga = vga_in(0x13)
    for value in (0x0011, 0x0306, 0x0007, 0x0210, 0x0911):  # 5 lines, retrace from 2 to line 9
        vga.outw(0x3D4, value)
    timing = timing_of(*vga.timing_key())
    bits = [timing.status((n + 0.1) * timing.line_ns) for n in range(5)]
    assert all(status & VERTICAL_RETRACE for status in bits)


def test_a_retrace_that_starts_past_the_vertical_total_never_comes():
    vga = vga_in(0x13)
    for value in (0x0011, 0xC110):  # at line 449 of 449
        vga.outw(0x3D4, value)
    timing = timing_of(*vga.timing_key())
    assert timing.retrace_start_line == timing.total_lines
    bits = [timing.status((n + 0.1) * timing.line_ns) for n in range(449)]
    assert not any(status & VERTICAL_RETRACE for status in bits)
    assert timing.retraces(0.0) == timing.retraces(1e9)


def test_a_guest_that_polls_sees_every_line_and_one_retrace_a_frame():
    vga = vga_in(0x13)
    assert isinstance(vga.beam, VirtualBeam)
    vga.beam.start_frame()
    timing = timing_of(*vga.timing_key())
    reads = int(timing.frame_ns / VirtualBeam.STEP_NS)
    bits = [vga.inb(0x3DA) for _ in range(reads)]
    lines = sum(a & 1 and not b & 1 for a, b in pairwise(bits))
    retraces = sum(not a & 8 and b & 8 for a, b in pairwise(bits))
    assert lines == 400
    assert bool(retraces) == 1


# --- the virtual beam's frames ----------------------------------------------------------------


def test_a_frame_begins_and_ends_in_the_blanking_after_the_retrace():
    vga = vga_in(0x13)
    beam, timing = vga.beam, vga.timing
    fields = []
    for looks in (1, 2000, 1, 1, 2900, 1):  # a field is 2854 looks
        beam.start_frame()
        before = beam.at_ns()
        assert vga.inb(0x3DA) == NOT_DISPLAYING | NO_LIGHT_PEN
        assert beam.at_ns() % timing.frame_ns >= timing.passed_retrace_ns(0) + beam.STEP_NS - 2
        for _ in range(looks - 1):
            vga.inb(0x3DA)
        beam.end_frame()
        assert beam.at_ns() > before
        assert beam.at_ns() % timing.frame_ns >= timing.passed_retrace_ns(0)
        fields.append(beam.at_ns() // timing.frame_ns)
    assert fields == [1, 2, 3, 4, 5, 6]  # the long one ended in the blanking that it came to


def test_a_beam_that_nobody_looks_at_any_more_leaves_the_field_once_and_stands_still():
    vga = vga_in(0x13)
    beam, timing = vga.beam, vga.timing
    places = []
    for frame in range(5):
        beam.start_frame()
        if frame == 1:
            vga.inb(0x3DA)
        beam.end_frame()
        places.append(beam.at_ns())
    assert places[0] == beam.STEP_NS  # of a look when the mode was set
    assert places[2] - places[1] == pytest.approx(timing.frame_ns, abs=1)
    assert places[2:] == [places[2]] * 3


def test_a_beam_is_exact_from_a_frames_first_look_to_its_end():
    vga = vga_in(0x13)
    vga.inb(0x3DA)
    assert not vga.beam.is_exact  # no frame has begun
    for exact in (True, False):
        vga.beam.may_be_exact = exact
        vga.beam.start_frame()
        assert not vga.beam.is_exact
        vga.inb(0x3DA)
        assert vga.beam.is_exact == exact
        vga.beam.end_frame()
        assert not vga.beam.is_exact
        vga.inb(0x3DA)
        assert not vga.beam.is_exact


def test_a_workload_gets_a_virtual_beam_for_the_asking_on_its_own_thread():
    seen = []

    def guest_of(asks):
        def workload(guest):
            guest.races_the_beam = asks
            assert guest.races_the_beam == asks
            for _ in range(3):
                guest.wait_retrace()
                yield guest.NOW
                beam = guest._vga.beam
                seen.append((type(beam), beam.is_exact))
                yield

        return workload

    for asks, kind in ((False, WallBeam), (True, VirtualBeam)):
        with Machine(guest_of(asks), free=True) as machine:
            deadline = time.monotonic() + 10
            while not machine.ended and time.monotonic() < deadline:
                machine.tick()
                time.sleep(0.001)
            assert machine.ended
            assert not machine.vga.beam.is_exact
        assert seen == [(kind, asks)] * 3
        seen.clear()


def test_a_guest_that_races_begins_each_of_its_frames_in_the_blanking():
    status = []

    def workload(guest):
        while True:
            status.append(guest.inb(0x3DA))
            yield

    with Machine(workload) as machine:
        machine.runner.race(True)
        machine.tick()
    assert len(status) > 1
    assert set(status) == {NOT_DISPLAYING | NO_LIGHT_PEN}


def test_timing_follows_its_registers_and_no_others():
    vga = vga_in(0x13)
    before = vga.timing
    for port, word in ((0x3D4, 0x0A0E), (0x3D4, 0x010A), (0x3CE, 0x0F00), (0x3C4, 0x0F02)):
        vga.outw(port, word)
        assert vga.timing is before
    for write in (
        lambda: vga.outw(0x3D4, 0x8E11),  # no change
        lambda: vga.outw(0x3D4, 0x9012),
        lambda: vga.outw(0x3C4, 0x0801),
        lambda: vga.outb(0x3C2, 0x67),
        lambda: set_mode(vga, 0x12),
    ):
        write()
        assert vga.timing == timing_of(*vga.timing_key())
    assert vga.timing != before
    line = vga.timing
    assert line.line_ns == pytest.approx(line.dots_a_line * line.dot_ns)
    assert line.dots_a_line == 800


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


class SlowWall(WallBeam):
    """Time passes between looks alone: as long as the next of `gaps_us` says."""

    def __init__(self, gaps_us):
        super().__init__()
        self.at = 0.0
        self.gaps_us = iter(gaps_us)

    def look_ns(self, timing):
        self.at += next(self.gaps_us) * 1000
        return self.at


@pytest.mark.parametrize("gap_us", [20, 64, 150, 400, 900, 2000, 5000, 7000, 8000])
def test_a_guest_that_polls_slowly_misses_no_retrace_and_sees_none_twice(gap_us):
    vga = vga_in(0x13)
    vga.beam = beam = SlowWall(repeat(gap_us))
    timing = timing_of(*vga.timing_key())
    retrace_us = 2 * timing.line_ns / 1000
    seen, before = 0, 0
    while beam.at < 50 * timing.frame_ns:
        now = vga.inb(0x3DA) & VERTICAL_RETRACE
        # Looks further apart than a retrace lasts do not see the same one.
        seen += bool(now and (not before or gap_us > retrace_us))
        before = now
    assert seen == timing.retraces(beam.at) + 1


@pytest.mark.parametrize("mode", [0x12, 0x13])
@pytest.mark.parametrize("stall_us", [1500, 4000, 8000])
def test_a_tight_loop_on_a_busy_host_misses_no_retrace(mode, stall_us):
    vga = vga_in(mode)
    vga.beam = beam = SlowWall(stall_us if n % 37 == 36 else 20 for n in count())
    timing = timing_of(*vga.timing_key())
    rises, before = 0, 0
    while beam.at < 50 * timing.frame_ns:
        now = vga.inb(0x3DA) & VERTICAL_RETRACE
        rises += bool(now and not before)
        before = now
    assert rises == timing.retraces(beam.at) + 1


@pytest.mark.parametrize("mode", [0x12, 0x13])
@pytest.mark.parametrize("frames", [0.75, 0.9, 1.0, 1.3, 2.0])
def test_a_guest_that_looks_once_a_frame_sees_the_beam_as_it_is(mode, frames):
    vga = vga_in(mode)
    timing = timing_of(*vga.timing_key())
    vga.beam = beam = SlowWall(repeat(frames * timing.frame_ns / 1000))
    for _ in range(100):
        assert vga.inb(0x3DA) == timing.status(beam.at) | NO_LIGHT_PEN


@pytest.mark.parametrize(("work_ms", "frames"), [(2, 1), (9, 1), (13, 1), (15, 2), (25, 2)])
def test_work_between_two_waits_takes_whole_frames_as_on_hardware(work_ms, frames):
    """A program that draws, then waits for the retrace: drawing too long costs the next frame."""
    working = False

    def gaps():
        while True:
            yield work_ms * 1000 if working else 20

    vga = vga_in(0x13)
    vga.beam = beam = SlowWall(gaps())
    timing = timing_of(*vga.timing_key())
    times = []
    for _ in range(20):
        working = True
        status = vga.inb(0x3DA)
        working = False
        while not status & VERTICAL_RETRACE:
            status = vga.inb(0x3DA)
        times.append(beam.at)
    for a, b in pairwise(times):
        assert b - a == pytest.approx(frames * timing.frame_ns, abs=70_000)


def test_a_retrace_long_ago_is_not_told_to_a_guest_that_did_not_wait():
    class Jumps(WallBeam):
        looks = iter((1_000_000.0, 14_000_000.0))

        def look_ns(self, timing):
            return next(self.looks)

    vga = vga_in(0x13)
    vga.beam = Jumps()
    assert [vga.inb(0x3DA) & VERTICAL_RETRACE for _ in range(2)] == [0, 0]


# --- input status 0 ---------------------------------------------------------------------------


PENDING = 0x80


def polls_until_pending(vga, most=10_000):
    return next(n for n in range(most) if vga.inb(0x3C2) & PENDING)


def test_a_pending_retrace_is_held_clear_while_cr11_bit_4_is_0():
    vga = vga_in(0x13)  # CR11 = 8Eh
    for _ in range(10_000):
        assert vga.inb(0x3C2) == 0
    vga.outw(0x3D4, 0x9E11)
    assert 2000 < polls_until_pending(vga) < 3000  # a frame is 2854 looks
    assert {vga.inb(0x3C2) for _ in range(5000)} == {PENDING}
    vga.outw(0x3D4, 0x9E11)  # a 1 again clears nothing
    assert vga.inb(0x3C2) == PENDING
    vga.outw(0x3D4, 0x8E11)
    assert vga.inb(0x3C2) == 0


def test_each_retrace_asks_once_that_is_cleared():
    vga = vga_in(0x13)
    timing = timing_of(*vga.timing_key())
    vga.outw(0x3D4, 0x9E11)
    polls_until_pending(vga)
    for _ in range(5):
        vga.outw(0x3D4, 0x8E11)
        vga.outw(0x3D4, 0x9E11)
        begin = vga.beam.at_ns()
        polls_until_pending(vga)
        assert vga.beam.at_ns() - begin == pytest.approx(timing.frame_ns, abs=20_000)


def test_a_retrace_that_asked_goes_on_asking_whatever_the_timing_is_then():
    vga = vga_in(0x13)
    vga.outw(0x3D4, 0x9E11)
    polls_until_pending(vga)
    vga.outw(0x3D4, 0xC110)  # past the total: there are no more
    assert vga.inb(0x3C2) == PENDING


def test_a_new_frame_of_the_virtual_beam_comes_after_a_retrace():
    vga = vga_in(0x13)
    vga.outw(0x3D4, 0x9E11)
    assert vga.inb(0x3C2) == 0
    vga.beam.start_frame()
    assert vga.inb(0x3C2) == PENDING
    vga.outw(0x3D4, 0x8E11)
    vga.outw(0x3D4, 0x9E11)
    assert vga.inb(0x3C2) == 0


def test_a_pending_retrace_on_the_wall_clock():
    vga = vga_in(0x13)
    vga.beam = beam = SlowWall(repeat(100))
    timing = timing_of(*vga.timing_key())
    vga.outw(0x3D4, 0x9E11)
    begin = beam.at
    polls_until_pending(vga)
    assert timing.retraces(beam.at) == timing.retraces(begin) + 1
    assert timing.retraces(beam.at - 100_000) == timing.retraces(begin)
