"""The A20 gate. What a guest sees of it on each CPU and on QEMU: `gate` in `test_x86_zoo`."""

from __future__ import annotations

from pathlib import Path

import pytest
import twin_guests
from test_x86_zoo import ZOO
from x86_helpers import CPUS, call, disk, make_pc, run_until_halted

from vgaemu import Machine, native
from vgaemu.pc.dos.area import XMS_PORT
from vgaemu.snapshot import restore, take

pytest.importorskip("unicorn")
#: mov al,0; out 92h,al; then hlt
CLOSES = bytes.fromhex("FA B0 00 E6 92 F4")
#: Page tables that have 109000h at 50000h; there 11111111h, at 9000h 22222222h. EBX is what is at
#: 50000h while the gate is closed, when 33333333h is stored behind it; ECX what is there later.
PAGED = bytes.fromhex(
    "FA 31C0 8ED8 8EC0 FC 66C70600A007B00000 BF00B0 66B807000000 B92000 66AB 660500100000 E2F6"
    " 66C70640B107901000 0F01 16A07C 66B800A00000 0F22D8 66B801000080 0F22C0 EA4C7C0800"
    " 66B81000 8ED8 C7050000050011111111 C7050090000022222222 B000 E692 A100000500"
    " C7050400050033333333 89C3 B002 E692 8B0D00000500 F4 9090"
    " 0000000000000000 FFFF0000009ACF00 FFFF00000092CF00 1700 887C0000"
)

#: In protected mode: 11111111h to 200000h, 22222222h to 300000h. EBX and EDX are what is at 300000h
#: and 200000h while the gate is closed, when 33333333h goes to 300004h; ECX and ESI what is at
#: 300000h and 200004h later.
ODD_MIB = bytes.fromhex(
    "fa31c08ed80f0116787c0f20c00c010f22c0ea177c080066b810008ed8c7050000200011111111c7"
    "050000300022222222b000e6928b1d00003000c70504003000333333338b1500002000b002e6928b"
    "0d000030008b3504002000f4909090900000000000000000ffff0000009acf00ffff00000092cf00"
    "1700607c0000"
)


needs_native = pytest.mark.skipif(
    native.why_not() is not None, reason=f"no native code: {native.why_not()}"
)


def test_pages_lead_through_the_gate(tmp_path: Path) -> None:
    with make_pc(disk(tmp_path, PAGED)) as pc:
        run_until_halted(pc)
        assert pc.cpu.get("ebx") == 0x22222222
        assert pc.cpu.get("ecx") == 0x11111111
        assert pc.bus.read32(0x9004) == 0x33333333
        assert pc.bus.read32(0x109004) == 0


@needs_native
@pytest.mark.parametrize("name", ["gate", "pages"])
def test_native_code_does_the_same(tmp_path: Path, name: str) -> None:
    assert native.load(wait=True)
    path = ZOO / "gate.img" if name == "gate" else disk(tmp_path, PAGED)
    assert twin_guests.differences(path, 8) == []


@pytest.mark.parametrize("cpu", CPUS)
def test_a_log_of_ram_has_what_is_stored_through_it(tmp_path: Path, cpu: str) -> None:
    # mov ax,FFFFh; mov ds,ax; mov [9010h],al; mov al,2; out 92h,al; mov [0A010h],al; hlt
    stores = bytes.fromhex("B8 FFFF 8ED8 A2 1090 B002 E692 A2 10A0 F4")
    with make_pc(disk(tmp_path, CLOSES[:-1] + stores), cpu=cpu) as pc:
        turns = pc.slices()
        pc.bus.log_ram(True)
        pc.cpu.harvest_ram(pc.bus.slot.keeper.harvest)
        for _ in range(500):
            if next(turns, "ended") == "ended":
                break
        pages = set(pc.cpu.harvest_ram(pc.bus.slot.keeper.harvest).pages().tolist())
        assert {0x9, 0x10A} <= pages
        assert not {0x109, 0xA} & pages
        pc.bus.log_ram(False)


@pytest.mark.parametrize("memory", [3, 5, 17])
@pytest.mark.parametrize("cpu", CPUS)
def test_each_odd_mib_is_the_even_one_before(tmp_path: Path, cpu: str, memory: int) -> None:
    with make_pc(disk(tmp_path, ODD_MIB), cpu=cpu, memory=memory) as pc:
        run_until_halted(pc)
        found = [pc.cpu.get(name) for name in ("ebx", "edx", "ecx", "esi")]
        there = 0x22222222 if memory > 3 else 0xFFFFFFFF
        assert found == [0x11111111, 0x11111111, there, 0x33333333]


@pytest.mark.parametrize("cpu", CPUS)
def test_it_is_in_states_and_old_ones_have_it_open(tmp_path: Path, cpu: str) -> None:
    with make_pc(disk(tmp_path, CLOSES), cpu=cpu) as pc:
        assert pc.bus.a20_is_open
        run_until_halted(pc)
        assert not pc.bus.a20_is_open
        saved = {name: array.copy() for name, array in take(pc.parts()).items()}
        pc.bus.a20_is_open = True
        restore(pc.parts(), saved)
        assert not pc.bus.a20_is_open
        del saved["chips.a20"]
        restore(pc.parts(), saved)
        assert pc.bus.a20_is_open


def test_a_reset_opens_it(tmp_path: Path) -> None:
    # The first time: close it, and pull the reset line; then what port 92h says.
    code = bytes.fromhex("FA 31C0 8ED8 FE060090 803E009001 7508 B000E692 B0FEE664 E492 A20190 F4")
    with Machine(disk(tmp_path, code)) as machine:
        machine.tick(3)
        assert machine.pc is not None
        assert machine.pc.bus.memory[0x9000:0x9002].tolist() == [2, 2]


def test_services_take_addresses_as_the_processor_does(tmp_path: Path) -> None:
    with make_pc(disk(tmp_path, CLOSES)) as pc:
        pc.cpu.set("es", 0xFFFF)
        pc.cpu.di = 0x510
        assert pc.cpu.linear("es", "di") == 0x100500
        assert not call(pc, 0x15, ax=0x2400) & 1
        pc.cpu.set("es", 0xFFFF)
        pc.cpu.di = 0x510
        assert pc.cpu.linear("es", "di") == 0x500
        call(pc, 0x15, ax=0x2402)
        assert pc.cpu.al == 0
        # A block move goes where its descriptors say all the same.
        pc.bus.write(0x100500, b"high")
        table = bytes(18) + (0x100500).to_bytes(3, "little") + bytes(5)
        table += (0x9000).to_bytes(3, "little") + bytes(30)
        pc.bus.write(0x8000, table)
        call(pc, 0x15, ax=0x8700, cx=2, es=0, si=0x8000)
        assert pc.bus.read(0x9000, 4) == b"high"
        assert not pc.bus.a20_is_open


#: AH of a call of XMS, AX and BL after it, whether the gate is open then.
XMS_CALLS = [
    (7, 1, 0, True),
    (5, 1, 0, True), (6, 0, 0x94, True),  # still open for all
    (6, 0, 0x82, True),  # nobody has opened it
    (4, 1, 0, False), (7, 0, 0, False),
    (5, 1, 0, True), (5, 1, 0, True), (6, 0, 0x94, True), (7, 1, 0, True), (6, 1, 0, False),
    (3, 1, 0, True), (5, 1, 0, True), (4, 0, 0x94, True), (6, 1, 0, False),
]  # fmt: skip


def test_xms_counts_who_opened_it(tmp_path: Path) -> None:
    program = tmp_path / "p.com"
    program.write_bytes(b"\xf4")
    with make_pc(program) as pc:
        for number, (ah, ax, bl, is_open) in enumerate(XMS_CALLS):
            pc.cpu.ah, pc.cpu.bl = ah, 0x55
            pc.bus.port_out(XMS_PORT, 1, 0)
            said = pc.cpu.ax, pc.cpu.bl, pc.bus.a20_is_open
            assert said == (ax, bl, is_open), number
        saved = {name: array.copy() for name, array in take(pc.parts()).items()}
        assert saved["dos.a20"].tolist() == [0, 0]
