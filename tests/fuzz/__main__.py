"""``python -m tests.fuzz NAME --seed S --count N``: a campaign; without a name, which there are."""

from __future__ import annotations

import argparse
import sys

from . import campaign
from .campaigns import CAMPAIGNS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("name", nargs="?", choices=CAMPAIGNS)
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--count", type=int, help="of cases; as many as there is time for")
    parser.add_argument("--seconds", type=float, help="of the CPU's time")
    parser.add_argument("--plant", action="store_true", help="break vgaemu first, to see it found")
    options = parser.parse_args()
    if options.name is None:
        print(*CAMPAIGNS, sep="\n")
        return 0
    if options.count is None and options.seconds is None:
        parser.error("name --count or --seconds, else it never ends")
    chosen = CAMPAIGNS[options.name]
    if options.plant:
        chosen.plant()
    end = None if options.count is None else options.first + options.count
    bounds = campaign.Bounds(options.first, end, options.seconds, until_broken=options.plant)
    return 1 if campaign.run(options.name, chosen, options.seed, bounds) else 0


if __name__ == "__main__":
    sys.exit(main())
