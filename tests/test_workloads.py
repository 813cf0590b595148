"""The bundled workloads: nothing stale on screen, two runs equal, wrong input in one line."""

import hashlib
import os

import numpy as np
import pytest
from PIL import Image, ImageDraw
from shadow import ShadowDisplay

import vgaemu
from vgaemu.cli.main import main
from vgaemu.errors import WorkloadError
from vgaemu.guest.find import bundled, bundled_names, find_workload
from vgaemu.guest.workloads import life, picture
from vgaemu.guest.workloads.tour import STATIONS
from vgaemu.memslot import KEEPERS

pytestmark = pytest.mark.turns(2)

#: name -> what makes its arguments, given a folder.
ARGUMENTS = {
    "cat": lambda folder: [text_file(folder)],
    "picture": lambda folder: [film_file(folder)],
    "sprites": lambda folder: ["5"],
}
FRAMES = 240


def text_file(folder):
    path = folder / "text.txt"
    path.write_text("\n".join(f"{n}\t{'wide ' * (n % 30)}é░" for n in range(400)), "utf-8")
    return str(path)


def film_file(folder, frames=8, **options):
    pictures = []
    for n in range(frames):
        image = Image.new("RGB", (64, 48), (10, 20, 60))
        ImageDraw.Draw(image).ellipse((n * 5, 10, n * 5 + 20, 30), fill=(250, 200, 30 * n))
        pictures.append(image)
    path = folder / "film.gif"
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], **({"duration": 100} | options)
    )
    return str(path)


def start(name, folder, **options):
    return vgaemu.Machine(name, ARGUMENTS.get(name, lambda folder: [])(folder), **options)


def check_frames(machine, shadow, frames, every=1):
    for frame in range(frames):
        alive = machine.tick()
        if frame % every == 0:
            expected = machine.screen.full_redraw()
            assert np.array_equal(shadow.frame, expected), f"frame {machine.frames}"
        if not alive:
            break


@pytest.mark.parametrize("name", bundled_names())
def test_rectangles_are_enough(name, tmp_path):
    shadow = ShadowDisplay()
    with start(name, tmp_path, display=shadow) as machine:
        machine.schedule_keys([(n, "x") for n in range(20, 200, 9)])
        check_frames(machine, shadow, FRAMES)


@pytest.mark.parametrize(
    ("name", "frames"), [("planar", 1500), ("text50", 900), ("cga", 900), ("svga", 450)]
)
def test_rectangles_are_enough_further_on(name, frames, tmp_path):
    """What these show first is not all that they do."""
    shadow = ShadowDisplay()
    with start(name, tmp_path, display=shadow) as machine:
        check_frames(machine, shadow, frames, every=19)


@pytest.mark.parametrize(
    ("keeper", "span_pages"),
    [("flags", 64), ("flags", 32), ("flags", 16)] + [(keeper, 8) for keeper in KEEPERS],
)
@pytest.mark.parametrize("name", ["sprites", "life"])
def test_rectangles_are_enough_for_each_keeper_and_width(name, keeper, span_pages, tmp_path):
    shadow = ShadowDisplay()
    try:
        machine = start(name, tmp_path, display=shadow, dirty_log=keeper, span_pages=span_pages)
    except vgaemu.MemslotError as error:
        pytest.skip(str(error))
    with machine:
        check_frames(machine, shadow, 40)


def test_rectangles_are_enough_for_the_whole_tour(tmp_path):
    shadow = ShadowDisplay()
    with start("tour", tmp_path, display=shadow) as machine:
        check_frames(machine, shadow, 10_000, every=5)
        assert machine.frames == sum(station.frames for station in STATIONS) + 2
        assert np.array_equal(shadow.frame, machine.screen.full_redraw())
        assert any("That was the tour" in row for row in machine.screen.text())


@pytest.mark.parametrize("name", bundled_names())
def test_runs_and_stops_on_a_thread_of_its_own(name, tmp_path):
    with start(name, tmp_path, free=True) as machine:
        machine.run(20, speed=4, stay=False)
        assert machine.frames > 0


def trace(name, folder):
    """What each frame showed, and which pages were dirty."""
    digest, pages = hashlib.sha256(), []
    with start(name, folder) as machine:
        machine.schedule_keys([(n, "y") for n in range(10, 100, 7)])
        for _ in range(120):
            report = machine.run_frame()
            pages.append(report.dirty_pages.tolist())
            digest.update(machine.screen.frame.tobytes())
            if machine.screen.is_text:
                digest.update("\n".join(machine.screen.text()).encode())
    return digest.hexdigest(), pages


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", bundled_names())
def test_two_runs_are_equal(name, tmp_path):
    assert trace(name, tmp_path) == trace(name, tmp_path)


@pytest.mark.parametrize("name", ["cat", "picture", "tour"])
def test_those_that_end(name):
    assert not getattr(find_workload(name), "endless", False)


ENDLESS = [
    "cga", "cycling", "history", "life", "modex", "planar", "plasma", "splitscreen", "sprites",
    "svga", "text50", "truecolour", "tunnel", "typing",
]  # fmt: skip


@pytest.mark.parametrize("name", ENDLESS)
def test_those_that_do_not(name, capsys):
    assert find_workload(name).endless
    assert main(["run", name, "--headless"]) == 2
    assert "--frames" in capsys.readouterr().err


def test_each_says_what_it_shows():
    for name, shows in bundled().items():
        assert 20 <= len(shows) <= 100, name


# --- each one's own ---------------------------------------------------------------------------


def test_cat_shows_the_end_of_the_file(tmp_path):
    with start("cat", tmp_path) as machine:
        machine.tick(1000)
        assert machine.ended
        assert machine.screen.text()[23].startswith("399     wide wide")


def test_typing_a_key_redraws_its_cell_and_the_cursor():
    with vgaemu.Machine("typing") as machine:
        machine.tick(20)
        pixels = [machine.run_frame().pixels for _ in range(100)]
        assert max(pixels) <= 3 * 9 * 16


def test_typing_shows_what_the_user_types():
    with vgaemu.Machine("typing") as machine:
        machine.tick(10)
        machine.keys.type("QQ")
        assert machine.wait_for_text("QQ", frames=2)


def test_typing_corrects_its_mistakes():
    with vgaemu.Machine("typing") as machine:
        assert machine.wait_for_text("every character that appears here is two bytes, stored at")


def test_tunnel_dirties_no_page():
    with vgaemu.Machine("tunnel") as machine:
        machine.tick()
        reports = [machine.run_frame() for _ in range(20)]
    assert not any(len(report.dirty_pages) for report in reports)
    assert sum(report.pixels for report in reports) == 10 * 320 * 200


def test_plasma_dirties_every_page_of_the_picture():
    with vgaemu.Machine("plasma") as machine:
        machine.tick()
        assert machine.run_frame().dirty_pages.tolist() == list(range(16))


def test_one_ball_touches_few_pages():
    with vgaemu.Machine("sprites", ["1"]) as machine:
        machine.tick()
        assert max(len(machine.run_frame().dirty_pages) for _ in range(100)) <= 6


def pixels_of_a_frame(name, *args):
    with vgaemu.Machine(name, args) as machine:
        machine.tick(3)
        return machine.run_frame().pixels


def test_numbers_of_balls():
    assert 0 < pixels_of_a_frame("sprites", "1") < pixels_of_a_frame("sprites", "64")


@pytest.mark.parametrize("count", ["0", "65", "-1", "many", "", "²"])
def test_not_numbers_of_balls(count):
    with pytest.raises(WorkloadError, match="1 to 64"):
        vgaemu.Machine("sprites", [count])


def test_life_is_woken(monkeypatch):
    """A world of one block never changes; the patch does."""
    block = np.zeros((48, 80), bool)
    block[10:12, 10:12] = True
    patch = np.zeros((12, 12), bool)
    patch[5, 4:7] = True
    monkeypatch.setattr(
        life, "_random_cells", lambda guest, h, w, percent: (block if h == 48 else patch).copy()
    )
    with vgaemu.Machine("life") as machine:
        assert machine.wait_for_text("alive 7", frames=20)


def test_life_glider_comes_back_on_a_torus():
    world = np.zeros((8, 8), bool)
    for y, x in [(0, 1), (1, 2), (2, 0), (2, 1), (2, 2)]:
        world[y, x] = True
    later = world
    for _ in range(4 * 8):
        later = life.next_generation(later)
    assert np.array_equal(later, world)


def registers_during(machine, frames, field):
    """Values that a register field takes."""
    seen = set()
    for _ in range(frames):
        machine.run_frame()
        seen.add(field(machine.vga))
    return seen


def test_cycling_and_history_dirty_no_page_after_the_first():
    for name in ("cycling", "history"):
        with vgaemu.Machine(name) as machine:
            machine.tick()
            assert not any(len(machine.run_frame().dirty_pages) for _ in range(40)), name


def test_history_glides_by_single_scan_lines():
    with vgaemu.Machine("history") as machine:
        machine.tick(10)
        assert registers_during(machine, 40, lambda vga: vga.crtc["preset_row"]) == set(range(16))
        machine.tick(200)
        before = machine.screen.frame.copy()
        machine.tick()
        after = machine.screen.frame
        bottom = 368  # the heading stands still
        assert np.array_equal(after[: bottom - 1], before[1:bottom])
        assert np.array_equal(after[bottom:], before[bottom:])


def test_modex_never_draws_on_the_page_that_is_shown():
    with vgaemu.Machine("modex") as machine:
        machine.tick(5)
        for _ in range(6):
            shown = machine.screen.scanout.rows.geometry.start
            pages = machine.run_frame().dirty_pages
            rows = machine.screen.scanout.rows.geometry.pitch * machine.screen.scanout.height
            assert not np.isin(pages, np.arange(shown // 1024 + 1, (shown + rows) // 1024)).any()
            assert machine.screen.scanout.rows.geometry.start != shown


def test_splitscreen_moves_the_chart_and_not_the_bar():
    with vgaemu.Machine("splitscreen") as machine:
        machine.tick(30)
        pans = registers_during(machine, 40, lambda vga: vga.attribute["pel_panning"])
        assert pans == {0, 2, 4, 6}
        before = machine.screen.frame.copy()
        report = machine.run_frame()
        assert len(report.dirty_pages) <= 10  # the figures
        still = slice(0, 50), slice(130, 250)
        assert np.array_equal(machine.screen.frame[200:][still], before[200:][still])
        assert not np.array_equal(machine.screen.frame[:200], before[:200])


def test_svga_uses_every_bank():
    with vgaemu.Machine("svga") as machine:
        # 300 KiB end in the fifth.
        assert registers_during(machine, 80, lambda vga: vga.dispi.values[5]) == set(range(5))
        assert (machine.screen.frame[-1] != machine.screen.frame[0]).any()


def test_planar_uses_every_write_mode(monkeypatch):
    modes = set()
    with vgaemu.Machine("planar") as machine:
        store = machine.vga.store

        def watched(gpa, data):
            modes.add(machine.vga.graphics["write_mode"])
            store(gpa, data)

        monkeypatch.setattr(machine.vga, "store", watched)
        machine.tick(30)
    assert modes == {0, 1, 2, 3}


def test_planar_takes_back_what_it_drew_by_xor_and_the_pointer():
    """The sheet is white again wherever the hand has passed, however often."""
    with vgaemu.Machine("planar") as machine:
        machine.tick(1)
        sheet = slice(60, 415), slice(95, 615)
        white = machine.screen.frame[sheet][0, 0]
        machine.tick(60)
        assert (machine.screen.frame[sheet] == white).all()


def test_cga_keeps_to_four_colours_and_reaches_both_banks():
    with vgaemu.Machine("cga") as machine:
        machine.tick(8)
        banks = set()
        for _ in range(30):
            banks |= {page // 8 for page in machine.run_frame().dirty_pages.tolist()}
        assert banks == {0, 1}
        assert len(np.unique(machine.screen.frame)) == 4


def test_text50_blinks_and_then_has_sixteen_backgrounds():
    with vgaemu.Machine("text50") as machine:
        assert machine.wait_for_text("please wait", frames=900)
        assert machine.vga.attribute["blink"]
        assert len(machine.screen.text()) == 50
        assert machine.wait_for_text("a bright background", frames=1500)
        assert not machine.vga.attribute["blink"]


@pytest.mark.parametrize("count", ["0", "25", "many", "²"])
def test_not_numbers_of_bubbles(count):
    with pytest.raises(WorkloadError, match="1 to 24"):
        vgaemu.Machine("truecolour", [count])


def test_numbers_of_bubbles():
    assert 0 < pixels_of_a_frame("truecolour", "1") < pixels_of_a_frame("truecolour", "24")


# --- pictures ---------------------------------------------------------------------------------


def edges(image):
    """First and last row and column that are not black."""
    rows, columns = image.any(axis=(1, 2)), image.any(axis=(0, 2))
    ys, xs = np.flatnonzero(rows), np.flatnonzero(columns)
    return int(ys[0]), int(ys[-1]), int(xs[0]), int(xs[-1])


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 480), (0, 199, 0, 319)),  # 4:3 fills the screen
        ((300, 300), (0, 199, 40, 279)),  # a square is 240 of 320 pixels wide
        ((1600, 100), (91, 107, 0, 319)),
        ((2, 400), (0, 199, 159, 159)),
        ((5000, 1), (99, 99, 0, 319)),
    ],
)
def test_picture_keeps_its_shape(size, expected, tmp_path):
    path = tmp_path / "white.png"
    Image.new("RGB", size, "white").save(path)
    with vgaemu.Machine("picture", [str(path)]) as machine:
        machine.tick()
        top, bottom, left, right = edges(machine.screen.rgb())
        assert (bottom - top, right - left) == (
            expected[1] - expected[0], expected[3] - expected[2],
        )  # fmt: skip
        assert abs(top - (199 - bottom)) <= 1
        assert abs(left - (319 - right)) <= 1
        assert machine.screen.rgb().max() == 255


def test_picture_looks_like_the_picture(tmp_path):
    y, x = np.mgrid[0:480, 0:640]
    pixels = np.stack([x * 255 / 639, y * 255 / 479, (x + y) * 255 / 1118], axis=2)
    path = tmp_path / "gradient.png"
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    with vgaemu.Machine("picture", [str(path)]) as machine:
        machine.tick(2)
        assert machine.ended
        shown = machine.screen.rgb().astype(float)
    wanted = np.asarray(Image.open(path).resize((320, 200)), float)
    blocks = [a.reshape(25, 8, 40, 8, 3).mean(axis=(1, 3)) for a in (shown, wanted)]
    assert np.abs(blocks[0] - blocks[1]).mean() < 4


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_picture_modes(mode, tmp_path):
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    Image.new(mode, (20, 20)).save(path)
    with vgaemu.Machine("picture", [str(path)]) as machine:
        machine.tick()


@pytest.mark.parametrize(
    ("milliseconds", "frames"),
    [([100, 100], [6, 6]), ([50] * 4, [3] * 4), ([0, 10], [6, 6]), ([25] * 4, [2, 1, 1, 2])],
)
def test_film_timing(milliseconds, frames):
    assert picture._durations(milliseconds) == frames


@pytest.mark.parametrize(
    ("options", "rounds"), [({}, 1), ({"loop": 3}, 3), ({"loop": 0}, None)], ids=str
)
def test_film_plays_as_often_as_it_says(options, rounds, tmp_path):
    with vgaemu.Machine("picture", [film_file(tmp_path, 4, **options)]) as machine:
        assert machine.endless == (rounds is None)
        machine.tick(1000)
        assert machine.frames == (1000 if rounds is None else rounds * 4 * 6 + 1)


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "unit F"])
def test_greys_of_more_than_8_bits(mode, tmp_path):
    path = tmp_path / "grey.tiff"
    ramp = np.linspace(0, 65535, 320).astype(np.uint16)[None, :].repeat(200, axis=0)
    kinds = {"I;16": np.uint16, "I": np.int32, "F": np.float32, "unit F": np.float32}
    values = ramp.astype(kinds[mode])
    if "F" in mode:
        values /= 65535 if mode == "unit F" else 257
    Image.fromarray(values).save(path)
    with vgaemu.Machine("picture", [str(path)]) as machine:
        machine.tick(2)
        grey = machine.screen.rgb()[100, :, 1].astype(int)
    assert (np.diff(grey) >= -8).all()  # it is dithered
    assert grey[160] in range(112, 144)


def test_film_stores_changed_rows_only(tmp_path):
    with vgaemu.Machine("picture", [film_file(tmp_path)]) as machine:
        machine.tick()
        pages = [len(machine.run_frame().dirty_pages) for _ in range(40)]
    assert 0 < max(pages) < 10
    assert pages.count(0) > 30


# --- wrong input ------------------------------------------------------------------------------

FILES = {
    "empty.gif": b"",
    "not.png": b"this is no picture",
    "half.png": b"",
    "none.py": b"x = 1\n",
    "number.py": b"workload = 5\n",
    "plain.py": b"def workload(guest):\n    pass\n",
    "syntax.py": b"def workload(guest:\n",
    "null.py": b"\0",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save("x.png")
    whole = (tmp_path / "x.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    return tmp_path


WRONG = [
    (["sprits"], "'sprits'; did you mean sprites"),
    (["zzzz"], "no workload named 'zzzz', and no file; 'vgaemu list'"),
    (["."], ".: a folder; name a file in it"),
    (["plain.py"], "plain.py: no generator"),
    (["plain.py", "x"], "usage: plain.py (no arguments)"),
    (["_private"], "no workload named"),
    (["workload"], "no workload named"),
    (["cat"], "usage: cat FILE"),
    (["cat", "missing.txt"], "missing.txt: "),
    (["cat", "empty.gif"], "empty.gif: the file is empty"),
    (["cat", "."], ".: "),
    (["cat", "x.png", "y"], "too many"),
    (["plasma", "fast"], "too many"),
    (["sprites", "0"], "1 to 64"),
    (["picture"], "usage: picture FILE"),
    (["picture", "missing.png"], "missing.png: "),
    (["picture", "empty.gif"], "empty.gif: the file is empty"),
    (["picture", "not.png"], "not.png: not a picture"),
    (["picture", "half.png"], "half.png: a damaged picture"),
    (["picture", "."], ".: "),
    (["none.py"], "none.py: has no function"),
    (["number.py"], "number.py: has no function"),
    (["plain.py"], "needs at least one 'yield'"),
    (["syntax.py"], "syntax.py:1: not Python"),
    (
        ["null.py"],
        "null.py: not Python, as its name says; a kernel or a disk image",
    ),
    (["missing.py"], "missing.py: no such file"),
    (["./"], ".: a folder; name a file in it"),
]


@pytest.mark.parametrize(("arguments", "says"), WRONG)
def test_wrong_input_is_one_line(arguments, says, folder, capsys):
    assert main(["run", "--headless", "--frames", "5", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.startswith("vgaemu: ")
    assert err.count("\n") == 1


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
@pytest.mark.parametrize("arguments", [["cat", "x.png"], ["picture", "x.png"], ["none.py"]])
def test_unreadable_file_is_one_line(arguments, folder, capsys):
    (folder / arguments[-1]).chmod(0)
    assert main(["run", "--headless", "--frames", "5", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"vgaemu: {arguments[-1]}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(("wrong", "what"), [(7, "not int"), (b"\xf4", "not bytes; write what")])
def test_what_is_no_name_is_told_what_would_be(wrong, what):
    with pytest.raises(WorkloadError, match=f"^a workload is a name, .*, {what}"):
        vgaemu.Machine(wrong)


def test_workload_that_raises_shows_its_own_traceback(folder, capsys):
    (folder / "boom.py").write_text("def workload(guest):\n    yield\n    raise KeyError('mine')\n")
    assert main(["run", "--headless", "--frames", "5", "boom.py"]) == 1
    err = capsys.readouterr().err
    assert "boom.py" in err
    assert "KeyError: 'mine'" in err
    assert "machine.py" not in err


def test_workload_file_with_arguments_and_neighbours(folder):
    (folder / "neighbour.py").write_text("WORD = 'hello'\n")
    (folder / "mine.py").write_text(
        "import neighbour\n"
        "def workload(guest, *words):\n"
        "    guest.text.print(' '.join((neighbour.WORD, *words)))\n"
        "    yield\n"
    )
    assert main(["run", "--headless", "--dump-text", "out.txt", "mine.py", "a", "b"]) == 0
    assert (folder / "out.txt").read_text("utf-8").startswith("hello a b\n")


# --- the tour's command -----------------------------------------------------------------------


@pytest.fixture
def no_display(monkeypatch):
    from vgaemu.cli import tour
    from vgaemu.errors import DisplayError

    def refuse():
        raise DisplayError("no display available")

    monkeypatch.setattr(tour, "open_window", refuse)
    return tour


def test_tour_without_a_display(no_display, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith("no display: ran headless, wrote tour.png")
    assert "harvest" in out
    with Image.open(tmp_path / "tour.png") as sheet:
        assert sheet.width > sheet.height
        cells = no_display.A_ROW, -(-len(STATIONS) // no_display.A_ROW)
        assert sheet.width == no_display.GAP + cells[0] * (no_display.CELL_WIDTH + no_display.GAP)


def test_tour_says_first_that_it_cannot_write(no_display, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tour.png").mkdir()
    monkeypatch.setattr(no_display, "Machine", None)  # it does not even start
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("vgaemu: tour.png: ")
    assert err.count("\n") == 1


def test_tour_goes_on_with_a_key():
    with vgaemu.Machine("tour") as machine:
        machine.tick(5)
        machine.keys.press("right")
        machine.tick(2)
        assert machine.screen.text()[24].startswith(" 2/6  Typing")
        machine.keys.press("a")
        machine.tick(2)
        assert machine.screen.text()[24].startswith(" 2/6  Typing")


def test_captions_fit():
    for station in STATIONS:
        assert len(station.watch) <= 39


def test_a_picture_too_large_is_one_line(tmp_path, monkeypatch):
    path = tmp_path / "huge.png"
    Image.new("L", (64, 64)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    with pytest.raises(WorkloadError, match="too large"):
        vgaemu.Machine("picture", [str(path)])
