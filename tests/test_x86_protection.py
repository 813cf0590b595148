"""Interrupts through descriptor tables, tasks and stacks of any shape; every fault is the guest's.

Outcomes are those of QEMU 7.2 (`-accel tcg`), but for bit 0 of error codes, which it leaves out,
and accessed bits, which it does not set. None: a triple fault.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from protected import (
    CODE,
    GDT,
    HANDLER_CODE,
    HANDLERS,
    IDT,
    KERNEL_CODE,
    KERNEL_DATA,
    PE,
    PG,
    PRESENT,
    PROGRAM,
    STACK,
    TABLE,
    TASK,
    USER_CODE,
    USER_DATA,
    Protected,
    descriptor,
    dword,
    gate,
    reports,
    to_ring_3,
    with_read_only_descriptors,
)
from x86_helpers import CPUS, disk, make_pc, needs_kvm

from vgaemu.errors import GuestFault
from vgaemu.machine import Machine
from vgaemu.memslot.kvm import ioctl as kvm
from vgaemu.pc.bus import ROM_END, ROM_START
from vgaemu.pc.pc import Pc

pytestmark = pytest.mark.turns(2)

pytest.importorskip("unicorn")

FLAT = 0xFFFFF
SELECTOR = 0x1238  # of nothing
NOWHERE = 0xD000_0000
INT, UD, LOAD, LOST = (
    b"\xcd\x40",
    b"\x0f\x0b",
    b"\xb8" + dword(SELECTOR) + b"\x8e\xd8",  # mov eax, SELECTOR; mov ds, ax
    b"\xa1" + dword(NOWHERE),  # mov eax, [NOWHERE]
)
#: What happens in ring 0, and in ring 3.
EVENTS = {
    "int": (INT, b""), "ud": (UD, b""), "selector": (LOAD, b""), "page": (LOST, b""),
    "user int": (to_ring_3(), INT), "user ud": (to_ring_3(), UD), "user page": (to_ring_3(), LOST),
}  # fmt: skip
Change = Callable[[Protected], Any]


def gates(*vectors: int, **of: int) -> Change:
    """The gates of these vectors are others; they lead to the last handler."""

    def change(guest: Protected) -> None:
        for vector in vectors:
            guest.put(IDT + 8 * vector, gate(HANDLERS + 64 * 32, **of))

    return change


def segment(selector: int, base: int, limit: int, access: int, flags: int = 0xC) -> Change:
    return lambda guest: guest.put(GDT + selector, descriptor(base, limit, access, flags))


def stack_of_task(selector: int) -> Change:
    return lambda guest: guest.put(TASK + 8, dword(selector))


def mapped(page: int, rights: int = 0) -> Change:
    return lambda guest: guest.map(page, page, rights)


def interrupt_table(limit: int) -> Change:
    def change(guest: Protected) -> None:
        guest.idtr = IDT, limit

    return change


#: Vector, the two values on top of the stack: an error code and EIP, or EIP and CS; for "page", CR2
#: is NOWHERE, too.
RIGHT = {
    "int": (0x20, CODE + 2, KERNEL_CODE), "ud": (6, CODE, KERNEL_CODE),
    "selector": (13, SELECTOR, CODE + 5), "page": (14, 0, CODE),
    "user int": (13, 0x202, PROGRAM), "user ud": (6, PROGRAM, USER_CODE),
    "user page": (14, 4, PROGRAM),
}  # fmt: skip
NOTHING = dict.fromkeys(RIGHT)
#: Where nothing inside of the kernel goes wrong.
NO_PROGRAM = {"user int": None, "user ud": None, "user page": None}
SOME = (0x40, 6, 14)
#: What is changed, and what is not as in `RIGHT` then.
CASES: dict[str, tuple[Change, dict[str, tuple[int, int, int] | None]]] = {
    "nothing": (lambda guest: None, {}),
    "no IDT's page": (mapped(IDT), NOTHING),
    "short IDT": (interrupt_table(0x1FF), {"int": (13, 0x202, CODE)}),
    "IDT up to 13": (interrupt_table(0x6F), {
        "int": (13, 0x202, CODE), "page": (8, 0, CODE), "user page": (8, 0, PROGRAM),
    }),
    "no IDT": (interrupt_table(0), NOTHING),
    "no GDT's page": (mapped(GDT), NOTHING),
    "no stack's page": (mapped(STACK), NOTHING),
    "stack's page is read-only": (mapped(STACK, PRESENT), NOTHING),
    "no TSS's page": (mapped(TASK), NO_PROGRAM),
    "no stack in the TSS": (stack_of_task(0), NO_PROGRAM),
    "stack is code": (stack_of_task(HANDLER_CODE), NO_PROGRAM),
    "stack is the program's": (stack_of_task(USER_DATA), NO_PROGRAM),
    "stack is behind the GDT": (stack_of_task(0x1230), NO_PROGRAM),
    "stack is not present": (segment(0x20, 0, FLAT, 0x12), NO_PROGRAM),
    "short TSS": (segment(0x38, TASK, 7, 0x89, 0), NO_PROGRAM),
    "code is not present": (segment(0x18, 0, FLAT, 0x1A), NOTHING),
    "code is for execution only": (segment(0x18, 0, FLAT, 0x98), {}),
    "code is data": (gates(*SOME, selector=KERNEL_DATA), {
        "int": (13, 0x10, CODE), "ud": (13, 0x11, CODE), "page": (8, 0, CODE),
        "user ud": (13, 0x11, PROGRAM), "user page": (8, 0, PROGRAM),
    }),
    "code is none": (gates(*SOME, selector=0), {
        "int": (13, 0, CODE), "ud": (13, 1, CODE), "page": (8, 0, CODE),
        "user ud": (13, 1, PROGRAM), "user page": (8, 0, PROGRAM),
    }),
    "gate is not present": (gates(*SOME, access=0x0E), {
        "int": (11, 0x202, CODE), "ud": (11, 0x33, CODE), "page": (8, 0, CODE),
        "user ud": (11, 0x33, PROGRAM), "user page": (8, 0, PROGRAM),
    }),
    "gate is for calls": (gates(*SOME, access=0x8C), {
        "int": (13, 0x202, CODE), "ud": (13, 0x33, CODE), "page": (8, 0, CODE),
        "user ud": (13, 0x33, PROGRAM), "user page": (8, 0, PROGRAM),
    }),
    "gate is for programs": (gates(*SOME, access=0xEE), {
        "ud": (0x20, CODE, KERNEL_CODE), "page": (0x20, 0, CODE),
        "user int": (0x20, PROGRAM + 2, USER_CODE), "user ud": (0x20, PROGRAM, USER_CODE),
        "user page": (0x20, 4, PROGRAM),
    }),
    "code is of the LDT": (gates(*SOME, selector=4), {
        "ud": (0x20, CODE, KERNEL_CODE), "page": (0x20, 0, CODE),
        "user ud": (0x20, PROGRAM, USER_CODE), "user page": (0x20, 4, PROGRAM),
    }),
    # A processor marks a descriptor, and may not here; QEMU marks none.
    "GDT's page is read-only": (mapped(GDT, PRESENT), NOTHING),
}  # fmt: skip


def made(tmp_path: Path, event: str, change: Change = lambda guest: None) -> Path:
    code, program = EVENTS[event]
    guest = Protected(code, program or b"\xeb\xfe")
    change(guest)
    path = tmp_path / "guest.img"
    path.write_bytes(guest.image())
    return path


def run(pc: Pc, frames: int = 8) -> str:
    """Until its handler halts, or it fails: why."""
    turns = pc.slices()
    try:
        for _ in range(frames):
            if next(turns, "ended") == "ended":
                break
    except GuestFault as fault:
        return str(fault) if fault.report else "without a report"
    return ""


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("case", CASES)
def test_interrupts_of_any_shape(tmp_path: Path, case: str, event: str) -> None:
    change, others = CASES[case]
    expected = others.get(event, RIGHT[event])
    with make_pc(made(tmp_path, event, change)) as pc:
        why = run(pc)
        told = reports(bytes(pc.debug.text).decode("latin-1"))
        if expected is None:
            assert (told, why.endswith(": a triple fault")) == ([], True), (told, why)
        else:
            assert [report[:3] for report in told] == [expected], why
            if event.endswith("page") and expected[0] in (14, 0x20):
                assert told[0][3] == NOWHERE


def test_programs_fault_where_only_the_kernel_may_look(tmp_path: Path) -> None:
    """Its descriptors; CR2 is the address itself."""
    for address in (GDT + 0x18, TASK + 4, STACK + 0x7F0):
        guest = Protected(to_ring_3(), b"\xa1" + dword(address))
        for page in (GDT, TASK, STACK):
            guest.map(page, page)
        path = tmp_path / "guest.img"
        path.write_bytes(guest.image())
        with make_pc(path) as pc:
            run(pc)
            told = reports(bytes(pc.debug.text).decode("latin-1"))
            assert told == [(14, 5, PROGRAM, address)]


#: Where a table or a stack may come to lie: VRAM as planes and plain, ROM, nowhere.
PLACES = {
    "planes": 0xA0000,
    "text": 0xB8000,
    "ROM": 0xF0000,
    "LFB": 0xE0000000,
    "nowhere": 0x7F000000,
}
MOVED = {"GDT": GDT, "IDT": IDT, "TSS": TASK, "stack": STACK, "tables": TABLE}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("what", MOVED)
def test_tables_anywhere(tmp_path: Path, what: str, place: str) -> None:
    """Whatever it comes to, it comes to an end, and its state goes back or is refused."""
    for event in ("ud", "user page"):
        with make_pc(made(tmp_path, event, lambda g: g.map(MOVED[what], PLACES[place], 7))) as pc:
            rom = bytes(pc.bus.memory[ROM_START:ROM_END])
            if place == "LFB":
                for at in range(GDT, TABLE + 0x1000, 0x1000):
                    pc.bus.write(PLACES[place], made_page(event, at if at == MOVED[what] else GDT))
            run(pc)
            goes_back(pc)
            run(pc)
            assert bytes(pc.bus.memory[ROM_START:ROM_END]) == rom


def made_page(event: str, at: int) -> bytes:
    guest = Protected(*EVENTS[event])
    guest.image()
    return bytes(guest.memory[at - GDT : at - GDT + 0x1000])


def goes_back(pc: Pc) -> None:
    """Its state does, and is the same there; no descriptor is touched by it."""
    arrays = {name: array.copy() for name, array in pc.state_arrays().items()}
    pc.check_state(arrays, "state")
    pc.restore_state(arrays)
    again = pc.state_arrays()
    for name in ("cpu.general", "cpu.segments", "cpu.tables", "cpu.control", "ram"):
        assert (arrays[name] == again[name]).all(), name


def test_a_state_touches_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "guest.img"
    path.write_bytes(with_read_only_descriptors().image())
    with Machine(str(path)) as machine:
        machine.tick(10)
        assert machine.pc is not None
        assert machine.pc.cpu.cs == KERNEL_CODE
        goes_back(machine.pc)
        assert machine.pc.bus.read8(GDT + KERNEL_CODE + 5) == 0x9A
        assert machine.tick(3)


def test_segments_that_no_descriptor_tells_go_along(tmp_path: Path) -> None:
    """Bases and limits of real mode that come from protected mode."""
    # cli; lgdt; CR0.PE; mov ds, 10h; ~CR0.PE; jmp $
    code = bytes.fromhex(
        "FA 31 C0 8E D8 0F 01 16 30 7C 0F 20 C0 0C 01 0F 22 C0 BB 08 00 8E DB 24 FE 0F 22 C0 EB FE"
    ).ljust(0x30, b"\0")
    code += b"\x0f\0" + dword(0x7C38) + bytes(2) + bytes(8) + descriptor(0x12345678, FLAT, 0x93)
    path = tmp_path / "guest.img"
    path.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa")
    with make_pc(path) as pc:
        run(pc, 3)
        ds = pc.cpu.arrays()["cpu.segments"][1].tolist()
        assert ds == [8, 0x12345678, 0xFFFF_FFFF, 0xC093]
        goes_back(pc)


@pytest.mark.parametrize("cpu", CPUS)
def test_paging_without_protection_is_general_protection(tmp_path: Path, cpu: str) -> None:
    # xor ax, ax; mov ds, ax; the vector of 13; mov eax, 80000010h; mov cr0, eax
    code = "31 C0 8E D8 C7 06 34 00 19 7C A3 36 00 66 B8 10 00 00 80 0F 22 C0 90 EB FE"
    code += "B0 0D E6 E9 58 E6 E9 FA F4"  # its handler: 13, and where it happened
    with make_pc(disk(tmp_path, bytes.fromhex(code)), cpu=cpu, free=cpu == "kvm") as pc:
        run(pc)
        assert bytes(pc.debug.text) == b"\x0d\x13"
        assert not pc.cpu.get("cr0") & PG


def test_protection_that_ends_before_paging_is_general_protection(tmp_path: Path) -> None:
    path = tmp_path / "guest.img"
    # xor eax, eax; bts eax, 31; mov cr0, eax
    path.write_bytes(Protected(b"\x31\xc0\x0f\xba\xe8\x1f\x0f\x22\xc0").image())
    with make_pc(path) as pc:
        run(pc)
        told = reports(bytes(pc.debug.text).decode("latin-1"))
        assert told == [(13, 0, CODE + 6, 0)]
        assert pc.cpu.get("cr0") & (PG | PE) == PG | PE


def breakpoint_at(linear: int) -> bytes:
    """mov eax, linear; mov dr0, eax; mov eax, 405h; mov dr7, eax: that, and DR1's."""
    return b"\xb8" + dword(linear) + b"\x0f\x23\xc0\xb8" + dword(0x405) + b"\x0f\x23\xf8"


def test_breakpoints(tmp_path: Path) -> None:
    path = tmp_path / "guest.img"
    # Others at 0: xor eax, eax; mov dr1, eax.
    code = b"\x31\xc0\x0f\x23\xc8" + breakpoint_at(CODE + 0x20)
    path.write_bytes(Protected(code + b"\x90" * 64 + b"\xfa\xf4").image())
    with make_pc(path) as pc:
        run(pc)
        assert reports(bytes(pc.debug.text).decode("latin-1")) == [(1, CODE + 0x20, KERNEL_CODE, 0)]
        # Loaded elsewhere, a state has none.
        with make_pc(made(tmp_path, "int")) as other:
            state = {name: array.copy() for name, array in other.state_arrays().items()}
        pc.cpu.restore(state)
        pc.bus.array[:] = state["ram"]
        pc.bus.write(CODE, b"\x90" * 64 + b"\xfa\xf4")
        pc.cpu.set_registers(cs=0, eip=CODE)
        pc.cpu.run(10**9)
        assert (pc.cpu.halted, pc.cpu.get("eip")) == (True, CODE + 66)


def test_a_breakpoint_in_code_with_a_base_ends_the_run(tmp_path: Path) -> None:
    """There the engine never came back."""
    guest = Protected(breakpoint_at(CODE + 0x40) + b"\xea" + dword(0x30) + b"\x18\0")
    guest.put(GDT + 0x18, descriptor(CODE, FLAT, 0x9B))
    guest.code = guest.code.ljust(0x30, b"\x90") + b"\x90" * 64
    path = tmp_path / "guest.img"
    path.write_bytes(guest.image())
    with make_pc(path) as pc:
        assert run(pc).startswith("a breakpoint at 0018:0030, in code with a base")
        goes_back(pc)


#: In virtual 8086 mode: its code, IOPL, and what the handler finds; QEMU finds the same.
VIRTUAL = {
    "int": (INT, 3, (0x20, 2, PROGRAM >> 4)), "int, IOPL 0": (INT, 0, (13, 0, 0)),
    "ud": (UD, 3, (6, 0, PROGRAM >> 4)), "cli, IOPL 0": (b"\xfa", 0, (13, 0, 0)),
    "hlt": (b"\xf4", 3, (13, 0, 0)),
    # mov dx, 400h, of which the task has no bit; in al, dx
    "in, IOPL 3": (b"\xba\x00\x04\xec", 3, (13, 0, 3)),
}  # fmt: skip


@pytest.mark.parametrize("what", VIRTUAL)
def test_virtual_8086_mode(tmp_path: Path, what: str) -> None:
    program, iopl, expected = VIRTUAL[what]
    # gs, fs, ds, es, ss, esp, eflags, cs, eip; iretd
    frame = 0, 0, 0x2000, 0x3000, 0xE00, 0xFF0, 0x20002 | iopl << 12, PROGRAM >> 4, 0
    guest = Protected(b"".join(b"\x68" + dword(value) for value in frame) + b"\xcf", program)
    gates(0x40, access=0xEE)(guest)
    path = tmp_path / "guest.img"
    path.write_bytes(guest.image())
    with make_pc(path) as pc:
        run(pc)
        told = reports(bytes(pc.debug.text).decode("latin-1"))
        assert [report[:3] for report in told] == [expected]
        goes_back(pc)


def test_a_service_called_in_protected_mode(tmp_path: Path) -> None:
    """INT 10h/1130h loads ES, which is a selector then."""
    from vgaemu.pc.bios import rom

    port = dict(zip(rom.SERVICES, rom.TRAP_PORTS, strict=False))[0x10]
    # mov eax, 1130h; mov ebx, 300h; mov edx, port; out dx, al; mov ax, es; out E9h; cli; hlt
    code = b"\xb8" + dword(0x1130) + b"\xbb" + dword(0x300) + b"\xba" + dword(port)
    code += bytes.fromhex("EE 66 8C C0 FA F4")
    path = tmp_path / "guest.img"
    path.write_bytes(Protected(code).image())
    with make_pc(path) as pc:
        assert "a service cannot load ES at 0008:0000C0" in run(pc)
        goes_back(pc)


@needs_kvm
def test_a_vm_that_the_kernel_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def given_up(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with Machine(str(made(tmp_path, "int")), cpu="kvm") as machine:
        machine.tick()
        monkeypatch.setattr(kvm.DirtyLogReader, "read", given_up)
        with pytest.raises(GuestFault, match="the kernel has given the VM up: Input/output error"):
            machine.tick()
        monkeypatch.setattr("vgaemu.pc.cpu.kvm_state.VcpuState.arrays", given_up)
        machine.screen.full_redraw()
    # and closed without a word


@pytest.mark.parametrize("cpu", CPUS)
def test_tables_beyond_4_gib_are_refused(tmp_path: Path, cpu: str) -> None:
    with make_pc(made(tmp_path, "int"), cpu=cpu, free=cpu == "kvm") as pc:
        arrays = {name: array.copy() for name, array in pc.state_arrays().items()}
        arrays["cpu.tables"][1] = (1 << 64) - 1, 0
        assert "damaged; save the state again" in str(pc.cpu.refusal(arrays))
