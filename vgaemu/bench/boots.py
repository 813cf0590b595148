"""How long a test suite of short runs takes: a test a boot of snake.img, under pytest.

In a process of its own each time. What pytest says in its last line is without its own start; the
plugin's imports, which come with the first test, are in it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from vgaemu.bench.measure import Row, timed_ns

BOOTS, FRAMES = 24, 40
_TESTS = """
import pytest
from vgaemu.assets import guests

@pytest.mark.parametrize("nth", range({boots}))
def test_boot(vga, nth):
    vga(guests() / "snake.img").run({frames}, speed=0)
"""


def rows(boots: int = BOOTS) -> list[Row]:
    """One; none where there is no pytest."""
    if find_spec("pytest") is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "test_boots.py")
        file.write_text(_TESTS.format(boots=boots, frames=FRAMES))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)]
        said: list[str] = []

        def run() -> None:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            said.append(done.stdout)

        took_ns = timed_ns(run)
    found = re.search(rf"{boots} passed in ([\d.]+)s", said[0])
    if found is None:
        raise RuntimeError(f"pytest did not pass: {said[0]}")
    return [
        {
            "under pytest": f"{boots} boots of {FRAMES} frames",
            "pytest_says_s": float(found[1]),
            "process_s": took_ns / 1e9,
        }
    ]
