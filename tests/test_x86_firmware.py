"""SeaBIOS, whole, on KVM: it finds our image through fw_cfg and boots it."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_x86_zoo import ZOO, are_of_this_host, to_the_end
from x86_helpers import GUESTS, needs_kvm
from zoo_speakers import SPEAKERS

from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.pc.bios.seabios import DIRECTORY, FIRMWARES, SELECTOR_PORT, FwCfg
from vgaemu.pc.bus import Bus
from vgaemu.vga.device import Vga

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)


def test_fw_cfg_items_and_files() -> None:
    bus = Bus(Vga(Memslot(64)), 2 << 20)
    FwCfg(bus, {"a/b.bin": b"data", "c": b"x"})

    def item(key: int, count: int) -> bytes:
        bus.port_out(SELECTOR_PORT, 2, key)
        return bytes(bus.port_in(SELECTOR_PORT + 1, 1) for _ in range(count))

    assert item(0, 5) == b"QEMU\0"
    directory = item(DIRECTORY, 4 + 2 * 64)
    assert directory[:4] == (2).to_bytes(4, "big")
    size, key = int.from_bytes(directory[4:8], "big"), int.from_bytes(directory[8:10], "big")
    assert directory[12:20] == b"a/b.bin\0"
    assert item(key, size + 1) == b"data\0"
    assert item(0x8001, 4) == bytes(4)  # not item 1


@needs_kvm
@pytest.mark.skipif(not Path(FIRMWARES[0]).is_file(), reason=f"{FIRMWARES[0]} is not here")
def test_seabios_boots_our_guest_and_keys_reach_it(tmp_path: Path) -> None:
    code = bytearray((GUESTS / "selftest.img").read_bytes())
    # Once it has passed: INT 16h/00h, INT 10h/0Eh, again.
    echo, stop = bytes.fromhex("31C0 CD16 B40E BB0700 CD10 EBF3"), bytes.fromhex("F4 EBFD")
    at, to = code.index(stop), 1024 - len(echo)
    assert not any(code[to:1024])
    code[at : at + 3] = b"\xe9" + (to - at - 3).to_bytes(2, "little")
    code[to:1024] = echo
    guest = tmp_path / "echo.img"
    guest.write_bytes(code)
    with Machine(guest, cpu="kvm", firmware="seabios") as machine:
        assert machine.wait_for_text("^(PASS|FAIL)", 6000), machine.screen.text()
        assert any(row.startswith("PASS") for row in machine.screen.text()), machine.screen.text()
        machine.keys.type("Hi")
        assert machine.wait_for_text("^Hi", 600), machine.screen.text()


@needs_kvm
@pytest.mark.skipif(not Path(FIRMWARES[0]).is_file(), reason=f"{FIRMWARES[0]} is not here")
@pytest.mark.turns(5)
@pytest.mark.parametrize("name", ["gate", "calibrate"])
def test_seabios_boots_the_zoo(name: str) -> None:
    speaker = SPEAKERS[name]
    with Machine(ZOO / f"{name}.img", cpu="kvm", firmware="seabios") as machine:
        to_the_end(machine, speaker, 6000)
        if speaker.measures:
            are_of_this_host(machine)
        else:
            assert machine.serial == speaker.says + "end\n"
