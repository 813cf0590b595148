"""The pages in `docs` and the README: what is a command or a piece of Python on them runs.

``python`` blocks of a page run in order, as one program; what stands behind a ``print`` as a
comment is what it prints. Lines of ``sh`` blocks run, without a window and for a few frames; those
that take minutes or wait for somebody are parsed. Blocks of ``text`` are to be read: of them only
the options are looked at.
"""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from PIL import Image

import vgaemu
from vgaemu.cli.main import main
from vgaemu.cli.parser import parse
from vgaemu.display.hostkeys import HOST_KEYS
from vgaemu.tape.ops import OPERATIONS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {
    path.name: path.read_text("utf-8") for path in [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]
}

#: Pages whose Python is quoted from the sources, and who compares it with them.
QUOTES = {"the-patch.md": "tests/test_memslot_patch.py"}


def blocks(page: str, language: str) -> list[str]:
    """Fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


PYTHON = [page for page in PAGES if blocks(page, "python") and page not in QUOTES]


@pytest.mark.parametrize("page", PYTHON)
def test_python_of_a_page_prints_what_it_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks(page, "python"))
    wanted = re.findall(r"^ *print\(.*  # (.+)$", code, re.MULTILINE)
    with redirect_stdout(StringIO()) as printed:
        exec(compile(code, page, "exec"), {"__name__": page})
    assert printed.getvalue().splitlines() == wanted


#: What of a command line takes minutes, waits for another process, or needs a terminal: such a line
#: is only parsed.
PARSED_ONLY = {"bench", "lab", "receive", "--migrate-to", "--view", "terminal"}
#: Who else runs a line that is no `vgaemu` command.
RUN_ELSEWHERE = {
    "python3 -m venv .venv": ".ci/run",
    "pip install": ".ci/run",
    "sphinx-build": ".ci/run",
}


def commands(page: str) -> list[str]:
    """Lines of ``sh`` blocks, without their comments."""
    lines = "".join(blocks(page, "sh")).splitlines()
    return [line for line in (line.partition("  #")[0].strip() for line in lines) if line]


def vgaemu_runs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command as a shell would, but without a window."""
    words, _, to = (words, "", "") if ">" not in words else (words[:-2], *words[-2:])
    if not words or not PARSED_ONLY.isdisjoint(words):
        parse(words)
        return
    if words[0] == "run" and "--headless" not in words:
        words = [*words, "--headless", "--frames", "3"]
    status = main(words)
    out, err = capsys.readouterr()
    assert (status, err) == (0, ""), words
    if to:
        Path(to).expanduser().write_text(out, "utf-8")


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_commands_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("unicorn")
    for name in ("README.md", "examples", "docs", "assets"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for line in commands(page):
        program, *words = shlex.split(line)
        if program == "vgaemu":
            vgaemu_runs(words, capsys)
        elif program == "mkdir":
            Path(words[-1]).expanduser().mkdir(parents=True)
        else:
            assert any(line.startswith(start) for start in RUN_ELSEWHERE), line


def frames_of(path: Path, count: int) -> list[tuple[float, bytes]]:
    """The first frames of a moving picture: how long each is shown, and its pixels."""
    with Image.open(path) as picture:
        found = []
        for number in range(min(count, picture.n_frames)):
            picture.seek(number)
            found.append((picture.info["duration"], picture.convert("RGB").tobytes()))
    return found


def test_the_moving_picture_is_what_its_command_makes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = re.search(
        r"^`(vgaemu run .*) --frames \d+ --record (\S+)(.*)` made this", PAGES["README.md"], re.M
    )
    assert line is not None
    command, picture, options = line.groups()
    committed, made = ROOT / picture, tmp_path / "made.png"
    assert committed.stat().st_size < 300_000
    words = [*shlex.split(command)[1:], "--frames", "200", "--record", str(made), *options.split()]
    assert main(words) == 0
    capsys.readouterr()
    frames = frames_of(made, 100)[:-1]  # the last one is shown for longer
    assert len(frames) > 20
    assert frames_of(committed, len(frames)) == frames


# --- The API --------------------------------------------------------------------------------------

#: Directives of `docs/api.md`: what each documents, and which of its members if not all.
ENTRIES = re.findall(
    r"^\.\. auto(?:class|function|data):: ([\w.]+)$(?:\n   :members: (\S.*)$)?",
    PAGES["api.md"],
    re.MULTILINE,
)


def test_every_public_name_has_an_entry_in_the_api() -> None:
    named = {name.removeprefix("vgaemu.") for name, _ in ENTRIES}
    errors = {name for name in vgaemu.__all__ if vars(vgaemu.errors).get(name)}
    assert ".. automodule:: vgaemu.errors\n   :members:" in PAGES["api.md"]
    assert set(vgaemu.__all__) - named - errors == set()


def undocumented(kind: type) -> set[str]:
    """Public members that have no word of documentation."""
    methods = {
        name
        for name, value in vars(kind).items()
        if inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod)
        if not inspect.getdoc(getattr(kind, name))
    }
    # A comment is of all attributes up to the next; or the class itself tells of one.
    told = re.findall(r"^ +(\w+)(?: \(.*\))?: ", inspect.getdoc(kind) or "", re.MULTILINE)
    runs = re.findall(r"#: .*\n(?: +#.*\n)*((?: +\w+: .*\n)+)", inspect.getsource(kind))
    told += re.findall(r"^ +(\w+): ", "".join(runs), re.MULTILINE)
    slots = vars(kind).get("__slots__", ())
    told += [name for name in slots if isinstance(slots, dict) and slots[name]]
    attributes = set(inspect.get_annotations(kind)) - {*told}
    return {name for name in methods | attributes if not name.startswith("_")}


#: Attributes whose names say all.
CLEAR = {"x", "y", "width", "height"}


@pytest.mark.parametrize(("entry", "members"), ENTRIES, ids=[name for name, _ in ENTRIES])
def test_every_member_of_an_entry_is_told_of(entry: str, members: str) -> None:
    place, _, name = entry.rpartition(".")
    if place == "vgaemu.notebook":
        pytest.importorskip("jupyter_rfb")
    thing = getattr(importlib.import_module(place), name)
    assert inspect.getdoc(thing)
    if inspect.isclass(thing):
        silent = undocumented(thing) - CLEAR
        assert silent & set(members.split(", ") if members else silent) == set()


# --- What the code makes --------------------------------------------------------------------------


def test_tables_of_the_docs_have_all_that_the_code_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    tables = importlib.import_module("tables")
    keys = tables.host_keys()
    for key in HOST_KEYS:
        assert key.help in keys
        assert all(f"`{combination}`" in keys for combination in key.combinations)
    assert {"run", "bench", "lab", "modes"} <= set(tables.command_names())
    assert all(f"`{name}`" in tables.tape_operations() for name in OPERATIONS)
    assert "| `vram` | u1 | 16777216 |" in tables.state_device()


def test_every_page_and_every_table_is_in_the_book() -> None:
    listed = re.findall(r"^([\w/-]+)$", PAGES["index.md"], re.MULTILINE)
    pages = {name.removesuffix(".md") for name in PAGES if name not in ("README.md", "index.md")}
    assert sorted(listed) == sorted(pages | {"gallery/index"})
    included = re.findall(r"\{include\} generated/(\S+)", "".join(PAGES.values()))
    made = re.findall(r'"([\w-]+\.md)"', DOCS.joinpath("tables.py").read_text("utf-8"))
    assert set(included) == {*made, "workloads.md", "guests.md"}
