"""The pytest plugin, by running pytest on tests as a user writes them."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from vgaemu import Machine, ScreenError
from vgaemu.cli.main import main
from vgaemu.display.pictures import rgb_of
from vgaemu.pc.build import PcOptions
from vgaemu.pc.debug import PortTail
from vgaemu.testing import pictures, results, screens, sections
from vgaemu.testing.machine import MachineOptions
from vgaemu.testing.sections import changed_registers
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import MODES, NAMES, set_mode

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(5)

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """What an inner run imports is gone after it: let them all find it here."""
    Image.init()
    assert results, screens
    with suppress(ImportError):
        import_module("unicorn")
    with Machine() as machine:
        pictures.picture_of(machine)
        sections.Made(machine, "").sections()


EXAMPLE = Path(__file__).parents[1] / "examples" / "testing"

EXAMPLE = Path(__file__).parents[1] / "examples" / "testing"

#: A test of a guest in Python, of either kind.
TEST = """
def text(guest):
    guest.text.set_colour("white", "blue")
    guest.text.print("SAYS")
    yield
    yield

def graphics(guest):
    guest.set_mode(0x13)
    guest.canvas.fill_rect(10, 20, 30, len("SAYS"), 200)
    yield
    yield

def NAME(vga, screen):
    machine = vga(KIND)
    machine.tick()
    assert machine == screen
"""


def source(kind: str = "text", says: str = "Hello, world", name: str = "test_it") -> str:
    """A test's source."""
    return TEST.replace("KIND", kind).replace("SAYS", says).replace("NAME", name)


Run = Callable[..., pytest.RunResult]


#: Without what else is installed: hypothesis alone is imported for seconds.
PLUGINS = ["-psyrupy", "-pvgaemu.testing.plugin", "-pno:cacheprovider"]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run pytest where the test's files are."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("WORKER", "WORKER_COUNT", "TESTRUNUID"):  # it is no worker, whoever runs this
        monkeypatch.delenv(f"PYTEST_XDIST_{name}", raising=False)

    def run(*options: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess(*PLUGINS, *options)

    return run


@pytest.fixture
def written(pytester: pytest.Pytester, run: Run) -> Callable[[str], Path]:
    """Write a test and its goldens; the folder of them."""

    def write(text: str) -> Path:
        pytester.makepyfile(test_kernel=text)
        run("--snapshot-update").assert_outcomes(passed=1)
        return pytester.path / "__snapshots__" / "test_kernel"

    return write


def lines_of(result: pytest.RunResult) -> list[str]:
    """What pytest says of an assertion."""
    return [line[1:].strip() for line in result.outlines if line.startswith("E ")]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_text_screen_is_kept_as_picture_and_text(
    written: Callable[[str], Path], run: Run
) -> None:
    folder = written(source())
    assert names_in(folder) == ["test_it.png", "test_it.txt"]
    lines = (folder / "test_it.txt").read_text("utf-8").split("\n")
    assert lines == [
        "Hello, world", *[""] * 24, "-" * 80,
        "text 80x25, cursor at row 1, column 0", "row 0: 0-11 white on blue (1F)", "",
    ]  # fmt: skip
    with Image.open(folder / "test_it.png") as image:
        assert (image.mode, image.size, image.info["Description"]) == (
            "P",
            (720, 400),
            "text 80x25",
        )
        numbers = np.unique(np.asarray(image))
    assert numbers.tolist() == [0, 1, 7, 15]  # the cursor is light grey
    run().assert_outcomes(passed=1)


def test_a_paletted_picture_keeps_the_guests_own_numbers(written: Callable[[str], Path]) -> None:
    folder = written(source("graphics"))
    assert names_in(folder) == ["test_it.png"]
    with Image.open(folder / "test_it.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape == (200, 320)
    assert (pixels[20:32, 10:40] == 200).all()
    assert np.count_nonzero(pixels) == 30 * 12


def test_direct_colour_is_kept_as_it_is(written: Callable[[str], Path], run: Run) -> None:
    text = source("graphics").replace("set_mode(0x13)", "set_dispi_mode(64, 48, 32)")
    folder = written(text.replace("200)", "0x123456)"))
    with Image.open(folder / "test_it.png") as image:
        assert (image.mode, image.getpixel((10, 20))) == ("RGB", (0x12, 0x34, 0x56))
    run().assert_outcomes(passed=1)


def test_other_text_is_told_by_rows(written: Callable[[str], Path], run: Run) -> None:
    written(source())
    Path("test_kernel.py").write_text(source(says="Hello, wOrld"))
    result = run()
    result.assert_outcomes(failed=1)
    first, *rest = lines_of(result)
    assert re.fullmatch(
        r"assert test_it.png: \d+ of 288000 pixels differ, in 7\d,2 - \d+,\d+ \(.*\)", first
    )
    assert rest == ["row 0:", "- Hello, world", "+ Hello, wOrld", "^"]
    assert any("FAILED" in line and "18 of 288000" in line for line in result.outlines)


def test_other_pixels_are_told_by_a_rectangle(written: Callable[[str], Path], run: Run) -> None:
    written(source("graphics"))
    Path("test_kernel.py").write_text(source("graphics", says="Hello, worl"))
    assert lines_of(run()) == [
        "assert test_it.png: 30 of 64000 pixels differ, in 10,31 - 39,31 (30x1)"
    ]


def test_another_mode_is_told(written: Callable[[str], Path], run: Run) -> None:
    folder = written(source())
    Path("test_kernel.py").write_text(source("graphics"))
    assert (
        "assert test_it.png: expected text 80x25 (720x400), the screen is 320x200x256 (320x200)"
        in lines_of(run())
    )
    run("--snapshot-update").assert_outcomes(passed=1)
    assert names_in(folder) == ["test_it.png"]
    run().assert_outcomes(passed=1)


def test_a_missing_golden_says_how_to_write_it(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(source())
    result = run()
    result.assert_outcomes(failed=1)
    (line,) = lines_of(result)
    assert "test_it.png: is not there: run pytest with --snapshot-update" in line
    assert not Path("__snapshots__").exists()


def test_the_text_counts_too(written: Callable[[str], Path], run: Run) -> None:
    text = written(source()) / "test_it.txt"
    was = text.read_bytes()
    text.write_bytes(was.replace(b"\n", b"\r\n"))  # as version control on Windows may have it
    run().assert_outcomes(passed=1)
    text.write_bytes(was.replace(b"Hello", b"Hullo"))
    first, *rest = lines_of(run())
    assert "all pixels are the same" in first
    assert "- Hullo, world" in rest
    text.unlink()
    assert "there is no .txt beside the expected picture" in lines_of(run())
    run("--snapshot-update").assert_outcomes(passed=1)
    assert text.read_bytes() == was


def test_a_broken_golden_is_one_line_and_can_be_written_anew(
    written: Callable[[str], Path], run: Run
) -> None:
    golden = written(source("graphics")) / "test_it.png"
    for content in (b"version https://git-lfs.github.com/spec/v1\n", b"", b"\x89PNG\r\n"):
        golden.write_bytes(content)
        first, second = lines_of(run())
        assert first == f"assert test_it.png: {golden}: not a whole PNG"
        assert "--snapshot-update" in second
    run("--snapshot-update").assert_outcomes(passed=1)
    run().assert_outcomes(passed=1)


def test_what_counts_are_pixels_not_bytes(written: Callable[[str], Path], run: Run) -> None:
    golden = written(source("graphics")) / "test_it.png"
    with Image.open(golden) as image:
        image.convert("RGB").save(golden)
    run().assert_outcomes(passed=1)


def test_unused_goldens_are_found_and_removed_with_their_text(
    written: Callable[[str], Path], run: Run
) -> None:
    folder = written(source())
    Path("test_kernel.py").write_text(source(name="test_new"))
    run("--snapshot-update", "--snapshot-no-cleanup").assert_outcomes(passed=1)
    for other in (
        (),
        ("--snapshot-default-extension=syrupy.extensions.json.JSONSnapshotExtension",),
    ):
        result = run(*other)
        assert result.ret != 0
        result.stdout.fnmatch_lines(["*2 snapshots unused.*"])
    run("--snapshot-update")
    assert names_in(folder) == ["test_new.png", "test_new.txt"]
    assert run().ret == 0


def test_several_screens_of_classes_and_parameters_have_names_of_their_own(
    pytester: pytest.Pytester, run: Run
) -> None:
    text = source().split("def test_it")[0]
    pytester.makepyfile(
        test_kernel=text
        + """
import pytest

class TestMenu:
    @pytest.mark.parametrize("line", ["a/b", "ü.c"])
    def test_it(self, vga, screen, line, snapshot):
        machine = vga(text)
        machine.guest.text.write_at(0, 5, line)
        assert machine == screen
        machine.tick()
        assert machine == screen(name="after")
        assert machine.screen == screen
        assert screen == machine.screen.rgb()[:16]
        assert machine.screen.rgb()[:16] == screen(name="top")
        assert machine.screen.text()[5].rstrip() == snapshot  # another kind, in the same test
"""
    )
    run("--snapshot-update").assert_outcomes(passed=2)
    names = names_in(Path("__snapshots__/test_kernel"))
    assert len(names) == 2 * (5 + 3)
    assert "TestMenu.test_it[ab][after].txt" in names
    result = run()
    result.assert_outcomes(passed=2)
    assert result.ret == 0


def test_what_is_none_of_ours_is_refused_in_a_line(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("def test_it(screen): assert 5 == screen")
    assert lines_of(run()) == [
        "assert test_it.png: a golden screen is compared with a machine, its screen or pixels, "
        "not with int"
    ]


def test_a_screen_that_was_to_be_another_is_told(written: Callable[[str], Path], run: Run) -> None:
    written(source("graphics"))
    Path("test_kernel.py").write_text(source("graphics").replace("==", "!="))
    assert lines_of(run()) == ["assert test_it.png: is what is shown"]
    Path("test_kernel.py").write_text(source("graphics", says="other").replace("==", "!="))
    run().assert_outcomes(passed=1)


def test_a_golden_that_cannot_be_written_is_a_line(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile(source())
    Path("__snapshots__").write_bytes(b"in the way")
    (line,) = lines_of(run("--snapshot-update"))
    assert "File exists" in line or "Not a directory" in line


def sector(code: str) -> bytes:
    """A disk image that boots some code."""
    return bytes.fromhex(code).ljust(510, b"\0") + b"\x55\xaa"


@pytest.fixture
def failed(pytester: pytest.Pytester, run: Run) -> Callable[[str, str], str]:
    """What pytest says of a test of a kernel, which fails."""
    pytest.importorskip("unicorn")

    def failed(code: str, test: str) -> str:
        Path("kernel.img").write_bytes(sector(code))
        pytester.makepyfile(f"def test_it(vga):\n    {test}")
        result = run()
        result.assert_outcomes(failed=1)
        return "\n".join(result.outlines)

    return failed


#: Prints B by the BIOS, and ESC A for debugging; moves the screen; reads and writes by turns.
LOOP = """
    B8 42 0E  BB 07 00  CD 10  B0 1B E6 E9  B0 41 E6 E9  BA D4 03  B8 0C 01  EF
    EC EC B0 0F EE EB FA
"""


def test_a_failed_test_tells_what_its_machine_was_doing(
    failed: Callable[[str, str], str],
) -> None:
    said = failed(LOOP, "assert vga('kernel.img').wait_for_text('ready', 2)")
    for told in (
        "vga kernel.img: screen, 2 frames, text 80x25",
        "eip=00007c",
        "crtc 0Ch start_address_high 01, not 00",
        "printed for debugging -*\n←A\n",
        r"03d4 ..; (in |out) 03d4 ..  \(\d+ times\)",
        r"actual: /.*/test_it-last-of-kernel.img-\w+-actual.png",
    ):
        assert re.search(told, said), told
    path = re.findall("actual: (.*)", said)[0]
    with Image.open(path) as image:
        assert image.size == (720, 400)


def test_a_fault_leads_to_the_tests_own_line(failed: Callable[[str, str], str]) -> None:
    said = failed("0F 0B", "vga('kernel.img').tick()")
    assert "GuestFault: unknown opcode at 0000:7C00, and no handler" in said
    assert "code at IP:  0f 0b" in said
    assert re.search("out 00b1 ..  INT 06h\n", said)
    assert "unicorn.py" not in said
    assert "machine.py" not in said


def test_a_machine_closed_by_the_error_tells_as_well(failed: Callable[[str, str], str]) -> None:
    said = failed(LOOP, "with vga('kernel.img') as machine: machine.tick(); assert 0")
    assert re.search("eip=00007c", said)


def test_a_guest_that_still_runs_is_let_run(failed: Callable[[str, str], str]) -> None:
    said = failed(LOOP, "vga('kernel.img', free=True).tick(2); assert 0")
    assert "the guest is still running, on its own thread (free=True)" in said
    assert re.search("in  03d4", said)


def test_what_cannot_be_made_is_said_in_a_line(failed: Callable[[str, str], str]) -> None:
    said = failed("", "vga('nothing.img')")
    assert "ImageError: nothing.img: No such file or directory; name a disk image" in said
    assert "evidence.py" not in said


def test_guests_of_any_kind_are_found_and_closed(pytester: pytest.Pytester, run: Run) -> None:
    pytest.importorskip("unicorn")
    folder = pytester.mkdir("kernel")
    (folder / "kernel.img").write_bytes(sector("EB FE"))
    (folder / "guest.py").write_text("def workload(guest):\n    yield\n")
    (folder / "test_it.py").write_text(
        """
machines = []

def test_made(vga):
    machines.extend([vga("kernel.img"), vga("guest.py"), vga("typing"), vga(mode=0x13)])
    machines.append(vga("kernel.img", trace_ports="ports.log"))
    for machine in machines:
        machine.tick()

def test_closed():
    assert all(machine._saving.closed for machine in machines)
"""
    )
    run().assert_outcomes(passed=2)
    assert Path("ports.log").exists()


def test_a_traceback_of_a_guest_in_python_is_its_own(pytester: pytest.Pytester, run: Run) -> None:
    pytester.makepyfile("""
def guest(guest):
    yield
    guest.canvas.pixel(1, 1, 1)

def test_it(vga):
    vga(guest).tick(2)
""")
    said = "\n".join(run().outlines)
    assert ">       vga(guest).tick(2)" in said
    assert ">       guest.canvas.pixel(1, 1, 1)" in said
    assert "the guest failed: " in said
    assert "runner.py" not in said
    assert "contextlib.py" not in said
    assert "runner.py" in "\n".join(run("--full-trace").outlines)


def test_registers_are_told_where_they_are_not_the_modes() -> None:
    vga = Vga()
    for mode in MODES.values():
        set_mode(vga, mode.number or 0)
        assert changed_registers(vga)[1] == []
    set_mode(vga, 3)
    vga.outw(0x3D4, 0x020F)
    mode, changed = changed_registers(vga)
    assert (mode.name, len(changed)) == ("80x25 text", 1)
    set_mode(vga, 0x13)
    vga.outw(0x3D4, 0x3013)
    mode, changed = changed_registers(vga)
    assert (mode.number, changed) == (0x13, ["crtc 13h offset 30, not 28"])


def test_port_accesses_are_kept_to_a_number() -> None:
    tail = PortTail()
    for port in range(1000):
        tail.note("out", port, 1, port & 0xFF)
    assert tail.lines({999: "the last"})[-1] == "out 03e7 e7  the last"
    assert len(tail.lines({})) == tail.SHOW


def test_the_factory_takes_what_a_machine_takes() -> None:
    keywords = [
        name
        for name, parameter in inspect.signature(Machine).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    assert MachineOptions.__optional_keys__ == {*keywords, *PcOptions.__optional_keys__}


def test_attributes_are_told_in_words() -> None:
    with Machine() as machine:
        machine.vga.store(0xB8000, b"A\x07B\xce" + b" \x1e" * 80)
        machine.guest.text.cursor(False)
        picture = pictures.picture_of(machine)
    assert picture.text is not None
    assert picture.text.split("\n")[25:] == [
        "-" * 80,
        "text 80x25",
        "row 0: 1 yellow on red, blinking (CE); 2-79 yellow on blue (1E)",
        "row 1: 0-1 yellow on blue (1E)",
        "",
    ]


def test_pictures_of_other_sizes_differ_where_there_is_only_one() -> None:
    small, large = (np.zeros((size, size, 3), np.uint8) for size in (3, 5))
    large[1, 1] = 9
    mask = pictures.mask_of(small, large)
    assert np.count_nonzero(mask) == 25 - 9 + 1
    shown = results.difference_picture(small, mask)
    assert (shown[mask] == results.DIFFERS).all()


@pytest.mark.parametrize("pixels", [np.zeros((2, 2), np.uint8), np.zeros((0, 0), np.uint32), 7])
def test_pixels_of_other_shapes_are_refused(pixels: object) -> None:
    with pytest.raises(ScreenError):
        pictures.picture_of(pixels)


def outcome_page(folder: Path) -> str:
    """The page of results; the pictures that it shows are there."""
    page = (folder / "index.html").read_text("utf-8")
    shown = re.findall('src="([^"]+)"', page)
    assert all((folder / unquote(path)).is_file() for path in shown)
    return page


def test_results_are_a_page_with_pictures(written: Callable[[str], Path], run: Run) -> None:
    written(source())
    Path("test_kernel.py").write_text(
        source(says="Hello, <w>orld") + "\ndef test_no_golden(vga):\n    vga(graphics); assert 0\n"
    )
    stale = Path("out/pictures/old-actual.png")
    others = Path("out/pictures/mine.png")
    stale.parent.mkdir(parents=True)
    stale.touch()
    others.touch()
    result = run("--vga-results", "out")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["screens of failed tests: *out/index.html"])
    page = outcome_page(Path("out"))
    captions = re.findall("<figcaption>(.*?)</figcaption>", page)
    assert captions == ["expected", "actual", "difference", "actual"]
    assert '<span class="was">- Hello, world</span>' in page
    assert '<span class="now">+ Hello, &lt;w&gt;orld</span>' in page
    assert "2 tests failed" in page
    assert "<script" not in page
    assert not stale.exists()
    assert others.exists()
    Path("test_kernel.py").write_text(source())
    run("--vga-results", "out").assert_outcomes(passed=1)
    assert "No test with a screen failed" in outcome_page(Path("out"))
    assert names_in(Path("out/pictures")) == ["mine.png"]


@pytest.mark.parametrize("folder", ["/proc/results", "file/results"])
def test_a_folder_of_results_that_cannot_be_written_is_a_line(
    pytester: pytest.Pytester, run: Run, folder: str
) -> None:
    Path("file").touch()
    result = run("--vga-results", folder)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line]
    assert re.fullmatch(r"ERROR: --vga-results .*results: .*; name a folder to write to", line)


def test_a_page_of_somebody_else_is_not_overwritten(pytester: pytest.Pytester, run: Run) -> None:
    Path("index.html").write_text("mine")
    result = run("--vga-results", ".")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "has an index.html of somebody else" in result.stderr.str()
    assert Path("index.html").read_text() == "mine"


def test_pictures_that_cannot_be_written_leave_the_rest(
    pytester: pytest.Pytester, run: Run
) -> None:
    pytester.makepyfile("""
import shutil

def test_it(vga):
    vga().guest.text.print("Hello")
    shutil.rmtree("out")
    open("out", "w").close()
    assert 0
""")
    result = run("--vga-results", "out")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["Hello", "*vga pictures*", "none: *out*", "--vga-results *out: *; no page was written"]
    )


def test_workers_share_goldens_and_results(pytester: pytest.Pytester, run: Run) -> None:
    plural = (
        source().split("def test_it")[0]
        + """
import pytest

@pytest.mark.parametrize("n", range(4))
def test_it(vga, screen, n):
    machine = vga(text)
    machine.guest.text.write_at(0, 5, f"{n}")
    machine.tick()
    assert machine == screen
"""
    )
    pytester.makepyfile(test_kernel=plural)
    run("--snapshot-update").assert_outcomes(passed=4)
    Path("test_kernel.py").write_text(
        plural.replace("{n}", "{n if n else 9}").replace("(4)", "(3)")
    )
    options = "-pxdist.plugin", "-n2", "--vga-results", "out"
    result = pytester.runpytest_subprocess(*PLUGINS, *options)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*2 snapshots failed. 4 snapshots passed. 2 snapshots unused.*"])
    assert "1 test failed" in outcome_page(Path("out"))


def test_a_worker_leaves_others_pictures_and_the_page_alone(tmp_path: Path) -> None:
    """However late it comes, and whenever it ends."""
    whole = results.Results(tmp_path, writes_page=True)
    picture = results.Results(tmp_path, writes_page=False).pictures() / "a-actual.png"
    picture.touch()
    whole.page.unlink()
    results.Results(tmp_path, writes_page=False).pytest_sessionfinish()
    assert picture.exists()
    assert not whole.page.exists()
    whole.pytest_sessionfinish()
    assert picture.exists()
    assert whole.page.exists()


def test_pytest_html_gets_the_pictures(written: Callable[[str], Path], run: Run) -> None:
    pytest.importorskip("pytest_html")
    written(source("graphics"))
    Path("test_kernel.py").write_text(source("graphics", says="Hello"))
    html = "-ppytest_metadata.plugin", "-ppytest_html.plugin"
    result = run(*html, "--html=page.html", "--self-contained-html")
    result.assert_outcomes(failed=1)
    page = Path("page.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") == 3


def test_without_syrupy_only_the_goldens_are_missing(
    pytester: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile("""
def test_vga(vga): assert vga().tick() is True
def test_screen(screen): pass
""")
    result = run("-pno:syrupy")
    result.assert_outcomes(passed=1, errors=1)
    assert "the fixture 'screen' needs syrupy's plugin: drop -p no:syrupy" in result.outlines
    monkeypatch.setitem(sys.modules, "syrupy.assertion", None)
    monkeypatch.delitem(sys.modules, "vgaemu.testing.screens")
    result = run("-pno:syrupy")
    result.assert_outcomes(passed=1, errors=1)
    needs = "the fixture 'screen' needs syrupy: pip install 'vgaemu[pytest]'"
    assert needs in result.outlines
    assert "During handling" not in result.stdout.str()


def test_the_plugin_costs_a_run_of_others_nothing() -> None:
    """What it imports is there in every run of pytest."""
    code = "import pytest, sys; before = set(sys.modules); import vgaemu.testing.plugin; "
    code += "print(*sorted(set(sys.modules) - before))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.split() == [
        "vgaemu", "vgaemu.errors", "vgaemu.testing", "vgaemu.testing.plugin",
    ]  # fmt: skip


def test_our_modules_are_not_compiled_anew_for_pytests_assertions(tmp_path: Path) -> None:
    """As it does with all of a distribution that has a plugin."""
    (tmp_path / "conftest.py").write_text(
        "import pytest\npytest.register_assert_rewrite('vgaemu')\n"
    )
    (tmp_path / "test_it.py").write_text(
        "from vgaemu.keys import table\n"
        "def test(): assert type(table.__loader__).__name__ == 'SourceFileLoader'\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "vgaemu.testing.plugin",
        "-p",
        "no:vgaemu",
    ]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.run(
        [*command, "-p", "no:syrupy"], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout


def test_the_example_passes_and_its_kernel_is_built_from_its_source(
    pytester: pytest.Pytester, run: Run, tmp_path: Path
) -> None:
    pytest.importorskip("unicorn")
    others = shutil.ignore_patterns("granite", "adder")  # see test_waits.py
    shutil.copytree(EXAMPLE, pytester.path, dirs_exist_ok=True, ignore=others)
    result = run("--strict-markers")
    result.assert_outcomes(passed=10)
    assert result.ret == 0  # no golden is left over
    if shutil.which("nasm"):
        built = tmp_path / "built.img"
        source = EXAMPLE / "kernel.asm"
        subprocess.run(["nasm", "-f", "bin", source, "-o", built], check=True, timeout=60)
        assert built.read_bytes() == (EXAMPLE / "kernel.img").read_bytes()


def test_the_page_names_only_options_that_there_are(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pytest_html")
    page = Path(__file__).parents[1] / "docs" / "testing-a-kernel.md"
    named = set(re.findall("--[a-z][a-z-]+", page.read_text("utf-8")))
    told = run("-ppytest_metadata.plugin", "-ppytest_html.plugin", "--help").stdout.str()
    with pytest.raises(SystemExit):
        main(["test", "--help"])
    told += capsys.readouterr().out
    assert named - set(re.findall("--[a-z][a-z-]+", told)) == set()
    assert "--vga-results" in named


def test_machines_and_pictures_do_not_outlive_their_test(
    pytester: pytest.Pytester, run: Run
) -> None:
    pytester.makeconftest("""
import gc
from vgaemu import Machine
from vgaemu.testing.pictures import Picture

def alive():
    gc.collect()
    things = gc.get_objects()
    return {id(thing) for thing in things if issubclass(type(thing), Machine | Picture)}

before = alive()

def pytest_sessionfinish():
    print("left:", len(alive() - before))
""")
    pytester.makepyfile(source() + source("graphics", name="test_other"))
    run("--snapshot-update", "-s").stdout.fnmatch_lines(["*left: 0"])
    run("-s").stdout.fnmatch_lines(["*left: 0"])


@pytest.mark.parametrize("bits", [0, 4, 8, 15, 16, 24, 32])
def test_goldens_of_all_kinds_of_modes_are_read_as_they_were_shown(
    bits: int, tmp_path: Path
) -> None:
    golden = tmp_path / "golden.png"
    random = np.random.default_rng(bits)
    with Machine() as machine:
        for name in [""] if bits else list(NAMES)[::3]:
            if bits:
                machine.guest.set_dispi_mode(64, 48, bits)
            else:
                machine.guest.set_mode(name)
            machine.vga.slot.write(0, random.bytes(1 << 18))
            shown = pictures.picture_of(machine)
            pictures.write_picture(golden, shown)
            read = pictures.read_picture(golden)
            assert read is not None
            assert pictures.same(read, shown)
            assert (read.mode, read.text) == (shown.mode, shown.text)
            assert np.array_equal(read.rgb, rgb_of(machine.screen.full_redraw()))
            with Image.open(golden) as image:
                assert (image.mode == "P") == (bits <= 8)


def test_pytest_finds_the_plugin_where_vgaemu_is_installed() -> None:
    project = tomllib.loads((EXAMPLE.parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
    (name,) = project["entry-points"]["pytest11"].values()
    assert {"vga", "screen"} <= vars(import_module(name)).keys()
