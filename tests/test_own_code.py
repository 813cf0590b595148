"""Machine code of the BIOS's and DOS's own: bytes that are committed are those of their sources."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vgaemu.pc.bios import rom
from vgaemu.pc.bios.rom import ROM_SEGMENT, stub_offset
from vgaemu.pc.dos import area
from vgaemu.pc.dos import dpmi_tables as tables

BIOS, DOS = Path(rom.__file__).parent, Path(area.__file__).parent
CODE = {
    BIOS / "rom_code.asm": rom.rom_code,
    DOS / "area_code.asm": area.area_code,
    DOS / "dpmi_host.asm": tables.host_code,
}
#: Vectors whose stubs only lead on: to where.
ROUTINES = {
    0x08: rom.TIMER_ROUTINE, 0x09: rom.KEYBOARD_ROUTINE, 0x70: rom.CLOCK_ROUTINE,
    0x74: rom.MOUSE_ROUTINE,
}  # fmt: skip


@pytest.mark.skipif(shutil.which("nasm") is None, reason="no nasm; apt-get install nasm")
@pytest.mark.parametrize("source", CODE, ids=lambda source: source.stem)
def test_the_bytes_are_of_the_source(source: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    subprocess.run(["nasm", "-f", "bin", "-o", made, source], check=True, timeout=20)
    assert made.read_bytes() == CODE[source]()


def test_routines_of_rom_lie_at_their_places() -> None:
    source = (BIOS / "rom_code.asm").read_text()
    places = {
        name.upper(): int(at, 16)
        for at, name in re.findall(r"^PLACE (0x\w+)\n(\w+):", source, re.MULTILINE)
    }
    assert places.pop("INT_08") == stub_offset(0x08)
    assert places.pop("INT_09") == stub_offset(0x09)
    of_house = {name: vars(rom).get(name, vars(rom).get(f"{name}_AT")) for name in places}
    assert places == of_house
    assert len(places) > 10


def test_each_vector_of_rom_asks_by_its_port() -> None:
    code = rom.rom_code()

    def asks(place: int, port: int) -> bool:
        begin = place - rom.CODE_AT
        return bytes((0xE6, port)) in code[begin : begin + 0x20]  # out port, al

    assert asks(rom.KEY_HOOK, rom.HOOKED_PORT)
    for vector, port in rom.trap_ports().items():
        assert asks(ROUTINES.get(vector, stub_offset(vector)), port), hex(vector)


def test_pieces_of_dos_lie_where_the_source_has_them() -> None:
    source = (DOS / "area_code.asm").read_text()
    pieces = area.OLD_PIECES | area.NEW_PIECES
    assert {int(at, 16) for at in re.findall("^PLACE (.*)$", source, re.M)} == pieces.keys()
    code = bytearray(area.area_code())
    for offset, size in pieces.items():
        assert code[offset] != 0
        assert code[offset + size - 1] != 0
        code[offset : offset + size] = bytes(size)
    assert not any(code)


def test_the_source_for_dos_has_the_numbers_of_the_house() -> None:
    said = re.findall(r"^(\w+) +equ (0x\w+)", (DOS / "area_code.asm").read_text(), re.M)
    numbers = {name: int(number, 16) for name, number in said}
    assert numbers.items() >= {
        "AREA": area.SEGMENT, "INT_21": stub_offset(0x21), "BIOS": ROM_SEGMENT,
        "DOS": area.DOS_PORT, "XMS": area.XMS_PORT, "DISK": area.DISK_OFFSET,
        "ending": area.ENDING_AT - area.BASE, "flag": area.CRITICAL_FLAG_AT - area.BASE,
        "in_dos": area.IN_DOS_OFFSET, "about": area.CRITICAL_ABOUT_AT - area.BASE,
        "error": area.CRITICAL_CODE_AT - area.BASE, "answer": area.ANSWER_AT - area.BASE,
    }.items()  # fmt: skip
