"""What a Unicorn engine tells of its registers, and takes: to and from `CPU_ARRAYS`.

Carried over: general, segment, table and control registers, FPU and SSE. A state in long mode is
one that only KVM goes on from. Not carried over: debug registers, where the last FPU instruction
was.
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
    EFER,
    GENERAL,
    LONG_MODE,
    PROTECTED,
    RFLAGS,
    RIP,
    SHADOWED,
    Array,
)
from vgaemu.pc.cpu.unicorn_context import (
    CS,
    DS,
    ES,
    FS,
    GS,
    HELD_OFF,
    NO_EXCEPTION,
    SS,
    Context,
    Env,
    SegmentCache,
)
from vgaemu.pc.cpu.unicorn_engine import Registers

TASK = 6
#: Where a PC's local APIC is, enabled, of the boot processor.
DEFAULT_APIC_BASE = 0xFEE0_0900
#: CR4 bits that the engine starts with, for SSE: its own, not the guest's.
ENGINE_CR4 = 0x50200
#: A TR that is none, in the only form that processors enter a guest with: a busy 32-bit TSS.
NO_TASK = (0, 0, mmu.REAL_LIMIT, 0x8B)


def engine_arrays(registers: Registers, env: Env) -> dict[str, Array]:
    """`CPU_ARRAYS` of an engine that stands still, but for what `UnicornCpu` itself knows."""
    arrays = {name: np.zeros(shape, kind) for name, (kind, shape) in CPU_ARRAYS.items()}
    general = arrays["cpu.general"]
    general[:8] = [registers[name.upper()] for name in GENERAL]
    general[RIP], general[RFLAGS] = registers["EIP"], registers["EFLAGS"]
    control = arrays["cpu.control"]
    control[:4] = [registers[name] for name in ("CR0", "CR2", "CR3", "CR4")]
    control[CR4] = int(control[CR4]) & ~ENGINE_CR4
    control[APIC_BASE] = DEFAULT_APIC_BASE
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
        mantissa, exponent = registers[f"FP{top + i & 7}"]
        arrays["cpu.fpu"][i, :10] = list((exponent << 64 | mantissa).to_bytes(10, "little"))
        arrays["cpu.xmm"][i] = list(registers[f"XMM{i}"].to_bytes(16, "little"))
    return arrays


def engine_refusal(arrays: Mapping[str, Array]) -> str | None:
    """Why an engine cannot take a state, or None."""
    general, control = arrays["cpu.general"], arrays["cpu.control"]
    saved = _mode_refusal(general, control, int(arrays["cpu.pending"]))
    if saved is not None:
        return f"saved {saved}; only --cpu kvm goes on from that"
    cr0 = int(control[CR0])
    wide = [int(control[CR4]), int(arrays["cpu.tables"].max()), int(arrays["cpu.segments"].max())]
    if max(wide) >> 32 or (cr0 & mmu.PAGING and not cr0 & PROTECTED):
        return "damaged; save the state again"
    return None


def _mode_refusal(general: Array, control: Array, pending: int) -> str | None:
    if int(control[EFER]) & LONG_MODE or (general >> np.uint64(32)).any() or general[8:16].any():
        return "in long mode"
    if pending >= 0 and int(control[CR0]) & PROTECTED:
        return "with an interrupt half taken in protected mode"
    return None


def restore_engine(registers: Registers, context: Context, arrays: Mapping[str, Array]) -> None:
    """Set all registers from arrays that `engine_refusal` has passed; memory is not touched."""
    general, control = arrays["cpu.general"].tolist(), arrays["cpu.control"].tolist()
    registers["CR2"], registers["CR3"] = control[CR2] & 0xFFFFFFFF, control[CR3] & 0xFFFFFFFF
    registers["CR4"] = control[CR4] | ENGINE_CR4
    registers["CR0"] = control[CR0] & 0xFFFFFFFF
    for name, value in zip(GENERAL, general[:8], strict=True):
        registers[name.upper()] = value
    registers["EIP"], registers["EFLAGS"] = general[RIP], general[RFLAGS]
    env = context.load()
    for table, (base, limit) in zip((env.gdt, env.idt), arrays["cpu.tables"].tolist(), strict=True):
        table.base, table.limit = base, limit & 0xFFFF
    for segment, saved in zip(_segments(env), arrays["cpu.segments"].tolist(), strict=True):
        segment.load(tuple(saved))
    context.raised.old_exception = NO_EXCEPTION
    env.hflags = env.hflags & ~HELD_OFF | (HELD_OFF if arrays["cpu.halted"] & SHADOWED else 0)
    env.settle()
    context.store()
    fcw, status, used, mxcsr = arrays["cpu.fpu_control"].tolist()
    registers["FPCW"], registers["FPSW"] = fcw & 0xFFFF, status & 0xFFFF
    top = status >> 11 & 7
    for i in range(8):
        ten = int.from_bytes(arrays["cpu.fpu"][i, :10].tobytes(), "little")
        registers[f"FP{top + i & 7}"] = ten & (1 << 64) - 1, ten >> 64
        registers[f"XMM{i}"] = int.from_bytes(arrays["cpu.xmm"][i].tobytes(), "little")
    registers["FPTAG"] = sum(3 << 2 * i for i in range(8) if not used >> i & 1)
    registers["MXCSR"] = mxcsr & 0xFFFF


def _segments(env: Env) -> list[SegmentCache]:
    """In the order of ``cpu.segments``."""
    return [env.segs[i] for i in (CS, DS, ES, FS, GS, SS)] + [env.tr, env.ldt]
