"""Machines under test wait for their guests: what comes, what does not, and what is told then."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

import vgaemu
from vgaemu import ExpectationError, GuestFault, ImageError, KeysError, Machine, WorkloadError
from vgaemu.cli.main import main
from vgaemu.display.find import finder
from vgaemu.pc.lines import places_of
from vgaemu.pc.symbols import Symbol, Symbols, _debug_sections, call_lines, read_symbols
from vgaemu.testing.evidence import Evidence, MachineFactory
from vgaemu.testing.machine import MachineUnderTest
from vgaemu.testing.sections import Made

pytestmark = pytest.mark.turns(2)

EXAMPLES = Path(__file__).parents[1] / "examples" / "testing"
GRANITE = EXAMPLES / "granite" / "granite32.elf"
ADDER = EXAMPLES / "adder"
SNAKE = EXAMPLES.parent / "guests" / "snake.img"


@pytest.fixture
def granite() -> Iterator[MachineUnderTest]:
    pytest.importorskip("unicorn")
    with MachineUnderTest(GRANITE, exit_port=0xF4) as machine:
        yield machine


def says(*lines: str):
    """A guest in Python that prints a line a frame, and ends."""

    def workload(guest):
        for line in lines:
            guest.text.print(line + "\n")
            yield

    return workload


def endless(guest):
    while True:
        yield


@pytest.mark.parametrize(
    ("sought", "line", "end"),
    [
        ("$ ", "me@host:~$ ", 11), ("C:\\>", "C:\\>dir", 4), (r"^task \d+$", "task 12", 7),
        ("[1/2] ok", "[1/2] ok", 8), ("(", "a(b", 2), ("(", "ab", -1),
        (re.compile("a.c"), "abc", 3), (re.compile("a.c"), "a", -1), ("a.c", "abc", 3),
    ],
)  # fmt: skip
def test_a_text_is_found_as_it_stands_or_as_an_expression(sought, line, end):
    assert finder(sought)(line, 0) == end


def test_a_machine_finds_a_prompt_that_is_an_expression_too():
    with Machine(says("user$ ", "C:\\>")) as machine:
        assert machine.wait_for_text("user$ ", 3)
        assert machine.wait_for_text("C:\\>", 3)
        assert not machine.wait_for_text("C:\\\\>>", 3)


def test_a_conversation(granite):
    assert granite.wait_for_text("$ ")
    granite.keys.type("sum 2 3\n")
    granite.wait_for_serial("5\n$ ")
    assert granite.serial == "Granite, 32 bits\n$ sum 2 3\n5\n$ "
    granite.keys.type("exit 3\n")
    assert granite.wait_for_exit() == 7


def test_what_was_waited_for_on_the_serial_port_is_behind_us(granite):
    granite.wait_for_serial("$ ")
    with pytest.raises(ExpectationError, match=r"^'\$ ' on the serial port did not come within "):
        granite.wait_for_serial("$ ", timeout=0.05)
    granite.keys.type("\n")
    granite.wait_for_serial("$ ", timeout=0.5)


def test_what_is_not_utf8_on_the_serial_port_counts_as_bytes():
    with MachineUnderTest() as machine:
        log = machine._serial
        log._sent += "é".encode() + b"\xff$ "
        assert log.looks_for("$ ")()
        assert not log.looks_for("$ ")()
        log._sent += b"$ "
        assert log.looks_for("$ ")()


@pytest.mark.parametrize(
    ("guest", "wait", "told"),
    [
        (endless, lambda m: m.wait_for_text("login:", timeout=0.5),
         "'login:' on the screen did not come within 0.5 s of the guest's time; "
         "the screen is blank"),
        (says("a", "b "), lambda m: m.wait_for_text("login:"),
         "'login:' on the screen did not come: the guest has ended after 0.05 s of its time; "
         "the last row is 'b'"),
        (endless, lambda m: m.wait_until(lambda: False, 0.1, "peace"),
         "peace did not come within 0.1 s of the guest's time"),
        (endless, lambda m: m.wait_for_exit(timeout=0.2),
         "the guest's end did not come within 0.2 s of the guest's time"),
    ],
)  # fmt: skip
def test_what_does_not_come_is_told_in_a_line(guest, wait, told):
    with MachineUnderTest(guest) as machine, pytest.raises(ExpectationError) as caught:
        wait(machine)
    assert str(caught.value) == told
    assert isinstance(caught.value, AssertionError)


def test_a_graphics_mode_has_no_text():
    with MachineUnderTest(mode=0x13) as machine, pytest.raises(ExpectationError) as caught:
        machine.wait_for_text("x", timeout=0.05)
    assert str(caught.value).endswith("the screen is in mode 320x200x256, which has no text")


def test_the_host_has_a_limit():
    limited = MachineUnderTest(endless, host_limit=0.01)
    with limited as machine, pytest.raises(ExpectationError) as caught:
        machine.wait_for_text("login:", timeout=86_400)
    assert "0.01 s of the host's time are over, after" in str(caught.value)
    assert str(caught.value).partition(";")[2].startswith(" give the machine a larger host_limit")


def test_frames_ask_as_a_machine_does():
    with MachineUnderTest(endless) as machine:
        assert machine.wait_for_text("login:", frames=2) is False
        machine.wait(0.1)
        assert machine.frames == 2 + 6


def test_waiting_ends_with_the_guest():
    with MachineUnderTest(says("a")) as machine:
        machine.wait(5)
        assert machine.frames < 5
        assert machine.wait_for_exit() == 0


def test_only_machine_code_has_a_serial_port():
    with MachineUnderTest(endless) as machine, pytest.raises(WorkloadError, match=r"^serial: "):
        machine.wait_for_serial("x")


def test_output_is_the_screen_or_a_port(granite):
    granite.wait_for_output("Granite")
    granite.wait_for_output("32 bits")


def test_a_long_text_is_typed_as_it_is_taken(granite):
    granite.wait_for_text("$ ")
    granite.type("more than a buffer takes\n")
    granite.wait_for_text("no command: more than a buffer takes")
    with pytest.raises(KeysError, match="no key types 'é'"):
        granite.type("é")


def test_an_exit_by_a_port_that_nobody_has(granite):
    pytest.importorskip("unicorn")
    with MachineUnderTest(GRANITE) as machine:
        machine.wait_for_text("$ ")
        machine.keys.type("exit 1\n")
        with pytest.raises(ExpectationError, match=r"wrote to port 0xf4: say exit_port=0xf4$"):
            machine.wait_for_exit(timeout=0.1)


def test_a_fault_is_told_with_the_functions_that_led_to_it(granite):
    granite.wait_for_text("$ ")
    granite.keys.type("crash\n")
    with pytest.raises(GuestFault) as caught:
        granite.wait(1)
    lines = caught.value.report.splitlines()
    at = lines.index("in crash")
    told = [re.sub(r"\+0x\w+$", "", line) for line in lines[at : at + 4]]
    assert told == ["in crash", "called from run", "called from kmain", "called from start"]
    told_of = dict(Made(granite, "granite32.elf", granite.port_tail).sections())
    assert "called from run" in told_of["processor"]
    assert told_of["serial port"] == "Granite, 32 bits\n$ crash"


def test_symbols():
    data = GRANITE.read_bytes()
    symbols = read_symbols(data)
    named = {symbol.name: symbol for symbol in symbols._symbols}
    assert {"start", "kmain", "run", "crash", "put"} <= named.keys()
    assert named["start"].address == 0x10000C
    run = named["run"]
    assert symbols.name(run.address) == "run"
    assert symbols.name(run.address + 5) == "run+0x5"
    # A call that ends a function returns into the next.
    assert symbols.name(run.address + run.size, returns=True) == f"run+{run.size:#x}"
    assert symbols.name(0x500) == ""


@pytest.mark.parametrize("cut", [5, 40, 100, 1500])
def test_what_is_no_whole_elf_file_has_no_symbols(cut):
    assert len(read_symbols(GRANITE.read_bytes()[:cut])) == 0
    assert len(read_symbols(b"MZ" + bytes(100))) == 0


def test_symbols_of_an_elf_file_of_64_bits(tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("no gcc (gcc)")
    source = "int outer(void); int inner(void) { return 1; } int outer(void) { return inner(); }"
    done = subprocess.run(
        ["gcc", "-m64", "-c", "-xc", "-", "-o", "it.o"], input=source.encode(), cwd=tmp_path,
        capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = [symbol.name for symbol in read_symbols((tmp_path / "it.o").read_bytes())._symbols]
    assert names == ["inner", "outer"]


@pytest.fixture(scope="module")
def with_lines(tmp_path_factory) -> Path:
    """Granite as `make CFLAGS+=-g` makes it, with a name for each version of DWARF."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc (gcc)")
    folder = tmp_path_factory.mktemp("granite")
    shutil.copytree(EXAMPLES / "granite", folder, dirs_exist_ok=True)
    flags = (folder / "Makefile").read_text().split("CFLAGS = ")[1].split("\n\n")[0]
    flags = flags.replace("\\\n", " ").replace("LDFLAGS = ", "")
    for version in (2, 4, 5):
        done = subprocess.run(
            ["gcc", "-m32", "-march=i686", *flags.split(), f"-gdwarf-{version}",
             "start32.S", "kernel.c", "-o", f"{version}.elf"],
            cwd=folder, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("version", [2, 4, 5])
def test_lines_are_told_with_the_functions(with_lines, version):
    with MachineUnderTest(with_lines / f"{version}.elf") as machine:
        machine.wait_for_text("$ ")
        machine.keys.type("crash\n")
        with pytest.raises(GuestFault) as caught:
            machine.wait(1)
    found = re.findall(r"^(?:in|called from) (\w+)\S* \((\S+):(\d+)\)$", caught.value.report, re.M)
    assert [function for function, *_ in found] == ["crash", "run", "kmain", "start"]
    sources = {name: (with_lines / name).read_text().splitlines() for _, name, _ in found}
    lines = [sources[name][int(line) - 1] for _, name, line in found]
    for line, said in zip(lines, ["ud2", "crash", "run(", "call"], strict=True):
        assert said in line


@pytest.mark.parametrize(
    ("advance", "found"),
    [
        ("02 04", {0x1000: "a.c:1"}),
        ("02 84 80 80 00", {0x1000: "a.c:1"}),
        ("02" + "80" * 10 + "04", {}),  # no number has so many bytes
        ("09 04 00", {0x1000: "a.c:1"}),
        ("ee", {0x1000: "a.c:1"}),  # by 16
    ],
)
def test_lines_of_a_program_by_hand(advance, found):
    header = bytes.fromhex(
        "01 01 01 fb 0e 0d 00 01 01 01 01 00 00 00 01 00 00 01 00 00 01 01 08 02"
    )
    names = b"folder/a.c\0folder/a.c\0"
    program = bytes.fromhex(f"00 09 02 0010000000000000 01 {advance} 00 01 01")
    length = len(header + names).to_bytes(4, "little")
    unit = b"\5\0\4\0" + length + header + names + program
    line_programs = len(unit).to_bytes(4, "little") + unit
    assert places_of({".debug_line": line_programs}, [0xFFF, 0x1000, 0x1010]) == found


def test_lines_are_those_of_addr2line(with_lines):
    for version in (2, 5):
        path = with_lines / f"{version}.elf"
        symbols = read_symbols(path.read_bytes())
        first = min(symbol.address for symbol in symbols._symbols)
        addresses = range(first, first + 0x500)
        said = subprocess.run(
            ["addr2line", "-e", path, *map(hex, addresses)],
            capture_output=True, text=True, timeout=60, check=True,
        ).stdout.splitlines()  # fmt: skip
        told = [line.split(" (")[0].rpartition("/")[2] for line in said]
        found = symbols.places(addresses)
        assert [found.get(address, "??:0").replace("??:0", "?") for address in addresses] == [
            "?" if "?" in line else line for line in told
        ]
        assert len(found) > 600


def test_what_says_lines_may_say_anything(with_lines, monkeypatch):
    monkeypatch.setattr("vgaemu.pc.lines.MOST_STEPS", 5000)
    chance = Random(1)
    for version in (2, 5):
        data = (with_lines / f"{version}.elf").read_bytes()
        debug = dict(_debug_sections(data))[".debug_line"]
        begin = data.index(debug)
        address = next(s.address for s in read_symbols(data)._symbols if s.name == "crash")
        assert read_symbols(data).places([address])[address].startswith("kernel.c:")
        for _ in range(100):
            broken = bytearray(data)
            for _ in range(chance.choice((1, 3, 30))):
                broken[begin + chance.randrange(len(debug))] = chance.choice((0, 1, 0xFF, 0x80))
            for place in read_symbols(bytes(broken)).places([address]).values():
                assert "\n" not in place
    # 2 ** 62 files without a name each; and more than there is.
    head = (
        bytes.fromhex("05 00 04 00")
        + (20).to_bytes(4, "little")
        + bytes.fromhex("01 01 01 fb 0e 0d")
    )
    endless = head + bytes(12) + b"\0\0\0" + b"\xff" * 8 + b"\x3f"
    unit = len(endless).to_bytes(4, "little") + endless
    assert places_of({".debug_line": unit}, [0x1000]) == {}
    assert places_of({".debug_line": bytes(100_000)}, [0x1000]) == {}
    assert places_of({}, [0x1000]) == {}


def test_a_long_string_is_not_read_for_each_entry():
    # A million names would be the same gigabytes: of DWARF 5, each by an offset of four bytes.
    entries = 16
    tables = bytes([0, 0, 1, 1, 0x1F, entries]) + bytes(4 * entries)
    head = bytes.fromhex("01 01 01 fb 0e 0d") + bytes(12) + tables
    unit = b"\5\0\4\0" + len(head).to_bytes(4, "little") + head
    strings = b"A" * (1 << 22) + b"\0"
    sections = {".debug_line": len(unit).to_bytes(4, "little") + unit, ".debug_line_str": strings}
    tracemalloc.start()
    try:
        assert places_of(sections, [0x1000]) == {}
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_chain_of_frames_that_goes_in_a_circle_ends():
    symbols = Symbols([Symbol(0x1000, 0x100, "f")])
    memory = bytearray(0x1100)
    memory[0x1000] = 0x55
    memory[0x40:0x48] = (0x40).to_bytes(4, "little") + (0x1010).to_bytes(4, "little")

    def read(at: int, count: int) -> bytes:
        return bytes(memory[at : at + count])

    assert call_lines(symbols, read, 0x1020, 0x40, 0) == ["in f+0x20", "called from f+0x10"]
    assert call_lines(symbols, read, 0x1020, 0xFFFF_FFFF, 0) == ["in f+0x20"]
    assert call_lines(symbols, read, 0x50, 0x40, 0) == []


def test_a_seed_sets_ticks_and_clock_as_in_an_environment():
    def begun(seed: int | None) -> tuple[int, int]:
        with MachineUnderTest(SNAKE, seed=seed) as machine:
            ticks = int.from_bytes(machine.ram[0x46C:0x470], "little")
            return ticks, machine.pc.board.cmos.ahead_s

    assert begun(7) == begun(7) != begun(8)
    assert begun(None) == begun(None) != begun(7)
    numbers = np.random.default_rng(7)
    assert begun(7) == (numbers.integers(0x1800B0), numbers.integers(10 * 365 * 86_400))
    for seed, workload, told in (
        (-1, SNAKE, "seed=-1: a whole number, at least 0"),
        ("now", SNAKE, "seed='now': a whole number, at least 0"),
        (1, "typing", "seed=1: only machine code has one"),
    ):
        with pytest.raises(WorkloadError, match=f"^{told}$"):
            MachineUnderTest(workload, seed=seed)


def run_test(*words: str, capsys) -> tuple[int, str, str]:
    status = main(["test", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["--expect", "32 bits"], 0, "passed, "),
        (["--expect", "$ ", "--type", r"sum 20 3\n", "--expect", "23"], 0, "passed, "),
        (["--expect", "$ ", "--type", r"exit 3\n", "--exit-port", "0xf4", "--exit-code", "7"], 0,
         "passed, "),
        (["--keys", "2:e,2:x,2:i,2:t,2:enter", "--exit-port", "0xf4", "--exit-code", "1"], 0,
         "passed, "),
        (["--expect", "$ ", "--type", r"exit 3\n", "--exit-port", "0xf4", "--exit-code", "1"], 1,
         "ended with code 7, not 1"),
        (["--expect", "64 bits", "--timeout", "0.1"], 1,
         "'64 bits' on the screen, the serial port or port E9h did not come within 0.1 s"),
        (["--type", r"crash\n", "--timeout", "1"], 1, "a triple fault"),
        (["--timeout", "0.05"], 0, "passed, 0.05 s of the guest's time"),
    ],
)  # fmt: skip
def test_the_command(words, status, told, capsys):
    pytest.importorskip("unicorn")
    got, out, err = run_test(str(GRANITE), *words, capsys=capsys)
    first = (out or err).splitlines()[0]
    assert (got, told in first) == (status, True), first
    if status:
        assert "--- screen" in err
        assert "Granite, 32 bits" in err
        assert "--- serial port" in err


def test_the_command_keeps_a_picture(tmp_path, capsys):
    source = tmp_path / "guest.py"
    source.write_text("def workload(guest):\n guest.set_mode(0x13)\n while True:\n  yield\n")
    picture = tmp_path / "last.png"
    words = [str(source), "--expect", "x", "--timeout", "0.1"]
    status, _, err = run_test(*words, "--screenshot", str(picture), capsys=capsys)
    assert (status, picture.exists()) == (1, True)
    assert "keeps the picture" not in err
    assert "--screenshot F.png keeps the picture" in run_test(*words, capsys=capsys)[2]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name what is to run"),
        (["nothing.img"], "nothing.img: "),
        ([str(GRANITE), "--type", "é"], "--type: no key types 'é'"),
        ([str(GRANITE), "--keys", "x"], "--keys: "),
        ([str(GRANITE), "--screenshot", "no/such/folder.png"], "no/such/folder.png: "),
        (["typing", "--memory", "4"], "--memory: only for machine code"),
    ],
)
def test_wrong_usage_is_2(words, told, capsys):
    status, _, err = run_test(*words, capsys=capsys)
    assert (status, err.count("\n")) == (2, 1)
    assert told in err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--timeout", "0"), ("--timeout", "x"), ("--exit-code", "256"), ("--expect", "")],
)
def test_values_are_looked_at(option, value, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["test", str(GRANITE), option, value])
    assert caught.value.code == 2
    assert f"argument {option}: " in capsys.readouterr().err


@pytest.mark.parametrize("bits", [32, 64])
def test_granite_is_what_its_sources_are(bits, tmp_path):
    for tool in ("gcc", "make", "objcopy"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} ({'binutils' if tool == 'objcopy' else tool})")
    folder = tmp_path / "granite"
    shutil.copytree(EXAMPLES / "granite", folder, ignore=shutil.ignore_patterns("*.elf"))
    name = f"granite{bits}.elf"
    done = subprocess.run(
        ["make", name, "CC=gcc"], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    built, kept = ((at / name).read_bytes() for at in (folder, EXAMPLES / "granite"))
    compiler = re.compile(rb"GCC: [^\0]+")
    if compiler.findall(built) == compiler.findall(kept):
        assert built == kept
    pytest.importorskip("unicorn")
    with MachineUnderTest(folder / name) as machine:
        machine.wait_for_text(f"Granite, {bits} bits")


def test_several_texts_in_a_file_of_options(tmp_path, capsys):
    path = tmp_path / "options.toml"
    path.write_text('[test]\nexpect = ["Granite", "$ "]\ntype = "sum 1 1\\\\n"\n')
    pytest.importorskip("unicorn")
    status, _, err = run_test(str(GRANITE), "--conf", str(path), capsys=capsys)
    assert (status, err) == (0, "")
    assert main(["test", "--conf", str(path), "--print-conf"]) == 0
    assert 'expect = ["Granite", "$ "]' in capsys.readouterr().out
    path.write_text("[test]\nexpect = [[1]]\n")
    assert run_test(str(GRANITE), "--conf", str(path), capsys=capsys)[0] == 2


def run_pytest(folder: Path, *words: str) -> str:
    """What pytest prints in a folder, as it is for whoever has nothing else installed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
         "-p", "vgaemu.testing.plugin", *words],
        cwd=folder, capture_output=True, text=True, timeout=120,
        env={"PATH": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
             "PYTHONPATH": str(Path(vgaemu.__file__).parents[1])},
    )  # fmt: skip
    return done.stdout


def copied(name: str, tmp_path: Path) -> Path:
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.parametrize(
    ("name", "told"), [("granite", "(6 passed, 1 skipped|7 passed)"), ("adder", "7 passed")]
)
@pytest.mark.turns(4)
def test_an_example(name, told, tmp_path):
    pytest.importorskip("unicorn")
    printed = run_pytest(copied(name, tmp_path), f"test_{name}.py")
    assert re.search(f"^{told}", printed.splitlines()[-1]), printed


def test_examples_take_no_settings_from_above(tmp_path):
    """As where they are called in a clone of vgaemu, whose own tests have others."""
    pytest.importorskip("unicorn")
    (tmp_path / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\naddopts = '--doctest-modules -p no:syrupy'\n"
    )
    folder = copied(".", tmp_path / "examples")
    printed = run_pytest(folder, "--collect-only")
    assert "test_kernel.py::" in printed
    assert "granite/test_granite.py::" in printed
    assert "grader" not in printed
    assert "make_submissions" not in printed
    assert not [path.name for path in folder.iterdir() if path.name.startswith("-")]
    assert "passed" in run_pytest(folder, "test_kernel.py")


def test_what_the_page_shows_runs(tmp_path):
    """Each test of `docs/testing-a-kernel.md`, with the kernels that it names."""
    pytest.importorskip("unicorn")
    page = (EXAMPLES.parents[1] / "docs" / "testing-a-kernel.md").read_text("utf-8")
    shutil.copy(GRANITE, tmp_path / "kernel.elf")
    shutil.copy(EXAMPLES / "kernel.img", tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    uses = {"booted_state": "def test_it(booted):\n    booted.wait_for_text('Press a key')\n"}
    for number, block in enumerate(blocks):
        more = next((test for name, test in uses.items() if name in block), "")
        (tmp_path / f"test_{number}.py").write_text(f"{block}\n\n{more}", "utf-8")
    pytest.importorskip("syrupy")
    printed = run_pytest(tmp_path, "-p", "syrupy", "--snapshot-update")
    assert printed.splitlines()[-1].startswith(f"{len(blocks)} passed"), printed


@pytest.mark.turns(4)
def test_the_grader(tmp_path):
    pytest.importorskip("unicorn")
    folder = copied("adder", tmp_path) / "grader"
    environment = {"PYTHONPATH": str(Path(vgaemu.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "make_submissions.py", "all", "10"], cwd=folder, timeout=60,
        env=environment,
    )  # fmt: skip
    assert done.returncode == 0
    printed = run_pytest(folder, "--tb=no", "--submissions", "all", "--grades", "grades.csv")
    with (folder / "grades.csv").open(encoding="utf-8") as file:
        grades = [(row["submission"], row["points"], row["of"]) for row in csv.DictReader(file)]
    points = [12, 12, 12, 0, 12, 12, 0, 12, 12, 3]
    wanted = [(f"student{i:03}", str(n), "12") for i, n in enumerate(points)]
    assert grades == wanted, printed
    assert "12 of 12: 7 submissions" in printed


@pytest.mark.parametrize("words", [[], ["all", "many"], ["all", "1", "2"]])
def test_the_submissions_maker_says_what_it_takes(words, tmp_path):
    path = ADDER / "grader" / "make_submissions.py"
    done = subprocess.run(
        [sys.executable, path, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert (
        done.stderr == "make_submissions.py FOLDER [NUMBER]: writes so many submissions, or 200\n"
    )
    assert not list(tmp_path.iterdir())


def test_adder_is_what_its_source_is(tmp_path):
    if shutil.which("nasm") is None:
        pytest.skip("no nasm (nasm)")
    built = tmp_path / "adder.exe"
    command = ["nasm", "-f", "bin", str(ADDER / "adder.asm"), "-o", str(built)]
    subprocess.run(command, check=True, timeout=60)
    assert built.read_bytes() == (ADDER / "adder.exe").read_bytes()


def test_files_beside_the_test_are_found(tmp_path):
    pytest.importorskip("unicorn")
    (tmp_path / "words.txt").write_text("1")
    (tmp_path / "other.txt").write_text("2")
    shutil.copy(GRANITE, tmp_path)
    evidence = Evidence("test", lambda: tmp_path, attach=False)
    with MachineFactory(evidence, [tmp_path]) as vga:
        initrd = "words.txt and more,other.txt"
        machine = vga(GRANITE.name, initrd=initrd, symbols=GRANITE.name, host_limit=99)
        first, second = machine.pc.image.modules
        assert (first.data, second.data) == (b"1", b"2")
        assert first.words.endswith("and more")


def test_symbols_may_lie_elsewhere(tmp_path, capsys):
    pytest.importorskip("unicorn")
    stripped = tmp_path / "stripped.elf"
    data = bytearray(GRANITE.read_bytes())
    data[48:50] = bytes(2)  # no section headers
    stripped.write_bytes(data)
    words = [str(stripped), "--type", r"crash\n", "--timeout", "1"]
    assert "in crash" not in run_test(*words, capsys=capsys)[2]
    status, _, err = run_test(*words, "--symbols", str(GRANITE), capsys=capsys)
    assert (status, "in crash\ncalled from run" in err) == (1, True)
    status, _, err = run_test(*words, "--symbols", str(stripped), capsys=capsys)
    assert (status, err.count("\n")) == (2, 1)
    assert "not stripped" in err
    with pytest.raises(ImageError, match=r"^--symbols nothing\.elf: No such file"):
        MachineUnderTest(GRANITE, symbols="nothing.elf")
