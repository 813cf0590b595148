"""The video BIOS: what one call may take, text and graphics, states, VBE's corners."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from work import Functions
from x86_helpers import call, disk, make_pc, run_until_halted

from vgaemu.display.screen import Screen
from vgaemu.machine import Machine
from vgaemu.pc.build import MOVED_BYTES_A_NS
from vgaemu.pc.clock import INSTRUCTION_NS, PLANES_NS, StepClock
from vgaemu.pc.pace import WallClock
from vgaemu.pc.pc import FRAME_NS, Pc
from vgaemu.vga.modes import MODES
from vgaemu.vga.vram import LFB_GPA

pytest.importorskip("unicorn")

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)
GRAPHICS = [number for number, mode in MODES.items() if not mode.is_text]


@pytest.fixture
def pc(tmp_path: Path) -> Iterator[Pc]:
    with make_pc(disk(tmp_path, b"\xf4"), vram_pages=4096) as made:
        yield made


def int10(pc: Pc, **registers: int) -> None:
    """INT 10h in slices of its own: asked again while it waits, as its stub does."""
    cpu = pc.cpu
    pc.bios.new_slice()
    cpu.set("eflags", 2)
    call(pc, 0x10, **registers)
    while cpu.get("eflags") & 1:
        pc.bios.new_slice()
        cpu.set("eflags", 2)
        pc.bios.calls.call(0x10)


def test_a_users_font_is_nothing_to_vbe_modes(pc: Pc) -> None:
    pc.vga.rom_font = np.full((256, 8), 0x55, np.uint8)
    int10(pc, ax=0x4F02, bx=0x101)
    assert pc.cpu.ax == 0x004F
    assert pc.bios.video.area.vbe_mode is not None


# --- what one call may take -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("characters", "B8 12 00 CD 10 B8 41 09 BB 07 00 B9 FF FF CD 10 EB F3"),
        ("characters, xor", "B8 12 00 CD 10 B8 41 09 BB 87 00 B9 FF FF CD 10 EB F3"),
        ("string", "B8 12 00 CD 10 B8 01 13 BB 07 00 B9 FF FF 31 D2 31 ED CD 10 EB EF"),
        ("read", "B8 12 00 CD 10 B4 08 B7 00 CD 10 EB F8"),
        ("grey scale", "B8 1B 10 31 DB B9 00 01 CD 10 EB F4"),
        ("colours", "B8 12 10 31 DB B9 00 01 CD 10 EB F4"),
        ("VBE colours", "B8 09 4F 31 DB 31 D2 B9 00 01 CD 10 EB F2"),
        ("modes", "B8 12 00 CD 10 EB F9"),
        ("scroll", "B8 12 00 CD 10 B8 01 06 31 C9 BA 4F 1D CD 10 EB F3"),
        ("font", "B8 04 11 31 DB CD 10 EB F7"),
    ],
)
def test_a_loop_around_a_call_leaves_slices_short(tmp_path: Path, name: str, program: str) -> None:
    with make_pc(disk(tmp_path, bytes.fromhex(program))) as pc:
        for _ in range(3):
            pc.step(pc.clock.now_ns() + 1_000_000_000)
        for _ in range(3):
            with Functions() as work:
                pc.step(pc.clock.now_ns() + 1_000_000_000)
            # At most some 15 ms; once it was 40 to 10 000.
            assert work.called < 60_000


@pytest.mark.parametrize(
    ("name", "program"),
    [
        # mov dx, 3C4h; mov al, 4; out dx, al; inc dx; again: xor al, 8; out dx, al; jmp again
        ("chain-4", "BA C4 03 B0 04 EE 42 34 08 EE EB FB"),
        # mov ax, 4F02h; mov bx, 118h; int 10h; mov dx, 1CEh; mov ax, 4; out dx, ax; inc dx
        # again: xor ax, 45h; out dx, ax; jmp again
        ("DISPI", "B8 02 4F BB 18 01 CD 10 BA CE 01 B8 04 00 EF 42 35 45 00 EF EB FA"),
    ],
)
def test_what_ports_move_takes_time(tmp_path: Path, name: str, program: str) -> None:
    with make_pc(disk(tmp_path, bytes.fromhex(program)), vram_pages=4096) as pc:
        moved: list[int] = []
        pc.vga.on_moved.append(moved.append)
        for _ in range(3):
            moved.clear()
            pc.run_frame()
            # A frame ends with the move that takes its time up.
            assert 1 <= len(moved) <= 2 + FRAME_NS * MOVED_BYTES_A_NS // min(moved)


@pytest.mark.parametrize(("store", "words"), [("AA", 1), ("AB", 1), ("66 AB", 2)])
def test_the_bus_of_the_planes_has_16_bits(tmp_path: Path, store: str, words: int) -> None:
    took = []
    for stores in ("", f"{store} " * 32):
        # mov ax, 12h; int 10h; push 0A000h; pop es; xor di, di; cli; stores; hlt
        program = f"B8 12 00 CD 10 68 00 A0 07 31 FF FA {stores} F4"
        with make_pc(disk(tmp_path, bytes.fromhex(program))) as pc:
            run_until_halted(pc)
            took.append(pc.clock.now_ns())
    assert took[1] - took[0] == 32 * (INSTRUCTION_NS + words * PLANES_NS)


@pytest.mark.parametrize("number", [3, 0x12])
def test_a_long_string_is_written_whole(
    pc: Pc, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = b"".join(b"%05d " % n for n in range(1000))
    pc.bus.write(0x9000, words)
    results = []
    for whole in (False, True):
        int10(pc, ax=number)
        if whole:  # at once
            monkeypatch.setattr(pc.bios.calls, "spend", lambda units: None)
        int10(pc, ax=0x1301, bx=0x0007, cx=len(words), dx=0x0302, es=0x900, bp=0)
        results.append((Screen(pc.vga).full_redraw().copy(), pc.bios.video.area.cursor(0)))
    np.testing.assert_array_equal(results[0][0], results[1][0])
    last, columns = pc.bios.video.area.rows - 1, 80
    assert results[0][1] == results[1][1] == (last, (3 * columns + 2 + len(words)) % columns)
    assert pc.clock.now_ns() > 1_000_000


# A string of 1BFFh characters, a character FFFFh times.
@pytest.mark.parametrize(("call", "count"), [("00 13", 0x1BFF), ("41 09", 0xFFFF)])
def test_interrupts_come_within_a_long_call(tmp_path: Path, call: str, count: int) -> None:
    # mode 12h; bl = 7; cx = count; dx = 0; bp = 0; int 10h; cli; hlt
    cx = count.to_bytes(2, "little").hex()
    program = f"B8 12 00 CD 10 B8 {call} BB 07 00 B9 {cx} 31 D2 31 ED CD 10 FA F4"
    with Machine(str(disk(tmp_path, bytes.fromhex(program)))) as machine:
        assert machine.pc is not None
        bus, cursors, ticks = machine.pc.bus, set(), set()
        while machine.tick():
            cursors.add(bus.read16(0x450))
            ticks.add(bus.read32(0x46C))
        assert machine.pc.cpu.cx == count
        if call == "00 13":
            assert len(cursors) > 10
            assert len(ticks) > 10
            assert bus.read16(0x450) == 0
        assert not machine.pc.bios.calls.unfinished


def test_a_string_without_its_cursor_puts_the_old_one_back(pc: Pc) -> None:
    pc.bus.write(0x9000, b"x" * 3000)
    int10(pc, ah=2, bh=0, dx=0x0711)
    int10(pc, ax=0x1300, bx=0x0007, cx=3000, dx=0x0000, es=0x900, bp=0)
    assert pc.bios.video.area.cursor(0) == (7, 0x11)
    assert Screen(pc.vga).text()[0] == "x" * 80


def test_a_string_wraps_in_its_segment(pc: Pc) -> None:
    pc.bus.write(0x18FFE, b"ab")
    pc.bus.write(0x9000, b"cd")
    int10(pc, ax=0x1301, bx=0x0007, cx=4, dx=0, es=0x900, bp=0xFFFE)
    assert Screen(pc.vga).text()[0].startswith("abcd")


@pytest.mark.parametrize("attribute", [0x05, 0x85])
@pytest.mark.parametrize("number", [4, 6, 0x0D, 0x10, 0x11, 0x12, 0x13])
def test_repeated_glyphs_are_single_ones(pc: Pc, number: int, attribute: int) -> None:
    shown = []
    for repeated in (True, False):
        int10(pc, ax=number)
        columns = pc.bios.video.area.columns
        for code, start, count in ((0x41, 70, 99), (0xDB, 80, 7), (0xE9, 85, 5)):
            for at in [start] if repeated else range(start, start + count):
                int10(pc, ah=2, bh=0, dh=at // columns, dl=at % columns)
                int10(pc, ah=9, al=code, bh=0, bl=attribute, cx=count if repeated else 1)
        shown.append(Screen(pc.vga).full_redraw().copy())
    np.testing.assert_array_equal(*shown)
    assert shown[0].any()


@pytest.mark.parametrize("number", [*GRAPHICS, 0x101, 0x111, 0x112, 0x115, 0x142])
def test_characters_are_read_in_graphics(pc: Pc, number: int) -> None:
    int10(pc, ax=0x4F02 if number > 0xFF else number, bx=number)
    for place, code in enumerate((0x20, 0x41, 0x7F, 0xB1, 0xDB, 0xE9)):
        int10(pc, ah=2, bh=0, dh=place, dl=2 * place)
        int10(pc, ah=9, al=code, bx=5, cx=1)
        int10(pc, ah=8, bh=0)
        # Blanks are many: the first of them is the answer.
        assert pc.cpu.al == (code if code != 0x20 else 0), hex(code)
    int10(pc, ah=2, bh=0, dx=0xFFFF)
    int10(pc, ah=8, bh=0)
    assert pc.cpu.al == 0


@pytest.mark.parametrize("lines", [2, -2, 0, 9, -9])
@pytest.mark.parametrize("window", [(0, 0, 99, 99), (2, 3, 9, 20), (4, 0, 5, 99)])
@pytest.mark.parametrize("number", [3, 4, 6, 0x0D, 0x12, 0x13, 0x101])
def test_scrolling_moves_pixels(
    pc: Pc, number: int, window: tuple[int, int, int, int], lines: int
) -> None:
    int10(pc, ax=0x4F02 if number > 0xFF else number, bx=number)
    video = pc.bios.video.area
    rows, columns = video.rows, video.columns
    for row in range(rows):
        for column in range(0, columns, 7):
            int10(pc, ah=2, bh=0, dh=row, dl=column)
            int10(pc, ah=9, al=0x41 + (row + column) % 50, bx=3, cx=3)
    if number == 3:
        pc.vga.outw(0x3D4, 0x200A)
    before = Screen(pc.vga).full_redraw().copy()
    top, left, bottom, right = window
    int10(pc, ah=6 if lines >= 0 else 7, al=abs(lines), bh=0, cx=top << 8 | left,
          dx=bottom << 8 | right)  # fmt: skip
    high, wide = (before.shape[0] // rows, before.shape[1] // columns)
    if number == 0x101:
        high = 16
    area = before[top * high : (bottom + 1) * high, left * wide : (right + 1) * wide]
    moved = np.zeros_like(area)
    by = lines * high
    if abs(by) < len(area) and lines:
        if by > 0:
            moved[:-by] = area[by:]
        else:
            moved[-by:] = area[:by]
    before[top * high : (bottom + 1) * high, left * wide : (right + 1) * wide] = moved
    np.testing.assert_array_equal(Screen(pc.vga).full_redraw(), before)


# --- states: INT 10h/1Ch, 4F04h -------------------------------------------------------------------


def test_scrolling_takes_all_planes(pc: Pc) -> None:
    """A program's map mask is not the scroll's, and is there afterwards; SeaBIOS does the same."""
    int10(pc, ax=0x12)
    pc.vga.outw(0x3C4, 0x0102)
    int10(pc, ax=0x0601, bh=0x0F, cx=0, dx=0x1D4F)
    int10(pc, ax=0x0601, bh=0, cx=0, dx=0x1D4F)
    assert pc.vga.inb(0x3C5) == 1
    lines = Screen(pc.vga).full_redraw()[:, 0].tolist()
    assert lines == [0] * 448 + [0xFFFFFF] * 16 + [0] * 16


def test_glyphs_have_256_colours_in_vbe_modes(pc: Pc) -> None:
    """Bit 7 is one of the colour's, as SeaBIOS has it."""
    int10(pc, ax=0x4F02, bx=0x4101)
    int10(pc, ax=0x09DB, bx=0xBC, cx=1)
    assert pc.vga.load(LFB_GPA, 8) == b"\xbc" * 8


@pytest.mark.parametrize(
    ("number", "x", "y", "same"),
    [(0x13, 32100, 2048, (100, 100)), (0x12, 650, 3, (10, 4)), (4, 325, 3, (5, 5))],
)
def test_pixels_lie_where_their_address_leads(
    pc: Pc, number: int, x: int, y: int, same: tuple[int, int]
) -> None:
    """No coordinates are checked in VGA modes: offsets of 16 bits go on in the next line."""
    int10(pc, ax=number)
    int10(pc, ax=0x0C02, bx=0, cx=x, dx=y)
    int10(pc, ax=0x0D00, bx=0, cx=same[0], dx=same[1])
    assert pc.cpu.al == 2


def registers(pc: Pc) -> list[object]:
    """What a saved state is of."""
    vga, bus = pc.vga, pc.bus
    banks = (vga.sequencer, vga.crtc, vga.graphics, vga.attribute)
    return [
        vga.misc.values[0],
        [(bytes(bank.values), bank.index) for bank in banks],
        (vga.attribute_address, vga.latch),
        bytes(vga.dac.entries), vga.dac.mask,
        [bus.read(at, count) for at, count in ((0x449, 30), (0x484, 7), (0x7C, 4), (0x10C, 4))],
    ]  # fmt: skip


@pytest.mark.parametrize("call", [0x1C00, 0x4F04])
@pytest.mark.parametrize(("before", "after"), [(3, 0x13), (0x12, 7), (7, 3), (0x13, 0x4112)])
def test_states_come_back(pc: Pc, call: int, before: int, after: int) -> None:
    states = 15 if call == 0x4F04 else 7
    if call == 0x1C00 and after > 0xFF:
        after = 0x10

    def ask(what: int, **more: int) -> None:
        numbers = {"ax": call, "dl": what} if call == 0x4F04 else {"ax": call | what}
        int10(pc, **numbers, cx=states, es=0x2000, **more)
        assert pc.cpu.ax == 0x004F or (call == 0x1C00 and pc.cpu.al == 0x1C)

    ask(0, bx=0)
    size = pc.cpu.bx * 64
    assert 768 < size < 1024
    int10(pc, ax=before)
    int10(pc, ax=0x1010, bx=5, cx=0x0102, dx=0x0300)
    int10(pc, ax=0x1000, bx=0x0903)
    pc.vga.outb(0x3C4, 3)
    saved = registers(pc)
    pc.bus.write(0x20100, b"\xee" * (size + 16))
    ask(1, bx=0x100)
    assert registers(pc) == saved
    assert pc.bus.read(0x20100 + size, 16) == b"\xee" * 16
    int10(pc, ax=0x4F02 if after > 0xFF else after, bx=after)
    int10(pc, ax=0x1010, bx=5, cx=0, dx=0)
    assert registers(pc) != saved
    ask(2, bx=0x100)
    assert registers(pc) == saved
    assert pc.bios.video.area.vbe_mode is None
    assert not pc.vga.dispi.enabled


def test_a_vbe_mode_comes_back(pc: Pc) -> None:
    int10(pc, ax=0x4F02, bx=0x105)
    int10(pc, ax=0x4F06, bx=0, cx=1280)
    int10(pc, ax=0x4F07, bx=0, cx=16, dx=32)
    int10(pc, ax=0x4F05, bx=0, dx=5)
    pc.vga.store(0xE0000000, b"kept" * 9)
    values = list(pc.vga.dispi.values)
    int10(pc, ax=0x4F04, dl=1, cx=15, es=0x2000, bx=0)
    int10(pc, ax=0x4F02, bx=0xC118)
    int10(pc, ax=0x4F04, dl=2, cx=15, es=0x2000, bx=0)
    assert [*pc.vga.dispi.values[:4], *pc.vga.dispi.values[5:]] == [*values[:4], *values[5:]]
    assert pc.vga.dispi.linear
    assert pc.vga.load(0xE0000000, 4) == b"kept"
    int10(pc, ax=0x4F03)
    assert pc.cpu.bx == 0x105
    int10(pc, ax=0x4F05, bx=0x100, dx=0)
    assert pc.cpu.dx == 5


def test_only_the_states_that_are_asked_for(pc: Pc) -> None:
    sizes = []
    for states in (1, 2, 4, 8, 15):
        int10(pc, ax=0x4F04, dl=0, cx=states, bx=0)
        sizes.append(pc.cpu.bx)
    assert all(sizes)
    assert sizes[4] <= sum(sizes[:4])
    int10(pc, ax=0x1C01, cx=4, es=0x2000, bx=0)
    int10(pc, ax=0x1012, bx=0, cx=256, es=0x3000, dx=0)
    int10(pc, ax=0x0013)
    int10(pc, ax=0x1C02, cx=4, es=0x2000, bx=0)
    assert pc.bios.video.area.mode == 0x13
    int10(pc, ax=0x1015, bx=7)
    assert (pc.cpu.dh, pc.cpu.cx) == (0x2A, 0x2A2A)


@pytest.mark.parametrize(("call", "states"), [(0x4F04, 16), (0x1C00, 8), (0x1C03, 1)])
def test_states_that_there_are_not(pc: Pc, call: int, states: int) -> None:
    int10(pc, ax=call, dl=0, cx=states, bx=0x77)
    assert pc.cpu.ax == (0x014F if call == 0x4F04 else call)
    assert pc.cpu.bx == 0x77


def test_a_state_of_garbage_is_taken(pc: Pc) -> None:
    for seed in range(20):
        garbage = np.random.default_rng(seed).integers(0, 256, 1024, np.uint8)
        # Not the data area: its rows and columns are the guest's business.
        pc.bus.write(0x20000, garbage.tobytes())
        int10(pc, ax=0x4F04, dl=2, cx=13, es=0x2000, bx=0)
        Screen(pc.vga).full_redraw()
        int10(pc, ax=0x0E41, bx=7)
        int10(pc, ax=0x0003)
        assert Screen(pc.vga).is_text


# --- 12h, 1Bh, pages ------------------------------------------------------------------------------


@pytest.mark.parametrize(("choice", "lines", "height"), [(0, 200, 8), (1, 350, 14), (2, 400, 16)])
@pytest.mark.parametrize("number", [1, 3])
def test_text_of_fewer_lines(pc: Pc, number: int, choice: int, lines: int, height: int) -> None:
    int10(pc, ax=0x1200 | choice, bl=0x30)
    assert pc.cpu.al == 0x12
    assert pc.bus.read8(0x485) == 16  # from the next mode set on
    for _ in range(2):
        int10(pc, ax=number)
        columns = 40 if number == 1 else 80
        assert (pc.bus.read8(0x484), pc.bus.read16(0x485)) == (24, height)
        assert Screen(pc.vga).text() == [" " * columns] * 25
        pc.bus.write(0x9000, b"Hello")
        int10(pc, ax=0x1300, bx=0x0007, cx=5, dx=0x1800, es=0x900, bp=0)
        picture = Screen(pc.vga).full_redraw()
        assert picture.shape[0] == lines
        assert picture[-(lines // 25) :].any()
        int10(pc, ax=0x1B00, bx=0, es=0x2000, di=0)
        assert pc.bus.read8(0x2002A) == choice
        int10(pc, ax=0x12)  # which 12h/30h says nothing of
        assert Screen(pc.vga).full_redraw().shape == (480, 640)
    int10(pc, ax=0x1203, bl=0x30)
    assert pc.cpu.al == 0


def test_what_12h_confirms_is_done(pc: Pc) -> None:
    int10(pc, ax=0x1200, bl=0x33)  # greys
    int10(pc, ax=0x1010, bx=5, cx=0x003F, dx=0)
    int10(pc, ax=0x1015, bx=5)
    assert (pc.cpu.dh, pc.cpu.ch, pc.cpu.cl) == (7, 7, 7)
    int10(pc, ax=0x0013)
    int10(pc, ax=0x1015, bx=4)
    assert pc.cpu.dh == pc.cpu.ch == pc.cpu.cl == 13
    int10(pc, ax=0x1201, bl=0x33)
    int10(pc, ax=0x1201, bl=0x32)  # no access
    pc.vga.store(0xA0000, b"\x55")
    int10(pc, ax=0x1200, bl=0x32)
    assert pc.vga.load(0xA0000, 1) == b"\0"
    int10(pc, ax=0x1201, bl=0x34)  # cursor shapes as they are
    int10(pc, ax=3)
    int10(pc, ah=1, cx=0x0607)
    assert bytes(pc.vga.crtc.values[0x0A:0x0C]) == b"\x06\x07"
    int10(pc, ax=0x1201, bl=0x31)  # colours stay
    int10(pc, ax=0x1010, bx=5, cx=0x0102, dx=0x0300)
    int10(pc, ax=3)
    int10(pc, ax=0x1015, bx=5)
    assert (pc.cpu.dh, pc.cpu.cx) == (3, 0x0102)


@pytest.mark.parametrize(
    ("number", "pages", "page_bytes"),
    [
        (3, 8, 0x1000), (4, 1, 0x4000), (0x0D, 8, 0x2000), (0x0E, 4, 0x4000), (0x0F, 2, 0x8000),
        (0x10, 2, 0x8000), (0x11, 1, 0xA000), (0x12, 1, 0xA000), (0x13, 1, 0x2000),
    ],
)  # fmt: skip
def test_pages(pc: Pc, number: int, pages: int, page_bytes: int) -> None:
    int10(pc, ax=number)
    assert pc.bus.read16(0x44C) == page_bytes
    int10(pc, ax=0x1B00, bx=0, es=0x2000, di=0)
    assert pc.bus.read8(0x20029) == pages
    static = (pc.bus.read16(0x20002) << 4) + pc.bus.read16(0x20000)
    assert pc.bus.read8(static + 0x0B) == 0x0E
    assert pc.bus.read8(static + 0x0E) == 0
    for page in range(8):
        int10(pc, ax=0x0500 | page)
        start = pc.vga.crtc.values[0x0C] << 8 | pc.vga.crtc.values[0x0D]
        assert start == (min(page, pages - 1) * page_bytes // (2 if number == 3 else 1))
        int10(pc, ax=0x0E41 + page, bx=7)
    # Each character lies in its own page, or all in the only one.
    for page in range(pages):
        int10(pc, ah=2, bh=page, dx=0)
        int10(pc, ah=8, bh=page)
        assert pc.cpu.al == 0x41 + page
    int10(pc, ah=2, bh=0, dx=1)
    int10(pc, ah=8, bh=0)
    assert (pc.cpu.al == 0x42) == (pages == 1)


# --- VBE ------------------------------------------------------------------------------------------


def vbe(pc: Pc, number: int, **registers: int) -> int:
    int10(pc, ax=0x4F00 | number, **registers)
    return int(pc.cpu.ax)


def test_windows(pc: Pc) -> None:
    assert vbe(pc, 2, bx=0x101) == 0x004F
    assert vbe(pc, 5, bx=0, dx=1) == 0x004F
    assert vbe(pc, 5, bx=0x0200, dx=1) == 0x014F
    vbe(pc, 2, bx=0x4101)
    assert vbe(pc, 5, bx=0, dx=1) == 0x034F
    assert vbe(pc, 5, bx=0x100, dx=1) == 0x034F


def test_calls_that_a_mode_has_not(pc: Pc) -> None:
    assert vbe(pc, 8, bx=0x0801) == 0x004F
    vbe(pc, 2, bx=0x112)
    assert vbe(pc, 8, bx=0x0800) == 0x034F
    vbe(pc, 2, bx=0x101)
    assert vbe(pc, 8, bx=0x0800) == 0x004F
    assert pc.cpu.bh == 8
    assert vbe(pc, 0x15, bx=0) == 0x014F


@pytest.mark.parametrize("bit", range(9, 14))
def test_mode_numbers_with_other_bits(pc: Pc, bit: int) -> None:
    assert vbe(pc, 2, bx=0x101 | 1 << bit) == 0x014F
    assert pc.bios.video.area.vbe_mode is None
    assert vbe(pc, 1, cx=0x101 | 1 << bit, es=0x2000, di=0) == 0x014F


@pytest.mark.parametrize("number", [0x101, 0x4101, 0x8101, 0xC118, 0x0013, 0x8003])
def test_the_mode_is_told_as_it_was_set(pc: Pc, number: int) -> None:
    assert vbe(pc, 2, bx=number) == 0x004F
    vbe(pc, 3)
    assert pc.cpu.bx == number
    int10(pc, ax=0x0012)
    vbe(pc, 3)
    assert pc.cpu.bx == 0x12


def test_starts_beyond_vram(pc: Pc) -> None:
    vbe(pc, 2, bx=0x101)
    last = pc.vga.slot.nbytes // 640
    assert vbe(pc, 7, bx=0, cx=0, dx=last) == 0x004F
    assert vbe(pc, 7, bx=0, cx=0, dx=last + 1) == 0x014F
    assert vbe(pc, 7, bx=0x80, cx=0, dx=0xFFFF) == 0x014F
    vbe(pc, 7, bx=1)
    assert (pc.cpu.cx, pc.cpu.dx) == (0, last)


def test_names_of_the_maker(pc: Pc) -> None:
    for asks in (b"VBE2", b"VESA"):
        pc.bus.write(0x20000, asks)
        vbe(pc, 0, es=0x2000, di=0)
        names = []
        for at in (6, 22, 26, 30):
            place = (pc.bus.read16(0x20002 + at) << 4) + pc.bus.read16(0x20000 + at)
            names.append(pc.bus.read(place, 16).partition(b"\0")[0])
        assert names[0] == b"vgaemu"
        if asks == b"VBE2":
            assert names[1:] == [b"vgaemu", b"VBE on DISPI", b"2.0"]
        else:
            assert pc.bus.read(0x20016, 12) == bytes(12)


@pytest.mark.parametrize(
    ("number", "flags", "size", "pitch", "model", "bpp", "planes", "window"),
    [
        (0x03, 0x0F, (80, 25), 160, 0, 4, 1, 0xB800),
        (0x06, 0x1F, (640, 200), 80, 1, 1, 1, 0xB800),
        (0x07, 0x07, (80, 25), 160, 0, 4, 1, 0xB000),
        (0x0D, 0x1F, (320, 200), 40, 3, 4, 4, 0xA000),
        (0x12, 0x1F, (640, 480), 80, 3, 4, 4, 0xA000),
        (0x13, 0x1F, (320, 200), 320, 4, 8, 1, 0xA000),
    ],
)
def test_information_on_vga_modes(
    pc: Pc, number: int, flags: int, size: tuple[int, int], pitch: int, model: int, bpp: int,
    planes: int, window: int,
) -> None:  # fmt: skip
    assert vbe(pc, 1, cx=number, es=0x2000, di=0) == 0x004F
    read8, read16 = pc.bus.read8, pc.bus.read16
    assert read16(0x20000) == flags
    assert (read16(0x20012), read16(0x20014)) == size
    assert (read16(0x20010), read8(0x2001B), read8(0x20019)) == (pitch, model, bpp)
    assert (read8(0x20018), read16(0x20008)) == (planes, window)
    assert pc.bus.read32(0x20028) == 0


@pytest.mark.parametrize("number", [0x10E, 0x10F, 0x110, 0x111, 0x142])
def test_pixels_in_direct_colour(pc: Pc, number: int) -> None:
    vbe(pc, 2, bx=number)
    for colour in (*range(8), *range(9, 16)):  # 8 is as black as 0
        int10(pc, ah=0x0C, al=colour, bh=0, cx=colour, dx=3)
        int10(pc, ah=0x0D, bh=0, cx=colour, dx=3)
        assert pc.cpu.al == colour
    int10(pc, ah=0x0D, bh=0, cx=0xFFFF, dx=0xFFFF)
    assert pc.cpu.al == 0


def test_power(pc: Pc) -> None:
    assert vbe(pc, 0x10, bx=0) == 0x004F
    assert pc.cpu.bx == 0x0F10
    for state, is_dark in ((4, True), (0, False)):
        assert vbe(pc, 0x10, bx=state << 8 | 1) == 0x004F
        assert bool(pc.vga.sequencer["screen_off"]) == is_dark
        vbe(pc, 0x10, bx=2)
        assert pc.cpu.bh == state
    assert vbe(pc, 0x10, bx=3) == 0x014F


# --- the time of day ------------------------------------------------------------------------------


def test_wall_time_of_day_is_the_guests(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_700_000_000.9
    monkeypatch.setattr(time, "time", lambda: now)
    clock = WallClock(skip=True)
    assert clock.time_of_day() == time.localtime(1_700_000_000)
    clock.start()
    clock.idle(clock.now_ns() + 10_000_000_000)
    assert clock.time_of_day() == time.localtime(1_700_000_010)
    clock.stop()
    now += 3600  # paused, for an hour
    assert clock.time_of_day() == time.localtime(1_700_000_010)
    clock.set_ns(77_000_000_000)  # another guest's time: the day is today's
    assert clock.time_of_day() == time.localtime(1_700_003_600)


def test_wall_time_of_day_goes_at_its_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = 0
    monkeypatch.setattr(time, "perf_counter_ns", lambda: counter)
    clock = WallClock(speed=4.0)
    before = time.mktime(clock.time_of_day())
    clock.start()
    counter = 15_000_000_000
    assert time.mktime(clock.time_of_day()) - before == 60


def test_virtual_time_of_day_is_the_same_each_time() -> None:
    clock = StepClock()
    clock.idle(61_000_000_000)
    assert clock.time_of_day()[:6] == (1980, 1, 1, 10, 21, 31)
