"""The window, under SDL's dummy driver: drawing in parts, keys, panel, outlines, failures."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import vgaemu
from vgaemu.display.events import Close, PauseToggled, Screenshot, SingleStep
from vgaemu.display.hostkeys import HOST_KEYS, all_keys, keys_for_panel, keys_in_title
from vgaemu.display.panel.draw import CLEAN, DIRTY, PAPER
from vgaemu.display.panel.layout import BELOW_HEIGHT, BESIDE_WIDTHS, MIN_BESIDE_HEIGHT
from vgaemu.display.report import FrameReport, Rect, ScreenInfo
from vgaemu.display.viewport import Viewport, fitted_size, scaled_size
from vgaemu.display.window.outlines import FADE_FRAMES, MAX_OUTLINES, Outlines
from vgaemu.errors import DisplayError
from vgaemu.keys.queue import Key, key_text
from vgaemu.keys.table import BY_NAME, CHARACTER_NAMES, KEYS
from vgaemu.machine import Machine
from vgaemu.memslot.log import RunLog

VGA = 4 / 3
TEXT = ScreenInfo(720, 400, VGA, 0x0000AA, "text 80x25", 4096, "flags", True)
MODE_13H = ScreenInfo(320, 200, VGA, 0, "320x200x256", 4096, "flags", False)
MODE_X = ScreenInfo(320, 400, VGA, 0, "320x400x256", 4096, "flags", False)
EGA = ScreenInfo(640, 350, VGA, 0, "640x350x16", 4096, "flags", False)
ODD = ScreenInfo(333, 111, 333 / 111, 0, "333x111x32bpp", 4096, "flags", False)
WIDE_TEXT = ScreenInfo(360, 400, VGA, 0, "text 40x25", 4096, "flags", True)
NOTHING_DIRTY = RunLog(4096)
#: On the dummy driver's 1024x768 there is no room below a picture of 480 lines.
EGA_WINDOW = (640 + BESIDE_WIDTHS[1], MIN_BESIDE_HEIGHT)


pytestmark = [pytest.mark.usefixtures("dummy_driver"), pytest.mark.turns(2)]


@pytest.fixture
def pygame(dummy_driver):
    import pygame

    return pygame


@pytest.fixture
def open_window(dummy_driver):
    from vgaemu.display.window.window import WindowDisplay

    windows = []

    def open_one(info=TEXT, **options):
        windows.append(WindowDisplay(**options))
        windows[-1].resize(info)
        return windows[-1]

    yield open_one
    for window in windows:
        window.close()


def report(rects=(), clean=(), frame=0):
    return FrameReport(frame, 1000, 1000, 1000, NOTHING_DIRTY, [],
                       rects, (), (), "", clean)  # fmt: skip


def picture(info, seed=0):
    return np.random.default_rng(seed).integers(0, 1 << 24, (info.height, info.width), np.uint32)


def whole(info):
    return [Rect(0, 0, info.width, info.height)]


def pixels():
    """All of the window, (height, width) uint32 0x00RRGGBB."""
    import pygame

    return pygame.surfarray.array2d(pygame.display.get_surface()).T & 0xFFFFFF


def shown(window):
    """The part of the window where the picture is."""
    view = window.viewport
    return pixels()[view.y : view.y + view.height, view.x : view.x + view.width]


def enlarged(frame, window):
    """What should be there: nearest neighbour, in the plainest words."""
    height, width = frame.shape
    view = window.viewport
    rows = [y * height // view.height for y in range(view.height)]
    columns = [x * width // view.width for x in range(view.width)]
    return frame[rows][:, columns]


@pytest.mark.parametrize("panel", [True, False])
def test_a_border_of_the_overscan_colour_lies_around_the_picture(open_window, panel):
    info = replace(TEXT, border_colour=0x0055AA)
    window = open_window(info, scale=1, panel=panel, border=24)
    frame = picture(info)
    window.update(frame, whole(info), report(whole(info)))
    view = window.viewport
    assert (view.x, view.y) == (24, 24)
    assert (pixels()[:24, : view.width + 48] == 0x0055AA).all()
    assert (pixels()[24 : 24 + view.height, :24] == 0x0055AA).all()
    assert (pixels()[24 : 24 + view.height, view.x + view.width :] == 0x0055AA).all()
    assert np.array_equal(shown(window), enlarged(frame, window))


# --- sizes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "scale", "square", "size"),
    [
        (MODE_13H, 1, False, (320, 240)),
        (MODE_13H, 2, False, (640, 480)),
        (MODE_13H, 5, False, (1600, 1200)),
        (MODE_13H, 3, True, (960, 600)),
        (TEXT, 1, False, (720, 400)),  # crisp rather than 720x540
        (TEXT, 2, False, (1440, 1200)),
        (TEXT, 2, True, (1440, 800)),
        (WIDE_TEXT, 2, False, (720, 400)),
        (EGA, 1, False, (640, 480)),
        (MODE_X, 1, False, (320, 400)),  # no row is lost
        (MODE_X, 2, False, (640, 480)),
        (ODD, 2, False, (666, 222)),
    ],
)
def test_scaled_sizes(info, scale, square, size):
    assert scaled_size(info, scale, "square" if square else "auto") == size


@pytest.mark.parametrize(
    ("info", "room", "size"),
    [
        (MODE_13H, (1920, 1200), (1600, 1200)),
        (MODE_13H, (1920, 1199), (1280, 960)),
        (MODE_13H, (640, 479), (320, 240)),
        (TEXT, (1920, 1080), (1440, 800)),
        (TEXT, (1280, 746), (720, 400)),
        (TEXT, (3840, 1800), (2160, 1600)),
        (WIDE_TEXT, (1280, 746), (720, 400)),
        (WIDE_TEXT, (1280, 800), (1080, 800)),
        (MODE_X, (1024, 500), (640, 480)),
        (EGA, (1024, 500), (640, 480)),
        (ODD, (1024, 500), (999, 333)),
        (TEXT, (360, 300), (360, 270)),  # smaller than life: then at least 4:3
        (MODE_13H, (100, 75), (100, 75)),
    ],
)
def test_fitted_sizes(info, room, size):
    assert fitted_size(info, room) == size


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (960, 720), (333, 111), (50, 31)])
def test_parts_of_a_viewport_tile_it(size):
    rng = np.random.default_rng(3)
    view = Viewport(7, 5, *size, (320, 200))
    for _ in range(50):
        xs = [0, *sorted(rng.integers(0, 321, 3).tolist()), 320]
        ys = [0, *sorted(rng.integers(0, 201, 3).tolist()), 200]
        taken = np.zeros((size[1] + 5, size[0] + 7), int)
        for left, right in pairwise(xs):
            for top, bottom in pairwise(ys):
                place = view.place(Rect(left, top, right - left, bottom - top))
                taken[place.y : place.y + place.height, place.x : place.x + place.width] += 1
        assert (taken[5:, 7:] == 1).all()
        assert taken.sum() == size[0] * size[1]


# --- drawing in parts equals drawing the whole --------------------------------------------------

SHAPES = [
    pytest.param(info, scale, square, id=f"{info.mode_name}-{scale}-{square}")
    for info in (TEXT, MODE_13H, MODE_X, EGA, ODD)
    for scale in (None, 1, 2, 3)
    for square in (False, True)
]


@pytest.mark.parametrize(("info", "scale", "square"), SHAPES)
def test_shadow(open_window, info, scale, square):
    window = open_window(info, scale=scale, aspect="square" if square else "auto")
    check_shadow(window, info)


@pytest.mark.parametrize("size", [(500, 400), (801, 601), (1000, 333), (1500, 900), (120, 90)])
@pytest.mark.parametrize("info", [TEXT, MODE_13H], ids=["text", "13h"])
def test_shadow_in_a_window_that_the_user_sized(open_window, pygame, info, size):
    window = open_window(info)
    user_sizes(window, pygame, size)
    assert pygame.display.get_surface().get_size() == size
    check_shadow(window, info)


@pytest.fixture(autouse=True)
def _long_ago(monkeypatch, dummy_driver):
    """Any other size that a window has is the user's."""
    monkeypatch.setattr("vgaemu.display.window.sdl.SETTLING_NS", -1)


def user_sizes(window, pygame, size):
    pygame.display.set_mode(size, pygame.RESIZABLE)
    pygame.event.post(pygame.event.Event(pygame.VIDEORESIZE, size=size, w=size[0], h=size[1]))
    window.poll()


def check_shadow(window, info):
    rng = np.random.default_rng(1)
    frame = picture(info)
    window.update(frame, whole(info), report(whole(info)))
    assert np.array_equal(shown(window), enlarged(frame, window))
    for number in range(12):
        rects = []
        for _ in range(int(rng.integers(1, 6))):
            x, y = int(rng.integers(info.width)), int(rng.integers(info.height))
            width = int(rng.integers(1, info.width - x + 1))
            height = int(rng.integers(1, info.height - y + 1))
            if rng.random() < 0.5:
                width, height = min(width, 9), min(height, 16)
            rects.append(Rect(x, y, width, height))
            frame[y : y + height, x : x + width] = rng.integers(0, 1 << 24, (height, width))
        window.poll()
        window.update(frame, rects, report(rects, frame=number))
        assert np.array_equal(shown(window), enlarged(frame, window))


@pytest.mark.parametrize("info", [TEXT, MODE_13H, ODD], ids=lambda info: info.mode_name)
def test_4_to_3_is_drawn_in_parts_as_a_whole(open_window, pygame, info):
    window = open_window(info, aspect="4:3", panel=False)
    user_sizes(window, pygame, (950, 700))
    frame = picture(info)
    window.update(frame, whole(info), report(whole(info)))
    assert (window.viewport.width, window.viewport.height) == (933, 700)
    frame[10:60, 20:90] = 0xFF0000
    window.poll()
    window.update(frame, [Rect(20, 10, 70, 50)], report())
    in_parts = shown(window)
    window.resize(replace(info, border_colour=0x123456))
    window.update(frame, [], report())
    assert np.array_equal(in_parts, shown(window))
    assert not np.array_equal(in_parts, enlarged(frame, window))  # its edges are blended


def test_an_aspect_that_there_is_not(open_window):
    with pytest.raises(DisplayError, match="aspect is auto, square or 4:3, not 'wide'"):
        open_window(aspect="wide")


def test_only_what_changed_is_drawn(open_window):
    window = open_window(MODE_13H, scale=2)
    frame = picture(MODE_13H)
    window.update(frame, whole(MODE_13H), report())
    before = enlarged(frame, window)
    frame[:] = 0xFFFFFF
    window.poll()
    window.update(frame, [], report())
    assert np.array_equal(shown(window), before)
    window.poll()
    window.update(frame, [Rect(10, 0, 5, 100)], report())
    after = shown(window)
    assert (after[:240, 20:30] == 0xFFFFFF).all()
    after[:240, 20:30] = before[:240, 20:30]
    assert np.array_equal(after, before)


def test_more_rects_than_are_presented_one_by_one(open_window, pygame, monkeypatch):
    window = open_window(TEXT, scale=1)
    frame = picture(TEXT)
    window.update(frame, whole(TEXT), report())
    presented = []
    monkeypatch.setattr(pygame.display, "update", lambda rects: presented.append(rects))
    for count, expected in ((0, []), (1, [1]), (32, [32]), (33, [1])):
        presented.clear()
        window.poll()
        presented.clear()
        window.update(frame, [Rect(9 * n, 16, 9, 16) for n in range(count)], report())
        assert [len(rects) for rects in presented] == expected
    view = window.viewport
    assert presented[-1] == [(view.x, view.y + 16, 9 * 33, 16)]


def test_a_new_frame_array_is_shared_even_without_a_resize(open_window):
    window = open_window(TEXT)
    window.update(picture(TEXT), whole(TEXT), report())
    other = picture(TEXT, seed=5)
    window.update(other, whole(TEXT), report())
    assert np.array_equal(shown(window), enlarged(other, window))


# --- the window's shape -------------------------------------------------------------------------


def test_the_window_takes_each_modes_size(open_window, pygame):
    window = open_window(TEXT, scale=1)
    assert pygame.display.get_surface().get_size() == (720, 400 + BELOW_HEIGHT)
    window.update(picture(TEXT), whole(TEXT), report())
    window.resize(EGA)
    assert pygame.display.get_surface().get_size() == EGA_WINDOW
    frame = picture(EGA)
    window.update(frame, whole(EGA), report())
    assert np.array_equal(shown(window), enlarged(frame, window))
    assert EGA.mode_name in pygame.display.get_caption()[0]


def test_the_picture_is_centred_in_the_border_colour(open_window, pygame):
    window = open_window(TEXT, panel=False)
    user_sizes(window, pygame, (900, 500))
    window.update(np.zeros((400, 720), np.uint32), whole(TEXT), report())
    all_of_it = pixels()
    assert (window.viewport.x, window.viewport.y) == (90, 50)
    assert (all_of_it[:50] == 0x0000AA).all()
    assert (all_of_it[:, :90] == 0x0000AA).all()
    assert (all_of_it[50:450, 90:810] == 0).all()


def test_a_new_border_colour_is_drawn_and_keeps_the_picture(open_window):
    window = open_window(MODE_13H, scale=1)  # 320 wide, the window is 640
    frame = picture(MODE_13H)
    window.update(frame, whole(MODE_13H), report())
    window.resize(ScreenInfo(320, 200, VGA, 0xAA5500, "320x200x256", 4096, "flags", False))
    window.update(frame, [], report())
    assert pixels()[0, 0] == 0xAA5500
    assert np.array_equal(shown(window), enlarged(frame, window))


def test_the_panel_goes_where_it_leaves_the_picture_more_room(open_window, pygame):
    window = open_window(MODE_13H)
    user_sizes(window, pygame, (1920, 1080))
    assert (window.viewport.width, window.viewport.height) == (1280, 960)
    assert window.panel_place == Rect(1920 - BESIDE_WIDTHS[0], 0, BESIDE_WIDTHS[0], 1080)
    user_sizes(window, pygame, (1000, 1000))
    assert window.panel_place == Rect(0, 1000 - BELOW_HEIGHT, 1000, BELOW_HEIGHT)
    user_sizes(window, pygame, (1100, 900))
    window.resize(TEXT)  # 700x525 beside a panel would be larger, but lose pixels
    assert (window.viewport.width, window.viewport.height) == (720, 400)
    window.resize(MODE_13H)
    user_sizes(window, pygame, (320, 240))
    assert window.panel_place.area == 0
    frame = picture(MODE_13H)
    window.update(frame, whole(MODE_13H), report())
    assert np.array_equal(pixels(), enlarged(frame, window))


def test_the_panel_is_enlarged_with_the_window(open_window, pygame):
    window = open_window(MODE_13H)
    frame = picture(MODE_13H)
    window.update(frame, whole(MODE_13H), report())
    user_sizes(window, pygame, (1921, 1950))
    height = 2 * BELOW_HEIGHT
    assert window.panel_place == Rect(0, 1950 - height, 1921, height)
    window.poll()
    panel = pixels()[-height:]
    assert len(np.unique(panel)) > 5
    assert np.array_equal(panel[::2], panel[1::2])
    assert np.array_equal(panel[:, :-1:2], panel[:, 1::2])  # and half a pixel in the last column
    assert np.array_equal(shown(window), enlarged(frame, window))


def test_a_panel_that_would_cost_the_picture_waits_for_its_key(open_window, pygame):
    window = open_window(MODE_13H)
    user_sizes(window, pygame, (700, 500))
    window.update(picture(MODE_13H), whole(MODE_13H), report())
    assert (window.viewport.width, window.viewport.height) == (640, 480)
    assert window.panel_place.area == 0
    assert keys_in_title() in pygame.display.get_caption()[0]
    for expected in (Rect(0, 260, 700, BELOW_HEIGHT), Rect(0, 0, 0, 0)):
        press(pygame, pygame.K_F3, pygame.KMOD_LCTRL)
        window.poll()
        release(pygame, pygame.K_F3)
        assert window.panel_place == expected


def test_a_window_that_settles_was_not_sized_by_the_user(open_window, pygame, monkeypatch):
    monkeypatch.setattr("vgaemu.display.window.sdl.SETTLING_NS", 10**12)
    window = open_window(TEXT, scale=1)
    user_sizes(window, pygame, (1000, 800))
    window.resize(EGA)
    assert pygame.display.get_surface().get_size() == EGA_WINDOW


def test_full_screen_and_back(open_window, pygame):
    window = open_window(TEXT, scale=1)
    frame = picture(TEXT)
    window.update(frame, whole(TEXT), report())
    press(pygame, pygame.K_RETURN, pygame.KMOD_LALT)
    window.poll()
    assert pygame.display.get_surface().get_size() == pygame.display.get_desktop_sizes()[0]
    assert pygame.display.get_surface().get_flags() & pygame.FULLSCREEN
    assert np.array_equal(shown(window), enlarged(frame, window))
    release(pygame, pygame.K_RETURN)
    press(pygame, pygame.K_RETURN, pygame.KMOD_LALT)
    assert window.poll() == []
    assert pygame.display.get_surface().get_size() == (720, 400 + BELOW_HEIGHT)
    assert np.array_equal(shown(window), enlarged(frame, window))


def test_whatever_the_user_does_picture_panel_and_border_fill_the_window(open_window, pygame):
    rng = np.random.default_rng(int(os.environ["VGAEMU_FUZZ_SEED"]))
    infos = (TEXT, MODE_13H, EGA, ODD, replace(WIDE_TEXT, border_colour=0x00AA55))
    window = open_window(TEXT, border=int(rng.choice((0, 5))))
    frame = picture(TEXT)
    for _ in range(40):
        match rng.integers(5):
            case 0 if not pygame.display.get_surface().get_flags() & pygame.FULLSCREEN:
                user_sizes(window, pygame, tuple(rng.integers((100, 100), (2000, 2000)).tolist()))
            case 1:
                press(pygame, pygame.K_F3, pygame.KMOD_LCTRL)
                release(pygame, pygame.K_F3)
            case 2:
                press(pygame, pygame.K_RETURN, pygame.KMOD_LALT)
                release(pygame, pygame.K_RETURN)
            case 3:
                info = infos[rng.integers(len(infos))]
                frame = picture(info)
                window.resize(info)
        window.poll()
        height, width = frame.shape
        part = Rect(0, 0, int(rng.integers(1, width)), int(rng.integers(1, height)))
        frame[: part.height, : part.width] ^= 0xFF
        window.update(frame, [part], report([part]))
        window.poll()
        there = pixels()
        assert np.array_equal(shown(window), enlarged(frame, window))
        view, panel = window.viewport, window.panel_place
        there[view.y : view.y + view.height, view.x : view.x + view.width] = 1
        assert not panel.area or (there[panel.y :, panel.x :] == PAPER).mean() > 0.15
        assert panel.area == 0 or (panel.x + panel.width, panel.y + panel.height) == there.T.shape
        there[panel.y : panel.y + panel.height, panel.x : panel.x + panel.width] = 1
        assert set(np.unique(there)) <= {1, window._stage.info.border_colour}


# --- the panel ----------------------------------------------------------------------------------


@pytest.fixture
def clock(dummy_driver, monkeypatch):
    from vgaemu.display.window import window

    class Clock:
        now = 10**12

    monkeypatch.setattr(window, "monotonic_ns", lambda: Clock.now)
    return Clock


def panel_pixels():
    return pixels()[-BELOW_HEIGHT:]


def test_the_panel_is_below_and_never_on_the_picture(open_window):
    window = open_window(TEXT, scale=1)
    frame = picture(TEXT)
    window.update(frame, whole(TEXT), report())
    window.poll()
    assert np.array_equal(shown(window), enlarged(frame, window))
    assert window.viewport.y + window.viewport.height <= len(pixels()) - BELOW_HEIGHT
    assert (panel_pixels() == PAPER).mean() > 0.3


def test_the_panel_is_drawn_ten_times_a_second_at_most(open_window, clock, monkeypatch):
    from vgaemu.display.panel.panel import Panel

    drawn = []
    original = Panel.draw
    monkeypatch.setattr(
        Panel, "draw", lambda self, *args: (drawn.append(clock.now), original(self, *args))
    )
    window = open_window(TEXT)
    frame = picture(TEXT)
    for number in range(600):  # ten seconds of frames
        window.poll()
        window.update(frame, whole(TEXT), report(frame=number))
        clock.now += 10**9 // 60
    assert 80 <= len(drawn) <= 101
    assert min(np.diff(drawn)) >= 10**8
    assert window.panel_ns > 0


def test_the_panel_is_not_drawn_in_present_time(open_window, clock, monkeypatch):
    from vgaemu.display.panel.panel import Panel

    window = open_window(TEXT)
    frame = picture(TEXT)
    window.poll()
    window.update(frame, whole(TEXT), report())
    drawn = []
    monkeypatch.setattr(Panel, "draw", lambda *args: drawn.append(1))
    for number in range(20):
        clock.now += 10**9
        window.poll()
        assert len(drawn) == number + 1
        window.update(frame, whole(TEXT), report())
        assert len(drawn) == number + 1


def test_a_script_that_never_polls_has_a_panel_too(open_window, clock):
    window = open_window(TEXT)
    frame = picture(TEXT)
    window.update(frame, whole(TEXT), report())
    before = panel_pixels()
    clock.now += 10**9
    window.update(frame, whole(TEXT), report(frame=123))
    assert not np.array_equal(panel_pixels(), before)


def test_the_panel_on_and_off(open_window, pygame):
    window = open_window(TEXT)
    frame = picture(TEXT)
    window.update(frame, whole(TEXT), report())
    before = shown(window)
    for expected in (400, 400 + BELOW_HEIGHT):
        press(pygame, pygame.K_F3, pygame.KMOD_LCTRL)
        assert window.poll() == []
        release(pygame, pygame.K_F3)
        assert pygame.display.get_surface().get_size() == (720, expected)
        assert np.array_equal(shown(window), before)
        assert np.array_equal(before, enlarged(frame, window))
    assert (panel_pixels() == PAPER).mean() > 0.3


def test_a_hidden_panel_gathers_nothing(open_window, pygame, monkeypatch):
    from vgaemu.display.panel.meter import Meter

    noted = []
    monkeypatch.setattr(
        Meter, "note", lambda self, report, rects: noted.append(report.frame_number)
    )
    window = open_window(TEXT, panel=False)
    frame = picture(TEXT)
    window.update(frame, whole(TEXT), report(frame=1))
    press(pygame, pygame.K_F3, pygame.KMOD_LCTRL)
    window.poll()
    window.update(frame, [], report(frame=2))
    assert noted == [2]


def test_without_a_panel_the_window_is_the_picture(open_window, pygame):
    open_window(TEXT, panel=False, scale=1)
    assert pygame.display.get_surface().get_size() == (720, 400)


# --- outlines -----------------------------------------------------------------------------------


def test_outlines_fade_and_leave_the_picture_as_it_was(open_window, pygame):
    window = open_window(MODE_13H, scale=2)
    frame = picture(MODE_13H)
    window.update(frame, whole(MODE_13H), report())
    assert not window.shows_clean_rects
    press(pygame, pygame.K_F4, pygame.KMOD_LCTRL)
    assert window.poll() == []
    assert window.shows_clean_rects
    rng = np.random.default_rng(2)
    differing = []
    for number in range(40 + FADE_FRAMES):
        rects, clean = [], []
        if number < 40:
            x, y = int(rng.integers(300)), int(rng.integers(150))
            rects = [Rect(x, y, 20, 50), Rect(0, y, 320, 3)]
            clean = [Rect(0, y + 1, 320, 2)]
            frame[y : y + 50, x : x + 20] = rng.integers(0, 1 << 24, (50, 20))
            frame[y : y + 3] = rng.integers(0, 1 << 24, (3, 320))
        window.update(frame, rects, report(rects, clean))
        differing.append(int((shown(window) != enlarged(frame, window)).sum()))
    assert min(differing[:40]) > 0
    assert differing[-1] == 0
    assert all(differing[n] >= differing[n + 1] for n in range(40, len(differing) - 1))


def test_a_fresh_outline_and_a_fresh_tint(open_window, pygame):
    window = open_window(MODE_13H, scale=2)
    frame = np.zeros((200, 320), np.uint32)
    window.update(frame, whole(MODE_13H), report())
    press(pygame, pygame.K_F4, pygame.KMOD_LCTRL)
    window.poll()
    window.update(frame, [Rect(10, 10, 20, 20)], report(clean=[Rect(0, 100, 320, 10)]))
    there = shown(window)
    assert there[24, 20] == DIRTY  # the left edge, two pixels thick
    assert there[24, 21] == DIRTY
    assert there[40, 40] == 0  # inside
    tint = int(there[245, 300])
    assert 0 < tint >> 16 < CLEAN >> 16
    assert tint >> 16 > tint & 0xFF  # amber
    release(pygame, pygame.K_F4)
    press(pygame, pygame.K_F4, pygame.KMOD_LCTRL)
    window.poll()
    assert not shown(window).any()
    assert not window.shows_clean_rects


def test_outlines_are_not_kept_without_end():
    outlines = Outlines()
    for number in range(20):
        rects = [Rect(9 * n, 16 * number, 9, 16) for n in range(32)]
        touched = outlines.next_frame(rects, clean=[])
        assert set(rects) <= set(touched)
        assert len(outlines) <= MAX_OUTLINES
    for _ in range(FADE_FRAMES):
        outlines.next_frame([], clean=[])
    assert len(outlines) == 0


def test_many_outlines_at_once(open_window, pygame):
    window = open_window(TEXT, scale=1)
    frame = picture(TEXT)
    window.update(frame, whole(TEXT), report())
    press(pygame, pygame.K_F4, pygame.KMOD_LCTRL)
    window.poll()
    for number in range(20):
        window.update(frame, [Rect(9 * n, 16 * number, 9, 16) for n in range(32)], report())
    for _ in range(FADE_FRAMES):
        window.update(frame, [], report())
    assert np.array_equal(shown(window), enlarged(frame, window))


# --- keys and the rest that users do ------------------------------------------------------------


def press(pygame, key, mod=0, text=""):
    pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key, mod=mod, unicode=text))


def release(pygame, key, mod=0):
    pygame.event.post(pygame.event.Event(pygame.KEYUP, key=key, mod=mod))


@pytest.mark.parametrize(
    ("key", "text", "name", "typed"),
    [
        ("a", "a", "a", "a"),
        ("a", "A", "A", "A"),
        ("1", "1", "1", "1"),
        ("1", "!", "!", "!"),
        ("SPACE", " ", "space", " "),
        ("RETURN", "\r", "enter", "\n"),
        ("KP_ENTER", "\r", "enter", "\n"),
        ("BACKSPACE", "\b", "backspace", "\b"),
        ("TAB", "\t", "tab", "\t"),
        ("ESCAPE", "\x1b", "esc", "\x1b"),
        ("LEFT", "", "left", ""),
        ("F1", "", "f1", ""),
        ("F12", "", "f12", ""),
        ("COMMA", ",", "comma", ","),
        ("MINUS", "-", "minus", "-"),
        ("KP_PLUS", "+", "plus", "+"),
        ("KP4", "4", "4", "4"),
        ("KP4", "", "left", ""),
        ("q", "@", "@", "@"),  # AltGr on some keyboards
        ("o", "ö", "ö", "ö"),
        ("DELETE", "\x7f", "delete", ""),
    ],
)
def test_keys_for_the_guest(open_window, pygame, key, text, name, typed):
    window = open_window()
    code = getattr(pygame, f"K_{key}")
    press(pygame, code, text=text)
    release(pygame, code)
    assert window.poll() == [Key(name, True, typed), Key(name, False)]
    assert key_text(name) == typed


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
def test_each_key_of_the_table_reaches_the_guest(open_window, pygame, key):
    from vgaemu.display.window.keymap import code_of

    window = open_window()
    codes = [code_of(name) for name in key.sdl] or [ord(key.text)]
    for code in codes:
        press(pygame, code, text=key.text if key.text.isprintable() else "")
        release(pygame, code)
        assert window.poll() == [Key(key.name, True, key.text), Key(key.name, False)]
    if key.shifted != key.text:
        press(pygame, codes[0], pygame.KMOD_LSHIFT, key.shifted)
        name = CHARACTER_NAMES.get(key.shifted, key.shifted)
        assert window.poll() == [Key(name, True, key.shifted)]
        assert key_text(name) == key_text(f"shift-{key.name}") == key.shifted
    if key.keypad:
        press(pygame, code_of(key.keypad))
        assert window.poll() == [Key(key.name, True)]


def test_the_hosts_menu_key_is_the_guests(open_window, pygame):
    window = open_window()
    press(pygame, 0x40000065)  # what SDL says of it under X11, and pygame has no name for
    assert window.poll() == [Key("menu", True)]


def test_the_host_keys_are_one_table(open_window, pygame):
    from vgaemu.display.window.keymap import WindowKeyboard, code_of

    masks = {"Ctrl": pygame.KMOD_RCTRL, "Alt": pygame.KMOD_RALT, "Shift": pygame.KMOD_LSHIFT}
    for host_key in HOST_KEYS:
        for combination in host_key.combinations:
            *modifiers, key = combination.split("+")
            held = sum(masks[modifier] for modifier in modifiers)
            for name in BY_NAME[key.lower()][0].sdl or [key.lower()]:
                keyboard, code = WindowKeyboard(), code_of(name)
                assert keyboard.press(code, held, "") is host_key
                assert keyboard.press(code, held, "") is None
                assert keyboard.release(code) == host_key.ends
                other = keyboard.press(code, pygame.KMOD_LCTRL | pygame.KMOD_LALT, "")
                assert isinstance(other, Key)
    open_window()
    assert keys_in_title() in pygame.display.get_caption()[0]


@pytest.mark.parametrize("command", [[], ["run"]])
def test_the_help_lists_the_host_keys_and_waits_for_no_numpy(command):
    code = f"import sys; sys.argv[1:] = {[*command, '--help']}; from vgaemu.cli.main import main\n"
    code += "try: main()\nexcept SystemExit: sys.exit('numpy' in sys.modules)"
    ended = python(code, env={"COLUMNS": "80"})
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"Keys in the window: {all_keys()}." in " ".join(ended.stdout.split())


def test_each_key_is_said_as_it_is_pressed():
    for key in HOST_KEYS:
        assert all(re.fullmatch(r"((Ctrl|Alt|Shift)\+)+\w+", one) for one in key.combinations)
    assert [key for key, *_ in keys_for_panel()] == [key.combinations[0] for key in HOST_KEYS]


def test_a_key_is_released_as_what_was_pressed(open_window, pygame):
    window = open_window()
    press(pygame, pygame.K_LSHIFT)
    press(pygame, pygame.K_1, pygame.KMOD_LSHIFT, "!")
    release(pygame, pygame.K_LSHIFT)
    press(pygame, pygame.K_1, 0, "1")  # it repeats
    release(pygame, pygame.K_1)
    assert window.poll() == [
        Key("shift", True), Key("!", True, "!"), Key("shift", False),
        Key("!", True, "1"), Key("!", False),
    ]  # fmt: skip


def test_ctrl_with_a_letter_goes_to_the_guest(open_window, pygame):
    window = open_window()
    press(pygame, pygame.K_LCTRL)
    press(pygame, pygame.K_c, pygame.KMOD_LCTRL, "\x03")
    release(pygame, pygame.K_c)
    release(pygame, pygame.K_LCTRL)
    assert window.poll() == [
        Key("ctrl", True), Key("c", True, "\x03"), Key("c", False), Key("ctrl", False),
    ]  # fmt: skip


def test_a_held_modifier_does_not_repeat(open_window, pygame):
    window = open_window()
    for _ in range(3):
        press(pygame, pygame.K_LSHIFT)
    assert window.poll() == [Key("shift", True)]


def test_no_key_stays_down_when_the_focus_goes(open_window, pygame):
    window = open_window()
    press(pygame, pygame.K_a, text="a")
    pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSLOST))
    release(pygame, pygame.K_a)
    assert window.poll() == [Key("a", True, "a"), Key("a", False)]


@pytest.mark.parametrize("number", range(1, 13))
def test_function_keys_without_ctrl_are_the_guests(open_window, pygame, number):
    window = open_window()
    press(pygame, getattr(pygame, f"K_F{number}"))
    assert window.poll() == [Key(f"f{number}", True)]


def test_keys_without_a_name_are_dropped(open_window, pygame):
    window = open_window()
    press(pygame, pygame.K_LSUPER)
    release(pygame, pygame.K_LSUPER)
    assert window.poll() == []


@pytest.mark.parametrize(("key", "mod"), [("F9", "LCTRL"), ("F9", "RCTRL"), (None, None)])
def test_close(open_window, pygame, key, mod):
    window = open_window()
    if key is None:
        pygame.event.post(pygame.event.Event(pygame.QUIT))
    else:
        press(pygame, getattr(pygame, f"K_{key}"), getattr(pygame, f"KMOD_{mod}"))
    assert window.poll() == [Close()]
    window.close()
    window.close()
    assert window.poll() == []
    window.update(picture(TEXT), whole(TEXT), report())


def test_a_screenshot_is_asked_for_once_however_long_the_key_is_held(open_window, pygame):
    window = open_window()
    for _ in range(5):
        press(pygame, pygame.K_F5, pygame.KMOD_RCTRL | pygame.KMOD_NUM)
    release(pygame, pygame.K_F5)
    assert window.poll() == [Screenshot()]


@pytest.mark.parametrize(("key", "mod"), [("PAUSE", "LALT"), ("F6", "LCTRL")])
def test_pause_and_single_step_show(open_window, pygame, key, mod):
    key, mod = getattr(pygame, f"K_{key}"), getattr(pygame, f"KMOD_{mod}")
    window = open_window()
    window.update(picture(TEXT), whole(TEXT), report())
    window.poll()
    running = panel_pixels()
    press(pygame, key, mod)
    release(pygame, key)
    assert window.poll() == [PauseToggled()]
    assert "PAUSED" not in pygame.display.get_caption()[0]  # who asks is told, as all are
    window.pauses(True)
    window.poll()
    assert "PAUSED" in pygame.display.get_caption()[0]
    assert (panel_pixels() == CLEAN).sum() > (running == CLEAN).sum() + 500
    press(pygame, pygame.K_F11, pygame.KMOD_LCTRL)
    release(pygame, pygame.K_F11)
    assert window.poll() == [SingleStep()]
    press(pygame, key, mod)
    release(pygame, key)
    assert window.poll() == [PauseToggled()]
    window.pauses(False)
    assert "PAUSED" not in pygame.display.get_caption()[0]


def test_the_title_names_the_keys(open_window, pygame):
    open_window(title="tour")
    title = pygame.display.get_caption()[0]
    assert title.startswith("tour")
    assert "Ctrl+F9" in title


# --- with a machine -----------------------------------------------------------------------------


def test_cat_in_a_window(open_window, tmp_path):
    file = tmp_path / "text"
    file.write_text("".join(f"line {n}\n" for n in range(5)))
    window = open_window(scale=1)
    machine = Machine("cat", [str(file)], display=window, free=True)
    with machine:
        machine.run(2000, speed=0, stay=False)
        while not machine.ended:
            machine.run_frame()
        machine.run_frame()
        assert machine.screen.text()[4].startswith("line 4")
        assert np.array_equal(shown(window), machine.screen.full_redraw())
    assert machine.runner.is_over


def test_a_guest_that_never_yields_can_be_closed(open_window, pygame):
    def workload(guest):
        n = 0
        while True:
            guest.store(0xB8000, bytes([n & 0xFF, 7]))
            n += 1
        yield

    window = open_window(scale=1)
    machine = Machine(workload, display=window, free=True)
    with machine:
        machine.run(10)
        pygame.event.post(pygame.event.Event(pygame.QUIT))
        machine.run(100_000)
    assert machine.frames < 1000
    assert machine.runner.is_over


def python(code, *args, env=None, timeout=30):
    environment = os.environ | {"PYTHONWARNINGS": "ignore"} | (env or {})
    environment = {name: value for name, value in environment.items() if value is not None}
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


MAIN = "import sys; from vgaemu.cli.main import main; sys.exit(main())"


def test_a_guest_that_calls_nothing_does_not_keep_the_window_open(tmp_path):
    file = tmp_path / "stuck.py"
    file.write_text("def workload(guest):\n    while True:\n        pass\n    yield\n")
    ended = python(MAIN, "run", str(file), "--frames", "5")
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("tour", [False, True])
def test_ctrl_c_in_the_terminal_ends_cleanly(tour, tmp_path):
    file = tmp_path / "idle.py"
    file.write_text("def workload(guest):\n    while True:\n        yield\n")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", MAIN, *([] if tour else ["run", str(file)])],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


# --- clean failures -----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="X11")
@pytest.mark.parametrize(
    ("driver", "why"), [("x11", "(SDL: "), (None, "(neither DISPLAY")], ids=["x11", "any"]
)
def test_no_display_is_one_line(driver, why, tmp_path):
    file = tmp_path / "text"
    file.write_text("hello\n")
    nothing = {"DISPLAY": None, "WAYLAND_DISPLAY": None, "XDG_RUNTIME_DIR": None}
    ended = python(
        MAIN, "run", "cat", str(file), "--frames", "2", env=nothing | {"SDL_VIDEODRIVER": driver}
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert f"no display available {why}" in ended.stderr
    assert "try --headless" in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="X11")
def test_a_display_that_does_not_answer_is_one_line():
    env = {"DISPLAY": ":987", "WAYLAND_DISPLAY": None, "XDG_RUNTIME_DIR": None}
    ended = python(MAIN, "run", "typing", "--frames", "2", env=env | {"SDL_VIDEODRIVER": None})
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "no display available at DISPLAY=:987" in ended.stderr


def test_the_title_says_where_a_screenshot_went(open_window, pygame, monkeypatch):
    window = open_window()
    window.resize(EGA)
    title = pygame.display.get_caption()[0]
    window.notice("saved vgaemu-001.png")
    assert "saved vgaemu-001.png" in pygame.display.get_caption()[0]
    window.poll()
    assert "saved vgaemu-001.png" in pygame.display.get_caption()[0]
    monkeypatch.setattr("vgaemu.display.window.notice.NOTICE_NS", 0)
    window.notice("another")
    window.poll()
    assert pygame.display.get_caption()[0] == title


def test_both_pygames_installed():
    from vgaemu.display.window.sdl import check_pygame

    with pytest.raises(DisplayError, match="pip uninstall pygame pygame-ce"):
        check_pygame(lambda name: "2")

    def only_ce(name):
        if name == "pygame":
            raise PackageNotFoundError(name)
        return "2"

    check_pygame(only_ce)


def test_no_pygame_installed(tmp_path):
    file = tmp_path / "text"
    file.write_text("hello\n")
    code = "import sys; sys.modules['pygame'] = None; " + MAIN
    ended = python(code, "run", "cat", str(file), "--frames", "2")
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "pip install pygame" in ended.stderr


def test_only_the_window_imports_pygame():
    code = "import sys, vgaemu.machine, vgaemu.cli.main; sys.exit('pygame' in sys.modules)"
    assert python(code).returncode == 0


def test_only_one_file_names_pygame_in_an_import():
    package = Path(vgaemu.__file__).parent
    names = [
        file.relative_to(package).as_posix()
        for file in sorted(package.rglob("*.py"))
        if re.search(r"^\s*(import|from) pygame\b", file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert names == ["display/window/sdl.py"]


@pytest.mark.parametrize("module", ["hostkeys", "window.layout", "window.outlines"])
def test_what_needs_no_pygame_imports_none(module):
    code = f"import sys, vgaemu.display.{module}; sys.exit('pygame' in sys.modules)"
    assert python(code).returncode == 0


# --- on a real X server -------------------------------------------------------------------------


@pytest.fixture
def x_server():
    """DISPLAY of an X server of our own."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-noreset", "-screen", "0", "1024x768x24"],
        pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    with os.fdopen(read) as number:
        display = number.readline().strip()
    yield f":{display}"
    server.terminate()
    server.wait(timeout=10)


def test_a_window_under_x11(x_server, tmp_path):
    shooter = shutil.which("import")
    if shooter is None:
        pytest.skip("ImageMagick's import is not installed")
    from PIL import Image

    file = tmp_path / "text"
    file.write_text("".join(f"line {n} of the file\n" for n in range(40)))
    shot, window_shot = tmp_path / "shot.png", tmp_path / "window.png"
    environment = os.environ | {"DISPLAY": x_server, "SDL_VIDEODRIVER": "x11"}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "vgaemu", "run", "cat", str(file),
         "--scale", "1", "--frames", "120", "--screenshot", str(shot)],
        env=environment,
    )  # fmt: skip
    best = None
    while process.poll() is None:
        subprocess.run([shooter, "-window", "root", str(window_shot)], env=environment, check=True)
        with Image.open(window_shot) as image:
            seen = np.asarray(image.convert("RGB"), np.uint32)
        seen = seen[..., 0] << 16 | seen[..., 1] << 8 | seen[..., 2]
        if (seen == DIRTY).any():  # the panel's graph
            best = seen
    assert process.returncode == 0
    assert best is not None
    # The panel, 720 wide, and the light grey of the text above it.
    top = (768 - 400 - BELOW_HEIGHT) // 2 + 400
    panel_rows, panel_columns = np.nonzero(best[top:] == PAPER)
    assert panel_columns.max() - panel_columns.min() + 1 == 720
    assert panel_rows.max() - panel_rows.min() + 1 == BELOW_HEIGHT - 1
    assert (best[:top] == 0xAAAAAA).any()
    with Image.open(shot) as image:
        assert image.size == (720, 400)
        assert (170, 170, 170) in {colour for _, colour in image.convert("RGB").getcolors()}


def test_a_second_window_is_refused_while_there_is_one():
    with Machine(display="window"), pytest.raises(DisplayError, match="one window"):
        Machine(display="window")
    Machine(display="window").close()
