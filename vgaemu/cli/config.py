"""Options from elsewhere than the command line: files of TOML, and ``--set``.

A key is an option's name without the dashes, ``scale = 3``; flags are true or false. It holds for
every command that has the option; in a table with the name of a command, ``[run]``, for that one,
whatever stands outside. Each of these wins over those before it: the user's own file, each
``--conf`` file in turn, ``--set``, the command line. What a value may be is asked of the option
itself: argparse checks the word as if it stood on the command line.

Not here: a workload, a tape and what else has no dashes; arrays, as no option takes several values.
Sources: TOML 1.0.0 by `tomllib`, which is imported where there is a file; the XDG Base Directory
Specification 0.8 for where the user's own file lies.
"""

from __future__ import annotations

import os
import textwrap
from argparse import SUPPRESS, Action, ArgumentError, ArgumentParser, Namespace, _AppendAction
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TypeAlias, TypeGuard

from vgaemu.cli.options import file_path, nearest
from vgaemu.cli.say import UsageError
from vgaemu.errors import file_error

#: Values by the names under which a command finds them: `dirty_log`.
Values: TypeAlias = dict[str, object]

#: No configuration is longer; an endless file is found out.
MAX_BYTES = 1 << 20
#: Columns of what is printed.
WIDTH = 80
#: What a file that we print begins with.
HEAD = """\
# Options of vgaemu. '--conf FILE' reads this file; as ~/.config/vgaemu/config.toml it is read
# by itself. What begins with one # and no blank is what holds if nothing else is said."""
#: Options of which one rules the others out: what wins over a file wins over these there, too.
RIVALS = (
    ("headless", "display"),
    ("dirty_log", "compare"),
    ("load_state", "record_tape"),
)


class Command:
    """What a command's options may be, and what they are if nobody says anything.

    Its parser from now on tells only what the command line says, no defaults.
    """

    def __init__(self, name: str, parser: ArgumentParser) -> None:
        self.name = name
        self._parser = parser
        #: Its options by their keys; help and the like, which have no value, are none.
        self.options: dict[str, Action] = {
            spelt.removeprefix("--"): action
            for spelt, action in options_of(parser).items()
            if spelt.startswith("--") and action.default != SUPPRESS
        }
        self.defaults: Values = {a.dest: a.default for a in self.options.values()}
        #: Values, and the words that they were made of.
        self._words: list[tuple[object, str]] = []
        for action in self.options.values():
            action.default = SUPPRESS
            if callable(action.type):
                action.type = self._remembering(action.type)

    def _remembering(self, kind: Callable[[str], object]) -> Callable[[str], object]:
        @wraps(kind)
        def read(word: str) -> object:
            value = kind(word)
            self._words.append((value, word))
            return value

        return read

    def word(self, value: object) -> str:
        """What a value was made of."""
        return next((word for made, word in self._words if made is value), str(value))

    def value(self, key: str, said: object, where: str) -> object:
        """What an option is if a file says so.

        Raises:
            UsageError: It cannot be that; the line begins with `where`.
        """
        action = self.options[key]
        if isinstance(action, _AppendAction):
            return [self._one(action, one, where) for one in (said if _is_list(said) else [said])]
        return self._one(action, said, where)

    def _one(self, action: Action, said: object, where: str) -> object:
        if isinstance(said, bool) and action.nargs == 0:
            return said
        if said is True and action.nargs == "?":
            return action.const
        if action.nargs == 0:
            raise UsageError(f"{where}: {_said(said)} is neither true nor false")
        if isinstance(said, bool) or not isinstance(said, str | int | float):
            raise UsageError(f"{where}: {_said(said)} is no value; it takes one word or number")
        word = _said(said)
        if "\0" in word:
            raise UsageError(f"{where}: no word of a command line has a null character")
        try:
            value: object = self._parser._get_value(action, word)
            self._parser._check_value(action, value)
        except ArgumentError as error:
            raise UsageError(f"{where}: {error.message}") from None
        return value

    def groups(self) -> Iterator[tuple[str, list[tuple[str, Action]]]]:
        """Titles of its help, and the options under each by their keys."""
        keys = {id(action): key for key, action in self.options.items()}
        for group in self._parser._action_groups:
            actions = [(keys[id(a)], a) for a in group._group_actions if id(a) in keys]
            if actions:
                yield group.title or "", actions


class Gather(Action):
    """Adds a value to the list `const`, whether it stands before the command or behind it.

    Of two namespaces, as parser and command's parser have, the second would hide the first.
    """

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        """Add it."""
        self.const.append(values)


class Configuration:
    """What the command line says of files and ``--set``, and what follows for each command."""

    def __init__(self) -> None:
        self.files: list[Path] = []
        self.sets: list[str] = []

    def add_options(self, parser: ArgumentParser) -> None:
        """Let a parser take them; more than one may."""
        add = parser.add_argument_group("configuration").add_argument
        # fmt: off
        add("--conf", action=Gather, type=file_path, const=self.files, default=SUPPRESS,
            metavar="F.toml",
            help="options from a file, besides ~/.config/vgaemu/config.toml; later ones win")
        add("--set", action=Gather, const=self.sets, default=SUPPRESS, metavar="NAME=VALUE",
            help="an option as a file says it: scale=3, headless=true")
        add("--print-conf", action="store_true", default=SUPPRESS,
            help="print what is set and what could be as such a file, and do nothing else")
        # fmt: on

    def read(self, commands: Mapping[str, Command], chosen: str | None) -> dict[str, Values]:
        """What files and ``--set`` say, for each command.

        Raises:
            UsageError: A file cannot be read, or something in it, or in ``--set``, is wrong.
        """
        own = users_file()
        found: dict[str, Values] = {name: {} for name in commands}
        for path in [*([own] if own else []), *self.files]:
            for name, values in _from_table(str(path), _read(path), commands).items():
                override(found[name], values)
        for word in self.sets:
            key, equals, text = (part.strip() for part in word.partition("="))
            if not equals:
                raise UsageError(f"--set {word}: say NAME=VALUE, as scale=3")
            where = f"--set {key}"
            here = commands if chosen is None else {chosen: commands[chosen]}
            said = {"true": True, "false": False}.get(text, text)
            for name, value in _for_all(where, key, said, here).items():
                override(found[name], value)
        return found


def options_of(parser: ArgumentParser) -> dict[str, Action]:
    """A parser's options, by every way to spell them."""
    return {spelt: action for action in parser._actions for spelt in action.option_strings}


def takes_options(parser: ArgumentParser) -> bool:
    """Whether there is more than help."""
    return any(action.default != SUPPRESS for action in options_of(parser).values())


def known_commands(parsers: Mapping[str, ArgumentParser]) -> dict[str, Command]:
    """Those that take options."""
    return {name: Command(name, one) for name, one in parsers.items() if takes_options(one)}


def _is_list(value: object) -> TypeGuard[list[object]]:
    """What an option has, or a file says, that may be given more than once."""
    return isinstance(value, list)


def need_nothing(parser: ArgumentParser) -> list[Action]:
    """Let what else is to stand on the command line be missing; returns it."""
    needed = [a for a in parser._actions if a.nargs is None and not a.option_strings]
    for action in needed:
        action.required = False
    return needed


def place_of_users_file() -> Path:
    """Where the user's own file would be."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(folder):  # as the specification has it
        folder = os.path.expanduser("~/.config")
    return Path(folder, "vgaemu", "config.toml")


def users_file() -> Path | None:
    """The user's own file, if it is there; in a folder that may not be looked at it is not."""
    place = place_of_users_file()
    return place if os.path.exists(place) else None


def override(values: Values, more: Values) -> None:
    """Take over what wins; what it rules out is then no longer said."""
    for name in more:
        for rivals in RIVALS:
            if name in rivals:
                for rival in set(rivals) - more.keys():
                    values.pop(rival, None)
    values |= more


def _read(path: Path) -> dict[str, object]:
    import tomllib  # most runs have no file

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(file_error(path, error, "name a file of options in TOML")) from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path}: more than {MAX_BYTES >> 20} MiB are no file of options")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8, which TOML is, at byte {error.start}") from None
    except RecursionError:
        raise UsageError(f"{path}: nested too deeply for a file of options") from None
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise UsageError(f"{path}: {error}; a line is as scale = 3, or cpu = 'kvm'") from None


def _from_table(
    where: str, table: dict[str, object], commands: Mapping[str, Command]
) -> dict[str, Values]:
    """What a file says, for each command."""
    found: dict[str, Values] = {name: {} for name in commands}
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    for key, said in table.items():
        if key not in tables:
            for name, values in _for_all(f"{where}: {key}", key, said, commands).items():
                found[name] |= values
    for name, inner in tables.items():
        if name not in commands:
            there = nearest(name, commands) or f"; there are {', '.join(commands)}"
            raise UsageError(f"{where}: [{name}] is no command with options{there}")
        for key, said in inner.items():
            at = f"{where}: [{name}] {key}"
            override(found[name], _for_all(at, key, said, {name: commands[name]})[name])
    return found


def _for_all(
    where: str, key: str, said: object, commands: Mapping[str, Command]
) -> dict[str, Values]:
    """An option of each command that has it and takes the value; one is to do so."""
    found: dict[str, Values] = {}
    refused: dict[str, UsageError] = {}
    for name, command in commands.items():
        if key in command.options:
            try:
                found[name] = {command.options[key].dest: command.value(key, said, where)}
            except UsageError as error:
                refused[name] = error
    if not found and not refused:
        known = dict.fromkeys(key for command in commands.values() for key in command.options)
        whose = f" of {next(iter(commands))}" if len(commands) == 1 else ""
        there = nearest(key, known) or "; 'vgaemu --print-conf' shows all"
        raise UsageError(f"{where}: no option{whose}{there}")
    if not found:
        raise next(iter(refused.values()))
    return found


def _said(value: object) -> str:
    """A value of TOML as a word of the command line, which has the system's encoding."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return os.fsdecode(str(value).encode())
    except ValueError:  # of more digits than Python writes
        return "a number of thousands of digits"


# --- printing ---------------------------------------------------------------------------------


def as_toml(command: Command, values: Values, kept: Iterable[str] = ()) -> str:
    """A table of TOML that says the same, with the defaults as comments.

    What equals a default is written all the same if it is one of the `kept`: a file said otherwise.

    Raises:
        UsageError: A file's name is not UTF-8.
    """
    lines = [f"[{command.name}]"]
    for title, actions in command.groups():
        lines += ["", f"## {title}"]
        for key, action in actions:
            default = command.defaults[action.dest]
            value = values.get(action.dest, default)
            told = textwrap.wrap(action.help or "", WIDTH - 2)
            lines += ["", *(f"# {line}" for line in told)]
            if value != default or action.dest in kept:
                lines.append(f"{key} = {_literal(key, value, command.word(value))}")
            else:
                shown = _placeholder(action) if value is None else _literal(key, value, str(value))
                lines.append(f"#{key} = {shown}")
    return "\n".join(lines)


def _literal(key: str, value: object, word: str) -> str:
    """A value as TOML writes it; what is no number is a string, the word that the option reads."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if _is_list(value):
        return f"[{', '.join(_literal(key, one, str(one)) for one in value)}]"
    try:
        text = os.fsencode(word).decode()
    except UnicodeError:
        raise UsageError(f"--{key} {word}: not UTF-8, so TOML cannot say it") from None
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    r"""As it stands between quotation marks in TOML, on a terminal of any encoding.

    >>> print(*map(_escaped, 'a"ä'))
    a \" \U000000e4
    """
    if character in '"\\':
        return "\\" + character
    return character if " " <= character <= "~" else f"\\U{ord(character):08x}"


def _placeholder(action: Action) -> str:
    if action.choices is not None:
        return " | ".join(f'"{choice}"' for choice in action.choices)
    return str(action.metavar)
