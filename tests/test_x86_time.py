"""A guest's time under Unicorn: exact to the instruction, the same wherever slices end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.x86_helpers import disk, make_pc
from vgaemu.machine import Machine
from vgaemu.pc.clock import INSTRUCTION_NS, INTERRUPT_NS, POLL_NS, PORT_NS, StepClock
from vgaemu.pc.cpu import spin
from vgaemu.pc.cpu.unicorn import SLICE, UnicornCpu
from vgaemu.pc.cpu.unicorn_engine import InstructionCount
from vgaemu.pc.guest_beam import GuestBeam
from vgaemu.pc.pc import LONGEST_PAUSE_NS, Pc
from vgaemu.vga.beam import STATUS_BITS, STATUSES, Timing, timing_of
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode

#: When, which port, what went over it.
Access: TypeAlias = tuple[int, int, int]

#: Everything that takes time, under a timer of 1 kHz; OUTs to 80h tell what is done:
#:         cli; ...                 ; IVT[8] = tick, mode 0Dh, the timer: 1193 counts
#: main:   mov dx, 3DAh             ; a loop that does nothing else
#: .wait:  in al, dx; test al, 1; jz .wait; out 80h, al
#:         mov cx, 50               ; one that counts
#: .count: in al, dx; test al, 8; loopz .count; mov al, cl; out 80h, al
#:         mov cx, 700; xor di, di; rep stosb             ; stores to planes
#:         mov cx, 3000; loop $; out 80h, al
#:         cli; mov cx, 50000; loop $; out 80h, al; sti; nop     ; longer than a tick
#:         mov ax, 0E41h; mov bx, 7; int 10h; in al, 40h; out 80h, al
#:         mov cx, 300              ; open for an instruction or two
#: .ajar:  in al, dx; sti; jmp $+2; cli; loop .ajar; sti; out 80h, al; hlt; jmp main
#: tick:   push ax; out 81h, al; mov al, 20h; out 20h, al; pop ax; iret
WORK = bytes.fromhex(
    "fa31c08ed88ed0bc007cc7062000757ca32200b80d00cd10b800a08ec0fcb034e643b0a9e640b004"
    "e640fbbada03eca80174fbe680b93200eca808e1fb88c8e680b9bc0231fff3aab9b80be2fee680fa"
    "b950c3e2fee680fb90b8410ebb0700cd10e440e680b92c01ecfbeb00fae2f9fbe680f4ebb650e681"
    "b020e62058cf"
)
#: cli; IVT[8] = tick; the timer: 1193 counts; mov dx, 3DAh; sti; then a loop; tick at 7C80h.
TIMED = bytes.fromhex("fa31c08ed88ed0bc007cc7062000807ca32200b034e643b0a9e640b004e640bada03fb")
TICK = bytes.fromhex("50e681b020e62058cf")


@contextmanager
def noted(path: Path, slice_instructions: int = SLICE) -> Iterator[tuple[Pc, list[Access]]]:
    """A PC, and its port accesses as they come; on a host that is never too slow for a frame."""
    with pytest.MonkeyPatch.context() as patch, make_pc(path) as pc:
        patch.setattr("vgaemu.pc.pc.MOST_HOST_NS", 1 << 62)
        note(pc, trace := [])
        assert isinstance(pc.cpu, UnicornCpu)
        pc.cpu._slice = slice_instructions
        yield pc, trace


def note(pc: Pc, trace: list[Access]) -> None:
    bus, clock = pc.bus, pc.clock
    port_in, port_out = bus.port_in, bus.port_out

    def noted_in(port: int, size: int) -> int:
        value = port_in(port, size)
        trace.append((clock.now_ns(), port, value))
        return value

    def noted_out(port: int, size: int, value: int) -> None:
        trace.append((clock.now_ns(), port, value))
        port_out(port, size, value)

    bus.port_in, bus.port_out = noted_in, noted_out  # type: ignore[method-assign]


def run(pc: Pc, frames: int) -> None:
    for _, _ in zip(range(frames), pc.slices(), strict=False):
        pass


# --- instructions ---------------------------------------------------------------------------------


def test_each_out_is_at_its_instruction(tmp_path: Path) -> None:
    gaps = 1, 7, 300, 20_000 // 2  # the last one is longer than a slice of 5000
    # out 80h, al; mov cx, n; loop $; ...
    code = b"".join(b"\xe6\x80\xb9" + n.to_bytes(2, "little") + b"\xe2\xfe" for n in gaps)
    with noted(disk(tmp_path, b"\xfa" + code + b"\xe6\x80\xf4"), 5000) as (pc, trace):
        begin = pc.clock.now_ns()
        run(pc, 1)
    times = [at for at, port, _ in trace if port == 0x80]
    assert times[0] - begin == 2 * INSTRUCTION_NS + PORT_NS
    assert [b - a for a, b in pairwise(times)] == [(n + 2) * INSTRUCTION_NS + PORT_NS for n in gaps]


def test_a_beam_is_exact_while_the_guest_runs_and_no_longer(tmp_path: Path) -> None:
    seen = []
    with noted(disk(tmp_path, b"\xfa\xe6\x80\xf4")) as (pc, _):
        pc.bus.byte_out[0x80] = lambda value: seen.append(
            (pc.vga.beam.is_exact, pc.vga.beam.at_ns())
        )
        begin = pc.clock.now_ns()
        run(pc, 1)
        assert seen == [(True, begin + 2 * INSTRUCTION_NS + PORT_NS)]
        assert not pc.vga.beam.is_exact


def test_without_a_count_of_instructions_a_guest_runs_and_no_beam_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(InstructionCount, "find", lambda uc: None)
    with noted(disk(tmp_path, WORK)) as (pc, trace):
        exact: list[bool] = []
        pc.bus.byte_out[0x80] = lambda value: exact.append(pc.vga.beam.is_exact)
        run(pc, 3)
    assert len(exact) > 10
    assert not any(exact)
    assert sum(port == 0x81 for _, port, _ in trace) > 10


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Access]:
    path = disk(tmp_path_factory.mktemp("whole"), WORK)
    with noted(path) as (pc, trace):
        run(pc, 3)
    assert {port for _, port, _ in trace} >= {0x3DA, 0x40, 0x80, 0x81, 0x20}
    return trace


@pytest.mark.parametrize("slice_instructions", [333, 2_777, 100_000])
def test_where_slices_end_changes_nothing(
    tmp_path: Path, slice_instructions: int, whole: list[Access]
) -> None:
    with noted(disk(tmp_path, WORK), slice_instructions) as (pc, trace):
        run(pc, 3)
    assert trace == whole


@pytest.mark.parametrize("slices", [30, 171, 312])
def test_a_guest_goes_on_from_a_state_as_if_nothing_had_been(
    tmp_path: Path, slices: int, whole: list[Access]
) -> None:
    path = disk(tmp_path, WORK)
    with noted(path) as (pc, trace):
        for _ in range(slices):
            pc.step(1 << 60)
        state = {name: array.copy() for name, array in pc.state_arrays().items()}
        vga = {name: part.array() for name, part in pc.vga.parts().items()}
    with noted(path) as (pc, rest):
        for name, part in pc.vga.parts().items():
            part.restore(vga[name])
        pc.vga.restored()
        pc.restore_state(state)
        while len(trace) + len(rest) < len(whole):
            pc.step(1 << 60)
    assert [*trace, *rest][: len(whole)] == whole


def test_a_row_of_looks_goes_on_from_a_state(tmp_path: Path) -> None:
    # l: in al, dx; inc bx; jmp l: each look from the third on costs more
    path = disk(tmp_path, bytes.fromhex("fabada03ec43ebfc"))
    with noted(path) as (pc, trace):
        pc.step(1 << 60)
        state = {name: array.copy() for name, array in pc.state_arrays().items()}
        at = len(trace)
        pc.step(1 << 60)
    with noted(path) as (pc, rest):
        pc.restore_state(state)
        pc.step(1 << 60)
    assert rest == trace[at:]


def test_a_window_shows_what_headless_shows(tmp_path: Path, whole: list[Access]) -> None:
    trace: list[Access] = []
    with Machine(disk(tmp_path, WORK), free=True, guest_speed=0.5) as machine:
        assert machine.pc is not None
        note(machine.pc, trace)
        until = time.monotonic() + 20
        while len(trace) < len(whole) and time.monotonic() < until:
            machine.tick()
            time.sleep(0.005)
    assert trace[: len(whole)] == whole


# --- interrupts -----------------------------------------------------------------------------------


#: Loops that let interrupts in; the longest time that one of their instructions takes.
LOOPS = {
    "jmp $": ("ebfe", INSTRUCTION_NS),
    "l: in al, dx; test al, 8; jz l; l2: in al, dx; test al, 8; jnz l2; jmp l": (
        "eca80874fbeca80875fbebf4", PORT_NS + INSTRUCTION_NS,
    ),
    "l: in al, dx; inc bx; jmp l": ("ec43ebfc", PORT_NS + POLL_NS + INSTRUCTION_NS),
    "hlt; jmp": ("f4ebfd", INSTRUCTION_NS),
}  # fmt: skip


def raised(pc: Pc) -> list[int]:
    """When the timer wanted to interrupt, as it comes."""
    times: list[int] = []
    raise_irq = pc.pit._raise_irq

    def noted(irq: int) -> None:
        times.append(pc.pit.next_irq_ns)
        raise_irq(irq)

    pc.pit._raise_irq = noted
    return times


def timed(loop: bytes) -> bytes:
    return (TIMED + loop).ljust(0x80, b"\x90") + TICK


@pytest.mark.parametrize("loop", LOOPS)
def test_a_timer_interrupts_within_an_instruction(tmp_path: Path, loop: str) -> None:
    code, longest = LOOPS[loop]
    with noted(disk(tmp_path, timed(bytes.fromhex(code)))) as (pc, trace):
        due = raised(pc)
        run(pc, 2)
    # push ax; out 81h, al
    to_out_ns = INTERRUPT_NS + PORT_NS + 2 * INSTRUCTION_NS
    ticks = [at - to_out_ns for at, port, _ in trace if port == 0x81]
    assert len(ticks) > 25
    late = [at - wanted for at, wanted in zip(ticks, due, strict=False)]
    assert 0 <= min(late) <= max(late) <= longest


@pytest.mark.parametrize(
    ("loop", "longest"),
    [
        # l: cli; mov cx, n; loop $; out 80h, al; sti; nop; jmp l
        ("fab90500e2fee680fb90ebf4", 8 * INSTRUCTION_NS + 2 * PORT_NS),
        # The same with 1.3 ms off, and as long on.
        ("fab9409ce2fee680fbb9409ce2feebf0", LONGEST_PAUSE_NS + 10 * INSTRUCTION_NS),
        # l: cli; in al, dx; out 80h, al; inc bx; sti; jmp $+2; jmp l
        ("faece68043fbeb00ebf6", 2 * PORT_NS + POLL_NS + 10 * INSTRUCTION_NS),
    ],
)
def test_a_cpu_that_lets_interrupts_in_for_a_moment_is_interrupted_soon(
    tmp_path: Path, loop: str, longest: int
) -> None:
    with noted(disk(tmp_path, timed(bytes.fromhex(loop)))) as (pc, trace):
        due = raised(pc)
        run(pc, 2)
    outs = [(at, port) for at, port, _ in trace if port in (0x80, 0x81)]
    assert sum(port == 0x81 for _, port in outs) > 10
    for (_, before), (at, port) in pairwise(outs):
        if port == 0x81 and before == 0x80:
            asked = max(wanted for wanted in due if wanted <= at)
            opened = max(when for when, which in outs if which == 0x80 and when < at)
            late = at - INTERRUPT_NS - PORT_NS - 2 * INSTRUCTION_NS - max(asked, opened)
            assert late <= longest


# --- looks ----------------------------------------------------------------------------------------


def timing(mode: int = 3) -> Timing:
    vga = Vga()
    set_mode(vga, mode)
    return timing_of(*vga.timing_key())


@pytest.mark.parametrize("mode", [0x03, 0x12, 0x13])
def test_the_next_change_is_the_first_one(mode: int) -> None:
    frame = timing(mode)
    for at in range(0, int(2 * frame.frame_ns), 99_991):
        change = frame.next_change_ns(at)
        assert change > at
        here = frame.status(at)
        assert all(frame.status(at + (change - at) * part) == here for part in (0.3, 0.6, 0.999))
        assert frame.status(change + 1) != here


@pytest.mark.parametrize("stay", [{0, 1}, {8, 9}, {0}, {1, 9}, {9}, {0, 8, 9}, set(STATUSES)])
def test_a_loop_ends_with_the_first_answer_that_ends_it(stay: set[int]) -> None:
    frame = timing()
    for at in range(0, int(frame.frame_ns), 1_999_993):
        if frame.status(at) not in stay:
            continue
        leaves, _ = frame.leaves(at, stay)
        looked = range(at + 1, int(min(leaves, at + frame.frame_ns)), 1_000)
        assert all(frame.status(then) in stay for then in looked)
        if stay != set(STATUSES):
            assert leaves < at + frame.frame_ns
            assert frame.status(leaves) not in stay


def looks(trace: list[Access]) -> list[tuple[int, int]]:
    return [(at, value) for at, port, value in trace if port == 0x3DA]


@pytest.mark.parametrize(
    ("loop", "most"),
    [
        ("eca80874fbe680eca80875fbe680ebf0", 6),  # l: wait until bit 3; out; until not bit 3; out
        ("eca80174fbe680eca80175fbe680ebf0", 4 * 411),  # the same for bit 0
        ("ec43240974fae680ebf6", 7000),  # l: in al, dx; inc bx; and al, 9; jz l; out; jmp l
    ],
)
def test_no_look_passes_an_edge_and_few_are_needed(tmp_path: Path, loop: str, most: int) -> None:
    code = b"\xfa\xba\xda\x03" + bytes.fromhex(loop)
    with noted(disk(tmp_path, code)) as (pc, trace):
        run(pc, 3)
    frame = pc.vga.timing
    found = looks(trace)
    fields = (found[-1][0] - found[0][0]) / frame.frame_ns
    assert len(found) / fields <= most
    ends = [at for at, port, _ in trace if port == 0x80]
    assert len(ends) > 4
    for at, value in found:
        assert frame.status(at) == value & STATUS_BITS
    counted = "43" in loop
    for (before, _), (at, _) in pairwise(found):
        if counted and at - before > 3 * PORT_NS:
            assert at <= frame.next_change_ns(before + PORT_NS + 5 * INSTRUCTION_NS) + 1
    if not counted:
        # What follows a wait is as near to its edge as the instructions are.
        for at in ends[1:]:
            edge = at - PORT_NS - 3 * INSTRUCTION_NS
            assert any(
                frame.status(edge - late) != frame.status(edge - late - 2)
                for late in range(-2, PORT_NS + 4 * INSTRUCTION_NS)
            )


@pytest.mark.parametrize("before_ns", [1, 500, 1_000, 1_200])
def test_a_wait_that_a_frame_cuts_ends_when_it_would_have(tmp_path: Path, before_ns: int) -> None:
    # l: in al, dx; test al, 8; jz l; out 80h, al; jmp $
    path = disk(tmp_path, b"\xfa\xba\xda\x03" + bytes.fromhex("eca80874fbe680ebfe"))
    outs = []
    for cut in (False, True):
        with noted(path) as (pc, trace):
            if cut:
                edge = outs[0] - PORT_NS - 3 * INSTRUCTION_NS
                while pc.clock.now_ns() < edge - before_ns:
                    pc.step(edge - before_ns)
            while not any(port == 0x80 for _, port, _ in trace):
                pc.step(1 << 60)
        outs += [at for at, port, _ in trace if port == 0x80]
    assert outs[0] == outs[1]


def test_who_counts_looks_finds_the_blanking_before_the_retrace(tmp_path: Path) -> None:
    """As Commander Keen does: so many in a row that say neither displaying nor retrace."""
    # l: xor bx, bx; m: in al, dx; inc bx; test al, 8; jnz l; test al, 1; jz l; mov ax, bx;
    # out 80h, al; jmp m
    code = b"\xfa\xba\xda\x03" + bytes.fromhex("31dbec43a80875f8a80174f489d8e680ebf0")
    with noted(disk(tmp_path, code)) as (pc, trace):
        run(pc, 3)
    frame = pc.vga.timing
    counts: dict[bool, int] = {True: 0, False: 0}
    for at, port, value in trace:
        if port == 0x80:
            line = (at - PORT_NS - 8 * INSTRUCTION_NS) % frame.frame_ns // frame.line_ns
            if line >= frame.retrace_start_line:
                continue
            between = line >= frame.displayed_lines
            counts[between] = max(counts[between], value)
    assert counts[False] <= 6 < 40 < counts[True]


def test_a_pending_retrace_is_seen_when_it_begins(tmp_path: Path) -> None:
    # mov dx, 3D4h; mov ax, 9E11h; out dx, ax; mov dx, 3C2h; l: in al, dx; test al, 80h; jz l; hlt
    code = bytes.fromhex("fabad403b8119eefbac203eca88074fbf4")
    with noted(disk(tmp_path, code)) as (pc, trace):
        run(pc, 2)
    frame = pc.vga.timing
    found = [(at, value) for at, port, value in trace if port == 0x3C2]
    at, value = found[-1]
    assert value & 0x80
    begin = frame.next_retrace_ns(found[0][0])
    assert begin <= at <= begin + 2 * PORT_NS


# --- loops that do nothing else -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "stay"),
    [
        ("EC A8 08 74 FB", {0, 1}),
        ("EC A8 08 75 FB", {8, 9}),
        ("EC A8 01 74 FB", {0, 8}),
        ("EC 24 08 74 FB", {0, 1}),
        ("EC 24 09 3C 01 75 F9", {0, 8, 9}),
        ("EC 24 01 84 C0 75 F9", {1, 9}),
        ("EC 24 09 78 FB", set()),
        ("EC D0 E8 72 FB", {1, 9}),
        ("EC A8 08 75 02 EB F9", {0, 1}),
        ("EC A8 01 75 FB A8 08 74 F7", {0, 1, 9}),
        ("BA DA 03 EC A8 08 74 F8", {0, 1}),
        ("EC 90 A8 08 74 FA", {0, 1}),
        # What may not be passed over.
        ("EC A8 30 74 FB", set()),  # bits that are not known
        ("EC 3C 01 75 FB", set()),
        ("EC 84 C0 74 FB", set()),
        ("BA DB 03 EC A8 08 74 F8", set()),
        ("EC A8 08 E1 FB", set()),  # loopz
        ("EC 43 A8 08 74 FA", set()),  # inc bx
        ("EC FB A8 08 74 FA", set()),  # sti
        ("EC 88 C4 A8 08 74 F9", set()),  # mov ah, al
        ("EC AA A8 08 74 FA", set()),  # stosb
        ("EC E6 80 A8 08 74 F9", set()),  # out 80h, al
        ("EC 74 FD", set()),  # flags from before
        ("E4 DA A8 08 74 FA", set()),
        ("ED A8 08 74 FB", set()),
        ("EC A8 08 74 7F", set()),
    ],
)
def test_loops_that_do_nothing_but_ask(code: str, stay: set[int]) -> None:
    loop = bytes.fromhex(code)
    at = max(loop.find(0xEC), 0)
    around = bytes(spin.BEFORE) + loop + bytes(spin.BEFORE + spin.AFTER)
    assert spin.stays(
        around[at : at + spin.BEFORE + 1 + spin.AFTER], 0x3DA, STATUSES, STATUS_BITS, wide=False
    ) == stay - (set() if "BA" not in code or stay else stay)


def test_in_32_bit_code_a_constant_for_dx_is_longer() -> None:
    code = bytes(spin.BEFORE - 3) + bytes.fromhex("BA DA 03 EC A8 08 74 F8")
    code = code.ljust(spin.BEFORE + 1 + spin.AFTER, b"\0")
    assert spin.stays(code, 0x3DA, STATUSES, STATUS_BITS, wide=False) == {0, 1}
    assert spin.stays(code, 0x3DA, STATUSES, STATUS_BITS, wide=True) == frozenset()


def test_looks_of_a_beam_by_itself() -> None:
    """The third equal answer in a row waits, and none past a change."""
    clock = StepClock()
    frame = timing()
    beam = GuestBeam(clock)
    for first in (0, int(frame.displayed_ns), int(frame.line_ns * 0.8)):
        clock.ns = first
        clock.cost(0)
        times = []
        for _ in range(12):
            clock.cost(PORT_NS)
            beam.status(frame)
            times.append(clock.ns)
        gaps = [b - a for a, b in pairwise(times)]
        assert gaps[0] == PORT_NS
        assert max(gaps) == PORT_NS + POLL_NS
        for at, gap in zip(times, gaps, strict=False):
            if gap > PORT_NS:
                assert at + gap <= frame.next_change_ns(at + PORT_NS) + 1
