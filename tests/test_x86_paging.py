"""Page tables: walked as the processor's own MMU walks them, and a kernel that relies on them."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from x86_helpers import GUESTS, disk, make_pc, needs_kvm, run_until_halted

from vgaemu.errors import GuestFault
from vgaemu.machine import Machine
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.cpu.cpu import EFER
from vgaemu.pc.cpu.mmu import (
    PAE,
    PAGING,
    PRESENT,
    PROTECTION,
    PSE,
    USER,
    WRITABLE,
    WRITE_PROTECT,
    Control,
    PageFault,
    linear_reader,
    translate,
)

unicorn = pytest.importorskip("unicorn")
from unicorn import x86_const as x86  # noqa: E402

KERNEL = GUESTS / "kernel.img"
#: What the guest reports, as QEMU shows it (`tests/test_x86_qemu.py`).
REPORT = [
    "kernel at C0000000h; CR0 80010001",
    "program at 08000000h; sum 00078000",
    "no: address C0000000",
    "    error code 00000005",
    "no: address 08000000",
    "    error code 00000007",
    "privileged instruction at 08000047",
    "privileged instruction at 0800004D",
    "PASS; faults 00000014",
]
#: Its code, data and stacks, its tables, and the pages that it gives away.
KERNEL_MEMORY = ((0x7800, 0x2000), (0x100000, 0x5000), (0x200000, 0x12000))
RAM_BYTES = 8 << 20
CODE_AT = 0x1000
TABLES_AT = 0x10000


def random_tables(
    rng: random.Random, memory: np.ndarray, *, pae: bool, high: tuple[int, ...] = (0,)
) -> list[int]:
    """Tables with every combination of rights; linear addresses to try, half of them mapped.

    Of the bits above 51 an entry has some of `high`.
    """
    words = memory.view("<u8" if pae else "<u4")
    size, slots = (8, 512) if pae else (4, 1024)

    def entry(target: int) -> int:
        low = rng.choices((0, PRESENT), (1, 6))[0] | rng.getrandbits(2) << 1
        return target | low | rng.getrandbits(2) << 5 | rng.choice(high)

    def table(at: int, number: int, value: int) -> None:
        words[(at + size * number) // size] = value

    addresses = []
    directories = [TABLES_AT]
    if pae:
        directories = [TABLES_AT + 0x1000 * (1 + i) for i in range(4)]
        for i, directory in enumerate(directories):
            table(TABLES_AT, i, directory | (PRESENT if i < 3 else 0))
    free = TABLES_AT + 0x5000
    for top, directory in enumerate(directories):
        for _ in range(3 if pae else 5):
            number = rng.randrange(1, slots)  # 0 holds the code
            base = top << 30 | number << (21 if pae else 22)
            if rng.random() < 0.3:
                table(directory, number, entry(rng.randrange(2) << 22) | 0x80)
                addresses.append(base | rng.randrange(1 << 21) & ~3)
                continue
            table(directory, number, entry(free))
            for _ in range(4):
                page = rng.randrange(slots)
                table(free, page, entry(rng.randrange(0x100, 0x400) << 12))
                addresses.append(base | page << 12 | rng.randrange(0, 4096, 4))
            addresses.append(base | rng.randrange(slots) << 12)
            free += 0x1000
    # The code, mapped to itself, for the supervisor.
    table(directories[0], 0, free | 3)
    for page in range(16):
        table(free, page, page << 12 | 0x63)
    return addresses


def engine_with_mmu(memory: np.ndarray, control: Control) -> tuple[Any, list[int]]:
    """An engine that walks page tables itself, and the vectors of its exceptions."""
    uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
    uc.ctl_set_tcg_buffer_size(1 << 20)
    uc.mem_map_ptr(0, RAM_BYTES, unicorn.UC_PROT_ALL, memory.ctypes.data)
    uc.reg_write(x86.UC_X86_REG_CR3, control.cr3)
    uc.reg_write(x86.UC_X86_REG_CR4, uc.reg_read(x86.UC_X86_REG_CR4) & ~0x30 | control.cr4)
    uc.reg_write(x86.UC_X86_REG_CR0, control.cr0)
    faults: list[int] = []

    def on_interrupt(uc: object, vector: int, _: object) -> None:
        faults.append(vector)
        raise StopIteration

    uc.hook_add(unicorn.UC_HOOK_INTR, on_interrupt)
    return uc, faults


@pytest.mark.turns(2)
@pytest.mark.parametrize("pae", [False, True], ids=["two levels", "three levels"])
@pytest.mark.parametrize("seed", range(4))
def test_walks_as_the_engines_own_mmu(seed: int, pae: bool) -> None:
    rng = random.Random(seed)
    memory = np.zeros(RAM_BYTES, np.uint8)
    addresses = random_tables(rng, memory, pae=pae)
    pristine = memory.copy()
    cr0 = PAGING | 0x11 | (WRITE_PROTECT if seed & 1 else 0)
    cr4 = (PAE if pae else 0) | (PSE if seed & 2 else 0)
    control = Control(cr0, TABLES_AT, cr4)
    uc, faults = engine_with_mmu(memory, control)
    for address in addresses:
        for write in (False, True):
            memory[:] = pristine
            expected = memory.copy()
            # mov eax, [address] or mov [address], eax
            memory[CODE_AT] = expected[CODE_AT] = 0xA3 if write else 0xA1
            for where in (memory, expected):
                where[CODE_AT + 1 : CODE_AT + 5] = np.frombuffer(
                    address.to_bytes(4, "little"), "u1"
                )
            uc.ctl(unicorn.UC_CTL_TLB_FLUSH, unicorn.UC_CTL_IO_WRITE)
            uc.ctl(unicorn.UC_CTL_TB_FLUSH, unicorn.UC_CTL_IO_WRITE)
            uc.reg_write(x86.UC_X86_REG_EAX, 0xDEADBEEF)
            stored = bytearray(RAM_BYTES // PAGE_SIZE)
            translate(expected.data, control, CODE_AT, mark=stored)
            try:
                page = translate(expected.data, control, address, write=write, mark=stored).at
                place = page | address & 0xFFF
                value = int.from_bytes(expected[place : place + 4].tobytes(), "little")
                if write:
                    expected[place : place + 4] = np.frombuffer(b"\xef\xbe\xad\xde", "u1")
                fault = None
            except PageFault as caught:
                fault = caught
            with suppress(unicorn.UcError, StopIteration):
                uc.emu_start(CODE_AT, CODE_AT + 5, count=1)
            assert bool(faults) == (fault is not None), hex(address)
            if fault is not None:
                assert faults == [14]
                assert uc.reg_read(x86.UC_X86_REG_CR2) == fault.linear == address
                assert bool(fault.error_code & WRITABLE) == write
                # To this engine, which sees no fault delivered, the next would be a double one.
                uc, faults = engine_with_mmu(memory, control)
                continue
            if not write:
                assert uc.reg_read(x86.UC_X86_REG_EAX) == value
            # Its data, and the accessed and dirty bits.
            np.testing.assert_array_equal(memory[0x2000:], expected[0x2000:])


def test_rights_of_programs_and_error_codes() -> None:
    memory = bytearray(0x4000)
    view = memoryview(memory)
    control = Control(PAGING, 0x1000, 0)

    def put(at: int, value: int) -> None:
        memory[at : at + 4] = value.to_bytes(4, "little")

    put(0x1000, 0x2000 | PRESENT | WRITABLE | USER)
    put(0x2000, 0x3000 | PRESENT)
    put(0x2004, 0x3000 | PRESENT | USER)
    put(0x2008, 0x3000 | PRESENT | USER | WRITABLE)

    def code(linear: int, **access: bool) -> int | None:
        try:
            translate(view, control, linear, **access)
        except PageFault as fault:
            return fault.error_code
        return None

    assert code(0x0000) is None
    assert code(0x0000, write=True) is None  # the supervisor, with WP off
    assert code(0x0000, user=True) == PROTECTION | USER
    assert code(0x1000, user=True) is None
    assert code(0x1000, user=True, write=True) == PROTECTION | USER | WRITABLE
    assert code(0x2000, user=True, write=True) is None
    assert code(0x3000, user=True) == USER
    assert code(0x3000, write=True) == WRITABLE
    # Stores go through only once the dirty bit is there.
    assert translate(view, control, 0x2000) == (0x3000, False, True)
    stored = bytearray(4)
    assert translate(view, control, 0x2000, write=True, mark=stored) == (0x3000, True, True)
    assert list(stored) == [0, 1, 1, 0]  # both tables have been stored to
    assert translate(view, control, 0x2000) == (0x3000, True, True)
    assert translate(view, control, 0x2000, mark=stored) == (0x3000, True, True)
    # A table beyond memory has no entries.
    put(0x1004, 0x7FFF_F000 | PRESENT)
    assert code(0x40_0000) == 0


def test_reading_across_pages_ends_where_there_is_none() -> None:
    memory = bytearray(0x5000)
    memory[0x1000:0x1004] = (0x2003).to_bytes(4, "little")
    memory[0x2000:0x2008] = (0x4003).to_bytes(4, "little") + (0x3003).to_bytes(4, "little")
    memory[0x4FFE:0x5000], memory[0x3000:0x3002] = b"ab", b"cd"
    read = linear_reader(memoryview(memory), Control(PAGING, 0x1000, 0))
    assert read(0xFFE, 4) == b"abcd"
    assert read(0x1FFE, 4) == bytes(2)
    assert read(0x2000, 4) == b""


def pvm() -> bool:
    """Whether the host's KVM has no page tables of 32-bit guests: its own emulator runs them."""
    return Path("/sys/module/kvm_pvm").exists()


@pytest.mark.parametrize(
    "cpu",
    [
        "unicorn",
        pytest.param(
            "kvm",
            marks=[needs_kvm, pytest.mark.skipif(pvm(), reason="kvm_pvm has no 32-bit paging")],
        ),
    ],
)
def test_a_kernel_with_paging_and_a_program(cpu: str) -> None:
    ended: list[int] = []
    with Machine(str(KERNEL), cpu=cpu) as machine:
        assert machine.pc is not None
        machine.pc.bus.byte_out[0xF4] = ended.append
        for _ in range(600):
            report = machine.run_frame()
            if ended:
                break
        # It wrote to B8000h by another address: the log has its pages all the same.
        assert report.dirty_pages.tolist()
        np.testing.assert_array_equal(machine.screen.frame, machine.screen.full_redraw())
        assert [row.rstrip() for row in machine.screen.text()][: len(REPORT)] == REPORT
        # Found by the kernel, as the processor sets them: the program's page was read, not written.
        code_page, stack_page = np.frombuffer(machine.pc.bus.read(0x102000, 8), "<u4").tolist()
        assert (code_page & 0x60, stack_page & 0x60) == (0x20, 0x60)


def test_a_state_of_a_program_goes_on() -> None:
    """Saved in the kernel and in the program, now and then."""
    levels = []
    with make_pc(KERNEL) as pc:
        states = []
        pc.cpu._slice = 13
        for step in range(3000):
            pc.step(1 << 60)
            if pc.cpu.halted:
                break
            level = pc.cpu.cs & 3
            if pc.cpu.get("cr0") & PAGING and not step % (5 if level else 25):
                levels.append(level)
                states.append({name: a.copy() for name, a in pc.state_arrays().items()})
        assert pc.cpu.halted
        expected = [pc.bus.read(at, count) for at, count in KERNEL_MEMORY]
    assert min(levels.count(0), levels.count(3)) >= 2
    unprotected = {**states[-1], "cpu.control": states[-1]["cpu.control"].copy()}
    unprotected["cpu.control"][0] &= ~np.uint64(1)
    with make_pc(KERNEL) as other:
        assert other.cpu.refusal(unprotected) == "damaged; save the state again"
    for arrays in states:
        with make_pc(KERNEL) as other:
            assert other.cpu.refusal(arrays) is None
            other.restore_state(arrays)
            for _ in range(2000):
                other.step(1 << 60)
                if other.cpu.halted:
                    break
            assert other.cpu.halted
            assert [other.bus.read(at, count) for at, count in KERNEL_MEMORY] == expected


IDT_LIMIT = (0x407).to_bytes(2, "little")
TASK_STACK = (0xC0007C00).to_bytes(4, "little") + (0x10).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (IDT_LIMIT, b"\x67\x00", "interrupt 80h at 001B:08000.* ends before it.*: a triple fault"),
        (TASK_STACK, b"\0\0\0\xc8" + TASK_STACK[4:], "page fault at 0xc7ff.*: a triple fault"),
        (TASK_STACK, TASK_STACK[:4] + b"\x20\0\0\0", "stack is of another privilege level"),
    ],
    ids=["short table", "no stack", "another level's stack"],
)
def test_faults_that_end_a_kernel(tmp_path: Path, old: bytes, new: bytes, what: str) -> None:
    image = KERNEL.read_bytes()
    assert image.count(old) == 1
    path = tmp_path / "broken.img"
    path.write_bytes(image.replace(old, new))
    with Machine(str(path)) as machine, pytest.raises(GuestFault, match=what):
        machine.tick(5)


@pytest.mark.parametrize(
    ("instruction", "at_ip"),
    [("0F 0B", "0f 0b"), ("A1 00 00 00 D0", "a1 00 00 00 d0"), ("E9 00 00 00 10", "no page")],
)
def test_a_report_reads_code_through_the_page_tables(
    tmp_path: Path, instruction: str, at_ip: str
) -> None:
    # lgdt; CR0.PE; far jump; tables at 10000h map 0 and C0000000h to 0; CR3; CR0.PG; up there.
    at_entry, gdt = 0x7C80, 0x7D00
    program = bytes.fromhex(
        "FA 31 C0 8E D8 0F 01 16 20 7D 0F 20 C0 0C 01 0F 22 C0 EA 17 7C 08 00"
        "B8 10 00 8E D8 8E D0 BC 00 70 00 00"
        "C7 05 00 00 01 00 03 10 01 00 C7 05 00 0C 01 00 03 10 01 00"
        "C7 05 1C 10 01 00 03 70 00 00"
        "B8 00 00 01 00 0F 22 D8 0F 20 C0 0D 00 00 00 80 0F 22 C0 B8 80 7C 00 C0 FF E0"
    )
    program = program.ljust(at_entry - 0x7C00, b"\x90")
    program += bytes.fromhex("BB 78 56 34 12 90" + instruction)
    program = program.ljust(gdt - 0x7C00, b"\0") + bytes.fromhex(
        "00 00 00 00 00 00 00 00 FF FF 00 00 00 9A CF 00 FF FF 00 00 00 92 CF 00"
    )
    program = program.ljust(gdt + 0x20 - 0x7C00, b"\0") + bytes.fromhex("17 00 00 7D 00 00")
    with make_pc(disk(tmp_path, program), trace_code=True) as pc:
        with pytest.raises(GuestFault, match="triple fault") as caught:
            run_until_halted(pc)
        report = caught.value.report
        assert f"code at IP:  {at_ip}" in report
        assert "c0007c80  mov ebx, 0x12345678" in report


# cli; ds = 0; lgdt; CR0.PE; jmp 8:. ds = ss = 16. Tables: 1000h leads to 2000h, that as the first
# of three to 3000h, there 2 MiB one to one. cpuid 80000001h; ebx = 2000h; bt edx, 29; jnc three;
# entry 2000h is one of four levels; EFER.LME; ebx = 1000h. three: cr3 = ebx; CR4.PAE; CR0.PG;
# [600h] = 12345678h; hlt; GDT.
LEVELS_AS_CPUID_SAYS = bytes.fromhex(
    "FA 31 C0 8E D8 0F 01 16 8D 7C 0F 20 C0 0C 01 0F 22 C0 EA 17 7C 08 00 66 B8 10 00 8E D8 8E D0"
    "C7 05 00 10 00 00 03 20 00 00 C7 05 00 20 00 00 01 30 00 00 C7 05 00 30 00 00 83 00 00 00"
    "BB 00 20 00 00 B8 01 00 00 80 0F A2 BB 00 20 00 00 0F BA E2 1D 73 18 C6 05 00 20 00 00 03"
    "B9 80 00 00 C0 0F 32 80 CC 01 0F 30 BB 00 10 00 00 0F 22 DB 0F 20 E0 0C 20 0F 22 E0 0F 20 C0"
    "0D 00 00 00 80 0F 22 C0 C7 05 00 06 00 00 78 56 34 12 F4 17 00 93 7C 00 00 00 00 00 00 00 00"
    "00 00 FF FF 00 00 00 9A CF 00 FF FF 00 00 00 92 CF 00"
)


@pytest.mark.parametrize("taken", [b"\x73", b"\xeb"], ids=["as CPUID says", "three"])
def test_paging_with_the_levels_that_cpuid_offers(tmp_path: Path, taken: bytes) -> None:
    program = LEVELS_AS_CPUID_SAYS.replace(b"\x73\x18", taken + b"\x18")
    with make_pc(disk(tmp_path, program)) as pc:
        run_until_halted(pc)
        assert pc.bus.read32(0x600) == 0x12345678
        arrays = pc.cpu.arrays()
        assert int(arrays["cpu.control"][EFER]) == (0x500 if taken == b"\x73" else 0)
