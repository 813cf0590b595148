"""DOS services on boards of their own: no PC, no engine; console lines, memory blocks, searches."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from boards import ask, make_board
from random_dos import CALLS, RandomDos, make_folders
from work import Functions

from vgaemu.display.screen import Screen
from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.bios.calls import WORK_A_SLICE, WORK_NS, Calls
from vgaemu.pc.bios.data_area import KEY_HEAD, KEY_TAIL, SEGMENT_BASE, DataArea
from vgaemu.pc.board import Board
from vgaemu.pc.clock import SERVICE_NS
from vgaemu.pc.cpu.cpu import CARRY
from vgaemu.pc.dos.area import FIRST_BLOCK_AT, PREFIX_AT
from vgaemu.pc.dos.console import Console, ControlC
from vgaemu.pc.dos.dos import Dos
from vgaemu.pc.dos.errors import BAD_BLOCK, BROKEN_CHAIN, NO_MEMORY, NO_MORE_FILES, DosError
from vgaemu.pc.dos.fcb import parse_call
from vgaemu.pc.dos.files import DosFiles
from vgaemu.pc.dos.memory import (
    BLOCKS_A_UNIT,
    ENVIRONMENT,
    FOLLOWED,
    FREE,
    HEAD,
    LAST,
    PREFIX,
    TOP,
    Memory,
)
from vgaemu.pc.dos.names import MAX_NAME, file_name
from vgaemu.pc.dos.search import Search
from vgaemu.pc.images import DosProgram

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
    assert (console.line.text, first_row(board)) == (b"xyz", "xyz")
    type_keys(bios, b"!\r")
    assert console.services[0x0A]() is None
    assert board.bus.read(BUFFER, 6) == b"\x04\x03xyz\r"
    assert console.line.text == b""


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
    console.line.text, console.line.begun = b"abcdef", True
    board.bus.write8(BUFFER, 4)
    type_keys(bios, b"\r")
    assert console.services[0x0A]() is None
    assert board.bus.read(BUFFER, 7) == b"\x04\x03abc\r\0"


def allocate(board: Board, memory: Memory, paragraphs: int) -> int:
    board.cpu.bx = paragraphs
    memory.services[0x48]()
    return board.cpu.ax


def first_program(board: Board) -> Memory:
    """Memory whose first program, a .COM one, has all of it."""
    memory = Memory(board, Calls(board))
    memory.begin(PREFIX, TOP - PREFIX)
    memory.current = PREFIX
    return memory


def resize(board: Board, memory: Memory, segment: int, paragraphs: int) -> None:
    board.cpu.set("es", segment)
    board.cpu.bx = paragraphs
    memory.services[0x4A]()


def test_blocks_are_first_fit_with_a_paragraph_between(board: Board) -> None:
    memory = first_program(board)
    with pytest.raises(DosError) as failed:
        allocate(board, memory, 1)  # the program has it all
    assert (failed.value.code, board.cpu.bx) == (NO_MEMORY, 0)
    resize(board, memory, PREFIX, 0x100)
    first, second = allocate(board, memory, 0x10), allocate(board, memory, 0x20)
    assert (first, second) == (PREFIX + 0x101, PREFIX + 0x112)
    board.cpu.set("es", first)
    memory.services[0x49]()
    assert memory.blocks()[2:] == [
        (first, FREE, 0x10), (second, PREFIX, 0x20), (second + 0x21, FREE, TOP - second - 0x21)
    ]  # fmt: skip
    assert allocate(board, memory, 0x11) == second + 0x21
    assert allocate(board, memory, 0x10) == first


def test_the_chain_is_what_programs_walk(board: Board) -> None:
    memory = first_program(board)
    resize(board, memory, PREFIX, 0x100)
    allocate(board, memory, 0x10)
    at, heads = board.bus.read16(FIRST_BLOCK_AT), []
    while not heads or heads[-1][0] == FOLLOWED:
        heads.append(HEAD.unpack(board.bus.read(at << 4, HEAD.size)))
        at += heads[-1][2] + 1
    assert at == TOP
    assert [head[:2] for head in heads] == [
        (FOLLOWED, PREFIX), (FOLLOWED, PREFIX), (FOLLOWED, PREFIX), (LAST, FREE)
    ]  # fmt: skip
    board.bus.write8(PREFIX - 1 << 4, 0)
    for call in (0x48, 0x49, 0x4A):
        with pytest.raises(DosError) as failed:
            memory.services[call]()
        assert failed.value.code == BROKEN_CHAIN


@pytest.mark.parametrize(("fit", "taken"), [(0, 0), (1, 2), (2, 3)])
def test_strategies(board: Board, fit: int, taken: int) -> None:
    memory = first_program(board)
    resize(board, memory, PREFIX, 0x10)
    blocks = [allocate(board, memory, size) for size in (0x40, 1, 0x20, 1, 0x30, 1)]
    rest = memory.largest()
    allocate(board, memory, rest)
    for nth in (0, 2, 4):
        board.cpu.set("es", blocks[nth])
        memory.services[0x49]()
    board.cpu.ax, board.cpu.bx = 0x5801, fit
    memory.services[0x58]()
    board.cpu.ax = 0x5800
    memory.services[0x58]()
    assert board.cpu.ax == fit
    last = blocks[4] + 0x30 - 0x18
    assert allocate(board, memory, 0x18) == [*blocks[:3], last][taken]
    board.cpu.ax, board.cpu.bx = 0x5801, 3
    with pytest.raises(DosError):
        memory.services[0x58]()


def test_a_block_grows_as_far_as_the_next(board: Board) -> None:
    memory = first_program(board)
    resize(board, memory, PREFIX, 0x100)
    first, second = allocate(board, memory, 0x10), allocate(board, memory, 0x10)
    board.cpu.set("es", second)
    memory.services[0x49]()
    third = allocate(board, memory, 0x10)
    assert third == second
    board.cpu.set("es", second)
    memory.services[0x49]()
    allocate(board, memory, TOP - second - 0x30)
    with pytest.raises(DosError) as failed:
        resize(board, memory, first, 0xFFFF)
    most = board.cpu.bx
    # It has what there was, as since DOS 2.1.
    assert (failed.value.code, memory.blocks()[2]) == (NO_MEMORY, (first, PREFIX, most))


def test_the_memory_of_all_blocks_comes_back(board: Board) -> None:
    memory = first_program(board)
    for segment in (ENVIRONMENT, PREFIX):
        board.cpu.set("es", segment)
        memory.services[0x49]()
    assert allocate(board, memory, TOP - ENVIRONMENT) == ENVIRONMENT
    board.cpu.set("es", ENVIRONMENT + 1)
    for service in (0x49, 0x4A):
        with pytest.raises(DosError) as failed:
            memory.services[service]()
        assert failed.value.code == BAD_BLOCK


def test_a_call_does_not_look_at_every_block_in_turn(board: Board) -> None:
    memory = first_program(board)
    at = PREFIX - 1 << 4
    for _ in range(19000):
        board.bus.write(at, HEAD.pack(FOLLOWED, PREFIX, 1))
        at += 2 << 4
    board.bus.write(at, HEAD.pack(LAST, FREE, TOP - (at >> 4) - 1))
    with Functions() as work:
        for _ in range(5):
            allocate(board, memory, 1)
    assert len(memory.blocks()) == 19007
    # A few for each, none of Python's.
    assert work.called < 5 * 19100
    # Nor as often in a frame as a short call: DOS goes from block to block.
    assert board.clock.now_ns() >= 5 * (19000 // BLOCKS_A_UNIT) * WORK_NS


@pytest.mark.parametrize(
    "blocks",
    [
        [(PREFIX, TOP - PREFIX + 1)], [(PREFIX, 2), (PREFIX + 1, 1)], [(PREFIX, 0), (PREFIX, 1)],
        [(PREFIX + 1, 1), (PREFIX, 1)], [(0, 1)], [(0xFFFF, 0xFFFF)],
    ],
)  # fmt: skip
def test_blocks_that_no_program_has_are_refused(board: Board, blocks: object) -> None:
    part = Memory(board, Calls(board)).parts()["dos.blocks"]
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
    for _ in range(3):
        call()
        entry = board.bus.read(search.dta, 43)
        size = int.from_bytes(entry[0x1A:0x1E], "little")
        found.append((entry[0x1E:].rstrip(b"\0"), size, entry[0x15]))
        call = search.services[0x4F]
    assert found == [(b"A.TXT", 5, 0x20), (b"B.TXT", 3, 0x20), (b"TOO_LO~1.TXT", 1, 0x20)]
    with pytest.raises(DosError) as failed:
        call()
    assert failed.value.code == NO_MORE_FILES


@pytest.mark.parametrize(
    ("text", "options", "before", "after", "length", "said"),
    [
        (b"dir \r", 1, b"", b"\0DIR        ", 3, 0),
        (b" \t c:readme.txt", 0, b"", b"\3README  TXT", 15, 0),
        (b"c:", 0, b"\1OLD     EXT", b"\3           ", 2, 0),
        (b"c:", 14, b"\1OLD     EXT", b"\3OLD     EXT", 2, 0),
        (b".c", 14, b"\1OLD     EXT", b"\1OLD     C  ", 2, 0),
        (b"a.", 14, b"\1OLD     EXT", b"\1A          ", 2, 0),
        (b"A", 2, b"\1OLD     EXT", b"\1A          ", 1, 0),
        (b"a*b.?", 0, b"", b"\0A????????  ", 5, 1),
        (b"longer-than-8.long", 0, b"", b"\0LONGER-TLON", 18, 0),
        (b"z:a*", 0, b"", b"\x1aA???????   ", 4, 0xFF),
        (b"1:a", 0, b"", b"\xf1A          ", 3, 0xFF),
        (b" , ;x", 1, b"", b"\0           ", 3, 0),  # one separator is gone past
        (b" , x", 1, b"", b"\0X          ", 4, 0),
        (b",x", 0, b"", b"\0           ", 0, 0),
        (b"\\sub\\a", 1, b"", b"\0           ", 0, 0),
        (b"a/b", 1, b"", b"\0A          ", 1, 0),
    ],
)
def test_names_become_fcbs(
    board: Board, text: bytes, options: int, before: bytes, after: bytes, length: int, said: int
) -> None:
    board.bus.write(BUFFER, text + b"\r")
    board.bus.write(BUFFER + 0x200, before + b"\xee" * (20 - len(before)))
    cpu = board.cpu
    cpu.ax, cpu.si, cpu.di = 0x2900 | options, 0, 0x200
    cpu.set("es", BUFFER >> 4)
    parse_call(board)
    assert board.bus.read(BUFFER + 0x200, 12) == after
    assert board.bus.read(BUFFER + 0x20C, 8) == bytes(4) + b"\xee" * 4
    assert (cpu.si, cpu.ax, cpu.di) == (length, 0x2900 | said, 0x200)


@pytest.mark.parametrize("text", [b"a" * 300, b" " * 300, b"," * 300, b"*" * 300, bytes(300)])
def test_a_name_that_does_not_end_is_cut_off(board: Board, text: bytes) -> None:
    board.bus.write(BUFFER, text)
    board.cpu.ax = 0x2901
    parse_call(board)
    assert board.cpu.si <= MAX_NAME


@pytest.mark.parametrize(
    ("args", "first", "second", "drives"),
    [
        ([], b"\0" + b" " * 11, b"\0" + b" " * 11, 0),
        (["a.txt", "b:x.y"], b"\0A       TXT", b"\2X       Y  ", 0),
        (["c:\\sub\\x", "y"], b"\3" + b" " * 11, b"\0Y          ", 0),
        (["/q", "*.c"], b"\0" + b" " * 11, b"\0????????C  ", 0),
        (["x:a", "y:"], b"\x18A          ", b"\x19           ", 0xFFFF),
    ],
)
def test_a_program_finds_its_arguments_as_fcbs(
    board: Board, bios: Bios, args: list[str], first: bytes, second: bytes, drives: int
) -> None:
    Dos(board, bios, DosProgram(Path("p.com"), b"\xc3", args), None)
    at = PREFIX << 4
    assert board.bus.read(at + 0x5C, 12) == first
    assert board.bus.read(at + 0x6C, 12) == second
    assert (board.cpu.ax, board.cpu.bx) == (drives, drives)


def test_registers_and_prefix_at_start(board: Board, bios: Bios) -> None:
    dos = Dos(board, bios, DosProgram(Path("p.com"), b"\xc3", []), None)
    registers = board.cpu.registers()
    assert [registers.pop(name) for name in ("cs", "ds", "es", "ss", "edx")] == [PREFIX] * 5
    assert PREFIX >> 8 == 1
    assert {name: value for name, value in registers.items() if value} == {
        "ecx": 0xFF, "esi": 0x100, "edi": 0xFFFE, "esp": 0xFFFE, "ebp": 0x91C, "eip": 0x100,
        "eflags": 0x202,
    }  # fmt: skip
    environment = board.bus.read16((PREFIX << 4) + 0x2C)
    assert board.bus.read(environment << 4, 8) == b"COMSPEC="
    assert dos.memory.blocks()[1] == (PREFIX, PREFIX, TOP - PREFIX)


@pytest.fixture
def dos(board: Board, bios: Bios) -> Dos:
    made = Dos(board, bios, DosProgram(Path("p.com"), b"\xc3", []), None)
    board.cpu.set("ss", 0)
    return made


def test_the_prefix_of_the_running_program(board: Board, bios: Bios, dos: Dos) -> None:
    for ah in (0x51, 0x62):
        ask(board, bios.calls, 0x21, ah=ah)
        assert board.cpu.bx == PREFIX
    ask(board, bios.calls, 0x21, ah=0x50, bx=0x1234)
    ask(board, bios.calls, 0x21, ah=0x62, bx=0)
    assert board.cpu.bx == 0x1234
    board.bus.write16(PREFIX_AT, 0)  # a state of before it was noted there
    ask(board, bios.calls, 0x21, ah=0x62)
    assert board.cpu.bx == 0x0800


def test_switch_character_and_current_folder(board: Board, bios: Bios, dos: Dos) -> None:
    said = []
    for al in range(5):
        ask(board, bios.calls, 0x21, ah=0x37, al=al, dx=0x1100)
        said.append((board.cpu.al, board.cpu.dx))
    assert said == [(0, 0x112F), (0, 0x1100), (0, 0x11FF), (0, 0x1100), (0xFF, 0x1100)]
    for name, fails in ((b"C:\\", 0), (b".", 0), (b"\\", 0), (b"SUB", CARRY), (b"D:\\", CARRY)):
        board.bus.write(BUFFER, name + b"\0")
        assert ask(board, bios.calls, 0x21, ah=0x3B, ds=BUFFER >> 4, dx=0) & CARRY == fails


def test_calls_of_dos_1_fail_in_their_own_way(board: Board, bios: Bios, dos: Dos) -> None:
    # A program that lists files asks 12h until AL is FFh, and one that reads 14h until it is 1.
    for ah, said in ((0x0F, 0xFF), (0x11, 0xFF), (0x12, 0xFF), (0x16, 0xFF), (0x14, 1), (0x15, 1)):
        assert not ask(board, bios.calls, 0x21, ax=ah << 8) & CARRY
        assert board.cpu.ax == ah << 8 | said
    assert ask(board, bios.calls, 0x21, ax=0x6B00) & CARRY
    assert board.cpu.ax == 1
    assert not ask(board, bios.calls, 0x21, ax=0x71A0) & CARRY
    assert board.cpu.ax == 0x7100  # programs set the carry flag, and look whether it is so


def test_characters_of_aux(
    board: Board, bios: Bios, dos: Dos, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, sent = bytearray(), bytearray()
    auxiliary = dos.handles.auxiliary
    monkeypatch.setattr(auxiliary, "receive", lambda count: bytes(line[:count]))
    monkeypatch.setattr(auxiliary, "send", sent.extend)
    ask(board, bios.calls, 0x21, ax=0x0300)
    assert board.cpu.get("eflags") & CARRY  # it waits
    line += b"a"
    board.cpu.set("eflags", 2)
    ask(board, bios.calls, 0x21, ax=0x0300)
    assert (board.cpu.al, board.cpu.get("eflags") & CARRY) == (ord("a"), 0)
    ask(board, bios.calls, 0x21, ax=0x0400, dx=ord("b"))
    assert sent == b"b"


def test_a_name_has_no_control_characters(board: Board) -> None:
    board.bus.write(BUFFER, b"A.TXT\0B\n\0")
    assert file_name(board) == "A.TXT"
    board.cpu.dx = 6
    with pytest.raises(DosError):
        file_name(board)


def test_a_program_that_exits_says_its_code(board: Board, bios: Bios, tmp_path: Path) -> None:
    Dos(board, bios, DosProgram(tmp_path / "p.com", b"\xc3", ["a"]), None)
    assert board.bus.read((PREFIX << 4) + 0x80, 4) == b"\x02 a\r"
    board.cpu.set("ss", 0)
    assert ask(board, bios.calls, 0x21, ax=0x4B02) & CARRY
    assert board.cpu.ax == 1
    ask(board, bios.calls, 0x21, ax=0x4C07)
    assert (board.run.ended, board.run.exit_code) == (True, 7)


# --- any call -------------------------------------------------------------------------------------

#: What a call may do for each unit of `Calls.spend`, about 0.15 ms of the host's time; and in all.
FUNCTIONS_A_UNIT, FUNCTIONS = 350, 100_000


@pytest.mark.parametrize("seed", range(24))
def test_any_call_is_bounded_and_leaves_what_it_does_not_document(
    tmp_path: Path, seed: int
) -> None:
    root = make_folders(tmp_path)
    for call in RandomDos(random.Random(seed), root).series():
        assert call.functions <= min(FUNCTIONS_A_UNIT * call.ns / WORK_NS, FUNCTIONS), call
    assert [path.read_bytes() for path in (tmp_path / "outside").iterdir()] == [b"secret"]


def of_register(dos: Dos) -> None:
    version = dos._services[0x30]
    dos._services[0x30] = lambda: (version(), dos._cpu.set("esi", 1))[0]


def of_the_upper_half(dos: Dos) -> None:
    dos._services[0x19] = lambda: dos._cpu.set("eax", 2)


def of_a_flag(dos: Dos) -> None:
    dos._services[0x0E] = lambda: dos._calls.carry(True)


def of_a_saved_line(dos: Dos) -> None:
    dos.console.line.text = bytes(300)


@pytest.mark.parametrize("fault", [of_register, of_the_upper_half, of_a_flag, of_a_saved_line])
def test_random_calls_find_a_fault(tmp_path: Path, fault: Callable[[Dos], None]) -> None:
    root = make_folders(tmp_path)

    def search() -> None:
        for seed in range(20):
            calls = RandomDos(random.Random(seed), root, count=False)
            fault(calls.dos)
            assert len([*calls.series()]) == CALLS

    with pytest.raises(AssertionError):
        search()
