"""INT 2Fh: what is there says so, what is not leaves AL alone, and DOS's own services answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from boards import STACK, ask, make_board

from vgaemu.pc.bios.bios import Bios
from vgaemu.pc.board import Board
from vgaemu.pc.cpu.cpu import CARRY, ZERO
from vgaemu.pc.dos import area
from vgaemu.pc.dos.dos import Dos
from vgaemu.pc.dos.tables import entry_at
from vgaemu.pc.images import DosProgram

DATA = 0x2000
#: Where the word above a call's frame is.
WORD_AT = STACK + 6


class Guest:
    """A program that calls INT 2Fh."""

    def __init__(self, root: Path) -> None:
        self.board: Board = make_board()
        self.bios = Bios(self.board, None)
        self.dos = Dos(self.board, self.bios, DosProgram(Path("p.com"), b"\xc3", []), root)
        self.board.cpu.set("ss", 0)

    def __call__(self, ax: int, text: bytes = b"", word: int = 0, **registers: int) -> int:
        """The flags; the text lies at DS:SI, the word on the stack."""
        self.bios.calls.new_slice()
        self.board.bus.write(DATA << 4, text + b"\0")
        self.board.bus.write16(WORD_AT, word)
        registers = {"ds": DATA, "si": 0, "es": DATA, "di": 0} | registers
        return ask(self.board, self.bios.calls, 0x2F, ah=ax >> 8, al=ax & 0xFF, **registers)


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    made = Guest(tmp_path)
    yield made
    made.dos.close()


@pytest.mark.parametrize("ax", [0x0100, 0x0600, 0x1000, 0x1100, 0x1500, 0x1600, 0x1687, 0xAD80])
def test_what_is_not_there_leaves_ax_alone(guest: Guest, ax: int) -> None:
    assert not guest(ax) & CARRY
    assert guest.board.cpu.ax == ax


@pytest.mark.parametrize(
    ("ax", "text", "word", "register", "value"),
    [
        (0x1200, b"", 0, "al", 0xFF),
        (0x1202, b"", 0x21, "bx", 0x84),
        (0x1203, b"", 0, "ds", area.SEGMENT),
        (0x1212, b"five", 0, "cx", 5),
        (0x1213, b"", 0x84, "al", 0x8E),
        (0x1217, b"", 2, "si", area.DIRECTORIES_OFFSET + 2 * area.DIRECTORY_BYTES),
        (0x121A, b"c:x", 0, "al", 3),
        (0x121A, b"x", 0, "al", 0),
        (0x121A, b"d:x", 0, "al", 0xFF),
        (0x1225, b"", 0, "cx", 1),
    ],
)
def test_services_of_dos(
    guest: Guest, ax: int, text: bytes, word: int, register: str, value: int
) -> None:
    assert not guest(ax, text, word) & CARRY
    assert getattr(guest.board.cpu, register) == value


def test_dates_and_leap_years(guest: Guest) -> None:
    days = []
    for year in (0, 1, 120):
        guest(0x121B, cl=year)
        days.append(guest.board.cpu.al)
    assert days == [29, 28, 28]  # 2100 is none
    guest(0x120D)
    now = guest.board.cmos.now()
    assert guest.board.cpu.ax >> 9 == now.tm_year - 1980


def test_names(guest: Guest) -> None:
    bus = guest.board.bus
    guest(0x1211, b"sub/a.txt", di=0x100)
    assert bus.read((DATA << 4) + 0x100, 10) == b"SUB\\A.TXT\0"
    assert guest(0x121E, b"Sub\\A.txt", di=0x100) & ZERO
    assert not guest(0x121E, b"sub\\b.txt", di=0x100) & ZERO
    guest(0x1221, b"sub/../b", di=0x200)
    assert bus.read((DATA << 4) + 0x200, 5) == b"C:\\B\0"
    assert guest(0x1214, di=0) & ZERO
    assert not guest(0x1214, di=1) & ZERO


def test_tables_of_files(guest: Guest) -> None:
    cpu = guest.board.cpu
    guest(0x1216, bx=1)
    assert (cpu.get("es"), cpu.di) == (area.SEGMENT, entry_at(1))
    assert guest(0x1216, bx=200) & CARRY
    guest(0x1220, bx=4)
    assert guest.board.bus.read8((cpu.get("es") << 4) + cpu.di) == 2  # PRN
    assert guest(0x1220, bx=20) & CARRY
    assert cpu.ax == 6


def test_a_program_that_idles_waits_for_an_interrupt(guest: Guest) -> None:
    cpu, calls = guest.board.cpu, guest.bios.calls
    guest(0x1680)
    assert cpu.get("eflags") & CARRY  # the stub halts, and asks again
    calls.call(0x2F)
    assert (cpu.al, cpu.get("eflags") & CARRY) == (0, CARRY)
