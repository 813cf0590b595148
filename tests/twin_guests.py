"""One guest run twice, with native code from its first slice on and without, and what it left.

``python twin_guests.py FIRST COUNT [sector | protected]`` compares so many random guests.
"""

from __future__ import annotations

import sys
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias
from unittest.mock import patch

from x86_fuzz import KINDS
from x86_helpers import make_pc

from vgaemu import native
from vgaemu.errors import GuestFault
from vgaemu.native.cpu_cells import LONG_OVERHEAD_NS
from vgaemu.pc.clock import StepClock
from vgaemu.pc.cpu.unicorn import UnicornCpu
from vgaemu.pc.pc import Pc

Left: TypeAlias = dict[str, object]


class TooMuch(Exception):
    """Overhead in one slice; what follows is not compared."""


def left(pc: Pc) -> Left:
    """All that native code may change."""
    cpu = pc.cpu
    assert isinstance(cpu, UnicornCpu)
    arrays = {name: array.tolist() for name, array in cpu.arrays().items()}
    return arrays | {
        "ns": pc.clock.now_ns(),
        "events": pc.clock.events,
        "ram": zlib.crc32(pc.bus.memory),
        "stored": bytes(pc.bus.stored),
        "code": bytes(cpu._pages.code),
        "vram": zlib.crc32(pc.vga.slot.array),
        "latch": pc.vga._aperture.latch,
        "dirty": pc.vga.slot.get_dirty_log().pages().tolist(),
        "over": pc.ended,
    }


def run(path: Path, frames: int, *, is_native: bool) -> list[Left]:
    """What is left after each frame, and after a fault."""
    found: list[Left] = []
    end_slice = StepClock.end_slice

    def ends(clock: StepClock, overhead_ns: int) -> None:
        """A slice that ends by its overhead does so by how long blocks are, see below."""
        if overhead_ns > LONG_OVERHEAD_NS:
            raise TooMuch
        end_slice(clock, overhead_ns)

    # The last net for hosts that are slow just then: no frame is to end by it. Nor by overhead:
    # blocks are cut elsewhere where each instruction is counted, and pages are asked for twice
    # where an instruction is done anew.
    host = patch("vgaemu.pc.pc.MOST_HOST_NS", 1 << 60)
    free = patch("vgaemu.pc.clock.FREE_OVERHEAD_NS", 1 << 60)
    with host, free, patch.object(StepClock, "end_slice", ends), make_pc(path) as pc:
        assert isinstance(pc.cpu, UnicornCpu)
        pc.cpu._slices_in_python = 0 if is_native else -1
        turns = pc.slices()
        with suppress(TooMuch):
            with suppress(GuestFault):
                for _ in range(frames):
                    if next(turns, self_ended := object()) is self_ended:
                        break
                    found.append(left(pc))
            found.append(left(pc))
    return found


def differences(path: Path, frames: int = 2) -> list[str]:
    """Names of what native code leaves another way than Python, in the first frame with any."""
    for one, other in zip(
        run(path, frames, is_native=True), run(path, frames, is_native=False), strict=False
    ):
        wrong = [name for name in one if one[name] != other[name]]
        if wrong:
            return wrong
    return []


def main() -> None:
    first, count, kind = int(sys.argv[1]), int(sys.argv[2]), (*sys.argv[3:], "protected")[0]
    assert native.load(wait=True), native.why_not()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "twin.img"
        for seed in range(first, first + count):
            path.write_bytes(KINDS[kind](seed))
            wrong = differences(path)
            if wrong:
                print(seed, wrong, flush=True)


if __name__ == "__main__":
    main()
