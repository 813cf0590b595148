"""guest.text: printing, scrolling and the cursor, seen on the screen and in the CRTC."""

import pytest

import vgaemu
from vgaemu.guest.text import Text
from vgaemu.vga.modes import set_mode


@pytest.fixture
def machine():
    with vgaemu.Machine() as machine:
        yield machine


def guest_of(machine, mode=3):
    machine.guest.set_mode(mode)
    return machine.guest


def rows(machine):
    machine.tick()
    return [row.rstrip() for row in machine.screen.text()]


def cursor(guest):
    return guest.ports["cursor_location"]


@pytest.mark.parametrize(("mode", "columns"), [(1, 40), (3, 80), (7, 80)])
def test_size_comes_from_the_crtc(machine, mode, columns):
    text = guest_of(machine, mode).text
    assert (text.columns, text.rows) == (columns, 25)
    text.print("x" * columns + "yz")
    assert rows(machine)[:2] == ["x" * columns, "yz"]


@pytest.mark.parametrize("mode", [1, 3])
def test_lines_that_are_shown_twice_count_once(machine, mode):
    guest = guest_of(machine, mode)
    guest.write_crtc(0x09, 0xC7)  # 200 lines, cells of eight
    assert guest.text.rows == 25
    guest.text.print("\n".join(map(str, range(100))), end="")
    assert rows(machine) == [str(n) for n in range(75, 100)]


def test_wraps_at_the_right_edge(machine):
    text = guest_of(machine).text
    text.print("a" * 79 + "bc", end="")
    assert rows(machine)[:2] == ["a" * 79 + "b", "c"]
    assert (text.column, text.row) == (1, 1)


def test_scrolls_at_the_bottom(machine):
    guest = guest_of(machine)
    for line in range(30):
        guest.text.print(f"line {line}")
    assert rows(machine) == [f"line {line}" for line in range(6, 30)] + [""]
    assert cursor(guest) == 24 * 80


def test_scrolls_in_what_fills_more_than_a_screen(machine):
    text = guest_of(machine).text
    text.print("\n".join(map(str, range(100))), end="")
    assert rows(machine) == [str(n) for n in range(75, 100)]


def test_new_row_after_a_scroll_has_the_colour(machine):
    guest = guest_of(machine)
    guest.text.set_colour("white", "blue")
    guest.text.print("\n" * 25)
    assert guest.load(0xB8000 + 24 * 160, 2) == b" \x1f"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends(machine, newline):
    guest_of(machine).text.print(f"one{newline}two")
    assert rows(machine)[:3] == ["one", "two", ""]


def test_tabs_reach_the_next_eighth_column_of_the_screen(machine):
    text = guest_of(machine).text
    text.print("abc", end="")
    text.print("\td\te")
    assert rows(machine)[0] == "abc     d       e"


@pytest.mark.parametrize(
    ("front", "back", "attribute"),
    [("yellow", "blue", 0x1E), (14, 1, 0x1E), ("black", "light grey", 0x70), ("white", 0, 0x0F)],
)
def test_colours(machine, front, back, attribute):
    guest = guest_of(machine)
    guest.text.set_colour(front, back)
    guest.text.print("x")
    assert guest.load(0xB8000, 2) == bytes((ord("x"), attribute))


def test_cursor_follows_and_hides(machine):
    guest = guest_of(machine)
    guest.text.print("abc\nde", end="")
    assert cursor(guest) == 82
    guest.text.move(10, 20)
    assert cursor(guest) == 20 * 80 + 10
    guest.text.cursor(False)
    assert guest.read_crtc(0x0A) & 0x20
    guest.text.cursor(True)
    assert not guest.read_crtc(0x0A) & 0x20


def test_clear(machine):
    guest = guest_of(machine)
    guest.text.print("something")
    guest.text.set_colour(7, 1)
    guest.text.clear()
    assert guest.load(0xB8000, 4000) == b" \x17" * 2000
    assert cursor(guest) == 0


@pytest.mark.parametrize(
    ("column", "row", "shown"),
    [
        (77, 0, "abc"),
        (79, 3, "a"),
        (80, 3, ""),
        (0, 25, ""),
        (-1, 0, ""),
        (0, -1, ""),
        (500, 1, ""),
    ],
)
def test_write_at_stays_on_its_row(machine, column, row, shown):
    guest = guest_of(machine)
    before = guest.load(0xB8000, 0x8000)
    guest.text.write_at(column, row, "abcdef", 0x1E)
    after = guest.load(0xB8000, 0x8000)
    changed = [i // 2 for i in range(0, 0x8000, 2) if before[i : i + 2] != after[i : i + 2]]
    assert changed == [row * 80 + column + i for i in range(len(shown))]
    assert cursor(guest) == 0


def test_code_page(machine):
    guest_of(machine).text.print("café ╔═╗ ☺ ☃")
    assert rows(machine)[0] == "café ╔═╗ ☺ ?"


def test_backspace(machine):
    guest = guest_of(machine)
    guest.text.print("ab", end="")
    for _ in range(5):
        guest.text.backspace()
    guest.text.print("c", end="")
    assert rows(machine)[0] == "c"


def test_margins_stay(machine):
    guest = guest_of(machine)
    text = guest.text
    text.write_at(0, 0, "title")
    text.write_at(0, 24, "caption")
    text.top = text.bottom = 1
    text.clear()
    assert cursor(guest) == 80
    for line in range(40):
        text.print(f"line {line}")
    shown = rows(machine)
    assert (shown[0], shown[24]) == ("title", "caption")
    assert shown[1:24] == [f"line {line}" for line in range(18, 40)] + [""]


def test_one_character_redraws_one_cell(machine):
    guest = guest_of(machine)
    guest.text.cursor(False)
    machine.tick()
    guest.text.print("x", end="")
    report = machine.run_frame()
    assert (len(report.dirty_pages), report.pixels) == (1, 9 * 16)


def test_printing_from_beyond_the_right_edge_goes_on_below(machine):
    text = guest_of(machine).text
    text.move(81, 0)
    text.print("x")
    assert rows(machine)[:2] == ["", "x"]
    text.move(60, 3)
    guest_of(machine, 1)  # 40 columns
    text.print("y")
    assert text.row <= 24


def test_colours_that_are_none_are_refused(machine):
    text = guest_of(machine).text
    for wrong in ("purple", 16, -1):
        with pytest.raises(ValueError, match="no colour"):
            text.set_colour(wrong)
    text.set_colour("white", 1)
    assert text.colour == 0x1F


@pytest.mark.parametrize("use", [
    lambda text: text.print("x"),
    lambda text: text.write_at(0, 0, "x"),
    lambda text: text.move(1, 1),
    lambda text: text.clear(),
    lambda text: text.scroll(),
    lambda text: text.columns,
])  # fmt: skip
def test_a_graphics_mode_says_what_to_use_instead(machine, use):
    guest = guest_of(machine, 0x13)
    before = guest.load(0xA0000, 64000)
    with pytest.raises(vgaemu.TextError, match=r"graphics mode; use guest\.canvas\.text"):
        use(guest.text)
    assert guest.load(0xA0000, 64000) == before
    guest.set_mode(3)
    use(guest.text)


def test_a_bare_device_has_a_console_too():
    vga = vgaemu.Vga()
    set_mode(vga, 3)
    Text(vga).print("Hi")
    assert vga.load(0xB8000, 4) == b"H\x07i\x07"


def test_what_a_guest_has_says_what_it_is(machine):
    guest = guest_of(machine)
    assert repr(guest) == "<vgaemu.Guest of <vgaemu.Vga text, 16 MiB>>"
    assert repr(guest.ports) == f"<Ports of {guest!r}>"
    assert repr(guest.text) == f"<Text at column 0, row 0 of {guest!r}>"
    guest.set_mode(0x12)
    assert repr(guest.canvas) == "<Canvas on <PlanarSurface 640x480, 16 colours at 0xa0000>>"
    guest.set_dispi_mode(800, 600, 16)
    assert repr(machine.vga) == "<vgaemu.Vga DISPI 800x600, 16 bits, 16 MiB>"
