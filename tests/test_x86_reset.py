"""The CPU's reset line: guests that reboot, end there, or leave protected mode by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from x86_helpers import CPUS, disk

from vgaemu.cli.main import main
from vgaemu.errors import ResetFault
from vgaemu.machine import Machine
from vgaemu.pc import build
from vgaemu.pc.chips.cmos import Cmos
from vgaemu.snapshot import take
from vgaemu.testing.machine import MachineUnderTest

#: Where the boot sector counts its boots, which a reset leaves alone; what the BIOS writes to is as
#: it was.
COUNT, TICKS = 0x9000, 0x46C
#: xor ax,ax; mov ds,ax; inc byte [9000h]; mov al,[9000h]; add al,'@'; mov ah,0Eh; int 10h; then a
#: cell of VRAM and a divisor of the timer, which a reset forgets; cmp byte [9000h],3; je +n
BOOT = (
    "31 C0 8E D8 FE 06 00 90 A0 00 90 04 40 B4 0E CD 10 B0 B6 E6 43"
    " 80 3E 00 90 03 74 {length:02X} {pull} F4 EB FD"
)
PULLS = {
    "keyboard controller": "B0 FE E6 64",
    "its output port": "B0 D1 E6 64 B0 00 E6 60",
    "system control": "E4 92 0C 01 E6 92",
    "PCI": "BA F9 0C B0 06 EE",
}


def rebooting(tmp_path: Path, how: str = "keyboard controller") -> Path:
    """A disk that resets the machine twice and then halts."""
    pull = PULLS[how]
    return disk(tmp_path, bytes.fromhex(BOOT.format(length=len(bytes.fromhex(pull)), pull=pull)))


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("how", PULLS)
def test_a_reset_begins_anew(tmp_path: Path, cpu: str, how: str) -> None:
    with Machine(rebooting(tmp_path, how), cpu=cpu) as machine:
        before = machine.pc.pit if machine.pc is not None else None
        machine.tick(12)
        assert machine.pc is not None
        assert machine.pc.pit is before
        assert machine.pc.bus.memory[COUNT] == 3
        assert [row.strip() for row in machine.screen.text() if row.strip()] == ["C"]
        assert not machine.ended
        assert machine.pc.clock.now_ns() > 2_000_000


@pytest.mark.parametrize("name", ["halts.img", "PROG.COM"])
def test_power_on_leaves_nothing_of_the_mode_before(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the BIOS sets mode 3, none is set before: only its look at the beam differs."""
    (tmp_path / name).write_bytes(b"\xf4".ljust(510, b"\0") + b"\x55\xaa")
    found = []
    for sets in (True, False):
        monkeypatch.setattr(build, "sets_mode_3", lambda options, sets=sets: sets)
        with Machine(tmp_path / name) as machine:
            assert machine.pc is not None
            parts = take(machine.vga.parts()) | machine.pc.state_arrays()
            parts["vram"] = machine.vram.array.copy()
            found.append({name: array.tobytes() for name, array in parts.items()})
            del found[-1]["pc.looks"]
    assert found[0] == found[1]


def test_time_goes_on_and_chips_begin_anew(tmp_path: Path) -> None:
    with Machine(rebooting(tmp_path)) as machine:
        assert machine.pc is not None
        cmos: Cmos = machine.pc.board.cmos
        cmos.ram[0x40], cmos.ahead_s = 0x5A, 1000
        machine.pc.bus.byte_out[0x21](0xFF)  # the interrupt controller's mask
        machine.tick(1)
        first = machine.pc.clock.now_ns()
        machine.tick(6)
        assert machine.pc.clock.now_ns() > first
        assert (cmos.ram[0x40], cmos.ahead_s) == (0x5A, 1000)
        assert machine.pc.bus.byte_in[0x21]() != 0xFF
        assert machine.pc.bus.read16(TICKS)


def test_the_timer_ticks_on_as_before(tmp_path: Path) -> None:
    # Of the first boot a loop of 0.2 s and a reset; then sti; hlt for ever.
    wait = "66 B9 00 00 30 00 66 49 75 FC"
    begin = "31 C0 8E D8 FE 06 00 90 80 3E 00 90 01 75 0E"
    sector = bytes.fromhex(f"{begin} {wait} B0 FE E6 64 FB F4 EB FD")
    with Machine(disk(tmp_path, sector)) as machine:
        assert machine.pc is not None
        machine.tick(60)
        assert machine.pc.bus.memory[COUNT] == 2
        assert machine.pc.pit.channels[0].start_ns > 200_000_000  # it began there
        before = machine.pc.bus.read16(TICKS)
        machine.tick(120)
        assert machine.pc.bus.read16(TICKS) - before in (36, 37)


def test_two_runs_are_equal_and_states_go_through_a_reset(tmp_path: Path) -> None:
    path, state = rebooting(tmp_path), tmp_path / "state"
    with Machine(path) as one, Machine(path) as other:
        one.tick(2)
        one.save_state(state)
        one.tick(8)
        other.load_state(state)
        other.tick(8)
        assert one.pc is not None
        assert other.pc is not None
        assert one.pc.clock.now_ns() == other.pc.clock.now_ns()
        assert one.pc.bus.memory == other.pc.bus.memory
        assert one.screen.text() == other.screen.text()


def test_no_reboot_ends_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = rebooting(tmp_path)
    with Machine(path, no_reboot=True) as machine:
        machine.tick(4)
        assert machine.ended
        assert machine.exit_code == 0
    arguments = ["run", str(path), "--headless", "--frames", "30"]
    assert main([*arguments, "--no-reboot", "--exit-code"]) == 0
    capsys.readouterr()
    assert main(["run", "typing", "--headless", "--frames", "1", "--no-reboot"]) == 2
    assert "--no-reboot: only for machine code" in capsys.readouterr().err


def test_a_program_of_dos_ends_there_too(tmp_path: Path) -> None:
    program = tmp_path / "reset.com"
    program.write_bytes(bytes.fromhex(PULLS["keyboard controller"] + "F4"))
    with Machine(program) as machine, pytest.raises(ResetFault):
        machine.tick(4)
    with Machine(program, no_reboot=True) as machine:
        machine.tick(4)
        assert (machine.ended, machine.exit_code) == (True, 0)


def test_a_test_is_told_of_a_reset(tmp_path: Path) -> None:
    with (
        MachineUnderTest(rebooting(tmp_path)) as machine,
        pytest.raises(ResetFault, match="the guest pulled the CPU's reset line") as caught,
    ):
        machine.wait_for_text("C")
    assert "eax=" in caught.value.report


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(("shutdown", "in_service"), [("05", 0), ("0A", 1)])
def test_shutdown_codes_reset_the_cpu_alone(
    tmp_path: Path, cpu: str, shutdown: str, in_service: int
) -> None:
    # xor ax,ax; mov ds,ax; mov [467h],7C40h; mov [469h],ax; CMOS 0Fh; mov cr0: protected; reset
    begin = (
        "31 C0 8E D8 C7 06 67 04 40 7C A3 69 04 B0 8F E6 70 B0 {0} E6 71"
        " 0F 20 C0 0C 01 0F 22 C0 B0 FE E6 64 F4"
    )
    # xor ax,ax; mov ds,ax; mov eax,cr0; mov [9000h],al; hlt
    then = "31 C0 8E D8 0F 20 C0 A2 00 90 F4 EB FD"
    sector = bytes.fromhex(begin.format(shutdown)).ljust(0x40, b"\x90") + bytes.fromhex(then)
    with Machine(disk(tmp_path, sector), cpu=cpu, no_reboot=True) as machine:
        assert machine.pc is not None
        pic = machine.pc.pic
        pic.raise_irq(3)
        pic.chips[0].mask = 0
        pic.acknowledge()
        machine.pc.bus.memory[COUNT] = 0xFF
        machine.tick(4)
        assert machine.pc.bus.memory[COUNT] == 0x10
        assert machine.pc.board.cmos.ram[0x0F] == 0
        assert machine.pc.pic.chips[0].in_service.bit_count() == in_service
