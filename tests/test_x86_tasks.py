"""Tasks of protected mode: switched by instructions and by gates, whatever the TLB holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from x86_helpers import disk, make_pc, run_until_halted

from vgaemu.errors import GuestFault
from vgaemu.pc.cpu.unicorn import UnicornCpu
from vgaemu.pc.cpu.unicorn_tasks import TASK_SWITCHED

pytest.importorskip("unicorn")

#: What the guest below prints to port E9h: as QEMU 7.2 but for the e, which it has as d.
PRINTED = b"ABeEFGHIJ"
# Task A prints A, sets CF and calls B; that prints B, if it finds the page that only its own tables
# have, and returns by IRET. A adds CF to "d"; jumps to B, which prints E and jumps back; F; INT 30h
# through a task gate: C prints G and returns; H; loads FS with 0FF0h, which is no segment: general
# protection through the same gate. C finds the error code on its stack, prints I, moves A's EIP in
# its state segment behind the two bytes, and returns; J; hlt. B and C have an LDT that is described
# at 1008h in the GDT, in a page of which nothing else is read.
#
# cli; ds = 0; lgdt; lidt; CR0.PE; jmp 8:; ds = es = ss = 16; esp = 7000h; the LDT's descriptor;
# task gates of vectors 0Dh and 30h at 8000h; tables of A and C at 100000h, of B at 200000h; CR4.PSE
# and CR3; CR0.PG; C's state segment at 6200h as B's, but for EIP, ESP, CR3; ltr; the tasks; GDT;
# pointers; B's state segment.
TASKS = bytes.fromhex(
    "FA 31 C0 8E D8 0F 01 16 52 7D 0F 01 1E 58 7D 0F 20 C0 0C 01 0F 22 C0 EA 1C 7C 08 00 66 B8 10"
    "00 8E D8 8E C0 8E D0 BC 00 70 00 00 C7 05 2A 8D 00 00 0F 00 00 68 C7 05 2E 8D 00 00 00 82 00"
    "00 BB 00 00 28 00 B9 00 85 00 00 89 1D 68 80 00 00 89 0D 6C 80 00 00 89 1D 80 81 00 00 89 0D"
    "84 81 00 00 B8 83 00 00 00 BB 00 00 10 00 89 03 A3 00 00 20 00 A3 04 00 20 00 0F 20 E1 80 C9"
    "10 0F 22 E1 0F 22 DB 0F 20 C0 0D 00 00 00 80 0F 22 C0 89 1D 1C 60 00 00 BF 00 62 00 00 BE 5E"
    "7D 00 00 B9 1A 00 00 00 F3 A5 C7 05 20 62 00 00 09 7D 00 00 C6 05 39 62 00 00 6A 89 1D 1C 62"
    "00 00 B0 18 0F 00 D8 B0 41 E6 E9 F9 9A 00 00 00 00 20 00 B0 63 14 01 E6 E9 EA 00 00 00 00 20"
    "00 B0 46 E6 E9 CD 30 B0 48 E6 E9 66 B8 F0 0F 8E E0 B0 4A E6 E9 F4 B0 42 E6 E9 80 3D 00 7C 40"
    "00 FA 75 0C CF B0 45 E6 E9 EA 00 00 00 00 18 00 F4 B0 47 E6 E9 CF 58 3D F0 0F 00 00 75 F2 B0"
    "49 E6 E9 83 05 20 60 00 00 02 CF 00 00 00 00 00 00 00 00 FF FF 00 00 00 9B CF 00 FF FF 00 00"
    "00 93 CF 00 67 00 00 60 00 89 00 00 67 00 5E 7D 00 89 00 00 67 00 00 62 00 89 00 00 FF 1F 22"
    "7D 00 00 87 01 00 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    "00 00 00 00 00 00 00 00 20 00 EF 7C 00 00 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    "00 00 00 00 69 00 00 00 00 00 00 00 00 00 00 00 00 00 00 10 00 00 00 08 00 00 00 10 00 00 00"
    "10 00 00 00 10 00 00 00 10 00 00 00 08 10 00 00 00 00 68"
)


#: Where the GDT tells the tasks A, B and C, whose descriptors say "busy" then.
DESCRIPTORS_AT, BUSY, FREE = 0x7D3A, 0x8B, 0x89


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
@pytest.mark.parametrize("between", ["nothing", "a harvest", "a state"])
def test_tasks_are_switched(tmp_path: Path, size: int, between: str) -> None:
    with make_pc(disk(tmp_path, TASKS)) as pc:
        assert isinstance(pc.cpu, UnicornCpu)
        pc.cpu._slice = size
        for _ in range(4000):
            pc.step(1 << 60)
            if pc.cpu.halted:
                break
            if between == "a harvest":
                pc.cpu.tlb.map_changed()
            elif between == "a state" and pc.cpu.get("cr0") & TASK_SWITCHED:
                pc.restore_state({name: array.copy() for name, array in pc.state_arrays().items()})
        assert pc.debug.text == PRINTED
        # Nested tasks returned to where they came from, with its registers.
        assert (pc.cpu.halted, pc.cpu.get("esp"), pc.cpu.get("ebx")) == (True, 0x7000, 0x100000)
        busy = [pc.bus.read8(DESCRIPTORS_AT + 8 * task + 5) for task in range(3)]
        assert busy == [BUSY, FREE, FREE]


#: Where in the sector C's selector is in the gate of vector 30h, and C's type in the GDT.
GATE_AT, TYPE_AT = TASKS.find(b"\xbb\x00\x00\x28\x00") + 3, 0x13A + 16 + 5


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (GATE_AT, 0x18, "0018h is none, or a busy one"),  # the task at hand
        (GATE_AT, 0x10, "0010h is none, or a busy one"),  # a segment of data
        (GATE_AT, 0x2C, "002Ch is none, or a busy one"),  # of the LDT
        (TYPE_AT, 0x09, "0028h is not present"),
        (TYPE_AT - 5, 0x60, "state segment is too short"),
    ],
)
def test_gates_to_no_task_are_the_guest_s_fault(
    tmp_path: Path, at: int, value: int, why: str
) -> None:
    # General protection goes through the same gate, so that it ends as a triple fault.
    sector = bytearray(TASKS)
    sector[at] = value
    with make_pc(disk(tmp_path, bytes(sector))) as pc:
        with pytest.raises(GuestFault, match=f"{why}.*triple fault"):
            run_until_halted(pc)
        assert pc.debug.text == PRINTED[:5]
