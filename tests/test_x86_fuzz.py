"""Random guests, of real and of protected mode, in child processes: every run ends as specified."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from x86_fuzz import KINDS
from x86_helpers import CPUS

pytest.importorskip("unicorn")
CHILD = Path(__file__).with_name("x86_fuzz.py")


def run_child(cpu: str, first: int, count: int, seconds_each: float, kind: str = "sector") -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(CHILD), cpu, str(first), str(count), kind],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True, text=True, timeout=10 + seconds_each * count, check=False,
    )  # fmt: skip
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"seed {last}: {done.stderr[-2000:]}"
    assert last[0].startswith("{"), last


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("kind", KINDS)
def test_random_guests(cpu: str, kind: str) -> None:
    run_child(cpu, 0, 8, 5, kind)
