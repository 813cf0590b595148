"""What a BIOS service may leave changed: what it documents. Hooks may change anything."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from random_bios import OTHERS, RandomBios, wrong_changes
from x86_helpers import CPUS, disk, make_pc, run_until_halted

from vgaemu.pc.cpu.cpu import GENERAL, SEGMENTS, TRAP
from vgaemu.pc.formats import load_image
from vgaemu.pc.images import DiskImage

#: Where a hook is put, and where it counts.
HOOK, COUNT = 0x0700, 0x06FE
#: inc word [cs:COUNT]; mov ecx, 9ABCDEF0h; mov eax, ebx, edx, esi, edi, ebp and DS, ES, FS, GS from
#: it; std; stc; iret.
CHANGE_ALL = bytes.fromhex(
    "2E FF 06 FE 06 66 B9 F0 DE BC 9A 66 89 C8 66 89 CB 66 89 CA 66 89 CE 66 89 CF 66 89 CD"
    "8E D9 8E C1 8E E1 8E E9 FD F9 CF"
)
#: Waits in registers alone until the hook has counted: cs cmp word [COUNT], 0; je $-6; cli; hlt.
WAIT = bytes.fromhex("2E 83 3E FE 06 00 74 F8 FA F4")


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(
    ("vector", "codes"), [(0x1C, ""), (0x1B, "1D E0 46"), (0x05, "E0 37")], ids=["1C", "1B", "05"]
)
def test_a_hook_may_change_any_register(tmp_path: Path, cpu: str, vector: int, codes: str) -> None:
    with make_pc(disk(tmp_path, WAIT), cpu=cpu) as pc:
        pc.bus.write(HOOK, CHANGE_ALL)
        pc.bus.write(4 * vector, HOOK.to_bytes(4, "little"))
        before = {name: 0x1234_5678 + i for i, name in enumerate(GENERAL)} | {"esp": 0x7000}
        before |= {name: 0x100 + i for i, name in enumerate(SEGMENTS)} | {"cs": 0, "ss": 0}
        pc.cpu.set_registers(**before, eflags=0x202)
        pc.board.keyboard.buffer.extend(bytes.fromhex(codes))
        run_until_halted(pc)
        assert pc.bus.read16(COUNT) == 1
        assert {name: pc.cpu.get(name) for name in before} == before
        assert pc.cpu.get("eflags") & 0x400 == 0


def floppy(tmp_path: Path) -> DiskImage:
    image = load_image(str(disk(tmp_path, bytes(range(256)))), [])
    assert isinstance(image, DiskImage)
    return image


@pytest.mark.parametrize("seed", range(40))
def test_a_service_changes_what_it_documents(tmp_path: Path, seed: int) -> None:
    caller = RandomBios(seed, floppy(tmp_path) if seed % 2 else None)
    memory = caller.board.bus.memory
    before = [bytes(memory[place]) for place in OTHERS]
    for _ in range(50):
        call = caller.play()
        assert not wrong_changes(call), str(call)
    assert [bytes(memory[place]) for place in OTHERS] == before


@pytest.mark.parametrize("seed", range(40))
def test_no_service_loops_or_fails_whatever_it_finds(tmp_path: Path, seed: int) -> None:
    caller = RandomBios(seed, floppy(tmp_path) if seed % 2 else None, hostile=True)
    for _ in range(50):
        call = caller.play()
        # A mode set writes some 10 000 registers and colours; a read moves 255 sectors.
        assert call.functions < 20_000, str(call)


def test_the_random_caller_finds_what_a_service_should_not_change(tmp_path: Path) -> None:
    def found(register: str, bits: int) -> bool:
        caller = RandomBios(1, floppy(tmp_path))
        cpu, served = caller.board.cpu, dict(caller.bios.calls.services)

        def spoilt(vector: int) -> bool | None:
            waits = served[vector]()
            cpu.set(register, cpu.get(register) ^ bits)
            return waits

        for vector in served:
            caller.bios.calls.services[vector] = partial(spoilt, vector)
        return any(wrong_changes(caller.play()) for _ in range(20))

    assert all(found(name, 0x8000_0000) for name in GENERAL)
    assert all(found(name, 1) for name in SEGMENTS if name != "ss")
    assert found("ebp", 1)
    assert found("eflags", TRAP)
