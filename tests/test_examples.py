"""Each example runs by itself and prints what a newcomer should see."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import vgaemu

pytestmark = pytest.mark.turns(2)

EXAMPLES = Path(__file__).parents[1] / "examples"
#: Example -> what it prints, in this order.
PRINTS = {
    "hello.py": ["Hello"],
    "palette.py": [
        "picture stored: 16 dirty pages, 64000 pixels drawn",
        "colour changed: 0 dirty pages, 64000 pixels drawn",
    ],
    "dirty_log.py": [
        "pages [5, 8, 9, 200]",
        "words ['0x320', '0x0', '0x0', '0x100']",
        "spans [(5, 10), (200, 201)]",
        "spans [(5, 6), (8, 10), (200, 201)]",
        "again []",
        "other [5, 8, 9, 200]",
    ],
    "own_display.py": ["text 80x25: 720x400", "frame 1: 9x16 at 0,0", "#######", "done"],
    "drawing.py": ["0 dirty pages, 0 pixels drawn", "ended after 62 frames"],
    "registers.py": ["40 frames scrolled, 0 dirty pages", "line 3"],
    "recording.py": ["seven seconds in at most 20 kB: True"],
    "two_dirty_logs.py": [
        "srcu: 30720 page table entries looked at",
        "60 grace periods",
        "words: 880 page table entries looked at",
        "0 grace periods",
    ],
    "episodes.py": ["episode 0: ", " steps, score ", "episode 1: "],
    "machine_code.py": ["the same screen: True"],
    "test_with_vgaemu.py": ["3 passed"],
    "unicorn_bootsector.py": ["Hello from Unicorn", "dirty pages: [0]"],
}


def run(name, folder):
    command = ["-m", "pytest", "-p", "no:cacheprovider"] if name.startswith("test_") else []
    package = str(Path(vgaemu.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": package, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command, str(EXAMPLES / name)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60,
        encoding="utf-8",
    )  # fmt: skip


@pytest.mark.parametrize("name", PRINTS)
def test_example(name, tmp_path):
    if name in ("episodes.py", "machine_code.py", "unicorn_bootsector.py"):
        pytest.importorskip("unicorn")
    done = run(name, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    at = 0
    for text in PRINTS[name]:
        assert text in done.stdout[at:]
        at = done.stdout.index(text, at) + len(text)
    assert (tmp_path / "hello.png").exists() == (name == "hello.py")


def test_every_example_is_tested():
    agents = {"ray_rollouts.py", "snake_agent.py"}  # see test_gym.py
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*PRINTS} | agents
