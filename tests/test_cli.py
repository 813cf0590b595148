"""The command line: what it writes, and one clear line for every mistake."""

import json

import pytest

from vgaemu import __version__
from vgaemu.cli import main


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


def test_list_names_every_bundled_workload(capsys):
    status, out, _ = run(capsys, "list")
    assert status == 0
    names = [line.split()[0] for line in out.splitlines()]
    assert {"cat", "picture", "typing", "sprites", "plasma", "life"} <= set(names)


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
    "keys": (["run", "typing", "--headless", "--frames", "1", "--keys", "a"], "FRAME:KEY"),
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
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_clear_line_and_status_2(capsys, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    arguments, hint = MISTAKES[name]
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert out == ""
    assert hint in err
    assert "Traceback" not in err
    # argparse prints its usage above; the complaint itself is one line.
    assert err.splitlines()[-1].startswith("vgaemu")
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


def test_a_workload_file_that_fails_while_it_is_read_shows_its_own_traceback(capsys, tmp_path):
    program = tmp_path / "early.py"
    program.write_text("import math\nmath.sqrt(-1)\n")
    status, _, err = run(capsys, "run", str(program), "--headless")
    assert status == 1
    assert "math domain error" in err
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


def test_bench_writes_its_rows(capsys, tmp_path):
    rows = tmp_path / "rows.json"
    status, out, _ = run(capsys, "bench", "start", "--runs", "1", "--json", str(rows))
    assert status == 0
    assert "vgaemu --version" in out
    assert {row["command"] for row in json.loads(rows.read_text())} >= {"python -c pass"}
