"""What a screen gives as arrays, images and text: equal to the frame, whichever way it is asked."""

from __future__ import annotations

import random
from itertools import chain, islice
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image
from random_tapes import random_ops

from vgaemu import Machine, ScreenError
from vgaemu.display import screen
from vgaemu.display.pictures import rgb_of
from vgaemu.display.screen import Screen
from vgaemu.memslot import Memslot
from vgaemu.tape import START, Player
from vgaemu.vga.codepage import CHARACTERS, to_unicode
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.ports import Ports
from vgaemu.vga.render.text import TextRenderer
from vgaemu.vga.vram import LFB_GPA

#: Height, width; a pixel's own four bytes reach into the next pixel's three.
SIZES = [(1, 1), (1, 2), (2, 1), (1, 3), (3, 1), (2, 2), (5, 7), (400, 720), (333, 321)]


def shifted(frame: np.ndarray) -> np.ndarray:
    """What `rgb_of` must equal, a channel at a time."""
    return np.stack([(frame >> shift & 0xFF).astype(np.uint8) for shift in (16, 8, 0)], axis=-1)


def noise(*size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(0, 1 << 24, size, np.uint32)


@pytest.mark.parametrize("size", SIZES)
def test_rgb_is_each_pixel_s_three_bytes(size: tuple[int, int]) -> None:
    frame = noise(*size)
    out = np.full((*size, 3), 0xA5, np.uint8)
    around = np.full(out.size + 2, 0xA5, np.uint8)
    inside = around[1:-1].reshape(out.shape)
    assert rgb_of(frame, out) is out
    for rgb in (out, rgb_of(frame), rgb_of(frame, inside)):
        np.testing.assert_array_equal(rgb, shifted(frame))
    assert around[0] == around[-1] == 0xA5


@pytest.mark.parametrize("part", [np.s_[3:, 5:], np.s_[::2], np.s_[:, ::-1], np.s_[7:8], np.s_[:0]])
def test_rgb_of_a_part(part: tuple[slice, ...]) -> None:
    frame = noise(20, 31)[part]
    np.testing.assert_array_equal(rgb_of(frame), shifted(frame))


@pytest.mark.parametrize(
    ("out", "what"),
    [
        (np.empty((400, 640, 3), np.uint8), r"\(400, 640, 3\) uint8"),
        (np.empty((400, 720, 4), np.uint8), r"\(400, 720, 4\) uint8"),
        (np.empty((400, 720, 3), np.int8), r"\(400, 720, 3\) int8"),
        (np.empty((400, 1440, 3), np.uint8)[:, ::2], "pieces"),
        (np.frombuffer(bytes(400 * 720 * 3), np.uint8).reshape(400, 720, 3), "read-only"),
    ],
)
def test_an_array_that_takes_no_rgb(out: np.ndarray, what: str) -> None:
    with Machine() as machine:
        machine.tick()
        with pytest.raises(ScreenError, match=rf"{what}.*; now it takes numpy.empty\(\(400, 720"):
            machine.screen.rgb(out)


def test_one_array_takes_frame_after_frame() -> None:
    with Machine("sprites") as machine:
        machine.tick()
        out = np.empty_like(machine.screen.rgb())
        for _ in range(3):
            machine.tick()
            machine.screen.rgb(out=out)
            np.testing.assert_array_equal(out, shifted(machine.screen.full_redraw()))


def test_bgrx_is_the_frame_itself() -> None:
    with Machine("typing") as machine:
        machine.tick()
        bgrx = machine.screen.bgrx
        assert (bgrx.shape, bgrx.dtype) == ((400, 720, 4), np.uint8)
        assert np.shares_memory(bgrx, machine.screen.frame)
        before = bgrx.copy()
        machine.tick(20)
        assert not np.array_equal(bgrx, before)
        np.testing.assert_array_equal(bgrx[:, :, 2::-1], machine.screen.rgb())
        assert not bgrx[:, :, 3].any()
        with pytest.raises(ValueError, match="read-only"):
            bgrx[0, 0, 0] = 1
        machine.screen.frame[0, 0] = 1  # who may write to it still may


def test_images(tmp_path: object) -> None:
    with Machine("typing", border=True) as machine:
        machine.tick(9)
        image, rgb = machine.screen.image(), machine.screen.rgb()
        assert (image.mode, image.size) == ("RGB", rgb.shape[1::-1])
        np.testing.assert_array_equal(np.asarray(image), rgb)
        machine.tick(20)  # it is a copy
        np.testing.assert_array_equal(np.asarray(image), rgb)
        machine.screen.save(f"{tmp_path}/a.png")
        machine.screen.save(f"{tmp_path}/b.png", upscaled=True)
        with Image.open(f"{tmp_path}/a.png") as saved:
            np.testing.assert_array_equal(np.asarray(saved), machine.screen.rgb())
        with Image.open(f"{tmp_path}/b.png") as saved:
            upscaled = np.asarray(saved)
        rows = np.arange(len(upscaled)) * rgb.shape[0] // len(upscaled)
        columns = np.arange(upscaled.shape[1]) * rgb.shape[1] // upscaled.shape[1]
        np.testing.assert_array_equal(upscaled, machine.screen.rgb()[rows[:, None], columns])


def cells_one_by_one(screen: Screen) -> list[str]:
    """The text by the renderer that draws it, afresh."""
    scanout = screen._now().scanout(screen.vga)
    renderer = TextRenderer(screen.vga.slot.array, scanout)
    cells = renderer.drawn(None).cells if not scanout.colours.blank else renderer._cells.take(
        renderer._map.numbers[:, : renderer._map.columns - renderer._map.panned]
    )  # fmt: skip
    return ["".join(CHARACTERS[code & 0xFF] for code in row) for row in cells.tolist()]


@pytest.mark.parametrize("seed", range(6))
def test_a_screen_asked_before_says_what_one_made_now_says(seed: int) -> None:
    """Indices and text keep what they have worked out: under random programs it stays right."""
    vga = Vga(Memslot(256, LFB_GPA >> 12))
    Player(vga, START[:3]).play()
    screen, rng, steps = Screen(vga), random.Random(seed), random_ops(seed, 1 << 20)
    for number in range(16):
        Player(vga, list(chain.from_iterable(islice(steps, rng.choice((1, 2, 5)))))).play()
        for at in (screen, fresh := Screen(vga)):
            at.refresh(number, [])
        indices, anew = screen.indices(), fresh.indices()
        assert (indices is None) == (anew is None) == (screen.palette is None)
        if indices is not None:
            np.testing.assert_array_equal(indices, anew)
            if not screen.scanout.colours.blank and not screen.scanout.blanked:
                shown = screen.palette[indices]
                np.testing.assert_array_equal(shown, screen.full_redraw())
        if screen.is_text:
            assert screen.text() == cells_one_by_one(screen)


def test_text_that_is_panned_or_split_has_the_columns_that_are_shown() -> None:
    with Machine() as machine:
        rows = [f"row {number:2} ".ljust(80, chr(0x41 + number)) for number in range(26)]
        machine.vga.store(0xB8000, b"".join(b"%c\x07" % code for code in "".join(rows).encode()))
        Ports(machine.vga).set_attribute(0x13, 3)  # four dots: a part of an 81st column is seen
        assert machine.screen.text() == rows[:25]
        for value in (0x500D, 0x9F18, 0x0F07, 0x0F09):  # row 1 is the first; from line 160 on row 0
            machine.vga.outw(0x3D4, value)
        assert machine.screen.text() == rows[1:11] + rows[:15]


def test_each_code_is_its_character() -> None:
    assert to_unicode(bytes(range(256))) == CHARACTERS
    assert to_unicode(b"") == ""


def test_a_frame_is_of_the_picture_s_size_after_a_mode_set_that_could_not_be_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Machine() as machine:
        first = machine.screen.frame
        machine.tick()
        assert machine.screen.frame is first  # made at power on, and drawn into
        set_mode(machine.vga, 0x13)
        with monkeypatch.context() as patched:
            patched.setattr(screen, "make_renderer", Mock(side_effect=MemoryError))
            with pytest.raises(MemoryError):
                machine.tick()
        machine.tick()
        assert machine.screen.frame.shape == (200, 320)
        np.testing.assert_array_equal(machine.screen.frame, machine.screen.full_redraw())
