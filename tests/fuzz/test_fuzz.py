"""A few seconds of every campaign, from a seed that is another one each day; and that it can find.

`VGAEMU_FUZZ_SEED` repeats a day, `VGAEMU_FUZZ_COUNT` cases of each campaign run for as long as that
takes. A failure says how to repeat its case.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .campaigns import CAMPAIGNS, SKIPPED

pytestmark = pytest.mark.fuzz
ROOT = Path(__file__).parents[2]
#: Of the CPU's time, for each campaign; and at most until a planted fault is found.
SECONDS, PLANTED_SECONDS = 0.7, 6.0


def child(name: str, *options: object) -> subprocess.CompletedProcess[str]:
    """A campaign in a process of its own: whatever it does, this one goes on."""
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz", name, *map(str, options)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(params=CAMPAIGNS)
def name(request: pytest.FixtureRequest) -> str:
    if request.param in SKIPPED:
        pytest.skip(SKIPPED[request.param])
    return str(request.param)


@pytest.mark.turns(3)
def test_nothing_breaks(name: str) -> None:
    count = os.environ.get("VGAEMU_FUZZ_COUNT")
    bound = ("--seconds", SECONDS) if count is None else ("--count", count)
    done = child(name, "--seed", os.environ["VGAEMU_FUZZ_SEED"], *bound)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    print(done.stdout.splitlines()[-1])


@pytest.mark.turns(7)
def test_a_planted_fault_is_found(name: str) -> None:
    done = child(name, "--seed", 1, "--seconds", PLANTED_SECONDS, "--plant")
    assert "BROKEN" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.returncode == 1
    assert f"python -m tests.fuzz {name} --seed 1 --first" in done.stdout


#: Cases that die, that take more memory than any may, and that raise.
BREAKS = """
import os, signal
from tests.fuzz import campaign

def case(random, folder):
    number = random.randrange(10)
    if number == 0:
        os.kill(os.getpid(), signal.SIGSEGV)
    if number == 1:
        bytearray(campaign.MAX_RESIDENT + 1).find(1)
    if number == 2:
        raise KeyError(number)
    return "fine"

campaign.MAX_RESIDENT = 1 << 28
bounds = campaign.Bounds(0, 40, None)
print(campaign.run("breaks", campaign.Campaign(case, print), 1, bounds))
"""


def test_a_campaign_goes_on_whatever_breaks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BREAKS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    *_, summary, first, second, third, broken = done.stdout.splitlines()
    assert summary.startswith("breaks, seed 1: 40 cases, ")
    kinds = [line.partition(" times ") for line in (first, second, third)]
    assert sum(int(times) for times, _, _ in kinds) == int(broken) < 40
    assert {kind.split()[0] for _, _, kind in kinds} == {"the", "TooMuch", "KeyError"}
    assert f"'fine': {40 - int(broken)}" in summary
