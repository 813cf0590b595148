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
from typing import TYPE_CHECKING, Any

import numpy as np

from vgaemu.pc.cpu.cpu import CPU_ARRAYS, PROTECTED, RFLAGS, RIP, VIRTUAL_8086, Array
from vgaemu.pc.cpu.mmu import (
    BIG,
    CODE,
    PAGING,
    REAL_LIMIT,
    SAVED_SEGMENTS,
    UNUSABLE,
    Control,
    LinearReader,
    Segment,
    descriptor,
    linear_reader,
    real_segment,
)
from vgaemu.pc.cpu.unicorn_engine import register_reader

if TYPE_CHECKING:
    from unicorn import Uc

GENERAL_ORDER = ("EAX", "EBX", "ECX", "EDX", "ESI", "EDI", "ESP", "EBP")
SS = SAVED_SEGMENTS.index("ss")
CR0, CR2, CR3, CR4, CR8, EFER, APIC_BASE = range(7)
LONG_MODE = 1 << 10
#: Where a PC's local APIC is, enabled, of the boot processor.
DEFAULT_APIC_BASE = 0xFEE0_0900
#: CR4 bits that the engine starts with, for SSE: its own, not the guest's.
ENGINE_CR4 = 0x50200
#: A TR that is none, in the only form that processors enter a guest with: a busy 32-bit TSS.
NO_TASK = (0, 0, REAL_LIMIT, 0x8B)


def engine_arrays(uc: Uc, memory: LinearReader) -> dict[str, Array]:
    """`CPU_ARRAYS` of an engine, but for what `UnicornCpu` itself knows.

    Args:
        uc: The engine, standing still.
        memory: For descriptors.
    """
    read = register_reader(uc)
    arrays = {name: np.zeros(shape, kind) for name, (kind, shape) in CPU_ARRAYS.items()}
    general = arrays["cpu.general"]
    general[:8] = [read(name) for name in GENERAL_ORDER]
    general[RIP], general[RFLAGS] = read("EIP"), read("EFLAGS")
    control = arrays["cpu.control"]
    control[:4] = [read("CR0"), read("CR2"), read("CR3"), read("CR4") & ~ENGINE_CR4]
    control[APIC_BASE] = DEFAULT_APIC_BASE
    for i, name in enumerate(("GDTR", "IDTR")):
        _, base, limit, _ = read(name)
        arrays["cpu.tables"][i] = base, limit
    segments = arrays["cpu.segments"]
    for i, name in enumerate(("TR", "LDTR"), 6):
        selector, base, limit, flags = read(name)
        segments[i] = selector, base, limit, flags >> 8 & 0xF0FF or UNUSABLE
    if not int(segments[6][3]) & 0x80:
        segments[6] = NO_TASK
    for i, name in enumerate(SAVED_SEGMENTS):
        selector = read(name.upper())
        segments[i] = _loaded(arrays, memory, i, selector) or real_segment(i, selector)
    control_words = arrays["cpu.fpu_control"]
    status, tags = read("FPSW"), read("FPTAG")
    used = [i for i in range(8) if tags >> 2 * i & 3 != 3]
    control_words[:] = read("FPCW"), status, sum(1 << i for i in used), read("MXCSR")
    top = status >> 11 & 7
    for i in range(8):
        mantissa, exponent = read(f"FP{top + i & 7}")
        ten = mantissa.to_bytes(8, "little") + exponent.to_bytes(2, "little")
        arrays["cpu.fpu"][i, :10] = np.frombuffer(ten, np.uint8)
        xmm = read(f"XMM{i}").to_bytes(16, "little")
        arrays["cpu.xmm"][i] = np.frombuffer(xmm, np.uint8)
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
    memory = linear_reader(arrays["ram"].data, Control(*(int(control[i]) for i in (CR0, CR3, CR4))))
    for i, name in enumerate(SAVED_SEGMENTS):
        selector, base, _, attributes = (int(value) for value in arrays["cpu.segments"][i])
        loaded = _loaded(arrays, memory, i, selector)
        # Of CS and SS it matters, too, whether they are of 32 bits. Limits are not looked at.
        sized = BIG if name in ("cs", "ss") else 0
        if loaded is None or base != loaded[1] or (attributes ^ loaded[3]) & sized:
            return f"with a base in {name.upper()} that its selector does not tell"
    return None


def restore_engine(uc: Uc, arrays: Mapping[str, Array]) -> None:
    """Set all registers from arrays that `engine_refusal` has passed; RAM is in place."""
    write = _writer(uc)
    general, control = arrays["cpu.general"], arrays["cpu.control"]
    for i, name in enumerate(("GDTR", "IDTR")):
        base, limit = (int(value) for value in arrays["cpu.tables"][i])
        write(name, (0, base, limit & 0xFFFF, 0))
    for i, name in enumerate(("TR", "LDTR"), 6):
        selector, base, limit, attributes = (int(value) for value in arrays["cpu.segments"][i])
        usable = not attributes & UNUSABLE
        write(name, (selector, base, limit, (attributes & 0xF0FF) << 8 if usable else 0))
    for i, name in ((CR2, "CR2"), (CR3, "CR3")):
        write(name, int(control[i]) & 0xFFFFFFFF)
    write("CR4", int(control[CR4]) | ENGINE_CR4)
    write("CR0", int(control[CR0]) & 0xFFFFFFFF)
    if int(control[CR0]) & PROTECTED:
        set_privilege(uc, int(arrays["cpu.segments"][SS][0]) & 3)
    for i, name in enumerate(SAVED_SEGMENTS):
        write(name.upper(), int(arrays["cpu.segments"][i][0]))
    for name, value in zip(GENERAL_ORDER, general[:8].tolist(), strict=True):
        write(name, value)
    write("EIP", int(general[RIP]))
    write("EFLAGS", int(general[RFLAGS]))
    fcw, status, used, mxcsr = arrays["cpu.fpu_control"].tolist()
    write("FPCW", fcw & 0xFFFF)
    write("FPSW", status & 0xFFFF)
    top = status >> 11 & 7
    for i in range(8):
        ten = arrays["cpu.fpu"][i, :10].tobytes()
        value = int.from_bytes(ten[:8], "little"), int.from_bytes(ten[8:], "little")
        write(f"FP{top + i & 7}", value)
        write(f"XMM{i}", int.from_bytes(arrays["cpu.xmm"][i].tobytes(), "little"))
    write("FPTAG", sum(3 << 2 * i for i in range(8) if not used >> i & 1))
    write("MXCSR", mxcsr & 0xFFFF)


def set_privilege(uc: Uc, level: int) -> None:
    """Let the engine be at privilege level 0 or 3; load SS and CS next.

    Its level is that of SS, and a SS of another level cannot be loaded, but in real mode (level 0)
    and in virtual 8086 mode (level 3), from where it is one step to protected mode.
    """
    read, write = register_reader(uc), _writer(uc)
    cr0, flags = read("CR0"), read("EFLAGS")
    write("CR0", cr0 & ~(PROTECTED | PAGING))
    write("EFLAGS", flags & ~VIRTUAL_8086 | VIRTUAL_8086 * (level == 3))
    write("SS", 0)
    write("EFLAGS", flags)
    write("CR0", cr0)


def _loaded(
    arrays: Mapping[str, Array], memory: LinearReader, index: int, selector: int
) -> Segment | None:
    """A segment register as the engine loads it, by its selector alone; None if it cannot."""
    if selector > 0xFFFF:
        return None
    if not int(arrays["cpu.control"][CR0]) & PROTECTED:
        return real_segment(index, selector)
    if selector & ~3 == 0 and SAVED_SEGMENTS[index] not in ("cs", "ss"):
        return selector, 0, 0, UNUSABLE
    if selector & 4:
        _, table, limit, _ = (int(value) for value in arrays["cpu.segments"][7])
    else:
        table, limit = (int(value) for value in arrays["cpu.tables"][0])
    segment = descriptor(memory, table, limit, selector)
    # What the engine would refuse to load into CS: not code.
    return None if segment is None or (not index and not segment[3] & CODE) else segment


def _writer(uc: Uc) -> Any:
    from unicorn import x86_const

    return lambda name, value: uc.reg_write(getattr(x86_const, f"UC_X86_REG_{name}"), value)
