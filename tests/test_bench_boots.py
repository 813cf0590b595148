"""The row of `bench guest --only boots`."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from vgaemu.bench import boots

pytest.importorskip("unicorn")


def test_each_boot_is_a_test_that_passes() -> None:
    (row,) = boots.rows(2)
    assert row["under pytest"] == "2 boots of 40 frames"
    assert 0 < row["pytest_says_s"] < row["process_s"]


def test_there_is_none_without_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boots, "find_spec", Mock(return_value=None))
    assert boots.rows() == []


def test_what_pytest_said_is_told_if_they_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Mock(return_value=Mock(stdout="1 failed, 23 passed in 0.70s"))
    monkeypatch.setattr(boots.subprocess, "run", run)
    with pytest.raises(RuntimeError, match="1 failed"):
        boots.rows()
