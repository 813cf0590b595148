"""INT 15h/53h: what power management answers; a system that goes off by it is in `test_x86_zoo`."""

from __future__ import annotations

from pathlib import Path

import pytest
from x86_helpers import call, disk, make_pc

pytest.importorskip("unicorn")
CARRY = 1
#: AL, BX and CX of a call; AX afterwards, and whether it has failed.
CALLS = {
    "is it there": (0x00, 0, 0, 0x0102, False),
    "another device's": (0x00, 1, 0, 0x0900, True),
    "connect": (0x01, 0, 0, 0x5301, False),
    "16 bits": (0x02, 0, 0, 0x0602, True),
    "32 bits": (0x03, 0, 0, 0x0803, True),
    "disconnect": (0x04, 0, 0, 0x5304, False),
    "busy": (0x06, 0, 0, 0x5306, False),
    "standby": (0x07, 1, 1, 0x5307, False),
    "no state": (0x07, 1, 4, 0x0A07, True),
    "a disk off": (0x07, 0x01FF, 3, 0x0907, True),
    "enable": (0x08, 1, 1, 0x5308, False),
    "events": (0x0B, 0, 0, 0x800B, True),
    "version 1.0": (0x0E, 0, 0x100, 0x0100, False),
    "version 1.3": (0x0E, 0, 0x103, 0x0102, False),
    "engage": (0x0F, 1, 1, 0x530F, False),
    "nothing": (0x30, 0, 0, 0x8630, True),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_it_answers(name: str, tmp_path: Path) -> None:
    al, bx, cx, ax, fails = CALLS[name]
    with make_pc(disk(tmp_path, b"\xfa\xf4")) as pc:
        flags = call(pc, 0x15, ax=0x5300 | al, bx=bx, cx=cx)
        assert (pc.cpu.ax, bool(flags & CARRY), pc.run.ended) == (ax, fails, False)


def test_off_ends_the_run(tmp_path: Path) -> None:
    with make_pc(disk(tmp_path, b"\xfa\xf4")) as pc:
        call(pc, 0x15, ax=0x5307, bx=1, cx=3)
        assert (pc.ended, pc.exit_code) == (True, 0)
