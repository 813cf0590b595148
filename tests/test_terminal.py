"""The terminal display: what a terminal shows after each frame is what it is to show."""

from __future__ import annotations

import os
import random
import select
import signal
import termios
import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

import vgaemu
from tests.vt import KITTY, Terminal, Vt
from vgaemu.display.terminal import images
from vgaemu.display.terminal import terminal as display_module
from vgaemu.display.terminal.asked import questions
from vgaemu.display.terminal.blocks import Blocks, reduced
from vgaemu.display.terminal.colours import BLINK, DIRECT, UNDERLINE, Depth, nearest
from vgaemu.display.terminal.grid import Pen, blank, paint
from vgaemu.display.terminal.place import Place, follow
from vgaemu.display.terminal.terminal import TerminalDisplay
from vgaemu.display.terminal.text import text_grid
from vgaemu.errors import TerminalError

GLYPHS = np.array([*map(ord, " x█"), ord("x") | BLINK, ord("y") | UNDERLINE], np.uint32)
XTERM = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    # It answers only when a test looks: nobody is to wait for it.
    monkeypatch.setattr(display_module, "ANSWER_S", 0.0)
    terminal = Terminal()
    yield terminal
    terminal.close()


def machine_on(terminal: Terminal, workload: object = None, **options: object) -> vgaemu.Machine:
    environment = options.pop("environment", XTERM)
    display = TerminalDisplay(terminal.slave, terminal.slave, environment)
    return vgaemu.Machine(workload, display=display, **options)


def show(machine: vgaemu.Machine, terminal: Terminal, frames: int = 1) -> None:
    """Some frames; a terminal takes a few kilobytes at a time."""
    for _ in range(frames):
        machine.tick()
    display = machine._loop.display
    assert isinstance(display, TerminalDisplay)
    while terminal.drain() or display._stale:
        machine.closed_by_user()


def assert_text_is_shown(machine: vgaemu.Machine, terminal: Terminal) -> None:
    """Cells and cursor, where the picture is not larger than the terminal."""
    text = machine.screen.text_cells()
    assert text is not None
    rows, columns = text.cells.shape
    grid = terminal.vt.grid
    top, left = (grid.shape[0] - 1 - rows) // 2, (grid.shape[1] - columns) // 2
    shown = grid[top : top + rows, left : left + columns]
    assert np.array_equal(shown, text_grid(text, Depth.DIRECT))
    said = ["".join(map(chr, row & 0x1FFFFF)) for row in shown[..., 0]]
    assert said == [row.replace("\u00a0", " ") for row in machine.screen.text()]
    assert (25 in terminal.vt.modes) == (text.cursor is not None)
    if text.cursor is not None:
        assert (terminal.vt.row - top, terminal.vt.column - left) == text.cursor


@pytest.mark.parametrize("seed", range(10))
def test_what_is_painted_is_what_was_to_be_shown(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = rng.integers(1, 12, 2).tolist()
    vt = Vt(rows, columns)
    vt.modes.discard(7)
    old, pen = blank(rows, columns), Pen()
    for _ in range(30):
        new = old.copy()
        where = rng.random((rows, columns)) < rng.choice([0.02, 0.3, 1.0])
        looks = rng.choice(GLYPHS, (rows, columns))
        new[..., 0][where] = looks[where]
        colours = np.array([0, 7, 8, 15, 256 + 16, 256 + 255, DIRECT | 0x123456], np.uint32)
        new[..., 1:][where] = rng.choice(colours[: rng.integers(1, 8)], (rows, columns, 2))[where]
        out, pen = paint(old, new, pen)
        vt.feed(out)
        assert np.array_equal(vt.grid, new)
        if pen.column >= 0:
            assert (vt.row, vt.column) == (pen.row, pen.column)
        old = new
    assert paint(old, old, pen) == (b"", pen)


@pytest.mark.parametrize("seed", range(4))
def test_the_terminal_shows_the_text_after_each_frame(terminal: Terminal, seed: int) -> None:
    rng = random.Random(seed)
    with machine_on(terminal) as machine:
        guest = machine.guest
        for _ in range(30):
            for _ in range(rng.choice((0, 1, 1, 5, 300))):
                at = rng.randrange(4000)
                guest.store(0xB8000 + at, rng.randbytes(rng.randrange(1, 9)))
            match rng.randrange(8):
                case 0:
                    guest.write_crtc(0x0F, rng.randrange(256))
                    guest.write_crtc(0x0E, rng.randrange(8))
                case 1:
                    guest.write_crtc(0x0A, rng.randrange(64))
                case 2:
                    guest.write_crtc(0x0D, rng.randrange(256))
                case 3:
                    guest.outb(0x3C8, rng.randrange(64))
                    for _ in range(3):
                        guest.outb(0x3C9, rng.randrange(64))
            show(machine, terminal)
            assert_text_is_shown(machine, terminal)
    assert terminal.is_as_before


def test_a_typed_character_is_a_few_bytes(terminal: Terminal) -> None:
    with machine_on(terminal, "typing", free=False) as machine:
        show(machine, terminal, 20)
        counts = []
        for _ in range(60):
            machine.keys.press("x")
            before = terminal.count
            show(machine, terminal)
            assert_text_is_shown(machine, terminal)
            counts.append(terminal.count - before)
    assert max(counts) <= 40
    assert sorted(counts)[30] == 1


def test_an_idle_frame_writes_nothing(terminal: Terminal) -> None:
    with machine_on(terminal) as machine:
        machine.guest.text.write_at(3, 3, "blinking", 0x9F)
        show(machine, terminal, 3)
        count = terminal.count
        show(machine, terminal, 100)  # the cursor blinks by itself
        assert terminal.count == count


def test_a_cursor_that_moves_while_it_is_dark_is_seen_at_once(terminal: Terminal) -> None:
    with machine_on(terminal) as machine:
        show(machine, terminal, 20)
        machine.guest.write_crtc(0x0F, 85)
        show(machine, terminal)
        assert (terminal.vt.row, terminal.vt.column) == (1, 5)
        machine.guest.write_crtc(0x0A, 0x20)
        show(machine, terminal)
        assert 25 not in terminal.vt.modes


def test_attributes_are_the_terminals_colours(terminal: Terminal) -> None:
    with machine_on(terminal) as machine:
        machine.guest.store(0xB8000, bytes((65, 0x1E, 66, 0x8F, 67, 0x04)))
        show(machine, terminal)
        # Red is 4 of a VGA and 1 of ANSI; yellow on blue; white blinking on black.
        assert terminal.vt.grid[0, :3].tolist() == [
            [65, 11, 4], [66 | BLINK, 15, 0], [67, 1, 0]
        ]  # fmt: skip
        assert b"\x1b[93;44mA\x1b[5;97;40mB\x1b[25;31mC" in terminal.log


def test_other_palettes_take_the_colours_that_the_terminal_has() -> None:
    assert nearest(0x112233, Depth.DIRECT) == DIRECT | 0x112233
    assert nearest(0x112233, Depth.XTERM) == 256 + 235
    assert nearest(0xFE0101, Depth.XTERM) == 256 + 196
    assert nearest(0x112233, Depth.ANSI) == 0
    for depth in Depth:
        assert [nearest(rgb, depth) for rgb in (0, 0x0000AA, 0xAA5500, 0xFFFFFF)] == [0, 4, 3, 15]


def test_underlines_of_a_monochrome_screen(terminal: Terminal) -> None:
    with machine_on(terminal, mode=7) as machine:
        machine.guest.store(0xB0000, bytes((65, 0x01, 66, 0x07)))
        show(machine, terminal)
        assert terminal.vt.grid[0, :2, 0].tolist() == [65 | UNDERLINE, 66]


def test_a_text_that_is_larger_follows_its_cursor_and_says_so(terminal: Terminal) -> None:
    terminal.resize(10, 60)
    with machine_on(terminal) as machine:
        for row in range(25):
            machine.guest.text.write_at(0, row, f"row {row:2}")
        machine.guest.write_crtc(0x0E, 0)
        machine.guest.write_crtc(0x0F, 0)
        show(machine, terminal)
        said = terminal.vt.text()
        assert [row.rstrip() for row in said[:9]] == [f"row {n:2}" for n in range(9)]
        assert "Ctrl+] q quits - text 80x25 - rows 1-9 of 25, columns 1-60" in said[9]
        machine.guest.write_crtc(0x0E, 24 * 80 >> 8)
        machine.guest.write_crtc(0x0F, 24 * 80 & 0xFF)
        show(machine, terminal)
        said = terminal.vt.text()
        assert [row.rstrip() for row in said[:9]] == [f"row {n:2}" for n in range(16, 25)]
        assert (terminal.vt.row, terminal.vt.column) == (8, 0)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (27, 81), (70, 200)])
def test_another_size_is_painted_anew(terminal: Terminal, size: tuple[int, int]) -> None:
    with machine_on(terminal) as machine:
        machine.guest.text.print("what there was")
        show(machine, terminal)
        terminal.resize(*size)
        terminal.vt.modes.discard(7)
        show(machine, terminal)
        if size[1] >= 80:
            assert_text_is_shown(machine, terminal)
            assert "Ctrl+] q quits" in terminal.vt.text()[-1]


def test_follow_moves_no_further_than_it_must() -> None:
    for there in range(1, 9):
        for shown in range(1, there + 1):
            for first in range(-1, 9):
                for wanted in range(there):
                    now = follow(first, shown, there, wanted)
                    assert 0 <= now <= wanted < now + shown <= there
                    if 0 <= first <= wanted < first + shown <= there:
                        assert now == first


@pytest.mark.parametrize("depth", list(Depth))
def test_half_blocks_of_changed_lines_are_those_of_the_whole_picture(depth: Depth) -> None:
    rng = np.random.default_rng(1)
    for height, width, rows, columns in ((200, 320, 29, 77), (7, 5, 20, 40), (480, 640, 24, 80)):
        blocks = Blocks(Place(0, 0, rows, columns), depth)
        frame = rng.integers(0, 1 << 24, (height, width), np.uint32)
        blocks.draw(frame, 0, height)
        for _ in range(20):
            top, bottom = sorted(rng.integers(0, height + 1, 2).tolist())
            frame[top:bottom] = rng.integers(0, 1 << 24, (bottom - top, width), np.uint32)
            blocks.draw(frame, top, bottom)
            whole = Blocks(Place(0, 0, rows, columns), depth)
            whole.draw(frame, 0, height)
            assert np.array_equal(blocks.grid, whole.grid)


def test_a_half_block_is_two_pixels() -> None:
    frame = np.zeros((4, 2), np.uint32)
    frame[0, 0], frame[1, 0], frame[3, 1] = 0xFF0000, 0x00FF00, 0x0000FF
    blocks = Blocks(Place(0, 0, 2, 2), Depth.DIRECT)
    blocks.draw(frame, 0, 4)
    assert blocks.grid[0, 0].tolist() == [ord("▀"), DIRECT | 0xFF0000, DIRECT | 0x00FF00]
    assert blocks.grid[0, 1, 0] == ord(" ")
    assert blocks.grid[1, 1, 2] == DIRECT | 0x0000FF
    assert reduced(frame, 2, 1, 0, 2).tolist() == [[0x404000], [0x000040]]


def test_pictures_and_text_take_turns(terminal: Terminal) -> None:
    with machine_on(terminal) as machine:
        for mode in (0x13, 3, 0x12, 3, 0x13):
            machine.guest.set_mode(mode)
            machine.guest.store(0xA0000 if mode != 3 else 0xB8000, b"\x0c\x0d" * 2000)
            show(machine, terminal)
            if mode == 3:
                assert_text_is_shown(machine, terminal)
            else:
                assert ord("▀") in terminal.vt.grid[..., 0]
                assert 25 not in terminal.vt.modes


def test_a_terminal_that_takes_nothing_holds_nobody_up(terminal: Terminal) -> None:
    with machine_on(terminal, mode=0x13) as machine:
        rng = np.random.default_rng(1)
        for _ in range(50):  # nobody reads: far more than a pseudo-terminal keeps
            machine.guest.store(0xA0000, rng.bytes(64000))
            machine.tick()
        machine.guest.set_mode(3)
        machine.guest.text.print("at last")
        show(machine, terminal)
        show(machine, terminal)
        assert_text_is_shown(machine, terminal)


def test_what_is_no_terminal_is_refused_in_a_line() -> None:
    read, write = os.pipe()
    for fds in ((read, write), (read, 1 << 20)):
        with pytest.raises(TerminalError, match="standard output is no terminal; use"):
            TerminalDisplay(*fds, XTERM)
    with pytest.raises(TerminalError, match="TERM=dumb"):
        TerminalDisplay(read, write, {"TERM": "dumb"})
    os.close(read)
    os.close(write)


def kitty_picture(vt: Vt) -> np.ndarray:
    """The images, one below another as their places are."""
    images = sorted(vt.images.values(), key=lambda image: image[1])
    for (_, (row, column, rows, columns)), (_, below) in pairwise(images):
        assert (below[0], below[1], below[3]) == (row + rows, column, columns)
    return np.concatenate([pixels for pixels, _ in images])


def test_a_terminal_with_kittys_images_shows_every_pixel(terminal: Terminal) -> None:
    terminal.answers = KITTY
    rng = np.random.default_rng(1)
    with machine_on(terminal, mode=0x13) as machine:
        for size in (1, 320, 64000, 4000, 2):
            at = int(rng.integers(0, 64001 - size))
            machine.guest.store(0xA0000 + at, rng.bytes(size))
            show(machine, terminal, 2)
            assert np.array_equal(kitty_picture(terminal.vt), machine.screen.rgb())
        count = terminal.count
        machine.guest.store(0xA0000, b"\x01")
        show(machine, terminal)
        assert terminal.count - count < 60_000  # a strip of noise; the picture is 280 kB
        for mode, lines in ((3, 0), (0x12, 480), (0x10, 350)):
            machine.guest.set_mode(mode)
            show(machine, terminal, 2)
            if lines:
                assert np.array_equal(kitty_picture(terminal.vt), machine.screen.rgb())
            else:
                assert terminal.vt.images == {}
                assert_text_is_shown(machine, terminal)
        assert terminal.vt.keyboard == [27]
    assert terminal.is_as_before


def test_a_picture_of_few_lines_as_images(terminal: Terminal) -> None:
    terminal.answers = KITTY
    with machine_on(terminal) as machine:
        machine.guest.set_dispi_mode(16, 3, 32)
        show(machine, terminal, 3)
        assert 0 < len(terminal.vt.images) <= 7


def test_a_terminal_with_sixels_gets_strips_of_its_pixels(terminal: Terminal) -> None:
    pytest.importorskip("textual_image", reason="no textual-image")
    terminal.answers = {b"c": b"\x1b[?62;4c"}
    terminal.resize(25, 80, cell=(5, 10))
    with machine_on(terminal, mode=0x13) as machine:
        show(machine, terminal, 3)
        # The last line is not the picture's; 4:3 fits in 320x240 pixels.
        assert [sixel[:2] for sixel in terminal.vt.sixels] == [(row, 8) for row in (0, 6, 12, 18)]
        assert all(sixel[2].startswith(b'0;0;0q"1;1;320;60') for sixel in terminal.vt.sixels)
        terminal.vt.sixels.clear()
        machine.guest.store(0xA0000 + 320 * 199, b"\x0c" * 320)
        show(machine, terminal, 2)
        assert [sixel[0] for sixel in terminal.vt.sixels] == [18]
        machine.guest.set_mode(3)
        count = len(terminal.log)
        show(machine, terminal, 2)
        assert b"\x1b[2J" in terminal.log[count:]
        assert "80x25" in terminal.vt.text()[-1]


def test_a_multiplexer_is_not_asked_for_images() -> None:
    assert images.ASK in questions({"TERM": "xterm-256color"})
    for inside in (
        {"TERM": "tmux-256color"},
        {"TERM": "screen"},
        {"TERM": "xterm", "TMUX": "/t,1"},
    ):
        assert questions(inside) == b"\x1b[c"
    assert questions({"TERM": "linux"}) == b""


def test_a_key_is_let_go_when_the_focus_is(terminal: Terminal) -> None:
    terminal.answers = KITTY
    with machine_on(terminal) as machine:
        show(machine, terminal, 3)
        terminal.type(b"\x1b[97;1:1;97u")
        show(machine, terminal)
        assert machine.keys.is_down("a")
        terminal.type(b"\x1b[O")
        show(machine, terminal)
        assert not machine.keys.is_down("a")


def test_what_is_still_typed_does_not_come_to_the_shell(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display_module, "ANSWER_S", 10.0)
    terminal.answers = KITTY
    machine = machine_on(terminal)
    show(machine, terminal, 3)
    closing = threading.Thread(target=machine.close)
    terminal.answers = {b"c": b"\x1b[97;1:3u\x1b[?62c"}  # a release, then the answer
    closing.start()
    while closing.is_alive():
        terminal.drain()
        closing.join(0.01)
    assert terminal.is_as_before
    assert not select.select([terminal.slave], [], [], 0)[0]


def test_a_process_that_goes_on_paints_anew(terminal: Terminal) -> None:
    with machine_on(terminal) as machine:
        machine.guest.text.print("what there was")
        show(machine, terminal)
        termios.tcsetattr(terminal.slave, termios.TCSANOW, terminal.modes)  # as a shell does
        terminal.resize(26, 80)
        terminal.vt.titles = 1
        os.kill(os.getpid(), signal.SIGCONT)
        show(machine, terminal)
        assert_text_is_shown(machine, terminal)
        assert terminal.is_raw
    assert terminal.is_as_before
    assert signal.getsignal(signal.SIGCONT) == signal.SIG_DFL


def test_what_nobody_can_stop_stays_on_the_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine_on(terminal) as machine:
        machine.guest.text.print("what there was")
        show(machine, terminal)
        monkeypatch.setattr(os, "kill", lambda pid, number: None)  # as the kernel then does
        terminal.type(b"\x1dz")
        show(machine, terminal, 3)
        assert_text_is_shown(machine, terminal)
        assert terminal.is_raw


def test_among_other_displays_it_has_a_thread_of_its_own(terminal: Terminal) -> None:
    display = TerminalDisplay(terminal.slave, terminal.slave, XTERM)
    with vgaemu.Machine() as machine:
        machine.tick(2)
        machine.add_display(display)
        for number in range(20):
            machine.guest.text.print(f"line {number}")
            machine.tick()
        assert machine.settle(10)
        while terminal.drain() or display._stale:
            machine.closed_by_user()
        assert_text_is_shown(machine, terminal)
        machine.remove_display(display)
        assert terminal.is_as_before
        machine.tick()


def test_what_is_said_takes_a_cell_a_character(terminal: Terminal) -> None:
    with machine_on(terminal) as machine:
        machine.tell_user("saved 画e\u0301\x1b[31m.png")
        show(machine, terminal)
        assert terminal.vt.text()[-1].startswith(" saved ?e??[31m.png - Ctrl+] q quits")


def test_a_screen_that_is_off_is_black(terminal: Terminal) -> None:
    with machine_on(terminal) as machine:
        machine.guest.text.print("what there was")
        show(machine, terminal)
        machine.guest.outb(0x3C4, 1)
        machine.guest.outb(0x3C5, machine.guest.inb(0x3C5) | 0x20)
        show(machine, terminal)
        assert np.array_equal(terminal.vt.grid[:-1], blank(25, 80))
        assert 25 not in terminal.vt.modes
        machine.guest.outb(0x3C5, machine.guest.inb(0x3C5) & ~0x20)
        show(machine, terminal)
        assert_text_is_shown(machine, terminal)


def test_a_terminal_that_is_gone_ends_the_run() -> None:
    terminal = Terminal()
    with machine_on(terminal) as machine:
        show(machine, terminal)
        os.close(terminal.master)
        machine.guest.text.print("to nobody")
        for _ in range(3):
            machine.tick()
        assert not machine.tick()
        assert machine.user.wants_to_close
    os.close(terminal.slave)


def test_a_terminal_that_never_reads_is_left_all_the_same(terminal: Terminal) -> None:
    with machine_on(terminal, mode=0x13) as machine:
        machine.guest.store(0xA0000, np.random.default_rng(1).bytes(64000))
        machine.tick(5)
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert not terminal.is_raw


def test_what_is_said_stays_until_something_is_typed(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display_module, "NOTICE_S", 0.0)
    with machine_on(terminal) as machine:
        show(machine, terminal, 3)
        machine.tell_user("saved")
        show(machine, terminal, 3)
        assert terminal.vt.text()[-1].startswith(" saved - Ctrl+] q quits")
        terminal.type(b"a")
        show(machine, terminal, 2)
        assert terminal.vt.text()[-1].startswith(" Ctrl+] q quits")


@pytest.mark.parametrize("columns", [80, 130])
def test_what_the_prefix_does_fits_into_a_line(terminal: Terminal, columns: int) -> None:
    with machine_on(terminal) as machine:
        terminal.resize(30, columns)
        terminal.type(b"\x1d")
        show(machine, terminal, 3)
        said = terminal.vt.text()[-1]
        assert "q quit" in said
        assert "l redraw" in said
        assert ("Ctrl+] sends it" in said) == (columns == 130)
