"""The commands without options: the tour, `list`, `modes`, `info`."""

from __future__ import annotations

from argparse import Namespace

from vgaemu.cli.options import Commands
from vgaemu.cli.say import say


def add_parser(commands: Commands) -> None:
    """Say what there is."""
    for name, command, what in (
        ("modes", show_modes, "the modes: sizes, colours, memory, refresh"),
        ("list", show_workloads, "the bundled workloads"),
        ("info", show_info, "versions, displays, and what works here"),
    ):
        commands.add_parser(name, help=what).set_defaults(command=command)


def show_tour(options: Namespace) -> int:
    """Without a command."""
    from vgaemu.cli.tour import tour

    return tour()


def show_workloads(options: Namespace) -> int:
    """Bundled workloads, one a line: name, then what it shows."""
    from vgaemu.guest.find import bundled

    workloads = bundled()
    width = max(map(len, workloads))
    for name, shows in workloads.items():
        say(f"{name:{width}}  {shows}")
    return 0


def show_modes(options: Namespace) -> int:
    """The catalogue of modes."""
    from vgaemu.vga.catalogue import catalogue

    say(catalogue())
    return 0


def show_info(options: Namespace) -> int:
    """What works here."""
    from vgaemu.cli.info import lines

    say("\n".join(lines()))
    return 0
