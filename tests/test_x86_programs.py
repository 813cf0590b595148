"""DOS programs: .EXE files, and programs that run others; see `tests/programs`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from x86_helpers import CPUS, call, make_pc, run_until_halted

from vgaemu.machine import Machine
from vgaemu.pc.dos.errors import BAD_FORMAT, NO_MEMORY, DosError
from vgaemu.pc.dos.memory import EXE_PREFIX, PREFIX, TOP
from vgaemu.pc.dos.programs import Com, Exe, parse
from vgaemu.pc.pc import Pc

pytest.importorskip("unicorn")
PROGRAMS = Path(__file__).parent / "programs"
CARRY = 1
DATA = 0x9000


def exe(
    image: bytes,
    *,
    least: int = 0,
    most: int = 0xFFFF,
    entry: tuple[int, int, int, int] = (0, 0, 0, 0x100),
    relocations: list[tuple[int, int]] | None = None,
    behind: bytes = b"",
) -> bytes:
    """A file; `entry` is CS:IP and SS:SP, relocations are offset and segment."""
    cs, ip, ss, sp = entry
    table = b"".join(struct.pack("<HH", *one) for one in relocations or [])
    header = -(-(28 + len(table)) // 16)
    size = 16 * header + len(image)
    head = struct.pack(
        "<2s13H", b"MZ", size % 512, -(-size // 512), len(relocations or []), header, least, most,
        ss, sp, 0, ip, cs, 28, 0,
    )  # fmt: skip
    return (head + table).ljust(16 * header, b"\0") + image + behind


@pytest.mark.parametrize("cpu", CPUS)
def test_a_program_runs_another_and_an_overlay(cpu: str) -> None:
    with Machine(PROGRAMS / "parent.exe", dos_root=PROGRAMS, cpu=cpu) as machine:
        for _ in range(200):
            if not machine.tick():
                break
        lines = [line.rstrip() for line in machine.screen.text()[:5]]
        assert lines == ["parent", " hello", "child returned 7", "overlay", ""]
        assert machine.runner.exit_code == 7
        assert machine.pc is not None
        assert machine.pc.dos is not None
        assert machine.pc.dos.handles.opened == {}  # the child's file


def test_a_state_in_a_child(tmp_path: Path) -> None:
    # The child waits for a key, and returns it.
    (tmp_path / "child.com").write_bytes(bytes.fromhex("B4 08 CD 21 B4 4C CD 21"))
    (tmp_path / "parent.exe").write_bytes((PROGRAMS / "parent.exe").read_bytes())
    (tmp_path / "overlay.bin").write_bytes((PROGRAMS / "overlay.bin").read_bytes())
    path = tmp_path / "parent.exe"
    with Machine(path, dos_root=tmp_path) as machine:
        machine.tick(5)
        machine.save_state(tmp_path / "child.npz")
        assert machine.pc is not None
        assert machine.pc.dos is not None
        child = machine.pc.bus.read16(0x61F)
        assert child != EXE_PREFIX
        assert {owner for _, owner, _ in machine.pc.dos.memory.blocks()} > {EXE_PREFIX, child}
    with Machine(path, dos_root=tmp_path) as machine:
        machine.load_state(tmp_path / "child.npz")
        machine.keys.press("5")
        machine.tick(10)
        assert machine.runner.exit_code == ord("5")
        assert machine.screen.text()[1].startswith("child returned e")


def test_a_header_is_read_as_dos_does() -> None:
    program = parse(exe(b"\x01\x00\x02\x00", relocations=[(2, 0), (0xFFFF, 0xFFFF)], least=3))
    assert isinstance(program, Exe)
    assert program.least == 0x10 + 1 + 3
    assert program.relocated(0x1234) == b"\x01\x00\x36\x12"
    assert parse(exe(b"abc", behind=b"debugger's")).relocated(0) == b"abc"
    assert isinstance(parse(b"\xc3"), Com)
    full = exe(b"a" * (512 - 32))
    assert parse(full).relocated(0) == b"a" * 480
    for wrong in (b"MZ", full[:20], full[:32], exe(b"", relocations=[(0, 0)])[:30]):
        with pytest.raises(DosError) as failed:
            parse(wrong)
        assert failed.value.code == BAD_FORMAT


#: mov [0], cs; mov [2], ss; mov [4], sp; mov ax, [2]; ...: into the prefix, which DS leads to.
TELL = bytes.fromhex("8C 0E 80 00 8C 16 82 00 89 26 84 00 FA F4")


@pytest.mark.parametrize(
    ("least", "most", "segment", "end"),
    [
        (0x100, 0xFFFF, EXE_PREFIX + 0x10, TOP),
        (0x100, 0x200, EXE_PREFIX + 0x10, EXE_PREFIX + 0x10 + 1 + 0x200),
        (0x100, 0, EXE_PREFIX + 0x10, EXE_PREFIX + 0x10 + 1 + 0x100),
        (0, 0, TOP - 1, TOP),  # high
    ],
)
def test_where_a_program_lies(
    tmp_path: Path, least: int, most: int, segment: int, end: int
) -> None:
    path = tmp_path / "p.exe"
    path.write_bytes(exe(TELL, least=least, most=most, entry=(0, 0, 1, 0x80)))
    with make_pc(path) as pc:
        at = EXE_PREFIX << 4
        assert pc.bus.read16(at + 2) == end
        assert (pc.cpu.get("esi"), pc.cpu.get("edi")) == (0, 0x80)
        run_until_halted(pc)
        found = struct.unpack("<3H", pc.bus.read(at + 0x80, 6))
        assert found == (segment, segment + 1, 0x80)
        assert (pc.cpu.es, pc.cpu.ds) == (EXE_PREFIX, EXE_PREFIX)


@pytest.fixture
def pc(tmp_path: Path) -> Iterator[Pc]:
    """A program that has given back all but 64 KiB of its memory."""
    path = tmp_path / "p.com"
    path.write_bytes(b"\xc3")
    with make_pc(path, dos_root=tmp_path) as made:
        assert not call(made, 0x21, ah=0x4A, bx=0x1000, es=PREFIX) & CARRY
        yield made


def execute(pc: Pc, name: str, al: int = 0, tail: bytes = b"") -> int:
    pc.bus.write(DATA << 4, name.encode() + b"\0")
    block = struct.pack("<HHHHHHH", 0, 0x60, DATA, 0x40, DATA, 0x40, DATA)
    pc.bus.write((DATA << 4) + 0x20, block)
    pc.bus.write((DATA << 4) + 0x60, bytes((len(tail),)) + tail + b"\r")
    return call(pc, 0x21, ax=0x4B00 | al, ds=DATA, dx=0, es=DATA, bx=0x20) & CARRY


def test_what_cannot_be_run(pc: Pc, tmp_path: Path) -> None:
    assert pc.dos is not None
    before = pc.dos.memory.blocks()
    (tmp_path / "big.exe").write_bytes(exe(b"\xc3", least=0x9000))
    (tmp_path / "bad.exe").write_bytes(b"MZ")
    (tmp_path / "empty.com").write_bytes(b"")
    for name, code in (
        ("none.com", 2), ("big.exe", NO_MEMORY), ("bad.exe", BAD_FORMAT), ("empty.com", BAD_FORMAT),
        ("sub\\x.com", 3),
    ):  # fmt: skip
        assert execute(pc, name)
        assert pc.cpu.ax == code, name
    assert execute(pc, "big.exe", al=2)
    assert pc.cpu.ax == 1
    assert pc.dos.memory.blocks() == before


def test_a_debugger_loads_a_program(pc: Pc, tmp_path: Path) -> None:
    (tmp_path / "p.exe").write_bytes(exe(bytes(40), least=4, most=4, entry=(1, 5, 2, 0x40)))
    assert not execute(pc, "p.exe", al=1)
    sp, ss, ip, cs = struct.unpack("<4H", pc.bus.read((DATA << 4) + 0x2E, 8))
    prefix = pc.bus.read16(0x61F)
    assert (sp, ss, ip, cs) == (0x3E, prefix + 0x12, 5, prefix + 0x11)
    assert pc.bus.read16((ss << 4) + sp) == 0
    assert pc.bus.read16((prefix << 4) + 0x16) == PREFIX
    assert pc.bus.read16((prefix << 4) + 2) == prefix + 0x10 + 3 + 4


@pytest.mark.parametrize(("signature", "is_above"), [(b"RB", True), (b"RX", False)])
def test_what_is_packed_lies_above_64_kib(
    pc: Pc, tmp_path: Path, signature: bytes, is_above: bool
) -> None:
    assert pc.dos is not None
    assert not call(pc, 0x21, ah=0x4A, bx=0x200, es=PREFIX) & CARRY
    before = pc.dos.memory.blocks()
    image = bytes(14) + signature + b"\xc3"
    (tmp_path / "p.exe").write_bytes(exe(image, least=4, most=4, entry=(0, 16, 0, 0x40)))
    assert not execute(pc, "p.exe")
    prefix = pc.bus.read16(0x61F)
    assert prefix == EXE_PREFIX if is_above else PREFIX < prefix < EXE_PREFIX
    pc.cpu.ax = 0x4C00
    pc.bios.calls.call(0x21)
    assert pc.dos.memory.blocks() == before


def test_a_program_that_stays_keeps_its_memory(pc: Pc, tmp_path: Path) -> None:
    assert pc.dos is not None
    (tmp_path / "stays.com").write_bytes(b"\xc3")
    assert not execute(pc, "stays.com", tail=b" x")
    prefix = pc.bus.read16(0x61F)
    assert prefix != PREFIX
    assert pc.bus.read((prefix << 4) + 0x80, 4) == b"\x02 x\r"
    pc.cpu.ax, pc.cpu.dx = 0x3105, 0x20
    pc.bios.calls.call(0x21)
    assert pc.bus.read16(0x61F) == PREFIX
    assert not pc.ended
    assert (prefix, prefix, 0x20) in pc.dos.memory.blocks()
    call(pc, 0x21, ah=0x4D)
    assert pc.cpu.ax == 0x0305
    call(pc, 0x21, ah=0x4D)
    assert pc.cpu.ax == 0


def test_memory_and_vectors_of_a_program_that_ends(pc: Pc, tmp_path: Path) -> None:
    assert pc.dos is not None
    before = pc.dos.memory.blocks(), pc.bus.read(0x23 * 4, 8)
    (tmp_path / "p.com").write_bytes(b"\xc3")
    call(pc, 0x21, ah=0x1A, ds=0x1234, dx=5)
    execute(pc, "p.com")
    assert pc.dos.search.dta == (pc.bus.read16(0x61F) << 4) + 0x80
    for vector in (0x23, 0x24):
        pc.bus.write32(4 * vector, 0x12345678)
    pc.cpu.ax = 0x4C03
    pc.bios.calls.call(0x21)
    assert pc.dos.memory.blocks() == before[0]
    assert pc.bus.read(0x23 * 4, 8) == before[1]
    assert pc.dos.search.dta == 0x12345
    assert (pc.cpu.get("ss"), pc.cpu.sp, pc.cpu.ds) == (0, 0x7000, DATA)
