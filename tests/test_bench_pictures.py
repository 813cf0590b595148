"""`bench pictures`: its rows, and that both of its sides do the same; not its times."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from vgaemu import Machine
from vgaemu.assets import guests
from vgaemu.bench import pictures
from vgaemu.cli.main import main

pytest.importorskip("unicorn")

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)


def test_its_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pictures, "ROUNDS", 1)
    monkeypatch.setattr(pictures, "FRAMES", 2)
    monkeypatch.setattr(pictures, "_states", list)  # they take seconds
    assert main(["bench", "pictures", "--runs", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["what", "us", "against", "its_us", "times_as_fast_as_it"]
    asked = ["rgb", "rgb(out)", "bgrx", "image", "indices"]
    assert [line.split("  ")[0] for line in lines[2:]] == [
        *(f"text 80x25: {what}" for what in [*asked, "text"]),
        *(f"640x480x16: {what}" for what in asked),
    ]


def test_both_sides_give_the_same() -> None:
    with Machine(guests() / "snake.img", vram_mib=1) as machine:
        machine.tick(40)
        for what, sides in pictures._ways(machine.screen).items():
            ours, theirs = (np.asarray(give()) for give in sides.values())
            np.testing.assert_array_equal(ours[..., 2::-1] if what == "bgrx" else ours, theirs)
        ours, theirs = BytesIO(), BytesIO()  # what the rows of states have
        machine.save_state(ours)
        pictures.save_whole(machine, theirs)
        machine.tick()
        shown = machine.screen.rgb()
        for state in (ours, theirs):
            machine.load_state(state)
            machine.tick()
            np.testing.assert_array_equal(machine.screen.rgb(), shown)
