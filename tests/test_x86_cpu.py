"""The CPUs: write faults, harvests beside a running guest, translated code, faults."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from x86_helpers import CPUS, disk, make_pc, needs_kvm, run_until_halted

from vgaemu.guest.x86.cpu import GuestFault
from vgaemu.machine import Machine

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


def test_a_second_division_by_zero_is_one_too(tmp_path: Path) -> None:
    # A handler that counts in bp and steps over the two bytes of "div cx", five times.
    handler = code("45 55 89 E5 83 46 02 02 5D CF")
    program = code("31 C0 8E D8 8E D0 C7 06 00 00 00 7D A3 02 00 31 ED 31 C9", "F7 F1 " * 5, HALT)
    sector = program.ljust(0x100, b"\x90") + handler
    with make_pc(disk(tmp_path, sector)) as pc:
        run_until_halted(pc)
        assert pc.cpu.bp == 5


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(
    ("name", "program", "message"),
    [
        ("opcode", "0F 0B", "unknown opcode at 0000:7C00"),
        ("division", "31 C9 F7 F1", "division by zero"),
        ("reset", "B0 FE E6 64", "reset line"),
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
            machine.tick(20)
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
            machine.frame()
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
        machine.frame()
        time.sleep(0.02)
        begin = time.monotonic()
        machine.close()
        assert time.monotonic() - begin < 0.4
    assert threading.active_count() == before


def test_pause_and_single_frame(tmp_path: Path) -> None:
    from vgaemu.display.report import PauseToggled, SingleStep

    # inc dword [9000h] for ever
    program = code("66 FF 06 00 90 EB F9")
    with Machine(str(disk(tmp_path, program)), free=True) as machine:
        assert machine.pc is not None
        bus = machine.pc.bus
        machine.frame()
        time.sleep(0.05)
        machine._handle(PauseToggled())
        time.sleep(0.05)
        paused = bus.read32(0x9000)
        time.sleep(0.05)
        assert bus.read32(0x9000) == paused > 0
        machine._handle(SingleStep())
        machine.frame()
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
            seen.append((log.count, bool(pc.vga.slot._writable.find(1) >= 0)))

        pc.bus.byte_out[0x77] = look
        run_until_halted(pc)
        # One page, which no Python code has marked: only the kernel knew.
        assert seen[1] == (1, False)
