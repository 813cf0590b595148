"""BIOS calls that guests poll, answered where they are made: as the services answer them.

The guest calls INT 1Ah/00h, 16h/01h and 11h, 10h/03h of several pages, and others beside them, with
each of some keys in the buffer and with none. After each call it stores flags, ECX, EDX, EAX and
what was pushed as FLAGS.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("unicorn")

from test_native import needs_native
from twin_guests import Left, left
from x86_helpers import disk, make_pc

from vgaemu import native
from vgaemu.native import cpu_cells, polls
from vgaemu.pc import clock
from vgaemu.pc.bios import data_area as bda
from vgaemu.pc.cpu.unicorn import UnicornCpu
from vgaemu.pc.cpu.unicorn_calls import Answers
from vgaemu.pc.pc import Pc

POLLS = bytes.fromhex(
    "FA 31 C0 8E D8 8E C0 8E D0 BC 00 70 BF 00 60 BE C2 7C FC AD A3 1E 04 C7 06 1A 04 1E "
    "00 C7 06 1C 04 20 00 83 F8 01 75 06 C7 06 1C 04 1E 00 C6 06 70 04 01 89 36 50 04 89 "
    "3E 5E 04 BD A3 7C 66 B8 21 43 65 87 66 BB DD CC BB A9 88 FB 8A 7E 02 66 B9 21 43 65 "
    "87 66 BA 98 BA DC FE 8A 66 01 80 7E 00 10 72 36 74 12 80 7E 00 16 74 06 39 C8 CD 1A "
    "EB 09 39 C9 CD 16 EB 03 F9 CD 10 66 9C 66 50 66 58 66 AB 66 89 C8 66 AB 66 89 D0 66 "
    "AB 66 58 66 AB A1 FA 6F AB 83 C5 03 EB A4 80 3C 00 0F 85 72 FF FA F4 1A 00 00 1A 00 "
    "00 16 01 00 16 11 00 16 01 00 10 03 00 10 03 07 10 03 FF 10 0F 00 16 02 00 00 01 00 "
    "61 1E 0D E0 0A E0 2F E0 35 E0 E0 4B E0 E0 00 00"
)
#: int 16h/01h for ever, interrupts off; INT 08h counts at 500h.
WAITING = bytes.fromhex("FA 31 C0 8E D8 B4 01 CD 16 EB FA")


def run(path: Path, change: Callable[[UnicornCpu], None]) -> tuple[Left, bytes]:
    with make_pc(path) as pc:
        assert isinstance(pc.cpu, UnicornCpu)
        pc.cpu._slices_in_python = -1
        change(pc.cpu)
        assert next(pc.slices(), 0) == 0
        # How often the clock was told differs: an answer is told at once.
        found = {name: value for name, value in left(pc).items() if name != "events"}
        return found, bytes(pc.bus.memory[:0x7000])


def to_services(cpu: UnicornCpu) -> None:
    cpu._may_answer = lambda: False


def to_native(cpu: UnicornCpu) -> None:
    assert native.load(wait=True)
    cpu._slices_in_python = 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return disk(tmp_path, POLLS)


def test_an_answer_is_the_service_s(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = Answers.of

    def counted(self: Answers, target: int, flags: int, at: int) -> object:
        found = real(self, target, flags, at)
        asked.append(found is not None)
        return found

    monkeypatch.setattr(Answers, "of", counted)
    answered, memory = run(path, lambda cpu: None)
    # Of ten calls with each key these two are none: INT 10h/0Fh and 16h/02h.
    assert asked.count(True) == 8 * 8
    served, expected = run(path, to_services)
    assert memory == expected
    # Of what a stub is there is no translated code without it.
    assert {name for name in served if served[name] != answered[name]} <= {"code"}


@needs_native
def test_native_answers_are_python_s(path: Path) -> None:
    assert run(path, to_native) == run(path, lambda cpu: None)


def test_interrupts_come_in_where_a_service_lets_them(tmp_path: Path) -> None:
    def ticks(pc: Pc) -> int:
        return pc.bus.read32(bda.TICKS.address)

    with make_pc(disk(tmp_path, WAITING)) as pc:
        before = ticks(pc)
        turns = pc.slices()
        for _ in range(20):
            next(turns)
        assert ticks(pc) - before in (5, 6)


def test_numbers_that_the_floors_above_have_are_theirs() -> None:
    at = polls.KEY_HEAD_AT, polls.KEY_TAIL_AT, polls.CURSORS_AT, polls.CURSOR_SHAPE_AT
    fields = bda.KEY_HEAD, bda.KEY_TAIL, bda.CURSORS, bda.CURSOR_SHAPE
    assert at == tuple(field.address for field in fields)
    assert (bda.TICKS.address, bda.MIDNIGHT.address) == (polls.TICKS_AT, polls.MIDNIGHT_AT)
    assert polls.DATA_AT == bda.SEGMENT_BASE
    assert cpu_cells.POLL_NS == clock.POLL_NS
    stub = 4 * clock.INSTRUCTION_NS
    assert stub + clock.PORT_NS + clock.SERVICE_NS == cpu_cells.ANSWER_NS
