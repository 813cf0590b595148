"""Instructions counted by blocks, where a device or the time is in the middle of one.

Guests that were made to break the count, and compared after each slice, of many sizes.
"""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

pytest.importorskip("unicorn")

from protected import HANDLERS, STACK, TASK, Protected, dword, to_ring_3
from test_native import needs_native
from x86_helpers import disk, make_pc, run_until_halted

from vgaemu import native
from vgaemu.pc.cpu import unicorn_ports
from vgaemu.pc.cpu.unicorn import UnicornCpu

pytestmark = needs_native
#: ax = ds = ss = 0; CR4 for FXSAVE; mov ax, 12h; int 10h; es = A000h, through the planes.
BEGIN = "31 C0 8E D8 8E D0 BC 00 70 66 0F 20 E0 80 CC 06 66 0F 22 E0 B8 12 00 CD 10 B8 00 A0 8E C0 "
#: Of 40 instructions that need nothing but time: inc si.
WORK = "46 " * 40
#: What makes more accesses to a device in one instruction than any other, or takes part in a stack.
GUESTS = {
    # l: inc bx; mov di, bx; and di, 3FF0h; fxsave [es:di]; jmp l
    "FXSAVE": "43 89 DF 81 E7 F0 3F 26 0F AE 05 " + WORK + "EB CB",
    # l: inc bx; mov di, bx; and di, 3FFFh; fnsave [es:di]; frstor [es:di]; jmp l
    "FSAVE": "43 89 DF 81 E7 FF 3F 26 DD 35 " + WORK + "26 DD 25 EB C9",
    # ss = es; l: mov sp, 8000h; mov bp, 4000h; enter 8, 31; jmp l
    "ENTER": "8E D0 BC 00 80 BD 00 40 C8 08 00 1F " + WORK + "EB CC",
    # ss = es; l: inc bx; push bx; pusha; popa; pushf; popf; pop cx; inc dx; call +2; jmp l; ret
    "stack": "8E D0 BC 00 80 43 53 60 61 9C 9D 59 42 E8 02 00 EB F3 C3",
}


def slices(path: Path, size: int, *, is_native: bool) -> list[tuple[int, ...]]:
    """Time and registers behind each slice of so many instructions."""
    found: list[tuple[int, ...]] = []
    run = UnicornCpu.run

    def slice_of(cpu: UnicornCpu, limit_ns: int) -> None:
        run(cpu, limit_ns)
        registers = (cpu.get(name) for name in ("eip", "eax", "esi", "esp", "eflags"))
        found.append((cpu._clock.now_ns(), *registers))

    host = patch("vgaemu.pc.pc.MOST_HOST_NS", 1 << 60)
    with host, make_pc(path) as pc, patch.object(UnicornCpu, "run", slice_of):
        cpu = pc.cpu
        assert isinstance(cpu, UnicornCpu)
        cpu._slices_in_python = 0 if is_native else -1
        cpu._slice = size
        next(pc.slices())
    return found


# 613 take little longer than the accesses that a block has room for, see `progress.MARGIN_NS`.
@pytest.mark.parametrize(
    ("guest", "size"), [("FXSAVE", 613), ("FSAVE", 613), ("ENTER", 613), ("stack", 97)]
)
def test_each_slice_ends_where_it_does_in_python(tmp_path: Path, guest: str, size: int) -> None:
    assert native.load(wait=True)
    path = disk(tmp_path, bytes.fromhex(BEGIN + GUESTS[guest]))
    one, other = (slices(path, size, is_native=is_native) for is_native in (True, False))
    assert len(one) > 50
    assert one == other


@pytest.mark.parametrize(("is_native", "is_told"), [(True, False), (True, True), (False, False)])
def test_a_port_that_is_refused_costs_no_more_than_another_fault(
    tmp_path: Path, is_native: bool, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_native:
        assert native.load(wait=True)
    if is_told:
        monkeypatch.setattr(unicorn_ports, "_are_told_nothing", lambda bus: False)
    taken = []
    for fault, vector, error_code in (("0F 0B", 6, 0), ("E6 80", 13, 4)):  # ud2; out 80h, al
        # rdtsc; mov ebx, eax; 200 NOPs. In the handler: rdtsc; sub eax, ebx; mov [ss:F000h], eax;
        # mov eax, [esp] or [esp+4]; mov [ss:F004h], eax
        program = b"\x0f\x31\x89\xc3" + 200 * b"\x90" + bytes.fromhex(fault)
        guest = Protected(to_ring_3(), program)
        guest.put(TASK + 0x66, b"\xff\xff")  # no port is allowed
        handler = b"\x0f\x31\x29\xd8\x36\xa3" + dword(STACK)
        handler += (
            b"\x8b\x44\x24" + bytes([error_code]) + b"\x36\xa3" + dword(STACK + 4) + b"\xfa\xf4"
        )
        guest.put(HANDLERS + 64 * vector, handler)
        path = tmp_path / "guest.img"
        path.write_bytes(guest.image())
        with make_pc(path) as pc:
            assert isinstance(pc.cpu, UnicornCpu)
            pc.cpu._slices_in_python = 0 if is_native else -1
            run_until_halted(pc)
            taken.append((pc.bus.read32(STACK), pc.bus.read32(STACK + 4)))
    assert taken[0] == taken[1]
    assert taken[0][0] > 200 * 33


@pytest.mark.parametrize("is_native", [True, False])
def test_a_breakpoint_costs_the_same_wherever_slices_end(tmp_path: Path, is_native: bool) -> None:
    if is_native:
        assert native.load(wait=True)
    # ds = ss = 0; vector 1: 7C2Bh; DR0: 7C28h, DR7: 3; 4 times inc bx; 7C28h: inc cx; cli; hlt;
    # 7C2Bh: rdtsc; mov [600h], eax; cli; hlt
    code = "31 C0 8E D8 8E D0 BC 00 70 C7 06 04 00 2B 7C A3 06 00 66 B8 28 7C 00 00 0F 23 C0 "
    code += "66 B8 03 00 00 00 0F 23 F8 43 43 43 43 41 FA F4 0F 31 66 A3 00 06 FA F4"
    times = set()
    for size in (1, 3, 50_000):
        with make_pc(disk(tmp_path, bytes.fromhex(code))) as pc:
            assert isinstance(pc.cpu, UnicornCpu)
            pc.cpu._slices_in_python = 0 if is_native else -1
            pc.cpu._slice = size
            run_until_halted(pc)
            times.add(pc.bus.read32(0x600))
    assert len(times) == 1
    assert times != {0}
