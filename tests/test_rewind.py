"""Rewind: each frame one goes back to is exactly what it was, picture and state."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator

import numpy as np
import pytest
from test_snapshots import KEYS, arrays
from x86_helpers import GUESTS, needs_kvm

import vgaemu
from vgaemu.bench import snapshot as bench
from vgaemu.cli.main import main
from vgaemu.deltas import delta, earlier
from vgaemu.display.events import Event, Rewinding
from vgaemu.keys.queue import Key
from vgaemu.machine import Machine


@pytest.fixture
def snake() -> Iterator[Machine]:
    with Machine(GUESTS / "snake.img") as machine:
        yield machine


def small(machine: Machine) -> dict[str, bytes]:
    return arrays(machine, whole=False)


def play(machine: Machine, frames: int, seed: int) -> dict[int, dict[str, bytes]]:
    """Run with keys of the user's and of a schedule; what there was after each frame."""
    rng, then = random.Random(seed), {machine.frames: small(machine)}
    machine.schedule_keys([(machine.frames + 9, "left"), (machine.frames + 14, "up")])
    for _ in range(frames):
        if rng.random() < 0.4:
            machine.keys.press(rng.choice(KEYS))
        machine.mouse.move(1, 2)
        machine.tick()
        then[machine.frames] = small(machine)
    return then


def test_back_frame_by_frame(snake: Machine) -> None:
    snake.tick(3)
    snake.rewind.start(every=4)
    then = play(snake, 22, 1)
    for _ in range(22):
        assert snake.step_back() == 1
        assert small(snake) == then[snake.frames]
    assert snake.frames == 3
    assert snake.step_back() == 0


def test_back_by_leaps_and_on_again(snake: Machine) -> None:
    snake.rewind.start(every=5)
    then = play(snake, 31, 2)
    for leap in (3, 9, 1, 6):
        snake.step_back(leap)
        assert small(snake) == then[snake.frames]
    assert snake.frames == 12
    again = play(snake, 12, 3)  # another run from there
    assert again[12] == then[12]
    for leap in (2, 5, 8, 4):
        snake.step_back(leap)
        frame = snake.frames
        assert small(snake) == (again[frame] if frame >= 12 else then[frame])


def test_what_is_shown_is_that_frame(snake: Machine) -> None:
    class Shown(vgaemu.BaseDisplay):
        def resize(self, info: vgaemu.ScreenInfo) -> None:
            self.frame = np.zeros((info.height, info.width), np.uint32)

        def update(self, frame: np.ndarray, rects: list[vgaemu.Rect], report: object) -> None:
            for x, y, width, height in rects:
                self.frame[y : y + height, x : x + width] = frame[y : y + height, x : x + width]

    shown = Shown()
    snake.add_display(shown)
    snake.rewind.start(every=4)
    play(snake, 18, 4)
    assert snake.settle()
    for leap in (1, 1, 1, 1, 1, 7):
        snake.step_back(leap)
        assert snake.settle()
        np.testing.assert_array_equal(shown.frame, snake.screen.full_redraw())


def test_a_schedule_strikes_again(snake: Machine) -> None:
    snake.rewind.start(every=3)
    snake.schedule_keys([(5, "left"), (8, "up")])
    struck: list[tuple[int, str]] = []
    for _ in range(2):
        heard, snake.keys.on_put = (
            snake.keys.on_put,
            lambda key: struck.append((snake.frames, key.name)),
        )
        snake.tick(10)
        snake.keys.on_put = heard
        assert struck == [(5, "left"), (5, "left"), (8, "up"), (8, "up")]
        struck.clear()
        assert snake.step_back(10) == 10


def test_memory_is_bounded_and_so_are_minutes(snake: Machine) -> None:
    snake.rewind.start(mib=0.5, every=1)
    play(snake, 40, 5)
    frames, nbytes = snake.rewind.frames, snake.rewind.nbytes
    assert nbytes < 0.6 * (1 << 20)
    assert frames > 10
    snake.rewind.start(minutes=20 / 3600, every=2)
    play(snake, 32, 6)
    assert 20 <= snake.rewind.frames <= 24
    kept = snake.rewind.frames
    assert snake.step_back(1000) == kept
    snake.rewind.stop()
    assert snake.rewind.nbytes == 0


def test_what_comes_from_elsewhere_begins_anew(snake: Machine) -> None:
    kept = snake.snapshot()
    snake.rewind.start(every=2)
    snake.tick(10)
    snake.restore(kept)
    with pytest.raises(vgaemu.SnapshotError):
        snake.step_back()
    snake.tick(5)
    assert snake.rewind.frames == 4
    assert snake.step_back(10) == 4
    snake.tick(3)
    saved = io.BytesIO()
    snake.save_state(saved)
    saved.seek(0)
    snake.load_state(saved)
    with pytest.raises(vgaemu.SnapshotError):
        snake.step_back()


def test_what_cannot_be_rewound(snake: Machine) -> None:
    with pytest.raises(vgaemu.SnapshotError, match="rewind is off"):
        snake.step_back()
    with pytest.raises(ValueError, match="mib is more than 0, not 0"):
        snake.rewind.start(mib=0)
    with Machine("typing") as machine, pytest.raises(vgaemu.SnapshotError, match="generator"):
        machine.rewind.start()


@needs_kvm
def test_where_time_is_the_walls_each_frame_is_kept() -> None:
    with Machine(GUESTS / "snake.img", cpu="kvm") as machine:
        machine.rewind.start(every=8)
        pictures = []
        for _ in range(8):
            machine.tick()
            pictures.append(machine.screen.rgb())
        for picture in pictures[-2::-1]:
            assert machine.step_back() == 1
            np.testing.assert_array_equal(machine.screen.rgb(), picture)


def test_without_a_guest_each_frame_is_kept() -> None:
    with Machine() as machine:
        machine.rewind.start()
        for character in b"abc":
            machine.vga.store(0xB8000, bytes((character, 7)))
            machine.tick()
        for character in "ba":
            machine.step_back()
            assert machine.screen.text()[0][0] == character


class Sitting(vgaemu.BaseDisplay):
    """A display whose user does what is put here, and reads what is said."""

    can_be_closed = True

    def __init__(self) -> None:
        self.does: list[Event] = []
        self.told: list[str] = []
        self.remarks: list[str] = []

    def poll(self) -> list[Event]:
        done, self.does = self.does, []
        return done

    def notice(self, text: str) -> None:
        self.told.append(text)

    def remark(self, text: str) -> None:
        self.remarks.append(text)


def test_a_held_key_runs_backwards_and_on_from_there() -> None:
    user = Sitting()
    with Machine(GUESTS / "snake.img", display=user, free=False) as machine:
        user.does.append(Rewinding(True))
        machine.run(3, speed=0)
        assert user.told == ["rewind is off; start with --rewind 5 to keep the last five minutes"]
        machine.rewind.start(minutes=1, every=4)
        machine.keys.put(Key("left", True))
        machine.run(40, speed=0)
        assert user.remarks[-1].startswith("rewind ")
        user.does += [Key("up", True), Rewinding(True)]
        for frame in range(39, 20, -1):
            assert not machine.closed_by_user()
            assert machine.take_turn()
            assert machine.frames == frame
        assert machine.keys.down == ["left"]
        user.does.append(Rewinding(False))
        machine.run(25, speed=0)
        assert user.told[-1] == "0.3 s back, 0.3 s are left"
        assert machine.keys.down == []


def test_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    snake = str(GUESTS / "snake.img")
    assert main(["run", snake, "--headless", "--frames", "20", "--rewind", "2MiB"]) == 0
    assert "\nrewind " in capsys.readouterr().out
    assert main(["run", "typing", "--headless", "--frames", "2", "--rewind", "1"]) == 2
    assert "vgaemu: --rewind: a workload in Python" in capsys.readouterr().err
    for wrong in ("0", "-1", "5s", "MiB", "nan"):
        with pytest.raises(SystemExit):
            main(["run", snake, f"--rewind={wrong}"])
        said = capsys.readouterr().err
        assert f"--rewind: '{wrong}' is no time and no memory" in said


def test_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROUNDS", "LONG", "ROW", "STEPS", "WARM"):
        monkeypatch.setattr(bench, name, 2)
    rows = [bench._snapshots(), bench._memory(), bench._rewind()]
    assert [next(iter(row)) for row in rows] == ["snapshot", "memory", "rewind"]
    assert rows[1]["times_one"] < 2


def test_random_deltas() -> None:
    rng = random.Random(8)

    def tree(depth: int) -> object:
        if depth == 0:
            return rng.choice((rng.randbytes(rng.choice((3, 8))), rng.randrange(5), "x"))
        return tuple(tree(depth - 1) for _ in range(rng.choice((2, 3))))

    def changed(old: object) -> object:
        if isinstance(old, tuple) and rng.random() < 0.9:
            return tuple(changed(item) if rng.random() < 0.5 else item for item in old)
        return tree(rng.randrange(3))

    now = tree(3)
    for _ in range(100):
        then, now = now, changed(now)
        assert earlier(now, delta(then, now)) == then
