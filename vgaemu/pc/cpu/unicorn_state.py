"""What a Unicorn engine tells of its registers, and takes: to and from `CPU_ARRAYS`.

Carried over: general, segment, table and control registers, the MSRs of `MSR_FIELDS` and
`KEPT_MSRS`, FPU and SSE; debug registers by `UnicornCpu`. Not carried over: where the last FPU
instruction was.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vgaemu.pc.cpu import mmu
from vgaemu.pc.cpu.cpu import (
    APIC_BASE,
    CPU_ARRAYS,
    CR0,
    CR2,
    CR3,
    CR4,
    CR8,
    EFER,
    GENERAL,
    LONG_MODE,
    PROTECTED,
    RFLAGS,
    RIP,
    SHADOWED,
    Array,
)
from vgaemu.pc.cpu.debug_registers import DEBUG, are_debug
from vgaemu.pc.cpu.msrs import (
    AFTER_RESET,
    MEMORY_TYPES,
    MISC_ENABLE,
    MSRS,
    TSC_AUX,
    are_msrs,
    msrs_of,
)
from vgaemu.pc.cpu.unicorn_context import (
    CS,
    DS,
    ENCODED,
    ES,
    FS,
    GS,
    HELD_OFF,
    MSR_FIELDS,
    NO_EXCEPTION,
    SS,
    Context,
    Env,
    SegmentCache,
    write_flags,
)
from vgaemu.pc.cpu.unicorn_engine import Registers, unicorn

TASK = 6
#: What EFER can have: SYSCALL, long mode enabled and active, execute-disable.
_EFER_BITS = 0xD01
#: Where a PC's local APIC is, enabled, of the boot processor.
DEFAULT_APIC_BASE = 0xFEE0_0900
#: CR4: SSE may be used. All guests could once, and states told of none.
SSE_ENABLED = 1 << 9
EFER_MSR = 0xC000_0080
#: MSRs that an engine keeps beside those of `MSR_FIELDS`, and asks nothing of.
KEPT_MSRS = (*MEMORY_TYPES, MISC_ENABLE, TSC_AUX)
#: A TR that is none, in the only form that processors enter a guest with: a busy 32-bit TSS.
NO_TASK = (0, 0, mmu.REAL_LIMIT, 0x8B)


def engine_arrays(registers: Registers, context: Context) -> dict[str, Array]:
    """`CPU_ARRAYS` of an engine that stands still, but for what `UnicornCpu` itself knows."""
    env, calls = context.load(), context.calls
    arrays = {name: np.zeros(shape, kind) for name, (kind, shape) in CPU_ARRAYS.items()}
    general = arrays["cpu.general"]
    general[:8] = [env.regs[ENCODED.index(name)] for name in GENERAL]
    general[8:16] = env.regs[8:]
    general[RIP], general[RFLAGS] = env.eip, registers["EFLAGS"]
    control = arrays["cpu.control"]
    control[:5] = [env.cr[number] for number in (0, 2, 3, 4, 8)]
    control[EFER], control[APIC_BASE] = env.efer, DEFAULT_APIC_BASE
    arrays["cpu.tables"][:] = [(table.base, table.limit) for table in (env.gdt, env.idt)]
    arrays["cpu.halted"][...] = SHADOWED if env.hflags & HELD_OFF else 0
    segments = arrays["cpu.segments"]
    segments[:] = [segment.loaded() for segment in _segments(env)]
    if not int(segments[TASK][3]) & mmu.SEGMENT_PRESENT:
        segments[TASK] = NO_TASK
    if not int(control[CR0]) & PROTECTED:
        segments[0][3] |= mmu.CODE  # the engine's is one of data, which only real mode can have
    status, tags = registers["FPSW"], registers["FPTAG"]
    used = sum(1 << i for i in range(8) if tags >> 2 * i & 3 != 3)
    arrays["cpu.fpu_control"][:] = registers["FPCW"], status, used, registers["MXCSR"]
    top = status >> 11 & 7
    for i in range(8):
        octets = registers.read_octets(unicorn.x86_const.UC_X86_REG_FP0 + (top + i & 7), 10)
        arrays["cpu.fpu"][i, :10] = list(octets)
    sse = [registers.read_octets(unicorn.x86_const.UC_X86_REG_XMM0 + i, 16) for i in range(16)]
    arrays["cpu.xmm"][:] = np.frombuffer(b"".join(sse), np.uint8).reshape(16, 16)
    values = [(number, getattr(calls, field)) for number, field in MSR_FIELDS.items()]
    values += [(number, registers.read_msr(number)) for number in KEPT_MSRS]
    arrays[MSRS] = np.array(values, "u8")
    dr = context.raised.dr
    arrays[DEBUG] = np.array([*dr[:4], dr[6], dr[7]], "u8")
    return arrays


def engine_refusal(arrays: Mapping[str, Array]) -> str | None:
    """Why an engine cannot take a state, or None."""
    control = arrays["cpu.control"]
    cr0, efer = int(control[CR0]), int(control[EFER])
    if int(arrays["cpu.pending"]) >= 0 and cr0 & PROTECTED:
        saved = "saved with an interrupt half taken in protected mode"
        return f"{saved}; only --cpu kvm goes on from that"
    is_long = efer & LONG_MODE
    wide = [int(control[CR4])]
    if not is_long:
        wide += [int(arrays["cpu.tables"].max()), int(arrays["cpu.segments"].max())]
    needed = mmu.PAGING if is_long else cr0 & mmu.PAGING and PROTECTED
    damaged = max(wide) >> 32 or cr0 & needed != needed or not _are_others(arrays)
    if is_long and (not int(control[CR4]) & mmu.PAE or efer & ~_EFER_BITS):
        damaged = True
    return "damaged; save the state again" if damaged else None


def _are_others(arrays: Mapping[str, Array]) -> bool:
    return all(
        name not in arrays or fits(arrays[name])
        for name, fits in ((MSRS, are_msrs), (DEBUG, are_debug))
    )


def restore_engine(registers: Registers, context: Context, arrays: Mapping[str, Array]) -> None:
    """Set all registers from arrays that `engine_refusal` has passed; memory is not touched."""
    general, control = arrays["cpu.general"].tolist(), arrays["cpu.control"].tolist()
    _set_mode(registers, context, control, is_old=MSRS not in arrays)
    env, calls = context.load(), context.calls
    for i, name in enumerate(GENERAL):
        env.regs[ENCODED.index(name)] = general[i]
    env.regs[8:] = general[8:16]
    env.eip = general[RIP]
    write_flags(context.words, general[RFLAGS])
    for table, (base, limit) in zip((env.gdt, env.idt), arrays["cpu.tables"].tolist(), strict=True):
        table.base, table.limit = base, limit & 0xFFFF
    for segment, saved in zip(_segments(env), arrays["cpu.segments"].tolist(), strict=True):
        segment.load(tuple(saved))
    context.raised.old_exception = NO_EXCEPTION
    env.hflags = env.hflags & ~HELD_OFF | (HELD_OFF if arrays["cpu.halted"] & SHADOWED else 0)
    env.settle()
    msrs = msrs_of(arrays)
    for number, value in msrs.items():
        if number in MSR_FIELDS:
            setattr(calls, MSR_FIELDS[number], value)
    context.store()
    for number in KEPT_MSRS:
        registers.write_msr(number, msrs.get(number, AFTER_RESET.get(number, 0)))
    fcw, status, used, mxcsr = arrays["cpu.fpu_control"].tolist()
    registers["FPCW"], registers["FPSW"] = fcw & 0xFFFF, status & 0xFFFF
    top = status >> 11 & 7
    for i in range(8):
        ten = int.from_bytes(arrays["cpu.fpu"][i, :10].tobytes(), "little")
        registers[f"FP{top + i & 7}"] = ten & (1 << 64) - 1, ten >> 64
    for i in range(16):
        registers[f"XMM{i}"] = int.from_bytes(arrays["cpu.xmm"][i].tobytes(), "little")
    registers["FPTAG"] = sum(3 << 2 * i for i in range(8) if not used >> i & 1)
    registers["MXCSR"] = mxcsr & 0xFFFF


def _set_mode(registers: Registers, context: Context, control: list[int], *, is_old: bool) -> None:
    """Control registers and EFER, by a way through real mode that the engine knows."""
    registers["CR0"] = 0x10
    registers["CR2"], registers["CR3"] = control[CR2], control[CR3]
    registers["CR4"] = control[CR4] | (SSE_ENABLED if is_old and control[CR0] & PROTECTED else 0)
    registers.write_msr(EFER_MSR, control[EFER])
    registers["CR8"] = control[CR8]
    registers["CR0"] = control[CR0] & 0xFFFFFFFF


def _segments(env: Env) -> list[SegmentCache]:
    """In the order of ``cpu.segments``."""
    return [env.segs[i] for i in (CS, DS, ES, FS, GS, SS)] + [env.tr, env.ldt]
