"""Debug registers: a breakpoint in code, on each CPU and from one to another; INT1.

Breakpoints of data fire where the host's processor has them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from protected import PROGRAM, USER_CODE, Protected, reports, to_ring_3
from x86_helpers import CPUS, disk, make_pc, needs_kvm, run_until_halted

from vgaemu.pc.cpu.debug_registers import AFTER_RESET, DEBUG
from vgaemu.pc.pc import Pc

pytest.importorskip("unicorn")

# cli; ax = ds = ss = 0; sp = 7C00h; vector 1: handler; [600h] = [604h] = 0; dr0 = target; dr3 =
# 700h; dr7 = 401h; wait: cmp byte [604h], 0; je wait; target: inc cx; hlt. handler: inc word
# [600h]; [602h] = dr6; dr7 = 0; iret.
GUEST = bytes.fromhex(
    "FA 31 C0 8E D8 8E D0 BC 00 7C C7 06 04 00 3D 7C A3 06 00 66 A3 00 06 66 31 C0 66 A3 00 06 "
    "66 A3 04 06 B8 3B 7C 0F 23 C0 B8 00 07 0F 23 D8 B8 01 04 0F 23 F8 80 3E 04 06 00 74 F9 41 "
    "F4 FF 06 00 06 0F 21 F3 89 1E 02 06 66 31 C0 0F 23 F8 CF"
)
WAITING = [0x7C3B, 0, 0, 0x700, 0xFFFF0FF0, 0x401]


def until_it_waits(pc: Pc) -> None:
    turns = pc.slices()
    for _ in range(1000):
        next(turns)
        if pc.cpu.arrays()[DEBUG].tolist() == WAITING:
            return
    raise AssertionError(pc.cpu.arrays()[DEBUG])


def go_on(pc: Pc) -> tuple[int, int, int]:
    """Let it come to the breakpoint; how often it did, DR6 then, DR7 after it."""
    pc.bus.write8(0x604, 1)
    run_until_halted(pc)
    debug = pc.cpu.arrays()[DEBUG].tolist()
    return pc.bus.read16(0x600), pc.bus.read16(0x602), debug[5]


@pytest.mark.parametrize("cpu", CPUS)
def test_a_breakpoint_fires(tmp_path: Path, cpu: str) -> None:
    with make_pc(disk(tmp_path, GUEST), cpu=cpu) as pc:
        assert tuple(pc.cpu.arrays()[DEBUG].tolist()) == AFTER_RESET
        until_it_waits(pc)
        assert go_on(pc) == (1, 0x0FF1, 0x400)


@pytest.mark.parametrize(
    "way",
    [("unicorn", "unicorn"), *(pytest.param(way, marks=needs_kvm) for way in (
        ("unicorn", "kvm"), ("kvm", "unicorn"), ("kvm", "kvm"),
    ))],
    ids="-".join,
)  # fmt: skip
def test_a_state_has_them(tmp_path: Path, way: tuple[str, str]) -> None:
    path = disk(tmp_path, GUEST)
    with make_pc(path, cpu=way[0]) as pc:
        until_it_waits(pc)
        state = {name: np.array(array) for name, array in pc.state_arrays().items()}
    with make_pc(path, cpu=way[1]) as pc:
        pc.check_state(state, "state")
        pc.restore_state(state, "state")
        assert pc.cpu.arrays()[DEBUG].tolist() == WAITING
        assert go_on(pc) == (1, 0x0FF1, 0x400)
        # And one without any takes them away.
        pc.check_state({name: state[name] for name in state if name != DEBUG}, "state")
        pc.restore_state({name: state[name] for name in state if name != DEBUG}, "state")
        assert tuple(pc.cpu.arrays()[DEBUG].tolist()) == AFTER_RESET
        assert go_on(pc)[0] == 0


@pytest.mark.parametrize("cpu", CPUS)
def test_what_they_cannot_hold_is_refused(tmp_path: Path, cpu: str) -> None:
    with make_pc(disk(tmp_path, GUEST), cpu=cpu) as pc:
        arrays = pc.cpu.arrays()
        for wrong in (np.zeros(5, "u8"), np.zeros(6, "i4"), np.full(6, 1 << 32, "u8")):
            assert pc.cpu.refusal(arrays | {DEBUG: wrong})
        assert pc.cpu.refusal(arrays) is None


def test_int1_is_a_debug_exception(tmp_path: Path) -> None:
    # ds = 0; vector 1: handler; int1; cli; hlt. handler: pop ax; mov [600h], ax; cli; hlt.
    guest = bytes.fromhex("31 C0 8E D8 C7 06 04 00 10 7C A3 06 00 F1 FA F4 58 A3 00 06 FA F4")
    with make_pc(disk(tmp_path, guest)) as pc:
        run_until_halted(pc)
        assert pc.bus.read16(0x600) == 0x7C0E


@pytest.mark.parametrize(
    ("program", "told"),
    [(b"\xf1", (1, PROGRAM + 1, USER_CODE, 0)), (b"\xcd\x01", (13, 1 << 3 | 2, PROGRAM, 0))],
    ids=["INT1", "INT 1"],
)
def test_int1_needs_no_gate_of_its_own_privilege(
    tmp_path: Path, program: bytes, told: tuple[int, ...]
) -> None:
    path = tmp_path / "test.img"
    path.write_bytes(Protected(to_ring_3(), program).image())
    with make_pc(path) as pc:
        run_until_halted(pc)
        assert reports(bytes(pc.debug.text).decode("latin-1")) == [told]
