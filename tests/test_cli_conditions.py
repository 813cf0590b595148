"""Commands where the interpreter, the streams, the folder or the user are not what one expects.

A process for each interpreter; in it one is forked for each command, so that imports are paid once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="forks, closes, and gives up rights")

#: A name that needs quotes, and that ASCII has not.
NAME = "m\u00fd g\u00fcest \u263a"
GUEST = """
def workload(guest):
    guest.text.print('\u2554\u2550\u263a\u00e4')
    yield
    return 3
"""
#: Commands, and whether they print.
COMMANDS: tuple[tuple[list[str], bool], ...] = (
    (["run", f"{NAME}.py", "--headless"], True),
    (["run", "--print-conf", "--conf", f"{NAME}.toml", "--screenshot", f"{NAME}.png"], True),
    (["list"], True),
    (["info"], True),
    (["replay", f"{NAME}.tape", "--headless"], False),
    (["bench", "start", "--runs", "1"], True),
    (["bench", "--help"], True),
)
#: Runs each command with each change of its streams; its status, what it wrote to stdout and to
#: stderr go to the report.
DRIVER = """
import json, os, pathlib, sys
import vgaemu.display.window.sdl
from vgaemu.bench import start
from vgaemu.cli import info, main, playback, session
from vgaemu.guest.find import bundled
from vgaemu.machine import Machine

bundled()
Machine("typing").tick()
start.measure = lambda runs: [{"a": 1.0}]
commands, streams, report, user = json.loads(os.fsencode(sys.argv[1]))
commands = [[os.fsdecode(word.encode()) for word in words] for words in commands]

def nothing(stream, name):
    os.close(stream)
    setattr(sys, name, None)  # as Python begins without it

def full():
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)

def gone():
    ours, theirs = os.pipe()
    os.close(ours)
    os.dup2(theirs, 1)

CHANGES = {
    "0": lambda: nothing(0, "stdin"), "1": lambda: nothing(1, "stdout"),
    "2": lambda: nothing(2, "stderr"), "full": full, "gone": gone,
}

def run(words, change, user):
    child = os.fork()
    if child == 0:
        for stream in (1, 2):
            os.dup2(os.open(f"{report}.{stream}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        if user:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        for one in change.split():
            CHANGES[one]()
        sys.argv[1:] = words
        try:
            status = main.main()
        except SystemExit as stop:
            status = stop.code
        if sys.stdout is not None:
            sys.stdout.flush()  # as Python does it, but for taking apart all that there is
        os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, *(pathlib.Path(f"{report}.{n}").read_text("latin-1") for n in (1, 2))

if user:  # what is imported later may lie where this user cannot read
    null, out = os.open(os.devnull, os.O_WRONLY), os.dup(1)
    os.dup2(null, 1)
    for command in commands:
        try:
            main.main(command)
        except SystemExit:
            pass
    sys.stdout.flush()
seen = [[run(words, change, user) for words in commands] for change in streams]
pathlib.Path(report).write_text(json.dumps(seen))
"""
FULL = "vgaemu: standard output: No space left on device\n"
#: Changes of streams, the status of what prints, and what it says of them.
STREAMS = {
    "0": (0, ""), "1": (0, ""), "2": (0, ""), "0 1 2": (0, ""), "gone": (0, ""),
    **({"full": (1, FULL)} if os.path.exists("/dev/full") else {}),
}  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    """One whose path has a space and what is not ASCII, which everybody may read."""
    with tempfile.TemporaryDirectory() as outer:
        os.chmod(outer, 0o755)
        folder = Path(outer, NAME)
        folder.mkdir()
        (folder / f"{NAME}.py").write_text(GUEST, "utf-8")
        (folder / f"{NAME}.toml").write_text(f'font = "{NAME}"', "utf-8")
        (folder / f"{NAME}.tape").write_text('{"name": "t"}\n["rn", 655360, 5]\n')
        yield folder


def results(
    folder: Path,
    flags: Sequence[str] = (),
    env: Mapping[str, str] = {},
    streams: Sequence[str] = ("",),
    user: int = 0,
) -> list[list[tuple[int, str, str]]]:
    """Status, stdout and stderr of each command in a folder, for each change of those streams."""
    with tempfile.TemporaryDirectory() as scratch:
        report = f"{scratch}/report"
        words = [words for words, _ in COMMANDS]
        done = subprocess.run(
            [sys.executable, *flags, "-c", DRIVER, json.dumps([words, streams, report, user])],
            cwd=folder, capture_output=True, text=True, timeout=60,
            env={
                **os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **env,
                "OPENBLAS_NUM_THREADS": "1",  # -W error: Python 3.12 warns of forks beside threads
                "SDL_VIDEODRIVER": "dummy", "HOME": str(folder), "XDG_CONFIG_HOME": "",
            },
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        seen: list[list[tuple[int, str, str]]] = json.loads(Path(report).read_text())
        assert [len(one) for one in seen] == [len(COMMANDS)] * len(streams)
        return seen


def check(seen: list[tuple[int, str, str]]) -> None:
    """All have printed what they should, and complained of nothing."""
    assert [(status, err) for status, _, err in seen] == [(0, "")] * len(COMMANDS)
    assert [bool(out) for _, out, _ in seen] == [prints for _, prints in COMMANDS]
    ran, printed = seen[0][1], seen[1][1]
    assert "exit code 3" in ran
    values = tomllib.loads(printed)["run"]
    assert values == {"font": NAME, "screenshot": f"{NAME}.png"}


def test_commands_optimised_and_in_ascii(folder: Path) -> None:
    ascii_ = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PATH": ""}
    check(*results(folder, ["-O"], ascii_ | {"PYTHONIOENCODING": "ascii:strict"}))


def test_commands_of_a_normal_user_who_may_write_nowhere(folder: Path) -> None:
    user = 65534 if os.geteuid() == 0 else 0
    own = folder / ".config"
    own.mkdir(mode=0)  # of somebody else: what is in there is not known
    folder.chmod(0o555)
    try:
        check(*results(folder, user=user))
    finally:
        folder.chmod(0o755)
        own.rmdir()
    left = {path.name for path in folder.iterdir()} - {"__pycache__"}
    assert len(left) == 3


def test_commands_where_warnings_are_errors_and_with_other_streams(folder: Path) -> None:
    usual, *others = results(folder, ["-W", "error", "-bb"], streams=["", *STREAMS])
    check(usual)
    for (change, (status, complaint)), one in zip(STREAMS.items(), others, strict=True):
        expected = [(status, complaint) if prints else (0, "") for _, prints in COMMANDS]
        assert [(status, err) for status, _, err in one] == expected, change


def test_no_file_takes_the_place_of_a_stream_that_is_closed(tmp_path: Path) -> None:
    """What a library in C has to say lands in no tape."""
    program, tape = tmp_path / "noisy.py", tmp_path / "a.tape"
    program.write_text(
        "import os\ndef workload(guest):\n    yield\n"
        "    for stream in (1, 2):\n        os.write(stream, b'noise')\n"
    )
    run = ["run", str(program), "--headless", "--record-tape", str(tape)]
    subprocess.run(
        ["/bin/sh", "-c", '"$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "vgaemu", *run],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}, timeout=60, check=True,
    )  # fmt: skip
    assert b"noise" not in tape.read_bytes()
