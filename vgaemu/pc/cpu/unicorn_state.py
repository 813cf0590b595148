"""What a Unicorn engine tells of its registers, and takes: to and from `CPU_ARRAYS`.

Carried over: general, segment, table and control registers, FPU and SSE. The engine keeps bases and
limits of segment registers to itself; so in real mode they are taken to be 16 times the selector
and FFFFh, and in protected mode what the descriptor tables say. A state in which that is not so, or
in long mode, is one that only KVM goes on from. Not carried over: debug registers, where the last
FPU instruction was, and that the engine has met a fault before, which makes the next one end its
slice a little earlier or later.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from vgaemu.pc.cpu import mmu
from vgaemu.pc.cpu.cpu import CPU_ARRAYS, GENERAL, PROTECTED, RFLAGS, RIP, VIRTUAL_8086, Array
from vgaemu.pc.cpu.mmu import SAVED_SEGMENTS, UNUSABLE, LinearReader, Segment
from vgaemu.pc.cpu.unicorn_engine import Registers

SS = SAVED_SEGMENTS.index("ss")
CR0, CR2, CR3, CR4, CR8, EFER, APIC_BASE = range(7)
LONG_MODE = 1 << 10
#: Where a PC's local APIC is, enabled, of the boot processor.
DEFAULT_APIC_BASE = 0xFEE0_0900
#: CR4 bits that the engine starts with, for SSE: its own, not the guest's.
ENGINE_CR4 = 0x50200
#: A TR that is none, in the only form that processors enter a guest with: a busy 32-bit TSS.
NO_TASK = (0, 0, mmu.REAL_LIMIT, 0x8B)


def engine_arrays(registers: Registers, memory: LinearReader) -> dict[str, Array]:
    """`CPU_ARRAYS` of an engine that stands still, but for what `UnicornCpu` itself knows."""
    arrays = {name: np.zeros(shape, kind) for name, (kind, shape) in CPU_ARRAYS.items()}
    general = arrays["cpu.general"]
    general[:8] = [registers[name.upper()] for name in GENERAL]
    general[RIP], general[RFLAGS] = registers["EIP"], registers["EFLAGS"]
    control = arrays["cpu.control"]
    control[:4] = [registers[name] for name in ("CR0", "CR2", "CR3", "CR4")]
    control[CR4] = int(control[CR4]) & ~ENGINE_CR4
    control[APIC_BASE] = DEFAULT_APIC_BASE
    for i, name in enumerate(("GDTR", "IDTR")):
        _, base, limit, _ = registers[name]
        arrays["cpu.tables"][i] = base, limit
    segments = arrays["cpu.segments"]
    for i, name in enumerate(("TR", "LDTR"), 6):
        selector, base, limit, flags = registers[name]
        segments[i] = selector, base, limit, flags >> 8 & mmu.ATTRIBUTES or UNUSABLE
    if not int(segments[6][3]) & 0x80:
        segments[6] = NO_TASK
    for i, name in enumerate(SAVED_SEGMENTS):
        selector = registers[name.upper()]
        segments[i] = _loaded(arrays, memory, i, selector) or mmu.real_segment(i, selector)
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
    """Why an engine cannot take a state, whose RAM is among the arrays; or None."""
    general, control = arrays["cpu.general"], arrays["cpu.control"]
    saved = _mode_refusal(general, control, int(arrays["cpu.pending"]))
    if saved is None:
        if int(control[CR4]) >> 32 or int(arrays["cpu.tables"].max()) >> 32:
            return "damaged; save the state again"
        saved = _segment_refusal(arrays)
    return None if saved is None else f"saved {saved}; only --cpu kvm goes on from that"


def _mode_refusal(general: Array, control: Array, pending: int) -> str | None:
    if int(control[EFER]) & LONG_MODE or (general >> np.uint64(32)).any() or general[8:16].any():
        return "in long mode"
    if int(general[RFLAGS]) & VIRTUAL_8086:
        return "in virtual 8086 mode"
    if pending >= 0 and int(control[CR0]) & PROTECTED:
        return "with an interrupt half taken in protected mode"
    return None


def _segment_refusal(arrays: Mapping[str, Array]) -> str | None:
    control = arrays["cpu.control"]
    level = int(arrays["cpu.segments"][SS][0]) & 3
    if int(control[CR0]) & PROTECTED and level not in (0, 3):
        return f"at privilege level {level}"
    paging = mmu.Control(*control[[CR0, CR3, CR4]].tolist())
    memory = mmu.linear_reader(arrays["ram"].data, paging)
    for i, name in enumerate(SAVED_SEGMENTS):
        selector, base, _, attributes = arrays["cpu.segments"][i].tolist()
        loaded = _loaded(arrays, memory, i, selector)
        # Of CS and SS it matters, too, whether they are of 32 bits. Limits are not looked at.
        sized = mmu.BIG if name in ("cs", "ss") else 0
        if loaded is None or base != loaded[1] or (attributes ^ loaded[3]) & sized:
            return f"with a base in {name.upper()} that its selector does not tell"
    return None


def restore_engine(registers: Registers, arrays: Mapping[str, Array]) -> None:
    """Set all registers from arrays that `engine_refusal` has passed; RAM is in place."""
    general, control = arrays["cpu.general"].tolist(), arrays["cpu.control"].tolist()
    segments = arrays["cpu.segments"].tolist()
    for name, (base, limit) in zip(("GDTR", "IDTR"), arrays["cpu.tables"].tolist(), strict=True):
        registers[name] = 0, base, limit & 0xFFFF, 0
    for name, (selector, base, limit, attributes) in zip(("TR", "LDTR"), segments[6:], strict=True):
        flags = 0 if attributes & UNUSABLE else (attributes & mmu.ATTRIBUTES) << 8
        registers[name] = selector, base, limit, flags
    registers["CR2"], registers["CR3"] = control[CR2] & 0xFFFFFFFF, control[CR3] & 0xFFFFFFFF
    registers["CR4"] = control[CR4] | ENGINE_CR4
    registers["CR0"] = control[CR0] & 0xFFFFFFFF
    if control[CR0] & PROTECTED:
        registers.set_privilege(segments[SS][0] & 3)
    for name, (selector, *_) in zip(SAVED_SEGMENTS, segments[:6], strict=True):
        registers[name.upper()] = selector
    for name, value in zip(GENERAL, general[:8], strict=True):
        registers[name.upper()] = value
    registers["EIP"], registers["EFLAGS"] = general[RIP], general[RFLAGS]
    fcw, status, used, mxcsr = arrays["cpu.fpu_control"].tolist()
    registers["FPCW"], registers["FPSW"] = fcw & 0xFFFF, status & 0xFFFF
    top = status >> 11 & 7
    for i in range(8):
        ten = int.from_bytes(arrays["cpu.fpu"][i, :10].tobytes(), "little")
        registers[f"FP{top + i & 7}"] = ten & (1 << 64) - 1, ten >> 64
        registers[f"XMM{i}"] = int.from_bytes(arrays["cpu.xmm"][i].tobytes(), "little")
    registers["FPTAG"] = sum(3 << 2 * i for i in range(8) if not used >> i & 1)
    registers["MXCSR"] = mxcsr & 0xFFFF


def _loaded(
    arrays: Mapping[str, Array], memory: LinearReader, index: int, selector: int
) -> Segment | None:
    """A segment register as the engine loads it, by its selector alone; None if it cannot."""
    if selector > 0xFFFF:
        return None
    if not int(arrays["cpu.control"][CR0]) & PROTECTED:
        return mmu.real_segment(index, selector)
    if selector & ~3 == 0 and SAVED_SEGMENTS[index] not in ("cs", "ss"):
        return selector, 0, 0, UNUSABLE
    local, tables = arrays["cpu.segments"][7], arrays["cpu.tables"]
    table, limit = (local[1:3] if selector & 4 else tables[0]).tolist()
    segment = mmu.descriptor(memory, table, limit, selector)
    # What the engine would refuse to load into CS: not code.
    return None if segment is None or (not index and not segment[3] & mmu.CODE) else segment
