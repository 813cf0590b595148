"""The registers of a Unicorn engine: its own, in place, and a copy, where they are not found.

`uc.reg_read` is the reference. A whole guest without them in place is `test_x86_protection`'s.
"""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("unicorn")

from vgaemu.pc.cpu import unicorn_context
from vgaemu.pc.cpu.unicorn_context import Context
from vgaemu.pc.cpu.unicorn_engine import Uc, small_engine, unicorn
from vgaemu.pc.cpu.unicorn_registers import RegisterFile

NAMES = (
    "eax", "ebx", "ecx", "edx", "esi", "edi", "esp", "ebp", "eip", "eflags",
    "cs", "ds", "es", "ss", "fs", "gs", "cr0", "cr2", "cr3", "cr4",
)  # fmt: skip
WRITTEN = (*NAMES[:8], "eflags", "cr2")
#: mov eax, 7FFFFFFFh; add eax, 1: overflow, sign, auxiliary carry, parity. dec ecx keeps the carry;
#: std; sub edx, ebx; shl esi, 3; cmp edi, edi.
PROGRAM = bytes.fromhex("66B8FFFFFF7F 6683C001 6649 FD 6629DA 66C1E603 6639FF")
STEPS = 7


@pytest.fixture(params=["in place", "copied"])
def uc(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Uc:
    if request.param == "copied":
        monkeypatch.setattr(unicorn_context, "_leads", tuple)
    engine = small_engine()
    engine.mem_map(0, 0x1000)
    engine.reg_write(unicorn.x86_const.UC_X86_REG_CR0, 0x10)
    engine.reg_write(unicorn.x86_const.UC_X86_REG_CS, 0)
    return engine


def engine_says(uc: Uc, name: str) -> int:
    return int(uc.reg_read(getattr(unicorn.x86_const, f"UC_X86_REG_{name.upper()}")))


@pytest.mark.skipif(sys.platform != "linux", reason="looked for in Linux's /proc alone")
def test_they_are_found_in_place() -> None:
    engines = [small_engine() for _ in range(8)]  # some have neighbours that others have not
    assert all(Context(engine).in_place for engine in engines)


def test_all_are_what_the_engine_says_after_each_instruction(uc: Uc) -> None:
    file, at = RegisterFile(uc, Context(uc)), 0
    uc.mem_write(0, PROGRAM)
    for _ in range(STEPS):
        uc.emu_start(at, 0x1000, count=1)
        at = engine_says(uc, "eip")
        assert {name: file.read(name) for name in NAMES} == {
            name: engine_says(uc, name) for name in NAMES
        }
    assert at == len(PROGRAM)


@pytest.mark.parametrize("name", WRITTEN)
def test_the_engine_has_what_is_written(uc: Uc, name: str) -> None:
    file = RegisterFile(uc, Context(uc))
    for value in (0xFFFF_FFFF, 0x1234_5678, 0):
        file.write(name, value)
        expected = engine_says(uc, name)
        assert file.read(name) == expected
        # Bits of flags that are none are the engine's.
        assert expected & 0x0CD5 == value & 0x0CD5 if name == "eflags" else expected == value


def test_a_copy_is_stored_and_what_is_in_place_is_there_at_once(uc: Uc) -> None:
    context = Context(uc)
    context.load().regs[3] = 77
    context.store()
    assert engine_says(uc, "ebx") == 77
