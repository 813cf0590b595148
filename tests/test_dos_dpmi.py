"""The DPMI host: clients in protected mode, under Unicorn and, where it executes INT there, KVM.

CWSDPMI (r5, in FreeDOS under QEMU) gives the same reports but for the limit of the segment of the
prefix, and it frees a callback twice. Programs of DJGPP run with `--dpmi`: bzip2,
lzip, lzma, dosfsck, msedit, foxcalc and foxtype of FreeDOS.
"""

from __future__ import annotations

import random
import shutil
import struct
from pathlib import Path

import pytest
from boards import make_board
from test_dos_programs import PROGRAMS, executes_interrupts
from x86_helpers import CPUS

from vgaemu.cli.main import main
from vgaemu.machine import Machine
from vgaemu.pc.bios import rom
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.cpu.cpu import CARRY
from vgaemu.pc.dos import area
from vgaemu.pc.dos import dpmi_tables as tables
from vgaemu.pc.dos.dos import Dos
from vgaemu.pc.dos.dpmi_calls import Frame
from vgaemu.pc.dos.dpmi_tables import Area, Descriptor
from vgaemu.pc.dos.errors import DosError
from vgaemu.pc.images import DosProgram

REPORT = [
    "0001 00FF 0000 0001 0008 0000 0000 0000 0000 1234 5678 0BAD 1FFF ",
    "0000 0000 2323 0000 0000 6060 0001 5003 ",
    "000A 0001 0002 0000 2222 0000 4321 1234 5678 ",
    "0000 0000 0000 0001 0000 0D0D 7FF4 ",
    "0001 0000 0000 0000 0000 0001 ",
]


@pytest.fixture(params=CPUS)
def cpu(request: pytest.FixtureRequest) -> str:
    if request.param == "kvm" and not executes_interrupts():
        pytest.skip("this host's KVM executes no INT in protected mode (no VMX or SVM)")
    return str(request.param)


def ended(machine: Machine) -> int:
    """The exit code."""
    for _ in range(300):
        if machine.exit_code is not None:
            return machine.exit_code
        machine.tick(1)
    raise AssertionError(machine.screen.text())


def test_a_client_of_32_bits(tmp_path: Path, cpu: str) -> None:
    program = shutil.copy(PROGRAMS / "dpmi.com", tmp_path)
    with Machine(program, dos_root=tmp_path, dpmi=True, cpu=cpu) as machine:
        assert ended(machine) == 7
        assert machine.pc is not None
        assert machine.pc.dos is not None
        # Nothing of it is left.
        assert (machine.pc.dos.xms.blocks, machine.pc.dos.dpmi.area.segment) == ({}, 0)
    lines = (tmp_path / "out.txt").read_text().splitlines()
    assert lines == REPORT
    assert (tmp_path / "a.dat").read_bytes() == b"0123456789"


def test_a_client_of_16_bits(tmp_path: Path, cpu: str) -> None:
    program = shutil.copy(PROGRAMS / "dpmi16.com", tmp_path)
    for args, code in ((), 0), (("faults",), 0xFF):
        with Machine(program, args=args, dos_root=tmp_path, dpmi=True, cpu=cpu) as machine:
            assert ended(machine) == code
            text = machine.screen.text()
        words = struct.unpack("<6H", (tmp_path / "out.txt").read_bytes())
        assert words == (0x1616, 0, 5, 0xFFFF, 0, 0xFFFF)
    assert any("Exception 0D at 0014:" in line and "code 7FF4" in line for line in text)


def test_real_mode_calls_a_client(tmp_path: Path, cpu: str) -> None:
    program = shutil.copy(PROGRAMS / "callback.com", tmp_path)
    with Machine(program, dos_root=tmp_path, dpmi=True, cpu=cpu) as machine:
        vector = machine.pc.bus.read32(4 * 8) if machine.pc else 0
        assert ended(machine) == 0
        assert machine.pc is not None
        assert machine.pc.bus.read32(4 * 8) == vector
    # Ticks came; their vector is back; the callback, what it was told and answered; freed once.
    words = struct.unpack("<10H", (tmp_path / "out.txt").read_bytes())
    assert words == (1, 0, 0, 0, 0x2345, 0x55AA, 0, 1, 0, 1)


def test_there_is_none_unless_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = shutil.copy(PROGRAMS / "dpmi.com", tmp_path)
    with Machine(program, dos_root=tmp_path) as machine:
        assert ended(machine) == 0xFF
    command = ["run", program, "--headless", "--exit-code", "--dos-root", str(tmp_path)]
    assert main([*command, "--dpmi"]) == 7
    (tmp_path / "b.img").write_bytes(bytes(510) + b"\x55\xaa")
    capsys.readouterr()
    assert main(["run", str(tmp_path / "b.img"), "--dpmi"]) == 2
    assert "--dpmi: only for DOS programs" in capsys.readouterr().err


def test_a_state_of_any_moment_goes_on(tmp_path: Path) -> None:
    program = shutil.copy(PROGRAMS / "dpmi.com", tmp_path)
    states, segments = 0, []
    with Machine(program, dos_root=tmp_path, dpmi=True) as machine:
        while machine.exit_code is None:
            machine.save_state(tmp_path / f"{states}.npz")
            assert machine.pc is not None
            assert machine.pc.dos is not None
            segments.append(machine.pc.dos.dpmi.area.segment)
            states += 1
            machine.tick(1)
    inside = [nth for nth, segment in enumerate(segments) if segment]
    assert inside
    with Machine(program, dos_root=tmp_path, dpmi=True) as machine:
        machine.load_state(tmp_path / f"{inside[len(inside) // 2]}.npz")
        assert ended(machine) == 7
    assert (tmp_path / "out.txt").read_text().splitlines() == REPORT


def test_a_child_has_an_area_of_its_own() -> None:
    board = make_board()
    mine = Area(board.bus)
    mine.make(0x2000, 0x192, wide=True)
    selector = mine.allocate(Descriptor(0x1234, 0xFFFF, tables.DATA_ACCESS), 3)
    mine.make(0x3000, 0x292, wide=False)
    assert mine.allocate(Descriptor(0, 0, tables.DATA_ACCESS)) == selector
    mine.forget()
    assert (mine.segment, mine.is_wide) == (0x2000, True)
    assert mine.descriptor(selector + 16).base == 0x1234
    mine.free(selector + 8)
    with pytest.raises(DosError):
        mine.descriptor(selector + 8)
    with pytest.raises(DosError):
        mine.allocate(Descriptor(0, 0, tables.DATA_ACCESS), tables.DESCRIPTORS)


def test_vectors_of_real_mode_are_as_before_once_a_client_is_no_more(tmp_path: Path) -> None:
    board = make_board()
    dos = Dos(board, Bios(board, None), DosProgram(Path("p.com"), b"\xc3", []), tmp_path, dpmi=True)
    host, before = dos.dpmi, board.bus.read(0, 0x400)
    seen = []
    for segment, owner in ((0x2000, 0x192), (0x3000, 0x292)):
        board.cpu.set_registers(es=segment, ss=0x1000, esp=0x100)
        dos.memory.current = owner
        host.enter()
        board.cpu.set_registers(eax=0x205, ebx=8, ecx=0x14, edx=0x1234)
        host._services.serve(Frame(board.bus, 0, wide=False))
        seen.append(board.bus.read(4 * 8, 4))
    assert len({*seen, before[0x20:0x24]}) == 3
    host.ended(0x292)
    assert board.bus.read(4 * 8, 4) == seen[0]  # the first has it again
    host.ended(0x192)
    assert board.bus.read(0, 0x400) == before
    dos.close()


@pytest.mark.parametrize("seed", range(6))
def test_any_call_has_an_answer(tmp_path: Path, seed: int) -> None:
    numbers, board = random.Random(seed), make_board()
    dos = Dos(board, Bios(board, None), DosProgram(Path("p.com"), b"\xc3", []), tmp_path, dpmi=True)
    cpu, served = board.cpu, board.bus.byte_out[area.DPMI_PORT]
    done = board.bus.byte_out[area.DPMI_DONE_PORT]
    served(0)
    done(0)  # nobody has asked
    dos.dpmi.area.make(0x2000, dos.memory.current, wide=bool(seed & 1))
    stack = dos.dpmi.area.allocate(Descriptor(0x30000, 0xFFFF, tables.DATA_ACCESS))
    cpu.set("cr0", 1)
    for _ in range(400):
        for name in ("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "es", "ds"):
            some = (0, 1, 4, stack, 0x14, 0x1000, 0xFFFF, numbers.getrandbits(32))
            cpu.set(name, numbers.choice(some) & (0xFFFF if name[1:] == "s" else 0xFFFFFFFF))
        if numbers.random() < 0.9:
            cpu.ax = numbers.choice((*dos.dpmi._services._services, 0x300, 0x301, 0x302, 0x900))
        cpu.set("ss", stack if numbers.random() < 0.9 else numbers.getrandbits(16))
        cpu.set("esp", 0x8000)
        vector = 0x31 if numbers.random() < 0.8 else numbers.randrange(257)
        board.bus.write(0x30000, numbers.randbytes(0x100))
        back = tables.STUBS + tables.STUB_BYTES * (vector + 1)
        board.bus.write(0x38000, back.to_bytes(2, "little") + numbers.randbytes(64))
        cpu.set("eflags", 2)
        served(0)
        if cpu.get("eflags") & CARRY:
            done(0)
        else:
            cpu.set("cr0", 0)
            cpu.set("ss", 0x3000)
            cpu.set("esp", 0x8000)
            call = tables.CALLBACK_STUBS + tables.STUB_BYTES * numbers.randrange(1, 40)
            board.bus.write16(0x38000, call)
            done(0)  # a callback
            cpu.set("cr0", 1)
    dos.close()


def test_a_port_is_of_one_service() -> None:
    others = [*rom.trap_ports().values(), rom.HOOKED_PORT, area.XMS_PORT, area.DOS_PORT]
    ports = [area.DPMI_PORT, area.DPMI_DONE_PORT, *others]
    assert len(set(ports)) == len(ports)
    source = Path(tables.__file__).with_name("dpmi_host.asm").read_text()
    assert f"SERVED  equ 0x{area.DPMI_PORT:X}" in source
    assert f"DONE    equ 0x{area.DPMI_DONE_PORT:X}" in source
