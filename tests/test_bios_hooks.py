"""What hooks of INT 15h hear of: waits for drives, system request; and its events and waits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from x86_helpers import CPUS, call, disk, make_pc

from vgaemu import Machine
from vgaemu.keys.queue import Key
from vgaemu.pc.pc import Pc

CARRY = 1
#: Hooks INT 15h: but for 4Fh, AH and AL go to port E9h, and on to the BIOS. Reads a sector of a
#: floppy and one of a hard disk, asks for the disk's status, reads a sector that there is not; AL
#: after each read, 'c' where it failed, goes to port E9h, too. Then it waits.
HOOK = bytes.fromhex(
    "31c08ed88ec0a15400a3737ca15600a3757cc70654005f7c8c1e5600fbb80102bb0090b90200ba00"
    "00cd13e82700b80102b90100ba8000cd13e81900b80001ba8000cd13b80102b93f00ba0000cd13e8"
    "0300f4ebfd7203e6e9c3b063e6e9c380fc4f740a5086c4e6e988e0e6e9582eff2e737c00000000"
)


@pytest.mark.parametrize("cpu", CPUS)
def test_a_hook_hears_of_drives_and_of_system_request(tmp_path: Path, cpu: str) -> None:
    if cpu == "unicorn":
        pytest.importorskip("unicorn")
    (tmp_path / "hd.img").write_bytes(bytes(1 << 20))
    image, drive = disk(tmp_path, HOOK), f"hd={tmp_path / 'hd.img'}"
    with Machine(image, cpu=cpu, vram_mib=1, drive=drive) as machine:
        assert machine.pc is not None
        heard = machine.pc.debug.console
        machine.tick(5 if cpu == "unicorn" else 60)
        assert heard.hex(" ") == "90 01 91 01 01 90 00 91 00 01 63"
        heard.clear()
        for key, flags in (
            (Key("alt", True), 2),
            (Key("print", True), 6),
            (Key("print", False), 2),
        ):
            machine.keys.put(key)
            machine.tick(5 if cpu == "unicorn" else 60)
            assert machine.ram[0x418] == flags
        assert heard.hex(" ") == "85 00 85 01"


@pytest.fixture
def pc(tmp_path: Path) -> Iterator[Pc]:
    pytest.importorskip("unicorn")
    with make_pc(disk(tmp_path, b"\xf4"), vram_pages=64) as pc:
        yield pc


def test_the_data_area_tells_of_an_event(pc: Pc) -> None:
    assert not call(pc, 0x15, ax=0x8300, cx=1, dx=0x86A0, es=0x0900, bx=0x12) & CARRY
    assert pc.bus.read(0x498, 9) == bytes.fromhex("12 00 00 09 A0 86 01 00 01")
    assert call(pc, 0x15, ax=0x8600, cx=0, dx=1) & CARRY  # the clock is taken
    pc.clock.set_ns(200_000_000)
    pc.bios.new_slice()  # type: ignore[union-attr]
    assert pc.bus.read8(0x9012) == 0x80
    assert pc.bus.read(0x498, 9) == bytes.fromhex("12 00 00 09 00 00 00 00 00")
    assert not call(pc, 0x15, ax=0x8300, cx=1, dx=0x86A0, es=0x0900, bx=0x12) & CARRY
    call(pc, 0x15, ax=0x8301)
    assert pc.bus.read8(0x4A0) == 0


def test_the_data_area_tells_of_a_wait(tmp_path: Path) -> None:
    # mov ah, 86h; mov cx, 1; mov dx, 86A0h; int 15h; cli; hlt
    code = bytes.fromhex("B4 86 B9 01 00 BA A0 86 CD 15 FA F4")
    pytest.importorskip("unicorn")
    with Machine(disk(tmp_path, code), vram_mib=1) as machine:
        machine.tick(2)
        assert machine.ram[0x498:0x4A1] == bytes.fromhex("A0 00 40 00 A0 86 01 00 01")
        machine.tick(8)
        assert machine.ended
        assert machine.ram[0x4A0] == 0
