"""What code is called where a fault is told of, and in traces; symbols themselves: `test_waits`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from x86_helpers import CPUS, disk

from vgaemu import GuestFault, ImageError, Machine
from vgaemu.cli.main import main

GRANITE = Path(__file__).parents[1] / "examples" / "testing" / "granite"
#: ``ud2`` in the kernel's source.
SOURCE = (GRANITE / "kernel.c").read_text().splitlines()
CRASH = 1 + next(number for number, line in enumerate(SOURCE) if "ud2" in line)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Granite as `make CFLAGS+=-g` makes it."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc (gcc)")
    folder = tmp_path_factory.mktemp("granite")
    shutil.copytree(GRANITE, folder, dirs_exist_ok=True)
    flags = (folder / "Makefile").read_text().split("CFLAGS = ")[1].split("\n\n")[0]
    flags = flags.replace("\\\n", " ").replace("LDFLAGS = ", "")
    command = ["gcc", "-m32", "-march=i686", *flags.split(), "-g", "start32.S", "kernel.c", "-o"]
    done = subprocess.run(
        [*command, "lines.elf"], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return folder / "lines.elf"


def crash(machine: Machine) -> GuestFault:
    """Have it execute an unknown opcode, without a table of interrupts."""
    assert machine.wait_for_text("$ ", frames=400)
    machine.keys.type("crash\n")
    with pytest.raises(GuestFault) as caught:
        machine.tick(600)
    return caught.value


@pytest.mark.parametrize("cpu", CPUS)
def test_the_line_of_a_triple_fault_says_where(kernel: Path, cpu: str) -> None:
    pytest.importorskip("unicorn")
    with Machine(kernel, cpu=cpu, vram_mib=1) as machine:
        said = str(crash(machine))
    assert "triple fault" in said
    assert said.endswith(f", in crash (kernel.c:{CRASH})")
    assert "\n" not in said


def test_what_a_disk_has_no_symbols_for(tmp_path: Path, kernel: Path) -> None:
    pytest.importorskip("unicorn")
    path = disk(tmp_path, bytes.fromhex("0F0B"))  # ud2
    with Machine(path, vram_mib=1) as machine, pytest.raises(GuestFault) as caught:
        machine.tick()
    assert str(caught.value).endswith("at 0000:7C00, and no handler")
    with pytest.raises(ImageError, match=r"--symbols .*: none in it; name the kernel's ELF file"):
        Machine(path, symbols=path)


@pytest.mark.parametrize("told", [True, False])
def test_traces_say_function_and_line(tmp_path: Path, kernel: Path, told: bool) -> None:
    """Of a kernel whose symbols are its own, and of one that is told where they are."""
    pytest.importorskip("unicorn")
    bare, trace = tmp_path / "bare.elf", tmp_path / "trace"
    subprocess.run(["strip", "-o", bare, kernel], check=True, timeout=60)
    options = {"symbols": kernel} if told else {}
    path = bare if told else kernel
    with Machine(path, trace_ports=trace, trace_code=True, vram_mib=1, **options) as machine:
        report = crash(machine).report
    line = re.compile(r" (\w+) +03f8 \w\w  (\w+)\+0x\w+ \(kernel.c:(\d+)\)$", re.M)
    found = line.findall(trace.read_text())
    assert {(way, function) for way, function, *_ in found} == {("out", "put")}
    # The function is inlined: its line is that of the instruction.
    assert all("out" in SOURCE[int(number) - 1] for *_, number in found)
    executed = report.partition("executed,")[2]
    assert re.search(r"^in run \(kernel.c:\d+\):$", executed, re.M)
    assert executed.splitlines()[-2] == f"in crash (kernel.c:{CRASH}):"


def test_the_command_takes_symbols(tmp_path: Path, kernel: Path, capsys) -> None:
    pytest.importorskip("unicorn")
    bare = tmp_path / "bare.elf"
    subprocess.run(["strip", "-o", bare, kernel], check=True, timeout=60)
    keys = ",".join(f"{20 + 2 * n}:{key}" for n, key in enumerate([*"crash", "enter"]))
    run = ["run", str(bare), "--headless", "--keys", keys, "--frames", "90"]
    assert main([*run, "--symbols", str(kernel)]) == 1
    first = capsys.readouterr().err.splitlines()[0]
    assert first.endswith(f"a triple fault, in crash (kernel.c:{CRASH})")
    assert main([*run, "--symbols", "none.elf"]) == 2
    assert (
        capsys.readouterr().err
        == "vgaemu: --symbols none.elf: No such file or directory; name the kernel's ELF file\n"
    )
