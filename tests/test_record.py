"""Recordings: decoded, they are what was shown, when it was shown."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from films import Truth, decoded, differences
from PIL import Image

from vgaemu.cli.main import main
from vgaemu.display.base import BaseDisplay
from vgaemu.display.report import Rect, ScreenInfo
from vgaemu.errors import RecordError
from vgaemu.guest.workload import Guest, Slices
from vgaemu.machine import Machine
from vgaemu.record.apng import Apng
from vgaemu.record.change import Change, Patch
from vgaemu.record.encoder import Animation
from vgaemu.record.film import Film
from vgaemu.record.formats import FORMATS, encoder_of
from vgaemu.record.gif import Gif
from vgaemu.record.webp import WebP

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

#: Each way to write; .apng and .png are one.
EXACT = (".png", ".gif", ".webp", ".mkv")
#: What GIF may leave out: 70 frames a second are more than it can say.
JOINS_S = {".gif": 0.021}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def need(suffix: str) -> None:
    if FORMATS[suffix][0] == "video":
        pytest.importorskip("av", reason="package av")


def recorded(workload: object, path: Path, frames: int, **options: bool) -> list[str]:
    """Record, and say in which frames the files show anything else than the machine did."""
    need(path.suffix)
    with Machine(workload) as machine:
        truth = Truth(machine)
        with machine.record(path, **options) as recording:
            machine.tick(frames)
    joins_s = JOINS_S.get(path.suffix, 0.0)
    return [
        f"{part}: {difference}"
        for part, shown in zip(recording.paths, truth.parts(), strict=True)
        for difference in differences(decoded(part), shown, joins_s=joins_s)
    ]


def small_modes(guest: Guest) -> Slices:
    """Modes of three sizes, small changes in each, and one twice."""
    for mode in (0x13, 0x0D, 0x04, 0x13):
        guest.set_mode(mode)
        for n in range(3):
            guest.store(0xB8000 if mode == 4 else 0xA0000, bytes([0x55 + 16 * n]) * 700)
            yield
            yield
    guest.set_dispi_mode(64, 48, 8)
    for n in range(5):
        guest.store(0xA0000, bytes(range(n, n + 100)))
        yield


def fading(guest: Guest) -> Slices:
    """More colours than a table has, after some frames."""
    guest.set_dispi_mode(80, 50, 8)
    guest.store(0xA0000, bytes(n & 0xFF for n in range(4000)))
    for step in range(6):
        for n in range(0, 256, 4):
            guest.outb(0x3C8, n)
            for value in (n >> 2, step * 9, 63 - (n >> 2)):
                guest.outb(0x3C9, value)
        yield


@pytest.mark.parametrize("suffix", EXACT)
@pytest.mark.parametrize(
    ("workload", "frames"),
    [("typing", 34), ("sprites", 8), (small_modes, 29), (fading, 8)],
)
def test_decoded_it_is_what_was_shown(
    folder: Path, suffix: str, workload: object, frames: int
) -> None:
    assert recorded(workload, folder / f"a{suffix}", frames) == []


@pytest.mark.long
@pytest.mark.parametrize("suffix", EXACT)
@pytest.mark.parametrize(
    ("workload", "frames"),
    [("tour", 1500), ("cycling", 200), ("typing", 600), ("planar", 400), ("modex", 200),
     ("svga", 200), ("text50", 200), ("splitscreen", 200), ("cga", 200), ("life", 200),
     ("plasma", 100), ("tunnel", 200), ("truecolour", 40)],
)  # fmt: skip
def test_workloads_decoded_are_what_was_shown(
    folder: Path, suffix: str, workload: str, frames: int
) -> None:
    """`python -m pytest -m long tests/test_record.py`."""
    if (suffix, workload) == (".gif", "truecolour"):
        pytest.skip("a GIF has 256 colours a picture")
    assert recorded(workload, folder / f"a{suffix}", frames) == []


def test_another_size_begins_another_file(folder: Path) -> None:
    with Machine(small_modes) as machine:
        recording = machine.record("a.b.png")
        machine.tick(29)
    names = ["a.b.png", "a.b-2.png"]
    assert [path.name for path in recording.paths] == names
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    sizes = [decoded(path)[0].rgb.shape[:2] for path in recording.paths]
    assert sizes == [(200, 320), (48, 64)]


def test_five_seconds_of_typing_are_small(folder: Path) -> None:
    with Machine("typing") as machine, machine.record("a.png") as recording:
        machine.tick(350)
    assert recording.path.stat().st_size < 10_000


def test_what_changes_no_pixel_is_not_written(folder: Path) -> None:
    def same(guest: Guest) -> Slices:
        guest.set_mode(0x13)
        for n in range(8):
            guest.store(0xA0000, bytes(1000))
            if n == 5:
                guest.store(0xA0000 + 320 * 7 + 5, b"\x0f")
            yield

    with Machine(same) as machine:
        truth = Truth(machine)
        with machine.record("a.png") as recording:
            machine.tick(8)
    assert recording.pictures == 2
    assert differences(decoded(recording.path), truth.frames) == []
    with Image.open("a.png") as image:
        image.seek(1)
        assert image.tile[0].extents == (5, 7, 6, 8)


def test_one_that_begins_late_has_the_whole_picture(folder: Path) -> None:
    with Machine("sprites") as machine:
        machine.tick(5)
        with machine.record("a.png"):
            machine.tick(3)
            shown = machine.screen.rgb()
        machine.tick(5)
    film = decoded(folder / "a.png")
    assert np.array_equal(film[-1].rgb, shown)
    assert film[-1].end == pytest.approx(3 / 70.0866, abs=1e-4)


def test_two_at_once_and_the_machine_ends_both(folder: Path) -> None:
    with Machine("sprites") as machine:
        machine.record("a.png")
        machine.record("b.gif")
        machine.tick(6)
    assert len(decoded(folder / "a.png")) == 6
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "b.gif"]


def test_what_has_ended_is_not_kept(folder: Path) -> None:
    with Machine("typing") as machine:
        recording = machine.record("a.png")
        machine.tick()
        recording.close()
        machine.tick()
        ended = weakref.ref(recording)
        recording = machine.record("b.png")
        gc.collect()
        assert ended() is None


def test_nothing_recorded_leaves_nothing(folder: Path) -> None:
    with Machine("sprites") as machine:
        machine.record("a.png").close()
    assert list(folder.iterdir()) == []


def test_outlines_are_drawn_and_go(folder: Path) -> None:
    def dot(guest: Guest) -> Slices:
        guest.set_mode(0x13)
        yield
        guest.store(0xA0000 + 320 * 50 + 100, b"\x0f")
        for _ in range(40):
            yield

    with Machine(dot) as machine:
        with machine.record("a.png", outlines=True):
            machine.tick(30)
        plain = machine.screen.rgb()
    film = decoded(folder / "a.png")
    marked = (film[1].rgb != plain).any(axis=2)
    assert marked[50].any()
    assert not marked[60:-1, 1:-1].any()
    assert np.array_equal(film[-1].rgb, plain)


def test_key_begins_and_ends_one(folder: Path) -> None:
    said = []
    with Machine("sprites") as machine:
        machine.tell_user = said.append
        machine._recordings._tell = said.append
        machine.toggle_recording()
        machine.tick(3)
        machine.on_screenshot(machine)  # takes another name
        machine.toggle_recording()
    assert said == ["recording vgaemu-001.png", "saved vgaemu-002.png", "recorded vgaemu-001.png"]
    assert len(decoded(folder / "vgaemu-001.png")) == 3


def test_mp4_is_as_a_monitor_shows_it(folder: Path) -> None:
    need(".mp4")
    with Machine(small_modes) as machine:
        recording = machine.record("a.mp4")
        machine.tick(3)
        first = machine.screen.upscaled()
        machine.tick(26)
    assert len(recording.paths) == 1
    film = decoded(folder / "a.mp4")
    assert film[0].rgb.shape == (1200, 1600, 3)
    shown = next(shown for shown in film if shown.start <= 2.5 / 70.0866 < shown.end)
    off = np.abs(shown.rgb.astype(int) - first)
    assert off.mean() < 3
    assert film[-1].end == pytest.approx(29 / 70.0866, abs=0.01)


def test_an_mp4s_colours_are_those_that_its_tags_tell(folder: Path) -> None:
    """BT.709, limited range: a player that believes the tags shows the guest's own colours."""
    need(".mp4")
    import av
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 170, 170), (255, 255, 255)]

    def bars(guest: Guest) -> Slices:
        guest.set_mode(0x13)
        guest.canvas.set_palette(np.array(colours, np.uint8), 1)
        for at in range(len(colours)):
            guest.canvas.fill_rect(at * 48, 0, 48, 200, colour=at + 1)
        yield

    with Machine(bars) as machine:
        recording = machine.record("bars.mp4")
        machine.tick(3)
        recording.close()
        shown = machine.screen.upscaled()
    with av.open("bars.mp4") as container:
        context = container.streams.video[0].codec_context
        tags = context.colorspace, context.color_range, context.color_primaries, context.color_trc
        wanted = Colorspace.ITU709, ColorRange.MPEG, ColorPrimaries.BT709, ColorTrc.BT709
        assert [int(tag) for tag in tags] == [int(tag) for tag in wanted]
        *_, frame = container.decode(video=0)
        planes = frame.to_ndarray(format="yuv420p")
    for at, colour in enumerate(colours):
        x, y = at * 240 + 120, 600
        r, g, b = (int(channel) / 255 for channel in shown[y, x])
        luma = 0.2126 * r + 0.7152 * g + 0.0722 * b
        blue, red = (b - luma) / 1.8556, (r - luma) / 1.5748
        halves = planes[1200:].reshape(2, 600, 800)[:, y // 2, x // 2]
        found = planes[y, x], *halves
        expected = 16 + 219 * luma, 128 + 224 * blue, 128 + 224 * red
        assert found == pytest.approx(expected, abs=2), colour


def test_a_tape_is_recorded_as_it_is_replayed(folder: Path) -> None:
    tape = str(Path(__file__).parent / "oracle" / "tapes" / "attr_flipflop.tape")
    assert main(["replay", tape, "--record", "a.png", "--screenshot", "last.png"]) == 0
    last = sorted(folder.glob("a*.png"), key=lambda path: path.stat().st_mtime_ns)[-1]
    np.testing.assert_array_equal(
        decoded(last)[-1].rgb, np.asarray(Image.open("last.png").convert("RGB"))
    )
    assert main(["replay", tape, "--record-outlines"]) == 2
    assert main(["replay", tape, "--record", "a.txt"]) == 2
    assert not Path("a.txt").exists()


class Fake(Animation):
    """Keeps what it is told."""

    def __init__(self, file: object, info: ScreenInfo, *, many_colours: bool = False) -> None:
        self._size = info.width, info.height
        self.shown: list[tuple[Rect, Fraction]] = []

    def show(self, picture: object, box: Rect, until: Fraction) -> bool:
        self.shown.append((box, until))
        return True


def info(hz: float, width: int = 8) -> ScreenInfo:
    return ScreenInfo(width, 4, 4 / 3, 0, "", 16, "flags", False, hz)


def dots(*places: int, width: int = 8) -> list[Patch]:
    pixels = np.zeros((4, width), np.uint32)
    pixels[1, list(places)] = 1
    return [Patch(Rect(0, 0, width, 4), pixels)]


@pytest.mark.parametrize("encoder", [Apng, Gif, WebP])
def test_an_hour_does_not_drift(folder: Path, encoder: type[Animation]) -> None:
    hz = 70.08633
    film = Film(Path("a.png"), encoder)
    film.take(Change(0, info(hz), dots(0)))
    numbers = [*range(1, 40, 3), *range(100_000, 252_000, 9001), 252_310]
    for n in numbers:
        film.take(Change(n, None, dots(n % 7 + 1)))
    film.end(252_310)
    total = decoded(Path("a.png"))[-1].end
    assert total == pytest.approx(252_311 / hz, abs=0.02 if encoder is Gif else 0.002)


def test_a_picture_that_stands_for_long_is_written_again(folder: Path) -> None:
    film = Film(Path("a.gif"), Gif)
    film.take(Change(0, info(60), dots(0)))
    film.end(60 * 1000 - 1)
    shown = decoded(Path("a.gif"))
    assert shown[-1].end == pytest.approx(1000)
    assert len(shown) > 1


def test_the_last_picture_of_a_gif_is_seen(folder: Path) -> None:
    film = Film(Path("a.gif"), Gif)
    for n in (0, 2):
        film.take(Change(n, info(70) if n == 0 else None, dots(n)))
    film.end(2)  # 1/100 s after the third frame's 3/100
    last = decoded(Path("a.gif"))[-1]
    assert last.end - last.start == pytest.approx(0.02)
    assert last.rgb[1, 2].any()


def test_parts_of_an_mp4s_picture_are_those_of_the_whole(folder: Path) -> None:
    need(".mp4")
    from vgaemu.record.video import Mp4

    shape = ScreenInfo(320, 207, 4 / 3, 0, "", 16, "flags", False, 60.0)
    random = np.random.default_rng(1)
    picture = np.zeros((207, 320), np.uint32)
    with open("parts", "w+b") as parts, open("whole", "w+b") as whole:
        by_parts, at_once = Mp4(parts, shape), Mp4(whole, shape)
        by_parts._frame(picture, Rect(0, 0, 320, 207))
        for _ in range(20):
            x, y = int(random.integers(0, 289)), int(random.integers(0, 180))
            picture[y : y + 27, x : x + 31] = random.integers(0, 1 << 24, (27, 31))
            by_parts._frame(picture, Rect(x, y, 31, 27))
        at_once._frame(picture, Rect(0, 0, 320, 207))
        assert np.array_equal(by_parts._planes, at_once._planes)
        for encoder in (by_parts, at_once):
            encoder.finish()


@pytest.mark.parametrize("hz", [0.0, 1e9, -1.0])
def test_a_mode_of_any_rate_goes(folder: Path, hz: float) -> None:
    for encoder in (Apng, Gif, WebP):
        film = Film(Path("a.png"), encoder)
        film.take(Change(0, info(hz), dots(0)))
        film.take(Change(1, None, dots(1)))
        film.end(2)
        assert decoded(Path("a.png"))[-1].end > 0


def full_disk(limit: int, act: Callable[[], object]) -> None:
    """Do something while no file can be longer."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        act()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    ("suffix", "limit"),
    [(".png", 40_000), (".gif", 40_000), (".webp", 40_000), (".mkv", 200_000),
     pytest.param(".mp4", 200_000, marks=pytest.mark.long)],
)  # fmt: skip
def test_on_a_full_disk_it_plays_as_far_as_it_goes(folder: Path, suffix: str, limit: int) -> None:
    """The long one: `python -m pytest -m long tests/test_record.py`."""
    need(suffix)
    machine = Machine("sprites")
    recording = machine.record(f"a{suffix}")
    truth = Truth(machine)

    def run() -> None:
        machine.tick(60)
        with pytest.raises(RecordError, match=r"a\.\w+: File too large; what came before plays"):
            machine.close()

    full_disk(limit, run)
    assert os.listdir() == [f"a{suffix}"]
    assert recording.path.stat().st_size <= limit
    film = decoded(recording.path)
    assert 2 < len(film) < 60
    if suffix != ".mp4":
        there = [frame for frame in truth.frames if frame.end <= film[-1].start]
        assert differences(film, there, joins_s=JOINS_S.get(suffix, 0.0)) == []


@pytest.mark.parametrize(
    ("suffix", "limit"),
    [*[(suffix, 0) for suffix in (*EXACT, ".mp4")], (".mkv", 40), (".mkv", 1000), (".mp4", 1000)],
)
def test_where_no_picture_fits_what_was_there_stays(folder: Path, suffix: str, limit: int) -> None:
    """A head, or a part of one, is no picture."""
    need(suffix)
    path = Path(f"a{suffix}")
    path.write_bytes(b"of a run before")
    machine = Machine("typing")
    recording = machine.record(path)

    def run() -> None:
        machine.tick(30)
        with pytest.raises(RecordError, match="File too large; nothing was recorded"):
            machine.close()

    full_disk(limit, run)
    assert os.listdir() == [path.name]
    assert path.read_bytes() == b"of a run before"
    assert recording.paths == ()


@pytest.mark.parametrize("suffix", [".png", ".gif", ".webp"])
def test_after_each_picture_the_file_is_whole(folder: Path, suffix: str) -> None:
    film = Film(Path(f"a{suffix}"), encoder_of(Path(f"a{suffix}")))
    film.take(Change(0, info(50), dots(0)))
    for n in range(1, 6):
        film.take(Change(n, None, dots(n)))
        left = Path(f"left{suffix}")
        left.write_bytes(Path(f".a{suffix}.part").read_bytes())  # as kill -9 leaves it
        shown = decoded(left)
        assert len(shown) == n
        assert shown[-1].rgb[1].any(axis=1).tolist() == [x == n - 1 for x in range(8)]
    film.end(6)


class SomeWindow(BaseDisplay):
    """A user sits there, who does nothing."""

    def poll(self) -> tuple[()]:
        return ()


class SlowFilm(Film):
    """Takes changes when it is let."""

    gate = threading.Event()

    def take(self, change: Change) -> None:
        self.gate.wait(10)
        super().take(change)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    from vgaemu.record import recorder

    SlowFilm.gate = threading.Event()
    monkeypatch.setattr(recorder, "Film", SlowFilm)
    monkeypatch.setattr(recorder, "QUEUE_BYTES", 1)
    return SlowFilm.gate


def test_where_nobody_looks_the_loop_waits_and_no_frame_is_lost(
    folder: Path, slow: threading.Event
) -> None:
    with Machine("plasma") as machine:
        truth = Truth(machine)
        with machine.record("a.png") as recording:
            threading.Timer(0.2, slow.set).start()
            machine.tick(6)
    assert recording.joined == 0
    assert differences(decoded(recording.path), truth.frames) == []


def rows(guest: Guest) -> Slices:
    """Another row in each frame."""
    guest.set_mode(0x13)
    for n in range(9):
        yield
        guest.store(0xA0000 + 320 * (190 - 20 * n), bytes([n + 40]) * 320)
    yield


def test_beside_a_window_frames_are_joined_and_it_says_so(
    folder: Path, slow: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    with Machine(rows, display=SomeWindow()) as machine:
        recording = machine.record("a.png")
        machine.tick(9)
        slow.set()
        shown = machine.screen.rgb()
        recording.close()
    assert recording.joined in (7, 8)  # one waits, and one may have been taken
    assert caplog.messages == [f"a.png: {recording.joined} frames joined: encoding was slower"]
    film = decoded(recording.path)
    assert np.array_equal(film[-1].rgb, shown)
    assert film[-1].end == pytest.approx(9 / 70.0866, abs=1e-3)


def test_an_encoder_that_raises_ends_the_recording_alone(folder: Path, monkeypatch) -> None:
    def show(self, picture, box, until):
        raise ValueError("no")

    monkeypatch.setattr(Apng, "show", show)
    with Machine("sprites") as machine:
        recording = machine.record("a.png")
        machine.tick(20)
        with pytest.raises(RecordError, match=r"^a\.png: ValueError: no; "):
            recording.close()
        machine.tick(2)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a.avi", "no recording ends in that; use one of .png"),
        ("a", "no recording ends in that"),
        ("no/a.png", "No such file or directory"),
        (".", "no recording"),
        ("folder.png", "no regular file"),
        ("pipe.png", "no regular file"),
    ],
)
def test_where_nothing_can_be_written_it_says_so(folder: Path, name: str, why: str) -> None:
    os.mkdir("folder.png")
    os.mkfifo("pipe.png")
    with Machine("sprites") as machine, pytest.raises(RecordError, match=why):
        machine.record(name)


def test_without_pyav_it_says_what_to_install(folder: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "vgaemu.record.video", raising=False)
    with Machine() as machine, pytest.raises(RecordError, match=r"pip install 'vgaemu\[video\]'"):
        machine.record("a.mp4")


def test_what_nobody_closes_is_whole_when_the_process_ends(folder: Path) -> None:
    code = (
        "from vgaemu import Machine; m = Machine('sprites'); m.record('a.png'); "
        "m.record('b.gif'); m.tick(4)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert sorted(os.listdir()) == ["a.png", "b.gif"]
    assert len(decoded(Path("a.png"))) == 4


def test_user_is_told_at_once_of_one_that_fails(folder: Path) -> None:
    said: list[str] = []

    class Window(SomeWindow):
        def notice(self, text: str) -> None:
            said.append(text)

    machine = Machine("sprites", display=Window())
    recording = machine.record("a.png")

    def run() -> None:
        while not said and machine.frames < 5000:
            machine.tick()

    full_disk(20_000, run)
    assert said == ["a.png: File too large; what came before plays"] == [recording.problem]
    machine.tick(3)
    assert len(said) == 1
    with pytest.raises(RecordError):
        recording.close()
    machine.close()


def command(*arguments: object) -> int:
    return main(["run", *map(str, arguments)])


def test_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = command("sprites", "--headless", "--frames", 5, "--record", "a.png")
    assert (status, len(decoded(Path("a.png"))), capsys.readouterr().err) == (0, 5, "")
    Path("w.py").write_text(
        "def workload(guest):\n"
        "    guest.set_mode(0x13)\n    yield\n    guest.set_mode(3)\n    yield\n"
    )
    assert command("w.py", "--headless", "--record", "b.png", "--record-outlines") == 0
    assert "it goes on in b-2.png" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--record", "a.avi"), "vgaemu: --record a.avi: no recording ends in that"),
        (("--record-outlines",), "--record-outlines: say with --record F.png"),
        (("--record", "a.png", "--screenshot", "a.png"), "the same file"),
        (("--record", "no/a.png"), "no/a.png: No such file"),
    ],
)
def test_command_refuses_in_a_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert command("sprites", "--headless", "--frames", 2, *arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert os.listdir() == []


def test_receive_refuses_in_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["--record-outlines"], "say with --record F.png where the pictures go"),
        (["--view-shared"], "say with --view PORT where others look"),
        (["--record", "a.xyz"], "no recording ends in that"),
    ):
        assert main(["receive", *arguments]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1


def test_command_on_a_full_disk(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    statuses: list[int] = []
    arguments = ("sprites", "--headless", "--frames", 60, "--record", "a.png")
    full_disk(30_000, lambda: statuses.append(command(*arguments)))
    err = capsys.readouterr().err
    assert statuses == [2]
    assert err == "vgaemu: a.png: File too large; what came before plays\n"
    assert len(decoded(Path("a.png"))) > 3
