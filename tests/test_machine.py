"""Machine: schedules, keys, ends and errors."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import vgaemu
from vgaemu.display.null import NullDisplay
from vgaemu.display.report import Close, Key
from vgaemu.guest.workload import endless
from vgaemu.machine import NOW_SLICES_A_FRAME, Machine


def test_six_lines_from_store_to_text():
    with vgaemu.Machine() as machine:
        machine.vga.store(0xB8000, b"H\x1ei\x1e")
        assert machine.tick()
        assert machine.screen.text()[0].startswith("Hi ")


def test_tick_says_when_the_guest_has_ended():
    def three_frames(guest):
        for i in range(3):
            guest.text.print(f"frame {i}")
            yield

    with Machine(three_frames) as machine:
        assert [machine.tick() for _ in range(4)] == [True, True, True, False]
        assert machine.ended
        assert machine.screen.text()[2].startswith("frame 2")
    with Machine(three_frames) as machine:
        assert not machine.tick(100)
        assert machine.frames == 4


def test_now_ends_a_slice_without_waiting():
    slices = []

    @endless
    def fast(guest):
        while True:
            slices.append(1)
            yield guest.NOW

    with Machine(fast) as machine:
        machine.tick(2)
        assert len(slices) == 2 * NOW_SLICES_A_FRAME
        assert machine.endless


def test_keys_reach_the_guest_at_their_frame():
    def echo(guest):
        frame = 0
        while True:
            for character in guest.keys.typed():
                guest.text.print(f"{frame}:{character}")
            frame += 1
            yield

    with Machine(echo) as machine:
        machine.schedule_keys([(5, "a"), (2, "Z"), (5, "space")])
        machine.tick(8)
        machine.keys.type("ok")
        machine.tick()
        assert [row.rstrip() for row in machine.screen.text()[:5]] == [
            "2:Z",
            "5:a",
            "5:",
            "8:o",
            "8:k",
        ]


def test_wait_for_text():
    def slow(guest):
        for _ in range(20):
            yield
        guest.text.print("READY 7")
        while True:
            yield

    with Machine(slow) as machine:
        assert machine.wait_for_text(r"READY \d")
        assert 20 <= machine.frames <= 22
        assert not machine.wait_for_text("never", frames=5)


def test_a_guest_error_comes_out_of_tick_with_the_screen_kept():
    def broken(guest):
        guest.text.print("before")
        yield
        raise RuntimeError("the guest's own")

    with Machine(broken) as machine:
        machine.tick()
        with pytest.raises(RuntimeError, match="the guest's own"):
            machine.tick()
        assert machine.screen.text()[0].startswith("before")
        assert machine.ended


def test_waiting_for_retrace_ends_in_step():
    def waits(guest):
        guest.wait_retrace()
        guest.text.print("retrace")
        yield

    with Machine(waits) as machine:
        machine.tick()
        assert machine.screen.text()[0].startswith("retrace")


def test_a_free_guest_runs_beside_the_frames_and_stops_with_the_machine():
    seen = threading.Event()

    @endless
    def busy(guest):
        try:
            n = 0
            while True:
                guest.store(0xB8000, bytes((n & 0xFF, 7)))
                n += 1
                yield guest.NOW
        finally:
            seen.set()

    machine = Machine(busy, free=True)
    for _ in range(20):
        machine.frame()
        time.sleep(0.001)
    machine.close()
    machine.close()
    assert not [t for t in threading.enumerate() if t.name == "vgaemu guest"]
    assert machine.stats.totals.pages > 3


def test_a_free_guest_that_never_yields_cannot_keep_the_process_alive():
    program = (
        "from vgaemu import Machine\n"
        "def forever(guest):\n"
        "    while True: pass\n"
        "    yield\n"
        "machine = Machine(forever, free=True)\n"
        "machine.frame(); machine.close(); print('closed')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert result.stdout == "closed\n"


def test_a_free_guest_that_only_stores_stops_at_its_next_call():
    def forever(guest):
        while True:
            guest.store(0xB8000, b"x")
        yield

    machine = Machine(forever, free=True)
    machine.frame()
    machine.close()
    assert not [t for t in threading.enumerate() if t.name == "vgaemu guest"]


def test_a_free_guest_gets_every_frame():
    slices = []

    @endless
    def counts(guest):
        while True:
            slices.append(1)
            yield

    with Machine(counts, free=True) as machine:
        for n in range(1, 101):
            machine.tick()
            deadline = time.monotonic() + 5
            while len(slices) < n and time.monotonic() < deadline:
                time.sleep(0)
            assert len(slices) == n


def test_ticking_polls_the_display_and_ends_when_it_is_closed():
    class Closable(NullDisplay):
        polls = 0

        def poll(self):
            self.polls += 1
            return [Close()] if self.polls == 3 else [Key("a", True, "a")]

    with Machine(display=Closable()) as machine:
        assert [machine.tick() for _ in range(3)] == [True, True, False]
        assert machine.keys.typed() == "aa"


def test_closed_machines_say_so():
    machine = Machine()
    machine.close()
    with pytest.raises(RuntimeError, match="closed"):
        machine.tick()


@pytest.mark.parametrize("keeper", ["flags", "words"])
def test_keepers_give_the_same_pictures(keeper):
    with Machine("typing", dirty_log=keeper) as machine, Machine("typing") as other:
        machine.tick(50)
        other.tick(50)
        assert np.array_equal(machine.screen.frame, other.screen.frame)
        assert machine.vram.dirty_log == keeper


def test_unknown_displays_and_logs_are_named():
    with pytest.raises(ValueError, match="no display named 'nope'"):
        Machine(display="nope")
    with pytest.raises(vgaemu.MemslotError, match="no dirty log named 'nope'"):
        Machine(dirty_log="nope")


def test_headless_imports_no_pygame():
    program = (
        "import sys, vgaemu\n"
        "with vgaemu.Machine('typing') as m: m.tick(5); m.screen.rgb(); m.screen.text()\n"
        "assert 'pygame' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_importing_vgaemu_and_asking_its_version_import_no_numpy():
    for program in (
        "import vgaemu, sys; assert 'numpy' not in sys.modules",
        "import sys; from vgaemu.cli import main; main(['--version']); "
        "assert not {'numpy', 'argparse', 'pygame'} & set(sys.modules)",
    ):
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60, capture_output=True)
