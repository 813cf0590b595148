"""Code close before a page that is not there: what comes before the page is executed.

Where page faults are: QEMU's TCG tells the same of these guests.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest

pytest.importorskip("unicorn")

from protected import (
    CODE,
    IDT,
    LDT_AT,
    TABLE,
    USER_STACK,
    Protected,
    descriptor,
    dword,
    gate,
    reports,
)
from x86_helpers import disk, make_pc, run_until_halted

from vgaemu import native
from vgaemu.errors import GuestFault
from vgaemu.pc.cpu import unicorn_ahead
from vgaemu.pc.cpu.unicorn import UnicornCpu
from vgaemu.pc.pc import Pc

END = USER_STACK
HAS_NUMBA = importlib.util.find_spec("numba") is not None
Go = Callable[[Pc], None]


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.skipif(
    not HAS_NUMBA, reason="numba is not installed"))])  # fmt: skip
def go(request: pytest.FixtureRequest) -> Go:
    """Let a PC run, with each instruction counted or by native code."""
    if request.param:
        assert native.load(wait=True), native.why_not()

    def run(pc: Pc) -> None:
        assert isinstance(pc.cpu, UnicornCpu)
        pc.cpu._slices_in_python = 0 if request.param else -1
        run_until_halted(pc)

    return run


def guest(before: bytes, crossing: bytes, inside: int) -> Protected:
    """It runs up to a page that is not there; of the last instruction so many bytes are before."""
    begin = END - inside - len(before)
    # xor ebx, ebx; jmp begin
    made = Protected(b"\x31\xdb\xb8" + dword(begin) + b"\xff\xe0")
    made.put(begin, before + crossing[:inside])
    made.put(TABLE + 4 * (END >> 12), dword(0))
    return made


@pytest.mark.parametrize(("count", "inside"), [(4, 1), (600, 2), (3, 0), (0, 3), (37, 4)])
def test_a_page_fault_is_where_the_page_begins(
    tmp_path: Path, go: Go, count: int, inside: int
) -> None:
    # inc ebx, so often; mov eax, 12345678h
    path = tmp_path / "guest.img"
    path.write_bytes(guest(count * b"\x43", b"\xb8\x78\x56\x34\x12", inside).image())
    with make_pc(path) as pc:
        go(pc)
        told = reports(bytes(pc.debug.text).decode("latin-1"))
        assert told == [(14, 0, END - inside, END)]
        assert pc.cpu.get("ebx") == count


def test_code_that_jumps_away_before_it_never_comes_there(tmp_path: Path, go: Go) -> None:
    # 20 times inc ebx; a fault (ud2), as what follows is on the page that is not there.
    path = tmp_path / "guest.img"
    path.write_bytes(guest(20 * b"\x43" + b"\x0f\x0b", b"\x90" * 4, 4).image())
    with make_pc(path) as pc:
        go(pc)
        told = reports(bytes(pc.debug.text).decode("latin-1"))
        assert told[0][0] == 6
        assert told[0][1] == END - 6


@pytest.mark.parametrize("begin", [0xFFE0, 0xFFE1, 0xF001])
def test_a_run_that_leaves_memory_ends_there(tmp_path: Path, go: Go, begin: int) -> None:
    # mov ax, 13h; int 10h; jmp A000h:begin, where zeros are: add [bx+si], al
    code = bytes.fromhex("31 C0 8E D8 31 DB BE 00 06 B8 13 00 CD 10 EA")
    image = disk(tmp_path, code + begin.to_bytes(2, "little") + b"\x00\xa0")
    end = "A000:FFFF" if begin & 1 else "A000:10000"
    with make_pc(image) as pc, pytest.raises(GuestFault, match=f"no memory, at {end}"):
        go(pc)


def test_where_an_engine_hides_its_words_the_fault_is_where_the_block_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unicorn_ahead, "places", lambda: None)
    path = tmp_path / "guest.img"
    path.write_bytes(guest(4 * b"\x43", b"\xb8\x78\x56\x34\x12", 1).image())
    with make_pc(path) as pc:
        run_until_halted(pc)
        assert reports(bytes(pc.debug.text).decode("latin-1")) == [(14, 0, END - 5, END)]


@pytest.mark.parametrize("size", [1, 50_000])
def test_what_was_alone_in_a_block_counts_once_as_it_stores_to_another(
    tmp_path: Path, go: Go, size: int
) -> None:
    path, begin, took = tmp_path / "guest.img", END - 16, []
    for target in begin + 4, 0x9F00:  # the operand of MOV, or elsewhere
        # edi = 9F00h; ecx, ebx, edx = 0; ebp = 40; rdtsc; mov esi, eax; al = 1; jmp begin
        code = bytes.fromhex("BF 00 9F 00 00 31 C9 31 DB 31 D2 BD 28 00 00 00 0F 31 89 C6 31 D2")
        made = Protected(code + b"\xb0\x01\xb9" + dword(begin) + b"\xff\xe1")
        # begin: mov [edi], al; inc ecx; mov bl, 1; add edx, ebx; cmp bl, 2; adc edx, 0; mov edi,
        # target, on both pages; dec ebp; jnz begin; mov ecx, edx; rdtsc; sub eax, esi; cli; hlt
        loop = bytes.fromhex("88 07 41 B3 01 01 DA 80 FB 02 83 D2 00 BF") + dword(target)
        made.put(begin, loop + bytes.fromhex("4D 75 EB 89 D1 0F 31 29 F0 FA F4"))
        # Page faults bring the page: mov dword [its entry], END + 7; add esp, 4; iretd
        entry = TABLE + 4 * (END >> 12)
        made.put(entry, dword(0))
        brings = b"\xc7\x05" + dword(entry) + dword(END + 7) + bytes.fromhex("83 C4 04 CF")
        made.put(CODE + 0x100, brings)
        made.put(IDT + 8 * 14, gate(CODE + 0x100))
        path.write_bytes(made.image())
        with make_pc(path) as pc:
            assert isinstance(pc.cpu, UnicornCpu)
            pc.cpu._slice = size
            go(pc)
            assert pc.cpu.get("ecx") == 80
            took.append(pc.cpu.get("eax"))
    assert took[0] == took[1] > 0


@pytest.mark.parametrize(("count", "at"), [(4, END - 1), (600, END - 2), (3, END), (0, END + 5)])
def test_code_of_a_segment_that_wraps_faults_there_too(
    tmp_path: Path, go: Go, count: int, at: int
) -> None:
    # jmp far, to code in a segment whose base is FFFF0000h: inc ebx, so often; mov eax, 12345678h
    begin, path = at - count, tmp_path / "guest.img"
    made = Protected(b"\x31\xdb\xea" + dword(begin + 0x1_0000) + b"\x04\x00")
    made.put(LDT_AT, descriptor(0xFFFF_0000, 0xFFFFF, 0x9A))
    made.put(begin, count * b"\x43" + b"\xb8\x78\x56\x34\x12")
    made.put(TABLE + 4 * (END >> 12), dword(0))
    path.write_bytes(made.image())
    with make_pc(path) as pc:
        go(pc)
        told = reports(bytes(pc.debug.text).decode("latin-1"))
        assert told == [(14, 0, at + 0x1_0000, max(at, END))]
        assert pc.cpu.get("ebx") == count


def test_an_interrupt_leads_from_one_such_place_to_another(tmp_path: Path, go: Go) -> None:
    # 48 times inc ecx; the handler of vector 8: two times inc esi. Both end where the page begins.
    path, begin = tmp_path / "guest.img", END - 64
    made = guest(48 * b"\x41" + 14 * b"\x90" + b"\x46\x46", b"", 0)
    made.put(IDT + 8 * 8, gate(END - 2))
    path.write_bytes(made.image())
    with make_pc(path) as pc:
        cpu = pc.cpu
        assert isinstance(cpu, UnicornCpu)
        cpu._slice, run, found = 1, cpu.run, []

        def runs(limit_ns: int) -> None:
            run(limit_ns)
            if cpu.get("eip") == begin and not found:
                found.append(cpu._ahead.waits)
                cpu.interrupt(8)

        with patch.object(cpu, "run", runs):
            go(pc)
        assert found == [True]
        assert reports(bytes(pc.debug.text).decode("latin-1")) == [(14, 0, END, END)]
