"""`bench vga`: its rows, its histogram and its picture; not its times."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from vgaemu.bench import migrate, vga
from vgaemu.cli.main import main
from vgaemu.memslot import Memslot, why_unavailable

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)


def test_rows_histogram_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    keepers = [
        name for name in ("flags", "words", "srcu", "mmu", "kvm") if why_unavailable(name) is None
    ]
    monkeypatch.setattr(vga, "KEEPERS", keepers)
    monkeypatch.setattr(vga, "READS", 6)
    rows_file, picture = tmp_path / "rows.json", tmp_path / "latency.png"
    command = ["bench", "vga", "--runs", "1", "--json", str(rows_file), "--plot", str(picture)]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "#" in out
    assert out.count("From srcu to words") == 2
    assert "Counted per read" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = json.loads(rows_file.read_text("utf-8"))
    guests = {(row["keeper"], row["guests"]) for row in rows}
    assert guests == {(k, n) for k in keepers for n in (1, 2) if (k, n) != ("kvm", 2)}
    for row in rows:
        assert row["reads"] == sum(row["histogram"]) == 6
        assert row["dirty_pages_median"] > 0  # the guests did print
        assert row["grace_periods"] <= 1 if row["keeper"] == "srcu" else row["grace_periods"] == 0
        assert row["harvest_median_ns"] <= row["harvest_p99_ns"] <= row["harvest_max_ns"]


def row(keeper: str, median_us: float, waited_us: float, over: int) -> dict[str, Any]:
    return {
        "keeper": keeper, "guests": 1, "reads": 60, "harvest_median_ns": 1000 * median_us,
        "harvest_p99_ns": 2000 * median_us, "grace_period_median_ns": 1000 * waited_us,
        "over_1_ms": over, "control_jiffy_median_ns": 1_100_000.0,
    }  # fmt: skip


def test_the_step_in_a_sentence() -> None:
    words = row("words", 70, 0, 0)
    told = vga.step([row("srcu", 1400, 1300, 30), words])
    assert "1,400 us in the median (p99 2,800; 50 per cent over 1 ms), 1,300 us of it" in told
    assert "(a sleep of one jiffy took 1,100 us)" in told
    assert told.endswith("(p99 140; 0 per cent over 1 ms): the step that the patch tells of.")
    assert "no milliseconds here" in vga.step([row("srcu", 300, 200, 1), words])
    assert "not the patch's 300 us" in vga.step([row("srcu", 1400, 0, 30), row("words", 400, 0, 1)])
    assert "not both" in vga.step([words])


class Sections:
    """Records for each store into a slot whether it was made in a read-side section."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, until: int) -> None:
        self.stored: list[bool] = []
        self.enough = threading.Event()
        self._inside, self._until = False, until
        monkeypatch.setattr(Memslot, "exit_section", lambda slot: self)
        write = Memslot.write

        def store(slot: Memslot, offset: int, data: bytes) -> None:
            self.stored.append(self._inside)
            if len(self.stored) >= self._until:
                self.enough.set()
            write(slot, offset, data)

        monkeypatch.setattr(Memslot, "write", store)

    def __enter__(self) -> None:
        assert not self._inside
        self._inside = True

    def __exit__(self, *error: object) -> None:
        self._inside = False


def test_a_guest_holds_the_section_for_a_line_and_not_between_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sections = Sections(monkeypatch, until=1000)
    vga.printer(Memslot(vga.SLOT_PAGES, dirty_log="srcu"), 0, sections.enough)
    assert len(sections.stored) > 1000
    assert all(sections.stored)


def test_so_does_one_that_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    sections = Sections(monkeypatch, until=3 * migrate.BURST)
    guest = migrate.Reader(Memslot(64, dirty_log="srcu"), None)
    assert sections.enough.wait(10)
    guest.stop()
    assert all(sections.stored)
