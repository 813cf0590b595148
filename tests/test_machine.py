"""Machine: schedules, keys, ends and errors."""

import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
from itertools import groupby

import numpy as np
import pytest

import vgaemu
from vgaemu import saving
from vgaemu.cli.session import keep_showing
from vgaemu.display.base import BaseDisplay
from vgaemu.display.events import Close, PauseToggled, SingleStep
from vgaemu.errors import KeysError, StateError, WorkloadError
from vgaemu.guest.find import bundled_names
from vgaemu.guest.workload import endless
from vgaemu.keys.queue import Key, Keys, parse_keys
from vgaemu.machine import Machine
from vgaemu.memslot import MemslotError, why_unavailable
from vgaemu.runner import NOW_SLICES_A_FRAME

pytestmark = pytest.mark.turns(2)


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
        machine.schedule_keys([(5, "space"), (2, "Z"), (5, "a")])
        machine.tick(8)
        machine.keys.type("ok")
        machine.tick()
        assert [row.rstrip() for row in machine.screen.text()[:5]] == [
            "2:Z",
            "5:",
            "5:a",
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
        machine.run_frame()
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
        "machine.run_frame(); machine.close(); print('closed')\n"
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
    machine.run_frame()
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
    class Closable(BaseDisplay):
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
    with pytest.raises(vgaemu.DisplayError, match="no display named 'nope'"):
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
        "import sys; from vgaemu.cli.main import main; main(['--version']); "
        "assert not {'numpy', 'argparse', 'pygame'} & set(sys.modules)",
    ):
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60, capture_output=True)


def test_the_docstring_is_a_program_that_runs(capsys):
    program = vgaemu.__doc__.partition("\n\n")[2].partition("\n`Machine`")[0]
    exec(compile(textwrap.dedent(program), "vgaemu.__doc__", "exec"), {})
    assert capsys.readouterr().out.startswith("Hi ")


def looping(guest):
    while True:
        guest.text.print("x")
        yield


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"cpu": "kvm"}, "cpu: only for machine code"),
        ({"args": "one"}, "a list of arguments, not the string 'one'"),
    ],
)
def test_options_that_do_not_fit_a_workload_are_refused(options, what):
    with pytest.raises(WorkloadError, match=what):
        Machine("plasma", **options)


@pytest.mark.parametrize(
    ("keyword", "said"),
    [
        ("dirtylog", "no keyword 'dirtylog'; did you mean 'dirty_log'"),
        ("vgabios", "did you mean 'vga_bios'"),
        ("nonsense", "no keyword 'nonsense'$"),
    ],
)
def test_a_misspelt_keyword_is_answered_with_the_nearest(keyword, said):
    with pytest.raises(TypeError, match=said):
        Machine("plasma", **{keyword: 1})


def test_a_key_that_is_none_is_refused_when_it_is_scheduled():
    with Machine() as machine:
        with pytest.raises(KeysError, match="no key named 'entre'"):
            machine.schedule_keys([(0, "a"), (3, "entre")])
        machine.tick(2)
        assert machine.keys.typed() == ""


def test_keys_are_scheduled_as_the_command_says_them():
    with Machine() as machine:
        machine.schedule_keys("0:a,1:shift-b,9:c")
        machine.tick(2)
        assert machine.keys.typed() == "aB"
        with pytest.raises(KeysError, match="'c' is not FRAME:KEY, as in 30:a,60:enter"):
            machine.schedule_keys("c")


def test_a_machine_says_what_it_is():
    with Machine() as machine:
        assert repr(machine) == "<vgaemu.Machine text 80x25, no guest, 0 frames>"
    with Machine("typing") as machine:
        machine.tick(2)
        assert repr(machine) == "<vgaemu.Machine text 80x25, running, 2 frames>"


@pytest.mark.parametrize(
    ("options", "what"),
    [({"span_pages": 7}, "span_pages is 64"), ({"vram_mib": 300}, "vram_mib is 1 to 256")],
)
def test_sizes_out_of_range_are_refused(options, what):
    with pytest.raises(MemslotError, match=what):
        Machine(**options)


def test_what_a_workload_may_be(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def workload(guest):\n    guest.text.print('from a path')\n    yield\n")
    with Machine(path) as machine:
        machine.tick()
        assert machine.screen.text()[0].startswith("from a path")
    for wrong in (3, looping(None)):
        with pytest.raises(WorkloadError, match="a name, a path or a generator function"):
            Machine(wrong)


class Player(BaseDisplay):
    """A display whose user does something at each poll."""

    def __init__(self, *events):
        self.events = list(events)

    def poll(self):
        return self.events.pop(0) if self.events else ()


def test_a_script_that_ticks_waits_while_the_user_has_it_paused():
    frames = []

    def workload(guest):
        while True:
            frames.append(len(display.events))
            yield

    pause = [PauseToggled()]
    display = Player((), pause, (), (), [SingleStep()], (), pause)
    with Machine(workload, display=display) as machine:
        assert machine.tick(3)
    # Polled before each: the first at once, one by a single step, the third after the pause.
    assert frames == [6, 2, 0]
    with Machine(looping, display=Player(pause, [Close()])) as machine:
        assert not machine.tick()
        assert machine.frames == 0


def test_all_displays_know_of_a_pause_whoever_asked_for_it():
    class Told(BaseDisplay):
        def __init__(self, *asked) -> None:
            self.asked, self.told = list(asked), []

        def poll(self):
            return self.asked.pop(0) if self.asked else ()

        def pauses(self, on):
            self.told.append(on)

    pause, step = [PauseToggled()], [SingleStep()]
    one, other, late = Told(pause, pause, step, step, pause), Told(), Told()
    with Machine(looping, display=[one, other]) as machine:
        machine.closed_by_user()
        machine.add_display(late)
        for _ in range(4):
            machine.closed_by_user()
    # A step of a running guest stops it.
    assert [on for on, _ in groupby(one.told)] == [True, False, True, False]
    assert one.told == other.told
    assert [on for on, _ in groupby(late.told)] == [True, False, True, False]


def test_companions_go_on_while_a_script_that_ticks_is_paused():
    pause, called = [PauseToggled()], []
    with Machine(looping, display=Player(pause, (), pause)) as machine:
        machine.between_frames.append(lambda: called.append(machine.frames))
        machine.tick()
    assert called == [0, 0, 1]


@pytest.mark.parametrize("free", [False, True])
def test_what_a_guest_raises_while_it_is_stopped_is_kept(free):
    def workload(guest):
        try:
            while True:
                yield
        finally:
            raise KeyError("mine")

    closed = []
    display = BaseDisplay()
    display.close = lambda: closed.append(True)
    machine = Machine(workload, display=display, free=free)
    machine.tick()
    machine.close()
    assert closed == [True]
    assert isinstance(machine.guest_error, KeyError)


def test_a_guest_that_failed_is_shown_until_its_display_is_closed():
    def workload(guest):
        guest.text.print("last words")
        yield
        raise KeyError("mine")

    display = Player((), (), (), [Close()])
    told = []
    display.notice = told.append
    with Machine(workload, display=display) as machine:
        with pytest.raises(KeyError):
            machine.run()
        keep_showing(machine)
        assert machine.frames == 3
        assert told == ["the guest failed: KeyError: 'mine'; Ctrl+F9 quits"]
        assert machine.screen.text()[0].startswith("last words")


def test_a_free_guest_that_exits_has_ended():
    def workload(guest):
        yield
        sys.exit(3)

    with Machine(workload, free=True) as machine:
        with pytest.raises(SystemExit):
            machine.run(1000)
        assert machine.ended
        assert machine.runner.hold(1)


def test_a_guest_that_was_let_go_is_running_though_it_has_not_woken_yet(tmp_path):
    pytest.importorskip("unicorn")
    program, state = tmp_path / "loop.com", tmp_path / "state.npz"
    program.write_bytes(b"\xeb\xfe")  # JMP to itself
    with Machine(program, free=True) as machine:
        machine.tick(3)
        assert machine.runner.hold(10)
        machine.save_state(state)
        machine.runner.release()
        with machine.runner.changed:  # it cannot wake meanwhile
            machine.run_frame()
            assert machine.runner.is_running
            machine.save_state(state)
        machine.load_state(state)


def test_a_state_beside_a_free_workload_is_of_one_moment(tmp_path):
    """It sets modes all the time: half of one and half of another would not load."""

    def modes(guest):
        while True:
            for mode in (3, 0x12, 0x13, 7):
                guest.set_mode(mode)
                guest.store(0xA0000, bytes([mode]) * 4000)
                if mode == 0x12:
                    yield

    state = tmp_path / "state.npz"
    with Machine(modes, free=True, vram_mib=1) as machine, Machine(vram_mib=1) as other:
        for _ in range(20):
            machine.tick()
            machine.save_state(state)
            other.load_state(state)
            assert other.vga.load(0xA0000, 1) == b"\x12"
            machine.load_state(state)


def test_a_state_beside_a_workload_that_does_not_stop(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "HOLD_SECONDS", 0.05)
    ends = threading.Event()

    def busy(guest):
        while not ends.is_set():
            guest.store(0xB8000, b"a")
        yield

    with Machine(busy, free=True) as machine:
        machine.tick()
        for use in (machine.save_state, machine.load_state):
            with pytest.raises(StateError, match="came to no 'yield' within"):
                use(tmp_path / "state.npz")
        ends.set()
    assert not list(tmp_path.iterdir())


def test_a_workload_may_save_the_state_itself(tmp_path):
    def saving(guest):
        yield
        machine.save_state(tmp_path / "state.npz")
        yield

    with Machine(saving, free=True) as machine:
        while not machine.ended:
            machine.tick()
    assert (tmp_path / "state.npz").exists()


def test_the_interpreters_switch_interval_comes_back():
    before = sys.getswitchinterval()
    with Machine(looping, free=True) as machine:
        machine.run_frame()
        assert sys.getswitchinterval() < before
    assert sys.getswitchinterval() == before


def test_the_switch_interval_comes_back_in_whatever_order_machines_are_closed():
    before = sys.getswitchinterval()
    first, second = Machine(looping, free=True), Machine(looping, free=True)
    first.tick()
    second.tick()
    first.close()
    assert sys.getswitchinterval() < before
    second.close()
    assert sys.getswitchinterval() == before


def test_the_switch_interval_comes_back_after_a_guest_that_went_on_from_a_state(tmp_path):
    pytest.importorskip("unicorn")
    before = sys.getswitchinterval()
    program, state = tmp_path / "stop.com", tmp_path / "start.npz"
    program.write_bytes(b"\xfa\xf4")  # CLI, HLT
    with Machine(program, free=True) as machine:
        machine.save_state(state)
        while not machine.ended:
            machine.run_frame()
            time.sleep(0.001)
        machine.load_state(state)
        machine.run_frame()
    assert sys.getswitchinterval() == before


def test_no_state_is_loaded_into_a_recording(tmp_path):
    state = tmp_path / "s.npz"
    with Machine() as machine:
        machine.save_state(state)
    with (
        Machine(record_tape=tmp_path / "t.tape") as machine,
        pytest.raises(StateError, match="a tape starts at power on"),
    ):
        machine.load_state(state)


def test_every_workload_goes_on_from_any_state(tmp_path):
    """A state is put in place before the first slice: each workload still finds its own mode."""
    states = {}
    for name in ("plasma", "svga"):  # text is what every machine starts in
        states[name] = tmp_path / f"{name}.npz"
        with Machine(name) as machine:
            machine.tick(5)
            machine.save_state(states[name])
    file = tmp_path / "file.txt"
    file.write_text("a line\n")
    picture = tmp_path / "picture.png"
    with Machine() as machine:
        machine.tick()
        machine.screen.save(picture)
    arguments = {"cat": [str(file)], "picture": [str(picture)]}
    for name in bundled_names():
        for state in states.values():
            with Machine(name, arguments.get(name, [])) as machine:
                machine.load_state(state)
                machine.tick(3)
                np.testing.assert_array_equal(
                    machine.screen.frame, machine.screen.full_redraw(), f"{name} from {state.stem}"
                )


def test_a_display_that_fails_once_sees_all_of_the_next_frame():
    class Flaky(BaseDisplay):
        seen = 0

        def update(self, frame, rects, report):
            self.seen += 1
            if self.seen == 2:
                raise RuntimeError("not now")
            self.rects = rects

    display = Flaky()
    with Machine(looping, display=display) as machine:
        machine.run_frame()
        with pytest.raises(RuntimeError):
            machine.run_frame()
        machine.run_frame()
        assert display.rects == [(0, 0, 720, 400)]


def test_a_screenshot_that_fails_leaves_no_empty_file(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with vgaemu.Machine() as machine, pytest.raises(OSError, match="No space"):
        machine.screen.save(tmp_path / "shot.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("display", [None, object(), 3])
def test_what_is_no_display(display):
    with pytest.raises(vgaemu.DisplayError, match="resize, update and close"):
        vgaemu.Machine(display=display)


def test_keys_with_modifiers():
    keys = Keys()
    keys.press("ctrl-alt-f1")
    struck = [(key.name, key.pressed) for key in iter(keys.get, None)]
    down = ["ctrl", "alt", "f1"]
    assert struck == [(name, True) for name in down] + [(name, False) for name in reversed(down)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ctrl-c", "\x03"),
        ("alt-x", ""),
        ("shift-A", "A"),
        ("shift-a", "A"),
        ("shift-1", "!"),
        ("ctrl--", ""),
        ("-", "-"),
        ("a", "a"),
    ],
)
def test_what_keys_with_modifiers_type(name, text):
    keys = Keys()
    keys.press(name)
    assert keys.typed() == text


def test_scripts_of_keys_with_modifiers():
    assert parse_keys("1:ctrl-c,2:-") == [(1, "ctrl-c"), (2, "-")]
    for unknown, name in (("ctrl-nokey", "nokey"), ("ctrl-", "ctrl-"), ("--", "--")):
        with pytest.raises(KeysError, match=f"no key named '{name}'"):
            parse_keys(f"1:{unknown}")


class ClosedSoon(BaseDisplay):
    """A display whose user closes it after a moment."""

    def __init__(self):
        self.polls = 0

    def poll(self):
        self.polls += 1
        return [Close()] if self.polls > 5 else [Key("a", True, "a")]


def test_a_slow_window_listens():
    with vgaemu.Machine(display=ClosedSoon()) as machine:
        begin = time.monotonic()
        machine.run(speed=0.001)  # 16 s a frame
        assert time.monotonic() - begin < 5
        assert machine.frames == 1


@pytest.mark.parametrize(
    ("mode", "size"),
    [
        (0x13, (1600, 1200)),
        (0x12, (1280, 960)),
        (3, (1440, 1200)),
        ("320x240 unchained", (1600, 1200)),
    ],
)
def test_upscaled_pictures_repeat_pixels(mode, size):
    def workload(guest):
        guest.set_mode(mode)
        yield

    with Machine(workload) as machine:
        machine.tick()
        machine.vga.store(0xA0000, bytes(range(256)) * 32)
        machine.run_frame()
        raw, large = machine.screen.rgb(), machine.screen.upscaled()
        assert large.shape == (*size[::-1], 3)
        height, width = raw.shape[:2]
        rows, columns = (
            np.arange(size[1]) * height // size[1],
            np.arange(size[0]) * width // size[0],
        )
        assert (large == raw[rows][:, columns]).all()


def test_a_picture_larger_than_the_room_is_not_shrunk():
    def workload(guest):
        guest.set_dispi_mode(1920, 1080, 32)
        yield

    with Machine(workload) as machine:
        machine.tick()
        assert machine.screen.upscaled().shape == (1080, 1920, 3)


def test_a_window_is_gone_before_its_guest_has_come_to_an_end():
    seen = []

    class Window(BaseDisplay):
        def close(self):
            seen.append(machine.runner.is_over)

    def workload(guest):
        while True:
            time.sleep(0.01)
        yield

    machine = vgaemu.Machine(workload, display=Window(), free=True)
    machine.tick()
    machine.close()
    assert seen == [False]


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
@pytest.mark.parametrize("dirty_log", ["mmu", "kvm"])
def test_a_closed_machine_keeps_no_files(dirty_log):
    if why_unavailable(dirty_log) is not None:
        pytest.skip(dirty_log)
    gc.collect()
    before = set(os.listdir("/proc/self/fd"))
    machine = vgaemu.Machine(dirty_log=dirty_log)
    machine.guest.text.print("x")
    machine.tick()
    machine.close()
    assert set(os.listdir("/proc/self/fd")) <= before
    assert machine.screen.text()[0].startswith("x")
