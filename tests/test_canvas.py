"""guest.canvas against a plain array, in every graphics mode, and against the screen."""

import random

import numpy as np
import pytest

import vgaemu
from vgaemu.errors import CanvasError, FontError
from vgaemu.guest.canvas import Canvas
from vgaemu.guest.palette import Palette
from vgaemu.vga.modes import set_mode

FAR = 10**12


def mode_x(guest):
    guest.set_mode(0x13)
    guest.outw(0x3C4, 0x0604)  # chain-4 off
    guest.write_crtc(0x14, 0x00)
    guest.write_crtc(0x17, 0xE3)


def dispi(bits, virtual_width=0):
    def prepare(guest):
        values = [(1, 200), (2, 120), (3, bits), (4, 0x41)]
        for index, value in values + [(6, virtual_width)] * bool(virtual_width):
            guest.outw(0x1CE, index)
            guest.outw(0x1CF, value)

    return prepare


def bios(number):
    return lambda guest: guest.set_mode(number)


#: name -> how to set it, width, height, colours.
MODES = {
    "13h": (bios(0x13), 320, 200, 256),
    "12h": (bios(0x12), 640, 480, 16),
    "10h": (bios(0x10), 640, 350, 16),
    "0Eh": (bios(0x0E), 640, 200, 16),
    "0Dh": (bios(0x0D), 320, 200, 16),
    "11h": (bios(0x11), 640, 480, 16),
    "4": (bios(0x04), 320, 200, 4),
    "6": (bios(0x06), 640, 200, 2),
    "X": (mode_x, 320, 200, 256),
    "DISPI 8": (dispi(8), 200, 120, 256),
    "DISPI 8 wide": (dispi(8, 256), 200, 120, 256),
    "DISPI 15": (dispi(15), 200, 120, 1 << 24),
    "DISPI 16": (dispi(16), 200, 120, 1 << 24),
    "DISPI 24": (dispi(24), 200, 120, 1 << 24),
    "DISPI 32": (dispi(32), 200, 120, 1 << 24),
}
#: Channels that 15 and 16 bits a pixel can hold exactly: all bits equal.
EXACT = [0x000000, 0xFF0000, 0x00FF00, 0x0000FF, 0xFFFF00, 0xFF00FF, 0xFFFFFF, 0x00FFFF]


@pytest.fixture(params=MODES)
def drawing(request):
    prepare, width, height, colours = MODES[request.param]
    with vgaemu.Machine() as machine:
        guest = machine.guest
        prepare(guest)
        yield machine, Canvas(guest), width, height, colours


def whole(canvas):
    return canvas.grab(0, 0, canvas.width, canvas.height)


def some_colours(colours, chance, shape=None):
    values = EXACT if colours > 256 else range(colours)
    if shape is None:
        return chance.choice(values)
    return np.array(chance.choices(values, k=shape[0] * shape[1]), np.uint32).reshape(shape)


def test_size(drawing):
    _, canvas, width, height, _ = drawing
    assert (canvas.width, canvas.height) == (width, height)


def test_rectangles_and_pictures_as_in_an_array(drawing):
    _, canvas, width, height, colours = drawing
    chance = random.Random(1)
    # Far more than the picture lies around it: what is drawn there must not come back.
    around = 64
    model = np.zeros((height + 2 * around, width + 2 * around), np.uint32)
    canvas.clear(colours - 1)
    model[:] = colours - 1
    for _ in range(60):
        x, y = chance.randint(-around, width), chance.randint(-around, height)
        w, h = chance.randint(1, around), chance.randint(1, 20)
        rows = slice(y + around, y + around + h)
        columns = slice(x + around, x + around + w)
        what = chance.randrange(3)
        if what == 0:
            colour = some_colours(colours, chance)
            canvas.fill_rect(x, y, w, h, colour)
            model[rows, columns] = colour
        else:
            picture = some_colours(colours, chance, (h, w))
            hole = int(picture[0, 0]) if what == 2 else None
            canvas.blit(x, y, picture, transparent=hole)
            under = model[rows, columns]
            picture = picture[: len(under), : under.shape[1]]
            model[rows, columns] = np.where(picture == hole, under, picture)
    inside = model[around:-around, around:-around]
    assert np.array_equal(whole(canvas), inside)


def test_screen_shows_what_was_drawn(drawing):
    machine, canvas, width, height, colours = drawing
    chance = random.Random(2)
    canvas.blit(0, 0, some_colours(colours, chance, (height, width)))
    canvas.text(-3, 5, "Text\nand more", some_colours(colours, chance))
    canvas.fill_circle(100, 60, 40, some_colours(colours, chance))
    machine.tick()
    picture = whole(canvas)
    if colours <= 256:
        table = [canvas.get_colour(i) for i in range(colours)]
        shown = np.array(table, np.uint8)[picture]
    else:
        shown = (picture[:, :, None] >> np.array([16, 8, 0])).astype(np.uint8)
    assert np.array_equal(machine.screen.rgb(), shown)
    assert np.array_equal(machine.screen.frame, machine.screen.full_redraw())


def test_registers_are_as_before(drawing):
    machine, canvas, _, _, colours = drawing
    before = [bytes(bank.values) for bank in (machine.vga.sequencer, machine.vga.graphics)]
    canvas.fill_rect(3, 3, 50, 50, colours - 1)
    canvas.blit(5, 5, np.ones((9, 9), np.uint8))
    canvas.text(1, 1, "x", 1)
    canvas.get(3, 3)
    if colours <= 256:
        canvas.set_palette((255, 0, 0), 1)
        canvas.get_colour(1)
    after = [bytes(bank.values) for bank in (machine.vga.sequencer, machine.vga.graphics)]
    assert after == before
    machine.tick()
    assert machine.screen.frame.any(), "the picture is still shown"


@pytest.fixture
def vga():
    vga = vgaemu.Vga()
    set_mode(vga, 0x13)
    return vga


@pytest.fixture
def canvas(vga):
    return Canvas(vga)


OUTSIDE = {
    "pixel": lambda c: [
        c.pixel(x, y, 7) for x, y in [(-1, 5), (320, 5), (5, -1), (5, 200), (FAR, -FAR)]
    ],
    "lines": lambda c: [
        c.hline(320, 5, 50, 7), c.hline(-60, 5, 60, 7), c.hline(5, 200, 9, 7), c.hline(5, 5, -3, 7),
        c.vline(5, 200, 9, 7), c.vline(5, -9, 9, 7), c.vline(-1, 0, 200, 7), c.vline(5, 5, 0, 7),
        c.line(-1, 0, -50, 200, 7), c.line(0, 200, 320, 230, 7), c.line(FAR, 0, FAR, FAR, 7),
    ],
    "areas": lambda c: [
        c.fill_rect(320, 0, FAR, FAR, 7), c.fill_rect(-FAR, 0, FAR, 200, 7),
        c.rect(-5, -5, 330, 210, 7), c.rect(5, 5, 0, 9, 7), c.fill_circle(-50, 100, 49, 7),
        c.circle(160, 100, 200, 7), c.fill_polygon([(400, 0), (500, 100), (400, 199)], 7),
        c.fill_polygon([(0, 0), (9, 9)], 7),
    ],
    "pictures": lambda c: [
        c.blit(x, y, np.full((20, 20), 7)) for x, y in [(-20, 5), (320, 5), (5, -20), (FAR, FAR)]
    ],
    "text": lambda c: [c.text(x, y, "x", 7, 7) for x, y in [(320, 5), (5, 200), (-8, 0)]],
}  # fmt: skip


@pytest.mark.parametrize("draw", OUTSIDE.values(), ids=OUTSIDE)
def test_nothing_outside_comes_back(vga, canvas, draw):
    draw(canvas)
    assert not whole(canvas).any()
    # Nor in the memory behind the picture.
    assert not any(vga.load(0xA0000 + 64000, 1536))


def test_line_has_its_ends_and_no_gap(canvas):
    chance = random.Random(3)
    for _ in range(50):
        x0, y0, x1, y1 = (chance.randrange(200) for _ in range(4))
        canvas.clear()
        canvas.line(x0, y0, x1, y1, 9)
        drawn = whole(canvas) == 9
        assert drawn[y0, x0]
        assert drawn[y1, x1]
        assert drawn.sum() == max(abs(x1 - x0), abs(y1 - y0)) + 1
        rows, columns = np.nonzero(drawn)
        # No point is farther than half a step from the true line.
        away = np.abs((x1 - x0) * (rows - y0) - (y1 - y0) * (columns - x0))
        assert (2 * away <= max(abs(x1 - x0), abs(y1 - y0))).all()


def test_clipped_line_keeps_its_slope(canvas):
    canvas.line(-300, -100, 620, 300, 9)
    clipped = whole(canvas)
    canvas.clear()
    for x in range(320):
        canvas.pixel(x, (2 * (x + 300) * 400 + 920) // (2 * 920) - 100, 9)
    assert np.array_equal(whole(canvas), clipped)


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 30])
def test_circle_is_the_edge_of_the_disc(canvas, radius):
    canvas.fill_circle(100, 100, radius, 3)
    disc = whole(canvas) == 3
    canvas.clear()
    canvas.circle(100, 100, radius, 3)
    ring = whole(canvas) == 3
    assert not (ring & ~disc).any()
    inner = disc[1:-1, 1:-1] & disc[2:, 1:-1] & disc[:-2, 1:-1] & disc[1:-1, 2:] & disc[1:-1, :-2]
    assert not (ring[1:-1, 1:-1] & inner).any()
    assert np.array_equal(ring[1:-1, 1:-1] | inner, disc[1:-1, 1:-1])


def test_polygon(canvas):
    canvas.fill_polygon([(10, 10), (30, 10), (30, 20), (10, 20)], 4)
    expected = np.zeros((200, 320), np.uint8)
    expected[10:20, 10:30] = 4
    assert np.array_equal(whole(canvas), expected)


def test_text_draws_the_font(canvas):
    canvas.text(8, 16, "A", 15, 1)
    glyph = vgaemu.vga.font.bundled_font(8)[ord("A")]
    dots = np.unpackbits(glyph[:, None], axis=1)
    assert np.array_equal(canvas.grab(8, 16, 8, 8), np.where(dots, 15, 1))
    canvas.clear(2)
    canvas.text(8, 16, "A", 15, height=8)
    assert np.array_equal(canvas.grab(8, 16, 8, 8), np.where(dots, 15, 2))


def test_rows_without_a_point_stay_clean():
    with vgaemu.Machine(mode=0x13) as machine:
        canvas = Canvas(machine.guest)
        machine.tick()
        picture = np.zeros((100, 8), np.uint8)
        picture[99] = 5
        canvas.blit(0, 0, picture, transparent=0)
        assert machine.run_frame().dirty_pages.tolist() == [99 * 320 // 4096]


class Stores(vgaemu.Vga):
    """Notes where it is stored."""

    def __init__(self):
        super().__init__()
        self.stores = []

    def store(self, gpa, data):
        self.stores.append(gpa)


def test_full_picture_is_one_store():
    vga = Stores()
    set_mode(vga, 0x13)
    canvas, stores = Canvas(vga), vga.stores
    stores.clear()
    canvas.blit(0, 0, np.zeros((200, 320), np.uint8))
    canvas.clear(3)
    canvas.blit(0, 20, np.zeros((10, 320), np.uint8))
    assert stores == [0xA0000, 0xA0000, 0xA0000 + 20 * 320]


def test_blit_wants_two_dimensions(canvas):
    with pytest.raises(ValueError, match=r"\(height, width\)"):
        canvas.blit(0, 0, np.zeros((3, 3, 3)))


@pytest.mark.parametrize("mode", [0x03, 0x0D, 0x10, 0x12, 0x13])
def test_palette_round_trip(mode):
    with vgaemu.Machine(mode=mode) as machine:
        palette = Palette(machine.guest)
        rgb = [((i * 16) | 3, 255 - i * 16, i) for i in range(16)]
        palette.set_colours(rgb)
        widened = [tuple(c >> 2 << 2 | c >> 6 for c in colour) for colour in rgb]
        assert [palette.get_colour(i) for i in range(16)] == widened
        if mode != 0x13:
            assert not machine.vga.attribute_takes_data
        assert machine.vga.attribute_address & 0x20, "the picture stays on"


def test_eight_bit_dac():
    with vgaemu.Machine() as machine:
        guest = machine.guest
        dispi(8)(guest)
        guest.outw(0x1CE, 4)
        guest.outw(0x1CF, 0x61)
        canvas = Canvas(guest)
        canvas.set_palette((1, 2, 255), 200)
        assert canvas.get_colour(200) == (1, 2, 255)


def test_text_modes_have_no_canvas():
    with vgaemu.Machine() as machine, pytest.raises(CanvasError, match="text mode"):
        _ = machine.guest.canvas


def test_there_is_no_font_of_another_height(drawing):
    _, canvas, *_ = drawing
    with pytest.raises(FontError, match="8, 14 and 16 dots high, not 12"):
        canvas.text(0, 0, "hi", 1, height=12)
