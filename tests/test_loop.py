"""The display loop: what is drawn, reported and counted, and what may happen between its steps."""

from contextlib import suppress
from dataclasses import asdict, replace

import numpy as np
import pytest
from shadow import ShadowDisplay, Watched
from work import Functions

from vgaemu.display import work
from vgaemu.display.base import BaseDisplay, as_display
from vgaemu.display.events import Close
from vgaemu.display.loop import DisplayLoop
from vgaemu.display.rects import MAX_RECTS, merge_rects
from vgaemu.display.report import Display
from vgaemu.display.screen import BLINK_FRAMES, Screen
from vgaemu.display.stats import BATCH
from vgaemu.errors import DisplayError, ScreenError
from vgaemu.machine import Machine
from vgaemu.memslot import Memslot
from vgaemu.memslot.keeper import Counters
from vgaemu.vga.device import Vga
from vgaemu.vga.modes import set_mode
from vgaemu.vga.render import Rect, RowRenderer, TextRenderer
from vgaemu.vga.vram import LFB_GPA


@pytest.fixture
def graphics():
    vga = Vga(Memslot(64))
    set_mode(vga, 0x13)
    watched = Watched(vga, span_pages=64)
    watched.frame()
    return watched


def test_only_rows_of_dirty_pages_are_drawn(graphics):
    graphics.vga.store(0xA0000 + 320 * 50, b"\x0f" * 10)  # page 3: bytes 12288-16383
    report = graphics.frame()
    assert graphics.display.rects == [Rect(0, 38, 320, 14)]
    assert report.pixels == 320 * 14
    assert report.dirty_pages.tolist() == [3]
    assert report.spans == [(3, 4)]
    assert report.faults == 1


@pytest.mark.parametrize("change", ["all cells", "some of each row", "pixels"])
def test_where_most_changed_finding_it_out_costs_no_more_than_drawing_it_all(change):
    vga = Vga(Memslot(64))
    set_mode(vga, 0x13 if change == "pixels" else 3)
    watched = Watched(vga)
    calls = []
    for number in range(4):
        page = np.full((25, 160), 7, np.uint8)
        page[:, 10 if change == "some of each row" else slice(None)] = number
        vga.store(*((0xA0000, bytes((number,)) * 64000) if change == "pixels" else
                    (0xB8000, page.tobytes())))  # fmt: skip
        if number % 2:
            watched.loop.screen.invalidate()
        with Functions() as work:
            watched.loop.draw_frame()
        calls.append(work.called)
        watched.check()
    assert calls[2] <= calls[3] + 10


def test_text_that_scrolls_is_compared_now_and_then_and_at_once_when_it_stands():
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    watched = Watched(vga)
    watched.frame()
    covered = []
    for number in range(1, 33):
        page = np.full((25, 160), 7, np.uint8)
        # At last only ten of 25 rows: what a comparison finds of a page that is dirty all over.
        page[: 10 if number > 16 else 25, 10:50:2] = number
        vga.store(0xB8000, page.tobytes())
        covered.append(watched.frame().pixels / (720 * 400))
        watched.check()
    assert covered[:16] == [1] * 16
    # One frame of eight is compared. Where less has changed, each one is from then on.
    assert 1 <= covered[16:].count(1) <= 8
    assert covered[-8:] == [10 / 25] * 8
    vga.store(0xB8000, b"x")
    assert watched.frame().pixels == 9 * 16


@pytest.mark.parametrize(("span_pages", "pages"), [(64, 13), (8, 2), (16, 13)])
def test_a_span_takes_the_clean_pages_between_along(span_pages, pages):
    vga = Vga(Memslot(64))
    set_mode(vga, 0x13)
    watched = Watched(vga, span_pages=span_pages)
    watched.frame()
    vga.store(0xA0000 + 4096, b"\x01")
    vga.store(0xA0000 + 4096 * 13, b"\x01")
    report = watched.frame()
    assert len(report.dirty_pages) == 2
    assert report.span_pages == pages


def test_clean_rectangles_are_named_for_displays_that_show_them():
    vga = Vga(Memslot(64))
    set_mode(vga, 0x13)
    display = ShadowDisplay()
    display.shows_clean_rects = True
    loop = DisplayLoop(vga, display, span_pages=64)
    loop.draw_frame()
    vga.store(0xA0000, b"\x01")
    vga.store(0xA0000 + 63999, b"\x01")
    report = loop.draw_frame()
    assert report.pixels == 64000
    assert report.clean_rects == [Rect(0, 13, 320, 179)]


def test_a_quiet_frame_draws_nothing_and_still_reaches_the_display(graphics):
    before = len(graphics.display.reports)
    report = graphics.frame()
    assert len(graphics.display.reports) == before + 1
    assert (report.pixels, report.spans, report.redraw, graphics.display.rects) == (0, [], "", [])


def test_the_text_cursor_is_nothing_to_a_graphics_mode(graphics):
    graphics.vga.outw(0x3D4, 80 << 8 | 0x0F)
    assert graphics.frame().redraw == ""
    assert graphics.loop.screen.scanout.cursor is None
    set_mode(graphics.vga, 3)
    graphics.vga.outw(0x3D4, 81 << 8 | 0x0F)
    graphics.frame()
    assert graphics.loop.screen.scanout.cursor.address == 81


def test_statistics_add_up(graphics):
    for i in range(10):
        graphics.vga.store(0xA0000 + 4096 * i, b"\x07")
        graphics.frame()
    totals = graphics.loop.stats.totals
    reports = graphics.display.reports
    assert totals.frames == len(reports) == 11
    assert totals.pixels == sum(report.pixels for report in reports)
    assert totals.pages == sum(len(report.dirty_pages) for report in reports)
    summary = graphics.loop.stats.summary()
    assert set(summary["harvest_ns"]) == {"p50", "p90", "p99", "max"}
    assert 0 < summary["harvest_ns"]["p50"] <= summary["harvest_ns"]["max"]


@pytest.mark.parametrize("blinking", [False, True])
def test_the_cursor_moves_or_blinks_in_a_frame_that_is_drawn_whole(blinking):
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    watched = Watched(vga)
    vga.store(0xB8000, b"A\x87" * 2000)
    for _ in range(BLINK_FRAMES if blinking else 1):
        watched.frame()
    watched.loop.screen.invalidate()
    if not blinking:
        vga.outw(0x3D4, 80 << 8 | 0x0F)
    assert watched.frame().redraw == "cells"
    watched.frame()


def test_a_report_tells_what_its_keeper_did():
    vga = Vga(Memslot(64, dirty_log="words"))
    set_mode(vga, 0x13)
    watched = Watched(vga)
    watched.frame()
    for page in (2, 5):
        vga.store(0xA0000 + 4096 * page, b"\x07")
    report = watched.frame()
    work = report.keeper_work
    assert report.dirty_log == "words"
    assert (report.faults, work.faults, work.flushes) == (2, 2, 1)
    assert (work.protect_calls, work.protected_pages, work.clean_pages) == (1, 4, 2)
    vga.store(0xA0000, b"\x07")
    assert watched.frame().keeper_work.protected_pages == 1
    assert work.protected_pages == 4
    keeper = watched.loop.stats.keepers["words"]
    assert keeper.work.faults == 3  # those before the loop was made are not its
    assert replace(keeper.work, faults=0) == replace(vga.slot.counters, faults=0)
    assert len(keeper.harvest_ns) == watched.loop.frames
    assert watched.loop.stats.summary()["keepers"]["words"]["work"] == asdict(keeper.work)
    assert "words: 3 protect calls on 69 pages (" in watched.loop.stats.table()


def test_an_idle_frame_costs_no_look_at_counters(graphics, monkeypatch):
    graphics.frame()
    with monkeypatch.context() as patched:
        patched.setattr(work, "count", None)
        report = graphics.frame()
    assert report.keeper_work == Counters()
    assert report.dirty_log == "flags"


def test_idle_frames_and_their_statistics_take_few_calls():
    with Machine() as machine:
        for _ in range(2 * BATCH):
            machine.draw_frame()
        with Functions() as functions:
            for _ in range(2 * BATCH):  # batches that are added up, and blinks of the cursor
                machine.draw_frame()
        assert machine.stats.totals.frames == len(machine.stats.keepers["flags"].harvest_ns)
    assert functions.called <= 28 * 2 * BATCH


def test_two_keepers_are_compared_frame_by_frame():
    vga = Vga(Memslot(64, dirty_log="srcu+words"))
    set_mode(vga, 0x13)
    watched = Watched(vga)
    for page in range(3):
        vga.store(0xA0000 + 4096 * page, b"\x07")
        report = watched.frame()
        assert report.dirty_log == "srcu+words"
        assert report.faults == (1 if page else 0)  # the first was before the loop
    stats = watched.loop.stats
    assert list(stats.keepers) == ["srcu", "words"]
    assert [len(keeper.harvest_ns) for keeper in stats.keepers.values()] == [3, 3]
    assert stats.keepers["srcu"].work.grace_periods == 3
    times = [sum(report.compared_ns) for report in watched.display.reports]
    assert all(
        0 < ns < report.harvest_ns
        for ns, report in zip(times, watched.display.reports, strict=True)
    )
    lines = stats.table().splitlines()
    assert [line.split()[0] for line in lines[1:6]] == [
        "harvest", "srcu", "words", "render", "present",
    ]  # fmt: skip


def test_one_that_is_compared_is_not_the_one_of_that_name():
    vga = Vga(Memslot(64, dirty_log="srcu"))
    set_mode(vga, 0x13)
    watched = Watched(vga)
    calls = []
    for name in ("srcu", "srcu+words", "srcu"):
        vga.slot.keep_with(name)
        for _ in range(3):
            vga.store(0xA0000, b"\x07")
            calls.append(watched.frame().keeper_work.protect_calls)
    assert min(calls) > 0
    assert watched.loop.stats.keepers["srcu"].work.protect_calls == 9


def test_reading_the_log_beside_the_loop_steals_nothing(graphics):
    vga = graphics.vga
    mine = vga.slot.subscribe()
    vga.store(0xA0000, b"\x05")
    assert mine.get_dirty_log().pages().tolist() == [0]
    assert vga.slot.get_dirty_log().pages().tolist()  # the slot's own view, too
    assert graphics.frame().dirty_pages.tolist() == [0]


@pytest.mark.parametrize("start_mode", [3, 0x13, 0x12])
@pytest.mark.parametrize("new_mode", [3, 0x13, 0x12, 0x06])
def test_a_change_between_harvest_and_draw_costs_one_wrong_frame_never_two(start_mode, new_mode):
    vga = Vga(Memslot(64))
    set_mode(vga, start_mode)
    display = ShadowDisplay()
    loop = DisplayLoop(vga, display)
    loop.draw_frame()
    harvest = loop._log.get_dirty_log

    def harvest_then_guest():
        log = harvest()
        set_mode(vga, new_mode)
        base = 0xA0000 if new_mode >= 0x10 else 0xB8000
        vga.store(base, np.arange(8000, dtype=np.uint8).tobytes())
        return log

    loop._log.get_dirty_log = harvest_then_guest
    loop.draw_frame()
    loop._log.get_dirty_log = harvest
    loop.draw_frame()
    assert np.array_equal(display.frame, loop.screen.full_redraw())


def test_stores_while_the_picture_is_drawn_are_in_the_next_frame():
    vga = Vga(Memslot(64))
    set_mode(vga, 0x13)

    class StoringDisplay(ShadowDisplay):
        stores = 0

        def update(self, frame, rects, report):
            super().update(frame, rects, report)
            self.stores += 1
            if self.stores < 40:
                vga.store(0xA0000 + 1601 * self.stores, bytes((self.stores,)) * 100)

    display = StoringDisplay()
    loop = DisplayLoop(vga, display)
    for _ in range(41):
        loop.draw_frame()
    assert np.array_equal(display.frame, loop.screen.full_redraw())


@pytest.mark.parametrize("where", ["configure", "draw_changes", "resize", "update"])
@pytest.mark.parametrize("change", ["mode", "palette", "cursor"])
def test_what_a_broken_off_frame_was_to_show_is_shown_by_the_next(where, change, monkeypatch):
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    watched = Watched(vga)
    watched.frame()

    def break_off(*arguments):
        raise KeyboardInterrupt

    if change == "mode":
        set_mode(vga, 0x13)
        vga.store(0xA0000, b"\x0c" * 64000)
    elif change == "palette":
        vga.outb(0x3C8, 0)
        for _ in range(3):
            vga.outb(0x3C9, 20)
    else:
        vga.store(0xB8000, b"A\x07" * 2000)
        vga.outw(0x3D4, 80 << 8 | 0x0F)
    with monkeypatch.context() as patch:
        if where in ("resize", "update"):
            patch.setattr(watched.display, where, break_off)
        else:
            patch.setattr(TextRenderer, where, break_off)
            patch.setattr(RowRenderer, where, break_off)
        with suppress(KeyboardInterrupt):
            watched.loop.draw_frame()
    watched.frame()
    watched.frame()


def test_a_screen_says_what_it_shows():
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    watched = Watched(vga)
    for _ in range(3):
        watched.frame()
    assert repr(watched.loop.screen) == "<vgaemu.Screen text 80x25, frame 2>"


def test_a_display_of_ones_own_is_a_display():
    assert isinstance(ShadowDisplay(), Display)
    assert isinstance(BaseDisplay(), Display)


def test_what_a_display_of_ones_own_has_besides_is_used():
    class Own(ShadowDisplay):
        def __init__(self):
            super().__init__()
            self.told = []

        def poll(self):
            return [Close()]

        def notice(self, text):
            self.told.append(text)

    own = Own()
    display = as_display(own)
    display.notice("saved")
    assert (display.poll(), own.told, display.can_be_closed) == ([Close()], ["saved"], True)
    assert not display.shows_clean_rects
    own.shows_clean_rects = True
    assert display.shows_clean_rects


def test_what_a_display_of_ones_own_lacks_does_nothing():
    own = ShadowDisplay()
    display = as_display(own)
    display.notice("saved")
    assert (list(display.poll()), display.shows_clean_rects, display.can_be_closed) == (
        [], False, False,
    )  # fmt: skip
    display.close()
    assert own.closed == 1
    assert as_display(display) is display
    with pytest.raises(DisplayError, match="resize, update and close"):
        as_display(object())


def test_a_base_display_with_a_poll_of_its_own_can_be_closed():
    class Polled(BaseDisplay):
        def poll(self):
            return [Close()]

    assert Polled().can_be_closed
    assert not BaseDisplay().can_be_closed


def test_many_rectangles_become_bands_that_cover_them():
    rects = [Rect(10 * i, 10 * (i % 7), 5, 5) for i in range(MAX_RECTS)]
    assert len(merge_rects(rects)) == MAX_RECTS
    rects += [Rect(3 * i, 300 + i, 2, 1) for i in range(60)]
    bands = merge_rects(rects)
    assert len(bands) <= MAX_RECTS
    covered = np.zeros((400, 720), np.bool_)
    for band in bands:
        covered[band.y : band.y + band.height, band.x : band.x + band.width] = True
    for rect in rects:
        assert covered[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width].all()
    assert not covered[100:290].any()
    assert merge_rects([]) == []


def test_screen_answers_text_rgb_and_pictures(tmp_path):
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    for i, code in enumerate("Grüße ☺".replace("☺", "\x01").encode("cp437")):
        vga.store(0xB8000 + 160 + 2 * i, bytes((code, 0x1E)))
    watched = Watched(vga)
    watched.frame()
    screen = watched.loop.screen
    assert screen.text()[1].rstrip() == "Grüße ☺"
    assert len(screen.text()) == 25
    assert {len(row) for row in screen.text()} == {80}
    assert screen.rgb().shape == (400, 720, 3)
    assert screen.rgb()[16, 719].tolist() == [0, 0, 0]
    screen.save(tmp_path / "shot.png")
    from PIL import Image

    with Image.open(tmp_path / "shot.png") as picture:
        assert np.array_equal(np.asarray(picture), screen.rgb())
    with pytest.raises(ScreenError, match=r"shot\.nope"):
        screen.save(tmp_path / "shot.nope")
    set_mode(vga, 0x13)
    watched.frame()
    with pytest.raises(ScreenError, match="320x200x256 is a graphics mode"):
        screen.text()


def test_the_cursor_is_solid_foreground_at_its_lines():
    vga = Vga(Memslot(64))
    set_mode(vga, 3)
    screen = Screen(vga)
    screen.refresh(0, [])
    # Mode 3: lines 13 and 14 of cell 0, light grey.
    assert (screen.frame[13:15, :9] == 0xAAAAAA).all()
    assert not screen.frame[:13, :9].any()
    assert not screen.frame[15, :9].any()


def test_linear_pixels_across_page_edges_are_drawn_whole():
    vga = Vga(Memslot(1024))
    for index, value in ((1, 640), (2, 400), (3, 24), (4, 0x41)):
        vga.outw(0x1CE, index)
        vga.outw(0x1CF, value)
    vga.outb(0x3C0, 0x20)
    watched = Watched(vga)
    watched.frame()
    for page in range(1, 180, 7):
        vga.store(LFB_GPA + 4096 * page - 1, b"\xff\xff")  # one pixel in two pages
        watched.frame()


def test_who_polls_can_be_closed_unless_it_says_otherwise() -> None:
    class Polled(BaseDisplay):
        def poll(self) -> list[Close]:
            return []

    class Never(Polled):
        can_be_closed = False

    shown = [display().can_be_closed for display in (BaseDisplay, Polled, Never)]
    assert shown == [False, True, False]
