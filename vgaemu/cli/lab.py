"""`vgaemu lab`: the 2012 patch's experiment, live: three dirty logs in turn beside one guest."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from vgaemu.cli.options import Commands, add_picture_group, file_path, positive
from vgaemu.cli.say import UsageError, say

if TYPE_CHECKING:
    from vgaemu.display.report import Display

#: Where a headless run leaves the picture if nobody says.
PICTURE = Path("lab.png")
SECONDS = 5


def add_parser(commands: Commands) -> None:
    """Say what it takes."""
    command = commands.add_parser(
        "lab", help="the 2012 patch's experiment in 20 s: srcu, words, flags beside one guest"
    )
    command.set_defaults(command=run)
    add = command.add_argument
    add("file", nargs="?", type=file_path, metavar="FILE",
        help="what the guest reads and prints (a part of vgaemu)")  # fmt: skip
    add("--seconds", type=positive, default=SECONDS, metavar="N",
        help=f"measure each for so long, after a second that is left out ({SECONDS})")  # fmt: skip
    add("--picture", type=file_path, metavar="F.png",
        help=f"save the results as a picture (headless: {PICTURE})")  # fmt: skip
    add_picture_group(command)


def run(options: Namespace) -> int:
    """Run it, print the figures as they come and the result; returns the exit status.

    Raises:
        UsageError: The picture cannot be written.
    """
    from vgaemu.cli.experiment import Experiment
    from vgaemu.cli.files import check_files
    from vgaemu.cli.session import run_stoppably
    from vgaemu.display.pictures import rgb_of, save_picture
    from vgaemu.guest.workloads.cat import read_lines
    from vgaemu.machine import Machine

    path: Path | None = options.picture or (PICTURE if options.headless else None)
    check_files([("--picture", path)], [options.file])
    lines = read_lines(str(options.file or __file__))
    experiment = Experiment(lines, options.seconds, say)
    display = "null" if options.headless else _display(options)
    with Machine(experiment.workload, display=display, dirty_log="srcu", free=True) as machine:
        experiment.attach(machine)
        try:
            run_stoppably(machine, None, 1.0)
        except KeyboardInterrupt:
            if options.headless:
                raise
    if experiment.picture is None:
        raise UsageError("lab: closed before all three were measured: there is no result")
    if path is not None:
        save_picture(rgb_of(experiment.picture), path)
        say(f"wrote {path}")
    return 0 if experiment.nothing_lost else 1


def _display(options: Namespace) -> str | Display:
    if options.display == "terminal":
        return "terminal"
    from vgaemu.display.window.window import WindowDisplay  # headless runs have no pygame

    return WindowDisplay(scale=options.scale)
