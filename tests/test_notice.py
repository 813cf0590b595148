"""The line for notices: seen in a window and in full screen, gone without a trace."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vgaemu.display.base import BaseDisplay
from vgaemu.display.events import Close, Event, PauseToggled
from vgaemu.display.report import FrameReport, Rect, ScreenInfo
from vgaemu.errors import DisplayError, GuestFault
from vgaemu.guest.workload import Guest, Slices
from vgaemu.keys.queue import Key
from vgaemu.machine import Machine
from vgaemu.memslot.log import RunLog

TEXT = ScreenInfo(720, 400, 4 / 3, 0x0000AA, "text 80x25", 4096, "flags", True)
MODE_13H = ScreenInfo(320, 200, 4 / 3, 0, "320x200x256", 4096, "flags", False)
NOTHING_DIRTY = RunLog(4096)


pytestmark = pytest.mark.usefixtures("dummy_driver")


class Clock:
    """The window's time."""

    now = 10**12

    def later(self) -> None:
        """As long as a notice is shown, and a little more."""
        from vgaemu.display.window.notice import NOTICE_NS

        self.now += NOTICE_NS + 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    from vgaemu.display.window import window

    clock = Clock()
    monkeypatch.setattr(window, "monotonic_ns", lambda: clock.now)
    return clock


@pytest.fixture
def open_window() -> Iterator[Callable]:
    from vgaemu.display.window.window import WindowDisplay

    windows = []

    def open_one(info: ScreenInfo, **options) -> WindowDisplay:
        windows.append(WindowDisplay(**options))
        windows[-1].resize(info)
        return windows[-1]

    yield open_one
    for window in windows:
        window.close()


def report(rects: list[Rect], clean: list[Rect]) -> FrameReport:
    return FrameReport(0, 1000, 1000, 1000, NOTHING_DIRTY, [], rects, (), (), "", clean)


def pixels() -> np.ndarray:
    """All of the window."""
    import pygame

    return pygame.surfarray.array2d(pygame.display.get_surface()).T & 0xFFFFFF


def title() -> str:
    import pygame

    return str(pygame.display.get_caption()[0])


def random_frame(info: ScreenInfo) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 1 << 24, (info.height, info.width), np.uint32)


@pytest.mark.parametrize("outlines", [False, True], ids=["", "outlines"])
@pytest.mark.parametrize("options", [
    {"scale": 1}, {"fullscreen": True}, {"aspect": "4:3", "panel": False}, {"border": 9},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("info", [TEXT, MODE_13H], ids=lambda info: info.mode_name)
def test_a_notice_lies_on_the_picture_and_leaves_no_trace(
    open_window: Callable, clock: Clock, info: ScreenInfo, options: dict, outlines: bool
) -> None:
    window = open_window(info, **options)
    frame, rng = random_frame(info), np.random.default_rng(5)
    window.update(frame, [Rect(0, 0, info.width, info.height)], report([], []))
    window.shows_clean_rects = outlines
    view = window.viewport

    def picture() -> np.ndarray:
        return pixels()[view.y : view.y + view.height, view.x : view.x + view.width]

    def change() -> None:
        rects = []
        for _ in range(int(rng.integers(4))):
            x, y = int(rng.integers(info.width)), int(rng.integers(info.height // 2))
            rects.append(Rect(x, y, int(rng.integers(1, info.width - x + 1)), 9))
            frame[y : y + 9, x : x + rects[-1].width] = int(rng.integers(1 << 24))
        window.update(frame, rects, report(rects, []))

    window.notice("saved vgaemu-001.png")
    window.poll()
    strip = picture() == 0x14171C  # its paper
    assert strip[1, view.width // 2]  # over the upper edge, in the middle
    assert not strip[view.height // 2 :].any()
    for _ in range(20):
        change()
        window.poll()
        assert (picture() == 0x14171C).sum() == strip.sum()
    clock.later()
    window.poll()
    for _ in range(25 * outlines):  # those fade
        window.update(frame, [], report([], []))
        window.poll()
    assert not (picture() == 0x14171C).any()
    shown = picture()
    window.update(frame, [Rect(0, 0, info.width, info.height)], report([], []))
    window.resize(info)  # all of it is drawn anew
    window.shows_clean_rects = False
    window.update(frame, [], report([], []))
    assert np.array_equal(shown, picture())


def test_a_script_that_never_polls_sees_it_go(open_window: Callable, clock: Clock) -> None:
    window = open_window(TEXT, scale=1)
    frame = random_frame(TEXT)
    window.update(frame, [Rect(0, 0, 720, 400)], report([], []))
    window.notice("saved")
    window.update(frame, [], report([], []))
    assert (pixels()[:400] == 0x14171C).any()
    clock.later()
    for _ in range(2):
        window.update(frame, [], report([], []))
    assert not (pixels()[:400] == 0x14171C).any()


def test_a_notice_while_nothing_changes_is_drawn_by_the_next_poll(
    open_window: Callable, clock: Clock
) -> None:
    window = open_window(TEXT, scale=1)
    window.update(random_frame(TEXT), [Rect(0, 0, 720, 400)], report([], []))
    window.poll()
    window.notice("paused")
    window.poll()
    assert (pixels()[:400] == 0x14171C).any()


@pytest.mark.parametrize("room", [(1, 1), (7, 400), (40, 30), (320, 240), (1440, 1080), (4000, 99)])
@pytest.mark.parametrize("text", ["x", "saved vgaemu-001.png", "path " * 99, "a\nb\tc", "☃" * 500])
def test_it_is_never_larger_than_the_picture(text: str, room: tuple[int, int]) -> None:
    from vgaemu.display.window.notice import notice_pixels

    height, width = notice_pixels(text, (room[0] + 400, room[1] + 100), room).shape
    assert 0 < height <= room[1]
    assert 0 < width <= room[0]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_user_does_the_picture_is_whole_when_all_is_quiet(
    open_window: Callable, clock: Clock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notices, outlines, sizes, modes, aspects and host keys at random."""
    import pygame

    monkeypatch.setattr("vgaemu.display.window.sdl.SETTLING_NS", -1)
    rng = np.random.default_rng([seed, int(os.environ["VGAEMU_FUZZ_SEED"])])
    odd = ScreenInfo(333, 111, 3, 0x123456, "333x111x32", 4096, "flags", False)
    infos = (TEXT, MODE_13H, odd, ScreenInfo(8, 1, 8, 0, "8x1x32", 4096, "flags", False))
    window = open_window(
        TEXT, aspect=str(rng.choice(["auto", "square", "4:3"])), panel=rng.random() < 0.5,
        border=int(rng.integers(9)), outlines=rng.random() < 0.5,
    )  # fmt: skip
    frame = random_frame(TEXT)

    def update(rects: list[Rect]) -> None:
        window.update(frame, rects, report(rects, rects[:1]))

    def another_mode() -> None:
        nonlocal frame
        info = infos[rng.integers(len(infos))]
        frame = random_frame(info)
        window.resize(info)
        update([Rect(0, 0, info.width, info.height)])

    def draw() -> None:
        rects = []
        for _ in range(rng.integers(4)):
            y, x = (int(rng.integers(n)) for n in frame.shape)
            height, width = (int(rng.integers(1, n + 1)) for n in frame[y:, x:].shape)
            rects.append(Rect(x, y, width, height))
            frame[y : y + height, x : x + width] = rng.integers(1 << 24)
        update(rects)

    def resize_window() -> None:
        if not pygame.display.get_surface().get_flags() & pygame.FULLSCREEN:
            size = int(rng.integers(1, 1500)), int(rng.integers(1, 1100))
            pygame.display.set_mode(size, pygame.RESIZABLE)
            pygame.event.post(
                pygame.event.Event(pygame.VIDEORESIZE, size=size, w=size[0], h=size[1])
            )
            window.poll()

    def strike() -> None:
        control, alt = pygame.KMOD_LCTRL, pygame.KMOD_LALT
        keys = ((pygame.K_F3, control), (pygame.K_F4, control), (pygame.K_RETURN, alt))
        key, mod = keys[rng.integers(len(keys))]
        for kind in (pygame.KEYDOWN, pygame.KEYUP):
            pygame.event.post(pygame.event.Event(kind, key=key, mod=mod, unicode=""))

    another_mode()
    steps = (
        another_mode, resize_window, strike, *[draw] * 4, window.poll, window.poll,
        lambda: window.notice("a long path " * int(rng.integers(20))),
        lambda: window.stands_still(str(rng.choice(["", "paused"]))),
    )  # fmt: skip
    for _ in range(60):
        clock.now += int(rng.integers(1 << 30))
        steps[rng.integers(len(steps))]()
    clock.later()
    window.poll()
    for _ in range(25):  # outlines fade
        update([])
        window.poll()
    quiet = picture_of(window)
    pygame.event.post(pygame.event.Event(pygame.VIDEOEXPOSE))  # all of it is drawn anew
    window.poll()
    assert np.array_equal(quiet, picture_of(window))


def picture_of(window) -> np.ndarray:
    """The part of the window where the picture is."""
    view = window.viewport
    return pixels()[view.y : view.y + view.height, view.x : view.x + view.width]


def test_it_grows_with_the_window_in_whole_steps() -> None:
    from vgaemu.display.window.notice import notice_pixels

    heights = [notice_pixels("paused", (w, h), (w, h)).shape[0]
               for w, h in ((640, 480), (1440, 1080), (3840, 2160))]  # fmt: skip
    assert heights == [20, 40, 100]
    # Two hundred characters are smaller before they are broken.
    assert notice_pixels("a" * 200, (3840, 2160), (3840, 2160)).shape[0] == 40


class User(BaseDisplay):
    """A display whose user does one thing a frame, and reads what is said."""

    def __init__(self, *does: Event | None) -> None:
        self.does = list(does)
        self.told: list[str] = []

    def poll(self) -> list[Event]:
        event = self.does.pop(0) if self.does else Close()
        return [] if event is None else [event]

    def notice(self, text: str) -> None:
        self.told.append(text)


def test_a_pause_and_a_key_in_it_say_how_to_go_on() -> None:
    def workload(guest: Guest) -> Slices:
        while True:
            yield

    user = User(
        None, PauseToggled(), None, Key("a", True, "a"), Key("a", False), PauseToggled(), None
    )
    with Machine(workload, display=user) as machine:
        machine.run(speed=0)
    assert user.told == ["paused; Ctrl+F6 goes on"] * 2


@pytest.mark.parametrize(
    ("last", "says"),
    [
        ("return", "the guest has ended; Ctrl+F9 quits"),
        ("return 3", "the guest has ended with code 3; Ctrl+F9 quits"),
        ("sys.exit(4)", "the guest has ended with code 4; Ctrl+F9 quits"),
    ],
)
@pytest.mark.parametrize("free", [False, True], ids=["in step", "free"])
def test_the_end_of_a_guest_and_a_key_after_it(last: str, says: str, free: bool) -> None:
    names = {"sys": sys}
    exec(f"def workload(guest):\n    yield\n    {last}\n", names)
    user = User(*[None] * 30, Key("ctrl", True), Key("ctrl", False))
    with Machine(names["workload"], display=user, free=free) as machine:
        while True:
            try:
                machine.run(speed=1)
                break
            except SystemExit:
                continue
    assert user.told == [says] * 2


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("B8054C CD21", "the guest has ended with code 5; Ctrl+F9 quits"),  # mov ax, 4C05h; int 21h
        ("0F0B", "the guest failed: unknown opcode at "),  # ud2
    ],
)
def test_the_end_of_a_program(tmp_path: Path, code: str, says: str) -> None:
    pytest.importorskip("unicorn")
    program = tmp_path / "ends.com"
    program.write_bytes(bytes.fromhex(code))

    class Patient(User):
        def poll(self) -> list[Event]:
            return [Close()] if self.told or time.monotonic() > deadline else []

    user = Patient()
    deadline = time.monotonic() + 10
    with Machine(program, display=user, free=True) as machine:
        with suppress(GuestFault):
            machine.run()
        machine.closed_by_user()
    assert user.told[0].startswith(says)


def test_a_guest_that_does_not_yield(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgaemu.runner.HOLD_SECONDS", 0.2)
    goes_on = False

    def workload(guest: Guest) -> Slices:
        for _ in range(10):
            yield
        while not goes_on:
            time.sleep(0.01)
        while True:
            yield

    class Patient(User):
        def poll(self) -> list[Event]:
            nonlocal goes_on
            goes_on = bool(self.told)
            over = self.told[1:] or time.monotonic() > deadline
            return [Close()] if over else []

        def stands_still(self, why: str) -> None:
            self.told.append(why)

    deadline = time.monotonic() + 10
    user = Patient()
    with Machine(workload, display=user, free=True) as machine:
        machine.run()
    assert user.told == ["the guest has not yielded for 0 s; Ctrl+F9 quits", ""]


def test_a_guest_that_is_held_for_long_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vgaemu.runner.HOLD_SECONDS", 0.2)

    def workload(guest: Guest) -> Slices:
        while True:
            yield

    with Machine(workload, free=True) as machine:
        machine.tick()
        assert machine.runner.hold(10)
        begin = time.monotonic()
        while time.monotonic() < begin + 0.5:
            machine.tick()
            assert not machine.runner.is_stuck
            time.sleep(0.02)


def test_it_follows_the_picture(open_window: Callable, clock: Clock) -> None:
    window = open_window(TEXT, scale=1, panel=False)
    window.notice("saved")
    for info in (TEXT, MODE_13H):
        window.resize(info)
        window.update(random_frame(info), [Rect(0, 0, info.width, info.height)], report([], []))
        view = window.viewport
        columns = np.flatnonzero((pixels()[: view.height] == 0x14171C).any(0))
        assert columns[0] + columns[-1] + 1 == 2 * view.x + view.width


def test_the_title_keeps_what_stands_still(open_window: Callable, clock: Clock) -> None:
    window = open_window(TEXT)
    window.stands_still("the guest has ended")
    assert title().startswith("vgaemu - text 80x25 - the guest has ended - Ctrl+F3")
    clock.later()
    window.poll()
    assert "the guest has ended" in title()
    window.stands_still("")
    assert "ended" not in title()


def test_a_path_of_a_screenshot_is_said(
    open_window: Callable, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    from vgaemu.display.window.window import WindowDisplay

    try:
        window = WindowDisplay()
    except DisplayError:
        pytest.skip("no window")
    with Machine(display=window) as machine:
        machine.tick()
        before = pixels()
        machine.on_screenshot(machine)
        window.poll()
        assert "saved vgaemu-001.png" in title()
        assert not np.array_equal(pixels(), before)
    assert (tmp_path / "vgaemu-001.png").exists()


def test_the_tour_says_what_its_keys_do_and_shows_outlines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vgaemu.cli import tour
    from vgaemu.display.window.window import WindowDisplay

    told, outlined = [], []

    class Impatient(WindowDisplay):
        """Any key at each station, but where someone types; closed at the tour's end."""

        def poll(self) -> list[Event]:
            outlined.append(self.shows_clean_rects)
            over = any("ended" in text for text in told) or time.monotonic() > deadline
            return [*super().poll(), *([Close()] if over else [Key("space", True, " ")])]

        def notice(self, text: str) -> None:
            told.append(text)

    short = tuple(replace(station, frames=5) for station in tour.STATIONS)
    monkeypatch.setattr("vgaemu.guest.workloads.tour.STATIONS", short)
    monkeypatch.setattr(tour, "STATIONS", short)
    deadline = time.monotonic() + 60
    monkeypatch.setattr("vgaemu.display.window.window.WindowDisplay", Impatient)
    assert tour.tour() == 0
    assert told[0] == "any key goes on; Ctrl+F4 outlines, Ctrl+F9 quit"
    assert "type something; the tour goes on by itself" in told
    assert all(outlined)
    assert "harvest" in capsys.readouterr().out
