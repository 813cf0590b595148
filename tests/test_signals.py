"""What ends a command, in children: each command, each signal, at any moment. Nothing is lost."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vgaemu import Machine
from vgaemu.cli.main import main
from vgaemu.signals import Stopped, stops_raise

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="no such signals"),
    pytest.mark.turns(2),
]

ROOT = Path(__file__).parents[1]
SIGNALS = [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]
MAIN = "import sys\nfrom vgaemu.cli.main import main\nsys.exit(main())\n"
#: It says that it runs, and runs on.
ENDLESS = """
def workload(guest):
    yield
    print('running', flush=True)
    while True:
        guest.text.print('x')
        yield
"""

#: `bench frame`, in a group of its own, says when its window is open.
TELLS_OF_THE_FIRST = """
import os, vgaemu.bench.frame as frame
os.setsid()
one = frame._one
def telling(*arguments):
    rows = one(*arguments)
    print('a window', flush=True)
    return rows
frame._one = telling
"""


class Child:
    """A `vgaemu` whose signals are as a terminal leaves them, or ignored."""

    def __init__(
        self,
        *arguments: object,
        cwd: Path,
        display: str = "",
        ignored: Sequence[int] = (),
        before: str = "",
    ) -> None:
        """Start it, after some Python code; with `display` a video driver of SDL's."""

        def set_signals() -> None:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

        environment = os.environ | {"PYTHONPATH": str(ROOT), "SDL_VIDEODRIVER": display}
        if not display:
            for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
                environment.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{before}{MAIN}", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
            env=environment, preexec_fn=set_signals,
        )  # fmt: skip

    def wait_for_line(self, text: str) -> str:
        """The first line that it prints with `text` in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if text in line:
                return line
        raise AssertionError(f"ended without {text!r}: {self.end()}")

    def wait_for(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not condition():
            assert self.process.poll() is None, self.end()
            assert time.monotonic() < until
            time.sleep(0.01)

    def send(self, *numbers: int, gap: float = 0.0) -> None:
        for number in numbers:
            self.process.send_signal(number)
            time.sleep(gap)

    def end(self) -> tuple[int, str, str]:
        """Exit status, what it printed and what it complained of; it ends by itself."""
        with self.process:
            try:
                out, err = self.process.communicate(timeout=60)
            finally:
                self.process.kill()
        return self.process.returncode, out, err


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    path = tmp_path / "endless.py"
    path.write_text(ENDLESS)
    return path


HEADLESS = ("--headless", "--frames", 10**9)
OUTPUTS = {
    "--screenshot": "s.png", "--dump-text": "s.txt", "--stats": "s.json", "--save-state": "s.npz",
    "--record-tape": "s.tape.gz", "--dump-registers": "s.reg", "--dump-palette": "p.png",
}  # fmt: skip
ALL_OUTPUTS = [word for pair in OUTPUTS.items() for word in pair]


def check_outputs(folder: Path, *, one_moment: bool = True) -> None:
    """All are there and whole, and nothing beside; picture and tape of the same moment."""
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
    Image.open(folder / "s.png").load()
    Image.open(folder / "p.png").load()
    assert json.loads((folder / "s.json").read_text())["totals"]["frames"] > 0
    assert (folder / "s.txt").read_text().startswith("x")
    with np.load(folder / "s.npz") as state:
        assert state["vram.pages"].size
    assert main(["replay", str(folder / "s.tape.gz"), "--screenshot", str(folder / "r.png")]) == 0
    shown, replayed = (np.asarray(Image.open(folder / f"{name}.png")) for name in "sr")
    if one_moment:
        np.testing.assert_array_equal(shown, replayed)


@pytest.mark.parametrize(
    ("display", "sent"), [*(("", sent) for sent in SIGNALS), ("dummy", signal.SIGTERM)]
)
def test_a_run_leaves_everything(
    tmp_path: Path, endless: Path, display: str, sent: signal.Signals
) -> None:
    how = [] if display else HEADLESS
    child = Child("run", endless, *how, *ALL_OUTPUTS, cwd=tmp_path, display=display)
    child.wait_for_line("running")
    time.sleep(0.3)
    child.send(sent)
    status, _, err = child.end()
    assert (status, err) == (0 if display else 128 + sent, "")
    check_outputs(tmp_path, one_moment=not display)


def test_signals_that_come_in_turn_are_one(tmp_path: Path, endless: Path) -> None:
    """As a session ends: what closes sends SIGHUP, then SIGTERM, and the terminal Ctrl-C."""
    child = Child("run", endless, *HEADLESS, *ALL_OUTPUTS, cwd=tmp_path)
    child.wait_for_line("running")
    child.send(*reversed(SIGNALS), *SIGNALS * 20, gap=0.01)
    status, _, err = child.end()
    assert (status, err) == (128 + SIGNALS[-1], "")
    check_outputs(tmp_path)


def test_ignored_signals_stay_so(tmp_path: Path, endless: Path) -> None:
    """In a shell's background, and under nohup."""
    ignored = SIGNALS[0], SIGNALS[2]
    child = Child("run", endless, *HEADLESS, cwd=tmp_path, ignored=ignored)
    child.wait_for_line("running")
    child.send(*ignored, gap=0.3)
    assert child.process.poll() is None
    child.send(signal.SIGTERM)
    assert child.end()[0] == 128 + signal.SIGTERM


@pytest.mark.parametrize("sent", [signal.SIGTERM])
def test_what_comes_while_files_are_written_waits(
    tmp_path: Path, endless: Path, sent: signal.Signals
) -> None:
    pipe, shot, state = tmp_path / "pipe", tmp_path / "s.png", tmp_path / "s.npz"
    os.mkfifo(pipe)
    options = ("--screenshot", shot, "--stats", pipe, "--save-state", state)
    child = Child("run", endless, "--headless", "--frames", 5, *options, cwd=tmp_path)
    child.wait_for(shot.exists)  # the pipe is next, and has no reader
    time.sleep(0.2)
    child.send(sent)
    assert json.loads(pipe.read_text())["totals"]["frames"] == 5
    status, out, err = child.end()
    assert (status, err) == (128 + sent, "")
    assert "frame" in out  # the table of the statistics
    assert state.exists()


@pytest.mark.parametrize("sent", [signal.SIGINT])
def test_a_second_one_cuts_writing_short(
    tmp_path: Path, endless: Path, sent: signal.Signals
) -> None:
    pipe, shot = tmp_path / "pipe", tmp_path / "s.png"
    os.mkfifo(pipe)
    options = ("--screenshot", shot, "--stats", pipe, "--save-state", "s.npz")
    child = Child("run", endless, *HEADLESS, *options, cwd=tmp_path)
    child.wait_for_line("running")
    child.send(sent)
    child.wait_for(shot.exists)
    time.sleep(1.3)
    child.send(sent, sent, gap=1.3)
    status, _, err = child.end()
    assert (status, err) == (128 + sent, "")
    Image.open(shot).load()


@pytest.mark.parametrize(
    ("delay", "sent"), list(zip((0.0, 0.1, 0.2, 0.4, 0.6), cycle(SIGNALS), strict=False))
)
def test_before_the_first_frame_nothing_is_said(
    tmp_path: Path, endless: Path, delay: float, sent: signal.Signals
) -> None:
    """Python itself may still be starting, and what was there before stays."""
    (tmp_path / "s.npz").write_bytes(b"mine")
    child = Child("run", endless, *HEADLESS, "--save-state", "s.npz", cwd=tmp_path)
    time.sleep(delay)
    child.send(sent)
    status, out, err = child.end()
    assert status == 128 + sent or (status in (-sent, 1) and not out)
    assert "frames:" in out or (tmp_path / "s.npz").read_bytes() == b"mine"
    assert "in main" not in err


#: Where something never comes back, and what is replaced by that.
HANGS = {
    "in a service": "from vgaemu.pc.bios.keyboard import KeyboardBios as C\nname = 'service'\n",
    "between slices": "from vgaemu.pc.cpu.unicorn import UnicornCpu as C\nname = 'can_interrupt'\n",
}
HANG = """
import vgaemu.machine
vgaemu.machine.MACHINE_CODE_STOPS_S = 0.5
def hang(*args):
    print('running', flush=True)
    while True: pass
setattr(C, name, hang)
"""


@pytest.mark.parametrize("where", HANGS)
@pytest.mark.parametrize("display", ["", "dummy"])
def test_machine_code_that_never_comes_back(tmp_path: Path, where: str, display: str) -> None:
    """A single signal ends it; a window closes, and no thread crashes at the end."""
    pytest.importorskip("unicorn")
    image = tmp_path / "keys.img"  # sti; again: mov ah, 2; int 16h; jmp again
    image.write_bytes(bytes.fromhex("FB B402 CD16 EBFA").ljust(510, b"\0") + b"\x55\xaa")
    how = [] if display else HEADLESS
    child = Child(
        "run", image, *how, "--screenshot", "s.png", cwd=tmp_path, display=display,
        before=HANGS[where] + HANG,
    )  # fmt: skip
    child.wait_for_line("running")
    time.sleep(0.3)
    child.send(signal.SIGTERM)
    status, _, err = child.end()
    assert (status, err) == (0 if display else 128 + signal.SIGTERM, "")
    Image.open(tmp_path / "s.png").load()


TELLS_OF_FRAMES = """
from vgaemu.display.loop import DisplayLoop
draw = DisplayLoop.draw_frame
def draw_frame(self):
    print('frame', self.frames, flush=True)
    return draw(self)
DisplayLoop.draw_frame = draw_frame
"""


def test_a_replay_leaves_its_picture_so_far(tmp_path: Path) -> None:
    tape = tmp_path / "long.tape"
    lines = ['{"name": "long"}', *['["fill", 753664, 4000, 65]'] * 100_000]
    tape.write_text("\n".join(lines) + "\n")
    options = ("--per-frame", 1, "--screenshot", "s.png", "--readbacks", "r.json")
    child = Child("replay", tape, *options, cwd=tmp_path, before=TELLS_OF_FRAMES)
    child.wait_for_line("frame 10")
    child.send(signal.SIGHUP)
    status, _, err = child.end()
    assert (status, err) == (128 + signal.SIGHUP, "")
    Image.open(tmp_path / "s.png").load()
    assert json.loads((tmp_path / "r.json").read_text())["name"] == "long"


def test_a_receive_that_is_stopped_keeps_the_guest(tmp_path: Path) -> None:
    """It is nowhere else, and nobody wanted it to end; before it has come there is nothing."""
    pytest.importorskip("unicorn")
    image = ROOT / "examples" / "guests" / "snake.img"
    listen = ("receive", image, "--listen", "127.0.0.1:0", *HEADLESS)
    waiting, child = (Child(*listen, cwd=tmp_path) for _ in range(2))
    waiting.wait_for_line("listening")
    waiting.send(signal.SIGTERM)
    assert waiting.end() == (128 + signal.SIGTERM, "", "")
    address = child.wait_for_line("listening").split()[-1]
    source = Child("run", image, *HEADLESS, "--migrate-to", address, cwd=tmp_path)
    child.wait_for_line("received")
    child.send(signal.SIGHUP)
    status, _, err = child.end()
    assert source.end()[0] == 0
    assert status == 128 + signal.SIGHUP
    again = f"vgaemu run {image} --load-state vgaemu-001.npz"
    assert err == f"vgaemu: receive: stopped, the guest is in vgaemu-001.npz: '{again}'\n"
    state = tmp_path / "vgaemu-001.npz"
    assert main(["run", str(image), "--headless", "--frames", "3", "--load-state", str(state)]) == 0


def test_a_receive_saves_the_state_it_was_asked_for(tmp_path: Path, endless: Path) -> None:
    options = ("--save-state", "s.npz", "--screenshot", "s.png")
    child = Child("receive", endless, "--listen", "127.0.0.1:0", *HEADLESS, *options, cwd=tmp_path)
    address = child.wait_for_line("listening").split()[-1]
    source = Child("run", "typing", *HEADLESS, "--migrate-to", address, cwd=tmp_path)
    child.wait_for_line("received")
    child.wait_for_line("running")
    child.send(signal.SIGTERM)
    assert child.end() == (128 + signal.SIGTERM, "", "")
    assert source.end()[0] == 0
    left = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert left == {"s.npz", "s.png", "endless.py"}


#: The tour's 2251 frames take 20 s at least, on whatever machine.
SLOW = """
import time, vgaemu.cli.bench, vgaemu.machine
from vgaemu.display.loop import DisplayLoop
draw = DisplayLoop.draw_frame
DisplayLoop.draw_frame = lambda self: (time.sleep(0.01), draw(self))[1]
print("running", flush=True)
"""


@pytest.mark.parametrize("command", [["bench", "harvest", "--json", "r.json"], []], ids=" ".join)
def test_others_just_end(tmp_path: Path, command: list[str]) -> None:
    """Nothing half-done stays: a bench has no medians yet, the tour's sheet is not full."""
    child = Child(*command, cwd=tmp_path, before=SLOW)
    child.wait_for_line("running")
    time.sleep(1)
    child.send(signal.SIGTERM)
    assert child.end() == (128 + signal.SIGTERM, "", "")
    assert not list(tmp_path.iterdir())


def test_what_is_raised_where_exceptions_are_ignored_is_raised_again() -> None:
    class Interrupted:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    def run() -> None:
        Interrupted()
        for _ in range(1000):
            time.sleep(0.01)

    with pytest.raises(Stopped), stops_raise():
        run()


def test_what_comes_in_an_import_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules in C, such as numpy's, make another error of it."""
    (tmp_path / "makes_another_error.py").write_text(
        "import signal\ntry:\n    signal.raise_signal(signal.SIGTERM)\n"
        "except BaseException:\n    raise ImportError('no datetime') from None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def run() -> None:
        importlib.import_module("makes_another_error")
        for _ in range(1000):
            time.sleep(0.01)

    with pytest.raises(Stopped), stops_raise():
        run()


def test_many_frames_change_the_handlers_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a script, where nobody takes signals."""
    calls = []

    def counted(*words: Any) -> Any:
        calls.append(words)
        return change(*words)

    change = signal.signal
    before = change(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(signal, "signal", counted)
        with Machine(ROOT / "examples" / "guests" / "snake.img") as machine:
            machine.tick(10)
            assert len(calls) == 2
            machine.between_frames.append(lambda: signal.raise_signal(signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                machine.tick(10)
            assert machine.frames == 11
        assert len(calls) == 4
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        change(signal.SIGINT, before)


def test_who_takes_a_signal_while_a_machine_runs_keeps_it() -> None:
    def mine(number: int, frame: object) -> None: ...

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Machine() as machine:
            machine.between_frames.append(lambda: signal.signal(signal.SIGINT, mine))
            machine.tick()
            assert signal.getsignal(signal.SIGINT) is mine
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_import_that_hangs_ends(tmp_path: Path) -> None:
    (tmp_path / "hangs.py").write_text("print('running', flush=True)\nwhile True: pass\n")
    child = Child("run", tmp_path / "hangs.py", *HEADLESS, cwd=tmp_path)
    child.wait_for_line("running")
    child.send(signal.SIGTERM)
    assert child.end()[0] == 128 + signal.SIGTERM


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")
def test_ctrl_c_ends_a_benchmark_before_its_x_server(tmp_path: Path) -> None:
    """A terminal's reaches all that was started from it; Xlib ends who has lost the server."""
    child = Child("bench", "frame", "--runs", "1", cwd=tmp_path, before=TELLS_OF_THE_FIRST)
    child.wait_for_line("a window")
    os.killpg(child.process.pid, signal.SIGINT)
    status, _, err = child.end()
    assert (status, err) == (130, "")
