"""Run random guests: ``python x86_fuzz.py CPU FIRST COUNT [KIND]``; a line for each.

They are boot sectors of random bytes, or of protected mode: see `KINDS`. Each is saved in the end,
and goes on from there for a frame.

Started in child processes by `test_x86_fuzz`: whatever a guest does, this process ends by itself.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path

import random_protected

from vgaemu.errors import GuestFault, StateError
from vgaemu.machine import Machine

FRAMES = 4
#: Bytes of addresses a child may take: a leak of a few MiB a run would end it.
MAX_MEMORY = 3 << 30
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
KINDS = {"sector": sector, "protected": random_protected.image}


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


def main(cpu: str, first: int, count: int, kind: str = "sector") -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.img"
        for seed in range(first, first + count):
            path.write_bytes(KINDS[kind](seed))
            print(seed, flush=True)
            with Machine(str(path), cpu=cpu, vram_mib=1) as machine:
                machine.keys.press("a")
                try:
                    ends["running" if machine.tick(FRAMES) else "halted"] += 1
                except GuestFault as fault:
                    ends["fault" if fault.report else "fault without a report"] += 1
                machine.screen.full_redraw()
                ends[save_and_go_on(machine)] += 1
    if ends["fault without a report"]:
        sys.exit("a fault came without a report")
    print(dict(ends))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
