"""Options from files and `--set`: one check for all, who wins over whom, and `--print-conf`."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from pathlib import Path

import pytest

from vgaemu.cli.config import Command, Configuration, known_commands
from vgaemu.cli.main import main
from vgaemu.cli.parser import make_parser, parse
from vgaemu.cli.say import UsageError

RUN = ["run", "plasma"]
COMMANDS = known_commands(make_parser(Configuration())[1])
#: What commands cannot do without.
NEEDED = {"bench": ["start"], "replay": ["a.tape"]}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's own file is looked for."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "config" / "vgaemu" / "config.toml"
    path.parent.mkdir(parents=True)
    return path


def conf(folder: Path, text: str | bytes, name: str = "f.toml") -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def complaint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that is refused."""
    try:
        status = main(arguments)
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert isinstance(err, str)
    return err


# --- who wins ---------------------------------------------------------------------------------


def test_each_wins_over_those_before_it(own: Path, tmp_path: Path) -> None:
    own.write_text("scale = 1")
    files = [conf(tmp_path, f"scale = {n}", f"{n}.toml") for n in (2, 3)]
    arguments = list(RUN)
    assert parse(arguments).scale == 1
    for n, path in zip((2, 3), files, strict=True):
        arguments += ["--conf", path]
        assert parse(arguments).scale == n
    for n in (4, 5):
        arguments += [f"--set=scale={n}"]
        assert parse(arguments).scale == n
    assert parse([*arguments, "--scale", "6"]).scale == 6


def test_a_later_file_wins_over_an_earlier_ones_table(tmp_path: Path) -> None:
    first = conf(tmp_path, "[run]\nscale = 2\n[lab]\nscale = 3", "1.toml")
    second = conf(tmp_path, "scale = 4\n[lab]\nscale = 5", "2.toml")
    files = ["--conf", first, "--conf", second]
    assert parse([*RUN, *files]).scale == 4
    assert parse(["lab", *files]).scale == 5
    assert parse([*files[:2], *RUN]).scale == 2


def test_before_and_behind_the_command_is_one_list(tmp_path: Path) -> None:
    first, second = (conf(tmp_path, f"frames = {n}", f"{n}.toml") for n in (1, 2))
    assert parse(["--conf", first, *RUN, "--conf", second]).frames == 2
    assert parse(["--conf", first, "--set", "border=7", *RUN]).border == 7


def test_what_the_command_line_says_is_told_from_what_files_say(own: Path) -> None:
    own.write_text("headless = true\nborder = 3\nframes = 9")
    options = parse([*RUN, "--frames", "9"])
    assert options.configured == {"headless", "border"}
    assert (options.headless, options.border, options.frames) == (True, 3, 9)


@pytest.mark.parametrize(
    ("text", "said", "expected"),
    [
        ("headless = true", ["--display", "window"], {"headless": False, "display": "window"}),
        ("display = 'window'", ["--headless"], {"headless": True, "display": None}),
        ("dirty-log = 'words'", ["--compare", "srcu,words"], {"dirty_log": None}),
        ("record-tape = 'a'", ["--load-state", "b"], {"record_tape": None}),
        ("headless = true", ["--set", "headless=false"], {"headless": False}),
        ("display = 'window'\n[run]\nheadless = true", [], {"headless": True, "display": None}),
    ],
)
def test_what_wins_rules_out_what_it_excludes(
    own: Path, text: str, said: list[str], expected: dict[str, object]
) -> None:
    own.write_text(text)
    options = vars(parse([*RUN, *said]))
    assert {name: options[name] for name in expected} == expected


def test_one_file_that_contradicts_itself_is_refused(own: Path) -> None:
    own.write_text("headless = true\ndisplay = 'window'")
    with pytest.raises(UsageError, match="take one of them"):
        parse(RUN)


@pytest.mark.parametrize(
    "text", ["cpu = 'kvm'", "writable = true", "upscaled = true", "migrate-at = 5\ndowntime = 9"]
)
def test_what_is_of_no_use_in_this_run_is_left_out(
    own: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own.write_text(text)
    assert main([*RUN, "--headless", "--frames", "1"]) == 0
    assert capsys.readouterr().err == ""


def test_a_tape_that_is_missing_is_still_missing(own: Path, capsys) -> None:
    own.write_text("screenshot = 'a.png'")
    assert "required: tape" in complaint(["replay"], capsys)


# --- what is wrong ----------------------------------------------------------------------------

WRONG: dict[str, tuple[str | bytes, str]] = {
    "a key": ("scal = 3", "f.toml: scal: no option, did you mean scale?"),
    "an underscore": ("dirty_log = 'words'", "dirty_log: no option, did you mean dirty-log?"),
    "a key of another table": ("[bench]\nscale = 3", "f.toml: [bench] scale: no option of bench"),
    "a table": ("[rum]\n", "f.toml: [rum] is no command with options, did you mean run?"),
    "a value": ("scale = 'x'", "f.toml: scale: 'x' is not a whole number of at least 1"),
    "a value in a table": ("[run]\nspeed = -1", "f.toml: [run] speed: '-1' is not a number from 0"),
    "a value for another command": ("[lab]\nseconds = 0", "f.toml: [lab] seconds: '0' is not"),
    "a choice": ("aspect = 'wide'", "f.toml: aspect: invalid choice: 'wide' (choose from"),
    "a number for words": ("cpu = 386", "f.toml: cpu: invalid choice: '386'"),
    "a word for a flag": ("headless = 'yes'", "headless: yes is neither true nor false"),
    "a number for a flag": ("fullscreen = 1", "fullscreen: 1 is neither true nor false"),
    "a flag for a number": ("scale = true", "scale: true is no value"),
    "a table of nothing like it": ("[x]", "f.toml: [x] is no command with options; there are run,"),
    "a key of nothing like it": (
        "qqqq = 1",
        "f.toml: qqqq: no option; 'vgaemu --print-conf' shows",
    ),
    "a null character": ('font = "a\\u0000b"', "font: no word of a command line has a null"),
    "an array": ("scale = [1, 2]", "scale: [1, 2] is no value; it takes one word or number"),
    "a date": ("frames = 2026-01-01", "frames: 2026-01-01 is no value"),
    "a number of no end": ("speed = nan", "speed: 'nan' is not a number from 0 to 1000"),
    "a huge number": ("frames = 0x" + "f" * 5000, "frames: a number of 31 characters is too large"),
    "digits": ("frames = " + "9" * 5000, "f.toml: "),
    "help": ("help = true", "help: no option"),
    "a file in a file": ("conf = 'g.toml'", "conf: no option"),
    "a workload": ("workload = 'plasma'", "workload: no option"),
    "a table in a table": ("[run.scale]\na = 1", "[run] scale: {'a': 1} is no value"),
    "no TOML": ("scale 3", "f.toml: Expected '=' after a key in a key/value pair (at line 1"),
    "twice": ("scale = 3\nscale = 3", "f.toml: Cannot overwrite a value (at "),
    "not UTF-8": (b"font = '\xff'", "f.toml: not UTF-8, which TOML is, at byte 8"),
    "nested": ("a = " + "[" * 9000, "f.toml: nested too deeply"),
    "a control character": ('"a\\u001b" = 3', "f.toml: a\\x1b: no option"),
    "a picture": (b"\x89PNG\r\n\x1a\n", "f.toml: not UTF-8"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_one_line_that_names_it_and_the_key(what: str, tmp_path, capsys) -> None:
    text, expected = WRONG[what]
    line = complaint([*RUN, "--headless", "--conf", conf(tmp_path, text)], capsys)
    assert line.startswith("vgaemu: ")
    assert expected in line


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--conf", "none.toml"], "none.toml: No such file or directory; name a file"),
        (["--conf", "."], ".: Is a directory; name a file"),
        (["--conf", "/dev/zero"], "/dev/zero: more than 1 MiB"),
        (["--conf", ""], "--conf: an empty name is no file's"),
        (["--set", "scale"], "--set scale: say NAME=VALUE"),
        (["--set", " scale = 0 "], "--set scale: '0' is not a whole number"),
        (["--set", "=3"], "--set : no option of run"),
        (["--set", "scal=3"], "--set scal: no option of run, did you mean scale?"),
        (["--set", "runs=3"], "--set runs: no option of run"),
        (["--set", "scale=0"], "--set scale: '0' is not a whole number"),
        (["--set", "headless=maybe"], "--set headless: maybe is neither true nor false"),
    ],
)
def test_wrong_files_and_settings(arguments: list[str], expected: str, tmp_path, capsys) -> None:
    assert expected in complaint([*RUN, "--headless", *arguments], capsys)


def test_the_own_file_may_be_absent_and_not_wrong(own: Path, capsys) -> None:
    assert parse(RUN).configured == frozenset()
    own.mkdir()
    assert f"{own}: Is a directory" in complaint(RUN, capsys)
    own.rmdir()
    own.write_text("scal = 3")
    assert f"{own}: scal: no option" in complaint(RUN, capsys)
    assert main(["list"]) == 0  # which takes no options


def test_a_command_without_options_takes_no_settings(capsys) -> None:
    for arguments in (["--set", "scale=3", "list"], ["--set", "scale=3"]):
        assert "name a command that takes options" in complaint(arguments, capsys)


def test_a_value_that_one_command_takes_is_no_mistake_for_another(tmp_path, monkeypatch) -> None:
    path = conf(tmp_path, "speed = 2.0\nruns = 3\nscreenshot = 'a.png'")
    options = parse(["--conf", path, *RUN])
    assert (options.speed, options.screenshot) == (2.0, Path("a.png"))
    assert parse(["--conf", path, "bench", "start"]).runs == 3


def test_a_value_that_only_others_take_is_left_out(tmp_path: Path) -> None:
    commands = {}
    for name, choices in (("draw", ("window", "paper")), ("print", ("paper",))):
        parser = ArgumentParser()
        parser.add_argument("--display", choices=choices)
        commands[name] = Command(name, parser)
    configuration = Configuration()
    configuration.files.append(Path(conf(tmp_path, "display = 'window'")))
    assert configuration.read(commands, "print") == {"draw": {"display": "window"}, "print": {}}
    configuration.files.append(Path(conf(tmp_path, "[print]\ndisplay = 'window'", "g.toml")))
    with pytest.raises(UsageError, match=r"\[print\] display: invalid choice"):
        configuration.read(commands, "print")


def test_files_as_others_write_them(tmp_path: Path) -> None:
    path = conf(
        tmp_path, b"\xef\xbb\xbfscale = 3\r\nfont = '\xc3\xa4 b.psf'\r\ndump-registers = true"
    )
    options = parse([*RUN, "--conf", path])
    assert (options.scale, options.font) == (3, Path("\u00e4 b.psf"))
    assert options.dump_registers == Path("-")


# --- options of the command line --------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_abbreviated_and_the_nearest_is_named(name: str, capsys) -> None:
    for key in COMMANDS[name].options:
        for word in (f"--{key[:-1]}", f"--{key[:-1]}=1"):
            if key[:-1] in COMMANDS[name].options:  # --stats-frames, --stats
                continue
            line = complaint([name, word], capsys)
            assert line.startswith(f"vgaemu {name}: no option --{key[:-1]}, did you mean --")


def test_a_tape_is_not_written_into_a_picture(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    complaint([*RUN, "--headless", "--frames", "1", "--record-tap", "x.png"], capsys)
    assert not list(tmp_path.iterdir())


def test_a_mistyped_command_and_a_workloads_own_option(capsys) -> None:
    assert "--vram, did you" not in complaint(["run", "sprites", "--vram", "5"], capsys)
    for option in (
        ["--headless"],
        ["--frames", "3"],
        ["--frames=3"],
        ["--keys", "1:a", "run", "x"],
    ):
        name = option[0].partition("=")[0]
        said = f"vgaemu: {name} goes behind a command, as in vgaemu run tour {name}; see"
        assert complaint(option, capsys).startswith(said)
    assert "no command 'rnu', did you mean run?" in complaint(["rnu"], capsys)
    assert "what is the workload's own goes behind --" in complaint([*RUN, "-x"], capsys)
    assert "unrecognized arguments: b" in complaint(["replay", "a", "b"], capsys)


def test_a_value_behind_a_space_or_an_equals_sign() -> None:
    for said in (["--scale", "3", "--font", "a=b"], ["--scale=3", "--font=a=b"]):
        options = parse([*RUN, *said])
        assert (options.scale, options.font) == (3, Path("a=b"))


# --- printed ----------------------------------------------------------------------------------

#: Words that options take, by what they stand for in its help.
WORDS = {
    "N": "7", "X": "2.5", "F:KEY,...": "3:a", "NAME": "words", "A,B": "srcu,words", "FRAME": "9",
    "MS": "20", "S": "4", "auto|builtin|PATH": "builtin", "HOST:PORT": "127.0.0.1:1",
    "[HOST:]PORT": "[::1]:5900", "MINUTES|MiB": "64MiB", "MIB": "64", "PORT": "244",
}  # fmt: skip
FILE = 'a "b" \u00e4\\n\x7f.png'


def all_said(command: Command) -> list[str]:
    """A command line that says all its options, other things than they are by default."""
    words = []
    for key, action in command.options.items():
        if action.nargs == 0:
            words.append(f"--{key}")
        elif action.choices is not None:
            choices = map(str, action.choices)
            words.append(f"--{key}={next(c for c in choices if c != str(action.default))}")
        else:
            words.append(f"--{key}={WORDS.get(str(action.metavar), FILE)}")
    rivals = ("--display=", "--compare=", "--load-state=")
    return [word for word in words if not word.startswith(rivals)]


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main([*arguments, "--print-conf"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return str(out)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_printed_says_the_same_when_it_is_read(name: str, tmp_path, capsys) -> None:
    said = [name, *NEEDED.get(name, []), *all_said(COMMANDS[name])]
    path = conf(tmp_path, printed(said, capsys))
    options, again = (
        vars(parse(words)) for words in (said, [name, *NEEDED.get(name, []), "--conf", path])
    )
    values = [{k: v for k, v in found.items() if k != "configured"} for found in (options, again)]
    assert values[0] == values[1]
    assert again["configured"] >= {name for name in options if options[name] is True}
    assert printed([name, "--conf", path], capsys) == Path(path).read_text("utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_all_defaults_are_comments_that_say_what_holds(name: str, tmp_path, capsys) -> None:
    text = printed([name], capsys)
    assert tomllib.loads(text) == {name: {}}
    keys = re.findall(r"^#([a-z-]+) = ", text, re.MULTILINE)
    assert keys == [*COMMANDS[name].options]
    assert max(map(len, text.splitlines()[3:])) <= 80
    # Without its number sign a line of a default is TOML, and changes nothing.
    defaults = COMMANDS[name].defaults
    with_default = {k for k, a in COMMANDS[name].options.items() if defaults[a.dest] is not None}
    lines = [line[1:] for line in text.splitlines() if line[1:].split(" = ")[0] in with_default]
    assert len(lines) == len(with_default)
    path = conf(tmp_path, "\n".join([f"[{name}]", *lines]))
    command = [name, *NEEDED.get(name, [])]
    before, after = (vars(parse([*command, *more])) for more in ([], ["--conf", path]))
    assert before | {"configured": after["configured"]} == after
    assert {a.dest for k, a in COMMANDS[name].options.items() if k in with_default} == after[
        "configured"
    ]


def test_only_what_is_not_so_by_default_is_printed(own: Path, capsys) -> None:
    own.write_text("border = 2")
    text = printed([*RUN, "--speed", "1", "--border", "0", "--scale", "2"], capsys)
    assert tomllib.loads(text) == {"run": {"scale": 2, "border": 0}}  # the own file says 2


def test_all_commands_are_printed_together(own: Path, tmp_path: Path, capsys) -> None:
    own.write_text("scale = 3\n[bench]\nruns = 2")
    tables = tomllib.loads(printed([], capsys))
    assert list(tables) == list(COMMANDS)
    assert tables["run"] == tables["lab"] == {"scale": 3}
    assert tables["bench"] == {"runs": 2}


def test_a_name_that_toml_cannot_say(capsys) -> None:
    line = complaint([*RUN, "--font", "\udcff", "--print-conf"], capsys)
    assert "--font" in line
    assert "not UTF-8" in line


def test_every_option_is_of_a_kind_that_files_can_say() -> None:
    for command in COMMANDS.values():
        for key, action in command.options.items():
            assert action.nargs in (None, 0, "?"), key
            assert action.nargs != 0 or command.defaults[action.dest] is False, key
            assert action.help, key


def test_without_a_file_nothing_is_read(tmp_path: Path) -> None:
    code = (
        "import sys; from vgaemu.cli.parser import parse; parse(['run', 'plasma', '--scale', '3']);"
        "sys.exit(bool({'tomllib', 'difflib', 'json.tool', 'numpy'} & sys.modules.keys()))"
    )
    env = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=env, timeout=60).returncode == 0
