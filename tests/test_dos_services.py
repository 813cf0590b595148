"""DOS services on boards of their own: no PC, no engine; console lines, memory blocks, searches."""

from __future__ import annotations

from pathlib import Path

import pytest
from boards import ask, make_board

from vgaemu.display.screen import Screen
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.board import Board
from vgaemu.pc.cpu.cpu import CARRY
from vgaemu.pc.dos.console import Console, ControlC
from vgaemu.pc.dos.dos import Dos
from vgaemu.pc.dos.errors import NO_MEMORY, NO_MORE_FILES, DosError
from vgaemu.pc.dos.files import DosFiles, file_name
from vgaemu.pc.dos.memory import ENVIRONMENT, PREFIX, TOP, Memory
from vgaemu.pc.dos.search import Search
from vgaemu.pc.images import ComProgram

BUFFER = 0x20000


@pytest.fixture
def board() -> Board:
    board = make_board()
    board.cpu.ds = BUFFER >> 4
    board.cpu.sp = 0x7000
    return board


@pytest.fixture
def bios(board: Board) -> Bios:
    bios = Bios(board, None)
    bios.video.modes.set_mode(3)
    return bios


@pytest.fixture
def console(board: Board, bios: Bios) -> Console:
    return Console(board, bios)


def type_keys(bios: Bios, text: bytes) -> None:
    for code in text:
        assert bios.keyboard.buffer.put(code)


def first_row(board: Board) -> str:
    return Screen(board.vga).text()[0].rstrip()


def test_a_line_waits_for_enter_and_is_edited(board: Board, bios: Bios, console: Console) -> None:
    board.bus.write8(BUFFER, 4)  # room for three and the return
    type_keys(bios, b"ab\b\b\bxyz")
    assert console.services[0x0A]() is True  # it waits
    assert (bytes(console.line), first_row(board)) == (b"xyz", "xyz")
    type_keys(bios, b"!\r")
    assert console.services[0x0A]() is None
    assert board.bus.read(BUFFER, 6) == b"\x04\x03xyz\r"
    assert console.line == b""


def test_a_line_by_handle_goes_out_in_pieces(board: Board, bios: Bios, console: Console) -> None:
    type_keys(bios, b"abc\r")
    lengths = []
    for _ in range(3):
        assert console.read(BUFFER + len(b"ab") * len(lengths), 2) is None
        lengths.append(board.cpu.ax)
    assert (lengths, board.bus.read(BUFFER, 5)) == ([2, 2, 1], b"abc\r\n")
    assert console.read(BUFFER, 2) is True


@pytest.mark.parametrize("service", [0x01, 0x08, 0x0A])
def test_ctrl_c_leaves_a_call_that_heeds_it(bios: Bios, console: Console, service: int) -> None:
    type_keys(bios, b"\x03")
    with pytest.raises(ControlC):
        console.services[service]()


def test_ctrl_c_is_a_character_for_calls_that_do_not(
    board: Board, bios: Bios, console: Console
) -> None:
    type_keys(bios, b"\x03")
    console.services[0x07]()
    assert board.cpu.al == 3


def test_tabs_and_flushing(board: Board, bios: Bios, console: Console) -> None:
    for code in b"a\tb":
        console.type(code)
    assert first_row(board) == "a       b"
    type_keys(bios, b"old")
    board.cpu.ax = 0x0C07
    assert console.services[0x0C]() is True
    assert board.cpu.ah == 0x07  # asked again, it flushes nothing more
    type_keys(bios, b"n")
    assert console.services[board.cpu.ah]() is None
    assert board.cpu.al == ord("n")


def allocate(board: Board, memory: Memory, paragraphs: int) -> int:
    board.cpu.bx = paragraphs
    memory.services[0x48]()
    return board.cpu.ax


def test_blocks_are_first_fit_with_a_paragraph_between(board: Board) -> None:
    memory = Memory(board)
    with pytest.raises(DosError) as failed:
        allocate(board, memory, 1)  # the program has it all
    assert (failed.value.code, board.cpu.bx) == (NO_MEMORY, 0)
    board.cpu.set("es", PREFIX)
    board.cpu.bx = 0x100
    memory.services[0x4A]()
    first, second = allocate(board, memory, 0x10), allocate(board, memory, 0x20)
    assert (first, second) == (PREFIX + 0x101, PREFIX + 0x112)
    board.cpu.set("es", first)
    memory.services[0x49]()
    (hole, size), last = memory.gaps()
    assert (hole, last) == (first, (second + 0x21, TOP - second - 0x21))
    assert allocate(board, memory, size + 1) == second + 0x21
    assert allocate(board, memory, 0x10) == first


def test_a_block_grows_as_far_as_the_next(board: Board) -> None:
    memory = Memory(board)
    board.cpu.set("es", ENVIRONMENT)
    board.cpu.bx = 0xFFFF
    with pytest.raises(DosError):
        memory.services[0x4A]()
    assert board.cpu.bx == PREFIX - ENVIRONMENT
    memory.services[0x4A]()
    assert memory.blocks[ENVIRONMENT] == PREFIX - ENVIRONMENT


def test_find_first_and_next(board: Board, bios: Bios, tmp_path: Path) -> None:
    for name, size in (("b.txt", 3), ("a.txt", 5), ("c.dat", 0), ("too_long_a_name.txt", 1)):
        (tmp_path / name).write_bytes(bytes(size))
    search = Search(board, bios.calls, DosFiles(tmp_path))
    board.cpu.dx = 0x100
    search.services[0x1A]()
    assert search.dta == BUFFER + 0x100
    board.bus.write(BUFFER, b"*.TXT\0")
    board.cpu.dx = board.cpu.cx = 0
    found = []
    call = search.services[0x4E]
    for _ in range(2):
        call()
        entry = board.bus.read(search.dta, 43)
        size = int.from_bytes(entry[0x1A:0x1E], "little")
        found.append((entry[0x1E:].rstrip(b"\0"), size, entry[0x15]))
        call = search.services[0x4F]
    assert found == [(b"A.TXT", 5, 0x20), (b"B.TXT", 3, 0x20)]
    with pytest.raises(DosError) as failed:
        call()
    assert failed.value.code == NO_MORE_FILES


def test_a_name_has_no_control_characters(board: Board) -> None:
    board.bus.write(BUFFER, b"A.TXT\0B\n\0")
    assert file_name(board) == "A.TXT"
    board.cpu.dx = 6
    with pytest.raises(DosError):
        file_name(board)


def test_a_program_that_exits_says_its_code(board: Board, bios: Bios, tmp_path: Path) -> None:
    Dos(board, bios, ComProgram(tmp_path / "p.com", b"\xc3", ["a"]), None)
    assert board.bus.read((PREFIX << 4) + 0x80, 4) == b"\x02 a\r"
    board.cpu.set("ss", 0)
    assert ask(board, bios.calls, 0x21, ah=0x4B) & CARRY
    assert board.cpu.ax == 1
    ask(board, bios.calls, 0x21, ax=0x4C07)
    assert (board.run.ended, board.run.exit_code) == (True, 7)
