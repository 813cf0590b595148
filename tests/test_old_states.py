"""States in `tests/states`, saved by commit 53a8303, before parts were declared by their owners.

typing, sprites, svga: 40, 20 and 20 frames of the workload; snake: 60 frames of the guest; prog: 30
frames of `PROGRAM` after "ab" was typed. VRAM of 1 MiB, svga and snake: 2 MiB.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from state_files import arrays_of

from vgaemu import Machine
from vgaemu.pc.bios.rom import ROM_BASE, STUBS

STATES = Path(__file__).parent / "states"
GUESTS = Path(__file__).parents[1] / "examples" / "guests"
#: Since then the DAC has one index and one colour register, what registers do in mid-picture is
#: kept, and text has a layout of its own.
GONE = {"bios.disk", "dac_write_index", "dac_read_index", "dac_cache", "chain4_layout"}
NEW = {
    "dac_index", "dac_triple", "feature_control",
    "layout", "text_stays", "field_before", "field_last", "field_off_until_ns", "latches",
}  # fmt: skip
#: And DOS keeps its tables in the guest's memory: its own at 600h, a control block before each
#: block, handles in the program's prefix, which was at 0800h.
NEW_OF_DOS = {
    "dos.a20",
    "dos.area",
    "dos.editing",
    "dos.folder",
    "dos.folders",
    "dos.hma",
    "dos.layout",
    "dos.template",
    "dos.xms",
    "dos.swapped",
}
OLD_PREFIX = 0x0800
#: Opens HELLO.TXT, reads 5 bytes, searches for *.*, then types each key with INT 10h/0Eh.
PROGRAM = bytes.fromhex(
    "b43d30c0ba2b01cd2189c3b43fb90500ba3901cd21b44e31c9ba3501cd21b400cd16b40ebb0700cd"
    "10ebf348454c4c4f2e545854002a2e2a000000000000000000"
)


def _without_tables_of_dos(places: np.ndarray) -> np.ndarray:
    prefix = OLD_PREFIX << 4
    known = [(0x600, 0x1800), (0x1810, 0x1820), (prefix + 0x18, prefix + 0x38)]
    known += [(at - 16, at) for at in (0x7000, prefix)]
    known += [(at, at + 5) for at in (0xC0, 0x1000C0)]  # the jump of CALL 5
    kept = np.ones(places.shape, bool)
    for begin, end in known:
        kept &= (places < begin) | (places >= end)
    return places[kept]


@pytest.mark.parametrize(("name", "mib"), [("typing", 1), ("sprites", 1), ("svga", 2)])
def test_a_workloads_state_still_loads(name: str, mib: int, tmp_path: Path) -> None:
    old = STATES / f"{name}.npz"
    with Machine(vram_mib=mib) as machine:
        machine.load_state(old)
        machine.draw_frame()
        again = tmp_path / "again.npz"
        machine.save_state(again)
        shown = machine.screen.full_redraw()
    before, after = arrays_of(old), arrays_of(again)
    assert {*before} - GONE == {*after} - NEW
    for part in {*before} - GONE - {"frame", "version"}:
        np.testing.assert_array_equal(before[part], after[part], part)
    frames = {"typing": 40, "sprites": 20, "svga": 20}
    with Machine(name, vram_mib=mib) as machine:
        machine.tick(frames[name])
        np.testing.assert_array_equal(machine.screen.full_redraw(), shown)


@pytest.mark.parametrize("name", ["snake", "prog"])
def test_a_guests_state_still_loads_and_goes_on(name: str, tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    old = STATES / f"{name}.npz"
    guest, options = str(GUESTS / "snake.img"), {}
    if name == "prog":
        (tmp_path / "HELLO.TXT").write_text("hello world\n")
        program = tmp_path / "prog.com"
        program.write_bytes(PROGRAM)
        guest, options = str(program), {"dos_root": str(tmp_path)}
    with Machine(guest, vram_mib=2 if name == "snake" else 1, **options) as machine:
        machine.load_state(old)
        again = tmp_path / "again.npz"
        machine.save_state(again)
        machine.keys.type("cd")
        machine.tick(30)
        text = machine.screen.text()
    before, after = arrays_of(old), arrays_of(again)
    # Since then there is a mouse, and time within slices; DOS runs programs of programs; model-
    # specific and debug registers are saved.
    since = {"chips.mouse", "chips.mouse_buffer", "chips.mouse_moved", "pc.looks", "pc.refused"}
    since |= {"chips.serial", "chips.serial_received", "bios.disk_locks"}
    since |= {"chips.serial_receiver", "chips.serial_incoming", "chips.rtc", "chips.pci"}
    since |= {"chips.pci_spaces", "chips.printer", "chips.a20", "chips.pit_written"}
    if name == "prog":
        since |= {"dos.owners", "dos.returned", *NEW_OF_DOS}
    since |= {"cpu.msrs", "cpu.debug"}
    since |= {"chips.mouse_places", "bios.pointing", "bios.pointing_packet"}
    since |= {f"bios.mouse{part}" for part in ("", "_counts", "_masks", "_under")}
    assert {*after} - {*before} == NEW | since
    for part in {*before} - GONE - {"frame", "ram", "version", "dos.blocks", "dos.files"}:
        np.testing.assert_array_equal(before[part], after[part], part)
    # The BIOS's stubs are this version's, and DOS has its tables in memory.
    differ = np.flatnonzero(before["ram"] != after["ram"])
    if name == "prog":
        differ = _without_tables_of_dos(differ)
    assert ROM_BASE + STUBS <= differ.min() <= differ.max() <= 0xFFFFF
    if name == "prog":
        assert text[0].startswith("abcd")
