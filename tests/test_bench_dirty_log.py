"""`bench dirty-log`: its shapes, its verdicts and its pictures; not its times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vgaemu.bench import suite
from vgaemu.bench.dirty_log import claims, pictures, readings
from vgaemu.cli.main import main

SMALL = {"256 KiB": (64, [0, 2, 16]), "256 GiB": (1 << 26, [0, 16])}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "SLOTS", SMALL)
    monkeypatch.setattr(readings, "STORE_PAGES", 64)
    monkeypatch.setattr(pictures, "HEATMAP_FRAMES", 5)
    monkeypatch.setattr(readings, "_rounds", lambda count: 2)


@pytest.mark.parametrize("pattern", readings.PATTERNS)
@pytest.mark.parametrize("npages", [64, 2048])
def test_as_many_pages_as_said(pattern: str, npages: int) -> None:
    for count in (0, 1, 2, 8, 16, npages // 2, npages):
        runs = readings.runs_of(pattern, count, npages)
        if runs is None:
            assert pattern != "contiguous"
            continue
        pages = [page for run in runs for page in range(*run)]
        assert len(set(pages)) == len(pages) == count
        assert all(0 <= page < npages for page in pages)


@pytest.mark.usefixtures("small")
def test_rows_report_and_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows_file, picture = tmp_path / "rows.json", tmp_path / "plot.svg"
    command = ["bench", "dirty-log", "--runs", "1", "--json", str(rows_file)]
    pytest.importorskip("matplotlib")
    heat = tmp_path / "heat.png"
    status = main([*command, "--plot", str(picture), "--heatmap", str(heat)])
    out = capsys.readouterr().out
    assert status == 0
    assert "no update lost" in out
    assert "<svg" in picture.read_text("utf-8")
    assert heat.read_bytes().startswith(b"\x89PNG")
    rows = json.loads(rows_file.read_text("utf-8"))
    schemes = {row["scheme"] for row in rows if row.get("slot") == "256 KiB"}
    assert schemes >= {"flags", "words", "pages", "srcu", "srcu-no-wait"}
    huge = [row for row in rows if row.get("slot") == "256 GiB"]
    assert {(row["dirty_pages"], row["lie"]) for row in huge} == {
        (0, "contiguous"), (16, "contiguous"), (16, "clustered"), (16, "scattered"),
    }  # fmt: skip
    assert {row["stores_by"] for row in rows if "stores_by" in row} >= {"Memslot.write"}


def reading(slot: str, count: int, lie: str, scheme: str, ns: float) -> dict[str, Any]:
    return {
        "slot": slot, "dirty_pages": count, "lie": lie, "scheme": scheme,
        "median_ns": ns, "p99_ns": ns, "readings": 10,
    }  # fmt: skip


def test_verdicts() -> None:
    rows = [
        reading("1 GiB", count, lie, scheme, ns)
        for lie, count, words, srcu in (
            ("contiguous", 64, 1000.0, 4000.0),
            ("contiguous", 65536, 2000.0, 1000.0),
            ("scattered", 64, 1000.0, 900.0),
        )
        for scheme, ns in (("words", words), ("srcu", srcu + 100), ("srcu-no-wait", srcu))
    ]
    below, scattered, above, lost = claims.claims(rows)
    assert "contiguous: holds" in below
    assert "scattered: not at 64 pages of 1 GiB" in scattered
    assert "contiguous: holds" in above
    assert "60 readings" in lost


def test_a_wrong_count_is_an_error(monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    monkeypatch.setattr(readings.Side, "count", lambda self: 1)
    with pytest.raises(AssertionError, match="pages reported"):
        readings.measure(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["start", "--plot", "a.png"], "draws none"),
        (["dirty-log", "--plot", "a.txt"], ".svg"),
        (["dirty-log", "--heatmap", "nowhere/a.png"], "nowhere"),
    ],
)
def test_pictures_that_cannot_be_drawn_are_refused_at_once(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("matplotlib")
    assert main(["bench", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "find_spec", lambda name: None)
    with pytest.raises(suite.BenchError, match=r"pip install matplotlib"):
        suite.run("dirty-log", plot=Path("a.png"))
