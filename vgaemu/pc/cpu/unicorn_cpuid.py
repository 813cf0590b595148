"""What CPUID tells under a Unicorn engine: what is emulated, and no more.

A processor of Intel's family 6 with SSE to SSE3, CMPXCHG16B, long mode, execute-disable, pages of
1 GiB. The engine's models offer more, or less.

Source: Intel SDM volume 2A, CPUID; what the engine executes, measured with Unicorn 2.1.4.
"""

from __future__ import annotations

from vgaemu.pc.cpu.mmu import LINEAR_BITS, PHYSICAL_BITS
from vgaemu.pc.cpu.unicorn_engine import unicorn

#: The engine's model that executes it all.
MODEL = unicorn.x86_const.UC_CPU_X86_KVM64
_NAME = b"vgaemu virtual CPU".ljust(48, b"\0")


def _name_part(number: int) -> tuple[int, ...]:
    part = _NAME[16 * number : 16 * number + 16]
    return tuple(int.from_bytes(part[i : i + 4], "little") for i in range(0, 16, 4))


#: Leaf -> EAX, EBX, ECX, EDX; the engine answers for 2 and 4, its caches.
LEAVES: dict[int, tuple[int, ...]] = {
    0: (4, 0x756E6547, 0x6C65746E, 0x49656E69),
    # EDX without the local APIC (bit 9).
    1: (0x663, 0, 0x2001, 0x0781_A9FD),
    0x8000_0000: (0x8000_0008, 0x756E6547, 0x6C65746E, 0x49656E69),
    # ECX: LAHF of 64 bits; EDX: SYSCALL, execute-disable, pages of 1 GiB, long mode.
    0x8000_0001: (0x663, 0, 1, 1 << 11 | 1 << 20 | 1 << 26 | 1 << 29),
    **{0x8000_0002 + i: _name_part(i) for i in range(3)},
    0x8000_0008: (LINEAR_BITS << 8 | PHYSICAL_BITS, 0, 0, 0),
}
