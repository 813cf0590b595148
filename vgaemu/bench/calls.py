"""What calls, interrupts, pages and plain loops cost machine code: by native code and by Python.

Each guest does nothing but count what it does; both sides run frames of the same guest in turns.
Times are the thread's CPU time. Beside it, where it is installed, QEMU's TCG does as many, but for
DOS calls.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from vgaemu import native
from vgaemu.bench import tcg
from vgaemu.bench.measure import Row
from vgaemu.bench.paths import both_paths
from vgaemu.machine import Machine

#: How often QEMU does it in a round, and how many of ours a round has at least.
QEMU_TIMES, LEAST = 640, 10
#: Turns of a loop.
TURNS = 1_000
#: Where a guest counts, 32 bits; where boot sectors and .COM programs begin.
COUNT_AT = 0x600
#: cli; xor ax, ax; mov ds, ax; mov ss, ax; mov sp, 7000h; int 40h's vector: 7C15h; jmp; iret
REAL = bytes.fromhex("FA 31C0 8ED8 8ED0 BC0070 C7060001157C A30201 EB01 CF")
#: Flat protected mode with paging, 4 MiB identical: cli; xor ax, ax; mov ds, ax; lgdt; PE;
#: jmp 8:flat; GDT; GDTR; IDTR; handler: iret; flat: data segments, ESP = 7000h; INT 30h's gate;
#: lidt; a directory at 1 MiB and a table behind it; mov cr3; PG.
PROTECTED = bytes.fromhex(
    "FA 31 C0 8E D8 0F 01 16 2F 7C 0F 20 C0 0C 01 0F 22 C0 EA 3C 7C 08 00 00 00 00 00 00 "
    "00 00 00 FF FF 00 00 00 9A CF 00 FF FF 00 00 00 92 CF 00 17 00 17 7C 00 00 FF 07 00 "
    "50 00 00 CF 66 B8 10 00 8E D8 8E C0 8E D0 BC 00 70 00 00 C7 05 80 51 00 00 3B 7C 08 "
    "00 C7 05 84 51 00 00 00 8E 00 00 0F 01 1D 35 7C 00 00 BF 00 00 10 00 C7 07 03 10 10 "
    "00 81 C7 00 10 00 00 B9 00 04 00 00 B8 03 00 00 00 AB 05 00 10 00 00 E2 F8 B8 00 00 "
    "10 00 0F 22 D8 0F 20 C0 0D 00 00 00 80 0F 22 C0"
)
#: push cs; pop ds; mov word [600h], 0 and [602h], 0: a .COM program counts in itself.
PROGRAM = bytes.fromhex("C70600060000 C70602060000")


class Kind(NamedTuple):
    """What a guest does, so many `times` a round, and how it begins."""

    name: str
    code: str
    begin: bytes = REAL
    times: int = 1


KINDS = (
    Kind("INT 40h, a vector", "CD40"),
    Kind("INT 10h/03h", "B403 B700 CD10"),
    Kind("INT 16h/01h", "B401 CD16"),
    Kind("INT 1Ah/00h", "B400 CD1A"),
    Kind("INT 10h/0Eh", "B8610E BB0700 CD10"),
    # One character to handle 1, from 106h on.
    Kind("INT 21h/40h", "B440 BB0100 B90100 BA0601 CD21", PROGRAM),
    Kind("INT 30h, a gate", "CD30", PROTECTED),
    # mov eax, cr3; mov cr3, eax; mov esi, 200000h; mov ecx, 64; l: mov eax, [esi]; mov [esi], eax;
    # add esi, 4096; dec ecx; jnz l
    Kind(
        "pages after a flush",
        "0F20D8 0F22D8 BE00002000 B940000000 8B06 8906 81C600100000 49 75F3",
        PROTECTED,
        64,
    ),
    # mov cx, 1000; l: inc bx; add ax, bx; xor bx, dx; dec cx; jnz l
    Kind("a turn of register work, 5 instructions", "B9E803 43 01D8 31D3 49 75F8", REAL, TURNS),
    # mov si, 800h; mov cx, 1000; l: mov ax, [si]; inc ax; mov [si], ax; dec cx; jnz l
    Kind(
        "a turn of memory work, 5 instructions", "BE0008 B9E803 8B04 40 8904 49 75F8", REAL, TURNS
    ),
    # mov cx, 1000; l: call r; dec cx; jnz l; jmp out; r: ret; out:
    Kind("a near call and back, 4 instructions", "B9E803 E80500 49 75FA EB01 C3", REAL, TURNS),
)


def rows() -> list[Row]:
    """Each kind."""
    native.load(wait=True)
    return [_row(kind) for kind in KINDS]


def _counting(kind: Kind, *, down: bool) -> bytes:
    """A round, and its count: endless upwards, or downwards to 0."""
    # inc or dec dword [600h]; jmp or jnz
    flat = kind.begin == PROTECTED
    operation = bytes((0xFF, (0x0D if flat else 0x0E) if down else 0x05 if flat else 0x06))
    count = operation + COUNT_AT.to_bytes(4 if flat else 2, "little")
    each = bytes.fromhex(kind.code) + (b"" if flat else b"\x66") + count
    return each + (b"\x75" if down else b"\xeb") + bytes((-len(each) - 2 & 0xFF,))


@contextmanager
def _disk(kind: Kind) -> Iterator[str]:
    code = kind.begin + _counting(kind, down=False)
    if kind.begin is not PROGRAM:
        code = code.ljust(510, b"\0") + b"\x55\xaa"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "guest.com" if kind.begin is PROGRAM else "guest.img")
        path.write_bytes(code)
        yield str(path)


def _row(kind: Kind) -> Row:
    with _disk(kind) as image:
        row = both_paths(
            image, lambda machine: _count(machine, kind) * kind.times, vga_bios="builtin"
        )
    return {"guest does": kind.name, **row, "qemu_tcg_ns": _qemu_ns(kind)}


def _count(machine: Machine, kind: Kind) -> int:
    pc = machine.pc
    assert pc is not None
    return pc.bus.read32(COUNT_AT + (pc.cpu.get("ds") << 4 if kind.begin is PROGRAM else 0))


@lru_cache(maxsize=len(KINDS))
def _qemu_ns(kind: Kind) -> float | None:
    """None: QEMU is not here, or the guest wants a DOS."""
    if kind.begin is PROGRAM:
        return None
    flat, rounds = kind.begin == PROTECTED, max(QEMU_TIMES // kind.times, LEAST)
    # mov dword [600h], rounds
    store = b"\xc7\x05" if flat else b"\x66\xc7\x06"
    store += COUNT_AT.to_bytes(4 if flat else 2, "little")
    store += rounds.to_bytes(4, "little")
    work = store + _counting(kind, down=True)
    seconds = tcg.seconds(kind.begin + tcg.endless(work, flat=flat))
    return None if seconds is None else seconds * 1e9 / (rounds * kind.times)
