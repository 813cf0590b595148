"""The panel: its layout, what it writes, and the map of pages. No window, no pygame."""

import random
import subprocess
import sys

import numpy as np
import pytest

from vgaemu.display.hostkeys import keys_for_panel
from vgaemu.display.panel import draw, layout
from vgaemu.display.panel import meter as meters
from vgaemu.display.panel.graph import CURVES
from vgaemu.display.panel.panel import Panel, Status
from vgaemu.display.report import FrameReport, Rect, ScreenInfo
from vgaemu.display.work import FIELDS, Kept, count
from vgaemu.memslot.keeper import Counters
from vgaemu.memslot.log import FlagsLog

pytestmark = pytest.mark.turns(2)

KEYS = keys_for_panel()
TEXT = ScreenInfo(720, 400, 4 / 3, 0, "text 80x25", 4096, "flags", True)
SECOND = 1_000_000_000
#: The last is wider than the history has frames.
WIDTHS = (640, 720, 800, 880, 960, 1024, 1280, 1440, 1920, 3840)
FULL = [(width, layout.BELOW_HEIGHT) for width in WIDTHS] + [
    (width, height)
    for width in layout.BESIDE_WIDTHS
    for height in (layout.MIN_BESIDE_HEIGHT, 1080, 2160)
]
#: Where something had to be left out, and all the same nothing is cut.
SMALLER = [(240, layout.BELOW_HEIGHT), (500, layout.BELOW_HEIGHT)] + [
    (width, layout.LOW_HEIGHT) for width in (240, 500, 640, 1440)
]


def kept(dirty_log="flags", **work):
    return Kept(dirty_log, count(Counters()), count(Counters(**work)))


def report(frame=0, pages=(), spans=None, harvest_ns=12_300, keepers=(), **more):
    flags = bytearray(max(4096, *pages) + 1 if len(pages) else 4096)
    for page in pages:
        flags[page] = 1
    spans = [(int(n), int(n) + 1) for n in pages] if spans is None else spans
    values = {"render_ns": 20_000, "present_ns": 30_000, "rects": (), "redraw": ""}
    values |= {"compared_ns": ()} | {"kept": keepers or (kept(faults=more.pop("faults", 0)),)}
    log = FlagsLog(len(flags), bytes(flags))
    return FrameReport(
        frame_number=frame, harvest_ns=harvest_ns, log=log, spans=spans, **(values | more)
    )  # fmt: skip


def make(width=640, height=layout.BELOW_HEIGHT, info=TEXT):
    meter = meters.Meter()
    meter.reshape(info)
    return meter, Panel(width, height, meter, KEYS)


def says(pixels, text, ink=draw.BRIGHT, height=layout.LINE):
    """Whether `text` stands somewhere in exactly that colour."""
    glyphs = draw.text_strip(text, 1, 0, height).astype(np.uint8)
    here = (pixels == ink).astype(np.uint8)
    inked = int(np.flatnonzero(glyphs.any(axis=1))[0])
    needle = glyphs[inked].tobytes()
    for y in range(inked, len(here) - height + inked + 1):
        x = here[y].tobytes().find(needle)
        while x >= 0:
            top = y - inked
            if (here[top : top + height, x : x + glyphs.shape[1]] == glyphs).all():
                return True
            x = here[y].tobytes().find(needle, x + 1)
    return False


@pytest.mark.parametrize(("width", "height"), FULL + SMALLER)
def test_boxes_lie_inside_and_apart(width, height):
    boxes = [box for box in layout.arrange(width, height, KEYS) if box.area]
    assert len(boxes) == 7 or (width, height) in SMALLER
    taken = np.zeros((height, width), int)
    for box in boxes:
        assert box.x >= layout.MARGIN
        assert box.x + box.width <= width - layout.MARGIN
        assert 0 <= box.y < box.y + box.height <= height
        taken[box.y : box.y + box.height, box.x : box.x + box.width] += 1
    assert taken.max() == 1


@pytest.mark.parametrize(("width", "height"), FULL)
def test_all_of_it_fits(width, height):
    meter, panel = make(width, height)
    drawn = [Rect(0, 0, 1000, 1000)]
    worst = report(123_456, range(4096), [(0, 4096)], 10**9, rects=drawn, faults=99_999)
    for _ in range(meters.HISTORY):
        meter.note(worst, 99_999)
    pixels = panel.draw(SECOND, Status(TEXT, paused=True, outlines=True, panel_ns=10**9))
    assert pixels.shape == (height, width)
    # The margin stays free, so nothing was cut at an edge.
    assert (pixels[1:, -layout.MARGIN :] == draw.PAPER).all()
    assert (pixels[-4:, 1:] == draw.PAPER).all()
    assert says(pixels, "text 80x25")
    assert says(pixels, "PAUSED", draw.PAPER)
    assert says(pixels, "2012 patch: 50-300µs", draw.INK, layout.SMALL)
    assert says(pixels, "clean, redrawn", draw.DIM, layout.SMALL)
    assert says(pixels, "F9", draw.INK, layout.SMALL)


def test_it_says_what_was_measured():
    meter, panel = make()
    for frame in range(100):
        meter.note(report(frame, harvest_ns=(frame + 1) * 1000), 0)
    drawn = [Rect(0, 0, 720, 40)]
    last = report(100, [0, 3], [(0, 4)], 45_600, rects=drawn, faults=7, render_ns=71_000)
    meter.note(last, 5)
    pixels = panel.draw(SECOND, Status(TEXT, panel_ns=345_000))
    assert says(pixels, "45.6µs", draw.DIRTY)  # last
    assert says(pixels, "50.0µs")  # p50
    assert says(pixels, "99.0µs")  # p99
    assert says(pixels, "100µs")  # max
    assert says(pixels, "10.0%")
    assert says(pixels, "71.0µs")
    assert says(pixels, "345µs")
    assert says(pixels, "max: of 600 frames", draw.DIM, layout.SMALL)
    assert says(pixels, "frame 100", draw.INK)
    assert says(pixels, "dirty log: flags", draw.INK)
    assert says(pixels, "2012 patch: 50-300µs", draw.INK, layout.SMALL)
    assert says(pixels, "Ctrl+F3", draw.INK, layout.SMALL)
    assert not says(pixels, "PAUSED", draw.PAPER)


def test_numbers_that_got_shorter_leave_nothing():
    meter, panel = make()
    meter.note(report(0, range(4096), harvest_ns=123_000_000), 32)
    panel.draw(SECOND, Status(TEXT))
    for frame in range(meters.HISTORY):
        meter.note(report(frame, harvest_ns=400), 0)
    again = panel.draw(2 * SECOND, Status(TEXT)).copy()
    fresh_meter, fresh = make()
    fresh_meter.digest(2 * SECOND)
    for frame in range(meters.HISTORY):
        fresh_meter.note(report(frame, harvest_ns=400), 0)
    fresh_meter.frames_a_second = meter.frames_a_second
    fresh_meter.heat.dirty[:] = meter.heat.dirty
    assert np.array_equal(again[28:], fresh.draw(2 * SECOND, Status(TEXT))[28:])


def test_frames_a_second():
    meter, _ = make()
    for tenth in range(20):
        for _ in range(6):
            meter.note(report(), 0)
        meter.digest(tenth * SECOND // 10)
    assert meter.frames_a_second == pytest.approx(60)
    meter.restart_clock()
    meter.digest(1000 * SECOND)
    for tenth in range(5):
        meter.note(report(), 0)
        meter.digest(1000 * SECOND + tenth * SECOND // 10)
    assert meter.frames_a_second == pytest.approx(12.5)


def legacy_cell(panel, page):
    """The pixel in the middle of a large cell."""
    box, shape = panel.boxes.map, panel.map_shape
    row, column = divmod(page, shape.large_columns)
    half = shape.large // 2
    y, x = box.y + layout.HEADING + row * shape.large + half, box.x + column * shape.large + half
    return int(panel.pixels[y, x])


def small_cell(panel, cell):
    box, shape = panel.boxes.map, panel.map_shape
    row, column = divmod(cell, shape.small_columns)
    top = box.y + layout.HEADING + shape.large_rows * shape.large + layout.MAP_GAP
    return int(panel.pixels[top + row * shape.small, box.x + column * shape.small])


@pytest.mark.parametrize(("width", "height"), FULL[::3])
def test_every_legacy_page_is_seen(width, height):
    meter, panel = make(width, height)
    panel.draw(0, Status(TEXT))
    cold = legacy_cell(panel, 0)
    assert {legacy_cell(panel, page) for page in range(64)} == {cold}
    for page in range(64):
        meter.heat = meters.PageHeat(TEXT.slot_pages)
        meter.note(report(0, [page]), 0)
        panel.draw(0, Status(TEXT))
        assert [n for n in range(64) if legacy_cell(panel, n) != cold] == [page]


@pytest.mark.parametrize("slot_pages", [16, 64, 256, 2048, 4096, 65536])
def test_the_map_fits_slots_of_all_sizes(slot_pages):
    info = ScreenInfo(720, 400, 4 / 3, 0, "text 80x25", slot_pages, "flags", True)
    meter, panel = make(640, info=info)
    meter.note(report(0, [0, slot_pages - 1]), 0)
    panel.draw(0, Status(info))
    box = panel.boxes.map
    assert panel.map_shape.height <= box.height - layout.HEADING
    if slot_pages > 64:
        last = -(-(slot_pages - 64) // meter.heat.pages_a_cell) - 1
        assert small_cell(panel, last) != small_cell(panel, last - 1)
        lit = Panel(640, layout.BELOW_HEIGHT, meter, KEYS)
        lit.draw(0, Status(info))
        assert small_cell(lit, last) == small_cell(panel, last)


def test_light_fades_and_clean_pages_have_their_own():
    meter, panel = make()
    meter.note(report(0, [2, 5], [(2, 6)]), 0)
    panel.draw(0, Status(TEXT))
    cold, dirty, clean = (legacy_cell(panel, page) for page in (10, 2, 3))
    assert len({cold, dirty, clean}) == 3
    assert clean == draw.CLEAN
    panel.draw(SECOND // 2, Status(TEXT))
    assert legacy_cell(panel, 2) not in (cold, dirty)
    panel.draw(10 * SECOND, Status(TEXT))
    assert legacy_cell(panel, 2) == legacy_cell(panel, 3) == cold


def test_the_graph_is_higher_where_a_harvest_took_longer():
    meter, panel = make()
    for ns in (1_000, 10_000, 100_000):
        meter.note(report(harvest_ns=ns), 0)
    pixels = panel.draw(0, Status(TEXT))
    box = panel.boxes.harvest
    columns = pixels[box.y + 30 : box.y + box.height, box.x + box.width - 3 : box.x + box.width]
    tops = [int(np.flatnonzero(column == draw.DIRTY)[0]) for column in columns.T]
    assert tops[0] > tops[1] > tops[2]
    assert tops[0] - tops[1] == pytest.approx(tops[1] - tops[2], abs=1)  # logarithmic


@pytest.mark.parametrize(("width", "height"), SMALLER)
def test_a_small_panel_leaves_out_whole_parts(width, height):
    meter, panel = make(width, height)
    for _ in range(meters.HISTORY):
        meter.note(report(123_456, range(4096), [(0, 4096)], 10**9, faults=99_999), 99_999)
    pixels = panel.draw(SECOND, Status(TEXT, paused=True, outlines=True, panel_ns=10**9))
    assert (pixels[1:, -layout.MARGIN :] == draw.PAPER).all()
    assert (pixels[-4:, 1:] == draw.PAPER).all()
    assert says(pixels, "text 80x25")
    assert says(pixels, "PAUSED", draw.PAPER)
    assert says(pixels, "1.00s", draw.DIRTY)
    assert says(pixels, "2012 patch: 50-300µs", draw.INK, layout.SMALL)
    assert says(pixels, "redrawn", draw.INK) == (panel.boxes.counters.area > 0)
    assert width == 240 or says(pixels, "max of 600", draw.DIM, layout.SMALL)
    assert says(pixels, "Ctrl+F9", draw.INK, layout.SMALL) == (panel.boxes.keys.area > 0)


@pytest.mark.parametrize(("width", "height"), FULL + SMALLER)
@pytest.mark.parametrize(
    ("stands", "badge"),
    [
        ("the guest failed: unknown opcode at 0000:7C0E; Ctrl+F9 quits", "GUEST FAILED"),
        ("the guest has ended with code 3; Ctrl+F9 quits", "GUEST ENDED"),
        ("the guest has not yielded for 5 s; Ctrl+F9 quits", "GUEST NOT YIELDED"),
    ],
)
def test_it_says_why_the_guest_stands(width, height, stands, badge):
    _, panel = make(width, height)
    pixels = panel.draw(SECOND, Status(TEXT, stands=stands))
    assert says(pixels, badge, draw.PAPER) == (width > 240 or len(badge) < 15)
    assert (pixels[1:, -layout.MARGIN :] == draw.PAPER).all()
    pixels = panel.draw(SECOND, Status(TEXT, paused=True, stands="paused; Alt+Pause goes on"))
    assert says(pixels, "PAUSED", draw.PAPER)
    assert not says(panel.draw(SECOND, Status(TEXT)), badge, draw.PAPER)


@pytest.mark.parametrize("harvest_ns", [5_000, 100_000, 2_000_000])
def test_the_patchs_band_is_seen_above_and_below_the_curve(harvest_ns):
    meter, panel = make(1280)
    for _ in range(meters.HISTORY):
        meter.note(report(harvest_ns=harvest_ns), 0)
    pixels = panel.draw(SECOND, Status(TEXT))
    box = panel.boxes.harvest
    column = pixels[box.y + layout.GRAPH_TOP : box.y + box.height, box.x + box.width - 1]
    band = [draw.BAND, draw.under_the_curve(draw.BAND)]
    assert len({*band, draw.WELL, draw.GRAPH}) == 4
    assert np.isin(column, band).sum() >= 15
    assert (draw.BAND in column) == (harvest_ns < 300_000)
    assert (band[1] in column) == (harvest_ns > 50_000)
    assert says(pixels, "2012 patch: 50-300µs", draw.INK, layout.SMALL)


@pytest.mark.parametrize(
    ("width", "height", "small"),
    [(160, 138, False), (624, 18, True), (484, 18, True), (256, 28, True)],
)
def test_the_keepers_figures_stand_inside_their_box_and_apart(width, height, small):
    box = Rect(8, 30, width, height)
    taken = np.zeros((height + 30, width + 8), int)
    for place in layout.place_work(box, 6):
        assert place.height == (layout.SMALL if small else layout.LINE)
        assert place.width >= 14 * layout.CHAR
        assert box.x <= place.x
        assert place.x + place.width <= box.x + box.width
        assert box.y <= place.y
        assert place.y + place.height <= box.y + box.height
        taken[place.y : place.y + place.height, place.x : place.x + place.width] += 1
    assert taken.max() == 1


def test_the_graph_marks_where_another_keeper_took_over_and_keeps_both():
    meter, panel = make(1264)
    for frame in range(150):
        name, ns = ("srcu", 2_000_000) if frame < 100 else ("words", 60_000)
        meter.note(report(frame, [1], harvest_ns=ns, keepers=(kept(name),)), 0)
    pixels = panel.draw(SECOND, Status(TEXT))
    box = panel.boxes.harvest
    column = pixels[box.y + 30 : box.y + box.height, box.x + box.width - 50]
    assert (column == draw.BRIGHT).all()
    assert says(pixels, "→words", draw.BRIGHT, layout.SMALL)
    assert says(pixels, "srcu", draw.BRIGHT, layout.SMALL)
    assert says(pixels, "p50 2.00ms", draw.BRIGHT, layout.SMALL)
    assert says(pixels, "dirty log: words", draw.INK)
    assert says(pixels, "60.0µs")  # of this keeper's frames alone
    assert not says(pixels, "2.00ms")


def test_a_sections_median_is_of_its_frames_that_are_out_of_sight_too():
    meter, _ = make()
    meter.digest(0)
    assert meter.sections(60) == []
    for frame in range(150):
        name, ns = (
            ("srcu", 9_000) if frame < 70 else ("srcu", 1_000) if frame < 100 else ("words", 5)
        )
        meter.note(report(frame, harvest_ns=ns, keepers=(kept(name),)), 0)
    meter.digest(0)
    assert meter.sections(60) == [(0, "srcu", 9_000), (10, "words", 5)]
    assert meter.sections(50) == [(0, "words", 5)]


@pytest.mark.parametrize("width", [640, 1264])
def test_the_panel_tells_what_the_keeper_did(width):
    meter, panel = make(width)
    did = {"protect_calls": 3, "protected_pages": 70, "clean_pages": 41, "entries_looked_at": 77}
    meter.note(report(0, [1], keepers=(kept("srcu", grace_period_ns=1_230_000, **did),)), 0)
    pixels = panel.draw(SECOND, Status(TEXT))
    if width == 1264:
        assert [text for text in ("3", "70", "41", "77", "1.23ms") if not says(pixels, text)] == []
    else:
        for text in ("protect calls 3", "clean of those 41", "grace period 1.23ms"):
            assert says(pixels, text, draw.INK, layout.SMALL)


@pytest.mark.parametrize(("width", "height"), FULL)
def test_two_keepers_have_a_curve_and_figures_each(width, height):
    meter, panel = make(width, height)
    both = kept("srcu", protect_calls=99_999, grace_period_ns=10**9), kept("words")
    for frame in range(meters.HISTORY):
        noted = report(frame, [1], keepers=both, compared_ns=(1_110_000, 65_400), harvest_ns=0)
        meter.note(noted, 0)
    pixels = panel.draw(SECOND, Status(TEXT))
    for ink, name, time in zip(CURVES, ("srcu", "words"), ("1.11ms", "65.4µs"), strict=True):
        assert says(pixels, name, ink, layout.SMALL)
        assert says(pixels, time, ink, layout.SMALL)
    assert says(pixels, "dirty log: srcu+words", draw.INK)
    assert (pixels[1:, -layout.MARGIN :] == draw.PAPER).all()
    meter.note(report(0, [1], harvest_ns=12_300), 0)  # and one keeper again
    pixels = panel.draw(2 * SECOND, Status(TEXT))
    assert says(pixels, "12.3µs", draw.DIRTY)


@pytest.mark.parametrize(("width", "height"), FULL + SMALLER)
def test_no_text_is_cut_and_none_lies_on_another(width, height, monkeypatch):
    rng, written = random.Random(width * height), {}

    def recorded(pixels, x, y, text, ink=draw.INK, *, paper=draw.PAPER, height=layout.LINE):
        written[x, y] = Rect(x, y, layout.CHAR * len(text.rstrip()), height)
        return draw.write(pixels, x, y, text, ink, paper=paper, height=height)

    def erased(pixels, box, colour):
        for x, y in list(written):
            if box.x <= x < box.x + box.width and box.y <= y < box.y + box.height:
                del written[x, y]
        fill(pixels, box, colour)

    fill = draw.fill
    monkeypatch.setattr("vgaemu.display.panel.panel.write", recorded)
    monkeypatch.setattr(draw, "fill", erased)
    for keepers in (["flags"], ["kvm-manual"], ["srcu", "words"], ["kvm-manual", "sparse"]):
        info = ScreenInfo(
            720, 400, 4 / 3, 0, rng.choice(("text 80x25", "1280x1024x32bpp")),
            rng.choice((16, 64, 4096, 65536, 1 << 26)), "+".join(keepers), True,
        )  # fmt: skip
        written.clear()
        meter, panel = make(width, height, info)
        for _ in range(3):
            work = {field: 10 ** rng.randint(0, 11) for field in FIELDS}
            both = [kept(name, **work) for name in keepers]
            times = [10 ** rng.randint(1, 12) for _ in both]
            noted = report(
                10 ** rng.randint(0, 9), [3], [(3, 4)] * 99_999, times[0], keepers=both,
                compared_ns=times if len(both) > 1 else (), render_ns=10 ** rng.randint(1, 11),
            )  # fmt: skip
            meter.note(noted, 10 ** rng.randint(0, 9))
            status = Status(info, rng.random() < 0.5, rng.random() < 0.5, 10 ** rng.randint(1, 11))
            panel.draw(SECOND, status)
        taken = np.zeros((height, width), int)
        for x, y, wide, high in written.values():
            assert x >= layout.MARGIN
            assert x + wide <= width - layout.MARGIN
            assert y + high <= height - layout.MARGIN // 2
            taken[y : y + high, x : x + wide] += 1
        assert taken.max() == 1


def test_the_panel_imports_no_pygame():
    code = "import sys, vgaemu.display.panel.panel; sys.exit('pygame' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
