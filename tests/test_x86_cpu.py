"""The CPUs: write faults, harvests beside a running guest, translated code, faults."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from x86_helpers import CPUS, disk, make_pc, needs_kvm, run_until_halted

from vgaemu.errors import GuestFault
from vgaemu.machine import Machine
from vgaemu.pc.clock import INSTRUCTION_NS, POLL_NS, StepClock
from vgaemu.pc.cpu.kvm import KvmCpu
from vgaemu.pc.cpu.unicorn import UnicornCpu
from vgaemu.pc.cpu.unicorn_engine import InstructionCount
from vgaemu.pc.pc import KVM_LOOK_NS
from vgaemu.signals import stops_wait

pytest.importorskip("unicorn")

MODE_13 = "B8 13 00 CD 10 68 00 A0 07"  # mov ax, 13h; int 10h; push A000h; pop es
HALT = "FA F4"


def code(*parts: str) -> bytes:
    return bytes.fromhex("".join(parts))


@pytest.mark.parametrize("cpu", CPUS)
def test_the_faulting_store_lands(tmp_path: Path, cpu: str) -> None:
    # mov di, 2FFEh; mov eax, 44332211h; stosd: crosses pages 2 and 3. inc word [es:6000h].
    program = code(MODE_13, "BF FE 2F 66 B8 11 22 33 44 66 AB 26 FF 06 00 60", HALT)
    with make_pc(disk(tmp_path, program), cpu=cpu) as pc:
        turns = pc.slices()
        next(turns, None)
        run_until_halted(pc)
        assert pc.vga.load(0xA2FFE, 4) == code("11 22 33 44")
        assert pc.vga.load(0xA6000, 2) == b"\x01\x00"
        assert set(pc.vga.slot.get_dirty_log().pages()) >= {2, 3, 6}


@pytest.mark.parametrize("cpu", CPUS)
def test_each_harvest_names_what_was_stored_since(tmp_path: Path, cpu: str) -> None:
    # After the mode set: mov al, n; out 77h, al; store to page n; again for n = 1, 5, 5, 9.
    stores = "".join(f"26 C6 06 00 {page << 4:02X} 07 E6 77 " for page in (1, 5, 5, 9))
    program = code(MODE_13, "E6 77", stores, HALT)
    with make_pc(disk(tmp_path, program), cpu=cpu) as pc:
        logs: list[list[int]] = []
        pc.bus.byte_out[0x77] = lambda value: logs.append(
            pc.vga.slot.get_dirty_log().pages().tolist()
        )
        run_until_halted(pc)
        assert logs[1:] == [[1], [5], [5], [9]]


@pytest.mark.parametrize("cpu", CPUS)
def test_windows_move_under_a_running_guest(tmp_path: Path, cpu: str) -> None:
    # Mode 13h: byte 0 through chain-4; then planes 0 and 2 only; then chain-4 again: byte 4.
    program = code(
        MODE_13, "26 C6 06 00 00 11",
        "BA C4 03 B8 04 06 EF B8 02 05 EF 26 C6 06 01 00 22",  # SR04 = 06, SR02 = 05
        "B8 02 0F EF B8 04 0E EF 26 C6 06 08 00 33", HALT,
    )  # fmt: skip
    with make_pc(disk(tmp_path, program), cpu=cpu) as pc:
        run_until_halted(pc)
        # Planes 0 and 2 at address 1 are no chain-4 bytes; in the window they are nowhere.
        assert pc.vga.load(0xA0000, 9) == code("11 00 00 00 00 00 00 00 33")
        pc.vga.outw(0x3C4, 0x0604)
        pc.vga.outw(0x3CE, 0x0204)
        assert pc.vga.load(0xA0001, 1) == b"\x22"


def test_self_modifying_and_overwritten_code(tmp_path: Path) -> None:
    # The guest patches its own "mov bl"; then the BIOS reads a sector over code that has run.
    program = code(
        "31 C0 8E C0 8E D8 BB 00 80",  # xor ax, ax; es = ds = 0; mov bx, 8000h
        "C6 07 43 C6 47 01 C3 31 DB BF 00 80 FF D7",  # inc bx; ret at 8000h; bx = 0; call it
        "BB 00 80 B8 01 02 B9 02 00 31 D2 CD 13",  # sector 2 over it
        "31 DB FF D7 89 1E 00 90", HALT,
    )  # fmt: skip
    path = disk(tmp_path, program)
    path.write_bytes(path.read_bytes() + code("BB 34 12 C3").ljust(512, b"\0"))
    with make_pc(path) as pc:
        run_until_halted(pc)
        assert pc.bus.read16(0x9000) == 0x1234


def test_hlt_is_told_from_a_count_used_up(tmp_path: Path) -> None:
    # 10 000 instructions end at an address behind a byte F4h with interrupts off: no HLT.
    # cli; l: mov al, F4h; loop over it: every second instruction begins behind an F4h.
    program = code("FA B9 FF FF B0 F4 49 75 FB B8 34 12 A3 00 90", HALT)
    with make_pc(disk(tmp_path, program)) as pc:
        run_until_halted(pc)
        assert pc.bus.read16(0x9000) == 0x1234


@pytest.mark.parametrize("shares", [False, True])
def test_what_is_charged_behind_the_end_of_a_slice_is_no_hlt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shares: bool
) -> None:
    """The engine asks for a page when it has been told to end; Linux met it."""
    with make_pc(disk(tmp_path, b"\xeb\xfe")) as pc:
        cpu, clock = pc.cpu, pc.clock
        assert isinstance(cpu, UnicornCpu)
        assert isinstance(clock, StepClock)
        cpu._slices_in_python = -1
        count = cpu._count
        assert isinstance(count, InstructionCount)
        if shares:
            clock.share(count.address)

        def ends(*_: object, count: int, **__: object) -> None:
            cells[:] = count + 1, count  # one more than it may is about to begin
            for late in (lambda: clock.cost(POLL_NS), lambda: clock.due(clock.now_ns())):
                late()
                assert tuple(cells) == (count + 1, count)

        cells = count.cells
        monkeypatch.setattr(cpu._uc, "emu_start", ends)
        cpu.run(clock.now_ns() + 7 * INSTRUCTION_NS)
        assert not cpu.halted


def test_a_second_division_by_zero_is_one_too(tmp_path: Path) -> None:
    # A handler that counts in bp and steps over the two bytes of "div cx", five times.
    handler = code("45 55 89 E5 83 46 02 02 5D CF")
    program = code("31 C0 8E D8 8E D0 C7 06 00 00 00 7D A3 02 00 31 ED 31 C9", "F7 F1 " * 5, HALT)
    sector = program.ljust(0x100, b"\x90") + handler
    with make_pc(disk(tmp_path, sector)) as pc:
        run_until_halted(pc)
        assert pc.cpu.bp == 5


@pytest.mark.parametrize(
    ("vector", "instructions", "at"),
    [
        (0x06, "0F 0B", 0), (0x06, "F0 90", 0),
        (0x05, "62 06 00 7C", 0),  # bound ax, [7C00h]
        (0x07, "0F 20 C2 80 CA 04 0F 22 C2 D9 E8", 9),  # CR0.EM; fld1
        (0x01, "9C 5A 80 CE 01 52 9D 40 40", 8),  # TF; inc ax
        (0x01, "9C 9C 5A 80 CE 01 52 9D 9D 40", 9),  # TF set and reset
    ],
)  # fmt: skip
def test_exceptions_after_two_faults(
    tmp_path: Path, vector: int, instructions: str, at: int
) -> None:
    # Two divisions by zero are stepped over; then the vector's handler halts.
    program = code(
        "31 C0 8E D8 8E D0 BC 00 70 C7 06 00 00 00 7D A3 02 00",
        f"C7 06 {4 * vector:02X} 00 20 7D A3 {4 * vector + 2:02X} 00 31 C9 F7 F1 F7 F1",
    )
    first = 0x7C00 + len(program)
    sector = (program + code(instructions)).ljust(0x100, b"\x90")
    sector = (sector + code("55 89 E5 83 46 02 02 5D CF")).ljust(0x120, b"\x90") + code(HALT)
    with make_pc(disk(tmp_path, sector)) as pc:
        run_until_halted(pc)
        assert pc.cpu.ip == 0x7D22
        assert pc.bus.read16(pc.cpu.sp) == first + at


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(
    ("name", "program", "message"),
    [
        ("opcode", "0F 0B", "unknown opcode at 0000:7C00"),
        ("division", "31 C9 F7 F1", "division by zero"),
        ("boot", "CD 18", "no system to boot"),
        ("dos", "B4 09 CD 21", "no DOS"),
    ],
)
def test_a_fault_ends_the_run_with_registers(
    tmp_path: Path, cpu: str, name: str, program: str, message: str
) -> None:
    with Machine(str(disk(tmp_path, code("B8 CD AB", program) if name == "x" else code(program))),
                 cpu=cpu) as machine:  # fmt: skip
        with pytest.raises(GuestFault, match=message) as caught:
            machine.tick(20 if cpu == "unicorn" else 2000)  # a busy host's are short
        assert "eax=" in caught.value.report
        assert "code at IP" in caught.value.report
        assert machine.ended
        assert machine.screen.text()


def test_a_fetch_from_nowhere_ends_the_run(tmp_path: Path) -> None:
    # Protected mode is not needed: FFFF:FFF0 lies in RAM above 1 MiB, A000h in planes does not run.
    with (
        make_pc(disk(tmp_path, code("EA 00 00 00 A0"))) as pc,
        pytest.raises(GuestFault, match="fetch"),
    ):
        run_until_halted(pc)


def test_rom_and_open_bus_ignore_stores(tmp_path: Path) -> None:
    # F000:0000 and D000:0000: store, then load.
    program = code("68 00 F0 07 26 A0 F0 FF 26 C6 06 F0 FF 77 26 8A 26 F0 FF A3 00 90", HALT)
    with make_pc(disk(tmp_path, program)) as pc:
        run_until_halted(pc)
        low, high = pc.bus.read(0x9000, 2)
        assert low == high != 0x77


@pytest.mark.parametrize("cpu", CPUS)
def test_harvests_beside_a_running_guest_lose_nothing(tmp_path: Path, cpu: str) -> None:
    """A display that copies only dirty pages ends with what the guest wrote."""
    # Fill A000:0000..FFFF with a counter, for ever.
    program = code(MODE_13, "31 C0 31 FF B9 00 80 F3 AB 40 EB F6")
    with Machine(str(disk(tmp_path, program)), cpu=cpu, free=True) as machine:
        view = machine.vram.subscribe()
        array = machine.vram.array
        shadow = np.zeros_like(array)
        view.put_back(machine.vram.get_dirty_log())
        latencies = []
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            machine.run_frame()
            begin = time.perf_counter()
            log = view.get_dirty_log()
            latencies.append(time.perf_counter() - begin)
            for page in log.pages().tolist():
                shadow[page << 12 : page + 1 << 12] = array[page << 12 : page + 1 << 12]
            time.sleep(0.002)
        assert len(latencies) > 10
        machine.close()
        for page in view.get_dirty_log().pages().tolist():
            shadow[page << 12 : page + 1 << 12] = array[page << 12 : page + 1 << 12]
        np.testing.assert_array_equal(shadow[:65536], array[:65536])
        assert array[:65536].any()


@pytest.mark.parametrize("cpu", CPUS)
def test_nothing_is_left_running(tmp_path: Path, cpu: str) -> None:
    before = threading.active_count()
    for program in ("EB FE", "F4 EB FD", "E4 60 EB FC"):
        machine = Machine(str(disk(tmp_path, code(program))), cpu=cpu, free=True)
        machine.run_frame()
        time.sleep(0.02)
        begin = time.monotonic()
        machine.close()
        assert time.monotonic() - begin < 0.4
    assert threading.active_count() <= before  # who compiles native code may be done


def test_pause_and_single_frame(tmp_path: Path) -> None:
    from vgaemu.display.events import PauseToggled, SingleStep

    # inc dword [9000h] for ever
    program = code("66 FF 06 00 90 EB F9")
    with Machine(str(disk(tmp_path, program)), free=True) as machine:
        assert machine.pc is not None
        bus = machine.pc.bus
        machine.run_frame()
        time.sleep(0.05)
        machine.user.do([PauseToggled()])
        time.sleep(0.05)
        paused = bus.read32(0x9000)
        time.sleep(0.05)
        assert bus.read32(0x9000) == paused > 0
        machine.user.do([SingleStep()])
        machine.run_frame()
        time.sleep(0.1)
        stepped = bus.read32(0x9000)
        assert stepped > paused
        time.sleep(0.05)
        assert bus.read32(0x9000) == stepped


@needs_kvm
def test_the_kernel_logs_plain_stores(tmp_path: Path) -> None:
    program = code(MODE_13, "E6 77 26 C6 06 00 50 07 E6 77", HALT)
    with make_pc(disk(tmp_path, program), cpu="kvm") as pc:
        seen: list[tuple[int, bool]] = []

        def look(value: int) -> None:
            log = pc.vga.slot.get_dirty_log()
            seen.append((len(log), bool(pc.vga.slot.keeper.writable.find(1) >= 0)))

        pc.bus.byte_out[0x77] = look
        run_until_halted(pc)
        # One page, which no Python code has marked: only the kernel knew.
        assert seen[1] == (1, False)


@needs_kvm
def test_timing_the_ioctls_loses_no_page(tmp_path: Path) -> None:
    program = code(MODE_13, "E6 77 26 C6 06 00 50 07", HALT)
    with make_pc(disk(tmp_path, program), cpu="kvm") as pc:
        pc.bus.byte_out[0x77] = lambda value: pc.vga.slot.get_dirty_log()
        run_until_halted(pc)
        assert isinstance(pc.cpu, KvmCpu)
        assert pc.cpu.time_log_ioctls() > 0
        assert pc.vga.slot.get_dirty_log().pages().tolist() == [5]


@pytest.mark.parametrize("cpu", CPUS)
def test_addresses_and_stack_words_wrap_in_their_segments(tmp_path: Path, cpu: str) -> None:
    with make_pc(disk(tmp_path, code(HALT)), cpu=cpu) as pc:
        for register, value in (("es", 0x1234), ("edi", 0xABCDFFFE), ("ss", 0x2000), ("esp", 2)):
            pc.cpu.set(register, value)
        assert pc.cpu.linear("es", "di") == 0x12340 + 0xFFFE
        assert pc.cpu.linear("es", "di", 3) == 0x12340 + 1
        pc.cpu.push(0x1111)
        pc.cpu.push(0x2222)  # at 2000:FFFE
        assert (pc.cpu.stack_word(0), pc.cpu.stack_word(2)) == (0x2222, 0x1111)
        pc.cpu.set_stack_word(2, 0x13333)
        assert pc.bus.read(0x20000, 2) == b"\x33\x33"
        assert pc.bus.read(0x2FFFE, 2) == b"\x22\x22"


# cli; ds = 0; lgdt; lidt; CR0.PE = 1; jmp 8:start. start: ds = es = ss = 16; esp = 7000h; int 9;
# div by 0; ud2; sti; hlt for ever. Handlers of INT 9, of vectors 0 and 6, and of IRQ 0 count at
# 600h, 601h, 602h and 603h, and return with IRETD; then the IDT, the GDT and their pointers.
PROTECTED_INTERRUPTS = code(
    "FA 31 C0 8E D8 0F 01 16 CE 7C 0F 01 1E B0 7C 0F 20 C0 0C 01 0F 22 C0 EA 1C 7C 08 00 66 B8"
    "10 00 8E D8 8E C0 8E D0 BC 00 70 00 00 CD 09 31 D2 31 C9 F7 F1 0F 0B FB F4 EB FD FE 05 00"
    "06 00 00 CF FE 05 01 06 00 00 41 CF FE 05 02 06 00 00 83 04 24 02 CF FE 05 03 06 00 00 50"
    "B0 20 E6 20 58 CF 40 7C 08 00 00 8E 00 00", "00" * 40, "48 7C 08 00 00 8E 00 00",
    "00" * 8, "53 7C 08 00 00 8E 00 00 39 7C 08 00 00 8E 00 00 4F 00 60 7C", "00" * 10,
    "FF FF 00 00 00 9A CF 00 FF FF 00 00 00 92 CF 00 17 00 B6 7C 00 00",
)  # fmt: skip


@pytest.mark.parametrize("cpu", CPUS)
def test_interrupts_in_protected_mode(tmp_path: Path, cpu: str) -> None:
    program = bytearray(PROTECTED_INTERRUPTS)
    if cpu == "kvm":  # whose emulator, for hosts that need it, has no INT in protected mode
        program[0x2B:0x2D] = b"\x90\x90"
    with Machine(str(disk(tmp_path, bytes(program))), cpu=cpu) as machine:
        assert machine.tick(60)
        assert machine.pc is not None
        soft, division, unknown, ticks = machine.pc.bus.read(0x600, 4)
        assert (soft, division, unknown) == (cpu != "kvm", 1, 1)
        # 18.2 Hz; KVM's guest runs in wall time, and a busy host may put it off.
        assert ticks if cpu == "kvm" else 14 <= ticks <= 22
        # KVM's run may end in a handler.
        assert machine.pc.cpu.registers()["esp"] in range(0x7000 - 16 * (cpu == "kvm"), 0x7001)


def test_a_gate_may_lead_to_another_segment(tmp_path: Path) -> None:
    program = bytearray(PROTECTED_INTERRUPTS.ljust(0xE0, b"\0"))
    program[0xE0:] = code("1F 00 B6 7C 00 00")  # the GDT's pointer makes room
    program[0x08] = 0xE0
    program[0xCE:0xD6] = program[0xBE:0xC6]  # for one more descriptor of the code
    program[0xA2] = 0x18  # in vector 8's gate
    with Machine(str(disk(tmp_path, bytes(program)))) as machine:
        pc = machine.pc
        assert pc is not None
        end, seen = pc.bus.byte_out[0x20], []

        def look(value: int) -> None:
            seen.append(pc.cpu.get("cs"))
            end(value)

        pc.bus.byte_out[0x20] = look
        machine.tick(30)
        assert set(seen) == {0x18}
        assert pc.cpu.get("cs") == 8


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((0x65, 0x00), "has no gate for it"),  # vector 0's gate is not there
        ((0xB0, 0x07), "interrupt 09h .* ends before it: a triple fault"),  # the IDT has one entry
    ],
)
def test_interrupts_that_no_gate_takes(tmp_path: Path, change: tuple[int, int], why: str) -> None:
    program = bytearray(PROTECTED_INTERRUPTS)
    program[change[0]] = change[1]
    with (
        Machine(str(disk(tmp_path, bytes(program)))) as machine,
        pytest.raises(GuestFault, match=f"in protected mode: .*{why.split(' .* ')[-1]}"),
    ):
        machine.tick(3)


@pytest.mark.parametrize("cpu", CPUS)
def test_a_loop_around_a_service_lets_interrupts_in(tmp_path: Path, cpu: str) -> None:
    # es = B800h; wait: ah = 0; int 1Ah; [es:0] = dx; until dx has changed four times; cli; hlt
    program = code(
        "68 00 B8 07 B4 00 CD 1A 89 D3 83 C3 04 B4 00 CD 1A 26 89 16 00 00 39 DA 75 F3", HALT
    )
    with make_pc(disk(tmp_path, program), cpu=cpu) as pc:
        run_until_halted(pc, 60)
        assert pc.bus.read32(0x46C) >= 4


def test_a_fault_is_told_with_what_was_executed(tmp_path: Path) -> None:
    # cx = 3; loop to itself; jump over an unknown opcode to another one
    program = code("B9 03 00 E2 FE EB 02 0F 0B 40 0F 0B")
    reports, times = {}, []
    for traced in (False, True):
        with Machine(str(disk(tmp_path, program)), trace_code=traced) as machine:
            with pytest.raises(GuestFault) as caught:
                machine.tick(3)
            assert machine.pc is not None
            reports[traced] = caught.value.report
            times.append(machine.pc.clock.now_ns())
    assert times[0] == times[1]
    assert reports[False].endswith("or run it again with --trace-code")
    executed = reports[True].partition("executed, by whole basic blocks")[2]
    assert executed.count("7c03  ") == 3
    assert "7c07  " not in executed
    assert executed.index("7c05  ") < executed.index("7c09  ") < executed.index("7c0a  ")


# ds = 0; vector 6 = 7D00h; 0F FF C0, which is no opcode; al = bx; store; cli; hlt. The handler
# steps over the three bytes and counts.
UNKNOWN_WITH_HANDLER = code(
    "31 C0 8E D8 31 DB C7 06 18 00 00 7D A3 1A 00 FB 0F FF C0 0F FF C0 89 1E 00 90", HALT
).ljust(0x100, b"\x90") + code("43 55 89 E5 83 46 02 03 5D CF")


@pytest.mark.parametrize("cpu", CPUS)
def test_a_handler_of_unknown_opcodes_is_called(tmp_path: Path, cpu: str) -> None:
    with make_pc(disk(tmp_path, UNKNOWN_WITH_HANDLER), cpu=cpu) as pc:
        run_until_halted(pc)
        assert pc.bus.read16(0x9000) == 2
        assert pc.cpu.sp == 0x7C00


@needs_kvm
def test_an_unknown_opcode_without_a_handler_ends_the_run(tmp_path: Path) -> None:
    # 0F FF C0, while vector 6 leads to ROM.
    with (
        make_pc(disk(tmp_path, code("0F FF C0", HALT)), cpu="kvm") as pc,
        pytest.raises(GuestFault, match=r"unknown opcode|cannot execute the instruction"),
    ):
        run_until_halted(pc)


@needs_kvm
def test_the_clock_of_a_headless_kvm_guest_runs_with_it(tmp_path: Path) -> None:
    # sti; hlt; loop: the guest's seconds pass in milliseconds.
    with Machine(str(disk(tmp_path, code("FB F4 EB FD"))), cpu="kvm") as machine:
        assert machine.pc is not None
        clock = machine.pc.clock
        before, started = time.mktime(clock.time_of_day()), clock.now_ns()
        machine.tick(300)
        passed = (clock.now_ns() - started) / 1e9
        assert passed >= 4.9
        assert abs(time.mktime(clock.time_of_day()) - before - passed) <= 1


@pytest.mark.parametrize("cpu", CPUS)
def test_a_port_trace_says_where(tmp_path: Path, cpu: str) -> None:
    trace = tmp_path / "trace.txt"
    # jmp 07C0h:0005; out 80h, al; in al, 61h
    path = disk(tmp_path, code("EA 05 00 C0 07 E6 80 E4 61", HALT))
    with make_pc(path, cpu=cpu, trace_ports=trace) as pc:
        run_until_halted(pc)
    lines = [line.split() for line in trace.read_text("ascii").splitlines()]
    (out,) = [line[0] for line in lines if line[1:3] == ["out", "0080"]]
    assert out.split("@")[1] in (["07c0:0005"] if cpu == "unicorn" else ["07c0:0005", "07c0:0007"])
    (read,) = [line[0] for line in lines if line[1:3] == ["in", "0061"]]
    assert read.split("@")[1] == "07c0:0007"


@pytest.fixture
def ctrl_c_interrupts() -> Iterator[None]:
    """Also under a job whose SIGINT is ignored, where Python would leave it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c_interrupts")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_comes_between_two_slices_and_twice_is_once(tmp_path: Path, times: int) -> None:
    # in al, 78h; mov [7F00h], al
    path = disk(tmp_path, code("E4 78 A2 00 7F", HALT))
    before = signal.getsignal(signal.SIGINT)
    with make_pc(path) as pc:

        def answer() -> int:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            return 0x42

        pc.bus.byte_in[0x78] = answer
        with pytest.raises(KeyboardInterrupt):
            run_until_halted(pc)
        assert pc.bus.memory[0x7F00] == 0x42
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("ctrl_c_interrupts")
def test_a_later_ctrl_c_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgaemu.signals.AGAIN_S", 0.0)
    with pytest.raises(KeyboardInterrupt), stops_wait():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        came = [1]
        signal.raise_signal(signal.SIGINT)
        came.append(2)
    assert came == [1]


def test_cpuid_offers_what_is_emulated(tmp_path: Path) -> None:
    # cpuid 1: [600h] = edx; cpuid 80000001h: [604h] = edx; EFER = LME: [608h] = EFER
    program = code(
        "66 B8 01 00 00 00 0F A2 66 89 16 00 06 66 B8 01 00 00 80 0F A2 66 89 16 04 06",
        "66 B9 80 00 00 C0 66 B8 00 01 00 00 66 31 D2 0F 30 0F 32 66 A3 08 06", HALT,
    )  # fmt: skip
    with make_pc(disk(tmp_path, program)) as pc:
        run_until_halted(pc)
        features, extended, efer = (pc.bus.read32(at) for at in (0x600, 0x604, 0x608))
    fpu, pae, apic, sse2 = (features >> bit & 1 for bit in (0, 6, 9, 26))
    assert (fpu, pae, apic, sse2) == (1, 1, 0, 1)
    long_mode, execute_disable = extended >> 29 & 1, extended >> 20 & 1
    assert (long_mode, execute_disable, efer) == (1, 1, 0x100)


def test_the_time_stamp_counter_is_the_guest_s_clock(tmp_path: Path) -> None:
    # rdtsc: [600h]; cx = 1000: loop; rdtsc: [604h]
    program = code("0F 31 66 A3 00 06 B9 E8 03 E2 FE 0F 31 66 A3 04 06", HALT)
    seen = set()
    for size in (10_000, 100, 1):
        with make_pc(disk(tmp_path, program)) as pc:
            assert isinstance(pc.cpu, UnicornCpu)
            pc.cpu._slice = size
            run_until_halted(pc)
            seen.add((pc.bus.read32(0x600), pc.bus.read32(0x604)))
    assert len(seen) == 1
    first, second = seen.pop()
    assert second - first == 1003 * INSTRUCTION_NS + POLL_NS


@needs_kvm
def test_a_slice_under_kvm_ends_at_what_was_not_to_be_foreseen(tmp_path: Path) -> None:
    """An EOI that lets a waiting line in, say: at the exit that brought it."""
    with make_pc(disk(tmp_path, code("E6 80 EB FC")), cpu="kvm") as pc:  # out 80h, al; jmp back
        seen: list[int] = []

        def out(value: int) -> None:
            seen.append(value)
            if len(seen) == 3:
                pc.clock.due(pc.clock.now_ns())

        pc.bus.byte_out[0x80] = out
        pc.clock.start()
        while len(seen) < 3:  # a busy host may have called it back before that
            pc.cpu.run(pc.clock.now_ns() + 10**12)
        assert len(seen) == 3


@needs_kvm
def test_a_slice_under_kvm_ends_when_chips_and_keys_are_due(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with make_pc(disk(tmp_path, code("EB FE")), cpu="kvm") as pc:
        limits: list[int] = []
        monkeypatch.setattr(pc.cpu, "run", limits.append)
        pc.clock.set_ns(10**9)
        pc.pit.next_irq_ns = 10**9 + 1_000_000
        pc.step(2 * 10**9)
        pc.pit.next_irq_ns = 10**10
        pc.step(2 * 10**9)
        assert limits == [10**9 + 1_000_000, 10**9 + KVM_LOOK_NS]
