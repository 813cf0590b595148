"""The window's first layout and its others, on screens of all sizes. No window, no pygame.

`contact_sheet.py` draws them for eyes.
"""

import random
from itertools import product

import pytest

from vgaemu.display.hostkeys import keys_for_panel
from vgaemu.display.panel import layout as panels
from vgaemu.display.report import ScreenInfo
from vgaemu.display.viewport import fitted_size
from vgaemu.display.window.layout import (
    DESKTOP_MARGIN,
    PanelWish,
    Wishes,
    first_size,
    lay_out,
)

VGA = 4 / 3
TEXT = ScreenInfo(720, 400, VGA, 0, "text 80x25", 4096, "flags", True)
MODE_13H = ScreenInfo(320, 200, VGA, 0, "320x200x256", 4096, "flags", False)
PLANAR = ScreenInfo(640, 480, VGA, 0, "640x480x16", 4096, "flags", False)
TRUE_COLOUR = ScreenInfo(1024, 768, VGA, 0, "1024x768x32bpp", 4096, "flags", False)
PICTURES = (TEXT, MODE_13H, PLANAR, TRUE_COLOUR)
HIDDEN, IF_FREE, SHOWN = PanelWish
NOTHING = Wishes()

#: Screen; and for each picture its size in the first window, and the panel there, enlarged.
FIRST = {
    (500, 400): ("427x320", "320x240", "427x320", "427x320"),
    (1280, 720): (
        "720x400 below 720x240", "640x480 beside 400x630", "640x480 beside 400x630",
        "853x640 beside 400x640",
    ),
    (1366, 768): (
        "720x400 below 720x240", "640x480 beside 400x630", "640x480 beside 400x630",
        "917x688 beside 400x688",
    ),
    (1600, 900): (
        "1440x800", "960x720 beside 400x720", "640x480 below 640x240", "1024x768 beside 400x768",
    ),
    (1920, 1080): (
        "1440x800 beside 400x800", "1280x960 beside 400x960", "1280x960 beside 400x960",
        "1024x768 beside 400x768",
    ),
    (2560, 1440): (
        "1440x1200 beside 400x1200", "1600x1200 beside 400x1200", "1280x960 below 1280x240",
        "1024x768 below 1024x240",
    ),
    (3840, 2160): (
        "2160x1600 below 1080x240 x2", "2560x1920 beside 400x960 x2", "2560x1920 beside 400x960 x2",
        "2048x1536 below 1024x240 x2",
    ),
}  # fmt: skip
#: Once its key was pressed, or in full screen.
ASKED = {
    (500, 400): "288x216 below 484x104",
    (1280, 720): "720x400 below 720x240",
    (1600, 900): "720x400 below 720x240",
}
FULL = {
    (500, 400): "500x375",
    (1280, 720): "720x400 below 1280x240",
    (1920, 1080): "1440x800 below 1920x240",
    (3840, 2160): "2160x1600 below 1920x240 x2",
}


def described(info, size, wishes, wish, exact=True):
    view, panel, scale = lay_out(info, size, wishes, wish, exact=exact)
    where = f" {'beside' if panel.x else 'below'} {panel.width // scale}x{panel.height // scale}"
    return (
        f"{view.width}x{view.height}" + (where if panel.area else "") + f" x{scale}" * (scale > 1)
    )


def first(info, screen, wish=IF_FREE, wishes=NOTHING):
    return described(info, first_size(info, screen, wishes, wish), wishes, wish)


@pytest.mark.parametrize("screen", FIRST, ids=str)
def test_the_first_layout(screen):
    assert tuple(first(info, screen) for info in PICTURES) == FIRST[screen]


def test_the_layout_with_a_panel_that_was_asked_for_and_in_full_screen():
    assert {screen: first(TEXT, screen, SHOWN) for screen in ASKED} == ASKED
    full = {screen: described(TEXT, screen, NOTHING, IF_FREE, exact=False) for screen in FULL}
    assert full == FULL


SCREENS = [*FIRST, (640, 480), (800, 600), (1024, 768), (1280, 1024), (1680, 1050), (3440, 1440)]


@pytest.mark.parametrize("screen", SCREENS, ids=str)
@pytest.mark.parametrize("info", PICTURES, ids=lambda info: info.mode_name)
def test_a_panel_that_nobody_asked_for_costs_the_picture_nothing(info, screen):
    room = screen[0] - DESKTOP_MARGIN[0], screen[1] - DESKTOP_MARGIN[1]
    size = first_size(info, screen, NOTHING, IF_FREE)
    view, panel, _ = lay_out(info, size, NOTHING, IF_FREE, exact=True)
    assert (view.width, view.height) == fitted_size(info, room)
    assert first_size(info, screen, NOTHING, HIDDEN) == (view.width, view.height)
    if panel.x:  # and nothing is left over between them
        assert size[0] == view.width + panel.width
    else:
        assert size[1] == view.height + panel.height


def test_layouts_of_windows_and_screens_of_any_size():
    rng = random.Random(7)
    keys = keys_for_panel()
    for _ in range(1500):
        info = rng.choice(PICTURES)
        screen = rng.randint(200, 4000), rng.randint(150, 2400)
        scale = rng.choice((None, None, 1, 2, 5))
        wishes = Wishes(scale, rng.choice(("auto", "square", "4:3")), rng.choice((0, 0, 24)))
        for wish, exact in product(PanelWish, (True, False)):
            size = first_size(info, screen, wishes, wish) if exact else screen
            view, panel, times = lay_out(info, size, wishes, wish, exact=exact)
            assert 0 <= view.x <= view.x + view.width <= size[0]
            assert 0 <= view.y <= view.y + view.height <= size[1]
            if not panel.area:
                continue
            assert wish is not HIDDEN
            assert (panel.x + panel.width, panel.y + panel.height) == size
            assert view.x + view.width <= panel.x or view.y + view.height <= panel.y
            if wish is IF_FREE:
                alone, _, _ = lay_out(info, size, wishes, HIDDEN, exact=exact)
                assert (view.width, view.height) == (alone.width, alone.height)
                if exact:
                    assert size[0] <= screen[0] - DESKTOP_MARGIN[0]
                    assert size[1] <= screen[1] - DESKTOP_MARGIN[1]
            boxes = panels.arrange(-(-panel.width // times), -(-panel.height // times), keys)
            for box in boxes:
                assert box.width >= 0
                assert (box.x + box.width) * times <= panel.width
                assert (box.y + box.height) * times <= panel.height


def test_the_scale_wished_for_is_kept_whatever_the_panel():
    for wish in PanelWish:
        assert first(MODE_13H, (1920, 1080), wish, Wishes(scale=3)).startswith("960x720")
        assert first(TEXT, (1280, 720), wish, Wishes(scale=2)).startswith("1440x1200")
    assert first(MODE_13H, (1920, 1080), IF_FREE, Wishes(1)) == "320x240 below 640x240"
    assert first(TEXT, (1280, 720), IF_FREE, Wishes(2)) == "1440x1200"
    assert first(TEXT, (1280, 720), SHOWN, Wishes(2)) == "1440x1200 below 1440x240"
