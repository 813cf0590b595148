"""The parser of the command line: its commands bring their options themselves.

A command's module has `add_parser`, which says what it takes, and `run`, which does it and returns
the exit status. What is heavy is imported in `run` alone: `--help` and wrong usage do not wait for
numpy.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from functools import partial
from typing import NoReturn

from vgaemu import __version__
from vgaemu.cli import bench, commands, lab, receive, replay, run, test
from vgaemu.cli.config import (
    HEAD,
    Command,
    Configuration,
    Values,
    as_toml,
    known_commands,
    need_nothing,
    options_of,
    override,
    takes_options,
)
from vgaemu.cli.options import nearest
from vgaemu.cli.say import UsageError, flushed, one_line, say, write_error
from vgaemu.display.hostkeys import all_keys

#: Modules that say what their commands take.
MODULES = (run, test, receive, replay, lab, bench, commands)


class Parser(ArgumentParser):
    """One line for a mistake, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Print it and exit with 2."""
        see = " See" if message.endswith("?") else "; see"
        self.exit(2, f"{self.prog}: {one_line(message)}{see} '{self.prog} --help'\n")

    def print_help(self, file: object = None) -> None:
        """Print it as everything is printed."""
        say(self.format_help().rstrip())

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the process; a reader of help who has gone changes no status."""
        write_error(message or "")
        raise SystemExit(flushed(status))


def parse(arguments: list[str]) -> Namespace:
    """The options; what a workload takes may stand anywhere, and all after ``--`` is its own.

    Returns:
        Among them `command`, the function that takes them; `headless`: there is no window;
        `configured`: names of those that a file or ``--set`` says, and the command line does not.

    Raises:
        UsageError: There is to be a window and none, or a file of options is wrong.
        SystemExit: Help was asked for, or an option is wrong; it has been printed.
    """
    configuration = Configuration()
    parser, parsers = make_parser(configuration)
    known = known_commands(parsers)
    said = _said(parser, parsers, arguments)
    if "print_conf" in said:
        configured = configuration.read(known, said.chosen)
        said.command, said.text = commands.run, partial(_as_toml, known, configured, said)
        return said
    if said.chosen in known:
        configured = configuration.read(known, said.chosen)
        return _merged(known[said.chosen], configured[said.chosen], said)
    if configuration.files or configuration.sets:
        parser.error("--conf and --set: name a command that takes options")
    return said


def make_parser(configuration: Configuration) -> tuple[Parser, Mapping[str, ArgumentParser]]:
    """The parser, and those of its commands by their names; files go to the configuration."""
    parser = Parser(
        prog="vgaemu",
        description="A VGA that redraws only what its dirty log says changed. "
        "Without a command: the tour.",
        epilog=f"Keys in the window: {all_keys()}. All others are the guest's.",
    )
    parser.add_argument("--version", action="version", version=f"vgaemu {__version__}")
    parser.set_defaults(command=commands.show_tour)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="chosen")
    for module in MODULES:
        module.add_parser(subparsers)
    for one in (parser, *subparsers.choices.values()):
        one.allow_abbrev = False
        if one is parser or takes_options(one):
            configuration.add_options(one)
    return parser, subparsers.choices


def _said(parser: Parser, parsers: Mapping[str, ArgumentParser], arguments: list[str]) -> Namespace:
    """What the command line says itself."""
    _refuse_command(parser, parsers, arguments)
    at = arguments.index("--") if "--" in arguments else len(arguments)
    arguments, own = arguments[:at], arguments[at + 1 :]
    # What is missing is told last: after a mistyped option, and not of --print-conf.
    needed = {name: need_nothing(one) for name, one in parsers.items()}
    # What follows an option would otherwise not be taken as a workload's argument.
    said, rest = parser.parse_known_args(arguments)
    chosen = parsers.get(said.chosen, parser)
    missing = [a for a in needed.get(said.chosen, ()) if getattr(said, a.dest) is None]
    _refuse_options(chosen, rest, takes_more="args" in said)
    if missing and "print_conf" not in said:
        name = missing[0].metavar or missing[0].dest
        chosen.error(f"the following arguments are required: {name}")
    if "args" in said:
        words = [*said.args, *rest, *own]
        if said.workload is None and words:
            said.workload = words.pop(0)
        said.args = words
    elif rest + own:
        chosen.error(f"unrecognized arguments: {' '.join(rest + own)}")
    return said


def _refuse_command(
    parser: Parser, parsers: Mapping[str, ArgumentParser], arguments: list[str]
) -> None:
    """The first word is a workload, or nothing at all."""
    word = arguments[0] if arguments else "-"
    if word not in parsers and not word.startswith("-"):
        run_it = f"; say 'vgaemu run {word}'" if _is_workload(word) else nearest(word, parsers)
        parser.error(f"no command {word!r}{run_it}")
    option = word.partition("=")[0]
    if option not in options_of(parser) and option in options_of(parsers["run"]):
        parser.error(f"{option} goes behind a command, as in vgaemu run tour {option}")


def _refuse_options(chosen: ArgumentParser, rest: list[str], *, takes_more: bool) -> None:
    """What is left of a command line is no option."""
    unknown = next((word for word in rest if word.startswith("-")), None)
    if unknown is not None:
        option = unknown.partition("=")[0]
        others = "; what is the workload's own goes behind --" if takes_more else ""
        chosen.error(f"no option {option}{nearest(option, options_of(chosen)) or others}")


def _merged(command: Command, configured: Values, said: Namespace) -> Namespace:
    """Defaults, over them what files say, and over all the command line."""
    mine = {name: value for name, value in vars(said).items() if name in command.defaults}
    values = dict(configured)
    override(values, mine)
    options = Namespace(**(command.defaults | vars(said) | values))
    options.configured = frozenset(values.keys() - mine.keys())
    if "headless" in options:
        if options.headless and options.display not in (None, "null"):
            raise UsageError(f"--headless and --display {options.display}: take one of them")
        options.headless |= options.display == "null"
    return options


def _as_toml(
    known: Mapping[str, Command], configured: Mapping[str, Values], said: Namespace
) -> str:
    """All that is set, and could be, of the command that is named or of each."""
    tables = []
    for name in known if said.chosen is None else [said.chosen]:
        values = dict(configured[name])
        override(values, {n: v for n, v in vars(said).items() if n in known[name].defaults})
        tables.append(as_toml(known[name], values, configured[name]))
    return "\n\n".join([HEAD, *tables])


def _is_workload(word: str) -> bool:
    from vgaemu.guest.find import bundled_names
    from vgaemu.pc import is_image

    return word in bundled_names() or word.endswith(".py") or is_image(word)
