"""DOS services on boards of their own: no PC, no engine; console lines, memory blocks, searches."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from boards import ask, make_board

from vgaemu.display.screen import Screen
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.calls import WORK_A_SLICE, WORK_NS, Calls
from vgaemu.pc.bios.data_area import KEY_HEAD, KEY_TAIL, SEGMENT_BASE, DataArea
from vgaemu.pc.board import Board
from vgaemu.pc.clock import SERVICE_NS
from vgaemu.pc.cpu.cpu import CARRY
from vgaemu.pc.dos.console import Console, ControlC
from vgaemu.pc.dos.dos import Dos
from vgaemu.pc.dos.errors import BAD_BLOCK, NO_MEMORY, NO_MORE_FILES, DosError
from vgaemu.pc.dos.files import DosFiles
from vgaemu.pc.dos.memory import BLOCKS_A_UNIT, ENVIRONMENT, PREFIX, TOP, Memory
from vgaemu.pc.dos.names import file_name
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


def count_calls(work: Callable[[], object]) -> int:
    """Calls of functions, of Python and of C, that some work takes."""
    counted = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


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
    bios.calls.services[0x21] = console.services[0x0C]
    assert ask(board, bios.calls, 0x21, ax=0x0C07)
    assert board.cpu.get("eflags") & CARRY  # it waits
    board.cpu.set("eflags", 0)
    type_keys(bios, b"n")
    ask(board, bios.calls, 0x21)  # again, it flushes nothing more
    assert (board.cpu.get("eflags") & CARRY, board.cpu.ax) == (0, 0x0C00 | ord("n"))
    assert not bios.calls.unfinished


def never_ending_keys(board: Board, head: int) -> None:
    """Letters in the key buffer, whose head never meets its tail, which is odd."""
    data = DataArea(board.bus)
    data[KEY_HEAD], data[KEY_TAIL] = head, 0x21
    for at in (*range(0x1E, 0x3E, 2), head):
        board.bus.write16(SEGMENT_BASE + at, 0x1E61)


@pytest.mark.parametrize("service", [0x0A, 0x0C])
@pytest.mark.parametrize("head", [0x1E, 0xFFFE])
def test_keys_that_never_end_take_slices(
    board: Board, bios: Bios, console: Console, service: int, head: int
) -> None:
    never_ending_keys(board, head)
    bios.calls.services[0x21] = console.services[service]
    board.bus.write8(BUFFER, 20)
    before = board.clock.now_ns()
    ask(board, bios.calls, 0x21, ah=service, al=0)
    waits = bool(board.cpu.get("eflags") & CARRY)
    assert waits == (service == 0x0A)
    assert (board.run.wake_ns == 0) == waits  # to be asked again at once
    assert board.clock.now_ns() - before <= SERVICE_NS + (WORK_A_SLICE + 4) * WORK_NS


def test_a_read_from_the_console_takes_slices(board: Board, bios: Bios, console: Console) -> None:
    never_ending_keys(board, 0x1E)
    assert console.read(BUFFER, 10) is True
    assert (board.run.wake_ns, bios.calls.exhausted) == (0, True)


def test_a_line_that_a_larger_buffer_began(board: Board, bios: Bios, console: Console) -> None:
    console.line = b"abcdef"
    board.bus.write8(BUFFER, 4)
    type_keys(bios, b"\r")
    assert console.services[0x0A]() is None
    assert board.bus.read(BUFFER, 7) == b"\x04\x03abc\r\0"


def allocate(board: Board, memory: Memory, paragraphs: int) -> int:
    board.cpu.bx = paragraphs
    memory.services[0x48]()
    return board.cpu.ax


def test_blocks_are_first_fit_with_a_paragraph_between(board: Board) -> None:
    memory = Memory(board, Calls(board))
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
    begins, rooms = memory.gaps()
    assert begins[2:].tolist() == [first, second + 0x21]
    assert rooms.tolist() == [-1, -1, 0x10, TOP - second - 0x21]
    assert allocate(board, memory, 0x11) == second + 0x21
    assert allocate(board, memory, 0x10) == first


def test_a_block_grows_as_far_as_the_next(board: Board) -> None:
    memory = Memory(board, Calls(board))
    board.cpu.set("es", ENVIRONMENT)
    board.cpu.bx = 0xFFFF
    with pytest.raises(DosError):
        memory.services[0x4A]()
    assert board.cpu.bx == PREFIX - ENVIRONMENT - 1
    memory.services[0x4A]()
    assert memory.blocks[0].tolist() == [ENVIRONMENT, PREFIX - ENVIRONMENT - 1]


def test_the_memory_of_all_blocks_comes_back(board: Board) -> None:
    memory = Memory(board, Calls(board))
    for segment in (ENVIRONMENT, PREFIX):
        board.cpu.set("es", segment)
        memory.services[0x49]()
    assert memory.part().array().shape == (0, 2)
    assert allocate(board, memory, TOP - ENVIRONMENT) == ENVIRONMENT
    board.cpu.set("es", ENVIRONMENT + 1)
    for service in (0x49, 0x4A):
        with pytest.raises(DosError) as failed:
            memory.services[service]()
        assert failed.value.code == BAD_BLOCK


def test_a_call_does_not_look_at_every_block_in_turn(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(board, Calls(board))
    starts = np.arange(PREFIX, PREFIX + 38000, 2)
    memory.blocks = np.stack((starts, np.ones_like(starts)), axis=1)
    calls = count_calls(lambda: [allocate(board, memory, 1) for _ in range(20)])
    assert len(memory.blocks) == 19020
    assert calls < 20 * 100
    # Nor as often in a frame as a short call: DOS goes from block to block.
    assert board.clock.now_ns() >= 20 * (19000 // BLOCKS_A_UNIT) * WORK_NS


@pytest.mark.parametrize(
    "blocks",
    [
        [(PREFIX, TOP - PREFIX + 1)], [(PREFIX, 2), (PREFIX + 1, 1)], [(PREFIX, 0), (PREFIX, 1)],
        [(PREFIX + 1, 1), (PREFIX, 1)], [(0, 1)], [(0xFFFF, 0xFFFF)],
    ],
)  # fmt: skip
def test_blocks_that_no_program_has_are_refused(board: Board, blocks: object) -> None:
    part = Memory(board, Calls(board)).part()
    assert part.takes(part.array())
    assert part.takes(np.zeros((0, 2), "u2"))
    assert not part.takes(np.array(blocks, "u2"))


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
