"""The parser of the command line: its commands bring their options themselves.

A command's module has `add_parser`, which says what it takes, and `run`, which does it and returns
the exit status. What is heavy is imported in `run` alone: `--help` and wrong usage do not wait for
numpy.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Collection
from typing import NoReturn

from vgaemu import __version__
from vgaemu.cli import bench, commands, lab, receive, replay, run
from vgaemu.cli.say import UsageError, one_line
from vgaemu.display.hostkeys import all_keys


class Parser(ArgumentParser):
    """One line for a mistake, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Print it and exit with 2."""
        self.exit(2, f"{self.prog}: {one_line(message)}; see '{self.prog} --help'\n")


def parse(arguments: list[str]) -> Namespace:
    """The options; what a workload takes may stand anywhere, and all after ``--`` is its own.

    Returns:
        Among them `command`, the function that takes them, and `headless`: there is no window.

    Raises:
        UsageError: There is to be a window and none.
        SystemExit: Help was asked for, or an option is wrong; it has been printed.
    """
    parser, names = _parser()
    if arguments and arguments[0] not in names and _is_workload(arguments[0]):
        parser.error(f"no command {arguments[0]!r}; say 'vgaemu run {arguments[0]}'")
    at = arguments.index("--") if "--" in arguments else len(arguments)
    arguments, own = arguments[:at], arguments[at + 1 :]
    # What follows an option would otherwise not be taken as a workload's argument.
    options, rest = parser.parse_known_args(arguments)
    takes_more = "args" in options
    if any(word.startswith("-") for word in rest) or (rest + own and not takes_more):
        parser.error(f"unrecognized arguments: {' '.join(rest + own)}")
    if takes_more:
        words = [*options.args, *rest, *own]
        if options.workload is None and words:
            options.workload = words.pop(0)
        options.args = words
    if "headless" in options:
        if options.headless and options.display == "window":
            raise UsageError("--headless and --display window: take one of them")
        options.headless |= options.display == "null"
    return options


def _parser() -> tuple[Parser, Collection[str]]:
    """The parser, and the names of the commands."""
    parser = Parser(
        prog="vgaemu",
        description="A VGA that redraws only what its dirty log says changed. "
        "Without a command: the tour.",
        epilog=f"Keys in the window: {all_keys()}. All others are the guest's.",
    )
    parser.add_argument("--version", action="version", version=f"vgaemu {__version__}")
    parser.set_defaults(command=commands.show_tour)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for module in (run, receive, replay, lab, bench, commands):
        module.add_parser(subparsers)
    return parser, subparsers.choices


def _is_workload(word: str) -> bool:
    if word.startswith("-"):
        return False
    from vgaemu.guest.find import bundled_names
    from vgaemu.pc import is_image

    return word in bundled_names() or word.endswith(".py") or is_image(word)
