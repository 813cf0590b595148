"""The public face: `help` and `repr` tell of everything that a user gets into hands."""

from __future__ import annotations

import fnmatch
import inspect
import pydoc
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import vgaemu
from vgaemu.cli.main import main
from vgaemu.guest.palette import Palette
from vgaemu.memslot import KEEPERS, why_unavailable
from vgaemu.migrate import Migration
from vgaemu.runner import InStep, OnThread
from vgaemu.tape import Tape

ROOT = Path(__file__).parent.parent
TAPES = ROOT / "tests" / "oracle" / "tapes"
#: An option on a page or in `--help`.
OPTION = re.compile(r"--[a-z][a-z-]+")


@pytest.fixture
def machine() -> Iterator[vgaemu.Machine]:
    with vgaemu.Machine(mode=0x13) as machine:
        yield machine


@pytest.fixture
def card() -> Iterator[object]:
    unicorn = pytest.importorskip("unicorn")
    with vgaemu.attach(unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_16)) as card:
        yield card


def test_help_of_the_package_names_every_public_name():
    text = pydoc.plain(pydoc.render_doc(vgaemu))
    named = [name for name in vgaemu.__all__ if name != "__version__"]
    assert [name for name in named if name not in text] == []
    assert f"VERSION\n    {vgaemu.__version__}" in text


def test_each_public_name_has_a_docstring():
    named = [name for name in vgaemu.__all__ if not name.startswith("__")]
    assert [name for name in named if not inspect.getdoc(getattr(vgaemu, name))] == []


def untold(thing: object) -> list[str]:
    """Public attributes of an instance that `help` of its class does not explain."""
    kind = type(thing)
    annotated = {name for base in kind.__mro__ for name in inspect.get_annotations(base)}
    explained = {
        name
        for name, value in inspect.getmembers_static(kind)
        if isinstance(value, property | staticmethod | classmethod) or inspect.isfunction(value)
        if inspect.getdoc(getattr(kind, name))
    }
    public = {name for name in dir(thing) if not name.startswith("_")}
    return sorted(public - annotated - explained)


@pytest.mark.parametrize(
    "part",
    [
        lambda machine: machine,
        lambda machine: machine.vram,
        lambda machine: machine.guest,
        lambda machine: machine.vga,
        lambda machine: machine.screen,
        lambda machine: machine.runner,
    ],
    ids=["Machine", "Memslot", "Guest", "Vga", "Screen", "Runner"],
)
def test_help_tells_of_each_attribute(
    machine: vgaemu.Machine, part: Callable[[vgaemu.Machine], object]
):
    assert untold(part(machine)) == []


def test_help_tells_of_each_attribute_of_a_card(card: object):
    assert untold(card) == []


def assert_tells(thing: object) -> None:
    """Its `repr` says what it is, not where it lies."""
    told = repr(thing)
    assert " object at 0x" not in told
    assert told.removeprefix("<").removeprefix("vgaemu.").startswith(type(thing).__name__)


def test_repr_says_what_a_machine_and_its_parts_are(machine: vgaemu.Machine):
    report = machine.run_frame()
    guest = machine.guest
    for thing in (
        machine, machine.vram, machine.vga, machine.screen, machine.screen.info, machine.stats,
        machine.keys, guest, guest.text, guest.canvas, guest.ports, Palette(guest), report,
        machine.vram.subscribe(), vgaemu.Vm(), InStep(None), OnThread(None),
    ):  # fmt: skip
        assert_tells(thing)


@pytest.mark.parametrize("dirty_log", [name for name in KEEPERS if why_unavailable(name) is None])
def test_repr_says_what_a_dirty_log_is(dirty_log: str):
    slot = vgaemu.Memslot(100, dirty_log=dirty_log)
    assert "nothing" in repr(slot.nothing_dirty) or "DirtyLog(0 of 100" in repr(slot.nothing_dirty)
    slot.write(5 << 12, b"a")
    assert repr(slot.get_dirty_log()).startswith("DirtyLog(1 of 100 pages")


def test_repr_says_what_others_are(card: object):
    assert_tells(card)
    with Tape(TAPES / "attr_flipflop.tape") as tape:
        assert_tells(tape)
    with vgaemu.Machine(ROOT / "examples" / "guests" / "type.com") as machine:
        assert_tells(machine.pc)
        assert_tells(Migration(machine, "127.0.0.1:9", at_frame=99))


def test_pages_name_only_options_that_there_are(capsys: pytest.CaptureFixture[str]):
    for command in ("run", "test", "receive", "replay", "lab", "bench", ""):
        with pytest.raises(SystemExit):
            main([command, "--help"] if command else ["--help"])
    known = set(OPTION.findall(capsys.readouterr().out))
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        if page.name == "testing-a-kernel.md":
            continue  # those are pytest's: tests/test_testing_plugin.py
        assert set(OPTION.findall(page.read_text("utf-8"))) - known == set(), page.name


def test_only_proofs_are_named_that_there_are():
    page = (ROOT / "docs" / "what-is-emulated.md").read_text("utf-8")
    rows = re.findall(r"^\|.*\|(.*)\|$", page[page.index("| proved by |") :], re.MULTILINE)
    named = {name for row in rows if "tape" in row or "test_" in row
             for name in re.findall("`([^`]+)`", row)}  # fmt: skip
    assert len(named) > 40
    tests, tapes = ROOT / "tests", {path.name.split(".")[0] for path in TAPES.iterdir()}
    assert {
        name for name in named
        if not (list(tests.glob(name)) if name.startswith("test_") else fnmatch.filter(tapes, name))
    } == set()  # fmt: skip


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_pages_about_the_house_name_only_files_that_there_are(page: str):
    text = (ROOT / page).read_text("utf-8")
    paths = re.findall(r"`((?:vgaemu|tests|docs|examples)/[\w/.-]+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
