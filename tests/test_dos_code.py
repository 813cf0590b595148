"""Machine code of DOS's own: the bytes that are committed are those of the sources beside them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vgaemu.pc.bios.rom import ROM_SEGMENT, stub_offset
from vgaemu.pc.dos import area
from vgaemu.pc.dos import dpmi_tables as tables

FOLDER = Path(area.__file__).parent
CODE = {"dpmi_host": tables.host_code, "area_code": area.area_code}


@pytest.mark.skipif(shutil.which("nasm") is None, reason="no nasm; apt-get install nasm")
@pytest.mark.parametrize("name", CODE)
def test_the_bytes_are_of_the_source(name: str, tmp_path: Path) -> None:
    source, made = FOLDER / f"{name}.asm", tmp_path / "made"
    subprocess.run(["nasm", "-f", "bin", "-o", made, source], check=True, timeout=20)
    assert made.read_bytes() == CODE[name]()


def test_pieces_lie_where_the_source_has_them() -> None:
    source = (FOLDER / "area_code.asm").read_text()
    pieces = area.OLD_PIECES | area.NEW_PIECES
    assert {int(at, 16) for at in re.findall("^PLACE (.*)$", source, re.M)} == pieces.keys()
    code = bytearray(area.area_code())
    for offset, size in pieces.items():
        assert code[offset] != 0
        assert code[offset + size - 1] != 0
        code[offset : offset + size] = bytes(size)
    assert not any(code)


def test_the_source_has_the_numbers_of_the_house() -> None:
    said = re.findall(r"^(\w+) +equ (0x\w+)", (FOLDER / "area_code.asm").read_text(), re.M)
    numbers = {name: int(number, 16) for name, number in said}
    assert numbers.items() >= {
        "AREA": area.SEGMENT, "INT_21": stub_offset(0x21), "BIOS": ROM_SEGMENT,
        "DOS": area.DOS_PORT, "XMS": area.XMS_PORT, "DISK": area.DISK_OFFSET,
        "ending": area.ENDING_AT - area.BASE, "flag": area.CRITICAL_FLAG_AT - area.BASE,
        "in_dos": area.IN_DOS_OFFSET, "about": area.CRITICAL_ABOUT_AT - area.BASE,
        "error": area.CRITICAL_CODE_AT - area.BASE, "answer": area.ANSWER_AT - area.BASE,
    }.items()  # fmt: skip
