"""What all tests share."""

from __future__ import annotations

import os
from datetime import date

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Fuzzing has another seed each day; pytest-xdist's workers inherit it."""
    os.environ.setdefault("VGAEMU_FUZZ_SEED", str(date.today().toordinal()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.line(f"fuzzing ran with VGAEMU_FUZZ_SEED={os.environ['VGAEMU_FUZZ_SEED']}")
