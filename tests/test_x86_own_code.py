"""Guests that store to the code they are in: registers as a real CPU leaves them, and time.

With native code: `test_native_blocks`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("unicorn")

from x86_helpers import CPUS, disk, make_pc, run_until_halted

from vgaemu.pc.cpu.unicorn import UnicornCpu

#: ax = ds = ss = 0; sp = 7000h; cx = 0; l: inc cx; add bl, 7Fh; mov [m+1], cl; adc dx, 0; pushf;
#: pop ax; add di, ax; m: mov bl, 0; add bl, 80h; add [m+1], bl; sbb si, 0; cmp cx, 60; jb l
FLAGS = bytes.fromhex(
    "31 C0 8E D8 8E D0 BC 00 70 31 C9 41 80 C3 7F 88 0E 1B 7C 83 D2 00 9C 58 01 C7 B3 00 "
    "80 C3 80 00 1E 1B 7C 83 DE 00 81 F9 3C 00 72 DF FA F4"
)
#: By KVM.
LEFT = {"eax": 0x202, "ebx": 0xBC, "ecx": 60, "edx": 59, "esi": 0, "edi": 0x7960}


@pytest.mark.parametrize("cpu", CPUS)
def test_flags_outlive_a_store_to_the_block_in_hand(tmp_path: Path, cpu: str) -> None:
    with make_pc(disk(tmp_path, FLAGS), cpu=cpu) as pc:
        run_until_halted(pc)
        assert {name: pc.cpu.get(name) for name in LEFT} == LEFT


@pytest.mark.parametrize("size", [1, 2, 3, 50_000])
def test_such_a_store_takes_no_longer_than_another(tmp_path: Path, size: int) -> None:
    took = []
    for at in 0x7C16, 0x7E16:  # the NOP, or elsewhere
        # ds = 0; cx = 20; l: rdtsc; mov ebx, eax; mov byte [at], 90h; nop; rdtsc; sub eax, ebx;
        # add esi, eax; loop l
        timed = bytes.fromhex("31 C0 8E D8 66 31 F6 B9 14 00 0F 31 66 89 C3 90 90 C6 06")
        timed += at.to_bytes(2, "little")
        timed += bytes.fromhex("90 90 0F 31 66 29 D8 66 01 C6 E2 E9 FA F4")
        with make_pc(disk(tmp_path, timed)) as pc:
            assert isinstance(pc.cpu, UnicornCpu)
            pc.cpu._slice = size
            run_until_halted(pc)
            took.append(pc.cpu.get("esi"))
    assert took[0] == took[1] > 0
