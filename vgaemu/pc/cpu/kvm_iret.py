"""IRET in protected mode, for hosts whose KVM cannot execute it.

KVM's own emulator has IRET in real mode only. It runs what the processor cannot: on hosts that
virtualize without help of the hardware that is every instruction, and a loader with an interrupt
table ends there.

Emulated: returns to the same privilege level without paging, from 16- and 32-bit code. Everything
else is left as it was: to another level, from a nested task, to virtual 8086 mode.
"""

from __future__ import annotations

from mmap import mmap

import numpy as np

from vgaemu.memslot.kvm import ioctl as kvm
from vgaemu.pc.bus import Bus
from vgaemu.pc.cpu.cpu import NESTED, PROTECTED, RFLAGS, RIP, VIRTUAL_8086, Array
from vgaemu.pc.cpu.kvm_state import sregs_of, take_sregs
from vgaemu.pc.cpu.mmu import BIG, CODE, PAGING, descriptor

_IRET, _OPERAND_SIZE = 0xCF, 0x66
_RSP, _CS, _SS = 6, 0, 5


def return_from_interrupt(run: mmap, bus: Bus) -> bool:
    """Execute the IRET at CS:EIP, if it is one of these; False leaves all registers as they are.

    `run` is the vCPU's struct kvm_run, with valid registers.
    """
    at = kvm.RUN_SYNC_REGS
    general = np.frombuffer(run[at : at + kvm.REGS_BYTES], "<u8").copy()
    arrays: dict[str, Array] = {
        "cpu.segments": np.zeros((8, 4), "u8"),
        "cpu.tables": np.zeros((2, 2), "u8"),
        "cpu.control": np.zeros(7, "u8"),
        "cpu.pending": np.full((), -1, "i4"),  # what waits the kernel knows
    }
    take_sregs(run[at + kvm.REGS_BYTES : at + kvm.REGS_BYTES + kvm.SREGS_BYTES], arrays)
    segments = arrays["cpu.segments"]
    (selector, base, _, attributes), (_, stack_base, _, stack_attributes) = (
        segments[i].tolist() for i in (_CS, _SS)
    )
    if int(arrays["cpu.control"][0]) & (PROTECTED | PAGING) != PROTECTED:
        return False
    old_flags, eip, esp = (int(general[i]) for i in (RFLAGS, RIP, _RSP))
    opcode = bus.read(base + eip & 0xFFFF_FFFF, 2)
    prefixed = opcode[0] == _OPERAND_SIZE
    if opcode[prefixed] != _IRET or old_flags & (VIRTUAL_8086 | NESTED):
        return False
    size = 4 if bool(attributes & BIG) != prefixed else 2
    mask = 0xFFFF_FFFF if stack_attributes & BIG else 0xFFFF
    offset, target, flags = (
        int.from_bytes(bus.read(stack_base + (esp + i * size & mask) & 0xFFFF_FFFF, size), "little")
        for i in range(3)
    )
    target &= 0xFFFF
    if target & 3 != selector & 3 or target & 4 or flags & VIRTUAL_8086:
        return False
    table, limit = arrays["cpu.tables"][0].tolist()
    segment = descriptor(bus.read, table, limit, target)
    if segment is None or not segment[3] & CODE:
        return False
    segments[_CS] = segment
    general[RIP] = offset
    general[_RSP] = esp & ~mask | esp + 3 * size & mask
    general[RFLAGS] = flags | 2 if size == 4 else old_flags & ~0xFFFF | flags | 2
    run[at : at + kvm.REGS_BYTES] = general.tobytes()
    at += kvm.REGS_BYTES
    run[at : at + kvm.SREGS_BYTES] = sregs_of(arrays)
    run[kvm.RUN_DIRTY_REGS] = kvm.SYNC_REGS | kvm.SYNC_SREGS
    return True
