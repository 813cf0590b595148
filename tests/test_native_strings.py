"""REP STOS and REP MOVS by native code: few blocks, and the same as without."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("unicorn")

import twin_guests
from test_native import needs_native
from x86_fuzz import KINDS
from x86_helpers import disk, make_pc, run_until_halted

from vgaemu import native
from vgaemu.pc.cpu import unicorn_native
from vgaemu.pc.cpu.unicorn import UnicornCpu
from vgaemu.pc.cpu.unicorn_engine import unicorn
from vgaemu.pc.cpu.unicorn_tlb import before_registers
from vgaemu.pc.pc import Pc

pytestmark = needs_native

#: mov ax, mode; int 10h; mov ax, A000h; mov es, ax; xor di, di; xor si, si; mov cx, 8000h
SETUP = "B8 {:02X} 00 CD 10 B8 00 A0 8E C0 31 FF 31 F6 B9 00 80 "
#: mov ds, ax; mov di, 8000h
FROM_PLANES = "8E D8 BF 00 80 "
#: mov dx, 3CEh; mov ax, 105h; out dx, ax
WRITE_MODE_1 = "BA CE 03 B8 05 01 EF "
#: What is run 32768 times through 8 or 16 pages, or another 64 KiB of memory.
RUNS = {
    "stosb to planes": SETUP.format(0x12) + "F3 AA",
    "stosw to planes": SETUP.format(0x0D) + "F3 AB",
    "movsb to planes": SETUP.format(0x12) + "F3 A4",
    "movsb through the latches": SETUP.format(0x12) + FROM_PLANES + WRITE_MODE_1 + "F3 A4",
    "stosb to plain memory": SETUP.format(0x13) + "F3 AA",
    "movsw to plain memory": SETUP.format(0x13) + "F3 A5",
    # To 106000h: 107000h comes into the place of the code's page.
    "stosb to a page in the code's place": "B8 FF FF 8E C0 BF 10 60 B9 00 80 F3 AA",
    "addresses and operands of 32 bits": SETUP.format(0x13)
    + "66 31 FF 66 B9 00 40 00 00 67 66 F3 AB",
}


def executed(tmp_path: Path, code: str) -> int:
    """How many instructions a boot sector's engine executes itself, up to a HLT."""
    begun = []
    with make_pc(disk(tmp_path, bytes.fromhex(code) + b"\xfa\xf4")) as pc:
        cpu = of(pc)
        cpu._uc.hook_add(unicorn.UC_HOOK_CODE, lambda uc, at, size, _: begun.append(size))
        run_until_halted(pc)
    return len(begun)


def of(pc: Pc) -> UnicornCpu:
    """Its CPU, which uses native code from the first slice on."""
    cpu = pc.cpu
    assert isinstance(cpu, UnicornCpu)
    assert native.load(wait=True)
    cpu._slices_in_python = 0
    return cpu


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_a_turn_or_two_a_page(tmp_path: Path, name: str) -> None:
    assert executed(tmp_path, RUNS[name]) < 200


def test_an_engine_that_hides_its_pages_runs_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unicorn_native, "before_registers", lambda: 0)
    assert executed(tmp_path, RUNS["stosb to planes"]) > 0x8000


def test_where_an_engine_keeps_its_pages() -> None:
    assert before_registers() == 64


@pytest.mark.turns(2)
@pytest.mark.parametrize("kind", ["strings", "protected strings"])
def test_random_guests_are_left_equal(tmp_path: Path, kind: str) -> None:
    """``python tests/twin_guests.py FIRST COUNT KIND`` runs any number of them."""
    random_guests(tmp_path, kind, 1000 * (int(os.environ["VGAEMU_FUZZ_SEED"]) % 1_000_000), 2)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["strings", "protected strings"])
def test_many_random_guests_are_left_equal(tmp_path: Path, kind: str) -> None:
    """``pytest -m long tests/test_native_strings.py``: five minutes."""
    random_guests(tmp_path, kind, 0, 1000)


def random_guests(tmp_path: Path, kind: str, first: int, count: int) -> None:
    assert native.load(wait=True)
    path = tmp_path / "twin.img"
    for seed in range(first, first + count):
        path.write_bytes(KINDS[kind](seed))
        assert (seed, twin_guests.differences(path)) == (seed, [])


@pytest.mark.parametrize("is_native", [True, False])
def test_each_turn_is_a_single_step(tmp_path: Path, is_native: bool) -> None:
    # es = ds = ss = 0; vector 1: 7C2Ch; di = 8000h; cx = 50; TF by popf; nop; rep stosb; none by
    # push, popf; hlt. At 7C2Ch: inc bx; iret
    code = "31 C0 8E C0 8E D8 8E D0 BC 00 70 31 DB C7 06 04 00 2C 7C A3 06 00 BF 00 80 B9 32 00 "
    code += "68 00 01 9D 90 F3 AA 68 00 00 9D FA F4 90 90 90 43 CF"
    with make_pc(disk(tmp_path, bytes.fromhex(code))) as pc:
        of(pc)._slices_in_python = 0 if is_native else -1
        run_until_halted(pc)
        assert pc.cpu.get("ecx") == 0
        assert pc.cpu.get("ebx") == 1 + 50 + 2  # NOP, turns, PUSH and POPF


@pytest.mark.parametrize("is_native", [True, False])
def test_code_in_vram_that_is_stored_over(tmp_path: Path, is_native: bool) -> None:
    # mov ax, 13h; int 10h; mov ax, A000h; mov es, ax; what is called: mov al, 11h; retf
    code = "B8 13 00 CD 10 B8 00 A0 8E C0 26 C7 06 00 00 B0 11 26 C6 06 02 00 CB "
    # call A000:0; mov [500h], al; another number instead; call A000:0; mov [501h], al; cli; hlt
    code += "9A 00 00 00 A0 A2 00 05 26 C6 06 01 00 22 9A 00 00 00 A0 A2 01 05 "
    # by REP STOSB: mov al, 90h; xor di, di; mov cx, 20h; rep stosb; mov byte [es:di], CBh
    code += "B0 90 31 FF B9 20 00 F3 AA 26 C6 05 CB B0 33 9A 00 00 00 A0 A2 02 05 FA F4"
    with make_pc(disk(tmp_path, bytes.fromhex(code))) as pc:
        of(pc)._slices_in_python = 0 if is_native else -1
        run_until_halted(pc)
        assert pc.bus.memory[0x500:0x503].hex() == "112233"
