"""Several displays of one machine: each shows the exact picture, and none waits for another."""

import logging
import threading
import time

import numpy as np
import pytest
from shadow import ShadowDisplay

import vgaemu
from vgaemu.display.base import BaseDisplay
from vgaemu.display.displays import Displays
from vgaemu.display.events import Close
from vgaemu.display.indexed import Indexer
from vgaemu.errors import DisplayError
from vgaemu.keys.queue import Key
from vgaemu.vga.modes import set_mode

#: No test waits longer for a thread (seconds).
HANGS = 10


class InStep(ShadowDisplay):
    in_step = True


class Gated(ShadowDisplay):
    """One that shows nothing until it may."""

    def __init__(self):
        super().__init__()
        self.may, self.began = threading.Event(), threading.Event()
        self.updates = []

    def update(self, frame, rects, report):
        self.began.set()
        assert self.may.wait(HANGS)
        super().update(frame, rects, report)
        self.updates.append(list(rects))


def raises(*methods):
    class Raises(ShadowDisplay):
        pass

    def method(self, *arguments):
        raise ValueError("out of paper")

    for name in methods:
        setattr(Raises, name, method)
    return Raises()


def said(caplog):
    """Lines about displays: a viewer of a test before may hang up only now."""
    records = [record for record in caplog.records if record.name == "vgaemu.display.displays"]
    return [record.getMessage() for record in records]


def assert_shows(machine, *displays):
    assert machine.settle(HANGS)
    for display in displays:
        assert np.array_equal(display.frame, machine.screen.full_redraw())


@pytest.mark.parametrize("workload", ["typing", "sprites", "planar", "splitscreen", "truecolour"])
def test_all_show_the_exact_picture(workload):
    displays = [ShadowDisplay(), InStep(), ShadowDisplay()]
    with vgaemu.Machine(workload, display=displays) as machine:
        for _ in range(6):
            machine.tick(5)
            assert_shows(machine, *displays)
    assert [display.closed for display in displays] == [1, 1, 1]


def test_mode_changes_reach_all():
    displays = [ShadowDisplay(), InStep()]
    with vgaemu.Machine(display=displays) as machine:
        for mode in (0x13, 3, 0x12, 0x13):
            set_mode(machine.vga, mode)
            machine.vga.store(0xA0000, bytes(range(256)) * 16)
            machine.tick(2)
            assert_shows(machine, *displays)
        assert displays[1].resized[-1].mode_name == "320x200x256"
        assert round(displays[1].resized[-1].refresh_hz, 2) == 70.09


@pytest.mark.parametrize("late", [ShadowDisplay, InStep])
@pytest.mark.parametrize("first", ["null", ShadowDisplay])
def test_one_that_joins_late_gets_the_whole_picture(first, late):
    first, late = first if first == "null" else first(), late()
    with vgaemu.Machine("typing", display=first) as machine:
        machine.tick(30)
        machine.add_display(late)
        machine.tick()
        assert_shows(machine, late)
        assert [(s.width, s.height) for s in late.resized] == [(720, 400)]
        machine.tick(10)
        assert_shows(machine, late)


def test_one_that_joins_before_the_first_frame_is_told_the_shape_once():
    late = InStep()
    with vgaemu.Machine() as machine:
        machine.add_display(late)
        machine.tick(2)
        assert len(late.resized) == 1


def test_a_slow_one_gets_the_union_and_nobody_waits():
    slow, quick = Gated(), InStep()
    with vgaemu.Machine(display=[slow, quick]) as machine:
        machine.tick()
        assert slow.began.wait(HANGS)
        for column in range(40):
            machine.vga.store(0xB8000 + 2 * column, b"x\x1e")
            machine.tick()
        assert len(quick.reports) == 41  # and it is the forty-first already
        assert not machine.settle(0.01)
        slow.may.set()
        assert_shows(machine, slow, quick)
        missed = slow.updates[1]
        assert 0 < sum(rect.width * rect.height for rect in missed) < 720 * 400 / 8


def test_what_a_slow_one_missed_before_a_mode_change_is_of_no_interest():
    slow = Gated()
    with vgaemu.Machine(display=[slow]) as machine:
        machine.tick()
        assert slow.began.wait(HANGS)
        machine.vga.store(0xB8000, b"x\x1e")
        machine.tick()
        set_mode(machine.vga, 0x13)
        machine.tick()
        machine.vga.store(0xA0000, b"\x0f" * 64)
        machine.tick()
        slow.may.set()
        assert_shows(machine, slow)
        assert len(slow.updates) == 2
        assert [screen.mode_name for screen in slow.resized] == ["text 80x25", "320x200x256"]


@pytest.mark.parametrize("method", ["resize", "update"])
@pytest.mark.parametrize("in_step", [True, False])
def test_one_that_raises_is_left_out_with_a_line(method, in_step, caplog):
    bad, good = raises(method), InStep()
    bad.in_step = in_step
    with caplog.at_level(logging.INFO), vgaemu.Machine(display=[bad, good]) as machine:
        machine.tick()
        assert machine.settle(HANGS)
        for _ in range(3):
            machine.vga.store(0xB8000, b"x\x1e")
            machine.tick()
        assert_shows(machine, good)
    assert said(caplog) == ["Raises is left out: ValueError: out of paper"]
    assert bad.closed == 1
    assert len(good.reports) == 4


def test_one_that_raises_when_it_is_asked_or_closed(caplog):
    asked, closed, good = raises("poll"), raises("close"), InStep()
    with vgaemu.Machine(display=[asked, closed, good]) as machine:
        machine.tick(2)
        machine.settle(HANGS)
    assert said(caplog) == [
        "Raises is left out: ValueError: out of paper",
        "Raises is left out: ValueError: out of paper",  # of its own thread
    ]
    assert good.closed == 1


def test_the_display_of_a_machine_raises_to_who_runs_it_whoever_else_looks(caplog):
    good = InStep()
    with vgaemu.Machine(display=raises("update")) as machine:
        machine.add_display(good)
        with pytest.raises(ValueError, match="out of paper"):
            machine.tick()
    assert not said(caplog)
    assert good.closed == 1


def test_removed():
    one, other, alone = ShadowDisplay(), ShadowDisplay(), ShadowDisplay()
    with vgaemu.Machine(display=[one, other]) as machine:
        machine.tick()
        machine.remove_display(one)
        assert one.closed == 1
        seen = one.frame.copy()
        machine.vga.store(0xB8000, b"x\x1e")
        machine.tick()
        assert_shows(machine, other)
        assert np.array_equal(one.frame, seen)
        with pytest.raises(DisplayError, match="not among the displays, or not any more"):
            machine.remove_display(one)
    with vgaemu.Machine(display=alone) as machine:
        machine.tick()
        machine.remove_display(alone)
        assert alone.closed == 1
        with pytest.raises(DisplayError, match="is not the display"):
            machine.remove_display(alone)
        machine.tick()


def test_one_that_is_let_go_stays_open_and_keeps_no_thread():
    before = threading.active_count()
    display = ShadowDisplay()
    with vgaemu.Machine(display=[display]) as machine:
        machine.tick()
        machine.remove_display(display, close=False)
        assert threading.active_count() == before
    assert display.closed == 0


@pytest.mark.parametrize("in_step", [True, False])
def test_one_that_raises_when_it_is_told_or_asked_is_left_out_with_its_thread(in_step, caplog):
    before = threading.active_count()
    bad = [raises(method) for method in ("poll", "notice")]
    for display in bad:
        display.in_step = in_step
    good = InStep()
    with vgaemu.Machine(display=[*bad, good]) as machine:
        machine.tick()
        assert machine.settle(HANGS)
        machine.tell_user("hello")
        for thread in threading.enumerate():
            if thread.name == "vgaemu Raises":
                thread.join(HANGS)
        assert threading.active_count() == before
        assert_shows(machine, good)
    assert [display.closed for display in bad] == [1, 1]
    assert said(caplog) == ["Raises is left out: ValueError: out of paper"] * 2


def test_one_that_another_removes_while_a_frame_is_shown_gets_no_more():
    class Removes(InStep):
        def update(self, *what):
            if not last.closed:
                machine.remove_display(last)

    last = InStep()
    with vgaemu.Machine(display=[Removes(), last]) as machine:
        machine.tick(2)
    assert last.closed == 1
    assert not last.reports


def test_nobody_joins_a_machine_that_is_closed(tmp_path):
    before = threading.active_count()
    with vgaemu.Machine() as machine:
        machine.tick()
    for join in (
        lambda: machine.add_display(ShadowDisplay()),
        lambda: machine.serve(0),
        lambda: machine.record(tmp_path / "a.png"),
    ):
        with pytest.raises(DisplayError, match="the machine is closed"):
            join()
    assert threading.active_count() == before
    assert not [*tmp_path.iterdir()]


def test_nobody_looks_twice():
    display = ShadowDisplay()
    with pytest.raises(DisplayError, match="already"):
        vgaemu.Machine(display=[display, display])
    with vgaemu.Machine(display=display) as machine:
        with pytest.raises(DisplayError, match="already"):
            machine.add_display(display)
        machine.tick()
        assert_shows(machine, display)
    assert display.closed == 1


def test_all_are_asked_and_told():
    class Asked(BaseDisplay):
        def __init__(self, *events):
            self.events, self.told, self.why = list(events), [], None

        def poll(self):
            events, self.events = self.events, []
            return events

        def notice(self, text):
            self.told.append(text)

    one, other = Asked(Key("a", "a", True)), Asked(Close())
    with vgaemu.Machine(display=[one, other]) as machine:
        assert not machine.tick()
        assert machine.keys.get() == Key("a", "a", True)
        machine.tell_user("hello")
        assert one.told == other.told == ["hello"]
    assert Displays().can_be_closed is False


def test_no_threads_are_left_behind():
    before = threading.active_count()
    for _ in range(3):
        with vgaemu.Machine("typing", display=[ShadowDisplay(), ShadowDisplay()]) as machine:
            machine.tick(3)
    assert threading.active_count() == before


def test_one_that_never_returns_is_left_behind_with_a_line(monkeypatch, caplog):
    monkeypatch.setattr("vgaemu.display.displays.CLOSE_SECONDS", 0.05)
    stuck = Gated()
    begin = time.monotonic()
    with vgaemu.Machine(display=[stuck]) as machine:
        machine.tick()
    assert time.monotonic() - begin < HANGS
    assert said(caplog) == ["Gated has not closed within 0.05 s"]
    stuck.may.set()


def test_those_that_never_return_are_waited_for_together(monkeypatch):
    ends = []
    monkeypatch.setattr(
        "vgaemu.display.displays.ThreadSeat.wait_closed", lambda seat, until: ends.append(until)
    )
    with vgaemu.Machine(display=[ShadowDisplay(), ShadowDisplay()]) as machine:
        machine.tick()
    assert len(ends) == 2
    assert ends[0] == ends[1]


def test_all_are_asked_to_close_before_one_is_waited_for(caplog):
    class Lasting(BaseDisplay):
        def __init__(self, waits_for, says):
            self.waits_for, self.says = waits_for, says

        def close(self):
            self.says.set()
            assert self.waits_for.wait(HANGS)

    one, other = threading.Event(), threading.Event()
    with vgaemu.Machine(display=[Lasting(one, other), Lasting(other, one)]):
        pass
    assert said(caplog) == []


def test_one_that_is_named_twice_leaves_no_thread():
    before, display = threading.active_count(), ShadowDisplay()
    with pytest.raises(DisplayError, match="among the displays already"):
        vgaemu.Machine(display=[display, display])
    assert threading.active_count() == before


def test_the_last_picture_is_shown_before_it_closes():
    display = ShadowDisplay()
    with vgaemu.Machine(display=[display]) as machine:
        for column in range(60):
            machine.vga.store(0xB8000 + 2 * column, b"x\x1e")
            machine.tick()
        last = machine.screen.full_redraw()
    assert np.array_equal(display.frame, last)


@pytest.mark.parametrize("given", [["null"], [], ("null", ShadowDisplay())])
def test_lists_of_displays(given):
    with vgaemu.Machine(display=given) as machine:
        machine.vga.store(0xB8000, b"x\x1e")
        machine.tick(2)
        assert machine.frames == 2
        assert_shows(machine, *(display for display in given if isinstance(display, ShadowDisplay)))


@pytest.mark.parametrize("given", [["screen"], [3], [ShadowDisplay(), None]])
def test_a_list_with_something_that_is_none(given):
    with pytest.raises(DisplayError, match="null"):
        vgaemu.Machine(display=given)


@pytest.mark.parametrize("workload", ["typing", "sprites", "planar", "cga", "svga", "cycling"])
def test_pixels_as_numbers(workload):
    display, indexer = InStep(), Indexer()
    with vgaemu.Machine(workload, display=[display]) as machine:
        for _ in range(4):
            machine.tick(4)
            palette, frame = display.reports[-1].palette, machine.screen.frame
            numbers, own = indexer.indices(frame, palette), machine.screen.indices()
            assert numbers.dtype == own.dtype == np.uint8
            assert np.array_equal(palette[numbers], frame)
            assert np.array_equal(machine.screen.palette[own], frame)


def test_the_devices_own_numbers_tell_equal_colours_apart():
    with vgaemu.Machine(mode=0x13) as machine:
        for port in (0x3C8, 0x3C9, 0x3C9, 0x3C9):
            machine.vga.outb(port, 0)
        for value in (200, 0, 0, 0):  # another black
            machine.vga.outb(0x3C8 if value else 0x3C9, value)
        machine.vga.store(0xA0000, bytes([200, 0, 7]))
        machine.tick()
        assert machine.screen.indices()[0, :3].tolist() == [200, 0, 7]


def test_pixels_that_are_no_numbers():
    indexer = Indexer()
    long, short = np.arange(256, dtype=np.uint32), np.array([5, 7, 5, 0xFFFFFF], np.uint32)
    assert indexer.indices(np.array([[200, 0]], np.uint32), long).tolist() == [[200, 0]]
    assert indexer.indices(np.array([[5, 7, 0xFFFFFF]], np.uint32), short).tolist() == [[0, 1, 3]]
    assert indexer.indices(np.array([[5, 200]], np.uint32), short) is None
    with vgaemu.Machine("truecolour") as machine:
        report = machine.run_frame()
        assert report.palette is None
        assert machine.screen.indices() is None
        assert machine.screen.palette is None


def test_servers_that_were_closed_leave_no_display_behind():
    with vgaemu.Machine() as machine:
        for _ in range(3):
            machine.serve(0).close()
            machine.tick()
        display = machine._loop.display
        assert isinstance(display, Displays)
        assert len(display._seats) == 1
