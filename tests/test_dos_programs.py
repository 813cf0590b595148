"""Programs that ask DOS: each writes a report to OUT.TXT, the same on every CPU.

FreeDOS (its kernel of 2003, under QEMU) gives the same reports but for these: its chain of blocks
has holes below the program; in `xms` its HIMEM says A7h for an offset behind the block and resizes
no second block; in `lists` 59h says no class for error 0Fh; `starts` stands still there in the
end, and DOSBox knows no INT 23h.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from x86_helpers import CPUS

from vgaemu.machine import Machine

pytest.importorskip("unicorn")
PROGRAMS = Path(__file__).parent / "programs"
REPORTS = {
    "handles": (
        "0000 0005 000A 0006 0002 0003 2340005 0000 E0006 0000 0000 6B21 2345 0004 0000 0004 0000 ",
        "0001 0014 0000 0028 E0006 E0006 ",
        "0000 E0002 E0050 0000 0000 0021 E0005 0000 0000 E0005 0000 0000 FOLDER 0000 C:\\B.DAT "
        "0005 0000 0000 0000 E0003 ",
        "0000 B.DAT 0004 E0012 0012 0000 E0002 E0003 0005 0000 0084 0005 0000 ",
    ),
    "chain": (
        "E0008 0000 0201 0242 0244 0265 0267 0298 ",
        "0000 0000 0000 0244 0000 0000 0000 0201 E0008 0040 0000 0000 E0009 ",
        "0001 0200 M 0001 0010 M 0000 002F M 0001 0001 M 0000 0018 M 0000 0007 M 0001 0001 M "
        "0000 0030 M 0001 0001 M 0000 9BAB M 0000 Z ",
    ),
    "fcb": (
        "0000 0008 0000 0000 0000 0000 0003 0030 0000 ",
        "0000 0080 0030 0000 6262 0000 0001 0000 6161 0061 0002 0003 0002 6362 0003 0000 0003 0000 "
        "0020 0000 ",
        "0000 0000 REC     DOT0020 00FF 0000 0001 0000 00FF 00FF ",
    ),
    "lists": (
        "0001 0002 000A 000A 0001 A       DAT", "0002 0002 000A 0005 0001 A       DAT",
        "0001 0002 000A 0005 0001 A       DAT", "0000 ", "0093 CON        8003 ",
        "0000 0001 0001 0001 0001 0001 00FF 000F 0803 0002 FFFF 5C3A 4000 0002 ", "!0001 0000 ",
    ),
    "xms": (
        "0080 0001 0001 0000 0001 E00A0 0001 0001 0001 in extended memory",
        "E00A4 E00A3 E00A7 0001 E00AB E00AB 0100 0040 0001 E00AA 0001 0080 0001 E00A2 0001 E0080 ",
    ),
    "extender": (
        "0000 0001 0001 0001 ", "asked from protected mode", "0400 DC60 0201 0001 0070 0001 ",
    ),
    "creates": ("0003 0021 E0005 E0005 E0005 0003 0021 ", "0021 0021 0021 E0005 "),
    "starts": (
        "0007 written by a child", "0012 in two lin7712 0008 ", "0309 1234 E0002 0100 ",
    ),
}  # fmt: skip


def executes_interrupts() -> bool:
    """Whether KVM has a processor below it; its own emulator has no INT of protected mode."""
    return any(flag in Path("/proc/cpuinfo").read_text().split() for flag in ("vmx", "svm"))


def report(machine: Machine, folder: Path, frames: int = 300) -> list[str]:
    """What the program has written once it has ended."""
    for _ in range(frames):
        if machine.runner.exit_code is not None:
            break
        machine.tick(1)
    assert machine.runner.exit_code == 0, machine.screen.text()
    return (folder / "out.txt").read_bytes().decode("cp437").split("\r\n")[:-1]


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("name", REPORTS)
def test_a_program_finds_dos(tmp_path: Path, name: str, cpu: str) -> None:
    if (name, cpu) == ("extender", "kvm") and not executes_interrupts():
        pytest.skip("this host's KVM executes no INT in protected mode (no VMX or SVM)")
    shutil.copy(PROGRAMS / f"{name}.com", tmp_path)
    with Machine(str(tmp_path / f"{name}.com"), dos_root=tmp_path, cpu=cpu) as machine:
        assert [line for line in report(machine, tmp_path) if line] == [*REPORTS[name]]


IDLE = [
    "FFFF 0000 001A 0000 0000 0000 0000 0000 ",
    "006B FFFF 0001 0001 0003 0000 0000 0000 0000 0002 ",
    "a\r0001 b0003 0000 0001 0001 0000 ",
]  # fmt: skip


@pytest.mark.parametrize("cpu", CPUS)
def test_a_program_is_called_while_dos_waits(tmp_path: Path, cpu: str) -> None:
    # FreeDOS calls INT 28h with 06h, but not with 0Bh; MS-DOS (4, in its source) with both.
    shutil.copy(PROGRAMS / "idle.com", tmp_path)
    with Machine(str(tmp_path / "idle.com"), dos_root=tmp_path, cpu=cpu) as machine:
        for keys in ("k", "a\n", "b\n"):
            machine.tick(5)
            machine.keys.type(keys)
        assert report(machine, tmp_path) == IDLE


SECTORS = "0000 0001 AA55 0200 0300 0201 6900 0001 440D 0001 "
FAILED = "E0005 0053 0D04 0001 "


def tick_until(machine: Machine, done: Callable[[], bool]) -> None:
    for _ in range(300):
        if done():
            return
        machine.tick(1)
    raise AssertionError(machine.screen.text())


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A folder that goes away, with a program that waits for that and for its return."""
    folder = tmp_path / "c"
    folder.mkdir()
    shutil.copy(PROGRAMS / "critical.com", folder)
    (folder / "A.TXT").touch()
    return folder


@pytest.mark.parametrize("cpu", CPUS)
def test_a_program_answers_critical_errors(drive: Path, cpu: str) -> None:
    # Twice again, then the call fails; what it finds: AH, AL, DI, and the call's registers.
    with Machine(str(drive / "critical.com"), dos_root=drive, cpu=cpu) as machine:
        tick_until(machine, (drive / "out.txt").exists)
        away = drive.rename(drive.parent / "away")
        tick_until(machine, lambda: (away / "out.txt").read_bytes().count(b"\n") > 0)
        away.rename(drive)
        lines = report(machine, drive)
    found = lines[0].split()
    assert found[:3] == ["1C02", "0002", "3D00"]
    assert found == found[:4] * 3
    assert lines[1:] == [FAILED, "1234 0003 back", SECTORS]


def test_critical_errors_are_asked_about(drive: Path) -> None:
    with Machine(str(drive / "critical.com"), args=["asks"], dos_root=drive) as machine:
        machine.tick(2)
        away = drive.rename(drive.parent / "away")
        machine.tick(2)
        for keys in ("xr", "f"):
            machine.keys.type(keys)
            machine.tick(4)
        away.rename(drive)
        machine.keys.type("r")
        lines = report(machine, drive)
        asked = [line.rstrip() for line in machine.screen.text() if line.strip()]
    assert asked[::2] == ["Not ready reading drive C"] * 3
    assert asked[1::2] == [f"Abort, Retry, Fail? {answer}" for answer in "RFR"]
    assert lines == [FAILED, "back", SECTORS]


@pytest.mark.parametrize("name", ["handles", "starts"])
def test_a_state_of_any_moment_goes_on(tmp_path: Path, name: str) -> None:
    # A frame is 14 ms: a few of them have programs begun, files open, handles moved.
    (tmp_path / "a").mkdir()
    path = Path(shutil.copy(PROGRAMS / f"{name}.com", tmp_path / "a"))
    with Machine(str(path), dos_root=path.parent) as machine:
        for nth in range(300):
            if machine.runner.exit_code is not None:
                break
            machine.save_state(tmp_path / f"{nth}.npz")
            shutil.copytree(path.parent, tmp_path / f"then{nth}")
            machine.tick(1)
    nth = nth // 2
    folder = tmp_path / f"then{nth}"
    with Machine(str(folder / path.name), dos_root=folder) as machine:
        machine.load_state(tmp_path / f"{nth}.npz")
        assert [line for line in report(machine, folder) if line] == [*REPORTS[name]]


@pytest.mark.parametrize("cpu", CPUS)
def test_a_program_does_more_at_its_end(tmp_path: Path, cpu: str) -> None:
    # As PMODE/W does: its prefix leads to code of its own, which goes on to where that led before.
    shutil.copy(PROGRAMS / "ends.com", tmp_path)
    with Machine(str(tmp_path / "ends.com"), dos_root=tmp_path, cpu=cpu) as machine:
        tick_until(machine, lambda: machine.exit_code is not None)
        assert machine.exit_code == 5
        assert machine.screen.text()[0].rstrip() == "at the end"
