"""How much RAM there is: what the BIOS and CMOS say of it, and that it is there."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from x86_helpers import CPUS, call, disk, make_pc, run_until_halted

from vgaemu.cli.main import main
from vgaemu.errors import StateError
from vgaemu.machine import Machine

pytest.importorskip("unicorn")

#: cli; lgdt [7C40h]; mov eax, cr0; or al, 1; mov cr0, eax; mov ax, 8; mov ds, ax;
#: mov ebx, [7C50h]; mov dword [ebx], 12345678h; hlt
STORE = bytes.fromhex(
    "FA 2E 0F 01 16 40 7C 0F 20 C0 0C 01 0F 22 C0 B8 08 00 8E D8"
    "66 67 8B 1D 50 7C 00 00 66 67 C7 03 78 56 34 12 F4"
)
GDT = struct.pack("<HI", 15, 0x7C60).ljust(16, b"\0")
FLAT = bytes(8) + bytes.fromhex("FF FF 00 00 00 92 CF 00")


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("mib", [2, 1024])
def test_a_guest_stores_to_the_last_bytes(tmp_path: Path, cpu: str, mib: int) -> None:
    last = struct.pack("<I", (mib << 20) - 4).ljust(16, b"\0")
    code = STORE.ljust(0x40, b"\x90") + GDT + last + FLAT
    with make_pc(disk(tmp_path, code), cpu=cpu, memory=mib) as pc:
        run_until_halted(pc)
        assert pc.bus.ram_bytes == mib << 20
        assert pc.bus.read32((mib << 20) - 4) == 0x12345678


@pytest.mark.parametrize(
    ("mib", "kib_88", "e801"),
    [(2, 1024, (1024, 0)), (16, 15360, (15360, 0)), (17, 16384, (15360, 16)),
     (64, 64512, (15360, 768)), (1024, 0xFFFF, (15360, 16128))],
)  # fmt: skip
def test_what_bios_and_cmos_say(
    tmp_path: Path, mib: int, kib_88: int, e801: tuple[int, int]
) -> None:
    with make_pc(disk(tmp_path, b"\xf4"), memory=mib) as pc:
        call(pc, 0x15, ah=0x88)
        assert pc.cpu.ax == kib_88
        call(pc, 0x15, ax=0xE801)
        assert (pc.cpu.ax, pc.cpu.bx, pc.cpu.cx, pc.cpu.dx) == e801 * 2
        entry, end = 0, 0
        while True:
            pc.cpu.set_registers(ebx=entry, edx=0x534D4150, ecx=20)
            call(pc, 0x15, ax=0xE820, es=0x2000, di=0)
            start, length, kind = struct.unpack("<QQI", pc.bus.read(0x20000, 20))
            end = max(end, start + length) if kind == 1 else end
            if not (entry := pc.cpu.get("ebx")):
                break
        assert end == mib << 20
        cmos = pc.board.cmos.ram
        assert int.from_bytes(cmos[0x30:0x32], "little") == kib_88
        assert int.from_bytes(cmos[0x34:0x36], "little") == e801[1]


def test_a_state_names_its_size(tmp_path: Path) -> None:
    path, state = disk(tmp_path, b"\xeb\xfe"), tmp_path / "a.npz"
    with Machine(path, memory=64) as machine:
        assert machine.pc is not None
        machine.pc.bus.write(60 << 20, b"here")
        machine.save_state(state)
    with (
        Machine(path) as other,
        pytest.raises(StateError, match=r"64 MiB of RAM, and this machine has 16.* --memory 64"),
    ):
        other.load_state(state)
    with Machine(path, memory=64) as again:
        again.load_state(state)
        assert again.pc is not None
        assert again.pc.bus.read(60 << 20, 4) == b"here"


@pytest.mark.parametrize("mib", ["0", "1", "1025"])
def test_wrong_sizes_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mib: str
) -> None:
    path = str(disk(tmp_path, b"\xf4"))
    assert main(["run", path, "--headless", "--frames", "1", "--memory", mib]) == 2
    said = capsys.readouterr().err
    assert said == f"vgaemu: --memory {mib}: 2 to 1024 MiB are possible\n"
