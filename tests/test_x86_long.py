"""Long mode: page tables of four levels as the engine walks them, and a kernel of 64 bits.

`tests/kernels/long.asm` tells what it finds; what it is to find is here as QEMU shows it.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_x86_paging import pvm
from x86_helpers import make_pc, needs_kvm, run_until_halted

from vgaemu.errors import GuestFault
from vgaemu.machine import Machine
from vgaemu.memslot.bitmap import PAGE_SIZE
from vgaemu.pc.cpu import mmu
from vgaemu.pc.cpu.mmu import Control, NotCanonical, PageFault, translate

unicorn = pytest.importorskip("unicorn")
from unicorn import x86_const as x86  # noqa: E402

from vgaemu.pc.cpu.unicorn_context import NO_EXCEPTION, Context  # noqa: E402

KERNEL = Path(__file__).parent / "kernels" / "long.elf"
QEMU = "qemu-system-x86_64"
SAID = """\
EFER, CR4, RIP 00000D01 000002A0 FFFF800000100145
1 GiB FACEB00C0BADCAFE
on demand 001C01F8017A3F02 00000041 119A22AB33BC4000 00000045
faults: vector, error code, CS, SS, CR2
   0000000E 00000000 00000008 00000010 FFFF800080000000
   0000000E 00000003 00000008 00000010 0000004000000000
   0000000E 00000011 00000008 00000010 0000004000002000
   0000000D 00000000 00000008 00000010
   00000006 00000000 00000008 00000010
   0000000D 00000048 00000008 00000010
   00000000 00000000 00000008 00000010
"""
BY_INT = """\
   0000000D 00000182 00000008 00000010
   00000003 00000000 00000008 00000010 00000060
XMM9 02468ACF13579BDE
"""
TIMER = "timer 00000026\n"
RING_3 = """\
ring 3 FEDCBA9876543219 0000004000000028 0000000000000246
   0000000E 00000005 0000002B 00000023 FFFF800000102654
   0000000D 00000000 0000002B 00000023
   00000003 00000000 0000002B 00000023
   0000000D 0000010A 0000002B 00000023
   0000000E 00000004 0000002B 00000023 0000700000005000
"""
END = "a key 0000001E\nPASS\n"
WHOLE, PLAIN = SAID + BY_INT + TIMER + RING_3 + END, SAID + TIMER + END
#: QEMU doubles a vector in these.
QEMUS_OWN = {"00000302": "00000182", "00000212": "0000010A"}
#: What KVM can of it, by the kernel's command line.
KVM = pytest.param("kvm", "-" if pvm() else "", marks=needs_kvm)


def run(machine: Machine, frames: int = 600) -> str:
    """Until the kernel has ended; it gets a key whenever it may ask for one."""
    for frame in range(frames):
        text = shown(machine)
        if text.endswith("PASS\n"):
            break
        if frame % 10 == 0 and text.endswith("a key\n"):
            machine.keys.type("a")
        machine.tick(1)
    return machine.debugcon


def shown(machine: Machine) -> str:
    text = "\n".join(line.rstrip() for line in machine.screen.text())
    return text.rstrip("\n") + "\n"


@pytest.mark.parametrize(("cpu", "line"), [("unicorn", ""), ("unicorn", "-"), KVM])
def test_a_kernel_of_64_bits(cpu: str, line: str) -> None:
    with Machine(KERNEL, cpu=cpu, append=line) as machine:
        assert run(machine) == (PLAIN if line else WHOLE)
        assert machine.serial == machine.debugcon
        assert shown(machine) == machine.debugcon


@pytest.mark.qemu
@pytest.mark.skipif(shutil.which(QEMU) is None, reason=f"{QEMU} is not here")
def test_qemu_says_and_shows_the_same(tmp_path: Path) -> None:
    log, cells = tmp_path / "log", tmp_path / "cells"
    qemu = subprocess.Popen(
        [QEMU, "-display", "none", "-nodefaults", "-vga", "std", "-monitor", "stdio",
         "-debugcon", f"file:{log}", "-serial", f"file:{tmp_path / 'serial'}", "-kernel", KERNEL],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert qemu.stdin is not None
        for _ in range(200):
            time.sleep(0.05)
            said = log.read_text() if log.is_file() else ""
            if "PASS" in said and cells.is_file() and cells.stat().st_size == 4000:
                break
            if "PASS" in said or "a key" in said:
                order = f'pmemsave 0xb8000 4000 "{cells}"' if "PASS" in said else "sendkey a"
                print(order, file=qemu.stdin, flush=True)
    finally:
        qemu.kill()
        qemu.communicate()
    theirs = cells.read_bytes()
    for wrong, right in QEMUS_OWN.items():
        said = said.replace(wrong, right)
        theirs = theirs.replace(*("\x07".join(word).encode() for word in (wrong, right)))
    assert said == WHOLE
    with Machine(KERNEL) as machine:
        assert run(machine) == said
        assert machine.pc is not None
        machine.tick(1)
        assert machine.pc.bus.read(0xB8000, 4000) == theirs


@pytest.mark.parametrize("frames", [1, 5, 6, 7])
def test_a_state_goes_on(tmp_path: Path, frames: int) -> None:
    with Machine(KERNEL) as machine:
        machine.tick(frames)
        machine.save_state(tmp_path / "k.npz")
        then = machine.debugcon
        snapshot = machine.snapshot()
        assert run(machine) == WHOLE
        machine.restore(snapshot)
        assert run(machine) == WHOLE
        text = machine.screen.text()
    with Machine(KERNEL) as machine:
        machine.load_state(tmp_path / "k.npz")
        assert then + run(machine) == WHOLE
        assert machine.screen.text() == text


@needs_kvm
@pytest.mark.parametrize("way", [("unicorn", "kvm"), ("kvm", "unicorn")], ids="-".join)
def test_a_state_goes_to_the_other_cpu(tmp_path: Path, way: tuple[str, str]) -> None:
    line = "-" if pvm() else ""
    with Machine(KERNEL, cpu=way[0], append=line) as machine:
        while "a key" not in machine.debugcon:
            machine.tick(1)
        assert machine.pc is not None
        here = machine.pc.cpu.arrays()
        machine.save_state(tmp_path / "k.npz")
    with Machine(KERNEL, cpu=way[1], append=line) as machine:
        machine.load_state(tmp_path / "k.npz")
        assert machine.pc is not None
        there = machine.pc.cpu.arrays()
        for name in ("cpu.general", "cpu.segments", "cpu.tables", "cpu.control", "cpu.xmm"):
            np.testing.assert_array_equal(here[name], there[name], name)
        assert run(machine) == " 0000001E\nPASS\n"


RAM_BYTES = 4 << 20
CODE_AT, TABLES_AT = 0x1000, 0x10000


def random_tables(rng: random.Random, memory: np.ndarray) -> list[int]:
    """Four levels with every combination of rights; addresses to try, half of them mapped."""
    words, addresses, free = memory.view("<u8"), [], TABLES_AT + PAGE_SIZE
    high = (0, 0, 0, mmu.NO_EXECUTE, 1 << 50)

    def entry(target: int, kind: int = 0) -> int:
        low = rng.choices((0, mmu.PRESENT), (1, 8))[0] | rng.getrandbits(2) << 1
        return target | low | rng.getrandbits(2) << 5 | rng.choice(high) | kind

    def table() -> int:
        nonlocal free
        free += PAGE_SIZE
        return free - PAGE_SIZE

    def fill(at: int, shift: int, base: int) -> None:
        for _ in range({39: 2, 30: 3, 21: 3, 12: 3}[shift]):
            number = rng.randrange(1, 512)
            linear = base | number << shift
            if shift == 12 or (shift < 39 and rng.random() < 0.3):
                low = 0x2000 if rng.random() < 0.1 else 0  # reserved in a large page
                target = rng.randrange(0x200, 0x400) << 12 if shift == 12 else low
                words[at // 8 + number] = entry(target, 0x80 * (shift > 12))
                inside = rng.randrange(1 << min(shift, 21)) & ~0x807
                addresses.append(linear | inside)
                continue
            lower = table()
            words[at // 8 + number] = entry(lower)
            fill(lower, shift - 9, linear)
            addresses.append(linear | rng.randrange(512) << 12)

    fill(TABLES_AT, 39, 0)
    # The code, mapped to itself, for the supervisor.
    at = TABLES_AT
    for _ in range(3):
        words[at // 8] = table() | 3
        at = int(words[at // 8]) & -PAGE_SIZE
    for page in range(16):
        words[at // 8 + page] = page << 12 | 0x63
    upper = -1 << 48
    return [(a | upper if a >> 47 & 1 else a) & (1 << 64) - 1 for a in addresses]


def engine_with_mmu(memory: np.ndarray, control: Control) -> tuple[Any, Context, list[int]]:
    """An engine that walks page tables itself, its registers, the vectors of its exceptions."""
    uc = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64)
    uc.ctl_set_tcg_buffer_size(1 << 20)
    uc.mem_map_ptr(0, RAM_BYTES, unicorn.UC_PROT_ALL, memory.ctypes.data)
    uc.msr_write(0xC0000080, control.efer)
    for name, value in (("CR3", control.cr3), ("CR4", control.cr4), ("CR0", control.cr0)):
        uc.reg_write(getattr(x86, f"UC_X86_REG_{name}"), value)
    faults: list[int] = []

    def on_interrupt(uc: object, vector: int, _: object) -> None:
        faults.append(vector)
        raise StopIteration

    uc.hook_add(unicorn.UC_HOOK_INTR, on_interrupt)
    return uc, Context(uc), faults


@pytest.mark.turns(2)
@pytest.mark.parametrize("seed", range(4))
def test_walks_four_levels_as_the_engines_own_mmu(seed: int) -> None:
    rng = random.Random(seed)
    memory = np.zeros(RAM_BYTES, np.uint8)
    addresses = random_tables(rng, memory)
    pristine = memory.copy()
    cr0 = mmu.PAGING | 0x11 | (mmu.WRITE_PROTECT if seed & 1 else 0)
    control = Control(cr0, TABLES_AT, mmu.PAE, 0xD00 if seed & 2 else 0x500)
    uc, context, faults = engine_with_mmu(memory, control)
    # mov rax, [rbx]; mov [rbx], rax; jmp rbx
    for address in addresses:
        for code in (b"\x48\x8b\x03", b"\x48\x89\x03", b"\xff\xe3"):
            memory[:] = pristine
            memory[CODE_AT : CODE_AT + len(code)] = np.frombuffer(code, "u1")
            memory[CODE_AT + len(code)] = 0xF4
            expected = memory.copy()
            uc.ctl(unicorn.UC_CTL_TLB_FLUSH, unicorn.UC_CTL_IO_WRITE)
            uc.ctl(unicorn.UC_CTL_TB_FLUSH, unicorn.UC_CTL_IO_WRITE)
            uc.reg_write(x86.UC_X86_REG_RBX, address)
            uc.reg_write(x86.UC_X86_REG_RAX, 0x3000)
            stored = bytearray(RAM_BYTES // PAGE_SIZE)
            write, fetch = code[1] == 0x89, code[0] == 0xFF
            translate(expected.data, control, CODE_AT, mark=stored)
            fault = None
            try:
                page = translate(
                    expected.data, control, address, write=write, fetch=fetch, mark=stored
                )
                place = page.at | address & 0xFFF
                if write and place < RAM_BYTES:
                    expected[place : place + 8] = np.frombuffer(b"\0\x30".ljust(8, b"\0"), "u1")
            except PageFault as caught:
                fault = caught
            with suppress(unicorn.UcError, StopIteration):
                uc.emu_start(CODE_AT, CODE_AT + len(code), count=2 if fetch else 1)
            assert (faults == [14]) == (fault is not None), f"{address:x} {code.hex()} {fault}"
            if fault is not None:
                assert uc.reg_read(x86.UC_X86_REG_CR2) == fault.linear == address
                context.load()
                assert context.raised.error_code == fault.error_code, hex(address)
                # To this engine, which sees no fault delivered, the next would be a double one.
                context.raised.old_exception = NO_EXCEPTION
                context.store()
                faults.clear()
                continue
            tables = slice(TABLES_AT, 0x200000)
            np.testing.assert_array_equal(memory[tables], expected[tables])


def test_addresses_that_are_none() -> None:
    control = Control(mmu.PAGING | 1, 0x1000, mmu.PAE, 0x500)
    memory = memoryview(bytearray(0x2000))
    for linear in (1 << 47, (1 << 64) - (1 << 47) - 1, 1 << 56, 1 << 63):
        with pytest.raises(NotCanonical, match="which is not canonical"):
            translate(memory, control, linear)
    for linear in ((1 << 47) - 1, (1 << 64) - (1 << 47)):
        with pytest.raises(PageFault, match="page fault at"):
            translate(memory, control, linear)


#: In the kernel: lidt [rsp], of a limit of 0; ud2.
TRIPLE = bytes.fromhex("6A 00 6A 00 0F 01 1C 24 0F 0B")

#: The same with one gate, which leads to 18000_0000_0000h: push 18000h; mov rax, 8E00_0008_0000h;
#: push rax; mov rcx, rsp; push rcx; push word 15; lidt [rsp]; int 0.
NO_ADDRESS = bytes.fromhex(
    "68 00 80 01 00 48 B8 00 00 08 00 00 8E 00 00 50 48 89 E1 51 66 6A 0F 0F 01 1C 24 CD 00"
)
#: With a gate to FFFF_FFFF_0000_0000h, and push 1; pop rsp; shl rsp, 62 before int 0.
NO_STACK = bytes.fromhex(
    "6A FF 48 B8 00 00 08 00 00 8E 00 00 50 48 89 E1 51 66 6A 0F 0F 01 1C 24"
    "6A 01 5C 48 C1 E4 3E CD 00"
)


#: or rax, -1; or rdx, -1; rdtsc; mov r8, rax; or r8, rdx; or rcx, -1; or rbx, -1; mov eax, 1;
#: cpuid; or rax, rbx; or rax, rcx; or rax, rdx; or rax, r8; cli; hlt.
COUNTED = bytes.fromhex(
    "48 83 C8 FF 48 83 CA FF 0F 31 49 89 C0 49 09 D0 48 83 C9 FF 48 83 CB FF B8 01 00 00 00 0F A2"
    "48 09 D8 48 09 C8 48 09 D0 4C 09 C0 FA F4"
)


def test_what_has_32_bits_clears_those_above(tmp_path: Path) -> None:
    kernel, at = bytearray(KERNEL.read_bytes()), KERNEL.read_bytes().index(b"\x0f\x0b")
    kernel[at : at + len(COUNTED)] = COUNTED
    counted = tmp_path / "counted.elf"
    counted.write_bytes(kernel)
    with make_pc(counted) as pc:
        run_until_halted(pc)
        assert 0 < pc.cpu.arrays()["cpu.general"][0] < 1 << 32


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (NO_ADDRESS, "its gate leads to no canonical address"),
        (NO_STACK, "its stack is at no canonical"),
    ],
)
def test_gates_go_to_canonical_addresses(tmp_path: Path, code: bytes, why: str) -> None:
    kernel, at = bytearray(KERNEL.read_bytes()), KERNEL.read_bytes().index(b"\x0f\x0b")
    kernel[at : at + len(code)] = code
    broken = tmp_path / "broken.elf"
    broken.write_bytes(kernel)
    with make_pc(broken) as pc:
        with pytest.raises(GuestFault, match=f"^interrupt 00h at 0008:FFFF8.*: {why}") as caught:
            run_until_halted(pc)
        assert "the interrupt table ends before it" in str(caught.value)


def test_a_triple_fault_tells_registers_of_64_bits(tmp_path: Path) -> None:
    kernel, at = bytearray(KERNEL.read_bytes()), KERNEL.read_bytes().index(b"\x0f\x0b")
    kernel[at : at + len(TRIPLE)] = TRIPLE
    broken = tmp_path / "broken.elf"
    broken.write_bytes(kernel)
    with make_pc(broken) as pc:
        with pytest.raises(GuestFault, match="in long mode: the interrupt table ends") as caught:
            run_until_halted(pc)
        assert "at 0008:FFFF8000001" in str(caught.value)
        report = caught.value.report
        assert "rip=ffff8000001" in report
        assert "efer=00000d01" in report
        assert "ud2" in report
