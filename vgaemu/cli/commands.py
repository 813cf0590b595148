"""The commands without options: the tour, `list`, `modes`, `info`."""

from __future__ import annotations

from argparse import Namespace

from vgaemu.cli.options import Commands
from vgaemu.cli.say import say


def add_parser(commands: Commands) -> None:
    """Say what there is."""
    for name, text, what in (
        ("modes", _modes, "the modes: sizes, colours, memory, refresh"),
        ("list", _workloads, "the bundled workloads"),
        ("info", _info, "versions, displays, and what works here"),
    ):
        commands.add_parser(name, help=what).set_defaults(command=run, text=text)


def show_tour(options: Namespace) -> int:
    """Without a command."""
    from vgaemu.cli.tour import tour

    return tour()


def run(options: Namespace) -> int:
    """Print what was asked for."""
    say(options.text())
    return 0


def _workloads() -> str:
    from vgaemu.guest.find import bundled

    workloads = bundled()
    width = max(map(len, workloads))
    return "\n".join(f"{name:{width}}  {shows}" for name, shows in workloads.items())


def _modes() -> str:
    from vgaemu.vga.catalogue import catalogue

    return catalogue()


def _info() -> str:
    from vgaemu.cli.info import lines

    return "\n".join(lines())
