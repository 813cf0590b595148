"""Exceptions in the middle of instructions: vgaemu leaves what Bochs and QEMU leave.

Where they are at hand, both can be asked: `python tests/faults.py FIRST COUNT bochs`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from struct import pack
from zlib import crc32

import pytest

pytest.importorskip("unicorn")

import faults
import twin_guests
from protected import (
    CODE,
    HANDLERS,
    KERNEL_CODE,
    KERNEL_DATA,
    PROGRAM,
    USER_CODE,
    Protected,
    dword,
)
from random_faults import world
from test_native import needs_native
from test_x86_rings import RESUME, guest_at, leads, told
from x86_helpers import make_pc

from vgaemu import native
from vgaemu.pc.cpu.unicorn import UnicornCpu

#: Cases, and what Bochs 2.7 left of them. Most of these vgaemu once left otherwise: stacks that
#: end, CR2 and what is pushed before a page ends, faults of new tasks, flags of a fault.
SEEN = {
    0: 0xA291C358, 1: 0x7E81FB99, 3: 0x5ABD9AB9, 5: 0xAF6D310B, 6: 0xE0B95236, 7: 0x80FA268F,
    8: 0x80435864, 9: 0x6DB7885A, 10: 0xF8E6F6BF, 11: 0xF5A8243A, 13: 0x980DB2F6, 14: 0x69CEE24D,
    15: 0xF0B578AD, 17: 0xCC49723A, 21: 0xD4C08323, 22: 0x95CAED7E, 23: 0x68F67193, 25: 0x24DBE3A7,
    41: 0xE6CBFFCA, 64: 0x08E7D18F, 71: 0xABE0AA9A, 72: 0x7F014553, 73: 0x45E39E53, 76: 0x0FB9952E,
    78: 0x973D350D, 105: 0x2ED931CD, 113: 0x726A5E2D, 117: 0xCA42AD22, 124: 0x97B1570D,
    135: 0x68887869, 148: 0x04DA35F7, 151: 0x2B09BED2, 186: 0xF93BDBC5,
    187: 0xC4ABD422, 191: 0x5236EF58, 229: 0x416A2C92, 238: 0xB6AB2CC4, 246: 0x62F792F0,
    248: 0x40A1C453, 252: 0xB40C728D, 270: 0x3711A499, 324: 0x479E3A4B, 327: 0x2D6592AF,
    357: 0xE2D0F5A1, 370: 0x0392D363, 373: 0x7D501CB0, 374: 0xE6FCADB2, 378: 0x1E38E3F1,
    386: 0x0A3AEFE1, 391: 0xC0489EF0, 394: 0xCFA17F7E, 397: 0x731AB8AC, 398: 0x904C1885,
}  # fmt: skip
#: Of seeds: the first one that QEMU is asked for, and how many; but for these.
FIRST, COUNT = 5000, 192
OTHERWISE = {
    5072: "it has no INT1",
    5060: "where there is no memory it reads 0",
    5147: "a new task that has no stack segment yet is of level 0",
    5171: "code runs into descriptors, in which it sets no accessed bits",
}


@pytest.mark.turns(2)
@pytest.mark.parametrize("is_native", [False, pytest.param(True, marks=needs_native)])
def test_cases_seen_on_bochs(is_native: bool) -> None:
    assert not is_native or native.load(wait=True)
    cases = faults.by_vgaemu([world(seed) for seed in SEEN], is_native=is_native)
    found = {
        seed: crc32(pack("<37I", *left.values)) if left.values else left.end
        for seed, left in zip(SEEN, cases, strict=True)
    }
    assert found == SEEN


@pytest.mark.qemu
@pytest.mark.turns(3)
@pytest.mark.skipif(shutil.which(faults.QEMU) is None, reason=f"{faults.QEMU} is not here")
def test_cases_beside_qemu() -> None:
    seeds = range(FIRST, FIRST + COUNT)
    worlds = [world(seed, plain=True) for seed in seeds]
    ours = faults.by_vgaemu(worlds)
    theirs = faults.by_qemu(worlds)
    # In memory it lacks the resume flag, bit 0 of error codes, and accessed bits.
    registers = [
        [what for what in faults.differences(*pair, RESUME) if not what.startswith("page")]
        for pair in zip(ours, theirs, strict=True)
    ]
    found = dict(zip(seeds, registers, strict=True))
    assert {seed for seed in found if found[seed]} <= set(OTHERWISE), found


#: mov al, 7Fh; add al, 7Fh: SF, OF and AF. Behind it a fault, its vector and error code.
ADD, FLAGS = b"\xb0\x7f\x04\x7f", 0x892
NOWHERE = dword(0xD0000000)
FAULTS = {
    "a load": (b"\xa0" + NOWHERE, 14, 4),
    "a store": (b"\xa2" + NOWHERE, 14, 6),
    "an addition with carry": (b"\x12\x05" + NOWHERE, 14, 4),
    "a segment": (b"\x8e\x05" + dword(PROGRAM + 0x100), 13, KERNEL_DATA),
    "a division": (b"\xf6\x35" + dword(PROGRAM + 0x104), 0, None),
}


@pytest.mark.parametrize("what", FAULTS)
def test_flags_of_a_fault_right_after_arithmetic(tmp_path: Path, what: str) -> None:
    """Which kind they were of came back, as the engine looked for the instruction at fault."""
    code, vector, error_code = FAULTS[what]
    program = (ADD + code).ljust(0x100, b"\x90") + dword(KERNEL_DATA) + dword(0)
    frame = (PROGRAM + len(ADD), USER_CODE, FLAGS | 0x3000 | RESUME)
    expected = frame if error_code is None else (error_code, *frame)
    (found,) = told(tmp_path, guest_at(3, program))
    assert (found[0], found[3 : 3 + len(expected)]) == (vector, expected)


@needs_native
@pytest.mark.parametrize("what", FAULTS)
def test_native_code_has_these_flags(tmp_path: Path, what: str) -> None:
    assert native.load(wait=True)
    path = tmp_path / "guest.img"
    program = (ADD + FAULTS[what][0]).ljust(0x100, b"\x90") + dword(KERNEL_DATA) + dword(0)
    path.write_bytes(guest_at(3, program).image())
    assert twin_guests.differences(path, 3) == []


#: What stores where the engine has not been, behind ADD, after it has brought flags to one place.
STORES = {
    "pushf": b"\x9c\x58",
    # mov ecx, 1; mov edi, 90000h; rep stosb
    "rep stosb": b"\xb9" + dword(1) + b"\xbf" + dword(0x90000) + b"\xf3\xaa",
}


@pytest.mark.parametrize("what", STORES)
def test_flags_stay_where_a_page_comes_into_the_tlb(tmp_path: Path, what: str) -> None:
    program = ADD + STORES[what] + b"\xcd\x40"
    (found,) = told(tmp_path, guest_at(3, program, leads(0x40, KERNEL_CODE)))
    assert (found[0], found[3:6]) == (0x20, (PROGRAM + len(program), USER_CODE, FLAGS | 0x3000))


#: Where handlers of #DB and of vector 40h count, and the latter leaves EFLAGS of its frame.
MET, INTERRUPTED, PUSHED = 0x92000, 0x92004, 0x92008
TURNS = 3000


@pytest.mark.parametrize("is_native", [False, pytest.param(True, marks=needs_native)])
def test_a_breakpoint_at_a_rep_is_met_once(tmp_path: Path, is_native: bool) -> None:
    """Whatever interrupts its turns."""
    assert not is_native or native.load(wait=True)
    at = CODE + 26
    # mov eax, at; mov dr0, eax; mov eax, 401h; mov dr7, eax; mov ecx; mov edi; rep stosb; cli; hlt
    code = b"\xb8" + dword(at) + b"\x0f\x23\xc0\xb8" + dword(0x401) + b"\x0f\x23\xf8"
    code += b"\xb9" + dword(TURNS) + b"\xbf" + dword(0x90000) + b"\xf3\xaa\xfa\xf4"
    guest = Protected(code)
    # inc dword [MET]; or byte [esp + 10], 1, which is RF; iretd
    guest.put(HANDLERS + 64, b"\xff\x05" + dword(MET) + bytes.fromhex("80 4C 24 0A 01 CF"))
    # inc dword [INTERRUPTED]; push eax; mov eax, [esp + 12]; mov [PUSHED], eax; pop eax; iretd
    guest.put(
        HANDLERS + 64 * 32,
        b"\xff\x05" + dword(INTERRUPTED) + bytes.fromhex("50 8B 44 24 0C A3") + dword(PUSHED)
        + b"\x58\xcf",
    )  # fmt: skip
    path = tmp_path / "guest.img"
    path.write_bytes(guest.image())
    with make_pc(path) as pc:
        cpu = pc.cpu
        assert isinstance(cpu, UnicornCpu)
        cpu._slices_in_python = 0 if is_native else -1
        cpu._slice, interrupts = 50, 0
        while not cpu.halted:
            pc.step(1 << 60)
            if cpu.get("eip") == at and pc.bus.read32(MET):
                cpu.interrupt(0x40)
                interrupts += 1
                pc.step(1 << 60)
                assert pc.bus.read32(PUSHED) & RESUME
        assert interrupts > 10
        assert [pc.bus.read32(place) for place in (MET, INTERRUPTED)] == [1, interrupts]
