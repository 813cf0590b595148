"""What an access to a port of the VGA costs machine code: by native code and by Python.

Each guest does nothing but count its accesses; both sides run frames of the same guest in turns.
Times are the thread's CPU time. Beside it, where it is installed, QEMU's TCG does as many.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from vgaemu import native
from vgaemu.bench import tcg
from vgaemu.bench.boot import boot_sector
from vgaemu.bench.measure import Row
from vgaemu.bench.paths import both_paths
from vgaemu.machine import Machine

#: Accesses of a round in QEMU.
QEMU_ACCESSES = 7_680


class Accesses(NamedTuple):
    """A kind of accesses: what comes before all, and a round with so many of them."""

    name: str
    before: str
    each: str
    times: int = 1


KINDS = (
    Accesses("IN 3DAh", "BADA03", "EC"),
    Accesses("OUT 3C9h", "BAC903", "EE"),
    Accesses("OUT 3C9h, other colours", "BAC903", "EE 40"),  # inc ax
    # xor si, si; mov cx, 768; rep outsb
    Accesses("OUT 3C9h by REP OUTSB", "BAC903", "31F6 B90003 F36E", 768),
    # The index first, then: inc dx; each time another value
    Accesses("OUT 3CFh, GR08", "BACE03 B008 EE 42", "EE 40"),
    Accesses("OUT 3CEh of a word, GR08", "BACE03 B80800", "EF FEC4"),  # inc ah
    Accesses("OUT 3C5h, SR02", "BAC403 B002 EE 42", "EE 40"),
)
#: cli; mov ax, 12h; int 10h
SETUP = bytes.fromhex("FA B81200 CD10")


def rows() -> list[Row]:
    """Each kind of accesses."""
    native.load(wait=True)
    return [_row(kind) for kind in KINDS]


def _row(kind: Accesses) -> Row:
    # l: a round; inc ebx; jmp l
    each = bytes.fromhex(kind.each) + b"\x66\x43"
    code = SETUP + bytes.fromhex(kind.before) + each + b"\xeb" + bytes((-len(each) - 2 & 0xFF,))

    def counted(machine: Machine) -> int:
        assert machine.pc is not None
        return machine.pc.cpu.get("ebx") * kind.times

    with boot_sector(code) as image:
        row = both_paths(image, counted)
    return {"port access": kind.name, **row, "qemu_tcg_ns": _qemu_ns(kind)}


@lru_cache(maxsize=len(KINDS))
def _qemu_ns(kind: Accesses) -> float | None:
    rounds = QEMU_ACCESSES // kind.times
    # mov ebp, rounds; l: a round; dec ebp; jnz l
    each = bytes.fromhex(kind.each) + b"\x66\x4d"
    loop = b"\x66\xbd" + rounds.to_bytes(4, "little") + each
    loop += b"\x75" + bytes((-len(each) - 2 & 0xFF,))
    seconds = tcg.seconds(SETUP + tcg.endless(bytes.fromhex(kind.before) + loop))
    return None if seconds is None else seconds * 1e9 / (rounds * kind.times)
