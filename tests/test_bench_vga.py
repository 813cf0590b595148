"""`bench vga`: its rows, its histogram and its picture; not its times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vgaemu.bench import vga
from vgaemu.cli.main import main
from vgaemu.memslot import why_unavailable


def test_rows_histogram_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    keepers = [name for name in ("flags", "srcu", "mmu", "kvm") if why_unavailable(name) is None]
    monkeypatch.setattr(vga, "KEEPERS", keepers)
    monkeypatch.setattr(vga, "READS", 6)
    rows_file, picture = tmp_path / "rows.json", tmp_path / "latency.png"
    command = ["bench", "vga", "--runs", "1", "--json", str(rows_file), "--plot", str(picture)]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "#" in out
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = json.loads(rows_file.read_text("utf-8"))
    guests = {(row["keeper"], row["guests"]) for row in rows}
    assert guests == {(k, n) for k in keepers for n in (1, 2) if (k, n) != ("kvm", 2)}
    for row in rows:
        assert row["reads"] == sum(row["histogram"]) == 6
        assert row["dirty_pages_median"] > 0  # the guests did print
        assert row["harvest_median_ns"] <= row["harvest_p99_ns"] <= row["harvest_max_ns"]
