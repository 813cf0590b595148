"""BIOS services on boards of their own: no PC, no engine, nothing that runs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from boards import STACK, ask, make_board

from vgaemu.display.screen import Screen
from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.calls import MAX_UNFINISHED, WAIT, WORK_A_SLICE, Calls
from vgaemu.pc.bios.clock import TICKS_A_DAY, ClockBios
from vgaemu.pc.bios.keyboard import KeyboardBios, KeyBuffer
from vgaemu.pc.bios.rom import ROM_SEGMENT, SERVICES, STUB_BYTES, rom_image, stub_offset
from vgaemu.pc.bios.system import SystemBios
from vgaemu.pc.bios.video.area import VideoArea
from vgaemu.pc.bios.video.modes import BIOS_MODES, LINES, VBE_MODE_FIELD
from vgaemu.pc.bios.video.palette import VideoPalette
from vgaemu.pc.bios.video.video import VideoBios
from vgaemu.pc.clock import NEVER_NS
from vgaemu.pc.cpu.cpu import CARRY, INTERRUPT, ZERO
from vgaemu.vga.modes import MODES


def test_no_service_brings_an_engine_or_the_pc() -> None:
    script = (
        "import sys; import vgaemu.pc.bios.bios as bios; "
        "print(sorted({'vgaemu.pc.pc', 'unicorn', 'pygame'} & sys.modules.keys()))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert said.stdout.strip() == "[]"


# ROM and data area.


def test_each_service_has_its_stub() -> None:
    rom = rom_image(None)
    assert len(rom) == 0x10000
    ports = set()
    for vector in SERVICES:
        stub = rom[stub_offset(vector) : stub_offset(vector) + STUB_BYTES]
        if vector in (0x08, 0x09):  # they save the registers first
            at = stub.index(0xE9) + 3  # jmp rel16
            at += stub_offset(vector) + int.from_bytes(stub[at - 2 : at], "little")
            stub = rom[at & 0xFFFF :][:0x40]
        at = stub.index(0xE6)  # out imm8, al
        ports.add(stub[at + 1])
        assert 0xCF in stub  # iret
    assert len(ports) == len(SERVICES)


def test_vectors_lead_to_rom() -> None:
    calls = Calls(make_board())
    for vector in range(0x78):
        assert calls.get_vector(vector) == (ROM_SEGMENT, stub_offset(vector))


def test_fields_are_numbers_of_their_width() -> None:
    data = bda.DataArea(make_board().bus)
    data.reset()
    for field in bda.FIELDS:
        assert data[field] == field.initial
    data[bda.PAGE_START] = -1
    assert (data[bda.PAGE_START], data[bda.MODE]) == (0xFFFF, 0)
    data[bda.TICKS] += 1
    assert data.bus.read32(bda.TICKS.address) == 1


# What a service may say to its caller.


def test_flags_are_those_on_the_callers_stack() -> None:
    board = make_board()
    calls = Calls(board)
    calls.services[0x21] = lambda: calls.carry(True)
    assert ask(board, calls, 0x21) & CARRY
    assert not board.cpu.get("eflags") & CARRY  # of the stub, which must not wait
    calls.services[0x21] = lambda: calls.flag(ZERO, True)
    assert ask(board, calls, 0x21) & (CARRY | ZERO) == ZERO


def test_a_service_that_waits_is_asked_again() -> None:
    board = make_board()
    calls = Calls(board)
    calls.services[0x16] = lambda: WAIT
    ask(board, calls, 0x16)
    assert board.cpu.get("eflags") & (CARRY | INTERRUPT) == CARRY


def test_long_calls_go_on_where_they_were() -> None:
    board = make_board()
    calls, seen = Calls(board), []

    def long() -> bool | None:
        seen.append(calls.progress)
        for done in range(calls.progress + 1, 601):
            calls.spend(1)
            if done < 600 and calls.exhausted:
                return calls.suspend(done)
        return None

    calls.services[0x10] = long
    ask(board, calls, 0x10, ax=0x1301)
    while calls.unfinished:
        assert board.run.wake_ns == 0
        ask(board, calls, 0x10, ax=0x1301)  # the same slice: it is not asked
        calls.new_slice()
        ask(board, calls, 0x10, ax=0x1301)
    assert seen[0] == 0
    assert len(seen) == -(-600 // WORK_A_SLICE)
    calls.new_slice()
    ask(board, calls, 0x10, ax=0x1301)
    assert seen[-1] == 0


def test_a_service_lets_an_interrupt_in_that_waits() -> None:
    board = make_board()
    calls, served = Calls(board), []
    calls.services[0x1A] = lambda: served.append(1)
    calls.services[0x70] = lambda: served.append(3)
    calls.services[0x09] = lambda: served.append(2)
    board.run.interrupt_waits = True
    ask(board, calls, 0x1A)
    assert not served
    assert board.run.wake_ns == 0
    assert board.cpu.get("eflags") & CARRY
    for vector in (0x70, 0x09):  # an interrupt's own
        ask(board, calls, vector)
    board.run.interrupt_waits = False
    ask(board, calls, 0x1A)
    assert served == [3, 2, 1]


def test_few_long_calls_are_remembered() -> None:
    board = make_board()
    calls = Calls(board)
    calls.services[0x10] = lambda: calls.suspend(1)
    for number in range(2 * MAX_UNFINISHED):
        calls.new_slice()
        ask(board, calls, 0x10, cx=number)
    assert len(calls.unfinished) == MAX_UNFINISHED


def test_an_interrupt_comes_first_and_then_the_program() -> None:
    board = make_board()
    calls = Calls(board)
    calls.set_vector(0x1B, 0x1234, 0x5678)
    calls.services[0x09] = lambda: calls.interrupt_next(0x1B)
    ask(board, calls, 0x09)
    assert board.cpu.sp == STACK - 6
    assert calls.frame() == (0x1234, 0x5678, 0x0002)
    board.cpu.sp = STACK
    assert calls.frame() == (0, 0, 0x0202)


def test_a_program_ends() -> None:
    board = make_board()
    calls = Calls(board)
    calls.services[0x20] = lambda: calls.end(7)
    ask(board, calls, 0x20)
    assert (board.run.ended, board.run.exit_code) == (True, 7)


# Keyboard.


def test_the_key_buffer_is_a_ring_of_15() -> None:
    data = bda.DataArea(make_board().bus)
    data.reset()
    keys = KeyBuffer(data)
    assert keys.take() is None
    for turn in range(3):
        assert [keys.put(word) for word in range(16)] == [True] * 15 + [False]
        assert keys.peek() == 0
        assert [keys.take() for _ in range(16)] == [*range(15), None], turn
    keys.put(1)
    keys.clear()
    assert keys.peek() is None


def test_a_program_may_move_the_key_buffer() -> None:
    data = bda.DataArea(make_board().bus)
    data.reset()
    data[bda.KEY_BUFFER_START] = data[bda.KEY_HEAD] = data[bda.KEY_TAIL] = 0x100
    data[bda.KEY_BUFFER_END] = 0x108
    keys = KeyBuffer(data)
    assert [keys.put(word) for word in (1, 2, 3, 4)] == [True, True, True, False]
    assert data.bus.read(0x500, 6) == bytes((1, 0, 2, 0, 3, 0))
    assert [keys.take() for _ in range(4)] == [1, 2, 3, None]


def test_keys_are_read_and_peeked_at() -> None:
    board = make_board()
    calls, data = Calls(board), bda.DataArea(board.bus)
    data.reset()
    keyboard = KeyboardBios(board, calls, data)
    calls.services[0x16] = keyboard.service
    assert ask(board, calls, 0x16, ah=1) & ZERO
    ask(board, calls, 0x16, ah=0)
    assert board.cpu.get("eflags") & CARRY  # it waits
    ask(board, calls, 0x16, ah=5, cx=0x1E61)
    assert not ask(board, calls, 0x16, ah=1) & ZERO
    ask(board, calls, 0x16, ah=0)
    assert board.cpu.ax == 0x1E61
    data[bda.SHIFT_FLAGS] = 0x43
    ask(board, calls, 0x16, ah=2)
    assert board.cpu.al == 0x43


# Clock and system.


def test_ticks_and_midnight() -> None:
    board = make_board()
    calls, data = Calls(board), bda.DataArea(board.bus)
    clock = ClockBios(board, calls, data)
    calls.services[0x1A] = clock.service
    ask(board, calls, 0x1A, ah=1, cx=(TICKS_A_DAY - 1) >> 16, dx=(TICKS_A_DAY - 1) & 0xFFFF)
    clock.tick()
    assert (data[bda.TICKS], data[bda.MIDNIGHT]) == (0, 1)
    ask(board, calls, 0x1A, ah=0)
    assert (board.cpu.cx, board.cpu.dx, board.cpu.al) == (0, 0, 1)
    assert data[bda.MIDNIGHT] == 0


def test_time_and_date_are_set_in_decimal_digits() -> None:
    board = make_board()
    calls = Calls(board)
    calls.services[0x1A] = ClockBios(board, calls, bda.DataArea(board.bus)).service
    assert not ask(board, calls, 0x1A, ah=5, cx=0x1999, dx=0x1231) & CARRY
    assert not ask(board, calls, 0x1A, ah=3, cx=0x2359, dx=0x3000) & CARRY
    ask(board, calls, 0x1A, ah=4)
    assert (board.cpu.cx, board.cpu.dx) == (0x1999, 0x1231)
    ask(board, calls, 0x1A, ah=2)
    assert (board.cpu.cx, board.cpu.dh) == (0x2359, 0x30)
    assert ask(board, calls, 0x1A, ah=3, cx=0x2560, dx=0) & CARRY
    assert ask(board, calls, 0x1A, ah=0x55) & CARRY
    assert board.cpu.ah == 0x86


def test_each_wait_has_its_own_end() -> None:
    board = make_board()
    calls = Calls(board)
    calls.services[0x15] = ClockBios(board, calls, bda.DataArea(board.bus)).wait

    def waits(milliseconds: int) -> bool:
        calls.new_slice()
        board.run.wake_ns = NEVER_NS
        board.cpu.set("eflags", 2)
        ask(board, calls, 0x15, ah=0x86, cx=0, dx=1000 * milliseconds)
        return bool(board.cpu.get("eflags") & CARRY)

    assert waits(50)
    assert waits(10)  # of a handler's, or another task's
    board.clock.idle(10_000_000 + board.clock.now_ns())
    assert not waits(10)
    assert waits(50)
    assert board.run.wake_ns < 60_000_000
    board.clock.idle(board.run.wake_ns)
    assert not waits(50)
    assert not calls.unfinished


def test_the_memory_map_covers_all_ram() -> None:
    board = make_board()
    calls, data = Calls(board), bda.DataArea(board.bus)
    calls.services[0x15] = SystemBios(board, calls, data, ClockBios(board, calls, data)).service
    usable, index = 0, 0
    for _ in range(10):
        board.cpu.set("edx", 0x534D4150)
        board.cpu.set("ebx", index)
        assert not ask(board, calls, 0x15, ax=0xE820, es=0x900, di=0) & CARRY
        length, kind = board.bus.read32(0x9008), board.bus.read32(0x9010)
        usable += length if kind == 1 else 0
        index = board.cpu.get("ebx")
        if index == 0:
            break
    assert usable == board.bus.ram_bytes - (1 << 20) + 0xA0000


# Video.


def test_the_table_of_modes_agrees_with_their_registers() -> None:
    assert set(BIOS_MODES) == {*MODES, VBE_MODE_FIELD}
    for number, mode in MODES.items():
        facts = BIOS_MODES[number]
        assert (facts.model == 0) == mode.is_text
        assert facts.lines in LINES
        if not mode.is_text:
            assert facts.rows * facts.height == facts.lines


#: Columns, pages and bytes of a page, as IBM's reference and parameter tables have them.
IBM_PAGES = {
    0x00: (40, 8, 0x0800), 0x01: (40, 8, 0x0800), 0x02: (80, 8, 0x1000), 0x03: (80, 8, 0x1000),
    0x04: (40, 1, 0x4000), 0x05: (40, 1, 0x4000), 0x06: (80, 1, 0x4000), 0x07: (80, 8, 0x1000),
    0x0D: (40, 8, 0x2000), 0x0E: (80, 4, 0x4000), 0x0F: (80, 2, 0x8000), 0x10: (80, 2, 0x8000),
    0x11: (80, 1, 0xA000), 0x12: (80, 1, 0xA000), 0x13: (40, 1, 0x2000),
}  # fmt: skip


@pytest.mark.parametrize("number", MODES)
def test_columns_and_pages_are_those_of_the_picture_and_of_ibm(number: int) -> None:
    facts, board = BIOS_MODES[number], make_board()
    assert (facts.columns, facts.pages, facts.page_bytes) == IBM_PAGES[number]
    Bios(board, None).video.modes.set_mode(number)
    height, width = Screen(board.vga).full_redraw().shape
    dots = 9 if MODES[number].is_text else 8
    assert (facts.columns * dots, facts.rows * facts.height) == (width, height)


@pytest.mark.parametrize("number", MODES)
def test_a_mode_set_without_a_pc(number: int) -> None:
    board = make_board()
    calls = Calls(board)
    video = VideoBios(board, calls)
    calls.services[0x10] = video.service
    ask(board, calls, 0x10, ax=number)
    facts, area = BIOS_MODES[number], video.area
    assert (area.mode, area.columns, area.rows) == (number, facts.columns, facts.rows)
    assert (area.is_text, area.pages) == (MODES[number].is_text, facts.pages)
    ask(board, calls, 0x10, ah=2, bh=0, dx=0x0305)
    assert area.cursor(0) == (3, 5)
    ask(board, calls, 0x10, ax=0x0E41, bx=7)
    assert area.cursor(0) == (3, 6)
    if area.is_text:
        assert board.vga.load(area.cell(0, 3, 5), 1) == b"A"


def test_pages_show_and_keep_their_cursors() -> None:
    board = make_board()
    video = VideoBios(board, Calls(board))
    video.modes.set_mode(3)
    area = video.area
    area.move_cursor(2, 4, 10)
    area.select_page(2)
    assert area[bda.PAGE_START] == 0x2000
    assert area.ports["start_address"] == 0x1000
    assert area.ports["cursor_location"] == 0x1000 + 4 * 80 + 10
    assert area.page_start(9) == area.page_start(1)


def test_a_palette_needs_only_an_area() -> None:
    board = make_board()
    calls = Calls(board)
    palette = VideoPalette(board, calls, VideoArea(board, calls))
    calls.services[0x10] = palette.service
    ask(board, calls, 0x10, ax=0x1010, bx=5, dx=0x3F00, cx=0x2A15)
    assert bytes(board.vga.dac.entries[15:18]) == bytes((0x3F, 0x2A, 0x15))
    ask(board, calls, 0x10, ax=0x101B, bx=5, cx=1)
    assert len(set(board.vga.dac.entries[15:18])) == 1
    ask(board, calls, 0x10, ax=0x1000, bx=0x0903)
    ask(board, calls, 0x10, ax=0x1007, bx=0x0003)
    assert board.cpu.bh == 9


def test_what_vbe_says_of_itself() -> None:
    board = make_board()
    calls = Calls(board)
    calls.services[0x10] = VideoBios(board, calls).service
    board.bus.write(0x9000, b"VBE2")
    ask(board, calls, 0x10, ax=0x4F00, es=0x900, di=0)
    assert board.cpu.ax == 0x004F
    block = board.bus.read(0x9000, 256)
    assert block[:6] == b"VESA\x00\x02"
    assert int.from_bytes(block[18:20], "little") == board.vga.slot.nbytes >> 16
    ask(board, calls, 0x10, ax=0x4F02, bx=0x101)
    assert board.cpu.ax == 0x004F
    ask(board, calls, 0x10, ax=0x4F03)
    assert board.cpu.bx == 0x101
    ask(board, calls, 0x10, ax=0x4F0A)  # which there is not
    assert board.cpu.ax == 0x4F0A


def test_a_whole_bios_on_a_board() -> None:
    board = make_board()
    bios = Bios(board, None)
    ask(board, bios.calls, 0x12)
    assert board.cpu.ax == 640
    assert ask(board, bios.calls, 0x13, ah=2, dl=0) & CARRY
    assert board.cpu.ah == 0x80
