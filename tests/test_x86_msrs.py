"""Model-specific registers that kernels set and nothing here looks at: kept, and saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from x86_helpers import CPUS, disk, make_pc, needs_kvm, run_until_halted

from vgaemu.pc.cpu.msrs import AFTER_RESET, MSRS, PAT, TSC_AUX, msrs_of
from vgaemu.pc.pc import Pc

pytest.importorskip("unicorn")

#: A range's base and mask, what memory is without.
SET = {PAT: 0x0007_0106_0007_0106, 0x200: 0x8000_0006, 0x201: 0xF_8000_0800, 0x2FF: 0xC06}
# cli; of each: mov ecx, number; mov eax, value; mov edx, value's upper half; wrmsr. hlt
GUEST = (
    b"\xfa"
    + b"".join(
        b"\x66\xb9" + number.to_bytes(4, "little")
        + b"\x66\xb8" + (value & 0xFFFF_FFFF).to_bytes(4, "little")
        + b"\x66\xba" + (value >> 32).to_bytes(4, "little") + b"\x0f\x30"
        for number, value in SET.items()
    )
    + b"\xf4"
)  # fmt: skip


def set_by(path: Path, cpu: str) -> dict[str, np.ndarray]:
    with make_pc(path, cpu=cpu) as pc:
        assert kept(pc)[PAT] == AFTER_RESET[PAT]
        run_until_halted(pc)
        found = kept(pc)
        assert {number: found[number] for number in SET} == SET
        return {name: np.array(array) for name, array in pc.state_arrays().items()}


def kept(pc: Pc) -> dict[int, int]:
    return msrs_of(pc.cpu.arrays())


@pytest.mark.parametrize(
    "way",
    [("unicorn", "unicorn"), *(pytest.param(way, marks=needs_kvm) for way in (
        ("unicorn", "kvm"), ("kvm", "unicorn"), ("kvm", "kvm"),
    ))],
    ids="-".join,
)  # fmt: skip
def test_a_state_has_them(tmp_path: Path, way: tuple[str, str]) -> None:
    path = disk(tmp_path, GUEST)
    state = set_by(path, way[0])
    with make_pc(path, cpu=way[1]) as pc:
        pc.check_state(state, "state")
        pc.restore_state(state, "state")
        found = kept(pc)
        assert {number: found[number] for number in SET} == SET
        # An older state has fewer.
        old = state | {MSRS: state[MSRS][state[MSRS][:, 0] < 0x200]}
        pc.check_state(old, "state")
        pc.restore_state(old, "state")
        if way[1] == "unicorn":
            assert (kept(pc)[PAT], kept(pc)[0x200]) == (AFTER_RESET[PAT], 0)


@pytest.mark.parametrize("cpu", CPUS)
def test_what_is_none_of_them_is_refused(tmp_path: Path, cpu: str) -> None:
    with make_pc(disk(tmp_path, GUEST), cpu=cpu) as pc:
        arrays = pc.cpu.arrays()
        assert pc.cpu.refusal(arrays) is None
        assert pc.cpu.refusal(arrays | {MSRS: np.array([[0x123, 1]], "u8")})
        assert TSC_AUX in msrs_of(arrays) or cpu == "kvm"
