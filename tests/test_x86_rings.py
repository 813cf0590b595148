"""Privilege levels 1 and 2, gates of 16 bits, ports without permission, the resume flag.

What is found is what QEMU 7.2 (`-accel tcg`) finds, but for two things that it leaves out: the
resume flag that faults push, and bit 0 of error codes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from struct import pack, unpack
from typing import Any

import pytest
from protected import (
    GDT,
    HANDLER_STACK,
    HANDLERS,
    IDT,
    INNER_STACK_TOP,
    KERNEL_CODE,
    LDT_AT,
    PROGRAM,
    STACK,
    TASK,
    USER_CODE,
    USER_DATA,
    USER_STACK,
    Protected,
    descriptor,
    dword,
    gate,
)
from test_native import needs_native
from x86_helpers import make_pc, run_until_halted

from vgaemu import native
from vgaemu.errors import GuestFault
from vgaemu.pc.cpu.cpu import INTERRUPT
from vgaemu.pc.cpu.unicorn import UnicornCpu

pytest.importorskip("unicorn")
import twin_guests

pytestmark = pytest.mark.turns(2)

#: Selectors besides those of `protected`: code and stacks of levels 1 and 2, conforming code of
#: level 0, a stack of level 0 with pointers of 16 bits, code with little room, a task of 16 bits.
CODE_1, STACK_1, CODE_2, STACK_2 = 0x61, 0x69, 0x72, 0x7A
CONFORMING, STACK_16, SHORT, TASK_16 = 0x80, 0x98, 0x90, 0xC0
STACKS = {1: STACK + 0x600, 2: STACK + 0x400}
LEVELS = {1: (CODE_1, STACK_1), 2: (CODE_2, STACK_2), 3: (USER_CODE, USER_DATA)}
FLAT, TOP = 0xFFFFF, USER_STACK + 0x1000
RESUME, VECTOR = 0x10000, 0x40
INT, UD = b"\xcd\x40", b"\x0f\x0b"
Change = Callable[[Protected], Any]
#: mov ecx, 4; l: out E9h, al; shr eax, 8; loop l
OUT = bytes.fromhex("B9 04 00 00 00 E6 E9 C1 E8 08 E2 F9")
#: The vector is on the stack: that, CS, SS, five values below it to port E9h; jmp $
TELL = b"\x58" + OUT + b"\x8c\xc8" + OUT + b"\x8c\xd0" + OUT + (b"\x58" + OUT) * 5 + b"\xeb\xfe"
TELL_AT, LAST = HANDLERS + 0xA00, HANDLERS + 64 * 32


def guest_at(level: int, program: bytes, *changes: Change, iopl: int = 3) -> Protected:
    """A program of a level; handlers tell of their frame."""
    code, stack = LEVELS[level]
    flags = 2 | iopl << 12
    frame = stack, TOP, flags, code, PROGRAM
    guest = Protected(b"".join(b"\x68" + dword(value) for value in frame) + b"\xcf", program)
    guest.gdtr = GDT, LDT_AT - GDT - 1
    for selector, access in (
        (CODE_1, 0xBB), (STACK_1, 0xB3), (CODE_2, 0xDB), (STACK_2, 0xD3), (CONFORMING, 0x9F),
    ):  # fmt: skip
        guest.put(GDT + (selector & ~7), descriptor(0, FLAT, access))
    guest.put(GDT + STACK_16, descriptor(0, 0xFFFF, 0x93, 0))
    guest.put(GDT + SHORT, descriptor(0, 0x7FFF, 0x9B, 0))
    guest.put(GDT + TASK_16, descriptor(TASK + 0x100, 0x2B, 0x81, 0))
    stacks = 0, INNER_STACK_TOP, STACK_16, STACKS[1], STACK_1, STACKS[2], STACK_2
    guest.put(TASK + 0x100, pack("<7H", *stacks))
    guest.put(TASK + 12, pack("<4I", STACKS[1], STACK_1, STACKS[2], STACK_2))
    guest.put(TELL_AT, TELL)
    for vector in range(33):
        at = HANDLERS + 64 * vector
        guest.put(at, bytes((0x6A, vector, 0xE9)) + dword(TELL_AT - at - 7))
    for change in changes:
        change(guest)
    return guest


def leads(
    vector: int, selector: int, access: int = 0xEE, offset: int = HANDLERS + 64 * 32
) -> Change:
    """A vector's gate."""
    return lambda guest: guest.put(IDT + 8 * vector, gate(offset, selector, access))


def told(tmp_path: Path, guest: Protected) -> list[tuple[int, ...]]:
    """What handlers told: vector, CS, SS, and what was on the stack."""
    path = tmp_path / "guest.img"
    path.write_bytes(guest.image())
    with make_pc(path) as pc:
        turns = pc.slices()
        try:
            for _ in range(2):
                next(turns, None)
        except GuestFault:
            pass
        data = bytes(pc.debug.text)
    return [unpack("<8I", data[at : at + 32]) for at in range(0, len(data) - 31, 32)]


def test_interrupts_of_each_level_to_each(tmp_path: Path) -> None:
    for level, (code, stack) in LEVELS.items():
        frame = PROGRAM + 2, code, 0x3002, TOP, stack
        for selector, inner in ((KERNEL_CODE, 0), (CODE_1, 1), (CODE_2, 2), (CONFORMING, level)):
            entered = selector & ~3 | inner
            inner_stack = HANDLER_STACK if inner == 0 else LEVELS[inner][1]
            expected: tuple[int, ...] = (0x20, entered, inner_stack, *frame)
            if inner == level:
                expected = (0x20, entered, stack, *frame[:3], 0, 0)
            elif inner > level:
                error = selector & ~3
                expected = (13, 0x18, HANDLER_STACK, error, PROGRAM, code, 0x3002 | RESUME, TOP)
            guest = guest_at(level, INT, leads(VECTOR, selector))
            assert told(tmp_path, guest) == [expected], (level, hex(selector))


def loaded_task_16(guest: Protected) -> None:
    # mov ax, TASK_16; ltr ax
    guest.code = b"\x66\xb8" + pack("<H", TASK_16) + b"\x0f\x00\xd8" + guest.code


#: What is on the stack of vector 40h's or 6's handler: of 16 bits two values are one here.
SHAPES: dict[str, tuple[bytes, list[Change], tuple[int, ...]]] = {
    "16-bit gate": (INT, [leads(VECTOR, 8, 0xE6)], (
        0x20, 8, HANDLER_STACK, USER_CODE << 16 | PROGRAM + 2, (TOP & 0xFFFF) << 16 | 0x3002,
        USER_DATA, 0, 0,
    )),
    "16-bit gate of a trap, a fault": (UD, [leads(6, 8, 0x87)], (
        0x20, 8, HANDLER_STACK, USER_CODE << 16 | PROGRAM, (TOP & 0xFFFF) << 16 | 0x3002,
        USER_DATA, 0, 0,
    )),
    "16-bit task": (INT, [leads(VECTOR, 8), loaded_task_16], (
        0x20, 8, STACK_16, PROGRAM + 2, USER_CODE, 0x3002, TOP, USER_DATA,
    )),
    "16-bit task, level 1": (INT, [leads(VECTOR, CODE_1), loaded_task_16], (
        0x20, CODE_1, STACK_1, PROGRAM + 2, USER_CODE, 0x3002, TOP, USER_DATA,
    )),
    # QEMU goes there all the same.
    "a handler behind the end of its code": (INT, [leads(VECTOR, SHORT, 0xEE, 0x8000)], (
        13, 0x18, HANDLER_STACK, 0, PROGRAM, USER_CODE, 0x3002 | RESUME, TOP,
    )),
    "a fault": (UD, [], (
        6, 0x18, HANDLER_STACK, PROGRAM, USER_CODE, 0x3002 | RESUME, TOP, USER_DATA,
    )),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_frames(tmp_path: Path, shape: str) -> None:
    program, changes, expected = SHAPES[shape]
    assert told(tmp_path, guest_at(3, program, *changes)) == [expected]


def bitmap(at: int, limit: int, bits: bytes) -> Change:
    """The I/O permission bitmap begins there in the task, which ends at a limit."""

    def change(guest: Protected) -> None:
        guest.put(TASK + 0x66, pack("<H", at) + bits)
        guest.put(GDT + 0x38, descriptor(TASK, limit, 0x89, 0))

    return change


def refusing(port: int) -> Change:
    """A bitmap that has all ports but this one."""
    return bitmap(0x68, 0x7F, bytes(port >> 3) + bytes((1 << (port & 7),)) + bytes(8) + b"\xff")


IN, IN_WORD, IN_DX, OUTS = b"\xe4\x60", b"\x66\xe5\x67", b"\x66\xba\x60\0\xec", b"\x6e"
#: A program, its level and IOPL, the bitmap, and whether its access is refused.
PORTS: dict[str, tuple[bytes, int, int, Change, bool]] = {
    "IOPL": (IN, 3, 3, refusing(0x60), False),
    "level 2": (IN, 2, 2, refusing(0x60), False),
    "level 2, IOPL 1": (IN, 2, 1, refusing(0x60), True),
    "level 1, IOPL 0": (IN, 1, 0, refusing(0x60), True),
    "another port": (IN, 3, 0, refusing(0x61), False),
    "its port": (IN_DX, 3, 0, refusing(0x60), True),
    "half of a word": (IN_WORD, 3, 0, refusing(0x68), True),
    "OUTS": (b"\x66\xba\x60\0\xbe\0\xe0\0\0" + OUTS, 3, 0, refusing(0x60), True),
    "behind the task": (IN, 3, 0, bitmap(0x68, 0x68 + 12, b""), True),
    "the last byte": (IN, 3, 0, bitmap(0x68, 0x68 + 13, b""), False),
    "no bitmap": (IN, 3, 0, bitmap(0x68, 0x67, b""), True),
    "a short task": (IN, 3, 0, bitmap(0, 0x60, b""), True),
    "a task of 16 bits": (IN, 3, 0, loaded_task_16, True),
}


@pytest.mark.parametrize("case", PORTS)
def test_ports_without_permission(tmp_path: Path, case: str) -> None:
    program, level, iopl, change, refused = PORTS[case]
    # Behind it: xor eax, eax; ud2
    guest = guest_at(level, program + b"\x31\xc0" + UD, change, iopl=iopl)
    (found,) = told(tmp_path, guest)
    skipped = len(program) - 1 if len(program) > 3 else 0  # what loads DX, and ESI
    if refused:
        assert (found[0], found[3:6]) == (13, (0, PROGRAM + skipped, LEVELS[level][0]))
    else:
        assert (found[0], found[3]) == (6, PROGRAM + len(program) + 2)


@needs_native
def test_native_code_enters_them_as_python_does(tmp_path: Path) -> None:
    assert native.load(wait=True)
    path = tmp_path / "guest.img"
    guests = [guest_at(3, program, *changes) for program, changes, _ in SHAPES.values()]
    guests += [guest_at(2, INT, leads(VECTOR, selector)) for selector in (8, CODE_1, CONFORMING)]
    guests += [guest_at(3, IN + b"\x31\xc0" + UD, refusing(0x60), iopl=0)]
    for guest in guests:
        path.write_bytes(guest.image())
        assert twin_guests.differences(path, 3) == []


def test_breakpoints_and_the_resume_flag(tmp_path: Path) -> None:
    """A fault at a breakpoint does not come to it again; elsewhere it leaves that alone."""
    # mov eax, a breakpoint; mov dr0, eax; mov eax, 401h; mov dr7, eax
    for place, expected in ((0, [1, 6, RESUME]), (4, [6, 0])):
        at = b"\xb8" + dword(PROGRAM + place) + b"\x0f\x23\xc0\xb8" + dword(0x401) + b"\x0f\x23\xf8"
        guest = guest_at(3, UD)
        guest.code = at + guest.code
        # Vector 1: its byte to port E9h; the frame's EFLAGS get RF; iretd
        guest.put(HANDLERS + 64, bytes.fromhex("80 4C 24 0A 01 B0 01 E6 E9 CF"))
        path = tmp_path / "guest.img"
        path.write_bytes(guest.image())
        with make_pc(path) as pc:
            turns = pc.slices()
            for _ in range(2):
                next(turns, None)
            data = bytes(pc.debug.text)
        begin = len(expected) - 2
        fault = unpack("<8I", data[begin : begin + 32])
        assert [*data[:begin], fault[0], fault[5] & RESUME] == expected


def test_a_timer_long_after_a_fault_pushes_no_resume_flag(tmp_path: Path) -> None:
    """Processors clear it behind the instruction that the fault's handler has come back to.

    By native code the end of a slice did, too, as it ends a block.
    """
    # sti; ud2; l: inc ebx; jmp l. Handlers of 6, and of the timer, 8: add dword [esp], 2; iretd;
    # mov eax, [esp+8]; mov [STACK], eax; cli; hlt
    guest = Protected(bytes.fromhex("FB 0F 0B 43 EB FD"))
    guest.put(HANDLERS + 64 * 6, bytes.fromhex("83 04 24 02 CF"))
    guest.put(HANDLERS + 64 * 8, bytes.fromhex("8B 44 24 08 A3") + dword(STACK) + b"\xfa\xf4")
    path = tmp_path / "guest.img"
    path.write_bytes(guest.image())
    with make_pc(path) as pc:
        assert isinstance(pc.cpu, UnicornCpu)
        pc.cpu._slices_in_python = -1
        run_until_halted(pc)
        assert pc.bus.read32(STACK) & (RESUME | INTERRUPT) == INTERRUPT
