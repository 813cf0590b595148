"""What one call of the video BIOS may do, whatever registers, data area and device hold."""

from __future__ import annotations

import random

import pytest
from boards import ask, make_board
from random_video import RandomVideo
from work import Functions

from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.calls import WORK_NS
from vgaemu.pc.bus import ROM_END, ROM_START, VGA_START, Bus
from vgaemu.vga.modes import MODES, set_mode
from vgaemu.vga.vram import LFB_GPA

#: What a call may do for each unit of `Calls.spend`: about 0.15 ms of the host's time.
FUNCTIONS_A_UNIT, BYTES_A_UNIT = 350, 32 << 10
#: And as a whole: then its slice ends.
FUNCTIONS, BYTES = 100_000, 16 << 20


@pytest.mark.parametrize("seed", range(16))
def test_work_costs_time(seed: int) -> None:
    for call in RandomVideo(seed).series():
        units = call.ns / WORK_NS
        assert call.functions <= min(FUNCTIONS_A_UNIT * units, FUNCTIONS), call
        assert call.moved <= min(BYTES_A_UNIT * units, BYTES), call


@pytest.mark.parametrize("service", [0x0601, 0x0702, 0x0A41, 0x0E0A, 0x1300])
@pytest.mark.parametrize("mode", [*MODES, 0x101, 0x115])
def test_pages_of_absurd_sizes(mode: int, service: int) -> None:
    board = make_board(1024)
    bios = Bios(board, None)
    if mode in MODES:
        ask(board, bios.calls, 0x10, ax=mode)
    else:
        ask(board, bios.calls, 0x10, ax=0x4F02, bx=mode)
    for field, value in (
        (bda.COLUMNS, 0xFFFF), (bda.LAST_ROW, 0xFF), (bda.CHAR_HEIGHT, 0xFF),
        (bda.PAGE_BYTES, 0xFFFF),
    ):  # fmt: skip
        bios.video.area[field] = value
        bios.calls.new_slice()
        begin = board.clock.now_ns()
        with Functions() as work:
            ask(board, bios.calls, 0x10, ax=service, bx=0x0107, cx=0, dx=0xFFFF)
        units = (board.clock.now_ns() - begin) / WORK_NS
        assert work.called <= min(FUNCTIONS_A_UNIT * units, FUNCTIONS), field


@pytest.mark.parametrize(
    ("mode", "columns", "rows", "height"),
    [(3, 80, 50, 8), (3, 132, 43, 8), (1, 40, 25, 16), (0x12, 80, 60, 8), (0x10, 80, 43, 8),
     (0x12, 90, 30, 16), (0x13, 40, 12, 16)],
)  # fmt: skip
def test_what_programs_set_and_fits_is_honoured(
    mode: int, columns: int, rows: int, height: int
) -> None:
    board = make_board()
    area = Bios(board, None).video.area
    ask(board, Bios(board, None).calls, 0x10, ax=mode)
    area[bda.COLUMNS], area[bda.LAST_ROW], area[bda.CHAR_HEIGHT] = columns, rows - 1, height
    assert (area.columns, area.rows, area.height) == (columns, rows, height)


def test_a_count_of_256_rows_is_told_as_a_byte() -> None:
    board = make_board()
    bios = Bios(board, None)
    ask(board, bios.calls, 0x10, ax=1)
    bios.video.area[bda.LAST_ROW] = 0xFF
    ask(board, bios.calls, 0x10, ax=0x1B00, bx=0, es=0, di=0x600)
    assert board.cpu.al == 0x1B
    assert board.bus.read8(0x622) == 0  # as a BIOS that adds one to 484h says it


BORDERS = (VGA_START, 0xB8000, ROM_START, ROM_END, 16 << 20, LFB_GPA)


@pytest.mark.parametrize("mode", [3, 0x12, 0x13])
def test_blocks_across_borders_equal_single_bytes(mode: int) -> None:
    rng = random.Random(mode)
    fast, slow = (make_board().bus for _ in range(2))
    for bus in (fast, slow):
        set_mode(bus.vga, mode)
    for border in BORDERS * 4:
        gpa, data = border - rng.randrange(1, 40), rng.randbytes(64)
        fast.write(gpa, data)
        for i in range(64):
            slow.write(gpa + i, data[i : i + 1])
        assert fast.read(gpa, 64) == b"".join(slow.read(gpa + i, 1) for i in range(64)), hex(gpa)
        assert (fast.vga.slot.array == slow.vga.slot.array).all()
        assert (fast.array == slow.array).all()


@pytest.mark.parametrize("gpa", [VGA_START - 9, ROM_START - 9, ROM_END - 9, (16 << 20) - 9])
def test_a_block_across_a_border_is_few_pieces(gpa: int) -> None:
    bus: Bus = make_board().bus
    with Functions() as work:
        bus.write(gpa, bus.read(gpa, 0x100000))
    assert work.called < 300  # once it was up to 10 million


def test_a_block_move_costs_time() -> None:
    board = make_board()
    calls = Bios(board, None).calls
    table = bytes(16) + bytes.fromhex("FFFF 0080 09 93 0000") * 2 + bytes(16)
    board.bus.write(0x600, table)
    begin = board.clock.now_ns()
    with Functions() as work:
        ask(board, calls, 0x15, ax=0x8700, cx=0x8000, es=0, si=0x600)
    assert board.cpu.ah == 0
    assert work.called < 1000
    assert board.clock.now_ns() - begin > 1_000_000
