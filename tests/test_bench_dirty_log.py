"""`bench dirty-log`: its shapes, its verdicts and its pictures; not its times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vgaemu.bench import suite
from vgaemu.bench.dirty_log import claims, exchange, pictures, processing, readings
from vgaemu.bench.dirty_log.formula import expected, first_to_last
from vgaemu.cli.main import main
from vgaemu.memslot.atomic import LockedWords

#: Some run each day, all of them by -m 'long or turns'.
pytestmark = pytest.mark.turns(2)

SMALL = {"256 KiB": (64, [0, 2, 16]), "256 GiB": (1 << 26, [0, 16])}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "SLOTS", SMALL)
    monkeypatch.setattr(readings, "STORE_PAGES", 64)
    monkeypatch.setattr(pictures, "HEATMAP_FRAMES", 5)
    monkeypatch.setattr(readings, "_rounds", lambda count: 2)
    monkeypatch.setattr(processing, "ROUNDS", 1)
    monkeypatch.setattr(processing, "SCREEN", (320, 200, 32))
    monkeypatch.setattr(processing, "REDRAWN", (1, 62))
    monkeypatch.setattr(processing, "COPIED_PAGES", 2048)
    monkeypatch.setattr(processing, "COPIED", (64,))
    monkeypatch.setattr(exchange, "ROUNDS", 1)


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
    assert "0 wrong readings" in out
    assert out.count("verdict: ") >= len(claims.CLAIMS)
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


def reading(
    slot: str, count: int, lie: str, scheme: str, ns: float, entries: float = 1.0
) -> dict[str, Any]:
    """`entries`: how many times as many as this scheme the predecessor looks at."""
    return {
        "slot": slot, "dirty_pages": count, "lie": lie, "scheme": scheme,
        "median_ns": ns, "p99_ns": ns, "cpu_ns": ns, "readings": 10, "protect_calls": 1.0,
        "entries_looked_at": 512.0 if "srcu" in scheme else 512.0 / entries,
    }  # fmt: skip


def test_verdicts() -> None:
    rows = [
        reading("1 GiB", count, lie, scheme, ns, entries)
        for lie, count, words, srcu, entries in (
            ("contiguous", 64, 1000.0, 4000.0, 8.0),
            ("contiguous", 32768, 2000.0, 1000.0, 8.0),
            ("contiguous", 65536, 1100.0, 1000.0, 1.0),
            ("scattered", 64, 1000.0, 900.0, 1.0),
            ("scattered", 65536, 1100.0, 1000.0, 1.1),
        )
        for scheme, ns in (("words", words), ("srcu", srcu), ("srcu-no-wait", srcu))
    ]
    below, above, lost = claims.claims(rows)
    assert "counted, contiguous: holds. " in below
    assert "8.00 (64 pages of 1 GiB)" in below
    assert "timed, contiguous: holds. " in below
    assert "4.00 (64 pages of 1 GiB)" in below
    assert "counted, scattered: level. " in below
    assert "timed, scattered: ahead at 0 of 1. " in below
    assert "counted, contiguous: does not hold, the patch looks at fewer" in above
    assert "timed, contiguous: by more than a bit. " in above
    assert "counted, scattered: holds. " in above
    assert "timed, scattered: holds. " in above
    assert "100 readings, 0 wrong" in lost
    assert all(
        "command: vgaemu bench" in text and "limits: " in text for text in claims.claims(rows)
    )


def test_a_harvest_beside_the_processing_of_its_pages() -> None:
    rows = [
        {"processed_by": "copy", "scheme": scheme, "dirty_pages": count, "lie": "contiguous",
         "harvest_ns": ns, "processing_ns": 1000.0}
        for scheme, count, ns in (
            ("srcu", 8192, 3000.0), ("words", 8192, 20.0), ("words", 32768, 500.0)
        )
    ]  # fmt: skip

    def verdicts() -> list[str]:
        (claim,) = [text for text in claims.claims(rows) if "userspace" in text]
        return [line for line in claim.splitlines() if "verdict" in line]

    (words,) = verdicts()
    assert "by words: holds. That takes 2 (8192 contiguous) to 50 (32768 contiguous) per" in words
    rows[-1]["harvest_ns"] = 3912.0
    rows.append(reading("1 GiB", 8192, "contiguous", "kvm", 10.0))
    words, kernel = verdicts()
    assert "by words: not everywhere. That takes 2 (8192 contiguous) to 390 (32768" in words
    assert "by kvm: holds. That takes 1 (8192 contiguous) to 1 " in kernel


def test_the_formula() -> None:
    """Worked out by hand: 8 MiB are 2048 pages, 32 words, 4 tables of 512 entries."""
    far = [(3, 4), (60, 70), (2047, 2048)]
    assert first_to_last(far, 64) == [(3, 64), (64, 70), (2047, 2048)]
    words = expected("words", far, 2048)
    assert words == {
        "words_looked_at": 32, "exchanges": 3, "protect_calls": 3, "protected_pages": 68,
        "clean_pages": 56, "entries_looked_at": 68, "entries_changed": 12, "flushes": 1,
        "grace_periods": 0,
    }  # fmt: skip
    assert expected("pages", far, 2048) == words | {
        "protect_calls": 12, "protected_pages": 12, "clean_pages": 0, "entries_looked_at": 12,
    }  # fmt: skip
    # As many dirty pages as tables, or more: one walk over every entry.
    walk = expected("srcu", far, 2048)
    assert (walk["protect_calls"], walk["entries_looked_at"], walk["entries_changed"]) == (
        1,
        2048,
        12,
    )
    assert expected("srcu", far[:1], 2048)["entries_looked_at"] == 1
    assert expected("srcu", [(0, 4)], 2048)["entries_looked_at"] == 2048
    assert expected("srcu", [(0, 4)], 1 << 18)["protect_calls"] == 4
    assert not any(expected("srcu", [], 2048).values())
    assert expected("words", [], 2048) == dict.fromkeys(words, 0) | {"words_looked_at": 32}
    assert expected("kvm", far, 2048) == {}


def test_what_an_exchange_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "ROUNDS", 1)
    monkeypatch.setattr(exchange, "atomic_words", LockedWords)
    rows = exchange.measure(1)
    assert [(row["taken_by"], row["beside"]) for row in rows] == [
        (how, beside)
        for beside in (exchange.ALONE, exchange.BESIDE)
        for how in (exchange.EXCHANGE, exchange.PLAIN)
    ]
    (claim,) = [text for text in claims.claims(rows) if "xchg" in text]
    assert claim.count("verdict: ") == 2


@pytest.mark.parametrize("how", [exchange.EXCHANGE, exchange.PLAIN])
def test_what_is_taken_is_taken(how: str) -> None:
    words = LockedWords(exchange.WORDS)
    words.array[:] = 1
    exchange._ways(words)[how](64, 128)
    assert words.array.sum() == exchange.WORDS - 64
    assert not words.array[64:128].any()


def test_a_wrong_count_is_an_error(monkeypatch: pytest.MonkeyPatch, small: None) -> None:
    monkeypatch.setattr(readings.Side, "count", lambda self: 1)
    with pytest.raises(AssertionError, match="pages reported"):
        readings.measure(1)


@pytest.mark.parametrize("name", ["words_looked_at", "entries_changed", "flushes"])
def test_a_keeper_that_counts_something_else_is_an_error(
    name: str, monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    def reads(self: readings.Side) -> None:
        self.log = self.slot.get_dirty_log()
        counters = self.slot.counters
        setattr(counters, name, getattr(counters, name) + 1)

    monkeypatch.setattr(readings.Side, "read", reads)
    with pytest.raises(AssertionError, match=f"{name} .* by the formula"):
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
