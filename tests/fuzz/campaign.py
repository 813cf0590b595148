"""A campaign: cases made of a seed and their number, each alone repeatable, and what breaks.

A case breaks if it raises anything or its process dies, if it takes more of the CPU's time than
`MAX_SECONDS`, or the process more memory than `MAX_RESIDENT`. What vgaemu refuses is no break; the
case says so by what it returns. Cases run in a child process; when it dies, another one goes on.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TextIO

import vgaemu
from vgaemu.errors import VgaemuError

#: Of the CPU's time that a case may take.
MAX_SECONDS = 10.0
#: Until a process is given up: of the CPU's time where a case spins, of wall time where it waits
#: (much, for campaigns run beside other work and get what that leaves).
SPIN_SECONDS, HANG_SECONDS = 30.0, 600.0
#: Bytes of memory in use, and of addresses: what is asked for beyond ends in a MemoryError.
MAX_RESIDENT, MAX_ADDRESSES = 1 << 30, 6 << 30
#: Breaks that are told whole, one of a kind.
MAX_KINDS = 20
BROKEN = "BROKEN"

PACKAGE = str(Path(vgaemu.__file__).parent)

#: What a case does with its random numbers and a folder of the campaign's; it returns in a word or
#: two what came of it.
Case = Callable[[random.Random, Path], str]


class Campaign(NamedTuple):
    """Cases of one kind."""

    case: Case
    #: Breaks vgaemu on purpose, as a change might, so that a case has something to find.
    plant: Callable[[], None]


class Bounds(NamedTuple):
    """Which cases are run."""

    first: int
    #: Behind the last one; None: as many as there is time for.
    end: int | None
    #: Of the CPU's time; None: as long as it takes.
    seconds: float | None
    #: One break is enough.
    until_broken: bool = False


class TooMuch(Exception):
    """A case took more time or memory than any may."""


def refused(error: VgaemuError) -> str:
    """What a case returns for a refusal: it is one line."""
    assert str(error).isprintable(), repr(str(error))
    assert str(error).strip(), repr(error)
    return "refused"


@dataclass
class Tally:
    """What has come so far."""

    name: str
    seed: int
    #: The case that is run now.
    number: int
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    #: Seconds, and the case.
    longest: tuple[float, int] = (0.0, 0)

    def take(self, took: float, outcome: str, story: str = "") -> None:
        """A case has ended."""
        self.outcomes[outcome] += 1
        self.seconds += took
        self.longest = max(self.longest, (took, self.number))
        if outcome == BROKEN:
            kind = story.splitlines()[-1]
            self.kinds[kind] += 1
            if self.kinds[kind] == 1 and len(self.kinds) <= MAX_KINDS:
                print(f"case {self.number} broke; again: {self.again()}\n{story}", flush=True)
        self.number += 1

    def again(self) -> str:
        return (
            f"python -m tests.fuzz {self.name} --seed {self.seed} --first {self.number} --count 1"
        )

    def left(self, bounds: Bounds) -> Bounds | None:
        """What is still to be run."""
        seconds = None if bounds.seconds is None else bounds.seconds - self.seconds
        over = (
            (bounds.end is not None and self.number >= bounds.end)
            or (seconds is not None and seconds <= 0)
            or (bounds.until_broken and self.outcomes[BROKEN] > 0)
        )
        return None if over else bounds._replace(first=self.number, seconds=seconds)

    def tell(self) -> None:
        took, number = self.longest
        print(f"{self.name}, seed {self.seed}: {self.outcomes.total()} cases, "
              f"{dict(self.outcomes)}; the longest, {number}, took {took:.2f} s")  # fmt: skip
        for kind, times in self.kinds.most_common():
            print(f"{times} times {kind}")


def run(name: str, campaign: Campaign, seed: int, bounds: Bounds) -> int:
    """Run cases and print what came of them; returns how many broke."""
    with TemporaryDirectory(prefix="fuzz") as folder:
        tally = Tally(name, seed, bounds.first)
        run_in_children(partial(campaign.case, folder=Path(folder)), tally, bounds)
    tally.tell()
    return tally.outcomes[BROKEN]


def run_in_children(case: Callable[[random.Random], str], tally: Tally, bounds: Bounds) -> None:
    while (left := tally.left(bounds)) is not None:
        sys.stdout.flush()
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                with os.fdopen(writing, "w") as report:
                    work(case, tally, left, report)
            except BaseException:
                traceback.print_exc()
                os._exit(2)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as report:
            for line in report:
                tally.take(*json.loads(line))
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            tally.take(0.0, BROKEN, f"the process died of {signal.Signals(-code).name}")
        elif code:
            tally.take(0.0, BROKEN, f"the process ended with status {code}")


def work(
    case: Callable[[random.Random], str], tally: Tally, bounds: Bounds, report: TextIO
) -> None:
    """Run cases in this process, a line each."""
    faulthandler.enable()
    faulthandler.register(signal.SIGPROF, chain=True)
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESSES, most))
    tally.number, tally.seconds = bounds.first, 0.0
    while tally.left(bounds) is not None:
        # No case has to have run for another one.
        numbers = random.Random(f"{tally.seed} {tally.name} {tally.number}")
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        signal.setitimer(signal.ITIMER_PROF, SPIN_SECONDS)
        begin, story = time.process_time(), ""
        try:
            outcome = case(numbers)
            check_limits(time.process_time() - begin)
        except Exception as error:
            outcome, story = BROKEN, f"{traceback.format_exc()}\n{kind_of(error)}"
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
        took = time.process_time() - begin
        print(json.dumps([took, outcome, story]), file=report, flush=True)
        tally.seconds += took
        tally.number += 1
        tally.outcomes[outcome] += 1
        if resident() > MAX_RESIDENT:
            return  # it would break all that follow


def check_limits(seconds: float) -> None:
    if seconds > MAX_SECONDS:
        raise TooMuch(f"{seconds:.1f} s")
    if resident() > MAX_RESIDENT:
        raise TooMuch(f"{resident() >> 20} MiB")


def resident() -> int:
    """Most memory that this process has had."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def kind_of(error: BaseException) -> str:
    """Breaks of one kind come from the same line of vgaemu."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if frame.filename.startswith(PACKAGE)] or frames
    return f"{type(error).__name__} in {ours[-1].filename}:{ours[-1].lineno}"
