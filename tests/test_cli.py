"""The command line: what it writes, and one clear line for every mistake."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vgaemu import __version__
from vgaemu.cli.main import main
from vgaemu.errors import DisplayError

pytestmark = pytest.mark.turns(2)


def run(capsys, *arguments):
    """Exit status, stdout and stderr of a command."""
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"line {i}\n" for i in range(60)))
    return str(path)


def test_version_is_a_constant(capsys):
    assert run(capsys, "--version") == (0, f"vgaemu {__version__}\n", "")


def test_a_headless_run_writes_picture_text_and_statistics(capsys, tmp_path, text_file):
    shot, dump, stats = tmp_path / "o.png", tmp_path / "o.txt", tmp_path / "o.json"
    status, out, err = run(
        capsys, "run", "cat", text_file, "--headless", "--frames", "300",
        "--screenshot", str(shot), "--dump-text", str(dump), "--stats", str(stats),
        "--stats-frames",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "harvest" in out
    assert shot.read_bytes().startswith(b"\x89PNG")
    assert "line 59" in dump.read_text()
    written = json.loads(stats.read_text())
    assert set(written["harvest_ns"]) == {"p50", "p90", "p99", "max"}
    assert written["totals"]["frames"] == len(written["frames"]) == 61
    assert written["workload"] == "cat"


def test_two_dirty_logs_are_compared_in_table_and_statistics(capsys, tmp_path, text_file):
    stats = tmp_path / "o.json"
    status, out, err = run(
        capsys, "run", "cat", text_file, "--headless", "--compare", "srcu,words", "--stats",
        str(stats), "--stats-frames",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:4]] == ["harvest", "srcu", "words"]
    written = json.loads(stats.read_text())
    assert written["dirty_log"] == "srcu+words"
    assert {name: keeper["frames"] for name, keeper in written["keepers"].items()} == {
        "srcu": 61, "words": 61,
    }  # fmt: skip
    works = [keeper["work"] for keeper in written["keepers"].values()]
    assert works[0]["grace_periods"] == works[0]["flushes"] == works[1]["flushes"] > 0
    assert works[1]["grace_periods"] == 0
    assert {"harvest_srcu_ns", "harvest_words_ns", "work"} < set(written["frames"][0])


def test_list_names_every_bundled_workload(capsys):
    status, out, _ = run(capsys, "list")
    assert status == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert {"cat", "picture", "typing", "sprites", "plasma", "life"} <= set(names)


def test_list_says_where_machine_code_lies_and_how_to_run_it(capsys, tmp_path, monkeypatch):
    _, out, _ = run(capsys, "list")
    command = re.search(r"^Machine code, in .*: 'vgaemu (run .*)'", out, re.MULTILINE)[1].split()
    assert run(capsys, *command, "--headless", "--frames", "2")[0] == 0
    guests = Path(__file__).parent.parent / "examples" / "guests"
    names = {file.name for file in guests.iterdir() if file.suffix in (".img", ".com")}
    assert names <= {line.split()[0] for line in out.splitlines() if len(line.split()) > 3}
    monkeypatch.chdir(tmp_path)
    assert f"run {guests / 'snake.img'}" in run(capsys, "list")[1]


def test_info_names_versions_and_keepers(capsys):
    status, out, _ = run(capsys, "info")
    assert status == 0
    assert __version__ in out
    assert "dirty log: flags, " in out


MISTAKES = {
    "unknown workload": (["run", "plasmo", "--headless"], "did you mean plasma"),
    "missing file": (["run", "cat", "no/such/file", "--headless"], "no/such/file: No such file"),
    "missing argument": (["run", "cat", "--headless"], "usage: cat FILE"),
    "too many arguments": (["run", "plasma", "a", "b", "--headless"], "plasma"),
    "endless without frames": (["run", "typing", "--headless"], "--frames N"),
    "frames": (["run", "typing", "--frames", "0"], "'0' is not a whole number"),
    "scale": (["run", "typing", "--scale", "x"], "'x' is not a whole number"),
    "speed": (["run", "typing", "--speed", "-1"], "from 0 to 1000"),
    "span pages": (["run", "typing", "--span-pages", "7"], "--span-pages"),
    "dirty log": (
        ["run", "typing", "--headless", "--frames", "1", "--dirty-log", "x"],
        "there are: flags, ",
    ),
    "an unknown keeper to compare": (
        ["run", "typing", "--headless", "--frames", "1", "--compare", "srcu,wrods"],
        "--compare: no dirty log named 'wrods'; there are: flags, ",
    ),
    "one to compare": (
        ["run", "typing", "--headless", "--frames", "1", "--compare", "words,words"],
        "--compare words,words: name two different ones",
    ),
    "one keeper and two": (
        ["run", "typing", "--dirty-log", "srcu", "--compare", "srcu,words"],
        "--dirty-log and --compare: take one of them",
    ),
    "keys": (["run", "typing", "--headless", "--frames", "1", "--keys", "a"], "FRAME:KEY"),
    "a number of many digits": (
        ["replay", "x.tape", "--per-frame", "9" * 20], "--per-frame: a number of 20 characters"
    ),
    "a frame of many digits": (
        ["run", "typing", "--headless", "--frames", "1", "--keys", "9" * 5000 + ":a"],
        "FRAME:KEY",
    ),
    "no such key": (["run", "typing", "--headless", "--frames", "1", "--keys", "3:bang"], "bang"),
    "workload file": (["run", "nowhere/my.py", "--headless"], "nowhere/my.py: no such file"),
    "unwritable": (
        ["run", "typing", "--headless", "--frames", "1", "--stats", "no/dir/s.json"],
        "no/dir/s.json: No such file or directory",
    ),
    "picture format": (
        ["run", "typing", "--headless", "--frames", "1", "--screenshot", "shot.nope"],
        "use .png",
    ),
    "picture format that is only read": (
        ["run", "typing", "--headless", "--frames", "1", "--screenshot", "shot.psd"],
        "--screenshot shot.psd: no picture format",
    ),
    "picture format without colours": (
        ["run", "typing", "--headless", "--frames", "1", "--screenshot", "shot.xbm"],
        "--screenshot shot.xbm: pictures cannot be written so",
    ),
    "neither name nor path": (["run", "mine", "--headless"], "a file is named with its suffix"),
    "a name too long": (["run", f"./{'a' * 300}.py", "--headless"], "File name too long"),
    "machine code only": (
        ["run", "plasma", "--headless", "--frames", "1", "--cpu", "kvm", "--trace-ports", "t",
         "--debugcon", "d"],
        "--cpu, --trace-ports, --debugcon: only for machine code",
    ),
    "upscaling for nothing": (
        ["run", "typing", "--headless", "--frames", "1", "--upscaled"], "--screenshot F.png"
    ),
    "rows for nothing": (
        ["run", "typing", "--headless", "--frames", "1", "--stats-frames"], "--stats F.json"
    ),
    "one file twice": (
        ["run", "typing", "--headless", "--frames", "1", "--screenshot", "a.png",
         "--dump-palette", "a.png"],
        "--dump-palette a.png: --screenshot is the same file",
    ),
    "how to migrate, and not where to": (
        ["run", "typing", "--headless", "--frames", "1", "--downtime", "5", "--when-stuck", "stop"],
        "--downtime, --when-stuck: say with --migrate-to HOST:PORT where to",
    ),
    "headless in a window": (
        ["run", "typing", "--headless", "--display", "window"], "take one of them"
    ),
    "what is not printed": (
        ["run", "typing", "--headless", "--frames", "1", "--stats", "-", "--dump-text", "-"],
        "--dump-text -: only --dump-registers, --debugcon, --serial and --printer print",
    ),
    "text in a picture": (
        ["run", "disk.img", "--display", "terminal", "--debugcon", "-"],
        "--debugcon -: the picture is in the terminal; name a file",
    ),
    "no keys": (["run", "typing", "--headless", "--frames", "1", "--keys", ""], "--keys"),
    "registers swallowed the workload": (
        ["run", "--headless", "--dump-registers", "plasma"], "took the word behind it"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_clear_line_and_status_2(capsys, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    arguments, hint = MISTAKES[name]
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert hint in err
    assert "Traceback" not in err
    assert err.startswith("vgaemu")
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_dumping_the_text_of_a_graphics_mode_is_refused_in_one_line(capsys, tmp_path):
    status, _, err = run(
        capsys, "run", "plasma", "--headless", "--frames", "2", "--dump-text", str(tmp_path / "t")
    )
    assert status == 2
    assert "graphics mode" in err


def test_a_failing_guest_shows_its_own_traceback_and_keeps_the_screen(capsys, tmp_path):
    program = tmp_path / "broken.py"
    program.write_text(
        "def workload(guest):\n    guest.text.print('kept')\n    yield\n    helper()\n\n"
        "def helper():\n    raise KeyError('mine')\n"
    )
    dump = tmp_path / "t.txt"
    status, _, err = run(capsys, "run", str(program), "--headless", "--dump-text", str(dump))
    assert status == 1
    assert "KeyError: 'mine'" in err
    assert "broken.py" in err
    assert "machine.py" not in err
    assert "kept" in dump.read_text()


def test_the_window_of_a_failing_guest_stays(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    program, stats = tmp_path / "broken.py", tmp_path / "s.json"
    program.write_text("def workload(guest):\n    yield\n    raise KeyError('mine')\n")
    options = ("--display", "window", "--frames", "9", "--stats", str(stats))
    status, _, err = run(capsys, "run", str(program), *options)
    assert status == 1
    assert "KeyError: 'mine'" in err
    assert json.loads(stats.read_text())["totals"]["frames"] == 9


def test_what_can_be_written_is_written_whatever_else_fails(capsys, tmp_path):
    text, stats, state = (tmp_path / name for name in ("t.txt", "s.json", "s.npz"))
    status, out, err = run(
        capsys, "run", "plasma", "--headless", "--frames", "2", "--dump-text", str(text),
        "--stats", str(stats), "--save-state", str(state),
    )  # fmt: skip
    assert status == 2
    assert err.count("\n") == 1
    assert "harvest" in out
    assert stats.exists()
    assert state.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is not here")
@pytest.mark.parametrize("option", ["--stats", "--dump-text", "--dump-registers"])
def test_a_full_disk_is_one_line(capsys, option):
    status, out, err = run(
        capsys, "run", "typing", "--headless", "--frames", "2", option, "/dev/full"
    )
    assert status == 2
    assert err == f"vgaemu: {option} /dev/full: No space left on device\n"
    assert "harvest" in out


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is not here")
@pytest.mark.parametrize("command", ["--version", "list", "receive --headless --listen :0"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_to_a_full_disk_is_one_line(command, unbuffered):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "vgaemu", *command.split()], stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=60,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "vgaemu: standard output: No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="closes a file descriptor as a shell does")
def test_a_run_without_standard_error(tmp_path):
    stats = tmp_path / "s.json"
    command = [sys.executable, "-m", "vgaemu", "run", "typing", "--headless", "--frames", "2"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", *command, "--stats", str(stats)],
        stdout=subprocess.PIPE, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0
    assert "harvest" in done.stdout
    assert stats.exists()


@pytest.mark.skipif(os.name != "posix", reason="closes a pipe")
def test_a_reader_who_has_gone_changes_no_status(tmp_path):
    program = tmp_path / "broken.py"
    program.write_text("def workload(guest):\n    yield\n    raise KeyError('mine')\n")
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [sys.executable, "-m", "vgaemu", "run", str(program), "--headless"], stdout=theirs,
        stderr=subprocess.PIPE, text=True, timeout=60,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    os.close(theirs)
    assert done.returncode == 1
    assert "KeyError: 'mine'" in done.stderr


@pytest.mark.parametrize(
    "command",
    ["replay t.tape --readbacks", "replay t.tape --screenshot", "bench start --runs 1 --json", ""],
)
def test_a_full_disk_is_one_line_of_every_command(capsys, tmp_path, monkeypatch, command):
    monkeypatch.setattr("vgaemu.bench.start.ROUNDS", 2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    assert (
        run(capsys, *["run", "typing", "--headless", "--frames", "2", "--record-tape", "t.tape"])[0]
        == 0
    )
    (tmp_path / "tour.png").symlink_to("/dev/full")
    status, out, err = run(capsys, *command.split(), *(["tour.png"] if command else []))
    assert status == 2
    assert ("headless frame" in out) == command.startswith("bench")  # minutes are not lost
    assert err == "vgaemu: tour.png: No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="no such signals")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_what_it_was_asked_for(tmp_path, sent):
    program, stats = tmp_path / "endless.py", tmp_path / "s.json"
    program.write_text(
        "def workload(guest):\n    yield\n    print('running', flush=True)\n"
        "    while True:\n        yield\n"
    )
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from vgaemu.cli.main import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "run", str(program), "--headless"]
    options = ["--frames", "1000000000", "--stats", str(stats)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(sent)
        assert process.wait(30) == 128 + sent
    assert json.loads(stats.read_text())["totals"]["frames"] > 0


def test_a_link_to_nothing_yet_stays(capsys, tmp_path):
    link = tmp_path / "link.png"
    link.symlink_to("missing.png")
    assert run(capsys, "run", "typing", "--headless", "--screenshot", str(link))[0] == 2
    assert link.is_symlink()
    arguments = ("run", "typing", "--headless", "--frames", "1", "--screenshot", str(link))
    assert run(capsys, *arguments)[0] == 0
    assert (tmp_path / "missing.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
def test_links_in_a_circle_are_one_line(capsys, tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to("link.json")
    arguments = ("run", "typing", "--headless", "--frames", "1", "--stats", str(link))
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert err.endswith("symbolic links; name a file that can be written\n")


FINALLY = """
def workload(guest):
    try:
        while True:
            guest.text.print('x')
            yield
    finally:
        {last}
"""


@pytest.mark.parametrize(
    ("last", "expected"), [("guest.text.print('end')", 0), ("raise KeyError('mine')", 1)]
)
def test_what_a_guest_does_at_its_end(capsys, tmp_path, last, expected):
    program, state = tmp_path / "fin.py", tmp_path / "s.npz"
    program.write_text(FINALLY.format(last=last))
    status, out, err = run(
        capsys, "run", str(program), "--headless", "--frames", "3", "--save-state", str(state)
    )
    assert status == expected
    assert "harvest" in out
    assert state.exists()
    assert ("KeyError: 'mine'" in err) == bool(expected)
    assert "machine.py" not in err


def test_a_guest_that_lets_nothing_pass_does_not_hold_the_run_up(tmp_path):
    program = tmp_path / "deaf.py"
    program.write_text(
        "def workload(guest):\n    while True:\n        try:\n"
        "            guest.text.print('x')\n            yield\n"
        "        except BaseException:\n            pass\n"
    )
    command = [sys.executable, "-m", "vgaemu", "run", str(program), "--headless", "--frames", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0
    assert "harvest" in done.stdout


@pytest.mark.parametrize(("code", "expected"), [("", 0), ("3", 1), ("'no thanks'", 1)])
def test_a_guest_that_exits_has_ended(capsys, tmp_path, code, expected):
    program, dump = tmp_path / "leave.py", tmp_path / "t.txt"
    program.write_text(
        "import sys\ndef workload(guest):\n    guest.text.print('kept')\n    yield\n"
        f"    sys.exit({code})\n"
    )
    status, out, _ = run(capsys, "run", str(program), "--headless", "--dump-text", str(dump))
    assert status == expected
    assert "kept" in dump.read_text()
    assert "harvest" in out


#: How a guest ends, the exit status that ``--exit-code`` makes of it, and without it.
ENDS = {
    "pass": (0, 0), "return 7": (7, 0), "return 300": (44, 0), "return 'x'": (0, 0),
    "sys.exit(3)": (3, 1), "sys.exit(0)": (0, 0), "sys.exit('no thanks')": (1, 1),
    "raise KeyError": (1, 1), "while True: yield": (124, 0),
}  # fmt: skip


@pytest.mark.parametrize("window", [False, True], ids=["headless", "window"])
@pytest.mark.parametrize("end", ENDS)
def test_the_guests_exit_code_is_the_commands(capsys, tmp_path, monkeypatch, end, window):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    program = tmp_path / "ends.py"
    program.write_text(f"import sys\ndef workload(guest):\n    yield\n    {end}\n")
    command = ["run", str(program), "--frames", "20", *([] if window else ["--headless"])]
    for wanted, expected in zip((["--exit-code"], []), ENDS[end], strict=True):
        status, out, err = run(capsys, *command, *wanted)
        assert status == expected
        assert "harvest" in out  # a window's run has its table, too
        if "while" in end:
            said = f"vgaemu: {program}: not ended after 20 frames: no exit code\n"
            assert err == (said if wanted else "")
        if "exit" in end and wanted:
            assert err == ("vgaemu: the guest has ended: no thanks\n" if "thanks" in end else "")
        assert (": exit code " in out) == (ENDS[end][0] not in (0, 124) and "Traceback" not in err)


@pytest.mark.parametrize(("wanted", "expected"), [(["--exit-code"], 5), ([], 0)])
def test_the_exit_code_of_a_dos_program_is_the_commands(capsys, tmp_path, wanted, expected):
    pytest.importorskip("unicorn")
    program = tmp_path / "five.com"
    program.write_bytes(bytes.fromhex("B8054C CD21"))  # mov ax, 4C05h; int 21h
    status, out, _ = run(capsys, "run", str(program), "--headless", *wanted)
    assert status == expected
    assert out.endswith("five.com: exit code 5\n")


def test_a_workload_file_like_any_module(capsys, tmp_path, monkeypatch):
    (tmp_path / "neighbour_of_it.py").write_text("NAME = 'next door'\n")
    program, dump = tmp_path / "lazy.py", tmp_path / "t.txt"
    program.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass P:\n    x: int\n"
        "def workload(guest):\n    import neighbour_of_it\n"
        "    guest.text.print(neighbour_of_it.NAME + str(P(3)))\n    yield\n"
    )
    monkeypatch.setattr(sys, "path", sys.path.copy())
    status, _, err = run(capsys, "run", str(program), "--headless", "--dump-text", str(dump))
    assert (status, err) == (0, "")
    assert "next doorP(x=3)" in dump.read_text()


def test_what_follows_two_dashes_is_the_workloads(capsys, tmp_path):
    program, dump = tmp_path / "args.py", tmp_path / "t.txt"
    program.write_text(
        "def workload(guest, *args):\n    guest.text.print(' '.join(args))\n    yield\n"
    )
    status, _, err = run(
        capsys, "run", str(program), "one", "--headless", "--dump-text", str(dump),
        "--", "-5", "--frames", "x",
    )  # fmt: skip
    assert (status, err) == (0, "")
    assert "one -5 --frames x" in dump.read_text()


def test_progress_is_shown_on_a_terminal_only(tmp_path):
    pty = pytest.importorskip("pty")
    program = tmp_path / "slow.py"
    program.write_text(
        "import time\ndef workload(guest):\n"
        "    for _ in range(30):\n        time.sleep(0.02)\n        yield\n"
    )
    command = [sys.executable, "-m", "vgaemu", "run", str(program), "--headless", "--frames", "30"]
    main_end, terminal = pty.openpty()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, timeout=60)
    os.close(terminal)
    shown = os.read(main_end, 1 << 16).decode()
    os.close(main_end)
    assert done.returncode == 0
    assert " of 30 frames" in shown
    piped = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert piped.stderr == ""


def test_a_workload_file_that_fails_while_it_is_read_shows_its_own_traceback(capsys, tmp_path):
    program = tmp_path / "early.py"
    program.write_text("import math\nmath.sqrt(-1)\n")
    status, _, err = run(capsys, "run", str(program), "--headless")
    assert status == 1
    assert "ValueError: " in err
    assert "early.py" in err
    assert "workload.py" not in err


def test_arguments_may_follow_options(capsys, text_file):
    status, _, _ = run(capsys, "run", "cat", "--headless", text_file)
    assert status == 0
    status, _, err = run(capsys, "run", "cat", "--headless", text_file, "--nope")
    assert status == 2
    assert "--nope" in err


def test_output_that_existed_survives_a_wrong_command(capsys, tmp_path):
    kept = tmp_path / "kept.json"
    kept.write_text("precious")
    status, _, _ = run(capsys, "run", "plasmo", "--headless", "--stats", str(kept))
    assert status == 2
    assert kept.read_text() == "precious"


OVER_INPUTS = {
    "a state": ("run typing --headless --frames 1 --load-state {} --stats {}", "s.npz"),
    "a VGA BIOS": ("run disk.img --headless --frames 1 --vga-bios {} --stats {}", "rom.bin"),
    "the disk": ("run {} --headless --frames 1 --trace-ports {}", "disk.img"),
    "another name of the file": ("run cat {} --headless --stats link", "text.txt"),
    "the printed disk": ("run {} --headless --frames 1 --debugcon {}", "disk.img"),
    "another output": ("run disk.img --headless --frames 1 --stats a --trace-ports a", "disk.img"),
    "the tape": ("replay {} --readbacks {}", "t.tape"),
    "a disk that is sent": ("receive {} --headless --wait 1 --screenshot {}", "disk.img"),
    "both pictures": ("bench dirty-log --plot x.png --heatmap x.png", "text.txt"),
}


@pytest.mark.parametrize("what", OVER_INPUTS)
def test_nothing_is_written_over_what_is_read(capsys, tmp_path, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    command, name = OVER_INPUTS[what]
    kept = tmp_path / name
    kept.write_bytes(b"precious")
    (tmp_path / "link").hardlink_to(kept)
    status, out, err = run(capsys, *command.format(name, name).split())
    assert (status, out) == (2, "")
    assert err.endswith(" is the same file; name another\n")
    assert err.count("\n") == 1
    assert kept.read_bytes() == b"precious"


def test_a_state_may_be_saved_where_it_was_loaded(capsys, tmp_path):
    state = str(tmp_path / "s.npz")
    arguments = ("run", "typing", "--headless", "--frames", "1", "--save-state", state)
    assert run(capsys, *arguments)[0] == 0
    assert run(capsys, *arguments, "--load-state", state)[0] == 0


def test_bench_writes_its_rows(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("vgaemu.bench.start.ROUNDS", 2)
    rows = tmp_path / "rows.json"
    status, out, _ = run(capsys, "bench", "start", "--runs", "1", "--json", str(rows))
    assert status == 0
    assert "vgaemu --version" in out
    found = json.loads(rows.read_text())
    assert {row["command"] for row in found} >= {"python -c pass", "the first headless frame"}
    assert all(0 < row["start_ms"] <= row["start_p99_ms"] for row in found)
    assert found[0]["times_as_fast_as_python"] == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("start", "--only: 'bench start' has no parts; 'bench guest' does"),
        (
            "guest",
            "--only tea: 'bench guest' has fills, stores, ports, calls, harvests, boot, boots",
        ),
    ],
)
def test_bench_has_no_such_part(capsys, name, told):
    status, out, err = run(capsys, "bench", name, "--only", "tea")
    assert (status, out, err) == (2, "", f"vgaemu: {told}\n")


def test_parts_of_a_benchmark_are_measured_alone(capsys, monkeypatch):
    pytest.importorskip("unicorn")
    monkeypatch.setattr("vgaemu.bench.ports.rows", lambda: [{"port": "3C8h", "ns": 2.0}])
    monkeypatch.setattr("vgaemu.bench.calls.rows", lambda: [{"call": "INT 10h", "ns": 3.0}])
    status, out, _ = run(capsys, "bench", "guest", "--runs", "2", "--only", "calls", "--only=ports")
    assert status == 0
    assert out.index("INT 10h") < out.index("3C8h")
    assert "fill" not in out


def test_a_guest_that_is_not_there_is_told_before_a_display_that_is_not(capsys, monkeypatch):
    def no_window(**options):
        raise DisplayError("no display")

    monkeypatch.setattr("vgaemu.display.window.window.WindowDisplay", no_window)
    for name, why in {
        "sprits": "no workload named 'sprits'; did you mean sprites?",
        "none.img": "none.img: No such file or directory; name a disk image, a kernel or a DOS",
        "./none.py": "none.py: no such file",
        "sprites": "no display",
    }.items():
        status, _, err = run(capsys, "run", name, "--frames", "1")
        assert status == 2
        assert why in err


def test_bench_guest_without_unicorn_is_one_line(capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("vgaemu.pc.cpu.unicorn")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "vgaemu.bench.guest", raising=False)
    monkeypatch.setitem(sys.modules, "unicorn", None)
    status, out, err = run(capsys, "bench", "guest", "--runs", "1")
    assert (status, out) == (2, "")
    assert err.startswith("vgaemu: bench guest: ")
    assert "pip install unicorn" in err
    assert err.count("\n") == 1


FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
SHORT = ["run", "plasma", "--headless", "--frames", "3"]
GUESTS = Path(__file__).parents[1] / "examples" / "guests"
PLASMA = str(GUESTS / "plasma.img")


def only_line(capsys) -> str:
    error = capsys.readouterr().err
    assert error.startswith("vgaemu")
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "cat", "no\nfile", "--headless"],
        ["run", "no\nfile.py", "--headless"],
        ["run", "no\nfile.img", "--headless"],
        ["replay", "no\nfile.tape"],
        [*SHORT, "--screenshot", "no/\nfile.png"],
        [*SHORT, "--font", "no\x1b[31m\nfont"],
    ],
)
def test_line_ends_in_names_do_not_break_the_line(arguments, capsys):
    assert main(arguments) == 2
    assert "\\n" in only_line(capsys)


def test_wrong_usage_is_one_line_too(capsys):
    with pytest.raises(SystemExit):
        main(["list", "a\nb"])
    only_line(capsys)


@pytest.mark.parametrize("arguments", [["replay", ""], [*SHORT, "--screenshot", ""]])
def test_an_empty_name_is_no_file(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "an empty name is no file's" in only_line(capsys)


@pytest.mark.parametrize("word", ["sprites", "tour", "./mine.py", "game.img", "demo.com"])
def test_a_workload_without_run(word, capsys):
    with pytest.raises(SystemExit):
        main([word])
    assert f"say 'vgaemu run {word}'" in only_line(capsys)


@needs_full
def test_a_state_is_saved_though_the_tape_is_cut_off(tmp_path, monkeypatch, capsys):
    state, stats = tmp_path / "run.npz", tmp_path / "run.json"
    outputs = ["--save-state", str(state), "--stats", str(stats)]
    assert main([*SHORT, "--record-tape", str(FULL), *outputs]) == 2
    assert state.exists()
    assert json.loads(stats.read_text())["args"] == []
    out, err = capsys.readouterr()
    assert "3 frames" in out
    assert err == "vgaemu: /dev/full: No space left on device\n"


@needs_full
def test_a_port_trace_on_a_full_disk(tmp_path, capsys):
    pytest.importorskip("unicorn")
    state = tmp_path / "run.npz"
    arguments = [
        "run",
        PLASMA,
        "--headless",
        "--frames",
        "5",
        "--save-state",
        str(state),
    ]
    assert main([*arguments, "--trace-ports", str(FULL)]) == 2
    assert state.exists()
    line = only_line(capsys)
    assert line == "vgaemu: --trace-ports /dev/full: No space left on device; the log is cut off\n"


@needs_full
def test_a_state_that_cannot_be_saved_is_refused_before_the_run(
    capsys,
):
    assert main([*SHORT, "--save-state", str(FULL)]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "vgaemu: --save-state /dev/full: no regular file; name one\n")


@needs_full
def test_a_benchmark_is_printed_before_its_file_fails(monkeypatch, capsys):
    from vgaemu.bench import start

    monkeypatch.setattr(start, "measure", lambda runs: [{"what": "minutes of work", "ratio": 1.0}])
    assert main(["bench", "start", "--json", str(FULL)]) == 2
    out, err = capsys.readouterr()
    assert "minutes of work" in out
    assert err == "vgaemu: /dev/full: No space left on device\n"


@pytest.mark.parametrize("workload", ["cat", "picture"])
@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
def test_a_file_without_end(workload, monkeypatch, capsys):
    from vgaemu.guest.workloads import cat, picture

    monkeypatch.setattr(cat, "MAX_BYTES", 1 << 20)
    monkeypatch.setattr(picture, "MAX_BYTES", 1 << 20)
    assert main(["run", workload, "/dev/zero", "--headless"]) == 2
    assert "/dev/zero: more than 1 MiB" in only_line(capsys)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
def test_a_rom_without_end(capsys):
    pytest.importorskip("unicorn")
    arguments = ["run", PLASMA, "--headless", "--frames", "1"]
    assert main([*arguments, "--vga-bios", "/dev/zero"]) == 2
    assert "no ROM" in only_line(capsys)


def test_options_of_programs_and_of_disks(tmp_path, capsys):
    arguments = ["run", PLASMA, "--headless", "--frames", "1"]
    assert main([*arguments, "--dos-root", str(tmp_path)]) == 2
    assert "--dos-root: only for DOS programs" in only_line(capsys)
    program = str(GUESTS / "type.com")
    for option in ("--writable", "--force"):
        assert main(["run", program, "--headless", option]) == 2
        assert f"{option}: only for disk images" in only_line(capsys)


def test_what_replay_says_without_a_display_can_be_done(tmp_path):
    tape = tmp_path / "run.tape"
    assert main([*SHORT, "--record-tape", str(tape)]) == 0
    assert main(["replay", str(tape), "--headless"]) == 0


#: It says that it runs, and runs on.
ENDLESS = """
def workload(guest):
    yield
    print('running', flush=True)
    while True:
        yield
"""


@pytest.mark.turns(3)
@pytest.mark.skipif(os.name != "posix", reason="no such signals")
@pytest.mark.parametrize(
    ("sent", "ctrl_c"),
    [(signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.default_int_handler),
     (signal.SIGTERM, signal.SIG_IGN)],
    ids=["Ctrl-C", "SIGTERM", "SIGTERM in the background"],
)  # fmt: skip
@pytest.mark.parametrize("gap", [0.0, 0.005, 0.02])
@pytest.mark.parametrize("guest", ["endless.py", "plasma.img"])
def test_two_signals_at_a_time_are_one(tmp_path, guest, gap, sent, ctrl_c):
    program, state, stats = tmp_path / "endless.py", tmp_path / "s.npz", tmp_path / "s.json"
    program.write_text(ENDLESS)
    trace = tmp_path / "ports"
    arguments = ["run", str(program), "--headless", "--save-state", str(state)]
    if guest == "plasma.img":
        pytest.importorskip("unicorn")
        arguments[1:2] = PLASMA, "--trace-ports", str(trace)
    process = subprocess.Popen(
        [sys.executable, "-m", "vgaemu", *arguments, "--frames", "1000000", "--stats", str(stats)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, ctrl_c),
    )  # fmt: skip
    try:
        if guest == "endless.py":
            assert process.stdout.readline() == "running\n"
        while guest == "plasma.img" and not (trace.exists() and trace.stat().st_size):
            assert process.poll() is None
            time.sleep(0.01)
        for _ in range(2):
            process.send_signal(sent)
            time.sleep(gap)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, err) == (128 + sent, "")
    assert state.exists()
    assert stats.exists()


def test_the_font_of_the_docs_sets_the_rows(tmp_path):
    page = (Path(__file__).parents[1] / "docs" / "commands.md").read_text("utf-8")
    workload = next(line.split()[2] for line in page.splitlines() if "--font FILE" in line)
    font, text = tmp_path / "8x20.fnt", tmp_path / "screen.txt"
    font.write_bytes(bytes(256 * 20))
    arguments = ["run", workload, "--headless", "--frames", "3", "--font", str(font)]
    assert main([*arguments, "--dump-text", str(text)]) == 0
    assert len(text.read_text("utf-8").splitlines()) == 20


def test_a_guest_that_failed_is_not_shown_on_where_nobody_could_close_it(tmp_path, capsys):
    program, stats = tmp_path / "fails.py", tmp_path / "stats.json"
    program.write_text("def workload(guest):\n    yield\n    raise KeyError('mine')\n")
    status, _, err = run(capsys, "run", str(program), "--headless", "--stats", str(stats))
    assert status == 1
    assert "KeyError: 'mine'" in err
    assert json.loads(stats.read_text())["totals"]["frames"] == 2
