"""Ports in the middle of blocks: what a guest leaves is the same by native code and by Python.

`tests/kernels/ports.asm` has the programs; one is in ring 3, with ports that it may use and others.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("unicorn")
pytest.importorskip("numba")

import twin_guests
from protected import (
    CODE,
    GDT,
    IDT,
    PROGRAM,
    TASK,
    USER_CODE,
    USER_DATA,
    USER_STACK,
    Protected,
    descriptor,
    dword,
    gate,
)
from test_native import needs_native
from test_native_blocks import ends_of_slices

pytestmark = [needs_native, pytest.mark.turns(3)]

KERNELS = Path(__file__).parent / "kernels"
#: A program -> its first sector and how many it has.
PROGRAMS = {
    "flags": (0, 1), "strings": (1, 1), "widths": (2, 1), "registers": (3, 1), "faults": (4, 1),
    "long mode": (5, 5),
}  # fmt: skip
#: Instructions of a slice. A port takes as long as 30.3.
SIZES = 1, 2, 3, 7, 30, 31, 100, 50_000
#: Of a ring 3 program all whose ports are allowed but for these.
REFUSED: dict[str, list[int]] = {
    "none is refused": [], "one of Python's": [0x80], "one of native code's": [0x3C9],
    "looks at the beam": [0x3DA], "all but the DAC": [*range(0x3C0), *range(0x3CA, 0x400)],
}  # fmt: skip
#: ebp = A0000h; esi = D000h; l: inc ebx; dx = 3CEh; sub cl, bl; out dx, al; adc edi, ebx; inc edx;
#: in al, dx; dx = 3C8h; out dx, al; inc edx; 3 times out dx, al; adc edi, eax; mov [ebp+ebx], bl;
#: dx = 3DAh; in al, dx; in al, 61h; add cl, bl; out 80h, al; sbb edi, ebx; rdtsc; xor edi, eax;
#: dx = 3C9h; out dx, ax; in al, dx; adc edi, eax; outsb; cmp ebx, 30; jb l; mov eax, edi; int 21h
PROGRAM_IN_RING_3 = bytes.fromhex(
    "BD 00 00 0A 00 BE 00 D0 00 00 31 DB 43 BA CE 03 00 00 28 D9 EE 11 DF 42 EC BA C8 03 00 00 EE "
    "42 EE EE EE 11 C7 88 5C 1D 00 BA DA 03 00 00 EC E4 61 00 D9 E6 80 19 DF 0F 31 31 C7 BA C9 03 "
    "00 00 66 EF EC 11 C7 6E 83 FB 1E 72 C1 89 F8 CD 21"
)
#: Of general protection, past the port: pushad; mov esi, [esp+36]; l: lodsb; cmp al, 66h; je l;
#: cmp al, E4h; jb s; cmp al, E7h; ja s; inc esi; s: mov [esp+36], esi; popad; add esp, 4; iretd
PAST_PORT = bytes.fromhex(
    "60 8B 74 24 24 AC 3C 66 74 FB 3C E4 72 05 3C E7 77 01 46 89 74 24 24 61 83 C4 04 CF"
)


def in_ring_3(refused: list[int]) -> bytes:
    """A floppy of that, with an I/O bitmap."""
    values = (USER_DATA, USER_STACK + 0x1000, 2, USER_CODE, PROGRAM)
    code = b"".join(b"\x68" + dword(value) for value in values) + b"\xcf"  # iretd
    guest = Protected(code.ljust(0x400, b"\x90") + PAST_PORT, PROGRAM_IN_RING_3)
    bits = bytearray(0x80) + b"\xff"  # of ports up to 3FFh
    for port in refused:
        bits[port >> 3] |= 1 << (port & 7)
    guest.put(GDT + 0x38, descriptor(TASK, 0x67 + len(bits), 0x89, 0))
    guest.put(TASK + 0x66, b"\x68\x00" + bits)
    guest.put(IDT + 8 * 13, gate(CODE + 0x400))
    guest.put(IDT + 8 * 0x21, gate(CODE + 0x500, access=0xEE))
    guest.code = guest.code.ljust(0x500, b"\x90") + b"\xfa\xf4"
    return guest.image()


def image(tmp_path: Path, name: str) -> Path:
    path = tmp_path / "guest.img"
    if name in REFUSED:
        path.write_bytes(in_ring_3(REFUSED[name]))
    else:
        first, count = PROGRAMS[name]
        octets = (KERNELS / "ports.img").read_bytes()
        path.write_bytes(octets[512 * first : 512 * (first + count)])
    return path


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [*PROGRAMS, *REFUSED])
def test_slices_end_as_they_do_in_python(tmp_path: Path, name: str, size: int) -> None:
    path = image(tmp_path, name)
    counted = ends_of_slices(path, size, is_native=False)
    assert ends_of_slices(path, size, is_native=True) == counted
    if size == SIZES[-1]:
        assert twin_guests.differences(path, 40) == []


@pytest.mark.skipif(shutil.which("nasm") is None, reason="nasm is not here")
def test_the_bytes_are_built_from_the_source(tmp_path: Path) -> None:
    built = tmp_path / "ports.img"
    subprocess.run(["nasm", "-f", "bin", "-o", built, KERNELS / "ports.asm"], check=True)
    assert built.read_bytes() == (KERNELS / "ports.img").read_bytes()
