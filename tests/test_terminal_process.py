"""The terminal display in processes: what it leaves behind, and tmux as a terminal of others.

Each `Process` is a Python on a pseudo-terminal; tmux has a server of its own, which ends with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.vt import Terminal
from vgaemu.cli.main import main

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="no tmux (package tmux)")

#: A guest that shows what is typed, and how.
GUEST = """
def workload(guest):
    print("said by the guest")
    guest.text.print("ready")
    row = 3
    while True:
        while (key := guest.keys.get()) is not None:
            if key.pressed:
                guest.text.write_at(0, row, f"<{key.name}>", 0x1E)
                row = row % 23 + 1
        yield
"""
SCRIPT = """
import sys, vgaemu
with vgaemu.Machine(display="terminal") as machine:
    machine.guest.text.print("ready")
    print("said meanwhile")
    machine.run(5)
    {then}
print("after")
"""


def wait_for(holds: Callable[[], object], what: str) -> None:
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until, f"{what} did not come within 10 s"
        time.sleep(0.02)


class Process:
    """A Python whose terminal is ours."""

    def __init__(self, *arguments: str, cwd: Path) -> None:
        self.terminal = Terminal(26, 80)
        slave = self.terminal.slave
        self.process = subprocess.Popen(
            [sys.executable, *arguments], stdin=slave, stdout=slave, stderr=slave, cwd=cwd,
            env=os.environ | {"TERM": "xterm-256color"},
        )  # fmt: skip

    def wait_for(self, text: str) -> None:
        def shown() -> bool:
            self.terminal.drain()
            return any(text in row for row in self.terminal.vt.text())

        wait_for(shown, repr(text))

    def end(self) -> int:
        """Wait for its end; the terminal must read meanwhile."""
        wait_for(lambda: self.drain_raw() or self.process.poll() is not None, "its end")
        self.drain_raw()
        return self.process.wait(1)

    left = b""

    def drain_raw(self) -> None:
        """What comes after the display has left is plain text with line ends."""
        vt = self.terminal.vt
        feed, vt.feed = vt.feed, lambda data: None  # type: ignore[method-assign]
        self.left += self.terminal.drain()
        vt.feed = feed  # type: ignore[method-assign]

    @property
    def after(self) -> str:
        """What was printed once the terminal was as before."""
        return self.left.rpartition(b"\x1b[23;2t")[2].decode().replace("\r\n", "\n")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.terminal.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    started = []

    def start(*arguments: str) -> Process:
        started.append(Process(*arguments, cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.close()


LEFT = b"\x1b[?2004l\x1b[?7h\x1b[0m\x1b[0 q\x1b[?25h\x1b[?1049l\x1b[23;2t"


def test_a_machine_that_nobody_closes_leaves_the_terminal_at_the_end(
    start: Callable[..., Process],
) -> None:
    process = start("-c", "import vgaemu; machine = vgaemu.Machine(display='terminal')")
    assert process.end() == 0
    assert LEFT in process.left
    assert termios.tcgetattr(process.terminal.slave) == process.terminal.modes


@pytest.mark.parametrize(
    ("then", "status", "said"),
    [
        ("raise ValueError('a mistake')", 1, "ValueError: a mistake"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, "said meanwhile"),
    ],
    ids=["raises", "is killed"],
)
def test_a_script_leaves_the_terminal_as_it_was(
    start: Callable[..., Process], then: str, status: int, said: str
) -> None:
    process = start("-c", SCRIPT.format(then=then))
    assert process.end() == status
    assert LEFT in process.left
    assert process.after.startswith("said meanwhile\n")
    assert said in process.after
    assert termios.tcgetattr(process.terminal.slave) == process.terminal.modes


def test_a_run_that_is_stopped_leaves_its_table_on_the_terminal(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    (tmp_path / "guest.py").write_text(GUEST)
    process = start("-m", "vgaemu", "run", "guest.py", "--display", "terminal")
    process.wait_for("ready")
    assert process.terminal.is_raw
    process.terminal.type("aé".encode() + b"\x1b[A\x03")
    for name in ("<a>", "<é>", "<up>", "<c>"):
        process.wait_for(name)
    process.process.send_signal(signal.SIGTERM)
    assert process.end() == 0
    assert process.after.startswith("said by the guest\n")
    assert "harvest" in process.after


def test_without_a_terminal_there_is_one_line_and_status_2(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["run", "typing", "--display", "terminal"]) == 2
    assert capfd.readouterr() == (
        "",
        "vgaemu: --display terminal: standard output is no terminal; use --display window, "
        "or --headless\n",
    )


class Tmux:
    """A tmux of one window, with a shell in it."""

    def __init__(self, folder: Path, rows: int, columns: int) -> None:
        self._socket = str(folder / "tmux")
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        shell = f"PS1='$ ' {shutil.which('sh')}"
        subprocess.run(
            ["tmux", "-u", "-S", self._socket, "-f", "/dev/null", "new-session", "-d",
             "-x", str(columns), "-y", str(rows), "-c", str(folder), shell],
            check=True, timeout=10, env=environment,
        )  # fmt: skip

    def __call__(self, *arguments: str) -> str:
        ran = subprocess.run(
            ["tmux", "-u", "-S", self._socket, *arguments], check=True, timeout=10,
            capture_output=True,
        )  # fmt: skip
        return ran.stdout.decode()

    def rows(self) -> list[str]:
        return self("capture-pane", "-p").splitlines()

    def wait_for(self, text: str) -> None:
        wait_for(lambda: any(text in row for row in self.rows()), repr(text))

    def close(self) -> None:
        self("kill-server")


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    tmux = Tmux(tmp_path, 26, 80)
    yield tmux
    tmux.close()


@needs_tmux
def test_in_tmux(tmux: Tmux, tmp_path: Path) -> None:
    """Text, colours, keys, another size, the shell and back, and what is left."""
    (tmp_path / "guest.py").write_text(GUEST)
    run = f"{sys.executable} -m vgaemu run guest.py --display terminal --dump-text seen.txt"
    tmux("send-keys", f"echo before; {run}", "Enter")
    tmux.wait_for("ready")
    tmux("send-keys", "hé", "F5", "M-x", "C-c", "PageUp", "C-]", "C-]")
    for name in ("<h>", "<é>", "<f5>", "<alt>", "<x>", "<c>", "<pageup>", "<]>"):
        tmux.wait_for(name)
    # Yellow on blue.
    assert "\x1b[93m\x1b[44m<h>" in tmux("capture-pane", "-p", "-e")
    shown = tmux.rows()
    tmux("resize-window", "-x", "60", "-y", "12")
    tmux.wait_for("text 80x25 - rows")
    tmux("resize-window", "-x", "80", "-y", "26")
    tmux.wait_for("Ctrl+] q quits - text 80x25")
    wait_for(lambda: tmux.rows() == shown, "the same picture")
    tmux("send-keys", "C-]", "z")
    tmux.wait_for("before")
    tmux("send-keys", "fg", "Enter")
    wait_for(lambda: tmux.rows() == shown, "the same picture again")
    tmux("send-keys", "C-]", "q")
    tmux.wait_for("harvest")
    tmux("send-keys", "echo status $?; stty -a | grep -q ' icanon' && echo coo''ked", "Enter")
    tmux.wait_for("status 0")
    tmux.wait_for("cooked")
    text = (tmp_path / "seen.txt").read_text("utf-8").splitlines()
    assert [row.rstrip() for row in text] == [row.rstrip() for row in shown[: len(text)]]
