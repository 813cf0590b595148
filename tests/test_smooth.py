"""`--aspect 4:3`: exactly that shape, each pixel the mean of what it covers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.display.smooth import SmoothScaler
from vgaemu.display.viewport import Size, Viewport, fitted_size, scaled_size

TEXT = ScreenInfo(720, 400, 4 / 3, 0, "text 80x25", 4096, "flags", True)
MODE_13H = ScreenInfo(320, 200, 4 / 3, 0, "320x200x256", 4096, "flags", False)
WIDE = ScreenInfo(1280, 720, 1280 / 720, 0, "1280x720x32", 4096, "flags", False)
#: Of the picture, and of what it is shown as: enlarged, one axis alone, made smaller.
SIZES = [
    ((320, 200), (1440, 1080)), ((320, 200), (640, 480)), ((720, 400), (960, 720)),
    ((720, 400), (501, 375)), ((7, 3), (16, 12)), ((640, 480), (100, 75)), ((5, 5), (1, 1)),
]  # fmt: skip


@pytest.mark.parametrize("info", [TEXT, MODE_13H, WIDE], ids=lambda info: info.mode_name)
@pytest.mark.parametrize(
    ("room", "size"),
    [
        ((1920, 1080), (1440, 1080)),
        ((1366, 768), (1024, 768)),
        ((1280, 1024), (1280, 960)),
        ((500, 400), (500, 375)),
        ((1, 1), (1, 1)),
    ],
)
def test_it_fills_the_room_exactly(info: ScreenInfo, room: Size, size: Size) -> None:
    assert fitted_size(info, room, "4:3") == size


def test_a_scale_counts_columns_and_loses_no_row() -> None:
    assert scaled_size(TEXT, 1, "4:3") == (720, 540)
    assert scaled_size(MODE_13H, 3, "4:3") == (960, 720)
    assert scaled_size(replace(MODE_13H, height=400), 1, "4:3") == (534, 400)


def mean(frame: np.ndarray, size: Size) -> np.ndarray:
    """Each pixel of the result as the mean of what it covers, in plain words."""
    channels = np.stack([frame >> shift & 0xFF for shift in (16, 8, 0)], -1).astype(float)
    for axis, to in ((0, size[1]), (1, size[0])):
        of = channels.shape[axis]
        covers = np.zeros((to, of))
        for at in range(to):
            for source in range(of):
                begin, end = max(at * of, source * to), min((at + 1) * of, (source + 1) * to)
                covers[at, source] = max(0, end - begin) / of
        channels = np.moveaxis(np.tensordot(covers, channels, (1, axis)), 0, axis)
    return channels


@pytest.mark.parametrize(("source", "size"), SIZES)
def test_each_pixel_is_the_mean_of_what_it_covers(source: Size, size: Size) -> None:
    frame = np.random.default_rng(0).integers(0, 1 << 24, source[::-1], np.uint32)
    scaled = SmoothScaler(Viewport(0, 0, *size, source, True)).scaled(frame, Rect(0, 0, *size))
    got = np.stack([scaled >> shift & 0xFF for shift in (16, 8, 0)], -1)
    assert scaled.shape == size[::-1]
    assert not (scaled >> 24).any()
    # Parts of 256, rounded once an axis.
    assert np.abs(got - mean(frame, size)).max() < 2.5


@pytest.mark.parametrize(("source", "size"), SIZES)
def test_one_colour_stays_that_colour(source: Size, size: Size) -> None:
    for colour in (0xFFFFFF, 0, 0x0180FE):
        frame = np.full(source[::-1], colour, np.uint32)
        scaler = SmoothScaler(Viewport(0, 0, *size, source, True))
        assert (scaler.scaled(frame, Rect(0, 0, *size)) == colour).all()


@pytest.mark.parametrize(("source", "size"), SIZES)
def test_parts_equal_the_whole(source: Size, size: Size) -> None:
    rng = np.random.default_rng(1)
    view = Viewport(11, 5, *size, source, True)
    scaler = SmoothScaler(view)
    frame = rng.integers(0, 1 << 24, source[::-1], np.uint32)
    shown = scaler.scaled(frame, Rect(11, 5, *size)).copy()
    for _ in range(40):
        x, y = int(rng.integers(source[0])), int(rng.integers(source[1]))
        width, height = (int(rng.integers(1, 1 + most)) for most in (source[0] - x, source[1] - y))
        frame[y : y + height, x : x + width] = rng.integers(0, 1 << 24, (height, width))
        place = view.place(Rect(x, y, width, height))
        part = scaler.scaled(frame, place)
        at = np.s_[place.y - 5 :, place.x - 11 :]
        shown[at][: place.height, : place.width] = part
        assert np.array_equal(shown, scaler.scaled(frame, Rect(11, 5, *size)))
