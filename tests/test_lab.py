"""`vgaemu lab`: three keepers in turn beside one guest, figures as they come, and the result."""

from __future__ import annotations

from collections.abc import Iterator
from time import sleep

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vgaemu.cli import experiment
from vgaemu.cli.experiment import Experiment, Result, conclusion, limits
from vgaemu.cli.main import main
from vgaemu.display.base import BaseDisplay
from vgaemu.display.events import Event, NextDirtyLog, PauseToggled
from vgaemu.display.report import FrameReport
from vgaemu.machine import Machine
from vgaemu.memslot.keeper import Counters

FRAMES = 12


def result(name: str, ns: int, **work: int) -> Result:
    return Result(name, np.full(FRAMES, ns, np.int64), Counters(**work))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> tuple[Experiment, list[str], Machine]:
    monkeypatch.setattr(experiment, "WARM_UP_S", 0.1)
    said: list[str] = []
    lab = Experiment(["one line", "another"], 0.3, said.append)
    with Machine(lab.workload, dirty_log="srcu", free=True) as machine:
        lab.attach(machine)
        machine.run(3000, speed=2, stay=False)
    return lab, said, machine


def test_each_scheme_is_measured_beside_the_same_guest(
    ran: tuple[Experiment, list[str], Machine],
) -> None:
    lab, said, machine = ran
    assert [result.name for result in lab.results] == ["srcu", "words", "flags"]
    for result in lab.results:
        measured = len(result.harvest_ns)
        assert 0 < measured < len(machine.stats.keepers[result.name].harvest_ns)  # a warm-up before
        assert 0 < result.work.flushes <= measured
    assert lab.results[0].work.grace_periods > 0
    assert lab.results[1].work.grace_period_ns == lab.results[2].work.grace_period_ns == 0
    assert [line.split()[0] for line in said[:4]] == ["median", "srcu", "words", "flags"]
    assert " ".join(said[-1].split()) == conclusion(lab.results)


def test_the_guest_shows_the_picture_of_the_results_in_the_end(
    ran: tuple[Experiment, list[str], Machine],
) -> None:
    lab, said, machine = ran
    assert lab.nothing_lost
    assert lab.picture is not None
    assert np.array_equal(machine.screen.frame, lab.picture)
    assert f"{lab.printed:,} lines were printed; the picture equals a full redraw." in said[-2]


def test_a_store_that_is_not_shown_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "WARM_UP_S", 0.1)
    said: list[str] = []
    lab = Experiment(["one line"], 0.1, said.append)
    with Machine(lab.workload, dirty_log="srcu", free=True) as machine:
        lab.attach(machine)
        monkeypatch.setattr(machine.screen, "full_redraw", lambda: machine.screen.frame + 1)
        machine.run(3000, speed=2, stay=False)
    assert lab.nothing_lost is False
    assert "DIFFERS" in said[-2]


class Meddler(BaseDisplay):
    """A user who switches the dirty log, again and again, and has it paused for longer than all."""

    def __init__(self) -> None:
        self.shown = 0

    def update(self, frame: NDArray[np.uint32], rects: object, report: FrameReport) -> None:
        self.shown += 1

    def poll(self) -> Iterator[Event]:
        if self.shown == 40:
            self.shown += 1
            yield PauseToggled()
            sleep(0.6)
        elif self.shown == 41:
            self.shown += 1
            yield PauseToggled()
        elif self.shown % 7 == 3:
            yield NextDirtyLog()


def test_a_user_who_meddles_changes_no_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(experiment, "WARM_UP_S", 0.1)
    lab = Experiment(["one line"], 0.3, [].append)
    with Machine(lab.workload, display=Meddler(), dirty_log="srcu", free=True) as machine:
        lab.attach(machine)
        machine.run(3000, speed=2, stay=False)
    assert [result.name for result in lab.results] == ["srcu", "words", "flags"]
    assert min(len(result.harvest_ns) for result in lab.results) > 5
    assert lab.nothing_lost


def test_the_result_is_one_sentence_whatever_came_out() -> None:
    srcu, words, flags = (
        result("srcu", 1_270_000, grace_period_ns=FRAMES * 1_200_000),
        result("words", 68_000),
        result("flags", 30_000),
    )
    assert conclusion([srcu, words, flags]) == (
        "The patch is 18.7 times faster than before: a harvest takes 68.0µs in the median, where "
        "srcu took 1.27ms; flags takes 30.0µs."
    )
    slower = conclusion([result("srcu", 34_000), words, flags])
    assert "is 2.0 times slower than before, which it should not be" in slower
    assert "srcu waited 1.20ms a harvest" in limits([srcu, words, flags], 140_000)


def test_headless_it_writes_the_picture_and_the_table(capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(experiment, "WARM_UP_S", 0.1)
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "--headless", "--seconds", "1"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("wrote lab.png\n")
    with Image.open("lab.png") as picture:
        assert picture.size == (experiment.WIDTH, experiment.HEIGHT)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no/such/file"], "no/such/file: No such file"),
        (["--picture", "no/dir/x.png"], "no/dir/x.png: No such file or directory"),
        (["--picture", "x.nope"], "--picture x.nope: no picture format ends in that; use .png"),
        (["--seconds", "0"], "'0' is not a whole number of at least 1"),
    ],
)
def test_mistakes_are_one_line(capsys, arguments: list[str], told: str) -> None:
    try:
        status = main(["lab", "--headless", *arguments])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert told in lines[0]
