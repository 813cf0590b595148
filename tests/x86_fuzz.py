"""Random guests: boot sectors of random bytes, and guests of protected mode: see `KINDS`.

`tests/fuzz/guests.py` runs them, takes their state in the end, and goes on from there for a frame.
"""

from __future__ import annotations

import random
from contextlib import suppress

import random_protected
import random_strings

from vgaemu.errors import GuestFault, StateError
from vgaemu.machine import Machine

FRAMES = 4
#: Beginnings that lead somewhere: a mode, the VGA's segment, ports.
PRELUDES = [
    b"", b"",
    bytes.fromhex("B8 13 00 CD 10 68 00 A0 07"), bytes.fromhex("B8 12 00 CD 10 68 00 A0 07"),
    bytes.fromhex("B8 02 4F BB 01 41 CD 10"), bytes.fromhex("68 00 B8 07 68 00 B8 1F"),
    bytes.fromhex("FB BA C4 03"), bytes.fromhex("0F 20 C0 0C 01 0F 22 C0"),
]  # fmt: skip


def sector(seed: int) -> bytes:
    rng = random.Random(seed)
    prelude = rng.choice(PRELUDES)
    body = rng.randbytes(510 - len(prelude))
    if rng.random() < 0.5:  # interrupts and port accesses, more often than chance has them
        spice = [
            b"\xcd\x10",
            b"\xcd\x13",
            b"\xcd\x16",
            b"\xee",
            b"\xef",
            b"\xec",
            b"\xab",
            b"\xf3\xaa",
        ]
        body = b"".join(rng.choice(spice) + body[i : i + 3] for i in range(0, 480, 5))[:-1]
        body = body[: 510 - len(prelude)]
    return (prelude + body).ljust(510, b"\x90") + b"\x55\xaa"


#: Kind of guest -> a disk of it, by a seed.
KINDS = {
    "sector": sector, "protected": random_protected.image,
    "strings": random_strings.real, "protected strings": random_strings.protected,
}  # fmt: skip


def save_and_go_on(machine: Machine) -> str:
    """Whatever a guest has become, its state is taken, and put back or refused."""
    pc = machine.pc
    assert pc is not None
    arrays = pc.state_arrays()
    try:
        pc.check_state(arrays, "state")
    except StateError:
        return "state refused"
    pc.restore_state(arrays)
    again = pc.state_arrays()
    for name in ("cpu.general", "cpu.segments", "cpu.control", "chips.pit", "ram"):
        assert (arrays[name] == again[name]).all(), name
    with suppress(GuestFault):
        next(pc.slices(), None)
    return "state put back"
